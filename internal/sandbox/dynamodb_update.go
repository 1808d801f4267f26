package sandbox

import (
	"math/big"
	"slices"
	"strings"
)

// itemUpdate is an UpdateExpression, read.
type itemUpdate struct {
	actions []updateAction
	paths   pathTree // what it changes
}

type updateAction struct {
	kind  string // SET, REMOVE, ADD, DELETE
	path  path
	value func(old structure) (any, error) // nil of REMOVE
}

// update reads UpdateExpression. Source: Amazon DynamoDB Developer Guide, "Using
// update expressions in DynamoDB".
func (c *call) update() (itemUpdate, error) {
	x, given := c.expression("UpdateExpression")
	var u itemUpdate
	if !given {
		return u, nil
	}
	seen := map[string]bool{}
	for more := true; more && x.err == nil; more = x.peek() != "" {
		kind := strings.ToUpper(x.peek())
		switch {
		case !slices.Contains([]string{"SET", "REMOVE", "ADD", "DELETE"}, kind):
			x.wrong(x.peek())
		case seen[kind]:
			x.fail(invalid("Invalid %s: The %q section can only be used once in an update expression;", x.member, kind))
		}
		seen[kind] = true
		x.next()
		for another := true; another && x.err == nil; another = x.takes(",") {
			a := updateAction{kind: kind, path: x.path()}
			switch kind {
			case "SET":
				x.want("=")
				a.value = x.sum()
			case "ADD", "DELETE":
				v := x.attributeValue()
				a.value = func(structure) (any, error) { return v, nil }
			}
			if !u.paths.add(a.path) {
				x.fail(overlap(x.member))
			}
			u.actions = append(u.actions, a)
		}
	}
	return u, x.end()
}

// sum reads what SET assigns: an operand, or the sum or difference of two.
func (x *expression) sum() func(structure) (any, error) {
	left := x.assigned()
	sign := 0
	switch {
	case x.takes("+"):
		sign = 1
	case x.takes("-"):
		sign = -1
	default:
		return left
	}
	right := x.assigned()
	return func(old structure) (any, error) {
		a, err := left(old)
		b, err2 := right(old)
		if err := first(err, err2); err != nil {
			return nil, err
		}
		return plus(a, b, sign)
	}
}

// assigned reads an operand of SET.
func (x *expression) assigned() func(structure) (any, error) {
	switch t := x.peek(); {
	case strings.HasPrefix(t, ":"):
		v := x.attributeValue()
		return func(structure) (any, error) { return v, nil }
	case t == "if_not_exists":
		x.next()
		x.want("(")
		at := x.path()
		x.want(",")
		other := x.assigned()
		x.want(")")
		return func(old structure) (any, error) {
			if v := at.of(old); v != nil {
				return v, nil
			}
			return other(old)
		}
	case t == "list_append":
		x.next()
		x.want("(")
		head := x.assigned()
		x.want(",")
		tail := x.assigned()
		x.want(")")
		return func(old structure) (any, error) {
			a, err := head(old)
			b, err2 := tail(old)
			if err := first(err, err2); err != nil {
				return nil, err
			}
			ka, va := attribute(a)
			kb, vb := attribute(b)
			if ka != "L" || kb != "L" {
				return nil, wrongOperand()
			}
			la, _ := va.([]any)
			lb, _ := vb.([]any)
			return object{"L": slices.Concat(la, lb)}, nil
		}
	}
	p := x.path()
	return func(old structure) (any, error) {
		if v := p.of(old); v != nil {
			return v, nil
		}
		return nil, invalid("The provided expression refers to an attribute that does not exist in the item")
	}
}

func wrongOperand() error {
	return invalid("An operand in the update expression has an incorrect data type")
}

// maxDigits is how many significant digits a number has.
const maxDigits = 38

// plus adds two numbers, or with the sign -1 takes one from the other.
func plus(a, b any, sign int) (any, error) {
	ka, va := attribute(a)
	kb, vb := attribute(b)
	x, _ := va.(string)
	y, _ := vb.(string)
	m, ok1 := numeric(x)
	n, ok2 := numeric(y)
	if ka != "N" || kb != "N" || !ok1 || !ok2 {
		return nil, wrongOperand()
	}
	if sign < 0 {
		n.Neg(n)
	}
	text := decimal(m.Add(m, n))
	if digits := strings.Trim(strings.NewReplacer("-", "", ".", "").Replace(text), "0"); len(digits) > maxDigits {
		return nil, invalid("Attempting to store more than 38 significant digits in a Number")
	}
	return object{"N": text}, nil
}

// decimal writes a sum of decimal fractions whole.
func decimal(r *big.Rat) string {
	places := 0
	for d, ten := new(big.Int).Set(r.Denom()), big.NewInt(10); ; places++ {
		if d.Cmp(big.NewInt(1)) == 0 {
			break
		}
		d.Div(d, new(big.Int).GCD(nil, nil, d, ten))
	}
	return r.FloatString(places)
}

// apply gives an item with the changes, whose values all are of the item as it
// was.
func (u itemUpdate) apply(old structure) (structure, error) {
	item, _ := copied(object(old)).(object)
	var removed []updateAction
	for _, a := range u.actions {
		if a.kind == "REMOVE" {
			removed = append(removed, a)
			continue
		}
		v, err := a.value(old)
		if err != nil {
			return nil, err
		}
		if a.kind != "SET" {
			if v, err = combined(a.kind, a.path.of(old), v); err != nil {
				return nil, err
			}
		}
		if v == nil {
			removed = append(removed, a)
		} else if !put(item, a.path, v) {
			return nil, invalid("The document path provided in the update expression is invalid for update")
		}
	}
	slices.SortFunc(removed, func(a, b updateAction) int { // elements of a list from its end
		return b.path[len(b.path)-1].index - a.path[len(a.path)-1].index
	})
	for _, a := range removed {
		if !put(item, a.path, nil) {
			return nil, invalid("The document path provided in the update expression is invalid for update")
		}
	}
	return item, nil
}

// combined is what ADD and DELETE make of an attribute and an operand; nil: it goes.
func combined(kind string, old, v any) (any, error) {
	of, operand := attribute(v)
	elements, set := operand.([]any)
	if set = set && len(of) == 2; !set && (kind == "DELETE" || of != "N") {
		return nil, invalid("Invalid UpdateExpression: Incorrect operand type for operator or function; operator: %s, operand type: %s", kind, of)
	}
	switch had, value := attribute(old); {
	case old == nil && kind == "DELETE":
		return nil, nil
	case old == nil:
		return v, nil
	case had != of:
		return nil, wrongOperand()
	case !set:
		return plus(old, v, 1)
	default:
		list, _ := value.([]any)
		out := slices.DeleteFunc(slices.Clone(list), func(e any) bool { return inSet(v, e) })
		if kind == "ADD" {
			out = append(slices.Clone(list), slices.DeleteFunc(slices.Clone(elements), func(e any) bool { return inSet(old, e) })...)
		}
		if len(out) == 0 {
			return nil, nil
		}
		return object{of: out}, nil
	}
}

// put sets what is at a path, or with nil removes it; false: what is to hold it
// isn't there.
func put(item object, p path, v any) bool {
	if len(p) == 1 {
		if v == nil {
			delete(item, p[0].name)
		} else {
			item[p[0].name] = v
		}
		return true
	}
	holder, _ := p[:len(p)-1].of(structure(item)).(object)
	last := p[len(p)-1]
	switch inside := holder["M"].(type) {
	case object:
		return last.name != "" && put(inside, path{last}, v)
	}
	list, ok := holder["L"].([]any)
	switch {
	case !ok || last.name != "":
		return v == nil && holder == nil
	case last.index >= len(list) && v != nil:
		holder["L"] = append(list, v)
	case last.index < len(list) && v == nil:
		holder["L"] = slices.Delete(list, last.index, last.index+1)
	case v != nil:
		list[last.index] = v
	}
	return true
}
