package remedy

import (
	"slices"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/runbook"
)

// noticeCall is what tells the topic of an aws:approve step.
const noticeCall = "sns:Publish"

// decision plans an aws:approve or aws:pause step: that it is approved and, where
// the document says, what is done if it isn't. The notice to its topic is a write
// of the plan. A run that was approved before it came here makes none.
func (e *exploration) decision(w *way, next runbook.Next) error {
	if w.fail == next.Step {
		return w.entry(knowngood.EntryDecision, next, runbook.DecisionBody{})
	}
	w.fail = ""
	if err := e.forkFailure(w, next.Step); err != nil {
		return err
	}
	if r := next.Approve; r.NotificationArn != "" {
		if hasSeal(r.Message) || hasSeal(r.NotificationArn) {
			return knowngood.E(knowngood.Refused, "plan "+e.req.Ref.Name, "the step %s would hand a secret on to whoever is asked", next.Step)
		}
		call, err := e.coerce(r.Notice(answerCommand(e.req.RunID)))
		if err != nil {
			return err
		}
		op, err := e.Catalog.Operation(call.Service, call.Operation)
		if err != nil {
			return err
		}
		in, _ := plain(call.Input).(map[string]any)
		e.put(w, next.Step, knowngood.Call{Step: next.Step, Class: knowngood.Write, Service: op.Service.Name, Operation: op.Name,
			Account: e.req.Place.Account, Region: e.req.Place.Region, Input: toTemplate(in), Actions: op.IAMActions(in),
			Assumed: e.undetermined(w, e.req.Document.Uses(next.Step)) || hasPlaceholder(in),
			Effect:  knowngood.Reversible, Inverse: "it only asks"})
	}
	return w.entry(knowngood.EntryDecision, next, runbook.DecisionBody{Approved: true})
}

// answerCommand is how a run's request is answered.
func answerCommand(runID string) string {
	return "knowngood approve " + runID + ", or with --reject"
}

// notify implements Notify of runbook.Runner. Plans that were made before topics
// were told don't have the call.
func (h *held) notify(r runbook.ApproveRequest) (string, bool) {
	planned := slices.ContainsFunc(h.plan.Parts, func(p knowngood.PlanPart) bool {
		return slices.ContainsFunc(p.Calls, func(c knowngood.Call) bool {
			return runbook.StepName(c.Step) == r.Step && c.Service+":"+c.Operation == noticeCall
		})
	})
	return answerCommand(h.plan.RunID), planned
}
