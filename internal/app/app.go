// Package app wires the rooms together behind the command line.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
)

// Streams are what a command reads and writes: results on Out, messages on Err.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Main runs the command line and gives the exit code.
func Main(ctx context.Context, args []string, s Streams) int {
	root := newRoot(s)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if knowngood.KindOf(err) != knowngood.Findings {
		printError(s.Err, err)
	}
	return exitCode(err)
}

func newRoot(s Streams) *cobra.Command {
	root := &cobra.Command{
		Use:           "knowngood",
		Short:         "Keeps AWS accounts in their known good state",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &knowngood.Error{Kind: knowngood.Usage, Err: err} })
	root.AddCommand(newApply(s), newApprove(s), newCall(s), newDemo(s), newModels(s), newPlan(s), newRun(s), newScan(s), newTest(s), newSandbox(s), newVersion(s))
	return root
}

// exitCode is the process's exit code for an error, as the README lists them.
func exitCode(err error) int {
	switch knowngood.KindOf(err) {
	case knowngood.Usage, knowngood.Invalid:
		return 2
	case knowngood.Findings:
		return 3
	case knowngood.Credentials:
		return 4
	case knowngood.Refused:
		return 5
	case knowngood.Incomplete:
		return 6
	case knowngood.Waiting:
		return 8
	case knowngood.Interrupted:
		return 130
	}
	if strings.HasPrefix(err.Error(), "unknown command") {
		return 2
	}
	return 1
}

// printError writes an error as what failed, why, and what may be done.
func printError(w io.Writer, err error) {
	var e *knowngood.Error
	if !errors.As(err, &e) || e.Op == "" {
		fmt.Fprintln(w, "error:", err)
	} else {
		fmt.Fprintf(w, "error: %s\n  why: %v\n", e.Op, e.Err)
	}
	if e != nil && e.Hint != "" {
		fmt.Fprintln(w, " hint:", e.Hint)
	}
}

func newVersion(s Streams) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version of this program and of its models", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return printVersion(s.Out) },
	}
}

func printVersion(w io.Writer) error {
	version := "(devel)"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	catalog, err := catalog()
	if err != nil {
		return err
	}
	m := catalog.Manifest()
	_, err = fmt.Fprintf(w, "knowngood %s\nmodels of botocore %s: %d services, %d operations\n", version, m.Botocore, m.Services, m.Operations)
	return err
}
