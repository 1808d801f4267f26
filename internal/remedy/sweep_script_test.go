package remedy

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/script"
)

// remembered runs each script of the library once, contained, and then gives what
// it returned again. The scripts only read, and before anything is written, so they
// would find the same: a sweep has thousands of runs, and needn't start python3 as
// often.
type remembered struct {
	runner *script.Runner

	mu      sync.Mutex
	results map[string]runbook.ScriptResult
}

// newRemembered skips the test where the scripts of a runbook can't be run.
func newRemembered(t *testing.T, e *estate, name string) *remembered {
	t.Helper()
	r := &remembered{runner: script.New(script.Options{Catalog: e.catalog}), results: map[string]runbook.ScriptResult{}}
	d, _ := document(t, name)
	for _, s := range d.Scripts() {
		if why := r.runner.Lacks(t.Context(), s.Runtime, s.Script); why != nil {
			t.Skipf("the script of %s can't be run here: %v", name, why)
		}
	}
	return r
}

// RunScript implements runbook.Scripts.
func (r *remembered) RunScript(ctx context.Context, req runbook.ScriptRequest) (runbook.ScriptResult, error) {
	key := req.Script + text(req.Payload)
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.results[key]; ok {
		return known, nil
	}
	got, err := r.runner.Run(ctx, script.Request{
		Runtime: req.Runtime, Handler: req.Handler, Script: req.Script, Payload: req.Payload, TimeLimit: req.TimeLimit,
		Time: req.Time, Seed: req.Seed, Dry: req.Dry, Region: req.Place.Region, Caller: onlyReads{req.Caller},
	})
	switch {
	case err != nil:
		return runbook.ScriptResult{}, err
	case got.Failure != nil:
		return runbook.ScriptResult{}, fmt.Errorf("%s: %s", got.Failure.Class, got.Failure.Message)
	}
	r.results[key] = runbook.ScriptResult{Payload: got.Payload, Log: got.Log}
	return r.results[key], nil
}

// onlyReads lets a script's reads pass.
type onlyReads struct{ awsapi.Caller }

func (o onlyReads) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	c, err := awsapi.Embedded()
	if err != nil {
		return nil, err
	}
	if op, err := c.Operation(service, operation); err != nil || op.Class() != awsapi.Read {
		return nil, fmt.Errorf("%s:%s is no read, so the script can't be remembered: %w", service, operation, err)
	}
	return o.Caller.Call(ctx, service, operation, in, opts...)
}
