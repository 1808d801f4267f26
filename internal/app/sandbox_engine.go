package app

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/remedy"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/sandbox"
)

// automations runs a sandbox's Automation executions with knowngood's own
// interpreter, as whoever started them: calls go to the sandbox and nowhere else.
// It implements sandbox.AutomationEngine. There is no plan and no approval of
// one, for AWS has none either.
type automations struct {
	ctx     context.Context
	catalog *awsapi.Catalog
	box     *sandbox.Sandbox
	clock   knowngood.Clock
	// aside lets executions run beside the calls that start them; else they run
	// in those, so that time passes while they wait, and all runs are the same.
	aside bool
	// webhooks invokes webhooks, whose integrations caller reads; nil: those of this
	// machine, and no others.
	webhooks func(caller awsapi.Caller) runbook.Webhooks

	mu   sync.Mutex
	runs map[string]*automationRun // by execution
}

func newAutomations(ctx context.Context, catalog *awsapi.Catalog, box *sandbox.Sandbox, clock knowngood.Clock, aside bool) *automations {
	return &automations{ctx: ctx, catalog: catalog, box: box, clock: clock, aside: aside, runs: map[string]*automationRun{}}
}

// automationRun is one execution under way.
type automationRun struct {
	of       *automations
	e        *sandbox.AutomationExecution
	document *runbook.Document
	log      *runbook.MemLog

	parent *automationRun // that started it; nil: none
	many   []*automationGroup

	mu        sync.Mutex // of what follows
	running   bool
	interrupt context.CancelFunc              // of what sleeps
	again     bool                            // something came while it ran
	decisions map[string][]knowngood.Approval // by step
	approvers map[string][]string             // by step
	progress  sandbox.AutomationProgress
	outputs   map[string]any    // in the end
	started   map[string]string // executions, by the key of what asked for them
	awaits    bool              // another execution's end
	stopped   bool
}

// Start implements sandbox.AutomationEngine.
func (a *automations) Start(e *sandbox.AutomationExecution) {
	r := &automationRun{of: a, e: e, decisions: map[string][]knowngood.Approval{}, approvers: map[string][]string{}, started: map[string]string{}}
	a.mu.Lock()
	a.runs[e.ID], r.parent = r, a.runs[e.Parent]
	a.mu.Unlock()
	if err := r.begin(); err != nil {
		r.report(func(p *sandbox.AutomationProgress) { p.Status, p.FailureMessage = "Failed", err.Error() })
		return
	}
	r.goOn()
}

// Signal implements sandbox.AutomationEngine. A person counts once, with the latest
// decision.
func (a *automations) Signal(e *sandbox.AutomationExecution, signal, by string, _ map[string][]string) {
	r := a.run(e.ID)
	if r == nil {
		return
	}
	r.mu.Lock()
	step := r.progress.CurrentStep
	others := slices.DeleteFunc(slices.Clone(r.decisions[step]), func(d knowngood.Approval) bool { return d.By == by })
	r.decisions[step] = append(others, knowngood.Approval{By: by, Approved: signal != "Reject", Time: a.clock.Now()})
	r.mu.Unlock()
	r.goOn()
}

// Stop implements sandbox.AutomationEngine.
func (a *automations) Stop(e *sandbox.AutomationExecution, how string) {
	r := a.run(e.ID)
	if r == nil || r.log == nil {
		return
	}
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	entry, err := runbook.Encode(knowngood.EntryCancel, "", 0, runbook.CancelBody{Reason: how})
	if err != nil {
		return // a reason has a form in JSON
	}
	entry.Time = a.clock.Now()
	r.log.Add(entry)
	r.goOn()
}

func (a *automations) run(id string) *automationRun {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.runs[id]
}

// begin reads the document and begins the log.
func (r *automationRun) begin() (err error) {
	if r.document, err = runbook.Parse(r.e.DocumentName, r.e.Content); err != nil {
		return err
	}
	for _, s := range r.document.Steps() {
		if r.e.Many != nil {
			break
		}
		r.progress.Steps = append(r.progress.Steps, sandbox.AutomationStep{Name: s.Name, Action: s.Action, Status: "Pending"})
	}
	given := knowngood.Params{}
	for name, v := range r.e.Parameters {
		given[name] = v
	}
	partition, err := r.of.catalog.Partition(r.e.Region)
	if err != nil {
		return err
	}
	if r.e.Many != nil {
		return r.beginMany(partition.ID)
	}
	params, err := r.document.BindParameters(given)
	if err != nil {
		return err
	}
	place := knowngood.Place{Partition: partition.ID, Account: r.e.Account, Region: r.e.Region}
	role, err := r.document.Role(params, place)
	if err != nil {
		return err
	}
	start, err := r.document.Start(runbook.StartBody{Parameters: params, ExecutionID: r.e.ID, DateTime: r.of.clock.Now(), Seed: 1, Place: place, Role: role, MultiAccount: r.e.MultiAccount})
	if err != nil {
		return err
	}
	start.Time = r.of.clock.Now()
	r.log = runbook.NewMemLog(start)
	r.report(func(p *sandbox.AutomationProgress) { p.Status = "InProgress" })
	return err
}

// goOn drives the run until it waits for a person, or ends. One that is under way,
// and perhaps asleep, looks at once what has come.
func (r *automationRun) goOn() {
	r.mu.Lock()
	r.again = true
	busy := r.running
	r.running = true
	if busy && r.interrupt != nil {
		r.interrupt()
	}
	r.mu.Unlock()
	switch {
	case busy:
	case r.of.aside:
		go r.drive()
	default:
		r.drive()
	}
}

func (r *automationRun) drive() {
	for {
		r.mu.Lock()
		if !r.again {
			r.running = false
			r.mu.Unlock()
			return
		}
		r.again = false
		r.mu.Unlock()
		r.once()
	}
}

func (r *automationRun) once() {
	if r.many != nil {
		r.onceMany()
		return
	}
	ctx, interrupt := context.WithCancel(r.of.ctx)
	defer interrupt()
	r.mu.Lock()
	r.awaits, r.interrupt = false, interrupt
	if r.again { // it came in between
		interrupt()
	}
	r.mu.Unlock()
	caller, err := r.caller()
	if err == nil {
		runner := &runbook.Runner{Document: r.document, RunID: r.e.ID, Epoch: 1, Log: r.log, Caller: caller, Catalog: r.of.catalog, Clock: r.of.clock, Decisions: r.decided, OnEntry: r.heard,
			Effects: runbook.Effects{Webhooks: r.of.webhooksOf(caller), Automations: startedAutomations{r}},
			Notify: func(ask runbook.ApproveRequest) (string, bool) {
				return "aws ssm send-automation-signal --automation-execution-id " + ask.Execution + " --signal-type Approve, or Reject", true
			}}
		var result runbook.EndResult
		if result, err = runner.Run(ctx); err == nil {
			r.report(func(p *sandbox.AutomationProgress) { r.ended(p, result) })
		}
	}
	if err != nil && ctx.Err() == nil {
		r.report(func(p *sandbox.AutomationProgress) { p.Status, p.FailureMessage = "Failed", err.Error() })
	}
}

// starter calls as whoever started the execution. What the sandbox started by
// itself, as a maintenance window does, acts as the account's operator.
func (r *automationRun) starter() (*awsapi.Client, error) {
	id, secret := r.e.AccessKeyID, r.e.SecretAccessKey
	if id == "" {
		id, secret, _ = r.of.box.OperatorOf(r.e.Account)
	}
	return awsapi.New(awsapi.Config{Catalog: r.of.catalog, Region: r.e.Region, HTTPClient: awsapi.HandlerDoer(r.of.box), Credentials: awsapi.StaticCredentials(id, secret, r.e.SessionToken)})
}

// caller calls as whoever started the execution, or with the document's role.
func (r *automationRun) caller() (awsapi.Caller, error) {
	client, err := r.starter()
	if err != nil {
		return nil, err
	}
	entries, err := r.log.Entries(r.of.ctx, r.e.ID)
	if err != nil {
		return nil, err
	}
	start, err := runbook.Decode[runbook.StartBody](entries[0])
	if err != nil || start.Role == "" {
		return client, err
	}
	return client.AssumeRole(start.Role, awsapi.RoleSession{Name: "Automation-" + r.e.ID}), nil
}

// webhooksOf invokes webhooks for an execution.
func (a *automations) webhooksOf(caller awsapi.Caller) runbook.Webhooks {
	if a.webhooks != nil {
		return a.webhooks(caller)
	}
	return webhooks{as: func(string, string, remedy.Narrowing) awsapi.Caller { return caller }, here: true}
}

func (r *automationRun) decided(_ context.Context, ask runbook.ApproveRequest) ([]knowngood.Approval, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.approvers[ask.Step] = ask.Approvers
	return slices.Clone(r.decisions[ask.Step]), nil
}

// heard tells the sandbox what has come about.
func (r *automationRun) heard(e knowngood.LogEntry) {
	switch e.Kind {
	case knowngood.EntryStepStarted:
		r.step(e.Step, func(s *sandbox.AutomationStep) {
			if body, err := runbook.Decode[runbook.StepStartedBody](e); err == nil {
				s.Action = body.Action
			}
			s.Status, s.Start = "InProgress", e.Time
		})
	case knowngood.EntryStepEnded:
		body, err := runbook.Decode[runbook.StepEndedBody](e)
		if err != nil {
			return // it was written a moment ago
		}
		r.step(e.Step, func(s *sandbox.AutomationStep) {
			s.Status, s.End, s.Outputs = string(body.Status), e.Time, textLists(body.Outputs)
			if body.Failure != nil {
				s.FailureMessage = body.Failure.Message
			}
		})
	}
}

// step reports a change of one step.
func (r *automationRun) step(name string, change func(*sandbox.AutomationStep)) {
	r.report(func(p *sandbox.AutomationProgress) {
		i := slices.IndexFunc(p.Steps, func(s sandbox.AutomationStep) bool { return s.Name == name })
		if i < 0 { // of a loop
			p.Steps = append(p.Steps, sandbox.AutomationStep{Name: name})
			i = len(p.Steps) - 1
		}
		p.CurrentStep = name
		change(&p.Steps[i])
	})
}

// ended is how a run stands when it has ended, or waits for a person, or for another
// execution: then it is in progress.
func (r *automationRun) ended(p *sandbox.AutomationProgress, result runbook.EndResult) {
	r.outputs = result.Outputs
	if result.State == knowngood.RunWaiting && r.awaits {
		if p.Status = "InProgress"; r.stopped {
			p.Status = "Cancelling"
		}
		return
	}
	p.Status, p.FailureMessage, p.Outputs = string(result.State), result.Message, textLists(result.Outputs)
	switch result.State {
	case knowngood.RunSuccess, knowngood.RunFailed, knowngood.RunTimedOut, knowngood.RunCancelled:
	case knowngood.RunWaiting:
		p.FailureMessage = ""
		for i := range p.Steps {
			if s := &p.Steps[i]; s.Name == p.CurrentStep {
				s.Status, s.Approvers = "Waiting", r.approvers[s.Name]
			}
		}
	default: // what became of a write is not known
		p.Status = "Failed"
	}
}

// report changes how the execution stands, and says so. One goroutine at a time
// drives the run; it holds no lock while it tells the sandbox, which may have
// signals to hand over.
func (r *automationRun) report(change func(*sandbox.AutomationProgress)) {
	r.mu.Lock()
	change(&r.progress)
	p := r.progress
	p.Steps = slices.Clone(p.Steps)
	r.mu.Unlock()
	// The sandbox refuses what comes after the end, as it must.
	_ = r.e.Report(p)
	if r.parent != nil && over(p.Status) {
		r.parent.goOn()
	}
}

// textLists are outputs as SSM has them: lists of texts.
func textLists(in map[string]any) map[string][]string {
	out := map[string][]string{}
	for name, v := range in {
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		for _, e := range list {
			text, ok := e.(string)
			if !ok {
				text = jsonText(e)
			}
			out[name] = append(out[name], text)
		}
	}
	return out
}

// patient is a sandbox's clock as one that stands sees it: it waits until the
// control API has moved the time.
type patient struct{ knowngood.Clock }

// Sleep implements knowngood.Clock.
func (c patient) Sleep(ctx context.Context, d time.Duration) error {
	for until := c.Now().Add(d); c.Now().Before(until); {
		if err := (knowngood.WallClock{}).Sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return ctx.Err()
}
