package eventpattern

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Options are the limits that Compile keeps. A limit of 0 is the default.
type Options struct {
	// MaxChars is how many characters a pattern may have; 4096 by default, the
	// limit of TestEventPattern and PutRule.
	MaxChars int
	// MaxAlternatives is how many combinations the $or of a pattern may come to,
	// each $or multiplying those beside it; 1000 by default. It bounds the memory of
	// a pattern.
	MaxAlternatives int
	// MaxWildcardComplexity is how many beginnings of one wildcard may match the
	// same text, as event-ruler measures it; 10 by default. EventBridge doesn't
	// publish its limit: it takes a wildcard with 7 and refuses one with 11.
	MaxWildcardComplexity int
	// LastKeyWins allows a field more than once, and the last counts, as in
	// EventBridge. Else it is an error, for the others are silently lost.
	LastKeyWins bool
}

// Compile checks and compiles a pattern with the default limits. The error joins an
// *Error for each problem.
func Compile(pattern []byte) (*Pattern, error) { return Options{}.Compile(pattern) }

// Compile checks and compiles a pattern. The error joins an *Error for each
// problem.
func (o Options) Compile(pattern []byte) (*Pattern, error) {
	o.MaxChars = cmp.Or(o.MaxChars, 4096)
	o.MaxAlternatives = cmp.Or(o.MaxAlternatives, 1000)
	o.MaxWildcardComplexity = cmp.Or(o.MaxWildcardComplexity, 10)
	if n := utf8.RuneCount(pattern); n > o.MaxChars {
		return nil, &Error{Problem: fmt.Sprintf("the pattern has %d characters", n), Expected: fmt.Sprintf("at most %d", o.MaxChars)}
	}
	if !utf8.Valid(pattern) {
		return nil, &Error{Problem: "the pattern is no valid UTF-8"}
	}
	root, err := parse(pattern)
	if err != nil {
		return nil, err
	}
	c := &compiler{Options: o, data: pattern}
	if root.kind != objectKind {
		c.add(root.start, "", "an object", "the pattern is %s", root.what())
	} else {
		c.object(root, "")
	}
	if len(c.problems) > 0 {
		return nil, errors.Join(c.problems...)
	}
	for _, b := range c.branches {
		slices.SortFunc(b, func(x, y *condition) int { return strings.Compare(x.path, y.path) })
	}
	return &Pattern{branches: c.branches}, nil
}

// branch is one combination of a pattern's $or: conditions that must all hold, in
// the order of their paths.
type branch []*condition

// condition is what a branch wants of the field at a path: that one of the
// matchers matches, or, if absent, that there is no such field.
type condition struct {
	path         string
	matchers     []matcher
	absent       bool
	want         string // the list as it is in the pattern
	line, column int    // of the list
}

type compiler struct {
	Options
	data     []byte
	branches []branch
	problems []error
}

func (c *compiler) add(offset int, field, expected, format string, args ...any) {
	c.problems = append(c.problems, errorAt(c.data, offset, field, expected, format, args...))
}

// object compiles the members of an object in a pattern into the branches so far.
// The paths of its fields begin with prefix.
func (c *compiler) object(n *node, prefix string) {
	path := strings.TrimSuffix(prefix, ".")
	if len(n.members) == 0 {
		c.add(n.start, path, "fields", "an empty object")
	}
	for _, m := range n.members {
		field := prefix + m.name
		switch {
		case m.name == "$or" && c.isOr(m.value, path):
			c.or(m.value, prefix)
		case m.value.kind == objectKind:
			c.object(m.value, field+".")
		case m.value.kind == arrayKind:
			c.field(field, m)
		default:
			c.add(m.value.start, field, "a list, or an object", "the value is %s", m.value.what())
		}
	}
}

// isOr says whether the value of a member $or holds alternatives; if not, $or is
// the name of a field. The README of event-ruler has the conditions. A value that
// is neither is reported.
func (c *compiler) isOr(n *node, path string) bool {
	if n.kind != arrayKind {
		return false
	}
	objects, reserved := 0, 0
	for _, e := range n.elements {
		if e.kind == objectKind {
			objects++
			if slices.ContainsFunc(e.members, func(m member) bool { return slices.Contains(reservedInOr, m.name) }) {
				reserved++
			}
		}
	}
	if objects == 0 || reserved == objects {
		return false
	}
	if len(n.elements) < 2 || objects < len(n.elements) {
		c.add(n.start, path, "two objects or more", "the list of $or isn't one of alternatives")
	}
	return true
}

// reservedInOr are the names that no field of an alternative of $or may have,
// from event-ruler: operators, and what may become one.
var reservedInOr = []string{
	"exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists", "wildcard", "numeric", "cidr",
	"=", "<", "<=", ">", ">=", "regex", "not-wildcard", "not-equals-ignore-case",
	"date-after", "date-on-or-after", "date-before", "date-on-or-before", "in-date-range",
	"ip-address-in-range", "ip-address-not-in-range",
}

func (c *compiler) or(n *node, prefix string) {
	path := strings.TrimSuffix(prefix, ".")
	before := c.branches
	var all []branch
	for _, e := range n.elements {
		if e.kind != objectKind {
			continue
		}
		for _, m := range e.members {
			if slices.Contains(reservedInOr, m.name) {
				c.add(m.start, path, "the name of a field", "%q is reserved within $or", m.name)
			}
		}
		c.branches = make([]branch, len(before))
		for i, b := range before {
			c.branches[i] = slices.Clone(b)
		}
		c.object(e, prefix)
		if all = append(all, c.branches...); len(all) > c.MaxAlternatives {
			c.add(n.start, path, fmt.Sprintf("at most %d", c.MaxAlternatives), "the $or come to too many combinations")
			all = all[:1]
			break
		}
	}
	c.branches = all
}

// field adds the condition of a list to each branch.
func (c *compiler) field(path string, m member) {
	at := errorAt(c.data, m.value.start, "", "", "")
	cond := &condition{path: path, want: string(c.data[m.value.start:m.value.end]), line: at.Line, column: at.Column}
	if len(m.value.elements) == 0 {
		c.add(m.value.start, path, "values", "an empty list")
	}
	for _, e := range m.value.elements {
		c.entry(cond, e)
	}
	if len(c.branches) == 0 {
		c.branches = []branch{{}}
	}
	twice := false
	for i, b := range c.branches {
		j := slices.IndexFunc(b, func(other *condition) bool { return other.path == path })
		if j >= 0 {
			twice = true
			c.branches[i][j] = cond
		} else {
			c.branches[i] = append(b, cond)
		}
	}
	if twice && !c.LastKeyWins {
		c.add(m.start, path, "one list for a field", "the field is there twice; EventBridge would take the last only")
	}
}
