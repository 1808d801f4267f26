package sandbox

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/knowngood/knowngood/iampolicy"
)

// Quotas. Source: IAM User Guide, "IAM and AWS STS quotas". Sizes are in
// characters, white space not counted.
const (
	maxAttached    = 10
	maxVersions    = 5
	maxManagedSize = 6144
)

// holderKind is a kind of entity that has policies: user, group or role.
type holderKind struct {
	name    string // User, as in UserName and PutUserPolicy
	maxSize int    // of all inline policies
	find    func(c *call, at time.Time) (policySet, func(func(*policySet)), error)
}

var userHolder = holderKind{"User", 2048, func(c *call, at time.Time) (policySet, func(func(*policySet)), error) {
	r, u, _, err := c.findUser(at)
	return u.policySet, func(fn func(*policySet)) { r.change(c.now, func(u *user) { fn(&u.policySet) }) }, err
}}

var groupHolder = holderKind{"Group", 5120, func(c *call, at time.Time) (policySet, func(func(*policySet)), error) {
	r, g, err := c.findGroup(at)
	return g.policySet, func(fn func(*policySet)) { r.change(c.now, func(g *userGroup) { fn(&g.policySet) }) }, err
}}

var roleHolder = holderKind{"Role", 10240, func(c *call, at time.Time) (policySet, func(func(*policySet)), error) {
	r, v, err := c.findRole(at)
	return v.policySet, func(fn func(*policySet)) { r.change(c.now, func(r *role) { fn(&r.policySet) }) }, err
}}

// empty says whether an entity has no policies, without which it can't be
// deleted.
func (p policySet) empty() error {
	switch {
	case len(p.Inline) > 0:
		return inUse("delete policies")
	case len(p.Attached) > 0:
		return inUse("detach all policies")
	}
	return nil
}

func policySize(text string) int { return len(strings.Join(strings.Fields(text), "")) }

func (h holderKind) put(c *call) (map[string]any, error) {
	set, change, err := h.find(c, c.now)
	if err != nil {
		return nil, err
	}
	name, text := c.str("PolicyName"), c.str("PolicyDocument")
	if err := c.checkPolicy(text, iampolicy.Identity); err != nil {
		return nil, err
	}
	inline := tagSet(set.Inline).with(tagSet{name: text})
	size := 0
	for _, t := range inline {
		size += policySize(t)
	}
	if size > h.maxSize {
		return nil, failure(409, "LimitExceeded", "Maximum policy size of %d bytes exceeded for %s %s", h.maxSize, strings.ToLower(h.name), c.str(h.name+"Name"))
	}
	change(func(p *policySet) { p.Inline = inline })
	return object{}, nil
}

func (h holderKind) noPolicy(name string) error {
	return failure(404, "NoSuchEntity", "The %s policy with name %s cannot be found.", strings.ToLower(h.name), name)
}

func (h holderKind) get(c *call) (map[string]any, error) {
	set, _, err := h.find(c, c.view)
	if err != nil {
		return nil, err
	}
	name := c.str("PolicyName")
	text, ok := set.Inline[name]
	if !ok {
		return nil, h.noPolicy(name)
	}
	return object{h.name + "Name": c.str(h.name + "Name"), "PolicyName": name, "PolicyDocument": percentEncoded(text)}, nil
}

func (h holderKind) drop(c *call) (map[string]any, error) {
	set, change, err := h.find(c, c.now)
	if err != nil {
		return nil, err
	}
	name := c.str("PolicyName")
	if _, ok := set.Inline[name]; !ok {
		return nil, h.noPolicy(name)
	}
	change(func(p *policySet) { p.Inline = tagSet(p.Inline).without([]string{name}) })
	return object{}, nil
}

func (h holderKind) list(c *call) (map[string]any, error) {
	set, _, err := h.find(c, c.view)
	if err != nil {
		return nil, err
	}
	return c.iamPage("PolicyNames", anys(sorted(set.Inline)))
}

func (h holderKind) attach(c *call) (map[string]any, error) {
	set, change, err := h.find(c, c.now)
	if err != nil {
		return nil, err
	}
	arn := c.str("PolicyArn")
	switch {
	case c.managedText(arn) == "":
		return nil, noManaged(arn)
	case slices.Contains(set.Attached, arn):
		return object{}, nil
	case len(set.Attached) >= maxAttached:
		return nil, limited("PoliciesPer"+h.name, maxAttached)
	}
	change(func(p *policySet) { p.Attached = append(slices.Clone(p.Attached), arn) })
	return object{}, nil
}

func (h holderKind) detach(c *call) (map[string]any, error) {
	set, change, err := h.find(c, c.now)
	if err != nil {
		return nil, err
	}
	arn := c.str("PolicyArn")
	if !slices.Contains(set.Attached, arn) {
		return nil, failure(404, "NoSuchEntity", "Policy %s was not found.", arn)
	}
	change(func(p *policySet) {
		p.Attached = slices.DeleteFunc(slices.Clone(p.Attached), func(a string) bool { return a == arn })
	})
	return object{}, nil
}

func (p policySet) attachedOut(pathPrefix string) []any {
	out := []any{}
	for _, arn := range p.Attached {
		if _, path, _ := strings.Cut(arn, ":policy"); strings.HasPrefix(path, pathPrefix) {
			out = append(out, object{"PolicyName": last(arn), "PolicyArn": arn})
		}
	}
	return out
}

func (h holderKind) attached(c *call) (map[string]any, error) {
	set, _, err := h.find(c, c.view)
	if err != nil {
		return nil, err
	}
	return c.iamPage("AttachedPolicies", set.attachedOut(c.str("PathPrefix")))
}

// newBoundary reads the boundary that a call gives; "": none.
func (c *call) newBoundary() (string, error) {
	arn := c.str("PermissionsBoundary")
	if arn != "" && c.managedText(arn) == "" {
		return "", noManaged(arn)
	}
	return arn, nil
}

func (h holderKind) setBoundary(c *call) (map[string]any, error) {
	_, change, err := h.find(c, c.now)
	if err != nil {
		return nil, err
	}
	arn, err := c.newBoundary()
	if err != nil {
		return nil, err
	}
	change(func(p *policySet) { p.Boundary = arn })
	return object{}, nil
}

func (h holderKind) dropBoundary(c *call) (map[string]any, error) {
	set, change, err := h.find(c, c.now)
	if err != nil {
		return nil, err
	}
	if set.Boundary == "" {
		return nil, failure(404, "NoSuchEntity", "%s %s has no permissions boundary.", h.name, c.str(h.name+"Name"))
	}
	change(func(p *policySet) { p.Boundary = "" })
	return object{}, nil
}

func noManaged(arn string) error {
	return failure(404, "NoSuchEntity", "Policy %s does not exist or is not attachable.", arn)
}

// findManaged gives the customer managed policy that the call names.
func (c *call) findManaged(at time.Time) (*record[managedPolicy], managedPolicy, error) {
	arn := c.str("PolicyArn")
	a, _ := parseARN(arn)
	if a.account == "aws" && c.managedText(arn) != "" {
		return nil, c.awsManaged(strings.TrimPrefix(a.resource, "policy/")), nil
	}
	if a.account == c.who.Account {
		if r, p, ok := c.accountState().Policies.live(last(a.resource), at); ok && c.managedARN(last(a.resource), p) == arn {
			return r, p, nil
		}
	}
	return nil, managedPolicy{}, failure(404, "NoSuchEntity", "Policy %s was not found.", arn)
}

// awsManaged is a policy of AWS's, which are all of one version here.
func (c *call) awsManaged(name string) managedPolicy {
	since := time.Date(2015, 2, 6, 18, 39, 46, 0, time.UTC)
	sum := sha256.Sum256([]byte(name))
	return managedPolicy{Created: since, Updated: since, ID: "ANPA" + strings.ToUpper(hex.EncodeToString(sum[:]))[:17], Path: "/" + strings.TrimSuffix(name, last(name)), Default: "v1",
		Versions: []policyVersion{{ID: "v1", Created: since, Document: awsPolicies[name]}}}
}

func (c *call) managedARN(name string, p managedPolicy) string {
	return c.globalARN("iam", "policy"+p.Path+name)
}

// customerPolicy is findManaged for a write, which AWS's policies don't take.
func (c *call) customerPolicy() (*record[managedPolicy], managedPolicy, error) {
	r, p, err := c.findManaged(c.now)
	if err == nil && r == nil {
		err = failure(403, "AccessDenied", "User: %s is not authorized to perform: iam:%s on resource: policy %s, which AWS manages", c.who.ARN, c.operation.Name, c.str("PolicyArn"))
	}
	return r, p, err
}

// attachments counts the entities that a managed policy is attached to, and those
// whose boundary it is.
func (c *call) attachments(arn string, at time.Time) (attached, boundaries int64) {
	count := func(p policySet) {
		if slices.Contains(p.Attached, arn) {
			attached++
		}
		if p.Boundary == arn {
			boundaries++
		}
	}
	a := c.accountState()
	for _, u := range a.Users.all(at) {
		count(u.policySet)
	}
	for _, g := range a.UserGroups.all(at) {
		count(g.policySet)
	}
	for _, r := range a.Roles.all(at) {
		count(r.policySet)
	}
	return attached, boundaries
}

func (c *call) managedOut(name, arn string, p managedPolicy) object {
	attached, boundaries := c.attachments(arn, c.view)
	out := object{"PolicyName": name, "PolicyId": p.ID, "Arn": arn, "Path": p.Path, "DefaultVersionId": p.Default, "AttachmentCount": attached,
		"PermissionsBoundaryUsageCount": boundaries, "IsAttachable": true, "CreateDate": p.Created, "UpdateDate": p.Updated}
	return out
}

func versionOut(p managedPolicy, v policyVersion) object {
	return object{"VersionId": v.ID, "IsDefaultVersion": v.ID == p.Default, "CreateDate": v.Created}
}

func createManaged(c *call) (map[string]any, error) {
	name, path, err := c.newEntity("PolicyName")
	if err != nil {
		return nil, err
	}
	policies := &c.accountState().Policies
	if _, _, ok := policies.live(name, c.now); ok {
		return nil, failure(409, "EntityAlreadyExists", "A policy called %s already exists. Duplicate names are not allowed.", name)
	}
	p := managedPolicy{Created: c.now, Path: path, Text: c.str("Description")}
	if p.Tags, err = c.iamTags(); err != nil {
		return nil, err
	}
	if err := c.addVersion(&p, true); err != nil {
		return nil, err
	}
	p.ID = c.iamID("ANPA")
	policies.put(name, c.now, p)
	return object{"Policy": withTags(c.managedOut(name, c.managedARN(name, p), p), p.Tags)}, nil
}

// addVersion adds the call's document to a policy.
func (c *call) addVersion(p *managedPolicy, asDefault bool) error {
	text := c.str("PolicyDocument")
	if err := c.checkPolicy(text, iampolicy.Identity); err != nil {
		return err
	}
	if policySize(text) > maxManagedSize {
		return limited("PolicySize", maxManagedSize)
	}
	if len(p.Versions) >= maxVersions {
		return failure(409, "LimitExceeded", "A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", maxVersions)
	}
	p.Made++
	v := policyVersion{ID: "v" + strconv.Itoa(p.Made), Created: c.now, Document: text}
	p.Versions = append(slices.Clone(p.Versions), v)
	p.Updated = c.now
	if asDefault {
		p.Default = v.ID
	}
	return nil
}

func createVersion(c *call) (map[string]any, error) {
	r, p, err := c.customerPolicy()
	if err != nil {
		return nil, err
	}
	if err := c.addVersion(&p, c.bool("SetAsDefault")); err != nil {
		return nil, err
	}
	r.change(c.now, func(now *managedPolicy) { *now = p })
	return object{"PolicyVersion": versionOut(p, p.Versions[len(p.Versions)-1])}, nil
}

// oneVersion finds the version that the call names.
func (c *call) oneVersion(p managedPolicy) (policyVersion, error) {
	v, ok := p.version(c.str("VersionId"))
	if !ok {
		return v, failure(404, "NoSuchEntity", "Policy %s version %s does not exist or is not attachable.", c.str("PolicyArn"), c.str("VersionId"))
	}
	return v, nil
}

func deleteVersion(c *call) (map[string]any, error) {
	r, p, err := c.customerPolicy()
	if err != nil {
		return nil, err
	}
	v, err := c.oneVersion(p)
	if err != nil {
		return nil, err
	}
	if v.ID == p.Default {
		return nil, failure(409, "DeleteConflict", "Cannot delete the default version of a policy.")
	}
	r.change(c.now, func(p *managedPolicy) {
		p.Versions = slices.DeleteFunc(slices.Clone(p.Versions), func(o policyVersion) bool { return o.ID == v.ID })
	})
	return object{}, nil
}

func setDefaultVersion(c *call) (map[string]any, error) {
	r, p, err := c.customerPolicy()
	if err != nil {
		return nil, err
	}
	v, err := c.oneVersion(p)
	if err != nil {
		return nil, err
	}
	r.change(c.now, func(p *managedPolicy) { p.Default, p.Updated = v.ID, c.now })
	return object{}, nil
}

func getManaged(c *call) (map[string]any, error) {
	_, p, err := c.findManaged(c.view)
	if err != nil {
		return nil, err
	}
	arn := c.str("PolicyArn")
	out := withTags(c.managedOut(last(arn), arn, p), p.Tags)
	if p.Text != "" {
		out["Description"] = p.Text
	}
	return object{"Policy": out}, nil
}

func getVersion(c *call) (map[string]any, error) {
	_, p, err := c.findManaged(c.view)
	if err != nil {
		return nil, err
	}
	v, err := c.oneVersion(p)
	if err != nil {
		return nil, err
	}
	out := versionOut(p, v)
	out["Document"] = percentEncoded(v.Document)
	return object{"PolicyVersion": out}, nil
}

func listPolicyVersions(c *call) (map[string]any, error) {
	_, p, err := c.findManaged(c.view)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, v := range slices.Backward(p.Versions) {
		out = append(out, versionOut(p, v))
	}
	return c.iamPage("Versions", out)
}

func deleteManaged(c *call) (map[string]any, error) {
	r, p, err := c.customerPolicy()
	if err != nil {
		return nil, err
	}
	attached, boundaries := c.attachments(c.str("PolicyArn"), c.now)
	switch {
	case attached+boundaries > 0:
		return nil, failure(409, "DeleteConflict", "Cannot delete a policy attached to entities.")
	case len(p.Versions) > 1:
		return nil, failure(409, "DeleteConflict", "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
	}
	r.end(c.now)
	return object{}, nil
}

func listManaged(c *call) (map[string]any, error) {
	scope := cmp.Or(c.str("Scope"), "All")
	out := []any{}
	add := func(name, arn string, p managedPolicy) {
		attached, boundaries := c.attachments(arn, c.view)
		used := map[string]bool{"": attached+boundaries > 0 || !c.bool("OnlyAttached"), "PermissionsPolicy": attached > 0 || !c.bool("OnlyAttached"),
			"PermissionsBoundary": boundaries > 0}
		if strings.HasPrefix(p.Path, c.str("PathPrefix")) && used[c.str("PolicyUsageFilter")] {
			out = append(out, c.managedOut(name, arn, p))
		}
	}
	if scope != "AWS" {
		for name, p := range c.accountState().Policies.all(c.view) {
			add(name, c.managedARN(name, p), p)
		}
	}
	if scope != "Local" {
		for _, name := range sorted(awsPolicies) {
			add(last(name), "arn:"+c.partition()+":iam::aws:policy/"+name, c.awsManaged(name))
		}
	}
	return c.iamPage("Policies", out)
}

func entitiesForPolicy(c *call) (map[string]any, error) {
	if _, _, err := c.findManaged(c.view); err != nil {
		return nil, err
	}
	a, arn := c.accountState(), c.str("PolicyArn")
	uses := func(p policySet) bool {
		if c.str("PolicyUsageFilter") == "PermissionsBoundary" {
			return p.Boundary == arn
		}
		return slices.Contains(p.Attached, arn)
	}
	users, groups, roles := []any{}, []any{}, []any{}
	for name, u := range a.Users.all(c.view) {
		if uses(u.policySet) {
			users = append(users, object{"UserName": name, "UserId": u.ID})
		}
	}
	for name, g := range a.UserGroups.all(c.view) {
		if uses(g.policySet) {
			groups = append(groups, object{"GroupName": name, "GroupId": g.ID})
		}
	}
	for name, r := range a.Roles.all(c.view) {
		if uses(r.policySet) {
			roles = append(roles, object{"RoleName": name, "RoleId": r.ID})
		}
	}
	return object{"PolicyUsers": users, "PolicyGroups": groups, "PolicyRoles": roles, "IsTruncated": false}, nil
}

var iamPolicyHandlers = map[string]handler{
	"AttachGroupPolicy":             {"iam:AttachGroupPolicy", groupHolder.attach},
	"AttachRolePolicy":              {"iam:AttachRolePolicy", roleHolder.attach},
	"AttachUserPolicy":              {"iam:AttachUserPolicy", userHolder.attach},
	"CreatePolicy":                  {"iam:CreatePolicy", createManaged},
	"CreatePolicyVersion":           {"iam:CreatePolicyVersion", createVersion},
	"DeleteGroupPolicy":             {"iam:DeleteGroupPolicy", groupHolder.drop},
	"DeletePolicy":                  {"iam:DeletePolicy", deleteManaged},
	"DeletePolicyVersion":           {"iam:DeletePolicyVersion", deleteVersion},
	"DeleteRolePermissionsBoundary": {"iam:DeleteRolePermissionsBoundary", roleHolder.dropBoundary},
	"DeleteRolePolicy":              {"iam:DeleteRolePolicy", roleHolder.drop},
	"DeleteUserPermissionsBoundary": {"iam:DeleteUserPermissionsBoundary", userHolder.dropBoundary},
	"DeleteUserPolicy":              {"iam:DeleteUserPolicy", userHolder.drop},
	"DetachGroupPolicy":             {"iam:DetachGroupPolicy", groupHolder.detach},
	"DetachRolePolicy":              {"iam:DetachRolePolicy", roleHolder.detach},
	"DetachUserPolicy":              {"iam:DetachUserPolicy", userHolder.detach},
	"GetGroupPolicy":                {"iam:GetGroupPolicy", groupHolder.get},
	"GetPolicy":                     {"iam:GetPolicy", getManaged},
	"GetPolicyVersion":              {"iam:GetPolicyVersion", getVersion},
	"GetRolePolicy":                 {"iam:GetRolePolicy", roleHolder.get},
	"GetUserPolicy":                 {"iam:GetUserPolicy", userHolder.get},
	"ListAttachedGroupPolicies":     {"iam:ListAttachedGroupPolicies", groupHolder.attached},
	"ListAttachedRolePolicies":      {"iam:ListAttachedRolePolicies", roleHolder.attached},
	"ListAttachedUserPolicies":      {"iam:ListAttachedUserPolicies", userHolder.attached},
	"ListEntitiesForPolicy":         {"iam:ListEntitiesForPolicy", entitiesForPolicy},
	"ListGroupPolicies":             {"iam:ListGroupPolicies", groupHolder.list},
	"ListPolicies":                  {"iam:ListPolicies", listManaged},
	"ListPolicyVersions":            {"iam:ListPolicyVersions", listPolicyVersions},
	"ListRolePolicies":              {"iam:ListRolePolicies", roleHolder.list},
	"ListUserPolicies":              {"iam:ListUserPolicies", userHolder.list},
	"PutGroupPolicy":                {"iam:PutGroupPolicy", groupHolder.put},
	"PutRolePermissionsBoundary":    {"iam:PutRolePermissionsBoundary", roleHolder.setBoundary},
	"PutRolePolicy":                 {"iam:PutRolePolicy", roleHolder.put},
	"PutUserPermissionsBoundary":    {"iam:PutUserPermissionsBoundary", userHolder.setBoundary},
	"PutUserPolicy":                 {"iam:PutUserPolicy", userHolder.put},
	"SetDefaultPolicyVersion":       {"iam:SetDefaultPolicyVersion", setDefaultVersion},
}
