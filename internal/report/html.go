package report

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	_ "embed" // for the page's parts
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/finding"
)

var (
	//go:embed page/page.tmpl
	pageText string
	//go:embed page/page.css
	pageStyle string
	//go:embed page/page.js
	pageScript string
)

// pageData is what the page shows. Everything is escaped by html/template, save the
// style and script, which are ours; the page's policy lets nothing else run or load.
type pageData struct {
	Style                 template.CSS
	Script                template.JS
	StyleHash, ScriptHash string
	Headline              string
	Began, BeganText      string
	Whole                 bool
	Facts                 []pageFact
	Counts, Share         string
	Arcs                  []pageArc
	Legend                []pageLegend
	Levels                []pageLevel
	LevelsHeight          int
	LevelsText            string
	Dimensions            []pageDimension
	Findings, Gaps        []pageRow
	GapCount              int
	Unreadable            []knowngood.ReadError
	Rules                 []pageRule
	Foot                  string
}

type (
	pageFact struct{ Name, Value string }
	pageArc  struct {
		Class         string
		Start, Length int // thousandths of the ring
	}
	pageLegend struct {
		Class, Label string
		Count        int
	}
	pageLevel struct {
		Name, Class string
		Y, TextY    int
		Width       int // of 160
		Count       int
	}
	pageDimension struct {
		Name, Title, Summary string
		Open                 bool
		Groups               []pageGroup
	}
	pageGroup struct {
		Group
		Class, Label, Text string
		Bars               []pageBar
	}
	pageBar struct {
		Class    string
		X, Width string // hundredths of the bar
	}
	pageRow struct {
		Severity, Class, Title, Why, RuleName, Controls string
		Rule                                            int
		Resource, Name, Account, Region, ID, State      string
	}
	pageRule struct {
		Index                                                       int
		Name, Page, Pack, Severity, Class, Label, Text, Description string
		Controls                                                    string
	}
)

// writeHTML writes one page that needs nothing else.
func writeHTML(w io.Writer, r *Report) error {
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return fmt.Errorf("the report's page: %w", err)
	}
	out := bufio.NewWriter(w)
	if err := t.Execute(out, newPage(r)); err != nil {
		return err
	}
	return out.Flush()
}

func newPage(r *Report) *pageData {
	style, script := strings.TrimSpace(pageStyle), strings.TrimSpace(pageScript)
	posture := r.Posture()
	d := &pageData{
		Style: template.CSS(style), Script: template.JS(script), StyleHash: sourceHash(style), ScriptHash: sourceHash(script),
		Headline: headline(posture.All, r.Whole()), Began: stamp(r.Began), BeganText: r.Began.UTC().Format("2 January 2006, 15:04 UTC"), Whole: r.Whole(), Unreadable: r.Unreadable,
		Counts: counts(posture.All), Share: "–", Facts: facts(r), Dimensions: dimensions(posture),
		Foot: fmt.Sprintf("knowngood %s. %s read with %s in %s. No script is needed to read this page, and it loads nothing.", r.Version, plural(r.Resources, "resource"), plural(r.Calls, "call"), r.Took.Round(10*time.Millisecond)),
	}
	if n := posture.All.Total(); n > 0 {
		d.Share = fmt.Sprintf("%d%%", posture.All.Passed*100/n) // rounded down: 100% is all
	}
	d.rings(posture.All)
	d.rules(r)
	d.rows(r)
	d.levels(r)
	return d
}

// sourceHash is how a Content-Security-Policy names an inline part.
func sourceHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func headline(all Group, whole bool) string {
	switch {
	case all.Failed > 0:
		return plural(all.Failed, "finding")
	case !whole:
		return "No finding in what was evaluated"
	}
	return "No findings"
}

func facts(r *Report) []pageFact {
	var accounts, regions []string
	for _, p := range r.Places {
		accounts, regions = append(accounts, p.Account), append(regions, p.Region)
	}
	return []pageFact{
		{"Account", strings.Join(distinct(accounts), ", ")}, {"Region", strings.Join(distinct(regions), ", ")},
		{"Principal", r.Principal}, {"Packs", strings.Join(r.Packs, ", ")},
	}
}

func distinct(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

func counts(g Group) string {
	return fmt.Sprintf("%d failed, %d not evaluated, %d passed", g.Failed, g.NotEvaluated, g.Passed)
}

// classes are the CSS classes of statuses, labels what people read.
func (s Status) class() string {
	return map[Status]string{Passed: "passed", Failed: "failed", NotEvaluated: "gap", NoResources: "empty"}[s]
}

// label is what people read of a group's status.
func (g Group) label() string {
	switch {
	case g.Status == NotEvaluated && g.Passed > 0:
		return "not wholly evaluated"
	case g.Status == NotEvaluated:
		return "not evaluated"
	case g.Status == NoResources:
		return "no resources"
	}
	return strings.ToLower(string(g.Status))
}

// rings draws the results as parts of a ring: what failed first.
func (d *pageData) rings(all Group) {
	seen := 0
	for _, part := range []struct {
		s Status
		n int
	}{{Failed, all.Failed}, {NotEvaluated, all.NotEvaluated}, {Passed, all.Passed}} {
		d.Legend = append(d.Legend, pageLegend{part.s.class(), strings.ToLower(strings.ReplaceAll(string(part.s), "_", " ")), part.n})
		if part.n > 0 {
			start, end := seen*1000/all.Total(), (seen+part.n)*1000/all.Total()
			d.Arcs = append(d.Arcs, pageArc{part.s.class(), start, max(end-start, 3)}) // few of many are seen too
			seen += part.n
		}
	}
}

func dimensions(p Posture) []pageDimension {
	var out []pageDimension
	for _, dim := range p.dimensions() {
		view := pageDimension{Name: dim.name, Title: strings.ToUpper(dim.name[:1]) + dim.name[1:], Open: len(dim.groups) <= maxGroups}
		by := map[Status]int{}
		groups := dim.groups
		if len(groups) > maxGroups {
			groups = worstFirst(groups)
		}
		for _, g := range groups {
			by[g.Status]++
			view.Groups = append(view.Groups, pageGroup{Group: g, Class: g.Status.class(), Label: g.label(), Text: counts(g), Bars: bars(g)})
		}
		view.Summary = fmt.Sprintf("%d failed, %d not wholly evaluated, %d passed", by[Failed], by[NotEvaluated], by[Passed])
		out = append(out, view)
	}
	return out
}

func bars(g Group) []pageBar {
	var out []pageBar
	at := 0.0
	for _, part := range []struct {
		s Status
		n int
	}{{Failed, g.Failed}, {NotEvaluated, g.NotEvaluated}, {Passed, g.Passed}} {
		if part.n > 0 {
			w := float64(part.n) * 100 / float64(g.Total())
			out = append(out, pageBar{part.s.class(), fmt.Sprintf("%.2f", at), fmt.Sprintf("%.2f", w)})
			at += w
		}
	}
	return out
}

func (d *pageData) rules(r *Report) {
	by := map[*Rule]*Group{}
	for i := range r.Results {
		res := &r.Results[i]
		if by[res.Rule] == nil {
			by[res.Rule] = &Group{}
		}
		by[res.Rule].count(res.Status)
	}
	all := make([]*Rule, 0, len(by))
	for i := range r.Rules {
		all = append(all, &r.Rules[i])
		if by[&r.Rules[i]] == nil {
			by[&r.Rules[i]] = &Group{Status: NoResources}
		}
	}
	for rule := range by {
		if !slices.Contains(all, rule) {
			all = append(all, rule) // in force no more, with an open finding
		}
	}
	slices.SortFunc(all, func(a, b *Rule) int { return cmp.Or(strings.Compare(a.Pack, b.Pack), strings.Compare(a.Name, b.Name)) })
	for i, rule := range all {
		g := *by[rule]
		d.Rules = append(d.Rules, pageRule{
			Index: i, Name: rule.Name, Page: rule.page(), Pack: rule.Pack, Severity: string(rule.Severity), Class: g.Status.class(), Label: g.label(), Text: counts(g),
			Description: cmp.Or(rule.Missing, rule.Description, rule.Title), Controls: strings.Join(rule.Controls, ", "),
		})
	}
}

// rows lists what failed, the most severe first, and what was not evaluated.
func (d *pageData) rows(r *Report) {
	index := map[string]int{}
	for _, rule := range d.Rules {
		index[rule.Name] = rule.Index
	}
	for i := range r.Results {
		res := &r.Results[i]
		row := pageRow{
			Severity: string(res.Severity()), Class: strings.ToLower(string(res.Severity())), Title: res.Title(), Why: res.Annotation, RuleName: res.Rule.Name, Rule: index[res.Rule.Name],
			Controls: strings.Join(res.Rule.Controls, ", "), Resource: res.Name(), Account: res.Resource.Account, Region: res.Resource.Region, ID: res.ID(),
		}
		switch res.Status {
		case Failed:
			if f := res.Finding; f != nil {
				row.Name, row.State = f.Title, string(f.State)
				if finding.Unconfirmed(*f) {
					row.State += ", not confirmed"
				}
			}
			d.Findings = append(d.Findings, row)
		case NotEvaluated:
			if res.Resource.ID == Every {
				row.Resource = "all of type " + res.Resource.Type
			}
			d.Gaps = append(d.Gaps, row)
		}
	}
	slices.SortStableFunc(d.Findings, func(a, b pageRow) int {
		return cmp.Or(cmp.Compare(rank(a.Severity), rank(b.Severity)), strings.Compare(a.RuleName, b.RuleName))
	})
	d.GapCount = len(d.Gaps)
}

// levels draws how many findings each severity has.
func (d *pageData) levels(r *Report) {
	by := map[string]int{}
	most := 1
	for _, row := range d.Findings {
		by[row.Severity]++
		most = max(most, by[row.Severity])
	}
	var texts []string
	for i, s := range severities {
		n := by[string(s)]
		width := n * 160 / most
		if n > 0 {
			width = max(width, 3)
		}
		d.Levels = append(d.Levels, pageLevel{Name: string(s), Class: strings.ToLower(string(s)), Y: 4 + i*22, TextY: 11 + i*22, Width: width, Count: n})
		texts = append(texts, fmt.Sprintf("%d %s", n, strings.ToLower(string(s))))
	}
	d.LevelsHeight = 4 + len(severities)*22
	d.LevelsText = strings.Join(texts, ", ")
}
