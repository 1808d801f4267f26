package sandbox

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood/awsapi"
)

// world is a sandbox with a clock that the test moves.
type world struct {
	*Sandbox
	t     *testing.T
	clock *ManualClock
	key   string // an access key, and behind an @ the Region if it isn't the sandbox's own
}

func newWorld(t *testing.T) *world {
	t.Helper()
	catalog, err := awsapi.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	clock := NewClock(time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC))
	s, err := New(Options{Catalog: catalog, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return &world{s, t, clock, OperatorKey}
}

// try makes a call. Whatever it answers must be as the model has it.
func (w *world) try(service, operation string, in object) (object, error) {
	w.t.Helper()
	key, region, _ := strings.Cut(w.key, "@")
	out, err := w.Call(w.t.Context(), Request{Service: service, Operation: operation, Region: region, AccessKeyID: key, Input: in})
	if op, unknown := w.catalog.Operation(service, operation); err == nil && unknown == nil {
		for _, problem := range misfits(op.Output, out, operation) {
			w.t.Error(problem)
		}
	}
	return out, err
}

func (w *world) do(service, operation string, in object) object {
	w.t.Helper()
	out, err := w.try(service, operation, in)
	if err != nil {
		w.t.Fatalf("%s:%s: %v", service, operation, err)
	}
	return out
}

// fails makes a call and checks the code of its error.
func (w *world) fails(code, service, operation string, in object) {
	w.t.Helper()
	out, err := w.try(service, operation, in)
	if got := codeOf(err); got != code {
		w.t.Errorf("%s:%s: code %q (%v, %v), want %q", service, operation, got, out, err, code)
	}
}

// linux is the public image that tests launch.
const linux = "ami-0c1a2b3c4d5e6f708"

func ids(list ...string) []any { return anys(list) }

func (w *world) volume(id string) object {
	w.t.Helper()
	return w.do("ec2", "DescribeVolumes", object{"VolumeIds": ids(id)})["Volumes"].([]any)[0].(object)
}

func (w *world) attachment(id string) object {
	if l := w.volume(id)["Attachments"].([]any); len(l) > 0 {
		return l[0].(object)
	}
	return nil
}

func (w *world) instanceState(id string) string {
	w.t.Helper()
	out := w.do("ec2", "DescribeInstances", object{"InstanceIds": ids(id)})
	return out["Reservations"].([]any)[0].(object)["Instances"].([]any)[0].(object)["State"].(object)["Name"].(string)
}

func (w *world) launch(in object) string {
	w.t.Helper()
	in["MinCount"], in["MaxCount"] = int64(1), int64(1)
	if in["ImageId"] == nil && in["LaunchTemplate"] == nil {
		in["ImageId"] = linux
	}
	out := w.do("ec2", "RunInstances", in)
	w.clock.Advance(instanceStart)
	return out["Instances"].([]any)[0].(object)["InstanceId"].(string)
}

func (w *world) newVolume(in object) string {
	w.t.Helper()
	if in["AvailabilityZone"] == nil {
		in["AvailabilityZone"] = "eu-west-1a"
	}
	id := w.do("ec2", "CreateVolume", in)["VolumeId"].(string)
	w.clock.Advance(volumeCreation)
	return id
}

func TestAVolumesLife(t *testing.T) {
	w := newWorld(t)
	i := w.launch(object{})
	out := w.do("ec2", "CreateVolume", object{"AvailabilityZone": "eu-west-1a", "Size": int64(500), "VolumeType": "gp3"})
	v := out["VolumeId"].(string)
	if out["State"] != "creating" || out["Iops"] != int64(3000) || out["Throughput"] != int64(125) || out["Encrypted"] != false {
		t.Errorf("%v", out)
	}
	w.fails("IncorrectState", "ec2", "AttachVolume", object{"VolumeId": v, "InstanceId": i, "Device": "/dev/sdf"})
	w.clock.Advance(volumeCreation)
	w.do("ec2", "AttachVolume", object{"VolumeId": v, "InstanceId": i, "Device": "/dev/sdf"})
	if a := w.attachment(v); a["State"] != "attaching" || w.volume(v)["State"] != "in-use" {
		t.Errorf("%v", a)
	}
	w.clock.Advance(attachTime)
	if a := w.attachment(v); a["State"] != "attached" || a["DeleteOnTermination"] != false {
		t.Errorf("%v", a)
	}
	w.fails("VolumeInUse", "ec2", "AttachVolume", object{"VolumeId": v, "InstanceId": i, "Device": "/dev/sdg"})
	w.fails("VolumeInUse", "ec2", "DeleteVolume", object{"VolumeId": v})
	other := w.newVolume(object{"Size": int64(1), "VolumeType": "gp3"})
	w.fails("InvalidParameterValue", "ec2", "AttachVolume", object{"VolumeId": other, "InstanceId": i, "Device": "/dev/sdf"})
	far := w.newVolume(object{"Size": int64(1), "VolumeType": "gp3", "AvailabilityZone": "eu-west-1b"})
	w.fails("InvalidVolume.ZoneMismatch", "ec2", "AttachVolume", object{"VolumeId": far, "InstanceId": i, "Device": "/dev/sdh"})

	w.do("ec2", "ModifyInstanceAttribute", object{"InstanceId": i, "BlockDeviceMappings": []any{object{"DeviceName": "/dev/sdf", "Ebs": object{"VolumeId": v, "DeleteOnTermination": true}}}})
	if w.attachment(v)["DeleteOnTermination"] != true {
		t.Error("DeleteOnTermination was not set")
	}
	w.do("ec2", "DetachVolume", object{"VolumeId": v})
	w.fails("IncorrectState", "ec2", "DetachVolume", object{"VolumeId": v})
	w.clock.Advance(detachTime)
	if w.attachment(v) != nil || w.volume(v)["State"] != "available" {
		t.Errorf("%v", w.volume(v))
	}
	w.do("ec2", "DeleteVolume", object{"VolumeId": v})
	w.fails("InvalidVolume.NotFound", "ec2", "DescribeVolumes", object{"VolumeIds": ids(v)})
}

func TestVolumeParameters(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		code string
		in   object
	}{
		{"InvalidParameterCombination", object{"VolumeType": "gp2", "Iops": int64(3000)}},
		{"InvalidParameterCombination", object{"VolumeType": "io2", "Iops": int64(500), "Throughput": int64(200)}},
		{"MissingParameter", object{"VolumeType": "io1"}},
		{"InvalidParameterValue", object{"VolumeType": "gp3", "Iops": int64(100)}},
		{"InvalidParameterValue", object{"VolumeType": "gp4"}},
		{"InvalidZone.NotFound", object{"AvailabilityZone": "eu-west-1z"}},
		{"InvalidParameterDependency", object{"KmsKeyId": "alias/aws/ebs"}},
		{"InvalidParameterValue", object{"TagSpecifications": []any{object{"ResourceType": "volume", "Tags": []any{}}}}},
		{"InvalidParameterValue", object{"TagSpecifications": []any{object{"ResourceType": "volume", "Tags": []any{object{"Key": "aws:x", "Value": "y"}}}}}},
		{"InvalidSnapshot.NotFound", object{"SnapshotId": "snap-1"}},
	} {
		in := object{"AvailabilityZone": "eu-west-1a", "Size": int64(10)}
		for k, v := range c.in {
			in[k] = v
		}
		w.fails(c.code, "ec2", "CreateVolume", in)
	}
	w.fails("MissingParameter", "ec2", "AttachVolume", object{"VolumeId": "vol-1"})
}

func TestAClientTokenMakesOneVolume(t *testing.T) {
	w := newWorld(t)
	in := object{"AvailabilityZone": "eu-west-1a", "Size": int64(10), "ClientToken": "t"}
	first := w.do("ec2", "CreateVolume", in)["VolumeId"]
	if again := w.do("ec2", "CreateVolume", in)["VolumeId"]; again != first {
		t.Errorf("%v, then %v", first, again)
	}
	w.fails("IdempotentParameterMismatch", "ec2", "CreateVolume", object{"AvailabilityZone": "eu-west-1a", "Size": int64(11), "ClientToken": "t"})
	w.fails("DryRunOperation", "ec2", "CreateVolume", object{"AvailabilityZone": "eu-west-1a", "Size": int64(11), "DryRun": true})
	if l := w.do("ec2", "DescribeVolumes", nil)["Volumes"].([]any); len(l) != 1 {
		t.Errorf("%d volumes", len(l))
	}
}

func TestEncryptionTravelsThroughSnapshots(t *testing.T) {
	w := newWorld(t)
	v := w.newVolume(object{"Size": int64(10), "VolumeType": "gp3"})
	tag := []any{object{"ResourceType": "snapshot", "Tags": []any{object{"Key": "knowngood:step", "Value": "r1/s1"}}}}
	s := w.do("ec2", "CreateSnapshot", object{"VolumeId": v, "TagSpecifications": tag})["SnapshotId"].(string)
	w.fails("IncorrectState", "ec2", "CopySnapshot", object{"SourceRegion": "eu-west-1", "SourceSnapshotId": s})
	w.clock.Advance(time.Hour)
	found := w.do("ec2", "DescribeSnapshots", object{"OwnerIds": ids("self"), "Filters": []any{object{"Name": "tag:knowngood:step", "Values": ids("r1/s1")}}})["Snapshots"].([]any)
	if len(found) != 1 || found[0].(object)["State"] != "completed" || found[0].(object)["Encrypted"] != false {
		t.Errorf("%v", found)
	}
	e := w.do("ec2", "CopySnapshot", object{"SourceRegion": "eu-west-1", "SourceSnapshotId": s, "Encrypted": true})["SnapshotId"].(string)
	w.clock.Advance(time.Hour)
	n := w.newVolume(object{"SnapshotId": e, "VolumeType": "gp3"})
	got := w.volume(n)
	alias := w.do("kms", "DescribeKey", object{"KeyId": "alias/aws/ebs"})["KeyMetadata"].(object)
	if got["Encrypted"] != true || got["KmsKeyId"] != alias["Arn"] || got["Size"] != int64(10) || alias["KeyManager"] != "AWS" {
		t.Errorf("volume %v, key %v", got, alias)
	}
	w.do("ec2", "EnableEbsEncryptionByDefault", nil)
	if by := w.volume(w.newVolume(object{"Size": int64(1)})); by["Encrypted"] != true {
		t.Errorf("encryption by default left %v", by)
	}
}

func TestWritesRiseOnlyWhileTheInstanceRuns(t *testing.T) {
	w := newWorld(t)
	i := w.launch(object{"BlockDeviceMappings": []any{object{"DeviceName": "/dev/sdf", "Ebs": object{"VolumeSize": int64(10)}}}})
	list := w.do("ec2", "DescribeVolumes", object{"Filters": []any{object{"Name": "attachment.device", "Values": ids("/dev/sdf")}}})["Volumes"].([]any)
	v := list[0].(object)["VolumeId"].(string)
	before := w.VolumeWrites(v)
	w.clock.Advance(100 * time.Second)
	if got := w.VolumeWrites(v); got != before+100 {
		t.Errorf("%d after 100 s, %d before", got, before)
	}
	s := w.do("ec2", "CreateSnapshot", object{"VolumeId": v})["SnapshotId"].(string)
	w.do("ec2", "StopInstances", object{"InstanceIds": ids(i)})
	if got := w.instanceState(i); got != "stopping" {
		t.Errorf("state %s", got)
	}
	atStop := w.VolumeWrites(v)
	w.clock.Advance(time.Hour)
	if got := w.VolumeWrites(v); got != atStop || w.instanceState(i) != "stopped" {
		t.Errorf("%d an hour after the stop, %d at it", got, atStop)
	}
	n := w.newVolume(object{"SnapshotId": s})
	if got := w.VolumeWrites(n); got != before+100 {
		t.Errorf("the copy has %d, the volume had %d at the snapshot", got, before+100)
	}
	w.do("ec2", "StartInstances", object{"InstanceIds": ids(i)})
	w.clock.Advance(instanceStart + 10*time.Second)
	if got := w.VolumeWrites(v); got != atStop+10 {
		t.Errorf("%d 10 s after the start, %d at the stop", got, atStop)
	}
}

func TestInstancesThatCannotBeStopped(t *testing.T) {
	w := newWorld(t)
	guarded := w.launch(object{"DisableApiStop": true})
	w.fails("OperationNotPermitted", "ec2", "StopInstances", object{"InstanceIds": ids(guarded)})
	if v := w.do("ec2", "DescribeInstanceAttribute", object{"InstanceId": guarded, "Attribute": "disableApiStop"})["DisableApiStop"].(object)["Value"]; v != true {
		t.Errorf("disableApiStop is %v", v)
	}
	spot := w.launch(object{"InstanceMarketOptions": object{"MarketType": "spot"}})
	w.fails("UnsupportedOperation", "ec2", "StopInstances", object{"InstanceIds": ids(spot)})
	w.fails("InvalidInstanceID.NotFound", "ec2", "StopInstances", object{"InstanceIds": ids("i-1")})
}

func TestAddressesSayWhoOwnsThem(t *testing.T) {
	w := newWorld(t)
	i := w.launch(object{"NetworkInterfaces": []any{object{"DeviceIndex": int64(0), "AssociatePublicIpAddress": true}}})
	owner := func() any {
		out := w.do("ec2", "DescribeInstances", object{"InstanceIds": ids(i)})
		return out["Reservations"].([]any)[0].(object)["Instances"].([]any)[0].(object)["NetworkInterfaces"].([]any)[0].(object)["Association"].(object)["IpOwnerId"]
	}
	if owner() != "amazon" {
		t.Errorf("owner %v", owner())
	}
	a := w.do("ec2", "AllocateAddress", nil)["AllocationId"]
	w.do("ec2", "AssociateAddress", object{"AllocationId": a, "InstanceId": i})
	if owner() != "111122223333" {
		t.Errorf("owner %v after an Elastic IP address", owner())
	}
}

func TestAGroupReplacesAStoppedMemberUnlessInStandby(t *testing.T) {
	for _, useStandby := range []bool{false, true} {
		w := newWorld(t)
		i := w.launch(object{})
		w.do("autoscaling", "CreateAutoScalingGroup", object{"AutoScalingGroupName": "web", "MinSize": int64(0), "MaxSize": int64(2), "InstanceId": i})
		w.do("autoscaling", "AttachInstances", object{"AutoScalingGroupName": "web", "InstanceIds": ids(i)})
		if useStandby {
			w.do("autoscaling", "EnterStandby", object{"AutoScalingGroupName": "web", "InstanceIds": ids(i), "ShouldDecrementDesiredCapacity": true})
			w.clock.Advance(10 * time.Second)
		}
		w.do("ec2", "StopInstances", object{"InstanceIds": ids(i)})
		w.clock.Advance(10 * time.Minute)
		want := map[bool]string{false: "terminated", true: "stopped"}[useStandby]
		if got := w.instanceState(i); got != want {
			t.Errorf("standby %v: %s, want %s", useStandby, got, want)
		}
	}
}

func TestPublicAccessBlock(t *testing.T) {
	w := newWorld(t)
	w.do("s3", "CreateBucket", object{"Bucket": "acme-invoices", "CreateBucketConfiguration": object{"LocationConstraint": "eu-west-1"}})
	public := object{"Bucket": "acme-invoices", "Policy": `{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}}`}
	w.fails("AccessDenied", "s3", "PutBucketPolicy", public)
	w.do("s3", "DeletePublicAccessBlock", object{"Bucket": "acme-invoices"})
	w.fails("NoSuchPublicAccessBlockConfiguration", "s3", "GetPublicAccessBlock", object{"Bucket": "acme-invoices"})
	w.do("s3", "PutBucketPolicy", public)
	w.do("s3", "PutPublicAccessBlock", object{"Bucket": "acme-invoices", "PublicAccessBlockConfiguration": object{"BlockPublicAcls": true}})
	want := object{"BlockPublicAcls": true, "IgnorePublicAcls": false, "BlockPublicPolicy": false, "RestrictPublicBuckets": false}
	if got := w.do("s3", "GetPublicAccessBlock", object{"Bucket": "acme-invoices"})["PublicAccessBlockConfiguration"]; !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	w.fails("NoSuchBucket", "s3", "GetPublicAccessBlock", object{"Bucket": "nobody"})
}

func TestKeysThatMayNotBeUsed(t *testing.T) {
	w := newWorld(t)
	key := w.do("kms", "CreateKey", nil)["KeyMetadata"].(object)["KeyId"]
	w.do("kms", "GenerateDataKeyWithoutPlaintext", object{"KeyId": key, "KeySpec": "AES_256"})
	w.fails("AccessDeniedException", "kms", "GenerateDataKeyWithoutPlaintext", object{"KeyId": "alias/aws/ebs", "KeySpec": "AES_256"})
	w.do("kms", "DisableKey", object{"KeyId": key})
	w.fails("DisabledException", "kms", "GenerateDataKeyWithoutPlaintext", object{"KeyId": key, "KeySpec": "AES_256"})
	w.fails("NotFoundException", "kms", "DescribeKey", object{"KeyId": "alias/mine"})
	w.fails("Client.InvalidKMSKey.InvalidState", "ec2", "CreateVolume", object{"AvailabilityZone": "eu-west-1a", "Size": int64(1), "Encrypted": true, "KmsKeyId": key})
}

func TestRolesMayDoWhatTheirPoliciesSay(t *testing.T) {
	w := newWorld(t)
	w.do("iam", "CreateRole", object{"RoleName": "fixer", "AssumeRolePolicyDocument": `{"Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"kg"}}}]}`})
	arn := "arn:aws:iam::111122223333:role/fixer"
	w.fails("AccessDenied", "sts", "AssumeRole", object{"RoleArn": arn, "RoleSessionName": "s1"})
	w.fails("AccessDenied", "sts", "AssumeRole", object{"RoleArn": arn + "s", "RoleSessionName": "s1", "ExternalId": "kg"})
	assume := func(policy string) *world {
		in := object{"RoleArn": arn, "RoleSessionName": "s1", "ExternalId": "kg"}
		if policy != "" {
			in["Policy"] = policy
		}
		as := *w
		as.key = w.do("sts", "AssumeRole", in)["Credentials"].(object)["AccessKeyId"].(string)
		return &as
	}
	session := assume("")
	if got := session.do("sts", "GetCallerIdentity", nil)["Arn"]; got != "arn:aws:sts::111122223333:assumed-role/fixer/s1" {
		t.Errorf("%v", got)
	}
	session.fails("UnauthorizedOperation", "ec2", "DescribeVolumes", nil)
	w.do("iam", "PutRolePolicy", object{"RoleName": "fixer", "PolicyName": "p", "PolicyDocument": `{"Statement":[{"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"},{"Effect":"Deny","Action":"ec2:DescribeRegions","Resource":"*"}]}`})
	session.do("ec2", "DescribeVolumes", nil)
	session.fails("UnauthorizedOperation", "ec2", "DescribeRegions", nil)
	session.fails("UnauthorizedOperation", "ec2", "EnableEbsEncryptionByDefault", nil)
	narrow := assume(`{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)
	narrow.fails("UnauthorizedOperation", "ec2", "DescribeVolumes", nil)
	w.clock.Advance(2 * time.Hour)
	session.fails("ExpiredToken", "ec2", "DescribeVolumes", nil)
	session.key = "AKIANOBODY"
	session.fails("InvalidClientTokenId", "ec2", "DescribeVolumes", nil)
}

func TestFaults(t *testing.T) {
	w := newWorld(t)
	w.Inject(Fault{Service: "ec2", Operation: "CreateVolume", Nth: 2, Error: &awsapi.Error{Code: "RequestLimitExceeded", Status: 503}})
	w.Inject(Fault{Service: "ec2", Operation: "CreateVolume", Nth: 3, AfterEffect: true, Error: &awsapi.Error{Code: "RequestFailed"}})
	in := object{"AvailabilityZone": "eu-west-1a", "Size": int64(1)}
	w.do("ec2", "CreateVolume", in)
	w.fails("RequestLimitExceeded", "ec2", "CreateVolume", in)
	w.fails("RequestFailed", "ec2", "CreateVolume", in)
	w.do("ec2", "CreateVolume", in)
	if l := w.do("ec2", "DescribeVolumes", nil)["Volumes"].([]any); len(l) != 3 {
		t.Errorf("%d volumes: the second call had no effect, the third had", len(l))
	}
	w.fails("NotImplemented", "ec2", "CreateInternetGateway", nil)
}

func TestStaleReads(t *testing.T) {
	w := newWorld(t)
	w.SetStale(10 * time.Second)
	v := w.do("ec2", "CreateVolume", object{"AvailabilityZone": "eu-west-1a", "Size": int64(1)})["VolumeId"].(string)
	w.fails("InvalidVolume.NotFound", "ec2", "DescribeVolumes", object{"VolumeIds": ids(v)})
	w.do("ec2", "CreateTags", object{"Resources": ids(v), "Tags": []any{object{"Key": "a", "Value": "b"}}}) // writes see the present
	w.clock.Advance(10 * time.Second)
	if got := w.volume(v); got["State"] != "creating" {
		t.Errorf("10 s later reads see %v", got["State"])
	}
	w.clock.Advance(volumeCreation)
	if got := w.volume(v); got["State"] != "available" {
		t.Errorf("13 s later reads see %v", got["State"])
	}
}

func TestPages(t *testing.T) {
	w := newWorld(t)
	for range 5 {
		w.newVolume(object{"Size": int64(1)})
	}
	var got []string
	token := ""
	for range 9 {
		in := object{"MaxResults": int64(2)}
		if token != "" {
			in["NextToken"] = token
		}
		out := w.do("ec2", "DescribeVolumes", in)
		for _, v := range out["Volumes"].([]any) {
			got = append(got, v.(object)["VolumeId"].(string))
		}
		var more bool
		if token, more = out["NextToken"].(string); !more {
			break
		}
	}
	if len(got) != 5 || len(slices.Compact(slices.Sorted(slices.Values(got)))) != 5 {
		t.Errorf("%v", got)
	}
	w.fails("InvalidNextToken", "ec2", "DescribeVolumes", object{"NextToken": "x"})
	w.fails("InvalidParameterValue", "ec2", "DescribeVolumes", object{"Filters": []any{object{"Name": "colour", "Values": ids("red")}}})
}

func TestOneSeedOneWorld(t *testing.T) {
	history := func() string {
		w := newWorld(t)
		i := w.launch(object{})
		v := w.newVolume(object{"Size": int64(1)})
		w.do("ec2", "AttachVolume", object{"VolumeId": v, "InstanceId": i, "Device": "/dev/sdf"})
		raw, err := json.Marshal(w.Calls())
		if err != nil {
			t.Fatal(err)
		}
		state, err := json.Marshal(w.state)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw) + string(state)
	}
	if a, b := history(), history(); a != b {
		t.Errorf("two runs differ:\n%s\n%s", a, b)
	}
}

func TestEverySimulatedOperationIsModelled(t *testing.T) {
	catalog, err := awsapi.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range Simulated() {
		service, operation, _ := strings.Cut(name, ":")
		if op, err := catalog.Operation(service, operation); err != nil || op.Name != operation {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Logf("%d operations", len(Simulated()))
}

func TestErrorsAreAWSErrors(t *testing.T) {
	w := newWorld(t)
	_, err := w.try("ec2", "DeleteVolume", object{"VolumeId": "vol-1"})
	var e *awsapi.Error
	if !errors.As(err, &e) || e.Status != 400 || !strings.Contains(e.Message, "vol-1") {
		t.Errorf("%v", err)
	}
}
