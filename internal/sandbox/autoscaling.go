package sandbox

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"
)

// autoscalingState is what EC2 Auto Scaling has in one account and Region beside
// its groups.
type autoscalingState struct {
	Configs    table[launchConfig] `json:"launchConfigurations,omitempty"`
	Refreshes  table[refresh]      `json:"instanceRefreshes,omitempty"`
	Activities []activity          `json:"activities,omitempty"` // by time
}

func (s *autoscalingState) check() error {
	return first(whole("launch configuration", s.Configs), whole("instance refresh", s.Refreshes))
}

// group is an Auto Scaling group.
type group struct {
	ID      string            `json:"id"`
	Created time.Time         `json:"created"`
	Min     int64             `json:"min"`
	Max     int64             `json:"max"`
	Desired int64             `json:"desired"`
	Members map[string]member `json:"members"` // by instance id

	source
	Zones    []string `json:"zones"`
	Subnets  []string `json:"subnets,omitempty"`
	Targets  []string `json:"targetGroups,omitempty"` // ARNs
	Health   string   `json:"healthCheckType"`        // EC2, ELB
	Grace    int64    `json:"healthCheckGracePeriod"` // seconds
	Cooldown int64    `json:"defaultCooldown"`
	Warmup   int64    `json:"defaultInstanceWarmup"` // -1: none
	Protect  bool     `json:"newInstancesProtected,omitempty"`
	Policies []string `json:"terminationPolicies"`
	// MinHealthy and MaxHealthy are the instance maintenance policy's; -1: none.
	MinHealthy int64      `json:"minHealthyPercentage"`
	MaxHealthy int64      `json:"maxHealthyPercentage"`
	Tags       []groupTag `json:"tags,omitempty"`
	Deleting   bool       `json:"deleting,omitempty"`
	// Suspended are the processes that don't run, with their reasons.
	Suspended map[string]string `json:"suspended,omitempty"`
	Failures  int               `json:"failures,omitempty"` // launches that failed in a row
	Retry     time.Time         `json:"retry,omitzero"`     // no launch before
}

// source is what a group makes instances of: one of the three.
type source struct {
	Template templateRef `json:"launchTemplate,omitzero"`
	Config   string      `json:"launchConfiguration,omitempty"`
	Mixed    structure   `json:"mixedInstancesPolicy,omitempty"`
}

// templateRef names a launch template and a version, which may be $Latest or
// $Default.
type templateRef struct {
	ID      string `json:"id,omitempty"`
	Name    string `json:"name,omitempty"`
	Version string `json:"version,omitempty"`
}

func (t templateRef) out() object {
	return object{"LaunchTemplateId": t.ID, "LaunchTemplateName": t.Name, "Version": t.Version}
}

type groupTag struct {
	Key       string `json:"key"`
	Value     string `json:"value"`
	Propagate bool   `json:"propagateAtLaunch,omitempty"`
}

// member is an instance in a group.
type member struct {
	State     string      `json:"state"` // a LifecycleState
	Since     time.Time   `json:"since"`
	Until     time.Time   `json:"until,omitzero"` // of a state on the way to another
	Unhealthy bool        `json:"unhealthy,omitempty"`
	Protected bool        `json:"protected,omitempty"`
	Template  templateRef `json:"launchTemplate,omitzero"` // with the version's number
	Config    string      `json:"launchConfiguration,omitempty"`
	Launched  time.Time   `json:"launched,omitzero"` // by the group
	Cause     string      `json:"cause,omitempty"`   // of its launch or termination
}

// processes are those that can be suspended. Source: Amazon EC2 Auto Scaling
// User Guide, "Suspend and resume Amazon EC2 Auto Scaling processes".
var processes = []string{"AddToLoadBalancer", "AlarmNotification", "AZRebalance", "HealthCheck", "InstanceRefresh", "Launch", "ReplaceUnhealthy", "ScheduledActions", "Terminate"}

func (g *group) runs(process string) bool { _, stopped := g.Suspended[process]; return !stopped }

// active counts the members that make up the capacity.
func (g *group) active() int64 {
	var n int64
	for _, m := range g.Members {
		if m.State == "Pending" || m.State == "InService" {
			n++
		}
	}
	return n
}

func (c *call) groupOf(instanceID string, at time.Time) (name string, m member) {
	for name, g := range table[group](c.home().Groups).all(at) {
		if m, ok := g.Members[instanceID]; ok {
			return name, m
		}
	}
	return "", member{}
}

// validation is Auto Scaling's error for whatever an input has wrong.
func validation(format string, args ...any) error {
	return failure(400, "ValidationError", format, args...)
}

func (c *call) liveGroup() (*record[group], group, error) {
	name := c.str("AutoScalingGroupName")
	if r, g, ok := table[group](c.home().Groups).live(name, c.now); ok {
		return r, g, nil
	}
	return nil, group{}, validation("AutoScalingGroup name not found - AutoScalingGroup '%s' not found", name)
}

// changeGroup changes a group and lets it see to what follows.
func (c *call) changeGroup(name string, change func(*group)) {
	c.home().Groups[name].change(c.now, func(g *group) {
		g.Members = maps.Clone(g.Members)
		change(g)
	})
	c.scale(name)
}

func (c *call) groupARN(name string, g group) string {
	return c.arnOf("autoscaling", "autoScalingGroup:"+g.ID+":autoScalingGroupName/"+name)
}

func (c *call) memberOut(id string, m member, i instance) object {
	health := "Healthy"
	if m.Unhealthy {
		health = "Unhealthy"
	}
	out := object{"InstanceId": id, "InstanceType": i.Type, "AvailabilityZone": i.Zone, "LifecycleState": m.State, "HealthStatus": health, "ProtectedFromScaleIn": m.Protected}
	if m.Template.ID != "" {
		out["LaunchTemplate"] = m.Template.out()
	}
	if m.Config != "" {
		out["LaunchConfigurationName"] = m.Config
	}
	return out
}

func (c *call) scalingGroupOut(name string, g group) object {
	list := []any{}
	for _, id := range sorted(g.Members) {
		if _, i, err := c.liveInstance(id, c.view); err == nil {
			list = append(list, c.memberOut(id, g.Members[id], i))
		}
	}
	out := object{"AutoScalingGroupName": name, "AutoScalingGroupARN": c.groupARN(name, g), "MinSize": g.Min, "MaxSize": g.Max, "DesiredCapacity": g.Desired, "DefaultCooldown": g.Cooldown,
		"AvailabilityZones": anys(g.Zones), "HealthCheckType": g.Health, "HealthCheckGracePeriod": g.Grace, "CreatedTime": g.Created, "Instances": list, "TargetGroupARNs": anys(g.Targets),
		"LoadBalancerNames": []any{}, "EnabledMetrics": []any{}, "TerminationPolicies": anys(g.Policies), "NewInstancesProtectedFromScaleIn": g.Protect, "VPCZoneIdentifier": commaList(g.Subnets),
		"ServiceLinkedRoleARN": c.scalingRole()}
	suspended := []any{}
	for _, p := range sorted(g.Suspended) {
		suspended = append(suspended, object{"ProcessName": p, "SuspensionReason": g.Suspended[p]})
	}
	out["SuspendedProcesses"] = suspended
	tags := []any{}
	for _, t := range g.Tags {
		tags = append(tags, t.out(name))
	}
	out["Tags"] = tags
	if g.Warmup >= 0 {
		out["DefaultInstanceWarmup"] = g.Warmup
	}
	if g.MinHealthy >= 0 {
		out["InstanceMaintenancePolicy"] = object{"MinHealthyPercentage": g.MinHealthy, "MaxHealthyPercentage": g.MaxHealthy}
	}
	switch {
	case g.Template.ID != "":
		out["LaunchTemplate"] = g.Template.out()
	case g.Config != "":
		out["LaunchConfigurationName"] = g.Config
	case g.Mixed != nil:
		out["MixedInstancesPolicy"] = object(g.Mixed)
	}
	if g.Deleting {
		out["Status"] = "Delete in progress"
	}
	return out
}

// scalingRole is the service-linked role that groups act by.
func (c *call) scalingRole() string {
	return c.globalARN("iam", "role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling")
}

func (t groupTag) out(group string) object {
	return object{"Key": t.Key, "Value": t.Value, "PropagateAtLaunch": t.Propagate, "ResourceId": group, "ResourceType": "auto-scaling-group"}
}

func commaList(l []string) string {
	out := ""
	for n, s := range l {
		if n > 0 {
			out += ","
		}
		out += s
	}
	return out
}

// records cuts a list by MaxRecords and NextToken.
func records[T any](c *call, key string, items []T, render func(T) any) (map[string]any, error) {
	at := *c
	at.in = maps.Clone(c.in)
	if at.in == nil {
		at.in = object{}
	}
	n, given := c.int("MaxRecords")
	if !given {
		n = 50
	}
	if n < 1 || n > 100 {
		return nil, validation("MaxRecords is from 1 to 100")
	}
	at.in["MaxResults"] = n
	return paged(&at, key, items, render)
}

func describeGroups(c *call) (map[string]any, error) {
	want := c.strings("AutoScalingGroupNames")
	values := filterTable[group]{
		"tag-key": func(_ *call, _ string, g group) []string {
			return tagTexts(g, func(t groupTag) string { return t.Key })
		},
		"tag-value": func(_ *call, _ string, g group) []string {
			return tagTexts(g, func(t groupTag) string { return t.Value })
		},
	}
	fits, err := filtering(c, values)
	if err != nil {
		return nil, err
	}
	var found []held[group]
	for name, g := range table[group](c.home().Groups).all(c.view) {
		if (len(want) == 0 || slices.Contains(want, name)) && fits(name, g, g.tagSet()) {
			found = append(found, held[group]{name, g})
		}
	}
	return records(c, "AutoScalingGroups", found, func(e held[group]) any { return c.scalingGroupOut(e.id, e.v) })
}

func tagTexts(g group, of func(groupTag) string) []string {
	var out []string
	for _, t := range g.Tags {
		out = append(out, of(t))
	}
	return out
}

func (g group) tagSet() tagSet {
	out := tagSet{}
	for _, t := range g.Tags {
		out[t.Key] = t.Value
	}
	return out
}

func describeScalingInstances(c *call) (map[string]any, error) {
	want := c.strings("InstanceIds")
	var found []object
	for name, g := range table[group](c.home().Groups).all(c.view) {
		for _, id := range sorted(g.Members) {
			if len(want) > 0 && !slices.Contains(want, id) {
				continue
			}
			if _, i, err := c.liveInstance(id, c.view); err == nil {
				o := c.memberOut(id, g.Members[id], i)
				o["AutoScalingGroupName"] = name
				o["HealthStatus"] = map[bool]string{true: "UNHEALTHY", false: "HEALTHY"}[g.Members[id].Unhealthy]
				found = append(found, o)
			}
		}
	}
	return records(c, "AutoScalingInstances", found, func(o object) any { return o })
}

// activity is a scaling activity.
type activity struct {
	ID      string    `json:"id"`
	Group   string    `json:"group"`
	Text    string    `json:"description"`
	Cause   string    `json:"cause"`
	Start   time.Time `json:"start"`
	End     time.Time `json:"end"`
	Status  string    `json:"status"` // once it has ended
	Message string    `json:"message,omitempty"`
}

// maxActivities is how many activities are kept.
const maxActivities = 500

func (c *call) note(a activity) activity {
	a.ID, a.Start = c.occurrence(), c.now
	s := &c.home().AutoScaling
	s.Activities = append(s.Activities, a)
	if over := len(s.Activities) - maxActivities; over > 0 {
		s.Activities = slices.Delete(s.Activities, 0, over)
	}
	return a
}

func (c *call) activityOut(a activity) object {
	out := object{"ActivityId": a.ID, "AutoScalingGroupName": a.Group, "Description": a.Text, "Cause": a.Cause, "StartTime": a.Start, "StatusCode": "InProgress", "Progress": int64(50), "Details": "{}"}
	if !c.view.Before(a.End) {
		out["StatusCode"], out["Progress"], out["EndTime"] = a.Status, int64(100), a.End
		if a.Message != "" {
			out["StatusMessage"] = a.Message
		}
	}
	return out
}

func describeActivities(c *call) (map[string]any, error) {
	name, want := c.str("AutoScalingGroupName"), c.strings("ActivityIds")
	var found []activity
	for _, a := range slices.Backward(c.home().AutoScaling.Activities) { // the newest first
		if (name == "" || a.Group == name) && (len(want) == 0 || slices.Contains(want, a.ID)) && !a.Start.After(c.view) {
			found = append(found, a)
		}
	}
	return records(c, "Activities", found, func(a activity) any { return c.activityOut(a) })
}

// numberOf writes a version's number.
func numberOf(v templateVersion) string { return strconv.FormatInt(v.Number, 10) }

// templateOf resolves a specification of a launch template, and keeps its
// version as it was given.
func (c *call) templateOf(spec object) (templateRef, error) {
	id, _, t, err := c.findTemplate(spec)
	if err != nil {
		return templateRef{}, validation("%v", err)
	}
	version, _ := spec["Version"].(string)
	version = cmp.Or(version, "$Default")
	if _, err := t.version(version); err != nil {
		return templateRef{}, validation("%v", err)
	}
	return templateRef{id, t.Name, version}, nil
}

var autoscalingHandlers = map[string]handler{
	"AttachInstances":                     {"autoscaling:AttachInstances", attachInstances},
	"CancelInstanceRefresh":               {"autoscaling:CancelInstanceRefresh", cancelRefresh},
	"CreateAutoScalingGroup":              {"autoscaling:CreateAutoScalingGroup", createGroup},
	"CreateLaunchConfiguration":           {"autoscaling:CreateLaunchConfiguration", createConfig},
	"CreateOrUpdateTags":                  {"autoscaling:CreateOrUpdateTags", tagGroups},
	"DeleteAutoScalingGroup":              {"autoscaling:DeleteAutoScalingGroup", deleteGroup},
	"DeleteLaunchConfiguration":           {"autoscaling:DeleteLaunchConfiguration", deleteConfig},
	"DeleteTags":                          {"autoscaling:DeleteTags", untagGroups},
	"DescribeAutoScalingGroups":           {"autoscaling:DescribeAutoScalingGroups", describeGroups},
	"DescribeAutoScalingInstances":        {"autoscaling:DescribeAutoScalingInstances", describeScalingInstances},
	"DescribeInstanceRefreshes":           {"autoscaling:DescribeInstanceRefreshes", describeRefreshes},
	"DescribeLaunchConfigurations":        {"autoscaling:DescribeLaunchConfigurations", describeConfigs},
	"DescribeScalingActivities":           {"autoscaling:DescribeScalingActivities", describeActivities},
	"DetachInstances":                     {"autoscaling:DetachInstances", detachInstances},
	"EnterStandby":                        {"autoscaling:EnterStandby", enterStandby},
	"ExitStandby":                         {"autoscaling:ExitStandby", exitStandby},
	"ResumeProcesses":                     {"autoscaling:ResumeProcesses", resumeProcesses},
	"RollbackInstanceRefresh":             {"autoscaling:RollbackInstanceRefresh", rollbackRefresh},
	"SetDesiredCapacity":                  {"autoscaling:SetDesiredCapacity", setDesired},
	"SetInstanceHealth":                   {"autoscaling:SetInstanceHealth", setHealth},
	"SetInstanceProtection":               {"autoscaling:SetInstanceProtection", setProtection},
	"StartInstanceRefresh":                {"autoscaling:StartInstanceRefresh", startRefresh},
	"SuspendProcesses":                    {"autoscaling:SuspendProcesses", suspendProcesses},
	"TerminateInstanceInAutoScalingGroup": {"autoscaling:TerminateInstanceInAutoScalingGroup", terminateMember},
	"UpdateAutoScalingGroup":              {"autoscaling:UpdateAutoScalingGroup", updateGroup},
}
