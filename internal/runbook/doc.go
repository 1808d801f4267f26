// Package runbook reads and runs SSM Automation documents, schemaVersion 0.3.
//
// A run is an append-only log. [Advance] is a pure function of a document and
// a log that says what comes next: facts to append, a call or another effect to
// make, a branch to take, a time to wait for, a decision to ask for, or the end.
// [Runner] drives it: it appends the facts, makes the calls and never lets a
// write go out before its intent is in the log. A planner drives the same
// function with responses of its own.
//
// What is no call of AWS's API is an effect: a script, another automation, a
// webhook. [Effects] has the interfaces of what does them.
//
// # Steps, paths and loops
//
// A step's path is its name; inside a loop it is "Loop[2]/Step", the second
// round's. Entries of the log have paths, and so have client tokens, so that each
// round's writes are told apart. A loop's step-started entry has what it goes
// through; an iteration entry begins each round. Outputs are referred to by the
// step's name and are those of the last round.
//
// # Scripts and crashes
//
// A script's intent is in the log before it runs, and each write that it makes
// through its Caller has an intent and an outcome of its own after it. When the
// process ends in mid-run, the script is run again: the writes that it makes again
// are answered from the log, the one that was under way is settled by the table
// of operations, and the rest go out. A script that makes another write than
// before leaves the run as OutcomeUnknown, for a person. Other automations are
// started by a key, so that a second start begins nothing; a webhook is invoked
// once, and what became of it after a crash is not known.
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
//   - A step inside a loop that fails and has no onFailure of its own makes the
//     loop fail, whose onFailure then applies. nextStep, a choice, onFailure and
//     onCancel of such a step may lead out of the loop, which ends with it. A loop
//     is not tried again as a whole.
//   - A step that began something elsewhere, a command, an execution of Step
//     Functions or another automation, stops it when it is cancelled or when its
//     time is over. Of another automation the end is waited for: it may have a way
//     back to go, which the run's own must not overtake.
//   - global:DATE and global:DATE_TIME are those of the run's beginning, so that a
//     run that is taken up again goes on as it began.
//   - The notice of aws:approve that can't be published fails no step: the run waits
//     for its approval all the same, and says that nobody was told.
//   - Braces in a script's text that name nothing in the document stay as they
//     are.
package runbook
