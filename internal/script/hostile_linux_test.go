package script

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood/awsapi"
)

// alive says whether a process of this host has an argument. Its name is chosen by
// the test, so that no other's is found.
func alive(t *testing.T, marker string) bool {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err == nil && strings.Contains(string(raw), marker) && !strings.Contains(f, "/"+strconv.Itoa(os.Getpid())+"/") {
			return true
		}
	}
	return false
}

func marker(t *testing.T) string { return fmt.Sprintf("%s-%d", t.Name(), os.Getpid()) }

// orphan starts a process that leaves its session and would outlive the script.
const orphan = `
import os, subprocess, sys, time
def start(marker):
    first = subprocess.Popen([sys.executable, "-S", "-c", "import os, time\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\ntime.sleep(600)", marker], start_new_session=True)
    for _ in range(1000):
        for p in os.listdir("/proc"):
            try: # the last of the three: the first two end, and are in sessions that they lead
                stat = open("/proc/%s/stat" % p).read().split()
                if stat[3] == "1" and stat[5] not in (p, str(first.pid)) and marker in open("/proc/%s/cmdline" % p).read():
                    return
            except (OSError, IndexError):
                pass # no process, or one that has ended meanwhile
        time.sleep(0.01)
    raise RuntimeError("it did not start")
`

func TestNothingOutlivesTheScript(t *testing.T) {
	b := contained(t)
	for name, end := range map[string]string{"return": "return 1", "exception": "raise KeyError", "exit": "os._exit(1)", "time": "time.sleep(600)"} {
		m := marker(t) + name
		b.run(orphan+"def handler(e, c):\n    start('"+m+"')\n    "+end, func(r *Request) { r.TimeLimit = 15 * time.Second })
		if alive(t, m) {
			t.Errorf("%s: a process lives on", name)
		}
	}
}

func TestCancelKillsTheScript(t *testing.T) {
	b := contained(t)
	ctx, cancel := context.WithCancel(t.Context())
	m := marker(t)
	r := b.request
	r.Script = orphan + "import urllib.request\ndef handler(e, c):\n    start('" + m + "')\n    urllib.request.urlopen('http://hooks.example.com/')\n    time.sleep(600)"
	r.Hosts = []string{"hooks.example.com:443", "hooks.example.com:80"}
	r.Caller = b
	r.Outside = outsideFunc(func() error {
		if !alive(t, m) {
			t.Error("the test sees no process that is there")
		}
		cancel()
		return errors.New("cancelled")
	})
	_, err := b.runner.Run(ctx, r)
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if alive(t, m) {
		t.Error("a process lives on")
	}
}

// A write that is under way when the script is killed is waited for, and its
// context goes on.
func TestAWriteUnderWayIsFinished(t *testing.T) {
	b := withBoto3(t)
	ctx, cancel := context.WithCancel(t.Context())
	slow := &slowCaller{bench: b, cancel: cancel}
	r := b.request
	r.Caller = slow
	r.Script = "import boto3\ndef handler(e, c): boto3.client('ssm').put_parameter(Name='/p', Value='v', Type='String')"
	if _, err := b.runner.Run(ctx, r); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if !slow.done {
		t.Error("Run came back before the write was over")
	}
}

type slowCaller struct {
	*bench
	cancel func()
	done   bool
}

func (s *slowCaller) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	s.cancel()
	time.Sleep(200 * time.Millisecond) // the script is killed meanwhile
	if ctx.Err() != nil {
		s.t.Error("the write's context has ended")
	}
	s.done = true
	return s.bench.Call(ctx, service, operation, in, opts...)
}

// A process of ours that is killed takes its scripts with it.
func TestScriptsEndWithOurProcess(t *testing.T) {
	if m := os.Getenv("SCRIPT_TEST_MARKER"); m != "" {
		b := contained(t)
		b.run(orphan + "def handler(e, c):\n    start('" + m + "')\n    print('up')\n    time.sleep(600)")
		return
	}
	contained(t)
	m := marker(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestScriptsEndWithOurProcess$")
	cmd.Env = append(os.Environ(), "SCRIPT_TEST_MARKER="+m)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "the script's process is there", func() bool { return alive(t, m) })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	until(t, "it is gone", func() bool { return !alive(t, m) })
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 6000 {
		if is() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("not so: %s", what)
}

func TestHostileScriptsAreBounded(t *testing.T) {
	b := contained(t)
	b.runner = New(Options{Catalog: b.runner.o.Catalog, Limits: Limits{Memory: 128 << 20, Processes: 32, Scratch: 64 << 20, Result: 100_000}})
	short := func(r *Request) { r.TimeLimit = 5 * time.Second }

	if got := b.fails(FailedTime, "print('begun')\nwhile True: pass", short); got.Log != "begun\n" || !strings.Contains(got.Failure.Message, "5s") {
		t.Errorf("%+v %q", got.Failure, got.Log)
	}
	forks := b.succeeds(`
import os, time
def handler(e, c):
    n = 0
    try:
        while n < 5000:
            if os.fork() == 0:
                time.sleep(600)
                os._exit(0)
            n += 1
    except BlockingIOError:
        return n
    return n
`)
	if n := forks.(int64); n >= 32 {
		t.Errorf("%d processes were started, 32 were allowed", n)
	}
	b.run("import os\ndef handler(e, c):\n    while True:\n        try: os.fork()\n        except OSError: pass", short)

	got := b.run(`
def handler(e, c):
    line = "0123456789abcdef" * 4096 + "\n"
    for _ in range(16384):
        print(line, end="")
    print("the end")
`)
	if got.Failure != nil || len(got.Log) != 64<<10 || !strings.HasSuffix(got.Log, "f\nthe end\n") {
		t.Errorf("1 GB: %+v, %d bytes kept", got.Failure, len(got.Log))
	}
	b.fails(FailedMemory, "def handler(e, c): return len(bytearray(1 << 30))")
	b.fails(FailedMemory, "import time\ndef handler(e, c):\n    held = []\n    while True:\n        held.append(bytearray(b'x' * (1 << 20))); time.sleep(0.01)")
	b.fails(FailedMemory, "import os, time\ndef handler(e, c):\n    for _ in range(4): os.fork()\n    held = bytearray(b'x' * (50 << 20)); time.sleep(60)")
	b.fails("OSError", "def handler(e, c):\n    with open('/tmp/big', 'wb') as f:\n        while True: f.write(b'x' * (1 << 20))")
	b.fails(FailedResult, "def handler(e, c): return 'x' * 100_001")
	b.fails(FailedResult, "import os\ndef handler(e, c): os.write(3, b'x' * 200_000)")
	b.fails(FailedEnd, "import os\ndef handler(e, c):\n    os.write(3, b'{\"Payload\": [')\n    os._exit(0)")
	b.fails(FailedEnd, "import os\ndef handler(e, c):\n    os.close(3)\n    os._exit(0)")
}

// A script sees no credentials, no files, no processes and no network of ours.
func TestTheScriptSeesNothingOfOurs(t *testing.T) {
	b := contained(t)
	t.Setenv("AWS_SECRET_ACCESS_KEY", "a-secret-of-ours")
	t.Setenv("KNOWNGOOD_MARK", "a-mark-of-ours")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	reached := make(chan struct{}, 16)
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			reached <- struct{}{}
			_ = c.Close()
		}
	}()
	unixSocket := filepath.Join(t.TempDir(), "s")
	second, err := net.Listen("unix", unixSocket)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	got := b.succeeds(`
import ctypes, os, socket, subprocess
def attempt(f):
    try:
        return str(f())
    except Exception as x:
        return "refused: " + type(x).__name__
def tcp(host, port):
    socket.create_connection((host, port), 2).close()
    return "connected"
def connect_proxy(to):
    s = socket.create_connection(("127.0.0.1", 3128))
    s.sendall(("CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (to, to)).encode())
    return s.recv(100).split(b" ")[1].decode()
def unix(path):
    socket.socket(socket.AF_UNIX).connect(path)
    return "connected"
def environments():
    out = ""
    for p in os.listdir("/proc"):
        if p.isdigit():
            try:
                out += open("/proc/%s/environ" % p).read()
            except OSError:
                pass
    return out + str(dict(os.environ))
def handler(e, c):
    libc = ctypes.CDLL(None, use_errno=True)
    env = environments()
    return {
        "secret": "of-ours" in env,
        "processes": len([p for p in os.listdir("/proc") if p.isdigit()]),
        "loopback": attempt(lambda: tcp("127.0.0.1", e["port"])),
        "internet": attempt(lambda: tcp("192.0.2.1", 443)),
        "metadata": attempt(lambda: tcp("169.254.169.254", 80)),
        "name": attempt(lambda: socket.getaddrinfo("example.com", 443)),
        "interfaces": sorted(n for _, n in socket.if_nameindex()),
        "connect loopback": attempt(lambda: connect_proxy("127.0.0.1:%d" % e["port"])),
        "connect host": attempt(lambda: connect_proxy("example.com:443")),
        "connect other port": attempt(lambda: connect_proxy("ec2.eu-west-1.amazonaws.com:22")),
        "connect look-alike": attempt(lambda: connect_proxy("evilamazonaws.com:443")),
        "unix": attempt(lambda: unix(e["unix"])),
        "home": attempt(lambda: os.listdir(e["home"] + "/.aws")),
        "work": attempt(lambda: os.listdir(e["work"])),
        "shadow": attempt(lambda: open("/etc/shadow").read()),
        "write": attempt(lambda: open("/usr/x", "w")),
        "write own": attempt(lambda: open("/run/script/main.py", "a")),
        "chmod": attempt(lambda: os.chmod("/run/script/main.py", 0o777)),
        "tmp": attempt(lambda: open("/tmp/x", "w").write("x")),
        "unshare": libc.unshare(0x10000000),
        "mount": libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, None),
        "setns": attempt(lambda: os.open("/proc/1/ns/net", os.O_RDONLY)),
        "kill init": attempt(lambda: os.kill(1, 9)),
        "capabilities": [l.split()[1] for l in open("/proc/self/status") if l.startswith(("CapEff", "CapPrm", "CapBnd", "CapAmb", "NoNewPrivs"))],
        "descriptors": [os.readlink("/proc/self/fd/" + f).split(":")[0] for f in sorted(os.listdir("/proc/self/fd"), key=int)[:4]],
        "root": sorted(os.listdir("/")),
    }
`, func(r *Request) {
		n, _ := strconv.Atoi(port)
		r.Payload = map[string]any{"port": n, "unix": unixSocket, "home": home, "work": t.TempDir()}
	}).(map[string]any)
	const zero = "0000000000000000"
	for what, want := range map[string]any{
		"secret": false, "processes": 2, "loopback": "refused: ConnectionRefusedError", "internet": "refused: OSError", "metadata": "refused: OSError", "name": "refused: gaierror",
		"interfaces": []any{"lo"}, "connect loopback": "403", "connect host": "403", "connect other port": "403", "connect look-alike": "403", "unix": "refused: FileNotFoundError",
		"home": "refused: FileNotFoundError", "work": "refused: FileNotFoundError", "shadow": "refused: FileNotFoundError", "write": "refused: OSError", "write own": "refused: PermissionError", "chmod": "refused: OSError",
		"tmp": "1", "unshare": int64(-1), "mount": int64(-1), "setns": "refused: PermissionError", "kill init": "refused: PermissionError", "capabilities": []any{zero, zero, zero, zero, "1"},
		"descriptors": []any{"/dev/null", "pipe", "pipe", "pipe"},
	} {
		g := got[what]
		if jsonText(t, g) != jsonText(t, want) && !oneOf(what, g) {
			t.Errorf("%s: %v, wanted %v", what, g, want)
		}
	}
	t.Log("the root has", got["root"])
	select {
	case <-reached:
		t.Error("a listener on our loopback was reached")
	default:
	}
}

// oneOf allows what differs with who we are: root's scripts have another user than
// what lies there, others the same.
func oneOf(what string, got any) bool {
	s, _ := got.(string)
	switch what {
	case "write", "write own", "chmod":
		return s == "refused: OSError" || s == "refused: PermissionError"
	case "kill init":
		return s == "None" // to process 1 such a signal does nothing
	}
	return false
}

func TestDoctor(t *testing.T) {
	b := withBoto3(t)
	if err := b.runner.Doctor(t.Context()); err != nil {
		t.Error(err)
	}
	b.runner = New(Options{Python: "none-such"})
	if err := b.runner.Doctor(t.Context()); err == nil || !strings.Contains(err.Error(), "none-such") {
		t.Error(err)
	}
}

func TestWhatKeepsUsFromNamespacesIsNamed(t *testing.T) {
	for file, want := range map[string]string{
		"/proc/sys/user/max_user_namespaces=0":                     "user.max_user_namespaces is 0 and has to be a number above 0",
		"/proc/sys/kernel/unprivileged_userns_clone=0":             "kernel.unprivileged_userns_clone is 0 and has to be 1",
		"/proc/sys/kernel/apparmor_restrict_unprivileged_userns=1": "kernel.apparmor_restrict_unprivileged_userns is 1 and has to be 0",
		"/proc/self/status=Name:\tx\nSeccomp:\t2\n":                "seccomp=unconfined",
		"/proc/self/status=Name:\tx\nSeccomp:\t0\n":                "none of the settings",
	} {
		name, text, _ := strings.Cut(file, "=")
		got := obstacle(func(asked string) ([]byte, error) {
			if asked != name {
				return nil, os.ErrNotExist
			}
			return []byte(text + "\n"), nil
		})
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s, wanted %s", file, got, want)
		}
	}
}
