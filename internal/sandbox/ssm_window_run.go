package sandbox

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// windowRun is one opening of a maintenance window.
type windowRun struct {
	ID      string          `json:"id"`
	Window  string          `json:"window"`
	Status  string          `json:"status"`
	Details string          `json:"details,omitempty"`
	Start   time.Time       `json:"start"`
	End     time.Time       `json:"end,omitzero"`
	Cutoff  time.Time       `json:"cutoff"` // no task starts from then on
	Closes  time.Time       `json:"closes"`
	Tasks   []windowTaskRun `json:"tasks"` // by priority
}

type windowTaskRun struct {
	ID          string             `json:"id"`
	Task        structure          `json:"task"` // as it was registered
	Status      string             `json:"status"`
	Details     string             `json:"details,omitempty"`
	Start       time.Time          `json:"start,omitzero"`
	End         time.Time          `json:"end,omitzero"`
	Invocations []windowInvocation `json:"invocations,omitempty"`
}

// windowInvocation is a command or automation that a task started.
type windowInvocation struct {
	ID        string    `json:"id"`
	Execution string    `json:"execution"` // of the command or automation
	Status    string    `json:"status"`
	Details   string    `json:"details,omitempty"`
	Start     time.Time `json:"start"`
	End       time.Time `json:"end,omitzero"`
}

// windowCheck is how often a window looks how its tasks stand.
const windowCheck = 30 * time.Second

// windowEnded says whether a status of a window's execution is final.
func windowEnded(status string) bool {
	return !slices.Contains([]string{"PENDING", "IN_PROGRESS", "CANCELLING"}, status)
}

// keepWindow lets a window open when it is due next.
func (c *call) keepWindow(w window) {
	if at, ok := w.opens(c.now); ok {
		c.plan(at, "ssm/window/"+w.ID)
	}
}

// openWindow runs a window's tasks, if this is still when it opens. A change of
// its schedule leaves times behind at which it doesn't any more.
func (c *call) openWindow(id string) {
	state := &c.home().SSM
	_, w, ok := state.Windows.live(id, c.now)
	if !ok {
		return
	}
	if at, due := w.opens(c.now.Add(-time.Nanosecond)); !due || !at.Equal(c.now) {
		return
	}
	overlaps := false
	for _, r := range state.WindowRuns.all(c.now) {
		if r.Window == id && r.Start.Equal(c.now) {
			return // it was planned twice
		}
		overlaps = overlaps || r.Window == id && !windowEnded(r.Status)
	}
	c.keepWindow(w)
	if len(w.Tasks) == 0 {
		return
	}
	hours := func(n int64) time.Duration { return time.Duration(n) * time.Hour }
	r := windowRun{ID: uuid(c.id("", 32)), Window: id, Status: "IN_PROGRESS", Start: c.now, Closes: c.now.Add(hours(w.Duration)), Cutoff: c.now.Add(hours(w.Duration - w.Cutoff))}
	for _, task := range sorted(w.Tasks) {
		r.Tasks = append(r.Tasks, windowTaskRun{ID: uuid(c.id("", 32)), Task: w.Tasks[task], Status: "PENDING"})
	}
	slices.SortStableFunc(r.Tasks, func(a, b windowTaskRun) int { return cmp.Compare(a.Task.int("Priority"), b.Task.int("Priority")) })
	if overlaps {
		r.Status, r.Details, r.End, r.Tasks = "SKIPPED_OVERLAPPING", "The window's last execution is still under way.", c.now, nil
	}
	state.WindowRuns.put(r.ID, c.now, r)
	c.tellWindow(r)
	if !overlaps {
		c.checkWindow(r.ID)
	}
}

// checkWindow goes on with an execution: it looks how what was started stands,
// and when all tasks of one priority have ended starts those of the next.
func (c *call) checkWindow(id string) {
	record, r, ok := c.home().SSM.WindowRuns.live(id, c.now)
	if !ok || windowEnded(r.Status) {
		return
	}
	before := r.Status
	_, w, _ := c.home().SSM.Windows.live(r.Window, c.now)
	r.Tasks = slices.Clone(r.Tasks)
	var waits any // the priority that is under way
	for i := range r.Tasks {
		t := &r.Tasks[i]
		if waits != nil && waits != t.Task["Priority"] {
			break
		}
		switch {
		case windowEnded(t.Status):
			continue
		case t.Status == "PENDING" && r.Status == "CANCELLING":
			t.end(c.now, "CANCELLED", "The execution was cancelled.")
		case t.Status == "PENDING" && !c.now.Before(r.Cutoff):
			t.end(c.now, "TIMED_OUT", "The window's cutoff came before the task could begin.")
		case t.Status == "PENDING":
			c.startTask(t, w)
		default:
			c.followTask(t)
		}
		if !windowEnded(t.Status) && !c.now.Before(r.Closes) {
			t.end(c.now, "TIMED_OUT", "The window has closed.")
		}
		if !windowEnded(t.Status) {
			waits = t.Task["Priority"]
		}
	}
	if waits == nil {
		r.Status, r.End = windowStatus(r), c.now
	} else {
		c.plan(c.now.Add(windowCheck), "ssm/windowrun/"+id)
	}
	record.change(c.now, func(now *windowRun) { *now = r })
	if r.Status != before {
		c.tellWindow(r)
	}
}

// windowStatus is how an execution ended: as the worst of its tasks.
func windowStatus(r windowRun) string {
	if r.Status == "CANCELLING" {
		return "CANCELLED"
	}
	for _, status := range []string{"FAILED", "TIMED_OUT", "CANCELLED"} {
		if slices.ContainsFunc(r.Tasks, func(t windowTaskRun) bool { return t.Status == status }) {
			return status
		}
	}
	return "SUCCESS"
}

func (t *windowTaskRun) end(at time.Time, status, details string) {
	t.Status, t.Details, t.End = status, details, at
	if t.Start.IsZero() {
		t.Start = at
	}
}

// startTask starts a task's command or automations.
func (c *call) startTask(t *windowTaskRun, w window) {
	t.Start, t.Status = c.now, "IN_PROGRESS"
	nodes, err := c.taskNodes(t.Task, w)
	if err == nil {
		switch t.Task.str("Type") {
		case "RUN_COMMAND":
			err = c.startCommand(t, nodes)
		case "AUTOMATION":
			err = c.startAutomations(t, nodes)
		default:
			err = failure(501, "NotImplemented", "The sandbox does not run tasks of type %s.", t.Task.str("Type"))
		}
	}
	if err != nil {
		t.end(c.now, "FAILED", wording(err))
	}
}

// taskNodes are the nodes that a task's targets, and those of the window that it
// names, come to.
func (c *call) taskNodes(task structure, w window) ([]string, error) {
	var out []string
	add := func(targets []object) error {
		if len(targets) == 0 {
			return nil
		}
		found, err := c.inner(c.region, "ssm", "SendCommand", structure{"Targets": anys(targets)}).targetNodes()
		out = append(out, found...)
		return err
	}
	var direct []object
	for _, t := range objects(task["Targets"]) {
		if t["Key"] != "WindowTargetIds" {
			direct = append(direct, t)
			continue
		}
		for _, id := range texts(t["Values"]) {
			if err := add(objects(w.Targets[id]["Targets"])); err != nil {
				return nil, err
			}
		}
	}
	err := add(direct)
	slices.Sort(out)
	return slices.Compact(out), err
}

// taskInput is what a task gives to what it starts: the parameters, whose texts
// name the target.
func taskInput(t *windowTaskRun, kind, target string) structure {
	given, _ := t.Task["TaskInvocationParameters"].(object)
	of, _ := given[kind].(object)
	in := structure(of).with(nil)
	parameters := object{}
	old, _ := t.Task["TaskParameters"].(object)
	for name, v := range old { // the form of the first API
		o, _ := v.(object)
		parameters[name] = o["Values"]
	}
	named, _ := in["Parameters"].(object)
	for name, v := range named {
		parameters[name] = v
	}
	for name, v := range parameters {
		values := []any{}
		for _, s := range texts(v) {
			values = append(values, strings.NewReplacer("{{TARGET_ID}}", target, "{{RESOURCE_ID}}", target, "{{ TARGET_ID }}", target, "{{ RESOURCE_ID }}", target).Replace(s))
		}
		parameters[name] = values
	}
	if len(parameters) > 0 {
		in["Parameters"] = parameters
	}
	return in
}

func (c *call) startCommand(t *windowTaskRun, nodes []string) error {
	if len(nodes) == 0 {
		return invalid("No target of the task is a managed node.")
	}
	in := taskInput(t, "RunCommand", "").with(structure{"DocumentName": t.Task["TaskArn"], "InstanceIds": anys(nodes)})
	for _, m := range []string{"MaxConcurrency", "MaxErrors"} {
		if v, ok := t.Task[m]; ok {
			in[m] = v
		}
	}
	out, err := sendCommand(c.inner(c.region, "ssm", "SendCommand", in))
	if err != nil {
		return err
	}
	t.Invocations = []windowInvocation{{ID: uuid(c.id("", 32)), Execution: lookupText(out, "Command.CommandId"), Status: "IN_PROGRESS", Start: c.now}}
	return nil
}

// startAutomations starts one for each target, or without targets one.
func (c *call) startAutomations(t *windowTaskRun, nodes []string) error {
	if len(nodes) == 0 {
		nodes = []string{""}
	}
	for _, node := range nodes {
		out, err := startAutomation(c.inner(c.region, "ssm", "StartAutomationExecution", taskInput(t, "Automation", node).with(structure{"DocumentName": t.Task["TaskArn"]})))
		if err != nil {
			return err
		}
		t.Invocations = append(t.Invocations, windowInvocation{ID: uuid(c.id("", 32)), Execution: textOf(out["AutomationExecutionId"]), Status: "IN_PROGRESS", Start: c.now})
	}
	return nil
}

// followTask looks how what a task started stands.
func (c *call) followTask(t *windowTaskRun) {
	t.Invocations = slices.Clone(t.Invocations)
	worst := "SUCCESS"
	for i := range t.Invocations {
		v := &t.Invocations[i]
		if !windowEnded(v.Status) {
			status := ""
			if _, m, ok := c.home().SSM.Commands.live(v.Execution, c.now); ok {
				status, v.Details = c.commandStatus(m, c.now)
			} else if _, a, ok := c.home().SSM.Executions.live(v.Execution, c.now); ok {
				status, v.Details = a.Progress.Status, a.Progress.FailureMessage
			}
			switch {
			case !finished(status):
				return
			case status == "Success" || status == "CompletedWithSuccess":
				v.Status = "SUCCESS"
			case status == "TimedOut":
				v.Status = "TIMED_OUT"
			case status == "Cancelled":
				v.Status = "CANCELLED"
			default:
				v.Status = "FAILED"
			}
			v.End = c.now
		}
		if v.Status != "SUCCESS" && worst != "FAILED" {
			worst = v.Status
		}
	}
	t.end(c.now, worst, "")
}

// tellWindow sends the event of an execution whose status has changed.
// Source: Amazon EventBridge's "AWS Systems Manager events".
func (c *call) tellWindow(r windowRun) {
	detail := object{"window-id": r.Window, "window-execution-id": r.ID, "status": r.Status, "start-time": stamp(r.Start)}
	if !r.End.IsZero() {
		detail["end-time"] = stamp(r.End)
	}
	c.emit(c.now, "aws.ssm", "Maintenance Window Execution State-change Notification", []string{c.ssmARN("maintenancewindow/" + r.Window)}, detail)
}

// ran gives an execution.
func (c *call) ran(at time.Time) (*record[windowRun], windowRun, error) {
	id := c.str("WindowExecutionId")
	if r, v, ok := c.home().SSM.WindowRuns.live(id, at); ok {
		return r, v, nil
	}
	return nil, windowRun{}, failure(400, "DoesNotExistException", "Maintenance window execution %s does not exist", id)
}

// windowTimes adds to an answer what all have of how something stands.
func windowTimes(out object, status, details string, start, end time.Time) object {
	out["Status"] = status
	if details != "" {
		out["StatusDetails"] = details
	}
	if !start.IsZero() {
		out["StartTime"] = start
	}
	if !end.IsZero() {
		out["EndTime"] = end
	}
	return out
}

func describeWindowRuns(c *call) (map[string]any, error) {
	_, w, err := c.window(c.view)
	if err != nil {
		return nil, err
	}
	var found []windowRun
	for _, r := range c.home().SSM.WindowRuns.all(c.view) {
		rest, fits := ssmFilters(c.in["Filters"]), r.Window == w.ID
		for _, f := range rest {
			at, err := time.Parse(time.RFC3339, strings.Join(f.values, ""))
			if err != nil || f.key != "ExecutedBefore" && f.key != "ExecutedAfter" {
				return nil, invalid("The filter %s is not valid: ExecutedBefore and ExecutedAfter take a time such as 2026-01-31T00:00:00Z.", f.key)
			}
			fits = fits && (f.key == "ExecutedBefore" && r.Start.Before(at) || f.key == "ExecutedAfter" && r.Start.After(at))
		}
		if fits {
			found = append(found, r)
		}
	}
	newest(found, func(r windowRun) (time.Time, string) { return r.Start, r.ID })
	return c.ssmPage("WindowExecutions", 100, mapped(found, func(r windowRun) any {
		return windowTimes(object{"WindowId": r.Window, "WindowExecutionId": r.ID}, r.Status, r.Details, r.Start, r.End)
	}))
}

func getWindowRun(c *call) (map[string]any, error) {
	_, r, err := c.ran(c.view)
	if err != nil {
		return nil, err
	}
	ids := mapped(r.Tasks, func(t windowTaskRun) any { return t.ID })
	return windowTimes(object{"WindowExecutionId": r.ID, "TaskIds": ids}, r.Status, r.Details, r.Start, r.End), nil
}

func describeWindowTaskRuns(c *call) (map[string]any, error) {
	_, r, err := c.ran(c.view)
	if err != nil {
		return nil, err
	}
	return c.ssmPage("WindowExecutionTaskIdentities", 100, mapped(r.Tasks, func(t windowTaskRun) any {
		out := object{"WindowExecutionId": r.ID, "TaskExecutionId": t.ID, "TaskArn": t.Task["TaskArn"], "TaskType": t.Task["Type"]}
		return windowTimes(out, t.Status, t.Details, t.Start, t.End)
	}))
}

// ranTask serves a read of one task of an execution.
func ranTask(read func(*call, windowRun, windowTaskRun) (map[string]any, error)) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		_, r, err := c.ran(c.view)
		if err != nil {
			return nil, err
		}
		for _, t := range r.Tasks {
			if t.ID == c.str("TaskId") {
				return read(c, r, t)
			}
		}
		return nil, failure(400, "DoesNotExistException", "Task %s does not exist in the maintenance window execution %s", c.str("TaskId"), r.ID)
	}
}

func getWindowTaskRun(_ *call, r windowRun, t windowTaskRun) (map[string]any, error) {
	out := object{"WindowExecutionId": r.ID, "TaskExecutionId": t.ID, "TaskArn": t.Task["TaskArn"], "Type": t.Task["Type"], "Priority": t.Task["Priority"]}
	for from, to := range map[string]string{"ServiceRoleArn": "ServiceRole", "MaxConcurrency": "MaxConcurrency", "MaxErrors": "MaxErrors"} {
		if v, ok := t.Task[from]; ok {
			out[to] = v
		}
	}
	return windowTimes(out, t.Status, t.Details, t.Start, t.End), nil
}

func describeWindowInvocations(c *call, r windowRun, t windowTaskRun) (map[string]any, error) {
	return c.ssmPage("WindowExecutionTaskInvocationIdentities", 100, mapped(t.Invocations, func(v windowInvocation) any {
		out := object{"WindowExecutionId": r.ID, "TaskExecutionId": t.ID, "InvocationId": v.ID, "ExecutionId": v.Execution, "TaskType": t.Task["Type"]}
		return windowTimes(out, v.Status, v.Details, v.Start, v.End)
	}))
}

// cancelWindowRun lets no more task begin. What has begun goes on.
func cancelWindowRun(c *call) (map[string]any, error) {
	record, r, err := c.ran(c.now)
	if err != nil {
		return nil, err
	}
	if !windowEnded(r.Status) {
		record.change(c.now, func(r *windowRun) { r.Status = "CANCELLING" })
		c.checkWindow(r.ID)
	}
	return object{"WindowExecutionId": r.ID}, nil
}

var windowRunHandlers = map[string]handler{
	"CancelMaintenanceWindowExecution":                  {"ssm:CancelMaintenanceWindowExecution", checked(cancelWindowRun)},
	"DescribeMaintenanceWindowExecutions":               {"ssm:DescribeMaintenanceWindowExecutions", checked(describeWindowRuns)},
	"DescribeMaintenanceWindowExecutionTasks":           {"ssm:DescribeMaintenanceWindowExecutionTasks", checked(describeWindowTaskRuns)},
	"DescribeMaintenanceWindowExecutionTaskInvocations": {"ssm:DescribeMaintenanceWindowExecutionTaskInvocations", checked(ranTask(describeWindowInvocations))},
	"GetMaintenanceWindowExecution":                     {"ssm:GetMaintenanceWindowExecution", checked(getWindowRun)},
	"GetMaintenanceWindowExecutionTask":                 {"ssm:GetMaintenanceWindowExecutionTask", checked(ranTask(getWindowTaskRun))},
}
