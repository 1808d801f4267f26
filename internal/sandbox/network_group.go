package sandbox

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

type securityGroup struct {
	Name  string      `json:"name"`
	Text  string      `json:"description"`
	VPC   string      `json:"vpc"`
	Rules []groupRule `json:"rules,omitempty"`
	Tags  tagSet      `json:"tags,omitempty"`
}

// groupRule is one rule of a security group: of one protocol, one range of ports
// and one peer.
type groupRule struct {
	ID     string `json:"id"`
	Egress bool   `json:"egress,omitempty"`
	ports
	peer
	Text string `json:"description,omitempty"`
	Tags tagSet `json:"tags,omitempty"`
}

type ports struct {
	Protocol string `json:"protocol"`
	From     int64  `json:"from"`
	To       int64  `json:"to"`
}

// peer is one of the four.
type peer struct {
	CIDR   string `json:"cidr,omitempty"`
	CIDR6  string `json:"cidr6,omitempty"`
	Prefix string `json:"prefixList,omitempty"`
	Group  string `json:"group,omitempty"`
	Owner  string `json:"groupOwner,omitempty"` // of Group
}

// allTraffic are the ports of a rule for every protocol.
var allTraffic = ports{Protocol: "-1", From: -1, To: -1}

// maxRules is how many rules a group has in one direction. Source: Amazon VPC
// quotas.
const maxRules = 60

// defaultGroup is the group that a VPC has from the start.
func defaultGroup(vpcID, id, in, out, account string) securityGroup {
	return securityGroup{Name: "default", Text: "default VPC security group", VPC: vpcID, Rules: []groupRule{
		{ID: in, ports: allTraffic, peer: peer{Group: id, Owner: account}},
		{ID: out, Egress: true, ports: allTraffic, peer: peer{CIDR: "0.0.0.0/0"}},
	}}
}

// groupNamed gives the id of a VPC's group; "" is the default VPC, and the answer
// where there is none.
func (c *call) groupNamed(name, vpcID string) string {
	for id, g := range table[securityGroup](c.home().SecurityGroups).all(c.now) {
		v := c.home().VPCs[g.VPC]
		if v == nil || g.Name != name {
			continue
		}
		if now, _ := v.as(c.now); g.VPC == vpcID || vpcID == "" && now.Default {
			return id
		}
	}
	return ""
}

// findGroup gives the group that a call names by its id, or by its name in the
// default VPC.
func (c *call) findSecurityGroup() (string, *record[securityGroup], securityGroup, error) {
	id, name := c.str("GroupId"), c.str("GroupName")
	if id == "" && name == "" {
		return "", nil, securityGroup{}, failure(400, "MissingParameter", "The request must contain the parameter groupName or groupId")
	}
	if id == "" {
		if id = c.groupNamed(name, ""); id == "" {
			return "", nil, securityGroup{}, failure(400, "InvalidGroup.NotFound", "The security group '%s' does not exist in the default VPC", name)
		}
	}
	r, g, err := securityGroups.now(c, id)
	return id, r, g, err
}

func createSecurityGroup(c *call) (map[string]any, error) {
	tags, err := c.newTags("security-group")
	if err != nil {
		return nil, err
	}
	g := securityGroup{Name: c.str("GroupName"), Text: c.str("Description"), VPC: c.str("VpcId"), Tags: tags}
	switch {
	case strings.HasPrefix(g.Name, "sg-"):
		return nil, failure(400, "InvalidParameterValue", "Value (%s) for parameter GroupName is invalid. It may not start with 'sg-'", g.Name)
	case g.Name == "default":
		return nil, failure(400, "InvalidParameterValue", "Cannot use reserved security group name: default")
	case len(g.Name) > 255 || len(g.Text) > 255:
		return nil, failure(400, "InvalidParameterValue", "GroupName and GroupDescription are at most 255 characters long.")
	}
	if g.VPC == "" {
		for id, v := range table[vpc](c.home().VPCs).all(c.now) {
			if v.Default {
				g.VPC = id
			}
		}
		if g.VPC == "" {
			return nil, failure(400, "VPCIdNotSpecified", "No default VPC for this user")
		}
	}
	if _, _, err := vpcs.now(c, g.VPC); err != nil {
		return nil, err
	}
	if c.groupNamed(g.Name, g.VPC) != "" {
		return nil, failure(400, "InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", g.Name, g.VPC)
	}
	id := c.id("sg-0", 16)
	g.Rules = []groupRule{{ID: "sgr-0" + derived(c.state.Seed, id, 0)[:16], Egress: true, ports: allTraffic, peer: peer{CIDR: "0.0.0.0/0"}}}
	c.home().SecurityGroups[id] = newRecord(c.now, g)
	return withTags(object{"GroupId": id, "SecurityGroupArn": c.ec2ARN("security-group", id)}, tags), nil
}

func deleteSecurityGroup(c *call) (map[string]any, error) {
	id, r, g, err := c.findSecurityGroup()
	if err != nil {
		return nil, err
	}
	if g.Name == "default" {
		return nil, failure(400, "CannotDelete", "the specified group: \"%s\" name: \"default\" cannot be deleted by a user", id)
	}
	used := failure(400, "DependencyViolation", "resource %s has a dependent object", id)
	for _, i := range table[instance](c.home().Instances).all(c.now) {
		if i.State != "terminated" && slices.Contains(i.Groups, id) {
			return nil, used
		}
	}
	for other, o := range table[securityGroup](c.home().SecurityGroups).all(c.now) {
		if other != id && slices.ContainsFunc(o.Rules, func(r groupRule) bool { return r.Group == id }) {
			return nil, used
		}
	}
	r.end(c.now)
	return object{"Return": true, "GroupId": id}, nil
}

// portsOf reads the protocol and the ports of an IpPermission.
func portsOf(o object) (ports, error) {
	p := ports{From: -1, To: -1}
	p.Protocol, _ = o["IpProtocol"].(string)
	from, hasFrom := o["FromPort"].(int64)
	to, hasTo := o["ToPort"].(int64)
	names := map[string]string{"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "all": "-1"}
	p.Protocol = cmp.Or(names[strings.ToLower(p.Protocol)], strings.ToLower(p.Protocol))
	switch p.Protocol {
	case "":
		return p, failure(400, "MissingParameter", "The request must contain the parameter ipProtocol")
	case "tcp", "udp":
		if !hasFrom || !hasTo {
			return p, failure(400, "InvalidParameterValue", "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")
		}
		if from < 0 || to > 65535 || from > to {
			return p, failure(400, "InvalidParameterValue", "Invalid value '%d-%d' for portRange. Ports are from 0 to 65535, the first not above the last.", from, to)
		}
		p.From, p.To = from, to
	case "icmp", "icmpv6":
		if hasFrom {
			p.From = from
		}
		if hasTo {
			p.To = to
		}
	default: // all protocols, and those that have no ports
		if n, err := strconv.Atoi(p.Protocol); err != nil || n < -1 || n > 255 {
			return p, failure(400, "InvalidPermission.Malformed", "Invalid IP protocol '%s'", p.Protocol)
		}
	}
	return p, nil
}

// rulesOf reads a call's IpPermissions, or its older members for one rule, as
// rules without ids.
func (c *call) rulesOf(egress bool, g securityGroup) ([]groupRule, error) {
	permissions := c.objects("IpPermissions")
	if len(permissions) == 0 && c.str("IpProtocol") != "" {
		o := object{"IpProtocol": c.str("IpProtocol")}
		for _, member := range []string{"FromPort", "ToPort"} {
			if n, ok := c.int(member); ok {
				o[member] = n
			}
		}
		if cidr := c.str("CidrIp"); cidr != "" {
			o["IpRanges"] = []any{object{"CidrIp": cidr}}
		}
		if name := c.str("SourceSecurityGroupName"); name != "" {
			o["UserIdGroupPairs"] = []any{object{"GroupName": name}}
		}
		permissions = []object{o}
	}
	if len(permissions) == 0 {
		return nil, failure(400, "MissingParameter", "The request must contain the parameter ipPermissions")
	}
	var out []groupRule
	for _, o := range permissions {
		p, err := portsOf(o)
		if err != nil {
			return nil, err
		}
		add := func(member object, who peer) {
			text, _ := member["Description"].(string)
			out = append(out, groupRule{Egress: egress, ports: p, peer: who, Text: text})
		}
		before := len(out)
		for _, r := range objects(o["IpRanges"]) {
			cidr, err := cidrOf(r["CidrIp"], true)
			if err != nil {
				return nil, err
			}
			add(r, peer{CIDR: cidr})
		}
		for _, r := range objects(o["Ipv6Ranges"]) {
			cidr, err := cidrOf(r["CidrIpv6"], false)
			if err != nil {
				return nil, err
			}
			add(r, peer{CIDR6: cidr})
		}
		for _, r := range objects(o["PrefixListIds"]) {
			id, _ := r["PrefixListId"].(string)
			add(r, peer{Prefix: id})
		}
		for _, r := range objects(o["UserIdGroupPairs"]) {
			id, _ := r["GroupId"].(string)
			name, _ := r["GroupName"].(string)
			owner, _ := r["UserId"].(string)
			if owner = cmp.Or(owner, c.who.Account); owner == c.who.Account {
				if id == "" {
					id = c.groupNamed(name, g.VPC)
				}
				if _, _, err := securityGroups.now(c, id); err != nil {
					return nil, failure(400, "InvalidGroup.NotFound", "The security group '%s' does not exist", cmp.Or(id, name))
				}
			}
			add(r, peer{Group: id, Owner: owner})
		}
		if len(out) == before {
			return nil, failure(400, "MissingParameter", "Missing source specification: include source security group or CIDR information")
		}
	}
	return out, nil
}

// cidrOf reads a CIDR; bits beyond its length go, as EC2 lets them.
func cidrOf(v any, four bool) (string, error) {
	text, _ := v.(string)
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4() != four {
		return "", failure(400, "InvalidParameterValue", "CIDR block %s is malformed", text)
	}
	return p.Masked().String(), nil
}

// same says whether two rules allow the same.
func (r groupRule) same(o groupRule) bool {
	return r.Egress == o.Egress && r.ports == o.ports && r.peer == o.peer
}

// authorize serves AuthorizeSecurityGroupIngress and -Egress: it adds all rules
// of a call, or none.
func authorize(egress bool) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		id, r, g, err := c.findSecurityGroup()
		if err != nil {
			return nil, err
		}
		tags, err := c.newTags("security-group-rule")
		if err != nil {
			return nil, err
		}
		added, err := c.rulesOf(egress, g)
		if err != nil {
			return nil, err
		}
		count := len(added)
		for n, rule := range added {
			if slices.ContainsFunc(added[:n], rule.same) {
				return nil, failure(400, "InvalidParameterValue", "The same permission must not appear multiple times")
			}
			if slices.ContainsFunc(g.Rules, rule.same) {
				return nil, failure(400, "InvalidPermission.Duplicate", "the specified rule \"peer: %s, %s, from port: %d, to port: %d, ALLOW\" already exists",
					cmp.Or(rule.CIDR, rule.CIDR6, rule.Group, rule.Prefix), strings.ToUpper(rule.Protocol), rule.From, rule.To)
			}
		}
		for _, rule := range g.Rules {
			if rule.Egress == egress {
				count++
			}
		}
		if count > maxRules {
			return nil, failure(400, "RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached.")
		}
		out := []any{}
		for n := range added {
			added[n].ID, added[n].Tags = c.id("sgr-0", 16), tags
			out = append(out, c.groupRuleOut(id, added[n]))
		}
		r.change(c.now, func(g *securityGroup) { g.Rules = slices.Concat(g.Rules, added) })
		return object{"Return": true, "SecurityGroupRules": out}, nil
	}
}

// revoke serves RevokeSecurityGroupIngress and -Egress. A rule that isn't there
// is an error, but in the default VPC, where the answer says so.
func revoke(egress bool) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		id, r, g, err := c.findSecurityGroup()
		if err != nil {
			return nil, err
		}
		var going []groupRule
		unknown := []any{}
		if ruleIDs := c.strings("SecurityGroupRuleIds"); len(ruleIDs) > 0 {
			for _, rid := range ruleIDs {
				n := slices.IndexFunc(g.Rules, func(r groupRule) bool { return r.ID == rid && r.Egress == egress })
				if n < 0 {
					return nil, failure(400, "InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist", rid)
				}
				going = append(going, g.Rules[n])
			}
		} else {
			rules, err := c.rulesOf(egress, g)
			if err != nil {
				return nil, err
			}
			v, _ := c.home().VPCs[g.VPC].as(c.now)
			for _, rule := range rules {
				n := slices.IndexFunc(g.Rules, rule.same)
				if n < 0 && !v.Default {
					return nil, failure(400, "InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
				}
				if n < 0 {
					unknown = append(unknown, permissionsOut([]groupRule{rule})...)
					continue
				}
				going = append(going, g.Rules[n])
			}
		}
		r.change(c.now, func(g *securityGroup) {
			g.Rules = slices.DeleteFunc(slices.Clone(g.Rules), func(r groupRule) bool {
				return slices.ContainsFunc(going, func(o groupRule) bool { return o.ID == r.ID })
			})
		})
		revoked := []any{}
		for _, rule := range going {
			o := c.groupRuleOut(id, rule)
			if rule.Group != "" {
				o["ReferencedGroupId"] = rule.Group
			}
			for _, member := range []string{"GroupOwnerId", "ReferencedGroupInfo", "SecurityGroupRuleArn", "Tags"} {
				delete(o, member) // this answer has less of a rule
			}
			revoked = append(revoked, o)
		}
		return object{"Return": true, "UnknownIpPermissions": unknown, "RevokedSecurityGroupRules": revoked}, nil
	}
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
