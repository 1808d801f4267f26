// Package sandbox is an AWS in memory. It serves the demo, users' offline
// tests and our own, so it is right where this project leans on it: states take
// their time on a clock that the caller holds, effects reach other resources,
// errors are AWS's, and faults can be injected.
//
// Every call leaves CloudTrail's record, and what happens has its event when it
// happens, also a state that comes about later: OnEvent and EventBridge's rules
// get it, and rules their schedules, at the next call, at Settle, or when the
// control API moves the clock.
//
// Every call is authorised by the policies that it is under, on the resources that
// it is on, as the service's table in its file _access.go says; the operator of an
// account is excepted. There may be many accounts, in organizations and not.
//
// Nodes and functions run no code. What a Lambda function does, HandleFunction
// says; what a command does on a node, HandleCommand; and who runs Automation
// executions, RunAutomations: without an engine an execution stays Pending, and
// its answers say so. Which instances are managed nodes, ssm_node.go tells.
//
// An operation that is modelled but not simulated answers 501 and its name.
package sandbox
