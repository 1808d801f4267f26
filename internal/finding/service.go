package finding

import (
	"context"
	"time"

	"github.com/knowngood/knowngood"
)

// Store is what the service needs of a store.
type Store interface {
	// PutFinding writes a finding under its id; a repeat is harmless.
	PutFinding(ctx context.Context, f knowngood.Finding) error
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

// Service keeps the findings of a store. Two services on one store must not act
// on one finding at the same time: the lock on the resource, which a run owns,
// sees to that for runs, and one process scans.
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
	seen := map[subject]bool{}
	for _, v := range scan.Verdicts {
		key := subject{v.Rule, v.Resource}
		seen[key] = true
		f := bySubject[key]
		next, changed, err := Judge(f, v)
		if err != nil {
			return report, err
		}
		if changed && next.ID == "" {
			for generation := 0; next.ID == "" || ids[next.ID]; generation++ {
				next.ID = ID(v.Rule, v.Resource, generation)
			}
			ids[next.ID] = true
		}
		if err := s.settle(ctx, &report, exceptions, f, next, changed); err != nil {
			return report, err
		}
	}
	for key, f := range bySubject {
		if seen[key] {
			continue
		}
		next, changed := f, false
		if scan.Absent != nil {
			if why := scan.Absent(f.Rule, f.Resource); why != "" && !f.Updated.After(scan.Began) {
				if next, changed, err = Retire(f, scan.Began, why); err != nil {
					return report, err
				}
			}
		}
		if err := s.settle(ctx, &report, exceptions, f, next, changed); err != nil {
			return report, err
		}
	}
	return report, nil
}

// settle applies exceptions to a finding and writes it where it has changed.
func (s *Service) settle(ctx context.Context, report *Report, exceptions []knowngood.Exception, was, f knowngood.Finding, changed bool) error {
	now := s.Clock.Now()
	e, excepted := Excepted(exceptions, f.Rule, f.Resource, now)
	var err error
	switch {
	case excepted && (f.State == knowngood.FindingOpen || f.State == knowngood.FindingUnverified):
		f, err = advance(f, Except, now, e.Message)
		changed = true
	case !excepted && f.State == knowngood.FindingExcepted:
		f, err = advance(f, Resume, now, "the exception has ended")
		f.Attempts, f.NextTry = 0, nil
		changed = true
	}
	if err != nil || !changed {
		return err
	}
	switch {
	case f.State != was.State && (was.State == None || was.State.Ended()) && !f.State.Ended():
		report.Opened++
	case f.State != was.State && f.State == knowngood.FindingClosed:
		report.Closed++
	case f.State != was.State && f.State == knowngood.FindingArchived:
		report.Archived = append(report.Archived, f)
	case f.Reason != was.Reason && f.State == was.State:
		report.Unconfirmed++
	}
	return s.Store.PutFinding(ctx, f)
}

// List gives the findings, the most severe first.
func (s *Service) List(ctx context.Context) ([]knowngood.Finding, error) {
	list, err := s.Store.Findings(ctx)
	Sort(list)
	return list, err
}

// change applies an event to a stored finding.
func (s *Service) change(ctx context.Context, id string, e Event, reason string, fn func(*knowngood.Finding) error) error {
	f, err := s.Store.Finding(ctx, id)
	if err != nil {
		return err
	}
	next, err := advance(f, e, s.Clock.Now(), reason)
	if err == nil && fn != nil {
		err = fn(&next)
	}
	if err != nil {
		return &knowngood.Error{Kind: knowngood.KindOf(err), Op: "finding " + f.ID, Err: err}
	}
	return s.Store.PutFinding(ctx, next)
}

// Waiting says that a plan waits for approval. That is no attempt.
func (s *Service) Waiting(ctx context.Context, id, reason string) error {
	return s.change(ctx, id, Propose, reason, nil)
}

// Withdrawn says that a plan was rejected, or no longer fits the world.
func (s *Service) Withdrawn(ctx context.Context, id, reason string) error {
	return s.change(ctx, id, Withdraw, reason, nil)
}

// Remediating says that a run acts on the finding; kind knowngood.Conflict
// where another does. The same run may say it again.
func (s *Service) Remediating(ctx context.Context, id, runID string) error {
	f, err := s.Store.Finding(ctx, id)
	if err != nil {
		return err
	}
	if f.State == knowngood.FindingRemediating && f.RunID != runID {
		return knowngood.E(knowngood.Conflict, "finding "+f.ID, "the run %s acts on it", f.RunID)
	}
	if f.State.Ended() {
		return knowngood.E(knowngood.Conflict, "finding "+f.ID, "it is %s: %s", f.State, f.Reason)
	}
	return s.change(ctx, id, Start, "", func(f *knowngood.Finding) error {
		f.RunID, f.NextTry = runID, nil
		return nil
	})
}

// Unverified says that a run has done its work and the fresh read did not pass.
func (s *Service) Unverified(ctx context.Context, id, reason string) error {
	return s.change(ctx, id, Miss, reason, nil)
}

// Moved says that a run has made a replacement for the finding's resource: the
// finding follows it. The same replacement may be told again.
func (s *Service) Moved(ctx context.Context, id string, to knowngood.ResourceKey) error {
	f, err := s.Store.Finding(ctx, id)
	if err != nil || f.Resource == to {
		return err
	}
	if f.State != knowngood.FindingRemediating {
		return knowngood.E(knowngood.Conflict, "finding "+f.ID, "it is %s; only a run moves a finding", f.State)
	}
	if f.MovedFrom == nil { // of a second replacement the first original is what the user knows
		from := f.Resource
		f.MovedFrom = &from
	}
	f.Resource, f.Updated = to, s.Clock.Now()
	return s.Store.PutFinding(ctx, f)
}

// Verified closes a finding on what fresh reads said: its resource must be
// COMPLIANT, and where it has moved, the original must have been read too and
// no longer be NON_COMPLIANT. Verdicts from before the last change count for
// nothing. Kind knowngood.Refused where they don't suffice.
func (s *Service) Verified(ctx context.Context, id string, verdicts ...knowngood.Evaluation) error {
	f, err := s.Store.Finding(ctx, id)
	if err != nil {
		return err
	}
	if f.State != knowngood.FindingClosed {
		if err := suffices(f, verdicts); err != nil {
			return err
		}
	}
	return s.change(ctx, id, Verify, "a fresh read found it "+string(knowngood.Compliant), nil)
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
				return knowngood.E(knowngood.Refused, "close finding "+f.ID, "%s is %s%s", k, v.Compliance, annotated(v.Annotation))
			}
			found = true
		}
		if !found {
			return knowngood.E(knowngood.Refused, "close finding "+f.ID, "there is no fresh verdict of %s on %s", f.Rule, k)
		}
	}
	return nil
}

// Failed says that a run of the finding failed. An automatic one counts as an
// attempt; when they run out, an exception is put on the resource, as AWS Config
// does. The zero Retry is that of a run that a person asked for, or whose plan no
// longer fitted the world: it counts as none.
func (s *Service) Failed(ctx context.Context, id, reason string, r knowngood.Retry) error {
	f, err := s.Store.Finding(ctx, id)
	if err != nil {
		return err
	}
	now := s.Clock.Now()
	next, err := advance(f, Fail, now, reason)
	if err != nil {
		return &knowngood.Error{Kind: knowngood.KindOf(err), Op: "finding " + f.ID, Err: err}
	}
	if r == (knowngood.Retry{}) {
		return s.Store.PutFinding(ctx, next)
	}
	next.Attempts++
	if next.Attempts < r.Max {
		at := now.Add(r.Every)
		next.NextTry = &at
		return s.Store.PutFinding(ctx, next)
	}
	e := knowngood.Exception{Rule: f.Rule, Resource: f.Resource, Message: "automatic attempts ran out: " + reason, Created: now}
	if next, err = advance(next, Except, now, e.Message); err != nil {
		return err
	}
	next.NextTry = nil
	// The exception first: a finding that is excepted without one would be
	// taken up again.
	if err := s.Store.PutException(ctx, e); err != nil {
		return err
	}
	return s.Store.PutFinding(ctx, next)
}
