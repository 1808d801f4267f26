package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/remedy"
	"github.com/knowngood/knowngood/internal/store/postgres"
	"github.com/knowngood/knowngood/internal/store/sqlite"
)

// queue is a store to which runs can be given.
type queue interface {
	runLogs
	CreateRun(ctx context.Context, r knowngood.Run) error
	Plan(ctx context.Context, hash string) (json.RawMessage, error)
	Close() error
}

// Three workers share a store and are killed again and again: one at a random moment,
// and all while a write is on its way or its answer is. Others take their runs over:
// at the end each effect is there exactly once, and each log is whole.
//
// KNOWNGOOD_KILLS=RUNS makes it as many runs, with 10 such rounds and two writes each.
func TestWorkersThatAreKilledDoNothingTwice(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]func(t *testing.T, dir string) (args []string, store queue){
		"sqlite": func(t *testing.T, dir string) ([]string, queue) {
			store, err := sqlite.Open(t.Context(), filepath.Join(dir, "state", "knowngood.db"))
			if err != nil {
				t.Fatal(err)
			}
			return []string{"--state", filepath.Join(dir, "state")}, store
		},
		"postgres": func(t *testing.T, _ string) ([]string, queue) {
			url := server(t).Database(t)
			store, err := postgres.Open(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			return []string{"--store", url}, store
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEstate(t)
			args, store := at(t, e.dir)
			defer store.Close()
			e.killWorkers(args, store)
		})
	}
}

func (e *estate) killWorkers(at []string, store queue) {
	t := e.t
	runs, rounds, book, writes := 30, 2, fleetBook, []string{"CreateVolume"}
	if n, err := strconv.Atoi(os.Getenv("KNOWNGOOD_KILLS")); err == nil && n > 0 {
		runs, rounds, book, writes = n, 10, fleetBook+fleetBookSnapshot, append(writes, "CreateSnapshot")
	}
	e.queueFleet(at, store, book, runs)
	random := rand.New(rand.NewPCG(3, 4))
	var workers []*process
	begin := func() {
		workers = append(workers, start(t, e.env, append([]string{"runs", "work", "--concurrency", "4"}, at...)...))
	}
	answers, cut := 0, 0
	for k := range rounds {
		e.wire.mu.Lock()
		operation := writes[k%len(writes)]
		nth := max(k*runs/rounds+1+random.IntN(runs/rounds), e.wire.seen[operation]+1)
		e.wire.mu.Unlock()
		after := k%2 == 0
		if after {
			answers++
		}
		held, _ := e.wire.hold(operation, nth, after)
		for range 3 {
			begin()
		}
		// One dies while they begin, or soon after: another takes its place.
		time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
		workers[random.IntN(len(workers))].kill()
		begin()
		select {
		case <-held:
		case <-time.After(2 * time.Minute):
			t.Fatalf("the write %d of %s does not come\n%s", nth, operation, &workers[0].errs)
		}
		for _, w := range workers {
			w.kill()
		}
		workers = nil
		cut += underWay(t, store)
	}
	for range 3 {
		begin()
	}
	for end := time.Now().Add(5 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		left, err := store.Runs(t.Context(), knowngood.RunQuery{States: []knowngood.RunState{knowngood.RunPending, knowngood.RunInProgress, knowngood.RunWaiting}})
		if err != nil {
			t.Fatal(err)
		}
		if len(left) == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d runs don't end, %s for one: %s %s\n%s", len(left), left[0].ID, left[0].State, left[0].Message, &workers[0].errs)
		}
	}
	e.eachOnce(runs, writes)
	allWhole(t, store, runs, len(writes))
	t.Logf("%d runs of %d writes, three workers, %d kills of all of them, %d between effect and answer, and %d of one: %d writes were cut short; %d effects, each once, %d logs without a gap",
		runs, len(writes), rounds, answers, rounds, cut, runs*len(writes), runs)
}

// queueFleet plans a runbook for as many targets, and queues their runs.
func (e *estate) queueFleet(at []string, store queue, book string, runs int) {
	t := e.t
	t.Helper()
	file, plan := filepath.Join(e.dir, "fleet.yaml"), filepath.Join(e.dir, "fleet.json")
	if err := os.WriteFile(file, []byte(book), 0o600); err != nil {
		t.Fatal(err)
	}
	names := make([]string, runs)
	for i := range names {
		names[i] = fmt.Sprintf("t%04d", i)
	}
	start(t, e.env, append([]string{"run", file, "--targets", "Key=ParameterValues,Values=" + strings.Join(names, ","), "--target-parameter-name", "Name",
		"--plan", "-o", plan}, at...)...).ends(0)
	raw, err := os.ReadFile(plan)
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := remedy.DecodeFleet(plan, raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range fleet.Targets {
		raw, err := store.Plan(t.Context(), target.Plan)
		if err != nil {
			t.Fatal(err)
		}
		p, err := remedy.DecodePlan(target.RunID, raw)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		if err := store.CreateRun(t.Context(), knowngood.Run{ID: p.RunID, PlanHash: p.Hash, Document: p.Document.SHA256, Resource: p.Resource, State: knowngood.RunPending, Created: now, Updated: now}); err != nil {
			t.Fatal(err)
		}
	}
}
