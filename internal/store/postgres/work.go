package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/knowngood/knowngood"
)

// Wake is the job that somebody look at a run. That one is lost, late or there
// twice does no harm: the run's row says when it is due.
type Wake struct {
	RunID string `json:"run"`
}

// Kind implements river.JobArgs.
func (Wake) Kind() string { return "wake" }

// sweep is the job that wakes runs whose wake was lost: those of a worker that
// died, above all.
type sweep struct{}

func (sweep) Kind() string { return "sweep" }

const (
	// River moves scheduled jobs to the queue every few seconds. A wake that comes
	// sooner is also kept in memory, so that it is in time; the job is there if this
	// process is not.
	soon = 30 * time.Second
	// fetchPause is the shortest time between two looks at the queue.
	fetchPause = 2 * time.Millisecond
	// sweepPeriod is how often lost wakes are looked for, by one process.
	sweepPeriod = 15 * time.Second
	// A run whose worker ended with an error is tried again later, and later each
	// time.
	firstRetry   = time.Second
	longestRetry = 5 * time.Minute
)

// wake makes jobs for runs in a transaction; at nil: for now.
func (s *Store) wake(ctx context.Context, tx pgx.Tx, at *time.Time, runIDs ...string) error {
	if len(runIDs) == 0 {
		return nil
	}
	opts := &river.InsertOpts{MaxAttempts: 1}
	if at != nil {
		opts.ScheduledAt = *at
	}
	jobs := make([]river.InsertManyParams, len(runIDs))
	for i, id := range runIDs {
		jobs[i] = river.InsertManyParams{Args: Wake{RunID: id}, InsertOpts: opts}
	}
	if _, err := s.river.InsertManyFastTx(ctx, tx, jobs); err != nil {
		return err
	}
	if at != nil && time.Until(*at) < soon {
		time.AfterFunc(time.Until(*at), func() {
			for _, id := range runIDs {
				// Where this fails, the job that was made above comes a little later.
				_, _ = s.river.Insert(context.WithoutCancel(ctx), Wake{RunID: id}, &river.InsertOpts{MaxAttempts: 1})
			}
		})
	}
	return nil
}

// Work hands out runs that are due, n at once at most and each to one at a time,
// until ctx ends; then it waits for those that are under way, and returns nil. A
// run is due when it was created, when its wake comes, after a decision on its
// plan or a request to cancel it, and when the lease of whoever worked on it has
// run out; leases whose owner is dead run out at once. A run whose worker returned
// an error is due again a while later.
func (s *Store) Work(ctx context.Context, clock knowngood.Clock, n int, dead func(owner string) bool, run func(ctx context.Context, runID string) error) error {
	if err := s.expire(ctx, dead); err != nil {
		return err
	}
	// Wakes that died with a worker are made again at once. The sweep that comes by
	// itself needs a leader, and a leader that was killed is replaced after a while.
	if err := s.sweep(ctx, clock.Now()); err != nil {
		return err
	}
	w := &waker{store: s, ctx: ctx, clock: clock, run: run, busy: map[string]bool{}, failures: map[string]int{}}
	workers := river.NewWorkers()
	river.AddWorker(workers, w)
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, _ *river.Job[sweep]) error { return s.sweep(ctx, clock.Now()) }))
	client, err := river.NewClient(riverpgxv5.New(s.pool), &river.Config{
		Schema: schema, Logger: s.quiet, Workers: workers, JobTimeout: -1, // a run's time is its document's affair
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: n}, sweepQueue: {MaxWorkers: 1}}, FetchCooldown: fetchPause,
		CompletedJobRetentionPeriod: time.Hour,
		PeriodicJobs: []*river.PeriodicJob{river.NewPeriodicJob(river.PeriodicInterval(sweepPeriod), func() (river.JobArgs, *river.InsertOpts) {
			return sweep{}, &river.InsertOpts{Queue: sweepQueue, MaxAttempts: 1}
		}, &river.PeriodicJobOpts{RunOnStart: true})},
	})
	if err != nil {
		return err
	}
	// River's own context outlives ctx: its workers are to write how far they came.
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	<-ctx.Done()
	return client.Stop(context.WithoutCancel(ctx))
}

// sweepQueue keeps the sweep apart, so that it comes even where all workers are
// busy.
const sweepQueue = "sweep"

// expire lets the leases of owners that are no more run out.
func (s *Store) expire(ctx context.Context, dead func(owner string) bool) error {
	if dead == nil {
		return nil
	}
	rows, err := s.pool.Query(ctx, "SELECT DISTINCT owner FROM runs WHERE due > 0 AND owner <> ''")
	if err != nil {
		return err
	}
	owners, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, owner := range owners {
		if !dead(owner) {
			continue
		}
		if err := s.tx(ctx, func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, "UPDATE runs SET due = 0, expires = 0 WHERE owner = $1 AND due > 0 RETURNING id", owner)
			if err != nil {
				return err
			}
			ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				return err
			}
			return s.wake(ctx, tx, nil, ids...)
		}); err != nil {
			return err
		}
	}
	return nil
}

// sweep wakes the runs that have been due for a while.
func (s *Store) sweep(ctx context.Context, now time.Time) error {
	return s.tx(ctx, func(tx pgx.Tx) error {
		// Each is looked at again after a while, in case that this wake is lost too.
		rows, err := tx.Query(ctx, `UPDATE runs SET due = $2 WHERE id IN (
			SELECT id FROM runs WHERE due < $1 ORDER BY due LIMIT 1000 FOR UPDATE SKIP LOCKED) RETURNING id`, micros(now), micros(now))
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		return s.wake(ctx, tx, nil, ids...)
	})
}

// waker is River's worker for wakes.
type waker struct {
	river.WorkerDefaults[Wake]
	store *Store
	clock knowngood.Clock
	ctx   context.Context // of Work
	run   func(ctx context.Context, runID string) error

	mu       sync.Mutex
	busy     map[string]bool // runs that are under way here; true: to be looked at again
	failures map[string]int  // in a row
}

// Work implements river.Worker. A run that fails is no job that fails: its row says
// when it is due again.
func (w *waker) Work(ctx context.Context, job *river.Job[Wake]) error {
	id := job.Args.RunID
	if w.ctx.Err() != nil {
		return river.JobSnooze(0) // for another worker
	}
	for again := w.take(id); again; again = w.release(id) {
		if err := w.look(context.WithoutCancel(ctx), id); err != nil {
			w.release(id)
			return err
		}
	}
	return nil
}

// look works on a run if it is due. Else the wake was late, or there twice.
func (w *waker) look(ctx context.Context, id string) error {
	var due *int64
	err := w.store.pool.QueryRow(ctx, "SELECT due FROM runs WHERE id = $1", id).Scan(&due)
	switch {
	case none(err):
		return nil // it was pruned
	case err != nil:
		return err
	case due == nil || *due > micros(w.clock.Now()):
		return nil
	}
	return w.settle(ctx, id, w.run(w.ctx, id))
}

// take takes a run, unless it is taken; then whoever has it looks once more before
// it goes.
func (w *waker) take(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, taken := w.busy[id]
	w.busy[id] = taken
	return !taken
}

// release gives a run back, unless it is to be looked at once more.
func (w *waker) release(id string) (again bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if again = w.busy[id]; again && w.ctx.Err() == nil {
		w.busy[id] = false
		return true
	}
	delete(w.busy, id)
	return false
}

// settle says when a run that was worked on is due, where the worker left that
// open: one that failed a while later, one that has ended never.
func (w *waker) settle(ctx context.Context, id string, failed error) error {
	const left = " WHERE id = $1 AND owner = '' AND due IS NOT NULL"
	if failed == nil {
		w.forget(id)
		return w.store.exec(ctx, "UPDATE runs SET due = NULL"+left+" AND state NOT IN ('Pending', 'InProgress', 'Waiting')", id)
	}
	at := w.clock.Now().Add(w.failed(id))
	return w.store.tx(ctx, func(tx pgx.Tx) error {
		put, err := tx.Exec(ctx, "UPDATE runs SET due = $2"+left, id, micros(at))
		if err != nil || put.RowsAffected() == 0 {
			return err
		}
		return w.store.wake(ctx, tx, &at, id)
	})
}

func (w *waker) forget(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.failures, id)
}

// failed counts a failure, and says after what time the run is tried again.
func (w *waker) failed(id string) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures[id]++
	return min(longestRetry, firstRetry<<min(w.failures[id]-1, 20))
}
