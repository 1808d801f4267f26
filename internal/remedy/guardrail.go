package remedy

import (
	"strings"

	"github.com/knowngood/knowngood"
)

// Guardrail is one reason why a plan may not be applied without a person's
// decision: a small pure check that gives the reason, or "".
type Guardrail struct {
	Name  string
	Check func(*knowngood.Plan) string
}

// Guardrails are the checks that every plan passes.
func Guardrails() []Guardrail {
	return []Guardrail{
		{"complete", func(p *knowngood.Plan) string {
			if len(p.Incomplete) == 0 {
				return ""
			}
			return "it is incomplete: " + strings.Join(p.Incomplete, "; ")
		}},
		{"risk", func(p *knowngood.Plan) string {
			if p.Risk.Effect == knowngood.Reversible {
				return ""
			}
			return "it is " + string(p.Risk.Effect)
		}},
		{"downtime", func(p *knowngood.Plan) string {
			if p.Risk.DowntimeSeconds[1] == 0 {
				return ""
			}
			return "the resource is out of service meanwhile"
		}},
	}
}

// NeedsApproval gives every reason why a plan needs a person's decision. None:
// it may be applied at once.
func NeedsApproval(p *knowngood.Plan) []string {
	var reasons []string
	for _, g := range Guardrails() {
		if why := g.Check(p); why != "" {
			reasons = append(reasons, why)
		}
	}
	return reasons
}

// Approved says whether decisions on a plan allow it: at least one for its
// hash, none against, and for an incomplete plan one that accepts that.
func Approved(p *knowngood.Plan, decisions []knowngood.Approval) bool {
	approved := false
	for _, d := range decisions {
		if d.PlanHash != p.Hash {
			continue
		}
		if !d.Approved {
			return false
		}
		approved = approved || len(p.Incomplete) == 0 || d.Incomplete
	}
	return approved
}
