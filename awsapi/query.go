package awsapi

import (
	"fmt"
	"net/url"
	"sort"
	"strconv"
	"strings"
)

// The query protocol, and its variant ec2: an input is a form, in which
// Tags.member.1.Key is the path of a value; an output is XML.

const formType = "application/x-www-form-urlencoded; charset=utf-8"

// formEncoder writes an input as a form.
type formEncoder struct {
	b   []byte
	ec2 bool
}

func encodeForm(o *Operation, in map[string]any) ([]byte, error) {
	e := &formEncoder{ec2: o.Service.Protocol == EC2}
	e.put("Action", o.Name)
	e.put("Version", o.Service.APIVersion)
	if o.Input == nil {
		return e.b, nil
	}
	return e.b, e.structure("", o.Input, in)
}

func (e *formEncoder) put(key, value string) {
	if len(e.b) > 0 {
		e.b = append(e.b, '&')
	}
	e.b = append(e.b, escape(key, false)...)
	e.b = append(e.b, '=')
	e.b = append(e.b, escape(value, false)...)
}

// formName is a member's name in a form.
func formName(m *Member, otherwise string, ec2 bool) string {
	name := serialName(m, "")
	if ec2 {
		if q := m.traits().QueryName; q != "" {
			return q
		}
		if name == "" {
			name = otherwise
		}
		return strings.ToUpper(name[:1]) + name[1:]
	}
	if name == "" {
		return otherwise
	}
	return name
}

// mapName is the name of a map's keys or values.
func mapName(m *Member, otherwise string) string { return serialName(m, otherwise) }

func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}

func (e *formEncoder) structure(prefix string, s *Shape, in map[string]any) error {
	if err := checkMembers(s, in); err != nil {
		return err
	}
	for i := range s.Members {
		m := &s.Members[i]
		v, ok := in[m.Name]
		if !ok || v == nil {
			continue
		}
		if err := e.value(join(prefix, formName(m, m.Name, e.ec2)), m, v); err != nil {
			return inMember(m.Name, err)
		}
	}
	return nil
}

func (e *formEncoder) value(key string, m *Member, v any) error {
	switch s := m.Shape; s.Type {
	case Structure:
		in, err := asMap(s, v)
		if err != nil {
			return err
		}
		return e.structure(key, s, in)
	case List:
		return e.list(key, m, v)
	case Map:
		return e.mapping(key, m, v)
	default:
		text, err := scalarText(m, v, iso8601)
		if err != nil {
			return err
		}
		e.put(key, text)
		return nil
	}
}

func (e *formEncoder) list(key string, m *Member, v any) error {
	s := m.Shape
	in, err := asList(s, v)
	if err != nil {
		return err
	}
	if len(in) == 0 && !e.ec2 {
		e.put(key, "")
		return nil
	}
	if !e.ec2 {
		key = listKey(key, m)
	}
	n := 0
	for i, v := range in {
		if v == nil {
			continue
		}
		n++
		if err := e.value(key+"."+strconv.Itoa(n), s.Elem, v); err != nil {
			return inElement(i, err)
		}
	}
	return nil
}

// listKey is what stands before the numbers of a list's elements in the query
// protocol.
func listKey(key string, m *Member) string {
	if !isFlattened(m) {
		return key + "." + serialName(m.Shape.Elem, "member")
	}
	i := strings.LastIndexByte(key, '.') + 1
	return key[:i] + flatName(m, key[i:])
}

func (e *formEncoder) mapping(key string, m *Member, v any) error {
	s := m.Shape
	in, err := asMap(s, v)
	if err != nil {
		return err
	}
	if !isFlattened(m) {
		key += ".entry"
	}
	for i, k := range sortedKeys(in) {
		prefix := key + "." + strconv.Itoa(i+1) + "."
		e.put(prefix+mapName(s.Key, "key"), k)
		if in[k] == nil {
			continue
		}
		if err := e.value(prefix+mapName(s.Elem, "value"), s.Elem, in[k]); err != nil {
			return inMember(k, err)
		}
	}
	return nil
}

// formNode is a form as a tree: Tag.1.Key=x is the text x at Tag, 1, Key.
type formNode struct {
	text     string
	hasText  bool
	children map[string]*formNode
}

// parseForm reads a form into a tree.
func parseForm(body string) (*formNode, error) {
	root := &formNode{}
	for len(body) > 0 {
		var pair string
		pair, body, _ = strings.Cut(body, "&")
		if pair == "" {
			continue
		}
		rawKey, rawValue, _ := strings.Cut(pair, "=")
		key, err := url.QueryUnescape(rawKey)
		if err != nil {
			return nil, fmt.Errorf("the form's key %q: %v", clip(rawKey), err)
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			return nil, fmt.Errorf("the form's value of %s: %v", clip(key), err)
		}
		if strings.Count(key, ".") > maxNesting {
			return nil, errNested
		}
		n := root
		for part := range strings.SplitSeq(key, ".") {
			next := n.children[part]
			if next == nil {
				next = &formNode{}
				if n.children == nil {
					n.children = map[string]*formNode{}
				}
				n.children[part] = next
			}
			n = next
		}
		n.text, n.hasText = value, true
	}
	return root, nil
}

// child gives a child, or nil.
func (n *formNode) child(name string) *formNode {
	if n == nil {
		return nil
	}
	return n.children[name]
}

// value is the text of a child.
func (n *formNode) value(name string) string {
	if c := n.child(name); c != nil {
		return c.text
	}
	return ""
}

// elements are the children with numbers for names, by number.
func (n *formNode) elements() []*formNode {
	var numbers []int
	for k := range n.children {
		if i, err := strconv.Atoi(k); err == nil && i >= 0 && strconv.Itoa(i) == k {
			numbers = append(numbers, i)
		}
	}
	sort.Ints(numbers)
	out := make([]*formNode, len(numbers))
	for i, number := range numbers {
		out[i] = n.children[strconv.Itoa(number)]
	}
	return out
}

// formDecoder reads an input from a form by its shape.
type formDecoder struct{ ec2 bool }

// structure ignores what the model does not have: Action, Version, and the
// signature's parameters of a query that is signed in the URL.
func (d formDecoder) structure(n *formNode, s *Shape) (map[string]any, error) {
	out := map[string]any{}
	for i := range s.Members {
		m := &s.Members[i]
		name := formName(m, m.Name, d.ec2)
		if !d.ec2 && m.Shape.Type == List && isFlattened(m) {
			name = listKey(name, m)
		}
		c := n.child(name)
		if c == nil && m.Shape.Type == List {
			c = n.child(formName(m, m.Name, d.ec2)) // an empty list has its own name
		}
		if c == nil {
			continue
		}
		v, err := d.value(c, m)
		if err != nil {
			return nil, inMember(m.Name, err)
		}
		if v != nil {
			out[m.Name] = v
		}
	}
	return out, nil
}

func (d formDecoder) value(n *formNode, m *Member) (any, error) {
	switch s := m.Shape; s.Type {
	case Structure:
		return asAny(d.structure(n, s))
	case List:
		return asAny(d.list(n, m))
	case Map:
		return asAny(d.mapping(n, m))
	default:
		if !n.hasText {
			return nil, fmt.Errorf("wants %s, not a structure", goKind[s.Type])
		}
		return parseScalar(s, n.text)
	}
}

func (d formDecoder) list(n *formNode, m *Member) ([]any, error) {
	holder := n
	if !d.ec2 && !isFlattened(m) {
		holder = n.child(serialName(m.Shape.Elem, "member"))
		if holder == nil {
			holder = n.child("member")
		}
		if holder == nil {
			return []any{}, nil
		}
	}
	out := []any{}
	for i, e := range holder.elements() {
		v, err := d.value(e, m.Shape.Elem)
		if err != nil {
			return nil, inElement(i, err)
		}
		out = append(out, v)
	}
	return out, nil
}

func (d formDecoder) mapping(n *formNode, m *Member) (map[string]any, error) {
	s := m.Shape
	if !isFlattened(m) {
		if n = n.child("entry"); n == nil {
			return map[string]any{}, nil
		}
	}
	out := map[string]any{}
	for i, e := range n.elements() {
		k := e.child(mapName(s.Key, "key"))
		if k == nil {
			return nil, inElement(i, fmt.Errorf("an entry of a map without key"))
		}
		out[k.text] = nil
		if c := e.child(mapName(s.Elem, "value")); c != nil {
			v, err := d.value(c, s.Elem)
			if err != nil {
				return nil, inMember(k.text, err)
			}
			out[k.text] = v
		}
	}
	return out, nil
}
