package sandbox

import "strings"

// What Organizations' operations are on. Which kind a target is shows in its id,
// and only the organization knows the rest of the ARN; lookInOrganization puts
// both in. Source: Service Authorization Reference, "Actions, resources, and
// condition keys for AWS Organizations".
var organizationsAccess = serviceAccess{
	arn: "arn:{Partition}:organizations::{Account}:",
	on: map[string]string{
		"AttachPolicy":                     "{PolicyId} {TargetId}",
		"CreateOrganizationalUnit":         "{ParentId}",
		"DeleteOrganizationalUnit":         "{OrganizationalUnitId}",
		"DeletePolicy":                     "{PolicyId}",
		"DescribeAccount":                  "{AccountId}",
		"DescribeOrganizationalUnit":       "{OrganizationalUnitId}",
		"DescribePolicy":                   "{PolicyId}",
		"DetachPolicy":                     "{PolicyId} {TargetId}",
		"DisablePolicyType":                "{RootId}",
		"EnablePolicyType":                 "{RootId}",
		"ListAccountsForParent":            "{ParentId}",
		"ListChildren":                     "{ParentId}",
		"ListOrganizationalUnitsForParent": "{ParentId}",
		"ListParents":                      "{ChildId}",
		"ListPoliciesForTarget":            "{TargetId}",
		"ListTagsForResource":              "{ResourceId}",
		"ListTargetsForPolicy":             "{PolicyId}",
		"MoveAccount":                      "{AccountId} {SourceParentId} {DestinationParentId}",
		"TagResource":                      "{ResourceId}",
		"UntagResource":                    "{ResourceId}",
		"UpdatePolicy":                     "{PolicyId}",
	},
	keys: func(c *call, _ *need, set func(string, ...string)) {
		for _, member := range []string{"Filter", "PolicyType", "Type"} {
			if t := c.str(member); t != "" {
				set("organizations:PolicyType", t)
			}
		}
	},
	look: lookInOrganization,
}

func lookInOrganization(c *call, n *need) resource {
	a, _ := parseARN(n.resource)
	o := c.state.Organizations[c.accountState().Organization]
	if o == nil || a.resource == "" {
		return resource{}
	}
	id, _, _ := strings.Cut(a.resource, "/")
	if p, ok := o.policy(id, c.now); ok {
		if id == fullAccess {
			return resource{arn: "arn:" + a.partition + ":organizations::aws:policy/service_control_policy/" + id, owner: c.who.Account}
		}
		return resource{arn: o.arnOf(a.partition, "policy/"+strings.ToLower(p.Type)+"/"+id), tags: p.Tags}
	}
	node, kind, _ := o.node(id, c.now)
	prefix := map[string]string{"ROOT": "root/", "ORGANIZATIONAL_UNIT": "ou/", "ACCOUNT": "account/"}[kind]
	return resource{arn: o.arnOf(a.partition, prefix+id), tags: node.Tags}
}
