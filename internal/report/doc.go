// Package report writes what a scan found, for people and for programs: a table, CSV,
// SARIF, OCSF, ASFF, JUnit and an HTML page.
//
// All formats are written from one Report, whose results say of each rule and resource
// that it passed, failed, or was not evaluated. What could not be read is a result of
// the last kind for each rule that it concerns, so that no format shows a pack, a
// control or an account as passed of which something is not known.
package report
