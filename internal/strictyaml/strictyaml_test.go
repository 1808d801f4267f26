package strictyaml

import (
	"errors"
	"testing"

	"github.com/knowngood/knowngood"
)

func TestErrorsHaveTheirPlace(t *testing.T) {
	var v struct {
		A int `yaml:"a"`
	}
	if err := Decode("f.yaml", []byte("a: 5\n"), &v, "a file"); err != nil || v.A != 5 {
		t.Fatalf("%+v, %v", v, err)
	}
	for text, line := range map[string]int{"a: 5\nb: 6\n": 2, "\na: x\n": 2, "a: 1\na: 2\n": 2, "a: [\n": 1} {
		err := Decode("f.yaml", []byte(text), &v, "a file")
		var at *knowngood.FileError
		if !errors.As(err, &at) || at.File != "f.yaml" || at.Line != line || at.Want != "a file" || at.Problem == "" {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestPlacesOfValues(t *testing.T) {
	text := []byte("# a comment\na:\n  b: 5\n")
	for path, want := range map[string]string{"$.a.b": "f.yaml:3:6", "$.c": "f.yaml:1", "no path": "f.yaml:1"} {
		if got := Place("f.yaml", text, path).String(); got != want {
			t.Errorf("%s: %s, wanted %s", path, got, want)
		}
	}
}
