package runbook

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
)

// action is what a step does. To add one, write its type in a file of its own
// and a line in the table.
type action interface {
	// check reports what is wrong in the step's inputs, without a catalog.
	check(c *checker, s *Step)
	// next says what the step does now, in view of what it did so far.
	next(t *turn) move
}

// The action may also implement these.
type (
	// projector keeps of a response what the step reads.
	projector interface {
		project(s *Step, response map[string]any) (outputs map[string]any, property any, err error)
	}
	// decoder makes of a response what JSON has no form for.
	decoder interface {
		decode(response map[string]any) map[string]any
	}
	// caller names the calls that the step may make, for checks against the
	// models.
	caller interface {
		calls(s *Step) []callSite
	}
	// outputter names outputs that the action itself defines.
	outputter interface {
		outputs(s *Step) []Output
	}
	// stopper began something elsewhere that has to be stopped when the step is
	// cancelled or its time is over. stop is the call or effect that does so,
	// nil when there is nothing to stop; stopped says that it was made.
	stopper interface {
		stop(t *turn) *move
		stopped(t *turn) bool
	}
	// reticent keeps inputs out of the log that are long and known otherwise.
	reticent interface {
		shown(inputs map[string]any) map[string]any
	}
	// personal waits for a decision, not for a time.
	personal interface {
		person()
	}
	// property reads a property with a PropertySelector.
	property interface {
		property()
	}
	// awaiter says what its read finds once what it waits for has come.
	awaiter interface {
		awaited(inputs map[string]any, operation string) (property any, ok bool)
	}
	// timed has a time limit of its own, when the step has none, and perhaps a
	// longest one.
	timed interface {
		timeout() (standard, most time.Duration)
	}
)

// callSite is a call that a step may make.
type callSite struct {
	service, operation string
	input              *node // its members; nil: made by the action, and right
	at                 *node // for errors about the names
	atOperation        *node
	skip               []string // members of input that are the action's own
}

// actions are those of AWS's "Automation actions reference".
var actions = map[string]action{
	"aws:approve":                    approve{},
	"aws:assertAwsResourceProperty":  assertProperty{},
	"aws:branch":                     branch{},
	"aws:changeInstanceState":        changeInstanceState{},
	"aws:copyImage":                  copyImage{},
	"aws:createImage":                createImage{},
	"aws:createStack":                createStack{},
	"aws:createTags":                 createTags{},
	"aws:deleteImage":                deleteImage{},
	"aws:deleteStack":                deleteStack{},
	AutomationAction:                 executeAutomation{},
	"aws:executeAwsApi":              executeAPI{},
	scriptAction:                     executeScript{},
	"aws:executeStateMachine":        stateMachine{},
	"aws:invokeLambdaFunction":       invokeLambda{},
	WebhookAction:                    webhook{},
	"aws:loop":                       loop{},
	"aws:pause":                      pause{},
	"aws:runCommand":                 runCommand{},
	"aws:runInstances":               runInstances{},
	"aws:sleep":                      sleep{},
	"aws:updateVariable":             updateVariable{},
	"aws:waitForAwsResourceProperty": waitProperty{},
}

// ownActions are actions that no page of AWS's has and that stand in documents
// that AWS itself owns: AWSEC2-CloneInstanceAndUpgradeSQLServer,
// AWS-InstallDistributorPackageOnAzure. A step with one fails when it is run here.
var ownActions = []string{"aws:installDistributorPackageOnAzure", "aws:putServerUpgradeMetrics", "aws:shareSQLMedia"}

// noCancelTarget are the actions that onCancel may not lead to, as AWS's
// "Properties shared by all actions" has it.
var noCancelTarget = []string{
	"aws:approve", "aws:copyImage", "aws:createImage", "aws:createStack",
	"aws:createTags", "aws:loop", "aws:pause", "aws:runInstances", "aws:sleep",
}

func actionNames() []string { return slices.Sorted(maps.Keys(actions)) }

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

// turn is what an action sees when it is asked what comes next.
type turn struct {
	doc     *Document
	step    *Step
	path    string
	inputs  map[string]any // references resolved
	scope   *scope
	attempt int
	started time.Time // of this attempt
	now     time.Time // the log's last moment
	due     time.Time // when the attempt times out; zero: never
	// outcomes are those of this attempt's calls, in order.
	outcomes []OutcomeBody
	waited   bool // a wait has passed since the last outcome
	decision *DecisionBody
}

func (t *turn) last() *OutcomeBody {
	if len(t.outcomes) == 0 {
		return nil
	}
	return &t.outcomes[len(t.outcomes)-1]
}

// move is what an action wants next; one of its members is set.
type move struct {
	call    *CallRequest
	wait    *WaitBody
	approve *ApproveRequest
	branch  *BranchDecision
	effect  *EffectRequest
	round   *IterationBody
	done    *StepEndedBody // success
	fail    *Failure
}

func done() move { return move{done: &StepEndedBody{Status: StepSuccess}} }

func failf(format string, args ...any) move {
	return move{fail: &Failure{Message: fmt.Sprintf(format, args...)}}
}

// failedCall is the failure of a step whose call failed.
func failedCall(o *OutcomeBody) move {
	return move{fail: &Failure{
		Code:    o.Error.Code,
		Message: fmt.Sprintf("%s:%s: %s: %s", o.Service, o.Operation, o.Error.Code, o.Error.Message),
	}}
}

// checker collects what is wrong in a document.
type checker struct {
	doc      *Document
	problems []*knowngood.FileError
	warnings []*knowngood.FileError
}

func (c *checker) add(pos knowngood.Position, want, format string, args ...any) {
	c.problems = append(c.problems, &knowngood.FileError{Position: pos, Problem: fmt.Sprintf(format, args...), Want: want})
}

// warn notes what can be run and is probably not meant.
func (c *checker) warn(pos knowngood.Position, want, format string, args ...any) {
	c.warnings = append(c.warnings, &knowngood.FileError{Position: pos, Problem: fmt.Sprintf(format, args...), Want: want})
}

// members reports inputs that an action does not have, and missing ones.
func (c *checker) members(s *Step, required, optional []string) {
	known := append(slices.Clone(required), optional...)
	if s.inputs != nil {
		for _, f := range s.inputs.fields {
			if !slices.Contains(known, f.name) {
				c.add(f.pos, strings.Join(known, ", "), "step %s: %s has no input %s%s", s.Name, s.Action, f.name, near(f.name, known))
			}
		}
	}
	for _, name := range required {
		if s.inputs.get(name) == nil {
			c.add(s.Position, name, "step %s: the input %s is missing", s.Name, name)
		}
	}
}

// oneOf reports a literal that is none of the choices.
func (c *checker) oneOf(s *Step, name string, choices ...string) {
	if n := s.inputs.get(name); n != nil && n.text == nil && !slices.Contains(choices, text(n.plain())) {
		c.add(n.pos, strings.Join(choices, ", "), "step %s: %s is %s", s.Name, name, excerpt(text(n.plain())))
	}
}

// target reports the name of a step that does not exist, or that a step can't go
// to: a step may lead out of the loops around it, and not into another.
func (c *checker) target(pos knowngood.Position, s *Step, key, name string) {
	to, ok := c.doc.Step(name)
	if !ok || name != to.Name {
		names := make([]string, len(c.doc.steps))
		for i, other := range c.doc.steps {
			names[i] = other.Name
		}
		c.add(pos, "the name of a step", "step %s: %s names the step %s, which does not exist%s", s.Name, key, excerpt(name), near(name, names))
		return
	}
	if to.parent == s.parent {
		return
	}
	for outer := s.parent; outer != nil; outer = outer.parent {
		if outer.parent == to.parent {
			return
		}
	}
	c.add(pos, "a step of the same list, or of one around it", "step %s: %s names the step %s, which is inside another loop", s.Name, key, excerpt(name))
}
