package rule

import (
	"net/url"
	"strings"

	"github.com/knowngood/knowngood/iampolicy"
)

// plainJSON takes the percent-encoding off a document: IAM hands its policies out
// so, and AWS Config records them as they come.
func plainJSON(text string) string {
	if strings.HasPrefix(text, "%7B") || strings.HasPrefix(text, "%7b") || strings.HasPrefix(text, "%5B") || strings.HasPrefix(text, "%5b") {
		if plain, err := url.PathUnescape(text); err == nil {
			return plain
		}
	}
	return text
}

// policyText gives the text of a policy that an item holds as text or as the
// document itself.
func (m *machine) policyText(v value) (string, bool) {
	switch v.kind {
	case kindString:
		return plainJSON(v.str), true
	case kindMap, kindNodeMap:
		return m.jsonOf(v), true
	}
	return "", false
}

// maxPolicies bounds the policies that a machine remembers.
const maxPolicies = 1024

// policy parses a policy's text, or remembers it: most roles of an account trust
// the same few services by the same few documents.
func (m *machine) policy(v value) (*iampolicy.Policy, value) {
	text, ok := m.policyText(v)
	if !ok {
		return nil, errNoOverload
	}
	if p, ok := m.policies[text]; ok {
		return p.policy, p.err
	}
	var known parsedPolicy
	p, err := iampolicy.Parse(text, iampolicy.AnyKind)
	if err != nil {
		known.err = errorValue("not a policy document: %v", err)
	} else {
		known.policy, known.err = p, boolValue(true)
	}
	if len(m.policies) >= maxPolicies {
		clear(m.policies)
		clear(m.answers)
	}
	m.policies[strings.Clone(text)] = known
	return known.policy, known.err
}

// parsedPolicy is a policy, or the error that it gave.
type parsedPolicy struct {
	policy *iampolicy.Policy
	err    value
}

// ask asks a policy a question, or remembers the answer.
func (m *machine) ask(function string, p *iampolicy.Policy, list []string, answer func(*iampolicy.Policy, []string) bool) bool {
	from := len(m.scratch)
	for _, s := range list {
		m.scratch = append(append(m.scratch, s...), 0)
	}
	q := question{function, p, m.scratched(from)}
	known, ok := m.answers[q]
	if !ok {
		if len(m.answers) >= 4*maxPolicies {
			clear(m.answers)
		}
		known = answer(p, list)
		q.list = strings.Clone(q.list)
		m.answers[q] = known
	}
	m.scratch = m.scratch[:from]
	return known
}

// deniesInsecureTransport says whether a policy denies everyone every action of
// a service, or of all, where aws:SecureTransport is false. Which of the
// resource's parts a statement names isn't looked at.
func deniesInsecureTransport(p *iampolicy.Policy) bool {
	for i := range p.Statements {
		s := &p.Statements[i]
		if s.Effect == iampolicy.Deny && isEveryone(s.Principal) && hasAll(s.Actions) && len(s.Conditions) == 1 && isInsecure(s.Conditions[0]) {
			return true
		}
	}
	return false
}

func isEveryone(p *iampolicy.Principals) bool {
	if p == nil {
		return false
	}
	for _, a := range p.AWS {
		if a == "*" {
			return true
		}
	}
	return p.Everyone
}

func hasAll(actions []string) bool {
	for _, a := range actions {
		service, name, ok := strings.Cut(a, ":")
		if a == "*" || ok && name == "*" && !strings.ContainsAny(service, "*?") {
			return true
		}
	}
	return false
}

func isInsecure(c iampolicy.Condition) bool {
	return (c.Operator.Test == iampolicy.Bool || c.Operator.Test == iampolicy.StringEquals) && c.Operator.Set == iampolicy.NoSet &&
		strings.EqualFold(c.Key, "aws:SecureTransport") && len(c.Values) == 1 && strings.EqualFold(c.Values[0], "false")
}
