package remedy

import (
	"slices"
	"strings"
	"testing"

	"github.com/knowngood/knowngood"
)

func TestReplayAllowsWhatWasPlannedAndNothingElse(t *testing.T) {
	e := newEstate(t)
	i, v := e.volumeOn(nil, nil)
	plan, err := e.plan("AWS-EncryptEBSVolume", knowngood.Params{"VolumeId": v}, v)
	if err != nil {
		t.Fatal(err)
	}
	type write struct {
		step, operation string
		input           map[string]any
	}
	snapshot := func(step, text string) write {
		return write{step, "CreateSnapshot", map[string]any{"VolumeId": v, "Description": text,
			"TagSpecifications": []any{map[string]any{"ResourceType": "snapshot", "Tags": []any{map[string]any{"Key": StepTag, "Value": "run-1/" + step}}}}}}
	}
	warmUp := snapshot("WarmUpSnapshot", "Warm-up snapshot before "+v+" is encrypted (run-1)")
	create := snapshot("CreateSnapshot", "Of "+v+", to be copied encrypted (run-1)")
	stop := write{"StopInstance", "StopInstances", map[string]any{"InstanceIds": []any{i}}}
	allow := func(r *Replay, w write) ([]string, error) {
		return r.Allow(w.step, "ec2", w.operation, e.Account(), e.Region(), w.input)
	}
	refused := func(r *Replay, w write, want string) {
		t.Helper()
		if _, err := allow(r, w); knowngood.KindOf(err) != knowngood.Refused || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want a refusal with %q", w.step, err, want)
		}
	}

	r := NewReplay(plan)
	if _, err := allow(r, warmUp); err != nil {
		t.Fatal(err)
	}
	if _, err := allow(r, warmUp); err != nil {
		t.Errorf("a repeat of the same call: %v", err)
	}
	if _, err := allow(r, stop); err != nil {
		t.Fatal(err)
	}
	refused(r, warmUp, "comes after StopInstance")
	refused(r, write{"StopInstance", "StopInstances", map[string]any{"InstanceIds": []any{"i-other"}}}, `"i-other", planned was`)
	refused(r, write{"StopInstance", "StopInstances", map[string]any{"InstanceIds": []any{i}, "Force": true}}, "input.Force is true, planned was absent")
	refused(r, write{"StopInstance", "TerminateInstances", map[string]any{"InstanceIds": []any{i}}}, "ec2:TerminateInstances is not in the plan")
	if _, err := r.Allow("StopInstance", "ec2", "StopInstances", e.Account(), "us-east-1", stop.input); err == nil {
		t.Error("another Region was allowed")
	}

	ids, err := allow(r, create)
	if err != nil {
		t.Fatal(err)
	}
	copied := func(from string) write {
		return write{"CopySnapshot", "CopySnapshot", map[string]any{"SourceRegion": "eu-west-1", "SourceSnapshotId": from, "Encrypted": true, "KmsKeyId": "alias/aws/ebs",
			"Description":       "Encrypted copy of " + v + " (run-1)",
			"TagSpecifications": []any{map[string]any{"ResourceType": "snapshot", "Tags": []any{map[string]any{"Key": StepTag, "Value": "run-1/CopySnapshot"}}}}}}
	}
	refused(r, copied("snap-1"), "has not been made")
	r.Answered(ids, map[string]any{"SnapshotId": "snap-1"})
	r.Answered(ids, map[string]any{"SnapshotId": "snap-2"})
	refused(r, copied("snap-2"), `planned was "snap-1"`)
	if _, err := allow(r, copied("snap-1")); err != nil {
		t.Error(err)
	}

	// Recovery is approved with the plan: from here the restore path may run.
	restart := write{"RestoreStartInstance", "StartInstances", map[string]any{"InstanceIds": []any{i}}}
	if ids, err := allow(r, restart); err != nil || !slices.ContainsFunc(ids, func(id string) bool { return strings.HasPrefix(id, "w") }) {
		t.Errorf("%v, %v", ids, err)
	}
}
