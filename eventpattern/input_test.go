package eventpattern

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// theEvent is of the form of the EventBridge User Guide's examples.
const theEvent = `{"version": "0", "id": "7bf7", "detail-type": "EC2 \u0041", "source": "aws.ec2", "account": "123456789012",
 "time": "2026-11-11T21:29:54Z", "region": "us-east-1", "resources": ["arn:1", "arn:2"],
 "detail": {"instance-id": "i-0123", "state": "RUNNING", "count": 3.0, "ok": true, "none": null, "quote": "say \"hi\"",
  "one": ["HIGH"], "many": ["A", "B"], "payload": {"id": "0a", "sf": "baz"}, "list": [{"n": 1}, {"n": 2}, {"m": 3}]}}`

var theVariables = Variables{RuleARN: "arn:aws:events:us-east-2:123456789012:rule/example", RuleName: "example",
	IngestionTime: time.Date(2026, 11, 11, 22, 30, 0, 0, time.FixedZone("", 3600))}

var thePaths = map[string]string{
	"type": "$.detail-type", "instance": "$.detail.instance-id", "state": "$.detail.state", "count": "$.detail.count", "ok": "$.detail.ok",
	"none": "$.detail.none", "quote": "$.detail.quote", "one": "$.detail.one", "many": "$.detail.many", "payload": "$.detail.payload",
	"missing": "$.detail.nothing", "first": "$.resources[0]", "ns": "$.detail.list[*].n", "all": "$",
}

func transform(t *testing.T, in TargetInput) (string, error) {
	t.Helper()
	tr, err := in.Compile()
	if err != nil {
		t.Fatalf("%+v: %v", in, err)
	}
	out, err := tr.Apply([]byte(theEvent), theVariables)
	return string(out), err
}

func TestTemplates(t *testing.T) {
	whole := strings.ReplaceAll(theEvent, `"`, "")
	for _, c := range []struct{ template, want string }{
		{`"instance <instance> is in <state>"`, `"instance i-0123 is in RUNNING"`},
		{`"instance \"<instance>\" is in <state>"`, `"instance \"i-0123\" is in RUNNING"`},
		{`{"instance": <instance>, "state": <state>}`, `{"instance": "i-0123", "state": "RUNNING"}`},
		{`{"instance": <instance>, "state": "<state>", "status": "instance \"<instance>\" is in <state>"}`,
			`{"instance": "i-0123", "state": "RUNNING", "status": "instance \"i-0123\" is in RUNNING"}`},
		{`{"state": [9, <state>, true], "x": <count>, "y": <ok>, "z": <none>}`, `{"state": [9, "RUNNING", true], "x": 3.0, "y": true, "z": null}`},
		{`"<count> <ok> <none>"`, `"3.0 true null"`},
		{`{"a": "<count> <ok>"}`, `{"a": "3.0 true"}`},
		{`"<one> and <many>, <payload>"`, `"[HIGH] and [A, B], {id: 0a, sf: baz}"`},
		{`{"a": <one>, "b": [<many>], "c": <payload>}`, `{"a": ["HIGH"], "b": [["A", "B"]], "c": {"id": "0a", "sf": "baz"}}`},
		{`"got <missing>."`, `"got ."`},
		{`{"a": <missing>, "b": "x<missing>"}`, `{"a": "", "b": "x"}`},
		{"\"<one>\"\n\"<state>\"", "\"[HIGH]\"\n\"RUNNING\""},
		{`"{[/ <type>"`, `"{[/ EC2 A"`},
		{`{"a": <type>}`, `{"a": "EC2 \u0041"}`},
		{`{"a": <quote>}`, `{"a": "say \"hi\""}`},
		{`"<quote>"`, `"say "hi""`}, // values aren't escaped
		{`<state>`, `"RUNNING"`},
		{`[<first>, <ns>]`, `["arn:1", [1,2]]`},
		{`"users/<instance>/and/<instance>"`, `"users/i-0123/and/i-0123"`},
		{`"a < b > c, <not a name>, <"`, `"a < b > c, <not a name>, <"`},
		{`{"arn": <aws.events.rule-arn>, "name": <aws.events.rule-name>, "at": <aws.events.event.ingestion-time>}`,
			`{"arn": "arn:aws:events:us-east-2:123456789012:rule/example", "name": "example", "at": "2026-11-11T21:30:00Z"}`},
		{`"<aws.events.rule-name> at <aws.events.event.ingestion-time>"`, `"example at 2026-11-11T21:30:00Z"`},
		{`{"e": <aws.events.event.json>}`, `{"e": ` + theEvent + `}`},
		{`{"e": <all>}`, `{"e": ` + theEvent + `}`},
		{`"<aws.events.event.json>"`, `"` + whole + `"`},
		{`{"e": <aws.events.event>}`, `{"e": {"version":"0","id":"7bf7","detailType":"EC2 \u0041","source":"aws.ec2","account":"123456789012","time":"2026-11-11T21:29:54Z","region":"us-east-1","resources":["arn:1", "arn:2"]}}`},
	} {
		got, err := transform(t, TargetInput{InputTransformer: &InputTransformer{InputPathsMap: thePaths, InputTemplate: c.template}})
		if err != nil || got != c.want {
			t.Errorf("%s:\ngot  %s, %v\nwant %s", c.template, got, err, c.want)
		}
	}
	// What makes it no JSON is no input.
	for _, template := range []string{
		`{"payload": "<payload>"}`, `{"one": "<one>"}`, `{"a": "<quote>"}`, `{"e": "<aws.events.event.json>"}`,
	} {
		got, err := transform(t, TargetInput{InputTransformer: &InputTransformer{InputPathsMap: thePaths, InputTemplate: template}})
		var e *Error
		if got != "" || !errors.As(err, &e) || !strings.HasPrefix(e.Field, "InputTemplate") {
			t.Errorf("%s: %s, %v", template, got, err)
		}
	}
}

// TestReservedText has a text of the caller's in a template: quoted where it is a
// value.
func TestReservedText(t *testing.T) {
	tr, err := TargetInput{InputTransformer: &InputTransformer{InputTemplate: `{"a": <aws.events.rule-name>}`}}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	out, err := tr.Apply([]byte("{}"), Variables{RuleName: "a\"b\\\n\u00e9"})
	if want := `{"a": "a\"b\\\u000aé"}`; err != nil || string(out) != want {
		t.Errorf("%s, %v; want %s", out, err, want)
	}
}

func TestInputs(t *testing.T) {
	text := func(s string) *string { return &s }
	for _, c := range []struct {
		in   TargetInput
		want string
	}{
		{TargetInput{}, theEvent},
		{TargetInput{Input: text(`{"a": [1, "<x>"]}`)}, `{"a": [1, "<x>"]}`},
		{TargetInput{InputPath: text("$")}, theEvent},
		{TargetInput{InputPath: text("$.detail.payload")}, `{"id": "0a", "sf": "baz"}`},
		{TargetInput{InputPath: text("$['detail']['instance-id']")}, `"i-0123"`},
		{TargetInput{InputPath: text("$.resources[1]")}, `"arn:2"`},
		{TargetInput{InputPath: text("$.resources[*]")}, `["arn:1","arn:2"]`},
		{TargetInput{InputPath: text("$.detail.list[*].x")}, `[]`},
		{TargetInput{InputPath: text("$.detail.payload.*")}, `["0a","baz"]`},
		{TargetInput{InputPath: text("$.detail.count")}, `3.0`},
	} {
		if got, err := transform(t, c.in); err != nil || got != c.want {
			t.Errorf("%s, %v; want %s", got, err, c.want)
		}
	}
	for _, path := range []string{"$.detail.nothing", "$.resources[2]", "$.detail[0]", "$.source.x", "$.resources.x"} {
		if got, err := transform(t, TargetInput{InputPath: &path}); err == nil {
			t.Errorf("%s: %s", path, got)
		}
	}
	// Of equal keys the last counts.
	path := "$.a.*"
	tr, err := TargetInput{InputPath: &path}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := tr.Apply([]byte(`{"a": 1, "a": {"b": 2, "b": 3}}`), Variables{}); err != nil || string(out) != "[3]" {
		t.Errorf("%s, %v", out, err)
	}
	for _, event := range []string{``, `[]`, `{"a": }`, `"x"`} {
		if out, err := tr.Apply([]byte(event), Variables{}); err == nil {
			t.Errorf("%s: %s", event, out)
		}
	}
}

func TestInputErrors(t *testing.T) {
	text := func(s string) *string { return &s }
	template := func(paths map[string]string, s string) TargetInput {
		return TargetInput{InputTransformer: &InputTransformer{InputPathsMap: paths, InputTemplate: s}}
	}
	paths := func(path string) TargetInput { return template(map[string]string{"a": path}, `"x"`) }
	many := map[string]string{}
	for i := range 101 {
		many[fmt.Sprint("v", i)] = "$.a"
	}
	for _, c := range []struct {
		in   TargetInput
		want string
	}{
		{TargetInput{Input: text("{}"), InputPath: text("$")}, "a target has more than one of Input, InputPath and InputTransformer; expected at most one"},
		{TargetInput{Input: text("{a}")}, "line 1, column 2: Input: 'a' is no JSON here; expected a text in quotes"},
		{TargetInput{Input: text(strings.Repeat(" ", 8192) + "1")}, "Input: it has 8193 characters; expected at most 8192"},
		{TargetInput{InputPath: text("detail")}, `line 1, column 1: InputPath: the JSON path "detail" doesn't begin with $; expected a path such as $.detail.state`},
		{TargetInput{InputPath: text("$." + strings.Repeat("a", 255))}, "InputPath: a JSON path has 257 characters; expected at most 256"},
		{paths("$..a"), `line 1, column 2: InputPathsMap.a: the JSON path "$..a" has a dot too many; expected a name behind the dot`},
		{paths("$.a[1"), `line 1, column 4: InputPathsMap.a: the JSON path "$.a[1" has a bracket without end; expected ]`},
		{paths("$.a['b]"), `line 1, column 4: InputPathsMap.a: the JSON path "$.a['b]" has a bracket without end; expected ]`},
		{paths("$.a[-1]"), `line 1, column 5: InputPathsMap.a: the JSON path "$.a[-1]" has [-1]; expected an index, * or a name in single quotes`},
		{paths("$.a[?(@.b)]"), `line 1, column 5: InputPathsMap.a: the JSON path "$.a[?(@.b)]" has [?(@.b)]; expected an index, * or a name in single quotes`},
		{paths("$a"), `line 1, column 2: InputPathsMap.a: the JSON path "$a" has 'a' there; expected a dot or a bracket`},
		{template(many, `"x"`), "InputPathsMap: it has 101 variables; expected at most 100"},
		{template(map[string]string{"aws.x": "$.a"}, `"x"`), "InputPathsMap.aws.x: it is no name of a variable; expected 1 to 256 letters, digits, _ and -"},
		{template(nil, `"`+strings.Repeat("x", 8191)+`"`), "InputTemplate: it has 8193 characters; expected at most 8192"},
		{template(nil, "\"a\n"), "line 1, column 3: InputTemplate: the control character 0x0a stands bare in a text; expected \\n, \\t or \\u and four digits"},
		{template(nil, ""), "line 1, column 1: InputTemplate: the JSON ends too early; expected a JSON value"},
		{template(map[string]string{"a": "$.a"}, "{\n \"x\": <b>}"), "line 2, column 7: InputTemplate: there is no variable <b>; expected a key of InputPathsMap, or one of aws.events.rule-arn, aws.events.rule-name, aws.events.event.ingestion-time, aws.events.event, aws.events.event.json"},
		{template(map[string]string{"a": "$.a"}, `<a> is there`), "line 1, column 5: InputTemplate: 'i' is no JSON here; expected the end of the JSON"},
		{template(map[string]string{"a": "$.a"}, `{"x": 1<a>}`), "line 1, column 9: InputTemplate: '0' is no JSON here; expected a comma or }"},
		{template(map[string]string{"a": "$.a"}, `{<a>: 1}`), "line 1, column 3: InputTemplate: '0' is no JSON here; expected a text in quotes"},
		{template(map[string]string{"a": "$.a"}, `{"x": [{"y<a>": 1}]}`), "line 1, column 1: InputTemplate: a variable is in a key; expected variables as values"},
		{template(nil, `"x" {"y": 1}`), "line 1, column 5: InputTemplate: an object behind a text; expected texts only, or one value"},
		{template(nil, `{"y": 1} "x"`), "line 1, column 10: InputTemplate: '\"' is no JSON here; expected the end of the JSON"},
		{template(nil, "\"\xff\""), "line 1, column 1: InputTemplate: the template is no valid UTF-8"},
	} {
		if _, err := c.in.Compile(); err == nil || err.Error() != c.want {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
}

func TestInputIsBounded(t *testing.T) {
	in := TargetInput{InputTransformer: &InputTransformer{InputPathsMap: map[string]string{"a": "$"}, InputTemplate: "[" + strings.Repeat("<a>,", 2000) + "0]"}}
	tr, err := in.Compile()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Apply([]byte(`{"x": "`+strings.Repeat("x", 500)+`"}`), Variables{}); err != nil {
		t.Errorf("a megabyte: %v", err)
	}
	if _, err := tr.Apply([]byte(`{"x": "`+strings.Repeat("x", 600)+`"}`), Variables{}); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("more than a megabyte: %v", err)
	}
}
