package sandbox

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// selection is an advanced query of Config: SELECT fields WHERE condition, with
// =, <>, <, >, <=, >=, LIKE, IN, BETWEEN, NOT, AND and OR. A condition on a list
// holds if it does for an element.
// Source: AWS Config Developer Guide, "Query components for querying".
type selection struct {
	fields []string
	where  func(object) bool // nil: all
	order  string
	down   bool
}

// sqlParser reads a query word by word.
type sqlParser struct {
	tokens []string
	at     int
	deep   int
}

// sqlTokens cuts a query into words, texts with their leading quote, and signs.
func sqlTokens(text string) ([]string, error) {
	var out []string
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '\'' || c == '"':
			var b strings.Builder
			j := i + 1
			for ; j < len(text); j++ {
				if text[j] == c {
					if j+1 < len(text) && text[j+1] == c { // a quote within
						j++
					} else {
						break
					}
				}
				b.WriteByte(text[j])
			}
			if j >= len(text) {
				return nil, fmt.Errorf("a text is not closed")
			}
			out = append(out, "'"+b.String())
			i = j + 1
		case isPathByte(c):
			j := i
			for j < len(text) && isPathByte(text[j]) {
				j++
			}
			out = append(out, text[i:j])
			i = j
		case strings.HasPrefix(text[i:], "<=") || strings.HasPrefix(text[i:], ">=") || strings.HasPrefix(text[i:], "<>") || strings.HasPrefix(text[i:], "!="):
			out = append(out, text[i:i+2])
			i += 2
		case strings.IndexByte("(),=<>*;", c) >= 0:
			out = append(out, string(c))
			i++
		default:
			return nil, fmt.Errorf("unexpected character %q", c)
		}
	}
	return out, nil
}

func isPathByte(c byte) bool { return isWord(c) || strings.IndexByte(".-:/", c) >= 0 }

func (p *sqlParser) peek() string {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return ""
}

func (p *sqlParser) next() string {
	t := p.peek()
	p.at++
	return t
}

// take takes a word or sign, if it is next.
func (p *sqlParser) take(word string) bool {
	if strings.EqualFold(p.peek(), word) {
		p.at++
		return true
	}
	return false
}

// notSimulated is what Config knows of SQL and the sandbox doesn't.
var notSimulated = []string{"COUNT", "SUM", "AVG", "MIN", "MAX", "GROUP", "DISTINCT"}

// parseSelection reads a query.
func parseSelection(text string) (*selection, error) {
	tokens, err := sqlTokens(text)
	if err != nil {
		return nil, err
	}
	p := &sqlParser{tokens: tokens}
	s := &selection{}
	if !p.take("SELECT") {
		return nil, fmt.Errorf("a query begins with SELECT")
	}
	for {
		field := p.next()
		for _, word := range notSimulated {
			if strings.EqualFold(field, word) {
				return nil, failure(501, "NotImplemented", "The sandbox does not simulate %s in a query of Config.", word)
			}
		}
		if field != "*" && (field == "" || !isPathByte(field[0])) {
			return nil, fmt.Errorf("%q is no property", field)
		}
		s.fields = append(s.fields, field)
		if !p.take(",") {
			break
		}
	}
	if p.take("WHERE") {
		if s.where, err = p.or(); err != nil {
			return nil, err
		}
	}
	if p.take("ORDER") {
		if !p.take("BY") {
			return nil, fmt.Errorf("BY is missing")
		}
		if s.order = p.next(); s.order == "" || !isPathByte(s.order[0]) {
			return nil, fmt.Errorf("%q is no property", s.order)
		}
		s.down = p.take("DESC")
		p.take("ASC")
	}
	p.take(";")
	switch rest := p.peek(); {
	case strings.EqualFold(rest, "GROUP"):
		return nil, failure(501, "NotImplemented", "The sandbox does not simulate GROUP BY in a query of Config.")
	case rest != "":
		return nil, fmt.Errorf("unexpected %q", strings.TrimPrefix(rest, "'"))
	}
	return s, nil
}

type condition = func(object) bool

func (p *sqlParser) or() (condition, error) {
	if p.deep++; p.deep > 50 {
		return nil, fmt.Errorf("the query is nested too deeply")
	}
	defer func() { p.deep-- }()
	left, err := p.and()
	for err == nil && p.take("OR") {
		a, b := left, condition(nil)
		b, err = p.and()
		left = func(o object) bool { return a(o) || b(o) }
	}
	return left, err
}

func (p *sqlParser) and() (condition, error) {
	left, err := p.not()
	for err == nil && p.take("AND") {
		a, b := left, condition(nil)
		b, err = p.not()
		left = func(o object) bool { return a(o) && b(o) }
	}
	return left, err
}

func (p *sqlParser) not() (condition, error) {
	if p.deep++; p.deep > 50 {
		return nil, fmt.Errorf("the query is nested too deeply")
	}
	defer func() { p.deep-- }()
	if p.take("NOT") {
		inner, err := p.not()
		return func(o object) bool { return !inner(o) }, err
	}
	if p.take("(") {
		inner, err := p.or()
		if err == nil && !p.take(")") {
			err = fmt.Errorf("a bracket is not closed")
		}
		return inner, err
	}
	return p.predicate()
}

// predicate reads a property and what is asked of it.
func (p *sqlParser) predicate() (condition, error) {
	path := p.next()
	if path == "" || !isPathByte(path[0]) {
		return nil, fmt.Errorf("%q is no property", strings.TrimPrefix(path, "'"))
	}
	negated := p.take("NOT")
	test, err := p.test()
	if err != nil {
		return nil, err
	}
	return func(o object) bool {
		for _, v := range lookup(o, path) {
			if test(v) {
				return !negated
			}
		}
		return negated
	}, nil
}

func (p *sqlParser) test() (func(any) bool, error) {
	switch op := strings.ToUpper(p.next()); op {
	case "LIKE":
		pattern := p.next()
		if !strings.HasPrefix(pattern, "'") {
			return nil, fmt.Errorf("LIKE needs a text")
		}
		glob := strings.NewReplacer("%", "*", "_", "?").Replace(pattern[1:])
		return func(v any) bool { s, ok := v.(string); return ok && wildcard(glob, s) }, nil
	case "IN":
		if !p.take("(") {
			return nil, fmt.Errorf("IN needs a list in brackets")
		}
		var list []any
		for {
			v, err := p.literal()
			if err != nil {
				return nil, err
			}
			list = append(list, v)
			if p.take(")") {
				break
			}
			if !p.take(",") {
				return nil, fmt.Errorf("a bracket is not closed")
			}
		}
		return func(v any) bool {
			for _, e := range list {
				if n, ok := compared(v, e); ok && n == 0 {
					return true
				}
			}
			return false
		}, nil
	case "BETWEEN":
		low, err := p.literal()
		if err != nil {
			return nil, err
		}
		if !p.take("AND") {
			return nil, fmt.Errorf("BETWEEN needs AND")
		}
		high, err := p.literal()
		return func(v any) bool {
			a, ok := compared(v, low)
			b, too := compared(v, high)
			return ok && too && a >= 0 && b <= 0
		}, err
	case "=", "<>", "!=", "<", ">", "<=", ">=":
		want, err := p.literal()
		return func(v any) bool {
			n, ok := compared(v, want)
			switch op {
			case "=":
				return ok && n == 0
			case "<>", "!=":
				return !ok || n != 0
			case "<":
				return ok && n < 0
			case ">":
				return ok && n > 0
			case "<=":
				return ok && n <= 0
			}
			return ok && n >= 0
		}, err
	default:
		return nil, fmt.Errorf("%q is no comparison", strings.TrimPrefix(op, "'"))
	}
}

func (p *sqlParser) literal() (any, error) {
	t := p.next()
	switch {
	case strings.HasPrefix(t, "'"):
		return t[1:], nil
	case strings.EqualFold(t, "true"), strings.EqualFold(t, "false"):
		return strings.EqualFold(t, "true"), nil
	}
	f, err := strconv.ParseFloat(t, 64)
	if err != nil {
		return nil, fmt.Errorf("%q is no value", t)
	}
	return f, nil
}

// compared says how a value stands to a literal; false: they can't be compared.
func compared(v, literal any) (int, bool) {
	switch want := literal.(type) {
	case string:
		switch v := v.(type) {
		case string:
			return strings.Compare(v, want), true
		case bool:
			return strings.Compare(strconv.FormatBool(v), strings.ToLower(want)), true
		}
		if f, ok := asNumber(v); ok {
			if w, err := strconv.ParseFloat(want, 64); err == nil {
				return cmp.Compare(f, w), true
			}
		}
	case bool:
		if b, ok := v.(bool); ok {
			if b == want {
				return 0, true
			}
			return 1, true
		}
	case float64:
		if f, ok := asNumber(v); ok {
			return cmp.Compare(f, want), true
		}
	}
	return 0, false
}

// picked gives the selected properties of an item, in their structure.
func (s *selection) picked(o object) object {
	out := object{}
	for _, path := range s.fields {
		if path == "*" {
			return o
		}
		pickPath(out, o, path)
	}
	return out
}

// pickPath copies what is at a path, through lists element by element.
func pickPath(into, from object, path string) {
	name, rest, more := strings.Cut(path, ".")
	v, ok := from[name]
	if !ok {
		return
	}
	if !more {
		into[name] = v
		return
	}
	switch v := v.(type) {
	case object:
		next, ok := into[name].(object)
		if !ok {
			next = object{}
			into[name] = next
		}
		pickPath(next, v, rest)
	case []any:
		list, ok := into[name].([]any)
		if !ok {
			list = make([]any, len(v))
			into[name] = list
		}
		for i, e := range v {
			o, isObject := e.(object)
			if !isObject {
				continue
			}
			next, ok := list[i].(object)
			if !ok {
				next = object{}
				list[i] = next
			}
			pickPath(next, o, rest)
		}
	}
}
