package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/store/column"
)

// CreateRun makes a run, locks its resource for it, and wakes it. Kind
// knowngood.Conflict where the run is there already, or another that has not ended
// has the resource; the error names that one.
func (s *Store) CreateRun(ctx context.Context, r knowngood.Run) error {
	return s.tx(ctx, func(tx pgx.Tx) error {
		if err := create(ctx, tx, r, 0, "", 0); err != nil {
			return err
		}
		return s.wake(ctx, tx, nil, r.ID)
	})
}

// StartRun makes a run as CreateRun does, and takes its lease until now+ttl: the
// run's first epoch is 1. It is not woken: it has a worker.
func (s *Store) StartRun(ctx context.Context, r knowngood.Run, owner string, now time.Time, ttl time.Duration) (epoch int64, err error) {
	return 1, create(ctx, s.pool, r, 1, owner, micros(now.Add(ttl)))
}

// creating makes a run and its lock, or neither: one statement. A transaction that
// makes another run for the resource is waited for.
const creating = `WITH l AS (
	INSERT INTO locks (resource, run) SELECT $4, $1 WHERE NOT EXISTS (SELECT FROM runs WHERE id = $1) ON CONFLICT DO NOTHING RETURNING run
) INSERT INTO runs (id, state, message, resource, plan, created, updated, wake, epoch, owner, expires, due, body, parent)
	SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, $12, $13 FROM l`

func create(ctx context.Context, q querier, r knowngood.Run, epoch int64, owner string, expires int64) error {
	body, err := column.JSON(r)
	if err != nil {
		return err
	}
	made, err := q.Exec(ctx, creating, r.ID, r.State, r.Message, column.Key(r.Resource), r.PlanHash, micros(r.Created), micros(r.Updated), wakeMicros(r.Wake), epoch, owner, expires, body, r.Parent)
	if err == nil && made.RowsAffected() > 0 {
		return nil
	}
	if err != nil && !taken(err) { // two may make the same run at once
		return err
	}
	var other string
	if err := q.QueryRow(ctx, "SELECT run FROM locks WHERE resource = $1", column.Key(r.Resource)).Scan(&other); err == nil && other != r.ID {
		return knowngood.E(knowngood.Conflict, "start run "+r.ID, "the run %s acts on %s", other, r.Resource)
	}
	return knowngood.E(knowngood.Conflict, "start run "+r.ID, "it was started before")
}

// runs reads runs: a run's state, message, times and wake change with its log; the
// columns have them, the body has the rest.
func runs(ctx context.Context, q querier, where string, args ...any) ([]knowngood.Run, error) {
	rows, err := q.Query(ctx, "SELECT body, state, message, updated, wake FROM runs WHERE "+where, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r knowngood.Run, err error) {
		var body []byte
		var state, message string
		var updated int64
		var wake *int64
		if err := row.Scan(&body, &state, &message, &updated, &wake); err != nil {
			return r, err
		}
		if err := json.Unmarshal(body, &r); err != nil {
			return r, err
		}
		r.State, r.Message, r.Updated, r.Wake = knowngood.RunState(state), message, time.UnixMicro(updated).UTC(), nil
		if wake != nil {
			at := time.UnixMicro(*wake).UTC()
			r.Wake = &at
		}
		return r, nil
	})
}

// Run gives a run by its id or the beginning of it.
func (s *Store) Run(ctx context.Context, id string) (knowngood.Run, error) {
	from, to := column.Prefix(id)
	found, err := runs(ctx, s.pool, "id >= $1 AND id < $2 ORDER BY id LIMIT 2", from, to)
	return only(found, err, "run", id)
}

// Runs lists the runs that a query asks for, the newest first.
func (s *Store) Runs(ctx context.Context, q knowngood.RunQuery) ([]knowngood.Run, error) {
	where, args := []string{"true"}, []any{}
	add := func(condition string, value any) {
		args = append(args, value)
		where = append(where, fmt.Sprintf(condition, len(args)))
	}
	if len(q.States) > 0 {
		add("state = ANY($%d)", states(q.States))
	}
	if q.Resource != (knowngood.ResourceKey{}) {
		add("resource = $%d", column.Key(q.Resource))
	}
	if q.PlanHash != "" {
		add("plan = $%d", q.PlanHash)
	}
	if q.Parent != "" {
		add("parent = $%d AND parent <> ''", q.Parent)
	}
	if !q.Before.IsZero() {
		add("created < $%d", micros(q.Before))
	}
	if q.Text != "" {
		add("position(lower($%d) IN lower(id || ' ' || body::text || ' ' || message)) > 0", q.Text)
	}
	order := " ORDER BY created DESC, id"
	if q.Limit > 0 {
		order += fmt.Sprintf(" LIMIT %d", q.Limit)
	}
	return runs(ctx, s.pool, strings.Join(where, " AND ")+order, args...)
}

func states(all []knowngood.RunState) []string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = string(s)
	}
	return out
}

// Prune forgets runs that ended before a time, with their logs, and gives their
// number. Their plans and approvals stay, the attachments of the plans don't.
func (s *Store) Prune(ctx context.Context, before time.Time) (n int, err error) {
	err = s.tx(ctx, func(tx pgx.Tx) error {
		const old = "(SELECT id FROM runs WHERE updated < $1 AND state = ANY($2))"
		ended := states(knowngood.EndedStates())
		if _, err := tx.Exec(ctx, "DELETE FROM run_log WHERE run IN "+old, micros(before), ended); err != nil {
			return err
		}
		gone, err := tx.Exec(ctx, "DELETE FROM runs WHERE id IN "+old, micros(before), ended)
		if n = int(gone.RowsAffected()); err != nil {
			return err
		}
		return pruneAttachments(ctx, tx, before)
	})
	return n, err
}

// Acquire takes the lease on a run for an owner until now+ttl and gives its
// epoch, which fences the owners before: what they append is refused. A lease
// that another owner holds and that has not expired is kind knowngood.Conflict,
// unless dead says that its owner is no more.
func (s *Store) Acquire(ctx context.Context, runID, owner string, now time.Time, ttl time.Duration, dead func(owner string) bool) (epoch int64, err error) {
	expires := micros(now.Add(ttl))
	const take = "UPDATE runs SET epoch = epoch + 1, owner = $2, expires = $3, due = $3, poked = false WHERE id = $1 AND (owner IN ('', $2, $5) OR expires <= $4) RETURNING epoch"
	err = s.pool.QueryRow(ctx, take, runID, owner, expires, micros(now), "").Scan(&epoch)
	if !none(err) {
		return epoch, err
	}
	var holder string
	if err := s.pool.QueryRow(ctx, "SELECT owner FROM runs WHERE id = $1", runID).Scan(&holder); err != nil {
		if none(err) {
			return 0, knowngood.E(knowngood.NotFound, "", "there is no run %s", runID)
		}
		return 0, err
	}
	if dead != nil && dead(holder) {
		if err = s.pool.QueryRow(ctx, take, runID, owner, expires, micros(now), holder).Scan(&epoch); !none(err) {
			return epoch, err
		}
	}
	return 0, knowngood.E(knowngood.Conflict, "take run "+runID, "%s works on it", holder)
}

// Renew keeps a lease until now+ttl; kind knowngood.Conflict where it was lost.
func (s *Store) Renew(ctx context.Context, runID string, epoch int64, now time.Time, ttl time.Duration) error {
	kept, err := s.pool.Exec(ctx, "UPDATE runs SET expires = $3, due = $3 WHERE id = $1 AND epoch = $2", runID, epoch, micros(now.Add(ttl)))
	if err != nil || kept.RowsAffected() > 0 {
		return err
	}
	return s.fenced(ctx, runID, epoch, 0)
}

// Release gives a lease back. One that was lost is left alone. The run is due at
// once where something happened to it meanwhile, when its wake comes, or, where it
// was left in its midst, when the lease would have run out.
func (s *Store) Release(ctx context.Context, runID string, epoch int64) error {
	const release = `UPDATE runs SET owner = '', expires = 0, due = CASE
			WHEN state NOT IN ('Pending', 'InProgress', 'Waiting') THEN NULL
			WHEN poked THEN 0
			WHEN state = 'Waiting' THEN wake
			ELSE expires END
		WHERE id = $1 AND epoch = $2 AND owner <> '' RETURNING coalesce(due, 1)`
	var due int64
	err := s.pool.QueryRow(ctx, release, runID, epoch).Scan(&due)
	switch {
	case none(err):
		return nil
	case err != nil || due != 0:
		return err
	}
	// A crash here leaves the run to the sweep.
	return s.tx(ctx, func(tx pgx.Tx) error { return s.wake(ctx, tx, nil, runID) })
}

// Wake makes a run due at once, unless it has ended or needs a person. Somebody who
// has it looks at it again.
func (s *Store) Wake(ctx context.Context, runID string) error {
	return s.tx(ctx, func(tx pgx.Tx) error { return s.poke(ctx, tx, "id = $1", runID) })
}

// poke makes runs due at once that have something new to look at.
func (s *Store) poke(ctx context.Context, tx pgx.Tx, where string, arg any) error {
	rows, err := tx.Query(ctx, `UPDATE runs SET poked = true, due = CASE WHEN owner = '' THEN 0 ELSE due END
		WHERE state IN ('Pending', 'InProgress', 'Waiting') AND `+where+` RETURNING id, owner`, arg)
	if err != nil {
		return err
	}
	var idle []string
	var id, owner string
	if _, err := pgx.ForEachRow(rows, []any{&id, &owner}, func() error {
		if owner == "" {
			idle = append(idle, id)
		}
		return nil
	}); err != nil {
		return err
	}
	return s.wake(ctx, tx, nil, idle...)
}

// fenced says why a write of a run was refused: first is the number of the entry
// that was to be written, 0 for none.
func (s *Store) fenced(ctx context.Context, runID string, epoch, first int64) error {
	var current, last int64
	err := s.pool.QueryRow(ctx, "SELECT epoch, last FROM runs WHERE id = $1", runID).Scan(&current, &last)
	switch {
	case none(err):
		return knowngood.E(knowngood.NotFound, "", "there is no run %s", runID)
	case err != nil:
		return err
	case current != epoch:
		return knowngood.E(knowngood.Conflict, "write the log of run "+runID, "another worker has taken it (epoch %d, ours is %d)", current, epoch)
	}
	return knowngood.E(knowngood.Conflict, "write the log of run "+runID, "entry %d does not follow entry %d", first, last)
}

// Entries gives a run's log, in order.
func (s *Store) Entries(ctx context.Context, runID string) ([]knowngood.LogEntry, error) {
	return bodies[knowngood.LogEntry](ctx, s.pool, "SELECT body FROM run_log WHERE run = $1 ORDER BY seq", runID)
}

// appending writes entries, the run's state, message and wake, and of a run that has
// ended frees the resource and makes its parent due: one statement, so one way to the server and
// one commit. It finds no row where the epoch is not the run's or the first entry
// does not follow its last. A run for a finding has to tell it of its end, and keeps
// its lease until then.
const appending = `WITH r AS (
	UPDATE runs SET state = $4, message = $5, wake = $6, updated = coalesce($7, updated), last = last + cardinality($8::text[]),
		owner = CASE WHEN $9 AND body->>'finding' IS NULL THEN '' ELSE owner END,
		due = CASE WHEN $9 AND body->>'finding' IS NULL THEN NULL ELSE due END
	WHERE id = $1 AND epoch = $2 AND ($3 = 0 OR last = $3 - 1) RETURNING id, parent
), p AS (
	UPDATE runs SET poked = true, due = CASE WHEN owner = '' THEN 0 ELSE due END FROM r
	WHERE $9 AND r.parent <> '' AND runs.id = r.parent AND runs.state IN ('Pending', 'InProgress', 'Waiting') RETURNING runs.id, runs.owner
), l AS (
	INSERT INTO run_log (run, seq, body) SELECT r.id, $3 + e.n - 1, e.body::json FROM r, unnest($8::text[]) WITH ORDINALITY AS e(body, n)
), f AS (
	DELETE FROM locks USING r WHERE locks.run = r.id AND $9
) SELECT count(*), coalesce(max(p.id), '') FROM r LEFT JOIN p ON p.owner = ''`

// Append writes entries to a run's log, and its state, message and next wake,
// in one transaction. The first entry's Seq must be the next one, and the epoch
// the run's; else kind knowngood.Conflict, and nothing is written. A state that
// is an end frees the run's resource, and makes the run that started it due.
func (s *Store) Append(ctx context.Context, runID string, epoch int64, entries []knowngood.LogEntry, state knowngood.RunState, message string, wake *time.Time) error {
	var first int64
	var updated *int64
	texts := make([]string, len(entries))
	for i, e := range entries {
		if i == 0 {
			first = e.Seq
		}
		if e.Seq != first+int64(i) {
			return knowngood.E(knowngood.Conflict, "write the log of run "+runID, "entry %d does not follow entry %d", e.Seq, first+int64(i)-1)
		}
		var err error
		if texts[i], err = column.JSON(e); err != nil {
			return err
		}
		at := micros(e.Time)
		updated = &at
	}
	args := []any{runID, epoch, first, state, message, wakeMicros(wake), updated, texts, state.Ended()}
	var n int
	var parent string // that is due now
	if wake == nil {
		if err := s.pool.QueryRow(ctx, appending, args...).Scan(&n, &parent); err != nil {
			return err
		}
		switch {
		case n == 0:
			return s.fenced(ctx, runID, epoch, first)
		case parent != "":
			// A crash here leaves the parent to the sweep.
			return s.tx(ctx, func(tx pgx.Tx) error { return s.wake(ctx, tx, nil, parent) })
		}
		return nil
	}
	return s.tx(ctx, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, appending, args...).Scan(&n, &parent); err != nil {
			return err
		}
		if n == 0 {
			return s.fenced(ctx, runID, epoch, first)
		}
		return s.wake(ctx, tx, wake, runID)
	})
}

// RequestCancel asks for a run's cancellation, beside whoever works on it. The
// worker sees the entry at its next append, which then conflicts, and reads the
// log again. A run that waits is due at the entry's time.
func (s *Store) RequestCancel(ctx context.Context, runID string, entry knowngood.LogEntry) error {
	return s.tx(ctx, func(tx pgx.Tx) error {
		var state knowngood.RunState
		err := tx.QueryRow(ctx, "SELECT state, last + 1 FROM runs WHERE id = $1 FOR UPDATE", runID).Scan(&state, &entry.Seq)
		switch {
		case none(err):
			return knowngood.E(knowngood.NotFound, "", "there is no run %s", runID)
		case err != nil:
			return err
		case state.Ended():
			return knowngood.E(knowngood.Conflict, "cancel run "+runID, "it has ended: %s", state)
		}
		body, err := column.JSON(entry)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "INSERT INTO run_log (run, seq, body) VALUES ($1, $2, $3)", runID, entry.Seq, body); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE runs SET last = $2, wake = $3, updated = $3 WHERE id = $1", runID, entry.Seq, micros(entry.Time)); err != nil {
			return err
		}
		return s.poke(ctx, tx, "id = $1", runID)
	})
}
