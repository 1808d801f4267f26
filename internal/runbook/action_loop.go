package runbook

import (
	"fmt"
	"time"
)

// maxIterations is AWS's limit, of a loop's rounds and of its iterators.
const maxIterations = 100

// What a loop's steps can refer to, as AWS's page of the action names it.
const (
	currentIteration = "CurrentIteration"
	currentValue     = "CurrentIteratorValue"
)

// IterationBody is the body of an iteration entry: a loop's steps run once more.
type IterationBody struct {
	Iteration int `json:"iteration"`       // from 1
	Value     any `json:"value,omitempty"` // CurrentIteratorValue
}

// loop is aws:loop: its steps run for each of the Iterators, or again and again
// while the LoopCondition holds after them. The machine goes round; the action
// begins it.
type loop struct{}

func (loop) timeout() (standard, most time.Duration) { return 0, 0 }

func (loop) outputs(s *Step) []Output {
	value := String
	if n := s.inputs.get("IteratorDataType"); n != nil && n.text == nil {
		if t, ok := Type(text(n.plain())).base(); ok {
			value = t
		}
	}
	out := []Output{{Name: currentIteration, Type: Integer}}
	if s.condition == nil {
		out = append(out, Output{Name: currentValue, Type: value})
	}
	return out
}

func (loop) check(c *checker, s *Step) {
	c.members(s, nil, []string{"Iterators", "IteratorDataType", "MaxIterations"})
	c.oneOf(s, "IteratorDataType", "Boolean", "Integer", "String", "StringMap")
	iterators := s.inputs.get("Iterators")
	switch {
	case iterators == nil && s.condition == nil:
		c.add(s.Position, "Iterators or LoopCondition", "step %s: aws:loop has neither Iterators nor a LoopCondition", s.Name)
	case iterators != nil && s.condition != nil:
		c.add(s.condition.pos, "Iterators or LoopCondition", "step %s: aws:loop has both Iterators and a LoopCondition", s.Name)
	case iterators != nil && iterators.text == nil && (iterators.kind != listNode || len(iterators.list) > maxIterations):
		c.add(iterators.pos, fmt.Sprintf("a list of at most %d", maxIterations), "step %s: Iterators is %s", s.Name, iterators.what())
	}
	if s.condition != nil {
		checkCondition(c, s, s.condition)
	}
	if n := s.inputs.get("MaxIterations"); n != nil && n.text == nil {
		if v, err := integer(n.scalar); n.kind != scalarNode || err != nil || v.(int64) < 1 || v.(int64) > maxIterations {
			c.add(n.pos, fmt.Sprintf("1 to %d", maxIterations), "step %s: MaxIterations is %s", s.Name, excerpt(text(n.plain())))
		}
	}
	if s.MaxAttempts > 1 {
		c.warn(s.keys["maxAttempts"], "maxAttempts for the steps inside", "step %s: a loop is not tried again as a whole", s.Name)
	}
}

func (loop) next(t *turn) move {
	values, most, err := loopPlan(t.step, t.inputs)
	if err != nil {
		return failf("%v", err)
	}
	first := &IterationBody{Iteration: 1}
	if t.step.condition == nil {
		if min(len(values), most) == 0 {
			return done()
		}
		first.Value = values[0]
	}
	return move{round: first}
}

// loopPlan is what a loop goes through, by its inputs: the values of a loop with
// Iterators, and the most iterations.
func loopPlan(s *Step, inputs map[string]any) (values []any, most int, err error) {
	most = maxIterations
	if v, ok := inputs["MaxIterations"]; ok && v != "" {
		n, err := integer(v)
		if err != nil || n.(int64) < 1 || n.(int64) > maxIterations {
			return nil, 0, fmt.Errorf("MaxIterations is %s, 1 to %d is allowed", excerpt(text(v)), maxIterations)
		}
		most = int(n.(int64))
	}
	if s.condition != nil {
		return nil, most, nil
	}
	list, ok := inputs["Iterators"].([]any)
	if !ok {
		if inputs["Iterators"] == "" {
			return nil, most, nil
		}
		list = []any{inputs["Iterators"]}
	}
	if len(list) > maxIterations {
		return nil, 0, fmt.Errorf("there are %d Iterators, at most %d are allowed", len(list), maxIterations)
	}
	kind := String
	if v, ok := inputs["IteratorDataType"]; ok {
		kind = Type(text(v))
	}
	for i, item := range list {
		v, err := iteratorValue(item, kind)
		if err != nil {
			return nil, 0, fmt.Errorf("iterator %d: %w", i, err)
		}
		values = append(values, v)
	}
	return values, most, nil
}

// iteratorValue gives an iterator its type; a map may be written as JSON.
func iteratorValue(v any, kind Type) (any, error) {
	if s, ok := v.(string); ok && kind == StringMap {
		return fromJSON(s, StringMap)
	}
	return convert(v, kind)
}
