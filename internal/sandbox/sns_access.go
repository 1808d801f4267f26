package sandbox

// What SNS's operations are on; those on subscriptions are on "*". The policy that
// a topic has from the start allows what services do for its account, and so
// nobody's calls. Source: Service Authorization Reference, "Actions, resources, and
// condition keys for Amazon SNS".
var snsAccess = serviceAccess{
	arn: "arn:{Partition}:sns:{Region}:{Account}:",
	on: map[string]string{
		"CreateTopic":              "{Name}",
		"DeleteTopic":              "{TopicArn}",
		"GetTopicAttributes":       "{TopicArn}",
		"ListSubscriptionsByTopic": "{TopicArn}",
		"ListTagsForResource":      "{ResourceArn}",
		"Publish":                  "{TopicArn} {TargetArn}",
		"SetTopicAttributes":       "{TopicArn}",
		"Subscribe":                "{TopicArn}",
		"TagResource":              "{ResourceArn}",
		"UntagResource":            "{ResourceArn}",
	},
	keys: func(c *call, _ *need, set func(string, ...string)) {
		if c.operation.Name == "Subscribe" {
			set("sns:Protocol", c.str("Protocol"))
			set("sns:Endpoint", c.str("Endpoint"))
		}
	},
	look: func(c *call, n *need) resource {
		a, _ := parseARN(n.resource)
		home := c.homeOf(a.account, a.region)
		if home == nil {
			return resource{}
		}
		_, t, _ := home.SNS.Topics.live(a.resource, c.now)
		return resource{tags: t.Tags, policy: t.Attributes["Policy"]}
	},
	guests: true,
}
