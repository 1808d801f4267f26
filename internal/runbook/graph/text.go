package graph

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/knowngood/knowngood/internal/runbook"
)

// Text draws a runbook for a terminal: a line for each step and one for each way
// that does not lead to the step below. Forward ways have lanes on the left, ways
// after a failure or a cancel request are named.
func Text(w io.Writer, d *runbook.Document, title string) error {
	g := layout(d, title)
	t := &textDrawing{drawing: g, leaving: map[port]*bus{}, arriving: map[int]*bus{}, spans: map[*bus][2]int{}}
	for _, b := range g.buses {
		if b.side == forward {
			t.arriving[b.to] = b
			for _, p := range b.from {
				t.leaving[p] = b
			}
		}
	}
	widest := 0
	for _, r := range g.rows {
		widest = max(widest, 2*r.depth+utf8.RuneCountInString(r.step.Name))
	}
	t.name = min(widest, 44)
	t.lines()
	for i, l := range t.list {
		for _, b := range []*bus{l.leaves, l.arrives} {
			if b == nil {
				continue
			}
			span, begun := t.spans[b]
			if !begun {
				span[0] = i
			}
			span[1] = i
			t.spans[b] = span
		}
	}
	var out strings.Builder
	if title != "" {
		out.WriteString(title + "\n\n")
	}
	for i, l := range t.list {
		out.WriteString(strings.TrimRight(t.gutter(i)+l.text, " ") + "\n")
	}
	_, err := io.WriteString(w, out.String())
	return err
}

type textDrawing struct {
	*drawing
	leaving  map[port]*bus
	arriving map[int]*bus
	name     int
	list     []line
	spans    map[*bus][2]int // first and last line
}

// line is a line of the drawing. A bus begins and ends at lines.
type line struct {
	text    string
	leaves  *bus // whose lane this line's way joins
	arrives *bus // whose lane ends here
}

var marks = map[string]string{"aws:branch": "◆", "aws:loop": "↻", "aws:approve": "☐", "aws:pause": "☐"}

func (t *textDrawing) lines() {
	for i, r := range t.rows {
		indent := strings.Repeat("  ", r.depth)
		mark := marks[r.step.Action]
		if mark == "" {
			mark = "●"
		}
		name := clip(r.step.Name, t.name-2*r.depth)
		pad := strings.Repeat(" ", max(0, t.name-2*r.depth-utf8.RuneCountInString(name)))
		what := strings.TrimPrefix(r.step.Action, "aws:")
		if r.does != "" {
			what += "  " + clip(strings.Join(strings.Fields(r.does), " "), 60)
		}
		t.list = append(t.list, line{text: fmt.Sprintf("%s%s %s%s  %s", indent, mark, name, pad, what), arrives: t.arriving[i]})
		for e, edge := range r.edges {
			p := port{i, e}
			word := ""
			switch edge.Kind {
			case runbook.EdgeFailure:
				word = "✗ fails → "
			case runbook.EdgeCancel:
				word = "⊘ cancelled → "
			case runbook.EdgeNext:
				if t.below[p] {
					continue
				}
				word = "→ "
			default:
				word = clip(edge.Label, 60) + " → "
			}
			to := edge.To
			if to == runbook.End {
				if edge.Kind == runbook.EdgeNext && i+1 == len(t.rows) {
					continue // the last step
				}
				to = "end"
				if r.depth > 0 {
					if edge.Kind == runbook.EdgeNext && !r.step.IsEnd {
						continue // of the loop's last step
					}
					to = "end of the round"
				}
			}
			t.list = append(t.list, line{text: indent + "  " + word + to, leaves: t.leaving[p]})
		}
	}
}

// gutter draws the lanes beside a line.
func (t *textDrawing) gutter(at int) string {
	lanes := t.lanes[forward]
	if lanes == 0 {
		return ""
	}
	cells := []rune(strings.Repeat(" ", 2*lanes+1))
	column := func(lane int) int { return 2 * (lanes - 1 - lane) }
	rule := func(from int, end rune) {
		for c := from; c < len(cells)-1; c++ {
			switch cells[c] {
			case '│':
				cells[c] = '┼'
			case ' ':
				cells[c] = '─'
			}
		}
		cells[len(cells)-1] = end
	}
	var mine []*bus
	for _, b := range t.buses {
		if b.side != forward {
			continue
		}
		first, last := t.spans[b][0], t.spans[b][1]
		if at > first && at < last {
			cells[column(b.lane)] = '│'
		}
		if at >= first && at <= last && (t.list[at].leaves == b || t.list[at].arrives == b) {
			mine = append(mine, b)
		}
	}
	for _, b := range mine {
		first, last := t.spans[b][0], t.spans[b][1]
		corner := '├'
		switch at {
		case first:
			corner = '╭'
		case last:
			corner = '╰'
		}
		c := column(b.lane)
		cells[c] = corner
		end := '─'
		if t.list[at].arrives == b {
			end = '▶'
		}
		rule(c+1, end)
	}
	return string(cells)
}
