package sandbox

import (
	"slices"
	"strings"
	"time"
)

// maxGroups is how many groups a user is in at most. Source: IAM User Guide,
// "IAM and AWS STS quotas".
const maxGroups = 10

func (c *call) findGroup(at time.Time) (*record[userGroup], userGroup, error) {
	name := c.str("GroupName")
	r, g, ok := c.accountState().UserGroups.live(name, at)
	if !ok {
		return nil, g, failure(404, "NoSuchEntity", "The group with name %s cannot be found.", name)
	}
	return r, g, nil
}

func (c *call) groupOut(name string, g userGroup) object {
	return object{"GroupName": name, "GroupId": g.ID, "Arn": c.globalARN("iam", "group"+g.Path+name), "Path": g.Path, "CreateDate": g.Created}
}

func createUserGroup(c *call) (map[string]any, error) {
	name, path, err := c.newEntity("GroupName")
	if err != nil {
		return nil, err
	}
	if _, _, ok := c.accountState().UserGroups.live(name, c.now); ok {
		return nil, exists("Group", name)
	}
	g := userGroup{Created: c.now, ID: c.iamID("AGPA"), Path: path}
	c.accountState().UserGroups.put(name, c.now, g)
	return object{"Group": c.groupOut(name, g)}, nil
}

// membersOf are the users in a group, by name.
func (c *call) membersOf(group string, at time.Time) []any {
	out := []any{}
	for name, u := range c.accountState().Users.all(at) {
		if slices.Contains(u.Groups, group) {
			out = append(out, c.userOut(name, u))
		}
	}
	return out
}

func getUserGroup(c *call) (map[string]any, error) {
	_, g, err := c.findGroup(c.view)
	if err != nil {
		return nil, err
	}
	out, err := c.iamPage("Users", c.membersOf(c.str("GroupName"), c.view))
	if err != nil {
		return nil, err
	}
	out["Group"] = c.groupOut(c.str("GroupName"), g)
	return out, nil
}

func listUserGroups(c *call) (map[string]any, error) {
	out := []any{}
	for name, g := range c.accountState().UserGroups.all(c.view) {
		if strings.HasPrefix(g.Path, c.str("PathPrefix")) {
			out = append(out, c.groupOut(name, g))
		}
	}
	return c.iamPage("Groups", out)
}

func groupsForUser(c *call) (map[string]any, error) {
	_, u, _, err := c.findUser(c.view)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, name := range u.Groups {
		if _, g, ok := c.accountState().UserGroups.live(name, c.view); ok {
			out = append(out, c.groupOut(name, g))
		}
	}
	return c.iamPage("Groups", out)
}

func deleteUserGroup(c *call) (map[string]any, error) {
	rec, g, err := c.findGroup(c.now)
	if err != nil {
		return nil, err
	}
	if len(c.membersOf(c.str("GroupName"), c.now)) > 0 {
		return nil, inUse("remove users from group")
	}
	if err := g.empty(); err != nil {
		return nil, err
	}
	rec.end(c.now)
	return object{}, nil
}

func addToGroup(c *call, u *user) error {
	if _, _, err := c.findGroup(c.now); err != nil {
		return err
	}
	name := c.str("GroupName")
	if slices.Contains(u.Groups, name) {
		return nil
	}
	if len(u.Groups) >= maxGroups {
		return limited("GroupsPerUser", maxGroups)
	}
	u.Groups = append(slices.Clone(u.Groups), name)
	slices.Sort(u.Groups)
	return nil
}

func removeFromGroup(c *call, u *user) error {
	if _, _, err := c.findGroup(c.now); err != nil {
		return err
	}
	name := c.str("GroupName")
	if !slices.Contains(u.Groups, name) {
		return failure(404, "NoSuchEntity", "User %s is not in group %s", c.str("UserName"), name)
	}
	u.Groups = slices.DeleteFunc(slices.Clone(u.Groups), func(g string) bool { return g == name })
	return nil
}

var iamGroupHandlers = map[string]handler{
	"AddUserToGroup":      {"iam:AddUserToGroup", changeUser(addToGroup)},
	"CreateGroup":         {"iam:CreateGroup", createUserGroup},
	"DeleteGroup":         {"iam:DeleteGroup", deleteUserGroup},
	"GetGroup":            {"iam:GetGroup", getUserGroup},
	"ListGroups":          {"iam:ListGroups", listUserGroups},
	"ListGroupsForUser":   {"iam:ListGroupsForUser", groupsForUser},
	"RemoveUserFromGroup": {"iam:RemoveUserFromGroup", changeUser(removeFromGroup)},
}
