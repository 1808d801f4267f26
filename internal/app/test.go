package app

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
)

type testOptions struct {
	run     string
	junit   string
	verbose bool
	// of says whether a test of a file is meant; nil: all are.
	of func(f *trialFile, file string, t trial) bool
}

func (o *testOptions) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.run, "run", "", "only tests whose name contains this text")
	cmd.Flags().StringVar(&o.junit, "junit", "", "file for the results in JUnit's form")
	cmd.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "name each test as it is run")
}

func newTest(s Streams) *cobra.Command {
	var o testOptions
	cmd := &cobra.Command{
		Use:   "test [DIR|FILE…]",
		Short: "Run offline tests of packs, rules, remediations and runbooks",
		Long: `Runs the tests that the rules in folders named rules hold, and those of the files
*.test.yaml, each of these in an AWS account in memory of its
own: given an estate, when it is scanned or fixed, then verdicts, calls and the
state in the end must be so. Nothing outside this process is called. Exit code 1:
a test failed.`,
		RunE: func(cmd *cobra.Command, args []string) error { return runTests(cmd.Context(), s, o, args) },
	}
	o.register(cmd)
	return cmd
}

// testResult is how one test ended.
type testResult struct {
	file, name string
	took       time.Duration
	wrong      []string
	skipped    string // what this machine lacks that it needs
}

func runTests(ctx context.Context, s Streams, o testOptions, args []string) error {
	if len(args) == 0 {
		args = []string{"."}
	}
	files, err := findTests(args)
	if err != nil {
		return err
	}
	return runTestFiles(ctx, s, o, files)
}

func runTestFiles(ctx context.Context, s Streams, o testOptions, files []string) error {
	var results []testResult
	failed := 0
	for _, file := range files {
		if isRuleFile(file) {
			ruleResults, err := runRuleTests(s.Out, o, file)
			if err != nil {
				return err
			}
			for _, r := range ruleResults {
				if len(r.wrong) > 0 {
					failed++
				}
			}
			results = append(results, ruleResults...)
			continue
		}
		f, err := readTrials(file)
		if err != nil {
			return &knowngood.Error{Kind: knowngood.Invalid, Op: "read the tests", Err: err}
		}
		begun, bad, ran, skipped := time.Now(), 0, 0, 0
		for _, t := range f.Tests {
			if !strings.Contains(t.Name, o.run) || o.of != nil && !o.of(f, file, t) {
				continue
			}
			r, err := runTest(ctx, s.Out, o, f, file, t)
			if err != nil {
				return err
			}
			ran++
			if r.skipped != "" {
				skipped++
			}
			results = append(results, r)
			if len(r.wrong) > 0 {
				bad++
			}
		}
		failed += bad
		word := "ok  "
		switch {
		case bad > 0:
			word = "FAIL"
		case ran == 0 && o.of != nil:
			continue // it is of another runbook
		case ran == 0:
			word = "?   "
		}
		count := plural(ran, "test")
		if skipped > 0 {
			count += fmt.Sprintf(", %d skipped", skipped)
		}
		fmt.Fprintf(s.Out, "%s\t%s\t%s\t%.3fs\n", word, file, count, time.Since(begun).Seconds())
	}
	if o.junit != "" {
		if err := writeJUnit(o.junit, results); err != nil {
			return err
		}
	}
	if failed > 0 {
		fmt.Fprintln(s.Out, "FAIL")
		return knowngood.E(knowngood.Other, "test", "%d of %s failed", failed, plural(len(results), "test"))
	}
	if len(results) == 0 {
		if o.run == "" {
			return knowngood.E(knowngood.Usage, "test", "none of the tests in %s is of it", plural(len(files), "file"))
		}
		return knowngood.E(knowngood.Usage, "test", "no test was run").WithHint("--run %q fits none of the tests in %s", o.run, plural(len(files), "file"))
	}
	return nil
}

// findTests finds the test files that are meant, in the order of their names.
func findTests(args []string) ([]string, error) {
	var files []string
	for _, arg := range args {
		err := filepath.WalkDir(arg, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && path != arg && strings.HasPrefix(d.Name(), "."):
				return filepath.SkipDir
			case !d.IsDir() && (path == arg || strings.HasSuffix(path, ".test.yaml") || strings.HasSuffix(path, ".test.yml") || isRuleFile(path)):
				files = append(files, path)
			}
			return nil
		})
		if err != nil {
			return nil, &knowngood.Error{Kind: knowngood.Usage, Op: "find the tests", Err: err}
		}
	}
	if len(files) == 0 {
		return nil, knowngood.E(knowngood.Usage, "find the tests", "there is no *.test.yaml, and no rule in a folder named rules, in %s", strings.Join(args, ", "))
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

func runTest(ctx context.Context, w io.Writer, o testOptions, f *trialFile, file string, t trial) (testResult, error) {
	r := testResult{file: file, name: t.Name}
	if o.verbose {
		fmt.Fprintf(w, "=== RUN   %s\n", t.Name)
	}
	state, err := os.MkdirTemp("", "knowngood-test-")
	if err != nil {
		return r, err
	}
	begun := time.Now()
	r.wrong, err = t.perform(ctx, f.dir, state)
	r.took = time.Since(begun)
	if l := (lackingError{}); errors.As(err, &l) {
		r.skipped, err = l.Error(), nil
	}
	if err := errors.Join(err, os.RemoveAll(state)); err != nil {
		if ctx.Err() != nil {
			return r, knowngood.E(knowngood.Interrupted, "test", "interrupted")
		}
		return r, &knowngood.Error{Kind: knowngood.KindOf(err), Op: file + ", test " + t.Name, Err: err}
	}
	switch {
	case len(r.wrong) > 0:
		fmt.Fprintf(w, "--- FAIL: %s (%.2fs)\n", t.Name, r.took.Seconds())
		for _, why := range r.wrong {
			fmt.Fprintf(w, "    %s\n", why)
		}
	case r.skipped != "":
		fmt.Fprintf(w, "--- SKIP: %s (%s)\n", t.Name, r.skipped)
	case o.verbose:
		fmt.Fprintf(w, "--- PASS: %s (%.2fs)\n", t.Name, r.took.Seconds())
	}
	return r, nil
}

// JUnit's form, as CI systems read it.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Skipped  int         `xml:"skipped,attr,omitempty"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitFailure `xml:"failure"`
		Skipped *junitSkipped `xml:"skipped"`
	}
	junitSkipped struct {
		Message string `xml:"message,attr"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

func writeJUnit(file string, results []testResult) error {
	var out junitSuites
	for _, r := range results {
		n := len(out.Suites)
		if n == 0 || out.Suites[n-1].Name != r.file {
			out.Suites = append(out.Suites, junitSuite{Name: r.file})
			n++
		}
		suite := &out.Suites[n-1]
		c := junitCase{Class: r.file, Name: r.name, Time: fmt.Sprintf("%.3f", r.took.Seconds())}
		suite.Tests++
		if len(r.wrong) > 0 {
			suite.Failures++
			c.Failure = &junitFailure{Message: r.wrong[0], Text: strings.Join(r.wrong, "\n")}
		}
		if r.skipped != "" {
			suite.Skipped++
			c.Skipped = &junitSkipped{Message: r.skipped}
		}
		suite.Cases = append(suite.Cases, c)
	}
	for i := range out.Suites {
		var total time.Duration
		for _, r := range results {
			if r.file == out.Suites[i].Name {
				total += r.took
			}
		}
		out.Suites[i].Time = fmt.Sprintf("%.3f", total.Seconds())
	}
	raw, err := xml.MarshalIndent(out, "", "  ")
	if err != nil {
		return err
	}
	return writeWhole(file, append([]byte(xml.Header), append(raw, '\n')...))
}
