package runbook

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// corpusEnv names a folder of runbooks that are not in the repository, with a
// file expected.txt: a line "file: what the alarm contains" for each alarm that
// is a true one.
const corpusEnv = "KNOWNGOOD_RUNBOOK_CORPUS"

// Every runbook of a public corpus parses, and lints without a false alarm.
func TestCorpus(t *testing.T) {
	dir := os.Getenv(corpusEnv)
	if dir == "" {
		t.Skipf("%s names no folder of runbooks", corpusEnv)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "expected.txt"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	expected := strings.Split(strings.TrimSpace(string(raw)), "\n")
	met := map[string]bool{}
	cat := catalog(t)
	documents, parsed, clean, alarms := 0, 0, 0, 0
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !slices.Contains([]string{".json", ".yaml", ".yml"}, filepath.Ext(path)) {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		documents++
		known := func(alarm string) bool {
			for _, line := range expected {
				if file, part, ok := strings.Cut(line, ": "); ok && file == name && strings.Contains(alarm, part) {
					met[line] = true
					return true
				}
			}
			return false
		}
		var found []string
		d, err := Parse(name, data)
		if err != nil {
			found = strings.Split(err.Error(), "\n")
		} else {
			parsed++
			problems, warnings := d.Lint(cat)
			for _, p := range append(problems, warnings...) {
				found = append(found, p.Error())
			}
		}
		if len(found) == 0 {
			clean++
		}
		for _, alarm := range found {
			alarms++
			if !known(alarm) {
				t.Errorf("not a known alarm: %s", alarm)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range expected {
		if line != "" && !met[line] {
			t.Errorf("expected.txt has an alarm that there is not: %s", line)
		}
	}
	if documents == 0 {
		t.Fatalf("%s has no runbooks", dir)
	}
	t.Logf("%d documents, %d parsed, %d clean, %d alarms", documents, parsed, clean, alarms)
}
