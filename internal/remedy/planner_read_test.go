package remedy

import (
	"context"
	"testing"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
)

// A read of what the plan makes gives the id that was asked for, so that a later
// write names what was made.
func TestAReadOfWhatIsYetToBeMade(t *testing.T) {
	e := newEstate(t)
	volume := e.attach("", nil)
	const content = `schemaVersion: '0.3'
parameters:
  VolumeId: {type: String}
mainSteps:
  - name: Make
    action: aws:executeAwsApi
    inputs: {Service: ec2, Api: CreateSnapshot, VolumeId: '{{ VolumeId }}'}
    outputs: [{Name: Id, Selector: $.SnapshotId}]
  - name: Look
    action: aws:executeAwsApi
    inputs: {Service: ec2, Api: DescribeSnapshots, SnapshotIds: ['{{ Make.Id }}']}
    outputs: [{Name: Id, Selector: '$.Snapshots[0].SnapshotId'}]
  - name: Copy
    action: aws:executeAwsApi
    inputs: {Service: ec2, Api: CopySnapshot, SourceRegion: '{{ global:REGION }}', SourceSnapshotId: '{{ Look.Id }}'}
`
	d, err := runbook.Parse("x.yaml", []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	p := &Planner{Catalog: e.catalog, Operations: operations(t), Read: func(_ context.Context, op *awsapi.Operation, in map[string]any, _ ...awsapi.CallOption) (map[string]any, error) {
		return e.do(op.Service.Name, op.Name, in), nil
	}}
	plan, err := p.Plan(t.Context(), PlanRequest{
		RunID: "run-1", Created: e.clock.Now(), Document: d, Ref: knowngood.DocumentRef{Name: "x.yaml", SHA256: d.SHA256, Content: content},
		Parameters: knowngood.Params{"VolumeId": volume}, Place: knowngood.Place{Partition: "aws", Account: e.Account(), Region: e.Region()},
		Resource: knowngood.ResourceKey{Account: e.Account(), Region: e.Region(), ID: volume},
	})
	if err != nil {
		t.Fatal(err)
	}
	calls := plan.Parts[0].Calls
	last := calls[len(calls)-1]
	in, _ := last.Input.(map[string]any)
	if last.Operation != "CopySnapshot" || text(in["SourceSnapshotId"]) != `{"$ref":{"from":"`+calls[0].ID+`","path":"SnapshotId"}}` {
		t.Errorf("%s of %v", last.Operation, last.Input)
	}
}
