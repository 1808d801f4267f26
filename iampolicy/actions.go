package iampolicy

import (
	"slices"
	"strings"
)

// ActionGrant is an action pattern of a question and a statement that allows some
// of what it names.
type ActionGrant struct {
	Pattern     string // of the question
	Index       int    // of the statement, from 0
	Statement   *Statement
	Action      string // of the statement: the pattern that it allows by; "" by NotAction
	Conditional bool   // only where the statement's conditions hold
}

// AllowsActions says which of the action patterns a policy allows at all, and by
// which statements, on all that the resource pattern names; with "" on any
// resource. A pattern is allowed where an action could have a name that is both its
// and a statement's, whether or not AWS has one so called, unless a Deny without conditions has all that the pattern names, on all those
// resources.
func (p *Policy) AllowsActions(patterns []string, resource string) []ActionGrant {
	var out []ActionGrant
	for _, pattern := range patterns {
		if p.deniesAction(pattern, resource) {
			continue
		}
		for i := range p.Statements {
			s := &p.Statements[i]
			if s.Effect != Allow || !s.onAll(resource) {
				continue
			}
			if action, ok := s.allowsSome(pattern); ok {
				out = append(out, ActionGrant{Pattern: pattern, Index: i, Statement: s, Action: action, Conditional: len(s.Conditions) > 0})
			}
		}
	}
	return out
}

// allowsSome says by which of its patterns a statement is about an action of the
// pattern.
func (s *Statement) allowsSome(pattern string) (string, bool) {
	if s.Actions == nil {
		return "", s.NotActions != nil && !coverAll(s.NotActions, []string{pattern}, coversAction)
	}
	for _, a := range s.Actions {
		if overlaps(a, pattern) {
			return a, true
		}
	}
	return "", false
}

// onAll says whether a statement is about each resource that the pattern names;
// with "" about any.
func (s *Statement) onAll(resource string) bool {
	switch {
	case resource == "":
		return s.Resources == nil || len(s.Resources) > 0
	case s.Resources != nil:
		return coverAll(s.Resources, []string{resource}, coversResource)
	case s.NotResources != nil:
		// Sure only where nothing that it leaves out could be one of them.
		return !slices.ContainsFunc(s.NotResources, func(r string) bool { return overlaps(widened(r), widened(resource)) })
	}
	return true
}

func (p *Policy) deniesAction(pattern, resource string) bool {
	if resource == "" {
		resource = "*"
	}
	return slices.ContainsFunc(p.Statements, func(s Statement) bool {
		return s.Effect == Deny && len(s.Conditions) == 0 && s.NotPrincipal == nil && (s.Principal == nil || s.Principal.Everyone) &&
			coverAll(s.Actions, []string{pattern}, coversAction) && s.onAll(resource)
	})
}

// AdminStatements are the indices of the statements that allow every action on
// every resource. Conditions don't count: such a statement is one still.
func (p *Policy) AdminStatements() []int {
	var out []int
	for i := range p.Statements {
		s := &p.Statements[i]
		every := s.NotActions != nil && len(s.NotActions) == 0 || slices.ContainsFunc(s.Actions, func(action string) bool {
			return allStars(strings.Replace(action, ":", "", 1))
		})
		if s.Effect == Allow && every && s.onAll("*") {
			out = append(out, i)
		}
	}
	return out
}

// FullAccessStatements are the indices of the statements that allow every action
// of a service, or of all, on some resource.
func (p *Policy) FullAccessStatements() []int {
	var out []int
	for i := range p.Statements {
		s := &p.Statements[i]
		if s.Effect == Allow && slices.ContainsFunc(s.Actions, func(action string) bool {
			service, name, ok := strings.Cut(action, ":")
			return ok && service != "" && allStars(name) || allStars(action)
		}) {
			out = append(out, i)
		}
	}
	return out
}

func allStars(s string) bool { return s != "" && strings.Trim(s, "*") == "" }
