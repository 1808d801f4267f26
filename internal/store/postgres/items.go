package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/store/column"
)

// UpdateItems brings the latest items of a scope in line with a collection, in one
// transaction, alone in that scope: change is given what is there and gives what is
// to be written. An observation whose resource and CaptureTime are there already
// takes that one's place; a Read that is zero leaves the scope's. An error of change
// is returned, and nothing is written. change must not call the store.
func (s *Store) UpdateItems(ctx context.Context, in knowngood.ItemScope, change func(knowngood.ItemBatch) (knowngood.ItemBatch, error)) error {
	return s.tx(ctx, func(tx pgx.Tx) error {
		scope := []any{in.Account, in.Region, in.Type, in.Source}
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", fmt.Sprintf("%q", scope)); err != nil {
			return err
		}
		var batch knowngood.ItemBatch
		var err error
		batch.Latest, err = bodies[knowngood.Observation](ctx, tx,
			"SELECT body FROM (SELECT DISTINCT ON (id) id, body FROM items WHERE account = $1 AND region = $2 AND type = $3 AND source = $4 ORDER BY id, captured DESC) AS latest ORDER BY id", scope...)
		if err != nil {
			return err
		}
		var read int64
		err = tx.QueryRow(ctx, "SELECT time FROM item_reads WHERE account = $1 AND region = $2 AND type = $3 AND source = $4", scope...).Scan(&read)
		switch {
		case err == nil:
			batch.Read = time.UnixMicro(read).UTC()
		case !none(err):
			return err
		}
		if batch, err = change(batch); err != nil {
			return err
		}
		return putItems(ctx, tx, in, batch)
	})
}

func putItems(ctx context.Context, tx pgx.Tx, in knowngood.ItemScope, batch knowngood.ItemBatch) error {
	puts := &pgx.Batch{}
	for _, o := range batch.Latest {
		body, err := column.JSON(o)
		if err != nil {
			return err
		}
		puts.Queue(`INSERT INTO items (account, region, type, id, source, captured, seen, deleted, name, arn, body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
			ON CONFLICT (account, region, type, id, source, captured) DO UPDATE SET seen = excluded.seen, deleted = excluded.deleted, name = excluded.name, arn = excluded.arn, body = excluded.body`,
			in.Account, in.Region, in.Type, o.Item.ID, in.Source, micros(o.Item.CaptureTime), micros(o.Seen), o.Item.Status == knowngood.ItemDeleted, o.Item.Name, o.Item.ARN, body)
	}
	if !batch.Read.IsZero() {
		puts.Queue("INSERT INTO item_reads (account, region, type, source, time) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (account, region, type, source) DO UPDATE SET time = excluded.time",
			in.Account, in.Region, in.Type, in.Source, micros(batch.Read))
	}
	return tx.SendBatch(ctx, puts).Close()
}

// Items lists the newest observation of each resource that the filter chooses, by
// account, Region, type and id.
func (s *Store) Items(ctx context.Context, f knowngood.ItemFilter) ([]knowngood.Observation, error) {
	where, args := []string{"true"}, []any{}
	also := func(condition string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(args)), 1)
		}
		where = append(where, condition)
	}
	if f.Ref != "" {
		also("(id = ? OR arn = ? OR name = ?)", f.Ref, f.Ref, f.Ref)
	}
	if f.Account != "" {
		also("account = ?", f.Account)
	}
	if f.Region != "" {
		also("region = ?", f.Region)
	}
	if f.Type != "" {
		also("type = ?", f.Type)
	}
	if f.TagKey != "" {
		also("body -> 'configurationItem' -> 'tags' ->> ?::text = ?", f.TagKey, f.Tag)
	}
	if !f.Deleted {
		also("NOT deleted")
	}
	return bodies[knowngood.Observation](ctx, s.pool, `SELECT body FROM (SELECT DISTINCT ON (account, region, type, id) * FROM items
		ORDER BY account, region, type, id, seen DESC, captured DESC, source DESC) AS newest WHERE `+strings.Join(where, " AND ")+" ORDER BY account, region, type, id", args...)
}

// History lists what was observed of a resource, by source, the newest first.
func (s *Store) History(ctx context.Context, k knowngood.ResourceKey) ([]knowngood.Observation, error) {
	return bodies[knowngood.Observation](ctx, s.pool, "SELECT body FROM items WHERE account = $1 AND region = $2 AND type = $3 AND id = $4 ORDER BY source, captured DESC",
		k.Account, k.Region, k.Type, k.ID)
}

// PutCalls keeps calls of a trail. One that is there already is left alone. It says
// how many are new.
func (s *Store) PutCalls(ctx context.Context, calls []knowngood.TrailCall) (int, error) {
	added := 0
	err := s.tx(ctx, func(tx pgx.Tx) error {
		added = 0
		for _, c := range calls {
			body, err := column.JSON(c)
			if err != nil {
				return err
			}
			put, err := tx.Exec(ctx, "INSERT INTO trail_calls (account, type, ref, time, event, region, body) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
				c.Account, c.Type, c.Ref, micros(c.Time), c.EventID, c.Region, body)
			if err != nil {
				return err
			}
			added += int(put.RowsAffected())
		}
		return nil
	})
	return added, err
}

// Calls lists the calls that may have changed a resource, the earliest first.
func (s *Store) Calls(ctx context.Context, f knowngood.CallFilter) ([]knowngood.TrailCall, error) {
	return bodies[knowngood.TrailCall](ctx, s.pool, "SELECT body FROM trail_calls WHERE account = $1 AND type = $2 AND ref = ANY($3) AND ($4 = '' OR region = $4) ORDER BY time, event",
		f.Account, f.Type, f.Refs, f.Region)
}

// PruneItems forgets what was superseded before a time, deleted resources that were
// gone by then, and calls before it; and of each resource what is more than keep
// observations. The newest observation of a resource that is there is kept. It says
// how many observations went.
func (s *Store) PruneItems(ctx context.Context, before time.Time, keep int) (int, error) {
	gone := 0
	err := s.tx(ctx, func(tx pgx.Tx) error {
		put, err := tx.Exec(ctx, `DELETE FROM items USING (SELECT account, region, type, id, source, captured, row_number() OVER (PARTITION BY account, region, type, id, source ORDER BY captured DESC) AS n FROM items) AS r
			WHERE (items.account, items.region, items.type, items.id, items.source, items.captured) = (r.account, r.region, r.type, r.id, r.source, r.captured)
			AND (r.n > $2 OR items.seen < $1 AND (r.n > 1 OR items.deleted))`, micros(before), keep)
		if err != nil {
			return err
		}
		gone = int(put.RowsAffected())
		_, err = tx.Exec(ctx, "DELETE FROM trail_calls WHERE time < $1", micros(before))
		return err
	})
	return gone, err
}
