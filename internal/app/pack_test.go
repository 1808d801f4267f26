package app

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/remedy"
	"github.com/knowngood/knowngood/internal/template"
	"github.com/knowngood/knowngood/library"
)

var place = knowngood.Place{Partition: "aws", Account: "111122223333", Region: "eu-west-1"}

func packsForTest(t *testing.T) []templateFile {
	t.Helper()
	files, err := shippedPacks(allPacks)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.pack())
	}
	if want := []string{"baseline", "cost", "encryption", "identity", "logging", "network", "resilience", "tagging"}; !reflect.DeepEqual(names, want) {
		t.Errorf("the packs are %s", names)
	}
	return files
}

// Each rule of a pack is in the library, each runbook too, and a rule whose file
// names a runbook is tied to it, not automatic.
func TestOurPacksHold(t *testing.T) {
	j, err := newPackJudge()
	if err != nil {
		t.Fatal(err)
	}
	content, err := remedy.LoadContent(library.FS)
	if err != nil {
		t.Fatal(err)
	}
	const key = "arn:aws:kms:eu-west-1:111122223333:key/0f3b8c1e-0000-4000-8000-000000000000"
	asked := knowngood.Params{
		"AccessLogBucket": "acme-logs", "FlowLogBucketArn": "arn:aws:s3:::acme-flows", "MonitoringRoleArn": "arn:aws:iam::111122223333:role/monitoring",
		"MissingTags": `{"Owner":"nobody"}`, "TrailKmsKeyId": key, "TopicKmsKeyArn": key, "TableKmsKeyArn": key,
	}
	used := map[string]bool{}
	for _, f := range packsForTest(t) {
		if r := j.lint(f, content); len(r.Problems)+len(r.Notes) > 0 {
			t.Errorf("%s: %q %q", f.name, r.Problems, r.Notes)
		}
		if len(f.data) > template.MaxInlinePackBytes {
			t.Errorf("%s has %d bytes", f.name, len(f.data))
		}
		v, err := readPack(f, nil)
		if err != nil {
			t.Fatal(err)
		}
		v.judge(j)
		if v.Title == "" {
			t.Errorf("%s has no description", f.name)
		}
		// Of a rule that is off the remediation is off too, and so is one that needs
		// what only the user knows: see them switched on.
		on := knowngood.Params{}
		for _, p := range v.Parameters {
			if p.Value == nil {
				t.Errorf("%s: the parameter %s has no default", f.name, p.Name)
			} else if strings.HasPrefix(p.Name, "Require") {
				on[p.Name] = "true"
			} else if v, ok := asked[p.Name]; ok {
				on[p.Name] = v
			}
		}
		if v, err = readPack(f, on); err != nil {
			t.Fatal(err)
		}
		v.judge(j)
		for _, r := range v.Rules {
			d := r.definition
			if d == nil || r.Status != packRuns || r.Off {
				t.Errorf("%s: %s: %s %s", f.name, r.Name, r.Status, r.Reason)
				continue
			}
			used[d.Name] = true
			if r.Name != d.Name || r.Identifier != d.Identifier {
				t.Errorf("%s: %s of %s is not the rule's name", f.name, r.Name, r.Identifier)
			}
			if r.Remediation != d.Remediation || r.Automatic {
				t.Errorf("%s: %s is fixed by %q, automatic %v; its rule suggests %q", f.name, r.Name, r.Remediation, r.Automatic, d.Remediation)
			}
			if r.Remediation != "" && !shipped(r.Remediation) {
				t.Errorf("%s: %s names the runbook %s, which the library lacks", f.name, r.Name, r.Remediation)
			}
		}
		if _, err := os.Stat(filepath.Join("..", "..", "library", "tests", "pack-"+v.Name+".test.yaml")); err != nil {
			t.Errorf("%s has no test: %v", f.name, err)
		}
	}
	t.Logf("of %d rules of the library the packs have %d", len(j.lib.Rules()), len(used))
}

// A check of the check: a pack with a rule and a runbook that the library lacks is
// told.
func TestLintTellsWhatTheLibraryLacks(t *testing.T) {
	j, err := newPackJudge()
	if err != nil {
		t.Fatal(err)
	}
	content, err := remedy.LoadContent(library.FS)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := fs.ReadFile(library.FS, "packs/baseline.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("INCOMING_SSH_DISABLED", "INCOMING_SSH_DISABLE", "AWSConfigRemediation-Configure", "AWSConfigRemediation-Konfigure", "VolumeId:", "Volume:").Replace(string(raw))
	r := j.lint(templateFile{name: "baseline.yaml", data: []byte(text)}, content)
	all := strings.Join(append(r.Notes, r.Problems...), "\n")
	for _, want := range []string{"did you mean INCOMING_SSH_DISABLED?", "the library has no runbook AWSConfigRemediation-Konfigure", "has no parameter Volume; expected", "needs the parameter VolumeId"} {
		if !strings.Contains(all, want) {
			t.Errorf("nothing says %q:\n%s", want, all)
		}
	}
}

// All packs together: what two of them share is in force once, and counts for both.
func TestPacksTogether(t *testing.T) {
	g, err := governanceOptions{packs: []string{allPacks}}.load(place)
	if err != nil {
		t.Fatal(err)
	}
	if len(g.packs) != 8 || len(g.notes)+len(g.notEvaluated) > 0 {
		t.Errorf("have %q, %q, %q", g.packs, g.notes, g.notEvaluated)
	}
	for _, pack := range []string{"baseline", "network"} {
		if !slices.Contains(g.members[pack], "restricted-ssh") {
			t.Errorf("%s has %q", pack, g.members[pack])
		}
	}
	sum := 0
	for _, names := range g.members {
		sum += len(names)
	}
	if sum <= g.rules.Len() || g.remediations["s3-bucket-level-public-access-prohibited"].TargetID == "" {
		t.Errorf("%d rules in force, %d in packs, fixed by %v", g.rules.Len(), sum, g.remediations)
	}
}

// Rules of one name that differ are both in force.
func TestRulesOfOneNameThatDiffer(t *testing.T) {
	dir := t.TempDir()
	for name, days := range map[string]string{"a": "90", "b": "30", "c": "90"} {
		text := "Resources:\n  Keys:\n    Type: AWS::Config::ConfigRule\n    Properties: {ConfigRuleName: keys, InputParameters: {maxAccessKeyAge: " + days + "}, Source: {Owner: AWS, SourceIdentifier: ACCESS_KEYS_ROTATED}}\n"
		if err := os.WriteFile(filepath.Join(dir, name+".yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g, err := governanceOptions{paths: []string{dir}}.load(place)
	if err != nil || g.rules.Len() != 2 || !g.InForce("keys") || !g.InForce("keys-conformance-pack-b") || len(g.notes) != 1 || len(g.packs) != 3 {
		t.Errorf("have %+v, %v", g, err)
	}
}

// All public packs load and lint, and most of their rules are evaluated.
func TestPublicPacksAreCovered(t *testing.T) {
	found, err := filepath.Glob("../../../shared/corpora/conformance-packs/*.y*ml")
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Skip("the public packs are not here")
	}
	files, err := packFiles(found)
	if err != nil {
		t.Fatal(err)
	}
	j, err := newPackJudge()
	if err != nil {
		t.Fatal(err)
	}
	content, err := remedy.LoadContent(library.FS)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if r := j.lint(f, content); len(r.Problems) > 0 {
			t.Errorf("%s: %q", f.name, r.Problems)
		}
	}
	c, err := j.coverage(files, nil)
	if err != nil {
		t.Fatal(err)
	}
	whole := 0
	for _, p := range c.Packs {
		if p.Supported == p.Total {
			whole++
		}
		if p.Total == 0 {
			t.Errorf("%s has no rules", p.File)
		}
	}
	t.Logf("%d packs, %d of them whole; %d rules, %d evaluated (%.1f %%); %d IAM actions", len(files), whole, c.Total, c.Supported, c.Percent, len(c.Permissions))
	if len(files) < 99 || c.Total < 6000 || c.Percent < 66 {
		t.Errorf("%d packs, %d rules, %d evaluated", len(files), c.Total, c.Supported)
	}
}

// A scan that gave nothing but INSUFFICIENT_DATA for a rule, or could not list its
// resources, takes the rule out.
func TestCoverageAgainstAScan(t *testing.T) {
	files, err := shippedPacks("baseline")
	if err != nil {
		t.Fatal(err)
	}
	j, err := newPackJudge()
	if err != nil {
		t.Fatal(err)
	}
	var seen scanned
	if err := json.Unmarshal([]byte(`{"evaluations": [
		{"configRuleName": "restricted-ssh", "complianceType": "INSUFFICIENT_DATA", "annotation": "denied"},
		{"configRuleName": "encrypted-volumes", "complianceType": "INSUFFICIENT_DATA"},
		{"configRuleName": "encrypted-volumes", "complianceType": "NOT_APPLICABLE"}],
		"unreadable": [{"resourceType": "AWS::SSM::Document", "code": "AccessDenied"}, {"resourceType": "AWS::Lambda::Function", "resourceId": "f", "code": "AccessDenied"}]}`), &seen); err != nil {
		t.Fatal(err)
	}
	before, err := j.coverage(files, nil)
	if err != nil {
		t.Fatal(err)
	}
	after, err := j.coverage(files, &seen)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range after.Packs[0].Rules {
		if r.Status != packRuns {
			out = append(out, r.Name+": "+r.Reason)
		}
	}
	want := []string{"restricted-ssh: the scan gave only INSUFFICIENT_DATA: denied", "ssm-document-not-public: the scan could not list AWS::SSM::Document: AccessDenied"}
	if after.Supported != before.Supported-2 || after.Total != before.Total || !reflect.DeepEqual(out, want) {
		t.Errorf("have %d of %d, %q", after.Supported, after.Total, out)
	}
}

// The permissions are those of the calls that a scan makes.
func TestCoverageNamesPermissions(t *testing.T) {
	j, err := newPackJudge()
	if err != nil {
		t.Fatal(err)
	}
	const text = `Resources:
  A: {Type: AWS::Config::ConfigRule, Properties: {Source: {Owner: AWS, SourceIdentifier: S3_BUCKET_LEVEL_PUBLIC_ACCESS_PROHIBITED}}}
  B: {Type: AWS::Config::ConfigRule, Properties: {Source: {Owner: AWS, SourceIdentifier: NO_SUCH_RULE}}}
  C: {Type: AWS::Config::ConfigRule, Properties: {Source: {Owner: CUSTOM_LAMBDA, SourceIdentifier: 'arn:aws:lambda:eu-west-1:111122223333:function:f'}}}
`
	c, err := j.coverage([]templateFile{{name: "p.yaml", data: []byte(text)}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"s3:GetBucketLocation", "s3:GetBucketPublicAccessBlock", "s3:ListAllMyBuckets"}
	if c.Total != 3 || c.Supported != 1 || c.Percent != 33.3 || !reflect.DeepEqual(c.Permissions, want) {
		t.Errorf("have %+v", c)
	}
}
