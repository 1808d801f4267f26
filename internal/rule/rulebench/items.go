// Package rulebench has what the benchmarks of rules measure with: a generator of
// configuration items such as AWS Config records, and rules on them in CEL and in
// Rego.
package rulebench

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
)

// Types are the types of the items.
var Types = []string{"AWS::EC2::Instance", "AWS::EC2::Volume", "AWS::EC2::SecurityGroup", "AWS::S3::Bucket", "AWS::IAM::Role"}

// Items generates items of all types in turn, the same for the same seed. Their
// members, depth and sizes are those of items in AWS's samples: 2.4 KB on average.
func Items(seed uint64, n int) [][]byte {
	g := generator{rand.New(rand.NewPCG(seed, 1))}
	makers := []func(int) item{g.instance, g.volume, g.securityGroup, g.bucket, g.role}
	items := make([][]byte, n)
	for i := range items {
		raw, err := json.Marshal(makers[i%len(makers)](i))
		if err != nil {
			panic(err) // of texts, numbers and maps, which always marshal
		}
		items[i] = raw
	}
	return items
}

type object = map[string]any

type generator struct{ *rand.Rand }

func (g generator) pick(choices ...string) string { return choices[g.IntN(len(choices))] }
func (g generator) mostly() bool                  { return g.IntN(100) < 85 }
func (g generator) hex(n int) string {
	const digits = "0123456789abcdef"
	b := make([]byte, n)
	for i := range b {
		b[i] = digits[g.IntN(16)]
	}
	return string(b)
}

func (g generator) day() string {
	return fmt.Sprintf("202%d-%02d-%02dT%02d:%02d:%02d.000Z", 4+g.IntN(2), 1+g.IntN(12), 1+g.IntN(28), g.IntN(24), g.IntN(60), g.IntN(60))
}

func (g generator) tags(i int) object {
	tags := object{
		"Name": fmt.Sprintf("payments-service-%d", i), "env": g.pick("prod", "prod", "test", "dev"), "team": g.pick("payments", "search", "platform"),
		"aws:cloudformation:stack-name": "payments-" + g.hex(6),
		"CreatedBy":                     "terraform", "backup": g.pick("daily", "weekly", "none"),
	}
	if g.mostly() {
		tags["owner"] = g.pick("ada.lovelace@acme.example", "grace.hopper@acme.example", "nobody")
	}
	if g.mostly() {
		tags["cost-center"] = g.pick("1001", "1002", "2001")
	}
	return tags
}

func (g generator) tagList(tags object) []object {
	var list []object
	for _, key := range []string{"Name", "env", "team", "owner", "cost-center"} {
		if v, ok := tags[key]; ok {
			list = append(list, object{"key": key, "value": v})
		}
	}
	return list
}

// item is the envelope, its members in the order in which AWS Config has them.
type item struct {
	Version       string   `json:"version"`
	Account       string   `json:"accountId"`
	CaptureTime   string   `json:"configurationItemCaptureTime"`
	Status        string   `json:"configurationItemStatus"`
	StateID       string   `json:"configurationStateId"`
	Hash          string   `json:"configurationItemMD5Hash"`
	ARN           string   `json:"arn"`
	Type          string   `json:"resourceType"`
	ID            string   `json:"resourceId"`
	Name          string   `json:"resourceName,omitempty"`
	Region        string   `json:"awsRegion"`
	Zone          string   `json:"availabilityZone"`
	Created       string   `json:"resourceCreationTime"`
	Tags          object   `json:"tags"`
	RelatedEvents []string `json:"relatedEvents"`
	Relationships []object `json:"relationships"`
	Configuration object   `json:"configuration"`
	Supplementary object   `json:"supplementaryConfiguration"`
}

func (g generator) item(resourceType, id, name string, tags, configuration, supplementary object, relationships ...object) item {
	return item{
		"1.3", "111122223333", g.day(), "OK", fmt.Sprint(1700000000000 + g.IntN(1000000)), "", "arn:aws:service:eu-west-1:111122223333:resource/" + id, resourceType, id, name,
		g.pick("eu-west-1", "eu-west-1", "eu-central-1", "us-east-1"), "eu-west-1a", g.day(), tags, []string{}, relationships, configuration, supplementary,
	}
}

func related(resourceType, id, how string) object {
	return object{"resourceType": resourceType, "resourceId": id, "relationshipName": how}
}

func (g generator) instance(i int) item {
	id, volume, eni, subnet := "i-"+g.hex(17), "vol-"+g.hex(17), "eni-"+g.hex(17), g.pick("subnet-public1", "subnet-private1", "subnet-private2")
	tags := g.tags(i)
	address := fmt.Sprintf("10.0.%d.%d", g.IntN(250), g.IntN(250))
	c := object{
		"amiLaunchIndex": 0, "imageId": g.pick("ami-0a1", "ami-0a2", "ami-0a3", "ami-old"), "instanceId": id, "instanceType": g.pick("t3.micro", "m6i.large", "c5.xlarge"), "keyName": "ops",
		"launchTime": g.day(), "monitoring": object{"state": g.pick("enabled", "enabled", "disabled")}, "placement": object{"availabilityZone": "eu-west-1a", "groupName": "", "tenancy": "default", "hostId": nil, "affinity": nil},
		"platform": nil, "privateDnsName": "ip-" + address + ".eu-west-1.compute.internal", "privateIpAddress": address, "productCodes": []string{}, "publicDnsName": "", "ramdiskId": nil,
		"state": object{"code": 16, "name": "running"}, "stateTransitionReason": "", "subnetId": subnet, "vpcId": "vpc-0123456789abcdef0", "architecture": "x86_64", "clientToken": g.hex(32), "ebsOptimized": true, "enaSupport": true,
		"blockDeviceMappings": []object{
			{"deviceName": "/dev/xvda", "ebs": object{"attachTime": g.day(), "deleteOnTermination": true, "status": "attached", "volumeId": volume}},
			{"deviceName": "/dev/sdf", "ebs": object{"attachTime": g.day(), "deleteOnTermination": g.mostly(), "status": "attached", "volumeId": "vol-" + g.hex(17)}},
		},
		"hypervisor": "xen", "iamInstanceProfile": object{"arn": "arn:aws:iam::111122223333:instance-profile/app", "id": "AIPA" + g.hex(16)}, "instanceLifecycle": nil,
		"networkInterfaces": []object{{
			"attachment": object{"attachTime": g.day(), "attachmentId": "eni-attach-" + g.hex(17), "deleteOnTermination": true, "deviceIndex": 0, "status": "attached"}, "description": "", "groups": []object{{"groupName": "app", "groupId": "sg-" + g.hex(17)}},
			"ipv6Addresses": []string{}, "macAddress": "02:3e:c3:cb:e9:da", "networkInterfaceId": eni, "ownerId": "111122223333", "privateDnsName": "ip-" + address + ".eu-west-1.compute.internal", "privateIpAddress": address,
			"privateIpAddresses": []object{{"primary": true, "privateIpAddress": address}}, "sourceDestCheck": true, "status": "in-use", "subnetId": subnet, "vpcId": "vpc-0123456789abcdef0", "interfaceType": "interface",
		}},
		"rootDeviceName": "/dev/xvda", "rootDeviceType": "ebs", "securityGroups": []object{{"groupName": "app", "groupId": "sg-" + g.hex(17)}}, "sourceDestCheck": true, "tags": g.tagList(tags), "virtualizationType": "hvm",
		"metadataOptions": object{"state": "applied", "httpTokens": g.pick("required", "required", "optional"), "httpPutResponseHopLimit": 1, "httpEndpoint": "enabled"},
	}
	if !g.mostly() {
		c["publicIpAddress"] = "198.51.100.7"
	}
	return g.item("AWS::EC2::Instance", id, "", tags, c, object{},
		related("AWS::EC2::NetworkInterface", eni, "Contains NetworkInterface"), related("AWS::EC2::SecurityGroup", "sg-"+g.hex(17), "Is associated with SecurityGroup"),
		related("AWS::EC2::Subnet", subnet, "Is contained in Subnet"), related("AWS::EC2::Volume", volume, "Is attached to Volume"))
}

func (g generator) volume(i int) item {
	id := "vol-" + g.hex(17)
	tags := g.tags(i)
	attachments := []object{}
	if g.mostly() {
		attachments = append(attachments, object{"attachTime": g.day(), "device": "/dev/sdf", "instanceId": "i-" + g.hex(17), "state": "attached", "volumeId": id, "deleteOnTermination": g.mostly()})
	}
	c := object{
		"attachments": attachments, "availabilityZone": "eu-west-1a", "createTime": g.day(), "encrypted": g.mostly(), "kmsKeyId": "arn:aws:kms:eu-west-1:111122223333:key/" + g.pick("1234abcd", "ffff0000"),
		"size": 8 << g.IntN(8), "snapshotId": "snap-" + g.hex(17), "state": "in-use", "iops": 100 + g.IntN(5000), "tags": g.tagList(tags), "volumeType": g.pick("gp3", "gp3", "gp2", "io1"), "fastRestored": false, "multiAttachEnabled": false, "throughput": 125,
		"sseType": "sse-kms", "outpostArn": nil, "operator": object{"managed": false, "principal": nil},
	}
	return g.item("AWS::EC2::Volume", id, "", tags, c, object{}, related("AWS::EC2::Instance", "i-"+g.hex(17), "Is attached to Instance"))
}

func (g generator) permission(open bool) object {
	port := []int{22, 80, 443, 3306, 5432, 8080}[g.IntN(6)]
	p := object{"fromPort": port, "ipProtocol": "tcp", "ipv6Ranges": []object{}, "prefixListIds": []object{}, "toPort": port, "userIdGroupPairs": []object{}}
	ranges := []object{{"cidrIp": fmt.Sprintf("10.%d.0.0/16", g.IntN(200)), "description": "office"}, {"cidrIp": fmt.Sprintf("10.%d.0.0/16", g.IntN(200)), "description": "vpn"}}
	if open {
		ranges = append(ranges, object{"cidrIp": "0.0.0.0/0"})
	}
	p["ipv4Ranges"] = ranges
	var old []string
	for _, r := range ranges {
		old = append(old, r["cidrIp"].(string))
	}
	p["ipRanges"] = old
	return p
}

func (g generator) securityGroup(i int) item {
	id := "sg-" + g.hex(17)
	tags := g.tags(i)
	var in []object
	for range 2 + g.IntN(4) {
		in = append(in, g.permission(!g.mostly()))
	}
	c := object{
		"description": "Access to the payments service", "groupName": fmt.Sprintf("payments-%d", i), "groupId": id, "ipPermissions": in, "ownerId": "111122223333", "tags": g.tagList(tags), "vpcId": g.pick("vpc-0123456789abcdef0", "vpc-0fedcba9876543210"),
		"ipPermissionsEgress": []object{{"ipProtocol": "-1", "ipv6Ranges": []object{}, "prefixListIds": []object{}, "userIdGroupPairs": []object{}, "ipv4Ranges": []object{{"cidrIp": g.pick("0.0.0.0/0", "10.0.0.0/8")}}, "ipRanges": []string{"0.0.0.0/0"}}},
	}
	return g.item("AWS::EC2::SecurityGroup", id, c["groupName"].(string), tags, c, object{}, related("AWS::EC2::VPC", "vpc-0123456789abcdef0", "Is contained in Vpc"), related("AWS::EC2::NetworkInterface", "eni-"+g.hex(17), "Is associated with NetworkInterface"))
}

func (g generator) bucket(i int) item {
	name := fmt.Sprintf("%s-payments-%d-%s", g.pick("acme", "acme", "legacy"), i, g.hex(6))
	c := object{"name": name, "owner": object{"displayName": nil, "id": g.hex(64)}, "creationDate": g.day(), "region": "eu-west-1"}
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Sid":"Tls","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::%[1]s","arn:aws:s3:::%[1]s/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}`, name)
	s := object{
		"AccessControlList":             fmt.Sprintf(`{"grantSet":null,"grantList":[{"grantee":{"id":"%s","displayName":null},"permission":"FullControl"}],"owner":{"displayName":null,"id":"%s"},"isRequesterCharged":false}`, g.hex(64), g.hex(64)),
		"BucketAccelerateConfiguration": object{"status": nil}, "BucketNotificationConfiguration": object{"configurations": object{}}, "BucketPolicy": object{"policyText": policy}, "IsRequesterPaysEnabled": false,
		"BucketVersioningConfiguration":     object{"status": g.pick("Enabled", "Enabled", "Off"), "isMfaDeleteEnabled": nil},
		"ServerSideEncryptionConfiguration": object{"rules": []object{{"applyServerSideEncryptionByDefault": object{"sseAlgorithm": g.pick("aws:kms", "AES256"), "kmsMasterKeyID": nil}, "bucketKeyEnabled": true}}},
		"PublicAccessBlockConfiguration":    object{"blockPublicAcls": true, "ignorePublicAcls": true, "blockPublicPolicy": g.mostly(), "restrictPublicBuckets": g.mostly()},
		"BucketLoggingConfiguration":        object{"destinationBucketName": g.pick("acme-logs", "acme-logs", "other"), "logFilePrefix": name + "/"},
		"BucketLifecycleConfiguration":      object{"rules": []object{{"id": "old", "prefix": "tmp/", "status": "Enabled", "expirationInDays": 7 << g.IntN(5), "noncurrentVersionExpirationInDays": -1, "transitions": nil}, {"id": "none", "prefix": "", "status": "Disabled", "expirationInDays": 1}}},
	}
	return g.item("AWS::S3::Bucket", name, name, g.tags(i), c, s)
}

func (g generator) role(i int) item {
	name := fmt.Sprintf("payments-%d", i)
	var attached, inline []object
	for k := range 1 + g.IntN(4) {
		attached = append(attached, object{"policyName": fmt.Sprintf("policy-%d", k), "policyArn": fmt.Sprintf("arn:aws:iam::111122223333:policy/policy-%d", k)})
	}
	if !g.mostly() {
		attached = append(attached, object{"policyName": "AdministratorAccess", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"})
	}
	if !g.mostly() {
		inline = append(inline, object{"policyName": "inline", "policyDocument": "%7B%22Version%22%3A%222012-10-17%22%7D"})
	}
	c := object{
		"path": g.pick("/service/", "/service/", "/"), "roleName": name, "roleId": "AROA" + g.hex(17), "arn": "arn:aws:iam::111122223333:role/" + name, "createDate": g.day(), "maxSessionDuration": 3600 * (1 + g.IntN(12)), "description": "",
		"assumeRolePolicyDocument": "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%22" + g.pick("ec2", "lambda", "ecs-tasks") + ".amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D",
		"instanceProfileList":      []object{{"path": "/", "instanceProfileName": name, "instanceProfileId": "AIPA" + g.hex(17), "arn": "arn:aws:iam::111122223333:instance-profile/" + name, "createDate": g.day(), "roles": []object{{"path": "/", "roleName": name, "roleId": "AROA" + g.hex(17), "arn": "arn:aws:iam::111122223333:role/" + name}}}},
		"rolePolicyList":           inline, "attachedManagedPolicies": attached, "tags": g.tagList(g.tags(i)), "roleLastUsed": object{"lastUsedDate": g.day(), "region": "eu-west-1"},
	}
	if inline == nil {
		c["rolePolicyList"] = []object{}
	}
	if g.mostly() {
		c["permissionsBoundary"] = object{"permissionsBoundaryArn": "arn:aws:iam::111122223333:policy/" + g.pick("boundary", "other"), "permissionsBoundaryType": "Policy"}
	}
	return g.item("AWS::IAM::Role", c["roleId"].(string), name, g.tags(i), c, object{}, related("AWS::IAM::Policy", "ANPA"+g.hex(17), "Is attached to CustomerManagedPolicy"), related("AWS::IAM::Policy", "ANPA"+g.hex(17), "Is attached to CustomerManagedPolicy"))
}
