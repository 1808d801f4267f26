package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/sandbox"
	"github.com/knowngood/knowngood/library"
)

// maxForks is how many forks of a sandbox are served at once.
const maxForks = 64

// sandboxServer serves a sandbox and its forks on 127.0.0.1, until a context ends.
type sandboxServer struct {
	ctx   context.Context
	forks chan struct{} // one for each under way
	state string        // the file that keeps the estate, or ""
}

// open makes the sandbox that the options ask for: that of the state file, if
// it is there, or a new one with its scenario. kept: it is the state file's.
func (v *sandboxServer) open(c *awsapi.Catalog, o sandboxOptions) (box *sandbox.Sandbox, kept bool, err error) {
	with := sandbox.Options{Catalog: c, Seed: o.seed, Documents: runbooks(), Program: sandbox.Program{Serve: v.fork}}
	if o.state != "" {
		with.Program.Save = v.save
		raw, err := os.ReadFile(o.state)
		switch {
		case err == nil:
			box, clock, err := restore(with, raw, o.speed)
			if err == nil {
				v.engine(c, box, clock)
			}
			if err != nil {
				return nil, false, (&knowngood.Error{Kind: knowngood.Invalid, Op: "read the sandbox's state", Err: fmt.Errorf("%s: %w", o.state, err)}).WithHint("move it away to begin anew")
			}
			return box, true, box.SetOrigin()
		case !errors.Is(err, fs.ErrNotExist):
			return nil, false, &knowngood.Error{Kind: knowngood.Usage, Op: "read the sandbox's state", Err: err}
		}
	}
	with.Clock = speed(o.speed)(time.Now())
	if box, err = sandbox.New(with); err != nil {
		return nil, false, err
	}
	v.engine(c, box, with.Clock)
	if o.scenario != "" {
		if err := loadScenario(v.ctx, box, o.scenario, ""); err != nil {
			return nil, false, err
		}
	}
	return box, false, box.SetOrigin()
}

// runbooks are the library's, which AWS owns: each sandbox has them as documents.
func runbooks() fs.FS {
	sub, err := fs.Sub(library.FS, "runbooks")
	if err != nil {
		panic(err) // the path is right
	}
	return sub
}

// restore makes the sandbox of a state file. Its time goes on from when it was
// saved, or from the machine's where that is later and time runs.
func restore(with sandbox.Options, raw []byte, times int) (*sandbox.Sandbox, knowngood.Clock, error) {
	saved, err := sandbox.SavedAt(raw)
	if err != nil {
		return nil, nil, err
	}
	if now := time.Now(); times > 0 && now.After(saved) {
		saved = now
	}
	with.Clock = speed(times)(saved)
	box, err := sandbox.Restore(with, raw)
	return box, with.Clock, err
}

// engine lets a sandbox's automations run, beside what it serves. Those of its
// forks, whose clocks are their own, stay pending.
func (v *sandboxServer) engine(c *awsapi.Catalog, box *sandbox.Sandbox, clock knowngood.Clock) {
	box.RunAutomations(newAutomations(v.ctx, c, box, patient{clock}, true))
}

// speed makes clocks that go so many times as fast as the machine's, or stand.
func speed(times int) func(time.Time) knowngood.Clock {
	return func(now time.Time) knowngood.Clock {
		if times == 0 {
			return sandbox.NewClock(now)
		}
		return sandbox.NewFastClock(now, times)
	}
}

func (v *sandboxServer) save(snapshot []byte) error { return writeWhole(v.state, snapshot) }

// listen listens on a port of this machine; 0 takes a free one.
func listen(ctx context.Context, port int) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
}

// fork serves a fork on a port of its own.
func (v *sandboxServer) fork(box *sandbox.Sandbox) (endpoint string, stop func(), err error) {
	select {
	case v.forks <- struct{}{}:
	default:
		return "", nil, fmt.Errorf("%d forks are served already; end some by DELETE /_knowngood/fork at their endpoints", maxForks)
	}
	ctx, cancel := context.WithCancel(v.ctx)
	listener, err := listen(ctx, 0)
	if err != nil {
		cancel()
		<-v.forks
		return "", nil, err
	}
	go func() {
		defer func() { <-v.forks }()
		// Nobody waits for a fork; that it ended badly shows at its endpoint.
		_ = serve(ctx, listener, box)
	}()
	return "http://" + listener.Addr().String(), cancel, nil
}

// serve serves requests until the context ends.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		// What is being answered gets a moment; a connection on which nothing was
		// asked yet may stay open for ever.
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		err := server.Shutdown(closing)
		if errors.Is(err, context.DeadlineExceeded) {
			err = server.Close()
		}
		stopped <- err
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}
