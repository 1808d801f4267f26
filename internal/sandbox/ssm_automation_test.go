package sandbox

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// engine runs executions as a test tells it to.
type engine struct {
	started *AutomationExecution
	heard   []string
}

func (e *engine) Start(x *AutomationExecution) { e.started = x }
func (e *engine) Signal(_ *AutomationExecution, signal, _ string, payload map[string][]string) {
	e.heard = append(e.heard, signal+" "+strings.Join(payload["Comment"], ""))
}
func (e *engine) Stop(_ *AutomationExecution, how string) { e.heard = append(e.heard, how) }

const waitingRunbook = `schemaVersion: '0.3'
parameters:
  VolumeId: {type: String, allowedPattern: '^vol-[0-9a-f]+$'}
  Mode: {type: String, default: careful}
mainSteps:
  - {name: ask, action: 'aws:approve', inputs: {Approvers: [ada]}}
  - {name: rest, action: 'aws:sleep', inputs: {Duration: PT1S}}
`

func (w *world) runbook() {
	w.t.Helper()
	w.do("ssm", "CreateDocument", object{"Name": "fix", "DocumentType": "Automation", "DocumentFormat": "YAML", "Content": waitingRunbook})
}

func (w *world) automate() string {
	w.t.Helper()
	return w.do("ssm", "StartAutomationExecution", object{"DocumentName": "fix", "Parameters": object{"VolumeId": ids("vol-1")}})["AutomationExecutionId"].(string)
}

func (w *world) automationOf(id string) object {
	w.t.Helper()
	return w.do("ssm", "GetAutomationExecution", object{"AutomationExecutionId": id})["AutomationExecution"].(object)
}

func TestAnAutomationWithoutAnEngine(t *testing.T) {
	w := newWorld(t)
	w.runbook()
	for code, in := range map[string]object{
		"AutomationDefinitionNotFoundException":         {"DocumentName": "nobodys"},
		"AutomationDefinitionVersionNotFoundException":  {"DocumentName": "fix", "DocumentVersion": "9"},
		"InvalidAutomationExecutionParametersException": {"DocumentName": "fix", "Parameters": object{"VolumeId": ids("i-1")}},
		"NotImplemented": {"DocumentName": "fix", "Parameters": object{"VolumeId": ids("vol-1")}, "TargetLocationsURL": "https://example.com/locations.json"},
		"InvalidTarget":  {"DocumentName": "fix", "Targets": []any{object{"Key": "ParameterValues", "Values": ids("vol-1")}}},
	} {
		w.fails(code, "ssm", "StartAutomationExecution", in)
	}
	w.fails("AutomationDefinitionNotFoundException", "ssm", "StartAutomationExecution", object{"DocumentName": "AWS-RunShellScript"})
	token := object{"DocumentName": "fix", "Parameters": object{"VolumeId": ids("vol-1")}, "ClientToken": "00000000-0000-0000-0000-000000000000"}
	id := w.do("ssm", "StartAutomationExecution", token)["AutomationExecutionId"].(string)
	if again := w.do("ssm", "StartAutomationExecution", token)["AutomationExecutionId"]; again != id {
		t.Errorf("%v, then %v", id, again)
	}
	w.clock.Advance(time.Hour)
	got := w.automationOf(id)
	if got["AutomationExecutionStatus"] != "Pending" || at(got, "StepExecutions.1.StepName") != "rest" || at(got, "Parameters.Mode.0") != "careful" || got["ExecutedBy"] != "arn:aws:iam::111122223333:user/operator" {
		t.Errorf("%v", got)
	}
	w.fails("InvalidAutomationSignalException", "ssm", "SendAutomationSignal", object{"AutomationExecutionId": id, "SignalType": "Approve"})
	w.fails("InvalidAutomationSignalException", "ssm", "SendAutomationSignal", object{"AutomationExecutionId": id, "SignalType": "Resume"})
	w.do("ssm", "StopAutomationExecution", object{"AutomationExecutionId": id})
	if got := w.automationOf(id); got["AutomationExecutionStatus"] != "Cancelled" || got["ExecutionEndTime"] == nil {
		t.Errorf("%v", got)
	}
	w.fails("InvalidAutomationStatusUpdateException", "ssm", "StopAutomationExecution", object{"AutomationExecutionId": id})
	for _, op := range []string{"GetAutomationExecution", "StopAutomationExecution", "DescribeAutomationStepExecutions"} {
		w.fails("AutomationExecutionNotFoundException", "ssm", op, object{"AutomationExecutionId": strings.Repeat("0", 36)})
	}
}

func TestAnEngineRunsAutomations(t *testing.T) {
	w := newWorld(t)
	w.runbook()
	e := &engine{}
	w.RunAutomations(e)
	events := w.heard("StepName", "Status")
	id := w.automate()
	x := e.started
	if x == nil || x.ID != id || x.DocumentName != "fix" || string(x.Content) != waitingRunbook || x.Parameters["VolumeId"][0] != "vol-1" || x.AccessKeyID != OperatorKey || x.SecretAccessKey == "" {
		t.Fatalf("%+v", x)
	}
	report := func(status, ask, rest string) error {
		return x.Report(AutomationProgress{Status: status, CurrentStep: "ask", Outputs: map[string][]string{"rest.Done": {"yes"}}, Steps: []AutomationStep{
			{Name: "ask", Action: "aws:approve", Status: ask, Start: w.clock.Now()}, {Name: "rest", Action: "aws:sleep", Status: rest}, {Name: "inner", Action: "aws:sleep", Status: "Pending"}}})
	}
	if err := report("Dancing", "Waiting", "Pending"); err == nil {
		t.Error("a status that there is not was taken")
	}
	if err := report("Waiting", "Waiting", "Pending"); err != nil {
		t.Fatal(err)
	}
	if got := w.automationOf(id); got["AutomationExecutionStatus"] != "Waiting" || got["CurrentStepName"] != "ask" || got["CurrentAction"] != "aws:approve" {
		t.Errorf("%v", got)
	}
	w.fails("AutomationStepNotFoundException", "ssm", "SendAutomationSignal", object{"AutomationExecutionId": id, "SignalType": "StartStep", "Payload": object{"StepName": ids("none")}})
	w.do("ssm", "SendAutomationSignal", object{"AutomationExecutionId": id, "SignalType": "Approve", "Payload": object{"Comment": ids("fine")}})
	if !slices.Equal(e.heard, []string{"Approve fine"}) {
		t.Errorf("the engine heard %v", e.heard)
	}
	w.clock.Advance(time.Minute)
	if err := report("Success", "Success", "Success"); err != nil {
		t.Fatal(err)
	}
	if err := report("Failed", "Failed", "Pending"); err == nil {
		t.Error("an execution that has ended took a report")
	}
	if got := w.automationOf(id); at(got["Outputs"].(object)["rest.Done"], "0") != "yes" || got["AutomationExecutionStatus"] != "Success" || got["ExecutionEndTime"] != w.clock.Now() {
		t.Errorf("%v", got)
	}
	want := []string{"EC2 Automation Step Status-change Notification ask Waiting", "EC2 Automation Execution Status-change Notification Waiting", "EC2 Automation Step Status-change Notification ask Success",
		"EC2 Automation Step Status-change Notification rest Success", "EC2 Automation Execution Status-change Notification Success"}
	if !slices.Equal(*events, want) {
		t.Errorf("events\n%s", strings.Join(*events, "\n"))
	}

	second := w.automate()
	w.do("ssm", "StopAutomationExecution", object{"AutomationExecutionId": second, "Type": "Complete"})
	if got := w.automationOf(second)["AutomationExecutionStatus"]; got != "Cancelling" || e.heard[1] != "Complete" {
		t.Errorf("%v, %v", got, e.heard)
	}
	if err := e.started.Report(AutomationProgress{Status: "Cancelled"}); err != nil {
		t.Fatal(err)
	}
	filtered := func(key, value string) int {
		t.Helper()
		return len(w.do("ssm", "DescribeAutomationExecutions", object{"Filters": []any{object{"Key": key, "Values": ids(value)}}})["AutomationExecutionMetadataList"].([]any))
	}
	for _, c := range []struct {
		key, value string
		want       int
	}{{"ExecutionStatus", "Success", 1}, {"DocumentNamePrefix", "fi", 2}, {"ExecutionId", second, 1}, {"StartTimeAfter", "2026-11-24T08:00:30Z", 1}, {"StartTimeBefore", "2020-01-01T00:00:00Z", 0}} {
		if got := filtered(c.key, c.value); got != c.want {
			t.Errorf("%s=%s: %d, want %d", c.key, c.value, got, c.want)
		}
	}
	w.fails("InvalidFilterValue", "ssm", "DescribeAutomationExecutions", object{"Filters": []any{object{"Key": "StartTimeAfter", "Values": ids("noon")}}})
	steps := w.do("ssm", "DescribeAutomationStepExecutions", object{"AutomationExecutionId": id, "ReverseOrder": true, "Filters": []any{object{"Key": "StepExecutionStatus", "Values": ids("Success")}}})
	if at(steps, "StepExecutions.0.StepName") != "rest" || at(steps, "StepExecutions.1.StepName") != "ask" {
		t.Errorf("%v", steps)
	}
}

func TestMaintenanceWindows(t *testing.T) {
	w := newWorld(t)
	in := object{"Name": "nightly", "Schedule": "cron(0 0 2 ? * SUN *)", "ScheduleTimezone": "Europe/Berlin", "Duration": int64(3), "Cutoff": int64(1), "AllowUnassociatedTargets": false, "ClientToken": "t"}
	id := w.do("ssm", "CreateMaintenanceWindow", in)["WindowId"].(string)
	if again := w.do("ssm", "CreateMaintenanceWindow", in)["WindowId"]; again != id {
		t.Errorf("%v, then %v", id, again)
	}
	for name, bad := range map[string]object{"schedule": {"Schedule": "cron(hourly)"}, "cutoff": {"Cutoff": int64(3)}, "zone": {"ScheduleTimezone": "Mars/Olympus"}, "duration": {"Duration": int64(25)}} {
		with := object{}
		for _, o := range []object{in, bad} {
			for k, v := range o {
				with[k] = v
			}
		}
		delete(with, "ClientToken")
		if _, err := w.try("ssm", "CreateMaintenanceWindow", with); codeOf(err) != "ValidationException" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := w.do("ssm", "GetMaintenanceWindow", object{"WindowId": id}); got["NextExecutionTime"] != "2026-11-29T01:00Z" || got["Enabled"] != true {
		t.Errorf("%v", got)
	}
	target := w.do("ssm", "RegisterTargetWithMaintenanceWindow", object{"WindowId": id, "ResourceType": "INSTANCE", "Targets": []any{object{"Key": "tag:env", "Values": ids("prod")}}, "ClientToken": "u"})["WindowTargetId"].(string)
	task := object{"WindowId": id, "TaskArn": patchDocument, "TaskType": "RUN_COMMAND", "Priority": int64(2), "Targets": []any{object{"Key": "WindowTargetIds", "Values": ids(target)}}, "ClientToken": "v"}
	w.do("ssm", "RegisterTaskWithMaintenanceWindow", task)
	task["ClientToken"], task["Targets"] = "w", []any{object{"Key": "WindowTargetIds", "Values": ids(strings.Repeat("0", 36))}}
	w.fails("DoesNotExistException", "ssm", "RegisterTaskWithMaintenanceWindow", task)
	if got := w.do("ssm", "DescribeMaintenanceWindowTargets", object{"WindowId": id}); at(got, "Targets.0.WindowTargetId") != target || at(got, "Targets.0.Targets.0.Key") != "tag:env" {
		t.Errorf("%v", got)
	}
	if got := w.do("ssm", "DescribeMaintenanceWindowTasks", object{"WindowId": id}); at(got, "Tasks.0.Type") != "RUN_COMMAND" || at(got, "Tasks.0.Priority") != int64(2) || at(got, "Tasks.1") != nil {
		t.Errorf("%v", got)
	}
	w.do("ssm", "UpdateMaintenanceWindow", object{"WindowId": id, "Enabled": false})
	if got := w.do("ssm", "DescribeMaintenanceWindows", object{"Filters": []any{object{"Key": "Enabled", "Values": ids("false")}}}); at(got, "WindowIdentities.0.WindowId") != id || at(got, "WindowIdentities.0.NextExecutionTime") != nil {
		t.Errorf("%v", got)
	}
	w.do("ssm", "DeleteMaintenanceWindow", object{"WindowId": id})
	w.do("ssm", "DeleteMaintenanceWindow", object{"WindowId": id})
	w.fails("DoesNotExistException", "ssm", "GetMaintenanceWindow", object{"WindowId": id})
}

func TestTagsOfSystemsManager(t *testing.T) {
	w := newFleet(t)
	w.runbook()
	w.do("ssm", "PutParameter", object{"Name": "/a/b", "Value": "v", "Type": "String", "Tags": []any{object{"Key": "first", "Value": "1"}}})
	baseline := w.do("ssm", "CreatePatchBaseline", object{"Name": "base"})["BaselineId"].(string)
	window := w.do("ssm", "CreateMaintenanceWindow", object{"Name": "win", "Schedule": "rate(1 day)", "Duration": int64(2), "Cutoff": int64(1), "AllowUnassociatedTargets": true})["WindowId"].(string)
	for kind, id := range map[string]string{"Document": "fix", "Parameter": "/a/b", "PatchBaseline": baseline, "MaintenanceWindow": window, "Automation": w.automate(), "ManagedInstance": w.managed()} {
		name := object{"ResourceType": kind, "ResourceId": id}
		with := func(k string, v any) object { return object{"ResourceType": kind, "ResourceId": id, k: v} }
		w.do("ssm", "AddTagsToResource", with("Tags", []any{object{"Key": "team", "Value": "sec"}, object{"Key": "x", "Value": "y"}}))
		w.do("ssm", "RemoveTagsFromResource", with("TagKeys", ids("x", "first")))
		if got := w.do("ssm", "ListTagsForResource", name)["TagList"].([]any); len(got) != 1 || at(got[0], "Key") != "team" {
			t.Errorf("%s: %v", kind, got)
		}
		var many []any
		for i := range 50 { // and one that is there
			many = append(many, object{"Key": "k" + strings.Repeat("k", i), "Value": ""})
		}
		w.fails("TooManyTagsError", "ssm", "AddTagsToResource", with("Tags", many))
		w.fails("InvalidResourceId", "ssm", "ListTagsForResource", object{"ResourceType": kind, "ResourceId": "nothing"})
	}
	w.fails("NotImplemented", "ssm", "ListTagsForResource", object{"ResourceType": "OpsItem", "ResourceId": "oi-1"})
}

func TestWhoMayDoWhatInSystemsManager(t *testing.T) {
	w := newFleet(t)
	w.runbook()
	web, db := w.managed("tier", "web"), w.managed("tier", "db")
	key := at(w.do("kms", "CreateKey", nil), "KeyMetadata.Arn").(string)
	w.do("ssm", "PutParameter", object{"Name": "/app/open", "Value": "v", "Type": "String"})
	w.do("ssm", "PutParameter", object{"Name": "/app/own", "Value": "v", "Type": "SecureString", "KeyId": key})
	w.do("ssm", "PutParameter", object{"Name": "/app/managed", "Value": "v", "Type": "SecureString"})
	u := w.user("ops", policyOf(
		allow("ssm:SendCommand", "arn:aws:ssm:*::document/AWS-RunShellScript"),
		allow("ssm:SendCommand", "arn:aws:ec2:*:*:instance/*", `"Condition":{"StringEquals":{"ssm:resourceTag/tier":"web"}}`),
		allow("ssm:GetParameter*", "arn:aws:ssm:*:*:parameter/app/*"),
		allow("ssm:StartAutomationExecution", "arn:aws:ssm:*:*:automation-definition/fix:$DEFAULT"),
	))
	denied := "AccessDeniedException"
	shell := func(in object) object {
		in["DocumentName"], in["Parameters"] = "AWS-RunShellScript", object{"commands": ids("date")}
		return in
	}
	role := at(w.do("iam", "GetRole", object{"RoleName": "agent"}), "Role.Arn").(string)
	for _, c := range []struct {
		code, operation string
		in              object
	}{
		{"", "SendCommand", shell(object{"InstanceIds": ids(web)})},
		{denied, "SendCommand", shell(object{"InstanceIds": ids(web, db)})},
		{"", "SendCommand", shell(object{"Targets": []any{object{"Key": "tag:tier", "Values": ids("web")}}})},
		{denied, "SendCommand", shell(object{"Targets": []any{object{"Key": "tag:tier", "Values": ids("db")}}})},
		{denied, "SendCommand", object{"InstanceIds": ids(web), "DocumentName": "AWS-UpdateSSMAgent"}},
		{"", "GetParameter", object{"Name": "/app/open"}},
		{"", "GetParameter", object{"Name": "/app/own"}},
		{denied, "GetParameter", object{"Name": "/app/own", "WithDecryption": true}},
		{"", "GetParameter", object{"Name": "/app/managed", "WithDecryption": true}},
		{denied, "GetParameters", object{"Names": ids("/app/open", "/other")}},
		{"", "GetParametersByPath", object{"Path": "/app/x"}},
		{denied, "GetParametersByPath", object{"Path": "/", "Recursive": true}},
		{denied, "PutParameter", object{"Name": "/app/open", "Value": "w", "Overwrite": true}},
		{"", "StartAutomationExecution", object{"DocumentName": "fix", "Parameters": object{"VolumeId": ids("vol-1")}}},
		{denied, "StartAutomationExecution", object{"DocumentName": "fix", "DocumentVersion": "1", "Parameters": object{"VolumeId": ids("vol-1")}}},
		{denied, "StartAutomationExecution", object{"DocumentName": "fix", "Parameters": object{"VolumeId": ids("vol-1"), "AutomationAssumeRole": ids(role)}}},
		{denied, "DescribeInstanceInformation", nil},
	} {
		u.fails(c.code, "ssm", c.operation, c.in)
	}
}

func TestBoto3DrivesSystemsManager(t *testing.T) {
	if err := exec.Command("python3", "-c", "import boto3").Run(); err != nil {
		t.Skip("python3 with boto3 is not installed")
	}
	w := newFleet(t)
	server := httptest.NewServer(w.Sandbox)
	defer server.Close()
	cmd := exec.CommandContext(t.Context(), "python3", "-c", `
import boto3, json, os, urllib.request
ssm, ec2 = boto3.client("ssm"), boto3.client("ec2")

def advance(d):
    urllib.request.urlopen(urllib.request.Request(os.environ["AWS_ENDPOINT_URL"] + "/_knowngood/clock", json.dumps({"advance": d}).encode(), method="POST"))

i = ec2.run_instances(MinCount=1, MaxCount=1, ImageId="ami-0c1a2b3c4d5e6f708", InstanceType="m5.large", IamInstanceProfile={"Name": "agent"}, TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Patch Group", "Value": "web"}]}])["Instances"][0]["InstanceId"]
advance("2m")
n = ssm.describe_instance_information()["InstanceInformationList"][0]
print("node", n["InstanceId"] == i, n["PingStatus"], n["PlatformName"], n["RegistrationDate"].year if "RegistrationDate" in n else "")
c = ssm.send_command(InstanceIds=[i], DocumentName="AWS-RunShellScript", Parameters={"commands": ["date"]})["Command"]
print("command", c["Status"], c["TargetCount"], (c["ExpiresAfter"] - c["RequestedDateTime"]).total_seconds())
advance("1m")
ssm.get_waiter("command_executed").wait(CommandId=c["CommandId"], InstanceId=i)
print("invocation", ssm.get_command_invocation(CommandId=c["CommandId"], InstanceId=i)["ResponseCode"], [x["Status"] for p in ssm.get_paginator("list_command_invocations").paginate(CommandId=c["CommandId"]) for x in p["CommandInvocations"]])
b = ssm.create_patch_baseline(Name="all", OperatingSystem="AMAZON_LINUX_2023", ApprovalRules={"PatchRules": [{"PatchFilterGroup": {"PatchFilters": [{"Key": "PRODUCT", "Values": ["*"]}]}, "ApproveAfterDays": 0}]})["BaselineId"]
ssm.register_patch_baseline_for_patch_group(BaselineId=b, PatchGroup="web")
for operation in ("Scan", "Install"):
    ssm.send_command(Targets=[{"Key": "tag:Patch Group", "Values": ["web"]}], DocumentName="AWS-RunPatchBaseline", Parameters={"Operation": [operation]})
    advance("5m")
    s = ssm.describe_instance_patch_states(InstanceIds=[i])["InstancePatchStates"][0]
    print("patches", s["Operation"], s["BaselineId"] == b, s["MissingCount"] > 0, len(ssm.describe_instance_patches(InstanceId=i, Filters=[{"Key": "State", "Values": ["Missing"]}])["Patches"]) == s["MissingCount"])
print("compliance", ssm.list_compliance_summaries()["ComplianceSummaryItems"][0]["CompliantSummary"]["CompliantCount"], {x["Status"] for x in ssm.list_compliance_items(ResourceIds=[i], ResourceTypes=["ManagedInstance"])["ComplianceItems"]})
d = ssm.create_document(Name="fix", DocumentType="Automation", DocumentFormat="YAML", Content="schemaVersion: '0.3'\nmainSteps:\n  - {name: a, action: 'aws:sleep', inputs: {Duration: PT1S}}\n")["DocumentDescription"]
x = ssm.start_automation_execution(DocumentName="fix")["AutomationExecutionId"]
print("automation", d["Hash"][:8], ssm.get_automation_execution(AutomationExecutionId=x)["AutomationExecution"]["AutomationExecutionStatus"], json.loads(ssm.get_document(Name="fix")["Content"])["schemaVersion"])
ssm.stop_automation_execution(AutomationExecutionId=x)
print([e["AutomationExecutionStatus"] for e in ssm.describe_automation_executions()["AutomationExecutionMetadataList"]], [e["StepStatus"] for e in ssm.describe_automation_step_executions(AutomationExecutionId=x)["StepExecutions"]])
for k in range(12):
    ssm.put_parameter(Name=f"/p/{k:02}", Value=str(k), Type="SecureString")
print("parameters", [p["Value"] for page in ssm.get_paginator("get_parameters_by_path").paginate(Path="/p", WithDecryption=True) for p in page["Parameters"]][-2:], ssm.get_parameter(Name="/p/01:1", WithDecryption=True)["Parameter"]["Selector"])
for error, call in (("ParameterNotFound", lambda: ssm.get_parameter(Name="none")), ("InvalidInstanceId", lambda: ssm.send_command(InstanceIds=["i-00000000000000000"], DocumentName="AWS-RunShellScript", Parameters={"commands": ["x"]})), ("InvocationDoesNotExist", lambda: ssm.get_command_invocation(CommandId="0" * 36, InstanceId=i))):
    try:
        call()
    except getattr(ssm.exceptions, error) as e:
        print("error", e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"])
`)
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+server.URL, "AWS_ACCESS_KEY_ID="+OperatorKey, "AWS_SECRET_ACCESS_KEY="+operatorSecret,
		"AWS_DEFAULT_REGION=eu-west-1", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_MAX_ATTEMPTS=1", "no_proxy=127.0.0.1")
	out, err := cmd.CombinedOutput()
	want := `node True Online Amazon Linux 
command Pending 1 7200.0
invocation 0 ['Success']
patches Scan True True True
patches Install True False True
compliance 1 {'COMPLIANT'}
automation ` + contentHash("schemaVersion: '0.3'\nmainSteps:\n  - {name: a, action: 'aws:sleep', inputs: {Duration: PT1S}}\n")[:8] + ` Pending 0.3
['Cancelled'] ['Cancelled']
parameters ['10', '11'] :1
error ParameterNotFound 400
error InvalidInstanceId 400
error InvocationDoesNotExist 400
`
	if err != nil || !strings.HasSuffix(string(out), want) {
		t.Errorf("%v\n%s\nwant\n%s", err, out, want)
	}
}
