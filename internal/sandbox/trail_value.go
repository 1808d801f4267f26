package sandbox

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/knowngood/knowngood/awsapi"
)

// requestParameters are a call's input as CloudTrail records it: the model's
// names with a small first letter, without what is sensitive and without bytes.
// EC2 and S3 have forms of their own.
func (c *call) requestParameters() any {
	var out object
	switch op := c.operation; op.Service.Name {
	case "ec2":
		out = ec2Parameters(op, c.in)
	case "s3", "s3control":
		out = c.s3Parameters()
	default:
		out, _ = recorded(op.Input, c.in).(object)
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// responseElements are a write's answer as CloudTrail records it.
func (c *call) responseElements(out map[string]any) any {
	var elements object
	if c.operation.Service.Name == "ec2" {
		elements, _ = ec2Elements(c.operation.Output, out).(object)
		if len(elements) == 0 {
			elements = object{"_return": true}
		}
		elements["requestId"] = c.request.ID
		return elements
	}
	elements, _ = recorded(c.operation.Output, out).(object)
	if len(elements) == 0 {
		return nil
	}
	return elements
}

// recorded is a value as CloudTrail records it; nil is to be left out.
func recorded(s *awsapi.Shape, v any) any {
	if s == nil || s.Is(awsapi.Sensitive) || s.Type == awsapi.Blob {
		return nil
	}
	switch v := v.(type) {
	case map[string]any:
		out := object{}
		for name, e := range v {
			if s.Type == awsapi.Map {
				if r := recorded(s.Elem.Shape, e); r != nil {
					out[name] = r
				}
			} else if m := s.Member(name); m != nil {
				if r := recorded(m.Shape, e); r != nil {
					out[lowerFirst(name)] = r
				}
			}
		}
		return out
	case []any:
		out := []any{}
		for _, e := range v {
			if r := recorded(s.Elem.Shape, e); r != nil {
				out = append(out, r)
			}
		}
		return out
	case time.Time:
		return v.UTC().Format("Jan 2, 2006 3:04:05 PM")
	}
	return v
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// s3Parameters are those of S3: bucketName, the host, the sub-resource that was
// asked for, and the body under its own names. A bucket's policy is there as
// JSON. Source: Amazon S3 User Guide, "Amazon S3 CloudTrail events".
func (c *call) s3Parameters() object {
	out := object{}
	host := "s3." + c.region + ".amazonaws.com"
	if b := c.str("Bucket"); b != "" {
		out["bucketName"], host = b, b+"."+host
	}
	if id := c.str("AccountId"); id != "" {
		host = id + ".s3-control." + c.region + ".amazonaws.com"
		out[c.operation.URI[strings.LastIndexByte(c.operation.URI, '/')+1:]] = ""
	}
	out["Host"] = host
	if _, query, ok := strings.Cut(c.operation.URI, "?"); ok {
		out[query] = ""
	}
	for name, v := range c.in {
		switch m := c.operation.Input.Member(name); {
		case m == nil || name == "Bucket" || name == "AccountId" || m.Shape.Is(awsapi.Sensitive):
		case name == "Policy":
			var policy any
			if json.Unmarshal([]byte(c.str(name)), &policy) == nil {
				out["bucketPolicy"] = policy
			}
		case m.Location == awsapi.InHeader:
			out[m.WireName()] = v
		default:
			if p, ok := plain(v); ok {
				out[name] = p
			}
		}
	}
	return out
}

// plain copies a value that is made of JSON's own types alone; false: it is not.
func plain(v any) (any, bool) {
	switch v := v.(type) {
	case map[string]any:
		out := make(object, len(v))
		for k, e := range v {
			p, ok := plain(e)
			if !ok {
				return nil, false
			}
			out[k] = p
		}
		return out, true
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			p, ok := plain(e)
			if !ok {
				return nil, false
			}
			out[i] = p
		}
		return out, true
	case string, bool, int64, float64:
		return v, true
	}
	return nil, false
}

// ec2Lists are the names of EC2's lists in CloudTrail, and of the values in
// them, where they don't follow from the model's: they are those of the first
// API of EC2, and its items are objects throughout. Source: records in the Amazon
// EC2 and AWS KMS guides.
var ec2Lists = map[string][2]string{
	"BlockDeviceMappings": {"blockDeviceMapping"},
	"Filters":             {"filterSet"},
	"GroupIds":            {"securityGroupIdSet", "groupId"},
	"InstanceIds":         {"instancesSet", "instanceId"},
	"IpPermissions":       {"ipPermissions"},
	"IpRanges":            {"ipRanges"},
	"Ipv6Ranges":          {"ipv6Ranges"},
	"NetworkInterfaces":   {"networkInterfaceSet"},
	"PrefixListIds":       {"prefixListIds"},
	"Resources":           {"resourcesSet", "resourceId"},
	"SecurityGroupIds":    {"groupSet", "groupId"},
	"SnapshotIds":         {"snapshotSet", "snapshotId"},
	"UserIdGroupPairs":    {"groups"},
	"Values":              {"valueSet", "value"},
	"VolumeIds":           {"volumeSet", "volumeId"},
}

// ec2Members are members that CloudTrail names otherwise.
var ec2Members = map[string]string{"CreateVolume.AvailabilityZone": "zone", "CreateSecurityGroup.Description": "groupDescription"}

// ec2Wrapped are operations of EC2's later API: their parameters are an element
// of the request's name, with the names of the model.
var ec2Wrapped = []string{
	"CreateFlowLogs", "CreateLaunchTemplate", "CreateLaunchTemplateVersion", "CreateVpcEndpoint", "DeleteFlowLogs", "DeleteLaunchTemplate", "DeleteVpcEndpoints",
	"DescribeFlowLogs", "DescribeLaunchTemplates", "DescribeVpcEndpoints", "DisableEbsEncryptionByDefault", "EnableEbsEncryptionByDefault",
	"EnableSnapshotBlockPublicAccess", "GetEbsDefaultKmsKeyId", "GetEbsEncryptionByDefault", "ModifyEbsDefaultKmsKeyId", "ModifyInstanceMetadataOptions", "ModifyLaunchTemplate",
	"ModifyVpcEndpoint",
}

func ec2Parameters(op *awsapi.Operation, in object) object {
	if slices.Contains(ec2Wrapped, op.Name) {
		return object{op.Name + "Request": ec2Wrap(op.Input, in)}
	}
	out := object{}
	for name, v := range in {
		m := op.Input.Member(name)
		if m == nil || m.Shape.Is(awsapi.Sensitive) {
			continue
		}
		key, e := ec2Value(name, m.Shape, v)
		if other, ok := ec2Members[op.Name+"."+name]; ok {
			key = other
		}
		out[key] = e
	}
	switch op.Name {
	case "CreateVolume": // it has a text
		if n, ok := out["size"].(int64); ok {
			out["size"] = strconv.FormatInt(n, 10)
		}
	case "RunInstances":
		item := object{}
		for _, name := range []string{"imageId", "minCount", "maxCount", "keyName"} {
			if v, ok := out[name]; ok {
				item[name] = v
				delete(out, name)
			}
		}
		out["instancesSet"] = object{"items": []any{item}}
	}
	return out
}

// ec2Value gives a member's name and value in CloudTrail.
func ec2Value(name string, s *awsapi.Shape, v any) (string, any) {
	switch v := v.(type) {
	case []any:
		key := ec2Lists[name]
		if key[0] == "" {
			key[0] = lowerFirst(strings.TrimSuffix(name, "s")) + "Set"
		}
		items := []any{}
		for _, e := range v {
			if o, ok := e.(object); ok {
				items = append(items, ec2Object(name, s.Elem.Shape, o))
			} else {
				items = append(items, object{cmp.Or(key[1], lowerFirst(strings.TrimSuffix(name, "s"))): e})
			}
		}
		return key[0], object{"items": items}
	case object:
		return lowerFirst(name), ec2Object(name, s, v)
	case time.Time:
		return lowerFirst(name), v.UnixMilli()
	}
	return lowerFirst(name), v
}

func ec2Object(name string, s *awsapi.Shape, o object) object {
	out := object{}
	for k, v := range o {
		m := s.Member(k)
		if m == nil || m.Shape.Is(awsapi.Sensitive) {
			continue
		}
		key, e := ec2Value(k, m.Shape, v)
		if name == "TagSpecifications" && k == "Tags" { // a plain list, here alone
			items, _ := e.(object)
			key, e = "tags", items["items"]
		}
		out[key] = e
	}
	return out
}

// ec2Wrap is a value of the later API.
func ec2Wrap(s *awsapi.Shape, v any) any {
	switch v := v.(type) {
	case object:
		if len(v) == 0 {
			return ""
		}
		out := object{}
		for k, e := range v {
			if m := s.Member(k); m != nil && !m.Shape.Is(awsapi.Sensitive) {
				out[k] = ec2Wrap(m.Shape, e)
			}
		}
		return out
	case []any:
		out := []any{}
		for i, e := range v {
			if o, ok := ec2Wrap(s.Elem.Shape, e).(object); ok {
				o["tag"] = i + 1
				out = append(out, o)
			} else {
				out = append(out, object{"tag": i + 1, "content": e})
			}
		}
		if len(out) == 1 {
			return out[0]
		}
		return out
	}
	return v
}

// ec2Elements is a value of an answer: the names on the wire, lists as items,
// times as milliseconds.
func ec2Elements(s *awsapi.Shape, v any) any {
	switch v := v.(type) {
	case object:
		out := object{}
		for k, e := range v {
			m := s.Member(k)
			if m == nil || m.Shape.Is(awsapi.Sensitive) {
				continue
			}
			name := m.WireName()
			if name == "return" {
				name = "_return"
			}
			out[name] = ec2Elements(m.Shape, e)
		}
		return out
	case []any:
		if len(v) == 0 {
			return object{}
		}
		items := make([]any, len(v))
		for i, e := range v {
			items[i] = ec2Elements(s.Elem.Shape, e)
		}
		return object{"items": items}
	case time.Time:
		return v.UnixMilli()
	}
	return v
}

// trailTypes are the types of the resources that members of inputs and outputs
// name, as LookupEvents has them.
var trailTypes = map[string]string{
	"AllocationId": "AWS::EC2::EIP", "AutoScalingGroupName": "AWS::AutoScaling::AutoScalingGroup", "Bucket": "AWS::S3::Bucket", "DBInstanceIdentifier": "AWS::RDS::DBInstance",
	"FunctionName": "AWS::Lambda::Function", "GroupId": "AWS::EC2::SecurityGroup", "GroupIds": "AWS::EC2::SecurityGroup", "ImageId": "AWS::EC2::Ami",
	"InstanceId": "AWS::EC2::Instance", "InstanceIds": "AWS::EC2::Instance", "KeyId": "AWS::KMS::Key", "PolicyArn": "AWS::IAM::Policy", "QueueUrl": "AWS::SQS::Queue",
	"RoleArn": "AWS::IAM::Role", "RoleName": "AWS::IAM::Role", "SnapshotId": "AWS::EC2::Snapshot", "SnapshotIds": "AWS::EC2::Snapshot", "SubnetId": "AWS::EC2::Subnet",
	"TableName": "AWS::DynamoDB::Table", "TopicArn": "AWS::SNS::Topic", "TrailARN": "AWS::CloudTrail::Trail", "UserName": "AWS::IAM::User",
	"VolumeId": "AWS::EC2::Volume", "VolumeIds": "AWS::EC2::Volume", "VpcId": "AWS::EC2::VPC",
}

// trailResources are the resources that a call names: in its input, and a write
// in its answer as well. An EC2 tag's resource has the type of its id.
func (c *call) trailResources(out map[string]any) []trailResource {
	var list []trailResource
	var walk func(name string, v any)
	walk = func(name string, v any) {
		switch v := v.(type) {
		case object:
			for _, k := range sorted(v) {
				walk(k, v[k])
			}
		case []any:
			for _, e := range v {
				walk(name, e)
			}
		case string:
			kind := trailTypes[name]
			if name == "Resources" && c.operation.Service.Name == "ec2" {
				prefix, _, _ := strings.Cut(v, "-")
				kind = map[string]string{"i": "AWS::EC2::Instance", "vol": "AWS::EC2::Volume", "snap": "AWS::EC2::Snapshot", "sg": "AWS::EC2::SecurityGroup"}[prefix]
			}
			if r := (trailResource{kind, v}); kind != "" && v != "" && !slices.Contains(list, r) {
				list = append(list, r)
			}
		}
	}
	walk("", c.in)
	if c.operation.Class() == awsapi.Write {
		walk("", out)
	}
	return list
}
