package sandbox

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// term is one of the comparisons that an expression joins with AND.
type term struct {
	name   string
	op     string // =, <, begins_with, BETWEEN, attribute_exists, ...
	values []any
}

const (
	pathForm  = `([#A-Za-z_][\w]*)`
	valueForm = `(:\w+)`
)

var (
	existsTerm  = regexp.MustCompile(`^\s*(attribute_exists|attribute_not_exists|begins_with)\s*\(\s*` + pathForm + `\s*(?:,\s*` + valueForm + `\s*)?\)`)
	betweenTerm = regexp.MustCompile(`^\s*` + pathForm + `\s+(?i:(BETWEEN))\s+` + valueForm + `\s+(?i:AND)\s+` + valueForm)
	compareTerm = regexp.MustCompile(`^\s*` + pathForm + `\s*(=|<>|<=|>=|<|>)\s*` + valueForm)
	joined      = regexp.MustCompile(`^\s+(?i:AND)\s+`)
)

// terms reads an expression of comparisons joined with AND, which is what the
// sandbox understands of expressions.
func (c *call) terms(text string) ([]term, error) {
	var out []term
	for rest := text; ; {
		var t term
		var values []string
		var m []string
		if m = existsTerm.FindStringSubmatch(rest); m != nil {
			t, values = term{name: m[2], op: m[1]}, m[3:]
			if (m[3] != "") != (m[1] == "begins_with") {
				return nil, invalid("Invalid expression: Incorrect number of operands for operator or function; operator or function: %s", m[1])
			}
		} else if m = betweenTerm.FindStringSubmatch(rest); m != nil {
			t, values = term{name: m[1], op: "BETWEEN"}, m[3:]
		} else if m = compareTerm.FindStringSubmatch(rest); m != nil {
			t, values = term{name: m[1], op: m[2]}, m[3:]
		} else {
			return nil, failure(501, "NotImplemented", "The sandbox does not simulate the expression %q.", text)
		}
		var err error
		if t.name, err = c.attributeName(t.name); err != nil {
			return nil, err
		}
		for _, v := range values {
			if v == "" {
				continue
			}
			value, err := c.attributeValue(v)
			if err != nil {
				return nil, err
			}
			t.values = append(t.values, value)
		}
		out = append(out, t)
		rest = rest[len(m[0]):]
		if strings.TrimSpace(rest) == "" {
			return out, nil
		}
		and := joined.FindString(rest)
		if and == "" {
			return nil, failure(501, "NotImplemented", "The sandbox does not simulate the expression %q.", text)
		}
		rest = rest[len(and):]
	}
}

func (c *call) attributeName(name string) (string, error) {
	if !strings.HasPrefix(name, "#") {
		return name, nil
	}
	full, ok := c.object("ExpressionAttributeNames")[name].(string)
	if !ok {
		return "", invalid("An expression attribute name used in the document path is not defined; attribute name: %s", name)
	}
	return full, nil
}

func (c *call) attributeValue(name string) (any, error) {
	v, ok := c.object("ExpressionAttributeValues")[name]
	if !ok {
		return nil, invalid("An expression attribute value used in expression is not defined; attribute value: %s", name)
	}
	return v, nil
}

func (t term) holds(item structure) bool {
	have, there := item[t.name]
	switch t.op {
	case "attribute_exists":
		return there
	case "attribute_not_exists":
		return !there
	case "begins_with":
		kind, value := attribute(have)
		prefix, want := attribute(t.values[0])
		text, ok1 := value.(string)
		start, ok2 := want.(string)
		return kind == "S" && prefix == "S" && ok1 && ok2 && strings.HasPrefix(text, start)
	case "BETWEEN":
		low, ok1 := compare(have, t.values[0])
		high, ok2 := compare(have, t.values[1])
		return ok1 && ok2 && low >= 0 && high <= 0
	}
	n, ordered := compare(have, t.values[0])
	same := ordered && n == 0 || !ordered && reflect.DeepEqual(have, t.values[0])
	switch t.op {
	case "=":
		return there && same
	case "<>":
		return !same
	case "<":
		return ordered && n < 0
	case "<=":
		return ordered && n <= 0
	case ">":
		return ordered && n > 0
	}
	return ordered && n >= 0
}

// condition says whether an item passes an expression.
func (c *call) condition(text string, item structure) (bool, error) {
	if text == "" {
		return true, nil
	}
	terms, err := c.terms(text)
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(terms, func(t term) bool { return !t.holds(item) }), nil
}

var (
	updateSection = regexp.MustCompile(`(?i)\b(SET|REMOVE)\s+`)
	setTerm       = regexp.MustCompile(`^\s*` + pathForm + `\s*=\s*` + valueForm + `\s*$`)
	removeTerm    = regexp.MustCompile(`^\s*` + pathForm + `\s*$`)
)

// updates reads an UpdateExpression of plain SETs and REMOVEs; nil stands for
// what is removed.
func (c *call) updates(text string) (structure, error) {
	other := failure(501, "NotImplemented", "The sandbox does not simulate the expression %q.", text)
	sections := updateSection.FindAllStringSubmatchIndex(text, -1)
	if len(sections) == 0 && text != "" || len(sections) > 0 && strings.TrimSpace(text[:sections[0][0]]) != "" {
		return nil, other
	}
	out := structure{}
	for i, at := range sections {
		end := len(text)
		if i+1 < len(sections) {
			end = sections[i+1][0]
		}
		form := setTerm
		if strings.EqualFold(text[at[2]:at[3]], "REMOVE") {
			form = removeTerm
		}
		for part := range strings.SplitSeq(text[at[1]:end], ",") {
			m := form.FindStringSubmatch(part)
			if m == nil {
				return nil, other
			}
			name, err := c.attributeName(m[1])
			if err != nil {
				return nil, err
			}
			out[name] = nil
			if len(m) > 2 {
				if out[name], err = c.attributeValue(m[2]); err != nil {
					return nil, err
				}
			}
		}
	}
	return out, nil
}
