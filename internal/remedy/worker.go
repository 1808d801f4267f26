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
	// Self is what others are told of this worker, by Register, its time apart. nil:
	// nobody is told.
	Self     knowngood.Worker
	Register Register
	// Concurrency is how many runs are under way at once.
	Concurrency int
	// Ended is told of each run that ended, or waits for a person, or could not be
	// gone on with. nil: nobody.
	Ended func(runID string, r Result, err error)
}

// patience is how long a worker sits out a wait rather than leave it to a wake.
const patience = 2 * time.Second

// Register says who works on runs that are due. The store implements it.
type Register interface {
	// PutWorker says that a worker is there until its time; it may be called again.
	PutWorker(ctx context.Context, w knowngood.Worker, now time.Time) error
	// RemoveWorker says that it is gone.
	RemoveWorker(ctx context.Context, owner string) error
	// Workers gives those whose time is not over; some may have died since.
	Workers(ctx context.Context, now time.Time) ([]knowngood.Worker, error)
}

// Run works until ctx ends.
func (w *Worker) Run(ctx context.Context) error {
	if w.Register != nil {
		if err := w.present(ctx); err != nil {
			return err
		}
		presence, gone := context.WithCancel(ctx)
		defer w.Register.RemoveWorker(context.WithoutCancel(ctx), w.Self.Owner) //nolint:errcheck // its time runs out by itself
		defer gone()
		go func() {
			for (knowngood.WallClock{}).Sleep(presence, leaseTime/2) == nil {
				_ = w.present(presence) // the next one may be in time
			}
		}()
	}
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

// present says that the worker is there for as long as a lease. Other processes read
// it, so it is by the wall clock, as leases are.
func (w *Worker) present(ctx context.Context) error {
	now := time.Now()
	self := w.Self
	self.Until = now.Add(leaseTime)
	return w.Register.PutWorker(ctx, self, now)
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
