package sandbox

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

type vpc struct {
	CIDR    string `json:"cidr"`
	Default bool   `json:"default,omitempty"`
	Tags    tagSet `json:"tags,omitempty"`
	// Attributes are those that were set, by their names.
	Attributes map[string]bool `json:"attributes,omitempty"`
}

type subnet struct {
	VPC     string `json:"vpc"`
	CIDR    string `json:"cidr"`
	Zone    string `json:"zone"`
	Default bool   `json:"default,omitempty"`
	Public  bool   `json:"mapPublicIpOnLaunch,omitempty"`
	Tags    tagSet `json:"tags,omitempty"`
}

// furnish makes what every new account has in a Region: the default VPC with a
// subnet in each zone and its default security group. They have been there for
// ever. Their ids have numbers of their own, so that they don't depend on
// when a Region is first looked at.
func (c *call) furnish(r *region) {
	id := func(prefix string, n int) string {
		return prefix + "0" + derived(c.state.Seed, prefix+c.who.Account+c.region, uint64(n))[:16] //nolint:gosec // n is small
	}
	var ever time.Time
	v := id("vpc-", 0)
	r.VPCs[v] = newRecord(ever, vpc{CIDR: "172.31.0.0/16", Default: true})
	for n, zone := range zones(c.region) {
		r.Subnets[id("subnet-", n)] = newRecord(ever, subnet{VPC: v, Zone: zone, CIDR: fmt.Sprintf("172.31.%d.0/20", 16*n), Default: true, Public: true})
	}
	r.SecurityGroups[id("sg-", 0)] = newRecord(ever, defaultGroup(v, id("sg-", 0), id("sgr-", 0), id("sgr-", 1), c.who.Account))
}

// defaultSubnet is the default VPC's subnet in a zone; "" is the first one.
func (c *call) defaultSubnet(zone string) (string, error) {
	found := false
	for id, v := range table[vpc](c.home().VPCs).all(c.now) {
		if !v.Default {
			continue
		}
		found = true
		var best, where string
		for s, sub := range table[subnet](c.home().Subnets).all(c.now) {
			if sub.VPC == id && sub.Default && (zone == "" || sub.Zone == zone) && (best == "" || sub.Zone < where) {
				best, where = s, sub.Zone
			}
		}
		if best != "" {
			return best, nil
		}
	}
	if !found {
		return "", failure(400, "VPCIdNotSpecified", "No default VPC for this user. A subnet must be specified.")
	}
	return "", failure(400, "MissingInput", "No subnets found for the default VPC in the zone. Please specify a subnet.")
}

func createVPC(c *call) (map[string]any, error) {
	cidr, err := netip.ParsePrefix(c.str("CidrBlock"))
	if err != nil || !cidr.Addr().Is4() || cidr.Bits() < 16 || cidr.Bits() > 28 {
		return nil, failure(400, "InvalidVpc.Range", "The CIDR '%s' is invalid.", c.str("CidrBlock"))
	}
	tags, err := c.newTags("vpc")
	if err != nil {
		return nil, err
	}
	id, v := c.id("vpc-0", 16), vpc{CIDR: cidr.Masked().String(), Tags: tags}
	c.home().VPCs[id] = newRecord(c.now, v)
	group := "sg-0" + derived(c.state.Seed, id, 0)[:16]
	c.home().SecurityGroups[group] = newRecord(c.now, defaultGroup(id, group, "sgr-0"+derived(c.state.Seed, id, 1)[:16], "sgr-0"+derived(c.state.Seed, id, 2)[:16], c.who.Account))
	return object{"Vpc": withTags(c.vpcOut(id, v), tags)}, nil
}

func deleteVPC(c *call) (map[string]any, error) {
	id := c.str("VpcId")
	r, _, err := vpcs.now(c, id)
	if err != nil {
		return nil, err
	}
	for _, s := range table[subnet](c.home().Subnets).all(c.now) {
		if s.VPC == id {
			return nil, failure(400, "DependencyViolation", "The vpc '%s' has dependencies and cannot be deleted.", id)
		}
	}
	var own *record[securityGroup]
	for gid, g := range table[securityGroup](c.home().SecurityGroups).all(c.now) {
		if g.VPC != id {
			continue
		}
		if g.Name != "default" {
			return nil, failure(400, "DependencyViolation", "The vpc '%s' has dependencies and cannot be deleted.", id)
		}
		own = c.home().SecurityGroups[gid]
	}
	if r.end(c.now); own != nil {
		own.end(c.now)
	}
	return object{}, nil
}

func (c *call) vpcOut(id string, v vpc) object {
	return object{"VpcId": id, "CidrBlock": v.CIDR, "State": "available", "OwnerId": c.who.Account, "IsDefault": v.Default, "InstanceTenancy": "default", "DhcpOptionsId": "default",
		"CidrBlockAssociationSet": []any{object{"AssociationId": "vpc-cidr-assoc-" + id[4:], "CidrBlock": v.CIDR, "CidrBlockState": object{"State": "associated"}}}}
}

// withTags adds tags to an answer where there are any, as EC2 does.
func withTags(out object, tags tagSet) object {
	if len(tags) > 0 {
		out["Tags"] = tags.list()
	}
	return out
}

func createSubnet(c *call) (map[string]any, error) {
	tags, err := c.newTags("subnet")
	if err != nil {
		return nil, err
	}
	s := subnet{VPC: c.str("VpcId"), Zone: c.str("AvailabilityZone"), Tags: tags}
	_, v, err := vpcs.now(c, s.VPC)
	if err != nil {
		return nil, err
	}
	if s.Zone == "" {
		s.Zone = zones(c.region)[0]
	}
	if !slices.Contains(zones(c.region), s.Zone) {
		return nil, failure(400, "InvalidParameterValue", "Value (%s) for parameter availabilityZone is invalid.", s.Zone)
	}
	cidr, err := netip.ParsePrefix(c.str("CidrBlock"))
	if err != nil {
		return nil, failure(400, "InvalidParameterValue", "Value (%s) for parameter cidrBlock is invalid.", c.str("CidrBlock"))
	}
	if whole, err := netip.ParsePrefix(v.CIDR); err != nil || cidr.Bits() < whole.Bits() || cidr.Bits() > 28 || !whole.Contains(cidr.Addr()) {
		return nil, failure(400, "InvalidSubnet.Range", "The CIDR '%s' is invalid.", cidr)
	}
	for _, other := range table[subnet](c.home().Subnets).all(c.now) {
		if taken, err := netip.ParsePrefix(other.CIDR); err == nil && other.VPC == s.VPC && taken.Overlaps(cidr) {
			return nil, failure(400, "InvalidSubnet.Conflict", "The CIDR '%s' conflicts with another subnet", cidr)
		}
	}
	s.CIDR = cidr.Masked().String()
	id := c.id("subnet-0", 16)
	c.home().Subnets[id] = newRecord(c.now, s)
	return object{"Subnet": withTags(c.subnetOut(id, s), tags)}, nil
}

func deleteSubnet(c *call) (map[string]any, error) {
	id := c.str("SubnetId")
	r, _, err := subnets.now(c, id)
	if err != nil {
		return nil, err
	}
	if len(c.addressesIn(id)) > 0 {
		return nil, failure(400, "DependencyViolation", "The subnet '%s' has dependencies and cannot be deleted.", id)
	}
	r.end(c.now)
	return object{}, nil
}

func modifySubnetAttribute(c *call) (map[string]any, error) {
	r, _, err := subnets.now(c, c.str("SubnetId"))
	if err != nil {
		return nil, err
	}
	v, ok := c.object("MapPublicIpOnLaunch")["Value"].(bool)
	if !ok {
		return nil, failure(501, "NotImplemented", "The sandbox modifies MapPublicIpOnLaunch of a subnet only.")
	}
	r.change(c.now, func(s *subnet) { s.Public = v })
	return object{}, nil
}

func (c *call) subnetOut(id string, s subnet) object {
	return object{"SubnetId": id, "VpcId": s.VPC, "CidrBlock": s.CIDR, "AvailabilityZone": s.Zone, "AvailabilityZoneId": zoneID(s.Zone), "State": "available", "OwnerId": c.who.Account,
		"MapPublicIpOnLaunch": s.Public, "DefaultForAz": s.Default, "AssignIpv6AddressOnCreation": false, "AvailableIpAddressCount": c.free(id, s), "SubnetArn": c.ec2ARN("subnet", id)}
}

// free counts the addresses that a subnet has left.
func (c *call) free(id string, s subnet) int64 {
	p, err := netip.ParsePrefix(s.CIDR)
	if err != nil {
		return 0
	}
	return int64(1)<<(32-p.Bits()) - 5 - int64(len(c.addressesIn(id)))
}

var vpcs = kind[vpc]{
	key: "Vpcs", ids: "VpcIds", missing: "InvalidVpcID.NotFound", what: "vpc",
	table: func(r *region) map[string]*record[vpc] { return r.VPCs },
	tags:  func(v vpc) tagSet { return v.Tags },
	out:   (*call).vpcOut,
	filters: filterTable[vpc]{
		"vpc-id":          func(_ *call, id string, _ vpc) []string { return []string{id} },
		"cidr":            func(_ *call, _ string, v vpc) []string { return []string{v.CIDR} },
		"cidr-block":      func(_ *call, _ string, v vpc) []string { return []string{v.CIDR} },
		"cidrBlock":       func(_ *call, _ string, v vpc) []string { return []string{v.CIDR} },
		"is-default":      func(_ *call, _ string, v vpc) []string { return boolean(v.Default) },
		"isDefault":       func(_ *call, _ string, v vpc) []string { return boolean(v.Default) },
		"state":           func(*call, string, vpc) []string { return []string{"available"} },
		"owner-id":        func(c *call, _ string, _ vpc) []string { return []string{c.who.Account} },
		"dhcp-options-id": func(*call, string, vpc) []string { return []string{"default"} },

		"cidr-block-association.cidr-block": func(_ *call, _ string, v vpc) []string { return []string{v.CIDR} },
		"cidr-block-association.state":      func(*call, string, vpc) []string { return []string{"associated"} },
	},
}

var subnets = kind[subnet]{
	key: "Subnets", ids: "SubnetIds", missing: "InvalidSubnetID.NotFound", what: "subnet",
	table: func(r *region) map[string]*record[subnet] { return r.Subnets },
	tags:  func(s subnet) tagSet { return s.Tags },
	filters: filterTable[subnet]{
		"subnet-id":               func(_ *call, id string, _ subnet) []string { return []string{id} },
		"subnet-arn":              func(c *call, id string, _ subnet) []string { return []string{c.ec2ARN("subnet", id)} },
		"vpc-id":                  func(_ *call, _ string, s subnet) []string { return []string{s.VPC} },
		"availability-zone":       func(_ *call, _ string, s subnet) []string { return []string{s.Zone} },
		"availabilityZone":        func(_ *call, _ string, s subnet) []string { return []string{s.Zone} },
		"availability-zone-id":    func(_ *call, _ string, s subnet) []string { return []string{zoneID(s.Zone)} },
		"cidr-block":              func(_ *call, _ string, s subnet) []string { return []string{s.CIDR} },
		"cidr":                    func(_ *call, _ string, s subnet) []string { return []string{s.CIDR} },
		"cidrBlock":               func(_ *call, _ string, s subnet) []string { return []string{s.CIDR} },
		"default-for-az":          func(_ *call, _ string, s subnet) []string { return boolean(s.Default) },
		"defaultForAz":            func(_ *call, _ string, s subnet) []string { return boolean(s.Default) },
		"map-public-ip-on-launch": func(_ *call, _ string, s subnet) []string { return boolean(s.Public) },
		"state":                   func(*call, string, subnet) []string { return []string{"available"} },
		"owner-id":                func(c *call, _ string, _ subnet) []string { return []string{c.who.Account} },
	},
}

func describeSubnets(c *call) (map[string]any, error) {
	found, err := subnets.find(c)
	if err != nil {
		return nil, err
	}
	return paged(c, subnets.key, found, func(e held[subnet]) any { return withTags(c.subnetOut(e.id, e.v), e.v.Tags) })
}
