package eventpattern

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The naive matcher is the second opinion: it shares no code with the package, and
// tries every choice of values.

func decodeJSON(t testing.TB, raw []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return v
}

// naiveLeaf is a leaf of an event; in has the index of the element for each array
// around it, arrays being named by where they are.
type naiveLeaf struct {
	value any
	in    map[string]int
}

func naiveFlatten(path, place string, v any, in map[string]int, out map[string][]naiveLeaf) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			next := k
			if path != "" || place != "" {
				next = path + "." + k
			}
			naiveFlatten(next, place+"/"+k, e, in, out)
		}
	case []any:
		for i, e := range v {
			inner := in
			switch e.(type) {
			case map[string]any, []any:
				inner = maps.Clone(in)
				inner[place] = i
			}
			naiveFlatten(path, place+"#"+strconv.Itoa(i), e, inner, out)
		}
	default:
		out[path] = append(out[path], naiveLeaf{v, in})
	}
}

// naiveBranches gives the alternatives of a pattern: lists by path.
func naiveBranches(prefix string, pattern map[string]any) []map[string][]any {
	branches := []map[string][]any{{}}
	and := func(others []map[string][]any) {
		var product []map[string][]any
		for _, a := range branches {
			for _, b := range others {
				c := maps.Clone(a)
				maps.Copy(c, b)
				product = append(product, c)
			}
		}
		branches = product
	}
	for k, v := range pattern {
		switch v := v.(type) {
		case map[string]any:
			and(naiveBranches(prefix+k+".", v))
		case []any:
			if k != "$or" {
				and([]map[string][]any{{prefix + k: v}})
				continue
			}
			var all []map[string][]any
			for _, e := range v {
				all = append(all, naiveBranches(prefix, e.(map[string]any))...)
			}
			and(all)
		}
	}
	return branches
}

func naiveMatch(pattern, event any) bool {
	fields := map[string][]naiveLeaf{}
	naiveFlatten("", "", event, map[string]int{}, fields)
	for _, b := range naiveBranches("", pattern.(map[string]any)) {
		if naiveChoose(slices.Sorted(maps.Keys(b)), b, fields, map[string]int{}) {
			return true
		}
	}
	return false
}

func naiveChoose(paths []string, branch map[string][]any, fields map[string][]naiveLeaf, chosen map[string]int) bool {
	if len(paths) == 0 {
		return true
	}
	there := false
	for _, leaf := range fields[paths[0]] {
		next := maps.Clone(chosen)
		fits := true
		for array, i := range leaf.in {
			if at, ok := chosen[array]; ok && at != i {
				fits = false
			}
			next[array] = i
		}
		if !fits {
			continue
		}
		there = true
		wanted := slices.ContainsFunc(branch[paths[0]], func(entry any) bool { return naiveEntry(entry, leaf.value) })
		if wanted && naiveChoose(paths[1:], branch, fields, next) {
			return true
		}
	}
	absent := slices.ContainsFunc(branch[paths[0]], func(entry any) bool {
		m, ok := entry.(map[string]any)
		return ok && m["exists"] == false
	})
	return absent && !there && naiveChoose(paths[1:], branch, fields, chosen)
}

// naiveNumber gives a number as a fraction, if a double's shortest text is it.
func naiveNumber(v any) (*big.Rat, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return nil, false
	}
	r, ok := new(big.Rat).SetString(n.String())
	if !ok {
		return nil, false
	}
	f, err := strconv.ParseFloat(n.String(), 64)
	if err != nil {
		return nil, false
	}
	same, ok := new(big.Rat).SetString(strconv.FormatFloat(f, 'g', -1, 64))
	return r, ok && same.Cmp(r) == 0
}

func naiveAddress(v any) (netip.Addr, bool) {
	s, ok := v.(string)
	if !ok || strings.ContainsAny(s, "%") || strings.Contains(s, ":") && strings.Contains(s, ".") {
		return netip.Addr{}, false
	}
	if !strings.Contains(s, ":") {
		s = regexp.MustCompile(`\b0+([0-9])`).ReplaceAllString(s, "$1")
	}
	a, err := netip.ParseAddr(s)
	return a.Unmap(), err == nil
}

func naiveList(v any) []any {
	if l, ok := v.([]any); ok {
		return l
	}
	return []any{v}
}

func naiveEntry(entry, v any) bool {
	op, ok := entry.(map[string]any)
	if !ok {
		if a, ok := naiveNumber(entry); ok {
			b, ok := naiveNumber(v)
			return ok && a.Cmp(b) == 0
		}
		if a, ok := naiveAddress(entry); ok {
			b, ok := naiveAddress(v)
			return ok && a == b
		}
		return entry == v
	}
	text, isText := v.(string)
	for name, operand := range op {
		want, _ := operand.(string)
		if m, ok := operand.(map[string]any); ok && name != "anything-but" {
			want = strings.ToLower(m["equals-ignore-case"].(string))
			text = strings.ToLower(text)
		}
		switch name {
		case "exists":
			return operand == true
		case "prefix":
			return isText && strings.HasPrefix(text, want)
		case "suffix":
			return isText && strings.HasSuffix(text, want)
		case "equals-ignore-case":
			return isText && strings.EqualFold(text, want)
		case "wildcard":
			return isText && regexp.MustCompile(naiveRegexp(want)).MatchString(text)
		case "cidr":
			a, ok := naiveAddress(v)
			return ok && netip.MustParsePrefix(want).Contains(a)
		case "numeric":
			n, ok := naiveNumber(v)
			list := operand.([]any)
			for i := 0; ok && i < len(list); i += 2 {
				limit, _ := naiveNumber(list[i+1])
				c := n.Cmp(limit)
				ok = strings.Contains(list[i].(string), []string{"<", "=", ">"}[c+1])
			}
			return ok
		case "anything-but":
			if m, ok := operand.(map[string]any); ok {
				for inner, values := range m {
					return !slices.ContainsFunc(naiveList(values), func(e any) bool { return naiveEntry(map[string]any{inner: e}, v) })
				}
			}
			return !slices.ContainsFunc(naiveList(operand), func(e any) bool {
				if a, ok := naiveNumber(e); ok {
					b, ok := naiveNumber(v)
					return ok && a.Cmp(b) == 0
				}
				return e == v
			})
		}
	}
	panic(fmt.Sprint("no operator in ", op))
}

func naiveRegexp(wildcard string) string {
	out := "(?s)^"
	for i := 0; i < len(wildcard); i++ {
		switch wildcard[i] {
		case '*':
			out += ".*"
		case '\\':
			i++
			fallthrough
		default:
			out += regexp.QuoteMeta(wildcard[i : i+1])
		}
	}
	return out + "$"
}

// Generators. Names and values are few, so that patterns and events meet.

var names = rapid.SampledFrom([]string{"a", "b", "c", "a-b"})

func genTextValue(t *rapid.T, label string) string {
	return rapid.OneOf(
		rapid.StringOfN(rapid.SampledFrom([]rune(`abAé*\`)), 0, 4, -1),
		rapid.SampledFrom([]string{"10.0.0.1", "10.0.0.01", "10.0.1.200", "::1", "2001:db8::1", "2001:DB8:0::1", "1"}),
	).Draw(t, label)
}

var genNumber = rapid.SampledFrom([]string{"0", "-0.0", "1", "1.0", "1e0", "2", "-3.5", "0.1", "1e300", "12345678901234567890", "0.30000000000000004"})

func genScalar(t *rapid.T) any {
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0, 1, 2:
		return genTextValue(t, "text")
	case 3, 4:
		return json.Number(genNumber.Draw(t, "number"))
	}
	return rapid.SampledFrom([]any{true, false, nil}).Draw(t, "word")
}

func genEvent(t *rapid.T, depth int) any {
	if depth > 0 {
		switch rapid.IntRange(0, 4).Draw(t, "event") {
		case 0, 1:
			return genObject(t, depth)
		case 2, 3:
			list := make([]any, rapid.IntRange(0, 3).Draw(t, "elements"))
			for i := range list {
				list[i] = genEvent(t, depth-1)
			}
			return list
		}
	}
	return genScalar(t)
}

func genObject(t *rapid.T, depth int) map[string]any {
	out := map[string]any{}
	for range rapid.IntRange(0, 4).Draw(t, "members") {
		name := names.Draw(t, "name")
		if rapid.IntRange(0, 9).Draw(t, "dotted") == 0 {
			name += "." + names.Draw(t, "name")
		}
		out[name] = genEvent(t, depth-1)
	}
	return out
}

func genWildcard(t *rapid.T) string {
	s := genTextValue(t, "wildcard")
	s = strings.ReplaceAll(s, `\`, `\\`)
	if rapid.Bool().Draw(t, "escaped") {
		s = strings.ReplaceAll(s, "*", `\*`)
	}
	for strings.Contains(s, "**") {
		s = strings.ReplaceAll(s, "**", "*")
	}
	return s
}

func genEntry(t *rapid.T) any {
	texts := func(f func() string) any {
		if rapid.Bool().Draw(t, "one") {
			return f()
		}
		return []any{f(), f()}
	}
	text := func() string { return genTextValue(t, "operand") }
	full := func() string { return "a" + text() }
	wild := func() string { return genWildcard(t) }
	fold := func() any { return map[string]any{"equals-ignore-case": text()} }
	number := func() json.Number {
		return json.Number(rapid.SampledFrom([]string{"-1", "0", "0.1", "1"}).Draw(t, "limit"))
	}
	switch rapid.IntRange(0, 16).Draw(t, "entry") {
	case 0, 1, 2, 3:
		return genScalar(t)
	case 4:
		return map[string]any{"prefix": text()}
	case 5:
		return map[string]any{"suffix": text()}
	case 6:
		return map[string]any{"prefix": fold()}
	case 7:
		return map[string]any{"suffix": fold()}
	case 8:
		return fold()
	case 9:
		return map[string]any{"wildcard": wild()}
	case 10:
		return map[string]any{"exists": rapid.Bool().Draw(t, "exists")}
	case 11:
		return map[string]any{"numeric": []any{rapid.SampledFrom([]string{">", ">=", "<", "<=", "="}).Draw(t, "op"), number()}}
	case 12:
		return map[string]any{"numeric": []any{rapid.SampledFrom([]string{">", ">="}).Draw(t, "op"), number(), rapid.SampledFrom([]string{"<", "<="}).Draw(t, "op"), json.Number("1.5")}}
	case 13:
		return map[string]any{"cidr": rapid.SampledFrom([]string{"10.0.0.0/24", "10.0.0.0/16", "0.0.0.0/0", "::/64", "2001:db8::/32"}).Draw(t, "cidr")}
	case 14:
		return map[string]any{"anything-but": texts(text)}
	case 15:
		return map[string]any{"anything-but": []any{number(), number()}}
	}
	switch rapid.IntRange(0, 3).Draw(t, "but") {
	case 0:
		return map[string]any{"anything-but": map[string]any{"prefix": texts(full)}}
	case 1:
		return map[string]any{"anything-but": map[string]any{"suffix": texts(full)}}
	case 2:
		return map[string]any{"anything-but": map[string]any{"equals-ignore-case": texts(text)}}
	}
	return map[string]any{"anything-but": map[string]any{"wildcard": texts(wild)}}
}

func genPattern(t *rapid.T, depth int) map[string]any {
	out := map[string]any{}
	for range rapid.IntRange(1, 3).Draw(t, "fields") {
		name := names.Draw(t, "name")
		switch kind := rapid.IntRange(0, 9).Draw(t, "field"); {
		case kind < 4 && depth > 0:
			out[name] = genPattern(t, depth-1)
		case kind == 4 && depth > 0:
			out["$or"] = []any{genPattern(t, depth-1), genPattern(t, depth-1)}
		case kind == 5 && depth > 0:
			out[name+"."+names.Draw(t, "name")] = genList(t)
		default:
			out[name] = genList(t)
		}
	}
	return out
}

// genMeeting gives an event of the shape of a pattern, in some arrays, whose values
// are near those of the pattern.
func genMeeting(t *rapid.T, pattern map[string]any) any {
	out := map[string]any{}
	for name, v := range pattern {
		var value any
		switch v := v.(type) {
		case map[string]any:
			value = genMeeting(t, v)
		case []any:
			e := rapid.SampledFrom(v).Draw(t, "entry")
			if alternative, ok := e.(map[string]any); ok && name == "$or" {
				if o, ok := genMeeting(t, alternative).(map[string]any); ok {
					maps.Copy(out, o)
				}
				continue
			}
			value = genNear(t, e)
		}
		if rapid.IntRange(0, 4).Draw(t, "array") == 0 {
			value = []any{genScalar(t), value}
		}
		out[name] = value
	}
	if rapid.IntRange(0, 6).Draw(t, "array") == 0 {
		return map[string]any{"a": []any{out, genScalar(t)}}
	}
	return out
}

// genNear gives a value for an entry: for one of an operator, one made of a text or
// number in it.
func genNear(t *rapid.T, entry any) any {
	switch e := entry.(type) {
	case map[string]any:
		for _, operand := range e {
			return genNear(t, operand)
		}
	case []any:
		return genNear(t, e[len(e)-1])
	case string:
		return rapid.SampledFrom([]string{e, "b" + e, e + "b", strings.ToUpper(e), strings.ReplaceAll(e, "*", "")}).Draw(t, "near")
	}
	return entry
}

func genList(t *rapid.T) []any {
	list := make([]any, rapid.IntRange(1, 2).Draw(t, "entries"))
	for i := range list {
		list[i] = genEntry(t)
	}
	return list
}

// checkPatterns compares a set of patterns, and each alone, with the naive matcher.
// Patterns that name a field twice are left out: the naive matcher has no order.
func checkPatterns(t *rapid.T, patterns []map[string]any, events []any) (matched int) {
	var rules []Rule[int]
	for i, p := range patterns {
		raw, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		compiled, err := Compile(raw)
		if err != nil {
			if strings.Count(err.Error(), "there twice") == 1+strings.Count(err.Error(), "\n") {
				continue
			}
			t.Fatalf("%s: %v", raw, err)
		}
		rules = append(rules, Rule[int]{i, compiled})
	}
	set := NewSet(rules...)
	for _, event := range events {
		raw, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		got, err := set.Match(raw)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		var want []int
		for _, r := range rules {
			naive := naiveMatch(patterns[r.ID], event)
			if alone, err := r.Pattern.Match(raw); err != nil || alone != naive {
				p, _ := json.Marshal(patterns[r.ID])
				t.Fatalf("pattern %s\nevent %s\nnaively %v, got %v, %v", p, raw, naive, alone, err)
			}
			if x, err := r.Pattern.Explain(raw); err != nil || x.Match != naive {
				t.Fatalf("event %s: explained: %v, %v", raw, x, err)
			}
			if naive {
				want = append(want, r.ID)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("event %s: the set gives %v, naively it is %v", raw, got, want)
		}
		matched += len(want)
	}
	return matched
}

func TestSetIsNaive(t *testing.T) {
	matched, sets := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		patterns := make([]map[string]any, rapid.IntRange(1, 12).Draw(t, "patterns"))
		for i := range patterns {
			patterns[i] = genPattern(t, 2)
		}
		events := make([]any, rapid.IntRange(1, 4).Draw(t, "events"))
		for i := range events {
			if rapid.Bool().Draw(t, "free") {
				events[i] = genObject(t, 4)
			} else {
				events[i] = genMeeting(t, rapid.SampledFrom(patterns).Draw(t, "pattern"))
			}
		}
		matched += checkPatterns(t, patterns, events)
		sets++
	})
	if matched < sets/10 {
		t.Errorf("only %d matches in %d sets: the generators don't meet", matched, sets)
	}
	t.Logf("%d matches in %d sets", matched, sets)
}

// TestArraysAreNaive is of few values and many arrays, so that most of the work is
// in finding values that go together.
func TestArraysAreNaive(t *testing.T) {
	matched, apart := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		var event func(depth int) any
		event = func(depth int) any {
			if depth == 0 {
				return json.Number(strconv.Itoa(rapid.IntRange(0, 1).Draw(t, "value")))
			}
			list := make([]any, rapid.IntRange(1, 3).Draw(t, "elements"))
			for i := range list {
				o := map[string]any{}
				for _, name := range []string{"a", "b", "c", "a-b", "b.c"} {
					if rapid.IntRange(0, 2).Draw(t, name) > 0 {
						o[name] = event(rapid.IntRange(0, depth-1).Draw(t, "depth"))
					}
				}
				list[i] = o
			}
			return list
		}
		entries := []any{json.Number("0"), json.Number("1"), map[string]any{"exists": true}, map[string]any{"exists": false}}
		pattern := map[string]any{}
		for range rapid.IntRange(2, 4).Draw(t, "fields") {
			path := strings.Join(rapid.SliceOfN(names, 1, 3).Draw(t, "path"), ".")
			pattern["x."+path] = []any{rapid.SampledFrom(entries).Draw(t, "entry")}
			if rapid.IntRange(0, 3).Draw(t, "two") == 0 {
				pattern["x."+path] = []any{entries[0], entries[3]}
			}
		}
		e := map[string]any{"x": event(3)}
		matched += checkPatterns(t, []map[string]any{pattern}, []any{e})
		raw, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		p, err := json.Marshal(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if compiled, err := Compile(p); err == nil {
			if x, err := compiled.Explain(raw); err == nil && x.Apart {
				apart++
			}
		}
	})
	if matched == 0 || apart == 0 {
		t.Errorf("%d matches, %d with values that don't go together: the generators don't meet", matched, apart)
	}
	t.Logf("%d matches, %d with values that don't go together", matched, apart)
}
