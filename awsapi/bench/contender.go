package main

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Contenders speak one small protocol, whatever language they are written in. On
// standard output a line "ready" comes first; then, for each line "SCENARIO
// NANOSECONDS" on standard input, a contender makes calls until they have taken
// that much CPU time, and answers "NANOSECONDS-PER-CALL ITEMS", the items being
// those of its last call.

// contenderVariable names what this program is, if it isn't the benchmark itself;
// urlVariable has the server's address.
const (
	contenderVariable = "BENCH_CONTENDER"
	urlVariable       = "BENCH_URL"
)

//go:embed boto3_caller.py
var boto3Program string

// process is a contender that runs.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	err strings.Builder
}

func startContender(name, url string) (*process, error) {
	program, args := os.Args[0], []string(nil)
	if name == "boto3" {
		python, err := exec.LookPath("python3")
		if err != nil {
			return nil, err
		}
		program, args = python, []string{"-c", boto3Program}
	}
	p := &process{cmd: exec.Command(program, args...)}
	p.cmd.Env = append(os.Environ(), contenderVariable+"="+name, urlVariable+"="+url, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull)
	p.cmd.Stderr = &p.err
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.in, p.out = in, bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if line, err := p.out.ReadString('\n'); err != nil || line != "ready\n" {
		p.stop()
		return nil, fmt.Errorf("%s does not start: %s", name, lastLine(p.err.String()))
	}
	return p, nil
}

// turn has the contender make calls for a while, and gives the CPU time of one.
func (p *process) turn(s scenario, slice time.Duration) (time.Duration, error) {
	if _, err := fmt.Fprintf(p.in, "%s %d\n", s.name, slice.Nanoseconds()); err != nil {
		return 0, fmt.Errorf("%w: %s", err, lastLine(p.err.String()))
	}
	line, err := p.out.ReadString('\n')
	if err != nil {
		_ = p.cmd.Wait() // so that what it said is whole
		return 0, errors.New(lastLine(p.err.String()))
	}
	var perCall float64
	var items int
	if _, err := fmt.Sscan(line, &perCall, &items); err != nil {
		return 0, fmt.Errorf("it answers %q", line)
	}
	if items != s.items {
		return 0, fmt.Errorf("a call gave %d items, not %d", items, s.items)
	}
	return time.Duration(perCall), nil
}

// stop ends the contender: it does so by itself at the end of its input.
func (p *process) stop() {
	p.in.Close()
	_ = p.cmd.Wait()
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// caller makes one call of a scenario and gives the number of items it brought.
type caller func() (int, error)

// serve is a contender that is written in Go.
func serve(name string, in io.Reader, out io.Writer) error {
	callers, err := map[string]func(string) (map[string]caller, error){"awsapi": awsapiCallers, "typed": typedCallers, "xml": xmlCallers}[name](os.Getenv(urlVariable))
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "ready")
	for {
		var scenario string
		var slice time.Duration
		if _, err := fmt.Fscan(in, &scenario, &slice); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		perCall, items, err := spend(callers[scenario], slice)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, perCall.Nanoseconds(), items)
	}
}

// spend makes calls until they have taken the CPU time.
func spend(call caller, slice time.Duration) (perCall time.Duration, items int, err error) {
	start := cpuTime()
	for n := 1; ; n++ {
		if items, err = call(); err != nil {
			return 0, 0, err
		}
		if used := cpuTime() - start; used >= slice {
			return used / time.Duration(n), items, nil
		}
	}
}

// cpuTime is what this process has used, in user and system mode.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // it fails only for arguments that don't exist
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
