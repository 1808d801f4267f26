package runbook

import (
	"slices"

	"github.com/knowngood/knowngood/awsapi"
)

// StepCall is an operation that a step may call.
type StepCall struct {
	Step      string
	Operation *awsapi.Operation
}

// Calls are the operations that the document's steps may call, in its order. One
// that the catalog doesn't know is left out, for Validate reports it; so is one
// whose name is a reference.
func (d *Document) Calls(cat *awsapi.Catalog) []StepCall {
	var out []StepCall
	for _, s := range d.steps {
		c, ok := s.run.(caller)
		if !ok {
			continue
		}
		for _, site := range c.calls(s) {
			service, err := serviceOf(cat, site.service)
			if err != nil {
				continue
			}
			if op, err := service.Operation(site.operation); err == nil {
				out = append(out, StepCall{s.Name, op})
			}
		}
	}
	return out
}

// effectActions are the IAM actions that Systems Manager itself would need for
// what is no call of a step's.
var effectActions = map[string][]string{
	"aws:executeAutomation": {"ssm:GetAutomationExecution", "ssm:StartAutomationExecution", "ssm:StopAutomationExecution"},
}

// Actions are the IAM actions that the document's steps need, sorted. Those of
// scripts and of other automations are not among them; unknown names the steps
// that have such.
func (d *Document) Actions(cat *awsapi.Catalog) (actions, unknown []string) {
	for _, c := range d.Calls(cat) {
		actions = append(actions, c.Operation.IAMActions(nil)...)
	}
	for _, s := range d.steps {
		actions = append(actions, effectActions[s.Action]...)
		c, calls := s.run.(caller)
		if s.Action == scriptAction || s.Action == "aws:executeAutomation" || calls && len(c.calls(s)) == 0 {
			unknown = append(unknown, s.Name)
		}
	}
	slices.Sort(actions)
	return slices.Compact(actions), unknown
}

// Awaited gives the property that a step's read of an operation finds once what
// the step waits for has come, or what it asserts holds; inputs are the step's,
// resolved. ok is false for a step that waits for nothing.
func (d *Document) Awaited(step string, inputs map[string]any, operation string) (property any, ok bool) {
	s, known := d.Step(step)
	if !known {
		return nil, false
	}
	a, waits := s.run.(awaiter)
	if !waits {
		return nil, false
	}
	return a.awaited(inputs, operation)
}
