package remedy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
)

// The faults that strike the first call of a step.
const (
	denied      = "denied"
	deniedAfter = "denied after the effect"
	internal    = "an internal error after the effect"
	lost        = "lost before the effect"
	lostAnswer  = "the answer is lost"
	throttled   = "throttled"
	notFound    = "not found"
)

// The moments of a kill beside afterEffect: those of a log write.
const (
	beforeWrite = "killed before the log write"
	afterWrite  = "killed after the log write"
)

// The kinds of step in a sweep, by the calls that it makes.
const (
	reads   = "reads"
	writes  = "writes"
	scripts = "scripts" // which read, and are not struck by faults of their own
)

// stepSeen is a step that a run went through; operation is that of its write.
type stepSeen struct{ path, calls, operation string }

// passage is how a run goes of which one step is denied for good, or none.
type passage struct {
	denied  string     // step, or ""
	steps   []stepSeen // that are tried, in order
	appends []string   // what each of its log writes ends with
	from    int        // the first log write that is tried
	end     runbook.EndResult
	state   string
	effects map[string]int
}

// pass carries the runbook out, with one step denied for good unless it is "".
func (s *swept) pass(t *testing.T, step string) *passage {
	t.Helper()
	w := s.world(t)
	plan := s.planOf(w, "run-1")
	w.SetStale(10 * time.Second)
	began, log := len(w.Calls()), &counted{RunLog: runbook.NewMemLog()}
	p := &passage{denied: step}
	var err error
	if p.end, err = s.executor(w, s.line(w, p), log).Run(t.Context(), plan, 0); err != nil {
		t.Fatalf("%s denied for good: %v", step, err)
	}
	p.state, p.effects = s.settled(w), effects(w, began)
	at := map[string]int{}
	for n, entries := range log.batches {
		last := entries[len(entries)-1]
		p.appends = append(p.appends, fmt.Sprintf("%d, %s %s", n+1, last.Kind, last.Step))
		for _, e := range entries {
			switch i, seen := at[e.Step]; {
			case e.Kind == knowngood.EntryStepStarted && !seen:
				at[e.Step] = len(p.steps)
				p.steps = append(p.steps, stepSeen{path: e.Step})
			case e.Kind == knowngood.EntryIntent:
				body, err := runbook.Decode[runbook.IntentBody](e)
				if err != nil {
					t.Fatal(err)
				}
				if !runbook.InPlan(body) {
					p.steps[i].calls = scripts
					break
				}
				p.steps[i].calls, p.steps[i].operation = writes, body.Service+":"+body.Operation
			case e.Kind == knowngood.EntryOutcome && p.steps[i].calls == "":
				p.steps[i].calls = reads
			}
			if e.Kind == knowngood.EntryStepEnded && e.Step == step {
				p.from = n
			}
		}
	}
	return p
}

// writing are the steps that write.
func (p *passage) writing() []stepSeen {
	return slices.DeleteFunc(slices.Clone(p.steps), func(s stepSeen) bool { return s.calls != writes })
}

// settled is how the estate looks once everything that was begun is over.
func (s *swept) settled(e *estate) string {
	e.SetStale(0)
	e.clock.Advance(10 * time.Minute)
	return s.look(e)
}

// counted is a log that keeps what was written to it at a time.
type counted struct {
	runbook.RunLog
	batches [][]knowngood.LogEntry
}

func (c *counted) Append(ctx context.Context, id string, epoch int64, entries []knowngood.LogEntry, state knowngood.RunState, message string, wake *time.Time) error {
	if len(entries) > 0 {
		c.batches = append(c.batches, slices.Clone(entries))
	}
	return c.RunLog.Append(ctx, id, epoch, entries, state, message, wake)
}

// fault is one case of a sweep.
type fault struct {
	*swept
	*passage
	kind string
	step string // that is struck
	nth  int    // log write, from 1
}

func (f fault) name() string {
	way, at := f.swept.name, f.step
	if f.denied != "" {
		way += "/" + f.denied + " denied for good"
	}
	if f.nth > 0 {
		at = f.appends[f.nth-1]
	}
	return way + "/" + at + "/" + f.kind
}

// faults are all cases of a runbook.
func (s *swept) faults(table Operations) []fault {
	var out []fault
	for _, p := range append([]*passage{s.onward}, s.back...) {
		for _, step := range p.steps {
			for _, kind := range map[string][]string{
				writes: {denied, deniedAfter, internal, lost, lostAnswer, afterEffect},
				reads:  {denied, throttled, notFound},
			}[step.calls] {
				// Where a service makes something and says that it did not, only its name,
				// which nobody was told, would lead to it.
				if by := table[step.operation].Settle; kind != deniedAfter || by != SettleToken && by != SettleTag {
					out = append(out, fault{s, p, kind, step.path, 0})
				}
			}
		}
		for n := p.from; n < len(p.appends); n++ {
			out = append(out, fault{s, p, beforeWrite, "", n + 1}, fault{s, p, afterWrite, "", n + 1})
		}
	}
	return out
}

// line is the network between a run and the estate. One step's first call is struck
// by a fault, all of another's are denied.
type line struct {
	awsapi.Caller
	denied      string
	step, fault string
	struck      bool
}

func (s *swept) line(e *estate, p *passage) *line {
	return &line{Caller: directly{e}, denied: p.denied}
}

func (l *line) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	step, _ := ctx.Value(stepKey{}).(string)
	refusal := &awsapi.Error{Code: "AccessDenied", Status: 403, Message: "not today", Service: service, Operation: operation}
	if step == l.denied && step != "" { // what is read before the run has none
		return nil, refusal
	}
	if step != l.step || l.fault == "" || l.struck {
		return l.Caller.Call(ctx, service, operation, in, opts...)
	}
	l.struck = true
	if l.fault == internal || l.fault == lostAnswer || l.fault == deniedAfter {
		if _, err := l.Caller.Call(ctx, service, operation, in, opts...); err != nil {
			return nil, err
		}
	}
	switch l.fault {
	case denied, deniedAfter:
		return nil, refusal
	case throttled:
		return nil, &awsapi.Error{Code: "RequestLimitExceeded", Status: 503, Message: "slow down", Retryable: true, Service: service, Operation: operation}
	case notFound:
		return nil, &awsapi.Error{Code: "ResourceNotFoundException", Status: 400, Message: "there is none", Service: service, Operation: operation}
	case internal:
		return nil, &awsapi.Error{Code: "InternalError", Status: 500, Message: "an internal error", Retryable: true, Service: service, Operation: operation}
	}
	return nil, &awsapi.Error{Code: "ConnectionCut", Message: "connection reset by peer", Retryable: true, Service: service, Operation: operation}
}

// mortal is a process that is killed before or after its nth log write. Once killed
// it neither writes to the log nor makes calls.
type mortal struct {
	runbook.RunLog
	awsapi.Caller
	nth, written int
	after        bool
	killed       bool
}

func (m *mortal) Append(ctx context.Context, id string, epoch int64, entries []knowngood.LogEntry, state knowngood.RunState, message string, wake *time.Time) error {
	if m.killed {
		return errKilled
	}
	if len(entries) > 0 {
		m.written++
	}
	if m.killed = m.written == m.nth; m.killed && !m.after {
		return errKilled
	}
	if err := m.RunLog.Append(ctx, id, epoch, entries, state, message, wake); err != nil || !m.killed {
		return err
	}
	return errKilled
}

func (m *mortal) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	if m.killed {
		return nil, errKilled
	}
	return m.Caller.Call(ctx, service, operation, in, opts...)
}

// try carries out one case.
func (f fault) try(t *testing.T, store sweepStore, run string) {
	e := f.world(t)
	plan := f.planOf(e, run)
	e.SetStale(10 * time.Second)
	began := len(e.Calls())
	if err := store.PutPlan(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	key := knowngood.ResourceKey{Account: e.Account(), Region: e.Region(), ID: run}
	epoch, err := store.StartRun(t.Context(), knowngood.Run{ID: run, PlanHash: plan.Hash, Document: plan.Document.SHA256, Resource: key, State: knowngood.RunPending, Created: f.at, Updated: f.at}, "first", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	var end runbook.EndResult
	switch l := f.line(e, f.passage); f.kind {
	case beforeWrite, afterWrite, afterEffect:
		if f.kind == afterEffect {
			first := &process{RunLog: store, Caller: l, step: f.step, point: f.kind}
			_, err = f.executor(e, first, first).Run(t.Context(), plan, epoch)
		} else {
			first := &mortal{RunLog: store, Caller: l, nth: f.nth, after: f.kind == afterWrite}
			_, err = f.executor(e, first, first).Run(t.Context(), plan, epoch)
		}
		if !errors.Is(err, errKilled) {
			t.Fatalf("the process was not killed: %v", err)
		}
		if epoch, err = store.Acquire(t.Context(), run, "second", time.Now(), time.Hour, func(owner string) bool { return owner == "first" }); err != nil {
			t.Fatal(err)
		}
		end, err = f.executor(e, l, store).Run(t.Context(), plan, epoch)
	default:
		l.step, l.fault = f.step, f.kind
		end, err = f.executor(e, l, store).Run(t.Context(), plan, epoch)
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
	now := f.settled(e)
	f.judge(t, f.swept, end, now, f.kind, f.step)
	f.onlyOnce(t, e, store, run, began)
	if end.State != knowngood.RunSuccess && now == f.before {
		d, err := runbook.Parse(plan.Document.Name, []byte(plan.Document.Content))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.executor(e, directly{e}, store).checkPreconditions(t.Context(), d, plan); err != nil {
			t.Errorf("what the plan rests on is not as it was: %v", err)
		}
	}
}

// failing are the faults after which a step has failed; after any other, the run
// goes on as if there had been none.
var failing = []string{denied, deniedAfter, throttled, notFound}

// judge says how a run of the passage must have ended after a fault of a step.
func (p *passage) judge(t *testing.T, s *swept, end runbook.EndResult, state, kind, step string) {
	t.Helper()
	failed := p.end.FailedStep
	if failed == "" && end.State != knowngood.RunSuccess && slices.Contains(failing, kind) {
		failed = step
	}
	switch {
	case end.State == knowngood.RunOutcomeUnknown && p.forPerson(operations(t), end.FailedStep) && (state == s.before || state == s.after):
	case !slices.Contains(failing, kind) && (end.State != p.end.State || state != p.state):
		t.Errorf("it ended as %+v, with the state %s; without the fault as %+v, with %s", end, state, p.end, p.state)
	case end.State == knowngood.RunSuccess && state != s.after:
		t.Errorf("success, and the state is %s, intended is %s", state, s.after)
	case end.State != knowngood.RunSuccess && end.FailedStep != failed:
		t.Errorf("%s failed, it names %s: %s", failed, end.FailedStep, end.Message)
	case state != s.after && state != s.before:
		t.Errorf("%s denied for good: %s\nthe state is neither that before the run nor the intended one:\n%s\nbefore: %s\nafter:  %s", p.denied, end.Message, state, s.before, s.after)
	}
}

// forPerson says whether nothing tells what became of a step's write, so that a run
// may end there for a person to look.
func (p *passage) forPerson(table Operations, step string) bool {
	return slices.ContainsFunc(p.steps, func(s stepSeen) bool { return s.path == step && table[s.operation].Settle == SettlePerson })
}

// onlyOnce says that a run's log is gapless, that each of its steps has one
// intent for each attempt, and, where the fault made no step fail, that no write
// took effect more often than without it: but for those that are absolute, of which
// a repeat changes nothing.
func (f fault) onlyOnce(t *testing.T, e *estate, store sweepStore, run string, began int) {
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
	if slices.Contains(failing, f.kind) {
		return
	}
	table := operations(t)
	for name, n := range effects(e, began) {
		if most := f.effects[name]; n > most && table[name].Settle != SettleNatural {
			t.Errorf("%s took effect %d times, it should %d", name, n, most)
		}
	}
}
