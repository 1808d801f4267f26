package knowngood

import "time"

// Compliance is the verdict of a rule on a resource, as AWS Config names it.
type Compliance string

// The four verdicts. InsufficientData means that something the rule reads was
// not read; it is never a pass.
const (
	Compliant        Compliance = "COMPLIANT"
	NonCompliant     Compliance = "NON_COMPLIANT"
	NotApplicable    Compliance = "NOT_APPLICABLE"
	InsufficientData Compliance = "INSUFFICIENT_DATA"
)

// Evaluation is one rule's verdict on one resource at one time.
type Evaluation struct {
	Rule       string      `json:"configRuleName"`
	Resource   ResourceKey `json:"resource"`
	Compliance Compliance  `json:"complianceType"`
	Annotation string      `json:"annotation,omitempty"` // at most 256 characters, as Config has it
	Time       time.Time   `json:"resultRecordedTime"`
}

// Judgement is an evaluation with a digest of all that it rests on: the rule and its
// parameters, the item, and what the rule looked up. Empty: it rests on the time too,
// and is not good for long.
type Judgement struct {
	Evaluation
	Basis string `json:"basis,omitempty"`
}

// Severity is how much a finding matters, in Security Hub's words.
type Severity string

// The severities, from least to most.
const (
	Informational Severity = "INFORMATIONAL"
	Low           Severity = "LOW"
	Medium        Severity = "MEDIUM"
	High          Severity = "HIGH"
	Critical      Severity = "CRITICAL"
)

// FindingState is where a finding stands in its life.
type FindingState string

// The states of a finding. Closed is reached only through a fresh read that
// the rule calls COMPLIANT. Archived, as in Security Hub's record state, is an end
// without a pass: there is nothing left to fix, and nothing was verified.
const (
	FindingOpen        FindingState = "open"
	FindingWaiting     FindingState = "waiting"     // a plan waits for approval
	FindingRemediating FindingState = "remediating" // a run is under way
	FindingUnverified  FindingState = "unverified"  // a run ended and the fresh read did not pass
	FindingExcepted    FindingState = "excepted"    // a remediation exception is on the resource
	FindingClosed      FindingState = "closed"
	FindingArchived    FindingState = "archived" // the resource is gone, or its rule no longer applies to it
)

// Ended says whether a finding in this state asks for nothing: until its rule is
// broken again.
func (s FindingState) Ended() bool { return s == FindingClosed || s == FindingArchived }

// Finding is a resource that broke a rule.
type Finding struct {
	ID         string       `json:"id"`
	Rule       string       `json:"rule"`
	Pack       string       `json:"pack,omitempty"`
	Severity   Severity     `json:"severity"`
	Resource   ResourceKey  `json:"resource"`
	Title      string       `json:"title"` // the resource in a few words, "500 GiB gp3"
	Annotation string       `json:"annotation"`
	State      FindingState `json:"state"`
	Opened     time.Time    `json:"opened"`
	Updated    time.Time    `json:"updated"`
	Closed     *time.Time   `json:"closed,omitempty"`
	Reason     string       `json:"reason,omitempty"` // why it is in this state
	// Declared is where a template declares the resource, in a scan of one.
	Declared *Position `json:"declared,omitempty"`
	// MovedFrom is the resource that the finding was opened on, when a
	// remediation replaced it: the finding then follows the replacement.
	MovedFrom *ResourceKey `json:"movedFrom,omitempty"`
	RunID     string       `json:"runId,omitempty"` // the run that acts, or acted last
	Attempts  int          `json:"attempts,omitempty"`
	NextTry   *time.Time   `json:"nextTry,omitempty"`
}

// Retry is how often and how soon a failed remediation is tried again: AWS
// Config's MaximumAutomaticAttempts and RetryAttemptSeconds.
type Retry struct {
	Max   int
	Every time.Duration
}

// Residual is a resource that a remediation left behind on purpose.
type Residual struct {
	Resource    ResourceKey `json:"resource"`
	ReplacedBy  string      `json:"replacedBy"` // the replacement's id
	RunID       string      `json:"runId"`
	Owner       string      `json:"owner"`
	MonthlyCost float64     `json:"monthlyCost"` // US dollars; negative: unknown
	DeleteAfter time.Time   `json:"deleteAfter"`
}

// Exception keeps automatic remediation off a resource, as AWS Config's
// remediation exceptions do.
type Exception struct {
	Rule     string      `json:"rule"`
	Resource ResourceKey `json:"resource"`
	Message  string      `json:"message"`
	Created  time.Time   `json:"created"`
	Expires  *time.Time  `json:"expires,omitempty"`
}
