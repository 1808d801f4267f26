package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/store/column"
)

// PutPlan keeps a plan and its document. A plan that is there already is the
// same plan, for its hash is its name. Kind knowngood.Refused where its run has
// another plan: one of the two was changed.
func (s *Store) PutPlan(ctx context.Context, p *knowngood.Plan) error {
	body, err := column.JSON(p)
	if err != nil {
		return err
	}
	return s.tx(ctx, func(tx *sql.Tx) error {
		var hash string
		err := tx.QueryRow("SELECT hash FROM plans WHERE run = ?", p.RunID).Scan(&hash)
		switch {
		case err == nil && hash != p.Hash:
			return knowngood.E(knowngood.Refused, "keep the plan "+p.Hash, "its run %s has the plan %s", p.RunID, hash)
		case err == nil:
			return nil
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		if _, err := tx.Exec("INSERT INTO documents (sha256, content) VALUES (?, ?) ON CONFLICT DO NOTHING", p.Document.SHA256, p.Document.Content); err != nil {
			return err
		}
		_, err = tx.Exec("INSERT INTO plans (hash, run, body) VALUES (?, ?, ?)", p.Hash, p.RunID, body)
		return err
	})
}

// HasPlan says whether a plan is kept, by its whole hash.
func (s *Store) HasPlan(ctx context.Context, hash string) (bool, error) {
	var n int
	err := s.read.QueryRowContext(ctx, "SELECT count(*) FROM plans WHERE hash = ?", hash).Scan(&n)
	return n > 0, err
}

// DigestKey is the key of the digests that plans have of secrets: 32 random bytes,
// made when it is first asked for, and the same from then on.
func (s *Store) DigestKey(ctx context.Context) ([]byte, error) {
	made := make([]byte, column.DigestKeySize)
	_, _ = rand.Read(made) // never fails, by its documentation
	var key []byte
	err := s.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.Exec("INSERT INTO keys (name, value) VALUES ('digest', ?) ON CONFLICT DO NOTHING", made); err != nil {
			return err
		}
		return tx.QueryRow("SELECT value FROM keys WHERE name = 'digest'").Scan(&key)
	})
	return key, err
}

// Plan gives a plan by its hash or the beginning of it, as it was written: its
// numbers are json.Numbers, so that its hash can be checked.
func (s *Store) Plan(ctx context.Context, hash string) (json.RawMessage, error) {
	from, to := column.Prefix(hash)
	return onlyBody[json.RawMessage](ctx, s.read, "plan", hash, "SELECT body FROM plans WHERE hash >= ? AND hash < ? ORDER BY hash LIMIT 2", from, to)
}

// PutApproval records a person's decision on a plan. A later decision of the
// same person takes the place of the earlier one. A run that waits for it is due, and so
// are those that it started, and those that they started.
func (s *Store) PutApproval(ctx context.Context, a knowngood.Approval) error {
	body, err := column.JSON(a)
	if err != nil {
		return err
	}
	return s.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.Exec("INSERT INTO approvals (plan_hash, by, time, body) VALUES (?, ?, ?, ?) ON CONFLICT (plan_hash, by) DO UPDATE SET time = excluded.time, body = excluded.body",
			a.PlanHash, a.By, micros(a.Time), body); err != nil {
			return err
		}
		return poke(tx, familyOf, a.PlanHash)
	})
}

// familyOf are the runs of a plan, and those that came of them.
const familyOf = `id IN (WITH RECURSIVE family(id) AS (SELECT id FROM runs WHERE plan = ?
	UNION SELECT runs.id FROM runs JOIN family ON runs.parent = family.id AND runs.parent <> '') SELECT id FROM family)`

// Approvals lists the decisions on a plan, the earliest first.
func (s *Store) Approvals(ctx context.Context, planHash string) ([]knowngood.Approval, error) {
	return bodies[knowngood.Approval](ctx, s.read, "SELECT body FROM approvals WHERE plan_hash = ? ORDER BY time, by", planHash)
}

// UpdateFinding changes a finding in one transaction: change is given what is
// there under the id, the zero Finding where nothing is, and its result is written;
// its error is returned, and nothing is written. It must not call the store, which
// waits for it.
func (s *Store) UpdateFinding(ctx context.Context, id string, change func(knowngood.Finding) (knowngood.Finding, error)) error {
	return s.UpdateFindings(ctx, []string{id}, func(_ int, f knowngood.Finding) (knowngood.Finding, error) { return change(f) })
}

// UpdateFindings changes several findings in one transaction, in order, each as
// UpdateFinding does; change is told which of them. After an error none is written.
func (s *Store) UpdateFindings(ctx context.Context, ids []string, change func(int, knowngood.Finding) (knowngood.Finding, error)) error {
	if len(ids) == 0 {
		return nil
	}
	return s.tx(ctx, func(tx *sql.Tx) error {
		get, err := tx.Prepare("SELECT body FROM findings WHERE id = ?")
		if err != nil {
			return err
		}
		defer get.Close()
		put, err := tx.Prepare("INSERT INTO findings (id, state, resource, body) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state, resource = excluded.resource, body = excluded.body")
		if err != nil {
			return err
		}
		defer put.Close()
		for i, id := range ids {
			var f knowngood.Finding
			var body string
			err := get.QueryRow(id).Scan(&body)
			if err == nil {
				err = json.Unmarshal([]byte(body), &f)
			}
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
			if f, err = change(i, f); err != nil {
				return err
			}
			f.ID = id
			if body, err = column.JSON(f); err != nil {
				return err
			}
			if _, err := put.Exec(id, f.State, column.Key(f.Resource), body); err != nil {
				return err
			}
		}
		return nil
	})
}

// Finding gives a finding by its id or the beginning of it.
func (s *Store) Finding(ctx context.Context, id string) (knowngood.Finding, error) {
	from, to := column.Prefix(id)
	return onlyBody[knowngood.Finding](ctx, s.read, "finding", id, "SELECT body FROM findings WHERE id >= ? AND id < ? ORDER BY id LIMIT 2", from, to)
}

// Findings lists all findings by id.
func (s *Store) Findings(ctx context.Context) ([]knowngood.Finding, error) {
	return bodies[knowngood.Finding](ctx, s.read, "SELECT body FROM findings ORDER BY id")
}

// PutEvaluation keeps a rule's latest verdict on a resource.
func (s *Store) PutEvaluation(ctx context.Context, e knowngood.Evaluation) error {
	body, err := column.JSON(e)
	if err != nil {
		return err
	}
	return s.exec(ctx, "INSERT INTO evaluations (rule, resource, body) VALUES (?, ?, ?) ON CONFLICT (rule, resource) DO UPDATE SET body = excluded.body, basis = ''",
		e.Rule, column.Key(e.Resource), body)
}

// Evaluations lists the latest verdicts.
func (s *Store) Evaluations(ctx context.Context) ([]knowngood.Evaluation, error) {
	return bodies[knowngood.Evaluation](ctx, s.read, "SELECT body FROM evaluations ORDER BY rule, resource")
}

// PutResidual lists a resource that a remediation left behind.
func (s *Store) PutResidual(ctx context.Context, r knowngood.Residual) error {
	body, err := column.JSON(r)
	if err != nil {
		return err
	}
	return s.exec(ctx, "INSERT INTO residuals (resource, body) VALUES (?, ?) ON CONFLICT (resource) DO UPDATE SET body = excluded.body", column.Key(r.Resource), body)
}

// Residuals lists what was left behind.
func (s *Store) Residuals(ctx context.Context) ([]knowngood.Residual, error) {
	return bodies[knowngood.Residual](ctx, s.read, "SELECT body FROM residuals ORDER BY resource")
}

// PutException keeps automatic remediation off a resource.
func (s *Store) PutException(ctx context.Context, e knowngood.Exception) error {
	body, err := column.JSON(e)
	if err != nil {
		return err
	}
	return s.exec(ctx, "INSERT INTO exceptions (rule, resource, body) VALUES (?, ?, ?) ON CONFLICT (rule, resource) DO UPDATE SET body = excluded.body",
		e.Rule, column.Key(e.Resource), body)
}

// Exceptions lists the remediation exceptions, expired ones too.
func (s *Store) Exceptions(ctx context.Context) ([]knowngood.Exception, error) {
	return bodies[knowngood.Exception](ctx, s.read, "SELECT body FROM exceptions ORDER BY rule, resource")
}

// PutWorker says that a worker is there until its time, and forgets those whose time
// was over by now.
func (s *Store) PutWorker(ctx context.Context, w knowngood.Worker, now time.Time) error {
	body, err := column.JSON(w)
	if err != nil {
		return err
	}
	return s.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.Exec("DELETE FROM workers WHERE until < ?", micros(now)); err != nil {
			return err
		}
		_, err := tx.Exec("INSERT INTO workers (owner, until, body) VALUES (?, ?, ?) ON CONFLICT (owner) DO UPDATE SET until = excluded.until, body = excluded.body", w.Owner, micros(w.Until), body)
		return err
	})
}

// RemoveWorker says that a worker is gone.
func (s *Store) RemoveWorker(ctx context.Context, owner string) error {
	return s.exec(ctx, "DELETE FROM workers WHERE owner = ?", owner)
}

// Workers lists those whose time is not over.
func (s *Store) Workers(ctx context.Context, now time.Time) ([]knowngood.Worker, error) {
	return bodies[knowngood.Worker](ctx, s.read, "SELECT body FROM workers WHERE until >= ? ORDER BY owner", micros(now))
}
