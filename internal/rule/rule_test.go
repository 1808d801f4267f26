package rule

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/knowngood/knowngood"
)

func load(t *testing.T) *Library {
	t.Helper()
	lib, err := Load(os.DirFS("../../library"))
	if err != nil {
		t.Fatal(err)
	}
	return lib
}

func TestLibrarysOwnTestsPass(t *testing.T) {
	lib := load(t)
	if len(lib.Rules()) < 3 {
		t.Fatalf("%d rules", len(lib.Rules()))
	}
	for _, d := range lib.Rules() {
		for _, err := range d.Check() {
			t.Error(err)
		}
		for _, want := range []knowngood.Compliance{knowngood.Compliant, knowngood.NonCompliant, knowngood.InsufficientData} {
			if !slices.ContainsFunc(d.Tests, func(t Test) bool { return t.Expect == want }) {
				t.Errorf("%s has no test that expects %s", d.Identifier, want)
			}
		}
	}
}

func TestCheckFailsOnAWrongExpectation(t *testing.T) {
	d, _ := load(t).Rule("ENCRYPTED_VOLUMES")
	wrong := *d
	wrong.Tests = slices.Clone(d.Tests[:1])
	wrong.Tests[0].Expect = knowngood.NonCompliant
	if len(wrong.Check()) != 1 {
		t.Error("a wrong expectation passed")
	}
}

func TestReadsAreThoseOfTheExpressions(t *testing.T) {
	lib := load(t)
	for id, want := range map[string][]string{
		"ENCRYPTED_VOLUMES": {"configuration.attachments", "configuration.attachments.instanceId", "configuration.encrypted", "configuration.kmsKeyId"},
		"s3-bucket-level-public-access-prohibited": {
			"resourceId", "supplementaryConfiguration.PublicAccessBlockConfiguration",
			"supplementaryConfiguration.PublicAccessBlockConfiguration.blockPublicAcls", "supplementaryConfiguration.PublicAccessBlockConfiguration.blockPublicPolicy",
			"supplementaryConfiguration.PublicAccessBlockConfiguration.ignorePublicAcls", "supplementaryConfiguration.PublicAccessBlockConfiguration.restrictPublicBuckets",
		},
	} {
		d, ok := lib.Rule(id)
		if !ok {
			t.Fatalf("no rule %s", id)
		}
		if !slices.Equal(d.Reads, want) {
			t.Errorf("%s reads\n  %q, want\n  %q", id, d.Reads, want)
		}
	}
}

func TestParametersAreChecked(t *testing.T) {
	d, _ := load(t).Rule("EBS_VOLUME_ENCRYPTED_ANY_STATE")
	for value, want := range map[string]string{"x": "no whole number", "-1": "below 0", "366": "above 365"} {
		_, err := Compile(d, map[string]string{"residualDays": value, "residualDay": "1"})
		if err == nil || knowngood.KindOf(err) != knowngood.Invalid || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `no parameter "residualDay"`) {
			t.Errorf("%s: %v, want %q and the unknown name", value, err, want)
		}
	}
}
