package remedy

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
)

func TestWhatRunsOthersCodeCountsAsAWrite(t *testing.T) {
	e := newEstate(t)
	for name, want := range map[string]knowngood.CallClass{
		"lambda:Invoke": knowngood.Write, "rds-data:BatchExecuteStatement": knowngood.Write, "dynamodb:ExecuteTransaction": knowngood.Write, "sqs:ReceiveMessage": knowngood.Write,
		"bedrock-runtime:ConverseStream": knowngood.Write, "secretsmanager:GetSecretValue": knowngood.SensitiveRead, "kms:Decrypt": knowngood.SensitiveRead, "sts:AssumeRole": knowngood.SensitiveRead,
		"ssm:GetParameter": knowngood.Read, "ec2:DescribeVolumes": knowngood.Read, "ec2:DeleteVolume": knowngood.Write,
	} {
		service, operation, _ := strings.Cut(name, ":")
		op, err := e.catalog.Operation(service, operation)
		if err != nil {
			t.Fatal(err)
		}
		if got := classOf(op, nil); got != want {
			t.Errorf("%s counts as %s, want %s", name, got, want)
		}
	}
	op, err := e.catalog.Operation("ssm", "GetParameter")
	if err != nil {
		t.Fatal(err)
	}
	if got := classOf(op, map[string]any{"WithDecryption": true}); got != knowngood.SensitiveRead {
		t.Errorf("decrypted it counts as %s", got)
	}
}

// invokes answers invocations and notes their payloads.
func invokes(payloads *[]string) awsapi.Caller {
	return callerFunc(func(_ context.Context, service, operation string, in map[string]any) (map[string]any, error) {
		payload, _ := in["Payload"].([]byte)
		*payloads = append(*payloads, service+":"+operation+" "+string(payload))
		return map[string]any{"StatusCode": int64(200), "Payload": []byte(`{"id":"j-1"}`)}, nil
	})
}

// What a function is given is held to the plan, and an invocation is in the log
// before it is sent, as a write is.
func TestAnInvocationIsHeldToItsPlan(t *testing.T) {
	step := func(payload string) string {
		return `
  - name: Call
    action: aws:invokeLambdaFunction
    inputs: {FunctionName: fix, Payload: '` + payload + `'}
    outputs: [{Name: Id, Selector: $.Payload.id, Type: String}]
`
	}
	e := newEstate(t)
	plan := e.planOf(step(`{"do":"look"}`), "vol-1")
	var sent []string
	run := func(plan *knowngood.Plan) (runbook.EndResult, []knowngood.LogEntry) {
		t.Helper()
		log := runbook.NewMemLog()
		x := e.executor(log)
		x.Caller = invokes(&sent)
		end, err := x.Run(t.Context(), plan, 0)
		if err != nil {
			t.Fatal(err)
		}
		entries, err := log.Entries(t.Context(), plan.RunID)
		if err != nil {
			t.Fatal(err)
		}
		return end, entries
	}
	end, log := run(plan)
	if end.State != knowngood.RunSuccess || len(sent) != 1 || sent[0] != `lambda:Invoke {"do":"look"}` {
		t.Fatalf("%+v, sent %q", end, sent)
	}
	intents := 0
	for _, entry := range log {
		if entry.Kind == knowngood.EntryIntent && strings.Contains(string(entry.Body), `"callId":"w1"`) {
			intents++
		}
	}
	if intents != 1 {
		t.Errorf("%d intents of the planned call", intents)
	}
	sent = nil
	plan.Document = e.planOf(step(`{"do":"harm"}`), "vol-1").Document
	if end, _ := run(plan); end.State != knowngood.RunFailed || !strings.Contains(end.Message, "plan drift at Call") || len(sent) > 0 {
		t.Errorf("another payload: %+v, sent %q", end, sent)
	}
}

// What a call gives an invocation, and an invocation a call, is bound in the run,
// also in one that goes on after the process ended.
func TestAnInvocationIsPlannedWithWhatComesBeforeIt(t *testing.T) {
	e := newEstate(t)
	plan := e.planOf(createSnapshot+`
  - name: Call
    action: aws:invokeLambdaFunction
    inputs: {FunctionName: fix, Payload: '{"of":"{{ CreateSnapshot.SnapshotId }}"}'}
  - name: Wait
    action: aws:sleep
    inputs: {Duration: PT1H}
  - name: Again
    action: aws:invokeLambdaFunction
    inputs: {FunctionName: fix, Payload: '{{ Call.Payload }}'}
`, e.attach("", nil))
	var sent []string
	log := runbook.NewMemLog()
	x := e.executor(log)
	x.Caller = callerFunc(func(ctx context.Context, service, operation string, in map[string]any) (map[string]any, error) {
		if service == "lambda" {
			return invokes(&sent).Call(ctx, service, operation, in)
		}
		return directly{e}.Call(ctx, service, operation, in)
	})
	x.Patience = time.Minute
	if end, err := x.Run(t.Context(), plan, 0); err != nil || end.State != knowngood.RunWaiting {
		t.Fatalf("%+v, %v", end, err)
	}
	e.clock.Advance(2 * time.Hour)
	end, err := x.Run(t.Context(), plan, 0)
	snapshot := e.one("DescribeSnapshots", "Snapshots", map[string]any{"OwnerIds": []any{"self"}})["SnapshotId"].(string)
	want := []string{`lambda:Invoke {"of":"` + snapshot + `"}`, `lambda:Invoke {"id":"j-1"}`}
	if err != nil || end.State != knowngood.RunSuccess || !slices.Equal(sent, want) {
		t.Errorf("%+v, %v, sent %q, want %q", end, err, sent, want)
	}
}

// A sensitive read may be made as often as wanted, but only as it was planned.
func TestASensitiveReadIsHeldToItsPlan(t *testing.T) {
	step := func(name string) string {
		return `
  - name: Open
    action: aws:executeAwsApi
    inputs: {Service: ssm, Api: GetParameter, Name: ` + name + `, WithDecryption: true}
`
	}
	e := newEstate(t)
	for _, name := range []string{"mine", "other"} {
		e.do("ssm", "PutParameter", map[string]any{"Name": name, "Type": "SecureString", "Value": "x"})
	}
	plan := e.planOf(step("mine"), "vol-1", "ssm:GetParameter")
	if end := e.apply(plan); end.State != knowngood.RunSuccess {
		t.Fatalf("%+v", end)
	}
	plan.Document = e.planOf(step("other"), "vol-1", "ssm:GetParameter").Document
	if end := e.apply(plan); end.State != knowngood.RunFailed || !strings.Contains(end.Message, "plan drift at Open") {
		t.Errorf("another parameter: %+v", end)
	}
}

// While it is planned, a script invokes nothing; in its run only what was planned,
// and a sensitive read that was not planned stops it, whatever it makes of the
// error.
func TestAScriptsInvocationsAndSecretsAreHeldToItsPlan(t *testing.T) {
	e := newEstate(t)
	for _, name := range []string{"mine", "other"} {
		e.do("ssm", "PutParameter", map[string]any{"Name": name, "Type": "SecureString", "Value": "x"})
	}
	open := func(name string) scriptFunc {
		return func(call func(string, map[string]any, ...awsapi.CallOption) map[string]any, _ runbook.ScriptRequest) any {
			defer func() { _ = recover() }()
			call("ssm:GetParameter", map[string]any{"Name": name, "WithDecryption": true})
			return nil
		}
	}
	plan, err := e.planScript(open("mine"), "vol-1", "ssm:GetParameter")
	if err != nil {
		t.Fatal(err)
	}
	if end := e.applyScript(plan, open("mine")); end.State != knowngood.RunSuccess {
		t.Errorf("%+v", end)
	}
	if end := e.applyScript(plan, open("other")); end.State != knowngood.RunFailed || !strings.Contains(end.Message, "plan drift at Work") {
		t.Errorf("another parameter: %+v", end)
	}
	invoke := scriptFunc(func(call func(string, map[string]any, ...awsapi.CallOption) map[string]any, _ runbook.ScriptRequest) any {
		call("lambda:Invoke", map[string]any{"FunctionName": "fix", "Payload": []byte(`{}`)})
		return nil
	})
	if _, err := e.planScript(invoke, "vol-1"); knowngood.KindOf(err) != knowngood.Refused {
		t.Errorf("an invocation that no entry allows: %v", err)
	}
	before := len(e.Calls())
	plan, err = e.planScript(invoke, "vol-1", "lambda:Invoke")
	if err != nil || stepsOf(plan.Parts[0]) != "Work Invoke" || len(e.Calls()) != before {
		t.Errorf("planned %+v, %v, with %d calls", plan, err, len(e.Calls())-before)
	}
}
