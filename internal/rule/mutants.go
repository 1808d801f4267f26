package rule

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// Mutant is a rule with one clause changed. The rule's tests should tell it from
// the rule: a mutant for which they all pass shows what they don't test.
type Mutant struct {
	Definition *Definition
	Change     string // what was done, and where
}

// Mutants gives the rule with each clause of its predicates negated, and with each
// left out. A clause is an operand of && or ||, a condition of ?:, or the predicate
// of a macro; of a predicate that has none it is all of it.
func Mutants(d *Definition) []Mutant {
	var list []Mutant
	for _, p := range []struct {
		name string
		of   *expression
		set  func(*Definition, *expression)
	}{
		{"applies", d.applies, func(d *Definition, e *expression) { d.applies = e }},
		{"compliant", d.compliant, func(d *Definition, e *expression) { d.compliant = e }},
	} {
		if p.of == nil {
			continue
		}
		for _, m := range mutations(p.of.root) {
			changed := *p.of
			changed.root = m.apply(p.of.root)
			mutant := *d
			p.set(&mutant, &changed)
			list = append(list, Mutant{&mutant, fmt.Sprintf("%s: %s %s", p.name, m.what, p.of.excerpt(m.clause))})
		}
	}
	return list
}

// mutation is one change to a syntax tree.
type mutation struct {
	what   string
	clause ast.Expr // that it is about
	at     int64    // the node that is replaced
	by     func(ast.ExprFactory, ast.Expr) ast.Expr
}

// apply gives a copy of a tree that is changed.
func (m mutation) apply(root ast.Expr) ast.Expr {
	f := ast.NewExprFactory()
	mutated := f.CopyExpr(root)
	ast.PostOrderVisit(mutated, ast.NewExprVisitor(func(e ast.Expr) {
		if e.ID() == m.at {
			e.SetKindCase(m.by(f, f.CopyExpr(e)))
		}
	}))
	return mutated
}

// mutations are those of all clauses of a predicate.
func mutations(root ast.Expr) []mutation {
	list := clause(root, types.True)
	ast.PreOrderVisit(root, ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.CallKind:
			c := e.AsCall()
			switch name := c.FunctionName(); name {
			case operators.LogicalAnd, operators.LogicalOr:
				for i, operand := range c.Args() {
					if isAccumulator(operand) || isAccumulator(c.Args()[1-i]) { // a macro's step
						continue
					}
					list = append(list, negation(operand)...)
					if !isCall(operand, name) { // else its own operands are left out
						list = append(list, mutation{"left out", operand, e.ID(), func(_ ast.ExprFactory, e ast.Expr) ast.Expr { return e.AsCall().Args()[1-i] }})
					}
				}
			case operators.Conditional:
				if !isAccumulator(c.Args()[2]) {
					list = append(list, negation(c.Args()[0])...)
				}
			}
		case ast.ComprehensionKind:
			step := e.AsComprehension().LoopStep()
			switch {
			case isCall(step, operators.LogicalAnd):
				list = append(list, clause(step.AsCall().Args()[1], types.True)...)
			case isCall(step, operators.LogicalOr):
				list = append(list, clause(step.AsCall().Args()[1], types.False)...)
			case isCall(step, operators.Conditional):
				list = append(list, clause(step.AsCall().Args()[0], types.True)...)
			}
		}
	}))
	return list
}

// clause is a predicate that stands alone: negated, and in its place the constant
// that leaves it out. One that is made of clauses is left to them.
func clause(e ast.Expr, without types.Bool) []mutation {
	if isCall(e, operators.LogicalAnd) || isCall(e, operators.LogicalOr) {
		return nil
	}
	return append(negation(e), mutation{"left out", e, e.ID(), func(f ast.ExprFactory, e ast.Expr) ast.Expr { return f.NewLiteral(e.ID(), without) }})
}

// negation negates a clause, but none that is made of others.
func negation(e ast.Expr) []mutation {
	if isCall(e, operators.LogicalAnd) || isCall(e, operators.LogicalOr) {
		return nil
	}
	return []mutation{{"negated", e, e.ID(), func(f ast.ExprFactory, e ast.Expr) ast.Expr {
		return f.NewCall(-e.ID(), operators.LogicalNot, e)
	}}}
}

func isCall(e ast.Expr, function string) bool {
	return e.Kind() == ast.CallKind && e.AsCall().FunctionName() == function
}

func isAccumulator(e ast.Expr) bool {
	return e.Kind() == ast.IdentKind && strings.HasPrefix(e.AsIdent(), "@")
}

// excerpt is where a clause begins in its expression's source, and how.
func (e *expression) excerpt(clause ast.Expr) string {
	start := int32(-1)
	ast.PreOrderVisit(clause, ast.NewExprVisitor(func(x ast.Expr) {
		if r, ok := e.info.GetOffsetRange(x.ID()); ok && (start < 0 || r.Start < start) {
			start = r.Start
		}
	}))
	const most = 60
	text := []rune(e.source)
	if start < 0 || int(start) >= len(text) {
		return "a clause"
	}
	text = text[start:]
	at := e.info.GetLocationByOffset(start)
	return fmt.Sprintf("at %d:%d, %s", at.Line(), at.Column()+1, strings.Join(strings.Fields(string(text[:min(most, len(text))])), " "))
}

// Survivors are the mutants that the rule's tests don't tell from the rule.
func Survivors(d *Definition) (survivors []Mutant, total int) {
	mutants := Mutants(d)
	return slices.DeleteFunc(slices.Clone(mutants), func(m Mutant) bool { return len(m.Definition.Check()) > 0 }), len(mutants)
}
