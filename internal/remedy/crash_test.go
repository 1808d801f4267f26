package remedy

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
)

// Where a process is killed, as seen from one write.
const (
	beforeIntent = "before the intent"
	afterIntent  = "after the intent"
	afterEffect  = "after the effect"
	afterAnswer  = "after the answer"
)

var errKilled = errors.New("killed")

// process is one life of a process: once killed it neither writes to the log
// nor makes calls.
type process struct {
	runbook.RunLog
	awsapi.Caller
	step, point string
	killed      bool
}

func (p *process) Append(ctx context.Context, id string, epoch int64, entries []knowngood.LogEntry, state knowngood.RunState, message string, wake *time.Time) error {
	if p.killed {
		return errKilled
	}
	for _, e := range entries {
		if e.Step != p.step {
			continue
		}
		switch {
		case e.Kind == knowngood.EntryIntent && p.point == beforeIntent, e.Kind == knowngood.EntryOutcome && p.point == afterAnswer:
			p.killed = true
			return errKilled
		case e.Kind == knowngood.EntryIntent && p.point == afterIntent:
			p.killed = true
			return errors.Join(p.RunLog.Append(ctx, id, epoch, entries, state, message, wake), errKilled)
		}
	}
	return p.RunLog.Append(ctx, id, epoch, entries, state, message, wake)
}

func (p *process) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	if p.killed {
		return nil, errKilled
	}
	out, err := p.Caller.Call(ctx, service, operation, in, opts...)
	if step, _ := ctx.Value(stepKey{}).(string); step == p.step && p.point == afterEffect && err == nil {
		p.killed = true
		return nil, errKilled
	}
	return out, err
}

// A process is killed at four moments of each write, while reads are stale for
// 10 s. The next one goes on at the right step, and every effect is there once.
func TestKilledAtEachWriteItGoesOnWithoutDoingAnythingTwice(t *testing.T) {
	reference := newEstate(t)
	_, v := reference.volumeOn(nil, owned())
	plan, err := reference.plan("AWS-EncryptEBSVolume", knowngood.Params{"VolumeId": v}, v)
	if err != nil {
		t.Fatal(err)
	}
	kills := 0
	for _, c := range plan.Parts[0].Calls {
		if c.Class != knowngood.Write {
			continue
		}
		for _, point := range []string{beforeIntent, afterIntent, afterEffect, afterAnswer} {
			t.Run(c.Step+" "+point, func(t *testing.T) {
				e := newEstate(t)
				i, v := e.volumeOn(nil, owned())
				e.SetStale(10 * time.Second)
				log := runbook.NewMemLog()
				first := &process{RunLog: log, Caller: directly{e}, step: c.Step, point: point}
				x := e.executor(first)
				x.Caller = first
				if _, err := x.Run(t.Context(), plan, 0); !errors.Is(err, errKilled) {
					t.Fatalf("the process was not killed: %v", err)
				}
				kills++
				end, err := e.executor(log).Run(t.Context(), plan, 0)
				if err != nil {
					t.Fatal(err)
				}
				if end.State != knowngood.RunSuccess {
					t.Fatalf("%+v", end)
				}
				e.SetStale(0)
				e.clock.Advance(time.Minute)
				if at := e.at(i, "/dev/sdf"); at == nil || at["Encrypted"] != true || e.state(i) != "running" {
					t.Errorf("at the device is %v, the instance is %v", at, e.state(i))
				}
				made := map[string]int{}
				seen := map[string]bool{}
				for _, call := range e.Calls() {
					// A repeat with the same client token makes nothing.
					key := fmt.Sprint(call.Operation, call.Input["ClientToken"])
					if token, _ := call.Input["ClientToken"].(string); call.Error != "" || token != "" && seen[key] {
						continue
					}
					seen[key] = true
					made[call.Operation]++
				}
				// Two volumes: the one that was there and its replacement.
				if made["CreateSnapshot"] != 2 || made["CopySnapshot"] != 1 || made["CreateVolume"] != 2 {
					t.Errorf("snapshots %d, copies %d, volumes %d", made["CreateSnapshot"], made["CopySnapshot"], made["CreateVolume"])
				}
				if volumes := e.do("ec2", "DescribeVolumes", map[string]any{"Filters": []any{map[string]any{"Name": "tag:Owner", "Values": []any{"billing"}}}})["Volumes"].([]any); len(volumes) != 2 {
					t.Errorf("%d volumes with the tags of %s", len(volumes), v)
				}
				if s := e.do("ec2", "DescribeSnapshots", nil)["Snapshots"].([]any); len(s) != 0 {
					t.Errorf("%d snapshots are left", len(s))
				}
				entries, err := log.Entries(t.Context(), plan.RunID)
				if err != nil {
					t.Fatal(err)
				}
				intents := map[string]int{}
				for n, entry := range entries {
					if entry.Seq != int64(n+1) {
						t.Fatalf("entry %d has the number %d", n+1, entry.Seq)
					}
					if entry.Kind == knowngood.EntryIntent {
						intents[entry.Step]++
					}
				}
				for step, n := range intents {
					if n != 1 {
						t.Errorf("%s was done in %d attempts", step, n)
					}
				}
			})
		}
	}
	t.Logf("%d kills", kills)
}
