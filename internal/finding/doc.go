// Package finding turns verdicts into findings and keeps their lives.
//
// Life is a table: a state and an event give the next state, and an event that
// the table doesn't have is an error. The table has one way to closed: a fresh
// read that the rule calls COMPLIANT. NOT_APPLICABLE, INSUFFICIENT_DATA and a
// resource that is gone leave a finding where it is, with the reason.
package finding
