package sandbox

import (
	"net/netip"
	"slices"
	"strings"
)

type vpc struct {
	CIDR string `json:"cidr"`
	Tags tagSet `json:"tags,omitempty"`
}

type subnet struct {
	VPC  string `json:"vpc"`
	CIDR string `json:"cidr"`
	Zone string `json:"zone"`
	Tags tagSet `json:"tags,omitempty"`
}

type securityGroup struct {
	Name    string       `json:"name"`
	Text    string       `json:"description"`
	VPC     string       `json:"vpc"`
	Ingress []permission `json:"ingress,omitempty"`
	Tags    tagSet       `json:"tags,omitempty"`
}

// permission is one IpPermission of a security group.
type permission struct {
	Protocol string   `json:"protocol"`
	From     int64    `json:"from"`
	To       int64    `json:"to"`
	CIDRs    []string `json:"cidrs,omitempty"`
	CIDRs6   []string `json:"cidrs6,omitempty"`
	Groups   []string `json:"groups,omitempty"`
}

func createVPC(c *call) (map[string]any, error) {
	cidr, err := netip.ParsePrefix(c.str("CidrBlock"))
	if err != nil || cidr.Bits() < 16 || cidr.Bits() > 28 {
		return nil, failure(400, "InvalidVpc.Range", "The CIDR '%s' is invalid.", c.str("CidrBlock"))
	}
	tags, err := c.newTags("vpc")
	if err != nil {
		return nil, err
	}
	id, v := c.id("vpc-0", 16), vpc{cidr.Masked().String(), tags}
	c.home().VPCs[id] = newRecord(c.now, v)
	return object{"Vpc": c.vpcOut(id, v)}, nil
}

func (c *call) vpcOut(id string, v vpc) object {
	out := object{"VpcId": id, "CidrBlock": v.CIDR, "State": "available", "OwnerId": c.who.Account, "IsDefault": false, "InstanceTenancy": "default"}
	return withTags(out, v.Tags)
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
	r, ok := c.home().VPCs[s.VPC]
	if !ok {
		return nil, failure(400, "InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", s.VPC)
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
	v, _ := r.as(c.now)
	if whole, err := netip.ParsePrefix(v.CIDR); err != nil || cidr.Bits() < whole.Bits() || !whole.Contains(cidr.Addr()) {
		return nil, failure(400, "InvalidSubnet.Range", "The CIDR '%s' is invalid.", cidr)
	}
	for _, id := range sorted(c.home().Subnets) {
		other, _ := c.home().Subnets[id].as(c.now)
		if taken, err := netip.ParsePrefix(other.CIDR); err == nil && other.VPC == s.VPC && taken.Overlaps(cidr) {
			return nil, failure(400, "InvalidSubnet.Conflict", "The CIDR '%s' conflicts with another subnet", cidr)
		}
	}
	s.CIDR = cidr.Masked().String()
	id := c.id("subnet-0", 16)
	c.home().Subnets[id] = newRecord(c.now, s)
	return object{"Subnet": c.subnetOut(id, s)}, nil
}

func (c *call) subnetOut(id string, s subnet) object {
	out := object{"SubnetId": id, "VpcId": s.VPC, "CidrBlock": s.CIDR, "AvailabilityZone": s.Zone, "State": "available", "OwnerId": c.who.Account,
		"MapPublicIpOnLaunch": false, "DefaultForAz": false, "SubnetArn": "arn:aws:ec2:" + c.region + ":" + c.who.Account + ":subnet/" + id}
	return withTags(out, s.Tags)
}

func createSecurityGroup(c *call) (map[string]any, error) {
	tags, err := c.newTags("security-group")
	if err != nil {
		return nil, err
	}
	g := securityGroup{Name: c.str("GroupName"), Text: c.str("Description"), VPC: c.str("VpcId"), Tags: tags}
	if strings.HasPrefix(g.Name, "sg-") {
		return nil, failure(400, "InvalidParameterValue", "Value (%s) for parameter GroupName is invalid. It may not start with 'sg-'", g.Name)
	}
	if _, ok := c.home().VPCs[g.VPC]; !ok {
		return nil, failure(400, "InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", g.VPC)
	}
	for _, id := range sorted(c.home().SecurityGroups) {
		if other, _ := c.home().SecurityGroups[id].as(c.now); other.Name == g.Name && other.VPC == g.VPC {
			return nil, failure(400, "InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", g.Name, g.VPC)
		}
	}
	id := c.id("sg-0", 16)
	c.home().SecurityGroups[id] = newRecord(c.now, g)
	return withTags(object{"GroupId": id}, tags), nil
}

func authorizeIngress(c *call) (map[string]any, error) {
	id := c.str("GroupId")
	r, ok := c.home().SecurityGroups[id]
	if !ok {
		return nil, failure(400, "InvalidGroup.NotFound", "The security group '%s' does not exist", id)
	}
	var added []permission
	for _, o := range c.objects("IpPermissions") {
		var p permission
		p.Protocol, _ = o["IpProtocol"].(string)
		p.From, _ = o["FromPort"].(int64)
		p.To, _ = o["ToPort"].(int64)
		p.CIDRs, p.CIDRs6, p.Groups = members(o["IpRanges"], "CidrIp"), members(o["Ipv6Ranges"], "CidrIpv6"), members(o["UserIdGroupPairs"], "GroupId")
		for _, text := range slices.Concat(p.CIDRs, p.CIDRs6) {
			if _, err := netip.ParsePrefix(text); err != nil {
				return nil, failure(400, "InvalidParameterValue", "CIDR block %s is malformed", text)
			}
		}
		for _, other := range p.Groups {
			if _, ok := c.home().SecurityGroups[other]; !ok {
				return nil, failure(400, "InvalidGroup.NotFound", "The security group '%s' does not exist", other)
			}
		}
		added = append(added, p)
	}
	if len(added) == 0 {
		return nil, failure(400, "MissingParameter", "The request must contain the parameter ipPermissions")
	}
	r.change(c.now, func(g *securityGroup) { g.Ingress = slices.Concat(g.Ingress, added) })
	return object{"Return": true}, nil
}

// members gives one text member of each structure of a list.
func members(v any, name string) []string {
	var out []string
	for _, o := range objects(v) {
		if s, ok := o[name].(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func (c *call) securityGroupOut(id string, g securityGroup) object {
	ingress := []any{}
	for _, p := range g.Ingress {
		ingress = append(ingress, c.permissionOut(p))
	}
	out := object{"GroupId": id, "GroupName": g.Name, "Description": g.Text, "VpcId": g.VPC, "OwnerId": c.who.Account, "IpPermissions": ingress,
		"IpPermissionsEgress": []any{c.permissionOut(permission{Protocol: "-1", CIDRs: []string{"0.0.0.0/0"}})}}
	return withTags(out, g.Tags)
}

func (c *call) permissionOut(p permission) object {
	v4, v6, pairs := []any{}, []any{}, []any{}
	for _, s := range p.CIDRs {
		v4 = append(v4, object{"CidrIp": s})
	}
	for _, s := range p.CIDRs6 {
		v6 = append(v6, object{"CidrIpv6": s})
	}
	for _, s := range p.Groups {
		pairs = append(pairs, object{"GroupId": s, "UserId": c.who.Account})
	}
	out := object{"IpProtocol": p.Protocol, "IpRanges": v4, "Ipv6Ranges": v6, "UserIdGroupPairs": pairs, "PrefixListIds": []any{}}
	if p.Protocol != "-1" { // all protocols have no ports
		out["FromPort"], out["ToPort"] = p.From, p.To
	}
	return out
}

// describeNetwork serves the Describe operation of one kind of resource. look
// gives a resource's answer, its tags, and its values by filter name.
func describeNetwork[T any](key, idsMember, missing string, all func(*region) map[string]*record[T], look func(c *call, id string, v T) (object, tagSet, map[string]string)) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		ids := c.strings(idsMember)
		resources := all(c.home())
		for _, id := range ids {
			r, ok := resources[id]
			if ok {
				_, ok = r.as(c.view)
			}
			if !ok {
				return nil, failure(400, missing, "The ID '%s' does not exist", id)
			}
		}
		out := []any{}
		for _, id := range sorted(resources) {
			v, ok := resources[id].as(c.view)
			if !ok || len(ids) > 0 && !slices.Contains(ids, id) {
				continue
			}
			o, tags, values := look(c, id, v)
			fits, err := c.matches(tags, func(name string) ([]string, bool) {
				value, ok := values[name]
				return []string{value}, ok
			})
			if err != nil {
				return nil, err
			}
			if fits {
				out = append(out, o)
			}
		}
		return c.page(key, out)
	}
}

var networkHandlers = map[string]handler{
	"CreateVpc":                     {"ec2:CreateVpc", createVPC},
	"CreateSubnet":                  {"ec2:CreateSubnet", createSubnet},
	"CreateSecurityGroup":           {"ec2:CreateSecurityGroup", createSecurityGroup},
	"AuthorizeSecurityGroupIngress": {"ec2:AuthorizeSecurityGroupIngress", authorizeIngress},
	"DescribeVpcs": {"ec2:DescribeVpcs", describeNetwork("Vpcs", "VpcIds", "InvalidVpcID.NotFound",
		func(r *region) map[string]*record[vpc] { return r.VPCs },
		func(c *call, id string, v vpc) (object, tagSet, map[string]string) {
			return c.vpcOut(id, v), v.Tags, map[string]string{"vpc-id": id, "cidr": v.CIDR, "state": "available"}
		})},
	"DescribeSubnets": {"ec2:DescribeSubnets", describeNetwork("Subnets", "SubnetIds", "InvalidSubnetID.NotFound",
		func(r *region) map[string]*record[subnet] { return r.Subnets },
		func(c *call, id string, s subnet) (object, tagSet, map[string]string) {
			return c.subnetOut(id, s), s.Tags, map[string]string{"subnet-id": id, "vpc-id": s.VPC, "availability-zone": s.Zone, "cidr-block": s.CIDR}
		})},
	"DescribeSecurityGroups": {"ec2:DescribeSecurityGroups", describeNetwork("SecurityGroups", "GroupIds", "InvalidGroup.NotFound",
		func(r *region) map[string]*record[securityGroup] { return r.SecurityGroups },
		func(c *call, id string, g securityGroup) (object, tagSet, map[string]string) {
			return c.securityGroupOut(id, g), g.Tags, map[string]string{"group-id": id, "group-name": g.Name, "vpc-id": g.VPC}
		})},
}
