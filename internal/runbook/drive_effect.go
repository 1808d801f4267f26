package runbook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
)

// resumeEffect goes on with an effect that has an intent and no outcome. Its
// request is made again from the document and the log.
func (m *machine) resumeEffect(n Next) (Next, error) {
	n.Kind, n.Intent = NextEffect, m.intent
	t, err := m.turn()
	if err != nil {
		return Next{}, knowngood.E(knowngood.Invalid, "replay the log", "step %s: %v", m.at, err)
	}
	mv := move{}
	if stop, ok := m.step.run.(stopper); ok && m.intent.Operation == EffectStop {
		if s := stop.stop(t); s != nil {
			mv = *s
		}
	} else {
		mv = m.step.run.next(t)
	}
	if mv.effect == nil || mv.effect.Action != m.intent.Service || mv.effect.Operation != m.intent.Operation {
		return Next{}, knowngood.E(knowngood.Invalid, "replay the log", "step %s does not want %s:%s, which has an intent and no outcome", m.at, m.intent.Service, m.intent.Operation)
	}
	n.Effect = mv.effect
	return n, nil
}

// inScript takes an entry of a script under way: a write of its own, or its end.
func (m *machine) inScript(e knowngood.LogEntry) error {
	if e.Kind == knowngood.EntryIntent {
		b, err := Decode[IntentBody](e)
		if err == nil && m.inner != nil {
			err = fmt.Errorf("%s:%s has an intent and no outcome yet", m.inner.Service, m.inner.Operation)
		}
		m.inner = &b
		return err
	}
	b, err := Decode[OutcomeBody](e)
	if err != nil {
		return err
	}
	if b.Service != scriptAction {
		if m.inner == nil || m.inner.Service != b.Service || m.inner.Operation != b.Operation {
			return fmt.Errorf("it is of %s:%s, which has no intent", b.Service, b.Operation)
		}
		m.written = append(slices.Clip(m.written), ScriptWrite{*m.inner, b})
		m.inner = nil
		return nil
	}
	if m.inner != nil {
		return fmt.Errorf("%s:%s has an intent and no outcome yet", m.inner.Service, m.inner.Operation)
	}
	m.intent, m.waiting, m.waited = nil, nil, false
	m.outcomes = append(m.outcomes, b)
	return nil
}

// effect does an effect; one that can't be done twice only after its intent is
// durable.
func (d *drive) effect(ctx context.Context, next Next) (*EndResult, error) {
	if err := ctx.Err(); err != nil {
		return nil, errors.Join(err, d.flush(ctx, knowngood.RunInProgress, "", nil))
	}
	if next.Intent != nil {
		return d.again(ctx, next)
	}
	var invoke InvokeWebhook
	if next.Effect.Webhook != nil { // what can be known before it is sent need not be asked of a person
		if d.Effects.Webhooks == nil {
			return nil, d.unavailable(next, "nothing here invokes webhooks")
		}
		var err error
		if invoke, err = d.Effects.Webhooks.FindWebhook(d.callContext(ctx, next.Step), *next.Effect.Webhook); err != nil {
			return d.performed(ctx, next, nil, err)
		}
	}
	if next.Effect.Operation != EffectLook {
		intent := IntentBody{
			Service: next.Effect.Action, Operation: next.Effect.Operation, Input: next.Effect.Input,
			Account: d.m.start.Place.Account, Region: d.m.start.Place.Region, Role: d.m.start.Role,
		}
		if err := d.addBody(knowngood.EntryIntent, next, intent); err != nil {
			return nil, err
		}
	}
	if err := d.flush(ctx, knowngood.RunInProgress, "", nil); err != nil {
		return nil, err
	}
	if invoke != nil {
		return d.invoke(ctx, next, invoke)
	}
	return d.perform(ctx, next)
}

// invoke invokes a webhook, once.
func (d *drive) invoke(ctx context.Context, next Next, invoke InvokeWebhook) (*EndResult, error) {
	sending, stop := d.lasting(ctx)
	defer stop()
	out, err := invoke(d.callContext(sending, next.Step))
	if err != nil && !errors.As(err, new(*knowngood.Error)) {
		return d.unknown(ctx, next, *d.m.intent, err.Error())
	}
	return d.performed(ctx, next, map[string]any{"Response": out.Body, "ResponseCode": int64(out.Code)}, err)
}

// again settles an effect whose outcome is not known: all but a webhook may be
// asked for once more.
func (d *drive) again(ctx context.Context, next Next) (*EndResult, error) {
	if next.Effect.Webhook != nil {
		return d.unknown(ctx, next, *next.Intent, "a webhook is invoked once only")
	}
	if d.m.inner != nil {
		if result, err := d.settleInner(ctx, next); result != nil || err != nil {
			return result, err
		}
	}
	return d.perform(ctx, next)
}

// unknown leaves a run whose write has an outcome that nobody knows.
func (d *drive) unknown(ctx context.Context, next Next, intent IntentBody, why string) (*EndResult, error) {
	message := fmt.Sprintf("step %s: the outcome of %s:%s is unknown: %s", next.Step, intent.Service, intent.Operation, why)
	return &EndResult{State: knowngood.RunOutcomeUnknown, FailedStep: next.Step, Message: message}, d.flush(ctx, knowngood.RunOutcomeUnknown, message, nil)
}

func (d *drive) perform(ctx context.Context, next Next) (*EndResult, error) {
	ctx = d.callContext(ctx, next.Step)
	switch e := next.Effect; {
	case e.Script != nil:
		return d.script(ctx, next)
	case d.Effects.Automations == nil:
		return nil, d.unavailable(next, "nothing here runs other automations")
	case e.Automation != nil:
		r := *e.Automation
		r.Attempt, r.Inputs, r.Key = next.Attempt, e.Input, fmt.Sprintf("%s/%s/%d", d.RunID, next.Step, next.Attempt)
		id, err := d.Effects.Automations.StartAutomation(ctx, r)
		return d.performed(ctx, next, started(id), err)
	case e.Operation == EffectStop:
		return d.performed(ctx, next, map[string]any{"ExecutionId": e.Execution}, d.Effects.Automations.StopAutomation(ctx, e.Execution))
	default:
		status, err := d.Effects.Automations.LookAutomation(ctx, e.Execution)
		return d.performed(ctx, next, StatusOutputs(e.Execution, status), err)
	}
}

// performed takes what an effect gave.
func (d *drive) performed(ctx context.Context, next Next, response map[string]any, err error) (*EndResult, error) {
	call := CallRequest{Service: next.Effect.Action, Operation: next.Effect.Operation}
	switch {
	case err == nil:
		return nil, d.outcome(next, call, response, nil, "")
	case ctx.Err() != nil:
		return nil, errors.Join(ctx.Err(), d.flush(ctx, knowngood.RunInProgress, "", nil))
	case rejected(err):
		return nil, d.locked(ctx, next, err)
	case knowngood.KindOf(err) == knowngood.Refused:
		return nil, d.addBody(knowngood.EntryDrift, next, DriftBody{Reason: err.Error()})
	}
	return nil, d.outcome(next, call, nil, callError(err), "")
}

// await waits for the end of another automation, as far as this process is to; the
// row says what the run waits for meanwhile.
func (d *drive) await(ctx context.Context, next Next) (*EndResult, error) {
	var wake *time.Time
	if !next.Until.IsZero() {
		wake = &next.Until
	}
	if err := d.flush(ctx, knowngood.RunWaiting, next.Reason, wake); err != nil {
		return nil, err
	}
	if d.Effects.Automations == nil {
		return &EndResult{State: knowngood.RunWaiting, Message: next.Reason}, nil
	}
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	if d.Effects.Cancelled != nil && !d.m.recovery && !d.m.interrupted() {
		cancelled := d.Effects.Cancelled(waiting, d.RunID)
		go func() {
			select {
			case <-cancelled:
				stop()
			case <-waiting.Done():
			}
		}()
	}
	status, err := d.Effects.Automations.AwaitAutomation(waiting, next.For, next.Until)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case waiting.Err() != nil: // for a cancel request
		return nil, d.reread(ctx)
	case err != nil:
		return nil, err
	case status.State.Ended():
		return nil, d.addBody(knowngood.EntryWake, next, WakeBody{Ended: true})
	case wake != nil && !d.Clock.Now().Before(*wake):
		return nil, d.addBody(knowngood.EntryWake, next, WakeBody{})
	}
	message := fmt.Sprintf("step %s waits for the automation %s, which is %s", next.Step, next.For, status.State)
	if status.Message != "" {
		message += ": " + status.Message
	}
	return &EndResult{State: knowngood.RunWaiting, Message: message}, d.flush(ctx, knowngood.RunWaiting, message, wake)
}

// reread takes up what others wrote into the log.
func (d *drive) reread(ctx context.Context) error {
	return d.rebase(ctx, knowngood.E(knowngood.Conflict, "read the log of run "+d.RunID, "nothing new is in it"))
}

func (d *drive) unavailable(next Next, why string) error {
	call := CallRequest{Service: next.Effect.Action, Operation: next.Effect.Operation}
	return d.outcome(next, call, nil, &CallError{Code: CodeUnavailable, Message: why}, "")
}

// maxScriptLog is how much of what a script printed is kept, in bytes.
const maxScriptLog = 64 << 10

// script runs a script, and kills it when a cancel request comes.
func (d *drive) script(ctx context.Context, next Next) (*EndResult, error) {
	if d.Effects.Scripts == nil {
		return nil, d.unavailable(next, "nothing here runs scripts")
	}
	r := *next.Effect.Script
	r.RunID, r.Step, r.Attempt = d.RunID, next.Step, next.Attempt
	var err error
	if r.Files, err = d.attachments(ctx); err != nil {
		return nil, d.unavailable(next, err.Error())
	}
	running, asked, stop := d.untilCancelled(ctx)
	defer stop()
	calls := &scriptCaller{drive: d, next: next}
	r.Caller = calls
	result, err := d.Effects.Scripts.RunScript(running, r)
	calls.close()
	// First what the script's writes say, which must not be lost.
	if calls.err != nil {
		return nil, calls.err
	}
	if calls.unknown != "" {
		message := "step " + next.Step + ": " + calls.unknown
		return &EndResult{State: knowngood.RunOutcomeUnknown, FailedStep: next.Step, Message: message}, d.flush(ctx, knowngood.RunOutcomeUnknown, message, nil)
	}
	call := CallRequest{Service: scriptAction, Operation: EffectRun}
	switch {
	case err != nil && isClosed(asked):
		return nil, d.outcome(next, call, nil, &CallError{Code: CodeCancelled, Message: "killed for a cancel request"}, "")
	case ctx.Err() != nil && err != nil:
		return nil, errors.Join(ctx.Err(), d.flush(ctx, knowngood.RunInProgress, "", nil))
	case calls.refused != nil:
		return nil, d.addBody(knowngood.EntryDrift, next, DriftBody{Reason: calls.refused.Error()})
	case err != nil:
		return nil, d.unavailable(next, err.Error())
	case result.Error != nil:
		return nil, d.outcome(next, call, nil, result.Failure(), "")
	}
	payload, err := limitPayload(result.Payload)
	if err != nil {
		return nil, d.outcome(next, call, nil, &CallError{Code: CodeInvalidOutput, Message: err.Error()}, "")
	}
	return nil, d.outcome(next, call, map[string]any{"Payload": payload, "Log": tail(result.Log, maxScriptLog)}, nil, "")
}

// AWS's limits of what a script may return.
const (
	maxPayload      = 100 << 10 // bytes as JSON
	maxPayloadItems = 100       // of a list; more are cut off
)

func limitPayload(v any) (any, error) {
	v = plain(v)
	if list, ok := v.([]any); ok && len(list) > maxPayloadItems {
		v = list[:maxPayloadItems]
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("what the script returned has no form in JSON: %w", err)
	}
	if len(raw) > maxPayload {
		return nil, fmt.Errorf("the script returned %d bytes, at most %d are allowed", len(raw), maxPayload)
	}
	return v, nil
}

// Failure is the result's error, with the end of what the script printed; nil:
// it went well.
func (r ScriptResult) Failure() *CallError {
	if r.Error == nil {
		return nil
	}
	e := *r.Error
	if log := strings.TrimSpace(tail(r.Log, 2000)); log != "" {
		e.Message += "\n" + log
	}
	return &e
}

func tail(s string, most int) string {
	if len(s) > most {
		return s[len(s)-most:]
	}
	return s
}

// attachments are the document's files.
func (d *drive) attachments(ctx context.Context) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, a := range d.Document.files {
		if d.Effects.Attachment == nil {
			return nil, a.missing(errors.New("nothing here has the document's attachments"))
		}
		raw, err := d.Effects.Attachment(ctx, a.Name, a.SHA256)
		if err != nil {
			return nil, a.missing(err)
		}
		if err := a.check(raw); err != nil {
			return nil, err
		}
		files[a.Name] = raw
	}
	return files, nil
}
