package template

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/knowngood/knowngood"
)

// Inputs are what a template is loaded with.
type Inputs struct {
	// Parameters are values for the template's parameters, by name. A list is
	// its elements with commas between.
	Parameters map[string]string
	// Account, Region and Partition are values of the pseudo parameters. One
	// that is empty is a placeholder, such as "${AWS::Region}".
	Account, Region, Partition string
	// AllowMissing lets a parameter stay without a value: it is then a
	// placeholder, and Template.Missing names it. For reading a template that
	// is not about to run.
	AllowMissing bool
	// Unknown are those of Parameters whose value is known only once the template
	// is deployed: they are placeholders.
	Unknown []string
}

// Template is a template's governance objects, in the order of the file.
type Template struct {
	File        string
	Description string
	Parameters  []Parameter
	// Missing are the parameters that have neither a value nor a default.
	Missing []string

	Rules []ConfigRule
	// Off are the rules whose condition is false. They are not checked.
	Off               []ConfigRule
	Remediations      []RemediationConfiguration
	Packs             []ConformancePack
	OrganizationPacks []ConformancePack
	// Others are the resources of types that this package doesn't read.
	Others []Other
	// Notes say what was passed over, such as an attribute that is not known.
	Notes []Note
}

// Parameter is a declared parameter with the value that it has.
type Parameter struct {
	knowngood.Position
	Name, Type, Description string
	Default                 *string // nil: none
	Value                   string  // given, or the default
	NoEcho                  bool
}

// Other is a resource that is not read.
type Other struct {
	knowngood.Position
	LogicalID, Type string
}

// Note is something that is no error but may be unintended.
type Note struct {
	knowngood.Position
	Text string
}

// Governed is a rule with the remediation that is tied to it.
type Governed struct {
	Rule        ConfigRule
	Remediation *RemediationConfiguration // nil: none
}

// Governed gives each rule of the template with its remediation.
func (t *Template) Governed() []Governed {
	out := make([]Governed, len(t.Rules))
	for i, r := range t.Rules {
		out[i].Rule = r
		for j := range t.Remediations {
			if t.Remediations[j].ConfigRuleName == r.Name {
				out[i].Remediation = &t.Remediations[j]
			}
		}
	}
	return out
}

// Load reads a template in YAML or JSON. The error joins one
// *knowngood.FileError for each problem.
func Load(file string, data []byte, in Inputs) (*Template, error) {
	return load(file, data, origin{}, in)
}

func load(file string, data []byte, from origin, in Inputs) (*Template, error) {
	root, err := readNodes(file, data, from)
	if err != nil {
		return nil, err
	}
	l := &loader{t: &Template{File: file}, in: in, params: map[string]*node{}, conditions: map[string]*condition{}, ruleNames: map[string]*node{}}
	l.template(root)
	if len(l.problems) == 0 {
		return l.t, nil
	}
	slices.SortStableFunc(l.problems, func(a, b *knowngood.FileError) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Col - b.Col
	})
	errs := make([]error, len(l.problems))
	for i, p := range l.problems {
		errs[i] = p
	}
	return nil, errors.Join(errs...)
}

// loader is the work on one template.
type loader struct {
	t          *Template
	in         Inputs
	root       *node
	params     map[string]*node
	conditions map[string]*condition
	resources  map[string]*node
	ruleNames  map[string]*node // nil: it is being worked out, or wrong
	problems   []*knowngood.FileError
	size       int // bytes that functions have made
	depth      int // of value's calls
}

// maxMade bounds the text that a template's functions may make, so that a small
// file can't make a large one.
const maxMade = 16 << 20

// maxProblems is how many problems of one template are told.
const maxProblems = 200

func (l *loader) add(pos knowngood.Position, want, problem string, args ...any) {
	if len(l.problems) >= maxProblems {
		return
	}
	e := &knowngood.FileError{Position: pos, Problem: fmt.Sprintf(problem, args...), Want: want}
	for _, have := range l.problems { // a value that two places use has its problem once
		if *have == *e {
			return
		}
	}
	l.problems = append(l.problems, e)
}

func (l *loader) note(pos knowngood.Position, text string, args ...any) {
	l.t.Notes = append(l.t.Notes, Note{pos, fmt.Sprintf(text, args...)})
}

var sections = []string{
	"AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Rules", "Mappings",
	"Conditions", "Transform", "Resources", "Outputs", "Hooks",
}

func (l *loader) template(root *node) {
	if root.kind != mapNode {
		l.add(root.pos, "a template with Resources", "the template is %s", root.what())
		return
	}
	l.root = root
	for _, f := range root.fields {
		if !slices.Contains(sections, f.name) {
			l.add(f.pos, strings.Join(sections, ", "), "a template has no section %q", f.name)
		}
	}
	if t := root.get("Transform"); t != nil {
		l.note(t.pos, "Transform is not applied")
	}
	if d := root.get("Description"); d != nil {
		l.t.Description = text(d.scalar)
	}
	l.parameters(root.get("Parameters"))
	l.readConditions(root.get("Conditions"))
	resources := root.get("Resources")
	if resources == nil || resources.kind != mapNode || len(resources.fields) == 0 {
		pos := root.pos
		if resources != nil {
			pos = resources.pos
		}
		l.add(pos, "at least one resource", "the template has no Resources")
		return
	}
	l.resources = map[string]*node{}
	for _, f := range resources.fields {
		l.resources[f.name] = f.value
	}
	for _, f := range resources.fields {
		l.resource(f)
	}
	l.circles(resources)
	l.crossCheck()
}

var resourceAttributes = []string{
	"Type", "Properties", "DependsOn", "Condition", "Metadata", "DeletionPolicy", "UpdatePolicy", "UpdateReplacePolicy", "CreationPolicy",
}

// otherConfigTypes are the types of AWS::Config that are not read, from
// CloudFormation's resource type reference.
var otherConfigTypes = []string{
	"AWS::Config::AggregationAuthorization", "AWS::Config::ConfigurationAggregator", "AWS::Config::ConfigurationRecorder", "AWS::Config::DeliveryChannel",
	"AWS::Config::StoredQuery",
}

func (l *loader) resource(f field) {
	n := f.value
	if n.kind != mapNode {
		l.add(f.pos, "a map with a Type", "the resource %s is %s", f.name, n.what())
		return
	}
	for _, a := range n.fields {
		if !slices.Contains(resourceAttributes, a.name) {
			l.note(a.pos, "the resource %s has an attribute %q that CloudFormation does not know", f.name, a.name)
		}
	}
	typ := n.get("Type")
	if typ == nil || typ.kind != scalarNode || text(typ.scalar) == "" {
		l.add(f.pos, "a Type such as AWS::Config::ConfigRule", "the resource %s has no Type", f.name)
		return
	}
	l.dependsOn(f.name, n.get("DependsOn"))
	if c := n.get("Condition"); c != nil && !l.condition(c) {
		l.off(f, text(typ.scalar))
		return
	}
	read := map[string]func(string, *node){
		"AWS::Config::ConfigRule":                  l.rule,
		"AWS::Config::RemediationConfiguration":    l.remediation,
		"AWS::Config::ConformancePack":             l.pack,
		"AWS::Config::OrganizationConformancePack": l.organizationPack,
		"AWS::Config::OrganizationConfigRule":      l.organizationRule,
	}[text(typ.scalar)]
	if t := text(typ.scalar); read == nil && strings.HasPrefix(t, "AWS::Config::") && !slices.Contains(otherConfigTypes, t) {
		l.add(typ.pos, "one of AWS Config's types", "there is no resource type %s", t)
		return
	}
	if read == nil {
		l.t.Others = append(l.t.Others, Other{f.pos, f.name, text(typ.scalar)})
		return
	}
	properties := n.get("Properties")
	if properties == nil {
		l.add(f.pos, "Properties", "the resource %s has no Properties", f.name)
		return
	}
	if p := l.value(properties); p != nil {
		if p.kind != mapNode {
			l.add(properties.pos, "a map", "the Properties of %s are %s", f.name, p.what())
			return
		}
		p.pos = f.pos
		read(f.name, p)
	}
}

// off takes note of a rule whose condition is false. What is wrong in it is no
// problem: nothing comes of it.
func (l *loader) off(f field, typ string) {
	properties := f.value.get("Properties")
	if typ != "AWS::Config::ConfigRule" || properties == nil {
		return
	}
	problems, notes, rules := len(l.problems), len(l.t.Notes), len(l.t.Rules)
	if p := l.value(properties); p != nil && p.kind == mapNode {
		p.pos = f.pos
		l.rule(f.name, p)
	}
	l.t.Off = append(l.t.Off, l.t.Rules[rules:]...)
	l.problems, l.t.Notes, l.t.Rules = l.problems[:problems], l.t.Notes[:notes], l.t.Rules[:rules]
}

func (l *loader) dependsOn(id string, n *node) {
	for _, d := range names(n) {
		switch {
		case d.kind != scalarNode:
			l.add(d.pos, "a logical id or a list of them", "the DependsOn of %s is %s", id, d.what())
		case l.resources[text(d.scalar)] == nil:
			l.add(d.pos, "a resource of this template", "%s depends on %q, which is not there", id, text(d.scalar))
		}
	}
}

// names are the values of a list, or the one value.
func names(n *node) []*node {
	switch {
	case n == nil:
		return nil
	case n.kind == listNode:
		return n.list
	}
	return []*node{n}
}

// circles finds resources that depend on themselves by DependsOn, and says so
// once for each circle, where it closes.
func (l *loader) circles(resources *node) {
	const under, done = 1, 2
	state := map[string]int{}
	var path []string
	var visit func(id string)
	visit = func(id string) {
		state[id] = under
		path = append(path, id)
		if n := l.resources[id]; n != nil {
			for _, d := range names(n.get("DependsOn")) {
				target := text(d.scalar)
				switch {
				case d.kind != scalarNode || l.resources[target] == nil || len(l.problems) >= maxProblems:
				case state[target] == under:
					circle := append(slices.Clone(path[slices.Index(path, target):]), target)
					l.add(d.pos, "resources that can be made one after the other", "%s", strings.Join(circle, " depends on "))
				case state[target] == 0:
					visit(target)
				}
			}
		}
		path = path[:len(path)-1]
		state[id] = done
	}
	for _, f := range resources.fields {
		if state[f.name] == 0 {
			visit(f.name)
		}
	}
}
