package sandbox

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestVolumeLimits(t *testing.T) {
	w := newWorld(t)
	base := object{"AvailabilityZone": "eu-west-1a", "Size": int64(100)}
	w.refused("ec2", "CreateVolume", base, map[string][]object{
		"MissingParameter": {{"Size": nil}, {"VolumeType": "io2"}},
		"InvalidParameterValue": {{"Size": int64(20000), "VolumeType": "gp2"}, {"Size": int64(100), "VolumeType": "st1"}, {"Size": int64(2), "VolumeType": "io1", "Iops": int64(100)},
			{"VolumeType": "gp3", "Iops": int64(90000)}, {"VolumeType": "gp3", "Size": int64(10), "Iops": int64(6000)}, {"VolumeType": "io1", "Iops": int64(6000)},
			{"VolumeType": "gp3", "Throughput": int64(100)}, {"VolumeType": "gp3", "Throughput": int64(1000)}, {"VolumeType": "gp3", "Throughput": int64(3000), "Iops": int64(16000)}},
		"InvalidParameterCombination": {{"MultiAttachEnabled": true}, {"VolumeType": "sc1", "Size": int64(125), "Iops": int64(100)}},
	})
	for in, want := range map[string][3]int64{"gp2": {100, 300, 0}, "gp3": {100, 3000, 125}, "standard": {100, 0, 0}} {
		v := w.do("ec2", "CreateVolume", with(base, "VolumeType", in))
		iops, _ := v["Iops"].(int64)
		throughput, _ := v["Throughput"].(int64)
		if got := [3]int64{v["Size"].(int64), iops, throughput}; got != want {
			t.Errorf("%s: %v, want %v", in, got, want)
		}
	}
}

func TestVolumeFilters(t *testing.T) {
	w := newWorld(t)
	i := w.launch(object{})
	names := map[string]string{w.one("ec2", "DescribeVolumes", "Volumes", nil)["VolumeId"].(string): "root"}
	tags := []any{object{"ResourceType": "volume", "Tags": []any{object{"Key": "Owner", "Value": "shop"}}}}
	v := w.newVolume(object{"Size": int64(500), "VolumeType": "gp3", "Encrypted": true, "TagSpecifications": tags})
	multi := w.newVolume(object{"Size": int64(20), "VolumeType": "io2", "Iops": int64(500), "MultiAttachEnabled": true, "AvailabilityZone": "eu-west-1b"})
	names[v], names[multi] = "data", "multi"
	w.do("ec2", "AttachVolume", object{"VolumeId": v, "InstanceId": i, "Device": "/dev/sdf"})
	for filter, want := range map[string][]string{
		"status=in-use": {"data", "root"}, "status=available": {"multi"}, "encrypted=true": {"data"}, "encrypted=false": {"multi", "root"}, "size=500": {"data"}, "volume-type=io2": {"multi"},
		"availability-zone=eu-west-1b": {"multi"}, "attachment.instance-id=" + i: {"data", "root"}, "attachment.device=/dev/sd*": {"data"}, "attachment.status=attaching": {"data"},
		"attachment.delete-on-termination=true": {"root"}, "attachment.delete-on-termination=false": {"data"}, "multi-attach-enabled=true": {"multi"}, "tag:Owner=shop": {"data"}, "tag:Owner=shop?": nil,
		"tag-key=Owner": {"data"}, "create-time=2026-11-24T08:*": {"data", "multi", "root"}, "create-time=2026-11-25*": nil, "volume-id=" + v: {"data"}, "snapshot-id=snap-*": {"root"},
		"availability-zone-id=euw1-az2": {"multi"},
	} {
		name, value, _ := strings.Cut(filter, "=")
		var got []string
		for _, v := range w.list("ec2", "DescribeVolumes", "Volumes", object{"Filters": by(name, value)}) {
			got = append(got, names[v["VolumeId"].(string)])
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", filter, got, want)
		}
	}
	if got := w.list("ec2", "DescribeVolumes", "Volumes", object{"Filters": append(by("encrypted", "false"), by("status", "available", "creating")...)}); len(got) != 1 {
		t.Errorf("two filters: %v", got)
	}
	w.fails("FilterLimitExceeded", "ec2", "DescribeVolumes", object{"Filters": by("size", slices.Repeat([]string{"1"}, 201)...)})
}

func TestMultiAttach(t *testing.T) {
	w := newWorld(t)
	a, b, xen := w.launch(object{}), w.launch(object{}), w.launch(object{"InstanceType": "t2.micro"})
	v := w.newVolume(object{"Size": int64(20), "VolumeType": "io2", "Iops": int64(500), "MultiAttachEnabled": true})
	attach := func(i string) object { return object{"VolumeId": v, "InstanceId": i, "Device": "/dev/sdf"} }
	w.do("ec2", "AttachVolume", attach(a))
	w.do("ec2", "AttachVolume", attach(b))
	w.fails("VolumeInUse", "ec2", "AttachVolume", attach(a))
	w.fails("InvalidParameterCombination", "ec2", "AttachVolume", attach(xen))
	w.clock.Advance(attachTime)
	if l := objects(w.volume(v)["Attachments"]); len(l) != 2 || l[0]["State"] != "attached" || l[1]["State"] != "attached" {
		t.Errorf("%v", l)
	}
	w.fails("MissingParameter", "ec2", "DetachVolume", object{"VolumeId": v})
	w.fails("InvalidAttachment.NotFound", "ec2", "DetachVolume", object{"VolumeId": v, "InstanceId": xen})
	w.do("ec2", "DetachVolume", object{"VolumeId": v, "InstanceId": a})
	w.clock.Advance(detachTime)
	if l := objects(w.volume(v)["Attachments"]); len(l) != 1 || l[0]["InstanceId"] != b || w.volume(v)["State"] != "in-use" {
		t.Errorf("%v", l)
	}
	w.do("ec2", "ModifyInstanceAttribute", object{"InstanceId": b, "BlockDeviceMappings": []any{object{"DeviceName": "/dev/sdf", "Ebs": object{"DeleteOnTermination": true}}}})
	w.do("ec2", "AttachVolume", attach(a))
	w.clock.Advance(attachTime)
	w.do("ec2", "TerminateInstances", object{"InstanceIds": ids(b)})
	w.clock.Advance(instanceDestroy)
	// It outlives the termination of one of its instances, whatever is set there.
	if l := objects(w.volume(v)["Attachments"]); len(l) != 1 || l[0]["InstanceId"] != a {
		t.Errorf("%v", l)
	}
}

func TestARootVolumeIsDetachedOfAStoppedInstanceOnly(t *testing.T) {
	w := newWorld(t)
	i := w.launch(object{})
	root := w.one("ec2", "DescribeVolumes", "Volumes", nil)["VolumeId"].(string)
	w.fails("OperationNotPermitted", "ec2", "DetachVolume", object{"VolumeId": root})
	w.do("ec2", "StopInstances", object{"InstanceIds": ids(i)})
	w.clock.Advance(instanceStop)
	w.fails("InvalidAttachment.NotFound", "ec2", "DetachVolume", object{"VolumeId": root, "Device": "/dev/sdz"})
	w.do("ec2", "DetachVolume", object{"VolumeId": root})
	if got := w.attachment(root)["State"]; got != "detaching" {
		t.Errorf("%v", got)
	}
}

func TestModifyVolume(t *testing.T) {
	w := newWorld(t)
	v := w.newVolume(object{"Size": int64(100), "VolumeType": "gp2"})
	base := object{"VolumeId": v}
	w.refused("ec2", "ModifyVolume", base, map[string][]object{
		"MissingParameter":            {{}, {"VolumeId": nil}, {"VolumeType": "io1"}},
		"InvalidParameterValue":       {{"Size": int64(50)}, {"VolumeType": "gp9"}, {"VolumeType": "gp3", "Iops": int64(100)}},
		"InvalidParameterCombination": {{"Iops": int64(4000)}, {"MultiAttachEnabled": true}},
		"InvalidVolume.NotFound":      {{"VolumeId": "vol-1"}},
	})
	m := w.do("ec2", "ModifyVolume", with(base, "Size", int64(200), "VolumeType", "gp3"))["VolumeModification"].(object)
	if m["ModificationState"] != "modifying" || m["OriginalSize"] != int64(100) || m["TargetSize"] != int64(200) || m["TargetIops"] != int64(3000) || m["Progress"] != int64(0) {
		t.Errorf("%v", m)
	}
	if w.volume(v)["Size"] != int64(100) {
		t.Error("the size has changed at once")
	}
	w.fails("IncorrectModificationState", "ec2", "ModifyVolume", with(base, "Size", int64(300)))
	w.clock.Advance(modifyingTime)
	if got := w.volume(v); got["Size"] != int64(200) || got["VolumeType"] != "gp3" || got["Throughput"] != int64(125) || got["State"] != "available" {
		t.Errorf("%v", got)
	}
	w.clock.Advance(2 * time.Minute)
	state := func() object {
		return w.one("ec2", "DescribeVolumesModifications", "VolumesModifications", object{"VolumeIds": ids(v)})
	}
	if s := state(); s["ModificationState"] != "optimizing" || s["Progress"].(int64) < 40 || s["Progress"].(int64) > 60 {
		t.Errorf("half way: %v", s)
	}
	w.clock.Advance(10 * time.Minute)
	if s := state(); s["ModificationState"] != "completed" || s["Progress"] != int64(100) || s["EndTime"] == nil {
		t.Errorf("%v", s)
	}
	w.fails("VolumeModificationRateExceeded", "ec2", "ModifyVolume", with(base, "Size", int64(300)))
	w.clock.Advance(betweenModifications)
	w.do("ec2", "ModifyVolume", with(base, "Iops", int64(4000)))
	w.clock.Advance(modifyingTime)
	if got := w.volume(v); got["Iops"] != int64(4000) || got["Throughput"] != int64(125) || got["Size"] != int64(200) {
		t.Errorf("%v", got)
	}
	if got := w.list("ec2", "DescribeVolumesModifications", "VolumesModifications", object{"Filters": by("modification-state", "completed")}); len(got) != 0 {
		t.Errorf("%v", got)
	}
	w.fails("InvalidVolumeModification.NotFound", "ec2", "DescribeVolumesModifications", object{"VolumeIds": ids(w.newVolume(object{"Size": int64(1)}))})
}

// inRegion is the same world seen from another Region.
func (w *world) inRegion(region string) *world {
	there := *w
	there.key += "@" + region
	return &there
}

// ofAccount is the same world seen by another account's operator.
func (w *world) ofAccount(account string) *world {
	w.t.Helper()
	if _, ok := w.state.Accounts[account]; !ok {
		if err := w.addAccount(account, ""); err != nil {
			w.t.Fatal(err)
		}
	}
	there := *w
	there.key = w.operatorKey(account)
	return &there
}

func TestACopyInAnotherRegionHasThatRegionsKey(t *testing.T) {
	w := newWorld(t)
	there := w.inRegion("us-east-1")
	v := w.newVolume(object{"Size": int64(10), "Encrypted": true})
	s := w.do("ec2", "CreateSnapshot", object{"VolumeId": v})["SnapshotId"].(string)
	w.clock.Advance(time.Hour)
	there.fails("InvalidSnapshot.NotFound", "ec2", "DescribeSnapshots", object{"SnapshotIds": ids(s)})
	there.fails("InvalidParameterValue", "ec2", "CopySnapshot", object{"SourceRegion": "eu-nowhere-1", "SourceSnapshotId": s})
	there.fails("InvalidSnapshot.NotFound", "ec2", "CopySnapshot", object{"SourceRegion": "us-east-1", "SourceSnapshotId": s})
	n := there.do("ec2", "CopySnapshot", object{"SourceRegion": "eu-west-1", "SourceSnapshotId": s, "Description": "over the sea"})["SnapshotId"].(string)
	c := there.one("ec2", "DescribeSnapshots", "Snapshots", object{"SnapshotIds": ids(n)})
	key := there.do("kms", "DescribeKey", object{"KeyId": "alias/aws/ebs"})["KeyMetadata"].(object)["Arn"]
	if c["Encrypted"] != true || c["KmsKeyId"] != key || c["State"] != "pending" || c["Description"] != "over the sea" || w.volume(v)["KmsKeyId"] == key {
		t.Errorf("%v, the key of us-east-1 is %v", c, key)
	}
	// Encryption by default is for copies too.
	plain := w.do("ec2", "CreateSnapshot", object{"VolumeId": w.newVolume(object{"Size": int64(1)})})["SnapshotId"].(string)
	w.clock.Advance(time.Hour)
	w.fails("InvalidParameterDependency", "ec2", "CopySnapshot", object{"SourceRegion": "eu-west-1", "SourceSnapshotId": plain, "KmsKeyId": "alias/aws/ebs"})
	there.do("ec2", "EnableEbsEncryptionByDefault", nil)
	n = there.do("ec2", "CopySnapshot", object{"SourceRegion": "eu-west-1", "SourceSnapshotId": plain})["SnapshotId"].(string)
	if c := there.one("ec2", "DescribeSnapshots", "Snapshots", object{"SnapshotIds": ids(n)}); c["Encrypted"] != true {
		t.Errorf("%v", c)
	}
	there.do("ec2", "DisableEbsEncryptionByDefault", nil)
	if got := there.do("ec2", "GetEbsEncryptionByDefault", nil)["EbsEncryptionByDefault"]; got != false {
		t.Errorf("%v", got)
	}
}

func TestTheDefaultKeyForEBS(t *testing.T) {
	w := newWorld(t)
	if got := w.do("ec2", "GetEbsDefaultKmsKeyId", nil)["KmsKeyId"]; got != "alias/aws/ebs" {
		t.Errorf("%v", got)
	}
	key := w.do("kms", "CreateKey", nil)["KeyMetadata"].(object)
	w.fails("InvalidParameterValue", "ec2", "ModifyEbsDefaultKmsKeyId", object{"KmsKeyId": "alias/nobody"})
	w.do("ec2", "ModifyEbsDefaultKmsKeyId", object{"KmsKeyId": key["KeyId"]})
	if got := w.do("ec2", "GetEbsDefaultKmsKeyId", nil)["KmsKeyId"]; got != key["Arn"] {
		t.Errorf("%v", got)
	}
	w.do("ec2", "EnableEbsEncryptionByDefault", nil)
	v := w.newVolume(object{"Size": int64(1)})
	if got := w.volume(v); got["Encrypted"] != true || got["KmsKeyId"] != key["Arn"] {
		t.Errorf("%v", got)
	}
	i := w.launch(object{})
	if got := w.one("ec2", "DescribeVolumes", "Volumes", object{"Filters": by("attachment.instance-id", i)}); got["KmsKeyId"] != key["Arn"] {
		t.Errorf("%v", got)
	}
	w.do("ec2", "StopInstances", object{"InstanceIds": ids(i)})
	w.clock.Advance(instanceStop)
	w.do("kms", "DisableKey", object{"KeyId": key["KeyId"]})
	w.fails("Client.InvalidKMSKey.InvalidState", "ec2", "StartInstances", object{"InstanceIds": ids(i)})
	w.do("ec2", "ResetEbsDefaultKmsKeyId", nil)
	if got := w.volume(w.newVolume(object{"Size": int64(1)}))["KmsKeyId"]; got == key["Arn"] {
		t.Errorf("%v after the reset", got)
	}
}

func TestSharedSnapshots(t *testing.T) {
	w := newWorld(t)
	other := w.ofAccount("444455556666")
	s := w.do("ec2", "CreateSnapshot", object{"VolumeId": w.newVolume(object{"Size": int64(8)}), "TagSpecifications": []any{object{"ResourceType": "snapshot", "Tags": []any{object{"Key": "secret", "Value": "tag"}}}}})["SnapshotId"].(string)
	w.clock.Advance(time.Hour)
	base := object{"SnapshotId": s, "Attribute": "createVolumePermission"}
	seen := func() int {
		return len(other.list("ec2", "DescribeSnapshots", "Snapshots", object{"OwnerIds": ids("111122223333")}))
	}
	w.refused("ec2", "ModifySnapshotAttribute", base, map[string][]object{
		"InvalidUserID.Malformed":  {{"OperationType": "add", "UserIds": ids("nobody")}},
		"MissingParameter":         {{}, {"UserIds": ids("444455556666")}},
		"InvalidParameterValue":    {{"Attribute": "colour", "OperationType": "add", "GroupNames": ids("all")}},
		"InvalidSnapshot.NotFound": {{"SnapshotId": "snap-1", "OperationType": "add", "GroupNames": ids("all")}},
	})
	if seen() != 0 {
		t.Error("it is seen before it is shared")
	}
	w.do("ec2", "ModifySnapshotAttribute", with(base, "CreateVolumePermission", object{"Add": []any{object{"UserId": "444455556666"}}}))
	if seen() != 1 {
		t.Error("it is not seen by whom it is shared with")
	}
	got := other.one("ec2", "DescribeSnapshots", "Snapshots", object{"SnapshotIds": ids(s)})
	if got["Tags"] != nil || got["OwnerId"] != "111122223333" {
		t.Errorf("%v", got)
	}
	other.do("ec2", "CreateVolume", object{"AvailabilityZone": "eu-west-1a", "SnapshotId": s})
	other.fails("InvalidSnapshot.NotFound", "ec2", "DeleteSnapshot", object{"SnapshotId": s})
	w.do("ec2", "ModifySnapshotAttribute", with(base, "OperationType", "remove", "UserIds", ids("444455556666")))
	w.do("ec2", "ModifySnapshotAttribute", with(base, "OperationType", "add", "GroupNames", ids("all")))
	list := w.list("ec2", "DescribeSnapshotAttribute", "CreateVolumePermissions", base)
	if len(list) != 1 || list[0]["Group"] != "all" || seen() != 1 {
		t.Errorf("%v", list)
	}
	if n := len(w.list("ec2", "DescribeSnapshots", "Snapshots", object{"OwnerIds": ids("self"), "RestorableByUserIds": ids("all")})); n != 1 {
		t.Errorf("%d public snapshots of one's own", n)
	}
	w.do("ec2", "EnableSnapshotBlockPublicAccess", object{"State": "block-new-sharing"})
	if seen() != 1 {
		t.Error("a block of new sharing hides what is public")
	}
	w.do("ec2", "EnableSnapshotBlockPublicAccess", object{"State": "block-all-sharing"})
	if seen() != 0 || w.do("ec2", "GetSnapshotBlockPublicAccessState", nil)["State"] != "block-all-sharing" {
		t.Error("a block of all sharing hides nothing")
	}
	w.do("ec2", "ResetSnapshotAttribute", base)
	w.fails("OperationNotPermitted", "ec2", "ModifySnapshotAttribute", with(base, "OperationType", "add", "GroupNames", ids("all")))
	w.do("ec2", "DisableSnapshotBlockPublicAccess", nil)
	w.do("ec2", "ModifySnapshotAttribute", with(base, "OperationType", "add", "GroupNames", ids("all")))
	secret := w.do("ec2", "CreateSnapshot", object{"VolumeId": w.newVolume(object{"Size": int64(8), "Encrypted": true})})["SnapshotId"]
	for _, in := range []object{{"GroupNames": ids("all")}, {"UserIds": ids("444455556666")}} {
		w.fails("OperationNotPermitted", "ec2", "ModifySnapshotAttribute", with(with(in, "OperationType", "add"), "SnapshotId", secret))
	}
	w.fails("InvalidParameterValue", "ec2", "EnableSnapshotBlockPublicAccess", object{"State": "shut"})
	w.fails("InvalidParameterValue", "ec2", "DescribeSnapshotAttribute", object{"SnapshotId": s, "Attribute": "colour"})
}
