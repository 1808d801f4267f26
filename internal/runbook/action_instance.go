package runbook

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood/internal/runbook/jsonpath"
)

// changeInstanceState is aws:changeInstanceState: a call that starts, stops or
// terminates instances, unless CheckStateOnly is set, and then a wait for the
// state. For running it also waits until the instances' checks are ok, as AWS
// does. FailOnUnexpectedStopped, which AWS's page doesn't have and
// AWS-StartEC2Instance uses, fails the step instead of waiting for an instance that
// was started and has stopped again.
type changeInstanceState struct{}

func (changeInstanceState) timeout() (standard, most time.Duration) { return time.Hour, 0 }

func (changeInstanceState) check(c *checker, s *Step) {
	c.members(s, []string{"InstanceIds", "DesiredState"}, []string{"CheckStateOnly", "Force", "AdditionalInfo", "FailOnUnexpectedStopped"})
	c.oneOf(s, "DesiredState", "running", "stopped", "terminated")
	for _, name := range []string{"CheckStateOnly", "Force", "FailOnUnexpectedStopped"} {
		if n := s.inputs.get(name); n != nil && n.text == nil {
			if _, err := boolean(n.plain()); err != nil {
				c.add(n.pos, "true or false", "step %s: %s is %s", s.Name, name, excerpt(text(n.plain())))
			}
		}
	}
}

func (changeInstanceState) calls(s *Step) []callSite {
	sites := []callSite{{service: "ec2", operation: "DescribeInstances"}}
	state := s.inputs.get("DesiredState")
	if state == nil || state.text != nil {
		return sites
	}
	if only := s.inputs.get("CheckStateOnly"); only == nil || only.text != nil || text(only.plain()) != "true" {
		sites = append(sites, callSite{service: "ec2", operation: stateOperation[text(state.plain())]})
	}
	if text(state.plain()) == "running" {
		sites = append(sites, callSite{service: "ec2", operation: "DescribeInstanceStatus"})
	}
	return sites
}

var stateOperation = map[string]string{"running": "StartInstances", "stopped": "StopInstances", "terminated": "TerminateInstances"}

const (
	instanceStates   = "$.Reservations[*].Instances[*].State.Name"
	instanceStatuses = "$.InstanceStatuses[*]['InstanceStatus','SystemStatus'].Status"
)

// project keeps the instances' states, or the states of their checks.
func (changeInstanceState) project(s *Step, r map[string]any) (map[string]any, any, error) {
	selector := instanceStates
	if _, ok := r["InstanceStatuses"]; ok {
		selector = instanceStatuses
	}
	path, err := jsonpath.Parse(selector)
	if err != nil {
		return nil, nil, err
	}
	property, _, err := path.Eval(r)
	return nil, property, err
}

func (changeInstanceState) awaited(inputs map[string]any, operation string) (any, bool) {
	ids, err := convert(inputs["InstanceIds"], StringList)
	list, _ := ids.([]any)
	switch {
	case err != nil:
		return nil, false
	case operation == "DescribeInstances":
		return slices.Repeat([]any{text(inputs["DesiredState"])}, len(list)), true
	case operation == "DescribeInstanceStatus":
		return slices.Repeat([]any{"ok"}, 2*len(list)), true
	}
	return nil, false
}

func (changeInstanceState) next(t *turn) move {
	ids, err := convert(t.inputs["InstanceIds"], StringList)
	list, _ := ids.([]any)
	if err != nil || len(list) == 0 {
		return failf("InstanceIds is %s, instance ids are needed", excerpt(text(t.inputs["InstanceIds"])))
	}
	desired := text(t.inputs["DesiredState"])
	operation, ok := stateOperation[desired]
	if !ok {
		return failf("DesiredState is %s, running, stopped or terminated is allowed", excerpt(desired))
	}
	input := map[string]any{"InstanceIds": list}
	o := t.last()
	if o != nil && o.Error != nil && (o.Operation == operation || !tolerable(t, o.Error)) {
		return failedCall(o)
	}
	switch {
	case o == nil:
		if only, err := boolean(t.inputs["CheckStateOnly"]); err == nil && only == true {
			return move{call: &CallRequest{Service: "ec2", Operation: "DescribeInstances", Input: input, Purpose: PurposeWait}}
		}
		if force, err := boolean(t.inputs["Force"]); err == nil && force == true && desired == "stopped" {
			input["Force"] = true
		}
		if info := text(t.inputs["AdditionalInfo"]); info != "" && desired == "running" {
			input["AdditionalInfo"] = info
		}
		return move{call: &CallRequest{Service: "ec2", Operation: operation, Input: input, Purpose: PurposeExecute}}
	case t.waited || o.Operation == operation:
		return move{call: &CallRequest{Service: "ec2", Operation: "DescribeInstances", Input: input, Purpose: PurposeWait}}
	}
	states, _ := o.Property.([]any)
	if o.Operation == "DescribeInstanceStatus" && o.Error == nil {
		if len(states) == 2*len(list) && satisfied(o.Property, []any{"ok"}) {
			return done()
		}
		return pollWait(t, "the checks of the instances are "+stateList(states))
	}
	if o.Error != nil {
		return pollWait(t, o.Error.Error())
	}
	if len(states) == len(list) && satisfied(o.Property, []any{desired}) {
		if desired == "running" {
			return move{call: &CallRequest{Service: "ec2", Operation: "DescribeInstanceStatus", Input: input, Purpose: PurposeWait}}
		}
		return done()
	}
	if desired != "terminated" && slices.ContainsFunc(states, func(s any) bool { return s == "terminated" || s == "shutting-down" }) {
		return failf("the instances can't become %s: they are %s", desired, stateList(states))
	}
	// Right after the start "stopped" may be what was before it.
	if strict, err := boolean(t.inputs["FailOnUnexpectedStopped"]); err == nil && strict == true && desired == "running" &&
		slices.Contains(states, any("stopped")) && t.now.Sub(t.started) >= freshness {
		return failf("the instances can't become %s: they are %s", desired, stateList(states))
	}
	return pollWait(t, fmt.Sprintf("the instances are %s, desired %s", stateList(states), desired))
}

func stateList(states []any) string {
	if len(states) == 0 {
		return "not visible"
	}
	var list []string
	for _, s := range states {
		list = append(list, text(s))
	}
	return strings.Join(list, ", ")
}
