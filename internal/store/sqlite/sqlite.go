// Package sqlite keeps everything that knowngood remembers in one SQLite
// database: the default store, for one host. Any number of processes on the
// host may open it; what must not happen twice is decided in a transaction.
package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/knowngood/knowngood"
)

// applicationID marks the file as knowngood's: "kgdb".
const applicationID = 0x6b676462

// Store is an open database. Its methods may be used by many goroutines.
type Store struct {
	write *sql.DB // one connection: SQLite has one writer anyway, and waiting here is fair
	read  *sql.DB
	path  string

	requests        chan request // for commits
	closing, closed chan struct{}
	close           sync.Once
	wakes           wakes
}

// Open opens the database at a path and makes it where it is not there. A file
// that is not knowngood's, one of a newer version, and one on a network file
// system, where SQLite's locks can't be relied on, are refused with kind
// knowngood.Invalid.
func Open(ctx context.Context, path string) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "open the store", Err: err}
	}
	if err := refuseNetwork(filepath.Dir(path)); err != nil {
		return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "open the store", Err: err}
	}
	// Made here rather than by SQLite, for its mode.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "open the store", Err: err}
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	s := &Store{path: path, requests: make(chan request), closing: make(chan struct{}), closed: make(chan struct{})}
	if s.write, err = open(path, 1); err != nil {
		return nil, err
	}
	if err := s.migratePatiently(ctx); err != nil {
		s.write.Close()
		if code(err) == sqlite3.SQLITE_NOTADB || code(err) == sqlite3.SQLITE_CORRUPT {
			err = fmt.Errorf("%s is not a SQLite database, or is damaged: %w", path, err)
		}
		return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "open the store", Err: err}
	}
	if s.read, err = open(path, 4); err != nil {
		s.write.Close()
		return nil, err
	}
	go s.commits()
	return s, nil
}

// busyTimeout is how long a transaction waits for another one.
const busyTimeout = 10 * time.Second

func open(path string, connections int) (*sql.DB, error) {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
	}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	return db, nil
}

// Close closes the database. What is being committed is committed first.
func (s *Store) Close() error {
	s.close.Do(func() { close(s.closing) })
	<-s.closed
	return errors.Join(s.read.Close(), s.write.Close())
}

// migratePatiently migrates, and waits for others that do so too: the change to
// WAL answers SQLITE_BUSY at once, whatever the busy timeout is.
func (s *Store) migratePatiently(ctx context.Context) error {
	for deadline := time.Now().Add(busyTimeout); ; {
		err := s.migrate(ctx)
		if code(err) != sqlite3.SQLITE_BUSY || time.Now().After(deadline) {
			return err
		}
		if err := (knowngood.WallClock{}).Sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

func (s *Store) migrate(ctx context.Context) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	var id, version int
	if err := tx.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return err
	}
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	var tables int
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return err
	}
	switch {
	case id != applicationID && tables > 0:
		return errors.New("the database is not knowngood's")
	case version > len(migrations):
		return fmt.Errorf("the database is of version %d, this program knows %d; use a newer one", version, len(migrations))
	}
	for _, m := range migrations[version:] {
		if _, err := tx.ExecContext(ctx, m); err != nil {
			return err
		}
	}
	// Pragmas take no parameters; both numbers are constants of ours.
	_, err = tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, len(migrations)))
	if err != nil {
		return err
	}
	return tx.Commit()
}

func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// exec writes one row.
func (s *Store) exec(ctx context.Context, query string, args ...any) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(query, args...)
		return err
	})
}

// querier is what reads need of a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// bodies reads rows of one column that holds JSON.
func bodies[T any](ctx context.Context, q querier, query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		var raw string
		var v T
		if err := rows.Scan(&raw); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(raw), &v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// onlyBody reads the one row that fits; kind knowngood.NotFound where none
// does, knowngood.Usage where a prefix fits several.
func onlyBody[T any](ctx context.Context, q querier, what, name, query string, args ...any) (T, error) {
	var zero T
	found, err := bodies[T](ctx, q, query, args...)
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

func micros(t time.Time) int64 { return t.UnixMicro() }

func wakeMicros(t *time.Time) any {
	if t == nil {
		return nil
	}
	return micros(*t)
}

// Check reads the whole database, and says what is damaged in it.
func (s *Store) Check(ctx context.Context) error {
	rows, err := s.read.QueryContext(ctx, "PRAGMA integrity_check")
	if err != nil {
		return err
	}
	defer rows.Close()
	var damage []error
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return err
		}
		if line != "ok" {
			damage = append(damage, errors.New(line))
		}
	}
	return errors.Join(append(damage, rows.Err())...)
}
