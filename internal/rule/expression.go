package rule

import (
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
)

// expression is a checked CEL expression, ready to run.
type expression struct {
	source  string
	root    ast.Expr
	info    *ast.SourceInfo
	program cel.Program           // cel-go's own, for what we can't compile, and as the oracle of tests
	paths   map[string][][]string // that it reads: of the item by "", of other resources by their types
	reads   []string              // of the item
	timed   bool                  // it reads the time
}

// envelopeNames are the members of an item.
var envelopeNames = []string{
	"accountId", "arn", "availabilityZone", "awsRegion", "configuration", "configurationItemStatus", "relationships",
	"resourceCreationTime", "resourceId", "resourceName", "resourceType", "supplementaryConfiguration", "tags",
}

// costLimit bounds an evaluation, in CEL's units of cost.
const costLimit = 1_000_000

func (d *Definition) compile(add addProblem) {
	env, err := environment()
	if err != nil {
		add("compliant", "an environment of CEL", "%v", err)
		return
	}
	d.applies = compileExpression(env, "applies", d.Applies, cel.BoolType, add)
	d.compliant = compileExpression(env, "compliant", d.Compliant, cel.BoolType, add)
	d.annotation = compileExpression(env, "annotation", d.Annotation, cel.StringType, add)
	d.Others = map[string][]string{}
	for _, e := range []*expression{d.applies, d.compliant, d.annotation} {
		if e == nil {
			continue
		}
		d.Reads = append(d.Reads, e.reads...)
		for t, paths := range e.paths {
			if t != "" {
				d.Others[t] = sorted(append(d.Others[t], joined(paths)...))
			}
		}
	}
	d.Reads = sorted(d.Reads)
}

// compileExpression checks and plans a source; nil for an empty one.
func compileExpression(env *cel.Env, key, source string, want *cel.Type, add addProblem) *expression {
	if source == "" {
		return nil
	}
	checked, issues := env.Compile(source)
	if issues.Err() != nil {
		for _, e := range issues.Errors() {
			add(key, "a CEL expression", "%s, at line %d, column %d of the expression", e.Message, e.Location.Line(), e.Location.Column()+1)
		}
		return nil
	}
	if got := checked.OutputType(); !got.IsExactType(want) && !got.IsExactType(cel.DynType) {
		add(key, "an expression that gives "+want.String(), "it gives %s", got)
		return nil
	}
	program, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(costLimit))
	if err != nil {
		add(key, "a CEL expression", "%v", err)
		return nil
	}
	tree := checked.NativeRep()
	root := tree.Expr()
	w := &walker{bound: map[string]place{}, reads: map[string][][]string{}}
	w.expr(root)
	if w.problem != "" {
		add(key, "a literal", "%s", w.problem)
		return nil
	}
	for _, paths := range w.reads {
		for _, p := range paths {
			if len(p) > 0 && !slices.Contains(envelopeNames, p[0]) {
				add(key, "one of "+strings.Join(envelopeNames, ", "), "a resource has no member %s", p[0])
				return nil
			}
		}
	}
	e := &expression{source: source, root: root, info: tree.SourceInfo(), program: program, paths: w.reads, reads: joined(w.reads[""])}
	for _, ref := range tree.ReferenceMap() {
		e.timed = e.timed || ref.Name == "now"
	}
	return e
}
