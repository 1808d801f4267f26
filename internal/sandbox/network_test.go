package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func tcp(port int64, cidrs ...string) object {
	ranges := []any{}
	for _, c := range cidrs {
		ranges = append(ranges, object{"CidrIp": c})
	}
	return object{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": ranges}
}

func TestSecurityGroupRules(t *testing.T) {
	w := newWorld(t)
	v := w.do("ec2", "CreateVpc", object{"CidrBlock": "10.0.0.0/16"})["Vpc"].(object)["VpcId"]
	g := w.do("ec2", "CreateSecurityGroup", object{"GroupName": "web", "Description": "d", "VpcId": v})["GroupId"].(string)
	base := object{"GroupId": g}
	added := objects(w.do("ec2", "AuthorizeSecurityGroupIngress", with(base, "IpPermissions", []any{tcp(22, "0.0.0.0/0", "10.1.2.3/24"), tcp(443, "0.0.0.0/0"),
		object{"IpProtocol": "-1", "UserIdGroupPairs": []any{object{"GroupId": g, "Description": "each other"}}},
		object{"IpProtocol": "6", "FromPort": int64(80), "ToPort": int64(81), "Ipv6Ranges": []any{object{"CidrIpv6": "::/0"}}}}))["SecurityGroupRules"])
	if len(added) != 5 || added[1]["CidrIpv4"] != "10.1.2.0/24" || added[4]["IpProtocol"] != "tcp" || !strings.HasPrefix(added[0]["SecurityGroupRuleId"].(string), "sgr-0") {
		t.Errorf("%v", added)
	}
	w.refused("ec2", "AuthorizeSecurityGroupIngress", base, map[string][]object{
		"InvalidPermission.Duplicate": {{"IpPermissions": []any{tcp(8443, "0.0.0.0/0"), tcp(22, "0.0.0.0/0")}}, {"IpProtocol": "tcp", "FromPort": int64(443), "ToPort": int64(443), "CidrIp": "0.0.0.0/0"}},
		"InvalidParameterValue": {{"IpPermissions": []any{tcp(99, "0.0.0.0/0", "0.0.0.0/0")}}, {"IpPermissions": []any{tcp(70000, "0.0.0.0/0")}}, {"IpPermissions": []any{tcp(22, "::/0")}},
			{"IpPermissions": []any{object{"IpProtocol": "tcp", "IpRanges": []any{object{"CidrIp": "0.0.0.0/0"}}}}}, {"IpPermissions": []any{tcp(22, "everywhere")}}},
		"InvalidGroup.NotFound":       {{"GroupId": "sg-1", "IpPermissions": []any{tcp(1, "0.0.0.0/0")}}, {"IpPermissions": []any{object{"IpProtocol": "-1", "UserIdGroupPairs": []any{object{"GroupId": "sg-1"}}}}}},
		"InvalidPermission.Malformed": {{"IpPermissions": []any{object{"IpProtocol": "smoke", "IpRanges": []any{object{"CidrIp": "0.0.0.0/0"}}}}}},
		"MissingParameter":            {{}, {"GroupId": nil, "IpPermissions": []any{tcp(1, "0.0.0.0/0")}}, {"IpPermissions": []any{tcp(1)}}},
	})
	if n := len(w.list("ec2", "DescribeSecurityGroupRules", "SecurityGroupRules", object{"Filters": by("group-id", g)})); n != 6 { // and the way out
		t.Errorf("%d rules after calls that were refused", n)
	}
	d := w.one("ec2", "DescribeSecurityGroups", "SecurityGroups", object{"GroupIds": ids(g)})
	if p := objects(d["IpPermissions"]); len(p) != 4 || len(p[0]["IpRanges"].([]any)) != 2 || p[2]["FromPort"] != nil || at(p[2], "UserIdGroupPairs.0.Description") != "each other" {
		t.Errorf("%v", d["IpPermissions"])
	}
	if at(d, "IpPermissionsEgress.0.IpRanges.0.CidrIp") != "0.0.0.0/0" {
		t.Errorf("%v", d["IpPermissionsEgress"])
	}
	for filter, want := range map[string]int{"ip-permission.cidr=0.0.0.0/0": 1, "ip-permission.from-port=443": 1, "ip-permission.ipv6-cidr=::/0": 1, "ip-permission.from-port=444": 0, "egress.ip-permission.cidr=0.0.0.0/0": 3,
		"description=default*": 2, "group-name=web": 1, "vpc-id=" + v.(string): 2, "ip-permission.group-id=" + g: 1} {
		name, value, _ := strings.Cut(filter, "=")
		if l := w.list("ec2", "DescribeSecurityGroups", "SecurityGroups", object{"Filters": by(name, value)}); len(l) != want {
			t.Errorf("%s: %d groups, want %d", filter, len(l), want)
		}
	}
	out := w.do("ec2", "RevokeSecurityGroupIngress", with(base, "IpPermissions", []any{tcp(22, "0.0.0.0/0")}))
	if at(out, "RevokedSecurityGroupRules.0.SecurityGroupRuleId") != added[0]["SecurityGroupRuleId"] {
		t.Errorf("%v", out)
	}
	w.fails("InvalidPermission.NotFound", "ec2", "RevokeSecurityGroupIngress", with(base, "IpPermissions", []any{tcp(443, "0.0.0.0/0"), tcp(22, "0.0.0.0/0")}))
	w.do("ec2", "RevokeSecurityGroupIngress", with(base, "SecurityGroupRuleIds", []any{added[1]["SecurityGroupRuleId"], added[2]["SecurityGroupRuleId"]}))
	w.fails("InvalidSecurityGroupRuleId.NotFound", "ec2", "RevokeSecurityGroupIngress", with(base, "SecurityGroupRuleIds", ids("sgr-1")))
	w.do("ec2", "AuthorizeSecurityGroupEgress", with(base, "IpPermissions", []any{tcp(443, "0.0.0.0/0")}))
	w.do("ec2", "RevokeSecurityGroupEgress", with(base, "IpPermissions", d["IpPermissionsEgress"]))
	if d := w.one("ec2", "DescribeSecurityGroups", "SecurityGroups", object{"GroupIds": ids(g)}); len(objects(d["IpPermissions"])) != 2 || at(d, "IpPermissionsEgress.0.FromPort") != int64(443) {
		t.Errorf("%v", d)
	}
	// In the default VPC what isn't there is told, and no error.
	byName := w.do("ec2", "CreateSecurityGroup", object{"GroupName": "plain", "Description": "d"})["GroupId"]
	w.do("ec2", "AuthorizeSecurityGroupIngress", object{"GroupName": "plain", "IpProtocol": "icmp", "FromPort": int64(-1), "ToPort": int64(-1), "CidrIp": "10.0.0.0/8"})
	if out := w.do("ec2", "RevokeSecurityGroupIngress", object{"GroupId": byName, "IpPermissions": []any{tcp(22, "0.0.0.0/0")}}); len(objects(out["UnknownIpPermissions"])) != 1 {
		t.Errorf("%v", out)
	}
	var many []any
	for n := range int64(maxRules) {
		many = append(many, tcp(1000+n, "0.0.0.0/0"))
	}
	w.fails("RulesPerSecurityGroupLimitExceeded", "ec2", "AuthorizeSecurityGroupIngress", with(base, "IpPermissions", many))
}

func TestSecurityGroupsThatAreUsedStay(t *testing.T) {
	w := newWorld(t)
	g := w.do("ec2", "CreateSecurityGroup", object{"GroupName": "web", "Description": "d"})["GroupId"].(string)
	other := w.do("ec2", "CreateSecurityGroup", object{"GroupName": "db", "Description": "d"})["GroupId"].(string)
	i := w.launch(object{"SecurityGroups": ids("web")})
	w.do("ec2", "AuthorizeSecurityGroupIngress", object{"GroupId": other, "IpPermissions": []any{object{"IpProtocol": "-1", "UserIdGroupPairs": []any{object{"GroupName": "web"}}}}})
	w.fails("DependencyViolation", "ec2", "DeleteSecurityGroup", object{"GroupId": g})
	w.do("ec2", "TerminateInstances", object{"InstanceIds": ids(i)})
	w.clock.Advance(instanceDestroy)
	w.fails("DependencyViolation", "ec2", "DeleteSecurityGroup", object{"GroupId": g}) // a rule of the other names it
	w.do("ec2", "DeleteSecurityGroup", object{"GroupName": "db"})
	w.do("ec2", "DeleteSecurityGroup", object{"GroupId": g})
	w.fails("InvalidGroup.NotFound", "ec2", "DeleteSecurityGroup", object{"GroupId": g})
	w.fails("CannotDelete", "ec2", "DeleteSecurityGroup", object{"GroupName": "default"})
	w.fails("InvalidParameterValue", "ec2", "CreateSecurityGroup", object{"GroupName": "default", "Description": "d"})
	w.do("ec2", "CreateSecurityGroup", object{"GroupName": "web", "Description": "d"}) // its name is free again
}

func TestTheDefaultNetwork(t *testing.T) {
	w := newWorld(t)
	v := w.one("ec2", "DescribeVpcs", "Vpcs", object{"Filters": by("is-default", "true")})
	if v["CidrBlock"] != "172.31.0.0/16" || len(w.list("ec2", "DescribeSubnets", "Subnets", object{"Filters": by("default-for-az", "true")})) != 3 {
		t.Errorf("%v", v)
	}
	if there := w.inRegion("us-east-1").one("ec2", "DescribeVpcs", "Vpcs", nil); there["VpcId"] == v["VpcId"] {
		t.Errorf("%v in two Regions", v["VpcId"])
	}
	if again := newWorld(t).one("ec2", "DescribeVpcs", "Vpcs", nil); again["VpcId"] != v["VpcId"] {
		t.Errorf("one seed gave %v and %v", v["VpcId"], again["VpcId"])
	}
	w.fails("DependencyViolation", "ec2", "DeleteVpc", object{"VpcId": v["VpcId"]})
	i := w.launch(object{})
	s := w.instance(i)["SubnetId"]
	w.fails("DependencyViolation", "ec2", "DeleteSubnet", object{"SubnetId": s})
	w.do("ec2", "TerminateInstances", object{"InstanceIds": ids(i)})
	w.clock.Advance(instanceDestroy)
	for _, s := range w.list("ec2", "DescribeSubnets", "Subnets", nil) {
		w.do("ec2", "DeleteSubnet", object{"SubnetId": s["SubnetId"]})
	}
	w.fails("MissingInput", "ec2", "RunInstances", oneInstance)
	w.do("ec2", "DeleteVpc", object{"VpcId": v["VpcId"]})
	w.fails("VPCIdNotSpecified", "ec2", "RunInstances", oneInstance)
	w.fails("VPCIdNotSpecified", "ec2", "CreateSecurityGroup", object{"GroupName": "g", "Description": "d"})
	if l := w.list("ec2", "DescribeSecurityGroups", "SecurityGroups", nil); len(l) != 0 {
		t.Errorf("%v", l)
	}
	w.fails("InvalidVpcID.NotFound", "ec2", "DescribeVpcs", object{"VpcIds": []any{v["VpcId"]}})
}

func TestAddresses(t *testing.T) {
	w := newWorld(t)
	i := w.launch(object{})
	a := w.do("ec2", "AllocateAddress", object{"TagSpecifications": []any{object{"ResourceType": "elastic-ip", "Tags": []any{object{"Key": "Name", "Value": "a"}}}}})
	b := w.do("ec2", "AllocateAddress", nil)
	if a["PublicIp"] == b["PublicIp"] {
		t.Errorf("%v twice", a["PublicIp"])
	}
	w.fails("InvalidInstanceID.NotFound", "ec2", "AssociateAddress", object{"AllocationId": a["AllocationId"], "InstanceId": "i-1"})
	w.fails("InvalidAllocationID.NotFound", "ec2", "AssociateAddress", object{"AllocationId": "eipalloc-1", "InstanceId": i})
	id := w.do("ec2", "AssociateAddress", object{"AllocationId": a["AllocationId"], "InstanceId": i})["AssociationId"]
	w.fails("InvalidIPAddress.InUse", "ec2", "ReleaseAddress", object{"AllocationId": a["AllocationId"]})
	other := w.launch(object{})
	w.fails("Resource.AlreadyAssociated", "ec2", "AssociateAddress", object{"AllocationId": a["AllocationId"], "InstanceId": other, "AllowReassociation": false})
	w.do("ec2", "AssociateAddress", object{"PublicIp": b["PublicIp"], "InstanceId": i}) // an instance has one
	d := w.one("ec2", "DescribeAddresses", "Addresses", object{"Filters": by("instance-id", i)})
	if d["PublicIp"] != b["PublicIp"] || d["PrivateIpAddress"] != w.instance(i)["PrivateIpAddress"] || w.instance(i)["PublicIpAddress"] != b["PublicIp"] {
		t.Errorf("%v", d)
	}
	w.fails("InvalidAssociationID.NotFound", "ec2", "DisassociateAddress", object{"AssociationId": id})
	w.do("ec2", "StopInstances", object{"InstanceIds": ids(i)})
	w.clock.Advance(instanceStop)
	if w.instance(i)["PublicIpAddress"] != b["PublicIp"] {
		t.Error("a stopped instance has lost its Elastic IP address")
	}
	w.do("ec2", "DisassociateAddress", object{"AssociationId": d["AssociationId"]})
	if got := w.instance(i)["PublicIpAddress"]; got != nil {
		t.Errorf("%v", got)
	}
	w.do("ec2", "ReleaseAddress", object{"AllocationId": b["AllocationId"]})
	w.fails("InvalidAllocationID.NotFound", "ec2", "ReleaseAddress", object{"AllocationId": b["AllocationId"]})
	w.fails("InvalidAllocationID.NotFound", "ec2", "DescribeAddresses", object{"AllocationIds": []any{b["AllocationId"]}})
	w.fails("InvalidAddress.NotFound", "ec2", "DescribeAddresses", object{"PublicIps": []any{b["PublicIp"]}})
	if l := w.list("ec2", "DescribeAddresses", "Addresses", object{"Filters": by("tag:Name", "a")}); len(l) != 1 {
		t.Errorf("%v", l)
	}
}

func TestFlowLogs(t *testing.T) {
	w := newWorld(t)
	v := w.one("ec2", "DescribeVpcs", "Vpcs", nil)["VpcId"].(string)
	w.do("s3", "CreateBucket", object{"Bucket": "flow-logs", "CreateBucketConfiguration": object{"LocationConstraint": "eu-west-1"}})
	base := object{"ResourceIds": ids(v), "ResourceType": "VPC", "TrafficType": "ALL", "LogDestinationType": "s3", "LogDestination": "arn:aws:s3:::flow-logs/vpc"}
	w.refused("ec2", "CreateFlowLogs", base, map[string][]object{
		"InvalidParameter": {{"LogDestinationType": "cloud-watch-logs"}, {"LogDestinationType": nil}, {"MaxAggregationInterval": int64(30)}, {"TrafficType": "SOME"}, {"LogDestination": nil},
			{"DeliverLogsPermissionArn": "arn:aws:iam::111122223333:role/r"}, {"LogDestinationType": "tape"}},
		"MissingParameter": {{"TrafficType": nil}, {"ResourceIds": nil}},
	})
	in := with(base, "ClientToken", "t")
	out := w.do("ec2", "CreateFlowLogs", in)
	made := out["FlowLogIds"].([]any)
	if again := w.do("ec2", "CreateFlowLogs", in); len(made) != 1 || !slices.Equal(again["FlowLogIds"].([]any), made) {
		t.Errorf("%v, then %v", out, again)
	}
	for code, in := range map[string]object{"FlowLogAlreadyExists": base, "InvalidVpcID.NotFound": with(base, "ResourceIds", ids("vpc-1")), "400": with(base, "LogDestination", "arn:aws:s3:::nowhere")} {
		if got := at(w.do("ec2", "CreateFlowLogs", in), "Unsuccessful.0.Error.Code"); got != code {
			t.Errorf("%v, want %s", got, code)
		}
	}
	f := w.one("ec2", "DescribeFlowLogs", "FlowLogs", object{"Filter": by("resource-id", v)})
	if f["FlowLogStatus"] != "ACTIVE" || f["LogDestination"] != "arn:aws:s3:::flow-logs/vpc" || f["MaxAggregationInterval"] != int64(600) || f["FlowLogId"] != made[0] {
		t.Errorf("%v", f)
	}
	w.fails("InvalidParameterValue", "ec2", "DescribeFlowLogs", object{"Filter": by("colour", "red")})
	w.do("ec2", "DeleteFlowLogs", object{"FlowLogIds": made})
	if got := at(w.do("ec2", "DeleteFlowLogs", object{"FlowLogIds": made}), "Unsuccessful.0.Error.Code"); got != "InvalidFlowLogId.NotFound" {
		t.Errorf("%v", got)
	}
}

func TestTags(t *testing.T) {
	w := newWorld(t)
	i := w.launch(object{})
	v := w.newVolume(object{"Size": int64(1)})
	tag := func(k, value string) []any { return []any{object{"Key": k, "Value": value}} }
	w.do("ec2", "CreateTags", object{"Resources": ids(i, v), "Tags": append(tag("Owner", "shop"), tag("Name", "x")...)})
	w.refused("ec2", "CreateTags", object{"Resources": ids(v), "Tags": tag("a", "b")}, map[string][]object{
		"InvalidID":                  {{"Resources": ids("nothing")}},
		"InvalidVolume.NotFound":     {{"Resources": ids(v, "vol-1")}},
		"InvalidInstanceID.NotFound": {{"Resources": ids("i-1")}},
		"InvalidParameterValue":      {{"Tags": tag("aws:x", "b")}, {"Tags": tag(strings.Repeat("k", 129), "b")}},
		"MissingParameter":           {{"Tags": nil}, {"Resources": nil}},
	})
	var many []any
	for n := range 49 {
		many = append(many, object{"Key": fmt.Sprint("k", n), "Value": ""})
	}
	w.fails("TagLimitExceeded", "ec2", "CreateTags", object{"Resources": ids(v), "Tags": many})
	if l := w.list("ec2", "DescribeTags", "Tags", object{"Filters": by("resource-id", v)}); len(l) != 2 || l[0]["Key"] != "Name" || l[0]["ResourceType"] != "volume" {
		t.Errorf("%v", l)
	}
	if l := w.list("ec2", "DescribeTags", "Tags", object{"Filters": append(by("key", "Owner"), by("resource-type", "instance")...)}); len(l) != 1 || l[0]["ResourceId"] != i {
		t.Errorf("%v", l)
	}
	w.do("ec2", "DeleteTags", object{"Resources": ids(v), "Tags": tag("Owner", "other")}) // the value differs
	if len(w.volume(v)["Tags"].([]any)) != 2 {
		t.Error("a tag of another value is gone")
	}
	w.do("ec2", "DeleteTags", object{"Resources": ids(v), "Tags": []any{object{"Key": "Owner"}}})
	w.do("ec2", "DeleteTags", object{"Resources": ids(i)})
	if l := w.list("ec2", "DescribeTags", "Tags", nil); len(l) != 1 {
		t.Errorf("%v", l)
	}
	// Each kind of resource that EC2 tags.
	w.do("ec2", "AllocateAddress", nil)
	image := w.do("ec2", "CreateImage", object{"InstanceId": i, "Name": "img"})["ImageId"]
	template := w.do("ec2", "CreateLaunchTemplate", object{"LaunchTemplateName": "web", "LaunchTemplateData": object{"ImageId": linux}})["LaunchTemplate"].(object)["LaunchTemplateId"]
	vpc := w.one("ec2", "DescribeVpcs", "Vpcs", nil)["VpcId"]
	log := w.do("ec2", "CreateFlowLogs", object{"ResourceIds": []any{vpc}, "ResourceType": "VPC", "TrafficType": "ALL", "LogGroupName": "g", "DeliverLogsPermissionArn": "arn:aws:iam::111122223333:role/r"})["FlowLogIds"].([]any)[0]
	all := []any{i, v, image, template, vpc, log, w.list("ec2", "DescribeSubnets", "Subnets", nil)[0]["SubnetId"], w.one("ec2", "DescribeAddresses", "Addresses", nil)["AllocationId"],
		w.one("ec2", "DescribeSecurityGroups", "SecurityGroups", nil)["GroupId"], w.list("ec2", "DescribeSecurityGroupRules", "SecurityGroupRules", nil)[0]["SecurityGroupRuleId"],
		w.one("ec2", "DescribeSnapshots", "Snapshots", object{"OwnerIds": ids("self")})["SnapshotId"]}
	w.do("ec2", "CreateTags", object{"Resources": all, "Tags": tag("All", "of them")})
	kinds := map[any]bool{}
	for _, l := range w.list("ec2", "DescribeTags", "Tags", object{"Filters": by("key", "All")}) {
		kinds[l["ResourceType"]] = true
	}
	if len(kinds) != len(all) || len(kinds) != len(taggables) {
		t.Errorf("%d kinds of %d resources: %v", len(kinds), len(all), kinds)
	}
	page := w.do("ec2", "DescribeTags", object{"MaxResults": int64(5)})
	if len(page["Tags"].([]any)) != 5 || page["NextToken"] == nil {
		t.Errorf("%v", page)
	}
}
