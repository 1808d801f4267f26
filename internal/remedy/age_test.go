package remedy

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
)

func TestAPlanIsGoodForAWeek(t *testing.T) {
	for _, c := range []struct {
		age     time.Duration
		refused bool
	}{{PlanLifetime - time.Hour, false}, {PlanLifetime + time.Hour, true}} {
		l := newLoop(t)
		plan, f, _ := l.attached()
		l.clock.Advance(c.age)
		_, err := l.Apply(t.Context(), plan, approvalOf(plan), knowngood.Retry{})
		if refused := knowngood.KindOf(err) == knowngood.Refused; refused != c.refused || !refused && err != nil {
			t.Errorf("after %s: %v", c.age, err)
		}
		if _, err := l.store.Run(t.Context(), plan.RunID); c.refused && knowngood.KindOf(err) != knowngood.NotFound {
			t.Errorf("the plan that was refused has a run (%v)", err)
		}
		left, err := l.store.Residuals(t.Context())
		if err != nil || len(left) != 1 && !c.refused {
			t.Fatalf("%v, %v", left, err)
		}
		for _, r := range left {
			// The rule counts from the tag's date, and so does the list of what is left.
			item, err := l.Verifier.Reader.Read(t.Context(), f.Resource)
			if err != nil {
				t.Fatal(err)
			}
			day, err := time.Parse(time.DateOnly, item.Tags[replacedOnTag])
			if err != nil || !r.DeleteAfter.Equal(day.AddDate(0, 0, 30)) {
				t.Errorf("%v is kept until %s, replaced on %s (%v)", r.Resource, r.DeleteAfter, day, err)
			}
		}
	}
}

func TestTheTimeOfWhatIsLeftCountsFromItsTag(t *testing.T) {
	plan := &knowngood.Plan{Created: began}
	for tag, want := range map[string]string{"2026-11-30": "2026-11-30", "soon": "2026-11-24", "": "2026-11-24"} {
		if got := replacedOn(plan, &knowngood.Resource{Tags: map[string]string{replacedOnTag: tag}}); got.Format(time.DateOnly) != want {
			t.Errorf("%q: %s, want %s", tag, got, want)
		}
	}
}

func TestARunThatHasBegunGoesOnHoweverOldItsPlanIs(t *testing.T) {
	l := newLoop(t)
	plan, _, _ := l.attached()
	l.As = func([]string, string, Narrowing) awsapi.Caller {
		return &expiring{Caller: directly{l.estate}, step: "WaitForSnapshot", code: "ExpiredToken"}
	}
	if _, err := l.Apply(t.Context(), plan, approvalOf(plan), knowngood.Retry{}); knowngood.KindOf(err) != knowngood.Credentials {
		t.Fatal(err)
	}
	l.clock.Advance(2 * PlanLifetime)
	l.As = func([]string, string, Narrowing) awsapi.Caller { return directly{l.estate} }
	// The wait's own time is over by now; the way back is gone all the same.
	if result, err := l.Apply(t.Context(), plan, approvalOf(plan), knowngood.Retry{}); err != nil || !result.State.Ended() {
		t.Errorf("%+v, %v", result, err)
	}
}

// altered is a log in which a step's write is not the one that was planned.
type altered struct {
	runbook.RunLog
	step string
}

func (a altered) Entries(ctx context.Context, runID string) ([]knowngood.LogEntry, error) {
	log, err := a.RunLog.Entries(ctx, runID)
	for i, e := range log {
		if e.Step == a.step && e.Kind == knowngood.EntryIntent {
			log[i].Body = json.RawMessage(strings.Replace(string(e.Body), "vol-", "vol-0", 1))
		}
	}
	return log, err
}

func TestARefusalAfterAWriteEndsNoRun(t *testing.T) {
	l := newLoop(t)
	plan, f, _ := l.attached()
	l.As = func([]string, string, Narrowing) awsapi.Caller {
		return &expiring{Caller: directly{l.estate}, step: "WaitForSnapshot", code: "ExpiredToken"}
	}
	if _, err := l.Apply(t.Context(), plan, approvalOf(plan), knowngood.Retry{}); knowngood.KindOf(err) != knowngood.Credentials {
		t.Fatal(err)
	}
	l.Log = altered{l.store, "CreateSnapshot"}
	result, err := l.Apply(t.Context(), plan, approvalOf(plan), knowngood.Retry{})
	if err == nil || knowngood.KindOf(err) == knowngood.Refused || result.State != knowngood.RunNeedsOperator {
		t.Errorf("%+v, %v", result, err)
	}
	run, err := l.store.Run(t.Context(), plan.RunID)
	if err != nil || run.State != knowngood.RunNeedsOperator || !strings.Contains(run.Message, "CreateSnapshot") {
		t.Errorf("%+v, %v", run, err)
	}
	if now := l.finding(f.ID); now.State != knowngood.FindingRemediating {
		t.Errorf("%+v", now)
	}
}
