package sandbox

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// argument is what a condition compares: a value, what is at a path, or how much
// that is.
type argument struct {
	path  path
	value any
	size  bool
}

// term is a condition: a comparison or function of operands, or AND, OR, NOT of
// other terms.
type term struct {
	op    string // =, <, begins_with, BETWEEN, attribute_exists, AND, ...
	args  []argument
	terms []term
}

// functions are those of conditions, with the number of their operands.
var functions = map[string]int{"attribute_exists": 1, "attribute_not_exists": 1, "attribute_type": 2, "begins_with": 2, "contains": 2}

var comparators = []string{"=", "<>", "<", "<=", ">", ">="}

// condition reads a member that is a condition. One that isn't there always
// holds.
func (c *call) condition(member string) (term, error) {
	x, given := c.expression(member)
	if !given {
		return term{op: "AND"}, nil
	}
	t := x.or()
	return t, x.end()
}

func (x *expression) or() term {
	return x.joined("OR", func() term { return x.joined("AND", x.not) })
}

// joined reads terms with a word between them.
func (x *expression) joined(word string, read func() term) term {
	t := term{op: word, terms: []term{read()}}
	for x.takes(word) {
		t.terms = append(t.terms, read())
	}
	if len(t.terms) == 1 {
		return t.terms[0]
	}
	return t
}

func (x *expression) not() term {
	if x.takes("NOT") {
		return term{op: "NOT", terms: []term{x.not()}}
	}
	if x.takes("(") {
		t := x.or()
		x.want(")")
		return t
	}
	if n, ok := functions[x.peek()]; ok {
		t := term{op: x.next()}
		x.want("(")
		t.args = x.arguments(",")
		x.want(")")
		if len(t.args) != n && x.err == nil {
			x.fail(invalid("Invalid %s: Incorrect number of operands for operator or function; operator or function: %s, number of operands: %d", x.member, t.op, len(t.args)))
		}
		return t
	}
	t := term{args: []argument{x.argument()}}
	switch op := strings.ToUpper(x.next()); {
	case slices.Contains(comparators, op):
		t.op, t.args = op, append(t.args, x.argument())
	case op == "BETWEEN":
		low := x.argument()
		x.want("AND")
		t.op, t.args = op, append(t.args, low, x.argument())
	case op == "IN":
		x.want("(")
		t.op, t.args = op, append(t.args, x.arguments(",")...)
		x.want(")")
	default:
		x.wrong(op)
	}
	return t
}

func (x *expression) arguments(between string) []argument {
	out := []argument{x.argument()}
	for x.takes(between) {
		out = append(out, x.argument())
	}
	return out
}

func (x *expression) argument() argument {
	switch t := x.peek(); {
	case strings.HasPrefix(t, ":"):
		return argument{value: x.attributeValue()}
	case t == "size":
		x.next()
		x.want("(")
		o := argument{path: x.path(), size: true}
		x.want(")")
		return o
	}
	return argument{path: x.path()}
}

func (x *expression) attributeValue() any {
	name := x.next()
	v, ok := x.object("ExpressionAttributeValues")[name]
	if !ok {
		x.fail(invalid("Invalid %s: An expression attribute value used in expression is not defined; attribute value: %s", x.member, name))
	}
	return v
}

// of gives an operand's value; nil: there is none.
func (o argument) of(item structure) any {
	if o.path == nil {
		return o.value
	}
	v := o.path.of(item)
	if !o.size || v == nil {
		return v
	}
	n := 0
	switch _, value := attribute(v); value := value.(type) {
	case string:
		n = utf8.RuneCountInString(value)
	case []byte:
		n = len(value)
	case []any:
		n = len(value)
	case object:
		n = len(value)
	default:
		return nil
	}
	return object{"N": strconv.Itoa(n)}
}

func (t term) holds(item structure) bool {
	holds := func(t term) bool { return t.holds(item) }
	switch t.op {
	case "AND":
		return !slices.ContainsFunc(t.terms, func(t term) bool { return !holds(t) })
	case "OR":
		return slices.ContainsFunc(t.terms, holds)
	case "NOT":
		return !holds(t.terms[0])
	}
	values := make([]any, len(t.args))
	for i, o := range t.args {
		values[i] = o.of(item)
	}
	have := values[0]
	switch t.op {
	case "attribute_exists":
		return have != nil
	case "attribute_not_exists":
		return have == nil
	case "<>":
		return !same(have, values[1])
	}
	if slices.Contains(values, nil) && t.op != "IN" {
		return false // what is not there compares with nothing
	}
	switch t.op {
	case "attribute_type":
		kind, _ := attribute(have)
		_, want := attribute(values[1])
		return kind == want
	case "begins_with":
		return has(have, values[1], strings.HasPrefix)
	case "contains":
		if _, value := attribute(have); has(have, values[1], strings.Contains) {
			return true
		} else if list, ok := value.([]any); ok {
			return slices.ContainsFunc(list, func(e any) bool { return same(elementOf(have, e), values[1]) })
		}
		return false
	case "IN":
		return slices.ContainsFunc(values[1:], func(v any) bool { return same(have, v) })
	case "=":
		return same(have, values[1])
	case "BETWEEN":
		low, ok1 := compare(have, values[1])
		high, ok2 := compare(have, values[2])
		return ok1 && ok2 && low >= 0 && high <= 0
	}
	n, ordered := compare(have, values[1])
	switch t.op {
	case "<":
		return ordered && n < 0
	case "<=":
		return ordered && n <= 0
	case ">":
		return ordered && n > 0
	}
	return ordered && n >= 0
}

// has applies a test to two texts, or to two blobs.
func has(v, part any, test func(s, part string) bool) bool {
	kind, value := attribute(v)
	other, want := attribute(part)
	if kind != other {
		return false
	}
	switch value := value.(type) {
	case string:
		want, ok := want.(string)
		return ok && kind == "S" && test(value, want)
	case []byte:
		want, ok := want.([]byte)
		return ok && test(string(value), string(want))
	}
	return false
}

// elementOf is an element of a list or set as an attribute.
func elementOf(of, element any) any {
	if kind, _ := attribute(of); kind != "L" {
		return object{strings.TrimSuffix(kind, "S"): element}
	}
	return element
}

// same says whether two attributes are equal. Sets have no order.
func same(a, b any) bool {
	if a == nil || b == nil {
		return false
	}
	if n, ordered := compare(a, b); ordered {
		return n == 0
	}
	kind, x := attribute(a)
	other, y := attribute(b)
	if kind != other || len(kind) != 2 {
		return reflect.DeepEqual(a, b)
	}
	left, _ := x.([]any)
	right, _ := y.([]any)
	return len(left) == len(right) && !slices.ContainsFunc(left, func(e any) bool { return !inSet(b, e) })
}

// inSet says whether a set has an element.
func inSet(set, element any) bool {
	_, v := attribute(set)
	list, _ := v.([]any)
	return slices.ContainsFunc(list, func(e any) bool { return same(elementOf(set, e), elementOf(set, element)) })
}
