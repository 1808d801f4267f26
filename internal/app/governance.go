package app

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/report"
	"github.com/knowngood/knowngood/internal/rule"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/template"
	"github.com/knowngood/knowngood/library"
)

// governanceOptions are the flags of commands that judge resources.
type governanceOptions struct {
	paths  []string
	params []string
}

func (o *governanceOptions) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&o.paths, "governance", nil, "template, or folder of templates, with the rules and remediations; default: the packs that ship with knowngood")
	cmd.Flags().StringArrayVar(&o.params, "parameter", nil, "value for a parameter of the templates, as NAME=VALUE")
}

// governance is what the user asks for: the rules in force, and what remediates
// them.
type governance struct {
	packs        []string // the names of the templates
	rules        *rule.Set
	remediations map[string]template.RemediationConfiguration // by rule name
	// notEvaluated says of rules that are asked for why they can't be judged; missing
	// are these rules.
	notEvaluated []string
	missing      []report.Rule
	notes        []string // what was passed over in the templates, and where
}

// printNotes says what was passed over.
func (g *governance) printNotes(w io.Writer) {
	for _, n := range g.notes {
		fmt.Fprintln(w, "note:", n)
	}
}

// load reads the templates. Errors are of kind Invalid.
func (o governanceOptions) load(place knowngood.Place) (*governance, error) {
	params, _, err := parseParams(o.params)
	if err != nil {
		return nil, err
	}
	lib, err := rule.Load(library.FS)
	if err != nil {
		return nil, err
	}
	lib, own, err := o.withOwnRules(lib)
	if err != nil {
		return nil, err
	}
	files, err := o.files()
	if err != nil {
		return nil, err
	}
	g := &governance{remediations: map[string]template.RemediationConfiguration{}}
	var active []rule.Active
	known := map[string]bool{} // the templates' parameters
	for _, f := range files {
		in := template.Inputs{Parameters: map[string]string{}, Account: place.Account, Region: place.Region, Partition: place.Partition}
		// A template is given only the parameters that it declares: one set serves
		// a folder of templates.
		declared, err := template.Load(f.name, f.data, template.Inputs{AllowMissing: true})
		if err != nil {
			return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the governance", Err: err}
		}
		for _, p := range declared.Parameters {
			known[p.Name] = true
			if v, ok := params[p.Name]; ok {
				in.Parameters[p.Name], _ = v.(string)
			}
		}
		t, err := template.Load(f.name, f.data, in)
		if err != nil {
			return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the governance", Err: err}
		}
		pack := strings.TrimSuffix(filepath.Base(f.name), filepath.Ext(f.name))
		g.packs = append(g.packs, pack)
		rules, err := g.add(t, pack, lib)
		if err != nil {
			return nil, err
		}
		active = append(active, rules...)
	}
	for name := range params {
		if !known[name] {
			return nil, knowngood.E(knowngood.Usage, "read the governance", "no template has a parameter %s", name).WithHint("there are %s", strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
	}
	unasked, err := inForce(own, active)
	if err != nil {
		return nil, err
	}
	g.rules, err = rule.NewSet(append(active, unasked...))
	return g, err
}

// add takes a template's rules and remediations.
func (g *governance) add(t *template.Template, pack string, lib *rule.Library) ([]rule.Active, error) {
	var active []rule.Active
	for _, governed := range t.Governed() {
		r := governed.Rule
		definition, known := lib.Rule(r.Identifier)
		if r.Owner != template.OwnerAWS || !known {
			why := "rules of owner " + r.Owner + " are not evaluated by this version"
			if r.Owner == template.OwnerAWS {
				var names []string
				for _, d := range lib.Rules() {
					names = append(names, d.Identifier)
				}
				why = "the library has no rule " + r.Identifier + runbook.Near(r.Identifier, names)
			}
			g.miss(report.Rule{Name: r.Name, Pack: pack, Identifier: r.Identifier, Where: r.Position.String(), Missing: why}, fmt.Sprintf("%s (%s): %s", r.Name, r.Position, why))
			continue
		}
		bound, err := rule.Compile(definition, r.Parameters)
		if err != nil {
			return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the governance", Err: fmt.Errorf("%s: %w", r.Position, err)}
		}
		active = append(active, rule.Active{Name: r.Name, Pack: pack, Severity: definition.Severity, Rule: bound, Scope: rule.Scope{
			ResourceTypes: r.Scope.ResourceTypes, ResourceID: r.Scope.ResourceID, TagKey: r.Scope.TagKey, TagValue: r.Scope.TagValue,
		}})
		if governed.Remediation != nil {
			g.remediations[r.Name] = *governed.Remediation
		}
	}
	for _, o := range t.Others {
		if o.Type == "AWS::Config::OrganizationConfigRule" {
			const why = "rules of an organization are not evaluated by this version"
			g.miss(report.Rule{Name: o.LogicalID, Pack: pack, Where: o.Position.String(), Missing: why}, fmt.Sprintf("%s (%s): %s", o.LogicalID, o.Position, why))
		}
	}
	for _, n := range t.Notes {
		g.notes = append(g.notes, fmt.Sprintf("%s: %s", n.Position, n.Text))
	}
	for _, p := range slices.Concat(t.Packs, t.OrganizationPacks) {
		const why = "a conformance pack inside a template is not read by this version; give its own template"
		g.miss(report.Rule{Name: p.Name, Pack: p.Name, Missing: why}, p.Name+": "+why)
	}
	return active, nil
}

// miss notes a rule that is asked for and can't be judged. Said is what a person reads.
func (g *governance) miss(r report.Rule, said string) {
	g.missing = append(g.missing, r)
	g.notEvaluated = append(g.notEvaluated, said)
}

type templateFile struct {
	name string
	data []byte
}

// files reads the templates that are asked for, in the order of their names
// within a folder.
func (o governanceOptions) files() ([]templateFile, error) {
	if len(o.paths) == 0 {
		return readTemplates(library.FS, "packs", "")
	}
	var out []templateFile
	for _, p := range o.paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the governance", Err: err}
		}
		if !info.IsDir() {
			data, err := os.ReadFile(p)
			if err != nil {
				return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the governance", Err: err}
			}
			out = append(out, templateFile{p, data})
			continue
		}
		found, err := readTemplates(os.DirFS(p), ".", p)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 && !hasRules(p) {
			return nil, knowngood.E(knowngood.Invalid, "read the governance", "%s has no template (*.yaml, *.yml, *.json)", p)
		}
		out = append(out, found...)
	}
	return out, nil
}

func readTemplates(fsys fs.FS, dir, shown string) ([]templateFile, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the governance", Err: err}
	}
	var out []templateFile
	for _, e := range entries {
		if e.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json", ".template"}, path.Ext(e.Name())) {
			continue
		}
		data, err := fs.ReadFile(fsys, path.Join(dir, e.Name()))
		if err != nil {
			return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the governance", Err: err}
		}
		out = append(out, templateFile{filepath.Join(shown, e.Name()), data})
	}
	return out, nil
}

// InForce implements remedy.Evaluator.
func (g *governance) InForce(name string) bool {
	_, ok := g.rules.Rule(name)
	return ok
}

// Evaluate implements remedy.Evaluator.
func (g *governance) Evaluate(name string, item *knowngood.Resource, now time.Time) (knowngood.Evaluation, error) {
	a, ok := g.rules.Rule(name)
	if !ok {
		return knowngood.Evaluation{}, knowngood.E(knowngood.Invalid, "evaluate", "no rule %q is in force", name)
	}
	if !a.Scope.Covers(item) {
		return knowngood.Evaluation{Rule: name, Resource: item.Key(), Compliance: knowngood.NotApplicable, Annotation: "it is out of the rule's scope", Time: now.UTC()}, nil
	}
	return a.Evaluate(item, now, nil), nil
}

// remediation gives what remediates a rule. The error, of kind Invalid, says that
// nothing does.
func (g *governance) remediation(name string) (template.RemediationConfiguration, error) {
	c, ok := g.remediations[name]
	switch {
	case ok:
		return c, nil
	case !g.InForce(name):
		return c, knowngood.E(knowngood.Invalid, "find the remediation", "the rule %q is not in force", name).WithHint("give the --governance with which it was found")
	}
	return c, knowngood.E(knowngood.Invalid, "find the remediation", "no remediation is tied to the rule %q", name).WithHint("add an AWS::Config::RemediationConfiguration for it")
}
