package finding

import (
	"context"
	"time"

	"github.com/knowngood/knowngood"
)

// Store is what the service needs of a store.
type Store interface {
	// UpdateFinding changes a finding in one transaction: change is given what is
	// there under the id, the zero Finding where nothing is, and its result is
	// written. An error of change is returned, and nothing is written. change must
	// not call the store.
	UpdateFinding(ctx context.Context, id string, change func(knowngood.Finding) (knowngood.Finding, error)) error
	// UpdateFindings changes several in one transaction, in order, each as
	// UpdateFinding does; change is told which of them. After an error none is
	// written.
	UpdateFindings(ctx context.Context, ids []string, change func(int, knowngood.Finding) (knowngood.Finding, error)) error
	// Finding gives a finding by its id or the beginning of it; kind
	// knowngood.NotFound where there is none.
	Finding(ctx context.Context, id string) (knowngood.Finding, error)
	Findings(ctx context.Context) ([]knowngood.Finding, error)
	// PutException writes the exception of a rule and resource; a repeat is
	// harmless.
	PutException(ctx context.Context, e knowngood.Exception) error
	// Exceptions lists all, expired ones too.
	Exceptions(ctx context.Context) ([]knowngood.Exception, error)
}

// Service keeps the findings of a store. Any number of services may share one:
// each change is decided on what the store holds, in one transaction.
type Service struct {
	Store Store
	Clock knowngood.Clock
}

// Scan is what a scan brings.
type Scan struct {
	Verdicts []Verdict
	// Began is when the scan began to read. A finding that has changed since is
	// another than the scan saw, and stays as it is.
	Began time.Time
	// Absent says why a rule has no verdict on a resource: it is gone, or out of the
	// rule's scope. Only a scan that read everything of the resource's type in its
	// place can tell; empty: not known. Nil: nothing is.
	Absent func(rule string, k knowngood.ResourceKey) string
}

// Report is what a scan changed.
type Report struct {
	Opened, Closed, Unconfirmed int
	Archived                    []knowngood.Finding
}

type subject struct {
	rule     string
	resource knowngood.ResourceKey
}

// Reconcile brings the findings in line with a scan and the exceptions. It may
// be repeated at any time with the same scan.
func (s *Service) Reconcile(ctx context.Context, scan Scan) (Report, error) {
	var report Report
	all, err := s.Store.Findings(ctx)
	if err != nil {
		return report, err
	}
	exceptions, err := s.Store.Exceptions(ctx)
	if err != nil {
		return report, err
	}
	ids := map[string]bool{}
	bySubject := map[subject]knowngood.Finding{}
	for _, f := range all {
		ids[f.ID] = true
		bySubject[subject{f.Rule, f.Resource}] = f
	}
	now := s.Clock.Now()
	type step func(knowngood.Finding) (next knowngood.Finding, changed bool, err error)
	var changing []string
	var steps []step
	// bring judges what was listed, and where that would change it, takes note to judge
	// what the store holds by then: a run may have begun, or ended, meanwhile.
	bring := func(key subject, id string, judge func(knowngood.Finding) (knowngood.Finding, bool, error)) error {
		step := func(f knowngood.Finding) (next knowngood.Finding, changed bool, err error) {
			if f.State != None && (f.Rule != key.rule || f.Resource != key.resource) {
				return f, false, nil // it has moved to a replacement
			}
			if next, changed, err = judge(f); err != nil {
				return f, false, err
			}
			return settle(exceptions, next, changed, now)
		}
		_, changed, err := step(bySubject[key])
		if err == nil && changed {
			changing, steps = append(changing, id), append(steps, step)
		}
		return err
	}
	seen := map[subject]bool{}
	for _, v := range scan.Verdicts {
		key := subject{v.Rule, v.Resource}
		seen[key] = true
		id := bySubject[key].ID
		for generation := 0; id == "" || bySubject[key].ID == "" && ids[id]; generation++ {
			id = ID(v.Rule, v.Resource, generation)
		}
		if err := bring(key, id, func(f knowngood.Finding) (knowngood.Finding, bool, error) { return Judge(f, v) }); err != nil {
			return report, err
		}
	}
	for key, f := range bySubject {
		if seen[key] {
			continue
		}
		why := ""
		if scan.Absent != nil {
			why = scan.Absent(key.rule, key.resource)
		}
		err := bring(key, f.ID, func(f knowngood.Finding) (knowngood.Finding, bool, error) {
			if why == "" || f.Updated.After(scan.Began) {
				return f, false, nil
			}
			return Retire(f, scan.Began, why)
		})
		if err != nil {
			return report, err
		}
	}
	err = s.Store.UpdateFindings(ctx, changing, func(i int, f knowngood.Finding) (knowngood.Finding, error) {
		next, _, err := steps[i](f)
		next.ID = changing[i]
		report.add(f, next)
		return next, err
	})
	if err != nil {
		return Report{}, err // none of it was written
	}
	return report, nil
}

// settle applies the exceptions to a finding.
func settle(exceptions []knowngood.Exception, f knowngood.Finding, changed bool, now time.Time) (knowngood.Finding, bool, error) {
	e, excepted := Excepted(exceptions, f.Rule, f.Resource, now)
	var err error
	switch {
	case excepted && (f.State == knowngood.FindingOpen || f.State == knowngood.FindingUnverified):
		f, err = advance(f, Except, now, e.Message)
		return f, err == nil, err
	case !excepted && f.State == knowngood.FindingExcepted:
		f, err = advance(f, Resume, now, "the exception has ended")
		f.Attempts, f.NextTry = 0, nil
		return f, err == nil, err
	}
	return f, changed, nil
}

// add counts one finding's change.
func (r *Report) add(was, is knowngood.Finding) {
	switch {
	case is.State == was.State && is.Reason == was.Reason:
	case is.State == was.State:
		r.Unconfirmed++
	case is.State == knowngood.FindingClosed:
		r.Closed++
	case is.State == knowngood.FindingArchived:
		r.Archived = append(r.Archived, is)
	case was.State == None || was.State.Ended():
		r.Opened++
	}
}

// List gives the findings, the most severe first.
func (s *Service) List(ctx context.Context) ([]knowngood.Finding, error) {
	list, err := s.Store.Findings(ctx)
	Sort(list)
	return list, err
}

// update changes a stored finding.
func (s *Service) update(ctx context.Context, id string, fn func(knowngood.Finding) (knowngood.Finding, error)) error {
	return s.Store.UpdateFinding(ctx, id, func(f knowngood.Finding) (knowngood.Finding, error) {
		if f.State == None {
			return f, knowngood.E(knowngood.NotFound, "", "there is no finding %s", id)
		}
		next, err := fn(f)
		if err != nil {
			return f, &knowngood.Error{Kind: knowngood.KindOf(err), Op: "finding " + id, Err: err}
		}
		return next, nil
	})
}

// change applies an event to a stored finding.
func (s *Service) change(ctx context.Context, id string, e Event, reason string) error {
	return s.update(ctx, id, func(f knowngood.Finding) (knowngood.Finding, error) {
		return advance(f, e, s.Clock.Now(), reason)
	})
}

// Waiting says that a plan waits for approval. That is no attempt.
func (s *Service) Waiting(ctx context.Context, id, reason string) error {
	return s.change(ctx, id, Propose, reason)
}

// Withdrawn says that a plan was rejected, or no longer fits the world.
func (s *Service) Withdrawn(ctx context.Context, id, reason string) error {
	return s.change(ctx, id, Withdraw, reason)
}

// Remediating says that a run acts on the finding; kind knowngood.Conflict
// where another does. The same run may say it again.
func (s *Service) Remediating(ctx context.Context, id, runID string) error {
	return s.update(ctx, id, func(f knowngood.Finding) (knowngood.Finding, error) {
		if f.State == knowngood.FindingRemediating && f.RunID != runID {
			return f, knowngood.E(knowngood.Conflict, "", "the run %s acts on it", f.RunID)
		}
		if f.State.Ended() {
			return f, knowngood.E(knowngood.Conflict, "", "it is %s: %s", f.State, f.Reason)
		}
		f, err := advance(f, Start, s.Clock.Now(), "")
		f.RunID, f.NextTry = runID, nil
		return f, err
	})
}

// Unverified says that a run has done its work and the fresh read did not pass.
func (s *Service) Unverified(ctx context.Context, id, reason string) error {
	return s.change(ctx, id, Miss, reason)
}

// Moved says that a run has made a replacement for the finding's resource: the
// finding follows it. The same replacement may be told again.
func (s *Service) Moved(ctx context.Context, id string, to knowngood.ResourceKey) error {
	return s.update(ctx, id, func(f knowngood.Finding) (knowngood.Finding, error) {
		if f.Resource == to {
			return f, nil
		}
		if f.State != knowngood.FindingRemediating {
			return f, knowngood.E(knowngood.Conflict, "", "it is %s; only a run moves a finding", f.State)
		}
		if f.MovedFrom == nil { // of a second replacement the first original is what the user knows
			from := f.Resource
			f.MovedFrom = &from
		}
		f.Resource, f.Updated = to, s.Clock.Now()
		return f, nil
	})
}

// Verified closes a finding on what fresh reads said: its resource must be
// COMPLIANT, and where it has moved, the original must have been read too and
// no longer be NON_COMPLIANT. Verdicts from before the last change count for
// nothing. Kind knowngood.Refused where they don't suffice.
func (s *Service) Verified(ctx context.Context, id string, verdicts ...knowngood.Evaluation) error {
	return s.update(ctx, id, func(f knowngood.Finding) (knowngood.Finding, error) {
		if f.State != knowngood.FindingClosed {
			if err := suffices(f, verdicts); err != nil {
				return f, err
			}
		}
		return advance(f, Verify, s.Clock.Now(), "a fresh read found it "+string(knowngood.Compliant))
	})
}

func suffices(f knowngood.Finding, verdicts []knowngood.Evaluation) error {
	need := []knowngood.ResourceKey{f.Resource}
	if f.MovedFrom != nil {
		need = append(need, *f.MovedFrom)
	}
	for i, k := range need {
		found := false
		for _, v := range verdicts {
			if v.Rule != f.Rule || v.Resource != k || v.Time.Before(f.Updated) {
				continue
			}
			if v.Compliance == knowngood.NonCompliant || i == 0 && v.Compliance != knowngood.Compliant {
				return knowngood.E(knowngood.Refused, "", "%s is %s%s", k, v.Compliance, annotated(v.Annotation))
			}
			found = true
		}
		if !found {
			return knowngood.E(knowngood.Refused, "", "there is no fresh verdict of %s on %s", f.Rule, k)
		}
	}
	return nil
}

// Failed says that a run of the finding failed. An automatic one counts as an
// attempt; when they run out, an exception is put on the resource, as AWS Config
// does. The zero Retry is that of a run that a person asked for, or whose plan no
// longer fitted the world: it counts as none. The same run may tell it again, and
// counts once; kind knowngood.Conflict where the run does not act on the finding.
func (s *Service) Failed(ctx context.Context, id, runID, reason string, r knowngood.Retry) error {
	now := s.Clock.Now()
	var exception *knowngood.Exception
	fail := func(f knowngood.Finding) (knowngood.Finding, error) {
		exception = nil
		switch {
		case f.RunID != runID:
			return f, knowngood.E(knowngood.Conflict, "", "the run %s does not act on it", runID)
		case f.State != knowngood.FindingRemediating:
			return f, nil // it left that state when the run told it the first time
		}
		next, err := advance(f, Fail, now, reason)
		if err != nil || r == (knowngood.Retry{}) {
			return next, err
		}
		next.Attempts++
		if next.Attempts < r.Max {
			at := now.Add(r.Every)
			next.NextTry = &at
			return next, nil
		}
		exception = &knowngood.Exception{Rule: f.Rule, Resource: f.Resource, Message: "automatic attempts ran out: " + reason, Created: now}
		next, err = advance(next, Except, now, exception.Message)
		next.NextTry = nil
		return next, err
	}
	// The exception first: a finding that is excepted without one would be taken up
	// again.
	f, err := s.Store.Finding(ctx, id)
	if err != nil {
		return err
	}
	if _, err := fail(f); err == nil && exception != nil {
		if err := s.Store.PutException(ctx, *exception); err != nil {
			return err
		}
	}
	return s.update(ctx, id, fail)
}
