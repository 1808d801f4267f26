package sandbox

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/strictyaml"
)

// maxScenarioCalls is how many calls a scenario may make.
const maxScenarioCalls = 100_000

// scenario is an estate as the calls that make it. They go through the
// sandbox's own API, so an estate can't hold what AWS would refuse.
// library/scenarios/README.md describes the language.
type scenario struct {
	Description string           `yaml:"description"`
	Regions     []string         `yaml:"regions"` // that the estate has besides the sandbox's own
	Lists       map[string][]any `yaml:"lists"`   // values to choose from, by name
	Calls       []scenarioCall   `yaml:"calls"`
}

// scenarioCall is one call, or a group of them.
type scenarioCall struct {
	Call    string         `yaml:"call"`    // service:Operation
	Calls   []scenarioCall `yaml:"calls"`   // in place of a call: a group
	As      string         `yaml:"as"`      // the name by which later calls refer to the answer; a repeated call's is a list
	Region  string         `yaml:"region"`  // default: the group's, or the sandbox's own
	Account string         `yaml:"account"` // whose operator makes it; default: the group's, or the sandbox's own
	Key     string         `yaml:"key"`     // access key id of the caller, in place of an operator's; default: the group's
	From    string         `yaml:"from"`    // the caller's address, for CloudTrail
	Fails   string         `yaml:"fails"`   // the code of the error that the call must end with
	Input   map[string]any `yaml:"input"`   // text may hold references
	Repeat  int            `yaml:"repeat"`  // how often; 0: once
	Index   string         `yaml:"index"`   // the name by which texts refer to the number of the repetition, from 0; default: i
	Step    int            `yaml:"step"`    // by how much that number grows; default: 1
	Wait    string         `yaml:"wait"`    // how long after each call the next one comes, as Go writes durations
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
	past := NewClock(s.now())
	l := &loader{Sandbox: s, file: file, clock: past, scope: scope{answers: map[string]any{}, index: map[string]int64{}, seed: s.state.Seed}}
	total, calls, err := l.measure(sc.Calls)
	if err != nil {
		return nil, err
	}
	if calls > maxScenarioCalls {
		return nil, fmt.Errorf("%s: %d calls; a scenario makes at most %d", file, calls, maxScenarioCalls)
	}
	l.open(sc.Regions)
	for name, list := range sc.Lists {
		v, err := l.scope.resolve(list)
		if err != nil {
			return nil, fmt.Errorf("%s: the list %s: %w", file, name, err)
		}
		l.scope.answers[name] = v
	}
	past.set(past.Now().Add(-total))
	defer s.useClock(s.useClock(past))
	if err := l.all(ctx, sc.Calls, scenarioCall{}); err != nil {
		return nil, err
	}
	return l.scope.answers, nil
}

// open adds Regions to those that the sandbox has.
func (s *Sandbox) open(regions []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range regions {
		if !slices.Contains(s.regions, r) {
			s.regions = append(slices.Clip(s.regions), r)
		}
	}
}

// useClock sets the clock and gives the one before.
func (s *Sandbox) useClock(c knowngood.Clock) knowngood.Clock {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.clock
	s.clock = c
	return before
}

// loader makes a scenario's calls.
type loader struct {
	*Sandbox
	file  string
	clock *ManualClock
	scope scope
	made  int
}

// measure says how long calls take and how many they are, and refuses what is
// neither call nor group.
func (l *loader) measure(calls []scenarioCall) (total time.Duration, n int, err error) {
	for _, c := range calls {
		if (c.Call == "") == (len(c.Calls) == 0) {
			return 0, 0, fmt.Errorf("%s: give either call or calls, at %q", l.file, cmp.Or(c.Call, c.As))
		}
		if len(c.Calls) > 0 && (c.As != "" || c.Input != nil) {
			return 0, 0, fmt.Errorf("%s: a group of calls has neither as nor input", l.file)
		}
		if c.Repeat < 0 || c.Repeat > maxScenarioCalls || c.Step < 0 {
			return 0, 0, fmt.Errorf("%s: %s: repeat %d, step %d: expected 1 to %d, and 1 or more", l.file, c.Call, c.Repeat, c.Step, maxScenarioCalls)
		}
		each, err := span("wait", c.Wait)
		if err != nil {
			return 0, 0, fmt.Errorf("%s: %s: %w", l.file, c.Call, err)
		}
		inner, size, err := l.measure(c.Calls)
		if err != nil {
			return 0, 0, err
		}
		times := max(c.Repeat, 1)
		total += time.Duration(times) * (each + inner)
		if n += times * max(size, 1); n > maxScenarioCalls {
			return total, n, nil
		}
	}
	return total, n, nil
}

// all makes calls, with the Region and caller of their group.
func (l *loader) all(ctx context.Context, calls []scenarioCall, group scenarioCall) error {
	for _, c := range calls {
		c.Region, c.From = cmp.Or(c.Region, group.Region), cmp.Or(c.From, group.From)
		if c.Account == "" && c.Key == "" {
			c.Account, c.Key = group.Account, group.Key
		}
		if err := l.repeat(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) repeat(ctx context.Context, c scenarioCall) error {
	wait, _ := span("wait", c.Wait) // measured before
	index := cmp.Or(c.Index, "i")
	outer := maps.Clone(l.scope.index)
	var answers []any
	for n := range max(c.Repeat, 1) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.Repeat > 0 {
			l.scope.index[index] = int64(n * max(c.Step, 1))
		}
		if len(c.Calls) > 0 {
			if err := l.all(ctx, c.Calls, c); err != nil {
				return err
			}
		} else {
			l.made++
			out, err := l.call(ctx, c)
			if c.Fails != "" {
				if codeOf(err) == c.Fails {
					err = nil
				} else {
					err = fmt.Errorf("it ends with %v, not with %s", err, c.Fails)
				}
			}
			if err != nil {
				return fmt.Errorf("%s: call %d (%s): %w", l.file, l.made, c.Call, err)
			}
			answers = append(answers, out)
		}
		l.clock.Advance(wait)
	}
	l.scope.index = outer
	switch {
	case c.As != "" && c.Repeat > 0:
		l.scope.answers[c.As] = answers
	case c.As != "":
		l.scope.answers[c.As] = answers[0]
	}
	return nil
}

func (l *loader) call(ctx context.Context, c scenarioCall) (map[string]any, error) {
	v, err := l.scope.resolve(map[string]any(c.Input))
	if err != nil {
		return nil, err
	}
	if kind, ok := strings.CutPrefix(c.Call, "sandbox:"); ok {
		return l.seeded(kind, v)
	}
	op, err := l.operation(c.Call)
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
	r := Request{Service: op.Service.Name, Operation: op.Name, Input: in}
	account := l.account
	for _, t := range []struct {
		text string
		into *string
	}{{c.Region, &r.Region}, {c.Account, &account}, {c.Key, &r.AccessKeyID}, {c.From, &r.SourceIP}} {
		if t.text == "" {
			continue
		}
		v, err := l.scope.text(t.text)
		if err != nil {
			return nil, err
		}
		*t.into = fmt.Sprint(v)
	}
	if c.Key == "" {
		var ok bool
		if r.AccessKeyID, _, ok = l.OperatorOf(account); !ok {
			return nil, fmt.Errorf("there is no account %s", account)
		}
	}
	return l.Call(ctx, r)
}
