package sandbox

import (
	"maps"
	"slices"
	"time"

	"github.com/knowngood/knowngood/awsapi"
)

// keptState are the resources of kinds that the sandbox keeps as they were given,
// in one account and Region: by kind, then by id. What they do is not simulated;
// how they are made, described and changed is, with the errors of wrong calls.
type keptState map[string]*table[structure]

func (s keptState) check() error {
	for name, t := range s {
		if t == nil {
			s[name] = &table[structure]{}
			continue
		}
		if err := whole(name, *t); err != nil {
			return err
		}
	}
	return nil
}

// keptKind is a kind of kept resource.
type keptKind struct {
	name    string // in a snapshot
	missing func(id string) error
}

// globalKinds are those of which there is one set for all Regions.
var globalKinds = []string{distributions.name}

func (k keptKind) table(c *call) *table[structure] {
	home := c.home()
	if slices.Contains(globalKinds, k.name) {
		at := *c
		at.region = c.globalRegion()
		home = at.home()
	}
	if home.Kept == nil {
		home.Kept = keptState{}
	}
	if home.Kept[k.name] == nil {
		home.Kept[k.name] = &table[structure]{}
	}
	return home.Kept[k.name]
}

// live gives a resource as of a time, or the error of its kind.
func (k keptKind) live(c *call, id string, at time.Time) (*record[structure], structure, error) {
	if r, v, ok := k.table(c).live(id, at); ok {
		return r, v, nil
	}
	return nil, nil, k.missing(id)
}

func (k keptKind) has(c *call, id string) bool {
	_, _, ok := k.table(c).live(id, c.now)
	return ok
}

func (k keptKind) put(c *call, id string, v structure) *record[structure] {
	return k.table(c).put(id, c.now, v)
}

// find gives the resources of the ids that are asked for, or all, in the order of
// their ids, as reads see them. An id that there isn't is an error.
func (k keptKind) find(c *call, ids ...string) ([]held[structure], error) {
	var out []held[structure]
	for id, v := range k.table(c).all(c.view) {
		if len(ids) == 0 || slices.Contains(ids, id) {
			out = append(out, held[structure]{id, v})
		}
	}
	for _, id := range ids {
		if !slices.ContainsFunc(out, func(h held[structure]) bool { return h.id == id }) {
			return nil, k.missing(id)
		}
	}
	return out, nil
}

// become changes members of a resource from a time on; nil takes one away.
func become(r *record[structure], at time.Time, members structure) {
	r.change(at, func(v *structure) {
		*v = v.with(members)
		maps.DeleteFunc(*v, func(_ string, member any) bool { return member == nil })
	})
}

// described is what a description has of an input: the members of the same name and
// type. Passwords and the like, which no description shows, are not among them.
func described(s *awsapi.Shape, in object) structure {
	out := structure{}
	for i := range s.Members {
		m := &s.Members[i]
		if v, ok := in[m.Name]; ok && fits(m.Shape, v) {
			out[m.Name] = v
		}
	}
	return out
}

// fits says whether a value is of a shape's type.
func fits(s *awsapi.Shape, v any) bool {
	switch v.(type) {
	case object:
		return s.Type == awsapi.Structure || s.Type == awsapi.Map
	case []any:
		return s.Type == awsapi.List
	}
	return s.Type != awsapi.Structure && s.Type != awsapi.Map && s.Type != awsapi.List
}

// as is described by the shape of a member of the operation's output.
func (c *call) as(member string) structure {
	s := c.operation.Output.Member(member).Shape
	if s.Type == awsapi.List {
		s = s.Elem.Shape
	}
	return described(s, c.in)
}
