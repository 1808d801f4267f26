package template

import (
	"fmt"
	"slices"
	"strings"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/planned"
)

// Planned reads which resources a template would make. What only the deployment
// knows is a planned.Unknown; a function that is used wrongly gives one too, and a
// note. References say how resources refer to each other, by CloudFormation's type.
//
// The error, a *knowngood.FileError, says that the file is no template, or that a
// parameter was given that it does not declare.
func Planned(file string, data []byte, in Inputs, references map[string]planned.Reference) (*planned.Plan, error) {
	root, err := readNodes(file, data, origin{})
	if err != nil {
		return nil, err
	}
	p := &planner{plan: &planned.Plan{File: file}, in: in, root: root, references: references, params: map[string]any{},
		conditions: map[string]*planCondition{}, resources: map[string]*node{}, identities: map[string]*identity{}}
	resources := root.get("Resources")
	if resources == nil || resources.kind != mapNode || len(resources.fields) == 0 {
		return nil, &knowngood.FileError{Position: root.pos, Problem: "the template has no Resources", Want: "a CloudFormation template"}
	}
	for _, f := range resources.fields {
		p.resources[f.name] = f.value
	}
	if err := p.parameters(root.get("Parameters")); err != nil {
		return nil, err
	}
	if c := root.get("Conditions"); c != nil {
		for _, f := range c.fields {
			p.conditions[f.name] = &planCondition{node: f.value}
		}
	}
	p.transforms(root.get("Transform"))
	for _, f := range resources.fields {
		p.resource(f)
	}
	return p.plan, nil
}

// Declared gives the names of the parameters that a template declares.
func Declared(file string, data []byte) ([]string, error) {
	root, err := readNodes(file, data, origin{})
	if err != nil {
		return nil, err
	}
	var names []string
	if section := root.get("Parameters"); section != nil {
		for _, f := range section.fields {
			names = append(names, f.name)
		}
	}
	return names, nil
}

// planner works a template out as far as it is known before it is deployed.
type planner struct {
	plan       *planned.Plan
	in         Inputs
	root       *node
	references map[string]planned.Reference
	params     map[string]any
	conditions map[string]*planCondition
	resources  map[string]*node
	identities map[string]*identity
	doubt      string // why nothing that the template says may be so
	size       int    // bytes that functions have made, and values that were worked out
	depth      int    // of value's calls
}

type planCondition struct {
	node  *node
	value any // bool or planned.Unknown
	state int8
}

// identity is how a resource of the template is referred to.
type identity struct {
	id, arn   string
	unnamed   string // why it is not known which name is stated
	reference planned.Reference
	known     bool // the type's references are
	done      bool
}

func (p *planner) note(pos knowngood.Position, text string, args ...any) {
	n := planned.Note{Position: pos, Text: fmt.Sprintf(text, args...)}
	if !slices.Contains(p.plan.Notes, n) {
		p.plan.Notes = append(p.plan.Notes, n)
	}
}

func (p *planner) notEvaluated(pos knowngood.Position, text string, args ...any) {
	p.plan.NotEvaluated = append(p.plan.NotEvaluated, planned.Note{Position: pos, Text: fmt.Sprintf(text, args...)})
}

// transforms says what of the template a macro will change.
func (p *planner) transforms(n *node) {
	if n == nil {
		return
	}
	list := []*node{n}
	if n.kind == listNode {
		list = n.list
	}
	for _, t := range list {
		switch name := text(t.scalar); {
		case name == "AWS::Serverless-2016-10-31", name == "AWS::LanguageExtensions":
			// They change resources of Serverless, and functions, which are told one by one.
		case name == "":
			p.doubt = "a transform with parameters"
			p.notEvaluated(t.pos, "%s may change every resource, and is not applied", p.doubt)
		default:
			p.doubt = "the macro " + name
			p.notEvaluated(t.pos, "%s may change every resource, and is not applied", p.doubt)
		}
	}
}

// parameters binds the template's parameters; one without a value is unknown.
func (p *planner) parameters(section *node) error {
	declared := map[string]bool{}
	if section != nil {
		for _, f := range section.fields {
			declared[f.name] = true
			p.params[f.name] = p.parameter(f)
		}
	}
	for name := range p.in.Parameters {
		if !declared[name] {
			return &knowngood.FileError{Position: p.root.pos, Problem: fmt.Sprintf("the template declares no parameter %q", name), Want: "one that it declares"}
		}
	}
	return nil
}

func (p *planner) parameter(f field) any {
	typ := text(literal(f.value.get("Type")))
	value, given := p.in.Parameters[f.name]
	if d := f.value.get("Default"); !given && d != nil && d.kind == scalarNode {
		value, given = text(d.scalar), true
	}
	switch {
	case !given:
		return planned.Unknown{Why: "the parameter " + f.name + " has no value"}
	case strings.HasPrefix(typ, "AWS::SSM::Parameter::Value"):
		return planned.Unknown{Why: "the parameter " + f.name + " is read from Systems Manager"}
	case typ == "CommaDelimitedList" || strings.HasPrefix(typ, "List<"):
		list := []any{}
		for part := range strings.SplitSeq(value, ",") {
			list = append(list, dynamic(strings.TrimSpace(part)))
		}
		return list
	}
	return dynamic(value)
}

// dynamic is a text, unless it has a dynamic reference, which the deployment
// resolves.
func dynamic(s string) any {
	if i := strings.Index(s, "{{resolve:"); i >= 0 {
		return planned.Unknown{Why: "a dynamic reference, " + strings.SplitAfter(s[i:], "}}")[0] + ", is resolved when it is deployed"}
	}
	return s
}

func literal(n *node) any {
	if n == nil || n.kind != scalarNode {
		return nil
	}
	return n.scalar
}

// resource reads one resource.
func (p *planner) resource(f field) {
	n := f.value
	if strings.HasPrefix(f.name, "Fn::") {
		p.notEvaluated(f.pos, "the resources that %s makes are not read", f.name)
		return
	}
	typ := text(literal(n.get("Type")))
	switch {
	case typ == "" || f.name == "":
		p.notEvaluated(f.pos, "%q has no Type, or no logical id", f.name)
		return
	case typ == "AWS::CloudFormation::Stack" || strings.HasSuffix(typ, "::MODULE") || typ == "AWS::CloudFormation::Macro":
		p.notEvaluated(f.pos, "%s (%s): what is nested in it is not read; scan its own template", f.name, typ)
		return
	case strings.HasPrefix(typ, "AWS::Serverless::"):
		p.notEvaluated(f.pos, "%s (%s): the transform that makes resources of it is not applied", f.name, typ)
		return
	}
	r := planned.Resource{Position: f.pos, Type: typ, Address: f.name, Properties: map[string]any{}, Doubt: p.doubt}
	if c := n.get("Condition"); c != nil {
		switch made := p.condition(c).(type) {
		case bool:
			if !made {
				return
			}
		case planned.Unknown:
			r.Maybe = made.Why
			p.note(f.pos, "%s is judged as if it were made: %s", f.name, made.Why)
		}
	}
	id := p.identity(f.name)
	r.ID, r.ARN, r.Unnamed = id.id, id.arn, id.unnamed
	switch v := p.value(n.get("Properties")).(type) {
	case map[string]any:
		r.Properties = v
	case planned.Unknown:
		r.Doubt = v.Why
	}
	p.plan.Resources = append(p.plan.Resources, r)
}

// identity says how the resource of a logical id is referred to.
func (p *planner) identity(logicalID string) *identity {
	if have := p.identities[logicalID]; have != nil {
		return have // or it is being worked out: a name that leads back to itself is none
	}
	n := p.resources[logicalID]
	id := &identity{id: "${" + logicalID + "}"}
	p.identities[logicalID] = id
	id.reference, id.known = p.references[text(literal(n.get("Type")))]
	name := ""
	if id.known && id.reference.Name != "" {
		switch v := p.value(n.get("Properties").get(id.reference.Name)).(type) {
		case string:
			name = v
		case planned.Unknown:
			id.unnamed = v.Why
		}
	}
	id.id, id.arn = id.reference.Of(knowngood.Place{Partition: p.in.Partition, Account: p.in.Account, Region: p.in.Region}, logicalID, name)
	id.done = true
	return id
}
