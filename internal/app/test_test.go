package app_test

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheLibrarysTestsPass(t *testing.T) {
	out, _ := knowngood(t, 0, "test", "-v", "../../library/tests")
	if strings.Count(out, "--- PASS") < 9 {
		t.Errorf("%s", out)
	}
}

// Each of these must fail, and say why.
func TestWhatIsNotSoFails(t *testing.T) {
	for name, c := range map[string]struct{ then, want string }{
		"a verdict":     {"evaluations: [{rule: encrypted-volumes, resource: vol-1, compliance: COMPLIANT}]", "NON_COMPLIANT (not encrypted; attached to i-1), want COMPLIANT"},
		"an annotation": {"evaluations: [{rule: encrypted-volumes, resource: vol-1, compliance: NON_COMPLIANT, annotation: blue}]", `want one with "blue"`},
		"no verdict":    {"evaluations: [{rule: encrypted-volumes, resource: vol-9, compliance: COMPLIANT}]", "was not evaluated on vol-9"},
		"no finding":    {"findings: [{rule: encrypted-volumes, resource: vol-1, state: open}]", "no finding on vol-1"},
		"open":          {"open: 3", "0 findings are not closed, want 3"},
		"run":           {"run: Success", "nothing was run"},
		"writes":        {"writes: [ec2:CreateVolume]", "want\n      ec2:CreateVolume"},
		"made":          {"made: [ec2:CreateVolume]", "ec2:CreateVolume was not called"},
		"never":         {"never: [sts:GetCallerIdentity]\n      made: [sts:AssumeRole]", "sts:AssumeRole was not called"},
		"error":         {"error: something", `want one with "something"`},
		"state":         {"state: [{call: 'ec2:DescribeVolumes', find: 'length(Volumes)', is: 1}]", "length(Volumes): 0, want 1"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "a.test.yaml")
			text := `tests:
  - name: t
    given:
      items:
        - {resourceType: 'AWS::EC2::Volume', resourceId: vol-1, configuration: {encrypted: false, attachments: [{instanceId: i-1}]}}
    when: [{scan: true}]
    then:
      ` + c.then + "\n"
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			junit := filepath.Join(dir, "junit.xml")
			out, _ := knowngood(t, 1, "test", dir, "--junit", junit)
			if !strings.Contains(out, c.want) || !strings.Contains(out, "--- FAIL: t") || !strings.HasSuffix(out, "FAIL\n") {
				t.Errorf("%s", out)
			}
			raw, err := os.ReadFile(junit)
			if err != nil {
				t.Fatal(err)
			}
			var suites struct {
				Suites []struct {
					Failures int `xml:"failures,attr"`
				} `xml:"testsuite"`
			}
			if err := xml.Unmarshal(raw, &suites); err != nil || len(suites.Suites) != 1 || suites.Suites[0].Failures != 1 {
				t.Errorf("%v\n%s", err, raw)
			}
		})
	}
}

func TestTestsThatCantBeReadExit2(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"an unknown key":     {"tests:\n  - name: a\n    wehn: []\n", "a.test.yaml:3"},
		"no tests":           {"tests: []\n", "no tests"},
		"nothing done":       {"tests:\n  - name: a\n    then: {open: 1}\n", "it does nothing"},
		"nothing asked":      {"tests:\n  - name: a\n    when: [{scan: true}]\n", "can't fail"},
		"two things in one":  {"tests:\n  - name: a\n    when: [{scan: true, wait: 1m}]\n    then: {open: 1}\n", "2 things"},
		"one name twice":     {"tests:\n  - {name: a, when: [{scan: true}], then: {open: 1}}\n  - {name: a, when: [{scan: true}], then: {open: 1}}\n", "names that differ"},
		"an unknown estate":  {"tests:\n  - {name: a, given: {scenario: nowhere}, when: [{scan: true}], then: {open: 1}}\n", "nowhere"},
		"items and estate":   {"tests:\n  - {name: a, given: {scenario: demo, items: [{resourceId: x}]}, when: [{scan: true}], then: {open: 1}}\n", "items stand in place"},
		"no such governance": {"tests:\n  - {name: a, given: {governance: [gone.yaml]}, when: [{scan: true}], then: {open: 1}}\n", "gone.yaml"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a.test.yaml"), []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, errs := knowngood(t, 2, "test", dir); !strings.Contains(errs, c.want) {
			t.Errorf("%s: %s", name, errs)
		}
	}
	if _, errs := knowngood(t, 2, "test", t.TempDir()); !strings.Contains(errs, "*.test.yaml") {
		t.Errorf("%s", errs)
	}
}

func TestAUsersOwnGovernanceAndRunbookAreTested(t *testing.T) {
	dir := t.TempDir()
	for file, text := range map[string]string{
		"pack.yaml": `Parameters:
  Except: {Type: String}
Resources:
  Mine:
    Type: AWS::Config::ConfigRule
    Properties:
      ConfigRuleName: mine
      Source: {Owner: AWS, SourceIdentifier: S3_BUCKET_LEVEL_PUBLIC_ACCESS_PROHIBITED}
      InputParameters: {excludedPublicBuckets: !Ref Except}
`,
		"stop.yaml": `schemaVersion: '0.3'
parameters:
  Id: {type: String}
mainSteps:
  - name: Stop
    action: aws:changeInstanceState
    inputs: {InstanceIds: ['{{ Id }}'], DesiredState: stopped}
`,
		"all.test.yaml": `tests:
  - name: a bucket that is excepted
    given: {scenario: demo, governance: [pack.yaml], parameters: {Except: acme-invoices}}
    when: [{scan: true}]
    then:
      open: 0
      evaluations: [{rule: mine, resource: acme-invoices, compliance: NOT_APPLICABLE}]
  - name: a runbook of one's own
    given:
      calls: [{call: 'ec2:RunInstances', as: i, wait: 1m, input: {ImageId: ami-0c1a2b3c4d5e6f708, MinCount: 1, MaxCount: 1}}]
    when:
      - run: stop.yaml
        with: {Id: '{{i.Instances.0.InstanceId}}'}
    then:
      run: Success
      writes: [ec2:StopInstances]
      state: [{call: 'ec2:DescribeInstances', find: 'Reservations[0].Instances[0].State.Name', is: stopped}]
`} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	knowngood(t, 0, "test", dir)
	if out, _ := knowngood(t, 0, "test", dir, "--run", "excepted"); !strings.Contains(out, "1 test\t") {
		t.Errorf("%s", out)
	}
}
