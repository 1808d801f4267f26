package postgres

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/store/column"
)

// ReplaceJudgements keeps the latest verdicts of rules on resources, with what they
// rest on, and forgets those that are gone, in one transaction.
func (s *Store) ReplaceJudgements(ctx context.Context, now, gone []knowngood.Judgement) error {
	batch := &pgx.Batch{}
	for _, j := range now {
		body, err := column.JSON(j.Evaluation)
		if err != nil {
			return err
		}
		batch.Queue("INSERT INTO evaluations (rule, resource, body, basis) VALUES ($1, $2, $3, $4) ON CONFLICT (rule, resource) DO UPDATE SET body = excluded.body, basis = excluded.basis",
			j.Rule, column.Key(j.Resource), body, j.Basis)
	}
	for _, j := range gone {
		batch.Queue("DELETE FROM evaluations WHERE rule = $1 AND resource = $2", j.Rule, column.Key(j.Resource))
	}
	if batch.Len() == 0 {
		return nil
	}
	return s.tx(ctx, func(tx pgx.Tx) error { return tx.SendBatch(ctx, batch).Close() })
}

// Judgements lists the latest verdicts on an account's resources, with what they
// rest on.
func (s *Store) Judgements(ctx context.Context, account string) ([]knowngood.Judgement, error) {
	from, to := column.Account(account)
	rows, err := s.pool.Query(ctx, "SELECT body, basis FROM evaluations WHERE resource >= $1 AND resource < $2 ORDER BY rule, resource", from, to)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (j knowngood.Judgement, err error) {
		var body []byte
		if err := row.Scan(&body, &j.Basis); err != nil {
			return j, err
		}
		return j, json.Unmarshal(body, &j.Evaluation)
	})
}

// PutCollection keeps what a scan has read of a type in a Region, in place of what
// an earlier one has. Read errors are not kept: what has any is not read whole.
func (s *Store) PutCollection(ctx context.Context, c knowngood.Collection) error {
	body, err := column.JSON(c)
	if err != nil {
		return err
	}
	items, err := column.JSON(append([]knowngood.Resource{}, c.Items...))
	if err != nil {
		return err
	}
	return s.exec(ctx, `INSERT INTO collections (account, region, type, body, items) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (account, region, type) DO UPDATE SET body = excluded.body, items = excluded.items`, c.Account, c.Region, c.Type, body, items)
}

// EndCollections says that the scan which read them has come to its end: their items
// go, what they say of themselves stays.
func (s *Store) EndCollections(ctx context.Context, account string) error {
	return s.exec(ctx, "UPDATE collections SET items = NULL WHERE account = $1 AND items IS NOT NULL", account)
}

// Collections lists what was last read of each type and Region of an account. Items
// is nil where the scan that read it has come to its end.
func (s *Store) Collections(ctx context.Context, account string) ([]knowngood.Collection, error) {
	rows, err := s.pool.Query(ctx, "SELECT body, items FROM collections WHERE account = $1 ORDER BY region, type", account)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (c knowngood.Collection, err error) {
		var body, items []byte
		if err := row.Scan(&body, &items); err != nil {
			return c, err
		}
		if err := json.Unmarshal(body, &c); err != nil {
			return c, err
		}
		if items != nil {
			c.Items, err = column.Items(items)
		}
		return c, err
	})
}
