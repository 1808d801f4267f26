package rule

import (
	"encoding/json"
	"slices"
	"strings"
)

// backupSelection is what a resource selection of AWS Backup says. Source: AWS
// Backup's API reference, BackupSelection, and "Assigning resources".
type backupSelection struct {
	Resources    []string
	NotResources []string
	ListOfTags   []backupTag // one of them is enough
	Conditions   struct {    // all must hold
		StringEquals, StringNotEquals, StringLike, StringNotLike []backupTag
	}
}

// backupTag is a tag's key and the value, or pattern, that a selection compares.
type backupTag struct{ ConditionKey, ConditionValue string }

// backupSelects says whether a selection takes the resource of an ARN with tags.
// Whether the account has opted in to the resource's type is not looked at.
func backupSelects(m *machine, args []value) value {
	if !args[0].isMap() || !args[2].isMap() {
		return errNoOverload
	}
	var s backupSelection
	if err := json.Unmarshal([]byte(m.jsonOf(args[0])), &s); err != nil {
		return errorValue("backupSelects: not a selection: %v", err)
	}
	var tags map[string]string
	if err := json.Unmarshal([]byte(m.jsonOf(args[2])), &tags); err != nil {
		return errorValue("backupSelects: not tags: %v", err)
	}
	return boolValue(s.takes(args[1].str, tags))
}

func (s *backupSelection) takes(arn string, tags map[string]string) bool {
	named := func(list []string) bool {
		return slices.ContainsFunc(list, func(p string) bool { return wildcard(p, arn) })
	}
	if named(s.NotResources) {
		return false
	}
	if slices.ContainsFunc(s.ListOfTags, func(t backupTag) bool { return t.of(tags, equal) }) {
		return true
	}
	// Without any criterion AWS Backup takes everything.
	all := len(s.Resources) == 0 && len(s.ListOfTags) == 0
	return (all || named(s.Resources)) && s.conditionsHold(tags)
}

func (s *backupSelection) conditionsHold(tags map[string]string) bool {
	c := &s.Conditions
	for _, k := range []struct {
		list []backupTag
		is   func(pattern, text string) bool
		want bool
	}{{c.StringEquals, equal, true}, {c.StringLike, wildcard, true}, {c.StringNotEquals, equal, false}, {c.StringNotLike, wildcard, false}} {
		for _, t := range k.list {
			if t.of(tags, k.is) != k.want {
				return false
			}
		}
	}
	return true
}

// of says whether one of the tags is the one that is compared.
func (t backupTag) of(tags map[string]string, is func(pattern, text string) bool) bool {
	v, ok := tags[strings.TrimPrefix(t.ConditionKey, "aws:ResourceTag/")]
	return ok && is(t.ConditionValue, v)
}

func equal(a, b string) bool { return a == b }

// wildcard says whether a text fits a pattern in which * stands for any text.
func wildcard(pattern, text string) bool {
	head, rest, more := strings.Cut(pattern, "*")
	if !more {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, head)
	if !ok {
		return false
	}
	parts := strings.Split(rest, "*")
	last := parts[len(parts)-1]
	for _, part := range parts[:len(parts)-1] {
		_, after, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text = after
	}
	return strings.HasSuffix(text, last)
}
