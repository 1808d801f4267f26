package sandbox

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// AutomationEngine runs the Automation executions of a sandbox, which has no
// interpreter of its own: RunAutomations says which. Its methods are called
// without the sandbox's lock, one after another; they may call the sandbox, and
// may go on in goroutines of their own. What comes of an execution the engine
// reports.
type AutomationEngine interface {
	// Start begins an execution.
	Start(e *AutomationExecution)
	// Signal hands over a signal that fits the execution as reported: Approve and
	// Reject while a step waits for approval, by one of its approvers, Resume,
	// StartStep and StopStep at any time before its end. by is the ARN of whoever
	// signals.
	Signal(e *AutomationExecution, signal, by string, payload map[string][]string)
	// Stop ends an execution early; how is Cancel or Complete. The sandbox shows it
	// as Cancelling until the engine reports a status that is final.
	Stop(e *AutomationExecution, how string)
}

// AutomationExecution is one execution, as an engine gets it.
type AutomationExecution struct {
	ID              string
	Account, Region string
	DocumentName    string
	DocumentVersion string
	Content         []byte              // of the document, in YAML or JSON
	Parameters      map[string][]string // with the document's defaults
	Mode            string              // Auto, Interactive
	// Of whoever started it, on whose behalf it acts unless its document names a
	// role.
	ExecutedBy, AccessKeyID, SecretAccessKey, SessionToken string
	// Parent is the execution that started it, or "".
	Parent string
	// Many is set where there is to be an execution for each of many targets, or in
	// each of many accounts and Regions: StartMember starts them.
	Many *AutomationMany
	// MultiAccount: it is one of an automation over several accounts or Regions.
	MultiAccount bool

	sandbox *Sandbox
}

// AutomationProgress is how an execution stands. Each report replaces the one
// before.
type AutomationProgress struct {
	Status         string              `json:"status"` // of AutomationExecutionStatus
	CurrentStep    string              `json:"currentStep,omitempty"`
	FailureMessage string              `json:"failureMessage,omitempty"`
	Outputs        map[string][]string `json:"outputs,omitempty"`
	Variables      map[string][]string `json:"variables,omitempty"`
	Steps          []AutomationStep    `json:"steps,omitempty"`
}

// AutomationStep is how a step stands.
type AutomationStep struct {
	Name           string              `json:"name"`
	Action         string              `json:"action"`
	Status         string              `json:"status"`
	Start          time.Time           `json:"start,omitzero"`
	End            time.Time           `json:"end,omitzero"`
	Inputs         map[string]string   `json:"inputs,omitempty"`
	Outputs        map[string][]string `json:"outputs,omitempty"`
	Response       string              `json:"response,omitempty"`
	ResponseCode   string              `json:"responseCode,omitempty"`
	FailureMessage string              `json:"failureMessage,omitempty"`
	// Approvers, of a step that waits for approval, are who may give it: user names,
	// and ARNs of users, roles and assumed roles. None: anybody.
	Approvers []string `json:"approvers,omitempty"`
}

// automation is an execution as the sandbox keeps it.
type automation struct {
	ID         string              `json:"id"`
	Document   string              `json:"document"`
	Version    string              `json:"version"`
	Format     string              `json:"format"`
	Content    string              `json:"content"`
	Parameters map[string][]string `json:"parameters"`
	Mode       string              `json:"mode"`
	By         string              `json:"executedBy"`
	Key        string              `json:"accessKey"` // of whoever started it
	Start      time.Time           `json:"start"`
	End        time.Time           `json:"end,omitzero"`
	Progress   AutomationProgress  `json:"progress"`
	Tags       tagSet              `json:"tags,omitempty"`
	Parent     string              `json:"parent,omitempty"`
	Target     string              `json:"target,omitempty"` // for which its parent started it
	Many       *AutomationMany     `json:"many,omitempty"`
	// MultiAccount: it is one of an automation over several accounts or Regions.
	MultiAccount bool `json:"multiAccount,omitempty"`
}

// RunAutomations gives the sandbox an engine for the executions that start from
// now on. Without one an execution stays Pending until it is stopped.
func (s *Sandbox) RunAutomations(e AutomationEngine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.engine = e
}

// finished are the statuses that end an execution.
func finished(status string) bool {
	return terminal(status) || slices.Contains([]string{"Rejected", "CompletedWithSuccess", "CompletedWithFailure", "Exited"}, status)
}

func (c *call) execution(a automation) *AutomationExecution {
	key := c.state.Keys[a.Key]
	return &AutomationExecution{ID: a.ID, Account: c.who.Account, Region: c.region, DocumentName: a.Document, DocumentVersion: a.Version, Content: []byte(a.Content),
		Parameters: maps.Clone(a.Parameters), Mode: a.Mode, ExecutedBy: a.By, AccessKeyID: a.Key, SecretAccessKey: key.Secret, SessionToken: key.Token,
		Parent: a.Parent, Many: a.Many, MultiAccount: a.MultiAccount, sandbox: c.Sandbox}
}

// Report says how the execution stands. An execution that has ended takes no
// more reports.
func (e *AutomationExecution) Report(p AutomationProgress) error {
	err := e.report(p)
	e.sandbox.drain()
	return err
}

func (e *AutomationExecution) report(p AutomationProgress) error {
	s := e.sandbox
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	s.settle(now)
	c := &call{Sandbox: s, now: now, view: now, region: e.Region, who: accessKey{Account: e.Account}}
	r, a, ok := c.home().SSM.Executions.live(e.ID, now)
	if !ok {
		return fmt.Errorf("sandbox: there is no automation execution %s", e.ID)
	}
	if finished(a.Progress.Status) {
		return fmt.Errorf("sandbox: the automation execution %s has ended: %s", e.ID, a.Progress.Status)
	}
	statuses := s.automationStatuses()
	for _, status := range append(mapped(p.Steps, func(s AutomationStep) string { return s.Status }), p.Status) {
		if !slices.Contains(statuses, status) {
			return fmt.Errorf("sandbox: %q is no status of an automation execution", status)
		}
	}
	c.progress(r, a, p)
	s.settle(now)
	return nil
}

// automationStatuses are those of the model.
func (s *Sandbox) automationStatuses() []string {
	op, err := s.catalog.Operation("ssm", "GetAutomationExecution")
	if err != nil {
		return nil
	}
	return op.Output.Member("AutomationExecution").Shape.Member("AutomationExecutionStatus").Shape.Enum
}

// progress files a report, and sends the events of what has changed.
// Source: Amazon EventBridge's "AWS Systems Manager events".
func (c *call) progress(r *record[automation], a automation, p AutomationProgress) {
	before := a.Progress
	p.Steps = slices.Clone(p.Steps)
	a.Progress = p
	if finished(p.Status) {
		a.End = c.now
	}
	r.change(c.now, func(now *automation) { *now = a })
	detail := func(status string, start, end time.Time) object {
		version, err := strconv.ParseFloat(a.Version, 64)
		if err != nil {
			version = 1
		}
		d := object{"ExecutionId": a.ID, "Definition": a.Document, "DefinitionVersion": version, "Status": status, "StartTime": eventTime(start)}
		if !end.IsZero() {
			d["EndTime"], d["Time"] = eventTime(end), float64(end.Sub(start).Milliseconds())
		}
		return d
	}
	resources := []string{c.ssmARN("automation-execution/" + a.ID), c.ssmARN("automation-definition/" + a.Document + ":" + a.Version)}
	for _, s := range p.Steps {
		i := slices.IndexFunc(before.Steps, func(b AutomationStep) bool { return b.Name == s.Name })
		if s.Status == "Pending" || i >= 0 && before.Steps[i].Status == s.Status {
			continue
		}
		d := detail(s.Status, s.Start, s.End)
		d["StepName"], d["Action"] = s.Name, s.Action
		c.emit(c.now, "aws.ssm", "EC2 Automation Step Status-change Notification", resources, d)
	}
	if p.Status != before.Status {
		d := detail(p.Status, a.Start, a.End)
		d["ExecutedBy"] = a.By
		c.emit(c.now, "aws.ssm", "EC2 Automation Execution Status-change Notification", resources, d)
	}
}

// eventTime is a time as Automation's events write it.
func eventTime(t time.Time) string { return t.UTC().Format("Jan 2, 2006 3:04:05 PM") }

func startAutomation(c *call) (map[string]any, error) {
	return c.startExecution(automation{})
}

// startExecution starts an execution, which may have a parent. A member of a group has
// the group's document.
func (c *call) startExecution(a automation) (map[string]any, error) {
	for _, m := range []string{"TargetLocationsURL", "AlarmConfiguration"} {
		if _, ok := c.in[m]; ok {
			return nil, failure(501, "NotImplemented", "The sandbox does not simulate %s of an automation.", m)
		}
	}
	if id, err := c.once(); err != nil || id != "" {
		return object{"AutomationExecutionId": id}, err
	}
	content, err := c.automationDocument(&a)
	if err != nil {
		return nil, err
	}
	if a.Many, err = c.many(); err != nil {
		return nil, err
	}
	if a.Parameters, err = content.bindFor(a.Many, textLists(c.in["Parameters"])); err != nil {
		return nil, failure(400, "InvalidAutomationExecutionParametersException", "The parameters for %s don't fit: %v.", a.Document, err)
	}
	a.ID, a.Mode, a.By, a.Key, a.Start, a.Progress = uuid(c.id("", 32)), cmp.Or(c.str("Mode"), "Auto"), c.who.ARN, c.request.AccessKeyID, c.now, AutomationProgress{Status: "Pending"}
	for _, s := range content.Steps {
		if a.Many == nil {
			a.Progress.Steps = append(a.Progress.Steps, AutomationStep{Name: s.Name, Action: s.Action, Status: "Pending"})
		}
	}
	if a.Tags, err = ssmTags(c.in["Tags"]); err != nil {
		return nil, err
	}
	c.home().SSM.Executions.put(a.ID, c.now, a)
	c.remember(a.ID)
	if c.engine != nil {
		engine, e := c.engine, c.execution(a)
		c.later = append(c.later, func() { engine.Start(e) })
	}
	return object{"AutomationExecutionId": a.ID}, nil
}

// automationDocument finds the document of an execution that is to start, unless it
// is known already.
func (c *call) automationDocument(a *automation) (documentContent, error) {
	if a.Content == "" {
		name, d, err := c.findDocument(c.str("DocumentName"), c.now)
		if err != nil || d.Type != "Automation" {
			return documentContent{}, failure(400, "AutomationDefinitionNotFoundException", "An Automation runbook with the name %s couldn't be found.", c.str("DocumentName"))
		}
		v, ok := d.version(c.str("DocumentVersion"))
		if !ok {
			return documentContent{}, failure(400, "AutomationDefinitionVersionNotFoundException", "An Automation runbook with the name %s and the version %s couldn't be found.", name, c.str("DocumentVersion"))
		}
		a.Document, a.Version, a.Format, a.Content = name, strconv.Itoa(v.Number), v.Format, v.Content
	}
	content, err := parseContent(documentVersion{Format: a.Format, Content: a.Content})
	if err != nil {
		err = failure(400, "InvalidAutomationExecutionParametersException", "%v", err)
	}
	return content, err
}

func (c *call) automation(at time.Time) (*record[automation], automation, error) {
	id := c.str("AutomationExecutionId")
	if r, a, ok := c.home().SSM.Executions.live(id, at); ok {
		return r, a, nil
	}
	return nil, automation{}, failure(400, "AutomationExecutionNotFoundException", "There is no automation execution information for the requested automation execution ID %s.", id)
}

func (a automation) summary() object {
	p := a.Progress
	out := object{"AutomationExecutionId": a.ID, "DocumentName": a.Document, "DocumentVersion": a.Version, "AutomationExecutionStatus": p.Status, "ExecutionStartTime": a.Start,
		"ExecutedBy": a.By, "Mode": a.Mode, "Outputs": listsOut(p.Outputs), "Targets": []any{}, "ResolvedTargets": object{"ParameterValues": []any{}, "Truncated": false}}
	a.Many.show(out)
	if !a.End.IsZero() {
		out["ExecutionEndTime"] = a.End
	}
	current := p.CurrentStep
	if i := slices.IndexFunc(p.Steps, func(s AutomationStep) bool { return s.Name == current }); i >= 0 {
		out["CurrentAction"] = p.Steps[i].Action
	}
	return withTexts(out, map[string]string{"FailureMessage": p.FailureMessage, "CurrentStepName": current, "ParentAutomationExecutionId": a.Parent, "Target": a.Target})
}

// stepID makes a step's id, which follows from the execution's and its own name.
func stepID(execution, step string) string { return uuid(derived(0, execution+"/"+step, 0)) }

func (a automation) steps() []object {
	return mapped(a.Progress.Steps, func(s AutomationStep) object {
		inputs := object{}
		for k, v := range s.Inputs {
			inputs[k] = v
		}
		out := object{"StepName": s.Name, "Action": s.Action, "StepStatus": s.Status, "Inputs": inputs, "Outputs": listsOut(s.Outputs), "StepExecutionId": stepID(a.ID, s.Name), "OverriddenParameters": object{}}
		if !s.Start.IsZero() {
			out["ExecutionStartTime"] = s.Start
		}
		if !s.End.IsZero() {
			out["ExecutionEndTime"] = s.End
		}
		return withTexts(out, map[string]string{"Response": s.Response, "ResponseCode": s.ResponseCode, "FailureMessage": s.FailureMessage})
	})
}

func getAutomation(c *call) (map[string]any, error) {
	_, a, err := c.automation(c.view)
	if err != nil {
		return nil, err
	}
	out := a.summary()
	out["StepExecutions"], out["StepExecutionsTruncated"], out["Parameters"], out["Variables"] = anys(a.steps()), false, listsOut(a.Parameters), listsOut(a.Progress.Variables)
	a.Many.showAll(out, a.Progress)
	return object{"AutomationExecution": out}, nil
}

func describeAutomations(c *call) (map[string]any, error) {
	var found []automation
	for _, a := range c.home().SSM.Executions.all(c.view) {
		list, fits, err := timeFilters(ssmFilters(c.in["Filters"]), a.Start)
		if err != nil {
			return nil, err
		}
		rest := []ssmFilter{}
		for _, f := range list {
			if f.key != "DocumentNamePrefix" {
				rest = append(rest, f)
				continue
			}
			fits = fits && slices.ContainsFunc(f.values, func(v string) bool { return strings.HasPrefix(a.Document, v) })
		}
		current, _ := a.summary()["CurrentAction"].(string)
		meets, err := passes(rest, func(key string) ([]string, bool) {
			switch key {
			case "ExecutionStatus":
				return []string{a.Progress.Status}, true
			case "ExecutionId":
				return []string{a.ID}, true
			case "CurrentAction":
				return []string{current}, true
			case "AutomationType":
				return []string{a.kind()}, true
			case "ParentExecutionId":
				return []string{a.Parent}, true
			case "TagKey":
				return sorted(a.Tags), true
			case "TargetResourceGroup", "AutomationSubtype", "OpsItemId":
				return nil, true
			}
			return nil, false
		})
		if err != nil {
			return nil, err
		}
		if fits && meets {
			found = append(found, a)
		}
	}
	newest(found, func(a automation) (time.Time, string) { return a.Start, a.ID })
	return c.ssmPage("AutomationExecutionMetadataList", 50, mapped(found, func(a automation) any {
		out := a.summary()
		out["AutomationType"], out["LogFile"] = a.kind(), ""
		return out
	}))
}

// timeFilters applies StartTimeBefore and StartTimeAfter, and gives the other
// filters.
func timeFilters(list []ssmFilter, start time.Time) (rest []ssmFilter, fits bool, err error) {
	fits = true
	for _, f := range list {
		if f.key != "StartTimeBefore" && f.key != "StartTimeAfter" {
			rest = append(rest, f)
			continue
		}
		at, err := time.Parse(time.RFC3339, strings.Join(f.values, ""))
		if err != nil {
			return nil, false, failure(400, "InvalidFilterValue", "The filter value isn't valid: %s takes one time such as 2026-01-31T00:00:00Z.", f.key)
		}
		if f.key == "StartTimeBefore" && !start.Before(at) || f.key == "StartTimeAfter" && !start.After(at) {
			fits = false
		}
	}
	return rest, fits, nil
}

func describeAutomationSteps(c *call) (map[string]any, error) {
	_, a, err := c.automation(c.view)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for i, o := range a.steps() {
		s := a.Progress.Steps[i]
		list, fits, err := timeFilters(ssmFilters(c.in["Filters"]), s.Start)
		if err != nil {
			return nil, err
		}
		meets, err := passes(list, func(key string) ([]string, bool) {
			switch key {
			case "StepName":
				return []string{s.Name}, true
			case "StepExecutionStatus":
				return []string{s.Status}, true
			case "StepExecutionId":
				return []string{stepID(a.ID, s.Name)}, true
			case "Action":
				return []string{s.Action}, true
			case "ParentStepExecutionId", "ParentStepIteration", "ParentStepIteratorValue":
				return nil, true
			}
			return nil, false
		})
		if err != nil {
			return nil, err
		}
		if fits && meets {
			out = append(out, o)
		}
	}
	if c.bool("ReverseOrder") {
		slices.Reverse(out)
	}
	return c.ssmPage("StepExecutions", 50, out)
}

// stopAutomation cancels. What no engine runs is cancelled at once.
func stopAutomation(c *call) (map[string]any, error) {
	r, a, err := c.automation(c.now)
	if err != nil {
		return nil, err
	}
	if finished(a.Progress.Status) || a.Progress.Status == "Cancelling" {
		return nil, failure(400, "InvalidAutomationStatusUpdateException", "The specified update status operation isn't valid: the execution is %s.", a.Progress.Status)
	}
	p := a.Progress
	if c.engine == nil {
		p.Status = "Cancelled"
		p.Steps = mapped(p.Steps, func(s AutomationStep) AutomationStep { s.Status = "Cancelled"; return s })
		c.progress(r, a, p)
		return object{}, nil
	}
	p.Status = "Cancelling"
	c.progress(r, a, p)
	engine, e, how := c.engine, c.execution(a), cmp.Or(c.str("Type"), "Cancel")
	c.later = append(c.later, func() { engine.Stop(e, how) })
	return object{}, nil
}

func sendSignal(c *call) (map[string]any, error) {
	_, a, err := c.automation(c.now)
	if err != nil {
		return nil, err
	}
	wrong := func(format string, args ...any) error {
		return failure(400, "InvalidAutomationSignalException", "The signal isn't valid for the current automation execution: "+format, args...)
	}
	signal, payload := c.str("SignalType"), textLists(c.in["Payload"])
	switch {
	case finished(a.Progress.Status):
		return nil, wrong("it is %s.", a.Progress.Status)
	case signal == "Approve" || signal == "Reject":
		waits := func(s AutomationStep) bool { return s.Action == "aws:approve" && s.Status == "Waiting" }
		i := slices.IndexFunc(a.Progress.Steps, waits)
		if i < 0 {
			return nil, wrong("no step waits for an approval.")
		}
		if may := a.Progress.Steps[i].Approvers; len(may) > 0 && !slices.ContainsFunc(may, c.who.is) {
			return nil, wrong("%s is none of the approvers of the step %s.", c.who.ARN, a.Progress.Steps[i].Name)
		}
	case signal == "StartStep" || signal == "StopStep" || signal == "Resume":
		if err := a.namesStep(payload); err != nil {
			return nil, err
		}
	}
	if c.engine == nil {
		return nil, wrong("nothing runs it.")
	}
	engine, e, by := c.engine, c.execution(a), c.who.ARN
	c.later = append(c.later, func() { engine.Signal(e, signal, by, payload) })
	return object{}, nil
}

// namesStep says whether a signal's payload names a step that the execution has.
func (a automation) namesStep(payload map[string][]string) error {
	for key, of := range map[string]func(AutomationStep) string{
		"StepName":        func(s AutomationStep) string { return s.Name },
		"StepExecutionId": func(s AutomationStep) string { return stepID(a.ID, s.Name) },
	} {
		for _, v := range payload[key] {
			if !slices.ContainsFunc(a.Progress.Steps, func(s AutomationStep) bool { return of(s) == v }) {
				return failure(400, "AutomationStepNotFoundException", "The specified step name and execution ID don't exist. Verify the information and try again.")
			}
		}
	}
	return nil
}

var automationHandlers = map[string]handler{
	"DescribeAutomationExecutions":     {"ssm:DescribeAutomationExecutions", checked(describeAutomations)},
	"DescribeAutomationStepExecutions": {"ssm:DescribeAutomationStepExecutions", checked(describeAutomationSteps)},
	"GetAutomationExecution":           {"ssm:GetAutomationExecution", checked(getAutomation)},
	"SendAutomationSignal":             {"ssm:SendAutomationSignal", checked(sendSignal)},
	"StartAutomationExecution":         {"ssm:StartAutomationExecution", checked(startAutomation)},
	"StopAutomationExecution":          {"ssm:StopAutomationExecution", checked(stopAutomation)},
}
