package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/store/sqlite"
)

// What runs that wait may cost a worker, and how soon all of them must be there again
// after it was killed.
const (
	waitingMemory = 60 << 20
	waitingShare  = 0.03
	waitingBack   = time.Second
)

// Runs that wait for a person cost next to nothing, and all of them are there again
// when a worker begins after a kill -9: listed, decidable, and going on.
//
// KNOWNGOOD_WAITING=RUNS makes it as many, prints what they cost, and judges that and
// the time: without it, other tests run beside this one.
func TestRunsThatWaitCostLittleAndOutliveTheirWorker(t *testing.T) {
	t.Parallel()
	runs, judged := 200, false
	if n, err := strconv.Atoi(os.Getenv("KNOWNGOOD_WAITING")); err == nil && n > 0 {
		runs, judged = n, true
	}
	e := newEstate(t)
	file, plan := filepath.Join(e.dir, "waiting.yaml"), filepath.Join(e.dir, "fleet.json")
	if err := os.WriteFile(file, []byte(waitingBook), 0o600); err != nil {
		t.Fatal(err)
	}
	names := make([]string, runs)
	for i := range names {
		names[i] = fmt.Sprintf("t%05d", i)
	}
	state := []string{"--state", filepath.Join(e.dir, "state")}
	start(t, e.env, append(state, "run", file, "--targets", "Key=ParameterValues,Values="+strings.Join(names, ","), "--target-parameter-name", "Name",
		"--max-concurrency", "8", "--plan", "-o", plan)...).ends(0)
	start(t, e.env, append(state, "apply", plan)...).ends(8)
	store, err := sqlite.Open(t.Context(), filepath.Join(e.dir, "state", "knowngood.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	all, err := store.Runs(t.Context(), knowngood.RunQuery{})
	if err != nil {
		t.Fatal(err)
	}
	one := all[runs/2].ID

	worker := start(t, e.env, append(state, "runs", "work")...)
	time.Sleep(time.Second) // what it does first is no part of waiting
	before, began := processorTime(t, worker), time.Now()
	time.Sleep(3 * time.Second)
	share := float64(processorTime(t, worker)-before) / float64(time.Since(began))
	own, resident := memoryOf(t, worker, "RssAnon:"), memoryOf(t, worker, "VmRSS:")
	worker.kill()

	began = time.Now()
	worker = start(t, e.env, append(state, "runs", "work")...)
	list := start(t, e.env, append(state, "runs", "list", "--status", "Waiting", "--limit", "0", "--output", "json")...)
	list.ends(0)
	listed := time.Since(began)
	start(t, e.env, append(state, "approve", one, "--as", "ann")...).ends(0)
	decided := time.Since(began)
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		r, err := store.Run(t.Context(), one)
		if err != nil {
			t.Fatal(err)
		}
		if r.State == knowngood.RunSuccess {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the run is %s: %s\n%s", r.State, r.Message, &worker.errs)
		}
	}
	back := time.Since(began)
	var waiting []knowngood.Run
	if err := json.Unmarshal(list.out.Bytes(), &waiting); err != nil || len(waiting) != runs {
		t.Fatalf("%d runs wait, want %d: %v", len(waiting), runs, err)
	}
	t.Logf("%d runs that wait: %.1f MiB, %.1f of them the process's own, and %.2f%% of a core; after a kill -9 and from the new process's start, all were listed after %v, one was decided after %v, and had gone on to its end after %v",
		runs, float64(resident)/(1<<20), float64(own)/(1<<20), 100*share, listed.Round(time.Millisecond), decided.Round(time.Millisecond), back.Round(time.Millisecond))
	if judged && (resident > waitingMemory || share > waitingShare || back > waitingBack) {
		t.Errorf("want at most %d MiB, %.0f%% of a core, and %v", waitingMemory>>20, 100*waitingShare, waitingBack)
	}
}

// processorTime is what a process has used, in user and system mode.
func processorTime(t *testing.T, p *process) time.Duration {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	// The command's name, in parentheses, may hold anything; utime and stime are the
	// 14th and 15th fields, in hundredths of a second (proc(5)).
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	var ticks int
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// memoryOf is a part of a process's resident memory, in bytes (proc(5)).
func memoryOf(t *testing.T, p *process, part string) int64 {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), part); ok {
			n, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatal("no resident memory is given")
	return 0
}
