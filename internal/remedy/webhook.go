package remedy

import (
	"context"
	"errors"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
)

// webhookActions are what the invocation of a webhook needs; kms:Decrypt where its
// integration is encrypted with a key of the user's.
var webhookActions = []string{"kms:Decrypt", "ssm:GetParameter"}

// webhook plans the invocation of a webhook: a write that nothing takes back, with
// its body as far as it is known. What is answered is known only when it is run.
func (e *exploration) webhook(w *way, next runbook.Next) error {
	if err := e.forkFailure(w, next.Step); err != nil {
		return err
	}
	r := next.Effect.Webhook
	if w.part.name == knowngood.MainPart && !hasPlaceholder(r.IntegrationName) {
		if failure, err := e.integration(w, next); failure != nil || err != nil {
			if err != nil {
				return err
			}
			return w.entry(knowngood.EntryOutcome, next, runbook.OutcomeBody{Service: next.Effect.Action, Operation: next.Effect.Operation, Error: failure})
		}
	}
	in, _ := plain(next.Effect.Input).(map[string]any)
	id := e.put(w, next.Step, knowngood.Call{Step: next.Step, Class: knowngood.Write, Service: next.Effect.Action, Operation: next.Effect.Operation,
		Account: e.req.Place.Account, Region: e.req.Place.Region, Input: toTemplate(in), Actions: webhookActions,
		Assumed: e.undetermined(w, e.req.Document.Uses(next.Step)) || hasPlaceholder(in),
		Effect:  knowngood.Irreversible})
	body := runbook.OutcomeBody{Service: next.Effect.Action, Operation: next.Effect.Operation, Assumed: true}
	var err error
	if body.Outputs, _, err = e.req.Document.Project(next.Step, map[string]any{"Response": placeholder(ref{id, "Response"}), "ResponseCode": int64(200)}); err != nil {
		return err
	}
	e.supposed(w, next.Step, func(string) bool { return true })
	return w.entry(knowngood.EntryOutcome, next, body)
}

// integration looks whether a webhook is there, without its secrets. Its version is
// a precondition: who approves the plan approves where the body goes to.
func (e *exploration) integration(w *way, next runbook.Next) (*runbook.CallError, error) {
	op, err := e.Catalog.Operation("ssm", "GetParameter")
	if err != nil {
		return nil, err
	}
	name := next.Effect.Webhook.IntegrationName
	in := map[string]any{"Name": runbook.WebhookParameter(name)}
	e.record(w, next.Step, op, knowngood.Read, in, false)
	response, err := e.Read(e.ctx, op, in)
	var answer *awsapi.Error
	switch {
	case err == nil:
	case !errors.As(err, &answer):
		return nil, err
	case answer.Credentials():
		return nil, credentials("plan "+e.req.Ref.Name+", step "+next.Step, err)
	default:
		return &runbook.CallError{Code: answer.Code, Message: "there is no integration " + name + " that can be read: " + answer.Message}, nil
	}
	_, version, err := e.req.Document.Project(next.Step, response)
	if err != nil {
		return nil, err
	}
	e.pre = append(e.pre, knowngood.Precondition{Step: next.Step, Service: op.Service.Name, Operation: op.Name, Input: toTemplate(in), Selector: "$.Parameter.Version", Value: plain(version)})
	return nil, nil
}

// heldWebhooks invokes the webhooks of a run that is held to its plan.
type heldWebhooks struct {
	runbook.Webhooks
	held *held
}

// FindWebhook implements runbook.Webhooks.
func (w heldWebhooks) FindWebhook(ctx context.Context, r runbook.WebhookRequest) (runbook.InvokeWebhook, error) {
	step, _ := ctx.Value(stepKey{}).(string)
	w.held.mu.Lock()
	ids, err := w.held.replay.Allow(step, runbook.WebhookAction, runbook.EffectInvoke, r.Place.Account, r.Place.Region, map[string]any{"IntegrationName": r.IntegrationName, "Body": r.Body})
	w.held.mu.Unlock()
	if err != nil {
		return nil, err
	}
	invoke, err := w.Webhooks.FindWebhook(ctx, r)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (runbook.WebhookResponse, error) {
		out, err := invoke(ctx)
		if err == nil {
			w.held.answered(ids, map[string]any{"Response": out.Body, "ResponseCode": int64(out.Code)})
		}
		return out, err
	}, nil
}

// callName is what a planned call is called among people.
func callName(c knowngood.Call) string {
	if c.Service == runbook.WebhookAction {
		return c.Service
	}
	return c.Service + ":" + c.Operation
}
