package app

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/knowngood/knowngood/internal/rule"
	"github.com/knowngood/knowngood/library"
)

// packOf writes a template with rules of the library.
func packOf(t *testing.T, identifiers ...string) governanceOptions {
	t.Helper()
	var b strings.Builder
	b.WriteString("Resources:\n")
	for i, id := range identifiers {
		fmt.Fprintf(&b, "  R%d: {Type: 'AWS::Config::ConfigRule', Properties: {ConfigRuleName: %s, Source: {Owner: AWS, SourceIdentifier: %s}}}\n", i, strings.ToLower(id), id)
	}
	file := filepath.Join(t.TempDir(), "pack.yaml")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return governanceOptions{paths: []string{file}}
}

// Public access over 1,000 buckets takes a call for each bucket, and few more.
func TestPublicAccessOver1000Buckets(t *testing.T) {
	l := newLoop(t, packOf(t, "S3_BUCKET_LEVEL_PUBLIC_ACCESS_PROHIBITED", "S3_ACCOUNT_LEVEL_PUBLIC_ACCESS_BLOCKS_PERIODIC"))
	for i := range 1000 {
		l.do("s3", "CreateBucket", map[string]any{"Bucket": fmt.Sprintf("acme-%04d", i), "CreateBucketConfiguration": map[string]any{"LocationConstraint": l.place.Region}})
	}
	for i := range 10 {
		l.do("s3", "DeletePublicAccessBlock", map[string]any{"Bucket": fmt.Sprintf("acme-%04d", 100*i)})
	}
	report := l.look()
	failed := 0
	for _, e := range report.Evaluations {
		if e.Compliance == "NON_COMPLIANT" {
			failed++
		}
	}
	if report.Calls > 1010 || len(report.Evaluations) != 1001 || failed != 11 || len(report.Unreadable) > 0 {
		t.Errorf("%d calls, %d evaluations, %d failed, %d unreadable", report.Calls, len(report.Evaluations), failed, len(report.Unreadable))
	}
	t.Logf("1,000 buckets in %d Regions, %d rules: %d calls", len(report.Regions), report.Rules, report.Calls)
}

// What holds in all Regions is found once, what differs in each; nothing of the account
// is judged twice or not at all.
func TestTheAccountIsJudgedOnceAndInEachRegion(t *testing.T) {
	l := newLoop(t, packOf(t, "ROOT_ACCOUNT_MFA_ENABLED", "EC2_EBS_ENCRYPTION_BY_DEFAULT", "GUARDDUTY_ENABLED_CENTRALIZED"))
	var got []string
	report := l.look()
	for _, e := range report.Evaluations {
		got = append(got, e.Rule+" "+e.Resource.Region+" "+string(e.Compliance))
	}
	slices.Sort(got)
	want := []string{
		"ec2_ebs_encryption_by_default eu-west-1 NON_COMPLIANT", "ec2_ebs_encryption_by_default us-east-1 NON_COMPLIANT",
		"guardduty_enabled_centralized eu-west-1 NON_COMPLIANT", "guardduty_enabled_centralized us-east-1 NON_COMPLIANT",
		"root_account_mfa_enabled global NON_COMPLIANT",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
	// What is global is a finding of every scan, and ends as others do.
	if len(report.Findings) != 5 {
		t.Errorf("%d findings", len(report.Findings))
	}
}

// A rule of the library reads of the account either what holds in all Regions or what
// does not, for no item has both.
func TestNoRuleReadsBothHalvesOfTheAccount(t *testing.T) {
	lib, err := rule.Load(library.FS)
	if err != nil {
		t.Fatal(err)
	}
	l := newLoop(t, governanceOptions{})
	account, _ := l.types.Type("AWS::::Account")
	half := account.InEachRegion
	n := 0
	for _, d := range lib.Rules() {
		if !slices.Contains(d.ResourceTypes, account.Name) {
			continue
		}
		n++
		global := l.types.Judged(account.Name, "global", d.Reads)
		for _, read := range d.Reads {
			regional := slices.ContainsFunc(half.Emits(), func(p string) bool { return strings.HasPrefix(p+".", read+".") || strings.HasPrefix(read+".", p+".") })
			if global && regional {
				t.Errorf("%s reads %s, which is of a Region, beside what is of all", d.Name, read)
			}
		}
	}
	if n == 0 {
		t.Error("no rule looks at the account")
	}
}

// A template that names its Region is read for each.
func TestATemplateMayNameItsRegion(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pack.yaml")
	text := `
Conditions:
  Here: !Equals [!Ref 'AWS::Region', us-east-1]
Resources:
  R: {Type: 'AWS::Config::ConfigRule', Condition: Here, Properties: {ConfigRuleName: there, Source: {Owner: AWS, SourceIdentifier: ENCRYPTED_VOLUMES}}}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l := newLoop(t, governanceOptions{paths: []string{file}})
	for _, region := range []string{"eu-west-1", "us-east-1"} {
		l.doIn(region, "ec2", "CreateVolume", map[string]any{"AvailabilityZone": region + "a", "Size": int64(8)})
	}
	report := l.look()
	for _, e := range report.Evaluations {
		if e.Resource.Region != "us-east-1" {
			t.Errorf("%+v", e)
		}
	}
	if len(report.Evaluations) != 1 {
		t.Errorf("%d evaluations", len(report.Evaluations))
	}
}
