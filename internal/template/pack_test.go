package template

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/knowngood/knowngood"
)

// The pack's template begins in line 10 of the file; its errors are at their places
// in the file.
func TestErrorsInsideAPackHaveTheirPlaceInTheFile(t *testing.T) {
	const outer = `Parameters:
  Age: {Type: String, Default: '90'}
Resources:
  Pack:
    Type: AWS::Config::ConformancePack
    Properties:
      ConformancePackName: mine
      ConformancePackInputParameters: [{ParameterName: MaxAge, ParameterValue: !Ref Age}]
      TemplateBody: BLOCK
        Parameters:
          MaxAge: {Type: Number, MinValue: MIN}
        Resources:
          Keys:
            Type: AWS::Config::ConfigRule
            Properties:
              InputParameters: {maxAccessKeyAge: !Ref NAME}
              Source: {Owner: AWS, SourceIdentifier: ACCESS_KEYS_ROTATED}
`
	for name, c := range map[string]struct {
		block, min, ref string
		want            string // of the error
	}{
		"good":           {"|", "1", "MaxAge", ""},
		"through Sub":    {"!Sub |", "1", "MaxAge", ""},
		"undefined":      {"|", "1", "Nowhere", "f.yaml:16:50: \"Nowhere\" is not defined; expected"},
		"undefined, Sub": {"!Sub |-", "1", "Nowhere", "f.yaml:16:50: \"Nowhere\" is not defined; expected"},
		"bad input":      {"|", "91", "MaxAge", "f.yaml:11:11: the parameter MaxAge is \"90\"; expected at least 91"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.NewReplacer("BLOCK", c.block, "MIN", c.min, "NAME", c.ref).Replace(outer)
			tmpl, err := Load("f.yaml", []byte(text), Inputs{})
			if err != nil {
				t.Fatal(err)
			}
			inner, err := tmpl.Packs[0].Load(Inputs{})
			if c.want != "" {
				if err == nil || !strings.HasPrefix(err.Error(), c.want) {
					t.Errorf("have %v", err)
				}
				return
			}
			if err != nil || inner.Rules[0].Parameters["maxAccessKeyAge"] != "90" || inner.Rules[0].Line != 13 {
				t.Errorf("have %+v, %v", inner, err)
			}
		})
	}
}

func TestErrorsInsideAQuotedPack(t *testing.T) {
	tmpl, err := Load("f.json", []byte(`{"Resources": {"Pack": {"Type": "AWS::Config::OrganizationConformancePack", "Properties": {"OrganizationConformancePackName": "mine",
  "ExcludedAccounts": ["111122223333"],
  "TemplateBody": "Resources:\n  Keys:\n    Type: AWS::Config::Rule\n"}}}}`), Inputs{})
	if err != nil {
		t.Fatal(err)
	}
	p := tmpl.OrganizationPacks[0]
	_, err = p.Load(Inputs{})
	var at *knowngood.FileError
	if !errors.As(err, &at) || at.File != "f.json:3:3, TemplateBody" || at.Line != 3 || !reflect.DeepEqual(p.ExcludedAccounts, []string{"111122223333"}) {
		t.Errorf("have %v", err)
	}
}

// A value that only the deployed template has is a placeholder in the pack too.
func TestUnknownInputsOfAPack(t *testing.T) {
	tmpl, err := Load("f.yaml", []byte(`Resources:
  Topic: {Type: AWS::SNS::Topic}
  Pack:
    Type: AWS::Config::ConformancePack
    Properties:
      ConformancePackName: mine
      ConformancePackInputParameters: [{ParameterName: Topic, ParameterValue: !Ref Topic}]
      TemplateBody: |
        Parameters: {Topic: {Type: String, AllowedPattern: '^arn:.*'}}
        Resources:
          Trail:
            Type: AWS::Config::ConfigRule
            Properties: {InputParameters: {snsTopicArn: !Ref Topic, x: 1}, Source: {Owner: AWS, SourceIdentifier: X}}
`), Inputs{})
	if err != nil {
		t.Fatal(err)
	}
	inner, err := tmpl.Packs[0].Load(Inputs{})
	if err != nil || !reflect.DeepEqual(inner.Rules[0].Unknown, []string{"snsTopicArn"}) {
		t.Errorf("have %+v, %v", inner, err)
	}
}

func TestOrganizationRules(t *testing.T) {
	const text = `Resources:
  Mine:
    Type: AWS::Config::ConfigRule
    Properties: {ConfigRuleName: keys, Source: {Owner: AWS, SourceIdentifier: ACCESS_KEYS_ROTATED}}
  Keys:
    Type: AWS::Config::OrganizationConfigRule
    Properties:
      OrganizationConfigRuleName: keys
      ExcludedAccounts: ['111122223333']
      OrganizationManagedRuleMetadata:
        RuleIdentifier: ACCESS_KEYS_ROTATED
        InputParameters: '{"maxAccessKeyAge": 90}'
        ResourceTypesScope: [AWS::IAM::User]
        TagKeyScope: team
`
	tmpl, err := Load("f.yaml", []byte(text), Inputs{})
	if err != nil {
		t.Fatal(err)
	}
	r := tmpl.Rules[1]
	if !r.Organization || r.Identifier != "ACCESS_KEYS_ROTATED" || r.Parameters["maxAccessKeyAge"] != "90" || r.Scope.TagKey != "team" || len(r.ExcludedAccounts) != 1 || r.Line != 5 {
		t.Errorf("have %+v", r)
	}
	_, err = Load("f.yaml", []byte(text+"      OrganizationCustomRuleMetadata: {LambdaFunctionArn: x}\n"), Inputs{})
	if err == nil || !strings.HasPrefix(err.Error(), "f.yaml:5:3: ") {
		t.Errorf("two kinds of metadata: %v", err)
	}
}

func TestRulesThatAreOffAreNamed(t *testing.T) {
	tmpl, err := Load("f.yaml", []byte("Conditions: {Never: !Equals [a, b]}\n"+strings.Replace(ruleA, "    Type: AWS::Config::ConfigRule\n", "    Type: AWS::Config::ConfigRule\n    Condition: Never\n", 1)), Inputs{})
	if err != nil || len(tmpl.Rules) != 0 || len(tmpl.Off) != 1 || tmpl.Off[0].Identifier != "ENCRYPTED_VOLUMES" {
		t.Errorf("have %+v, %v", tmpl, err)
	}
}

// FuzzLoad loads whatever it is given: each error has its file, nothing is both
// loaded and wrong, and a second reading gives the same.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		ruleA, depends("A", "B", "A"), bomb(),
		"Parameters: {P: {Type: CommaDelimitedList, Default: 'a,b', AllowedPattern: '^a$'}}\nMappings: {M: {a: {b: [c]}}}\nConditions: {C: !And [!Not [!Equals [!Ref P, a]], !Or [{Condition: D}, {Condition: D}]], D: !Equals [a, a]}\n" +
			"Resources:\n  R:\n    Type: AWS::Config::ConfigRule\n    Condition: C\n    Properties: {ConfigRuleName: !Join [-, [!Select [0, !Split [',', 'a,b']], !FindInMap [M, a, b]]], InputParameters: !If [C, {a: !GetAtt R.Arn}, !Ref AWS::NoValue], Source: {Owner: AWS, SourceIdentifier: !Sub ['${x}', {x: y}]}}\n",
		`{"Resources": {"P": {"Type": "AWS::Config::ConformancePack", "Properties": {"ConformancePackName": "p", "TemplateBody": "Resources:\n  A: 1"}}}}`,
		"Resources:\n  P:\n    Type: AWS::Config::OrganizationConformancePack\n    Properties:\n      OrganizationConformancePackName: p\n      TemplateBody: !Sub |2\n\n          Resources: {A: {Type: ${AWS::Region}}}\n",
		"Resources: &r {A: &a {<<: *a}}\n", "a: !Ref [b]\n---\nc: d\n", "Resources: {A: {Type: AWS::Config::OrganizationConfigRule, Properties: {OrganizationConfigRuleName: a, OrganizationManagedRuleMetadata: {RuleIdentifier: X, InputParameters: '{\"a\":[1]}'}}}}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		in := Inputs{AllowMissing: true, Account: "111122223333", Region: "eu-west-1", Partition: "aws"}
		tmpl, err := Load("f.yaml", data, in)
		again, errAgain := Load("f.yaml", data, in)
		if !reflect.DeepEqual(tmpl, again) || (err == nil) != (errAgain == nil) || err != nil && err.Error() != errAgain.Error() {
			t.Fatalf("first %+v, %v\nthen %+v, %v", tmpl, err, again, errAgain)
		}
		if (tmpl == nil) == (err == nil) {
			t.Fatalf("have %v and %v", tmpl, err)
		}
		checkErrors(t, err)
		if tmpl == nil {
			return
		}
		for _, r := range tmpl.Rules {
			if r.Line < 1 {
				t.Errorf("a rule without a place: %+v", r)
			}
		}
		for _, p := range append(tmpl.Packs, tmpl.OrganizationPacks...) {
			_, err := p.Load(in)
			checkErrors(t, err)
		}
	})
}

func checkErrors(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	list := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		list = joined.Unwrap()
	}
	for _, e := range list {
		var at *knowngood.FileError
		if !errors.As(e, &at) || !strings.HasPrefix(at.File, "f.yaml") || at.Line < 1 || at.Problem == "" {
			t.Errorf("an error without a place: %v", e)
		}
	}
}
