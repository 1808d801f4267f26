package app

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/remedy"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/sandbox"
)

// over says whether an execution with this status has ended.
func over(status string) bool { return knowngood.RunState(status).Ended() }

// startedAutomations are the executions that a step of one starts: executions of the
// sandbox. It implements runbook.Automations, and waits for nothing: an execution
// that has ended lets the one go on that started it.
type startedAutomations struct{ *automationRun }

// maxDepth is how many executions may be one inside the other.
const maxDepth = 5

// StartAutomation implements runbook.Automations.
func (s startedAutomations) StartAutomation(_ context.Context, r runbook.AutomationRequest) (string, error) {
	s.mu.Lock()
	id := s.started[r.Key]
	s.mu.Unlock()
	if id != "" {
		return id, nil
	}
	depth := 1
	for p := s.parent; p != nil; p = p.parent {
		depth++
	}
	if depth > maxDepth {
		return "", knowngood.E(knowngood.Invalid, "", "at most %d automations may be one inside the other", maxDepth)
	}
	in := map[string]any{"DocumentName": r.DocumentName}
	for _, name := range []string{"DocumentVersion", "Tags", "TargetParameterName", "Targets", "TargetMaps", "TargetLocations", "MaxConcurrency", "MaxErrors"} {
		if v, ok := r.Inputs[name]; ok {
			in[name] = v
		}
	}
	if len(r.Parameters) > 0 {
		in["Parameters"] = listedParameters(r.Parameters)
	}
	id, err := s.e.StartChild(in)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	s.started[r.Key] = id
	s.mu.Unlock()
	return id, nil
}

// listedParameters are parameters as StartAutomationExecution takes them.
func listedParameters(params map[string]any) map[string]any {
	out := map[string]any{}
	for name, texts := range textLists(params) {
		list := make([]any, len(texts))
		for i, t := range texts {
			list[i] = t
		}
		out[name] = list
	}
	return out
}

// LookAutomation implements runbook.Automations.
func (s startedAutomations) LookAutomation(_ context.Context, id string) (runbook.AutomationStatus, error) {
	r := s.of.run(id)
	if r == nil {
		return runbook.AutomationStatus{State: knowngood.RunPending}, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	status := runbook.AutomationStatus{State: knowngood.RunState(cmp.Or(r.progress.Status, "Pending")), Message: r.progress.FailureMessage}
	if status.State.Ended() {
		status.Outputs = r.outputs
	}
	return status, nil
}

// AwaitAutomation implements runbook.Automations.
func (s startedAutomations) AwaitAutomation(ctx context.Context, id string, _ time.Time) (runbook.AutomationStatus, error) {
	s.mu.Lock()
	s.awaits = true
	s.mu.Unlock()
	return s.LookAutomation(ctx, id)
}

// StopAutomation implements runbook.Automations.
func (s startedAutomations) StopAutomation(_ context.Context, id string) error {
	s.of.stop(id)
	return nil
}

// stop stops an execution that has not ended.
func (a *automations) stop(id string) {
	r := a.run(id)
	if r == nil {
		return
	}
	r.mu.Lock()
	status := r.progress.Status
	r.mu.Unlock()
	if over(status) || status == "Cancelling" {
		return
	}
	r.report(func(p *sandbox.AutomationProgress) { p.Status = "Cancelling" })
	a.Stop(r.e, "Cancel")
}

// automationGroup are executions under one rate control.
type automationGroup struct {
	rates   knowngood.PlanGroup
	members []*automationMember
}

// automationMember is one of many executions.
type automationMember struct {
	name   string
	role   string // that is assumed for it; "": none
	member sandbox.AutomationMember
	id     string // once it is started
	failed string // why it could not be
}

// beginMany finds out what an execution is to be for.
func (r *automationRun) beginMany(partition string) error {
	r.log = runbook.NewMemLog() // of cancel requests
	caller, err := r.starter()
	if err != nil {
		return err
	}
	many := *r.e.Many
	rates := knowngood.PlanGroup{MaxConcurrency: cmp.Or(many.MaxConcurrency, remedy.DefaultMaxConcurrency), MaxErrors: cmp.Or(many.MaxErrors, remedy.DefaultMaxErrors)}
	if len(many.TargetLocations) == 0 {
		members, err := r.targets(caller, many)
		r.many = []*automationGroup{{rates, members}}
		return r.ready(err)
	}
	inner := many
	inner.TargetLocations = nil
	for _, v := range many.TargetLocations {
		m, _ := v.(map[string]any)
		l, err := runbook.ParseTargetLocation(m)
		if err != nil {
			return err
		}
		accounts, err := remedy.ResolveAccounts(r.of.ctx, caller, r.of.catalog, l)
		if err != nil {
			return err
		}
		g := &automationGroup{rates: knowngood.PlanGroup{MaxConcurrency: l.MaxConcurrency.Or(remedy.DefaultMaxConcurrency), MaxErrors: l.MaxErrors.Or(remedy.DefaultMaxErrors)}}
		for _, account := range accounts {
			for _, region := range l.Regions {
				g.members = append(g.members, &automationMember{
					name:   account + " " + region,
					role:   fmt.Sprintf("arn:%s:iam::%s:role/%s", partition, account, cmp.Or(l.ExecutionRole, "AWS-SystemsManager-AutomationExecutionRole")),
					member: sandbox.AutomationMember{Region: region, Target: account + " " + region, Parameters: r.e.Parameters, Many: manyOf(inner, l), MultiAccount: true},
				})
			}
		}
		r.many = append(r.many, g)
	}
	return r.ready(nil)
}

// manyOf is what the execution in a location is for each of; nil: it is one.
func manyOf(many sandbox.AutomationMany, l runbook.TargetLocation) *sandbox.AutomationMany {
	if len(l.Targets) > 0 {
		many.Targets, many.TargetMaps = l.Targets, nil
		many.MaxConcurrency, many.MaxErrors = l.TargetsConcurrency.Or(many.MaxConcurrency), l.TargetsErrors.Or(many.MaxErrors)
	}
	if len(many.Targets)+len(many.TargetMaps) == 0 {
		return nil
	}
	return &many
}

// targets are the executions for each target.
func (r *automationRun) targets(caller awsapi.Caller, many sandbox.AutomationMany) ([]*automationMember, error) {
	var members []*automationMember
	add := func(name string, params map[string][]string) {
		all := maps.Clone(r.e.Parameters)
		if all == nil {
			all = map[string][]string{}
		}
		maps.Copy(all, params)
		members = append(members, &automationMember{name: name, member: sandbox.AutomationMember{Target: name, Parameters: all, MultiAccount: r.e.MultiAccount}})
	}
	for _, m := range many.TargetMaps {
		params, _ := m.(map[string]any)
		lists := textLists(params)
		var names []string
		for _, name := range slices.Sorted(maps.Keys(lists)) {
			names = append(names, name+"="+strings.Join(lists[name], ","))
		}
		add(strings.Join(names, " "), lists)
	}
	if len(many.Targets) == 0 {
		return members, nil
	}
	ids, err := remedy.ResolveTargets(r.of.ctx, caller, r.of.catalog, many.Targets, "", many.TargetParameterName)
	for _, id := range ids {
		add(id, map[string][]string{many.TargetParameterName: {id}})
	}
	return members, err
}

// ready shows the members as steps.
func (r *automationRun) ready(err error) error {
	n := 0
	for _, g := range r.many {
		if _, _, wrong := remedy.Pace(g.rates, len(g.members), 0, 0, 0); wrong != nil && err == nil {
			err = wrong
		}
		for _, m := range g.members {
			r.progress.Steps = append(r.progress.Steps, sandbox.AutomationStep{Name: m.name, Action: runbook.AutomationAction, Status: "Pending"})
			n++
		}
	}
	if n == 0 && err == nil {
		err = knowngood.E(knowngood.Invalid, "", "no resource fits the targets")
	}
	if err == nil {
		r.report(func(p *sandbox.AutomationProgress) { p.Status = "InProgress" })
	}
	return err
}

// onceMany starts as many executions as may be under way, and ends when they have.
func (r *automationRun) onceMany() {
	r.mu.Lock()
	stopped := r.stopped
	r.mu.Unlock()
	under, failed, message := false, false, ""
	for _, g := range r.many {
		for {
			begun, done, bad := g.count(r)
			more, _, err := remedy.Pace(g.rates, len(g.members), begun, done, bad)
			if failed = failed || bad > 0; err != nil || more == 0 || stopped {
				under = under || done < begun
				break
			}
			r.beginMember(g.members[begun])
		}
		for _, m := range g.members {
			if stopped && m.id != "" {
				r.of.stop(m.id)
			}
			if message == "" && m.failed != "" {
				message = m.name + ": " + m.failed
			}
		}
	}
	status := "InProgress"
	switch {
	case under:
	case stopped:
		status = "Cancelled"
	case failed:
		status, message = "Failed", cmp.Or(message, "at least one of the automations failed")
	default:
		status = "Success"
	}
	if stopped && status == "InProgress" {
		status = "Cancelling"
	}
	r.report(func(p *sandbox.AutomationProgress) { p.Status, p.FailureMessage = status, message })
}

// count says how a group's executions stand, and shows it.
func (g *automationGroup) count(r *automationRun) (begun, done, failed int) {
	for _, m := range g.members {
		status := "Pending"
		switch child := r.of.run(m.id); {
		case m.failed != "":
			status = "Failed"
		case m.id == "":
		case child != nil:
			child.mu.Lock()
			status = cmp.Or(child.progress.Status, "Pending")
			child.mu.Unlock()
		}
		if m.id != "" || m.failed != "" {
			begun++
		}
		if over(status) {
			done++
			if status != "Success" {
				failed++
			}
		}
		r.mu.Lock()
		if i := slices.IndexFunc(r.progress.Steps, func(s sandbox.AutomationStep) bool { return s.Name == m.name }); i >= 0 {
			r.progress.Steps[i].Status = status
		}
		r.mu.Unlock()
	}
	return begun, done, failed
}

// beginMember starts one of many executions.
func (r *automationRun) beginMember(m *automationMember) {
	if m.role != "" {
		caller, err := r.starter()
		if err == nil {
			var out map[string]any
			out, err = caller.Call(r.of.ctx, "sts", "AssumeRole", map[string]any{"RoleArn": m.role, "RoleSessionName": "Automation-" + r.e.ID})
			creds, _ := out["Credentials"].(map[string]any)
			m.member.AccessKeyID, _ = creds["AccessKeyId"].(string)
		}
		if err != nil {
			m.failed = err.Error()
			return
		}
	}
	var err error
	if m.id, err = r.e.StartMember(m.member); err != nil {
		m.failed = err.Error()
	}
}
