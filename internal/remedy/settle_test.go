package remedy

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/sandbox"
)

// directly calls the sandbox without a wire.
type directly struct{ *estate }

func (d directly) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	return d.Sandbox.Call(ctx, sandbox.Request{Service: service, Operation: operation, AccessKeyID: sandbox.OperatorKey, Input: in})
}

func TestSettlement(t *testing.T) {
	e := newEstate(t)
	i, v := e.volumeOn(nil, nil)
	s := &Settler{Catalog: e.catalog, Operations: operations(t), Clock: e.clock, Consistency: 30 * time.Second, Poll: 5 * time.Second}
	prepared := func(step, operation string, in map[string]any) runbook.IntentBody {
		t.Helper()
		call, err := s.Prepare("run-1", step, 1, runbook.CallRequest{Service: "ec2", Operation: operation, Input: in})
		if err != nil {
			t.Fatal(err)
		}
		return runbook.IntentBody{Service: "ec2", Operation: operation, Region: e.Region(), Input: call.Input}
	}
	settle := func(intent runbook.IntentBody) runbook.Settlement {
		t.Helper()
		got, err := s.Settle(t.Context(), directly{e}, "run-1", intent)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}

	// Reads are stale for 10 s: the effect shows only later, and is found.
	e.SetStale(10 * time.Second)
	snapshot := prepared("CreateSnapshot", "CreateSnapshot", map[string]any{"VolumeId": v})
	id := e.do("ec2", "CreateSnapshot", snapshot.Input)["SnapshotId"]
	if got := settle(snapshot); !got.Known || got.Response["SnapshotId"] != id {
		t.Errorf("a snapshot that was made: %+v, want %v", got, id)
	}
	// Another step's snapshot of the same volume is not taken for this one.
	if got := settle(prepared("WarmUpSnapshot", "CreateSnapshot", map[string]any{"VolumeId": v})); got.Known || !got.Repeat {
		t.Errorf("a snapshot that was not made: %+v", got)
	}

	e.do("ec2", "StopInstances", map[string]any{"InstanceIds": []any{i}})
	e.clock.Advance(time.Minute)
	detach := prepared("DetachOld", "DetachVolume", map[string]any{"VolumeId": v, "InstanceId": i, "Device": "/dev/sdf"})
	if got := settle(detach); got.Known || !got.Repeat {
		t.Errorf("a detachment that was not made: %+v", got)
	}
	e.do("ec2", "DetachVolume", detach.Input)
	if got := settle(detach); !got.Known {
		t.Errorf("a detachment that was made: %+v", got)
	}
	e.clock.Advance(time.Minute)
	attach := prepared("AttachNew", "AttachVolume", map[string]any{"VolumeId": v, "InstanceId": i, "Device": "/dev/sdf"})
	if got := settle(attach); got.Known || !got.Repeat {
		t.Errorf("an attachment that was not made: %+v", got)
	}
	e.do("ec2", "AttachVolume", attach.Input)
	if got := settle(attach); !got.Known || got.Response["InstanceId"] != i {
		t.Errorf("an attachment that was made: %+v", got)
	}

	if got := settle(prepared("CreateGp3Volume", "CreateVolume", map[string]any{"AvailabilityZone": "eu-west-1a"})); !got.Repeat {
		t.Errorf("a volume with a client token: %+v", got)
	}
	function := runbook.IntentBody{Service: "lambda", Operation: "Invoke", Region: e.Region(), Input: map[string]any{"FunctionName": "f"}}
	if got := settle(function); got.Repeat || got.Known || !strings.Contains(got.Reason, "nothing shows") {
		t.Errorf("a function that may have run: %+v", got)
	}
	if got := settle(prepared("X", "CreateVpc", map[string]any{})); got.Repeat || got.Known || got.Reason == "" {
		t.Errorf("an operation without an entry: %+v", got)
	}

	// A deletion of what is gone is done; of what is in use it is not.
	deletion := runbook.CallRequest{Service: "ec2", Operation: "DeleteSnapshot"}
	if how := s.IsThere(deletion, &runbook.CallError{Code: "InvalidSnapshot.NotFound"}); how == "" {
		t.Error("a snapshot that is gone is not taken for deleted")
	}
	if how := s.IsThere(deletion, &runbook.CallError{Code: "InvalidSnapshot.InUse"}); how != "" {
		t.Errorf("a snapshot in use: %s", how)
	}
}

// The state that a write was to bring counts as its effect only if it is of the
// write's own input.
func TestAnothersEffectIsNotTakenForTheWrites(t *testing.T) {
	attachment := func(instance, device, state string) map[string]any {
		return map[string]any{"Volumes": []any{map[string]any{"Attachments": []any{map[string]any{"InstanceId": instance, "Device": device, "State": state}}}}}
	}
	members := func(group string, states ...string) map[string]any {
		list := []any{}
		for _, s := range states {
			list = append(list, map[string]any{"AutoScalingGroupName": group, "LifecycleState": s})
		}
		return map[string]any{"AutoScalingInstances": list}
	}
	volume := map[string]any{"VolumeId": "vol-1", "InstanceId": "i-1", "Device": "/dev/sdf"}
	standby := map[string]any{"AutoScalingGroupName": "web", "InstanceIds": []any{"i-1", "i-2"}}
	for _, c := range []struct {
		name, operation string
		input, output   map[string]any
		want            bool
	}{
		{"attached", "ec2:AttachVolume", volume, attachment("i-1", "/dev/sdf", "attached"), true},
		{"being attached", "ec2:AttachVolume", volume, attachment("i-1", "/dev/sdf", "attaching"), true},
		{"attached to another", "ec2:AttachVolume", volume, attachment("i-2", "/dev/sdf", "attached"), false},
		{"attached elsewhere", "ec2:AttachVolume", volume, attachment("i-1", "/dev/sdg", "attached"), false},
		{"being detached", "ec2:AttachVolume", volume, attachment("i-1", "/dev/sdf", "detaching"), false},
		{"not attached", "ec2:AttachVolume", volume, map[string]any{"Volumes": []any{map[string]any{"Attachments": []any{}}}}, false},
		{"detached", "ec2:DetachVolume", volume, map[string]any{"Volumes": []any{map[string]any{"Attachments": []any{}}}}, true},
		{"detached, without a list", "ec2:DetachVolume", volume, map[string]any{"Volumes": []any{map[string]any{"State": "available"}}}, true},
		{"on its way", "ec2:DetachVolume", volume, attachment("i-1", "/dev/sdf", "detaching"), true},
		{"attached to another since", "ec2:DetachVolume", volume, attachment("i-2", "/dev/sdf", "attached"), true},
		{"still attached", "ec2:DetachVolume", volume, attachment("i-1", "/dev/sdf", "attached"), false},
		{"still attached, whoever has it", "ec2:DetachVolume", map[string]any{"VolumeId": "vol-1"}, attachment("i-2", "/dev/sdf", "attached"), false},
		{"no volume", "ec2:DetachVolume", volume, map[string]any{"Volumes": []any{}}, false},
		{"in standby", "autoscaling:EnterStandby", standby, members("web", "Standby", "EnteringStandby"), true},
		{"one of two in standby", "autoscaling:EnterStandby", standby, members("web", "Standby", "InService"), false},
		{"one of two is known", "autoscaling:EnterStandby", standby, members("web", "Standby"), false},
		{"another group's", "autoscaling:EnterStandby", standby, members("api", "Standby", "Standby"), false},
		{"in service", "autoscaling:ExitStandby", standby, members("web", "Pending", "InService"), true},
		{"one of two in service", "autoscaling:ExitStandby", standby, members("web", "Standby", "InService"), false},
	} {
		t.Run(c.operation+" "+c.name, func(t *testing.T) {
			e := newEstate(t)
			s := &Settler{Catalog: e.catalog, Operations: operations(t), Clock: e.clock}
			service, operation, _ := strings.Cut(c.operation, ":")
			got, err := s.Settle(t.Context(), answers(c.output), "run-1", runbook.IntentBody{Service: service, Operation: operation, Region: e.Region(), Input: c.input})
			if err != nil || got.Known != c.want {
				t.Errorf("%+v, %v, want known %v", got, err, c.want)
			}
		})
	}
}

// answers answers every call alike.
type answers map[string]any

func (a answers) Call(context.Context, string, string, map[string]any, ...awsapi.CallOption) (map[string]any, error) {
	return a, nil
}
