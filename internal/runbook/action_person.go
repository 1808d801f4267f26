package runbook

import (
	"fmt"
	"time"
)

// ApproveRequest asks people for a decision.
type ApproveRequest struct {
	Step      string
	Approvers []string // IAM ARNs and user names; only these count
	Min       int      // distinct people who must approve
	Message   string
	Deadline  time.Time
	// NotificationArn is the SNS topic that is told of the request, or "".
	NotificationArn string
	// Pause says that the step is aws:pause: anyone who may resume the run
	// decides, and Approvers is empty.
	Pause bool
}

// AWS's limits of aws:approve and aws:pause.
const (
	approveTimeout = 7 * 24 * time.Hour
	approveMost    = 30 * 24 * time.Hour
	maxApprovers   = 10
	maxMessage     = 4096
)

// approve is aws:approve: it waits until enough people approved, or one
// rejected.
type approve struct{}

func (approve) timeout() (standard, most time.Duration) { return approveTimeout, approveMost }

func (approve) person() {}

func (approve) outputs(*Step) []Output {
	return []Output{{Name: "ApprovalStatus", Type: String}, {Name: "ApproverDecisions", Type: MapList}}
}

func (approve) check(c *checker, s *Step) {
	c.members(s, []string{"Approvers"}, []string{"NotificationArn", "Message", "MinRequiredApprovals"})
	if n := s.inputs.get("Approvers"); n != nil && n.text == nil {
		if n.kind != listNode || len(n.list) == 0 || len(n.list) > maxApprovers {
			c.add(n.pos, fmt.Sprintf("a list of 1 to %d IAM ARNs or user names", maxApprovers), "step %s: Approvers is %s", s.Name, n.what())
		}
	}
	if n := s.inputs.get("MinRequiredApprovals"); n != nil && n.text == nil {
		if v, err := integer(n.scalar); err != nil || v.(int64) < 1 || v.(int64) > maxApprovers {
			c.add(n.pos, fmt.Sprintf("1 to %d", maxApprovers), "step %s: MinRequiredApprovals is %s", s.Name, excerpt(text(n.plain())))
		}
	}
}

func (approve) next(t *turn) move {
	if d := t.decision; d != nil {
		return decided(d)
	}
	req := &ApproveRequest{Step: t.step.Name, Min: 1, Message: text(t.inputs["Message"]), Deadline: t.due, NotificationArn: text(t.inputs["NotificationArn"])}
	if len(req.Message) > maxMessage {
		return failf("the message has %d characters, at most %d are allowed", len(req.Message), maxMessage)
	}
	people, err := convert(t.inputs["Approvers"], StringList)
	if err != nil {
		return failf("Approvers: %v", err)
	}
	list, _ := people.([]any)
	for _, p := range list {
		req.Approvers = append(req.Approvers, text(p))
	}
	if v, ok := t.inputs["MinRequiredApprovals"]; ok {
		n, err := integer(v)
		if err != nil || n.(int64) < 1 || n.(int64) > maxApprovers {
			return failf("MinRequiredApprovals is %s, 1 to %d is allowed", excerpt(text(v)), maxApprovers)
		}
		req.Min = int(n.(int64))
	}
	if req.Min > len(req.Approvers) {
		return failf("%d approvals are required of %d approvers", req.Min, len(req.Approvers))
	}
	return move{approve: req}
}

func decided(d *DecisionBody) move {
	status := "Approved"
	decisions := []any{}
	for _, a := range d.Approvals {
		word := "Approve"
		if !a.Approved {
			word = "Reject"
		}
		decisions = append(decisions, map[string]any{"approver": a.By, "decision": word, "comment": a.Comment})
	}
	if !d.Approved {
		for _, a := range d.Approvals {
			if !a.Approved {
				if a.Comment != "" {
					return failf("rejected by %s: %s", a.By, a.Comment)
				}
				return failf("rejected by %s", a.By)
			}
		}
		return failf("rejected")
	}
	m := done()
	m.done.Outputs = map[string]any{"ApprovalStatus": status, "ApproverDecisions": decisions}
	return m
}

// pause is aws:pause: it waits until somebody lets the run go on.
type pause struct{}

func (pause) timeout() (standard, most time.Duration) { return approveTimeout, approveMost }

// AWS's page has no inputs; its own runbooks write a Message.
func (pause) check(c *checker, s *Step) { c.members(s, nil, []string{"Message"}) }

func (pause) person() {}

func (pause) next(t *turn) move {
	if t.decision == nil {
		message := text(t.inputs["Message"])
		return move{approve: &ApproveRequest{Step: t.step.Name, Min: 1, Message: or(message, t.step.Description), Deadline: t.due, Pause: true}}
	}
	m := decided(t.decision)
	if m.done != nil {
		m.done.Outputs = nil
	}
	return m
}
