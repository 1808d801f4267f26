package sandbox

import (
	"cmp"
	"strings"
)

// Application Auto Scaling's targets and policies. Nothing is scaled by them.
var (
	scalableTargets = keptKind{"scalable target", func(string) error {
		return failure(400, "ObjectNotFoundException", "No scalable target found")
	}}
	scalingPolicies = keptKind{"scaling policy", func(string) error {
		return failure(400, "ObjectNotFoundException", "No scaling policy found")
	}}
)

// targetKey is what a scalable target goes by.
func (c *call) targetKey() string {
	return c.str("ServiceNamespace") + "|" + c.str("ResourceId") + "|" + c.str("ScalableDimension")
}

func registerScalableTarget(c *call) (map[string]any, error) {
	if !strings.HasPrefix(c.str("ScalableDimension"), c.str("ServiceNamespace")+":") {
		return nil, failure(400, "ValidationException", "Unsupported service namespace, resource type or scalable dimension")
	}
	_, v, err := scalableTargets.live(c, c.targetKey(), c.now)
	if err != nil {
		role := "AWSServiceRoleForApplicationAutoScaling_" + c.str("ServiceNamespace")
		v = structure{"CreationTime": c.now, "RoleARN": c.globalARN("iam", "role/aws-service-role/"+c.str("ServiceNamespace")+".application-autoscaling.amazonaws.com/"+role),
			"SuspendedState": object{"DynamicScalingInSuspended": false, "DynamicScalingOutSuspended": false, "ScheduledScalingSuspended": false}}
		if c.in["MinCapacity"] == nil || c.in["MaxCapacity"] == nil {
			return nil, failure(400, "ValidationException", "Min capacity and max capacity are required to register a scalable target")
		}
	}
	arn := cmp.Or(v.str("ScalableTargetARN"), c.arnOf("application-autoscaling", "scalable-target/"+c.id("", 32)))
	v = v.with(structure(c.given("ServiceNamespace", "ResourceId", "ScalableDimension", "MinCapacity", "MaxCapacity"))).with(structure{"ScalableTargetARN": arn})
	if v.int("MinCapacity") > v.int("MaxCapacity") {
		return nil, failure(400, "ValidationException", "Minimum capacity must be less than or equal to maximum capacity")
	}
	if scalableTargets.has(c, c.targetKey()) {
		r, _, _ := scalableTargets.live(c, c.targetKey(), c.now)
		become(r, c.now, v)
	} else {
		scalableTargets.put(c, c.targetKey(), v)
	}
	return object{"ScalableTargetARN": arn}, nil
}

func describeScalableTargets(c *call) (map[string]any, error) {
	return c.scaling(scalableTargets, "ScalableTargets", func(v structure) bool {
		ids := c.strings("ResourceIds")
		for _, id := range ids {
			if v["ResourceId"] == id {
				return true
			}
		}
		return len(ids) == 0
	})
}

// scaling lists what is of the call's service, and dimension if that is given.
func (c *call) scaling(k keptKind, key string, meant func(structure) bool) (map[string]any, error) {
	found, err := k.find(c)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, h := range found {
		dimension := c.str("ScalableDimension")
		if h.v["ServiceNamespace"] == c.str("ServiceNamespace") && (dimension == "" || h.v["ScalableDimension"] == dimension) && meant(h.v) {
			out = append(out, object(h.v))
		}
	}
	return c.pageOf(key, out, 50)
}

func putScalingPolicy(c *call) (map[string]any, error) {
	if !scalableTargets.has(c, c.targetKey()) {
		return nil, failure(400, "ObjectNotFoundException", "No scalable target registered for service namespace: %s, resource ID: %s, scalable dimension: %s",
			c.str("ServiceNamespace"), c.str("ResourceId"), c.str("ScalableDimension"))
	}
	key := c.targetKey() + "|" + c.str("PolicyName")
	_, v, err := scalingPolicies.live(c, key, c.now)
	kind := cmp.Or(c.str("PolicyType"), v.str("PolicyType"), "StepScaling")
	switch {
	case kind == "TargetTrackingScaling" && c.object("TargetTrackingScalingPolicyConfiguration") == nil:
		return nil, failure(400, "ValidationException", "A target tracking configuration is required for a policy of type TargetTrackingScaling")
	case kind == "StepScaling" && strings.HasPrefix(c.str("ServiceNamespace"), "dynamodb"):
		return nil, failure(400, "ValidationException", "Step scaling is not supported for DynamoDB")
	case err == nil && v.str("PolicyType") != kind:
		return nil, failure(400, "ValidationException", "The type of a policy can't be changed")
	}
	arn := cmp.Or(v.str("PolicyARN"), c.arnOf("autoscaling", "scalingPolicy:"+uuid(c.id("", 32))+":resource/"+c.str("ServiceNamespace")+"/"+c.str("ResourceId")+":policyName/"+c.str("PolicyName")))
	v = structure{"CreationTime": c.now}.with(v).with(structure(c.given("PolicyName", "ServiceNamespace", "ResourceId", "ScalableDimension", "TargetTrackingScalingPolicyConfiguration",
		"StepScalingPolicyConfiguration"))).with(structure{"PolicyARN": arn, "PolicyType": kind, "Alarms": []any{}})
	scalingPolicies.put(c, key, v)
	return object{"PolicyARN": arn, "Alarms": []any{}}, nil
}

func describeScalingPolicies(c *call) (map[string]any, error) {
	return c.scaling(scalingPolicies, "ScalingPolicies", func(v structure) bool {
		id := c.str("ResourceId")
		return id == "" || v["ResourceId"] == id
	})
}

var scalingHandlers = map[string]handler{
	"DescribeScalableTargets": {"application-autoscaling:DescribeScalableTargets", describeScalableTargets},
	"DescribeScalingPolicies": {"application-autoscaling:DescribeScalingPolicies", describeScalingPolicies},
	"PutScalingPolicy":        {"application-autoscaling:PutScalingPolicy", putScalingPolicy},
	"RegisterScalableTarget":  {"application-autoscaling:RegisterScalableTarget", registerScalableTarget},
}
