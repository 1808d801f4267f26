package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// reference decodes as encoding/json does, with numbers as they are written.
func reference(data []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("more than one document")
	}
	return v, nil
}

// differs says where a value differs from the reference's, "" where it doesn't.
func differs(d *Document, n Node, want any) string {
	switch want := want.(type) {
	case nil:
		if d.Kind(n) == Null {
			return ""
		}
	case bool:
		if d.Kind(n) == Bool && d.Bool(n) == want {
			return ""
		}
	case string:
		if d.Kind(n) == String && d.Text(n) == want {
			return ""
		}
	case json.Number:
		return numberDiffers(d, n, want)
	case []any:
		if d.Kind(n) != Array || d.Len(n) != len(want) {
			break
		}
		i := 0
		for e := range d.Elements(n) {
			if why := differs(d, e, want[i]); why != "" {
				return fmt.Sprintf("[%d]%s", i, why)
			}
			i++
		}
		if i == len(want) {
			return ""
		}
	case map[string]any:
		if d.Kind(n) != Object || d.Len(n) != len(want) {
			break
		}
		count := 0
		for name, v := range d.Members(n) {
			if m, ok := want[name]; !ok || d.Member(n, name) != v {
				return fmt.Sprintf(".%q (there: %v)", name, ok)
			} else if why := differs(d, v, m); why != "" {
				return fmt.Sprintf(".%q%s", name, why)
			}
			count++
		}
		if count == len(want) {
			return ""
		}
	}
	return fmt.Sprintf(": %s of %d, %q, want %T %v", d.Kind(n), d.Len(n), d.AppendJSON(nil, n), want, want)
}

func numberDiffers(d *Document, n Node, want json.Number) string {
	i, err := strconv.ParseInt(string(want), 10, 64)
	wantKind := Int
	if err != nil {
		wantKind = Double
	}
	f, inRange := d.Double(n)
	wantFloat, err := want.Float64()
	switch {
	case d.Text(n) != string(want) || d.Kind(n) != wantKind:
		return fmt.Sprintf(": %s %s, want %s %s", d.Kind(n), d.Text(n), wantKind, want)
	case wantKind == Int && d.Int(n) != i:
		return fmt.Sprintf(": %d, want %d", d.Int(n), i)
	case inRange != (err == nil) || inRange && f != wantFloat:
		return fmt.Sprintf(": %v (%v), want %v", f, inRange, wantFloat)
	}
	return ""
}

// check parses a text in every way and compares with encoding/json.
func check(t interface{ Errorf(string, ...any) }, data []byte) {
	var d Document
	want, wantErr := reference(data)
	err := d.Parse(data, nil)
	if err != nil && strings.Contains(err.Error(), "too deep") {
		return
	}
	if (err == nil) != (wantErr == nil) {
		t.Errorf("%q: %v, want %v", data, err, wantErr)
		return
	}
	// What a projection leaves out is validated all the same.
	none := NewProjection([][]string{{"\x00no such member"}})
	if skipped := d.Parse(data, none); (skipped == nil) != (err == nil) {
		t.Errorf("%q: skipping it %v, parsing it %v", data, skipped, err)
	}
	if err != nil {
		if d.Root() != 0 {
			t.Errorf("%q: an error left a document", data)
		}
		return
	}
	if err := d.Parse(data, nil); err != nil {
		t.Errorf("%q: a second time %v", data, err)
		return
	}
	if why := differs(&d, d.Root(), want); why != "" {
		t.Errorf("%q%s", data, why)
	}
	again, err := reference(d.AppendJSON(nil, d.Root()))
	if err != nil {
		t.Errorf("%q is printed as %q: %v", data, d.AppendJSON(nil, d.Root()), err)
	} else if why := differs(&d, d.Root(), again); why != "" {
		t.Errorf("%q printed%s", data, why)
	}
}

var texts = []string{
	`null`, `true`, ` false `, `0`, `-0`, `9223372036854775807`, `9223372036854775808`, `-9223372036854775808`, `-9223372036854775809`, `9007199254740993`,
	`1.0`, `1e3`, `-1.5E-7`, `1e999`, `1e-999`, `12345678901234567890123`, `""`, `"a"`, `"\u00e9\ud83d\ude00\ud800\ud800x\\\/\b\f\n\r\t\""`, `"é"`, "\"a\xffb\"", "\"12345678\xff\"",
	`"0123456789abcdef0123456789"`, `"0123456\"89"`, `[]`, `[ ]`, `[1, 2 ,3]`, `{}`, `{ }`, `{"a":1}`, ` { "a" : [ { } ] , "b" : null } `,
	`{"a":1,"a":2}`, `{"a":{"b":1},"a":{"c":2}}`, `{"a":1,"b":2,"a":{"x":[]},"b":[]}`, `{"\u0061":1,"a":2}`, `{"":1}`,
	`nul`, `tru`, `01`, `-`, `1.`, `1e`, `+1`, `.5`, `"`, `"\x"`, `"\u12g4"`, "\"a\nb\"", `"abc`, `"abcdefgh\`, `[1`, `[1,]`, `[,1]`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `{"a":1`, `[1]]`, `1 2`, ``, ` `, "\x00", "\"\x00\"", "1\x00", `[}`,
}

func TestParsesAsEncodingJSON(t *testing.T) {
	for _, text := range texts {
		check(t, []byte(text))
	}
	for _, n := range []int{31, 32, 33, 200} {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"k%d":%d,"k%d":{"x":[%d]}`, i%50, i, i*7%60, i)
		}
		check(t, []byte("{"+b.String()[1:]+"}"))
		check(t, []byte("{"+strings.Repeat(`"a":[1],`, n)+`"a":2}`))
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) { check(t, data) })
}

func TestRealItemsParseAsEncodingJSON(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/corpora/config-items/*.json")
	if len(files) == 0 {
		t.Skip("../shared/corpora/config-items is not there")
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		check(t, data)
	}
}

func TestBounds(t *testing.T) {
	var d Document
	deep := func(n int) []byte { return []byte(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	objects := func(n int) []byte { return []byte(strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n)) }
	for _, make := range []func(int) []byte{deep, objects} {
		for _, p := range []*Projection{nil, NewProjection([][]string{{"b"}})} {
			if err := d.Parse(make(MaxDepth), p); err != nil {
				t.Error(err)
			}
			if err := d.Parse(make(MaxDepth+1), p); err == nil {
				t.Error("a document that is too deep was taken")
			}
		}
	}
	if err := d.Parse(bytes.Repeat([]byte(" "), MaxBytes+1), nil); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("%v", err)
	}
}

func TestErrorsHaveTheirPlace(t *testing.T) {
	for text, want := range map[string]int{`[1,]`: 3, `{"a":tru}`: 5, `"ab`: 3, `{"a":1}x`: 7, `{"a" 1}`: 5, "[\"\x01\"]": 2} {
		var d Document
		err := d.Parse([]byte(text), nil)
		var e *Error
		if !errors.As(err, &e) || e.Offset != want {
			t.Errorf("%q: %v, want offset %d", text, err, want)
		}
	}
}

// generated draws a JSON value, names from a few so that paths meet them.
func generated() *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any { return drawn(t, 4) })
}

func drawn(t *rapid.T, depth int) any {
	kinds := 8
	if depth == 0 {
		kinds = 6
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return rapid.Int64().Draw(t, "int")
	case 3:
		return rapid.Float64Range(-1e300, 1e300).Draw(t, "double")
	case 4, 5:
		return rapid.String().Draw(t, "string")
	case 6:
		list := make([]any, rapid.IntRange(0, 4).Draw(t, "length"))
		for i := range list {
			list[i] = drawn(t, depth-1)
		}
		return list
	}
	out := map[string]any{}
	for range rapid.IntRange(0, 5).Draw(t, "members") {
		out[rapid.SampledFrom([]string{"a", "b", "c", "dd", "é", ""}).Draw(t, "name")] = drawn(t, depth-1)
	}
	return out
}

func drawnPaths(t *rapid.T) [][]string {
	return rapid.SliceOfN(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "dd", "é"}), 0, 3), 1, 5).Draw(t, "paths")
}

// projected is what a projection must leave of a value.
func projected(v any, paths [][]string) any {
	if slices.ContainsFunc(paths, func(p []string) bool { return len(p) == 0 }) {
		return v
	}
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = projected(e, paths)
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for name, m := range v {
			var under [][]string
			for _, p := range paths {
				if p[0] == name {
					under = append(under, p[1:])
				}
			}
			if under != nil {
				out[name] = projected(m, under)
			}
		}
		return out
	}
	return v
}

// through follows a path through objects.
func through(v any, path []string) (any, bool) {
	for _, name := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[name]; !ok {
			return nil, false
		}
	}
	return v, true
}

func TestProjectionKeepsWhatIsRead(t *testing.T) {
	var parsed, built Document // used again and again, as a sweep does
	rapid.Check(t, func(t *rapid.T) {
		v := generated().Draw(t, "value")
		paths := drawnPaths(t)
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := reference(data)
		if err != nil {
			t.Fatal(err)
		}
		p := NewProjection(paths)
		if err := parsed.Parse(data, p); err != nil {
			t.Fatal(err)
		}
		if err := built.Build(v, p); err != nil {
			t.Fatal(err)
		}
		want := projected(whole, paths)
		if why := differs(&parsed, parsed.Root(), want); why != "" {
			t.Fatalf("parsed%s", why)
		}
		for _, path := range paths {
			slot, ok := p.Slot(path)
			if !ok {
				t.Fatalf("%q has no slot", path)
			}
			wantAt, there := through(whole, path)
			for name, d := range map[string]*Document{"parsed": &parsed, "built": &built} {
				n := d.At(slot)
				if (n != 0) != there {
					t.Fatalf("%s: %q is at %d, there: %v", name, path, n, there)
				}
				if why := differs(d, n, wantAt); name == "parsed" && there && why != "" {
					t.Fatalf("%s: %q%s", name, path, why)
				}
			}
		}
		if got, want := fmt.Sprintf("%#v", built.Value(built.Root())), fmt.Sprintf("%#v", projected(v, paths)); got != want {
			t.Fatalf("built %s, want %s", got, want)
		}
	})
}

// TestDoubledKeysForgetTheFirst is what a projection's slots must do where a key
// is there twice.
func TestDoubledKeysForgetTheFirst(t *testing.T) {
	p := NewProjection([][]string{{"a", "b"}, {"a", "c"}})
	var d Document
	if err := d.Parse([]byte(`{"a":{"b":1},"a":{"c":2}}`), p); err != nil {
		t.Fatal(err)
	}
	b, _ := p.Slot([]string{"a", "b"})
	c, _ := p.Slot([]string{"a", "c"})
	if d.At(b) != 0 || d.Int(d.At(c)) != 2 {
		t.Errorf("b is at %d, c is %s", d.At(b), d.AppendJSON(nil, d.At(c)))
	}
}

func TestBuildRefusesWhatIsNotJSON(t *testing.T) {
	var d Document
	for _, v := range []any{math.NaN(), math.Inf(1), struct{}{}, map[string]any{"a": []any{uint8(1)}}} {
		if err := d.Build(v, nil); err == nil || d.Root() != 0 {
			t.Errorf("%v: %v", v, err)
		}
	}
	text := "x"
	v := []Named{{"s", &text}, {"t", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}, {"l", []string{"a"}}, {"m", map[string]string{"k": "v"}}, {"i", 7}}
	if err := d.Build(v, nil); err != nil {
		t.Fatal(err)
	}
	if got := string(d.AppendJSON(nil, d.Root())); got != `{"s":"x","t":"2026-01-02T03:04:05Z","l":["a"],"m":{"k":"v"},"i":7}` {
		t.Error(got)
	}
}

func TestParsingAgainAllocatesNothing(t *testing.T) {
	data := []byte(`{"a":{"b":[{"c":"\u00e9"},{"c":1.5}]},"d":"` + strings.Repeat("x", 300) + `"}`)
	p := NewProjection([][]string{{"a"}})
	var d Document
	if n := testing.AllocsPerRun(100, func() {
		if err := d.Parse(data, p); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
