package finding_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/finding"
)

var (
	start  = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	volume = knowngood.ResourceKey{Account: "111122223333", Region: "eu-west-1", Type: "AWS::EC2::Volume", ID: "vol-1"}
)

const rule = "encrypted-volumes"

type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }
func (c *clock) Sleep(_ context.Context, d time.Duration) error {
	c.now = c.now.Add(d)
	return nil
}

// memory is a Store whose writes can be counted.
type memory struct {
	findings   map[string]knowngood.Finding
	exceptions []knowngood.Exception
	writes     int
	meanwhile  func() // what another process does before the next change
}

func (m *memory) UpdateFinding(_ context.Context, id string, change func(knowngood.Finding) (knowngood.Finding, error)) error {
	if m.meanwhile != nil {
		fn := m.meanwhile
		m.meanwhile = nil
		fn()
	}
	f, err := change(m.findings[id])
	if err == nil {
		m.writes++
		m.findings[id] = f
	}
	return err
}

func (m *memory) UpdateFindings(ctx context.Context, ids []string, change func(int, knowngood.Finding) (knowngood.Finding, error)) error {
	before, writes := maps.Clone(m.findings), m.writes
	for i, id := range ids {
		if err := m.UpdateFinding(ctx, id, func(f knowngood.Finding) (knowngood.Finding, error) { return change(i, f) }); err != nil {
			m.findings, m.writes = before, writes
			return err
		}
	}
	return nil
}

func (m *memory) Finding(_ context.Context, id string) (knowngood.Finding, error) {
	f, ok := m.findings[id]
	if !ok {
		return f, knowngood.E(knowngood.NotFound, "", "there is no finding %s", id)
	}
	return f, nil
}

func (m *memory) Findings(context.Context) ([]knowngood.Finding, error) {
	var out []knowngood.Finding
	for _, f := range m.findings {
		out = append(out, f)
	}
	return out, nil
}

func (m *memory) PutException(_ context.Context, e knowngood.Exception) error {
	m.exceptions = append(m.exceptions, e)
	return nil
}

func (m *memory) Exceptions(context.Context) ([]knowngood.Exception, error) { return m.exceptions, nil }

type bench struct {
	*finding.Service
	*testing.T
	clock *clock
	store *memory
}

func newBench(t *testing.T) *bench {
	c := &clock{now: start}
	m := &memory{findings: map[string]knowngood.Finding{}}
	return &bench{Service: &finding.Service{Store: m, Clock: c}, T: t, clock: c, store: m}
}

func (b *bench) verdict(k knowngood.ResourceKey, c knowngood.Compliance) finding.Verdict {
	return finding.Verdict{
		Evaluation: knowngood.Evaluation{Rule: rule, Resource: k, Compliance: c, Time: b.clock.now},
		Severity:   knowngood.High, Title: "500 GiB gp3",
	}
}

func (b *bench) scan(verdicts ...finding.Verdict) finding.Report {
	b.Helper()
	r, err := b.Reconcile(b.Context(), finding.Scan{Verdicts: verdicts, Began: b.clock.now, Absent: func(string, knowngood.ResourceKey) string { return "the resource is gone" }})
	if err != nil {
		b.Fatal(err)
	}
	return r
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) refused(err error, kind knowngood.Kind, text string) {
	b.Helper()
	if err == nil || knowngood.KindOf(err) != kind || !strings.Contains(err.Error(), text) {
		b.Errorf("got %v, want kind %d with %q", err, kind, text)
	}
}

// want checks the one finding's state and the beginning of its reason.
func (b *bench) want(state knowngood.FindingState, reason string) knowngood.Finding {
	b.Helper()
	list, err := b.List(b.Context())
	b.must(err)
	if len(list) != 1 {
		b.Fatalf("%d findings", len(list))
	}
	if f := list[0]; f.State != state || !strings.HasPrefix(f.Reason, reason) {
		b.Errorf("%s %q, want %s %q", f.State, f.Reason, state, reason)
	}
	return list[0]
}

func (b *bench) later() { b.clock.now = b.clock.now.Add(time.Minute) }

func TestOnlyAPassCloses(t *testing.T) {
	b := newBench(t)
	if r := b.scan(b.verdict(volume, knowngood.NonCompliant)); r.Opened != 1 {
		t.Errorf("%+v", r)
	}
	b.want(knowngood.FindingOpen, "")
	b.later()
	b.scan(b.verdict(volume, knowngood.InsufficientData))
	if f := b.want(knowngood.FindingOpen, "not confirmed: INSUFFICIENT_DATA"); !finding.Unconfirmed(f) {
		t.Errorf("%+v", f)
	}
	b.later()
	if r := b.scan(b.verdict(volume, knowngood.Compliant)); r.Closed != 1 {
		t.Errorf("%+v", r)
	}
	f := b.want(knowngood.FindingClosed, "a scan found it")
	if f.Closed == nil || !f.Closed.Equal(b.clock.now) {
		t.Errorf("closed %v", f.Closed)
	}
	b.later()
	b.scan(b.verdict(volume, knowngood.NonCompliant))
	if f := b.want(knowngood.FindingOpen, ""); f.Closed != nil || !f.Opened.Equal(b.clock.now) {
		t.Errorf("%+v does not begin anew", f)
	}
}

// A finding that is about nothing any more ends without a pass, and keeps why.
func TestWhatIsGoneIsArchived(t *testing.T) {
	for _, c := range []struct {
		name     string
		verdicts func(b *bench) []finding.Verdict
		reason   string
	}{
		{"deleted", func(*bench) []finding.Verdict { return nil }, "the resource is gone"},
		{"not applicable", func(b *bench) []finding.Verdict { return []finding.Verdict{b.verdict(volume, knowngood.NotApplicable)} }, "NOT_APPLICABLE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.scan(b.verdict(volume, knowngood.NonCompliant))
			b.later()
			if r := b.scan(c.verdicts(b)...); len(r.Archived) != 1 || r.Archived[0].Reason != c.reason || r.Closed != 0 {
				t.Errorf("%+v", r)
			}
			f := b.want(knowngood.FindingArchived, c.reason)
			if f.Closed != nil {
				t.Errorf("archived, and closed at %v", f.Closed)
			}
			b.refused(b.Remediating(t.Context(), f.ID, "r1"), knowngood.Conflict, "it is archived: "+c.reason)
			b.later()
			if r := b.scan(c.verdicts(b)...); len(r.Archived) != 0 {
				t.Errorf("archived twice: %+v", r)
			}
			b.later()
			if r := b.scan(b.verdict(volume, knowngood.NonCompliant)); r.Opened != 1 {
				t.Errorf("%+v", r)
			}
			if f := b.want(knowngood.FindingOpen, ""); f.Reason != "" || !f.Opened.Equal(b.clock.now) {
				t.Errorf("%+v does not begin anew", f)
			}
		})
	}
}

func TestAScanArchivesNothingThatARunActsOn(t *testing.T) {
	b := newBench(t)
	b.scan(b.verdict(volume, knowngood.NonCompliant))
	id := b.want(knowngood.FindingOpen, "").ID
	b.must(b.Remediating(t.Context(), id, "r1"))
	b.later()
	b.scan()
	b.scan(b.verdict(volume, knowngood.NotApplicable))
	b.want(knowngood.FindingRemediating, "")
}

// What has changed since the scan began to read is not what the scan saw.
func TestAScanArchivesNothingThatChangedMeanwhile(t *testing.T) {
	b := newBench(t)
	began := b.clock.now
	b.later()
	b.scan(b.verdict(volume, knowngood.NonCompliant))
	_, err := b.Reconcile(t.Context(), finding.Scan{Began: began, Absent: func(string, knowngood.ResourceKey) string { return "the resource is gone" }})
	b.must(err)
	b.want(knowngood.FindingOpen, "")
}

func TestALateVerdictChangesNothing(t *testing.T) {
	b := newBench(t)
	late := b.verdict(volume, knowngood.Compliant)
	b.later()
	b.scan(b.verdict(volume, knowngood.NonCompliant))
	b.scan(late)
	b.want(knowngood.FindingOpen, "")
}

func TestAFindingFollowsTheReplacement(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	b.scan(b.verdict(volume, knowngood.NonCompliant))
	id := b.want(knowngood.FindingOpen, "").ID
	replacement := volume
	replacement.ID = "vol-2"
	b.refused(b.Moved(ctx, id, replacement), knowngood.Conflict, "only a run moves")
	b.must(b.Waiting(ctx, id, "plan 5f2c waits"))
	b.must(b.Remediating(ctx, id, "r1"))
	b.must(b.Remediating(ctx, id, "r1"))
	b.refused(b.Remediating(ctx, id, "r2"), knowngood.Conflict, "the run r1 acts")
	stale := b.verdict(replacement, knowngood.Compliant).Evaluation
	b.later()
	b.scan(b.verdict(volume, knowngood.Compliant)) // in the middle of a run
	b.want(knowngood.FindingRemediating, "")
	b.must(b.Moved(ctx, id, replacement))
	b.must(b.Moved(ctx, id, replacement))

	good, original := b.verdict(replacement, knowngood.Compliant).Evaluation, b.verdict(volume, knowngood.NotApplicable).Evaluation
	b.refused(b.Verified(ctx, id), knowngood.Refused, "no fresh verdict")
	b.refused(b.Verified(ctx, id, stale, original), knowngood.Refused, "no fresh verdict")
	b.refused(b.Verified(ctx, id, good), knowngood.Refused, "vol-1")
	b.refused(b.Verified(ctx, id, good, b.verdict(volume, knowngood.NonCompliant).Evaluation), knowngood.Refused, "vol-1 is NON_COMPLIANT")
	b.refused(b.Verified(ctx, id, b.verdict(replacement, knowngood.NotApplicable).Evaluation, original), knowngood.Refused, "vol-2 is NOT_APPLICABLE")
	b.want(knowngood.FindingRemediating, "")
	b.must(b.Verified(ctx, id, good, original))
	b.must(b.Verified(ctx, id, good, original)) // told again after a crash
	f := b.want(knowngood.FindingClosed, "")
	if f.ID != id || f.Resource != replacement || f.MovedFrom == nil || *f.MovedFrom != volume {
		t.Errorf("%+v", f)
	}

	// The original breaks the rule again: a finding of its own.
	b.later()
	b.scan(b.verdict(volume, knowngood.NonCompliant), b.verdict(replacement, knowngood.Compliant))
	if list, _ := b.List(ctx); len(list) != 2 || list[0].ID == list[1].ID {
		t.Errorf("%+v", list)
	}
}

// A scan beside an apply judges what the store holds when it writes, not what it
// listed: a run that began meanwhile keeps its finding.
func TestAScanLosesNoChangeOfARun(t *testing.T) {
	replacement := volume
	replacement.ID = "vol-2"
	for name, then := range map[string]func(b *bench, id string) knowngood.FindingState{
		"begun": func(b *bench, id string) knowngood.FindingState {
			b.must(b.Remediating(b.Context(), id, "r1"))
			return knowngood.FindingRemediating
		},
		"moved": func(b *bench, id string) knowngood.FindingState {
			b.must(b.Remediating(b.Context(), id, "r1"))
			b.must(b.Moved(b.Context(), id, replacement))
			return knowngood.FindingRemediating
		},
		"ended": func(b *bench, id string) knowngood.FindingState {
			b.must(b.Remediating(b.Context(), id, "r1"))
			b.later()
			b.must(b.Unverified(b.Context(), id, "still wrong"))
			return knowngood.FindingUnverified
		},
	} {
		for _, c := range []knowngood.Compliance{knowngood.NonCompliant, knowngood.Compliant, knowngood.NotApplicable, knowngood.InsufficientData} {
			t.Run(name+" "+string(c), func(t *testing.T) {
				b := newBench(t)
				b.scan(b.verdict(volume, knowngood.NonCompliant))
				id := b.want(knowngood.FindingOpen, "").ID
				var state knowngood.FindingState
				var after knowngood.Finding
				b.store.meanwhile = func() {
					state = then(b, id)
					after = b.store.findings[id]
				}
				b.scan(b.verdict(volume, c))
				f := b.want(state, "")
				if f.Resource != after.Resource || f.RunID != "r1" {
					t.Errorf("%+v, after %+v", f, after)
				}
			})
		}
	}
}

func TestAttemptsRunOut(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	retry := knowngood.Retry{Max: 2, Every: time.Minute}
	b.scan(b.verdict(volume, knowngood.NonCompliant))
	id := b.want(knowngood.FindingOpen, "").ID
	b.must(b.Waiting(ctx, id, "")) // no attempt
	b.must(b.Remediating(ctx, id, "r1"))
	b.must(b.Failed(ctx, id, "r1", "denied", retry))
	b.must(b.Failed(ctx, id, "r1", "denied", retry)) // told again after a crash
	if f := b.want(knowngood.FindingOpen, "denied"); f.Attempts != 1 || f.NextTry == nil || !f.NextTry.Equal(start.Add(time.Minute)) {
		t.Errorf("%+v", f)
	}
	b.must(b.Remediating(ctx, id, "r2"))
	b.must(b.Failed(ctx, id, "r2", "denied", retry))
	b.must(b.Failed(ctx, id, "r2", "denied", retry))
	if f := b.want(knowngood.FindingExcepted, "automatic attempts ran out"); f.NextTry != nil || len(b.store.exceptions) != 1 {
		t.Errorf("%+v %+v", f, b.store.exceptions)
	}
	b.refused(b.Failed(ctx, id, "r1", "again", retry), knowngood.Conflict, "r1 does not act")
}

func TestExceptionsSuppressUntilTheyExpire(t *testing.T) {
	b := newBench(t)
	expires := start.Add(time.Hour)
	b.store.exceptions = []knowngood.Exception{{Rule: rule, Resource: volume, Message: "OPS-7", Expires: &expires}}
	b.scan(b.verdict(volume, knowngood.NonCompliant))
	b.want(knowngood.FindingExcepted, "OPS-7")
	b.clock.now = expires.Add(-time.Second)
	b.scan(b.verdict(volume, knowngood.NonCompliant))
	b.want(knowngood.FindingExcepted, "OPS-7")
	b.clock.now = expires
	b.scan(b.verdict(volume, knowngood.NonCompliant))
	b.want(knowngood.FindingOpen, "the exception has ended")
}

func TestAnUnknownVerdictIsAnError(t *testing.T) {
	b := newBench(t)
	_, err := b.Reconcile(t.Context(), finding.Scan{Verdicts: []finding.Verdict{b.verdict(volume, "FINE")}})
	b.refused(err, knowngood.Invalid, `"FINE"`)
	if b.store.writes != 0 {
		t.Errorf("%d writes", b.store.writes)
	}
}

func TestSortIsBySeverity(t *testing.T) {
	list := []knowngood.Finding{{ID: "a"}, {ID: "b", Severity: knowngood.Low}, {ID: "c", Severity: knowngood.Critical}, {ID: "d", Severity: knowngood.High}}
	finding.Sort(list)
	var got string
	for _, f := range list {
		got += f.ID
	}
	if got != "cdba" {
		t.Error(got)
	}
}

func TestIDsAreShortAndStable(t *testing.T) {
	id := finding.ID(rule, volume, 0)
	if len(id) != 12 || !strings.HasPrefix(id, "f-") || id != finding.ID(rule, volume, 0) || id == finding.ID(rule, volume, 1) || id == finding.ID("other", volume, 0) {
		t.Error(id)
	}
}

// Whatever happens in whatever order: closed is entered by a fresh COMPLIANT
// alone, a run's end is told to a run only, and a refused event changes nothing.
func TestLifecycle(t *testing.T) {
	events := []finding.Event{finding.Violation, finding.Pass, finding.Propose, finding.Withdraw, finding.Start, finding.Fail, finding.Miss, finding.Verify, finding.Except, finding.Resume, finding.Archive}
	rapid.Check(t, func(t *rapid.T) {
		state := finding.None
		for range rapid.IntRange(1, 40).Draw(t, "length") {
			e := rapid.SampledFrom(events).Draw(t, "event")
			next, err := finding.Next(state, e)
			if err != nil {
				if next != state || knowngood.KindOf(err) != knowngood.Conflict {
					t.Fatalf("%s + %s: %s, %v", state, e, next, err)
				}
				continue
			}
			if next == knowngood.FindingClosed && state != next && e != finding.Pass && e != finding.Verify {
				t.Fatalf("%s + %s closes", state, e)
			}
			if next == knowngood.FindingArchived && state != next && e != finding.Archive {
				t.Fatalf("%s + %s archives", state, e)
			}
			if state.Ended() && !next.Ended() && e != finding.Violation {
				t.Fatalf("%s opens a finding that is %s", e, state)
			}
			if state == knowngood.FindingRemediating && next.Ended() && e != finding.Verify {
				t.Fatalf("%s ends a finding that a run acts on", e)
			}
			if e == finding.Fail && state != knowngood.FindingRemediating {
				t.Fatalf("a run of a finding that is %s failed", state)
			}
			if next == finding.None || !slices.Contains([]knowngood.FindingState{knowngood.FindingOpen, knowngood.FindingWaiting, knowngood.FindingRemediating, knowngood.FindingUnverified, knowngood.FindingExcepted, knowngood.FindingClosed, knowngood.FindingArchived}, next) {
				t.Fatalf("%s + %s = %q", state, e, next)
			}
			state = next
		}
	})
}
