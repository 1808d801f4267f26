package remedy_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/remedy"
)

func fleetOf(n int, maxConcurrency, maxErrors string) *remedy.FleetPlan {
	f := &remedy.FleetPlan{Version: remedy.FleetVersion, MaxConcurrency: maxConcurrency, MaxErrors: maxErrors}
	for i := range n {
		f.Targets = append(f.Targets, remedy.FleetTarget{Resource: knowngood.ResourceKey{ID: fmt.Sprintf("vol-%05d", i)}, RunID: fmt.Sprintf("run-%d", i)})
	}
	return f
}

var success = remedy.Result{State: knowngood.RunSuccess}

func TestAFleetStopsAfterAsManyErrorsAsSSMSays(t *testing.T) {
	for _, c := range []struct {
		targets   int
		maxErrors string
		failed    int // with every target failing, one at a time
	}{
		{50, "0", 1}, {50, "3", 4}, {50, "10%", 6}, {50, "0%", 1}, {5, "10%", 1}, {5, "100%", 5}, {5, "9", 5},
	} {
		out, err := remedy.ApplyFleet(t.Context(), fleetOf(c.targets, "1", c.maxErrors), func(context.Context, remedy.FleetTarget) (remedy.Result, error) {
			return remedy.Result{State: knowngood.RunFailed}, nil
		}, nil)
		if err != nil || out.Failed != c.failed || out.NotBegun != c.targets-c.failed {
			t.Errorf("%d targets, MaxErrors %s: %+v, %v; want %d failed", c.targets, c.maxErrors, out, err, c.failed)
		}
	}
}

func TestTenThousandTargetsAndNeverMoreAtOnceThanMay(t *testing.T) {
	for _, c := range []struct {
		text string
		most int64
	}{{"7", 7}, {"1%", 100}, {"100%", 500}} {
		var now, most, done atomic.Int64
		out, err := remedy.ApplyFleet(t.Context(), fleetOf(10_000, c.text, "0"), func(context.Context, remedy.FleetTarget) (remedy.Result, error) {
			n := now.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			done.Add(1)
			now.Add(-1)
			return success, nil
		}, nil)
		if err != nil || out.Succeeded != 10_000 || done.Load() != 10_000 || most.Load() > c.most {
			t.Errorf("MaxConcurrency %s: %+v, %v, %d applied, %d at once", c.text, out, err, done.Load(), most.Load())
		}
	}
}

func TestAFleetThatWasInterruptedGoesOn(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	applied := map[string]int{}
	apply := func(ctx context.Context, target remedy.FleetTarget) (remedy.Result, error) {
		if err := ctx.Err(); err != nil {
			return remedy.Result{}, err
		}
		mu.Lock()
		defer mu.Unlock()
		if applied[target.RunID] == 0 {
			applied[target.RunID]++ // a run that has ended is not made again
		}
		if len(applied) == 40 {
			cancel()
		}
		return success, nil
	}
	f := fleetOf(100, "4", "0")
	out, err := remedy.ApplyFleet(ctx, f, apply, nil)
	if !errors.Is(err, context.Canceled) || out.NotBegun == 0 {
		t.Fatalf("%+v, %v", out, err)
	}
	out, err = remedy.ApplyFleet(t.Context(), f, apply, nil)
	if err != nil || out.Succeeded != 100 || len(applied) != 100 {
		t.Errorf("%+v, %v, %d applied", out, err, len(applied))
	}
}

func TestOneThatWaitsIsNoError(t *testing.T) {
	waits := knowngood.E(knowngood.Waiting, "apply", "it needs an approval")
	out, err := remedy.ApplyFleet(t.Context(), fleetOf(5, "1", "0"), func(_ context.Context, target remedy.FleetTarget) (remedy.Result, error) {
		if strings.HasSuffix(target.RunID, "2") {
			return remedy.Result{}, waits
		}
		return success, nil
	}, nil)
	if err != nil || out.Waiting != 1 || out.Succeeded != 4 {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestRates(t *testing.T) {
	for _, c := range []struct{ concurrency, errors, want string }{
		{"10", "0", ""}, {"100%", "0%", ""}, {"0", "0", "MaxConcurrency"}, {"-1", "0", "MaxConcurrency"}, {"ten", "0", "MaxConcurrency"},
		{"1", "-1", "MaxErrors"}, {"1", "101%", "MaxErrors"}, {"1", "%", "MaxErrors"},
	} {
		err := remedy.CheckRates(c.concurrency, c.errors)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || knowngood.KindOf(err) != knowngood.Usage) {
			t.Errorf("%s, %s: %v, want %q", c.concurrency, c.errors, err, c.want)
		}
	}
}

func TestAFleetPlanThatWasChangedIsRefused(t *testing.T) {
	f := fleetOf(3, "10", "0")
	raw, err := remedy.EncodeFleet(f)
	if err != nil || !remedy.IsFleet(raw) {
		t.Fatal(err)
	}
	if _, err := remedy.DecodeFleet("fleet.json", raw); err != nil {
		t.Error(err)
	}
	changed := strings.Replace(string(raw), `"maxErrors": "0"`, `"maxErrors": "3"`, 1)
	if _, err := remedy.DecodeFleet("fleet.json", []byte(changed)); knowngood.KindOf(err) != knowngood.Refused {
		t.Errorf("%v", err)
	}
	for _, bad := range []string{"", "{", `{"version":"knowngood.fleet/9"}`, `{"version":"knowngood.fleet/1","x":1}`} {
		if _, err := remedy.DecodeFleet("fleet.json", []byte(bad)); knowngood.KindOf(err) != knowngood.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
