package sandbox

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/strictyaml"
)

// scenario is an estate as the calls that make it. They go through the
// sandbox's own API, so an estate can't hold what AWS would refuse.
type scenario struct {
	Description string         `yaml:"description"`
	Calls       []scenarioCall `yaml:"calls"`
}

type scenarioCall struct {
	Call    string         `yaml:"call"`    // service:Operation
	As      string         `yaml:"as"`      // the name by which later calls refer to the answer
	Region  string         `yaml:"region"`  // default: the sandbox's own
	Account string         `yaml:"account"` // whose operator makes it; default: the sandbox's own
	Input   map[string]any `yaml:"input"`   // text may hold {{name.Path.0.Member}}
	Wait    string         `yaml:"wait"`    // how long after the call the next one comes, as Go writes durations
}

// Load makes the calls of a scenario, which is YAML. They lie in the past: the
// last wait ends at the sandbox's present, so an estate is settled at once even
// on the machine's own clock. file names the scenario in errors. A scenario
// that fails leaves behind what it had made.
func (s *Sandbox) Load(ctx context.Context, file string, data []byte) error {
	_, err := s.LoadNamed(ctx, file, data)
	return err
}

// LoadNamed is Load that also gives the answers of the calls that have a name,
// for Resolve.
func (s *Sandbox) LoadNamed(ctx context.Context, file string, data []byte) (answers map[string]any, err error) {
	var sc scenario
	if err := strictyaml.Decode(file, data, &sc, "a scenario"); err != nil {
		return nil, err
	}
	var total time.Duration
	waits := make([]time.Duration, len(sc.Calls))
	for i, call := range sc.Calls {
		if call.Wait == "" {
			continue
		}
		d, err := time.ParseDuration(call.Wait)
		if err != nil || d < 0 {
			return nil, fmt.Errorf("%s: call %d (%s): wait %q is no duration such as 30s", file, i+1, call.Call, call.Wait)
		}
		waits[i] = d
		total += d
	}
	past := NewClock(s.clock.Now().Add(-total))
	defer s.useClock(s.useClock(past))
	answers = map[string]any{}
	for i, call := range sc.Calls {
		out, err := s.replay(ctx, call, answers)
		if err != nil {
			return nil, fmt.Errorf("%s: call %d (%s): %w", file, i+1, call.Call, err)
		}
		if call.As != "" {
			answers[call.As] = out
		}
		past.Advance(waits[i])
	}
	return answers, nil
}

// useClock sets the clock and gives the one before.
func (s *Sandbox) useClock(c knowngood.Clock) knowngood.Clock {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.clock
	s.clock = c
	return before
}

func (s *Sandbox) replay(ctx context.Context, call scenarioCall, answers map[string]any) (map[string]any, error) {
	service, operation, ok := strings.Cut(call.Call, ":")
	if !ok {
		return nil, fmt.Errorf("expected service:Operation")
	}
	v, err := Resolve(map[string]any(call.Input), answers)
	if err != nil {
		return nil, err
	}
	if service == "sandbox" {
		return s.seeded(operation, v)
	}
	op, err := s.catalog.Operation(service, operation)
	if err != nil {
		return nil, err
	}
	in, _ := v.(map[string]any)
	if in, err = op.Coerce(in); err != nil {
		return nil, err
	}
	if err := op.Validate(in); err != nil {
		return nil, err
	}
	id := s.account
	if call.Account != "" {
		v, err := Resolve(call.Account, answers)
		if err != nil {
			return nil, err
		}
		id = fmt.Sprint(v)
	}
	key, _, ok := s.OperatorOf(id)
	if !ok {
		return nil, fmt.Errorf("there is no account %s", id)
	}
	return s.Call(ctx, Request{Service: op.Service.Name, Operation: op.Name, Region: call.Region, AccessKeyID: key, Input: in})
}

var reference = regexp.MustCompile(`\{\{\s*([\w-]+(?:\.[\w-]+)+)\s*\}\}`)

// Resolve puts answers where a value refers to them, as {{name.Path.0.Member}}. A reference that is all of
// a text keeps its type.
func Resolve(v any, answers map[string]any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			r, err := Resolve(e, answers)
			if err != nil {
				return nil, err
			}
			out[k] = r
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			r, err := Resolve(e, answers)
			if err != nil {
				return nil, err
			}
			out[i] = r
		}
		return out, nil
	case uint64:
		return int64(v), nil //nolint:gosec // a scenario's numbers are sizes and ports
	case string:
		return resolveText(v, answers)
	}
	return v, nil
}

func resolveText(text string, answers map[string]any) (any, error) {
	if m := reference.FindStringSubmatch(text); m != nil && m[0] == text {
		return find(m[1], answers)
	}
	var failed error
	out := reference.ReplaceAllStringFunc(text, func(m string) string {
		v, err := find(reference.FindStringSubmatch(m)[1], answers)
		failed = first(failed, err)
		return fmt.Sprint(v)
	})
	return out, failed
}

// find follows a dotted path; a number is an index from 0.
func find(path string, answers map[string]any) (any, error) {
	var at any = answers
	for part := range strings.SplitSeq(path, ".") {
		var ok bool
		switch v := at.(type) {
		case map[string]any:
			at, ok = v[part]
		case []any:
			if i, err := strconv.Atoi(part); err == nil && i >= 0 && i < len(v) {
				at, ok = v[i], true
			}
		}
		if !ok {
			return nil, fmt.Errorf("{{%s}}: there is no %s", path, part)
		}
	}
	return at, nil
}
