package iampolicy

import (
	"slices"
	"strings"
)

// Zone is the zone of trust: whom a resource's policy may name without a word.
// AWS services are always in it. Source: IAM User Guide, "How IAM Access Analyzer
// findings work".
type Zone struct {
	Accounts       []string
	Organizations  []string // ids, such as o-a1b2c3d4e5
	CanonicalUsers []string // canonical user ids of trusted accounts
}

// ExternalGrants are what a resource's policy allows to principals outside the
// zone of trust, public grants among them, as AccessAnalyzer has it. A statement
// for everyone is inside where a condition holds it to trusted accounts or
// organisations; one that is held to something of which the policy doesn't say
// whose it is, such as a VPC or an address, is outside, with what bounds it.
func (p *Policy) ExternalGrants(z Zone) []Grant {
	var out []Grant
	for _, g := range p.grants(AccessAnalyzer) {
		if g.Public || !z.has(&g) && !z.holds(g.Bounds) {
			out = append(out, g)
		}
	}
	return out
}

// has says whether the principal itself is in the zone.
func (z Zone) has(g *Grant) bool {
	if g.Account != "" {
		return slices.Contains(z.Accounts, g.Account)
	}
	if ps := g.Statement.Principal; ps != nil {
		return slices.Contains(ps.Service, g.Principal) || slices.Contains(z.CanonicalUsers, g.Principal)
	}
	return false
}

// holds says whether one of the bounds holds the callers to the zone.
func (z Zone) holds(bounds []Bound) bool {
	return slices.ContainsFunc(bounds, func(b Bound) bool {
		kind := AccessAnalyzer.boundKindOf(strings.ToLower(b.Key))
		return !slices.ContainsFunc(b.Values, func(v string) bool { return !z.hasValue(kind, b.Key, v) })
	})
}

func (z Zone) hasValue(kind boundKind, key, v string) bool {
	switch kind {
	case boundAccount:
		return slices.Contains(z.Accounts, v)
	case boundARN, boundAccessPoint:
		return slices.Contains(z.Accounts, split(v).parts[4])
	case boundOrg:
		return slices.Contains(z.Organizations, v)
	case boundOrgPath:
		org, _, _ := strings.Cut(v, "/")
		return slices.Contains(z.Organizations, org)
	case boundUserID:
		return slices.Contains(z.Accounts, v)
	case boundFixed:
		return keyIs(key, "aws:principalservicename")
	}
	return false
}
