package jsonpath

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/knowngood/knowngood/internal/runbook/pattern"
)

var functions = map[string]bool{
	"length": true, "size": true, "keys": true, "first": true, "last": true,
	"min": true, "max": true, "sum": true, "avg": true,
}

type evaluation struct {
	root   any
	visits int
}

func (ev *evaluation) visit(n int) error {
	if ev.visits += n; ev.visits > maxVisits {
		return ErrTooMuchWork
	}
	return nil
}

func (ev *evaluation) path(p *Path, doc any) (any, bool, error) {
	current := []any{doc}
	for i := range p.segments {
		var err error
		if current, err = ev.segment(&p.segments[i], current); err != nil {
			return nil, false, err
		}
	}
	var value any = current
	if p.definite {
		if len(current) == 0 {
			return nil, false, nil
		}
		value = current[0]
	}
	if p.function == "" {
		return value, true, nil
	}
	return call(p.function, value)
}

func (ev *evaluation) segment(seg *segment, in []any) ([]any, error) {
	if seg.descend {
		var all []any
		for _, v := range in {
			var err error
			if all, err = ev.descend(v, all); err != nil {
				return nil, err
			}
		}
		in = all
	}
	out := []any{}
	for _, v := range in {
		if err := ev.visit(1); err != nil {
			return nil, err
		}
		var err error
		if out, err = ev.select1(seg, v, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// descend appends v and everything below it, parents first.
func (ev *evaluation) descend(v any, out []any) ([]any, error) {
	if err := ev.visit(1); err != nil {
		return nil, err
	}
	out = append(out, v)
	for _, child := range children(v) {
		var err error
		if out, err = ev.descend(child, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func children(v any) []any {
	switch v := v.(type) {
	case []any:
		return v
	case map[string]any:
		list := make([]any, 0, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			list = append(list, v[name])
		}
		return list
	}
	return nil
}

func (ev *evaluation) select1(seg *segment, v any, out []any) ([]any, error) {
	list, isList := v.([]any)
	switch seg.kind {
	case segNames:
		object, ok := v.(map[string]any)
		if !ok {
			return out, nil
		}
		for _, name := range seg.names {
			if member, ok := object[name]; ok {
				out = append(out, member)
			}
		}
	case segIndices:
		for _, i := range seg.indices {
			if i < 0 {
				i += len(list)
			}
			if i >= 0 && i < len(list) {
				out = append(out, list[i])
			}
		}
	case segSlice:
		from, to := bound(seg.from, 0, len(list)), bound(seg.to, len(list), len(list))
		if from < to {
			out = append(out, list[from:to]...)
		}
	case segAll:
		all := children(v)
		if err := ev.visit(len(all)); err != nil {
			return nil, err
		}
		out = append(out, all...)
	case segFilter:
		// A filter on an object asks the object itself.
		candidates := list
		if _, isObject := v.(map[string]any); isObject {
			candidates = []any{v}
		} else if !isList {
			return out, nil
		}
		for _, item := range candidates {
			if err := ev.visit(1); err != nil {
				return nil, err
			}
			ok, err := seg.filter.holds(ev, item)
			if err != nil {
				return nil, err
			}
			if ok {
				out = append(out, item)
			}
		}
	}
	return out, nil
}

// bound is a slice's bound in 0..n; negative ones count from the end.
func bound(i *int, otherwise, n int) int {
	if i == nil {
		return otherwise
	}
	b := *i
	if b < 0 {
		b += n
	}
	return max(0, min(b, n))
}

func call(function string, v any) (any, bool, error) {
	list, _ := v.([]any)
	switch function {
	case "length", "size":
		switch v := v.(type) {
		case []any:
			return int64(len(v)), true, nil
		case map[string]any:
			return int64(len(v)), true, nil
		case string:
			return int64(len([]rune(v))), true, nil
		}
		return nil, false, nil
	case "keys":
		object, ok := v.(map[string]any)
		if !ok {
			return nil, false, nil
		}
		keys := []any{}
		for _, name := range slices.Sorted(maps.Keys(object)) {
			keys = append(keys, name)
		}
		return keys, true, nil
	case "first", "last":
		if len(list) == 0 {
			return nil, false, nil
		}
		if function == "first" {
			return list[0], true, nil
		}
		return list[len(list)-1], true, nil
	}
	// min, max, sum and avg take the numbers of a list and pass over the rest.
	var numbers []any
	sum, whole := 0.0, true
	for _, item := range list {
		f, ok := float(item)
		if !ok {
			continue
		}
		numbers = append(numbers, item)
		sum += f
		if _, isInt := item.(int64); !isInt {
			whole = false
		}
	}
	if len(numbers) == 0 {
		return nil, false, nil
	}
	best := numbers[0]
	for _, n := range numbers {
		c, _ := order(n, best)
		if function == "min" && c < 0 || function == "max" && c > 0 {
			best = n
		}
	}
	switch {
	case function == "avg":
		return sum / float64(len(numbers)), true, nil
	case function == "sum" && whole && math.Abs(sum) < 1<<53:
		return int64(sum), true, nil
	case function == "sum":
		return sum, true, nil
	}
	return best, true, nil
}

// expr is a filter's condition on one candidate.
type expr interface {
	holds(ev *evaluation, item any) (bool, error)
}

type orExpr struct{ left, right expr }

func (e orExpr) holds(ev *evaluation, item any) (bool, error) {
	if ok, err := e.left.holds(ev, item); ok || err != nil {
		return ok, err
	}
	return e.right.holds(ev, item)
}

type andExpr struct{ left, right expr }

func (e andExpr) holds(ev *evaluation, item any) (bool, error) {
	if ok, err := e.left.holds(ev, item); !ok || err != nil {
		return ok, err
	}
	return e.right.holds(ev, item)
}

type notExpr struct{ inner expr }

func (e notExpr) holds(ev *evaluation, item any) (bool, error) {
	ok, err := e.inner.holds(ev, item)
	return !ok && err == nil, err
}

// existsExpr holds when the path names something.
type existsExpr struct{ path *Path }

func (e existsExpr) holds(ev *evaluation, item any) (bool, error) {
	v, ok, err := operand{path: e.path}.eval(ev, item)
	if !ok || err != nil {
		return false, err
	}
	if list, isList := v.([]any); isList && !e.path.Definite() {
		return len(list) > 0, nil
	}
	return true, nil
}

// operand is a path, a pattern or a literal.
type operand struct {
	path  *Path
	regex *pattern.Pattern
	value any
}

func (o operand) eval(ev *evaluation, item any) (any, bool, error) {
	if o.path == nil {
		return o.value, true, nil
	}
	if o.path.relative {
		return ev.path(o.path, item)
	}
	return ev.path(o.path, ev.root)
}

type compareExpr struct {
	op          string
	left, right operand
}

func (e compareExpr) holds(ev *evaluation, item any) (bool, error) {
	left, leftOK, err := e.left.eval(ev, item)
	if err != nil {
		return false, err
	}
	if e.op == "=~" {
		text, ok := left.(string)
		if !ok || !leftOK {
			return false, nil
		}
		return e.right.regex.Match(text)
	}
	right, rightOK, err := e.right.eval(ev, item)
	if err != nil {
		return false, err
	}
	if !leftOK || !rightOK { // what is absent equals nothing
		return e.op == "!=" || e.op == "nin", nil
	}
	leftList, _ := left.([]any)
	rightList, _ := right.([]any)
	if err := ev.visit(1 + len(leftList) + len(rightList)); err != nil {
		return false, err
	}
	switch e.op {
	case "==":
		return equal(left, right), nil
	case "!=":
		return !equal(left, right), nil
	case "in":
		return within(left, rightList), nil
	case "nin":
		return !within(left, rightList), nil
	case "contains":
		if text, ok := left.(string); ok {
			part, ok := right.(string)
			return ok && strings.Contains(text, part), nil
		}
		return within(right, leftList), nil
	case "size":
		n, ok, _ := call("size", left)
		m, ok2, _ := call("size", right)
		if !ok2 {
			m, ok2 = right, true
		}
		return ok && ok2 && equal(n, m), nil
	case "empty":
		n, ok, _ := call("size", left)
		want, isBool := right.(bool)
		return ok && isBool && (n == int64(0)) == want, nil
	case "subsetof", "anyof", "noneof":
		return ev.sets(e.op, leftList, rightList)
	}
	c, ok := order(left, right)
	if !ok {
		return false, nil
	}
	switch e.op {
	case "<":
		return c < 0, nil
	case "<=":
		return c <= 0, nil
	case ">":
		return c > 0, nil
	}
	return c >= 0, nil // ">="
}

func (ev *evaluation) sets(op string, left, right []any) (bool, error) {
	if err := ev.visit(len(left) * len(right)); err != nil {
		return false, err
	}
	common := 0
	for _, v := range left {
		if within(v, right) {
			common++
		}
	}
	switch op {
	case "subsetof":
		return common == len(left), nil
	case "anyof":
		return common > 0, nil
	}
	return common == 0, nil // "noneof"
}

func within(v any, list []any) bool {
	return slices.ContainsFunc(list, func(item any) bool { return equal(v, item) })
}

// equal compares as Jayway does: a number and a text are equal when the text
// is that number.
func equal(a, b any) bool {
	switch a := a.(type) {
	case nil:
		return b == nil
	case bool:
		other, ok := b.(bool)
		return ok && a == other
	case []any:
		other, ok := b.([]any)
		return ok && slices.EqualFunc(a, other, equal)
	case map[string]any:
		other, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, other, equal)
	case string:
		if other, ok := b.(string); ok {
			return a == other
		}
	}
	c, ok := order(a, b)
	return ok && c == 0
}

// order compares two numbers or two texts; a text beside a number counts as
// the number that it spells.
func order(a, b any) (int, bool) {
	if x, ok := a.(string); ok {
		if y, ok := b.(string); ok {
			return strings.Compare(x, y), true
		}
	}
	if x, ok := a.(int64); ok {
		if y, ok := b.(int64); ok {
			switch {
			case x < y:
				return -1, true
			case x > y:
				return 1, true
			}
			return 0, true
		}
	}
	x, ok := float(a)
	y, ok2 := float(b)
	if !ok || !ok2 {
		return 0, false
	}
	switch {
	case x < y:
		return -1, true
	case x > y:
		return 1, true
	}
	return 0, x == y
}

func float(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	case string:
		f, err := strconv.ParseFloat(v, 64)
		return f, err == nil
	}
	return 0, false
}
