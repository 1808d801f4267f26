package sandbox

import (
	"cmp"
	"strconv"
	"strings"
)

const (
	ec2Prefix = "arn:{Partition}:ec2:{Region}:{Account}:"
	runOn     = "instance/* volume/* network-interface/* arn:{Partition}:ec2:{Region}::image/{ImageId} subnet/{SubnetId} " +
		"security-group/{SecurityGroupIds} key-pair/{KeyName}"
)

// What EC2's operations are on. Those that only describe are on "*".
// Source: Service Authorization Reference, "Actions, resources, and condition
// keys for Amazon EC2".
var ec2Access = serviceAccess{
	arn: ec2Prefix,
	on: map[string]string{
		"AllocateAddress":               "elastic-ip/*",
		"AssociateIamInstanceProfile":   "instance/{InstanceId}",
		"CreateTransitGateway":          "transit-gateway/*",
		"CreateVpcEndpoint":             "vpc-endpoint/* vpc/{VpcId} subnet/{SubnetIds} security-group/{SecurityGroupIds}",
		"DescribeVpcAttribute":          "vpc/{VpcId}",
		"ModifyTransitGateway":          "transit-gateway/{TransitGatewayId}",
		"ModifyVpcAttribute":            "vpc/{VpcId}",
		"AssociateAddress":              "elastic-ip/{AllocationId} instance/{InstanceId}",
		"AttachVolume":                  "instance/{InstanceId} volume/{VolumeId}",
		"AuthorizeSecurityGroupEgress":  "security-group/{GroupId}",
		"AuthorizeSecurityGroupIngress": "security-group/{GroupId}",
		"CreateSecurityGroup":           "security-group/* vpc/{VpcId}",
		"CreateSnapshot":                "arn:{Partition}:ec2:{Region}::snapshot/* volume/{VolumeId}",
		"CreateSubnet":                  "subnet/* vpc/{VpcId}",
		"CreateVolume":                  "volume/* arn:{Partition}:ec2:{Region}::snapshot/{SnapshotId}",
		"CreateVpc":                     "vpc/*",
		"CopySnapshot":                  "arn:{Partition}:ec2:{Region}::snapshot/* arn:{Partition}:ec2:{SourceRegion}::snapshot/{SourceSnapshotId}",
		"DeleteSnapshot":                "arn:{Partition}:ec2:{Region}::snapshot/{SnapshotId}",
		"DeleteVolume":                  "volume/{VolumeId}",
		"DescribeInstanceAttribute":     "instance/{InstanceId}",
		"DetachVolume":                  "volume/{VolumeId} instance/{InstanceId}",
		"ModifyInstanceAttribute":       "instance/{InstanceId}",
		"ModifyInstanceMetadataOptions": "instance/{InstanceId}",
		"ModifySnapshotAttribute":       "arn:{Partition}:ec2:{Region}::snapshot/{SnapshotId}",
		"ModifyVolume":                  "volume/{VolumeId}",
		"RebootInstances":               "instance/{InstanceIds}",
		"ReleaseAddress":                "elastic-ip/{AllocationId}",
		"RevokeSecurityGroupEgress":     "security-group/{GroupId}",
		"RevokeSecurityGroupIngress":    "security-group/{GroupId}",
		"RunInstances":                  runOn,
		"CopyImage":                     "arn:{Partition}:ec2:{Region}::image/* arn:{Partition}:ec2:{SourceRegion}::image/{SourceImageId}",
		"CreateFlowLogs":                "vpc-flow-log/*",
		"CreateImage":                   "arn:{Partition}:ec2:{Region}::image/* instance/{InstanceId} arn:{Partition}:ec2:{Region}::snapshot/*",
		"CreateLaunchTemplate":          "launch-template/*",
		"CreateLaunchTemplateVersion":   "launch-template/{LaunchTemplateId}",
		"DeleteFlowLogs":                "vpc-flow-log/{FlowLogIds}",
		"DeleteLaunchTemplate":          "launch-template/{LaunchTemplateId}",
		"DeleteLaunchTemplateVersions":  "launch-template/{LaunchTemplateId}",
		"DeleteSecurityGroup":           "security-group/{GroupId}",
		"DeleteSubnet":                  "subnet/{SubnetId}",
		"DeleteVpc":                     "vpc/{VpcId}",
		"DeregisterImage":               "arn:{Partition}:ec2:{Region}::image/{ImageId}",
		"DescribeImageAttribute":        "arn:{Partition}:ec2:{Region}::image/{ImageId}",
		"DescribeSnapshotAttribute":     "arn:{Partition}:ec2:{Region}::snapshot/{SnapshotId}",
		"ModifyImageAttribute":          "arn:{Partition}:ec2:{Region}::image/{ImageId}",
		"ModifyLaunchTemplate":          "launch-template/{LaunchTemplateId}",
		"ModifySubnetAttribute":         "subnet/{SubnetId}",
		"ResetSnapshotAttribute":        "arn:{Partition}:ec2:{Region}::snapshot/{SnapshotId}",
		"StartInstances":                "instance/{InstanceIds}",
		"StopInstances":                 "instance/{InstanceIds}",
		"TerminateInstances":            "instance/{InstanceIds}",
	},
	needs: map[string]func(*call, []need) []need{
		"AssociateIamInstanceProfile": func(c *call, own []need) []need {
			return append(own, c.profileNeeds(c.object("IamInstanceProfile"))...)
		},
		"CreateTransitGateway": createNeeds("transit-gateway"),
		"CreateVpcEndpoint":    createNeeds("vpc-endpoint"),
		"AttachVolume":         attachNeeds,
		"CopySnapshot":         copyNeeds,
		"AllocateAddress":      createNeeds("elastic-ip"),
		"CopyImage":            createNeeds("image", "snapshot"),
		"CreateFlowLogs":       flowNeeds,
		"CreateImage":          createNeeds("image", "snapshot"),
		"CreateLaunchTemplate": createNeeds("launch-template"),
		"CreateSecurityGroup":  createNeeds("security-group"),
		"CreateSnapshot":       createNeeds("snapshot"),
		"CreateSubnet":         createNeeds("subnet"),
		"CreateTags":           tagNeeds,
		"CreateVolume":         volumeNeeds,
		"CreateVpc":            createNeeds("vpc"),
		"DeleteTags":           tagNeeds,
		"RunInstances":         runNeeds,
		"StartInstances":       startNeeds,
	},
	keys: ec2Keys,
	look: func(c *call, n *need) resource {
		a, _ := parseARN(n.resource)
		_, tags := c.ec2Resource(last(a.resource))
		return resource{tags: tags}
	},
}

// ec2Resource gives the kind, as ARNs have it, and tags of a resource by its id.
func (c *call) ec2Resource(id string) (kind string, tags tagSet) {
	prefix, _, _ := strings.Cut(id, "-")
	home := c.home()
	switch prefix {
	case "i":
		_, v, _ := table[instance](home.Instances).live(id, c.now)
		return "instance", v.Tags
	case "vol":
		_, v, _ := table[volume](home.Volumes).live(id, c.now)
		return "volume", v.Tags
	case "snap":
		_, v, _ := table[snapshot](home.Snapshots).live(id, c.now)
		return "snapshot", v.Tags
	case "vpc":
		_, v, _ := table[vpc](home.VPCs).live(id, c.now)
		return "vpc", v.Tags
	case "subnet":
		_, v, _ := table[subnet](home.Subnets).live(id, c.now)
		return "subnet", v.Tags
	case "sg":
		_, v, _ := table[securityGroup](home.SecurityGroups).live(id, c.now)
		return "security-group", v.Tags
	case "eipalloc":
		_, v, _ := table[address](home.Addresses).live(id, c.now)
		return "elastic-ip", v.Tags
	case "eni":
		return "network-interface", nil
	case "ami":
		_, v, _ := home.EC2.Images.live(id, c.now)
		return "image", v.Tags
	case "lt":
		_, v, _ := home.EC2.Templates.live(id, c.now)
		return "launch-template", v.Tags
	case "fl":
		_, v, _ := home.EC2.FlowLogs.live(id, c.now)
		return "vpc-flow-log", v.Tags
	case "sgr":
		return "security-group-rule", nil
	}
	return "*", nil
}

// ec2ResourceARN is the ARN of a kind of resource; images and snapshots belong to no
// account by theirs.
func (c *call) ec2ResourceARN(kind, id string) string {
	if kind == "snapshot" || kind == "image" {
		return "arn:" + c.partition() + ":ec2:" + c.region + "::" + kind + "/" + id
	}
	return c.arnOf("ec2", kind+"/"+id)
}

func ec2Keys(c *call, n *need, set func(string, ...string)) {
	set("ec2:Region", c.region)
	a, _ := parseARN(n.resource)
	kind, id, _ := strings.Cut(a.resource, "/")
	switch kind {
	case "instance":
		_, i, ok := table[instance](c.home().Instances).live(id, c.now)
		switch {
		case ok:
			set("ec2:InstanceType", i.Type)
			set("ec2:AvailabilityZone", i.Zone)
		case c.operation.Name == "RunInstances" && c.str("InstanceType") != "":
			set("ec2:InstanceType", c.str("InstanceType"))
		}
	case "volume":
		_, v, ok := table[volume](c.home().Volumes).live(id, c.now)
		switch {
		case ok:
			set("ec2:VolumeType", v.Type)
			set("ec2:Encrypted", strconv.FormatBool(v.Encrypted))
			set("ec2:AvailabilityZone", v.Zone)
		case c.operation.Name == "CreateVolume":
			_, encrypted := c.newVolumeKey(c.in)
			set("ec2:Encrypted", strconv.FormatBool(encrypted))
			if t := c.str("VolumeType"); t != "" {
				set("ec2:VolumeType", t)
			}
		}
	case "snapshot":
		if _, s, ok := table[snapshot](c.home().Snapshots).live(id, c.now); ok {
			set("ec2:Owner", c.who.Account)
			set("ec2:VolumeSize", strconv.FormatInt(s.Size, 10))
		}
	}
}

// createNeeds is for an operation that makes a resource of a kind: to tag it on
// the way needs ec2:CreateTags as well.
func createNeeds(kinds ...string) func(*call, []need) []need {
	return func(c *call, own []need) []need {
		specs := c.objects("TagSpecifications")
		for _, spec := range specs {
			kind, _ := spec["ResourceType"].(string)
			tags := tagsOf(spec["Tags"])
			for i := range own {
				if strings.HasSuffix(own[i].resource, ":"+kind+"/*") {
					own[i].tags = tags
				}
			}
		}
		for _, spec := range specs {
			kind, _ := spec["ResourceType"].(string)
			for _, k := range kinds {
				if k == kind {
					own = append(own, need{action: "ec2:CreateTags", resource: c.ec2ResourceARN(kind, "*"), tags: tagsOf(spec["Tags"]),
						keys: map[string]string{"ec2:CreateAction": c.operation.Name}})
				}
			}
		}
		return own
	}
}

// tagNeeds is for CreateTags and DeleteTags, which name resources by ids alone.
func tagNeeds(c *call, own []need) []need {
	var out []need
	for _, id := range c.strings("Resources") {
		kind, _ := c.ec2Resource(id)
		out = append(out, need{action: own[0].action, resource: c.ec2ResourceARN(kind, id), tags: own[0].tags})
	}
	if len(out) == 0 {
		return own
	}
	return out
}

// newVolumeKey is the ARN of the key that a volume of CreateVolume's input, or of
// a block device mapping, is encrypted with. It makes no key: the alias of one
// that AWS manages stands for it until its first use.
func (c *call) newVolumeKey(in object) (key string, encrypted bool) {
	id, _ := in["SnapshotId"].(string)
	_, s, _ := table[snapshot](c.home().Snapshots).live(id, c.now)
	asked, _ := in["Encrypted"].(bool)
	name, _ := in["KmsKeyId"].(string)
	switch {
	case !asked && !s.Encrypted && !c.home().Encrypt:
		return "", false
	case name == "" && s.KeyARN != "":
		return s.KeyARN, true
	case name == "":
		name = cmp.Or(c.home().EC2.DefaultKey, ebsAlias)
	}
	return c.keyNamed(name), true
}

func (c *call) snapshotKey(id string) string {
	_, s, _ := table[snapshot](c.home().Snapshots).live(id, c.now)
	return s.KeyARN
}

// keyNeeds are uses of a KMS key by EBS for the caller, who must be allowed them.
// Source: Amazon EBS User Guide, "Requirements for Amazon EBS encryption" and
// "How Amazon EBS encryption works"; KMS Developer Guide, "Using grants".
func keyNeeds(key string, actions ...string) []need { return keyNeedsOf("ec2", key, actions...) }

// keyNeedsOf is keyNeeds for any service.
func keyNeedsOf(service, key string, actions ...string) []need {
	if key == "" {
		return nil
	}
	var out []need
	for _, a := range actions {
		n := need{action: "kms:" + a, resource: key, via: service}
		if a == "CreateGrant" {
			n.keys = map[string]string{"kms:GrantIsForAWSResource": "true"}
		}
		out = append(out, n)
	}
	return out
}

// reencryptNeeds are those of data that comes from one key to another.
func reencryptNeeds(from, to string) []need {
	out := keyNeeds(to, "CreateGrant", "GenerateDataKeyWithoutPlaintext")
	if from != "" && from != to {
		out = append(append(out, keyNeeds(from, "ReEncryptFrom")...), keyNeeds(to, "ReEncryptTo")...)
	}
	return out
}

func volumeNeeds(c *call, own []need) []need {
	key, _ := c.newVolumeKey(c.in)
	return append(createNeeds("volume")(c, own), reencryptNeeds(c.snapshotKey(c.str("SnapshotId")), key)...)
}

func copyNeeds(c *call, own []need) []need {
	source := c.snapshotKey(c.str("SourceSnapshotId"))
	key := ""
	if source != "" || c.bool("Encrypted") {
		if key = source; c.str("KmsKeyId") != "" {
			key = c.keyNamed(c.str("KmsKeyId"))
		}
		if key == "" {
			key = c.keyNamed(cmp.Or(c.home().EC2.DefaultKey, ebsAlias))
		}
	}
	out := append(createNeeds("snapshot")(c, own), reencryptNeeds(source, key)...)
	return append(out, keyNeeds(key, "DescribeKey")...)
}

func attachNeeds(c *call, own []need) []need {
	_, v, _ := table[volume](c.home().Volumes).live(c.str("VolumeId"), c.now)
	return append(own, keyNeeds(v.KeyARN, "CreateGrant", "Decrypt")...)
}

func startNeeds(c *call, own []need) []need {
	for _, id := range c.strings("InstanceIds") {
		for _, d := range c.devices(c.now, id)[id] {
			v, _ := c.home().Volumes[d.id].as(c.now)
			own = append(own, keyNeeds(v.KeyARN, "CreateGrant", "Decrypt")...)
		}
	}
	return own
}

// flowNeeds is for CreateFlowLogs, which hands a role to the delivery of logs.
func flowNeeds(c *call, own []need) []need {
	return append(createNeeds("vpc-flow-log")(c, own), c.passRole(c.str("DeliverLogsPermissionArn"), "vpc-flow-logs.amazonaws.com")...)
}

// runNeeds looks at what a launch template says as well.
func runNeeds(c *call, own []need) []need {
	if in, v, err := c.withTemplate(c.in); err == nil && v.Template != "" {
		at := *c
		at.in = in
		own = nil
		run := serviceAccess{arn: ec2Prefix, on: map[string]string{"RunInstances": runOn}}
		for _, on := range run.resources(&at) {
			own = append(own, need{action: "ec2:RunInstances", resource: on, tags: at.requestTags()})
		}
		c = &at
		own = append(own, need{action: "ec2:RunInstances", resource: c.arnOf("ec2", "launch-template/"+v.Template)})
	}
	own = createNeeds("instance", "volume", "network-interface")(c, own)
	for _, m := range c.objects("BlockDeviceMappings") {
		ebs, _ := m["Ebs"].(object)
		key, _ := c.newVolumeKey(ebs)
		id, _ := ebs["SnapshotId"].(string)
		own = append(append(own, reencryptNeeds(c.snapshotKey(id), key)...), keyNeeds(key, "Decrypt")...)
	}
	return append(own, c.profileNeeds(c.object("IamInstanceProfile"))...)
}

// profileNeeds is what it takes to give an instance a profile.
func (c *call) profileNeeds(profile object) []need {
	name, _ := profile["Name"].(string)
	if arn, _ := profile["Arn"].(string); arn != "" {
		name = last(arn)
	}
	return c.passRole(c.profileRole(name), "ec2.amazonaws.com")
}

// passRole is what it takes to hand a role, by its ARN, to a service.
func (c *call) passRole(role, service string) []need {
	if role == "" {
		return nil
	}
	return []need{{action: "iam:PassRole", resource: role, keys: map[string]string{"iam:PassedToService": service}}}
}
