// Package knowngood holds the words of the domain: resources and their
// evaluations, findings, plans and the calls in them, approvals, runs and the
// entries of their logs, and the kinds of errors.
//
// It is the lowest room of the house: it imports the standard library only,
// and every other room may import it. It has no behaviour beyond what keeps a
// value consistent with itself.
package knowngood
