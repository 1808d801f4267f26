package runbook

import (
	"fmt"
	"strings"
	"time"
)

// createStack is aws:createStack: it creates a CloudFormation stack and waits
// until it is there.
type createStack struct{}

var stackInputs = []string{
	"Capabilities", "ClientRequestToken", "DisableRollback", "NotificationARNs", "OnFailure", "Parameters", "ResourceTypes", "RoleARN",
	"StackPolicyBody", "StackPolicyURL", "Tags", "TemplateBody", "TemplateURL", "TimeoutInMinutes", "EnableTerminationProtection", "RollbackConfiguration",
}

func (createStack) timeout() (standard, most time.Duration) { return longest, 0 }

func (createStack) outputs(*Step) []Output {
	return outputsOf(String, "StackId", "StackStatus", "StackStatusReason")
}

func (createStack) check(c *checker, s *Step) {
	c.members(s, []string{"StackName"}, stackInputs)
	c.oneOf(s, "OnFailure", "DO_NOTHING", "ROLLBACK", "DELETE")
	for _, pair := range [][2]string{{"TemplateBody", "TemplateURL"}, {"StackPolicyBody", "StackPolicyURL"}, {"DisableRollback", "OnFailure"}} {
		if one, other := s.inputs.get(pair[0]), s.inputs.get(pair[1]); one != nil && other != nil {
			c.add(other.pos, "one of them", "step %s: the stack has both %s and %s", s.Name, pair[0], pair[1])
		}
	}
	if s.inputs.get("TemplateBody") == nil && s.inputs.get("TemplateURL") == nil {
		c.add(s.Position, "TemplateBody or TemplateURL", "step %s: the stack has no template", s.Name)
	}
}

func (createStack) calls(s *Step) []callSite {
	return []callSite{{service: "cloudformation", operation: "CreateStack", input: s.inputs, skip: []string{"TemplateBody"}}, {service: "cloudformation", operation: "DescribeStacks"}}
}

// project keeps the stack's id, and its status.
func (createStack) project(s *Step, r map[string]any) (map[string]any, any, error) {
	if id := r["StackId"]; id != nil {
		return map[string]any{"StackId": id}, nil, nil
	}
	stack := first(r["Stacks"])
	outputs, err := s.implicit(map[string]any{"StackId": stack["StackId"], "StackStatus": stack["StackStatus"], "StackStatusReason": stack["StackStatusReason"]}, stack)
	return outputs, stack["StackStatus"], err
}

func (createStack) awaited(_ map[string]any, operation string) (any, bool) {
	return "CREATE_COMPLETE", operation == "DescribeStacks"
}

func (createStack) next(t *turn) move {
	o := t.last()
	if o == nil {
		input := pick(t.inputs, append([]string{"StackName"}, stackInputs...)...)
		if body := object(input["TemplateBody"]); body != nil {
			input["TemplateBody"] = text(body)
		}
		return do("cloudformation", "CreateStack", input)
	}
	if o.Error != nil && (o.Operation == "CreateStack" || !tolerable(t, o.Error)) {
		return failedCall(o)
	}
	id := t.begun("StackId")
	switch status := text(o.Property); {
	case id == nil:
		return failf("cloudformation:CreateStack gave no id")
	case o.Operation == "CreateStack" || t.waited:
		return look("cloudformation", "DescribeStacks", map[string]any{"StackName": id})
	case o.Error != nil:
		return pollWait(t, o.Error.Error())
	case status == "CREATE_COMPLETE":
		return done()
	case status == "" || strings.HasSuffix(status, "_IN_PROGRESS"):
		return pollWait(t, fmt.Sprintf("the stack is %s", or(status, "not visible yet")))
	default:
		return failf("the stack %s is %s: %s", text(t.inputs["StackName"]), status, or(text(t.begun("StackStatusReason")), "no reason is given"))
	}
}

// deleteStack is aws:deleteStack: it deletes a CloudFormation stack and waits
// until it is gone.
type deleteStack struct{}

func (deleteStack) timeout() (standard, most time.Duration) { return longest, 0 }

func (deleteStack) check(c *checker, s *Step) {
	c.members(s, []string{"StackName"}, []string{"ClientRequestToken", "RetainResources", "RoleARN"})
}

func (deleteStack) calls(s *Step) []callSite {
	return []callSite{{service: "cloudformation", operation: "DeleteStack", input: s.inputs}, {service: "cloudformation", operation: "DescribeStacks"}}
}

// project keeps the stack's id, by which one that was deleted is still found,
// and its status. A stack that is not there is one that is gone already.
func (deleteStack) project(_ *Step, r map[string]any) (map[string]any, any, error) {
	stack := first(r["Stacks"])
	if stack == nil {
		return nil, nil, nil
	}
	return map[string]any{"StackId": stack["StackId"]}, stack["StackStatus"], nil
}

func (deleteStack) outputs(*Step) []Output { return outputsOf(String, "StackId") }

func (deleteStack) awaited(_ map[string]any, operation string) (any, bool) {
	return "DELETE_COMPLETE", operation == "DescribeStacks"
}

func (deleteStack) next(t *turn) move {
	o := t.last()
	describe := func(name any) move {
		return look("cloudformation", "DescribeStacks", map[string]any{"StackName": name})
	}
	if o == nil {
		return describe(t.inputs["StackName"])
	}
	gone := o.Error != nil && o.Error.Code == "ValidationError" && strings.Contains(o.Error.Message, "does not exist")
	deleted := t.made("DeleteStack")
	if o.Error != nil && !gone && (o.Operation == "DeleteStack" || !tolerable(t, o.Error)) {
		return failedCall(o)
	}
	id := t.begun("StackId")
	switch status := text(o.Property); {
	case gone || status == "DELETE_COMPLETE":
		return done()
	case o.Operation == "DeleteStack" || t.waited:
		return describe(id)
	case o.Error != nil:
		return pollWait(t, o.Error.Error())
	case !deleted:
		if id == nil {
			return done()
		}
		input := pick(t.inputs, "ClientRequestToken", "RetainResources", "RoleARN")
		input["StackName"] = t.inputs["StackName"]
		return do("cloudformation", "DeleteStack", input)
	case status == "DELETE_FAILED":
		return failf("the stack %s is %s", text(t.inputs["StackName"]), status)
	default:
		return pollWait(t, "the stack is "+or(status, "not visible"))
	}
}
