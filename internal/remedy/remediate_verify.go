package remedy

import (
	"context"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/runbook"
)

// verify reads afresh what the run was for, tells the finding, and ends the run.
func (r *Remediator) verify(ctx context.Context, plan *knowngood.Plan, epoch int64, result Result) (Result, error) {
	log, err := r.Log.Entries(ctx, plan.RunID)
	if err != nil {
		return result, err
	}
	replacement, err := replacementOf(plan, log)
	if err != nil {
		return result, err
	}
	if replacement != nil {
		if err := r.Findings.Moved(ctx, plan.Finding, *replacement); err != nil {
			return result, err
		}
	}
	v, err := r.Verifier.Verify(ctx, plan.Rule, plan.Resource, replacement)
	if err != nil {
		return result, err
	}
	result.Verification = &v
	if v.Left != nil {
		if result.Residual, err = r.leave(ctx, plan, v.Left, replacement.ID); err != nil {
			return result, err
		}
	}
	if v.Verified {
		err = r.Findings.Verified(ctx, plan.Finding, v.Verdicts...)
		if knowngood.KindOf(err) == knowngood.Refused {
			v.Verified, v.Reason, err = false, err.Error(), nil
		}
	}
	if err == nil && !v.Verified {
		err = r.Findings.Unverified(ctx, plan.Finding, v.Reason)
	}
	if err != nil {
		return result, err
	}
	result.State, result.Message = knowngood.RunSuccess, v.Reason
	if !v.Verified {
		result.State = knowngood.RunUnverified
	}
	return result, r.finish(ctx, plan.RunID, epoch, v, result.State)
}

// finish ends a run with what its verification said. A cancel request that came
// meanwhile takes a number; there is nothing left to cancel.
func (r *Remediator) finish(ctx context.Context, runID string, epoch int64, v Verification, state knowngood.RunState) error {
	entry, err := runbook.Encode(knowngood.EntryVerified, "", 0, v)
	if err != nil {
		return err
	}
	for range 3 {
		log, err := r.Log.Entries(ctx, runID)
		if err != nil {
			return err
		}
		entry.Seq, entry.Time = int64(len(log)+1), r.Clock.Now().UTC()
		err = r.Log.Append(ctx, runID, epoch, []knowngood.LogEntry{entry}, state, v.Reason, nil)
		if knowngood.KindOf(err) != knowngood.Conflict {
			return err
		}
	}
	return knowngood.E(knowngood.Conflict, "run "+runID, "its end could not be written, for others write its log")
}

// replacementOf is the resource that took the original's place, if the plan
// speaks of one and the run has made it.
func replacementOf(plan *knowngood.Plan, log []knowngood.LogEntry) (*knowngood.ResourceKey, error) {
	if plan.Replacement == "" {
		return nil, nil
	}
	d, err := runbook.Parse(plan.Document.Name, []byte(plan.Document.Content))
	if err != nil {
		return nil, err
	}
	id, ok, err := d.Expand(log, "{{ "+plan.Replacement+" }}")
	if err != nil || !ok || id == plan.Resource.ID {
		return nil, err
	}
	key := plan.Resource
	key.ID = id
	return &key, nil
}

// replacedOnTag holds the date on which a runbook replaced a resource. Rules that
// except what was replaced count from it.
const replacedOnTag = "knowngood:replaced-on"

// replacedOn is the day from which the time counts for which a replaced resource
// is kept: the one that its tag has, so that a rule which reads the tag agrees.
func replacedOn(plan *knowngood.Plan, item *knowngood.Resource) time.Time {
	if day, err := time.Parse(time.DateOnly, item.Tags[replacedOnTag]); err == nil {
		return day
	}
	return plan.Created.UTC().Truncate(24 * time.Hour)
}

// leave lists the original that a run left behind.
func (r *Remediator) leave(ctx context.Context, plan *knowngood.Plan, item *knowngood.Resource, by string) (*knowngood.Residual, error) {
	entry, err := r.Content.Entry(plan.Document.Name)
	if err != nil || entry.Residual == nil {
		return nil, err
	}
	left := knowngood.Residual{
		Resource: item.Key(), ReplacedBy: by, RunID: plan.RunID, MonthlyCost: r.Content.Prices.Monthly(item),
		DeleteAfter: replacedOn(plan, item).AddDate(0, 0, entry.Residual.KeepDays),
	}
	for _, tag := range entry.Residual.OwnerTags {
		if owner := item.Tags[tag]; owner != "" {
			left.Owner = owner
			break
		}
	}
	return &left, r.Records.PutResidual(ctx, left)
}
