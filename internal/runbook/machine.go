package runbook

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
)

// machine is a run as its log tells it. apply takes the log's entries one by
// one and refuses one that can't follow; next (in advance.go) says what comes.
type machine struct {
	doc   *Document
	seq   int64
	now   time.Time // the latest of the entries' times
	start *StartBody
	ended *RunEndedBody

	vars    map[string]any
	outputs map[string]map[string]any

	// frames are the loops that are under way, the outermost first.
	frames []frame
	// Between steps, step is nil and upcoming names the next one of the
	// innermost loop under way or of the document, or is End.
	upcoming string
	step     *Step
	at       string // the step's path
	begun    map[string]any
	attempt  int
	started  time.Time // of the attempt
	intent   *IntentBody
	// inner is the write that the script under way is about to make, and
	// written those that it made.
	inner    *IntentBody
	written  []ScriptWrite
	outcomes []OutcomeBody
	waiting  *WaitBody // not over yet
	waited   bool      // a wait has passed since the last outcome
	retrying bool      // the attempt failed; the wait is for the next one
	reason   string    // of the attempt's last wait
	decision *DecisionBody

	drift  *DriftBody
	cancel *CancelBody
	// wayBack is the step to which a cancel request leads when the step that
	// it interrupts has no way of its own: the way of the step in which it
	// arrived.
	wayBack string

	recovery bool
	runs     int // steps that were started, on this side of recovery
	failures []stepFailure
}

// stepFailure is a step that did not succeed.
type stepFailure struct {
	step     string
	status   StepStatus
	message  string
	decisive bool // the run can't end in Success
	recovery bool // it was on a path that onFailure or onCancel began
}

// frame is a loop under way.
type frame struct {
	step      *Step
	path      string
	begun     map[string]any // the loop's inputs
	attempt   int
	started   time.Time
	iteration int // under way, from 1
	// leaving is set once a step inside has ended the loop.
	leaving *leaving
}

// leaving is how a step inside a loop ended the loop.
type leaving struct {
	status StepStatus
	by     string // the step's path
	next   string // outside the loop; or End
	abort  bool   // the step's own onFailure ends the run
	code   string
	drift  bool
}

// MaxStepRuns is how many steps a run executes before it is taken to go round
// in circles; a path that onFailure or onCancel began may execute as many
// again.
const MaxStepRuns = 2000

func newMachine(d *Document) *machine {
	m := &machine{doc: d, vars: map[string]any{}, outputs: map[string]map[string]any{}}
	for _, v := range d.Variables {
		m.vars[v.Name] = v.Default
	}
	return m
}

func (m *machine) errorf(e knowngood.LogEntry, format string, args ...any) error {
	at := ""
	if e.Step != "" {
		at = " of step " + e.Step
	}
	return knowngood.E(knowngood.Invalid, "replay the log", "entry %d, %s%s: %s", m.seq, e.Kind, at, fmt.Sprintf(format, args...))
}

// apply takes the next entry of the log.
func (m *machine) apply(e knowngood.LogEntry) error {
	m.seq++
	if e.Seq != 0 && e.Seq != m.seq {
		return m.errorf(e, "it has the number %d", e.Seq)
	}
	if e.Time.After(m.now) {
		m.now = e.Time
	}
	if m.start == nil && e.Kind != knowngood.EntryRunStarted {
		return m.errorf(e, "the log begins with it instead of %s", knowngood.EntryRunStarted)
	}
	var err error
	switch e.Kind {
	case knowngood.EntryRunStarted:
		err = m.runStarted(e)
	case knowngood.EntryStepStarted:
		err = m.stepStarted(e)
	case knowngood.EntryIntent, knowngood.EntryOutcome, knowngood.EntryDecision, knowngood.EntryStepEnded:
		err = m.inStep(e)
	case knowngood.EntryIteration:
		err = m.iteration(e)
	case knowngood.EntryWait, knowngood.EntryWake:
		err = m.wait(e)
	case knowngood.EntryCancel:
		err = m.cancelled(e)
	case knowngood.EntryDrift:
		if m.step == nil || e.Step != m.at {
			return m.errorf(e, "the step is not under way")
		}
		m.drift, err = decodePtr[DriftBody](e)
		m.intent, m.inner = nil, nil // the call was refused before it was sent
	case knowngood.EntryRunEnded:
		if m.step != nil || m.ended != nil {
			return m.errorf(e, "a step is under way, or the run has ended")
		}
		m.ended, err = decodePtr[RunEndedBody](e)
	case knowngood.EntryVerified: // says nothing about the steps
	default:
		return m.errorf(e, "this version does not know the kind")
	}
	if err != nil {
		return m.errorf(e, "%v", err)
	}
	return nil
}

func decodePtr[T any](e knowngood.LogEntry) (*T, error) {
	body, err := Decode[T](e)
	return &body, err
}

func (m *machine) runStarted(e knowngood.LogEntry) error {
	if m.start != nil {
		return fmt.Errorf("the run has begun already")
	}
	b, err := Decode[StartBody](e)
	switch {
	case err != nil:
		return err
	case b.LogVersion != knowngood.LogVersion:
		return fmt.Errorf("the log has the format %d, this version reads %d", b.LogVersion, knowngood.LogVersion)
	case b.DocumentSHA256 != m.doc.SHA256:
		return fmt.Errorf("the log is of the document %.12s…, this is %.12s…", b.DocumentSHA256, m.doc.SHA256)
	case len(m.doc.steps) == 0:
		return fmt.Errorf("the document has no steps")
	}
	m.start, m.upcoming = &b, m.doc.steps[0].Name
	return nil
}

func (m *machine) stepStarted(e knowngood.LogEntry) error {
	if m.ended != nil {
		return fmt.Errorf("the run has ended")
	}
	if m.step == nil {
		step, ok := m.doc.Step(m.upcoming)
		if !ok || e.Step != m.path(m.upcoming) || len(m.frames) > 0 && m.top().leaving != nil {
			return fmt.Errorf("the next step is %q", m.upcoming)
		}
		if e.Attempt != 1 {
			return fmt.Errorf("it begins with attempt %d", e.Attempt)
		}
		m.step, m.at = step, e.Step
		m.runs++
	} else if e.Step != m.at || e.Attempt != m.attempt+1 || m.intent != nil {
		return fmt.Errorf("attempt %d of step %s is under way", m.attempt, m.at)
	}
	if err := m.begins(e); err != nil {
		return err
	}
	m.attempt, m.started = e.Attempt, m.now
	m.inner, m.written = nil, nil
	m.intent, m.outcomes, m.waiting, m.decision = nil, nil, nil, nil
	m.waited, m.retrying, m.reason = false, false, ""
	return nil
}

// begins checks that a step is the one that the log has, and keeps a loop's inputs,
// which stay as they are while it goes round; those of any other step are
// resolved anew.
func (m *machine) begins(e knowngood.LogEntry) error {
	var b struct {
		Action string `json:"action"`
	}
	if len(e.Body) > 0 {
		if err := json.Unmarshal(e.Body, &b); err != nil {
			return err
		}
	}
	if b.Action != "" && b.Action != m.step.Action {
		return fmt.Errorf("it is %s in the log and %s in the document", b.Action, m.step.Action)
	}
	m.begun = nil
	if m.step.body == nil {
		return nil
	}
	loop, err := Decode[StepStartedBody](e)
	m.begun = loop.Inputs
	return err
}

// inStep takes an entry that belongs to the step under way.
func (m *machine) inStep(e knowngood.LogEntry) error {
	if e.Kind == knowngood.EntryStepEnded && m.step == nil && len(m.frames) > 0 && m.top().path == e.Step && m.top().attempt == e.Attempt {
		return m.loopEnded(e)
	}
	if m.step == nil || e.Step != m.at || e.Attempt != m.attempt {
		return fmt.Errorf("attempt %d of it is not under way", e.Attempt)
	}
	if m.intent != nil && m.intent.isScript() && (e.Kind == knowngood.EntryIntent || e.Kind == knowngood.EntryOutcome) {
		return m.inScript(e)
	}
	if m.intent != nil && e.Kind != knowngood.EntryOutcome {
		return fmt.Errorf("%s:%s has an intent and no outcome yet", m.intent.Service, m.intent.Operation)
	}
	switch e.Kind {
	case knowngood.EntryIntent:
		b, err := Decode[IntentBody](e)
		m.intent = &b
		return err
	case knowngood.EntryDecision:
		b, err := Decode[DecisionBody](e)
		m.decision = &b
		return err
	case knowngood.EntryOutcome:
		b, err := Decode[OutcomeBody](e)
		if err != nil {
			return err
		}
		if m.intent != nil && (m.intent.Service != b.Service || m.intent.Operation != b.Operation) {
			return fmt.Errorf("it is of %s:%s, the intent is of %s:%s", b.Service, b.Operation, m.intent.Service, m.intent.Operation)
		}
		m.intent, m.waiting, m.waited = nil, nil, false
		m.outcomes = append(m.outcomes, b)
		return nil
	}
	return m.stepEnded(e)
}

func (m *machine) stepEnded(e knowngood.LogEntry) error {
	b, err := Decode[StepEndedBody](e)
	if err != nil {
		return err
	}
	if !m.reachable(b.NextStep) {
		return fmt.Errorf("the step %q can't come next", b.NextStep)
	}
	return m.ends(e, b, nil)
}

// ends takes the end of the step under way; inside is how a step inside the
// loop that it is ended it.
func (m *machine) ends(e knowngood.LogEntry, b StepEndedBody, inside *leaving) error {
	s := m.step
	switch b.Status {
	case StepSuccess:
	case StepFailed, StepTimedOut, StepCancelled:
		f := stepFailure{step: m.at, status: b.Status, recovery: m.recovery}
		if b.Failure != nil {
			f.message = b.Failure.Message
		}
		broken := b.Failure != nil && (b.Failure.Drift || b.Failure.Code == CodeStepLimit)
		f.decisive = m.step.IsCritical || b.Status == StepCancelled || broken || b.Recovery && !m.recovery
		if inside == nil { // else the step inside has told
			m.failures = append(m.failures, f)
		}
		if b.Status == StepCancelled {
			m.cancel, m.wayBack = nil, ""
		}
	default:
		return fmt.Errorf("there is no status %q", b.Status)
	}
	m.drift = nil
	if s.body == nil || b.Outputs != nil {
		m.outputs[s.Name] = b.Outputs
	}
	if _, ok := s.run.(branch); ok && b.Status == StepSuccess {
		m.outputs[s.Name] = map[string]any{chosenStep: b.NextStep}
	}
	for name, v := range b.Variables {
		if m.doc.variable(name) == nil {
			return fmt.Errorf("the document has no variable %q", name)
		}
		m.vars[name] = v
	}
	if top := m.top(); top != nil {
		top.leaving = m.leaves(s, b, inside)
	}
	if b.Recovery && !m.recovery {
		m.recovery, m.runs = true, 0
	}
	m.step, m.upcoming = nil, b.NextStep
	return nil
}

// reachable says whether a step, or End, can follow the one under way.
func (m *machine) reachable(name string) bool {
	s := m.step
	return name == End || name == s.following || name == m.wayBack || name == wayBack(s) ||
		"step:"+name == s.OnFailure || "step:"+name == s.OnCancel ||
		slices.Contains(m.doc.Arms(s.Name), name)
}

func (m *machine) wait(e knowngood.LogEntry) error {
	if m.ended != nil {
		return fmt.Errorf("the run has ended")
	}
	if m.step == nil || e.Step != m.at {
		return fmt.Errorf("the step is not under way")
	}
	if e.Kind == knowngood.EntryWait {
		b, err := Decode[WaitBody](e)
		if err != nil {
			return err
		}
		m.waiting, m.reason = &b, b.Reason
		m.retrying = m.retrying || b.Retry
		return nil
	}
	b, err := Decode[WakeBody](e)
	if w := m.waiting; w != nil && (w.For != "" && b.Ended || !w.Until.IsZero() && !m.now.Before(w.Until)) {
		m.waiting, m.waited = nil, true
	}
	return err
}

func (m *machine) cancelled(e knowngood.LogEntry) error {
	b, err := Decode[CancelBody](e)
	if err != nil || m.ended != nil || m.cancel != nil {
		return err
	}
	m.cancel = &b
	switch {
	case m.step != nil:
		m.wayBack = wayBack(m.step)
	case len(m.frames) > 0:
		m.wayBack = wayBack(m.top().step)
	}
	return nil
}

// wayBack is where a step goes when it is cancelled, or End. A step inside a
// loop that has no way of its own has the loop's.
func wayBack(s *Step) string {
	for ; s != nil; s = s.parent {
		for _, jump := range []string{s.OnCancel, s.OnFailure} {
			if name, ok := strings.CutPrefix(jump, "step:"); ok {
				return name
			}
		}
	}
	return End
}

// scope is what the references of the next step are resolved in.
func (m *machine) scope() *scope {
	return &scope{doc: m.doc, start: m.start, vars: m.vars, outputs: m.outputs, budget: maxResolved}
}
