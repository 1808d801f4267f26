package remedy

import (
	"context"
	"encoding/json"
	"time"

	"github.com/knowngood/knowngood"
)

// Queue hands out runs that are due, as the store's Work does.
type Queue interface {
	// Work calls run for each run that is due, n at once at most, until ctx ends.
	// An error of run puts the run off.
	Work(ctx context.Context, clock knowngood.Clock, n int, dead func(owner string) bool, run func(ctx context.Context, runID string) error) error
}

// PlanStore gives the plans of runs and the decisions on them.
type PlanStore interface {
	// Plan gives a plan as it was kept; kind NotFound where there is none.
	Plan(ctx context.Context, hash string) (json.RawMessage, error)
	Approvals(ctx context.Context, planHash string) ([]knowngood.Approval, error)
}

// Worker goes on with runs that are due: those that were left waiting, those whose
// worker died, those that were queued.
type Worker struct {
	// For gives the remediator for a run's account and Region.
	For   func(plan *knowngood.Plan) (*Remediator, error)
	Runs  RunStore
	Plans PlanStore
	Queue Queue
	Clock knowngood.Clock
	Dead  func(owner string) bool
	// Concurrency is how many runs are under way at once.
	Concurrency int
	// Ended is told of each run that ended, or waits for a person, or could not be
	// gone on with. nil: nobody.
	Ended func(runID string, r Result, err error)
}

// patience is how long a worker sits out a wait rather than leave it to a wake.
const patience = 2 * time.Second

// Run works until ctx ends.
func (w *Worker) Run(ctx context.Context) error {
	return w.Queue.Work(ctx, w.Clock, w.Concurrency, w.Dead, func(ctx context.Context, id string) error {
		result, err := w.step(ctx, id)
		if w.Ended != nil && ctx.Err() == nil && (err != nil || result.State != knowngood.RunWaiting) {
			w.Ended(id, result, err)
		}
		if knowngood.KindOf(err) == knowngood.Conflict {
			return nil // another has it
		}
		return err
	})
}

// step goes on with a run as far as it goes.
func (w *Worker) step(ctx context.Context, id string) (Result, error) {
	run, err := w.Runs.Run(ctx, id)
	if err != nil {
		return Result{}, err
	}
	raw, err := w.Plans.Plan(ctx, run.PlanHash)
	if err != nil {
		return Result{}, err
	}
	plan, err := DecodePlan("run "+id, raw)
	if err != nil {
		return Result{}, err
	}
	decisions, err := w.Plans.Approvals(ctx, plan.Hash)
	if err != nil {
		return Result{}, err
	}
	r, err := w.For(plan)
	if err != nil {
		return Result{}, err
	}
	patient := *r
	patient.Patience = patience
	return patient.Apply(ctx, plan, decisions, knowngood.Retry{})
}
