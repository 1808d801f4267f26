package app

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/finding"
	"github.com/knowngood/knowngood/internal/inventory"
	"github.com/knowngood/knowngood/internal/remedy"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/store/postgres"
	"github.com/knowngood/knowngood/internal/store/sqlite"
)

// store is what knowngood remembers: in a folder's SQLite database, or in
// PostgreSQL.
type store interface {
	finding.Store
	runbook.RunLog
	remedy.RunStore
	remedy.PlanStore
	remedy.Records
	remedy.Queue
	remedy.Register
	runStore
	inventoryStore
	scanStore
	Residuals(ctx context.Context) ([]knowngood.Residual, error)
	PutApproval(ctx context.Context, a knowngood.Approval) error
	PutEvaluation(ctx context.Context, e knowngood.Evaluation) error
	// Version is that of the store's tables.
	Version() int
	Close() error
}

// scanStore is the part of a store that keeps what a scan has read and judged.
type scanStore interface {
	PutCollection(ctx context.Context, c knowngood.Collection) error
	Collections(ctx context.Context, account string) ([]knowngood.Collection, error)
	EndCollections(ctx context.Context, account string) error
	Judgements(ctx context.Context, account string) ([]knowngood.Judgement, error)
	ReplaceJudgements(ctx context.Context, now, gone []knowngood.Judgement) error
}

// runStore is the part of a store that the commands about runs use.
type runStore interface {
	CreateRun(ctx context.Context, r knowngood.Run) error
	Wake(ctx context.Context, runID string) error
	Runs(ctx context.Context, q knowngood.RunQuery) ([]knowngood.Run, error)
	RequestCancel(ctx context.Context, runID string, entry knowngood.LogEntry) error
	Prune(ctx context.Context, before time.Time) (int, error)
}

// inventoryStore is the part of a store that keeps the inventory and its history.
type inventoryStore interface {
	inventory.ItemStore
	// Items lists the newest observation of each resource that the filter chooses.
	Items(ctx context.Context, f knowngood.ItemFilter) ([]knowngood.Observation, error)
	// History lists what was observed of a resource, by source, the newest first.
	History(ctx context.Context, k knowngood.ResourceKey) ([]knowngood.Observation, error)
	// PutCalls keeps calls of a trail, each once, and says how many are new.
	PutCalls(ctx context.Context, calls []knowngood.TrailCall) (int, error)
	// Calls lists the calls that may have changed a resource, the earliest first.
	Calls(ctx context.Context, f knowngood.CallFilter) ([]knowngood.TrailCall, error)
	// PruneItems forgets what is old, and says how many observations went.
	PruneItems(ctx context.Context, before time.Time, keep int) (int, error)
}

// storeOptions are the flags that say where knowngood remembers.
type storeOptions struct{ state, url string }

// storeVariable names PostgreSQL where --store does not.
const storeVariable = "KNOWNGOOD_STORE"

func (o *storeOptions) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.state, "state", ".knowngood", "folder that holds what knowngood remembers")
	cmd.Flags().StringVar(&o.url, "store", os.Getenv(storeVariable), "PostgreSQL that holds it instead, as postgres://USER@HOST/DATABASE; default: "+storeVariable)
	cmd.Flag("store").DefValue = "" // a password is nothing for a help page
}

func (o storeOptions) openStore(ctx context.Context) (store, error) {
	if o.url != "" {
		return postgres.Open(ctx, o.url)
	}
	return sqlite.Open(ctx, filepath.Join(o.state, "knowngood.db"))
}

// where says in a message where that is, without a password.
func (o storeOptions) where() string {
	if o.url != "" {
		return "the store"
	}
	return o.state
}
