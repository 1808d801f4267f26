package knowngood

import (
	"encoding/json"
	"slices"
	"time"
)

// RunState is where a run stands: SSM's AutomationExecutionStatus where SSM
// has a word for it.
type RunState string

// The states of a run.
const (
	RunPending    RunState = "Pending"
	RunInProgress RunState = "InProgress"
	RunWaiting    RunState = "Waiting" // for a time or an approval
	RunSuccess    RunState = "Success" // every step done, and verified on the live resource
	RunUnverified RunState = "Unverified"
	RunFailed     RunState = "Failed"
	RunTimedOut   RunState = "TimedOut"
	RunCancelled  RunState = "Cancelled"
	// RunOutcomeUnknown: a write was sent, its outcome is not known and can't
	// be settled. A person decides.
	RunOutcomeUnknown RunState = "OutcomeUnknown"
	// RunNeedsOperator: the log can't be replayed by this version, or what it says
	// that was written is not what the plan has.
	RunNeedsOperator RunState = "NeedsOperator"
)

// RunStates are all states of a run.
func RunStates() []RunState {
	return append([]RunState{RunPending, RunInProgress, RunWaiting, RunOutcomeUnknown, RunNeedsOperator}, EndedStates()...)
}

// EndedStates are those in which a run will do nothing more.
func EndedStates() []RunState {
	return []RunState{RunSuccess, RunUnverified, RunFailed, RunTimedOut, RunCancelled}
}

// Ended says whether a run in this state will do nothing more.
func (s RunState) Ended() bool { return slices.Contains(EndedStates(), s) }

// Run is one execution of a document. It is a row, not a goroutine.
type Run struct {
	ID       string      `json:"runId"`
	PlanHash string      `json:"planHash"`
	Document string      `json:"document"` // sha256 of its content
	Resource ResourceKey `json:"resource"`
	Finding  string      `json:"finding,omitempty"`
	Parent   string      `json:"parent,omitempty"` // the run that started it, which is woken when it ends
	State    RunState    `json:"state"`
	Message  string      `json:"message,omitempty"`
	Wake     *time.Time  `json:"wake,omitempty"`
	Created  time.Time   `json:"created"`
	Updated  time.Time   `json:"updated"`
}

// Worker is a process that works on runs that are due.
type Worker struct {
	Owner   string `json:"owner"` // as in leases
	Account string `json:"account"`
	// Governance is a digest of what the worker verifies the runs of findings by.
	Governance string    `json:"governance"`
	Until      time.Time `json:"until"` // it is there until then, and says so again before
}

// RunQuery asks for runs. What is zero does not count.
type RunQuery struct {
	States   []RunState
	Resource ResourceKey
	PlanHash string
	Parent   string    // those that this run started
	Before   time.Time // created before
	Text     string    // somewhere in the run, whatever the case
	Limit    int
}

// LogVersion is the format of the log entries that this version writes.
const LogVersion = 1

// LogEntry is one line of a run's log. (run, Seq) is unique and Seq has no
// gaps, from 1.
type LogEntry struct {
	Seq     int64           `json:"seq"`
	Time    time.Time       `json:"time"`
	Kind    EntryKind       `json:"kind"`
	Step    string          `json:"step,omitempty"` // the step's path
	Attempt int             `json:"attempt,omitempty"`
	Body    json.RawMessage `json:"body,omitempty"` // by Kind; internal/runbook has the types
}

// EntryKind is what a log entry records.
type EntryKind string

// The kinds of log entries.
const (
	EntryRunStarted  EntryKind = "run-started"
	EntryStepStarted EntryKind = "step-started"
	EntryIntent      EntryKind = "intent"  // a write is about to be sent
	EntryOutcome     EntryKind = "outcome" // of a write or a read
	EntryWait        EntryKind = "wait"    // nothing to do until a time
	EntryWake        EntryKind = "wake"
	EntryDecision    EntryKind = "decision"         // of an aws:approve step
	EntryIteration   EntryKind = "iteration"        // a loop goes round
	EntryCancel      EntryKind = "cancel-requested" // by a person
	EntryDrift       EntryKind = "drift"            // the world left the plan
	EntryStepEnded   EntryKind = "step-ended"
	EntryRunEnded    EntryKind = "run-ended"
	EntryVerified    EntryKind = "verified" // what the fresh read said
)
