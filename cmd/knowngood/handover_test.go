package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/store/sqlite"
)

// A runbook that waits for a person, and then makes a call.
const waitingBook = `schemaVersion: '0.3'
parameters:
  Name: {type: String}
mainSteps:
- name: Ask
  action: aws:approve
  timeoutSeconds: 604800
  inputs: {Approvers: ['ann'], Message: 'May {{ Name }} go on?'}
- name: Look
  action: aws:executeAwsApi
  inputs: {Service: sts, Api: GetCallerIdentity}
`

// worker begins a worker, and waits until others can see it.
func (e *estate) worker(args ...string) *process {
	e.t.Helper()
	p := start(e.t, e.env, append([]string{"runs", "work", "--state", e.state()}, args...)...)
	store := e.openStore()
	defer store.Close()
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		all, err := store.Workers(e.t.Context(), time.Now())
		if err != nil {
			e.t.Fatal(err)
		}
		if len(all) > 0 {
			return p
		}
		if time.Now().After(end) {
			e.t.Fatalf("the worker is not seen\n%s", &p.errs)
		}
	}
}

func (e *estate) openStore() *sqlite.Store {
	e.t.Helper()
	store, err := sqlite.Open(e.t.Context(), filepath.Join(e.state(), "knowngood.db"))
	if err != nil {
		e.t.Fatal(err)
	}
	return store
}

// reachesState waits until a run is in a state.
func (e *estate) reachesState(run string, want knowngood.RunState) {
	e.t.Helper()
	store := e.openStore()
	defer store.Close()
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		r, err := store.Run(e.t.Context(), run)
		if err == nil && r.State == want {
			return
		}
		if time.Now().After(end) {
			e.t.Fatalf("the run %s is not %s: %s %s, %v", run, want, r.State, r.Message, err)
		}
	}
}

// shows says that a process that is over has printed something, to either stream.
func (p *process) shows(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		if !strings.Contains(p.out.String()+p.errs.String(), text) {
			p.t.Errorf("%v does not say %q:\n%s%s", p.cmd.Args[1:], text, &p.out, &p.errs)
		}
	}
}

// apply beside a worker leaves it the run, follows the log, and ends as if it had
// carried it out itself.
func TestApplyBesideAWorker(t *testing.T) {
	t.Parallel()
	reference, plan := approved(t)
	ended := func(e *estate, worker *process) {
		e.t.Helper()
		worker.interrupt()
		worker.ends(0)
		worker.shows(plan.RunID + " Success")
		e.encrypted(plan).eachWriteOnce(e.t, plan)
	}
	sweep(t, []trial{
		{"leaves it the run", func(t *testing.T) {
			e := reference.again(t)
			worker := e.worker()
			p := e.apply()
			p.ends(0)
			p.shows("is with the worker ", "✓ ", "run "+plan.RunID+": Success")
			ended(e, worker)
		}},
		{"interrupted, the worker goes on", func(t *testing.T) {
			e := reference.again(t)
			held, release := e.wire.hold("CopySnapshot", 1, false)
			worker := e.worker()
			p := e.apply()
			p.reaches(held)
			p.interrupt()
			p.ends(130)
			p.shows("interrupted; the worker ", " goes on with the run", "knowngood runs cancel "+plan.RunID)
			close(release)
			e.reachesState(plan.RunID, knowngood.RunSuccess)
			ended(e, worker)
		}},
		{"of a run that failed it says so", func(t *testing.T) {
			e := reference.again(t)
			e.fault("AttachVolume", 1, `"code": "UnauthorizedOperation", "status": 403`)
			e.worker()
			p := e.apply()
			p.ends(1)
			p.shows("the run ended as Failed: step AttachNew failed")
			e.restored(plan)
		}},
		{"where the worker dies it goes on itself", func(t *testing.T) {
			e := reference.again(t)
			held, _ := e.wire.hold("CopySnapshot", 1, true)
			worker := e.worker()
			p := e.apply()
			p.reaches(held)
			worker.kill()
			p.ends(0)
			p.shows("run " + plan.RunID + ": Success")
			e.encrypted(plan).eachWriteOnce(t, plan)
		}},
		{"asked to, it carries it out itself", func(t *testing.T) {
			e := reference.again(t)
			worker := e.worker()
			p := start(t, e.env, "apply", e.planFile(), "--state", e.state(), "--here")
			p.ends(0)
			if strings.Contains(p.errs.String(), "worker") {
				t.Errorf("%s", &p.errs)
			}
			worker.kill()
			if worker.out.Len() > 0 {
				t.Errorf("the worker did something: %s", &worker.out)
			}
			e.encrypted(plan).eachWriteOnce(t, plan)
		}},
	})
}

// A run that waits for a person is told as such, and once the person has decided the
// worker is waited for.
func TestApplyBesideAWorkerWaitsForAPerson(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	state := []string{"--state", e.state()}
	file := filepath.Join(e.dir, "waiting.yaml")
	if err := os.WriteFile(file, []byte(waitingBook), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, e.env, append(state, "run", file, "Name=it", "--plan", "-o", e.planFile())...).ends(0)
	e.worker()
	for range 2 { // to ask again changes nothing
		p := e.apply()
		p.ends(8)
		p.shows("waits for approval, 0 of 1 given")
	}
	start(t, e.env, append(state, "approve", e.planFile(), "--as", "ann")...).ends(0)
	for range 2 {
		p := e.apply()
		p.ends(0)
		p.shows("Success")
	}
}

// A finding's run is left to a worker that verifies by the same rules, and to no
// other.
func TestApplyBesideAWorkerOfAFinding(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, verifiedBy string
		worker           []string
	}{
		{"the same rules", "is with the worker", nil},
		{"other rules", "if it is interrupted, the same command goes on", []string{"--pack", "all"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEstate(t)
			state := []string{"--state", e.state()}
			start(t, e.env, append(state, "scan")...).ends(3)
			start(t, e.env, append(state, "plan", e.volume, "-o", e.planFile())...).ends(0)
			start(t, e.env, append(state, "approve", e.planFile(), "--as", "ann")...).ends(0)
			e.worker(c.worker...)
			p := e.apply()
			p.ends(0)
			p.shows(c.verifiedBy, "verified: ", "left behind: ")
		})
	}
}
