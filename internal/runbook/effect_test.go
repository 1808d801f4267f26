package runbook

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
)

// scriptWorld does effects as a script's lines say.
type scriptWorld struct{ *script }

// RunScript answers as the next line says. A line "ec2:StopInstances {…}" before
// it is a call that the script makes.
func (w scriptWorld) RunScript(ctx context.Context, r ScriptRequest) (ScriptResult, error) {
	w.calls = append(w.calls, fmt.Sprintf("script %s %s %s in %s: %s%s", r.Runtime, r.Handler, text(plain(r.Payload)), r.TimeLimit, r.Script, files(r)))
	for {
		for len(w.lines) > 0 && strings.TrimSpace(w.lines[0]) == "" {
			w.lines = w.lines[1:]
		}
		line := strings.TrimSpace(w.lines[0])
		if strings.HasPrefix(line, "makes ") {
			w.lines = w.lines[1:]
			name, input, _ := strings.Cut(strings.TrimPrefix(line, "makes "), " ")
			service, operation, _ := strings.Cut(name, ":")
			if _, err := r.Caller.Call(ctx, service, operation, parseJSON(w.t, input)); err != nil {
				return ScriptResult{Error: &CallError{Code: "ClientError", Message: err.Error()}}, nil
			}
			continue
		}
		verb, rest := w.take("a script")
		if verb != scriptAction {
			w.t.Fatalf("a script is run, the script expects %s", verb)
		}
		kind, tail, _ := strings.Cut(rest, " ")
		if kind == "error" {
			code, message, _ := strings.Cut(tail, " ")
			return ScriptResult{Error: &CallError{Code: code, Message: message}, Log: "before\n"}, nil
		}
		return ScriptResult{Payload: parseJSON(w.t, rest)["Payload"], Log: "hello\n"}, nil
	}
}

func files(r ScriptRequest) string {
	var b strings.Builder
	for name, raw := range r.Files {
		fmt.Fprintf(&b, " with %s (%d bytes)", name, len(raw))
	}
	return b.String()
}

func (s *script) attachment(_ context.Context, name, _ string) ([]byte, error) {
	raw, ok := s.files[name]
	if !ok {
		return nil, errors.New("there is no such file")
	}
	return raw, nil
}

func (w scriptWorld) StartAutomation(_ context.Context, r AutomationRequest) (string, error) {
	w.calls = append(w.calls, fmt.Sprintf("start %s %s %s, at most %d of 10 at once, no more after %d errors, %d locations", r.Key, r.DocumentName, text(r.Parameters),
		r.MaxConcurrency.Concurrency(10), r.MaxErrors.Errors(10), len(r.TargetLocations)))
	verb, rest := w.take("an automation")
	if verb != "aws:executeAutomation:Start" {
		w.t.Fatalf("an automation is started, the script expects %s", verb)
	}
	if code, ok := strings.CutPrefix(rest, "error "); ok {
		return "", knowngood.E(knowngood.Invalid, "", "%s", code)
	}
	return rest, nil
}

func (w scriptWorld) LookAutomation(context.Context, string) (AutomationStatus, error) {
	verb, rest := w.take("the automation's state")
	if verb != "aws:executeAutomation:Look" {
		w.t.Fatalf("an automation is looked at, the script expects %s", verb)
	}
	state, outputs, _ := strings.Cut(rest, " ")
	s := AutomationStatus{State: knowngood.RunState(state)}
	if outputs != "" {
		s.Outputs = parseJSON(w.t, outputs)
	}
	return s, nil
}

// AwaitAutomation waits until the time, or else until the next look.
func (w scriptWorld) AwaitAutomation(ctx context.Context, _ string, until time.Time) (AutomationStatus, error) {
	if until.IsZero() {
		return AutomationStatus{State: knowngood.RunSuccess}, nil
	}
	return AutomationStatus{State: knowngood.RunInProgress}, w.clock.Sleep(ctx, until.Sub(w.clock.Now()))
}

func (w scriptWorld) StopAutomation(_ context.Context, id string) error {
	w.calls = append(w.calls, "stop "+id)
	if verb, _ := w.take("the automation's end"); verb != "aws:executeAutomation:Stop" {
		w.t.Fatalf("an automation is stopped, the script expects %s", verb)
	}
	return nil
}

func (w scriptWorld) FindWebhook(_ context.Context, r WebhookRequest) (InvokeWebhook, error) {
	if r.IntegrationName == "none" {
		return nil, knowngood.E(knowngood.NotFound, "", "there is no webhook none")
	}
	return func(context.Context) (WebhookResponse, error) { return w.invoke(r) }, nil
}

func (w scriptWorld) invoke(r WebhookRequest) (WebhookResponse, error) {
	w.calls = append(w.calls, "webhook "+r.IntegrationName+" "+r.Body)
	verb, rest := w.take("a webhook")
	if verb != "aws:invokeWebhook" {
		w.t.Fatalf("a webhook is invoked, the script expects %s", verb)
	}
	code, body, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(code)
	if err != nil {
		return WebhookResponse{}, errors.New(rest)
	}
	return WebhookResponse{Code: n, Body: body}, nil
}
