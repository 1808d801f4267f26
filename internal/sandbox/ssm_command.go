package sandbox

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// command is one SendCommand. Its status is its invocations'.
type command struct {
	ID          string              `json:"id"`
	Document    string              `json:"document"`
	Version     string              `json:"version"`
	Parameters  map[string][]string `json:"parameters"` // bound
	Given       map[string][]string `json:"given,omitempty"`
	Comment     string              `json:"comment,omitempty"`
	Instances   []string            `json:"instances,omitempty"` // that the call names
	Targets     []object            `json:"targets,omitempty"`
	Nodes       []string            `json:"nodes"` // all that it goes to
	Requested   time.Time           `json:"requested"`
	Expires     time.Time           `json:"expires"`
	Timeout     int64               `json:"timeout"`          // seconds
	Execution   time.Duration       `json:"executionTimeout"` // of each invocation
	Concurrency string              `json:"maxConcurrency"`
	Errors      string              `json:"maxErrors"`
	Role        string              `json:"serviceRole,omitempty"`
	Cancelled   bool                `json:"cancelled,omitempty"`
	Told        string              `json:"told"` // the status that events have told last
}

const (
	// commandDelivery is how long it takes until an agent has a command.
	commandDelivery = 2 * time.Second
	// commandRetry is how often a command is offered again to a node that
	// doesn't answer.
	commandRetry = time.Minute
	// commandCancel is how long a node takes to stop what runs.
	commandCancel = 2 * time.Second
	// defaultExecution is how long a step may run that says nothing of it.
	defaultExecution = time.Hour
)

// terminal are the statuses that end an invocation, a command or an automation.
func terminal(status string) bool {
	return slices.Contains([]string{"Success", "Failed", "TimedOut", "Cancelled"}, status)
}

func sendCommand(c *call) (map[string]any, error) {
	name, d, err := c.findDocument(c.str("DocumentName"), c.now)
	if err != nil {
		return nil, err
	}
	v, ok := d.version(c.str("DocumentVersion"))
	if !ok {
		return nil, failure(400, "InvalidDocumentVersion", "The document version is not valid or does not exist.")
	}
	if d.Type != "Command" {
		return nil, failure(400, "InvalidDocument", "Document %s is of type %s; a command needs one of type Command.", name, d.Type)
	}
	if hash := c.str("DocumentHash"); hash != "" && c.str("DocumentHashType") != "Sha1" && hash != contentHash(v.Content) {
		return nil, failure(400, "InvalidDocument", "The hash of the document %s is not the one in the request.", name)
	}
	content, err := parseContent(v)
	if err != nil {
		return nil, failure(400, "InvalidDocument", "%v", err)
	}
	bound, err := content.bind(textLists(c.in["Parameters"]))
	if err != nil {
		return nil, failure(400, "InvalidParameters", "Parameters of %s: %v", name, err)
	}
	nodes, err := c.targetNodes()
	if err != nil {
		return nil, err
	}
	for _, member := range []string{"OutputS3BucketName", "NotificationConfig", "AlarmConfiguration"} {
		if _, ok := c.in[member]; ok {
			return nil, failure(501, "NotImplemented", "The sandbox does not simulate %s of a command.", member)
		}
	}
	m := command{ID: uuid(c.id("", 32)), Document: name, Version: cmp.Or(c.str("DocumentVersion"), "$DEFAULT"), Parameters: bound, Given: textLists(c.in["Parameters"]), Comment: c.str("Comment"),
		Instances: c.strings("InstanceIds"), Targets: c.objects("Targets"), Nodes: nodes, Requested: c.now, Timeout: 3600, Execution: defaultExecution,
		Concurrency: cmp.Or(c.str("MaxConcurrency"), "50"), Errors: cmp.Or(c.str("MaxErrors"), "0"), Role: c.str("ServiceRoleArn"), Told: "Pending"}
	if n, ok := c.int("TimeoutSeconds"); ok {
		m.Timeout = n
	}
	if l := bound["executionTimeout"]; len(l) == 1 {
		if n, err := strconv.Atoi(l[0]); err == nil {
			m.Execution = time.Duration(n) * time.Second
		}
	}
	m.Expires = c.now.Add(time.Duration(m.Timeout)*time.Second + m.Execution)
	if !limitPattern(m.Concurrency, 1) || !limitPattern(m.Errors, 0) {
		return nil, invalid("1 validation error detected: MaxConcurrency and MaxErrors are numbers or percentages.")
	}
	state := &c.home().SSM
	for _, id := range nodes {
		i := invocation{Command: m.ID, Node: id, Document: name, Status: "Pending", Details: "Pending", Steps: stepsFor(content, c.nodeOf(id, c.now).os), Requested: c.now}
		state.Invocations.put(m.ID+"/"+id, c.now, i)
	}
	state.Commands.put(m.ID, c.now, m)
	c.plan(c.now.Add(commandDelivery), "ssm/deliver/"+m.ID)
	return object{"Command": c.commandOut(m, c.now)}, nil
}

// nodeOf is node for an id that was checked.
func (c *call) nodeOf(id string, at time.Time) node {
	n, _ := c.node(id, at)
	return n
}

// limitPattern says whether a limit is a number of at least low, or a
// percentage.
func limitPattern(s string, low int) bool {
	digits, percent := strings.CutSuffix(s, "%")
	n, err := strconv.Atoi(digits)
	return err == nil && n >= low && (!percent || n <= 100) && !strings.HasPrefix(digits, "+")
}

// limit is what a number or a percentage comes to for a number of targets.
func limit(s string, of int) int {
	digits, percent := strings.CutSuffix(s, "%")
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	if percent {
		return n * of / 100
	}
	return n
}

// targetNodes finds the nodes that a command is for. A node that is stopped is
// one; what isn't managed, or no more, is none.
func (c *call) targetNodes() ([]string, error) {
	ids, targets := c.strings("InstanceIds"), c.objects("Targets")
	switch {
	case len(ids) == 0 && len(targets) == 0:
		return nil, invalid("Either InstanceIds or Targets must be specified.")
	case len(ids) > 0 && len(targets) > 0:
		return nil, invalid("InstanceIds and Targets can't be specified together.")
	}
	var unmanaged []string
	for i, id := range ids {
		if slices.Contains(ids[:i], id) {
			return nil, failure(400, "DuplicateInstanceId", "You can't specify an instance ID in more than one association.")
		}
	}
	for _, t := range targets {
		if t["Key"] == "InstanceIds" {
			ids = append(ids, texts(t["Values"])...)
		}
	}
	for _, id := range ids {
		if !instanceIDPattern.MatchString(id) {
			return nil, invalid("1 validation error detected: Value '%s' at 'instanceIds' failed to satisfy constraint: Member must satisfy regular expression pattern: (^i-(\\w{8}|\\w{17})$)|(^mi-\\w{17}$)", id)
		}
		if _, ok := c.node(id, c.now); !ok {
			unmanaged = append(unmanaged, id)
		}
	}
	if len(unmanaged) > 0 {
		return nil, failure(400, "InvalidInstanceId", "Instances [[%s]] not in a valid state for account %s", strings.Join(unmanaged, ", "), c.who.Account)
	}
	if len(targets) == 0 {
		return slices.Clone(ids), nil
	}
	out := []string{}
	for _, n := range c.nodes(c.now) {
		fits := true
		for _, t := range targets {
			key, _ := t["Key"].(string)
			meets, err := n.meetsTarget(key, texts(t["Values"]))
			if err != nil {
				return nil, err
			}
			fits = fits && meets
		}
		if fits {
			out = append(out, n.id)
		}
	}
	return out, nil
}

// meetsTarget says whether a node is one that a target names.
func (n node) meetsTarget(key string, values []string) (bool, error) {
	switch {
	case key == "InstanceIds":
		return slices.Contains(values, n.id) || slices.Contains(values, "*"), nil
	case key == "tag-key":
		return slices.ContainsFunc(values, func(k string) bool { _, ok := n.instance.Tags[k]; return ok }), nil
	case strings.HasPrefix(key, "tag:"):
		v, ok := n.instance.Tags[strings.TrimPrefix(key, "tag:")]
		return ok && (slices.Contains(values, v) || slices.Contains(values, "*")), nil
	case strings.HasPrefix(key, "resource-groups:"):
		return false, failure(501, "NotImplemented", "The sandbox does not find targets by resource groups.")
	}
	return false, failure(400, "InvalidParameters", "The target %s is not valid. Use InstanceIds or tag:NAME.", key)
}

// deliverCommand hands a command to as many of its nodes as may run it at once.
// It is called for each time that one may have become free, and ends the command
// when no node is left.
func (c *call) deliverCommand(id string) {
	r, m, ok := c.home().SSM.Commands.live(id, c.now)
	if !ok {
		return
	}
	running, again := 0, false
	var waiting []string
	tally := c.tally(m, c.now)
	for _, node := range m.Nodes {
		switch _, i, _ := c.invoked(m.ID, node, c.now); i.Status {
		case "InProgress", "Cancelling":
			running++
		case "Pending":
			waiting = append(waiting, node)
		}
	}
	for _, id := range waiting {
		n, managed := c.node(id, c.now)
		switch {
		case tally.errors > limit(m.Errors, len(m.Nodes)):
			c.endInvocation(m, id, "Cancelled", "Terminated", Result{Code: -1})
		case !managed:
			c.endInvocation(m, id, "Failed", "Undeliverable", Result{Code: -1})
		case !c.now.Before(m.Expires) && n.instance.State != "running":
			c.endInvocation(m, id, "Failed", "Undeliverable", Result{Code: -1})
		case !c.now.Before(m.Expires):
			c.endInvocation(m, id, "TimedOut", "DeliveryTimedOut", Result{Code: -1})
		case !n.online:
			again = true
		case running < max(limit(m.Concurrency, len(m.Nodes)), 1):
			running++
			c.startInvocation(m, n)
		}
	}
	if again {
		next := c.now.Add(commandRetry)
		if m.Expires.Before(next) {
			next = m.Expires
		}
		c.plan(next, "ssm/deliver/"+id)
	}
	c.tellCommand(r, m)
}

// tellCommand sends the event of a command whose status has changed.
// Source: Amazon EventBridge's "AWS Systems Manager events".
func (c *call) tellCommand(r *record[command], m command) {
	status, _ := c.commandStatus(m, c.now)
	if status == m.Told {
		return
	}
	r.change(c.now, func(m *command) { m.Told = status })
	detail := object{"command-id": m.ID, "document-name": m.Document, "expire-after": stampMillis(m.Expires), "parameters": listsOut(m.Given),
		"requested-date-time": stampMillis(m.Requested), "status": status}
	c.emit(c.now, "aws.ssm", "EC2 Command Status-change Notification", mapped(m.Nodes, func(id string) string { return c.ec2ARN("instance", id) }), detail)
}

// tally counts how a command's invocations stand.
type tally struct {
	done, errors, lost, undelivered, succeeded, begun int
}

func (c *call) tally(m command, at time.Time) tally {
	var t tally
	for _, id := range m.Nodes {
		_, i, _ := c.invoked(m.ID, id, at)
		if i.Status != "Pending" {
			t.begun++
		}
		if terminal(i.Status) {
			t.done++
		}
		switch i.Details {
		case "Success":
			t.succeeded++
		case "Failed", "ExecutionTimedOut":
			t.errors++
		case "DeliveryTimedOut":
			t.lost++
		case "Undeliverable":
			t.undelivered++
		}
	}
	return t
}

// commandStatus is a command's status and its details, which follow from its
// invocations'. Source: Systems Manager User Guide, "Understanding command
// statuses".
func (c *call) commandStatus(m command, at time.Time) (status, details string) {
	t := c.tally(m, at)
	switch most := limit(m.Errors, len(m.Nodes)); {
	case len(m.Nodes) == 0 && !at.Before(m.Requested.Add(commandDelivery)):
		return "Failed", "NoInstancesInTag"
	case t.done < len(m.Nodes) && m.Cancelled:
		return "Cancelling", "Cancelling"
	case t.done < len(m.Nodes) && t.begun > 0:
		return "InProgress", "InProgress"
	case t.done < len(m.Nodes) || len(m.Nodes) == 0:
		return "Pending", "Pending"
	case m.Cancelled && t.succeeded < t.done:
		return "Cancelled", "Cancelled"
	case t.errors > most:
		return "Failed", "Failed"
	case t.lost > most:
		return "TimedOut", "DeliveryTimedOut"
	case t.undelivered == t.done:
		return "Failed", "Undeliverable"
	case t.succeeded+t.undelivered == t.done:
		return "Success", "Success"
	}
	return "Failed", "Incomplete"
}

func (c *call) commandOut(m command, at time.Time) object {
	t := c.tally(m, at)
	status, details := c.commandStatus(m, at)
	return object{"CommandId": m.ID, "DocumentName": m.Document, "DocumentVersion": m.Version, "Comment": m.Comment, "ExpiresAfter": m.Expires, "Parameters": listsOut(m.Given),
		"InstanceIds": anys(m.Instances), "Targets": anys(m.Targets), "RequestedDateTime": m.Requested, "Status": status, "StatusDetails": details,
		"OutputS3Region": c.region, "MaxConcurrency": m.Concurrency, "MaxErrors": m.Errors, "TargetCount": int64(len(m.Nodes)), "CompletedCount": int64(t.done),
		"ErrorCount": int64(t.errors), "DeliveryTimedOutCount": int64(t.lost), "ServiceRole": m.Role, "TimeoutSeconds": m.Timeout,
		"CloudWatchOutputConfig": object{"CloudWatchLogGroupName": "", "CloudWatchOutputEnabled": false}}
}

// cancelCommand stops what it can: what waits at once, what runs when its node
// hears of it. What has ended stays as it is.
func cancelCommand(c *call) (map[string]any, error) {
	r, m, err := c.commandNamed(c.str("CommandId"), c.now)
	if err != nil {
		return nil, err
	}
	nodes := m.Nodes
	if ids := c.strings("InstanceIds"); len(ids) > 0 {
		for i, id := range ids {
			if slices.Contains(ids[:i], id) {
				return nil, failure(400, "DuplicateInstanceId", "You can't specify an instance ID in more than one association.")
			}
			if !slices.Contains(m.Nodes, id) {
				return nil, failure(400, "InvalidInstanceId", "The command was not sent to the instance %s.", id)
			}
		}
		nodes = ids
	}
	if t := c.tally(m, c.now); t.done < len(m.Nodes) && len(nodes) == len(m.Nodes) {
		m.Cancelled = true
		r.change(c.now, func(m *command) { m.Cancelled = true })
	}
	for _, id := range nodes {
		switch ir, i, _ := c.invoked(m.ID, id, c.now); i.Status {
		case "Pending":
			c.endInvocation(m, id, "Cancelled", "Cancelled", Result{Code: -1})
		case "InProgress":
			ir.change(c.now, func(i *invocation) { i.Status, i.Details = "Cancelling", "Cancelling" })
			c.tellInvocation(m, id, "Cancelling")
			c.plan(c.now.Add(commandCancel), "ssm/cancelled/"+m.ID+"/"+id)
		}
	}
	c.tellCommand(r, m)
	return object{}, nil
}

func (c *call) commandNamed(id string, at time.Time) (*record[command], command, error) {
	if r, m, ok := c.home().SSM.Commands.live(id, at); ok {
		return r, m, nil
	}
	return nil, command{}, failure(400, "InvalidCommandId", "The specified command ID isn't valid. Verify the ID and try again.")
}

func listCommands(c *call) (map[string]any, error) {
	if id := c.str("CommandId"); id != "" {
		if _, _, err := c.commandNamed(id, c.view); err != nil {
			return nil, err
		}
	}
	var found []command
	for id, m := range c.home().SSM.Commands.all(c.view) {
		status, details := c.commandStatus(m, c.view)
		stage := "Executing"
		if terminal(status) {
			stage = "Complete"
		}
		fits, err := passesCommand(ssmFilters(c.in["Filters"]), m, map[string][]string{"Status": {status, details}, "ExecutionStage": {stage}})
		if err != nil {
			return nil, err
		}
		if want := c.str("CommandId"); fits && (want == "" || want == id) && (c.str("InstanceId") == "" || slices.Contains(m.Nodes, c.str("InstanceId"))) {
			found = append(found, m)
		}
	}
	newest(found, func(m command) (time.Time, string) { return m.Requested, m.ID })
	return c.ssmPage("Commands", 50, mapped(found, func(m command) any { return c.commandOut(m, c.view) }))
}

// newest sorts what happened last first.
func newest[T any](l []T, of func(T) (time.Time, string)) {
	slices.SortFunc(l, func(a, b T) int {
		at, aid := of(a)
		bt, bid := of(b)
		return cmp.Or(bt.Compare(at), strings.Compare(aid, bid))
	})
}

// passesCommand applies the filters of commands and invocations.
func passesCommand(list []ssmFilter, m command, values map[string][]string) (bool, error) {
	for _, f := range list {
		if f.key != "InvokedAfter" && f.key != "InvokedBefore" {
			continue
		}
		at, err := time.Parse(time.RFC3339, strings.Join(f.values, ""))
		if err != nil {
			return false, invalid("The value of the filter %s is no time such as 2026-01-31T00:00:00Z.", f.key)
		}
		if f.key == "InvokedAfter" && m.Requested.Before(at) || f.key == "InvokedBefore" && !m.Requested.Before(at) {
			return false, nil
		}
	}
	return passes(list, func(key string) ([]string, bool) {
		switch key {
		case "InvokedAfter", "InvokedBefore": // done
			return list[slices.IndexFunc(list, func(f ssmFilter) bool { return f.key == key })].values, true
		case "DocumentName":
			return []string{m.Document}, true
		}
		v, ok := values[key]
		return v, ok
	})
}

// seconds is a duration as ISO 8601 writes it, in seconds with milliseconds.
func isoSeconds(d time.Duration) string {
	return "PT" + strconv.FormatFloat(math.Round(d.Seconds()*1000)/1000, 'f', -1, 64) + "S"
}

var commandHandlers = map[string]handler{
	"CancelCommand":          {"ssm:CancelCommand", checked(cancelCommand)},
	"GetCommandInvocation":   {"ssm:GetCommandInvocation", checked(getCommandInvocation)},
	"ListCommandInvocations": {"ssm:ListCommandInvocations", checked(listCommandInvocations)},
	"ListCommands":           {"ssm:ListCommands", checked(listCommands)},
	"SendCommand":            {"ssm:SendCommand", checked(sendCommand)},
}
