package remedy

import (
	"context"
	"regexp"
	"strings"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
)

// What a step's sensitive read hands out is sealed as a secret parameter is, under
// the name of the step and the member: "⟦secret Open.Parameter.Value 3f2a…⟧". The
// plan's seal and the run's are the same as long as the value is.

var sealForm = regexp.MustCompile(sealOpen + `(\S+) [0-9a-f]{64}` + sealClose)

// sealRead seals the members of a sensitive read's answer that the model marks
// sensitive, and gives them with their values.
func sealRead(key []byte, runID, step string, op *awsapi.Operation, out map[string]any) (map[string]any, secrets) {
	var found secrets
	seal := func(path string) func(string) string {
		return func(value string) string {
			if value == "" {
				return value
			}
			o := opened{sealOf(newSecret(key, runID, step+"."+path, "", value)), value}
			found = append(found, o)
			return o.seal
		}
	}
	var walk func(s *awsapi.Shape, v any, path string) any
	walk = func(s *awsapi.Shape, v any, path string) any {
		if s == nil || s.Is(awsapi.Sensitive) {
			if s == nil {
				return v
			}
			return eachText(v, seal(path))
		}
		switch v := v.(type) {
		case map[string]any:
			sealed := make(map[string]any, len(v))
			for _, k := range sortedKeys(v) {
				sealed[k] = walk(inner(s, k), v[k], strings.TrimPrefix(path+"."+k, "."))
			}
			return sealed
		case []any:
			if s.Type == awsapi.List {
				sealed := make([]any, len(v))
				for i, e := range v {
					sealed[i] = walk(s.Elem.Shape, e, path)
				}
				return sealed
			}
		}
		return v
	}
	sealed, _ := walk(op.Output, out, "").(map[string]any)
	return sealed, found
}

// sealRead seals what a planned sensitive read hands out; the planner's reads are
// made with the values from then on.
func (e *exploration) sealRead(step string, op *awsapi.Operation, in, out map[string]any) map[string]any {
	if e.DigestKey == nil || classOf(op, in) != knowngood.SensitiveRead {
		return out
	}
	out, found := sealRead(e.DigestKey, e.req.RunID, step, op, out)
	if len(found) > 0 {
		e.Planner, e.sealedReads = e.sealing(found), true
	}
	return out
}

// send makes a call of the run with the values of the secrets that its steps have
// read. One that was read before the process ended is read again, as the plan has it;
// that it is another now is an error of kind Refused.
func (h *held) send(ctx context.Context, op *awsapi.Operation, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	if err := h.reopen(ctx, in); err != nil {
		return nil, err
	}
	return sealed(h.Caller, h.known()).Call(ctx, op.Service.Name, op.Name, in, opts...)
}

func (h *held) known() secrets {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.opened[:len(h.opened):len(h.opened)]
}

// learn seals what a step's sensitive read has handed out. What a script reads it has
// to see.
func (h *held) learn(step string, op *awsapi.Operation, out map[string]any) map[string]any {
	s, ok := h.document.Step(step)
	if h.DigestKey == nil || !ok || s.Action == scriptAction {
		return out
	}
	out, found := sealRead(h.DigestKey, h.plan.RunID, step, op, out)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.opened = append(h.opened, found...)
	return out
}

const scriptAction = "aws:executeScript"

func (h *held) reopen(ctx context.Context, in map[string]any) error {
	for _, m := range sealsIn(in) {
		step, _, isRead := strings.Cut(m[1], ".")
		if !isRead || h.known().has(m[0]) {
			continue
		}
		for _, part := range h.plan.Parts {
			for _, c := range part.Calls {
				if c.Step != step || c.Class != knowngood.SensitiveRead || h.known().has(m[0]) {
					continue
				}
				if err := h.readAgain(ctx, c); err != nil {
					return err
				}
			}
		}
		if !h.known().has(m[0]) {
			return knowngood.E(knowngood.Refused, "plan drift at "+step, "the secret %s is not the one that the step read", m[1])
		}
	}
	return nil
}

func (h *held) readAgain(ctx context.Context, c knowngood.Call) error {
	op, err := h.Catalog.Operation(c.Service, c.Operation)
	if err != nil {
		return err
	}
	h.mu.Lock()
	bound, err := bind(c.Input, h.replay.bindings)
	h.mu.Unlock()
	if err != nil {
		return err
	}
	in, _ := bound.(map[string]any)
	call, err := runbook.CallRequest{Service: c.Service, Operation: c.Operation, Input: in}.Coerce(h.Catalog)
	if err != nil {
		return err
	}
	out, err := sealed(h.Caller, h.known()).Call(ctx, c.Service, c.Operation, call.Input, awsapi.Region(c.Region))
	if err == nil {
		h.learn(c.Step, op, out)
	}
	return err
}

func (s secrets) has(seal string) bool {
	for _, o := range s {
		if o.seal == seal {
			return true
		}
	}
	return false
}

// sealsIn are the seals in a value, each with its name.
func sealsIn(v any) [][]string {
	var out [][]string
	eachText(v, func(s string) string {
		out = append(out, sealForm.FindAllStringSubmatch(s, -1)...)
		return s
	})
	return out
}
