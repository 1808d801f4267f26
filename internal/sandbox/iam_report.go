package sandbox

import (
	"net/url"
	"slices"
	"strings"
)

// authorizationDetails answers with all of an account's identities at once. The
// sandbox has roles only: of users, groups and managed policies there are none.
func authorizationDetails(c *call) (map[string]any, error) {
	roles := []any{}
	if filter := c.strings("Filter"); len(filter) == 0 || slices.Contains(filter, "Role") {
		for _, name := range sorted(c.accountState().Roles) {
			if r, ok := c.accountState().Roles[name].as(c.view); ok {
				roles = append(roles, c.roleDetail(name, r))
			}
		}
	}
	return object{"UserDetailList": []any{}, "GroupDetailList": []any{}, "RoleDetailList": roles, "Policies": []any{}, "IsTruncated": false}, nil
}

func (c *call) roleDetail(name string, r role) object {
	policies := []any{}
	for _, p := range sorted(r.Policies) {
		policies = append(policies, object{"PolicyName": p, "PolicyDocument": percentEncoded(r.Policies[p])})
	}
	out := c.roleOut(name, r)
	out["AssumeRolePolicyDocument"] = percentEncoded(r.Trust)
	out["RolePolicyList"], out["AttachedManagedPolicies"], out["InstanceProfileList"], out["Tags"] = policies, []any{}, []any{}, []any{}
	return out
}

// percentEncoded is how IAM answers with policies: by RFC 3986, which has %20
// for a space.
func percentEncoded(policy string) string {
	return strings.ReplaceAll(url.QueryEscape(policy), "+", "%20")
}

var iamReportHandlers = map[string]handler{
	"GetAccountAuthorizationDetails": {"iam:GetAccountAuthorizationDetails", authorizationDetails},
}
