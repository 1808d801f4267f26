package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/store/sqlite"
)

// The runbook of the fleet below: a write that is settled by its token and, in the
// long test, one that is settled by its tag, for whose sign a resumed run waits.
const fleetBook = `schemaVersion: '0.3'
parameters:
  Name: {type: String}
mainSteps:
- name: Make
  action: aws:executeAwsApi
  inputs:
    Service: ec2
    Api: CreateVolume
    AvailabilityZone: eu-west-1a
    Size: 1
    TagSpecifications:
    - {ResourceType: volume, Tags: [{Key: fleet, Value: '{{ Name }}'}]}
  outputs:
  - {Name: VolumeId, Selector: $.VolumeId, Type: String}
`

const fleetBookSnapshot = `- name: Wait
  action: aws:waitForAwsResourceProperty
  inputs:
    Service: ec2
    Api: DescribeVolumes
    VolumeIds: ['{{ Make.VolumeId }}']
    PropertySelector: $.Volumes[0].State
    DesiredValues: [available]
- name: Copy
  action: aws:executeAwsApi
  inputs:
    Service: ec2
    Api: CreateSnapshot
    VolumeId: '{{ Make.VolumeId }}'
    TagSpecifications:
    - {ResourceType: snapshot, Tags: [{Key: fleet, Value: '{{ Name }}'}]}
`

// A fleet is killed again and again, while its writes are on their way and between
// their effects and their answers: at the end each effect is there exactly once, each
// log is whole, and so is the database.
//
// KNOWNGOOD_KILLS=RUNS makes it as many runs, with 20 kills and two writes each.
func TestAFleetThatIsKilledDoesNothingTwice(t *testing.T) {
	t.Parallel()
	runs, kills, book, writes := 60, 4, fleetBook, []string{"CreateVolume"}
	if n, err := strconv.Atoi(os.Getenv("KNOWNGOOD_KILLS")); err == nil && n > 0 {
		runs, kills, book, writes = n, 20, fleetBook+fleetBookSnapshot, append(writes, "CreateSnapshot")
	}
	e := newEstate(t)
	file, plan := filepath.Join(e.dir, "fleet.yaml"), filepath.Join(e.dir, "fleet.json")
	if err := os.WriteFile(file, []byte(book), 0o600); err != nil {
		t.Fatal(err)
	}
	names := make([]string, runs)
	for i := range names {
		names[i] = fmt.Sprintf("t%04d", i)
	}
	state := []string{"--state", filepath.Join(e.dir, "state")}
	start(t, e.env, append(state, "run", file, "--targets", "Key=ParameterValues,Values="+strings.Join(names, ","), "--target-parameter-name", "Name",
		"--max-concurrency", "8", "--plan", "-o", plan)...).ends(0)
	random := rand.New(rand.NewPCG(1, 2))
	moments, cut := map[bool]int{}, 0
	for k := range kills {
		// Somewhere in the part of the writes that this life may come to.
		nth := k*runs/kills + 1 + random.IntN(runs/kills)
		after := random.IntN(3) > 0
		moments[after]++
		e.wire.mu.Lock()
		nth = max(nth, e.wire.seen[writes[k%len(writes)]]+1)
		e.wire.mu.Unlock()
		held, _ := e.wire.hold(writes[k%len(writes)], nth, after)
		p := start(t, e.env, append(state, "apply", plan)...)
		p.reaches(held)
		p.kill()
		store, err := sqlite.Open(t.Context(), filepath.Join(e.dir, "state", "knowngood.db"))
		if err != nil {
			t.Fatal(err)
		}
		cut += underWay(t, store)
		store.Close()
	}
	start(t, e.env, append(state, "apply", plan)...).ends(0)

	e.eachOnce(runs, writes)
	store, err := sqlite.Open(t.Context(), filepath.Join(e.dir, "state", "knowngood.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Check(t.Context()); err != nil {
		t.Error(err)
	}
	allWhole(t, store, runs, len(writes))
	t.Logf("%d runs of %d writes, %d kills, %d of them between effect and answer: %d writes were cut short; %d effects, each once, %d logs without a gap, the database is whole",
		runs, len(writes), kills, moments[true], cut, runs*len(writes), runs)
}

// eachOnce says that the runs of a fleet made everything, and nothing twice.
func (e *estate) eachOnce(runs int, writes []string) {
	e.t.Helper()
	e.advance("1m") // what was made last is not in stale reads
	times := map[string]int{}
	for _, kind := range []struct{ operation, list string }{{"DescribeVolumes", "Volumes"}, {"DescribeSnapshots", "Snapshots"}} {
		for page, err := range e.client.Pages(e.t.Context(), "ec2", kind.operation, object{"Filters": []any{object{"Name": "tag-key", "Values": []any{"fleet"}}}}) {
			if err != nil {
				e.t.Fatal(err)
			}
			for _, made := range page[kind.list].([]any) {
				for _, tag := range made.(object)["Tags"].([]any) {
					if tag := tag.(object); tag["Key"] == "fleet" {
						times[kind.list+" "+tag["Value"].(string)]++
					}
				}
			}
		}
	}
	if len(times) != runs*len(writes) {
		e.t.Errorf("%d effects, want %d", len(times), runs*len(writes))
	}
	for what, n := range times {
		if n != 1 {
			e.t.Errorf("%s was made %d times", what, n)
		}
	}
}

// allWhole says that all runs succeeded, that their logs have no gap, and that each
// of their writes was begun once and has an outcome.
func allWhole(t *testing.T, store runLogs, runs, writes int) {
	t.Helper()
	all, err := store.Runs(t.Context(), knowngood.RunQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		log, err := store.Entries(t.Context(), r.ID)
		if err != nil {
			t.Fatal(err)
		}
		intents, outcomes := 0, 0
		for i, entry := range log {
			if entry.Seq != int64(i+1) {
				t.Fatalf("%s: entry %d has the number %d", r.ID, i+1, entry.Seq)
			}
			switch entry.Kind {
			case knowngood.EntryIntent:
				intents++
			case knowngood.EntryOutcome:
				if strings.Contains(string(entry.Body), `"response"`) {
					outcomes++ // of a write
				}
			}
		}
		if r.State != knowngood.RunSuccess || intents != writes || outcomes != writes {
			t.Errorf("%s: %s with %d intents and %d outcomes", r.ID, r.State, intents, outcomes)
		}
	}
	if len(all) != runs {
		t.Errorf("%d runs, want %d", len(all), runs)
	}
}

// runLogs is what a store knows of runs.
type runLogs interface {
	Runs(ctx context.Context, q knowngood.RunQuery) ([]knowngood.Run, error)
	Entries(ctx context.Context, runID string) ([]knowngood.LogEntry, error)
}

// underWay counts the writes that have an intent and no outcome.
func underWay(t *testing.T, store runLogs) int {
	t.Helper()
	all, err := store.Runs(t.Context(), knowngood.RunQuery{States: []knowngood.RunState{knowngood.RunInProgress}})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, r := range all {
		log, err := store.Entries(t.Context(), r.ID)
		if err != nil {
			t.Fatal(err)
		}
		if len(log) > 0 && log[len(log)-1].Kind == knowngood.EntryIntent {
			n++
		}
	}
	return n
}
