package sandbox

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// launchConfig is a launch configuration; Data is in the form of RunInstances's
// input.
type launchConfig struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Input   structure `json:"input"`
	Data    structure `json:"data"`
}

func createConfig(c *call) (map[string]any, error) {
	name := c.str("LaunchConfigurationName")
	if _, _, ok := c.home().AutoScaling.Configs.live(name, c.now); ok {
		return nil, failure(400, "AlreadyExists", "Launch Configuration by this name already exists - A launch configuration already exists with the name %s", name)
	}
	d := structure{}
	input := structure(maps.Clone(c.in))
	if id := c.str("InstanceId"); id != "" {
		_, i, err := c.liveInstance(id, c.now)
		if err != nil {
			return nil, validation("%v", err)
		}
		d = i.likeness()
		for k, v := range d {
			if _, given := input[k]; !given && k != "SecurityGroupIds" {
				input[k] = v
			}
		}
		input["SecurityGroups"] = d["SecurityGroupIds"]
		delete(input, "InstanceId")
	}
	for from, to := range map[string]string{"ImageId": "ImageId", "InstanceType": "InstanceType", "KeyName": "KeyName", "SecurityGroups": "SecurityGroupIds", "UserData": "UserData",
		"BlockDeviceMappings": "BlockDeviceMappings", "EbsOptimized": "EbsOptimized", "MetadataOptions": "MetadataOptions"} {
		if v, ok := c.in[from]; ok {
			d[to] = v
		}
	}
	if d["ImageId"] == nil || d["InstanceType"] == nil {
		return nil, validation("Valid requests must contain either the InstanceID parameter or both the ImageId and InstanceType parameters.")
	}
	if profile := c.str("IamInstanceProfile"); profile != "" {
		d["IamInstanceProfile"] = object{"Name": profile}
		if strings.HasPrefix(profile, "arn:") {
			d["IamInstanceProfile"] = object{"Arn": profile}
		}
	}
	if c.str("SpotPrice") != "" {
		d["InstanceMarketOptions"] = object{"MarketType": "spot"}
	}
	if m := c.object("InstanceMonitoring"); m != nil {
		d["Monitoring"] = m
	}
	c.home().AutoScaling.Configs.put(name, c.now, launchConfig{ID: uuid(c.id("", 32)), Created: c.now, Input: input, Data: d})
	return object{}, nil
}

// likeness is what launches an instance like another.
func (i instance) likeness() structure {
	d := structure{"ImageId": i.Image, "InstanceType": i.Type, "SecurityGroupIds": anys(i.Groups)}
	if i.Key != "" {
		d["KeyName"] = i.Key
	}
	return d
}

func deleteConfig(c *call) (map[string]any, error) {
	name := c.str("LaunchConfigurationName")
	r, _, ok := c.home().AutoScaling.Configs.live(name, c.now)
	if !ok {
		return nil, validation("Launch configuration name not found - Launch configuration %s not found", name)
	}
	for groupName, g := range table[group](c.home().Groups).all(c.now) {
		if g.Config == name {
			return nil, failure(400, "ResourceInUse", "Cannot delete launch configuration %s because it is attached to AutoScalingGroup %s", name, groupName)
		}
	}
	r.end(c.now)
	return object{}, nil
}

func describeConfigs(c *call) (map[string]any, error) {
	want := c.strings("LaunchConfigurationNames")
	var found []held[launchConfig]
	for name, l := range c.home().AutoScaling.Configs.all(c.view) {
		if len(want) == 0 || slices.Contains(want, name) {
			found = append(found, held[launchConfig]{name, l})
		}
	}
	return records(c, "LaunchConfigurations", found, func(e held[launchConfig]) any {
		// What wasn't given is described as empty.
		out := object{"KernelId": "", "RamdiskId": "", "UserData": "", "BlockDeviceMappings": []any{}, "ClassicLinkVPCSecurityGroups": []any{}}
		maps.Copy(out, e.v.Input)
		out["LaunchConfigurationName"], out["CreatedTime"] = e.id, e.v.Created
		out["LaunchConfigurationARN"] = c.arnOf("autoscaling", "launchConfiguration:"+e.v.ID+":launchConfigurationName/"+e.id)
		return out
	})
}

func createGroup(c *call) (map[string]any, error) {
	name := c.str("AutoScalingGroupName")
	if _, _, ok := table[group](c.home().Groups).live(name, c.now); ok {
		return nil, failure(400, "AlreadyExists", "AutoScalingGroup by this name already exists - A group with the name %s already exists", name)
	}
	if name == "" || len(name) > 255 || strings.Contains(name, ":") {
		return nil, validation("An AutoScalingGroupName is of 1 to 255 characters, without a colon.")
	}
	g := group{Created: c.now, Health: "EC2", Cooldown: 300, Warmup: -1, MinHealthy: -1, MaxHealthy: -1, Policies: []string{"Default"}, Members: map[string]member{}}
	if id := c.str("InstanceId"); id != "" { // the group gets a launch configuration like the instance
		_, i, err := c.liveInstance(id, c.now)
		if err != nil {
			return nil, validation("%v", err)
		}
		if _, err := c.sub(createConfig, "autoscaling", "CreateLaunchConfiguration", object{"LaunchConfigurationName": name, "InstanceId": id}); err != nil {
			return nil, err
		}
		g.Config, g.Subnets, g.Zones = name, []string{i.Subnet}, []string{i.Zone}
	}
	if err := c.specGroup(&g); err != nil {
		return nil, err
	}
	if n := btoi(g.Template.ID != "") + btoi(g.Config != "") + btoi(g.Mixed != nil); n != 1 {
		return nil, validation("Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.")
	}
	if len(g.Zones) == 0 {
		return nil, validation("At least one Availability Zone or VPC Subnet is required.")
	}
	if _, given := c.int("DesiredCapacity"); !given {
		g.Desired = g.Min
	}
	if err := g.sizes(); err != nil {
		return nil, err
	}
	tags, err := c.groupTags(name)
	if err != nil {
		return nil, err
	}
	g.ID, g.Tags = uuid(c.id("", 32)), tags
	groups := table[group](c.home().Groups)
	groups.put(name, c.now, g)
	c.scale(name)
	return object{}, nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (g *group) sizes() error {
	switch {
	case g.Min < 0 || g.Max < g.Min:
		return validation("Max bound, %d, must be greater than or equal to min bound, %d", g.Max, g.Min)
	case g.Desired > g.Max:
		return validation("Desired capacity:%d must be less than or equal to max size:%d", g.Desired, g.Max)
	case g.Desired < g.Min:
		return validation("Desired capacity:%d must be greater than or equal to min size:%d", g.Desired, g.Min)
	}
	return nil
}

// specGroup reads what CreateAutoScalingGroup and UpdateAutoScalingGroup have in
// common.
func (c *call) specGroup(g *group) error {
	for member, to := range map[string]*int64{"MinSize": &g.Min, "MaxSize": &g.Max, "DesiredCapacity": &g.Desired, "DefaultCooldown": &g.Cooldown,
		"HealthCheckGracePeriod": &g.Grace, "DefaultInstanceWarmup": &g.Warmup} {
		if n, ok := c.int(member); ok {
			*to = n
		}
	}
	if b, ok := c.in["NewInstancesProtectedFromScaleIn"].(bool); ok {
		g.Protect = b
	}
	if h := c.str("HealthCheckType"); h != "" {
		for part := range strings.SplitSeq(h, ",") {
			if !slices.Contains([]string{"EC2", "ELB", "VPC_LATTICE", "EBS"}, part) {
				return validation("The HealthCheckType %s is not valid.", h)
			}
		}
		g.Health = h
	}
	if p := c.strings("TerminationPolicies"); len(p) > 0 {
		g.Policies = p
	}
	if m := c.object("InstanceMaintenancePolicy"); m != nil {
		low, hasLow := m["MinHealthyPercentage"].(int64)
		high, hasHigh := m["MaxHealthyPercentage"].(int64)
		if !hasLow || !hasHigh {
			return validation("Both MinHealthyPercentage and MaxHealthyPercentage are required.")
		}
		if err := healthyRange(low, high); low != -1 && err != nil {
			return err
		}
		g.MinHealthy, g.MaxHealthy = low, high
	}
	if targets := c.strings("TargetGroupARNs"); len(targets) > 0 {
		for _, arn := range targets {
			if _, _, ok := c.home().ELB.Groups.live(arn, c.now); !ok {
				return validation("Provided Target Groups may not be valid: %s", arn)
			}
		}
		g.Targets = targets
	}
	if err := c.specSource(g); err != nil {
		return err
	}
	return c.specPlace(g)
}

// specSource reads what a group is to make instances of.
func (c *call) specSource(g *group) error {
	s, err := c.sourceOf(c.in)
	if err != nil {
		return err
	}
	if name := c.str("LaunchConfigurationName"); name != "" {
		if _, _, ok := c.home().AutoScaling.Configs.live(name, c.now); !ok {
			return validation("Launch configuration name not found - Launch configuration %s not found", name)
		}
		if s.Template.ID != "" || s.Mixed != nil {
			return validation("Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.")
		}
		s.Config = name
	}
	if s.Template.ID != "" || s.Config != "" || s.Mixed != nil {
		g.source = s
	}
	return nil
}

// sourceOf reads the launch template or the mixed instances policy of a
// structure.
func (c *call) sourceOf(in object) (source, error) {
	var s source
	var err error
	spec, _ := in["LaunchTemplate"].(object)
	mixed, _ := in["MixedInstancesPolicy"].(object)
	switch {
	case spec != nil && mixed != nil:
		return s, validation("Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.")
	case spec != nil:
		s.Template, err = c.templateOf(spec)
	case mixed != nil:
		s.Mixed = structure(mixed)
		_, err = c.templateOf(s.mixedSpec())
	}
	return s, err
}

// mixedSpec is the launch template specification of a mixed instances policy.
func (s source) mixedSpec() object {
	t, _ := s.Mixed["LaunchTemplate"].(object)
	spec, _ := t["LaunchTemplateSpecification"].(object)
	return spec
}

// specPlace reads where a group is to make instances.
func (c *call) specPlace(g *group) error {
	var places []string
	for id := range strings.SplitSeq(c.str("VPCZoneIdentifier"), ",") {
		if id = strings.TrimSpace(id); id != "" {
			places = append(places, id)
		}
	}
	given := c.strings("AvailabilityZones")
	for _, z := range given {
		if !slices.Contains(zones(c.region), z) {
			return validation("Invalid Availability Zone: %s", z)
		}
	}
	if len(places) == 0 {
		if len(given) > 0 {
			g.Zones, g.Subnets = given, nil
		}
		return nil
	}
	var of []string
	for _, id := range places {
		_, s, err := subnets.now(c, id)
		if err != nil {
			return validation("The subnet ID '%s' does not exist", id)
		}
		if !slices.Contains(of, s.Zone) {
			of = append(of, s.Zone)
		}
	}
	slices.Sort(of)
	g.Subnets, g.Zones = places, of
	return nil
}

// groupTags reads Tags; each may name the group that it is of.
func (c *call) groupTags(name string) ([]groupTag, error) {
	var out []groupTag
	for _, o := range c.objects("Tags") {
		if id, ok := o["ResourceId"].(string); ok && id != name {
			continue
		}
		tags, err := parseTags([]any{o})
		if err != nil {
			return nil, validation("%v", err)
		}
		propagate, _ := o["PropagateAtLaunch"].(bool)
		for k, v := range tags {
			out = append(out, groupTag{k, v, propagate})
		}
	}
	slices.SortFunc(out, func(a, b groupTag) int { return strings.Compare(a.Key, b.Key) })
	return out, nil
}

// tagGroups serves CreateOrUpdateTags.
func tagGroups(c *call) (map[string]any, error) {
	return c.eachTaggedGroup(func(have, given []groupTag) []groupTag {
		out := slices.DeleteFunc(slices.Clone(have), func(t groupTag) bool {
			return slices.ContainsFunc(given, func(g groupTag) bool { return g.Key == t.Key })
		})
		return append(out, given...)
	})
}

func untagGroups(c *call) (map[string]any, error) {
	return c.eachTaggedGroup(func(have, given []groupTag) []groupTag {
		return slices.DeleteFunc(slices.Clone(have), func(t groupTag) bool {
			return slices.ContainsFunc(given, func(g groupTag) bool { return g.Key == t.Key })
		})
	})
}

func (c *call) eachTaggedGroup(fn func(have, given []groupTag) []groupTag) (map[string]any, error) {
	names := map[string]bool{}
	for _, o := range c.objects("Tags") {
		name, _ := o["ResourceId"].(string)
		if _, _, ok := table[group](c.home().Groups).live(name, c.now); !ok {
			return nil, validation("AutoScalingGroup name not found - AutoScalingGroup '%s' not found", name)
		}
		names[name] = true
	}
	for _, name := range sorted(names) {
		given, err := c.groupTags(name)
		if err != nil {
			return nil, err
		}
		c.home().Groups[name].change(c.now, func(g *group) {
			g.Tags = fn(g.Tags, given)
			slices.SortFunc(g.Tags, func(a, b groupTag) int { return strings.Compare(a.Key, b.Key) })
		})
	}
	return object{}, nil
}

func updateGroup(c *call) (map[string]any, error) {
	_, g, err := c.liveGroup()
	if err != nil {
		return nil, err
	}
	if g.Deleting {
		return nil, failure(400, "ScalingActivityInProgress", "You cannot update the group %s while it is being deleted.", c.str("AutoScalingGroupName"))
	}
	if err := c.specGroup(&g); err != nil {
		return nil, err
	}
	if _, given := c.int("DesiredCapacity"); !given { // the sizes draw it along
		g.Desired = min(max(g.Desired, g.Min), g.Max)
	}
	if err := g.sizes(); err != nil {
		return nil, err
	}
	c.changeGroup(c.str("AutoScalingGroupName"), func(now *group) { g.Retry, g.Failures = time.Time{}, 0; *now = g })
	return object{}, nil
}

func setDesired(c *call) (map[string]any, error) {
	_, g, err := c.liveGroup()
	if err != nil {
		return nil, err
	}
	g.Desired, _ = c.int("DesiredCapacity")
	if g.Desired < g.Min || g.Desired > g.Max {
		return nil, validation("New SetDesiredCapacity value %d is not between min value %d and max value %d.", g.Desired, g.Min, g.Max)
	}
	c.changeGroup(c.str("AutoScalingGroupName"), func(now *group) { now.Desired = g.Desired })
	return object{}, nil
}

func deleteGroup(c *call) (map[string]any, error) {
	name := c.str("AutoScalingGroupName")
	r, g, err := c.liveGroup()
	if err != nil {
		return nil, err
	}
	if len(g.Members) == 0 {
		r.end(c.now)
		return object{}, nil
	}
	if !c.bool("ForceDelete") {
		return nil, failure(400, "ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.")
	}
	c.changeGroup(name, func(g *group) {
		g.Deleting, g.Min, g.Desired = true, 0, 0
		for id, m := range g.Members {
			m.Protected = false
			if m.State == "Standby" {
				m.State = "InService"
			}
			g.Members[id] = m
		}
	})
	return object{}, nil
}

func suspendProcesses(c *call) (map[string]any, error) {
	return c.setProcesses(func(s map[string]string, p string) { s[p] = "User suspended at " + c.now.UTC().Format(time.RFC3339) })
}

func resumeProcesses(c *call) (map[string]any, error) {
	return c.setProcesses(func(s map[string]string, p string) { delete(s, p) })
}

// setProcesses changes the processes that a call names, or all of them.
func (c *call) setProcesses(set func(map[string]string, string)) (map[string]any, error) {
	if _, _, err := c.liveGroup(); err != nil {
		return nil, err
	}
	names := c.strings("ScalingProcesses")
	for _, p := range names {
		if !slices.Contains(processes, p) {
			return nil, validation("%s is not a recognized scaling process: valid values are %s", p, strings.Join(processes, ", "))
		}
	}
	if len(names) == 0 {
		names = processes
	}
	c.changeGroup(c.str("AutoScalingGroupName"), func(g *group) {
		g.Suspended = maps.Clone(g.Suspended)
		if g.Suspended == nil {
			g.Suspended = map[string]string{}
		}
		for _, p := range names {
			set(g.Suspended, p)
		}
	})
	return object{}, nil
}
