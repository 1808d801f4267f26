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
	ctx = withWarnings(ctx, func(what string) { fmt.Fprintln(s.Err, "warning:", what) })
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if ctx.Err() != nil && knowngood.KindOf(err) == knowngood.Other {
		err = knowngood.E(knowngood.Interrupted, "", "interrupted")
	}
	if knowngood.KindOf(err) != knowngood.Findings {
		printError(s.Err, err)
	}
	return exitCode(err)
}

const about = `knowngood finds what is wrong in an AWS account, plans the fix down to each API
call, and makes exactly those calls once they are approved. To see it all at once,
on an account in memory:

  knowngood demo

Step by step, in an account of yours or in that of "knowngood sandbox":

  knowngood scan                 what is wrong; reads only
  knowngood plan FINDING         the calls that would fix it; reads only
  knowngood approve plan.json
  knowngood apply plan.json      makes these calls, and looks whether it helped

Exit codes: 0 ok, 1 failure, 2 usage or a file that is wrong, 3 findings, 4
credentials, 5 refused, 6 incomplete, 8 waiting for an approval, 130 interrupted.`

func newRoot(s Streams) *cobra.Command {
	root := &cobra.Command{
		Use:           "knowngood",
		Short:         "Keeps AWS accounts in their known good state",
		Long:          about,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SuggestionsMinimumDistance = 2
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return (&knowngood.Error{Kind: knowngood.Usage, Err: err}).WithHint("%s --help", cmd.CommandPath())
	})
	root.AddCommand(newApply(s), newApprove(s), newCall(s), newDemo(s), newDoctor(s), newModels(s), newPack(s), newPlan(s), newQuery(s), newResource(s), newRule(s), newRun(s), newRunbook(s), newRuns(s), newScan(s), newTest(s),
		newSandbox(s), newVersion(s))
	return root
}

// usage is a wrong way to call a command.
func usage(cmd *cobra.Command, format string, args ...any) error {
	return knowngood.E(knowngood.Usage, "", format, args...).WithHint("%s --help", cmd.CommandPath())
}

// knownCommand refuses what is left of the arguments where no command was found.
func knownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if near := root.SuggestionsFor(args[0]); len(near) > 0 {
		return knowngood.E(knowngood.Usage, "", "there is no command %q", args[0]).WithHint("is it %s?", strings.Join(near, " or "))
	}
	return usage(root, "there is no command %q", args[0])
}

// takes demands the arguments that a check lets pass.
func takes(check cobra.PositionalArgs, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if check(cmd, args) == nil {
			return nil
		}
		return usage(cmd, "%s takes %s", cmd.Name(), what)
	}
}

func noArgs() cobra.PositionalArgs { return takes(cobra.NoArgs, "no argument") }

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
	return 1
}

// printError writes an error as what failed, why, and what may be done.
func printError(w io.Writer, err error) {
	var e *knowngood.Error
	if !errors.As(err, &e) || e.Op == "" || e.Err == nil {
		fmt.Fprintln(w, "error:", err)
	} else {
		why := e.Err.Error()
		if err.Error() != e.Error() {
			why = err.Error() // it is one of several
		}
		// Each reason of several has a line.
		fmt.Fprintf(w, "error: %s\n  why: %s\n", e.Op, strings.ReplaceAll(why, "\n", "\n       "))
	}
	if e != nil && e.Hint != "" {
		fmt.Fprintln(w, " hint:", e.Hint)
	}
}

func newVersion(s Streams) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version of this program and of its models", Args: noArgs(),
		RunE: func(*cobra.Command, []string) error { return printVersion(s.Out) },
	}
}

// version is this program's.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

func printVersion(w io.Writer) error {
	catalog, err := catalog()
	if err != nil {
		return err
	}
	m := catalog.Manifest()
	_, err = fmt.Fprintf(w, "knowngood %s\nmodels of botocore %s: %d services, %d operations\n", version(), m.Botocore, m.Services, m.Operations)
	return err
}
