package remedy

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/runbook"
)

// fakeWebhooks is what is sent, and what is answered to it.
type fakeWebhooks struct {
	sent []string
	lost bool
	code int
}

// FindWebhook implements runbook.Webhooks.
func (f *fakeWebhooks) FindWebhook(_ context.Context, r runbook.WebhookRequest) (runbook.InvokeWebhook, error) {
	return func(context.Context) (runbook.WebhookResponse, error) {
		f.sent = append(f.sent, r.IntegrationName+": "+r.Body)
		if f.lost {
			return runbook.WebhookResponse{}, errors.New("the connection broke")
		}
		return runbook.WebhookResponse{Code: f.code, Body: "ticket 7"}, nil
	}, nil
}

func (e *estate) integration(name string) {
	e.t.Helper()
	e.do("ssm", "PutParameter", map[string]any{"Name": runbook.WebhookParameter(name), "Type": "SecureString", "DataType": "aws:ssm:integration",
		"Value": `{"url": "https://chat.example.com/hooks/T0P53CR3T"}`, "Overwrite": true})
}

// told makes a snapshot, tells a webhook of it, and writes the answer on it.
const told = createSnapshot + `
  - name: Tell
    action: aws:invokeWebhook
    inputs: {IntegrationName: chat, Body: 'made {{ CreateSnapshot.SnapshotId }} of {{ VolumeId }}'}
  - name: Note
    action: aws:createTags
    inputs: {ResourceIds: ['{{ CreateSnapshot.SnapshotId }}'], Tags: [{Key: told, Value: 'as {{ Tell.Response }}'}]}
`

func (e *estate) runTold(log runbook.RunLog, plan *knowngood.Plan, f *fakeWebhooks) (runbook.EndResult, error) {
	x := e.executor(log)
	x.Effects.Webhooks = f
	return x.Run(e.t.Context(), plan, 0)
}

// A webhook is a call of the plan, its body bound to what is made before it, and
// its answer goes into what is made after it.
func TestAWebhookIsPlannedAndInvokedOnce(t *testing.T) {
	e := newEstate(t)
	e.integration("chat")
	plan := e.planOf(told, e.attach("", nil))
	if got, want := stepsOf(plan.Parts[0]), "CreateSnapshot CreateSnapshot, Tell Invoke, Note CreateTags"; got != want || len(plan.Incomplete) > 0 {
		t.Fatalf("planned %s, incomplete %v; want %s", got, plan.Incomplete, want)
	}
	if plan.Risk.Effect != knowngood.Irreversible || !slices.Contains(plan.Risk.Reasons, "irreversible: aws:invokeWebhook in Tell") || !slices.Contains(plan.Actions, "ssm:GetParameter") {
		t.Errorf("%+v, %v", plan.Risk, plan.Actions)
	}
	if raw, err := EncodePlan(plan); err != nil || strings.Contains(string(raw), "T0P53CR3T") {
		t.Errorf("a secret is in the plan; %v", err)
	}
	f := &fakeWebhooks{code: 201}
	end, err := e.runTold(runbook.NewMemLog(), plan, f)
	if err != nil || end.State != knowngood.RunSuccess {
		t.Fatalf("%+v, %v", end, err)
	}
	snapshot := e.one("DescribeSnapshots", "Snapshots", map[string]any{"OwnerIds": []any{"self"}})
	if want := "chat: made " + snapshot["SnapshotId"].(string) + " of " + plan.Parameters["VolumeId"].(string); len(f.sent) != 1 || f.sent[0] != want {
		t.Errorf("sent %q, want %q", f.sent, want)
	}
	if !slices.ContainsFunc(snapshot["Tags"].([]any), func(v any) bool {
		tag := v.(map[string]any)
		return tag["Key"] == "told" && tag["Value"] == "as ticket 7"
	}) {
		t.Errorf("tags %v", snapshot["Tags"])
	}
}

// What became of a webhook whose answer was lost is asked of a person; it is not
// invoked again.
func TestAWebhookWhoseAnswerIsLostIsSettledByAPerson(t *testing.T) {
	for _, done := range []bool{true, false} {
		e := newEstate(t)
		e.integration("chat")
		plan := e.planOf(told, e.attach("", nil))
		f, log := &fakeWebhooks{lost: true, code: 200}, runbook.NewMemLog()
		for range 2 {
			end, err := e.runTold(log, plan, f)
			if err != nil || end.State != knowngood.RunOutcomeUnknown || len(f.sent) != 1 {
				t.Fatalf("%+v, %v, sent %q", end, err, f.sent)
			}
		}
		d, err := runbook.Parse(plan.Document.Name, []byte(plan.Document.Content))
		if err != nil {
			t.Fatal(err)
		}
		entries, err := log.Entries(t.Context(), plan.RunID)
		if err != nil {
			t.Fatal(err)
		}
		var response map[string]any
		if done {
			response = map[string]any{"Response": "ticket 7", "ResponseCode": int64(200)}
		}
		settled, err := d.Decide(entries, done, response, "the channel shows it", e.clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		log.Add(settled)
		want := knowngood.RunFailed
		if done {
			want = knowngood.RunSuccess
		}
		end, err := e.runTold(log, plan, f)
		if err != nil || end.State != want || len(f.sent) != 1 {
			t.Errorf("done %v: %+v, %v, sent %q", done, end, err, f.sent)
		}
	}
}

// Only what was planned is sent, and only to where it was planned to go.
func TestAWebhookIsHeldToItsPlan(t *testing.T) {
	e := newEstate(t)
	e.integration("chat")
	plan := e.planOf(told, e.attach("", nil))
	for i, c := range plan.Parts[0].Calls {
		if c.Step == "Tell" && c.Class == knowngood.Write {
			plan.Parts[0].Calls[i].Input = map[string]any{"IntegrationName": "chat", "Body": "another"}
		}
	}
	f := &fakeWebhooks{code: 200}
	end, err := e.runTold(runbook.NewMemLog(), plan, f)
	if err != nil || end.State != knowngood.RunFailed || !strings.Contains(end.Message, "plan drift at Tell: aws:invokeWebhook:Invoke is not the call that was planned") || len(f.sent) != 0 {
		t.Errorf("%+v, %v, sent %q", end, err, f.sent)
	}

	plan = e.planOf(told, e.attach("", nil))
	e.integration("chat") // it leads elsewhere now, as far as anybody knows
	if _, err := e.runTold(runbook.NewMemLog(), plan, f); knowngood.KindOf(err) != knowngood.Refused || !strings.Contains(err.Error(), "$.Parameter.Version of ssm:GetParameter in the step Tell was 1 when the plan was made, and is 2") {
		t.Errorf("%v", err)
	}
}

// A plan with a webhook that is not there is not made.
func TestAWebhookThatIsNotThereIsToldWhenItIsPlanned(t *testing.T) {
	e := newEstate(t)
	_, err := e.tryPlan(told, e.attach("", nil))
	if knowngood.KindOf(err) != knowngood.Refused || !strings.Contains(err.Error(), "there is no integration chat that can be read") {
		t.Errorf("%v", err)
	}
}
