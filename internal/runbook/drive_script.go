package runbook

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

// scriptCaller makes the calls of a script. Reads pass; writes go one by one,
// each with its intent in the log before it and its outcome after it. A write
// that the log has from before a crash is answered from there.
type scriptCaller struct {
	drive *drive
	next  Next

	mu     sync.Mutex
	closed bool
	nth    int // writes so far
	// One of these ends the script.
	err     error  // that ends the drive
	refused error  // a call was refused, as the plan does not have it
	unknown string // why a person has to look
}

// errScriptOver is what calls get that come when the script's run is over.
var errScriptOver = errors.New("the script is over")

// close lets no call begin any more, and waits for the one under way.
func (c *scriptCaller) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
}

// Call implements awsapi.Caller.
func (c *scriptCaller) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	d := c.drive
	call := CallRequest{Service: service, Operation: operation, Input: in, Purpose: PurposeExecute}
	ctx = d.callContext(ctx, c.next.Step)
	if !d.writes(call) {
		out, err := d.Caller.Call(ctx, service, operation, in, opts...)
		if knowngood.KindOf(err) == knowngood.Refused { // a sensitive read that the plan does not have
			c.mu.Lock()
			defer c.mu.Unlock()
			c.refused = err
		}
		return out, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed || c.err != nil || c.unknown != "":
		return nil, errScriptOver
	case c.refused != nil:
		return nil, c.refused
	}
	return c.write(ctx, call, opts)
}

func (c *scriptCaller) write(ctx context.Context, call CallRequest, opts []awsapi.CallOption) (map[string]any, error) {
	d := c.drive
	c.nth++
	if d.Settler != nil {
		var err error
		if call, err = d.Settler.Prepare(d.RunID, ScriptStep(c.next.Step, c.nth), c.next.Attempt, call); err != nil {
			return nil, err
		}
	}
	input, _ := plain(call.Input).(map[string]any)
	place := d.m.start.Place
	to := awsapi.Options(opts...)
	intent := IntentBody{Service: call.Service, Operation: call.Operation, Account: or(to.Account, place.Account), Region: or(to.Region, place.Region), Role: or(to.Principal, d.m.start.Role), Input: input}
	if c.nth <= len(d.m.written) {
		return c.answerEarlier(intent)
	}
	if d.m.inner != nil { // it was not done before the crash, and may be sent again
		if !sameWrite(*d.m.inner, intent) {
			return nil, c.diverged(*d.m.inner, intent)
		}
	} else {
		if d.CallID != nil {
			intent.CallID = d.CallID(c.next.Step, c.next.Attempt, call)
		}
		if c.err = d.addBody(knowngood.EntryIntent, c.next, intent); c.err == nil {
			c.err = d.flush(ctx, knowngood.RunInProgress, "", nil)
		}
		if errors.Is(c.err, errRebased) {
			c.err = nil
			if d.m.inner == nil { // nothing was sent; the entry has to come after the request
				if c.err = d.addBody(knowngood.EntryIntent, c.next, intent); c.err == nil {
					c.err = d.flush(ctx, knowngood.RunInProgress, "", nil)
				}
			}
		}
		if c.err != nil {
			return nil, errScriptOver
		}
	}
	out, err := d.Caller.Call(ctx, call.Service, call.Operation, call.Input, opts...)
	return c.answered(ctx, call, out, err)
}

// answered logs what a write of the script gave, and gives it to the script.
func (c *scriptCaller) answered(ctx context.Context, call CallRequest, out map[string]any, err error) (map[string]any, error) {
	d := c.drive
	body := OutcomeBody{Service: call.Service, Operation: call.Operation}
	switch {
	case err == nil:
		if drained := drain(out); drained != nil {
			c.lost(call, drained.Error())
			return nil, errScriptOver
		}
		body.Response, _ = plain(out).(map[string]any)
	case definite(err):
		body.Error = callError(err)
		var answer *awsapi.Error
		if errors.As(err, &answer) {
			body.Error.Status = answer.Status
		}
		if knowngood.KindOf(err) == knowngood.Refused {
			c.refused = err
		}
	default:
		c.lost(call, err.Error())
		if s, settled := c.settle(ctx); settled != nil {
			c.err = settled
		} else if s.Known {
			c.unknown, err, out = "", nil, s.Response
			body.Response, body.Settled = s.Response, or(s.Reason, "found after the answer was lost")
			if s.Error != nil {
				body.Error, err = s.Error, &awsapi.Error{Code: s.Error.Code, Message: s.Error.Message, Service: call.Service, Operation: call.Operation}
			}
		} else if s.Repeat {
			c.unknown, body.Error, body.Settled = "", callError(err), or(s.Reason, "not done")
		}
		if c.err != nil || c.unknown != "" {
			return nil, errScriptOver
		}
	}
	if c.err = d.addBody(knowngood.EntryOutcome, c.next, body); c.err == nil {
		c.err = d.flush(ctx, knowngood.RunInProgress, "", nil)
	}
	if errors.Is(c.err, errRebased) {
		c.err = nil
	}
	if c.err != nil {
		return nil, errScriptOver
	}
	return out, err
}

// lost says that nobody knows what became of a write.
func (c *scriptCaller) lost(call CallRequest, why string) {
	c.unknown = fmt.Sprintf("the outcome of the script's %s:%s is unknown: %s", call.Service, call.Operation, why)
}

// diverged ends a script that was run again and went another way.
func (c *scriptCaller) diverged(was, is IntentBody) error {
	c.unknown = fmt.Sprintf("the script, run again after the process ended, wants %s:%s where it had made %s:%s", is.Service, is.Operation, was.Service, was.Operation)
	return errScriptOver
}

// settle finds out what became of the write under way.
func (c *scriptCaller) settle(ctx context.Context) (Settlement, error) {
	d := c.drive
	if d.Settler == nil {
		return Settlement{}, nil
	}
	return d.Settler.Settle(ctx, d.Caller, d.RunID, *d.m.inner)
}

// answerEarlier answers a write as it was answered before the process ended.
func (c *scriptCaller) answerEarlier(intent IntentBody) (map[string]any, error) {
	w := c.drive.m.written[c.nth-1]
	if !sameWrite(w.Intent, intent) {
		return nil, c.diverged(w.Intent, intent)
	}
	if e := w.Outcome.Error; e != nil {
		return nil, &awsapi.Error{Code: e.Code, Message: e.Message, Status: e.Status, Retryable: e.Retryable, Service: intent.Service, Operation: intent.Operation}
	}
	return w.Outcome.Response, nil
}

func sameWrite(a, b IntentBody) bool {
	return a.Service == b.Service && a.Operation == b.Operation && a.Region == b.Region && text(a.Input) == text(b.Input)
}

// settleInner finds out what became of the write that a script was about to make
// when the process ended. A result ends the drive; none: the script may be run
// again.
func (d *drive) settleInner(ctx context.Context, next Next) (*EndResult, error) {
	inner := *d.m.inner
	s := Settlement{Reason: "nothing says how to find it out"}
	if d.Settler != nil {
		var err error
		if s, err = d.Settler.Settle(d.callContext(ctx, next.Step), d.Caller, d.RunID, inner); err != nil {
			if rejected(err) {
				return nil, d.locked(ctx, next, err)
			}
			return nil, errors.Join(err, d.flush(ctx, knowngood.RunInProgress, "", nil))
		}
	}
	switch {
	case s.Known:
		body := OutcomeBody{Service: inner.Service, Operation: inner.Operation, Response: s.Response, Error: s.Error, Settled: or(s.Reason, "found after the answer was lost")}
		return nil, d.addBody(knowngood.EntryOutcome, next, body)
	case s.Repeat:
		return nil, nil
	}
	return d.unknown(ctx, next, inner, fmt.Sprintf("a write of the script: %s", s.Reason))
}
