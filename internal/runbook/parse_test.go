package runbook

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/knowngood/knowngood"
)

// head is the beginning of a document; steps go below it, from line 5.
const head = `schemaVersion: '0.3'
parameters:
  Id: {type: String}
mainSteps:
`

const napStep = `  - name: Nap
    action: aws:sleep
    inputs: {Duration: PT1S}
`

func problems(err error) []string {
	var list []string
	var joined interface{ Unwrap() []error }
	switch {
	case err == nil:
	case errors.As(err, &joined):
		for _, e := range joined.Unwrap() {
			list = append(list, e.Error())
		}
	default:
		list = append(list, err.Error())
	}
	return list
}

// Every error names the file and the line, what is there and what was expected.
func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ name, doc, want string }{
		{"empty", "", "x.yaml:1: the document is empty; expected a runbook"},
		{"list", "- a\n", "x.yaml:1:1: the document is a list; expected a map"},
		{"text", "hello\n", "x.yaml:1:1: the document is text; expected a map"},
		{"syntax", "schemaVersion: '0.3\nmainSteps: []\n", "x.yaml:1:16: could not find end character of single-quoted text; expected YAML or JSON"},
		{"two documents", head + napStep + "---\na: b\n", "x.yaml:9:1: a second document in one file; expected one document in each file"},
		{"no version", "mainSteps:\n" + napStep, "x.yaml:1:1: the document has no schemaVersion; expected schemaVersion: '0.3'"},
		{"old version", strings.Replace(head, "0.3", "2.2", 1) + napStep, `x.yaml:1:16: schemaVersion is "2.2"; expected '0.3', an Automation runbook`},
		{"no steps", "schemaVersion: '0.3'\n", "x.yaml:1:1: the document has no mainSteps; expected mainSteps: a list of steps"},
		{"empty steps", "schemaVersion: '0.3'\nmainSteps: []\n", "x.yaml:2:12: mainSteps is empty; expected a list of steps"},
		{"unknown key", head + napStep + "outptus: []\n", `x.yaml:8:1: the document has no key "outptus"; did you mean outputs?; expected schemaVersion, description, assumeRole, parameters, variables, mainSteps, outputs, files`},
		{"unknown step key", head + napStep + "    onfailure: Abort\n", `x.yaml:8:5: a step has no key "onfailure"; did you mean onFailure?; expected ` + strings.Join(stepKeys, ", ")},
		{"duplicate key", head + napStep + "    name: Other\n", `x.yaml:8:5: mapping key "name" already defined at [5:5]; expected YAML or JSON`},
		{"duplicate step", head + napStep + napStep, "x.yaml:8:11: the step Nap is there twice, first in line 5; expected another name"},
		{"step name", head + strings.Replace(napStep, "Nap", "'a nap'", 1), `x.yaml:5:11: the step has the name "a nap"; expected up to 128 letters, digits, _ and -`},
		{"no action", head + "  - name: Nap\n", "x.yaml:5:11: step Nap has no action; expected action"},
		{"next step", head + napStep + "    nextStep: Nip\n", `x.yaml:8:15: step Nap: nextStep names the step "Nip", which does not exist; did you mean Nap?; expected the name of a step`},
		{"on failure", head + napStep + "    onFailure: step:Gone\n", `x.yaml:8:16: step Nap: onFailure names the step "Gone", which does not exist; expected the name of a step`},
		{"on failure word", head + napStep + "    onFailure: Stop\n", `x.yaml:8:16: step Nap: onFailure is "Stop"; expected Abort, Continue or step:NAME`},
		{"on cancel word", head + napStep + "    onCancel: Continue\n", `x.yaml:8:15: step Nap: onCancel is "Continue"; expected Abort or step:NAME`},
		{"critical", head + napStep + "    isCritical: maybe\n", `x.yaml:8:17: step Nap: isCritical is "maybe"; expected true or false`},
		{"attempts", head + napStep + "    maxAttempts: 0\n", "x.yaml:8:18: step Nap: maxAttempts is 0; expected 1 to 100"},
		{"attempts text", head + napStep + "    maxAttempts: many\n", `x.yaml:8:18: step Nap: maxAttempts is "many"; expected a whole number`},
		{"timeout", head + napStep + "    timeoutSeconds: 0\n", "x.yaml:8:21: step Nap: timeoutSeconds is 0; expected 1 to 2592000"},
		{"inputs", head + "  - name: Nap\n    action: aws:sleep\n    inputs: [a]\n", "x.yaml:7:13: step Nap: inputs is a list; expected a map"},
		{"reference", head + strings.Replace(napStep, "PT1S", "'{{ no:such }}'", 1), `x.yaml:7:24: "no:such" is no reference; expected {{ Parameter }}, {{ Step.Output }}, {{ variable:Name }} or {{ global:REGION }}`},
		{"system variable", head + strings.Replace(napStep, "PT1S", "'{{ global:REGON }}'", 1), "x.yaml:7:24: there is no global:REGON; did you mean global:REGION?; expected {{ Parameter }}, {{ Step.Output }}, {{ variable:Name }} or {{ global:REGION }}"},
		{"selector", head + apiStep + "    outputs:\n      - {Name: A, Selector: '$.x['}\n", `x.yaml:9:29: step Read: the output A: JSONPath "$.x[": expected an index, a quoted name, * or ?( in the brackets at character 5; expected Selector: a JSONPath`},
		{"output type", head + apiStep + "    outputs:\n      - {Name: A, Selector: $.x, Type: Strin}\n", `x.yaml:9:40: step Read: an output has the type "Strin"; did you mean String?; expected String, StringList, Integer, Boolean, MapList, StringMap`},
		{"output twice", head + apiStep + "    outputs:\n      - {Name: A, Selector: $.x}\n      - {Name: A, Selector: $.y}\n", "x.yaml:10:10: step Read: the output A is there twice; expected another name"},
		{"parameter type", "schemaVersion: '0.3'\nparameters:\n  A: {type: Text}\nmainSteps:\n" + napStep, `x.yaml:3:13: parameter A has the type "Text"; expected String, StringList, Integer, Boolean, MapList, StringMap`},
		{"parameter key", "schemaVersion: '0.3'\nparameters:\n  A: {type: String, allowedvalues: [a]}\nmainSteps:\n" + napStep, `x.yaml:3:21: parameter A has no key "allowedvalues"; did you mean allowedValues?; expected type, description, default, allowedValues, allowedPattern, minChars, maxChars, minItems, maxItems, displayType, interpolationType`},
		{"default", "schemaVersion: '0.3'\nparameters:\n  A: {type: Integer, default: x}\nmainSteps:\n" + napStep, `x.yaml:3:31: parameter A: "x" can't become Integer; expected a default that the parameter allows`},
		{"pattern", "schemaVersion: '0.3'\nparameters:\n  A: {type: String, allowedPattern: '('}\nmainSteps:\n" + napStep, "x.yaml:3:37: parameter A: the pattern \"(\" does not compile: error parsing regexp: missing closing ): `(`; expected a regular expression"},
		{"variable", "schemaVersion: '0.3'\nvariables:\n  A: {type: Integer, default: x}\nmainSteps:\n" + napStep, `x.yaml:3:31: variable A: the default: "x" can't become Integer; expected Integer`},
		{"document output", head + napStep + "outputs: ['a b']\n", `x.yaml:8:11: the output "a b"; expected Step.Output`},
		{"unknown input", head + strings.Replace(napStep, "Duration:", "Duraton: x, Duration:", 1), "x.yaml:7:14: step Nap: aws:sleep has no input Duraton; did you mean Duration?; expected Duration, Timestamp"},
		{"sleep", head + strings.Replace(napStep, "PT1S", "1s", 1), `x.yaml:7:24: step Nap: Duration: "1s" is no ISO 8601 duration of weeks, days, hours, minutes and seconds; expected an ISO 8601 duration, PT10M`},
		{"long sleep", head + strings.Replace(napStep, "PT1S", "P8D", 1), "x.yaml:7:24: step Nap: Duration: P8D is longer than 604799 seconds; expected an ISO 8601 duration, PT10M"},
		{"sleep what", head + "  - name: Nap\n    action: aws:sleep\n    inputs: {}\n", "x.yaml:5:11: step Nap: aws:sleep needs one of Duration and Timestamp; expected Duration: an ISO 8601 duration, or Timestamp: an ISO 8601 time"},
		{"operator", head + branchStep("Variable: '{{ Id }}'\n          StringEqual: a\n          NextStep: Which"), `x.yaml:10:11: step Which: there is no operator "StringEqual"; did you mean StringEquals?; expected Variable, And, Or, Not, ` + strings.Join(operators, ", ")},
		{"choice target", head + branchStep("Variable: '{{ Id }}'\n          StringEquals: a\n          NextStep: Whick"), `x.yaml:11:21: step Which: NextStep names the step "Whick", which does not exist; did you mean Which?; expected the name of a step`},
		{"two conditions", head + branchStep("Variable: '{{ Id }}'\n          StringEquals: a\n          Contains: b\n          NextStep: Which"), "x.yaml:9:11: step Which: the condition has 1 Variable, 2 operators and 0 of And, Or and Not; expected Variable and one operator, or one of And, Or and Not"},
		{"literal variable", head + branchStep("Variable: Id\n          StringEquals: a\n          NextStep: Which"), `x.yaml:9:21: step Which: Variable is "Id"; expected a reference`},
		{"update", head + "  - name: Set\n    action: aws:updateVariable\n    inputs: {Name: 'variable:X', Value: 1}\n", `x.yaml:7:20: step Set: there is no variable "X"; expected variable:NAME of a variable of the document`},
		{"approvers", head + "  - name: Ask\n    action: aws:approve\n    inputs: {Approvers: []}\n", "x.yaml:7:25: step Ask: Approvers is a list; expected a list of 1 to 10 IAM ARNs or user names"},
		{"instance state", head + "  - name: Stop\n    action: aws:changeInstanceState\n    inputs: {InstanceIds: [i-1], DesiredState: halted}\n", `x.yaml:7:48: step Stop: DesiredState is "halted"; expected running, stopped, terminated`},
		{"no selector", head + "  - name: Wait\n    action: aws:waitForAwsResourceProperty\n    inputs: {Service: ec2, Api: DescribeVolumes, DesiredValues: [a]}\n", "x.yaml:5:11: step Wait: the input PropertySelector is missing; expected PropertySelector"},
		{"alias", "a: *b\n", `x.yaml:1:4: the alias *b has no anchor before it`},
		{"alias in itself", "schemaVersion: &a [*a]\n", "x.yaml:1:20: the alias *a contains itself"},
		{"tag", "schemaVersion: !!binary x\n", "x.yaml:1:16: the tag !!binary; expected a value without a tag"},
		{"infinity", "schemaVersion: .inf\n", "x.yaml:1:16: the number .inf; expected a finite number"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("x.yaml", []byte(c.doc))
			got := strings.Join(problems(err), "\n")
			if got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			var file *knowngood.FileError
			if err != nil && !errors.As(err, &file) {
				t.Errorf("no FileError in %T", err)
			}
		})
	}
}

const apiStep = `  - name: Read
    action: aws:executeAwsApi
    inputs: {Service: ec2, Api: DescribeVolumes}
`

func branchStep(choice string) string {
	return "  - name: Which\n    action: aws:branch\n    inputs:\n      Choices:\n        - " + choice + "\n"
}

// All problems are reported, not just the first.
func TestParseReportsEverything(t *testing.T) {
	_, err := Parse("x.yaml", []byte(head+napStep+"    nextStep: A\n    onFailure: step:B\n    maxAttempts: -1\n    bogus: 1\n"))
	if got := problems(err); len(got) != 5 { // maxAttempts is both negative and not 1 to 100
		t.Errorf("%d problems: %s", len(got), strings.Join(got, "\n"))
	}
}

func TestParseJSON(t *testing.T) {
	const doc = `{
	"schemaVersion": "0.3",
	"parameters": {"Id": {"type": "String", "default": "a\tb"}},
	"mainSteps": [
		{
			"name": "Nap",
			"action": "aws:sleep",
			"isEnd": "true",
			"timeoutSeconds": "60",
			"inputs": {"Duration": "PT1S"}
		}
	]
}`
	d, err := Parse("x.json", []byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	s, ok := d.Step("Nap")
	if !ok || !s.IsEnd || s.Position != (knowngood.Position{File: "x.json", Line: 6, Col: 12}) {
		t.Errorf("step %+v", s)
	}
	for _, c := range []struct{ old, new, want string }{
		{`"PT1S"`, `"x"`, `x.json:10:27: step Nap: Duration: "x" is no ISO 8601 duration of weeks, days, hours, minutes and seconds; expected an ISO 8601 duration, PT10M`},
		{`"isEnd"`, `"isend"`, `x.json:8:4: a step has no key "isend"; did you mean isEnd?; expected ` + strings.Join(stepKeys, ", ")},
		{`"isEnd": "true"`, `"name": "Again"`, `x.json:8:4: the key "name" is there twice`},
		{`"PT1S"}`, `"PT1S"`, "x.json:12:2: invalid character ']' after object key:value pair; expected JSON"},
		{"\n\t]\n}", "\n\t]", "x.json:12:3: the document ends too early; expected JSON"},
	} {
		_, err := Parse("x.json", []byte(strings.Replace(doc, c.old, c.new, 1)))
		if got := strings.Join(problems(err), "\n"); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// Anchors and merge keys are read; what is written wins over what is merged.
func TestParseAliases(t *testing.T) {
	d, err := Parse("x.yaml", []byte(`schemaVersion: '0.3'
mainSteps:
  - &nap
    name: One
    action: aws:sleep
    description: &text A nap
    inputs: {Duration: PT1S}
  - <<: *nap
    name: Two
  - {<<: *nap, name: Three, description: *text, isEnd: true}
`))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range d.Steps() {
		names = append(names, s.Name+" "+s.Description)
	}
	if got, want := strings.Join(names, ", "), "One A nap, Two A nap, Three A nap"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Documents that would take much time, memory or stack are refused.
func TestParseHostile(t *testing.T) {
	bomb := "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 12; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10), ","))
	}
	var stairs strings.Builder
	for i := range 900 {
		stairs.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	var steps strings.Builder
	steps.WriteString(head)
	for i := range 10_000 {
		fmt.Fprintf(&steps, "  - {name: S%d, action: 'aws:pause', inputs: {}}\n", i)
	}
	for _, c := range []struct{ name, doc, want string }{
		{"alias bomb", bomb, "too many values"},
		{"deep flow", strings.Repeat("[", 100_000), "nested too deeply"},
		{"deep maps", strings.Repeat("{a: ", 100_000), "nested too deeply"},
		{"deep block", strings.Repeat("- ", 100_000), "nested too deeply"},
		{"deep keys", strings.Repeat("? ", 100_000), "nested too deeply"},
		{"stairs", stairs.String(), "nested too deeply"},
		{"deep JSON", strings.Repeat(`{"a":`, 5_000), "nested too deeply"},
		{"tags", "a: " + strings.Repeat("!x ", 50_000), ""},
		{"anchors", strings.Repeat("&x ", 50_000) + "a", ""},
		{"5 MB", head + napStep + "    description: " + strings.Repeat("x", 5<<20) + "\n", "larger than 524288 bytes"},
		{"10,000 steps", steps.String(), "too many values"},
		{"1,001 steps", head + strings.Repeat(napStep, 1001), "mainSteps has 1001 steps; expected at most 1000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("x", []byte(c.doc))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %.200v, want %q", err, c.want)
			}
		})
	}
}

func FuzzDocument(f *testing.F) {
	files, err := filepath.Glob("../../library/runbooks/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, seed := range []string{
		head + napStep, "a: *a", "&a [*a]", "<<: {a: b}", "{\"schemaVersion\": \"0.3\"", "? [a]\n: b", "- - - ? !x &y", "a: |\n  x\n", "%YAML 1.2\n---\n",
		"schemaVersion: '0.3'\nmainSteps:\n- {name: B, action: 'aws:branch', inputs: {Choices: [{Not: {And: []}, NextStep: B}], Default: 1}}\n",
	} {
		f.Add([]byte(seed))
	}
	golden, err := filepath.Glob("testdata/run/*.txtar")
	if err != nil || len(golden) == 0 {
		f.Fatalf("no golden files: %v", err)
	}
	for _, file := range golden {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(archive.Files[0].Data)
	}
	cat := catalog(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Parse("x", data)
		if err != nil {
			return
		}
		d.Lint(cat)
		d.Actions(cat)
		for _, s := range d.Steps() {
			d.Edges(s.Name)
			d.Does(s.Name)
			d.Uses(s.Name)
			d.Outputs(s.Name)
		}
		e, err := d.Start(StartBody{})
		if err != nil {
			t.Fatal(err)
		}
		e.Seq = 1
		if _, err := Advance(d, []knowngood.LogEntry{e}); err != nil {
			t.Errorf("the first step can't start: %v", err)
		}
		again, err := Parse("x", bytes.Clone(data))
		if err != nil || len(again.Steps()) != len(d.Steps()) {
			t.Errorf("parsed differently the second time: %v", err)
		}
	})
}
