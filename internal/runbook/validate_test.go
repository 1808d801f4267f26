package runbook

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/knowngood/knowngood/awsapi"
)

func catalog(t testing.TB) *awsapi.Catalog {
	t.Helper()
	cat, err := awsapi.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	return cat
}

// The library's own runbooks have nothing to report.
func TestValidateLibrary(t *testing.T) {
	cat := catalog(t)
	files, err := filepath.Glob("../../library/runbooks/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no runbooks in the library: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Parse(filepath.Base(file), data)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, p := range d.Validate(cat) {
			t.Error(p)
		}
	}
}

func TestValidateReports(t *testing.T) {
	cat := catalog(t)
	const read = "    outputs: [{Name: Out, Selector: $.x}, {Name: List, Selector: '$.x[*]', Type: StringList}]\n"
	for _, c := range []struct{ name, doc, want string }{
		{"unknown action", head + strings.Replace(napStep, "aws:sleep", "aws:slep", 1), `x.yaml:6:13: step Nap: there is no action "aws:slep"; did you mean aws:sleep?; expected an action of SSM Automation`},
		{"service", head + strings.Replace(apiStep, "ec2", "ec3", 1), `x.yaml:7:23: step Read: no service "ec3"…`},
		{"service in capitals", head + strings.Replace(apiStep, "ec2", "EC2", 1), ""},
		{"operation", head + strings.Replace(apiStep, "DescribeVolumes", "DescribeVolume", 1), `x.yaml:7:33: step Read: no operation "DescribeVolume"…`},
		{"member", head + strings.Replace(apiStep, "Volumes}", "Volumes, VolumeId: [a]}", 1), "x.yaml:7:50: step Read: ec2:DescribeVolumes has no input VolumeId; did you mean VolumeIds?; expected one of VolumeIds, IncludeManagedResources, DryRun, Filters, NextToken, MaxResults"},
		{"deep member", head + strings.Replace(apiStep, "Volumes}", "Volumes, Filters: [{Nam: x}]}", 1), "x.yaml:7:61: step Read: ec2:DescribeVolumes has no input Filters[0].Nam; did you mean Name?; expected one of Name, Values"},
		{"not a list", head + strings.Replace(apiStep, "Volumes}", "Volumes, VolumeIds: vol-1}", 1), `x.yaml:7:61: step Read: ec2:DescribeVolumes.VolumeIds is "vol-1"; expected a list`},
		{"not a number", head + strings.Replace(apiStep, "Volumes}", "Volumes, MaxResults: all}", 1), `x.yaml:7:62: step Read: ec2:DescribeVolumes.MaxResults is "all"; expected a whole number`},
		{"not a boolean", head + strings.Replace(apiStep, "Volumes}", "Volumes, DryRun: perhaps}", 1), `x.yaml:7:58: step Read: ec2:DescribeVolumes.DryRun is "perhaps"; expected true or false`},
		{"enum", head + strings.Replace(apiStep, "Volumes}", "InstanceAttribute, InstanceId: i-1, Attribute: kernal}", 1), `x.yaml:7:88: step Read: ec2:DescribeInstanceAttribute.Attribute is "kernal"; did you mean kernel?; expected instanceType, kernel,…`},
		{"missing member", head + strings.Replace(apiStep, "DescribeVolumes", "DeleteVolume", 1), "x.yaml:7:14: step Read: ec2:DeleteVolume needs the input VolumeId; expected VolumeId"},
		{"text for a list", head + strings.Replace(apiStep, "Volumes}", "Volumes, VolumeIds: '{{ Id }}'}", 1), "x.yaml:7:61: step Read: ec2:DescribeVolumes.VolumeIds is a String; expected a StringList or MapList"},
		{"unknown parameter", head + strings.Replace(napStep, "PT1S", "'{{ Idd }}'", 1), `x.yaml:7:24: step Nap: there is no parameter "Idd"; did you mean Id?; expected a parameter of the document`},
		{"unknown variable", head + strings.Replace(napStep, "PT1S", "'{{ variable:Idd }}'", 1), `x.yaml:7:24: step Nap: there is no variable "Idd"; expected a variable of the document`},
		{"unknown step", head + apiStep + read + strings.Replace(napStep, "PT1S", "'{{ Red.Out }}'", 1), `x.yaml:11:24: step Nap: {{ Red.Out }}: there is no step "Red"; did you mean Read?; expected the name of a step`},
		{"unknown output", head + apiStep + read + strings.Replace(napStep, "PT1S", "'{{ Read.Aut }}'", 1), `x.yaml:11:24: step Nap: {{ Read.Aut }}: step Read has no output "Aut"; did you mean Out?; expected an output of Read`},
		{"parameter store", head + strings.Replace(napStep, "PT1S", "'{{ ssm:/a/b }}'", 1), "x.yaml:7:24: step Nap: {{ ssm:/a/b }}: Parameter Store can be referred to in a parameter's default only; expected a parameter of the document with this default"},
		{"role of a step", "assumeRole: '{{ Read.Out }}'\n" + head + apiStep + read, "x.yaml:1:13: the document: assumeRole can't refer to a step; expected a parameter"},
		{"document output", head + apiStep + "outputs: [Read.Out]\n", `x.yaml:8:11: the document: {{ Read.Out }}: step Read has no output "Out"; expected an output of Read`},
		{"circle", head + apiStep + napStep + "    nextStep: Read\n", "x.yaml:5:11: step Read is on a circle that has no way out; expected a way to the end of the run"},
		{"circle with a way out", head + apiStep + read + branchStep("{Variable: '{{ Read.Out }}', StringEquals: a, NextStep: Read}") + "    isEnd: true\n", ""},
		{"onCancel", head + napStep + "    onCancel: step:Nap\n", "x.yaml:8:15: step Nap: onCancel leads to Nap, which is aws:sleep; expected a step that is none of " + strings.Join(noCancelTarget, ", ")},
		{"approve too long", head + "  - name: Ask\n    action: aws:approve\n    timeoutSeconds: 2592000\n    inputs: {Approvers: [a]}\n", ""},
		{"outputs of a sleep", head + napStep + "    outputs: [{Name: A, Selector: $.x}]\n", "x.yaml:8:14: step Nap: aws:sleep has no response to take outputs from"},
		{"event stream", head + "  - name: Sub\n    action: aws:executeAwsApi\n    inputs: {Service: kinesis, Api: SubscribeToShard, ConsumerARN: a, ShardId: s, StartingPosition: {Type: LATEST}}\n", "x.yaml:7:37: step Sub: kinesis:SubscribeToShard answers with an event stream, which can't be awaited"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := Parse("x.yaml", []byte(c.doc))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range d.Validate(cat) {
				got = append(got, p.Error())
			}
			all := strings.Join(got, "\n")
			begin, cut := strings.CutSuffix(c.want, "…") // the rest is the models'
			if all != c.want && !(cut && len(got) == 1 && strings.HasPrefix(all, begin)) {
				t.Errorf("got\n%s\nwant\n%s", all, c.want)
			}
		})
	}
}

// Every action of AWS's reference is known.
func TestEveryActionIsKnown(t *testing.T) {
	if n := len(actionNames()); n != 23 {
		t.Errorf("%d actions, AWS's reference has 23", n)
	}
}

func TestIntrospection(t *testing.T) {
	d, err := Parse("x.yaml", []byte(head+apiStep+`    outputs: [{Name: Out, Selector: $.x, Type: Integer}]
  - name: Set
    action: aws:updateVariable
    inputs: {Name: 'variable:V', Value: '{{ Read.Out }} of {{ Id }} and {{ Read.Out }}'}
  - name: Wait
    action: aws:waitForAwsResourceProperty
    timeoutSeconds: '{{ Read.Out }}'
    inputs:
      Service: ec2
      Api: DescribeVolumes
      VolumeIds: ['{{ variable:V }}']
      PropertySelector: $.Volumes[0].State
      DesiredValues: ['{{ Id }}', available]
`+strings.Replace(branchStep("{Variable: '{{ global:REGION }}', StringEquals: a, NextStep: Wait}"), "inputs:", "isEnd: true\n    inputs:", 1)+`variables:
  V: {type: String}
`))
	if err != nil {
		t.Fatal(err)
	}
	for step, want := range map[string]string{
		"Read": "", "Set": "Read.Out Id", "Wait": "variable:V Id Read.Out", "Which": "global:REGION", "No": "",
	} {
		if got := strings.Join(d.Uses(step), " "); got != want {
			t.Errorf("%s uses %q, want %q", step, got, want)
		}
	}
	if got := d.Selectors("Wait"); got.Property != "$.Volumes[0].State" || text(got.Desired) != `["{{ Id }}","available"]` || len(got.Outputs) != 0 {
		t.Errorf("selectors of Wait: %+v", got)
	}
	if got := d.Selectors("Read"); got.Property != "" || len(got.Outputs) != 1 || got.Outputs[0].Selector != "$.x" {
		t.Errorf("selectors of Read: %+v", got)
	}
	if got := strings.Join(d.Arms("Which"), "|"); got != "Wait|" {
		t.Errorf("arms of Which: %q", got)
	}
	if got := strings.Join(d.Arms("Read"), "|"); got != "Set" {
		t.Errorf("arms of Read: %q", got)
	}
	src, ok := d.Source("Read.Out")
	if !ok || src.Step.Name != "Read" || src.Selector != "$.x" || src.Type != Integer {
		t.Errorf("source of Read.Out: %+v, %v", src, ok)
	}
	src, ok = d.Source("variable:V")
	if !ok || len(src.Setters) != 1 || src.Setters[0].Name != "Set" {
		t.Errorf("source of variable:V: %+v, %v", src, ok)
	}
	if src, ok = d.Source("Id"); !ok || src.Type != String || src.Step != nil {
		t.Errorf("source of Id: %+v, %v", src, ok)
	}
	for _, no := range []string{"Nope", "Read.Nope", "Nope.Out", "variable:Nope", "global:NOPE", "a b"} {
		if _, ok := d.Source(no); ok {
			t.Errorf("%s has a source", no)
		}
	}
}
