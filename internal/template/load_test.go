package template

import (
	"errors"
	"strings"
	"testing"

	"github.com/knowngood/knowngood"
)

const ruleA = `Resources:
  A:
    Type: AWS::Config::ConfigRule
    Properties: {Source: {Owner: AWS, SourceIdentifier: ENCRYPTED_VOLUMES}}
  Fix:
    Type: AWS::Config::RemediationConfiguration
    Properties:
      ConfigRuleName: !Ref A
      TargetType: SSM_DOCUMENT
      TargetId: AWS-EncryptEBSVolume
`

func TestRemediationsDefaults(t *testing.T) {
	tmpl, err := Load("f.yaml", []byte(ruleA), Inputs{})
	if err != nil {
		t.Fatal(err)
	}
	r := tmpl.Governed()[0].Remediation
	if r == nil || r.MaximumAutomaticAttempts != 5 || r.RetryAttemptSeconds != 60 || r.Automatic || r.Line != 5 {
		t.Errorf("have %+v", r)
	}
}

func TestWrongTemplatesAreRefused(t *testing.T) {
	params := func(n int) string {
		return "      Parameters:\n" + numbered(n, "        P%d: {ResourceValue: {Value: RESOURCE_ID}}\n")
	}
	for name, c := range map[string]struct {
		text string
		line int
		want string
	}{
		"attempts":           {ruleA + "      MaximumAutomaticAttempts: 26\n", 11, "to 25"},
		"no attempts":        {ruleA + "      MaximumAutomaticAttempts: 0\n", 11, "1 to"},
		"retry":              {ruleA + "      RetryAttemptSeconds: 2678001\n", 11, "2678000"},
		"percentage":         {ruleA + "      ExecutionControls: {SsmControls: {ErrorPercentage: 101}}\n", 11, "100"},
		"no role":            {ruleA + "      Automatic: true\n", 11, "AutomationAssumeRole"},
		"26 parameters":      {ruleA + params(26), 0, "25"},
		"26 values":          {ruleA + "      Parameters: {V: {StaticValue: {Values: [" + strings.Repeat("a,", 25) + "a]}}}\n", 11, "25"},
		"resource value":     {ruleA + "      Parameters: {V: {ResourceValue: {Value: ARN}}}\n", 11, "RESOURCE_ID"},
		"both":               {ruleA + "      Parameters: {V: {ResourceValue: {Value: RESOURCE_ID}, StaticValue: {Values: [a]}}}\n", 11, ""},
		"undefined Ref":      {ruleA + "      TargetVersion: !Ref Nowhere\n", 11, ""},
		"target twice":       {ruleA + "      TargetId: again\n", 11, ""},
		"wrong target":       {strings.Replace(ruleA, "SSM_DOCUMENT", "LAMBDA", 1), 9, "SSM_DOCUMENT"},
		"no rule name":       {strings.Replace(ruleA, "!Ref A", "''", 1), 0, ""},
		"a circle":           {strings.Replace(ruleA, "{Source", "{ConfigRuleName: !Sub '${A}${A}', Source", 1), 4, ""},
		"role without value": {ruleA + "      Parameters: {AutomationAssumeRole: {ResourceValue: {Value: RESOURCE_ID}}}\n      Automatic: true\n", 12, "AutomationAssumeRole"},
		"long value":         {ruleA + "      Parameters: {V: {StaticValue: {Values: [" + strings.Repeat("a", 257) + "]}}}\n", 11, "256"},
		"own name":           {strings.Replace(ruleA, "{Source", "{ConfigRuleName: !Ref A, Source", 1), 4, ""},
		"10 MB":              {ruleA + strings.Repeat("# ten megabytes\n", 10<<16), 65528, "smaller"},
		"a circle of three":  {depends("A", "B", "C", "A"), 13, "one after the other"},
		"on itself":          {depends("A", "A"), 3, "one after the other"},
		"on nothing":         {depends("A", "Nowhere"), 3, "a resource of this template"},
		"bomb":               {bomb(), 0, ""},
		"deep JSON":          {strings.Repeat(`{"a":`, 100000), 1, ""},
		"deep YAML":          {strings.Repeat("[", 100000), 1, ""},
		"endless condition":  {ruleA + "Conditions: {C: {Condition: D}, D: {Condition: C}}\n", 11, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load("f.yaml", []byte(c.text), Inputs{})
			var at *knowngood.FileError
			if !errors.As(err, &at) {
				t.Fatalf("have %v", err)
			}
			if c.line != 0 && at.Line != c.line || at.File != "f.yaml" || !strings.Contains(at.Want, c.want) {
				t.Errorf("have %v", err)
			}
		})
	}
}

// TestNamesThatDouble would not end if each rule's name were worked out afresh.
func TestNamesThatDouble(t *testing.T) {
	text := "Resources:\n"
	for i := range 60 {
		text += strings.ReplaceAll(strings.ReplaceAll("  R#:\n    Type: AWS::Config::ConfigRule\n    Properties: {ConfigRuleName: !Sub '${R@}${R@}', Source: {Owner: AWS, SourceIdentifier: X}}\n",
			"#", itoa(i)), "@", itoa(i+1))
	}
	text += "  R60:\n    Type: AWS::Config::ConfigRule\n    Properties: {ConfigRuleName: '', Source: {Owner: AWS, SourceIdentifier: X}}\n"
	tmpl, err := Load("f.yaml", []byte(text), Inputs{})
	if err != nil || len(tmpl.Rules) != 61 {
		t.Errorf("have %+v, %v", tmpl, err)
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	_, err := Load("f.yaml", []byte(ruleA+"      RetryAttemptSeconds: 0\n      MaximumAutomaticAttempts: 0\n"), Inputs{})
	if joined, ok := err.(interface{ Unwrap() []error }); !ok || len(joined.Unwrap()) != 2 {
		t.Errorf("have %v", err)
	}
}

// depends is a template whose resources depend on each other in a chain.
func depends(ids ...string) string {
	text := "Resources:\n"
	for i, id := range ids[:len(ids)-1] {
		text += "  " + id + ":\n    DependsOn: [" + ids[i+1] + "]\n    Type: AWS::Config::ConfigRule\n    Properties:\n      Source: {Owner: AWS, SourceIdentifier: X}\n"
	}
	return text
}

func numbered(n int, line string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(line, "%d", itoa(i)))
	}
	return b.String()
}

func bomb() string {
	text := "A0: &a0 [x]\n"
	for i := 1; i < 30; i++ {
		a := "*a" + itoa(i-1)
		text += "A" + itoa(i) + ": &a" + itoa(i) + " [" + a + ", " + a + "]\n"
	}
	return text
}

func itoa(i int) string { return strings.TrimSpace(text(int64(i))) }

// TestValuesThatAreMissing reads a template that is not about to run.
func TestValuesThatAreMissing(t *testing.T) {
	tmpl, err := Load("f.yaml", []byte("Parameters: {N: {Type: Number}}\n"+ruleA+"      MaximumAutomaticAttempts: !Ref N\n      Automatic: !Ref N\n"), Inputs{AllowMissing: true})
	if err != nil || len(tmpl.Missing) != 1 || tmpl.Remediations[0].Automatic {
		t.Errorf("have %+v, %v", tmpl, err)
	}
}
