package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// FunctionAnswer says what a Lambda function of the sandbox's own account and
// Region does for a payload. AddAnswer gives a function one; it is part of the
// estate. Texts in Calls, Answer and Error refer to the payload, as
// {{payload.Path.0.Member}}.
type FunctionAnswer struct {
	Function string `json:"function"`
	// When are members that the payload must have, with these values, at any
	// depth; without it, every payload fits.
	When map[string]any `json:"when,omitempty"`
	// Calls are those that the function makes, one after another, with its role.
	// One that is refused ends the function with that error.
	Calls  []FunctionCall `json:"calls,omitempty"`
	Answer any            `json:"answer,omitempty"`
	Error  string         `json:"error,omitempty"` // in place of an answer: an exception with this text
}

// FunctionCall is a call that a function makes.
type FunctionCall struct {
	Call  string         `json:"call"` // service:Operation
	Input map[string]any `json:"input,omitempty"`
}

// AddAnswer gives a function an answer more. Of its answers the first that fits
// a payload counts; a payload that none fits is an error of the function. What
// HandleFunction says of a function goes before its answers.
func (s *Sandbox) AddAnswer(a FunctionAnswer) (string, error) {
	if a.Function == "" {
		return "", fmt.Errorf("an answer is of a function: give its name")
	}
	if a.Error != "" && a.Answer != nil {
		return "", fmt.Errorf("the function %s can't both answer and fail", a.Function)
	}
	for _, c := range a.Calls {
		if _, err := s.operation(c.Call); err != nil {
			return "", fmt.Errorf("the function %s calls %q: %w", a.Function, c.Call, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	state := &s.own().home().Lambda
	state.Answers = append(state.Answers, a)
	return a.Function, nil
}

// FunctionRuns says how often a function of the sandbox's own account and Region
// was run.
func (s *Sandbox) FunctionRuns(name string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.own().home().Lambda.Runs[name]
}

// ran counts a run of a function.
func (s *lambdaState) ran(name string) {
	s.Runs = made(s.Runs)
	s.Runs[name]++
}

// answers are what a function does by its answers; nil: it has none.
func (c *call) answers(name string) Function {
	var mine []FunctionAnswer
	for _, a := range c.home().Lambda.Answers {
		if a.Function == name {
			mine = append(mine, a)
		}
	}
	if mine == nil {
		return nil
	}
	box, region := c.Sandbox, c.region
	return func(ctx context.Context, i Invocation) ([]byte, error) {
		var payload any
		if err := json.Unmarshal(i.Payload, &payload); err != nil {
			return nil, err
		}
		for _, a := range mine {
			if holds(payload, a.When) {
				return box.perform(ctx, a, payload, i, region)
			}
		}
		return nil, fmt.Errorf("none of the function's answers fits the payload %s", i.Payload)
	}
}

// perform does what an answer says.
func (s *Sandbox) perform(ctx context.Context, a FunctionAnswer, payload any, i Invocation, region string) ([]byte, error) {
	given := map[string]any{payloadName: payload}
	for _, c := range a.Calls {
		op, err := s.operation(c.Call)
		if err != nil {
			return nil, err
		}
		in, err := Resolve(c.Input, given)
		if err != nil {
			return nil, err
		}
		input, err := op.Coerce(in.(map[string]any))
		if err != nil {
			return nil, err
		}
		if _, err := s.again(ctx, Request{Service: op.Service.Name, Operation: op.Name, Region: region, AccessKeyID: i.AccessKeyID, Input: input}); err != nil {
			return nil, err
		}
	}
	if a.Error != "" {
		text, err := Resolve(a.Error, given)
		if err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%v", text)
	}
	answer, err := Resolve(a.Answer, given)
	if err != nil {
		return nil, err
	}
	return json.Marshal(answer)
}

// payloadName is by which an answer's texts refer to the payload.
const payloadName = "payload"

// ofPayload says whether a path is into a payload, which is there only when the
// function is run.
func ofPayload(path string) bool { return strings.HasPrefix(path, payloadName+".") }

// holds says whether a value has all that another has.
func holds(v, want any) bool {
	members, ok := want.(map[string]any)
	if !ok {
		return reflect.DeepEqual(v, want)
	}
	have, ok := v.(map[string]any)
	for name, w := range members {
		if !ok || !holds(have[name], w) {
			return false
		}
	}
	return ok || len(members) == 0
}
