package rule_test

import (
	"slices"
	"testing"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/rule"
	"github.com/knowngood/knowngood/library"
)

func TestAffectedRules(t *testing.T) {
	lib, err := rule.Load(library.FS)
	if err != nil {
		t.Fatal(err)
	}
	var active []rule.Active
	for name, a := range map[string]rule.Active{
		"blocks":     {},
		"one-bucket": {Scope: rule.Scope{ResourceID: "acme-logs"}},
		"tagged":     {Scope: rule.Scope{TagKey: "Data"}},
	} {
		d, ok := lib.Rule("S3_BUCKET_LEVEL_PUBLIC_ACCESS_PROHIBITED")
		if !ok {
			t.Fatal("the library lacks the rule")
		}
		if a.Rule, err = rule.Compile(d, nil); err != nil {
			t.Fatal(err)
		}
		a.Name = name
		active = append(active, a)
	}
	set, err := rule.NewSet(active)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		e    knowngood.ReadError
		want []string
	}{
		"the list":         {knowngood.ReadError{Type: "AWS::S3::Bucket"}, []string{"blocks", "one-bucket", "tagged"}},
		"another type":     {knowngood.ReadError{Type: "AWS::EC2::Volume"}, nil},
		"one resource":     {knowngood.ReadError{Type: "AWS::S3::Bucket", ID: "acme-data"}, []string{"blocks", "tagged"}},
		"the one":          {knowngood.ReadError{Type: "AWS::S3::Bucket", ID: "acme-logs"}, []string{"blocks", "one-bucket", "tagged"}},
		"what is read":     {knowngood.ReadError{Type: "AWS::S3::Bucket", ID: "acme-data", Path: "supplementaryConfiguration.PublicAccessBlockConfiguration"}, []string{"blocks", "tagged"}},
		"what is not read": {knowngood.ReadError{Type: "AWS::S3::Bucket", ID: "acme-data", Path: "supplementaryConfiguration.BucketPolicy"}, nil},
		"tags":             {knowngood.ReadError{Type: "AWS::S3::Bucket", ID: "acme-data", Path: "tags"}, []string{"tagged"}},
	} {
		if got := set.Affected(c.e); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// Most rules of the library check what a control of Security Hub checks; a rule that
// lists none has none, as far as its page says.
func TestControls(t *testing.T) {
	lib, err := rule.Load(library.FS)
	if err != nil {
		t.Fatal(err)
	}
	with := 0
	for _, d := range lib.Rules() {
		if len(d.Controls) > 0 {
			with++
		}
	}
	if all := len(lib.Rules()); with*10 < all*7 {
		t.Errorf("only %d of %d rules name a control", with, all)
	}
	const head = "identifier: X\nname: x\ntitle: t\ndescription: d\nseverity: LOW\ntrigger: change\nresourceTypes: [AWS::S3::Bucket]\ncompliant: 'true'\ncontrols: "
	for controls, good := range map[string]bool{
		"[EC2.3, CIS AWS Foundations Benchmark v5.0.0/5.5]": true,
		"[]":                                 true,
		"[EC2.03]":                           false,
		"[ec2.3]":                            false,
		"[EC2.3, EC2.3]":                     false,
		"[CIS 5.5]":                          false,
		"[CIS AWS Foundations Benchmark 5]":  false,
		"[AWS Foundations Benchmark v5.0.0]": false,
	} {
		if _, err := rule.Parse("rules/x.yaml", []byte(head+controls+"\n")); (err == nil) != good {
			t.Errorf("%s: %v", controls, err)
		}
	}
}
