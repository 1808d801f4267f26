package sandbox

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Command is one run of a Command document on one node.
type Command struct {
	ID         string
	Document   string
	InstanceID string
	Account    string
	Region     string
	Parameters map[string][]string // with the document's defaults
	Time       time.Time           // when it begins
}

// Result is how a command went on a node.
type Result struct {
	Output      string        `json:"output,omitempty"`      // of the whole; AWS shows the first 24,000 characters
	ErrorOutput string        `json:"errorOutput,omitempty"` // AWS shows the first 8,000
	Code        int           `json:"code"`                  // other than 0: it failed
	Duration    time.Duration `json:"duration,omitempty"`    // default: 3 s; 2 min if it patches
	// FailedPatches are the packages that AWS-RunPatchBaseline can't install: their
	// names, or parts of them. Other documents have none.
	FailedPatches []string `json:"failedPatches,omitempty"`
}

// HandleCommand says what runs of a document do, in all accounts and Regions,
// since nodes of the sandbox run no code. A document of which nothing is said
// succeeds and its output says that nothing ran. f is called at the run's time
// with the sandbox locked, so it must not call it; what is to come of a run in
// the estate can follow on the run's event (OnEvent). For AWS-RunPatchBaseline
// the patches are the sandbox's own, and a Code or FailedPatches decide how they
// go.
func (s *Sandbox) HandleCommand(document string, f func(Command) Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runners[document] = f
}

// invocation is a command on one node.
type invocation struct {
	Command   string    `json:"command"`
	Node      string    `json:"node"`
	Document  string    `json:"document"`
	Status    string    `json:"status"`
	Details   string    `json:"details"`
	Steps     []string  `json:"steps"` // their names
	Requested time.Time `json:"requested"`
	Started   time.Time `json:"started,omitzero"`
	Ended     time.Time `json:"ended,omitzero"`
	Result    Result    `json:"result,omitzero"` // which nobody sees before the end
}

// Output that GetCommandInvocation shows, and that of a plugin in
// ListCommandInvocations. Source: Systems Manager API Reference.
const (
	maxOutput       = 24000
	maxErrorOutput  = 8000
	maxPluginOutput = 2500
)

// patchPlatforms are those for which AWS-RunPatchBaseline has a step.
var patchPlatforms = []string{"Windows", "Linux", "MacOS"}

const (
	runTime   = 3 * time.Second
	patchTime = 2 * time.Minute
)

func (c *call) invoked(command, node string, at time.Time) (*record[invocation], invocation, bool) {
	return c.home().SSM.Invocations.live(command+"/"+node, at)
}

// stepsFor are the names of a document's steps that a node runs. Of
// AWS-RunPatchBaseline's three it is the one for its platform.
func stepsFor(d documentContent, os string) []string {
	var out []string
	for _, s := range d.Steps {
		platform, patches := strings.CutPrefix(s.Name, "Patch")
		if !patches || !slices.Contains(patchPlatforms, platform) || platform == operatingSystems[os].platform {
			out = append(out, s.Name)
		}
	}
	return out
}

// startInvocation lets a node begin, which settles how it will end.
func (c *call) startInvocation(m command, n node) {
	r, i, _ := c.invoked(m.ID, n.id, c.now)
	run := c.runners[m.Document]
	if run == nil {
		run = unscripted
	}
	result := run(Command{ID: m.ID, Document: m.Document, InstanceID: n.id, Account: c.who.Account, Region: c.region, Parameters: m.Parameters, Time: c.now})
	if result.Duration <= 0 {
		result.Duration = runTime
		if m.Document == patchDocument {
			result.Duration = patchTime
		}
	}
	i.Status, i.Details, i.Started, i.Result = "InProgress", "InProgress", c.now, result
	r.change(c.now, func(now *invocation) { *now = i })
	c.tellInvocation(m, n.id, i.Status)
	c.plan(c.now.Add(min(result.Duration, m.Execution)), "ssm/finish/"+m.ID+"/"+n.id)
}

func unscripted(m Command) Result {
	return Result{Output: "The sandbox ran nothing for " + m.Document + ": no test says what it does."}
}

// finishInvocation ends what has run its time. A node that doesn't run can't say
// so before it is back, and what is not heard of in time has timed out.
func (c *call) finishInvocation(id string) {
	command, node, _ := strings.Cut(id, "/")
	r, m, ok := c.home().SSM.Commands.live(command, c.now)
	_, i, there := c.invoked(command, node, c.now)
	if !ok || !there || i.Status != "InProgress" {
		return
	}
	n, managed := c.node(node, c.now)
	switch deadline := i.Started.Add(m.Execution); {
	case i.Result.Duration > m.Execution, (!managed || !n.online) && !c.now.Before(deadline):
		c.endInvocation(m, node, "TimedOut", "ExecutionTimedOut", Result{Code: 137, ErrorOutput: "failed to run commands: signal: killed"})
	case !managed || !n.online:
		next := c.now.Add(commandRetry)
		if deadline.Before(next) {
			next = deadline
		}
		c.plan(next, "ssm/finish/"+id)
		return
	default:
		result := i.Result
		if m.Document == patchDocument {
			result = c.patch(m, n, i)
		}
		status := "Success"
		if result.Code != 0 {
			status = "Failed"
		}
		c.endInvocation(m, node, status, status, result)
	}
	c.deliverCommand(command)
	_, m, _ = c.home().SSM.Commands.live(command, c.now)
	c.tellCommand(r, m)
}

func (c *call) cancelledInvocation(id string) {
	command, node, _ := strings.Cut(id, "/")
	r, m, ok := c.home().SSM.Commands.live(command, c.now)
	if _, i, there := c.invoked(command, node, c.now); !ok || !there || i.Status != "Cancelling" {
		return
	}
	c.endInvocation(m, node, "Cancelled", "Cancelled", Result{Code: -1})
	c.deliverCommand(command)
	_, m, _ = c.home().SSM.Commands.live(command, c.now)
	c.tellCommand(r, m)
}

// endInvocation brings an invocation to its end.
func (c *call) endInvocation(m command, node, status, details string, result Result) {
	r, i, ok := c.invoked(m.ID, node, c.now)
	if !ok {
		return
	}
	if i.Started.IsZero() {
		result.Code = -1
	}
	r.change(c.now, func(i *invocation) { i.Status, i.Details, i.Ended, i.Result = status, details, c.now, result })
	c.tellInvocation(m, node, status)
}

func (c *call) tellInvocation(m command, node, status string) {
	c.emit(c.now, "aws.ssm", "EC2 Command Invocation Status-change Notification", []string{c.ec2ARN("instance", node)},
		object{"command-id": m.ID, "document-name": m.Document, "instance-id": node, "requested-date-time": stampMillis(m.Requested), "status": status})
}

// getCommandInvocation shows a step's output only once it is over.
func getCommandInvocation(c *call) (map[string]any, error) {
	id, node := c.str("CommandId"), c.str("InstanceId")
	if !instanceIDPattern.MatchString(node) {
		return nil, failure(400, "InvalidInstanceId", "%s is not a valid instance ID.", node)
	}
	_, i, ok := c.invoked(id, node, c.view)
	if !ok {
		return nil, failure(400, "InvocationDoesNotExist", "No command %s was sent to %s.", id, node)
	}
	_, m, _ := c.home().SSM.Commands.live(id, c.view)
	plugin := c.str("PluginName")
	if plugin != "" && !slices.Contains(i.Steps, plugin) {
		return nil, failure(400, "InvalidPluginName", "The plugin name isn't valid: the document %s has no step %s.", i.Document, plugin)
	}
	if plugin == "" && len(i.Steps) > 0 {
		plugin = i.Steps[0]
	}
	out := object{"CommandId": id, "InstanceId": node, "Comment": m.Comment, "DocumentName": i.Document, "DocumentVersion": m.Version, "PluginName": plugin,
		"Status": i.Status, "StatusDetails": i.Details, "ResponseCode": int64(-1), "StandardOutputContent": "", "StandardErrorContent": "", "StandardOutputUrl": "", "StandardErrorUrl": "",
		"ExecutionStartDateTime": "", "ExecutionElapsedTime": "", "ExecutionEndDateTime": "", "CloudWatchOutputConfig": object{"CloudWatchLogGroupName": "", "CloudWatchOutputEnabled": false}}
	if !i.Started.IsZero() {
		out["ExecutionStartDateTime"] = stampMillis(i.Started)
	}
	if terminal(i.Status) {
		out["ResponseCode"], out["StandardOutputContent"], out["StandardErrorContent"] = int64(i.Result.Code), shortened(i.Result.Output, maxOutput), shortened(i.Result.ErrorOutput, maxErrorOutput)
		if !i.Started.IsZero() {
			out["ExecutionEndDateTime"], out["ExecutionElapsedTime"] = stampMillis(i.Ended), isoSeconds(i.Ended.Sub(i.Started))
		}
	}
	return out, nil
}

// shortened cuts text after a number of characters.
func shortened(s string, most int) string {
	n := 0
	for at := range s {
		if n == most {
			return s[:at]
		}
		n++
	}
	return s
}

func listCommandInvocations(c *call) (map[string]any, error) {
	want := c.str("CommandId")
	if want != "" {
		if _, _, err := c.commandNamed(want, c.view); err != nil {
			return nil, err
		}
	}
	var found []invocation
	for _, i := range c.home().SSM.Invocations.all(c.view) {
		_, m, _ := c.home().SSM.Commands.live(i.Command, c.view)
		fits, err := passesCommand(ssmFilters(c.in["Filters"]), m, map[string][]string{"Status": {i.Status, i.Details}})
		if err != nil {
			return nil, err
		}
		if fits && (want == "" || want == i.Command) && cmp.Or(c.str("InstanceId"), i.Node) == i.Node {
			found = append(found, i)
		}
	}
	newest(found, func(i invocation) (time.Time, string) { return i.Requested, i.Command + "/" + i.Node })
	return c.ssmPage("CommandInvocations", 50, mapped(found, func(i invocation) any { return c.invocationOut(i) }))
}

func (c *call) invocationOut(i invocation) object {
	_, m, _ := c.home().SSM.Commands.live(i.Command, c.view)
	n, _ := c.node(i.Node, c.view)
	plugins := []any{}
	if c.bool("Details") {
		for at, name := range i.Steps {
			p := object{"Name": name, "Status": i.Status, "StatusDetails": i.Details, "ResponseCode": int64(-1), "Output": "", "OutputS3Region": c.region}
			if !i.Started.IsZero() {
				p["ResponseStartDateTime"] = i.Started
			}
			if terminal(i.Status) {
				p["ResponseCode"] = int64(i.Result.Code)
				if !i.Started.IsZero() {
					p["ResponseFinishDateTime"] = i.Ended
				}
				if at == 0 {
					p["Output"] = shortened(outputs(i.Result), maxPluginOutput)
				}
			}
			plugins = append(plugins, p)
		}
	}
	return object{"CommandId": i.Command, "InstanceId": i.Node, "InstanceName": n.instance.Tags["Name"], "Comment": m.Comment, "DocumentName": i.Document, "DocumentVersion": m.Version,
		"RequestedDateTime": i.Requested, "Status": i.Status, "StatusDetails": i.Details, "StandardOutputUrl": "", "StandardErrorUrl": "", "CommandPlugins": plugins, "ServiceRole": m.Role}
}

// outputs are both outputs of a plugin in one text, as lists show them.
func outputs(r Result) string {
	if r.ErrorOutput == "" {
		return r.Output
	}
	return r.Output + "\n----------ERROR-------\n" + r.ErrorOutput
}
