package remedy

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/finding"
	"github.com/knowngood/knowngood/internal/inventory"
	"github.com/knowngood/knowngood/internal/rule"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/sandbox"
	"github.com/knowngood/knowngood/internal/store/sqlite"
	"github.com/knowngood/knowngood/internal/template"
	"github.com/knowngood/knowngood/library"
)

// court judges by the library's rules under their own names.
type court struct{ set *rule.Set }

func (c court) InForce(name string) bool { _, ok := c.set.Rule(name); return ok }

func (c court) Evaluate(_ context.Context, name string, item *knowngood.Resource, now time.Time) (knowngood.Evaluation, error) {
	a, ok := c.set.Rule(name)
	if !ok {
		return knowngood.Evaluation{}, knowngood.E(knowngood.Invalid, "", "no rule %s", name)
	}
	return a.Evaluate(item, now, nil), nil
}

// loop is an estate with all that a remediation goes through.
type loop struct {
	*estate
	*Remediator
	store    *sqlite.Store
	findings *finding.Service
	runs     int
}

func newLoop(t *testing.T) *loop {
	t.Helper()
	e := newEstate(t)
	lib, err := rule.Load(library.FS)
	if err != nil {
		t.Fatal(err)
	}
	var active []rule.Active
	for _, d := range lib.Rules() {
		r, err := rule.Compile(d, nil)
		if err != nil {
			continue // it needs parameters
		}
		active = append(active, rule.Active{Name: d.Name, Severity: d.Severity, Rule: r})
	}
	set, err := rule.NewSet(active)
	if err != nil {
		t.Fatal(err)
	}
	types, err := inventory.LoadTypes(library.FS, e.catalog)
	if err != nil {
		t.Fatal(err)
	}
	content, err := LoadContent(library.FS)
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "knowngood.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	l := &loop{estate: e, store: store, findings: &finding.Service{Store: store, Clock: e.clock}}
	l.Remediator = &Remediator{
		Catalog: e.catalog, Content: content, As: func([]string, string, Narrowing) awsapi.Caller { return directly{e} }, Runs: store, Family: store, Plans: store, Log: store, Records: store, Findings: l.findings,
		Clock: e.clock, Owner: "test", NewID: func() string { l.runs++; return fmt.Sprintf("run-%d", l.runs) },
		Verifier: Verifier{Reader: &inventory.Collector{Caller: directly{e}, Catalog: e.catalog, Table: types, Clock: e.clock}, Evaluator: court{set}, Clock: e.clock, Consistency: time.Minute, Poll: 3 * time.Second},
	}
	return l
}

func (l *loop) place() knowngood.Place {
	return knowngood.Place{Partition: "aws", Account: l.Account(), Region: l.Region()}
}

// found reads a resource, judges it, and gives the finding that comes of it.
func (l *loop) found(ruleName, resourceType, id string) knowngood.Finding {
	l.t.Helper()
	key := knowngood.ResourceKey{Account: l.Account(), Region: l.Region(), Type: resourceType, ID: id}
	item, err := l.Verifier.Reader.Read(l.t.Context(), key)
	if err != nil {
		l.t.Fatal(err)
	}
	verdict, err := l.Verifier.Evaluator.Evaluate(l.t.Context(), ruleName, item, l.clock.Now())
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := l.findings.Reconcile(l.t.Context(), finding.Scan{Verdicts: []finding.Verdict{{Evaluation: verdict}}}); err != nil {
		l.t.Fatal(err)
	}
	for _, f := range l.all() {
		if f.Rule == ruleName && f.Resource == key {
			return f
		}
	}
	l.t.Fatalf("%s is %s by %s: no finding", id, verdict.Compliance, ruleName)
	return knowngood.Finding{}
}

func (l *loop) all() []knowngood.Finding {
	l.t.Helper()
	list, err := l.findings.List(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	return list
}

func (l *loop) finding(id string) knowngood.Finding {
	l.t.Helper()
	f, err := l.store.Finding(l.t.Context(), id)
	if err != nil {
		l.t.Fatal(err)
	}
	return f
}

func encryption() template.RemediationConfiguration {
	return template.RemediationConfiguration{TargetID: "AWS-EncryptEBSVolume", ResourceType: "AWS::EC2::Volume", MaximumAutomaticAttempts: 2, RetryAttemptSeconds: 60,
		Parameters: []template.RemediationParameter{{Name: "VolumeId", ResourceID: true}}}
}

func blockPublicAccess() template.RemediationConfiguration {
	return template.RemediationConfiguration{TargetID: "AWSConfigRemediation-ConfigureS3BucketPublicAccessBlock", ResourceType: "AWS::S3::Bucket", MaximumAutomaticAttempts: 2, RetryAttemptSeconds: 60,
		Parameters: []template.RemediationParameter{{Name: "BucketName", ResourceID: true}}}
}

func approvalOf(p *knowngood.Plan) []knowngood.Approval {
	return []knowngood.Approval{{PlanHash: p.Hash, RunID: p.RunID, By: "ann", Approved: true}}
}

// attached gives the plan for an unencrypted volume on a running instance.
func (l *loop) attached() (*knowngood.Plan, knowngood.Finding, string) {
	l.t.Helper()
	instance, volume := l.volumeOn(nil, owned())
	f := l.found("encrypted-volumes", "AWS::EC2::Volume", volume)
	plan, err := l.PlanFinding(l.t.Context(), l.place(), Task{f, encryption()})
	if err != nil {
		l.t.Fatal(err)
	}
	return plan, f, instance
}

func TestAFindingClosesOnItsReplacementsFreshRead(t *testing.T) {
	l := newLoop(t)
	plan, f, instance := l.attached()
	l.SetStale(10 * time.Second) // the first reads after the run show the old state
	result, err := l.Apply(t.Context(), plan, approvalOf(plan), knowngood.Retry{})
	if err != nil {
		t.Fatal(err)
	}
	now := l.finding(f.ID)
	new := l.at(instance, "/dev/sdf")["VolumeId"]
	switch {
	case result.State != knowngood.RunSuccess || !result.Verification.Verified:
		t.Errorf("%+v", result)
	case now.State != knowngood.FindingClosed || now.Resource.ID != new || now.MovedFrom == nil || now.MovedFrom.ID != f.Resource.ID:
		t.Errorf("%+v, the new volume is %v", now, new)
	}
	left, err := l.store.Residuals(t.Context())
	if err != nil || len(left) != 1 {
		t.Fatalf("%v, %v", left, err)
	}
	if r := left[0]; r.Resource != f.Resource || r.ReplacedBy != new || r.Owner != "billing" || r.MonthlyCost != 44 || r.DeleteAfter.Format(time.DateOnly) != "2026-12-24" {
		t.Errorf("%+v", r)
	}
	run, err := l.store.Run(t.Context(), plan.RunID)
	if err != nil || run.State != knowngood.RunSuccess || run.Finding != f.ID {
		t.Errorf("%+v, %v", run, err)
	}
	// Applied again it says how it ended, and does nothing.
	before := len(l.Calls())
	if again, err := l.Apply(t.Context(), plan, approvalOf(plan), knowngood.Retry{}); err != nil || again.State != knowngood.RunSuccess || len(l.Calls()) != before {
		t.Errorf("%+v, %v, %d calls", again, err, len(l.Calls())-before)
	}
}

// reader answers for some resources in place of the real reader.
type reader struct {
	Reader
	answer func(knowngood.ResourceKey, *knowngood.Resource, error) (*knowngood.Resource, error)
}

func (r reader) Read(ctx context.Context, key knowngood.ResourceKey) (*knowngood.Resource, error) {
	item, err := r.Reader.Read(ctx, key)
	return r.answer(key, item, err)
}

func TestWhatIsNoPassLeavesTheRunUnverified(t *testing.T) {
	gone := func(knowngood.ResourceKey) error { return knowngood.E(knowngood.NotFound, "", "gone") }
	for name, answer := range map[string]func(original string) func(knowngood.ResourceKey, *knowngood.Resource, error) (*knowngood.Resource, error){
		"the replacement is gone": func(original string) func(knowngood.ResourceKey, *knowngood.Resource, error) (*knowngood.Resource, error) {
			return func(k knowngood.ResourceKey, i *knowngood.Resource, err error) (*knowngood.Resource, error) {
				if k.ID != original {
					return nil, gone(k)
				}
				return i, err
			}
		},
		"the replacement is not attached": func(original string) func(knowngood.ResourceKey, *knowngood.Resource, error) (*knowngood.Resource, error) {
			return func(k knowngood.ResourceKey, i *knowngood.Resource, err error) (*knowngood.Resource, error) {
				if k.ID != original && err == nil {
					i.Configuration["attachments"] = []any{}
				}
				return i, err
			}
		},
		"the original is attached still": func(original string) func(knowngood.ResourceKey, *knowngood.Resource, error) (*knowngood.Resource, error) {
			return func(k knowngood.ResourceKey, i *knowngood.Resource, err error) (*knowngood.Resource, error) {
				if k.ID == original && err == nil {
					i.Configuration["attachments"] = []any{map[string]any{"instanceId": "i-1"}}
				}
				return i, err
			}
		},
		"the replacement can't be read": func(original string) func(knowngood.ResourceKey, *knowngood.Resource, error) (*knowngood.Resource, error) {
			return func(k knowngood.ResourceKey, i *knowngood.Resource, err error) (*knowngood.Resource, error) {
				if k.ID != original {
					return nil, knowngood.E(knowngood.Incomplete, "", "denied")
				}
				return i, err
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLoop(t)
			plan, f, _ := l.attached()
			l.Verifier.Reader = reader{l.Verifier.Reader, answer(f.Resource.ID)}
			result, err := l.Apply(t.Context(), plan, approvalOf(plan), knowngood.Retry{})
			if err != nil {
				t.Fatal(err)
			}
			now := l.finding(f.ID)
			if result.State != knowngood.RunUnverified || result.Verification.Verified || now.State != knowngood.FindingUnverified || now.Reason == "" {
				t.Errorf("%+v; the finding %+v", result, now)
			}
			if run, err := l.store.Run(t.Context(), plan.RunID); err != nil || run.State != knowngood.RunUnverified {
				t.Errorf("%+v, %v", run, err)
			}
		})
	}
}

// cut is a store whose process is killed when the run's steps are done.
type cut struct{ *sqlite.Store }

func (c cut) Append(ctx context.Context, id string, epoch int64, entries []knowngood.LogEntry, state knowngood.RunState, message string, wake *time.Time) error {
	for _, e := range entries {
		if e.Kind == knowngood.EntryVerified {
			return errKilled
		}
	}
	return c.Store.Append(ctx, id, epoch, entries, state, message, wake)
}

func TestKilledBeforeItsVerificationIsWrittenARunIsVerifiedAgain(t *testing.T) {
	l := newLoop(t)
	plan, f, _ := l.attached()
	l.Log = cut{l.store}
	if _, err := l.Apply(t.Context(), plan, approvalOf(plan), knowngood.Retry{}); err == nil {
		t.Fatal("it was not killed")
	}
	if run, _ := l.store.Run(t.Context(), plan.RunID); run.State.Ended() {
		t.Fatalf("the run has ended as %s, unverified", run.State)
	}
	l.Log = l.store
	before := len(l.Calls())
	result, err := l.Apply(t.Context(), plan, approvalOf(plan), knowngood.Retry{})
	if err != nil || result.State != knowngood.RunSuccess || l.finding(f.ID).State != knowngood.FindingClosed {
		t.Errorf("%+v, %v, the finding is %s", result, err, l.finding(f.ID).State)
	}
	for _, c := range l.Calls()[before:] {
		if op, _ := l.catalog.Operation(c.Service, c.Operation); op.Class() == awsapi.Write {
			t.Errorf("%s:%s was made again", c.Service, c.Operation)
		}
	}
}

func TestAPlanThatNoLongerFitsEndsItsRunAndFreesItsResource(t *testing.T) {
	l := newLoop(t)
	plan, f, instance := l.attached()
	l.do("ec2", "StopInstances", map[string]any{"InstanceIds": []any{instance}})
	l.clock.Advance(time.Minute)
	if _, err := l.Apply(t.Context(), plan, approvalOf(plan), knowngood.Retry{}); knowngood.KindOf(err) != knowngood.Refused {
		t.Fatalf("%v", err)
	}
	if now := l.finding(f.ID); now.State != knowngood.FindingOpen || now.Attempts != 0 || !strings.Contains(now.Reason, "drift") {
		t.Errorf("%+v", now)
	}
	again, err := l.PlanFinding(t.Context(), l.place(), Task{l.finding(f.ID), encryption()})
	if err != nil {
		t.Fatal(err)
	}
	if result, err := l.Apply(t.Context(), again, approvalOf(again), knowngood.Retry{}); err != nil || result.State != knowngood.RunSuccess {
		t.Errorf("%+v, %v", result, err)
	}
}

func TestWhoMayApply(t *testing.T) {
	l := newLoop(t)
	plan, f, _ := l.attached()
	if _, err := l.Apply(t.Context(), plan, nil, knowngood.Retry{}); knowngood.KindOf(err) != knowngood.Waiting {
		t.Errorf("without a decision: %v", err)
	}
	other := approvalOf(plan)
	other[0].PlanHash = strings.Repeat("0", 64)
	if _, err := l.Apply(t.Context(), plan, other, knowngood.Retry{}); knowngood.KindOf(err) != knowngood.Waiting {
		t.Errorf("with an approval of another plan: %v", err)
	}
	against := append(approvalOf(plan), knowngood.Approval{PlanHash: plan.Hash, By: "bob"})
	if _, err := l.Apply(t.Context(), plan, against, knowngood.Retry{}); knowngood.KindOf(err) != knowngood.Refused {
		t.Errorf("with a decision against it: %v", err)
	}
	// A file that says of itself that it is harmless, with a hash that fits.
	forged := *plan
	forged.Risk, forged.RunID = knowngood.Risk{Effect: knowngood.Reversible}, "run-forged"
	var err error
	if forged.Hash, err = HashPlan(&forged); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Apply(t.Context(), &forged, nil, knowngood.Retry{}); knowngood.KindOf(err) != knowngood.Waiting || !strings.Contains(err.Error(), "not made with this state folder") {
		t.Errorf("a forged plan: %v", err)
	}
	unknown := *plan
	unknown.Rule = "no-such-rule"
	if _, err := l.Apply(t.Context(), &unknown, approvalOf(plan), knowngood.Retry{}); knowngood.KindOf(err) != knowngood.Invalid {
		t.Errorf("with a rule that is not in force: %v", err)
	}
	if now := l.finding(f.ID); now.State != knowngood.FindingOpen {
		t.Errorf("%+v", now)
	}
	if runs, _ := l.store.Runs(t.Context(), knowngood.RunQuery{}); len(runs) != 0 {
		t.Errorf("%d runs were made", len(runs))
	}
}

func TestASecondRunOnOneResourceIsRefused(t *testing.T) {
	l := newLoop(t)
	plan, f, _ := l.attached()
	second, err := l.PlanFinding(t.Context(), l.place(), Task{f, encryption()})
	if err != nil {
		t.Fatal(err)
	}
	l.Inject(sandbox.Fault{Service: "ec2", Operation: "StopInstances", Nth: 1})
	ctx, cancel := context.WithCancel(t.Context())
	l.OnEntry = func(_ *knowngood.Plan, e knowngood.LogEntry) {
		if e.Kind == knowngood.EntryIntent {
			cancel()
		}
	}
	if _, err := l.Apply(ctx, plan, approvalOf(plan), knowngood.Retry{}); err == nil {
		t.Fatal("it was not interrupted")
	}
	if _, err := l.Apply(t.Context(), second, approvalOf(second), knowngood.Retry{}); knowngood.KindOf(err) != knowngood.Conflict {
		t.Errorf("%v", err)
	}
}

func TestAPlanShowsWhatItChangesAndForHowLong(t *testing.T) {
	l := newLoop(t)
	plan, f, _ := l.attached()
	if d := plan.Risk.DowntimeSeconds; d != [2]int64{120 + 500*4, 600 + 500*17} {
		t.Errorf("downtime %v", d)
	}
	want := []knowngood.Property{{Name: "Volume", Value: "(new), 500 GiB gp3"}, {Name: "Encrypted", Value: "true"}, {Name: "KmsKeyId", Value: "alias/aws/ebs"}, {Name: "/dev/sdf", Value: "(new)"}}
	if fmt.Sprint(plan.Display.After) != fmt.Sprint(want) || plan.Display.Before[0].Value != f.Resource.ID+", 500 GiB gp3" {
		t.Errorf("before %v, after %v", plan.Display.Before, plan.Display.After)
	}
	// A volume without an instance stops nothing.
	detached := l.attach("", nil)
	p, err := l.PlanFinding(t.Context(), l.place(), Task{l.found("ebs-volume-encrypted-any-state", "AWS::EC2::Volume", detached), encryption()})
	if err != nil {
		t.Fatal(err)
	}
	if p.Risk.DowntimeSeconds != [2]int64{} || len(NeedsApproval(p)) != 0 || len(p.Display.After) != 3 {
		t.Errorf("%+v, %+v", p.Risk, p.Display)
	}
}

func TestTheResidualStaysAsLongAsTheRuleExceptsIt(t *testing.T) {
	e := entry(t, "AWS-EncryptEBSVolume")
	lib, err := rule.Load(library.FS)
	if err != nil {
		t.Fatal(err)
	}
	d, _ := lib.Rule("EBS_VOLUME_ENCRYPTED_ANY_STATE")
	if got := *d.Parameters[0].Default; got != fmt.Sprint(e.Residual.KeepDays) {
		t.Errorf("the rule excepts it for %s days, the entry says %d", got, e.Residual.KeepDays)
	}
}

func TestEntriesNameWhatTheirRunbooksHave(t *testing.T) {
	content, err := LoadContent(library.FS)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"AWS-EncryptEBSVolume", "AWSConfigRemediation-ConfigureS3BucketPublicAccessBlock"} {
		book, err := content.Runbook(name)
		if err != nil {
			t.Fatal(err)
		}
		steps := []string{}
		for _, s := range book.Entry.Stages {
			steps = append(steps, s.Step)
		}
		if d := book.Entry.Downtime; d != nil {
			steps = append(steps, d.Step)
		}
		if len(book.Entry.Stages) == 0 {
			t.Errorf("%s has no stages", name)
		}
		for _, s := range steps {
			if _, ok := book.Document.Step(s); !ok {
				t.Errorf("%s has no step %s", name, s)
			}
		}
		start, err := book.Document.Start(runbook.StartBody{})
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range append(book.Entry.Before, book.Entry.After...) {
			for _, text := range []string{l.Name, l.Value, "{{ " + book.Entry.Replacement + " }}"} {
				if text == "{{  }}" {
					continue
				}
				if _, _, err := book.Document.Expand([]knowngood.LogEntry{start}, text); err != nil {
					t.Errorf("%s: %q: %v", name, text, err)
				}
			}
		}
	}
}

// forgetful is a sink whose process is killed before it is told of a failure.
type forgetful struct{ FindingSink }

func (forgetful) Failed(context.Context, string, string, string, knowngood.Retry) error {
	return errKilled
}

func TestKilledBeforeItsFailureIsToldARunTellsItAgainOnce(t *testing.T) {
	l := newLoop(t)
	f := l.bucket("acme-invoices")
	l.Inject(sandbox.Fault{Service: "s3", Operation: "PutPublicAccessBlock", Count: 100, Error: &awsapi.Error{Code: "AccessDenied", Status: 403, Message: "not today"}})
	plan, err := l.PlanFinding(t.Context(), l.place(), Task{f, blockPublicAccess()})
	if err != nil {
		t.Fatal(err)
	}
	retry := knowngood.Retry{Max: 3, Every: time.Minute}
	l.Findings = forgetful{l.findings}
	if _, err := l.Apply(t.Context(), plan, nil, retry); err == nil {
		t.Fatal("it was not killed")
	}
	if now := l.finding(f.ID); now.State != knowngood.FindingRemediating {
		t.Fatalf("%+v", now)
	}
	l.Findings = l.findings
	for range 2 {
		result, err := l.Apply(t.Context(), plan, nil, retry)
		if now := l.finding(f.ID); err != nil || result.State != knowngood.RunFailed || now.State != knowngood.FindingOpen || now.Attempts != 1 {
			t.Errorf("%+v, %v; the finding %+v", result, err, now)
		}
	}
}

func TestAnEndedRunStillHasItsVerification(t *testing.T) {
	l := newLoop(t)
	plan, _, _ := l.attached()
	first, err := l.Apply(t.Context(), plan, approvalOf(plan), knowngood.Retry{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := l.Apply(t.Context(), plan, approvalOf(plan), knowngood.Retry{})
	if err != nil || again.Verification == nil || !again.Verification.Verified || len(again.Verification.Verdicts) != len(first.Verification.Verdicts) {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestARoleOfAnotherAccountIsRefused(t *testing.T) {
	l := newLoop(t)
	f := l.bucket("acme-invoices")
	c := blockPublicAccess()
	c.Parameters = append(c.Parameters, template.RemediationParameter{Name: "AutomationAssumeRole", Values: []string{"arn:aws:iam::444455556666:role/fix"}})
	_, err := l.PlanFinding(t.Context(), l.place(), Task{f, c})
	if knowngood.KindOf(err) != knowngood.Refused || !strings.Contains(err.Error(), "444455556666") || !strings.Contains(err.Error(), l.Account()) {
		t.Errorf("%v", err)
	}
}

func TestWhyAPlanWaitsIsToldInFull(t *testing.T) {
	why := NeedsApproval(&knowngood.Plan{Incomplete: []string{"one", "another"}, Risk: knowngood.Risk{Effect: knowngood.Reversible}})
	if len(why) != 1 || why[0] != "it is incomplete: one; another" {
		t.Errorf("%q", why)
	}
}
