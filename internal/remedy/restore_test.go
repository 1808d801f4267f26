package remedy

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/sandbox"
)

// settled says that an instance runs with a volume at its device, and which of
// the two it is.
func (l *loop) settled(instance, original string) (replaced bool) {
	l.t.Helper()
	l.SetStale(0)
	l.clock.Advance(10 * time.Minute)
	at := l.at(instance, "/dev/sdf")
	if at == nil || l.state(instance) != "running" {
		l.t.Fatalf("at the device is %v, the instance is %v", at, l.state(instance))
	}
	return at["VolumeId"] != original
}

func (l *loop) tidy() {
	l.t.Helper()
	if s := l.do("ec2", "DescribeSnapshots", nil)["Snapshots"].([]any); len(s) != 0 {
		l.t.Errorf("%d snapshots are left", len(s))
	}
}

// wrote follows what the instance writes to its volumes: a volume's counter when
// its snapshot was requested is where the copy's begins.
type wrote struct {
	*loop
	copied int64
	copy   string
}

func (w *wrote) follow(e knowngood.LogEntry, original string) {
	w.t.Helper()
	if e.Kind != knowngood.EntryOutcome || e.Step != "CreateSnapshot" && e.Step != "CreateGp3Volume" {
		return
	}
	body, err := runbook.Decode[runbook.OutcomeBody](e)
	if err != nil {
		w.t.Fatal(err)
	}
	if e.Step == "CreateSnapshot" {
		w.copied = w.VolumeWrites(original)
	} else {
		w.copy, _ = body.Response["VolumeId"].(string)
	}
}

// nothingLost says that the volume which is not at the device was not written to
// since the copy was made of it, or from it.
func (w *wrote) nothingLost(original string, replaced bool) {
	w.t.Helper()
	other := w.copy
	if replaced {
		other = original
	}
	if other == "" {
		return // there is no copy
	}
	if n := w.VolumeWrites(other); n != w.copied {
		w.t.Errorf("%d writes are lost with the volume that is not at the device", n-w.copied)
	}
}

// steps are those of the main part that the run goes through, from a step on.
func stepsFrom(t *testing.T, plan *knowngood.Plan, first string) []string {
	t.Helper()
	var out []string
	for _, c := range plan.Parts[0].Calls {
		if c.Step == first || len(out) > 0 {
			out = append(out, c.Step)
		}
	}
	if len(out) < 10 {
		t.Fatalf("%d steps from %s on", len(out), first)
	}
	return out
}

func TestACancelAtAnyStepEndsWithTheInstanceRunning(t *testing.T) {
	reference := newLoop(t)
	plan, _, _ := reference.attached()
	back := 0
	for _, step := range stepsFrom(t, plan, "StopInstance") {
		t.Run(step, func(t *testing.T) {
			l := newLoop(t)
			plan, f, instance := l.attached()
			asked := false
			w := &wrote{loop: l}
			l.OnEntry = func(p *knowngood.Plan, e knowngood.LogEntry) {
				w.follow(e, f.Resource.ID)
				// The step before has ended: the request comes while this one begins.
				if e.Step != step || asked {
					return
				}
				asked = true
				if err := l.store.RequestCancel(context.WithoutCancel(t.Context()), p.RunID, knowngood.LogEntry{Kind: knowngood.EntryCancel, Time: l.clock.Now()}); err != nil {
					t.Error(err)
				}
			}
			result, err := l.Apply(t.Context(), plan, approvalOf(plan), knowngood.Retry{})
			if err != nil {
				t.Fatal(err)
			}
			if !asked {
				t.Fatal("the step was not reached")
			}
			replaced := l.settled(instance, f.Resource.ID)
			w.nothingLost(f.Resource.ID, replaced)
			if !strings.HasPrefix(step, "Tidy") { // one that stops the tidying itself stops it
				l.tidy()
			}
			switch result.State {
			case knowngood.RunSuccess:
				if !replaced {
					t.Error("success, and the old volume is at the device")
				}
			case knowngood.RunCancelled:
				if !replaced {
					back++
				}
			default:
				t.Errorf("%+v", result)
			}
		})
	}
	if back < 8 {
		t.Errorf("only %d cancels brought the old volume back", back)
	}
}

// world answers calls as the account does, but for what a test changes.
type world struct {
	awsapi.Caller
	change func(step, operation string, out map[string]any)
}

func (w world) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	out, err := w.Caller.Call(ctx, service, operation, in, opts...)
	if err == nil {
		step, _ := ctx.Value(stepKey{}).(string)
		w.change(step, operation, out)
	}
	return out, err
}

func first(out map[string]any, list string) map[string]any {
	return out[list].([]any)[0].(map[string]any)
}

func TestAWaitThatTimesOutPutsTheOldVolumeBack(t *testing.T) {
	for step, never := range map[string]func(out map[string]any){
		"WaitForSnapshot":          func(out map[string]any) { first(out, "Snapshots")["State"] = "pending" },
		"WaitForEncryptedSnapshot": func(out map[string]any) { first(out, "Snapshots")["State"] = "error" },
		"WaitForVolume":            func(out map[string]any) { first(out, "Volumes")["State"] = "creating" },
		"WaitForAttach":            func(out map[string]any) { first(first(out, "Volumes"), "Attachments")["State"] = "attaching" },
	} {
		t.Run(step, func(t *testing.T) {
			l := newLoop(t)
			plan, f, instance := l.attached()
			l.As = func([]string, string, Narrowing) awsapi.Caller {
				return world{directly{l.estate}, func(at, _ string, out map[string]any) {
					if at == step {
						never(out)
					}
				}}
			}
			result, err := l.Apply(t.Context(), plan, approvalOf(plan), knowngood.Retry{})
			if err != nil {
				t.Fatal(err)
			}
			if result.State != knowngood.RunTimedOut && result.State != knowngood.RunFailed || !strings.Contains(result.Message, step) {
				t.Errorf("%+v", result)
			}
			if l.settled(instance, f.Resource.ID) {
				t.Error("the new volume is at the device")
			}
			l.tidy()
			if now := l.finding(f.ID); now.State != knowngood.FindingOpen {
				t.Errorf("%+v", now)
			}
		})
	}
}

// The volume grows between the check of the preconditions and the run's own read,
// so the volume to be made is not the planned one.
func TestDriftInMidRunPutsTheOldVolumeBack(t *testing.T) {
	l := newLoop(t)
	plan, f, instance := l.attached()
	l.As = func([]string, string, Narrowing) awsapi.Caller {
		return world{directly{l.estate}, func(step, _ string, out map[string]any) {
			if step == "DescribeVolume" {
				first(out, "Volumes")["Size"] = int64(501)
			}
		}}
	}
	result, err := l.Apply(t.Context(), plan, approvalOf(plan), knowngood.Retry{})
	if err != nil {
		t.Fatal(err)
	}
	if result.State != knowngood.RunFailed || !strings.Contains(result.Message, "CreateGp3Volume") || !strings.Contains(result.Message, "501") {
		t.Errorf("%+v", result)
	}
	if l.settled(instance, f.Resource.ID) {
		t.Error("the new volume is at the device")
	}
	l.tidy()
}

// Once the instance was told to start with the new volume, what it writes is there
// alone: whatever fails then, the new volume stays.
func TestAStartThatFailsGoesForward(t *testing.T) {
	refused := &awsapi.Error{Code: "InsufficientInstanceCapacity", Message: "no capacity", Status: 400, Service: "ec2", Operation: "StartInstances"}
	for _, c := range []struct {
		name    string
		refused int // how often the start is
		waits   bool
		state   knowngood.RunState
		running bool
	}{
		{"the start is refused twice", 2, false, knowngood.RunSuccess, true},
		{"the start is refused until it is tried once more", 5, false, knowngood.RunFailed, true},
		{"the start is refused for good", 100, false, knowngood.RunFailed, false},
		{"the instance is not seen running", 0, true, knowngood.RunTimedOut, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLoop(t)
			plan, f, instance := l.attached()
			w := &wrote{loop: l}
			l.OnEntry = func(_ *knowngood.Plan, e knowngood.LogEntry) { w.follow(e, f.Resource.ID) }
			if c.refused > 0 {
				l.Inject(sandbox.Fault{Service: "ec2", Operation: "StartInstances", Count: c.refused, Error: refused})
			}
			l.As = func([]string, string, Narrowing) awsapi.Caller {
				return world{directly{l.estate}, func(step, _ string, out map[string]any) {
					if c.waits && step == "WaitForStart" {
						first(first(out, "Reservations"), "Instances")["State"] = map[string]any{"Name": "pending", "Code": int64(0)}
					}
				}}
			}
			began := l.clock.Now()
			result, err := l.Apply(t.Context(), plan, approvalOf(plan), knowngood.Retry{})
			if err != nil || result.State != c.state {
				t.Fatalf("%+v, %v", result, err)
			}
			if !c.waits && l.clock.Now().Sub(began) > 30*time.Minute {
				t.Errorf("it took %s: a start that was refused is not waited for", l.clock.Now().Sub(began))
			}
			l.clock.Advance(10 * time.Minute)
			at := l.at(instance, "/dev/sdf")
			if at == nil || at["VolumeId"] != w.copy || (l.state(instance) == "running") != c.running {
				t.Errorf("at the device is %v, the instance is %v", at, l.state(instance))
			}
			l.do("ec2", "DescribeVolumes", map[string]any{"VolumeIds": []any{f.Resource.ID}}) // both are kept
			w.nothingLost(f.Resource.ID, true)
			l.tidy()
		})
	}
}

// An endpoint may leave DeleteOnTermination out of a volume's attachments, and
// tell it of the instance's devices alone.
func TestDeleteOnTerminationIsReadFromTheInstance(t *testing.T) {
	for _, was := range []bool{true, false} {
		l := newLoop(t)
		instance, volume := l.volumeOn(nil, owned())
		l.do("ec2", "ModifyInstanceAttribute", map[string]any{"InstanceId": instance, "BlockDeviceMappings": []any{map[string]any{"DeviceName": "/dev/sdf", "Ebs": map[string]any{"DeleteOnTermination": was}}}})
		l.As = func([]string, string, Narrowing) awsapi.Caller {
			return world{directly{l.estate}, func(_, operation string, out map[string]any) {
				if operation != "DescribeVolumes" {
					return
				}
				for _, v := range out["Volumes"].([]any) {
					for _, a := range v.(map[string]any)["Attachments"].([]any) {
						delete(a.(map[string]any), "DeleteOnTermination")
					}
				}
			}}
		}
		f := l.found("encrypted-volumes", "AWS::EC2::Volume", volume)
		plan, err := l.PlanFinding(t.Context(), l.place(), Task{f, encryption()})
		if err != nil {
			t.Fatal(err)
		}
		if result, err := l.Apply(t.Context(), plan, approvalOf(plan), knowngood.Retry{}); err != nil || result.State != knowngood.RunSuccess {
			t.Fatalf("%+v, %v", result, err)
		}
		at := l.at(instance, "/dev/sdf")
		a := at["Attachments"].([]any)[0].(map[string]any)
		if at["VolumeId"] == volume || a["DeleteOnTermination"] != was {
			t.Errorf("it was %v, and is %v", was, a)
		}
	}
}
