package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A fleet is planned and applied, a tenth of its targets at once, and some fail:
// fewer than may, so that all the others are done; then more than may, so that what
// is not begun stays so.
//
// KNOWNGOOD_FLEET=TARGETS makes it as many; what it takes is printed.
func TestAFleetOfManyTargets(t *testing.T) {
	t.Parallel()
	targets := 60
	if n, err := strconv.Atoi(os.Getenv("KNOWNGOOD_FLEET")); err == nil && n > 0 {
		targets = max(n, 60)
	}
	e := newEstate(t)
	file, plan := filepath.Join(e.dir, "fleet.yaml"), filepath.Join(e.dir, "fleet.json")
	if err := os.WriteFile(file, []byte(fleetBook), 0o600); err != nil {
		t.Fatal(err)
	}
	state := []string{"--state", e.state()}
	// prepare plans a fleet, and lets some of its writes be refused.
	prepare := func(prefix, atOnce string, refused ...int) *process {
		names := make([]string, targets)
		for i := range names {
			names[i] = fmt.Sprintf("%s%d", prefix, i)
		}
		p := start(t, e.env, append(state, "run", file, "--targets", "Key=ParameterValues,Values="+strings.Join(names, ","), "--target-parameter-name", "Name",
			"--max-concurrency", atOnce, "--max-errors", "5%", "--plan", "-o", plan)...)
		p.ends(0)
		p.shows(fmt.Sprintf("fleet.yaml for %d targets, %s at once, stops after more than 5%% failed", targets, atOnce))
		for _, nth := range refused {
			e.fault("CreateVolume", nth, `"code": "VolumeLimitExceeded", "status": 400`)
		}
		return p
	}

	began := time.Now()
	planning := prepare("a", "10%", 1, 2, targets/2)
	planned := time.Since(began)
	began = time.Now()
	applying := start(t, e.env, append(state, "apply", plan)...)
	applying.ends(1)
	applied := time.Since(began)
	applying.shows(fmt.Sprintf("%d succeeded, 3 failed, 0 waiting, 0 not begun", targets-3))
	t.Logf("%d targets: planned in %v with at most %d MiB, applied in %v with at most %d MiB, %d at once", targets,
		planned.Round(time.Millisecond), peak(planning.cmd.ProcessState)>>20, applied.Round(time.Millisecond), peak(applying.cmd.ProcessState)>>20, min(targets/10, 500))

	mayFail := targets * 5 / 100
	var refused []int
	for i := range mayFail + 1 {
		refused = append(refused, i+1)
	}
	prepare("b", "1", refused...)
	stopped := start(t, e.env, append(state, "apply", plan)...)
	stopped.ends(1)
	stopped.shows(fmt.Sprintf("0 succeeded, %d failed, 0 waiting, %d not begun", mayFail+1, targets-mayFail-1), "more than 5% failed")
	if n := e.succeeded()["CreateVolume"] - e.made["CreateVolume"]; n != targets-3 {
		t.Errorf("%d volumes were made, want %d", n, targets-3)
	}
}
