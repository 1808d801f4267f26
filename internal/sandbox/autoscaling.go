package sandbox

import (
	"slices"
	"time"
)

// group is an Auto Scaling group. Its members are instances that were attached
// to it.
type group struct {
	ID                string `json:"id"`
	Min, Max, Desired int64
	Members           map[string]string `json:"members"` // instance id to lifecycle state
}

// unhealthyAfter is how long a group waits before it replaces a member that is
// stopped.
const unhealthyAfter = time.Minute

func (c *call) groupOf(instanceID string, at time.Time) (name string, r *record[group], state string) {
	for _, name := range sorted(c.home().Groups) {
		r := c.home().Groups[name]
		if g, ok := r.as(at); ok {
			if state, ok := g.Members[instanceID]; ok {
				return name, r, state
			}
		}
	}
	return "", nil, ""
}

// replaceUnhealthy lets a group terminate a member in service that was stopped.
func (c *call) replaceUnhealthy(instanceID string) {
	if name, r, state := c.groupOf(instanceID, c.now); r != nil && state == "InService" {
		at := c.now.Add(unhealthyAfter)
		c.terminate(instanceID, at)
		c.terminationEvent(at, name, r, instanceID)
		r.change(at, func(g *group) { g.Members = without(g.Members, instanceID) })
	}
}

func (c *call) groupARN(name string, g group) string {
	return "arn:aws:autoscaling:" + c.region + ":" + c.who.Account + ":autoScalingGroup:" + g.ID + ":autoScalingGroupName/" + name
}

// terminationEvent says, once a member is gone, that the group ended it.
// Source: Amazon EC2 Auto Scaling User Guide, "Amazon EC2 Auto Scaling event
// reference".
func (c *call) terminationEvent(at time.Time, name string, r *record[group], instanceID string) {
	g, _ := r.as(c.now)
	i, _ := c.home().Instances[instanceID].as(c.now)
	done := at.Add(instanceDestroy)
	c.emit(done, "aws.autoscaling", "EC2 Instance Terminate Successful", []string{c.groupARN(name, g), c.ec2ARN("instance", instanceID)}, object{
		"StatusCode": "InProgress", "AutoScalingGroupName": name, "ActivityId": c.occurrence(), "RequestId": c.request.ID, "StatusMessage": "", "EC2InstanceId": instanceID,
		"StartTime": at.UTC().Format(time.RFC3339), "EndTime": done.UTC().Format(time.RFC3339), "Details": object{"Availability Zone": i.Zone, "Subnet ID": i.Subnet},
		"Cause": "At " + at.UTC().Format(time.RFC3339) + " an instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped."})
}

func without(m map[string]string, key string) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		if k != key {
			out[k] = v
		}
	}
	return out
}

func createGroup(c *call) (map[string]any, error) {
	name := c.str("AutoScalingGroupName")
	if _, ok := c.home().Groups[name]; ok {
		return nil, failure(400, "AlreadyExists", "AutoScalingGroup by this name already exists")
	}
	g := group{ID: uuid(c.id("", 32)), Members: map[string]string{}}
	g.Min, _ = c.int("MinSize")
	g.Max, _ = c.int("MaxSize")
	g.Desired, _ = c.int("DesiredCapacity")
	if g.Min > g.Max || g.Desired > 0 {
		return nil, failure(400, "ValidationError", "The sandbox makes empty groups, with MinSize at most MaxSize; attach instances to them.")
	}
	c.home().Groups[name] = newRecord(c.now, g)
	return object{}, nil
}

func (c *call) liveGroup() (*record[group], group, error) {
	if r, ok := c.home().Groups[c.str("AutoScalingGroupName")]; ok {
		if g, ok := r.as(c.now); ok {
			return r, g, nil
		}
	}
	return nil, group{}, failure(400, "ValidationError", "AutoScalingGroup name not found - AutoScalingGroup '%s' not found", c.str("AutoScalingGroupName"))
}

func attachInstances(c *call) (map[string]any, error) {
	r, g, err := c.liveGroup()
	if err != nil {
		return nil, err
	}
	ids := c.strings("InstanceIds")
	for _, id := range ids {
		if _, i, err := c.liveInstance(id, c.now); err != nil || i.State != "running" {
			return nil, failure(400, "ValidationError", "Invalid Instance ID(s): [%s] specified, or not running.", id)
		}
	}
	if g.Desired+int64(len(ids)) > g.Max {
		return nil, failure(400, "ValidationError", "The group would exceed its maximum size.")
	}
	r.change(c.now, func(g *group) {
		g.Members = without(g.Members, "")
		for _, id := range ids {
			g.Members[id] = "InService"
		}
		g.Desired += int64(len(ids))
	})
	return object{}, nil
}

// standby moves members between service and standby.
func standby(from, through, to string, sign int64) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		r, g, err := c.liveGroup()
		if err != nil {
			return nil, err
		}
		ids := c.strings("InstanceIds")
		for _, id := range ids {
			if state := g.Members[id]; state != from {
				return nil, failure(400, "ValidationError", "The instance %s is in %s, not in %s.", id, state, from)
			}
		}
		decrement := sign > 0 || c.bool("ShouldDecrementDesiredCapacity")
		if sign < 0 && decrement && g.Desired-int64(len(ids)) < g.Min {
			return nil, failure(400, "ValidationError", "The group %s would fall below its minimum size of %d.", c.str("AutoScalingGroupName"), g.Min)
		}
		set := func(state string) func(*group) {
			return func(g *group) {
				g.Members = without(g.Members, "")
				for _, id := range ids {
					g.Members[id] = state
				}
			}
		}
		r.change(c.now, set(through))
		r.change(c.now.Add(5*time.Second), set(to))
		if decrement {
			r.change(c.now, func(g *group) { g.Desired += sign * int64(len(ids)) })
		}
		return object{"Activities": []any{}}, nil
	}
}

func describeScalingInstances(c *call) (map[string]any, error) {
	want := c.strings("InstanceIds")
	out := []any{}
	for _, name := range sorted(c.home().Groups) {
		g, ok := c.home().Groups[name].as(c.view)
		if !ok {
			continue
		}
		for _, id := range sorted(g.Members) {
			if len(want) > 0 && !slices.Contains(want, id) {
				continue
			}
			_, i, err := c.liveInstance(id, c.view)
			if err != nil {
				continue
			}
			out = append(out, object{"InstanceId": id, "AutoScalingGroupName": name, "AvailabilityZone": i.Zone, "LifecycleState": g.Members[id], "HealthStatus": "HEALTHY", "ProtectedFromScaleIn": false})
		}
	}
	return object{"AutoScalingInstances": out}, nil
}

func describeGroups(c *call) (map[string]any, error) {
	want := c.strings("AutoScalingGroupNames")
	out := []any{}
	for _, name := range sorted(c.home().Groups) {
		g, ok := c.home().Groups[name].as(c.view)
		if !ok || len(want) > 0 && !slices.Contains(want, name) {
			continue
		}
		members := []any{}
		for _, id := range sorted(g.Members) {
			if _, i, err := c.liveInstance(id, c.view); err == nil {
				members = append(members, object{"InstanceId": id, "AvailabilityZone": i.Zone, "LifecycleState": g.Members[id], "HealthStatus": "Healthy", "ProtectedFromScaleIn": false})
			}
		}
		out = append(out, object{"AutoScalingGroupName": name, "AutoScalingGroupARN": c.groupARN(name, g), "MinSize": g.Min, "MaxSize": g.Max, "DesiredCapacity": g.Desired, "DefaultCooldown": int64(300),
			"AvailabilityZones": anys(zones(c.region)), "HealthCheckType": "EC2", "CreatedTime": c.home().Groups[name].Versions[0].At, "Instances": members})
	}
	return object{"AutoScalingGroups": out}, nil
}

var autoscalingHandlers = map[string]handler{
	"DescribeAutoScalingGroups":    {"autoscaling:DescribeAutoScalingGroups", describeGroups},
	"AttachInstances":              {"autoscaling:AttachInstances", attachInstances},
	"CreateAutoScalingGroup":       {"autoscaling:CreateAutoScalingGroup", createGroup},
	"DescribeAutoScalingInstances": {"autoscaling:DescribeAutoScalingInstances", describeScalingInstances},
	"EnterStandby":                 {"autoscaling:EnterStandby", standby("InService", "EnteringStandby", "Standby", -1)},
	"ExitStandby":                  {"autoscaling:ExitStandby", standby("Standby", "Pending", "InService", +1)},
}
