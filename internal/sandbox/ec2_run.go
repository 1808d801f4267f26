package sandbox

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// mostInstances is how many instances one call may launch. AWS's limit is of
// vCPUs and differs by account; this one stops a slip.
const mostInstances = 1000

func runInstances(c *call) (map[string]any, error) {
	if id, err := c.once(); err != nil || id != "" {
		if err != nil {
			return nil, err
		}
		return c.reservationOut(id), nil
	}
	in, version, err := c.withTemplate(c.in)
	if err != nil {
		return nil, err
	}
	at := *c
	at.in = in
	ids, err := at.launch(version.tags())
	if err != nil {
		return nil, err
	}
	c.remember(ids[0])
	return c.reservationOut(ids[0]), nil
}

// reservationOut is the reservation of an instance, as RunInstances answers.
func (c *call) reservationOut(first string) object {
	i, _ := c.home().Instances[first].as(c.now)
	all := c.devices(c.now)
	list := []any{}
	for _, id := range sorted(c.home().Instances) {
		if other, ok := c.home().Instances[id].as(c.now); ok && other.Reservation == i.Reservation {
			list = append(list, c.instanceOut(id, other, c.now, all[id]))
		}
	}
	slices.SortFunc(list, func(a, b any) int {
		return cmp.Compare(a.(object)["AmiLaunchIndex"].(int64), b.(object)["AmiLaunchIndex"].(int64))
	})
	return object{"ReservationId": i.Reservation, "OwnerId": c.who.Account, "Instances": list, "Groups": []any{}}
}

// launch makes the instances that the call's input asks for, all or none, and
// gives their ids. extra are tags that only AWS may set.
func (c *call) launch(extra tagSet) ([]string, error) {
	i, img, err := c.specInstance()
	if err != nil {
		return nil, err
	}
	low, _ := c.int("MinCount")
	high, _ := c.int("MaxCount")
	switch {
	case low < 1 || low > high:
		return nil, failure(400, "InvalidParameterValue", "Value (%d) for parameter minCount is invalid. It must be at least 1 and at most maxCount.", low)
	case low > mostInstances:
		return nil, failure(400, "InstanceLimitExceeded", "You have requested more instances (%d) than your current instance limit of %d allows.", low, mostInstances)
	}
	tags, err := c.newTags("instance")
	if err != nil {
		return nil, err
	}
	i.Tags = tags.with(extra)
	volumeTags, err := c.newTags("volume")
	if err != nil {
		return nil, err
	}
	devices, err := c.specDevices(i, img, volumeTags)
	if err != nil {
		return nil, err
	}
	public, subnet := c.place(&i)
	taken := c.addressesIn(i.Subnet)
	var out []string
	for n := range min(high, mostInstances) {
		one, id := i, c.id("i-0", 16)
		if n == 0 {
			i.Reservation = "r-" + id[2:]
		}
		one.Reservation, one.Index = i.Reservation, n
		if one.PrivateIP = c.str("PrivateIpAddress"); one.PrivateIP == "" {
			one.PrivateIP = freeAddress(subnet, id, taken)
		}
		if public {
			one.PublicIP, one.PublicFrom = "203.0.113."+octet(id[7:9]), "amazon"
		}
		up := c.now.Add(instanceStart)
		one.Checked = up.Add(instanceChecks)
		r := newRecord(c.now, one)
		r.change(up, func(i *instance) { i.State = "running" })
		c.home().Instances[id] = r
		c.instanceEvents(id, c.now, "pending", up, "running")
		for _, d := range devices {
			c.makeDevice(id, d)
		}
		out = append(out, id)
	}
	return out, nil
}

// specInstance checks the call's input as far as one instance goes.
func (c *call) specInstance() (i instance, img image, err error) {
	i = instance{State: "pending", Launched: c.now, Type: cmp.Or(c.str("InstanceType"), "m1.small"), Image: c.str("ImageId"), StopGuard: c.bool("DisableApiStop"),
		TerminateGuard: c.bool("DisableApiTermination"), OnShutdown: c.str("InstanceInitiatedShutdownBehavior"), Key: c.str("KeyName"), UserData: c.str("UserData"),
		EBSOptimized: c.bool("EbsOptimized"), Token: c.str("ClientToken")}
	if c.str("InstanceType") == "" {
		i.Type = defaultType
	}
	if err := mustBeType(i.Type); err != nil {
		return i, img, err
	}
	if i.Image == "" {
		return i, img, failure(400, "MissingParameter", "The request must contain the parameter ImageId")
	}
	if img, err = c.findImage(i.Image, c.now); err != nil {
		return i, img, err
	}
	if img.State != "available" {
		return i, img, failure(400, "InvalidAMIID.Unavailable", "The image ID '%s' is not available", i.Image)
	}
	if kind := instanceTypes[i.Type]; kind.Arch != img.Arch {
		return i, img, failure(400, "InvalidParameterValue", "The architecture '%s' of the specified instance type does not match the architecture '%s' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again.", kind.Arch, img.Arch)
	}
	i.Arch, i.Root, i.Platform = img.Arch, img.Root, img.Platform
	i.Tenancy, _ = c.object("Placement")["Tenancy"].(string)
	i.Monitored, _ = c.object("Monitoring")["Enabled"].(bool)
	market := c.object("InstanceMarketOptions")
	if t, _ := market["MarketType"].(string); t == "spot" {
		spot, _ := market["SpotOptions"].(object)
		i.Lifecycle, i.Persistent = "spot", spot["SpotInstanceType"] == "persistent"
	}
	if i.Profile, err = c.profileOf(c.object("IamInstanceProfile")); err != nil {
		return i, img, err
	}
	i.Metadata = img.metadata()
	if err := i.Metadata.set(c.object("MetadataOptions")); err != nil {
		return i, img, err
	}
	return i, img, c.network(&i)
}

// profileOf gives the ARN of an instance profile, which a structure names.
func (c *call) profileOf(spec object) (string, error) {
	arn, _ := spec["Arn"].(string)
	name, named := spec["Name"].(string)
	if arn == "" && !named {
		return "", nil
	}
	if !named {
		name = last(arn)
	}
	_, p, ok := c.accountState().Profiles.live(name, c.now)
	if is := c.globalARN("iam", "instance-profile"+p.Path+name); ok && (arn == "" || arn == is) {
		return is, nil
	}
	if named {
		return "", failure(400, "InvalidParameterValue", "Value (%s) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name", name)
	}
	return "", failure(400, "InvalidParameterValue", "Value (%s) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN", arn)
}

// defaultType is what RunInstances takes where it is told no type. AWS's is
// m1.small, which no new account can have any more.
const defaultType = "m5.large"

// network puts an instance into the subnet and security groups of its call.
func (c *call) network(i *instance) error {
	nics := c.objects("NetworkInterfaces")
	subnetID, groups := c.str("SubnetId"), c.strings("SecurityGroupIds")
	names := c.strings("SecurityGroups")
	if len(nics) > 0 {
		if subnetID != "" || len(groups)+len(names) > 0 {
			return failure(400, "InvalidParameterCombination", "Network interfaces and an instance-level subnet ID or security groups may not be specified on the same request")
		}
		subnetID, _ = nics[0]["SubnetId"].(string)
		groups = texts(nics[0]["Groups"])
	}
	zone, _ := c.object("Placement")["AvailabilityZone"].(string)
	if zone != "" && !slices.Contains(zones(c.region), zone) {
		return failure(400, "InvalidParameterValue", "Invalid availability zone: [%s]", zone)
	}
	if subnetID == "" {
		var err error
		if subnetID, err = c.defaultSubnet(zone); err != nil {
			return err
		}
	}
	_, s, err := subnets.now(c, subnetID)
	if err != nil {
		return err
	}
	if zone != "" && zone != s.Zone {
		return failure(400, "InvalidParameterValue", "The availability zone '%s' is not that of the subnet '%s'", zone, subnetID)
	}
	i.Subnet, i.VPC, i.Zone = subnetID, s.VPC, s.Zone
	for _, name := range names {
		id := c.groupNamed(name, i.VPC)
		if id == "" {
			return failure(400, "InvalidGroup.NotFound", "The security group '%s' does not exist in VPC '%s'", name, i.VPC)
		}
		groups = append(groups, id)
	}
	if len(groups) == 0 {
		groups = []string{c.groupNamed("default", i.VPC)}
	}
	for _, id := range groups {
		_, g, err := securityGroups.now(c, id)
		if err != nil {
			return err
		}
		if g.VPC != i.VPC {
			return failure(400, "InvalidParameter", "Security group %s and subnet %s belong to different networks.", id, subnetID)
		}
	}
	i.Groups = groups
	return nil
}

// place says whether an instance is to have a public address, and gives the
// addresses of its subnet.
func (c *call) place(i *instance) (public bool, addresses netip.Prefix) {
	_, s, _ := subnets.now(c, i.Subnet)
	public = s.Public
	for _, nic := range c.objects("NetworkInterfaces") {
		if wanted, given := nic["AssociatePublicIpAddress"].(bool); given {
			public = wanted
		}
	}
	addresses, err := netip.ParsePrefix(s.CIDR)
	if err != nil {
		return public, netip.Prefix{} // subnets are checked when they are made
	}
	return public, addresses
}

// addressesIn are the private addresses that a subnet's instances have.
func (c *call) addressesIn(subnetID string) map[string]bool {
	out := map[string]bool{}
	for _, r := range c.home().Instances {
		if i, ok := r.as(c.now); ok && i.Subnet == subnetID && i.State != "terminated" {
			out[i.PrivateIP] = true
		}
	}
	return out
}

// freeAddress picks a free address of a subnet by an instance's id. The first
// four and the last are AWS's own.
func freeAddress(subnet netip.Prefix, id string, taken map[string]bool) string {
	size := uint32(1) << (32 - subnet.Bits())
	if !subnet.IsValid() || size < 8 {
		return "10.0.0.4"
	}
	base := subnet.Masked().Addr().As4()
	start, _ := strconv.ParseUint(id[3:11], 16, 32)
	for n := range size - 5 {
		host := 4 + (uint32(start)+n)%(size-5) //nolint:gosec // eight hex digits are 32 bits
		v := uint32(base[0])<<24 | uint32(base[1])<<16 | uint32(base[2])<<8 | uint32(base[3]) + host
		ip := netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}).String()
		if !taken[ip] {
			taken[ip] = true
			return ip
		}
	}
	return subnet.Addr().String()
}

// octet makes a number below 256 of two hex digits.
func octet(hex string) string {
	n, err := strconv.ParseUint(hex, 16, 8)
	if err != nil {
		return "0"
	}
	return strconv.FormatUint(n, 10)
}

// device is a volume that is to be made with an instance.
type device struct {
	name     string
	v        volume
	deleteOn bool
}

// specDevices checks the block device mappings of a call on top of its image's,
// by the rules of CreateVolume.
func (c *call) specDevices(i instance, img image, tags tagSet) ([]device, error) {
	var out []device
	mappings := mergedBy("DeviceName", img.mappings(), c.objects("BlockDeviceMappings"))
	for _, m := range mappings {
		if _, none := m["NoDevice"]; none {
			continue
		}
		name, _ := m["DeviceName"].(string)
		ebs, _ := m["Ebs"].(object)
		if ebs == nil {
			if virtual, _ := m["VirtualName"].(string); strings.HasPrefix(virtual, "ephemeral") {
				continue // instance store comes with the type
			}
			return nil, failure(400, "InvalidBlockDeviceMapping", "The mapping of %s has neither Ebs nor VirtualName", name)
		}
		in := object{"AvailabilityZone": i.Zone}
		for from, to := range map[string]string{"VolumeSize": "Size", "VolumeType": "VolumeType", "Iops": "Iops", "Throughput": "Throughput", "Encrypted": "Encrypted", "KmsKeyId": "KmsKeyId", "SnapshotId": "SnapshotId"} {
			if v, ok := ebs[from]; ok {
				in[to] = v
			}
		}
		at := *c
		at.in = in
		v, err := at.specVolume()
		if err != nil {
			return nil, err
		}
		v.Tags = tags
		keep, given := ebs["DeleteOnTermination"].(bool)
		out = append(out, device{name, v, !given || keep})
	}
	return out, nil
}

// mergedBy puts lists of structures over each other: of one with the same name,
// the later's members count, and those of its structures one level down.
func mergedBy(name string, base, over []object) []object {
	out := slices.Clone(base)
	for _, o := range over {
		n := slices.IndexFunc(out, func(b object) bool { return b[name] == o[name] })
		if n < 0 {
			out = append(out, o)
			continue
		}
		m := maps.Clone(out[n])
		for k, v := range o {
			inner, ok := v.(object)
			below, both := m[k].(object)
			if ok && both {
				below = maps.Clone(below)
				maps.Copy(below, inner)
				m[k] = below
				continue
			}
			m[k] = v
		}
		out[n] = m
	}
	return out
}

// makeDevice makes a volume with an instance: it is attached from the start.
func (c *call) makeDevice(instanceID string, d device) {
	v := d.v
	v.State, v.Attachments = "in-use", []attachment{{Instance: instanceID, Device: d.name, State: "attached", At: c.now, DeleteOn: d.deleteOn}}
	id := c.id("vol-0", 16)
	c.home().Volumes[id] = newRecord(c.now, v)
	c.volumeEvent(c.now.Add(volumeCreation), id, "createVolume", "available")
}
