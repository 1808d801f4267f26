package runbook

import (
	"context"
	"time"

	"github.com/knowngood/knowngood"
)

// RunLog keeps the logs of runs. The store implements it.
type RunLog interface {
	// Entries gives a run's log in order. It may be called again at any time.
	// An unknown run is an error of kind NotFound.
	Entries(ctx context.Context, runID string) ([]knowngood.LogEntry, error)
	// Append writes entries, whose numbers follow the log's last without a
	// gap, the run's state and message, and the next wake (nil: none), all or
	// nothing, and returns only once they are durable. entries may be empty:
	// then only state, message and wake change. An error of kind Conflict says
	// that nothing was written because a number is taken or the lease's epoch
	// is not the run's; a cancel request is one way in which a number gets
	// taken. After any other error it is not known whether it was written, and
	// the log has to be read again.
	Append(ctx context.Context, runID string, epoch int64, entries []knowngood.LogEntry, state knowngood.RunState, message string, wake *time.Time) error
}
