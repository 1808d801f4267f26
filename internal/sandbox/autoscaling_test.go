package sandbox

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// fleetOf makes a launch template and a group of it with a desired capacity.
func (w *world) fleetOf(n int64, more ...any) {
	w.t.Helper()
	w.do("ec2", "CreateLaunchTemplate", object{"LaunchTemplateName": "web", "LaunchTemplateData": object{"ImageId": linux, "InstanceType": "t3.micro",
		"TagSpecifications": []any{object{"ResourceType": "volume", "Tags": []any{object{"Key": "Of", "Value": "web"}}}}}})
	w.do("autoscaling", "CreateAutoScalingGroup", with(object{"AutoScalingGroupName": "web", "MinSize": int64(0), "MaxSize": int64(10), "DesiredCapacity": n,
		"AvailabilityZones": ids("eu-west-1a", "eu-west-1b"), "LaunchTemplate": object{"LaunchTemplateName": "web", "Version": "1"}, "Tags": []any{
			object{"Key": "Team", "Value": "shop", "PropagateAtLaunch": true}, object{"Key": "Secret", "Value": "s", "PropagateAtLaunch": false}}}, more...))
	w.clock.Advance(instanceStart)
}

func (w *world) theGroup() object {
	w.t.Helper()
	return w.one("autoscaling", "DescribeAutoScalingGroups", "AutoScalingGroups", object{"AutoScalingGroupNames": ids("web")})
}

// members gives the group's members' states by their ids.
func (w *world) members() map[string]string {
	w.t.Helper()
	out := map[string]string{}
	for _, m := range objects(w.theGroup()["Instances"]) {
		out[m["InstanceId"].(string)] = m["LifecycleState"].(string)
	}
	return out
}

func (w *world) inService() (out []string) {
	for id, state := range w.members() {
		if state == "InService" {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

func TestAGroupMakesItsInstances(t *testing.T) {
	w := newWorld(t)
	w.fleetOf(3)
	zones := map[any]int{}
	for _, r := range w.list("ec2", "DescribeInstances", "Reservations", object{"Filters": by("tag:aws:autoscaling:groupName", "web")}) {
		i := objects(r["Instances"])[0]
		zones[at(i, "Placement.AvailabilityZone")]++
		tags := map[any]any{}
		for _, tag := range objects(i["Tags"]) {
			tags[tag["Key"]] = tag["Value"]
		}
		if tags["Team"] != "shop" || tags["Secret"] != nil || tags["aws:ec2launchtemplate:version"] != "1" {
			t.Errorf("tags %v", tags)
		}
	}
	if want := map[any]int{"eu-west-1a": 2, "eu-west-1b": 1}; !reflect.DeepEqual(zones, want) {
		t.Errorf("zones %v", zones)
	}
	if got := w.inService(); len(got) != 3 {
		t.Errorf("in service %v", got)
	}
	m := objects(w.theGroup()["Instances"])[0]
	if at(m, "LaunchTemplate.Version") != "1" || m["InstanceType"] != "t3.micro" || m["HealthStatus"] != "Healthy" {
		t.Errorf("%v", m)
	}
	w.do("autoscaling", "SetDesiredCapacity", object{"AutoScalingGroupName": "web", "DesiredCapacity": int64(1)})
	if last := w.Calls()[len(w.Calls())-1]; !strings.HasSuffix(last.Principal, ":user/operator") {
		t.Errorf("the call was made by %s", last.Principal)
	}
	w.clock.Advance(time.Minute)
	if got := w.members(); len(got) != 1 {
		t.Errorf("after the capacity was lowered: %v", got)
	}
	w.do("autoscaling", "UpdateAutoScalingGroup", object{"AutoScalingGroupName": "web", "MinSize": int64(2)})
	w.clock.Advance(time.Minute)
	if got := w.inService(); len(got) != 2 || w.theGroup()["DesiredCapacity"] != int64(2) {
		t.Errorf("after the least size was raised: %v", got)
	}
	w.fails("ResourceInUse", "autoscaling", "DeleteAutoScalingGroup", object{"AutoScalingGroupName": "web"})
	w.do("autoscaling", "DeleteAutoScalingGroup", object{"AutoScalingGroupName": "web", "ForceDelete": true})
	if w.theGroup()["Status"] != "Delete in progress" {
		t.Errorf("%v", w.theGroup())
	}
	w.clock.Advance(time.Minute)
	if l := w.list("autoscaling", "DescribeAutoScalingGroups", "AutoScalingGroups", nil); len(l) != 0 {
		t.Errorf("%v", l)
	}
	if l := w.list("ec2", "DescribeInstances", "Reservations", object{"Filters": by("instance-state-name", "running")}); len(l) != 0 {
		t.Errorf("%d instances outlive their group", len(l))
	}
}

func TestAGroupReplacesWhatItLoses(t *testing.T) {
	w := newWorld(t)
	w.fleetOf(2)
	before := w.inService()
	w.do("ec2", "TerminateInstances", object{"InstanceIds": ids(before[0])})
	w.do("ec2", "StopInstances", object{"InstanceIds": ids(before[1])})
	w.clock.Advance(instanceStop)
	w.do("ec2", "StartInstances", object{"InstanceIds": ids(before[1])}) // in time
	w.clock.Advance(10 * time.Minute)
	after := w.inService()
	if len(after) != 2 || slices.Contains(after, before[0]) || !slices.Contains(after, before[1]) {
		t.Errorf("%v, then %v", before, after)
	}
	var texts []string
	for _, a := range w.list("autoscaling", "DescribeScalingActivities", "Activities", object{"AutoScalingGroupName": "web"}) {
		text, _, _ := strings.Cut(a["Description"].(string), ":")
		texts = append(texts, text+" "+a["StatusCode"].(string))
	}
	want := []string{"Launching a new EC2 instance Successful", "Terminating EC2 instance Successful", "Launching a new EC2 instance Successful", "Launching a new EC2 instance Successful"}
	if !slices.Equal(texts, want) {
		t.Errorf("%q", texts)
	}
	w.do("autoscaling", "SetInstanceHealth", object{"InstanceId": after[0], "HealthStatus": "Unhealthy"})
	w.clock.Advance(time.Minute)
	if got := w.inService(); len(got) != 2 || slices.Contains(got, after[0]) {
		t.Errorf("%v", got)
	}
}

func TestSuspendedProcessesDontRun(t *testing.T) {
	w := newWorld(t)
	w.fleetOf(2)
	suspend := func(p ...string) {
		w.do("autoscaling", "SuspendProcesses", object{"AutoScalingGroupName": "web", "ScalingProcesses": ids(p...)})
	}
	resume := func(p ...string) {
		w.do("autoscaling", "ResumeProcesses", object{"AutoScalingGroupName": "web", "ScalingProcesses": ids(p...)})
	}
	suspend("Launch")
	lost := w.inService()[0]
	w.do("ec2", "TerminateInstances", object{"InstanceIds": ids(lost)})
	w.clock.Advance(time.Hour)
	if got := w.inService(); len(got) != 1 {
		t.Errorf("Launch is suspended: %v", got)
	}
	resume("Launch")
	w.clock.Advance(time.Minute)
	if got := w.inService(); len(got) != 2 {
		t.Errorf("Launch is resumed: %v", got)
	}
	suspend("ReplaceUnhealthy")
	stopped := w.inService()[0]
	w.do("ec2", "StopInstances", object{"InstanceIds": ids(stopped)})
	w.clock.Advance(time.Hour)
	if got := w.instanceState(stopped); got != "stopped" {
		t.Errorf("ReplaceUnhealthy is suspended, and the instance is %s", got)
	}
	if l := objects(w.theGroup()["SuspendedProcesses"]); len(l) != 1 || l[0]["ProcessName"] != "ReplaceUnhealthy" {
		t.Errorf("%v", l)
	}
	w.do("autoscaling", "ResumeProcesses", object{"AutoScalingGroupName": "web"})
	w.clock.Advance(time.Minute)
	if got := w.instanceState(stopped); got != "terminated" {
		t.Errorf("all is resumed, and the instance is %s", got)
	}
	w.fails("ValidationError", "autoscaling", "SuspendProcesses", object{"AutoScalingGroupName": "web", "ScalingProcesses": ids("Sleep")})
	w.fails("ValidationError", "autoscaling", "ResumeProcesses", object{"AutoScalingGroupName": "nobody"})
}

func TestMembersComeAndGo(t *testing.T) {
	w := newWorld(t)
	w.fleetOf(2)
	m := w.inService()
	name := object{"AutoScalingGroupName": "web"}
	w.do("autoscaling", "SetInstanceProtection", with(name, "InstanceIds", ids(m...), "ProtectedFromScaleIn", true))
	w.do("autoscaling", "SetDesiredCapacity", with(name, "DesiredCapacity", int64(0)))
	w.clock.Advance(time.Minute)
	if got := w.inService(); len(got) != 2 {
		t.Errorf("protected members went: %v", got)
	}
	w.do("autoscaling", "SetDesiredCapacity", with(name, "DesiredCapacity", int64(2)))
	out := w.do("autoscaling", "EnterStandby", with(name, "InstanceIds", ids(m[0]), "ShouldDecrementDesiredCapacity", true))
	if a := objects(out["Activities"]); len(a) != 1 || a[0]["StatusCode"] != "InProgress" {
		t.Errorf("%v", out)
	}
	w.fails("ValidationError", "autoscaling", "ExitStandby", with(name, "InstanceIds", ids(m[0])))
	w.clock.Advance(standbyTime)
	if got := w.members(); got[m[0]] != "Standby" || w.theGroup()["DesiredCapacity"] != int64(1) {
		t.Errorf("%v", got)
	}
	w.do("autoscaling", "ExitStandby", with(name, "InstanceIds", ids(m[0])))
	w.clock.Advance(standbyTime)
	if got := w.inService(); len(got) != 2 {
		t.Errorf("%v", got)
	}
	w.do("autoscaling", "DetachInstances", with(name, "InstanceIds", ids(m[0]), "ShouldDecrementDesiredCapacity", false))
	w.clock.Advance(time.Minute)
	if got := w.inService(); len(got) != 2 || slices.Contains(got, m[0]) || w.instanceState(m[0]) != "running" {
		t.Errorf("%v", got)
	}
	w.do("autoscaling", "AttachInstances", with(name, "InstanceIds", ids(m[0])))
	if got := w.inService(); len(got) != 3 || w.theGroup()["DesiredCapacity"] != int64(3) {
		t.Errorf("%v", got)
	}
	w.do("autoscaling", "TerminateInstanceInAutoScalingGroup", object{"InstanceId": m[0], "ShouldDecrementDesiredCapacity": true})
	w.clock.Advance(time.Minute)
	if got := w.inService(); len(got) != 2 || w.instanceState(m[0]) != "terminated" {
		t.Errorf("%v", got)
	}
	other := w.launch(object{"Placement": object{"AvailabilityZone": "eu-west-1c"}})
	for operation, in := range map[string]object{
		"AttachInstances":    {"InstanceIds": ids(other)},
		"DetachInstances":    {"InstanceIds": ids(other), "ShouldDecrementDesiredCapacity": true},
		"EnterStandby":       {"InstanceIds": ids(m[0]), "ShouldDecrementDesiredCapacity": true},
		"SetDesiredCapacity": {"DesiredCapacity": int64(11)},
	} {
		w.fails("ValidationError", "autoscaling", operation, with(in, "AutoScalingGroupName", "web"))
	}
}

func TestWhatAGroupRefuses(t *testing.T) {
	w := newWorld(t)
	w.fleetOf(0)
	base := object{"AutoScalingGroupName": "other", "MinSize": int64(0), "MaxSize": int64(2), "AvailabilityZones": ids("eu-west-1a"), "LaunchTemplate": object{"LaunchTemplateName": "web"}}
	w.refused("autoscaling", "CreateAutoScalingGroup", base, map[string][]object{
		"AlreadyExists": {{"AutoScalingGroupName": "web"}},
		"ValidationError": {{"LaunchTemplate": nil}, {"AvailabilityZones": nil}, {"AvailabilityZones": ids("eu-west-1z")}, {"VPCZoneIdentifier": "subnet-1"}, {"MinSize": int64(3)}, {"DesiredCapacity": int64(3)},
			{"LaunchTemplate": object{"LaunchTemplateName": "nobody"}}, {"LaunchTemplate": object{"LaunchTemplateName": "web", "Version": "9"}}, {"LaunchConfigurationName": "nobody"}, {"InstanceId": "i-1"},
			{"HealthCheckType": "PULSE"}, {"TargetGroupARNs": ids("arn:none")}, {"InstanceMaintenancePolicy": object{"MinHealthyPercentage": int64(50), "MaxHealthyPercentage": int64(190)}}},
		"MissingParameter": {{"MaxSize": nil}},
	})
	w.fails("ValidationError", "autoscaling", "UpdateAutoScalingGroup", object{"AutoScalingGroupName": "nobody"})
	w.fails("ValidationError", "autoscaling", "UpdateAutoScalingGroup", object{"AutoScalingGroupName": "web", "DesiredCapacity": int64(11)})
}

func TestALaunchThatFailsIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	w.do("ec2", "CreateLaunchTemplate", object{"LaunchTemplateName": "web", "LaunchTemplateData": object{"ImageId": "ami-1", "InstanceType": "t3.micro"}})
	w.do("autoscaling", "CreateAutoScalingGroup", object{"AutoScalingGroupName": "web", "MinSize": int64(1), "MaxSize": int64(1), "AvailabilityZones": ids("eu-west-1a"),
		"LaunchTemplate": object{"LaunchTemplateName": "web", "Version": "$Latest"}})
	w.clock.Advance(5 * time.Minute)
	a := w.list("autoscaling", "DescribeScalingActivities", "Activities", nil)
	if len(a) != 3 || a[0]["StatusCode"] != "Failed" || !strings.Contains(a[0]["StatusMessage"].(string), "ami-1") { // at 0, 1 and 3 minutes
		t.Errorf("%d activities, %v", len(a), a)
	}
	w.do("ec2", "CreateLaunchTemplateVersion", object{"LaunchTemplateName": "web", "SourceVersion": "1", "LaunchTemplateData": object{"ImageId": linux}})
	w.clock.Advance(5 * time.Minute)
	if got := w.inService(); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

func TestALaunchConfiguration(t *testing.T) {
	w := newWorld(t)
	in := object{"LaunchConfigurationName": "lc", "ImageId": linux, "InstanceType": "t3.micro", "InstanceMonitoring": object{"Enabled": true}}
	w.do("autoscaling", "CreateLaunchConfiguration", in)
	w.fails("AlreadyExists", "autoscaling", "CreateLaunchConfiguration", in)
	w.fails("ValidationError", "autoscaling", "CreateLaunchConfiguration", object{"LaunchConfigurationName": "x", "ImageId": linux})
	w.do("autoscaling", "CreateAutoScalingGroup", object{"AutoScalingGroupName": "web", "MinSize": int64(1), "MaxSize": int64(1), "AvailabilityZones": ids("eu-west-1a"), "LaunchConfigurationName": "lc"})
	w.clock.Advance(time.Minute)
	if i := w.instance(w.inService()[0]); at(i, "Monitoring.State") != "enabled" {
		t.Errorf("%v", i)
	}
	w.fails("ResourceInUse", "autoscaling", "DeleteLaunchConfiguration", object{"LaunchConfigurationName": "lc"})
	if l := w.one("autoscaling", "DescribeLaunchConfigurations", "LaunchConfigurations", nil); l["ImageId"] != linux || l["InstanceType"] != "t3.micro" {
		t.Errorf("%v", l)
	}
}

// refreshed starts a refresh to a second version of the template, and gives what
// describes it.
func (w *world) refreshed(prefs object) func() object {
	w.t.Helper()
	w.do("ec2", "CreateLaunchTemplateVersion", object{"LaunchTemplateName": "web", "SourceVersion": "1", "LaunchTemplateData": object{"InstanceType": "t3.small"}})
	id := w.do("autoscaling", "StartInstanceRefresh", object{"AutoScalingGroupName": "web", "Preferences": prefs, "DesiredConfiguration": object{"LaunchTemplate": object{"LaunchTemplateName": "web", "Version": "2"}}})["InstanceRefreshId"].(string)
	return func() object {
		w.t.Helper()
		return w.one("autoscaling", "DescribeInstanceRefreshes", "InstanceRefreshes", object{"AutoScalingGroupName": "web", "InstanceRefreshIds": ids(id)})
	}
}

// types counts the group's members in service by instance type.
func (w *world) types() map[string]int {
	w.t.Helper()
	out := map[string]int{}
	for _, id := range w.inService() {
		out[w.instance(id)["InstanceType"].(string)]++
	}
	return out
}

func TestAnInstanceRefreshRollsThroughTheGroup(t *testing.T) {
	for _, c := range []struct {
		name   string
		prefs  object
		least  int // members in service, at any time
		most   int // members that are there and not on their way out, at any time
		within time.Duration
	}{
		{"one by one", object{"MinHealthyPercentage": int64(75)}, 3, 4, 5 * time.Minute},
		{"half at a time", object{"MinHealthyPercentage": int64(50)}, 2, 4, 3 * time.Minute},
		{"all at once", object{"MinHealthyPercentage": int64(0)}, 0, 4, 90 * time.Second},
		{"by default one at least", object{}, 3, 4, 5 * time.Minute},
		{"launch first", object{"MinHealthyPercentage": int64(100), "MaxHealthyPercentage": int64(150)}, 4, 6, 5 * time.Minute},
		{"with a warm-up", object{"MinHealthyPercentage": int64(50), "InstanceWarmup": int64(300)}, 2, 4, 15 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.fleetOf(4)
			state := w.refreshed(c.prefs)
			began, last := w.clock.Now(), int64(0)
			for state()["Status"] == "InProgress" {
				if w.clock.Now().Sub(began) > c.within {
					t.Fatalf("after %s: %v, %v", c.within, state(), w.members())
				}
				there := 0
				for _, state := range w.members() {
					if state == "Pending" || state == "InService" {
						there++
					}
				}
				if n := len(w.inService()); n < c.least || there > c.most {
					t.Errorf("%s: %d of %d in service, want at least %d of at most %d", w.clock.Now().Sub(began), n, there, c.least, c.most)
				}
				p := state()["PercentageComplete"].(int64)
				if p < last {
					t.Errorf("from %d%% to %d%%", last, p)
				}
				last = p
				w.clock.Advance(time.Second)
			}
			if s := state(); s["Status"] != "Successful" || s["PercentageComplete"] != int64(100) || s["InstancesToUpdate"] != int64(0) || s["EndTime"] == nil {
				t.Errorf("%v", s)
			}
			w.clock.Advance(time.Minute)
			if got := w.types(); !reflect.DeepEqual(got, map[string]int{"t3.small": 4}) {
				t.Errorf("%v", got)
			}
			if g := w.theGroup(); at(g, "LaunchTemplate.Version") != "2" {
				t.Errorf("%v", g["LaunchTemplate"])
			}
		})
	}
}

func TestARefreshIsTheSameHoweverSeldomItIsLookedAt(t *testing.T) {
	end := func(step time.Duration) string {
		w := newWorld(t)
		w.fleetOf(4)
		state := w.refreshed(object{"MinHealthyPercentage": int64(50), "InstanceWarmup": int64(30)})
		for range int(30 * time.Minute / step) {
			w.clock.Advance(step)
			w.Settle()
		}
		return fmt.Sprint(state(), w.members())
	}
	if a, b := end(time.Second), end(30*time.Minute); a != b {
		t.Errorf("looked at each second:\n%s\nonce at the end:\n%s", a, b)
	}
}

func TestCheckpoints(t *testing.T) {
	w := newWorld(t)
	got := w.timeline("CheckPointPercentage")
	w.fleetOf(4)
	state := w.refreshed(object{"MinHealthyPercentage": int64(50), "CheckpointPercentages": []any{int64(25), int64(100)}, "CheckpointDelay": int64(600)})
	w.clock.Advance(5 * time.Minute)
	if s := state(); s["PercentageComplete"] != int64(25) || s["InstancesToUpdate"] != int64(3) || s["Status"] != "InProgress" {
		t.Errorf("at the checkpoint: %v", s)
	}
	if n := w.types(); !reflect.DeepEqual(n, map[string]int{"t3.small": 1, "t3.micro": 3}) {
		t.Errorf("%v", n)
	}
	w.clock.Advance(15 * time.Minute)
	if s := state(); s["Status"] != "Successful" {
		t.Errorf("%v", s)
	}
	reached := 0
	for _, line := range *got {
		if strings.Contains(line, "Checkpoint Reached 25") {
			reached++
		}
	}
	if reached != 1 || !slices.ContainsFunc(*got, func(s string) bool { return strings.Contains(s, "Instance Refresh Succeeded") }) {
		t.Errorf("%s", strings.Join(*got, "\n"))
	}
}

func TestCancelAndRollback(t *testing.T) {
	w := newWorld(t)
	w.fleetOf(4)
	name := object{"AutoScalingGroupName": "web"}
	w.fails("ActiveInstanceRefreshNotFound", "autoscaling", "CancelInstanceRefresh", name)
	w.fails("ActiveInstanceRefreshNotFound", "autoscaling", "RollbackInstanceRefresh", name)
	state := w.refreshed(object{"MinHealthyPercentage": int64(75), "InstanceWarmup": int64(60)})
	w.fails("InstanceRefreshInProgress", "autoscaling", "StartInstanceRefresh", name)
	w.clock.Advance(30 * time.Second)
	w.do("autoscaling", "CancelInstanceRefresh", name)
	if s := state(); s["Status"] != "Cancelling" {
		t.Errorf("%v", s)
	}
	w.clock.Advance(5 * time.Minute)
	if s := state(); s["Status"] != "Cancelled" || w.types()["t3.small"] != 1 {
		t.Errorf("%v, %v", s, w.types())
	}
	back := w.do("autoscaling", "StartInstanceRefresh", with(name, "Preferences", object{"MinHealthyPercentage": int64(75), "SkipMatching": true}, "DesiredConfiguration", object{"LaunchTemplate": object{"LaunchTemplateName": "web", "Version": "2"}}))["InstanceRefreshId"].(string)
	describe := func() object {
		return w.one("autoscaling", "DescribeInstanceRefreshes", "InstanceRefreshes", with(name, "InstanceRefreshIds", ids(back)))
	}
	if s := describe(); s["InstancesToUpdate"] != int64(3) {
		t.Errorf("one matches already: %v", s)
	}
	w.clock.Advance(instanceStart + time.Second)
	w.do("autoscaling", "RollbackInstanceRefresh", name)
	if s := describe(); s["Status"] != "RollbackInProgress" || at(s, "RollbackDetails.RollbackReason") == nil {
		t.Errorf("%v", s)
	}
	w.clock.Advance(10 * time.Minute)
	if s := describe(); s["Status"] != "RollbackSuccessful" || w.types()["t3.small"] != 1 || at(w.theGroup(), "LaunchTemplate.Version") != "1" {
		t.Errorf("%v, %v", s, w.types()) // what was there before the refresh stays
	}
	w.do("autoscaling", "UpdateAutoScalingGroup", with(name, "LaunchTemplate", object{"LaunchTemplateName": "web", "Version": "$Latest"}))
	w.do("autoscaling", "StartInstanceRefresh", name)
	w.fails("IrreversibleInstanceRefresh", "autoscaling", "RollbackInstanceRefresh", name)
	w.clock.Advance(10 * time.Minute)
	if got := w.types(); !reflect.DeepEqual(got, map[string]int{"t3.small": 4}) {
		t.Errorf("%v", got)
	}
	if l := w.list("autoscaling", "DescribeInstanceRefreshes", "InstanceRefreshes", name); len(l) != 3 || l[0]["Status"] != "Successful" {
		t.Errorf("%v", l)
	}
}

func TestARefreshThatCannotGoOn(t *testing.T) {
	for _, roll := range []bool{false, true} {
		w := newWorld(t)
		w.fleetOf(2)
		w.do("ec2", "CreateLaunchTemplateVersion", object{"LaunchTemplateName": "web", "SourceVersion": "1", "LaunchTemplateData": object{"ImageId": "ami-1"}})
		w.do("autoscaling", "StartInstanceRefresh", object{"AutoScalingGroupName": "web", "Preferences": object{"AutoRollback": roll}, "DesiredConfiguration": object{"LaunchTemplate": object{"LaunchTemplateName": "web", "Version": "2"}}})
		w.clock.Advance(3 * time.Hour)
		s := w.one("autoscaling", "DescribeInstanceRefreshes", "InstanceRefreshes", object{"AutoScalingGroupName": "web"})
		want, running := "Failed", 2
		if roll {
			want = "RollbackSuccessful"
		}
		if s["Status"] != want || len(w.inService()) != running {
			t.Errorf("rollback %v: %v, %v", roll, s, w.members())
		}
	}
	w := newWorld(t)
	w.fleetOf(2)
	w.do("autoscaling", "SetInstanceProtection", object{"AutoScalingGroupName": "web", "InstanceIds": ids(w.inService()[0]), "ProtectedFromScaleIn": true})
	state := w.refreshed(object{"MinHealthyPercentage": int64(50)})
	w.clock.Advance(3 * time.Hour)
	if s := state(); s["Status"] != "Failed" || w.types()["t3.micro"] != 1 {
		t.Errorf("a protected member, for which the refresh waits: %v", s)
	}
	w.refused("autoscaling", "StartInstanceRefresh", object{"AutoScalingGroupName": "web"}, map[string][]object{
		"ValidationError": {{"AutoScalingGroupName": "nobody"}, {"Preferences": object{"MinHealthyPercentage": int64(101)}}, {"Preferences": object{"MaxHealthyPercentage": int64(99)}},
			{"Preferences": object{"MinHealthyPercentage": int64(0), "MaxHealthyPercentage": int64(150)}}, {"Preferences": object{"CheckpointPercentages": []any{int64(50), int64(20)}}},
			{"Preferences": object{"AutoRollback": true}}, {"Preferences": object{"StandbyInstances": "Sleep"}}, {"DesiredConfiguration": object{"LaunchTemplate": object{"LaunchTemplateName": "nobody"}}}},
		"NotImplemented": {{"Strategy": "ReplaceRootVolume"}},
	})
}

func TestGroupsOfAMixedPolicyAndTheirTags(t *testing.T) {
	w := newWorld(t)
	w.fleetOf(0)
	policy := func(version string) object {
		return object{"LaunchTemplate": object{"LaunchTemplateSpecification": object{"LaunchTemplateName": "web", "Version": version}, "Overrides": []any{object{"InstanceType": "t3.large"}, object{"InstanceType": "t3a.large"}}},
			"InstancesDistribution": object{"OnDemandBaseCapacity": int64(1)}}
	}
	in := object{"AutoScalingGroupName": "mixed", "MinSize": int64(1), "MaxSize": int64(1), "AvailabilityZones": ids("eu-west-1a"), "MixedInstancesPolicy": policy("9")}
	w.fails("ValidationError", "autoscaling", "CreateAutoScalingGroup", in)
	w.do("autoscaling", "CreateAutoScalingGroup", with(in, "MixedInstancesPolicy", policy("1")))
	w.clock.Advance(time.Minute)
	if i := w.one("autoscaling", "DescribeAutoScalingInstances", "AutoScalingInstances", nil); i["InstanceType"] != "t3.large" || i["AutoScalingGroupName"] != "mixed" || i["HealthStatus"] != "HEALTHY" {
		t.Errorf("%v", i)
	}
	tag := object{"ResourceId": "mixed", "ResourceType": "auto-scaling-group", "Key": "Team", "Value": "shop", "PropagateAtLaunch": true}
	w.do("autoscaling", "CreateOrUpdateTags", object{"Tags": []any{tag, with(tag, "Key", "Owner", "Value", "ada")}})
	w.do("autoscaling", "CreateOrUpdateTags", object{"Tags": []any{with(tag, "Value", "books")}})
	w.do("autoscaling", "DeleteTags", object{"Tags": []any{with(tag, "Key", "Owner", "Value", nil)}})
	for _, f := range [][]any{by("tag:Team", "books"), by("tag-key", "Team"), by("tag-value", "books")} {
		l := w.list("autoscaling", "DescribeAutoScalingGroups", "AutoScalingGroups", object{"Filters": f})
		if !slices.ContainsFunc(l, func(g object) bool { return g["AutoScalingGroupName"] == "mixed" && len(objects(g["Tags"])) == 1 }) {
			t.Errorf("%v: %v", f, l)
		}
	}
	w.fails("ValidationError", "autoscaling", "CreateOrUpdateTags", object{"Tags": []any{with(tag, "ResourceId", "nobody")}})
	w.fails("ValidationError", "autoscaling", "DescribeAutoScalingGroups", object{"MaxRecords": int64(101)})
}
