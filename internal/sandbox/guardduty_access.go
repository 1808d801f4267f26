package sandbox

const onDetector = "detector/{DetectorId}"

// What GuardDuty's operations are on. Source: Service Authorization Reference,
// "Actions, resources, and condition keys for Amazon GuardDuty".
var guarddutyAccess = serviceAccess{
	arn: "arn:{Partition}:guardduty:{Region}:{Account}:",
	on: map[string]string{
		"ArchiveFindings":      onDetector,
		"CreateSampleFindings": onDetector,
		"DeleteDetector":       onDetector,
		"GetDetector":          onDetector,
		"GetFindings":          onDetector,
		"ListFindings":         onDetector,
		"UnarchiveFindings":    onDetector,
		"UpdateDetector":       onDetector,
		"ListTagsForResource":  "{ResourceArn}",
		"TagResource":          "{ResourceArn}",
		"UntagResource":        "{ResourceArn}",
	},
	look: func(c *call, n *need) resource {
		a, _ := parseARN(n.resource)
		_, d, _ := c.home().GuardDuty.Detectors.live(last(a.resource), c.now)
		return resource{tags: d.Tags}
	},
}
