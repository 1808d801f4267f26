package runbook

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/knowngood/knowngood"
)

// A cursor says what Advance says of the same log, on each of its forks too.
func TestACursorSaysWhatAdvanceSays(t *testing.T) {
	d, err := Parse("every.yaml", []byte(everyAction))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		start, err := d.Start(StartBody{Parameters: knowngood.Params{"Id": "i-1"}, DateTime: time.Unix(0, 0).UTC()})
		if err != nil {
			t.Fatal(err)
		}
		c := NewCursor(d)
		if err := c.Add(start); err != nil {
			t.Fatal(err)
		}
		var forks []*Cursor
		var ends []Next
		for range rapid.IntRange(1, 60).Draw(t, "moves") {
			got, err := c.Next()
			want, wantErr := Advance(d, c.Log())
			if (err == nil) != (wantErr == nil) || !reflect.DeepEqual(got, want) {
				t.Fatalf("%+v, %v; Advance says %+v, %v", got, err, want, wantErr)
			}
			if err != nil || got.Kind == NextEnd {
				break
			}
			if rapid.Bool().Draw(t, "fork") {
				forks, ends = append(forks, c.Fork()), append(ends, got)
			}
			for _, e := range anyMove(t, d, got) {
				if err := c.Add(e); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i, f := range forks {
			if got, err := f.Next(); err != nil || !reflect.DeepEqual(got, ends[i]) {
				t.Fatalf("a fork went on with the run that it left: %+v, want %+v", got, ends[i])
			}
		}
	})
}

// anyMove gives entries that may follow what comes next.
func anyMove(t *rapid.T, d *Document, n Next) []knowngood.LogEntry {
	entry := func(kind knowngood.EntryKind, body any) knowngood.LogEntry {
		e, err := Encode(kind, n.Step, n.Attempt, body)
		if err != nil {
			t.Fatal(err)
		}
		e.Time = n.Until
		return e
	}
	switch n.Kind {
	case NextAppend:
		return n.Entries
	case NextBranch:
		e, err := d.TakeBranch(n.Step, n.Attempt, rapid.SampledFrom(n.Branch.Arms).Draw(t, "arm"))
		if err != nil {
			t.Fatal(err)
		}
		return []knowngood.LogEntry{e}
	case NextCall:
		body := OutcomeBody{Service: n.Call.Service, Operation: n.Call.Operation, Outputs: map[string]any{"Out": "a", "List": []any{"a"}}, Property: "a"}
		if rapid.IntRange(0, 4).Draw(t, "outcome") == 0 {
			body = OutcomeBody{Service: n.Call.Service, Operation: n.Call.Operation, Error: &CallError{Code: "Denied", Message: "no"}}
		}
		return []knowngood.LogEntry{entry(knowngood.EntryOutcome, body)}
	case NextApprove:
		return []knowngood.LogEntry{entry(knowngood.EntryDecision, DecisionBody{Approved: rapid.Bool().Draw(t, "approved")})}
	}
	return []knowngood.LogEntry{entry(knowngood.EntryWake, WakeBody{})}
}
