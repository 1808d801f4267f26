package remedy

import (
	"testing"

	"github.com/knowngood/knowngood"
)

// What the planner says of effects is what is checked when a plan is approved, and a
// plan that understates one is refused.
func TestEffectsAreDerivedAgain(t *testing.T) {
	table := operations(t)
	understated := 0
	for _, name := range []string{"AWS-EncryptEBSVolume", "AWSConfigRemediation-EnforceEC2InstanceIMDSv2"} {
		s := newSwept(t, name)
		plan := s.planOf(s.world(t), "run-1")
		if err := table.CheckEffects(plan); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for i := range plan.Parts {
			for j := range plan.Parts[i].Calls {
				c := &plan.Parts[i].Calls[j]
				if c.Class != knowngood.Write || c.Effect == knowngood.Reversible {
					continue
				}
				was := c.Effect
				c.Effect = knowngood.Reversible
				if err := table.CheckEffects(plan); knowngood.KindOf(err) != knowngood.Refused {
					t.Errorf("%s: %s is said to be reversible: %v", name, c.Operation, err)
				}
				c.Effect = was
				understated++
			}
		}
		was := plan.Risk.Effect
		for _, other := range []knowngood.Effect{knowngood.Reversible, knowngood.Disruptive, knowngood.Irreversible} {
			if plan.Risk.Effect = other; other != was && knowngood.KindOf(table.CheckEffects(plan)) != knowngood.Refused {
				t.Errorf("%s: the risk is said to be %s", name, other)
			}
		}
	}
	if understated == 0 {
		t.Error("no plan has an effect to understate")
	}
}
