package sandbox

import (
	"slices"
	"time"
)

// refresh is an instance refresh.
type refresh struct {
	Group   string    `json:"group"`
	Status  string    `json:"status"`
	Reason  string    `json:"reason,omitempty"`
	Start   time.Time `json:"start"`
	End     time.Time `json:"end,omitzero"`
	Percent int64     `json:"percent"`
	Left    int64     `json:"left"`

	Prefs   preferences `json:"preferences"`
	Desired source      `json:"desired,omitzero"` // none: the group's own

	Old    []string  `json:"old,omitempty"` // members that are to be replaced
	Total  int64     `json:"total"`
	Passed int       `json:"passed,omitempty"` // checkpoints
	Resume time.Time `json:"resume,omitzero"`  // after a checkpoint, or the bake time
	Moved  time.Time `json:"moved"`            // when it last came on

	RollbackReason  string    `json:"rollbackReason,omitempty"`
	RollbackStart   time.Time `json:"rollbackStart,omitzero"`
	RollbackPercent int64     `json:"rollbackPercent,omitempty"`
	RollbackLeft    int64     `json:"rollbackLeft,omitempty"`
}

// preferences are a refresh's; -1: none.
type preferences struct {
	MinHealthy, MaxHealthy int64
	Warmup                 int64 // seconds
	Checkpoints            []int64
	Delay                  int64 // seconds
	SkipMatching           bool
	AutoRollback           bool
	Protected, Standby     string
	Bake                   int64 // seconds
}

// over says whether nothing more comes of a refresh.
func (r refresh) over() bool {
	return slices.Contains([]string{"Successful", "Failed", "Cancelled", "RollbackFailed", "RollbackSuccessful"}, r.Status)
}

func (r refresh) rollingBack() bool { return r.Status == "RollbackInProgress" }

// activeRefresh gives a group's refresh that is under way.
func (c *call) activeRefresh(name string) (*record[refresh], refresh, bool) {
	for id, r := range c.home().AutoScaling.Refreshes.all(c.now) {
		if r.Group == name && !r.over() {
			return c.home().AutoScaling.Refreshes[id], r, true
		}
	}
	return nil, refresh{}, false
}

// healthyRange checks percentages of healthy instances.
func healthyRange(low, high int64) error {
	switch {
	case low < 0 || low > 100:
		return validation("MinHealthyPercentage is from 0 to 100.")
	case high < 100 || high > 200:
		return validation("MaxHealthyPercentage is from 100 to 200.")
	case high-low > 100:
		return validation("The difference between MinHealthyPercentage and MaxHealthyPercentage is at most 100.")
	}
	return nil
}

// specPreferences reads the preferences of a refresh of a group. Source:
// RefreshPreferences in the Auto Scaling API reference.
func (c *call) specPreferences(g group) (preferences, error) {
	in := c.object("Preferences")
	p := preferences{MinHealthy: 90, MaxHealthy: 100, Warmup: g.Grace, Delay: 3600, Protected: "Wait", Standby: "Wait"}
	if g.MinHealthy >= 0 {
		p.MinHealthy, p.MaxHealthy = g.MinHealthy, g.MaxHealthy
	}
	if g.Warmup >= 0 {
		p.Warmup = g.Warmup
	}
	for member, to := range map[string]*int64{"MinHealthyPercentage": &p.MinHealthy, "MaxHealthyPercentage": &p.MaxHealthy, "InstanceWarmup": &p.Warmup, "CheckpointDelay": &p.Delay, "BakeTime": &p.Bake} {
		if n, ok := in[member].(int64); ok {
			*to = n
		}
	}
	p.SkipMatching, _ = in["SkipMatching"].(bool)
	p.AutoRollback, _ = in["AutoRollback"].(bool)
	for member, to := range map[string]*string{"ScaleInProtectedInstances": &p.Protected, "StandbyInstances": &p.Standby} {
		if s, ok := in[member].(string); ok {
			*to = s
		}
	}
	if err := healthyRange(p.MinHealthy, p.MaxHealthy); err != nil {
		return p, err
	}
	list, _ := in["CheckpointPercentages"].([]any)
	for _, v := range list {
		n, _ := v.(int64)
		if n < 1 || n > 100 || len(p.Checkpoints) > 0 && n <= p.Checkpoints[len(p.Checkpoints)-1] {
			return p, validation("CheckpointPercentages are from 1 to 100, in ascending order.")
		}
		p.Checkpoints = append(p.Checkpoints, n)
	}
	switch {
	case p.Warmup < 0 || p.Delay < 0 || p.Delay > 172800 || p.Bake < 0 || p.Bake > 172800:
		return p, validation("InstanceWarmup is not negative; CheckpointDelay and BakeTime are from 0 to 172800.")
	case !slices.Contains([]string{"Refresh", "Ignore", "Wait"}, p.Protected):
		return p, validation("ScaleInProtectedInstances is Refresh, Ignore or Wait.")
	case !slices.Contains([]string{"Terminate", "Ignore", "Wait"}, p.Standby):
		return p, validation("StandbyInstances is Terminate, Ignore or Wait.")
	}
	return p, nil
}

// settled says whether a source stands for the same instances tomorrow.
func (s source) settled() bool {
	version := s.Template.Version
	if s.Mixed != nil {
		version, _ = s.mixedSpec()["Version"].(string)
	}
	return version != "$Latest" && version != "$Default" && (version != "" || s.Config != "")
}

func startRefresh(c *call) (map[string]any, error) {
	name := c.str("AutoScalingGroupName")
	_, g, err := c.liveGroup()
	if err != nil {
		return nil, err
	}
	if _, _, ok := c.activeRefresh(name); ok {
		return nil, failure(400, "InstanceRefreshInProgress", "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.")
	}
	if s := c.str("Strategy"); s != "" && s != "Rolling" {
		return nil, failure(501, "NotImplemented", "The sandbox refreshes instances with the strategy Rolling only, not %s.", s)
	}
	r := refresh{Group: name, Status: "Pending", Start: c.now, Moved: c.now}
	if r.Prefs, err = c.specPreferences(g); err != nil {
		return nil, err
	}
	if r.Desired, err = c.sourceOf(c.object("DesiredConfiguration")); err != nil {
		return nil, err
	}
	if r.Prefs.AutoRollback && (!r.hasDesired() || !g.settled()) {
		return nil, validation("AutoRollback needs a DesiredConfiguration, and a group whose launch template has a version by its number.")
	}
	want := r.launches(g)
	for _, id := range sorted(g.Members) {
		m := g.Members[id]
		counts := m.State == "InService" || m.State == "Pending" || m.State == "Standby" && r.Prefs.Standby == "Terminate"
		if !counts || r.Prefs.SkipMatching && c.matchesSource(m, want) || m.Protected && r.Prefs.Protected == "Ignore" {
			continue
		}
		r.Old = append(r.Old, id)
	}
	r.Total, r.Left = int64(len(r.Old)), int64(len(r.Old))
	r.Status = "InProgress"
	id := uuid(c.id("", 32))
	c.home().AutoScaling.Refreshes.put(id, c.now, r)
	c.refreshEvent(g, name, id, "Started", nil)
	c.scale(name)
	return object{"InstanceRefreshId": id}, nil
}

func (r refresh) hasDesired() bool { return r.Desired.Template.ID != "" || r.Desired.Mixed != nil }

// launches is what a group makes instances of while a refresh is under way.
func (r refresh) launches(g group) source {
	if r.hasDesired() && !r.rollingBack() {
		return r.Desired
	}
	return g.source
}

// matchesSource says whether a member was made of a source as it now is.
func (c *call) matchesSource(m member, s source) bool {
	if s.Config != "" {
		return m.Config == s.Config
	}
	ref, v, _, err := c.launchData(s)
	return err == nil && m.Template == templateRef{ref.ID, ref.Name, numberOf(v)}
}

// refreshEvent sends an event of a refresh. Source: Amazon EC2 Auto Scaling User
// Guide, "Instance refresh event examples".
func (c *call) refreshEvent(g group, name, id, what string, detail object) {
	if detail == nil {
		detail = object{}
	}
	detail["InstanceRefreshId"] = id
	c.groupEvent(g, name, "EC2 Auto Scaling Instance Refresh "+what, detail)
}

// underWay gives the refresh that a call is to end.
func (c *call) underWay() (*record[refresh], refresh, group, error) {
	_, g, err := c.liveGroup()
	if err != nil {
		return nil, refresh{}, g, err
	}
	r, rf, ok := c.activeRefresh(c.str("AutoScalingGroupName"))
	if !ok {
		return nil, refresh{}, g, failure(400, "ActiveInstanceRefreshNotFound", "No in progress or pending Instance Refresh found for Auto Scaling group %s", c.str("AutoScalingGroupName"))
	}
	return r, rf, g, nil
}

func (c *call) refreshID(r *record[refresh]) string {
	for id, o := range c.home().AutoScaling.Refreshes {
		if o == r {
			return id
		}
	}
	return ""
}

// cancelRefresh lets a refresh begin no more replacements; those that have begun
// come to their end.
func cancelRefresh(c *call) (map[string]any, error) {
	r, _, _, err := c.underWay()
	if err != nil {
		return nil, err
	}
	r.change(c.now, func(r *refresh) { r.Status = "Cancelling" })
	c.scale(c.str("AutoScalingGroupName"))
	return object{"InstanceRefreshId": c.refreshID(r)}, nil
}

func rollbackRefresh(c *call) (map[string]any, error) {
	r, rf, g, err := c.underWay()
	if err != nil {
		return nil, err
	}
	switch {
	case rf.rollingBack() || rf.Status == "Cancelling":
		return nil, failure(400, "ActiveInstanceRefreshNotFound", "The Instance Refresh of Auto Scaling group %s is in %s", rf.Group, rf.Status)
	case !rf.hasDesired() || !g.settled():
		return nil, failure(400, "IrreversibleInstanceRefresh", "A rollback needs an instance refresh with a desired configuration, and a group whose launch template has a version by its number.")
	}
	c.rollBack(&rf, g, "Rollback requested by user.")
	r.change(c.now, func(r *refresh) { *r = rf })
	c.scale(rf.Group)
	return object{"InstanceRefreshId": c.refreshID(r)}, nil
}

// rollBack turns a refresh round: what it has launched is to be replaced.
func (c *call) rollBack(r *refresh, g group, reason string) {
	r.RollbackReason, r.RollbackStart, r.RollbackPercent, r.RollbackLeft = reason, c.now, r.Percent, r.Left
	r.Status, r.Old, r.Resume, r.Moved, r.Passed = "RollbackInProgress", nil, time.Time{}, c.now, len(r.Prefs.Checkpoints)
	for _, id := range sorted(g.Members) {
		if m := g.Members[id]; !m.Launched.Before(r.Start) && (m.State == "InService" || m.State == "Pending") && !c.matchesSource(m, g.source) {
			r.Old = append(r.Old, id)
		}
	}
	r.Total, r.Left = int64(len(r.Old)), int64(len(r.Old))
}

func describeRefreshes(c *call) (map[string]any, error) {
	if _, _, err := c.liveGroup(); err != nil {
		return nil, err
	}
	want := c.strings("InstanceRefreshIds")
	var found []held[refresh]
	for id, r := range c.home().AutoScaling.Refreshes.all(c.view) {
		if r.Group == c.str("AutoScalingGroupName") && (len(want) == 0 || slices.Contains(want, id)) {
			found = append(found, held[refresh]{id, r})
		}
	}
	slices.SortStableFunc(found, func(a, b held[refresh]) int { return b.v.Start.Compare(a.v.Start) }) // the newest first
	return records(c, "InstanceRefreshes", found, func(e held[refresh]) any { return refreshOut(e.id, e.v) })
}

func refreshOut(id string, r refresh) object {
	p := r.Prefs
	prefs := object{"MinHealthyPercentage": p.MinHealthy, "MaxHealthyPercentage": p.MaxHealthy, "InstanceWarmup": p.Warmup, "SkipMatching": p.SkipMatching, "AutoRollback": p.AutoRollback,
		"ScaleInProtectedInstances": p.Protected, "StandbyInstances": p.Standby}
	if len(p.Checkpoints) > 0 {
		prefs["CheckpointPercentages"], prefs["CheckpointDelay"] = anys(p.Checkpoints), p.Delay
	}
	if p.Bake > 0 {
		prefs["BakeTime"] = p.Bake
	}
	progress := object{"PercentageComplete": r.Percent, "InstancesToUpdate": r.Left}
	out := object{"InstanceRefreshId": id, "AutoScalingGroupName": r.Group, "Status": r.Status, "StartTime": r.Start, "PercentageComplete": r.Percent, "InstancesToUpdate": r.Left,
		"ProgressDetails": object{"LivePoolProgress": progress}, "Preferences": prefs, "Strategy": "Rolling"}
	if r.Reason != "" {
		out["StatusReason"] = r.Reason
	}
	if !r.End.IsZero() {
		out["EndTime"] = r.End
	}
	if r.Desired.Template.ID != "" {
		out["DesiredConfiguration"] = object{"LaunchTemplate": r.Desired.Template.out()}
	} else if r.Desired.Mixed != nil {
		out["DesiredConfiguration"] = object{"MixedInstancesPolicy": object(r.Desired.Mixed)}
	}
	if !r.RollbackStart.IsZero() {
		out["RollbackDetails"] = object{"RollbackReason": r.RollbackReason, "RollbackStartTime": r.RollbackStart, "PercentageCompleteOnRollback": r.RollbackPercent, "InstancesToUpdateOnRollback": r.RollbackLeft}
	}
	return out
}
