package remedy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/sandbox"
)

// scriptFunc is a script in Go. The real ones are under test in internal/script.
type scriptFunc func(call func(operation string, in map[string]any, opts ...awsapi.CallOption) map[string]any, r runbook.ScriptRequest) any

type scriptError struct{ error }

// RunScript implements runbook.Scripts.
func (f scriptFunc) RunScript(ctx context.Context, r runbook.ScriptRequest) (result runbook.ScriptResult, err error) {
	defer func() {
		if failed, ok := recover().(scriptError); ok {
			result = runbook.ScriptResult{Error: &runbook.CallError{Code: "ClientError", Message: failed.Error()}}
		}
	}()
	result.Payload = f(func(operation string, in map[string]any, opts ...awsapi.CallOption) map[string]any {
		service, name, _ := strings.Cut(operation, ":")
		out, err := r.Caller.Call(ctx, service, name, in, opts...)
		if err != nil {
			panic(scriptError{err})
		}
		return out
	}, r)
	return result, nil
}

const oneScript = `schemaVersion: '0.3'
parameters:
  VolumeId: {type: String}
mainSteps:
  - name: Work
    action: aws:executeScript
    inputs: {Runtime: python3.11, Handler: f, Script: 'def f(e, c): pass', InputPayload: {id: '{{ VolumeId }}'}}
    outputs: [{Name: Id, Selector: $.Payload.Id, Type: String}]
`

func (e *estate) planScript(f scriptFunc, volume string, sensitive ...string) (*knowngood.Plan, error) {
	e.t.Helper()
	d, err := runbook.Parse("test.yaml", []byte(oneScript))
	if err != nil {
		e.t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(oneScript))
	p := &Planner{Catalog: e.catalog, Operations: operations(e.t), Scripts: f, Read: func(ctx context.Context, op *awsapi.Operation, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
		return e.Call(ctx, sandbox.Request{Service: op.Service.Name, Operation: op.Name, Region: awsapi.Options(opts...).Region, AccessKeyID: sandbox.OperatorKey, Input: in})
	}}
	return p.Plan(e.t.Context(), PlanRequest{
		RunID: "run-1", Created: e.clock.Now(), Document: d, Ref: knowngood.DocumentRef{Name: "test", SHA256: hex.EncodeToString(sum[:]), Content: oneScript},
		Parameters: knowngood.Params{"VolumeId": volume}, Place: knowngood.Place{Partition: "aws", Account: e.Account(), Region: e.Region()},
		Resource: knowngood.ResourceKey{Account: e.Account(), Region: e.Region(), ID: volume},
		Entry:    Entry{SensitiveReads: sensitive},
	})
}

func (e *estate) applyScript(plan *knowngood.Plan, f scriptFunc) runbook.EndResult {
	e.t.Helper()
	x := e.executor(runbook.NewMemLog())
	x.Effects.Scripts = f
	end, err := x.Run(e.t.Context(), plan, 0)
	if err != nil {
		e.t.Fatal(err)
	}
	return end
}

func tags(key string, ids ...any) map[string]any {
	return map[string]any{"Resources": ids, "Tags": []any{map[string]any{"Key": key, "Value": "v"}}}
}

// A script's writes are in the plan in their order, the same one twice if it is
// made twice, and each that is made must be the one whose turn it is.
func TestAScriptsWritesArePlannedInOrder(t *testing.T) {
	e := newEstate(t)
	v := e.attach("", nil)
	script := scriptFunc(func(call func(string, map[string]any, ...awsapi.CallOption) map[string]any, r runbook.ScriptRequest) any {
		id := r.Payload.(map[string]any)["id"]
		call("ec2:DescribeVolumes", map[string]any{"VolumeIds": []any{id}})
		call("ec2:CreateTags", tags("a", id))
		call("ec2:CreateTags", tags("b", id))
		call("ec2:CreateTags", tags("a", id))
		s := call("ec2:CreateSnapshot", map[string]any{"VolumeId": id, "Description": r.Time.Format(time.RFC3339)})["SnapshotId"]
		call("ec2:CreateTags", tags("of", s))
		return map[string]any{"Id": s}
	})
	before := len(e.Calls())
	plan, err := e.planScript(script, v)
	if err != nil {
		t.Fatal(err)
	}
	want := "Work CreateTags, Work CreateTags, Work CreateTags, Work CreateSnapshot, Work CreateTags"
	if got := stepsOf(plan.Parts[0]); got != want || len(plan.Incomplete) > 0 {
		t.Fatalf("planned %s (incomplete: %v), wanted %s", got, plan.Incomplete, want)
	}
	for _, c := range e.Calls()[before:] {
		if op, _ := e.catalog.Operation(c.Service, c.Operation); op.Class() == awsapi.Write {
			t.Errorf("planning made %s:%s", c.Service, c.Operation)
		}
	}
	last := plan.Parts[0].Calls[len(plan.Parts[0].Calls)-1]
	if got := text(last.Input.(map[string]any)["Resources"]); got != `[{"$ref":{"from":"w4","path":"SnapshotId"}}]` {
		t.Errorf("the last call's resources are %s", got)
	}
	if end := e.applyScript(plan, script); end.State != knowngood.RunSuccess {
		t.Fatalf("%+v", end)
	}
	snapshot := e.one("DescribeSnapshots", "Snapshots", map[string]any{"OwnerIds": []any{"self"}})
	if snapshot["Description"] != "2026-11-24T08:01:00Z" || !strings.Contains(text(snapshot["Tags"]), `{"Key":"of","Value":"v"}`) {
		t.Errorf("%v", snapshot)
	}
}

// A script that does otherwise in the run than it did in the plan is stopped at
// the first write that the plan does not have.
func TestAScriptIsHeldToItsPlan(t *testing.T) {
	e := newEstate(t)
	v := e.attach("", nil)
	made := func(keys ...string) scriptFunc {
		return func(call func(string, map[string]any, ...awsapi.CallOption) map[string]any, r runbook.ScriptRequest) any {
			for _, k := range keys {
				call("ec2:CreateTags", tags(k, r.Payload.(map[string]any)["id"]))
			}
			return map[string]any{"Id": "x"}
		}
	}
	plan, err := e.planScript(made("a", "b"), v)
	if err != nil {
		t.Fatal(err)
	}
	for name, keys := range map[string][]string{"another": {"a", "c"}, "out of order": {"b", "a"}, "one more": {"a", "b", "c"}} {
		if end := e.applyScript(plan, made(keys...)); end.State == knowngood.RunSuccess || !strings.Contains(end.Message, "plan drift at Work") {
			t.Errorf("%s: %+v", name, end)
		}
	}
	elsewhere := scriptFunc(func(call func(string, map[string]any, ...awsapi.CallOption) map[string]any, r runbook.ScriptRequest) any {
		return call("ec2:CreateTags", tags("a", r.Payload.(map[string]any)["id"]), awsapi.Region("us-east-1"))
	})
	if end := e.applyScript(plan, elsewhere); end.State == knowngood.RunSuccess || !strings.Contains(end.Message, "it goes to 111122223333/us-east-1, planned was 111122223333/eu-west-1") {
		t.Errorf("another Region: %+v", end)
	}
	for _, tag := range e.one("DescribeVolumes", "Volumes", map[string]any{"VolumeIds": []any{v}})["Tags"].([]any) {
		if tag.(map[string]any)["Key"] == "c" {
			t.Error("a write that was not planned was made")
		}
	}
}

func TestWhatAScriptMayNotDoOrCantBePlanned(t *testing.T) {
	e := newEstate(t)
	v := e.attach("", nil)
	type caller = func(string, map[string]any, ...awsapi.CallOption) map[string]any
	if _, err := e.planScript(func(call caller, _ runbook.ScriptRequest) any {
		return call("secretsmanager:GetSecretValue", map[string]any{"SecretId": "s"})
	}, v); knowngood.KindOf(err) != knowngood.Refused || !strings.Contains(err.Error(), "the sensitive read secretsmanager:GetSecretValue") {
		t.Errorf("a secret: %v", err)
	}
	if _, err := e.planScript(func(call caller, _ runbook.ScriptRequest) any {
		return call("iam:CreateLoginProfile", map[string]any{"UserName": "u", "Password": "p"})
	}, v); knowngood.KindOf(err) != knowngood.Refused || !strings.Contains(err.Error(), "Password of iam:CreateLoginProfile") {
		t.Errorf("a password: %v", err)
	}
	// An error of a live read is the script's, and the plan says that it can't go on.
	if _, err := e.planScript(func(call caller, _ runbook.ScriptRequest) any {
		return call("ec2:DescribeVolumes", map[string]any{"VolumeIds": []any{"vol-0123456789abcdef0"}})
	}, v); knowngood.KindOf(err) != knowngood.Refused || !strings.Contains(err.Error(), "InvalidVolume.NotFound") {
		t.Errorf("a failure: %v", err)
	}
	for want, f := range map[string]scriptFunc{
		"what the script Work reads of what the plan writes is known only when it is run": func(call caller, r runbook.ScriptRequest) any {
			s := call("ec2:CreateSnapshot", map[string]any{"VolumeId": v})["SnapshotId"]
			found := call("ec2:DescribeSnapshots", map[string]any{"SnapshotIds": []any{s}})["Snapshots"].([]any)[0].(map[string]any)
			if found["State"] != "completed" || found["SnapshotId"] != s || !r.Dry {
				t.Errorf("a planned snapshot is read as %v", found)
			}
			return map[string]any{"Id": s}
		},
		"what the script Work does is not planned: it fails while its writes are only planned: ClientError: no such member": func(call caller, _ runbook.ScriptRequest) any {
			call("ec2:CreateTags", tags("a", v))
			panic(scriptError{errors.New("no such member")})
		},
	} {
		plan, err := e.planScript(f, v)
		if err != nil || len(plan.Incomplete) != 1 || plan.Incomplete[0] != want {
			t.Errorf("%v %+v, wanted %s", err, plan, want)
		}
	}
}
