package runbook

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/knowngood/knowngood/awsapi"
)

// The library's own runbooks have nothing to report.
func TestValidateLibrary(t *testing.T) {
	cat := catalog(t)
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
			t.Error(err)
			continue
		}
		for _, p := range d.Validate(cat) {
			t.Error(p)
		}
	}
}

func catalog(t testing.TB) *awsapi.Catalog {
	t.Helper()
	cat, err := awsapi.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	return cat
}
