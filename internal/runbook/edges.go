package runbook

import (
	"strings"
)

// Edge is a way from a step to another.
type Edge struct {
	Kind EdgeKind
	To   string // a step's name, or End
	// Label says when a choice is taken.
	Label string
}

// EdgeKind is when a way is taken.
type EdgeKind string

// The kinds of ways.
const (
	EdgeNext    EdgeKind = "next"    // the step succeeded
	EdgeChoice  EdgeKind = "choice"  // a condition of aws:branch holds
	EdgeDefault EdgeKind = "default" // none of them holds
	EdgeFailure EdgeKind = "failure"
	EdgeCancel  EdgeKind = "cancel"
)

// Edges are the ways that the document has from a step, in its order. From a step
// inside a loop, End stands for the end of the round.
func (d *Document) Edges(step string) []Edge {
	s, ok := d.Step(step)
	if !ok {
		return nil
	}
	var out []Edge
	if _, isBranch := s.run.(branch); isBranch {
		if choices := s.inputs.get("Choices"); choices != nil {
			for _, n := range choices.list {
				if next := n.get("NextStep"); next != nil {
					out = append(out, Edge{EdgeChoice, text(next.plain()), conditionText(n)})
				}
			}
		}
		to := s.following
		if n := s.inputs.get("Default"); n != nil {
			to = text(n.plain())
		}
		out = append(out, Edge{EdgeDefault, to, "otherwise"})
	} else {
		out = append(out, Edge{Kind: EdgeNext, To: s.following})
	}
	for _, jump := range []struct {
		kind EdgeKind
		to   string
	}{{EdgeFailure, s.OnFailure}, {EdgeCancel, s.OnCancel}} {
		if name, ok := strings.CutPrefix(jump.to, "step:"); ok {
			out = append(out, Edge{Kind: jump.kind, To: name})
		}
	}
	return out
}

// Inside are the steps of a loop; Loop is the loop that a step is in, or nil.
func (s *Step) Inside() []*Step { return s.body }

// Loop is the loop that the step is in, or nil.
func (s *Step) Loop() *Step { return s.parent }

// comparisons are the operators of aws:branch as people write them.
var comparisons = map[string]string{
	"StringEquals": "=", "EqualsIgnoreCase": "≈", "StartsWith": "starts with", "EndsWith": "ends with", "Contains": "contains",
	"NumericEquals": "=", "NumericGreater": ">", "NumericLesser": "<", "NumericGreaterOrEquals": "≥", "NumericLesserOrEquals": "≤",
	"BooleanEquals": "=",
}

// conditionText is a condition for people.
func conditionText(n *node) string {
	if n == nil || n.kind != mapNode {
		return ""
	}
	if inner := n.get("Not"); inner != nil {
		return "not " + conditionText(inner)
	}
	for _, logic := range []string{"And", "Or"} {
		if list := n.get(logic); list != nil {
			var parts []string
			for _, item := range list.list {
				parts = append(parts, conditionText(item))
			}
			return strings.Join(parts, " "+strings.ToLower(logic)+" ")
		}
	}
	for _, op := range operators {
		if want := n.get(op); want != nil {
			return bare(n.get("Variable")) + " " + comparisons[op] + " " + orQuoted(bare(want))
		}
	}
	return ""
}

// bare is a value without the braces around a reference.
func bare(n *node) string {
	if n == nil {
		return ""
	}
	if n.text != nil {
		if ref := n.text.whole(); ref != nil {
			return ref.String()
		}
	}
	return text(n.plain())
}

func orQuoted(s string) string {
	if s == "" {
		return `""`
	}
	return s
}

// Does says in a few words what a step does: the operation that it calls, what it
// goes through, for how long it sleeps.
func (d *Document) Does(step string) string {
	s, ok := d.Step(step)
	if !ok {
		return ""
	}
	value := func(name string) string { return bare(s.inputs.get(name)) }
	switch s.run.(type) {
	case executeAPI, assertProperty, waitProperty:
		call := value("Service") + ":" + value("Api")
		if want := s.inputs.get("DesiredValues"); want != nil {
			var values []string
			for _, n := range want.list {
				values = append(values, bare(n))
			}
			call += " " + value("PropertySelector") + " = " + strings.Join(values, " or ")
		}
		return call
	case loop:
		if s.condition != nil {
			return "while " + conditionText(s.condition)
		}
		return "each of " + value("Iterators")
	case sleep:
		return value("Duration") + value("Timestamp")
	case updateVariable:
		return updateVariable{}.variable(s) + " := " + value("Value")
	case executeScript:
		return strings.TrimSpace(value("Runtime") + " " + value("Handler"))
	case executeAutomation, runCommand:
		return value("DocumentName")
	case changeInstanceState:
		return value("DesiredState")
	case createStack, deleteStack:
		return value("StackName")
	case invokeLambda:
		return value("FunctionName")
	case stateMachine:
		return value("stateMachineArn")
	case webhook:
		return value("IntegrationName")
	case createImage, copyImage:
		return value("ImageName")
	case deleteImage, runInstances:
		return value("ImageId")
	case approve:
		return value("Message")
	}
	return ""
}
