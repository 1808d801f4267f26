package iampolicy

import (
	"fmt"
	"slices"
	"strings"
)

// Sizes of policies, in the characters that Policy.Size counts. Source: IAM User
// Guide, "IAM and AWS STS quotas".
const (
	ManagedPolicySize     = 6144
	InlineUserPolicySize  = 2048 // all inline policies of a user together
	InlineGroupPolicySize = 5120 // all inline policies of a group together
	InlineRolePolicySize  = 10240
	SessionPolicySize     = 2048
)

// maxPairs bounds what Minimise takes: more actions times resources than that
// are far beyond what an identity's policies hold.
const maxPairs = 10000

// Need is what must be allowed: an action on resources, all written as in a policy
// of version 2012-10-17, so with wildcards and variables; Escape makes a plain text
// such a pattern. Where it has conditions, it is allowed under those only.
type Need struct {
	Action     string
	Resources  []string
	Conditions []Condition
}

// Limit is how much room there is.
type Limit struct {
	Size     int // characters of one policy
	Policies int // how many policies there may be
}

// TooLargeError says that needs don't fit into a limit.
type TooLargeError struct {
	Limit
	Need     int    // policies that it takes; 0 if even one pair is too large
	Smallest string // the action and resource that are too large
}

// Error implements error.
func (e *TooLargeError) Error() string {
	if e.Need == 0 {
		return fmt.Sprintf("%s don't fit into a policy of %d characters", e.Smallest, e.Size)
	}
	return fmt.Sprintf("it takes %d policies of %d characters; expected %d at most", e.Need, e.Size, e.Policies)
}

// Minimise makes small policies that allow what is needed and nothing else: no
// action and no resource is widened. What another need has already is left out,
// and actions and resources are put together where each of the one is needed on
// each of the other. The order of the needs doesn't count: the same needs give the
// same text. There is one policy if the limit lets it be, and no statement is
// spread over several unless it has to be. The smallest policy of all is not
// promised, for to find it takes too long.
func Minimise(needs []Need, limit Limit) ([]*Policy, error) {
	groups, err := group(needs)
	if err != nil {
		return nil, err
	}
	var statements []Statement
	for _, g := range groups {
		statements = append(statements, g.statements()...)
	}
	return pack(statements, limit)
}

// pair is an action on a resource, by their places in a group's lists.
type pair struct{ action, resource int }

// needGroup is what is needed under the same conditions.
type needGroup struct {
	key        string // the conditions' text
	conditions []Condition
	actions    []string // sorted, each once
	resources  []string // sorted, each once
	needed     map[pair]bool
	rest       []pair  // of needed, those that no other has, sorted
	on         [][]int // by action: the resources that it is needed on, sorted
	by         [][]int // by resource: the actions that are needed on it, sorted
}

// group sorts the needs by their conditions.
func group(needs []Need) ([]*needGroup, error) {
	byKey := map[string][]Need{}
	pairs := 0
	for i, n := range needs {
		if _, _, ok := strings.Cut(n.Action, ":"); !ok && n.Action != "*" {
			return nil, fmt.Errorf("need %d: %q is no action; expected one such as s3:GetObject", i, n.Action)
		}
		if len(n.Resources) == 0 || slices.Contains(n.Resources, "") {
			return nil, fmt.Errorf("need %d: %s has no resource; expected an ARN or \"*\"", i, n.Action)
		}
		if pairs += len(n.Resources); pairs > maxPairs {
			return nil, fmt.Errorf("more than %d pairs of an action and a resource are needed", maxPairs)
		}
		n.Conditions = sortedConditions(n.Conditions)
		w := &printer{}
		if err := w.conditions(n.Conditions); err != nil {
			return nil, fmt.Errorf("need %d: %w", i, err)
		}
		byKey[w.buf.String()] = append(byKey[w.buf.String()], n)
	}
	var out []*needGroup
	for key, list := range byKey {
		out = append(out, newGroup(key, list))
	}
	slices.SortFunc(out, func(a, b *needGroup) int { return strings.Compare(a.key, b.key) })
	return out, nil
}

func sortedConditions(list []Condition) []Condition {
	out := slices.Clone(list)
	for i := range out {
		out[i].Values = slices.Compact(slices.Sorted(slices.Values(out[i].Values)))
	}
	slices.SortFunc(out, func(a, b Condition) int {
		if c := strings.Compare(a.Operator.String(), b.Operator.String()); c != 0 {
			return c
		}
		return strings.Compare(a.Key, b.Key)
	})
	return out
}

func newGroup(key string, needs []Need) *needGroup {
	g := &needGroup{key: key, conditions: needs[0].Conditions, needed: map[pair]bool{}}
	spelling := map[string]string{} // actions are without case; the first in order is taken
	for _, n := range needs {
		folded := strings.ToLower(n.Action)
		if s, ok := spelling[folded]; !ok || n.Action < s {
			spelling[folded] = n.Action
		}
		g.resources = append(g.resources, n.Resources...)
	}
	for _, s := range spelling {
		g.actions = append(g.actions, s)
	}
	slices.Sort(g.actions)
	slices.Sort(g.resources)
	g.resources = slices.Compact(g.resources)
	for _, n := range needs {
		action, _ := slices.BinarySearch(g.actions, spelling[strings.ToLower(n.Action)])
		for _, r := range n.Resources {
			resource, _ := slices.BinarySearch(g.resources, r)
			g.needed[pair{action, resource}] = true
		}
	}
	g.reduce()
	return g
}

// reduce leaves out each pair that one which stays covers.
func (g *needGroup) reduce() {
	for p := range g.needed {
		g.rest = append(g.rest, p)
	}
	slices.SortFunc(g.rest, comparePairs)
	g.on, g.by = make([][]int, len(g.actions)), make([][]int, len(g.resources))
	for _, p := range g.rest {
		g.on[p.action] = append(g.on[p.action], p.resource)
		g.by[p.resource] = append(g.by[p.resource], p.action)
	}
	wideActions, wideResources := coverers(g.actions, coversAction), coverers(g.resources, coversResource)
	gone := map[pair]bool{}
	for _, p := range g.rest {
		gone[p] = slices.ContainsFunc(wideActions[p.action], func(a int) bool {
			return slices.ContainsFunc(wideResources[p.resource], func(r int) bool {
				q := pair{a, r}
				return q != p && g.needed[q] && !gone[q]
			})
		})
	}
	g.rest = slices.DeleteFunc(g.rest, func(p pair) bool { return gone[p] })
}

// coverers gives for each pattern those that cover it, itself among them.
func coverers(patterns []string, covers func(p, q string) bool) [][]int {
	out := make([][]int, len(patterns))
	for i, p := range patterns {
		if !strings.ContainsAny(p, "*?") && (split(p).ok || !strings.HasPrefix(p, "arn:")) {
			out[i] = append(out[i], i) // a plain name covers itself only; an ARN that lacks parts is none
			continue
		}
		for j, q := range patterns {
			if covers(p, q) {
				out[j] = append(out[j], i)
			}
		}
	}
	return out
}

func comparePairs(a, b pair) int {
	if a.action != b.action {
		return a.action - b.action
	}
	return a.resource - b.resource
}

// statements are the group's, by whichever way of putting them together is the
// shortest.
func (g *needGroup) statements() []Statement {
	byAction, byResource := g.rows()
	var best []Statement
	size := 0
	for _, blocks := range [][]block{byAction, byResource, g.cover(byAction, byResource)} {
		list := g.print(blocks)
		n := (&Policy{Statements: list}).Size()
		if best == nil || n < size {
			best, size = list, n
		}
	}
	return best
}

// print makes statements of blocks, in the order of their first action and
// resource.
func (g *needGroup) print(blocks []block) []Statement {
	out := make([]Statement, 0, len(blocks))
	for _, b := range blocks {
		s := Statement{Effect: Allow, Conditions: g.conditions}
		for _, a := range b.actions {
			s.Actions = append(s.Actions, g.actions[a])
		}
		for _, r := range b.resources {
			s.Resources = append(s.Resources, g.resources[r])
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Statement) int {
		if c := slices.Compare(a.Actions, b.Actions); c != 0 {
			return c
		}
		return slices.Compare(a.Resources, b.Resources)
	})
	return out
}

// pack puts statements into policies, each into the first that has room.
func pack(statements []Statement, limit Limit) ([]*Policy, error) {
	empty := (&Policy{Version: Version2012}).Size()
	var out []*Policy
	var sizes []int
	for len(statements) > 0 {
		s := statements[0]
		size := (&Policy{Version: Version2012, Statements: []Statement{s}}).Size() - empty
		if empty+size > limit.Size {
			a, b, ok := halve(s)
			if !ok {
				return nil, &TooLargeError{Limit: limit, Smallest: s.Actions[0] + " on " + s.Resources[0]}
			}
			statements = append([]Statement{a, b}, statements[1:]...)
			continue
		}
		statements = statements[1:]
		i := slices.IndexFunc(sizes, func(used int) bool { return used+1+size <= limit.Size }) // 1: the comma
		if i < 0 {
			out = append(out, &Policy{Version: Version2012, Statements: []Statement{s}})
			sizes = append(sizes, empty+size)
			continue
		}
		out[i].Statements = append(out[i].Statements, s)
		sizes[i] += 1 + size
	}
	if len(out) > limit.Policies {
		return nil, &TooLargeError{Limit: limit, Need: len(out)}
	}
	return out, nil
}

// halve cuts the longer list of a statement in two.
func halve(s Statement) (a, b Statement, ok bool) {
	a, b = s, s
	actions, resources := len(strings.Join(s.Actions, "")), len(strings.Join(s.Resources, ""))
	switch n, m := len(s.Actions)/2, len(s.Resources)/2; {
	case n > 0 && (actions >= resources || m == 0):
		a.Actions, b.Actions = s.Actions[:n], s.Actions[n:]
	case m > 0:
		a.Resources, b.Resources = s.Resources[:m], s.Resources[m:]
	default:
		return a, b, false
	}
	return a, b, true
}
