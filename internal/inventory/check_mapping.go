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
		v.list = got != nil && got.Type == awsapi.List
		c.taken(place, got)
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
	got := s
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
				v.list, got = true, got.Elem.Shape
			}
		case "$milliseconds":
			if v.milliseconds, _ = arg.(bool); !v.milliseconds {
				c.add(here, "true", "$milliseconds is %v", arg)
			}
		case "$values":
			var ok bool
			if v.values, ok = arg.(map[string]any); !ok {
				c.add(here, "a map from the API's words to the item's values", "$values is %v", arg)
			}
			for word := range v.values {
				v.values[word] = integer(v.values[word])
			}
		case "$default":
			v.otherwise = integer(arg)
		default:
			if strings.HasPrefix(key, "$") {
				c.add(here, "$from, $each, $milliseconds, $values or $default", "the key %s is not known", key)
				continue
			}
			v.object = true
		}
	}
	if v.object {
		if v.milliseconds || v.values != nil || v.otherwise != nil {
			c.add(place, "members, or how one value is written", "the mapping has both")
		}
		c.members(place, &v, got, raw)
		return v
	}
	if v.from == "" {
		c.add(place, "$from or $each, or the members of an object", "the mapping says of nothing what it is made of")
		return v
	}
	v.list = v.list || got != nil && got.Type == awsapi.List
	c.taken(place, got)
	if v.milliseconds && got != nil && got.Type != awsapi.Timestamp {
		c.add(place+"/$milliseconds", "a timestamp", "%s is of type %s", v.from, got.Type)
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

// taken refuses a structure that is taken as it is: its members would have the
// API's names, which are not AWS Config's.
func (c *checker) taken(place string, s *awsapi.Shape) {
	for s != nil && s.Type == awsapi.List {
		s = s.Elem.Shape
	}
	if s != nil && s.Type == awsapi.Structure && !s.Is(awsapi.Document) {
		c.add(place, "its members one by one", "the structure %s is taken whole, and its members would have the API's names", s.Name)
	}
}
