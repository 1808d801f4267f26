package inventory

import (
	"maps"
	"slices"
	"strings"

	"github.com/knowngood/knowngood/awsapi"
)

// object compiles the mapping of an object whose members' paths start at s.
func (c *checker) object(place string, s *awsapi.Shape, raw map[string]any) *value {
	if raw == nil {
		return nil
	}
	v := c.value(place, s, raw)
	if !v.object || v.each {
		c.add(place, "the members of an object", "the mapping has none")
	}
	return &v
}

// value compiles a mapping.
func (c *checker) value(place string, s *awsapi.Shape, raw any) value {
	switch raw := raw.(type) {
	case string:
		v := value{from: raw}
		got := c.path(place, s, raw)
		v.list = c.list(got)
		c.taken(place, got, false)
		return v
	case map[string]any:
		return c.keyed(place, s, raw)
	}
	c.add(place, "a path, or a map", "the mapping is %v", raw)
	return value{}
}

// keyed compiles a mapping with keys.
func (c *checker) keyed(place string, s *awsapi.Shape, raw map[string]any) value {
	var v value
	got, times, open := s, false, false
	for _, key := range slices.Sorted(maps.Keys(raw)) {
		arg, here := raw[key], place+"/"+key
		switch key {
		case "$from", "$each":
			p, ok := arg.(string)
			if !ok || p == "" || v.from != "" {
				c.add(here, "a path, and one of $from and $each", "%s is %v", key, arg)
				continue
			}
			v.from, v.each = p, key == "$each"
			got = c.path(here, s, p)
			if v.each && got != nil {
				if got.Type != awsapi.List {
					c.add(here, "a list", "%s is of type %s", p, got.Type)
					continue
				}
				v.list, got = c.list(got), got.Elem.Shape
			}
		case "$as":
			name, _ := arg.(string)
			if v.as = forms[name]; v.as == nil {
				c.add(here, strings.Join(slices.Sorted(maps.Keys(forms)), ", "), "$as is %v", arg)
			} else if name == "milliseconds" || name == "date" {
				times = true
			}
		case "$values":
			var ok bool
			if v.values, ok = arg.(map[string]any); !ok {
				c.add(here, "a map from the API's words to the item's values", "$values is %v", arg)
			}
			for word := range v.values {
				v.values[word] = integer(v.values[word])
			}
		case "$notSecret":
			if open, _ = arg.(bool); !open {
				c.add(here, "true", "$notSecret is %v", arg)
			}
		case "$default":
			v.otherwise = integer(arg)
		default:
			if strings.HasPrefix(key, "$") {
				c.add(here, "$from, $each, $as, $values, $default or $notSecret", "the key %s is not known", key)
				continue
			}
			v.object = true
		}
	}
	if v.object {
		if v.as != nil || v.values != nil || v.otherwise != nil || open {
			c.add(place, "members, or how one value is written", "the mapping has both")
		}
		c.members(place, &v, got, raw)
		return v
	}
	if v.from == "" {
		c.add(place, "$from or $each, or the members of an object", "the mapping says of nothing what it is made of")
		return v
	}
	v.list = v.list || c.list(got)
	c.taken(place, got, open)
	if times && got != nil && got.Type != awsapi.Timestamp {
		c.add(place+"/$as", "a timestamp", "%s is of type %s", v.from, got.Type)
	}
	c.enum(place+"/$values", got, slices.Sorted(maps.Keys(v.values)))
	return v
}

func (c *checker) members(place string, v *value, s *awsapi.Shape, raw map[string]any) {
	if s != nil && s.Type == awsapi.List {
		c.add(place, "$each", "%s is a list", v.from)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		if !strings.HasPrefix(name, "$") {
			v.members = append(v.members, member{name, c.value(place+"/"+name, s, raw[name])})
		}
	}
}

// list says whether a value of the shape is an empty list where it is not there.
func (c *checker) list(s *awsapi.Shape) bool {
	return s != nil && s.Type == awsapi.List && !c.omit
}

// taken refuses a value that must not be taken as it is: a structure, for its
// members would have the API's names, which are not AWS Config's; and a secret,
// for items are kept and shown.
func (c *checker) taken(place string, s *awsapi.Shape, open bool) {
	for s != nil && s.Type == awsapi.List {
		s = s.Elem.Shape
	}
	if s != nil && s.Is(awsapi.Sensitive) && !open {
		c.add(place, "no secrets, or $notSecret", "the model calls %s sensitive", s.Name)
	}
	if s != nil && s.Type == awsapi.Structure && !s.Is(awsapi.Document) {
		c.add(place, "its members one by one", "the structure %s is taken whole, and its members would have the API's names", s.Name)
	}
}
