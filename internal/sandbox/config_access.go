package sandbox

// What Config's operations are on. Source: Service Authorization Reference,
// "Actions, resources, and condition keys for AWS Config".
var configAccess = serviceAccess{
	arn: "arn:{Partition}:config:{Region}:{Account}:",
	on: map[string]string{
		"BatchGetAggregateResourceConfig":              "config-aggregator/*",
		"DescribeConfigurationAggregatorSourcesStatus": "config-aggregator/*",
		"DeleteConformancePack":                        "conformance-pack/{ConformancePackName}/*",
		"PutConfigurationAggregator":                   "config-aggregator/*",
		"PutConformancePack":                           "conformance-pack/{ConformancePackName}/*",
		"SelectAggregateResourceConfig":                "config-aggregator/*",
	},
	needs: map[string]func(*call, []need) []need{
		"DeleteConfigRule":                 onConfigRules,
		"GetComplianceDetailsByConfigRule": onConfigRules,
		"DescribeComplianceByConfigRule":   onConfigRules,
		"PutConfigRule":                    onConfigRules,
		"StartConfigRulesEvaluation":       onConfigRules,
		"PutConfigurationRecorder": func(c *call, own []need) []need {
			return append(own, c.passRole(lookupText(c.in, "ConfigurationRecorder.roleARN"), "config.amazonaws.com")...)
		},
	},
	look: func(c *call, n *need) resource {
		for _, r := range c.home().Config.Rules.all(c.now) {
			if c.configRuleARN(r) == n.resource {
				return resource{tags: r.Tags}
			}
		}
		return resource{}
	},
}

// onConfigRules is for an operation on rules, which IAM knows by their ids. One
// that names none is on all.
func onConfigRules(c *call, own []need) []need {
	names := c.strings("ConfigRuleNames")
	for _, name := range []string{c.str("ConfigRuleName"), lookupText(c.in, "ConfigRule.ConfigRuleName")} {
		if name != "" {
			names = append(names, name)
		}
	}
	var out []need
	for _, name := range names {
		n := own[0]
		n.resource = c.arnOf("config", "config-rule/*")
		if _, r, err := c.configRule(name, c.now); err == nil {
			n.resource = c.configRuleARN(r)
		}
		out = append(out, n)
	}
	if len(out) == 0 {
		own[0].resource = c.arnOf("config", "config-rule/*")
		return own
	}
	return out
}
