package runbook

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

const scriptDocument = head + `  - name: Run
    action: aws:executeScript
    onFailure: step:Back
    inputs: {Runtime: python3.11, Handler: main, Script: 'def main(events, context): pass'}
    isEnd: true
  - name: Back
    action: aws:executeAwsApi
    inputs: {Service: ec2, Api: DescribeVolumes}
`

// scriptFunc is a script in Go.
type scriptFunc func(ctx context.Context, r ScriptRequest) (ScriptResult, error)

func (f scriptFunc) RunScript(ctx context.Context, r ScriptRequest) (ScriptResult, error) {
	return f(ctx, r)
}

// scripted is a run of scriptDocument in the world that TestResumeAnywhere uses.
func scripted(t *testing.T, log []knowngood.LogEntry, script scriptFunc) (*cloud, *Runner) {
	t.Helper()
	d, err := Parse("x.yaml", []byte(scriptDocument))
	if err != nil {
		t.Fatal(err)
	}
	if log == nil {
		log = []knowngood.LogEntry{startEntry(t, d, knowngood.Params{"Id": "x"})}
	}
	world := &cloud{clock: &testClock{now: began}, effects: map[string]int{}, failing: map[string]int{}, lost: map[string]bool{}, log: NewMemLog(log...)}
	r := world.runner(d, catalog(t))
	r.Effects.Scripts = script
	return world, r
}

func makeVolume(zone string) func(ctx context.Context, r ScriptRequest) (map[string]any, error) {
	return func(ctx context.Context, r ScriptRequest) (map[string]any, error) {
		return r.Caller.Call(ctx, "ec2", "CreateVolume", map[string]any{"AvailabilityZone": zone})
	}
}

// A cancel request kills a script under way; what it wrote is in the log, and the
// way back is taken.
func TestACancelRequestKillsAScript(t *testing.T) {
	cancelled := make(chan struct{})
	var world *cloud
	world, r := scripted(t, nil, func(ctx context.Context, r ScriptRequest) (ScriptResult, error) {
		if _, err := makeVolume("a")(ctx, r); err != nil {
			return ScriptResult{}, err
		}
		e, err := Encode(knowngood.EntryCancel, "", 0, CancelBody{By: "alice"})
		if err != nil {
			return ScriptResult{}, err
		}
		e.Time = began
		world.log.Add(e)
		close(cancelled)
		<-ctx.Done() // a script that goes on for long
		return ScriptResult{}, ctx.Err()
	})
	r.Effects.Cancelled = func(context.Context, string) <-chan struct{} { return cancelled }
	end, err := r.Run(t.Context())
	if err != nil || end.State != knowngood.RunCancelled || end.FailedStep != "Run" {
		t.Fatalf("%+v, %v", end, err)
	}
	log, _ := world.log.Entries(t.Context(), "")
	if text := render(log); !strings.Contains(text, "step-started Back/1") || world.effects["Run[1]/1"] != 1 {
		t.Errorf("effects %v, the log is\n%s", world.effects, text)
	}
}

// A script whose process was killed is run again, and answered from the log; one
// that then goes another way is left for a person, and sends nothing.
func TestAScriptThatGoesAnotherWayAfterACrashIsLeftForAPerson(t *testing.T) {
	world, r := scripted(t, nil, func(ctx context.Context, r ScriptRequest) (ScriptResult, error) {
		if _, err := makeVolume("a")(ctx, r); err != nil {
			return ScriptResult{}, err
		}
		return ScriptResult{}, ctx.Err()
	})
	if _, err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	log, _ := world.log.Entries(t.Context(), "")
	written := 0 // up to and with the outcome of the script's write
	for i, e := range log {
		if e.Kind == knowngood.EntryOutcome && written == 0 {
			written = i + 1
		}
	}
	for name, cut := range map[string]int{"after the outcome": written, "before the outcome": written - 1} {
		world, r := scripted(t, log[:cut], func(ctx context.Context, r ScriptRequest) (ScriptResult, error) {
			_, err := makeVolume("another zone")(ctx, r)
			if !errors.Is(err, errScriptOver) {
				t.Errorf("%s: the other write got %v", name, err)
			}
			_, err = makeVolume("a third")(ctx, r)
			return ScriptResult{Error: &CallError{Code: "E", Message: "caught"}}, err
		})
		end, err := r.Run(t.Context())
		if err != nil || end.State != knowngood.RunOutcomeUnknown || !strings.Contains(end.Message, "the script, run again after the process ended, wants ec2:CreateVolume where it had made ec2:CreateVolume") {
			t.Errorf("%s: %+v, %v", name, end, err)
		}
		if len(world.effects) != 0 {
			t.Errorf("%s: effects %v", name, world.effects)
		}
		if state, message, _ := world.log.State(); state != end.State || message != end.Message {
			t.Errorf("%s: the row says %s %q", name, state, message)
		}
	}
}

// The handler's context has the system variables.
func TestAScriptsContext(t *testing.T) {
	got := map[string]string{}
	_, r := scripted(t, nil, func(_ context.Context, r ScriptRequest) (ScriptResult, error) {
		got = r.Context
		return ScriptResult{Payload: "fine"}, nil
	})
	if end, err := r.Run(t.Context()); err != nil || end.State != knowngood.RunSuccess {
		t.Fatalf("%+v, %v", end, err)
	}
	want := map[string]string{
		"automation:EXECUTION_ID": "run-1", "global:ACCOUNT_ID": "111122223333", "global:AWS_PARTITION": "aws",
		"global:DATE": "2026-01-02", "global:DATE_TIME": "2026-01-02_03.04.05", "global:REGION": "eu-west-1",
	}
	if !maps.Equal(got, want) {
		t.Errorf("the context is %v, want %v", got, want)
	}
}

// A write of a script that a decorator refuses, as the plan does not have it, is
// drift, whatever the script makes of the refusal.
func TestAScriptThatLeavesThePlan(t *testing.T) {
	world, r := scripted(t, nil, func(ctx context.Context, r ScriptRequest) (ScriptResult, error) {
		for range 3 {
			if _, err := makeVolume("a")(ctx, r); knowngood.KindOf(err) != knowngood.Refused {
				t.Errorf("the refused write got %v", err)
			}
		}
		return ScriptResult{Payload: "fine"}, nil
	})
	calls := 0
	r.Caller = callerFunc(func(ctx context.Context, service, operation string, in map[string]any) (map[string]any, error) {
		if operation == "CreateVolume" {
			calls++
			return nil, knowngood.E(knowngood.Refused, "plan drift", "not in the plan")
		}
		return world.Call(ctx, service, operation, in)
	})
	end, err := r.Run(t.Context())
	if err != nil || end.State != knowngood.RunFailed || !strings.Contains(end.Message, "the world left the plan: ") || calls != 1 {
		t.Errorf("%+v, %v, %d calls", end, err, calls)
	}
}

// A write of a script whose answer is lost is settled before the script goes on.
// Where that can't be, the run is left for a person.
func TestALostAnswerOfAScript(t *testing.T) {
	script := func(ctx context.Context, r ScriptRequest) (ScriptResult, error) {
		out, err := makeVolume("a")(ctx, r)
		if err != nil {
			return ScriptResult{}, err
		}
		return ScriptResult{Payload: map[string]any{"Id": out["VolumeId"]}}, nil
	}
	world, r := scripted(t, nil, script)
	world.lost["Run[1]/1"] = true
	if end, err := r.Run(t.Context()); err != nil || end.State != knowngood.RunSuccess || world.effects["Run[1]/1"] != 1 {
		t.Errorf("%+v, %v, effects %v", end, err, world.effects)
	}
	_, r = scripted(t, nil, script)
	r.Settler = nil
	r.Caller = callerFunc(func(context.Context, string, string, map[string]any) (map[string]any, error) {
		return nil, &awsapi.Error{Code: awsapi.CodeNoResponse, Message: "connection reset", Retryable: true}
	})
	if end, err := r.Run(t.Context()); err != nil || end.State != knowngood.RunOutcomeUnknown || !strings.Contains(end.Message, "the outcome of the script's ec2:CreateVolume is unknown") {
		t.Errorf("%+v, %v", end, err)
	}
}

// Without anything to run scripts, the step says so; so does one whose script
// could not be run, and one that returned too much.
func TestScriptsThatCanNotBeRun(t *testing.T) {
	for want, scripts := range map[string]Scripts{
		"nothing here runs scripts": nil,
		"there is no python3": scriptFunc(func(context.Context, ScriptRequest) (ScriptResult, error) {
			return ScriptResult{}, errors.New("there is no python3")
		}),
		"at most 102400 are allowed": scriptFunc(func(context.Context, ScriptRequest) (ScriptResult, error) {
			return ScriptResult{Payload: strings.Repeat("x", maxPayload)}, nil
		}),
	} {
		_, r := scripted(t, nil, nil)
		r.Effects.Scripts = scripts
		if end, err := r.Run(t.Context()); err != nil || end.State != knowngood.RunFailed || !strings.Contains(end.Message, want) {
			t.Errorf("%s: %+v, %v", want, end, err)
		}
	}
	list := make([]any, 150)
	if got, err := limitPayload(list); err != nil || len(got.([]any)) != maxPayloadItems {
		t.Errorf("of a list of 150 %v are kept, %v", got, err)
	}
}
