package rule

import (
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// expression is a checked CEL expression, ready to run.
type expression struct {
	program cel.Program
	reads   []string
}

// environment is what expressions may name.
func environment() (*cel.Env, error) {
	return cel.NewEnv(
		cel.Variable("resource", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("params", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("now", cel.TimestampType),
		cel.CrossTypeNumericComparisons(true),
		cel.Function("isDate", cel.Overload("is_date_string", []*cel.Type{cel.StringType}, cel.BoolType, cel.UnaryBinding(isDate))),
		cel.Function("date", cel.Overload("date_string", []*cel.Type{cel.StringType}, cel.TimestampType, cel.UnaryBinding(date))),
	)
}

// isDate says whether a text is a day as YYYY-MM-DD.
func isDate(v ref.Val) ref.Val {
	s, _ := v.Value().(string)
	_, err := time.Parse(time.DateOnly, s)
	return types.Bool(err == nil)
}

// date is the beginning of a day, in UTC.
func date(v ref.Val) ref.Val {
	s, _ := v.Value().(string)
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return types.NewErr("date: %q is no day as YYYY-MM-DD", s)
	}
	return types.Timestamp{Time: t}
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
	for _, e := range []*expression{d.applies, d.compliant, d.annotation} {
		if e != nil {
			d.Reads = append(d.Reads, e.reads...)
		}
	}
	slices.Sort(d.Reads)
	d.Reads = slices.Compact(d.Reads)
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
	return &expression{program: program, reads: readsOf(checked.NativeRep().Expr())}
}

// readsOf finds what of the resource an expression reads: the longest paths of
// members, with the elements of a list counted as the list. It follows the
// variables of macros such as exists.
func readsOf(e ast.Expr) []string {
	w := &walker{bound: map[string][]string{}}
	w.expr(e)
	slices.Sort(w.reads)
	return slices.Compact(w.reads)
}

type walker struct {
	bound map[string][]string // path of each macro's variable
	reads []string
}

// path is the path that an expression stands for, rooted at the resource.
func (w *walker) path(e ast.Expr) ([]string, bool) {
	switch e.Kind() {
	case ast.IdentKind:
		if p, ok := w.bound[e.AsIdent()]; ok {
			return p, p != nil
		}
		return nil, e.AsIdent() == "resource"
	case ast.SelectKind:
		p, ok := w.path(e.AsSelect().Operand())
		return append(slices.Clip(p), e.AsSelect().FieldName()), ok
	case ast.CallKind:
		c := e.AsCall()
		if c.FunctionName() != operators.Index || len(c.Args()) != 2 {
			return nil, false
		}
		p, ok := w.path(c.Args()[0])
		if !ok {
			return nil, false
		}
		if key := c.Args()[1]; key.Kind() == ast.LiteralKind {
			if s, isText := key.AsLiteral().Value().(string); isText {
				return append(slices.Clip(p), s), true
			}
			return p, true // an element of a list
		}
		w.expr(c.Args()[1])
		return p, true
	}
	return nil, false
}

func (w *walker) expr(e ast.Expr) {
	if p, ok := w.path(e); ok {
		w.reads = append(w.reads, strings.Join(p, "."))
		return
	}
	switch e.Kind() {
	case ast.SelectKind:
		w.expr(e.AsSelect().Operand())
	case ast.CallKind:
		c := e.AsCall()
		if c.IsMemberFunction() {
			w.expr(c.Target())
		}
		for _, a := range c.Args() {
			w.expr(a)
		}
	case ast.ListKind:
		for _, item := range e.AsList().Elements() {
			w.expr(item)
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			w.expr(entry.AsMapEntry().Key())
			w.expr(entry.AsMapEntry().Value())
		}
	case ast.StructKind:
		for _, f := range e.AsStruct().Fields() {
			w.expr(f.AsStructField().Value())
		}
	case ast.ComprehensionKind:
		w.comprehension(e.AsComprehension())
	}
}

func (w *walker) comprehension(c ast.ComprehensionExpr) {
	over, ok := w.path(c.IterRange())
	w.expr(c.IterRange())
	w.expr(c.AccuInit())
	names := map[string][]string{c.IterVar(): nil, c.AccuVar(): nil}
	if c.HasIterVar2() {
		names[c.IterVar2()] = nil
	}
	if ok {
		names[c.IterVar()] = over
		if c.HasIterVar2() { // then the first is an index or a key
			names[c.IterVar()], names[c.IterVar2()] = nil, over
		}
	}
	before := map[string][]string{}
	had := map[string]bool{}
	for name, p := range names {
		before[name], had[name] = w.bound[name], false
		if _, is := w.bound[name]; is {
			had[name] = true
		}
		w.bound[name] = p
	}
	w.expr(c.LoopCondition())
	w.expr(c.LoopStep())
	for name := range names {
		delete(w.bound, name)
		if had[name] {
			w.bound[name] = before[name]
		}
	}
	w.expr(c.Result())
}
