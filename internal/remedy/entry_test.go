package remedy

import (
	"testing"
	"testing/fstest"

	"github.com/knowngood/knowngood"
)

func TestApprovalsCountForTheirHashOnly(t *testing.T) {
	whole := &knowngood.Plan{Hash: "a", Risk: knowngood.Risk{Effect: knowngood.Disruptive}}
	part := &knowngood.Plan{Hash: "a", Incomplete: []string{"a loop"}}
	yes := knowngood.Approval{PlanHash: "a", Approved: true}
	for _, c := range []struct {
		name      string
		plan      *knowngood.Plan
		decisions []knowngood.Approval
		want      bool
	}{
		{"none", whole, nil, false},
		{"one", whole, []knowngood.Approval{yes}, true},
		{"of another plan", whole, []knowngood.Approval{{PlanHash: "b", Approved: true}}, false},
		{"one against", whole, []knowngood.Approval{yes, {PlanHash: "a", By: "bob"}}, false},
		{"incomplete, not accepted", part, []knowngood.Approval{yes}, false},
		{"incomplete, accepted", part, []knowngood.Approval{{PlanHash: "a", Approved: true, Incomplete: true}}, true},
	} {
		if got := Approved(c.plan, c.decisions); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if len(NeedsApproval(whole)) == 0 || len(NeedsApproval(part)) == 0 || len(NeedsApproval(&knowngood.Plan{Risk: knowngood.Risk{Effect: knowngood.Reversible}})) != 0 {
		t.Error("a disruptive or incomplete plan needs an approval, a reversible one does not")
	}
}

func TestEntriesAreStrict(t *testing.T) {
	fsys := fstest.MapFS{"Bad.yaml": {Data: []byte("replacemnt: x\n")}}
	if _, err := LoadEntry(fsys, "Bad"); err == nil {
		t.Error("an unknown key was taken")
	}
	if e, err := LoadEntry(fsys, "None"); err != nil || e.Replacement != "" {
		t.Errorf("%+v, %v", e, err)
	}
}
