package runbook

import (
	"fmt"
	"slices"
	"strings"
)

// branch is aws:branch: the first choice whose condition holds names the next
// step, else Default does, else the step that follows.
type branch struct{}

// BranchDecision is where an aws:branch leads.
type BranchDecision struct {
	Chosen string   // the next step, or End
	Arms   []string // every step, or End, that could be next, without duplicates
	Uses   []string // the references that the conditions read
}

// operators are the comparisons of aws:branch.
var operators = []string{
	"StringEquals", "EqualsIgnoreCase", "StartsWith", "EndsWith", "Contains",
	"NumericEquals", "NumericGreater", "NumericLesser", "NumericGreaterOrEquals", "NumericLesserOrEquals",
	"BooleanEquals",
}

func (branch) check(c *checker, s *Step) {
	c.members(s, []string{"Choices"}, []string{"Default"})
	choices := s.inputs.get("Choices")
	if choices == nil {
		return
	}
	if choices.kind != listNode || len(choices.list) == 0 {
		c.add(choices.pos, "a list of choices", "step %s: Choices is %s", s.Name, emptyOr(choices))
		return
	}
	for _, n := range choices.list {
		next := n.get("NextStep")
		if n.kind != mapNode || next == nil {
			c.add(n.pos, "a choice with NextStep", "step %s: a choice is %s without NextStep", s.Name, n.what())
			continue
		}
		c.target(next.pos, s, "NextStep", text(next.plain()))
		checkCondition(c, s, n, "NextStep")
	}
	if n := s.inputs.get("Default"); n != nil {
		c.target(n.pos, s, "Default", text(n.plain()))
	}
}

// checkCondition checks Variable with one operator, or one of And, Or, Not.
func checkCondition(c *checker, s *Step, n *node, also ...string) {
	if n.kind != mapNode {
		c.add(n.pos, "Variable and an operator, And, Or or Not", "step %s: a condition is %s", s.Name, n.what())
		return
	}
	variable, comparisons, logic := 0, 0, 0
	for _, f := range n.fields {
		switch {
		case slices.Contains(also, f.name):
		case f.name == "Variable":
			variable++
			if f.value.text == nil {
				c.add(f.value.pos, "a reference", "step %s: Variable is %s", s.Name, excerpt(text(f.value.plain())))
			}
		case slices.Contains(operators, f.name):
			comparisons++
			if f.value.kind != scalarNode {
				c.add(f.value.pos, "a value", "step %s: %s is %s", s.Name, f.name, f.value.what())
			}
		case f.name == "And" || f.name == "Or":
			logic++
			if f.value.kind != listNode || len(f.value.list) == 0 {
				c.add(f.value.pos, "a list of conditions", "step %s: %s is %s", s.Name, f.name, emptyOr(f.value))
				continue
			}
			for _, inner := range f.value.list {
				checkCondition(c, s, inner)
			}
		case f.name == "Not":
			logic++
			checkCondition(c, s, f.value)
		default:
			known := append([]string{"Variable", "And", "Or", "Not"}, operators...)
			c.add(f.pos, strings.Join(known, ", "), "step %s: there is no operator %s%s", s.Name, excerpt(f.name), near(f.name, known))
			return
		}
	}
	if !(variable == 1 && comparisons == 1 && logic == 0 || logic == 1 && variable+comparisons == 0) {
		c.add(n.pos, "Variable and one operator, or one of And, Or and Not", "step %s: the condition has %d Variable, %d operators and %d of And, Or and Not", s.Name, variable, comparisons, logic)
	}
}

// outputs has the step that was chosen, which AWSSupport-TroubleshootWindowsUpdate
// refers to.
func (branch) outputs(*Step) []Output { return outputsOf(String, chosenStep) }

const chosenStep = "NextStep"

func (branch) arms(s *Step) []string {
	var arms []string
	add := func(name string) {
		if !slices.Contains(arms, name) {
			arms = append(arms, name)
		}
	}
	if choices := s.inputs.get("Choices"); choices != nil {
		for _, n := range choices.list {
			if next := n.get("NextStep"); next != nil {
				add(text(next.plain()))
			}
		}
	}
	if n := s.inputs.get("Default"); n != nil {
		add(text(n.plain()))
	} else {
		add(s.following)
	}
	return arms
}

func (b branch) next(t *turn) move {
	arms := b.arms(t.step)
	decision := &BranchDecision{Chosen: arms[len(arms)-1], Arms: arms, Uses: unique(t.step.inputs.get("Choices").refs(nil))}
	if n := t.step.inputs.get("Default"); n != nil {
		decision.Chosen = text(n.plain())
	} else {
		decision.Chosen = t.step.following
	}
	choices, _ := t.inputs["Choices"].([]any)
	for _, choice := range choices {
		c, _ := choice.(map[string]any)
		ok, err := condition(c)
		if err != nil {
			return move{branch: decision, fail: &Failure{Message: err.Error()}}
		}
		if ok {
			decision.Chosen = text(c["NextStep"])
			break
		}
	}
	return move{branch: decision}
}

// condition evaluates a condition whose references are resolved.
func condition(c map[string]any) (bool, error) {
	if inner, ok := c["Not"].(map[string]any); ok {
		holds, err := condition(inner)
		return !holds, err
	}
	for _, logic := range []string{"And", "Or"} {
		list, ok := c[logic].([]any)
		if !ok {
			continue
		}
		for _, item := range list {
			inner, _ := item.(map[string]any)
			holds, err := condition(inner)
			if err != nil {
				return false, err
			}
			if holds == (logic == "Or") {
				return holds, nil
			}
		}
		return logic == "And", nil
	}
	for _, op := range operators {
		if want, ok := c[op]; ok {
			return compare(op, c["Variable"], want)
		}
	}
	return false, fmt.Errorf("a condition without an operator")
}

func compare(op string, value, want any) (bool, error) {
	switch op {
	case "Contains":
		if list, ok := value.([]any); ok {
			return slices.ContainsFunc(list, func(v any) bool { return text(v) == text(want) }), nil
		}
		return strings.Contains(text(value), text(want)), nil
	case "BooleanEquals":
		b, err := boolean(value)
		if err != nil {
			return false, fmt.Errorf("BooleanEquals: %w", err)
		}
		w, err := boolean(want)
		if err != nil {
			return false, fmt.Errorf("BooleanEquals: %w", err)
		}
		return b == w, nil
	}
	// A list of one element stands for the element.
	if one, err := convert(value, String); err == nil && one != nil {
		value = one
	}
	a, b := text(value), text(want)
	switch op {
	case "StringEquals":
		return a == b, nil
	case "EqualsIgnoreCase":
		return strings.EqualFold(a, b), nil
	case "StartsWith":
		return strings.HasPrefix(a, b), nil
	case "EndsWith":
		return strings.HasSuffix(a, b), nil
	}
	x, err := decimal(a)
	if err != nil {
		return false, fmt.Errorf("%s: %w", op, err)
	}
	y, err := decimal(b)
	if err != nil {
		return false, fmt.Errorf("%s: %w", op, err)
	}
	c := x.Cmp(y)
	switch op {
	case "NumericEquals":
		return c == 0, nil
	case "NumericGreater":
		return c > 0, nil
	case "NumericLesser":
		return c < 0, nil
	case "NumericGreaterOrEquals":
		return c >= 0, nil
	}
	return c <= 0, nil // NumericLesserOrEquals
}
