package runbook

import (
	"fmt"
	"slices"
	"strings"

	"github.com/knowngood/knowngood/awsapi"
)

// modelCheck compares the inputs of a call, as they stand in the document,
// with the operation's model. Values that are references are checked by their
// type only.
type modelCheck struct {
	v         *validator
	s         *Step
	op        string
	operation *awsapi.Operation
}

func (m *modelCheck) structure(shape *awsapi.Shape, n *node, path string, skip []string) {
	if n.kind != mapNode {
		m.v.add(n.pos, "a map", "step %s: %s%s is %s", m.s.Name, m.op, path, n.what())
		return
	}
	var names []string
	if shape != nil {
		for i := range shape.Members {
			names = append(names, shape.Members[i].Name)
		}
	}
	given := map[string]bool{}
	for _, f := range n.fields {
		if slices.Contains(skip, f.name) {
			continue
		}
		name := f.name
		if path == "" {
			name = m.operation.MemberName(name)
		}
		given[name] = true
		var member *awsapi.Member
		if shape != nil {
			member = shape.Member(name)
		}
		if member == nil {
			want := "one of " + strings.Join(names, ", ")
			if len(names) > 20 {
				want = fmt.Sprintf("one of the %d inputs of %s", len(names), m.op)
			}
			m.v.add(f.pos, want, "step %s: %s has no input %s%s%s", m.s.Name, m.op, strings.TrimPrefix(path+".", "."), f.name, near(f.name, names))
			continue
		}
		m.value(member.Shape, f.value, path+"."+f.name)
	}
	if shape == nil {
		return
	}
	for i := range shape.Members {
		// The client makes an idempotency token where there is none.
		if member := &shape.Members[i]; member.Is(awsapi.Required) && !member.Is(awsapi.IdempotencyToken) && !given[member.Name] {
			m.v.add(n.pos, member.Name, "step %s: %s needs the input %s%s", m.s.Name, m.op, strings.TrimPrefix(path+".", "."), member.Name)
		}
	}
}

func (m *modelCheck) value(shape *awsapi.Shape, n *node, path string) {
	if shape.Is(awsapi.Document) {
		return
	}
	if n.text != nil {
		m.reference(shape, n, path)
		return
	}
	if n.kind == scalarNode && n.scalar == nil {
		return // null: not set
	}
	switch shape.Type {
	case awsapi.Structure:
		m.structure(shape, n, path, nil)
		return
	case awsapi.Map:
		if n.kind != mapNode {
			m.wrong(n, path, "a map")
			return
		}
		for _, f := range n.fields {
			m.value(shape.Elem.Shape, f.value, path+"."+f.name)
		}
		return
	case awsapi.List:
		if n.kind != listNode {
			m.wrong(n, path, "a list")
			return
		}
		if len(n.list) == 1 && n.list[0].text != nil && n.list[0].text.whole() != nil {
			// [ "{{ a list }}" ] stands for the list, [ "{{ text }}" ] for a
			// list of one.
			if t := m.typeOf(*n.list[0].text.whole()); t == StringList || t == MapList {
				return
			}
		}
		for i, item := range n.list {
			m.value(shape.Elem.Shape, item, fmt.Sprintf("%s[%d]", path, i))
		}
		return
	}
	if n.kind == listNode && len(n.list) == 1 {
		m.v.warn(n.pos, "a single value", "step %s: %s%s is a list of one", m.s.Name, m.op, path)
		m.value(shape, n.list[0], path)
		return
	}
	if n.kind != scalarNode {
		m.wrong(n, path, "a single value")
		return
	}
	switch shape.Type {
	case awsapi.Integer, awsapi.Long:
		if _, err := integer(n.scalar); err != nil {
			m.wrong(n, path, "a whole number")
		}
	case awsapi.Float, awsapi.Double:
		if _, err := decimal(text(n.scalar)); err != nil {
			m.wrong(n, path, "a number")
		}
	case awsapi.Boolean:
		if _, err := boolean(n.scalar); err != nil {
			m.wrong(n, path, "true or false")
		}
	case awsapi.String:
		if len(shape.Enum) > 0 && !slices.Contains(shape.Enum, text(n.scalar)) {
			want := strings.Join(shape.Enum, ", ")
			if len(shape.Enum) > 20 {
				want = fmt.Sprintf("one of %d values", len(shape.Enum))
			}
			m.v.add(n.pos, want, "step %s: %s%s is %s%s", m.s.Name, m.op, path, excerpt(text(n.scalar)), near(text(n.scalar), shape.Enum))
		}
	}
}

func (m *modelCheck) wrong(n *node, path, want string) {
	is := n.what()
	if n.kind == scalarNode {
		is = excerpt(text(n.scalar))
	}
	m.v.add(n.pos, want, "step %s: %s%s is %s", m.s.Name, m.op, path, is)
}

// reference checks a value that is a reference, or a text with references,
// against the shape.
func (m *modelCheck) reference(shape *awsapi.Shape, n *node, path string) {
	t := String
	ref := n.text.whole()
	if ref != nil {
		t = m.typeOf(*ref)
	}
	fits := true
	switch shape.Type {
	case awsapi.Structure, awsapi.Map:
		fits = t == StringMap
	case awsapi.List:
		fits = t == StringList || t == MapList
	case awsapi.Blob, awsapi.Timestamp:
		fits = t != MapList && t != StringMap && t != StringList
	default:
		if t == StringList {
			m.v.warn(n.pos, "a single value, or a list of one", "step %s: %s%s is a %s", m.s.Name, m.op, path, t)
			return
		}
		fits = t != MapList && t != StringMap
	}
	if !fits && t != "" {
		m.v.add(n.pos, "a "+shapeWord(shape), "step %s: %s%s is a %s", m.s.Name, m.op, path, t)
	}
}

func shapeWord(shape *awsapi.Shape) string {
	switch shape.Type {
	case awsapi.Structure, awsapi.Map:
		return "StringMap"
	case awsapi.List:
		return "StringList or MapList"
	}
	return "single value"
}

// typeOf is a reference's base type, "" when it is not known.
func (m *modelCheck) typeOf(ref Reference) Type {
	src, ok := m.v.doc.Source(ref.String())
	if !ok {
		return ""
	}
	base, _ := src.Type.base()
	return base
}
