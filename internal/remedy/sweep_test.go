package remedy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	jmespath "github.com/jmespath-community/go-jmespath"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/sandbox"
	"github.com/knowngood/knowngood/internal/script"
	"github.com/knowngood/knowngood/internal/store/pgtest"
	"github.com/knowngood/knowngood/internal/store/postgres"
	"github.com/knowngood/knowngood/internal/store/sqlite"
	"github.com/knowngood/knowngood/library"
)

var server func(testing.TB) *pgtest.Server

func TestMain(m *testing.M) {
	script.Init()
	os.Exit(pgtest.Main(m, &server))
}

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
// it by name: the estate as it was before the run, and how the test's views of the
// estate look before the run and after one in which nothing fails.
type swept struct {
	name          string
	estate        []byte // a snapshot
	at            time.Time
	with          map[string]any // parameters
	looks         []look
	scripts       *remembered
	before, after string
	onward        *passage   // in which nothing fails
	back          []*passage // that go through the steps which only a failure leads to
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
	s := &swept{name: name, at: e.clock.Now(), with: in, looks: looks, scripts: newRemembered(t, e, name)}
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
	s.before = s.look(s.world(t))
	s.onward = s.pass(t, "")
	if s.after = s.onward.state; s.onward.end.State != knowngood.RunSuccess {
		t.Fatalf("%+v", s.onward.end)
	}
	if s.before == s.after {
		t.Fatalf("the test's state does not tell before from after: %s", s.before)
	}
	s.findBack(t)
	return s
}

// findBack denies each step in turn for good. It keeps so many of these passages
// that each step which only a failure leads to is in one: the latest, for then most
// has to be put back.
func (s *swept) findBack(t *testing.T) {
	known := map[string]bool{}
	for _, step := range s.onward.steps {
		known[step.path] = true
	}
	for _, step := range slices.Backward(s.onward.steps) {
		if step.calls == "" || step.calls == scripts {
			continue
		}
		p := s.pass(t, step.path)
		// What a run can do without may be left undone; it is named.
		if p.end.State != knowngood.RunSuccess || !strings.Contains(p.end.Message, step.path) {
			p.judge(t, s, p.end, p.state, denied, step.path)
		}
		p.steps = slices.DeleteFunc(p.steps, func(at stepSeen) bool { return known[at.path] })
		if len(p.steps) == 0 {
			continue
		}
		for _, step := range p.steps {
			known[step.path] = true
		}
		s.back = append(s.back, p)
	}
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
	return &estate{box, t, clock, catalog, s.scripts}
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

func sum(of iter.Seq[int]) (n int) {
	for v := range of {
		n += v
	}
	return n
}

// Every runbook of the library, at each of its steps, on the way on and on the way
// back: a write is denied before or after its effect, lost, answered by an error or
// not at all; a read is denied, throttled, or finds nothing; and the process is
// killed before and after each of its log writes and after each write's effect; all
// this while reads are stale for 10 s. The failure names the step; a run that goes
// on does so at the right step and does nothing twice; one that can't know what a write
// did stops for a person; and in the end everything is as it was before the run, or
// as intended.
//
// Each store has half of the cases, and of the kills at a log write a tenth; with
// KNOWNGOOD_SWEEP=1 each has all.
func TestFaultSweep(t *testing.T) {
	files, err := fs.Glob(library.FS, "runbooks/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var cases []fault
	for _, f := range files {
		name := strings.TrimSuffix(path.Base(f), ".yaml")
		t.Run("reference "+name, func(t *testing.T) { cases = append(cases, newSwept(t, name).faults(operations(t))...) })
	}
	if t.Failed() {
		return
	}
	all := os.Getenv("KNOWNGOOD_SWEEP") != ""
	for n, open := range []func(t *testing.T) sweepStore{
		func(t *testing.T) sweepStore {
			s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "knowngood.db"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s
		},
		func(t *testing.T) sweepStore {
			s, err := postgres.Open(t.Context(), server(t).Database(t))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s
		},
	} {
		t.Run([]string{"sqlite", "postgres"}[n], func(t *testing.T) {
			store, tried := open(t), map[string]int{}
			var under sync.WaitGroup
			slots := make(chan struct{}, 8) // a case waits for the disk most of the time
			for i, f := range cases {
				if some := i%2 == n && (f.nth == 0 || i%5 == 0); !some && !all {
					continue
				}
				tried[f.kind]++
				slots <- struct{}{}
				under.Go(func() {
					defer func() { <-slots }()
					t.Run(f.name(), func(t *testing.T) { f.try(t, store, fmt.Sprintf("run-%d", i)) })
				})
			}
			under.Wait()
			t.Logf("%d runbooks, %d of %d cases: %v", len(files), sum(maps.Values(tried)), len(cases), tried)
		})
	}
}
