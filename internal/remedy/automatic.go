package remedy

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/template"
)

// Task is a finding with the remediation that is tied to its rule.
type Task struct {
	Finding     knowngood.Finding
	Remediation template.RemediationConfiguration
}

// Outcome is what an automatic remediation came to.
type Outcome struct {
	Finding string
	Plan    *knowngood.Plan // nil: none could be made, or it was not its turn
	// Waits are the reasons why the plan waits for an approval.
	Waits  []string
	Result Result
	// Skipped says why nothing was done: not its turn yet, or too many failed.
	Skipped string
	Err     error
}

// AWS Config's defaults for SsmControls, in percent.
const (
	defaultConcurrency = 10
	defaultErrors      = 50
)

// Automatic remediates the findings of one rule whose remediation starts by
// itself: each is planned, and applied where no guardrail asks for a person;
// else its plan waits. ConcurrentExecutionRatePercentage of them run at once, at
// least one, and when more than ErrorPercentage have failed no other is begun.
// Outcomes are in the order of the tasks. The error is the context's.
//
// It does not decide whether a rule is enforced; the caller does.
func (r *Remediator) Automatic(ctx context.Context, place knowngood.Place, tasks []Task) ([]Outcome, error) {
	out := make([]Outcome, len(tasks))
	if len(tasks) == 0 {
		return out, nil
	}
	concurrency, errors := tasks[0].Remediation.ConcurrentExecutionRatePercentage, tasks[0].Remediation.ErrorPercentage
	if concurrency == 0 {
		concurrency = defaultConcurrency
	}
	if errors == 0 {
		errors = defaultErrors
	}
	var (
		g      errgroup.Group
		mu     sync.Mutex
		failed int
	)
	g.SetLimit(max(1, len(tasks)*concurrency/100))
	for i, task := range tasks {
		g.Go(func() error {
			mu.Lock()
			stop := failed*100 > errors*len(tasks)
			mu.Unlock()
			if stop {
				out[i] = Outcome{Finding: task.Finding.ID, Skipped: fmt.Sprintf("more than %d%% of the remediations of %s failed", errors, task.Finding.Rule)}
				return nil
			}
			o := r.automatic(ctx, place, task)
			if o.Err != nil || o.Plan != nil && o.Waits == nil && o.Result.State != knowngood.RunSuccess {
				mu.Lock()
				failed++
				mu.Unlock()
			}
			out[i] = o
			return nil
		})
	}
	_ = g.Wait() // errors are in the outcomes
	return out, ctx.Err()
}

func (r *Remediator) automatic(ctx context.Context, place knowngood.Place, task Task) Outcome {
	f, c := task.Finding, task.Remediation
	out := Outcome{Finding: f.ID}
	switch now := r.Clock.Now(); {
	case ctx.Err() != nil:
		out.Skipped = "interrupted"
		return out
	case f.State != knowngood.FindingOpen:
		out.Skipped = "it is " + string(f.State)
		return out
	case f.NextTry != nil && now.Before(*f.NextTry):
		out.Skipped = "the next attempt is at " + f.NextTry.UTC().Format(time.RFC3339)
		return out
	}
	retry := knowngood.Retry{Max: c.MaximumAutomaticAttempts, Every: time.Duration(c.RetryAttemptSeconds) * time.Second}
	if out.Plan, out.Err = r.PlanFinding(ctx, place, task); out.Err != nil {
		// AWS Config would have started the runbook, and its preflight would have
		// failed it: an attempt.
		if err := r.Findings.Remediating(ctx, f.ID, ""); err == nil {
			out.Err = joinError(out.Err, r.Findings.Failed(ctx, f.ID, "", out.Err.Error(), retry))
		}
		return out
	}
	if out.Waits = NeedsApproval(out.Plan); out.Waits != nil {
		out.Err = r.Findings.Waiting(ctx, f.ID, "the plan "+out.Plan.Hash[:12]+" waits for an approval: "+out.Waits[0])
		return out
	}
	out.Result, out.Err = r.Apply(ctx, out.Plan, nil, retry)
	return out
}

// PlanFinding plans the remediation that is tied to a finding's rule.
func (r *Remediator) PlanFinding(ctx context.Context, place knowngood.Place, task Task) (*knowngood.Plan, error) {
	f, c := task.Finding, task.Remediation
	if c.ResourceType != "" && c.ResourceType != f.Resource.Type {
		return nil, knowngood.E(knowngood.Invalid, "plan finding "+f.ID, "the remediation of %s is for %s, the resource is an %s", f.Rule, c.ResourceType, f.Resource.Type)
	}
	book, err := r.Content.Runbook(documentName(c.TargetID))
	if err != nil {
		return nil, err
	}
	id := f.Resource.ID
	if on := book.Entry.Resource; on != nil && on.ARN {
		if id, err = r.arnOf(ctx, f); err != nil {
			return nil, err
		}
	}
	return r.Plan(ctx, place, book, c.Bind(id), f.Resource, &f)
}

// arnOf reads the ARN of the resource that was found.
func (r *Remediator) arnOf(ctx context.Context, f knowngood.Finding) (string, error) {
	item, err := r.Verifier.Reader.Read(ctx, f.Resource)
	if err != nil {
		return "", err
	}
	if item.ARN == "" {
		return "", knowngood.E(knowngood.Refused, "plan finding "+f.ID, "the runbook takes an ARN, and of %s none is known", f.Resource.ID)
	}
	return item.ARN, nil
}

// documentName is the name of a document that is named by its ARN, or by its
// name as it is.
func documentName(target string) string {
	if _, name, ok := strings.Cut(target, ":document/"); ok && strings.HasPrefix(target, "arn:") {
		return name
	}
	return target
}

// joinError keeps the kind of the first error.
func joinError(first, second error) error {
	if second == nil {
		return first
	}
	return fmt.Errorf("%w; and then %w", first, second)
}
