// Package remedy plans fixes and carries them out: it turns a finding and a
// runbook into a plan, decides by guardrails and approvals whether the plan may
// run, runs it so that only what was planned is written, verifies the live
// resource, and keeps the evidence.
//
// Nothing else in this project writes to AWS.
package remedy
