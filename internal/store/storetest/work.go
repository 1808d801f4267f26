package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
)

// Worker is the part of a store that hands out runs which are due.
type Worker interface {
	Work(ctx context.Context, clock knowngood.Clock, n int, dead func(owner string) bool, run func(ctx context.Context, runID string) error) error
}

// WorkStore is a store that also hands out runs, and knows who takes them.
type WorkStore interface {
	Store
	Worker
	Wake(ctx context.Context, runID string) error
	PutWorker(ctx context.Context, w knowngood.Worker, now time.Time) error
	RemoveWorker(ctx context.Context, owner string) error
	Workers(ctx context.Context, now time.Time) ([]knowngood.Worker, error)
}

// patience is for how long a test waits for what has to come; nothing depends on
// how soon it does.
const patience = time.Minute

// handed collects the runs that Work hands out.
type handed struct {
	t    *testing.T
	ch   chan string
	stop func()
}

// work begins Work on a store. do is what its worker does.
func work(t *testing.T, s WorkStore, n int, dead func(string) bool, do func(ctx context.Context, id string) error) *handed {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	h := &handed{t: t, ch: make(chan string, 10000)}
	done := make(chan error, 1)
	go func() {
		done <- s.Work(ctx, knowngood.WallClock{}, n, dead, func(ctx context.Context, id string) error {
			defer func() { h.ch <- id }()
			return do(ctx, id)
		})
	}()
	h.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("Work does not end")
		}
	})
	t.Cleanup(h.stop)
	return h
}

// next is the run that was worked on next.
func (h *handed) next() string {
	h.t.Helper()
	select {
	case id := <-h.ch:
		return id
	case <-time.After(patience):
		h.t.Fatal("no run was handed out")
		return ""
	}
}

// quiet demands that no run is handed out for a while: a test that can miss a
// fault on a slow machine, and never sees one that is not there.
func (h *handed) quiet(d time.Duration) {
	h.t.Helper()
	select {
	case id := <-h.ch:
		h.t.Fatalf("%s was handed out", id)
	case <-time.After(d):
	}
}

func of(id string) knowngood.Run {
	r := run(id)
	r.Resource.ID = "vol-of-" + id
	return r
}

// step takes a run's lease, appends an entry with a state, and gives the lease
// back.
func step(ctx context.Context, s WorkStore, id string, state knowngood.RunState, wake *time.Time) error {
	epoch, err := s.Acquire(ctx, id, "worker", time.Now(), time.Minute, nil)
	if err != nil {
		return err
	}
	log, err := s.Entries(ctx, id)
	if err != nil {
		return err
	}
	if err := s.Append(ctx, id, epoch, entries(int64(len(log)+1), 1), state, "", wake); err != nil {
		return err
	}
	return s.Release(ctx, id, epoch)
}

// Work runs the suite of those stores that hand out runs.
func Work(t *testing.T, newDatabase func(t *testing.T) (open func() WorkStore)) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, open func() WorkStore)
	}{
		{"what was created is due, once", func(t *testing.T, open func() WorkStore) {
			s := open()
			must(t, s.CreateRun(t.Context(), of("r1")))
			h := work(t, s, 4, nil, func(ctx context.Context, id string) error { return step(ctx, s, id, knowngood.RunSuccess, nil) })
			must(t, open().CreateRun(t.Context(), of("r2"))) // by another process
			got := map[string]int{h.next(): 1}
			got[h.next()]++
			if got["r1"] != 1 || got["r2"] != 1 {
				t.Errorf("%v", got)
			}
			h.quiet(200 * time.Millisecond)
		}},
		{"each to one at a time", func(t *testing.T, open func() WorkStore) {
			const runs = 40
			s, other := open(), open()
			for i := range runs {
				must(t, s.CreateRun(t.Context(), of(fmt.Sprintf("r%02d", i))))
			}
			var mu sync.Mutex
			busy, most := map[string]bool{}, 0
			do := func(owner string) func(ctx context.Context, id string) error {
				return func(ctx context.Context, id string) error {
					epoch, err := s.Acquire(ctx, id, owner, time.Now(), time.Minute, nil)
					if knowngood.KindOf(err) == knowngood.Conflict {
						return err // another process was faster
					}
					if err != nil {
						t.Error(err)
						return err
					}
					mu.Lock()
					if busy[id] {
						t.Errorf("%s is worked on twice", id)
					}
					busy[id] = true
					most = max(most, len(busy))
					mu.Unlock()
					time.Sleep(time.Millisecond)
					mu.Lock()
					delete(busy, id)
					mu.Unlock()
					log, err := s.Entries(ctx, id)
					if err != nil {
						return err
					}
					if len(log) > 0 {
						return s.Release(ctx, id, epoch)
					}
					return errors.Join(s.Append(ctx, id, epoch, entries(1, 1), knowngood.RunSuccess, "", nil), s.Release(ctx, id, epoch))
				}
			}
			work(t, s, 3, nil, do("a"))
			work(t, other, 3, nil, do("b"))
			eventually(t, func() bool {
				left, err := s.Runs(t.Context(), knowngood.RunQuery{States: []knowngood.RunState{knowngood.RunPending}})
				must(t, err)
				return len(left) == 0
			})
			mu.Lock()
			defer mu.Unlock()
			if most > 6 {
				t.Errorf("%d at once, with 3 workers on two handles", most)
			}
		}},
		{"a run that waits is due at its wake", func(t *testing.T, open func() WorkStore) {
			s := open()
			must(t, s.CreateRun(t.Context(), of("r1")))
			wake := time.Now().Add(300 * time.Millisecond)
			first := true
			h := work(t, s, 1, nil, func(ctx context.Context, id string) error {
				if first {
					first = false
					return step(ctx, s, id, knowngood.RunWaiting, &wake)
				}
				if early := time.Until(wake); early > 0 {
					t.Errorf("%v too early", early)
				}
				return step(ctx, s, id, knowngood.RunSuccess, nil)
			})
			h.next()
			h.next()
			h.quiet(200 * time.Millisecond)
		}},
		{"a run that waits for a person is due at the decision, and at a cancel", func(t *testing.T, open func() WorkStore) {
			s := open()
			far := time.Now().Add(7 * 24 * time.Hour)
			h := work(t, s, 1, nil, func(ctx context.Context, id string) error {
				return step(ctx, s, id, knowngood.RunWaiting, &far)
			})
			must(t, s.CreateRun(t.Context(), of("r1")))
			h.next()
			h.quiet(200 * time.Millisecond)
			must(t, open().PutApproval(t.Context(), knowngood.Approval{PlanHash: "hash-of-r1", By: "ann", Approved: true, Time: start}))
			h.next()
			h.quiet(200 * time.Millisecond)
			must(t, open().RequestCancel(t.Context(), "r1", knowngood.LogEntry{Kind: knowngood.EntryCancel, Time: time.Now()}))
			h.next()
		}},
		{"a run is due when it is woken, unless it has ended", func(t *testing.T, open func() WorkStore) {
			s := open()
			far, state := time.Now().Add(time.Hour), knowngood.RunWaiting
			h := work(t, s, 1, nil, func(ctx context.Context, id string) error { return step(ctx, s, id, state, &far) })
			must(t, s.CreateRun(t.Context(), of("r1")))
			h.next()
			h.quiet(200 * time.Millisecond)
			state = knowngood.RunSuccess
			must(t, open().Wake(t.Context(), "r1"))
			h.next()
			must(t, open().Wake(t.Context(), "r1"))
			h.quiet(200 * time.Millisecond)
		}},
		{"workers are there until their time", func(t *testing.T, open func() WorkStore) {
			s := open()
			a := knowngood.Worker{Owner: "host/1", Account: "111122223333", Governance: "g", Until: start.Add(time.Minute)}
			b := knowngood.Worker{Owner: "host/2", Account: "111122223333", Until: start.Add(time.Second)}
			at := func(now time.Time, want ...knowngood.Worker) {
				t.Helper()
				got, err := open().Workers(t.Context(), now)
				must(t, err)
				if !slices.EqualFunc(got, want, func(x, y knowngood.Worker) bool {
					same := x.Until.Equal(y.Until)
					x.Until = y.Until
					return same && x == y
				}) {
					t.Errorf("%+v, want %+v", got, want)
				}
			}
			must(t, s.PutWorker(t.Context(), a, start))
			must(t, s.PutWorker(t.Context(), b, start))
			at(start, a, b)
			at(start.Add(2*time.Second), a)
			b.Until = start.Add(time.Minute)
			must(t, s.PutWorker(t.Context(), b, start.Add(time.Second)))
			at(start.Add(2*time.Second), a, b)
			must(t, s.RemoveWorker(t.Context(), a.Owner))
			at(start, b)
			must(t, s.PutWorker(t.Context(), a, start.Add(2*time.Minute)))
			at(start, a) // b was forgotten
		}},
		{"a run is due when one that it started ends, and those at a decision on its plan", func(t *testing.T, open func() WorkStore) {
			s := open()
			ends := false
			h := work(t, s, 1, nil, func(ctx context.Context, id string) error {
				if id == "r3" && ends {
					return step(ctx, s, id, knowngood.RunSuccess, nil)
				}
				return step(ctx, s, id, knowngood.RunWaiting, nil)
			})
			must(t, s.CreateRun(t.Context(), of("r1")))
			h.next()
			for id, parent := range map[string]string{"r2": "r1", "r3": "r2"} {
				child := of(id)
				child.Parent = parent
				must(t, s.CreateRun(t.Context(), child))
				if got := h.next(); got != id {
					t.Errorf("%s", got)
				}
			}
			h.quiet(200 * time.Millisecond)
			ends = true
			must(t, open().PutApproval(t.Context(), knowngood.Approval{PlanHash: "hash-of-r1", By: "ann", Approved: true, Time: start}))
			looks := map[string]int{}
			for range 4 { // each at the decision, and r2 again when r3 has ended
				looks[h.next()]++
			}
			if looks["r1"] != 1 || looks["r2"] != 2 || looks["r3"] != 1 {
				t.Errorf("%v", looks)
			}
			h.quiet(200 * time.Millisecond)
			children, err := s.Runs(t.Context(), knowngood.RunQuery{Parent: "r2"})
			must(t, err)
			if len(children) != 1 || children[0].ID != "r3" || children[0].Parent != "r2" || children[0].State != knowngood.RunSuccess {
				t.Errorf("%+v", children)
			}
		}},
		{"what comes while somebody looks is looked at after that", func(t *testing.T, open func() WorkStore) {
			s := open()
			must(t, s.CreateRun(t.Context(), of("r1")))
			far := time.Now().Add(time.Hour)
			looks := 0
			h := work(t, s, 1, nil, func(ctx context.Context, id string) error {
				looks++
				epoch, err := s.Acquire(ctx, id, "worker", time.Now(), time.Minute, nil)
				if err != nil {
					return err
				}
				if err := s.Append(ctx, id, epoch, entries(int64(looks), 1), knowngood.RunWaiting, "", &far); err != nil {
					return err
				}
				if looks == 1 { // decided after the worker looked, before it goes
					if err := s.PutApproval(ctx, knowngood.Approval{PlanHash: "hash-of-r1", By: "ann", Approved: true, Time: start}); err != nil {
						return err
					}
				}
				return s.Release(ctx, id, epoch)
			})
			h.next()
			h.next()
			h.quiet(200 * time.Millisecond)
		}},
		{"a run whose worker fails is tried again", func(t *testing.T, open func() WorkStore) {
			s := open()
			must(t, s.CreateRun(t.Context(), of("r1")))
			tries := 0
			h := work(t, s, 1, nil, func(ctx context.Context, id string) error {
				if tries++; tries < 2 {
					return errors.New("no")
				}
				return step(ctx, s, id, knowngood.RunSuccess, nil)
			})
			h.next()
			h.next()
		}},
		{"the lease of one that died runs out", func(t *testing.T, open func() WorkStore) {
			s := open()
			must(t, s.CreateRun(t.Context(), of("r1")))
			must(t, s.CreateRun(t.Context(), of("r2")))
			for _, c := range []struct{ id, owner string }{{"r1", "dead"}, {"r2", "alive"}} {
				epoch, err := s.Acquire(t.Context(), c.id, c.owner, time.Now(), time.Hour, nil)
				must(t, err)
				must(t, s.Append(t.Context(), c.id, epoch, entries(1, 1), knowngood.RunInProgress, "", nil))
			}
			h := work(t, open(), 2, func(owner string) bool { return owner == "dead" }, func(ctx context.Context, id string) error {
				return step(ctx, s, id, knowngood.RunSuccess, nil)
			})
			if id := h.next(); id != "r1" {
				t.Errorf("%s", id)
			}
			h.quiet(200 * time.Millisecond)
		}},
		{"what has ended is not due", func(t *testing.T, open func() WorkStore) {
			s := open()
			for i, state := range append(knowngood.EndedStates(), knowngood.RunOutcomeUnknown, knowngood.RunNeedsOperator) {
				id := fmt.Sprint("r", i)
				must(t, s.CreateRun(t.Context(), of(id)))
				must(t, step(t.Context(), s, id, state, nil))
			}
			work(t, s, 2, nil, func(context.Context, string) error { return nil }).quiet(200 * time.Millisecond)
		}},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, newDatabase(t)) })
	}
}

// eventually waits until something is so.
func eventually(t *testing.T, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come")
		}
	}
}
