package runbook

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood/internal/runbook/jsonpath"
)

// invokeLambda is aws:invokeLambdaFunction: one Invoke of Lambda.
type invokeLambda struct{}

// maxLambdaTime is AWS's limit of the action.
const maxLambdaTime = 300 * time.Second

func (invokeLambda) timeout() (standard, most time.Duration) { return maxLambdaTime, maxLambdaTime }

func (invokeLambda) outputs(*Step) []Output {
	return append(outputsOf(String, "FunctionError", "LogResult", "Payload"), Output{Name: "StatusCode", Type: Integer})
}

func (invokeLambda) check(c *checker, s *Step) {
	c.members(s, []string{"FunctionName"}, []string{"Qualifier", "InvocationType", "LogType", "ClientContext", "InputPayload", "Payload"})
	c.oneOf(s, "InvocationType", "Event", "RequestResponse", "DryRun")
	c.oneOf(s, "LogType", "None", "Tail")
}

func (invokeLambda) calls(*Step) []callSite {
	return []callSite{{service: "lambda", operation: "Invoke"}}
}

func (invokeLambda) next(t *turn) move {
	if o := t.last(); o != nil {
		switch failure := text(o.Outputs["FunctionError"]); {
		case o.Error != nil:
			return failedCall(o)
		case failure != "":
			return failf("the function %s failed (%s): %s", text(t.inputs["FunctionName"]), failure, excerpt(text(o.Outputs["Payload"])))
		}
		return done()
	}
	input := pick(t.inputs, "FunctionName", "Qualifier", "InvocationType", "LogType", "ClientContext")
	if v, ok := t.inputs["InputPayload"]; ok && v != "" {
		input["Payload"] = text(v)
	} else if v, ok := t.inputs["Payload"]; ok && v != "" {
		input["Payload"] = text(v)
	}
	return invoke("lambda", "Invoke", input)
}

// decode makes the payload text, which to the model is bytes.
func (invokeLambda) decode(response map[string]any) map[string]any {
	if payload, ok := response["Payload"].([]byte); ok {
		response = maps.Clone(response)
		response["Payload"] = string(payload)
	}
	return response
}

// project selects from the response, with Payload read as JSON, or from what the
// payload holds, as the examples of AWS's pages do both.
func (invokeLambda) project(s *Step, r map[string]any) (map[string]any, any, error) {
	own := map[string]any{"StatusCode": r["StatusCode"], "FunctionError": r["FunctionError"], "LogResult": r["LogResult"]}
	payload := text(r["Payload"])
	if payload != "" {
		own["Payload"] = payload
	}
	more, parsed := map[string]any{}, any(nil)
	dec := json.NewDecoder(strings.NewReader(payload))
	dec.UseNumber()
	if dec.Decode(&parsed) == nil {
		parsed = plain(parsed)
	}
	for name, v := range object(parsed) {
		more[name] = v
	}
	outputs, err := s.implicit(own, more)
	if err != nil {
		return nil, nil, err
	}
	// $.Payload.Member reaches into the payload too.
	inside := map[string]any{"Payload": parsed}
	for i := range s.Outputs {
		o := &s.Outputs[i]
		if _, found := outputs[o.Name]; found || o.Name == "Payload" || !slices.Contains([]jsonpathRoot{"Payload"}, rootOf(o.path)) {
			continue
		}
		v, ok, err := o.path.Eval(inside)
		if err == nil && ok {
			v, err = convert(v, o.Type)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("output %s, %s: %w", o.Name, o.Selector, err)
		}
		if v != nil {
			outputs[o.Name] = v
		}
	}
	return outputs, nil, nil
}

type jsonpathRoot string

// rootOf is the first member that a path names.
func rootOf(p *jsonpath.Path) jsonpathRoot {
	s := strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(p.String()), "$"), ".")
	if i := strings.IndexAny(s, ".["); i >= 0 {
		s = s[:i]
	}
	return jsonpathRoot(s)
}

// stateMachine is aws:executeStateMachine: it starts an execution of Step
// Functions and waits for its end.
type stateMachine struct{}

func (stateMachine) timeout() (standard, most time.Duration) { return longest, 0 }

var executionOutputs = []string{"executionArn", "input", "name", "output", "startDate", "stateMachineArn", "status", "stopDate"}

func (stateMachine) outputs(*Step) []Output { return outputsOf(String, executionOutputs...) }

func (stateMachine) check(c *checker, s *Step) {
	c.members(s, []string{"stateMachineArn"}, []string{"name", "input", "traceHeader"})
}

func (stateMachine) calls(*Step) []callSite {
	return []callSite{
		{service: "stepfunctions", operation: "StartExecution"}, {service: "stepfunctions", operation: "DescribeExecution"}, {service: "stepfunctions", operation: "StopExecution"},
	}
}

func (stateMachine) project(s *Step, r map[string]any) (map[string]any, any, error) {
	if _, ok := r["status"]; !ok {
		if arn := r["executionArn"]; arn != nil { // of StartExecution
			return map[string]any{"executionArn": arn}, nil, nil
		}
		return nil, nil, nil
	}
	own := map[string]any{}
	for _, name := range executionOutputs {
		if v := r[name]; v != nil {
			own[name] = text(v)
		}
	}
	if why := text(r["cause"]); why != "" {
		own["cause"] = why
	}
	outputs, err := s.implicit(own, r)
	return outputs, r["status"], err
}

func (stateMachine) awaited(_ map[string]any, operation string) (any, bool) {
	return "SUCCEEDED", operation == "DescribeExecution"
}

func (stateMachine) next(t *turn) move {
	o := t.last()
	if o == nil {
		input := pick(t.inputs, "stateMachineArn", "name", "traceHeader")
		if v, ok := t.inputs["input"]; ok && v != "" {
			input["input"] = text(v)
		}
		return do("stepfunctions", "StartExecution", input)
	}
	if o.Error != nil && (o.Operation == "StartExecution" || !tolerable(t, o.Error)) {
		return failedCall(o)
	}
	arn := t.begun("executionArn")
	switch status := text(o.Property); {
	case arn == nil:
		return failf("stepfunctions:StartExecution gave no ARN")
	case o.Operation == "StartExecution" || t.waited:
		return look("stepfunctions", "DescribeExecution", map[string]any{"executionArn": arn})
	case o.Error != nil:
		return pollWait(t, o.Error.Error())
	case status == "SUCCEEDED":
		return done()
	case status == "RUNNING" || status == "PENDING_REDRIVE":
		return pollWait(t, fmt.Sprintf("the execution %s is %s", text(arn), status))
	default:
		return failf("the execution %s is %s: %s", text(arn), status, or(text(o.Outputs["cause"]), "no cause is given"))
	}
}

func (stateMachine) stop(t *turn) *move {
	arn := t.begun("executionArn")
	if arn == nil || t.made("StopExecution") {
		return nil
	}
	m := do("stepfunctions", "StopExecution", map[string]any{"executionArn": arn, "cause": "the automation was cancelled, or its time was over"})
	return &m
}

func (stateMachine) stopped(t *turn) bool { return t.lastWas("StopExecution") }

// webhook is aws:invokeWebhook: a request to an integration of Automation.
type webhook struct{}

// WebhookParameter is the name of the parameter, a SecureString of Parameter Store,
// that holds a webhook integration. Source: Systems Manager User Guide, "Creating
// webhook integrations for Automation".
func WebhookParameter(integration string) string {
	return "/d9d01087-4a3f-49e0-b0b4-d568d7826553/ssm/integrations/webhook/" + integration
}

func (webhook) outputs(*Step) []Output {
	return []Output{{Name: "Response", Type: String}, {Name: "ResponseCode", Type: Integer}}
}

func (webhook) check(c *checker, s *Step) {
	c.members(s, []string{"IntegrationName"}, []string{"Body"})
}

func (webhook) calls(*Step) []callSite {
	return []callSite{{service: "ssm", operation: "GetParameter"}}
}

// project is of what a webhook answered; or of ssm:GetParameter, by which a planner
// sees that the integration is there, and which version of it.
func (webhook) project(s *Step, r map[string]any) (map[string]any, any, error) {
	if p, ok := r["Parameter"]; ok {
		return nil, object(p)["Version"], nil
	}
	outputs, err := s.implicit(r, nil)
	return outputs, nil, err
}

func (webhook) next(t *turn) move {
	if o := t.last(); o != nil {
		code, answered := o.Outputs["ResponseCode"].(int64)
		switch {
		case o.Error != nil:
			return failedCall(o)
		case !answered && o.Settled != "": // a person says that it was received
			return done()
		case code < 200 || code > 299:
			return failf("the webhook %s answered with the code %d: %s", text(t.inputs["IntegrationName"]), code, excerpt(text(o.Outputs["Response"])))
		}
		return done()
	}
	r := &WebhookRequest{IntegrationName: text(t.inputs["IntegrationName"]), Body: text(t.inputs["Body"]), Place: t.scope.start.Place, Role: t.scope.start.Role}
	return move{effect: &EffectRequest{Action: t.step.Action, Operation: EffectInvoke, Webhook: r,
		Input: map[string]any{"IntegrationName": r.IntegrationName, "Body": r.Body}}}
}
