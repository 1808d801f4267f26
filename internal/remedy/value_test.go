package remedy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestTemplateKeepsReferencesWholeAndEmbedded(t *testing.T) {
	id := placeholder(ref{"w1", "SnapshotId"})
	got := toTemplate(map[string]any{
		"SnapshotId":  id,
		"Description": "copy of " + id + ", " + id,
		"Size":        int64(500),
		"Map":         map[string]any{"$ref": "a user's own key"},
	})
	r := map[string]any{"$ref": map[string]any{"from": "w1", "path": "SnapshotId"}}
	want := map[string]any{
		"SnapshotId":  r,
		"Description": map[string]any{"$text": []any{"copy of ", r, ", ", r}},
		"Size":        int64(500),
		"Map":         map[string]any{"$literal": map[string]any{"$ref": "a user's own key"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestUnifySaysWhereACallLeavesThePlan(t *testing.T) {
	b := bindings{"w1": {"SnapshotId": "snap-1", "Tags": []any{map[string]any{"Key": "k"}}}}
	r := func(path string) any { return toTemplate(placeholder(ref{"w1", path})) }
	for _, c := range []struct {
		name             string
		template, actual any
		want             string // empty: it fits
	}{
		{"literal", map[string]any{"A": int64(1)}, map[string]any{"A": 1.0}, ""},
		{"reference", map[string]any{"A": r("SnapshotId")}, map[string]any{"A": "snap-1"}, ""},
		{"reference into a list", map[string]any{"A": r("Tags.0.Key")}, map[string]any{"A": "k"}, ""},
		{"other value", map[string]any{"A": r("SnapshotId")}, map[string]any{"A": "snap-2"}, `input.A is "snap-2", planned was "snap-1"`},
		{"not made", map[string]any{"A": toTemplate(placeholder(ref{"w9", "X"}))}, map[string]any{"A": "x"}, "call w9 has not been made"},
		{"more", map[string]any{}, map[string]any{"Force": true}, "input.Force is true, planned was absent"},
		{"less", map[string]any{"DryRun": true}, map[string]any{}, "input.DryRun is absent"},
		{"list", map[string]any{"L": []any{"a", "b"}}, map[string]any{"L": []any{"a"}}, "planned was a list of 2"},
		{"in a list", map[string]any{"L": []any{"a", "b"}}, map[string]any{"L": []any{"a", "c"}}, `input.L[1] is "c"`},
		{"user's dollar key", toTemplate(map[string]any{"$ref": "x"}), map[string]any{"$ref": "x"}, ""},
		{"text", map[string]any{"D": toTemplate("of " + placeholder(ref{"w1", "SnapshotId"}) + "!")}, map[string]any{"D": "of snap-1!"}, ""},
	} {
		err := unify(c.template, c.actual, b)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

// A value is an instance of its own template, and a value that differs in one
// place is not.
func TestUnifyProperty(t *testing.T) {
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		scalar := []*rapid.Generator[any]{
			rapid.Map(rapid.StringMatching(`[$a-z]{0,4}`), func(s string) any { return s }),
			rapid.Map(rapid.Int64Range(-9, 9), func(i int64) any { return i }),
			rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		}
		if depth == 0 {
			return rapid.OneOf(scalar...)
		}
		return rapid.OneOf(append(scalar,
			rapid.Map(rapid.SliceOfN(value(depth-1), 0, 3), func(l []any) any { return l }),
			rapid.Map(rapid.MapOfN(rapid.StringMatching(`(\$ref|\$text|[a-c])`), value(depth-1), 0, 3), func(m map[string]any) any { return m }),
		)...)
	}
	rapid.Check(t, func(t *rapid.T) {
		v := value(3).Draw(t, "v")
		if err := unify(toTemplate(v), v, nil); err != nil {
			t.Fatalf("%v does not fit its own template: %v", v, err)
		}
		w := value(3).Draw(t, "w")
		if err := unify(toTemplate(v), w, nil); (err == nil) != equal(v, w) {
			t.Fatalf("v %v, w %v: %v", v, w, err)
		}
		back, err := bind(toTemplate(v), nil)
		if err != nil || !equal(back, v) {
			t.Fatalf("bound %v to %v, %v", v, back, err)
		}
	})
}
