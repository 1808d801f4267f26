package remedy

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/sandbox"
)

func (e *estate) executor(log runbook.RunLog) *Executor {
	e.t.Helper()
	table := operations(e.t)
	return &Executor{Catalog: e.catalog, Operations: table, Caller: directly{e}, Log: log, Clock: e.clock, Effects: runbook.Effects{Scripts: e.scripts},
		Settler: &Settler{Catalog: e.catalog, Operations: table, Clock: e.clock, Consistency: 30 * time.Second, Poll: 5 * time.Second}}
}

func (e *estate) one(operation, list string, in map[string]any) map[string]any {
	e.t.Helper()
	out := e.do("ec2", operation, in)[list].([]any)
	if len(out) != 1 {
		e.t.Fatalf("%s: %d results", operation, len(out))
	}
	return out[0].(map[string]any)
}

// at gives the volume that is attached to an instance at a device, or nil.
func (e *estate) at(instanceID, device string) map[string]any {
	for _, v := range e.do("ec2", "DescribeVolumes", nil)["Volumes"].([]any) {
		for _, a := range v.(map[string]any)["Attachments"].([]any) {
			if a := a.(map[string]any); a["InstanceId"] == instanceID && a["Device"] == device && a["State"] == "attached" {
				return v.(map[string]any)
			}
		}
	}
	return nil
}

func (e *estate) state(instanceID string) any {
	r := e.one("DescribeInstances", "Reservations", map[string]any{"InstanceIds": []any{instanceID}})
	return r["Instances"].([]any)[0].(map[string]any)["State"].(map[string]any)["Name"]
}

func owned() map[string]any {
	return map[string]any{"TagSpecifications": []any{map[string]any{"ResourceType": "volume", "Tags": []any{map[string]any{"Key": "Owner", "Value": "billing"}}}}}
}

func TestARunEncryptsTheVolumeInPlace(t *testing.T) {
	e := newEstate(t)
	i, v := e.volumeOn(nil, owned())
	e.do("ec2", "ModifyInstanceAttribute", map[string]any{"InstanceId": i, "BlockDeviceMappings": []any{map[string]any{"DeviceName": "/dev/sdf", "Ebs": map[string]any{"DeleteOnTermination": true}}}})
	plan, err := e.plan("AWS-EncryptEBSVolume", knowngood.Params{"VolumeId": v}, v)
	if err != nil {
		t.Fatal(err)
	}
	before := len(e.Calls())
	log := runbook.NewMemLog()
	end, err := e.executor(log).Run(t.Context(), plan, 0)
	if err != nil {
		t.Fatal(err)
	}
	if end.State != knowngood.RunSuccess {
		t.Fatalf("%+v", end)
	}
	e.clock.Advance(time.Minute)
	now := e.at(i, "/dev/sdf")
	if now == nil || now["VolumeId"] == v || now["Encrypted"] != true || now["Size"] != int64(500) || now["VolumeType"] != "gp3" || e.state(i) != "running" {
		t.Fatalf("at the device is %v, the instance is %v", now, e.state(i))
	}
	if a := now["Attachments"].([]any)[0].(map[string]any); a["DeleteOnTermination"] != true {
		t.Error("DeleteOnTermination was not restored")
	}
	if !equal(now["Tags"], []any{map[string]any{"Key": "Owner", "Value": "billing"}}) {
		t.Errorf("tags %v", now["Tags"])
	}
	if s := e.do("ec2", "DescribeSnapshots", nil)["Snapshots"].([]any); len(s) != 0 {
		t.Errorf("%d snapshots are left", len(s))
	}
	old := e.one("DescribeVolumes", "Volumes", map[string]any{"VolumeIds": []any{v}})
	tags := map[any]any{}
	for _, tag := range old["Tags"].([]any) {
		tags[tag.(map[string]any)["Key"]] = tag.(map[string]any)["Value"]
	}
	if tags["knowngood:replaced-by"] != now["VolumeId"] || tags["knowngood:replaced-on"] != "2026-11-24" {
		t.Errorf("the old volume's tags are %v", tags)
	}
	// Every write was planned, each was made once, and none was left out.
	var planned, made []string
	for _, c := range plan.Parts[0].Calls {
		if c.Class == knowngood.Write {
			planned = append(planned, c.Service+":"+c.Operation)
		}
	}
	for _, c := range e.Calls()[before:] {
		if op, _ := e.catalog.Operation(c.Service, c.Operation); op.Class() == awsapi.Write {
			made = append(made, c.Service+":"+c.Operation)
		}
	}
	if fmt.Sprint(made) != fmt.Sprint(planned) {
		t.Errorf("made %v, planned %v", made, planned)
	}
	// What the instance wrote until the stop is on the new volume.
	if was := e.VolumeWrites(v); e.VolumeWrites(now["VolumeId"].(string)) < was || was == 0 {
		t.Errorf("the old volume held %d, the new one has %d", was, e.VolumeWrites(now["VolumeId"].(string)))
	}
}

// A failure at each step, before and after the call's effect, ends with the
// instance as it was or as intended, never stopped or half attached.
func TestAFailureAtEachStepLeavesNothingHalfDone(t *testing.T) {
	reference := newEstate(t)
	_, v := reference.volumeOn(nil, owned())
	plan, err := reference.plan("AWS-EncryptEBSVolume", knowngood.Params{"VolumeId": v}, v)
	if err != nil {
		t.Fatal(err)
	}
	denied := &awsapi.Error{Code: "UnauthorizedOperation", Status: 403, Message: "not today"}
	nth := map[string]int{}
	for _, c := range plan.Parts[0].Calls {
		if c.Class != knowngood.Write {
			continue
		}
		nth[c.Operation]++
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s after=%v", c.Step, after), func(t *testing.T) {
				// With one seed the estate is the same again, and so is the plan.
				e := newEstate(t)
				i, _ := e.volumeOn(nil, owned())
				e.Inject(sandbox.Fault{Service: c.Service, Operation: c.Operation, Nth: nth[c.Operation], AfterEffect: after, Error: denied})
				end, err := e.executor(runbook.NewMemLog()).Run(t.Context(), plan, 0)
				if err != nil {
					t.Fatal(err)
				}
				e.clock.Advance(10 * time.Minute)
				at := e.at(i, "/dev/sdf")
				if at == nil || e.state(i) != "running" {
					t.Fatalf("%s; at the device is %v, the instance is %v", end.Message, at, e.state(i))
				}
				switch intended := at["Encrypted"] == true; {
				case end.State == knowngood.RunSuccess && !intended:
					t.Errorf("success, and the volume at the device is the old one")
				case end.State != knowngood.RunSuccess && end.FailedStep != c.Step:
					t.Errorf("it failed in %s, the fault was in %s: %s", end.FailedStep, c.Step, end.Message)
				}
			})
		}
	}
}

// options notes how each write was to be sent.
type options struct {
	awsapi.Caller
	once map[string]bool
}

func (o options) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	o.once[service+":"+operation] = awsapi.Options(opts...).AtMostOnce
	return o.Caller.Call(ctx, service, operation, in, opts...)
}

// A client that repeats a call on its own must not repeat one that may have
// taken effect, unless a repeat does no harm.
func TestWhatMayNotBeRepeatedIsSentAtMostOnce(t *testing.T) {
	e := newEstate(t)
	_, v := e.volumeOn(nil, owned())
	plan, err := e.plan("AWS-EncryptEBSVolume", knowngood.Params{"VolumeId": v}, v)
	if err != nil {
		t.Fatal(err)
	}
	caller := options{directly{e}, map[string]bool{}}
	x := e.executor(runbook.NewMemLog())
	x.Caller = caller
	if _, err := x.Run(t.Context(), plan, 0); err != nil {
		t.Fatal(err)
	}
	for operation, want := range map[string]bool{
		"ec2:CreateSnapshot": true, "ec2:CopySnapshot": true, "ec2:DetachVolume": true, "ec2:AttachVolume": true,
		"ec2:CreateVolume": false, "ec2:StopInstances": false, "ec2:DeleteSnapshot": false, "ec2:DescribeVolumes": false,
	} {
		if got, called := caller.once[operation]; !called || got != want {
			t.Errorf("%s: called %v, at most once %v, want %v", operation, called, got, want)
		}
	}
}

func TestDriftBeforeTheFirstWriteStopsTheRun(t *testing.T) {
	e := newEstate(t)
	i, v := e.volumeOn(nil, owned())
	plan, err := e.plan("AWS-EncryptEBSVolume", knowngood.Params{"VolumeId": v}, v)
	if err != nil {
		t.Fatal(err)
	}
	e.do("ec2", "StopInstances", map[string]any{"InstanceIds": []any{i}})
	e.clock.Advance(time.Minute)
	before := len(e.Calls())
	_, err = e.executor(runbook.NewMemLog()).Run(t.Context(), plan, 0)
	if knowngood.KindOf(err) != knowngood.Refused {
		t.Errorf("%v", err)
	}
	for _, c := range e.Calls()[before:] {
		if op, _ := e.catalog.Operation(c.Service, c.Operation); op.Class() == awsapi.Write {
			t.Errorf("%s:%s was made", c.Service, c.Operation)
		}
	}
}
