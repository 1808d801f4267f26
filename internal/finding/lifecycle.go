package finding

import "github.com/knowngood/knowngood"

// Event is what happens to a finding.
type Event string

// The events.
const (
	Violation Event = "violation" // a scan's fresh read is NON_COMPLIANT
	Pass      Event = "pass"      // a scan's fresh read is COMPLIANT
	Propose   Event = "propose"   // a plan waits for approval
	Withdraw  Event = "withdraw"  // the plan was rejected, or no longer fits
	Start     Event = "start"     // a run has begun
	Fail      Event = "fail"      // the run ended without having done its work
	Miss      Event = "miss"      // the run did its work, and the fresh read did not pass
	Verify    Event = "verify"    // the run's own fresh read is COMPLIANT
	Except    Event = "except"    // an exception is on the resource
	Resume    Event = "resume"    // the exception has ended
	Archive   Event = "archive"   // the resource is gone, or its rule no longer applies to it
)

// None is the state before the first violation.
const None knowngood.FindingState = ""

// transitions is the whole life of a finding. A scan that passes while a run is
// under way closes nothing, and one that finds nothing archives nothing: a step
// in the middle may look right, and it is for the run to verify when it is done.
var transitions = map[knowngood.FindingState]map[Event]knowngood.FindingState{
	None: {
		Violation: knowngood.FindingOpen,
	},
	knowngood.FindingOpen: {
		Violation: knowngood.FindingOpen,
		Pass:      knowngood.FindingClosed,
		Propose:   knowngood.FindingWaiting,
		Withdraw:  knowngood.FindingOpen,
		Start:     knowngood.FindingRemediating,
		Except:    knowngood.FindingExcepted,
		Archive:   knowngood.FindingArchived,
	},
	knowngood.FindingWaiting: {
		Violation: knowngood.FindingWaiting,
		Pass:      knowngood.FindingClosed,
		Propose:   knowngood.FindingWaiting,
		Withdraw:  knowngood.FindingOpen,
		Start:     knowngood.FindingRemediating,
		Except:    knowngood.FindingExcepted,
		Archive:   knowngood.FindingArchived,
	},
	knowngood.FindingRemediating: {
		Violation: knowngood.FindingRemediating,
		Pass:      knowngood.FindingRemediating,
		Propose:   knowngood.FindingRemediating,
		Start:     knowngood.FindingRemediating,
		Fail:      knowngood.FindingOpen,
		Miss:      knowngood.FindingUnverified,
		Verify:    knowngood.FindingClosed,
		Archive:   knowngood.FindingRemediating,
	},
	knowngood.FindingUnverified: {
		Violation: knowngood.FindingUnverified,
		Pass:      knowngood.FindingClosed,
		Propose:   knowngood.FindingWaiting,
		Start:     knowngood.FindingRemediating,
		Miss:      knowngood.FindingUnverified,
		Verify:    knowngood.FindingClosed,
		Except:    knowngood.FindingExcepted,
		Archive:   knowngood.FindingArchived,
	},
	// An exception keeps automatic remediation off; a person may still act.
	knowngood.FindingExcepted: {
		Violation: knowngood.FindingExcepted,
		Pass:      knowngood.FindingClosed,
		Propose:   knowngood.FindingWaiting,
		Start:     knowngood.FindingRemediating,
		Except:    knowngood.FindingExcepted,
		Resume:    knowngood.FindingOpen,
		Archive:   knowngood.FindingArchived,
	},
	knowngood.FindingClosed: {
		Violation: knowngood.FindingOpen,
		Pass:      knowngood.FindingClosed,
		Verify:    knowngood.FindingClosed, // told again after a crash
	},
	// Security Hub's word for a finding that is no longer about anything. It is no
	// pass: nothing was verified.
	knowngood.FindingArchived: {
		Violation: knowngood.FindingOpen,
		Pass:      knowngood.FindingClosed,
		Archive:   knowngood.FindingArchived,
	},
}

// Next is the state after an event; kind knowngood.Conflict where the table has
// none.
func Next(state knowngood.FindingState, e Event) (knowngood.FindingState, error) {
	next, ok := transitions[state][e]
	if !ok {
		from := string(state)
		if state == None {
			from = "new"
		}
		return state, knowngood.E(knowngood.Conflict, "", "a finding that is %s can't take the event %s", from, e)
	}
	return next, nil
}
