package remedy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/sandbox"
	"github.com/knowngood/knowngood/library"
)

var began = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)

// estate is a sandbox with what a test needs in it.
type estate struct {
	*sandbox.Sandbox
	t       *testing.T
	clock   *sandbox.ManualClock
	catalog *awsapi.Catalog
	scripts runbook.Scripts // nil: none can be run
}

func newEstate(t *testing.T) *estate {
	t.Helper()
	catalog, err := awsapi.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	clock := sandbox.NewClock(began)
	s, err := sandbox.New(sandbox.Options{Catalog: catalog, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return &estate{s, t, clock, catalog, nil}
}

func (e *estate) do(service, operation string, in map[string]any) map[string]any {
	e.t.Helper()
	out, err := e.Call(e.t.Context(), sandbox.Request{Service: service, Operation: operation, AccessKeyID: sandbox.OperatorKey, Input: in})
	if err != nil {
		e.t.Fatalf("%s:%s: %v", service, operation, err)
	}
	return out
}

// volumeOn makes an instance with a second, unencrypted volume, and gives both.
func (e *estate) volumeOn(instance, volume map[string]any) (instanceID, volumeID string) {
	e.t.Helper()
	in := map[string]any{"ImageId": "ami-0c1a2b3c4d5e6f708", "MinCount": int64(1), "MaxCount": int64(1),
		"NetworkInterfaces": []any{map[string]any{"DeviceIndex": int64(0), "AssociatePublicIpAddress": false}}}
	for k, v := range instance {
		in[k] = v
	}
	instanceID = e.do("ec2", "RunInstances", in)["Instances"].([]any)[0].(map[string]any)["InstanceId"].(string)
	e.clock.Advance(time.Minute)
	return instanceID, e.attach(instanceID, volume)
}

func (e *estate) attach(instanceID string, volume map[string]any) string {
	e.t.Helper()
	in := map[string]any{"AvailabilityZone": "eu-west-1a", "Size": int64(500), "VolumeType": "gp3"}
	for k, v := range volume {
		in[k] = v
	}
	id := e.do("ec2", "CreateVolume", in)["VolumeId"].(string)
	e.clock.Advance(time.Minute)
	if instanceID != "" {
		e.do("ec2", "AttachVolume", map[string]any{"VolumeId": id, "InstanceId": instanceID, "Device": "/dev/sdf"})
		e.clock.Advance(time.Minute)
	}
	return id
}

func document(t *testing.T, name string) (*runbook.Document, knowngood.DocumentRef) {
	t.Helper()
	raw, err := fs.ReadFile(library.FS, "runbooks/"+name+".yaml")
	if err != nil {
		t.Fatal(err)
	}
	d, err := runbook.Parse(name+".yaml", raw)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(raw)
	return d, knowngood.DocumentRef{Name: name, SHA256: hex.EncodeToString(sum[:]), Content: string(raw)}
}

func entry(t *testing.T, name string) Entry {
	t.Helper()
	sub, err := fs.Sub(library.FS, "entries")
	if err != nil {
		t.Fatal(err)
	}
	e, err := LoadEntry(sub, name)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func operations(t *testing.T) Operations {
	t.Helper()
	table, err := shippedOperations()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

var shippedOperations = sync.OnceValues(func() (Operations, error) {
	sub, err := fs.Sub(library.FS, "operations")
	if err != nil {
		return nil, err
	}
	return LoadOperations(sub)
})

func (e *estate) plan(runbookName string, params knowngood.Params, resource string) (*knowngood.Plan, error) {
	e.t.Helper()
	return e.planAs("run-1", runbookName, params, resource)
}

func (e *estate) planAs(run, runbookName string, params knowngood.Params, resource string) (*knowngood.Plan, error) {
	e.t.Helper()
	return e.planBy(directly{e}, run, runbookName, params, resource)
}

func (e *estate) planBy(caller awsapi.Caller, run, runbookName string, params knowngood.Params, resource string) (*knowngood.Plan, error) {
	e.t.Helper()
	d, r := document(e.t, runbookName)
	p := &Planner{Catalog: e.catalog, Operations: operations(e.t), Scripts: e.scripts, Read: func(ctx context.Context, op *awsapi.Operation, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
		return caller.Call(ctx, op.Service.Name, op.Name, in, opts...)
	}}
	return p.Plan(e.t.Context(), PlanRequest{
		RunID: run, Created: e.clock.Now(), Document: d, Ref: r, Parameters: params,
		Place:    knowngood.Place{Partition: "aws", Account: e.Account(), Region: e.Region()},
		Resource: knowngood.ResourceKey{Account: e.Account(), Region: e.Region(), ID: resource},
		Entry:    entry(e.t, runbookName),
	})
}

func writesOf(part knowngood.PlanPart) []string {
	var out []string
	for _, c := range part.Calls {
		if c.Class == knowngood.Write {
			out = append(out, c.Step)
		}
	}
	return out
}

func TestEveryRunbookOfTheLibraryIsValid(t *testing.T) {
	catalog, err := awsapi.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	table := operations(t)
	files, err := fs.Glob(library.FS, "runbooks/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(f, "runbooks/"), ".yaml")
		d, _ := document(t, name)
		for _, problem := range d.Validate(catalog) {
			t.Errorf("%v", problem)
		}
		for _, c := range d.Calls(catalog) {
			operation := c.Operation.Service.Name + ":" + c.Operation.Name
			if _, ok := table[operation]; !ok && c.Operation.Class() == awsapi.Write {
				t.Errorf("%s, step %s: %s has no row in library/operations", name, c.Step, operation)
			}
		}
	}
}

func TestThePlanForAnAttachedVolume(t *testing.T) {
	e := newEstate(t)
	i, v := e.volumeOn(nil, map[string]any{"TagSpecifications": []any{map[string]any{"ResourceType": "volume", "Tags": []any{map[string]any{"Key": "Owner", "Value": "billing"}}}}})
	before := len(e.Calls())
	plan, err := e.plan("AWS-EncryptEBSVolume", knowngood.Params{"VolumeId": v}, v)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"WarmUpSnapshot", "StopInstance", "CreateSnapshot", "CopySnapshot", "CreateGp3Volume", "CopyTags", "DetachOld", "AttachNew", "StartInstance", "TagOld",
		"TidyWarmUpSnapshot", "TidySnapshot", "TidyEncryptedSnapshot"}
	if got := writesOf(plan.Parts[0]); !slices.Equal(got, want) {
		t.Errorf("writes\n%v, want\n%v", got, want)
	}
	if len(plan.Incomplete) > 0 || plan.Risk.Effect != knowngood.Disruptive {
		t.Errorf("incomplete %v, risk %+v", plan.Incomplete, plan.Risk)
	}
	for _, c := range e.Calls()[before:] {
		if op, _ := e.catalog.Operation(c.Service, c.Operation); op.Class() == awsapi.Write {
			t.Errorf("planning made the write %s:%s", c.Service, c.Operation)
		}
	}
	for _, action := range []string{"ec2:StopInstances", "ec2:CreateVolume", "ec2:CreateTags", "ec2:DescribeVolumes", "ec2:DeleteVolume"} {
		if !slices.Contains(plan.Actions, action) {
			t.Errorf("the IAM actions %v lack %s", plan.Actions, action)
		}
	}
	var restore, forward *knowngood.PlanPart
	for k := range plan.Parts {
		t.Logf("part %s, when %v: %d calls, writes %v", plan.Parts[k].Name, plan.Parts[k].When, len(plan.Parts[k].Calls), writesOf(plan.Parts[k]))
		switch plan.Parts[k].Name {
		case "RestoreBegin":
			restore = &plan.Parts[k]
		case "ForwardBegin":
			forward = &plan.Parts[k]
		}
	}
	if restore == nil || forward == nil {
		t.Fatal("no part that restores, or none that goes forward")
	}
	if got, want := writesOf(*forward), []string{"ForwardBegin", "TagOld", "TidyWarmUpSnapshot", "TidySnapshot", "TidyEncryptedSnapshot"}; !slices.Equal(got, want) {
		t.Errorf("the part that goes forward writes %v, want %v", got, want)
	}
	for _, step := range []string{"RestoreStopInstance", "RestoreDetachNew", "RestoreAttachOld", "RestoreStartInstance", "RestoreDeleteNew", "TidySnapshot"} {
		if !slices.Contains(writesOf(*restore), step) {
			t.Errorf("the restore part has no %s", step)
		}
	}
	if !slices.Contains(restore.When, "StopInstance fails") || !slices.Contains(restore.When, "WaitForAttach fails") || !slices.Contains(forward.When, "WaitForStart fails") || slices.Contains(restore.When, "WaitForStart fails") {
		t.Errorf("the parts stand for %v and %v", restore.When, forward.When)
	}
	for _, c := range plan.Parts[0].Calls {
		switch c.Step {
		case "CreateGp3Volume":
			wantInput := map[string]any{"AvailabilityZone": "eu-west-1a", "Size": int64(500), "VolumeType": "gp3", "Iops": int64(3000), "Throughput": int64(125), "Encrypted": true,
				"KmsKeyId": "alias/aws/ebs", "ClientToken": "run-1/CreateGp3Volume", "SnapshotId": map[string]any{"$ref": map[string]any{"from": "w4", "path": "SnapshotId"}}}
			if !equal(c.Input, wantInput) {
				t.Errorf("CreateVolume takes %s", text(c.Input))
			}
		case "StopInstance":
			if !equal(c.Input, map[string]any{"InstanceIds": []any{i}}) || c.Effect != knowngood.Disruptive {
				t.Errorf("StopInstances: %+v", c)
			}
		}
	}
	again, err := e.plan("AWS-EncryptEBSVolume", knowngood.Params{"VolumeId": v}, v)
	if err != nil {
		t.Fatal(err)
	}
	if again.Hash != plan.Hash {
		t.Error("the same world gives another plan")
	}
	raw, err := EncodePlan(plan)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodePlan("plan.json", raw); err != nil {
		t.Errorf("the plan does not survive its file: %v", err)
	}
	t.Logf("%d bytes, %d preconditions", len(raw), len(plan.Preconditions))
}

func TestThePlanForADetachedVolumeStopsNothing(t *testing.T) {
	e := newEstate(t)
	v := e.attach("", map[string]any{"VolumeType": "io2", "Iops": int64(500)})
	plan, err := e.plan("AWS-EncryptEBSVolume", knowngood.Params{"VolumeId": v, "DeleteOriginal": true}, v)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"CreateSnapshot", "CopySnapshot", "CreateIopsVolume", "DeleteOld", "TidySnapshot", "TidyEncryptedSnapshot"}
	if got := writesOf(plan.Parts[0]); !slices.Equal(got, want) {
		t.Errorf("writes %v, want %v", got, want)
	}
	if plan.Risk.Effect != knowngood.Irreversible {
		t.Errorf("risk %+v: the original's deletion does not come back", plan.Risk)
	}
}

func TestAnAutoScalingMemberGoesToStandby(t *testing.T) {
	e := newEstate(t)
	i, v := e.volumeOn(nil, nil)
	e.do("autoscaling", "CreateAutoScalingGroup", map[string]any{"AutoScalingGroupName": "web", "MinSize": int64(0), "MaxSize": int64(2), "InstanceId": i})
	e.do("autoscaling", "AttachInstances", map[string]any{"AutoScalingGroupName": "web", "InstanceIds": []any{i}})
	plan, err := e.plan("AWS-EncryptEBSVolume", knowngood.Params{"VolumeId": v}, v)
	if err != nil {
		t.Fatal(err)
	}
	got := writesOf(plan.Parts[0])
	if slices.Index(got, "EnterStandby") != slices.Index(got, "StopInstance")-1 || slices.Index(got, "ExitStandby") != slices.Index(got, "StartInstance")+1 {
		t.Errorf("writes %v", got)
	}
}

func TestThePreflightRefusesWithAReason(t *testing.T) {
	for _, c := range []struct {
		name             string
		instance, volume map[string]any
		detached         bool
		params           func(e *estate) knowngood.Params
		want             string
	}{
		{name: "encrypted already", volume: map[string]any{"Encrypted": true}, want: "encrypted already"},
		{name: "Multi-Attach", volume: map[string]any{"VolumeType": "io2", "Iops": int64(500), "MultiAttachEnabled": true}, want: "Multi-Attach"},
		{name: "spot", instance: map[string]any{"InstanceMarketOptions": map[string]any{"MarketType": "spot"}}, want: "Spot Instance"},
		{name: "instance store", instance: map[string]any{"InstanceType": "m5d.large"}, want: "instance store"},
		{name: "stop protection", instance: map[string]any{"DisableApiStop": true}, want: "stop protection"},
		{name: "fleeting address", instance: map[string]any{"NetworkInterfaces": []any{map[string]any{"DeviceIndex": int64(0), "AssociatePublicIpAddress": true}}}, want: "Elastic IP address"},
		{name: "disabled key", params: func(e *estate) knowngood.Params {
			key := e.do("kms", "CreateKey", nil)["KeyMetadata"].(map[string]any)["KeyId"]
			e.do("kms", "DisableKey", map[string]any{"KeyId": key})
			return knowngood.Params{"KmsKeyId": key}
		}, want: "not enabled"},
		{name: "no such key", params: func(*estate) knowngood.Params { return knowngood.Params{"KmsKeyId": "alias/nobody"} }, want: "alias/nobody"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEstate(t)
			_, v := e.volumeOn(c.instance, c.volume)
			params := knowngood.Params{}
			if c.params != nil {
				params = c.params(e)
			}
			params["VolumeId"] = v
			_, err := e.plan("AWS-EncryptEBSVolume", params, v)
			if knowngood.KindOf(err) != knowngood.Refused || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want a refusal that says %q", err, c.want)
			}
		})
	}
}

func TestThePlanForABucket(t *testing.T) {
	e := newEstate(t)
	e.do("s3", "CreateBucket", map[string]any{"Bucket": "acme-invoices", "CreateBucketConfiguration": map[string]any{"LocationConstraint": "eu-west-1"}})
	e.do("s3", "DeletePublicAccessBlock", map[string]any{"Bucket": "acme-invoices"})
	plan, err := e.plan("AWSConfigRemediation-ConfigureS3BucketPublicAccessBlock", knowngood.Params{"BucketName": "acme-invoices", "AutomationAssumeRole": "arn:aws:iam::111122223333:role/fixer"}, "acme-invoices")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"s3:GetBucketLocation", "s3:GetBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock"}; !slices.Equal(plan.Actions, want) {
		t.Errorf("IAM actions %v, want %v", plan.Actions, want)
	}
	if got := writesOf(plan.Parts[0]); !slices.Equal(got, []string{"PutBucketPublicAccessBlock"}) || plan.Risk.Effect != knowngood.Reversible || len(plan.Parts) != 2 || !slices.Equal(writesOf(plan.Parts[1]), got) {
		t.Errorf("writes %v, risk %+v, %d parts", got, plan.Risk, len(plan.Parts))
	}
}
