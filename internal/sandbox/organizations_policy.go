package sandbox

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/knowngood/knowngood/iampolicy"
)

const (
	serviceControl = "SERVICE_CONTROL_POLICY"
	fullAccess     = "p-FullAWSAccess"
)

// maxControlSize is in characters. Source: Organizations User Guide, "Quotas and
// service limits".
const maxControlSize = 5120

type orgPolicy struct {
	Name    string `json:"name"`
	Text    string `json:"description,omitempty"`
	Type    string `json:"type"`
	Content string `json:"content"`
	Tags    tagSet `json:"tags,omitempty"`
}

// policy finds a policy, AWS's own among them.
func (o *organization) policy(id string, at time.Time) (orgPolicy, bool) {
	if id == fullAccess {
		return orgPolicy{Name: "FullAWSAccess", Text: "Allows access to every operation", Type: serviceControl,
			Content: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`}, true
	}
	_, p, ok := o.Policies.live(id, at)
	return p, ok
}

// atFirst are the policies that a new account or unit has.
func (o *organization) atFirst() []string {
	if slices.Contains(o.Types, serviceControl) {
		return []string{fullAccess}
	}
	return nil
}

func (c *call) summaryOut(o *organization, id string, p orgPolicy) object {
	arn := o.arnOf(c.partition(), "policy/"+strings.ToLower(p.Type)+"/"+id)
	if id == fullAccess {
		arn = "arn:" + c.partition() + ":organizations::aws:policy/service_control_policy/" + id
	}
	return object{"Id": id, "Arn": arn, "Name": p.Name, "Description": p.Text, "Type": p.Type, "AwsManaged": id == fullAccess}
}

// onlyControls refuses policies of other types, which the sandbox doesn't have.
func (c *call) onlyControls(member string) error {
	if t := c.str(member); t != serviceControl {
		return failure(501, "NotImplemented", "The sandbox has no organization's policies of type %s.", t)
	}
	return nil
}

func setPolicyType(on bool) func(*call, *organization) (map[string]any, error) {
	return func(c *call, o *organization) (map[string]any, error) {
		if err := c.onlyControls("PolicyType"); err != nil {
			return nil, err
		}
		if c.str("RootId") != o.Root {
			return nil, failure(400, "RootNotFoundException", "You specified a root that doesn't exist.")
		}
		enabled := slices.Contains(o.Types, serviceControl)
		switch {
		case on && o.Features != "ALL":
			return nil, failure(400, "PolicyTypeNotAvailableForOrganizationException", "The organization doesn't have all features.")
		case on && enabled:
			return nil, failure(400, "PolicyTypeAlreadyEnabledException", "The specified policy type is already enabled.")
		case !on && !enabled:
			return nil, failure(400, "PolicyTypeNotEnabledException", "The specified policy type is not enabled.")
		}
		for _, id := range slices.Concat(sorted(o.Units), sorted(o.Accounts)) {
			o.change(id, c.now, func(n *orgNode) { // to disable a type detaches all of its policies
				if n.Policies = nil; on {
					n.Policies = []string{fullAccess}
				}
			})
		}
		if o.Types = nil; on {
			o.Types = []string{serviceControl}
		}
		out, err := listRoots(c, o)
		if err != nil {
			return nil, err
		}
		return object{"Root": out["Roots"].([]any)[0]}, nil
	}
}

func (c *call) checkControl(text string) error {
	if _, err := iampolicy.Parse(text, iampolicy.SCP); err != nil {
		return failure(400, "MalformedPolicyDocumentException", "The provided policy document does not meet the requirements of the specified policy type: %v", err)
	}
	if utf8.RuneCountInString(text) > maxControlSize {
		return failure(400, "ConstraintViolationException", "You have exceeded the maximum policy size of %d characters.", maxControlSize)
	}
	return nil
}

func createControl(c *call, o *organization) (map[string]any, error) {
	if err := c.onlyControls("Type"); err != nil {
		return nil, err
	}
	if err := c.checkControl(c.str("Content")); err != nil {
		return nil, err
	}
	for _, p := range o.Policies.all(c.now) {
		if p.Name == c.str("Name") {
			return nil, failure(400, "DuplicatePolicyException", "A policy with the same name already exists.")
		}
	}
	tags, err := parseTags(c.in["Tags"])
	if err != nil {
		return nil, failure(400, "InvalidInputException", "%s", wording(err))
	}
	id, p := c.id("p-", 8), orgPolicy{Name: c.str("Name"), Text: c.str("Description"), Type: serviceControl, Content: c.str("Content"), Tags: tags}
	o.Policies.put(id, c.now, p)
	return object{"Policy": object{"PolicySummary": c.summaryOut(o, id, p), "Content": p.Content}}, nil
}

// ownControl finds the policy of a call that changes it.
func (c *call) ownControl(o *organization) (*record[orgPolicy], orgPolicy, error) {
	r, p, ok := o.Policies.live(c.str("PolicyId"), c.now)
	switch {
	case c.str("PolicyId") == fullAccess:
		return nil, p, failure(400, "PolicyChangesInProgressException", "AWS manages the policy %s.", fullAccess)
	case !ok:
		return nil, p, noControl()
	}
	return r, p, nil
}

func noControl() error {
	return failure(400, "PolicyNotFoundException", "You specified a policy that doesn't exist.")
}

func updateControl(c *call, o *organization) (map[string]any, error) {
	r, p, err := c.ownControl(o)
	if err != nil {
		return nil, err
	}
	if text := c.str("Content"); text != "" {
		if err := c.checkControl(text); err != nil {
			return nil, err
		}
		p.Content = text
	}
	if name := c.str("Name"); name != "" {
		p.Name = name
	}
	if text, given := c.in["Description"].(string); given {
		p.Text = text
	}
	r.change(c.now, func(now *orgPolicy) { *now = p })
	return object{"Policy": object{"PolicySummary": c.summaryOut(o, c.str("PolicyId"), p), "Content": p.Content}}, nil
}

func deleteControl(c *call, o *organization) (map[string]any, error) {
	r, _, err := c.ownControl(o)
	if err != nil {
		return nil, err
	}
	if len(c.targetsOf(o, c.str("PolicyId"))) > 0 {
		return nil, failure(400, "PolicyInUseException", "The policy is attached to one or more entities. You must detach it from all roots, OUs, and accounts before performing this operation.")
	}
	r.end(c.now)
	return object{}, nil
}

func describeControl(c *call, o *organization) (map[string]any, error) {
	id := c.str("PolicyId")
	p, ok := o.policy(id, c.view)
	if !ok {
		return nil, noControl()
	}
	return object{"Policy": object{"PolicySummary": c.summaryOut(o, id, p), "Content": p.Content}}, nil
}

func listControls(c *call, o *organization) (map[string]any, error) {
	out := []any{}
	if c.str("Filter") == serviceControl {
		p, _ := o.policy(fullAccess, c.view)
		out = append(out, c.summaryOut(o, fullAccess, p))
		for id, p := range o.Policies.all(c.view) {
			out = append(out, c.summaryOut(o, id, p))
		}
	}
	return c.orgPage("Policies", out)
}

func listControlsOf(c *call, o *organization) (map[string]any, error) {
	n, _, ok := o.node(c.str("TargetId"), c.view)
	if !ok {
		return nil, noOrgTarget()
	}
	out := []any{}
	for _, id := range n.Policies {
		if p, ok := o.policy(id, c.view); ok && p.Type == c.str("Filter") {
			out = append(out, c.summaryOut(o, id, p))
		}
	}
	return c.orgPage("Policies", out)
}

func noOrgTarget() error {
	return failure(400, "TargetNotFoundException", "You specified a target that doesn't exist.")
}

// targetsOf are those that a policy is attached to.
func (c *call) targetsOf(o *organization, policy string) []any {
	out := []any{}
	for _, id := range slices.Concat(sorted(o.Units), sorted(o.Accounts)) {
		n, kind, ok := o.node(id, c.view)
		if ok && slices.Contains(n.Policies, policy) {
			prefix := map[string]string{"ROOT": "root/", "ORGANIZATIONAL_UNIT": "ou/", "ACCOUNT": "account/"}[kind]
			out = append(out, object{"TargetId": id, "Arn": o.arnOf(c.partition(), prefix+id), "Name": n.Name, "Type": kind})
		}
	}
	return out
}

func listControlTargets(c *call, o *organization) (map[string]any, error) {
	if _, ok := o.policy(c.str("PolicyId"), c.view); !ok {
		return nil, noControl()
	}
	return c.orgPage("Targets", c.targetsOf(o, c.str("PolicyId")))
}

func attachControl(c *call, o *organization) (map[string]any, error) {
	id, target := c.str("PolicyId"), c.str("TargetId")
	p, ok := o.policy(id, c.now)
	if !ok {
		return nil, noControl()
	}
	n, _, ok := o.node(target, c.now)
	switch {
	case !ok:
		return nil, noOrgTarget()
	case !slices.Contains(o.Types, p.Type):
		return nil, failure(400, "PolicyTypeNotEnabledException", "The specified policy type is not enabled.")
	case slices.Contains(n.Policies, id):
		return nil, failure(400, "DuplicatePolicyAttachmentException", "A policy with the specified name and type already exists.")
	case len(n.Policies) >= maxControls:
		return nil, failure(400, "ConstraintViolationException", "You have attached the maximum number of policies to the target, %d.", maxControls)
	}
	o.change(target, c.now, func(n *orgNode) { n.Policies = append(slices.Clone(n.Policies), id) })
	return object{}, nil
}

func detachControl(c *call, o *organization) (map[string]any, error) {
	id, target := c.str("PolicyId"), c.str("TargetId")
	if _, ok := o.policy(id, c.now); !ok {
		return nil, noControl()
	}
	n, _, ok := o.node(target, c.now)
	switch {
	case !ok:
		return nil, noOrgTarget()
	case !slices.Contains(n.Policies, id):
		return nil, failure(400, "PolicyNotAttachedException", "The policy isn't attached to the specified target in the specified root.")
	case len(n.Policies) == 1:
		return nil, failure(400, "ConstraintViolationException", "You cannot remove the last policy attached to the specified target. You must have at least one attached at all times.")
	}
	o.change(target, c.now, func(n *orgNode) {
		n.Policies = slices.DeleteFunc(slices.Clone(n.Policies), func(p string) bool { return p == id })
	})
	return object{}, nil
}

// retag changes the tags of what a call's ResourceId names.
func retag(fn func(c *call, t tagSet) (tagSet, error)) func(*call, *organization) (map[string]any, error) {
	return func(c *call, o *organization) (map[string]any, error) {
		id := c.str("ResourceId")
		n, _, isNode := o.node(id, c.now)
		r, p, isPolicy := o.Policies.live(id, c.now)
		if !isNode && !isPolicy {
			return nil, noOrgTarget()
		}
		before := n.Tags
		if isPolicy {
			before = p.Tags
		}
		tags, err := fn(c, before)
		if err != nil {
			return nil, failure(400, "InvalidInputException", "%s", wording(err))
		}
		if isPolicy {
			r.change(c.now, func(p *orgPolicy) { p.Tags = tags })
		}
		o.change(id, c.now, func(n *orgNode) { n.Tags = tags })
		return object{}, nil
	}
}

func listOrgTags(c *call, o *organization) (map[string]any, error) {
	id := c.str("ResourceId")
	n, _, isNode := o.node(id, c.view)
	_, p, isPolicy := o.Policies.live(id, c.view)
	switch {
	case isPolicy:
		return c.orgPage("Tags", p.Tags.list())
	case isNode:
		return c.orgPage("Tags", n.Tags.list())
	}
	return nil, noOrgTarget()
}

var organizationsHandlers = map[string]handler{
	"AttachPolicy":                     {"organizations:AttachPolicy", managing(attachControl)},
	"CreateAccount":                    {"organizations:CreateAccount", managing(createAccount)},
	"CreateOrganization":               {"organizations:CreateOrganization", createOrganization},
	"CreateOrganizationalUnit":         {"organizations:CreateOrganizationalUnit", managing(createUnit)},
	"CreatePolicy":                     {"organizations:CreatePolicy", managing(createControl)},
	"DeleteOrganizationalUnit":         {"organizations:DeleteOrganizationalUnit", managing(deleteUnit)},
	"DeletePolicy":                     {"organizations:DeletePolicy", managing(deleteControl)},
	"DescribeAccount":                  {"organizations:DescribeAccount", managing(describeAccount)},
	"DescribeCreateAccountStatus":      {"organizations:DescribeCreateAccountStatus", managing(describeCreation)},
	"DescribeOrganization":             {"organizations:DescribeOrganization", describeOrganization},
	"DescribeOrganizationalUnit":       {"organizations:DescribeOrganizationalUnit", managing(describeUnit)},
	"DescribePolicy":                   {"organizations:DescribePolicy", managing(describeControl)},
	"DetachPolicy":                     {"organizations:DetachPolicy", managing(detachControl)},
	"DisablePolicyType":                {"organizations:DisablePolicyType", managing(setPolicyType(false))},
	"EnablePolicyType":                 {"organizations:EnablePolicyType", managing(setPolicyType(true))},
	"ListAccounts":                     {"organizations:ListAccounts", managing(listNodes("Accounts", ""))},
	"ListAccountsForParent":            {"organizations:ListAccountsForParent", managing(listNodes("Accounts", "ParentId"))},
	"ListChildren":                     {"organizations:ListChildren", managing(listChildren)},
	"ListOrganizationalUnitsForParent": {"organizations:ListOrganizationalUnitsForParent", managing(listNodes("OrganizationalUnits", "ParentId"))},
	"ListParents":                      {"organizations:ListParents", managing(listParents)},
	"ListPolicies":                     {"organizations:ListPolicies", managing(listControls)},
	"ListPoliciesForTarget":            {"organizations:ListPoliciesForTarget", managing(listControlsOf)},
	"ListRoots":                        {"organizations:ListRoots", managing(listRoots)},
	"ListTagsForResource":              {"organizations:ListTagsForResource", managing(listOrgTags)},
	"ListTargetsForPolicy":             {"organizations:ListTargetsForPolicy", managing(listControlTargets)},
	"MoveAccount":                      {"organizations:MoveAccount", managing(moveAccount)},
	"TagResource": {"organizations:TagResource", managing(retag(func(c *call, t tagSet) (tagSet, error) {
		tags, err := parseTags(c.in["Tags"])
		return t.with(tags), err
	}))},
	"UntagResource": {"organizations:UntagResource", managing(retag(func(c *call, t tagSet) (tagSet, error) {
		return t.without(c.strings("TagKeys")), nil
	}))},
	"UpdatePolicy": {"organizations:UpdatePolicy", managing(updateControl)},
}
