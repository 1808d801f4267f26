package iampolicy

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// The versions of the policy language. A policy without a version is read as
// 2008-10-17, in which "${" is plain text: variables came with 2012-10-17.
// Source: IAM User Guide, "IAM JSON policy elements: Version".
const (
	Version2008 = "2008-10-17"
	Version2012 = "2012-10-17"
)

// Effect is what a statement does to the requests that it applies to.
type Effect string

// The effects.
const (
	Allow Effect = "Allow"
	Deny  Effect = "Deny"
)

// Policy is a policy document. It is a plain value: Parse makes one from JSON,
// and MarshalJSON and String print it. Everything that evaluates a policy only
// reads it, so one Policy may serve many goroutines.
type Policy struct {
	Version    string // "" where the document has none
	ID         string
	Statements []Statement
}

// Statement is one statement of a policy. Of each pair Action and NotAction,
// Resource and NotResource, Principal and NotPrincipal one at most is there. A
// list that is nil is not in the document; one that is empty is, and names
// nothing.
type Statement struct {
	Sid          string
	Effect       Effect
	Principal    *Principals
	NotPrincipal *Principals
	Actions      []string
	NotActions   []string
	Resources    []string
	NotResources []string
	Conditions   []Condition // all must hold
	Position     Position    // where it begins in the document, if it was parsed
}

// Principals are those whom a Principal or NotPrincipal element names.
type Principals struct {
	Everyone      bool     // the element is "*"; {"AWS": "*"} means the same and stays in AWS
	AWS           []string // account ids, ARNs, unique ids or "*"
	Service       []string // ec2.amazonaws.com
	Federated     []string // graph.facebook.com, or the ARN of a provider
	CanonicalUser []string
}

// Condition is one test of a Condition element: a key of the request's context
// against values, any of which will do.
type Condition struct {
	Operator Operator
	Key      string
	Values   []string
}

// Position is a place in a document. The zero Position is no place.
type Position struct {
	Line int // from 1
	Col  int // from 1, in bytes
}

// variables says whether "${...}" means something in the policy.
func (p *Policy) variables() bool { return p.Version == Version2012 }

// String is the policy as compact JSON. It is "" for a policy that can't be
// printed, for which MarshalJSON has the reason.
func (p *Policy) String() string {
	raw, err := p.MarshalJSON()
	if err != nil {
		return ""
	}
	return string(raw)
}

// Size is the number of characters that AWS counts against a limit: those of
// the compact document, white space between its tokens being free.
// Source: IAM User Guide, "IAM and AWS STS quotas".
func (p *Policy) Size() int { return len(p.String()) }

// MarshalJSON prints the policy compactly, its members in one fixed order and a
// list of one as that one. Parse makes the same policy of it, positions aside. It
// fails where a statement tests one key twice by the same operator, for which
// JSON has no form.
func (p *Policy) MarshalJSON() ([]byte, error) {
	w := &printer{}
	w.open('{')
	if p.Version != "" {
		w.text("Version", p.Version)
	}
	if p.ID != "" {
		w.text("Id", p.ID)
	}
	w.key("Statement")
	w.open('[')
	for i := range p.Statements {
		w.comma()
		if err := w.statement(&p.Statements[i]); err != nil {
			return nil, fmt.Errorf("statement %d: %w", i+1, err)
		}
	}
	w.close(']')
	w.close('}')
	return w.buf.Bytes(), nil
}

// printer writes JSON. It escapes what JSON must have escaped and no more, for
// every character counts against a policy's limit.
type printer struct {
	buf   bytes.Buffer
	first bool // nothing was written yet in the innermost object or list
}

func (w *printer) open(c byte)  { w.buf.WriteByte(c); w.first = true }
func (w *printer) close(c byte) { w.buf.WriteByte(c); w.first = false }

func (w *printer) comma() {
	if !w.first {
		w.buf.WriteByte(',')
	}
	w.first = false
}

func (w *printer) value(s string) {
	enc := json.NewEncoder(&w.buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s)               // a string into a buffer can't fail
	w.buf.Truncate(w.buf.Len() - 1) // Encode ends with a line feed
	w.first = false
}

func (w *printer) key(k string) {
	w.comma()
	w.value(k)
	w.buf.WriteByte(':')
}

func (w *printer) text(k, v string) {
	w.key(k)
	w.value(v)
}

// list writes a member that is not there if nil.
func (w *printer) list(k string, values []string) {
	if values == nil {
		return
	}
	w.key(k)
	if len(values) == 1 {
		w.value(values[0])
		return
	}
	w.open('[')
	for _, v := range values {
		w.comma()
		w.value(v)
	}
	w.close(']')
}

func (w *printer) principals(k string, p *Principals) {
	if p == nil {
		return
	}
	w.key(k)
	if p.Everyone {
		w.value("*")
		return
	}
	w.open('{')
	w.list("AWS", p.AWS)
	w.list("Service", p.Service)
	w.list("Federated", p.Federated)
	w.list("CanonicalUser", p.CanonicalUser)
	w.close('}')
}

func (w *printer) statement(s *Statement) error {
	w.open('{')
	if s.Sid != "" {
		w.text("Sid", s.Sid)
	}
	w.text("Effect", string(s.Effect))
	w.principals("Principal", s.Principal)
	w.principals("NotPrincipal", s.NotPrincipal)
	w.list("Action", s.Actions)
	w.list("NotAction", s.NotActions)
	w.list("Resource", s.Resources)
	w.list("NotResource", s.NotResources)
	if len(s.Conditions) > 0 {
		w.key("Condition")
		if err := w.conditions(s.Conditions); err != nil {
			return err
		}
	}
	w.close('}')
	return nil
}

// conditions writes each operator once, where it first comes.
func (w *printer) conditions(list []Condition) error {
	type test struct {
		operator Operator
		key      string
	}
	seen := map[test]bool{}
	w.open('{')
	for i, c := range list {
		if seen[test{operator: c.Operator}] {
			continue
		}
		seen[test{operator: c.Operator}] = true
		if c.Operator.Test == NoTest || c.Operator.Test > Null {
			return fmt.Errorf("the condition on %q has no test", c.Key)
		}
		w.key(c.Operator.String())
		w.open('{')
		for _, d := range list[i:] {
			if d.Operator != c.Operator {
				continue
			}
			if d.Key == "" {
				return fmt.Errorf("%s tests a key without a name", d.Operator)
			}
			if seen[test{d.Operator, d.Key}] {
				return fmt.Errorf("%s tests %q twice; one test with both lists in common is needed", d.Operator, d.Key)
			}
			seen[test{d.Operator, d.Key}] = true
			values := d.Values
			if values == nil {
				values = []string{}
			}
			w.list(d.Key, values)
		}
		w.close('}')
	}
	w.close('}')
	return nil
}
