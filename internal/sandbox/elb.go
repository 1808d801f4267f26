package sandbox

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// elbState is what elbv2 has in one account and Region. Each table is by ARN.
type elbState struct {
	Groups    table[targetGroup]  `json:"targetGroups,omitempty"`
	Balancers table[loadBalancer] `json:"loadBalancers,omitempty"`
	Listeners table[listener]     `json:"listeners,omitempty"`
}

func (s *elbState) check() error {
	return first(whole("target group", s.Groups), whole("load balancer", s.Balancers), whole("listener", s.Listeners))
}

type targetGroup struct {
	Name      string            `json:"name"`
	Protocol  string            `json:"protocol,omitempty"`
	Port      int64             `json:"port,omitempty"`
	VPC       string            `json:"vpc,omitempty"`
	Kind      string            `json:"targetType"`
	Path      string            `json:"healthCheckPath,omitempty"`
	Interval  int64             `json:"healthCheckInterval"` // seconds
	Threshold int64             `json:"healthyThreshold"`
	Failures  int64             `json:"unhealthyThreshold"`
	Targets   map[string]target `json:"targets,omitempty"` // by id:port
	Tags      tagSet            `json:"tags,omitempty"`
}

type target struct {
	ID    string    `json:"id"`
	Port  int64     `json:"port"`
	Zone  string    `json:"zone,omitempty"`
	Since time.Time `json:"since"`
	Until time.Time `json:"until,omitzero"` // of draining
}

type loadBalancer struct {
	Name    string    `json:"name"`
	ID      string    `json:"id"`
	Kind    string    `json:"type"`
	Scheme  string    `json:"scheme"`
	VPC     string    `json:"vpc"`
	Subnets []string  `json:"subnets"`
	Groups  []string  `json:"securityGroups,omitempty"`
	Created time.Time `json:"created"`
	State   string    `json:"state"` // provisioning, active
	Tags    tagSet    `json:"tags,omitempty"`
}

type listener struct {
	Balancer string      `json:"loadBalancer"`
	Port     int64       `json:"port"`
	Protocol string      `json:"protocol"`
	Targets  []string    `json:"targetGroups"`
	Actions  []structure `json:"actions"`
	Created  time.Time   `json:"created"`
}

// draining is how long a target that was deregistered still finishes requests:
// the default of deregistration_delay.timeout_seconds. provisioning is of the
// order that people see.
const (
	draining     = 300 * time.Second
	provisioning = 2 * time.Minute
)

func (c *call) elbARN(kind, name string) string {
	return c.arnOf("elasticloadbalancing", kind+"/"+name+"/"+c.id("", 16))
}

func createTargetGroup(c *call) (map[string]any, error) {
	g := targetGroup{Name: c.str("Name"), Protocol: c.str("Protocol"), VPC: c.str("VpcId"), Kind: cmp.Or(c.str("TargetType"), "instance"), Path: cmp.Or(c.str("HealthCheckPath"), "/"), Interval: 30, Threshold: 5, Failures: 2}
	for member, to := range map[string]*int64{"Port": &g.Port, "HealthCheckIntervalSeconds": &g.Interval, "HealthyThresholdCount": &g.Threshold, "UnhealthyThresholdCount": &g.Failures} {
		if n, ok := c.int(member); ok {
			*to = n
		}
	}
	switch {
	case len(g.Name) > 32 || strings.HasPrefix(g.Name, "-") || strings.HasSuffix(g.Name, "-"):
		return nil, validation("Target group name '%s' is of 1 to 32 letters, digits and hyphens, a hyphen neither first nor last", g.Name)
	case !slices.Contains([]string{"instance", "ip", "lambda", "alb"}, g.Kind):
		return nil, validation("The target type '%s' is not valid", g.Kind)
	case g.Kind != "lambda" && (g.Protocol == "" || g.Port < 1 || g.Port > 65535):
		return nil, validation("A protocol and a port from 1 to 65535 must be specified")
	}
	if g.Kind != "lambda" {
		if _, _, err := vpcs.now(c, g.VPC); err != nil {
			return nil, validation("The VPC ID '%s' is not found", g.VPC)
		}
	}
	for arn, o := range c.home().ELB.Groups.all(c.now) {
		if o.Name == g.Name {
			same := o.Protocol == g.Protocol && o.Port == g.Port && o.VPC == g.VPC && o.Kind == g.Kind
			if same { // it is idempotent
				return object{"TargetGroups": []any{c.targetGroupOut(arn, o)}}, nil
			}
			return nil, failure(400, "DuplicateTargetGroupName", "A target group with the same name '%s' exists, but with different settings", g.Name)
		}
	}
	var err error
	if g.Tags, err = parseTags(c.in["Tags"]); err != nil {
		return nil, validation("%v", err)
	}
	arn := c.elbARN("targetgroup", g.Name)
	c.home().ELB.Groups.put(arn, c.now, g)
	return object{"TargetGroups": []any{c.targetGroupOut(arn, g)}}, nil
}

func (c *call) targetGroupOut(arn string, g targetGroup) object {
	out := object{"TargetGroupArn": arn, "TargetGroupName": g.Name, "TargetType": g.Kind, "HealthCheckEnabled": true, "HealthCheckIntervalSeconds": g.Interval, "HealthCheckPath": g.Path,
		"HealthCheckPort": "traffic-port", "HealthCheckProtocol": "HTTP", "HealthCheckTimeoutSeconds": int64(5), "HealthyThresholdCount": g.Threshold, "UnhealthyThresholdCount": g.Failures,
		"Matcher": object{"HttpCode": "200"}, "IpAddressType": "ipv4", "LoadBalancerArns": anys(c.balancersOf(arn, c.view))}
	if g.Kind != "lambda" {
		out["Protocol"], out["Port"], out["VpcId"] = g.Protocol, g.Port, g.VPC
	}
	return out
}

// balancersOf are the load balancers with a listener that forwards to a target
// group.
func (c *call) balancersOf(group string, at time.Time) []string {
	var out []string
	for _, l := range c.home().ELB.Listeners.all(at) {
		if slices.Contains(l.Targets, group) && !slices.Contains(out, l.Balancer) {
			out = append(out, l.Balancer)
		}
	}
	return out
}

// liveTargetGroup gives the target group that a call names, as of a time.
func (c *call) liveTargetGroup(arn string, at time.Time) (*record[targetGroup], targetGroup, error) {
	r, g, ok := c.home().ELB.Groups.live(arn, at)
	if !ok {
		return nil, g, failure(400, "TargetGroupNotFound", "Target groups '%s' not found", arn)
	}
	return r, g, nil
}

func describeTargetGroups(c *call) (map[string]any, error) {
	arns, names, balancer := c.strings("TargetGroupArns"), c.strings("Names"), c.str("LoadBalancerArn")
	var found []held[targetGroup]
	for arn, g := range c.home().ELB.Groups.all(c.view) {
		if (len(arns) == 0 || slices.Contains(arns, arn)) && (len(names) == 0 || slices.Contains(names, g.Name)) && (balancer == "" || slices.Contains(c.balancersOf(arn, c.view), balancer)) {
			found = append(found, held[targetGroup]{arn, g})
		}
	}
	if len(found) < len(arns) || len(found) < len(names) {
		return nil, failure(400, "TargetGroupNotFound", "One or more target groups not found")
	}
	return byMarker(c, "TargetGroups", found, func(e held[targetGroup]) any { return c.targetGroupOut(e.id, e.v) })
}

// byMarker cuts a list by PageSize and Marker.
func byMarker[T any](c *call, key string, items []T, render func(T) any) (map[string]any, error) {
	at := *c
	at.in = object{"NextToken": c.str("Marker")}
	if n, ok := c.int("PageSize"); ok {
		at.in["MaxResults"] = n
	}
	out, err := paged(&at, key, items, render)
	if err != nil {
		return nil, err
	}
	if t, ok := out["NextToken"]; ok {
		out["NextMarker"] = t
		delete(out, "NextToken")
	}
	return out, nil
}

func deleteTargetGroup(c *call) (map[string]any, error) {
	arn := c.str("TargetGroupArn")
	r, _, err := c.liveTargetGroup(arn, c.now)
	if err != nil {
		return nil, err
	}
	if len(c.balancersOf(arn, c.now)) > 0 {
		return nil, failure(400, "ResourceInUse", "Target group '%s' is currently in use by a listener or a rule", arn)
	}
	r.end(c.now)
	return object{}, nil
}

// targetsIn reads a call's Targets.
func (c *call) targetsIn(g targetGroup) []target {
	var out []target
	for _, o := range c.objects("Targets") {
		t := target{Port: g.Port, Since: c.now}
		t.ID, _ = o["Id"].(string)
		t.Zone, _ = o["AvailabilityZone"].(string)
		if p, ok := o["Port"].(int64); ok {
			t.Port = p
		}
		out = append(out, t)
	}
	return out
}

func (t target) key() string { return fmt.Sprintf("%s:%d", t.ID, t.Port) }

func registerTargets(c *call) (map[string]any, error) {
	arn := c.str("TargetGroupArn")
	_, g, err := c.liveTargetGroup(arn, c.now)
	if err != nil {
		return nil, err
	}
	list := c.targetsIn(g)
	for _, t := range list {
		if g.Kind != "instance" {
			continue
		}
		_, i, err := c.liveInstance(t.ID, c.now)
		switch {
		case err != nil:
			return nil, failure(400, "InvalidTarget", "The following targets are not in the target group VPC or do not exist: '%s'", t.ID)
		case i.VPC != g.VPC:
			return nil, failure(400, "InvalidTarget", "The following targets are not in the target group VPC '%s': '%s'", g.VPC, t.ID)
		case i.State != "running":
			return nil, failure(400, "InvalidTarget", "The following targets are not in a running state and cannot be registered: '%s'", t.ID)
		}
	}
	c.putTargets(arn, list)
	return object{}, nil
}

func (c *call) putTargets(arn string, list []target) {
	c.home().ELB.Groups[arn].change(c.now, func(g *targetGroup) {
		g.Targets = maps.Clone(g.Targets)
		if g.Targets == nil {
			g.Targets = map[string]target{}
		}
		for _, t := range list {
			if had, ok := g.Targets[t.key()]; ok && had.Until.IsZero() {
				t.Since = had.Since
			}
			g.Targets[t.key()] = t
		}
	})
}

func deregisterTargets(c *call) (map[string]any, error) {
	arn := c.str("TargetGroupArn")
	_, g, err := c.liveTargetGroup(arn, c.now)
	if err != nil {
		return nil, err
	}
	c.drainTargets(arn, func(t target) bool {
		return slices.ContainsFunc(c.targetsIn(g), func(o target) bool { return o.ID == t.ID && o.Port == t.Port })
	})
	return object{}, nil
}

func (c *call) drainTargets(arn string, which func(target) bool) {
	c.home().ELB.Groups[arn].change(c.now, func(g *targetGroup) {
		g.Targets = maps.Clone(g.Targets)
		for key, t := range g.Targets {
			if which(t) && t.Until.IsZero() {
				t.Until = c.now.Add(draining)
				g.Targets[key] = t
			}
		}
	})
}

// register puts members of an Auto Scaling group into its target groups.
func (c *call) register(groups, ids []string) {
	for _, arn := range groups {
		_, g, err := c.liveTargetGroup(arn, c.now)
		if err != nil {
			continue // it was deleted; the group doesn't mind
		}
		var list []target
		for _, id := range ids {
			list = append(list, target{ID: id, Port: g.Port, Since: c.now})
		}
		c.putTargets(arn, list)
	}
}

func (c *call) deregister(groups, ids []string) {
	for _, arn := range groups {
		if _, _, err := c.liveTargetGroup(arn, c.now); err == nil {
			c.drainTargets(arn, func(t target) bool { return slices.Contains(ids, t.ID) })
		}
	}
}

// health is a target's as of a time. Source: Elastic Load Balancing, "Health
// checks for your target groups", and TargetHealth in the API reference. What is
// behind a target the sandbox doesn't know: one that runs passes its checks.
func (c *call) health(arn string, g targetGroup, t target, at time.Time) object {
	say := func(state, reason, text string) object {
		return object{"State": state, "Reason": reason, "Description": text}
	}
	if !t.Until.IsZero() {
		return say("draining", "Target.DeregistrationInProgress", "Target deregistration is in progress")
	}
	if len(c.balancersOf(arn, at)) == 0 {
		return say("unused", "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer")
	}
	if g.Kind == "instance" {
		r, i, err := c.liveInstance(t.ID, at)
		if err != nil || i.State == "terminated" {
			return say("unused", "Target.InvalidState", "Target is in the terminated state")
		}
		if i.State != "running" {
			return say("unused", "Target.InvalidState", "Target is in the "+i.State+" state")
		}
		if since := r.Versions[r.index(at)-1].At; i.Checked.Add(-instanceChecks).After(t.Since) && since.After(t.Since) {
			t.Since = i.Checked.Add(-instanceChecks) // it was started again
		}
	}
	healthy := t.Since.Add(time.Duration(g.Interval*g.Threshold) * time.Second)
	switch {
	case at.Before(t.Since.Add(time.Duration(g.Interval) * time.Second)):
		return say("initial", "Elb.RegistrationInProgress", "Target registration is in progress")
	case at.Before(healthy):
		return say("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")
	}
	return object{"State": "healthy"}
}

// targetState is the health of an instance in a target group now.
func (c *call) targetState(arn, id string) string {
	_, g, err := c.liveTargetGroup(arn, c.now)
	if err != nil {
		return ""
	}
	for _, t := range g.Targets {
		if t.ID == id {
			s, _ := c.health(arn, g, t, c.now)["State"].(string)
			return s
		}
	}
	return ""
}

func describeTargetHealth(c *call) (map[string]any, error) {
	arn := c.str("TargetGroupArn")
	_, g, err := c.liveTargetGroup(arn, c.view)
	if err != nil {
		return nil, err
	}
	out := []any{}
	add := func(t target, health object) {
		o := object{"Target": object{"Id": t.ID, "Port": t.Port}, "HealthCheckPort": fmt.Sprint(t.Port), "TargetHealth": health}
		if t.Zone != "" {
			o["Target"].(object)["AvailabilityZone"] = t.Zone
		}
		out = append(out, o)
	}
	if want := c.targetsIn(g); len(want) > 0 {
		for _, t := range want {
			have, ok := g.Targets[t.key()]
			if !ok || c.left(g, have) {
				add(t, object{"State": "unused", "Reason": "Target.NotRegistered", "Description": "Target is not registered to the target group"})
				continue
			}
			add(have, c.health(arn, g, have, c.view))
		}
		return object{"TargetHealthDescriptions": out}, nil
	}
	for _, key := range sorted(g.Targets) {
		if t := g.Targets[key]; !c.left(g, t) {
			add(t, c.health(arn, g, t, c.view))
		}
	}
	return object{"TargetHealthDescriptions": out}, nil
}

// left says whether a target has left its group: it is drained, or was
// terminated.
func (c *call) left(g targetGroup, t target) bool {
	if !t.Until.IsZero() && !c.view.Before(t.Until) {
		return true
	}
	_, i, err := c.liveInstance(t.ID, c.view)
	return g.Kind == "instance" && (err != nil || i.State == "terminated")
}

var elbHandlers = map[string]handler{
	"ModifyListener":        {"elasticloadbalancing:ModifyListener", modifyListener},
	"CreateListener":        {"elasticloadbalancing:CreateListener", createListener},
	"CreateLoadBalancer":    {"elasticloadbalancing:CreateLoadBalancer", createLoadBalancer},
	"CreateTargetGroup":     {"elasticloadbalancing:CreateTargetGroup", createTargetGroup},
	"DeleteListener":        {"elasticloadbalancing:DeleteListener", deleteListener},
	"DeleteLoadBalancer":    {"elasticloadbalancing:DeleteLoadBalancer", deleteLoadBalancer},
	"DeleteTargetGroup":     {"elasticloadbalancing:DeleteTargetGroup", deleteTargetGroup},
	"DeregisterTargets":     {"elasticloadbalancing:DeregisterTargets", deregisterTargets},
	"DescribeListeners":     {"elasticloadbalancing:DescribeListeners", describeListeners},
	"DescribeLoadBalancers": {"elasticloadbalancing:DescribeLoadBalancers", describeLoadBalancers},
	"DescribeTargetGroups":  {"elasticloadbalancing:DescribeTargetGroups", describeTargetGroups},
	"DescribeTargetHealth":  {"elasticloadbalancing:DescribeTargetHealth", describeTargetHealth},
	"RegisterTargets":       {"elasticloadbalancing:RegisterTargets", registerTargets},
}
