package graph

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood/internal/runbook"
)

const document = `schemaVersion: '0.3'
parameters: {Ids: {type: StringList, default: []}}
mainSteps:
  - name: Ask
    action: aws:approve
    onFailure: step:Tell
    inputs: {Approvers: [alice], Message: Stop <them>?}
  - name: Each
    action: aws:loop
    onFailure: step:Tell
    inputs:
      Iterators: '{{ Ids }}'
      Steps:
        - name: Look
          action: aws:executeAwsApi
          inputs: {Service: ec2, Api: DescribeInstances, InstanceIds: ['{{ Each.CurrentIteratorValue }}']}
          outputs: [{Name: State, Selector: '$.Reservations[0].Instances[0].State.Name'}]
        - name: Running
          action: aws:branch
          inputs: {Choices: [{Variable: '{{ Look.State }}', StringEquals: running, NextStep: Stop}]}
          isEnd: true
        - name: Stop
          action: aws:changeInstanceState
          onCancel: step:Tell
          inputs: {InstanceIds: ['{{ Each.CurrentIteratorValue }}'], DesiredState: stopped}
  - name: Fine
    action: aws:branch
    inputs:
      Choices:
        - {Variable: '{{ Each.CurrentIteration }}', NumericGreater: 5, NextStep: Again}
        - {Or: [{Variable: '{{ Each.CurrentIteration }}', NumericEquals: 2}, {Not: {Variable: '{{ global:REGION }}', StringEquals: ''}}], NextStep: Tell}
  - name: Again
    action: aws:sleep
    inputs: {Duration: PT10S}
    nextStep: Each
  - name: Tell
    action: aws:executeScript
    inputs: {Runtime: python3.11, Handler: main, Script: 'def main(events, context): pass'}
`

const drawn = `stop

     ☐ Ask        approve  Stop <them>?
       ✗ fails → Tell
╭───▶↻ Each       loop  each of Ids
│      ✗ fails → Tell
│      ● Look     executeAwsApi  ec2:DescribeInstances
│      ◆ Running  branch
│        Look.State = running → Stop
│        otherwise → end of the round
│      ● Stop     changeInstanceState  stopped
│        ⊘ cancelled → Tell
│    ◆ Fine       branch
│      Each.CurrentIteration > 5 → Again
│ ╭──  Each.CurrentIteration = 2 or not global:REGION = "" → Tell
│ │    otherwise → Again
│ │  ● Again      sleep  PT10S
╰─┼──  → Each
  ╰─▶● Tell       executeScript  python3.11 main
`

func parse(t testing.TB, text string) *runbook.Document {
	t.Helper()
	d, err := runbook.Parse("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestText(t *testing.T) {
	var b strings.Builder
	if err := Text(&b, parse(t, document), "stop"); err != nil {
		t.Fatal(err)
	}
	if b.String() != drawn {
		t.Errorf("drawn is\n%s\nwant\n%s", b.String(), drawn)
	}
}

// A picture is well formed, shows each step and each way, and its lanes don't
// overlap.
func TestSVG(t *testing.T) {
	files, err := filepath.Glob("../../../library/runbooks/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no runbooks: %v", err)
	}
	texts := map[string]string{"stop": document}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(raw)
	}
	for name, text := range texts {
		d := parse(t, text)
		var b strings.Builder
		if err := SVG(&b, d, name); err != nil {
			t.Fatal(err)
		}
		shown := map[string]bool{}
		arrows := 0
		dec := xml.NewDecoder(strings.NewReader(b.String()))
		for {
			token, err := dec.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			switch token := token.(type) {
			case xml.CharData:
				shown[strings.TrimSpace(string(token))] = true
			case xml.StartElement:
				for _, a := range token.Attr {
					if a.Name.Local == "marker-end" {
						arrows++
					}
				}
			}
		}
		for _, s := range d.Steps() {
			if !shown[clip(s.Name, 46)] {
				t.Errorf("%s: the step %s is not shown", name, s.Name)
			}
		}
		g := layout(d, name)
		legend, ways := 0, len(g.buses)
		kinds := map[runbook.EdgeKind]bool{runbook.EdgeNext: true}
		for _, b := range g.buses {
			kinds[b.kind] = true
		}
		legend = len(kinds)
		for i, r := range g.rows {
			for e := range r.edges {
				if g.below[port{i, e}] {
					ways++
					break
				}
			}
			if r.length > 1 {
				ways++
			}
		}
		if arrows != ways+legend {
			t.Errorf("%s: %d arrows, want %d for the ways and %d in the legend", name, arrows, ways, legend)
		}
		for i, a := range g.buses {
			for _, b := range g.buses[:i] {
				if a.side == b.side && a.lane == b.lane && a.lo <= b.hi && b.lo <= a.hi {
					t.Errorf("%s: ways to %s and %s overlap in lane %d", name, g.rows[a.to].step.Name, g.rows[b.to].step.Name, a.lane)
				}
			}
		}
	}
}

// The largest document, with a way from each step to one far off, is drawn in
// reasonable time.
func TestLarge(t *testing.T) {
	var b strings.Builder
	b.WriteString("schemaVersion: '0.3'\nmainSteps:\n")
	for i := range runbook.MaxSteps {
		fmt.Fprintf(&b, "  - {name: S%d, action: 'aws:pause', inputs: {}, onFailure: 'step:S%d', nextStep: S%d}\n", i, (i*7)%runbook.MaxSteps, (i*13+500)%runbook.MaxSteps)
	}
	d := parse(t, b.String())
	begun := time.Now()
	for _, draw := range []func(io.Writer, *runbook.Document, string) error{Text, SVG} {
		if err := draw(io.Discard, d, "large"); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d steps drawn twice in %s", runbook.MaxSteps, time.Since(begun))
}

// Whatever the runbook, it is drawn.
func FuzzDraw(f *testing.F) {
	f.Add([]byte(document))
	f.Add([]byte("schemaVersion: '0.3'\nmainSteps: [{name: A, action: 'aws:pause', nextStep: A, onFailure: 'step:A', onCancel: 'step:A'}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := runbook.Parse("x", data)
		if err != nil {
			return
		}
		for _, draw := range []func(io.Writer, *runbook.Document, string) error{Text, SVG} {
			if err := draw(io.Discard, d, "x"); err != nil {
				t.Error(err)
			}
		}
	})
}
