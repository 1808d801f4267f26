package sandbox

import (
	"slices"
	"time"
)

// standbyTime is how long a member is on its way into standby or out of the
// group.
const standbyTime = 5 * time.Second

// theMembers gives the members that a call names.
func (c *call) theMembers(g group, in string) ([]string, error) {
	ids := c.strings("InstanceIds")
	if len(ids) == 0 {
		return nil, validation("At least one instance ID is required.")
	}
	for _, id := range ids {
		m, ok := g.Members[id]
		if !ok {
			return nil, validation("The instance %s is not part of Auto Scaling group %s.", id, c.str("AutoScalingGroupName"))
		}
		if in != "" && m.State != in {
			return nil, validation("The instance %s is in %s, not in %s.", id, m.State, in)
		}
	}
	return ids, nil
}

// each changes members of a group.
func (g *group) each(ids []string, change func(*member)) {
	for _, id := range ids {
		m := g.Members[id]
		change(&m)
		g.Members[id] = m
	}
}

func attachInstances(c *call) (map[string]any, error) {
	_, g, err := c.liveGroup()
	if err != nil {
		return nil, err
	}
	ids := c.strings("InstanceIds")
	for _, id := range ids {
		_, i, err := c.liveInstance(id, c.now)
		if err != nil || i.State != "running" {
			return nil, validation("Invalid Instance ID(s): [%s] specified, or not running.", id)
		}
		if name, _ := c.groupOf(id, c.now); name != "" {
			return nil, validation("Instance %s is already part of AutoScalingGroup:%s", id, name)
		}
		if !slices.Contains(g.Zones, i.Zone) {
			return nil, validation("The instance %s is in %s, in which the group has no Availability Zone.", id, i.Zone)
		}
	}
	if g.Desired+int64(len(ids)) > g.Max {
		return nil, validation("AutoScalingGroup %s has min-size=%d, max-size=%d, and desired-size=%d. To attach %d more instances, please update the AutoScalingGroup sizes appropriately.",
			c.str("AutoScalingGroupName"), g.Min, g.Max, g.Desired, len(ids))
	}
	c.changeGroup(c.str("AutoScalingGroupName"), func(g *group) {
		for _, id := range ids {
			g.Members[id] = member{State: "InService", Since: c.now, Protected: g.Protect}
		}
		g.Desired += int64(len(ids))
	})
	c.register(g.Targets, ids)
	return object{}, nil
}

func detachInstances(c *call) (map[string]any, error) {
	_, g, err := c.liveGroup()
	if err != nil {
		return nil, err
	}
	ids, err := c.theMembers(g, "")
	if err != nil {
		return nil, err
	}
	return c.leave(g, ids, "Detaching", "Detaching EC2 instance: ")
}

func enterStandby(c *call) (map[string]any, error) {
	_, g, err := c.liveGroup()
	if err != nil {
		return nil, err
	}
	ids, err := c.theMembers(g, "InService")
	if err != nil {
		return nil, err
	}
	return c.leave(g, ids, "EnteringStandby", "Moving EC2 instance to Standby: ")
}

// leave takes members out of service. Without a decrement of the capacity the
// group launches others.
func (c *call) leave(g group, ids []string, state, text string) (map[string]any, error) {
	name, decrement := c.str("AutoScalingGroupName"), c.bool("ShouldDecrementDesiredCapacity")
	if decrement && g.Desired-int64(len(ids)) < g.Min {
		return nil, validation("AutoScalingGroup %s has min-size=%d, max-size=%d, and desired-size=%d. To place into standby or detach %d instances, please update the AutoScalingGroup sizes appropriately.",
			name, g.Min, g.Max, g.Desired, len(ids))
	}
	until := c.now.Add(standbyTime)
	out := []any{}
	for _, id := range ids {
		a := c.note(activity{Group: name, Text: text + id, Cause: "At the request of a user.", End: until, Status: "Successful"})
		out = append(out, c.activityOut(a))
	}
	c.deregister(g.Targets, ids)
	c.changeGroup(name, func(g *group) {
		g.each(ids, func(m *member) { m.State, m.Since, m.Until = state, c.now, until })
		if decrement {
			g.Desired -= int64(len(ids))
		}
	})
	return object{"Activities": out}, nil
}

func exitStandby(c *call) (map[string]any, error) {
	name := c.str("AutoScalingGroupName")
	_, g, err := c.liveGroup()
	if err != nil {
		return nil, err
	}
	ids, err := c.theMembers(g, "Standby")
	if err != nil {
		return nil, err
	}
	if g.Desired+int64(len(ids)) > g.Max {
		return nil, validation("AutoScalingGroup %s has min-size=%d, max-size=%d, and desired-size=%d. To move %d instances out of standby, please update the AutoScalingGroup sizes appropriately.",
			name, g.Min, g.Max, g.Desired, len(ids))
	}
	until := c.now.Add(standbyTime)
	out := []any{}
	for _, id := range ids {
		a := c.note(activity{Group: name, Text: "Moving EC2 instance out of Standby: " + id, Cause: "At the request of a user.", End: until, Status: "Successful"})
		out = append(out, c.activityOut(a))
	}
	c.changeGroup(name, func(g *group) {
		g.each(ids, func(m *member) { m.State, m.Since, m.Until = "Pending", c.now, until })
		g.Desired += int64(len(ids))
	})
	return object{"Activities": out}, nil
}

func setProtection(c *call) (map[string]any, error) {
	_, g, err := c.liveGroup()
	if err != nil {
		return nil, err
	}
	ids, err := c.theMembers(g, "")
	if err != nil {
		return nil, err
	}
	c.changeGroup(c.str("AutoScalingGroupName"), func(g *group) {
		g.each(ids, func(m *member) { m.Protected = c.bool("ProtectedFromScaleIn") })
	})
	return object{}, nil
}

func setHealth(c *call) (map[string]any, error) {
	id := c.str("InstanceId")
	name, m := c.groupOf(id, c.now)
	if name == "" {
		return nil, validation("Instance Id not found - No managed instance found for instance ID %s", id)
	}
	status := c.str("HealthStatus")
	if status != "Healthy" && status != "Unhealthy" {
		return nil, validation("Valid instance health states are: [Healthy, Unhealthy].")
	}
	g, _ := c.home().Groups[name].as(c.now)
	respect, given := c.in["ShouldRespectGracePeriod"].(bool)
	if grace := m.Since.Add(time.Duration(g.Grace) * time.Second); status == "Unhealthy" && (respect || !given) && c.now.Before(grace) {
		return object{}, nil // within the grace period it has no effect
	}
	c.changeGroup(name, func(g *group) { g.each([]string{id}, func(m *member) { m.Unhealthy = status == "Unhealthy" }) })
	return object{}, nil
}

func terminateMember(c *call) (map[string]any, error) {
	id := c.str("InstanceId")
	name, m := c.groupOf(id, c.now)
	if name == "" {
		return nil, validation("Instance Id not found - No managed instance found for instance ID %s", id)
	}
	if m.State == "Terminating" {
		return nil, failure(400, "ScalingActivityInProgress", "The instance %s is being terminated already.", id)
	}
	g, _ := c.home().Groups[name].as(c.now)
	decrement := c.bool("ShouldDecrementDesiredCapacity")
	if decrement && g.Desired <= g.Min {
		return nil, validation("Currently, desiredSize equals minSize (%d). Terminating instance without replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.", g.Min)
	}
	a := c.retire(&g, name, id, "At the request of a user an instance was taken out of service.")
	c.changeGroup(name, func(now *group) {
		now.Members[id] = g.Members[id]
		if decrement {
			now.Desired--
		}
	})
	return object{"Activity": c.activityOut(a)}, nil
}
