package app

import (
	"fmt"
	"io"

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
	begun  bool
}

func newProgress(w io.Writer, title string, stages []remedy.Stage) *progress {
	p := &progress{w: w, title: title, stages: map[string]string{}}
	for _, s := range stages {
		p.stages[s.Step] = s.Name
	}
	return p
}

// entry takes an entry of the run's log.
func (p *progress) entry(_ *knowngood.Plan, e knowngood.LogEntry) {
	if p.title != "" {
		fmt.Fprintln(p.w, p.title)
		p.title = ""
	}
	if e.Kind != knowngood.EntryStepEnded {
		return
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
