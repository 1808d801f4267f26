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

const waitingBook = `schemaVersion: '0.3'
parameters:
  Name: {type: String}
mainSteps:
- name: Ask
  action: aws:approve
  timeoutSeconds: 604800
  inputs: {Approvers: ['ann'], Message: 'May {{ Name }} go on?'}
- name: Look
  action: aws:executeAwsApi
  inputs: {Service: sts, Api: GetCallerIdentity}
`

// Runs that wait for a person cost next to nothing, and all of them are there again
// when a worker begins after a kill -9: listed, decidable, and going on.
//
// KNOWNGOOD_WAITING=RUNS makes it as many, and prints what they cost.
func TestRunsThatWaitCostLittleAndOutliveTheirWorker(t *testing.T) {
	t.Parallel()
	runs := 200
	if n, err := strconv.Atoi(os.Getenv("KNOWNGOOD_WAITING")); err == nil && n > 0 {
		runs = n
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

	worker := start(t, e.env, append(state, "runs", "work")...)
	time.Sleep(time.Second) // what it does first is no part of waiting
	before, began := processorTime(t, worker), time.Now()
	time.Sleep(3 * time.Second)
	share := float64(processorTime(t, worker)-before) / float64(time.Since(began))
	own, all := memoryOf(t, worker, "RssAnon:"), memoryOf(t, worker, "VmRSS:")
	worker.kill()

	worker = start(t, e.env, append(state, "runs", "work")...)
	list := start(t, e.env, append(state, "runs", "list", "--status", "Waiting", "--limit", "0", "--output", "json")...)
	list.ends(0)
	var waiting []knowngood.Run
	if err := json.Unmarshal(list.out.Bytes(), &waiting); err != nil || len(waiting) != runs {
		t.Fatalf("%d runs wait, want %d: %v", len(waiting), runs, err)
	}
	one := waiting[runs/2].ID
	start(t, e.env, append(state, "approve", one, "--as", "ann")...).ends(0)
	decided := time.Now()
	store, err := sqlite.Open(t.Context(), filepath.Join(e.dir, "state", "knowngood.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
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
	t.Logf("%d runs that wait: %d MiB of its own, %d MiB with the program's pages, and %.2f%% of a core; after a kill -9 all are listed, and one goes on %v after its decision", runs, own>>20, all>>20, 100*share, time.Since(decided).Round(time.Millisecond))
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
