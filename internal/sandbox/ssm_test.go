package sandbox

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

const ec2Trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

// agents makes an instance profile that lets agents register.
func (w *world) agents() {
	w.t.Helper()
	w.do("iam", "CreateRole", object{"RoleName": "agent", "AssumeRolePolicyDocument": ec2Trust})
	w.do("iam", "AttachRolePolicy", object{"RoleName": "agent", "PolicyArn": "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"})
	w.do("iam", "CreateInstanceProfile", object{"InstanceProfileName": "agent"})
	w.do("iam", "AddRoleToInstanceProfile", object{"InstanceProfileName": "agent", "RoleName": "agent"})
}

// managed launches a managed node with tags, which are keys and values in turn.
func (w *world) managed(tags ...string) string {
	w.t.Helper()
	in := object{"IamInstanceProfile": object{"Name": "agent"}}
	var list []any
	for i := 0; i < len(tags); i += 2 {
		list = append(list, object{"Key": tags[i], "Value": tags[i+1]})
	}
	if len(list) > 0 {
		in["TagSpecifications"] = []any{object{"ResourceType": "instance", "Tags": list}}
	}
	id := w.launch(in)
	w.clock.Advance(agentStart)
	return id
}

func newFleet(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.agents()
	return w
}

// heard collects the events of Systems Manager: detail type and the members of
// the detail that are named.
func (w *world) heard(members ...string) *[]string {
	var out []string
	w.OnEvent(func(raw []byte) {
		var e envelope
		if err := json.Unmarshal(raw, &e); err != nil || e.Source != "aws.ssm" {
			return
		}
		var detail map[string]any
		if err := json.Unmarshal(e.Detail, &detail); err != nil {
			w.t.Error(err)
		}
		line := e.DetailType
		for _, m := range members {
			if s, ok := detail[m].(string); ok {
				line += " " + s
			}
		}
		out = append(out, line)
	})
	return &out
}

func (w *world) ping(id string) any {
	w.t.Helper()
	l := w.do("ssm", "DescribeInstanceInformation", object{"Filters": []any{object{"Key": "InstanceIds", "Values": ids(id)}}})["InstanceInformationList"].([]any)
	if len(l) == 0 {
		return nil
	}
	return l[0].(object)["PingStatus"]
}

func TestWhoIsAManagedNode(t *testing.T) {
	w := newFleet(t)
	w.do("iam", "CreateRole", object{"RoleName": "poor", "AssumeRolePolicyDocument": ec2Trust})
	w.do("iam", "CreateInstanceProfile", object{"InstanceProfileName": "poor"})
	w.do("iam", "AddRoleToInstanceProfile", object{"InstanceProfileName": "poor", "RoleName": "poor"})
	bare := w.launch(object{})
	poor := w.launch(object{"IamInstanceProfile": object{"Name": "poor"}})
	i := w.launch(object{"IamInstanceProfile": object{"Name": "agent"}})
	if got := w.ping(i); got != nil {
		t.Errorf("it registered before its agent was up: %v", got)
	}
	w.clock.Advance(agentStart)
	for id, want := range map[string]any{bare: nil, poor: nil, i: "Online", w.managed(agentTag, "none"): nil, w.managed(agentTag, "lost"): "ConnectionLost"} {
		if got := w.ping(id); got != want {
			t.Errorf("%s is %v, want %v", id, got, want)
		}
	}
	w.do("iam", "PutRolePolicy", object{"RoleName": "poor", "PolicyName": "p", "PolicyDocument": allows("ssm:UpdateInstanceInformation")})
	if got := w.ping(poor); got != "Online" {
		t.Errorf("with a policy of its own the role's node is %v", got)
	}
	w.do("ec2", "StopInstances", object{"InstanceIds": ids(i)})
	if got := w.ping(i); got != "ConnectionLost" {
		t.Errorf("a stopped node is %v", got)
	}
	w.clock.Advance(time.Hour)
	w.do("ec2", "StartInstances", object{"InstanceIds": ids(i)})
	w.clock.Advance(instanceStart)
	if got := w.ping(i); got != "ConnectionLost" {
		t.Errorf("a node is %v before its agent is back", got)
	}
	w.clock.Advance(agentStart)
	if got := w.ping(i); got != "Online" {
		t.Errorf("a node that was started again is %v", got)
	}
	w.do("ec2", "TerminateInstances", object{"InstanceIds": ids(i)})
	if got := w.ping(i); got != nil {
		t.Errorf("a terminated node is %v", got)
	}
}

func TestInstanceInformation(t *testing.T) {
	w := newFleet(t)
	linux, windows := w.managed("env", "prod"), w.managed(osTag, "WINDOWS", "env", "test")
	filter := func(key string, values ...string) object {
		return object{"Filters": []any{object{"Key": key, "Values": ids(values...)}}}
	}
	for _, c := range []struct {
		in   object
		want []string
	}{
		{object{}, []string{linux, windows}},
		{filter("PlatformTypes", "Windows"), []string{windows}},
		{filter("tag:env", "prod"), []string{linux}},
		{filter("tag-key", "env"), []string{linux, windows}},
		{filter("PingStatus", "ConnectionLost"), nil},
		{filter("InstanceIds", windows), []string{windows}},
		{filter("IamRole", "agent"), []string{linux, windows}},
		{object{"InstanceInformationFilterList": []any{object{"key": "PlatformTypes", "valueSet": ids("Linux")}}}, []string{linux}},
	} {
		slices.Sort(c.want)
		var got []string
		for _, o := range w.do("ssm", "DescribeInstanceInformation", c.in)["InstanceInformationList"].([]any) {
			got = append(got, o.(object)["InstanceId"].(string))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.in, got, c.want)
		}
	}
	w.fails("InvalidFilterKey", "ssm", "DescribeInstanceInformation", filter("Colour", "red"))
	w.fails("InvalidInstanceId", "ssm", "DescribeInstanceInformation", filter("InstanceIds", "web-1"))
	w.fails("ValidationException", "ssm", "DescribeInstanceInformation", object{"MaxResults": int64(4)})
	for range 6 {
		w.managed()
	}
	page := w.do("ssm", "DescribeInstanceInformation", object{"MaxResults": int64(5)})
	rest := w.do("ssm", "DescribeInstanceInformation", object{"MaxResults": int64(5), "NextToken": page["NextToken"]})
	if a, b := len(page["InstanceInformationList"].([]any)), len(rest["InstanceInformationList"].([]any)); a != 5 || b != 3 || rest["NextToken"] != nil {
		t.Errorf("pages of %d and %d, then %v", a, b, rest["NextToken"])
	}
	got := w.do("ssm", "GetInventory", object{"Filters": []any{object{"Key": "AWS:InstanceInformation.PlatformType", "Values": ids("Windows"), "Type": "Equal"}}})
	if at(got, "Entities.0.Id") != windows || at(got, "Entities.1") != nil {
		t.Errorf("%v", got)
	}
	if got := w.do("ssm", "ListInventoryEntries", object{"InstanceId": linux, "TypeName": instanceInventory}); at(got, "Entries.0.PlatformName") != "Amazon Linux" {
		t.Errorf("%v", got)
	}
	w.fails("InvalidTypeNameException", "ssm", "ListInventoryEntries", object{"InstanceId": linux, "TypeName": "AWS:Application"})
}

// send sends a command and gives its id.
func (w *world) send(in object) string {
	w.t.Helper()
	if in["DocumentName"] == nil {
		in["DocumentName"], in["Parameters"] = "AWS-RunShellScript", object{"commands": ids("date")}
	}
	return at(w.do("ssm", "SendCommand", in), "Command.CommandId").(string)
}

func (w *world) run(command, node string) object {
	w.t.Helper()
	return w.do("ssm", "GetCommandInvocation", object{"CommandId": command, "InstanceId": node})
}

// standing is a command's status, its details, and how many of its invocations
// are in which state.
func (w *world) standing(command string) string {
	w.t.Helper()
	o := at(w.do("ssm", "ListCommands", object{"CommandId": command}), "Commands.0").(object)
	counts := map[string]int{}
	for _, i := range w.do("ssm", "ListCommandInvocations", object{"CommandId": command})["CommandInvocations"].([]any) {
		counts[i.(object)["StatusDetails"].(string)]++
	}
	out := o["Status"].(string) + "/" + o["StatusDetails"].(string)
	for _, k := range sorted(counts) {
		out += " " + k + ":" + strconv.Itoa(counts[k])
	}
	return out
}

func TestACommandsLife(t *testing.T) {
	w := newFleet(t)
	events := w.heard("instance-id", "status")
	i := w.managed("Name", "web")
	w.HandleCommand("AWS-RunShellScript", func(c Command) Result {
		return Result{Output: "ran " + strings.Join(c.Parameters["commands"], ";") + " on " + c.InstanceID, Duration: 10 * time.Second}
	})
	sent := w.do("ssm", "SendCommand", object{"InstanceIds": ids(i), "DocumentName": "AWS-RunShellScript", "Parameters": object{"commands": ids("date")}, "Comment": "c", "TimeoutSeconds": int64(600)})["Command"].(object)
	id := sent["CommandId"].(string)
	if sent["Status"] != "Pending" || sent["TargetCount"] != int64(1) || !sent["ExpiresAfter"].(time.Time).Equal(w.clock.Now().Add(600*time.Second+time.Hour)) {
		t.Errorf("%v", sent)
	}
	if got := w.run(id, i); got["Status"] != "Pending" || got["ResponseCode"] != int64(-1) || got["ExecutionStartDateTime"] != "" {
		t.Errorf("%v", got)
	}
	w.clock.Advance(commandDelivery)
	if got := w.run(id, i); got["Status"] != "InProgress" || got["StandardOutputContent"] != "" || got["ExecutionStartDateTime"] == "" {
		t.Errorf("%v", got)
	}
	w.clock.Advance(10 * time.Second)
	got := w.run(id, i)
	for k, want := range map[string]any{"Status": "Success", "ResponseCode": int64(0), "StandardOutputContent": "ran date on " + i, "ExecutionElapsedTime": "PT10S", "PluginName": "aws:runShellScript", "Comment": "c"} {
		if got[k] != want {
			t.Errorf("%s is %v, want %v", k, got[k], want)
		}
	}
	if s := w.standing(id); s != "Success/Success Success:1" {
		t.Error(s)
	}
	plugins := w.do("ssm", "ListCommandInvocations", object{"InstanceId": i, "Details": true})
	if at(plugins, "CommandInvocations.0.CommandPlugins.0.Output") != "ran date on "+i || at(plugins, "CommandInvocations.0.InstanceName") != "web" {
		t.Errorf("%v", plugins)
	}
	want := []string{"EC2 Command Invocation Status-change Notification " + i + " InProgress", "EC2 Command Status-change Notification InProgress",
		"EC2 Command Invocation Status-change Notification " + i + " Success", "EC2 Command Status-change Notification Success"}
	if !slices.Equal(*events, want) {
		t.Errorf("events\n%s\nwant\n%s", strings.Join(*events, "\n"), strings.Join(want, "\n"))
	}
	w.do("ssm", "CancelCommand", object{"CommandId": id}) // which has ended, and stays so
	if s := w.standing(id); s != "Success/Success Success:1" {
		t.Error(s)
	}
}

func TestCommandsOfWhichNothingIsSaidSaySo(t *testing.T) {
	w := newFleet(t)
	i := w.managed()
	id := w.send(object{"InstanceIds": ids(i), "DocumentName": "AWS-UpdateSSMAgent"})
	w.clock.Advance(time.Minute)
	if got := w.run(id, i)["StandardOutputContent"].(string); !strings.Contains(got, "ran nothing") {
		t.Error(got)
	}
}

func TestCommandsThatAreRefused(t *testing.T) {
	w := newFleet(t)
	i, bare := w.managed(), w.launch(object{})
	w.do("ssm", "CreateDocument", object{"Name": "runbook", "DocumentType": "Automation", "Content": `{"schemaVersion":"0.3","mainSteps":[{"name":"s","action":"aws:sleep","inputs":{"Duration":"PT1S"}}]}`})
	good := object{"InstanceIds": ids(i), "DocumentName": "AWS-RunShellScript", "Parameters": object{"commands": ids("date")}}
	for _, c := range []struct {
		code string
		with object
	}{
		{"InvalidDocument", object{"DocumentName": "nobodys"}},
		{"InvalidDocument", object{"DocumentName": "runbook"}},
		{"InvalidDocument", object{"DocumentHash": "0000"}},
		{"InvalidDocumentVersion", object{"DocumentVersion": "7"}},
		{"InvalidParameters", object{"Parameters": object{}}},
		{"InvalidParameters", object{"Parameters": object{"commands": ids("date"), "colour": ids("red")}}},
		{"InvalidParameters", object{"Parameters": object{"commands": ids("date"), "executionTimeout": ids("soon")}}},
		{"InvalidParameters", object{"Parameters": object{"commands": ids("date"), "workingDirectory": ids("/", "/tmp")}}},
		{"InvalidParameters", object{"DocumentName": "AWS-RunPatchBaseline", "Parameters": object{"Operation": ids("Look")}}},
		{"InvalidInstanceId", object{"InstanceIds": ids(bare)}},
		{"InvalidInstanceId", object{"InstanceIds": ids("i-00000000000000000")}},
		{"DuplicateInstanceId", object{"InstanceIds": ids(i, i)}},
		{"ValidationException", object{"InstanceIds": ids("web")}},
		{"ValidationException", object{"InstanceIds": nil}},
		{"ValidationException", object{"TimeoutSeconds": int64(29)}},
		{"ValidationException", object{"MaxConcurrency": "none"}},
		{"ValidationException", object{"MaxErrors": "101%"}},
		{"InvalidParameters", object{"InstanceIds": nil, "Targets": []any{object{"Key": "colour", "Values": ids("red")}}}},
		{"NotImplemented", object{"InstanceIds": nil, "Targets": []any{object{"Key": "resource-groups:Name", "Values": ids("g")}}}},
		{"ValidationException", object{"Targets": []any{object{"Key": "tag:a", "Values": ids("b")}}}},
	} {
		in := object{}
		for _, o := range []object{good, c.with} {
			for k, v := range o {
				if in[k] = v; v == nil {
					delete(in, k)
				}
			}
		}
		w.fails(c.code, "ssm", "SendCommand", in)
	}
	id := w.send(object{"InstanceIds": ids(i)})
	w.fails("InvocationDoesNotExist", "ssm", "GetCommandInvocation", object{"CommandId": id, "InstanceId": bare})
	w.fails("InvalidPluginName", "ssm", "GetCommandInvocation", object{"CommandId": id, "InstanceId": i, "PluginName": "aws:none"})
	w.fails("InvalidCommandId", "ssm", "CancelCommand", object{"CommandId": strings.Repeat("0", 36)})
	w.fails("InvalidCommandId", "ssm", "ListCommandInvocations", object{"CommandId": strings.Repeat("0", 36)})
	w.fails("InvalidInstanceId", "ssm", "CancelCommand", object{"CommandId": id, "InstanceIds": ids(bare)})
	w.fails("InvalidFilterKey", "ssm", "ListCommandInvocations", object{"Filters": []any{object{"key": "ExecutionStage", "value": "Complete"}}})
}

func TestHowManyRunAtOnceAndHowManyMayFail(t *testing.T) {
	w := newFleet(t)
	for range 4 {
		w.managed("fleet", "a")
	}
	w.managed("fleet", "b")
	ran := 0
	w.HandleCommand("AWS-RunShellScript", func(Command) Result {
		ran++
		return Result{Code: map[bool]int{true: 1}[ran > 1], ErrorOutput: "no", Duration: 10 * time.Second}
	})
	targets := []any{object{"Key": "tag:fleet", "Values": ids("a")}}
	id := w.send(object{"Targets": targets, "MaxConcurrency": "25%", "MaxErrors": "1"})
	w.clock.Advance(commandDelivery)
	for _, want := range []string{"InProgress/InProgress InProgress:1 Pending:3", "InProgress/InProgress InProgress:1 Pending:2 Success:1", "InProgress/InProgress Failed:1 InProgress:1 Pending:1 Success:1",
		"Failed/Failed Failed:2 Success:1 Terminated:1"} {
		if got := w.standing(id); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		w.clock.Advance(10 * time.Second)
	}
	if ran != 3 {
		t.Errorf("%d ran", ran)
	}
	// The first that fails is one too many, but what runs beside it goes on.
	id = w.send(object{"Targets": targets})
	w.clock.Advance(time.Minute)
	if got := w.standing(id); got != "Failed/Failed Failed:4" {
		t.Error(got)
	}
	id = w.send(object{"Targets": targets, "MaxErrors": "100%"})
	w.clock.Advance(time.Minute)
	if got := w.standing(id); got != "Failed/Incomplete Failed:4" {
		t.Error(got)
	}
	id = w.send(object{"Targets": []any{object{"Key": "tag:fleet", "Values": ids("z")}}})
	w.clock.Advance(time.Minute)
	if got := w.standing(id); got != "Failed/NoInstancesInTag" {
		t.Error(got)
	}
}

func TestNodesThatDoNotAnswer(t *testing.T) {
	w := newFleet(t)
	stopped, lost, back, slow, dies := w.managed(), w.managed(agentTag, "lost"), w.managed(), w.managed(), w.managed()
	w.do("ec2", "StopInstances", object{"InstanceIds": ids(stopped, back)})
	w.clock.Advance(time.Hour)
	w.HandleCommand("AWS-RunShellScript", func(c Command) Result {
		if c.InstanceID == slow {
			return Result{Duration: time.Hour}
		}
		return Result{Duration: 20 * time.Second}
	})
	sent := w.clock.Now()
	in := object{"InstanceIds": ids(stopped, lost, back, slow, dies), "DocumentName": "AWS-RunShellScript", "Parameters": object{"commands": ids("date"), "executionTimeout": ids("300")}, "TimeoutSeconds": int64(600), "MaxErrors": "100%"}
	id := w.send(in)
	w.clock.Advance(5 * time.Second)
	w.do("ec2", "TerminateInstances", object{"InstanceIds": ids(dies)})
	w.do("ec2", "StartInstances", object{"InstanceIds": ids(back)})
	w.clock.Advance(3 * time.Minute)
	if got, want := w.standing(id), "InProgress/InProgress InProgress:2 Pending:2 Success:1"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	w.clock.Advance(sent.Add(900 * time.Second).Sub(w.clock.Now()))
	for node, want := range map[string]string{stopped: "Failed/Undeliverable", lost: "TimedOut/DeliveryTimedOut", back: "Success/Success", slow: "TimedOut/ExecutionTimedOut", dies: "TimedOut/ExecutionTimedOut"} {
		got := w.run(id, node)
		if s := got["Status"].(string) + "/" + got["StatusDetails"].(string); s != want {
			t.Errorf("%s is %s, want %s", node, s, want)
		}
	}
	id = w.send(object{"InstanceIds": ids(stopped)})
	w.clock.Advance(24 * time.Hour)
	if got := w.standing(id); got != "Failed/Undeliverable Undeliverable:1" {
		t.Error(got)
	}
}

func TestACommandIsCancelled(t *testing.T) {
	w := newFleet(t)
	a, b := w.managed(), w.managed()
	id := w.send(object{"InstanceIds": ids(a, b), "MaxConcurrency": "1"})
	w.clock.Advance(commandDelivery)
	events := w.heard("status")
	w.do("ssm", "CancelCommand", object{"CommandId": id})
	if want := "EC2 Command Status-change Notification Cancelling"; (*events)[len(*events)-1] != want {
		t.Errorf("events %v", *events)
	}
	if got := w.standing(id); got != "Cancelling/Cancelling Cancelled:1 Cancelling:1" {
		t.Error(got)
	}
	w.clock.Advance(time.Minute)
	if got := w.standing(id); got != "Cancelled/Cancelled Cancelled:2" {
		t.Error(got)
	}
	// One of two: the other goes on.
	id = w.send(object{"InstanceIds": ids(a, b)})
	w.do("ssm", "CancelCommand", object{"CommandId": id, "InstanceIds": ids(a)})
	w.clock.Advance(time.Minute)
	if got := w.run(id, b)["Status"]; got != "Success" || w.run(id, a)["Status"] != "Cancelled" {
		t.Errorf("the other one is %v", got)
	}
}

func TestACommandGoesOnInACopy(t *testing.T) {
	w := newFleet(t)
	i := w.managed()
	id := w.send(object{"InstanceIds": ids(i)})
	w.do("ssm", "PutParameter", object{"Name": "p", "Value": "v", "Type": "String"})
	data, err := w.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	clock := NewClock(w.clock.Now())
	s, err := Restore(Options{Catalog: w.catalog, Clock: clock}, data)
	if err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Minute)
	for copied, want := range map[*Sandbox]string{s: "Success", w.Sandbox: "Pending"} {
		out, err := copied.Call(context.Background(), Request{Service: "ssm", Operation: "GetCommandInvocation", AccessKeyID: OperatorKey, Input: object{"CommandId": id, "InstanceId": i}})
		if err != nil || out["Status"] != want {
			t.Errorf("%v, %v, want %s", out["Status"], err, want)
		}
	}
	if _, err := Restore(Options{Catalog: w.catalog}, []byte(strings.Replace(string(data), `"parameters":{"p":{"versions":[`, `"parameters":{"q":{"versions":null},"p":{"versions":[`, 1))); err == nil {
		t.Error("a snapshot with holes was taken")
	}
}

const shellDocument = `schemaVersion: '2.2'
description: Says a word.
parameters:
  Word: {type: String, default: hello, allowedValues: [hello, bye]}
mainSteps:
  - {action: 'aws:runShellScript', name: say, inputs: {runCommand: ['echo {{ Word }}']}}
`

func TestDocuments(t *testing.T) {
	w := newFleet(t)
	made := w.do("ssm", "CreateDocument", object{"Name": "say", "DocumentType": "Command", "DocumentFormat": "YAML", "Content": shellDocument, "VersionName": "first", "Tags": []any{object{"Key": "a", "Value": "b"}}})["DocumentDescription"].(object)
	for k, want := range map[string]any{"Status": "Creating", "DocumentVersion": "1", "DefaultVersion": "1", "SchemaVersion": "2.2", "Owner": "111122223333", "Description": "Says a word.", "HashType": "Sha256",
		"Hash": contentHash(shellDocument), "PlatformTypes": []any{"Linux", "MacOS"}, "Parameters": []any{object{"Name": "Word", "Type": "String", "DefaultValue": "hello"}}} {
		if !reflect.DeepEqual(made[k], want) {
			t.Errorf("%s is %v, want %v", k, made[k], want)
		}
	}
	w.clock.Advance(documentChange)
	if got := at(w.do("ssm", "DescribeDocument", object{"Name": "say"}), "Document.Status"); got != "Active" {
		t.Errorf("it is %v", got)
	}
	got := w.do("ssm", "GetDocument", object{"Name": "say"})
	var content map[string]any
	if err := json.Unmarshal([]byte(got["Content"].(string)), &content); err != nil || got["DocumentFormat"] != "JSON" || content["schemaVersion"] != "2.2" {
		t.Errorf("asked for no format: %v, %v", err, got)
	}
	if got := w.do("ssm", "GetDocument", object{"Name": "say", "DocumentFormat": "YAML"}); got["Content"] != shellDocument {
		t.Errorf("%v", got)
	}
	second := strings.Replace(shellDocument, "hello", "moin", 2)
	update := object{"Name": "say", "DocumentFormat": "YAML", "Content": second, "VersionName": "second"}
	w.fails("DuplicateDocumentContent", "ssm", "UpdateDocument", object{"Name": "say", "DocumentFormat": "YAML", "Content": shellDocument})
	w.fails("DuplicateDocumentVersionName", "ssm", "UpdateDocument", object{"Name": "say", "DocumentFormat": "YAML", "Content": second, "VersionName": "first"})
	if got := at(w.do("ssm", "UpdateDocument", update), "DocumentDescription.DocumentVersion"); got != "2" {
		t.Errorf("version %v", got)
	}
	update["Content"], update["VersionName"] = strings.Replace(shellDocument, "hello", "ciao", 2), "third"
	w.fails("InvalidDocumentVersion", "ssm", "UpdateDocument", update) // the default is not the latest
	update["DocumentVersion"] = "$LATEST"
	w.do("ssm", "UpdateDocument", update)
	w.fails("InvalidDocumentVersion", "ssm", "UpdateDocumentDefaultVersion", object{"Name": "say", "DocumentVersion": "9"})
	w.do("ssm", "UpdateDocumentDefaultVersion", object{"Name": "say", "DocumentVersion": "2"})
	for in, want := range map[string]string{"": "moin", "$LATEST": "ciao", "$DEFAULT": "moin", "1": "hello"} {
		o := object{"Name": "say", "DocumentFormat": "YAML"}
		if in != "" {
			o["DocumentVersion"] = in
		}
		if got := w.do("ssm", "GetDocument", o)["Content"].(string); !strings.Contains(got, want) {
			t.Errorf("version %q is %s", in, got)
		}
	}
	if got := w.do("ssm", "GetDocument", object{"Name": "say", "VersionName": "first"}); got["DocumentVersion"] != "1" {
		t.Errorf("%v", got)
	}
	w.fails("InvalidDocumentOperation", "ssm", "DeleteDocument", object{"Name": "say", "DocumentVersion": "2"})
	w.do("ssm", "DeleteDocument", object{"Name": "say", "DocumentVersion": "1"})
	if got := w.do("ssm", "ListDocumentVersions", object{"Name": "say"})["DocumentVersions"].([]any); len(got) != 2 || at(got[1], "IsDefaultVersion") != true {
		t.Errorf("%v", got)
	}
	i := w.managed()
	w.HandleCommand("say", func(c Command) Result { return Result{Output: c.Parameters["Word"][0]} })
	id := w.send(object{"InstanceIds": ids(i), "DocumentName": "say"})
	w.clock.Advance(time.Minute)
	if got := w.run(id, i); got["StandardOutputContent"] != "moin" || got["PluginName"] != "say" {
		t.Errorf("%v", got)
	}
	w.do("ssm", "DeleteDocument", object{"Name": "say"})
	for _, op := range []string{"GetDocument", "DescribeDocument", "DeleteDocument", "ListDocumentVersions"} {
		w.fails("InvalidDocument", "ssm", op, object{"Name": "say"})
	}
}

func TestDocumentsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct{ code, kind, format, content string }{
		"a reserved name":          {"ValidationException", "", "YAML", shellDocument},
		"no JSON":                  {"InvalidDocumentContent", "Command", "JSON", shellDocument},
		"no map":                   {"InvalidDocumentContent", "Command", "JSON", `[]`},
		"no schema":                {"InvalidDocumentSchemaVersion", "Command", "JSON", `{"mainSteps":[]}`},
		"another kind's schema":    {"InvalidDocumentSchemaVersion", "Automation", "YAML", shellDocument},
		"no steps":                 {"InvalidDocumentContent", "Command", "JSON", `{"schemaVersion":"2.2","mainSteps":[]}`},
		"no runtimeConfig":         {"InvalidDocumentContent", "Command", "JSON", `{"schemaVersion":"1.2"}`},
		"an unknown member":        {"InvalidDocumentContent", "Command", "JSON", `{"schemaVersion":"2.2","steps":[]}`},
		"an unknown action":        {"InvalidDocumentContent", "Command", "JSON", `{"schemaVersion":"2.2","mainSteps":[{"name":"a","action":"aws:sleep"}]}`},
		"two steps of a name":      {"InvalidDocumentContent", "Command", "JSON", `{"schemaVersion":"2.2","mainSteps":[{"name":"a","action":"aws:runShellScript"},{"name":"a","action":"aws:runShellScript"}]}`},
		"a step without a name":    {"InvalidDocumentContent", "Automation", "JSON", `{"schemaVersion":"0.3","mainSteps":[{"action":"aws:sleep"}]}`},
		"a parameter of no type":   {"InvalidDocumentContent", "Automation", "JSON", `{"schemaVersion":"0.3","parameters":{"a":{"type":"Text"}},"mainSteps":[{"name":"a","action":"aws:sleep"}]}`},
		"an undefined parameter":   {"InvalidDocumentContent", "Command", "JSON", `{"schemaVersion":"2.2","mainSteps":[{"name":"a","action":"aws:runShellScript","inputs":{"runCommand":["{{ x }}"]}}]}`},
		"what is too large":        {"MaxDocumentSizeExceeded", "Command", "YAML", shellDocument + strings.Repeat("#", maxDocumentBytes)},
		"a kind that isn't served": {"NotImplemented", "Package", "JSON", `{"schemaVersion":"2.0"}`},
		"no such kind":             {"ValidationException", "Novel", "JSON", `{}`},
	} {
		in := object{"Name": "doc", "DocumentFormat": c.format, "Content": c.content}
		if in["DocumentType"] = c.kind; c.kind == "" {
			in["Name"] = "AWS-mine"
			delete(in, "DocumentType")
		}
		if _, err := w.try("ssm", "CreateDocument", in); codeOf(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	in := object{"Name": "doc", "DocumentFormat": "YAML", "Content": shellDocument}
	w.do("ssm", "CreateDocument", in)
	w.fails("DocumentAlreadyExists", "ssm", "CreateDocument", in)
	w.fails("InvalidDocument", "ssm", "DeleteDocument", object{"Name": "AWS-RunShellScript"})
}

func TestDocumentsOfAWS(t *testing.T) {
	w := newWorld(t)
	w.documents = fstest.MapFS{"AWS-Restart.yaml": {Data: []byte("schemaVersion: '0.3'\nmainSteps:\n  - {name: a, action: 'aws:sleep', inputs: {Duration: PT1S}}\n")}, "README.md": {Data: []byte("#")}}
	got := w.do("ssm", "DescribeDocument", object{"Name": "AWS-Restart"})["Document"].(object)
	if got["Owner"] != "Amazon" || got["DocumentType"] != "Automation" || got["SchemaVersion"] != "0.3" {
		t.Errorf("%v", got)
	}
	w.do("ssm", "CreateDocument", object{"Name": "own", "DocumentFormat": "YAML", "Content": shellDocument})
	for _, c := range []struct {
		key, value string
		want       []string
	}{
		{"Owner", "Self", []string{"own"}},
		{"DocumentType", "Automation", []string{"AWS-Restart"}},
		{"Name", "AWS-R", []string{"AWS-Restart", "AWS-RunPatchBaseline", "AWS-RunPowerShellScript", "AWS-RunShellScript"}},
		{"SearchKeyword", "Shell", []string{"AWS-RunPowerShellScript", "AWS-RunShellScript"}},
		{"PlatformTypes", "Windows", []string{"AWS-InstallMissingWindowsUpdates", "AWS-Restart", "AWS-RunPatchBaseline", "AWS-RunPowerShellScript", "AWS-UpdateSSMAgent"}},
	} {
		var names []string
		for _, o := range w.do("ssm", "ListDocuments", object{"Filters": []any{object{"Key": c.key, "Values": ids(c.value)}}})["DocumentIdentifiers"].([]any) {
			names = append(names, o.(object)["Name"].(string))
		}
		if !slices.Equal(names, c.want) {
			t.Errorf("%s=%s: %v, want %v", c.key, c.value, names, c.want)
		}
	}
	w.fails("InvalidFilterKey", "ssm", "ListDocuments", object{"Filters": []any{object{"Key": "Colour", "Values": ids("red")}}})
	for name := range amazonCommands {
		d, _ := w.amazonDocument(name)
		content, err := parseContent(d.latest())
		if err == nil {
			err = content.check("Command")
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
