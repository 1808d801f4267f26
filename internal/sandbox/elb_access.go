package sandbox

// Source: Service Authorization Reference, "Actions, resources, and condition
// keys for AWS Elastic Load Balancing V2".
var elbAccess = serviceAccess{
	arn: "arn:{Partition}:elasticloadbalancing:{Region}:{Account}:",
	on: map[string]string{
		"CreateListener":     "{LoadBalancerArn}",
		"CreateLoadBalancer": "loadbalancer/*/{Name}/*",
		"CreateTargetGroup":  "targetgroup/{Name}/*",
		"DeleteListener":     "{ListenerArn}",
		"DeleteLoadBalancer": "{LoadBalancerArn}",
		"DeleteTargetGroup":  "{TargetGroupArn}",
		"DeregisterTargets":  "{TargetGroupArn}",
		"RegisterTargets":    "{TargetGroupArn}",
	},
}
