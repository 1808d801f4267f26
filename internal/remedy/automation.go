package remedy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
)

// Family keeps the runs that other runs start. The store implements it.
type Family interface {
	// CreateRun makes a run that is due; kind Conflict where it is there already, or
	// another run has its resource.
	CreateRun(ctx context.Context, r knowngood.Run) error
	Runs(ctx context.Context, q knowngood.RunQuery) ([]knowngood.Run, error)
	// RequestCancel appends a request to a run's log; kind Conflict where it has ended.
	RequestCancel(ctx context.Context, runID string, entry knowngood.LogEntry) error
}

// automations carries out aws:executeAutomation: what it starts are runs of their
// own, by the plans that the plan of the run has for them. It implements
// runbook.Automations.
type automations struct{ *held }

// StartAutomation implements runbook.Automations. The run that a step starts in an
// attempt has always the same id.
func (a automations) StartAutomation(ctx context.Context, r runbook.AutomationRequest) (string, error) {
	a.mu.Lock()
	ids, err := a.replay.Allow(r.Step, runbook.AutomationAction, runbook.EffectStart, a.plan.Place.Account, a.plan.Place.Region, r.Inputs)
	known := maps.Clone(a.replay.bindings)
	a.mu.Unlock()
	if err != nil {
		return "", err
	}
	planned := a.planned(ids[0])
	if planned == nil {
		return "", knowngood.E(knowngood.Refused, "plan drift at "+r.Step, "the plan has no plan of the automation")
	}
	id := ChildRunID(a.plan.RunID, r.Step, r.Attempt)
	a.mu.Lock()
	a.started[id] = ids[0]
	a.mu.Unlock()
	return id, a.carry.begin(ctx, a.plan, planned, r.Step, id, known)
}

// begun tells the replay of an automation that the log has started.
func (h *held) begun(step string, intent runbook.IntentBody, body runbook.OutcomeBody) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids, err := h.replay.Allow(step, intent.Service, intent.Operation, intent.Account, intent.Region, intent.Input)
	if id, ok := body.Response["ExecutionId"].(string); ok && err == nil {
		h.started[id] = ids[0]
	}
	return err
}

// checkChildren reads again what planning read for the automations on the expected
// path, so that nothing is written where one of them could not be as planned. Each
// does so once more when it begins.
func (x *Executor) checkChildren(ctx context.Context, plan *knowngood.Plan, contents map[string]string) error {
	if x.carry == nil {
		return nil
	}
	for i := range plan.Children {
		child := &plan.Children[i]
		expected := plan.Group != nil || slices.ContainsFunc(plan.Parts[0].Calls, func(c knowngood.Call) bool { return c.Child == child.RunID })
		if !expected {
			continue
		}
		if len(child.Preconditions) > 0 {
			d, err := runbook.Parse(child.Document.Name, []byte(contents[child.Document.SHA256]))
			if err != nil {
				return err
			}
			narrowed, err := toPreconditions(child, x.Catalog)
			if err != nil {
				return err
			}
			as := *x
			as.Caller = x.carry.As(rolesOf(child.Via, child.Role), plan.RunID, narrowed)
			if err := as.checkPreconditions(ctx, d, child); err != nil {
				return err
			}
		}
		if err := x.checkChildren(ctx, child, contents); err != nil {
			return err
		}
	}
	return nil
}

// toPreconditions narrows a role to what reads a plan's preconditions.
func toPreconditions(plan *knowngood.Plan, catalog *awsapi.Catalog) (Narrowing, error) {
	s := newSession(catalog)
	for _, p := range plan.Preconditions {
		op, err := catalog.Operation(p.Service, p.Operation)
		if err != nil {
			return Narrowing{}, err
		}
		s.need(op, nil)
	}
	return s.narrowing()
}

// planned is the plan that a call starts.
func (h *held) planned(callID string) *knowngood.Plan {
	for _, p := range h.plan.Parts {
		for _, c := range p.Calls {
			if c.ID == callID {
				return childOf(h.plan, c)
			}
		}
	}
	return nil
}

// begin makes the run of a child, unless it is there.
func (r *Remediator) begin(ctx context.Context, parent, planned *knowngood.Plan, step, id string, known bindings) error {
	if _, err := r.Runs.Run(ctx, id); knowngood.KindOf(err) != knowngood.NotFound {
		return err
	}
	plan, err := r.Content.Operations.childPlan(parent, planned, step, id, known)
	if err != nil {
		return err
	}
	if err := r.Records.PutPlan(ctx, plan); err != nil {
		return err
	}
	now := r.Clock.Now()
	err = r.Family.CreateRun(ctx, knowngood.Run{ID: id, PlanHash: plan.Hash, Document: plan.Document.SHA256, Resource: plan.Resource, Parent: parent.RunID, State: knowngood.RunPending, Created: now, Updated: now})
	if knowngood.KindOf(err) == knowngood.Conflict {
		if _, there := r.Runs.Run(ctx, id); there == nil {
			return nil // two have begun it at once
		}
	}
	return err
}

// LookAutomation implements runbook.Automations.
func (a automations) LookAutomation(ctx context.Context, id string) (runbook.AutomationStatus, error) {
	run, err := a.carry.Runs.Run(ctx, id)
	if err != nil {
		return runbook.AutomationStatus{}, err
	}
	status := runbook.AutomationStatus{State: run.State, Message: run.Message}
	if !run.State.Ended() {
		return status, nil
	}
	log, err := a.Log.Entries(ctx, id)
	if err != nil {
		return status, err
	}
	for _, e := range log {
		if e.Kind == knowngood.EntryRunEnded {
			end, err := runbook.Decode[runbook.RunEndedBody](e)
			if err != nil {
				return status, err
			}
			status.Outputs = end.Outputs
		}
	}
	if run.State == knowngood.RunSuccess {
		return status, a.succeeded(ctx, id)
	}
	return status, nil
}

// looked takes up what the log says of an automation that has ended well.
func (h *held) looked(ctx context.Context, e knowngood.LogEntry) error {
	body, err := runbook.Decode[runbook.OutcomeBody](e)
	if err != nil || body.Operation != runbook.EffectLook || body.Property != string(knowngood.RunSuccess) {
		return err
	}
	id, _ := body.Outputs["ExecutionId"].(string)
	return h.succeeded(ctx, id)
}

// succeeded binds what the calls of an automation brought, for the calls after it.
func (h *held) succeeded(ctx context.Context, id string) error {
	call, ok := h.started[id]
	if !ok || h.carry == nil {
		return nil
	}
	plan, err := h.carry.planOf(ctx, id)
	if err != nil {
		return err
	}
	child := &held{Executor: h.Executor, plan: plan, replay: NewReplay(plan), started: map[string]string{}}
	if plan.Group == nil {
		log, err := h.Log.Entries(ctx, id)
		if err != nil {
			return err
		}
		if err := child.resume(ctx, log); err != nil {
			return err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	maps.Copy(h.replay.bindings, child.replay.bindings)
	h.replay.Answered([]string{call}, map[string]any{"ExecutionId": id})
	return nil
}

// planOf is the plan of a run.
func (r *Remediator) planOf(ctx context.Context, runID string) (*knowngood.Plan, error) {
	run, err := r.Runs.Run(ctx, runID)
	if err != nil {
		return nil, err
	}
	raw, err := r.Plans.Plan(ctx, run.PlanHash)
	if err != nil {
		return nil, err
	}
	return DecodePlan("run "+runID, raw)
}

// StopAutomation implements runbook.Automations.
func (a automations) StopAutomation(ctx context.Context, id string) error {
	return a.carry.stop(ctx, id, "by the run "+a.plan.RunID+" that started it")
}

// stop asks a run to stop, once.
func (r *Remediator) stop(ctx context.Context, id, reason string) error {
	log, err := r.Log.Entries(ctx, id)
	if err != nil || slices.ContainsFunc(log, func(e knowngood.LogEntry) bool { return e.Kind == knowngood.EntryCancel }) {
		return err
	}
	entry, err := runbook.Encode(knowngood.EntryCancel, "", 0, runbook.CancelBody{Reason: reason})
	if err != nil {
		return err
	}
	entry.Time = r.Clock.Now().UTC()
	if err := r.Family.RequestCancel(ctx, id, entry); knowngood.KindOf(err) != knowngood.Conflict {
		return err
	}
	return nil // it has ended
}

// AwaitAutomation implements runbook.Automations: a process that sits out waits
// carries the other run out, a worker leaves it to whoever is free.
func (a automations) AwaitAutomation(ctx context.Context, id string, until time.Time) (runbook.AutomationStatus, error) {
	if a.Patience > 0 {
		run, err := a.carry.Runs.Run(ctx, id)
		return runbook.AutomationStatus{State: run.State, Message: run.Message}, err
	}
	child := *a.carry
	if !until.IsZero() {
		child.Clock = untilClock{child.Clock, until}
	}
	result, err := child.goOn(ctx, id)
	if errors.Is(err, errTimeOver) {
		return runbook.AutomationStatus{State: knowngood.RunInProgress}, nil
	}
	return runbook.AutomationStatus{State: result.State, Message: result.Message}, err
}

// busyPause is how long is waited for another process that works on a run.
const busyPause = 200 * time.Millisecond

// goOn carries a run out to its end, or until it waits for a person. A run that
// another process has is waited for.
func (r *Remediator) goOn(ctx context.Context, id string) (Result, error) {
	plan, err := r.planOf(ctx, id)
	if err != nil {
		return Result{}, err
	}
	for {
		run, err := r.Runs.Run(ctx, id)
		if err != nil || run.State.Ended() {
			return Result{RunID: id, State: run.State, Message: run.Message}, err
		}
		result, err := r.Apply(ctx, plan, nil, knowngood.Retry{})
		switch knowngood.KindOf(err) {
		case knowngood.Conflict:
			if err := (knowngood.WallClock{}).Sleep(ctx, busyPause); err != nil {
				return result, err
			}
		case knowngood.Refused:
			// The world is not as it was planned: that has ended the run.
			if run, look := r.Runs.Run(ctx, id); look != nil || !run.State.Ended() {
				return result, errors.Join(err, look)
			}
		default:
			return result, err
		}
	}
}

var errTimeOver = errors.New("the time for it is over")

// untilClock is a clock on which nobody sleeps beyond a time.
type untilClock struct {
	knowngood.Clock
	until time.Time
}

// Sleep implements knowngood.Clock. The error is errTimeOver at the latest at the time.
func (c untilClock) Sleep(ctx context.Context, d time.Duration) error {
	left := c.until.Sub(c.Now())
	if d < left {
		return c.Clock.Sleep(ctx, d)
	}
	if err := c.Clock.Sleep(ctx, left); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s", errTimeOver, c.until.Format(time.RFC3339))
}
