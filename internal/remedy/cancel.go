package remedy

import (
	"context"
	"slices"
	"time"

	"github.com/knowngood/knowngood"
)

// cancelPoll is how often it is looked for a cancel request while a step waits or a
// script runs.
const cancelPoll = 300 * time.Millisecond

// cancelled gives a channel that is closed once a cancel request is in a run's log.
// The request is another process's, so it is looked for by the wall clock, until ctx
// ends.
func (r *Remediator) cancelled(ctx context.Context, runID string) <-chan struct{} {
	asked := make(chan struct{})
	go func() {
		for seen := (time.Time{}); (knowngood.WallClock{}).Sleep(ctx, cancelPoll) == nil; {
			run, err := r.Runs.Run(ctx, runID)
			if err != nil || run.Updated.Equal(seen) {
				continue // the next look may succeed, or find something new
			}
			log, err := r.Log.Entries(ctx, runID)
			if err != nil {
				continue
			}
			if seen = run.Updated; slices.ContainsFunc(log, func(e knowngood.LogEntry) bool { return e.Kind == knowngood.EntryCancel }) {
				close(asked)
				return
			}
		}
	}()
	return asked
}
