package runbook

import (
	"os"
	"path/filepath"
	"testing"
)

func TestParseLibrary(t *testing.T) {
	files, err := filepath.Glob("../../library/runbooks/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no runbooks in the library: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Parse(filepath.Base(file), data)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if len(d.Steps()) == 0 {
			t.Errorf("%s: no steps", file)
		}
	}
}
