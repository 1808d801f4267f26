package runbook

import (
	"reflect"
	"strings"
	"testing"

	"github.com/knowngood/knowngood"
)

func declare(t testing.TB, parameter string) *Document {
	t.Helper()
	d, err := Parse("x.yaml", []byte("schemaVersion: '0.3'\nparameters:\n  P: "+parameter+"\nmainSteps:\n"+napStep))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestBindParameters(t *testing.T) {
	type list = []any
	type object = map[string]any
	for _, c := range []struct {
		parameter string
		given     any
		want      any // nil: refused
		err       string
	}{
		{"{type: String}", "a", "a", ""},
		{"{type: String}", 7, "7", ""},
		{"{type: String}", true, "true", ""},
		{"{type: String}", list{"a"}, "a", ""}, // as StartAutomationExecution has it
		{"{type: String}", list{"a", "b"}, nil, `can't become String`},
		{"{type: String}", object{"a": 1}, nil, `can't become String`},
		{"{type: String}", nil, nil, "the parameter P (String) is missing"},
		{"{type: String, default: d}", nil, "d", ""},
		{"{type: String, default: '{{ssm:/a/b}}'}", nil, nil, "its default {{ssm:/a/b}} was not asked of Parameter Store"},
		{"{type: String, default: '{{ssm:/a/b}}'}", "x", "x", ""},
		{"{type: String, default: ''}", "", "", ""},
		{"{type: String, default: '', allowedPattern: '^a$'}", "", "", ""}, // giving the default is giving nothing
		{"{type: String, allowedPattern: '^a$'}", "", nil, "does not match the allowed pattern ^a$"},
		{"{type: String, allowedPattern: '^vol-[0-9a-f]{8}$'}", "vol-0123abcd", "vol-0123abcd", ""},
		{"{type: String, allowedPattern: '^(?!aws:).*$'}", "owner", "owner", ""},
		{"{type: String, allowedPattern: '^(?!aws:).*$'}", "aws:x", nil, "does not match"},
		{"{type: String, allowedPattern: '^(?=a)(a+)+$'}", strings.Repeat("a", 64) + "!", nil, "the pattern takes too long"},
		{"{type: String, allowedPattern: '(a+)+$'}", strings.Repeat("a", 60_000) + "!", nil, "does not match"},
		{"{type: String, allowedValues: [a, b]}", "b", "b", ""},
		{"{type: String, allowedValues: [a, b]}", "c", nil, `"c" is none of the allowed values ["a","b"]`},
		{"{type: String, minChars: 2, maxChars: 3}", "äö", "äö", ""},
		{"{type: String, minChars: 2, maxChars: 3}", "a", nil, "has 1 characters, at least 2"},
		{"{type: String, minChars: 2, maxChars: 3}", "abcd", nil, "has 4 characters, at most 3"},
		{"{type: String}", strings.Repeat("x", 5<<20), nil, "at most 65536 are allowed"},
		{"{type: Integer}", "42", int64(42), ""},
		{"{type: Integer}", 42.0, int64(42), ""},
		{"{type: Integer}", list{"42"}, int64(42), ""},
		{"{type: Integer}", "4.5", nil, "can't become Integer"},
		{"{type: Integer}", "", nil, "an empty text is no Integer"},
		{"{type: Integer, allowedValues: [1, 2]}", "2", int64(2), ""},
		{"{type: Integer, allowedValues: [1, 2]}", 3, nil, "is none of"},
		{"{type: Boolean}", "True", true, ""},
		{"{type: Boolean}", false, false, ""},
		{"{type: Boolean}", "yes", nil, "can't become Boolean"},
		{"{type: StringList}", list{"a", 1}, list{"a", "1"}, ""},
		{"{type: StringList}", []string{"a"}, list{"a"}, ""},
		{"{type: StringList}", "a", list{"a"}, ""},
		{"{type: StringList}", `["a","b"]`, list{"a", "b"}, ""},
		{"{type: StringList}", `["a"`, nil, "is not the JSON of a StringList"},
		{"{type: StringList}", list{object{}}, nil, "can't become an element of a StringList"},
		{"{type: StringList, minItems: 2}", list{"a"}, nil, "1 elements, at least 2"},
		{"{type: StringList, maxItems: 1}", list{"a", "b"}, nil, "2 elements, at most 1"},
		{"{type: StringList, allowedPattern: '^.$'}", list{"a", "bb"}, nil, `"bb" does not match`},
		{"{type: StringList, allowedValues: [a, b]}", list{"a", "c"}, nil, `"c" is none of`},
		{"{type: StringMap}", object{"a": 1}, object{"a": int64(1)}, ""},
		{"{type: StringMap}", `{"a": {"b": 1}}`, object{"a": object{"b": int64(1)}}, ""},
		{"{type: StringMap}", list{`{"a": 1}`}, object{"a": int64(1)}, ""},
		{"{type: StringMap}", list{object{}}, nil, "can't become StringMap"},
		{"{type: StringMap}", "{", nil, "is not the JSON of a StringMap"},
		{"{type: MapList}", list{object{"Key": "a"}}, list{object{"Key": "a"}}, ""},
		{"{type: MapList}", `[{"Key": "a"}]`, list{object{"Key": "a"}}, ""},
		{"{type: MapList}", list{"a", "b"}, nil, "can't become an element of a MapList"},
		{"{type: MapList}", object{"Key": "a"}, nil, "can't become MapList"},
		{"{type: 'AWS::EC2::Instance::Id'}", "i-0123456789abcdef0", "i-0123456789abcdef0", ""},
		{"{type: 'AWS::EC2::Instance::Id'}", "vol-0123456789abcdef0", nil, "is no AWS::EC2::Instance::Id"},
		{"{type: 'List<AWS::EC2::Instance::Id>'}", list{"i-01234567", "x"}, nil, `"x" is no List<AWS::EC2::Instance::Id>`},
		{"{type: 'AWS::IAM::Role::Arn', default: ''}", "", "", ""},
		{"{type: 'AWS::IAM::Role::Arn'}", "arn:aws-us-gov:iam::111122223333:role/a/b", "arn:aws-us-gov:iam::111122223333:role/a/b", ""},
		{"{type: 'AWS::Lambda::Function::Name'}", "anything", "anything", ""},
	} {
		given := knowngood.Params{}
		if c.given != nil {
			given["P"] = c.given
		}
		got, err := declare(t, c.parameter).BindParameters(given)
		switch {
		case c.want == nil && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s given %.40v: %v, %v; want the error %s", c.parameter, c.given, got, err, c.err)
		case c.want == nil && knowngood.KindOf(err) != knowngood.Invalid:
			t.Errorf("%s given %.40v: the error is of kind %d", c.parameter, c.given, knowngood.KindOf(err))
		case c.want != nil && (err != nil || !reflect.DeepEqual(got["P"], c.want)):
			t.Errorf("%s given %.40v: %#v, %v; want %#v", c.parameter, c.given, got["P"], err, c.want)
		}
	}
}

func TestBindUnknownParameter(t *testing.T) {
	_, err := declare(t, "{type: String, default: a}").BindParameters(knowngood.Params{"p": 1, "Q": 2})
	want := `parameters of x.yaml: the runbook has no parameter "Q"; did you mean P?` + "\n" + `the runbook has no parameter "p"; did you mean P?`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestRole(t *testing.T) {
	d, err := Parse("x.yaml", []byte("assumeRole: 'arn:{{ global:AWS_PARTITION }}:iam::{{ global:ACCOUNT_ID }}:role/{{ Id }}'\n"+head+napStep))
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.Role(knowngood.Params{"Id": "fix"}, knowngood.Place{Partition: "aws-cn", Account: "111122223333"})
	if err != nil || got != "arn:aws-cn:iam::111122223333:role/fix" {
		t.Errorf("%s, %v", got, err)
	}
}
