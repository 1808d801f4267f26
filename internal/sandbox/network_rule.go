package sandbox

import (
	"slices"
	"strconv"
)

func (c *call) securityGroupOut(id string, g securityGroup) object {
	var in, out []groupRule
	for _, r := range g.Rules {
		if r.Egress {
			out = append(out, r)
		} else {
			in = append(in, r)
		}
	}
	return object{"GroupId": id, "GroupName": g.Name, "Description": g.Text, "VpcId": g.VPC, "OwnerId": c.who.Account, "SecurityGroupArn": c.ec2ARN("security-group", id),
		"IpPermissions": permissionsOut(in), "IpPermissionsEgress": permissionsOut(out)}
}

// permissionsOut puts rules of the same ports together, as IpPermissions are.
func permissionsOut(rules []groupRule) []any {
	out := []any{}
	at := map[ports]object{}
	add := func(o object, list string, member object, text string) {
		if text != "" {
			member["Description"] = text
		}
		l, _ := o[list].([]any)
		o[list] = append(l, member)
	}
	for _, r := range rules {
		o := at[r.ports]
		if o == nil {
			o = object{"IpProtocol": r.Protocol, "IpRanges": []any{}, "Ipv6Ranges": []any{}, "UserIdGroupPairs": []any{}, "PrefixListIds": []any{}}
			if r.From >= 0 || r.Protocol == "icmp" || r.Protocol == "icmpv6" { // all protocols have no ports
				o["FromPort"], o["ToPort"] = r.From, r.To
			}
			at[r.ports] = o
			out = append(out, o)
		}
		switch {
		case r.CIDR != "":
			add(o, "IpRanges", object{"CidrIp": r.CIDR}, r.Text)
		case r.CIDR6 != "":
			add(o, "Ipv6Ranges", object{"CidrIpv6": r.CIDR6}, r.Text)
		case r.Prefix != "":
			add(o, "PrefixListIds", object{"PrefixListId": r.Prefix}, r.Text)
		default:
			add(o, "UserIdGroupPairs", object{"GroupId": r.Group, "UserId": r.Owner}, r.Text)
		}
	}
	return out
}

func (c *call) groupRuleOut(group string, r groupRule) object {
	out := object{"SecurityGroupRuleId": r.ID, "GroupId": group, "GroupOwnerId": c.who.Account, "IsEgress": r.Egress, "IpProtocol": r.Protocol, "FromPort": r.From, "ToPort": r.To,
		"SecurityGroupRuleArn": c.ec2ARN("security-group-rule", r.ID)}
	withTexts(out, map[string]string{"CidrIpv4": r.CIDR, "CidrIpv6": r.CIDR6, "PrefixListId": r.Prefix, "Description": r.Text})
	if r.Group != "" {
		out["ReferencedGroupInfo"] = object{"GroupId": r.Group, "UserId": r.Owner}
	}
	return withTags(out, r.Tags)
}

var securityGroups = kind[securityGroup]{
	key: "SecurityGroups", ids: "GroupIds", missing: "InvalidGroup.NotFound", what: "security group",
	table:   func(r *region) map[string]*record[securityGroup] { return r.SecurityGroups },
	tags:    func(g securityGroup) tagSet { return g.Tags },
	out:     (*call).securityGroupOut,
	filters: groupFilters(),
}

// groupFilters are DescribeSecurityGroups's, those of rules in both directions.
func groupFilters() filterTable[securityGroup] {
	t := filterTable[securityGroup]{
		"group-id":    func(_ *call, id string, _ securityGroup) []string { return []string{id} },
		"group-name":  func(_ *call, _ string, g securityGroup) []string { return []string{g.Name} },
		"description": func(_ *call, _ string, g securityGroup) []string { return []string{g.Text} },
		"vpc-id":      func(_ *call, _ string, g securityGroup) []string { return []string{g.VPC} },
		"owner-id":    func(c *call, _ string, _ securityGroup) []string { return []string{c.who.Account} },
	}
	for prefix, egress := range map[string]bool{"ip-permission.": false, "egress.ip-permission.": true} {
		for name, of := range map[string]func(groupRule) string{
			"cidr":           func(r groupRule) string { return r.CIDR },
			"ipv6-cidr":      func(r groupRule) string { return r.CIDR6 },
			"prefix-list-id": func(r groupRule) string { return r.Prefix },
			"group-id":       func(r groupRule) string { return r.Group },
			"user-id":        func(r groupRule) string { return r.Owner },
			"protocol":       func(r groupRule) string { return r.Protocol },
			"from-port":      func(r groupRule) string { return strconv.FormatInt(r.From, 10) },
			"to-port":        func(r groupRule) string { return strconv.FormatInt(r.To, 10) },
		} {
			t[prefix+name] = func(_ *call, _ string, g securityGroup) []string {
				var out []string
				for _, r := range g.Rules {
					if v := of(r); r.Egress == egress && v != "" {
						out = append(out, v)
					}
				}
				return out
			}
		}
	}
	return t
}

func describeSecurityGroups(c *call) (map[string]any, error) {
	found, err := securityGroups.find(c)
	if err != nil {
		return nil, err
	}
	names := c.strings("GroupNames") // of the default VPC
	for _, name := range names {
		if c.groupNamed(name, "") == "" {
			return nil, failure(400, "InvalidGroup.NotFound", "The security group '%s' does not exist in default VPC", name)
		}
	}
	found = slices.DeleteFunc(found, func(e held[securityGroup]) bool {
		return len(names) > 0 && !slices.ContainsFunc(names, func(name string) bool { return c.groupNamed(name, "") == e.id })
	})
	return paged(c, securityGroups.key, found, func(e held[securityGroup]) any { return withTags(c.securityGroupOut(e.id, e.v), e.v.Tags) })
}

// ruleIn is a rule with its group.
type ruleIn struct {
	group string
	groupRule
}

func describeSecurityGroupRules(c *call) (map[string]any, error) {
	fits, err := filtering(c, filterTable[ruleIn]{
		"group-id":               func(_ *call, _ string, r ruleIn) []string { return []string{r.group} },
		"security-group-rule-id": func(_ *call, id string, _ ruleIn) []string { return []string{id} },
	})
	if err != nil {
		return nil, err
	}
	all := map[string]ruleIn{}
	for id, g := range table[securityGroup](c.home().SecurityGroups).all(c.view) {
		for _, r := range g.Rules {
			all[r.ID] = ruleIn{id, r}
		}
	}
	ids := c.strings("SecurityGroupRuleIds")
	for _, id := range ids {
		if _, ok := all[id]; !ok {
			return nil, failure(400, "InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist", id)
		}
	}
	var found []ruleIn
	for _, id := range sorted(all) {
		if r := all[id]; (len(ids) == 0 || slices.Contains(ids, id)) && fits(id, r, r.Tags) {
			found = append(found, r)
		}
	}
	return paged(c, "SecurityGroupRules", found, func(r ruleIn) any { return c.groupRuleOut(r.group, r.groupRule) })
}
