package runbook

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/runbook/jsonpath"
)

// Parse reads a runbook in YAML or JSON. The error joins one
// *knowngood.FileError for each problem. What needs the API models, and what
// concerns more than one step, is left to Validate.
func Parse(file string, data []byte) (*Document, error) {
	root, err := readNodes(file, data)
	if err != nil {
		return nil, err
	}
	root = root.given()
	d := &Document{File: file, SHA256: hash(data), index: map[string]int{}}
	p := &docParser{checker{doc: d}}
	p.document(root)
	d.warnings = p.warnings
	if len(p.problems) > 0 {
		errs := make([]error, len(p.problems))
		for i, problem := range p.problems {
			errs[i] = problem
		}
		return nil, errors.Join(errs...)
	}
	return d, nil
}

// Problems are those that an error of Parse joins.
func Problems(err error) []*knowngood.FileError {
	var one *knowngood.FileError
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var list []*knowngood.FileError
		for _, e := range many.Unwrap() {
			list = append(list, Problems(e)...)
		}
		return list
	}
	if errors.As(err, &one) {
		return []*knowngood.FileError{one}
	}
	return nil
}

// schema is what an Automation document says of itself.
var schema = regexp.MustCompile(`schemaVersion['"]?\s*:\s*['"]?0\.3\b`)

// Looks says whether a file's content looks like a runbook, right or wrong.
func Looks(data []byte) bool { return schema.Match(data) }

type docParser struct{ checker }

// object reports a node that is no map, and keys that are not known.
func (p *docParser) object(n *node, what string, known ...string) bool {
	if n.kind != mapNode {
		p.add(n.pos, "a map", "%s is %s", what, n.what())
		return false
	}
	for _, f := range n.fields {
		if !slices.Contains(known, f.name) {
			p.add(f.pos, strings.Join(known, ", "), "%s has no key %q%s", what, f.name, near(f.name, known))
		}
	}
	return true
}

func (p *docParser) str(n *node, what string) string {
	if n == nil {
		return ""
	}
	if n.kind != scalarNode {
		p.add(n.pos, "text", "%s is %s", what, n.what())
		return ""
	}
	return text(n.scalar)
}

func (p *docParser) document(root *node) {
	if n := root.get("executableRunBooks"); n != nil {
		p.add(n.pos, "an Automation runbook", "the document is a change template, which a request of Change Manager runs")
		return
	}
	if !p.object(root, "the document", "schemaVersion", "description", "assumeRole", "parameters", "variables", "mainSteps", "outputs", "files") {
		return
	}
	version := root.get("schemaVersion")
	switch v := p.str(version, "schemaVersion"); {
	case version == nil:
		p.add(root.pos, "schemaVersion: '0.3'", "the document has no schemaVersion")
	case v != "0.3":
		p.add(version.pos, "'0.3', an Automation runbook", "schemaVersion is %s", excerpt(v))
	}
	p.doc.Description = p.str(root.get("description"), "description")
	p.doc.assumeRole = root.get("assumeRole")
	p.str(p.doc.assumeRole, "assumeRole")
	p.templates(p.doc.assumeRole)
	p.files(root.get("files"))
	p.parameters(root.get("parameters"))
	p.variables(root.get("variables"))
	p.outputRefs(root.get("outputs"))
	steps := root.get("mainSteps")
	switch {
	case steps == nil:
		p.add(root.pos, "mainSteps: a list of steps", "the document has no mainSteps")
	case steps.kind != listNode || len(steps.list) == 0:
		p.add(steps.pos, "a list of steps", "mainSteps is %s", emptyOr(steps))
	case len(steps.list) > MaxSteps:
		p.add(steps.pos, fmt.Sprintf("at most %d", MaxSteps), "mainSteps has %d steps", len(steps.list))
	default:
		p.steps(steps.list)
	}
}

func emptyOr(n *node) string {
	if n.kind == listNode || n.kind == mapNode && len(n.fields) == 0 {
		return "empty"
	}
	return n.what()
}

// templates compiles the references in all texts below a node. A text of several
// lines, such as a template's or an instance's user data, is a program's too, in
// which other braces than references are its own.
func (p *docParser) templates(n *node) { p.texts(n, false) }

// texts is templates; commands says that each text is a program's.
func (p *docParser) texts(n *node, commands bool) {
	if n == nil {
		return
	}
	if s, ok := n.scalar.(string); ok && n.kind == scalarNode {
		t, err := parseTemplate(s)
		switch {
		case err == nil:
			n.text = t
		case commands || strings.Contains(s, "\n"):
			n.text = parseProgram(s)
		default:
			p.add(n.pos, "{{ Parameter }}, {{ Step.Output }}, {{ variable:Name }} or {{ global:REGION }}", "%s", oneLine(err))
		}
	}
	for _, item := range n.list {
		p.texts(item, commands)
	}
	for _, f := range n.fields {
		p.texts(f.value, commands)
	}
}

func oneLine(err error) string {
	first, _, _ := strings.Cut(err.Error(), "\n")
	return first
}

func (p *docParser) typeOf(n *node, what string, aws bool, standard Type) Type {
	if n == nil {
		return standard
	}
	t := Type(p.str(n, what+": type"))
	base, ok := t.base()
	if !ok || !aws && base != t {
		p.add(n.pos, strings.Join(typeNames, ", "), "%s has the type %s%s", what, excerpt(string(t)), near(string(t), typeNames))
	}
	return t
}

func (p *docParser) integer(n *node, what string) *int64 {
	if n == nil {
		return nil
	}
	v, err := integer(n.scalar)
	if n.kind != scalarNode || err != nil {
		p.add(n.pos, "a whole number", "%s is %s", what, excerpt(text(n.plain())))
		return nil
	}
	i := v.(int64)
	if i < 0 {
		p.add(n.pos, "zero or more", "%s is %d", what, i)
	}
	return &i
}

func (p *docParser) bool(n *node, what string, standard bool) bool {
	if n == nil {
		return standard
	}
	v, err := boolean(n.scalar)
	if n.kind != scalarNode || err != nil {
		p.add(n.pos, "true or false", "%s is %s", what, excerpt(text(n.plain())))
		return standard
	}
	return v.(bool)
}

// given is a map without the members that are null: a key with nothing after it
// says nothing.
func (n *node) given() *node {
	if n.kind != mapNode {
		return n
	}
	out := *n
	out.fields = slices.DeleteFunc(slices.Clone(n.fields), func(f field) bool { return f.value.kind == scalarNode && f.value.scalar == nil })
	return &out
}

func (p *docParser) outputRefs(n *node) {
	if n == nil {
		return
	}
	if n.kind != listNode {
		p.add(n.pos, "a list of Step.Output", "outputs is %s", n.what())
		return
	}
	for _, item := range n.list {
		s := strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(p.str(item, "an output"), "{{"), "}}"))
		ref, err := ParseReference(s)
		if err != nil || ref.Kind != RefOutput && ref.Kind != RefVariable {
			p.add(item.pos, "Step.Output", "the output %s", excerpt(s))
			continue
		}
		p.doc.OutputRefs = append(p.doc.OutputRefs, ref)
		p.doc.outputPos = append(p.doc.outputPos, item.pos)
	}
}

var stepName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

func (p *docParser) steps(list []*node) {
	d := p.doc
	broken := map[string]bool{} // steps with problems of which others would follow
	d.main = p.collect(list, nil, broken)
	for _, s := range d.steps {
		if s.body != nil {
			p.follow(s.body)
		}
	}
	p.follow(d.main)
	for _, s := range d.steps {
		p.targets(s)
		if s.run != nil && !broken[s.Name] {
			s.run.check(&p.checker, s)
		}
	}
	p.wanted()
}

// collect reads a list of steps, mainSteps or those of a loop.
func (p *docParser) collect(list []*node, parent *Step, broken map[string]bool) []*Step {
	d := p.doc
	var out []*Step
	for _, n := range list {
		if len(d.steps) >= MaxSteps {
			p.add(n.pos, fmt.Sprintf("at most %d", MaxSteps), "the document has more than %d steps", MaxSteps)
			return out
		}
		before := len(p.problems)
		s := p.step(n)
		if s == nil {
			continue
		}
		broken[s.Name] = len(p.problems) > before
		if first, ok := d.Step(s.Name); ok {
			p.add(s.Position, "another name", "the step %s is there twice, first in line %d", s.Name, first.Position.Line)
			continue
		}
		s.parent, s.number = parent, len(d.steps)
		d.index[s.Name] = s.number
		d.steps = append(d.steps, s)
		out = append(out, s)
		if s.Action == "aws:loop" {
			p.loop(s, broken)
		}
	}
	return out
}

// loop takes the steps and the condition of a loop out of its inputs, since their
// references are resolved each time round.
func (p *docParser) loop(s *Step, broken map[string]bool) {
	var steps *node
	if s.inputs != nil {
		rest := *s.inputs
		rest.fields = nil
		for _, f := range s.inputs.fields {
			switch f.name {
			case "Steps":
				steps = f.value
			case "LoopCondition":
				s.condition = f.value
			default:
				rest.fields = append(rest.fields, f)
			}
		}
		s.inputs = &rest
	}
	switch {
	case steps == nil:
		p.add(s.Position, "Steps: a list of steps", "step %s: the loop has no Steps", s.Name)
	case steps.kind != listNode || len(steps.list) == 0:
		p.add(steps.pos, "a list of steps", "step %s: Steps is %s", s.Name, emptyOr(steps))
	default:
		s.body = p.collect(steps.list, s, broken)
	}
	if len(s.body) == 0 { // it is reported, and must not be run
		s.run = nil
	}
}

// follow finds the step that runs after each step's success.
func (p *docParser) follow(list []*Step) {
	for i, s := range list {
		switch {
		case s.NextStep != "":
			s.following = s.NextStep
		case !s.IsEnd && i+1 < len(list):
			s.following = list[i+1].Name
		}
	}
}

// wanted notes which steps' whole responses are referred to.
func (p *docParser) wanted() {
	mark := func(r Reference) {
		if s, ok := p.doc.Step(r.Step); ok && r.Kind == RefOutput && r.Name == outputPayload {
			s.wantsPayload = true
		}
	}
	for _, r := range p.doc.OutputRefs {
		mark(r)
	}
	for _, s := range p.doc.steps {
		for _, r := range s.timeout.refs(s.condition.refs(s.inputs.refs(nil))) {
			mark(r.Reference)
		}
	}
}

// stepKeys are the keys of a step: "Properties shared by all actions".
var stepKeys = []string{"name", "action", "description", "onFailure", "onCancel", "isCritical", "isEnd", "nextStep", "maxAttempts", "timeoutSeconds", "inputs", "outputs"}

func (p *docParser) step(n *node) *Step {
	if !p.object(n, "a step", stepKeys...) {
		return nil
	}
	n = n.given()
	s := &Step{
		Name:     p.str(n.get("name"), "name"),
		Position: n.pos,
		inputs:   n.get("inputs"),
		timeout:  n.get("timeoutSeconds"),
		keys:     map[string]knowngood.Position{},
	}
	for _, f := range n.fields {
		s.keys[f.name] = f.value.pos
	}
	if pos, ok := s.keys["name"]; ok {
		s.Position = pos
	}
	what := "step " + s.Name
	if s.Name == "" {
		p.add(n.pos, "name", "a step has no name")
		return nil
	}
	if !stepName.MatchString(s.Name) {
		p.add(s.Position, "up to 128 letters, digits, _ and -", "the step has the name %s", excerpt(s.Name))
		return nil
	}
	s.Action = p.str(n.get("action"), what+": action")
	if s.Action == "" {
		p.add(s.Position, "action", "%s has no action", what)
	}
	s.run = actions[s.Action]
	s.Description = p.str(n.get("description"), what+": description")
	s.NextStep = p.str(n.get("nextStep"), what+": nextStep")
	s.IsEnd = p.bool(n.get("isEnd"), what+": isEnd", false)
	s.OnFailure = p.jump(n.get("onFailure"), what+": onFailure", "Abort", "Continue")
	s.OnCancel = p.jump(n.get("onCancel"), what+": onCancel", "Abort")
	s.IsCritical = p.bool(n.get("isCritical"), what+": isCritical", s.OnFailure != "Continue")
	s.MaxAttempts = 1
	if v := p.integer(n.get("maxAttempts"), what+": maxAttempts"); v != nil {
		if s.MaxAttempts = *v; *v < 1 || *v > maxAttempts {
			p.add(s.keys["maxAttempts"], fmt.Sprintf("1 to %d", maxAttempts), "%s: maxAttempts is %d", what, *v)
		}
	}
	if s.timeout != nil {
		p.templates(s.timeout)
		if s.timeout.text == nil {
			if v := p.integer(s.timeout, what+": timeoutSeconds"); v != nil && (*v == 0 || *v > maxTimeout) {
				p.add(s.timeout.pos, fmt.Sprintf("1 to %d", maxTimeout), "%s: timeoutSeconds is %d", what, *v)
			}
		}
	}
	if s.inputs != nil && s.inputs.kind != mapNode {
		if s.inputs.kind != scalarNode || s.inputs.scalar != nil {
			p.add(s.inputs.pos, "a map", "%s: inputs is %s", what, s.inputs.what())
		}
		s.inputs = nil
	}
	p.inputs(s)
	p.outputs(s, n.get("outputs"))
	return s
}

// inputs compiles the references in a step's inputs, but for the steps inside a
// loop, which are compiled when they are read.
func (p *docParser) inputs(s *Step) {
	if s.inputs == nil {
		return
	}
	for _, f := range s.inputs.fields {
		switch {
		case s.Action == "aws:loop" && f.name == "Steps":
		case s.Action == scriptAction && f.name == "Script":
			p.program(f.value)
		case s.Action == "aws:runCommand" && f.name == "Parameters":
			p.texts(f.value, true)
		default:
			p.templates(f.value)
		}
	}
}

// program compiles the references in a program's text. Braces have a meaning of
// their own there: what is no reference to something that is there stays as it is.
func (p *docParser) program(n *node) {
	s, ok := n.scalar.(string)
	if !ok || n.kind != scalarNode {
		return
	}
	n.text = parseProgram(s)
	n.program = true
}

const (
	maxAttempts = 100
	maxTimeout  = 30 * 24 * 3600 // seconds; AWS's limit for a step that waits for a person
)

// jump reads onFailure or onCancel: one of the words, or step:NAME.
func (p *docParser) jump(n *node, what string, words ...string) string {
	if n == nil {
		return "Abort"
	}
	v := strings.TrimSpace(p.str(n, what))
	for _, w := range words {
		if strings.EqualFold(v, w) {
			return w
		}
	}
	if name, ok := strings.CutPrefix(v, "step:"); ok {
		return "step:" + strings.TrimSpace(name)
	}
	p.add(n.pos, strings.Join(words, ", ")+" or step:NAME", "%s is %s", what, excerpt(v))
	return "Abort"
}

// targets checks the steps that a step names.
func (p *docParser) targets(s *Step) {
	if s.NextStep != "" {
		p.target(s.keys["nextStep"], s, "nextStep", s.NextStep)
	}
	if name, ok := strings.CutPrefix(s.OnFailure, "step:"); ok {
		p.target(s.keys["onFailure"], s, "onFailure", name)
	}
	if name, ok := strings.CutPrefix(s.OnCancel, "step:"); ok {
		p.target(s.keys["onCancel"], s, "onCancel", name)
	}
}

func (p *docParser) outputs(s *Step, n *node) {
	if n == nil {
		return
	}
	list := n.list
	switch n.kind {
	case scalarNode:
		p.add(n.pos, "a list of outputs", "step %s: outputs is %s", s.Name, n.what())
		return
	case mapNode: // a single one, as AWS's description of the schema has it
		list = []*node{n}
	}
	for _, item := range list {
		what := fmt.Sprintf("step %s: an output", s.Name)
		if !p.object(item, what, "Name", "Selector", "Type") {
			continue
		}
		o := Output{
			Name:     p.str(item.get("Name"), what),
			Selector: p.str(item.get("Selector"), what),
			Type:     p.typeOf(item.get("Type"), what, false, String),
			pos:      item.pos,
		}
		if !outputForm.MatchString(o.Name) {
			p.add(item.pos, "Name: letters, digits, _, -, . and spaces between them", "%s has the name %s", what, excerpt(o.Name))
			continue
		}
		if slices.ContainsFunc(s.Outputs, func(other Output) bool { return other.Name == o.Name }) {
			p.add(item.pos, "another name", "step %s: the output %s is there twice", s.Name, o.Name)
			continue
		}
		path, err := jsonpath.Parse(o.Selector)
		if err != nil {
			pos := item.pos
			if sel := item.get("Selector"); sel != nil {
				pos = sel.pos
			}
			p.add(pos, "Selector: a JSONPath", "step %s: the output %s: %v", s.Name, o.Name, err)
			continue
		}
		o.path = path
		s.Outputs = append(s.Outputs, o)
	}
}
