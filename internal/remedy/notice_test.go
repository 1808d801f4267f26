package remedy

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/sandbox"
)

const topicARN = "arn:aws:sns:eu-west-1:111122223333:AutomationApprovals"

// askTwo asks two people before it makes a tag; where they reject, another.
const askTwo = `
  - name: Ask
    action: aws:approve
    onFailure: step:Refused
    timeoutSeconds: 3600
    maxAttempts: 3
    inputs: {NotificationArn: '` + topicARN + `', Message: 'May {{ VolumeId }} be tagged?', Approvers: [alice, bob], MinRequiredApprovals: 2}
  - name: Note
    action: aws:createTags
    isEnd: true
    inputs: {ResourceIds: ['{{ VolumeId }}'], Tags: [{Key: asked, Value: 'yes'}]}
  - name: Refused
    action: aws:createTags
    inputs: {ResourceIds: ['{{ VolumeId }}'], Tags: [{Key: asked, Value: 'no'}]}
`

// topic makes the topic, and a queue that gets what is published.
func (e *estate) topic() (queue string) {
	e.t.Helper()
	e.do("sns", "CreateTopic", map[string]any{"Name": "AutomationApprovals"})
	queue = e.do("sqs", "CreateQueue", map[string]any{"QueueName": "approvals", "Attributes": map[string]any{
		"Policy": `{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}]}`}})["QueueUrl"].(string)
	e.do("sns", "Subscribe", map[string]any{"TopicArn": topicARN, "Protocol": "sqs", "Endpoint": "arn:aws:sqs:eu-west-1:111122223333:approvals"})
	return queue
}

// notices are what came to the queue.
func (e *estate) notices(queue string) (out []struct{ Subject, Message string }) {
	e.t.Helper()
	messages, _ := e.do("sqs", "ReceiveMessage", map[string]any{"QueueUrl": queue, "MaxNumberOfMessages": int64(10)})["Messages"].([]any)
	for _, m := range messages {
		var n struct{ Subject, Message string }
		if err := json.Unmarshal([]byte(m.(map[string]any)["Body"].(string)), &n); err != nil {
			e.t.Fatal(err)
		}
		out = append(out, n)
	}
	return out
}

func (e *estate) runAsked(log runbook.RunLog, plan *knowngood.Plan, caller awsapi.Caller, decisions ...knowngood.Approval) (runbook.EndResult, error) {
	x := e.executor(log)
	if caller != nil {
		x.Caller = caller
	}
	x.Decisions = func(context.Context, runbook.ApproveRequest) ([]knowngood.Approval, error) { return decisions, nil }
	return x.Run(e.t.Context(), plan, 0)
}

func (e *estate) published() (n int) {
	for _, c := range e.Calls() {
		if c.Service == "sns" && c.Operation == "Publish" {
			n++
		}
	}
	return n
}

func yes(by string) knowngood.Approval { return knowngood.Approval{By: by, Approved: true} }

// The topic is told once, when the run begins to wait.
func TestThoseWhoAreAskedAreTold(t *testing.T) {
	e := newEstate(t)
	queue := e.topic()
	plan := e.planOf(askTwo, e.attach("", nil))
	if got, want := stepsOf(plan.Parts[0]), "Ask Publish, Note CreateTags"; got != want || len(plan.Incomplete) > 0 || len(NeedsApproval(plan)) > 0 {
		t.Fatalf("planned %s, incomplete %v, needs %v; want %s", got, plan.Incomplete, NeedsApproval(plan), want)
	}
	if len(plan.Parts) != 2 || stepsOf(plan.Parts[1]) != "Refused CreateTags" || plan.Parts[1].When[0] != "Ask fails" {
		t.Errorf("parts %+v", plan.Parts[1:])
	}
	log := runbook.NewMemLog()
	for range 3 {
		end, err := e.runAsked(log, plan, nil, yes("alice"))
		if err != nil || end.State != knowngood.RunWaiting || end.Message != "step Ask waits for approval, 1 of 2 given" {
			t.Fatalf("%+v, %v", end, err)
		}
	}
	got := e.notices(queue)
	if len(got) != 1 || got[0].Subject != "Automation run-1 waits for an approval: Ask" || got[0].Message != `The automation run-1 waits at its step Ask until 2 of these approve: alice, bob.
After 1h0m0s without an answer the step has timed out.

May `+plan.Parameters["VolumeId"].(string)+` be tagged?

To answer: knowngood approve run-1, or with --reject
` {
		t.Errorf("told %+v", got)
	}
	if end, err := e.runAsked(log, plan, nil, yes("alice"), yes("bob")); err != nil || end.State != knowngood.RunSuccess {
		t.Errorf("%+v, %v", end, err)
	}
	if n := e.published(); n != 1 {
		t.Errorf("%d notices", n)
	}
}

// Nobody is asked what has been answered.
func TestAnApprovalThatIsThereTellsNobody(t *testing.T) {
	e := newEstate(t)
	e.topic()
	plan := e.planOf(askTwo, e.attach("", nil))
	if end, err := e.runAsked(runbook.NewMemLog(), plan, nil, yes("alice"), yes("bob")); err != nil || end.State != knowngood.RunSuccess || e.published() != 0 {
		t.Errorf("%+v, %v, %d notices", end, err, e.published())
	}
}

// A rejection ends the step, whatever was published before, and the document's way
// is in the plan.
func TestARejectionTakesThePlannedWay(t *testing.T) {
	e := newEstate(t)
	e.topic()
	plan := e.planOf(askTwo, e.attach("", nil))
	log := runbook.NewMemLog()
	if end, err := e.runAsked(log, plan, nil); err != nil || end.State != knowngood.RunWaiting {
		t.Fatalf("%+v, %v", end, err)
	}
	end, err := e.runAsked(log, plan, nil, knowngood.Approval{By: "bob"})
	volume := e.one("DescribeVolumes", "Volumes", map[string]any{"VolumeIds": []any{plan.Parameters["VolumeId"]}})
	if err != nil || !strings.Contains(string(mustJSON(t, volume["Tags"])), `"no"`) || e.published() != 1 {
		t.Errorf("%+v, %v, tags %v, %d notices", end, err, volume["Tags"], e.published())
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// lostNotice loses the answer to a notice: the topic has it, or not.
type lostNotice struct {
	awsapi.Caller
	sent bool
}

func (l lostNotice) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	if service != "sns" {
		return l.Caller.Call(ctx, service, operation, in, opts...)
	}
	if l.sent {
		if _, err := l.Caller.Call(ctx, service, operation, in, opts...); err != nil {
			return nil, err
		}
	}
	return nil, &awsapi.Error{Code: awsapi.CodeNoResponse, Message: "the connection broke", Retryable: true}
}

// A notice that fails, or of which nobody knows, keeps nobody from deciding, is
// shown, and is not repeated.
func TestANoticeThatFailsLosesNoApproval(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(e *estate) awsapi.Caller
		sent    int
		told    string
	}{
		{"no topic", func(e *estate) awsapi.Caller { return nil }, 1, "NotFound: Topic does not exist"},
		{"denied", func(e *estate) awsapi.Caller {
			e.topic()
			e.Inject(sandbox.Fault{Service: "sns", Operation: "Publish", Count: 9, Error: &awsapi.Error{Code: "AuthorizationError", Status: 403, Message: "not you"}})
			return nil
		}, 1, "AuthorizationError: not you"},
		{"lost before it was sent", func(e *estate) awsapi.Caller { e.topic(); return lostNotice{directly{e}, false} }, 0, "OutcomeUnknown: nobody knows whether it was published"},
		{"lost after it was sent", func(e *estate) awsapi.Caller { e.topic(); return lostNotice{directly{e}, true} }, 1, "OutcomeUnknown: nobody knows whether it was published"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEstate(t)
			caller := c.prepare(e)
			plan := e.planOf(askTwo, e.attach("", nil))
			log := runbook.NewMemLog()
			for range 2 {
				end, err := e.runAsked(log, plan, caller)
				if want := "step Ask waits for approval, 0 of 2 given; " + topicARN + " was not told: " + c.told; err != nil || end.State != knowngood.RunWaiting || !strings.HasPrefix(end.Message, want) {
					t.Fatalf("%+v, %v; want %s", end, err, want)
				}
			}
			if end, err := e.runAsked(log, plan, caller, yes("alice"), yes("bob")); err != nil || end.State != knowngood.RunSuccess || e.published() != c.sent {
				t.Errorf("%+v, %v, published %d times", end, err, e.published())
			}
		})
	}
}

// A process that ended between the intent and its outcome has told, or not: it is
// not told again.
func TestANoticeIsNotRepeatedAfterACrash(t *testing.T) {
	e := newEstate(t)
	e.topic()
	plan := e.planOf(askTwo, e.attach("", nil))
	whole := runbook.NewMemLog()
	if _, err := e.runAsked(whole, plan, nil); err != nil {
		t.Fatal(err)
	}
	entries, err := whole.Entries(t.Context(), plan.RunID)
	if err != nil {
		t.Fatal(err)
	}
	log := runbook.NewMemLog()
	for _, entry := range entries {
		if entry.Kind == knowngood.EntryOutcome {
			break
		}
		log.Add(entry)
	}
	end, err := e.runAsked(log, plan, nil)
	if err != nil || end.State != knowngood.RunWaiting || !strings.Contains(end.Message, "nobody knows whether it was published") || e.published() != 1 {
		t.Errorf("%+v, %v, published %d times", end, err, e.published())
	}
}

// A plan that was made before topics were told is carried out as it is.
func TestAPlanWithoutTheNoticeTellsNobody(t *testing.T) {
	e := newEstate(t)
	e.topic()
	plan := e.planOf(askTwo, e.attach("", nil))
	plan.Parts[0].Calls = plan.Parts[0].Calls[1:]
	log := runbook.NewMemLog()
	if end, err := e.runAsked(log, plan, nil); err != nil || end.State != knowngood.RunWaiting {
		t.Errorf("%+v, %v", end, err)
	}
	if end, err := e.runAsked(log, plan, nil, yes("alice"), yes("bob")); err != nil || end.State != knowngood.RunSuccess || e.published() != 0 {
		t.Errorf("%+v, %v, published %d times", end, err, e.published())
	}
}
