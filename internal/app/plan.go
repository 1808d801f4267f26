package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/remedy"
)

type planOptions struct {
	awsOptions
	governanceOptions
	attachmentOptions
	out    string
	output string
}

func newPlan(s Streams) *cobra.Command {
	var o planOptions
	cmd := &cobra.Command{
		Use:   "plan FINDING…",
		Short: "Plan the fix of findings, down to each API call, and change nothing",
		Long: `Plans the remediation that is tied to a finding's rule, in the finding's Region. It
makes reads only. A
finding is named by its id, or the beginning of it, or by its resource's id or
name. The plan goes into the file -o; the plans of several findings go into a folder
of that name, each in a file with the finding's id.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return planFindings(cmd.Context(), s, o, args) },
	}
	o.awsOptions.register(cmd)
	o.governanceOptions.register(cmd)
	o.attachmentOptions.register(cmd)
	registerOutput(cmd, &o.output)
	cmd.Flags().StringVarP(&o.out, "output-file", "o", "", "file that the plan is written to, or the folder for several; default: plan.json, or plans")
	return cmd
}

func planFindings(ctx context.Context, s Streams, o planOptions, names []string) error {
	if err := checkOutput(o.output); err != nil {
		return err
	}
	ses, err := o.openWith(ctx, o.attachmentOptions)
	if err != nil {
		return err
	}
	defer ses.store.Close()
	everywhere := o.in(ses.place)
	g, err := everywhere.at(ses.place.Region)
	if err != nil {
		return err
	}
	g.printNotes(s.Err)
	chosen, err := ses.choose(ctx, names, g.fixes)
	if err != nil {
		return err
	}
	if o.out == "" {
		o.out = "plan.json"
		if len(chosen) > 1 {
			o.out = "plans"
		}
	}
	if len(chosen) > 1 {
		if err := os.MkdirAll(o.out, 0o700); err != nil {
			return (&knowngood.Error{Kind: knowngood.Usage, Op: "write the plans", Err: err}).WithHint("-o names a folder where there are several plans")
		}
	}
	var failed []error
	for _, f := range chosen {
		file := o.out
		if len(chosen) > 1 {
			file = filepath.Join(o.out, f.ID+".json")
		}
		var plan *knowngood.Plan
		there := ses.in(f.Resource.Region)
		g, err := everywhere.at(there.place.Region)
		if err == nil {
			plan, err = there.planFinding(ctx, g, f)
		}
		if err == nil {
			err = deliverPlan(s, plan, file, o.output)
		}
		switch {
		case err != nil && ctx.Err() != nil:
			return knowngood.E(knowngood.Interrupted, "plan "+f.ID, "interrupted; nothing was changed")
		case err != nil && len(chosen) == 1:
			return err
		case err != nil:
			printError(s.Err, err)
			failed = append(failed, err)
		}
	}
	if len(failed) > 0 {
		return knowngood.E(knowngood.KindOf(failed[0]), "plan", "of %d findings %d could not be planned", len(chosen), len(failed))
	}
	return nil
}

// choose finds the findings that are meant: by id, the beginning of one, or a
// resource's id. Of several, the one is meant for whose rule there is a fix.
func (ses *session) choose(ctx context.Context, names []string, fixes func(rule string) bool) ([]knowngood.Finding, error) {
	all, err := ses.findings().List(ctx)
	if err != nil {
		return nil, err
	}
	open := slices.DeleteFunc(slices.Clone(all), func(f knowngood.Finding) bool { return f.State.Ended() })
	if len(names) == 0 {
		return nil, knowngood.E(knowngood.Usage, "plan", "no finding is named").WithHint("%s", hintOf(open))
	}
	var out []knowngood.Finding
	for _, name := range names {
		var match []knowngood.Finding
		for _, f := range open {
			if f.Resource.ID == name || f.Title == name || strings.HasPrefix(f.ID, name) {
				match = append(match, f)
			}
		}
		if fixable := slices.DeleteFunc(slices.Clone(match), func(f knowngood.Finding) bool { return !fixes(f.Rule) }); len(fixable) == 1 {
			match = fixable
		}
		switch len(match) {
		case 0:
			for _, f := range all {
				if f.ID == name {
					return nil, knowngood.E(knowngood.Usage, "plan "+name, "the finding is %s: %s", f.State, f.Reason)
				}
			}
			return nil, knowngood.E(knowngood.Usage, "plan "+name, "no finding that is open has this id, resource or name").WithHint("%s", hintOf(open))
		case 1:
			if !slices.ContainsFunc(out, func(f knowngood.Finding) bool { return f.ID == match[0].ID }) {
				out = append(out, match[0])
			}
		default:
			ids := make([]string, len(match))
			for i, f := range match {
				ids[i] = f.ID + " (" + f.Rule + ")"
			}
			return nil, knowngood.E(knowngood.Usage, "plan "+name, "it may mean %s", strings.Join(ids, " or ")).WithHint("give the finding's id")
		}
	}
	return out, nil
}

func hintOf(open []knowngood.Finding) string {
	if len(open) == 0 {
		return "`knowngood scan` finds what there is to plan"
	}
	ids := make([]string, 0, 5)
	for _, f := range open[:min(len(open), cap(ids))] {
		ids = append(ids, f.ID+" ("+f.Resource.ID+")")
	}
	return "open findings: " + strings.Join(ids, ", ")
}

// planFinding plans the fix of a finding, if a fresh read still finds its
// resource wrong.
func (ses *session) planFinding(ctx context.Context, g *governance, f knowngood.Finding) (*knowngood.Plan, error) {
	if f.State == knowngood.FindingRemediating {
		return nil, knowngood.E(knowngood.Conflict, "plan "+f.ID, "the run %s acts on it", f.RunID).WithHint("if it was interrupted, `knowngood apply %s` goes on with it", f.RunID)
	}
	remediation, err := g.remediation(f.Rule)
	if err != nil {
		return nil, err
	}
	r := ses.remediator(g, nil)
	item, err := r.Verifier.Reader.Read(ctx, f.Resource)
	switch {
	case knowngood.KindOf(err) == knowngood.NotFound:
		return nil, knowngood.E(knowngood.Refused, "plan "+f.ID, "%s is gone, so there is nothing to fix", f.Resource.ID).
			WithHint("`knowngood scan` archives the finding")
	case err != nil:
		return nil, err
	}
	verdict, err := r.Verifier.Evaluator.Evaluate(ctx, f.Rule, item, ses.clock.Now())
	if err != nil {
		return nil, err
	}
	switch verdict.Compliance {
	case knowngood.NonCompliant:
	case knowngood.InsufficientData:
		return nil, knowngood.E(knowngood.Incomplete, "plan "+f.ID, "a fresh read can't tell how %s stands: %s", f.Resource.ID, verdict.Annotation)
	default:
		return nil, knowngood.E(knowngood.Refused, "plan "+f.ID, "a fresh read finds %s %s, so there is nothing to fix", f.Resource.ID, verdict.Compliance).
			WithHint("`knowngood scan` brings the findings up to date")
	}
	plan, err := r.PlanFinding(ctx, ses.place, remedy.Task{Finding: f, Remediation: remediation})
	if err != nil {
		return nil, err
	}
	if why := remedy.NeedsApproval(plan); why != nil {
		err = r.Findings.Waiting(ctx, f.ID, fmt.Sprintf("the plan %s waits for an approval: %s", short(plan.Hash), why[0]))
	}
	return plan, err
}
