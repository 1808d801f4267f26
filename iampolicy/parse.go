package iampolicy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Kind is the kind of a policy: what it is attached to. AWS takes different
// elements for each. Source: IAM User Guide, "Grammar of the IAM JSON policy
// language"; Organizations User Guide, "SCP syntax" and "RCP syntax".
type Kind uint8

// The kinds of policies.
const (
	AnyKind  Kind = iota // what all have in common; nothing more is checked
	Identity             // of a user, group or role; a permissions boundary; a session policy
	Resource             // of a bucket, a key, a queue
	Trust                // of a role: who may assume it
	SCP                  // a service control policy
	RCP                  // a resource control policy
)

var policyKinds = [...]string{"policy", "identity-based policy", "resource-based policy", "trust policy", "service control policy", "resource control policy"}

// String is the kind's name in words.
func (k Kind) String() string {
	if int(k) < len(policyKinds) {
		return policyKinds[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Error is one thing that is wrong in a document.
type Error struct {
	Position
	Path    string // such as Statement[0].Condition.StringEquals; "" for the document
	Problem string // what is there
	Want    string // what was expected
}

// Error implements error.
func (e *Error) Error() string {
	s := fmt.Sprintf("%d:%d: ", e.Line, e.Col)
	if e.Path != "" {
		s += e.Path + ": "
	}
	s += e.Problem
	if e.Want != "" {
		s += "; expected " + e.Want
	}
	return s
}

// Errors are all that is wrong in a document, in the order of the text; the
// first twenty, if there are more.
type Errors []*Error

// Error implements error: one line for each.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Parse reads a policy document, as text and not percent-encoded as the IAM API
// hands it out. With AnyKind it takes what the language can mean: unknown
// elements and operators, elements twice and values of the wrong type are errors
// in every kind. With another kind the document must also be one that AWS takes
// for it. The error is of type Errors, and the policy is nil beside it.
func Parse(text string, kind Kind) (*Policy, error) {
	p := &parser{text: text, kind: kind}
	policy := p.parse()
	if len(p.errs) == 0 {
		return policy, nil
	}
	slices.SortStableFunc(p.errs, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	return nil, p.errs
}

type parser struct {
	text   string
	kind   Kind
	policy *Policy
	errs   Errors
	path   []step
	place  place
}

// step is one of the path to what is read: a member, or an item of a list.
type step struct {
	member string
	item   int // from 1; 0: it is a member
}

// place is where in the text position was last asked for, so that the text is
// gone through once for all that is asked in order.
type place struct{ at, line, start int }

func (p *parser) parse() *Policy {
	if len(p.text) > MaxDocument {
		p.fail(0, fmt.Sprintf("the document has %d bytes", len(p.text)), fmt.Sprintf("%d at most", MaxDocument))
		return nil
	}
	if !utf8.ValidString(p.text) {
		p.fail(0, "the document is not UTF-8", "")
		return nil
	}
	root, err := (&scanner{text: p.text}).document()
	if bad := (*syntax)(nil); errors.As(err, &bad) {
		p.fail(bad.at, bad.problem, bad.want)
		return nil
	}
	p.policy = &Policy{}
	p.document(root)
	return p.policy
}

// fail notes a problem at a byte of the text.
func (p *parser) fail(at int, problem, want string) { p.note(p.position(at), problem, want) }

func (p *parser) note(at Position, problem, want string) {
	if len(p.errs) < maxProblems {
		p.errs = append(p.errs, &Error{Position: at, Path: p.where(), Problem: problem, Want: want})
	}
}

func (p *parser) position(at int) Position {
	at = min(at, len(p.text))
	if at < p.place.at {
		p.place = place{}
	}
	between := p.text[p.place.at:at]
	p.place.line += strings.Count(between, "\n")
	if i := strings.LastIndexByte(between, '\n'); i >= 0 {
		p.place.start = p.place.at + i + 1
	}
	p.place.at = at
	return Position{Line: 1 + p.place.line, Col: 1 + at - p.place.start}
}

// in does something with a step more in the path of what it reports.
func (p *parser) in(s step, do func()) {
	p.path = append(p.path, s)
	do()
	p.path = p.path[:len(p.path)-1]
}

// where is the path as a text.
func (p *parser) where() string {
	var b strings.Builder
	for _, s := range p.path {
		switch {
		case s.item > 0:
			fmt.Fprintf(&b, "[%d]", s.item-1)
		case b.Len() > 0:
			b.WriteByte('.')
			fallthrough
		default:
			b.WriteString(s.member)
		}
	}
	return b.String()
}

// object calls do for each member, once for each name.
func (p *parser) object(n node, want string, do func(m member)) bool {
	if n.kind != kindObject {
		p.fail(n.at, "it is "+n.kind.String(), want)
		return false
	}
	if len(n.members) > maxMembers {
		p.fail(n.at, fmt.Sprintf("it has %d members", len(n.members)), fmt.Sprintf("%d at most", maxMembers))
		return false
	}
	for i, m := range n.members {
		p.in(step{member: m.key}, func() {
			if slices.ContainsFunc(n.members[:i], func(before member) bool { return before.key == m.key }) {
				p.fail(m.at, "it is there twice", "it once")
				return
			}
			do(m)
		})
	}
	return true
}

func (p *parser) document(root node) {
	hasStatement := false
	ok := p.object(root, "a policy, which is an object", func(m member) {
		switch m.key {
		case "Version":
			p.policy.Version = p.string(m.value)
			if v := p.policy.Version; m.value.kind == kindString && v != Version2008 && v != Version2012 {
				p.fail(m.value.at, fmt.Sprintf("no version %q of the language is known", v), Version2012+" or "+Version2008)
			}
		case "Id":
			p.policy.ID = p.string(m.value)
			p.checkID(m)
		case "Statement":
			hasStatement = true
			p.statements(m.value)
		default:
			p.fail(m.at, "a policy has no such element", "Version, Id or Statement")
		}
	})
	if !ok {
		return
	}
	if !hasStatement {
		p.fail(root.at, "the policy has no Statement", "one")
	}
	p.checkPolicy(root)
}

func (p *parser) statements(n node) {
	if n.kind == kindObject {
		p.policy.Statements = []Statement{p.statement(n)}
		return
	}
	if n.kind != kindList {
		p.fail(n.at, "it is "+n.kind.String(), "a statement or a list of statements")
		return
	}
	p.policy.Statements = make([]Statement, 0, len(n.items))
	for i, item := range n.items {
		p.in(step{item: i + 1}, func() {
			p.policy.Statements = append(p.policy.Statements, p.statement(item))
		})
	}
}

func (p *parser) statement(n node) Statement {
	s := Statement{Position: p.position(n.at)}
	ok := p.object(n, "a statement, which is an object", func(m member) {
		switch m.key {
		case "Sid":
			s.Sid = p.string(m.value)
		case "Effect":
			s.Effect = Effect(p.string(m.value))
			if m.value.kind == kindString && s.Effect != Allow && s.Effect != Deny {
				p.fail(m.value.at, fmt.Sprintf("no effect is named %q", s.Effect), "Allow or Deny")
			}
		case "Principal":
			s.Principal = p.principals(m.value)
		case "NotPrincipal":
			s.NotPrincipal = p.principals(m.value)
		case "Action":
			s.Actions = p.list(m.value)
		case "NotAction":
			s.NotActions = p.list(m.value)
		case "Resource":
			s.Resources = p.list(m.value)
		case "NotResource":
			s.NotResources = p.list(m.value)
		case "Condition":
			s.Conditions = p.conditions(m.value)
		default:
			p.fail(m.at, "a statement has no such element", "Sid, Effect, Principal, Action, Resource, Condition, or a Not form")
			return
		}
		p.checkElement(m)
	})
	if !ok {
		return s
	}
	if !has(n, "Effect") {
		p.fail(n.at, "the statement has no Effect", "Allow or Deny")
	}
	p.pair(n, "Action", true)
	p.pair(n, "Resource", p.kind == Identity || p.kind == SCP || p.kind == RCP)
	p.pair(n, "Principal", p.kind == Resource || p.kind == Trust || p.kind == RCP)
	p.checkStatement(n, &s)
	return s
}

// pair says that of an element and its Not form one at most is there, and one at
// least if it is needed.
func (p *parser) pair(n node, name string, needed bool) {
	plain, not := has(n, name), has(n, "Not"+name)
	switch {
	case plain && not:
		p.fail(n.at, "the statement has "+name+" and Not"+name, "one of them")
	case needed && !plain && !not:
		p.fail(n.at, "the statement has no "+name, "one")
	}
}

func has(n node, key string) bool {
	for _, m := range n.members {
		if m.key == key {
			return true
		}
	}
	return false
}

func (p *parser) string(n node) string {
	if n.kind != kindString {
		p.fail(n.at, "it is "+n.kind.String(), "a string")
	}
	return n.text
}

// list reads a string, or a list of strings.
func (p *parser) list(n node) []string {
	switch n.kind {
	case kindString:
		return []string{n.text}
	case kindList:
		out := make([]string, 0, len(n.items))
		for _, item := range n.items {
			out = append(out, p.string(item))
		}
		return out
	}
	p.fail(n.at, "it is "+n.kind.String(), "a string or a list of strings")
	return nil
}

func (p *parser) principals(n node) *Principals {
	if n.kind == kindString {
		if n.text != "*" {
			p.fail(n.at, fmt.Sprintf("it is %q", n.text), `"*" or an object such as {"AWS": "111122223333"}`)
		}
		return &Principals{Everyone: true}
	}
	out := &Principals{}
	p.object(n, `"*" or an object such as {"AWS": "111122223333"}`, func(m member) {
		switch m.key {
		case "AWS":
			out.AWS = p.list(m.value)
		case "Service":
			out.Service = p.list(m.value)
		case "Federated":
			out.Federated = p.list(m.value)
		case "CanonicalUser":
			out.CanonicalUser = p.list(m.value)
		default:
			p.fail(m.at, "there is no such type of principal", "AWS, Service, Federated or CanonicalUser")
		}
	})
	return out
}

func (p *parser) conditions(n node) []Condition {
	var out []Condition
	p.object(n, "an object of operators", func(m member) {
		op, ok := ParseOperator(m.key)
		if !ok {
			p.fail(m.at, "there is no such operator", "one such as StringEquals, ArnLikeIfExists or ForAnyValue:StringLike")
			return
		}
		p.object(m.value, "an object of context keys", func(key member) {
			if key.key == "" {
				p.fail(key.at, "the context key has no name", "one such as aws:SourceIp")
				return
			}
			out = append(out, Condition{Operator: op, Key: key.key, Values: p.values(key.value)})
			p.checkValues(op, key)
		})
	})
	return out
}

// values reads the values of a condition, in which numbers and booleans may
// stand without quotes.
func (p *parser) values(n node) []string {
	items := []node{n}
	if n.kind == kindList {
		items = n.items
	}
	out := make([]string, 0, len(items))
	for _, item := range items {
		if item.kind != kindString && item.kind != kindNumber && item.kind != kindBool {
			p.fail(item.at, "it is "+item.kind.String(), "a string, a number, true or false")
		}
		out = append(out, item.text)
	}
	return out
}
