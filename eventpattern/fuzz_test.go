package eventpattern

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

// FuzzMatch compiles a pattern and matches an event: alone, in a set, explained. All
// must agree, and an event is refused if, and only if, it is no JSON object.
func FuzzMatch(f *testing.F) {
	patterns := []string{
		`{"source": ["aws.ec2"], "detail": {"a": [{"exists": true}], "b": [{"exists": false}, null]}}`,
		`{"a": [{"prefix": "x"}, {"suffix": {"equals-ignore-case": "É"}}, {"wildcard": "a*\\*b"}, {"equals-ignore-case": "Kk"}]}`,
		`{"a": [{"anything-but": ["b", "c"]}, {"anything-but": {"wildcard": ["*a*", "b*"]}}], "b": [{"anything-but": 3}]}`,
		`{"a": [{"numeric": [">", 0, "<=", 5e-3]}, 12345678901234567890, {"cidr": "10.0.0.0/8"}, {"cidr": "2001:db8::/33"}, "::1"]}`,
		`{"$or": [{"a.b": [1]}, {"a": {"c": [true, false]}, "$or": [{"x": [1]}, {"y": [""]}]}]}`, `{"$or": [{"prefix": "a"}]}`,
		`{"a": {"x": [1], "y": [2]}}`, `{"a": {"": ["\ud83d\ude00\u0000"]}}`, "{\"a\": [\"\xff\"]}", `{"a": [1], "a": [2]}`, `{`,
		`{"a": [{"wildcard": "*a*b*a*b*a*b*a*b*a*b"}]}`, strings.Repeat(`{"a":`, 1100),
	}
	events := []string{
		`{"source": "aws.ec2", "detail": [{"a": 1, "b": 2}, {"a": 3, "c": null}]}`, `{"a": ["xy", "zé", "a-*b", "K", 3, 0.005, "10.1.2.3", "2001:db8::1"]}`,
		`{"a": {"b": 1, "c": [true]}, "x": 1, "y": ""}`, `{"a.b": 1, "a": [[{"x": 1}], [{"y": 2}]], "a": [{"x": 1, "y": 2}]}`,
		`{"a": {"": "😀\u0000"}}`, `{"a": "\ud83d"}`, `{"a": [1, {}, [], [[[]]]]}`, `{"a": -0.0e-0}`, `{"a" 1}`, "{\"a\": \"\xff\"}", `[]`, ``, strings.Repeat("[", 2000),
	}
	for i, p := range patterns {
		for j, e := range events {
			if i == 0 || j == 0 || i == j {
				f.Add(p, e)
			}
		}
	}
	f.Fuzz(func(t *testing.T, pattern, event string) {
		p, err := Options{LastKeyWins: true}.Compile([]byte(pattern))
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || p != nil {
				t.Fatalf("%T %v", err, err)
			}
			if strict, err := Compile([]byte(pattern)); err == nil || strict != nil {
				t.Fatal("what is wrong without duplicate keys is right with them")
			}
			p = mustCompile(t, patterns[0])
		} else if !json.Valid([]byte(pattern)) {
			t.Fatalf("%q was compiled", pattern)
		}
		ok, err := p.Match([]byte(event))
		object := json.Valid([]byte(event)) && strings.HasPrefix(strings.TrimLeft(event, " \t\r\n"), "{")
		if errors.Is(err, ErrTooComplex) {
			return
		}
		if (err == nil) != object && strings.Count(event, "[")+strings.Count(event, "{") <= maxDepth {
			t.Fatalf("%q: an object: %v, error %v", event, object, err)
		}
		rules := []Rule[int]{{0, p}, {1, mustCompile(t, patterns[1])}, {2, mustCompile(t, patterns[2])}, {3, p}}
		ids, setErr := NewSet(rules...).Match([]byte(event))
		if (setErr == nil) != (err == nil) || slices.Contains(ids, 0) != ok || slices.Contains(ids, 3) != ok {
			t.Fatalf("%s on %s: alone %v, %v; in a set %v, %v", pattern, event, ok, err, ids, setErr)
		}
		if x, xErr := p.Explain([]byte(event)); (xErr == nil) != (err == nil) || err == nil && (x.Match != ok || x.String() == "") {
			t.Fatalf("%s on %s: %v, %v; explained %v, %v", pattern, event, ok, err, x, xErr)
		}
	})
}

// FuzzTransform makes inputs. One that isn't of texts must be JSON.
func FuzzTransform(f *testing.F) {
	for _, seed := range [][2]string{
		{`"a <v> \"<v>\" <aws.events.rule-name>"`, "$.detail.x"}, {`{"a": <v>, "b": ["x<v>", <aws.events.event>], "c": <aws.events.event.json>}`, "$.detail"},
		{`<v>`, "$"}, {"\"<v>\"\n\"<v>\"", "$.list[*].n"}, {`{"<v>": 1}`, "$['a']['b'][0].*"}, {`"<<v>>"`, "$.detail.list[2]"}, {`"<v`, "$."}, {`{"a": "\\<v>"}`, "$[*]"},
	} {
		f.Add(seed[0], seed[1], theEvent)
		f.Add(seed[0], seed[1], `{"detail": {"x": "a\"\nb", "list": [1, [2]]}, "detail": 3}`)
	}
	f.Fuzz(func(t *testing.T, template, path, event string) {
		in := TargetInput{InputTransformer: &InputTransformer{InputPathsMap: map[string]string{"v": path}, InputTemplate: template}}
		tr, err := in.Compile()
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		out, err := tr.Apply([]byte(event), theVariables)
		if err != nil {
			return
		}
		if len(out) > maxOutput {
			t.Fatalf("%d bytes", len(out))
		}
		if !tr.template.texts && !json.Valid(out) {
			t.Fatalf("%q of %q is no JSON", out, template)
		}
		if selected, err := (TargetInput{InputPath: &path}).Compile(); err != nil {
			t.Fatalf("%s as InputPath: %v", path, err)
		} else if part, err := selected.Apply([]byte(event), theVariables); err == nil && !json.Valid(part) {
			t.Fatalf("%q of %s is no JSON", part, path)
		}
	})
}
