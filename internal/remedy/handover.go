package remedy

import (
	"context"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/runbook"
)

// Handover leaves runs to a worker, a process that is there for them, and follows
// their logs.
type Handover struct {
	*Remediator
	Queue HandoverStore
	// There says whether the worker is still there.
	There func(ctx context.Context) (bool, error)
}

// HandoverStore is what a hand-over needs of a store.
type HandoverStore interface {
	// CreateRun makes a run that is due; kind Conflict where another has the resource.
	CreateRun(ctx context.Context, r knowngood.Run) error
	// Wake makes a run due at once.
	Wake(ctx context.Context, runID string) error
	Approvals(ctx context.Context, planHash string) ([]knowngood.Approval, error)
}

// followPoll is how often a run is looked at whose log is followed.
const followPoll = 100 * time.Millisecond

// Apply is Remediator.Apply by the worker's hands: it comes back when that would, and
// with the same result. Where the worker goes before the run has ended, it is carried
// out here. The context's end leaves the run with the worker.
func (h *Handover) Apply(ctx context.Context, plan *knowngood.Plan, decisions []knowngood.Approval, retry knowngood.Retry) (Result, error) {
	if err := h.mayApply(ctx, plan, decisions); err != nil {
		return Result{}, err
	}
	run, err := h.Runs.Run(ctx, plan.RunID)
	switch {
	case knowngood.KindOf(err) == knowngood.NotFound:
		if run, err = h.NewRun(ctx, plan); err == nil {
			err = h.Queue.CreateRun(ctx, run)
		}
	case err == nil && (run.PlanHash != plan.Hash || !goesOn(run.State)):
		return h.Remediator.Apply(ctx, plan, decisions, retry)
	case err == nil:
		err = h.Queue.Wake(ctx, run.ID)
	}
	if err != nil {
		return Result{}, err
	}
	if run, err = h.follow(ctx, plan); err != nil {
		return Result{}, err
	}
	if run.State == knowngood.RunWaiting || !goesOn(run.State) && !run.State.Ended() {
		return Result{RunID: run.ID, State: run.State, Message: run.Message}, nil
	}
	return h.Remediator.Apply(ctx, plan, decisions, retry) // it says how the run ended, or goes on with it
}

// goesOn says whether a run in this state goes on by itself.
func goesOn(s knowngood.RunState) bool {
	return s == knowngood.RunPending || s == knowngood.RunInProgress || s == knowngood.RunWaiting
}

// follow tells of a run's entries as they come, until the run ends or needs a person,
// or the worker is gone: then it is not waiting.
func (h *Handover) follow(ctx context.Context, plan *knowngood.Plan) (knowngood.Run, error) {
	d, err := runbook.Parse(plan.Document.Name, []byte(plan.Document.Content))
	if err != nil {
		return knowngood.Run{}, err
	}
	log, err := h.Log.Entries(ctx, plan.RunID)
	if err != nil {
		return knowngood.Run{}, err
	}
	for told := len(log); ; {
		run, err := h.Runs.Run(ctx, plan.RunID)
		if err != nil {
			return run, err
		}
		if log, err = h.Log.Entries(ctx, plan.RunID); err != nil {
			return run, err
		}
		for _, e := range log[told:] {
			if h.OnEntry != nil {
				h.OnEntry(plan, e)
			}
		}
		told = len(log)
		if !goesOn(run.State) {
			return run, nil
		}
		if run.State == knowngood.RunWaiting {
			if person, err := h.waitsForPerson(ctx, d, plan, log); err != nil || person {
				return run, err
			}
		}
		switch there, err := h.There(ctx); {
		case err != nil:
			return run, err
		case !there:
			run.State = knowngood.RunInProgress
			return run, nil
		}
		if err := h.Clock.Sleep(ctx, followPoll); err != nil {
			return run, err
		}
	}
}

// waitsForPerson says whether a run that waits does so for a person who has not
// decided yet. Once one has, the worker is about to see it.
func (h *Handover) waitsForPerson(ctx context.Context, d *runbook.Document, plan *knowngood.Plan, log []knowngood.LogEntry) (bool, error) {
	next, err := runbook.Advance(d, log)
	switch {
	case err != nil:
		return false, nil // the worker will park it
	case next.Kind == runbook.NextWait:
		return next.Until.IsZero(), nil
	case next.Kind != runbook.NextApprove:
		return false, nil
	}
	given, err := h.Queue.Approvals(ctx, plan.Hash)
	if err != nil {
		return false, err
	}
	people := map[string]bool{}
	for _, a := range given {
		if !a.Approved {
			return false, nil
		}
		people[a.By] = true
	}
	deadline := next.Approve.Deadline
	return len(people) < next.Approve.Min && (deadline.IsZero() || h.Clock.Now().Before(deadline)), nil
}
