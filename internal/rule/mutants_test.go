package rule

import (
	"strings"
	"testing"
)

// TestLibrarysTestsKillMutants holds the tests of the library's rules to tell each
// rule from nearly all of its mutants.
func TestLibrarysTestsKillMutants(t *testing.T) {
	killed, total := 0, 0
	for _, d := range load(t).Rules() {
		survivors, n := Survivors(d)
		for _, m := range survivors {
			t.Logf("%s survives: %s", d.Identifier, m.Change)
		}
		killed, total = killed+n-len(survivors), total+n
	}
	t.Logf("%d of %d mutants are killed", killed, total)
	if total < 40 {
		t.Errorf("only %d mutants were made", total)
	}
	if killed*100 < total*95 {
		t.Errorf("%d of %d mutants are killed, want 95%%", killed, total)
	}
}

func TestMutantsOfEachClause(t *testing.T) {
	for source, want := range map[string]string{
		`resource.configuration.a`: "negated at 1:1, resource.configuration.a|left out at 1:1, resource.configuration.a",
		`resource.configuration.a == 1 && (resource.configuration.b || resource.configuration.c)`:  "negated at 1:1, resource.configuration.a|left out at 1:1, resource.configuration.a|left out at 1:35|negated at 1:35|left out at 1:35|negated at 1:63|left out at 1:63",
		`resource.configuration.l.all(x, x > 1)`:                                                   "negated at 1:1|left out at 1:1|negated at 1:33, x > 1|left out at 1:33, x > 1",
		`size(resource.configuration.l.filter(x, x.a && x.b)) > 1`:                                 "negated at 1:5|left out at 1:5|negated at 1:41, x.a|left out at 1:41|negated at 1:48, x.b|left out at 1:48",
		`resource.configuration.a ? resource.configuration.b == 1 : has(resource.configuration.c)`: "negated at 1:1|left out at 1:1|negated at 1:1, resource.configuration.a ?",
	} {
		d := &Definition{Name: "r", Title: "t", ResourceTypes: []string{"AWS::S3::Bucket"}, Compliant: source}
		d.compile(func(_, _, problem string, args ...any) { t.Fatalf(problem, args...) })
		mutants := Mutants(d)
		wants := strings.Split(want, "|")
		if len(mutants) != len(wants) {
			t.Errorf("%s has %d mutants, want %d: %v", source, len(mutants), len(wants), mutants)
			continue
		}
		for i, m := range mutants {
			if !strings.HasPrefix(m.Change, "compliant: "+wants[i]) {
				t.Errorf("%s: mutant %d is %q, want %q", source, i, m.Change, wants[i])
			}
		}
	}
}

// TestMutantsAreOtherRules evaluates them: each must differ from the rule on some
// item, here on one where all of a, b and c vary.
func TestMutantsAreOtherRules(t *testing.T) {
	d := &Definition{Name: "r", Title: "t", ResourceTypes: []string{"AWS::S3::Bucket"}, Compliant: `resource.configuration.a && (resource.configuration.b || resource.configuration.list.exists(x, x))`}
	d.compile(func(_, _, problem string, args ...any) { t.Fatalf(problem, args...) })
	verdicts := func(d *Definition) string {
		var out strings.Builder
		for bits := range 8 {
			item := hostItem()
			item.Configuration = map[string]any{"a": bits&1 > 0, "b": bits&2 > 0, "list": []any{bits&4 > 0}}
			r, err := Compile(d, nil)
			if err != nil {
				t.Fatal(err)
			}
			out.WriteString(string(r.Evaluate(item, oracleNow, nil).Compliance) + " ")
		}
		return out.String()
	}
	original, mutants := verdicts(d), Mutants(d)
	if len(mutants) != 9 {
		t.Errorf("%d mutants", len(mutants))
	}
	for _, m := range mutants {
		if verdicts(m.Definition) == original {
			t.Errorf("%s changes nothing", m.Change)
		}
	}
}
