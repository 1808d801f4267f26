// Package rule holds the library's rules, which are data, and evaluates them.
//
// A rule's predicates are written in CEL over `resource`, the configuration
// item as AWS Config has it, `params`, the rule's parameters, and `now`. What a
// predicate reads is found in its checked syntax tree, never written by hand. A
// member that could not be read makes INSUFFICIENT_DATA, and so does every
// error in evaluation: neither is ever COMPLIANT.
package rule
