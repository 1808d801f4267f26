package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/remedy"
)

func readPlan(file string) (*knowngood.Plan, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the plan", Err: err}
	}
	return remedy.DecodePlan(file, raw)
}

type approveOptions struct {
	awsOptions
	as         string
	reject     bool
	incomplete bool
	comment    string
}

func newApprove(s Streams) *cobra.Command {
	var o approveOptions
	cmd := &cobra.Command{
		Use: "approve PLAN", Short: "Approve a plan, by its hash", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return approve(cmd.Context(), s, o, args[0]) },
	}
	o.register(cmd)
	cmd.Flags().StringVar(&o.as, "as", "", "name of the approver; only where the endpoint is on this machine")
	cmd.Flags().BoolVar(&o.reject, "reject", false, "decide against it")
	cmd.Flags().BoolVar(&o.incomplete, "incomplete", false, "accept that the plan is incomplete")
	cmd.Flags().StringVar(&o.comment, "comment", "", "why")
	return cmd
}

func approve(ctx context.Context, s Streams, o approveOptions, file string) error {
	plan, err := readPlan(file)
	if err != nil {
		return err
	}
	ses, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer ses.store.Close()
	by := ses.principal
	if o.as != "" {
		if !ses.loopback {
			return knowngood.E(knowngood.Usage, "approve "+file, "--as is for endpoints on this machine; an approval of a real account is by who is signed in")
		}
		by = o.as
	}
	if err := ses.store.PutPlan(ctx, plan); err != nil {
		return err
	}
	a := knowngood.Approval{PlanHash: plan.Hash, RunID: plan.RunID, By: by, Approved: !o.reject, Incomplete: o.incomplete, Comment: o.comment, Time: ses.clock.Now()}
	if err := ses.store.PutApproval(ctx, a); err != nil {
		return err
	}
	word := "approved"
	if o.reject {
		word = "rejected"
		if plan.Finding != "" {
			if err := ses.findings().Withdrawn(ctx, plan.Finding, "the plan "+short(plan.Hash)+" was rejected by "+by); err != nil && knowngood.KindOf(err) != knowngood.Conflict {
				return err
			}
		}
	}
	fmt.Fprintf(s.Out, "%s by %s: plan %s\n", word, by, plan.Hash)
	return nil
}

type applyOptions struct {
	awsOptions
	governanceOptions
	output string
}

func newApply(s Streams) *cobra.Command {
	var o applyOptions
	cmd := &cobra.Command{
		Use: "apply PLAN", Short: "Apply exactly a plan, or go on with its run",
		Long: `Makes exactly the writes of a plan, in its order, and stops where the world has
moved. A plan of a finding is verified: its resource is read afresh and judged by
its rule again. Interrupt it, or kill it, and the same command goes on.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return apply(cmd.Context(), s, o, args[0]) },
	}
	o.awsOptions.register(cmd)
	o.governanceOptions.register(cmd)
	registerOutput(cmd, &o.output)
	return cmd
}

func apply(ctx context.Context, s Streams, o applyOptions, file string) error {
	if err := checkOutput(o.output); err != nil {
		return err
	}
	plan, err := readPlan(file)
	if err != nil {
		return err
	}
	ses, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer ses.store.Close()
	if plan.Place != ses.place {
		return knowngood.E(knowngood.Refused, "apply "+file, "the plan is for %s in %s, the credentials and Region are %s in %s", plan.Place.Account, plan.Place.Region, ses.place.Account, ses.place.Region)
	}
	g, err := o.load(ses.place)
	if err != nil {
		return err
	}
	decisions, err := ses.store.Approvals(ctx, plan.Hash)
	if err != nil {
		return err
	}
	entry, err := ses.content.Entry(plan.Document.Name)
	if err != nil {
		return err
	}
	p := newProgress(s.Err, entry.Stages)
	result, err := ses.remediator(g, p.entry).Apply(ctx, plan, decisions, knowngood.Retry{})
	p.done()
	switch {
	case err != nil && ctx.Err() != nil:
		return knowngood.E(knowngood.Interrupted, "apply "+file, "interrupted; what is done is in the log").WithHint("knowngood apply %s goes on where it stopped", file)
	case knowngood.KindOf(err) == knowngood.Waiting:
		return withHint(err, "knowngood approve "+file)
	case err != nil:
		return err
	}
	if o.output == outputJSON {
		if err := writeJSON(s.Out, result); err != nil {
			return err
		}
	} else {
		printResult(s.Out, plan, result)
	}
	switch result.State {
	case knowngood.RunSuccess:
		return nil
	case knowngood.RunWaiting:
		return knowngood.E(knowngood.Waiting, "apply "+file, "%s", result.Message)
	case knowngood.RunUnverified:
		return knowngood.E(knowngood.Other, "apply "+file, "every step is done, but the fix is not verified: %s", result.Message).
			WithHint("knowngood scan shows how the resource stands")
	}
	return knowngood.E(knowngood.Other, "apply "+file, "the run ended as %s: %s", result.State, result.Message)
}

// printResult says what became of a run.
func printResult(w io.Writer, plan *knowngood.Plan, r remedy.Result) {
	fmt.Fprintf(w, "run %s: %s\n", r.RunID, r.State)
	if v := r.Verification; v != nil && v.Verified {
		fmt.Fprintf(w, "verified: %s; finding %s is closed\n", v.Reason, plan.Finding)
	}
	if r.Residual != nil {
		fmt.Fprintf(w, "left behind: %s\n", residualLine(*r.Residual))
	}
}

// withHint adds a hint to an error that has none.
func withHint(err error, hint string) error {
	var e *knowngood.Error
	if errors.As(err, &e) && e.Hint == "" {
		e.Hint = hint
	}
	return err
}
