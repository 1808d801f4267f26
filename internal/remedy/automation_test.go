package remedy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
)

// family writes runbooks into a folder and gives the parent's path.
func documents(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name+".yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func (l *loop) planFile(file string, params knowngood.Params) (*knowngood.Plan, error) {
	l.t.Helper()
	book, err := l.Content.Runbook(file)
	if err != nil {
		l.t.Fatal(err)
	}
	return l.Plan(l.t.Context(), l.place(), book, params, knowngood.ResourceKey{Account: l.Account(), Region: l.Region(), ID: file}, nil)
}

func (l *loop) approve(plan *knowngood.Plan) []knowngood.Approval {
	l.t.Helper()
	a := knowngood.Approval{PlanHash: plan.Hash, RunID: plan.RunID, By: "ann", Approved: true, Incomplete: true, Time: l.clock.Now()}
	if err := l.store.PutApproval(l.t.Context(), a); err != nil {
		l.t.Fatal(err)
	}
	return []knowngood.Approval{a}
}

const parentRunbook = `
schemaVersion: '0.3'
parameters: {VolumeId: {type: String}}
mainSteps:
  - name: Snapshot
    action: aws:executeAwsApi
    inputs: {Service: ec2, Api: CreateSnapshot, VolumeId: '{{ VolumeId }}'}
    outputs: [{Name: Id, Selector: $.SnapshotId, Type: String}]
  - name: Copy
    action: aws:executeAutomation
    inputs:
      DocumentName: Copy
      RuntimeParameters: {SnapshotId: ['{{ Snapshot.Id }}'], Note: 'of {{ Snapshot.Id }}'}
  - name: Describe
    action: aws:executeAwsApi
    inputs: {Service: ec2, Api: DescribeSnapshots, SnapshotIds: '{{ Copy.Output }}'}
    outputs: [{Name: State, Selector: '$.Snapshots[0].State', Type: String}]
  - name: Tag
    action: aws:executeAwsApi
    inputs: {Service: ec2, Api: CreateTags, Resources: '{{ Copy.Output }}', Tags: [{Key: by, Value: '{{ Copy.ExecutionId }}'}]}
  - name: Clean
    action: aws:executeAwsApi
    inputs: {Service: ec2, Api: DeleteSnapshot, SnapshotId: '{{ Snapshot.Id }}'}
outputs: [Copy.Output, Copy.Status]
`

const copyRunbook = `
schemaVersion: '0.3'
parameters:
  SnapshotId: {type: String, allowedPattern: '^snap-[0-9a-f]+$'}
  Note: {type: String}
mainSteps:
  - name: Wait
    action: aws:waitForAwsResourceProperty
    inputs: {Service: ec2, Api: DescribeSnapshots, SnapshotIds: ['{{ SnapshotId }}'], PropertySelector: '$.Snapshots[0].State', DesiredValues: [completed]}
  - name: Copy
    action: aws:executeAwsApi
    inputs: {Service: ec2, Api: CopySnapshot, SourceRegion: '{{ global:REGION }}', SourceSnapshotId: '{{ SnapshotId }}', Description: '{{ Note }} in {{ automation:EXECUTION_ID }}'}
    outputs: [{Name: Id, Selector: $.SnapshotId, Type: String}]
outputs: [Copy.Id]
`

func TestAChildIsPlannedWithItsParentAndRunByItself(t *testing.T) {
	l := newLoop(t)
	dir := documents(t, map[string]string{"Parent": parentRunbook, "Copy": copyRunbook})
	volume := l.attach("", nil)
	plan, err := l.planFile(filepath.Join(dir, "Parent.yaml"), knowngood.Params{"VolumeId": volume})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := EncodePlan(plan)
	if err != nil {
		t.Fatal(err)
	}
	if plan, err = DecodePlan("plan.json", raw); err != nil {
		t.Fatal(err)
	}
	if len(plan.Incomplete) > 0 || len(plan.Children) != 1 || plan.Risk.Effect != knowngood.Reversible {
		t.Fatalf("incomplete: %v, %d children, %s", plan.Incomplete, len(plan.Children), plan.Risk.Effect)
	}
	before := len(l.Calls())
	result, err := l.Apply(t.Context(), plan, l.approve(plan), knowngood.Retry{})
	if err != nil || result.State != knowngood.RunSuccess {
		t.Fatalf("%+v, %v", result, err)
	}
	var writes []string
	for _, c := range l.Calls()[before:] {
		if op, _ := l.catalog.Operation(c.Service, c.Operation); !strings.HasPrefix(op.Name, "Describe") {
			writes = append(writes, op.Name)
		}
	}
	if got := strings.Join(writes, " "); got != "CreateSnapshot CopySnapshot CreateTags DeleteSnapshot" {
		t.Errorf("%s", got)
	}
	child, err := l.store.Run(t.Context(), plan.Children[0].RunID)
	if err != nil || child.State != knowngood.RunSuccess || child.Parent != plan.RunID {
		t.Errorf("%+v, %v", child, err)
	}
	// Applied again it does nothing.
	before = len(l.Calls())
	if result, err = l.Apply(t.Context(), plan, l.approve(plan), knowngood.Retry{}); err != nil || result.State != knowngood.RunSuccess || len(l.Calls()) != before {
		t.Errorf("%+v, %v, %d calls", result, err, len(l.Calls())-before)
	}
}

// What planning read for a child is read again before the first write of its parent.
func TestTheWorldOfAChildHasMovedBeforeTheFirstWrite(t *testing.T) {
	l := newLoop(t)
	dir := documents(t, map[string]string{"Parent": `
schemaVersion: '0.3'
parameters: {VolumeId: {type: String}}
mainSteps:
  - {name: First, action: 'aws:executeAwsApi', inputs: {Service: ec2, Api: EnableEbsEncryptionByDefault}}
  - {name: Child, action: 'aws:executeAutomation', inputs: {DocumentName: Child, RuntimeParameters: {VolumeId: '{{ VolumeId }}'}}}
`, "Child": `
schemaVersion: '0.3'
parameters: {VolumeId: {type: String}}
mainSteps:
  - name: Look
    action: aws:executeAwsApi
    inputs: {Service: ec2, Api: DescribeVolumes, VolumeIds: ['{{ VolumeId }}']}
    outputs: [{Name: Type, Selector: '$.Volumes[0].VolumeType', Type: String}]
  - {name: Tag, action: 'aws:executeAwsApi', inputs: {Service: ec2, Api: CreateTags, Resources: ['{{ VolumeId }}'], Tags: [{Key: type, Value: '{{ Look.Type }}'}]}}
`})
	volume := l.attach("", nil)
	plan, err := l.planFile(filepath.Join(dir, "Parent.yaml"), knowngood.Params{"VolumeId": volume})
	if err != nil {
		t.Fatal(err)
	}
	l.do("ec2", "ModifyVolume", map[string]any{"VolumeId": volume, "VolumeType": "gp2"})
	l.clock.Advance(time.Hour)
	before := len(l.Calls())
	if _, err := l.Apply(t.Context(), plan, nil, knowngood.Retry{}); knowngood.KindOf(err) != knowngood.Refused || !strings.Contains(err.Error(), "gp3") {
		t.Fatalf("%v", err)
	}
	if made := effects(l.estate, before); len(made) > 0 {
		t.Errorf("%v", made)
	}
}

// A plan that has children is refused where one of them, or its document, was changed;
// and a child's plan is carried out by nobody but its parent's run.
func TestAChildsPlanIsHeldToItsParents(t *testing.T) {
	l := newLoop(t)
	dir := documents(t, map[string]string{"Parent": parentRunbook, "Copy": copyRunbook})
	plan, err := l.planFile(filepath.Join(dir, "Parent.yaml"), knowngood.Params{"VolumeId": l.attach("", nil)})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := EncodePlan(plan)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{{`"SourceRegion": "eu-west-1"`, `"SourceRegion": "eu-west-2"`}, {`allowedPattern: '^snap-[0-9a-f]+$'`, `allowedPattern: '^snap-[0-9a-z]+$'`}} {
		changed := strings.Replace(string(raw), change[0], change[1], 1)
		if changed == string(raw) {
			t.Fatalf("there is no %s", change[0])
		}
		if _, err := DecodePlan("plan.json", []byte(changed)); knowngood.KindOf(err) != knowngood.Refused {
			t.Errorf("%s: %v", change[1], err)
		}
	}
	child, err := operations(t).childPlan(plan, &plan.Children[0], "Copy", plan.Children[0].RunID, bindings{"w1": {"SnapshotId": "snap-0123"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Apply(t.Context(), child, nil, knowngood.Retry{}); knowngood.KindOf(err) != knowngood.Refused {
		t.Errorf("%v", err)
	}
	// What the child's parameters allow is checked once their values are known.
	if _, err := operations(t).childPlan(plan, &plan.Children[0], "Copy", plan.Children[0].RunID, bindings{"w1": {"SnapshotId": "vol-1"}}); err == nil || !strings.Contains(err.Error(), "does not match the allowed pattern") {
		t.Errorf("%v", err)
	}
}

// Who approves a plan relies on what it says of its children as well.
func TestAPlanCantUnderstateWhatItsChildrenDo(t *testing.T) {
	l := newLoop(t)
	ids := l.volumes(2, "web")
	dir := documents(t, map[string]string{"Many": manyRunbook(`TargetParameterName: VolumeId, Targets: [{Key: 'tag:team', Values: [web]}]`), "Tag": `
schemaVersion: '0.3'
parameters: {VolumeId: {type: String}}
mainSteps: [{name: Drop, action: 'aws:executeAwsApi', inputs: {Service: ec2, Api: DeleteVolume, VolumeId: '{{ VolumeId }}'}}]
`})
	make := func() *knowngood.Plan {
		plan, err := l.planFile(filepath.Join(dir, "Many.yaml"), nil)
		if err != nil {
			t.Fatal(err)
		}
		return plan
	}
	plan := make()
	if err := operations(t).CheckEffects(plan); err != nil || plan.Risk.Effect != knowngood.Irreversible {
		t.Fatalf("%v, %s for %v", err, plan.Risk.Effect, ids)
	}
	for name, understate := range map[string]func(p, group, child *knowngood.Plan){
		"the child's call": func(_, _, child *knowngood.Plan) { child.Parts[0].Calls[0].Effect = knowngood.Reversible },
		"the child's risk": func(_, _, child *knowngood.Plan) { child.Risk.Effect = knowngood.Reversible },
		"the group's risk": func(_, group, _ *knowngood.Plan) { group.Risk.Effect = knowngood.Reversible },
		"the start":        func(p, _, _ *knowngood.Plan) { p.Parts[0].Calls[0].Effect = knowngood.Reversible },
		"the plan's risk":  func(p, _, _ *knowngood.Plan) { p.Risk.Effect = knowngood.Reversible },
		"which child it is": func(p, _, _ *knowngood.Plan) {
			p.Parts[0].Calls[0].Child = "run-0"
			p.Parts[0].Calls[0].Effect = knowngood.Reversible
		},
	} {
		plan := make()
		understate(plan, &plan.Children[0], &plan.Children[0].Children[1])
		if err := operations(t).CheckEffects(plan); knowngood.KindOf(err) != knowngood.Refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}
