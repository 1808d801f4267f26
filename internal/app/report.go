package app

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/report"
)

// reportOptions are the flags that say how a scan's results are written, and which of
// them make its exit code.
type reportOptions struct {
	output  string
	reports []string
	fail    string

	failOn threshold     // once checked
	to     []destination // likewise
}

// destination is a form and the file that gets it; the first is "-", standard output.
type destination struct{ form, file string }

// scanForms are the forms of a scan's results.
var scanForms = []string{outputTable, outputJSON, string(report.CSV), string(report.SARIF), string(report.OCSF), string(report.ASFF), string(report.JUnit), string(report.HTML)}

func (o *reportOptions) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.output, "output", outputTable, orList(scanForms))
	cmd.Flags().StringArrayVar(&o.reports, "report", nil, "write the results in a form of --output to a file too, as FORMAT=FILE; may be given several times")
	cmd.Flags().StringVar(&o.fail, "fail-on", string(knowngood.Informational), "least severity of a finding that makes exit code 3: "+orList(severityNames())+"; NONE: none does")
}

func orList(words []string) string {
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// check refuses what can't be done, before the scan. The error is of kind Usage.
func (o *reportOptions) check() error {
	if !slices.Contains(scanForms, o.output) {
		return knowngood.E(knowngood.Usage, "", "--output %s: expected %s", o.output, orList(scanForms))
	}
	o.to = []destination{{o.output, "-"}}
	taken := map[string]bool{"-": true}
	for _, r := range o.reports {
		form, file, ok := strings.Cut(r, "=")
		switch {
		case !ok || file == "":
			return knowngood.E(knowngood.Usage, "", "--report %s: expected FORMAT=FILE", r).WithHint("--report sarif=scan.sarif")
		case !slices.Contains(scanForms, form):
			return knowngood.E(knowngood.Usage, "", "--report %s: there is no form %q; expected %s", r, form, orList(scanForms))
		case file == "-" && len(o.to) == 1 && o.output == outputTable:
			o.to[0].form = form // in the table's place
			continue
		case taken[file]:
			return knowngood.E(knowngood.Usage, "", "--report %s: another report is written there", r)
		}
		if info, err := os.Stat(filepath.Dir(file)); err != nil || !info.IsDir() {
			return knowngood.E(knowngood.Usage, "", "--report %s: there is no folder %s", r, filepath.Dir(file))
		}
		taken[file] = true
		o.to = append(o.to, destination{form, file})
	}
	o.failOn = threshold(strings.ToUpper(o.fail))
	if o.failOn != never && !slices.Contains(severityNames(), string(o.failOn)) {
		return knowngood.E(knowngood.Usage, "", "--fail-on %s: expected %s or NONE", o.fail, strings.Join(severityNames(), ", "))
	}
	return nil
}

// threshold is the least severity that counts, or never.
type threshold knowngood.Severity

const never threshold = "NONE"

func severityNames() []string {
	return []string{string(knowngood.Informational), string(knowngood.Low), string(knowngood.Medium), string(knowngood.High), string(knowngood.Critical)}
}

// reached says whether a finding counts. One whose severity isn't known does.
func (t threshold) reached(s knowngood.Severity) bool {
	at := slices.Index(severityNames(), string(s))
	return t != never && (at < 0 || at >= slices.Index(severityNames(), string(t)))
}

// write writes the results in each form that is asked for. A file is there whole or
// not at all.
func (o *reportOptions) write(s Streams, found *scanReport, g *governance) error {
	full := found.report(g)
	for _, to := range o.to[1:] {
		var text bytes.Buffer
		err := writeForm(&text, to.form, found, full, report.Look{})
		if err == nil {
			err = writeWhole(to.file, text.Bytes())
		}
		if err != nil {
			return &knowngood.Error{Kind: knowngood.Other, Op: "write the report " + to.file, Err: err}
		}
	}
	// Whoever reads stdout may leave early, as head does; the files are there by then.
	if err := writeForm(s.Out, o.to[0].form, found, full, lookOf(s.Out)); err != nil {
		return err
	}
	if o.to[0].form == outputTable {
		printNext(s.Err, found.Findings)
	}
	return nil
}

func writeForm(w io.Writer, form string, found *scanReport, full *report.Report, look report.Look) error {
	switch form {
	case outputTable:
		return report.WriteTable(w, full, look)
	case outputJSON:
		return writeJSON(w, struct {
			*scanReport
			Posture report.Posture `json:"posture"`
		}{found, full.Posture()})
	}
	ok, err := report.Write(w, report.Format(form), full)
	if !ok {
		return knowngood.E(knowngood.Usage, "", "there is no form %q", form)
	}
	return err
}

// lookOf is how a table looks where it is written. NO_COLOR, and a terminal that can
// do nothing, turn the colours off (no-color.org).
func lookOf(w io.Writer) report.Look {
	if !onTerminal(w) {
		return report.Look{}
	}
	look := report.Look{Color: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
	if columns, _, err := term.GetSize(int(w.(*os.File).Fd())); err == nil {
		look.Width = columns
	}
	return look
}

// report is the scan in the form that all others are written from.
func (r *scanReport) report(g *governance) *report.Report {
	s := report.Scan{
		Version: version(), Principal: r.Principal, Places: r.places(), Began: r.Started, Took: time.Duration(r.Seconds * float64(time.Second)),
		Packs: r.Packs, Resources: r.Resources, Calls: r.Calls, Verdicts: r.Evaluations, Findings: r.Findings, Archived: r.Archived, Residuals: r.Residuals,
		Unreadable: r.Unreadable, Affected: g.affected, ARNs: r.arns,
	}
	for _, a := range g.rules.All() {
		d := a.Rule.Definition
		s.Rules = append(s.Rules, report.Rule{Name: a.Name, Pack: a.Pack, Identifier: d.Identifier, Title: d.Title, Description: d.Description, Severity: a.Severity, Controls: d.Controls, Source: d.Source})
	}
	s.Rules = append(s.Rules, g.missing...)
	return report.New(s)
}

// affected are the rules that may lack a verdict because something could not be read:
// all of them, where it is not known which Regions there are.
func (g *governance) affected(e knowngood.ReadError) []string {
	if e.Type != regionsOfAccount {
		return g.rules.Affected(e)
	}
	var names []string
	for _, a := range g.rules.All() {
		names = append(names, a.Name)
	}
	return names
}

// places are the accounts and Regions that were looked at, the caller's own first.
func (r *scanReport) places() []knowngood.Place {
	own := knowngood.Place{Partition: r.partition, Account: r.Account, Region: r.Region}
	return append([]knowngood.Place{own}, slices.DeleteFunc(slices.Clone(r.covered), func(p knowngood.Place) bool { return p == own })...)
}

// printNext says which runs may have been interrupted, and what may be done about
// the first finding that waits for nobody.
func printNext(w io.Writer, found []knowngood.Finding) {
	for _, f := range found {
		if f.State == knowngood.FindingRemediating {
			fmt.Fprintf(w, "the run %s acts on %s; if it was interrupted, knowngood apply %s goes on with it\n", f.RunID, f.ID, f.RunID)
		}
	}
	for _, f := range found {
		if f.Declared == nil && (f.State == knowngood.FindingOpen || f.State == knowngood.FindingUnverified) {
			fmt.Fprintf(w, "next: knowngood plan %s  (reads only; it shows what the fix would do)\n", f.ID)
			return
		}
	}
}

func scanLine(r *scanReport) string {
	return fmt.Sprintf("Scan     %s, %s, %s, %s, %s, %.2f s", plural(len(r.Packs), "pack"), plural(r.Rules, "rule"), plural(r.Resources, "resource"),
		plural(len(r.Evaluations), "evaluation"), plural(r.Calls, "call"), r.Seconds)
}
