package runbook

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// runCommand is aws:runCommand: it sends a command to managed instances, waits
// until it has run on all of them, and gives what it printed.
type runCommand struct{}

// commandInputs are SendCommand's; the page of the action has most of them.
var commandInputs = []string{
	"InstanceIds", "Targets", "DocumentVersion", "Parameters", "CloudWatchOutputConfig", "Comment", "DocumentHash", "DocumentHashType",
	"NotificationConfig", "OutputS3BucketName", "OutputS3KeyPrefix", "OutputS3Region", "ServiceRoleArn", "TimeoutSeconds", "MaxConcurrency",
	"MaxErrors", "AlarmConfiguration",
}

const maxCommandInstances = 50

func (runCommand) timeout() (standard, most time.Duration) { return longest, 0 }

func (runCommand) outputs(*Step) []Output {
	return append(outputsOf(String, "CommandId", "Status", "Output"), Output{Name: "ResponseCode", Type: Integer})
}

func (runCommand) check(c *checker, s *Step) {
	c.members(s, []string{"DocumentName"}, commandInputs)
	ids, targets := s.inputs.get("InstanceIds"), s.inputs.get("Targets")
	if ids == nil && targets == nil {
		c.add(s.Position, "InstanceIds or Targets", "step %s: the command has neither InstanceIds nor Targets", s.Name)
	}
	if ids != nil && ids.kind == listNode && len(ids.list) > maxCommandInstances {
		c.add(ids.pos, fmt.Sprintf("at most %d", maxCommandInstances), "step %s: InstanceIds has %d elements", s.Name, len(ids.list))
	}
	if n := s.inputs.get("Parameters"); n != nil && n.text == nil && n.kind != mapNode {
		c.add(n.pos, "a map", "step %s: Parameters is %s", s.Name, n.what())
	}
	for name, parse := range map[string]func(string) (Rate, error){"MaxConcurrency": ParseConcurrency, "MaxErrors": ParseErrors} {
		c.rate(s, name, parse)
	}
}

// rate reports a MaxConcurrency or MaxErrors that is none.
func (c *checker) rate(s *Step, name string, parse func(string) (Rate, error)) {
	if n := s.inputs.get(name); n != nil && n.text == nil {
		if _, err := parse(text(n.plain())); err != nil {
			c.add(n.pos, "a number, or a percentage such as 10%", "step %s: %s is %s", s.Name, name, excerpt(text(n.plain())))
		}
	}
}

func (runCommand) calls(s *Step) []callSite {
	return []callSite{
		{service: "ssm", operation: "SendCommand", input: s.inputs, skip: []string{"Parameters"}},
		{service: "ssm", operation: "ListCommands"}, {service: "ssm", operation: "ListCommandInvocations"}, {service: "ssm", operation: "CancelCommand"},
	}
}

// project keeps the command's id, its status, or what it left on the instances.
func (runCommand) project(s *Step, r map[string]any) (map[string]any, any, error) {
	if command := object(r["Command"]); command != nil {
		return map[string]any{"CommandId": command["CommandId"]}, command["Status"], nil
	}
	if _, ok := r["Commands"]; ok {
		command := first(r["Commands"])
		return nil, command["Status"], nil
	}
	invocations, ok := r["CommandInvocations"].([]any)
	if !ok {
		return nil, nil, nil // of CancelCommand
	}
	var printed []string
	own := map[string]any{"ResponseCode": int64(0)}
	for _, i := range invocations {
		plugins, _ := object(i)["CommandPlugins"].([]any)
		for _, p := range plugins {
			plugin := object(p)
			if out := text(plugin["Output"]); out != "" {
				printed = append(printed, out)
			}
			if code, ok := plugin["ResponseCode"].(int64); ok && own["ResponseCode"] == int64(0) {
				own["ResponseCode"] = code
			}
		}
		own["CommandId"] = object(i)["CommandId"]
	}
	own["Output"] = strings.Join(printed, "\n")
	outputs, err := s.implicit(own, nil)
	return outputs, nil, err
}

func (runCommand) awaited(_ map[string]any, operation string) (any, bool) {
	return "Success", operation == "ListCommands"
}

// Statuses of a command that has not ended.
var commandUnderWay = []string{"", "Pending", "InProgress", "Cancelling", "Delayed"}

func (runCommand) next(t *turn) move {
	o := t.last()
	if o == nil {
		input := pick(t.inputs, append([]string{"DocumentName"}, commandInputs...)...)
		if parameters := object(input["Parameters"]); parameters != nil {
			lists := map[string]any{}
			for name, v := range parameters {
				list, ok := v.([]any)
				if !ok {
					list = []any{v}
				}
				texts := make([]any, len(list))
				for i, item := range list {
					texts[i] = text(item)
				}
				lists[name] = texts
			}
			input["Parameters"] = lists
		}
		if ids, err := convert(input["InstanceIds"], StringList); err == nil && ids != nil {
			input["InstanceIds"] = ids
		}
		return do("ssm", "SendCommand", input)
	}
	if o.Error != nil && (o.Operation == "SendCommand" || !tolerable(t, o.Error)) {
		return failedCall(o)
	}
	id := t.begun("CommandId")
	input := map[string]any{"CommandId": id}
	switch {
	case id == nil:
		return failf("ssm:SendCommand gave no command id")
	case o.Operation == "SendCommand" || t.waited && o.Operation == "ListCommands":
		return look("ssm", "ListCommands", input)
	case o.Operation == "ListCommandInvocations" && o.Error == nil:
		status := ""
		for i := range t.outcomes {
			if t.outcomes[i].Operation == "ListCommands" {
				status = text(t.outcomes[i].Property)
			}
		}
		if status != "Success" {
			return failf("the command %s ended with the status %s, response code %s: %s", text(id), or(status, "unknown"), text(o.Outputs["ResponseCode"]), excerpt(text(o.Outputs["Output"])))
		}
		m := done()
		m.done.Outputs = map[string]any{"CommandId": id, "Status": status}
		for i := range t.outcomes {
			for name, v := range t.outcomes[i].Outputs {
				m.done.Outputs[name] = v
			}
		}
		return m
	case o.Error != nil:
		return pollWait(t, o.Error.Error())
	case !slices.Contains(commandUnderWay, text(o.Property)):
		return look("ssm", "ListCommandInvocations", map[string]any{"CommandId": id, "Details": true})
	}
	return pollWait(t, fmt.Sprintf("the command %s is %s", text(id), or(text(o.Property), "not visible yet")))
}

func (runCommand) stop(t *turn) *move {
	id := t.begun("CommandId")
	if id == nil || t.made("CancelCommand") {
		return nil
	}
	m := do("ssm", "CancelCommand", map[string]any{"CommandId": id})
	return &m
}

func (runCommand) stopped(t *turn) bool { return t.lastWas("CancelCommand") }
