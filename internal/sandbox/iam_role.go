package sandbox

import (
	"strings"
	"time"

	"github.com/knowngood/knowngood/iampolicy"
)

func (c *call) findRole(at time.Time) (*record[role], role, error) {
	r, v, ok := c.accountState().Roles.live(c.str("RoleName"), at)
	if !ok {
		return nil, role{}, missing("role", c.str("RoleName"))
	}
	return r, v, nil
}

// roleOut is what all answers have of a role.
func (c *call) roleOut(name string, r role) object {
	out := object{"RoleName": name, "RoleId": r.ID, "Arn": c.roleARN(name, r), "Path": r.Path, "CreateDate": r.Created,
		"AssumeRolePolicyDocument": percentEncoded(r.Trust), "MaxSessionDuration": max(r.Longest, usualSession)}
	if r.Text != "" {
		out["Description"] = r.Text
	}
	return out
}

// wholeRole is what GetRole answers: with tags, boundary and last use.
func (c *call) wholeRole(name string, r role) object {
	out := withTags(c.roleOut(name, r), r.Tags)
	out["RoleLastUsed"] = c.lastUse(r)
	return withBoundary(out, r.policySet)
}

// lastUse is when a session of a role was used last.
func (c *call) lastUse(r role) object {
	var at time.Time
	out := object{}
	for _, id := range sorted(c.state.Keys) {
		if k := c.state.Keys[id]; k.Account == c.who.Account && strings.HasPrefix(k.UserID, r.ID+":") && k.Used.After(at) {
			at = k.Used
			out = object{"LastUsedDate": k.Used, "Region": k.UsedRegion}
		}
	}
	return out
}

func withBoundary(out object, p policySet) object {
	if p.Boundary != "" {
		out["PermissionsBoundary"] = object{"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": p.Boundary}
	}
	return out
}

func createRole(c *call) (map[string]any, error) {
	name, path, err := c.newEntity("RoleName")
	if err != nil {
		return nil, err
	}
	roles := &c.accountState().Roles
	if _, _, ok := roles.live(name, c.now); ok {
		return nil, exists("Role", name)
	}
	if err := c.checkPolicy(c.str("AssumeRolePolicyDocument"), iampolicy.Trust); err != nil {
		return nil, err
	}
	r := role{Created: c.now, Path: path, Trust: c.str("AssumeRolePolicyDocument"), Text: c.str("Description")}
	if r.Longest, err = c.sessionDuration(); err != nil {
		return nil, err
	}
	if r.Tags, err = c.iamTags(); err != nil {
		return nil, err
	}
	if r.Boundary, err = c.newBoundary(); err != nil {
		return nil, err
	}
	r.ID = c.iamID("AROA")
	roles.put(name, c.now, r)
	return object{"Role": withBoundary(withTags(c.roleOut(name, r), r.Tags), r.policySet)}, nil
}

// sessionDuration reads MaxSessionDuration; 0: it isn't there.
func (c *call) sessionDuration() (int64, error) {
	n, given := c.int("MaxSessionDuration")
	if given && (n < 3600 || n > 43200) {
		return 0, failure(400, "ValidationError", "1 validation error detected: Value '%d' at 'maxSessionDuration' failed to satisfy constraint: between 3600 and 43200", n)
	}
	return n, nil
}

func getRole(c *call) (map[string]any, error) {
	_, r, err := c.findRole(c.view)
	if err != nil {
		return nil, err
	}
	return object{"Role": c.wholeRole(c.str("RoleName"), r)}, nil
}

func listRoles(c *call) (map[string]any, error) {
	out := []any{}
	for name, r := range c.accountState().Roles.all(c.view) {
		if strings.HasPrefix(r.Path, c.str("PathPrefix")) {
			out = append(out, c.roleOut(name, r))
		}
	}
	return c.iamPage("Roles", out)
}

// changeRole serves a write to one role.
func changeRole(write func(c *call, r *role) error) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		rec, r, err := c.findRole(c.now)
		if err != nil {
			return nil, err
		}
		if err := write(c, &r); err != nil {
			return nil, err
		}
		rec.change(c.now, func(now *role) { *now = r })
		return object{}, nil
	}
}

func deleteRole(c *call) (map[string]any, error) {
	rec, r, err := c.findRole(c.now)
	if err != nil {
		return nil, err
	}
	if err := r.empty(); err != nil {
		return nil, err
	}
	for _, p := range c.accountState().Profiles.all(c.now) {
		if p.Role == c.str("RoleName") {
			return nil, inUse("remove roles from instance profile")
		}
	}
	rec.end(c.now)
	return object{}, nil
}

func listRoleTags(c *call) (map[string]any, error) {
	_, r, err := c.findRole(c.view)
	if err != nil {
		return nil, err
	}
	return c.iamPage("Tags", r.Tags.list())
}

func (c *call) findProfile(at time.Time) (*record[instanceProfile], instanceProfile, error) {
	name := c.str("InstanceProfileName")
	r, p, ok := c.accountState().Profiles.live(name, at)
	if !ok {
		return nil, p, failure(404, "NoSuchEntity", "Instance Profile %s cannot be found.", name)
	}
	return r, p, nil
}

func (c *call) profileOut(name string, p instanceProfile) object {
	roles := []any{}
	if _, r, ok := c.accountState().Roles.live(p.Role, c.now); ok {
		roles = append(roles, c.roleOut(p.Role, r))
	}
	return withTags(object{"InstanceProfileName": name, "InstanceProfileId": p.ID, "Arn": c.globalARN("iam", "instance-profile"+p.Path+name), "Path": p.Path,
		"CreateDate": p.Created, "Roles": roles}, p.Tags)
}

func createProfile(c *call) (map[string]any, error) {
	name, path, err := c.newEntity("InstanceProfileName")
	if err != nil {
		return nil, err
	}
	if _, _, ok := c.accountState().Profiles.live(name, c.now); ok {
		return nil, failure(409, "EntityAlreadyExists", "Instance Profile %s already exists.", name)
	}
	p := instanceProfile{Created: c.now, Path: path}
	if p.Tags, err = c.iamTags(); err != nil {
		return nil, err
	}
	p.ID = c.iamID("AIPA")
	c.accountState().Profiles.put(name, c.now, p)
	return object{"InstanceProfile": c.profileOut(name, p)}, nil
}

func getProfile(c *call) (map[string]any, error) {
	_, p, err := c.findProfile(c.view)
	if err != nil {
		return nil, err
	}
	return object{"InstanceProfile": c.profileOut(c.str("InstanceProfileName"), p)}, nil
}

// profiles are those with a role, or all of them.
func (c *call) profiles(role string) []any {
	out := []any{}
	for name, p := range c.accountState().Profiles.all(c.view) {
		if strings.HasPrefix(p.Path, c.str("PathPrefix")) && (role == "" || p.Role == role) {
			out = append(out, c.profileOut(name, p))
		}
	}
	return out
}

func profilesForRole(c *call) (map[string]any, error) {
	if _, _, err := c.findRole(c.view); err != nil {
		return nil, err
	}
	return c.iamPage("InstanceProfiles", c.profiles(c.str("RoleName")))
}

func deleteProfile(c *call) (map[string]any, error) {
	rec, p, err := c.findProfile(c.now)
	if err != nil {
		return nil, err
	}
	if p.Role != "" {
		return nil, inUse("remove roles from instance profile")
	}
	rec.end(c.now)
	return object{}, nil
}

func addToProfile(c *call) (map[string]any, error) {
	rec, p, err := c.findProfile(c.now)
	if err != nil {
		return nil, err
	}
	if _, _, err := c.findRole(c.now); err != nil {
		return nil, err
	}
	if p.Role != "" {
		return nil, limited("InstanceSessionsPerInstanceProfile", 1)
	}
	rec.change(c.now, func(p *instanceProfile) { p.Role = c.str("RoleName") })
	return object{}, nil
}

func removeFromProfile(c *call) (map[string]any, error) {
	rec, p, err := c.findProfile(c.now)
	if err != nil {
		return nil, err
	}
	if p.Role != c.str("RoleName") {
		return nil, missing("role", c.str("RoleName"))
	}
	rec.change(c.now, func(p *instanceProfile) { p.Role = "" })
	return object{}, nil
}

var iamRoleHandlers = map[string]handler{
	"CreateRole":   {"iam:CreateRole", createRole},
	"DeleteRole":   {"iam:DeleteRole", deleteRole},
	"GetRole":      {"iam:GetRole", getRole},
	"ListRoles":    {"iam:ListRoles", listRoles},
	"ListRoleTags": {"iam:ListRoleTags", listRoleTags},
	"TagRole": {"iam:TagRole", changeRole(func(c *call, r *role) error {
		tags, err := c.iamTags()
		r.Tags = r.Tags.with(tags)
		return err
	})},
	"UntagRole": {"iam:UntagRole", changeRole(func(c *call, r *role) error {
		r.Tags = r.Tags.without(c.strings("TagKeys"))
		return nil
	})},
	"UpdateAssumeRolePolicy": {"iam:UpdateAssumeRolePolicy", changeRole(func(c *call, r *role) error {
		r.Trust = c.str("PolicyDocument")
		return c.checkPolicy(r.Trust, iampolicy.Trust)
	})},
	"UpdateRole": {"iam:UpdateRole", changeRole(func(c *call, r *role) error {
		if text, given := c.in["Description"].(string); given {
			r.Text = text
		}
		n, err := c.sessionDuration()
		if n > 0 {
			r.Longest = n
		}
		return err
	})},
	"AddRoleToInstanceProfile": {"iam:AddRoleToInstanceProfile", addToProfile},
	"CreateInstanceProfile":    {"iam:CreateInstanceProfile", createProfile},
	"DeleteInstanceProfile":    {"iam:DeleteInstanceProfile", deleteProfile},
	"GetInstanceProfile":       {"iam:GetInstanceProfile", getProfile},
	"ListInstanceProfiles": {"iam:ListInstanceProfiles", func(c *call) (map[string]any, error) {
		return c.iamPage("InstanceProfiles", c.profiles(""))
	}},
	"ListInstanceProfilesForRole":   {"iam:ListInstanceProfilesForRole", profilesForRole},
	"RemoveRoleFromInstanceProfile": {"iam:RemoveRoleFromInstanceProfile", removeFromProfile},
}
