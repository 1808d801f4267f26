package sandbox

import (
	"slices"
	"strconv"
	"strings"
)

// expression reads an expression of DynamoDB, token by token. Its methods keep
// the first error and go on, so that only the end has to look at it.
//
// Source: Amazon DynamoDB Developer Guide, "Using expressions in DynamoDB".
type expression struct {
	*call
	member string // of the input, for messages
	tokens []string
	err    error
}

// maxExpressionSize is an expression's most bytes. Source: Amazon DynamoDB Developer
// Guide, "Service, account, and table quotas".
const maxExpressionSize = 4096

var tokenForm = patternOf(`^\s*([#:]?\w+|<>|<=|>=|[=<>(),.\[\]+-])`)

// expression begins to read a member of the input; false: it isn't there.
func (c *call) expression(member string) (*expression, bool) {
	text := c.str(member)
	x := &expression{call: c, member: member}
	if len(text) > maxExpressionSize {
		x.fail(invalid("Invalid %s: Expression size has exceeded the maximum allowed size; expression size: %d", member, len(text)))
		return x, true
	}
	for rest := text; strings.TrimSpace(rest) != ""; {
		m := tokenForm.FindStringSubmatch(rest)
		if m == nil {
			x.wrong(strings.TrimSpace(rest)[:1])
			break
		}
		x.tokens, rest = append(x.tokens, m[1]), rest[len(m[0]):]
	}
	return x, text != ""
}

func (x *expression) fail(err error) {
	if x.err == nil {
		x.err = err
	}
}

// wrong keeps a syntax error.
func (x *expression) wrong(token string) {
	if token == "" {
		token = "<EOF>"
	}
	x.fail(invalid("Invalid %s: Syntax error; token: %q", x.member, token))
}

// peek gives the next token; "": there is no more, or an error ended it.
func (x *expression) peek() string {
	if x.err != nil || len(x.tokens) == 0 {
		return ""
	}
	return x.tokens[0]
}

func (x *expression) next() string {
	t := x.peek()
	if t != "" {
		x.tokens = x.tokens[1:]
	}
	return t
}

// takes says whether the next token is a word, in any case, and goes past it.
func (x *expression) takes(word string) bool {
	if !strings.EqualFold(x.peek(), word) {
		return false
	}
	x.next()
	return true
}

func (x *expression) want(token string) {
	if !x.takes(token) {
		x.wrong(x.peek())
	}
}

// end says what was wrong with the whole.
func (x *expression) end() error {
	if t := x.peek(); t != "" {
		x.wrong(t)
	}
	return x.err
}

// step is one part of a document path: a name, or an element of a list.
type step struct {
	name  string
	index int
}

type path []step

func (x *expression) path() path {
	p := path{{name: x.name()}}
	for x.err == nil {
		switch {
		case x.takes("."):
			p = append(p, step{name: x.name()})
		case x.takes("["):
			n, err := strconv.Atoi(x.peek())
			if err != nil || n < 0 {
				x.wrong(x.peek())
			}
			x.next()
			x.want("]")
			p = append(p, step{index: n})
		default:
			return p
		}
	}
	return p
}

var nameForm = patternOf(`^[A-Za-z_]\w*$`)

func (x *expression) name() string {
	t := x.next()
	if full, ok := x.object("ExpressionAttributeNames")[t].(string); ok && strings.HasPrefix(t, "#") {
		return full
	}
	switch {
	case strings.HasPrefix(t, "#"):
		x.fail(invalid("Invalid %s: An expression attribute name used in the document path is not defined; attribute name: %s", x.member, t))
	case !nameForm.MatchString(t):
		x.wrong(t)
	}
	return t
}

// of gives the attribute at a path; nil: it isn't there.
func (p path) of(item structure) any {
	at := item[p[0].name]
	for _, s := range p[1:] {
		kind, value := attribute(at)
		at = nil
		switch value := value.(type) {
		case object:
			if kind == "M" && s.name != "" {
				at = value[s.name]
			}
		case []any:
			if kind == "L" && s.name == "" && s.index < len(value) {
				at = value[s.index]
			}
		}
	}
	return at
}

// pathTree is a set of paths of which none lies in another.
type pathTree struct {
	whole    bool // a path ends here
	children map[step]*pathTree
}

// add puts a path in; false: it overlaps with one that is there.
func (t *pathTree) add(p path) bool {
	for _, s := range p {
		if t.whole {
			return false
		}
		if t.children == nil {
			t.children = map[step]*pathTree{}
		}
		if t.children[s] == nil {
			t.children[s] = &pathTree{}
		}
		t = t.children[s]
	}
	if t.whole || len(t.children) > 0 {
		return false
	}
	t.whole = true
	return true
}

// project gives the parts of an item that are at the paths.
func (t *pathTree) project(item structure) structure {
	out := structure{}
	for s, sub := range t.children {
		if v := sub.prune(item[s.name]); v != nil {
			out[s.name] = v
		}
	}
	return out
}

func (t *pathTree) prune(v any) any {
	kind, value := attribute(v)
	switch value := value.(type) {
	case object:
		if out := (object)(t.project(value)); !t.whole && kind == "M" && len(out) > 0 {
			return object{"M": out}
		}
	case []any:
		var out []any
		for i, e := range value {
			if sub := t.children[step{index: i}]; sub != nil && kind == "L" {
				if e = sub.prune(e); e != nil {
					out = append(out, e)
				}
			}
		}
		if !t.whole && len(out) > 0 {
			return object{"L": out}
		}
	}
	if t.whole {
		return v
	}
	return nil
}

// projection reads ProjectionExpression; nil: it isn't there.
func (c *call) projection() (*pathTree, error) {
	x, given := c.expression("ProjectionExpression")
	if !given {
		return nil, nil
	}
	t := &pathTree{}
	for more := true; more && x.err == nil; more = x.takes(",") {
		if !t.add(x.path()) {
			x.fail(overlap(x.member))
		}
	}
	return t, x.end()
}

func overlap(member string) error {
	return invalid("Invalid %s: Two document paths overlap with each other; must remove or rewrite one of these paths", member)
}

// checkAttributes refuses names and values that none of the expressions uses.
func (c *call) checkAttributes(members ...string) error {
	var used []string
	for _, m := range members {
		x, _ := c.expression(m)
		used = append(used, x.tokens...)
	}
	for _, m := range []string{"ExpressionAttributeNames", "ExpressionAttributeValues"} {
		for _, name := range sorted(c.object(m)) {
			if !slices.Contains(used, name) {
				return invalid("Value provided in %s unused in expressions: keys: {%s}", m, name)
			}
		}
	}
	return nil
}
