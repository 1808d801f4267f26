package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood/library"
)

func loadDemo(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	raw, err := library.FS.ReadFile("scenarios/demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Load(t.Context(), "demo.yaml", raw); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestTheDemosEstate(t *testing.T) {
	w := loadDemo(t)
	if !w.clock.Now().Equal(w.Sandbox.clock.Now()) {
		t.Error("the sandbox has not got its own clock back")
	}
	list := func(service, operation, key string) []any { return w.do(service, operation, nil)[key].([]any) }
	volumes, instances := list("ec2", "DescribeVolumes", "Volumes"), list("ec2", "DescribeInstances", "Reservations")
	buckets := list("s3", "ListBuckets", "Buckets")
	total := len(volumes) + len(instances) + len(buckets) + len(list("iam", "ListRoles", "Roles")) + len(list("kms", "ListKeys", "Keys")) +
		len(list("ec2", "DescribeVpcs", "Vpcs")) + len(list("ec2", "DescribeSubnets", "Subnets")) + len(list("ec2", "DescribeSecurityGroups", "SecurityGroups"))
	if total != 42 {
		t.Errorf("%d resources, want 42", total)
	}
	var open []string
	for _, v := range volumes {
		v := v.(object)
		if v["Encrypted"] == true {
			continue
		}
		state := v["State"].(string)
		for _, a := range v["Attachments"].([]any) {
			a := a.(object)
			state += " " + a["State"].(string) + " " + a["Device"].(string) + " " + w.instanceState(a["InstanceId"].(string))
			if n := w.VolumeWrites(v["VolumeId"].(string)); n < 3600 {
				t.Errorf("the volume has %d writes after more than an hour", n)
			}
		}
		open = append(open, state)
	}
	if got := strings.Join(open, "; "); got != "available; in-use attached /dev/sdf running" && got != "in-use attached /dev/sdf running; available" {
		t.Errorf("unencrypted volumes: %s", got)
	}
	for _, b := range buckets {
		name := b.(object)["Name"].(string)
		_, err := w.try("s3", "GetPublicAccessBlock", object{"Bucket": name})
		if (codeOf(err) == "NoSuchPublicAccessBlockConfiguration") != (name == "acme-invoices") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestASnapshotIsTheWholeEstate(t *testing.T) {
	w := loadDemo(t)
	v := w.newVolume(object{"Size": int64(5), "ClientToken": "once"})
	s := w.do("ec2", "CreateSnapshot", object{"VolumeId": v})["SnapshotId"].(string) // under way
	raw, err := w.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Restore(Options{Catalog: w.catalog}, raw)
	if err != nil {
		t.Fatal(err)
	}
	again, err := back.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(raw, again) {
		t.Error("a restored sandbox gives another snapshot")
	}
	r := &world{back, t, back.clock.(*ManualClock), OperatorKey}
	r.clock.Advance(time.Hour)
	got := r.do("ec2", "DescribeSnapshots", object{"SnapshotIds": ids(s)})["Snapshots"].([]any)[0].(object)
	if got["State"] != "completed" {
		t.Errorf("what was under way is %v", got["State"])
	}
	if id := r.do("ec2", "CreateVolume", object{"AvailabilityZone": "eu-west-1a", "Size": int64(5), "ClientToken": "once"})["VolumeId"]; id != v {
		t.Errorf("the client token made %v, not %v", id, v)
	}
	if next := r.newVolume(object{"Size": int64(1)}); next == v {
		t.Error("an id was given twice")
	}
	if other, err := loadDemo(t).Snapshot(); err != nil {
		t.Error(err)
	} else if once, _ := loadDemo(t).Snapshot(); !bytes.Equal(other, once) {
		t.Error("one scenario gave two estates")
	}
	now := fmt.Sprintf(`{"version":%d,"state":`, snapshotVersion)
	for bad, says := range map[string]string{
		``: "can't be read", `[]`: "can't be read", `{"version": 1}`: "is of version 1, and this program reads version 2 only",
		now + `{"accounts":{"1":null}}}`: "account 1 is empty", now + `{"buckets":{"b":{"versions":[]}}}}`: "bucket b has no versions",
	} {
		if _, err := Restore(Options{Catalog: w.catalog}, []byte(bad)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want an error with %q", bad, err, says)
		}
	}
}

func TestScenariosThatAreWrong(t *testing.T) {
	for text, want := range map[string]string{
		"calls: 1":                    "bad.yaml",
		"colour: red":                 "colour",
		"calls: [{call: ec2}]":        "service:Operation",
		"calls: [{call: ec2:NoSuch}]": "NoSuch",
		"calls: [{call: ec2:DescribeRegions, wait: long}]":                               "no duration",
		"calls: [{call: ec2:DescribeVolumes, input: {VolumeIds: [\"{{a.VolumeId}}\"]}}]": "there is no a",
		"calls: [{call: ec2:DeleteVolume, input: {VolumeId: vol-1}}]":                    "InvalidVolume.NotFound",
		"calls: [{call: ec2:DescribeVolumes, input: {Colour: red}}]":                     "Colour",
		"calls: [{as: a}]": "either call or calls",
		"calls: [{call: ec2:DescribeRegions, calls: [{call: ec2:DescribeRegions}]}]":                             "either call or calls",
		"calls: [{as: a, calls: [{call: ec2:DescribeRegions}]}]":                                                 "neither as nor input",
		"calls: [{call: ec2:DescribeRegions, repeat: -1}]":                                                       "repeat -1",
		"calls: [{repeat: 1000, calls: [{call: ec2:DescribeRegions, repeat: 1000}]}]":                            "at most",
		"calls: [{call: ec2:DescribeRegions, fails: UnauthorizedOperation}]":                                     "not with UnauthorizedOperation",
		"calls: [{call: ec2:DescribeRegions, account: \"999988887777\"}]":                                        "no account 999988887777",
		"calls: [{call: ec2:DescribeRegions, key: AKIANOBODY}]":                                                  "InvalidClientTokenId",
		"{lists: {l: []}, calls: [{call: ec2:CreateVolume, repeat: 1, input: {AvailabilityZone: \"{{l.i}}\"}}]}": "there is no i",
		"{lists: {l: [a]}, calls: [{call: ec2:CreateVolume, input: {AvailabilityZone: \"{{l.i}}\"}}]}":           "there is no i",
		"{lists: {l: [\"{{a.b}}\"]}, calls: [{call: ec2:DescribeRegions}]}":                                      "the list l",
	} {
		w := newWorld(t)
		err := w.Load(t.Context(), "bad.yaml", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "bad.yaml") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestNetworks(t *testing.T) {
	w := newWorld(t)
	w.fails("InvalidVpc.Range", "ec2", "CreateVpc", object{"CidrBlock": "10.0.0.0/8"})
	v := w.do("ec2", "CreateVpc", object{"CidrBlock": "10.0.0.0/16"})["Vpc"].(object)["VpcId"]
	in := func(cidr string) object { return object{"VpcId": v, "CidrBlock": cidr} }
	s := w.do("ec2", "CreateSubnet", in("10.0.0.0/24"))["Subnet"].(object)["SubnetId"]
	w.fails("InvalidSubnet.Conflict", "ec2", "CreateSubnet", in("10.0.0.128/25"))
	w.fails("InvalidSubnet.Range", "ec2", "CreateSubnet", in("192.168.0.0/24"))
	w.fails("InvalidVpcID.NotFound", "ec2", "CreateSubnet", object{"VpcId": "vpc-1", "CidrBlock": "10.0.1.0/24"})
	group := object{"GroupName": "web", "Description": "d", "VpcId": v}
	g := w.do("ec2", "CreateSecurityGroup", group)["GroupId"].(string)
	w.fails("InvalidGroup.Duplicate", "ec2", "CreateSecurityGroup", group)
	open := func(cidr string) object {
		return object{"GroupId": g, "IpPermissions": []any{object{"IpProtocol": "tcp", "FromPort": int64(443), "ToPort": int64(443), "IpRanges": []any{object{"CidrIp": cidr}}}}}
	}
	w.fails("InvalidParameterValue", "ec2", "AuthorizeSecurityGroupIngress", open("everywhere"))
	w.do("ec2", "AuthorizeSecurityGroupIngress", open("0.0.0.0/0"))
	found := w.do("ec2", "DescribeSecurityGroups", object{"Filters": []any{object{"Name": "group-name", "Values": ids("w*")}}})["SecurityGroups"].([]any)
	if len(found) != 1 || found[0].(object)["IpPermissions"].([]any)[0].(object)["ToPort"] != int64(443) {
		t.Errorf("%v", found)
	}
	i := w.launch(object{"SubnetId": s, "SecurityGroupIds": ids(g)})
	out := w.do("ec2", "DescribeInstances", object{"InstanceIds": ids(i)})["Reservations"].([]any)[0].(object)["Instances"].([]any)[0].(object)
	if out["SubnetId"] != s || out["VpcId"] != v || out["SecurityGroups"].([]any)[0].(object)["GroupName"] != "web" {
		t.Errorf("%v", out)
	}
}

func TestWhatAnAuditReads(t *testing.T) {
	w := loadDemo(t)
	role := object{"RoleName": "auditor"}
	if got := w.do("iam", "ListRolePolicies", role)["PolicyNames"].([]any); len(got) != 1 || got[0] != "auditor" {
		t.Errorf("%v", got)
	}
	if got := w.do("iam", "GetRolePolicy", object{"RoleName": "auditor", "PolicyName": "auditor"})["PolicyDocument"].(string); !strings.Contains(got, "kms%3AList%2A") {
		t.Errorf("%v", got)
	}
	w.fails("NoSuchEntity", "iam", "GetRolePolicy", object{"RoleName": "auditor", "PolicyName": "none"})

	b := object{"Bucket": "acme-invoices"}
	w.fails("NoSuchBucketPolicy", "s3", "GetBucketPolicyStatus", b)
	w.do("s3", "PutBucketPolicy", object{"Bucket": "acme-invoices", "Policy": `{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}}`})
	if got := w.do("s3", "GetBucketPolicyStatus", b)["PolicyStatus"].(object)["IsPublic"]; got != true {
		t.Errorf("public: %v", got)
	}

	subnet := w.do("ec2", "DescribeSubnets", nil)["Subnets"].([]any)[0].(object)["SubnetId"] // the demo has no default VPC
	i := w.launch(object{"SubnetId": subnet})
	w.do("autoscaling", "CreateAutoScalingGroup", object{"AutoScalingGroupName": "web", "MinSize": int64(0), "MaxSize": int64(2), "InstanceId": i})
	w.do("autoscaling", "AttachInstances", object{"AutoScalingGroupName": "web", "InstanceIds": ids(i)})
	g := w.do("autoscaling", "DescribeAutoScalingGroups", object{"AutoScalingGroupNames": ids("web")})["AutoScalingGroups"].([]any)[0].(object)
	if g["DesiredCapacity"] != int64(1) || g["Instances"].([]any)[0].(object)["InstanceId"] != i {
		t.Errorf("%v", g)
	}
}

func TestScenariosRepeatAndChoose(t *testing.T) {
	w := newWorld(t)
	answers, err := w.LoadNamed(t.Context(), "many.yaml", []byte(`
regions: [eu-central-1]
lists:
  sizes: [1, 2, 3]
  zones: [a, b]
  kinds: [gp2, gp3]
calls:
  - call: ec2:CreateVolume
    as: volumes
    repeat: 7
    wait: 1m
    input: {AvailabilityZone: "eu-west-1{{zones.i}}", Size: "{{sizes.i}}", VolumeType: "{{kinds.any}}"}
  - repeat: 2
    index: r
    region: eu-central-1
    calls:
      - call: sqs:CreateQueue
        repeat: 2
        step: 10
        input: {QueueName: "q-{{r}}-{{i}}"}
      - call: sqs:GetQueueUrl
        as: last
        input: {QueueName: "q-{{r}}-10"}
        wait: 1h
  - call: iam:CreateUser
    input: {UserName: ann}
  - call: iam:CreateAccessKey
    as: key
    input: {UserName: ann}
  - key: "{{key.AccessKey.AccessKeyId}}"
    from: 192.0.2.7
    calls:
      - call: ec2:DescribeVolumes
        fails: UnauthorizedOperation
  - call: ssm:PutParameter
    input: {Name: text, Type: String, Value: "{{ InstanceId }} and {{i}}"}
`))
	if err != nil {
		t.Fatal(err)
	}
	volumes := answers["volumes"].([]any)
	var sizes, zones, kinds []string
	for i, v := range volumes {
		v := v.(object)
		sizes, zones, kinds = append(sizes, fmt.Sprint(v["Size"])), append(zones, v["AvailabilityZone"].(string)[9:]), append(kinds, v["VolumeType"].(string))
		if want := w.clock.Now().Add(-2*time.Hour - time.Duration(7-i)*time.Minute); !v["CreateTime"].(time.Time).Equal(want) {
			t.Errorf("volume %d came at %v, want %v", i, v["CreateTime"], want)
		}
	}
	if got := strings.Join(sizes, "") + " " + strings.Join(zones, ""); got != "1231231 abababa" {
		t.Errorf("%s", got)
	}
	if k := strings.Join(kinds, ""); !strings.Contains(k, "gp2") || !strings.Contains(k, "gp3") {
		t.Errorf("nothing was chosen: %v", kinds)
	}
	w.key = OperatorKey + "@eu-central-1"
	if l := w.do("sqs", "ListQueues", nil)["QueueUrls"].([]any); len(l) != 4 || !strings.HasSuffix(answers["last"].(object)["QueueUrl"].(string), "/q-1-10") {
		t.Errorf("%v; the last is %v", l, answers["last"])
	}
	w.key = OperatorKey
	if l := w.do("ec2", "DescribeRegions", nil)["Regions"].([]any); len(l) != 3 {
		t.Errorf("%v", l)
	}
	if got := w.do("ssm", "GetParameter", object{"Name": "text"})["Parameter"].(object)["Value"]; got != "{{ InstanceId }} and {{i}}" {
		t.Errorf("%v", got)
	}
	if r := w.trailRecords(); !slices.ContainsFunc(r, func(r json.RawMessage) bool { return strings.Contains(string(r), `"sourceIPAddress":"192.0.2.7"`) }) {
		t.Error("the trail does not know from where the call came")
	}
}
