package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/finding"
	"github.com/knowngood/knowngood/internal/remedy"
)

// Look is how a terminal shows a table. The zero value is for a file or a pipe: no
// colour, and lines as long as they are.
type Look struct {
	Width int // columns; 0: no limit
	Color bool
}

// leastRoom is the columns that a row's last cell must have; else it is written below.
const leastRoom = 28

// WriteTable writes a report for people. Its last line counts.
func WriteTable(w io.Writer, r *Report, look Look) error {
	t := &table{w: w, look: look}
	t.line(fmt.Sprintf("Scan     %s, %s, %s, %s, %s, %.2f s", plural(len(r.Packs), "pack"), plural(r.inForce(), "rule"), plural(r.Resources, "resource"),
		plural(len(r.Verdicts), "evaluation"), plural(r.Calls, "call"), r.Took.Seconds()))
	t.posture(r.Posture())
	if open := r.open(); len(open) > 0 {
		t.line("\nFindings")
		t.findings(open)
	}
	if len(r.Archived) > 0 {
		t.line(fmt.Sprintf("\n%s archived: no longer a finding, and not verified", plural(len(r.Archived), "finding")))
		rows := make([][]cell, len(r.Archived))
		for i, f := range r.Archived {
			rows[i] = []cell{{text: f.ID}, {text: f.Rule}, {text: f.Resource.ID}, {text: f.Reason}}
		}
		t.rows(rows)
	}
	if len(r.Residuals) > 0 {
		t.line("\nLeft behind by remediations")
		for _, left := range r.Residuals {
			t.line("  " + oneLine(ResidualLine(left)))
		}
	}
	if !r.Whole() {
		t.line("")
		t.gaps(r)
	}
	evaluated, failed := 0, 0
	for i := range r.Verdicts {
		switch r.Verdicts[i].Compliance {
		case knowngood.NonCompliant:
			failed++
			evaluated++
		case knowngood.Compliant:
			evaluated++
		}
	}
	t.line(fmt.Sprintf("\n%d evaluated, %d failed, %d not evaluated, %d unreadable", evaluated, failed, r.Unevaluated(), len(r.Unreadable)))
	return t.err
}

// WriteFindings writes each finding in a row.
func WriteFindings(w io.Writer, list []knowngood.Finding, look Look) error {
	t := &table{w: w, look: look}
	t.findings(list)
	return t.err
}

// open gives what failed as findings, the most severe first. A result that the store
// keeps no finding of is one too.
func (r *Report) open() []knowngood.Finding {
	var out []knowngood.Finding
	for i := range r.Results {
		res := &r.Results[i]
		switch {
		case res.Status != Failed:
		case res.Finding != nil:
			out = append(out, *res.Finding)
		default:
			out = append(out, knowngood.Finding{ID: res.ID(), Rule: res.Rule.Name, Pack: res.Rule.Pack, Severity: res.Severity(), Resource: res.Resource, Annotation: res.Annotation, State: knowngood.FindingOpen})
		}
	}
	finding.Sort(out)
	return out
}

func (r *Report) inForce() int {
	n := 0
	for i := range r.Rules {
		if r.Rules[i].Missing == "" {
			n++
		}
	}
	return n
}

// ResidualLine says what a remediation left behind.
func ResidualLine(r knowngood.Residual) string {
	return fmt.Sprintf("%s, replaced by %s; owner %s, %s a month, delete after %s", r.Resource.ID, r.ReplacedBy, cmp.Or(r.Owner, "nobody"), remedy.Dollars(r.MonthlyCost), r.DeleteAfter.Format(time.DateOnly))
}

// cell is a text and the colour that it has where there are colours.
type cell struct{ text, color string }

// ANSI colours. Each is beside a word that says the same.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	bold   = "1"
)

func (s Status) color() string {
	return map[Status]string{Passed: green, Failed: red, NotEvaluated: yellow}[s]
}

type table struct {
	w    io.Writer
	look Look
	err  error // the first
}

func (t *table) line(s string) {
	if t.err == nil {
		_, t.err = fmt.Fprintln(t.w, strings.TrimRight(s, " "))
	}
}

func (t *table) paint(c cell) string {
	if !t.look.Color || c.color == "" || c.text == "" {
		return c.text
	}
	return "\x1b[" + c.color + "m" + c.text + "\x1b[0m"
}

// rows writes rows of which the last cell may be long: beside the others where the
// terminal is wide enough, else below them. All cells are made harmless.
func (t *table) rows(rows [][]cell) {
	var widths []int
	for _, row := range rows {
		for i := range row {
			row[i].text = oneLine(row[i].text)
			if i == len(row)-1 {
				continue
			}
			if t.look.Width > 0 {
				row[i].text = cut(row[i].text, max(t.look.Width-4, 8))
			}
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], width(row[i].text))
		}
	}
	taken := 2
	for _, n := range widths {
		taken += n + 2
	}
	below := t.look.Width > 0 && t.look.Width-taken < leastRoom
	for _, row := range rows {
		last := row[len(row)-1]
		if below {
			t.stacked(row, last)
			continue
		}
		head := "  "
		for i, c := range row[:len(row)-1] {
			head += t.paint(c) + strings.Repeat(" ", widths[i]-width(c.text)+2)
		}
		room := 0
		if t.look.Width > 0 {
			room = t.look.Width - taken
		}
		for i, part := range wrap(last.text, room) {
			if i > 0 {
				head = strings.Repeat(" ", taken)
			}
			t.line(head + t.paint(cell{part, last.color}))
		}
	}
}

// stacked writes a row in several lines, each cell whole where it can be.
func (t *table) stacked(row []cell, last cell) {
	line, used := "  ", 2
	for _, c := range row[:len(row)-1] {
		if c.text == "" {
			continue
		}
		if used > 4 && used+width(c.text) > t.look.Width {
			t.line(line)
			line, used = "    ", 4
		}
		line += t.paint(c) + "  "
		used += width(c.text) + 2
	}
	t.line(line)
	if last.text == "" {
		return
	}
	for _, part := range wrap(last.text, t.look.Width-6) {
		t.line("      " + t.paint(cell{part, last.color}))
	}
}

// wrap breaks a text between words into lines of at most room columns, and within a
// word that is longer; room 0 or less is no limit.
func wrap(s string, room int) []string {
	if room <= 0 || width(s) <= room {
		return []string{s}
	}
	room = max(room, 8)
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		for width(word) > room {
			if line != "" {
				lines, line = append(lines, line), ""
			}
			runes := []rune(word)
			lines, word = append(lines, string(runes[:room])), string(runes[room:])
		}
		switch {
		case line == "":
			line = word
		case width(line)+1+width(word) <= room:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	return append(lines, line)
}

// maxGroups bounds the groups of one kind that are shown; those that passed are left
// out first.
const maxGroups = 12

// posture shows the groups that tell something: where there is one only, the last line
// says it all.
func (t *table) posture(p Posture) {
	var rows [][]cell
	for _, d := range p.dimensions() {
		groups := d.groups
		if len(groups) < 2 {
			continue
		}
		left := map[Status]int{}
		if len(groups) > maxGroups {
			groups = slices.DeleteFunc(slices.Clone(groups), func(g Group) bool {
				drop := g.Status == Passed || g.Status == NoResources
				if drop {
					left[g.Status]++
				}
				return drop
			})
			groups = worstFirst(groups)
		}
		name := "by " + d.name
		for i, g := range groups {
			if i == 2*maxGroups {
				rows = append(rows, []cell{{text: name}, {text: fmt.Sprintf("and %d more", len(groups)-i)}, {text: "not passed"}, {}})
				break
			}
			rows = append(rows, []cell{{text: name}, {text: strings.Replace(g.Name, "CIS AWS Foundations Benchmark", "CIS", 1)}, {g.label(), g.Status.color()}, {text: brief(g)}})
			name = ""
		}
		for _, s := range []Status{Passed, NoResources} {
			if left[s] > 0 {
				rows = append(rows, []cell{{text: name}, {text: fmt.Sprintf("and %d more", left[s])}, {Group{Status: s}.label(), s.color()}, {}})
				name = ""
			}
		}
	}
	if len(rows) > 0 {
		t.line("\nPosture")
		t.rows(rows)
	}
}

// brief is a group's counts, save those that are zero.
func brief(g Group) string {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{g.Failed, "failed"}, {g.NotEvaluated, "not evaluated"}, {g.Passed, "passed"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	return strings.Join(parts, ", ")
}

func (t *table) findings(list []knowngood.Finding) {
	colors := map[knowngood.Severity]string{knowngood.Critical: red + ";" + bold, knowngood.High: red, knowngood.Medium: yellow}
	rows := make([][]cell, len(list))
	for i, f := range list {
		what := f.Annotation
		if finding.Unconfirmed(f) {
			what = f.Reason // the annotation is of an earlier scan
		}
		if f.Title != "" {
			what = f.Title + ": " + what
		}
		if f.State != knowngood.FindingOpen {
			what += " [" + string(f.State) + "]"
		}
		rows[i] = []cell{{string(f.Severity), colors[f.Severity]}, {text: f.ID}, {text: f.Rule}, {text: f.Resource.ID}, {text: what}}
	}
	t.rows(rows)
}

// maxAlike bounds the lines for gaps that are alike.
const maxAlike = 3

// gaps lists what could not be read and what was not evaluated. Of many that are alike
// the first are shown, and how many there are more.
func (t *table) gaps(r *Report) {
	shown := map[string]int{}
	var more []string
	say := func(kind, like, line string) {
		if shown[like]++; shown[like] > maxAlike {
			if shown[like] == maxAlike+1 {
				more = append(more, like)
			}
			return
		}
		for i, part := range wrap(oneLine(line), t.look.Width-15) {
			if i > 0 {
				kind = ""
			}
			t.line(t.paint(cell{fmt.Sprintf("%-15s", kind), yellow}) + part)
		}
	}
	flush := func(kind string) {
		for _, like := range more {
			t.line(t.paint(cell{fmt.Sprintf("%-15s", kind), yellow}) + fmt.Sprintf("and %d more: %s", shown[like]-maxAlike, oneLine(like)))
		}
		more = nil
		clear(shown)
	}
	regions := map[string]bool{}
	for _, p := range r.Places {
		regions[p.Account+"/"+p.Region] = true
	}
	for _, e := range r.Unreadable {
		call := fmt.Sprintf("%s:%s: %s", e.Service, e.Operation, e.Code)
		where := ""
		if len(regions) > 1 {
			where = " in " + e.Account + "/" + e.Region
		}
		id := e.ID
		if id != "" {
			id += " "
		}
		say("unreadable", e.Type+" "+call, e.Type+" "+id+call+where)
	}
	flush("unreadable")
	for i := range r.Rules {
		if rule := &r.Rules[i]; rule.Missing != "" {
			where := ""
			if rule.Where != "" {
				where = " (" + rule.Where + ")"
			}
			say("not evaluated", rule.Missing, rule.Name+where+": "+rule.Missing)
		}
	}
	for i := range r.Verdicts {
		if e := &r.Verdicts[i]; e.Compliance == knowngood.InsufficientData {
			say("not evaluated", e.Rule, fmt.Sprintf("%s on %s: %s", e.Rule, e.Resource.ID, e.Annotation))
		}
	}
	flush("not evaluated")
}
