package sandbox

import (
	"cmp"
	"slices"
	"strings"

	"github.com/knowngood/knowngood/iampolicy"
)

// identity is the caller as policies see it, with those that it is under.
type identity struct {
	principal iampolicy.Principal
	policies  iampolicy.Policies // without the resource's
	tags      tagSet
}

// everything is the policy of the sandbox's operators.
var everything = &iampolicy.Policy{Version: iampolicy.Version2012, Statements: []iampolicy.Statement{
	{Effect: iampolicy.Allow, Actions: []string{"*"}, Resources: []string{"*"}},
}}

// authorize says whether the caller may make the call. No action: everybody may.
func (c *call) authorize(action string) error {
	if action == "" {
		return nil
	}
	for _, n := range c.needs(action) {
		if err := c.permit(&n); err != nil {
			return err
		}
	}
	return nil
}

// permit says whether the caller may do one thing. An account's operator may do
// all in the account, but for roles, which decide themselves whom they trust; it
// needs others' leave for what is theirs.
func (c *call) permit(n *need) error {
	r := resource{}
	if a := accessOf(n.action); a.look != nil {
		r = a.look(c, n)
	}
	if r.arn != "" {
		n.resource = r.arn
	}
	if r.owner == "" {
		a, _ := parseARN(n.resource)
		r.owner = cmp.Or(a.account, c.who.Account)
	}
	if service := accesses[c.operation.Service.Name]; r.owner != c.who.Account && service != nil && service.guests {
		c.host = r.owner
	}
	if c.who.Operator && r.owner == c.who.Account && !strings.HasPrefix(n.action, "sts:") {
		return nil
	}
	me := c.identity()
	request := iampolicy.Request{Principal: me.principal, Action: n.action, Resource: n.resource, Owner: r.owner, Context: c.context(n, &r)}
	policies := me.policies
	policies.ResourceMustAllow = r.mustAllow
	if p := c.policy(r.policy); p != nil {
		policies.Resource = &iampolicy.Attached{Policy: p}
	}
	if d := iampolicy.Evaluate(&request, &policies); !d.Allowed && (len(d.Denials) > 0 || !c.granted(n)) {
		return c.denied(d.Message(&request))
	}
	return nil
}

// denied is a refusal as the call's service words it.
func (c *call) denied(message string) error {
	status, code := deniedCode(c.operation.Service)
	if code == "UnauthorizedOperation" {
		message = "You are not authorized to perform this operation. " + message
	}
	return failure(status, code, "%s", message)
}

// policy reads a policy that the sandbox holds. Policies are read once: they are
// known by their text. None that can't be read is ever stored.
func (s *Sandbox) policy(text string) *iampolicy.Policy {
	if text == "" {
		return nil
	}
	if p, ok := s.policies[text]; ok {
		return p
	}
	p, err := iampolicy.Parse(text, iampolicy.AnyKind)
	if err != nil {
		p = nil
	}
	if len(s.policies) > 10000 { // of a sandbox that lives long
		clear(s.policies)
	}
	s.policies[text] = p
	return p
}

func (s *Sandbox) attach(to []iampolicy.Attached, name, text string) []iampolicy.Attached {
	if p := s.policy(text); p != nil {
		return append(to, iampolicy.Attached{Name: name, Policy: p})
	}
	return to
}

// identity gives the caller's side of an evaluation, which is one for the whole
// call.
func (c *call) identity() *identity {
	if c.me != nil {
		return c.me
	}
	me := &identity{principal: iampolicy.Principal{Type: iampolicy.User, ARN: c.who.ARN, Account: c.who.Account, ID: c.who.UserID, Name: last(c.who.ARN)}}
	c.me = me
	me.policies.SCPs = c.controlPolicies(c.who.Account)
	a := c.accountState()
	var held policySet
	switch {
	case c.who.Operator:
		me.policies.Identity = []iampolicy.Attached{{Name: "Operator", Policy: everything}}
		me.policies.SCPs = nil
		return me
	case strings.HasSuffix(c.who.ARN, ":root"):
		me.principal.Type, me.principal.Name = iampolicy.Root, ""
	case c.who.Role != "":
		me.principal.Type, me.principal.Role, me.principal.Name = iampolicy.AssumedRole, c.who.Role, ""
		// A role that was deleted and made again is another one.
		if _, r, ok := a.Roles.live(last(c.who.Role), c.now); ok && strings.HasPrefix(c.who.UserID, r.ID+":") {
			held, me.tags = r.policySet, r.Tags.with(c.who.Tags)
		}
	default:
		if _, u, ok := a.Users.live(last(c.who.ARN), c.now); ok && c.who.UserID == u.ID {
			held, me.tags = u.policySet, u.Tags
			for _, name := range u.Groups {
				if _, g, ok := a.UserGroups.live(name, c.now); ok {
					me.policies.Identity = c.hold(me.policies.Identity, g.policySet)
				}
			}
		}
	}
	me.policies.Identity = c.hold(me.policies.Identity, held)
	if held.Boundary != "" {
		// A boundary whose policy is gone allows nothing.
		me.policies.Boundary = &iampolicy.Attached{Name: held.Boundary, Policy: c.policy(c.managedText(held.Boundary))}
	}
	me.policies.Session = c.attach(nil, "", c.who.Policy)
	for _, arn := range c.who.PolicyARNs {
		me.policies.Session = c.attach(me.policies.Session, arn, c.managedText(arn))
	}
	return me
}

// hold adds the policies of a user, group or role.
func (c *call) hold(to []iampolicy.Attached, held policySet) []iampolicy.Attached {
	for _, name := range sorted(held.Inline) {
		to = c.attach(to, name, held.Inline[name])
	}
	for _, arn := range held.Attached {
		to = c.attach(to, arn, c.managedText(arn))
	}
	return to
}

// context is what conditions can test. Source: IAM User Guide, "AWS global
// condition context keys".
func (c *call) context(n *need, r *resource) iampolicy.Context {
	var x iampolicy.Context
	service := c.operation.Service.Name
	x.SetTime("aws:CurrentTime", c.now)
	x.SetInt("aws:EpochTime", c.now.Unix())
	x.SetBool("aws:SecureTransport", true)
	x.SetBool("aws:ViaAWSService", n.via != "")
	x.Set("aws:RequestedRegion", c.requestedRegion())
	if n.via == "" {
		x.Set("aws:SourceIp", cmp.Or(c.request.SourceIP, "127.0.0.1"))
	} else {
		x.Set("aws:CalledVia", n.via+".amazonaws.com")
		x.Set("aws:CalledViaFirst", n.via+".amazonaws.com")
		x.Set("aws:CalledViaLast", n.via+".amazonaws.com")
	}
	if c.request.UserAgent != "" {
		x.Set("aws:UserAgent", c.request.UserAgent)
	}
	c.sessionContext(&x)
	prefix, _, _ := strings.Cut(n.action, ":")
	for k, v := range r.tags {
		x.Set("aws:ResourceTag/"+k, v)
		x.Set(prefix+":ResourceTag/"+k, v)
	}
	keys := sorted(n.tags)
	for _, k := range keys {
		x.Set("aws:RequestTag/"+k, n.tags[k])
	}
	if len(keys) == 0 { // to take tags off names their keys only
		keys = slices.Concat(c.strings("TagKeys"), c.strings("tagKeys"))
	}
	if len(keys) > 0 {
		x.Set("aws:TagKeys", keys...)
	}
	for k, v := range c.me.tags {
		x.Set("aws:PrincipalTag/"+k, v)
	}
	if id, path := c.orgPath(c.who.Account); id != "" {
		x.Set("aws:PrincipalOrgID", id)
		x.Set("aws:PrincipalOrgPaths", path)
	}
	if id, path := c.orgPath(r.owner); id != "" && n.resource != "*" {
		x.Set("aws:ResourceOrgID", id)
		x.Set("aws:ResourceOrgPaths", path)
	}
	if a := accessOf(n.action); a.keys != nil {
		a.keys(c, n, x.Set)
	}
	if own := accesses[service]; own != nil && own.keys != nil && own != accessOf(n.action) {
		own.keys(c, n, x.Set)
	}
	for k, v := range n.keys {
		x.Set(k, v)
	}
	return x
}

// sessionContext sets what follows from how the caller signed in.
func (c *call) sessionContext(x *iampolicy.Context) {
	if c.who.Token == "" {
		return // of long-term keys AWS says nothing
	}
	x.SetTime("aws:TokenIssueTime", c.who.Issued)
	x.SetBool("aws:MultiFactorAuthPresent", c.who.MFA)
	if c.who.MFA {
		x.SetInt("aws:MultiFactorAuthAge", int64(c.now.Sub(c.who.Issued).Seconds()))
	}
	if c.who.SourceIdentity != "" {
		x.Set("aws:SourceIdentity", c.who.SourceIdentity)
	}
}

// requestedRegion is the Region of the endpoint: global services have one.
func (c *call) requestedRegion() string {
	switch c.operation.Service.Name {
	case "iam", "organizations":
		return c.globalRegion()
	}
	return c.region
}
