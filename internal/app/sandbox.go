package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/sandbox"
	"github.com/knowngood/knowngood/library"
)

type sandboxOptions struct {
	port     int
	speed    int
	seed     int64
	scenario string
	state    string
}

func newSandbox(s Streams) *cobra.Command {
	var o sandboxOptions
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Serve an AWS in memory on 127.0.0.1",
		Long: `Serves an AWS in memory on 127.0.0.1, for the AWS CLI, SDKs and knowngood itself.
It prints the exports that a shell needs, then serves until it is interrupted.
What it does not simulate answers 501 and the operation's name. With --state its
estate outlives it. docs/sandbox.md has the control API: time, faults, forks.`,
		Args: noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error { return serveSandbox(cmd.Context(), s, o) },
	}
	cmd.Flags().IntVar(&o.port, "port", 0, "port to listen on; 0 takes a free one")
	cmd.Flags().IntVar(&o.speed, "speed", 1, "how many times as fast as the wall clock states change; 0: only as the control API moves the clock")
	cmd.Flags().Int64Var(&o.seed, "seed", 1, "what ids are made of: the same seed and calls give the same ids")
	cmd.Flags().StringVar(&o.scenario, "scenario", "", "estate to build first: demo, or a file like those of library/scenarios; default: an empty account")
	cmd.Flags().StringVar(&o.state, "state", "", "file that keeps the estate: read at the start, where it exists in place of --seed and --scenario, and written in the end")
	return cmd
}

// loadScenario makes an estate: one that ships, by its name, or that of a file,
// whose path is from a folder. Errors are of kind Invalid.
func loadScenario(ctx context.Context, box *sandbox.Sandbox, name, dir string) error {
	file := "scenarios/" + name + ".yaml"
	estate, err := fs.ReadFile(library.FS, file)
	if err != nil {
		file = name
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, name)
		}
		if estate, err = os.ReadFile(file); err != nil {
			return knowngood.E(knowngood.Invalid, "build the estate", "the scenario %s is neither in the library nor a file that can be read", name).WithHint("the library has %s", strings.Join(scenarios(), ", "))
		}
	}
	if err := box.Load(ctx, file, estate); err != nil {
		return &knowngood.Error{Kind: knowngood.Invalid, Op: "build the estate", Err: err}
	}
	return nil
}

// scenarios names the estates that ship.
func scenarios() []string {
	files, _ := fs.Glob(library.FS, "scenarios/*.yaml") // the pattern is right
	for i, f := range files {
		files[i] = strings.TrimSuffix(filepath.Base(f), ".yaml")
	}
	return files
}

// fastest is the greatest speed: beyond it, the clock of a sandbox that is left
// running would reach the end of what a time can be.
const fastest = 10_000

func serveSandbox(ctx context.Context, s Streams, o sandboxOptions) error {
	if o.speed < 0 || o.speed > fastest {
		return knowngood.E(knowngood.Usage, "serve the sandbox", "--speed %d; expected 0 to %d", o.speed, fastest)
	}
	catalog, err := catalog()
	if err != nil {
		return err
	}
	v := &sandboxServer{ctx: ctx, forks: make(chan struct{}, maxForks), state: o.state}
	box, kept, err := v.open(catalog, o)
	if err != nil {
		return err
	}
	listener, err := listen(ctx, o.port)
	if err != nil {
		return (&knowngood.Error{Kind: knowngood.Usage, Op: "serve the sandbox", Err: err}).WithHint("choose another --port, or none")
	}
	id, secret := box.Credentials()
	fmt.Fprintf(s.Out, "export AWS_ENDPOINT_URL=http://%s\nexport AWS_ACCESS_KEY_ID=%s\nexport AWS_SECRET_ACCESS_KEY=%s\nexport AWS_REGION=%s\nexport AWS_DEFAULT_REGION=%s\nexport AWS_SESSION_TOKEN=\n",
		listener.Addr(), id, secret, box.Region(), box.Region())
	from := "in memory"
	if kept {
		from = "as " + o.state + " has it"
	}
	fmt.Fprintf(s.Err, "account %s %s; give these exports to another shell, stop with Ctrl-C\n", box.Account(), from)
	err = serve(ctx, listener, box)
	if o.state == "" {
		return err
	}
	snapshot, failed := box.Snapshot()
	if failed == nil {
		failed = v.save(snapshot)
	}
	if failed != nil {
		failed = &knowngood.Error{Kind: knowngood.Other, Op: "save the sandbox's state", Err: failed}
	}
	return errors.Join(err, failed)
}
