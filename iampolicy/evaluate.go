package iampolicy

// Request is what is to be allowed or not: who does what to which resource.
type Request struct {
	Principal Principal
	Action    string // s3:GetObject
	Resource  string // an ARN, or "*" for an action that is on no one resource
	// Owner is the account that the resource belongs to. Empty, it is the one in
	// the resource's ARN; and where that has none, as S3's have, the principal's.
	Owner string
	// Context has the keys of the request. Those on the principal (aws:PrincipalArn,
	// aws:PrincipalAccount, aws:PrincipalType, aws:userid, aws:username,
	// aws:PrincipalIsAWSService, aws:PrincipalServiceName) and aws:ResourceAccount
	// follow from the rest, unless they are set here.
	Context Context
}

// owner is the account that the resource belongs to.
func (r *Request) owner() string {
	if r.Owner != "" {
		return r.Owner
	}
	if account := split(r.Resource).parts[4]; account != "" {
		return account
	}
	return r.Principal.Account
}

// Attached is a policy with the name that decisions call it by.
type Attached struct {
	Name   string
	Policy *Policy
}

// Policies are all policies that a request is under.
type Policies struct {
	// SCPs and RCPs are those of the principal's and of the resource's account,
	// for each level from the organisation's root to the account the policies
	// attached there; each level must allow. Nil: the account is in no
	// organisation, or is its management account, or that kind is not enabled.
	SCPs, RCPs [][]Attached
	// Identity are those of the user and its groups, or of the role.
	Identity []Attached
	// Boundary is the permissions boundary of the user or role; nil: it has none.
	Boundary *Attached
	// Session are those that were given when the session was made.
	Session []Attached
	// Resource is the resource's own, such as a bucket's or a role's trust policy.
	Resource *Attached
	// ResourceMustAllow says that the resource's own policy must name the principal
	// or its account even within the account, as those of KMS keys and roles must.
	ResourceMustAllow bool
}

// Layer is a kind of policy in an evaluation.
type Layer uint8

// The layers, in the order in which AWS evaluates them.
const (
	LayerRCP Layer = iota + 1
	LayerSCP
	LayerResource
	LayerIdentity
	LayerBoundary
	LayerSession
)

// Match is a statement that applies to the request.
type Match struct {
	Layer     Layer
	Level     int    // of an SCP or RCP: from 0, the organisation's root
	Policy    string // the name that it is attached by
	Index     int    // of the statement, from 0
	Statement *Statement
}

// Gap is where a statement that allows is needed and there is none.
type Gap struct {
	Layer Layer
	Level int // of an SCP or RCP: from 0, the organisation's root
}

// Decision is whether a request is allowed, and why: all that had a part in it,
// not just what came first.
type Decision struct {
	Allowed bool
	Denials []Match // statements that deny; any of them is enough
	Missing []Gap   // what would have to allow, and doesn't; any of them is enough
	Allows  []Match // statements that allow, whatever the decision
}

// evaluation is one request under way. It is on the stack of Evaluate.
type evaluation struct {
	request  *Request
	resource arn
	decision Decision
}

// Evaluate decides a request as AWS does. Sources: IAM User Guide, "How AWS
// enforcement code logic evaluates requests to allow or deny access", "Policy
// evaluation for requests within a single account" and "Cross-account policy
// evaluation logic"; Organizations User Guide, "SCP evaluation" and "RCP
// evaluation".
//
// Any statement that denies decides. Else each level of the control policies must
// allow, and then:
//
//   - Within an account either side may allow. A resource's policy that names the
//     principal itself, or everyone, is enough, whatever a boundary or a session
//     policy lacks; one that names the role or user behind a session does what an
//     identity-based policy does, under boundary and session policy; one that names
//     the account leaves it to the account's policies.
//   - Across accounts both sides must allow, the principal's under boundary and
//     session policy.
//   - For services, identity providers' users and anonymous requests the resource's
//     policy alone decides. A root user needs no identity-based policy.
func Evaluate(r *Request, in *Policies) Decision {
	e := evaluation{request: r, resource: split(r.Resource)}
	p := &r.Principal
	if !p.serviceLinked() {
		e.levels(LayerRCP, in.RCPs)
		if p.inAccount() {
			e.levels(LayerSCP, in.SCPs)
		}
	}
	named := unnamed
	if in.Resource != nil {
		named = e.policy(LayerResource, 0, in.Resource)
	}
	if !p.inAccount() {
		e.need(LayerResource, named != unnamed)
		return e.decided()
	}
	identity := e.all(LayerIdentity, 0, in.Identity) || p.Type == Root
	boundary := in.Boundary == nil || e.policy(LayerBoundary, 0, in.Boundary) != unnamed
	session := e.all(LayerSession, 0, in.Session)
	if len(in.Session) == 0 {
		// A federated user has only what a session policy gives it.
		session = p.Type != FederatedUser
	}
	switch {
	case r.owner() != p.Account:
		e.need(LayerResource, named != unnamed)
	case named == directly:
		return e.decided()
	case named == byRole:
		identity = true
	case in.ResourceMustAllow:
		e.need(LayerResource, named != unnamed)
	}
	e.need(LayerIdentity, identity)
	e.need(LayerBoundary, boundary)
	e.need(LayerSession, session)
	return e.decided()
}

func (e *evaluation) decided() Decision {
	e.decision.Allowed = len(e.decision.Denials) == 0 && len(e.decision.Missing) == 0
	return e.decision
}

func (e *evaluation) need(layer Layer, allowed bool) {
	if !allowed {
		e.decision.Missing = append(e.decision.Missing, Gap{Layer: layer})
	}
}

// levels evaluates control policies, of which each level must allow.
func (e *evaluation) levels(layer Layer, levels [][]Attached) {
	for level, policies := range levels {
		if !e.all(layer, level, policies) {
			e.decision.Missing = append(e.decision.Missing, Gap{Layer: layer, Level: level})
		}
	}
}

// all evaluates policies of which one must allow.
func (e *evaluation) all(layer Layer, level int, policies []Attached) bool {
	allowed := false
	for i := range policies {
		if e.policy(layer, level, &policies[i]) != unnamed {
			allowed = true
		}
	}
	return allowed
}

// policy notes the statements that apply, and gives the furthest reach of those
// that allow.
func (e *evaluation) policy(layer Layer, level int, at *Attached) reach {
	best := unnamed
	if at.Policy == nil {
		return best
	}
	variables := at.Policy.variables()
	for i := range at.Policy.Statements {
		s := &at.Policy.Statements[i]
		r := directly
		if layer == LayerResource || layer == LayerRCP {
			r = s.names(&e.request.Principal)
		}
		if r == unnamed || !e.applies(s, layer, variables) {
			continue
		}
		m := Match{Layer: layer, Level: level, Policy: at.Name, Index: i, Statement: s}
		if s.Effect == Deny {
			e.decision.Denials = append(e.decision.Denials, m)
		} else if s.Effect == Allow {
			e.decision.Allows = append(e.decision.Allows, m)
			best = max(best, r)
		}
	}
	return best
}

// applies says whether a statement is about the request's action and resource,
// and its conditions hold.
func (e *evaluation) applies(s *Statement, layer Layer, variables bool) bool {
	if !s.hasAction(e.request.Action) || !e.hasResource(s, layer, variables) {
		return false
	}
	for i := range s.Conditions {
		if !e.holds(&s.Conditions[i], variables) {
			return false
		}
	}
	return true
}

func (s *Statement) hasAction(action string) bool {
	if s.Actions == nil {
		return s.NotActions != nil && !matchesAction(s.NotActions, action)
	}
	return matchesAction(s.Actions, action)
}

func matchesAction(patterns []string, action string) bool {
	for _, p := range patterns {
		if MatchAction(p, action) {
			return true
		}
	}
	return false
}

// hasResource: the policy of a resource may leave out which, for it is on that
// one.
func (e *evaluation) hasResource(s *Statement, layer Layer, variables bool) bool {
	switch {
	case s.Resources != nil:
		return e.matchesResource(s.Resources, variables)
	case s.NotResources != nil:
		return !e.matchesResource(s.NotResources, variables)
	}
	return layer == LayerResource
}

func (e *evaluation) matchesResource(patterns []string, variables bool) bool {
	for _, p := range patterns {
		if matchARN(p, e.resource, func(part, text string) bool {
			pattern, wild, ok := e.pattern(part, variables)
			return ok && wild.matches(pattern, text, false)
		}) {
			return true
		}
	}
	return false
}
