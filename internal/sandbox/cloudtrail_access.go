package sandbox

// What CloudTrail's operations are on. Source: Service Authorization Reference,
// "Actions, resources, and condition keys for AWS CloudTrail".
const onTrail = "trail/{Name}"

var cloudtrailAccess = serviceAccess{
	arn: "arn:{Partition}:cloudtrail:{Region}:{Account}:",
	on: map[string]string{
		"AddTags":           "{ResourceId}",
		"CreateTrail":       onTrail,
		"DeleteTrail":       onTrail,
		"GetEventSelectors": "trail/{TrailName}",
		"GetTrail":          onTrail,
		"GetTrailStatus":    onTrail,
		"ListTags":          "{ResourceIdList}",
		"PutEventSelectors": "trail/{TrailName}",
		"RemoveTags":        "{ResourceId}",
		"StartLogging":      onTrail,
		"StopLogging":       onTrail,
		"UpdateTrail":       onTrail,
	},
	needs: map[string]func(*call, []need) []need{
		"CreateTrail": passLogRole,
		"UpdateTrail": passLogRole,
	},
	look: func(c *call, n *need) resource {
		a, _ := parseARN(n.resource)
		home := c.homeOf(a.account, a.region)
		if home == nil {
			return resource{}
		}
		_, t, _ := home.CloudTrail.Trails.live(last(a.resource), c.now)
		return resource{tags: t.Tags}
	},
}

func passLogRole(c *call, own []need) []need {
	return append(own, c.passRole(c.str("CloudWatchLogsRoleArn"), "cloudtrail.amazonaws.com")...)
}
