package sandbox

import (
	"slices"
	"time"
)

// itemKinds are the types of which the sandbox keeps items. Their members are
// those of the public AWS Config resource schemas.
var itemKinds = []itemKind{
	kindOf("AWS::EC2::Instance", func(c *call) map[string]*record[instance] { return c.home().Instances }, instanceItem, instanceVolumes),
	kindOf("AWS::EC2::SecurityGroup", func(c *call) map[string]*record[securityGroup] { return c.home().SecurityGroups }, groupItem, nil),
	kindOf("AWS::EC2::Subnet", func(c *call) map[string]*record[subnet] { return c.home().Subnets },
		func(c *call, id string, v subnet, _ time.Time) (item, bool) {
			i := c.ec2Item("subnet", id, v.Tags, c.subnetOut(id, v))
			i.zone, i.relations = v.Zone, []any{relation("AWS::EC2::VPC", v.VPC, "Is contained in Vpc")}
			return i, true
		}, nil),
	kindOf("AWS::EC2::VPC", func(c *call) map[string]*record[vpc] { return c.home().VPCs },
		func(c *call, id string, v vpc, _ time.Time) (item, bool) {
			i := c.ec2Item("vpc", id, v.Tags, c.vpcOut(id, v))
			i.zone = "Multiple Availability Zones"
			return i, true
		}, nil),
	kindOf("AWS::EC2::Volume", func(c *call) map[string]*record[volume] { return c.home().Volumes }, volumeItem, nil),
	kindOf("AWS::IAM::Role", func(c *call) map[string]*record[role] { return c.accountState().Roles }, roleItem, nil),
	kindOf("AWS::IAM::User", func(c *call) map[string]*record[user] { return c.accountState().Users }, userItem, nil),
	kindOf("AWS::KMS::Key", func(c *call) map[string]*record[kmsKey] { return c.home().Keys }, keyItem, nil),
	kindOf("AWS::S3::Bucket", func(c *call) map[string]*record[bucket] { return c.state.Buckets }, bucketItem, nil),
}

// ec2Item is the item of what EC2 describes: the answer in lower camel case.
func (c *call) ec2Item(kind, id string, tags tagSet, out object) item {
	configuration := lowered(out).(object)
	if configuration["tags"] == nil {
		configuration["tags"] = []any{}
	}
	return item{id: id, arn: c.ec2ARN(kind, id), zone: "Not Applicable", tags: tags, configuration: configuration}
}

func volumeItem(c *call, id string, v volume, _ time.Time) (item, bool) {
	i := c.ec2Item("volume", id, v.Tags, c.volumeOut(id, v))
	i.zone, i.created = v.Zone, v.Created
	i.configuration["state"] = object{"value": v.State}
	for _, a := range v.Attachments {
		i.relations = append(i.relations, relation("AWS::EC2::Instance", a.Instance, "Is attached to Instance"))
	}
	return i, v.State != gone
}

func instanceItem(c *call, id string, v instance, at time.Time) (item, bool) {
	i := c.ec2Item("instance", id, v.Tags, c.instanceOut(id, v, at, c.devices(at, id)[id]))
	i.zone, i.created = v.Zone, v.Launched
	i.relations = []any{relation("AWS::EC2::NetworkInterface", "eni-"+id[2:], "Contains NetworkInterface")}
	for _, g := range v.Groups {
		i.relations = append(i.relations, relation("AWS::EC2::SecurityGroup", g, "Is associated with SecurityGroup"))
	}
	for _, vid := range texts(lookup(i.configuration, "blockDeviceMappings.ebs.volumeId")) {
		i.relations = append(i.relations, relation("AWS::EC2::Volume", vid, "Is attached to Volume"))
	}
	if v.Subnet != "" {
		i.relations = append(i.relations, relation("AWS::EC2::Subnet", v.Subnet, "Is contained in Subnet"), relation("AWS::EC2::VPC", v.VPC, "Is contained in Vpc"))
	}
	return i, v.State != "terminated"
}

// instanceVolumes are the moments at which volumes of an instance changed.
func instanceVolumes(c *call, id string) []time.Time {
	var out []time.Time
	for _, r := range c.home().Volumes {
		if slices.ContainsFunc(r.Versions, func(v version[volume]) bool {
			return slices.ContainsFunc(v.Value.Attachments, func(a attachment) bool { return a.Instance == id })
		}) {
			out = append(out, moments(r)...)
		}
	}
	return out
}

// groupItem has each address range twice, as Config does: as a text in ipRanges
// and as a structure in ipv4Ranges.
func groupItem(c *call, id string, v securityGroup, _ time.Time) (item, bool) {
	i := c.ec2Item("security-group", id, v.Tags, c.securityGroupOut(id, v))
	i.name = v.Name
	for _, list := range []string{"ipPermissions", "ipPermissionsEgress"} {
		for _, p := range objects(i.configuration[list]) {
			p["ipv4Ranges"], p["ipRanges"] = p["ipRanges"], lookup(p["ipRanges"], "cidrIp")
			if p["ipRanges"].([]any) == nil {
				p["ipRanges"] = []any{}
			}
		}
	}
	i.relations = []any{relation("AWS::EC2::VPC", v.VPC, "Is contained in Vpc")}
	return i, true
}

func bucketItem(c *call, name string, v bucket, _ time.Time) (item, bool) {
	i := item{id: name, name: name, arn: c.bucketARN(name), zone: "Regional", created: v.Created, tags: v.Tags,
		configuration: object{"name": name, "owner": object{"displayName": nil, "id": canonicalUser(v.Owner)}, "creationDate": stamp(v.Created)}}
	policy, versioning := any(nil), "Off"
	if v.Policy != "" {
		policy = v.Policy
	}
	if v.Versioning != "" {
		versioning = v.Versioning
	}
	rule := v.encryption()
	by := rule["ApplyServerSideEncryptionByDefault"]
	encryption := object{"applyServerSideEncryptionByDefault": object{"sseAlgorithm": lookupText(by, "SSEAlgorithm"), "kmsMasterKeyID": lookupOne(by, "KMSMasterKeyID")},
		"bucketKeyEnabled": rule.bool("BucketKeyEnabled")}
	i.supplementary = object{"BucketPolicy": object{"policyText": policy}, "BucketVersioningConfiguration": object{"status": versioning, "isMfaDeleteEnabled": nil},
		"ServerSideEncryptionConfiguration": object{"rules": []any{encryption}}}
	logging, _ := v.document("LoggingEnabled")["LoggingEnabled"].(object)
	i.supplementary["BucketLoggingConfiguration"] = object{"destinationBucketName": logging["TargetBucket"], "logFilePrefix": logging["TargetPrefix"]}
	if v.Block != nil {
		i.supplementary["PublicAccessBlockConfiguration"] = lowered(v.Block)
	}
	if len(v.Tags) > 0 {
		i.supplementary["BucketTaggingConfiguration"] = object{"tagSets": []any{object{"tags": textObject(v.Tags)}}}
	}
	return i, !v.Deleted && v.Owner == c.who.Account && v.Region == c.region
}

// policiesOut are inline and attached policies as IAM's items have them.
func (p policySet) policiesOut() (inline, attached []any, boundary any) {
	inline, attached = []any{}, []any{}
	for _, name := range sorted(p.Inline) {
		inline = append(inline, object{"policyName": name, "policyDocument": escaped(p.Inline[name])})
	}
	for _, arn := range p.Attached {
		attached = append(attached, object{"policyName": last(arn), "policyArn": arn})
	}
	if p.Boundary != "" {
		boundary = object{"permissionsBoundaryType": "PermissionsBoundaryPolicy", "permissionsBoundaryArn": p.Boundary}
	}
	return inline, attached, boundary
}

func tagsOut(t tagSet) []any { return lowered(t.list()).([]any) }

func roleItem(c *call, name string, v role, _ time.Time) (item, bool) {
	inline, attached, boundary := v.policiesOut()
	return item{id: v.ID, name: name, arn: c.roleARN(name, v), zone: "Not Applicable", region: "global", created: v.Created, tags: v.Tags,
		configuration: object{"path": v.Path, "roleName": name, "roleId": v.ID, "arn": c.roleARN(name, v), "createDate": stamp(v.Created), "assumeRolePolicyDocument": escaped(v.Trust),
			"instanceProfileList": []any{}, "rolePolicyList": inline, "attachedManagedPolicies": attached, "permissionsBoundary": boundary, "tags": tagsOut(v.Tags)}}, true
}

func userItem(c *call, name string, v user, _ time.Time) (item, bool) {
	inline, attached, boundary := v.policiesOut()
	arn := c.globalARN("iam", "user"+v.Path+name)
	i := item{id: v.ID, name: name, arn: arn, zone: "Not Applicable", region: "global", created: v.Created, tags: v.Tags,
		configuration: object{"path": v.Path, "userName": name, "userId": v.ID, "arn": arn, "createDate": stamp(v.Created), "userPolicyList": inline, "groupList": anys(v.Groups),
			"attachedManagedPolicies": attached, "permissionsBoundary": boundary, "tags": tagsOut(v.Tags)}}
	for _, g := range v.Groups {
		_, group, _ := c.accountState().UserGroups.live(g, c.now)
		i.relations = append(i.relations, object{"resourceType": "AWS::IAM::Group", "resourceId": group.ID, "resourceName": g, "relationshipName": "Is attached to Group"})
	}
	return i, true
}

// keyItem has the account's name in a spelling of Config's own, and times in
// milliseconds.
func keyItem(c *call, id string, v kmsKey, _ time.Time) (item, bool) {
	at := keyRef{id: id}
	at.arn, _ = parseARN(c.arnOf("kms", "key/"+id))
	configuration := lowered(at.out(v)).(object)
	delete(configuration, "aWSAccountId")
	configuration["awsaccountId"], configuration["creationDate"] = c.who.Account, v.Created.UnixMilli()
	if !v.Deletion.IsZero() {
		configuration["deletionDate"] = v.Deletion.UnixMilli()
	}
	return item{id: id, arn: at.String(), zone: "Not Applicable", created: v.Created, tags: v.Tags, configuration: configuration,
		supplementary: object{"Policy": v.Policy, "KeyRotationStatus": v.Rotation > 0}}, true
}
