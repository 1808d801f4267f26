package template

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func corpora(t *testing.T, dir string) string {
	t.Helper()
	root := os.Getenv("KNOWNGOOD_CORPORA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "corpora")
	}
	path := filepath.Join(root, dir)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the public test data is not here: %v", err)
	}
	return path
}

func TestAllPublicPacksLoad(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(corpora(t, "conformance-packs"), "*.y*ml"))
	if err != nil || len(files) < 99 {
		t.Fatalf("%d packs, %v; want 99", len(files), err)
	}
	rules := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tm, err := Load(filepath.Base(file), data, Inputs{AllowMissing: true, Account: "111122223333", Region: "eu-west-1", Partition: "aws"})
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if strings.Contains(file, "NZISM-Extension") { // each of its rules has a switch, off by default
			if len(tm.Rules) != 0 {
				t.Errorf("%s: %d rules with all switches off", file, len(tm.Rules))
			}
			on := map[string]string{}
			for _, p := range tm.Parameters {
				if p.Value == "false" {
					on[p.Name] = "true"
				}
			}
			if tm, err = Load(filepath.Base(file), data, Inputs{Parameters: on, AllowMissing: true}); err != nil {
				t.Errorf("%v", err)
				continue
			}
		}
		// Of NZISM-Extension every rule has to be switched on.
		if len(tm.Rules) == 0 && !strings.Contains(file, "NZISM-Extension") {
			t.Errorf("%s: no rules", file)
		}
		for _, r := range tm.Rules {
			if r.Line == 0 || r.Name == "" || r.Owner == OwnerAWS && r.Identifier == "" {
				t.Errorf("%s: rule %+v", file, r)
			}
		}
		rules += len(tm.Rules)
		if strings.Contains(file, "DynamoDB-with-Remediation") && len(tm.Remediations) == 0 {
			t.Errorf("%s: no remediations", file)
		}
	}
	if rules < 6000 {
		t.Errorf("%d rules in all", rules)
	}
}
