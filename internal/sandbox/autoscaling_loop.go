package sandbox

import (
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	// unhealthyAfter is how long a group waits before it replaces a member that
	// is stopped or gone.
	unhealthyAfter = time.Minute
	// The wait between launches that fail doubles from the first to the second.
	firstRetry = time.Minute
	lastRetry  = time.Hour
)

// memberChanged lets a member's group look at it once it has been unhealthy for
// long enough.
func (c *call) memberChanged(instanceID string) {
	if name, _ := c.groupOf(instanceID, c.now); name != "" {
		c.wake(name, c.now.Add(unhealthyAfter))
	}
}

// wake lets a group look at itself at a time.
func (c *call) wake(name string, at time.Time) {
	d := due{At: at, Account: c.who.Account, Region: c.region, Group: name}
	if !slices.ContainsFunc(c.state.Due, func(o due) bool {
		return o.Group == name && o.At.Equal(at) && o.Region == d.Region && o.Account == d.Account
	}) {
		c.schedule(d)
	}
}

// scale brings a group nearer to what it should be, as of the call's time, and
// sees to it that it is looked at again when there is more to do. It depends
// on the states alone, so it does no harm to call it at any time.
func (c *call) scale(name string) {
	r, g, ok := table[group](c.home().Groups).live(name, c.now)
	if !ok {
		return
	}
	own := *c // the caller's call stays the caller's
	own.who.ARN = c.scalingRole()
	c = &own
	g.Members = maps.Clone(g.Members)
	var next earliest
	for _, id := range sorted(g.Members) {
		next.add(c.advanceMember(&g, name, id))
	}
	launch, surge := g.source, int64(0)
	if rr, rf, ok := c.activeRefresh(name); ok {
		step := rolling{call: c, name: name, g: &g, refresh: rf}
		next.add(step.run())
		launch, surge = step.launches(), step.surge
		rr.change(c.now, func(r *refresh) { *r = step.refresh })
	}
	next.add(c.settleCapacity(&g, name, launch, g.Desired+surge))
	r.change(c.now, func(now *group) { *now = g })
	if g.Deleting && len(g.Members) == 0 {
		r.end(c.now)
		return
	}
	if at := next.at; !at.IsZero() && at.After(c.now) {
		c.wake(name, at)
	}
}

// earliest is the first of the times that are added; zero ones don't count.
type earliest struct{ at time.Time }

func (e *earliest) add(at time.Time) {
	if !at.IsZero() && (e.at.IsZero() || at.Before(e.at)) {
		e.at = at
	}
}

// leftRunning is when an instance last ceased to run, or to be about to.
func leftRunning(r *record[instance], at time.Time) time.Time {
	i := r.index(at)
	for i > 1 && r.Versions[i-2].Value.State != "running" && r.Versions[i-2].Value.State != "pending" {
		i--
	}
	return r.Versions[i-1].At
}

// nextChange is when a resource comes into its next state; zero: it doesn't.
func (r *record[T]) nextChange(at time.Time) time.Time {
	if i := r.index(at); i < len(r.Versions) {
		return r.Versions[i].At
	}
	return time.Time{}
}

// advanceMember takes a member on to the state that its instance is fit for, and
// says when to look again.
func (c *call) advanceMember(g *group, name, id string) time.Time {
	m := g.Members[id]
	r, i, err := c.liveInstance(id, c.now)
	if err != nil {
		delete(g.Members, id)
		return time.Time{}
	}
	lost := i.State == "terminated" || i.State == "shutting-down"
	switch m.State {
	case "Pending":
		switch {
		case lost:
			delete(g.Members, id)
		case i.State != "running":
			return r.nextChange(c.now)
		case c.now.Before(m.Until):
			return m.Until
		default:
			m.State, m.Since, m.Until = "InService", c.now, time.Time{}
			g.Members[id] = m
			if g.runs("AddToLoadBalancer") {
				c.register(g.Targets, []string{id})
			}
			if !m.Launched.IsZero() {
				c.memberEvent(*g, name, "EC2 Instance Launch Successful", id, m.Launched, m.Cause)
			}
		}
	case "Terminating":
		if i.State != "terminated" {
			return r.nextChange(c.now)
		}
		delete(g.Members, id)
		c.memberEvent(*g, name, "EC2 Instance Terminate Successful", id, m.Since, m.Cause)
	case "EnteringStandby":
		if c.now.Before(m.Until) {
			return m.Until
		}
		m.State, m.Since, m.Until = "Standby", c.now, time.Time{}
		g.Members[id] = m
	case "Detaching":
		if c.now.Before(m.Until) {
			return m.Until
		}
		delete(g.Members, id)
	case "Standby":
		if i.State == "terminated" {
			delete(g.Members, id)
		}
	case "InService":
		return c.examine(g, name, id, i)
	}
	return time.Time{}
}

// examine is the health check of a member in service.
func (c *call) examine(g *group, name, id string, i instance) time.Time {
	m, r := g.Members[id], c.home().Instances[id]
	if i.State != "running" && i.State != "pending" && g.runs("HealthCheck") {
		if due := leftRunning(r, c.now).Add(unhealthyAfter); due.After(c.now) {
			return due
		}
		m.Unhealthy = true
	}
	if strings.Contains(g.Health, "ELB") && g.runs("HealthCheck") {
		grace := m.Since.Add(time.Duration(g.Grace) * time.Second)
		for _, arn := range g.Targets {
			if c.targetState(arn, id) == "unhealthy" && !c.now.Before(grace) {
				m.Unhealthy = true
			}
		}
	}
	g.Members[id] = m
	if m.Unhealthy && g.runs("ReplaceUnhealthy") && g.runs("Terminate") {
		c.retire(g, name, id, "An instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped.")
		return c.home().Instances[id].nextChange(c.now)
	}
	return time.Time{}
}

// retire begins a member's termination.
func (c *call) retire(g *group, name, id, cause string) activity {
	m := g.Members[id]
	m.State, m.Since, m.Until, m.Cause = "Terminating", c.now, time.Time{}, "At "+c.now.UTC().Format(time.RFC3339)+" "+cause
	g.Members[id] = m
	c.deregister(g.Targets, []string{id})
	if _, i, err := c.liveInstance(id, c.now); err == nil && i.State != "terminated" && i.State != "shutting-down" {
		c.terminate(id, "Service initiated ("+c.now.UTC().Format("2006-01-02 15:04:05")+" GMT)")
	}
	c.wake(name, c.now.Add(instanceDestroy))
	return c.note(activity{Group: name, Text: "Terminating EC2 instance: " + id, Cause: m.Cause, End: c.now.Add(instanceDestroy), Status: "Successful"})
}

// settleCapacity launches or terminates members until there are as many as wanted.
func (c *call) settleCapacity(g *group, name string, launch source, want int64) time.Time {
	have := g.active()
	if have < want && g.runs("Launch") && !g.Deleting {
		if c.now.Before(g.Retry) {
			return g.Retry
		}
		for ; have < want; have++ {
			if err := c.launchMember(g, name, launch); err != nil {
				return g.Retry
			}
		}
		return c.now.Add(instanceStart)
	}
	if have > want && g.runs("Terminate") {
		for _, id := range g.victims()[:min(int(have-want), len(g.victims()))] {
			c.retire(g, name, id, "An instance was taken out of service in response to a difference between desired and actual capacity.")
		}
	}
	return time.Time{}
}

// victims are the members that may be terminated, those to go first first: from
// the zone with the most, then of the oldest template, then the oldest. Source:
// Amazon EC2 Auto Scaling User Guide, "Default termination policy", as far as
// the sandbox has what it looks at.
func (g *group) victims() []string {
	ids := slices.DeleteFunc(sorted(g.Members), func(id string) bool {
		m := g.Members[id]
		return m.Protected || m.State != "InService" && m.State != "Pending"
	})
	newest := slices.Contains(g.Policies, "NewestInstance")
	slices.SortStableFunc(ids, func(a, b string) int {
		x, y := g.Members[a], g.Members[b]
		if x.Unhealthy != y.Unhealthy {
			return btoi(y.Unhealthy) - btoi(x.Unhealthy)
		}
		if newest {
			return y.Since.Compare(x.Since)
		}
		if x.Config != y.Config { // launch configurations go before templates
			return strings.Compare(y.Config, x.Config)
		}
		if x.Template.Version != y.Template.Version {
			return compareNumbers(x.Template.Version, y.Template.Version)
		}
		return x.Since.Compare(y.Since)
	})
	return ids
}

// compareNumbers compares decimal numbers.
func compareNumbers(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// launchMember makes an instance for a group, where the group has the fewest. If
// it can't, the group waits before it tries again.
func (c *call) launchMember(g *group, name string, from source) error {
	id, m, err := c.makeMember(g, name, from)
	if err != nil {
		wait := min(firstRetry<<min(g.Failures, 10), lastRetry)
		g.Failures++
		g.Retry = c.now.Add(wait)
		c.note(activity{Group: name, Text: "Launching a new EC2 instance.  Status Reason: " + err.Error(), Cause: "An instance was started in response to a difference between desired and actual capacity.",
			End: c.now, Status: "Failed", Message: err.Error()})
		c.groupEvent(*g, name, "EC2 Instance Launch Unsuccessful", object{"StatusCode": "Failed", "StatusMessage": err.Error()})
		return err
	}
	g.Failures, g.Retry = 0, time.Time{}
	g.Members[id] = m
	c.note(activity{Group: name, Text: "Launching a new EC2 instance: " + id, Cause: m.Cause,
		End: c.now.Add(instanceStart), Status: "Successful"})
	return nil
}

// makeMember launches an instance through RunInstances's own checks.
func (c *call) makeMember(g *group, name string, from source) (string, member, error) {
	m := member{State: "Pending", Since: c.now, Launched: c.now, Protected: g.Protect,
		Cause: "At " + c.now.UTC().Format(time.RFC3339) + " an instance was started in response to a difference between desired and actual capacity."}
	in := object{"MinCount": int64(1), "MaxCount": int64(1)}
	extra := tagSet{"aws:autoscaling:groupName": name}
	zone, subnetID := c.emptiest(g)
	if from.Config != "" {
		_, l, ok := c.home().AutoScaling.Configs.live(from.Config, c.now)
		if !ok {
			return "", m, validation("Launch configuration %s not found", from.Config)
		}
		in, m.Config = overTemplate(object(l.Data), in), from.Config
	} else {
		t, v, values, err := c.launchData(from)
		if err != nil {
			return "", m, err
		}
		in, m.Template = overTemplate(values, in), templateRef{t.ID, t.Name, numberOf(v)}
		maps.Copy(extra, v.tags())
	}
	if nics := objects(in["NetworkInterfaces"]); len(nics) > 0 {
		nic := maps.Clone(nics[0])
		nic["SubnetId"] = subnetID
		in["NetworkInterfaces"] = []any{nic}
	} else if subnetID != "" {
		in["SubnetId"] = subnetID
	} else {
		placement, _ := in["Placement"].(object)
		placement = maps.Clone(placement)
		if placement == nil {
			placement = object{}
		}
		placement["AvailabilityZone"] = zone
		in["Placement"] = placement
	}
	for _, t := range g.Tags {
		if t.Propagate {
			extra[t.Key] = t.Value
		}
	}
	at := *c
	op, err := c.catalog.Operation("ec2", "RunInstances")
	if err != nil {
		return "", m, err
	}
	at.in, at.operation = in, op
	ids, err := at.launch(extra)
	if err != nil {
		return "", m, err
	}
	return ids[0], m, nil
}

// launchData is what a launch template, or the first override of a mixed
// instances policy, says.
func (c *call) launchData(from source) (templateRef, templateVersion, object, error) {
	ref, override := from.Template, object(nil)
	if from.Mixed != nil {
		var err error
		if ref, err = c.templateOf(from.mixedSpec()); err != nil {
			return ref, templateVersion{}, nil, err
		}
		t, _ := from.Mixed["LaunchTemplate"].(object)
		if l := objects(t["Overrides"]); len(l) > 0 {
			override = l[0]
		}
	}
	_, t, ok := c.home().EC2.Templates.live(ref.ID, c.now)
	if !ok {
		return ref, templateVersion{}, nil, validation("The launch template %s does not exist", ref.ID)
	}
	v, err := t.version(ref.Version)
	if err != nil {
		return ref, v, nil, err
	}
	values := maps.Clone(object(v.Data))
	if kind, ok := override["InstanceType"].(string); ok {
		values["InstanceType"] = kind
	}
	return ref, v, values, nil
}

// emptiest is the zone in which a group has the fewest members, and the group's
// subnet there, if it names subnets.
func (c *call) emptiest(g *group) (zone, subnetID string) {
	count := map[string]int{}
	for id, m := range g.Members {
		if _, i, err := c.liveInstance(id, c.now); err == nil && m.State != "Terminating" {
			count[i.Zone]++
		}
	}
	zone = g.Zones[0]
	for _, z := range g.Zones {
		if count[z] < count[zone] {
			zone = z
		}
	}
	for _, id := range g.Subnets {
		if _, s, err := subnets.now(c, id); err == nil && s.Zone == zone {
			return zone, id
		}
	}
	return zone, ""
}

// memberEvent sends the event of a member that has come or gone. Source: Amazon
// EC2 Auto Scaling User Guide, "Amazon EC2 Auto Scaling event reference".
func (c *call) memberEvent(g group, name, kind, id string, since time.Time, cause string) {
	i, _ := c.home().Instances[id].as(c.now)
	c.groupEvent(g, name, kind, object{"EC2InstanceId": id, "StatusCode": "InProgress", "StatusMessage": "", "ActivityId": c.occurrence(), "RequestId": c.request.ID, "Cause": cause,
		"StartTime": since.UTC().Format(time.RFC3339), "EndTime": c.now.UTC().Format(time.RFC3339), "Details": object{"Availability Zone": i.Zone, "Subnet ID": i.Subnet}}, c.ec2ARN("instance", id))
}

// groupEvent sends an event of a group.
func (c *call) groupEvent(g group, name, kind string, detail object, resources ...string) {
	detail["AutoScalingGroupName"] = name
	c.emit(c.now, "aws.autoscaling", kind, append([]string{c.groupARN(name, g)}, resources...), detail)
}
