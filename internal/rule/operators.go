package rule

import (
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// call is an operator or a function.
func (c *compiler) call(e ast.Expr) code {
	call := e.AsCall()
	args := append(targetOf(call), call.Args()...)
	name := call.FunctionName()
	switch name {
	case operators.LogicalAnd:
		return c.logic(args, no)
	case operators.LogicalOr:
		return c.logic(args, yes)
	case operators.LogicalNot:
		x := c.expr(args[0])
		test := x.tester()
		return c.folded(code{test: func(m *machine) tri {
			switch test(m) {
			case yes:
				return no
			case no:
				return yes
			}
			return bad
		}}, x)
	case operators.Conditional:
		return c.conditional(args)
	case operators.Equals:
		return c.equality(args, true)
	case operators.NotEquals:
		return c.equality(args, false)
	case operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		return c.order(name, args)
	case operators.In, operators.OldIn:
		return c.in(args)
	case operators.Index:
		return c.index(e, args)
	}
	if op, ok := arithmetic[name]; ok && len(args) == 2 {
		x, y := c.expr(args[0]), c.expr(args[1])
		left, right := x.evaluator(), y.evaluator()
		return c.folded(code{eval: func(m *machine) value {
			a := left(m)
			if a.isError() {
				return a
			}
			b := right(m)
			if b.isError() {
				return b
			}
			return op(m, a, b)
		}}, x, y)
	}
	return c.function(name, args)
}

// logic is && where stop is no, || where it is yes: the first operand that is stop
// decides, and an error counts only if none does.
func (c *compiler) logic(args []ast.Expr, stop tri) code {
	var codes []code
	for _, a := range args {
		codes = append(codes, c.expr(a))
	}
	// A constant that decides hides what can't be evaluated; one that doesn't
	// decide is left out.
	var tests []func(*machine) tri
	for _, x := range codes {
		if x.constant && x.value.kind == kindBool {
			if tri(x.value.num) == stop {
				return constantOf(boolValue(stop == yes))
			}
			continue
		}
		tests = append(tests, x.tester())
	}
	other := yes - stop
	switch len(tests) {
	case 0:
		return constantOf(boolValue(other == yes))
	case 1:
		return code{test: tests[0]}
	case 2:
		left, right := tests[0], tests[1]
		return code{test: func(m *machine) tri {
			a := left(m)
			if a == stop {
				return stop
			}
			why := m.err
			b := right(m)
			if b == stop || a == other {
				return b
			}
			m.err = why // the first error is told
			return bad
		}}
	}
	return code{test: func(m *machine) tri {
		result, why := other, ""
		for _, test := range tests {
			switch test(m) {
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

func (c *compiler) conditional(args []ast.Expr) code {
	condition := c.expr(args[0])
	if condition.constant && condition.value.kind == kindBool {
		if condition.value.num == 1 {
			return c.expr(args[1])
		}
		return c.expr(args[2])
	}
	then, otherwise := c.expr(args[1]), c.expr(args[2])
	test, yesEval, noEval := condition.tester(), then.evaluator(), otherwise.evaluator()
	x := code{eval: func(m *machine) value {
		switch test(m) {
		case yes:
			return yesEval(m)
		case no:
			return noEval(m)
		}
		return value{str: m.err}
	}}
	if then.test != nil && otherwise.test != nil {
		yesTest, noTest := then.test, otherwise.test
		x.test = func(m *machine) tri {
			switch test(m) {
			case yes:
				return yesTest(m)
			case no:
				return noTest(m)
			}
			return bad
		}
	}
	return x
}

// equality is == or, where want is false, !=.
func (c *compiler) equality(args []ast.Expr, want bool) code {
	x, y := c.expr(args[0]), c.expr(args[1])
	if x.constant {
		x, y = y, x
	}
	left, right := x.evaluator(), y.evaluator()
	if y.constant && y.value.kind == kindString && !x.constant {
		text := y.value.str
		return code{test: func(m *machine) tri {
			v := left(m)
			if v.isError() {
				return m.fail(v)
			}
			return triOf((v.kind == kindString && v.str == text) == want)
		}}
	}
	return c.folded(code{test: func(m *machine) tri {
		a := left(m)
		if a.isError() {
			return m.fail(a)
		}
		b := right(m)
		if b.isError() {
			return m.fail(b)
		}
		return triOf(m.equal(a, b) == want)
	}}, x, y)
}

func (c *compiler) order(name string, args []ast.Expr) code {
	x, y := c.expr(args[0]), c.expr(args[1])
	left, right := x.evaluator(), y.evaluator()
	below, same, above := name == operators.Less || name == operators.LessEquals, name == operators.LessEquals || name == operators.GreaterEquals, name == operators.Greater || name == operators.GreaterEquals
	return c.folded(code{test: func(m *machine) tri {
		a := left(m)
		if a.isError() {
			return m.fail(a)
		}
		b := right(m)
		if b.isError() {
			return m.fail(b)
		}
		order, err := compare(a, b)
		if err != "" {
			m.err = err
			return bad
		}
		return triOf(order < 0 && below || order == 0 && same || order > 0 && above)
	}}, x, y)
}

// in is an element in a list or a key in a map.
func (c *compiler) in(args []ast.Expr) code {
	x, y := c.expr(args[0]), c.expr(args[1])
	element, container := x.evaluator(), y.evaluator()
	if y.constant && y.value.kind == kindList && !x.constant {
		list, _ := c.fold.elements(y.value)
		set := make(map[string]struct{}, len(list))
		for _, e := range list {
			if e.kind == kindString {
				set[e.str] = struct{}{}
			}
		}
		if len(set) == len(list) { // of texts that differ
			return code{test: func(m *machine) tri {
				v := element(m)
				if v.isError() {
					return m.fail(v)
				}
				if v.kind != kindString {
					return no
				}
				_, ok := set[v.str]
				return triOf(ok)
			}}
		}
	}
	return c.folded(code{test: func(m *machine) tri {
		v := element(m)
		if v.isError() {
			return m.fail(v)
		}
		within := container(m)
		switch within.kind {
		case kindMap, kindNodeMap:
			if v.kind != kindString {
				return no
			}
			_, ok := m.member(within, v.str)
			return triOf(ok)
		case kindList, kindNodeList:
			for it := m.iterate(within); it.next(m); {
				if m.equal(v, it.value) {
					return yes
				}
			}
			return no
		}
		return m.fail(within)
	}}, x, y)
}

// index is x[y].
func (c *compiler) index(e ast.Expr, args []ast.Expr) code {
	x, y := c.expr(args[0]), c.expr(args[1])
	container, at := x.evaluator(), y.evaluator()
	if y.constant && y.value.kind == kindString {
		return c.folded(code{eval: c.timed(e, member(container, y.value.str))}, x)
	}
	return c.folded(code{eval: func(m *machine) value {
		v := container(m)
		if v.isError() {
			return v
		}
		k := at(m)
		switch {
		case k.isError():
			return k
		case v.kind == kindMap || v.kind == kindNodeMap:
			if k.kind == kindString {
				if found, ok := m.member(v, k.str); ok {
					return found
				}
			}
			return value{str: "no such key"}
		case v.kind == kindList || v.kind == kindNodeList:
			return m.element(v, k)
		}
		return errNoOverload
	}}, x, y)
}
