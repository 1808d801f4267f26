package runbook

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood/internal/runbook/jsonpath"
)

// Purpose says why a step makes a call.
type Purpose string

// The purposes of a call.
const (
	PurposeExecute Purpose = "execute" // for its effect or its outputs
	PurposeWait    Purpose = "wait"    // to see whether a state has come
	PurposeAssert  Purpose = "assert"  // to see whether a state holds
	PurposeInvoke  Purpose = "invoke"  // for its effect, whatever the operation's class
)

// CallRequest is a call that a step wants made.
type CallRequest struct {
	Service   string // as the document has it; Coerce gives botocore's name
	Operation string // as the document has it; Coerce gives the model's name
	Input     map[string]any
	Purpose   Purpose

	logged bool // Input is a log's, its bytes in base64
}

// The inputs of the three actions that call any operation: what is not one of
// these is the operation's input.
var apiInputs = []string{"Service", "Api", "PropertySelector", "DesiredValues"}

func apiRequest(inputs map[string]any, purpose Purpose) *CallRequest {
	in := maps.Clone(inputs)
	for _, own := range apiInputs {
		delete(in, own)
	}
	return &CallRequest{Service: text(inputs["Service"]), Operation: text(inputs["Api"]), Input: in, Purpose: purpose}
}

func checkAPI(c *checker, s *Step, property bool) {
	names := []string{"Service", "Api"}
	if property {
		names = append(names, "PropertySelector", "DesiredValues")
	}
	for _, name := range names {
		if s.inputs.get(name) == nil {
			c.add(s.Position, name, "step %s: the input %s is missing", s.Name, name)
		}
	}
	if !property {
		for _, name := range apiInputs[2:] {
			if n := s.inputs.get(name); n != nil {
				c.add(n.pos, "aws:waitForAwsResourceProperty or aws:assertAwsResourceProperty", "step %s: %s has no input %s", s.Name, s.Action, name)
			}
		}
		return
	}
	if n := s.inputs.get("PropertySelector"); n != nil {
		if _, err := jsonpath.Parse(text(n.plain())); n.text == nil && err != nil {
			c.add(n.pos, "a JSONPath", "step %s: PropertySelector: %v", s.Name, err)
		}
	}
	if n := s.inputs.get("DesiredValues"); n != nil && n.text == nil && (n.kind != listNode || len(n.list) == 0) {
		c.add(n.pos, "a list of values", "step %s: DesiredValues is %s", s.Name, emptyOr(n))
	}
}

func apiCalls(s *Step) []callSite {
	service, api := s.inputs.get("Service"), s.inputs.get("Api")
	if service == nil || api == nil || service.text != nil || api.text != nil {
		return nil
	}
	return []callSite{{
		service: text(service.plain()), operation: text(api.plain()),
		input: s.inputs, at: service, atOperation: api, skip: apiInputs,
	}}
}

// declared selects the step's outputs from a response.
func (s *Step) declared(response map[string]any) (map[string]any, error) {
	outputs := map[string]any{}
	for i := range s.Outputs {
		o := &s.Outputs[i]
		v, ok, err := o.path.Eval(response)
		if err != nil {
			return nil, fmt.Errorf("output %s: %w", o.Name, err)
		}
		if !ok {
			continue
		}
		if v, err = convert(v, o.Type); err != nil {
			return nil, fmt.Errorf("output %s, %s: %w", o.Name, o.Selector, err)
		}
		if v != nil {
			outputs[o.Name] = v
		}
	}
	if _, given := outputs[outputPayload]; s.wantsPayload && !given {
		outputs[outputPayload] = response
	}
	if n := size(outputs); n > maxResolved {
		return nil, fmt.Errorf("the outputs have about %d bytes, at most %d are kept", n, maxResolved)
	}
	return outputs, nil
}

// executeAPI is aws:executeAwsApi: one call.
type executeAPI struct{}

func (executeAPI) check(c *checker, s *Step) { checkAPI(c, s, false) }
func (executeAPI) calls(s *Step) []callSite  { return apiCalls(s) }
func (executeAPI) project(s *Step, r map[string]any) (map[string]any, any, error) {
	outputs, err := s.declared(r)
	return outputs, nil, err
}

func (executeAPI) next(t *turn) move {
	o := t.last()
	switch {
	case o == nil:
		return move{call: apiRequest(t.inputs, PurposeExecute)}
	case o.Error != nil:
		m := failedCall(o)
		if t.step.Description != "" {
			m.fail.Message = strings.TrimSuffix(t.step.Description, ".") + ": " + m.fail.Message
		}
		return m
	}
	return done()
}

// projectProperty selects a step's property and its outputs.
func projectProperty(s *Step, r map[string]any) (map[string]any, any, error) {
	outputs, err := s.declared(r)
	if err != nil {
		return nil, nil, err
	}
	n := s.inputs.get("PropertySelector")
	if n == nil || n.text != nil {
		return outputs, nil, fmt.Errorf("the PropertySelector can't be a reference")
	}
	path, err := jsonpath.Parse(text(n.plain()))
	if err != nil {
		return outputs, nil, err
	}
	property, _, err := path.Eval(r)
	if err == nil && size(property) > maxResolved {
		err = fmt.Errorf("the property has more than %d bytes", maxResolved)
	}
	return outputs, property, err
}

// satisfied says whether a property has one of the desired values. Values are
// compared as text, without regard to the case of booleans. Of a list every
// element must have one of them, and there must be an element; or the list whole is
// desired, as in AWS's own runbooks "[]" is.
func satisfied(property any, desired []any) bool {
	if list, ok := property.([]any); ok {
		if slices.ContainsFunc(desired, func(want any) bool { return text(list) == text(want) }) {
			return true
		}
		for _, v := range list {
			if !satisfied(v, desired) {
				return false
			}
		}
		return len(list) > 0
	}
	for _, want := range desired {
		if property == nil && want == nil || property != nil && text(property) == text(want) {
			return true
		}
		if b, ok := property.(bool); ok {
			if w, err := boolean(want); err == nil && w == b {
				return true
			}
		}
	}
	return false
}

func desiredValues(t *turn) []any {
	switch v := t.inputs["DesiredValues"].(type) {
	case []any:
		return v
	case nil:
		return nil
	default:
		return []any{v}
	}
}

// actual tells the property and the desired values, for a message.
func actual(t *turn, property any) string {
	is := "absent"
	if property != nil {
		is = excerpt(text(property))
	}
	var want []string
	for _, v := range desiredValues(t) {
		want = append(want, excerpt(text(v)))
	}
	return fmt.Sprintf("%s is %s, desired %s", text(t.inputs["PropertySelector"]), is, strings.Join(want, " or "))
}

// assertProperty is aws:assertAwsResourceProperty: one call, and its answer
// must have the property. The step's description, if it has one, is the reason
// that the failure gives.
type assertProperty struct{}

func (assertProperty) check(c *checker, s *Step) { checkAPI(c, s, true) }
func (assertProperty) calls(s *Step) []callSite  { return apiCalls(s) }
func (assertProperty) project(s *Step, r map[string]any) (map[string]any, any, error) {
	return projectProperty(s, r)
}

func (assertProperty) property() {}

func (assertProperty) awaited(inputs map[string]any, _ string) (any, bool) {
	return firstDesired(inputs)
}

func (assertProperty) next(t *turn) move {
	o := t.last()
	switch {
	case o == nil:
		return move{call: apiRequest(t.inputs, PurposeAssert)}
	case o.Error != nil:
		return failedCall(o)
	case satisfied(o.Property, desiredValues(t)):
		return done()
	}
	message := actual(t, o.Property)
	if t.step.Description != "" {
		message = t.step.Description + " (" + message + ")"
	}
	return failf("%s", message)
}

// waitProperty is aws:waitForAwsResourceProperty: calls until an answer has
// the property.
type waitProperty struct{}

func (waitProperty) check(c *checker, s *Step) { checkAPI(c, s, true) }
func (waitProperty) calls(s *Step) []callSite  { return apiCalls(s) }
func (waitProperty) project(s *Step, r map[string]any) (map[string]any, any, error) {
	return projectProperty(s, r)
}
func (waitProperty) timeout() (standard, most time.Duration) { return time.Hour, 0 }

func (waitProperty) property() {}

func (waitProperty) awaited(inputs map[string]any, _ string) (any, bool) { return firstDesired(inputs) }

func firstDesired(inputs map[string]any) (any, bool) {
	values, _ := inputs["DesiredValues"].([]any)
	if len(values) == 0 {
		return nil, false
	}
	return values[0], true
}

func (waitProperty) next(t *turn) move {
	o := t.last()
	switch {
	case o == nil || t.waited:
		return move{call: apiRequest(t.inputs, PurposeWait)}
	case o.Error != nil && !tolerable(t, o.Error):
		return failedCall(o)
	case o.Error == nil && satisfied(o.Property, desiredValues(t)):
		return done()
	case o.Error != nil:
		return pollWait(t, o.Error.Error())
	}
	return pollWait(t, actual(t, o.Property))
}

// freshness is for how long after its beginning a wait takes "not found" for
// "not visible yet".
const freshness = 2 * time.Minute

func tolerable(t *turn, e *CallError) bool {
	// S3 says NoSuch…, and Systems Manager InvalidCommandId of a new command.
	missing := strings.Contains(e.Code, "NotFound") || strings.HasPrefix(e.Code, "NoSuch") || e.Code == "InvalidCommandId"
	return e.Retryable || missing && t.now.Sub(t.started) < freshness
}

// pollWait waits for the next poll: two seconds at first, half as long again
// each time, a minute at most.
func pollWait(t *turn, reason string) move {
	pause := 2 * time.Second
	for i := 1; i < len(t.outcomes) && pause < time.Minute; i++ {
		pause += pause / 2
	}
	return move{wait: &WaitBody{Until: t.now.Add(min(pause, time.Minute)), Reason: reason}}
}
