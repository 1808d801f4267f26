package runbook

import (
	"reflect"
	"testing"

	"github.com/knowngood/knowngood"
)

// What AWS takes and its own runbooks have, Lint takes too: without a word, or
// with a warning where it is probably not meant.
func TestLintTakesWhatAWSTakes(t *testing.T) {
	api := func(more string) string {
		return step("Read", "executeAwsApi", "{Service: ec2, Api: DescribeVolumes}") +
			"    outputs: [{Name: Id, Selector: '$.Volumes[0].VolumeId'}, {Name: List, Selector: '$.Volumes[*].VolumeId', Type: StringList}]\n" + more
	}
	for _, c := range []struct{ name, doc, want string }{
		// References and steps.
		{"later step", head + step("Nap", "sleep", "{Duration: '{{ Read.Id }}'}") + api(""), "7: step Nap: {{ Read.Id }}: step Read can't have run before it (warning)"},
		{"itself", head + step("Read", "executeAwsApi", "{Service: ec2, Api: DescribeVolumes, NextToken: '{{ Read.A }}'}") + "    outputs: [{Name: A, Selector: $.NextToken}]\n",
			"7: step Read: {{ Read.A }}: step Read can't have run before it (warning)"},
		{"other arm", head + branchStep("{Variable: '{{ Id }}', StringEquals: a, NextStep: Read}") + "      Default: Nap\n" + api("    isEnd: true\n") + step("Nap", "sleep", "{Duration: '{{ Read.Id }}'}"),
			"18: step Nap: {{ Read.Id }}: step Read can't have run before it (warning)"},
		{"unreachable", head + napStep + "    isEnd: true\n" + api(""), "9: no way leads to step Read (warning)"},
		{"output of a branch", head + branchStep("{Variable: '{{ Id }}', StringEquals: a, NextStep: Nap}") + step("Nap", "sleep", "{Duration: 'PT1S{{ Which.NextStep }}'}"), ""},
		{"output with spaces", head + step("Read", "executeAwsApi", "{Service: ec2, Api: DescribeVolumes}") + "    outputs: [{Name: Look at this, Selector: $.NextToken}]\n" + step("Nap", "sleep", "{Duration: '{{ Read.Look at this }}'}"), ""},
		{"selector with quotes", head + step("Read", "executeAwsApi", "{Service: ssm, Api: GetAutomationExecution, AutomationExecutionId: x}") + "    outputs: [{Name: A, Selector: \"$.AutomationExecution.Outputs.'a.b'[0]\"}]\n", ""},

		// Nothing after a key.
		{"empty outputs", head + napStep + "outputs:\n", ""},
		{"empty parameters", "schemaVersion: '0.3'\nparameters:\nvariables:\nfiles:\nmainSteps:\n" + napStep, ""},
		{"empty key of a step", head + napStep + "    onFailure:\n    outputs:\n", ""},
		{"empty default", "schemaVersion: '0.3'\nparameters:\n  A: {type: 'AWS::IAM::Role::Arn', default: , allowedPattern: '^arn'}\n  B: {type: StringMap, default: }\nmainSteps:\n" + napStep, ""},

		// Defaults that could not be given.
		{"default outside of the pattern", "schemaVersion: '0.3'\nparameters:\n  A: {type: String, default: $LATEST, allowedPattern: '^[a-z]+$'}\nmainSteps:\n" + napStep,
			`3: parameter A: "$LATEST" does not match the allowed pattern ^[a-z]+$ (warning)`},
		{"default not among the values", "schemaVersion: '0.3'\nparameters:\n  A: {type: String, default: c, allowedValues: [a, b]}\nmainSteps:\n" + napStep,
			`3: parameter A: "c" is none of the allowed values ["a","b"] (warning)`},
		{"pattern that does not compile", "schemaVersion: '0.3'\nparameters:\n  A: {type: String, default: c, allowedPattern: '('}\nmainSteps:\n" + napStep,
			"3: parameter A: the pattern \"(\" does not compile: error parsing regexp: missing closing ): `(`"},

		// Single values and lists.
		{"list of one", head + step("Del", "executeAwsApi", "{Service: ec2, Api: DeleteVolume, VolumeId: [vol-1]}"), "7: step Del: ec2:DeleteVolume.VolumeId is a list of one (warning)"},
		{"list of one with a flaw", head + step("Del", "executeAwsApi", "{Service: ec2, Api: DescribeVolumes, MaxResults: [all]}"),
			"7: step Del: ec2:DescribeVolumes.MaxResults is \"all\"\n7: step Del: ec2:DescribeVolumes.MaxResults is a list of one (warning)"},
		{"list of two", head + step("Del", "executeAwsApi", "{Service: ec2, Api: DeleteVolume, VolumeId: [vol-1, vol-2]}"), "7: step Del: ec2:DeleteVolume.VolumeId is a list"},
		{"reference to a list", head + api(step("Del", "executeAwsApi", "{Service: ec2, Api: DeleteVolume, VolumeId: '{{ Read.List }}'}")), "11: step Del: ec2:DeleteVolume.VolumeId is a StringList (warning)"},
		{"reference to a list for an action", head + api(step("Make", "createImage", "{InstanceId: '{{ Read.List }}', ImageName: n}")), ""},

		// Calls.
		{"botocore's other name", head + step("Read", "executeAwsApi", "{Service: ec2, Api: DescribeFlowLogs, Filters: [{Name: resource-id, Values: [v]}]}"), ""},
		{"flaw below the other name", head + step("Read", "executeAwsApi", "{Service: ec2, Api: DescribeFlowLogs, Filters: [{Nam: resource-id}]}"), "7: step Read: ec2:DescribeFlowLogs has no input Filters[0].Nam; did you mean Name?"},
		{"required by the other name", head + step("Put", "executeAwsApi", "{Service: logs, Api: CreateExportTask, fromTime: 1, to: 2, logGroupName: g, destination: b}"), ""},
		{"space after the service", head + step("Read", "executeAwsApi", "{Service: 'EC2 ', Api: DescribeVolumes}"), ""},

		// Braces of other languages.
		{"braces in a template", head + step("Make", "createStack", "\n      StackName: s\n      TemplateBody: |\n        A: \"{{{}}}\"\n        B: \"{{ Id }}\""), ""},
		{"unknown name in a template", head + step("Make", "createStack", "\n      StackName: s\n      TemplateBody: |\n        A: \"{{{}}}\"\n        B: \"{{ Idd }}\""), `9: step Make: there is no parameter "Idd"; did you mean Id?`},
		{"braces in a command", head + step("Run", "runCommand", "{DocumentName: d, InstanceIds: [i-1], Parameters: {commands: ['docker ps --format {{.Names}}']}}"), ""},

		// Inputs and actions that no page has.
		{"message of a pause", head + step("Hold", "pause", "{Message: Look}"), ""},
		{"unexpected stop", head + step("Start", "changeInstanceState", "{InstanceIds: [i-1], DesiredState: running, FailOnUnexpectedStopped: perhaps}"), `7: step Start: FailOnUnexpectedStopped is "perhaps"`},
		{"AWS's own action", head + step("Put", "putServerUpgradeMetrics", "{A: b}"), "6: step Put: aws:putServerUpgradeMetrics is an action of AWS's own documents, and is not run here (warning)"},
		{"change template", "executableRunBooks: [{name: AWS-HelloWorld}]\n" + head + napStep, "1: the document is a change template, which a request of Change Manager runs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := lintText(t, c.doc); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// An empty default is nothing given: text, a list or a map with nothing in it.
func TestEmptyDefaults(t *testing.T) {
	d, err := Parse("x", []byte("schemaVersion: '0.3'\nparameters:\n  A: {type: String, default: }\n  B: {type: StringMap, default: }\n  C: {type: String, default: x, allowedValues: [y]}\nmainSteps:\n"+napStep))
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.BindParameters(nil)
	if err != nil || !reflect.DeepEqual(map[string]any(got), map[string]any{"A": "", "B": map[string]any{}, "C": "x"}) {
		t.Errorf("%v, %v", got, err)
	}
}

// A default may refer to system variables; other braces in one are text.
func TestDefaultsWithReferences(t *testing.T) {
	d, err := Parse("x", []byte("schemaVersion: '0.3'\nassumeRole: '{{ Role }}'\nparameters:\n"+
		"  Role: {type: String, default: 'arn:aws:iam::{{global:ACCOUNT_ID}}:role/R', allowedPattern: '^arn:aws:iam::[0-9]+:role/R$'}\n"+
		"  Other: {type: String, default: '{{ Role }} {{ x y }}'}\nmainSteps:\n"+napStep))
	if err != nil {
		t.Fatal(err)
	}
	place := knowngood.Place{Account: "111122223333", Region: "eu-west-1"}
	for _, c := range []struct {
		given knowngood.Params
		role  string
	}{
		{nil, "arn:aws:iam::111122223333:role/R"},
		{knowngood.Params{"Role": "arn:aws:iam::444455556666:role/R"}, "arn:aws:iam::444455556666:role/R"},
	} {
		bound, err := d.BindParameters(c.given)
		if err != nil {
			t.Fatal(err)
		}
		if role, err := d.Role(bound, place); err != nil || role != c.role {
			t.Errorf("%v: the role is %q, %v; want %q", c.given, role, err, c.role)
		}
		if bound["Other"] != "{{ Role }} {{ x y }}" {
			t.Errorf("Other is %v", bound["Other"])
		}
	}
}

// A list of one goes out as the single value that the model wants, at any depth.
func TestListsOfOne(t *testing.T) {
	cat := catalog(t)
	for _, c := range []struct {
		service, operation string
		in, want           map[string]any
		err                bool
	}{
		{"ec2", "DeleteVolume", map[string]any{"VolumeId": []any{"vol-1"}}, map[string]any{"VolumeId": "vol-1"}, false},
		{"ec2", "DeleteVolume", map[string]any{"VolumeId": []any{"vol-1", "vol-2"}}, nil, true},
		{"ec2", "DescribeVolumes", map[string]any{"VolumeIds": []any{"vol-1"}}, map[string]any{"VolumeIds": []any{"vol-1"}}, false},
		{
			"ec2", "CreateTags", map[string]any{"Resources": []any{"i-1"}, "Tags": []any{map[string]any{"Key": []any{"k"}, "Value": "v"}}},
			map[string]any{"Resources": []any{"i-1"}, "Tags": []any{map[string]any{"Key": "k", "Value": "v"}}}, false,
		},
	} {
		call, err := CallRequest{Service: c.service, Operation: c.operation, Input: c.in}.Coerce(cat)
		if (err != nil) != c.err || err == nil && !reflect.DeepEqual(call.Input, c.want) {
			t.Errorf("%s %v: %v, %v; want %v", c.operation, c.in, call.Input, err, c.want)
		}
	}
}
