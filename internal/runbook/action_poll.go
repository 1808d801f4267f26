package runbook

import "time"

// longest is for how long an action that waits for something elsewhere does so
// where its step sets no limit: AWS's limit of an automation in a user's name.
const longest = 12 * time.Hour

// begun is the value of an output that one of the attempt's calls gave, or nil.
func (t *turn) begun(output string) any {
	for i := len(t.outcomes) - 1; i >= 0; i-- {
		if v := t.outcomes[i].Outputs[output]; v != nil {
			return v
		}
	}
	return nil
}

// made says whether the attempt made a call of an operation.
func (t *turn) made(operation string) bool {
	for i := range t.outcomes {
		if t.outcomes[i].Operation == operation {
			return true
		}
	}
	return false
}

func (t *turn) lastWas(operation string) bool {
	o := t.last()
	return o != nil && o.Operation == operation
}

// look is a read that looks whether what was begun has come to an end.
func look(service, operation string, input map[string]any) move {
	return move{call: &CallRequest{Service: service, Operation: operation, Input: input, Purpose: PurposeWait}}
}

// do is a call that has an effect.
func do(service, operation string, input map[string]any) move {
	return move{call: &CallRequest{Service: service, Operation: operation, Input: input, Purpose: PurposeExecute}}
}

// invoke is a call that has an effect although its operation counts as a read.
func invoke(service, operation string, input map[string]any) move {
	return move{call: &CallRequest{Service: service, Operation: operation, Input: input, Purpose: PurposeInvoke}}
}

// pick takes the inputs with these names, those that are not empty.
func pick(inputs map[string]any, names ...string) map[string]any {
	out := map[string]any{}
	for _, name := range names {
		if v, ok := inputs[name]; ok && !empty(v) {
			out[name] = v
		}
	}
	return out
}

// implicit gives an action's own outputs and those that the step selects from
// them, or from more.
func (s *Step) implicit(own, more map[string]any) (map[string]any, error) {
	all := map[string]any{}
	for k, v := range more {
		all[k] = v
	}
	for k, v := range own {
		if v != nil {
			all[k] = v
		}
	}
	outputs, err := s.declared(all)
	if err != nil {
		return nil, err
	}
	for k, v := range own {
		if _, given := outputs[k]; !given && v != nil {
			outputs[k] = v
		}
	}
	return outputs, nil
}

func outputsOf(t Type, names ...string) []Output {
	var out []Output
	for _, name := range names {
		out = append(out, Output{Name: name, Type: t})
	}
	return out
}

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func first(v any) map[string]any {
	list, _ := v.([]any)
	if len(list) == 0 {
		return nil
	}
	return object(list[0])
}
