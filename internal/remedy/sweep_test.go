package remedy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	jmespath "github.com/jmespath-community/go-jmespath"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/sandbox"
	"github.com/knowngood/knowngood/internal/store/pgtest"
	"github.com/knowngood/knowngood/internal/store/postgres"
	"github.com/knowngood/knowngood/internal/store/sqlite"
	"github.com/knowngood/knowngood/library"
)

var server func(testing.TB) *pgtest.Server

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m, &server)) }

// sweepStore is what a store is for a run.
type sweepStore interface {
	runbook.RunLog
	PutPlan(ctx context.Context, plan *knowngood.Plan) error
	StartRun(ctx context.Context, r knowngood.Run, owner string, now time.Time, ttl time.Duration) (epoch int64, err error)
	Acquire(ctx context.Context, runID, owner string, now time.Time, ttl time.Duration, dead func(owner string) bool) (epoch int64, err error)
	Release(ctx context.Context, runID string, epoch int64) error
}

// look is a view of the estate: a test's state, without what it must be.
type look struct {
	Call  string         `yaml:"call"`
	Input map[string]any `yaml:"input"`
	Find  string         `yaml:"find"`
}

// swept is a runbook in an estate of its own, by the first offline test that runs
// it by name: the estate as it was before the run, the writes, and how the test's
// views of the estate look before the run and after one in which nothing fails.
type swept struct {
	name          string
	estate        []byte // a snapshot
	at            time.Time
	with          map[string]any // parameters
	writes        []knowngood.Call
	looks         []look
	before, after string
	effects       map[string]int
}

// newSwept reads a runbook's offline test and carries it out once.
func newSwept(t *testing.T, name string) *swept {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "library", "tests", name+".test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Tests []struct {
			Given struct {
				Scenario string `yaml:"scenario"`
				Calls    []any  `yaml:"calls"`
			} `yaml:"given"`
			When []struct {
				Run  string         `yaml:"run"`
				With map[string]any `yaml:"with"`
			} `yaml:"when"`
			Then struct {
				Run   string `yaml:"run"`
				State []look `yaml:"state"`
			} `yaml:"then"`
		} `yaml:"tests"`
	}
	if err := yaml.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	for _, test := range file.Tests {
		if len(test.When) == 0 || test.When[0].Run != name || test.Then.Run != string(knowngood.RunSuccess) || len(test.Then.State) == 0 {
			continue
		}
		e := newEstate(t)
		if s := test.Given.Scenario; s != "" {
			scenario, err := fs.ReadFile(library.FS, "scenarios/"+s+".yaml")
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Load(t.Context(), s, scenario); err != nil {
				t.Fatal(err)
			}
		}
		answers := map[string]any{}
		if len(test.Given.Calls) > 0 {
			calls, err := yaml.Marshal(map[string]any{"calls": test.Given.Calls})
			if err != nil {
				t.Fatal(err)
			}
			if answers, err = e.LoadNamed(t.Context(), name, calls); err != nil {
				t.Fatal(err)
			}
		}
		e.clock.Advance(time.Minute) // so that no read is too stale for what is there
		return sweep(t, e, name, test.When[0].With, test.Then.State, answers)
	}
	t.Fatalf("no test of %s runs it by name to its success, and says what the state is then", name)
	return nil
}

func sweep(t *testing.T, e *estate, name string, with map[string]any, looks []look, answers map[string]any) *swept {
	t.Helper()
	params, err := sandbox.Resolve(with, answers)
	if err != nil {
		t.Fatal(err)
	}
	in, _ := params.(map[string]any)
	s := &swept{name: name, at: e.clock.Now(), with: in, looks: looks}
	for i, l := range looks {
		input, err := sandbox.Resolve(l.Input, answers)
		if err != nil {
			t.Fatal(err)
		}
		s.looks[i].Input, _ = input.(map[string]any)
	}
	if s.estate, err = e.Snapshot(); err != nil {
		t.Fatal(err)
	}
	w := s.world(t)
	s.before = s.look(w)
	plan := s.planOf(w, "run-1")
	for _, c := range plan.Parts[0].Calls {
		if c.Class == knowngood.Write {
			s.writes = append(s.writes, c)
		}
	}
	began := len(w.Calls())
	if end, err := s.executor(w, directly{w}, runbook.NewMemLog()).Run(t.Context(), plan, 0); err != nil || end.State != knowngood.RunSuccess {
		t.Fatalf("%+v, %v", end, err)
	}
	w.clock.Advance(time.Minute)
	s.after = s.look(w)
	s.effects = effects(w, began)
	if s.before == s.after {
		t.Fatalf("the test's state does not tell before from after: %s", s.before)
	}
	return s
}

// world is the estate as it was before the run.
func (s *swept) world(t *testing.T) *estate {
	t.Helper()
	catalog, err := awsapi.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	clock := sandbox.NewClock(s.at)
	box, err := sandbox.Restore(sandbox.Options{Catalog: catalog, Clock: clock}, s.estate)
	if err != nil {
		t.Fatal(err)
	}
	return &estate{box, t, clock, catalog}
}

// planOf is the plan of a run of its own: tokens and marks are made of the run's
// id.
func (s *swept) planOf(e *estate, run string) *knowngood.Plan {
	e.t.Helper()
	plan, err := e.planAs(run, s.name, s.with, s.name)
	if err != nil {
		e.t.Fatal(err)
	}
	if len(plan.Incomplete) > 0 {
		e.t.Errorf("the plan is incomplete: %v", plan.Incomplete)
	}
	return plan
}

// executor runs plans; who is asked for an approval gives it.
func (s *swept) executor(e *estate, caller awsapi.Caller, log runbook.RunLog) *Executor {
	x := e.executor(log)
	x.Caller = caller
	x.Decisions = func(context.Context, runbook.ApproveRequest) ([]knowngood.Approval, error) {
		return []knowngood.Approval{{By: "test", Approved: true, Time: e.clock.Now()}}, nil
	}
	return x
}

// look gives what the test's state finds in an estate.
func (s *swept) look(e *estate) string {
	e.t.Helper()
	var found []string
	for _, l := range s.looks {
		service, operation, _ := strings.Cut(l.Call, ":")
		op, err := e.catalog.Operation(service, operation)
		if err != nil {
			e.t.Fatal(err)
		}
		input, err := op.Coerce(l.Input)
		if err != nil {
			e.t.Fatal(err)
		}
		var v any
		out, err := e.Call(e.t.Context(), sandbox.Request{Service: service, Operation: operation, AccessKeyID: sandbox.OperatorKey, Input: input})
		var refused *awsapi.Error
		switch {
		case errors.As(err, &refused):
			v = refused.Code // of what is not there
		case err != nil:
			e.t.Fatal(err)
		default:
			if v, err = jmespath.Search(l.Find, searchable(out)); err != nil {
				e.t.Fatal(err)
			}
		}
		found = append(found, l.Call+" "+text(v))
	}
	return strings.Join(found, "; ")
}

// effects counts the writes that took effect since a call, by operation and
// input. A repeat with the same client token makes nothing.
func effects(e *estate, began int) map[string]int {
	out, seen := map[string]int{}, map[string]bool{}
	for _, c := range e.Calls()[began:] {
		op, err := e.catalog.Operation(c.Service, c.Operation)
		if err != nil || op.Class() != awsapi.Write || c.Error != "" {
			continue
		}
		key := c.Service + ":" + c.Operation
		if token, _ := c.Input["ClientToken"].(string); token != "" && seen[key+token] {
			continue
		} else if token != "" {
			seen[key+token] = true
		}
		out[key]++
	}
	return out
}

// The faults of a write.
const (
	denied     = "denied"
	internal   = "an internal error after the effect"
	lost       = "lost before the effect"
	lostAnswer = "the answer is lost"
)

// line is the network between a run and the estate: the first call of one step is
// struck by a fault.
type line struct {
	awsapi.Caller
	step, fault string
	struck      bool
}

func (l *line) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	step, _ := ctx.Value(stepKey{}).(string)
	if step != l.step || l.struck {
		return l.Caller.Call(ctx, service, operation, in, opts...)
	}
	l.struck = true
	if l.fault == internal || l.fault == lostAnswer {
		if _, err := l.Caller.Call(ctx, service, operation, in, opts...); err != nil {
			return nil, err
		}
	}
	switch l.fault {
	case denied:
		return nil, &awsapi.Error{Code: "AccessDenied", Status: 403, Message: "not today", Service: service, Operation: operation}
	case internal:
		return nil, &awsapi.Error{Code: "InternalError", Status: 500, Message: "an internal error", Retryable: true, Service: service, Operation: operation}
	}
	return nil, &awsapi.Error{Code: "ConnectionCut", Message: "connection reset by peer", Retryable: true, Service: service, Operation: operation}
}

// Every runbook of the library, at each of its writes: denied, lost, answered by an
// error or not at all after its effect, and the process killed before and after its log writes and the write's effect,
// while reads are stale for 10 s. The failure names the step; a run that goes on
// does so at the right step and does nothing twice; and in the end everything is
// as it was before the run, or as intended.
func TestFaultSweep(t *testing.T) {
	files, err := fs.Glob(library.FS, "runbooks/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var books []*swept
	for _, f := range files {
		name := strings.TrimSuffix(path.Base(f), ".yaml")
		t.Run("reference "+name, func(t *testing.T) { books = append(books, newSwept(t, name)) })
	}
	if t.Failed() {
		return
	}
	for store, open := range map[string]func(t *testing.T) sweepStore{
		"sqlite": func(t *testing.T) sweepStore {
			s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "knowngood.db"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s
		},
		"postgres": func(t *testing.T) sweepStore {
			s, err := postgres.Open(t.Context(), server(t).Database(t))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s
		},
	} {
		t.Run(store, func(t *testing.T) {
			log, cases, steps := open(t), 0, 0
			for _, s := range books {
				steps += len(s.writes)
				for _, w := range s.writes {
					for _, fault := range []string{denied, internal, lost, lostAnswer, beforeIntent, afterIntent, afterEffect, afterAnswer} {
						cases++
						run := fmt.Sprintf("run-%s-%d", store, cases)
						t.Run(s.name+"/"+w.Step+"/"+fault, func(t *testing.T) { s.try(t, log, run, w, fault) })
					}
				}
			}
			t.Logf("%d runbooks, %d writes, %d faults each: %d cases", len(books), steps, cases/max(steps, 1), cases)
		})
	}
}

// try carries out one case.
func (s *swept) try(t *testing.T, store sweepStore, run string, w knowngood.Call, fault string) {
	e := s.world(t)
	plan := s.planOf(e, run)
	e.SetStale(10 * time.Second)
	began := len(e.Calls())
	if err := store.PutPlan(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	key := knowngood.ResourceKey{Account: e.Account(), Region: e.Region(), ID: run}
	epoch, err := store.StartRun(t.Context(), knowngood.Run{ID: run, PlanHash: plan.Hash, Document: plan.Document.SHA256, Resource: key, State: knowngood.RunPending, Created: s.at, Updated: s.at}, "first", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	kill := slices.Contains([]string{beforeIntent, afterIntent, afterEffect, afterAnswer}, fault)
	var end runbook.EndResult
	if kill {
		first := &process{RunLog: store, Caller: directly{e}, step: w.Step, point: fault}
		if _, err := s.executor(e, first, first).Run(t.Context(), plan, epoch); !errors.Is(err, errKilled) {
			t.Fatalf("the process was not killed: %v", err)
		}
		if epoch, err = store.Acquire(t.Context(), run, "second", time.Now(), time.Hour, func(owner string) bool { return owner == "first" }); err != nil {
			t.Fatal(err)
		}
		end, err = s.executor(e, directly{e}, store).Run(t.Context(), plan, epoch)
	} else {
		l := &line{Caller: directly{e}, step: w.Step, fault: fault}
		end, err = s.executor(e, l, store).Run(t.Context(), plan, epoch)
		if !l.struck {
			t.Fatal("the fault struck nothing")
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Release(t.Context(), run, epoch); err != nil {
		t.Fatal(err)
	}
	e.SetStale(0)
	e.clock.Advance(10 * time.Minute)
	now := s.look(e)
	switch {
	case fault != denied && end.State != knowngood.RunSuccess:
		t.Errorf("the run could have gone on: %+v", end)
	case end.State == knowngood.RunSuccess && now != s.after:
		t.Errorf("success, and the state is %s, intended is %s", now, s.after)
	case end.State != knowngood.RunSuccess && end.FailedStep != w.Step:
		t.Errorf("it failed in %s: %s", end.FailedStep, end.Message)
	case now != s.after && now != s.before:
		t.Errorf("the state is neither that before the run nor the intended one:\n%s\nbefore: %s\nafter:  %s", now, s.before, s.after)
	}
	s.onlyOnce(t, e, store, run, end, began)
	if end.State != knowngood.RunSuccess && now == s.before && now != s.after {
		d, err := runbook.Parse(plan.Document.Name, []byte(plan.Document.Content))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.executor(e, directly{e}, store).checkPreconditions(t.Context(), d, plan); err != nil {
			t.Errorf("what the plan rests on is not as it was: %v", err)
		}
	}
}

// onlyOnce says that a run's log is gapless, that each of its steps has one
// intent for each attempt, and, of one that succeeded, that no write took effect
// more often than in a run in which nothing fails: but for those that are
// absolute, of which a repeat changes nothing.
func (s *swept) onlyOnce(t *testing.T, e *estate, store sweepStore, run string, end runbook.EndResult, began int) {
	t.Helper()
	entries, err := store.Entries(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	intents := map[string]int{}
	for n, entry := range entries {
		if entry.Seq != int64(n+1) {
			t.Fatalf("entry %d has the number %d", n+1, entry.Seq)
		}
		if entry.Kind == knowngood.EntryIntent {
			intents[fmt.Sprint(entry.Step, " ", entry.Attempt)]++
		}
	}
	for step, n := range intents {
		if n != 1 {
			t.Errorf("%s has %d intents", step, n)
		}
	}
	if end.State != knowngood.RunSuccess {
		return
	}
	table := operations(t)
	for name, n := range effects(e, began) {
		if most := s.effects[name]; n > most && table[name].Settle != SettleNatural {
			t.Errorf("%s took effect %d times, it should %d", name, n, most)
		}
	}
}
