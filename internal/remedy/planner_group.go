package remedy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/runbook"
)

// targets are what an automation is to be executed for, each by a run of its own.
type targets struct {
	parameter string // that takes the target
	targets   []any  // as SSM has them
	maps      []any  // parameters for each, in place of targets
	rates     knowngood.PlanGroup
}

func rates(concurrency, errors runbook.Rate) knowngood.PlanGroup {
	return knowngood.PlanGroup{MaxConcurrency: concurrency.Or(DefaultMaxConcurrency), MaxErrors: errors.Or(DefaultMaxErrors)}
}

// many plans an automation for each target; without targets it is one.
func (e *exploration) many(w *way, x executed, t targets) (*knowngood.Plan, *start, error) {
	var each []map[string]any
	switch {
	case len(t.targets) > 0:
		book, err := e.Automations.Runbook(e.ctx, e.req.Ref.Name, x.name, x.version)
		if err != nil {
			return nil, nil, err
		}
		read, err := e.Automations.Reader(nil, nil, x.place, x.starter)
		if err != nil {
			return nil, nil, err
		}
		ids, err := ResolveTargets(e.ctx, ReadsOf(e.Catalog, read), e.Catalog, t.targets, targetType(book, t.parameter), t.parameter)
		if err != nil {
			return nil, nil, err
		}
		if len(ids) == 0 {
			return nil, nil, knowngood.E(knowngood.Refused, "", "no resource fits the Targets %s", text(t.targets))
		}
		for _, id := range ids {
			each = append(each, map[string]any{t.parameter: []any{id}})
		}
	case len(t.maps) > 0:
		for _, m := range t.maps {
			params, ok := m.(map[string]any)
			if !ok {
				return nil, nil, knowngood.E(knowngood.Invalid, "", "an element of TargetMaps is %s, expected parameters", text(m))
			}
			each = append(each, params)
		}
	default:
		return e.one(w, x)
	}
	return e.group(w, x, t.rates, len(each), func(i int, m executed) (*knowngood.Plan, *start, error) {
		m.parameters = maps.Clone(x.parameters)
		if m.parameters == nil {
			m.parameters = map[string]any{}
		}
		maps.Copy(m.parameters, each[i])
		plan, s, err := e.one(w, m)
		if err == nil {
			plan.Display.Summary = summary(each[i])
		}
		return plan, s, err
	})
}

// summary tells parameters in a line.
func summary(params map[string]any) string {
	var parts []string
	for _, k := range sortedKeys(params) {
		v := params[k]
		if list, ok := v.([]any); ok && len(list) == 1 {
			v = list[0]
		}
		parts = append(parts, fmt.Sprintf("%s=%v", k, v))
	}
	return strings.Join(parts, ", ")
}

// group plans the runs of a group, and the group as a plan that holds them.
func (e *exploration) group(w *way, x executed, rates knowngood.PlanGroup, n int, plan func(i int, m executed) (*knowngood.Plan, *start, error)) (*knowngood.Plan, *start, error) {
	if err := CheckRates(rates.MaxConcurrency, rates.MaxErrors); err != nil {
		return nil, nil, err
	}
	g := &knowngood.Plan{
		Version: knowngood.PlanVersion, RunID: x.runID, Created: e.req.Created, Seed: e.req.Seed, Resource: own(x.place, x.runID), Place: x.place, Parameters: knowngood.Params{},
		Preconditions: []knowngood.Precondition{}, Parts: []knowngood.PlanPart{{Name: knowngood.MainPart, Calls: []knowngood.Call{}}}, Group: &rates, MultiAccount: x.multiAccount,
		Risk: knowngood.Risk{Effect: knowngood.Reversible}, Display: knowngood.Display{Before: []knowngood.Property{}, After: []knowngood.Property{}},
	}
	s := &start{end: runbook.EndResult{State: knowngood.RunSuccess}, written: maps.Clone(w.overlay.written), at: w.at}
	taken := maps.Clone(x.taken)
	actions := map[string]bool{}
	for i := range n {
		m := x
		m.step, m.runID, m.taken = "", ChildRunID(x.runID, nthOf(i), 1), taken
		child, ends, err := plan(i, m)
		if err != nil {
			return nil, nil, err
		}
		taken[child.Resource] = true
		if ends.end.State != knowngood.RunSuccess && s.end.State == knowngood.RunSuccess {
			s.end.State, s.end.Message = knowngood.RunFailed, fmt.Sprintf("%s: %s", cmp.Or(child.Display.Summary, child.Place.Account+" "+child.Place.Region), ends.end.Message)
		}
		maps.Copy(s.written, ends.written)
		s.writes = append(s.writes, ends.writes...)
		if ends.at.After(s.at) {
			s.at = ends.at
		}
		for _, a := range child.Actions {
			actions[a] = true
		}
		for _, why := range child.Incomplete {
			if !slices.Contains(g.Incomplete, why) {
				g.Incomplete = append(g.Incomplete, why)
			}
		}
		g.Risk = worse(g.Risk, child.Risk)
		g.Children = append(g.Children, *child)
	}
	g.Document, g.Actions = g.Children[0].Document, slices.Sorted(maps.Keys(actions))
	var err error
	g.Hash, err = HashPlan(g)
	return g, s, err
}

// worse is the risk of two things of which both may come about.
func worse(a, b knowngood.Risk) knowngood.Risk {
	rank := []knowngood.Effect{knowngood.Reversible, knowngood.Disruptive, knowngood.Irreversible}
	if slices.Index(rank, b.Effect) > slices.Index(rank, a.Effect) {
		a.Effect = b.Effect
	}
	for _, why := range b.Reasons {
		if !slices.Contains(a.Reasons, why) {
			a.Reasons = append(slices.Clip(a.Reasons), why)
		}
	}
	for i, d := range b.DowntimeSeconds {
		a.DowntimeSeconds[i] = max(a.DowntimeSeconds[i], d)
	}
	return a
}

// executionRole is what Systems Manager assumes in the accounts of TargetLocations
// where no ExecutionRoleName is given.
// Source: Systems Manager's API reference, "TargetLocation".
const executionRole = "AWS-SystemsManager-AutomationExecutionRole"

// locations plans an automation for each account and Region.
func (e *exploration) locations(w *way, x executed, locations []runbook.TargetLocation, many targets) (*knowngood.Plan, *start, error) {
	if e.multiAccount {
		return nil, nil, knowngood.E(knowngood.Refused, "", "an automation over several accounts can't start another such")
	}
	x.multiAccount = true
	if len(locations) == 1 {
		return e.location(w, x, locations[0], many)
	}
	// Each location has rates of its own; together they have none.
	all := knowngood.PlanGroup{MaxConcurrency: "100%", MaxErrors: "100%"}
	return e.group(w, x, all, len(locations), func(i int, m executed) (*knowngood.Plan, *start, error) {
		return e.location(w, m, locations[i], many)
	})
}

func (e *exploration) location(w *way, x executed, l runbook.TargetLocation, many targets) (*knowngood.Plan, *start, error) {
	read, err := e.Automations.Reader(nil, nil, x.place, x.starter)
	if err != nil {
		return nil, nil, err
	}
	accounts, err := ResolveAccounts(e.ctx, ReadsOf(e.Catalog, read), e.Catalog, l)
	if err != nil {
		return nil, nil, err
	}
	if len(accounts) == 0 || len(l.Regions) == 0 {
		return nil, nil, knowngood.E(knowngood.Refused, "", "a target location has %d accounts and %d Regions", len(accounts), len(l.Regions))
	}
	if len(l.Targets) > 0 {
		many.targets, many.maps = l.Targets, nil
		many.rates = knowngood.PlanGroup{MaxConcurrency: l.TargetsConcurrency.Or(many.rates.MaxConcurrency), MaxErrors: l.TargetsErrors.Or(many.rates.MaxErrors)}
	}
	if many.parameter == "" && len(many.targets) > 0 {
		return nil, nil, knowngood.E(knowngood.Invalid, "", "Targets needs the input TargetParameterName")
	}
	roles := rolesOf(e.req.Via, e.req.Role)
	return e.group(w, x, rates(l.MaxConcurrency, l.MaxErrors), len(accounts)*len(l.Regions), func(i int, m executed) (*knowngood.Plan, *start, error) {
		m.place = knowngood.Place{Partition: x.place.Partition, Account: accounts[i/len(l.Regions)], Region: l.Regions[i%len(l.Regions)]}
		m.starter = append(slices.Clip(roles), fmt.Sprintf("arn:%s:iam::%s:role/%s", m.place.Partition, m.place.Account, cmp.Or(l.ExecutionRole, executionRole)))
		return e.many(w, m, many)
	})
}
