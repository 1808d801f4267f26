// Package sandbox is an AWS in memory. It serves the demo, users' offline
// tests and our own, so it is right where this project leans on it: states take
// their time on a clock that the caller holds, effects reach other resources,
// errors are AWS's, and faults can be injected.
//
// An operation that is modelled but not simulated answers 501 and its name.
package sandbox
