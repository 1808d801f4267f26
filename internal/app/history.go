package app

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/inventory"
)

// historyOptions are the flags that say what scans keep of the past.
type historyOptions struct {
	trail     string
	retention int
}

// The bounds of the history. AWS Config calls its own RetentionPeriodInDays, and
// has the same least and most.
const (
	defaultRetention = 365
	leastRetention   = 30
	mostRetention    = 2557
	mostObservations = 1000 // of one resource
)

func (o *historyOptions) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.trail, "trail", "", "CloudTrail log file, or a folder of them (.json, .json.gz), that says who changed what")
	cmd.Flags().IntVar(&o.retention, "retention-days", defaultRetention, "how long the history of resources is kept")
}

func (o *historyOptions) check() error {
	if o.retention < leastRetention || o.retention > mostRetention {
		return knowngood.E(knowngood.Usage, "", "--retention-days %d: expected from %d to %d", o.retention, leastRetention, mostRetention)
	}
	return nil
}

// trail takes in the calls of CloudTrail's files. It comes before the scan's first
// call to AWS: a file that is wrong is told at once.
func (ses *session) trail(ctx context.Context, w io.Writer, o historyOptions) error {
	if o.trail == "" {
		return nil
	}
	stats, err := ses.types.Trail(ses.catalog).Read(o.trail, func(calls []knowngood.TrailCall) error {
		_, err := ses.store.PutCalls(ctx, calls)
		return err
	})
	if err == nil {
		fmt.Fprintf(w, "trail: %s, %s, of which %d changed resources\n", plural(stats.Files, "file"), plural(stats.Records, "record"), stats.Calls)
	}
	return err
}

// remember brings the history in line with what was read, and forgets what is too
// old.
func (ses *session) remember(ctx context.Context, o historyOptions, r inventory.Reading) error {
	recorder := inventory.Recorder{Store: ses.store, Table: ses.types}
	if _, err := recorder.Record(ctx, r); err != nil {
		return err
	}
	if o.retention == 0 {
		o.retention = defaultRetention // who scans without flags
	}
	_, err := ses.store.PruneItems(ctx, ses.clock.Now().Add(-time.Duration(o.retention)*24*time.Hour), mostObservations)
	return err
}
