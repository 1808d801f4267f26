package rule

import (
	"slices"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
)

func active(t *testing.T, name, identifier string, scope Scope) Active {
	t.Helper()
	d, ok := load(t).Rule(identifier)
	if !ok {
		t.Fatalf("no %s", identifier)
	}
	r, err := Compile(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	return Active{Name: name, Pack: "p", Severity: d.Severity, Rule: r, Scope: scope}
}

func volume(id string, tags map[string]string) *knowngood.Resource {
	return &knowngood.Resource{Type: "AWS::EC2::Volume", ID: id, Tags: tags, Status: knowngood.ItemOK, Configuration: map[string]any{"encrypted": false, "attachments": []any{map[string]any{"instanceId": "i-1"}}}}
}

func TestScopeNarrowsARule(t *testing.T) {
	for name, c := range map[string]struct {
		scope Scope
		want  bool
	}{
		"none":               {Scope{}, true},
		"the type":           {Scope{ResourceTypes: []string{"AWS::EC2::Volume"}}, true},
		"another type":       {Scope{ResourceTypes: []string{"AWS::S3::Bucket"}}, false},
		"the id":             {Scope{ResourceTypes: []string{"AWS::EC2::Volume"}, ResourceID: "vol-1"}, true},
		"another id":         {Scope{ResourceTypes: []string{"AWS::EC2::Volume"}, ResourceID: "vol-2"}, false},
		"a tag":              {Scope{TagKey: "env"}, true},
		"a tag with a value": {Scope{TagKey: "env", TagValue: "prod"}, true},
		"another value":      {Scope{TagKey: "env", TagValue: "test"}, false},
		"another tag":        {Scope{TagKey: "owner"}, false},
	} {
		s, err := NewSet([]Active{active(t, "mine", "ENCRYPTED_VOLUMES", c.scope)})
		if err != nil {
			t.Fatal(err)
		}
		got := s.Evaluate(volume("vol-1", map[string]string{"env": "prod"}), time.Now(), nil)
		if (len(got) == 1) != c.want || c.want && (got[0].Rule != "mine" || got[0].Compliance != knowngood.NonCompliant) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestSetKnowsWhatItReads(t *testing.T) {
	s, err := NewSet([]Active{active(t, "b", "ENCRYPTED_VOLUMES", Scope{TagKey: "env"}), active(t, "a", "S3_BUCKET_LEVEL_PUBLIC_ACCESS_PROHIBITED", Scope{})})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Types(); !slices.Equal(got, []string{"AWS::EC2::Volume", "AWS::S3::Bucket"}) || s.Len() != 2 {
		t.Errorf("%v", got)
	}
	reads := s.Reads()
	if r := reads["AWS::EC2::Volume"]; !slices.Contains(r, "tags") || !slices.Contains(r, "configuration.encrypted") || slices.ContainsFunc(r, func(p string) bool { return p == "supplementaryConfiguration" }) {
		t.Errorf("%v", r)
	}
	if _, ok := s.Rule("b"); !ok {
		t.Error("no rule b")
	}
	if got := s.Evaluate(&knowngood.Resource{Type: "AWS::IAM::Role"}, time.Now(), nil); got != nil {
		t.Errorf("%v", got)
	}
}

func TestTwoRulesOfOneNameAreRefused(t *testing.T) {
	a := active(t, "a", "ENCRYPTED_VOLUMES", Scope{})
	if _, err := NewSet([]Active{a, a}); knowngood.KindOf(err) != knowngood.Invalid {
		t.Errorf("%v", err)
	}
}

func TestSetKnowsWhoLooksUp(t *testing.T) {
	d := &Definition{Name: "r", ResourceTypes: []string{"AWS::EC2::Volume"}, Compliant: `lookup('AWS::KMS::Key', resource.configuration.kmsKeyId).configuration.enabled`}
	d.compile(func(_, _, problem string, args ...any) { t.Fatalf(problem, args...) })
	r, err := Compile(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSet([]Active{{Name: "r", Rule: r}, active(t, "a", "ENCRYPTED_VOLUMES", Scope{})})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Readers("AWS::KMS::Key"); len(got) != 1 || got[0].Name != "r" {
		t.Errorf("%v", got)
	}
	if got := s.Reads()["AWS::KMS::Key"]; !slices.Equal(got, []string{"configuration.enabled"}) {
		t.Errorf("%v", got)
	}
}
