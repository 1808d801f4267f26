package runbook

import (
	"fmt"
	"strings"
	"time"
)

// ApproveRequest asks people for a decision.
type ApproveRequest struct {
	Step      string
	Approvers []string // IAM ARNs and user names; only these count
	Min       int      // distinct people who must approve
	Message   string
	Deadline  time.Time
	// NotificationArn is the SNS topic that is told of the request, or ""; see Notice.
	NotificationArn string
	// What the notice needs: whether the topic was told, or it was tried, and then
	// why it failed; the execution's id; the time limit from the step's beginning.
	Told      bool          `json:"-"`
	TellError string        `json:"-"`
	Execution string        `json:"-"`
	TimeLimit time.Duration `json:"-"`
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

// Notice is the call that tells the topic what is asked, and how to answer: a
// command. AWS states no form for the message.
func (r ApproveRequest) Notice(how string) CallRequest {
	subject := fmt.Sprintf("Automation %s waits for an approval: %s", r.Execution, r.Step)
	var b strings.Builder
	fmt.Fprintf(&b, "The automation %s waits at its step %s until %d of these approve: %s.\n", r.Execution, r.Step, r.Min, strings.Join(r.Approvers, ", "))
	if r.TimeLimit > 0 {
		fmt.Fprintf(&b, "After %s without an answer the step has timed out.\n", r.TimeLimit)
	}
	if r.Message != "" {
		fmt.Fprintf(&b, "\n%s\n", r.Message)
	}
	fmt.Fprintf(&b, "\nTo answer: %s\n", how)
	return CallRequest{Service: "sns", Operation: "Publish", Purpose: PurposeExecute, Input: map[string]any{
		"TopicArn": r.NotificationArn, "Subject": subject[:min(len(subject), maxSubject)], "Message": b.String()}}
}

// maxSubject is how long a subject may be. Source: Amazon SNS API Reference,
// "Publish".
const maxSubject = 99

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
	if n := s.inputs.get("NotificationArn"); n != nil && n.text == nil {
		// Source: Systems Manager User Guide, "aws:approve".
		if topic := text(n.plain()); !strings.HasPrefix(topic[strings.LastIndex(topic, ":")+1:], "Automation") {
			c.warn(n.pos, "the ARN of a topic whose name begins with Automation", "step %s: NotificationArn is %s, which Systems Manager doesn't tell", s.Name, excerpt(topic))
		}
	}
	if n := s.inputs.get("MinRequiredApprovals"); n != nil && n.text == nil {
		if v, err := integer(n.scalar); err != nil || v.(int64) < 1 || v.(int64) > maxApprovers {
			c.add(n.pos, fmt.Sprintf("1 to %d", maxApprovers), "step %s: MinRequiredApprovals is %s", s.Name, excerpt(text(n.plain())))
		}
	}
}

func (approve) calls(s *Step) []callSite {
	if s.inputs.get("NotificationArn") == nil {
		return nil
	}
	return []callSite{{service: "sns", operation: "Publish"}}
}

func (approve) next(t *turn) move {
	if d := t.decision; d != nil {
		return decided(d)
	}
	req := &ApproveRequest{Step: t.step.Name, Min: 1, Message: text(t.inputs["Message"]), Deadline: t.due, NotificationArn: text(t.inputs["NotificationArn"]),
		Execution: t.scope.start.ExecutionID}
	if !t.due.IsZero() {
		req.TimeLimit = t.due.Sub(t.started)
	}
	if told := t.last(); told != nil {
		req.Told = true
		if told.Error != nil {
			req.TellError = told.Error.Error()
		}
	}
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
