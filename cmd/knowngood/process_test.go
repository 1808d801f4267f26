package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/knowngood/knowngood/internal/script"
	"github.com/knowngood/knowngood/internal/store/pgtest"
)

// asProgram is the environment variable that makes the test binary the program.
const asProgram = "KNOWNGOOD_TEST_AS_PROGRAM"

// TestMain lets scripts run the program by its name, and tests run the real main
// in processes of their own: they start this binary again, with asProgram set. A
// process whose test is gone, even by a panic, sees the end of its standard input
// and ends.
func TestMain(m *testing.M) {
	script.Init()
	if os.Getenv(asProgram) != "" {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(1)
		}()
		main()
	}
	testscript.Main(withServer{m}, map[string]func(){"knowngood": main})
}

// server is PostgreSQL for those tests that ask for it.
var server func(testing.TB) *pgtest.Server

type withServer struct{ *testing.M }

func (m withServer) Run() int { return pgtest.Main(m.M, &server) }

// process is one life of the program.
type process struct {
	t         *testing.T
	cmd       *exec.Cmd
	out, errs bytes.Buffer
	done      chan struct{} // closed when it is over and reaped
}

// start runs the program, with nothing of this process's environment that could
// lead it to a real account. The test's end is its end too.
func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t}
	p.begin(&p.out, env, args...)
	return p
}

func (p *process) begin(out io.Writer, env []string, args ...string) {
	p.t.Helper()
	program, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	p.cmd, p.done = exec.Command(program, args...), make(chan struct{})
	p.cmd.Stdout, p.cmd.Stderr = out, &p.errs
	p.cmd.Env = append([]string{asProgram + "=1", "AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "AWS_EC2_METADATA_DISABLED=true"}, env...)
	if _, err := p.cmd.StdinPipe(); err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in ProcessState
		if c, ok := out.(io.Closer); ok {
			c.Close()
		}
		close(p.done)
	}()
	p.t.Cleanup(p.kill)
}

// kill is kill -9. A process that is over is left alone.
func (p *process) kill() {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Errorf("kill: %v", err)
	}
	<-p.done
}

// interrupt sends what Ctrl-C sends.
func (p *process) interrupt() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		p.t.Fatalf("interrupt: %v\n%s", err, &p.errs)
	}
}

// ends waits for the end and compares the exit code.
func (p *process) ends(want int) {
	p.t.Helper()
	<-p.done
	if got := p.cmd.ProcessState.ExitCode(); got != want {
		p.t.Fatalf("%v: exit %d, want %d\n%s%s", p.cmd.Args[1:], got, want, &p.out, &p.errs)
	}
}

// reaches waits for a moment that must come before the process is over.
func (p *process) reaches(moment <-chan struct{}) {
	p.t.Helper()
	select {
	case <-moment:
	case <-p.done:
		p.t.Fatalf("%v ended before it could be stopped: %v\n%s%s", p.cmd.Args[1:], p.cmd.ProcessState, &p.out, &p.errs)
	}
}

// startSandbox starts a sandbox whose clock moves only when it is told to, and
// gives what it exports.
func startSandbox(t *testing.T) map[string]string {
	t.Helper()
	r, w := io.Pipe()
	p := &process{t: t}
	p.begin(w, nil, "sandbox", "--speed", "0")
	exports := map[string]string{}
	for lines := bufio.NewScanner(r); len(exports) < 5 && lines.Scan(); {
		if name, value, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "export "), "="); ok {
			exports[name] = value
		}
	}
	if len(exports) < 5 {
		p.kill()
		t.Fatalf("the sandbox exports %v\n%s", exports, &p.errs)
	}
	return exports
}

// trial is one case of a sweep.
type trial struct {
	name string
	run  func(t *testing.T)
}

// slots bounds how many trials run at a time. They are more than there are
// processors, because those that take long only wait: a write of which nothing
// shows is sent again after 30 s.
var slots = make(chan struct{}, 16)

// sweep runs trials, several at a time and the first ones first.
func sweep(t *testing.T, trials []trial) {
	t.Helper()
	var wg sync.WaitGroup
	for _, one := range trials {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			t.Run(one.name, one.run)
		})
	}
	wg.Wait()
}
