package runbook

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/knowngood/knowngood"
)

// A step's path is its name, and for a step inside a loop the loop's path, the
// iteration in brackets, a slash and the name: "Loop[2]/Step".

// StepName is the name of the step with a path.
func StepName(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// round is the path of a loop's iteration, in which its steps' paths begin.
func round(path string, iteration int) string { return path + "[" + strconv.Itoa(iteration) + "]" }

// Compare orders the paths of two steps by when their turn comes where nothing
// jumps: by the document's order, and iteration by iteration.
func (d *Document) Compare(a, b string) int {
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	for i := range min(len(as), len(bs)) {
		an, ai := splitRound(as[i])
		bn, bi := splitRound(bs[i])
		if c := d.number(an) - d.number(bn); c != 0 {
			return c
		}
		if ai != bi {
			return ai - bi
		}
	}
	return len(as) - len(bs)
}

func (d *Document) number(name string) int {
	if i, ok := d.index[name]; ok {
		return i
	}
	return -1
}

// splitRound takes "Loop[2]" apart.
func splitRound(s string) (name string, iteration int) {
	name, rest, ok := strings.Cut(s, "[")
	if !ok {
		return s, 0
	}
	iteration, err := strconv.Atoi(strings.TrimSuffix(rest, "]"))
	if err != nil {
		return s, 0
	}
	return name, iteration
}

// path is that of a step that comes next.
func (m *machine) path(name string) string {
	if f := m.top(); f != nil {
		return round(f.path, f.iteration) + "/" + name
	}
	return name
}

// top is the innermost loop under way, or nil.
func (m *machine) top() *frame {
	if len(m.frames) == 0 {
		return nil
	}
	return &m.frames[len(m.frames)-1]
}

// iteration takes the entry with which a loop begins a round.
func (m *machine) iteration(e knowngood.LogEntry) error {
	b, err := Decode[IterationBody](e)
	if err != nil {
		return err
	}
	first := m.step != nil && m.step.body != nil && e.Step == m.at && e.Attempt == m.attempt
	f := m.top()
	again := m.step == nil && f != nil && f.path == e.Step && f.attempt == e.Attempt && f.leaving == nil && m.upcoming == End
	switch {
	case m.ended != nil:
		return fmt.Errorf("the run has ended")
	case first && b.Iteration == 1:
		m.frames = append(slices.Clip(m.frames), frame{step: m.step, path: m.at, begun: m.begun, attempt: m.attempt, started: m.started, iteration: 1})
		m.step = nil
	case again && b.Iteration == f.iteration+1:
		f.iteration++
	default:
		return fmt.Errorf("the iteration %d can't begin", b.Iteration)
	}
	f = m.top()
	m.upcoming = f.step.body[0].Name
	now := map[string]any{currentIteration: int64(b.Iteration)}
	if b.Value != nil {
		now[currentValue] = b.Value
	}
	m.outputs[f.step.Name] = now
	return nil
}

// loopEnded takes the end of the innermost loop under way.
func (m *machine) loopEnded(e knowngood.LogEntry) error {
	b, err := Decode[StepEndedBody](e)
	if err != nil {
		return err
	}
	up, inside := m.outer()
	next := up.reachable(b.NextStep) || inside != nil && inside.next == b.NextStep
	if !next {
		return fmt.Errorf("the step %q can't come next", b.NextStep)
	}
	*m = up
	return m.ends(e, b, inside)
}

// outer is the machine with the innermost loop as the step under way, and how a
// step inside ended it, or nil.
func (m *machine) outer() (machine, *leaving) {
	up, f := *m, *m.top()
	up.frames = slices.Clone(m.frames[:len(m.frames)-1])
	up.step, up.at, up.attempt, up.started, up.begun = f.step, f.path, f.attempt, f.started, f.begun
	up.intent, up.outcomes, up.waiting, up.decision = nil, nil, nil, nil
	up.waited, up.retrying, up.reason = false, false, ""
	return up, f.leaving
}

// leaves says how the end of a step inside a loop ends the loop, nil when the
// loop goes on. inside is how the step, a loop itself, was ended from inside.
func (m *machine) leaves(s *Step, b StepEndedBody, inside *leaving) *leaving {
	next, ok := m.doc.Step(b.NextStep)
	if ok && next.parent == s.parent {
		return nil // a way inside the loop
	}
	if b.Status == StepSuccess || m.continues(s, b.Status, b.Failure) && b.NextStep == s.following {
		if !ok {
			return nil // the end of the round
		}
		return &leaving{status: StepSuccess, by: m.at, next: b.NextStep}
	}
	l := &leaving{status: b.Status, by: m.at, next: b.NextStep}
	_, explicit := s.keys["onFailure"]
	l.abort = explicit || inside != nil && inside.abort
	if b.Failure != nil {
		l.code, l.drift = b.Failure.Code, b.Failure.Drift
	}
	if inside != nil {
		l.by = inside.by
	}
	return l
}

// leave ends the innermost loop as a step inside has decided, by going to a step
// outside or by its failure. That step's onFailure is the loop's too; where it has
// none, the loop's own applies.
func (m *machine) leave() (Next, error) {
	up, l := m.outer()
	n := Next{Step: up.at, Attempt: up.attempt}
	if l.status == StepSuccess {
		return up.entry(n, knowngood.EntryStepEnded, StepEndedBody{Status: StepSuccess, NextStep: l.next, Recovery: m.recovery})
	}
	f := &Failure{Message: fmt.Sprintf("step %s %s", l.by, strings.TrimSuffix(strings.TrimSpace(statusText[l.status]), ":")), Code: l.code, Drift: l.drift}
	if l.next == End && !l.abort && l.status != StepCancelled {
		return up.end(n, l.status, f)
	}
	return up.entry(n, knowngood.EntryStepEnded, StepEndedBody{Status: l.status, Failure: f, NextStep: l.next, Recovery: m.recovery})
}

var statusText = map[StepStatus]string{StepFailed: "failed", StepTimedOut: "timed out", StepCancelled: "was cancelled"}

// overdue says whether the time of a loop under way is over.
func (m *machine) overdue() (bool, error) {
	t := &turn{}
	if err := m.loopsDue(t); err != nil {
		return false, err
	}
	return !t.due.IsZero() && !m.now.Before(t.due), nil
}

// overrun ends the innermost loop, whose time is over, or an outer one's.
func (m *machine) overrun(err error) (Next, error) {
	up, _ := m.outer()
	n := Next{Step: up.at, Attempt: up.attempt}
	if err != nil {
		return up.end(n, StepFailed, &Failure{Message: err.Error()})
	}
	return up.end(n, StepTimedOut, &Failure{Message: fmt.Sprintf("the loop's time is over in iteration %d", m.top().iteration)})
}

// loopsDue gives a turn the time limits of the loops around it.
func (m *machine) loopsDue(t *turn) error {
	for i := range m.frames {
		up := machine{doc: m.doc, step: m.frames[i].step}
		limit, err := up.timeLimit(m.scope())
		if err != nil {
			return err
		}
		if due := m.frames[i].started.Add(limit); limit > 0 && (t.due.IsZero() || due.Before(t.due)) {
			t.due = due
		}
	}
	return nil
}

// round begins the innermost loop's next iteration, or ends the loop.
func (m *machine) round() (Next, error) {
	f := m.top()
	up, _ := m.outer()
	n := Next{Step: f.path, Attempt: f.attempt}
	values, most, err := loopPlan(f.step, f.begun)
	if err != nil {
		return up.end(n, StepFailed, &Failure{Message: err.Error()})
	}
	if f.step.condition == nil {
		if f.iteration >= min(len(values), most) {
			return up.succeed(n, &StepEndedBody{})
		}
		return up.entry(n, knowngood.EntryIteration, IterationBody{Iteration: f.iteration + 1, Value: values[f.iteration]})
	}
	if f.iteration >= most {
		return up.succeed(n, &StepEndedBody{})
	}
	resolved, err := m.scope().resolve(f.step.condition)
	if err != nil {
		return up.end(n, StepFailed, &Failure{Message: "LoopCondition: " + err.Error()})
	}
	c, _ := resolved.(map[string]any)
	again, err := condition(c)
	decision := &BranchDecision{Chosen: End, Arms: []string{round(f.path, f.iteration+1), End}, Uses: unique(f.step.condition.refs(nil))}
	if err != nil {
		failed, err := up.end(n, StepFailed, &Failure{Message: "LoopCondition: " + err.Error()})
		failed.Kind, failed.Branch = NextBranch, decision
		return failed, err
	}
	n.Kind, n.Branch = NextBranch, decision
	if again {
		n.Branch.Chosen = n.Branch.Arms[0]
	}
	return n, nil
}

// takeRound is TakeBranch for a loop with a condition.
func takeRound(s *Step, path string, attempt int, arm string) (knowngood.LogEntry, error) {
	if arm == End {
		return Encode(knowngood.EntryStepEnded, path, attempt, StepEndedBody{Status: StepSuccess, NextStep: s.following})
	}
	rest, ok := strings.CutPrefix(arm, path)
	if _, i := splitRound("x" + rest); ok && i > 1 {
		return Encode(knowngood.EntryIteration, path, attempt, IterationBody{Iteration: i})
	}
	return knowngood.LogEntry{}, fmt.Errorf("step %s can't go to %q", path, arm)
}
