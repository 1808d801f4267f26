package app

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/rule"
)

// ruleFolder is where a governance folder has rules of its own.
const ruleFolder = "rules"

// ownPack is the pack of own rules that no template asks for.
const ownPack = "rules"

// hasRules says whether a governance folder has rules of its own.
func hasRules(folder string) bool {
	files, err := filepath.Glob(filepath.Join(folder, ruleFolder, "*.yaml"))
	return err == nil && len(files) > 0
}

// isRuleFile says whether a file holds a rule, by where it is.
func isRuleFile(path string) bool {
	absolute, err := filepath.Abs(path)
	return err == nil && filepath.Base(filepath.Dir(absolute)) == ruleFolder && filepath.Ext(path) == ".yaml"
}

// withOwnRules adds the rules of the governance folders to the library, and gives
// these too.
func (o governanceOptions) withOwnRules(lib *rule.Library) (*rule.Library, []*rule.Definition, error) {
	var own []*rule.Definition
	for _, folder := range o.paths {
		if info, err := os.Stat(folder); err != nil || !info.IsDir() || !hasRules(folder) {
			continue // what is wrong with the folder its templates' reading tells
		}
		found, err := rule.Load(os.DirFS(folder))
		if err == nil {
			lib, err = lib.With(found)
		}
		if err != nil {
			return nil, nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the rules of " + folder, Err: err}
		}
		own = append(own, found.Rules()...)
	}
	return lib, own, nil
}

// inForce puts the own rules in force that no template asks for, and that AWS
// doesn't have, so that no template which AWS takes could.
func inForce(own []*rule.Definition, active []rule.Active) ([]rule.Active, error) {
	var out []rule.Active
	for _, d := range own {
		asked := slices.ContainsFunc(active, func(a rule.Active) bool { return a.Rule.Definition == d })
		if asked || !d.Own {
			continue
		}
		bound, err := rule.Compile(d, nil)
		if err != nil {
			return nil, (&knowngood.Error{Kind: knowngood.Invalid, Op: "read the governance", Err: fmt.Errorf("%s: %w", d.File, err)}).
				WithHint("give its parameters defaults, or name it in a ConfigRule with its parameters")
		}
		out = append(out, rule.Active{Name: d.Name, Pack: ownPack, Severity: d.Severity, Rule: bound})
	}
	return out, nil
}

// readRule reads a rule's file.
func readRule(file string) (*rule.Definition, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the rule", Err: err}
	}
	d, err := rule.Parse(file, data)
	if err != nil {
		return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the rule", Err: err}
	}
	return d, nil
}

// runRuleTests runs the tests that a rule's file holds.
func runRuleTests(w io.Writer, o testOptions, file string) ([]testResult, error) {
	d, err := readRule(file)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	var results []testResult
	word := "?   "
	for _, t := range d.Tests {
		if !strings.Contains(t.Name, o.run) {
			continue
		}
		r := testResult{file: file, name: t.Name}
		at := time.Now()
		if err := d.CheckTest(t); err != nil {
			r.wrong = []string{err.Error()}
		}
		r.took = time.Since(at)
		results = append(results, r)
		switch {
		case len(r.wrong) > 0:
			word = "FAIL"
			fmt.Fprintf(w, "--- FAIL: %s (%.2fs)\n    %s\n", t.Name, r.took.Seconds(), r.wrong[0])
		case o.verbose:
			fmt.Fprintf(w, "--- PASS: %s (%.2fs)\n", t.Name, r.took.Seconds())
		}
		if word == "?   " {
			word = "ok  "
		}
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%.3fs\n", word, file, plural(len(results), "test"), time.Since(begun).Seconds())
	return results, nil
}
