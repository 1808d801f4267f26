package report

import (
	"encoding/xml"
	"fmt"
	"io"
)

// The JUnit form as CI systems read it: a suite for each pack, a case for each rule and
// resource. Source: the Jenkins xUnit plug-in's schema junit-10.xsd, names and nesting.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name      string      `xml:"name,attr"`
		Tests     int         `xml:"tests,attr"`
		Failures  int         `xml:"failures,attr"`
		Errors    int         `xml:"errors,attr"`
		Skipped   int         `xml:"skipped,attr"`
		Timestamp string      `xml:"timestamp,attr"`
		Time      string      `xml:"time,attr"`
		Cases     []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string    `xml:"name,attr"`
		Class   string    `xml:"classname,attr"`
		Time    string    `xml:"time,attr"`
		Failure *junitWhy `xml:"failure"`
		Error   *junitWhy `xml:"error"`
		Skipped *junitWhy `xml:"skipped"`
	}
	junitWhy struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// writeJUnit writes failures for what failed, errors for what was not evaluated, and
// as skipped what an exception is on.
func writeJUnit(w io.Writer, r *Report) error {
	doc := junitSuites{Name: "knowngood"}
	at := map[string]int{}
	for i := range r.Results {
		res := &r.Results[i]
		n, ok := at[res.Rule.Pack]
		if !ok {
			n = len(doc.Suites)
			at[res.Rule.Pack] = n
			doc.Suites = append(doc.Suites, junitSuite{Name: res.Rule.Pack, Timestamp: r.Began.UTC().Format("2006-01-02T15:04:05"), Time: "0"})
		}
		suite := &doc.Suites[n]
		suite.Tests++
		c := junitCase{Name: oneLine(res.Name()), Class: oneLine(res.Rule.Pack + "." + res.Rule.Name), Time: "0"}
		why := &junitWhy{Message: oneLine(res.Annotation), Type: string(res.Severity())}
		switch {
		case res.Suppressed():
			suite.Skipped++
			why.Message, why.Type = oneLine("an exception is on it: "+res.Finding.Reason), ""
			c.Skipped = why
		case res.Status == Failed:
			suite.Failures++
			why.Text = oneLine(fmt.Sprintf("%s, finding %s", res.Title(), res.ID()))
			c.Failure = why
		case res.Status == NotEvaluated:
			suite.Errors++
			why.Type = string(NotEvaluated)
			c.Error = why
		}
		suite.Cases = append(suite.Cases, c)
	}
	for _, s := range doc.Suites {
		doc.Tests, doc.Failures, doc.Errors = doc.Tests+s.Tests, doc.Failures+s.Failures, doc.Errors+s.Errors
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
