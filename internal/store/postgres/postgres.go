// Package postgres keeps everything that knowngood remembers in PostgreSQL: the
// store of an organization, whose workers are on many hosts. Its wakes are jobs of
// River, which are made in the transaction that says what they are for.
package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/knowngood/knowngood"
)

// schema holds our tables and River's.
const schema = "knowngood"

// Store is a pool of connections. Its methods may be used by many goroutines.
type Store struct {
	pool  *pgxpool.Pool
	river *river.Client[pgx.Tx] // that only makes jobs
	quiet *slog.Logger
}

// connections is how many a pool has, if the URL does not say (pool_max_conns).
const connections = 16

// Open connects to the database at a URL or in the form of libpq's keywords, and
// makes or migrates what is in the schema "knowngood". A database of a newer
// version, and one that can't be reached, is kind knowngood.Invalid.
func Open(ctx context.Context, url string) (*Store, error) {
	s, err := open(ctx, url)
	if err != nil {
		return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "open the store", Err: err}
	}
	return s, nil
}

func open(ctx context.Context, url string) (*Store, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	// What was committed must survive a crash, whatever the server's default.
	cfg.ConnConfig.RuntimeParams["synchronous_commit"] = "on"
	cfg.ConnConfig.RuntimeParams["search_path"] = schema
	cfg.ConnConfig.RuntimeParams["application_name"] = "knowngood"
	if cfg.MaxConns < connections {
		cfg.MaxConns = connections
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s := &Store{pool: pool, quiet: slog.New(slog.DiscardHandler)}
	if err := s.migrate(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	if s.river, err = river.NewClient(riverpgxv5.New(pool), &river.Config{Schema: schema, Logger: s.quiet}); err != nil {
		pool.Close()
		return nil, err
	}
	return s, nil
}

// Close closes the connections.
func (s *Store) Close() error {
	s.pool.Close()
	return nil
}

// migrating is the advisory lock of those who migrate: "kgdb".
const migrating = 0x6b676462

// migrate is done by one process at a time. River's migrations can't all be made in
// one transaction; the lock is the session's for that.
func (s *Store) migrate(ctx context.Context) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", migrating); err != nil {
		return err
	}
	defer conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", migrating) //nolint:errcheck // the lock ends with the session too
	if err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return migrateOurs(ctx, tx) }); err != nil {
		return err
	}
	migrator, err := rivermigrate.New(riverpgxv5.New(s.pool), &rivermigrate.Config{Schema: schema, Logger: s.quiet})
	if err != nil {
		return err
	}
	_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return err
}

func migrateOurs(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+schema+"; CREATE TABLE IF NOT EXISTS migrations (version integer NOT NULL)"); err != nil {
		return err
	}
	var version int
	if err := tx.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM migrations").Scan(&version); err != nil {
		return err
	}
	if version > len(migrations) {
		return fmt.Errorf("the database is of version %d, this program knows %d; use a newer one", version, len(migrations))
	}
	for i, m := range migrations[version:] {
		if _, err := tx.Exec(ctx, m); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "INSERT INTO migrations (version) VALUES ($1)", version+i+1); err != nil {
			return err
		}
	}
	return nil
}

// tx runs fn in one transaction.
func (s *Store) tx(ctx context.Context, fn func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, s.pool, fn)
}

// exec writes one row.
func (s *Store) exec(ctx context.Context, query string, args ...any) error {
	_, err := s.pool.Exec(ctx, query, args...)
	return err
}

// querier is the pool or a transaction.
type querier interface {
	Exec(ctx context.Context, query string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, query string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) pgx.Row
}

// bodies reads rows of one column that holds JSON.
func bodies[T any](ctx context.Context, q querier, query string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (v T, err error) {
		var raw []byte
		if err := row.Scan(&raw); err != nil {
			return v, err
		}
		return v, json.Unmarshal(raw, &v)
	})
}

// only gives the one that fits; kind knowngood.NotFound where none does,
// knowngood.Usage where a prefix fits several.
func only[T any](found []T, err error, what, name string) (T, error) {
	var zero T
	switch {
	case err != nil:
		return zero, err
	case len(found) == 0:
		return zero, knowngood.E(knowngood.NotFound, "", "there is no %s %s", what, name)
	case len(found) > 1:
		return zero, knowngood.E(knowngood.Usage, "", "%s is the beginning of several %ss", name, what)
	}
	return found[0], nil
}

func none(err error) bool { return errors.Is(err, pgx.ErrNoRows) }

// taken says that a row with the key is there already.
func taken(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == "23505" // unique_violation
}

func micros(t time.Time) int64 { return t.UnixMicro() }

func wakeMicros(t *time.Time) *int64 {
	if t == nil {
		return nil
	}
	m := micros(*t)
	return &m
}
