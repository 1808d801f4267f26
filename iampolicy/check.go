package iampolicy

import (
	"fmt"
	"strings"
)

// What AWS takes in a policy of one kind only. Sources: IAM User Guide, "Grammar
// of the IAM JSON policy language", "AWS JSON policy elements: Principal" and
// "NotPrincipal"; Organizations User Guide, "SCP syntax" and "RCP syntax".

func (p *parser) checkID(m member) {
	if p.kind == Identity {
		p.fail(m.at, "an identity-based policy has no Id", "none")
	}
}

func (p *parser) checkPolicy(root node) {
	if p.kind == AnyKind {
		return
	}
	if (p.kind == SCP || p.kind == RCP) && p.policy.Version != Version2012 {
		p.fail(root.at, fmt.Sprintf("a %s has version %q", p.kind, p.policy.Version), Version2012)
	}
	if has(root, "Statement") && len(p.policy.Statements) == 0 {
		p.fail(root.at, "the policy has no statement", "one at least")
	}
	sids := map[string]int{}
	for i, s := range p.policy.Statements {
		if first, ok := sids[s.Sid]; ok && s.Sid != "" {
			p.in(step{member: fmt.Sprintf("Statement[%d]", i)}, func() {
				p.note(s.Position, fmt.Sprintf("the Sid %q is that of Statement[%d] too", s.Sid, first), "a Sid of its own")
			})
		}
		sids[s.Sid] = i
	}
}

// checkElement checks one element of a statement, whose path is set.
func (p *parser) checkElement(m member) {
	switch {
	case p.kind == AnyKind:
	case m.key == "Sid":
		p.checkSid(m.value)
	case m.key == "Principal" || m.key == "NotPrincipal":
		p.checkPrincipal(m)
	case m.key == "Action" || m.key == "NotAction":
		p.checkActions(m)
	case m.key == "Resource" || m.key == "NotResource":
		p.checkResources(m)
	}
}

// checkSid: IAM takes letters and digits. Other services take more.
func (p *parser) checkSid(n node) {
	if p.kind == Resource {
		return
	}
	for _, r := range n.text {
		if r > 'z' || !isAlphanumeric(byte(r)) {
			p.fail(n.at, fmt.Sprintf("the Sid has %q", r), "letters and digits only")
			return
		}
	}
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

func (p *parser) checkPrincipal(m member) {
	switch {
	case p.kind == Identity || p.kind == SCP:
		p.fail(m.at, fmt.Sprintf("a statement of %s names no principal", article(p.kind.String())), "no "+m.key)
	case m.key == "NotPrincipal" && p.kind != Resource:
		p.fail(m.at, fmt.Sprintf("a %s has no NotPrincipal", p.kind), "Principal")
	case p.kind == RCP && (m.value.kind != kindString || m.value.text != "*"):
		p.fail(m.value.at, "a resource control policy is for all principals", `"*"`)
	}
	for _, kind := range m.value.members {
		if kind.key != "AWS" {
			continue
		}
		for _, item := range each(kind.value) {
			if strings.ContainsAny(item.text, "*?") && item.text != "*" {
				p.fail(item.at, fmt.Sprintf("%q has a wildcard in a part of it", item.text), `a whole name, or "*" for everyone`)
			}
		}
	}
}

// each gives the items of a list, or the one value that stands for a list.
func each(n node) []node {
	if n.kind == kindList {
		return n.items
	}
	return []node{n}
}

func (p *parser) checkActions(m member) {
	if m.key == "NotAction" && p.kind == RCP {
		p.fail(m.at, "a resource control policy has no NotAction", "Action")
	}
	for _, item := range each(m.value) {
		service, name, ok := strings.Cut(item.text, ":")
		switch {
		case item.kind != kindString || item.text == "*":
		case !ok || service == "" || name == "":
			p.fail(item.at, fmt.Sprintf("%q is no action", item.text), `one such as s3:GetObject, or "*"`)
		case p.kind == Trust && !strings.EqualFold(service, "sts"):
			p.fail(item.at, fmt.Sprintf("%q is not an action of STS", item.text), "one such as sts:AssumeRole")
		}
	}
}

func (p *parser) checkResources(m member) {
	if p.kind == Trust {
		p.fail(m.at, "a trust policy is about the role that has it", "no "+m.key)
		return
	}
	for _, item := range each(m.value) {
		if item.kind != kindString || item.text == "*" {
			continue
		}
		if !strings.HasPrefix(item.text, "arn:") {
			p.fail(item.at, fmt.Sprintf("%q is no ARN", item.text), `one such as arn:aws:s3:::bucket/*, or "*"`)
			continue
		}
		head, _, whole := splitARN(item.text)
		if p.policy.variables() && whole && strings.Contains(strings.Join(head[:], ":"), "${") {
			p.fail(item.at, fmt.Sprintf("%q has a variable before its fifth colon", item.text), "variables in the last part of the ARN only")
		}
	}
}

// checkStatement checks what depends on several elements of a statement.
func (p *parser) checkStatement(n node, s *Statement) {
	if p.kind == RCP && s.Effect == Allow && !passesEverything(s) {
		p.fail(n.at, "a statement of a resource control policy allows", "Deny; only RCPFullAWSAccess allows, and all")
	}
}

// passesEverything says whether a statement is that of RCPFullAWSAccess.
func passesEverything(s *Statement) bool {
	return len(s.Actions) == 1 && s.Actions[0] == "*" && len(s.Resources) == 1 && s.Resources[0] == "*" && len(s.Conditions) == 0
}

// checkValues checks that the values of a condition are what its test compares.
func (p *parser) checkValues(op Operator, key member) {
	if p.kind == AnyKind {
		return
	}
	for _, item := range each(key.value) {
		want := ""
		switch tests[op.Test].class {
		case classNumber:
			if _, ok := parseNumber(item.text); !ok {
				want = "a number"
			}
		case classDate:
			if _, ok := parseDate(item.text); !ok {
				want = "a date such as 2026-01-31T00:00:00Z, or seconds since 1970"
			}
		case classBool, classNull:
			_, ok := parseBool(item.text)
			if !ok && (tests[op.Test].class == classNull || !strings.Contains(item.text, "${")) {
				want = "true or false"
			}
		case classIP:
			if _, ok := parsePrefix(item.text); !ok {
				want = "an IP address or a CIDR block"
			}
		case classBinary:
			if _, ok := parseBinary(item.text); !ok {
				want = "base64"
			}
		}
		if want != "" {
			p.fail(item.at, fmt.Sprintf("%s can't compare with %q", op, item.text), want)
		}
	}
}
