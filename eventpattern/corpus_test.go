package eventpattern

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// corpusFile reads a file of the public test data of aws/event-ruler; the test is
// skipped where the data isn't there.
func corpusFile(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "shared", "corpora", "event-ruler", name))
	if os.IsNotExist(err) {
		t.Skipf("skipped: the event-ruler corpus isn't there: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func corpusJSON[T any](t testing.TB, name string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(corpusFile(t, name), &v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

// TestCorpusCorrectness runs the correctness cases. They carry no verdicts, for
// event-ruler compares two of its own matchers; so these are ours, by name, and
// the naive matcher is asked as well.
func TestCorpusCorrectness(t *testing.T) {
	no := map[string]bool{
		"flat: 2-field exists, one missing": true, "flat: exact mismatch": true,
		"objarray: split": true, "objarray: 3-field, split 3 ways": true, "objarray: exact split": true, "objarray: prefix split": true,
		"primarray: no match": true, "primarray: large + scalar, no match": true, "primarray: empty prim array": true,
		"nested: inner split": true, "nested: outer split": true, "nested2: split leaf": true,
		"mixed: array+scalar fail": true, "mixed: obj-array split + prim-array": true,
		"exists-false: present": true, "empty object": true, "empty array": true, "suffix match split": true,
	}
	cases := corpusJSON[[]struct {
		Name        string
		Rule, Event json.RawMessage
	}](t, "correctness-cases.json")
	found := 0
	for _, c := range cases {
		want := !no[c.Name]
		if !want {
			found++
		}
		if got := matches(t, mustCompile(t, string(c.Rule)), string(c.Event)); got != want {
			t.Errorf("%s: %v", c.Name, got)
		}
		if naive := naiveMatch(decodeJSON(t, c.Rule), decodeJSON(t, c.Event)); naive != want {
			t.Errorf("%s: naively %v", c.Name, naive)
		}
	}
	if found != len(no) {
		t.Errorf("%d of the %d cases that mustn't match are there", found, len(no))
	}
	t.Logf("%d correctness cases of event-ruler, %d of them without a match", len(cases), found)
}

func TestCorpusArrays(t *testing.T) {
	pairs := 0
	want := map[[2]int]bool{{1, 1}: true, {1, 2}: true, {3, 4}: true, {4, 3}: true, {4, 4}: true} // event, rule
	for event := 1; event <= 4; event++ {
		for rule := 1; rule <= 4; rule++ {
			e, r := corpusFile(t, fmt.Sprintf("arrayEvent%d.json", event)), corpusFile(t, fmt.Sprintf("arrayRule%d.json", rule))
			if got := matches(t, mustCompile(t, string(r)), string(e)); got != want[[2]int{event, rule}] {
				t.Errorf("event %d, rule %d: %v", event, rule, got)
			}
			if got := naiveMatch(decodeJSON(t, r), decodeJSON(t, e)); got != want[[2]int{event, rule}] {
				t.Errorf("event %d, rule %d: naively %v", event, rule, got)
			}
			pairs++
		}
	}
	big, rule := corpusFile(t, "bigEvent.json"), corpusFile(t, "bigEventRule.json")
	if !matches(t, mustCompile(t, string(rule)), string(big)) {
		t.Error("the big event doesn't match")
	}
	if !naiveMatch(decodeJSON(t, rule), decodeJSON(t, big)) {
		t.Error("naively, the big event doesn't match")
	}
	t.Logf("%d pairs of event and rule, and an event of %d bytes", pairs+1, len(big))
}

func TestCorpusOr(t *testing.T) {
	alternatives := []int{2, 4, 3, 4, 2}
	or := corpusJSON[[]json.RawMessage](t, "orRelationshipRules.json")
	for i, rule := range or {
		if got := len(mustCompile(t, string(rule)).branches); got != alternatives[i] {
			t.Errorf("%s: %d alternatives", rule, got)
		}
	}
	// $or is a field's name in these.
	normal := corpusJSON[[]json.RawMessage](t, "normalRulesWithOrWording.json")
	for _, rule := range normal {
		p := mustCompile(t, string(rule))
		named := false
		for _, c := range p.branches[0] {
			named = named || strings.Contains(c.path, "$or")
		}
		if len(p.branches) != 1 || !named {
			t.Errorf("%s: %d alternatives; a field $or: %v", rule, len(p.branches), named)
		}
	}
	wrong := corpusJSON[[]json.RawMessage](t, "wrongOrRelationshipRules.json")
	for _, rule := range wrong {
		if _, err := Compile(rule); err == nil || !strings.Contains(err.Error(), "$or") {
			t.Errorf("%s: %v", rule, err)
		}
	}
	t.Logf("%d rules with $or, %d with a field $or, %d that are wrong", len(or), len(normal), len(wrong))
}

// scenarioEvents makes the events of the performance scenarios, by their
// generators' names and notes.
var scenarioEvents = map[string]func(n int) any{
	"primArrayPlusScalar": func(n int) any { return object("d", object("tags", numbered("t", n), "type", "GROUP")) },
	"primArrayOnly":       func(n int) any { return object("d", object("tags", numbered("t", n))) },
	"objArrayBothFields":  func(n int) any { return object("d", list(n, func(i int) any { return object("a", i, "b", i) })) },
	"objArrayLastValid": func(n int) any {
		return object("d", append(list(n-1, func(i int) any { return object("a", i) }), object("a", 1, "b", 2)))
	},
	"objArrayAllPartial": func(n int) any {
		return object("d", list(n, func(i int) any { return object([]string{"a", "b"}[i%2], i) }))
	},
	"customerLike": func(n int) any {
		domains := list(n, func(i int) any { return object("email", fmt.Sprint(i)) })
		return object("detail", object("data", object("name", numbered("n", n), "domains", domains, "type", "GROUP"),
			"context", object("companyId", "c", "userId", "u", "email", "e")))
	},
	"primInsideObjArray": func(n int) any {
		return object("detail", object("data", list(3, func(int) any { return object("name", numbered("n", n), "type", "GROUP") })))
	},
	"noObjArrayLargePrim": func(n int) any {
		return object("detail", object("data", object("name", numbered("n", n), "type", "GROUP")))
	},
	"nested2Level": func(n int) any {
		return object("a", list(n, func(int) any { return object("b", list(10, func(i int) any { return object("x", i, "y", i) })) }))
	},
	"deepNestedPrim": func(n int) any {
		return object("a", list(3, func(int) any { return object("b", object("tags", numbered("t", n), "type", "x")) }))
	},
	"wideRulePrimArray": func(n int) any { return object("d", object("a", numbered("a", n), "b", 1, "c", 2)) },
	"twoPrimArrays":     func(n int) any { return object("tags", numbered("t", n), "cats", numbered("c", n), "v", "1") },
	"controlScalar":     func(int) any { return object("a", 1, "b", 2) },
}

func object(pairs ...any) map[string]any {
	out := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i].(string)] = pairs[i+1]
	}
	return out
}

func list(n int, f func(int) any) []any {
	out := make([]any, n)
	for i := range out {
		out[i] = f(i)
	}
	return out
}

func numbered(prefix string, n int) []any {
	return list(n, func(i int) any { return prefix + fmt.Sprint(i) })
}

type scenario struct {
	Name            string
	Rule            json.RawMessage
	Generator       string
	Sizes           []int
	ExpectedMatches int
}

// TestCorpusScenarios runs the performance scenarios of event-ruler: the matches
// are as they say, and the steps of the search grow as the event does.
func TestCorpusScenarios(t *testing.T) {
	runs := 0
	scenarios := corpusJSON[[]scenario](t, "perf-scenarios.json")
	for _, s := range scenarios {
		generate := scenarioEvents[s.Generator]
		if generate == nil {
			t.Errorf("%s: no generator %s", s.Name, s.Generator)
			continue
		}
		p := mustCompile(t, string(s.Rule))
		for _, n := range s.Sizes {
			event, err := json.Marshal(generate(n))
			if err != nil {
				t.Fatal(err)
			}
			matched, steps := 0, 0
			err = p.ready().with(event, func(m *matching) { matched, steps = len(m.matched), m.join.steps })
			if err != nil || matched != s.ExpectedMatches {
				t.Errorf("%s, %d: %d matches, %v", s.Name, n, matched, err)
			}
			if steps > 10*len(event) {
				t.Errorf("%s, %d: %d steps", s.Name, n, steps)
			}
			runs++
		}
	}
	t.Logf("%d performance scenarios of event-ruler in %d sizes", len(scenarios), runs)
}

// TestJoinSteps has events on which a search without memory would take more steps
// than there are atoms.
func TestJoinSteps(t *testing.T) {
	inner := func(name string, n int) []any { return list(n, func(i int) any { return object(name, i) }) }
	for name, c := range map[string]struct {
		pattern string
		event   any
	}{
		"siblings": {`{"x": {"a": {"v": [{"exists": true}]}, "b": {"v": [{"exists": true}]}, "c": {"v": [{"exists": true}]}, "z": [1]}}`,
			object("x", append(list(50, func(int) any {
				return object("a", inner("v", 50), "b", inner("v", 50), "c", inner("v", 50))
			}), object("z", 1)))},
		"partial": {`{"x": {"a": [{"exists": true}], "b": [{"exists": true}], "c": [{"exists": true}], "d": [{"exists": true}]}}`,
			object("x", list(3000, func(i int) any {
				o := object("a", 1, "b", 1, "c", 1, "d", 1)
				delete(o, string(rune('a'+i%4)))
				return o
			}))},
		"absent": {`{"x": {"a": [1], "b": [{"exists": false}]}}`, object("x", list(3000, func(int) any { return object("a", 1, "b", 2) }))},
	} {
		event, err := json.Marshal(c.event)
		if err != nil {
			t.Fatal(err)
		}
		err = mustCompile(t, c.pattern).ready().with(event, func(m *matching) {
			if len(m.matched) > 0 {
				t.Errorf("%s matches", name)
			}
			if m.join.steps > 5*len(event) {
				t.Errorf("%s: %d steps for %d bytes", name, m.join.steps, len(event))
			}
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTooComplex has two arrays at one path, whose fields come by turns, so that
// the choices in both matter to the end.
func TestTooComplex(t *testing.T) {
	array := func(x, y string) string {
		return strings.Repeat(`{"`+x+`": 1},`, 1100) + `{"` + y + `": 1}`
	}
	event := []byte(`{"k": [` + array("a", "c") + `], "k": [` + array("b", "d") + `]}`)
	p := mustCompile(t, `{"k": {"a": [1], "b": [1], "c": [1], "d": [1]}}`)
	if ok, err := p.Match(event); ok || !errors.Is(err, ErrTooComplex) {
		t.Errorf("%v, %v", ok, err)
	}
	other := mustCompile(t, `{"k": {"a": [1]}}`)
	if ids, err := NewSet(Rule[int]{1, other}, Rule[int]{2, p}).Match(event); ids != nil || !errors.Is(err, ErrTooComplex) {
		t.Errorf("%v, %v", ids, err)
	}
	if ok, err := p.Match([]byte(`{"k": {"a": 1, "b": 1, "c": 1, "d": 1}}`)); !ok || err != nil {
		t.Errorf("then: %v, %v", ok, err)
	}
}
