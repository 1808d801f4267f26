package runbook

import (
	"context"
	"fmt"
	"time"

	"github.com/knowngood/knowngood"
)

// approve asks for decisions: enough approvals of distinct people, or one
// rejection. Without either the run waits, and ends when the deadline has
// passed.
func (d *drive) approve(ctx context.Context, next Next) (*EndResult, error) {
	// What led here must be durable before a person is shown it.
	if err := d.flush(ctx, knowngood.RunInProgress, "", nil); err != nil {
		return nil, err
	}
	var approvals []knowngood.Approval
	if d.Decisions != nil {
		var err error
		if approvals, err = d.Decisions(ctx, *next.Approve); err != nil {
			return nil, err
		}
	}
	body := DecisionBody{Approvals: approvals}
	people, rejected := map[string]bool{}, false
	for _, a := range approvals {
		people[a.By] = a.Approved
		rejected = rejected || !a.Approved
	}
	body.Approved = !rejected && len(people) >= next.Approve.Min
	deadline := next.Approve.Deadline
	switch {
	case body.Approved || rejected:
		return nil, d.addBody(knowngood.EntryDecision, next, body)
	case !deadline.IsZero() && !d.Clock.Now().Before(deadline):
		return nil, d.addBody(knowngood.EntryWake, next, WakeBody{Reason: "the time for a decision is over"})
	}
	if r := *next.Approve; r.NotificationArn != "" && !r.Told && d.Notify != nil {
		if how, ok := d.Notify(r); ok {
			notice := r.Notice(how)
			next.Call = &notice
			return d.call(ctx, next)
		}
	}
	message := fmt.Sprintf("step %s waits for approval, %d of %d given", next.Step, len(people), next.Approve.Min)
	if next.Approve.TellError != "" {
		message += "; " + next.Approve.NotificationArn + " was not told: " + next.Approve.TellError
	}
	if next.Approve.Pause {
		message = fmt.Sprintf("step %s: paused", next.Step)
	}
	var wake *time.Time
	if !deadline.IsZero() {
		wake = &deadline
	}
	return &EndResult{State: knowngood.RunWaiting, Message: message}, d.flush(ctx, knowngood.RunWaiting, message, wake)
}
