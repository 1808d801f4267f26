package awsapi

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// IAMActions are the IAM actions that the operation needs with this input,
// sorted: PutPublicAccessBlock of s3 needs s3:PutBucketPublicAccessBlock. A nil
// input gives what every input needs. The source is AWS's Service
// Authorization Reference; an operation that our table does not name needs
// <prefix>:<Operation>, the prefix mostly being the signing name.
func (o *Operation) IAMActions(in map[string]any) []string {
	t := iamActions()
	actions := []string{t.prefix(o.Service) + ":" + o.Name}
	for _, r := range t.rules(o) {
		if r.kind == iamIs || r.kind == iamWhen && r.applies(in) {
			actions = r.of(o, t)
		}
	}
	for _, r := range t.rules(o) {
		if r.kind == iamWith && r.applies(in) {
			actions = append(actions, r.of(o, t)...)
		}
	}
	slices.Sort(actions)
	return slices.Compact(actions)
}

// DependentActions are the IAM actions that the operation may need besides,
// sorted, depending on the resources that it meets: on the key of a volume for
// one. The principal needs them where that key is a customer managed one.
func (o *Operation) DependentActions() []string {
	t := iamActions()
	var actions []string
	for _, r := range t.rules(o) {
		if r.kind == iamMay {
			actions = append(actions, r.of(o, t)...)
		}
	}
	slices.Sort(actions)
	return slices.Compact(actions)
}

//go:embed iamactions/actions.txt
var iamActionsText string

var iamActions = sync.OnceValue(func() *iamTable {
	// A test proves that the embedded table is in order.
	table, _ := parseIAMActions(iamActionsText)
	return table
})

// iamTable is the text in iamactions/actions.txt, read.
type iamTable struct {
	prefixes map[string]string    // by service
	named    map[string][]iamRule // by "service Operation", and "service *"
}

type iamKind uint8

const (
	iamIs iamKind = iota
	iamWhen
	iamWith
	iamMay
)

var iamKinds = map[string]iamKind{"is": iamIs, "when": iamWhen, "with": iamWith, "may": iamMay}

type iamRule struct {
	kind    iamKind
	member  string // of when and with
	value   string // that the member must have; "": any
	actions []string
}

// rules gives an operation's rules: those for all operations of the service,
// then its own, so that its own decide.
func (t *iamTable) rules(o *Operation) []iamRule {
	return slices.Concat(t.named[o.Service.Name+" *"], t.named[o.Service.Name+" "+o.Name])
}

func (t *iamTable) prefix(s *Service) string {
	if p, ok := t.prefixes[s.Name]; ok {
		return p
	}
	return s.SigningName
}

// applies says whether the input has the rule's member, false and empty lists
// and texts counting as not having it.
func (r iamRule) applies(in map[string]any) bool {
	switch v := in[r.member].(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != "" && (r.value == "" || v == r.value)
	case []any:
		return len(v) > 0
	}
	return true
}

func (r iamRule) of(o *Operation, t *iamTable) []string {
	out := make([]string, len(r.actions))
	for i, a := range r.actions {
		if a == "{Method}" {
			a = o.Method
		}
		if !strings.Contains(a, ":") {
			a = t.prefix(o.Service) + ":" + a
		}
		out[i] = a
	}
	return out
}

// parseIAMActions reads a table, as far as it is in order. The error names the
// first line that is not.
func parseIAMActions(text string) (*iamTable, error) {
	t := &iamTable{prefixes: map[string]string{}, named: map[string][]iamRule{}}
	var first error
	for i, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if err := t.add(fields); err != nil && first == nil {
			first = fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return t, first
}

func (t *iamTable) add(fields []string) error {
	if fields[0] == "prefix" {
		if len(fields) != 3 {
			return fmt.Errorf("a prefix has %d words; expected 3", len(fields))
		}
		t.prefixes[fields[1]] = fields[2]
		return nil
	}
	kind, ok := iamKinds[fields[0]]
	if !ok {
		return fmt.Errorf("%q is no kind of rule; expected prefix, is, when, with or may", fields[0])
	}
	r := iamRule{kind: kind}
	rest := fields[1:]
	least := 3
	if kind == iamWhen || kind == iamWith {
		least = 4
	}
	if len(rest) < least {
		return fmt.Errorf("%q has %d words; expected at least %d", fields[0], len(fields), least+1)
	}
	key := rest[0] + " " + rest[1]
	rest = rest[2:]
	if least == 4 {
		r.member, r.value, _ = strings.Cut(rest[0], "=")
		rest = rest[1:]
	}
	r.actions = rest
	t.named[key] = append(t.named[key], r)
	return nil
}
