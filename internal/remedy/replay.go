package remedy

import (
	"fmt"
	"strings"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/runbook"
)

// Replay holds a run to its plan: a write goes out only if the plan has it, with
// this input, and not before its turn.
type Replay struct {
	plan     *knowngood.Plan
	bindings bindings
	at       map[string]int // of each part: the index of the last call that was made
}

// NewReplay is a replay of a plan of which nothing has been done.
func NewReplay(plan *knowngood.Plan) *Replay {
	at := map[string]int{}
	for _, p := range plan.Parts {
		at[p.Name] = -1
	}
	return &Replay{plan: plan, bindings: bindings{}, at: at}
}

// Allow says which planned calls a write is, as of a step: usually one, several
// where parts of the plan have the same. Its place is an account and Region.
// If it is none, the error, of kind Refused, says where the run left its plan.
// A write that was allowed may be asked for again, as a repeat of the same call; a
// request to a host that is not AWS's may not.
func (r *Replay) Allow(step, service, operation, account, region string, input map[string]any) (ids []string, err error) {
	var why []string
	planned := false
	for _, part := range r.plan.Parts {
		for i, c := range part.Calls {
			if c.Class != knowngood.Write || c.Step != step || c.Service != service || c.Operation != operation {
				continue
			}
			planned = true
			switch {
			case c.Account != account || c.Region != region:
				why = append(why, fmt.Sprintf("it goes to %s/%s, planned was %s/%s", account, region, c.Account, c.Region))
			case service == runbook.OutsideService && i == r.at[part.Name]:
				why = append(why, "it was sent already")
			case i < r.at[part.Name]:
				why = append(why, fmt.Sprintf("it comes after %s, which follows it in the plan", part.Calls[r.at[part.Name]].Step))
			default:
				if err := unify(c.Input, plain(input), r.bindings); err != nil {
					why = append(why, err.Error())
					continue
				}
				r.at[part.Name] = i
				ids = append(ids, c.ID)
			}
			if len(ids) > 0 && ids[len(ids)-1] == c.ID {
				break // the part's later ones, if they are the same, are yet to come
			}
		}
	}
	if len(ids) > 0 {
		return ids, nil
	}
	name := service + ":" + operation
	if !planned {
		return nil, knowngood.E(knowngood.Refused, "plan drift at "+step, "%s is not in the plan", name)
	}
	return nil, knowngood.E(knowngood.Refused, "plan drift at "+step, "%s is not the call that was planned: %s", name, strings.Join(why, "; or "))
}

// AllowRead says whether a sensitive read is one that was planned for the step, with
// this input; any number of times, and at any time. If not, the error is as
// Allow's.
func (r *Replay) AllowRead(step, service, operation, account, region string, input map[string]any) error {
	var why []string
	for _, part := range r.plan.Parts {
		for _, c := range part.Calls {
			if c.Class != knowngood.SensitiveRead || c.Step != step || c.Service != service || c.Operation != operation {
				continue
			}
			err := unify(c.Input, plain(input), r.bindings)
			if c.Account != account || c.Region != region {
				err = fmt.Errorf("it goes to %s/%s, planned was %s/%s", account, region, c.Account, c.Region)
			}
			if err == nil {
				return nil
			}
			why = append(why, err.Error())
		}
	}
	name := service + ":" + operation
	if len(why) == 0 {
		return knowngood.E(knowngood.Refused, "plan drift at "+step, "%s is not in the plan", name)
	}
	return knowngood.E(knowngood.Refused, "plan drift at "+step, "%s is not the call that was planned: %s", name, strings.Join(why, "; or "))
}

// Answered binds what planned calls' responses brought, for the calls after
// them. A call that is answered twice keeps its first answer.
func (r *Replay) Answered(ids []string, response map[string]any) {
	for _, id := range ids {
		if _, bound := r.bindings[id]; !bound {
			r.bindings[id], _ = plain(response).(map[string]any)
		}
	}
}
