// Package runbook reads and runs SSM Automation documents, schemaVersion 0.3.
//
// A run is an append-only log. [Advance] is a pure function of a document and
// a log that says what comes next: facts to append, a call to make, a branch to
// take, a time to wait for, a decision to ask for, or the end. [Runner] drives
// it: it appends the facts, makes the calls and never lets a write go out
// before its intent is in the log. A planner drives the same function with
// responses of its own.
//
// # How this differs from Systems Manager
//
//   - A step that is interrupted by a cancel request, by a timeout or by plan
//     drift and that has no onCancel (for a cancel request) or whose onFailure
//     names a step goes on at that step. Systems Manager ends a cancelled
//     automation at once; a run here is never abandoned past the point where
//     its author wrote a way back. Once on such a path, a further cancel
//     request does not interrupt it.
//   - A cancel request takes effect where a step would make a call or wait;
//     aws:branch and aws:updateVariable always complete, so that a resource
//     that was just made is not forgotten.
//   - A reference to an output that was not found in the response, or whose
//     step did not run, is "" for text, Integer and Boolean, [] for StringList
//     and MapList, {} for StringMap.
//   - aws:waitForAwsResourceProperty keeps polling through throttling and
//     server errors, and for two minutes through errors that say that
//     something was not found, since a fresh resource may not be visible yet.
//   - A run executes at most [MaxStepRuns] steps, and as many again on a path
//     that onFailure or onCancel began.
package runbook
