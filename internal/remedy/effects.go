package remedy

import (
	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/runbook"
)

// CheckEffects says whether a plan understates what its writes do, by the table: who
// approves a plan relies on that, and anybody can write a file. Kind Refused.
func (o Operations) CheckEffects(p *knowngood.Plan) error {
	calls := map[string]knowngood.Call{}
	callsOf(p, calls)
	return o.checkEffects("check the plan "+p.Hash[:min(12, len(p.Hash))], p, p.Documents, calls)
}

// callsOf collects the calls of a plan and of what it starts, by their ids.
func callsOf(p *knowngood.Plan, into map[string]knowngood.Call) {
	for _, part := range p.Parts {
		for _, c := range part.Calls {
			into[c.ID] = c
		}
	}
	for i := range p.Children {
		callsOf(&p.Children[i], into)
	}
}

func (o Operations) checkEffects(op string, p *knowngood.Plan, documents map[string]string, calls map[string]knowngood.Call) error {
	is := risk(p)
	for i := range p.Children {
		if err := o.checkEffects(op, &p.Children[i], documents, calls); err != nil {
			return err
		}
		if p.Group != nil {
			is = worse(is, p.Children[i].Risk)
		}
	}
	for _, part := range p.Parts {
		for _, c := range part.Calls {
			if c.Class != knowngood.Write {
				continue
			}
			effect := knowngood.Irreversible
			if row, known := o[c.Service+":"+c.Operation]; known {
				effect = row.Effect
			}
			if child := childOf(p, c); child != nil {
				effect = child.Risk.Effect
			}
			if effect == knowngood.Irreversible && (o.undoes(c, calls) || isNotice(p, documents, c)) {
				effect = knowngood.Reversible
			}
			if severity[c.Effect] < severity[effect] || c.Effect == "" {
				return knowngood.E(knowngood.Refused, op, "it says that %s:%s in the step %s is %s, and it is %s", c.Service, c.Operation, c.Step, c.Effect, effect).WithHint("make it again")
			}
		}
	}
	if p.Risk.Effect != is.Effect {
		return knowngood.E(knowngood.Refused, op, "it says that it is %s, and it is %s", p.Risk.Effect, is.Effect).WithHint("make it again")
	}
	return nil
}

// isNotice says whether a planned call is one by which a step asks for a decision.
func isNotice(p *knowngood.Plan, documents map[string]string, c knowngood.Call) bool {
	if c.Service+":"+c.Operation != noticeCall {
		return false
	}
	content := p.Document.Content
	if content == "" { // a child's
		content = documents[p.Document.SHA256]
	}
	d, err := runbook.Parse(p.Document.Name, []byte(content))
	if err != nil {
		return false
	}
	step, ok := d.Step(c.Step)
	return ok && step.Action == "aws:approve"
}

// undoes is ownWork, of a planned call.
func (o Operations) undoes(c knowngood.Call, calls map[string]knowngood.Call) bool {
	in, _ := c.Input.(map[string]any)
	names := 0
	for member, v := range in {
		if !namesResource(member) {
			continue
		}
		names++
		template, _ := v.(map[string]any)
		key, arg, _ := special(template)
		made, _ := arg.(map[string]any)
		from, _ := made["from"].(string)
		by := calls[from]
		if key != refKey || made["path"] != member || o[by.Service+":"+by.Operation].Inverse != c.Service+":"+c.Operation {
			return false
		}
	}
	return names > 0
}
