package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/remedy"
	"github.com/knowngood/knowngood/internal/report"
	"github.com/knowngood/knowngood/internal/rule"
)

// readPlan reads a plan's file: that of one resource, or of a fleet.
func readPlan(file string) (*knowngood.Plan, *remedy.FleetPlan, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the plan", Err: err}
	}
	if remedy.IsFleet(raw) {
		fleet, err := remedy.DecodeFleet(file, raw)
		return nil, fleet, err
	}
	plan, err := remedy.DecodePlan(file, raw)
	return plan, nil, err
}

type approveOptions struct {
	awsOptions
	as         string
	reject     bool
	incomplete bool
	comment    string
	output     string
}

func newApprove(s Streams) *cobra.Command {
	var o approveOptions
	cmd := &cobra.Command{
		Use: "approve PLAN", Short: "Approve a plan, or reject it",
		Long: `Records your decision on a plan, under the plan's hash: a plan that is changed
afterwards is not approved. You are who your AWS credentials say. A plan that is
reversible, and for which nothing stops, needs no approval. PLAN is the plan's file,
or the id of a run that waits for a decision.`,
		Args: takes(cobra.ExactArgs(1), "one argument, a plan's file or the id of a run"),
		RunE: func(cmd *cobra.Command, args []string) error { return approve(cmd.Context(), s, o, args[0]) },
	}
	o.register(cmd)
	registerOutput(cmd, &o.output)
	cmd.Flags().StringVar(&o.as, "as", "", "name of the approver; only where the endpoint is on this machine")
	cmd.Flags().BoolVar(&o.reject, "reject", false, "decide against the plan")
	cmd.Flags().BoolVar(&o.incomplete, "incomplete", false, "accept that the plan is incomplete")
	cmd.Flags().StringVar(&o.comment, "comment", "", "why you decide so")
	return cmd
}

func approve(ctx context.Context, s Streams, o approveOptions, file string) error {
	if err := checkOutput(o.output); err != nil {
		return err
	}
	var plan *knowngood.Plan
	var err error
	if !runID.MatchString(file) {
		var fleet *remedy.FleetPlan
		if plan, fleet, err = readPlan(file); err != nil {
			return err
		}
		if fleet != nil {
			return approveFleet(ctx, s, o, file, fleet)
		}
	}
	ses, err := o.connect(ctx)
	if err != nil {
		return err
	}
	defer ses.store.Close()
	if plan == nil {
		if plan, err = ses.planOf(ctx, file); err != nil {
			return err
		}
	}
	op := "approve " + file
	if err := ses.isFor(op, plan, o.region); err != nil {
		return err
	}
	if err := ses.content.Operations.CheckEffects(plan); err != nil && !o.reject {
		return err
	}
	by, err := ses.approver(op, o.as)
	if err != nil {
		return err
	}
	if !o.reject && !o.incomplete && len(plan.Incomplete) > 0 {
		return knowngood.E(knowngood.Usage, op, "the plan is incomplete: %s", strings.Join(plan.Incomplete, "; ")).WithHint("--incomplete says that you accept that")
	}
	// There is nothing left to decide of a run that has ended, and one that stops
	// half-way leaves things worse than either end, unless it asks.
	run, err := ses.store.Run(ctx, plan.RunID)
	if err != nil && knowngood.KindOf(err) != knowngood.NotFound {
		return err
	}
	begun, asks := err == nil && run.State != knowngood.RunPending, false
	if begun && o.reject && !run.State.Ended() {
		if asks, err = ses.remediator(&governance{rules: &rule.Set{}}, nil).Asks(ctx, plan); err != nil {
			return err
		}
	}
	if run.State.Ended() || begun && o.reject && !asks {
		return knowngood.E(knowngood.Refused, op, "it has been applied already: the run %s is %s", run.ID, run.State)
	}
	if err := ses.store.PutPlan(ctx, plan); err != nil {
		return err
	}
	a := knowngood.Approval{PlanHash: plan.Hash, RunID: plan.RunID, By: by, Approved: !o.reject, Incomplete: o.incomplete, Comment: o.comment, Time: ses.clock.Now()}
	if err := ses.store.PutApproval(ctx, a); err != nil {
		return err
	}
	if !o.reject {
		if o.output == outputJSON {
			return writeJSON(s.Out, a)
		}
		fmt.Fprintf(s.Out, "approved by %s: plan %s\n", by, plan.Hash)
		fmt.Fprintln(s.Err, "next: knowngood apply", file)
		return nil
	}
	if asks {
		fmt.Fprintln(s.Err, "next: knowngood apply", file)
	}
	if plan.Finding != "" {
		// A finding that is closed, or that another plan acts on, stays as it is.
		err := ses.findings().Withdrawn(ctx, plan.Finding, "the plan "+short(plan.Hash)+" was rejected by "+by)
		if err != nil && knowngood.KindOf(err) != knowngood.Conflict {
			return err
		}
	}
	if o.output == outputJSON {
		return writeJSON(s.Out, a)
	}
	fmt.Fprintf(s.Out, "rejected by %s: plan %s\n", by, plan.Hash)
	return nil
}

// approver is who decides: whoever is signed in, or who --as names.
func (ses *session) approver(op, as string) (string, error) {
	switch {
	case as == "":
		return ses.principal, nil
	case !ses.loopback:
		return "", knowngood.E(knowngood.Usage, op, "--as is for endpoints on this machine; a decision on a real account is that of who is signed in").
			WithHint("leave --as out: it is then by %s", ses.principal)
	}
	return as, nil
}

type applyOptions struct {
	awsOptions
	governanceOptions
	attachmentOptions
	secrets secretOptions
	here    bool
	output  string
}

func newApply(s Streams) *cobra.Command {
	var o applyOptions
	cmd := &cobra.Command{
		Use: "apply PLAN", Short: "Make exactly the calls of a plan, or go on with its run",
		Long: `Makes exactly the writes of a plan, in its order, and stops where the world has
moved. A plan of a finding is verified: its resource is read afresh and judged by
its rule again. Interrupt it, or kill it, and the same command goes on. PLAN is the
plan's file, or the id of its run, which has the plan too. Secrets that the plan was
given and that are in no store are given again with --secret.

Where "runs work" works on this account's runs by the same rules, the run is left to it,
and its log is followed; --here, --secret and --attachments carry it out in this process
all the same.`,
		Args: takes(cobra.ExactArgs(1), "one argument, a plan's file or the id of a run"),
		RunE: func(cmd *cobra.Command, args []string) error { return apply(cmd.Context(), s, o, args[0]) },
	}
	o.awsOptions.register(cmd)
	o.governanceOptions.register(cmd)
	o.attachmentOptions.register(cmd)
	o.secrets.register(cmd)
	registerOutput(cmd, &o.output)
	cmd.Flags().BoolVar(&o.here, "here", false, "carry it out in this process, whether or not a worker is there")
	return cmd
}

// planOf reads the plan that is meant: a file, or that of a run.
func (ses *session) planOf(ctx context.Context, name string) (*knowngood.Plan, error) {
	run, err := ses.store.Run(ctx, name)
	if err != nil {
		return nil, knowngood.E(knowngood.Invalid, "read the plan", "there is no run %s in %s", name, ses.state)
	}
	raw, err := ses.store.Plan(ctx, run.PlanHash)
	if err != nil {
		return nil, err
	}
	return remedy.DecodePlan("run "+run.ID, raw)
}

// isFor refuses a plan of another account, or of another Region than one that was
// asked for. A plan is carried out in its own.
func (ses *session) isFor(op string, plan *knowngood.Plan, asked string) error {
	here := ses.place
	if asked == "" {
		here.Region = plan.Place.Region
	}
	place := plan.Place
	if plan.Parent != nil { // it is carried out from there, whatever its own place is
		place, here.Region = plan.Parent.Home, plan.Parent.Home.Region
	}
	if place == here {
		return nil
	}
	return knowngood.E(knowngood.Refused, op, "the plan is for %s in %s, the credentials and Region are %s in %s", place.Account, place.Region, here.Account, here.Region)
}

func apply(ctx context.Context, s Streams, o applyOptions, name string) error {
	if err := checkOutput(o.output); err != nil {
		return err
	}
	var plan *knowngood.Plan
	secrets, err := o.secrets.read()
	if err != nil {
		return err
	}
	if !runID.MatchString(name) {
		var fleet *remedy.FleetPlan
		if plan, fleet, err = readPlan(name); err != nil {
			return err
		}
		if fleet != nil {
			return applyFleet(ctx, s, o, secrets, name, fleet)
		}
	}
	ses, err := o.openWith(ctx, o.attachmentOptions)
	if err != nil {
		return err
	}
	defer ses.store.Close()
	if plan == nil {
		if plan, err = ses.planOf(ctx, name); err != nil {
			return err
		}
	}
	op := "apply " + name
	if err := ses.isFor(op, plan, o.region); err != nil {
		return err
	}
	ses = ses.in(plan.Place.Region)
	g, err := o.load(ses.place)
	if err != nil {
		return err
	}
	g.printNotes(s.Err)
	decisions, err := ses.store.Approvals(ctx, plan.Hash)
	if err != nil {
		return err
	}
	entry, err := ses.content.Entry(plan.Document.Name)
	if err != nil {
		return err
	}
	before, err := ses.store.Run(ctx, plan.RunID)
	if err != nil && knowngood.KindOf(err) != knowngood.NotFound {
		return err
	}
	p := newProgress(s.Err, "run "+plan.RunID+"; if it is interrupted, the same command goes on", entry.Stages)
	r := ses.remediator(g, p.entry)
	r.Secrets = secrets
	c, err := ses.carrier(r, o)
	if err != nil {
		return err
	}
	worker, err := c.worker(ctx, plan)
	if err != nil {
		return err
	}
	if worker != "" {
		p.title = "run " + plan.RunID + " is with the worker " + worker + ", which goes on with it if this is interrupted"
	}
	result, err := c.apply(ctx, plan, decisions, worker)
	p.done()
	switch {
	case err != nil && ctx.Err() != nil && worker != "":
		return knowngood.E(knowngood.Interrupted, op, "interrupted; the worker %s goes on with the run", worker).WithHint("knowngood runs show %s tells how it stands, knowngood runs cancel %s stops it", plan.RunID, plan.RunID)
	case err != nil && ctx.Err() != nil:
		return knowngood.E(knowngood.Interrupted, op, "interrupted; what is done is in the log").WithHint("knowngood apply %s goes on where it stopped", name)
	case knowngood.KindOf(err) == knowngood.Waiting:
		return withHint(err, approveCommand(plan, name))
	case knowngood.KindOf(err) == knowngood.Refused && plan.Finding != "":
		return withHint(err, "knowngood plan "+plan.Finding+" makes a new plan, if there is still something to fix")
	case err != nil:
		return err
	}
	if o.output == outputJSON {
		if err := writeJSON(s.Out, result); err != nil {
			return err
		}
	} else {
		printResult(s.Out, plan, result, before)
	}
	switch result.State {
	case knowngood.RunSuccess:
		return nil
	case knowngood.RunWaiting:
		return knowngood.E(knowngood.Waiting, op, "%s", result.Message)
	case knowngood.RunUnverified:
		return knowngood.E(knowngood.Other, op, "every step is done, but the fix is not verified: %s", result.Message).
			WithHint("knowngood scan shows how the resource stands")
	case knowngood.RunOutcomeUnknown:
		return knowngood.E(knowngood.Other, op, "the run ended as %s: %s", result.State, result.Message).
			WithHint("look whether it took place, then: knowngood runs settle %s --done or --not-done, --reason TEXT", plan.RunID)
	}
	return knowngood.E(knowngood.Other, op, "the run ended as %s: %s", result.State, result.Message)
}

// printResult says what became of a run; before is the run as it was found.
func printResult(w io.Writer, plan *knowngood.Plan, r remedy.Result, before knowngood.Run) {
	fmt.Fprintf(w, "run %s: %s\n", r.RunID, r.State)
	if before.State.Ended() {
		fmt.Fprintf(w, "it ended at %s; nothing was done now\n", before.Updated.Format(time.RFC3339))
	}
	switch v := r.Verification; {
	case v != nil && v.Verified && !before.State.Ended():
		fmt.Fprintf(w, "verified: %s; finding %s is closed\n", v.Reason, plan.Finding)
	case r.State == knowngood.RunSuccess && plan.Finding != "":
		fmt.Fprintf(w, "verified: %s\n", r.Message)
	}
	if r.Residual != nil {
		fmt.Fprintf(w, "left behind: %s\n", report.ResidualLine(*r.Residual))
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
