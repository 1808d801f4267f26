package remedy

import (
	"context"
	"strings"
	"testing"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
)

// stepsOf are the steps of a part's writes, in order.
func stepsOf(part knowngood.PlanPart) string {
	var steps []string
	for _, c := range part.Calls {
		if c.Class == knowngood.Write {
			steps = append(steps, c.Step+" "+c.Operation)
		}
	}
	return strings.Join(steps, ", ")
}

// apply runs a plan and says how it ended, and with which writes.
func (e *estate) apply(plan *knowngood.Plan) runbook.EndResult {
	e.t.Helper()
	end, err := e.executor(runbook.NewMemLog()).Run(e.t.Context(), plan, 0)
	if err != nil {
		e.t.Fatal(err)
	}
	return end
}

// Each round of a loop has its own calls in the plan, in the order of the rounds,
// and they are those that are made.
func TestALoopIsPlannedRoundByRound(t *testing.T) {
	e := newEstate(t)
	volume := e.attach("", nil)
	plan := e.planOf(`
  - name: Each
    action: aws:loop
    inputs:
      Iterators: [one, two]
      Steps:
        - name: Snap
          action: aws:executeAwsApi
          inputs: {Service: ec2, Api: CreateSnapshot, VolumeId: '{{ VolumeId }}', Description: '{{ Each.CurrentIteratorValue }}'}
          outputs: [{Name: Id, Selector: $.SnapshotId}]
        - name: Tag
          action: aws:createTags
          inputs: {ResourceIds: ['{{ Snap.Id }}'], Tags: [{Key: round, Value: '{{ Each.CurrentIteration }}'}]}
`, volume)
	want := "Each[1]/Snap CreateSnapshot, Each[1]/Tag CreateTags, Each[2]/Snap CreateSnapshot, Each[2]/Tag CreateTags"
	if got := stepsOf(plan.Parts[0]); got != want || len(plan.Incomplete) > 0 {
		t.Fatalf("planned %s, incomplete %v; want %s", got, plan.Incomplete, want)
	}
	if end := e.apply(plan); end.State != knowngood.RunSuccess {
		t.Fatalf("%+v", end)
	}
	rounds := map[any]any{}
	for _, s := range e.do("ec2", "DescribeSnapshots", map[string]any{"OwnerIds": []any{"self"}})["Snapshots"].([]any) {
		for _, tag := range s.(map[string]any)["Tags"].([]any) {
			if tag := tag.(map[string]any); tag["Key"] == "round" {
				rounds[s.(map[string]any)["Description"]] = tag["Value"]
			}
		}
	}
	if len(rounds) != 2 || rounds["one"] != "1" || rounds["two"] != "2" {
		t.Errorf("snapshots %v", rounds)
	}
}

// A loop whose end only the run shows is planned for as often as it may go round.
func TestALoopWithAConditionIsPlannedForEachRoundThatItMayHave(t *testing.T) {
	e := newEstate(t)
	plan := e.planOf(createSnapshot+`
  - name: Until
    action: aws:loop
    inputs:
      MaxIterations: 3
      LoopCondition: {Not: {Variable: '{{ Look.State }}', StringEquals: completed}}
      Steps:
        - name: Look
          action: aws:executeAwsApi
          inputs: {Service: ec2, Api: DescribeSnapshots, SnapshotIds: ['{{ CreateSnapshot.SnapshotId }}']}
          outputs: [{Name: State, Selector: '$.Snapshots[0].State'}]
        - name: Note
          action: aws:createTags
          inputs: {ResourceIds: ['{{ CreateSnapshot.SnapshotId }}'], Tags: [{Key: round, Value: '{{ Until.CurrentIteration }}'}]}
`, e.attach("", nil))
	all := ""
	for _, p := range plan.Parts {
		all += p.Name + ": " + stepsOf(p) + "; "
	}
	for _, step := range []string{"Until[1]/Note", "Until[2]/Note", "Until[3]/Note"} {
		if !strings.Contains(all, step) {
			t.Errorf("%s is not planned: %s", step, all)
		}
	}
	if strings.Contains(all, "Until[4]") {
		t.Errorf("planned %s", all)
	}
	if end := e.apply(plan); end.State != knowngood.RunSuccess {
		t.Errorf("%+v", end)
	}
}

func TestAnImageIsPlannedAndMade(t *testing.T) {
	e := newEstate(t)
	instance, volume := e.volumeOn(nil, nil)
	plan := e.planOf(`
  - name: Make
    action: aws:createImage
    inputs: {InstanceId: `+instance+`, ImageName: mine, NoReboot: true}
  - name: Launch
    action: aws:runInstances
    inputs: {ImageId: '{{ Make.ImageId }}', InstanceType: t3.micro}
`, volume)
	if got, want := stepsOf(plan.Parts[0]), "Make CreateImage, Launch RunInstances"; got != want || len(plan.Incomplete) > 0 {
		t.Fatalf("planned %s, incomplete %v; want %s", got, plan.Incomplete, want)
	}
	if end := e.apply(plan); end.State != knowngood.RunSuccess {
		t.Fatalf("%+v", end)
	}
	image := e.one("DescribeImages", "Images", map[string]any{"Owners": []any{"self"}})
	if image["Name"] != "mine" || image["State"] != "available" {
		t.Errorf("image %v", image)
	}
}

// A command is planned with the call that cancels it.
func TestACommandIsPlannedWithItsCancellation(t *testing.T) {
	e := newEstate(t)
	plan := e.planOf(`
  - name: Run
    action: aws:runCommand
    inputs: {DocumentName: AWS-RunShellScript, InstanceIds: [i-0123456789abcdef0], Parameters: {commands: [uptime]}}
  - name: Note
    action: aws:updateVariable
    inputs: {Name: 'variable:Note', Value: '{{ Run.Output }}'}
`, e.attach("", nil))
	if got := stepsOf(plan.Parts[0]); got != "Run SendCommand" {
		t.Errorf("planned %s", got)
	}
	if len(plan.Parts) != 2 || stepsOf(plan.Parts[1]) != "Run CancelCommand" || !plan.Parts[1].Recovery {
		t.Errorf("parts %+v", plan.Parts)
	}
	send := plan.Parts[0].Calls[0]
	input, _ := send.Input.(map[string]any)
	if comment, _ := input["Comment"].(string); !strings.HasPrefix(comment, "run-1-Run-") || len(comment) > maxMarked {
		t.Errorf("the command can't be found again by its comment %q", comment)
	}
}

// What a script does is not known beforehand: the plan is incomplete, and what
// comes after it is planned all the same.
func TestAScriptMakesAPlanIncomplete(t *testing.T) {
	e := newEstate(t)
	plan := e.planOf(`
  - name: Run
    action: aws:executeScript
    inputs: {Runtime: python3.11, Handler: main, Script: 'def main(events, context): pass'}
    outputs: [{Name: State, Selector: $.Payload.State}]
`+branchOn("Run.State")+deleteVolume+done, e.attach("", nil))
	if len(plan.Incomplete) != 1 || !strings.Contains(plan.Incomplete[0], "Run does (aws:executeScript)") {
		t.Errorf("incomplete %v", plan.Incomplete)
	}
	deletionNeedsApproval(t, plan)
}

// What hangs on a script's result is planned as far as it is known, and told: the
// arms of a branch that can't be decided, and a call without its input.
func TestWhatHangsOnAScript(t *testing.T) {
	e := newEstate(t)
	plan := e.planOf(`
  - name: Run
    action: aws:executeScript
    inputs: {Runtime: python3.11, Handler: main, Script: 'def main(events, context): pass'}
    outputs: [{Name: Count, Selector: $.Payload.Count, Type: Integer}, {Name: Device, Selector: $.Payload.Device, Type: Boolean}]
  - name: Attach
    action: aws:executeAwsApi
    inputs: {Service: ec2, Api: ModifyVolume, VolumeId: '{{ VolumeId }}', MultiAttachEnabled: '{{ Run.Device }}'}
  - name: Which
    action: aws:branch
    inputs:
      Choices: [{Variable: '{{ Run.Count }}', NumericGreater: 3, NextStep: DeleteVolume}]
      Default: Done
`+deleteVolume+done, e.attach("", nil))
	if len(plan.Incomplete) != 2 || !strings.Contains(strings.Join(plan.Incomplete, "; "), "the input of ec2:ModifyVolume in the step Attach") {
		t.Errorf("incomplete %v", plan.Incomplete)
	}
	deletionNeedsApproval(t, plan)
}

// What a failure inside a loop leads to is planned, and what a cancel request
// leads to that nothing else does.
func TestWaysOutOfALoopArePlanned(t *testing.T) {
	e := newEstate(t)
	plan := e.planOf(`
  - name: Each
    action: aws:loop
    onFailure: step:Tidy
    inputs:
      Iterators: [one]
      Steps:
        - name: Snap
          action: aws:executeAwsApi
          onCancel: step:DeleteVolume
          inputs: {Service: ec2, Api: CreateSnapshot, VolumeId: '{{ VolumeId }}'}
    isEnd: true
  - name: Tidy
    action: aws:createTags
    inputs: {ResourceIds: ['{{ VolumeId }}'], Tags: [{Key: failed, Value: 'yes'}]}
    isEnd: true
`+deleteVolume, e.attach("", nil))
	parts := map[string]string{}
	for _, p := range plan.Parts {
		parts[p.Name] = strings.Join(p.When, ", ") + ": " + stepsOf(p)
	}
	want := map[string]string{
		knowngood.MainPart: ": Each[1]/Snap CreateSnapshot", "Tidy": "Each[1]/Snap fails: Tidy CreateTags", "DeleteVolume": "Each[1]/Snap is cancelled: DeleteVolume DeleteVolume",
	}
	for name, calls := range want {
		if parts[name] != calls || len(parts) != len(want) {
			t.Errorf("part %s is %q, want %q; all are %v", name, parts[name], calls, parts)
		}
	}
}

// Tokens are such as the services take, and differ from round to round.
func TestClientTokens(t *testing.T) {
	long := WriteOperation{Settle: SettleToken, Token: "ClientToken"}
	plain := WriteOperation{Settle: SettleToken, Token: "name", Plain: true}
	seen := map[string]bool{}
	for _, step := range []string{"Each[1]/Make", "Each[2]/Make", "Each_1_/Make", strings.Repeat("x", 128), strings.Repeat("x", 127) + "y"} {
		for _, w := range []WriteOperation{long, plain} {
			token := w.prepare("run-0123456789abcdef", step, nil)[w.Token].(string)
			if len(token) > maxToken || w.Plain && tokenForm.MatchString(token) || seen[w.Token+token] {
				t.Errorf("%s: token %q, seen %v", step, token, seen)
			}
			seen[w.Token+token] = true
		}
	}
}

// A command whose answer was lost is found again by its comment, and no other is.
func TestACommandIsFoundAgainByItsComment(t *testing.T) {
	e := newEstate(t)
	row := operations(t)["ssm:SendCommand"]
	in := row.prepare("run-1", "Run", map[string]any{"DocumentName": "AWS-RunShellScript", "Comment": strings.Repeat("why ", 40)})
	if comment, _ := in["Comment"].(string); len(comment) > maxMarked || !strings.HasPrefix(comment, "why why") {
		t.Errorf("comment %q", comment)
	}
	for _, other := range []bool{false, true} {
		s := &Settler{Catalog: e.catalog, Operations: operations(t), Clock: e.clock}
		answer := callerFunc(func(_ context.Context, _, operation string, asked map[string]any) (map[string]any, error) {
			if operation != "ListCommands" || text(asked) != `{"Filters":[{"key":"DocumentName","value":"AWS-RunShellScript"}]}` {
				t.Errorf("asked %s %s", operation, text(asked))
			}
			commands := []any{map[string]any{"CommandId": "c-0", "Comment": "another"}}
			if !other {
				commands = append(commands, map[string]any{"CommandId": "c-1", "Comment": in["Comment"]})
			}
			return map[string]any{"Commands": commands}, nil
		})
		got, err := s.Settle(t.Context(), answer, "run-1", runbook.IntentBody{Service: "ssm", Operation: "SendCommand", Input: in})
		if err != nil || got.Known == other || got.Repeat != other {
			t.Fatalf("%+v, %v", got, err)
		}
		if command, _ := got.Response["Command"].(map[string]any); !other && command["CommandId"] != "c-1" {
			t.Errorf("found %v", got.Response)
		}
	}
}

type callerFunc func(ctx context.Context, service, operation string, in map[string]any) (map[string]any, error)

func (f callerFunc) Call(ctx context.Context, service, operation string, in map[string]any, _ ...awsapi.CallOption) (map[string]any, error) {
	return f(ctx, service, operation, in)
}
