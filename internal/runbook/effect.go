package runbook

import (
	"context"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

// EffectRequest is something that a step wants done that is no call of AWS's
// API: a script, another automation, a webhook. One of the members is set. In
// the log it stands as a call does, with the action as its service.
type EffectRequest struct {
	Action    string // "aws:executeScript"
	Operation string // one of the Effect… constants
	// Input is what the log keeps of the request.
	Input      map[string]any
	Script     *ScriptRequest
	Automation *AutomationRequest
	Execution  string // of the automation that is asked for or stopped
	Webhook    *WebhookRequest
}

// The operations of effects.
const (
	EffectRun    = "Run"    // a script, from its beginning to its end
	EffectStart  = "Start"  // an automation
	EffectLook   = "Look"   // at an automation; no intent is logged
	EffectStop   = "Stop"   // an automation
	EffectInvoke = "Invoke" // a webhook
)

// WebhookAction is the action whose effect is that of a webhook. A plan has it as
// a call: its service is the action, its operation EffectInvoke.
const WebhookAction = "aws:invokeWebhook"

// InPlan says whether an intent's call or effect stands in a plan: a script stands
// there by its calls, of another automation its start.
func InPlan(b IntentBody) bool {
	return !isEffect(b.Service) || b.Service == WebhookAction || b.Service == AutomationAction && b.Operation == EffectStart
}

// isEffect tells an effect's entry from that of a call; no service's name has a
// colon.
func isEffect(service string) bool { return strings.HasPrefix(service, "aws:") }

func (b *IntentBody) isScript() bool { return b.Service == scriptAction }

// Codes of failures of effects.
const (
	// CodeTimedOut: the effect took longer than its time limit.
	CodeTimedOut = "TimedOut"
	// CodeCancelled: the effect was given up for a cancel request.
	CodeCancelled = "Cancelled"
	// CodeUnavailable: there is nothing here that could do it.
	CodeUnavailable = "Unavailable"
)

// Scripts runs the scripts of aws:executeScript.
type Scripts interface {
	// RunScript runs a script to its end and gives what its handler returned. It
	// is called once for each attempt, and once more after a crash in mid-run:
	// the writes that went out before are then answered from the log, as long as
	// the script makes the same again, which Time and Seed are there for. A
	// script that fails is a result with Error. An error that is returned says
	// that it could not be run. When ctx ends the script and all that it started
	// are gone before RunScript returns, with ctx's error.
	RunScript(ctx context.Context, r ScriptRequest) (ScriptResult, error)
}

// ScriptRequest is a script that is to be run.
type ScriptRequest struct {
	RunID   string
	Step    string // path
	Attempt int
	Runtime string // as the document has it: "python3.11", "PowerShell 7.4"
	// Handler is the function that is called with Payload; for one in the
	// attachment "file.function". Empty for PowerShell.
	Handler string
	Script  string // its text; "" when it is in the attachment
	// Attachment is the name of the file among Files with the script; "": none.
	Attachment string
	Files      map[string][]byte // attachments, their hashes checked
	Payload    any               // InputPayload in JSON's terms; {} where there is none
	// Context is the handler's second argument: the system variables by their
	// names, which AWS's own runbooks read there.
	Context   map[string]string
	TimeLimit time.Duration // after it the script is killed, and the error is CodeTimedOut
	// Time and Seed are the script's clock and its random seed where it is run to
	// be planned or once more.
	Time time.Time
	Seed int64
	// Dry: it is run to be planned. Where it sleeps, it needn't wait.
	Dry   bool
	Place knowngood.Place
	Role  string
	// Hosts are those besides AWS's that the script may speak to, as host:port. A
	// request to one is a call to OutsideService.
	Hosts []string
	// Caller makes the script's calls: the run's own, with each write logged
	// before it is sent. It is safe for concurrent use. With awsapi.As it calls with
	// credentials that the script got by a call.
	Caller awsapi.Caller
}

// ScriptResult is what a script left.
type ScriptResult struct {
	Payload any    // what the handler returned, in JSON's terms
	Log     string // what it printed; the last 64 KB are kept
	// Error says that the script failed: an exception's class and text, or one
	// of the codes.
	Error *CallError
}

// Automations starts other automations and follows them. They are runs of their
// own, with rows of their own.
type Automations interface {
	// StartAutomation begins an automation, or several under rate control, and
	// gives the execution's id. Another call with the same Key gives the same id
	// and begins nothing.
	StartAutomation(ctx context.Context, r AutomationRequest) (executionID string, err error)
	// LookAutomation says how an execution stands. It may be called at any time.
	LookAutomation(ctx context.Context, executionID string) (AutomationStatus, error)
	// StopAutomation asks an execution and its children to stop, as a cancel
	// request does. One that has ended is no error.
	StopAutomation(ctx context.Context, executionID string) error
	// AwaitAutomation waits until an execution has ended, as far as this process
	// is to wait for it: until a time, unless that is zero, and until the execution
	// itself waits for a person. It says how the execution stands then. Where it has
	// not ended, the run is woken when it does. It may be called at any time.
	AwaitAutomation(ctx context.Context, executionID string, until time.Time) (AutomationStatus, error)
}

// AutomationRequest is an automation that is to be started.
type AutomationRequest struct {
	Key             string // of run, step and attempt
	Attempt         int
	Parent          string // execution id of the run that starts it
	Step            string
	Inputs          map[string]any // of the step, as its intent has them
	DocumentName    string
	DocumentVersion string
	Parameters      map[string]any
	Tags            []any
	// Rate control: the parameter that each target is given to, and the targets
	// as SSM has them; or TargetMaps, a set of parameters for each.
	TargetParameterName string
	Targets             []any
	TargetMaps          []any
	MaxConcurrency      Rate
	MaxErrors           Rate
	// TargetLocations are the accounts and Regions; none: those of the parent.
	// A document with an aws:approve step is refused there, by MultiAccount of
	// its StartBody.
	TargetLocations []TargetLocation
	Place           knowngood.Place // of the parent
	Role            string          // of the parent
}

// TargetLocation is where automations are to run.
type TargetLocation struct {
	Accounts        []string // ids, and ids of organizational units
	ExcludeAccounts []string // the same
	ChildUnits      bool     // the units below those of Accounts as well
	Regions         []string
	ExecutionRole   string // name of the role in these accounts
	MaxConcurrency  Rate   // of the pairs of account and Region
	MaxErrors       Rate
	// Targets and their rates, in place of those of the request; nil: those.
	Targets            []any
	TargetsConcurrency Rate
	TargetsErrors      Rate
}

// AutomationStatus is how an automation stands.
type AutomationStatus struct {
	State   knowngood.RunState
	Message string
	// Outputs are the document's, by "Step.Output".
	Outputs map[string]any
}

// Webhooks invokes Automation's webhook integrations.
type Webhooks interface {
	// FindWebhook reads an integration and gives what invokes it. It makes reads
	// only, and may be called again. Errors are those of awsapi and of kind Refused,
	// or say that there is no such integration, or none that can be used.
	FindWebhook(ctx context.Context, r WebhookRequest) (InvokeWebhook, error)
}

// InvokeWebhook sends a request's body to an integration. It is called at most once
// for each attempt; what became of it after a crash is not known. An answer with a
// code that is not 2xx is a response, no error. A *knowngood.Error says that
// nothing was sent; after any other error nobody knows.
type InvokeWebhook func(ctx context.Context) (WebhookResponse, error)

// WebhookRequest is a webhook that is to be invoked.
type WebhookRequest struct {
	IntegrationName string
	Body            string
	Place           knowngood.Place
	Role            string
}

// WebhookResponse is a webhook's answer.
type WebhookResponse struct {
	Code int
	Body string
}

// Effects are what does the effects of a run. A step for whose effect there is
// nothing fails, with CodeUnavailable.
type Effects struct {
	Scripts     Scripts
	Automations Automations
	Webhooks    Webhooks
	// Attachment gives a file of the document by its name and SHA-256 in hex. The
	// bytes are checked. nil: none is to be had.
	Attachment func(ctx context.Context, name, sha256 string) ([]byte, error)
	// Cancelled gives a channel that is closed when a cancel request is in the
	// run's log, for effects that take long. It may be nil: then a cancel request
	// is seen when the effect is over.
	Cancelled func(ctx context.Context, runID string) <-chan struct{}
}

// ScriptWrite is a write that a script made.
type ScriptWrite struct {
	Intent  IntentBody
	Outcome OutcomeBody
}

// ScriptStep is the step of a script's nth write, from 1, for client tokens and
// tags: each write has its own.
func ScriptStep(step string, nth int) string { return round(step, nth) }

// Supposed are the outputs of an effect that went well, as far as an action
// needs them to go on; for planning.
func Supposed(e *EffectRequest) map[string]any {
	if e.Automation != nil {
		return map[string]any{"ExecutionId": "planned"}
	}
	return nil
}
