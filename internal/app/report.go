package app

import (
	"fmt"
	"io"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/finding"
	"github.com/knowngood/knowngood/internal/remedy"
)

// printReport shows a scan as a table. Its last line counts.
func printReport(w io.Writer, r *scanReport) {
	fmt.Fprintln(w, scanLine(r))
	printFindings(w, r.Findings)
	if len(r.Archived) > 0 {
		fmt.Fprintf(w, "\n%s archived: no longer a finding, and not verified\n", plural(len(r.Archived), "finding"))
		rows := make([][]string, len(r.Archived))
		for i, f := range r.Archived {
			rows[i] = []string{f.ID, f.Rule, f.Resource.ID, f.Reason}
		}
		columns(w, "  ", rows)
	}
	if len(r.Residuals) > 0 {
		fmt.Fprintln(w, "\nLeft behind by remediations")
		for _, left := range r.Residuals {
			fmt.Fprintf(w, "  %s\n", residualLine(left))
		}
	}
	for _, e := range r.Unreadable {
		fmt.Fprintf(w, "unreadable     %s %s%s:%s: %s\n", e.Type, spaced(e.ID), e.Service, e.Operation, e.Code)
	}
	for _, why := range r.NotEvaluated {
		fmt.Fprintf(w, "not evaluated  %s\n", why)
	}
	evaluated, failed := 0, 0
	for _, e := range r.Evaluations {
		switch e.Compliance {
		case knowngood.NonCompliant:
			failed++
			evaluated++
		case knowngood.Compliant:
			evaluated++
		}
	}
	fmt.Fprintf(w, "\n%d evaluated, %d failed, %d not evaluated, %d unreadable\n", evaluated, failed, len(r.NotEvaluated), len(r.Unreadable))
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
		if f.State == knowngood.FindingOpen || f.State == knowngood.FindingUnverified {
			fmt.Fprintf(w, "next: knowngood plan %s  (reads only; it shows what the fix would do)\n", f.ID)
			return
		}
	}
}

func spaced(s string) string {
	if s == "" {
		return ""
	}
	return s + " "
}

func scanLine(r *scanReport) string {
	return fmt.Sprintf("Scan     %s, %s, %s, %s, %s, %.2f s", plural(len(r.Packs), "pack"), plural(r.Rules, "rule"), plural(r.Resources, "resource"),
		plural(len(r.Evaluations), "evaluation"), plural(r.Calls, "call"), r.Seconds)
}

// printFindings shows each finding in a line.
func printFindings(w io.Writer, found []knowngood.Finding) {
	rows := make([][]string, len(found))
	for i, f := range found {
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
		rows[i] = []string{string(f.Severity), f.ID, f.Rule, f.Resource.ID, what}
	}
	columns(w, "  ", rows)
}

func residualLine(r knowngood.Residual) string {
	owner := r.Owner
	if owner == "" {
		owner = "nobody"
	}
	return fmt.Sprintf("%s, replaced by %s; owner %s, %s a month, delete after %s", r.Resource.ID, r.ReplacedBy, owner, remedy.Dollars(r.MonthlyCost), r.DeleteAfter.Format(time.DateOnly))
}
