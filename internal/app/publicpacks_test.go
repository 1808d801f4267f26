package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/knowngood/knowngood/internal/rule"
	"github.com/knowngood/knowngood/internal/template"
	"github.com/knowngood/knowngood/library"
)

// The library has most of the rules of public packs, and they take the parameters
// that the packs give.
func TestPublicPacksComeIntoForce(t *testing.T) {
	packs, err := filepath.Glob("../../../shared/corpora/conformance-packs/*.y*ml")
	if err != nil {
		t.Fatal(err)
	}
	if len(packs) == 0 {
		t.Skip("the public packs are not here")
	}
	lib, err := rule.Load(library.FS)
	if err != nil {
		t.Fatal(err)
	}
	inForce, total := 0, 0
	for _, pack := range packs {
		data, err := os.ReadFile(pack)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(pack)
		in := template.Inputs{Parameters: map[string]string{}, Account: "111122223333", Region: "eu-west-1", Partition: "aws", AllowMissing: true}
		read, err := template.Load(name, data, in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, governed := range read.Governed() {
			r := governed.Rule
			if r.Owner != template.OwnerAWS {
				continue
			}
			total++
			definition, ok := lib.Rule(r.Identifier)
			if !ok {
				continue
			}
			inForce++
			left := false // to the pack's user
			for parameter, value := range r.Parameters {
				if strings.HasPrefix(value, "${") {
					delete(r.Parameters, parameter)
					left = true
				}
			}
			if _, err := rule.Compile(definition, r.Parameters); err != nil && !(left && strings.HasSuffix(err.Error(), "is required")) {
				t.Errorf("%s: %s: %v", name, r.Name, err)
			}
		}
	}
	t.Logf("of %d managed rules in %d packs the library has %d", total, len(packs), inForce)
	if inForce < total/2 {
		t.Errorf("of %d managed rules the library has %d", total, inForce)
	}
}
