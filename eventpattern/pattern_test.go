package eventpattern

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func mustCompile(t testing.TB, pattern string) *Pattern {
	t.Helper()
	p, err := Compile([]byte(pattern))
	if err != nil {
		t.Fatalf("%s: %v", pattern, err)
	}
	return p
}

// others are patterns that stand beside one under test in a set, so that its index
// has something to choose from.
var others = []string{`{"v": ["some other text"]}`, `{"w": [1]}`, `{"v": [{"anything-but": "x"}], "w": [{"prefix": "p"}]}`}

// matches matches by the pattern alone and in a set; both must agree.
func matches(t testing.TB, p *Pattern, event string) bool {
	t.Helper()
	ok, err := p.Match([]byte(event))
	if err != nil {
		t.Fatalf("%s: %v", event, err)
	}
	rules := []Rule[int]{{0, p}}
	for i, o := range others {
		rules = append(rules, Rule[int]{i + 1, mustCompile(t, o)})
	}
	ids, err := NewSet(rules...).Match([]byte(event))
	if err != nil {
		t.Fatalf("%s: %v", event, err)
	}
	if inSet := len(ids) > 0 && ids[0] == 0; inSet != ok {
		t.Errorf("event %s: %v alone, %v in a set", event, ok, inSet)
	}
	x, err := p.Explain([]byte(event))
	if err != nil || x.Match != ok {
		t.Errorf("event %s: matches: %v, explained: %v, %v", event, ok, x, err)
	}
	return ok
}

// TestOperators has, for each operator, values of a field that it matches and
// others; "" for a value stands for an event without the field.
func TestOperators(t *testing.T) {
	for _, c := range []struct {
		list    string
		yes, no []string
	}{
		{`["a", ""]`, []string{`"a"`, `""`, `["x", "a"]`, `"\u0061"`}, []string{`"A"`, `"ab"`, `1`, `null`, `[]`, `{}`, ``}},
		{`["a\n\u00e9\ud83d\ude00"]`, []string{`"a\né😀"`}, []string{`"a\\n"`}},
		{`["\"\\/\b\f\r\t"]`, []string{`"\u0022\u005C\/\u0008\u000C\u000d\u0009"`}, []string{`"\"\\/\b\f\n\t"`}},
		{`["\ufffdx"]`, []string{`"\ud83dx"`, `"\ude00x"`, `"\ud83d\u0078"`}, []string{`"\ud83d\ude00x"`, `"x"`}},
		{`[1]`, []string{`1`, `1.0`, `1e0`, `0.1e1`, `10E-1`, `[0, 1]`}, []string{`"1"`, `true`, `1.5`, `-1`}},
		{`[0]`, []string{`0`, `-0`, `0.0`, `0e5`, `-0.0E-3`, `0e99999999999`}, []string{`1e-300`, `1e-400`, `1e-99999999999`, `""`, `false`}},
		{`[300.5e1]`, []string{`3005`, `3005.000`}, []string{`300.5`}},
		{`[12345678901234567890]`, []string{`12345678901234567890`}, []string{`12345678901234567891`, `1234567890123456789e1`, `12345678901234567168`}},
		{`[0.1]`, []string{`0.1`, `1e-1`}, []string{`0.1000000000000000055511151231257827`}},
		{`[1e999]`, []string{`1e999`}, []string{`10e998`, `1e1000`, `1e308`}},
		{`[true]`, []string{`true`}, []string{`"true"`, `false`, `1`}},
		{`[false]`, []string{`false`}, []string{`null`, `0`, ``}},
		{`[null]`, []string{`null`, `[1, null]`}, []string{`"null"`, `[]`, ``, `{}`}},
		{`["10.0.0.1"]`, []string{`"10.0.0.1"`, `"010.0.0.01"`}, []string{`"10.0.0.10"`, `"10.0.0"`, `"10.0.0.1 "`}},
		{`["2001:db8::1"]`, []string{`"2001:0DB8:0:0:0::1"`}, []string{`"2001:db8::2"`, `"2001:db8::1%eth0"`}},
		{`[{"prefix": "ab"}]`, []string{`"ab"`, `"abc"`}, []string{`"a"`, `"Ab"`, `"xab"`, `12`, ``}},
		{`[{"prefix": ""}]`, []string{`""`, `"x"`}, []string{`1`, `null`, ``}},
		{`[{"prefix": {"equals-ignore-case": "éA"}}]`, []string{`"Éab"`, `"éA"`}, []string{`"é"`, `"eA"`}},
		{`[{"suffix": "ab"}]`, []string{`"ab"`, `"cab"`}, []string{`"b"`, `"abc"`, `"aB"`, `true`}},
		{`[{"suffix": ""}]`, []string{`""`, `"x"`}, []string{`1`, ``}},
		{`[{"suffix": {"equals-ignore-case": ".pÑg"}}]`, []string{`"a.PñG"`, `".png.pñg"`}, []string{`"png"`, `"a.png"`, `""`}},
		{`[{"equals-ignore-case": "aÉ"}]`, []string{`"Aé"`, `"aÉ"`}, []string{`"a"`, `"aéx"`, `""`, `1`}},
		{`[{"equals-ignore-case": ""}]`, []string{`""`}, []string{`"x"`, `null`}},
		{`[{"wildcard": "*"}]`, []string{`""`, `"x"`}, []string{`1`, `null`, ``}},
		{`[{"wildcard": "a*b"}]`, []string{`"ab"`, `"a--b"`, `"abb"`}, []string{`"a"`, `"b"`, `"abc"`, `"xab"`}},
		{`[{"wildcard": "*a*ba*"}]`, []string{`"aba"`, `"xaybaz"`, `"aaba"`}, []string{`"ba"`, `"ab"`}},
		{`[{"wildcard": "ab*ba"}]`, []string{`"abba"`, `"abxba"`}, []string{`"aba"`}},
		{`[{"wildcard": "a\\*b\\\\*"}]`, []string{`"a*b\\"`, `"a*b\\c"`}, []string{`"aXb\\"`, `"a*b"`}},
		{`[{"wildcard": "abc"}]`, []string{`"abc"`}, []string{`"abcd"`, `"ab"`}},
		{`[{"wildcard": ""}]`, []string{`""`}, []string{`"x"`}},
		{`[{"anything-but": "a"}]`, []string{`"b"`, `1`, `true`, `null`, `["a", "b"]`}, []string{`"a"`, `["a", "a"]`, ``, `{}`, `[]`}},
		{`[{"anything-but": 1}]`, []string{`2`, `"1"`, `12345678901234567890`}, []string{`1`, `1.0`, ``}},
		{`[{"anything-but": ["a", "b"]}]`, []string{`"c"`}, []string{`"a"`, `"b"`}},
		{`[{"anything-but": [1, 2]}]`, []string{`3`}, []string{`1e0`, `2`}},
		{`[{"anything-but": "10.0.0.1"}]`, []string{`"010.0.0.1"`}, []string{`"10.0.0.1"`}},
		{`[{"anything-but": {"prefix": "a"}}]`, []string{`"b"`, `""`, `1`, `null`}, []string{`"ab"`, ``}},
		{`[{"anything-but": {"prefix": ["a", "b"]}}]`, []string{`"c"`}, []string{`"ab"`, `"b"`}},
		{`[{"anything-but": {"suffix": ["a", "b"]}}]`, []string{`"c"`}, []string{`"ba"`, `"b"`}},
		{`[{"anything-but": {"suffix": "a"}}]`, []string{`"ab"`}, []string{`"ba"`}},
		{`[{"anything-but": {"equals-ignore-case": "a"}}]`, []string{`"b"`, `"aa"`}, []string{`"A"`, ``}},
		{`[{"anything-but": {"equals-ignore-case": ["a", "b"]}}]`, []string{`"c"`, `null`}, []string{`"A"`, `"B"`}},
		{`[{"anything-but": {"wildcard": "*/lib/*"}}]`, []string{`"/bin/x"`, `5`}, []string{`"/lib/x"`}},
		{`[{"anything-but": {"wildcard": ["*.a", "*.b"]}}]`, []string{`"x.c"`}, []string{`"x.a"`, `".b"`}},
		{`[{"numeric": ["=", 3.018e2]}]`, []string{`301.8`}, []string{`301.80001`, `"301.8"`, `null`}},
		{`[{"numeric": [">", 0, "<=", 5]}]`, []string{`5`, `0.000001`, `[9, 1]`}, []string{`0`, `-1`, `5.000001`, `"3"`, ``}},
		{`[{"numeric": [">=", -1e10]}]`, []string{`-1e10`, `1e300`}, []string{`-1.1e10`}},
		{`[{"numeric": ["<", 1]}]`, []string{`0.999`, `-1e300`}, []string{`1`}},
		{`[{"numeric": ["<=", 1]}]`, []string{`1`}, []string{`1.000000000000001`, `0.12345678901234567890`}},
		{`[{"exists": true}]`, []string{`1`, `null`, `""`, `[1]`}, []string{``, `{}`, `[]`, `{"x": 1}`}},
		{`[{"exists": false}]`, []string{``, `{}`, `[]`, `{"x": 1}`}, []string{`1`, `null`, `""`}},
		{`[{"exists": false}, "a"]`, []string{``, `"a"`}, []string{`"b"`}},
		{`[{"cidr": "10.0.0.77/24"}]`, []string{`"10.0.0.0"`, `"10.0.0.255"`, `"010.0.0.9"`}, []string{`"10.0.1.0"`, `"10.0.0.256"`, `"::ffff:a00:0000:1"`, `123`, `"10.0.0"`}},
		{`[{"cidr": "0.0.0.0/0"}]`, []string{`"255.1.2.3"`, `"::ffff:0102:0304"`}, []string{`"::1"`, `""`}},
		{`[{"cidr": "2001:db8:1234:1a00::/64"}]`, []string{`"2001:0db8:1234:1a00:0000:0000:0000:0000"`}, []string{`"2001:db8:1234:1a01::"`, `"1.2.3.4"`, `"2001:db8:1234:1a00::g"`}},
		{`[{"prefix": "a"}, {"numeric": [">", 5]}, null]`, []string{`"ab"`, `6`, `null`}, []string{`"b"`, `5`, `true`}},
	} {
		p := mustCompile(t, `{"v": `+c.list+`}`)
		for want, values := range map[bool][]string{true: c.yes, false: c.no} {
			for _, v := range values {
				event := `{}`
				if v != "" {
					event = `{"v": ` + v + `}`
				}
				if got := matches(t, p, event); got != want {
					t.Errorf("%s on %s: %v", c.list, event, got)
				}
			}
		}
	}
}

// TestFields is of what spans fields: paths, arrays, $or, exists: false.
func TestFields(t *testing.T) {
	for _, c := range []struct {
		pattern string
		yes, no []string
	}{
		{`{"a": {"b": [1]}, "c": [2]}`, []string{`{"c": 2, "a": {"x": [{}], "b": 1}, "z": 1}`}, []string{`{"a": {"b": 1}}`, `{"a": 1, "c": 2}`, `{"c": 2}`}},
		{`{"a": {"b": {"c": [1]}}}`, []string{`{"a.b": {"c": 1}}`, `{"a": {"b.c": 1}}`, `{"a.b.c": 1}`}, []string{`{"a": {"b": 1}}`, `{"a": {"c": 1}}`, `{"a..b": {"c": 1}}`}},
		{`{"a.b": [1]}`, []string{`{"a": {"b": 1}}`, `{"a": [{"b": 2}, {"b": 1}]}`}, []string{`{"a": {"c": 1}}`}},
		{`{"": {"": [1]}}`, []string{`{"": {"": 1}}`, `{".": 1}`}, []string{`{"": 1}`, `{}`}},
		{`{"\u0061": [1]}`, []string{`{"a": 1}`, `{"\u0061": 1}`, `{"a": 2, "a": 1}`, `{"a": 1, "a": 2}`}, []string{`{"b": 1}`}},
		{`{"a": {"x": [1], "y": [2]}}`,
			[]string{`{"a": [{"x": 1}, {"x": 1, "y": 2}]}`, `{"a": [[{"x": 5}], [{"y": 3, "x": 1}, {"x": 1, "y": 2}]]}`},
			[]string{`{"a": [{"x": 1}, {"y": 2}]}`, `{"a": [[{"x": 1}], [{"y": 2}]]}`, `{"a": [[{"x": 1}, {"y": 2}]]}`}},
		{`{"a": {"x": [1]}, "b": {"y": [2]}}`, []string{`{"a": [{"x": 1}], "b": [{}, {"y": 2}]}`}, []string{`{"a": [{"x": 1}], "b": [{"y": 1}]}`}},
		{`{"a": {"k": ["c"], "l": {"v": [1], "w": [2]}}}`,
			[]string{`{"a": [{"k": "c", "l": [{"v": 1}, {"v": 1, "w": 2}]}]}`},
			[]string{`{"a": [{"k": "c", "l": [{"v": 1}, {"w": 2}]}, {"l": {"v": 1, "w": 2}}]}`, `{"a": [{"k": "d", "l": {"v": 1, "w": 2}}, {"k": "c"}]}`}},
		// What is an element itself is not bound to its array, only to those around.
		{`{"a": {"x": [1], "y": [2]}}`, []string{`{"a": {"x": [0, 1], "y": [2, 3]}}`}, nil},
		{`{"a": [1], "a.b": [2]}`, []string{`{"a": [1, {"b": 2}]}`, `{"a": [[1, {"b": 2}]]}`}, []string{`{"a": [[1], {"b": 2}]}`}},
		// Two arrays at one path are two, though their names are joined to one.
		{`{"a": {"b": {"x": [1], "y": [2]}}}`, []string{`{"a.b": [{"x": 1}], "a": {"b": [{}, {"y": 2}]}}`}, nil},
		{`{"d": {"a": [1], "b": [{"exists": false}]}}`,
			[]string{`{"d": [{"a": 1}, {"a": 2, "b": 3}]}`, `{"d": [{"b": 3, "a": 1}, {"a": 1}]}`, `{"d": {"a": 1}}`},
			[]string{`{"d": [{"a": 1, "b": 3}, {"a": 2}]}`, `{"d": [{"b": 1}]}`}},
		// The absent field comes before the one that would bind: all elements count.
		{`{"d": {"a": [{"exists": false}], "b": [1]}}`, []string{`{"d": [{"b": 1}, {"c": 2}]}`}, []string{`{"d": [{"b": 1}, {"a": 2}]}`}},
		{`{"d": {"a": [1], "b": [2, {"exists": false}], "c": [3]}}`,
			[]string{`{"d": [{"a": 1, "b": 7}, {"a": 1, "c": 3}]}`, `{"d": [{"a": 1, "b": 2, "c": 3}]}`},
			[]string{`{"d": [{"a": 1, "b": 7, "c": 3}, {"b": 2}]}`}},
		{`{"$or": [{"a": [1]}, {"b": [2]}]}`, []string{`{"a": 1}`, `{"b": 2}`, `{"a": 1, "b": 2}`}, []string{`{"a": 2, "b": 1}`, `{"$or": [{"a": 1}]}`}},
		{`{"s": [0], "$or": [{"a": [1]}, {"b": [2], "$or": [{"c": [3]}, {"d": [4]}]}], "e": [5]}`,
			[]string{`{"s": 0, "a": 1, "e": 5}`, `{"s": 0, "b": 2, "d": 4, "e": 5}`},
			[]string{`{"s": 0, "b": 2, "e": 5}`, `{"s": 0, "c": 3, "d": 4, "e": 5}`, `{"s": 0, "a": 1}`, `{"a": 1, "e": 5}`}},
		{`{"x": {"$or": [{"a": [1]}, {"b": [2]}]}, "$or": [{"c": [3]}, {"d": [4]}]}`,
			[]string{`{"x": {"b": 2}, "c": 3}`}, []string{`{"x": {"b": 2}}`, `{"b": 2, "c": 3}`}},
		{`{"a": {"n": [1], "$or": [{"x": [1]}, {"y": [2]}]}}`, []string{`{"a": [{"n": 1}, {"n": 1, "y": 2}]}`}, []string{`{"a": [{"n": 1}, {"y": 2}]}`}},
		// No alternatives, but a field of that name.
		{`{"$or": [{"numeric": [">", 5]}, {"prefix": "a"}]}`, []string{`{"$or": 6}`, `{"$or": "ab"}`}, []string{`{"a": 6}`}},
		{`{"$or": {"a": [1]}}`, []string{`{"$or": {"a": 1}}`}, []string{`{"a": 1}`}},
		{`{"prefix": ["a"], "exists": {"wildcard": [1]}}`, []string{`{"prefix": "a", "exists": {"wildcard": 1}}`}, nil},
	} {
		p := mustCompile(t, c.pattern)
		for want, events := range map[bool][]string{true: c.yes, false: c.no} {
			for _, event := range events {
				if got := matches(t, p, event); got != want {
					t.Errorf("%s on %s: %v", c.pattern, event, got)
				}
			}
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ pattern, want string }{
		{``, "line 1, column 1: the JSON ends too early; expected a JSON value"},
		{`{"a": [1]`, "line 1, column 10: the JSON ends too early; expected a comma or }"},
		{"{\n \"é\" 1}", "line 2, column 6: '1' is no JSON here; expected a colon"},
		{`{"a": [01]}`, "line 1, column 9: '1' is no JSON here; expected a comma or ]"},
		{`{"a": [1.]}`, "line 1, column 10: ']' is no JSON here; expected a digit"},
		{`{"a": ["\x"]}`, `line 1, column 9: \x is no escape; expected \" \\ \/ \b \f \n \r \t or \u and four digits`},
		{`{"a": ["\u12g4"]}`, `line 1, column 9: \u without its digits; expected four hexadecimal digits`},
		{"{\"a\": [\"\t\"]}", `line 1, column 9: the control character 0x09 stands bare in a text; expected \n, \t or \u and four digits`},
		{`{"a": ["b}`, `line 1, column 8: the text has no end; expected "`},
		{`{"a": [1]} {}`, "line 1, column 12: '{' is no JSON here; expected the end of the JSON"},
		{"{\"a\": \xff", "the pattern is no valid UTF-8"},
		{`{"a": ["\`, "line 1, column 10: the JSON ends too early; expected an escape"},
		{`{"a": [tru]}`, "line 1, column 8: 't' is no JSON here; expected a JSON value"},
		{"{\"a\": [\"\xff\"]}", "the pattern is no valid UTF-8"},
		{`[1]`, "line 1, column 1: the pattern is an array; expected an object"},
		{`{}`, "line 1, column 1: an empty object; expected fields"},
		{`{"a": {}}`, "line 1, column 7: a: an empty object; expected fields"},
		{`{"a": {"b": 1}}`, "line 1, column 13: a.b: the value is the number 1; expected a list, or an object"},
		{`{"a": []}`, "line 1, column 7: a: an empty list; expected values"},
		{`{"a": [[1]]}`, "line 1, column 8: a: a list within the list; expected a value or an operator"},
		{`{"a": [{}]}`, "line 1, column 8: a: an empty object; expected one of prefix, suffix, equals-ignore-case, wildcard, anything-but, numeric, exists, cidr"},
		{`{"a": [{"contains": "b"}]}`, `line 1, column 9: a: there is no operator "contains" here; expected one of prefix, suffix, equals-ignore-case, wildcard, anything-but, numeric, exists, cidr`},
		{`{"a": [{"Exists": true}]}`, `line 1, column 9: a: there is no operator "Exists" here; expected exists, in lower case`},
		{`{"a": [{"prefix": "b", "suffix": "c"}]}`, `line 1, column 24: a: a second key, "suffix"; expected one operator to an object`},
		{`{"a": [{"prefix": 1}]}`, "line 1, column 19: a: the value of prefix is the number 1; expected a text"},
		{`{"a": [{"prefix": {"suffix": "b"}}]}`, `line 1, column 20: a: there is no operator "suffix" here; expected equals-ignore-case`},
		{`{"a": [{"suffix": {"equals-ignore-case": ["b"]}}]}`, "line 1, column 42: a: the value of suffix equals-ignore-case is an array; expected a text"},
		{`{"a": [{"equals-ignore-case": {"prefix": "b"}}]}`, "line 1, column 31: a: the value of equals-ignore-case is an object; expected a text"},
		{`{"a": [{"wildcard": "b**"}]}`, `line 1, column 21: a: the wildcard "b**" has two wildcard characters in a row; expected single *, with \* and \\ for the characters themselves`},
		{`{"a": [{"wildcard": "**"}]}`, `line 1, column 21: a: the wildcard "**" has two wildcard characters in a row; expected single *, with \* and \\ for the characters themselves`},
		{`{"a": [{"wildcard": "\\b"}]}`, `line 1, column 21: a: the wildcard "\\b" has a backslash that escapes neither * nor \; expected single *, with \* and \\ for the characters themselves`},
		{`{"a": [{"wildcard": "b\\"}]}`, `line 1, column 21: a: the wildcard "b\\" has a backslash that escapes neither * nor \; expected single *, with \* and \\ for the characters themselves`},
		{`{"a": [{"wildcard": "*:*:*:*:*:*"}]}`, `line 1, column 21: a: the wildcard "*:*:*:*:*:*" is too complex; expected fewer wildcard characters, or fewer repetitions after one`},
		{`{"a": [{"anything-but": {"wildcard": ["b", "**"]}}]}`, `line 1, column 44: a: the wildcard "**" has two wildcard characters in a row; expected single *, with \* and \\ for the characters themselves`},
		{`{"a": [{"anything-but": {"wildcard": 5}}]}`, "line 1, column 38: a: the value of wildcard is the number 5; expected a text"},
		{`{"a": [{"anything-but": null}]}`, "line 1, column 25: a: anything-but has null; expected a text, a number, a list of texts or of numbers, or an operator"},
		{`{"a": [{"anything-but": []}]}`, "line 1, column 25: a: an empty list in anything-but; expected values"},
		{`{"a": [{"anything-but": ["b", 1]}]}`, "line 1, column 31: a: anything-but has a number beside a text; expected texts only, or numbers only"},
		{`{"a": [{"anything-but": {"numeric": ["=", 1]}}]}`, `line 1, column 26: a: there is no operator "numeric" here; expected one of prefix, suffix, equals-ignore-case, wildcard`},
		{`{"a": [{"anything-but": {"suffix": ["b", ""]}}]}`, "line 1, column 42: a: every text has the empty suffix; expected a text that isn't empty"},
		{`{"a": [{"anything-but": 12345678901234567890}]}`, "line 1, column 25: a: the number 12345678901234567890 can't be compared exactly; expected at most 17 digits"},
		{`{"a": [{"numeric": 1}]}`, `line 1, column 20: a: the value of numeric is the number 1; expected a list such as [">", 0, "<=", 5]`},
		{`{"a": [{"numeric": []}]}`, `line 1, column 20: a: an empty list in numeric; expected a list such as [">", 0, "<=", 5]`},
		{`{"a": [{"numeric": ["!=", 1]}]}`, `line 1, column 21: a: numeric has the text "!="; expected =, <, <=, > or >=`},
		{`{"a": [{"numeric": [1]}]}`, `line 1, column 21: a: numeric has the number 1; expected =, <, <=, > or >=`},
		{`{"a": [{"numeric": ["<"]}]}`, `line 1, column 21: a: numeric ends with <; expected a number behind it`},
		{`{"a": [{"numeric": ["<", "1"]}]}`, `line 1, column 26: a: numeric has the text "1"; expected a number behind <`},
		{`{"a": [{"numeric": ["=", 1, "<", 2]}]}`, `line 1, column 29: a: numeric has too many entries; expected the end of the list`},
		{`{"a": [{"numeric": ["<", 1, ">", 0]}]}`, `line 1, column 29: a: numeric has too many entries; expected the end of the list`},
		{`{"a": [{"numeric": [">", 1, "<", 2, 3]}]}`, `line 1, column 37: a: numeric has too many entries; expected the end of the list`},
		{`{"a": [{"numeric": [">", 1, ">=", 2]}]}`, `line 1, column 29: a: numeric has the text ">="; expected < or <=`},
		{`{"a": [{"numeric": [">=", 2, "<=", 2]}]}`, `line 1, column 36: a: the range is empty; expected a number above 2`},
		{`{"a": [{"numeric": ["=", 1e999]}]}`, `line 1, column 26: a: the number 1e999 can't be compared exactly; expected at most 17 digits`},
		{`{"a": [{"exists": "true"}]}`, `line 1, column 19: a: the value of exists is the text "true"; expected true or false`},
		{`{"a": [{"cidr": 1}]}`, `line 1, column 17: a: the value of cidr is the number 1; expected a text such as 10.0.0.0/24`},
		{`{"a": [{"cidr": "10.0.0.0"}]}`, `line 1, column 17: a: "10.0.0.0" is no CIDR block; expected an IP address, a slash and the bits of the mask`},
		{`{"a": [{"cidr": "10.0.0.256/8"}]}`, `line 1, column 17: a: "10.0.0.256/8" is no CIDR block; expected an IP address, a slash and the bits of the mask`},
		{`{"a": [{"cidr": "10.0.0.0/32"}]}`, `line 1, column 17: a: "10.0.0.0/32" has no mask for its address; expected 0 to 31 bits`},
		{`{"a": [{"cidr": "::/128"}]}`, `line 1, column 17: a: "::/128" has no mask for its address; expected 0 to 127 bits`},
		{`{"a": [1], "b": 2, "a": [2]}`, "line 1, column 17: b: the value is the number 2; expected a list, or an object\nline 1, column 20: a: the field is there twice; EventBridge would take the last only; expected one list for a field"},
		{`{"a": {"b": [1]}, "a.b": [2]}`, "line 1, column 19: a.b: the field is there twice; EventBridge would take the last only; expected one list for a field"},
		{`{"a": [1], "$or": [{"a": [2]}, {"b": [3]}]}`, "line 1, column 21: a: the field is there twice; EventBridge would take the last only; expected one list for a field"},
		{`{"$or": [{"a": [1]}]}`, "line 1, column 9: the list of $or isn't one of alternatives; expected two objects or more"},
		{`{"$or": [{"a": [1]}, 5]}`, "line 1, column 9: the list of $or isn't one of alternatives; expected two objects or more"},
		{`{"$or": [{"a": [1]}, {"prefix": ["b"]}]}`, `line 1, column 23: "prefix" is reserved within $or; expected the name of a field`},
		{`{"$or": [{"a": [1]}, {}]}`, "line 1, column 22: an empty object; expected fields"},
		{`{"$or": []}`, "line 1, column 9: $or: an empty list; expected values"},
	} {
		_, err := Compile([]byte(c.pattern))
		if err == nil {
			t.Errorf("%s was compiled", c.pattern)
			continue
		}
		if got := err.Error(); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.pattern, got, c.want)
		}
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: %T is no *Error", c.pattern, err)
		}
	}
}

func TestLimits(t *testing.T) {
	list := func(n int) string { return `{"a": ["` + strings.Repeat("é", n-len(`{"a": [""]}`)) + `"]}` }
	or := func(n, m int) string {
		alternatives := func(name string, n int) string {
			var all []string
			for i := range n {
				all = append(all, fmt.Sprintf(`{"%s%d": [1]}`, name, i))
			}
			return `{"$or": [` + strings.Join(all, ",") + `]}`
		}
		return `{"x": ` + alternatives("a", n) + `, "y": ` + alternatives("b", m) + `}`
	}
	deep := strings.Repeat(`{"a":`, maxDepth) + `[1]` + strings.Repeat("}", maxDepth)
	long := Options{MaxChars: 1 << 20}
	for _, c := range []struct {
		name    string
		options Options
		pattern string
		ok      bool
	}{
		{"4096 characters", Options{}, list(4096), true},
		{"4097 characters", Options{}, list(4097), false},
		{"as configured", Options{MaxChars: 4097}, list(4097), true},
		{"1000 alternatives", long, or(50, 20), true},
		{"1020 alternatives", long, or(51, 20), false},
		{"as configured", Options{MaxChars: 1 << 20, MaxAlternatives: 20}, or(5, 5), false},
		{"a complex wildcard", Options{}, `{"a": [{"wildcard": "*a*a*a*a*a*"}]}`, false},
		{"as configured", Options{MaxWildcardComplexity: 11}, `{"a": [{"wildcard": "*a*a*a*a*a*"}]}`, true},
		{"deeper than the stack may", long, deep, false},
		{"twice", Options{}, `{"a": [1], "a": [2]}`, false},
		{"the last key", Options{LastKeyWins: true}, `{"a": [1], "a": [2]}`, true},
	} {
		_, err := c.options.Compile([]byte(c.pattern))
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	p, err := Options{LastKeyWins: true}.Compile([]byte(`{"a": [1], "$or": [{"a": [2]}, {"b": [3]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if matches(t, p, `{"a": 1}`) || !matches(t, p, `{"a": 2}`) || !matches(t, p, `{"a": 1, "b": 3}`) {
		t.Error("the last key doesn't win")
	}
}

func TestWildcardComplexity(t *testing.T) {
	for text, want := range map[string]int{
		"*": 1, "abc": 1, "*ab": 2, "*aa": 3, "a*b": 2, "aa*": 2, "a*bb": 3, "a*bcb": 3, "*ab*ad": 4, "*ab*d": 3,
		"*aba*": 4, "a*b*bb": 5, "a*b*cb": 4, "a*b*cd": 3, "a*bb*": 4, "ab*b*": 3,
		"/Users/*/dir/dir/dir/dir/dir/doc.txt": 7, "*:*:*:*:*:event-bus/*": 11,
	} {
		w, err := parseWildcard(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.complexity(100); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
}

func TestEventErrors(t *testing.T) {
	p := mustCompile(t, `{"a": {"b": [1]}}`)
	set := NewSet(Rule[int]{1, p}, Rule[int]{2, p})
	deep := strings.Repeat("[", maxDepth)
	for _, event := range []string{
		``, `null`, `[{"a": 1}]`, `{"a": {"b": 1}`, `{"a": {"b": 1}} x`, `{"a": {"b": tru}}`, `{"x": {"y": [1, }}`, `{"x": "` + "\n" + `"}`, `{"a": {"b": 1}, "x": -}`,
		`{"a": ` + deep + strings.Repeat("]", maxDepth) + `}`, `{"x": ` + deep + strings.Repeat("]", maxDepth) + `}`,
	} {
		ok, err := p.Match([]byte(event))
		var e *Error
		if ok || !errors.As(err, &e) || e.Line == 0 {
			t.Errorf("%.50s: %v, %v", event, ok, err)
		}
		if ids, err := set.Match([]byte(event)); len(ids) > 0 || err == nil {
			t.Errorf("%.50s: %v, %v", event, ids, err)
		}
		if x, err := p.Explain([]byte(event)); x != nil || err == nil {
			t.Errorf("%.50s: %v, %v", event, x, err)
		}
	}
	if ok, err := p.Match([]byte(`{"a": ` + strings.Repeat("[", 900) + `{"b": 1}` + strings.Repeat("]", 900) + `}`)); !ok || err != nil {
		t.Errorf("nested 900 deep: %v, %v", ok, err)
	}
}

func TestExplain(t *testing.T) {
	p := mustCompile(t, "{\"source\": [\"aws.ec2\"],\n \"detail\": {\"state\": [\"stopped\"], \"tags\": {\"k\": [\"env\"], \"v\": [\"prod\"]}, \"error\": [{\"exists\": false}]}}")
	for _, c := range []struct{ event, want string }{
		{`{"source": "aws.ec2", "detail": {"state": "stopped", "tags": [{"k": "env", "v": "prod"}]}}`, `match
  ok  detail.error: got nothing
  ok  detail.state: got "stopped"
  ok  detail.tags.k: got "env"
  ok  detail.tags.v: got "prod"
  ok  source: got "aws.ec2"`},
		{`{"source": "aws.ec2", "detail": {"state": "stopped", "tags": [{"k": "env"}, {"v": "prod"}]}}`, `no match: each field matches, but no one element of the event's arrays has them all
  ok  detail.error: got nothing
  ok  detail.state: got "stopped"
  ok  detail.tags.k: got "env"
  ok  detail.tags.v: got "prod"
  ok  source: got "aws.ec2"`},
		{`{"source": {"x": 1}, "detail": {"state": "pending", "tags": [], "error": null}}`, `no match
  no  detail.error: the event has the field; got null, want [{"exists": false}] (line 2, column 83)
  no  detail.state: no value is one of those wanted; got "pending", want ["stopped"] (line 2, column 22)
  no  detail.tags.k: the event has no such field; got nothing, want ["env"] (line 2, column 49)
  no  detail.tags.v: the event has no such field; got nothing, want ["prod"] (line 2, column 63)
  no  source: the event has an object there, not a value; got nothing, want ["aws.ec2"] (line 1, column 12)`},
		{`{"source": [], "detail": {"state": ["` + strings.Repeat("x", 150) + `", 1, 2, 3, 4, 5, 6]}}`, `no match
  ok  detail.error: got nothing
  no  detail.state: no value is one of those wanted; got "` + strings.Repeat("x", 100) + `"…, 1, 2, 3, 4 and 2 more, want ["stopped"] (line 2, column 22)
  no  detail.tags.k: the event has no such field; got nothing, want ["env"] (line 2, column 49)
  no  detail.tags.v: the event has no such field; got nothing, want ["prod"] (line 2, column 63)
  no  source: the event has an empty list there; got nothing, want ["aws.ec2"] (line 1, column 12)`},
	} {
		x, err := p.Explain([]byte(c.event))
		if err != nil {
			t.Fatal(err)
		}
		if got := x.String(); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.event, got, c.want)
		}
	}
	or := mustCompile(t, `{"$or": [{"a": [1]}, {"a": [2], "b": [3]}, {"c": [4]}]}`)
	x, err := or.Explain([]byte(`{"b": 3}`))
	if err != nil {
		t.Fatal(err)
	}
	if want := "no match (the nearest of 3 alternatives)\n  no  a: the event has no such field; got nothing, want [2] (line 1, column 28)\n  ok  b: got 3"; x.String() != want {
		t.Errorf("got %s\nwant %s", x, want)
	}
	x, err = or.Explain([]byte(`{"b": 3, "c": 4}`))
	if err != nil || x.String() != "match\n  ok  c: got 4" {
		t.Errorf("%v, %v", x, err)
	}
}
