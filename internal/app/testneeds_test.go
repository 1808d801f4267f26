package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A test that needs what is not there is skipped, and that is told; one that needs
// what nobody knows is an error.
func TestATestThatNeedsWhatIsNotThere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.test.yaml")
	write := func(need string) {
		t.Helper()
		text := "tests:\n  - name: t\n    given: {needs: [" + need + "]}\n    when: [{wait: 1s}]\n    then: {open: 9}\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", t.TempDir())
	write("python3")
	junit := filepath.Join(t.TempDir(), "junit.xml")
	out, _ := knowngood(t, 0, "test", "--junit", junit, file)
	if !strings.Contains(out, "--- SKIP: t (scripts in Python need python3") || !strings.Contains(out, "1 test, 1 skipped") {
		t.Error(out)
	}
	if raw, err := os.ReadFile(junit); err != nil || !strings.Contains(string(raw), `skipped="1"`) || !strings.Contains(string(raw), "<skipped message=") {
		t.Errorf("%s, %v", raw, err)
	}
	write("cobol")
	if _, out := knowngood(t, 2, "test", file); !strings.Contains(out, `it needs "cobol"; expected boto3 or python3`) {
		t.Error(out)
	}
}
