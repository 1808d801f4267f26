package runbook

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

// cloud is a small world with memory: a write has its effect once for each
// client token, and a wait is over at a moment of its own. What it answers
// depends on its effects and the time alone, so that a run that is taken up
// again finds the world as it left it.
type cloud struct {
	clock   *testClock
	effects map[string]int // by client token
	// failing is how many attempts of a step are refused, lost whose answer is
	// lost although the write took place.
	failing map[string]int
	lost    map[string]bool
	log     *MemLog
	cancel  string // token of the write during which a cancel request arrives
}

func (c *cloud) Call(_ context.Context, service, operation string, in map[string]any, _ ...awsapi.CallOption) (map[string]any, error) {
	if answer := c.look(operation, in); answer != nil {
		return answer, nil
	}
	if operation == "DescribeVolumes" {
		state := "creating"
		if step := text(in["NextToken"]); c.clock.Now().Sub(began) >= time.Duration(7*len(step))*time.Second {
			state = "available"
		}
		return map[string]any{"Volumes": []any{map[string]any{"State": state, "Size": int64(8)}}}, nil
	}
	token := text(in[tokenMember(operation)])
	if token == c.cancel {
		e, err := Encode(knowngood.EntryCancel, "", 0, CancelBody{By: "alice"})
		if err != nil {
			return nil, err
		}
		e.Time = c.clock.Now()
		c.log.Add(e)
	}
	if operation == "CancelCommand" || operation == "StopExecution" {
		c.effects[token] = 1
		return map[string]any{}, nil
	}
	step, attempt := splitToken(token)
	if attempt <= c.failing[step] {
		return nil, &awsapi.Error{Code: "IncorrectState", Message: "not now", Status: 400, Service: service, Operation: operation}
	}
	c.effects[token]++
	if c.lost[token] {
		return nil, &awsapi.Error{Code: awsapi.CodeNoResponse, Message: "connection reset", Retryable: true}
	}
	return c.response(operation, token), nil
}

func (c *cloud) response(operation, token string) map[string]any {
	switch operation {
	case "SendCommand":
		return map[string]any{"Command": map[string]any{"CommandId": commandID, "Status": "Pending"}}
	case "CreateImage":
		return map[string]any{"ImageId": "ami-" + token}
	case "Invoke":
		return map[string]any{"StatusCode": int64(200), "Payload": []byte(`{"Out": "` + token + `"}`)}
	case "CancelCommand", "StopExecution":
		return map[string]any{}
	case "CreateStack":
		return map[string]any{"StackId": "stack-" + strings.ReplaceAll(token, "/", "-")}
	case "StartExecution":
		return map[string]any{"executionArn": "arn:" + token}
	case "RunInstances":
		return map[string]any{"Instances": []any{map[string]any{"InstanceId": "i-" + token, "State": map[string]any{"Name": "pending"}}}}
	}
	return map[string]any{"VolumeId": "vol-" + token}
}

// tokenMember is where the world looks for a write's token.
func tokenMember(operation string) string {
	return or(map[string]string{"SendCommand": "Comment", "CreateImage": "Description", "Invoke": "Qualifier", "CancelCommand": "CommandId",
		"CreateStack": "ClientRequestToken", "StartExecution": "name", "StopExecution": "executionArn"}[operation], "ClientToken")
}

const commandID = "11111111-1111-1111-1111-111111111111"

// look answers what the polls of actions ask; what they wait for comes after 25
// seconds.
func (c *cloud) look(operation string, in map[string]any) map[string]any {
	over := c.clock.Now().Sub(began) >= 25*time.Second
	word := func(before, after string) string {
		if over {
			return after
		}
		return before
	}
	switch operation {
	case "ListCommands":
		return map[string]any{"Commands": []any{map[string]any{"CommandId": commandID, "Status": word("InProgress", "Success")}}}
	case "ListCommandInvocations":
		return map[string]any{"CommandInvocations": []any{map[string]any{"CommandId": commandID, "CommandPlugins": []any{map[string]any{"Output": "x"}}}}}
	case "DescribeStacks":
		return map[string]any{"Stacks": []any{map[string]any{"StackId": in["StackName"], "StackStatus": word("CREATE_IN_PROGRESS", "CREATE_COMPLETE")}}}
	case "DescribeExecution":
		return map[string]any{"executionArn": in["executionArn"], "status": word("RUNNING", "SUCCEEDED"), "output": "{}"}
	case "DescribeInstances":
		return map[string]any{"Reservations": []any{map[string]any{"Instances": []any{map[string]any{"InstanceId": in["InstanceIds"].([]any)[0], "State": map[string]any{"Name": word("pending", "running")}}}}}}
	case "DescribeImages":
		return map[string]any{"Images": []any{map[string]any{"ImageId": in["ImageIds"].([]any)[0], "State": word("pending", "available")}}}
	}
	return nil
}

// RunScript makes two writes and gives up where one is refused.
func (c *cloud) RunScript(ctx context.Context, r ScriptRequest) (ScriptResult, error) {
	ids := []any{}
	for _, zone := range []string{"a", "b"} {
		out, err := r.Caller.Call(ctx, "ec2", "CreateVolume", map[string]any{"AvailabilityZone": zone})
		switch {
		case errors.Is(err, errScriptOver):
			return ScriptResult{}, err
		case err != nil:
			return ScriptResult{Error: &CallError{Code: "ClientError", Message: err.Error()}}, nil
		}
		ids = append(ids, out["VolumeId"])
	}
	return ScriptResult{Payload: map[string]any{"Ids": ids}}, nil
}

// StartAutomation begins one automation for each key.
func (c *cloud) StartAutomation(_ context.Context, r AutomationRequest) (string, error) {
	c.effects[r.Key] = 1
	return "run of " + r.Key, nil
}

func (c *cloud) LookAutomation(context.Context, string) (AutomationStatus, error) {
	if c.clock.Now().Sub(began) < 25*time.Second {
		return AutomationStatus{State: knowngood.RunInProgress}, nil
	}
	return AutomationStatus{State: knowngood.RunSuccess, Outputs: map[string]any{"A.B": "c"}}, nil
}

func (c *cloud) StopAutomation(_ context.Context, id string) error {
	c.effects["stop "+id] = 1
	return nil
}

// AwaitAutomation waits for what comes after 25 seconds.
func (c *cloud) AwaitAutomation(ctx context.Context, id string, until time.Time) (AutomationStatus, error) {
	end := began.Add(25 * time.Second)
	if !until.IsZero() && until.Before(end) {
		end = until
	}
	if err := c.clock.Sleep(ctx, end.Sub(c.clock.Now())); err != nil {
		return AutomationStatus{}, err
	}
	return c.LookAutomation(ctx, id)
}

func splitToken(token string) (step string, attempt int) {
	i := max(0, strings.LastIndexByte(token, '/'))
	_, _ = fmt.Sscan(token[i+1:], &attempt)
	return token[:i], attempt
}

func (c *cloud) Prepare(_, step string, attempt int, call CallRequest) (CallRequest, error) {
	in := maps.Clone(call.Input)
	if call.Operation == "CancelCommand" || call.Operation == "StopExecution" {
		return call, nil // a repeat is harmless
	}
	in[tokenMember(call.Operation)] = fmt.Sprintf("%s/%d", step, attempt)
	call.Input = in
	return call, nil
}

func (c *cloud) Settle(_ context.Context, _ awsapi.Caller, _ string, intent IntentBody) (Settlement, error) {
	token := text(intent.Input[tokenMember(intent.Operation)])
	if c.effects[token] > 0 {
		return Settlement{Known: true, Response: c.response(intent.Operation, token), Reason: "found"}, nil
	}
	return Settlement{Repeat: true}, nil
}

func (c *cloud) IsThere(CallRequest, *CallError) string { return "" }

func (c *cloud) runner(d *Document, cat *awsapi.Catalog) *Runner {
	return &Runner{
		Document: d, RunID: "r", Log: c.log, Caller: c, Catalog: cat, Settler: c, Clock: c.clock, Class: classOf,
		Effects: Effects{Scripts: c, Automations: c},
		Decisions: func(_ context.Context, r ApproveRequest) ([]knowngood.Approval, error) {
			return []knowngood.Approval{{By: "alice", Approved: !strings.HasSuffix(r.Step, "3")}}, nil
		},
	}
}
