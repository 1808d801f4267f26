package report

import (
	"io"
	"strings"
)

// Format is a form in which a report is written.
type Format string

// The formats of this package. JSON is the scan itself, which its command writes.
const (
	CSV   Format = "csv"
	SARIF Format = "sarif"
	OCSF  Format = "ocsf"
	ASFF  Format = "asff"
	JUnit Format = "junit"
	HTML  Format = "html"
)

// writers has the formats for programs, and the page.
var writers = map[Format]func(io.Writer, *Report) error{
	CSV: writeCSV, SARIF: writeSARIF, OCSF: writeOCSF, ASFF: writeASFF, JUnit: writeJUnit, HTML: writeHTML,
}

// Write writes a report in a format; ok is false for one that this package has not.
// The error is the writer's.
func Write(w io.Writer, f Format, r *Report) (ok bool, err error) {
	write, ok := writers[f]
	if !ok {
		return false, nil
	}
	return true, write(w, r)
}

// Home is where knowngood is from.
const home = "https://github.com/knowngood/knowngood"

// page is a rule's page, where it has one that can be linked to.
func (r *Rule) page() string {
	if strings.HasPrefix(r.Source, "https://") {
		return r.Source
	}
	return ""
}
