package postgres

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

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
	return s.tx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO documents (sha256, content) VALUES ($1, $2) ON CONFLICT DO NOTHING", p.Document.SHA256, p.Document.Content); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "INSERT INTO plans (hash, run, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", p.Hash, p.RunID, body); err != nil {
			return err
		}
		var hash string
		if err := tx.QueryRow(ctx, "SELECT hash FROM plans WHERE run = $1", p.RunID).Scan(&hash); none(err) {
			return knowngood.E(knowngood.Refused, "keep the plan "+p.Hash, "it is the plan of another run")
		} else if err != nil {
			return err
		}
		if hash != p.Hash {
			return knowngood.E(knowngood.Refused, "keep the plan "+p.Hash, "its run %s has the plan %s", p.RunID, hash)
		}
		return nil
	})
}

// HasPlan says whether a plan is kept, by its whole hash.
func (s *Store) HasPlan(ctx context.Context, hash string) (bool, error) {
	var n int
	err := s.pool.QueryRow(ctx, "SELECT count(*) FROM plans WHERE hash = $1", hash).Scan(&n)
	return n > 0, err
}

// DigestKey is the key of the digests that plans have of secrets: 32 random bytes,
// made when it is first asked for, and the same from then on.
func (s *Store) DigestKey(ctx context.Context) ([]byte, error) {
	made := make([]byte, column.DigestKeySize)
	_, _ = rand.Read(made) // never fails, by its documentation
	var key []byte
	err := s.tx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO keys (name, value) VALUES ('digest', $1) ON CONFLICT DO NOTHING", made); err != nil {
			return err
		}
		return tx.QueryRow(ctx, "SELECT value FROM keys WHERE name = 'digest'").Scan(&key)
	})
	return key, err
}

// Plan gives a plan by its hash or the beginning of it, as it was written: its
// numbers are json.Numbers, so that its hash can be checked.
func (s *Store) Plan(ctx context.Context, hash string) (json.RawMessage, error) {
	from, to := column.Prefix(hash)
	found, err := bodies[json.RawMessage](ctx, s.pool, "SELECT body FROM plans WHERE hash >= $1 AND hash < $2 ORDER BY hash LIMIT 2", from, to)
	return only(found, err, "plan", hash)
}

// PutApproval records a person's decision on a plan. A later decision of the
// same person takes the place of the earlier one. A run that waits for it is due, and
// so are those that it started, and those that they started.
func (s *Store) PutApproval(ctx context.Context, a knowngood.Approval) error {
	body, err := column.JSON(a)
	if err != nil {
		return err
	}
	return s.tx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO approvals (plan_hash, by, time, body) VALUES ($1, $2, $3, $4) ON CONFLICT (plan_hash, by) DO UPDATE SET time = excluded.time, body = excluded.body",
			a.PlanHash, a.By, micros(a.Time), body); err != nil {
			return err
		}
		return s.poke(ctx, tx, familyOf, a.PlanHash)
	})
}

// familyOf are the runs of a plan, and those that came of them.
const familyOf = `id IN (WITH RECURSIVE family(id) AS (SELECT id FROM runs WHERE plan = $1
	UNION SELECT runs.id FROM runs JOIN family ON runs.parent = family.id AND runs.parent <> '') SELECT id FROM family)`

// Approvals lists the decisions on a plan, the earliest first.
func (s *Store) Approvals(ctx context.Context, planHash string) ([]knowngood.Approval, error) {
	return bodies[knowngood.Approval](ctx, s.pool, "SELECT body FROM approvals WHERE plan_hash = $1 ORDER BY time, by", planHash)
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
	return s.tx(ctx, func(tx pgx.Tx) error {
		// A row that is not there yet can't be locked. All take the locks in one order,
		// so that none waits for another that waits for it.
		locks := slices.Compact(slices.Sorted(slices.Values(ids)))
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(key) FROM (SELECT DISTINCT hashtextextended(id, 0) AS key FROM unnest($1::text[]) AS id ORDER BY key) AS keys", locks); err != nil {
			return err
		}
		there, err := findingsOf(ctx, tx, locks)
		if err != nil {
			return err
		}
		batch := &pgx.Batch{}
		for i, id := range ids {
			f, err := change(i, there[id])
			if err != nil {
				return err
			}
			f.ID = id
			there[id] = f
			body, err := column.JSON(f)
			if err != nil {
				return err
			}
			batch.Queue("INSERT INTO findings (id, state, resource, body) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO UPDATE SET state = excluded.state, resource = excluded.resource, body = excluded.body",
				id, f.State, column.Key(f.Resource), body)
		}
		return tx.SendBatch(ctx, batch).Close()
	})
}

// findingsOf gives the findings that there are under some ids.
func findingsOf(ctx context.Context, tx pgx.Tx, ids []string) (map[string]knowngood.Finding, error) {
	list, err := bodies[knowngood.Finding](ctx, tx, "SELECT body FROM findings WHERE id = ANY($1)", ids)
	out := make(map[string]knowngood.Finding, len(list))
	for _, f := range list {
		out[f.ID] = f
	}
	return out, err
}

// Finding gives a finding by its id or the beginning of it.
func (s *Store) Finding(ctx context.Context, id string) (knowngood.Finding, error) {
	from, to := column.Prefix(id)
	found, err := bodies[knowngood.Finding](ctx, s.pool, "SELECT body FROM findings WHERE id >= $1 AND id < $2 ORDER BY id LIMIT 2", from, to)
	return only(found, err, "finding", id)
}

// Findings lists all findings by id.
func (s *Store) Findings(ctx context.Context) ([]knowngood.Finding, error) {
	return bodies[knowngood.Finding](ctx, s.pool, "SELECT body FROM findings ORDER BY id")
}

// PutEvaluation keeps a rule's latest verdict on a resource.
func (s *Store) PutEvaluation(ctx context.Context, e knowngood.Evaluation) error {
	body, err := column.JSON(e)
	if err != nil {
		return err
	}
	return s.exec(ctx, "INSERT INTO evaluations (rule, resource, body) VALUES ($1, $2, $3) ON CONFLICT (rule, resource) DO UPDATE SET body = excluded.body, basis = ''",
		e.Rule, column.Key(e.Resource), body)
}

// Evaluations lists the latest verdicts.
func (s *Store) Evaluations(ctx context.Context) ([]knowngood.Evaluation, error) {
	return bodies[knowngood.Evaluation](ctx, s.pool, "SELECT body FROM evaluations ORDER BY rule, resource")
}

// PutResidual lists a resource that a remediation left behind.
func (s *Store) PutResidual(ctx context.Context, r knowngood.Residual) error {
	body, err := column.JSON(r)
	if err != nil {
		return err
	}
	return s.exec(ctx, "INSERT INTO residuals (resource, body) VALUES ($1, $2) ON CONFLICT (resource) DO UPDATE SET body = excluded.body", column.Key(r.Resource), body)
}

// Residuals lists what was left behind.
func (s *Store) Residuals(ctx context.Context) ([]knowngood.Residual, error) {
	return bodies[knowngood.Residual](ctx, s.pool, "SELECT body FROM residuals ORDER BY resource")
}

// PutException keeps automatic remediation off a resource.
func (s *Store) PutException(ctx context.Context, e knowngood.Exception) error {
	body, err := column.JSON(e)
	if err != nil {
		return err
	}
	return s.exec(ctx, "INSERT INTO exceptions (rule, resource, body) VALUES ($1, $2, $3) ON CONFLICT (rule, resource) DO UPDATE SET body = excluded.body",
		e.Rule, column.Key(e.Resource), body)
}

// Exceptions lists the remediation exceptions, expired ones too.
func (s *Store) Exceptions(ctx context.Context) ([]knowngood.Exception, error) {
	return bodies[knowngood.Exception](ctx, s.pool, "SELECT body FROM exceptions ORDER BY rule, resource")
}

// PutWorker says that a worker is there until its time, and forgets those whose time
// was over by now.
func (s *Store) PutWorker(ctx context.Context, w knowngood.Worker, now time.Time) error {
	body, err := column.JSON(w)
	if err != nil {
		return err
	}
	return s.tx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "DELETE FROM workers WHERE until < $1", micros(now)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "INSERT INTO workers (owner, until, body) VALUES ($1, $2, $3) ON CONFLICT (owner) DO UPDATE SET until = excluded.until, body = excluded.body", w.Owner, micros(w.Until), body)
		return err
	})
}

// RemoveWorker says that a worker is gone.
func (s *Store) RemoveWorker(ctx context.Context, owner string) error {
	return s.exec(ctx, "DELETE FROM workers WHERE owner = $1", owner)
}

// Workers lists those whose time is not over.
func (s *Store) Workers(ctx context.Context, now time.Time) ([]knowngood.Worker, error) {
	return bodies[knowngood.Worker](ctx, s.pool, "SELECT body FROM workers WHERE until >= $1 ORDER BY owner", micros(now))
}
