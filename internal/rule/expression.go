package rule

import (
	"slices"

	"cel.dev/cel-go/cel"
)

// expression is a checked CEL expression, ready to run.
type expression struct {
	program cel.Program
	reads   []string            // of the item
	others  map[string][]string // of other resources, by type
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
		for t, reads := range e.others {
			d.Others[t] = sorted(append(d.Others[t], reads...))
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
	w := &walker{bound: map[string]place{}, reads: map[string][]string{}}
	w.expr(checked.NativeRep().Expr())
	if w.problem != "" {
		add(key, "a literal", "%s", w.problem)
		return nil
	}
	e := &expression{program: program, reads: sorted(w.reads[""]), others: w.reads}
	delete(e.others, "")
	return e
}

func sorted(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}
