package runbook

import (
	"time"

	"github.com/knowngood/knowngood"
)

// Decide is the outcome entry by which a person settles a write whose outcome
// could not be found out: with its response, which may be nil where no later step
// reads it, or as not done. The error, of kind Conflict, says that the log has no
// such write.
func (d *Document) Decide(log []knowngood.LogEntry, done bool, response map[string]any, reason string, now time.Time) (knowngood.LogEntry, error) {
	m := newMachine(d)
	for _, e := range log {
		if err := m.apply(e); err != nil {
			return knowngood.LogEntry{}, err
		}
	}
	if m.intent == nil {
		return knowngood.LogEntry{}, knowngood.E(knowngood.Conflict, "settle the run", "no write of it waits for its outcome")
	}
	last := log[len(log)-1]
	body := OutcomeBody{Service: m.intent.Service, Operation: m.intent.Operation, Settled: reason}
	if done {
		body.Response = response
		var err error
		if body.Outputs, body.Property, err = d.Project(last.Step, response); err != nil {
			return knowngood.LogEntry{}, knowngood.E(knowngood.Invalid, "settle the run", "the step %s needs the response of %s:%s: %w", last.Step, body.Service, body.Operation, err)
		}
	} else {
		body.Error = &CallError{Code: CodeNotDone, Message: reason}
	}
	e, err := Encode(knowngood.EntryOutcome, last.Step, last.Attempt, body)
	e.Seq, e.Time = last.Seq+1, now.UTC()
	return e, err
}
