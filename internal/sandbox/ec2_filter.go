package sandbox

import (
	"slices"
	"strings"
)

// filterTable has, by the name of a filter, what a resource has under it.
type filterTable[T any] map[string]func(c *call, id string, v T) []string

// filtering reads a call's Filters against a table and gives what says whether
// a resource passes them all. A name that isn't in the table is refused even
// where there is no resource.
func filtering[T any](c *call, table filterTable[T]) (fits func(id string, v T, tags tagSet) bool, err error) {
	type filter struct {
		key    string // of tag:
		name   string
		values func(*call, string, T) []string
		want   []string
	}
	member := "Filters"
	if _, ok := c.in["Filter"]; ok { // DescribeFlowLogs
		member = "Filter"
	}
	var filters []filter
	for _, o := range c.objects(member) {
		name, _ := o["Name"].(string)
		f := filter{name: name, want: texts(o["Values"])}
		if key, ok := strings.CutPrefix(name, "tag:"); ok {
			f.key = key
		} else if f.values, ok = table[name]; !ok && name != "tag-key" && name != "tag-value" {
			return nil, failure(400, "InvalidParameterValue", "The filter '%s' is invalid", name)
		}
		if len(f.want) > 200 {
			return nil, failure(400, "FilterLimitExceeded", "The maximum number of filter values specified on a single call is 200")
		}
		filters = append(filters, f)
	}
	return func(id string, v T, tags tagSet) bool {
		for _, f := range filters {
			var have []string
			switch {
			case f.key != "":
				if value, ok := tags[f.key]; ok {
					have = []string{value}
				}
			case f.values != nil:
				have = f.values(c, id, v)
			case f.name == "tag-key":
				have = sorted(tags)
			default:
				for _, value := range tags {
					have = append(have, value)
				}
			}
			if !slices.ContainsFunc(f.want, func(want string) bool {
				return slices.ContainsFunc(have, func(h string) bool { return wildcard(want, h) })
			}) {
				return false
			}
		}
		return true
	}, nil
}

// kind is how EC2 describes one kind of resource.
type kind[T any] struct {
	key     string // of the answer
	ids     string // the member that names resources
	missing string // the code where one that is named isn't there
	what    string // in that error's message
	table   func(*region) map[string]*record[T]
	there   func(T) bool // whether a version counts; nil: each does
	tags    func(T) tagSet
	filters filterTable[T]
	out     func(c *call, id string, v T) object
	// alone: the ids may not come with MaxResults.
	alone bool
}

// held is a resource with its id.
type held[T any] struct {
	id string
	v  T
}

// find gives the resources that a call names and its filters let pass, in the
// order of their ids.
func (k *kind[T]) find(c *call) ([]held[T], error) {
	fits, err := filtering(c, k.filters)
	if err != nil {
		return nil, err
	}
	ids := c.strings(k.ids)
	if _, paged := c.int("MaxResults"); paged && k.alone && len(ids) > 0 {
		return nil, failure(400, "InvalidParameterCombination", "The parameter %s cannot be used with the parameter maxResults", k.ids)
	}
	resources := k.table(c.home())
	if len(ids) > 0 {
		slices.Sort(ids)
		ids = slices.Compact(ids)
		for _, id := range ids {
			if _, ok := k.at(c, id, resources); !ok {
				return nil, k.notFound(id)
			}
		}
	} else {
		ids = sorted(resources)
	}
	out := make([]held[T], 0, len(ids))
	for _, id := range ids {
		if v, ok := k.at(c, id, resources); ok && fits(id, v, k.tags(v)) {
			out = append(out, held[T]{id, v})
		}
	}
	return out, nil
}

func (k *kind[T]) notFound(id string) error {
	return failure(400, k.missing, "The %s ID '%s' does not exist", k.what, id)
}

// at gives a resource as reads see it.
func (k *kind[T]) at(c *call, id string, resources map[string]*record[T]) (v T, ok bool) {
	r := resources[id]
	if r == nil {
		return v, false
	}
	v, ok = r.as(c.view)
	return v, ok && (k.there == nil || k.there(v))
}

// now gives a resource as writes see it.
func (k *kind[T]) now(c *call, id string) (*record[T], T, error) {
	if r := k.table(c.home())[id]; r != nil {
		if v, ok := r.as(c.now); ok && (k.there == nil || k.there(v)) {
			return r, v, nil
		}
	}
	var zero T
	return nil, zero, k.notFound(id)
}

// describe serves the Describe operation of the kind.
func (k *kind[T]) describe(c *call) (map[string]any, error) {
	found, err := k.find(c)
	if err != nil {
		return nil, err
	}
	return paged(c, k.key, found, func(e held[T]) any { return withTags(k.out(c, e.id, e.v), k.tags(e.v)) })
}

// paged cuts a list by MaxResults and NextToken and renders what is left, so
// that a page costs no more than itself.
func paged[T any](c *call, key string, items []T, render func(T) any) (map[string]any, error) {
	start, end, err := c.span(len(items), len(items))
	if err != nil {
		return nil, err
	}
	page := make([]any, 0, end-start)
	for _, item := range items[start:end] {
		page = append(page, render(item))
	}
	return c.pageOut(key, page, end, len(items)), nil
}
