package runbook

import (
	"context"
	"errors"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

// Settler makes writes such that it can be found out what became of them, and
// finds out.
type Settler interface {
	// Prepare adds to a write what it can be found again by: a client token or
	// a tag made of run, step and attempt. The same arguments give the same
	// call. An operation without a rule is returned as it is.
	Prepare(runID, step string, attempt int, call CallRequest) (CallRequest, error)
	// Settle finds out what became of a write with an intent and no outcome.
	// It makes reads only, and may be called again. An error means that it
	// could not look; the run stays as it is.
	Settle(ctx context.Context, caller awsapi.Caller, runID string, intent IntentBody) (Settlement, error)
	// IsThere says how the refusal of a write shows that its effect is there
	// already, as NotFound does of a deletion; "": it does not. The write then
	// counts as done.
	IsThere(call CallRequest, refusal *CallError) string
}

// Settlement is what became of a write.
type Settlement struct {
	// Known: the outcome was found; it is Response or Error.
	Known    bool
	Response map[string]any
	Error    *CallError
	// Repeat: there is no sign of the write, or a repeat does no harm.
	Repeat bool
	// Reason says how it is known, or why it is not.
	Reason string
}

// Runner drives one run. Its fields are set once, before Run.
type Runner struct {
	Document *Document
	RunID    string
	Epoch    int64
	// Start is the first entry of a run that has none yet, its number and time
	// apart.
	Start   *knowngood.LogEntry
	Log     RunLog
	Caller  awsapi.Caller
	Catalog *awsapi.Catalog
	// Settler may be nil: then the outcome of a write that was cut short stays
	// unknown.
	Settler Settler
	Clock   knowngood.Clock
	// Patience is the longest wait that Run sits out; for a longer one it leaves the
	// run waiting, whose wake is in the log's row. 0: any.
	Patience time.Duration
	// Effects do what a step wants done that is no call of AWS's API.
	Effects Effects
	// Decisions gives the approvals that count for a request, made by people
	// whom its Approvers allow. nil: nobody decides.
	Decisions func(ctx context.Context, r ApproveRequest) ([]knowngood.Approval, error)
	// Notify gives a command by which a request can be answered, for the notice to
	// its topic, which is published once when the run begins to wait. ok is false
	// where the topic is not to be told; nil: never.
	Notify func(r ApproveRequest) (how string, ok bool)
	// OnEntry is told of every entry once it is durable. It may be nil.
	OnEntry func(knowngood.LogEntry)
	// Class is the class of an operation, by the model's names; a write gets an
	// intent entry. nil: as awsapi's table has it.
	Class func(service, operation string) knowngood.CallClass
	// CallID is the planned call's id for the intent entry. It may be nil.
	CallID func(step string, attempt int, call CallRequest) string
	// CallContext gives a step's calls a context of its own, for decorators.
	// It may be nil.
	CallContext func(ctx context.Context, step string) context.Context
}

// Run drives the run until it ends, until it waits for a person, or until ctx
// ends, whose error it then returns; the log can then be taken up by another
// Run. The result's State is RunWaiting, RunOutcomeUnknown or RunNeedsOperator
// for a run that has not ended. A failed run is a result, not an error. An
// error of kind Conflict says that another worker has the run; one of kind
// Credentials that AWS did not accept them, which fails no step: another Run
// with good ones goes on.
func (r *Runner) Run(ctx context.Context) (EndResult, error) {
	entries, err := r.Log.Entries(ctx, r.RunID)
	if err != nil {
		return EndResult{}, err
	}
	d := &drive{Runner: r, m: newMachine(r.Document), durable: entries}
	for _, e := range entries {
		if err := d.m.apply(e); err != nil {
			return d.park(ctx, knowngood.RunNeedsOperator, err.Error())
		}
	}
	if len(entries) == 0 && r.Start != nil {
		if err := d.add(*r.Start); err != nil {
			return EndResult{}, err
		}
	}
	for {
		next, err := d.m.next()
		if err != nil {
			return d.park(ctx, knowngood.RunNeedsOperator, err.Error())
		}
		result, err := d.step(ctx, next)
		switch {
		case errors.Is(err, errRebased):
		case err != nil:
			return EndResult{}, err
		case result != nil:
			return *result, nil
		}
	}
}
