package runbook

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
)

// executeAutomation is aws:executeAutomation: it starts another automation, or
// one for each of many targets, and waits for the end.
type executeAutomation struct{}

// AutomationAction is the action that starts other automations: in logs and plans
// the service of what it does.
const AutomationAction = "aws:executeAutomation"

var automationInputs = []string{
	"DocumentVersion", "MaxConcurrency", "MaxErrors", "RuntimeParameters", "Tags", "TargetLocations", "TargetMaps", "TargetParameterName", "Targets",
}

// AWS's limits.
const (
	maxTargetLocations = 100
	maxAutomationTags  = 5
	maxTargets         = 5
)

func (executeAutomation) timeout() (standard, most time.Duration) { return 0, 0 }

func (executeAutomation) outputs(*Step) []Output {
	return append(outputsOf(String, "ExecutionId", "Status"), Output{Name: "Output", Type: StringList})
}

func (executeAutomation) check(c *checker, s *Step) {
	c.members(s, []string{"DocumentName"}, automationInputs)
	c.rate(s, "MaxConcurrency", ParseConcurrency)
	c.rate(s, "MaxErrors", ParseErrors)
	c.list(s, "TargetLocations", 1, maxTargetLocations)
	c.list(s, "Tags", 0, maxAutomationTags)
	c.list(s, "Targets", 1, maxTargets)
	targets, maps, name := s.inputs.get("Targets"), s.inputs.get("TargetMaps"), s.inputs.get("TargetParameterName")
	switch {
	case targets != nil && maps != nil:
		c.add(maps.pos, "Targets or TargetMaps", "step %s: there are both Targets and TargetMaps", s.Name)
	case targets != nil && name == nil:
		c.add(targets.pos, "TargetParameterName", "step %s: Targets needs the input TargetParameterName", s.Name)
	}
	if n := s.inputs.get("RuntimeParameters"); n != nil && n.text == nil && n.kind != mapNode {
		c.add(n.pos, "a map", "step %s: RuntimeParameters is %s", s.Name, n.what())
	}
	if n := s.inputs.get("TargetLocations"); n != nil && n.kind == listNode {
		for _, l := range n.list {
			if l.kind != mapNode {
				continue
			}
			for _, f := range l.fields {
				if !slices.Contains(locationMembers, f.name) {
					c.add(f.pos, strings.Join(locationMembers, ", "), "step %s: a target location has no member %s%s", s.Name, f.name, near(f.name, locationMembers))
				}
			}
		}
	}
}

// list reports a list with too few or too many elements.
func (c *checker) list(s *Step, name string, least, most int) {
	n := s.inputs.get(name)
	if n == nil || n.text != nil {
		return
	}
	if n.kind != listNode || len(n.list) < least || len(n.list) > most {
		c.add(n.pos, fmt.Sprintf("a list of %d to %d", least, most), "step %s: %s is %s", s.Name, name, n.what())
	}
}

// locationMembers are those of SSM's TargetLocation.
var locationMembers = []string{
	"Accounts", "Regions", "ExecutionRoleName", "TargetLocationMaxConcurrency", "TargetLocationMaxErrors", "TargetLocationAlarmConfiguration",
	"IncludeChildOrganizationUnits", "ExcludeAccounts", "Targets", "TargetsMaxConcurrency", "TargetsMaxErrors",
}

func (a executeAutomation) project(s *Step, r map[string]any) (map[string]any, any, error) {
	own := map[string]any{}
	for _, name := range []string{"ExecutionId", "Status", "Output", "FailureMessage"} {
		own[name] = r[name]
	}
	outputs, err := s.implicit(own, nil)
	return outputs, r["Status"], err
}

// wakes is the member of a start's response by which the run is woken when the
// execution ends. An execution that an earlier version started is polled.
const wakes = "Wakes"

// started is the response to the start of an execution.
func started(id string) map[string]any { return map[string]any{"ExecutionId": id, wakes: true} }

// StatusOutputs are what an automation gives the step that runs it: the response
// to a look.
func StatusOutputs(id string, s AutomationStatus) map[string]any {
	out := map[string]any{"ExecutionId": id, "Status": string(s.State)}
	if s.Message != "" {
		out["FailureMessage"] = s.Message
	}
	list := []any{}
	for _, name := range sortedKeys(s.Outputs) {
		if v, ok := s.Outputs[name].([]any); ok && slices.IndexFunc(v, func(i any) bool { return !scalar(i) }) < 0 {
			for _, item := range v {
				list = append(list, text(item))
			}
			continue
		}
		list = append(list, text(s.Outputs[name]))
	}
	if len(list) > 0 {
		out["Output"] = list
	}
	return out
}

func (a executeAutomation) next(t *turn) move {
	o := t.last()
	if o == nil {
		return a.start(t)
	}
	if o.Error != nil && (o.Operation == EffectStart || !tolerable(t, o.Error)) {
		return failedCall(o)
	}
	id := text(t.begun("ExecutionId"))
	effect := func(operation string) move {
		return move{effect: &EffectRequest{Action: t.step.Action, Operation: operation, Execution: id, Input: map[string]any{"ExecutionId": id}}}
	}
	state := knowngood.RunState(text(o.Property))
	switch {
	case o.Operation == EffectStart || t.waited:
		return effect(EffectLook)
	case o.Error != nil:
		return pollWait(t, o.Error.Error())
	case state == knowngood.RunSuccess:
		return done()
	case !state.Ended():
		reason := fmt.Sprintf("the automation %s is %s", id, or(string(state), "not visible yet"))
		if t.wakes() {
			return move{wait: &WaitBody{Until: t.due, Reason: reason, For: id}}
		}
		return pollWait(t, reason)
	}
	message := fmt.Sprintf("the automation %s of %s ended as %s", id, text(t.inputs["DocumentName"]), state)
	if why := text(o.Outputs["FailureMessage"]); why != "" {
		message += ": " + why
	}
	return failf("%s", message)
}

func (executeAutomation) start(t *turn) move {
	r := &AutomationRequest{
		Parent: t.scope.start.ExecutionID, Step: t.path, DocumentName: text(t.inputs["DocumentName"]), DocumentVersion: text(t.inputs["DocumentVersion"]),
		Parameters: object(t.inputs["RuntimeParameters"]), TargetParameterName: text(t.inputs["TargetParameterName"]),
		Place: t.scope.start.Place, Role: t.scope.start.Role,
	}
	r.Tags, _ = t.inputs["Tags"].([]any)
	r.Targets, _ = t.inputs["Targets"].([]any)
	r.TargetMaps, _ = t.inputs["TargetMaps"].([]any)
	var err error
	if r.MaxConcurrency, err = ParseConcurrency(text(t.inputs["MaxConcurrency"])); err != nil {
		return failf("MaxConcurrency: %v", err)
	}
	if r.MaxErrors, err = ParseErrors(text(t.inputs["MaxErrors"])); err != nil {
		return failf("MaxErrors: %v", err)
	}
	locations, _ := t.inputs["TargetLocations"].([]any)
	if len(locations) > maxTargetLocations {
		return failf("there are %d TargetLocations, at most %d are allowed", len(locations), maxTargetLocations)
	}
	for i, v := range locations {
		l, err := ParseTargetLocation(object(v))
		if err != nil {
			return failf("TargetLocations[%d]: %v", i, err)
		}
		r.TargetLocations = append(r.TargetLocations, l)
	}
	return move{effect: &EffectRequest{Action: t.step.Action, Operation: EffectStart, Automation: r, Input: t.inputs}}
}

// ParseTargetLocation reads a TargetLocation as StartAutomationExecution has it.
func ParseTargetLocation(m map[string]any) (l TargetLocation, err error) {
	for _, list := range []struct {
		name string
		into *[]string
	}{{"Accounts", &l.Accounts}, {"ExcludeAccounts", &l.ExcludeAccounts}, {"Regions", &l.Regions}} {
		v, err := convert(m[list.name], StringList)
		if err != nil {
			return l, fmt.Errorf("%s: %w", list.name, err)
		}
		items, _ := v.([]any)
		for _, item := range items {
			*list.into = append(*list.into, text(item))
		}
	}
	l.ExecutionRole = text(m["ExecutionRoleName"])
	l.Targets, _ = m["Targets"].([]any)
	l.ChildUnits = m["IncludeChildOrganizationUnits"] == true || m["IncludeChildOrganizationUnits"] == "true"
	for _, rate := range []struct {
		name  string
		into  *Rate
		parse func(string) (Rate, error)
	}{
		{"TargetLocationMaxConcurrency", &l.MaxConcurrency, ParseConcurrency}, {"TargetLocationMaxErrors", &l.MaxErrors, ParseErrors},
		{"TargetsMaxConcurrency", &l.TargetsConcurrency, ParseConcurrency}, {"TargetsMaxErrors", &l.TargetsErrors, ParseErrors},
	} {
		if *rate.into, err = rate.parse(text(m[rate.name])); err != nil {
			return l, fmt.Errorf("%s: %w", rate.name, err)
		}
	}
	return l, nil
}

// stop asks the execution to stop, and waits for its end: it may have a way back
// to go, on which the run's own must not overtake it.
func (a executeAutomation) stop(t *turn) *move {
	id := text(t.begun("ExecutionId"))
	effect := func(operation string) *move {
		return &move{effect: &EffectRequest{Action: t.step.Action, Operation: operation, Execution: id, Input: map[string]any{"ExecutionId": id}}}
	}
	switch {
	case id == "" || a.stopped(t):
		return nil
	case !t.made(EffectStop):
		return effect(EffectStop)
	case t.waited || t.lastWas(EffectStop):
		return effect(EffectLook)
	case t.last().Error != nil:
		m := pollWait(t, t.last().Error.Error())
		return &m
	}
	return &move{wait: &WaitBody{Reason: fmt.Sprintf("the automation %s is asked to stop, and is %s", id, text(t.last().Property)), For: id}}
}

func (executeAutomation) stopped(t *turn) bool {
	if !t.made(EffectStop) {
		return false
	}
	if !t.wakes() {
		return t.lastWas(EffectStop)
	}
	o := t.last()
	return o.Operation == EffectLook && (o.Error == nil && knowngood.RunState(text(o.Property)).Ended() || o.Error != nil && !tolerable(t, o.Error)) ||
		o.Operation == EffectStop && o.Error != nil
}

// wakes says whether the run is woken when the execution ends.
func (t *turn) wakes() bool {
	return len(t.outcomes) > 0 && t.outcomes[0].Response[wakes] == true
}
