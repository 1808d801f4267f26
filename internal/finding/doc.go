// Package finding turns verdicts into findings and keeps their lives.
//
// Life is a table: a state and an event give the next state, and an event that
// the table doesn't have is an error. The table has one way to closed: a fresh
// read that the rule calls COMPLIANT. NOT_APPLICABLE and a resource that is gone
// archive a finding, which is no pass; INSUFFICIENT_DATA leaves it where it is.
// Either keeps the reason.
package finding
