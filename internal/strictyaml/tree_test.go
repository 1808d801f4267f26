package strictyaml

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/knowngood/knowngood"
)

var someFormat = Format{Noun: "file", Want: "a file", MaxBytes: 4000, MaxNodes: 100}

// value is a node without its places.
func value(n *Node) any {
	switch n.Kind {
	case List:
		list := []any{}
		for _, item := range n.List {
			list = append(list, value(item))
		}
		return list
	case Map:
		object := map[string]any{}
		for _, f := range n.Fields {
			object[f.Name] = value(f.Value)
		}
		return object
	}
	return n.Scalar
}

func TestRead(t *testing.T) {
	for text, want := range map[string]string{
		"a: 1\nb: [x, 2.5, true, null, '7']":               `{"a":1,"b":["x",2.5,true,null,"7"]}`,
		`{"a": [1, 2.5, 12345678901234567890, "x", null]}`: `{"a":[1,2.5,12345678901234567000,"x",null]}`,
		"a: &x {b: 1}\nc: *x":                              `{"a":{"b":1},"c":{"b":1}}`,
		"a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}":            `{"a":{"b":1,"c":2},"d":{"b":1,"c":3}}`,
		"a: !!str 5":                                       `{"a":"5"}`,
		"5: a\ntrue: b":                                    `{"5":"a","true":"b"}`,
		"{a: [A::B::C, http://x, c:d]}":                    `{"a":["A::B::C","http://x","c:d"]}`,
		"[{a: [A::B], b: A::B}, A::B]":                     `[{"a":["A::B"],"b":"A::B"},"A::B"]`,
		"{a: [{b: A::B}, 'x::y']}":                         `{"a":[{"b":"A::B"},"x::y"]}`,
		"a: [A::B]\nb: {c: [A::B]}":                        `{"a":["A::B"],"b":{"c":["A::B"]}}`,
		"{a: [b: c, d : e]}":                               `{"a":[{"b":"c"},{"d":"e"}]}`,
		"{not: json, but: yaml}":                           `{"but":"yaml","not":"json"}`,
		"\ufeffa: |\r\n  x\r\n  y\r\n# a comment\n":        `{"a":"x\ny\n"}`,
	} {
		n, err := Read("f", []byte(text), someFormat)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if have, _ := json.Marshal(value(n)); string(have) != want {
			t.Errorf("%q: %s, want %s", text, have, want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      "f:1: the file is empty; expected a file",
		"a: 1\na: 2":                            `f:2:1: mapping key "a" already defined`,
		"a: 1\n---\nb: 2":                       "f:3:1: a second document in one file",
		"a:\n  b: *x":                           "f:2:6: the alias *x has no anchor before it",
		"a: &x [*x]":                            "f:1:8: the alias *x contains itself",
		"a: 1\nb: .inf":                         "f:2:4: the number .inf",
		"a: !Sub x":                             "f:1:4: the tag !Sub; expected a value without a tag",
		"a: " + strings.Repeat("[", 70):         "nested too deeply",
		"a: [" + strings.Repeat("1, ", 100):     "f:1",
		"[" + strings.Repeat("1, ", 100) + "1]": "too many values",
		strings.Repeat("a: 1\n", 1000):          "f:801: the file is larger than 4000 bytes",
	} {
		_, err := Read("f", []byte(text), someFormat)
		var at *knowngood.FileError
		if !errors.As(err, &at) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %s", text, err, want)
		}
	}
	_, err := Read("f.json", []byte("{\n\t\"a\": 1,\n\t\"a\": 2}"), someFormat)
	if err == nil || !strings.Contains(err.Error(), `f.json:3:2: the key "a" is there twice`) {
		t.Errorf("JSON: %v", err)
	}
}

// A file inside another has the other's lines and columns.
func TestReadInside(t *testing.T) {
	n, err := Read("f", []byte("a: 1\nb: |\n  x: 1\n"), Format{Noun: "file", MaxBytes: 100, MaxNodes: 10})
	if err != nil {
		t.Fatal(err)
	}
	inner := n.get("b")
	if inner.Inside == nil {
		t.Fatal("a literal block has no origin")
	}
	within, err := Read("f", []byte(inner.Scalar.(string)), Format{Noun: "file", MaxBytes: 100, MaxNodes: 10, Origin: *inner.Inside})
	if err != nil {
		t.Fatal(err)
	}
	if at := within.Fields[0].Pos; at.Line != 3 || at.Col != 3 {
		t.Errorf("x is at %d:%d, want 3:3", at.Line, at.Col)
	}
}

func TestTags(t *testing.T) {
	f := someFormat
	f.Tag = func(tag string) (string, bool) { return strings.TrimPrefix(tag, "!"), tag == "!Ref" }
	f.WantTag = "!Ref"
	n, err := Read("f", []byte("a: !Ref x"), f)
	if have, _ := json.Marshal(value(n)); err != nil || string(have) != `{"a":{"Ref":"x"}}` {
		t.Errorf("%s, %v", have, err)
	}
	if _, err := Read("f", []byte("a: !Sub x"), f); err == nil || !strings.Contains(err.Error(), "the tag !Sub; expected !Ref") {
		t.Error(err)
	}
}
