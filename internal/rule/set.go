package rule

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/knowngood/knowngood"
)

// Active is a rule that is in force: a rule of the library under the name that
// a template gives it, with its parameters bound, for the resources in scope.
type Active struct {
	Name     string // ConfigRuleName, unique in a set
	Pack     string // the template that it comes from
	Severity knowngood.Severity
	Rule     *Rule
	Scope    Scope
}

// Scope narrows a rule to some resources, as AWS Config's Scope does; the zero
// value leaves all of the rule's types.
type Scope struct {
	ResourceTypes []string
	ResourceID    string
	TagKey        string
	TagValue      string // with TagKey; empty: any value
}

// Covers says whether a resource is in scope.
func (s Scope) Covers(item *knowngood.Resource) bool {
	if len(s.ResourceTypes) > 0 && !slices.Contains(s.ResourceTypes, item.Type) || s.ResourceID != "" && s.ResourceID != item.ID {
		return false
	}
	if s.TagKey == "" {
		return true
	}
	value, ok := item.Tags[s.TagKey]
	return ok && (s.TagValue == "" || s.TagValue == value)
}

// types are those of the rule's resource types that are in scope.
func (a Active) types() []string {
	if len(a.Scope.ResourceTypes) == 0 {
		return a.Rule.Definition.ResourceTypes
	}
	return slices.DeleteFunc(slices.Clone(a.Rule.Definition.ResourceTypes), func(t string) bool { return !slices.Contains(a.Scope.ResourceTypes, t) })
}

// Set is the rules in force, by name and by the types that they look at. It is
// safe for concurrent use.
type Set struct {
	byName map[string]Active
	byType map[string][]Active
	engine *engine
}

// NewSet puts rules in force. The error, of kind knowngood.Invalid, names a rule
// that is there twice.
func NewSet(active []Active) (*Set, error) {
	s := &Set{byName: map[string]Active{}, byType: map[string][]Active{}}
	for _, a := range active {
		if first, ok := s.byName[a.Name]; ok {
			return nil, knowngood.E(knowngood.Invalid, "put rules in force", "the rule %q is in %s and in %s", a.Name, first.Pack, a.Pack)
		}
		s.byName[a.Name] = a
		for _, t := range a.types() {
			s.byType[t] = append(s.byType[t], a)
		}
	}
	for _, list := range s.byType {
		slices.SortFunc(list, func(a, b Active) int { return cmp.Compare(a.Name, b.Name) })
	}
	s.engine = newEngine(active)
	return s, nil
}

// Len is the number of rules.
func (s *Set) Len() int { return len(s.byName) }

// Rule gives a rule by its name.
func (s *Set) Rule(name string) (Active, bool) {
	a, ok := s.byName[name]
	return a, ok
}

// All gives the rules by their names.
func (s *Set) All() []Active {
	return slices.SortedFunc(maps.Values(s.byName), func(a, b Active) int { return cmp.Compare(a.Name, b.Name) })
}

// Types are the resource types that some rule looks at, sorted.
func (s *Set) Types() []string { return slices.Sorted(maps.Keys(s.byType)) }

// Reads are the members that the rules read of each type, sorted: what an
// inventory has to collect. A scope by tag reads the tags. Types that rules only
// look up are among them, without members where it only counts which there are.
func (s *Set) Reads() map[string][]string {
	out := make(map[string][]string, len(s.byType))
	for t, list := range s.byType {
		for _, a := range list {
			out[t] = append(out[t], a.Rule.Definition.Reads...)
			if a.Scope.TagKey != "" {
				out[t] = append(out[t], "tags")
			}
			for other, reads := range a.Rule.Definition.Others {
				out[other] = append(out[other], reads...)
			}
		}
	}
	for t, reads := range out {
		out[t] = sorted(reads)
	}
	return out
}

// On are the rules that look at a type, sorted by name.
func (s *Set) On(resourceType string) []Active { return slices.Clone(s.byType[resourceType]) }

// Readers are the rules that look resources of a type up, sorted by name: those
// to evaluate again when one of them changes.
func (s *Set) Readers(resourceType string) []Active {
	var list []Active
	for _, a := range s.byName {
		if _, ok := a.Rule.Definition.Others[resourceType]; ok {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, func(a, b Active) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Evaluate gives the verdicts of all rules that look at an item and have it in
// scope, in the order of the rules' names. To evaluate many, take a Sweep.
func (s *Set) Evaluate(item *knowngood.Resource, now time.Time, lookup Lookup) []knowngood.Evaluation {
	if s.engine == nil || s.engine.types[item.Type] == nil {
		return nil
	}
	return s.engine.evaluate(item, now, lookup)
}

// Evaluate gives the rule's verdict under its own name.
func (a Active) Evaluate(item *knowngood.Resource, now time.Time, lookup Lookup) knowngood.Evaluation {
	e := a.Rule.Evaluate(item, now, lookup)
	e.Rule = a.Name
	return e
}
