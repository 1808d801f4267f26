package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// balanced makes a load balancer in front of a target group, and gives the
// group's ARN.
func (w *world) balanced() string {
	w.t.Helper()
	vpc := w.one("ec2", "DescribeVpcs", "Vpcs", nil)["VpcId"]
	arn := w.one("elbv2", "CreateTargetGroup", "TargetGroups", object{"Name": "web", "Protocol": "HTTP", "Port": int64(80), "VpcId": vpc, "HealthCheckIntervalSeconds": int64(10), "HealthyThresholdCount": int64(2)})["TargetGroupArn"].(string)
	lb := w.one("elbv2", "CreateLoadBalancer", "LoadBalancers", object{"Name": "front", "Subnets": ids(subnetIn(w, "eu-west-1a"), subnetIn(w, "eu-west-1b"))})["LoadBalancerArn"]
	w.do("elbv2", "CreateListener", object{"LoadBalancerArn": lb, "Protocol": "HTTP", "Port": int64(80), "DefaultActions": []any{object{"Type": "forward", "TargetGroupArn": arn}}})
	return arn
}

func (w *world) health(arn string) string {
	w.t.Helper()
	var out []string
	for _, d := range w.list("elbv2", "DescribeTargetHealth", "TargetHealthDescriptions", object{"TargetGroupArn": arn}) {
		text := at(d, "TargetHealth.State").(string)
		if reason, ok := at(d, "TargetHealth.Reason").(string); ok {
			text += " " + reason
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func TestTargetHealth(t *testing.T) {
	w := newWorld(t)
	i := w.launch(object{})
	vpc := w.instance(i)["VpcId"]
	idle := w.one("elbv2", "CreateTargetGroup", "TargetGroups", object{"Name": "idle", "Protocol": "HTTP", "Port": int64(80), "VpcId": vpc})["TargetGroupArn"].(string)
	arn := w.balanced()
	target := func(arn string) object {
		return object{"TargetGroupArn": arn, "Targets": []any{object{"Id": i}}}
	}
	w.do("elbv2", "RegisterTargets", target(idle))
	w.do("elbv2", "RegisterTargets", target(arn))
	check := func(want string) {
		t.Helper()
		if got := w.health(arn); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := w.health(idle); got != "unused Target.NotInUse" {
		t.Errorf("without a listener %q", got)
	}
	check("initial Elb.RegistrationInProgress")
	w.clock.Advance(10 * time.Second)
	check("initial Elb.InitialHealthChecking")
	w.clock.Advance(10 * time.Second)
	check("healthy")
	w.do("ec2", "StopInstances", object{"InstanceIds": ids(i)})
	w.clock.Advance(instanceStop)
	check("unused Target.InvalidState")
	w.do("ec2", "StartInstances", object{"InstanceIds": ids(i)})
	w.clock.Advance(instanceStart)
	check("initial Elb.RegistrationInProgress")
	w.clock.Advance(20 * time.Second)
	check("healthy")
	w.do("elbv2", "DeregisterTargets", target(arn))
	check("draining Target.DeregistrationInProgress")
	w.clock.Advance(draining)
	check("")
	if d := w.one("elbv2", "DescribeTargetHealth", "TargetHealthDescriptions", target(arn)); at(d, "TargetHealth.Reason") != "Target.NotRegistered" {
		t.Errorf("%v", d)
	}
	w.refused("elbv2", "RegisterTargets", target(arn), map[string][]object{
		"TargetGroupNotFound": {{"TargetGroupArn": "arn:none"}}, "InvalidTarget": {{"Targets": []any{object{"Id": "i-1"}}}}, "MissingParameter": {{"Targets": nil}},
	})
	w.fails("TargetGroupNotFound", "elbv2", "DescribeTargetHealth", object{"TargetGroupArn": "arn:none"})
	w.fails("ResourceInUse", "elbv2", "DeleteTargetGroup", object{"TargetGroupArn": arn})
	w.do("elbv2", "DeleteTargetGroup", object{"TargetGroupArn": idle})
	w.fails("DuplicateTargetGroupName", "elbv2", "CreateTargetGroup", object{"Name": "web", "Protocol": "HTTP", "Port": int64(81), "VpcId": vpc})
	for _, in := range []object{{"Name": "x"}, {"Name": "x", "Protocol": "HTTP", "Port": int64(0), "VpcId": vpc}, {"Name": "x", "Protocol": "HTTP", "Port": int64(1), "VpcId": "vpc-1"}, {"Name": "-x", "Protocol": "HTTP", "Port": int64(1), "VpcId": vpc}} {
		w.fails("ValidationError", "elbv2", "CreateTargetGroup", in)
	}
}

func TestLoadBalancers(t *testing.T) {
	w := newWorld(t)
	w.balanced()
	lb := w.one("elbv2", "DescribeLoadBalancers", "LoadBalancers", object{"Names": ids("front")})
	if at(lb, "State.Code") != "provisioning" || lb["Type"] != "application" || len(objects(lb["AvailabilityZones"])) != 2 {
		t.Errorf("%v", lb)
	}
	w.clock.Advance(provisioning)
	if at(w.one("elbv2", "DescribeLoadBalancers", "LoadBalancers", nil), "State.Code") != "active" {
		t.Error("it is not active")
	}
	arn := lb["LoadBalancerArn"]
	l := w.one("elbv2", "DescribeListeners", "Listeners", object{"LoadBalancerArn": arn})
	w.fails("DuplicateListener", "elbv2", "CreateListener", object{"LoadBalancerArn": arn, "Protocol": "HTTP", "Port": int64(80), "DefaultActions": []any{object{"Type": "fixed-response"}}})
	w.fails("ValidationError", "elbv2", "CreateListener", object{"LoadBalancerArn": arn, "Protocol": "HTTPS", "Port": int64(443), "DefaultActions": []any{object{"Type": "fixed-response"}}})
	w.fails("TargetGroupNotFound", "elbv2", "CreateListener", object{"LoadBalancerArn": arn, "Protocol": "HTTP", "Port": int64(81), "DefaultActions": []any{object{"Type": "forward", "TargetGroupArn": "arn:none"}}})
	w.fails("LoadBalancerNotFound", "elbv2", "CreateListener", object{"LoadBalancerArn": "arn:none", "Protocol": "HTTP", "Port": int64(81), "DefaultActions": []any{}})
	w.fails("LoadBalancerNotFound", "elbv2", "DescribeLoadBalancers", object{"Names": ids("nobody")})
	w.fails("ValidationError", "elbv2", "CreateLoadBalancer", object{"Name": "x", "Subnets": ids(subnetIn(w, "eu-west-1a"))})
	w.fails("SubnetNotFound", "elbv2", "CreateLoadBalancer", object{"Name": "x", "Subnets": ids("subnet-1")})
	w.fails("DuplicateLoadBalancerName", "elbv2", "CreateLoadBalancer", object{"Name": "front", "Subnets": ids(subnetIn(w, "eu-west-1a"), subnetIn(w, "eu-west-1b"))})
	w.do("elbv2", "DeleteListener", object{"ListenerArn": l["ListenerArn"]})
	w.fails("ListenerNotFound", "elbv2", "DeleteListener", object{"ListenerArn": l["ListenerArn"]})
	w.do("elbv2", "DeleteLoadBalancer", object{"LoadBalancerArn": arn})
	w.do("elbv2", "DeleteLoadBalancer", object{"LoadBalancerArn": arn}) // it is gone already
	if got := w.list("elbv2", "DescribeLoadBalancers", "LoadBalancers", nil); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

func TestAGroupRegistersItsMembers(t *testing.T) {
	w := newWorld(t)
	arn := w.balanced()
	w.fleetOf(2, "TargetGroupARNs", ids(arn), "HealthCheckType", "ELB")
	w.clock.Advance(30 * time.Second)
	if got := w.health(arn); got != "healthy, healthy" {
		t.Errorf("%q", got)
	}
	w.do("autoscaling", "EnterStandby", object{"AutoScalingGroupName": "web", "InstanceIds": ids(w.inService()[0]), "ShouldDecrementDesiredCapacity": true})
	if got := w.health(arn); got != "draining Target.DeregistrationInProgress, healthy" {
		t.Errorf("%q", got)
	}
}

func TestTheTaggingAPI(t *testing.T) {
	w := newWorld(t)
	tag := func(k, v string) []any { return []any{object{"Key": k, "Value": v}} }
	v := w.newVolume(object{"Size": int64(1), "TagSpecifications": []any{object{"ResourceType": "volume", "Tags": tag("Team", "shop")}}})
	w.newVolume(object{"Size": int64(1)}) // without tags it isn't seen
	w.fleetOf(1)
	w.do("s3", "CreateBucket", object{"Bucket": "acme-invoices", "CreateBucketConfiguration": object{"LocationConstraint": "eu-west-1"}})
	w.do("s3", "PutBucketTagging", object{"Bucket": "acme-invoices", "Tagging": object{"TagSet": tag("Team", "books")}})
	w.do("sqs", "CreateQueue", object{"QueueName": "q", "tags": object{"Team": "shop"}})
	w.do("kms", "CreateKey", object{"Tags": []any{object{"TagKey": "Team", "TagValue": "shop"}}})
	arns := func(in object) (out []string) {
		for _, r := range w.list("resourcegroupstaggingapi", "GetResources", "ResourceTagMappingList", in) {
			arn := r["ResourceARN"].(string)
			out = append(out, strings.Split(arn, ":")[2])
		}
		return out
	}
	filter := func(k string, values ...string) []any { return []any{object{"Key": k, "Values": ids(values...)}} }
	for want, in := range map[string]object{
		"[autoscaling ec2 ec2 kms s3 sqs]": {"TagFilters": filter("Team")}, "[autoscaling ec2 ec2 kms sqs]": {"TagFilters": filter("Team", "shop")}, "[s3]": {"TagFilters": filter("Team", "books", "wine")},
		"[ec2 ec2]": {"TagFilters": filter("Team"), "ResourceTypeFilters": ids("ec2")}, "[ec2 sqs]": {"TagFilters": filter("Team"), "ResourceTypeFilters": ids("ec2:volume", "sqs")},
		"[autoscaling]": {"TagFilters": append(filter("Team"), filter("Secret")...)}, "[]": {"TagFilters": filter("team")},
	} {
		if got := fmt.Sprint(arns(in)); got != want {
			t.Errorf("%v: %s, want %s", in, got, want)
		}
	}
	var all []string
	token := ""
	for range 20 {
		out := w.do("resourcegroupstaggingapi", "GetResources", object{"ResourcesPerPage": int64(2), "PaginationToken": token})
		for _, r := range objects(out["ResourceTagMappingList"]) {
			all = append(all, r["ResourceARN"].(string))
		}
		if token = out["PaginationToken"].(string); token == "" {
			break
		}
	}
	if !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != len(all) || len(all) != len(arns(nil)) {
		t.Errorf("%q", all)
	}
	volume := "arn:aws:ec2:eu-west-1:111122223333:volume/" + v
	queue := "arn:aws:sqs:eu-west-1:111122223333:q"
	out := w.do("resourcegroupstaggingapi", "TagResources", object{"ResourceARNList": ids(volume, queue, "arn:aws:s3:::nobody"), "Tags": object{"Owner": "ada"}})
	if f := out["FailedResourcesMap"].(object); len(f) != 1 || at(f["arn:aws:s3:::nobody"], "ErrorCode") != "InvalidParameterException" {
		t.Errorf("%v", out)
	}
	if got := arns(object{"TagFilters": filter("Owner", "ada")}); !slices.Equal(got, []string{"ec2", "sqs"}) || len(w.volume(v)["Tags"].([]any)) != 2 {
		t.Errorf("%v, %v", got, w.volume(v)["Tags"])
	}
	w.do("resourcegroupstaggingapi", "UntagResources", object{"ResourceARNList": ids(volume), "TagKeys": ids("Team", "none")})
	if l := w.volume(v)["Tags"].([]any); len(l) != 1 {
		t.Errorf("%v", l)
	}
	if got := w.do("resourcegroupstaggingapi", "GetTagValues", object{"Key": "Team"})["TagValues"]; fmt.Sprint(got) != "[books shop]" {
		t.Errorf("%v", got)
	}
	if got := w.do("resourcegroupstaggingapi", "GetTagKeys", nil)["TagKeys"].([]any); !slices.Contains(got, any("Owner")) {
		t.Errorf("%v", got)
	}
	w.refused("resourcegroupstaggingapi", "GetResources", object{}, map[string][]object{
		"InvalidParameterException":       {{"ResourcesPerPage": int64(101)}, {"ResourceARNList": ids(volume), "TagFilters": filter("a")}, {"ResourceTypeFilters": ids("a:b:c")}, {"TagFilters": filter("")}},
		"PaginationTokenExpiredException": {{"PaginationToken": "x"}},
	})
	w.fails("InvalidParameterException", "resourcegroupstaggingapi", "TagResources", object{"ResourceARNList": ids(volume), "Tags": object{"aws:x": "y"}})
	w.fails("InvalidParameterException", "resourcegroupstaggingapi", "TagResources", object{"ResourceARNList": ids(slices.Repeat([]string{volume}, 21)...), "Tags": object{"a": "b"}})
	w.fails("InvalidParameterException", "resourcegroupstaggingapi", "UntagResources", object{"ResourceARNList": ids(volume), "TagKeys": ids()})
	if l := w.inRegion("us-east-1").list("resourcegroupstaggingapi", "GetResources", "ResourceTagMappingList", nil); len(l) != 0 {
		t.Errorf("another Region has %v", l)
	}
}

func TestTargetGroupsByTheirLoadBalancer(t *testing.T) {
	w := newWorld(t)
	arn := w.balanced()
	vpc := w.one("ec2", "DescribeVpcs", "Vpcs", nil)["VpcId"]
	w.do("elbv2", "CreateTargetGroup", object{"Name": "another", "Protocol": "HTTP", "Port": int64(80), "VpcId": vpc})
	lb := w.one("elbv2", "DescribeLoadBalancers", "LoadBalancers", nil)["LoadBalancerArn"]
	if g := w.one("elbv2", "DescribeTargetGroups", "TargetGroups", object{"LoadBalancerArn": lb}); g["TargetGroupArn"] != arn || at(g, "LoadBalancerArns.0") != lb {
		t.Errorf("%v", g)
	}
	page := w.do("elbv2", "DescribeTargetGroups", object{"PageSize": int64(1)})
	next := w.do("elbv2", "DescribeTargetGroups", object{"PageSize": int64(1), "Marker": page["NextMarker"]})
	if len(objects(page["TargetGroups"])) != 1 || len(objects(next["TargetGroups"])) != 1 || next["NextMarker"] != nil {
		t.Errorf("%v, then %v", page, next)
	}
	w.fails("TargetGroupNotFound", "elbv2", "DescribeTargetGroups", object{"Names": ids("nobody")})
}
