package remedy

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/sandbox"
	"github.com/knowngood/knowngood/internal/store/postgres"
	"github.com/knowngood/knowngood/internal/store/sqlite"
	"github.com/knowngood/knowngood/library"
)

// familyStore is what a store is for runs that start others.
type familyStore interface {
	runbook.RunLog
	RunStore
	Family
	Records
	PlanStore
	Queue
	PutApproval(ctx context.Context, a knowngood.Approval) error
}

func eachStore(t *testing.T, test func(t *testing.T, store familyStore)) {
	t.Run("sqlite", func(t *testing.T) {
		s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "knowngood.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		test(t, s)
	})
	t.Run("postgres", func(t *testing.T) {
		s, err := postgres.Open(t.Context(), server(t).Database(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		test(t, s)
	})
}

// life is one life of a process: once it is killed it neither writes to the store
// nor makes calls.
type life struct {
	familyStore
	awsapi.Caller
	mu     sync.Mutex
	at     int  // it is killed at this write; 0: never
	after  bool // the write took place
	writes int
	killed bool
}

// write makes a write, unless the process is dead.
func (l *life) write(do func() error) error {
	l.mu.Lock()
	l.writes++
	strikes := l.writes == l.at
	dead := l.killed
	l.killed = l.killed || strikes
	l.mu.Unlock()
	switch {
	case dead, strikes && !l.after:
		return errKilled
	case strikes:
		return errors.Join(do(), errKilled)
	}
	return do()
}

func (l *life) Append(ctx context.Context, id string, epoch int64, entries []knowngood.LogEntry, state knowngood.RunState, message string, wake *time.Time) error {
	return l.write(func() error { return l.familyStore.Append(ctx, id, epoch, entries, state, message, wake) })
}

func (l *life) CreateRun(ctx context.Context, r knowngood.Run) error {
	return l.write(func() error { return l.familyStore.CreateRun(ctx, r) })
}

func (l *life) PutPlan(ctx context.Context, p *knowngood.Plan) error {
	return l.write(func() error { return l.familyStore.PutPlan(ctx, p) })
}

func (l *life) StartRun(ctx context.Context, r knowngood.Run, owner string, now time.Time, ttl time.Duration) (epoch int64, err error) {
	err = l.write(func() error {
		epoch, err = l.familyStore.StartRun(ctx, r, owner, now, ttl)
		return err
	})
	return epoch, err
}

func (l *life) Acquire(ctx context.Context, id, owner string, now time.Time, ttl time.Duration, dead func(string) bool) (epoch int64, err error) {
	err = l.write(func() error {
		epoch, err = l.familyStore.Acquire(ctx, id, owner, now, ttl, dead)
		return err
	})
	return epoch, err
}

func (l *life) Release(ctx context.Context, id string, epoch int64) error {
	return l.write(func() error { return l.familyStore.Release(ctx, id, epoch) })
}

func (l *life) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (out map[string]any, err error) {
	err = l.write(func() error {
		out, err = l.Caller.Call(ctx, service, operation, in, opts...)
		return err
	})
	return out, err
}

// household is an estate and a store in which runs start others.
type household struct {
	*estate
	store   familyStore
	content *Content
	name    string // of its runs
	lives   int
	runs    int
}

func newHousehold(t *testing.T, e *estate, store familyStore, name string) *household {
	t.Helper()
	content, err := LoadContent(library.FS)
	if err != nil {
		t.Fatal(err)
	}
	return &household{estate: e, store: store, content: content, name: name}
}

// process is a process of the household.
func (h *household) process(l *life) *Remediator {
	h.lives++
	l.familyStore, l.Caller = h.store, directly{h.estate}
	owner := fmt.Sprintf("%s-%d", h.name, h.lives)
	return &Remediator{
		Catalog: h.catalog, Content: h.content, As: func([]string, string, Narrowing) awsapi.Caller { return l }, Runs: l, Family: l, Plans: l, Log: l, Records: l, Clock: h.clock, Owner: owner,
		Dead:  func(other string) bool { return other != owner }, // the others are always dead
		NewID: func() string { h.runs++; return fmt.Sprintf("run-%s-%d", h.name, h.runs) },
	}
}

func (h *household) plan(r *Remediator, file string, params knowngood.Params) *knowngood.Plan {
	h.t.Helper()
	book, err := h.content.Runbook(file)
	if err != nil {
		h.t.Fatal(err)
	}
	place := knowngood.Place{Partition: "aws", Account: h.Account(), Region: h.Region()}
	plan, err := r.Plan(h.t.Context(), place, book, params, knowngood.ResourceKey{Account: h.Account(), Region: h.Region(), ID: "of " + h.name}, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	if len(plan.Incomplete) > 0 {
		h.t.Errorf("%v", plan.Incomplete)
	}
	return plan
}

// work lets workers, so many at once, go on with what is due until a run, and what it
// has started, are in one of some states.
func (h *household) work(plan *knowngood.Plan, atOnce int, until ...knowngood.RunState) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), time.Minute)
	defer cancel()
	r := h.process(&life{})
	w := &Worker{
		For: func(*knowngood.Plan) (*Remediator, error) { return r, nil }, Runs: h.store, Plans: h.store, Queue: h.store, Clock: knowngood.WallClock{}, Dead: r.Dead, Concurrency: atOnce,
		Ended: func(id string, _ Result, err error) {
			if err != nil {
				h.t.Errorf("%s: %v", id, err)
			}
		},
	}
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	for ctx.Err() == nil {
		run, err := h.store.Run(ctx, plan.RunID)
		runs := append(h.children(plan.RunID), run)
		if err == nil && !slices.ContainsFunc(runs, func(r knowngood.Run) bool { return !slices.Contains(until, r.State) }) {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	late := ctx.Err()
	cancel()
	if err := errors.Join(late, <-done); err != nil {
		run, _ := h.store.Run(h.t.Context(), plan.RunID)
		h.t.Fatalf("%v: the run is %s: %s", err, run.State, run.Message)
	}
}

func (h *household) queue(plan *knowngood.Plan) {
	h.t.Helper()
	run, err := h.process(&life{}).NewRun(h.t.Context(), plan)
	if err == nil {
		err = h.store.CreateRun(h.t.Context(), run)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *household) children(id string) []knowngood.Run {
	h.t.Helper()
	runs, err := h.store.Runs(h.t.Context(), knowngood.RunQuery{Parent: id})
	if err != nil {
		h.t.Fatal(err)
	}
	return runs
}

// gapless says that the logs of a run and of all that came of it have no gaps and one
// intent for each attempt at a step, and gives their number.
func (h *household) gapless(id string) int {
	h.t.Helper()
	log, err := h.store.Entries(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	intents := map[string]int{}
	for n, e := range log {
		if e.Seq != int64(n+1) {
			h.t.Errorf("%s: entry %d has the number %d", id, n+1, e.Seq)
		}
		if e.Kind == knowngood.EntryIntent {
			intents[fmt.Sprint(e.Step, " ", e.Attempt)]++
		}
	}
	for step, n := range intents {
		if n != 1 {
			h.t.Errorf("%s: %s has %d intents", id, step, n)
		}
	}
	n := 1
	for _, child := range h.children(id) {
		n += h.gapless(child.ID)
	}
	return n
}

const familyRunbook = `
schemaVersion: '0.3'
parameters: {VolumeId: {type: String}, Other: {type: String}}
mainSteps:
  - name: Snapshot
    action: aws:executeAwsApi
    inputs: {Service: ec2, Api: CreateSnapshot, VolumeId: '{{ VolumeId }}'}
    outputs: [{Name: Id, Selector: $.SnapshotId, Type: String}]
  - name: Copy
    action: aws:executeAutomation
    inputs: {DocumentName: Copy, RuntimeParameters: {SnapshotId: ['{{ Snapshot.Id }}'], Note: n}}
  - name: Tags
    action: aws:executeAutomation
    inputs: {DocumentName: Tag, RuntimeParameters: {Owner: '{{ Copy.Output }}'}, TargetParameterName: VolumeId, Targets: [{Key: ParameterValues, Values: ['{{ VolumeId }}', '{{ Other }}']}], MaxConcurrency: '1'}
  - name: Clean
    action: aws:executeAwsApi
    inputs: {Service: ec2, Api: DeleteSnapshot, SnapshotId: '{{ Snapshot.Id }}'}
`

// familyEstate is a snapshot of an estate with two volumes.
func familyEstate(t *testing.T) (snapshot []byte, at time.Time, params knowngood.Params) {
	t.Helper()
	e := newEstate(t)
	params = knowngood.Params{"VolumeId": e.attach("", nil), "Other": e.attach("", nil)}
	e.clock.Advance(time.Minute)
	snapshot, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return snapshot, e.clock.Now(), params
}

// A process is killed at each write that it makes to the store, and at each call, once
// before it and once after it; reads are stale for 10 s. The next process goes on:
// every run is there once, every effect is, and the outputs get to where they belong.
func TestKilledAtEachWriteOfParentAndChildrenItGoesOn(t *testing.T) {
	snapshot, at, params := familyEstate(t)
	dir := documents(t, map[string]string{"Family": familyRunbook, "Copy": copyRunbook, "Tag": tagRunbook})
	eachStore(t, func(t *testing.T, store familyStore) {
		kills := 0
		for _, after := range []bool{false, true} {
			for n := 1; ; n++ {
				s := &swept{estate: snapshot, at: at}
				h := newHousehold(t, s.world(t), store, fmt.Sprintf("%d-%v", n, after))
				plan := h.plan(h.process(&life{}), filepath.Join(dir, "Family.yaml"), params)
				h.SetStale(10 * time.Second)
				began := len(h.Calls())
				first := &life{at: n, after: after}
				_, err := h.process(first).Apply(t.Context(), plan, nil, knowngood.Retry{})
				if !first.killed {
					if err != nil {
						t.Fatal(err)
					}
					break // every write has had its turn
				}
				kills++
				result, err := h.process(&life{}).Apply(t.Context(), plan, nil, knowngood.Retry{})
				if err != nil || result.State != knowngood.RunSuccess {
					t.Fatalf("killed at %d, after it %v: %+v, %v", n, after, result, err)
				}
				h.SetStale(0)
				if runs := h.gapless(plan.RunID); runs != 5 {
					t.Errorf("killed at %d, after it %v: %d runs, want 5", n, after, runs)
				}
				made := effects(h.estate, began)
				for name, want := range map[string]int{"ec2:CreateSnapshot": 1, "ec2:CopySnapshot": 1, "ec2:DeleteSnapshot": 1} {
					if made[name] != want {
						t.Errorf("killed at %d, after it %v: %s took effect %d times", n, after, name, made[name])
					}
				}
				left := h.do("ec2", "DescribeSnapshots", nil)["Snapshots"].([]any)
				if len(left) != 1 {
					t.Fatalf("%d snapshots are left", len(left))
				}
				l := &loop{estate: h.estate}
				id := left[0].(map[string]any)["SnapshotId"].(string)
				if got := l.owners([]string{params["VolumeId"].(string), params["Other"].(string)}); got != id+" "+id {
					t.Errorf("killed at %d, after it %v: owners %s, want %s", n, after, got, id)
				}
			}
		}
		t.Logf("%d kills", kills)
		if kills < 60 {
			t.Errorf("only %d kills", kills)
		}
	})
}

// quickRunbook is one for workers, who leave waits to the wall clock: it has none.
const quickRunbook = `
schemaVersion: '0.3'
parameters: {SnapshotId: {type: String}, Note: {type: String}}
mainSteps:
  - name: Make
    action: aws:executeAwsApi
    inputs: {Service: ec2, Api: CreateVolume, AvailabilityZone: eu-west-1a, Size: 5, TagSpecifications: [{ResourceType: volume, Tags: [{Key: of, Value: '{{ SnapshotId }}'}]}]}
    outputs: [{Name: Id, Selector: $.VolumeId, Type: String}]
outputs: [Make.Id]
`

// One worker is enough: a run that waits for others is a row.
func TestOneWorkerCarriesOutAFamily(t *testing.T) {
	snapshot, at, params := familyEstate(t)
	dir := documents(t, map[string]string{"Family": familyRunbook, "Copy": quickRunbook, "Tag": tagRunbook})
	eachStore(t, func(t *testing.T, store familyStore) {
		for _, atOnce := range []int{1, 4} {
			h := newHousehold(t, (&swept{estate: snapshot, at: at}).world(t), store, fmt.Sprint("worked", atOnce))
			plan := h.plan(h.process(&life{}), filepath.Join(dir, "Family.yaml"), params)
			began := len(h.Calls())
			h.queue(plan)
			h.work(plan, atOnce, knowngood.EndedStates()...)
			run, err := store.Run(t.Context(), plan.RunID)
			if err != nil || run.State != knowngood.RunSuccess {
				t.Fatalf("%+v, %v", run, err)
			}
			if runs := h.gapless(plan.RunID); runs != 5 {
				t.Errorf("%d runs", runs)
			}
			if made := effects(h.estate, began); made["ec2:CreateSnapshot"] != 1 || made["ec2:CreateVolume"] != 1 || made["ec2:CreateTags"] != 2 || made["ec2:DeleteSnapshot"] != 1 {
				t.Errorf("%v", made)
			}
		}
	})
}

const askingRunbook = `
schemaVersion: '0.3'
mainSteps:
  - {name: Ask, action: 'aws:executeAutomation', onCancel: 'step:Back', inputs: {DocumentName: Asked}}
  - {name: Forth, action: 'aws:executeAwsApi', isEnd: true, inputs: {Service: ec2, Api: EnableEbsEncryptionByDefault}}
  - {name: Back, action: 'aws:executeAwsApi', inputs: {Service: ec2, Api: CreateVolume, AvailabilityZone: eu-west-1a, Size: 7}}
`

const askedRunbook = `
schemaVersion: '0.3'
mainSteps:
  - {name: May, action: 'aws:approve', onCancel: 'step:Undo', inputs: {Approvers: [ann]}}
  - {name: Do, action: 'aws:executeAwsApi', isEnd: true, inputs: {Service: ec2, Api: CreateVolume, AvailabilityZone: eu-west-1a, Size: 5}}
  - {name: Undo, action: 'aws:executeAwsApi', inputs: {Service: ec2, Api: CreateVolume, AvailabilityZone: eu-west-1a, Size: 6}}
`

func (h *household) sizes() string {
	var out []string
	for _, v := range h.do("ec2", "DescribeVolumes", nil)["Volumes"].([]any) {
		out = append(out, fmt.Sprint(v.(map[string]any)["Size"]))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// A child that waits for a person is decided by a decision on the first plan, or on
// its own; a cancel request of the parent stops it, and the parent goes back when it
// has.
func TestAChildWaitsForAPersonAndStopsWithItsParent(t *testing.T) {
	snapshot, at, _ := familyEstate(t)
	dir := documents(t, map[string]string{"Asking": askingRunbook, "Asked": askedRunbook})
	eachStore(t, func(t *testing.T, store familyStore) {
		for _, c := range []struct {
			name  string
			then  func(h *household, plan *knowngood.Plan, child knowngood.Run) error
			state knowngood.RunState
			sizes string
		}{
			{"approved", func(_ *household, plan *knowngood.Plan, _ knowngood.Run) error {
				return store.PutApproval(t.Context(), knowngood.Approval{PlanHash: plan.Hash, RunID: plan.RunID, By: "ann", Approved: true, Time: at})
			}, knowngood.RunSuccess, "5 500 500"},
			{"approved by itself", func(_ *household, _ *knowngood.Plan, child knowngood.Run) error {
				return store.PutApproval(t.Context(), knowngood.Approval{PlanHash: child.PlanHash, RunID: child.ID, By: "ann", Approved: true, Time: at})
			}, knowngood.RunSuccess, "5 500 500"},
			{"rejected", func(_ *household, _ *knowngood.Plan, child knowngood.Run) error {
				return store.PutApproval(t.Context(), knowngood.Approval{PlanHash: child.PlanHash, RunID: child.ID, By: "ann", Time: at})
			}, knowngood.RunFailed, "500 500"},
			{"cancelled", func(_ *household, plan *knowngood.Plan, _ knowngood.Run) error {
				return store.RequestCancel(t.Context(), plan.RunID, knowngood.LogEntry{Kind: knowngood.EntryCancel, Time: at})
			}, knowngood.RunCancelled, "500 500 6 7"},
		} {
			t.Run(c.name, func(t *testing.T) {
				h := newHousehold(t, (&swept{estate: snapshot, at: at}).world(t), store, strings.ReplaceAll(c.name, " ", ""))
				plan := h.plan(h.process(&life{}), filepath.Join(dir, "Asking.yaml"), nil)
				h.queue(plan)
				h.work(plan, 2, knowngood.RunWaiting)
				children := h.children(plan.RunID)
				if len(children) != 1 {
					t.Fatalf("%d children", len(children))
				}
				if err := c.then(h, plan, children[0]); err != nil {
					t.Fatal(err)
				}
				h.work(plan, 2, knowngood.EndedStates()...)
				run, err := store.Run(t.Context(), plan.RunID)
				if err != nil || run.State != c.state {
					t.Errorf("%+v, %v", run, err)
				}
				if got := h.sizes(); got != c.sizes {
					t.Errorf("volumes of %s GiB, want %s", got, c.sizes)
				}
				// A child's way back is gone before its parent's.
				if c.state == knowngood.RunCancelled {
					child, err := store.Entries(t.Context(), children[0].ID)
					if err != nil {
						t.Fatal(err)
					}
					log, err := store.Entries(t.Context(), plan.RunID)
					if err != nil {
						t.Fatal(err)
					}
					i := slices.IndexFunc(log, func(e knowngood.LogEntry) bool { return e.Step == "Back" })
					if i < 0 || log[i].Time.Before(child[len(child)-1].Time) {
						t.Errorf("the parent goes back at %v, the child ends at %v", log[max(i, 0)].Time, child[len(child)-1].Time)
					}
				}
			})
		}
	})
}

// A step that is tried again starts another run, whose writes have tokens of their
// own; what it brings is bound.
func TestASecondAttemptIsAnotherRun(t *testing.T) {
	snapshot, at, _ := familyEstate(t)
	dir := documents(t, map[string]string{"Twice": `
schemaVersion: '0.3'
mainSteps:
  - {name: Make, action: 'aws:executeAutomation', maxAttempts: 2, inputs: {DocumentName: Made}}
  - {name: Mark, action: 'aws:executeAwsApi', inputs: {Service: ec2, Api: CreateTags, Resources: '{{ Make.Output }}', Tags: [{Key: made, Value: 'yes'}]}}
`, "Made": `
schemaVersion: '0.3'
mainSteps:
  - name: Make
    action: aws:executeAwsApi
    inputs: {Service: ec2, Api: CreateVolume, AvailabilityZone: eu-west-1a, Size: 5, TagSpecifications: [{ResourceType: volume, Tags: [{Key: run, Value: '{{ automation:EXECUTION_ID }}'}]}]}
    outputs: [{Name: Id, Selector: $.VolumeId, Type: String}]
  - {name: Encrypt, action: 'aws:executeAwsApi', inputs: {Service: ec2, Api: EnableEbsEncryptionByDefault}}
outputs: [Make.Id]
`})
	eachStore(t, func(t *testing.T, store familyStore) {
		h := newHousehold(t, (&swept{estate: snapshot, at: at}).world(t), store, "twice")
		plan := h.plan(h.process(&life{}), filepath.Join(dir, "Twice.yaml"), nil)
		h.Inject(sandbox.Fault{Service: "ec2", Operation: "EnableEbsEncryptionByDefault", Error: &awsapi.Error{Code: "UnauthorizedOperation", Status: 403}})
		result, err := h.process(&life{}).Apply(t.Context(), plan, nil, knowngood.Retry{})
		if err != nil || result.State != knowngood.RunSuccess {
			t.Fatalf("%+v, %v", result, err)
		}
		children := h.children(plan.RunID)
		if len(children) != 2 || children[0].ID == children[1].ID {
			t.Fatalf("%+v", children)
		}
		// The first attempt has left its volume, which another token made.
		if got := h.sizes(); got != "5 5 500 500" {
			t.Errorf("volumes of %s GiB", got)
		}
		for _, v := range h.do("ec2", "DescribeVolumes", nil)["Volumes"].([]any) {
			tags := text(v.(map[string]any)["Tags"])
			for i, child := range children { // the newest first
				if strings.Contains(tags, child.ID) && strings.Contains(tags, "made") != (i == 0) {
					t.Errorf("%s of %s", tags, child.ID)
				}
			}
		}
	})
}
