package remedy

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
)

// Executor runs approved plans.
type Executor struct {
	Catalog    *awsapi.Catalog
	Operations Operations
	Caller     awsapi.Caller // with the credentials of the plan's role
	Log        runbook.RunLog
	Clock      knowngood.Clock
	Settler    *Settler
	DigestKey  []byte        // of the digests of secrets; nil: what steps read is not sealed
	Patience   time.Duration // the longest wait that Run sits out; 0: any
	// Decisions gives the approvals that count for an aws:approve step.
	Decisions func(ctx context.Context, r runbook.ApproveRequest) ([]knowngood.Approval, error)
	// Effects do what steps want done that is no call of AWS's API: scripts, other
	// automations, webhooks. A step for whose effect there is nothing fails.
	Effects runbook.Effects
	// OnEntry is told of each entry once it is durable. It may be nil.
	OnEntry func(knowngood.LogEntry)

	// carry carries out the automations that steps start. nil: those fail.
	carry *Remediator
}

// Run begins a plan's run, or goes on with it where its log ends: exactly the
// plan's writes go out, and what leaves the plan stops the run. The result is
// that of runbook.Runner.
//
// Before the first write, what planning read is read again; a difference is an
// error of kind Refused, and nothing was written.
func (x *Executor) Run(ctx context.Context, plan *knowngood.Plan, epoch int64) (runbook.EndResult, error) {
	d, err := runbook.Parse(plan.Document.Name, []byte(plan.Document.Content))
	if err != nil {
		return runbook.EndResult{}, err
	}
	log, err := x.Log.Entries(ctx, plan.RunID)
	if err != nil {
		return runbook.EndResult{}, err
	}
	held := &held{Executor: x, plan: plan, document: d, replay: NewReplay(plan), started: map[string]string{}}
	if err := held.resume(ctx, log); err != nil {
		return runbook.EndResult{}, err
	}
	if !held.wrote {
		if err := x.checkPreconditions(ctx, d, plan); err != nil {
			return runbook.EndResult{}, err
		}
		if err := x.checkChildren(ctx, plan, plan.Documents); err != nil {
			return runbook.EndResult{}, err
		}
	}
	var begin *knowngood.LogEntry
	if len(log) == 0 {
		start, err := d.Start(runbook.StartBody{Parameters: plan.Parameters, ExecutionID: plan.RunID, DateTime: plan.Created, Seed: plan.Seed, Place: plan.Place, Role: plan.Role, MultiAccount: plan.MultiAccount})
		if err != nil {
			return runbook.EndResult{}, err
		}
		begin = &start
	}
	effects := x.effects(plan, held)
	if x.carry != nil {
		effects.Automations = automations{held}
	}
	r := &runbook.Runner{
		Document: d, RunID: plan.RunID, Epoch: epoch, Start: begin, Patience: x.Patience, Log: x.Log, Caller: held, Catalog: x.Catalog, Settler: heldSettler{x.Settler, held}, Clock: x.Clock, Decisions: x.Decisions, Effects: effects,
		OnEntry: x.OnEntry, CallID: held.callID, Notify: held.notify,
		Class: func(service, operation string) knowngood.CallClass {
			op, err := x.Catalog.Operation(service, operation)
			if err != nil {
				return knowngood.Write
			}
			return classOf(op, nil)
		},
		CallContext: func(ctx context.Context, step string) context.Context { return context.WithValue(ctx, stepKey{}, step) },
	}
	return r.Run(ctx)
}

// checkPreconditions reads again what planning read and used. Preconditions of
// one step share one read.
func (x *Executor) checkPreconditions(ctx context.Context, d *runbook.Document, plan *knowngood.Plan) error {
	answers := map[string]map[string]any{}
	h := &held{Executor: x, plan: plan, document: d, replay: NewReplay(plan)}
	for _, p := range plan.Preconditions {
		key := p.Step + "\x00" + text(p.Input)
		response, read := answers[key]
		if !read {
			in, err := bind(p.Input, nil)
			if err != nil {
				return err
			}
			input, _ := in.(map[string]any)
			op, err := x.Catalog.Operation(p.Service, p.Operation)
			if err != nil {
				return err
			}
			response, err = h.send(ctx, op, input, awsapi.Region(plan.Place.Region))
			if err == nil && classOf(op, input) == knowngood.SensitiveRead {
				response = h.learn(p.Step, op, response)
			}
			var answer *awsapi.Error
			switch {
			case err == nil:
			case errors.As(err, &answer) && answer.Credentials():
				return credentials("read again what the plan rests on", err)
			case answer == nil || !answer.Refused():
				return err // nobody has said that the world is another
			default:
				return knowngood.E(knowngood.Refused, "plan drift before the first write", "the step %s could read %s:%s when the plan was made, and now: %w", p.Step, p.Service, p.Operation, err)
			}
			response, _ = plain(response).(map[string]any)
			answers[key] = response
		}
		outputs, property, err := d.Project(p.Step, response)
		if err != nil {
			return err
		}
		now := property
		for _, o := range d.Selectors(p.Step).Outputs {
			if o.Selector == p.Selector {
				now = outputs[o.Name]
			}
		}
		if !equal(plain(now), p.Value) {
			return knowngood.E(knowngood.Refused, "plan drift before the first write", "%s of %s:%s in the step %s was %s when the plan was made, and is %s", p.Selector, p.Service, p.Operation, p.Step, text(p.Value), text(now)).
				WithHint("make a new plan")
		}
	}
	return nil
}

// credentials is the error of a call whose credentials AWS did not accept.
func credentials(op string, err error) error {
	return (&knowngood.Error{Kind: knowngood.Credentials, Op: op, Err: err}).WithHint("sign in again; `aws sts get-caller-identity` must work")
}

type stepKey struct{}

// held is the caller of a run that is held to its plan.
type held struct {
	*Executor
	plan  *knowngood.Plan
	wrote bool

	document *runbook.Document

	mu      sync.Mutex
	replay  *Replay
	opened  secrets           // that steps have read
	started map[string]string // by execution: the planned call that started it
}

// resume tells the replay what the log has done already.
func (h *held) resume(ctx context.Context, log []knowngood.LogEntry) error {
	open := map[string]runbook.IntentBody{}
	for _, e := range log {
		switch e.Kind {
		case knowngood.EntryIntent:
			body, err := runbook.Decode[runbook.IntentBody](e)
			if err != nil {
				return err
			}
			h.wrote = true
			if runbook.InPlan(body) {
				open[e.Step] = body
			}
		case knowngood.EntryOutcome:
			intent, ok := open[e.Step]
			if !ok {
				if err := h.looked(ctx, e); err != nil {
					return err
				}
				continue
			}
			delete(open, e.Step)
			body, err := runbook.Decode[runbook.OutcomeBody](e)
			if err != nil {
				return err
			}
			if intent.Service == runbook.AutomationAction {
				err = h.begun(e.Step, intent, body)
			} else {
				err = h.done(e.Step, intent, body.Response, body.Error == nil)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// done tells the replay of a write that the log has.
func (h *held) done(step string, intent runbook.IntentBody, response map[string]any, answered bool) error {
	var input, output *awsapi.Shape // nil: it is no call of AWS's
	if op, err := h.Catalog.Operation(intent.Service, intent.Operation); err == nil {
		input, output = op.Input, op.Output
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	in, _ := logged(input, intent.Input).(map[string]any)
	ids, err := h.replay.Allow(step, intent.Service, intent.Operation, intent.Account, intent.Region, in)
	if err == nil && answered {
		out, _ := logged(output, response).(map[string]any)
		h.replay.Answered(ids, out)
	}
	return err
}

// callID names the planned call of a write in its intent, if there is one.
func (h *held) callID(step string, _ int, call runbook.CallRequest) string {
	for _, p := range h.plan.Parts {
		for _, c := range p.Calls {
			if c.Step == step && c.Class == knowngood.Write && c.Service == call.Service && c.Operation == call.Operation {
				return c.ID
			}
		}
	}
	return ""
}

// Call implements awsapi.Caller: reads pass, writes and sensitive reads pass if the
// plan has them.
func (h *held) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	if service == runbook.OutsideService {
		return h.outside(ctx, operation, in)
	}
	op, err := h.Catalog.Operation(service, operation)
	if err != nil {
		return nil, err
	}
	opts = append([]awsapi.CallOption{awsapi.Region(h.plan.Place.Region)}, opts...)
	class := classOf(op, in)
	if class == knowngood.Read {
		return h.send(ctx, op, in, opts...)
	}
	region := awsapi.Options(opts...).Region
	if region == "" {
		region = h.plan.Place.Region
	}
	account := awsapi.Options(opts...).Account
	if account == "" {
		account = h.plan.Place.Account
	}
	step, _ := ctx.Value(stepKey{}).(string)
	if class == knowngood.SensitiveRead {
		h.mu.Lock()
		err := h.replay.AllowRead(step, op.Service.Name, op.Name, account, region, in)
		h.mu.Unlock()
		if err != nil {
			return nil, err
		}
		out, err := h.send(ctx, op, in, opts...)
		if err != nil {
			return nil, err
		}
		return h.learn(step, op, out), nil
	}
	h.mu.Lock()
	ids, err := h.replay.Allow(step, op.Service.Name, op.Name, account, region, in)
	h.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if !h.Operations[op.Service.Name+":"+op.Name].repeatable() {
		opts = append(opts, awsapi.AtMostOnce())
	}
	out, err := h.send(ctx, op, in, opts...)
	if err == nil {
		h.answered(ids, out)
	}
	return out, err
}

func (h *held) answered(ids []string, out map[string]any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.replay.Answered(ids, out)
}

// heldSettler binds what a settled write turns out to have answered, as Call
// does for one that is answered at once.
type heldSettler struct {
	*Settler
	held *held
}

// Settle implements runbook.Settler.
func (s heldSettler) Settle(ctx context.Context, caller awsapi.Caller, runID string, intent runbook.IntentBody) (runbook.Settlement, error) {
	caller, why := s.held.callerOf(ctx, caller, intent)
	if caller == nil {
		return runbook.Settlement{Reason: why}, nil
	}
	got, err := s.Settler.Settle(ctx, caller, runID, intent)
	if err != nil || !got.Known || got.Error != nil {
		return got, err
	}
	return got, s.held.done(s.held.stepOf(intent.CallID), intent, got.Response, true)
}

// stepOf is the step of a planned call.
func (h *held) stepOf(callID string) string {
	for _, p := range h.plan.Parts {
		for _, c := range p.Calls {
			if c.ID == callID {
				return c.Step
			}
		}
	}
	return ""
}
