package remedy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/runbook"
)

// maxNesting is how many automations may be one inside the other. Systems Manager's
// documentation states no such limit; its runbooks need three.
const maxNesting = 5

// maxChildren is how many automations a plan starts at most, those of its children
// among them.
const maxChildren = 1000

// start is an automation that a planned call starts.
type start struct {
	end     runbook.EndResult // as expected
	written map[string]bool   // what the overlay holds when it has ended
	writes  []planned         // that it has made by then
	at      time.Time
	assumed bool // its outputs may be otherwise in the run
}

// executed is an automation that is to be planned.
type executed struct {
	step          string // of the parent; "": it is of a group
	runID         string
	name, version string
	parameters    map[string]any
	assumed       bool // the parameters may be otherwise in the run
	place         knowngood.Place
	// starter are the roles of who starts it, which it has where its document names
	// none.
	starter      []string
	multiAccount bool
	// taken are the resources that runs around it have.
	taken map[knowngood.ResourceKey]bool
}

// automation plans what a step starts: the plan of the child becomes one of the
// plan's, and a call of the plan starts it.
func (e *exploration) automation(w *way, next runbook.Next) error {
	body := runbook.OutcomeBody{Service: next.Effect.Action, Operation: next.Effect.Operation, Assumed: true}
	switch next.Effect.Operation {
	case runbook.EffectStop:
		body.Outputs = map[string]any{"ExecutionId": next.Effect.Execution}
		return w.entry(knowngood.EntryOutcome, next, body)
	case runbook.EffectLook:
		return e.ended(w, next)
	}
	if err := e.forkFailure(w, next.Step); err != nil {
		return err
	}
	template := toTemplate(plain(next.Effect.Input))
	key := strings.Join([]string{w.part.name, next.Step, text(template)}, "\x00")
	id, known := e.ids[key]
	if !known {
		assumed := e.undetermined(w, e.req.Document.Uses(next.Step))
		child, s, err := e.child(w, next, assumed)
		if err != nil && (e.ctx.Err() != nil || !e.conditional && w.part.name == knowngood.MainPart) {
			kind := knowngood.KindOf(err)
			if kind == knowngood.Other {
				kind = knowngood.Invalid
			}
			return knowngood.E(kind, "plan "+e.req.Ref.Name, "the step %s executes %s: %w", next.Step, next.Effect.Automation.DocumentName, err)
		}
		if err != nil {
			e.incomplete("what the step %s does is not planned: %v", next.Step, err)
			body.Outputs = runbook.Supposed(next.Effect)
			e.starts["planned"] = &start{end: runbook.EndResult{State: knowngood.RunSuccess}, assumed: true}
			return w.entry(knowngood.EntryOutcome, next, body)
		}
		e.lineage.writes++
		id = fmt.Sprintf("w%d", e.lineage.writes)
		e.ids[key], e.starts[id] = id, s
		e.children = append(e.children, *child)
		e.need(child.Actions)
		for _, why := range child.Incomplete {
			e.incomplete("%s in the step %s: %s", child.Document.Name, next.Step, why)
		}
		w.part.calls = append(w.part.calls, knowngood.Call{
			ID: id, Step: next.Step, Class: knowngood.Write, Service: next.Effect.Action, Operation: next.Effect.Operation, Account: e.req.Place.Account, Region: e.req.Place.Region,
			Input: template, Assumed: assumed || hasPlaceholder(plain(next.Effect.Input)), Effect: child.Risk.Effect, Child: child.RunID,
		})
	}
	maps.Copy(w.overlay.written, e.starts[id].written)
	w.overlay.writes = append(slices.Clip(w.overlay.writes), e.starts[id].writes...)
	body.Outputs = map[string]any{"ExecutionId": placeholder(ref{id, "ExecutionId"})}
	if err := w.entry(knowngood.EntryOutcome, next, body); err != nil {
		return err
	}
	if w.part.name != knowngood.MainPart {
		return nil
	}
	return e.forkCancel(w, next.Step, e.part(next.Step, next.Step+" is cancelled, or its time is over"))
}

// ended answers how an automation that is planned will have ended.
func (e *exploration) ended(w *way, next runbook.Next) error {
	id := next.Effect.Execution
	if of, whole := wholePlaceholder(id); whole {
		id = of.From
	}
	s, ok := e.starts[id]
	if !ok {
		return fmt.Errorf("remedy: the step %s looks at what it has not started", next.Step)
	}
	if s.at.After(w.at) {
		w.at = s.at
	}
	outputs, property, err := e.req.Document.Project(next.Step, runbook.StatusOutputs(next.Effect.Execution, runbook.AutomationStatus{State: s.end.State, Message: s.end.Message, Outputs: s.end.Outputs}))
	body := runbook.OutcomeBody{Service: next.Effect.Action, Operation: next.Effect.Operation, Outputs: outputs, Property: property, Assumed: true}
	if err != nil {
		body.Error = &runbook.CallError{Code: runbook.CodeInvalidOutput, Message: err.Error()}
	}
	e.supposed(w, next.Step, func(output string) bool {
		return output != "Status" && output != "ExecutionId" && (s.assumed || !sure(outputs[output]))
	})
	return w.entry(knowngood.EntryOutcome, next, body)
}

// sure is certain, for a list as well.
func sure(v any) bool {
	list, ok := v.([]any)
	if !ok {
		return certain(v, true)
	}
	return len(list) > 0 && !slices.ContainsFunc(list, func(e any) bool { return !certain(e, true) })
}

// child plans what a step starts: one automation, or many.
func (e *exploration) child(w *way, next runbook.Next, assumed bool) (*knowngood.Plan, *start, error) {
	r := next.Effect.Automation
	x := executed{
		step: next.Step, runID: ChildRunID(e.req.RunID, next.Step, 1), name: r.DocumentName, version: r.DocumentVersion, parameters: r.Parameters, assumed: assumed,
		place: e.req.Place, starter: e.starter, multiAccount: e.multiAccount, taken: e.taken(),
	}
	if hasPlaceholder(x.name) || hasPlaceholder(x.version) {
		return nil, nil, knowngood.E(knowngood.Invalid, "", "which document that is, is known only when it is run")
	}
	many := targets{parameter: r.TargetParameterName, targets: r.Targets, maps: r.TargetMaps, rates: rates(r.MaxConcurrency, r.MaxErrors)}
	if hasPlaceholder(plain(many.targets)) || hasPlaceholder(plain(many.maps)) {
		return nil, nil, knowngood.E(knowngood.Invalid, "", "which targets that are, is known only when it is run")
	}
	if len(r.TargetLocations) > 0 {
		return e.locations(w, x, r.TargetLocations, many)
	}
	return e.many(w, x, many)
}

// taken are the resources that the run and those around it have.
func (e *exploration) taken() map[knowngood.ResourceKey]bool {
	out := maps.Clone(e.around)
	if out == nil {
		out = map[knowngood.ResourceKey]bool{}
	}
	out[e.req.Resource] = true
	return out
}

// one plans one automation as a plan of its own.
func (e *exploration) one(w *way, x executed) (*knowngood.Plan, *start, error) {
	if e.lineage.children++; e.lineage.children > maxChildren {
		return nil, nil, knowngood.E(knowngood.Refused, "", "there are more than %d automations; `knowngood run --targets` makes a plan for each", maxChildren)
	}
	book, err := e.Automations.Runbook(e.ctx, e.req.Ref.Name, x.name, x.version)
	if err != nil {
		return nil, nil, err
	}
	if err := e.nested(book); err != nil {
		return nil, nil, err
	}
	if problems := book.Document.Validate(e.Catalog); len(problems) > 0 {
		all := make([]error, len(problems))
		for i, p := range problems {
			all[i] = p
		}
		return nil, nil, errors.Join(all...)
	}
	files, refs, err := e.Automations.Files(e.ctx, book)
	if err != nil {
		return nil, nil, err
	}
	sub := *e.Planner
	c := sub.exploration(e.ctx, PlanRequest{
		RunID: x.runID, Created: e.req.Created, Seed: e.req.Seed, Document: book.Document, Entry: book.Entry, Place: x.place, Files: files,
		Ref: knowngood.DocumentRef{Name: book.Ref.Name, Version: book.Ref.Version, SHA256: book.Ref.SHA256, Attachments: refs},
	}, nil, e.lineage)
	c.chain = append(slices.Clip(e.chain), e.req.Ref)
	c.conditional, c.multiAccount, c.starter, c.around = e.conditional || w.part.name != knowngood.MainPart, x.multiAccount, x.starter, x.taken
	given, err := c.bind(book, x)
	if err != nil {
		return nil, nil, err
	}
	o := w.overlay.clone()
	o.assumed = map[string]bool{} // by names of the document
	for name := range given {
		o.assume(name, x.assumed)
	}
	plan, end, err := c.explore(o, w.at)
	if errors.As(err, new(secretError)) { // it is none of the first runbook's parameters
		err = knowngood.E(knowngood.Refused, "", "%v", err)
	}
	if err != nil {
		return nil, nil, err
	}
	e.lineage.documents[book.Ref.SHA256] = book.Ref.Content
	plan.Parameters, _ = toTemplate(map[string]any(c.params)).(map[string]any)
	if plan.Hash, err = HashPlan(plan); err != nil {
		return nil, nil, err
	}
	s := &start{end: *end.end, written: end.overlay.written, writes: end.overlay.writes[len(w.overlay.writes):], at: end.at, assumed: x.assumed || slices.ContainsFunc(book.Document.OutputRefs, func(r runbook.Reference) bool { return end.overlay.assumed[r.String()] })}
	if c.conditional {
		s.end.State = knowngood.RunSuccess
	}
	return plan, s, nil
}

// bind gives a child its parameters, role, reads and resource.
func (c *exploration) bind(book *Runbook, x executed) (given knowngood.Params, err error) {
	d := book.Document
	if c.Read, err = c.Automations.Reader(book, x.parameters, x.place, x.starter); err != nil {
		return nil, err
	}
	if secret := d.StoredSecrets(x.parameters); len(secret) > 0 {
		return nil, knowngood.E(knowngood.Refused, "", "its parameter %s is a secret, which a runbook that another executes can't have", secret[0].Parameter)
	}
	if given, err = d.WithStore(c.ctx, x.parameters, c.stored); err != nil {
		return nil, err
	}
	if c.params, err = d.BindPlanned(given, hasPlaceholder); err != nil {
		return nil, err
	}
	role, err := d.Role(c.params, x.place)
	if err != nil {
		return nil, err
	}
	roles := x.starter
	switch {
	case hasPlaceholder(role):
		return nil, knowngood.E(knowngood.Invalid, "", "with which role is known only when it is run")
	case role != "" && accountOf(role) != x.place.Account:
		return nil, knowngood.E(knowngood.Refused, "", "the role %s is of the account %s, it runs in %s", role, accountOf(role), x.place.Account)
	case role != "":
		roles = append(slices.Clip(roles), role)
	}
	if n := len(roles); n > 0 {
		c.req.Via, c.req.Role = roles[:n-1:n-1], roles[n-1]
	}
	if c.Read, err = c.Automations.Reader(book, x.parameters, x.place, roles); err != nil {
		return nil, err
	}
	c.req.Parameters, c.req.Resource = given, own(x.place, x.runID)
	if on := book.Entry.Resource; on != nil {
		id, _ := c.params[on.Parameter].(string)
		key := knowngood.ResourceKey{Account: x.place.Account, Region: x.place.Region, Type: on.Type, ID: id}
		if id != "" && !hasPlaceholder(id) && !x.taken[key] {
			c.req.Resource = key
		}
	}
	return given, nil
}

// own is what a run locks that acts on no resource of its own, or on one that a
// run around it has.
func own(place knowngood.Place, runID string) knowngood.ResourceKey {
	return knowngood.ResourceKey{Account: place.Account, Region: place.Region, Type: "AWS::SSM::AutomationExecution", ID: runID}
}

// nested refuses a document that executes itself, and automations too deep in one
// another.
func (e *exploration) nested(book *Runbook) error {
	line := append(slices.Clip(e.chain), e.req.Ref)
	names := make([]string, 0, len(line)+1)
	for _, ref := range line {
		names = append(names, ref.Name)
	}
	chain := strings.Join(append(names, book.Ref.Name), " > ")
	if slices.ContainsFunc(line, func(r knowngood.DocumentRef) bool { return r.SHA256 == book.Ref.SHA256 }) {
		return knowngood.E(knowngood.Refused, "", "it would execute itself: %s", chain)
	}
	if len(line) > maxNesting {
		return knowngood.E(knowngood.Refused, "", "at most %d automations may be one inside the other: %s", maxNesting, chain)
	}
	return nil
}

// ChildRunID is the id of the run that a step starts in an attempt: the same each
// time, so that it is started once.
func ChildRunID(parent, step string, attempt int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d", parent, step, attempt))
	return "run-" + hex.EncodeToString(sum[:8])
}

// childOf is the plan that a call starts; nil: it starts none.
func childOf(p *knowngood.Plan, c knowngood.Call) *knowngood.Plan {
	if c.Child == "" {
		return nil
	}
	i := slices.IndexFunc(p.Children, func(child knowngood.Plan) bool { return child.RunID == c.Child })
	if i < 0 {
		return nil
	}
	return &p.Children[i]
}
