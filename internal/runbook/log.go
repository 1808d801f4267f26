package runbook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/knowngood/knowngood"
)

// StartBody is the body of a run-started entry: all that a run depends on
// beside its document and the world.
type StartBody struct {
	LogVersion     int              `json:"logVersion"`
	DocumentSHA256 string           `json:"documentSha256"`
	Parameters     knowngood.Params `json:"parameters"`
	ExecutionID    string           `json:"executionId"` // automation:EXECUTION_ID
	DateTime       time.Time        `json:"dateTime"`    // global:DATE and global:DATE_TIME
	Seed           int64            `json:"seed"`
	Place          knowngood.Place  `json:"place"`
	Role           string           `json:"role,omitempty"`
	// MultiAccount says that the run is one of an automation over several accounts
	// or Regions.
	MultiAccount bool `json:"multiAccount,omitempty"`
}

// StepStartedBody is the body of a step-started entry.
type StepStartedBody struct {
	Action string         `json:"action"`
	Inputs map[string]any `json:"inputs,omitempty"` // references resolved
}

// IntentBody is the body of an intent entry: a write that is about to be sent.
type IntentBody struct {
	CallID    string `json:"callId,omitempty"` // of the plan's call
	Service   string `json:"service"`
	Operation string `json:"operation"`
	Account   string `json:"account,omitempty"`
	Region    string `json:"region,omitempty"`
	// Role is whose credentials it is made with: the run's role, or the ARN of a
	// session that the step's script has of another.
	Role  string         `json:"role,omitempty"`
	Input map[string]any `json:"input"` // as it is sent, tokens and tags included
}

// CallError is a call's failure as the log keeps it.
type CallError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	// Retryable says that the same call may succeed later: throttling, an
	// error of the server, a broken connection.
	Retryable bool `json:"retryable,omitempty"`
	// Status is that of the HTTP response, for a script, which is given the same
	// answer when it is run again after a crash; else 0.
	Status int `json:"status,omitempty"`
}

// Codes of errors and failures that no service sent.
const (
	// CodeInvalidInput: the input does not fit the model; nothing was sent.
	CodeInvalidInput = "InvalidInput"
	// CodeInvalidOutput: the call was answered, and an output that the step
	// declares could not be taken from the answer.
	CodeInvalidOutput = "InvalidOutput"
	// CodeOutcomeUnknown: nobody knows whether the call was made, and it need not be
	// known.
	CodeOutcomeUnknown = "OutcomeUnknown"
	// CodeNotDone: a person says that the write did not take place.
	CodeNotDone = "NotDone"
	// CodeStepLimit: the run executed MaxStepRuns steps.
	CodeStepLimit = "StepLimit"
)

// Error implements error.
func (e *CallError) Error() string { return e.Code + ": " + e.Message }

// OutcomeBody is the body of an outcome entry.
type OutcomeBody struct {
	Service   string `json:"service"`
	Operation string `json:"operation"`
	// Outputs and Property are what Document.Project kept of the response.
	Outputs  map[string]any `json:"outputs,omitempty"`
	Property any            `json:"property,omitempty"`
	// Response is a write's whole response; undo and evidence need it.
	Response map[string]any `json:"response,omitempty"`
	Error    *CallError     `json:"error,omitempty"`
	// Settled says how the outcome of a write became known after the process
	// that sent it was gone; "" when it was simply received.
	Settled string `json:"settled,omitempty"`
	// Assumed says that the response was made up by planning.
	Assumed bool `json:"assumed,omitempty"`
}

// WaitBody is the body of a wait entry. Until is zero when only a person can
// end the wait.
type WaitBody struct {
	Until  time.Time `json:"until,omitzero"`
	Reason string    `json:"reason"`
	// Retry says that the attempt failed and that the next one follows.
	Retry bool `json:"retry,omitempty"`
	// For is the execution of another automation whose end ends the wait.
	For string `json:"for,omitempty"`
}

// WakeBody is the body of a wake entry.
type WakeBody struct {
	Reason string `json:"reason,omitempty"`
	// Ended says that the execution that was waited for has ended.
	Ended bool `json:"ended,omitempty"`
}

// DecisionBody is the body of a decision entry: an aws:approve or aws:pause
// step was decided.
type DecisionBody struct {
	Approved  bool                 `json:"approved"`
	Approvals []knowngood.Approval `json:"approvals,omitempty"`
}

// CancelBody is the body of a cancel-requested entry.
type CancelBody struct {
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// DriftBody is the body of a drift entry: the world is not as the plan has it.
type DriftBody struct {
	Reason string `json:"reason"`
}

// StepStatus is how a step ended, in SSM's words.
type StepStatus string

// The ways in which a step ends.
const (
	StepSuccess   StepStatus = "Success"
	StepFailed    StepStatus = "Failed"
	StepTimedOut  StepStatus = "TimedOut"
	StepCancelled StepStatus = "Cancelled"
)

// Failure says why a step did not succeed.
type Failure struct {
	Message string `json:"message"`
	Code    string `json:"code,omitempty"`  // AWS's error code
	Drift   bool   `json:"drift,omitempty"` // the world left the plan
}

// StepEndedBody is the body of a step-ended entry.
type StepEndedBody struct {
	Status    StepStatus     `json:"status"`
	Outputs   map[string]any `json:"outputs,omitempty"`
	Variables map[string]any `json:"variables,omitempty"` // that the step set
	NextStep  string         `json:"nextStep,omitempty"`  // End: the run ends
	Failure   *Failure       `json:"failure,omitempty"`
	// Recovery says that the next step is on a path that onFailure or
	// onCancel began: the run will not end in Success.
	Recovery bool `json:"recovery,omitempty"`
	// Assumed says that a branch rests on a value that planning assumed.
	Assumed bool `json:"assumed,omitempty"`
}

// RunEndedBody is the body of a run-ended entry.
type RunEndedBody struct {
	State      knowngood.RunState `json:"state"`
	FailedStep string             `json:"failedStep,omitempty"` // that failed first
	Message    string             `json:"message,omitempty"`
	Outputs    map[string]any     `json:"outputs,omitempty"` // the document's
}

// EndResult is how a run ended.
type EndResult = RunEndedBody

// Start is the entry that a run's log begins with. It fills in the log's
// version and the document's hash. A document that can't be run there is an
// error of kind Invalid.
func (d *Document) Start(b StartBody) (knowngood.LogEntry, error) {
	if i := slices.IndexFunc(d.steps, func(s *Step) bool { return s.Action == "aws:approve" }); b.MultiAccount && i >= 0 {
		return knowngood.LogEntry{}, knowngood.E(knowngood.Invalid, "start "+d.File,
			"step %s is aws:approve, which an automation over several accounts or Regions can't have", d.steps[i].Name)
	}
	b.LogVersion, b.DocumentSHA256 = knowngood.LogVersion, d.SHA256
	return Encode(knowngood.EntryRunStarted, "", 0, b)
}

// Encode makes an entry without number and time. The error is that of
// encoding/json on a value that has no JSON form.
func Encode(kind knowngood.EntryKind, step string, attempt int, body any) (knowngood.LogEntry, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		return knowngood.LogEntry{}, fmt.Errorf("log entry %s of step %q: %w", kind, step, err)
	}
	return knowngood.LogEntry{Kind: kind, Step: step, Attempt: attempt, Body: bytes.TrimSuffix(b.Bytes(), []byte("\n"))}, nil
}

// Decode reads an entry's body as the type that belongs to its kind. Integers
// come out as int64. Members that this version does not know are passed over.
func Decode[T any](e knowngood.LogEntry) (T, error) {
	var body T
	if len(e.Body) == 0 {
		return body, nil
	}
	dec := json.NewDecoder(bytes.NewReader(e.Body))
	dec.UseNumber()
	if err := dec.Decode(&body); err != nil {
		return body, fmt.Errorf("log entry %d (%s): %w", e.Seq, e.Kind, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return body, fmt.Errorf("log entry %d (%s): text after the body", e.Seq, e.Kind)
	}
	switch b := any(&body).(type) {
	case *StartBody:
		b.Parameters = numbers(b.Parameters)
	case *StepStartedBody:
		b.Inputs = numbers(b.Inputs)
	case *IntentBody:
		b.Input = numbers(b.Input)
	case *OutcomeBody:
		b.Outputs, b.Response = numbers(b.Outputs), numbers(b.Response)
		b.Property = plain(b.Property)
	case *StepEndedBody:
		b.Outputs, b.Variables = numbers(b.Outputs), numbers(b.Variables)
	case *RunEndedBody:
		b.Outputs = numbers(b.Outputs)
	case *IterationBody:
		b.Value = plain(b.Value)
	}
	return body, nil
}

func numbers[M ~map[string]any](m M) M {
	if m == nil {
		return nil
	}
	return M(plain(map[string]any(m)).(map[string]any))
}
