package sandbox

import (
	"strings"
	"time"
)

// policySet is the policies that a user, group or role has.
type policySet struct {
	Inline   map[string]string `json:"policies,omitempty"` // by name
	Attached []string          `json:"attached,omitempty"` // ARNs of managed policies
	Boundary string            `json:"boundary,omitempty"` // ARN
}

type user struct {
	Created time.Time     `json:"created"`
	ID      string        `json:"id"`
	Path    string        `json:"path"`
	Groups  []string      `json:"groups,omitempty"`
	Keys    []userKey     `json:"keys,omitempty"`
	Login   *loginProfile `json:"login,omitempty"`
	Devices []mfaDevice   `json:"mfaDevices,omitempty"`
	Tags    tagSet        `json:"tags,omitempty"`
	policySet
}

// userKey is an access key as IAM lists it; the key itself is in state.Keys.
type userKey struct {
	ID       string    `json:"id"`
	Created  time.Time `json:"created"`
	Inactive bool      `json:"inactive,omitempty"`
}

type loginProfile struct {
	Created time.Time `json:"created"`
	Changed time.Time `json:"changed"`
	Reset   bool      `json:"reset,omitempty"` // the password must be changed at the next sign-in
}

type mfaDevice struct {
	Serial  string    `json:"serial"`
	Enabled time.Time `json:"enabled"`
}

type userGroup struct {
	Created time.Time `json:"created"`
	ID      string    `json:"id"`
	Path    string    `json:"path"`
	policySet
}

type role struct {
	Created time.Time `json:"created"`
	ID      string    `json:"id"`
	Path    string    `json:"path"`
	Trust   string    `json:"trust"`
	Text    string    `json:"description,omitempty"`
	Longest int64     `json:"maxSessionDuration,omitempty"` // seconds
	Tags    tagSet    `json:"tags,omitempty"`
	policySet
}

type instanceProfile struct {
	Created time.Time `json:"created"`
	ID      string    `json:"id"`
	Path    string    `json:"path"`
	Role    string    `json:"role,omitempty"` // name
	Tags    tagSet    `json:"tags,omitempty"`
}

// managedPolicy is a customer managed policy, with its versions in the order in
// which they were made.
type managedPolicy struct {
	Created  time.Time       `json:"created"`
	Updated  time.Time       `json:"updated"`
	ID       string          `json:"id"`
	Path     string          `json:"path"`
	Text     string          `json:"description,omitempty"`
	Default  string          `json:"default"` // version
	Made     int             `json:"made"`    // versions so far
	Versions []policyVersion `json:"versions"`
	Tags     tagSet          `json:"tags,omitempty"`
}

type policyVersion struct {
	ID       string    `json:"id"`
	Created  time.Time `json:"created"`
	Document string    `json:"document"`
}

func (p managedPolicy) version(id string) (policyVersion, bool) {
	for _, v := range p.Versions {
		if v.ID == id {
			return v, true
		}
	}
	return policyVersion{}, false
}

// managedText is the document of a managed policy, AWS's or a customer's, in its
// default version; "": there is none.
func (c *call) managedText(name string) string {
	a, _ := parseARN(name)
	if a.account == "aws" {
		return awsPolicies[strings.TrimPrefix(a.resource, "policy/")]
	}
	home, ok := c.state.Accounts[a.account]
	if !ok {
		return ""
	}
	_, p, _ := home.Policies.live(last(a.resource), c.now)
	v, _ := p.version(p.Default)
	return v.Document
}

// profileRole is the ARN of the role in an instance profile; "": it has none.
func (c *call) profileRole(name string) string {
	a := c.accountState()
	_, p, ok := a.Profiles.live(name, c.now)
	if !ok || p.Role == "" {
		return ""
	}
	_, r, _ := a.Roles.live(p.Role, c.now)
	return c.roleARN(p.Role, r)
}

func (c *call) roleARN(name string, r role) string { return c.globalARN("iam", "role"+r.Path+name) }
