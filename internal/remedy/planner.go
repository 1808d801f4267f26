package remedy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
)

// Planner turns a runbook and its parameters into a plan. It makes reads only.
type Planner struct {
	Catalog    *awsapi.Catalog
	Operations Operations
	// Read makes a live read. It is never called with a write, nor with a
	// sensitive read that the request does not allow. Errors are those of
	// awsapi. Options say another Region or other credentials than the plan's.
	Read Reads
	// DigestKey is the key of the digests of secrets; nil: a runbook that is given a
	// secret is refused.
	DigestKey []byte
	// Scripts runs scripts to find out what they do: their reads are live, their
	// writes are planned. nil: a plan with a script is incomplete.
	Scripts runbook.Scripts
	// Automations finds what aws:executeAutomation executes. nil: a plan with such a
	// step is incomplete.
	Automations *Executable
}

// Executable is what a planner needs to plan automations that a step starts.
type Executable struct {
	// Runbook finds a document by its name or ARN, and version ("": the default), for
	// a step of the document by, and says in its error where it looked.
	Runbook func(ctx context.Context, by, name, version string) (*Runbook, error)
	// Reader gives the live reads of a runbook somewhere, or without one those that
	// find targets, under roles that are
	// assumed one after another; none: the caller's own credentials.
	Reader func(book *Runbook, params knowngood.Params, place knowngood.Place, roles []string) (Reads, error)
	// Files gives the attachments that a runbook's scripts need, and what a plan says
	// of them.
	Files func(ctx context.Context, book *Runbook) (map[string][]byte, []knowngood.AttachmentRef, error)
}

// Reads makes a live read, as Planner.Read.
type Reads func(ctx context.Context, op *awsapi.Operation, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error)

// PlanRequest is what a plan is made of.
type PlanRequest struct {
	RunID      string
	Created    time.Time
	Seed       int64
	Document   *runbook.Document
	Ref        knowngood.DocumentRef
	Parameters knowngood.Params
	Secrets    []string // parameters that are secrets, whatever they are for
	Place      knowngood.Place
	Role       string
	Via        []string // see knowngood.Plan
	Resource   knowngood.ResourceKey
	Finding    string
	Rule       string
	Entry      Entry             // what is said beside the document
	Files      map[string][]byte // the document's, by their names
}

// maxPaths bounds how many ways through a document are followed, and maxMoves
// how many moves one of them takes. Beyond, the plan is incomplete.
const (
	maxPaths = 4000
	maxMoves = 20_000
)

// Plan follows the document's path, and each way that leaves it: the other arms
// of branches that hang on assumed values, and what onFailure leads to. A
// document that refuses, by an assertion on the live resource, is an error of
// kind Refused that says why.
func (p *Planner) Plan(ctx context.Context, req PlanRequest) (*knowngood.Plan, error) {
	given, from, err := p.withSecrets(ctx, req)
	if err != nil {
		return nil, err
	}
	if given, err = req.Document.WithStore(ctx, given, p.stored); err != nil {
		return nil, err
	}
	params, err := req.Document.BindParameters(given)
	if err != nil {
		return nil, withoutSecrets(err, from)
	}
	for name, v := range params {
		if hasPlaceholder(v) || hasSeal(v) {
			return nil, knowngood.E(knowngood.Invalid, "plan", "the parameter %s has what stands for values in plans", name)
		}
	}
	for {
		plan, err := p.planWith(ctx, req, params, from)
		var found secretError
		if !errors.As(err, &found) {
			return plan, err
		}
		for _, name := range found.parameters {
			from[name] = ""
		}
	}
}

// planWith is Plan with the parameters' values; from says which are secrets.
func (p *Planner) planWith(ctx context.Context, req PlanRequest, params knowngood.Params, from map[string]string) (*knowngood.Plan, error) {
	params, list, values, err := p.sealParams(req, params, from)
	if err != nil {
		return nil, err
	}
	e := p.sealing(values).exploration(ctx, req, params, &lineage{made: map[string]string{}, documents: map[string]string{}})
	e.secrets = list
	plan, w, err := e.explore(overlay{written: map[string]bool{}, assumed: map[string]bool{}}, req.Created)
	switch {
	case err != nil:
		return nil, err
	case w.end.State != knowngood.RunSuccess:
		return nil, &knowngood.Error{Kind: knowngood.Refused, Op: "plan " + req.Ref.Name + " for " + req.Resource.ID, Err: errors.New(readable(w.end.Message))}
	}
	if len(e.children) > 0 {
		plan.Documents = e.lineage.documents
	}
	plan.Hash, err = HashPlan(plan)
	return plan, err
}

func (p *Planner) exploration(ctx context.Context, req PlanRequest, params knowngood.Params, l *lineage) *exploration {
	return &exploration{Planner: p, ctx: ctx, req: req, params: params, lineage: l, parts: map[string]*partBuilder{}, ids: map[string]string{}, actions: map[string]bool{}, starts: map[string]*start{}}
}

// explore makes the plan, as yet without hash, and gives the expected way at its
// end.
func (e *exploration) explore(o overlay, at time.Time) (*knowngood.Plan, *way, error) {
	req := e.req
	start, err := req.Document.Start(runbook.StartBody{Parameters: e.params, ExecutionID: req.RunID, DateTime: req.Created, Seed: req.Seed, Place: req.Place, Role: req.Role, MultiAccount: e.multiAccount})
	if err != nil {
		return nil, nil, err
	}
	w := &way{run: runbook.NewCursor(req.Document), part: e.part(knowngood.MainPart, ""), at: at, overlay: o}
	if err := w.add(start); err != nil {
		return nil, nil, err
	}
	if err := e.follow(w); err != nil {
		return nil, nil, err
	}
	for len(e.pending) > 0 {
		if e.paths++; e.paths > maxPaths {
			e.incomplete("more than %d ways lead through the document", maxPaths)
			break
		}
		next := e.pending[len(e.pending)-1]
		e.pending = e.pending[:len(e.pending)-1]
		if err := e.follow(next); err != nil {
			return nil, nil, err
		}
	}
	plan, err := e.finish(w.run.Log())
	return plan, w, err
}

// exploration is one plan in the making.
type exploration struct {
	*Planner
	ctx     context.Context
	req     PlanRequest
	params  knowngood.Params // with seals for secrets
	secrets []knowngood.Secret
	// sealedReads says that a step's sensitive read has handed out a secret.
	sealedReads bool
	parts       map[string]*partBuilder
	order       []string // of the parts
	pending     []*way
	paths       int
	seen        map[string]bool
	ids         map[string]string // of planned calls, by part, step and template
	missing     []string          // why the plan is incomplete
	pre         []knowngood.Precondition
	actions     map[string]bool // of IAM

	// Of automations that are started, and of one that is.
	lineage      *lineage
	starts       map[string]*start // by the id of the call
	children     []knowngood.Plan
	conditional  bool // it is started only where a conditional part leads: nothing is read
	multiAccount bool
	chain        []knowngood.DocumentRef        // of the plans around it, the outermost first
	starter      []string                       // roles of who started it, one after another
	around       map[knowngood.ResourceKey]bool // resources that the runs around it have
}

// lineage is what a plan shares with those of the automations that come of it.
type lineage struct {
	writes, reads int
	made          map[string]string // by the id of a planned write: the operation that takes it back
	documents     map[string]string // of children, by hash
	children      int
}

type partBuilder struct {
	name  string
	when  []string
	calls []knowngood.Call
	// branched says that a branch leads here, not only a step that failed.
	branched bool
}

// way is one way through the document, so far.
type way struct {
	run     *runbook.Cursor
	at      time.Time
	part    *partBuilder
	overlay overlay
	fail    string // the step whose calls fail on this way, as long as it is under way
	end     *runbook.EndResult
}

func (w *way) add(entries ...knowngood.LogEntry) error {
	for _, e := range entries {
		e.Time = w.at
		if err := w.run.Add(e); err != nil {
			return err
		}
	}
	return nil
}

// fork is another way that has come here.
func (w *way) fork(part *partBuilder) *way {
	return &way{run: w.run.Fork(), at: w.at, part: part, overlay: w.overlay.clone()}
}

func (e *exploration) part(name, when string) *partBuilder {
	b, ok := e.parts[name]
	if !ok {
		b = &partBuilder{name: name}
		e.parts[name] = b
		e.order = append(e.order, name)
	}
	if when != "" && !slices.Contains(b.when, when) {
		b.when = append(b.when, when)
	}
	return b
}

func (e *exploration) incomplete(format string, args ...any) {
	if why := fmt.Sprintf(format, args...); !slices.Contains(e.missing, why) {
		e.missing = append(e.missing, why)
	}
}

// follow goes one way to its end.
func (e *exploration) follow(w *way) error {
	for range maxMoves {
		next, err := w.run.Next()
		if err != nil {
			return err
		}
		switch next.Kind {
		case runbook.NextAppend:
			if err := w.add(next.Entries...); err != nil {
				return err
			}
			if err := e.assign(w, next.Entries); err != nil {
				return err
			}
		case runbook.NextCall:
			if err := e.call(w, next); err != nil {
				return err
			}
		case runbook.NextEffect:
			if err := e.effect(w, next); err != nil {
				return err
			}
		case runbook.NextBranch:
			if err := e.branch(w, next); err != nil {
				return err
			}
		case runbook.NextWait:
			w.at = next.Until
			if err := e.forkSleep(w, next.Step); err != nil {
				return err
			}
			if err := w.entry(knowngood.EntryWake, next, struct{}{}); err != nil {
				return err
			}
		case runbook.NextApprove:
			if err := e.decision(w, next); err != nil {
				return err
			}
		case runbook.NextEnd:
			w.end = next.End
			return nil
		default:
			return fmt.Errorf("remedy: unknown move %d", next.Kind)
		}
	}
	e.incomplete("a way through the document has more than %d moves", maxMoves)
	w.end = &runbook.EndResult{State: knowngood.RunFailed, Message: fmt.Sprintf("it takes more than %d moves", maxMoves)}
	return nil
}

func (w *way) entry(kind knowngood.EntryKind, next runbook.Next, body any) error {
	entry, err := runbook.Encode(kind, next.Step, next.Attempt, body)
	if err != nil {
		return err
	}
	return w.add(entry)
}

func (e *exploration) branch(w *way, next runbook.Next) error {
	if err := e.blind(w, next); err != nil {
		return err
	}
	arms := []string{next.Branch.Chosen}
	undetermined := e.undetermined(w, next.Branch.Uses)
	if len(next.Entries) > 0 && !undetermined {
		return w.add(next.Entries...)
	}
	if undetermined {
		for _, a := range next.Branch.Arms {
			if a != next.Branch.Chosen {
				arms = append(arms, a)
			}
		}
	}
	for _, arm := range arms[1:] {
		part := w.part
		if part.name == knowngood.MainPart {
			part = e.part(next.Step, "the branch "+next.Step+" goes to "+arm)
			part.branched = true
		}
		other := w.fork(part)
		entry, err := e.req.Document.TakeBranch(next.Step, next.Attempt, arm)
		if err != nil {
			return err
		}
		if err := other.add(entry); err != nil {
			return err
		}
		e.later(other, arm)
	}
	entry, err := e.req.Document.TakeBranch(next.Step, next.Attempt, arms[0])
	if err != nil {
		return err
	}
	return w.add(entry)
}

// later keeps a way to be followed, unless one that can't differ from it was
// kept before: in the same part, at the same step, with the same calls made and
// the same values in the variables.
func (e *exploration) later(w *way, step string) {
	key := w.part.name + "\x00" + step + "\x00" + w.fail + "\x00" + w.overlay.fingerprint() + "\x00" + text(w.run.Variables())
	if e.seen == nil {
		e.seen = map[string]bool{}
	}
	if e.seen[key] {
		return
	}
	e.seen[key] = true
	e.pending = append(e.pending, w)
}

// undetermined says whether a condition or an input hangs on what planning
// assumed.
func (e *exploration) undetermined(w *way, uses []string) bool {
	return slices.ContainsFunc(uses, func(u string) bool { return w.overlay.assumed[u] })
}

// assign follows assumed values into the variables that steps give them to.
func (e *exploration) assign(w *way, entries []knowngood.LogEntry) error {
	for _, entry := range entries {
		if entry.Kind == knowngood.EntryStepStarted && e.req.Document.IsLoop(entry.Step) {
			assumed := e.undetermined(w, e.req.Document.Uses(entry.Step))
			e.supposed(w, entry.Step, func(string) bool { return assumed })
			if assumed {
				e.incomplete("what the loop %s goes through is known only when it is run", entry.Step)
			}
		}
		if entry.Kind != knowngood.EntryStepEnded {
			continue
		}
		body, err := runbook.Decode[runbook.StepEndedBody](entry)
		if err != nil {
			return err
		}
		assumed := e.undetermined(w, e.req.Document.Uses(entry.Step))
		for name := range body.Variables {
			w.overlay.assume("variable:"+name, assumed)
		}
	}
	return nil
}

// supposed marks the outputs of a step that the real run may find otherwise.
func (e *exploration) supposed(w *way, step string, supposed func(output string) bool) {
	for _, o := range e.req.Document.Outputs(step) {
		w.overlay.assume(runbook.StepName(step)+"."+o.Name, supposed(o.Name))
	}
}

func (e *exploration) call(w *way, next runbook.Next) error {
	call, err := e.coerce(*next.Call)
	if err != nil && w.part.name == knowngood.MainPart && e.undetermined(w, e.req.Document.Uses(next.Step)) {
		return e.unplanned(w, next)
	}
	if err != nil {
		// A run would not send it either; on a conditional way it says that the
		// way can't be taken, an arm for an Auto Scaling group where there is none.
		return w.entry(knowngood.EntryOutcome, next, runbook.OutcomeBody{Service: next.Call.Service, Operation: next.Call.Operation,
			Error: &runbook.CallError{Code: runbook.CodeInvalidInput, Message: err.Error()}})
	}
	op, err := e.Catalog.Operation(call.Service, call.Operation)
	if err != nil {
		return err
	}
	in := call.Input
	class := classOf(op, in)
	name := op.Service.Name + ":" + op.Name
	if isSensitive(op, in) && call.Purpose != runbook.PurposeInvoke && !slices.Contains(e.req.Entry.SensitiveReads, name) {
		return knowngood.E(knowngood.Refused, "plan "+e.req.Ref.Name, "the step %s makes the sensitive read %s, which the runbook's entry does not allow", next.Step, name)
	}
	if class == knowngood.Write {
		in = e.Operations[name].prepare(e.req.RunID, next.Step, in)
	}
	in, _ = plain(in).(map[string]any)
	if err := e.secretMember(next.Step, op, in); err != nil {
		return err
	}
	if w.fail == next.Step {
		return w.entry(knowngood.EntryOutcome, next, runbook.OutcomeBody{Service: op.Service.Name, Operation: op.Name, Assumed: true,
			Error: &runbook.CallError{Code: "Planned", Message: "what if this fails"}})
	}
	w.fail = ""
	if err := e.forkFailure(w, next.Step); err != nil {
		return err
	}
	if class == knowngood.Write {
		return e.write(w, next, op, in)
	}
	return e.read(w, next, op, in, class)
}

// forkFailure follows what a step's failure leads to, where the document says,
// and what a cancel request does that comes before its call.
func (e *exploration) forkFailure(w *way, step string) error {
	if w.part.name != knowngood.MainPart {
		return nil
	}
	failure, cancel := e.req.Document.WaysOut(step)
	if failure != runbook.End {
		other := w.fork(e.part(failure, step+" fails"))
		other.fail = step
		e.later(other, step)
	}
	if cancel == runbook.End || cancel == failure {
		return nil
	}
	return e.forkCancel(w, step, e.part(cancel, step+" is cancelled"))
}

func (e *exploration) write(w *way, next runbook.Next, op *awsapi.Operation, in map[string]any) error {
	inputAssumed := e.undetermined(w, e.req.Document.Uses(next.Step))
	id := e.record(w, next.Step, op, knowngood.Write, in, inputAssumed || hasPlaceholder(in))
	response := e.respond(op, in, id)
	w.overlay.wrote(op, in)
	if err := e.outcome(w, next, op, response, true); err != nil {
		return err
	}
	body, err := runbook.Decode[runbook.OutcomeBody](w.run.Log()[len(w.run.Log())-1])
	if err != nil {
		return err
	}
	e.supposed(w, next.Step, func(output string) bool { return !certain(body.Outputs[output], !inputAssumed) })
	if w.part.name != knowngood.MainPart || !e.req.Document.Stops(next.Step) {
		return nil
	}
	return e.forkCancel(w, next.Step, e.part(next.Step, next.Step+" is cancelled, or its time is over"))
}

// outcome appends what a call answered, as far as the step reads it.
func (e *exploration) outcome(w *way, next runbook.Next, op *awsapi.Operation, response map[string]any, assumed bool) error {
	outputs, property, err := e.req.Document.Project(next.Step, response)
	body := runbook.OutcomeBody{Service: op.Service.Name, Operation: op.Name, Outputs: outputs, Property: property, Assumed: assumed}
	if err != nil && !assumed { // an answer that was made up proves nothing
		body.Error = &runbook.CallError{Code: runbook.CodeInvalidOutput, Message: err.Error()}
	}
	return w.entry(knowngood.EntryOutcome, next, body)
}

func (e *exploration) read(w *way, next runbook.Next, op *awsapi.Operation, in map[string]any, class knowngood.CallClass) error {
	touched := w.overlay.touches(op, in)
	inputAssumed := e.undetermined(w, e.req.Document.Uses(next.Step))
	e.record(w, next.Step, op, class, in, touched || inputAssumed)
	if touched || e.conditional || w.part.name != knowngood.MainPart {
		return e.assume(w, next, op, in)
	}
	e.supposed(w, next.Step, func(string) bool { return inputAssumed })
	response, err := e.Read(e.ctx, op, in)
	if err != nil {
		var answer *awsapi.Error
		switch {
		case !errors.As(err, &answer):
			return err
		case answer.Credentials():
			return credentials("plan "+e.req.Ref.Name+", step "+next.Step, err)
		}
		return w.entry(knowngood.EntryOutcome, next, runbook.OutcomeBody{Service: op.Service.Name, Operation: op.Name,
			Error: &runbook.CallError{Code: answer.Code, Message: answer.Message}})
	}
	response, _ = plain(e.sealRead(next.Step, op, in, response)).(map[string]any)
	if err := e.outcome(w, next, op, response, false); err != nil {
		return err
	}
	return e.precondition(w, next.Step, op, in)
}

// precondition keeps what a live read gave and the document used.
func (e *exploration) precondition(w *way, step string, op *awsapi.Operation, in map[string]any) error {
	body, err := runbook.Decode[runbook.OutcomeBody](w.run.Log()[len(w.run.Log())-1])
	if err != nil {
		return err
	}
	sel := e.req.Document.Selectors(step)
	add := func(selector string, value any) {
		e.pre = append(e.pre, knowngood.Precondition{Step: step, Service: op.Service.Name, Operation: op.Name, Input: toTemplate(in), Selector: selector, Value: plain(value)})
	}
	for _, o := range sel.Outputs {
		if o.Selector != "" {
			add(o.Selector, body.Outputs[o.Name])
		}
	}
	if sel.Property != "" {
		add(sel.Property, body.Property)
	}
	return nil
}

// assume answers a read of what the plan itself has written: a wait finds what
// it waits for, an assertion holds, and other outputs are as they are live. What is
// yet to be made has the id that was asked for and the state that it comes to;
// else its outputs are unknown.
func (e *exploration) assume(w *way, next runbook.Next, op *awsapi.Operation, in map[string]any) error {
	e.supposed(w, next.Step, func(string) bool { return true })
	body := runbook.OutcomeBody{Service: op.Service.Name, Operation: op.Name, Assumed: true}
	if property, waits := e.req.Document.Awaited(next.Step, inputsOf(w.run.Log(), next.Step), op.Name); waits {
		body.Property = property
	} else {
		response := map[string]any{}
		if hasPlaceholder(in) {
			settle(op, in, response)
		} else if live, err := e.Read(e.ctx, op, in); err == nil {
			response, _ = plain(e.sealRead(next.Step, op, in, live)).(map[string]any)
		}
		var err error
		if body.Outputs, _, err = e.req.Document.Project(next.Step, response); err != nil {
			body.Outputs = nil
		}
	}
	return w.entry(knowngood.EntryOutcome, next, body)
}

// inputsOf finds a step's resolved inputs.
func inputsOf(log []knowngood.LogEntry, step string) map[string]any {
	for i := len(log) - 1; i >= 0; i-- {
		if log[i].Kind != knowngood.EntryStepStarted || log[i].Step != step {
			continue
		}
		body, err := runbook.Decode[runbook.StepStartedBody](log[i])
		if err != nil {
			return nil
		}
		return body.Inputs
	}
	return nil
}
