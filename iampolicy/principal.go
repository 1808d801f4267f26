package iampolicy

import "strings"

// PrincipalType is what a principal is, by the names of aws:PrincipalType and
// two of our own for those that the key doesn't name.
type PrincipalType string

// The types of principals.
const (
	Anonymous     PrincipalType = "Anonymous"     // signed by nobody
	Root          PrincipalType = "Account"       // an account's root user
	User          PrincipalType = "User"          // an IAM user
	AssumedRole   PrincipalType = "AssumedRole"   // a session of a role
	FederatedUser PrincipalType = "FederatedUser" // a session by GetFederationToken
	Service       PrincipalType = "Service"       // an AWS service itself
	Provided      PrincipalType = "Provided"      // someone whom an identity provider names, on the way to a role
)

// Principal is who makes a request. New… functions make those of each type; the
// zero Principal is anonymous.
type Principal struct {
	Type      PrincipalType // "": Anonymous
	ARN       string        // of the user, root user or session; "" for the others
	Account   string
	Role      string // of an AssumedRole: its role's ARN; of a FederatedUser: that of the user behind it
	ID        string // aws:userid, such as AROAEXAMPLE:session
	Name      string // of a User aws:username, of a Service and of Provided the name that policies have
	Canonical string // the account's canonical user id, which S3's policies may name
}

// NewUser is an IAM user, by its ARN.
func NewUser(userARN string) Principal {
	return Principal{Type: User, ARN: userARN, Account: split(userARN).parts[4], Name: lastPart(userARN)}
}

// NewSession is a session of a role, by the role's ARN, path included, and the
// session's name.
func NewSession(roleARN, name string) Principal {
	role := split(roleARN)
	session := "arn:" + role.parts[1] + ":sts::" + role.parts[4] + ":assumed-role/" + lastPart(roleARN) + "/" + name
	return Principal{Type: AssumedRole, ARN: session, Account: role.parts[4], Role: roleARN}
}

// NewFederatedUser is a session that a user got by GetFederationToken.
func NewFederatedUser(userARN, name string) Principal {
	user := split(userARN)
	session := "arn:" + user.parts[1] + ":sts::" + user.parts[4] + ":federated-user/" + name
	return Principal{Type: FederatedUser, ARN: session, Account: user.parts[4], Role: userARN}
}

// NewRoot is an account's root user, in the partition aws.
func NewRoot(account string) Principal {
	return Principal{Type: Root, ARN: "arn:aws:iam::" + account + ":root", Account: account, ID: account}
}

// NewService is an AWS service, such as cloudtrail.amazonaws.com.
func NewService(name string) Principal { return Principal{Type: Service, Name: name} }

// NewProvided is someone whom an identity provider names in a call such as
// AssumeRoleWithWebIdentity: graph.facebook.com, or the ARN of a provider.
func NewProvided(provider string) Principal { return Principal{Type: Provided, Name: provider} }

func lastPart(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// inAccount says whether the principal is one of an account, whose policies
// decide too.
func (p *Principal) inAccount() bool {
	switch p.Type {
	case Root, User, AssumedRole, FederatedUser:
		return true
	}
	return false
}

// serviceLinked says whether the principal is a session of a service-linked role,
// which no control policy of an organisation binds.
// Source: Organizations User Guide, "Service control policies" and "Resource
// control policies".
func (p *Principal) serviceLinked() bool {
	return p.Type == AssumedRole && strings.Contains(p.Role, ":role/aws-service-role/")
}

// reach is how a resource's policy names a principal, from least to most.
type reach uint8

const (
	unnamed   reach = iota
	byAccount       // its account, whose own policies must allow too
	byRole          // the role or user behind the session, whose boundary and session policy bind
	directly        // itself, or everyone: within the account nothing else is needed
)

// reach says how a Principal element names p. Source: IAM User Guide, "AWS JSON
// policy elements: Principal".
func (ps *Principals) reach(p *Principal) reach {
	if ps.Everyone {
		return directly
	}
	best := unnamed
	for _, name := range ps.AWS {
		best = max(best, p.named(name))
	}
	if p.Type == Service && lists(ps.Service, p.Name) || p.Type == Provided && lists(ps.Federated, p.Name) {
		best = directly
	}
	if p.Canonical != "" && p.inAccount() && lists(ps.CanonicalUser, p.Canonical) {
		best = max(best, p.account())
	}
	return best
}

// lists says whether a name, or "*", is in a list.
func lists(list []string, name string) bool {
	for _, n := range list {
		if n == name || n == "*" {
			return true
		}
	}
	return false
}

// account is the reach of the principal's account: a root user is its account.
func (p *Principal) account() reach {
	if p.Type == Root {
		return directly
	}
	return byAccount
}

// named is the reach of one name of the AWS list.
func (p *Principal) named(name string) reach {
	if name == "*" {
		return directly
	}
	if !p.inAccount() {
		return unnamed
	}
	switch id, _, _ := strings.Cut(p.ID, ":"); {
	case name == p.Account && name != "":
		return p.account()
	case name == p.ARN:
		return directly
	case name == p.Role && name != "":
		return byRole
	case name == id && id != "": // the unique id that AWS keeps in place of an ARN
		if p.Type == AssumedRole {
			return byRole
		}
		return directly
	}
	if a := split(name); a.ok && a.parts[2] == "iam" && a.parts[4] == p.Account && a.parts[5] == "root" {
		return p.account()
	}
	return unnamed
}

// names says how a statement of a resource's policy is about the principal. With
// NotPrincipal the unsure cases go against access: an Allow leaves out whoever is
// named in any way, and a Deny spares only one who is named itself, for naming the
// role doesn't spare its sessions.
// Source: IAM User Guide, "AWS JSON policy elements: NotPrincipal".
func (s *Statement) names(p *Principal) reach {
	switch {
	case s.Principal != nil:
		return s.Principal.reach(p)
	case s.NotPrincipal == nil:
		return unnamed
	}
	r := s.NotPrincipal.reach(p)
	if s.Effect == Deny && r != directly || r == unnamed {
		return directly
	}
	return unnamed
}

// values gives a key's values: those that the request's context has, else those
// that follow from who asks for what, for which room is the place.
// Source: IAM User Guide, "AWS global condition context keys".
func (e *evaluation) values(key string, room *[1]string) []string {
	if values := e.request.Context.Get(key); values != nil {
		return values
	}
	if room[0] = e.derived(key); room[0] == "" {
		return nil
	}
	return room[:]
}

func (e *evaluation) derived(key string) string {
	p := &e.request.Principal
	switch {
	case len(key) < 4 || !keyIs(key[:4], "aws:"):
	case keyIs(key, "aws:principalarn"):
		if p.Type == AssumedRole {
			return p.Role
		}
		return p.ARN
	case keyIs(key, "aws:principalaccount"):
		return p.Account
	case keyIs(key, "aws:principaltype"):
		if p.Type == "" {
			return string(Anonymous)
		}
		if p.Type != Service && p.Type != Provided {
			return string(p.Type)
		}
	case keyIs(key, "aws:userid"):
		return p.ID
	case keyIs(key, "aws:username"):
		if p.Type == User {
			return p.Name
		}
	case keyIs(key, "aws:principalisawsservice"):
		if p.Type == Service {
			return "true"
		}
		return "false"
	case keyIs(key, "aws:principalservicename"):
		if p.Type == Service {
			return p.Name
		}
	case keyIs(key, "aws:resourceaccount"):
		return e.request.owner()
	}
	return ""
}
