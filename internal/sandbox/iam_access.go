package sandbox

import (
	"cmp"
	"strings"
)

// What IAM's operations are on. Source: Service Authorization Reference,
// "Actions, resources, and condition keys for AWS Identity and Access Management
// (IAM)".
const (
	onUser    = "user/{UserName}"
	onGroup   = "group/{GroupName}"
	onRole    = "role/{RoleName}"
	onPolicy  = "{PolicyArn}"
	onProfile = "instance-profile/{InstanceProfileName}"
)

var iamAccess = serviceAccess{
	arn: "arn:{Partition}:iam::{Account}:",
	on: map[string]string{
		"AddRoleToInstanceProfile": onProfile, "AddUserToGroup": onGroup, "AttachGroupPolicy": onGroup, "AttachRolePolicy": onRole, "AttachUserPolicy": onUser,
		"CreateAccessKey": onUser, "CreateGroup": onGroup, "CreateInstanceProfile": onProfile, "CreateLoginProfile": onUser, "CreatePolicy": "policy/{PolicyName}",
		"CreatePolicyVersion": onPolicy, "CreateRole": onRole, "CreateUser": onUser, "CreateVirtualMFADevice": "mfa/{VirtualMFADeviceName}",
		"DeactivateMFADevice": onUser, "DeleteAccessKey": onUser, "DeleteGroup": onGroup, "DeleteGroupPolicy": onGroup, "DeleteInstanceProfile": onProfile,
		"DeleteLoginProfile": onUser, "DeletePolicy": onPolicy, "DeletePolicyVersion": onPolicy, "DeleteRole": onRole, "DeleteRolePermissionsBoundary": onRole,
		"DeleteRolePolicy": onRole, "DeleteUser": onUser, "DeleteUserPermissionsBoundary": onUser, "DeleteUserPolicy": onUser,
		"DeleteVirtualMFADevice": "{SerialNumber}", "DetachGroupPolicy": onGroup, "DetachRolePolicy": onRole, "DetachUserPolicy": onUser, "EnableMFADevice": onUser,
		"GetGroup": onGroup, "GetGroupPolicy": onGroup, "GetInstanceProfile": onProfile, "GetLoginProfile": onUser, "GetPolicy": onPolicy,
		"GetPolicyVersion": onPolicy, "GetRole": onRole, "GetRolePolicy": onRole, "GetUser": onUser, "GetUserPolicy": onUser, "ListAccessKeys": onUser,
		"ListAttachedGroupPolicies": onGroup, "ListAttachedRolePolicies": onRole, "ListAttachedUserPolicies": onUser, "ListEntitiesForPolicy": onPolicy,
		"ListGroupPolicies": onGroup, "ListGroupsForUser": onUser, "ListInstanceProfilesForRole": onRole, "ListMFADevices": onUser, "ListPolicyVersions": onPolicy,
		"ListRolePolicies": onRole, "ListRoleTags": onRole, "ListUserPolicies": onUser, "ListUserTags": onUser, "PutGroupPolicy": onGroup,
		"PutRolePermissionsBoundary": onRole, "PutRolePolicy": onRole, "PutUserPermissionsBoundary": onUser, "PutUserPolicy": onUser,
		"RemoveRoleFromInstanceProfile": onProfile, "RemoveUserFromGroup": onGroup, "SetDefaultPolicyVersion": onPolicy, "TagRole": onRole, "TagUser": onUser,
		"UntagRole": onRole, "UntagUser": onUser, "UpdateAccessKey": onUser, "UpdateAssumeRolePolicy": onRole, "UpdateLoginProfile": onUser, "UpdateRole": onRole,
		"UpdateUser": onUser,
	},
	needs: map[string]func(*call, []need) []need{
		"AddRoleToInstanceProfile": func(c *call, own []need) []need {
			return append(own, c.passRole(c.globalARN("iam", "role/"+c.str("RoleName")), "ec2.amazonaws.com")...)
		},
		"CreateGroup":           withPath("group"),
		"CreateInstanceProfile": withPath("instance-profile"),
		"CreatePolicy":          withPath("policy"),
		"CreateRole":            withPath("role"),
		"CreateUser":            withPath("user"),
		// Of one's own keys, devices and so on a user asks without a name.
		"CreateAccessKey": ofSelf, "DeleteAccessKey": ofSelf, "GetUser": ofSelf, "ListAccessKeys": ofSelf, "ListMFADevices": ofSelf, "UpdateAccessKey": ofSelf,
		"GetAccessKeyLastUsed": func(c *call, own []need) []need {
			if k, ok := c.state.Keys[c.str("AccessKeyId")]; ok && k.Account == c.who.Account {
				own[0].resource = k.ARN
			}
			return own
		},
	},
	keys: iamKeys,
	look: lookAtIdentity,
}

// withPath is for an operation that makes a resource under a path.
func withPath(kind string) func(*call, []need) []need {
	return func(c *call, own []need) []need {
		name := c.str(map[string]string{"group": "GroupName", "instance-profile": "InstanceProfileName", "policy": "PolicyName", "role": "RoleName", "user": "UserName"}[kind])
		own[0].resource = c.globalARN("iam", kind+cmp.Or(c.str("Path"), "/")+name)
		return own
	}
}

func ofSelf(c *call, own []need) []need {
	if c.str("UserName") == "" {
		own[0].resource = c.who.ARN
	}
	return own
}

func iamKeys(c *call, n *need, set func(string, ...string)) {
	if arn := c.str("PolicyArn"); arn != "" {
		set("iam:PolicyARN", arn)
	}
	boundary := c.str("PermissionsBoundary")
	if boundary == "" {
		a, _ := parseARN(n.resource)
		boundary = c.boundaryOf(a)
	}
	if boundary != "" {
		set("iam:PermissionsBoundary", boundary)
	}
}

// boundaryOf is the permissions boundary that a user or role has.
func (c *call) boundaryOf(a arn) string {
	kind, _, _ := strings.Cut(a.resource, "/")
	home, ok := c.state.Accounts[a.account]
	switch {
	case !ok:
	case kind == "user":
		_, u, _ := home.Users.live(last(a.resource), c.now)
		return u.Boundary
	case kind == "role":
		_, r, _ := home.Roles.live(last(a.resource), c.now)
		return r.Boundary
	}
	return ""
}

// lookAtIdentity gives the ARN of a user, group, role or instance profile with
// the path that it has, and its tags.
func lookAtIdentity(c *call, n *need) resource {
	a, _ := parseARN(n.resource)
	home, ok := c.state.Accounts[a.account]
	if !ok {
		return resource{}
	}
	kind, name, _ := strings.Cut(a.resource, "/")
	path, tags := "", tagSet(nil)
	switch name = last(name); kind {
	case "user":
		_, u, _ := home.Users.live(name, c.now)
		path, tags = u.Path, u.Tags
	case "group":
		_, g, _ := home.UserGroups.live(name, c.now)
		path = g.Path
	case "role":
		_, r, _ := home.Roles.live(name, c.now)
		path, tags = r.Path, r.Tags
	case "instance-profile":
		_, p, _ := home.Profiles.live(name, c.now)
		path, tags = p.Path, p.Tags
	}
	if path == "" {
		return resource{tags: tags}
	}
	return resource{arn: "arn:" + a.partition + ":iam::" + a.account + ":" + kind + path + name, tags: tags}
}
