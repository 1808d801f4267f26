package iampolicy

import (
	"fmt"
	"slices"
	"strings"
)

// Definition is whose meaning of "public" is asked for.
type Definition uint8

const (
	// BlockPublicAccess is the meaning of Amazon S3: a statement is public that
	// allows everyone, unless a condition holds it to fixed values, without
	// wildcards or variables, of a key that somebody owns. Statements that deny
	// don't count. It is for a bucket's policy: an access point's is public also
	// where only s3:DataAccessPointArn holds it. Source: Amazon S3 User Guide,
	// "Blocking public access to your Amazon S3 storage", under "The meaning of
	// public".
	BlockPublicAccess Definition = iota
	// AccessAnalyzer is the meaning that IAM Access Analyzer's findings go by: an
	// ARN may have wildcards where its account is fixed, an identity provider's
	// users are not everyone where a condition holds them to one application or
	// subject, kms:CallerAccount counts, and statements that deny everyone else
	// count as conditions. It is our reading, for AWS publishes what is found, not
	// how. Source: IAM User Guide, "IAM Access Analyzer resource types" and "Public
	// and cross-account access".
	AccessAnalyzer
)

// boundKind is what the values of a key must be like to bound who may call.
type boundKind uint8

const (
	boundFixed       boundKind = iota + 1 // any text without wildcards
	boundAccount                          // an account
	boundARN                              // an ARN, and by it an account
	boundAccessPoint                      // an ARN of which only the account must be fixed
	boundOrg                              // an organisation
	boundOrgPath                          // a path that begins with an organisation
	boundIP                               // CIDR blocks that are not too wide
	boundUserID                           // a unique id
)

// bounding are the keys by which a condition bounds who may call. The first part
// is S3's list; S3's "AWS principal" are those that name one.
var bounding = map[string]boundKind{
	"aws:sourcearn":             boundARN,
	"aws:sourceaccount":         boundAccount,
	"aws:sourceowner":           boundAccount,
	"aws:sourcevpc":             boundFixed,
	"aws:sourcevpce":            boundFixed,
	"aws:sourceip":              boundIP,
	"aws:userid":                boundUserID,
	"aws:principalorgid":        boundOrg,
	"s3:dataaccesspointarn":     boundAccessPoint,
	"s3:dataaccesspointaccount": boundAccount,
	"s3:x-amz-server-side-encryption-aws-kms-key-id": boundFixed,

	"aws:principalarn":         boundARN,
	"aws:principalaccount":     boundAccount,
	"aws:principalorgpaths":    boundOrgPath,
	"aws:principalservicename": boundFixed,
	"aws:sourceorgid":          boundOrg,
	"aws:sourceorgpaths":       boundOrgPath,
}

// boundKindOf is the kind of a key, in lower case, under a definition.
func (d Definition) boundKindOf(key string) boundKind {
	if d == AccessAnalyzer && key == "kms:calleraccount" {
		return boundAccount
	}
	return bounding[key]
}

// Bound is what a condition holds the callers of a statement to.
type Bound struct {
	Key    string
	Values []string
}

// Grant is what one statement allows to one principal from outside.
type Grant struct {
	Index     int        // of the statement, from 0
	Statement *Statement // the statement itself
	Principal string     // as the policy has it; "*" for everyone, also by NotPrincipal
	Account   string     // whose the principal is, if the policy says so
	Public    bool       // it is for everyone, and nothing bounds who that is
	Bounds    []Bound    // what conditions hold the callers to
}

// String says who gets what, on one line.
func (g Grant) String() string {
	s := fmt.Sprintf("statement %d", g.Index+1)
	if g.Statement != nil && g.Statement.Sid != "" {
		s += " (" + g.Statement.Sid + ")"
	}
	if g.Public {
		return s + " allows " + g.Principal + ", bounded by nothing"
	}
	s += " allows " + g.Principal
	for i, b := range g.Bounds {
		s += []string{" bounded by ", ", "}[min(i, 1)] + b.Key + " " + strings.Join(b.Values, " or ")
	}
	return s
}

// IsPublic says whether a resource's policy allows something to everyone.
func (p *Policy) IsPublic(d Definition) bool { return len(p.PublicGrants(d)) > 0 }

// PublicGrants are the statements of a resource's policy that allow something to
// everyone, with the principal by which each does.
func (p *Policy) PublicGrants(d Definition) []Grant {
	var out []Grant
	for _, g := range p.grants(d) {
		if g.Public {
			out = append(out, g)
		}
	}
	return out
}

// grants are all that the policy's statements allow, statement by statement and
// principal by principal.
func (p *Policy) grants(d Definition) []Grant {
	var out []Grant
	for i := range p.Statements {
		s := &p.Statements[i]
		if s.Effect != Allow || grantsNothing(s) || d == AccessAnalyzer && p.takenBack(s) {
			continue
		}
		bounds := d.bounds(s.Conditions)
		if d == AccessAnalyzer {
			bounds = append(bounds, p.boundsByDenial(s)...)
		}
		add := func(principal, account string, everyone bool) {
			out = append(out, Grant{Index: i, Statement: s, Principal: principal, Account: account, Public: everyone && len(bounds) == 0, Bounds: bounds})
		}
		if s.NotPrincipal != nil {
			add("*", "", true)
		}
		if s.Principal != nil {
			d.principals(s, add)
		}
	}
	return out
}

// grantsNothing: a list that is there and empty names nothing.
func grantsNothing(s *Statement) bool {
	return s.Actions != nil && len(s.Actions) == 0 || s.Resources != nil && len(s.Resources) == 0 || s.Actions == nil && s.NotActions == nil
}

func (d Definition) principals(s *Statement, add func(principal, account string, everyone bool)) {
	ps := s.Principal
	if ps.Everyone {
		add("*", "", true)
	}
	for _, name := range ps.AWS {
		add(name, accountOf(name), strings.ContainsAny(name, "*?"))
	}
	for _, name := range ps.Service {
		add(name, "", strings.ContainsAny(name, "*?"))
	}
	for _, name := range ps.Federated {
		// A provider that an account set up has an ARN; the others are for all
		// the world, unless a condition names the application or the subject.
		everyone := !split(name).ok || strings.ContainsAny(name, "*?")
		add(name, accountOf(name), everyone && !(d == AccessAnalyzer && holdsToApplication(s.Conditions, name)))
	}
	for _, id := range ps.CanonicalUser {
		add(id, "", strings.ContainsAny(id, "*?"))
	}
}

// accountOf is the account of a principal's ARN, or the account id that it is.
func accountOf(name string) string {
	if a := split(name); a.ok {
		return a.parts[4]
	}
	if isAccount(name) {
		return name
	}
	return ""
}

func isAccount(s string) bool { return len(s) == 12 && strings.Trim(s, "0123456789") == "" }

// holdsToApplication looks for a fixed audience, application or subject of a
// provider. Source: IAM User Guide, "IAM and AWS STS condition context keys".
func holdsToApplication(conditions []Condition, provider string) bool {
	for i := range conditions {
		c := &conditions[i]
		for _, key := range []string{":aud", ":app_id", ":sub", ":user_id"} {
			if keyIs(c.Key, strings.ToLower(provider)+key) && bindsTo(c, isFixed) {
				return true
			}
		}
	}
	return false
}

// bounds are the conditions that hold the callers to something.
func (d Definition) bounds(conditions []Condition) []Bound {
	var out []Bound
	for i := range conditions {
		c := &conditions[i]
		kind := d.boundKindOf(strings.ToLower(c.Key))
		if kind != 0 && bindsTo(c, func(v string) bool { return d.isBound(kind, c.Operator, v) }) {
			out = append(out, Bound{Key: c.Key, Values: c.Values})
		}
	}
	return out
}

// bindsTo says whether a condition holds only where the key is there and has one
// of the values, each of which is narrow enough.
func bindsTo(c *Condition, narrow func(value string) bool) bool {
	if c.Operator.IfExists || c.Operator.Set == ForAllValues || c.Operator.negated() {
		return false
	}
	switch tests[c.Operator.Test].class {
	case classText, classFold, classPattern, classARN, classIP:
	default:
		return false
	}
	return !slices.ContainsFunc(c.Values, func(v string) bool { return !narrow(v) })
}

func isFixed(v string) bool {
	return v != "" && !strings.ContainsAny(v, "*?") && !strings.Contains(v, "${")
}

func (d Definition) isBound(kind boundKind, op Operator, v string) bool {
	switch kind {
	case boundIP:
		return tests[op.Test].class == classIP && isNarrow(v)
	case boundARN:
		return isFixed(v) || d == AccessAnalyzer && hasFixedAccount(op, v)
	case boundAccessPoint:
		return isFixed(v) || hasFixedAccount(op, v)
	case boundOrgPath:
		org, _, _ := strings.Cut(v, "/")
		return strings.HasPrefix(org, "o-") && isFixed(org)
	case boundUserID:
		id, _, _ := strings.Cut(v, ":")
		return isFixed(v) || d == AccessAnalyzer && strings.HasPrefix(id, "A") && isFixed(id)
	}
	return isFixed(v)
}

// hasFixedAccount says whether an ARN with wildcards is of one account. Before the
// account a wildcard of StringLike could reach over the colons, and put the account
// into another ARN's name.
func hasFixedAccount(op Operator, v string) bool {
	a := split(v)
	if !a.ok || !isAccount(a.parts[4]) || strings.Contains(v, "${") {
		return false
	}
	return tests[op.Test].class == classARN || !strings.ContainsAny(strings.Join(a.parts[1:4], ":"), "*?")
}

// isNarrow: S3 takes /8 and longer for IPv4, and /32 and longer for IPv6. It
// leaves RFC 1918's private blocks out of that, none of which is wider than /8.
func isNarrow(v string) bool {
	p, ok := parsePrefix(v)
	switch {
	case !ok:
		return false
	case p.Addr().Is4():
		return p.Bits() >= 8
	case p.Addr().Is4In6():
		return p.Bits() >= 96+8
	}
	return p.Bits() >= 32
}

// takenBack says whether a statement denies to everyone, without conditions, all
// that s allows.
func (p *Policy) takenBack(s *Statement) bool {
	return slices.ContainsFunc(p.Statements, func(d Statement) bool {
		return len(d.Conditions) == 0 && deniesAllOf(&d, s)
	})
}

// boundsByDenial are what statements leave over that deny everyone but those of
// fixed values. A Deny that has several such tests leaves those whom any of them
// spares, who are all bounded still.
func (p *Policy) boundsByDenial(s *Statement) []Bound {
	var out []Bound
	for i := range p.Statements {
		d := &p.Statements[i]
		if len(d.Conditions) == 0 || !deniesAllOf(d, s) {
			continue
		}
		var left []Bound
		for _, c := range d.Conditions {
			turned, ok := turn(c)
			if !ok {
				break
			}
			left = append(left, AccessAnalyzer.bounds([]Condition{turned})...)
		}
		if len(left) == len(d.Conditions) {
			out = append(out, left...)
		}
	}
	return out
}

// turn makes of a negated test the positive one that says whom it spares. It is
// false for tests that spare those without the key too.
func turn(c Condition) (Condition, bool) {
	if !c.Operator.negated() || c.Operator.Set == ForAnyValue {
		return c, false
	}
	positive := map[Test]Test{
		StringNotEquals: StringEquals, StringNotEqualsIgnoreCase: StringEqualsIgnoreCase, StringNotLike: StringLike,
		ARNNotEquals: ARNEquals, ARNNotLike: ARNLike, NotIPAddress: IPAddress,
	}[c.Operator.Test]
	c.Operator = Operator{Test: positive} // IfExists adds nothing: a negated test holds without the key
	return c, positive != NoTest
}

// deniesAllOf says whether d denies to everyone each action on each resource that
// s allows, its conditions aside.
func deniesAllOf(d, s *Statement) bool {
	if d.Effect != Deny || d.Principal == nil || !d.Principal.Everyone && !slices.Contains(d.Principal.AWS, "*") {
		return false
	}
	return coverAll(d.Actions, s.Actions, coversAction) && (d.Resources == nil && d.NotResources == nil || coverAll(d.Resources, s.Resources, coversResource))
}

// coverAll says whether each pattern of inner is covered by one of outer. Where
// inner is a Not form, and so nil, only "*" covers it.
func coverAll(outer, inner []string, covers func(p, q string) bool) bool {
	if inner == nil {
		return slices.Contains(outer, "*")
	}
	return !slices.ContainsFunc(inner, func(q string) bool {
		return !slices.ContainsFunc(outer, func(p string) bool { return covers(p, q) })
	})
}
