package remedy

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
)

// coerce is CallRequest's Coerce, for inputs in which placeholders stand for what
// has a length of its own.
func (e *exploration) coerce(c runbook.CallRequest) (runbook.CallRequest, error) {
	call, err := c.Coerce(e.Catalog)
	if err == nil || !hasPlaceholder(plain(c.Input)) {
		return call, err
	}
	fitted, op, unfit := c.Fit(e.Catalog)
	if unfit != nil {
		return call, err
	}
	in, _ := standIn(op.Input, plain(fitted.Input)).(map[string]any)
	if op.Validate(in) != nil {
		return call, err
	}
	return fitted, nil
}

// unplanned answers a call whose input only the run will show, as if it had gone
// well.
func (e *exploration) unplanned(w *way, next runbook.Next) error {
	e.incomplete("the input of %s:%s in the step %s is known only when it is run", next.Call.Service, next.Call.Operation, next.Step)
	body := runbook.OutcomeBody{Service: next.Call.Service, Operation: next.Call.Operation, Assumed: true}
	body.Property, _ = e.req.Document.Awaited(next.Step, inputsOf(w.run.Log(), next.Step), next.Call.Operation)
	e.supposed(w, next.Step, func(string) bool { return true })
	return w.entry(knowngood.EntryOutcome, next, body)
}

// standIn makes placeholders as long as what they stand for has to be.
func standIn(s *awsapi.Shape, v any) any {
	switch v := v.(type) {
	case string:
		if short := int(s.Min) - utf8.RuneCountInString(v); s.Type == awsapi.String && hasPlaceholder(v) && short > 0 {
			return v + strings.Repeat("x", short)
		}
		return v
	case []any:
		if s.Type != awsapi.List {
			return v
		}
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = standIn(s.Elem.Shape, e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = e
			switch member := s.Member(k); {
			case s.Type == awsapi.Map:
				out[k] = standIn(s.Elem.Shape, e)
			case member != nil:
				out[k] = standIn(member.Shape, e)
			}
		}
		return out
	}
	return v
}

// mustBeSeen are members that the models mark sensitive and that who approves has
// to see: what a command does on an instance, what a function is given, by which key
// is encrypted. They are in the plan's document, or on the resource, in clear as well.
var mustBeSeen = map[string][]string{
	"ssm:SendCommand":              {"Parameters"},
	"lambda:Invoke":                {"Payload"},
	"stepfunctions:StartExecution": {"input"},
	"s3:PutBucketEncryption":       {"ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault.KMSMasterKeyID"}, // an id; a bucket has one rule
}

// forkCancel follows what a cancel request does to a step, into a part.
func (e *exploration) forkCancel(w *way, step string, part *partBuilder) error {
	other := w.fork(part)
	cancel, err := runbook.Encode(knowngood.EntryCancel, "", 0, runbook.CancelBody{})
	if err != nil {
		return err
	}
	if err := other.add(cancel); err != nil {
		return err
	}
	e.later(other, step+" cancelled")
	return nil
}

// forkSleep follows what a cancel request leads to that comes while a step sleeps,
// which makes no call.
func (e *exploration) forkSleep(w *way, step string) error {
	_, cancel := e.req.Document.WaysOut(step)
	s, ok := e.req.Document.Step(step)
	if !ok || s.Action != "aws:sleep" || w.part.name != knowngood.MainPart || cancel == runbook.End {
		return nil
	}
	return e.forkCancel(w, step, e.part(cancel, step+" is cancelled"))
}

// effect answers what is no call of AWS's API, a script for one, as if it had
// gone well. What it does is not known beforehand, so the plan is incomplete.
func (e *exploration) effect(w *way, next runbook.Next) error {
	if w.fail == next.Step {
		return w.entry(knowngood.EntryOutcome, next, runbook.OutcomeBody{Service: next.Effect.Action, Operation: next.Effect.Operation, Assumed: true,
			Error: &runbook.CallError{Code: "Planned", Message: "what if this fails"}})
	}
	w.fail = ""
	if next.Effect.Script != nil && e.Scripts != nil {
		e.forkFailure(w, next.Step)
		return e.script(w, next)
	}
	if next.Effect.Script == nil && hasSeal(next.Effect.Input) {
		return knowngood.E(knowngood.Refused, "plan "+e.req.Ref.Name, "the step %s would hand a secret on to what it starts (%s)", next.Step, next.Effect.Action)
	}
	if next.Effect.Webhook != nil {
		return e.webhook(w, next)
	}
	if next.Effect.Action == runbook.AutomationAction && e.Automations != nil {
		return e.automation(w, next)
	}
	body := runbook.OutcomeBody{Service: next.Effect.Action, Operation: next.Effect.Operation, Assumed: true}
	if next.Effect.Operation == runbook.EffectLook {
		body.Property, body.Outputs = string(knowngood.RunSuccess), map[string]any{"Status": string(knowngood.RunSuccess)}
	} else {
		if err := e.forkFailure(w, next.Step); err != nil {
			return err
		}
		e.incomplete("what the step %s does (%s) is not planned", next.Step, next.Effect.Action)
		body.Outputs = runbook.Supposed(next.Effect)
	}
	e.supposed(w, next.Step, func(string) bool { return true })
	return w.entry(knowngood.EntryOutcome, next, body)
}

// stored reads a value of Parameter Store.
func (p *Planner) stored(ctx context.Context, name string) (any, error) {
	return runbook.StoreValue(ctx, planReads{p}, name)
}

// planReads is a caller that makes the planner's live reads.
type planReads struct{ *Planner }

// Call implements awsapi.Caller, for reads.
func (r planReads) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	op, err := r.Catalog.Operation(service, operation)
	if err != nil {
		return nil, err
	}
	return r.Read(ctx, op, in, opts...)
}
