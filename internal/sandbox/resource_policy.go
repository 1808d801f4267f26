package sandbox

import (
	"slices"
	"strings"
)

// access is what a service asks of another's resource on somebody's behalf.
type access struct {
	service  string // the principal: events.amazonaws.com
	action   string // sqs:SendMessage
	resource string // ARN
	source   string // ARN of what the service acts for: a rule, a topic
	account  string // of the source
	acl      string // that S3 is to set
}

// grants says whether a resource's policy lets a service in. Of conditions it
// knows those that such policies have: aws:SourceArn, aws:SourceAccount and
// s3:x-amz-acl. A statement with another one allows nothing and denies nothing.
func (a access) grants(text string) bool {
	if text == "" {
		return false
	}
	doc, err := parsePolicy(text)
	if err != nil {
		return false // policies are checked when they are set
	}
	allowed := false
	for _, s := range doc.Statement {
		if !a.meets(s) {
			continue
		}
		if s.Effect == "Deny" {
			return false
		}
		allowed = true
	}
	return allowed
}

func (a access) meets(s statement) bool {
	fits := func(want string, patterns []string) bool {
		return slices.ContainsFunc(patterns, func(pattern string) bool { return wildcard(strings.ToLower(pattern), strings.ToLower(want)) })
	}
	who := principals(s.Principal)
	if !slices.Contains(who, "*") && !slices.Contains(who, a.service) || !fits(a.action, s.Action) {
		return false
	}
	if len(s.Resource) > 0 && !slices.ContainsFunc(s.Resource, func(r string) bool { return wildcard(r, a.resource) }) {
		return false
	}
	for operator, keys := range s.Condition {
		keys, ok := keys.(map[string]any)
		if !ok {
			return false
		}
		for key, want := range keys {
			have := map[string]string{"aws:sourcearn": a.source, "aws:sourceaccount": a.account, "s3:x-amz-acl": a.acl}[strings.ToLower(key)]
			if have == "" || !compares(operator, have, principals(want)) {
				return false
			}
		}
	}
	return true
}

// compares evaluates one of a condition's operators.
func compares(operator, have string, want []string) bool {
	switch strings.TrimSuffix(operator, "IfExists") {
	case "StringEquals":
		return slices.Contains(want, have)
	case "StringLike", "ArnLike", "ArnEquals":
		return slices.ContainsFunc(want, func(w string) bool { return wildcard(w, have) })
	}
	return false
}
