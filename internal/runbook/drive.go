package runbook

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

// drive is one Run.
type drive struct {
	*Runner
	m       *machine
	durable []knowngood.LogEntry // the log as it was last known
	pending []knowngood.LogEntry // applied, not yet durable
}

// errRebased says that the log was read again, so that what comes next has to
// be decided again.
var errRebased = errors.New("the log has new entries")

// step does what comes next. A result or an error ends the drive.
func (d *drive) step(ctx context.Context, next Next) (*EndResult, error) {
	switch next.Kind {
	case NextAppend:
		for _, e := range next.Entries {
			if err := d.add(e); err != nil {
				return nil, err
			}
		}
		return nil, nil
	case NextBranch:
		if len(next.Entries) > 0 {
			return nil, d.add(next.Entries[0])
		}
		e, err := d.Document.TakeBranch(next.Step, next.Attempt, next.Branch.Chosen)
		if err != nil {
			return nil, err
		}
		return nil, d.add(e)
	case NextCall:
		if next.Intent != nil {
			return d.settle(ctx, next, nil, 0)
		}
		return d.call(ctx, next)
	case NextEffect:
		return d.effect(ctx, next)
	case NextWait:
		return d.sleep(ctx, next)
	case NextApprove:
		return d.approve(ctx, next)
	case NextEnd:
		if len(d.pending) == 0 { // it had ended before; its state may say more by now
			return next.End, nil
		}
		return next.End, d.flush(ctx, next.End.State, next.End.Message, nil)
	}
	return nil, fmt.Errorf("run %s: unknown move %d", d.RunID, next.Kind)
}

// add numbers an entry, dates it, and takes it into the machine. It becomes
// durable with the next flush, at the latest before anything is sent.
func (d *drive) add(e knowngood.LogEntry) error {
	e.Seq = d.m.seq + 1
	e.Time = d.Clock.Now().UTC()
	if err := d.m.apply(e); err != nil {
		return err
	}
	d.pending = append(d.pending, e)
	return nil
}

func (d *drive) addBody(kind knowngood.EntryKind, n Next, body any) error {
	e, err := Encode(kind, n.Step, n.Attempt, body)
	if err != nil {
		return err
	}
	return d.add(e)
}

// flush makes the pending entries durable. It does so even after ctx ended: a
// fact that is known is worth more than a prompt end.
func (d *drive) flush(ctx context.Context, state knowngood.RunState, message string, wake *time.Time) error {
	if len(d.pending) == 0 && state == knowngood.RunInProgress {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	err := d.Log.Append(ctx, d.RunID, d.Epoch, d.pending, state, message, wake)
	if knowngood.KindOf(err) == knowngood.Conflict {
		return d.rebase(ctx, err)
	}
	if err != nil {
		return err
	}
	if d.OnEntry != nil {
		for _, e := range d.pending {
			d.OnEntry(e)
		}
	}
	d.durable = append(d.durable, d.pending...)
	d.pending = nil
	return nil
}

// rebase answers a conflict. One that a cancel request made, which anybody may
// append at any time, is no reason to lose the outcome of a write: the outcome
// is appended after it, and everything else is decided again. Any other
// conflict means that another worker has the run, and stands.
func (d *drive) rebase(ctx context.Context, conflict error) error {
	entries, err := d.Log.Entries(ctx, d.RunID)
	if err != nil || len(entries) <= len(d.durable) {
		return conflict
	}
	for _, e := range entries[len(d.durable):] {
		if e.Kind != knowngood.EntryCancel {
			return conflict
		}
	}
	m := newMachine(d.Document)
	for _, e := range entries {
		if err := m.apply(e); err != nil {
			return conflict
		}
	}
	pending := d.pending
	d.m, d.durable, d.pending = m, entries, nil
	if m.intent == nil || len(pending) == 0 || pending[0].Kind != knowngood.EntryOutcome {
		return errRebased
	}
	outcome := pending[0]
	outcome.Seq = m.seq + 1
	if err := m.apply(outcome); err != nil {
		return conflict
	}
	d.pending = []knowngood.LogEntry{outcome}
	if err := d.flush(ctx, knowngood.RunInProgress, "", nil); err != nil {
		return err
	}
	return errRebased
}

// park leaves the run for a person.
func (d *drive) park(ctx context.Context, state knowngood.RunState, message string) (EndResult, error) {
	return EndResult{State: state, Message: message}, d.flush(ctx, state, message, nil)
}

// sleep waits until a moment, or leaves the run where only a person helps.
func (d *drive) sleep(ctx context.Context, next Next) (*EndResult, error) {
	if next.For != "" {
		return d.await(ctx, next)
	}
	if next.Until.IsZero() {
		return &EndResult{State: knowngood.RunWaiting, Message: next.Reason}, d.flush(ctx, knowngood.RunWaiting, next.Reason, nil)
	}
	if wait := next.Until.Sub(d.Clock.Now()); wait > 0 {
		if err := d.flush(ctx, knowngood.RunWaiting, next.Reason, &next.Until); err != nil {
			return nil, err
		}
		if d.Patience > 0 && wait > d.Patience {
			return &EndResult{State: knowngood.RunWaiting, Message: next.Reason}, nil
		}
		sleeping, asked, stop := d.untilCancelled(ctx)
		defer stop()
		switch err := d.Clock.Sleep(sleeping, wait); {
		case err != nil && ctx.Err() == nil && isClosed(asked):
			return nil, d.rebase(ctx, knowngood.E(knowngood.Conflict, "run "+d.RunID, "its log has something else than the cancel request"))
		case err != nil:
			return nil, err
		}
	}
	return nil, d.addBody(knowngood.EntryWake, next, WakeBody{})
}

// untilCancelled is a context that ends when a cancel request comes, as asked is
// then closed; not on a path that leads back, which none ends.
func (d *drive) untilCancelled(ctx context.Context) (until context.Context, asked <-chan struct{}, stop context.CancelFunc) {
	until, stop = context.WithCancel(ctx)
	came := make(chan struct{})
	if d.Effects.Cancelled != nil && !d.m.recovery && d.m.cancel == nil {
		cancelled := d.Effects.Cancelled(until, d.RunID)
		go func() {
			select {
			case <-cancelled:
				close(came)
				stop()
			case <-until.Done():
			}
		}()
	}
	return until, came, stop
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// Coerce fits a call to the model: service and operation by the model's names,
// and text made the types that the operation takes. The error says what does
// not fit.
func (c CallRequest) Coerce(cat *awsapi.Catalog) (CallRequest, error) {
	c, op, err := c.Fit(cat)
	if err != nil {
		return c, err
	}
	return c, op.Validate(c.Input)
}

// Fit is Coerce without the check of what the values are: for inputs in which
// something stands for what only the run will bring.
func (c CallRequest) Fit(cat *awsapi.Catalog) (CallRequest, *awsapi.Operation, error) {
	service, err := serviceOf(cat, c.Service)
	if err != nil {
		return c, nil, err
	}
	op, err := service.Operation(c.Operation)
	if err != nil {
		return c, nil, err
	}
	c.Service, c.Operation = op.Service.Name, op.Name
	input, err := blobs(op.Input, c.Input, c.logged)
	if err != nil {
		return c, nil, err
	}
	in, err := op.Coerce(unlist(op.Input, input).(map[string]any))
	if err != nil {
		return c, nil, err
	}
	c.Input = in
	return c, op, nil
}

// unlist gives members that the model wants a single text, number or boolean for
// the element of a list of one, as outputs are converted.
func unlist(s *awsapi.Shape, v any) any {
	if s == nil || s.Is(awsapi.Document) {
		return v
	}
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, item := range v {
			out[name] = item
			switch member := s.Member(name); {
			case s.Type == awsapi.Map:
				out[name] = unlist(s.Elem.Shape, item)
			case s.Type == awsapi.Structure && member != nil:
				out[name] = unlist(member.Shape, item)
			}
		}
		return out
	case []any:
		switch s.Type {
		case awsapi.List:
			out := make([]any, len(v))
			for i, item := range v {
				out[i] = unlist(s.Elem.Shape, item)
			}
			return out
		case awsapi.String, awsapi.Integer, awsapi.Long, awsapi.Float, awsapi.Double, awsapi.Boolean:
			if len(v) == 1 && scalar(v[0]) {
				return v[0]
			}
		}
	}
	return v
}

// blobs makes text bytes where the model wants bytes: what a document has is the
// bytes themselves, what a log has is base64.
func blobs(s *awsapi.Shape, v any, logged bool) (any, error) {
	if s == nil || !slices.Contains([]awsapi.ShapeType{awsapi.Structure, awsapi.Map, awsapi.List, awsapi.Blob}, s.Type) {
		return v, nil
	}
	switch v := v.(type) {
	case string:
		if s.Type != awsapi.Blob {
			return v, nil
		}
		if logged {
			return base64.StdEncoding.DecodeString(v)
		}
		return []byte(v), nil
	case []any:
		if s.Type != awsapi.List {
			return v, nil
		}
		out := make([]any, len(v))
		for i, item := range v {
			var err error
			if out[i], err = blobs(s.Elem.Shape, item, logged); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, item := range v {
			var shape *awsapi.Shape
			switch member := s.Member(name); {
			case s.Type == awsapi.Map:
				shape = s.Elem.Shape
			case s.Type == awsapi.Structure && member != nil:
				shape = member.Shape
			}
			var err error
			if out[name], err = blobs(shape, item, logged); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

// call makes a call; a write only after its intent is durable.
func (d *drive) call(ctx context.Context, next Next) (*EndResult, error) {
	call, err := next.Call.Coerce(d.Catalog)
	if err != nil {
		return nil, d.outcome(next, call, nil, &CallError{Code: CodeInvalidInput, Message: err.Error()}, "")
	}
	if err := ctx.Err(); err != nil {
		return nil, errors.Join(err, d.flush(ctx, knowngood.RunInProgress, "", nil))
	}
	// The facts so far first: what was learnt must not wait for an answer, and a
	// cancel request shows itself here. A wake alone can wait, as can a run's start.
	if d.writes(call) || !d.idle() {
		if err := d.flush(ctx, knowngood.RunInProgress, "", nil); err != nil {
			return nil, err
		}
	}
	if !d.writes(call) {
		response, err := d.Caller.Call(d.callContext(ctx, next.Step), call.Service, call.Operation, call.Input)
		if err != nil && ctx.Err() != nil {
			return nil, errors.Join(ctx.Err(), d.flush(ctx, knowngood.RunInProgress, "", nil))
		}
		if rejected(err) {
			return nil, d.locked(ctx, next, err)
		}
		return nil, d.received(next, call, response, err)
	}
	if d.Settler != nil {
		call, err = d.Settler.Prepare(d.RunID, next.Step, next.Attempt, call)
	}
	if err != nil {
		return nil, d.outcome(next, call, nil, &CallError{Code: CodeInvalidInput, Message: err.Error()}, "")
	}
	intent := IntentBody{
		Service: call.Service, Operation: call.Operation,
		Account: d.m.start.Place.Account, Region: d.m.start.Place.Region, Role: d.m.start.Role,
		Input: plain(call.Input).(map[string]any),
	}
	if d.CallID != nil {
		intent.CallID = d.CallID(next.Step, next.Attempt, call)
	}
	if err := d.addBody(knowngood.EntryIntent, next, intent); err != nil {
		return nil, err
	}
	if err := d.flush(ctx, knowngood.RunInProgress, "", nil); err != nil {
		return nil, err
	}
	return d.send(ctx, next, call, 1)
}

// idle says whether what is pending is nothing that was learnt.
func (d *drive) idle() bool {
	if len(d.durable) == 0 {
		return len(d.pending) <= 2 && d.OnEntry == nil // run and step have started
	}
	return len(d.pending) == 1 && d.pending[0].Kind == knowngood.EntryWake
}

// writes says whether a call needs an intent.
func (d *drive) writes(call CallRequest) bool {
	if call.Purpose == PurposeInvoke {
		return true
	}
	if d.Class != nil {
		return d.Class(call.Service, call.Operation) == knowngood.Write
	}
	op, err := d.Catalog.Operation(call.Service, call.Operation)
	return err != nil || op.ClassOf(call.Input) == awsapi.Write
}

// grace is for how long a write that is under way may go on after ctx ended:
// an answer that is heard need not be looked for.
const grace = 5 * time.Second

// sends is how often a write is sent by one Run where it turns out each time that
// it was not done, as after a lost connection.
const sends = 2

// lasting is a context that ends a while after ctx.
func (d *drive) lasting(ctx context.Context) (context.Context, func()) {
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		// The error is that the call was answered first.
		_ = d.Clock.Sleep(sending, grace)
		cancel()
	})
	return sending, func() { stop(); cancel() }
}

// send sends a write whose intent is durable, for the nth time.
func (d *drive) send(ctx context.Context, next Next, call CallRequest, nth int) (*EndResult, error) {
	sending, stop := d.lasting(ctx)
	defer stop()
	response, err := d.Caller.Call(d.callContext(sending, next.Step), call.Service, call.Operation, call.Input)
	switch {
	case err == nil:
		return nil, d.received(next, call, response, nil)
	case rejected(err):
		return nil, d.locked(ctx, next, err)
	case definite(err):
		if reason := d.isThere(call, err); reason != "" {
			return nil, d.outcome(next, call, nil, nil, reason)
		}
		return nil, d.received(next, call, nil, err)
	case ctx.Err() != nil:
		return nil, errors.Join(ctx.Err(), d.flush(ctx, knowngood.RunInProgress, "", nil))
	}
	return d.settle(ctx, next, callError(err), nth)
}

// isThere says how a refusal shows that the write's effect is there already.
func (d *drive) isThere(call CallRequest, refusal error) string {
	if d.Settler == nil || knowngood.KindOf(refusal) == knowngood.Refused {
		return ""
	}
	return d.Settler.IsThere(call, callError(refusal))
}

// settle finds out what became of a write. sent is the error with which this
// Run's nth sending ended; nil: the write is of an earlier Run.
func (d *drive) settle(ctx context.Context, next Next, sent *CallError, nth int) (*EndResult, error) {
	intent := next.Intent
	if intent == nil {
		intent = d.m.intent
	}
	call := CallRequest{Service: intent.Service, Operation: intent.Operation, Input: intent.Input, Purpose: PurposeExecute, logged: true}
	s, err := Settlement{Reason: "nothing says how to find it out"}, error(nil)
	if d.Settler != nil {
		s, err = d.Settler.Settle(d.callContext(ctx, next.Step), d.Caller, d.RunID, *intent)
	}
	switch {
	case rejected(err):
		return nil, d.locked(ctx, next, err)
	case err != nil:
		return nil, errors.Join(err, d.flush(ctx, knowngood.RunInProgress, "", nil))
	case s.Known:
		return nil, d.outcome(next, call, s.Response, s.Error, or(s.Reason, "found after the answer was lost"))
	case s.Repeat && sent != nil && (nth >= sends || !sent.Retryable):
		// It was not done: the error stands, and the step's attempts decide.
		return nil, d.outcome(next, call, nil, sent, or(s.Reason, "not done"))
	case s.Repeat:
		if call, err = call.Coerce(d.Catalog); err != nil {
			return nil, d.outcome(next, call, nil, &CallError{Code: CodeInvalidInput, Message: err.Error()}, "")
		}
		return d.send(ctx, next, call, nth+1)
	}
	if _, person := d.m.step.run.(personal); person {
		// The run waits for a person all the same, who need not be told twice.
		return nil, d.outcome(next, call, nil, &CallError{Code: CodeOutcomeUnknown, Message: "nobody knows whether it was published"}, or(s.Reason, "not known"))
	}
	message := fmt.Sprintf("step %s: the outcome of %s:%s is unknown: %s", next.Step, intent.Service, intent.Operation, s.Reason)
	if sent != nil {
		message += " (" + sent.Error() + ")"
	}
	return &EndResult{State: knowngood.RunOutcomeUnknown, FailedStep: next.Step, Message: message}, d.flush(ctx, knowngood.RunOutcomeUnknown, message, nil)
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// definite says that a write that ended in an error did not take place: the
// service, or a decorator before it, refused it.
func definite(err error) bool {
	if knowngood.KindOf(err) == knowngood.Refused {
		return true
	}
	var e *awsapi.Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Refused()
}

// rejected says that AWS did not accept the credentials of a call.
func rejected(err error) bool {
	var e *awsapi.Error
	return errors.As(err, &e) && e.Credentials()
}

// locked leaves the run where it is, for a later Run with good credentials: that
// they are bad says nothing about the step, and a way back would fail on them
// too. The intent of a write stays open, and is settled then.
func (d *drive) locked(ctx context.Context, next Next, err error) error {
	out := (&knowngood.Error{Kind: knowngood.Credentials, Op: "run " + d.RunID + ", step " + next.Step, Err: err}).
		WithHint("sign in again and apply the plan once more: its run goes on where it stopped")
	return errors.Join(out, d.flush(ctx, knowngood.RunInProgress, "", nil))
}

func callError(err error) *CallError {
	var e *awsapi.Error
	if errors.As(err, &e) {
		message := e.Message
		if message == "" && e.Err != nil {
			message = e.Err.Error()
		}
		return &CallError{Code: e.Code, Message: message, Retryable: e.Retryable}
	}
	return &CallError{Code: "Failed", Message: err.Error()}
}

// received takes a call's answer.
func (d *drive) received(next Next, call CallRequest, response map[string]any, err error) error {
	if err != nil && knowngood.KindOf(err) == knowngood.Refused {
		return d.addBody(knowngood.EntryDrift, next, DriftBody{Reason: err.Error()})
	}
	if err != nil {
		return d.outcome(next, call, nil, callError(err), "")
	}
	return d.outcome(next, call, response, nil, "")
}

// outcome records what a call gave: of a read what the step reads of it, of a
// write all.
func (d *drive) outcome(next Next, call CallRequest, response map[string]any, failed *CallError, settled string) error {
	body := OutcomeBody{Service: call.Service, Operation: call.Operation, Error: failed, Settled: settled}
	if failed == nil {
		if err := drain(response); err != nil {
			body.Error = &CallError{Code: awsapi.CodeIncompleteResponse, Message: err.Error(), Retryable: true}
			return d.addBody(knowngood.EntryOutcome, next, body)
		}
		var err error
		body.Outputs, body.Property, err = d.Document.Project(next.Step, response)
		if err != nil {
			body.Error = &CallError{Code: CodeInvalidOutput, Message: err.Error()}
		}
		if d.m.intent != nil {
			body.Response, _ = plain(response).(map[string]any)
		}
	}
	return d.addBody(knowngood.EntryOutcome, next, body)
}

// drain reads the streams of a response, so that its values can be logged.
func drain(response map[string]any) error {
	for name, v := range response {
		body, ok := v.(io.Reader)
		if !ok {
			continue
		}
		var b strings.Builder
		_, err := io.Copy(&b, io.LimitReader(body, maxResolved+1))
		if c, ok := v.(io.Closer); ok {
			err = errors.Join(err, c.Close())
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if b.Len() > maxResolved {
			return fmt.Errorf("%s has more than %d bytes", name, maxResolved)
		}
		response[name] = b.String()
	}
	return nil
}

func (d *drive) callContext(ctx context.Context, step string) context.Context {
	if d.CallContext == nil {
		return ctx
	}
	return d.CallContext(ctx, step)
}
