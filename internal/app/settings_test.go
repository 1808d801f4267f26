package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/knowngood/knowngood"
)

func TestSettingsAreStrict(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv(settingsVariable, "")
	if s, err := readSettings(); err != nil || s.Scripts != scriptsContained {
		t.Fatalf("no file: %+v, %v", s, err)
	}
	for text, want := range map[string]string{
		"":                         "",
		"# nothing\n":              "",
		"scripts: uncontained\n":   "",
		"scripts: contained\n":     "",
		"\nscripts: maybe\n":       `knowngood.yaml:2:10: scripts is "maybe"; expected contained or uncontained`,
		"scripts: contained\nx: 1": `knowngood.yaml:2:1: unknown field "x"`,
		"scripts: [a]":             "knowngood.yaml:1:",
		"scripts: contained\nscripts: uncontained\n": "knowngood.yaml:2:",
	} {
		if err := os.WriteFile(settingsFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := readSettings()
		switch {
		case want == "" && (err != nil || s.Scripts == scriptsUncontained != strings.Contains(text, "uncontained")):
			t.Errorf("%q: %+v, %v", text, s, err)
		case want != "" && (knowngood.KindOf(err) != knowngood.Invalid || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: %v, wanted %s", text, err, want)
		}
	}
	elsewhere := filepath.Join(t.TempDir(), "other.yaml")
	t.Setenv(settingsVariable, elsewhere)
	if _, err := readSettings(); knowngood.KindOf(err) != knowngood.Invalid {
		t.Errorf("a file that the variable names and that is not there: %v", err)
	}
}
