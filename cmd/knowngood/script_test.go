package main

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/sandbox"
	"github.com/knowngood/knowngood/internal/script"
	"github.com/knowngood/knowngood/library"
)

// The scripts run the program as a person does, against a sandbox that each has
// for itself. With UPDATE_SCRIPTS=1 what they compare with is written anew. Beside testscript's own commands they have these:
//
//	sandbox [SCENARIO | ACCOUNT] [and ACCOUNT]
//	                              an AWS in memory, and the exports that lead to it; and
//	                              one more account in it
//	clock STEP                    how far its time goes on with each request; now: it is the
//	                              wall clock's, and stands still
//	trail FILE                    writes what CloudTrail recorded of it, as a log file
//	aws [ACCOUNT/][REGION/]SERVICE:OPERATION [JSON]
//	                              a call that somebody else makes
//	fault SERVICE:OPERATION CODE  that operation answers an error from now on
//	mend                          takes all faults away
//	calls                         prints the calls that were made since the last time
//	writes                        prints the writes that were made since the last time
//	exits CODE COMMAND…           runs a command and checks its exit code
//	webhook NAME STATUS [TEXT]    a server on this machine, and a webhook integration that
//	                              leads to it; with STATUS 307 it redirects elsewhere
//	webhooks                      prints what was sent to them since the last time
//	interrupt SERVICE:OPERATION COMMAND…
//	                              runs a command, interrupts it once it has made that call,
//	                              and checks its exit code; the sandbox's time stands still
//	typed TEXT COMMAND…           runs a command on a terminal (Linux) and types an answer
//	large FILE BYTES              makes a pack of one rule that comments fill to a size
//	outside FILE…                 a host that is not AWS's; its address stands in the files
//	                              where they say OUTSIDE
//	received                      prints what that host was asked since the last time
//	json PATH[=VALUE]…            checks that stdout is JSON and has members; len is a length
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                "testdata/script",
		RequireUniqueNames: true,
		UpdateScripts:      os.Getenv("UPDATE_SCRIPTS") != "",
		Condition: func(condition string) (bool, error) {
			if condition != "boto3" {
				return false, fmt.Errorf("no condition is called %q", condition)
			}
			return script.New(script.Options{}).Doctor(t.Context()) == nil, nil
		},
		Setup: func(e *testscript.Env) error {
			e.Setenv("AWS_CONFIG_FILE", os.DevNull)
			e.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
			e.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			e.Values[accountKey{}] = &account{}
			e.Values[outsideKey{}] = &outsideHost{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"sandbox": openAccount, "clock": setClock, "trail": writeTrail, "aws": callAWS, "fault": addFault, "mend": mendFaults, "calls": printCalls, "writes": printWrites,
			"webhook": openWebhook, "webhooks": printWebhooks,
			"exits": exits, "interrupt": interrupt, "typed": typed, "json": checkJSON, "large": makeLarge,
			"outside": serveOutside, "received": printReceived,
		},
	})
}

type accountKey struct{}

// account is a script's sandbox.
type account struct {
	box   *sandbox.Sandbox
	clock *sandbox.ManualClock
	read  int // of the calls that were made

	mu   sync.Mutex
	step time.Duration
	sent []string // to webhooks
}

func accountOf(ts *testscript.TestScript) *account { return ts.Value(accountKey{}).(*account) }

// ServeHTTP lets time go on: what waits for the sandbox need not wait long, and no
// test waits for the wall clock.
func (e *account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	e.clock.Advance(e.step)
	e.mu.Unlock()
	e.box.ServeHTTP(w, r)
}

func openAccount(ts *testscript.TestScript, _ bool, args []string) {
	e := accountOf(ts)
	catalog, err := awsapi.Embedded()
	ts.Check(err)
	name, early := strings.CutSuffix(strings.Join(args, " "), " early")
	name, other, more := strings.Cut(name, " and ")
	e.clock, e.step, e.read = sandbox.NewClock(time.Now()), 10*time.Minute, 0
	if early { // so that what takes long there has not come to pass in the future
		e.clock = sandbox.NewClock(time.Now().Add(-3 * time.Hour))
	}
	o := sandbox.Options{Catalog: catalog, Clock: e.clock, Seed: 1}
	if more {
		o.Accounts = []sandbox.AccountOptions{{ID: other}}
	}
	if strings.Trim(name, "0123456789") == "" {
		o.Account, name = name, ""
	}
	e.box, err = sandbox.New(o)
	ts.Check(err)
	if name != "" {
		file := "scenarios/" + name + ".yaml"
		estate, err := fs.ReadFile(library.FS, file)
		ts.Check(err)
		ts.Check(e.box.Load(context.Background(), file, estate))
	}
	e.read = len(e.box.Calls())
	server := httptest.NewServer(e)
	ts.Defer(server.Close)
	id, secret := e.box.Credentials()
	for k, v := range map[string]string{"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": id, "AWS_SECRET_ACCESS_KEY": secret, "AWS_REGION": e.box.Region()} {
		ts.Setenv(k, v)
	}
}

func setClock(ts *testscript.TestScript, _ bool, args []string) {
	if e := accountOf(ts); strings.Join(args, " ") == "now" {
		e.setStep(0)
		e.clock.Advance(max(0, time.Since(e.clock.Now())))
		return
	}
	step, err := time.ParseDuration(strings.Join(args, " "))
	ts.Check(err)
	accountOf(ts).setStep(step)
}

func (e *account) setStep(step time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.step = step
}

// operation finds SERVICE:OPERATION.
func operation(ts *testscript.TestScript, name string) *awsapi.Operation {
	catalog, err := awsapi.Embedded()
	ts.Check(err)
	service, op, _ := strings.Cut(name, ":")
	found, err := catalog.Operation(service, op)
	ts.Check(err)
	return found
}

func callAWS(ts *testscript.TestScript, _ bool, args []string) {
	where := strings.Split(args[0], "/")
	name, region, key := where[len(where)-1], "", sandbox.OperatorKey
	for _, part := range where[:len(where)-1] {
		if strings.Trim(part, "0123456789") != "" {
			region = part
			continue
		}
		var known bool
		if key, _, known = accountOf(ts).box.OperatorOf(part); !known {
			ts.Fatalf("there is no account %s", part)
		}
	}
	e, op := accountOf(ts), operation(ts, name)
	in := map[string]any{}
	if len(args) > 1 {
		ts.Check(json.Unmarshal([]byte(args[1]), &in))
	}
	in, err := op.Coerce(in)
	ts.Check(err)
	_, err = e.box.Call(context.Background(), sandbox.Request{Region: region, Service: op.Service.Name, Operation: op.Name, AccessKeyID: key, Input: in})
	ts.Check(err)
	e.read = len(e.box.Calls())
}

func writeTrail(ts *testscript.TestScript, _ bool, args []string) {
	out, err := accountOf(ts).box.Call(context.Background(), sandbox.Request{Service: "cloudtrail", Operation: "LookupEvents", AccessKeyID: sandbox.OperatorKey,
		Input: map[string]any{"MaxResults": int64(50)}})
	ts.Check(err)
	records := []json.RawMessage{}
	for _, e := range out["Events"].([]any) {
		records = append(records, json.RawMessage(e.(map[string]any)["CloudTrailEvent"].(string)))
	}
	raw, err := json.Marshal(map[string]any{"Records": records})
	ts.Check(err)
	file, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	defer file.Close()
	z := gzip.NewWriter(file)
	_, err = z.Write(raw)
	ts.Check(errors.Join(err, z.Close()))
}

func addFault(ts *testscript.TestScript, _ bool, args []string) {
	op := operation(ts, args[0])
	accountOf(ts).box.Inject(sandbox.Fault{Service: op.Service.Name, Operation: op.Name, Count: 1000,
		Error: &awsapi.Error{Status: http.StatusForbidden, Code: args[1], Message: "a fault of the test"}})
}

func mendFaults(ts *testscript.TestScript, _ bool, _ []string) { accountOf(ts).box.Mend(0) }

func printCalls(ts *testscript.TestScript, _ bool, _ []string) {
	e := accountOf(ts)
	calls, out := e.box.Calls(), ts.Stdout()
	for _, c := range calls[e.read:] {
		fmt.Fprintln(out, c.Service+":"+c.Operation)
	}
	e.read = len(calls)
}

func printWrites(ts *testscript.TestScript, _ bool, _ []string) {
	e := accountOf(ts)
	calls, out := e.box.Calls(), ts.Stdout()
	for _, c := range calls[e.read:] {
		if operation(ts, c.Service+":"+c.Operation).Class() == awsapi.Write {
			fmt.Fprintln(out, c.Service+":"+c.Operation)
		}
	}
	e.read = len(calls)
}

func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	checkExit(ts, want, ts.Exec(args[1], args[2:]...))
}

func checkExit(ts *testscript.TestScript, want int, err error) {
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// command is a command of a script as a process that has not begun.
func command(ts *testscript.TestScript, args []string) *exec.Cmd {
	path, err := exec.LookPath(args[0])
	ts.Check(err)
	cmd := exec.CommandContext(context.Background(), path, args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	return cmd
}

func interrupt(ts *testscript.TestScript, _ bool, args []string) {
	e, op := accountOf(ts), operation(ts, args[0])
	made := make(chan struct{})
	e.box.Inject(sandbox.Fault{Service: op.Service.Name, Operation: op.Name, AfterEffect: true, Hook: func() {
		e.setStep(0)
		close(made)
	}})
	cmd := command(ts, args[1:])
	cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-made:
	case err := <-ended:
		ts.Fatalf("it ended before %s: %v", args[0], err)
	}
	ts.Check(cmd.Process.Signal(syscall.SIGINT))
	checkExit(ts, 130, <-ended)
}

func makeLarge(ts *testscript.TestScript, _ bool, args []string) {
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	const pack = "Resources:\n  Keys:\n    Type: AWS::Config::ConfigRule\n    Properties: {Source: {Owner: AWS, SourceIdentifier: ACCESS_KEYS_ROTATED}}\n"
	const filler = "# a line that says nothing and is as long as others\n"
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte((pack + strings.Repeat(filler, size/len(filler)+1))[:size]), 0o600))
}

func checkJSON(ts *testscript.TestScript, _ bool, args []string) {
	var doc any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &doc))
	for _, arg := range args {
		path, want, compare := strings.Cut(arg, "=")
		at, ok := doc, true
		for part := range strings.SplitSeq(path, ".") {
			switch v := at.(type) {
			case map[string]any:
				at, ok = v[part]
			case []any:
				i, err := strconv.Atoi(part)
				switch {
				case part == "len":
					at = len(v)
				case err == nil && i < len(v):
					at = v[i]
				default:
					ok = false
				}
			default:
				ok = false
			}
			if !ok {
				ts.Fatalf("%s: there is no %s", path, part)
			}
		}
		if got := fmt.Sprint(at); compare && got != want {
			ts.Fatalf("%s is %s, want %s", path, got, want)
		}
	}
}
