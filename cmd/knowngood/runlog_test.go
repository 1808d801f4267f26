package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/runbook"
)

func (e *estate) database() string { return filepath.Join(e.state(), "knowngood.db") }

func openDatabase(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// jamAppends makes SQLite hang in the transaction that appends a step's entry of
// a kind: the entry is written, and is never committed. Only the first worker
// that takes the run is caught.
//
// A trigger does it. It first writes more pages than SQLite's cache holds, so
// that the uncommitted transaction shows in the size of the write-ahead log,
// which checkpoints keep at 4 MB otherwise; then it counts forever.
func (e *estate) jamAppends(kind knowngood.EntryKind, step string) {
	e.t.Helper()
	db := openDatabase(e.t, e.database())
	defer db.Close()
	if _, err := db.ExecContext(e.t.Context(), fmt.Sprintf(`
		CREATE TABLE jam (page);
		CREATE TRIGGER jam_appends AFTER INSERT ON run_log
		WHEN NEW.body ->> 'kind' = '%s' AND NEW.body ->> 'step' = '%s' AND (SELECT epoch FROM runs WHERE id = NEW.run) = 1
		BEGIN
			INSERT INTO jam SELECT iif(n <= 4000, zeroblob(4096), NULL)
			FROM (WITH RECURSIVE forever (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM forever) SELECT n FROM forever);
		END`, kind, step)); err != nil {
		e.t.Fatal(err)
	}
}

// jammed is closed when a process hangs in the transaction that jamAppends
// catches, or is over.
func (e *estate) jammed(p *process) <-chan struct{} {
	const uncommitted = 8 << 20
	hangs := make(chan struct{})
	go func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			if info, err := os.Stat(e.database() + "-wal"); err == nil && info.Size() > uncommitted {
				close(hangs)
				return
			}
			select {
			case <-p.done:
				return
			case <-tick.C:
			}
		}
	}()
	return hangs
}

// runLog is a run as the store has it.
type runLog []knowngood.LogEntry

// autopsy reads the log that a killed process left behind. It reads a copy, so
// that the next process finds the store as the kill left it.
func (e *estate) autopsy(run string) runLog {
	e.t.Helper()
	dead := filepath.Join(e.t.TempDir(), "knowngood.db")
	for _, suffix := range []string{"", "-wal"} {
		raw, err := os.ReadFile(e.database() + suffix)
		if err == nil {
			err = os.WriteFile(dead+suffix, raw, 0o600)
		}
		if err != nil && (suffix == "" || !errors.Is(err, fs.ErrNotExist)) {
			e.t.Fatal(err)
		}
	}
	db := openDatabase(e.t, dead)
	defer db.Close()
	return readLog(e.t, db, run)
}

func readLog(t *testing.T, db *sql.DB, run string) runLog {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT body FROM run_log WHERE run = ? ORDER BY seq", run)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var log runLog
	for rows.Next() {
		var raw []byte
		var entry knowngood.LogEntry
		if err := errors.Join(rows.Scan(&raw), json.Unmarshal(raw, &entry)); err != nil {
			t.Fatal(err)
		}
		log = append(log, entry)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return log
}

// of gives a step's entries of a kind.
func (l runLog) of(kind knowngood.EntryKind, step string) runLog {
	var out runLog
	for _, e := range l {
		if e.Kind == kind && e.Step == step {
			out = append(out, e)
		}
	}
	return out
}

// finished checks the store after a run, and gives the run's log: SQLite
// finds nothing wrong, the log has no gaps and ends with the run, whose state is
// the one expected, and the resource is free.
func (e *estate) finished(run string, want knowngood.RunState) runLog {
	e.t.Helper()
	db := openDatabase(e.t, e.database())
	defer db.Close()
	var integrity, state string
	var locks int
	for query, into := range map[string]any{"PRAGMA integrity_check": &integrity, "SELECT state FROM runs": &state, "SELECT count(*) FROM locks": &locks} {
		if err := db.QueryRowContext(e.t.Context(), query).Scan(into); err != nil {
			e.t.Fatalf("%s: %v", query, err)
		}
	}
	if integrity != "ok" || state != string(want) || locks != 0 {
		e.t.Errorf("integrity %s; the run is %s, want %s; %d locks are held", integrity, state, want, locks)
	}
	log := readLog(e.t, db, run)
	for i, entry := range log {
		if entry.Seq != int64(i+1) {
			e.t.Fatalf("entry %d of the log has the number %d", i+1, entry.Seq)
		}
	}
	if len(log) == 0 || log[len(log)-1].Kind != knowngood.EntryRunEnded {
		e.t.Fatalf("the log has %d entries and does not end with the run", len(log))
	}
	return log
}

// settled says how the outcome of a step's write became known after a crash; ""
// where it was simply received.
func (l runLog) settled(t *testing.T, step string) string {
	t.Helper()
	for _, e := range l.of(knowngood.EntryOutcome, step) {
		body, err := runbook.Decode[runbook.OutcomeBody](e)
		if err != nil {
			t.Fatal(err)
		}
		if body.Settled != "" {
			return body.Settled
		}
	}
	return ""
}

// eachWriteOnce checks that each planned write has one intent and one outcome.
func (l runLog) eachWriteOnce(t *testing.T, plan knowngood.Plan) {
	t.Helper()
	for _, w := range writesOf(plan) {
		if intents, outcomes := len(l.of(knowngood.EntryIntent, w.step)), len(l.of(knowngood.EntryOutcome, w.step)); intents != 1 || outcomes != 1 {
			t.Errorf("%s has %d intents and %d outcomes", w.step, intents, outcomes)
		}
	}
}
