package runbook

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

var update = flag.Bool("update", false, "write the logs that the golden files expect")

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// testClock is a clock that moves only when somebody sleeps on it.
type testClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if d > 0 {
		c.now = c.now.Add(d)
	}
	return nil
}

// script is a world that answers calls, decisions and settlements line by
// line:
//
//	ec2:DescribeVolumes {"Volumes": []}      the answer to this very call
//	ec2:StopInstances error CODE message     AWS's error, with status 400
//	ec2:StopInstances fault CODE message     the same with status 500
//	ec2:StopInstances drift reason           a decorator refuses the call
//	aws:executeScript {"Payload": 1}         what the script returned; error CODE message
//	aws:executeAutomation:Start ID, :Look STATE JSON, :Stop
//	aws:invokeWebhook 200 text, or lost
//	approve NAME / reject NAME COMMENT / undecided
//	settle known JSON / settle repeat / settle unknown REASON
//	cancel NAME                              a cancel request, before what follows
type script struct {
	t     *testing.T
	lines []string
	files map[string][]byte // attachments
	log   *MemLog
	clock *testClock
	calls []string // service:operation input
}

func (s *script) take(want string) (verb, rest string) {
	for len(s.lines) > 0 {
		line := strings.TrimSpace(s.lines[0])
		s.lines = s.lines[1:]
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		verb, rest, _ = strings.Cut(line, " ")
		if verb == "cancel" {
			e, err := Encode(knowngood.EntryCancel, "", 0, CancelBody{By: rest})
			if err != nil {
				s.t.Fatal(err)
			}
			e.Time = s.clock.Now()
			s.log.Add(e)
			continue
		}
		return verb, rest
	}
	s.t.Fatalf("the script has ended; asked for %s", want)
	return "", ""
}

func (s *script) Call(_ context.Context, service, operation string, in map[string]any, _ ...awsapi.CallOption) (map[string]any, error) {
	name := service + ":" + operation
	s.calls = append(s.calls, name+" "+text(plain(in)))
	verb, rest := s.take(name)
	if verb != name {
		s.t.Fatalf("called %s, the script expects %s", name, verb)
	}
	kind, tail, _ := strings.Cut(rest, " ")
	code, message, _ := strings.Cut(tail, " ")
	switch kind {
	case "error":
		return nil, &awsapi.Error{Code: code, Message: message, Status: 400, Service: service, Operation: operation}
	case "fault":
		return nil, &awsapi.Error{Code: code, Message: message, Status: 500, Service: service, Operation: operation, Retryable: true}
	case "drift":
		return nil, knowngood.E(knowngood.Refused, "", "%s", tail)
	}
	return parseJSON(s.t, rest), nil
}

func parseJSON(t testing.TB, s string) map[string]any {
	t.Helper()
	var v map[string]any
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return plain(v).(map[string]any)
}

func (s *script) decisions(_ context.Context, r ApproveRequest) ([]knowngood.Approval, error) {
	var list []knowngood.Approval
	for len(list) < r.Min {
		verb, rest := s.take("a decision of " + r.Step)
		name, comment, _ := strings.Cut(rest, " ")
		switch verb {
		case "approve":
			list = append(list, knowngood.Approval{By: name, Approved: true, Comment: comment, Time: s.clock.Now()})
		case "reject":
			return append(list, knowngood.Approval{By: name, Comment: comment, Time: s.clock.Now()}), nil
		case "undecided":
			return list, nil
		default:
			s.t.Fatalf("asked for a decision of %s, the script expects %s", r.Step, verb)
		}
	}
	return list, nil
}

func (s *script) Prepare(runID, step string, attempt int, call CallRequest) (CallRequest, error) {
	if call.Operation == "CreateVolume" {
		call.Input["ClientToken"] = fmt.Sprintf("%s-%s-%d", runID, step, attempt)
	}
	return call, nil
}

func (s *script) Settle(_ context.Context, _ awsapi.Caller, _ string, intent IntentBody) (Settlement, error) {
	verb, rest := s.take("settle " + intent.Operation)
	if verb != "settle" {
		s.t.Fatalf("asked to settle %s, the script expects %s", intent.Operation, verb)
	}
	kind, tail, _ := strings.Cut(rest, " ")
	switch kind {
	case "known":
		return Settlement{Known: true, Response: parseJSON(s.t, tail), Reason: "found by its tag"}, nil
	case "repeat":
		return Settlement{Repeat: true}, nil
	}
	return Settlement{Reason: tail}, nil
}

func (s *script) IsThere(_ CallRequest, refusal *CallError) string {
	if refusal.Code == "AlreadyGone" {
		return "it is gone"
	}
	return ""
}

// readsOnly is the class of operations by their names, for tests.
func classOf(_, operation string) knowngood.CallClass {
	for _, verb := range []string{"Describe", "Get", "List", "Head", "Invoke"} {
		if strings.HasPrefix(operation, verb) {
			return knowngood.Read
		}
	}
	return knowngood.Write
}

func startEntry(t testing.TB, d *Document, params knowngood.Params) knowngood.LogEntry {
	t.Helper()
	bound, err := d.BindParameters(params)
	if err != nil {
		t.Fatal(err)
	}
	e, err := d.Start(StartBody{
		Parameters: bound, ExecutionID: "run-1", DateTime: began, Seed: 7,
		Place: knowngood.Place{Partition: "aws", Account: "111122223333", Region: "eu-west-1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	e.Seq, e.Time = 1, began
	return e
}

// render writes a log for people to compare: seconds since the start, kind,
// step and attempt, body.
func render(log []knowngood.LogEntry) string {
	var b strings.Builder
	for _, e := range log {
		fmt.Fprintf(&b, "%d +%s %s", e.Seq, e.Time.Sub(began), e.Kind)
		if e.Step != "" {
			fmt.Fprintf(&b, " %s/%d", e.Step, e.Attempt)
		}
		if e.Kind != knowngood.EntryRunStarted {
			fmt.Fprintf(&b, " %s", e.Body)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	cat := catalog(t)
	files, err := filepath.Glob("testdata/run/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			parts := map[string]*txtar.File{}
			for i := range archive.Files {
				parts[archive.Files[i].Name] = &archive.Files[i]
			}
			d, err := Parse("runbook.yaml", parts["runbook.yaml"].Data)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range d.Validate(cat) {
				t.Error(p)
			}
			params := knowngood.Params{}
			if p := parts["parameters.json"]; p != nil {
				params = parseJSON(t, string(p.Data))
			}
			got := runScript(t, d, cat, params, string(parts["script"].Data), parts)
			want := parts["log"]
			if *update {
				want.Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want.Data) {
				t.Errorf("the log is\n%s\nwant\n%s", got, want.Data)
			}
		})
	}
}

// runScript runs a document to its end, taking it up again where it waits for
// a person or its outcome is unknown, as often as the script has lines for it.
func runScript(t *testing.T, d *Document, cat *awsapi.Catalog, params knowngood.Params, lines string, files map[string]*txtar.File) string {
	t.Helper()
	shown, _ := runGolden(t, d, cat, params, lines, files)
	return shown
}

// runGolden is runScript, and gives the log as well.
func runGolden(t *testing.T, d *Document, cat *awsapi.Catalog, params knowngood.Params, lines string, files map[string]*txtar.File) (string, []knowngood.LogEntry) {
	t.Helper()
	log := NewMemLog(startEntry(t, d, params))
	clock := &testClock{now: began}
	world := &script{t: t, lines: strings.Split(lines, "\n"), log: log, clock: clock, files: map[string][]byte{}}
	for name, f := range files {
		world.files[name] = f.Data
	}
	r := &Runner{
		Document: d, RunID: "run-1", Epoch: 1, Log: log, Caller: world, Catalog: cat, Settler: world, Clock: clock,
		Decisions: world.decisions, Class: classOf,
		Effects: Effects{Scripts: scriptWorld{world}, Automations: scriptWorld{world}, Webhooks: scriptWorld{world}, Attachment: world.attachment},
		CallID:  func(step string, attempt int, call CallRequest) string { return "w-" + step },
	}
	var b strings.Builder
	var result EndResult
	for range 10 {
		var err error
		if result, err = r.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(strings.TrimSpace(strings.Join(world.lines, ""))) == 0 {
			break
		}
		// Somebody looks at the run again a minute before its deadline, or an
		// hour later.
		wait := time.Hour
		if _, _, wake := log.State(); wake != nil && strings.HasPrefix(strings.TrimSpace(world.lines[0]), "undecided") {
			wait = wake.Sub(clock.Now())
		}
		_ = clock.Sleep(t.Context(), wait)
	}
	if rest := strings.TrimSpace(strings.Join(world.lines, "\n")); rest != "" {
		t.Errorf("left in the script: %s", rest)
	}
	entries, err := log.Entries(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	b.WriteString(render(entries))
	b.WriteString("calls\n")
	for _, c := range world.calls {
		b.WriteString("  " + c + "\n")
	}
	state, message, _ := log.State()
	fmt.Fprintf(&b, "%s: %s\n", state, message)
	if state != result.State || message != result.Message {
		t.Errorf("the run returned %s %q, its row says %s %q", result.State, result.Message, state, message)
	}
	return b.String(), entries
}
