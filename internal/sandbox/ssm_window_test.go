package sandbox

import (
	"encoding/json"
	"slices"
	"testing"
	"time"
)

// newWindow makes a window that opens each hour, for two nodes with a tag.
func (w *world) newWindow(more object) (window, target string) {
	w.t.Helper()
	in := object{"Name": "hourly", "Schedule": "rate(4 hours)", "Duration": int64(3), "Cutoff": int64(1), "AllowUnassociatedTargets": false}
	for k, v := range more {
		in[k] = v
	}
	window = w.do("ssm", "CreateMaintenanceWindow", in)["WindowId"].(string)
	target = w.do("ssm", "RegisterTargetWithMaintenanceWindow", object{"WindowId": window, "ResourceType": "INSTANCE", "Targets": []any{object{"Key": "tag:env", "Values": ids("prod")}}})["WindowTargetId"].(string)
	return window, target
}

func (w *world) newTask(window, target, document, kind string, more object) {
	w.t.Helper()
	in := object{"WindowId": window, "TaskArn": document, "TaskType": kind, "MaxConcurrency": "2", "MaxErrors": "0", "Targets": []any{object{"Key": "WindowTargetIds", "Values": ids(target)}}}
	for k, v := range more {
		in[k] = v
	}
	w.do("ssm", "RegisterTaskWithMaintenanceWindow", in)
}

// windowRuns are a window's executions, the newest first, as "status task task …".
func (w *world) windowRuns(window string) (runs []object, statuses [][]string) {
	w.t.Helper()
	runs = objects(w.do("ssm", "DescribeMaintenanceWindowExecutions", object{"WindowId": window})["WindowExecutions"])
	for _, r := range runs {
		all := []string{r["Status"].(string)}
		for _, t := range objects(w.do("ssm", "DescribeMaintenanceWindowExecutionTasks", object{"WindowExecutionId": r["WindowExecutionId"]})["WindowExecutionTaskIdentities"]) {
			all = append(all, t["Status"].(string))
		}
		statuses = append(statuses, all)
	}
	return runs, statuses
}

func (w *world) windowIs(window string, want ...string) object {
	w.t.Helper()
	runs, statuses := w.windowRuns(window)
	if len(runs) == 0 || !slices.Equal(statuses[0], want) {
		w.t.Fatalf("%v, want %v", statuses, want)
	}
	return runs[0]
}

func TestAWindowRunsItsTasksByPriority(t *testing.T) {
	w := newWorld(t)
	w.agents()
	one, two := w.managed("env", "prod"), w.managed("env", "prod")
	w.managed("env", "test")
	var told []string
	w.OnEvent(func(raw []byte) {
		var e struct {
			Kind   string `json:"detail-type"`
			Detail struct{ Status string }
		}
		if json.Unmarshal(raw, &e) == nil && e.Kind == "Maintenance Window Execution State-change Notification" {
			told = append(told, e.Detail.Status)
		}
	})
	window, target := w.newWindow(nil)
	shell := object{"Parameters": object{"commands": ids("uptime")}}
	w.newTask(window, target, "AWS-RunShellScript", "RUN_COMMAND", object{"Priority": int64(5), "TaskInvocationParameters": object{"RunCommand": shell}})
	w.newTask(window, target, patchDocument, "RUN_COMMAND", object{"Priority": int64(1), "TaskInvocationParameters": object{"RunCommand": object{"Parameters": object{"Operation": ids("Scan")}}}})
	w.clock.Advance(4*time.Hour - time.Second)
	if runs, _ := w.windowRuns(window); len(runs) != 0 {
		t.Fatalf("%v before it opens", runs)
	}
	w.clock.Advance(2 * time.Second)
	r := w.windowIs(window, "IN_PROGRESS", "IN_PROGRESS", "PENDING")
	raw, err := w.Snapshot() // it goes on after a restore
	if err != nil {
		t.Fatal(err)
	}
	restored, err := Restore(Options{Catalog: w.catalog}, raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []*world{w, {restored, t, restored.clock.(*ManualClock), OperatorKey}} {
		in.clock.Advance(30 * time.Minute)
		r = in.windowIs(window, "SUCCESS", "SUCCESS", "SUCCESS")
	}
	tasks := texts(w.do("ssm", "GetMaintenanceWindowExecution", object{"WindowExecutionId": r["WindowExecutionId"]})["TaskIds"])
	var commands []string
	for i, document := range []string{patchDocument, "AWS-RunShellScript"} {
		in := object{"WindowExecutionId": r["WindowExecutionId"], "TaskId": tasks[i]}
		if got := w.do("ssm", "GetMaintenanceWindowExecutionTask", in); got["TaskArn"] != document || got["Status"] != "SUCCESS" || got["MaxErrors"] != "0" {
			t.Errorf("%v", got)
		}
		list := objects(w.do("ssm", "DescribeMaintenanceWindowExecutionTaskInvocations", in)["WindowExecutionTaskInvocationIdentities"])
		if len(list) != 1 || list[0]["Status"] != "SUCCESS" {
			t.Fatalf("%v", list)
		}
		commands = append(commands, list[0]["ExecutionId"].(string))
	}
	var first, second time.Time
	for _, node := range []string{one, two} {
		first = objects(w.do("ssm", "ListCommandInvocations", object{"CommandId": commands[0], "InstanceId": node})["CommandInvocations"])[0]["RequestedDateTime"].(time.Time)
		second = objects(w.do("ssm", "ListCommandInvocations", object{"CommandId": commands[1], "InstanceId": node})["CommandInvocations"])[0]["RequestedDateTime"].(time.Time)
	}
	if all := objects(w.do("ssm", "ListCommandInvocations", object{"CommandId": commands[0]})["CommandInvocations"]); len(all) != 2 || !first.Before(second) {
		t.Errorf("%d nodes; %v, then %v", len(all), first, second)
	}
	if states := w.do("ssm", "DescribeInstancePatchStates", object{"InstanceIds": ids(one)})["InstancePatchStates"].([]any); len(states) != 1 {
		t.Errorf("nothing was scanned: %v", states)
	}
	if want := []string{"IN_PROGRESS", "SUCCESS"}; !slices.Equal(told, want) {
		t.Errorf("%v, want %v", told, want)
	}
	w.clock.Advance(4 * time.Hour)
	if runs, _ := w.windowRuns(window); len(runs) != 2 {
		t.Errorf("%d executions after two openings", len(runs))
	}
	w.do("ssm", "UpdateMaintenanceWindow", object{"WindowId": window, "Enabled": false})
	w.clock.Advance(24 * time.Hour)
	if runs, _ := w.windowRuns(window); len(runs) != 2 {
		t.Errorf("it opens though it is disabled: %d", len(runs))
	}
	w.fails("DoesNotExistException", "ssm", "GetMaintenanceWindowExecution", object{"WindowExecutionId": "00000000-0000-0000-0000-000000000000"})
	w.fails("DoesNotExistException", "ssm", "GetMaintenanceWindowExecutionTask", object{"WindowExecutionId": r["WindowExecutionId"], "TaskId": "00000000-0000-0000-0000-000000000000"})
}

func TestWhatAWindowCanNotRun(t *testing.T) {
	w := newWorld(t)
	w.agents()
	w.do("ssm", "CreateDocument", object{"Name": "fix", "DocumentType": "Automation", "DocumentFormat": "YAML", "Content": "schemaVersion: '0.3'\nparameters: {Node: {type: String}}\nmainSteps: [{name: rest, action: 'aws:sleep', inputs: {Duration: PT1S}}]\n"})
	node := w.managed("env", "prod")
	window, target := w.newWindow(object{"Schedule": "rate(2 hours)"})
	w.newTask(window, target, "nobodys", "RUN_COMMAND", nil)
	w.clock.Advance(2 * time.Hour)
	w.windowIs(window, "FAILED", "FAILED")

	// An automation that nobody runs lasts until the window has closed; what comes
	// after it has no time left, and the next openings are skipped.
	window, target = w.newWindow(object{"Schedule": "rate(2 hours)"})
	w.newTask(window, target, "fix", "AUTOMATION", object{"TaskInvocationParameters": object{"Automation": object{"Parameters": object{"Node": ids("{{TARGET_ID}}")}}}})
	w.newTask(window, target, "AWS-RunShellScript", "RUN_COMMAND", object{"Priority": int64(2), "TaskParameters": object{"commands": object{"Values": ids("uptime")}}})
	w.clock.Advance(2 * time.Hour)
	r := w.windowIs(window, "IN_PROGRESS", "IN_PROGRESS", "PENDING")
	task := texts(w.do("ssm", "GetMaintenanceWindowExecution", object{"WindowExecutionId": r["WindowExecutionId"]})["TaskIds"])[0]
	execution := objects(w.do("ssm", "DescribeMaintenanceWindowExecutionTaskInvocations", object{"WindowExecutionId": r["WindowExecutionId"], "TaskId": task})["WindowExecutionTaskInvocationIdentities"])[0]["ExecutionId"].(string)
	if got := w.automationOf(execution); at(got, "Parameters.Node.0") != node {
		t.Errorf("%v", got["Parameters"])
	}
	w.clock.Advance(2 * time.Hour)
	w.windowIs(window, "SKIPPED_OVERLAPPING")
	w.clock.Advance(90 * time.Minute)
	if _, statuses := w.windowRuns(window); !slices.Equal(statuses[1], []string{"TIMED_OUT", "TIMED_OUT", "TIMED_OUT"}) {
		t.Errorf("%v", statuses)
	}
	w.clock.Advance(30 * time.Minute)
	r = w.windowIs(window, "IN_PROGRESS", "IN_PROGRESS", "PENDING")
	w.do("ssm", "CancelMaintenanceWindowExecution", object{"WindowExecutionId": r["WindowExecutionId"]})
	w.windowIs(window, "CANCELLING", "IN_PROGRESS", "PENDING")
	w.do("ssm", "StopAutomationExecution", object{"AutomationExecutionId": at(w.do("ssm", "DescribeAutomationExecutions", nil), "AutomationExecutionMetadataList.0.AutomationExecutionId")})
	w.clock.Advance(time.Minute)
	w.windowIs(window, "CANCELLED", "CANCELLED", "CANCELLED")
}
