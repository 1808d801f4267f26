package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/knowngood/knowngood"
)

// CreateRun makes a run and locks its resource for it. Kind knowngood.Conflict
// where the run is there already, or another that has not ended has the
// resource; the error names that one.
func (s *Store) CreateRun(ctx context.Context, r knowngood.Run) error {
	body, err := encode(r)
	if err != nil {
		return err
	}
	return s.tx(ctx, func(tx *sql.Tx) error {
		var owner string
		err := tx.QueryRowContext(ctx, "SELECT run FROM locks WHERE resource = ?", likeKey(r.Resource)).Scan(&owner)
		switch {
		case err == nil && owner != r.ID:
			return knowngood.E(knowngood.Conflict, "start run "+r.ID, "the run %s acts on %s", owner, r.Resource)
		case err != nil && !errors.Is(err, sql.ErrNoRows):
			return err
		}
		res, err := tx.ExecContext(ctx, `INSERT INTO runs (id, state, message, resource, created, updated, wake, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			r.ID, r.State, r.Message, likeKey(r.Resource), micros(r.Created), micros(r.Updated), wakeMicros(r.Wake), body)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(knowngood.E(knowngood.Conflict, "start run "+r.ID, "it was started before"), err)
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO locks (resource, run) VALUES (?, ?) ON CONFLICT DO NOTHING", likeKey(r.Resource), r.ID)
		return err
	})
}

// A run's state, message, times and wake change with its log; the columns have
// them, the body has the rest.
const runColumns = "SELECT json_set(body, '$.state', state, '$.message', message, '$.updated', " + updatedText + ", '$.wake', " + wakeText + ") FROM runs "

// Microseconds as RFC 3339, in whole numbers: SQLite's own fractions are
// rounded to milliseconds, and a wake must not come early.
const (
	updatedText = "strftime('%Y-%m-%dT%H:%M:%S', updated / 1000000, 'unixepoch') || printf('.%06dZ', updated % 1000000)"
	wakeText    = "strftime('%Y-%m-%dT%H:%M:%S', wake / 1000000, 'unixepoch') || iif(wake IS NULL, NULL, printf('.%06dZ', wake % 1000000))"
)

// Run gives a run by its id or the beginning of it.
func (s *Store) Run(ctx context.Context, id string) (knowngood.Run, error) {
	from, to := prefixRange(id)
	return onlyBody[knowngood.Run](ctx, s.read, "run", id, runColumns+"WHERE id >= ? AND id < ? ORDER BY id LIMIT 2", from, to)
}

// Runs lists all runs, the newest first.
func (s *Store) Runs(ctx context.Context) ([]knowngood.Run, error) {
	return bodies[knowngood.Run](ctx, s.read, runColumns+"ORDER BY created DESC, id")
}

// Acquire takes the lease on a run for an owner until now+ttl and gives its
// epoch, which fences the owners before: what they append is refused. A lease
// that another owner holds and that has not expired is kind knowngood.Conflict,
// unless dead says that its owner is no more.
func (s *Store) Acquire(ctx context.Context, runID, owner string, now time.Time, ttl time.Duration, dead func(owner string) bool) (epoch int64, err error) {
	err = s.tx(ctx, func(tx *sql.Tx) error {
		var holder string
		var expires int64
		if err := tx.QueryRowContext(ctx, "SELECT epoch, owner, expires FROM runs WHERE id = ?", runID).Scan(&epoch, &holder, &expires); err != nil {
			if errors.Is(err, sql.ErrNoRows) {
				return knowngood.E(knowngood.NotFound, "", "there is no run %s", runID)
			}
			return err
		}
		if holder != "" && holder != owner && expires > micros(now) && (dead == nil || !dead(holder)) {
			return knowngood.E(knowngood.Conflict, "take run "+runID, "%s works on it", holder)
		}
		epoch++
		_, err := tx.ExecContext(ctx, "UPDATE runs SET epoch = ?, owner = ?, expires = ? WHERE id = ?", epoch, owner, micros(now.Add(ttl)), runID)
		return err
	})
	return epoch, err
}

// Renew keeps a lease until now+ttl; kind knowngood.Conflict where it was lost.
func (s *Store) Renew(ctx context.Context, runID string, epoch int64, now time.Time, ttl time.Duration) error {
	return s.fenced(ctx, runID, epoch, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE runs SET expires = ? WHERE id = ?", micros(now.Add(ttl)), runID)
		return err
	})
}

// Release gives a lease back. One that was lost is left alone.
func (s *Store) Release(ctx context.Context, runID string, epoch int64) error {
	return s.exec(ctx, "UPDATE runs SET owner = '', expires = 0 WHERE id = ? AND epoch = ?", runID, epoch)
}

// fenced runs fn in a transaction if the epoch is still the run's.
func (s *Store) fenced(ctx context.Context, runID string, epoch int64, fn func(*sql.Tx) error) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		var current int64
		if err := tx.QueryRowContext(ctx, "SELECT epoch FROM runs WHERE id = ?", runID).Scan(&current); err != nil {
			if errors.Is(err, sql.ErrNoRows) {
				return knowngood.E(knowngood.NotFound, "", "there is no run %s", runID)
			}
			return err
		}
		if current != epoch {
			return knowngood.E(knowngood.Conflict, "write the log of run "+runID, "another worker has taken it (epoch %d, ours is %d)", current, epoch)
		}
		return fn(tx)
	})
}

// Entries gives a run's log, in order.
func (s *Store) Entries(ctx context.Context, runID string) ([]knowngood.LogEntry, error) {
	return bodies[knowngood.LogEntry](ctx, s.read, "SELECT body FROM run_log WHERE run = ? ORDER BY seq", runID)
}

// Append writes entries to a run's log, and its state, message and next wake,
// in one transaction. The first entry's Seq must be the next one, and the epoch
// the run's; else kind knowngood.Conflict, and nothing is written. A state that
// is an end frees the run's resource.
func (s *Store) Append(ctx context.Context, runID string, epoch int64, entries []knowngood.LogEntry, state knowngood.RunState, message string, wake *time.Time) error {
	return s.fenced(ctx, runID, epoch, func(tx *sql.Tx) error {
		return appendEntries(ctx, tx, runID, entries, state, message, wake)
	})
}

func appendEntries(ctx context.Context, tx *sql.Tx, runID string, entries []knowngood.LogEntry, state knowngood.RunState, message string, wake *time.Time) error {
	var last int64
	if err := tx.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM run_log WHERE run = ?", runID).Scan(&last); err != nil {
		return err
	}
	for _, e := range entries {
		if e.Seq != last+1 {
			return knowngood.E(knowngood.Conflict, "write the log of run "+runID, "entry %d does not follow entry %d", e.Seq, last)
		}
		last++
		body, err := json.Marshal(e)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO run_log (run, seq, body) VALUES (?, ?, ?)", runID, e.Seq, string(body)); err != nil {
			return fmt.Errorf("entry %d: %w", e.Seq, err)
		}
	}
	var updated any
	if len(entries) > 0 {
		updated = micros(entries[len(entries)-1].Time)
	}
	if _, err := tx.ExecContext(ctx, "UPDATE runs SET state = ?, message = ?, wake = ?, updated = coalesce(?, updated) WHERE id = ?",
		state, message, wakeMicros(wake), updated, runID); err != nil {
		return err
	}
	if state.Ended() {
		_, err := tx.ExecContext(ctx, "DELETE FROM locks WHERE run = ?", runID)
		return err
	}
	return nil
}

// RequestCancel asks for a run's cancellation, beside whoever works on it. The
// worker sees the entry at its next append, which then conflicts, and reads the
// log again. A run that waits is due at the entry's time.
func (s *Store) RequestCancel(ctx context.Context, runID string, entry knowngood.LogEntry) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		var state knowngood.RunState
		var message string
		if err := tx.QueryRowContext(ctx, "SELECT state, message FROM runs WHERE id = ?", runID).Scan(&state, &message); err != nil {
			if errors.Is(err, sql.ErrNoRows) {
				return knowngood.E(knowngood.NotFound, "", "there is no run %s", runID)
			}
			return err
		}
		if state.Ended() {
			return knowngood.E(knowngood.Conflict, "cancel run "+runID, "it has ended: %s", state)
		}
		if err := tx.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) + 1 FROM run_log WHERE run = ?", runID).Scan(&entry.Seq); err != nil {
			return err
		}
		return appendEntries(ctx, tx, runID, []knowngood.LogEntry{entry}, state, message, &entry.Time)
	})
}
