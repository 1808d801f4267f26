package finding

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
)

// Verdict is an evaluation and what a new finding takes from its rule and
// resource.
type Verdict struct {
	knowngood.Evaluation
	Pack     string
	Severity knowngood.Severity
	Title    string
}

// ID names the finding of a rule on a resource: "f-" and ten hexadecimal
// digits, the same on every machine. generation is 0, save where the earlier
// ids are taken by findings that have moved to a replacement.
func ID(rule string, k knowngood.ResourceKey, generation int) string {
	parts := []string{k.Account, k.Region, rule, k.Type, k.ID}
	if generation > 0 {
		parts = append(parts, strconv.Itoa(generation))
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x1f")))
	return "f-" + hex.EncodeToString(sum[:5])
}

// severities are from least to most; one that is not known is below all.
var severities = []knowngood.Severity{
	knowngood.Informational, knowngood.Low, knowngood.Medium, knowngood.High, knowngood.Critical,
}

// Sort orders findings for people: the most severe first, then by rule and
// resource.
func Sort(list []knowngood.Finding) {
	slices.SortStableFunc(list, func(a, b knowngood.Finding) int {
		return cmp.Or(
			cmp.Compare(slices.Index(severities, b.Severity), slices.Index(severities, a.Severity)),
			cmp.Compare(a.Rule, b.Rule),
			cmp.Compare(a.Resource.String(), b.Resource.String()),
			cmp.Compare(a.ID, b.ID),
		)
	})
}

// Excepted gives the exception that is on a rule and resource at a time. One
// that expires at that very time is over.
func Excepted(list []knowngood.Exception, rule string, k knowngood.ResourceKey, now time.Time) (knowngood.Exception, bool) {
	for _, e := range list {
		if e.Rule == rule && e.Resource == k && (e.Expires == nil || now.Before(*e.Expires)) {
			return e, true
		}
	}
	return knowngood.Exception{}, false
}

// advance applies an event, and keeps what follows from the state: a closed
// finding has the time of it, one that opens again begins anew.
func advance(f knowngood.Finding, e Event, at time.Time, reason string) (knowngood.Finding, error) {
	next, err := Next(f.State, e)
	if err != nil {
		return f, err
	}
	if next == knowngood.FindingOpen && (f.State.Ended() || f.State == None) {
		f.Opened, f.Closed, f.Attempts, f.NextTry, f.RunID = at, nil, 0, nil, ""
	}
	if next.Ended() && f.State != next {
		f.NextTry = nil
	}
	if next == knowngood.FindingClosed && f.State != next {
		f.Closed = &at
	}
	f.State, f.Reason, f.Updated = next, reason, at
	return f, nil
}

// Judge applies a scan's verdict to a finding; f is the zero Finding where the
// rule has none on the resource. It says whether the finding is now another.
// A verdict older than the finding's last change is late, and changes nothing.
func Judge(f knowngood.Finding, v Verdict) (knowngood.Finding, bool, error) {
	if f.State != None && v.Time.Before(f.Updated) {
		return f, false, nil
	}
	switch v.Compliance {
	case knowngood.NonCompliant:
		was := f.State
		reason := f.Reason
		if was == None || was.Ended() || strings.HasPrefix(reason, notConfirmed) {
			reason = ""
		}
		next, err := advance(f, Violation, v.Time, reason)
		if err != nil {
			return f, false, err
		}
		if was == None {
			next.Rule, next.Resource = v.Rule, v.Resource
		}
		next.Annotation, next.Pack, next.Severity = v.Annotation, v.Pack, v.Severity
		next.Title = cmp.Or(v.Title, next.Title)
		return next, true, nil
	case knowngood.Compliant:
		if f.State == None || f.State == knowngood.FindingClosed || f.State == knowngood.FindingRemediating {
			return f, false, nil
		}
		next, err := advance(f, Pass, v.Time, "a scan found it "+string(v.Compliance))
		return next, err == nil, err
	case knowngood.NotApplicable:
		return Retire(f, v.Time, string(v.Compliance)+annotated(v.Annotation))
	case knowngood.InsufficientData:
		return Unconfirm(f, string(v.Compliance)+annotated(v.Annotation))
	}
	return f, false, knowngood.E(knowngood.Invalid, "", "the rule %s gave the verdict %q on %s", v.Rule, v.Compliance, v.Resource)
}

// Retire archives a finding that a scan found to be about nothing any more: its
// resource is gone, or its rule no longer applies. That is no pass. While a run is
// under way nothing changes, for the run changes the resource.
func Retire(f knowngood.Finding, at time.Time, why string) (knowngood.Finding, bool, error) {
	if f.State == None || f.State.Ended() || f.State == knowngood.FindingRemediating {
		return f, false, nil
	}
	next, err := advance(f, Archive, at, why)
	return next, err == nil, err
}

const notConfirmed = "not confirmed: "

// Unconfirmed says whether the last scan could neither confirm a finding nor end
// it; its Reason then says why.
func Unconfirmed(f knowngood.Finding) bool { return strings.HasPrefix(f.Reason, notConfirmed) }

// Unconfirm notes that a scan could neither confirm a finding nor end it. While
// a run is under way it notes nothing, for the run changes the resource.
func Unconfirm(f knowngood.Finding, why string) (knowngood.Finding, bool, error) {
	if f.State == None || f.State.Ended() || f.State == knowngood.FindingRemediating {
		return f, false, nil
	}
	reason := notConfirmed + why
	changed := f.Reason != reason
	f.Reason = reason
	return f, changed, nil
}

func annotated(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}
