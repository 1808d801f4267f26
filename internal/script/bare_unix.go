//go:build unix

package script

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// startBare starts a job without namespaces, in a process group of its own: with
// our own rights, files and network. The proxy listens on our loopback.
func startBare(j *job, log io.Writer) (*process, error) {
	dir, err := os.MkdirTemp("", "knowngood-script-")
	if err != nil {
		return nil, err
	}
	p, err := startGroup(j, dir, log)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	wait := p.wait
	p.wait = func(n int) *end {
		defer os.RemoveAll(dir)
		return wait(n)
	}
	return p, nil
}

func startGroup(j *job, dir string, log io.Writer) (*process, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	scratch := filepath.Join(dir, "tmp")
	j.main.Processes = 0 // they would count all that the user runs
	files, env, err := j.at(dir, scratch, listener.Addr().String())
	if err == nil {
		err = os.Mkdir(scratch, 0o700)
	}
	for name, raw := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err == nil {
			err = os.MkdirAll(filepath.Dir(file), 0o700)
		}
		if err == nil {
			err = os.WriteFile(file, raw, 0o600)
		}
	}
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	result, resultW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	defer resultW.Close()
	argv := j.argv(dir)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = env, log, log, []*os.File{resultW}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(unavailable("start %s: %w", argv[0], err), result.Close(), listener.Close())
	}
	kill := func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return &process{listener: listener, kill: kill, wait: func(n int) *end {
		defer result.Close()
		// What it leaves behind holds the log open, too.
		ended := make(chan *os.ProcessState, 1)
		go func() {
			state, _ := cmd.Process.Wait()
			kill()
			ended <- state
		}()
		e := &end{}
		e.raw, e.large = limited(result, n)
		e.status = (<-ended).String()
		_ = cmd.Wait()
		return e
	}}, nil
}
