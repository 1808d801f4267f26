package rule

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/knowngood/knowngood/internal/document"
)

// tri is a predicate's result. Where it is bad, the machine's err says why.
type tri uint8

const (
	no tri = iota
	yes
	bad
)

func triOf(b bool) tri {
	if b {
		return yes
	}
	return no
}

// code is a compiled expression. It has eval or test or both; a constant one is
// evaluated already.
type code struct {
	eval     func(m *machine) value
	test     func(m *machine) tri
	constant bool
	value    value // of a constant
}

// compiler turns a checked expression into closures, for items that are parsed
// with a projection and with the parameters that it has.
type compiler struct {
	projection *document.Projection
	params     map[string]any
	fold       *machine // evaluates constants; its arena keeps those that are lists
	scope      []variable
	depth      *int   // how many variables the machine must hold
	cannot     string // what it can't compile; empty: nothing
}

// variable is a macro's, in scope.
type variable struct {
	name  string
	slot  int
	place place
}

// unable notes that an expression can't be compiled.
func (c *compiler) unable(format string, args ...any) code {
	if c.cannot == "" {
		c.cannot = fmt.Sprintf(format, args...)
	}
	return constantOf(errNoOverload)
}

func constantOf(v value) code {
	return code{eval: func(*machine) value { return v }, constant: true, value: v}
}

// evaluator gives the closure for a value.
func (x code) evaluator() func(m *machine) value {
	if x.eval != nil {
		return x.eval
	}
	test := x.test
	return func(m *machine) value {
		switch test(m) {
		case yes:
			return value{kind: kindBool, num: 1}
		case no:
			return value{kind: kindBool}
		}
		return value{str: m.err}
	}
}

// tester gives the closure for a predicate: what is no boolean is bad.
func (x code) tester() func(m *machine) tri {
	if x.test != nil {
		return x.test
	}
	eval := x.eval
	return func(m *machine) tri {
		v := eval(m)
		if v.kind == kindBool {
			return tri(v.num)
		}
		return m.fail(v)
	}
}

// fail notes why a predicate is bad: the value is an error, or no boolean.
func (m *machine) fail(v value) tri {
	if m.err = v.str; !v.isError() {
		m.err = errNoOverload.str
	}
	return bad
}

// folded evaluates code whose operands are all constant.
func (c *compiler) folded(x code, operands ...code) code {
	for _, o := range operands {
		if !o.constant {
			return x
		}
	}
	c.fold.budget = maxSteps
	v := x.evaluator()(c.fold)
	if v.kind == kindNodeMap || v.kind == kindNodeList {
		return x // it is in a document that only this machine has
	}
	v.str = strings.Clone(v.str)
	return constantOf(v)
}

func (c *compiler) expr(e ast.Expr) code {
	if members, ok := c.itemPath(e); ok {
		return c.path(members)
	}
	switch e.Kind() {
	case ast.LiteralKind:
		return c.literal(e)
	case ast.IdentKind:
		return c.ident(e.AsIdent())
	case ast.SelectKind:
		return c.selection(e)
	case ast.ListKind:
		return c.list(e.AsList())
	case ast.MapKind:
		return c.mapLiteral(e.AsMap())
	case ast.CallKind:
		return c.call(e)
	case ast.ComprehensionKind:
		return c.comprehension(e.AsComprehension())
	}
	return c.unable("an expression of a kind that rules don't have")
}

func (c *compiler) literal(e ast.Expr) code {
	switch v := e.AsLiteral().(type) {
	case types.Bool, types.Int, types.Double, types.String, types.Null:
		return constantOf(c.fold.fromCEL(v))
	default:
		return c.unable("a literal of type %s", v.Type().TypeName())
	}
}

// lookUp finds a macro's variable.
func (c *compiler) lookUp(name string) (variable, bool) {
	for _, v := range slices.Backward(c.scope) {
		if v.name == name {
			return v, true
		}
	}
	return variable{}, false
}

func (c *compiler) ident(name string) code {
	if v, ok := c.lookUp(name); ok {
		slot := v.slot
		return code{eval: func(m *machine) value { return m.vars[slot] }}
	}
	switch name {
	case "params":
		return constantOf(c.fold.fromGo(c.params))
	case "now":
		return code{eval: func(m *machine) value { return m.now }}
	}
	return c.unable("the name %s alone", name)
}

// itemPath gives the members that lead from the item to an expression, where they
// are all written out.
func (c *compiler) itemPath(e ast.Expr) ([]string, bool) {
	switch e.Kind() {
	case ast.IdentKind:
		_, shadowed := c.lookUp("resource")
		return nil, e.AsIdent() == "resource" && !shadowed
	case ast.SelectKind:
		s := e.AsSelect()
		if s.IsTestOnly() {
			return nil, false
		}
		members, ok := c.itemPath(s.Operand())
		return append(members, s.FieldName()), ok
	case ast.CallKind:
		call := e.AsCall()
		if call.FunctionName() != operators.Index {
			return nil, false
		}
		if name, ok := literalText(call.Args()[1]); ok {
			members, ok := c.itemPath(call.Args()[0])
			return append(members, name), ok
		}
	}
	return nil, false
}

// slotOf is where the item's document has a path; names that older forms of the
// item have for a member are tried after it.
func (c *compiler) slotOf(members []string) (slot, older int, ok bool) {
	slot, ok = c.projection.Slot(members)
	older = -1
	if len(members) == 1 {
		if name, renamed := olderNames[members[0]]; renamed {
			older, _ = c.projection.Slot([]string{name})
		}
	}
	return slot, older, ok
}

// olderNames are the names that AWS Config's notifications and snapshots have for
// members of the item. Source: AWS Config Developer Guide, "Example AWS Config
// rule events" and "Components of a configuration item".
var olderNames = map[string]string{"accountId": "awsAccountId", "arn": "ARN"}

// path is a member of the item. It has a slot, so reading it takes no search.
func (c *compiler) path(members []string) code {
	slot, older, ok := c.slotOf(members)
	if !ok || len(members) == 0 {
		return c.unable("the whole item as a value")
	}
	name := members[len(members)-1]
	absent := value{str: "no such key: " + name}
	if len(members) == 1 {
		switch name {
		case "tags", "configuration", "supplementaryConfiguration":
			absent = value{kind: kindMap}
		case "relationships":
			absent = value{kind: kindList}
		case "accountId", "awsRegion", "resourceType", "resourceId", "configurationItemStatus":
			absent = stringValue("")
		case "resourceCreationTime":
			return code{eval: func(m *machine) value {
				v := m.at(slot)
				if v.kind == kindNull {
					return absent
				}
				return timeFrom(v)
			}}
		}
		if older >= 0 {
			return code{eval: func(m *machine) value {
				v := m.at(slot)
				if v.kind == kindNull {
					v = m.at(older)
				}
				if v.kind == kindNull {
					return absent
				}
				return v
			}}
		}
	}
	return code{eval: func(m *machine) value {
		v := m.at(slot)
		if v.kind == kindNull {
			return absent
		}
		return v
	}}
}

// hasPath is has() of a member of the item.
func (c *compiler) hasPath(members []string) code {
	slot, older, ok := c.slotOf(members)
	if !ok {
		return c.unable("the whole item as a value")
	}
	if len(members) == 1 {
		switch members[0] {
		case "tags", "configuration", "supplementaryConfiguration", "relationships", "accountId", "awsRegion", "resourceType", "resourceId", "configurationItemStatus":
			return constantOf(boolValue(true))
		}
		if older < 0 {
			older = slot
		}
		return code{test: func(m *machine) tri {
			return triOf(m.item.Kind(m.item.At(slot)) > document.Null || m.item.Kind(m.item.At(older)) > document.Null)
		}}
	}
	above, _, _ := c.slotOf(members[:len(members)-1])
	name, always := members[len(members)-2], false
	if len(members) == 2 {
		always = name == "tags" || name == "configuration" || name == "supplementaryConfiguration"
	}
	absent := "no such key: " + name
	return code{test: func(m *machine) tri {
		d := m.item
		if d.Kind(d.At(slot)) > document.Null {
			return yes
		}
		switch d.Kind(d.At(above)) {
		case document.Object:
			return no
		case document.None, document.Null:
			if always {
				return no
			}
		}
		m.err = absent
		return bad
	}}
}

// selection is x.name or has(x.name).
func (c *compiler) selection(e ast.Expr) code {
	s := e.AsSelect()
	name := s.FieldName()
	if s.IsTestOnly() {
		if members, ok := c.itemPath(s.Operand()); ok {
			return c.hasPath(append(members, name))
		}
		operand := c.expr(s.Operand())
		eval := operand.evaluator()
		return c.folded(code{test: func(m *machine) tri {
			v := eval(m)
			if v.kind != kindMap && v.kind != kindNodeMap {
				return m.fail(v)
			}
			_, ok := m.member(v, name)
			return triOf(ok)
		}}, operand)
	}
	operand := c.expr(s.Operand())
	return c.folded(code{eval: c.timed(e, member(operand.evaluator(), name))}, operand)
}

// member is the member of that name of a map.
func member(operand func(*machine) value, name string) func(*machine) value {
	absent := value{str: "no such key: " + name}
	return func(m *machine) value {
		v := operand(m)
		switch v.kind {
		case kindMap, kindNodeMap:
			if found, ok := m.member(v, name); ok {
				return found
			}
			return absent
		case kindError:
			return v
		}
		return absent
	}
}

// timed makes a timestamp of the creation time of a resource that was looked up,
// which its document has as text.
func (c *compiler) timed(e ast.Expr, eval func(*machine) value) func(*machine) value {
	if p := c.place(e); !p.known || p.resource == "" || len(p.members) != 1 || p.members[0] != "resourceCreationTime" {
		return eval
	}
	return func(m *machine) value { return timeFrom(eval(m)) }
}

// place is what of the item or of another resource an expression stands for.
func (c *compiler) place(e ast.Expr) place {
	w := &walker{bound: map[string]place{}, reads: map[string][][]string{}}
	for _, v := range c.scope {
		w.bound[v.name] = v.place
	}
	return w.place(e)
}

func (c *compiler) list(l ast.ListExpr) code {
	if len(l.OptionalIndices()) > 0 {
		return c.unable("optional elements")
	}
	return c.made(kindList, l.Elements())
}

// mapLiteral is a map with texts as keys; others, and keys that are there twice,
// are left to cel-go.
func (c *compiler) mapLiteral(l ast.MapExpr) code {
	var parts []ast.Expr
	seen := map[string]bool{}
	for _, entry := range l.Entries() {
		e := entry.AsMapEntry()
		name, ok := literalText(e.Key())
		if !ok || seen[name] || e.IsOptional() {
			return c.unable("a map whose keys are no texts that differ")
		}
		seen[name] = true
		parts = append(parts, e.Key(), e.Value())
	}
	return c.made(kindMap, parts)
}

// made is a list or map of values in turn.
func (c *compiler) made(k kind, parts []ast.Expr) code {
	codes := make([]code, len(parts))
	evals := make([]func(*machine) value, len(parts))
	for i, p := range parts {
		codes[i] = c.expr(p)
		evals[i] = codes[i].evaluator()
	}
	return c.folded(code{eval: func(m *machine) value {
		base := len(m.stack)
		defer m.drop(base)
		for _, eval := range evals {
			v := eval(m)
			if v.isError() {
				return v
			}
			m.stack = append(m.stack, v)
		}
		return m.keep(k, m.stack[base:])
	}}, codes...)
}
