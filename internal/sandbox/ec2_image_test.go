package sandbox

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestImages(t *testing.T) {
	w := newWorld(t)
	public := w.one("ec2", "DescribeImages", "Images", object{"Owners": ids("amazon"), "Filters": append(by("name", "al2023-ami-2023.*"), by("architecture", "x86_64")...)})
	if public["ImageId"] != linux || public["Public"] != true || public["ImdsSupport"] != "v2.0" || public["OwnerId"] != amazonOwner {
		t.Errorf("%v", public)
	}
	i := w.launch(object{"BlockDeviceMappings": []any{object{"DeviceName": "/dev/sdf", "Ebs": object{"VolumeSize": int64(5), "Encrypted": true}}}})
	w.clock.Advance(instanceChecks)
	base := object{"InstanceId": i, "Name": "golden"}
	w.refused("ec2", "CreateImage", base, map[string][]object{
		"InvalidInstanceID.NotFound": {{"InstanceId": "i-1"}}, "InvalidAMIName.Malformed": {{"Name": "x"}, {"Name": "a*b"}}, "MissingParameter": {{"Name": nil}},
	})
	checks := func() any {
		return at(w.one("ec2", "DescribeInstanceStatus", "InstanceStatuses", nil), "InstanceStatus.Status")
	}
	w.do("ec2", "CreateImage", with(base, "Name", "live", "NoReboot", true))
	if got := checks(); got != "ok" {
		t.Errorf("after NoReboot the checks are %v", got)
	}
	id := w.do("ec2", "CreateImage", with(base, "TagSpecifications", []any{object{"ResourceType": "image", "Tags": []any{object{"Key": "Name", "Value": "golden"}}}}))["ImageId"].(string)
	if got := checks(); got != "initializing" {
		t.Errorf("after a reboot the checks are %v", got)
	}
	w.fails("InvalidAMIName.Duplicate", "ec2", "CreateImage", base)
	image := func() object { return w.one("ec2", "DescribeImages", "Images", object{"ImageIds": ids(id)}) }
	w.fails("InvalidAMIID.Unavailable", "ec2", "RunInstances", with(oneInstance, "ImageId", id))
	if got := image(); got["State"] != "pending" || len(objects(got["BlockDeviceMappings"])) != 2 || got["SourceInstanceId"] != i {
		t.Errorf("%v", got)
	}
	w.clock.Advance(5 * time.Minute)
	if got := image(); got["State"] != "available" {
		t.Errorf("%v", got)
	}
	child := w.launch(object{"ImageId": id})
	for _, v := range w.list("ec2", "DescribeVolumes", "Volumes", object{"Filters": by("attachment.instance-id", child)}) {
		if (v["Encrypted"] == true) != (at(v, "Attachments.0.Device") == "/dev/sdf") || v["SnapshotId"] == "" {
			t.Errorf("%v", v)
		}
	}
	there := w.inRegion("us-east-1")
	there.fails("InvalidAMIID.NotFound", "ec2", "CopyImage", object{"SourceRegion": "us-east-1", "SourceImageId": id, "Name": "copy"})
	in := object{"SourceRegion": "eu-west-1", "SourceImageId": id, "Name": "copy", "Encrypted": true, "ClientToken": "t"}
	copied := there.do("ec2", "CopyImage", in)["ImageId"].(string)
	if again := there.do("ec2", "CopyImage", in)["ImageId"]; again != copied {
		t.Errorf("%v, then %v", copied, again)
	}
	there.clock.Advance(5 * time.Minute)
	got := there.one("ec2", "DescribeImages", "Images", object{"Owners": ids("self")})
	if got["State"] != "available" || got["SourceImageId"] != id || at(got, "BlockDeviceMappings.0.Ebs.Encrypted") != true || at(got, "BlockDeviceMappings.1.Ebs.Encrypted") != true || got["Tags"] != nil {
		t.Errorf("%v", got)
	}
	other := w.ofAccount("444455556666")
	other.fails("InvalidAMIID.NotFound", "ec2", "DescribeImages", object{"ImageIds": ids(id)})
	w.do("ec2", "ModifyImageAttribute", object{"ImageId": id, "LaunchPermission": object{"Add": []any{object{"UserId": "444455556666"}}}})
	if l := other.list("ec2", "DescribeImages", "Images", object{"ImageIds": ids(id)}); len(l) != 1 || l[0]["Tags"] != nil {
		t.Errorf("%v", l)
	}
	other.fails("AuthFailure", "ec2", "DeregisterImage", object{"ImageId": id})
	w.fails("InvalidParameterValue", "ec2", "ModifyImageAttribute", object{"ImageId": id, "LaunchPermission": object{"Add": []any{object{"Group": "all"}}}}) // a snapshot is encrypted
	if l := w.list("ec2", "DescribeImageAttribute", "LaunchPermissions", object{"ImageId": id, "Attribute": "launchPermission"}); len(l) != 1 {
		t.Errorf("%v", l)
	}
	snapshot := at(image(), "BlockDeviceMappings.0.Ebs.SnapshotId")
	w.fails("InvalidSnapshot.InUse", "ec2", "DeleteSnapshot", object{"SnapshotId": snapshot})
	out := w.do("ec2", "DeregisterImage", object{"ImageId": id, "DeleteAssociatedSnapshots": true})
	if l := objects(out["DeleteSnapshotResults"]); len(l) != 2 || l[0]["ReturnCode"] != "success" {
		t.Errorf("%v", out)
	}
	w.fails("InvalidAMIID.NotFound", "ec2", "DescribeImages", object{"ImageIds": ids(id)})
	w.fails("InvalidAMIID.NotFound", "ec2", "DeregisterImage", object{"ImageId": id})
	w.fails("AuthFailure", "ec2", "DeregisterImage", object{"ImageId": linux})
	w.fails("InvalidSnapshot.NotFound", "ec2", "DescribeSnapshots", object{"SnapshotIds": []any{snapshot}})
}

func TestLaunchTemplates(t *testing.T) {
	w := newWorld(t)
	base := object{"LaunchTemplateName": "web", "ClientToken": "t", "LaunchTemplateData": object{"ImageId": linux, "InstanceType": "t3.micro", "MetadataOptions": object{"HttpTokens": "optional"},
		"BlockDeviceMappings": []any{object{"DeviceName": "/dev/xvda", "Ebs": object{"VolumeSize": int64(30), "VolumeType": "gp3"}}},
		"TagSpecifications":   []any{object{"ResourceType": "instance", "Tags": []any{object{"Key": "Name", "Value": "web"}, object{"Key": "Team", "Value": "shop"}}}}}}
	id := w.do("ec2", "CreateLaunchTemplate", base)["LaunchTemplate"].(object)["LaunchTemplateId"]
	if again := w.do("ec2", "CreateLaunchTemplate", base)["LaunchTemplate"].(object)["LaunchTemplateId"]; again != id {
		t.Errorf("%v, then %v", id, again)
	}
	w.fails("InvalidLaunchTemplateName.AlreadyExistsException", "ec2", "CreateLaunchTemplate", with(base, "ClientToken", nil))
	w.fails("InvalidLaunchTemplateName.MalformedException", "ec2", "CreateLaunchTemplate", with(base, "ClientToken", nil, "LaunchTemplateName", "a b"))
	name := object{"LaunchTemplateName": "web"}
	v := w.do("ec2", "CreateLaunchTemplateVersion", with(name, "SourceVersion", "1", "VersionDescription", "tokens", "LaunchTemplateData", object{"MetadataOptions": object{"HttpTokens": "required"}}))["LaunchTemplateVersion"].(object)
	if v["VersionNumber"] != int64(2) || v["DefaultVersion"] != false || at(v, "LaunchTemplateData.InstanceType") != "t3.micro" || at(v, "LaunchTemplateData.MetadataOptions.HttpTokens") != "required" {
		t.Errorf("%v", v)
	}
	numbers := func(in object) (out []any) {
		for _, v := range w.list("ec2", "DescribeLaunchTemplateVersions", "LaunchTemplateVersions", in) {
			out = append(out, v["VersionNumber"])
		}
		return out
	}
	for want, in := range map[string]object{"[2 1]": name, "[2]": with(name, "Versions", ids("$Latest")), "[1]": with(name, "Versions", ids("$Default")), "[1 2]": with(name, "Versions", ids("1", "2")),
		"[2 1] ": object{"LaunchTemplateId": id}, "[2] ": with(name, "MinVersion", "2"), "[1] ": with(name, "Filters", by("http-tokens", "optional")), "[2 1]  ": object{"Versions": ids("$Latest", "$Default")}} {
		if got := fmt.Sprint(numbers(in)); got != strings.TrimSpace(want) {
			t.Errorf("%v: %s, want %s", in, got, want)
		}
	}
	w.fails("InvalidLaunchTemplateId.VersionNotFound", "ec2", "DescribeLaunchTemplateVersions", with(name, "Versions", ids("9")))
	w.fails("MissingParameter", "ec2", "DescribeLaunchTemplateVersions", nil)
	w.fails("MissingParameter", "ec2", "CreateLaunchTemplateVersion", object{"LaunchTemplateData": object{}})
	run := func(version string, more ...any) object {
		return w.instance(w.launch(with(object{"LaunchTemplate": object{"LaunchTemplateName": "web", "Version": version}}, more...)))
	}
	one := run("$Default", "InstanceType", "t3.small", "TagSpecifications", []any{object{"ResourceType": "instance", "Tags": []any{object{"Key": "Name", "Value": "mine"}}}})
	if one["InstanceType"] != "t3.small" || at(one, "MetadataOptions.HttpTokens") != "optional" || fmt.Sprint(one["Tags"]) != fmt.Sprintf("[map[Key:Name Value:mine] map[Key:Team Value:shop] map[Key:aws:ec2launchtemplate:id Value:%v] map[Key:aws:ec2launchtemplate:version Value:1]]", id) {
		t.Errorf("%v", one)
	}
	if got := w.one("ec2", "DescribeVolumes", "Volumes", object{"Filters": by("attachment.instance-id", one["InstanceId"].(string))}); got["Size"] != int64(30) || got["VolumeType"] != "gp3" {
		t.Errorf("%v", got)
	}
	w.do("ec2", "ModifyLaunchTemplate", with(name, "DefaultVersion", "2"))
	if two := run(""); at(two, "MetadataOptions.HttpTokens") != "required" {
		t.Errorf("%v", two)
	}
	w.fails("InvalidLaunchTemplateId.VersionNotFound", "ec2", "ModifyLaunchTemplate", with(name, "DefaultVersion", "9"))
	out := w.do("ec2", "DeleteLaunchTemplateVersions", with(name, "Versions", ids("1", "2", "9")))
	if len(objects(out["SuccessfullyDeletedLaunchTemplateVersions"])) != 1 || len(objects(out["UnsuccessfullyDeletedLaunchTemplateVersions"])) != 2 {
		t.Errorf("%v", out)
	}
	w.do("ec2", "DeleteLaunchTemplate", name)
	w.fails("InvalidLaunchTemplateName.NotFoundException", "ec2", "DescribeLaunchTemplates", object{"LaunchTemplateNames": ids("web")})
	w.fails("InvalidLaunchTemplateId.NotFound", "ec2", "DescribeLaunchTemplates", object{"LaunchTemplateIds": []any{id}})
}
