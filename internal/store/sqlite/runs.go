package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/store/column"
)

// CreateRun makes a run, locks its resource for it, and makes it due. Kind
// knowngood.Conflict where the run is there already, or another that has not ended
// has the resource; the error names that one.
func (s *Store) CreateRun(ctx context.Context, r knowngood.Run) error {
	return s.create(ctx, r, 0, "", 0)
}

// StartRun makes a run as CreateRun does, and takes its lease until now+ttl: the
// run's first epoch is 1.
func (s *Store) StartRun(ctx context.Context, r knowngood.Run, owner string, now time.Time, ttl time.Duration) (epoch int64, err error) {
	return 1, s.create(ctx, r, 1, owner, micros(now.Add(ttl)))
}

func (s *Store) create(ctx context.Context, r knowngood.Run, epoch int64, owner string, expires int64) error {
	body, err := column.JSON(r)
	if err != nil {
		return err
	}
	return s.tx(ctx, func(tx *sql.Tx) error {
		var other string
		err := tx.QueryRow("SELECT run FROM locks WHERE resource = ?", column.Key(r.Resource)).Scan(&other)
		switch {
		case err == nil && other != r.ID:
			return knowngood.E(knowngood.Conflict, "start run "+r.ID, "the run %s acts on %s", other, r.Resource)
		case err != nil && !errors.Is(err, sql.ErrNoRows):
			return err
		}
		res, err := tx.Exec(`INSERT INTO runs (id, state, message, resource, plan, created, updated, wake, epoch, owner, expires, due, body, parent)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?11, ?11, ?, ?) ON CONFLICT DO NOTHING`,
			r.ID, r.State, r.Message, column.Key(r.Resource), r.PlanHash, micros(r.Created), micros(r.Updated), wakeMicros(r.Wake), epoch, owner, expires, body, r.Parent)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(knowngood.E(knowngood.Conflict, "start run "+r.ID, "it was started before"), err)
		}
		_, err = tx.Exec("INSERT INTO locks (resource, run) VALUES (?, ?) ON CONFLICT DO NOTHING", column.Key(r.Resource), r.ID)
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
	from, to := column.Prefix(id)
	return onlyBody[knowngood.Run](ctx, s.read, "run", id, runColumns+"WHERE id >= ? AND id < ? ORDER BY id LIMIT 2", from, to)
}

// Runs lists the runs that a query asks for, the newest first.
func (s *Store) Runs(ctx context.Context, q knowngood.RunQuery) ([]knowngood.Run, error) {
	where, args := []string{"1"}, []any{}
	add := func(condition string, values ...any) {
		where, args = append(where, condition), append(args, values...)
	}
	if len(q.States) > 0 {
		add("state IN (SELECT value FROM json_each(?))", states(q.States))
	}
	if q.Resource != (knowngood.ResourceKey{}) {
		add("resource = ?", column.Key(q.Resource))
	}
	if q.PlanHash != "" {
		add("plan = ?", q.PlanHash)
	}
	if q.Parent != "" {
		add("parent = ? AND parent <> ''", q.Parent)
	}
	if !q.Before.IsZero() {
		add("created < ?", micros(q.Before))
	}
	if q.Text != "" {
		add("instr(lower(id || ' ' || body || ' ' || message), lower(?)) > 0", q.Text)
	}
	limit := -1
	if q.Limit > 0 {
		limit = q.Limit
	}
	return bodies[knowngood.Run](ctx, s.read, runColumns+"WHERE "+strings.Join(where, " AND ")+" ORDER BY created DESC, id LIMIT ?", append(args, limit)...)
}

func states(all []knowngood.RunState) string {
	raw, _ := json.Marshal(all) // texts always can be
	return string(raw)
}

// Prune forgets runs that ended before a time, with their logs, and gives their
// number. Their plans and approvals stay, the attachments of the plans don't.
func (s *Store) Prune(ctx context.Context, before time.Time) (n int, err error) {
	err = s.tx(ctx, func(tx *sql.Tx) error {
		const old = "(SELECT id FROM runs WHERE updated < ?1 AND state IN (SELECT value FROM json_each(?2)))"
		ended := states(knowngood.EndedStates())
		if _, err := tx.Exec("DELETE FROM run_log WHERE run IN "+old, micros(before), ended); err != nil {
			return err
		}
		res, err := tx.Exec("DELETE FROM runs WHERE id IN "+old, micros(before), ended)
		if err != nil {
			return err
		}
		gone, err := res.RowsAffected()
		if n = int(gone); err != nil {
			return err
		}
		return pruneAttachments(tx, before)
	})
	return n, err
}

// Acquire takes the lease on a run for an owner until now+ttl and gives its
// epoch, which fences the owners before: what they append is refused. A lease
// that another owner holds and that has not expired is kind knowngood.Conflict,
// unless dead says that its owner is no more.
func (s *Store) Acquire(ctx context.Context, runID, owner string, now time.Time, ttl time.Duration, dead func(owner string) bool) (epoch int64, err error) {
	err = s.tx(ctx, func(tx *sql.Tx) error {
		var holder string
		var expires int64
		if err := tx.QueryRow("SELECT epoch, owner, expires FROM runs WHERE id = ?", runID).Scan(&epoch, &holder, &expires); err != nil {
			if errors.Is(err, sql.ErrNoRows) {
				return knowngood.E(knowngood.NotFound, "", "there is no run %s", runID)
			}
			return err
		}
		if holder != "" && holder != owner && expires > micros(now) && (dead == nil || !dead(holder)) {
			return knowngood.E(knowngood.Conflict, "take run "+runID, "%s works on it", holder)
		}
		epoch++
		_, err := tx.Exec("UPDATE runs SET epoch = ?1, owner = ?2, expires = ?3, due = ?3, poked = 0 WHERE id = ?4", epoch, owner, micros(now.Add(ttl)), runID)
		return err
	})
	return epoch, err
}

// Renew keeps a lease until now+ttl; kind knowngood.Conflict where it was lost.
func (s *Store) Renew(ctx context.Context, runID string, epoch int64, now time.Time, ttl time.Duration) error {
	return s.fenced(ctx, runID, epoch, func(tx *sql.Tx, _ int64) error {
		_, err := tx.Exec("UPDATE runs SET expires = ?1, due = ?1 WHERE id = ?2", micros(now.Add(ttl)), runID)
		return err
	})
}

// Release gives a lease back. One that was lost is left alone. The run is due at
// once where something happened to it meanwhile, when its wake comes, or, where it
// was left in its midst, when the lease would have run out.
func (s *Store) Release(ctx context.Context, runID string, epoch int64) error {
	return s.exec(ctx, `UPDATE runs SET owner = '', expires = 0, due = CASE
			WHEN state NOT IN ('Pending', 'InProgress', 'Waiting') THEN NULL
			WHEN poked THEN 0
			WHEN state = 'Waiting' THEN wake
			ELSE expires END
		WHERE id = ? AND epoch = ? AND owner <> ''`, runID, epoch)
}

// Wake makes a run due at once, unless it has ended or needs a person. Somebody who
// has it looks at it again.
func (s *Store) Wake(ctx context.Context, runID string) error {
	return s.tx(ctx, func(tx *sql.Tx) error { return poke(tx, "id = ?", runID) })
}

// poke makes runs due at once that have something new to look at.
func poke(tx *sql.Tx, where string, arg any) error {
	_, err := tx.Exec(`UPDATE runs SET poked = 1, due = iif(owner = '', 0, due) WHERE state IN ('Pending', 'InProgress', 'Waiting') AND `+where, arg)
	return err
}

// fenced runs fn in a transaction if the epoch is still the run's, and gives it
// the number of the log's last entry.
func (s *Store) fenced(ctx context.Context, runID string, epoch int64, fn func(tx *sql.Tx, last int64) error) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		var current, last int64
		if err := tx.QueryRow("SELECT epoch, last FROM runs WHERE id = ?", runID).Scan(&current, &last); err != nil {
			if errors.Is(err, sql.ErrNoRows) {
				return knowngood.E(knowngood.NotFound, "", "there is no run %s", runID)
			}
			return err
		}
		if current != epoch {
			return knowngood.E(knowngood.Conflict, "write the log of run "+runID, "another worker has taken it (epoch %d, ours is %d)", current, epoch)
		}
		return fn(tx, last)
	})
}

// Entries gives a run's log, in order.
func (s *Store) Entries(ctx context.Context, runID string) ([]knowngood.LogEntry, error) {
	return bodies[knowngood.LogEntry](ctx, s.read, "SELECT body FROM run_log WHERE run = ? ORDER BY seq", runID)
}

// Append writes entries to a run's log, and its state, message and next wake,
// in one transaction. The first entry's Seq must be the next one, and the epoch
// the run's; else kind knowngood.Conflict, and nothing is written. A state that
// is an end frees the run's resource, and makes the run that started it due.
func (s *Store) Append(ctx context.Context, runID string, epoch int64, entries []knowngood.LogEntry, state knowngood.RunState, message string, wake *time.Time) error {
	return s.fenced(ctx, runID, epoch, func(tx *sql.Tx, last int64) error {
		return appendEntries(tx, runID, last, entries, state, message, wake)
	})
}

func appendEntries(tx *sql.Tx, runID string, last int64, entries []knowngood.LogEntry, state knowngood.RunState, message string, wake *time.Time) error {
	for _, e := range entries {
		if e.Seq != last+1 {
			return knowngood.E(knowngood.Conflict, "write the log of run "+runID, "entry %d does not follow entry %d", e.Seq, last)
		}
		last++
		body, err := json.Marshal(e)
		if err != nil {
			return err
		}
		if _, err := tx.Exec("INSERT INTO run_log (run, seq, body) VALUES (?, ?, ?)", runID, e.Seq, string(body)); err != nil {
			return fmt.Errorf("entry %d: %w", e.Seq, err)
		}
	}
	var updated any
	if len(entries) > 0 {
		updated = micros(entries[len(entries)-1].Time)
	}
	if _, err := tx.Exec("UPDATE runs SET state = ?, message = ?, wake = ?, updated = coalesce(?, updated), last = ? WHERE id = ?",
		state, message, wakeMicros(wake), updated, last, runID); err != nil {
		return err
	}
	if !state.Ended() {
		return nil
	}
	// A run for a finding has to tell it of its end, and keeps its lease until then.
	if _, err := tx.Exec("UPDATE runs SET owner = '', expires = 0, due = NULL WHERE id = ? AND json_extract(body, '$.finding') IS NULL", runID); err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM locks WHERE run = ?", runID); err != nil {
		return err
	}
	return poke(tx, "id = (SELECT parent FROM runs WHERE id = ? AND parent <> '')", runID)
}

// RequestCancel asks for a run's cancellation, beside whoever works on it. The
// worker sees the entry at its next append, which then conflicts, and reads the
// log again. A run that waits is due at the entry's time.
func (s *Store) RequestCancel(ctx context.Context, runID string, entry knowngood.LogEntry) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		var state knowngood.RunState
		var message string
		var last int64
		if err := tx.QueryRow("SELECT state, message, last FROM runs WHERE id = ?", runID).Scan(&state, &message, &last); err != nil {
			if errors.Is(err, sql.ErrNoRows) {
				return knowngood.E(knowngood.NotFound, "", "there is no run %s", runID)
			}
			return err
		}
		if state.Ended() {
			return knowngood.E(knowngood.Conflict, "cancel run "+runID, "it has ended: %s", state)
		}
		entry.Seq = last + 1
		if err := appendEntries(tx, runID, last, []knowngood.LogEntry{entry}, state, message, &entry.Time); err != nil {
			return err
		}
		return poke(tx, "id = ?", runID)
	})
}
