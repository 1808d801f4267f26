package sandbox

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// AutomationMany says of an execution that it is many: one for each target, or in
// each account and Region. The members are StartAutomationExecution's.
type AutomationMany struct {
	TargetParameterName string `json:"targetParameterName,omitempty"`
	Targets             []any  `json:"targets,omitempty"`
	TargetMaps          []any  `json:"targetMaps,omitempty"`
	TargetLocations     []any  `json:"targetLocations,omitempty"`
	MaxConcurrency      string `json:"maxConcurrency,omitempty"`
	MaxErrors           string `json:"maxErrors,omitempty"`
}

// many reads what makes of an execution many; nil: nothing does.
func (c *call) many() (*AutomationMany, error) {
	list := func(name string) []any { l, _ := c.in[name].([]any); return l }
	m := &AutomationMany{TargetParameterName: c.str("TargetParameterName"), Targets: list("Targets"), TargetMaps: list("TargetMaps"), TargetLocations: list("TargetLocations"),
		MaxConcurrency: c.str("MaxConcurrency"), MaxErrors: c.str("MaxErrors")}
	wrong := func(format string, args ...any) error { return failure(400, "InvalidTarget", format, args...) }
	switch {
	case len(m.Targets) > 0 && len(m.TargetMaps) > 0:
		return nil, wrong("Targets and TargetMaps can't be specified together.")
	case len(m.Targets) > 0 && m.TargetParameterName == "":
		return nil, wrong("TargetParameterName is required when Targets is specified.")
	case len(m.Targets)+len(m.TargetMaps)+len(m.TargetLocations) == 0:
		return nil, nil
	}
	return m, nil
}

// bindFor binds the parameters of an execution. One that is many has them as they are
// given: its members bind them.
func (d documentContent) bindFor(m *AutomationMany, given map[string][]string) (map[string][]string, error) {
	if m == nil {
		return d.bind(given)
	}
	names := sorted(given)
	if m.TargetParameterName != "" {
		names = append(names, m.TargetParameterName)
	}
	for _, name := range names {
		if !slices.ContainsFunc(d.Parameters, func(p documentParameter) bool { return p.Name == name }) {
			return nil, fmt.Errorf("the document has no parameter %s", name)
		}
	}
	return maps.Clone(given), nil
}

// show adds to the summary of an execution what it is many of.
func (m *AutomationMany) show(out object) {
	if m == nil {
		return
	}
	if len(m.Targets) > 0 {
		out["Targets"] = m.Targets
	}
	if len(m.TargetMaps) > 0 {
		out["TargetMaps"] = m.TargetMaps
	}
	maps.Copy(out, withTexts(object{}, map[string]string{"TargetParameterName": m.TargetParameterName, "MaxConcurrency": m.MaxConcurrency, "MaxErrors": m.MaxErrors}))
}

// showAll adds what only the whole execution has: its locations, and how many of the
// executions, each of which is a step, stand how.
func (m *AutomationMany) showAll(out object, p AutomationProgress) {
	if m == nil {
		return
	}
	if len(m.TargetLocations) > 0 {
		out["TargetLocations"] = m.TargetLocations
	}
	counters := object{"TotalSteps": int64(len(p.Steps))}
	for name, status := range map[string]string{"SuccessSteps": "Success", "FailedSteps": "Failed", "CancelledSteps": "Cancelled", "TimedOutSteps": "TimedOut"} {
		n := int64(0)
		for _, s := range p.Steps {
			if s.Status == status {
				n++
			}
		}
		counters[name] = n
	}
	out["ProgressCounters"] = counters
}

// kind is the execution's AutomationType.
func (a automation) kind() string {
	if a.Many != nil && len(a.Many.TargetLocations) > 0 {
		return "CrossAccount"
	}
	return "Local"
}

// is says whether somebody is who an approver names: by user name, or by the ARN of
// a user, a role or an assumed role.
func (k accessKey) is(approver string) bool {
	if k.ARN == approver {
		return true
	}
	who, ok := parseARN(k.ARN)
	if !ok {
		return false
	}
	kind, name, _ := strings.Cut(who.resource, "/")
	switch kind {
	case "user":
		return last(name) == approver
	case "assumed-role":
		role, _, _ := strings.Cut(name, "/")
		named, ok := parseARN(approver)
		return ok && named.service == "iam" && named.account == who.account && strings.HasPrefix(named.resource, "role/") && last(named.resource) == role
	}
	return false
}

// AutomationMember is one of an execution that is many.
type AutomationMember struct {
	Region string // "": that of the execution
	// AccessKeyID is of whom it acts for, in whose account it runs; "": as the
	// execution.
	AccessKeyID string
	Target      string // what it is for, in words
	Parameters  map[string][]string
	// Many is what the member in turn is for each target of.
	Many         *AutomationMany
	MultiAccount bool
}

// StartChild starts another execution as a step of this one does, with the input of
// StartAutomationExecution, and gives its id.
func (e *AutomationExecution) StartChild(in map[string]any) (id string, err error) {
	return e.start(e.Region, e.AccessKeyID, in, func(*call) automation { return automation{Parent: e.ID, MultiAccount: e.MultiAccount} })
}

// StartMember starts one of an execution that is many, with its document.
func (e *AutomationExecution) StartMember(m AutomationMember) (id string, err error) {
	in := object{"DocumentName": e.DocumentName}
	if len(m.Parameters) > 0 {
		in["Parameters"] = listsOut(m.Parameters)
	}
	if n := m.Many; n != nil {
		for name, list := range map[string][]any{"Targets": n.Targets, "TargetMaps": n.TargetMaps} {
			if len(list) > 0 {
				in[name] = list
			}
		}
		maps.Copy(in, withTexts(object{}, map[string]string{"TargetParameterName": n.TargetParameterName, "MaxConcurrency": n.MaxConcurrency, "MaxErrors": n.MaxErrors}))
	}
	return e.start(cmp.Or(m.Region, e.Region), cmp.Or(m.AccessKeyID, e.AccessKeyID), in, func(c *call) automation {
		format := "YAML"
		if strings.HasPrefix(strings.TrimSpace(string(e.Content)), "{") {
			format = "JSON"
		}
		return automation{Parent: e.ID, Target: m.Target, MultiAccount: m.MultiAccount, Document: e.DocumentName, Version: e.DocumentVersion, Format: format, Content: string(e.Content)}
	})
}

// start starts an execution on behalf of another. Automation itself does so: it asks
// for no permission of whom it acts for.
func (e *AutomationExecution) start(region, key string, in map[string]any, as func(*call) automation) (string, error) {
	s := e.sandbox
	op, err := s.catalog.Operation("ssm", "StartAutomationExecution")
	if err != nil {
		return "", err
	}
	if in, err = op.Coerce(in); err == nil {
		err = op.Validate(in)
	}
	if err != nil {
		return "", failure(400, "ValidationException", "%v", err)
	}
	out, err := s.startFor(e.Account, region, key, in, as)
	s.drain()
	return textOf(out["AutomationExecutionId"]), err
}

func (s *Sandbox) startFor(account, region, key string, in map[string]any, as func(*call) automation) (map[string]any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	op, err := s.catalog.Operation("ssm", "StartAutomationExecution")
	if err != nil {
		return nil, err
	}
	now := s.clock.Now()
	s.settle(now)
	if key == "" { // what the sandbox started by itself acts as the operator
		key = s.operatorKey(account)
	}
	who, ok := s.state.Keys[key]
	if !ok {
		return nil, failure(403, "UnrecognizedClientException", "The security token included in the request is invalid.")
	}
	c := &call{Sandbox: s, now: now, view: now, region: region, in: in, who: who, operation: op, request: Request{Service: "ssm", Operation: op.Name, Region: region, AccessKeyID: key}}
	out, err := c.startExecution(as(c))
	s.settle(now)
	return out, err
}
