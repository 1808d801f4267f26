package remedy

import (
	"context"
	"testing"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

// expiring are credentials that are good until a step makes its call; a call that is
// turned down for them has had no effect.
type expiring struct {
	awsapi.Caller
	step, code string
	expired    bool
}

func (x *expiring) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	step, _ := ctx.Value(stepKey{}).(string)
	if x.expired = x.expired || step == x.step; x.expired {
		return nil, &awsapi.Error{Code: x.code, Message: "not accepted", Status: 400, Service: service, Operation: operation}
	}
	return x.Caller.Call(ctx, service, operation, in, opts...)
}

func TestCredentialsThatExpireInMidRunFailNoStep(t *testing.T) {
	for step, code := range map[string]string{
		"DescribeVolume": "ExpiredTokenException", "StopInstance": "RequestExpired", "WaitForSnapshot": "RequestExpired", "CreateGp3Volume": "InvalidClientTokenId",
		"DetachOld": "ExpiredToken", "AttachNew": awsapi.CodeNoCredentials, "WaitForStart": "UnrecognizedClientException",
	} {
		t.Run(step, func(t *testing.T) {
			l := newLoop(t)
			plan, f, instance := l.attached()
			l.As = func([]string, string, Narrowing) awsapi.Caller {
				return &expiring{Caller: directly{l.estate}, step: step, code: code}
			}
			if _, err := l.Apply(t.Context(), plan, approvalOf(plan), knowngood.Retry{}); knowngood.KindOf(err) != knowngood.Credentials {
				t.Fatalf("%v, want an error about the credentials", err)
			}
			log, err := l.Log.Entries(t.Context(), plan.RunID)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range log {
				if e.Step == step && (e.Kind == knowngood.EntryOutcome || e.Kind == knowngood.EntryStepEnded) {
					t.Errorf("the log has %s of the step", e.Kind)
				}
			}
			// Still with the dead credentials, as often as one likes.
			if _, err := l.Apply(t.Context(), plan, approvalOf(plan), knowngood.Retry{}); knowngood.KindOf(err) != knowngood.Credentials {
				t.Fatalf("%v, want an error about the credentials", err)
			}
			l.As = func([]string, string, Narrowing) awsapi.Caller { return directly{l.estate} }
			result, err := l.Apply(t.Context(), plan, approvalOf(plan), knowngood.Retry{})
			if err != nil || result.State != knowngood.RunSuccess {
				t.Fatalf("%+v, %v", result, err)
			}
			if !l.settled(instance, f.Resource.ID) {
				t.Error("the old volume is at the device")
			}
			l.tidy()
		})
	}
}

func TestDeadCredentialsAreNoDriftAndNoRefusal(t *testing.T) {
	l := newLoop(t)
	plan, f, _ := l.attached()
	l.As = func([]string, string, Narrowing) awsapi.Caller {
		return &expiring{Caller: directly{l.estate}, expired: true, code: "ExpiredToken"}
	}
	if _, err := l.Apply(t.Context(), plan, approvalOf(plan), knowngood.Retry{}); knowngood.KindOf(err) != knowngood.Credentials {
		t.Errorf("applied: %v", err)
	}
	if _, err := l.PlanFinding(t.Context(), l.place(), Task{f, encryption()}); knowngood.KindOf(err) != knowngood.Credentials {
		t.Errorf("planned: %v", err)
	}
	if run, err := l.store.Run(t.Context(), plan.RunID); err != nil || run.State.Ended() {
		t.Errorf("%+v, %v", run, err)
	}
}
