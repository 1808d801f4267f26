package app

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/remedy"
	"github.com/knowngood/knowngood/internal/rule"
)

// fleetOptions are the flags by which a runbook is run on many targets.
type fleetOptions struct {
	targets                   []string
	parameter                 string
	maxConcurrency, maxErrors string
}

func (o *fleetOptions) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&o.targets, "targets", nil, "resources to run on, as SSM writes them: Key=ParameterValues,Values=ID,ID…; Key=tag:NAME,Values=…; Key=ResourceGroup,Values=NAME; or Key=rule,Values=RULE for those that do not comply. Several narrow one another")
	f.StringVar(&o.parameter, "target-parameter-name", "", "parameter that names the resource; default: the one that the library says")
	f.StringVar(&o.maxConcurrency, "max-concurrency", remedy.DefaultMaxConcurrency, "targets that are worked on at once, as a number or a percentage")
	f.StringVar(&o.maxErrors, "max-errors", remedy.DefaultMaxErrors, "targets that may fail before no more is begun, as a number or a percentage")
}

// targetFilter is one --targets.
type targetFilter struct {
	key    string
	values []string
}

func parseTargets(all []string) ([]targetFilter, error) {
	var out []targetFilter
	for _, text := range all {
		key, values, ok := strings.Cut(text, ",Values=")
		key, isKey := strings.CutPrefix(key, "Key=")
		known := key == "ParameterValues" || key == "ResourceGroup" || key == "rule" || strings.HasPrefix(key, "tag:") && key != "tag:"
		if !ok || !isKey || !known || values == "" {
			return nil, knowngood.E(knowngood.Usage, "", "--targets %s: expected Key=ParameterValues|tag:NAME|ResourceGroup|rule,Values=…", text)
		}
		out = append(out, targetFilter{key, strings.Split(values, ",")})
	}
	return out, nil
}

// planFleet plans a runbook for many resources.
func planFleet(ctx context.Context, s Streams, o runOptions, name string, args []string) error {
	op := "run " + name
	filters, err := parseTargets(o.fleet.targets)
	if err != nil {
		return err
	}
	if err := remedy.CheckRates(o.fleet.maxConcurrency, o.fleet.maxErrors); err != nil {
		return err
	}
	params, _, err := parseParams(args)
	if err != nil {
		return err
	}
	ses, err := o.openWith(ctx, o.attachmentOptions)
	if err != nil {
		return err
	}
	defer ses.store.Close()
	book, err := ses.content.Runbook(name)
	if err != nil {
		return err
	}
	parameter, resourceType := o.fleet.parameter, ""
	if on := book.Entry.Resource; on != nil {
		resourceType = on.Type
		if parameter == "" {
			parameter = on.Parameter
		}
		if parameter != on.Parameter {
			return knowngood.E(knowngood.Usage, op, "--target-parameter-name %s: the runbook acts on what its parameter %s names", parameter, on.Parameter)
		}
	}
	if parameter == "" {
		return knowngood.E(knowngood.Usage, op, "no parameter is named that takes the target").WithHint("add --target-parameter-name NAME")
	}
	if _, given := params[parameter]; given {
		return knowngood.E(knowngood.Usage, op, "%s is given as a parameter and by --targets", parameter)
	}
	keys, findings, err := ses.targets(ctx, filters, resourceType)
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return knowngood.E(knowngood.Usage, op, "--targets %s: no resource fits", strings.Join(o.fleet.targets, " "))
	}
	r := ses.remediator(&governance{rules: &rule.Set{}}, nil)
	if r.Secrets, err = o.secrets.read(); err != nil {
		return err
	}
	progress := func(done int) {
		if onTerminal(s.Err) {
			fmt.Fprintf(s.Err, "\r\x1b[K%d of %d planned", done, len(keys))
		}
	}
	fleet := &remedy.FleetPlan{Version: remedy.FleetVersion, Runbook: book.Ref.Name, Place: ses.place, Created: ses.clock.Now().UTC(), MaxConcurrency: o.fleet.maxConcurrency, MaxErrors: o.fleet.maxErrors}
	fleet.Targets, fleet.Excluded, err = remedy.PlanFleet(ctx, keys, planningAtOnce, func(ctx context.Context, key knowngood.ResourceKey) (*knowngood.Plan, error) {
		given := maps.Clone(params)
		given[parameter] = key.ID
		return r.Plan(ctx, ses.place, book, given, key, findings[key])
	}, progress)
	if onTerminal(s.Err) {
		fmt.Fprint(s.Err, "\r\x1b[K")
	}
	if err != nil {
		return knowngood.E(knowngood.Interrupted, op, "interrupted; nothing was changed")
	}
	raw, err := remedy.EncodeFleet(fleet)
	if err != nil {
		return err
	}
	if err := os.WriteFile(o.out, raw, 0o600); err != nil {
		return &knowngood.Error{Kind: knowngood.Usage, Op: "write the fleet plan", Err: err}
	}
	printFleet(s.Out, fleet)
	fmt.Fprintf(s.Out, "\nNothing was changed. The fleet plan is in %s.\n", o.out)
	if len(fleet.Targets) == 0 {
		return knowngood.E(knowngood.Refused, op, "no target could be planned")
	}
	if needApproval(fleet) > 0 {
		fmt.Fprintf(s.Err, "next: knowngood approve %s, then knowngood apply %s\n", o.out, o.out)
	} else {
		fmt.Fprintf(s.Err, "next: knowngood apply %s\n", o.out)
	}
	return nil
}

// planningAtOnce is how many plans of a fleet are made at once: it is reads only.
const planningAtOnce = 8

// targets are the resources that fit every filter. Of a rule's they come with their
// findings, so that the runs verify them.
func (ses *session) targets(ctx context.Context, filters []targetFilter, resourceType string) ([]knowngood.ResourceKey, map[knowngood.ResourceKey]*knowngood.Finding, error) {
	var keys []knowngood.ResourceKey
	narrowed := false
	narrow := func(fit []knowngood.ResourceKey) {
		if narrowed {
			fits := map[knowngood.ResourceKey]bool{}
			for _, k := range fit {
				fits[k] = true
			}
			keys = slices.DeleteFunc(keys, func(k knowngood.ResourceKey) bool { return !fits[k] })
			return
		}
		keys, narrowed = fit, true
	}
	findings := map[knowngood.ResourceKey]*knowngood.Finding{}
	var items []knowngood.Resource // of the type, once they are needed
	ofType := func(key string) error {
		if items != nil {
			return nil
		}
		if resourceType == "" {
			return knowngood.E(knowngood.Usage, "", "--targets Key=%s: the library does not say which type of resource the runbook acts on", key).WithHint("name the resources by Key=ParameterValues")
		}
		collector := ses.collector(map[string][]string{resourceType: {"tags"}})
		found, unreadable, _ := collector.Collect(ctx, ses.place, []string{resourceType})
		for _, e := range unreadable {
			return knowngood.E(knowngood.Incomplete, "find the targets", "%s could not be read: %s:%s: %s", e.Type, e.Service, e.Operation, e.Message)
		}
		items = append([]knowngood.Resource{}, found...)
		return nil
	}
	for _, f := range filters {
		var fit []knowngood.ResourceKey
		tag, isTag := strings.CutPrefix(f.key, "tag:")
		switch {
		case f.key == "ParameterValues":
			for _, id := range f.values {
				fit = append(fit, knowngood.ResourceKey{Account: ses.place.Account, Region: ses.place.Region, Type: resourceType, ID: id})
			}
		case isTag, f.key == "ResourceGroup":
			if err := ofType(f.key); err != nil {
				return nil, nil, err
			}
			var members []string
			if !isTag {
				var err error
				if members, err = ses.groupMembers(ctx, f.values); err != nil {
					return nil, nil, err
				}
			}
			for i := range items {
				item := &items[i]
				value, tagged := item.Tags[tag]
				if isTag && tagged && slices.Contains(f.values, value) || slices.Contains(members, item.ARN) {
					fit = append(fit, item.Key())
				}
			}
		case f.key == "rule":
			all, err := ses.findings().List(ctx)
			if err != nil {
				return nil, nil, err
			}
			for _, found := range all {
				k := found.Resource
				if !found.State.Ended() && slices.Contains(f.values, found.Rule) && k.Account == ses.place.Account && k.Region == ses.place.Region {
					fit = append(fit, k)
					findings[k] = &found
				}
			}
		}
		narrow(fit)
	}
	slices.SortFunc(keys, func(a, b knowngood.ResourceKey) int { return strings.Compare(a.ID, b.ID) })
	return slices.Compact(keys), findings, nil
}

// groupMembers are the ARNs in resource groups.
func (ses *session) groupMembers(ctx context.Context, groups []string) ([]string, error) {
	var out []string
	for _, name := range groups {
		for page, err := range awsapi.Pages(ctx, ses.client, ses.catalog, "resource-groups", "ListGroupResources", map[string]any{"Group": name}) {
			if err != nil {
				return nil, knowngood.E(knowngood.Incomplete, "find the targets", "the resource group %s: %w", name, err)
			}
			list, _ := page["ResourceIdentifiers"].([]any)
			for _, member := range list {
				if m, ok := member.(map[string]any); ok {
					arn, _ := m["ResourceArn"].(string)
					out = append(out, arn)
				}
			}
		}
	}
	return out, nil
}

func needApproval(f *remedy.FleetPlan) int {
	n := 0
	for _, t := range f.Targets {
		if len(t.Needs) > 0 {
			n++
		}
	}
	return n
}

// printFleet shows a fleet plan: its targets by what they risk, and what was left
// out and why.
func printFleet(w io.Writer, f *remedy.FleetPlan) {
	fmt.Fprintf(w, "Fleet plan %s: %s for %s, %s at once, stops after more than %s failed\nAccount %s, %s\n\n",
		short(f.Hash), f.Runbook, plural(len(f.Targets), "target"), f.MaxConcurrency, f.MaxErrors, f.Place.Account, f.Place.Region)
	rows := make([][]string, 0, len(f.Targets))
	for _, t := range f.Targets[:min(len(f.Targets), shownTargets)] {
		rows = append(rows, []string{t.Resource.ID, string(t.Risk), short(t.Plan), strings.Join(t.Needs, "; ")})
	}
	columns(w, "  ", rows)
	if more := len(f.Targets) - shownTargets; more > 0 {
		fmt.Fprintf(w, "  and %d more\n", more)
	}
	for _, e := range f.Excluded {
		fmt.Fprintf(w, "  left out: %s: %s\n", e.Resource.ID, strings.ReplaceAll(e.Reason, "\n", "; "))
	}
	if n := needApproval(f); n > 0 {
		fmt.Fprintf(w, "\n%d of %d need an approval\n", n, len(f.Targets))
	}
}

// shownTargets is how many targets of a fleet plan are shown; the file has all.
const shownTargets = 30

// approveFleet records a decision on each plan of a fleet.
func approveFleet(ctx context.Context, s Streams, o approveOptions, file string, f *remedy.FleetPlan) error {
	ses, err := o.connect(ctx)
	if err != nil {
		return err
	}
	defer ses.store.Close()
	op := "approve " + file
	by, err := ses.approver(op, o.as)
	if err != nil {
		return err
	}
	n := 0
	for _, t := range f.Targets {
		plan, err := ses.planOfTarget(ctx, op, t)
		if err != nil {
			return err
		}
		if !o.reject && !o.incomplete && len(plan.Incomplete) > 0 {
			return knowngood.E(knowngood.Usage, op, "the plan for %s is incomplete: %s", t.Resource.ID, strings.Join(plan.Incomplete, "; ")).WithHint("--incomplete says that you accept that")
		}
		if run, err := ses.store.Run(ctx, t.RunID); err == nil && (run.State.Ended() || o.reject && run.State != knowngood.RunPending) {
			continue // there is nothing left to decide
		}
		a := knowngood.Approval{PlanHash: plan.Hash, RunID: plan.RunID, By: by, Approved: !o.reject, Incomplete: o.incomplete, Comment: o.comment, Time: ses.clock.Now()}
		if err := ses.store.PutApproval(ctx, a); err != nil {
			return err
		}
		n++
	}
	word := "approved"
	if o.reject {
		word = "rejected"
	}
	fmt.Fprintf(s.Out, "%s by %s: %s of the fleet plan %s\n", word, by, plural(n, "plan"), short(f.Hash))
	if !o.reject {
		fmt.Fprintln(s.Err, "next: knowngood apply", file)
	}
	return nil
}

// planOfTarget is a target's plan as it was made here: a fleet's file names plans,
// and holds none.
func (ses *session) planOfTarget(ctx context.Context, op string, t remedy.FleetTarget) (*knowngood.Plan, error) {
	if has, err := ses.store.HasPlan(ctx, t.Plan); err != nil || !has {
		if err == nil {
			err = knowngood.E(knowngood.Refused, op, "the plan %s for %s is not in %s, where it was made", short(t.Plan), t.Resource.ID, ses.state)
		}
		return nil, err
	}
	raw, err := ses.store.Plan(ctx, t.Plan)
	if err != nil {
		return nil, err
	}
	plan, err := remedy.DecodePlan("plan "+short(t.Plan), raw)
	if err != nil {
		return nil, err
	}
	return plan, ses.isFor(op, plan, ses.place.Region)
}

// applyFleet applies a fleet's plans.
func applyFleet(ctx context.Context, s Streams, o applyOptions, secrets map[string]string, file string, f *remedy.FleetPlan) error {
	ses, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer ses.store.Close()
	g, err := o.load(ses.place)
	if err != nil {
		return err
	}
	g.printNotes(s.Err)
	op := "apply " + file
	r := ses.remediator(g, nil)
	r.Secrets = secrets
	c, err := ses.carrier(r, o)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	with := "" // a worker that runs were left to
	told := func(t remedy.FleetTarget, result remedy.Result, err error) {
		mu.Lock()
		defer mu.Unlock()
		state, why := string(result.State), result.Message
		if err != nil {
			state, why = "not done", strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		fmt.Fprintf(s.Err, "%s  %s  %s  %s\n", t.Resource.ID, t.RunID, state, why)
	}
	result, err := remedy.ApplyFleet(ctx, f, func(ctx context.Context, t remedy.FleetTarget) (remedy.Result, error) {
		plan, err := ses.planOfTarget(ctx, op, t)
		if err != nil {
			return remedy.Result{}, err
		}
		decisions, err := ses.store.Approvals(ctx, plan.Hash)
		if err != nil {
			return remedy.Result{}, err
		}
		worker, err := c.worker(ctx, plan)
		if err != nil {
			return remedy.Result{}, err
		}
		if worker != "" {
			mu.Lock()
			if with == "" {
				fmt.Fprintf(s.Err, "the runs are with the worker %s\n", worker)
			}
			with = worker
			mu.Unlock()
		}
		return c.apply(ctx, plan, decisions, worker)
	}, told)
	if err != nil && with != "" {
		return knowngood.E(knowngood.Interrupted, op, "interrupted; the worker %s goes on with the runs that have begun: %d succeeded, %d failed", with, result.Succeeded, result.Failed).WithHint("knowngood apply %s goes on with the others", file)
	}
	if err != nil {
		return knowngood.E(knowngood.Interrupted, op, "interrupted: %d succeeded, %d failed, %d not begun", result.Succeeded, result.Failed, result.NotBegun).WithHint("knowngood apply %s goes on where it stopped", file)
	}
	if o.output == outputJSON {
		if err := writeJSON(s.Out, result); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(s.Out, "%d succeeded, %d failed, %d waiting, %d not begun\n", result.Succeeded, result.Failed, result.Waiting, result.NotBegun)
	}
	switch {
	case result.Stopped && result.NotBegun > 0:
		return knowngood.E(knowngood.Other, op, "more than %s failed, so %d were not begun", f.MaxErrors, result.NotBegun)
	case result.Failed > 0:
		return knowngood.E(knowngood.Other, op, "%d of %d failed", result.Failed, len(f.Targets))
	case result.Waiting > 0:
		return knowngood.E(knowngood.Waiting, op, "%d of %d wait", result.Waiting, len(f.Targets)).WithHint("knowngood approve %s", file)
	}
	return nil
}
