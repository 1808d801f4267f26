package sandbox

import "strings"

// Source: Service Authorization Reference, "Actions, resources, and condition
// keys for AWS Security Token Service".
var stsAccess = serviceAccess{
	on: map[string]string{"AssumeRole": "{RoleArn}"},
	needs: map[string]func(*call, []need) []need{
		"AssumeRole": func(c *call, own []need) []need {
			if _, ok := parseARN(c.str("RoleArn")); !ok {
				return nil // the operation will say so
			}
			own[0].tags = c.requestTags()
			more := own[0]
			if len(own[0].tags) > 0 {
				more.action = "sts:TagSession"
				own = append(own, more)
			}
			if c.str("SourceIdentity") != "" || c.who.SourceIdentity != "" {
				more.action = "sts:SetSourceIdentity"
				own = append(own, more)
			}
			return own
		},
	},
	keys: func(c *call, _ *need, set func(string, ...string)) {
		for _, name := range []string{"ExternalId", "RoleSessionName", "SourceIdentity"} {
			if v := c.str(name); v != "" {
				set("sts:"+name, v)
			}
		}
		if keys := c.strings("TransitiveTagKeys"); len(keys) > 0 {
			set("sts:TransitiveTagKeys", keys...)
		}
	},
	// A role's trust policy is the role's own in the eyes of STS alone.
	look: func(c *call, n *need) resource {
		a, _ := parseARN(n.resource)
		home, ok := c.state.Accounts[a.account]
		if !ok || !strings.HasPrefix(a.resource, "role/") {
			return resource{mustAllow: true}
		}
		_, r, _ := home.Roles.live(last(a.resource), c.now)
		return resource{tags: r.Tags, policy: r.Trust, mustAllow: true}
	},
}
