package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/store/column"
)

// ReplaceJudgements keeps the latest verdicts of rules on resources, with what they
// rest on, and forgets those that are gone, in one transaction.
func (s *Store) ReplaceJudgements(ctx context.Context, now, gone []knowngood.Judgement) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		put, err := tx.Prepare("INSERT INTO evaluations (rule, resource, body, basis) VALUES (?, ?, ?, ?) ON CONFLICT (rule, resource) DO UPDATE SET body = excluded.body, basis = excluded.basis")
		if err != nil {
			return err
		}
		defer put.Close()
		for _, j := range now {
			body, err := column.JSON(j.Evaluation)
			if err != nil {
				return err
			}
			if _, err := put.Exec(j.Rule, column.Key(j.Resource), body, j.Basis); err != nil {
				return err
			}
		}
		for _, j := range gone {
			if _, err := tx.Exec("DELETE FROM evaluations WHERE rule = ? AND resource = ?", j.Rule, column.Key(j.Resource)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Judgements lists the latest verdicts on an account's resources, with what they
// rest on.
func (s *Store) Judgements(ctx context.Context, account string) ([]knowngood.Judgement, error) {
	from, to := column.Account(account)
	rows, err := s.read.QueryContext(ctx, "SELECT body, basis FROM evaluations WHERE resource >= ? AND resource < ? ORDER BY rule, resource", from, to)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []knowngood.Judgement
	for rows.Next() {
		var body []byte
		var j knowngood.Judgement
		if err := rows.Scan(&body, &j.Basis); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(body, &j.Evaluation); err != nil {
			return nil, err
		}
		out = append(out, j)
	}
	return out, rows.Err()
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
	return s.exec(ctx, `INSERT INTO collections (account, region, type, body, items) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (account, region, type) DO UPDATE SET body = excluded.body, items = excluded.items`, c.Account, c.Region, c.Type, body, items)
}

// EndCollections says that the scan which read them has come to its end: their items
// go, what they say of themselves stays.
func (s *Store) EndCollections(ctx context.Context, account string) error {
	return s.exec(ctx, "UPDATE collections SET items = NULL WHERE account = ? AND items IS NOT NULL", account)
}

// Collections lists what was last read of each type and Region of an account. Items
// is nil where the scan that read it has come to its end.
func (s *Store) Collections(ctx context.Context, account string) ([]knowngood.Collection, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT body, items FROM collections WHERE account = ? ORDER BY region, type", account)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []knowngood.Collection
	for rows.Next() {
		var body, items []byte
		var c knowngood.Collection
		if err := rows.Scan(&body, &items); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(body, &c); err != nil {
			return nil, err
		}
		if items != nil {
			if c.Items, err = column.Items(items); err != nil {
				return nil, err
			}
		}
		out = append(out, c)
	}
	return out, rows.Err()
}
