package remedy

import (
	"errors"
	"slices"
	"strings"

	"github.com/knowngood/knowngood/awsapi"
)

// planned is a write of the plan.
type planned struct {
	op *awsapi.Operation
	in map[string]any
}

// reflect puts into a read's answer what the writes before it to the same service
// would have changed, by the names that the models have for it: where an answer has
// a member of a write's input, within what the write names, it is as it was written.
// What the models don't show is left as it is live.
func (o overlay) reflect(op *awsapi.Operation, in, out map[string]any) {
	asked := map[string]bool{}
	walkText(in, func(s string) { asked[s] = true })
	for _, w := range o.writes {
		if w.op.Service.Name == op.Service.Name && op.Output != nil {
			m := mirror{w.in, creates(w.op.Name), asked}
			m.structure(op.Output, out, true)
		}
	}
}

// brings says whether a read's error means no more than that there is not yet what
// a write before it brings.
func (o overlay) brings(op *awsapi.Operation, err error) bool {
	var e *awsapi.Error
	if !errors.As(err, &e) || e.Status != 404 && !strings.HasPrefix(e.Code, "NoSuch") && !strings.Contains(e.Code, "NotFound") {
		return false
	}
	return slices.ContainsFunc(o.writes, func(w planned) bool { return w.op.Service.Name == op.Service.Name && creates(w.op.Name) })
}

// creates says whether an operation may bring something new.
func creates(operation string) bool {
	for _, verb := range []string{"Create", "Put", "Register"} {
		if strings.HasPrefix(operation, verb) {
			return true
		}
	}
	return false
}

// mirror is one write's input, on its way into an answer.
type mirror struct {
	in    map[string]any
	adds  bool            // the write may have made what a list has not
	asked map[string]bool // the texts of the read's input
}

// structure reflects into one. ours says that it is what the write names, or of it.
func (m mirror) structure(s *awsapi.Shape, at map[string]any, ours bool) {
	switch m.names(at) {
	case different:
		return
	case same:
		ours = true
	}
	for i := range s.Members {
		member := &s.Members[i]
		if v, written := m.value(member); written && ours {
			at[member.Name] = over(at[member.Name], v)
			continue
		}
		switch member.Shape.Type {
		case awsapi.Structure:
			if inner, ok := at[member.Name].(map[string]any); ok {
				m.structure(member.Shape, inner, ours)
			} else if inner := (map[string]any{}); ours {
				if m.structure(member.Shape, inner, true); len(inner) > 0 {
					at[member.Name] = inner
				}
			}
		case awsapi.List:
			m.list(member, at)
		}
	}
}

// list reflects into the elements of one that the write names. An answer in which
// there is none gets one, if the write makes such.
func (m mirror) list(member *awsapi.Member, at map[string]any) {
	element := member.Shape.Elem
	if element == nil || element.Shape.Type != awsapi.Structure {
		return
	}
	list, _ := at[member.Name].([]any)
	found := false
	for _, e := range list {
		if o, ok := e.(map[string]any); ok {
			found = found || m.names(o) == same
			m.structure(element.Shape, o, false)
		}
	}
	if made := m.made(element.Shape); m.adds && !found && made != nil {
		at[member.Name] = append(list[:len(list):len(list)], made)
	}
}

// made is an element of what the write makes: its name, which the read asks for, and
// what else the write says of it; nil: it makes none such.
func (m mirror) made(s *awsapi.Shape) map[string]any {
	out, named := map[string]any{}, false
	for i := range s.Members {
		v, written := m.in[s.Members[i].Name]
		if !written || !fits(s.Members[i].Shape, v) {
			continue
		}
		out[s.Members[i].Name] = v
		name, is := v.(string)
		named = named || is && namesResource(s.Members[i].Name) && m.asked[name]
	}
	if !named {
		return nil
	}
	return out
}

// How what an answer describes compares with what a write names.
const (
	unnamed   = iota // neither has a name of the other's
	same             // what the write names
	different        // something else of its kind
)

func (m mirror) names(at map[string]any) int {
	out := unnamed
	for name, v := range m.in {
		if have, ok := at[name]; ok && namesResource(name) {
			if have != v {
				return different
			}
			out = same
		}
	}
	return out
}

// value is what the write says of a member of an answer: by the same name, within a
// structure of its input, or as the value of an attribute that it names.
func (m mirror) value(member *awsapi.Member) (any, bool) {
	if v, ok := m.in[member.Name]; ok {
		if fits(member.Shape, v) {
			return v, true
		}
		if wrapped, ok := v.(map[string]any); ok && len(wrapped) == 1 && fits(member.Shape, wrapped["Value"]) {
			return wrapped["Value"], true
		}
	}
	if name, ok := m.in["AttributeName"].(string); ok && member.Shape.Type == awsapi.Map && member.Name == "Attributes" {
		return map[string]any{name: m.in["AttributeValue"]}, true
	}
	for _, name := range sortedKeys(m.in) {
		inner, ok := m.in[name].(map[string]any)
		if !ok {
			continue
		}
		if v, ok := inner[member.Name]; ok && member.Shape.Type != awsapi.String && fits(member.Shape, v) {
			return v, true
		}
	}
	return nil, false
}

// copied is a copy of an answer, to be changed.
func copied(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = copied(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = copied(e)
		}
		return out
	}
	return v
}

// over lays what was written over what an answer has.
func over(had, written any) any {
	a, is := had.(map[string]any)
	b, are := written.(map[string]any)
	if !is || !are {
		return written
	}
	out := make(map[string]any, len(a)+len(b))
	for k, v := range a {
		out[k] = v
	}
	for k, v := range b {
		out[k] = over(a[k], v)
	}
	return out
}

// fits says whether a value can be of a shape.
func fits(s *awsapi.Shape, v any) bool {
	switch v.(type) {
	case nil:
		return false
	case map[string]any:
		return s.Type == awsapi.Structure || s.Type == awsapi.Map
	case []any:
		return s.Type == awsapi.List
	case string:
		return s.Type == awsapi.String
	case bool:
		return s.Type == awsapi.Boolean
	}
	return !slices.Contains([]awsapi.ShapeType{awsapi.Structure, awsapi.Map, awsapi.List, awsapi.String, awsapi.Boolean}, s.Type) // a number, a time
}
