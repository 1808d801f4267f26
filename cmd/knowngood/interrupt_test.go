package main

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
)

// Ctrl-C leaves a run that the next apply goes on with: while it waits, and
// while a write is on its way, whether its answer still comes or not.
func TestInterruptedTheNextApplyGoesOn(t *testing.T) {
	t.Parallel()
	reference, plan := approved(t)
	interruptions := []struct {
		name string
		// interrupt begins to apply the plan and interrupts it.
		interrupt func(e *estate) *process
		step      string // whose write was under way last
		heard     bool   // its answer has come
	}{
		{"while it waits", func(e *estate) *process {
			stopped, release := e.wire.hold("StopInstances", 1, true)
			p := e.apply()
			p.reaches(stopped)
			e.wire.quick() // the instance is still stopping, and is looked at again after a while
			close(release)
			p.reaches(e.waiting(p))
			p.interrupt()
			return p
		}, "StopInstance", true},
		{"while an answer is on its way", func(e *estate) *process {
			detached, release := e.wire.hold("DetachVolume", 1, true)
			p := e.apply()
			p.reaches(detached)
			p.interrupt()
			close(release)
			return p
		}, "DetachOld", true},
		{"while no answer comes", func(e *estate) *process {
			taken, _ := e.wire.hold("CreateSnapshot", 2, true)
			p := e.apply()
			p.reaches(taken)
			p.interrupt()
			return p
		}, "CreateSnapshot", false},
	}
	var trials []trial
	for _, c := range interruptions {
		trials = append(trials, trial{c.name, func(t *testing.T) {
			e := reference.again(t)
			p := c.interrupt(e)
			p.ends(130)
			if hint := "knowngood apply " + e.planFile(); !strings.Contains(p.errs.String(), hint) {
				t.Errorf("there is no hint to %s:\n%s", hint, &p.errs)
			}
			log := e.autopsy(plan.RunID)
			if intents, outcomes := len(log.of(knowngood.EntryIntent, c.step)), len(log.of(knowngood.EntryOutcome, c.step)); intents != 1 || (outcomes > 0) != c.heard {
				t.Errorf("%s has %d intents and %d outcomes", c.step, intents, outcomes)
			}
			e.apply().ends(0)
			e.encrypted(plan).eachWriteOnce(t, plan)

			// A run that has ended stays as it is.
			before := e.succeeded()
			e.apply().ends(0)
			after := e.succeeded()
			after["GetCallerIdentity"] = before["GetCallerIdentity"]
			if !maps.Equal(before, after) {
				t.Errorf("applied once more it made calls: %v, then %v", before, after)
			}
		}})
	}
	sweep(t, trials)
}

// Two at once: the second is turned away and disturbs nothing.
func TestARunHasOneWorker(t *testing.T) {
	t.Parallel()
	e, plan := approved(t)
	held, release := e.wire.hold("CopySnapshot", 1, false)
	first := e.apply()
	first.reaches(held)
	second := e.apply()
	second.ends(1)
	if !strings.Contains(second.errs.String(), "works on it") {
		t.Errorf("%s", &second.errs)
	}
	close(release)
	first.ends(0)
	e.encrypted(plan).eachWriteOnce(t, plan)
}

// waiting is closed when the run that a process works on waits.
func (e *estate) waiting(p *process) <-chan struct{} {
	waits := make(chan struct{})
	db := openDatabase(e.t, e.database())
	go func() {
		defer db.Close()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			var state string
			if err := db.QueryRow("SELECT state FROM runs").Scan(&state); err == nil && state == string(knowngood.RunWaiting) {
				close(waits)
				return
			}
			select {
			case <-p.done:
				return
			case <-tick.C:
			}
		}
	}()
	return waits
}
