package rule

import (
	"slices"

	"github.com/knowngood/knowngood"
)

// Affected are the names of the rules in force, sorted, that may lack a verdict
// because something could not be read: those that look at resources of its type and,
// where it is one member of theirs, read that member or are scoped by it. Rules that
// only look the resource up are not among them, for each says itself, on the resources
// that it does look at, that it has INSUFFICIENT_DATA.
func (s *Set) Affected(e knowngood.ReadError) []string {
	var names []string
	for _, a := range s.byType[e.Type] {
		if e.ID != "" && a.Scope.ResourceID != "" && a.Scope.ResourceID != e.ID {
			continue
		}
		reads := a.Rule.Definition.Reads
		if a.Scope.TagKey != "" {
			reads = append(slices.Clone(reads), "tags")
		}
		if e.Path == "" || slices.ContainsFunc(reads, func(read string) bool { return overlap(e.Path, read) }) {
			names = append(names, a.Name)
		}
	}
	return names
}
