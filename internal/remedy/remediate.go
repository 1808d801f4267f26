package remedy

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
)

// RunStore keeps runs and their leases. The store implements it.
type RunStore interface {
	// Run gives a run; kind NotFound where there is none.
	Run(ctx context.Context, id string) (knowngood.Run, error)
	// StartRun makes a run, locks its resource for it until it has ended, and takes
	// its lease as Acquire does, all or nothing; kind Conflict where another run has
	// the resource, or the run is there.
	StartRun(ctx context.Context, r knowngood.Run, owner string, now time.Time, ttl time.Duration) (epoch int64, err error)
	// Acquire takes the lease until now+ttl and gives its epoch, which fences the
	// owners before; kind Conflict where another holds it and is not dead.
	Acquire(ctx context.Context, runID, owner string, now time.Time, ttl time.Duration, dead func(owner string) bool) (epoch int64, err error)
	// Renew keeps a lease; kind Conflict where it was lost.
	Renew(ctx context.Context, runID string, epoch int64, now time.Time, ttl time.Duration) error
	// Release gives a lease back; one that was lost is left alone.
	Release(ctx context.Context, runID string, epoch int64) error
}

// Records keeps plans and what remediations leave behind. Repeats are harmless.
type Records interface {
	// PutPlan keeps a plan; kind Refused where its run has another plan.
	PutPlan(ctx context.Context, p *knowngood.Plan) error
	// HasPlan says whether a plan is kept, by its whole hash.
	HasPlan(ctx context.Context, hash string) (bool, error)
	PutResidual(ctx context.Context, r knowngood.Residual) error
	// KeepAttachments keeps files of a plan's document, by their SHA-256, as long as
	// the plan may be applied or its run is remembered, and gives those of the plan's
	// files that are not kept.
	KeepAttachments(ctx context.Context, p *knowngood.Plan, files map[string][]byte) (missing []knowngood.AttachmentRef, err error)
	// Attachment gives a file by its SHA-256; kind NotFound where it is not kept.
	Attachment(ctx context.Context, sha256 string) ([]byte, error)
	// DigestKey is the key of the digests of secrets: 32 random bytes, the same at
	// each call and for whoever has the store.
	DigestKey(ctx context.Context) ([]byte, error)
}

// FindingSink is told what becomes of findings. internal/finding implements it.
// Each may be told again after a crash. Kind Conflict: the finding is in a state
// in which that can't happen.
type FindingSink interface {
	// Waiting: a plan waits for approval. That is no attempt.
	Waiting(ctx context.Context, id, reason string) error
	// Remediating: a run acts on the finding; kind Conflict where another does.
	Remediating(ctx context.Context, id, runID string) error
	// Moved: a replacement took the resource's place.
	Moved(ctx context.Context, id string, to knowngood.ResourceKey) error
	// Verified closes the finding on fresh verdicts; kind Refused where they
	// don't suffice.
	Verified(ctx context.Context, id string, verdicts ...knowngood.Evaluation) error
	// Unverified: the run did its work, and the fresh read did not pass.
	Unverified(ctx context.Context, id, reason string) error
	// Failed: the run failed. An automatic one counts as an attempt, once; when
	// they run out, an exception is put on the resource. The zero Retry is a
	// person's. Kind Conflict where the run does not act on the finding.
	Failed(ctx context.Context, id, runID, reason string, r knowngood.Retry) error
}

// Remediator carries plans out. Its fields are set before its first use.
type Remediator struct {
	Catalog *awsapi.Catalog
	Content *Content
	// As gives a caller with the credentials of roles that are assumed one after
	// another, the last narrowed; without roles they are the caller's own, which
	// can't be narrowed.
	As   func(roles []string, purpose string, n Narrowing) awsapi.Caller
	Runs RunStore
	// Family and Plans keep the runs that steps start, and their plans. nil: such
	// steps are not planned, and fail.
	Family   Family
	Plans    PlanStore
	Log      runbook.RunLog
	Records  Records
	Findings FindingSink
	Verifier Verifier
	Clock    knowngood.Clock
	// Owner names this process in leases, Dead says that an owner is no more.
	Owner string
	Dead  func(owner string) bool
	NewID func() string // of runs
	// Patience is the longest wait of a run that Apply sits out; 0: any.
	Patience time.Duration
	// Secrets are the values of secret parameters, by name: what is planned is given
	// them, and what is applied was planned with them.
	Secrets map[string]string
	// Effects do what steps want done that is no call of AWS's API. The files of
	// documents come from Records.
	Effects runbook.Effects
	// Attachments are the places where files of documents are looked for, before the
	// folder of the document; caller has a run's role. nil: nowhere else.
	Attachments func(caller awsapi.Caller) []runbook.AttachmentSource
	// OnEntry is told of each entry of a run's log once it is durable. nil: nobody.
	OnEntry func(*knowngood.Plan, knowngood.LogEntry)
}

// Result is how far a plan's run has come.
type Result struct {
	RunID        string              `json:"runId"`
	State        knowngood.RunState  `json:"state"`
	Message      string              `json:"message,omitempty"`
	Verification *Verification       `json:"verification,omitempty"`
	Residual     *knowngood.Residual `json:"residual,omitempty"`
}

// leaseTime is how long a lease lasts without being renewed; it is renewed at
// half of it.
const leaseTime = 2 * time.Minute

// PlanLifetime is how long after it was made a plan can be applied. A run dates
// what it does by its plan, and what a person approved should be what they still
// have in mind. A run that has begun goes on however old its plan is.
const PlanLifetime = 7 * 24 * time.Hour

// Apply carries a plan out, or goes on with its run where it stopped: what was
// planned is written, and nothing else; then the resource is verified and the
// finding follows. It may be called again after any error or crash.
//
// Kind Waiting: the plan needs an approval and the decisions give none. Kind
// Refused: a decision is against it, the world has moved before the first write,
// or the plan is older than PlanLifetime. Kind Conflict: another run or process is
// at work. Kind Credentials: AWS did not accept them, and the run goes on with the
// next Apply. Kind Invalid: a file of the plan's document is not to be had. A run that failed is a result, not an error; retry counts it as an
// automatic attempt. A result in the state NeedsOperator comes with an error that
// says why.
func (r *Remediator) Apply(ctx context.Context, plan *knowngood.Plan, decisions []knowngood.Approval, retry knowngood.Retry) (Result, error) {
	if err := r.mayApply(ctx, plan, decisions); err != nil {
		return Result{}, err
	}
	if err := r.bringAttachments(ctx, plan); err != nil {
		return Result{}, err
	}
	known, epoch, err := r.lease(ctx, plan)
	if err != nil {
		return Result{}, err
	}
	if known.State.Ended() {
		return r.ended(ctx, plan, known, retry)
	}
	renewing, stop := context.WithCancel(ctx)
	defer stop()
	go r.renew(renewing, plan.RunID, epoch)
	result, err := r.carryOut(ctx, plan, epoch, decisions, retry)
	return result, errors.Join(err, r.Runs.Release(context.WithoutCancel(ctx), plan.RunID, epoch))
}

// ended tells again how a run ended: as a result, or as the refusal that it was.
// The finding is told again too, for a crash may have come between the run's end
// and that. What was verified was told before the end.
func (r *Remediator) ended(ctx context.Context, plan *knowngood.Plan, run knowngood.Run, retry knowngood.Retry) (Result, error) {
	log, err := r.Log.Entries(ctx, run.ID)
	if err != nil {
		return Result{}, err
	}
	refused := run.State == knowngood.RunFailed && !hasEnded(log)
	if refused {
		retry = knowngood.Retry{} // see drifted
	}
	result := Result{RunID: run.ID, State: run.State, Message: run.Message}
	if result.Verification, err = verificationOf(log); err != nil {
		return result, err
	}
	if plan.Finding != "" && result.Verification == nil && run.State != knowngood.RunSuccess {
		err := r.Findings.Failed(ctx, plan.Finding, run.ID, run.Message, retry)
		if err != nil && knowngood.KindOf(err) != knowngood.Conflict { // another run acts on it by now
			return result, err
		}
	}
	if refused {
		return Result{}, knowngood.E(knowngood.Refused, "apply plan "+plan.Hash[:12], "%s", run.Message)
	}
	return result, nil
}

// verificationOf is what the log says of a run's verification; nil: there was
// none.
func verificationOf(log []knowngood.LogEntry) (*Verification, error) {
	for _, e := range log {
		if e.Kind == knowngood.EntryVerified {
			var v Verification
			return &v, json.Unmarshal(e.Body, &v)
		}
	}
	return nil, nil
}

// renew keeps a lease until the context ends. One that was lost shows at the
// next append, which is refused. Leases live by the wall clock: other processes
// read them.
func (r *Remediator) renew(ctx context.Context, runID string, epoch int64) {
	for (knowngood.WallClock{}).Sleep(ctx, leaseTime/2) == nil {
		_ = r.Runs.Renew(ctx, runID, epoch, time.Now(), leaseTime)
	}
}

// mayApply says whether a plan may be applied under the decisions on it. What a
// plan says of itself counts only if it was made here: anybody can write a file
// with a hash that fits.
func (r *Remediator) mayApply(ctx context.Context, plan *knowngood.Plan, decisions []knowngood.Approval) error {
	if plan.Parent != nil {
		return nil // what was decided on the first plan of its line covers it; see lease
	}
	op := "apply plan " + plan.Hash[:12]
	run, err := r.Runs.Run(ctx, plan.RunID)
	switch begun := err == nil && run.State != knowngood.RunPending; {
	case err != nil && knowngood.KindOf(err) != knowngood.NotFound:
		return err
	case !begun: // else what is decided now is for the step that asks
		if err := r.mayBegin(ctx, op, plan, decisions); err != nil {
			return err
		}
	}
	if plan.Finding != "" && !r.Verifier.Evaluator.InForce(plan.Rule) {
		return knowngood.E(knowngood.Invalid, op, "its rule %q is not in force, so that nothing could verify the fix", plan.Rule).WithHint("give the --governance with which it was planned")
	}
	return nil
}

// mayBegin says whether a plan's run may begin under the decisions on the plan.
func (r *Remediator) mayBegin(ctx context.Context, op string, plan *knowngood.Plan, decisions []knowngood.Approval) error {
	for _, d := range decisions {
		if d.PlanHash == plan.Hash && !d.Approved {
			return knowngood.E(knowngood.Refused, op, "%s decided against it", d.By)
		}
	}
	why := NeedsApproval(plan)
	known, err := r.Records.HasPlan(ctx, plan.Hash)
	if err != nil {
		return err
	}
	if !known {
		why = append(why, "it was not made with this state folder, so nothing vouches for what it says of itself")
	}
	if len(why) > 0 && !Approved(plan, decisions) {
		return knowngood.E(knowngood.Waiting, op, "it needs an approval: %s", strings.Join(why, "; "))
	}
	return nil
}

// Asks says whether a run waits for a decision, at an aws:approve or aws:pause step:
// one against it then fails the step, whose document says what follows.
func (r *Remediator) Asks(ctx context.Context, plan *knowngood.Plan) (bool, error) {
	log, err := r.Log.Entries(ctx, plan.RunID)
	if err != nil || len(log) == 0 {
		return false, err
	}
	d, err := runbook.Parse(plan.Document.Name, []byte(plan.Document.Content))
	if err != nil {
		return false, err
	}
	next, err := runbook.Advance(d, log)
	return next.Kind == runbook.NextApprove, err
}

// lease gives the run of a plan, made if it is not there, and takes its lease unless
// it has ended.
func (r *Remediator) lease(ctx context.Context, plan *knowngood.Plan) (knowngood.Run, int64, error) {
	known, err := r.Runs.Run(ctx, plan.RunID)
	switch {
	case err == nil && known.PlanHash != plan.Hash:
		return known, 0, knowngood.E(knowngood.Refused, "run "+plan.RunID, "it was begun with the plan %s, this is %s", known.PlanHash, plan.Hash)
	case err == nil && known.State.Ended():
		return known, 0, nil
	case err == nil:
		epoch, err := r.Runs.Acquire(ctx, plan.RunID, r.Owner, time.Now(), leaseTime, r.Dead)
		return known, epoch, err
	case knowngood.KindOf(err) != knowngood.NotFound:
		return known, 0, err
	case plan.Parent != nil:
		return known, 0, knowngood.E(knowngood.Refused, "run "+plan.RunID, "it is started by the run %s, and by nobody else", plan.Parent.RunID)
	}
	run, err := r.NewRun(ctx, plan)
	if err != nil {
		return run, 0, err
	}
	epoch, err := r.Runs.StartRun(ctx, run, r.Owner, time.Now(), leaseTime)
	return run, epoch, err
}

// NewRun is the run of a plan, which is kept with it. The error, of kind Refused,
// says that the plan is too old to begin with.
func (r *Remediator) NewRun(ctx context.Context, plan *knowngood.Plan) (knowngood.Run, error) {
	now := r.Clock.Now()
	if age := now.Sub(plan.Created); age > PlanLifetime {
		return knowngood.Run{}, knowngood.E(knowngood.Refused, "apply plan "+plan.Hash[:12], "it was made %d days ago, at %s; a plan is good for %d", int(age.Hours()/24), plan.Created.Format(time.RFC3339), int(PlanLifetime.Hours()/24)).
			WithHint("make a new plan")
	}
	return knowngood.Run{ID: plan.RunID, PlanHash: plan.Hash, Document: plan.Document.SHA256, Resource: plan.Resource, Finding: plan.Finding, State: knowngood.RunPending, Created: now, Updated: now},
		r.Records.PutPlan(ctx, plan)
}

// carryOut drives the run under its lease.
func (r *Remediator) carryOut(ctx context.Context, plan *knowngood.Plan, epoch int64, decisions []knowngood.Approval, retry knowngood.Retry) (Result, error) {
	log, err := r.Log.Entries(ctx, plan.RunID)
	if err != nil {
		return Result{}, err
	}
	if plan.Finding != "" && !hasEnded(log) {
		err := r.Findings.Remediating(ctx, plan.Finding, plan.RunID)
		if knowngood.KindOf(err) == knowngood.Conflict && len(log) == 0 {
			err = knowngood.E(knowngood.Refused, "apply plan "+plan.Hash[:12], "%w", err)
			return Result{}, errors.Join(err, r.abandon(ctx, plan, epoch, err))
		}
		if err != nil {
			return Result{}, err
		}
	}
	if plan.Group != nil {
		return r.group(ctx, plan, epoch)
	}
	if decisions, err = r.decisions(ctx, plan, decisions); err != nil {
		return Result{}, err
	}
	narrowed, err := toPlan(plan, r.Catalog, r.Content.Operations)
	if err != nil {
		return Result{}, err
	}
	caller := r.As(rolesOf(plan.Via, plan.Role), plan.RunID, narrowed)
	key, err := r.Records.DigestKey(ctx)
	if err != nil {
		return Result{}, err
	}
	values, err := r.unsealed(ctx, plan, caller, key)
	switch {
	case knowngood.KindOf(err) == knowngood.Refused:
		return r.refused(ctx, plan, epoch, err)
	case err != nil:
		return Result{}, err
	}
	x := &Executor{
		Catalog: r.Catalog, Operations: r.Content.Operations, DigestKey: key, Caller: sealed(caller, values), Log: r.Log, Clock: r.Clock, Patience: r.Patience, Effects: r.effects(),
		Settler: &Settler{Catalog: r.Catalog, Operations: r.Content.Operations, Clock: r.Clock, Consistency: 30 * time.Second, Poll: 3 * time.Second},
		Decisions: func(context.Context, runbook.ApproveRequest) ([]knowngood.Approval, error) {
			return decisions, nil
		},
	}
	if r.Family != nil {
		x.carry = r
	}
	if r.OnEntry != nil { // a run that nobody watches need not write its start by itself
		x.OnEntry = func(e knowngood.LogEntry) { r.OnEntry(plan, e) }
	}
	if plan.Finding != "" {
		x.Log = untilVerified{r.Log}
	}
	end, err := x.Run(ctx, plan, epoch)
	switch {
	case err != nil && ctx.Err() == nil && knowngood.KindOf(err) == knowngood.Refused:
		return r.refused(ctx, plan, epoch, err)
	case err != nil:
		return Result{}, err
	}
	result := Result{RunID: plan.RunID, State: end.State, Message: end.Message}
	if plan.Finding == "" || !end.State.Ended() {
		return result, nil
	}
	if end.State != knowngood.RunSuccess {
		return result, r.Findings.Failed(ctx, plan.Finding, plan.RunID, end.Message, retry)
	}
	return r.verify(ctx, plan, epoch, result)
}

// decisions are those that count for a run: of one that another has started, those on
// the first plan of its line as well.
func (r *Remediator) decisions(ctx context.Context, plan *knowngood.Plan, given []knowngood.Approval) ([]knowngood.Approval, error) {
	if plan.Parent == nil {
		return given, nil
	}
	var all []knowngood.Approval
	for _, hash := range []string{plan.Parent.Root, plan.Hash} {
		found, err := r.Plans.Approvals(ctx, hash)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// untilVerified is the log of a run that has something to verify: that its steps
// are done is not the run's end.
type untilVerified struct{ runbook.RunLog }

func (l untilVerified) Append(ctx context.Context, runID string, epoch int64, entries []knowngood.LogEntry, state knowngood.RunState, message string, wake *time.Time) error {
	if state == knowngood.RunSuccess {
		state, message = knowngood.RunInProgress, "every step is done; not verified yet"
	}
	return l.RunLog.Append(ctx, runID, epoch, entries, state, message, wake)
}

func hasEnded(log []knowngood.LogEntry) bool {
	for _, e := range log {
		if e.Kind == knowngood.EntryRunEnded {
			return true
		}
	}
	return false
}

// refused ends a run that was refused before its first write. Once something may
// have been written, that would hide it: the run stays for a person to look at,
// and keeps its resource.
func (r *Remediator) refused(ctx context.Context, plan *knowngood.Plan, epoch int64, why error) (Result, error) {
	log, err := r.Log.Entries(ctx, plan.RunID)
	if err != nil {
		return Result{}, errors.Join(why, err)
	}
	if !slices.ContainsFunc(log, func(e knowngood.LogEntry) bool { return e.Kind == knowngood.EntryIntent }) {
		return r.drifted(ctx, plan, epoch, why)
	}
	result := Result{RunID: plan.RunID, State: knowngood.RunNeedsOperator, Message: why.Error()}
	out := (&knowngood.Error{Op: "run " + plan.RunID + ", which has written already", Err: why}).WithHint("look at its log: somebody has to put right by hand what it left")
	return result, errors.Join(out, r.Log.Append(ctx, plan.RunID, epoch, nil, result.State, result.Message, nil))
}

// drifted ends a run whose plan no longer fits the world, before its first
// write.
func (r *Remediator) drifted(ctx context.Context, plan *knowngood.Plan, epoch int64, drift error) (Result, error) {
	errs := []error{drift, r.abandon(ctx, plan, epoch, drift)}
	if plan.Finding != "" {
		// The plan was wrong, not the runbook: that is no attempt.
		errs = append(errs, r.Findings.Failed(ctx, plan.Finding, plan.RunID, drift.Error(), knowngood.Retry{}))
	}
	return Result{}, errors.Join(errs...)
}

// abandon ends a run that has written nothing: its plan can never be applied, and
// must not keep its resource locked.
func (r *Remediator) abandon(ctx context.Context, plan *knowngood.Plan, epoch int64, why error) error {
	return r.Log.Append(ctx, plan.RunID, epoch, nil, knowngood.RunFailed, why.Error(), nil)
}
