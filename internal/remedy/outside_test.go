package remedy

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
)

// posting is a script that tags a volume's new snapshot and tells a host of it.
type posting struct {
	sent  *[]string
	body  any             // nil: the snapshot's id
	fails func(int) error // of the nth request that is sent
	hosts []string        // that the script was allowed, when it ran
	times int
}

// RunScript implements runbook.Scripts.
func (p *posting) RunScript(ctx context.Context, r runbook.ScriptRequest) (runbook.ScriptResult, error) {
	p.hosts = r.Hosts
	payload := r.Payload.(map[string]any)
	made, err := r.Caller.Call(ctx, "ec2", "CreateSnapshot", map[string]any{"VolumeId": payload["id"]})
	if err != nil {
		return runbook.ScriptResult{Error: &runbook.CallError{Code: "ClientError", Message: err.Error()}}, nil
	}
	body := p.body
	if body == nil {
		body = map[string]any{"snapshot": made["SnapshotId"], "n": int64(1)}
	}
	in := map[string]any{"url": "https://hooks.example.com/a?of=" + url.QueryEscape(made["SnapshotId"].(string)), "body": body}
	for range max(p.times, 1) {
		out, err := r.Caller.Call(runbook.WithSend(ctx, func(context.Context) (map[string]any, error) {
			*p.sent = append(*p.sent, text(in))
			if p.fails != nil {
				if err := p.fails(len(*p.sent)); err != nil {
					return nil, err
				}
			}
			return map[string]any{"status": int64(201), "body": ""}, nil
		}), runbook.OutsideService, "POST", in)
		if err != nil {
			return runbook.ScriptResult{Error: &runbook.CallError{Code: "HTTPError", Message: err.Error()}}, nil
		}
		if out["status"] == nil {
			return runbook.ScriptResult{Error: &runbook.CallError{Code: "KeyError", Message: "no status"}}, nil
		}
	}
	return runbook.ScriptResult{Payload: map[string]any{"Id": made["SnapshotId"]}}, nil
}

func (e *estate) planPosting(p *posting, volume string) *knowngood.Plan {
	e.t.Helper()
	d, err := runbook.Parse("test.yaml", []byte(oneScript))
	if err != nil {
		e.t.Fatal(err)
	}
	planner := &Planner{Catalog: e.catalog, Operations: operations(e.t), Scripts: p, Read: func(context.Context, *awsapi.Operation, map[string]any, ...awsapi.CallOption) (map[string]any, error) {
		return nil, errors.New("nothing is read here")
	}}
	plan, err := planner.Plan(e.t.Context(), PlanRequest{
		RunID: "run-1", Created: e.clock.Now(), Document: d, Ref: knowngood.DocumentRef{Name: "test", SHA256: d.SHA256, Content: oneScript},
		Parameters: knowngood.Params{"VolumeId": volume}, Place: knowngood.Place{Partition: "aws", Account: e.Account(), Region: e.Region()},
		Resource: knowngood.ResourceKey{Account: e.Account(), Region: e.Region(), ID: volume}, Entry: Entry{Hosts: []string{"hooks.example.com:443"}},
	})
	if err != nil {
		e.t.Fatal(err)
	}
	return plan
}

func (e *estate) applyPosting(plan *knowngood.Plan, p *posting) runbook.EndResult {
	e.t.Helper()
	x := e.executor(runbook.NewMemLog())
	x.Effects.Scripts = p
	end, err := x.Run(e.t.Context(), plan, 0)
	if err != nil {
		e.t.Fatal(err)
	}
	return end
}

func TestARequestToAnotherHostIsAPlannedWrite(t *testing.T) {
	e := newEstate(t)
	v := e.attach("", nil)
	var sent []string
	plan := e.planPosting(&posting{sent: &sent}, v)
	if len(sent) > 0 {
		t.Fatalf("planning sent %v", sent)
	}
	calls := plan.Parts[0].Calls
	post := calls[len(calls)-1]
	if post.Service != runbook.OutsideService || post.Operation != "POST" || post.Class != knowngood.Write || post.Effect != knowngood.Irreversible || plan.Risk.Effect != knowngood.Irreversible ||
		text(post.Input) != `{"body":{"n":1,"snapshot":{"$ref":{"from":"w1","path":"SnapshotId"}}},"url":{"$text":["https://hooks.example.com/a?of=",{"$ref":{"from":"w1","path":"SnapshotId"}}]}}` {
		t.Errorf("planned %+v", post)
	}
	if want := "what POST https://hooks.example.com/a?of=(w1 SnapshotId) answers the script Work is known only when it is run"; !slices.Contains(plan.Incomplete, want) {
		t.Errorf("incomplete: %v, wanted %s", plan.Incomplete, want)
	}
	if !slices.Equal(plan.Hosts, []string{"hooks.example.com:443"}) {
		t.Errorf("hosts: %v", plan.Hosts)
	}
	p := &posting{sent: &sent}
	if end := e.applyPosting(plan, p); end.State != knowngood.RunSuccess || len(sent) != 1 || !slices.Equal(p.hosts, plan.Hosts) || !strings.Contains(sent[0], `"snapshot":"snap-`) || !strings.Contains(sent[0], "a?of=snap-") {
		t.Errorf("%+v, sent %v to %v", end, sent, p.hosts)
	}
	changed := *plan
	changed.Hosts = nil
	if hash, err := HashPlan(&changed); err != nil || hash == plan.Hash {
		t.Errorf("a plan with other hosts has the same hash (%v)", err)
	}
}

func TestARequestThatIsNotPlannedIsNotSent(t *testing.T) {
	e := newEstate(t)
	v := e.attach("", nil)
	var sent []string
	plan := e.planPosting(&posting{sent: &sent}, v)
	if end := e.applyPosting(plan, &posting{sent: &sent, body: "other"}); end.State == knowngood.RunSuccess || !strings.Contains(end.Message, "plan drift at Work") || len(sent) != 0 {
		t.Errorf("another body: %+v, sent %v", end, sent)
	}
	if end := e.applyPosting(plan, &posting{sent: &sent, times: 2}); end.State == knowngood.RunSuccess || !strings.Contains(end.Message, "plan drift at Work") || len(sent) != 1 {
		t.Errorf("twice: %+v, sent %v", end, sent)
	}
}

// What became of a request without an answer nobody can find out: it is never sent
// again, and the run waits for a person.
func TestALostRequestIsNotRepeated(t *testing.T) {
	e := newEstate(t)
	v := e.attach("", nil)
	var sent []string
	plan := e.planPosting(&posting{sent: &sent}, v)
	lost := &posting{sent: &sent, fails: func(int) error { return errors.New("connection reset by peer") }}
	if end := e.applyPosting(plan, lost); end.State != knowngood.RunOutcomeUnknown || !strings.Contains(end.Message, "http:POST is unknown") || len(sent) != 1 {
		t.Errorf("%+v, sent %v", end, sent)
	}
	sent = nil
	refused := &posting{sent: &sent, fails: func(int) error { return runbook.Unsent("POST", errors.New("connection refused")) }}
	if end := e.applyPosting(plan, refused); end.State != knowngood.RunFailed || !strings.Contains(end.Message, "connection refused") {
		t.Errorf("what was never sent: %+v", end)
	}
}

func TestHostsOfAnEntry(t *testing.T) {
	for text, want := range map[string]string{
		"hosts: [Api.Example.com, b.example.com:8443, 127.0.0.1:80]": "[api.example.com:443 b.example.com:8443 127.0.0.1:80]",
		"hosts: [https://a.example.com/x]":                           `E.yaml:1:9: hosts has "https://a.example.com/x"`,
		"hosts:\n  - a.example.com\n  - '*.example.com'":             `E.yaml:3:5: hosts has "*.example.com"`,
		"hosts: ['a.example.com:0']":                                 `hosts has "a.example.com:0"`,
		"hosts: [169.254.169.254:http]":                              `hosts has "169.254.169.254:http"`,
	} {
		e, err := LoadEntry(fstest.MapFS{"E.yaml": {Data: []byte(text)}}, "E")
		if got := fmt.Sprint(e.Hosts); err == nil && got != want || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %s, %v, wanted %s", text, got, err, want)
		}
	}
}
