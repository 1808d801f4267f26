package awsapi

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestRuleFunctions(t *testing.T) {
	partitions, err := embeddedCatalog(t).partitionTable()
	if err != nil {
		t.Fatal(err)
	}
	list := []any{"a", "b"}
	for _, test := range []struct {
		fn   string
		args []any
		want any
	}{
		{"isSet", []any{nil}, false}, {"isSet", []any{false}, true},
		{"not", []any{nil}, true}, {"not", []any{true}, false},
		{"booleanEquals", []any{true, true}, true}, {"booleanEquals", []any{"x", "x"}, false}, {"booleanEquals", []any{nil, nil}, false},
		{"stringEquals", []any{"a", "a"}, true}, {"stringEquals", []any{"a", "b"}, false}, {"stringEquals", []any{nil, nil}, false},
		{"stringEquals", []any{list, list}, false},
		{"coalesce", []any{nil, "x", "y"}, "x"}, {"coalesce", []any{}, nil},
		{"ite", []any{true, "x", "y"}, "x"}, {"ite", []any{false, "x", "y"}, "y"},
		{"split", []any{"a--b--c", "--", 2.0}, []any{"a", "b--c"}}, {"split", []any{"a-b", "-", 0.0}, []any{"a", "b"}}, {"split", []any{"a", "", 0.0}, nil},
		{"substring", []any{"abcdef", 1.0, 3.0, false}, "bc"}, {"substring", []any{"abcdef", 1.0, 3.0, true}, "de"},
		{"substring", []any{"ab", 1.0, 3.0, false}, nil}, {"substring", []any{"aäb", 0.0, 1.0, false}, nil}, {"substring", []any{"ab", 1.0, 1.0, false}, nil},
		{"uriEncode", []any{"a b/ü~"}, "a%20b%2F%C3%BC~"}, {"uriEncode", []any{1.0}, nil},
		{"getAttr", []any{map[string]any{"a": list}, "a[1]"}, "b"}, {"getAttr", []any{list, "[0]"}, "a"}, {"getAttr", []any{list, "[7]"}, nil}, {"getAttr", []any{"x", "a"}, nil},
		{"parseURL", []any{"https://h:8/p"}, map[string]any{"scheme": "https", "authority": "h:8", "path": "/p", "normalizedPath": "/p/", "isIp": false}},
		{"parseURL", []any{"http://[::1]:8"}, map[string]any{"scheme": "http", "authority": "[::1]:8", "path": "", "normalizedPath": "/", "isIp": true}},
		{"parseURL", []any{"https://h?x=1"}, nil}, {"parseURL", []any{"ftp://h"}, nil}, {"parseURL", []any{"h"}, nil},
		{"isValidHostLabel", []any{"a-b", false}, true}, {"isValidHostLabel", []any{"a-", false}, false}, {"isValidHostLabel", []any{"-a", false}, false},
		{"isValidHostLabel", []any{"a.b", false}, false}, {"isValidHostLabel", []any{"a.b", true}, true}, {"isValidHostLabel", []any{"a..b", true}, false},
		{"isValidHostLabel", []any{strings.Repeat("a", 64), false}, false}, {"isValidHostLabel", []any{strings.Repeat("a", 63), false}, true},
		{"aws.isVirtualHostableS3Bucket", []any{"my-bucket", false}, true}, {"aws.isVirtualHostableS3Bucket", []any{"My-bucket", false}, false},
		{"aws.isVirtualHostableS3Bucket", []any{"my.bucket", false}, false}, {"aws.isVirtualHostableS3Bucket", []any{"my.bucket", true}, true},
		{"aws.isVirtualHostableS3Bucket", []any{"1.2.3.4", true}, false}, {"aws.isVirtualHostableS3Bucket", []any{"ab", false}, false},
		{"aws.parseArn", []any{"arn:aws:s3:r:1:a:b/c"}, map[string]any{"partition": "aws", "service": "s3", "region": "r", "accountId": "1", "resourceId": []any{"a", "b", "c"}}},
		{"aws.parseArn", []any{"arn:aws:s3:r:1"}, nil}, {"aws.parseArn", []any{"arn::s3:r:1:x"}, nil}, {"aws.parseArn", []any{nil}, nil},
		{"aws.partition", []any{nil}, nil},
	} {
		e := &evaluator{partitions: partitions, scope: map[string]any{}}
		if got := ruleFunctions[test.fn].run(e, test.args); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s%v = %#v, want %#v", test.fn, test.args, got, test.want)
		}
	}
	for region, want := range map[string]string{"eu-west-1": "aws", "cn-north-1": "aws-cn", "us-gov-east-1": "aws-us-gov", "eu-west-99": "aws", "us-iso-new-7": "aws-iso", "us-iso-east-9": "aws-iso", "nonsense": "aws"} {
		if got := partitions.find(region).ID; got != want {
			t.Errorf("%s is in %s, want %s", region, got, want)
		}
	}
}

// resolveWith runs a rule set by itself.
func resolveWith(t testing.TB, rules string, params EndpointParams) (Endpoint, error) {
	t.Helper()
	var set ruleSet
	if err := json.Unmarshal([]byte(rules), &set); err != nil {
		return Endpoint{}, err
	}
	partitions, err := embeddedCatalog(t).partitionTable()
	if err != nil {
		t.Fatal(err)
	}
	return set.resolve("test", partitions, params)
}

func TestRuleSetsThatAreWrong(t *testing.T) {
	tree := `{"type": "endpoint", "conditions": [], "endpoint": {"url": "http://x"}}`
	for range maxRuleDepth + 2 {
		tree = `{"type": "tree", "conditions": [], "rules": [` + tree + `]}`
	}
	call := `"x"`
	for range maxRuleDepth + 2 {
		call = `{"fn": "coalesce", "argv": [` + call + `]}`
	}
	var doubling strings.Builder
	for i := range 40 {
		if i > 0 {
			doubling.WriteString(",")
		}
		doubling.WriteString(`{"fn": "coalesce", "argv": ["{A}{A}"], "assign": "A"}`)
	}
	condition := func(c string) string {
		return `{"parameters": {"A": {"type": "string"}}, "rules": [{"type": "endpoint", "conditions": [` + c + `], "endpoint": {"url": "http://x"}}]}`
	}
	for name, test := range map[string]struct{ rules, want string }{
		"no rules":         {`{"rules": []}`, "no rule fits"},
		"nothing fits":     {condition(`{"fn": "isSet", "argv": [{"ref": "Missing"}]}`), "no rule fits"},
		"required":         {`{"parameters": {"B": {"type": "string", "required": true}}, "rules": []}`, "B is not set"},
		"unknown function": {condition(`{"fn": "explode", "argv": []}`), "unknown function explode"},
		"few arguments":    {condition(`{"fn": "not", "argv": []}`), "takes 1 arguments, it has 0"},
		"unknown type":     {`{"rules": [{"type": "shrub", "conditions": []}]}`, `unknown rule type "shrub"`},
		"no URL":           {`{"rules": [{"type": "endpoint", "conditions": [], "endpoint": {}}]}`, "an endpoint without URL"},
		"open template":    {`{"rules": [{"type": "endpoint", "conditions": [], "endpoint": {"url": "http://{A"}}]}`, "is not closed"},
		"unset name":       {`{"rules": [{"type": "endpoint", "conditions": [], "endpoint": {"url": "http://{B}"}}]}`, "B, which is not set"},
		"deep rules":       {`{"rules": [` + tree + `]}`, "nested too deeply"},
		"deep arguments":   {condition(`{"fn": "isSet", "argv": [` + call + `]}`), "nested too deeply"},
		"a growing text":   {condition(doubling.String()), "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := resolveWith(t, test.rules, EndpointParams{"A": "xx"})
			var refused *EndpointError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

func TestEndpointPropertiesAndSchemes(t *testing.T) {
	rules := `{"parameters": {"Region": {"type": "string"}}, "rules": [{"type": "endpoint", "conditions": [], "endpoint": {
	  "url": "https://x.{Region}", "headers": {"X-A": ["{Region}", "b"]},
	  "properties": {"backend": "B-{Region}", "authSchemes": [
	    {"name": "unheard-of"}, {"name": "sigv4a", "signingName": "n", "signingRegionSet": ["*"], "disableDoubleEncoding": true}, {"name": "sigv4"}]}}}]}`
	ep, err := resolveWith(t, rules, EndpointParams{"Region": "r", "Unknown": 1})
	if err != nil {
		t.Fatal(err)
	}
	if ep.URL != "https://x.r" || ep.AuthScheme != "sigv4a" || ep.SigningName != "n" || !ep.DisableDoubleEncoding || !reflect.DeepEqual(ep.SigningRegionSet, []string{"*"}) {
		t.Errorf("%+v", ep)
	}
	if got := ep.Headers.Values("X-A"); !reflect.DeepEqual(got, []string{"r", "b"}) {
		t.Errorf("headers %v", got)
	}
	if ep.Properties["backend"] != "B-r" {
		t.Errorf("properties %v", ep.Properties)
	}
}

func FuzzRuleSet(f *testing.F) {
	c := embeddedCatalog(f)
	for _, name := range []string{"sts", "s3control", "dynamodb", "iam"} {
		s, err := c.Service(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(s.ruleSet), "eu-west-1", "my-bucket")
	}
	f.Add([]byte(`{"rules": [{"conditions": [{"fn": "stringEquals", "argv": [[], []]}]}]}`), "", "")
	f.Fuzz(func(t *testing.T, rules []byte, region, name string) {
		_, _ = resolveWith(t, string(rules), EndpointParams{"Region": region, "Bucket": name, "Endpoint": name, "UseFIPS": true, "UseDualStack": false})
	})
}
