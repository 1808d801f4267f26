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
	out string
}

func newPlan(s Streams) *cobra.Command {
	var o planOptions
	cmd := &cobra.Command{
		Use:   "plan FINDING…",
		Short: "Plan the fix of findings, down to each API call, and change nothing",
		Long: `Plans the remediation that is tied to a finding's rule. It makes reads only. A
finding is named by its id, or the beginning of it, or by its resource's id. The
plan goes into the file -o; of several findings, into a folder of that name.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return planFindings(cmd.Context(), s, o, args) },
	}
	o.awsOptions.register(cmd)
	o.governanceOptions.register(cmd)
	cmd.Flags().StringVarP(&o.out, "output-file", "o", "plan.json", "file that the plan is written to; a folder for several")
	return cmd
}

func planFindings(ctx context.Context, s Streams, o planOptions, names []string) error {
	ses, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer ses.store.Close()
	g, err := o.load(ses.place)
	if err != nil {
		return err
	}
	chosen, err := ses.choose(ctx, names)
	if err != nil {
		return err
	}
	if len(chosen) > 1 {
		if err := os.MkdirAll(o.out, 0o700); err != nil {
			return &knowngood.Error{Kind: knowngood.Usage, Op: "write the plans", Err: err}
		}
	}
	for _, f := range chosen {
		plan, err := ses.planFinding(ctx, g, f)
		if err != nil {
			if ctx.Err() != nil {
				return knowngood.E(knowngood.Interrupted, "plan "+f.ID, "interrupted; nothing was changed")
			}
			return err
		}
		file := o.out
		if len(chosen) > 1 {
			file = filepath.Join(o.out, f.ID+".json")
		}
		if err := deliverPlan(s, plan, file); err != nil {
			return err
		}
	}
	return nil
}

// choose finds the findings that are meant: by id, the beginning of one, or a
// resource's id.
func (ses *session) choose(ctx context.Context, names []string) ([]knowngood.Finding, error) {
	all, err := ses.findings().List(ctx)
	if err != nil {
		return nil, err
	}
	open := slices.DeleteFunc(all, func(f knowngood.Finding) bool { return f.State == knowngood.FindingClosed })
	if len(names) == 0 {
		return nil, knowngood.E(knowngood.Usage, "plan", "no finding is named").WithHint("%s", hintOf(open))
	}
	var out []knowngood.Finding
	for _, name := range names {
		var match []knowngood.Finding
		for _, f := range open {
			if f.Resource.ID == name || strings.HasPrefix(f.ID, name) {
				match = append(match, f)
			}
		}
		switch len(match) {
		case 0:
			return nil, knowngood.E(knowngood.Usage, "plan "+name, "no open finding has this id or resource").WithHint("%s", hintOf(open))
		case 1:
			out = append(out, match[0])
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
	remediation, err := g.remediation(f.Rule)
	if err != nil {
		return nil, err
	}
	r := ses.remediator(g, nil)
	item, err := r.Verifier.Reader.Read(ctx, f.Resource)
	if err != nil {
		return nil, err
	}
	verdict, err := g.Evaluate(f.Rule, item, ses.clock.Now())
	if err != nil {
		return nil, err
	}
	if verdict.Compliance != knowngood.NonCompliant {
		return nil, knowngood.E(knowngood.Refused, "plan "+f.ID, "a fresh read finds %s %s, so there is nothing to fix", f.Resource.ID, verdict.Compliance).
			WithHint("`knowngood scan` brings the findings up to date")
	}
	plan, err := r.PlanFinding(ctx, ses.place, remedy.Task{Finding: f, Remediation: remediation})
	if err != nil {
		return nil, err
	}
	if why := remedy.NeedsApproval(plan); why != nil {
		err = r.Findings.Waiting(ctx, f.ID, fmt.Sprintf("the plan %s waits for an approval: %s", short(plan.Hash), why[0]))
		if knowngood.KindOf(err) == knowngood.Conflict {
			err = knowngood.E(knowngood.Conflict, "plan "+f.ID, "the run %s acts on it", f.RunID)
		}
	}
	return plan, err
}
