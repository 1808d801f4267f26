package runbook

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/knowngood/knowngood"
)

// everyAction is a document with a step of each action.
const everyAction = `schemaVersion: '0.3'
parameters:
  Id: {type: String, default: i-1}
variables:
  V: {type: String, default: a}
  N: {type: Integer, default: 1}
mainSteps:
  - name: Read
    action: aws:executeAwsApi
    maxAttempts: 2
    inputs: {Service: ec2, Api: DescribeVolumes}
    outputs: [{Name: Out, Selector: $.x}, {Name: List, Selector: '$.x[*]', Type: StringList}]
  - name: Wait
    action: aws:waitForAwsResourceProperty
    onCancel: step:Tags
    timeoutSeconds: '{{ variable:N }}'
    inputs: {Service: ec2, Api: DescribeVolumes, PropertySelector: $.x, DesiredValues: ['{{ Read.Out }}']}
  - name: Assert
    action: aws:assertAwsResourceProperty
    onFailure: step:Stop
    inputs: {Service: ec2, Api: DescribeVolumes, PropertySelector: $.x, DesiredValues: [a]}
  - name: Which
    action: aws:branch
    inputs:
      Choices:
        - {Variable: '{{ variable:N }}', NumericGreater: 1, NextStep: Read}
        - {Variable: '{{ Read.List }}', Contains: a, NextStep: Set}
      Default: Ask
  - name: Set
    action: aws:updateVariable
    onFailure: Continue
    inputs: {Name: 'variable:N', Value: '{{ Read.Out }}'}
  - name: Ask
    action: aws:approve
    inputs: {Approvers: ['{{ Id }}'], MinRequiredApprovals: 1}
  - name: Hold
    action: aws:pause
    inputs: {}
  - name: Nap
    action: aws:sleep
    inputs: {Duration: 'PT{{ variable:N }}S'}
  - name: Stop
    action: aws:changeInstanceState
    inputs: {InstanceIds: ['{{ Id }}'], DesiredState: stopped}
  - name: Tags
    action: aws:createTags
    inputs: {ResourceIds: '{{ Read.List }}', Tags: [{Key: a, Value: '{{ variable:V }}'}]}
outputs: [Read.Out, Ask.ApproverDecisions]
`

func every(t testing.TB) *Document {
	t.Helper()
	d, err := Parse("every.yaml", []byte(everyAction))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var entryKinds = []knowngood.EntryKind{
	knowngood.EntryRunStarted, knowngood.EntryStepStarted, knowngood.EntryIntent, knowngood.EntryOutcome, knowngood.EntryWait,
	knowngood.EntryWake, knowngood.EntryDecision, knowngood.EntryCancel, knowngood.EntryDrift, knowngood.EntryStepEnded,
	knowngood.EntryRunEnded, knowngood.EntryVerified, "bogus", "",
}

var bodies = []string{
	"", "{}", "null", "[]", "x", `{"service":"ec2","operation":"DescribeVolumes"}`, `{"service":"ec2","operation":"StopInstances","input":{"InstanceIds":["i-1"]}}`,
	`{"service":"ec2","operation":"DescribeVolumes","outputs":{"Out":"5","List":["a"]},"property":"a"}`,
	`{"service":"ec2","operation":"DescribeVolumes","outputs":{"Out":{"a":[1]}},"property":[1,{"a":null}]}`,
	`{"service":"ec2","operation":"StopInstances","error":{"code":"X","message":"y"}}`, `{"property":["stopped"]}`,
	`{"until":"2026-01-02T03:04:09Z","reason":"r"}`, `{"until":"2026-01-02T03:04:06Z","retry":true}`, `{"until":"0001-01-01T00:00:00Z"}`,
	`{"approved":true,"approvals":[{"by":"a","approved":true}]}`, `{"approved":false}`, `{"by":"alice","reason":"r"}`,
	`{"status":"Success","nextStep":"Wait","outputs":{"Out":"9","List":["a","b"]}}`, `{"status":"Success","variables":{"N":"many","V":null}}`,
	`{"status":"Failed","failure":{"message":"m","drift":true},"nextStep":"Stop","recovery":true}`, `{"status":"Cancelled"}`, `{"status":"TimedOut","nextStep":"Read"}`,
	`{"status":"Odd"}`, `{"state":"Success"}`, `{"variables":{"No":1},"status":"Success"}`, `{"outputs":12}`,
}

// Whatever the log, Advance gives an answer or an error of kind Invalid, the
// same one each time.
func total(t interface {
	Fatalf(string, ...any)
	Helper()
}, d *Document, log []knowngood.LogEntry) Next {
	t.Helper()
	next, err := Advance(d, log)
	if err != nil {
		if knowngood.KindOf(err) != knowngood.Invalid {
			t.Fatalf("the error is of kind %d: %v", knowngood.KindOf(err), err)
		}
		return next
	}
	if next.Kind < NextAppend || next.Kind > NextEnd {
		t.Fatalf("the move is %d", next.Kind)
	}
	if again, err := Advance(d, log); err != nil || !reflect.DeepEqual(again, next) {
		t.Fatalf("%+v and then %+v, %v", next, again, err)
	}
	return next
}

// A log that grows at random, by what Advance says, by answers that fit and by
// entries that do not.
func TestAdvanceIsTotal(t *testing.T) {
	d := every(t)
	start := startEntry(t, d, nil)
	rapid.Check(t, func(t *rapid.T) {
		log := []knowngood.LogEntry{start}
		now := began
		for range rapid.IntRange(0, 60).Draw(t, "entries") {
			next := total(t, d, log)
			now = now.Add(time.Duration(rapid.SampledFrom([]int{0, 1, 60, 100_000}).Draw(t, "seconds")) * time.Second)
			var e knowngood.LogEntry
			switch {
			case next.Kind == NextAppend && rapid.IntRange(0, 9).Draw(t, "follow") > 0:
				e = next.Entries[0]
			case next.Kind == NextBranch:
				to := rapid.SampledFrom(next.Branch.Arms).Draw(t, "arm")
				var err error
				if e, err = d.TakeBranch(next.Step, next.Attempt, to); err != nil {
					t.Fatal(err)
				}
			default:
				e.Kind = rapid.SampledFrom(entryKinds).Draw(t, "kind")
				e.Step, e.Attempt = next.Step, next.Attempt
				if rapid.IntRange(0, 9).Draw(t, "other step") == 0 {
					e.Step, e.Attempt = "Read", 1
				}
				e.Body = []byte(rapid.SampledFrom(bodies).Draw(t, "body"))
			}
			e.Seq, e.Time = int64(len(log)+1), now
			if _, err := Advance(d, append(log[:len(log):len(log)], e)); err == nil || rapid.IntRange(0, 19).Draw(t, "keep") == 0 {
				log = append(log, e) // mostly those that fit, so that logs get long
			}
		}
		total(t, d, log)
	})
}

func FuzzAdvance(f *testing.F) {
	f.Add([]byte{0, 1, 3, 9, 10}, `{"service":"ec2","operation":"DescribeVolumes","outputs":{"Out":"5"}}`)
	f.Add([]byte{0x41, 0x83, 0xc9, 2, 3}, `{"status":"Failed","nextStep":"Stop"}`)
	d := every(f)
	start := startEntry(f, d, nil)
	f.Fuzz(func(t *testing.T, moves []byte, body string) {
		log := []knowngood.LogEntry{start}
		for i, m := range moves[:min(len(moves), 100)] {
			next := total(t, d, log)
			e := knowngood.LogEntry{Kind: entryKinds[int(m)%len(entryKinds)], Step: next.Step, Attempt: next.Attempt, Body: []byte(body)}
			switch {
			case m&0x40 != 0 && next.Kind == NextAppend:
				e = next.Entries[0]
			case m&0x80 != 0:
				e.Body = []byte(bodies[int(m)%len(bodies)])
			}
			e.Seq, e.Time = int64(len(log)+1), began.Add(time.Duration(i*int(m))*time.Second)
			log = append(log, e)
		}
		total(t, d, log)
	})
}

// A log that does not fit is refused, and the error says where.
func TestAdvanceRefuses(t *testing.T) {
	d := every(t)
	start := startEntry(t, d, nil)
	entry := func(kind knowngood.EntryKind, step string, attempt int, body string) knowngood.LogEntry {
		return knowngood.LogEntry{Kind: kind, Step: step, Attempt: attempt, Body: []byte(body), Time: began}
	}
	read := entry(knowngood.EntryStepStarted, "Read", 1, "{}")
	for _, c := range []struct {
		name string
		log  []knowngood.LogEntry
		want string
	}{
		{"empty", nil, "the log is empty"},
		{"no start", []knowngood.LogEntry{read}, "entry 1, step-started of step Read: the log begins with it instead of run-started"},
		{"two starts", []knowngood.LogEntry{start, {Kind: knowngood.EntryRunStarted, Body: start.Body}}, "entry 2, run-started: the run has begun already"},
		{"other document", []knowngood.LogEntry{{Kind: knowngood.EntryRunStarted, Body: []byte(`{"logVersion":1,"documentSha256":"abcdef0123456789"}`)}}, "entry 1, run-started: the log is of the document abcdef012345…, this is " + d.SHA256[:12] + "…"},
		{"gap", []knowngood.LogEntry{start, {Seq: 3, Kind: read.Kind, Step: "Read", Attempt: 1}}, "entry 2, step-started of step Read: it has the number 3"},
		{"wrong step", []knowngood.LogEntry{start, entry(knowngood.EntryStepStarted, "Wait", 1, "{}")}, `entry 2, step-started of step Wait: the next step is "Read"`},
		{"wrong attempt", []knowngood.LogEntry{start, entry(knowngood.EntryStepStarted, "Read", 2, "{}")}, "entry 2, step-started of step Read: it begins with attempt 2"},
		{"outcome of nothing", []knowngood.LogEntry{start, entry(knowngood.EntryOutcome, "Read", 1, "{}")}, "entry 2, outcome of step Read: attempt 1 of it is not under way"},
		{"other outcome", []knowngood.LogEntry{start, read, entry(knowngood.EntryIntent, "Read", 1, `{"service":"a","operation":"B"}`), entry(knowngood.EntryOutcome, "Read", 1, `{"service":"a","operation":"C"}`)}, "entry 4, outcome of step Read: it is of a:C, the intent is of a:B"},
		{"end before outcome", []knowngood.LogEntry{start, read, entry(knowngood.EntryIntent, "Read", 1, `{"service":"a","operation":"B"}`), entry(knowngood.EntryStepEnded, "Read", 1, `{"status":"Success"}`)}, "entry 4, step-ended of step Read: a:B has an intent and no outcome yet"},
		{"impossible way", []knowngood.LogEntry{start, read, entry(knowngood.EntryStepEnded, "Read", 1, `{"status":"Success","nextStep":"Nap"}`)}, `entry 3, step-ended of step Read: the step "Nap" can't come next`},
		{"bad body", []knowngood.LogEntry{start, read, entry(knowngood.EntryOutcome, "Read", 1, `{"outputs":7}`)}, "entry 3, outcome of step Read: log entry 0 (outcome): json: cannot unmarshal number into Go struct field OutcomeBody.outputs of type map[string]interface {}"},
		{"unknown kind", []knowngood.LogEntry{start, {Kind: "later"}}, "entry 2, later: this version does not know the kind"},
		{"run ended in a step", []knowngood.LogEntry{start, read, entry(knowngood.EntryRunEnded, "", 0, "{}")}, "entry 3, run-ended: a step is under way, or the run has ended"},
		{"after the end", []knowngood.LogEntry{start, entry(knowngood.EntryRunEnded, "", 0, "{}"), read}, "entry 3, step-started of step Read: the run has ended"},
	} {
		_, err := Advance(d, c.log)
		if err == nil || err.Error() != strings.TrimPrefix("replay the log: "+c.want, "") {
			t.Errorf("%s:\ngot  %v\nwant replay the log: %s", c.name, err, c.want)
		}
	}
}

// A run that goes round in circles is ended, and the way back still runs.
func TestCircle(t *testing.T) {
	cat := catalog(t)
	d, err := Parse("x.yaml", []byte(`schemaVersion: '0.3'
variables:
  Text: {type: String, default: x}
mainSteps:
  - name: Around
    action: aws:branch
    onFailure: step:Back
    inputs:
      Choices:
        - {Variable: '{{ global:REGION }}', StringEquals: nowhere, NextStep: Back}
      Default: Grow
  - name: Grow
    action: aws:updateVariable
    onFailure: Continue
    nextStep: Around
    inputs: {Name: 'variable:Text', Value: '{{ variable:Text }}{{ variable:Text }}'}
  - name: Back
    action: aws:branch
    inputs:
      Choices:
        - {Variable: '{{ global:REGION }}', StringEquals: nowhere, NextStep: End}
      Default: Back
  - name: End
    action: aws:sleep
    inputs: {Duration: PT1S}
`))
	if err != nil {
		t.Fatal(err)
	}
	if problems := d.Validate(cat); len(problems) != 0 { // every circle has a way out
		t.Fatal(problems[0])
	}
	world := &cloud{clock: &testClock{now: began}, log: NewMemLog(startEntry(t, d, nil))}
	end, err := world.runner(d, cat).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if end.State != knowngood.RunFailed || !strings.Contains(end.Message, "the runbook goes round in circles") ||
		!strings.HasSuffix(end.Message, fmt.Sprintf("the way back was given up after %d steps", MaxStepRuns)) {
		t.Errorf("%s, …%s", end.State, end.Message[max(0, len(end.Message)-300):])
	}
	log, _ := world.log.Entries(t.Context(), "")
	bytes := 0
	for _, e := range log {
		bytes += len(e.Body)
	}
	if len(log) > 4*MaxStepRuns+10 || bytes > 64<<20 {
		t.Errorf("%d entries, %d bytes", len(log), bytes)
	}
	if len(end.Message) > 64<<10 {
		t.Errorf("the message has %d bytes", len(end.Message))
	}
}

// The shipped runbook for volumes, taken through every answer that a planner
// might try: each arm of each branch is reachable by TakeBranch.
func TestArmsOfLibrary(t *testing.T) {
	data, err := os.ReadFile("../../library/runbooks/AWS-EncryptEBSVolume.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d, err := Parse("AWS-EncryptEBSVolume.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	branches := 0
	for _, s := range d.Steps() {
		arms := d.Arms(s.Name)
		if s.Action == "aws:branch" {
			branches++
			if len(arms) < 2 {
				t.Errorf("%s has the arms %v", s.Name, arms)
			}
		}
		for _, arm := range arms {
			if _, err := d.TakeBranch(s.Name, 1, arm); err != nil {
				t.Error(err)
			}
		}
		if _, err := d.TakeBranch(s.Name, 1, "Nowhere"); err == nil {
			t.Errorf("%s goes nowhere", s.Name)
		}
		for _, use := range d.Uses(s.Name) {
			if _, ok := d.Source(use); !ok {
				t.Errorf("%s uses %s, which has no source", s.Name, use)
			}
		}
	}
	if branches == 0 {
		t.Error("no branches")
	}
}
