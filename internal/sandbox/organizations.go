package sandbox

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/knowngood/knowngood/iampolicy"
)

// accountCreation is how long a new account takes.
const accountCreation = 30 * time.Second

// accessRole is the role that a new account has for its management account.
// Source: Organizations User Guide, "Accessing member accounts in an organization".
const accessRole = "OrganizationAccountAccessRole"

// Quotas. Source: Organizations User Guide, "Quotas and service limits".
const (
	maxDepth    = 5 // of organizational units
	maxPerPage  = 20
	maxControls = 5 // policies of one type on one target
)

// organization is one organization. Its root is a unit without parent.
type organization struct {
	ID         string               `json:"id"`
	Management string               `json:"management"`
	Root       string               `json:"root"`
	Features   string               `json:"features"`
	Types      []string             `json:"policyTypes,omitempty"` // enabled
	Accounts   table[orgAccount]    `json:"accounts"`
	Units      table[orgUnit]       `json:"units"`
	Policies   table[orgPolicy]     `json:"policies,omitempty"`
	Requests   table[accountStatus] `json:"requests,omitempty"`
}

// orgNode is what accounts and units have in common.
type orgNode struct {
	Name     string   `json:"name"`
	Parent   string   `json:"parent,omitempty"`
	Policies []string `json:"policies,omitempty"` // attached
	Tags     tagSet   `json:"tags,omitempty"`
}

type orgAccount struct {
	Email  string    `json:"email"`
	Joined time.Time `json:"joined"`
	Method string    `json:"method"`
	orgNode
}

type orgUnit struct{ orgNode }

// accountStatus is how far a CreateAccount has come.
type accountStatus struct {
	Name      string    `json:"name"`
	Account   string    `json:"account,omitempty"`
	State     string    `json:"state"`
	Requested time.Time `json:"requested"`
	Completed time.Time `json:"completed,omitzero"`
	Reason    string    `json:"reason,omitempty"`
}

// inOrganization is the caller's organization.
func (c *call) inOrganization() (*organization, error) {
	o := c.state.Organizations[c.accountState().Organization]
	if o == nil {
		return nil, failure(400, "AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
	}
	return o, nil
}

// managing serves an operation of the management account.
func managing(run func(c *call, o *organization) (map[string]any, error)) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		o, err := c.inOrganization()
		if err != nil {
			return nil, err
		}
		if o.Management != c.who.Account {
			return nil, failure(400, "AccessDeniedException", "You don't have permissions to access this resource.")
		}
		return run(c, o)
	}
}

// arnOf is the ARN of something in the organization.
func (o *organization) arnOf(partition, resource string) string {
	kind, id, _ := strings.Cut(resource, "/")
	return "arn:" + partition + ":organizations::" + o.Management + ":" + kind + "/" + o.ID + "/" + id
}

// node finds an account, unit or the root by its id, and its kind.
func (o *organization) node(id string, at time.Time) (n orgNode, kind string, ok bool) {
	if _, u, ok := o.Units.live(id, at); ok {
		if id == o.Root {
			return u.orgNode, "ROOT", true
		}
		return u.orgNode, "ORGANIZATIONAL_UNIT", true
	}
	_, a, ok := o.Accounts.live(id, at)
	return a.orgNode, "ACCOUNT", ok
}

// change changes an account, unit or the root.
func (o *organization) change(id string, at time.Time, fn func(*orgNode)) {
	if r, _, ok := o.Units.live(id, at); ok {
		r.change(at, func(u *orgUnit) { fn(&u.orgNode) })
	}
	if r, _, ok := o.Accounts.live(id, at); ok {
		r.change(at, func(a *orgAccount) { fn(&a.orgNode) })
	}
}

// line is the way from the root to something, both included.
func (o *organization) line(id string, at time.Time) []string {
	var out []string
	for id != "" && len(out) <= maxDepth+2 {
		n, _, ok := o.node(id, at)
		if !ok {
			break
		}
		out = append(out, id)
		id = n.Parent
	}
	slices.Reverse(out)
	return out
}

// controlPolicies are the service control policies that bind an account, level by
// level; nil: none do. They never bind the management account.
func (c *call) controlPolicies(id string) [][]iampolicy.Attached {
	a := c.state.Accounts[id]
	o := c.state.Organizations[a.Organization]
	if o == nil || o.Management == id || !slices.Contains(o.Types, serviceControl) {
		return nil
	}
	levels := [][]iampolicy.Attached{}
	for _, target := range o.line(id, c.now) {
		n, _, _ := o.node(target, c.now)
		var level []iampolicy.Attached
		for _, p := range n.Policies {
			if v, ok := o.policy(p, c.now); ok && v.Type == serviceControl {
				level = c.attach(level, p, v.Content)
			}
		}
		levels = append(levels, level)
	}
	return levels
}

// orgPath is an account's organization and its place in it, as the condition keys
// have them.
func (c *call) orgPath(id string) (organization, path string) {
	a, ok := c.state.Accounts[id]
	if !ok {
		return "", ""
	}
	o := c.state.Organizations[a.Organization]
	if o == nil {
		return "", ""
	}
	line := o.line(id, c.now)
	if len(line) == 0 {
		return "", ""
	}
	return o.ID, o.ID + "/" + strings.Join(line[:len(line)-1], "/") + "/"
}

func createOrganization(c *call) (map[string]any, error) {
	a := c.accountState()
	if a.Organization != "" {
		return nil, failure(400, "AlreadyInOrganizationException", "The AWS account is already a member of an organization.")
	}
	features := c.str("FeatureSet")
	if features == "" {
		features = "ALL"
	}
	o := &organization{ID: c.id("o-", 10), Management: c.who.Account, Root: c.id("r-", 4), Features: features}
	o.Units.put(o.Root, c.now, orgUnit{orgNode{Name: "Root"}})
	o.Accounts.put(c.who.Account, c.now, orgAccount{Email: "root@" + c.who.Account + ".example.com", Joined: c.now, Method: "INVITED", orgNode: orgNode{Name: "management", Parent: o.Root}})
	if c.state.Organizations == nil {
		c.state.Organizations = map[string]*organization{}
	}
	c.state.Organizations[o.ID] = o
	a.Organization = o.ID
	return object{"Organization": c.organizationOut(o)}, nil
}

func (c *call) organizationOut(o *organization) object {
	types := []any{}
	for _, t := range o.Types {
		types = append(types, object{"Type": t, "Status": "ENABLED"})
	}
	_, m, _ := o.Accounts.live(o.Management, c.now)
	return object{"Id": o.ID, "Arn": "arn:" + c.partition() + ":organizations::" + o.Management + ":organization/" + o.ID, "FeatureSet": o.Features,
		"MasterAccountId": o.Management, "MasterAccountArn": o.arnOf(c.partition(), "account/"+o.Management), "MasterAccountEmail": m.Email, "AvailablePolicyTypes": types}
}

func describeOrganization(c *call) (map[string]any, error) {
	o, err := c.inOrganization()
	if err != nil {
		return nil, err
	}
	return object{"Organization": c.organizationOut(o)}, nil
}

// orgPage cuts a list by Organizations' pages, of at most 20.
func (c *call) orgPage(key string, items []any) (map[string]any, error) {
	out, err := c.pageOf(key, items, maxPerPage)
	if err != nil {
		return nil, failure(400, "InvalidInputException", "You specified an invalid value for nextToken.")
	}
	return out, nil
}

func (c *call) orgAccountOut(o *organization, id string, a orgAccount) object {
	return object{"Id": id, "Arn": o.arnOf(c.partition(), "account/"+id), "Email": a.Email, "Name": a.Name, "Status": "ACTIVE", "State": "ACTIVE",
		"JoinedMethod": a.Method, "JoinedTimestamp": a.Joined}
}

func (c *call) unitOut(o *organization, id string, u orgUnit) object {
	return object{"Id": id, "Arn": o.arnOf(c.partition(), "ou/"+id), "Name": u.Name}
}

// listNodes lists accounts or units, those under one parent or all.
func listNodes(key, parentMember string) func(*call, *organization) (map[string]any, error) {
	return func(c *call, o *organization) (map[string]any, error) {
		parent := c.str(parentMember)
		if _, kind, ok := o.node(parent, c.view); parentMember != "" && (!ok || kind == "ACCOUNT") {
			return nil, failure(400, "ParentNotFoundException", "You specified parent %s that doesn't exist.", parent)
		}
		out := []any{}
		if key == "Accounts" {
			for id, a := range o.Accounts.all(c.view) {
				if parent == "" || a.Parent == parent {
					out = append(out, c.orgAccountOut(o, id, a))
				}
			}
		} else {
			for id, u := range o.Units.all(c.view) {
				if u.Parent == parent {
					out = append(out, c.unitOut(o, id, u))
				}
			}
		}
		return c.orgPage(key, out)
	}
}

func listRoots(c *call, o *organization) (map[string]any, error) {
	types := []any{}
	for _, t := range o.Types {
		types = append(types, object{"Type": t, "Status": "ENABLED"})
	}
	return c.orgPage("Roots", []any{object{"Id": o.Root, "Arn": o.arnOf(c.partition(), "root/"+o.Root), "Name": "Root", "PolicyTypes": types}})
}

func describeAccount(c *call, o *organization) (map[string]any, error) {
	_, a, ok := o.Accounts.live(c.str("AccountId"), c.view)
	if !ok {
		return nil, failure(400, "AccountNotFoundException", "You specified an account that doesn't exist.")
	}
	return object{"Account": c.orgAccountOut(o, c.str("AccountId"), a)}, nil
}

func describeUnit(c *call, o *organization) (map[string]any, error) {
	id := c.str("OrganizationalUnitId")
	_, u, ok := o.Units.live(id, c.view)
	if !ok || id == o.Root {
		return nil, failure(400, "OrganizationalUnitNotFoundException", "You specified an organizational unit that doesn't exist.")
	}
	return object{"OrganizationalUnit": c.unitOut(o, id, u)}, nil
}

func listParents(c *call, o *organization) (map[string]any, error) {
	n, kind, ok := o.node(c.str("ChildId"), c.view)
	if !ok || kind == "ROOT" {
		return nil, failure(400, "ChildNotFoundException", "You specified a child that doesn't exist.")
	}
	_, kind, _ = o.node(n.Parent, c.view)
	return c.orgPage("Parents", []any{object{"Id": n.Parent, "Type": kind}})
}

func listChildren(c *call, o *organization) (map[string]any, error) {
	if _, kind, ok := o.node(c.str("ParentId"), c.view); !ok || kind == "ACCOUNT" {
		return nil, failure(400, "ParentNotFoundException", "You specified parent %s that doesn't exist.", c.str("ParentId"))
	}
	out := []any{}
	for _, id := range slices.Concat(sorted(o.Accounts), sorted(o.Units)) {
		if n, kind, ok := o.node(id, c.view); ok && n.Parent == c.str("ParentId") && kind == c.str("ChildType") {
			out = append(out, object{"Id": id, "Type": kind})
		}
	}
	return c.orgPage("Children", out)
}

// createAccount makes a member account, with the role by which the management
// account comes into it.
func createAccount(c *call, o *organization) (map[string]any, error) {
	request := c.id("car-", 32)
	s := accountStatus{Name: c.str("AccountName"), State: "IN_PROGRESS", Requested: c.now}
	done := c.now.Add(accountCreation)
	tags, err := parseTags(c.in["Tags"])
	if err != nil {
		return nil, failure(400, "InvalidInputException", "%s", wording(err))
	}
	for _, other := range o.Accounts.all(done) {
		if strings.EqualFold(other.Email, c.str("Email")) {
			o.Requests.put(request, c.now, s).change(done, func(s *accountStatus) { s.State, s.Reason, s.Completed = "FAILED", "EMAIL_ALREADY_EXISTS", done })
			return object{"CreateAccountStatus": s.out(request)}, nil
		}
	}
	n, err := strconv.ParseUint(c.id("", 15), 16, 64)
	if err != nil {
		return nil, err
	}
	id := strconv.FormatUint(n%900_000_000_000+100_000_000_000, 10)
	if err := c.addAccount(id, c.partition()); err != nil {
		return nil, failure(500, "ServiceException", "%v", err)
	}
	made := c.state.Accounts[id]
	made.Created, made.Organization = done, o.ID
	o.Accounts.put(id, done, orgAccount{Email: c.str("Email"), Joined: done, Method: "CREATED", orgNode: orgNode{Name: s.Name, Parent: o.Root, Policies: o.atFirst(), Tags: tags}})
	name := c.str("RoleName")
	if name == "" {
		name = accessRole
	}
	made.Roles.put(name, done, role{Created: done, ID: c.iamID("AROA"), Path: "/",
		Trust:     `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:` + c.partition() + `:iam::` + o.Management + `:root"},"Action":"sts:AssumeRole"}]}`,
		policySet: policySet{Attached: []string{"arn:" + c.partition() + ":iam::aws:policy/AdministratorAccess"}}})
	o.Requests.put(request, c.now, s).change(done, func(s *accountStatus) { s.State, s.Account, s.Completed = "SUCCEEDED", id, done })
	return object{"CreateAccountStatus": s.out(request)}, nil
}

func (s accountStatus) out(request string) object {
	out := object{"Id": request, "AccountName": s.Name, "State": s.State, "RequestedTimestamp": s.Requested}
	if s.Account != "" {
		out["AccountId"] = s.Account
	}
	if s.Reason != "" {
		out["FailureReason"] = s.Reason
	}
	if !s.Completed.IsZero() {
		out["CompletedTimestamp"] = s.Completed
	}
	return out
}

func describeCreation(c *call, o *organization) (map[string]any, error) {
	id := c.str("CreateAccountRequestId")
	_, s, ok := o.Requests.live(id, c.view)
	if !ok {
		return nil, failure(400, "CreateAccountStatusNotFoundException", "We can't find a create account request with the ID %s.", id)
	}
	return object{"CreateAccountStatus": s.out(id)}, nil
}

func createUnit(c *call, o *organization) (map[string]any, error) {
	parent, name := c.str("ParentId"), c.str("Name")
	if _, kind, ok := o.node(parent, c.now); !ok || kind == "ACCOUNT" {
		return nil, failure(400, "ParentNotFoundException", "You specified parent %s that doesn't exist.", parent)
	}
	if len(o.line(parent, c.now)) > maxDepth {
		return nil, failure(400, "ConstraintViolationException", "You have exceeded the depth of %d levels of organizational units.", maxDepth)
	}
	for _, u := range o.Units.all(c.now) {
		if u.Parent == parent && u.Name == name {
			return nil, failure(400, "DuplicateOrganizationalUnitException", "An OU with the same name already exists.")
		}
	}
	tags, err := parseTags(c.in["Tags"])
	if err != nil {
		return nil, failure(400, "InvalidInputException", "%s", wording(err))
	}
	id, u := c.id("ou-"+strings.TrimPrefix(o.Root, "r-")+"-", 8), orgUnit{orgNode{Name: name, Parent: parent, Policies: o.atFirst(), Tags: tags}}
	o.Units.put(id, c.now, u)
	return object{"OrganizationalUnit": c.unitOut(o, id, u)}, nil
}

func deleteUnit(c *call, o *organization) (map[string]any, error) {
	id := c.str("OrganizationalUnitId")
	r, _, ok := o.Units.live(id, c.now)
	if !ok || id == o.Root {
		return nil, failure(400, "OrganizationalUnitNotFoundException", "You specified an organizational unit that doesn't exist.")
	}
	for _, other := range slices.Concat(sorted(o.Accounts), sorted(o.Units)) {
		if n, _, ok := o.node(other, c.now); ok && n.Parent == id {
			return nil, failure(400, "OrganizationalUnitNotEmptyException", "You can't delete an organizational unit that has children.")
		}
	}
	r.end(c.now)
	return object{}, nil
}

func moveAccount(c *call, o *organization) (map[string]any, error) {
	r, a, ok := o.Accounts.live(c.str("AccountId"), c.now)
	if !ok {
		return nil, failure(400, "AccountNotFoundException", "You specified an account that doesn't exist.")
	}
	if _, kind, ok := o.node(c.str("DestinationParentId"), c.now); !ok || kind == "ACCOUNT" {
		return nil, failure(400, "DestinationParentNotFoundException", "You specified destination parent %s that doesn't exist.", c.str("DestinationParentId"))
	}
	switch c.str("SourceParentId") {
	case a.Parent:
	default:
		return nil, failure(400, "SourceParentNotFoundException", "You specified source parent %s that the account isn't in.", c.str("SourceParentId"))
	}
	if a.Parent == c.str("DestinationParentId") {
		return nil, failure(400, "DuplicateAccountException", "The account is already in the destination.")
	}
	r.change(c.now, func(a *orgAccount) { a.Parent = c.str("DestinationParentId") })
	return object{}, nil
}
