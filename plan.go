package knowngood

import "time"

// PlanVersion is the form of the plan files that this version writes.
const PlanVersion = "knowngood.plan/1"

// Plan is a program of writes: what a run may do, in order, with every
// parameter either known or bound to an earlier write's response. Its hash is
// what people approve, and apply does exactly what it says.
type Plan struct {
	Version string `json:"version"`
	// Hash is SHA-256, in hex, over the RFC 8785 form of the plan without
	// Hash and Display.
	Hash string `json:"hash"`

	RunID   string    `json:"runId"`   // the run that applying this plan makes; also automation:EXECUTION_ID
	Created time.Time `json:"created"` // also global:DATE_TIME and the script's clock
	Seed    int64     `json:"seed"`    // of the script's random numbers

	Finding  string      `json:"finding,omitempty"`
	Rule     string      `json:"rule,omitempty"`
	Resource ResourceKey `json:"resource"`
	Place    Place       `json:"place"`
	Role     string      `json:"role,omitempty"` // ARN of the AutomationAssumeRole; empty: the caller's own credentials
	// Via are the ARNs of roles that are assumed one after another before Role, from
	// the caller's own credentials.
	Via        []string    `json:"via,omitempty"`
	Document   DocumentRef `json:"document"`
	Parameters Params      `json:"parameters"`
	// Secrets are the parameters whose values are secret. Wherever such a value would
	// be, in Parameters, in the calls and in the run's log, there is a text in its
	// place, "⟦secret NAME DIGEST⟧". The run puts the value in as it makes a call.
	Secrets []Secret `json:"secrets,omitempty"`

	// Preconditions are the values that planning read and used.
	Preconditions []Precondition `json:"preconditions"`
	// Parts holds the calls. The first part, "main", is the path that is
	// expected; the others are conditional.
	Parts []PlanPart `json:"parts"`
	// Incomplete says what could not be enumerated. Such a plan can't run
	// automatically, and its approval must say so.
	Incomplete []string `json:"incomplete,omitempty"`

	Risk    Risk     `json:"risk"`
	Actions []string `json:"iamActions"` // sorted, without duplicates
	// Replacement is the step output that names the resource that takes the
	// original's place, as step.output; empty: the resource is fixed in place.
	Replacement string `json:"replacement,omitempty"`
	// Hosts are those besides AWS's that scripts may speak to, as host:port.
	Hosts []string `json:"hosts,omitempty"`

	// Children are the plans of the automations that calls of this one start, by
	// their RunIDs. Their documents' contents are in Documents, and their values may
	// refer to calls of this plan: all calls of a plan and of what comes of it have
	// ids of their own. In the hash, each child stands as its own.
	Children []Plan `json:"children,omitempty"`
	// Documents are the contents of the children's documents, by SHA-256 in hex; none
	// in a child.
	Documents map[string]string `json:"documents,omitempty"`
	// Group says that the plan has no calls: its run carries out those of Children.
	Group *PlanGroup `json:"group,omitempty"`
	// Parent is set in the plan of a run that another run has started.
	Parent *PlanParent `json:"parent,omitempty"`
	// MultiAccount says that the run is one of an automation over several accounts
	// or Regions.
	MultiAccount bool `json:"multiAccount,omitempty"`

	Display Display `json:"display"`
}

// Secret is a parameter whose value is not in the plan.
type Secret struct {
	Parameter string `json:"parameter"`
	// From is where the value is read again, "ssm-secure:NAME" of Parameter Store or
	// "secretsmanager:ID" of Secrets Manager; empty: it has to be given again.
	From string `json:"from,omitempty"`
	// Digest is HMAC-SHA-256 of run, name and value, in hex, by a key that only the
	// store has.
	Digest string `json:"digest"`
}

// PlanGroup is the rate control of an automation with many targets, or in many
// accounts and Regions.
type PlanGroup struct {
	// MaxConcurrency is how many run at once, MaxErrors how many may fail before no
	// more is begun; each a number, or a percentage.
	MaxConcurrency string `json:"maxConcurrency"`
	MaxErrors      string `json:"maxErrors"`
}

// PlanParent says what an automation was started by. What was decided on the first
// plan of the line covers it.
type PlanParent struct {
	RunID string `json:"runId"`
	Step  string `json:"step,omitempty"` // path; none of a group
	Root  string `json:"root"`           // hash of the first plan of the line
	Home  Place  `json:"home"`           // where that is
}

// Params are a document's parameters, as given.
type Params map[string]any

// DocumentRef pins a runbook by its content.
type DocumentRef struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	SHA256  string `json:"sha256"`  // of Content, in hex
	Content string `json:"content"` // the document as it was planned
	// Attachments are the files that belong to it. Their content is not in the plan,
	// which people read, but in the store, by its hash.
	Attachments []AttachmentRef `json:"attachments,omitempty"`
}

// AttachmentRef pins a document's file by its content.
type AttachmentRef struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"` // in hex
	Size   int64  `json:"size"`   // in bytes
}

// Precondition is a value that planning read and used. Apply reads it again
// before the first write and stops on a difference.
type Precondition struct {
	Step      string `json:"step"`
	Service   string `json:"service"`
	Operation string `json:"operation"`
	Input     any    `json:"input"`
	Selector  string `json:"selector"` // JSONPath into the response
	Value     any    `json:"value"`
}

// MainPart is the name of the part that is expected to run.
const MainPart = "main"

// PlanPart is a sequence of calls under a condition.
type PlanPart struct {
	Name  string   `json:"name"`           // "main", or the step at which the part begins
	When  []string `json:"when,omitempty"` // any of these: "StopInstance fails", "the branch IsAttached goes to StopInstance"
	Calls []Call   `json:"calls"`
	// Recovery says that only a step that failed or was cancelled leads here: the
	// part puts things back. Any other part may be gone through by a run in which
	// nothing fails.
	Recovery bool `json:"recovery,omitempty"`
}

// CallClass says what a call does to the account.
type CallClass string

// The classes of calls. What is in no table is a write.
const (
	Read          CallClass = "read"
	Write         CallClass = "write"
	SensitiveRead CallClass = "sensitive-read"
)

// Call is one planned API call.
type Call struct {
	ID        string    `json:"id"`   // unique in the plan: "w3", "r1"; references name it
	Step      string    `json:"step"` // the step's path in the document
	Class     CallClass `json:"class"`
	Service   string    `json:"service"`   // botocore's name
	Operation string    `json:"operation"` // as in the model
	Account   string    `json:"account"`
	Region    string    `json:"region"`
	// Input is the call's input as a template: JSON in which an object with
	// the one key "$ref" stands for a value of an earlier write's response,
	// {"$ref": {"from": "w3", "path": "SnapshotId"}}, and one with the one key
	// "$text" for the concatenation of its elements. An object of the input itself
	// with one key that begins with "$" is wrapped in "$literal". See also Secrets.
	Input any `json:"input"`
	// Assumed says that the call's being made, or an input of it, rests on a
	// value that planning assumed.
	Assumed bool `json:"assumed,omitempty"`
	// Effect, for a write, says whether it can be taken back.
	Effect  Effect   `json:"effect,omitempty"`
	Inverse string   `json:"inverse,omitempty"` // what takes it back, in a few words
	Actions []string `json:"iamActions,omitempty"`
	// Child is the RunID of the plan among Children that the call starts. Such a
	// call's service is the action aws:executeAutomation.
	Child string `json:"child,omitempty"`
}

// Effect is what a write does that matters to the person who approves it.
type Effect string

// The effects of a write.
const (
	Reversible   Effect = "reversible"
	Disruptive   Effect = "disruptive"   // reversible, but something stops working meanwhile
	Irreversible Effect = "irreversible" // what it removes does not come back
)

// Risk is the whole plan's, the worst of its calls on the main part.
type Risk struct {
	Effect  Effect   `json:"effect"`
	Reasons []string `json:"reasons,omitempty"`
	// DowntimeSeconds is the estimated time, low and high, for which the
	// resource is out of service; both zero: none.
	DowntimeSeconds [2]int64 `json:"downtimeSeconds"`
}

// Display is text for people. It is not part of the hash.
type Display struct {
	Title   string     `json:"title"`
	Before  []Property `json:"before"`
	After   []Property `json:"after"`
	Notes   []string   `json:"notes,omitempty"`
	Summary string     `json:"summary,omitempty"`
}

// Property is one line of a before or after.
type Property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Approval is one person's decision on one plan. The same record serves the
// plan and the aws:approve steps of its document.
type Approval struct {
	PlanHash   string    `json:"planHash"`
	RunID      string    `json:"runId"`
	By         string    `json:"by"` // STS caller ARN, signed-in identity, or a name where the endpoint is a sandbox
	Approved   bool      `json:"approved"`
	Incomplete bool      `json:"incomplete,omitempty"` // the approver accepts that the plan is incomplete
	Comment    string    `json:"comment,omitempty"`
	Time       time.Time `json:"time"`
}
