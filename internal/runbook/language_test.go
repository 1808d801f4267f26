package runbook

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

// lintText parses and lints a document, and gives all that is wrong, a line for
// each, without the expectations.
func lintText(t *testing.T, text string) string {
	t.Helper()
	d, err := Parse("x", []byte(text))
	var list []*knowngood.FileError
	if err != nil {
		list = Problems(err)
	} else {
		var warnings []*knowngood.FileError
		list, warnings = d.Lint(catalog(t))
		for _, w := range warnings {
			w := *w
			w.Problem += " (warning)"
			list = append(list, &w)
		}
	}
	var lines []string
	for _, p := range list {
		lines = append(lines, fmt.Sprintf("%d: %s", p.Line, p.Problem))
	}
	return strings.Join(lines, "\n")
}

// step writes a step of an action with inputs in flow style.
func step(name, action, inputs string) string {
	return "  - name: " + name + "\n    action: aws:" + action + "\n    inputs: " + inputs + "\n"
}

const nap = "{name: Nap, action: 'aws:sleep', inputs: {Duration: PT1S}}"

// What Lint says of the actions' inputs, each by its line.
func TestLintActions(t *testing.T) {
	many := func(n int) string { return strings.TrimSuffix(strings.Repeat("a, ", n), ", ") }
	for _, c := range []struct{ name, steps, want string }{
		{"loop", step("L", "loop", "{Iterators: [a], Steps: ["+nap+"]}"), ""},
		{"loop without anything", step("L", "loop", "{Steps: ["+nap+"]}"), "5: step L: aws:loop has neither Iterators nor a LoopCondition"},
		{"loop with both", step("L", "loop", "{Iterators: [a], LoopCondition: {Variable: '{{ L.CurrentIteration }}', NumericLesser: 3}, Steps: ["+nap+"]}"), "7: step L: aws:loop has both Iterators and a LoopCondition"},
		{"loop without steps", step("L", "loop", "{Iterators: [a]}"), "5: step L: the loop has no Steps"},
		{"loop with empty steps", step("L", "loop", "{Iterators: [a], Steps: []}"), "7: step L: Steps is empty"},
		{"101 iterators", step("L", "loop", "{Iterators: ["+many(101)+"], Steps: ["+nap+"]}"), "7: step L: Iterators is a list"},
		{"101 iterations", step("L", "loop", "{Iterators: [a], MaxIterations: 101, Steps: ["+nap+"]}"), `7: step L: MaxIterations is "101"`},
		{"type of iterators", step("L", "loop", "{Iterators: [a], IteratorDataType: StringList, Steps: ["+nap+"]}"), `7: step L: IteratorDataType is "StringList"`},
		{"action inside", step("L", "loop", "\n      Iterators: [a]\n      Steps:\n        - name: A\n          action: aws:slep\n          inputs: {}"), `11: step A: there is no action "aws:slep"; did you mean aws:sleep?`},
		{"input inside", step("L", "loop", "\n      Iterators: [a]\n      Steps:\n        - name: A\n          action: aws:sleep\n          inputs: {Duration: x}"), `12: step A: Duration: "x" is no ISO 8601 duration of weeks, days, hours, minutes and seconds`},
		{"name inside", step("A", "pause", "{}") + step("L", "loop", "\n      Iterators: [a]\n      Steps:\n        - name: A\n          action: aws:pause"), "13: the step A is there twice, first in line 5"},
		{"loop's value", step("L", "loop", "{Iterators: [a], Steps: [{name: S, action: 'aws:sleep', inputs: {Duration: 'PT{{ L.CurrentIteration }}S'}}]}"), ""},
		{"value of a condition", step("L", "loop", "{LoopCondition: {Variable: '{{ L.CurrentIteratorValue }}', StringEquals: a}, Steps: ["+nap+"]}"), `7: step L: {{ L.CurrentIteratorValue }}: step L has no output "CurrentIteratorValue"`},
		{"in from outside", "  - {name: A, action: 'aws:pause', nextStep: Nap}\n" + step("L", "loop", "{Iterators: [a], Steps: ["+nap+"]}"), `5: step A: nextStep names the step "Nap", which is inside another loop`},
		{"out from inside", step("L", "loop", "{Iterators: [a], Steps: [{name: A, action: 'aws:pause', nextStep: B}]}") + step("B", "pause", "{}"), ""},
		{"out of two loops", step("K", "loop", "{Iterators: [a], Steps: [{name: L, action: 'aws:loop', inputs: {Iterators: [a], Steps: [{name: A, action: 'aws:pause', nextStep: B}]}}]}") + step("B", "pause", "{}"), ""},
		{"out to another loop", step("L", "loop", "{Iterators: [a], Steps: [{name: A, action: 'aws:pause', nextStep: Nap}]}") + step("M", "loop", "{Iterators: [a], Steps: ["+nap+"]}"), `7: step A: nextStep names the step "Nap", which is inside another loop`},
		{"out by onFailure", step("L", "loop", "{Iterators: [a], Steps: [{name: A, action: 'aws:pause', onFailure: 'step:B', onCancel: 'step:B'}]}") + step("B", "executeAwsApi", "{Service: ec2, Api: DescribeVolumes}"), ""},
		{"onCancel of a loop", "  - {name: L, action: 'aws:loop', onCancel: 'step:B', inputs: {Iterators: [a], Steps: [" + nap + "]}}\n" + step("B", "executeAwsApi", "{Service: ec2, Api: DescribeVolumes}"), "5: step L: aws:loop has no onCancel"},
		{"attempts of a loop", "  - {name: L, action: 'aws:loop', maxAttempts: 2, inputs: {Iterators: [a], Steps: [" + nap + "]}}\n", "5: step L: a loop is not tried again as a whole (warning)"},
		{"unreachable inside", step("L", "loop", "{Iterators: [a], Steps: [{name: A, action: 'aws:pause', isEnd: true}, "+nap+"]}"), "7: no way leads to step Nap (warning)"},
		{"circle inside", step("L", "loop", "{Iterators: [a], Steps: [{name: A, action: 'aws:pause', nextStep: B}, {name: B, action: 'aws:pause', nextStep: A}]}"), "7: step A is on a circle that has no way out"},

		{"script", step("S", "executeScript", "{Runtime: python3.11, Handler: f, Script: x}"), ""},
		{"script without handler", step("S", "executeScript", "{Runtime: python3.8, Script: x}"), "5: step S: the input Handler is missing"},
		{"PowerShell", step("S", "executeScript", "{Runtime: PowerShell 7.4, Script: x}"), ""},
		{"PowerShell's handler", step("S", "executeScript", "{Runtime: PowerShell Core 6.0, Handler: f, Script: x}"), "7: step S: PowerShell has no Handler (warning)"},
		{"runtime", step("S", "executeScript", "{Runtime: ruby3, Script: x}"), `7: step S: Runtime is "ruby3"`},
		{"no code", step("S", "executeScript", "{Runtime: python3.11, Handler: f}"), "5: step S: the script has neither Script nor Attachment"},
		{"no such attachment", step("S", "executeScript", "{Runtime: python3.11, Handler: f, Attachment: a.py}"), `7: step S: the document has no files, so that the Attachment "a.py" can't be checked and is not run (warning)`},
		{"script's output", step("S", "executeScript", "{Runtime: python3.11, Handler: f, Script: x}") + step("T", "sleep", "{Duration: '{{ S.Payload.Time }}'}"), ""},
		{"script too long", "  - {name: S, action: 'aws:executeScript', timeoutSeconds: 601, inputs: {Runtime: python3.11, Handler: f, Script: x}}\n", "5: step S: timeoutSeconds of aws:executeScript is 601 (warning)"},

		{"automation", step("C", "executeAutomation", "{DocumentName: d, RuntimeParameters: {a: [b]}}"), ""},
		{"targets without parameter", step("C", "executeAutomation", "{DocumentName: d, Targets: [{Key: k, Values: [v]}]}"), "7: step C: Targets needs the input TargetParameterName"},
		{"targets and maps", step("C", "executeAutomation", "{DocumentName: d, TargetParameterName: p, Targets: [{Key: k}], TargetMaps: [{a: [b]}]}"), "7: step C: there are both Targets and TargetMaps"},
		{"concurrency", step("C", "executeAutomation", "{DocumentName: d, MaxConcurrency: 0, MaxErrors: 101%}"), "7: step C: MaxConcurrency is \"0\"\n7: step C: MaxErrors is \"101%\""},
		{"locations", step("C", "executeAutomation", "{DocumentName: d, TargetLocations: ["+many(101)+"]}"), "7: step C: TargetLocations is a list"},
		{"location", step("C", "executeAutomation", "{DocumentName: d, TargetLocations: [{Accounts: ['1'], Region: [r]}]}"), "7: step C: a target location has no member Region; did you mean Regions?"},

		{"command", step("R", "runCommand", "{DocumentName: d, InstanceIds: [i-1], Parameters: {commands: [x]}}"), ""},
		{"command for nobody", step("R", "runCommand", "{DocumentName: d}"), "5: step R: the command has neither InstanceIds nor Targets"},
		{"command for 51", step("R", "runCommand", "{DocumentName: d, InstanceIds: ["+many(51)+"]}"), "7: step R: InstanceIds has 51 elements"},
		{"command's member", step("R", "runCommand", "{DocumentName: d, Targets: [{Name: k}]}"), "7: step R: ssm:SendCommand has no input Targets[0].Name"},
		{"command's input", step("R", "runCommand", "{DocumentName: d, InstanceIds: [i-1], Comand: x}"), "7: step R: aws:runCommand has no input Comand"},

		{"function", step("F", "invokeLambdaFunction", "{FunctionName: f, InvocationType: Sync}"), `7: step F: InvocationType is "Sync"`},
		{"state machine", step("M", "executeStateMachine", "{name: n}"), "5: step M: the input stateMachineArn is missing"},
		{"webhook", step("W", "invokeWebhook", "{Body: b}"), "5: step W: the input IntegrationName is missing"},
		{"stack", step("S", "createStack", "{StackName: s, TemplateURL: u, TemplateBody: b}"), "7: step S: the stack has both TemplateBody and TemplateURL"},
		{"stack without template", step("S", "createStack", "{StackName: s}"), "5: step S: the stack has no template"},
		{"stack's output", step("S", "createStack", "{StackName: s, TemplateURL: u}") + step("D", "deleteStack", "{StackName: '{{ S.StackID }}'}"), `10: step D: {{ S.StackID }}: step S has no output "StackID"; did you mean StackId?`},
		{"image", step("I", "createImage", "{InstanceId: i, Name: n}"), "7: step I: aws:createImage has no input Name\n5: step I: the input ImageName is missing"},
		{"copy", step("I", "copyImage", "{SourceImageId: i, ImageName: n}"), "5: step I: the input SourceRegion is missing"},
		{"deletion", step("I", "deleteImage", "{ImageIds: [i]}"), "7: step I: aws:deleteImage has no input ImageIds; did you mean ImageId?\n5: step I: the input ImageId is missing"},
		{"instances", step("I", "runInstances", "{ImageId: i, MinCount: 1}"), "7: step I: aws:runInstances has no input MinCount"},
		{"instances as text", step("I", "runInstances", "{ImageId: i}") + step("S", "deleteStack", "{StackName: '{{ I.InstanceIds }}'}"), "10: step S: cloudformation:DeleteStack.StackName is a StringList (warning)"},
		{"list for a text", step("G", "executeAwsApi", "{Service: ec2, Api: DescribeImages}\n    outputs: [{Name: L, Selector: $.Images, Type: StringList}, {Name: T, Selector: '$.Images[0].ImageId'}]") + step("C", "copyImage", "{SourceImageId: '{{ G.L }}', SourceRegion: '{{ G.T }}', ImageName: n}"), ""},
		{"map for a list", step("C", "executeScript", "{Runtime: python3.11, Handler: f, Script: x}") + step("S", "changeInstanceState", "{InstanceIds: '{{ C.Payload }}', DesiredState: stopped}"), "10: step S: InstanceIds is a StringMap"},
		{"member of a map", step("C", "executeScript", "{Runtime: python3.11, Handler: f, Script: x}") + step("S", "changeInstanceState", "{InstanceIds: '{{ C.Payload.Ids }}', DesiredState: stopped}"), ""},
		{"text in braces", step("C", "executeAutomation", "{DocumentName: d, Targets: 'x {{ Id }}', TargetParameterName: p}"), ""},
		{"secret in a step", step("S", "sleep", "{Duration: '{{ resolve:ssm:/a }}'}"), "7: step S: {{ resolve:ssm:/a }}: Parameter Store can be referred to in a parameter's default only"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := lintText(t, head+c.steps); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestAttachments(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	for _, c := range []struct{ files, want string }{
		{"{a.py: {checksums: {sha256: " + sum + "}}}", ""},
		{"{a.py: {checksums: {sha256: " + strings.ToUpper(sum) + "}}}", ""},
		{"[a.py]", "1: files is a list"},
		{"{a.py: {checksums: {sha256: abc}}}", `1: the file a.py has the sha256 "abc"`},
		{"{a.py: {checksums: {md5: abc}}}", `1: the file a.py has the sha256 ""`},
		{"{a.py: {}}", "1: the file a.py has no checksums"},
		{"{a.py: {checksums: {sha256: " + sum + "}, size: 12}}", ""},
		{"{a.py: {checksums: {SHA256: " + sum + "}}}", ""},
		{"{a.py: {sum: x}}", "1: the file a.py has no key \"sum\"\n1: the file a.py has no checksums"},
	} {
		if got := lintText(t, "files: "+c.files+"\n"+head+napStep); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.files, got, c.want)
		}
	}
	if got := lintText(t, "files: {a: {}, b: {}, c: {}, d: {}, e: {}, f: {}}\n"+head+napStep); !strings.HasPrefix(got, "1: files has 6 attachments\n") {
		t.Errorf("six files: %s", got)
	}
}

// Values of Parameter Store stand in defaults and in given values, and nowhere
// else; secrets nowhere.
func TestWithStore(t *testing.T) {
	store := callerFunc(func(_ context.Context, _, operation string, in map[string]any) (map[string]any, error) {
		switch in["Name"] {
		case "/text":
			return map[string]any{"Parameter": map[string]any{"Type": "String", "Value": "v"}}, nil
		case "/list:3":
			return map[string]any{"Parameter": map[string]any{"Type": "StringList", "Value": "a,b"}}, nil
		case "/secret":
			return map[string]any{"Parameter": map[string]any{"Type": "SecureString", "Value": "s"}}, nil
		}
		return nil, &awsapi.Error{Code: "ParameterNotFound", Message: operation}
	})
	get := func(ctx context.Context, name string) (any, error) { return StoreValue(ctx, store, name) }
	for _, c := range []struct {
		parameter string
		given     any
		want      any
		err       string
	}{
		{"{type: String, default: '{{ssm:/text}}'}", nil, "v", ""},
		{"{type: String, default: '{{ resolve:ssm:/text }}'}", nil, "v", ""},
		{"{type: StringList, default: '{{ ssm:/list:3 }}'}", nil, []any{"a", "b"}, ""},
		{"{type: String, default: d}", "{{ssm:/text}}", "v", ""},
		{"{type: String, default: d}", nil, "d", ""},
		{"{type: String, default: '{{ssm:/text}}'}", "given", "given", ""},
		{"{type: String, default: '{{ssm:/text}}', allowedPattern: '^w$'}", nil, nil, "does not match the allowed pattern"},
		{"{type: String, default: '{{ssm:/none}}'}", nil, nil, "the parameter P, /none of Parameter Store: "},
		{"{type: String, default: '{{ssm:/secret}}'}", nil, nil, "it is a SecureString"},
		{"{type: String}", "{{ssm-secure:/secret}}", nil, "a secret can't be referred to"},
		{"{type: String}", "{{resolve:secretsmanager:x}}", nil, "a secret can't be referred to"},
		{"{type: String}", "see {{ssm:/text}}", "see {{ssm:/text}}", ""}, // no reference: a value is not expanded
	} {
		d := declare(t, c.parameter)
		given := knowngood.Params{}
		if c.given != nil {
			given["P"] = c.given
		}
		full, err := d.WithStore(t.Context(), given, get)
		var bound knowngood.Params
		if err == nil {
			bound, err = d.BindParameters(full)
		}
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s given %v: %v, want %q", c.parameter, c.given, err, c.err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(bound["P"], c.want) {
			t.Errorf("%s given %v: %v, %v", c.parameter, c.given, bound["P"], err)
		}
	}
}

// The meaning of MaxConcurrency and MaxErrors is that of Systems Manager's pages.
func TestRates(t *testing.T) {
	for _, c := range []struct {
		text         string
		targets      int
		most, errors int
	}{
		{"", 50, 50, 1}, {"10", 50, 10, 11}, {"3", 50, 3, 4}, {"10%", 50, 5, 6}, {"1%", 50, 1, 1}, {"100%", 7, 7, 8}, {"1000", 50, 50, 1001},
	} {
		concurrency, err := ParseConcurrency(c.text)
		if err != nil || concurrency.Concurrency(c.targets) != c.most {
			t.Errorf("%q: %d at once of %d, %v; want %d", c.text, concurrency.Concurrency(c.targets), c.targets, err, c.most)
		}
		failures, err := ParseErrors(c.text)
		if err != nil || failures.Errors(c.targets) != c.errors {
			t.Errorf("%q: over after %d errors of %d, %v; want %d", c.text, failures.Errors(c.targets), c.targets, err, c.errors)
		}
	}
	if none, err := ParseErrors("0"); err != nil || none.Errors(50) != 1 {
		t.Errorf("MaxErrors 0: %+v, %v", none, err)
	}
	for _, bad := range []string{"0", "-1", "0%", "101%", "1.5", "ten", "10 %"} {
		if _, err := ParseConcurrency(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// aws:approve has no place in an automation over several accounts or Regions.
func TestApproveIsRefusedInMultiAccountAutomations(t *testing.T) {
	d, err := Parse("x.yaml", []byte(head+step("L", "loop", "{Iterators: [a], Steps: [{name: Ask, action: 'aws:approve', inputs: {Approvers: [bob]}}]}")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Start(StartBody{}); err != nil {
		t.Error(err)
	}
	if _, err := d.Start(StartBody{MultiAccount: true}); knowngood.KindOf(err) != knowngood.Invalid || !strings.Contains(err.Error(), "step Ask is aws:approve") {
		t.Errorf("%v", err)
	}
}

// A whole reference keeps its type, one inside a text becomes text; also a loop's
// values, members of maps and system values.
func TestReferencesKeepTheirType(t *testing.T) {
	d, err := Parse("x.yaml", []byte(head+step("L", "loop", "{Iterators: ['{\"n\": 1}'], IteratorDataType: StringMap, Steps: [{name: A, action: 'aws:executeAwsApi', inputs: {Service: ec2, Api: DescribeVolumes}, outputs: [{Name: L, Selector: '$.v', Type: StringList}, {Name: O, Selector: '$.o', Type: StringMap}]}]}")))
	if err != nil {
		t.Fatal(err)
	}
	s := &scope{doc: d, start: &StartBody{ExecutionID: "run-1", DateTime: began, Place: knowngood.Place{Account: "1", Region: "r", Partition: "aws-cn"}}, budget: maxResolved,
		outputs: map[string]map[string]any{
			"L": {currentIteration: int64(2), currentValue: map[string]any{"n": int64(1), "deep": map[string]any{"x": []any{"y"}}}},
			"A": {"L": []any{"a"}, "O": map[string]any{"k": true}},
		}}
	for text, want := range map[string]any{
		"{{ L.CurrentIteration }}":               int64(2),
		"<{{ L.CurrentIteration }}>":             "<2>",
		"{{ L.CurrentIteratorValue }}":           map[string]any{"n": int64(1), "deep": map[string]any{"x": []any{"y"}}},
		"{{ L.CurrentIteratorValue.n }}":         int64(1),
		"{{ L.CurrentIteratorValue.deep.x }}":    []any{"y"},
		"{{ L.CurrentIteratorValue.none }}":      "",
		"{{A.L}}":                                []any{"a"},
		"ids {{A.L}}":                            `ids ["a"]`,
		"{{ A.O.k }}":                            true,
		"{{ A.O }}":                              map[string]any{"k": true},
		"{{automation:EXECUTION_ID}}":            "run-1",
		"{{global:DATE}} {{global:DATE_TIME}}":   "2026-01-02 2026-01-02_03.04.05",
		"{{global:ACCOUNT_ID}}{{global:REGION}}": "1r",
		"arn:{{ global:AWS_PARTITION }}:iam::{{global:ACCOUNT_ID}}:role/x": "arn:aws-cn:iam::1:role/x",
		"{{ not closed": "{{ not closed",
	} {
		tmpl, err := parseTemplate(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got any = text
		if tmpl != nil {
			if got, err = s.expand(tmpl); err != nil {
				t.Errorf("%s: %v", text, err)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %#v, want %#v", text, got, want)
		}
	}
}

// Loops inside loops are bounded: a run executes no more steps than it may.
func TestALoopWithoutEndIsBounded(t *testing.T) {
	forever := "LoopCondition: {Variable: '{{ global:REGION }}', StringEquals: eu-west-1}"
	inner := "{name: C, action: 'aws:updateVariable', inputs: {Name: 'variable:V', Value: x}}"
	for _, name := range []string{"B", "A"} {
		inner = "{name: " + name + ", action: 'aws:loop', inputs: {" + forever + ", Steps: [" + inner + "]}}"
	}
	d, err := Parse("x.yaml", []byte("variables: {V: {type: String}}\nschemaVersion: '0.3'\nmainSteps: ["+inner+", {name: Hold, action: 'aws:pause'}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	log := NewMemLog(startEntry(t, d, nil))
	world := &script{t: t, log: log, clock: &testClock{now: began}}
	end, err := (&Runner{Document: d, RunID: "run-1", Log: log, Caller: world, Catalog: catalog(t), Clock: world.clock}).Run(t.Context())
	if err != nil || end.State != knowngood.RunFailed || !strings.Contains(end.Message, "goes round in circles") {
		t.Errorf("%+v, %v", end, err)
	}
	if entries, _ := log.Entries(t.Context(), ""); len(entries) > 4*MaxStepRuns {
		t.Errorf("%d entries", len(entries))
	}
}

// A pattern that takes exponential time is given up, in a fraction of a second,
// as a value that can't be checked.
func TestACatastrophicPatternIsGivenUp(t *testing.T) {
	d := declare(t, `{type: String, allowedPattern: '^(?!x)(a|aa|aaa)+$'}`)
	if _, err := d.BindParameters(knowngood.Params{"P": strings.Repeat("a", 5000) + "b"}); err == nil || !strings.Contains(err.Error(), "takes too long") {
		t.Errorf("%v", err)
	}
}
