package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/remedy"
)

// carrier carries out plans of an account: itself, or by the hands of a worker that
// shares its store.
type carrier struct {
	ses        *session
	remediator *remedy.Remediator
	governance string // its digest
	here       bool   // no worker is asked
}

func (ses *session) carrier(r *remedy.Remediator, o applyOptions) (*carrier, error) {
	digest, err := o.digest(ses.place)
	// A worker has neither the secrets that were given here nor these files.
	here := o.here || len(r.Secrets)+len(o.attachments) > 0
	return &carrier{ses, r, digest, here}, err
}

// worker is one that can carry a plan out; "" where there is none. One that would
// verify a finding by other rules can't.
func (c *carrier) worker(ctx context.Context, plan *knowngood.Plan) (string, error) {
	if c.here {
		return "", nil
	}
	all, err := c.ses.store.Workers(ctx, time.Now())
	if err != nil {
		return "", err
	}
	for _, w := range all {
		if w.Account == c.ses.place.Account && (plan.Finding == "" || w.Governance == c.governance) && !isDead(w.Owner) {
			return w.Owner, nil
		}
	}
	return "", nil
}

// apply carries a plan out; with a worker, by its hands.
func (c *carrier) apply(ctx context.Context, plan *knowngood.Plan, decisions []knowngood.Approval, worker string) (remedy.Result, error) {
	if worker == "" {
		return c.remediator.Apply(ctx, plan, decisions, knowngood.Retry{})
	}
	h := &remedy.Handover{Remediator: c.remediator, Queue: c.ses.store, There: func(ctx context.Context) (bool, error) {
		worker, err := c.worker(ctx, plan)
		return worker != "", err
	}}
	result, err := h.Apply(ctx, plan, decisions, knowngood.Retry{})
	if err != nil || result.Residual != nil {
		return result, err
	}
	left, err := c.ses.store.Residuals(ctx)
	for i := range left {
		if left[i].RunID == plan.RunID {
			result.Residual = &left[i]
		}
	}
	return result, err
}

// digest tells governances apart: what verifies a finding's run is the same where it
// is the same.
func (o governanceOptions) digest(place knowngood.Place) (string, error) {
	hash := sha256.New()
	part := func(data []byte) { fmt.Fprintf(hash, "%d:%s", len(data), data) }
	files, err := o.files()
	if err != nil {
		return "", err
	}
	for _, f := range files {
		part(f.data)
	}
	if regional(files) {
		part([]byte(place.Region))
	}
	for _, p := range slices.Sorted(slices.Values(o.params)) {
		part([]byte(p))
	}
	for _, folder := range o.paths {
		own, err := filepath.Glob(filepath.Join(folder, ruleFolder, "*.yaml"))
		if err != nil {
			return "", err
		}
		for _, file := range own {
			data, err := os.ReadFile(file)
			if err != nil {
				return "", &knowngood.Error{Kind: knowngood.Invalid, Op: "read the governance", Err: err}
			}
			part(data)
		}
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
