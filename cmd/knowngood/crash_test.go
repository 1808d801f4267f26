package main

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/knowngood/knowngood"
)

// moment is when a process is killed, as seen from one write.
type moment string

const (
	beforeIntent  moment = "before the intent"  // it is being appended, and not committed
	afterIntent   moment = "after the intent"   // the write is on its way, and has no effect yet
	afterEffect   moment = "after the effect"   // the answer is on its way
	beforeOutcome moment = "before the outcome" // the answer has come; its entry is not committed
)

var moments = []moment{beforeIntent, afterIntent, afterEffect, beforeOutcome}

// killsAt gives a trial for each moment of each write; a short test has each
// write once, such that none has to wait for 30 s.
func killsAt(writes []write, run func(t *testing.T, w write, at moment)) []trial {
	var kills []trial
	for j, at := range moments {
		for i, w := range writes {
			if !testing.Short() || i%len(moments) == j {
				kills = append(kills, trial{w.step + " " + string(at), func(t *testing.T) { run(t, w, at) }})
			}
		}
	}
	return kills
}

// killed starts to apply the plan and kills the process at a moment of a write.
// It proves by log and sandbox that this was the moment.
func (e *estate) killed(run string, w write, at moment) {
	e.t.Helper()
	var p *process
	switch at {
	case beforeIntent, beforeOutcome:
		kind := knowngood.EntryIntent
		if at == beforeOutcome {
			kind = knowngood.EntryOutcome
		}
		e.jamAppends(kind, w.step)
		p = e.apply()
		p.reaches(e.jammed(p))
	case afterIntent, afterEffect:
		held, _ := e.wire.hold(w.operation, w.nth, at == afterEffect)
		p = e.apply()
		p.reaches(held)
	}
	p.kill()
	if p.cmd.ProcessState.Exited() {
		e.t.Fatalf("the process ended by itself: %v\n%s", p.cmd.ProcessState, &p.errs)
	}
	log := e.autopsy(run)
	intended, took := len(log.of(knowngood.EntryIntent, w.step)) == 1, e.took(w)
	if intended != (at != beforeIntent) || took != (at == afterEffect || at == beforeOutcome) || len(log.of(knowngood.EntryOutcome, w.step)) > 0 {
		e.t.Fatalf("killed %s: intended %v, took effect %v, the log ends with %s", at, intended, took, log[len(log)-1].Kind)
	}
}

// kill -9 at four moments of each write, with describe results that are 10 s
// old: apply goes on at the right step, and makes nothing twice. So it does while
// a failed run puts things back, which is when a crash would hurt most.
func TestKilledAtEachWriteTheNextApplyGoesOn(t *testing.T) {
	t.Parallel()
	reference, plan := approved(t)
	writes := writesOf(plan)
	if len(writes) != 14 {
		t.Fatalf("the plan has %d writes: %v", len(writes), writes)
	}
	var resumed, found, repeated, twice atomic.Int64
	forward := killsAt(writes, func(t *testing.T, w write, at moment) {
		e := reference.again(t)
		e.killed(plan.RunID, w, at)
		e.wire.quick()
		e.apply().ends(0)
		resumed.Add(1)
		log := e.encrypted(plan)
		log.eachWriteOnce(t, plan)
		volumes, snapshots := e.everMade()
		twice.Add(int64(volumes - volumesMade + snapshots - snapshotsMade))
		switch how := log.settled(t, w.step); {
		case strings.HasPrefix(how, "its effect was found"):
			found.Add(1)
			if at == afterIntent {
				t.Errorf("an effect was found that never was: %s", how)
			}
			// The first look came too early to see it.
			if c := e.wire.calls; len(c) < 2 || c[0] != c[1] {
				t.Errorf("the write was found at the first look: %v", c)
			}
		case at != beforeIntent:
			repeated.Add(1)
		}
	})
	// The new volume may not be deleted with its instance, as the old one was to be.
	back := killsAt([]write{
		{"RestoreAttachOld", "AttachVolume", 2, 2},
		{"RestoreDeleteNew", "DeleteVolume", 1, 1},
		{"RestoreDeleteOnTermination", "ModifyInstanceAttribute", 2, 1},
		{"RestoreDetachNew", "DetachVolume", 2, 2},
		{"RestoreStartInstance", "StartInstances", 1, 1},
		{"RestoreStopInstance", "StopInstances", 2, 2},
	}, func(t *testing.T, w write, at moment) {
		e := reference.again(t)
		e.fault("ModifyInstanceAttribute", 1, `"code": "UnauthorizedOperation", "status": 403`)
		e.killed(plan.RunID, w, at)
		e.wire.quick()
		e.apply().ends(1)
		resumed.Add(1)
		e.restored(plan)
		volumes, snapshots := e.everMade()
		twice.Add(int64(volumes - volumesMade + snapshots - snapshotsMade))
	})
	sweep(t, append(forward, back...))
	t.Logf("%d kills on the way and %d on the way back, %d resumed, %d volumes or snapshots made twice; on the way %d writes with an intent were found and %d sent again",
		len(forward), len(back), resumed.Load(), twice.Load(), found.Load(), repeated.Load())
}
