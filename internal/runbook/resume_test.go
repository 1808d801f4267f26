package runbook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

// family draws a runbook. Its steps lead forward only, so that it ends.
func family(t *rapid.T) (*Document, *cloud) {
	n := rapid.IntRange(1, 9).Draw(t, "steps")
	name := func(i int) string { return fmt.Sprintf("Step%d", i) }
	forward := func(i int, label string) (string, bool) {
		if i+1 >= n {
			return "", false
		}
		return name(rapid.IntRange(i+1, n-1).Draw(t, label)), true
	}
	world := &cloud{effects: map[string]int{}, failing: map[string]int{}, lost: map[string]bool{}}
	var steps []any
	for i := range n {
		s := map[string]any{"name": name(i), "maxAttempts": rapid.IntRange(1, 3).Draw(t, "attempts")}
		kind := rapid.SampledFrom([]string{"write", "write", "read", "wait", "set", "branch", "sleep", "approve", "each", "while", "script", "automation", "command", "image", "lambda", "stack", "machine", "instances"}).Draw(t, "kind")
		switch kind {
		case "each", "while":
			delete(s, "maxAttempts")
			s["action"] = "aws:loop"
			world.loop(t, s, name(i), kind)
		case "script":
			s["action"] = "aws:executeScript"
			s["inputs"] = map[string]any{"Runtime": "python3.11", "Handler": "main", "Script": "def main(events, context): pass", "InputPayload": map[string]any{"v": "{{ variable:V }}"}}
			s["outputs"] = []any{map[string]any{"Name": "Out", "Selector": "$.Payload.Ids[0]"}}
			for _, nth := range []int{1, 2} {
				step := ScriptStep(name(i), nth)
				world.failing[step] = rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "failing")
				world.lost[step+"/1"] = rapid.Bool().Draw(t, "lost")
			}
		case "automation":
			s["action"] = "aws:executeAutomation"
			s["timeoutSeconds"] = rapid.SampledFrom([]int{5, 600}).Draw(t, "timeout")
			s["inputs"] = map[string]any{"DocumentName": "Other"}
		case "command":
			s["action"] = "aws:runCommand"
			s["timeoutSeconds"] = rapid.SampledFrom([]int{5, 600}).Draw(t, "timeout")
			s["inputs"] = map[string]any{"DocumentName": "AWS-RunShellScript", "InstanceIds": []any{"i-1"}}
			world.failing[name(i)] = rapid.SampledFrom([]int{0, 0, 0, 1, 9}).Draw(t, "failing")
			world.lost[name(i)+"/1"] = rapid.Bool().Draw(t, "lost")
		case "image":
			s["action"] = "aws:createImage"
			s["inputs"] = map[string]any{"InstanceId": "i-1", "ImageName": "name"}
			world.lost[name(i)+"/1"] = rapid.Bool().Draw(t, "lost")
		case "stack":
			s["action"] = "aws:createStack"
			s["inputs"] = map[string]any{"StackName": "s", "TemplateURL": "{{ variable:V }}"}
			world.lost[name(i)+"/1"] = rapid.Bool().Draw(t, "lost")
		case "machine":
			s["action"] = "aws:executeStateMachine"
			s["timeoutSeconds"] = rapid.SampledFrom([]int{5, 600}).Draw(t, "timeout")
			s["inputs"] = map[string]any{"stateMachineArn": "arn:m"}
			world.lost[name(i)+"/1"] = rapid.Bool().Draw(t, "lost")
		case "instances":
			s["action"] = "aws:runInstances"
			s["inputs"] = map[string]any{"ImageId": "ami-1"}
			world.failing[name(i)] = rapid.SampledFrom([]int{0, 0, 0, 1, 9}).Draw(t, "failing")
			world.lost[name(i)+"/1"] = rapid.Bool().Draw(t, "lost")
		case "lambda":
			s["action"] = "aws:invokeLambdaFunction"
			s["inputs"] = map[string]any{"FunctionName": "f", "InputPayload": map[string]any{"v": "{{ variable:V }}"}}
			s["outputs"] = []any{map[string]any{"Name": "Out", "Selector": "$.Out"}}
			world.lost[name(i)+"/1"] = rapid.Bool().Draw(t, "lost")
		case "write":
			s["action"] = "aws:executeAwsApi"
			s["inputs"] = map[string]any{"Service": "ec2", "Api": "CreateVolume", "AvailabilityZone": "{{ variable:V }}"}
			s["outputs"] = []any{map[string]any{"Name": "Out", "Selector": "$.VolumeId"}}
			world.failing[name(i)] = rapid.SampledFrom([]int{0, 0, 0, 1, 2, 9}).Draw(t, "failing")
			world.lost[name(i)+"/1"] = rapid.Bool().Draw(t, "lost")
		case "read":
			s["action"] = "aws:executeAwsApi"
			s["inputs"] = map[string]any{"Service": "ec2", "Api": "DescribeVolumes", "NextToken": "x"}
			s["outputs"] = []any{map[string]any{"Name": "Out", "Selector": "$.Volumes[0].State"}}
		case "wait":
			s["action"] = "aws:waitForAwsResourceProperty"
			s["timeoutSeconds"] = rapid.SampledFrom([]int{5, 600}).Draw(t, "timeout")
			s["inputs"] = map[string]any{"Service": "ec2", "Api": "DescribeVolumes", "NextToken": name(i), "PropertySelector": "$.Volumes[0].State", "DesiredValues": []any{"available"}}
		case "set":
			s["action"] = "aws:updateVariable"
			value := "{{ variable:V }}+"
			if i > 0 {
				if _, ok := steps[i-1].(map[string]any)["outputs"]; ok {
					value += "{{ " + name(i-1) + ".Out }}"
				}
			}
			s["inputs"] = map[string]any{"Name": "variable:V", "Value": value}
		case "branch":
			s["action"] = "aws:branch"
			choice := map[string]any{"Variable": "{{ variable:V }}", "Contains": rapid.SampledFrom([]string{"+", "vol", "avail"}).Draw(t, "contains")}
			if to, ok := forward(i, "choice"); ok {
				choice["NextStep"] = to
				s["inputs"] = map[string]any{"Choices": []any{choice}}
				break
			}
			fallthrough
		case "sleep":
			s["action"] = "aws:sleep"
			s["inputs"] = map[string]any{"Duration": "PT90S"}
		case "approve":
			s["action"] = "aws:approve"
			s["inputs"] = map[string]any{"Approvers": []any{"alice"}}
		}
		switch rapid.IntRange(0, 3).Draw(t, "onFailure") {
		case 0:
			s["onFailure"] = "Continue"
		case 1:
			if to, ok := forward(i, "way back"); ok {
				s["onFailure"] = "step:" + to
			}
		}
		if to, ok := forward(i, "cancel"); ok && rapid.Bool().Draw(t, "onCancel") && s["action"] != "aws:loop" {
			s["onCancel"] = "step:" + to
		}
		if to, ok := forward(i, "next"); ok && rapid.IntRange(0, 4).Draw(t, "jump") == 0 {
			s["nextStep"] = to
		}
		if rapid.IntRange(0, 9).Draw(t, "end") == 0 {
			s["isEnd"] = true
		}
		if rapid.IntRange(0, 5).Draw(t, "critical") == 0 {
			s["isCritical"] = rapid.Bool().Draw(t, "isCritical")
		}
		if (kind == "write" || kind == "command" || kind == "image") && rapid.IntRange(0, 4).Draw(t, "cancelled") == 0 {
			world.cancel = name(i) + "/1"
		}
		steps = append(steps, s)
	}
	data, err := json.Marshal(map[string]any{
		"schemaVersion": "0.3", "variables": map[string]any{"V": map[string]any{"type": "String", "default": "z"}},
		"outputs": []any{"variable:V"}, "mainSteps": steps,
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err := Parse("x.json", data)
	if err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return d, world
}

// loop gives a loop its inputs: a write, perhaps refused in one of the rounds, and
// a variable that is set.
func (c *cloud) loop(t *rapid.T, s map[string]any, name, kind string) {
	inner := name + "In"
	write := map[string]any{
		"name": inner, "action": "aws:executeAwsApi", "maxAttempts": rapid.IntRange(1, 2).Draw(t, "attempts"),
		"inputs":  map[string]any{"Service": "ec2", "Api": "CreateVolume", "AvailabilityZone": "z{{ " + name + ".CurrentIteration }}"},
		"outputs": []any{map[string]any{"Name": "Out", "Selector": "$.VolumeId"}},
	}
	switch rapid.IntRange(0, 3).Draw(t, "onFailure inside") {
	case 0:
		write["onFailure"] = "Continue"
	case 1:
		write["onFailure"] = "Abort"
	}
	rounds := rapid.IntRange(1, 3).Draw(t, "rounds")
	for i := 1; i <= rounds; i++ {
		path := round(name, i) + "/" + inner
		c.failing[path] = rapid.SampledFrom([]int{0, 0, 1, 9}).Draw(t, "failing inside")
		c.lost[path+"/1"] = rapid.Bool().Draw(t, "lost inside")
		if rapid.IntRange(0, 9).Draw(t, "cancelled inside") == 0 {
			c.cancel = path + "/1"
		}
	}
	set := map[string]any{"name": name + "Set", "action": "aws:updateVariable", "inputs": map[string]any{"Name": "variable:V", "Value": "{{ variable:V }}{{ " + inner + ".Out }}"}}
	in := map[string]any{"Steps": []any{write, set}, "MaxIterations": rounds}
	if kind == "each" {
		in["Iterators"] = []any{"x", "y", "{{ variable:V }}"}
	} else {
		in["LoopCondition"] = map[string]any{"Not": map[string]any{"Variable": "{{ variable:V }}", "Contains": "vol"}}
	}
	s["inputs"] = in
}

var settledText = regexp.MustCompile(`,"settled":"[^"]*"`)

// Cutting a run's log after any entry and taking the run up again gives the
// same log, the same end and the same effects, each once; also when the
// process died after a write took place and before its outcome was logged.
func TestResumeAnywhere(t *testing.T) {
	cat := catalog(t)
	rapid.Check(t, func(t *rapid.T) {
		d, world := family(t)
		start := startEntryRapid(t, d)
		world.log, world.clock = NewMemLog(start), &testClock{now: began}
		end, err := world.runner(d, cat).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		log, _ := world.log.Entries(context.Background(), "")
		whole := settledText.ReplaceAllString(render(log), "")
		for token, n := range world.effects {
			if n != 1 {
				t.Fatalf("%s took place %d times", token, n)
			}
		}
		first := 1
		for i, e := range log {
			if e.Kind == knowngood.EntryCancel {
				first = i + 1 // before, nobody had asked yet
			}
		}
		for cut := first; cut <= len(log); cut++ {
			checkAdvance(t, d, log, cut)
			for _, died := range []bool{false, true} {
				last := log[cut-1]
				if died && last.Kind != knowngood.EntryIntent {
					continue
				}
				again := &cloud{
					clock: &testClock{now: last.Time}, log: NewMemLog(log[:cut]...), effects: map[string]int{},
					failing: world.failing, lost: world.lost,
				}
				again.remember(t, log[:cut], died)
				end2, err := again.runner(d, cat).Run(context.Background())
				if err != nil {
					t.Fatalf("cut after %d: %v", cut, err)
				}
				log2, _ := again.log.Entries(context.Background(), "")
				if got := settledText.ReplaceAllString(render(log2), ""); got != whole {
					t.Fatalf("cut after %d, died %v: the log is\n%s\nwant\n%s", cut, died, got, whole)
				}
				if !reflect.DeepEqual(end, end2) {
					t.Fatalf("cut after %d: ended %+v, want %+v", cut, end2, end)
				}
				if !maps.Equal(again.effects, world.effects) {
					t.Fatalf("cut after %d, died %v: effects %v, want %v", cut, died, again.effects, world.effects)
				}
			}
		}
	})
}

// remember gives a world the effects that a log tells of, and that of its last
// intent if the process died after it was sent and took place.
func (c *cloud) remember(t *rapid.T, log []knowngood.LogEntry, died bool) {
	token := ""
	for _, e := range log {
		switch e.Kind {
		case knowngood.EntryIntent:
			b, err := Decode[IntentBody](e)
			if err != nil {
				t.Fatal(err)
			}
			token = text(b.Input[tokenMember(b.Operation)])
			switch b.Operation {
			case EffectStart:
				token = fmt.Sprintf("r/%s/%d", e.Step, e.Attempt)
			case EffectStop:
				token = "stop " + text(b.Input["ExecutionId"])
			}
		case knowngood.EntryOutcome:
			b, err := Decode[OutcomeBody](e)
			if err != nil {
				t.Fatal(err)
			}
			if token != "" && b.Error == nil {
				c.took(token)
			}
			token = ""
		}
	}
	if died && token != "" {
		if step, attempt := splitToken(token); stops(token) || attempt > c.failing[step] {
			c.took(token)
		}
	}
}

// took counts an effect; to stop something twice is to stop it.
func (c *cloud) took(token string) {
	if stops(token) {
		c.effects[token] = 0
	}
	c.effects[token]++
}

// stops says whether a token is that of stopping something.
func stops(token string) bool {
	return strings.HasPrefix(token, "stop ") || token == commandID || strings.HasPrefix(token, "arn:")
}

// checkAdvance checks that what Advance says after a prefix of a log is what
// the log goes on with.
func checkAdvance(t *rapid.T, d *Document, log []knowngood.LogEntry, cut int) {
	next, err := Advance(d, log[:cut])
	if err != nil {
		t.Fatalf("after %d: %v", cut, err)
	}
	if again, err := Advance(d, log[:cut]); err != nil || !reflect.DeepEqual(again, next) {
		t.Fatalf("after %d: %+v and then %+v, %v", cut, next, again, err)
	}
	if cut == len(log) {
		if next.Kind != NextEnd {
			t.Fatalf("after the end: %+v", next)
		}
		return
	}
	follows := log[cut]
	if next.Kind == NextAppend {
		e := next.Entries[0]
		if e.Kind != follows.Kind || e.Step != follows.Step || e.Attempt != follows.Attempt || string(e.Body) != string(follows.Body) {
			t.Fatalf("after %d: Advance says %s %s, the log has %s %s", cut, e.Kind, e.Body, follows.Kind, follows.Body)
		}
	}
}

func startEntryRapid(t *rapid.T, d *Document) knowngood.LogEntry {
	e, err := d.Start(StartBody{ExecutionID: "r", DateTime: began, Parameters: knowngood.Params{}})
	if err != nil {
		t.Fatal(err)
	}
	e.Seq, e.Time = 1, began
	return e
}

// A run whose context ends leaves a log that can be taken up: in a wait, before
// a call, and while a write is under way, whose answer is still taken.
func TestInterrupt(t *testing.T) {
	cat := catalog(t)
	d, err := Parse("x.yaml", []byte(head+napStep+`  - name: Make
    action: aws:executeAwsApi
    inputs: {Service: ec2, Api: CreateVolume, AvailabilityZone: a}
  - name: Read
    action: aws:executeAwsApi
    inputs: {Service: ec2, Api: DescribeVolumes}
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{"sleep", "write", "read"} {
		ctx, cancel := context.WithCancel(t.Context())
		world := &cloud{clock: &testClock{now: began}, effects: map[string]int{}, log: NewMemLog(startEntry(t, d, knowngood.Params{"Id": "x"}))}
		r := world.runner(d, cat)
		r.Caller = callerFunc(func(ctx context.Context, service, operation string, in map[string]any) (map[string]any, error) {
			if at == "write" && operation == "CreateVolume" || at == "read" && operation == "DescribeVolumes" {
				cancel()
			}
			if operation == "DescribeVolumes" && ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return world.Call(ctx, service, operation, in)
		})
		if at == "sleep" {
			r.Clock = interruptedClock{world.clock, cancel}
		}
		if _, err := r.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want the context's error", at, err)
		}
		log, _ := world.log.Entries(t.Context(), "")
		last := log[len(log)-1]
		if want := map[string]knowngood.EntryKind{"sleep": knowngood.EntryWait, "write": knowngood.EntryStepStarted, "read": knowngood.EntryStepStarted}[at]; last.Kind != want {
			t.Errorf("%s: the log ends with %s, want %s\n%s", at, last.Kind, want, render(log))
		}
		end, err := world.runner(d, cat).Run(t.Context())
		if err != nil || end.State != knowngood.RunSuccess || world.effects["Make/1"] != 1 {
			t.Errorf("%s: taken up again: %+v, %v, effects %v", at, end, err, world.effects)
		}
		cancel()
	}
}

type callerFunc func(ctx context.Context, service, operation string, in map[string]any) (map[string]any, error)

func (f callerFunc) Call(ctx context.Context, service, operation string, in map[string]any, _ ...awsapi.CallOption) (map[string]any, error) {
	return f(ctx, service, operation, in)
}

// interruptedClock is one on which the first sleep is cut short.
type interruptedClock struct {
	*testClock
	cancel func()
}

func (c interruptedClock) Sleep(ctx context.Context, _ time.Duration) error {
	c.cancel()
	return ctx.Err()
}

// When another worker has taken the run, this one sends nothing more.
func TestConflict(t *testing.T) {
	cat := catalog(t)
	d, err := Parse("x.yaml", []byte(head+`  - name: Make
    action: aws:executeAwsApi
    inputs: {Service: ec2, Api: CreateVolume, AvailabilityZone: a}
  - name: Again
    action: aws:executeAwsApi
    inputs: {Service: ec2, Api: CreateVolume, AvailabilityZone: a}
`))
	if err != nil {
		t.Fatal(err)
	}
	world := &cloud{clock: &testClock{now: began}, effects: map[string]int{}, log: NewMemLog(startEntry(t, d, knowngood.Params{"Id": "x"}))}
	r := world.runner(d, cat)
	r.Caller = callerFunc(func(ctx context.Context, service, operation string, in map[string]any) (map[string]any, error) {
		if text(in["ClientToken"]) == "Make/1" { // the lease expires, and a faster worker settles the call
			e, err := Encode(knowngood.EntryOutcome, "Make", 1, OutcomeBody{Service: "ec2", Operation: "CreateVolume", Settled: "found"})
			if err != nil {
				return nil, err
			}
			e.Time = began
			world.log.Add(e)
		}
		return world.Call(ctx, service, operation, in)
	})
	if _, err := r.Run(t.Context()); knowngood.KindOf(err) != knowngood.Conflict {
		t.Errorf("%v, want a conflict", err)
	}
	if len(world.effects) != 1 {
		t.Errorf("effects %v", world.effects)
	}
}

// A log that this version can't replay parks the run and is left as it is.
func TestNeedsOperator(t *testing.T) {
	cat := catalog(t)
	d, err := Parse("x.yaml", []byte(head+napStep))
	if err != nil {
		t.Fatal(err)
	}
	start := startEntry(t, d, knowngood.Params{"Id": "x"})
	start.Body = []byte(strings.Replace(string(start.Body), `"logVersion":1`, `"logVersion":99`, 1))
	world := &cloud{clock: &testClock{now: began}, log: NewMemLog(start)}
	end, err := world.runner(d, cat).Run(t.Context())
	if err != nil || end.State != knowngood.RunNeedsOperator || !strings.Contains(end.Message, "the log has the format 99, this version reads 1") {
		t.Errorf("%+v, %v", end, err)
	}
	if state, message, _ := world.log.State(); state != knowngood.RunNeedsOperator || message != end.Message {
		t.Errorf("the row says %s %q", state, message)
	}
	if log, _ := world.log.Entries(t.Context(), ""); len(log) != 1 {
		t.Errorf("the log has grown:\n%s", render(log))
	}
}

// A run of five steps, three of them writes, with its log in memory.
func BenchmarkRun(b *testing.B) {
	cat := catalog(b)
	write := func(name string) string {
		return "  - name: " + name + "\n    action: aws:executeAwsApi\n    inputs: {Service: ec2, Api: CreateVolume, AvailabilityZone: a}\n"
	}
	d, err := Parse("x.yaml", []byte(head+apiStep+write("One")+write("Two")+write("Three")+napStep))
	if err != nil {
		b.Fatal(err)
	}
	start := startEntry(b, d, knowngood.Params{"Id": "x"})
	b.ReportAllocs()
	for b.Loop() {
		world := &cloud{clock: &testClock{now: began}, effects: map[string]int{}, log: NewMemLog(start)}
		if end, err := world.runner(d, cat).Run(b.Context()); err != nil || end.State != knowngood.RunSuccess {
			b.Fatal(end, err)
		}
	}
}
