package sandbox

import "slices"

const onHub = "hub/" + theHub

// What Security Hub's operations are on. Source: Service Authorization
// Reference, "Actions, resources, and condition keys for AWS Security Hub".
var securityhubAccess = serviceAccess{
	arn: "arn:{Partition}:securityhub:{Region}:{Account}:",
	on: map[string]string{
		"BatchUpdateFindings": onHub,
		"DescribeHub":         onHub,
		"DisableSecurityHub":  onHub,
		"GetFindings":         onHub,
	},
	needs: map[string]func(*call, []need) []need{
		"BatchImportFindings": func(c *call, own []need) []need {
			var out []need
			products := texts(lookup(c.in, "Findings.ProductArn"))
			slices.Sort(products)
			for _, product := range slices.Compact(products) {
				n := own[0]
				n.resource = product
				out = append(out, n)
			}
			return out
		},
	},
	keys: func(c *call, _ *need, set func(string, ...string)) {
		if accounts := texts(lookup(c.in, "Findings.AwsAccountId")); len(accounts) > 0 {
			set("securityhub:TargetAccount", accounts[0])
		}
	},
	look: func(c *call, _ *need) resource {
		_, h, _ := c.home().SecurityHub.Hubs.live(theHub, c.now)
		return resource{owner: c.who.Account, tags: h.Tags}
	},
}
