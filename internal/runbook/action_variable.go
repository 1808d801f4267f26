package runbook

import (
	"slices"
	"strings"
)

// updateVariable is aws:updateVariable: it gives a variable a value.
type updateVariable struct{}

// variable is the name in the input Name, which AWS writes as variable:NAME.
func (updateVariable) variable(s *Step) string {
	n := s.inputs.get("Name")
	if n == nil || n.kind != scalarNode {
		return ""
	}
	if n.text != nil { // "{{ variable:NAME }}"
		if ref := n.text.whole(); ref != nil && ref.Kind == RefVariable {
			return ref.Name
		}
		return ""
	}
	return strings.TrimPrefix(text(n.scalar), "variable:")
}

func (u updateVariable) check(c *checker, s *Step) {
	c.members(s, []string{"Name", "Value"}, nil)
	n := s.inputs.get("Name")
	if n == nil {
		return
	}
	name := u.variable(s)
	var names []string
	for _, v := range c.doc.Variables {
		names = append(names, v.Name)
	}
	if !slices.Contains(names, name) {
		c.add(n.pos, "variable:NAME of a variable of the document", "step %s: there is no variable %s%s", s.Name, excerpt(name), near(name, names))
	}
}

func (u updateVariable) next(t *turn) move {
	v := t.doc.variable(u.variable(t.step))
	if v == nil {
		return failf("there is no variable %s", u.variable(t.step))
	}
	value, err := assign(t.inputs["Value"], v.Type)
	if err != nil {
		return failf("variable %s: %v", v.Name, err)
	}
	m := done()
	m.done.Variables = map[string]any{v.Name: value}
	return m
}
