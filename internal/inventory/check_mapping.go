package inventory

import (
	"maps"
	"slices"
	"strconv"
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

// keyed is a mapping with keys while it is compiled.
type keyed struct {
	value
	shape *awsapi.Shape    // where its members' paths start
	form  string           // $as
	many  awsapi.ShapeType // what $each goes through
	open  bool             // $notSecret
}

// keyed compiles a mapping with keys.
func (c *checker) keyed(place string, s *awsapi.Shape, raw map[string]any) value {
	k := keyed{shape: s}
	for _, key := range slices.Sorted(maps.Keys(raw)) {
		if strings.HasPrefix(key, "$") {
			c.key(place+"/"+key, s, &k, key, raw[key])
		} else {
			k.object = true
		}
	}
	switch {
	case k.first != nil:
		if len(raw) > 1 {
			c.add(place, "no further key", "$first stands alone")
		}
	case k.object:
		if k.form != "" && k.form != "text" || k.values != nil || k.otherwise != nil && !c.planned || k.open {
			c.add(place, "members, or how one value is written", "the mapping has both")
		}
		c.members(place, &k.value, k.shape, raw)
	case k.constant != nil || k.none:
	case k.from == "":
		c.add(place, "$from, $each or $first, or the members of an object", "the mapping says of nothing what it is made of")
	default:
		c.single(place, &k)
	}
	return k.value
}

// key compiles one of a mapping's own keys.
func (c *checker) key(place string, s *awsapi.Shape, k *keyed, key string, arg any) {
	ok := true
	switch key {
	case "$from", "$each":
		c.source(place, s, k, key, arg)
	case "$key":
		p, _ := arg.(string)
		if c.planned {
			k.key = p
			return
		}
		if k.from == "" || p == "" || k.each && k.many != awsapi.List || !k.each && k.shape != nil && k.shape.Type != awsapi.Structure {
			c.add(place, "a path in the elements of a list, which $each names, or in what $from names", "$key is %v", arg)
			return
		}
		c.text(place, k.shape, p)
		k.key, k.list = p, false
	case "$as":
		k.form, _ = arg.(string)
		if k.as = forms[k.form]; k.as == nil && c.planned {
			k.as = plannedForms[k.form]
		}
		if k.as == nil {
			c.add(place, strings.Join(slices.Sorted(maps.Keys(forms)), ", "), "$as is %v", arg)
		}
	case "$values":
		if k.values, ok = arg.(map[string]any); !ok {
			c.add(place, "a map from the API's words to the item's values", "$values is %v", arg)
		}
		for word := range k.values {
			k.values[word] = integer(k.values[word])
		}
	case "$default":
		k.otherwise = integer(arg)
	case "$notSecret":
		if k.open, _ = arg.(bool); !k.open {
			c.add(place, "true", "$notSecret is %v", arg)
		}
	case "$first", "$concat":
		k.concat = key == "$concat"
		if k.concat && !c.planned {
			c.add(place, "$first", "$concat is for templates alone")
		}
		list, _ := arg.([]any)
		if len(list) == 0 {
			c.add(place, "a list of mappings", "$first is %v", arg)
		}
		k.first = make([]value, 0, len(list))
		for i, raw := range list {
			k.first = append(k.first, c.value(place+"/"+strconv.Itoa(i), s, raw))
		}
	case "$absent":
		if k.absent, _ = arg.(string); !c.planned || k.absent == "" {
			c.add(place, "why the value is not known where the template has none", "$absent is %v", arg)
		}
	case "$given":
		if k.given, _ = arg.(string); !c.planned || k.given == "" {
			c.add(place, "why the value is not known where the template has one", "$given is %v", arg)
		}
	case "$present", "$decode", "$list", "$unset", "$none":
		on, _ := arg.(bool)
		if !c.planned || !on {
			c.add(place, "true", "%s is %v", key, arg)
		}
		k.present, k.decode = k.present || key == "$present", k.decode || key == "$decode"
		k.wrap, k.unset, k.none = k.wrap || key == "$list", k.unset || key == "$unset", k.none || key == "$none"
	case "$constant":
		if k.constant = integer(arg); !c.planned || k.constant == nil {
			c.add(place, "a value", "$constant is %v", arg)
		}
	default:
		c.add(place, "$from, $each, $key, $first, $as, $values, $default or $notSecret", "the key %s is not known", key)
	}
}

// source compiles what a mapping is made of.
func (c *checker) source(place string, s *awsapi.Shape, k *keyed, key string, arg any) {
	p, ok := arg.(string)
	if !ok || p == "" || k.from != "" {
		c.add(place, "a path, and one of $from and $each", "%s is %v", key, arg)
		return
	}
	k.from, k.each = p, key == "$each"
	k.shape = c.path(place, s, p)
	if !k.each || k.shape == nil {
		return
	}
	if k.shape.Type != awsapi.List && k.shape.Type != awsapi.Map {
		c.add(place, "a list or a map", "%s is of type %s", p, k.shape.Type)
		return
	}
	k.many, k.list, k.shape = k.shape.Type, c.list(k.shape), k.shape.Elem.Shape
}

// single checks the mapping of one value.
func (c *checker) single(place string, k *keyed) {
	k.list = k.list || c.list(k.shape)
	c.taken(place, k.shape, k.open)
	if (k.form == "milliseconds" || k.form == "date") && k.shape != nil && k.shape.Type != awsapi.Timestamp {
		c.add(place+"/$as", "a timestamp", "%s is of type %s", k.from, k.shape.Type)
	}
	c.enum(place+"/$values", k.shape, slices.Sorted(maps.Keys(k.values)))
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
