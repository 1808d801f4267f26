// Package template reads CloudFormation templates that govern: Config rules,
// their remediations, and conformance packs, which are templates themselves.
// Parameters, conditions, mappings and intrinsic functions are worked out, and
// every object keeps its place in the file.
//
// What a template says about resources of other types is none of this
// package's business: they are listed, not read.
package template
