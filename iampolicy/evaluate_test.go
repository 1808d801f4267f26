package iampolicy_test

import (
	"strings"
	"testing"

	"github.com/knowngood/knowngood/iampolicy"
)

// named parses a policy's statements and gives them a name.
func named(t testing.TB, name, statements string) iampolicy.Attached {
	t.Helper()
	return iampolicy.Attached{Name: name, Policy: parse(t, `{"Version":"2012-10-17","Statement":[`+statements+`]}`, iampolicy.AnyKind)}
}

const (
	allowGet = `{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}`
	allowAll = `{"Effect":"Allow","Action":"*","Resource":"*"}`
	allowPut = `{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"}`
	denyGet  = `{"Sid":"NoGet","Effect":"Deny","Action":"s3:Get*","Resource":"*"}`
	session  = "arn:aws:sts::111122223333:assumed-role/dev/ada"
)

// grantTo is a bucket policy's statement for a principal.
func grantTo(principal string) string {
	return `{"Effect":"Allow","Principal":` + principal + `,"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}`
}

func aws(name string) string { return `{"AWS":"` + name + `"}` }

// The cases are those of AWS's pages on policy evaluation: within a single account
// (and there the table of how resource-based policies and implicit denies meet),
// across accounts, and by SCPs and RCPs.
func TestEvaluate(t *testing.T) {
	user, role := iampolicy.NewUser(ada), iampolicy.NewSession(dev, "ada")
	federated := iampolicy.NewFederatedUser(ada, "fay")
	root := iampolicy.NewRoot("111122223333")
	linked := iampolicy.NewSession("arn:aws:iam::111122223333:role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig", "s")
	type policies struct {
		scps, rcps                            [][]string // by level, the statements of each policy
		identity, boundary, session, resource string     // statements
		must                                  bool
	}
	const other = "444455556666"
	for _, c := range []struct {
		name string
		who  iampolicy.Principal
		own  string // the resource's account; "": the principal's
		in   policies
		want string // as Decision.String, the first line's word and the rest joined by "; "
	}{
		{"nothing at all", user, "", policies{}, "denied; no identity-based policy allows it"},
		{"identity", user, "", policies{identity: allowGet}, `allowed; identity-based policy "identity", statement 1`},
		{"explicit deny wins", user, "", policies{identity: allowGet + "," + denyGet, resource: grantTo(`"*"`)},
			`denied; identity-based policy "identity", statement 2 (NoGet)`},
		{"every reason", user, "", policies{identity: denyGet, boundary: allowPut, scps: [][]string{{allowAll}, {allowPut, denyGet}}},
			`denied; service control policy "scp" at level 1, statement 1 (NoGet); identity-based policy "identity", statement 1 (NoGet); ` +
				`no service control policy at level 1 allows it; no identity-based policy allows it; no permissions boundary allows it`},

		// Boundary and session policies narrow.
		{"boundary lacks it", user, "", policies{identity: allowAll, boundary: allowPut}, "denied; no permissions boundary allows it"},
		{"boundary alone grants nothing", user, "", policies{boundary: allowAll}, "denied; no identity-based policy allows it"},
		{"session policy lacks it", role, "", policies{identity: allowAll, session: allowPut}, "denied; no session policy allows it"},
		{"session policy alone grants nothing", role, "", policies{session: allowAll}, "denied; no identity-based policy allows it"},
		{"both have it", role, "", policies{identity: allowAll, session: allowGet}, `allowed; identity-based policy "identity", statement 1; session policy "session", statement 1`},
		{"a federated user without session policy has nothing", federated, "", policies{identity: allowAll}, "denied; no session policy allows it"},
		{"a federated user with one", federated, "", policies{identity: allowAll, session: allowGet}, "allowed"},

		// Within the account a resource's policy may grant, and how far depends on whom it names.
		{"user named", user, "", policies{resource: grantTo(aws(ada)), boundary: allowPut}, `allowed; resource-based policy "resource", statement 1`},
		{"everyone named", role, "", policies{resource: grantTo(`"*"`), boundary: allowPut, session: allowPut}, "allowed"},
		{"everyone in the AWS list", role, "", policies{resource: grantTo(aws("*")), session: allowPut}, "allowed"},
		{"session named", role, "", policies{resource: grantTo(aws(session)), boundary: allowPut, session: allowPut}, "allowed"},
		{"role named", role, "", policies{resource: grantTo(aws(dev))}, "allowed"},
		{"role named, boundary lacks it", role, "", policies{resource: grantTo(aws(dev)), boundary: allowPut}, "denied; no permissions boundary allows it"},
		{"role named, session policy lacks it", role, "", policies{resource: grantTo(aws(dev)), session: allowPut}, "denied; no session policy allows it"},
		{"federated user named", federated, "", policies{resource: grantTo(aws("arn:aws:sts::111122223333:federated-user/fay"))}, "allowed"},
		{"the user behind the federated user named", federated, "", policies{resource: grantTo(aws(ada)), session: allowPut}, "denied; no session policy allows it"},
		{"account named leaves it to the account", user, "", policies{resource: grantTo(aws("111122223333"))}, "denied; no identity-based policy allows it"},
		{"account named, identity allows", user, "", policies{resource: grantTo(aws("arn:aws:iam::111122223333:root")), identity: allowGet}, "allowed"},
		{"another role of that name", role, "", policies{resource: grantTo(aws("arn:aws:iam::111122223333:role/dev"))}, "denied; no identity-based policy allows it"},
		{"denied by its account's name", user, "", policies{identity: allowAll, resource: `{"Effect":"Deny","Principal":` + aws("111122223333") + `,"Action":"*","Resource":"*"}`},
			`denied; resource-based policy "resource", statement 1`},

		{"named directly, then by account", user, "", policies{resource: grantTo(aws(ada)) + "," + grantTo(aws("111122223333"))}, "allowed"},

		// Policies of keys and roles must allow by themselves.
		{"a key's policy must allow", user, "", policies{must: true, identity: allowAll, resource: grantTo(aws(other))}, "denied; no resource-based policy allows it"},
		{"a key's policy names another's root user", user, "", policies{must: true, identity: allowAll, resource: grantTo(aws("arn:aws:iam::" + other + ":root"))}, "denied; no resource-based policy allows it"},
		{"a key's policy names what is no account", user, "", policies{must: true, identity: allowAll, resource: grantTo(aws("arn:aws:s3::111122223333:root"))}, "denied; no resource-based policy allows it"},
		{"a key's policy names the account", user, "", policies{must: true, identity: allowAll, resource: grantTo(aws("111122223333"))}, "allowed"},
		{"a key's policy names the user", user, "", policies{must: true, resource: grantTo(aws(ada))}, "allowed"},

		// Root.
		{"root needs no policy", root, "", policies{}, "allowed"},
		{"root under an SCP", root, "", policies{scps: [][]string{{allowPut}}}, "denied; no service control policy at level 0 allows it"},
		{"root denied by the resource", root, "", policies{resource: `{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}`}, `denied; resource-based policy "resource", statement 1`},
		{"root of another account", root, other, policies{}, "denied; no resource-based policy allows it"},
		{"root of another account, named", root, other, policies{resource: grantTo(aws("111122223333"))}, "allowed"},

		// Across accounts both sides must allow.
		{"across: identity only", user, other, policies{identity: allowAll}, "denied; no resource-based policy allows it"},
		{"across: resource only", user, other, policies{resource: grantTo(aws(ada))}, "denied; no identity-based policy allows it"},
		{"across: everyone, resource only", user, other, policies{resource: grantTo(`"*"`)}, "denied; no identity-based policy allows it"},
		{"across: both", user, other, policies{identity: allowGet, resource: grantTo(aws("111122223333"))}, "allowed"},
		{"across: the session is named, the boundary binds still", role, other, policies{identity: allowGet, resource: grantTo(aws(session)), boundary: allowPut},
			"denied; no permissions boundary allows it"},
		{"across: neither", user, other, policies{}, "denied; no resource-based policy allows it; no identity-based policy allows it"},

		// Control policies.
		{"SCP: each level must allow", user, "", policies{identity: allowAll, scps: [][]string{{allowAll}, {allowPut}, {allowAll}}}, "denied; no service control policy at level 1 allows it"},
		{"SCP: one policy of a level is enough", user, "", policies{identity: allowAll, scps: [][]string{{allowAll}, {allowPut, allowGet}}}, "allowed"},
		{"SCP: a level without policies", user, "", policies{identity: allowAll, scps: [][]string{{allowAll}, {}}}, "denied; no service control policy at level 1 allows it"},
		{"SCP: grants nothing", user, "", policies{scps: [][]string{{allowAll}}}, "denied; no identity-based policy allows it"},
		{"SCP: binds a grant by the resource", user, "", policies{scps: [][]string{{allowPut}}, resource: grantTo(aws(ada))}, "denied; no service control policy at level 0 allows it"},
		{"SCP: not for service-linked roles", linked, "", policies{identity: allowAll, scps: [][]string{{allowPut, denyGet}}}, "allowed"},
		{"SCP: not for services", iampolicy.NewService("config.amazonaws.com"), other, policies{resource: grantTo(`{"Service":"config.amazonaws.com"}`), scps: [][]string{{denyGet}}}, "allowed"},
		{"RCP: binds services too", iampolicy.NewService("config.amazonaws.com"), other,
			policies{resource: grantTo(`{"Service":"config.amazonaws.com"}`), rcps: [][]string{{`{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*"}`}}},
			`denied; resource control policy "rcp" at level 0, statement 1; no resource control policy at level 0 allows it`},
		{"RCP: binds callers from outside", user, other, policies{identity: allowAll, resource: grantTo(`"*"`), rcps: [][]string{{
			`{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}`,
			`{"Sid":"Org","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*","Condition":{"StringNotEqualsIfExists":{"aws:PrincipalOrgID":"o-1"},"BoolIfExists":{"aws:PrincipalIsAWSService":"false"}}}`}}},
			`denied; resource control policy "rcp" at level 0, statement 1 (Org)`},
		{"RCP: is for whom it names", user, "", policies{identity: allowAll, rcps: [][]string{{`{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},{"Effect":"Deny","Principal":` + aws(other) + `,"Action":"*","Resource":"*"}`}}}, "allowed"},
		{"RCP: not for service-linked roles", linked, "", policies{identity: allowAll, rcps: [][]string{{`{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}`}}}, "allowed"},

		// Those of no account.
		{"anonymous", iampolicy.Principal{}, other, policies{resource: grantTo(`"*"`)}, "allowed"},
		{"anonymous, not named", iampolicy.Principal{}, other, policies{resource: grantTo(aws("111122223333")), identity: allowAll}, "denied; no resource-based policy allows it"},
		{"another service", iampolicy.NewService("ec2.amazonaws.com"), other, policies{resource: grantTo(`{"Service":"config.amazonaws.com"}`)}, "denied; no resource-based policy allows it"},
		{"an identity provider's user", iampolicy.NewProvided("graph.facebook.com"), other, policies{resource: grantTo(`{"Federated":"graph.facebook.com"}`)}, "allowed"},

		// NotPrincipal.
		{"NotPrincipal spares whom it names", user, other, policies{identity: allowAll, resource: grantTo(`"*"`) + `,{"Effect":"Deny","NotPrincipal":{"AWS":["` + ada + `","111122223333"]},"Action":"*","Resource":"*"}`}, "allowed"},
		{"NotPrincipal denies the others", iampolicy.NewUser(ada + "2"), other, policies{identity: allowAll, resource: grantTo(`"*"`) + `,{"Effect":"Deny","NotPrincipal":` + aws(ada) + `,"Action":"*","Resource":"*"}`},
			`denied; resource-based policy "resource", statement 2`},
		{"NotPrincipal with a role doesn't spare its sessions", role, other, policies{identity: allowAll, resource: grantTo(`"*"`) + `,{"Effect":"Deny","NotPrincipal":` + aws(dev) + `,"Action":"*","Resource":"*"}`},
			`denied; resource-based policy "resource", statement 2`},
		{"NotPrincipal with an account spares its root user", root, other, policies{resource: grantTo(`"*"`) + `,{"Effect":"Deny","NotPrincipal":` + aws("111122223333") + `,"Action":"*","Resource":"*"}`}, "allowed"},
		{"NotPrincipal that allows leaves out the account", user, other, policies{identity: allowAll, resource: `{"Effect":"Allow","NotPrincipal":` + aws("111122223333") + `,"Action":"*","Resource":"*"}`},
			"denied; no resource-based policy allows it"},
		{"NotPrincipal that allows has all others", user, other, policies{identity: allowAll, resource: `{"Effect":"Allow","NotPrincipal":` + aws(other) + `,"Action":"*","Resource":"*"}`}, "allowed"},

		// Not forms, and elements that are not there.
		{"NotAction", user, "", policies{identity: `{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`}, "allowed"},
		{"NotAction that has it", user, "", policies{identity: `{"Effect":"Allow","NotAction":"s3:Get*","Resource":"*"}`}, "denied; no identity-based policy allows it"},
		{"NotResource", user, "", policies{identity: `{"Effect":"Allow","Action":"*","NotResource":"arn:aws:s3:::secret/*"}`}, "allowed"},
		{"NotResource that has it", user, "", policies{identity: `{"Effect":"Allow","Action":"*","NotResource":"arn:aws:s3:::b/*"}`}, "denied; no identity-based policy allows it"},
		{"no action at all", user, "", policies{identity: `{"Effect":"Allow","Action":[],"Resource":"*"}`}, "denied; no identity-based policy allows it"},
		{"a resource's policy may leave out which", user, "", policies{resource: `{"Effect":"Allow","Principal":"*","Action":"s3:*"}`}, "allowed"},
		{"an identity's policy may not", user, "", policies{identity: `{"Effect":"Allow","Action":"s3:*"}`}, "denied; no identity-based policy allows it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := iampolicy.Policies{ResourceMustAllow: c.in.must}
			levels := func(name string, levels [][]string) [][]iampolicy.Attached {
				var out [][]iampolicy.Attached
				for _, level := range levels {
					policies := []iampolicy.Attached{}
					for _, statements := range level {
						policies = append(policies, named(t, name, statements))
					}
					out = append(out, policies)
				}
				return out
			}
			in.SCPs, in.RCPs = levels("scp", c.in.scps), levels("rcp", c.in.rcps)
			if c.in.identity != "" {
				in.Identity = []iampolicy.Attached{named(t, "identity", c.in.identity)}
			}
			if c.in.session != "" {
				in.Session = []iampolicy.Attached{named(t, "session", c.in.session)}
			}
			if c.in.boundary != "" {
				at := named(t, "boundary", c.in.boundary)
				in.Boundary = &at
			}
			if c.in.resource != "" {
				at := named(t, "resource", c.in.resource)
				in.Resource = &at
			}
			d := iampolicy.Evaluate(&iampolicy.Request{Principal: c.who, Action: "s3:getobject", Resource: "arn:aws:s3:::b/x", Owner: c.own}, &in)
			got := strings.NewReplacer("\n  by ", "; ", "\n  for ", "; ").Replace(d.String())
			if c.want == "allowed" && d.Allowed {
				got = "allowed" // by what is told where it matters
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestTrustPolicy(t *testing.T) {
	trust := func(principal, condition string) *iampolicy.Policy {
		return parse(t, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":`+principal+`,"Action":"sts:AssumeRole","Condition":{`+condition+`}}}`, iampolicy.Trust)
	}
	assume := func(p *iampolicy.Policy, who iampolicy.Principal, externalID string, identity ...iampolicy.Attached) bool {
		r := iampolicy.Request{Principal: who, Action: "sts:AssumeRole", Resource: dev}
		if externalID != "" {
			r.Context.Set("sts:ExternalId", externalID)
		}
		return iampolicy.Evaluate(&r, &iampolicy.Policies{Identity: identity, Resource: &iampolicy.Attached{Policy: p}, ResourceMustAllow: true}).Allowed
	}
	partner := iampolicy.NewUser("arn:aws:iam::444455556666:user/bo")
	all := named(t, "all", allowAll)
	p := trust(aws("444455556666"), `"StringEquals":{"sts:ExternalId":"42"}`)
	for name, c := range map[string]struct{ got, want bool }{
		"with the external id":    {assume(p, partner, "42", all), true},
		"without it":              {assume(p, partner, "", all), false},
		"with another":            {assume(p, partner, "43", all), false},
		"without identity policy": {assume(p, partner, "42"), false},
		"from elsewhere":          {assume(p, iampolicy.NewUser(ada), "42", all), false},
		"a service":               {assume(trust(`{"Service":"ec2.amazonaws.com"}`, ``), iampolicy.NewService("ec2.amazonaws.com"), ""), true},
		"named in the account":    {assume(trust(aws(ada), ``), iampolicy.NewUser(ada), ""), true},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
}

func TestUniqueIDsNameAPrincipal(t *testing.T) {
	user, role := iampolicy.NewUser(ada), iampolicy.NewSession(dev, "ada")
	user.ID, role.ID = "AIDAEXAMPLE", "AROAEXAMPLE:ada"
	for _, who := range []iampolicy.Principal{user, role} {
		id, _, _ := strings.Cut(who.ID, ":")
		for name, want := range map[string]bool{id: true, "AIDAOTHER": false} {
			at := named(t, "", grantTo(aws(name)))
			d := iampolicy.Evaluate(&iampolicy.Request{Principal: who, Action: "s3:GetObject", Resource: "arn:aws:s3:::b/x"}, &iampolicy.Policies{Resource: &at})
			if d.Allowed != want {
				t.Errorf("%s by %s: %v, want %v", who.ID, name, d.Allowed, want)
			}
		}
	}
	// The id of a role is the role, not the session.
	at := named(t, "", grantTo(aws("AROAEXAMPLE")))
	in := iampolicy.Policies{Resource: &at, Session: []iampolicy.Attached{named(t, "", allowPut)}}
	if iampolicy.Evaluate(&iampolicy.Request{Principal: role, Action: "s3:GetObject", Resource: "arn:aws:s3:::b/x"}, &in).Allowed {
		t.Error("a role's id reaches past the session policy")
	}
}

func TestCanonicalUserIDNamesAnAccount(t *testing.T) {
	user := iampolicy.NewUser(ada)
	user.Canonical = "79a59df9"
	at := named(t, "", grantTo(`{"CanonicalUser":"79a59df9"}`))
	in := iampolicy.Policies{Resource: &at, Identity: []iampolicy.Attached{named(t, "", allowGet)}}
	if !iampolicy.Evaluate(&iampolicy.Request{Principal: user, Action: "s3:GetObject", Resource: "arn:aws:s3:::b/x", Owner: "444455556666"}, &in).Allowed {
		t.Error("a canonical user id doesn't name its account")
	}
}

func TestMessageIsInAWSsWords(t *testing.T) {
	r := iampolicy.Request{Principal: iampolicy.NewUser(ada), Action: "s3:GetObject", Resource: "arn:aws:s3:::b/x"}
	head := "User: " + ada + " is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::b/x "
	scp := [][]iampolicy.Attached{{named(t, "", denyGet)}}
	for _, c := range []struct {
		in   iampolicy.Policies
		want string
	}{
		{iampolicy.Policies{}, head + "because no identity-based policy allows the s3:GetObject action"},
		{iampolicy.Policies{SCPs: scp}, head + "with an explicit deny in a service control policy"},
		{iampolicy.Policies{Identity: []iampolicy.Attached{named(t, "", denyGet)}}, head + "with an explicit deny in an identity-based policy"},
		{iampolicy.Policies{Identity: []iampolicy.Attached{named(t, "", allowGet)}}, ""},
	} {
		if got := iampolicy.Evaluate(&r, &c.in).Message(&r); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestStatementWithoutActionsOrTestsAppliesToNothing(t *testing.T) {
	for name, s := range map[string]iampolicy.Statement{
		"no action":  {Effect: iampolicy.Allow, Resources: []string{"*"}},
		"no effect":  {Actions: []string{"*"}, Resources: []string{"*"}},
		"no test":    {Effect: iampolicy.Allow, Actions: []string{"*"}, Resources: []string{"*"}, Conditions: []iampolicy.Condition{{Key: "aws:username", Values: []string{"ada"}}}},
		"no element": {},
	} {
		p := &iampolicy.Policy{Statements: []iampolicy.Statement{s}}
		d := iampolicy.Evaluate(&iampolicy.Request{Principal: iampolicy.NewUser(ada), Action: "s3:GetObject", Resource: "*"},
			&iampolicy.Policies{Identity: []iampolicy.Attached{{Policy: p}, {}}})
		if d.Allowed {
			t.Errorf("%s: %s", name, d)
		}
	}
}
