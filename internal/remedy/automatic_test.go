package remedy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/sandbox"
)

func (l *loop) bucket(name string) knowngood.Finding {
	l.t.Helper()
	l.do("s3", "CreateBucket", map[string]any{"Bucket": name, "CreateBucketConfiguration": map[string]any{"LocationConstraint": "eu-west-1"}})
	l.do("s3", "DeletePublicAccessBlock", map[string]any{"Bucket": name})
	return l.found("s3-bucket-level-public-access-prohibited", "AWS::S3::Bucket", name)
}

func TestAReversibleFixIsMadeAtOnceAndVerified(t *testing.T) {
	l := newLoop(t)
	f := l.bucket("acme-invoices")
	c := blockPublicAccess()
	c.TargetID = "arn:aws:ssm:eu-west-1::document/" + c.TargetID
	outcomes, err := l.Automatic(t.Context(), l.place(), []Task{{f, c}})
	if err != nil {
		t.Fatal(err)
	}
	if o := outcomes[0]; o.Err != nil || o.Waits != nil || o.Result.State != knowngood.RunSuccess || l.finding(f.ID).State != knowngood.FindingClosed {
		t.Errorf("%+v", o)
	}
}

func TestWaitingForApprovalIsNoAttempt(t *testing.T) {
	l := newLoop(t)
	_, v := l.volumeOn(nil, nil)
	f := l.found("encrypted-volumes", "AWS::EC2::Volume", v)
	before := len(l.Calls())
	outcomes, err := l.Automatic(t.Context(), l.place(), []Task{{f, encryption()}})
	if err != nil {
		t.Fatal(err)
	}
	now := l.finding(f.ID)
	if o := outcomes[0]; o.Err != nil || len(o.Waits) == 0 || o.Plan == nil || now.State != knowngood.FindingWaiting || now.Attempts != 0 {
		t.Errorf("%+v, %+v", o, now)
	}
	for _, c := range l.Calls()[before:] {
		if op, _ := l.catalog.Operation(c.Service, c.Operation); op.Class() == awsapi.Write {
			t.Errorf("%s:%s was made", c.Service, c.Operation)
		}
	}
}

func TestWhenAttemptsRunOutAnExceptionIsPutOnTheResource(t *testing.T) {
	l := newLoop(t)
	f := l.bucket("acme-invoices")
	l.Inject(sandbox.Fault{Service: "s3", Operation: "PutPublicAccessBlock", Count: 100, Error: &awsapi.Error{Code: "AccessDenied", Status: 403, Message: "not today"}})
	try := func() Outcome {
		t.Helper()
		outcomes, err := l.Automatic(t.Context(), l.place(), []Task{{l.finding(f.ID), blockPublicAccess()}})
		if err != nil {
			t.Fatal(err)
		}
		return outcomes[0]
	}
	if o := try(); o.Err != nil || o.Result.State != knowngood.RunFailed {
		t.Fatalf("%+v", o)
	}
	now := l.finding(f.ID)
	if now.State != knowngood.FindingOpen || now.Attempts != 1 || now.NextTry == nil || now.NextTry.Sub(l.clock.Now()) != time.Minute {
		t.Fatalf("%+v", now)
	}
	if o := try(); o.Skipped == "" || l.finding(f.ID).Attempts != 1 {
		t.Errorf("before its turn: %+v", o)
	}
	l.clock.Advance(time.Minute)
	if o := try(); o.Result.State != knowngood.RunFailed {
		t.Fatalf("%+v", o)
	}
	exceptions, err := l.store.Exceptions(t.Context())
	if err != nil || len(exceptions) != 1 || exceptions[0].Resource != f.Resource || exceptions[0].Rule != f.Rule || !strings.Contains(exceptions[0].Message, "not today") {
		t.Errorf("%+v, %v", exceptions, err)
	}
	l.clock.Advance(time.Hour)
	if o := try(); o.Skipped == "" || l.finding(f.ID).State != knowngood.FindingExcepted {
		t.Errorf("%+v, %+v", o, l.finding(f.ID))
	}
}

// A preflight that refuses is what AWS Config would see as a failed execution.
func TestAPlanThatIsRefusedIsAnAttempt(t *testing.T) {
	l := newLoop(t)
	i, v := l.volumeOn(nil, nil)
	l.do("ec2", "ModifyInstanceAttribute", map[string]any{"InstanceId": i, "DisableApiStop": map[string]any{"Value": true}})
	f := l.found("encrypted-volumes", "AWS::EC2::Volume", v)
	outcomes, err := l.Automatic(t.Context(), l.place(), []Task{{f, encryption()}})
	if err != nil {
		t.Fatal(err)
	}
	now := l.finding(f.ID)
	if o := outcomes[0]; knowngood.KindOf(o.Err) != knowngood.Refused || now.Attempts != 1 || now.State != knowngood.FindingOpen || !strings.Contains(now.Reason, "stop protection") {
		t.Errorf("%+v, %+v", o, now)
	}
}

// AWS Config's example: at 40% of ten, the fifth failure stops the rest.
func TestErrorPercentageStopsTheRest(t *testing.T) {
	l := newLoop(t)
	c := blockPublicAccess()
	c.ErrorPercentage = 40
	var tasks []Task
	for i := range 10 {
		tasks = append(tasks, Task{l.bucket(fmt.Sprintf("acme-%d", i)), c})
	}
	l.Inject(sandbox.Fault{Service: "s3", Operation: "PutPublicAccessBlock", Count: 100, Error: &awsapi.Error{Code: "AccessDenied", Status: 403, Message: "no"}})
	outcomes, err := l.Automatic(t.Context(), l.place(), tasks)
	if err != nil {
		t.Fatal(err)
	}
	failed, skipped := 0, 0
	for _, o := range outcomes {
		switch {
		case o.Skipped != "":
			skipped++
		case o.Result.State == knowngood.RunFailed:
			failed++
		}
	}
	if failed != 5 || skipped != 5 {
		t.Errorf("%d failed, %d were not begun", failed, skipped)
	}
}

func TestARemediationOfAnotherTypeIsRefused(t *testing.T) {
	l := newLoop(t)
	f := l.bucket("acme-invoices")
	if _, err := l.PlanFinding(t.Context(), l.place(), Task{f, encryption()}); knowngood.KindOf(err) != knowngood.Invalid {
		t.Errorf("%v", err)
	}
}
