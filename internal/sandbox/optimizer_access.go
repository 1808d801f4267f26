package sandbox

// What Compute Optimizer's operations need. Source: Service Authorization
// Reference, "Actions, resources, and condition keys for AWS Compute Optimizer".
var optimizerAccess = serviceAccess{
	needs: map[string]func(*call, []need) []need{
		"GetEC2InstanceRecommendations": dependsOn("ec2:DescribeInstances"),
		"GetEBSVolumeRecommendations":   dependsOn("ec2:DescribeVolumes"),
	},
}

// dependsOn adds another action that the caller must be allowed.
func dependsOn(action string) func(*call, []need) []need {
	return func(_ *call, own []need) []need { return append(own, need{action: action, resource: "*"}) }
}
