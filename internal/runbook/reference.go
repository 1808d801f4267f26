package runbook

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// RefKind says where a reference takes its value from.
type RefKind uint8

// The kinds of references.
const (
	RefParameter RefKind = iota // {{ Name }}
	RefOutput                   // {{ Step.Output }}
	RefVariable                 // {{ variable:Name }}
	RefSystem                   // {{ automation:EXECUTION_ID }}, {{ global:DATE }}, ...
	RefStore                    // {{ ssm:name }}, {{ resolve:ssm:name }}: of a parameter's value or default
)

// Reference is a {{ … }} in a document.
type Reference struct {
	Kind RefKind
	Step string // of an output
	Name string // of the parameter, output or variable; "global:DATE" in full
}

// String is the reference as it is written between the braces.
func (r Reference) String() string {
	switch r.Kind {
	case RefOutput:
		return r.Step + "." + r.Name
	case RefVariable:
		return "variable:" + r.Name
	}
	return r.Name
}

// The system variables, as AWS lists them in "Automation system variables".
var systemVariables = []string{
	"automation:EXECUTION_ID", "global:ACCOUNT_ID", "global:AWS_PARTITION",
	"global:DATE", "global:DATE_TIME", "global:REGION",
}

// ParseReference reads what stands between the braces.
func ParseReference(s string) (Reference, error) {
	s = strings.TrimSpace(s)
	prefix, rest, colon := strings.Cut(s, ":")
	switch {
	case !colon:
		step, output, dot := strings.Cut(s, ".")
		if !dot {
			return Reference{Kind: RefParameter, Name: s}, nameError(s, s)
		}
		step, output = strings.TrimSpace(step), strings.TrimSpace(output)
		return Reference{Kind: RefOutput, Step: step, Name: output}, errors.Join(nameError(s, step), formError(outputForm, s, output))
	case prefix == "variable":
		return Reference{Kind: RefVariable, Name: rest}, nameError(s, rest)
	case prefix == "automation" || prefix == "global":
		for _, v := range systemVariables {
			if v == s {
				return Reference{Kind: RefSystem, Name: s}, nil
			}
		}
		return Reference{}, fmt.Errorf("there is no %s%s", s, near(s, systemVariables))
	case prefix == "ssm" || prefix == "ssm-secure" || prefix == "resolve":
		return Reference{Kind: RefStore, Name: s}, nil
	}
	return Reference{}, fmt.Errorf("%q is no reference", s)
}

// nameForm is the form of a name, outputForm that of an output's: AWS's own
// runbooks have outputs such as "How to terminate resource".
var (
	nameForm   = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,256}$`)
	outputForm = regexp.MustCompile(`^[A-Za-z0-9_.-]([A-Za-z0-9_. -]{0,254}[A-Za-z0-9_.-])?$`)
)

func nameError(whole, name string) error { return formError(nameForm, whole, name) }

func formError(form *regexp.Regexp, whole, name string) error {
	if form.MatchString(name) {
		return nil
	}
	return fmt.Errorf("%q is no reference", whole)
}

// template is a text with references in it.
type template struct {
	parts []part
}

type part struct {
	literal string
	ref     *Reference
	written string // of a program's reference: its text, for one to nothing that is there
}

// whole is the reference when the text is nothing else.
func (t *template) whole() *Reference {
	if len(t.parts) == 1 {
		return t.parts[0].ref
	}
	return nil
}

// parseTemplate finds the references in a text. It gives nil for a text
// without any; a {{ without its }} is literal.
func parseTemplate(s string) (*template, error) {
	if !strings.Contains(s, "{{") {
		return nil, nil
	}
	t := &template{}
	literal := func(s string) {
		if s != "" {
			t.parts = append(t.parts, part{literal: s})
		}
	}
	refs := 0
	for {
		before, after, ok := strings.Cut(s, "{{")
		inner, rest, closed := strings.Cut(after, "}}")
		if !ok || !closed {
			literal(s)
			break
		}
		ref, err := ParseReference(inner)
		if err != nil {
			return nil, err
		}
		literal(before)
		t.parts = append(t.parts, part{ref: &ref})
		refs++
		s = rest
	}
	if refs == 0 {
		return nil, nil
	}
	return t, nil
}

// parseProgram is parseTemplate for a text in which {{ may mean something else:
// what is no reference is literal.
func parseProgram(s string) *template {
	t := &template{}
	refs := 0
	literal := ""
	for {
		before, after, ok := strings.Cut(s, "{{")
		inner, rest, closed := strings.Cut(after, "}}")
		if !ok || !closed {
			break
		}
		ref, err := ParseReference(inner)
		if err != nil || ref.Kind == RefStore {
			literal += before + "{{"
			s = after
			continue
		}
		if literal += before; literal != "" {
			t.parts = append(t.parts, part{literal: literal})
			literal = ""
		}
		t.parts = append(t.parts, part{ref: &ref, written: "{{" + inner + "}}"})
		refs++
		s = rest
	}
	if refs == 0 {
		return nil
	}
	if literal += s; literal != "" {
		t.parts = append(t.parts, part{literal: literal})
	}
	return t
}

// known says whether the document has what a reference names.
func (d *Document) known(r Reference) bool {
	switch r.Kind {
	case RefParameter:
		return d.parameter(r.Name) != nil
	case RefVariable:
		return d.variable(r.Name) != nil
	case RefOutput:
		s, ok := d.Step(r.Step)
		if !ok {
			return false
		}
		_, ok = s.output(r.Name)
		return ok
	}
	return r.Kind == RefSystem
}

// maxResolved bounds a value after its references were resolved, in bytes.
const maxResolved = 1 << 20

// scope is what references are resolved in.
type scope struct {
	doc     *Document
	start   *StartBody
	vars    map[string]any
	outputs map[string]map[string]any // by step path
	budget  int                       // bytes that may still be resolved
}

func (s *scope) spend(n int) error {
	if s.budget -= n; s.budget < 0 {
		return fmt.Errorf("the inputs have more than %d bytes after references were resolved", maxResolved)
	}
	return nil
}

// lookup is a reference's value with its type.
func (s *scope) lookup(r Reference) (any, error) {
	switch r.Kind {
	case RefParameter:
		p := s.doc.parameter(r.Name)
		if p == nil {
			return nil, fmt.Errorf("there is no parameter %s", r.Name)
		}
		switch v, ok := s.start.Parameters[r.Name]; {
		case !ok || v == nil:
			return p.Type.zero(), nil
		case p.standard != nil && v == p.Default:
			return s.expand(p.standard)
		default:
			return v, nil
		}
	case RefVariable:
		v := s.doc.variable(r.Name)
		if v == nil {
			return nil, fmt.Errorf("there is no variable %s", r.Name)
		}
		if value, ok := s.vars[r.Name]; ok && value != nil {
			return value, nil
		}
		return v.Type.zero(), nil
	case RefOutput:
		if v, ok := s.outputs[r.Step][r.Name]; ok && v != nil {
			return v, nil
		}
		step, ok := s.doc.Step(r.Step)
		if !ok {
			return nil, fmt.Errorf("there is no step %s", r.Step)
		}
		o, ok := step.output(r.Name)
		if !ok {
			return nil, fmt.Errorf("step %s has no output %s", r.Step, r.Name)
		}
		if o.Name != r.Name { // a member of a map
			return member(s.outputs[r.Step][o.Name], strings.TrimPrefix(r.Name, o.Name+".")), nil
		}
		return o.Type.zero(), nil
	case RefSystem:
		return s.system(r.Name), nil
	}
	return nil, fmt.Errorf("{{ %s }}: a step can't refer to Parameter Store; give a parameter of the document this default", r.Name)
}

// member finds a member of a map by its path, "" where there is none.
func member(v any, path string) any {
	for _, name := range strings.Split(path, ".") {
		v = object(v)[name]
	}
	if v == nil {
		return ""
	}
	return v
}

func (s *scope) system(name string) string {
	switch name {
	case "automation:EXECUTION_ID":
		return s.start.ExecutionID
	case "global:ACCOUNT_ID":
		return s.start.Place.Account
	case "global:AWS_PARTITION":
		return s.start.Place.Partition
	case "global:REGION":
		return s.start.Place.Region
	case "global:DATE":
		return s.start.DateTime.UTC().Format(time.DateOnly)
	}
	return s.start.DateTime.UTC().Format("2006-01-02_15.04.05") // global:DATE_TIME
}

// context is the system variables by their names.
func (s *scope) context() map[string]string {
	out := make(map[string]string, len(systemVariables))
	for _, name := range systemVariables {
		out[name] = s.system(name)
	}
	return out
}

// resolve is a node's value with its references resolved: one that is the
// whole value keeps its type, one inside a text becomes text.
func (s *scope) resolve(n *node) (any, error) {
	switch {
	case n == nil:
		return nil, nil
	case n.kind == listNode:
		list := make([]any, 0, len(n.list))
		for _, item := range n.list {
			v, err := s.resolve(item)
			if err != nil {
				return nil, err
			}
			// A list that is written as a list of one reference to a list,
			// ["{{ Step.Ids }}"], means the list itself.
			if inner, ok := v.([]any); ok && len(n.list) == 1 && item.text != nil && item.text.whole() != nil {
				return inner, nil
			}
			list = append(list, v)
		}
		return list, s.spend(2 + len(list))
	case n.kind == mapNode:
		object := make(map[string]any, len(n.fields))
		for _, f := range n.fields {
			v, err := s.resolve(f.value)
			if err != nil {
				return nil, err
			}
			object[f.name] = v
		}
		return object, s.spend(2 + 8*len(object))
	case n.text == nil:
		return n.scalar, s.spend(size(n.scalar))
	}
	return s.expand(n.text)
}

func (s *scope) expand(t *template) (any, error) {
	if ref := t.whole(); ref != nil && (t.parts[0].written == "" || s.doc.known(*ref)) {
		v, err := s.lookup(*ref)
		if err != nil {
			return nil, err
		}
		return v, s.spend(size(v))
	}
	var b strings.Builder
	for _, p := range t.parts {
		if p.ref == nil {
			b.WriteString(p.literal)
			continue
		}
		if p.written != "" && !s.doc.known(*p.ref) {
			b.WriteString(p.written)
			continue
		}
		v, err := s.lookup(*p.ref)
		if err != nil {
			return nil, err
		}
		if err := s.spend(size(v)); err != nil {
			return nil, err
		}
		b.WriteString(text(v))
	}
	return b.String(), nil
}

// refs appends the references in a node, in the order in which they stand.
func (n *node) refs(out []placedRef) []placedRef {
	if n == nil {
		return out
	}
	if n.text != nil {
		for _, p := range n.text.parts {
			if p.ref != nil {
				out = append(out, placedRef{Reference: *p.ref, at: n})
			}
		}
	}
	for _, item := range n.list {
		out = item.refs(out)
	}
	for _, f := range n.fields {
		out = f.value.refs(out)
	}
	return out
}

type placedRef struct {
	Reference
	at *node
}
