package app

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/inventory"
	"github.com/knowngood/knowngood/internal/rule"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/library"
)

func newRule(s Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use: "rule", Short: "List, show, scaffold and check rules",
		Args: noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRuleList(s), newRuleShow(s), newRuleNew(s), newRuleLint(s), newRuleTest(s))
	return cmd
}

// ruleView is a rule as it is listed.
type ruleView struct {
	Identifier    string              `json:"identifier"`
	Name          string              `json:"name"`
	Title         string              `json:"title"`
	Description   string              `json:"description"`
	Own           bool                `json:"own"`
	Severity      knowngood.Severity  `json:"severity"`
	Trigger       rule.Trigger        `json:"trigger"`
	ResourceTypes []string            `json:"resourceTypes"`
	Parameters    []parameterView     `json:"parameters"`
	Proactive     []string            `json:"proactive"` // the types of templates and plans from which all that it reads may be known
	Reads         []string            `json:"reads"`
	LooksUp       map[string][]string `json:"looksUp"` // members of other resources, by type
	Remediation   string              `json:"remediation,omitempty"`
	Source        string              `json:"source,omitempty"`
	Notes         []string            `json:"notes"`
	Tests         []testView          `json:"tests"`

	definition *rule.Definition
}

type parameterView struct {
	Name        string             `json:"name"`
	Type        rule.ParameterType `json:"type"`
	Default     *string            `json:"default,omitempty"`
	Optional    bool               `json:"optional"`
	Description string             `json:"description,omitempty"`
}

type testView struct {
	Name   string               `json:"name"`
	Expect knowngood.Compliance `json:"expect"`
}

// String is a parameter as name:type, with its default, and a ? where it may be
// left out.
func (p parameterView) String() string {
	out := p.Name + ":" + string(p.Type)
	if p.Default != nil {
		out += "=" + *p.Default
	}
	if p.Optional {
		out += "?"
	}
	return out
}

// ruleViews are all rules that a governance could put in force.
func (o governanceOptions) ruleViews() ([]ruleView, error) {
	lib, err := rule.Load(library.FS)
	if err != nil {
		return nil, err
	}
	if lib, _, err = o.withOwnRules(lib); err != nil {
		return nil, err
	}
	models, err := catalog()
	if err != nil {
		return nil, err
	}
	table, err := inventory.LoadTypes(library.FS, models)
	if err != nil {
		return nil, err
	}
	forms, err := inventory.LoadForms(library.FS)
	if err != nil {
		return nil, err
	}
	views := make([]ruleView, 0, len(lib.Rules()))
	for _, d := range lib.Rules() {
		v := ruleView{Identifier: d.Identifier, Name: d.Name, Title: d.Title, Description: d.Description, Own: d.Own, Severity: d.Severity, Trigger: d.Trigger, ResourceTypes: d.ResourceTypes,
			Parameters: []parameterView{}, Proactive: forms.Evaluable(d.ResourceTypes, d.Reads, d.Others, table), Reads: d.Reads, LooksUp: d.Others, Remediation: d.Remediation, Source: d.Source,
			Notes: append([]string{}, d.Notes...), Tests: []testView{}, definition: d}
		for _, p := range d.Parameters {
			v.Parameters = append(v.Parameters, parameterView{p.Name, p.Type, p.Default, p.Optional, p.Description})
		}
		for _, t := range d.Tests {
			v.Tests = append(v.Tests, testView{t.Name, t.Expect})
		}
		views = append(views, v)
	}
	return views, nil
}

func newRuleList(s Streams) *cobra.Command {
	var o governanceOptions
	var output, resourceType string
	cmd := &cobra.Command{
		Use: "list", Short: "List the rules that there are", Args: noArgs(),
		RunE: func(*cobra.Command, []string) error { return listRules(s.Out, o, resourceType, output) },
	}
	cmd.Flags().StringArrayVar(&o.paths, "governance", nil, "folder whose rules are listed too")
	cmd.Flags().StringVar(&resourceType, "type", "", "only rules on this resource type")
	registerOutput(cmd, &output)
	return cmd
}

// few is the first of several names, and how many more there are.
func few(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return fmt.Sprintf("%s and %d more", names[0], len(names)-1)
}

func listRules(w io.Writer, o governanceOptions, resourceType, output string) error {
	if err := checkOutput(output); err != nil {
		return err
	}
	views, err := o.ruleViews()
	if err != nil {
		return err
	}
	if resourceType != "" {
		views = slices.DeleteFunc(views, func(v ruleView) bool { return !slices.Contains(v.ResourceTypes, resourceType) })
	}
	if output == outputJSON {
		return writeJSON(w, views)
	}
	rows := make([][]string, len(views))
	for i, v := range views {
		params := make([]string, len(v.Parameters))
		for j, p := range v.Parameters {
			params[j] = p.String()
		}
		rows[i] = []string{v.Identifier, string(v.Trigger), string(v.Severity), few(v.ResourceTypes), strings.Join(params, " ")}
	}
	columns(w, "", rows)
	fmt.Fprintf(w, "\n%s\n", plural(len(views), "rule"))
	return nil
}

func newRuleShow(s Streams) *cobra.Command {
	var o governanceOptions
	var output string
	cmd := &cobra.Command{
		Use: "show RULE", Short: "Show a rule with what it reads and its tests", Args: takes(cobra.ExactArgs(1), "a rule's identifier or name"),
		RunE: func(_ *cobra.Command, args []string) error { return showRule(s.Out, o, args[0], output) },
	}
	cmd.Flags().StringArrayVar(&o.paths, "governance", nil, "folder whose rules are known too")
	registerOutput(cmd, &output)
	return cmd
}

func showRule(w io.Writer, o governanceOptions, name, output string) error {
	if err := checkOutput(output); err != nil {
		return err
	}
	views, err := o.ruleViews()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(views, func(v ruleView) bool { return v.Identifier == name || v.Name == name })
	if i < 0 {
		var names []string
		for _, v := range views {
			names = append(names, v.Identifier, v.Name)
		}
		return knowngood.E(knowngood.Invalid, "show the rule", "there is no rule %s%s", name, runbook.Near(name, names)).WithHint("knowngood rule list")
	}
	v := views[i]
	if output == outputJSON {
		return writeJSON(w, v)
	}
	fmt.Fprintf(w, "%s (%s)\n%s\n\n", v.Identifier, v.Name, v.Description)
	rows := [][]string{{"severity", string(v.Severity)}, {"trigger", string(v.Trigger)}, {"types", strings.Join(v.ResourceTypes, ", ")}}
	for _, p := range v.Parameters {
		rows = append(rows, []string{"parameter", p.String() + "  " + p.Description})
	}
	for _, r := range v.Reads {
		rows = append(rows, []string{"reads", r})
	}
	for _, t := range slices.Sorted(maps.Keys(v.LooksUp)) {
		rows = append(rows, []string{"looks up", t + ": " + strings.Join(v.LooksUp[t], ", ")})
	}
	for _, t := range v.Proactive {
		rows = append(rows, []string{"proactive", t})
	}
	for _, f := range [][]string{{"remediation", v.Remediation}, {"source", v.Source}} {
		if f[1] != "" {
			rows = append(rows, f)
		}
	}
	for _, n := range v.Notes {
		rows = append(rows, []string{"note", n})
	}
	for _, t := range v.Tests {
		rows = append(rows, []string{"test", string(t.Expect) + "  " + t.Name})
	}
	columns(w, "  ", rows)
	fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(v.definition.Compliant))
	return nil
}

func newRuleLint(s Streams) *cobra.Command {
	return &cobra.Command{
		Use: "lint FILE…", Short: "Check rules' files", Args: takes(cobra.MinimumNArgs(1), "rules' files"),
		RunE: func(_ *cobra.Command, args []string) error {
			var problems []error
			for _, file := range args {
				d, err := readRule(file)
				var e *knowngood.Error
				switch {
				case errors.As(err, &e):
					problems = append(problems, e.Err)
				case err != nil:
					problems = append(problems, err)
				default:
					fmt.Fprintf(s.Out, "ok  %s: %s, %s, reads %s\n", file, d.Identifier, plural(len(d.Tests), "test"), plural(len(d.Reads), "member"))
				}
			}
			if len(problems) > 0 {
				return &knowngood.Error{Kind: knowngood.Invalid, Op: "lint", Err: errors.Join(problems...)}
			}
			return nil
		},
	}
}

func newRuleTest(s Streams) *cobra.Command {
	var o testOptions
	cmd := &cobra.Command{
		Use: "test FILE…", Short: "Run the tests that rules' files hold", Args: takes(cobra.MinimumNArgs(1), "rules' files"),
		RunE: func(_ *cobra.Command, args []string) error {
			failed, ran := 0, 0
			for _, file := range args {
				results, err := runRuleTests(s.Out, o, file)
				if err != nil {
					return err
				}
				for _, r := range results {
					if ran++; len(r.wrong) > 0 {
						failed++
					}
				}
			}
			if failed > 0 || ran == 0 {
				return knowngood.E(knowngood.Other, "test", "%d of %s failed", failed, plural(ran, "test"))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&o.run, "run", "", "only tests whose name contains this text")
	cmd.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "name each test as it is run")
	return cmd
}
