package runbook

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/knowngood/knowngood"
)

var writeLogs = flag.Bool("write-logs", false, "add the golden runs that testdata/logs does not have; none that is there is changed")

// A file of testdata/logs is a run of a released version: its document, and each
// entry of its log with what that version did next. Files are added, never
// changed: a run that is under way when the program is exchanged must go on as it
// would have gone on.
type (
	keptDocument struct {
		File     string `json:"file"`
		Document string `json:"document"`
	}
	keptEntry struct {
		Entry knowngood.LogEntry `json:"entry"`
		Next  keptNext           `json:"next"`
	}
	// keptNext is what a version did after an entry.
	keptNext struct {
		Kind    NextKind            `json:"kind"`
		Step    string              `json:"step,omitempty"`
		Attempt int                 `json:"attempt,omitempty"`
		Entry   *knowngood.LogEntry `json:"entry,omitempty"`
		Call    *CallRequest        `json:"call,omitempty"`
		Intent  *IntentBody         `json:"intent,omitempty"`
		Effect  string              `json:"effect,omitempty"`
		Input   map[string]any      `json:"input,omitempty"` // of the effect
		Branch  *BranchDecision     `json:"branch,omitempty"`
		Until   time.Time           `json:"until,omitzero"`
		Approve *ApproveRequest     `json:"approve,omitempty"`
		End     *EndResult          `json:"end,omitempty"`
	}
)

func keep(n Next) keptNext {
	k := keptNext{Kind: n.Kind, Step: n.Step, Attempt: n.Attempt, Call: n.Call, Intent: n.Intent, Branch: n.Branch, Until: n.Until, Approve: n.Approve, End: n.End}
	if len(n.Entries) > 0 {
		k.Entry = &n.Entries[0]
	}
	if n.Effect != nil {
		k.Effect, k.Input = n.Effect.Action+":"+n.Effect.Operation, n.Effect.Input
	}
	return k
}

func keptLogs(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/logs/v*/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no logs: %v", err)
	}
	return files
}

func readKept(t *testing.T, file string) (*Document, []keptEntry) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(raw), []byte("\n"))
	var doc keptDocument
	if err := json.Unmarshal(lines[0], &doc); err != nil {
		t.Fatal(err)
	}
	d, err := Parse(doc.File, []byte(doc.Document))
	if err != nil {
		t.Fatal(err)
	}
	entries := make([]keptEntry, len(lines)-1)
	for i, line := range lines[1:] {
		if err := json.Unmarshal(line, &entries[i]); err != nil {
			t.Fatal(err)
		}
	}
	return d, entries
}

// normal is a value after a way through JSON, so that what was read compares with
// what was made.
func normal(t *testing.T, v any) any {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// Every log that a release wrote replays to the same next step, after each entry.
func TestKeptLogsReplay(t *testing.T) {
	if *writeLogs {
		addLogs(t)
	}
	for _, file := range keptLogs(t) {
		d, entries := readKept(t, file)
		var log []knowngood.LogEntry
		for _, e := range entries {
			log = append(log, e.Entry)
			next, err := Advance(d, log)
			if err != nil {
				t.Errorf("%s, entry %d: %v", file, e.Entry.Seq, err)
				break
			}
			if got, want := normal(t, keep(next)), normal(t, e.Next); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: after entry %d comes\n%v\nand came\n%v", file, e.Entry.Seq, got, want)
			}
		}
	}
}

// addLogs keeps the runs of the golden files, as this version makes them.
func addLogs(t *testing.T) {
	t.Helper()
	cat := catalog(t)
	files, err := filepath.Glob("testdata/run/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("testdata/logs/v1", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		to := "testdata/logs/v1/" + strings.TrimSuffix(filepath.Base(file), ".txtar") + ".jsonl"
		if _, err := os.Stat(to); err == nil {
			continue
		}
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parts := map[string]*txtar.File{}
		for i := range archive.Files {
			parts[archive.Files[i].Name] = &archive.Files[i]
		}
		text := parts["runbook.yaml"].Data
		d, err := Parse("runbook.yaml", text)
		if err != nil {
			t.Fatal(err)
		}
		params := knowngood.Params{}
		if p := parts["parameters.json"]; p != nil {
			params = parseJSON(t, string(p.Data))
		}
		_, log := runGolden(t, d, cat, params, string(parts["script"].Data), parts)
		var out bytes.Buffer
		enc := json.NewEncoder(&out)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(keptDocument{"runbook.yaml", string(text)}); err != nil {
			t.Fatal(err)
		}
		for i, e := range log {
			next, err := Advance(d, log[:i+1])
			if err != nil {
				t.Fatal(err)
			}
			if err := enc.Encode(keptEntry{e, keep(next)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(to, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A log that does not replay parks the run for a person: nothing is sent, nothing
// is appended.
func TestALogThatDoesNotReplayIsParked(t *testing.T) {
	cat := catalog(t)
	for _, file := range keptLogs(t) {
		d, entries := readKept(t, file)
		var log []knowngood.LogEntry
		for _, e := range entries {
			log = append(log, e.Entry)
		}
		damaged := map[string][]knowngood.LogEntry{}
		for i := range log {
			if i < len(log)-1 {
				damaged["without entry "+string(log[i].Kind)] = append(log[:i:i], log[i+1:]...)
			}
			foreign := append(log[:i:i], log[i:]...)
			foreign[i].Kind = "of-another-version"
			damaged["with a foreign "+string(log[i].Kind)] = foreign
			if log[i].Step != "" {
				elsewhere := append(log[:i:i], log[i:]...)
				elsewhere[i].Step = "Nowhere"
				damaged["with another step at "+string(log[i].Kind)] = elsewhere
			}
			broken := append(log[:i:i], log[i:]...)
			broken[i].Body = []byte(`{"status":`)
			if log[i].Kind != knowngood.EntryVerified && log[i].Kind != knowngood.EntryWake {
				damaged["with half a "+string(log[i].Kind)] = broken
			}
		}
		for how, entries := range damaged {
			kept := NewMemLog()
			kept.entries = entries
			world := &script{t: t, log: kept, clock: &testClock{now: began}}
			r := &Runner{Document: d, RunID: "run-1", Epoch: 1, Log: kept, Caller: world, Catalog: cat, Settler: world, Clock: world.clock, Class: classOf}
			end, err := r.Run(t.Context())
			if err != nil || end.State != knowngood.RunNeedsOperator {
				t.Errorf("%s %s: %+v, %v", file, how, end, err)
			}
			if state, message, _ := kept.State(); state != knowngood.RunNeedsOperator || message == "" {
				t.Errorf("%s %s: the row says %s %q", file, how, state, message)
			}
			if len(world.calls) > 0 || len(kept.entries) != len(entries) {
				t.Errorf("%s %s: calls %v, %d entries of %d", file, how, world.calls, len(kept.entries), len(entries))
			}
		}
	}
}
