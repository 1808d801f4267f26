package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/remedy"
	"github.com/knowngood/knowngood/internal/runbook"
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
	a := knowngood.Approval{PlanHash: plan.Hash, RunID: plan.RunID, By: by, Approved: !o.reject, Incomplete: o.incomplete, Comment: o.comment, Time: time.Now().UTC()}
	if err := ses.store.PutApproval(ctx, a); err != nil {
		return err
	}
	word := "approved"
	if o.reject {
		word = "rejected"
	}
	fmt.Fprintf(s.Out, "%s by %s: plan %s\n", word, by, plan.Hash)
	return nil
}

func newApply(s Streams) *cobra.Command {
	var o awsOptions
	cmd := &cobra.Command{
		Use: "apply PLAN", Short: "Apply exactly a plan, or go on with its run", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return apply(cmd.Context(), s, o, args[0]) },
	}
	o.register(cmd)
	return cmd
}

// leaseTime is how long a lease lasts without being renewed; it is renewed at
// half of it.
const leaseTime = 2 * time.Minute

func apply(ctx context.Context, s Streams, o awsOptions, file string) error {
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
	decisions, err := ses.store.Approvals(ctx, plan.Hash)
	if err != nil {
		return err
	}
	if why := remedy.NeedsApproval(plan); why != "" && !remedy.Approved(plan, decisions) {
		return knowngood.E(knowngood.Waiting, "apply "+file, "the plan needs an approval: %s", why).WithHint("knowngood approve %s", file)
	}
	end, err := ses.execute(ctx, s, plan, decisions)
	switch {
	case err != nil && ctx.Err() != nil:
		return knowngood.E(knowngood.Interrupted, "apply "+file, "interrupted; what is done is in the log").WithHint("knowngood apply %s goes on where it stopped", file)
	case err != nil:
		return err
	case end.State != knowngood.RunSuccess:
		return knowngood.E(knowngood.Other, "apply "+file, "the run ended as %s: %s", end.State, end.Message)
	}
	fmt.Fprintf(s.Out, "run %s: every step is done\n", plan.RunID)
	return nil
}

// execute takes the run of a plan, makes it if it is not there, and runs it.
func (ses *session) execute(ctx context.Context, s Streams, plan *knowngood.Plan, decisions []knowngood.Approval) (runbook.EndResult, error) {
	now := time.Now().UTC()
	run := knowngood.Run{ID: plan.RunID, PlanHash: plan.Hash, Document: plan.Document.SHA256, Resource: plan.Resource, State: knowngood.RunPending, Created: now, Updated: now}
	if known, err := ses.store.Run(ctx, plan.RunID); err == nil {
		if known.PlanHash != plan.Hash {
			return runbook.EndResult{}, knowngood.E(knowngood.Refused, "run "+plan.RunID, "it was begun with the plan %s, this is %s", known.PlanHash, plan.Hash)
		}
	} else if err := errors.Join(ses.store.PutPlan(ctx, plan), ses.store.CreateRun(ctx, run)); err != nil {
		return runbook.EndResult{}, err
	}
	epoch, err := ses.store.Acquire(ctx, plan.RunID, me(), now, leaseTime, isDead)
	if err != nil {
		return runbook.EndResult{}, err
	}
	renewing, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		for (knowngood.WallClock{}).Sleep(renewing, leaseTime/2) == nil {
			// A lease that was lost shows at the next append, which is refused.
			_ = ses.store.Renew(renewing, plan.RunID, epoch, time.Now(), leaseTime)
		}
	}()
	clock := knowngood.WallClock{}
	x := &remedy.Executor{
		Catalog: ses.catalog, Operations: ses.operations, Caller: ses.as(plan.Role, plan.RunID), Log: ses.store, Clock: clock,
		Settler:   &remedy.Settler{Catalog: ses.catalog, Operations: ses.operations, Clock: clock, Consistency: 30 * time.Second, Poll: 3 * time.Second},
		Decisions: func(context.Context, runbook.ApproveRequest) ([]knowngood.Approval, error) { return decisions, nil },
		OnEntry: func(e knowngood.LogEntry) {
			if e.Kind == knowngood.EntryIntent || e.Kind == knowngood.EntryRunEnded {
				fmt.Fprintf(s.Err, "%s  %s\n", e.Time.Format(time.TimeOnly), describe(e))
			}
		},
	}
	end, err := x.Run(ctx, plan, epoch)
	return end, errors.Join(err, ses.store.Release(context.WithoutCancel(ctx), plan.RunID, epoch))
}

func describe(e knowngood.LogEntry) string {
	if body, err := runbook.Decode[runbook.IntentBody](e); err == nil && body.Operation != "" {
		return e.Step + ": " + body.Service + ":" + body.Operation
	}
	return string(e.Kind)
}
