package main

import "testing"

// failure is what happens to one call, as the control API injects it.
type failure struct {
	name   string
	inject string
	passes bool // the run can go on in spite of it
}

var failures = []failure{
	{"denied", `"code": "UnauthorizedOperation", "status": 403`, false},
	{"connection cut before the effect", `"afterEffect": false`, true},
	{"connection cut after the effect", `"afterEffect": true`, true},
	{"internal error after the effect", `"code": "InternalError", "status": 500, "afterEffect": true`, true},
}

// A failure of each write, over the wire: the instance ends in its former state
// or in the intended one, and nothing is made twice or left over. Where an answer
// is lost, the run finds out whether the write took effect, and goes on.
func TestAFailureOfEachWriteLeavesNothingHalfDone(t *testing.T) {
	t.Parallel()
	reference, plan := approved(t)
	var trials []trial
	for j, f := range failures {
		for i, w := range writesOf(plan) {
			if testing.Short() && i%len(failures) != j {
				continue
			}
			trials = append(trials, trial{w.step + " " + f.name, func(t *testing.T) {
				e := reference.again(t)
				e.fault(w.operation, w.nth, f.inject)
				p := e.apply()
				<-p.done
				if p.cmd.ProcessState.ExitCode() != 0 {
					p.ends(1)
					e.restored(plan)
					if f.passes {
						t.Errorf("the run could have gone on:\n%s", &p.errs)
					}
					return
				}
				log := e.encrypted(plan)
				if f.passes {
					log.eachWriteOnce(t, plan)
				}
			}})
		}
	}
	sweep(t, trials)
	t.Logf("%d failures", len(trials))
}
