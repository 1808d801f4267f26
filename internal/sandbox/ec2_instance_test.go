package sandbox

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// list makes a call and gives the list under a key of its answer.
func (w *world) list(service, operation, key string, in object) []object {
	w.t.Helper()
	return objects(w.do(service, operation, in)[key])
}

// one makes a call and gives the only member of the list under a key.
func (w *world) one(service, operation, key string, in object) object {
	w.t.Helper()
	l := w.list(service, operation, key, in)
	if len(l) != 1 {
		w.t.Fatalf("%s:%s %v: %d under %s, want one", service, operation, in, len(l), key)
	}
	return l[0]
}

func (w *world) instance(id string) object {
	w.t.Helper()
	return objects(w.one("ec2", "DescribeInstances", "Reservations", object{"InstanceIds": ids(id)})["Instances"])[0]
}

// by is a filter.
func by(name string, values ...string) []any {
	return []any{object{"Name": name, "Values": ids(values...)}}
}

// with gives a call's input with other members; nil takes one away.
func with(in object, members ...any) object {
	out := object{}
	for k, v := range in {
		out[k] = v
	}
	for i := 0; i < len(members); i += 2 {
		if members[i+1] == nil {
			delete(out, members[i].(string))
			continue
		}
		out[members[i].(string)] = members[i+1]
	}
	return out
}

// refused tries inputs on top of a base, each of which fails with its code.
func (w *world) refused(service, operation string, base object, cases map[string][]object) {
	w.t.Helper()
	for code, inputs := range cases {
		for _, in := range inputs {
			all := base
			for k, v := range in {
				all = with(all, k, v)
			}
			w.fails(code, service, operation, all)
		}
	}
}

var oneInstance = object{"ImageId": linux, "MinCount": int64(1), "MaxCount": int64(1)}

func TestWhatRunInstancesRefuses(t *testing.T) {
	w := newWorld(t)
	elsewhere := w.do("ec2", "CreateVpc", object{"CidrBlock": "10.0.0.0/16"})["Vpc"].(object)["VpcId"]
	group := w.do("ec2", "CreateSecurityGroup", object{"GroupName": "g", "Description": "d", "VpcId": elsewhere})["GroupId"].(string)
	subnet := w.list("ec2", "DescribeSubnets", "Subnets", nil)[0]["SubnetId"]
	w.refused("ec2", "RunInstances", oneInstance, map[string][]object{
		"MissingParameter": {{"ImageId": nil}, {"MinCount": nil},
			{"LaunchTemplate": object{}}, {"BlockDeviceMappings": []any{object{"DeviceName": "/dev/sdf", "Ebs": object{}}}}},
		"InvalidAMIID.NotFound":     {{"ImageId": "ami-1"}},
		"InvalidAMIID.Malformed":    {{"ImageId": "debian"}},
		"InvalidSubnetID.NotFound":  {{"SubnetId": "subnet-1"}},
		"InvalidGroup.NotFound":     {{"SecurityGroupIds": ids("sg-1")}, {"SecurityGroups": ids("nobody")}},
		"InvalidParameter":          {{"SecurityGroupIds": ids(group)}},
		"InvalidBlockDeviceMapping": {{"BlockDeviceMappings": []any{object{"DeviceName": "/dev/sdf"}}}},
		"InvalidSnapshot.NotFound":  {{"BlockDeviceMappings": []any{object{"DeviceName": "/dev/sdf", "Ebs": object{"SnapshotId": "snap-1"}}}}},
		"InvalidParameterCombination": {
			{"SubnetId": subnet, "NetworkInterfaces": []any{object{"DeviceIndex": int64(0)}}},
			{"BlockDeviceMappings": []any{object{"DeviceName": "/dev/sdf", "Ebs": object{"VolumeSize": int64(8), "VolumeType": "gp2", "Iops": int64(3000)}}}},
			{"LaunchTemplate": object{"LaunchTemplateId": "lt-1", "LaunchTemplateName": "web"}}},
		"InvalidParameterValue": {{"InstanceType": "t9.huge"}, {"InstanceType": "t4g.micro"}, {"MinCount": int64(0)}, {"MinCount": int64(2)},
			{"Placement": object{"AvailabilityZone": "eu-west-1z"}}, {"Placement": object{"AvailabilityZone": "eu-west-1b"}, "SubnetId": subnetIn(w, "eu-west-1a")},
			{"MetadataOptions": object{"HttpTokens": "maybe"}}, {"MetadataOptions": object{"HttpPutResponseHopLimit": int64(65)}},
			{"IamInstanceProfile": object{"Arn": "arn:aws:iam::111122223333:role/r"}}, {"IamInstanceProfile": object{"Name": "nobody"}},
			{"BlockDeviceMappings": []any{object{"DeviceName": "/dev/xvda", "Ebs": object{"VolumeSize": int64(1)}}}}},
		"InvalidLaunchTemplateId.NotFound":            {{"LaunchTemplate": object{"LaunchTemplateId": "lt-1"}}},
		"InvalidLaunchTemplateName.NotFoundException": {{"LaunchTemplate": object{"LaunchTemplateName": "nobody"}}},
		"InstanceLimitExceeded":                       {{"MinCount": int64(1001), "MaxCount": int64(1001)}},
		"DryRunOperation":                             {{"DryRun": true}},
	})
	if n := len(w.list("ec2", "DescribeInstances", "Reservations", nil)) + len(w.list("ec2", "DescribeVolumes", "Volumes", nil)); n != 0 {
		t.Errorf("%d resources after calls that were all refused", n)
	}
}

func subnetIn(w *world, zone string) string {
	return w.one("ec2", "DescribeSubnets", "Subnets", object{"Filters": by("availability-zone", zone)})["SubnetId"].(string)
}

func TestRunInstances(t *testing.T) {
	w := newWorld(t)
	w.do("iam", "CreateInstanceProfile", object{"InstanceProfileName": "web", "Path": "/app/"})
	in := object{"ImageId": linux, "MinCount": int64(1), "MaxCount": int64(3), "ClientToken": "once", "InstanceType": "t3.micro", "KeyName": "k", "DisableApiTermination": true,
		"IamInstanceProfile": object{"Name": "web"}, "Monitoring": object{"Enabled": true}, "EbsOptimized": true,
		"MetadataOptions":     object{"HttpTokens": "optional", "HttpPutResponseHopLimit": int64(3)},
		"BlockDeviceMappings": []any{object{"DeviceName": "/dev/xvda", "Ebs": object{"VolumeSize": int64(30)}}, object{"DeviceName": "/dev/sdf", "Ebs": object{"VolumeSize": int64(5), "Encrypted": true, "DeleteOnTermination": false}}},
		"TagSpecifications": []any{object{"ResourceType": "instance", "Tags": []any{object{"Key": "Name", "Value": "web"}}},
			object{"ResourceType": "volume", "Tags": []any{object{"Key": "Of", "Value": "web"}}}}}
	out := w.do("ec2", "RunInstances", in)
	made := objects(out["Instances"])
	if again := w.do("ec2", "RunInstances", in); !reflect.DeepEqual(out, again) {
		t.Errorf("the client token gave\n%v\nthen\n%v", out, again)
	}
	w.fails("IdempotentParameterMismatch", "ec2", "RunInstances", with(in, "KeyName", "other"))
	if len(made) != 3 || len(w.list("ec2", "DescribeInstances", "Reservations", nil)) != 1 {
		t.Fatalf("%d instances, want 3 in one reservation", len(made))
	}
	addresses := map[any]bool{}
	for n, i := range made {
		addresses[i["PrivateIpAddress"]] = true
		if i["AmiLaunchIndex"] != int64(n) || i["State"].(object)["Name"] != "pending" || !strings.HasPrefix(i["PrivateIpAddress"].(string), "172.31.") {
			t.Errorf("instance %d: %v", n, i)
		}
	}
	if len(addresses) != 3 {
		t.Errorf("private addresses %v", addresses)
	}
	w.clock.Advance(instanceStart)
	i := w.instance(made[0]["InstanceId"].(string))
	if profile := at(i, "IamInstanceProfile.Arn"); profile != "arn:aws:iam::111122223333:instance-profile/app/web" {
		t.Errorf("profile %v", profile)
	}
	if m := i["MetadataOptions"].(object); m["HttpTokens"] != "optional" || m["HttpPutResponseHopLimit"] != int64(3) || m["State"] != "applied" {
		t.Errorf("metadata options %v", m)
	}
	if at(i, "Monitoring.State") != "enabled" || i["KeyName"] != "k" || i["PublicIpAddress"] == nil || at(i, "SecurityGroups.0.GroupName") != "default" || i["EbsOptimized"] != true {
		t.Errorf("%v", i)
	}
	volumes := w.list("ec2", "DescribeVolumes", "Volumes", object{"Filters": append(by("attachment.instance-id", i["InstanceId"].(string)), by("tag:Of", "web")...)})
	if len(volumes) != 2 {
		t.Fatalf("%d volumes", len(volumes))
	}
	sizes := map[any][]any{}
	for _, v := range volumes {
		sizes[at(v, "Attachments.0.Device")] = []any{v["Size"], v["VolumeType"], v["Encrypted"], at(v, "Attachments.0.DeleteOnTermination")}
	}
	// The root volume has what the image says but for its size.
	if want := map[any][]any{"/dev/xvda": {int64(30), "gp3", false, true}, "/dev/sdf": {int64(5), "gp2", true, false}}; !reflect.DeepEqual(sizes, want) {
		t.Errorf("%v, want %v", sizes, want)
	}
	first := ids(i["InstanceId"].(string))
	w.fails("OperationNotPermitted", "ec2", "TerminateInstances", object{"InstanceIds": first})
	w.do("ec2", "ModifyInstanceAttribute", object{"InstanceId": first[0], "DisableApiTermination": object{"Value": false}})
	w.do("ec2", "TerminateInstances", object{"InstanceIds": first})
	w.clock.Advance(time.Minute)
	left := w.list("ec2", "DescribeVolumes", "Volumes", object{"Filters": by("status", "available")})
	if len(left) != 1 || left[0]["Size"] != int64(5) {
		t.Errorf("volumes left: %v", left)
	}
	if i := w.instance(first[0].(string)); at(i, "StateReason.Code") != "Client.UserInitiatedShutdown" || len(i["NetworkInterfaces"].([]any)) != 0 {
		t.Errorf("%v", i)
	}
	w.clock.Advance(terminatedFor)
	if n := len(objects(w.list("ec2", "DescribeInstances", "Reservations", nil)[0]["Instances"])); n != 2 {
		t.Errorf("an hour after the termination %d instances are described", n)
	}
}

func TestAmazonLinux2023NeedsTokens(t *testing.T) {
	w := newWorld(t)
	i := w.launch(object{})
	if m := w.instance(i)["MetadataOptions"].(object); m["HttpTokens"] != "required" || m["HttpPutResponseHopLimit"] != int64(2) {
		t.Errorf("%v", m)
	}
	old := w.launch(object{"ImageId": "ami-0e3c4d5e6f708192a"})
	if m := w.instance(old)["MetadataOptions"].(object); m["HttpTokens"] != "optional" || m["HttpPutResponseHopLimit"] != int64(1) {
		t.Errorf("%v", m)
	}
	out := w.do("ec2", "ModifyInstanceMetadataOptions", object{"InstanceId": old, "HttpTokens": "required"})["InstanceMetadataOptions"].(object)
	if out["State"] != "pending" || out["HttpTokens"] != "required" || out["HttpEndpoint"] != "enabled" {
		t.Errorf("%v", out)
	}
	w.clock.Advance(metadataTime)
	if m := w.instance(old)["MetadataOptions"].(object); m["State"] != "applied" || m["HttpTokens"] != "required" {
		t.Errorf("%v", m)
	}
	w.refused("ec2", "ModifyInstanceMetadataOptions", object{"InstanceId": old}, map[string][]object{
		"InvalidParameterValue":      {{"HttpTokens": "no"}, {"HttpEndpoint": "off"}, {"HttpPutResponseHopLimit": int64(0)}},
		"InvalidInstanceID.NotFound": {{"InstanceId": "i-1"}},
		"MissingParameter":           {{"InstanceId": nil}},
	})
	w.do("ec2", "TerminateInstances", object{"InstanceIds": ids(old)})
	w.fails("IncorrectInstanceState", "ec2", "ModifyInstanceMetadataOptions", object{"InstanceId": old, "HttpTokens": "optional"})
}

func TestInstanceAttributes(t *testing.T) {
	w := newWorld(t)
	i := w.launch(object{"InstanceType": "m5.large", "UserData": "IyEvYmluL3No"})
	base := object{"InstanceId": i}
	w.refused("ec2", "ModifyInstanceAttribute", base, map[string][]object{
		"IncorrectInstanceState":        {{"InstanceType": object{"Value": "m5.xlarge"}}, {"EbsOptimized": object{"Value": true}}, {"UserData": object{"Value": []byte("x")}}},
		"InvalidGroup.NotFound":         {{"Groups": ids("sg-1")}},
		"InvalidInstanceAttributeValue": {{"BlockDeviceMappings": []any{object{"DeviceName": "/dev/sdz", "Ebs": object{"DeleteOnTermination": true}}}}},
		"InvalidParameterValue":         {{"Attribute": "colour", "Value": "red"}, {"Attribute": "disableApiStop", "Value": "perhaps"}, {"InstanceInitiatedShutdownBehavior": object{"Value": "sleep"}}},
		"InvalidInstanceID.NotFound":    {{"InstanceId": "i-1"}},
	})
	// One that is refused changes nothing of what else the call says.
	w.fails("IncorrectInstanceState", "ec2", "ModifyInstanceAttribute", with(base, "DisableApiStop", object{"Value": true}, "InstanceType", object{"Value": "m5.xlarge"}))
	if v := at(w.do("ec2", "DescribeInstanceAttribute", with(base, "Attribute", "disableApiStop")), "DisableApiStop.Value"); v != false {
		t.Errorf("disableApiStop is %v", v)
	}
	w.do("ec2", "ModifyInstanceAttribute", with(base, "Attribute", "sourceDestCheck", "Value", "false"))
	w.do("ec2", "ModifyInstanceAttribute", with(base, "InstanceInitiatedShutdownBehavior", object{"Value": "terminate"}))
	w.do("ec2", "StopInstances", object{"InstanceIds": ids(i)})
	w.fails("IncorrectInstanceState", "ec2", "ModifyInstanceAttribute", with(base, "InstanceType", object{"Value": "m5.xlarge"})) // it is stopping
	w.fails("IncorrectInstanceState", "ec2", "StartInstances", object{"InstanceIds": ids(i)})
	w.clock.Advance(instanceStop)
	w.refused("ec2", "ModifyInstanceAttribute", base, map[string][]object{"InvalidParameterValue": {{"InstanceType": object{"Value": "m9.large"}}, {"InstanceType": object{"Value": "m6g.large"}}}})
	w.do("ec2", "ModifyInstanceAttribute", with(base, "InstanceType", object{"Value": "r5.large"}))
	for name, want := range map[string]any{"instanceType.InstanceType.Value": "r5.large", "sourceDestCheck.SourceDestCheck.Value": false, "userData.UserData.Value": "IyEvYmluL3No",
		"instanceInitiatedShutdownBehavior.InstanceInitiatedShutdownBehavior.Value": "terminate", "rootDeviceName.RootDeviceName.Value": "/dev/xvda", "groupSet.Groups.0.GroupName": "default"} {
		attribute, path, _ := strings.Cut(name, ".")
		if got := at(w.do("ec2", "DescribeInstanceAttribute", with(base, "Attribute", attribute)), path); got != want {
			t.Errorf("%s is %v, want %v", attribute, got, want)
		}
	}
	w.fails("InvalidParameterValue", "ec2", "DescribeInstanceAttribute", with(base, "Attribute", "colour"))
}

func TestStatesOfManyInstancesChangeTogetherOrNotAtAll(t *testing.T) {
	w := newWorld(t)
	a, b := w.launch(object{}), w.launch(object{"DisableApiStop": true})
	w.fails("OperationNotPermitted", "ec2", "StopInstances", object{"InstanceIds": ids(a, b)})
	w.fails("InvalidInstanceID.NotFound", "ec2", "StopInstances", object{"InstanceIds": ids(a, "i-1")})
	if got := w.instanceState(a); got != "running" {
		t.Errorf("%s after calls that were refused", got)
	}
	w.fails("MissingParameter", "ec2", "StopInstances", nil)
	w.do("ec2", "RebootInstances", object{"InstanceIds": ids(a)})
	if got := w.instanceState(a); got != "running" {
		t.Errorf("%s after a reboot", got)
	}
	address := w.instance(a)["PublicIpAddress"]
	change := w.one("ec2", "StopInstances", "StoppingInstances", object{"InstanceIds": ids(a)})
	if at(change, "PreviousState.Name") != "running" || at(change, "CurrentState.Code") != int64(64) {
		t.Errorf("%v", change)
	}
	w.clock.Advance(instanceStop)
	if got := w.instance(a); got["PublicIpAddress"] != nil || !strings.HasPrefix(got["StateTransitionReason"].(string), "User initiated (2026-11-24") {
		t.Errorf("%v", got)
	}
	w.fails("IncorrectInstanceState", "ec2", "RebootInstances", object{"InstanceIds": ids(a)})
	root := w.one("ec2", "DescribeVolumes", "Volumes", object{"Filters": by("attachment.instance-id", a)})["VolumeId"].(string)
	w.do("ec2", "DetachVolume", object{"VolumeId": root})
	w.clock.Advance(detachTime)
	w.fails("IncorrectInstanceState", "ec2", "StartInstances", object{"InstanceIds": ids(a)}) // it has no root volume
	w.do("ec2", "AttachVolume", object{"VolumeId": root, "InstanceId": a, "Device": "/dev/xvda"})
	w.do("ec2", "StartInstances", object{"InstanceIds": ids(a)})
	w.clock.Advance(instanceStart)
	if got := w.instance(a)["PublicIpAddress"]; got == nil || got == address {
		t.Errorf("the address is %v, before the stop it was %v", got, address)
	}
	w.do("ec2", "TerminateInstances", object{"InstanceIds": ids(a)})
	w.do("ec2", "TerminateInstances", object{"InstanceIds": ids(a)})
	w.fails("IncorrectInstanceState", "ec2", "StartInstances", object{"InstanceIds": ids(a)})
}

func TestASpotRequestThatPersistsCanBeStopped(t *testing.T) {
	w := newWorld(t)
	i := w.launch(object{"InstanceMarketOptions": object{"MarketType": "spot", "SpotOptions": object{"SpotInstanceType": "persistent", "InstanceInterruptionBehavior": "stop"}}})
	w.do("ec2", "StopInstances", object{"InstanceIds": ids(i)})
	if w.instance(i)["InstanceLifecycle"] != "spot" {
		t.Error("it is no spot instance")
	}
}

func TestInstanceStatus(t *testing.T) {
	w := newWorld(t)
	i := w.launch(object{})
	status := func() any {
		return at(w.one("ec2", "DescribeInstanceStatus", "InstanceStatuses", object{"InstanceIds": ids(i)}), "InstanceStatus.Status")
	}
	if got := status(); got != "initializing" {
		t.Errorf("%v", got)
	}
	w.clock.Advance(instanceChecks)
	if got := status(); got != "ok" {
		t.Errorf("%v", got)
	}
	w.do("ec2", "StopInstances", object{"InstanceIds": ids(i)})
	w.clock.Advance(instanceStop)
	if got := w.list("ec2", "DescribeInstanceStatus", "InstanceStatuses", nil); len(got) != 0 {
		t.Errorf("a stopped one is told: %v", got)
	}
	if got := w.one("ec2", "DescribeInstanceStatus", "InstanceStatuses", object{"IncludeAllInstances": true}); at(got, "InstanceStatus.Status") != "not-applicable" {
		t.Errorf("%v", got)
	}
}

func TestInstanceFilters(t *testing.T) {
	w := newWorld(t)
	w.do("iam", "CreateInstanceProfile", object{"InstanceProfileName": "web"})
	web := w.launch(object{"InstanceType": "t3.micro", "IamInstanceProfile": object{"Name": "web"}, "TagSpecifications": []any{object{"ResourceType": "instance", "Tags": []any{object{"Key": "Name", "Value": "web"}}}}})
	db := w.launch(object{"InstanceType": "r5.large", "KeyName": "k", "Placement": object{"AvailabilityZone": "eu-west-1b"}, "InstanceMarketOptions": object{"MarketType": "spot"},
		"BlockDeviceMappings": []any{object{"DeviceName": "/dev/sdf", "Ebs": object{"VolumeSize": int64(5)}}}})
	w.do("ec2", "StopInstances", object{"InstanceIds": ids(web)})
	w.clock.Advance(instanceStop)
	v := w.instance(web)
	group := at(v, "SecurityGroups.0.GroupId").(string)
	names := map[string]string{web: "web", db: "db"}
	for filter, want := range map[string][]string{
		"instance-state-name=running": {"db"}, "instance-state-name=stop*": {"web"}, "instance-state-code=80": {"web"}, "instance-type=t3.*": {"web"}, "instance-lifecycle=spot": {"db"},
		"availability-zone=eu-west-1b": {"db"}, "availability-zone-id=euw1-az1": {"web"}, "key-name=k": {"db"}, "image-id=" + linux: {"db", "web"}, "vpc-id=" + v["VpcId"].(string): {"db", "web"},
		"subnet-id=" + v["SubnetId"].(string): {"web"}, "private-ip-address=" + v["PrivateIpAddress"].(string): {"web"}, "instance.group-id=" + group: {"db", "web"}, "tag:Name=w?b": {"web"},
		"tag-key=Name": {"web"}, "tag-value=web": {"web"}, "metadata-options.http-tokens=required": {"db", "web"}, "block-device-mapping.device-name=/dev/sdf": {"db"},
		"iam-instance-profile.arn=*instance-profile/web": {"web"}, "root-device-type=ebs": {"db", "web"}, "architecture=arm64": nil, "network-interface.association.ip-owner-id=amazon": {"db"},
		"instance-id=" + web: {"web"}, "owner-id=111122223333": {"db", "web"}, "tenancy=default": {"db", "web"}, "monitoring-state=disabled": {"db", "web"}, "launch-time=2026-11-24T08:00*": {"db", "web"},
	} {
		name, value, _ := strings.Cut(filter, "=")
		var got []string
		for _, r := range w.list("ec2", "DescribeInstances", "Reservations", object{"Filters": by(name, value)}) {
			for _, i := range objects(r["Instances"]) {
				got = append(got, names[i["InstanceId"].(string)])
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", filter, got, want)
		}
	}
	w.fails("InvalidParameterValue", "ec2", "DescribeInstances", object{"Filters": by("colour", "red")})
	w.fails("InvalidParameterCombination", "ec2", "DescribeInstances", object{"InstanceIds": ids(web), "MaxResults": int64(5)})
	w.fails("InvalidInstanceID.NotFound", "ec2", "DescribeInstances", object{"InstanceIds": ids(web, "i-1")})
	empty := newWorld(t)
	empty.fails("InvalidParameterValue", "ec2", "DescribeInstances", object{"Filters": by("colour", "red")}) // even where there is nothing
	page := w.do("ec2", "DescribeInstances", object{"MaxResults": int64(1)})
	if len(page["Reservations"].([]any)) != 1 || page["NextToken"] == nil {
		t.Errorf("%v", page)
	}
}

func TestInstanceTypes(t *testing.T) {
	w := newWorld(t)
	m := w.one("ec2", "DescribeInstanceTypes", "InstanceTypes", object{"InstanceTypes": ids("m5d.large")})
	if at(m, "VCpuInfo.DefaultVCpus") != int64(2) || at(m, "MemoryInfo.SizeInMiB") != int64(8192) || at(m, "InstanceStorageInfo.TotalSizeInGB") != int64(75) || m["Hypervisor"] != "nitro" ||
		at(m, "EbsInfo.EbsOptimizedInfo.BaselineBandwidthInMbps") != int64(650) {
		t.Errorf("%v", m)
	}
	if n := len(w.list("ec2", "DescribeInstanceTypes", "InstanceTypes", nil)); n < 60 {
		t.Errorf("%d types", n)
	}
	arm := w.list("ec2", "DescribeInstanceTypes", "InstanceTypes", object{"Filters": append(by("processor-info.supported-architecture", "arm64"), by("vcpu-info.default-vcpus", "4")...)})
	if len(arm) != 5 { // m6g, m7g, c6g, c7g and r6g.xlarge
		t.Errorf("%d Graviton types with 4 vCPUs", len(arm))
	}
	w.fails("InvalidInstanceType", "ec2", "DescribeInstanceTypes", object{"InstanceTypes": ids("m5.large", "z9.large")})
	w.fails("InvalidParameterValue", "ec2", "DescribeInstanceTypes", object{"Filters": by("colour", "red")})
	for name, k := range instanceTypes {
		if k.VCPUs < 1 || k.Cores < 1 || k.VCPUs%k.Cores != 0 || k.Memory < 512 || k.Baseline > k.Maximum || (k.Disks > 0) != (k.DiskSize > 0) {
			t.Errorf("%s: %+v", name, k)
		}
	}
}

func TestRegionsAndZones(t *testing.T) {
	w := newWorld(t)
	names := func(in object) (out []string) {
		for _, r := range w.list("ec2", "DescribeRegions", "Regions", in) {
			out = append(out, r["RegionName"].(string)+" "+r["OptInStatus"].(string))
		}
		return out
	}
	if got, want := names(nil), []string{"eu-west-1 opt-in-not-required", "us-east-1 opt-in-not-required"}; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	if got := names(object{"AllRegions": true}); !slices.Contains(got, "af-south-1 not-opted-in") || len(got) < 15 {
		t.Errorf("%v", got)
	}
	if got := names(object{"AllRegions": true, "Filters": by("opt-in-status", "opt-in-not-required", "opted-in")}); len(got) != 2 {
		t.Errorf("%v", got)
	}
	w.fails("InvalidParameterValue", "ec2", "DescribeRegions", object{"RegionNames": ids("eu-nowhere-1")})
	for zone, want := range map[string]string{"eu-west-1a": "euw1-az1", "us-east-1c": "use1-az3", "ap-southeast-2b": "apse2-az2", "eu-central-1a": "euc1-az1"} {
		if got := zoneID(zone); got != want {
			t.Errorf("%s is %s, want %s", zone, got, want)
		}
	}
	if z := w.one("ec2", "DescribeAvailabilityZones", "AvailabilityZones", object{"Filters": by("zone-id", "euw1-az2")}); z["ZoneName"] != "eu-west-1b" {
		t.Errorf("%v", z)
	}
	w.fails("InvalidParameterValue", "ec2", "DescribeAvailabilityZones", object{"ZoneNames": ids("eu-west-1z")})
}

// Each filter that a table names works on what there is.
func TestEveryFilterCanBeAskedFor(t *testing.T) {
	w := newWorld(t)
	i := w.launch(object{"TagSpecifications": []any{object{"ResourceType": "instance", "Tags": []any{object{"Key": "a", "Value": "b"}}}}})
	v := w.newVolume(object{"Size": int64(1)})
	w.do("ec2", "ModifyVolume", object{"VolumeId": v, "Size": int64(2)})
	w.do("ec2", "CreateImage", object{"InstanceId": i, "Name": "golden"})
	w.do("ec2", "AssociateAddress", object{"AllocationId": w.do("ec2", "AllocateAddress", nil)["AllocationId"], "InstanceId": i})
	w.do("ec2", "CreateLaunchTemplate", object{"LaunchTemplateName": "web", "LaunchTemplateData": object{"ImageId": linux}})
	seen := 0
	for operation, names := range map[string][]string{
		"DescribeInstances": sorted(instances.filters), "DescribeVolumes": sorted(volumes.filters), "DescribeSnapshots": sorted(snapshots.filters), "DescribeImages": sorted(imageFilters),
		"DescribeSecurityGroups": sorted(securityGroups.filters), "DescribeSubnets": sorted(subnets.filters), "DescribeVpcs": sorted(vpcs.filters), "DescribeAddresses": sorted(addresses.filters),
		"DescribeLaunchTemplates": sorted(templates.filters), "DescribeInstanceTypes": sorted(instanceTypeFilters), "DescribeVolumesModifications": sorted(modifications.filters),
	} {
		for _, name := range names {
			for _, l := range w.do("ec2", operation, object{"Filters": by(name, "*")}) {
				if list, ok := l.([]any); ok && len(list) > 0 {
					seen++
				}
			}
		}
	}
	if seen < 120 {
		t.Errorf("only %d filters found something", seen)
	}
}
