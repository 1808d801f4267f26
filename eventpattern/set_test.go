package eventpattern

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"unicode"
)

// TestSetOrder: identities come in the order of the rules, whatever leads to them,
// each rule's once.
func TestSetOrder(t *testing.T) {
	var rules []Rule[string]
	shared := mustCompile(t, `{"a": ["x", "y", {"prefix": "x"}], "b": [1]}`)
	for i, list := range []string{`[{"suffix": "x"}]`, `[{"exists": true}]`, `["x"]`, `[{"anything-but": "y"}]`, `[{"equals-ignore-case": "X"}]`, `[{"wildcard": "*"}]`, `["y"]`} {
		rules = append(rules, Rule[string]{fmt.Sprint(i), mustCompile(t, `{"a": `+list+`}`)}, Rule[string]{"same", shared})
	}
	set := NewSet(rules...)
	want := []string{"0", "same", "1", "same", "2", "same", "3", "same", "4", "same", "5", "same", "same"}
	for range 3 {
		if got, err := set.Match([]byte(`{"a": ["x", "x"], "b": 1}`)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%v, %v", got, err)
		}
		if got, err := set.AppendMatch([]string{"kept"}, []byte(`{"a": "z"}`)); err != nil || !slices.Equal(got, []string{"kept", "1", "3", "5"}) {
			t.Errorf("%v, %v", got, err)
		}
	}
	if got, err := NewSet[int]().Match([]byte(`{"a": 1}`)); got != nil || err != nil {
		t.Errorf("an empty set: %v, %v", got, err)
	}
}

// TestRanges has many ranges and blocks, wide and narrow, in one field.
func TestRanges(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	type span struct{ low, high int }
	var spans []span
	var rules []Rule[int]
	for i := range 300 {
		s := span{r.IntN(1000), 0}
		s.high = s.low + 1 + r.IntN([]int{3, 50, 900}[i%3])
		spans = append(spans, s)
		rules = append(rules, Rule[int]{i, mustCompile(t, fmt.Sprintf(`{"n": [{"numeric": [">=", %d, "<", %d]}], "m": [{"exists": true}]}`, s.low, s.high))})
	}
	for bits := range 32 {
		rules = append(rules, Rule[int]{1000 + bits, mustCompile(t, fmt.Sprintf(`{"ip": [{"cidr": "10.128.64.33/%d"}], "m": [{"exists": true}]}`, bits))})
	}
	set := NewSet(rules...)
	for n := range 1100 {
		var want []int
		for i, s := range spans {
			if s.low <= n && n < s.high {
				want = append(want, i)
			}
		}
		if got, err := set.Match(fmt.Appendf(nil, `{"n": %d, "m": 1}`, n)); err != nil || !slices.Equal(got, want) {
			t.Fatalf("%d: %v, %v; want %v", n, got, err, want)
		}
	}
	for ip, want := range map[string]int{"10.128.64.33": 32, "10.128.64.32": 32, "10.128.64.34": 31, "10.128.64.1": 27, "11.0.0.0": 8, "200.1.1.1": 1, "::1": 0} {
		if got, err := set.Match([]byte(`{"m": 1, "ip": "` + ip + `"}`)); err != nil || len(got) != want {
			t.Errorf("%s: %d blocks, %v; want %d", ip, len(got), err, want)
		}
	}
}

// TestIndexKnowsEveryLetter: what is the same letter to a matcher must be filed
// under the same text.
func TestIndexKnowsEveryLetter(t *testing.T) {
	for want := rune(0); want <= unicode.MaxRune; want++ {
		if want == 0xd800 {
			want = 0xe000 // no surrogates
		}
		for _, r := range []rune{want, unicode.ToLower(want), unicode.ToUpper(want)} {
			if !sameLetter(r, 4, want) {
				t.Errorf("%q isn't %q", r, want)
			}
			if foldText(string(r)) != foldText(string(want)) {
				t.Errorf("%q is filed under %q, %q under %q", r, foldText(string(r)), want, foldText(string(want)))
			}
		}
	}
	p := mustCompile(t, `{"v": [{"equals-ignore-case": "\ufffdK"}, {"suffix": {"equals-ignore-case": "\ufffd"}}]}`)
	for event, want := range map[string]bool{"{\"v\": \"\ufffdk\"}": true, "{\"v\": \"\xffk\"}": false, "{\"v\": \"\xff\"}": false, "{\"v\": \"\u212a\"}": false} {
		if got := matches(t, p, event); got != want {
			t.Errorf("%q: %v", event, got)
		}
	}
}

// TestRoundsEnd: when the numbers of events begin anew, nothing of old ones counts.
func TestRoundsEnd(t *testing.T) {
	g := newEngine([]*Pattern{mustCompile(t, `{"a": [1]}`), mustCompile(t, `{"a": [2]}`), mustCompile(t, `{"a": [1], "b": [9]}`)})
	m := newMatching(g, 3)
	run := func(event string) []int32 {
		m.next()
		if err := m.event.read([]byte(event), g.steps); err != nil {
			t.Fatal(err)
		}
		m.run()
		return m.matched
	}
	if got := run(`{"a": 1, "b": 8}`); !slices.Equal(got, []int32{0}) { // in round 1
		t.Fatal(got)
	}
	m.round = math.MaxUint32
	if got := run(`{"a": [1, 2], "b": 9}`); !slices.Equal(got, []int32{0, 1, 2}) { // in round 1 again
		t.Errorf("%v, in round %d", got, m.round)
	}
}

func TestConcurrentUse(t *testing.T) {
	p := mustCompile(t, `{"a": {"x": [1], "y": [{"prefix": "p"}]}}`)
	set := NewSet(Rule[int]{0, p}, Rule[int]{1, mustCompile(t, `{"a": {"x": [2]}}`)})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				x := (g+i)%2 + 1
				event := fmt.Appendf(nil, `{"a": [{"x": %d, "y": "p%d"}]}`, x, i)
				if ids, err := set.Match(event); err != nil || !slices.Equal(ids, []int{x - 1}) {
					t.Errorf("%s: %v, %v", event, ids, err)
				}
				if ok, err := p.Match(event); err != nil || ok != (x == 1) {
					t.Errorf("%s: %v, %v", event, ok, err)
				}
			}
		})
	}
	wg.Wait()
}
