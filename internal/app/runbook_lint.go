package app

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/library"
)

type lintOptions struct {
	attachmentOptions
	output  string
	strict  bool
	actions bool
}

func newRunbookLint(s Streams) *cobra.Command {
	var o lintOptions
	cmd := &cobra.Command{
		Use:   "lint RUNBOOK|FILE|DIR…",
		Short: "Check runbooks: references, types, steps, API names and inputs",
		Long: `Checks runbooks without running them: the references between their steps, types,
steps that nothing leads to and circles that nothing leads out of, and each call's
service, operation and inputs against the API models. In a folder every file that
says schemaVersion 0.3 is checked. Files of a document that are not beside it, nor in
a folder --attachments, are a warning, and so is a script for which something is
missing on this machine; a file with another content is a problem. Exit code 2: a
document can't be run.`,
		Args: takes(cobra.MinimumNArgs(1), "runbooks, files or folders"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return lintRunbooks(cmd.Context(), s.Out, o, args)
		},
	}
	registerOutput(cmd, &o.output)
	o.attachmentOptions.register(cmd)
	cmd.Flags().BoolVar(&o.strict, "strict", false, "exit code 2 for warnings too")
	cmd.Flags().BoolVar(&o.actions, "actions", false, "list the IAM actions that each runbook needs")
	return cmd
}

// lintedFile is what was found in a document.
type lintedFile struct {
	File     string        `json:"file"`
	Steps    int           `json:"steps"`
	Problems []lintProblem `json:"problems"`
	Warnings []lintProblem `json:"warnings"`
	Actions  []string      `json:"actions"`
	Unknown  []string      `json:"unknownActions"`
}

type lintProblem struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Problem string `json:"problem"`
	Want    string `json:"want,omitempty"`
	text    string
}

func lintRunbooks(ctx context.Context, w io.Writer, o lintOptions, args []string) error {
	if err := checkOutput(o.output); err != nil {
		return err
	}
	if slices.ContainsFunc(o.attachments, inAWS) {
		return knowngood.E(knowngood.Usage, "lint", "--attachments in AWS: lint calls nothing").WithHint("give a folder or a file")
	}
	if err := o.check(); err != nil {
		return err
	}
	cat, err := catalog()
	if err != nil {
		return err
	}
	set, err := readSettings()
	if err != nil {
		return err
	}
	runner := newScripts(cat, set, nil)
	var found []lintedFile
	for _, arg := range args {
		files, err := lintTargets(arg)
		if err != nil {
			return err
		}
		for _, f := range files {
			found = append(found, lint(ctx, cat, runner, f, o.sources(nil)))
		}
	}
	problems, warnings := 0, 0
	for _, f := range found {
		problems += len(f.Problems)
		warnings += len(f.Warnings)
	}
	if o.output == outputJSON {
		err = writeJSON(w, found)
	} else {
		printLint(w, o, found)
	}
	switch {
	case err != nil:
		return err
	case problems > 0:
		return knowngood.E(knowngood.Invalid, "lint", "%s in %s", plural(problems, "problem"), plural(len(found), "document"))
	case o.strict && warnings > 0:
		return knowngood.E(knowngood.Invalid, "lint", "%s in %s", plural(warnings, "warning"), plural(len(found), "document"))
	}
	return nil
}

type lintTarget struct {
	name   string
	data   []byte
	beside runbook.AttachmentSource
}

// lintTargets finds what an argument means: a runbook of the library, a file, or
// the runbooks in a folder.
func lintTargets(arg string) ([]lintTarget, error) {
	books, err := fs.Sub(library.FS, "runbooks")
	if err != nil {
		return nil, err
	}
	if raw, err := fs.ReadFile(books, arg+".yaml"); err == nil {
		return []lintTarget{{arg, raw, runbook.FolderAttachments(books, "the library")}}, nil
	}
	out, err := runbooksIn(arg)
	if err != nil {
		return nil, (&knowngood.Error{Kind: knowngood.Usage, Op: "lint", Err: err}).WithHint("knowngood runbook list has the library's")
	}
	if len(out) == 0 {
		return nil, knowngood.E(knowngood.Usage, "lint", "there is no runbook in %s", arg)
	}
	return out, nil
}

// runbooksIn finds the runbooks in a folder; a file is taken for one.
func runbooksIn(arg string) ([]lintTarget, error) {
	var out []lintTarget
	err := filepath.WalkDir(arg, func(file string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && file != arg && strings.HasPrefix(e.Name(), "."):
			return filepath.SkipDir
		case e.IsDir() || file != arg && !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(file)):
			return nil
		}
		raw, err := readLimited(file)
		if err == nil && (file == arg || runbook.Looks(raw)) {
			out = append(out, lintTarget{file, raw, localAttachments(filepath.Dir(file))})
		}
		return err
	})
	return out, err
}

// readLimited reads a file, of one that is too large for a runbook only as much
// as shows that.
func readLimited(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, runbook.MaxDocumentBytes+1))
}

func lint(ctx context.Context, cat *awsapi.Catalog, runner scripts, target lintTarget, sources []runbook.AttachmentSource) lintedFile {
	f := lintedFile{File: target.name, Problems: []lintProblem{}, Warnings: []lintProblem{}, Actions: []string{}, Unknown: []string{}}
	d, err := runbook.Parse(target.name, target.data)
	if err != nil {
		f.Problems = problemsOf(runbook.Problems(err))
		return f
	}
	problems, warnings := d.Lint(cat)
	for _, l := range runner.lacks(ctx, d) {
		warnings = append(warnings, &knowngood.FileError{Position: l.Position, Problem: "step " + l.Step + ": the script can't run here: " + l.why})
	}
	if d.NeedsAttachments() {
		_, err := d.ReadAttachments(ctx, append(sources, target.beside)...)
		for _, e := range runbook.AttachmentErrors(err) {
			if e.Differs {
				problems = append(problems, e.FileError)
			} else {
				warnings = append(warnings, e.FileError)
			}
		}
	}
	f.Steps, f.Problems, f.Warnings = len(d.Steps()), problemsOf(problems), problemsOf(warnings)
	if actions, unknown := d.Actions(cat); len(f.Problems) == 0 {
		f.Actions, f.Unknown = append(f.Actions, actions...), append(f.Unknown, unknown...)
	}
	return f
}

func problemsOf(list []*knowngood.FileError) []lintProblem {
	out := []lintProblem{}
	for _, p := range list {
		out = append(out, lintProblem{p.Line, p.Col, p.Problem, p.Want, p.Error()})
	}
	return out
}

func printLint(w io.Writer, o lintOptions, found []lintedFile) {
	problems, warnings := 0, 0
	for _, f := range found {
		for _, p := range f.Problems {
			fmt.Fprintf(w, "%s\n", p.text)
		}
		for _, p := range f.Warnings {
			fmt.Fprintf(w, "%s (warning)\n", p.text)
		}
		problems, warnings = problems+len(f.Problems), warnings+len(f.Warnings)
		if o.actions && len(f.Problems) == 0 {
			wrapped(w, f.File+" needs: ", f.Actions)
			wrapped(w, "  and what these steps need, which is not known: ", f.Unknown)
		}
	}
	fmt.Fprintf(w, "%s: %s, %s\n", plural(len(found), "document"), plural(problems, "problem"), plural(warnings, "warning"))
}
