package remedy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/sandbox"
)

// planOf plans a runbook of a test's own for a volume.
func (e *estate) planOf(steps string, volume string, sensitive ...string) *knowngood.Plan {
	e.t.Helper()
	plan, err := e.tryPlan(steps, volume, sensitive...)
	if err != nil {
		e.t.Fatal(err)
	}
	return plan
}

func (e *estate) tryPlan(steps string, volume string, sensitive ...string) (*knowngood.Plan, error) {
	e.t.Helper()
	content := "schemaVersion: '0.3'\nparameters:\n  VolumeId: {type: String}\nvariables:\n  Note: {type: String, default: ''}\nmainSteps:\n" + steps
	d, err := runbook.Parse("test.yaml", []byte(content))
	if err != nil {
		e.t.Fatal(err)
	}
	for _, p := range d.Validate(e.catalog) {
		e.t.Error(p)
	}
	sum := sha256.Sum256([]byte(content))
	p := &Planner{Catalog: e.catalog, Operations: operations(e.t), Read: func(ctx context.Context, op *awsapi.Operation, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
		return e.Call(ctx, sandbox.Request{Service: op.Service.Name, Operation: op.Name, AccessKeyID: sandbox.OperatorKey, Input: in})
	}}
	return p.Plan(e.t.Context(), PlanRequest{
		RunID: "run-1", Created: e.clock.Now(), Document: d, Ref: knowngood.DocumentRef{Name: "test", SHA256: hex.EncodeToString(sum[:]), Content: content},
		Parameters: knowngood.Params{"VolumeId": volume}, Place: knowngood.Place{Partition: "aws", Account: e.Account(), Region: e.Region()},
		Resource: knowngood.ResourceKey{Account: e.Account(), Region: e.Region(), ID: volume},
		Entry:    Entry{SensitiveReads: sensitive},
	})
}

const createSnapshot = `
  - name: CreateSnapshot
    action: aws:executeAwsApi
    inputs: {Service: ec2, Api: CreateSnapshot, VolumeId: '{{ VolumeId }}'}
    outputs: [{Name: SnapshotId, Selector: '$.SnapshotId', Type: String}, {Name: State, Selector: '$.State', Type: String}]
`

const describeSnapshots = `
  - name: DescribeSnapshots
    action: aws:executeAwsApi
    inputs: {Service: ec2, Api: DescribeSnapshots, SnapshotIds: ['{{ CreateSnapshot.SnapshotId }}']}
    outputs: [{Name: State, Selector: '$.Snapshots[0].State', Type: String}]
`

const deleteVolume = `
  - name: DeleteVolume
    action: aws:executeAwsApi
    inputs: {Service: ec2, Api: DeleteVolume, VolumeId: '{{ VolumeId }}'}
    isEnd: true
`

const done = `
  - name: Done
    action: aws:sleep
    inputs: {Duration: PT1S}
    isEnd: true
`

func branchOn(variable string) string {
	return `
  - name: Which
    action: aws:branch
    inputs:
      Choices: [{Variable: '{{ ` + variable + ` }}', StringEquals: completed, NextStep: DeleteVolume}]
      Default: Done
`
}

// deletionNeedsApproval says that the plan has the deletion of the volume and
// that a person has to allow it.
func deletionNeedsApproval(t *testing.T, plan *knowngood.Plan) {
	t.Helper()
	planned := slices.ContainsFunc(plan.Parts, func(p knowngood.PlanPart) bool { return slices.Contains(writesOf(p), "DeleteVolume") })
	if !planned || plan.Risk.Effect != knowngood.Irreversible || len(NeedsApproval(plan)) == 0 {
		t.Errorf("the deletion is planned: %v, risk %+v, approval %v", planned, plan.Risk, NeedsApproval(plan))
	}
}

func TestWhatABranchMayDeleteNeedsAnApproval(t *testing.T) {
	e := newEstate(t)
	deletionNeedsApproval(t, e.planOf(createSnapshot+describeSnapshots+branchOn("DescribeSnapshots.State")+deleteVolume+done, e.attach("", nil)))
}

func TestWhatARecoveryDeletesNeedsAnApproval(t *testing.T) {
	e := newEstate(t)
	failing := strings.Replace(createSnapshot, "    inputs", "    onFailure: step:DeleteVolume\n    isEnd: true\n    inputs", 1)
	plan := e.planOf(failing+deleteVolume, e.attach("", nil))
	deletionNeedsApproval(t, plan)
	if !plan.Parts[1].Recovery || plan.Parts[0].Recovery {
		t.Errorf("%+v", plan.Parts)
	}
}

func TestOnlyWhatThePlanMadeIsItsOwnToRemove(t *testing.T) {
	remove := func(api, member, value string) string {
		return "\n  - name: Remove\n    action: aws:executeAwsApi\n    inputs: {Service: ec2, Api: " + api + ", " + member + ": '" + value + "'}\n"
	}
	for _, c := range []struct {
		name, steps string
		want        knowngood.Effect
	}{
		{"the plan's own snapshot", createSnapshot + remove("DeleteSnapshot", "SnapshotId", "{{ CreateSnapshot.SnapshotId }}"), knowngood.Reversible},
		{"the volume that a write names in its answer", strings.Replace(createSnapshot, "$.State", "$.VolumeId", 1) + remove("DeleteVolume", "VolumeId", "{{ CreateSnapshot.State }}"), knowngood.Irreversible},
		{"an id that is not what the write made", strings.Replace(createSnapshot, "$.State", "$.OutpostArn", 1) + remove("DeleteSnapshot", "SnapshotId", "{{ CreateSnapshot.State }}"), knowngood.Irreversible},
		{"what another write makes", createSnapshot + remove("DeleteVolume", "VolumeId", "{{ CreateSnapshot.SnapshotId }}"), knowngood.Irreversible},
		{"an id within a text", createSnapshot + remove("DeleteSnapshot", "SnapshotId", "snap{{ CreateSnapshot.SnapshotId }}"), knowngood.Irreversible},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEstate(t)
			if plan := e.planOf(c.steps, e.attach("", nil)); plan.Risk.Effect != c.want {
				t.Errorf("risk %+v, want %s", plan.Risk, c.want)
			}
		})
	}
}

const note = `
  - name: NoteState
    action: aws:updateVariable
    inputs: {Name: 'variable:Note', Value: 'state {{ DescribeSnapshots.State }}'}
`

func TestAnAssumedValueStaysAssumedWhereverItGoes(t *testing.T) {
	readByNote := `
  - name: ReadAgain
    action: aws:executeAwsApi
    inputs: {Service: ec2, Api: DescribeVolumes, VolumeIds: ['{{ VolumeId }}'], Filters: [{Name: status, Values: ['x{{ variable:Note }}']}]}
    outputs: [{Name: State, Selector: '$.Volumes[0].State', Type: String}]
`
	for name, steps := range map[string]string{
		"a variable":              describeSnapshots + note + branchOn("variable:Note"),
		"what a read asks for":    describeSnapshots + note + readByNote + branchOn("ReadAgain.State"),
		"what a write answers":    branchOn("CreateSnapshot.State"),
		"a variable of a write's": strings.Replace(note, "DescribeSnapshots", "CreateSnapshot", 1) + branchOn("variable:Note"),
	} {
		t.Run(name, func(t *testing.T) {
			e := newEstate(t)
			deletionNeedsApproval(t, e.planOf(createSnapshot+steps+deleteVolume+done, e.attach("", nil)))
		})
	}
}

func TestAVariableThatIsGivenAKnownValueIsKnown(t *testing.T) {
	e := newEstate(t)
	known := "\n  - name: Known\n    action: aws:updateVariable\n    inputs: {Name: 'variable:Note', Value: none}\n"
	plan := e.planOf(createSnapshot+describeSnapshots+note+known+branchOn("variable:Note")+deleteVolume+done, e.attach("", nil))
	if len(plan.Parts) != 1 {
		t.Errorf("%d parts", len(plan.Parts))
	}
}
