package rule

import (
	"cmp"
	"encoding/csv"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// leftOut are rules of the first hundred that the library doesn't have, and why.
var leftOut = map[string]string{}

// TestTheFirstHundredByUse holds the library to the managed rules that public
// conformance packs use most: all of the first hundred, save those that leftOut
// names, and two thirds of all uses.
func TestTheFirstHundredByUse(t *testing.T) {
	f, err := os.Open("../../../shared/corpora/managed-rules.tsv")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the public test data is absent")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma = '\t'
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	type managed struct {
		identifier string
		uses       int
	}
	var rules []managed
	for _, row := range rows[1:] {
		uses, err := strconv.Atoi(row[4])
		if err != nil {
			t.Fatalf("%s: %v", row[0], err)
		}
		rules = append(rules, managed{row[0], uses})
	}
	slices.SortFunc(rules, func(a, b managed) int { return cmp.Or(b.uses-a.uses, strings.Compare(a.identifier, b.identifier)) })
	lib := load(t)
	first, total, covered, next := 0, 0, 0, []string{}
	for i, m := range rules {
		_, have := lib.Rule(m.identifier)
		total += m.uses
		if have {
			covered += m.uses
		}
		switch why := leftOut[m.identifier]; {
		case i < 100 && have:
			first++
			if why != "" {
				t.Errorf("%s is in the library, and left out because %s", m.identifier, why)
			}
		case i < 100 && why != "":
			t.Logf("%s is left out: %s", m.identifier, why)
		case i < 100:
			t.Errorf("the library lacks %s, number %d by use", m.identifier, i+1)
		case !have && len(next) < 10:
			next = append(next, m.identifier)
		}
	}
	t.Logf("%d of the first 100, %d of %d uses (%.1f%%); next: %s", first, covered, total, 100*float64(covered)/float64(total), strings.Join(next, ", "))
	if covered*3 < total*2 {
		t.Errorf("%d of %d uses, want two thirds", covered, total)
	}
}
