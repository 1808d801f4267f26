package sandbox

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// window is a maintenance window with its targets and tasks. Those of type
// RUN_COMMAND and AUTOMATION it runs when it opens; see openWindow.
type window struct {
	ID           string               `json:"id"`
	Name         string               `json:"name"`
	Text         string               `json:"description,omitempty"`
	Schedule     string               `json:"schedule"`
	Since        time.Time            `json:"since"` // when it got that schedule
	Zone         string               `json:"timezone,omitempty"`
	Start        string               `json:"startDate,omitempty"`
	End          string               `json:"endDate,omitempty"`
	Duration     int64                `json:"duration"` // hours
	Cutoff       int64                `json:"cutoff"`   // hours
	Unassociated bool                 `json:"allowUnassociatedTargets"`
	Disabled     bool                 `json:"disabled,omitempty"`
	Targets      map[string]structure `json:"targets,omitempty"`
	Tasks        map[string]structure `json:"tasks,omitempty"`
	Created      time.Time            `json:"created"`
	Modified     time.Time            `json:"modified"`
	Tags         tagSet               `json:"tags,omitempty"`
}

// windowTime is when a window comes, once.
const windowTime = "2006-01-02T15:04:05"

// opens is when a window opens next after a time; false: never again. A rate
// counts from when the window got it, or from its start date.
func (w window) opens(after time.Time) (time.Time, bool) {
	zone, err := time.LoadLocation(cmp.Or(w.Zone, "UTC"))
	if err != nil || w.Disabled {
		return time.Time{}, false
	}
	since := w.Since
	if start, err := time.Parse(time.RFC3339, w.Start); err == nil && start.After(since) {
		since = start
	}
	if since.After(after) {
		after = since
	}
	var next time.Time
	if once, ok := strings.CutPrefix(w.Schedule, "at("); ok {
		next, err = time.ParseInLocation(windowTime, strings.TrimSuffix(once, ")"), zone)
		if err != nil || !next.After(after) {
			return time.Time{}, false
		}
	} else {
		t, err := parseTimetable(w.timetable())
		if err != nil {
			return time.Time{}, false
		}
		if t.every > 0 {
			next = since.Add((after.Sub(since)/t.every + 1) * t.every)
		} else {
			_, offset := after.In(zone).Zone()
			shift := time.Duration(offset) * time.Second // the timetable thinks in UTC
			var ok bool
			if next, ok = t.next(after.Add(shift)); !ok {
				return time.Time{}, false
			}
			next = next.Add(-shift)
		}
	}
	if end, err := time.Parse(time.RFC3339, w.End); err == nil && next.After(end) {
		return time.Time{}, false
	}
	return next.UTC(), true
}

// next is when a window opens next, as text; "": never again.
func (w window) next(after time.Time) string {
	at, ok := w.opens(after)
	if !ok {
		return ""
	}
	return at.Format("2006-01-02T15:04Z")
}

// timetable is a window's schedule as EventBridge writes one: a window's cron
// may begin with seconds.
func (w window) timetable() string {
	inner, ok := strings.CutPrefix(w.Schedule, "cron(")
	if f := strings.Fields(strings.TrimSuffix(inner, ")")); ok && len(f) == 7 {
		return "cron(" + strings.Join(f[1:], " ") + ")"
	}
	return w.Schedule
}

func createWindow(c *call) (map[string]any, error) {
	if id, err := c.once(); err != nil || id != "" {
		return object{"WindowId": id}, err
	}
	w := window{ID: c.id("mw-0", 16), Name: c.str("Name"), Text: c.str("Description"), Schedule: c.str("Schedule"), Zone: c.str("ScheduleTimezone"), Start: c.str("StartDate"), End: c.str("EndDate"),
		Unassociated: c.bool("AllowUnassociatedTargets"), Since: c.now, Created: c.now, Modified: c.now}
	w.Duration, _ = c.int("Duration")
	w.Cutoff, _ = c.int("Cutoff")
	if _, ok := c.int("ScheduleOffset"); ok {
		return nil, failure(501, "NotImplemented", "The sandbox does not simulate ScheduleOffset.")
	}
	if w.Cutoff >= w.Duration {
		return nil, invalid("Cutoff must be less than Duration.")
	}
	if _, err := time.LoadLocation(cmp.Or(w.Zone, "UTC")); err != nil {
		return nil, invalid("Invalid time zone: %s.", w.Zone)
	}
	if _, err := parseTimetable(w.timetable()); err != nil && !strings.HasPrefix(w.Schedule, "at(") {
		return nil, invalid("Invalid schedule: %s.", w.Schedule)
	}
	if once, ok := strings.CutPrefix(w.Schedule, "at("); ok {
		if _, err := time.Parse(windowTime, strings.TrimSuffix(once, ")")); err != nil {
			return nil, invalid("Invalid schedule: %s.", w.Schedule)
		}
	}
	var err error
	if w.Tags, err = ssmTags(c.in["Tags"]); err != nil {
		return nil, err
	}
	c.home().SSM.Windows.put(w.ID, c.now, w)
	c.keepWindow(w)
	c.remember(w.ID)
	return object{"WindowId": w.ID}, nil
}

func (c *call) window(at time.Time) (*record[window], window, error) {
	id := c.str("WindowId")
	if r, w, ok := c.home().SSM.Windows.live(id, at); ok {
		return r, w, nil
	}
	return nil, window{}, failure(400, "DoesNotExistException", "Maintenance window %s does not exist", id)
}

func (w window) out(at time.Time) object {
	out := object{"WindowId": w.ID, "Name": w.Name, "Schedule": w.Schedule, "Duration": w.Duration, "Cutoff": w.Cutoff, "Enabled": !w.Disabled}
	return withTexts(out, map[string]string{"Description": w.Text, "ScheduleTimezone": w.Zone, "StartDate": w.Start, "EndDate": w.End, "NextExecutionTime": w.next(at)})
}

func getWindow(c *call) (map[string]any, error) {
	_, w, err := c.window(c.view)
	if err != nil {
		return nil, err
	}
	out := w.out(c.view)
	out["AllowUnassociatedTargets"], out["CreatedDate"], out["ModifiedDate"] = w.Unassociated, w.Created, w.Modified
	return out, nil
}

func updateWindow(c *call) (map[string]any, error) {
	r, w, err := c.window(c.now)
	if err != nil {
		return nil, err
	}
	if on, ok := c.in["Enabled"].(bool); ok {
		w.Disabled = !on
	}
	before := w.Schedule
	for member, into := range map[string]*string{"Name": &w.Name, "Description": &w.Text, "StartDate": &w.Start, "EndDate": &w.End, "Schedule": &w.Schedule} {
		if s, ok := c.in[member].(string); ok {
			*into = s
		}
	}
	if _, err := parseTimetable(w.timetable()); err != nil && !strings.HasPrefix(w.Schedule, "at(") {
		return nil, invalid("Invalid schedule: %s.", w.Schedule)
	}
	if w.Modified = c.now; w.Schedule != before {
		w.Since = c.now
	}
	r.change(c.now, func(now *window) { *now = w })
	c.keepWindow(w)
	out := w.out(c.now)
	out["AllowUnassociatedTargets"] = w.Unassociated
	delete(out, "NextExecutionTime")
	return out, nil
}

func deleteWindow(c *call) (map[string]any, error) {
	if r, _, err := c.window(c.now); err == nil { // what isn't there is as good as deleted
		r.end(c.now)
	}
	return object{"WindowId": c.str("WindowId")}, nil
}

func describeWindows(c *call) (map[string]any, error) {
	out := []any{}
	for _, w := range c.home().SSM.Windows.all(c.view) {
		enabled := "true"
		if w.Disabled {
			enabled = "false"
		}
		fits, err := passes(ssmFilters(c.in["Filters"]), func(key string) ([]string, bool) {
			switch key {
			case "Name":
				return []string{w.Name}, true
			case "Enabled":
				return []string{enabled, strings.ToUpper(enabled[:1]) + enabled[1:]}, true
			}
			return nil, false
		})
		if err != nil {
			return nil, invalid("%v", err)
		}
		if fits {
			out = append(out, w.out(c.view))
		}
	}
	return c.ssmPage("WindowIdentities", 100, out)
}

// register files a target or a task with a window.
func register(kind string, members []string) func(*call) (map[string]any, error) {
	idMember := "Window" + kind + "Id"
	return func(c *call) (map[string]any, error) {
		r, w, err := c.window(c.now)
		if err != nil {
			return nil, err
		}
		if id, err := c.once(); err != nil || id != "" {
			return object{idMember: id}, err
		}
		id := uuid(c.id("", 32))
		m := structure{"WindowId": w.ID, idMember: id}
		for _, name := range members {
			if v, ok := c.in[name]; ok {
				m[name] = v
			}
		}
		if kind == "Task" {
			m["Type"] = c.in["TaskType"]
			if _, ok := m["Priority"]; !ok {
				m["Priority"] = int64(1)
			}
			if err := w.knows(c.objects("Targets")); err != nil {
				return nil, err
			}
		}
		r.change(c.now, func(now *window) {
			if kind == "Task" {
				now.Tasks = withMember(now.Tasks, id, m)
			} else {
				now.Targets = withMember(now.Targets, id, m)
			}
			now.Modified = c.now
		})
		c.remember(id)
		return object{idMember: id}, nil
	}
}

// knows says whether the targets of a task that are a window's are this one's.
func (w window) knows(targets []object) error {
	for _, t := range targets {
		if t["Key"] != "WindowTargetIds" {
			continue
		}
		for _, id := range texts(t["Values"]) {
			if w.Targets[id] == nil {
				return failure(400, "DoesNotExistException", "Target %s does not exist in the maintenance window %s.", id, w.ID)
			}
		}
	}
	return nil
}

func describeMembers(kind string, of func(window) map[string]structure) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		_, w, err := c.window(c.view)
		if err != nil {
			return nil, err
		}
		out := []any{}
		all := of(w)
		for _, id := range sorted(all) {
			m := all[id]
			fits, err := passes(ssmFilters(c.in["Filters"]), func(key string) ([]string, bool) {
				v, ok := m[key].(string)
				return []string{v}, ok || slices.Contains([]string{"Type", "WindowTargetId", "WindowTaskId", "OwnerInformation", "TaskArn", "TaskType", "Priority"}, key)
			})
			if err != nil {
				return nil, invalid("%v", err)
			}
			if fits {
				one := object(m.with(nil))
				delete(one, "TaskInvocationParameters") // which the description of one task alone has
				out = append(out, one)
			}
		}
		return c.ssmPage(kind, 100, out)
	}
}

// withMember gives a copy of members with one more; versions of a window don't
// share them.
func withMember(m map[string]structure, id string, member structure) map[string]structure {
	out := map[string]structure{id: member}
	for k, v := range m {
		out[k] = v
	}
	return out
}

var windowHandlers = map[string]handler{
	"CreateMaintenanceWindow":          {"ssm:CreateMaintenanceWindow", checked(createWindow)},
	"DeleteMaintenanceWindow":          {"ssm:DeleteMaintenanceWindow", checked(deleteWindow)},
	"DescribeMaintenanceWindowTargets": {"ssm:DescribeMaintenanceWindowTargets", checked(describeMembers("Targets", func(w window) map[string]structure { return w.Targets }))},
	"DescribeMaintenanceWindowTasks":   {"ssm:DescribeMaintenanceWindowTasks", checked(describeMembers("Tasks", func(w window) map[string]structure { return w.Tasks }))},
	"DescribeMaintenanceWindows":       {"ssm:DescribeMaintenanceWindows", checked(describeWindows)},
	"GetMaintenanceWindow":             {"ssm:GetMaintenanceWindow", checked(getWindow)},
	"RegisterTargetWithMaintenanceWindow": {"ssm:RegisterTargetWithMaintenanceWindow",
		checked(register("Target", []string{"ResourceType", "Targets", "OwnerInformation", "Name", "Description"}))},
	"RegisterTaskWithMaintenanceWindow": {"ssm:RegisterTaskWithMaintenanceWindow",
		checked(register("Task", []string{"Targets", "TaskArn", "ServiceRoleArn", "TaskParameters", "TaskInvocationParameters", "Priority", "MaxConcurrency", "MaxErrors", "LoggingInfo", "Name", "Description", "CutoffBehavior", "AlarmConfiguration"}))},
	"UpdateMaintenanceWindow": {"ssm:UpdateMaintenanceWindow", checked(updateWindow)},
}
