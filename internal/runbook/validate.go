package runbook

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

// Validate reports, in the order of their places, what Parse can't see:
// actions that do not exist or are not run by this version, services,
// operations and inputs that the models do not have, references to what does
// not exist, circles without an end, onCancel where AWS does not allow it. It
// returns nil for a document that can be run.
func (d *Document) Validate(cat *awsapi.Catalog) []*knowngood.FileError {
	problems, _ := d.lint(cat)
	return problems
}

// Lint is Validate, and gives besides what can be run but is probably not meant,
// and what AWS runs too: references to what can't have run before, steps that
// nothing leads to, lists for single values, limits above AWS's.
func (d *Document) Lint(cat *awsapi.Catalog) (problems, warnings []*knowngood.FileError) {
	return d.lint(cat)
}

func (d *Document) lint(cat *awsapi.Catalog) (problems, warnings []*knowngood.FileError) {
	v := &validator{checker: checker{doc: d, warnings: slices.Clone(d.warnings)}, catalog: cat}
	v.references(nil, d.assumeRole)
	for i, ref := range d.OutputRefs {
		v.reference(nil, placedRef{Reference: ref, at: &node{pos: d.outputPos[i]}})
	}
	for _, s := range d.steps {
		v.action(s)
		v.cancel(s)
		v.limits(s)
		v.types(s)
		v.references(s, s.inputs)
		v.references(s, s.condition)
		v.references(s, s.timeout)
	}
	v.flow()
	for _, list := range [][]*knowngood.FileError{v.problems, v.warnings} {
		slices.SortStableFunc(list, func(a, b *knowngood.FileError) int {
			return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
		})
	}
	return v.problems, v.warnings
}

type validator struct {
	checker
	catalog *awsapi.Catalog
	before  [][]bool // before[i][j]: step j can have run before step i; made when needed
}

func (v *validator) action(s *Step) {
	switch {
	case s.run != nil:
	case slices.Contains(ownActions, s.Action):
		v.warn(s.keys["action"], "", "step %s: %s is an action of AWS's own documents, and is not run here", s.Name, s.Action)
		return
	default:
		v.add(s.keys["action"], "an action of SSM Automation", "step %s: there is no action %s%s", s.Name, excerpt(s.Action), near(s.Action, actionNames()))
		return
	}
	if _, ok := s.run.(projector); !ok && len(s.Outputs) > 0 {
		v.add(s.keys["outputs"], "", "step %s: %s has no response to take outputs from", s.Name, s.Action)
	}
	c, ok := s.run.(caller)
	if !ok {
		return
	}
	for _, site := range c.calls(s) {
		v.call(s, site)
	}
}

func (v *validator) call(s *Step, site callSite) {
	service, err := serviceOf(v.catalog, site.service)
	if err != nil {
		v.add(place(s, site.at), "a service by botocore's name", "step %s: %v", s.Name, err)
		return
	}
	op, err := service.Operation(site.operation)
	if err != nil {
		v.add(place(s, site.atOperation), "an operation of "+service.Name, "step %s: %v", s.Name, err)
		return
	}
	if op.EventStream() {
		v.add(place(s, site.atOperation), "", "step %s: %s:%s answers with an event stream, which can't be awaited", s.Name, service.Name, op.Name)
	}
	if site.input != nil {
		m := &modelCheck{v: v, s: s, op: service.Name + ":" + op.Name, operation: op}
		m.structure(op.Input, site.input, "", site.skip)
	}
}

// serviceOf finds a service by the name in a document. Botocore's names are in
// lower case; AWS's own runbooks write "SQS" and "logs " as well.
func serviceOf(cat *awsapi.Catalog, name string) (*awsapi.Service, error) {
	service, err := cat.Service(name)
	if err != nil {
		if lower, err := cat.Service(strings.ToLower(strings.TrimSpace(name))); err == nil {
			return lower, nil
		}
	}
	return service, err
}

func place(s *Step, n *node) knowngood.Position {
	if n == nil {
		return s.Position
	}
	return n.pos
}

// cancel checks onCancel: not on a loop, and not to an action that AWS does
// not allow there.
func (v *validator) cancel(s *Step) {
	name, ok := strings.CutPrefix(s.OnCancel, "step:")
	if !ok {
		return
	}
	if s.Action == "aws:loop" {
		v.add(s.keys["onCancel"], "", "step %s: aws:loop has no onCancel", s.Name)
	}
	if target, ok := v.doc.Step(name); ok && slices.Contains(noCancelTarget, target.Action) {
		v.add(s.keys["onCancel"], "a step that is none of "+strings.Join(noCancelTarget, ", "), "step %s: onCancel leads to %s, which is %s", s.Name, name, target.Action)
	}
}

func (v *validator) limits(s *Step) {
	a, ok := s.run.(timed)
	if !ok || s.timeout == nil || s.timeout.text != nil {
		return
	}
	if _, most := a.timeout(); most > 0 {
		if n, err := integer(s.timeout.scalar); err == nil && n.(int64) > int64(most.Seconds()) {
			v.warn(s.timeout.pos, fmt.Sprintf("at most %d", int64(most.Seconds())), "step %s: timeoutSeconds of %s is %d", s.Name, s.Action, n)
		}
	}
}

func (v *validator) references(s *Step, n *node) {
	for _, r := range n.refs(nil) {
		if r.at.program && !v.doc.known(r.Reference) {
			continue // braces of the program's own
		}
		v.reference(s, r)
	}
}

// reference checks that what a reference names exists and can be there. s is
// the step that it stands in, nil for the document itself.
func (v *validator) reference(s *Step, r placedRef) {
	where := "the document"
	if s != nil {
		where = "step " + s.Name
	}
	switch r.Kind {
	case RefParameter:
		if v.doc.parameter(r.Name) == nil {
			var names []string
			for _, p := range v.doc.Parameters {
				names = append(names, p.Name)
			}
			v.add(r.at.pos, "a parameter of the document", "%s: there is no parameter %s%s", where, excerpt(r.Name), near(r.Name, names))
		}
	case RefVariable:
		if v.doc.variable(r.Name) == nil {
			var names []string
			for _, p := range v.doc.Variables {
				names = append(names, p.Name)
			}
			v.add(r.at.pos, "a variable of the document", "%s: there is no variable %s%s", where, excerpt(r.Name), near(r.Name, names))
		}
	case RefStore:
		v.add(r.at.pos, "a parameter of the document with this default", "%s: {{ %s }}: Parameter Store can be referred to in a parameter's default only", where, r.Name)
	case RefOutput:
		v.output(s, where, r)
	}
}

func (v *validator) output(s *Step, where string, r placedRef) {
	if s == nil && r.at == v.doc.assumeRole {
		v.add(r.at.pos, "a parameter", "the document: assumeRole can't refer to a step")
		return
	}
	from, ok := v.doc.Step(r.Step)
	if !ok {
		var names []string
		for _, other := range v.doc.steps {
			names = append(names, other.Name)
		}
		v.add(r.at.pos, "the name of a step", "%s: {{ %s }}: there is no step %s%s", where, r.Reference, excerpt(r.Step), near(r.Step, names))
		return
	}
	if from.run == nil { // its outputs are not known; the action is reported
		return
	}
	if _, ok := from.output(r.Name); !ok {
		var names []string
		for _, o := range v.doc.Outputs(from.Name) {
			names = append(names, o.Name)
		}
		v.add(r.at.pos, "an output of "+from.Name, "%s: {{ %s }}: step %s has no output %s%s", where, r.Reference, from.Name, excerpt(r.Name), near(r.Name, names))
		return
	}
	if s == nil {
		return
	}
	if v.before == nil {
		v.before = reachability(v.doc)
	}
	if !v.before[s.number][from.number] {
		v.warn(r.at.pos, "a step that runs before "+s.Name, "%s: {{ %s }}: step %s can't have run before it", where, r.Reference, from.Name)
	}
}

// successors are the steps that can follow a step, however it ends.
func successors(d *Document, s *Step, failing bool) []int {
	names := d.Arms(s.Name)
	if s.body != nil {
		names = append(slices.Clip(names), s.body[0].Name)
	}
	if s.parent != nil && slices.Contains(names, End) {
		names = append(slices.Clip(names), s.parent.Name) // the loop says whether it goes round
	}
	if failing {
		for _, jump := range []string{s.OnFailure, s.OnCancel} {
			if name, ok := strings.CutPrefix(jump, "step:"); ok {
				names = append(slices.Clip(names), name)
			}
		}
		if s.OnFailure == "Continue" {
			names = append(slices.Clip(names), s.following)
		}
	}
	var next []int
	for _, name := range names {
		if i, ok := d.index[name]; ok && name != End {
			next = append(next, i)
		}
	}
	return next
}

// reachability says of each step which steps can have run before it.
func reachability(d *Document) [][]bool {
	n := len(d.steps)
	before := make([][]bool, n)
	for i := range before {
		before[i] = make([]bool, n)
	}
	next := make([][]int, n)
	for i, s := range d.steps {
		next[i] = successors(d, s, true)
	}
	for from := range d.steps {
		queue := slices.Clone(next[from])
		for len(queue) > 0 {
			i := queue[len(queue)-1]
			queue = queue[:len(queue)-1]
			if !before[i][from] {
				before[i][from] = true
				queue = append(queue, next[i]...)
			}
		}
	}
	return before
}

// flow reports steps that nothing leads to, and steps from which no way leads
// to an end: a circle may be left through a choice or a failure only if there
// is one.
func (v *validator) flow() {
	d := v.doc
	reached := make([]bool, len(d.steps))
	var queue []int
	if len(d.steps) > 0 {
		queue, reached[0] = []int{0}, true
	}
	for len(queue) > 0 {
		i := queue[0]
		queue = queue[1:]
		for _, next := range successors(d, d.steps[i], true) {
			if !reached[next] {
				reached[next] = true
				queue = append(queue, next)
			}
		}
	}
	for i, s := range d.steps {
		if !reached[i] {
			v.warn(s.Position, "", "no way leads to step %s", s.Name)
		}
	}
	// A step ends if an end is among its arms, or a step that ends is; the
	// default onFailure, Abort, is no way that an author means to go.
	ends := make([]bool, len(d.steps))
	for changed := true; changed; {
		changed = false
		for i := len(d.steps) - 1; i >= 0; i-- {
			s := d.steps[i]
			if ends[i] {
				continue
			}
			ends[i] = s.parent == nil && slices.Contains(d.Arms(s.Name), End) ||
				slices.ContainsFunc(successors(d, s, true), func(next int) bool { return ends[next] })
			changed = changed || ends[i]
		}
	}
	for i, s := range d.steps {
		if reached[i] && !ends[i] {
			v.add(s.Position, "a way to the end of the run", "step %s is on a circle that has no way out", s.Name)
			return // one message for each circle would repeat it for every step
		}
	}
}
