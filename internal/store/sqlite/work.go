package sqlite

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"github.com/knowngood/knowngood"
)

// How often Work looks whether another process changed something. A look costs a
// read of shared memory.
const lookPeriod = 200 * time.Millisecond

// A run whose worker ended with an error is tried again later, and later each
// time.
const (
	firstRetry   = time.Second
	longestRetry = 5 * time.Minute
)

// wakes tells those who wait in Work of this process's commits.
type wakes struct {
	mu      sync.Mutex
	waiting map[chan struct{}]bool // each has room for one
}

func (w *wakes) listen() (chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting == nil {
		w.waiting = map[chan struct{}]bool{}
	}
	w.waiting[ch] = true
	return ch, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.waiting, ch)
	}
}

// changed says that something was committed.
func (s *Store) changed() {
	s.wakes.mu.Lock()
	defer s.wakes.mu.Unlock()
	for ch := range s.wakes.waiting {
		select {
		case ch <- struct{}{}:
		default: // it will look anyway
		}
	}
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
	conn, err := s.read.Conn(ctx) // a data version is a connection's own
	if err != nil {
		return err
	}
	defer conn.Close()
	changes, stop := s.wakes.listen()
	defer stop()
	w := &work{store: s, run: run, clock: clock, busy: map[string]bool{}, failures: map[string]int{}, slots: make(chan struct{}, n)}
	defer w.under.Wait()
	look := time.NewTicker(lookPeriod)
	defer look.Stop()
	var version int64
	for ctx.Err() == nil {
		next, err := w.handOut(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		due, cancel := alarm(ctx, clock, next)
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				waiting = false
			case <-changes:
				waiting = false
			case <-due:
				waiting = false
			case <-look.C:
				before := version
				if err := conn.QueryRowContext(ctx, "PRAGMA data_version").Scan(&version); err != nil && ctx.Err() == nil {
					cancel()
					return err
				}
				waiting = version == before
			}
		}
		cancel()
	}
	return nil
}

// alarm closes a channel at a time by a clock; the zero time never comes.
func alarm(ctx context.Context, clock knowngood.Clock, at time.Time) (<-chan struct{}, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	ch := make(chan struct{})
	if !at.IsZero() {
		go func() {
			if clock.Sleep(ctx, at.Sub(clock.Now())) == nil {
				close(ch)
			}
		}()
	}
	return ch, cancel
}

// expire lets the leases of owners that are no more run out.
func (s *Store) expire(ctx context.Context, dead func(owner string) bool) error {
	if dead == nil {
		return nil
	}
	return s.tx(ctx, func(tx *sql.Tx) error {
		rows, err := tx.Query("SELECT DISTINCT owner FROM runs WHERE due > 0 AND owner <> ''")
		if err != nil {
			return err
		}
		defer rows.Close()
		var gone []string
		for rows.Next() {
			var owner string
			if err := rows.Scan(&owner); err != nil {
				return err
			}
			if dead(owner) {
				gone = append(gone, owner)
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		for _, owner := range gone {
			if _, err := tx.Exec("UPDATE runs SET due = 0, expires = 0 WHERE owner = ? AND due > 0", owner); err != nil {
				return err
			}
		}
		return nil
	})
}

// work is one Work.
type work struct {
	store *Store
	run   func(ctx context.Context, runID string) error
	clock knowngood.Clock
	slots chan struct{}
	under sync.WaitGroup

	mu       sync.Mutex
	busy     map[string]bool // runs that were handed out
	failures map[string]int  // in a row
}

// handOut starts what is due, as far as there are slots, and says when the next
// run is due; zero: no run that is not under way ever is, unless something
// happens.
func (w *work) handOut(ctx context.Context) (next time.Time, err error) {
	w.mu.Lock()
	most := len(w.busy) + cap(w.slots)
	w.mu.Unlock()
	rows, err := w.store.read.QueryContext(ctx, "SELECT id, due FROM runs WHERE due IS NOT NULL ORDER BY due LIMIT ?", most+1)
	if err != nil {
		return next, err
	}
	defer rows.Close()
	now := micros(w.clock.Now())
	for rows.Next() {
		var id string
		var due int64
		if err := rows.Scan(&id, &due); err != nil {
			return next, err
		}
		switch {
		case due > now:
			return time.UnixMicro(due), nil
		case !w.start(ctx, id):
			return next, nil // whoever ends first looks again
		}
	}
	return next, rows.Err()
}

// start gives a run to a goroutine, unless one has it. It is false where there is
// no slot.
func (w *work) start(ctx context.Context, id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy[id] {
		return true
	}
	select {
	case w.slots <- struct{}{}:
	default:
		return false
	}
	w.busy[id] = true
	w.under.Go(func() {
		err := w.run(ctx, id)
		w.ended(ctx, id, err)
	})
	return true
}

// ended takes a run back. One that failed is put off, whatever made it due.
func (w *work) ended(ctx context.Context, id string, err error) {
	// Where this fails too, the run is looked at once more than it need be.
	_ = w.settle(context.WithoutCancel(ctx), id, err)
	w.mu.Lock()
	delete(w.busy, id)
	w.mu.Unlock()
	<-w.slots
	w.store.changed()
}

// settle says when a run that was taken back is due, where the worker left that
// open: one that failed a while later, one that has ended never.
func (w *work) settle(ctx context.Context, id string, failed error) error {
	w.mu.Lock()
	if failed == nil {
		delete(w.failures, id)
	} else {
		w.failures[id]++
	}
	wait := min(longestRetry, firstRetry<<min(max(w.failures[id]-1, 0), 20))
	w.mu.Unlock()
	const left = " WHERE id = ? AND owner = '' AND due IS NOT NULL"
	if failed != nil {
		return w.store.exec(ctx, "UPDATE runs SET due = ?"+left, micros(w.clock.Now().Add(wait)), id)
	}
	const idle = left + " AND state NOT IN ('Pending', 'InProgress', 'Waiting')"
	var n int
	if err := w.store.read.QueryRowContext(ctx, "SELECT count(*) FROM runs"+idle, id).Scan(&n); err != nil || n == 0 {
		return err
	}
	return w.store.exec(ctx, "UPDATE runs SET due = NULL"+idle, id)
}
