package remedy

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
)

// script runs a script for what it does: its reads go live, its writes are planned
// and answered from their models. Its clock and random numbers are the plan's, so
// that the run makes the same writes, as long as it reads the same.
func (e *exploration) script(w *way, next runbook.Next) error {
	calls := &scriptCalls{exploration: e, w: w, step: next.Step, assumed: e.undetermined(w, e.req.Document.Uses(next.Step))}
	r := *next.Effect.Script
	r.RunID, r.Step, r.Attempt, r.Dry, r.Caller, r.Hosts = e.req.RunID, next.Step, next.Attempt, true, calls, e.hosts()
	r.Files = e.req.Files
	result, err := e.Scripts.RunScript(e.ctx, r)
	calls.mu.Lock() // what comes late is not in the plan
	calls.over = true
	calls.mu.Unlock()
	switch {
	case calls.stop != nil:
		return calls.stop
	case e.ctx.Err() != nil:
		return e.ctx.Err()
	case err != nil:
		return e.unscripted(w, next, err.Error(), nil)
	case result.Error != nil && (calls.assumed || calls.nth > 0):
		return e.unscripted(w, next, "it fails while its writes are only planned: "+firstLine(result.Failure().Error()), nil)
	case result.Error != nil:
		return w.entry(knowngood.EntryOutcome, next, runbook.OutcomeBody{Service: next.Effect.Action, Operation: next.Effect.Operation, Error: result.Failure()})
	}
	if calls.assumed {
		e.incomplete("what the script %s reads of what the plan writes is known only when it is run", next.Step)
	}
	return e.scripted(w, next, result.Payload, calls.assumed || calls.nth > 0)
}

// firstLine is a failure without its traceback and what the script has printed.
func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// unscripted goes on behind a script of which is not known all that it does.
func (e *exploration) unscripted(w *way, next runbook.Next, why string, payload any) error {
	e.incomplete("what the script %s does is not planned: %s", next.Step, why)
	return e.scripted(w, next, payload, true)
}

// scripted is the outcome of a script that returned payload.
func (e *exploration) scripted(w *way, next runbook.Next, payload any, assumed bool) error {
	body := runbook.OutcomeBody{Service: next.Effect.Action, Operation: next.Effect.Operation, Assumed: assumed}
	var err error
	if body.Outputs, body.Property, err = e.req.Document.Project(next.Step, map[string]any{"Payload": plain(payload)}); err != nil {
		if !assumed {
			body.Error = &runbook.CallError{Code: runbook.CodeInvalidOutput, Message: err.Error()}
		}
		body.Outputs = nil
	}
	e.supposed(w, next.Step, func(output string) bool { return !certain(body.Outputs[output], !assumed) && assumed })
	return w.entry(knowngood.EntryOutcome, next, body)
}

// scriptCalls makes the calls of a script that is planned.
type scriptCalls struct {
	*exploration
	w    *way
	step string

	mu      sync.Mutex
	nth     int  // writes so far
	assumed bool // what it was given or has read may be otherwise in the run
	stop    error
	over    bool
}

// Call implements awsapi.Caller.
func (s *scriptCalls) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.stop != nil {
		return nil, errors.New("the script is over")
	}
	if service == runbook.OutsideService {
		return s.outside(operation, in), nil
	}
	op, err := s.Catalog.Operation(service, operation)
	if err != nil {
		return nil, err
	}
	in, _ = unescaped(plain(in)).(map[string]any) // plain has made a copy
	name, class := op.Service.Name+":"+op.Name, classOf(op, in)
	if isSensitive(op, in) && !slices.Contains(s.req.Entry.SensitiveReads, name) {
		s.stop = knowngood.E(knowngood.Refused, "plan "+s.req.Ref.Name, "the script %s makes the sensitive read %s, which the runbook's entry does not allow", s.step, name)
		return nil, s.stop
	}
	to := awsapi.Options(opts...)
	account, region := s.req.Place.Account, s.req.Place.Region
	if to.Account != "" {
		account = to.Account
	}
	if to.Region != "" {
		region = to.Region
	}
	if class != knowngood.Write {
		return s.read(ctx, op, class, account, region, in, opts)
	}
	s.nth++
	mark := runbook.ScriptStep(s.step, s.nth)
	in, _ = plain(s.Operations[name].prepare(s.req.RunID, mark, in)).(map[string]any)
	if s.stop = s.secretMember(s.step, op, in); s.stop != nil {
		return nil, s.stop
	}
	id := s.recordAt(s.w, s.step, mark, account, region, op, class, in, s.assumed || hasPlaceholder(in))
	s.w.overlay.wrote(op, in)
	return s.respond(op, in, id), nil
}

// read makes a live read. One of what the plan has written is answered as if that
// had come to its end, where the models say what that is.
func (s *scriptCalls) read(ctx context.Context, op *awsapi.Operation, class knowngood.CallClass, account, region string, in map[string]any, opts []awsapi.CallOption) (map[string]any, error) {
	touched := s.w.overlay.touches(op, in)
	s.recordAt(s.w, s.step, s.step, account, region, op, class, in, touched || s.assumed)
	if op.Service.Name == "sts" && op.Name == "AssumeRole" {
		var err error
		if in, err = readingOnly(s.Catalog, s.req.Place.Partition, in); err != nil {
			return nil, err
		}
	}
	if !touched {
		return s.Read(ctx, op, in, opts...)
	}
	s.assumed = true
	out := map[string]any{}
	if !hasPlaceholder(in) {
		live, err := s.Read(ctx, op, in, opts...)
		switch {
		case err == nil:
			out, _ = copied(live).(map[string]any)
		case !s.w.overlay.brings(op, err):
			return nil, err
		}
	}
	s.w.overlay.reflect(op, in, out)
	settle(op, in, out)
	return out, nil
}

// settle puts into a read's answer what its operation's waiters wait for: of
// "Volumes[].State" and "available", a volume with the id that was asked for, in
// that state. A waiter for the end of the resource is left aside.
func settle(op *awsapi.Operation, in, out map[string]any) {
	for _, name := range op.Service.Waiters() {
		waiter, err := op.Service.Waiter(name)
		if err != nil || waiter.Operation != op.Name || strings.Contains(name, "Delet") || strings.Contains(name, "Terminat") || strings.Contains(name, "Stop") {
			continue
		}
		for _, a := range waiter.Acceptors {
			if a.State == "success" && (a.Matcher == "path" || a.Matcher == "pathAll") && settleAt(op.Output, in, out, a.Argument, a.Expected) {
				return
			}
		}
	}
}

// settleAt sets what a simple path leads to: members, and "[]" for each element of
// a list, of which one is made where there is none.
func settleAt(s *awsapi.Shape, in map[string]any, at map[string]any, path string, value any) bool {
	member, rest, more := strings.Cut(path, ".")
	member, list := strings.CutSuffix(member, "[]")
	m := s.Member(member)
	switch {
	case m == nil:
		return false
	case !more && !list:
		at[member] = value
		return true
	case !more:
		return false
	case !list:
		inner, ok := at[member].(map[string]any)
		if !ok {
			inner = map[string]any{}
		}
		if m.Shape.Type != awsapi.Structure || !settleAt(m.Shape, in, inner, rest, value) {
			return false
		}
		at[member] = inner
		return true
	case m.Shape.Type != awsapi.List || m.Shape.Elem.Shape.Type != awsapi.Structure:
		return false
	}
	elements, _ := at[member].([]any)
	if len(elements) == 0 {
		elements = []any{asked(m.Shape.Elem.Shape, in)}
	}
	for _, element := range elements {
		if e, ok := element.(map[string]any); !ok || !settleAt(m.Shape.Elem.Shape, in, e, rest, value) {
			return false
		}
	}
	at[member] = elements
	return true
}

// asked is an element with the id that an input asks for: VolumeId of VolumeIds.
func asked(s *awsapi.Shape, in map[string]any) map[string]any {
	out := map[string]any{}
	for name, v := range in {
		if list, ok := v.([]any); ok && len(list) > 0 && s.Member(strings.TrimSuffix(name, "s")) != nil {
			name, v = strings.TrimSuffix(name, "s"), list[0]
		}
		if s.Member(name) != nil {
			out[name] = v
		}
	}
	return out
}
