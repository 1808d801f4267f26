package report

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/knowngood/knowngood"
)

// Group is what is known of all results that have something in common.
type Group struct {
	Name         string `json:"name"`
	Status       Status `json:"status"`
	Passed       int    `json:"passed"`
	Failed       int    `json:"failed"`
	NotEvaluated int    `json:"notEvaluated"`
}

// Total is the number of results.
func (g Group) Total() int { return g.Passed + g.Failed + g.NotEvaluated }

func (g *Group) count(s Status) {
	switch s {
	case Passed:
		g.Passed++
	case Failed:
		g.Failed++
	default:
		g.NotEvaluated++
	}
	switch {
	case g.Failed > 0:
		g.Status = Failed
	case g.NotEvaluated > 0:
		g.Status = NotEvaluated
	default:
		g.Status = Passed
	}
}

// Posture is a report's results, grouped.
type Posture struct {
	All        Group   `json:"all"`
	Packs      []Group `json:"packs"`
	Controls   []Group `json:"controls"` // a result counts for each control of its rule
	Accounts   []Group `json:"accounts"`
	Regions    []Group `json:"regions"`
	Severities []Group `json:"severities"` // the most severe first
}

// severities are from most to least severe.
var severities = [...]knowngood.Severity{knowngood.Critical, knowngood.High, knowngood.Medium, knowngood.Low, knowngood.Informational}

// Posture groups the results.
func (r *Report) Posture() Posture {
	packs, controls, accounts, regions, levels := groups{}, groups{}, groups{}, groups{}, groups{}
	for _, p := range r.Packs {
		packs.get(p)
	}
	for i := range r.Rules {
		rule := &r.Rules[i]
		packs.get(rule.Pack)
		for _, c := range rule.Controls {
			controls.get(c)
		}
	}
	for _, p := range r.Places {
		accounts.get(p.Account)
		regions.get(p.Region)
	}
	all := Group{Name: "all", Status: NoResources}
	for i := range r.Results {
		res := &r.Results[i]
		all.count(res.Status)
		packs.get(res.Rule.Pack).count(res.Status)
		for _, c := range res.Rule.Controls {
			controls.get(c).count(res.Status)
		}
		accounts.get(res.Resource.Account).count(res.Status)
		regions.get(res.Resource.Region).count(res.Status)
		levels.get(cmp.Or(string(res.Rule.Severity), unrated)).count(res.Status)
	}
	p := Posture{All: all, Packs: packs.sorted(strings.Compare), Controls: controls.sorted(compareControls), Accounts: accounts.sorted(strings.Compare), Regions: regions.sorted(strings.Compare)}
	p.Severities = levels.sorted(func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	return p
}

// unrated is the group of rules whose severity isn't known, for they are missing.
const unrated = "unrated"

// rank orders severities, the most severe first; one that isn't known is last.
func rank(severity string) int {
	if i := slices.Index(severities[:], knowngood.Severity(severity)); i >= 0 {
		return i
	}
	return len(severities)
}

// worstFirst orders groups by their status, keeping their order within one.
func worstFirst(groups []Group) []Group {
	order := []Status{Failed, NotEvaluated, Passed, NoResources}
	groups = slices.Clone(groups)
	slices.SortStableFunc(groups, func(a, b Group) int {
		return cmp.Compare(slices.Index(order, a.Status), slices.Index(order, b.Status))
	})
	return groups
}

// groups are groups by name.
type groups map[string]*Group

func (g groups) get(name string) *Group {
	if g[name] == nil {
		g[name] = &Group{Name: name, Status: NoResources}
	}
	return g[name]
}

func (g groups) sorted(compare func(a, b string) int) []Group {
	out := make([]Group, 0, len(g))
	for _, e := range g {
		out = append(out, *e)
	}
	slices.SortFunc(out, func(a, b Group) int { return compare(a.Name, b.Name) })
	return out
}

// compareControls orders EC2.9 before EC2.10, and benchmarks after Security Hub's own.
func compareControls(a, b string) int {
	if d := cmp.Compare(strings.Count(a, " "), strings.Count(b, " ")); d != 0 {
		return d
	}
	x, y := strings.FieldsFunc(a, isDot), strings.FieldsFunc(b, isDot)
	for i := range min(len(x), len(y)) {
		m, err1 := strconv.Atoi(x[i])
		n, err2 := strconv.Atoi(y[i])
		d := strings.Compare(x[i], y[i])
		if err1 == nil && err2 == nil {
			d = cmp.Compare(m, n)
		}
		if d != 0 {
			return d
		}
	}
	return cmp.Compare(len(x), len(y))
}

func isDot(r rune) bool { return r == '.' || r == '/' }

// dimension is one way to group.
type dimension struct {
	name   string
	groups []Group
}

// dimensions are the ways to group that tell something: those with several groups.
// Packs are there always.
func (p Posture) dimensions() []dimension {
	var out []dimension
	for _, d := range []dimension{{"pack", p.Packs}, {"control", p.Controls}, {"account", p.Accounts}, {"Region", p.Regions}, {"severity", p.Severities}} {
		if len(d.groups) > 1 || d.name == "pack" && len(d.groups) > 0 {
			out = append(out, d)
		}
	}
	return out
}
