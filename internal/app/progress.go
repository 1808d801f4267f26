package app

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/remedy"
	"github.com/knowngood/knowngood/internal/runbook"
)

// progress shows how far a run is: the stages of its runbook as they are done,
// in one line, or each step where the runbook names no stages.
type progress struct {
	w      io.Writer
	title  string            // a line that comes before; "": none
	stages map[string]string // name by step
	mu     sync.Mutex
	begun  bool
}

func newProgress(w io.Writer, title string, stages []remedy.Stage) *progress {
	p := &progress{w: w, title: title, stages: map[string]string{}}
	for _, s := range stages {
		p.stages[s.Step] = s.Name
	}
	return p
}

// entry takes an entry of the run's log, or of that of a run which it has started.
func (p *progress) entry(plan *knowngood.Plan, e knowngood.LogEntry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.title != "" {
		fmt.Fprintln(p.w, p.title)
		p.title = ""
	}
	if plan.Parent != nil && strings.HasPrefix(plan.Parent.Step, "[") { // one of many
		p.member(plan.Parent.Step, e)
		return
	}
	if e.Kind != knowngood.EntryStepEnded {
		return
	}
	if plan.Parent != nil {
		e.Step = plan.Parent.Step + "/" + e.Step
	}
	body, err := runbook.Decode[runbook.StepEndedBody](e)
	if err != nil {
		return // it is for show only; the run reads its log itself
	}
	name, isStage := p.stages[e.Step]
	switch {
	case body.Status != runbook.StepSuccess:
		p.print("✗ " + e.Step)
	case isStage:
		p.print("✓ " + name)
	case len(p.stages) == 0:
		p.print("✓ " + e.Step)
	}
}

// member shows that one of many runs has ended.
func (p *progress) member(name string, e knowngood.LogEntry) {
	if e.Kind != knowngood.EntryRunEnded {
		return
	}
	if end, err := runbook.Decode[runbook.RunEndedBody](e); err == nil && end.State == knowngood.RunSuccess {
		p.print("✓ " + name)
		return
	}
	p.print("✗ " + name)
}

func (p *progress) print(text string) {
	if p.begun {
		text = "  " + text
	}
	p.begun = true
	fmt.Fprint(p.w, text)
}

// done ends the line.
func (p *progress) done() {
	if p.begun {
		fmt.Fprintln(p.w)
	}
	p.begun = false
}
