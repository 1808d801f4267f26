package awsapi

import "fmt"

// xmlDecoder reads values from XML by their shapes.
type xmlDecoder struct {
	*xmlScanner
	texts texts
}

// structure reads the current element as a structure. into is nil, or holds
// what headers have given already.
func (d *xmlDecoder) structure(s *Shape, into map[string]any, hint int) (map[string]any, error) {
	out := into
	if out == nil {
		out = make(map[string]any, hint)
	}
	if d.attrs != "" {
		if err := d.attributesOf(s, out); err != nil {
			return nil, err
		}
	}
	at := 0
	for {
		name, ok, err := d.open()
		if err != nil {
			return nil, err
		}
		if !ok {
			return out, nil
		}
		m, next := xmlMember(s, name, at)
		if m == nil {
			if err := d.skip(); err != nil {
				return nil, err
			}
			continue
		}
		at = next
		v, err := d.member(m, out)
		if err != nil {
			return nil, inMember(m.Name, err)
		}
		if v != nil {
			out[m.Name] = v
		}
	}
}

// attributesOf reads the members that are attributes of the current element.
func (d *xmlDecoder) attributesOf(s *Shape, out map[string]any) error {
	for i := range s.Members {
		m := &s.Members[i]
		if !m.Is(XMLAttribute) {
			continue
		}
		text, ok, err := d.attribute(localName(m.WireName()))
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		v, err := parseScalar(m.Shape, text)
		if err != nil {
			return inMember(m.Name, err)
		}
		if v != nil {
			out[m.Name] = v
		}
	}
	return nil
}

// xmlMember finds the member that an element is. Elements mostly come in the
// model's order, so the search begins at the member that was found last; next is
// where the following search begins.
func xmlMember(s *Shape, name string, at int) (m *Member, next int) {
	n := len(s.Members)
	for i, j := 0, at; i < n; i, j = i+1, j+1 {
		if j == n {
			j = 0
		}
		// Nearly all are found by this comparison, without a look at the shape.
		if m := &s.Members[j]; m.WireName() == name && isElement(m) {
			return m, j
		}
	}
	for j := range s.Members {
		if m := &s.Members[j]; isElement(m) && otherXMLName(m) == name {
			return m, j
		}
	}
	return nil, at
}

func isElement(m *Member) bool { return isInBody(m) && !m.Is(XMLAttribute) }

// otherXMLName is the name of a member's element where it is not WireName.
func otherXMLName(m *Member) string {
	if m.Shape.Type == List && isFlattened(m) {
		return localName(flatName(m, m.Name))
	}
	return localName(serialName(m, m.Name))
}

// member reads the current element as a member, which in a flattened list or
// map is one of many elements.
func (d *xmlDecoder) member(m *Member, out map[string]any) (any, error) {
	switch m.Shape.Type {
	case List:
		if isFlattened(m) {
			list, _ := out[m.Name].([]any)
			v, err := d.value(m.Shape.Elem, 0)
			if err != nil {
				return nil, inElement(len(list), err)
			}
			return append(list, v), nil
		}
	case Map:
		if isFlattened(m) {
			entries, ok := out[m.Name].(map[string]any)
			if !ok {
				entries = map[string]any{}
			}
			return entries, d.entry(m.Shape, entries)
		}
	}
	return d.value(m, 0)
}

// value reads the current element. hint is how many members a structure will
// have, if that is known.
func (d *xmlDecoder) value(m *Member, hint int) (any, error) {
	switch s := m.Shape; s.Type {
	case Structure:
		return d.structure(s, nil, hint)
	case List:
		return d.list(s)
	case Map:
		out := map[string]any{}
		for {
			_, ok, err := d.open()
			if err != nil {
				return nil, err
			}
			if !ok {
				return out, nil
			}
			if err := d.entry(s, out); err != nil {
				return nil, err
			}
		}
	default:
		text, err := d.text()
		if err != nil {
			return nil, err
		}
		if s.Type == String {
			return d.texts.value(text), nil
		}
		return parseScalar(s, text)
	}
}

// list reads the children of the current element, whatever their names.
func (d *xmlDecoder) list(s *Shape) ([]any, error) {
	out := []any{}
	hint := 0
	for {
		_, ok, err := d.open()
		if err != nil {
			return nil, err
		}
		if !ok {
			return out, nil
		}
		v, err := d.value(s.Elem, hint)
		if err != nil {
			return nil, inElement(len(out), err)
		}
		// The elements of a list tend to have as many members as the one before.
		if fields, ok := v.(map[string]any); ok {
			hint = len(fields)
		}
		out = append(out, v)
	}
}

// entry reads the current element as one entry of a map.
func (d *xmlDecoder) entry(s *Shape, out map[string]any) error {
	keyName, valueName := serialName(s.Key, "key"), serialName(s.Elem, "value")
	var key string
	var value any
	hasKey := false
	for {
		name, ok, err := d.open()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		switch name {
		case keyName:
			if key, err = d.text(); err != nil {
				return err
			}
			hasKey = true
		case valueName:
			if value, err = d.value(s.Elem, 0); err != nil {
				return inMember(key, err)
			}
		default:
			if err := d.skip(); err != nil {
				return err
			}
		}
	}
	if !hasKey {
		return fmt.Errorf("an entry of a map without <%s>", keyName)
	}
	out[key] = value
	return nil
}

// xmlNode is an element of a document whose shape is not known.
type xmlNode struct {
	name     string
	text     string
	children []xmlNode
}

// child gives the first child with one of the names, or nil.
func (n *xmlNode) child(names ...string) *xmlNode {
	if n == nil {
		return nil
	}
	for i := range n.children {
		for _, name := range names {
			if n.children[i].name == name {
				return &n.children[i]
			}
		}
	}
	return nil
}

// value is the text of the first child with one of the names.
func (n *xmlNode) value(names ...string) string {
	if c := n.child(names...); c != nil {
		return c.text
	}
	return ""
}

// maxErrorNodes bounds the elements of an error document.
const maxErrorNodes = 10_000

// parseXMLTree reads a small document, that of an error, as a tree.
func parseXMLTree(text string) (*xmlNode, error) {
	x, err := newXMLScanner(text)
	if err != nil {
		return nil, err
	}
	name, err := x.root()
	if err != nil {
		return nil, err
	}
	root := &xmlNode{name: name}
	count := 0
	if err := x.tree(root, &count); err != nil {
		return nil, err
	}
	return root, x.end()
}

// tree reads the current element's text and children into n. The text is that
// before the first child.
func (x *xmlScanner) tree(n *xmlNode, count *int) error {
	if *count++; *count > maxErrorNodes {
		return fmt.Errorf("more than %d elements", maxErrorNodes)
	}
	leaf := *x
	for {
		name, ok, err := x.open()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		n.children = append(n.children, xmlNode{name: name})
		if err := x.tree(&n.children[len(n.children)-1], count); err != nil {
			return err
		}
	}
	if n.children != nil {
		return nil
	}
	// Nothing was opened, so the copy's stack still holds: read the text.
	text, err := leaf.text()
	n.text = text
	return err
}
