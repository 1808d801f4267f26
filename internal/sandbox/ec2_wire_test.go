package sandbox

import (
	"bytes"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// boto3's own parsers, paginators and waiters on what EC2, Auto Scaling, elbv2 and
// the tagging API answer.
func TestBoto3DrivesEC2(t *testing.T) {
	if err := exec.Command("python3", "-c", "import boto3").Run(); err != nil {
		t.Skip("python3 with boto3 is not installed")
	}
	w := newWorld(t)
	server := httptest.NewServer(w.Sandbox)
	defer server.Close()
	cmd := exec.CommandContext(t.Context(), "python3", "-c", `
import boto3, json, os, urllib.request
from botocore.exceptions import ClientError
ec2, asg, elb, tag = (boto3.client(n) for n in ("ec2", "autoscaling", "elbv2", "resourcegroupstaggingapi"))
there = boto3.client("ec2", region_name="us-east-1")
def wait(s): urllib.request.urlopen(urllib.request.Request(os.environ["AWS_ENDPOINT_URL"] + "/_knowngood/clock", json.dumps({"advance": s}).encode(), method="POST"))
def code(f, **in_):
    try: f(**in_)
    except ClientError as e: return e.response["Error"]["Code"]
print(len(ec2.describe_regions(AllRegions=True)["Regions"]) > 15, ec2.describe_vpcs()["Vpcs"][0]["IsDefault"])
image = ec2.describe_images(Owners=["amazon"], Filters=[{"Name": "name", "Values": ["al2023-*x86_64"]}])["Images"][0]["ImageId"]
ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData={"ImageId": image, "InstanceType": "t3.micro", "MetadataOptions": {"HttpTokens": "required"}})
r = ec2.run_instances(LaunchTemplate={"LaunchTemplateName": "web"}, MinCount=2, MaxCount=2, TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Team", "Value": "shop"}]}])
ids = [i["InstanceId"] for i in r["Instances"]]
wait("1m")
ec2.get_waiter("instance_running").wait(InstanceIds=ids)
print(code(ec2.run_instances, ImageId=image, MinCount=1, MaxCount=1, DryRun=True), code(ec2.modify_instance_attribute, InstanceId=ids[0], InstanceType={"Value": "t3.small"}))
print(ec2.modify_instance_metadata_options(InstanceId=ids[0], HttpPutResponseHopLimit=1)["InstanceMetadataOptions"]["State"])
pages = [len(p["Reservations"]) for p in ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 5})]
print(pages, ec2.describe_instance_types(InstanceTypes=["m5.large"])["InstanceTypes"][0]["MemoryInfo"])
v = ec2.create_volume(AvailabilityZone="eu-west-1a", Size=10, VolumeType="gp3", Encrypted=True)["VolumeId"]
wait("5s")
ec2.attach_volume(VolumeId=v, InstanceId=ids[0], Device="/dev/sdf")
ec2.get_waiter("volume_in_use").wait(VolumeIds=[v])
print(code(ec2.attach_volume, VolumeId=v, InstanceId=ids[1], Device="/dev/sdf"), ec2.modify_volume(VolumeId=v, Size=20)["VolumeModification"]["TargetSize"])
wait("1m")
print(ec2.describe_volumes_modifications(VolumeIds=[v])["VolumesModifications"][0]["ModificationState"], [x["Size"] for x in ec2.describe_volumes(Filters=[{"Name": "encrypted", "Values": ["true"]}])["Volumes"]])
s = ec2.create_snapshot(VolumeId=v)["SnapshotId"]
wait("1m")
ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[s])
c = there.copy_snapshot(SourceRegion="eu-west-1", SourceSnapshotId=s)["SnapshotId"]
print(there.describe_snapshots(SnapshotIds=[c])["Snapshots"][0]["Encrypted"], ec2.describe_snapshot_attribute(SnapshotId=s, Attribute="createVolumePermission")["CreateVolumePermissions"])
g = ec2.create_security_group(GroupName="web", Description="d")["GroupId"]
rule = dict(GroupId=g, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "all"}]}])
print(ec2.authorize_security_group_ingress(**rule)["SecurityGroupRules"][0]["CidrIpv4"], code(ec2.authorize_security_group_ingress, **rule))
print(len(ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [g]}])["SecurityGroupRules"]), ec2.revoke_security_group_ingress(**rule)["Return"])
img = ec2.create_image(InstanceId=ids[0], Name="golden")["ImageId"]
wait("5m")
ec2.get_waiter("image_available").wait(ImageIds=[img])
print(ec2.create_launch_template_version(LaunchTemplateName="web", SourceVersion="1", LaunchTemplateData={"ImageId": img})["LaunchTemplateVersion"]["VersionNumber"])
vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
print(len(ec2.create_flow_logs(ResourceIds=[vpc], ResourceType="VPC", TrafficType="ALL", LogGroupName="g", DeliverLogsPermissionArn="arn:aws:iam::111122223333:role/r")["FlowLogIds"]), ec2.describe_flow_logs()["FlowLogs"][0]["ResourceId"] == vpc)
asg.create_auto_scaling_group(AutoScalingGroupName="web", MinSize=0, MaxSize=4, DesiredCapacity=3, AvailabilityZones=["eu-west-1a", "eu-west-1b"], LaunchTemplate={"LaunchTemplateName": "web", "Version": "1"})
wait("1m")
asg.start_instance_refresh(AutoScalingGroupName="web", DesiredConfiguration={"LaunchTemplate": {"LaunchTemplateName": "web", "Version": "2"}}, Preferences={"MinHealthyPercentage": 50, "InstanceWarmup": 10})
wait("25s")
now = asg.describe_instance_refreshes(AutoScalingGroupName="web")["InstanceRefreshes"][0]
print(now["Status"], now["PercentageComplete"], now["InstancesToUpdate"])
wait("5m")
done = asg.describe_instance_refreshes(AutoScalingGroupName="web")["InstanceRefreshes"][0]
print(done["Status"], done["PercentageComplete"], {i["LaunchTemplate"]["Version"] for i in asg.describe_auto_scaling_groups()["AutoScalingGroups"][0]["Instances"]})
t = elb.create_target_group(Name="web", Protocol="HTTP", Port=80, VpcId=vpc)["TargetGroups"][0]["TargetGroupArn"]
elb.register_targets(TargetGroupArn=t, Targets=[{"Id": ids[0]}])
print(elb.describe_target_health(TargetGroupArn=t)["TargetHealthDescriptions"][0]["TargetHealth"]["Reason"])
tag.tag_resources(ResourceARNList=["arn:aws:ec2:eu-west-1:111122223333:volume/" + v], Tags={"Team": "shop"})
print([len(p["ResourceTagMappingList"]) for p in tag.get_paginator("get_resources").paginate(TagFilters=[{"Key": "Team", "Values": ["shop"]}], ResourcesPerPage=2)])
print([x["PreviousState"]["Name"] for x in ec2.terminate_instances(InstanceIds=ids)["TerminatingInstances"]])
`)
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+server.URL, "AWS_ACCESS_KEY_ID="+OperatorKey, "AWS_SECRET_ACCESS_KEY="+operatorSecret,
		"AWS_DEFAULT_REGION=eu-west-1", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_MAX_ATTEMPTS=1")
	out, err := cmd.CombinedOutput()
	want := `True True
DryRunOperation IncorrectInstanceState
pending
[1] {'SizeInMiB': 8192}
VolumeInUse 20
optimizing [20]
True []
0.0.0.0/0 InvalidPermission.Duplicate
2 True
2
1 True
InProgress 33 2
Successful 100 {'2'}
Target.NotInUse
[2, 1]
['running', 'running']
`
	if err != nil || !strings.HasSuffix(string(out), want) {
		t.Errorf("%v\n%s\nwant\n%s", err, out, want)
	}
}

// What is under way of each kind of state survives a snapshot.
func TestASnapshotHasGroupsImagesAndTemplates(t *testing.T) {
	w := newWorld(t)
	arn := w.balanced()
	w.fleetOf(2, "TargetGroupARNs", ids(arn))
	w.refreshed(object{"MinHealthyPercentage": int64(50), "InstanceWarmup": int64(60)})
	i := w.inService()[0]
	w.do("ec2", "CreateImage", object{"InstanceId": i, "Name": "golden"})
	v := w.newVolume(object{"Size": int64(10)})
	w.do("ec2", "ModifyVolume", object{"VolumeId": v, "Size": int64(20)})
	raw, err := w.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Restore(Options{Catalog: w.catalog}, raw)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := back.Snapshot(); err != nil || !bytes.Equal(raw, again) {
		t.Errorf("a restored sandbox gives another snapshot (%v)", err)
	}
	r := &world{back, t, back.clock.(*ManualClock), OperatorKey}
	for _, w := range []*world{w, r} {
		w.clock.Advance(time.Hour)
		refresh := w.one("autoscaling", "DescribeInstanceRefreshes", "InstanceRefreshes", object{"AutoScalingGroupName": "web"})
		image := w.one("ec2", "DescribeImages", "Images", object{"Owners": ids("self")})
		if refresh["Status"] != "Successful" || image["State"] != "available" || w.volume(v)["Size"] != int64(20) || w.types()["t3.small"] != 2 {
			t.Errorf("%v, %v, %v", refresh, image, w.types())
		}
	}
	a, _ := w.Snapshot()
	if b, _ := r.Snapshot(); !bytes.Equal(a, b) {
		t.Error("an hour later the two differ")
	}
}
