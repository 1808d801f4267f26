package runbook

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/knowngood/knowngood"
)

// MemLog is a RunLog of one run in memory, for tests and for runs that need
// not outlive the process. It is safe for concurrent use.
type MemLog struct {
	mu      sync.Mutex
	entries []knowngood.LogEntry
	epoch   int64
	state   knowngood.RunState
	message string
	wake    *time.Time
}

// NewMemLog is a log that holds entries already, in their order.
func NewMemLog(entries ...knowngood.LogEntry) *MemLog {
	l := &MemLog{state: knowngood.RunPending}
	for _, e := range entries {
		e.Seq = int64(len(l.entries) + 1)
		l.entries = append(l.entries, e)
	}
	return l
}

// Entries implements RunLog. Any run's id names the one run.
func (l *MemLog) Entries(ctx context.Context, _ string) ([]knowngood.LogEntry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.entries), ctx.Err()
}

// Append implements RunLog.
func (l *MemLog) Append(ctx context.Context, runID string, epoch int64, entries []knowngood.LogEntry, state knowngood.RunState, message string, wake *time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if epoch < l.epoch {
		return knowngood.E(knowngood.Conflict, "append to the log of "+runID, "the lease of epoch %d was taken over by epoch %d", epoch, l.epoch)
	}
	for i, e := range entries {
		if want := int64(len(l.entries) + i + 1); e.Seq != want {
			return knowngood.E(knowngood.Conflict, "append to the log of "+runID, "entry %d comes where %d is next", e.Seq, want)
		}
	}
	l.epoch = epoch
	l.entries = append(l.entries, entries...)
	l.state, l.message, l.wake = state, message, wake
	return nil
}

// Add appends an entry from outside, a cancel request for one, with the next
// number.
func (l *MemLog) Add(e knowngood.LogEntry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Seq = int64(len(l.entries) + 1)
	l.entries = append(l.entries, e)
}

// State is the run's state, message and next wake as they were last written.
func (l *MemLog) State() (knowngood.RunState, string, *time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state, l.message, l.wake
}
