package report

import (
	"encoding/csv"
	"io"
	"strings"
	"time"
)

// csvColumns are fixed: new ones come last.
var csvColumns = []string{
	"status", "severity", "rule", "identifier", "pack", "controls", "account_id", "region", "resource_type", "resource_id", "arn",
	"title", "annotation", "finding_id", "finding_state", "opened", "evaluated",
}

// writeCSV writes one record for each result, as RFC 4180 has it.
func writeCSV(w io.Writer, r *Report) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write(csvColumns); err != nil {
		return err
	}
	for i := range r.Results {
		res := &r.Results[i]
		state, id, opened := "", "", ""
		if f := res.Finding; f != nil {
			state, id, opened = string(f.State), f.ID, stamp(f.Opened)
		}
		record := []string{
			string(res.Status), string(res.Severity()), res.Rule.Name, res.Rule.Identifier, res.Rule.Pack, strings.Join(res.Rule.Controls, "; "),
			res.Resource.Account, res.Resource.Region, res.Resource.Type, res.Resource.ID, res.ARN, res.Title(), res.Annotation, id, state, opened, stamp(res.Time),
		}
		for i, cell := range record {
			record[i] = plainCell(cell)
		}
		if err := out.Write(record); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// plainCell keeps a spreadsheet from taking a text for a formula: an apostrophe is put
// before one that begins as a formula does. Source: OWASP, CSV Injection.
func plainCell(s string) string {
	s = oneLine(s)
	if trimmed := strings.TrimLeft(s, " "); trimmed != "" && strings.ContainsRune("=+-@＝＋－＠", []rune(trimmed)[0]) {
		return "'" + s
	}
	return s
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
