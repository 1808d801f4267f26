package iampolicy

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// plain is a node as encoding/json has it with UseNumber.
func (n node) plain() any {
	switch n.kind {
	case kindBool:
		return n.text == "true"
	case kindNumber:
		return json.Number(n.text)
	case kindString:
		return n.text
	case kindList:
		out := []any{}
		for _, item := range n.items {
			out = append(out, item.plain())
		}
		return out
	case kindObject:
		out := map[string]any{}
		for _, m := range n.members {
			out[m.key] = m.value.plain()
		}
		return out
	}
	return nil
}

// FuzzJSON holds the scanner to encoding/json: both take the same texts, save for
// depth, and read the same values from them.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,-0.5e+3,true,false,null,"\u00e9\ud83d\ude00\ud83d\\\"x"],"":{}}`, `[]`, ` "a" `, "01", "1.", "-", "1e", "tru", `"\u12g4"`, `"\ud800\u0041"`, `"\ud800`,
		"{\"a\":1,\"a\":2}", "[1,]", "{,}", `{"a"}`, `{a:1}`, "\x00", `"` + "\x7f" + `"`, `[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]`, `"\`, "1 2", "-01", "1E5", "[1 2]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return // refused before it is scanned
		}
		got, err := (&scanner{text: text}).document()
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		var want any
		valid := json.Valid([]byte(text))
		if bad, ok := err.(*syntax); ok && strings.Contains(bad.problem, "too deep") {
			return
		}
		if (err == nil) != valid {
			t.Fatalf("%q: %v; encoding/json takes it: %v", text, err, valid)
		}
		if !valid {
			if bad := err.(*syntax); bad.at < 0 || bad.at > len(text) || bad.want == "" {
				t.Fatalf("%q: at %d, expected %q", text, bad.at, bad.want)
			}
			return
		}
		if err := d.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.plain(), want) {
			t.Fatalf("%q: got %#v, want %#v", text, got.plain(), want)
		}
	})
}

func TestPrinterWritesStringsThatReadBack(t *testing.T) {
	for _, s := range []string{"", "a<b>&c", "\u2028\"\\\x00\x1f", "é😀", "\xff"} {
		w := &printer{}
		w.value(s)
		var got string
		if err := json.Unmarshal(w.buf.Bytes(), &got); err != nil || got != strings.ToValidUTF8(s, "\ufffd") {
			t.Errorf("%q is written as %s, read as %q, %v", s, w.buf.Bytes(), got, err)
		}
		if bytes.ContainsAny(w.buf.Bytes(), "\n") {
			t.Errorf("%q is written with a line feed", s)
		}
	}
}
