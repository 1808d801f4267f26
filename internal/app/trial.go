package app

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/finding"
	"github.com/knowngood/knowngood/internal/remedy"
	"github.com/knowngood/knowngood/internal/rule"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/sandbox"
	"github.com/knowngood/knowngood/internal/strictyaml"
	"github.com/knowngood/knowngood/library"
)

// trialFile is a file of users' tests, *.test.yaml. docs/tests.md has the meaning
// of its members.
type trialFile struct {
	Tests []trial `yaml:"tests"`

	dir string // of the file: paths in it are relative to it
}

// trial is one test: a world, what is done in it, and what must be so then.
type trial struct {
	Name  string       `yaml:"name"`
	Given trialGiven   `yaml:"given"`
	When  []trialStep  `yaml:"when"`
	Then  trialOutcome `yaml:"then"`
}

type trialGiven struct {
	Scenario   string            `yaml:"scenario"` // of the library, or a file
	Governance []string          `yaml:"governance"`
	Packs      []string          `yaml:"packs"` // that ship
	Parameters map[string]string `yaml:"parameters"`
	Calls      []any             `yaml:"calls"` // as a scenario's
	Faults     []trialFault      `yaml:"faults"`
	Stale      string            `yaml:"stale"`
	Items      []trialItem       `yaml:"items"` // configuration items in place of an estate
	Needs      []string          `yaml:"needs"` // without which the test is skipped

	Webhooks map[string]trialAnswer `yaml:"webhooks"` // integrations, by name
}

type trialItem struct {
	Type          string            `yaml:"resourceType"`
	ID            string            `yaml:"resourceId"`
	Name          string            `yaml:"resourceName"`
	Tags          map[string]string `yaml:"tags"`
	Configuration map[string]any    `yaml:"configuration"`
	Supplementary map[string]any    `yaml:"supplementaryConfiguration"`
}

type trialFault struct {
	Call        string `yaml:"call"` // service:Operation
	Nth         int    `yaml:"nth"`
	Count       int    `yaml:"count"`
	AfterEffect bool   `yaml:"afterEffect"`
	Code        string `yaml:"code"`
	Status      int    `yaml:"status"`
	Message     string `yaml:"message"`
}

// trialStep does one thing; exactly one of its members is set.
type trialStep struct {
	Scan    bool           `yaml:"scan"`
	Fix     string         `yaml:"fix"`  // resource id: plan, approve, apply
	Plan    string         `yaml:"plan"` // resource id: plan only
	Rule    string         `yaml:"rule"` // of fix and plan: which of the resource's findings
	Run     string         `yaml:"run"`  // runbook
	With    map[string]any `yaml:"with"` // its parameters
	Call    string         `yaml:"call"`
	Input   map[string]any `yaml:"input"`
	As      string         `yaml:"as"`
	Wait    string         `yaml:"wait"`
	Event   *trialEvent    `yaml:"event"`
	Approve *bool          `yaml:"approve"` // of fix and run; default: yes
}

type trialOutcome struct {
	Evaluations []struct {
		Rule       string               `yaml:"rule"`
		Resource   string               `yaml:"resource"`
		Compliance knowngood.Compliance `yaml:"compliance"`
		Annotation string               `yaml:"annotation"` // what it must contain
	} `yaml:"evaluations"`
	Findings []struct {
		Rule     string                 `yaml:"rule"`
		Resource string                 `yaml:"resource"`
		State    knowngood.FindingState `yaml:"state"`
	} `yaml:"findings"`
	Open   *int               `yaml:"open"` // how many findings are not closed
	Run    knowngood.RunState `yaml:"run"`  // how the last fix or run ended
	Error  string             `yaml:"error"`
	Writes []string           `yaml:"writes"` // every write since the first step, in order
	Made   []string           `yaml:"made"`   // calls that must be among those made
	Never  []string           `yaml:"never"`  // calls that must not be
	// Invoked says how often Lambda functions were run since the first step.
	Invoked map[string]int64 `yaml:"invoked"`
	State   []struct {
		Call  string         `yaml:"call"`
		Input map[string]any `yaml:"input"`
		Find  string         `yaml:"find"` // JMESPath into the answer
		Is    any            `yaml:"is"`
		Fails string         `yaml:"fails"` // the code of the error that the call must end with
	} `yaml:"state"`

	Webhooks []trialWebhook `yaml:"webhooks"` // that were invoked, in order
}

// readTrials reads a file of tests. Errors are *knowngood.FileError.
func readTrials(file string) (*trialFile, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	f := &trialFile{dir: filepath.Dir(file)}
	if err := strictyaml.Decode(file, raw, f, "a file of tests"); err != nil {
		return nil, err
	}
	if len(f.Tests) == 0 {
		return nil, &knowngood.FileError{Position: knowngood.Position{File: file, Line: 1}, Problem: "it has no tests", Want: "tests"}
	}
	names := map[string]bool{}
	for i, t := range f.Tests {
		if t.Name == "" || names[t.Name] {
			return nil, &knowngood.FileError{Position: knowngood.Position{File: file, Line: 1}, Problem: fmt.Sprintf("test %d has the name %q", i+1, t.Name), Want: "names that differ"}
		}
		names[t.Name] = true
		if problem := t.problem(); problem != "" {
			return nil, &knowngood.FileError{Position: knowngood.Position{File: file, Line: 1}, Problem: fmt.Sprintf("test %q: %s", t.Name, problem)}
		}
	}
	return f, nil
}

// problem says what of a test could never be done.
func (t *trial) problem() string {
	if len(t.When) == 0 {
		return "it does nothing; when is a list of steps"
	}
	if len(t.Given.Items) > 0 && (t.Given.Scenario != "" || len(t.Given.Calls) > 0) {
		return "it has items and an estate; items stand in place of one"
	}
	for _, need := range t.Given.Needs {
		if _, known := trialNeeds[need]; !known {
			return fmt.Sprintf("it needs %q; expected %s", need, strings.Join(slices.Sorted(maps.Keys(trialNeeds)), " or "))
		}
	}
	for i, s := range t.When {
		set := 0
		for _, is := range []bool{s.Scan, s.Fix != "", s.Plan != "", s.Run != "", s.Call != "", s.Wait != "", s.Event != nil} {
			if is {
				set++
			}
		}
		if set != 1 {
			return fmt.Sprintf("step %d does %d things; one of scan, fix, plan, run, call, wait, event", i+1, set)
		}
		if s.Rule != "" && s.Fix == "" && s.Plan == "" {
			return fmt.Sprintf("step %d has a rule, which is of fix and plan", i+1)
		}
		if s.Event != nil {
			if problem := s.Event.problem(len(t.Given.Items) > 0); problem != "" {
				return fmt.Sprintf("step %d: %s", i+1, problem)
			}
		}
	}
	o := t.Then
	if len(o.Evaluations)+len(o.Findings)+len(o.Writes)+len(o.Made)+len(o.Never)+len(o.Invoked)+len(o.State)+len(o.Webhooks) == 0 && o.Open == nil && o.Run == "" && o.Error == "" {
		return "it asks for nothing, so it can't fail; then says what must be so"
	}
	return ""
}

// trialNeeds are what a test may need of this machine, with a script that has all
// that it takes.
var trialNeeds = map[string]string{"boto3": "import boto3", "python3": ""}

// lackingError says what this machine lacks that a test needs.
type lackingError struct{ error }

// lacks says that the machine can't carry the trial out: a lackingError, or nil.
func (s *stage) lacks(ctx context.Context) error {
	for _, need := range s.Given.Needs {
		if err := s.ses.scripts.runner.Lacks(ctx, "python3", trialNeeds[need]); err != nil {
			return lackingError{err}
		}
	}
	return nil
}

// stage is a trial under way, in a sandbox of its own.
type stage struct {
	trial
	dir        string
	box        *sandbox.Sandbox
	clock      *sandbox.ManualClock
	ses        *session
	g          *governance
	everywhere *governances     // has g
	answers    map[string]any   // of calls, by name
	began      int              // calls before the first step
	ran        map[string]int64 // how often functions that are asked for were run before it
	events     []sandbox.Event  // that came about in this step
	report     *scanReport
	plan       *knowngood.Plan // the last one
	result     *remedy.Result
	failed     error // of the last step

	webhooks *trialWebhooks
}

// trialTime is when every trial begins, so that each run is the same.
var trialTime = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

// perform carries a trial out and gives everything that is not as it must be. The
// error says that the trial itself could not be made.
func (t trial) perform(ctx context.Context, dir, state string) (wrong []string, err error) {
	return t.stage(dir).perform(ctx, state)
}

func (t trial) stage(dir string) *stage {
	return &stage{trial: t, dir: dir, clock: sandbox.NewClock(trialTime), answers: map[string]any{}, ran: map[string]int64{}}
}

func (s *stage) perform(ctx context.Context, state string) (wrong []string, err error) {
	if err := s.open(ctx, state); err != nil {
		return nil, err
	}
	defer s.ses.store.Close()
	if err := s.lacks(ctx); err != nil {
		return nil, err
	}
	s.began = len(s.box.Calls())
	for name := range s.Then.Invoked {
		s.ran[name] = s.box.FunctionRuns(name)
	}
	for i, step := range s.When {
		s.failed = nil
		if err := s.take(ctx, step); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			s.failed = err
			if i < len(s.When)-1 || s.Then.Error == "" {
				return []string{fmt.Sprintf("step %d: %v", i+1, err)}, nil
			}
		}
	}
	return s.check(ctx)
}

func (s *stage) open(ctx context.Context, state string) error {
	c, err := catalog()
	if err != nil {
		return err
	}
	if s.box, err = sandbox.New(sandbox.Options{Catalog: c, Clock: s.clock, Seed: 1, Documents: runbooks()}); err != nil {
		return err
	}
	s.webhooks = &trialWebhooks{given: s.Given.Webhooks}
	engine := newAutomations(ctx, c, s.box, s.clock, false)
	engine.webhooks = func(awsapi.Caller) runbook.Webhooks { return s.webhooks }
	s.box.RunAutomations(engine)
	if err := s.build(ctx); err != nil {
		return err
	}
	id, secret := s.box.Credentials()
	cfg := awsapi.Config{Catalog: c, Region: s.box.Region(), HTTPClient: awsapi.HandlerDoer(s.box), Credentials: awsapi.StaticCredentials(id, secret, "")}
	if s.ses, err = newSession(ctx, cfg, s.clock, storeOptions{state: state}); err != nil {
		return err
	}
	o := governanceOptions{packs: s.Given.Packs}
	for _, p := range s.Given.Governance {
		o.paths = append(o.paths, filepath.Join(s.dir, p))
	}
	for k, v := range s.Given.Parameters {
		if v, err = s.text(v); err != nil {
			return &knowngood.Error{Kind: knowngood.Invalid, Op: "test " + s.Name, Err: err}
		}
		o.params = append(o.params, k+"="+v)
	}
	s.ses.paced, s.ses.webhooks = false, s.webhooks // nothing leaves this process
	s.everywhere = o.in(s.ses.place)
	if s.g, err = s.everywhere.at(s.ses.place.Region); err != nil {
		return err
	}
	for _, f := range s.Given.Faults {
		service, operation, _ := strings.Cut(f.Call, ":")
		fault := sandbox.Fault{Service: service, Operation: operation, Nth: f.Nth, Count: f.Count, AfterEffect: f.AfterEffect, Error: &awsapi.Error{Code: f.Code, Status: f.Status, Message: f.Message}}
		s.box.Inject(fault)
	}
	s.box.OnEvent(s.heard)
	if s.Given.Stale != "" {
		d, err := time.ParseDuration(s.Given.Stale)
		if err != nil {
			return knowngood.E(knowngood.Invalid, "test "+s.Name, "stale is %q; expected a time such as 10s", s.Given.Stale)
		}
		s.box.SetStale(d)
	}
	return nil
}

// build makes the estate: a scenario, then calls of the test's own.
func (s *stage) build(ctx context.Context) error {
	if s.Given.Scenario != "" {
		if err := loadScenario(ctx, s.box, s.Given.Scenario, s.dir); err != nil {
			return &knowngood.Error{Kind: knowngood.Invalid, Op: "test " + s.Name, Err: err}
		}
	}
	if err := s.webhooks.register(ctx, s.box); err != nil {
		return &knowngood.Error{Kind: knowngood.Invalid, Op: "test " + s.Name, Err: err}
	}
	if len(s.Given.Calls) == 0 {
		return nil
	}
	// The calls are a scenario of their own, whose answers later steps may name.
	raw, err := yaml.Marshal(map[string]any{"calls": s.Given.Calls})
	if err != nil {
		return err
	}
	answers, err := s.box.LoadNamed(ctx, s.Name, raw)
	if err != nil {
		return &knowngood.Error{Kind: knowngood.Invalid, Op: "test " + s.Name, Err: err}
	}
	s.answers = answers
	return nil
}

// text puts the answers of earlier calls where a text names them.
func (s *stage) text(v string) (string, error) {
	r, err := sandbox.Resolve(v, s.answers)
	return fmt.Sprint(r), err
}

func (s *stage) input(in map[string]any) (map[string]any, error) {
	v, err := sandbox.Resolve(in, s.answers)
	if err != nil {
		return nil, err
	}
	out, _ := v.(map[string]any)
	return out, nil
}

// take does one step.
func (s *stage) take(ctx context.Context, step trialStep) error {
	switch {
	case step.Wait != "":
		d, err := time.ParseDuration(step.Wait)
		if err != nil {
			return fmt.Errorf("wait is %q; expected a time such as 90s", step.Wait)
		}
		s.clock.Advance(d)
		return nil
	case step.Scan:
		return s.scan(ctx)
	case step.Call != "":
		out, err := s.call(ctx, step.Call, step.Input)
		if step.As != "" && err == nil {
			s.answers[step.As] = out
		}
		return err
	case step.Run != "":
		return s.run(ctx, step)
	case step.Event != nil:
		return s.event(ctx, step.Event)
	}
	return s.fix(ctx, step)
}

func (s *stage) scan(ctx context.Context) (err error) {
	if len(s.Given.Items) == 0 {
		s.report, err = s.ses.scan(ctx, s.everywhere, reading{at: estate{regions: []string{s.ses.place.Region}}})
		return err
	}
	items, err := s.items()
	if err != nil {
		return err
	}
	s.report = &scanReport{}
	s.judge(items, nil, func(*knowngood.Resource) bool { return true })
	return nil
}

// items are the configuration items that stand in place of an estate.
func (s *stage) items() (items []knowngood.Resource, err error) {
	for _, i := range s.Given.Items {
		item := knowngood.Resource{Version: "1.3", AccountID: s.ses.place.Account, Region: s.ses.place.Region, Status: knowngood.ItemOK, Type: i.Type, ID: i.ID, Name: i.Name, Tags: i.Tags}
		if item.Configuration, err = s.input(i.Configuration); err != nil {
			return nil, err
		}
		if item.Supplementary, err = s.input(i.Supplementary); err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

// judge adds to the report the rules' verdicts on those of the items that are
// meant. Rules that look other resources up find them among all items.
func (s *stage) judge(items []knowngood.Resource, unreadable []knowngood.ReadError, meant func(*knowngood.Resource) bool) (verdicts []finding.Verdict) {
	others, sweep := rule.Among(slices.Collect(maps.Keys(s.g.rules.Reads())), items, unreadable), s.g.rules.Sweep(s.clock.Now())
	for i := range items {
		if !meant(&items[i]) {
			continue
		}
		for _, e := range sweep.Resource(&items[i], others) {
			s.report.Evaluations = append(s.report.Evaluations, e)
			verdicts = append(verdicts, s.g.verdict(e, &items[i]))
		}
	}
	return verdicts
}

func (s *stage) call(ctx context.Context, name string, in map[string]any) (map[string]any, error) {
	service, operation, ok := strings.Cut(name, ":")
	if !ok {
		return nil, fmt.Errorf("%q is no service:Operation", name)
	}
	resolved, err := s.input(in)
	if err != nil {
		return nil, err
	}
	op, err := s.ses.catalog.Operation(service, operation)
	if err != nil {
		return nil, err
	}
	if resolved, err = op.Coerce(resolved); err != nil {
		return nil, err
	}
	return s.ses.client.Call(ctx, service, operation, resolved)
}

func (s *stage) fix(ctx context.Context, step trialStep) error {
	id, err := s.text(step.Fix + step.Plan)
	if err != nil {
		return err
	}
	found, err := s.ses.choose(ctx, []string{id}, func(rule string) bool { return s.g.fixes(rule) && (step.Rule == "" || step.Rule == rule) })
	if err != nil {
		return err
	}
	s.plan, err = s.ses.planFinding(ctx, s.g, found[0])
	if err != nil || step.Plan != "" {
		return err
	}
	return s.apply(ctx, step)
}

func (s *stage) run(ctx context.Context, step trialStep) error {
	name := step.Run
	if _, err := fs.Stat(library.FS, "runbooks/"+name+".yaml"); err != nil {
		name = filepath.Join(s.dir, name)
	}
	book, err := s.ses.content.Runbook(name)
	if err != nil {
		return err
	}
	params, err := s.input(step.With)
	if err != nil {
		return err
	}
	key := knowngood.ResourceKey{Account: s.ses.place.Account, Region: s.ses.place.Region, ID: name}
	s.plan, err = s.ses.remediator(s.g, nil).Plan(ctx, s.ses.place, book, params, key, nil)
	if err != nil {
		return err
	}
	return s.apply(ctx, step)
}

// apply carries out the last plan.
func (s *stage) apply(ctx context.Context, step trialStep) error {
	var decisions []knowngood.Approval
	if step.Approve == nil || *step.Approve {
		decisions = []knowngood.Approval{{PlanHash: s.plan.Hash, RunID: s.plan.RunID, By: "test", Approved: true, Incomplete: true, Time: s.clock.Now()}}
	}
	r := s.ses.remediator(s.g, nil)
	r.Secrets = map[string]string{} // a test's parameters are no secrets
	for _, secret := range s.plan.Secrets {
		r.Secrets[secret.Parameter], _ = step.With[secret.Parameter].(string)
	}
	result, err := r.Apply(ctx, s.plan, decisions, knowngood.Retry{})
	s.result = &result
	return err
}
