package sandbox

// Source: Service Authorization Reference, "Actions, resources, and condition
// keys for Amazon EC2 Auto Scaling". A group's ARN holds an id that callers don't
// know, so policies have * there.
const scalingGroup = "autoScalingGroup:*:autoScalingGroupName/{AutoScalingGroupName}"

var autoscalingAccess = serviceAccess{
	arn: "arn:{Partition}:autoscaling:{Region}:{Account}:",
	on: map[string]string{
		"AttachInstances":           scalingGroup,
		"CancelInstanceRefresh":     scalingGroup,
		"CreateAutoScalingGroup":    scalingGroup,
		"DeleteAutoScalingGroup":    scalingGroup,
		"DetachInstances":           scalingGroup,
		"EnterStandby":              scalingGroup,
		"ExitStandby":               scalingGroup,
		"ResumeProcesses":           scalingGroup,
		"RollbackInstanceRefresh":   scalingGroup,
		"SetDesiredCapacity":        scalingGroup,
		"SetInstanceProtection":     scalingGroup,
		"StartInstanceRefresh":      scalingGroup,
		"SuspendProcesses":          scalingGroup,
		"UpdateAutoScalingGroup":    scalingGroup,
		"CreateLaunchConfiguration": "launchConfiguration:*:launchConfigurationName/{LaunchConfigurationName}",
		"DeleteLaunchConfiguration": "launchConfiguration:*:launchConfigurationName/{LaunchConfigurationName}",
	},
}
