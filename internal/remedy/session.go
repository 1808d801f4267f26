package remedy

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
)

// maxSessionPolicy is how long a session policy may be, in characters, as
// AssumeRole takes them.
const maxSessionPolicy = 2048

// readsOnly is the session policy that planning a runbook assumes its role with:
// the actions of its reads and no others, so that a plan can't write even where
// the table of operation classes were wrong. Where they don't fit, the actions of
// a service are named by their verbs, "ec2:Describe*".
//
// What a script reads is not known beforehand: with one, the role is as it is.
func readsOnly(book *Runbook, catalog *awsapi.Catalog) (string, error) {
	if slices.ContainsFunc(book.Document.Steps(), func(s *runbook.Step) bool { return s.Action == "aws:executeScript" }) {
		return "", nil
	}
	actions, verbs := map[string]bool{}, map[string]bool{}
	for _, c := range book.Document.Calls(catalog) {
		class := c.Operation.Class()
		sensitive := slices.Contains(book.Entry.SensitiveReads, c.Operation.Service.Name+":"+c.Operation.Name)
		if class == awsapi.Write || class == awsapi.SensitiveRead && !sensitive {
			continue
		}
		for _, a := range c.Operation.IAMActions(nil) {
			actions[a] = true
			verbs[verb(a)] = true
		}
	}
	policy, err := sessionPolicy(actions)
	if err == nil && len(policy) > maxSessionPolicy {
		policy, err = sessionPolicy(verbs)
	}
	return policy, err
}

// verb is an action with all but its verb left open: ec2:DescribeVolumes is
// ec2:Describe*.
func verb(action string) string {
	colon := strings.IndexByte(action, ':')
	for i := colon + 2; i < len(action); i++ {
		if action[i] >= 'A' && action[i] <= 'Z' {
			return action[:i] + "*"
		}
	}
	return action
}

func sessionPolicy(actions map[string]bool) (string, error) {
	type statement struct{ Effect, Resource string }
	raw, err := json.Marshal(map[string]any{
		"Version": "2012-10-17",
		"Statement": []any{struct {
			statement
			Action []string
		}{statement{"Allow", "*"}, slices.Sorted(maps.Keys(actions))}},
	})
	return string(raw), err
}
