package script

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/sandbox"
)

func TestMain(m *testing.M) {
	Init()
	os.Exit(m.Run())
}

// bench runs scripts against a sandbox of its own.
type bench struct {
	t       testing.TB
	runner  *Runner
	sandbox *sandbox.Sandbox
	clock   *sandbox.ManualClock
	client  *awsapi.Client
	request Request // what each request has unless it says otherwise

	mu    sync.Mutex
	calls []string // in order, as SERVICE:OPERATION REGION
	by    []string // the access key id of each, "" the run's own
}

var catalog = sync.OnceValues(awsapi.Embedded)

func newBench(t testing.TB) *bench {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not installed")
	}
	c, err := catalog()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, runner: New(Options{Catalog: c}), clock: sandbox.NewClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))}
	if b.sandbox, err = sandbox.New(sandbox.Options{Catalog: c, Clock: b.clock}); err != nil {
		t.Fatal(err)
	}
	key, secret := b.sandbox.Credentials()
	b.client, err = awsapi.New(awsapi.Config{Catalog: c, Region: "eu-west-1", HTTPClient: awsapi.HandlerDoer(b.sandbox), Credentials: awsapi.StaticCredentials(key, secret, ""),
		Retry: awsapi.RetryPolicy{MaxAttempts: 1}})
	if err != nil {
		t.Fatal(err)
	}
	b.request = Request{Runtime: "python3.11", Handler: "handler", Region: "eu-west-1", Caller: b, TimeLimit: 120 * time.Second}
	return b
}

// contained skips where nothing can be contained.
func contained(t testing.TB) *bench {
	t.Helper()
	b := newBench(t)
	if err := b.runner.check(); err != nil {
		t.Skip(err)
	}
	return b
}

// withBoto3 skips where boto3 is missing.
func withBoto3(t testing.TB) *bench {
	t.Helper()
	b := contained(t)
	if py, err := b.runner.interpreter(t.Context()); err != nil || py.Boto3 == "" {
		t.Skipf("boto3 is not installed (%v)", err)
	}
	return b
}

// Call implements awsapi.Caller.
func (b *bench) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	o := awsapi.Options(opts...)
	by := ""
	if o.Credentials != nil {
		c, err := o.Credentials.Retrieve(ctx)
		if err != nil {
			return nil, err
		}
		by = c.AccessKeyID
	}
	b.mu.Lock()
	b.calls, b.by = append(b.calls, service+":"+operation+" "+o.Region), append(b.by, by)
	b.mu.Unlock()
	return b.client.Call(ctx, service, operation, in, opts...)
}

func (b *bench) run(script string, change ...func(*Request)) Result {
	b.t.Helper()
	got, err := b.try(script, change...)
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

func (b *bench) try(script string, change ...func(*Request)) (Result, error) {
	r := b.request
	r.Script = script
	for _, c := range change {
		c(&r)
	}
	return b.runner.Run(b.t.Context(), r)
}

// succeeds runs a script and gives what it returned.
func (b *bench) succeeds(script string, change ...func(*Request)) any {
	b.t.Helper()
	got := b.run(script, change...)
	if got.Failure != nil {
		b.t.Fatalf("%s: %s\n%s", got.Failure.Class, got.Failure.Message, got.Log)
	}
	return got.Payload
}

// fails runs a script that has to fail with a class.
func (b *bench) fails(class, script string, change ...func(*Request)) Result {
	b.t.Helper()
	got := b.run(script, change...)
	if got.Failure == nil || got.Failure.Class != class {
		b.t.Fatalf("%+v, wanted %s\n%s", got.Failure, class, got.Log)
	}
	return got
}

func TestTheHandlerIsCalledAsSSMDoes(t *testing.T) {
	b := contained(t)
	got := b.succeeds(`
print("hello")
def handler(events, context):
    print("to", events["who"], context)
    return {"n": events["n"] + 1, "f": 1.5, "text": "é\ud83d\ude00", "none": None, "list": [1, 2**53 + 1], "main": __name__, "region": context["global:REGION"]}
`, func(r *Request) {
		r.Payload, r.Context = map[string]any{"who": "you", "n": int64(1 << 53)}, map[string]string{"global:REGION": "eu-west-1"}
	}).(map[string]any)
	want := map[string]any{"n": int64(1<<53 + 1), "f": 1.5, "text": "é😀", "none": nil, "main": "script", "region": "eu-west-1"}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s: %#v, wanted %#v", k, got[k], v)
		}
	}
	if list := got["list"].([]any); list[1] != int64(1<<53+1) {
		t.Errorf("%v", list)
	}
	r := b.run("import sys\nprint('out')\nprint('err', file=sys.stderr)\ndef handler(e, c): pass", func(r *Request) { r.Runtime = "python3.1" })
	if r.Failure != nil || r.Payload != nil || !strings.Contains(r.Log, "out\n") || !strings.Contains(r.Log, "err\n") || !strings.Contains(r.Log, "the runbook wants Python 3.1, this is 3.") {
		t.Errorf("%+v", r)
	}
}

func TestExceptionsHaveClassTextAndTraceback(t *testing.T) {
	b := contained(t)
	got := b.fails("Mine", `
class Mine(Exception): pass
def deeper(): raise Mine("no such thing")
def handler(events, context): deeper()
`)
	if got.Failure.Message != "no such thing" || !strings.Contains(got.Log, "script.py\", line 3, in deeper") || strings.Contains(got.Log, "main.py") {
		t.Errorf("%s\n%s", got.Failure.Message, got.Log)
	}
	b.fails("NameError", "def other(e, c): pass")
	b.fails("SyntaxError", "def handler(e, c:")
	b.fails("SystemExit", "import sys\ndef handler(e, c): sys.exit(3)")
	b.fails("TypeError", "def handler(e, c): return {1, 2}") // a set is no JSON
	b.fails("ValueError", "def handler(e, c): return float('nan')")
	if got := b.fails(FailedEnd, "import os\ndef handler(e, c): os._exit(7)"); !strings.Contains(got.Failure.Message, "exit status 7") {
		t.Error(got.Failure.Message)
	}
	if got := b.fails(FailedEnd, "import os\ndef handler(e, c): os.kill(os.getpid(), 11)"); !strings.Contains(got.Failure.Message, "segmentation fault") {
		t.Error(got.Failure.Message)
	}
}

func TestWhatIsNotInstalledIsRefused(t *testing.T) {
	b := newBench(t)
	for runtime, want := range map[string]string{"PowerShell 7.4": "scripts in PowerShell need pwsh", "PowerShell Core 6.0": "scripts in PowerShell need pwsh", "python3.11": "scripts in Python need python3", "ruby3.2": "not in ruby3.2"} {
		b.runner = New(Options{Python: "no-such-python", PowerShell: "no-such-pwsh"})
		_, err := b.try("", func(r *Request) { r.Runtime = runtime })
		if u, ok := err.(*Unavailable); !ok || !strings.Contains(u.Error(), want) {
			t.Errorf("%s: %v", runtime, err)
		}
	}
}

func TestWhatCantBeContainedIsRefused(t *testing.T) {
	b := newBench(t)
	b.runner = New(Options{Catalog: b.runner.o.Catalog, Bare: true})
	if _, err := b.try("def handler(e, c): return 1"); err == nil || !strings.Contains(err.Error(), "can't be contained") {
		t.Fatal(err)
	}
	warned := 0
	b.runner = New(Options{Catalog: b.runner.o.Catalog, Bare: true, Uncontained: true, Warn: func(what string) {
		if warned++; !strings.Contains(what, "the script runs uncontained, with the files, the network and the rights of this process") {
			t.Error(what)
		}
	}})
	for range 2 {
		if got := b.run("def handler(e, c): return 1"); got.Payload != int64(1) || !strings.Contains(got.Log, "the script runs uncontained") {
			t.Errorf("%+v", got)
		}
	}
	if warned != 2 {
		t.Errorf("warned %d times of two scripts", warned)
	}
	// What is left behind in the process group goes, too.
	b.fails(FailedTime, "import subprocess\ndef handler(e, c): subprocess.run(['sleep', '600'])", func(r *Request) { r.TimeLimit = 2 * time.Second })
}

func TestTheClockAndRandomNumbersAreFixed(t *testing.T) {
	b := contained(t)
	at := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	script := `
import datetime, random, time, uuid
from datetime import datetime as dt, date
def handler(e, c):
    before = time.monotonic()
    time.sleep(90)
    late = time.time()
    return [dt.now().isoformat(), dt.utcnow().isoformat(), dt.now(datetime.timezone.utc).isoformat(), date.today().isoformat(), time.strftime("%H:%M:%S"), late, time.time_ns(),
        isinstance(dt.fromisoformat("2020-01-01"), datetime.datetime), isinstance(datetime.date(2020, 1, 1), datetime.datetime), issubclass(dt, date), str(dt.now() + datetime.timedelta(days=1)),
        time.monotonic() - before >= 90, random.random(), random.sample(range(1000), 5), str(uuid.uuid4()), list({"a", "b", "c", "d"})]
`
	run := func(seed int64) []any {
		return b.succeeds(script, func(r *Request) { r.Time, r.Seed, r.Dry = at, seed, true }).([]any)
	}
	first, again, other := run(7), run(7), run(8)
	want := []any{"2026-02-03T04:06:36", "2026-02-03T04:06:36", "2026-02-03T04:06:36+00:00", "2026-02-03", "04:06:36", 1770091596.0, int64(1770091596000000000), true, false, true, "2026-02-04 04:06:36", true}
	for i, v := range want {
		if n, ok := v.(float64); ok {
			v = int64(n)
		}
		if n, ok := first[i].(float64); ok {
			first[i] = int64(n)
		}
		if first[i] != v {
			t.Errorf("%d: %v, wanted %v", i, first[i], v)
		}
	}
	same := func(a, b []any) bool { return jsonText(t, a[12:]) == jsonText(t, b[12:]) }
	if !same(first, again) {
		t.Errorf("the same seed gives\n%v\n%v", first[12:], again[12:])
	}
	if same(first, other) {
		t.Error("another seed gives the same")
	}
}

func TestAttachments(t *testing.T) {
	b := contained(t)
	archive := zipOf(t, map[string]string{
		"entry.py":           "import lib.help\ndef start(events, context):\n    return lib.help.twice(events['n']), open('/run/script/files/data/text').read()",
		"lib/__init__.py":    "",
		"lib/help.py":        "def twice(n): return 2 * n",
		"data/text":          "some text",
		"unused/nothing.txt": "",
	})
	got := b.succeeds("", func(r *Request) {
		r.Attachment, r.Files, r.Handler, r.Payload = "code.zip", map[string][]byte{"code.zip": archive}, "entry.start", map[string]any{"n": 21}
	}).([]any)
	if got[0] != int64(42) || got[1] != "some text" {
		t.Error(got)
	}
	if got := b.succeeds("", func(r *Request) {
		r.Attachment, r.Files, r.Handler = "one.py", map[string][]byte{"one.py": []byte("def f(e, c): return 'one'")}, "one.f"
	}); got != "one" {
		t.Error(got)
	}
	bad := b.run("", func(r *Request) {
		r.Attachment, r.Files, r.Handler = "a.zip", map[string][]byte{"a.zip": zipOf(t, map[string]string{"../../evil.py": "x"})}, "evil.f"
	})
	if bad.Failure == nil || !strings.Contains(bad.Failure.Message, "../../evil.py") {
		t.Errorf("%+v", bad.Failure)
	}
}

func TestAllowedHostsAreReachedAndOthersAreNot(t *testing.T) {
	b := contained(t)
	sent := ""
	got := b.run(`
import urllib.request
def get(url, data=None):
    try:
        return urllib.request.urlopen(url, data).read().decode()
    except Exception as e:
        return str(e)
def handler(e, c):
    return [get("https://hooks.example.com/a?b=c", b"body"), get("http://hooks.example.com/plain"), get("https://evil.example.com/"), get("http://169.254.169.254/latest/meta-data/"), get("http://127.0.0.1:1/"), get("https://hooks.example.com:8443/")]
`, func(r *Request) {
		r.Hosts = []string{"hooks.example.com:443", "hooks.example.com:80"}
		r.Outside = func(r *http.Request) (*http.Response, error) {
			sent += r.Method + " " + r.URL.String() + "\n"
			rec := &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, ContentLength: 0}
			return rec, nil
		}
	})
	if got.Failure != nil {
		t.Fatal(got.Failure, got.Log)
	}
	list := got.Payload.([]any)
	if list[0] != "" || list[1] != "" || sent != "POST https://hooks.example.com/a?b=c\nGET http://hooks.example.com/plain\n" {
		t.Errorf("%v\n%s", list, sent)
	}
	for i, want := range map[int]string{2: "403", 3: "403", 4: "403", 5: "403"} {
		if !strings.Contains(list[i].(string), want) {
			t.Errorf("%d: %v", i, list[i])
		}
	}
	if !strings.Contains(got.Log, `[knowngood] the script may not speak to "evil.example.com:443"`) {
		t.Error(got.Log)
	}
}

// exit is a name that scripts have, though Python is started without the module
// that brings it.
func TestScriptsMayExit(t *testing.T) {
	b := contained(t)
	got := b.fails("SystemExit", "def handler(e, c):\n    exit('no such trail')")
	if got.Failure.Message != "no such trail" {
		t.Errorf("%+v", got)
	}
}
