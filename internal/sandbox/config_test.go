package sandbox

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// configured is a world whose Config records all.
func configured(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.do("s3", "CreateBucket", object{"Bucket": "config-bucket", "CreateBucketConfiguration": object{"LocationConstraint": "eu-west-1"}})
	w.do("config", "PutConfigurationRecorder", object{"ConfigurationRecorder": object{"name": "default", "roleARN": "arn:aws:iam::111122223333:role/config",
		"recordingGroup": object{"allSupported": true, "includeGlobalResourceTypes": true}}})
	w.do("config", "PutDeliveryChannel", object{"DeliveryChannel": object{"name": "default", "s3BucketName": "config-bucket"}})
	w.do("config", "StartConfigurationRecorder", object{"ConfigurationRecorderName": "default"})
	w.clock.Advance(time.Minute)
	return w
}

func TestConfigurationRecorders(t *testing.T) {
	w := newWorld(t)
	w.fails("NoAvailableConfigurationRecorderException", "config", "ListDiscoveredResources", object{"resourceType": "AWS::EC2::Volume"})
	w.fails("NoAvailableConfigurationRecorderException", "config", "PutDeliveryChannel", object{"DeliveryChannel": object{"s3BucketName": "x"}})
	recorder := func(name string, group object) object {
		return object{"ConfigurationRecorder": object{"name": name, "roleARN": "arn:aws:iam::111122223333:role/config", "recordingGroup": group}}
	}
	all := object{"allSupported": true}
	for _, g := range []object{{"allSupported": true, "resourceTypes": ids("AWS::EC2::Volume")}, {"allSupported": false}, {"resourceTypes": ids("AWS::EC2::Volume"), "includeGlobalResourceTypes": true},
		{"resourceTypes": ids("AWS::EC2::Volume"), "exclusionByResourceTypes": object{"resourceTypes": ids("AWS::EC2::VPC")}}} {
		w.fails("InvalidRecordingGroupException", "config", "PutConfigurationRecorder", recorder("default", g))
	}
	w.fails("InvalidRoleException", "config", "PutConfigurationRecorder", object{"ConfigurationRecorder": object{"name": "d", "roleARN": "me"}})
	w.do("config", "PutConfigurationRecorder", recorder("default", all))
	w.fails("MaxNumberOfConfigurationRecordersExceededException", "config", "PutConfigurationRecorder", recorder("other", all))
	w.fails("NoAvailableDeliveryChannelException", "config", "StartConfigurationRecorder", object{"ConfigurationRecorderName": "default"})
	w.fails("NoSuchBucketException", "config", "PutDeliveryChannel", object{"DeliveryChannel": object{"s3BucketName": "nobody"}})
	w.do("s3", "CreateBucket", object{"Bucket": "config-bucket", "CreateBucketConfiguration": object{"LocationConstraint": "eu-west-1"}})
	w.do("config", "PutDeliveryChannel", object{"DeliveryChannel": object{"s3BucketName": "config-bucket"}})
	status := func() object {
		return w.do("config", "DescribeConfigurationRecorderStatus", nil)["ConfigurationRecordersStatus"].([]any)[0].(object)
	}
	if s := status(); s["recording"] != false || s["lastStatus"] != nil {
		t.Errorf("%v", s)
	}
	w.do("config", "StartConfigurationRecorder", object{"ConfigurationRecorderName": "default"})
	if s := status(); s["recording"] != true || s["lastStatus"] != "Pending" || s["lastStartTime"] != w.clock.Now() {
		t.Errorf("%v", s)
	}
	w.clock.Advance(time.Minute)
	w.fails("LastDeliveryChannelDeleteFailedException", "config", "DeleteDeliveryChannel", object{"DeliveryChannelName": "default"})
	w.do("config", "StopConfigurationRecorder", object{"ConfigurationRecorderName": "default"})
	if s := status(); s["recording"] != false || s["lastStatus"] != "Success" || s["lastStopTime"] != w.clock.Now() {
		t.Errorf("%v", s)
	}
	w.fails("NoSuchConfigurationRecorderException", "config", "StartConfigurationRecorder", object{"ConfigurationRecorderName": "other"})
	w.fails("NoSuchConfigurationRecorderException", "config", "DescribeConfigurationRecorders", object{"ConfigurationRecorderNames": ids("other")})
	got := w.do("config", "DescribeConfigurationRecorders", nil)["ConfigurationRecorders"].([]any)[0].(object)
	if got["name"] != "default" || got["recordingGroup"].(object)["allSupported"] != true || !strings.HasPrefix(got["arn"].(string), "arn:aws:config:eu-west-1:111122223333:configuration-recorder/default/") {
		t.Errorf("%v", got)
	}
}

func (w *world) history(resourceType, id string) []object {
	w.t.Helper()
	return objects(w.do("config", "GetResourceConfigHistory", object{"resourceType": resourceType, "resourceId": id, "chronologicalOrder": "Forward"})["configurationItems"])
}

func configurationOf(t *testing.T, item object) object {
	t.Helper()
	var out object
	if err := json.Unmarshal([]byte(item["configuration"].(string)), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAVolumesHistory(t *testing.T) {
	w := configured(t)
	i := w.launch(object{})
	v := w.newVolume(object{"Size": int64(5), "VolumeType": "gp3", "TagSpecifications": []any{object{"ResourceType": "volume", "Tags": []any{object{"Key": "team", "Value": "a"}}}}})
	w.fails("ResourceNotDiscoveredException", "config", "GetResourceConfigHistory", object{"resourceType": "AWS::EC2::Volume", "resourceId": v})
	w.clock.Advance(time.Minute)
	w.do("ec2", "AttachVolume", object{"VolumeId": v, "InstanceId": i, "Device": "/dev/sdf"})
	w.clock.Advance(time.Minute)
	w.do("ec2", "DetachVolume", object{"VolumeId": v})
	w.clock.Advance(time.Minute)
	w.do("ec2", "DeleteVolume", object{"VolumeId": v})
	w.clock.Advance(time.Minute)
	h := w.history("AWS::EC2::Volume", v)
	var states, statuses []string
	for _, item := range h {
		statuses = append(statuses, item["configurationItemStatus"].(string))
		if item["configuration"] != nil {
			states = append(states, configurationOf(t, item)["state"].(object)["value"].(string))
		}
	}
	if want := []string{"creating", "available", "in-use", "in-use", "in-use", "available"}; !reflect.DeepEqual(states, want) {
		t.Errorf("states %v, want %v", states, want)
	}
	if want := []string{"ResourceDiscovered", "OK", "OK", "OK", "OK", "OK", "ResourceDeleted"}; !reflect.DeepEqual(statuses, want) {
		t.Errorf("statuses %v, want %v", statuses, want)
	}
	attached := h[3]
	c := configurationOf(t, attached)
	if c["volumeId"] != v || c["size"] != 5.0 || c["volumeType"] != "gp3" || c["encrypted"] != false || c["attachments"].([]any)[0].(object)["instanceId"] != i || c["tags"].([]any)[0].(object)["key"] != "team" {
		t.Errorf("%v", c)
	}
	if attached["arn"] != "arn:aws:ec2:eu-west-1:111122223333:volume/"+v || attached["availabilityZone"] != "eu-west-1a" || attached["tags"].(object)["team"] != "a" || attached["version"] != "1.3" || attached["accountId"] != "111122223333" {
		t.Errorf("%v", attached)
	}
	if r := attached["relationships"].([]any); len(r) != 1 || r[0].(object)["resourceId"] != i {
		t.Errorf("%v", r)
	}
	// A page at a time, newest first, is the same list.
	var pages []object
	token := ""
	for range 9 {
		in := object{"resourceType": "AWS::EC2::Volume", "resourceId": v, "limit": int64(3)}
		if token != "" {
			in["nextToken"] = token
		}
		out := w.do("config", "GetResourceConfigHistory", in)
		pages = append(pages, objects(out["configurationItems"])...)
		var more bool
		if token, more = out["nextToken"].(string); !more {
			break
		}
	}
	slices.Reverse(pages)
	if !reflect.DeepEqual(pages, h) {
		t.Errorf("by pages %d items, at once %d", len(pages), len(h))
	}
	between := w.do("config", "GetResourceConfigHistory", object{"resourceType": "AWS::EC2::Volume", "resourceId": v, "earlierTime": h[2]["configurationItemCaptureTime"], "laterTime": h[4]["configurationItemCaptureTime"]})
	if n := len(between["configurationItems"].([]any)); n != 3 {
		t.Errorf("%d items between the second and the fourth change", n)
	}
	w.fails("InvalidTimeRangeException", "config", "GetResourceConfigHistory", object{"resourceType": "AWS::EC2::Volume", "resourceId": v, "earlierTime": w.clock.Now(), "laterTime": w.clock.Now().Add(-time.Hour)})
	w.fails("InvalidLimitException", "config", "GetResourceConfigHistory", object{"resourceType": "AWS::EC2::Volume", "resourceId": v, "limit": int64(101)})
	w.fails("InvalidNextTokenException", "config", "GetResourceConfigHistory", object{"resourceType": "AWS::EC2::Volume", "resourceId": v, "nextToken": "7"})
}

func TestWhatARecorderMissed(t *testing.T) {
	w := configured(t)
	v := w.newVolume(object{"Size": int64(5)})
	w.clock.Advance(time.Minute)
	w.do("config", "StopConfigurationRecorder", object{"ConfigurationRecorderName": "default"})
	w.clock.Advance(time.Minute)
	w.do("ec2", "CreateTags", object{"Resources": ids(v), "Tags": []any{object{"Key": "a", "Value": "1"}}})
	w.clock.Advance(time.Minute)
	before := len(w.history("AWS::EC2::Volume", v))
	w.do("config", "StartConfigurationRecorder", object{"ConfigurationRecorderName": "default"})
	started := w.clock.Now()
	w.clock.Advance(time.Minute)
	h := w.history("AWS::EC2::Volume", v)
	if len(h) != before+1 {
		t.Fatalf("%d items while it was off, %d since", before, len(h))
	}
	if last := h[before]; last["tags"].(object)["a"] != "1" || last["configurationItemCaptureTime"] != started.Add(recordingDelay) || last["configurationItemStatus"] != "OK" {
		t.Errorf("%v", last)
	}
}

func TestItemsOfEachType(t *testing.T) {
	w := configured(t)
	vpc := w.do("ec2", "CreateVpc", object{"CidrBlock": "10.0.0.0/16"})["Vpc"].(object)["VpcId"].(string)
	subnet := w.do("ec2", "CreateSubnet", object{"VpcId": vpc, "CidrBlock": "10.0.1.0/24"})["Subnet"].(object)["SubnetId"].(string)
	group := w.do("ec2", "CreateSecurityGroup", object{"VpcId": vpc, "GroupName": "web", "Description": "d"})["GroupId"].(string)
	w.do("ec2", "AuthorizeSecurityGroupIngress", object{"GroupId": group, "IpPermissions": []any{object{"IpProtocol": "tcp", "FromPort": int64(22), "ToPort": int64(22), "IpRanges": []any{object{"CidrIp": "0.0.0.0/0"}}}}})
	i := w.launch(object{"SubnetId": subnet, "SecurityGroupIds": ids(group)})
	w.do("iam", "CreateRole", object{"RoleName": "fixer", "AssumeRolePolicyDocument": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}]}`})
	key := w.do("kms", "CreateKey", nil)["KeyMetadata"].(object)["KeyId"].(string)
	w.clock.Advance(time.Minute)
	role := w.do("config", "ListDiscoveredResources", object{"resourceType": "AWS::IAM::Role"})["resourceIdentifiers"].([]any)[0].(object)
	if role["resourceName"] != "fixer" || !strings.HasPrefix(role["resourceId"].(string), "AROA") {
		t.Errorf("%v", role)
	}
	out := w.do("config", "BatchGetResourceConfig", object{"resourceKeys": []any{
		object{"resourceType": "AWS::EC2::Instance", "resourceId": i}, object{"resourceType": "AWS::EC2::SecurityGroup", "resourceId": group}, object{"resourceType": "AWS::S3::Bucket", "resourceId": "config-bucket"},
		object{"resourceType": "AWS::IAM::Role", "resourceId": role["resourceId"]}, object{"resourceType": "AWS::KMS::Key", "resourceId": key}, object{"resourceType": "AWS::EC2::Subnet", "resourceId": subnet},
		object{"resourceType": "AWS::EC2::VPC", "resourceId": vpc}, object{"resourceType": "AWS::EC2::Volume", "resourceId": "vol-1"}, object{"resourceType": "AWS::SQS::Queue", "resourceId": "q"}}})
	if missed := out["unprocessedResourceKeys"].([]any); len(missed) != 2 {
		t.Errorf("missed %v", missed)
	}
	items := map[string]object{}
	for _, o := range objects(out["baseConfigurationItems"]) {
		items[o["resourceType"].(string)] = o
	}
	for resourceType, want := range map[string]object{
		"AWS::EC2::Instance":      {"configuration.state.name": "running", "configuration.instanceType": "m5.large", "configuration.vpcId": vpc, "configuration.securityGroups.groupId": group, "resourceId": i},
		"AWS::EC2::SecurityGroup": {"configuration.ipPermissions.ipRanges": "0.0.0.0/0", "configuration.ipPermissions.ipv4Ranges.cidrIp": "0.0.0.0/0", "configuration.ipPermissions.fromPort": 22.0, "resourceName": "web"},
		"AWS::S3::Bucket": {"configuration.name": "config-bucket", "supplementaryConfiguration.PublicAccessBlockConfiguration.blockPublicAcls": true, "supplementaryConfiguration.BucketVersioningConfiguration.status": "Off",
			"supplementaryConfiguration.ServerSideEncryptionConfiguration.rules.applyServerSideEncryptionByDefault.sseAlgorithm": "AES256", "arn": "arn:aws:s3:::config-bucket", "availabilityZone": "Regional"},
		"AWS::IAM::Role":   {"configuration.roleName": "fixer", "awsRegion": "global", "configuration.assumeRolePolicyDocument": "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22AWS%22%3A%22111122223333%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D"},
		"AWS::KMS::Key":    {"configuration.keyState": "Enabled", "configuration.awsaccountId": "111122223333", "configuration.keyManager": "CUSTOMER"},
		"AWS::EC2::Subnet": {"configuration.vpcId": vpc, "configuration.cidrBlock": "10.0.1.0/24"},
		"AWS::EC2::VPC":    {"configuration.cidrBlock": "10.0.0.0/16"},
	} {
		o := items[resourceType]
		if o == nil {
			t.Errorf("no %s", resourceType)
			continue
		}
		o = copied(o).(object)
		o["configuration"] = configurationOf(t, o)
		for name, text := range o["supplementaryConfiguration"].(object) {
			var v any
			if json.Unmarshal([]byte(text.(string)), &v) == nil {
				o["supplementaryConfiguration"].(object)[name] = v
			}
		}
		for path, v := range want {
			if got := lookup(o, path); len(got) != 1 || got[0] != v {
				t.Errorf("%s: %s is %v, want %v", resourceType, path, got, v)
			}
		}
	}
	w.do("s3", "DeleteBucket", object{"Bucket": "config-bucket"})
	w.clock.Advance(time.Minute)
	if l := w.do("config", "ListDiscoveredResources", object{"resourceType": "AWS::S3::Bucket"})["resourceIdentifiers"].([]any); len(l) != 0 {
		t.Errorf("%v", l)
	}
	if l := w.do("config", "ListDiscoveredResources", object{"resourceType": "AWS::S3::Bucket", "includeDeletedResources": true})["resourceIdentifiers"].([]any); len(l) != 1 || l[0].(object)["resourceDeletionTime"] == nil {
		t.Errorf("%v", l)
	}
}

func TestSelectResourceConfig(t *testing.T) {
	w := configured(t)
	small := w.newVolume(object{"Size": int64(5), "VolumeType": "gp3", "TagSpecifications": []any{object{"ResourceType": "volume", "Tags": []any{object{"Key": "team", "Value": "a"}}}}})
	large := w.newVolume(object{"Size": int64(50), "VolumeType": "gp2", "Encrypted": true})
	w.clock.Advance(time.Minute)
	ask := func(where string) []string {
		w.t.Helper()
		var out []string
		for _, r := range texts(w.do("config", "SelectResourceConfig", object{"Expression": "SELECT resourceId, configuration.size WHERE resourceType = 'AWS::EC2::Volume' AND " + where + " ORDER BY configuration.size"})["Results"]) {
			var o object
			if err := json.Unmarshal([]byte(r), &o); err != nil {
				t.Fatal(err)
			}
			if len(o) != 2 || o["configuration"].(object)["size"] == nil {
				t.Errorf("%s", r)
			}
			out = append(out, o["resourceId"].(string))
		}
		return out
	}
	for where, want := range map[string][]string{
		"configuration.encrypted = false":                                       {small},
		"configuration.encrypted = true":                                        {large},
		"configuration.size > 5":                                                {large},
		"configuration.size BETWEEN 5 AND 50":                                   {small, large},
		"configuration.volumeType IN ('gp2', 'gp3')":                            {small, large},
		"configuration.volumeType LIKE 'gp%'":                                   {small, large},
		"configuration.volumeType NOT LIKE '%3'":                                {large},
		"configuration.volumeType like '_p3'":                                   {small},
		"tags.tag = 'team=a'":                                                   {small},
		"tags.key = 'team' AND tags.value = 'b'":                                nil,
		"NOT tags.key = 'team'":                                                 {large},
		"(configuration.size = 5 OR configuration.volumeType='gp2')":            {small, large},
		"configuration.size = 5 OR resourceId = 'x' AND awsRegion = 'y'":        {small},
		"configuration.state.value = 'available' AND arn LIKE '%" + large + "'": {large},
		"configuration.volumeType <> 'gp2'":                                     {small},
		"configuration.missing = 'x'":                                           nil,
	} {
		if got := ask(where); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", where, got, want)
		}
	}
	for _, bad := range []string{"", "resourceId", "SELECT", "SELECT resourceId WHERE", "SELECT resourceId WHERE resourceType", "SELECT resourceId WHERE resourceType = ", "SELECT resourceId WHERE resourceType = 'a", "SELECT resourceId WHERE (a = 'b'",
		"SELECT resourceId WHERE a IN 'b'", "SELECT resourceId WHERE a = 'b' c", "SELECT resourceId, WHERE a = 'b'", "SELECT resourceId WHERE a BETWEEN 1", "SELECT resourceId WHERE " + strings.Repeat("(", 200) + "a='b'", "SELECT r # 1"} {
		w.fails("InvalidExpressionException", "config", "SelectResourceConfig", object{"Expression": bad})
	}
	w.fails("NotImplemented", "config", "SelectResourceConfig", object{"Expression": "SELECT resourceType, COUNT(*) GROUP BY resourceType"})
	out := w.do("config", "SelectResourceConfig", object{"Expression": "SELECT * WHERE resourceId = '" + small + "'"})
	var whole object
	if err := json.Unmarshal([]byte(out["Results"].([]any)[0].(string)), &whole); err != nil || whole["configuration"].(object)["volumeId"] != small || whole["tags"].([]any)[0].(object)["tag"] != "team=a" {
		t.Errorf("%v, %v", whole, err)
	}

	// The same over an aggregator, which sees other Regions too.
	w.do("config", "PutConfigurationAggregator", object{"ConfigurationAggregatorName": "all", "AccountAggregationSources": []any{object{"AccountIds": ids("111122223333"), "AllAwsRegions": true}}})
	in := object{"ConfigurationAggregatorName": "all", "Expression": "SELECT resourceId WHERE resourceType = 'AWS::EC2::Volume'"}
	if got := w.do("config", "SelectAggregateResourceConfig", in)["Results"].([]any); len(got) != 2 {
		t.Errorf("%v", got)
	}
	got := w.do("config", "BatchGetAggregateResourceConfig", object{"ConfigurationAggregatorName": "all", "ResourceIdentifiers": []any{
		object{"SourceAccountId": "111122223333", "SourceRegion": "eu-west-1", "ResourceId": small, "ResourceType": "AWS::EC2::Volume"},
		object{"SourceAccountId": "111122223333", "SourceRegion": "us-east-1", "ResourceId": small, "ResourceType": "AWS::EC2::Volume"}}})
	if len(got["BaseConfigurationItems"].([]any)) != 1 || len(got["UnprocessedResourceIdentifiers"].([]any)) != 1 {
		t.Errorf("%v", got)
	}
	w.fails("NoSuchConfigurationAggregatorException", "config", "SelectAggregateResourceConfig", object{"ConfigurationAggregatorName": "x", "Expression": "SELECT a"})
	w.fails("InvalidParameterValueException", "config", "PutConfigurationAggregator", object{"ConfigurationAggregatorName": "x"})
}
