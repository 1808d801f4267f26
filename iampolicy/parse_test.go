package iampolicy_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/knowngood/knowngood/iampolicy"
)

// parse reads a policy that must be in order.
func parse(t testing.TB, text string, kind iampolicy.Kind) *iampolicy.Policy {
	t.Helper()
	p, err := iampolicy.Parse(text, kind)
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return p
}

// bare is the policy without positions, which printing doesn't keep.
func bare(p *iampolicy.Policy) iampolicy.Policy {
	out := *p
	out.Statements = append([]iampolicy.Statement{}, p.Statements...)
	for i := range out.Statements {
		out.Statements[i].Position = iampolicy.Position{}
	}
	return out
}

const everything = `{
  "Version": "2012-10-17", "Id": "all <of> it",
  "Statement": [
    {"Sid": "One", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/${aws:username}"},
    {"Effect": "Deny", "NotPrincipal": {"AWS": ["111122223333", "arn:aws:iam::111122223333:user/ada"], "Service": "ec2.amazonaws.com",
      "Federated": "graph.facebook.com", "CanonicalUser": ["c1"]},
     "NotAction": ["s3:*", "sqs:Send?essage"], "NotResource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"],
     "Condition": {"StringLike": {"aws:PrincipalTag/team": ["a*", "b\u00e9"], "s3:prefix": ""},
       "NumericLessThanEquals": {"s3:max-keys": 10}, "Bool": {"aws:SecureTransport": false},
       "ForAnyValue:StringEqualsIfExists": {"aws:TagKeys": []}}}
  ]
}`

func TestParseReadsEveryElement(t *testing.T) {
	p := parse(t, everything, iampolicy.Resource)
	want := iampolicy.Policy{Version: "2012-10-17", ID: "all <of> it", Statements: []iampolicy.Statement{
		{Sid: "One", Effect: iampolicy.Allow, Principal: &iampolicy.Principals{Everyone: true}, Actions: []string{"s3:GetObject"},
			Resources: []string{"arn:aws:s3:::b/${aws:username}"}},
		{Effect: iampolicy.Deny, NotPrincipal: &iampolicy.Principals{AWS: []string{"111122223333", "arn:aws:iam::111122223333:user/ada"},
			Service: []string{"ec2.amazonaws.com"}, Federated: []string{"graph.facebook.com"}, CanonicalUser: []string{"c1"}},
			NotActions: []string{"s3:*", "sqs:Send?essage"}, NotResources: []string{"arn:aws:s3:::b", "arn:aws:s3:::b/*"},
			Conditions: []iampolicy.Condition{
				{Operator: iampolicy.Operator{Test: iampolicy.StringLike}, Key: "aws:PrincipalTag/team", Values: []string{"a*", "bé"}},
				{Operator: iampolicy.Operator{Test: iampolicy.StringLike}, Key: "s3:prefix", Values: []string{""}},
				{Operator: iampolicy.Operator{Test: iampolicy.NumericLessThanEquals}, Key: "s3:max-keys", Values: []string{"10"}},
				{Operator: iampolicy.Operator{Test: iampolicy.Bool}, Key: "aws:SecureTransport", Values: []string{"false"}},
				{Operator: iampolicy.Operator{Set: iampolicy.ForAnyValue, Test: iampolicy.StringEquals, IfExists: true}, Key: "aws:TagKeys", Values: []string{}},
			}},
	}}
	if got := bare(p); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got, want := p.Statements[1].Position, (iampolicy.Position{Line: 5, Col: 5}); got != want {
		t.Errorf("the second statement begins at %v, want %v", got, want)
	}
}

func TestPrintIsCompactAndReadsBack(t *testing.T) {
	p := parse(t, everything, iampolicy.AnyKind)
	text := p.String()
	if !strings.HasPrefix(text, `{"Version":"2012-10-17","Id":"all <of> it","Statement":[{"Sid":"One","Effect":"Allow","Principal":"*","Action":"s3:GetObject",`) {
		t.Errorf("printed as %s", text)
	}
	if again := parse(t, text, iampolicy.AnyKind); !reflect.DeepEqual(bare(again), bare(p)) {
		t.Errorf("got  %+v\nwant %+v", bare(again), bare(p))
	}
	if p.Size() != len(text) {
		t.Errorf("size %d, want %d", p.Size(), len(text))
	}
}

func TestOneStatementNeedsNoList(t *testing.T) {
	p := parse(t, `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`, iampolicy.Identity)
	if len(p.Statements) != 1 || p.Version != "" {
		t.Errorf("got %+v", p)
	}
}

func TestPrintRefusesWhatJSONCantSay(t *testing.T) {
	equals := iampolicy.Operator{Test: iampolicy.StringEquals}
	for name, conditions := range map[string][]iampolicy.Condition{
		"a key twice":    {{Operator: equals, Key: "a", Values: []string{"1"}}, {Operator: equals, Key: "a", Values: []string{"2"}}},
		"no test":        {{Key: "a", Values: []string{"1"}}},
		"a nameless key": {{Operator: equals, Values: []string{"1"}}},
	} {
		p := &iampolicy.Policy{Statements: []iampolicy.Statement{{Effect: iampolicy.Deny, Actions: []string{"*"}, Conditions: conditions}}}
		if raw, err := p.MarshalJSON(); err == nil {
			t.Errorf("%s was printed as %s", name, raw)
		}
		if p.String() != "" {
			t.Errorf("%s: String is %q", name, p.String())
		}
	}
}

func TestEveryOperatorReadsBack(t *testing.T) {
	n := 0
	for test := iampolicy.StringEquals; test <= iampolicy.Null; test++ {
		for _, set := range []iampolicy.Set{iampolicy.NoSet, iampolicy.ForAllValues, iampolicy.ForAnyValue} {
			for _, ifExists := range []bool{false, true} {
				op := iampolicy.Operator{Set: set, Test: test, IfExists: ifExists}
				got, ok := iampolicy.ParseOperator(op.String())
				if wanted := test != iampolicy.Null || !ifExists; ok != wanted || ok && got != op {
					t.Errorf("%s: got %v, %v", op, got, ok)
				}
				n++
			}
		}
	}
	if n != 27*6 {
		t.Errorf("%d operators, want %d", n, 27*6)
	}
	for _, name := range []string{"", "IfExists", "stringequals", "StringEqual", "ForAnyValue:", "ForSomeValue:StringLike", "StringEqualsIfExistsIfExists"} {
		if op, ok := iampolicy.ParseOperator(name); ok {
			t.Errorf("%q is %v", name, op)
		}
	}
}

func TestProblemsHaveAPlaceAndWhatWasExpected(t *testing.T) {
	statement := func(members string) string { return `{"Version":"2012-10-17","Statement":[{` + members + `}]}` }
	for _, c := range []struct {
		name string
		kind iampolicy.Kind
		text string
		want string // all problems, a line each
	}{
		{"nothing", iampolicy.AnyKind, "", "1:1: the document ends; expected a value"},
		{"an open object", iampolicy.AnyKind, "{\n \"Version\": \"2012-10-17\",\n", "3:1: the document ends; expected a member's name in quotes"},
		{"a comma too many", iampolicy.AnyKind, "{\"Statement\":[],}", "1:17: unexpected '}'; expected a member's name in quotes"},
		{"two documents", iampolicy.AnyKind, `{} {}`, "1:4: unexpected '{'; expected the end of the document"},
		{"a bad escape", iampolicy.AnyKind, `{"\x":1}`, `1:4: unexpected 'x'; expected one of "\/bfnrtu`},
		{"a line feed in a string", iampolicy.AnyKind, "{\"a\nb\":1}", `1:4: unexpected '\n'; expected control characters written as escapes`},
		{"not an object", iampolicy.AnyKind, `[]`, "1:1: it is a list; expected a policy, which is an object"},
		{"not UTF-8", iampolicy.AnyKind, "{\"\xff\":1}", "1:1: the document is not UTF-8"},
		{"no statement", iampolicy.AnyKind, `{"Version":"2012-10-17"}`, "1:1: the policy has no Statement; expected one"},
		{"a version to come", iampolicy.AnyKind, `{"Version":"2030-01-01","Statement":[]}`,
			`1:12: Version: no version "2030-01-01" of the language is known; expected 2012-10-17 or 2008-10-17`},
		{"an unknown element", iampolicy.AnyKind, statement(`"Effect":"Allow","Actions":"*"`),
			"1:38: Statement[0]: the statement has no Action; expected one\n" +
				"1:56: Statement[0].Actions: a statement has no such element; expected Sid, Effect, Principal, Action, Resource, Condition, or a Not form"},
		{"an element twice", iampolicy.AnyKind, statement(`"Effect":"Allow","Action":"*","Effect":"Deny"`),
			"1:69: Statement[0].Effect: it is there twice; expected it once"},
		{"both forms", iampolicy.AnyKind, statement(`"Effect":"Allow","Action":"*","NotAction":"s3:*"`),
			"1:38: Statement[0]: the statement has Action and NotAction; expected one of them"},
		{"an effect in lower case", iampolicy.AnyKind, statement(`"Effect":"allow","Action":"*"`),
			`1:48: Statement[0].Effect: no effect is named "allow"; expected Allow or Deny`},
		{"types", iampolicy.AnyKind, statement(`"Sid":1,"Effect":"Allow","Action":["*",2],"Resource":{},"Principal":"ada"`),
			"1:45: Statement[0].Sid: it is a number; expected a string\n" +
				"1:78: Statement[0].Action: it is a number; expected a string\n" +
				"1:92: Statement[0].Resource: it is an object; expected a string or a list of strings\n" +
				`1:107: Statement[0].Principal: it is "ada"; expected "*" or an object such as {"AWS": "111122223333"}`},
		{"an unknown operator", iampolicy.AnyKind, statement(`"Effect":"Allow","Action":"*","Condition":{"StringEqual":{"a:b":"c"}}`),
			"1:82: Statement[0].Condition.StringEqual: there is no such operator; expected one such as StringEquals, ArnLikeIfExists or ForAnyValue:StringLike"},
		{"a null value", iampolicy.AnyKind, statement(`"Effect":"Allow","Action":"*","Condition":{"Null":{"a:b":null}}`),
			"1:96: Statement[0].Condition.Null.a:b: it is null; expected a string, a number, true or false"},

		{"identity with principal and id", iampolicy.Identity, `{"Id":"x","Statement":{"Sid":"a b","Effect":"Allow","Principal":"*","Action":"s3","Resource":"bucket"}}`,
			"1:2: Id: an identity-based policy has no Id; expected none\n" +
				"1:30: Statement.Sid: the Sid has ' '; expected letters and digits only\n" +
				"1:53: Statement.Principal: a statement of an identity-based policy names no principal; expected no Principal\n" +
				`1:78: Statement.Action: "s3" is no action; expected one such as s3:GetObject, or "*"` + "\n" +
				`1:94: Statement.Resource: "bucket" is no ARN; expected one such as arn:aws:s3:::bucket/*, or "*"`},
		{"identity without resource", iampolicy.Identity, statement(`"Effect":"Allow","Action":"*"`), "1:38: Statement[0]: the statement has no Resource; expected one"},
		{"a Sid twice", iampolicy.Identity, "{\"Statement\":[{\"Sid\":\"A\",\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"},\n {\"Sid\":\"A\",\"Effect\":\"Deny\",\"Action\":\"*\",\"Resource\":\"*\"}]}",
			`2:2: Statement[1]: the Sid "A" is that of Statement[0] too; expected a Sid of its own`},
		{"a variable for an account", iampolicy.Identity, statement(`"Effect":"Allow","Action":"*","Resource":"arn:aws:sqs:*:${aws:PrincipalAccount}:q"`),
			`1:80: Statement[0].Resource: "arn:aws:sqs:*:${aws:PrincipalAccount}:q" has a variable before its fifth colon; expected variables in the last part of the ARN only`},
		{"values of the wrong type", iampolicy.Identity, statement(`"Effect":"Allow","Action":"*","Resource":"*","Condition":{"NumericEquals":{"a:b":"x"},"DateLessThan":{"a:c":["2026-01-01","soon"]},"IpAddress":{"a:d":"10.0.0.0/33"},"Bool":{"a:e":"yes"},"BinaryEquals":{"a:f":"%"}}`),
			`1:120: Statement[0].Condition.NumericEquals.a:b: NumericEquals can't compare with "x"; expected a number` + "\n" +
				`1:161: Statement[0].Condition.DateLessThan.a:c: DateLessThan can't compare with "soon"; expected a date such as 2026-01-31T00:00:00Z, or seconds since 1970` + "\n" +
				`1:189: Statement[0].Condition.IpAddress.a:d: IpAddress can't compare with "10.0.0.0/33"; expected an IP address or a CIDR block` + "\n" +
				`1:218: Statement[0].Condition.Bool.a:e: Bool can't compare with "yes"; expected true or false` + "\n" +
				`1:247: Statement[0].Condition.BinaryEquals.a:f: BinaryEquals can't compare with "%"; expected base64`},
		{"resource without principal", iampolicy.Resource, statement(`"Effect":"Allow","Action":"*","Resource":"*"`), "1:38: Statement[0]: the statement has no Principal; expected one"},
		{"part of a principal", iampolicy.Resource, statement(`"Effect":"Allow","Action":"*","Resource":"*","Principal":{"AWS":"arn:aws:iam::111122223333:user/*"}`),
			`1:103: Statement[0].Principal: "arn:aws:iam::111122223333:user/*" has a wildcard in a part of it; expected a whole name, or "*" for everyone`},
		{"trust", iampolicy.Trust, statement(`"Effect":"Allow","NotPrincipal":{"AWS":"111122223333"},"Action":"s3:GetObject","Resource":"*"`),
			"1:56: Statement[0].NotPrincipal: a trust policy has no NotPrincipal; expected Principal\n" +
				`1:103: Statement[0].Action: "s3:GetObject" is not an action of STS; expected one such as sts:AssumeRole` + "\n" +
				"1:118: Statement[0].Resource: a trust policy is about the role that has it; expected no Resource"},
		{"SCP", iampolicy.SCP, `{"Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}}`,
			`1:1: a service control policy has version ""; expected 2012-10-17` + "\n" +
				"1:31: Statement.Principal: a statement of a service control policy names no principal; expected no Principal"},
		{"RCP", iampolicy.RCP, statement(`"Effect":"Allow","Principal":{"AWS":"111122223333"},"NotAction":"s3:*","Resource":"*"`),
			"1:38: Statement[0]: a statement of a resource control policy allows; expected Deny; only RCPFullAWSAccess allows, and all\n" +
				`1:68: Statement[0].Principal: a resource control policy is for all principals; expected "*"` + "\n" +
				"1:91: Statement[0].NotAction: a resource control policy has no NotAction; expected Action"},
		{"no statements", iampolicy.Resource, `{"Statement":[]}`, "1:1: the policy has no statement; expected one at least"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := iampolicy.Parse(c.text, c.kind)
			if err == nil {
				t.Fatalf("parsed as %s", p)
			}
			var all iampolicy.Errors
			if !errors.As(err, &all) || p != nil {
				t.Fatalf("the error is a %T, the policy %v", err, p)
			}
			if got := err.Error(); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestDocumentsAreBounded(t *testing.T) {
	if _, err := iampolicy.Parse(`{"Statement":[`+strings.Repeat(" ", iampolicy.MaxDocument)+`]}`, iampolicy.AnyKind); err == nil {
		t.Error("a document of too many bytes was read")
	}
	if _, err := iampolicy.Parse(strings.Repeat("[", 100_000), iampolicy.AnyKind); err == nil || !strings.Contains(err.Error(), "too deep") {
		t.Errorf("deep lists: %v", err)
	}
	_, err := iampolicy.Parse(`{"Statement":[`+strings.Repeat("1,", 1000)+`1]}`, iampolicy.AnyKind)
	var all iampolicy.Errors
	if !errors.As(err, &all) || len(all) != 20 {
		t.Errorf("%d problems reported", len(all))
	}
}

func TestStringsAreReadAsJSONHasThem(t *testing.T) {
	p := parse(t, `{"Id":"\"\\\/\b\f\n\r\t\u0041\ud83d\ude00\ud83dx","Statement":[]}`, iampolicy.AnyKind)
	if want := "\"\\/\b\f\n\r\tA😀\ufffdx"; p.ID != want {
		t.Errorf("got %q, want %q", p.ID, want)
	}
}

func TestEachKindTakesItsOwn(t *testing.T) {
	for kind, list := range map[iampolicy.Kind][]string{
		iampolicy.Identity: {
			`{"Version":"2012-10-17","Statement":[{"Sid":"A1","Effect":"Allow","NotAction":"iam:*","NotResource":"arn:aws:s3:::b/${aws:username}","Condition":{"Bool":{"a:b":"${a:c}"},"Null":{"a:d":true}}}]}`,
			`{"Statement":{"Effect":"Deny","Action":["*","s3:*"],"Resource":["*","arn:aws:sqs"],"Condition":{"IpAddress":{"aws:SourceIp":["::1","10.0.0.0/8"]},"DateLessThan":{"a:e":["2026","1772600767"]},"NumericEquals":{"a:f":-1.5},"BinaryEquals":{"a:g":"AAEC"}}}}`,
		},
		iampolicy.Resource: {
			`{"Id":"x","Statement":{"Sid":"with spaces","Effect":"Allow","NotPrincipal":{"AWS":"111122223333"},"Action":"ecr:*"}}`,
			`{"Statement":{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":"s3:GetObject","Resource":"*"}}`,
		},
		iampolicy.Trust: {`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Federated":"accounts.google.com"},"Action":["sts:AssumeRoleWithWebIdentity","STS:TagSession"]}}`},
		iampolicy.SCP:   {`{"Version":"2012-10-17","Statement":{"Effect":"Allow","NotAction":"s3:*","Resource":"arn:aws:s3:::b","Condition":{"Bool":{"a:b":"true"}}}}`},
		iampolicy.RCP: {
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}`,
			`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"s3:*","NotResource":"arn:aws:s3:::b"}}`,
		},
	} {
		for _, text := range list {
			if _, err := iampolicy.Parse(text, kind); err != nil {
				t.Errorf("%s %s\n%v", kind, text, err)
			}
		}
	}
}
