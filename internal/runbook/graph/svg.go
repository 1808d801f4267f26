package graph

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/knowngood/knowngood/internal/runbook"
)

// Measures of the drawing, in pixels.
const (
	margin  = 24
	box     = 380 // width of a step
	indent  = 28
	tall    = 44 // of a step without choices
	choice  = 20 // for each choice of a branch
	gap     = 22
	spacing = 16 // between lanes
	gutter  = 18 // between the steps and the first lane
)

// style is the look of one kind of way.
type style struct{ color, dash, word string }

var styles = map[runbook.EdgeKind]style{
	runbook.EdgeNext:    {"#3b5b92", "", "next"},
	runbook.EdgeFailure: {"#b3261e", "5 3", "on failure"},
	runbook.EdgeCancel:  {"#a15c00", "2 3", "on cancel"},
}

// fills are the colours of steps, by what they do.
func fill(action string) (inside, border string) {
	switch action {
	case "aws:branch", "aws:loop":
		return "#eef3fb", "#3b5b92"
	case "aws:approve", "aws:pause", "aws:sleep", "aws:waitForAwsResourceProperty", "aws:assertAwsResourceProperty":
		return "#fdf6e3", "#a08a3c"
	}
	return "#ffffff", "#5f6b7a"
}

type svgDrawing struct {
	*drawing
	y      []int // top of each row
	height []int
	left   int // x where the steps begin
	out    strings.Builder
}

// SVG draws a runbook as a picture that stands alone. Ways on the right are those
// that a branch or nextStep takes, those on the left follow a failure or a cancel
// request.
func SVG(w io.Writer, d *runbook.Document, title string) error {
	g := &svgDrawing{drawing: layout(d, title)}
	g.left = margin + gutter + spacing*g.lanes[recovery]
	top := margin + 56
	for _, r := range g.rows {
		h := tall + choice*len(g.choices(r))
		g.y, g.height = append(g.y, top), append(g.height, h)
		top += h + gap
	}
	deepest := 0
	for _, r := range g.rows {
		deepest = max(deepest, r.depth)
	}
	width := g.left + box + indent*deepest + gutter + spacing*g.lanes[forward] + margin + 12
	height := top + margin
	fmt.Fprintf(&g.out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="Helvetica, Arial, sans-serif">`+"\n", width, height, width, height)
	g.out.WriteString("<defs>\n")
	for _, kind := range []runbook.EdgeKind{runbook.EdgeNext, runbook.EdgeFailure, runbook.EdgeCancel} {
		fmt.Fprintf(&g.out, `<marker id="%s" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" fill="%s"/></marker>`+"\n", kind, styles[kind].color)
	}
	g.out.WriteString("</defs>\n")
	fmt.Fprintf(&g.out, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	g.text(margin, margin+14, 17, "#1f2933", "bold", clip(title, 70))
	g.legend()
	g.loops()
	for i := range g.rows {
		g.step(i)
		g.down(i)
	}
	for _, b := range g.buses {
		g.lane(b)
	}
	g.out.WriteString("</svg>\n")
	_, err := io.WriteString(w, g.out.String())
	return err
}

// choices are the edges that have a line of their own in the box.
func (g *svgDrawing) choices(r row) []runbook.Edge {
	var out []runbook.Edge
	for _, e := range r.edges {
		if e.Kind == runbook.EdgeChoice || e.Kind == runbook.EdgeDefault {
			out = append(out, e)
		}
	}
	return out
}

func (g *svgDrawing) text(x, y, size int, color, weight, s string) {
	if s == "" {
		return
	}
	var escaped strings.Builder
	if err := xml.EscapeText(&escaped, []byte(s)); err != nil {
		return // a strings.Builder takes everything
	}
	if weight != "" {
		weight = fmt.Sprintf(` font-weight="%s"`, weight)
	}
	fmt.Fprintf(&g.out, `<text x="%d" y="%d" font-size="%d" fill="%s"%s>%s</text>`+"\n", x, y, size, color, weight, escaped.String())
}

// legend says what the lines mean that there are.
func (g *svgDrawing) legend() {
	x, y := margin, margin+38
	for _, kind := range []runbook.EdgeKind{runbook.EdgeNext, runbook.EdgeFailure, runbook.EdgeCancel} {
		if kind != runbook.EdgeNext && !slices.ContainsFunc(g.buses, func(b *bus) bool { return b.kind == kind }) {
			continue
		}
		s := styles[kind]
		g.path(fmt.Sprintf("M%d %dH%d", x, y-4, x+26), kind, true)
		g.text(x+32, y, 12, s.color, "", s.word)
		x += 120
	}
}

func (g *svgDrawing) path(d string, kind runbook.EdgeKind, arrow bool) {
	s := styles[kind]
	dash, end := "", ""
	if s.dash != "" {
		dash = fmt.Sprintf(` stroke-dasharray="%s"`, s.dash)
	}
	if arrow {
		end = fmt.Sprintf(` marker-end="url(#%s)"`, kind)
	}
	fmt.Fprintf(&g.out, `<path d="%s" fill="none" stroke="%s" stroke-width="1.5"%s%s/>`+"\n", d, s.color, dash, end)
}

func (g *svgDrawing) x(i int) int { return g.left + indent*g.rows[i].depth }

// loops draws a frame around each loop and what is inside it.
func (g *svgDrawing) loops() {
	for i, r := range g.rows {
		if r.length == 1 {
			continue
		}
		last := i + r.length - 1
		deepest := 0
		for _, inside := range g.rows[i : last+1] {
			deepest = max(deepest, inside.depth-r.depth)
		}
		fmt.Fprintf(&g.out, `<rect x="%d" y="%d" width="%d" height="%d" rx="8" fill="#f6f8fc" stroke="#9fb3d1" stroke-dasharray="4 3"/>`+"\n",
			g.x(i)-8, g.y[i]-8, box+indent*deepest+16, g.y[last]+g.height[last]-g.y[i]+16)
	}
}

func (g *svgDrawing) step(i int) {
	r := g.rows[i]
	x, y := g.x(i), g.y[i]
	inside, border := fill(r.step.Action)
	fmt.Fprintf(&g.out, `<rect x="%d" y="%d" width="%d" height="%d" rx="6" fill="%s" stroke="%s"/>`+"\n", x, y, box, g.height[i], inside, border)
	g.text(x+12, y+19, 14, "#1f2933", "bold", clip(r.step.Name, 46))
	what := strings.TrimPrefix(r.step.Action, "aws:")
	if r.does != "" {
		what += " · " + strings.Join(strings.Fields(r.does), " ")
	}
	g.text(x+12, y+36, 11, "#52606d", "", clip(what, 56))
	n := 0
	for e, edge := range r.edges {
		if edge.Kind != runbook.EdgeChoice && edge.Kind != runbook.EdgeDefault {
			continue
		}
		label := clip(edge.Label, 48)
		switch {
		case g.below[port{i, e}]:
			label += " ↓"
		case edge.To == runbook.End && r.depth > 0:
			label += " → end of the round"
		case edge.To == runbook.End:
			label += " → end"
		}
		g.text(x+24, y+tall+choice*n+13, 12, "#24406e", "", label)
		n++
	}
	if len(g.choices(r)) == 0 && len(r.edges) > 0 && r.edges[0].To == runbook.End && r.depth == 0 {
		fmt.Fprintf(&g.out, `<circle cx="%d" cy="%d" r="5" fill="#1f2933"/>`+"\n", x+box-16, y+15)
	}
}

// down draws the arrow to the step below.
func (g *svgDrawing) down(i int) {
	r := g.rows[i]
	draw := func(to int, from int) {
		x := g.x(to) + box/2
		g.path(fmt.Sprintf("M%d %dV%d", x, from, g.y[to]-1), runbook.EdgeNext, true)
	}
	for e := range r.edges {
		if !g.below[port{i, e}] {
			continue
		}
		last := i + r.length - 1
		from := g.y[last] + g.height[last]
		if r.length > 1 {
			from += 8 // the frame
		}
		draw(i+r.length, from)
		break
	}
	if r.length > 1 {
		draw(i+1, g.y[i]+g.height[i])
	}
}

// portY is where a way leaves a row.
func (g *svgDrawing) portY(p port) int {
	n := 0
	for e, edge := range g.rows[p.row].edges {
		if edge.Kind != runbook.EdgeChoice && edge.Kind != runbook.EdgeDefault {
			continue
		}
		if e == p.edge {
			return g.y[p.row] + tall + choice*n + 9
		}
		n++
	}
	return g.y[p.row] + 30
}

// lane draws a bus: a line beside the steps that ways join, and an arrow to the
// step that they lead to.
func (g *svgDrawing) lane(b *bus) {
	edge := func(row int) int { return g.x(row) + box }
	lane := g.left + box + gutter + spacing*b.lane + 8
	for _, r := range g.rows {
		lane = max(lane, g.left+box+indent*r.depth+gutter+spacing*b.lane+8)
	}
	target := g.y[b.to] + 12
	if b.side == recovery {
		edge = g.x
		lane = g.left - gutter - spacing*b.lane
		if b.kind == runbook.EdgeCancel {
			target += 10
		}
	}
	lo, hi := target, target
	for _, p := range b.from {
		y := g.portY(p)
		if b.side == recovery {
			y = g.y[p.row] + 26
			if b.kind == runbook.EdgeCancel {
				y += 10
			}
		}
		g.path(fmt.Sprintf("M%d %dH%d", edge(p.row), y, lane), b.kind, false)
		lo, hi = min(lo, y), max(hi, y)
	}
	g.path(fmt.Sprintf("M%d %dV%d", lane, lo, hi), b.kind, false)
	g.path(fmt.Sprintf("M%d %dH%d", lane, target, edge(b.to)), b.kind, true)
}
