package runbook

import (
	"fmt"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
)

// NextKind is what a run does next.
type NextKind uint8

// The kinds of Next.
const (
	// NextAppend: Entries are facts; append them and ask again.
	NextAppend NextKind = iota + 1
	// NextCall: make Call and append its outcome. When Intent is set the log
	// has the call's intent and no outcome: find out first what became of it.
	NextCall
	// NextBranch: append what TakeBranch makes of Branch.Chosen; or Entries, where
	// there are any: then a condition can't be evaluated, and the step fails. A
	// planner, to which a value is not known yet, may take an arm all the same.
	NextBranch
	// NextWait: nothing to do until Until, or until the execution For has ended; then
	// append a wake entry.
	NextWait
	// NextApprove: ask for Approve; append a decision entry, or, when the
	// deadline has passed, a wake entry.
	NextApprove
	// NextEnd: the run has ended as End says.
	NextEnd
	// NextEffect: do Effect and append its outcome, as for NextCall.
	NextEffect
)

// Next is what a run does next.
type Next struct {
	Kind    NextKind
	Step    string // path of the step under way
	Attempt int

	Entries []knowngood.LogEntry // NextAppend, and see NextBranch: without number and time
	Call    *CallRequest         // NextCall: references resolved; Coerce fits it to the model
	Intent  *IntentBody          // NextCall: see there
	Effect  *EffectRequest       // NextEffect
	Branch  *BranchDecision      // NextBranch
	Until   time.Time            // NextWait; zero: until a person does something
	Reason  string               // NextWait: what for
	For     string               // NextWait: the execution whose end ends it too, or ""
	Approve *ApproveRequest      // NextApprove
	End     *EndResult           // NextEnd
}

// Advance says what comes after a log. It is a pure function: the same
// document and log give the same answer, whatever the time and wherever it is
// asked. A log that does not fit the document is an error of kind Invalid, for
// which a run is to be parked as NeedsOperator; no log makes it panic.
func Advance(d *Document, log []knowngood.LogEntry) (Next, error) {
	m := newMachine(d)
	for _, e := range log {
		if err := m.apply(e); err != nil {
			return Next{}, err
		}
	}
	return m.next()
}

// TakeBranch is the entry with which an aws:branch step ends by going to a
// step, one of its arms; or with which an aws:loop goes round again, or ends.
func (d *Document) TakeBranch(step string, attempt int, next string) (knowngood.LogEntry, error) {
	if s, ok := d.Step(step); ok && s.body != nil {
		return takeRound(s, step, attempt, next)
	}
	for _, arm := range d.Arms(step) {
		if arm == next {
			return Encode(knowngood.EntryStepEnded, step, attempt, StepEndedBody{Status: StepSuccess, NextStep: next})
		}
	}
	return knowngood.LogEntry{}, fmt.Errorf("step %s can't go to %q", step, next)
}

// Project keeps of a response what a step reads of it: its outputs, converted
// to their types, and the property of a wait or an assertion. The error says
// which output could not be converted.
func (d *Document) Project(step string, response map[string]any) (outputs map[string]any, property any, err error) {
	s, ok := d.Step(step)
	if !ok {
		return nil, nil, fmt.Errorf("there is no step %s", step)
	}
	p, ok := s.run.(projector)
	if !ok {
		return nil, nil, nil
	}
	if decoder, ok := s.run.(decoder); ok {
		response = decoder.decode(response)
	}
	r, _ := plain(response).(map[string]any)
	return p.project(s, r)
}

// Expand gives a text with its references resolved as they stand after a log,
// for people to read. ok is false where one of them has no value yet, or an
// empty one. The error says that the log can't be replayed, or that a reference
// names nothing in the document.
func (d *Document) Expand(log []knowngood.LogEntry, s string) (value string, ok bool, err error) {
	t, err := parseTemplate(s)
	if err != nil || t == nil {
		return s, err == nil, err
	}
	m := newMachine(d)
	for _, e := range log {
		if err := m.apply(e); err != nil {
			return "", false, err
		}
	}
	if m.start == nil {
		return "", false, nil
	}
	scope := m.scope()
	for _, p := range t.parts {
		if p.ref == nil {
			continue
		}
		v, err := scope.lookup(*p.ref)
		if err != nil {
			return "", false, err
		}
		if p.ref.Kind == RefOutput && m.outputs[p.ref.Step][p.ref.Name] == nil || text(v) == "" {
			return "", false, nil
		}
	}
	v, err := scope.expand(t)
	return text(v), err == nil, err
}

// next says what comes now.
func (m *machine) next() (Next, error) {
	switch {
	case m.start == nil:
		return Next{}, knowngood.E(knowngood.Invalid, "replay the log", "the log is empty")
	case m.ended != nil:
		return Next{Kind: NextEnd, End: m.ended}, nil
	case m.step == nil:
		return m.between()
	}
	n := Next{Step: m.at, Attempt: m.attempt}
	if m.intent != nil && isEffect(m.intent.Service) {
		return m.resumeEffect(n)
	}
	if m.intent != nil {
		n.Kind, n.Intent = NextCall, m.intent
		n.Call = &CallRequest{Service: m.intent.Service, Operation: m.intent.Operation, Input: m.intent.Input, Purpose: PurposeExecute}
		return n, nil
	}
	if m.drift != nil {
		return m.end(n, StepFailed, &Failure{Message: "the world left the plan: " + m.drift.Reason, Drift: true})
	}
	if m.runs > MaxStepRuns {
		return m.end(n, StepFailed, &Failure{
			Code:    CodeStepLimit,
			Message: fmt.Sprintf("%d steps were executed; the runbook goes round in circles", MaxStepRuns),
		})
	}
	if m.step.run == nil {
		return m.end(n, StepFailed, &Failure{Message: m.step.Action + " is not run by this version"})
	}
	t, err := m.turn()
	if err != nil {
		return m.end(n, StepFailed, &Failure{Message: err.Error()})
	}
	if m.retrying {
		return m.retry(n)
	}
	if stop, ok := m.step.run.(stopper); ok && stop.stopped(t) {
		if m.interrupted() {
			return m.end(n, StepCancelled, nil)
		}
		return m.timedOut(n, t)
	}
	_, person := m.step.run.(personal)
	if m.waiting != nil && !person {
		if m.interrupted() && !t.made(EffectStop) {
			return m.cancelStep(n, t)
		}
		n.Kind, n.Until, n.Reason, n.For = NextWait, m.waiting.Until, m.waiting.Reason, m.waiting.For
		return n, nil
	}
	return m.act(n, t, m.step.run.next(t))
}

// interrupted says whether a cancel request ends the step under way: not on a
// path that leads back.
func (m *machine) interrupted() bool { return m.cancel != nil && !m.recovery }

// act turns an action's move into what comes next.
func (m *machine) act(n Next, t *turn, mv move) (Next, error) {
	switch {
	case mv.done != nil:
		return m.succeed(n, mv.done)
	case mv.branch != nil && mv.fail != nil:
		failed, err := m.failAttempt(n, StepFailed, mv.fail)
		failed.Kind, failed.Branch = NextBranch, mv.branch
		return failed, err
	case mv.fail != nil && mv.fail.Code == CodeCancelled && m.interrupted():
		return m.end(n, StepCancelled, nil)
	case mv.fail != nil && mv.fail.Code == CodeTimedOut:
		return m.failAttempt(n, StepTimedOut, mv.fail)
	case mv.fail != nil:
		return m.failAttempt(n, StepFailed, mv.fail)
	case mv.round != nil:
		return m.entry(n, knowngood.EntryIteration, mv.round)
	case mv.branch != nil:
		n.Kind, n.Branch = NextBranch, mv.branch
		return n, nil
	case m.interrupted():
		return m.cancelStep(n, t)
	case !t.due.IsZero() && !t.now.Before(t.due) && !lastLook(t, mv):
		if stop, ok := m.step.run.(stopper); ok {
			if call := stop.stop(t); call != nil {
				return m.request(n, *call)
			}
		}
		return m.timedOut(n, t)
	case mv.approve != nil:
		n.Kind, n.Approve = NextApprove, mv.approve
		return n, nil
	case mv.wait != nil:
		if !t.due.IsZero() && mv.wait.Until.After(t.due) {
			mv.wait.Until = t.due
		}
		return m.entry(n, knowngood.EntryWait, mv.wait)
	}
	return m.request(n, mv)
}

// request asks for the call or the effect of a move, or waits.
func (m *machine) request(n Next, mv move) (Next, error) {
	switch {
	case mv.wait != nil:
		return m.entry(n, knowngood.EntryWait, mv.wait)
	case mv.call != nil:
		n.Kind, n.Call = NextCall, mv.call
		return n, nil
	case mv.effect != nil:
		n.Kind, n.Effect = NextEffect, mv.effect
		return n, nil
	}
	return Next{}, fmt.Errorf("%s made no move", m.step.Action)
}

// cancelStep ends the step under way because of a cancel request, once what it
// began elsewhere is stopped.
func (m *machine) cancelStep(n Next, t *turn) (Next, error) {
	if stop, ok := m.step.run.(stopper); ok {
		if mv := stop.stop(t); mv != nil {
			return m.request(n, *mv)
		}
	}
	return m.end(n, StepCancelled, nil)
}

func (m *machine) timedOut(n Next, t *turn) (Next, error) {
	message := fmt.Sprintf("timed out after %d s", int(t.due.Sub(t.started).Seconds()))
	if m.reason != "" {
		message += ": " + m.reason
	}
	return m.failAttempt(n, StepTimedOut, &Failure{Message: message})
}

// lastLook says whether a move is the poll that a wait makes when its time is
// over: the state may have come during the last pause.
func lastLook(t *turn, mv move) bool {
	looks := mv.call != nil && mv.call.Purpose == PurposeWait || mv.effect != nil && mv.effect.Operation == EffectLook
	return looks && t.waited
}

// turn is the action's view of the step under way.
func (m *machine) turn() (*turn, error) {
	s := m.scope()
	t := &turn{
		doc: m.doc, step: m.step, path: m.at, scope: s, attempt: m.attempt, started: m.started, now: m.now,
		outcomes: m.outcomes, waited: m.waited, decision: m.decision,
	}
	limit, err := m.timeLimit(s)
	if err != nil {
		return nil, err
	}
	if limit > 0 {
		t.due = m.started.Add(limit)
	}
	if err := m.loopsDue(t); err != nil {
		return nil, err
	}
	inputs, err := s.resolve(m.step.inputs)
	if err != nil {
		return nil, err
	}
	if t.inputs, _ = inputs.(map[string]any); t.inputs == nil {
		t.inputs = map[string]any{}
	}
	single(m.step.Action, t.inputs)
	return t, nil
}

// timeLimit is the step's timeoutSeconds, or its action's; zero: none.
func (m *machine) timeLimit(s *scope) (time.Duration, error) {
	var standard, most time.Duration
	if a, ok := m.step.run.(timed); ok {
		standard, most = a.timeout()
	}
	if m.step.timeout == nil {
		return standard, nil
	}
	v, err := s.resolve(m.step.timeout)
	if err != nil {
		return 0, fmt.Errorf("timeoutSeconds: %w", err)
	}
	seconds, err := integer(v)
	if err != nil || seconds.(int64) < 1 || seconds.(int64) > maxTimeout {
		return 0, fmt.Errorf("timeoutSeconds is %s, 1 to %d is allowed", excerpt(text(v)), maxTimeout)
	}
	limit := time.Duration(seconds.(int64)) * time.Second
	if most > 0 {
		limit = min(limit, most)
	}
	return limit, nil
}

// between starts the upcoming step, or ends the run.
func (m *machine) between() (Next, error) {
	if m.recovery && m.runs >= MaxStepRuns || m.upcoming == End && len(m.frames) == 0 {
		return m.finish()
	}
	if f := m.top(); f != nil {
		switch due, err := m.overdue(); {
		case f.leaving != nil:
			return m.leave()
		case err != nil || due:
			return m.overrun(err)
		case m.upcoming == End:
			return m.round()
		}
	}
	step, ok := m.doc.Step(m.upcoming)
	if !ok {
		return Next{}, knowngood.E(knowngood.Invalid, "replay the log", "there is no step %q", m.upcoming)
	}
	return m.begin(step, m.path(step.Name), 1)
}

func (m *machine) begin(step *Step, path string, attempt int) (Next, error) {
	body := StepStartedBody{Action: step.Action}
	// An input that can't be resolved fails the step once it has begun.
	if inputs, err := m.scope().resolve(step.inputs); err == nil {
		body.Inputs, _ = inputs.(map[string]any)
	}
	if a, ok := step.run.(reticent); ok {
		body.Inputs = a.shown(body.Inputs)
	}
	return m.entry(Next{Step: path, Attempt: attempt}, knowngood.EntryStepStarted, body)
}

func (m *machine) entry(n Next, kind knowngood.EntryKind, body any) (Next, error) {
	e, err := Encode(kind, n.Step, n.Attempt, body)
	if err != nil {
		return Next{}, err
	}
	n.Kind, n.Entries = NextAppend, []knowngood.LogEntry{e}
	return n, nil
}

// succeed ends the step under way with what its action made and what its calls
// gave.
func (m *machine) succeed(n Next, body *StepEndedBody) (Next, error) {
	body.Status, body.NextStep = StepSuccess, m.step.following
	if body.Outputs == nil {
		body.Outputs = m.callOutputs()
	}
	body.Recovery = m.recovery
	return m.entry(n, knowngood.EntryStepEnded, body)
}

// callOutputs are the outputs that the attempt's calls gave so far.
func (m *machine) callOutputs() map[string]any {
	var all map[string]any
	for _, o := range m.outcomes {
		for name, v := range o.Outputs {
			if all == nil {
				all = map[string]any{}
			}
			all[name] = v
		}
	}
	return all
}

// failAttempt tries again, or ends the step. What no call decided would fail
// again in the same way; a call that was answered, and whose answer had an
// output of the wrong type, may have been a write that must not be repeated.
func (m *machine) failAttempt(n Next, status StepStatus, f *Failure) (Next, error) {
	_, person := m.step.run.(personal) // who is not asked again
	again := len(m.outcomes) > 0 && f.Code != CodeInvalidOutput && !person
	if again && int64(m.attempt) < m.step.MaxAttempts && !m.interrupted() {
		pause := time.Second << min(m.attempt-1, 5) // 1, 2, 4 … 32 s
		return m.entry(n, knowngood.EntryWait, WaitBody{
			Until: m.now.Add(pause), Retry: true,
			Reason: fmt.Sprintf("attempt %d of %d: %s", m.attempt, m.step.MaxAttempts, f.Message),
		})
	}
	return m.end(n, status, f)
}

// retry waits for the next attempt, or begins it.
func (m *machine) retry(n Next) (Next, error) {
	switch {
	case m.interrupted():
		return m.end(n, StepCancelled, nil)
	case m.waiting != nil:
		n.Kind, n.Until, n.Reason = NextWait, m.waiting.Until, m.waiting.Reason
		return n, nil
	}
	return m.begin(m.step, m.at, m.attempt+1)
}

// end ends the step under way, which did not succeed, and finds its way on.
func (m *machine) end(n Next, status StepStatus, f *Failure) (Next, error) {
	s := m.step
	body := StepEndedBody{Status: status, Failure: f, Outputs: m.callOutputs(), Recovery: m.recovery}
	onFailure, jumps := strings.CutPrefix(s.OnFailure, "step:")
	broken := f != nil && (f.Drift || f.Code == CodeStepLimit)
	switch {
	case status == StepCancelled:
		body.Failure = &Failure{Message: "cancelled" + m.cancelText()}
		body.NextStep = wayBack(s)
		if body.NextStep == End {
			body.NextStep = m.wayBack
		}
		body.Recovery = m.recovery || body.NextStep != End
	case jumps:
		body.NextStep = onFailure
		body.Recovery = m.recovery || s.IsCritical || broken
	case m.continues(s, status, f):
		body.NextStep = s.following
	case status == StepTimedOut || broken:
		body.NextStep = wayBack(s)
		body.Recovery = m.recovery || body.NextStep != End
	}
	return m.entry(n, knowngood.EntryStepEnded, body)
}

// continues says whether a failure of a step is passed over. A limit that was
// exceeded is no failure of the step, so that its onFailure: Continue does not
// apply; neither does it to plan drift, except on a path that leads back and
// has to go on as well as it can.
func (m *machine) continues(s *Step, status StepStatus, f *Failure) bool {
	exceeded := f != nil && f.Code == CodeStepLimit
	broken := f != nil && f.Drift || exceeded
	return s.OnFailure == "Continue" && status != StepCancelled && (!broken || m.recovery && !exceeded)
}

func (m *machine) cancelText() string {
	var b strings.Builder
	if m.cancel.By != "" {
		b.WriteString(" by " + m.cancel.By)
	}
	if m.cancel.Reason != "" {
		b.WriteString(": " + m.cancel.Reason)
	}
	return b.String()
}

// finish ends the run. Its state and message are those of the step that failed
// first.
func (m *machine) finish() (Next, error) {
	end := RunEndedBody{State: knowngood.RunSuccess}
	var notes []string
	passed := 0
	for _, f := range m.failures {
		line := fmt.Sprintf("step %s %s%s", f.step, statusWord[f.status], f.message)
		if !f.decisive || end.FailedStep != "" {
			if f.recovery {
				line = "on the way back " + line
			}
			if passed++; passed <= maxNotes {
				notes = append(notes, line)
			}
			continue
		}
		end.FailedStep = f.step
		end.State = map[StepStatus]knowngood.RunState{
			StepFailed: knowngood.RunFailed, StepTimedOut: knowngood.RunTimedOut, StepCancelled: knowngood.RunCancelled,
		}[f.status]
		end.Message = line
	}
	if passed > maxNotes {
		notes = append(notes, fmt.Sprintf("%d more failures", passed-maxNotes))
	}
	if m.recovery && m.runs >= MaxStepRuns && m.upcoming != End {
		notes = append(notes, fmt.Sprintf("the way back was given up after %d steps", MaxStepRuns))
	}
	if m.cancel != nil && end.State == knowngood.RunSuccess {
		notes = append(notes, "the cancel request came when nothing was left to do")
	}
	end.Message = strings.Join(append(nonEmpty(end.Message), notes...), "; ")
	s := m.scope()
	for _, ref := range m.doc.OutputRefs {
		v, err := s.lookup(ref)
		if err != nil {
			continue // Validate reports it; a run that came this far still ends
		}
		if end.Outputs == nil {
			end.Outputs = map[string]any{}
		}
		end.Outputs[ref.String()] = v
	}
	return m.entry(Next{}, knowngood.EntryRunEnded, end)
}

// maxNotes is how many failures beside the first a run's message tells of.
const maxNotes = 10

// statusWord leads to a failure's message, which for the others says what
// happened.
var statusWord = map[StepStatus]string{StepFailed: "failed: ", StepCancelled: "was "}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}
