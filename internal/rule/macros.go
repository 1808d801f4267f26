package rule

import (
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// comprehension compiles what the macros all, exists, exists_one, map and filter
// become. They are told by their steps; a comprehension of another form is left to
// cel-go.
func (c *compiler) comprehension(e ast.ComprehensionExpr) code {
	if e.HasIterVar2() {
		return c.unable("a macro of two variables")
	}
	over := c.expr(e.IterRange())
	slot := len(c.scope)
	c.scope = append(c.scope, variable{e.IterVar(), slot, c.place(e.IterRange())})
	*c.depth = max(*c.depth, len(c.scope))
	defer func() { c.scope = c.scope[:slot] }()

	iterRange := over.evaluator()
	accu := e.AccuVar()
	step := e.LoopStep()
	if step.Kind() != ast.CallKind {
		return c.unable("a comprehension that is no macro's")
	}
	call := step.AsCall()
	args := call.Args()
	switch {
	case call.FunctionName() == operators.LogicalAnd && isAccu(args[0], accu) && isLiteral(e.AccuInit(), types.True) && isAccu(e.Result(), accu):
		return quantifier(iterRange, slot, c.expr(args[1]).tester(), no)
	case call.FunctionName() == operators.LogicalOr && isAccu(args[0], accu) && isLiteral(e.AccuInit(), types.False) && isAccu(e.Result(), accu):
		return quantifier(iterRange, slot, c.expr(args[1]).tester(), yes)
	case call.FunctionName() == operators.Conditional && isAccu(args[2], accu) && isLiteral(e.AccuInit(), types.Int(0)):
		return exactlyOne(iterRange, slot, c.expr(args[0]).tester())
	case call.FunctionName() == operators.Conditional && isAccu(args[2], accu) && isAccu(e.Result(), accu):
		if element, ok := appended(args[1], accu); ok {
			return mapping(iterRange, slot, c.expr(args[0]).tester(), c.expr(element).evaluator())
		}
	case call.FunctionName() == operators.Add && isAccu(e.Result(), accu):
		if element, ok := appended(step, accu); ok {
			return mapping(iterRange, slot, nil, c.expr(element).evaluator())
		}
	}
	return c.unable("a comprehension that is no macro's")
}

func isAccu(e ast.Expr, accu string) bool {
	return e.Kind() == ast.IdentKind && e.AsIdent() == accu
}

func isLiteral(e ast.Expr, want any) bool {
	return e.Kind() == ast.LiteralKind && e.AsLiteral() == want
}

// appended gives x of accu + [x].
func appended(e ast.Expr, accu string) (ast.Expr, bool) {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != operators.Add || len(e.AsCall().Args()) != 2 {
		return nil, false
	}
	args := e.AsCall().Args()
	if !isAccu(args[0], accu) || args[1].Kind() != ast.ListKind || len(args[1].AsList().Elements()) != 1 {
		return nil, false
	}
	return args[1].AsList().Elements()[0], true
}

// ranged gives the range of a macro. An empty text counts as an empty range, as
// cel-go has it.
func (m *machine) ranged(v value) (it iterator, err value) {
	switch {
	case v.isList(), v.isMap():
		return m.iterate(v), value{kind: kindNull}
	case v.kind == kindString && v.str == "":
		return m.iterate(value{kind: kindList}), value{kind: kindNull}
	case v.isError():
		return it, v
	}
	return it, value{str: "neither a list nor a map to go through"}
}

// quantifier is exists where stop is yes, all where it is no: an element for which
// the predicate is stop decides, and an error counts only if none does.
func quantifier(over func(*machine) value, slot int, predicate func(*machine) tri, stop tri) code {
	other := yes - stop
	return code{test: func(m *machine) tri {
		it, err := m.ranged(over(m))
		if err.isError() {
			return m.fail(err)
		}
		result, why := other, ""
		for it.next(m) {
			m.vars[slot] = it.value
			switch predicate(m) {
			case stop:
				return stop
			case bad:
				if result != bad {
					result, why = bad, m.err
				}
			}
		}
		if result == bad {
			m.err = why
		}
		return result
	}}
}

// exactlyOne is exists_one.
func exactlyOne(over func(*machine) value, slot int, predicate func(*machine) tri) code {
	return code{test: func(m *machine) tri {
		it, err := m.ranged(over(m))
		if err.isError() {
			return m.fail(err)
		}
		count := 0
		for it.next(m) {
			m.vars[slot] = it.value
			switch predicate(m) {
			case yes:
				count++
			case bad:
				return bad
			}
		}
		return triOf(count == 1)
	}}
}

// mapping is map, and with a predicate filter.
func mapping(over func(*machine) value, slot int, predicate func(*machine) tri, element func(*machine) value) code {
	return code{eval: func(m *machine) value {
		it, err := m.ranged(over(m))
		if err.isError() {
			return err
		}
		base := len(m.stack)
		defer m.drop(base)
		for it.next(m) {
			m.vars[slot] = it.value
			if predicate != nil {
				switch predicate(m) {
				case no:
					continue
				case bad:
					return value{str: m.err}
				}
			}
			v := element(m)
			if v.isError() {
				return v
			}
			m.stack = append(m.stack, v)
		}
		return m.keep(kindList, m.stack[base:])
	}}
}
