package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/store/column"
)

// UpdateItems brings the latest items of a scope in line with a collection, in one
// transaction: change is given what is there and gives what is to be written. An
// observation whose resource and CaptureTime are there already takes that one's
// place; a Read that is zero leaves the scope's. An error of change is returned,
// and nothing is written. change must not call the store, which waits for it.
func (s *Store) UpdateItems(ctx context.Context, in knowngood.ItemScope, change func(knowngood.ItemBatch) (knowngood.ItemBatch, error)) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		ctx := context.WithoutCancel(ctx) // a statement that is interrupted would undo those that share the commit
		var batch knowngood.ItemBatch
		var err error
		batch.Latest, err = bodies[knowngood.Observation](ctx, tx, `SELECT body FROM items AS i WHERE account = ?1 AND region = ?2 AND type = ?3 AND source = ?4
			AND captured = (SELECT max(captured) FROM items WHERE account = ?1 AND region = ?2 AND type = ?3 AND id = i.id AND source = ?4) ORDER BY id`,
			in.Account, in.Region, in.Type, in.Source)
		if err != nil {
			return err
		}
		var read int64
		err = tx.QueryRowContext(ctx, "SELECT time FROM item_reads WHERE account = ? AND region = ? AND type = ? AND source = ?", in.Account, in.Region, in.Type, in.Source).Scan(&read)
		switch {
		case err == nil:
			batch.Read = time.UnixMicro(read).UTC()
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		if batch, err = change(batch); err != nil {
			return err
		}
		return putItems(ctx, tx, in, batch)
	})
}

func putItems(ctx context.Context, tx *sql.Tx, in knowngood.ItemScope, batch knowngood.ItemBatch) error {
	put, err := tx.PrepareContext(ctx, `INSERT INTO items (account, region, type, id, source, captured, seen, deleted, name, arn, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET seen = excluded.seen, deleted = excluded.deleted, name = excluded.name, arn = excluded.arn, body = excluded.body`)
	if err != nil {
		return err
	}
	defer put.Close()
	for _, o := range batch.Latest {
		body, err := column.JSON(o)
		if err != nil {
			return err
		}
		if _, err := put.ExecContext(ctx, in.Account, in.Region, in.Type, o.Item.ID, in.Source, micros(o.Item.CaptureTime), micros(o.Seen),
			o.Item.Status == knowngood.ItemDeleted, o.Item.Name, o.Item.ARN, body); err != nil {
			return err
		}
	}
	if batch.Read.IsZero() {
		return nil
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO item_reads (account, region, type, source, time) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET time = excluded.time",
		in.Account, in.Region, in.Type, in.Source, micros(batch.Read))
	return err
}

// Items lists the newest observation of each resource that the filter chooses, by
// account, Region, type and id.
func (s *Store) Items(ctx context.Context, f knowngood.ItemFilter) ([]knowngood.Observation, error) {
	where, args := []string{"newest"}, []any{}
	also := func(condition string, values ...any) {
		where, args = append(where, condition), append(args, values...)
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
		also("EXISTS (SELECT 1 FROM json_each(body, '$.configurationItem.tags') AS t WHERE t.key = ? AND t.value = ?)", f.TagKey, f.Tag)
	}
	if !f.Deleted {
		also("NOT deleted")
	}
	return bodies[knowngood.Observation](ctx, s.read, "SELECT body FROM ("+itemStates+") WHERE "+strings.Join(where, " AND ")+" ORDER BY account, region, type, id", args...)
}

// itemStates are all items, each with whether it is the newest that any source saw
// of its resource.
const itemStates = `SELECT i.*, NOT EXISTS (SELECT 1 FROM items AS n WHERE n.account = i.account AND n.region = i.region AND n.type = i.type AND n.id = i.id
	AND (n.seen, n.captured, n.source) > (i.seen, i.captured, i.source)) AS newest FROM items AS i`

// History lists what was observed of a resource, by source, the newest first.
func (s *Store) History(ctx context.Context, k knowngood.ResourceKey) ([]knowngood.Observation, error) {
	return bodies[knowngood.Observation](ctx, s.read, "SELECT body FROM items WHERE account = ? AND region = ? AND type = ? AND id = ? ORDER BY source, captured DESC",
		k.Account, k.Region, k.Type, k.ID)
}

// PutCalls keeps calls of a trail. One that is there already is left alone. It says
// how many are new.
func (s *Store) PutCalls(ctx context.Context, calls []knowngood.TrailCall) (int, error) {
	added := 0
	err := s.tx(ctx, func(tx *sql.Tx) error {
		ctx := context.WithoutCancel(ctx)
		put, err := tx.PrepareContext(ctx, "INSERT INTO trail_calls (account, type, ref, time, event, region, body) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")
		if err != nil {
			return err
		}
		defer put.Close()
		for _, c := range calls {
			body, err := column.JSON(c)
			if err != nil {
				return err
			}
			res, err := put.ExecContext(ctx, c.Account, c.Type, c.Ref, micros(c.Time), c.EventID, c.Region, body)
			if err != nil {
				return err
			}
			n, err := res.RowsAffected()
			if err != nil {
				return err
			}
			added += int(n)
		}
		return nil
	})
	return added, err
}

// Calls lists the calls that may have changed a resource, the earliest first.
func (s *Store) Calls(ctx context.Context, f knowngood.CallFilter) ([]knowngood.TrailCall, error) {
	refs, err := column.JSON(f.Refs)
	if err != nil {
		return nil, err
	}
	return bodies[knowngood.TrailCall](ctx, s.read, `SELECT body FROM trail_calls WHERE account = ?1 AND type = ?2 AND ref IN (SELECT value FROM json_each(?3))
		AND (?4 = '' OR region = ?4) ORDER BY time, event`, f.Account, f.Type, refs, f.Region)
}

// PruneItems forgets what was superseded before a time, deleted resources that were
// gone by then, and calls before it; and of each resource what is more than keep
// observations. The newest observation of a resource that is there is kept. It says
// how many observations went.
func (s *Store) PruneItems(ctx context.Context, before time.Time, keep int) (int, error) {
	var gone int64
	err := s.tx(ctx, func(tx *sql.Tx) error {
		ctx := context.WithoutCancel(ctx)
		res, err := tx.ExecContext(ctx, `DELETE FROM items WHERE rowid IN (
			SELECT rowid FROM (SELECT rowid, deleted, seen, row_number() OVER (PARTITION BY account, region, type, id, source ORDER BY captured DESC) AS n FROM items)
			WHERE n > ?2 OR seen < ?1 AND (n > 1 OR deleted))`, micros(before), keep)
		if err != nil {
			return err
		}
		if gone, err = res.RowsAffected(); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM trail_calls WHERE time < ?", micros(before))
		return err
	})
	return int(gone), err
}
