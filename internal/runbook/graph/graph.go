// Package graph draws a runbook: as text for a terminal, and as SVG.
//
// Steps stand below each other in the document's order, those of a loop indented
// after it. A way to the step below is a short arrow; every other way runs in a
// lane beside the steps, which ways to the same step share.
package graph

import (
	"cmp"
	"slices"

	"github.com/knowngood/knowngood/internal/runbook"
)

// row is a step.
type row struct {
	step   *runbook.Step
	depth  int // loops around it
	does   string
	edges  []runbook.Edge
	length int // rows that it and what is inside it take
}

// side is where lanes are.
type side uint8

const (
	forward  side = iota // next, choice and default
	recovery             // failure and cancel
)

// bus is a lane: all ways of a side and a kind to one step.
type bus struct {
	key
	from   []port
	lane   int // from 0, near the steps
	lo, hi int // rows that it spans
}

// key is what ways in one lane have in common.
type key struct {
	side side
	kind runbook.EdgeKind // EdgeNext stands for choices too
	to   int              // row
}

// port is where a way leaves a step: its row and the number of its edge.
type port struct{ row, edge int }

// drawing is a runbook, laid out.
type drawing struct {
	title string
	rows  []row
	buses []*bus
	lanes [2]int // by side
	below map[port]bool
}

func layout(d *runbook.Document, title string) *drawing {
	g := &drawing{title: title, below: map[port]bool{}}
	at := map[string]int{}
	for i, s := range d.Steps() {
		depth := 0
		for l := s.Loop(); l != nil; l = l.Loop() {
			depth++
		}
		at[s.Name] = i
		g.rows = append(g.rows, row{step: s, depth: depth, does: d.Does(s.Name), edges: d.Edges(s.Name), length: size(s)})
	}
	shared := map[key]*bus{}
	for i, r := range g.rows {
		for e, edge := range r.edges {
			to, ok := at[edge.To]
			if edge.To == runbook.End || !ok {
				continue
			}
			p := port{i, e}
			k := key{side: forward, kind: runbook.EdgeNext, to: to}
			if edge.Kind == runbook.EdgeFailure || edge.Kind == runbook.EdgeCancel {
				k.side, k.kind = recovery, edge.Kind
			}
			if k.side == forward && to == i+r.length && g.rows[i].depth == depthOf(d, to) {
				g.below[p] = true // the arrow down
				continue
			}
			b := shared[k]
			if b == nil {
				b = &bus{key: k, lo: to, hi: to}
				shared[k] = b
				g.buses = append(g.buses, b)
			}
			b.from = append(b.from, p)
			b.lo, b.hi = min(b.lo, i), max(b.hi, i)
		}
	}
	g.assign()
	return g
}

func depthOf(d *runbook.Document, i int) int {
	depth := 0
	for l := d.Steps()[i].Loop(); l != nil; l = l.Loop() {
		depth++
	}
	return depth
}

// size is how many rows a step and what is inside it take.
func size(s *runbook.Step) int {
	n := 1
	for _, in := range s.Inside() {
		n += size(in)
	}
	return n
}

// assign gives each bus a lane, short ones near the steps, such that no two in a
// lane overlap.
func (g *drawing) assign() {
	order := slices.Clone(g.buses)
	slices.SortStableFunc(order, func(a, b *bus) int { return cmp.Or(cmp.Compare(a.hi-a.lo, b.hi-b.lo), cmp.Compare(a.lo, b.lo)) })
	for _, s := range []side{forward, recovery} {
		var lanes [][]*bus
		for _, b := range order {
			if b.side != s {
				continue
			}
			free := slices.IndexFunc(lanes, func(lane []*bus) bool {
				return !slices.ContainsFunc(lane, func(o *bus) bool { return b.lo <= o.hi && o.lo <= b.hi })
			})
			if free < 0 {
				free = len(lanes)
				lanes = append(lanes, nil)
			}
			b.lane = free
			lanes[free] = append(lanes[free], b)
		}
		g.lanes[s] = len(lanes)
	}
}

func clip(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
