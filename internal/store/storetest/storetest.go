// Package storetest is the conformance suite of the stores: what every one must
// do, whatever database it stands on.
package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
)

// Runs is the part of a store that keeps runs and their logs.
type Runs interface {
	CreateRun(ctx context.Context, r knowngood.Run) error
	Run(ctx context.Context, id string) (knowngood.Run, error)
	Runs(ctx context.Context, q knowngood.RunQuery) ([]knowngood.Run, error)
	Prune(ctx context.Context, before time.Time) (int, error)
	Acquire(ctx context.Context, runID, owner string, now time.Time, ttl time.Duration, dead func(owner string) bool) (int64, error)
	Renew(ctx context.Context, runID string, epoch int64, now time.Time, ttl time.Duration) error
	Release(ctx context.Context, runID string, epoch int64) error
	RequestCancel(ctx context.Context, runID string, entry knowngood.LogEntry) error
}

// Log is the part of a store that keeps the entries of runs.
type Log interface {
	Entries(ctx context.Context, runID string) ([]knowngood.LogEntry, error)
	Append(ctx context.Context, runID string, epoch int64, entries []knowngood.LogEntry, state knowngood.RunState, message string, wake *time.Time) error
}

// Plans is the part of a store that keeps plans and the decisions on them.
type Plans interface {
	PutPlan(ctx context.Context, p *knowngood.Plan) error
	HasPlan(ctx context.Context, hash string) (bool, error)
	Plan(ctx context.Context, hash string) (json.RawMessage, error)
	PutApproval(ctx context.Context, a knowngood.Approval) error
	Approvals(ctx context.Context, planHash string) ([]knowngood.Approval, error)
	DigestKey(ctx context.Context) ([]byte, error)
}

// Findings is the part of a store that keeps what scans found.
type Findings interface {
	UpdateFinding(ctx context.Context, id string, change func(knowngood.Finding) (knowngood.Finding, error)) error
	UpdateFindings(ctx context.Context, ids []string, change func(int, knowngood.Finding) (knowngood.Finding, error)) error
	Finding(ctx context.Context, id string) (knowngood.Finding, error)
	Findings(ctx context.Context) ([]knowngood.Finding, error)
	PutEvaluation(ctx context.Context, e knowngood.Evaluation) error
	Evaluations(ctx context.Context) ([]knowngood.Evaluation, error)
	ReplaceJudgements(ctx context.Context, now []knowngood.Judgement, gone []knowngood.Judgement) error
	Judgements(ctx context.Context, account string) ([]knowngood.Judgement, error)
}

// Collections is the part of a store that keeps what a scan has read so far.
type Collections interface {
	PutCollection(ctx context.Context, c knowngood.Collection) error
	Collections(ctx context.Context, account string) ([]knowngood.Collection, error)
	EndCollections(ctx context.Context, account string) error
}

// Store is a whole store.
type Store interface {
	Collections
	Runs
	Log
	Plans
	Attachments
	Findings
	Close() error
}

var (
	start  = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	volume = knowngood.ResourceKey{Account: "111122223333", Region: "eu-west-1", Type: "AWS::EC2::Volume", ID: "vol-1"}
)

func run(id string) knowngood.Run {
	return knowngood.Run{ID: id, PlanHash: "hash-of-" + id, Resource: volume, State: knowngood.RunPending, Created: start, Updated: start}
}

func entries(from, n int64) []knowngood.LogEntry {
	var out []knowngood.LogEntry
	for seq := from; seq < from+n; seq++ {
		out = append(out, knowngood.LogEntry{Seq: seq, Time: start.Add(time.Duration(seq) * time.Second), Kind: knowngood.EntryIntent, Step: "S", Attempt: 1, Body: json.RawMessage(`{"n":1}`)})
	}
	return out
}

func wantKind(t *testing.T, err error, kind knowngood.Kind, text string) {
	t.Helper()
	if err == nil || knowngood.KindOf(err) != kind || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v (kind %d), want kind %d with %q", err, knowngood.KindOf(err), kind, text)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Run runs the suite. open gives a handle on one database: a new one at the
// first call in a test, the same one at each further call, as another process
// would have it.
func Run(t *testing.T, newDatabase func(t *testing.T) (open func() Store)) {
	ctx := t.Context()
	for _, c := range []struct {
		name string
		test func(t *testing.T, open func() Store)
	}{
		{"log is gapless and in order", func(t *testing.T, open func() Store) {
			s := open()
			must(t, s.CreateRun(ctx, run("r1")))
			epoch, err := s.Acquire(ctx, "r1", "a", start, time.Minute, nil)
			must(t, err)
			must(t, s.Append(ctx, "r1", epoch, entries(1, 1000), knowngood.RunInProgress, "", nil))
			wantKind(t, s.Append(ctx, "r1", epoch, entries(1000, 1), knowngood.RunInProgress, "", nil), knowngood.Conflict, "does not follow")
			wantKind(t, s.Append(ctx, "r1", epoch, entries(1002, 1), knowngood.RunInProgress, "", nil), knowngood.Conflict, "does not follow")
			must(t, s.Append(ctx, "r1", epoch, entries(1001, 1), knowngood.RunInProgress, "", nil))
			log, err := open().Entries(ctx, "r1")
			must(t, err)
			if len(log) != 1001 {
				t.Fatalf("%d entries", len(log))
			}
			for i, e := range log {
				if e.Seq != int64(i+1) || e.Kind != knowngood.EntryIntent || string(e.Body) != `{"n":1}` || !e.Time.Equal(start.Add(time.Duration(i+1)*time.Second)) {
					t.Fatalf("entry %d is %+v", i+1, e)
				}
			}
		}},
		{"append is all or nothing", func(t *testing.T, open func() Store) {
			s := open()
			must(t, s.CreateRun(ctx, run("r1")))
			epoch, err := s.Acquire(ctx, "r1", "a", start, time.Minute, nil)
			must(t, err)
			bad := append(entries(1, 2), entries(9, 1)...)
			wantKind(t, s.Append(ctx, "r1", epoch, bad, knowngood.RunFailed, "no", nil), knowngood.Conflict, "entry 9")
			if log, _ := s.Entries(ctx, "r1"); len(log) != 0 {
				t.Errorf("%d entries of a refused append", len(log))
			}
			if r, _ := s.Run(ctx, "r1"); r.State != knowngood.RunPending {
				t.Errorf("state %s of a refused append", r.State)
			}
		}},
		{"state, message and wake go with the log", func(t *testing.T, open func() Store) {
			s := open()
			must(t, s.CreateRun(ctx, run("r1")))
			epoch, err := s.Acquire(ctx, "r1", "a", start, time.Minute, nil)
			must(t, err)
			wake := start.Add(48*time.Hour + 123456*time.Microsecond)
			must(t, s.Append(ctx, "r1", epoch, entries(1, 1), knowngood.RunWaiting, "for an approval", &wake))
			r, err := open().Run(ctx, "r")
			must(t, err)
			if r.State != knowngood.RunWaiting || r.Message != "for an approval" || r.Wake == nil || !r.Wake.Equal(wake) || !r.Updated.Equal(start.Add(time.Second)) || r.PlanHash != "hash-of-r1" {
				t.Errorf("%+v", r)
			}
			must(t, s.Append(ctx, "r1", epoch, entries(2, 1), knowngood.RunInProgress, "", nil))
			if r, _ = s.Run(ctx, "r1"); r.Wake != nil {
				t.Errorf("wake %v after it was taken back", r.Wake)
			}
		}},
		{"one run a resource", func(t *testing.T, open func() Store) {
			s := open()
			must(t, s.CreateRun(ctx, run("r1")))
			wantKind(t, open().CreateRun(ctx, run("r2")), knowngood.Conflict, "run r1 acts on")
			wantKind(t, s.CreateRun(ctx, run("r1")), knowngood.Conflict, "started before")
			other := run("r3")
			other.Resource.ID = "vol-2"
			must(t, s.CreateRun(ctx, other))
			epoch, err := s.Acquire(ctx, "r1", "a", start, time.Minute, nil)
			must(t, err)
			must(t, s.Append(ctx, "r1", epoch, entries(1, 1), knowngood.RunOutcomeUnknown, "", nil))
			wantKind(t, s.CreateRun(ctx, run("r2")), knowngood.Conflict, "run r1 acts on")
			must(t, s.Append(ctx, "r1", epoch, entries(2, 1), knowngood.RunFailed, "", nil))
			must(t, s.CreateRun(ctx, run("r2")))
		}},
		{"leases fence", func(t *testing.T, open func() Store) {
			a, b := open(), open()
			must(t, a.CreateRun(ctx, run("r1")))
			first, err := a.Acquire(ctx, "r1", "a", start, time.Minute, nil)
			must(t, err)
			_, err = b.Acquire(ctx, "r1", "b", start.Add(59*time.Second), time.Minute, nil)
			wantKind(t, err, knowngood.Conflict, "a works on it")
			must(t, a.Renew(ctx, "r1", first, start.Add(50*time.Second), time.Minute))
			_, err = b.Acquire(ctx, "r1", "b", start.Add(70*time.Second), time.Minute, nil)
			wantKind(t, err, knowngood.Conflict, "a works on it")
			second, err := b.Acquire(ctx, "r1", "b", start.Add(111*time.Second), time.Minute, nil)
			must(t, err)
			wantKind(t, a.Append(ctx, "r1", first, entries(1, 1), knowngood.RunInProgress, "", nil), knowngood.Conflict, "another worker")
			wantKind(t, a.Renew(ctx, "r1", first, start, time.Hour), knowngood.Conflict, "another worker")
			must(t, a.Release(ctx, "r1", first)) // lost: it must not free b's
			_, err = a.Acquire(ctx, "r1", "a", start.Add(112*time.Second), time.Minute, nil)
			wantKind(t, err, knowngood.Conflict, "b works on it")
			must(t, b.Append(ctx, "r1", second, entries(1, 1), knowngood.RunInProgress, "", nil))
			must(t, b.Release(ctx, "r1", second))
			_, err = a.Acquire(ctx, "r1", "a", start.Add(112*time.Second), time.Minute, nil)
			must(t, err)
		}},
		{"a dead owner's lease is taken at once", func(t *testing.T, open func() Store) {
			s := open()
			must(t, s.CreateRun(ctx, run("r1")))
			_, err := s.Acquire(ctx, "r1", "a", start, time.Hour, nil)
			must(t, err)
			_, err = s.Acquire(ctx, "r1", "b", start, time.Hour, func(owner string) bool { return owner == "a" })
			must(t, err)
		}},
		{"of concurrent appends one wins", func(t *testing.T, open func() Store) {
			s, other := open(), open()
			must(t, s.CreateRun(ctx, run("r1")))
			epoch, err := s.Acquire(ctx, "r1", "a", start, time.Minute, nil)
			must(t, err)
			for seq := int64(1); seq <= 20; seq++ {
				var won atomic.Int32
				var wg sync.WaitGroup
				for _, h := range []Store{s, other, s, other} {
					wg.Go(func() {
						if h.Append(ctx, "r1", epoch, entries(seq, 1), knowngood.RunInProgress, "", nil) == nil {
							won.Add(1)
						}
					})
				}
				wg.Wait()
				if won.Load() != 1 {
					t.Fatalf("%d appends of entry %d won", won.Load(), seq)
				}
			}
		}},
		{"cancel goes into the log beside the worker", func(t *testing.T, open func() Store) {
			s := open()
			must(t, s.CreateRun(ctx, run("r1")))
			epoch, err := s.Acquire(ctx, "r1", "a", start, time.Minute, nil)
			must(t, err)
			must(t, s.Append(ctx, "r1", epoch, entries(1, 1), knowngood.RunInProgress, "", nil))
			must(t, open().RequestCancel(ctx, "r1", knowngood.LogEntry{Kind: knowngood.EntryCancel, Time: start}))
			if r, err := s.Run(ctx, "r1"); err != nil || r.Wake == nil || !r.Wake.Equal(start) {
				t.Errorf("%+v, %v: a cancel makes the run due", r, err)
			}
			wantKind(t, s.Append(ctx, "r1", epoch, entries(2, 1), knowngood.RunInProgress, "", nil), knowngood.Conflict, "does not follow")
			must(t, s.Append(ctx, "r1", epoch, entries(3, 1), knowngood.RunCancelled, "", nil))
			wantKind(t, s.RequestCancel(ctx, "r1", knowngood.LogEntry{Kind: knowngood.EntryCancel, Time: start}), knowngood.Conflict, "has ended")
			wantKind(t, s.RequestCancel(ctx, "r9", knowngood.LogEntry{}), knowngood.NotFound, "r9")
		}},
		{"names by prefix", func(t *testing.T, open func() Store) {
			s := open()
			for _, id := range []string{"f-aa1", "f-aa2", "f-b"} {
				must(t, s.UpdateFinding(ctx, id, func(knowngood.Finding) (knowngood.Finding, error) {
					return knowngood.Finding{ID: id, State: knowngood.FindingOpen}, nil
				}))
			}
			f, err := s.Finding(ctx, "f-b")
			must(t, err)
			if f.ID != "f-b" {
				t.Errorf("%+v", f)
			}
			_, err = s.Finding(ctx, "f-a")
			wantKind(t, err, knowngood.Usage, "several")
			_, err = s.Finding(ctx, "f-c")
			wantKind(t, err, knowngood.NotFound, "no finding f-c")
		}},
		{"a finding changes as a whole", func(t *testing.T, open func() Store) {
			s, other := open(), open()
			attempt := func(f knowngood.Finding) (knowngood.Finding, error) {
				f.State = knowngood.FindingOpen
				f.Attempts++
				return f, nil
			}
			var wg sync.WaitGroup
			for _, h := range []Store{s, other, s, other} {
				wg.Go(func() {
					for range 25 {
						if err := h.UpdateFinding(ctx, "f-1", attempt); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			no := knowngood.E(knowngood.Refused, "", "no")
			wantKind(t, s.UpdateFinding(ctx, "f-1", func(knowngood.Finding) (knowngood.Finding, error) { return knowngood.Finding{}, no }), knowngood.Refused, "no")
			wantKind(t, s.UpdateFinding(ctx, "f-2", func(knowngood.Finding) (knowngood.Finding, error) { return knowngood.Finding{}, no }), knowngood.Refused, "no")
			all, err := other.Findings(ctx)
			must(t, err)
			if len(all) != 1 || all[0].ID != "f-1" || all[0].Attempts != 100 {
				t.Errorf("%+v, want one finding with 100 attempts", all)
			}
		}},
		{"plans and decisions", func(t *testing.T, open func() Store) {
			s := open()
			p := &knowngood.Plan{Hash: "5f2c00", RunID: "r1", Document: knowngood.DocumentRef{SHA256: "d1", Content: "x"}}
			must(t, s.PutPlan(ctx, p))
			must(t, s.PutPlan(ctx, p))
			raw, err := open().Plan(ctx, "5f2c")
			must(t, err)
			if !strings.Contains(string(raw), `"5f2c00"`) {
				t.Errorf("%s", raw)
			}
			for hash, want := range map[string]bool{"5f2c00": true, "5f2c": false, "5f2c01": false} {
				if has, err := s.HasPlan(ctx, hash); err != nil || has != want {
					t.Errorf("has %s: %v, %v", hash, has, err)
				}
			}
			changed := *p
			changed.Hash = "5f2c01"
			wantKind(t, s.PutPlan(ctx, &changed), knowngood.Refused, "its run r1 has the plan 5f2c00")
			for i, by := range []string{"ann", "bob", "ann"} {
				must(t, s.PutApproval(ctx, knowngood.Approval{PlanHash: p.Hash, By: by, Approved: i < 2, Time: start.Add(time.Duration(i) * time.Second)}))
			}
			got, err := s.Approvals(ctx, p.Hash)
			must(t, err)
			if len(got) != 2 || got[0].By != "bob" || got[1].By != "ann" || got[1].Approved {
				t.Errorf("%+v: a person's later decision takes the place of the earlier one", got)
			}
		}},
		{"the key of digests", func(t *testing.T, open func() Store) {
			s := open()
			keys := make([][]byte, 8)
			var wg sync.WaitGroup
			for i := range keys {
				wg.Go(func() {
					var err error
					if keys[i], err = s.DigestKey(ctx); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			again, err := open().DigestKey(ctx)
			must(t, err)
			for _, k := range keys {
				if len(k) != 32 || string(k) != string(again) || string(k) == string(make([]byte, 32)) {
					t.Errorf("the key is %x, and %x later", k, again)
				}
			}
		}},
		{"findings change together or not at all", func(t *testing.T, open func() Store) {
			s, ctx := open(), t.Context()
			ids := []string{"f-1", "f-2", "f-1"} // the third sees what the first wrote
			var saw []string
			change := func(fail int) func(int, knowngood.Finding) (knowngood.Finding, error) {
				return func(i int, f knowngood.Finding) (knowngood.Finding, error) {
					saw = append(saw, f.Title)
					f.Title += fmt.Sprint(i)
					if i == fail {
						return f, knowngood.E(knowngood.Conflict, "", "a test's")
					}
					return f, nil
				}
			}
			if err := s.UpdateFindings(ctx, ids, change(2)); knowngood.KindOf(err) != knowngood.Conflict {
				t.Errorf("%v", err)
			}
			if all, err := open().Findings(ctx); err != nil || len(all) != 0 {
				t.Errorf("%+v, %v", all, err)
			}
			saw = nil
			must(t, s.UpdateFindings(ctx, ids, change(-1)))
			must(t, s.UpdateFindings(ctx, nil, change(0)))
			if f, err := open().Finding(ctx, "f-1"); err != nil || f.Title != "02" || f.ID != "f-1" || strings.Join(saw, ",") != ",,0" {
				t.Errorf("%+v, %v, %v", f, err, saw)
			}
		}},
		{"judgements are replaced, and each account has its own", func(t *testing.T, open func() Store) {
			s, ctx := open(), t.Context()
			judged := func(id string, c knowngood.Compliance, basis string) knowngood.Judgement {
				k := volume
				k.ID = id
				return knowngood.Judgement{Evaluation: knowngood.Evaluation{Rule: "r", Resource: k, Compliance: c, Time: start}, Basis: basis}
			}
			a, b := judged("a", knowngood.Compliant, "1"), judged("b", knowngood.NonCompliant, "2")
			other := judged("a", knowngood.Compliant, "3")
			other.Resource.Account = "444455556666"
			must(t, s.ReplaceJudgements(ctx, []knowngood.Judgement{a, b, other}, nil))
			a = judged("a", knowngood.NonCompliant, "4")
			must(t, s.ReplaceJudgements(ctx, []knowngood.Judgement{a}, []knowngood.Judgement{b, judged("never", "", "")}))
			got, err := open().Judgements(ctx, volume.Account)
			if err != nil || len(got) != 1 || got[0] != a {
				t.Errorf("%+v, %v", got, err)
			}
			must(t, s.PutEvaluation(ctx, a.Evaluation)) // by who does not know what it rests on
			if got, err := s.Judgements(ctx, volume.Account); err != nil || len(got) != 1 || got[0].Basis != "" {
				t.Errorf("%+v, %v", got, err)
			}
		}},
		{"collections keep their items until the scan ends", func(t *testing.T, open func() Store) {
			s, ctx := open(), t.Context()
			c := knowngood.Collection{
				Account: volume.Account, Region: volume.Region, Type: volume.Type, Began: start, Finished: start.Add(time.Second), Reads: "r", Count: 1,
				Items: []knowngood.Resource{{AccountID: volume.Account, Region: volume.Region, Type: volume.Type, ID: "vol-1", Configuration: map[string]any{"size": int64(9007199254740993), "rate": 0.5}}},
			}
			empty := knowngood.Collection{Account: volume.Account, Region: "global", Type: "AWS::IAM::User", Began: start, Finished: start, Reads: "r"}
			must(t, s.PutCollection(ctx, c))
			must(t, s.PutCollection(ctx, empty))
			must(t, s.PutCollection(ctx, c)) // once more
			got, err := open().Collections(ctx, volume.Account)
			if err != nil || len(got) != 2 || !reflect.DeepEqual(got[0], c) || got[1].Items == nil || len(got[1].Items) != 0 {
				t.Fatalf("%+v, %v", got, err)
			}
			if got, err := s.Collections(ctx, "444455556666"); err != nil || len(got) != 0 {
				t.Errorf("%+v, %v", got, err)
			}
			must(t, s.EndCollections(ctx, volume.Account))
			got, err = s.Collections(ctx, volume.Account)
			if err != nil || len(got) != 2 || got[0].Items != nil || got[0].Count != 1 || !got[0].Began.Equal(start) {
				t.Errorf("%+v, %v", got, err)
			}
		}},
		{"attachments stay as long as a run may need them", attachments},
		{"evaluations keep the latest", func(t *testing.T, open func() Store) {
			s := open()
			for _, c := range []knowngood.Compliance{knowngood.NonCompliant, knowngood.Compliant} {
				must(t, s.PutEvaluation(ctx, knowngood.Evaluation{Rule: "encrypted-volumes", Resource: volume, Compliance: c, Time: start}))
			}
			got, err := s.Evaluations(ctx)
			must(t, err)
			if len(got) != 1 || got[0].Compliance != knowngood.Compliant {
				t.Errorf("%+v", got)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, newDatabase(t)) })
	}
}
