package runbook

import (
	"cmp"
	"slices"
	"strings"
)

// Near says which of the names are spelled like a name, for the end of a message:
// "; did you mean X?", or nothing.
func Near(name string, names []string) string { return near(name, names) }

// near says which of the names are spelled like a name, for the end of a
// message: "; did you mean X?", or nothing.
func near(name string, names []string) string {
	type candidate struct {
		name     string
		distance int
	}
	var found []candidate
	if len(name) > 128 {
		return ""
	}
	for _, n := range names {
		if len(n) > 128 {
			continue
		}
		d := distance(strings.ToLower(name), strings.ToLower(n))
		if d <= max(1, len(name)/3) {
			found = append(found, candidate{n, d})
		}
	}
	slices.SortFunc(found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.name, b.name))
	})
	if len(found) > 3 {
		found = found[:3]
	}
	var list []string
	for _, c := range found {
		list = append(list, c.name)
	}
	if len(list) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(list, " or ") + "?"
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
