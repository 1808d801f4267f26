package sandbox

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

type instance struct {
	State      string    `json:"state"`
	Launched   time.Time `json:"launched"`
	Type       string    `json:"type"`
	Zone       string    `json:"zone"`
	Image      string    `json:"image"`
	Root       string    `json:"rootDevice"`
	Lifecycle  string    `json:"lifecycle,omitempty"` // spot
	StopGuard  bool      `json:"disableApiStop,omitempty"`
	PrivateIP  string    `json:"privateIp"`
	PublicIP   string    `json:"publicIp,omitempty"`
	PublicFrom string    `json:"publicIpOwner,omitempty"` // amazon, or the account for an Elastic IP address
	Subnet     string    `json:"subnet,omitempty"`
	VPC        string    `json:"vpc,omitempty"`
	Groups     []string  `json:"securityGroups,omitempty"`
	Profile    string    `json:"instanceProfile,omitempty"` // ARN
	Tags       tagSet    `json:"tags,omitempty"`
}

type address struct {
	PublicIP string `json:"publicIp"`
	Instance string `json:"instance,omitempty"`
}

var stateCodes = map[string]int64{"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}

// instanceTypes are a few real ones: vCPUs, MiB, and whether they have instance
// store volumes. From the EC2 instance types guide.
var instanceTypes = map[string]struct {
	vcpus, memory int64
	store         bool
}{
	"t3.micro": {2, 1024, false}, "t3.medium": {2, 4096, false}, "t3.large": {2, 8192, false}, "m5.large": {2, 8192, false}, "m5.xlarge": {4, 16384, false},
	"m5d.large": {2, 8192, true}, "c5.large": {2, 4096, false}, "r5.large": {2, 16384, false}, "i3.large": {2, 15616, true},
}

func zones(region string) []string { return []string{region + "a", region + "b", region + "c"} }

func (c *call) liveInstance(id string, at time.Time) (*record[instance], instance, error) {
	r, ok := c.home().Instances[id]
	if ok {
		if i, ok := r.as(at); ok {
			return r, i, nil
		}
	}
	return nil, instance{}, failure(400, "InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id)
}

func runInstances(c *call) (map[string]any, error) {
	if id, err := c.once(); err != nil || id != "" {
		if err != nil {
			return nil, err
		}
		i, _ := c.home().Instances[id].as(c.now)
		return c.reservation(id, i), nil
	}
	i := instance{State: "pending", Launched: c.now, Type: c.str("InstanceType"), Image: c.str("ImageId"), Root: "/dev/xvda", StopGuard: c.bool("DisableApiStop"), Zone: zones(c.region)[0]}
	if i.Type == "" {
		i.Type = "m5.large"
	}
	if _, ok := instanceTypes[i.Type]; !ok {
		return nil, failure(400, "InvalidParameterValue", "Invalid value '%s' for InstanceType.", i.Type)
	}
	if low, _ := c.int("MinCount"); low != 1 {
		return nil, failure(501, "NotImplemented", "The sandbox runs one instance in a call.")
	}
	if z, _ := c.object("Placement")["AvailabilityZone"].(string); z != "" {
		i.Zone = z
	}
	if t, _ := c.object("InstanceMarketOptions")["MarketType"].(string); t == "spot" {
		i.Lifecycle = "spot"
	}
	if err := c.place(&i); err != nil {
		return nil, err
	}
	if profile := c.object("IamInstanceProfile"); profile != nil {
		i.Profile, _ = profile["Arn"].(string)
		if name, _ := profile["Name"].(string); i.Profile == "" {
			i.Profile = "arn:aws:iam::" + c.who.Account + ":instance-profile/" + name
		}
	}
	var err error
	if i.Tags, err = c.newTags("instance"); err != nil {
		return nil, err
	}
	volumeTags, err := c.newTags("volume")
	if err != nil {
		return nil, err
	}
	id := c.id("i-0", 16)
	i.PrivateIP = "10.0." + octet(id[3:5]) + "." + octet(id[5:7])
	if wantsPublicIP(c.objects("NetworkInterfaces")) {
		i.PublicIP, i.PublicFrom = "203.0.113."+octet(id[7:9]), "amazon"
	}
	c.home().Instances[id] = newRecord(c.now, i)
	c.home().Instances[id].change(c.now.Add(instanceStart), func(i *instance) { i.State = "running" })
	c.instanceEvents(id, c.now, "pending", c.now.Add(instanceStart), "running")
	mappings := c.objects("BlockDeviceMappings")
	if !slices.ContainsFunc(mappings, func(m object) bool { return m["DeviceName"] == i.Root }) {
		mappings = append([]object{{"DeviceName": i.Root, "Ebs": object{"VolumeSize": int64(8)}}}, mappings...)
	}
	for _, m := range mappings {
		if err := c.mapDevice(id, i, m, volumeTags); err != nil {
			return nil, err
		}
	}
	c.remember(id)
	return c.reservation(id, i), nil
}

// place puts an instance into the subnet and security groups of its call.
func (c *call) place(i *instance) error {
	if i.Subnet = c.str("SubnetId"); i.Subnet != "" {
		r, ok := c.home().Subnets[i.Subnet]
		if !ok {
			return failure(400, "InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", i.Subnet)
		}
		s, _ := r.as(c.now)
		i.VPC, i.Zone = s.VPC, s.Zone
	}
	i.Groups = c.strings("SecurityGroupIds")
	for _, id := range i.Groups {
		if _, ok := c.home().SecurityGroups[id]; !ok {
			return failure(400, "InvalidGroup.NotFound", "The security group '%s' does not exist", id)
		}
	}
	return nil
}

func wantsPublicIP(interfaces []object) bool {
	return slices.ContainsFunc(interfaces, func(o object) bool { return o["AssociatePublicIpAddress"] == true })
}

// octet makes a number below 256 of two hex digits.
func octet(hex string) string {
	n, err := strconv.ParseUint(hex, 16, 8)
	if err != nil {
		return "0"
	}
	return strconv.FormatUint(n, 10)
}

// mapDevice makes the volume of a block device mapping, through the same
// handler as CreateVolume, and attaches it.
func (c *call) mapDevice(id string, i instance, mapping object, tags tagSet) error {
	ebs, _ := mapping["Ebs"].(object)
	if ebs == nil {
		return failure(501, "NotImplemented", "The sandbox maps EBS volumes only.")
	}
	in := object{"AvailabilityZone": i.Zone, "VolumeType": "gp3"}
	for from, to := range map[string]string{"VolumeSize": "Size", "VolumeType": "VolumeType", "Iops": "Iops", "Throughput": "Throughput", "Encrypted": "Encrypted", "KmsKeyId": "KmsKeyId", "SnapshotId": "SnapshotId"} {
		if v, ok := ebs[from]; ok {
			in[to] = v
		}
	}
	op, err := c.catalog.Operation("ec2", "CreateVolume")
	if err != nil {
		return err
	}
	sub := *c
	sub.in, sub.operation = in, op
	out, err := createVolume(&sub)
	if err != nil {
		return err
	}
	volumeID, _ := out["VolumeId"].(string)
	keep, given := ebs["DeleteOnTermination"].(bool)
	r := c.home().Volumes[volumeID]
	r.forget(c.now)
	r.change(c.now, func(v *volume) {
		v.State, v.Instance, v.Attach, v.Attached, v.Tags = "in-use", id, "attached", c.now, v.Tags.with(tags)
		v.Device, _ = mapping["DeviceName"].(string)
		v.DeleteOn = !given || keep
	})
	return nil
}

func (c *call) reservation(id string, i instance) object {
	return object{"ReservationId": "r-" + id[2:], "OwnerId": c.who.Account, "Instances": []any{c.instanceOut(id, i, c.now)}, "Groups": []any{}}
}

func (c *call) instanceOut(id string, i instance, at time.Time) object {
	mappings := []any{}
	for _, vid := range sorted(c.home().Volumes) {
		if v, ok := c.home().Volumes[vid].as(at); ok && v.Instance == id && v.State != gone {
			mappings = append(mappings, object{"DeviceName": v.Device, "Ebs": object{"VolumeId": vid, "Status": v.Attach, "AttachTime": v.Attached, "DeleteOnTermination": v.DeleteOn}})
		}
	}
	nic := object{"NetworkInterfaceId": "eni-" + id[2:], "PrivateIpAddress": i.PrivateIP, "Status": "in-use", "OwnerId": c.who.Account}
	out := object{
		"InstanceId": id, "ImageId": i.Image, "InstanceType": i.Type, "LaunchTime": i.Launched, "State": stateOut(i.State), "Placement": object{"AvailabilityZone": i.Zone, "Tenancy": "default"},
		"RootDeviceName": i.Root, "RootDeviceType": "ebs", "BlockDeviceMappings": mappings, "PrivateIpAddress": i.PrivateIP, "Architecture": "x86_64", "Hypervisor": "xen", "VirtualizationType": "hvm",
	}
	if i.Lifecycle != "" {
		out["InstanceLifecycle"] = i.Lifecycle
	}
	if i.PublicIP != "" {
		out["PublicIpAddress"] = i.PublicIP
		nic["Association"] = object{"PublicIp": i.PublicIP, "IpOwnerId": i.PublicFrom}
	}
	if i.Subnet != "" {
		out["SubnetId"], out["VpcId"], nic["SubnetId"], nic["VpcId"] = i.Subnet, i.VPC, i.Subnet, i.VPC
	}
	groups := []any{}
	for _, g := range i.Groups {
		r, _ := c.home().SecurityGroups[g].as(at)
		groups = append(groups, object{"GroupId": g, "GroupName": r.Name})
	}
	out["SecurityGroups"], nic["Groups"] = groups, groups
	out["NetworkInterfaces"] = []any{nic}
	if len(i.Tags) > 0 {
		out["Tags"] = i.Tags.list()
	}
	return out
}

func stateOut(name string) object { return object{"Name": name, "Code": stateCodes[name]} }

func describeInstances(c *call) (map[string]any, error) {
	ids := c.strings("InstanceIds")
	for _, id := range ids {
		if _, _, err := c.liveInstance(id, c.view); err != nil {
			return nil, err
		}
	}
	out := []any{}
	for _, id := range sorted(c.home().Instances) {
		i, ok := c.home().Instances[id].as(c.view)
		if !ok || len(ids) > 0 && !slices.Contains(ids, id) {
			continue
		}
		fits, err := c.matches(i.Tags, func(name string) ([]string, bool) {
			switch name {
			case "instance-id":
				return []string{id}, true
			case "instance-state-name":
				return []string{i.State}, true
			case "instance-type":
				return []string{i.Type}, true
			case "instance-lifecycle":
				return present(i.Lifecycle), true
			case "availability-zone":
				return []string{i.Zone}, true
			}
			return nil, false
		})
		if err != nil {
			return nil, err
		}
		if fits {
			out = append(out, object{"ReservationId": "r-" + id[2:], "OwnerId": c.who.Account, "Instances": []any{c.instanceOut(id, i, c.view)}, "Groups": []any{}})
		}
	}
	return c.page("Reservations", out)
}

// eachInstance applies a change to the instances of a call and answers with
// their states before and after.
func (c *call) eachInstance(key string, change func(id string, r *record[instance], i instance) error) (map[string]any, error) {
	out := []any{}
	for _, id := range c.strings("InstanceIds") {
		r, i, err := c.liveInstance(id, c.now)
		if err != nil {
			return nil, err
		}
		if err := change(id, r, i); err != nil {
			return nil, err
		}
		after, _ := r.as(c.now)
		out = append(out, object{"InstanceId": id, "PreviousState": stateOut(i.State), "CurrentState": stateOut(after.State)})
	}
	return object{key: out}, nil
}

func startInstances(c *call) (map[string]any, error) {
	return c.eachInstance("StartingInstances", func(id string, r *record[instance], i instance) error {
		switch i.State {
		case "running", "pending":
			return nil
		case "stopped":
			r.forget(c.now)
			r.change(c.now, func(i *instance) {
				i.State, i.Launched = "pending", c.now
				if i.PublicFrom == "amazon" { // a new address at each start
					i.PublicIP = "203.0.113." + octet(c.id("", 2))
				}
			})
			r.change(c.now.Add(instanceStart), func(i *instance) { i.State = "running" })
			c.instanceEvents(id, c.now, "pending", c.now.Add(instanceStart), "running")
			return nil
		}
		return failure(400, "IncorrectInstanceState", "The instance '%s' is not in a state from which it can be started.", id)
	})
}

func stopInstances(c *call) (map[string]any, error) {
	return c.eachInstance("StoppingInstances", func(id string, r *record[instance], i instance) error {
		switch {
		case i.State == "stopped" || i.State == "stopping":
			return nil
		case i.StopGuard:
			return failure(400, "OperationNotPermitted", "The instance '%s' may not be stopped. Modify its 'disableApiStop' instance attribute and try again.", id)
		case i.Lifecycle == "spot":
			return failure(400, "UnsupportedOperation", "You can't stop the Spot Instance '%s' because it is associated with a one-time Spot Instance request.", id)
		case i.State != "running" && i.State != "pending":
			return failure(400, "IncorrectInstanceState", "The instance '%s' is not in a state from which it can be stopped.", id)
		}
		r.forget(c.now)
		r.change(c.now, func(i *instance) { i.State = "stopping" })
		r.change(c.now.Add(instanceStop), func(i *instance) { i.State = "stopped" })
		c.instanceEvents(id, c.now, "stopping", c.now.Add(instanceStop), "stopped")
		c.replaceUnhealthy(id)
		return nil
	})
}

func terminateInstances(c *call) (map[string]any, error) {
	return c.eachInstance("TerminatingInstances", func(id string, r *record[instance], i instance) error {
		if i.State != "terminated" && i.State != "shutting-down" {
			c.terminate(id, c.now)
		}
		return nil
	})
}

// terminate ends an instance at a time; its volumes go or stay as each is set.
func (c *call) terminate(id string, at time.Time) {
	r := c.home().Instances[id]
	r.forget(at)
	r.change(at, func(i *instance) { i.State = "shutting-down" })
	r.change(at.Add(instanceDestroy), func(i *instance) { i.State = "terminated" })
	c.instanceEvents(id, at, "shutting-down", at.Add(instanceDestroy), "terminated")
	for _, vid := range sorted(c.home().Volumes) {
		v := c.home().Volumes[vid]
		if now, ok := v.as(at); ok && now.Instance == id {
			if c.retract(c.ec2ARN("volume", vid), at); now.DeleteOn {
				c.volumeEvent(at.Add(instanceDestroy), vid, "deleteVolume", "deleted")
			}
			v.forget(at)
			v.change(at.Add(instanceDestroy), func(v *volume) {
				if v.State = "available"; v.DeleteOn {
					v.State = gone
				}
				v.Instance, v.Device, v.Attach = "", "", ""
			})
		}
	}
}

func describeInstanceAttribute(c *call) (map[string]any, error) {
	id, name := c.str("InstanceId"), c.str("Attribute")
	_, i, err := c.liveInstance(id, c.view)
	if err != nil {
		return nil, err
	}
	out := object{"InstanceId": id}
	switch name {
	case "disableApiStop":
		out["DisableApiStop"] = object{"Value": i.StopGuard}
	case "instanceType":
		out["InstanceType"] = object{"Value": i.Type}
	case "rootDeviceName":
		out["RootDeviceName"] = object{"Value": i.Root}
	case "blockDeviceMapping":
		out["BlockDeviceMappings"] = c.instanceOut(id, i, c.view)["BlockDeviceMappings"]
	default:
		return nil, failure(501, "NotImplemented", "The sandbox does not simulate the instance attribute %s.", name)
	}
	return out, nil
}

func modifyInstanceAttribute(c *call) (map[string]any, error) {
	id := c.str("InstanceId")
	r, i, err := c.liveInstance(id, c.now)
	if err != nil {
		return nil, err
	}
	if v, ok := c.object("DisableApiStop")["Value"].(bool); ok {
		r.change(c.now, func(i *instance) { i.StopGuard = v })
	}
	if t, ok := c.object("InstanceType")["Value"].(string); ok {
		if i.State != "stopped" {
			return nil, failure(400, "IncorrectInstanceState", "The instance '%s' is not in the 'stopped' state.", id)
		}
		if _, ok := instanceTypes[t]; !ok {
			return nil, failure(400, "InvalidParameterValue", "Invalid value '%s' for InstanceType.", t)
		}
		r.change(c.now, func(i *instance) { i.Type = t })
	}
	for _, m := range c.objects("BlockDeviceMappings") {
		device, _ := m["DeviceName"].(string)
		found := false
		for _, v := range c.home().Volumes {
			if now, ok := v.as(c.now); ok && now.Instance == id && now.Device == device {
				found = true
				if keep, ok := m["Ebs"].(object)["DeleteOnTermination"].(bool); ok {
					v.change(c.now, func(v *volume) { v.DeleteOn = keep })
				}
			}
		}
		if !found {
			return nil, failure(400, "InvalidInstanceAttributeValue", "No device is currently mapped at %s", device)
		}
	}
	return object{}, nil
}

func describeInstanceTypes(c *call) (map[string]any, error) {
	want := c.strings("InstanceTypes")
	for _, t := range want {
		if _, ok := instanceTypes[t]; !ok {
			return nil, failure(400, "InvalidInstanceType", "The following supplied instance types do not exist: [%s]", t)
		}
	}
	out := []any{}
	for _, name := range sorted(instanceTypes) {
		if t := instanceTypes[name]; len(want) == 0 || slices.Contains(want, name) {
			out = append(out, object{"InstanceType": name, "InstanceStorageSupported": t.store, "VCpuInfo": object{"DefaultVCpus": t.vcpus}, "MemoryInfo": object{"SizeInMiB": t.memory}, "CurrentGeneration": true})
		}
	}
	return c.page("InstanceTypes", out)
}

func describeRegions(c *call) (map[string]any, error) {
	out := []any{}
	for _, r := range c.regions {
		out = append(out, object{"RegionName": r, "Endpoint": "ec2." + r + ".amazonaws.com", "OptInStatus": "opt-in-not-required"})
	}
	return object{"Regions": out}, nil
}

func describeZones(c *call) (map[string]any, error) {
	out := []any{}
	for _, z := range zones(c.region) {
		out = append(out, object{"ZoneName": z, "RegionName": c.region, "State": "available", "ZoneType": "availability-zone"})
	}
	return object{"AvailabilityZones": out}, nil
}

func allocateAddress(c *call) (map[string]any, error) {
	id := c.id("eipalloc-0", 16)
	ip := "198.51.100." + octet(id[10:12])
	c.home().Addresses[id] = newRecord(c.now, address{PublicIP: ip})
	return object{"AllocationId": id, "PublicIp": ip, "Domain": "vpc"}, nil
}

func associateAddress(c *call) (map[string]any, error) {
	id := c.str("AllocationId")
	r, ok := c.home().Addresses[id]
	if !ok {
		return nil, failure(400, "InvalidAllocationID.NotFound", "The allocation ID '%s' does not exist", id)
	}
	i, _, err := c.liveInstance(c.str("InstanceId"), c.now)
	if err != nil {
		return nil, err
	}
	a, _ := r.as(c.now)
	r.change(c.now, func(a *address) { a.Instance = c.str("InstanceId") })
	i.change(c.now, func(i *instance) { i.PublicIP, i.PublicFrom = a.PublicIP, c.who.Account })
	return object{"AssociationId": "eipassoc-" + id[9:]}, nil
}

func describeAddresses(c *call) (map[string]any, error) {
	out := []any{}
	for _, id := range sorted(c.home().Addresses) {
		a, ok := c.home().Addresses[id].as(c.view)
		if !ok {
			continue
		}
		fits, err := c.matches(nil, func(name string) ([]string, bool) {
			switch name {
			case "allocation-id":
				return []string{id}, true
			case "instance-id":
				return present(a.Instance), true
			case "public-ip":
				return []string{a.PublicIP}, true
			}
			return nil, false
		})
		if err != nil {
			return nil, err
		}
		if fits {
			o := object{"AllocationId": id, "PublicIp": a.PublicIP, "Domain": "vpc"}
			if a.Instance != "" {
				o["InstanceId"], o["AssociationId"] = a.Instance, "eipassoc-"+id[9:]
			}
			out = append(out, o)
		}
	}
	return object{"Addresses": out}, nil
}

// tagged gives what changes the tags of a resource, by its id.
func (c *call) tagged(id string) (func(func(tagSet) tagSet), error) {
	kind, _, _ := strings.Cut(id, "-")
	switch kind {
	case "vol":
		r, _, err := c.liveVolume(id, c.now)
		return func(fn func(tagSet) tagSet) { r.change(c.now, func(v *volume) { v.Tags = fn(v.Tags) }) }, err
	case "snap":
		r, _, err := c.liveSnapshot(id, c.now)
		return func(fn func(tagSet) tagSet) { r.change(c.now, func(s *snapshot) { s.Tags = fn(s.Tags) }) }, err
	case "i":
		r, _, err := c.liveInstance(id, c.now)
		return func(fn func(tagSet) tagSet) { r.change(c.now, func(i *instance) { i.Tags = fn(i.Tags) }) }, err
	}
	return nil, failure(400, "InvalidID", "The ID '%s' is not valid", id)
}

func createTags(c *call) (map[string]any, error) {
	tags, err := parseTags(c.in["Tags"])
	if err != nil {
		return nil, err
	}
	return c.eachTagged(func(t tagSet) tagSet { return t.with(tags) })
}

func deleteTags(c *call) (map[string]any, error) {
	return c.eachTagged(func(t tagSet) tagSet {
		out := t.with(nil)
		for _, o := range c.objects("Tags") {
			k, _ := o["Key"].(string)
			if v, given := o["Value"].(string); !given || out[k] == v {
				delete(out, k)
			}
		}
		return out
	})
}

// eachTagged changes the tags of all of a call's resources, or of none.
func (c *call) eachTagged(fn func(tagSet) tagSet) (map[string]any, error) {
	var changes []func(func(tagSet) tagSet)
	for _, id := range c.strings("Resources") {
		change, err := c.tagged(id)
		if err != nil {
			return nil, err
		}
		changes = append(changes, change)
	}
	for _, change := range changes {
		change(fn)
	}
	return object{}, nil
}

var ec2Handlers = map[string]handler{
	"RunInstances":                  {"ec2:RunInstances", runInstances},
	"DescribeInstances":             {"ec2:DescribeInstances", describeInstances},
	"StartInstances":                {"ec2:StartInstances", startInstances},
	"StopInstances":                 {"ec2:StopInstances", stopInstances},
	"TerminateInstances":            {"ec2:TerminateInstances", terminateInstances},
	"DescribeInstanceAttribute":     {"ec2:DescribeInstanceAttribute", describeInstanceAttribute},
	"ModifyInstanceAttribute":       {"ec2:ModifyInstanceAttribute", modifyInstanceAttribute},
	"DescribeInstanceTypes":         {"ec2:DescribeInstanceTypes", describeInstanceTypes},
	"DescribeVolumes":               {"ec2:DescribeVolumes", describeVolumes},
	"CreateVolume":                  {"ec2:CreateVolume", createVolume},
	"AttachVolume":                  {"ec2:AttachVolume", attachVolume},
	"DetachVolume":                  {"ec2:DetachVolume", detachVolume},
	"DeleteVolume":                  {"ec2:DeleteVolume", deleteVolume},
	"CreateSnapshot":                {"ec2:CreateSnapshot", createSnapshot},
	"CopySnapshot":                  {"ec2:CopySnapshot", copySnapshot},
	"DescribeSnapshots":             {"ec2:DescribeSnapshots", describeSnapshots},
	"DeleteSnapshot":                {"ec2:DeleteSnapshot", deleteSnapshot},
	"GetEbsEncryptionByDefault":     {"ec2:GetEbsEncryptionByDefault", getEncryption},
	"EnableEbsEncryptionByDefault":  {"ec2:EnableEbsEncryptionByDefault", enableEncryption},
	"DisableEbsEncryptionByDefault": {"ec2:DisableEbsEncryptionByDefault", disableEncryption},
	"GetEbsDefaultKmsKeyId":         {"ec2:GetEbsDefaultKmsKeyId", getDefaultKey},
	"CreateTags":                    {"ec2:CreateTags", createTags},
	"DeleteTags":                    {"ec2:DeleteTags", deleteTags},
	"DescribeRegions":               {"ec2:DescribeRegions", describeRegions},
	"DescribeAvailabilityZones":     {"ec2:DescribeAvailabilityZones", describeZones},
	"AllocateAddress":               {"ec2:AllocateAddress", allocateAddress},
	"AssociateAddress":              {"ec2:AssociateAddress", associateAddress},
	"DescribeAddresses":             {"ec2:DescribeAddresses", describeAddresses},
}
