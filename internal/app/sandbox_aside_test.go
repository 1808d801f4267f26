package app

import (
	"testing"
	"time"

	"github.com/knowngood/knowngood/internal/sandbox"
)

const asideChild = `schemaVersion: '0.3'
parameters: {Name: {type: String}}
mainSteps:
  - {name: rest, action: 'aws:sleep', inputs: {Duration: PT1H}}
  - {name: make, action: 'aws:executeAwsApi', inputs: {Service: sns, Api: CreateTopic, Name: '{{ Name }}'}}
`

const asideParent = `schemaVersion: '0.3'
mainSteps:
  - {name: child, action: 'aws:executeAutomation', inputs: {DocumentName: Child, RuntimeParameters: {Name: [one]}}}
  - {name: many, action: 'aws:executeAutomation', inputs: {DocumentName: Child, TargetParameterName: Name, Targets: [{Key: ParameterValues, Values: [two, three]}]}}
`

// A sandbox that is served runs automations beside the calls, on a clock that stands
// until somebody moves it; one that sleeps can be stopped.
func TestAutomationsOfASandboxThatIsServed(t *testing.T) {
	c, err := catalog()
	if err != nil {
		t.Fatal(err)
	}
	clock := sandbox.NewClock(time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC))
	box, err := sandbox.New(sandbox.Options{Catalog: c, Clock: clock, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	box.RunAutomations(newAutomations(t.Context(), c, box, patient{clock}, true))
	call := func(operation string, in map[string]any) map[string]any {
		t.Helper()
		out, err := box.Call(t.Context(), sandbox.Request{Service: "ssm", Operation: operation, AccessKeyID: sandbox.OperatorKey, Input: in})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for name, content := range map[string]string{"Child": asideChild, "Parent": asideParent} {
		call("CreateDocument", map[string]any{"Name": name, "DocumentType": "Automation", "DocumentFormat": "YAML", "Content": content})
	}
	statuses := func(parent string) map[any]int {
		out := map[any]int{}
		in := map[string]any{"Filters": []any{map[string]any{"Key": "ParentExecutionId", "Values": []any{parent}}}}
		for _, e := range call("DescribeAutomationExecutions", in)["AutomationExecutionMetadataList"].([]any) {
			out[e.(map[string]any)["AutomationExecutionStatus"]]++
		}
		return out
	}
	status := func(id string) any {
		return call("GetAutomationExecution", map[string]any{"AutomationExecutionId": id})["AutomationExecution"].(map[string]any)["AutomationExecutionStatus"]
	}
	// until waits until something is so, moving the clock if it is to move.
	until := func(moves bool, is func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
			if moves {
				clock.Advance(time.Hour)
			}
			if time.Now().After(end) {
				t.Fatal("it did not come")
			}
		}
	}
	start := func() string {
		return call("StartAutomationExecution", map[string]any{"DocumentName": "Parent"})["AutomationExecutionId"].(string)
	}

	id := start()
	until(false, func() bool { return statuses(id)["InProgress"] == 1 })
	if got := status(id); got != "InProgress" {
		t.Errorf("the parent is %v while its child sleeps", got)
	}
	until(true, func() bool { return status(id) == "Success" })
	if got := statuses(id); got["Success"] != 2 {
		t.Errorf("its executions are %v, want one and a group", got)
	}

	id = start()
	until(false, func() bool { return statuses(id)["InProgress"] == 1 })
	call("StopAutomationExecution", map[string]any{"AutomationExecutionId": id})
	until(false, func() bool { return status(id) == "Cancelled" })
	if got := statuses(id); got["Cancelled"] != 1 {
		t.Errorf("its child is %v", got)
	}
}
