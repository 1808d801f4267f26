package app

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

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
	packs  []string
	params []string
}

// The pack that is used where none is asked for, and the word for all of them.
const (
	defaultPack = "baseline"
	allPacks    = "all"
)

func (o *governanceOptions) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&o.paths, "governance", nil, "template, or folder of templates, with the rules and remediations; default: --pack "+defaultPack)
	cmd.Flags().StringArrayVar(&o.packs, "pack", nil, "pack that ships with knowngood, by name, or all; `knowngood pack list` names them")
	cmd.Flags().StringArrayVar(&o.params, "parameter", nil, "value for a parameter of the templates, as NAME=VALUE")
}

// asked says whether the user asked for any governance but the default.
func (o governanceOptions) asked() bool { return len(o.paths)+len(o.packs)+len(o.params) > 0 }

// governance is what the user asks for: the rules in force, and what remediates
// them.
type governance struct {
	packs        []string            // the names of the templates
	members      map[string][]string // the names of a pack's rules in force; packs may share one
	rules        *rule.Set
	remediations map[string]template.RemediationConfiguration // by rule name
	// notEvaluated says of rules that are asked for why they can't be judged; missing
	// are these rules.
	notEvaluated []string
	missing      []report.Rule
	notes        []string // what was passed over in the templates, and where
	regional     bool     // a template names its Region
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
	loaded, err := loadUnits(files, params, place)
	if err != nil {
		return nil, err
	}
	g := &governance{remediations: map[string]template.RemediationConfiguration{}, members: map[string][]string{}, regional: regional(files)}
	m := merger{g: g, lib: lib, first: map[string]bound{}}
	for _, u := range loaded {
		for _, t := range u.all {
			if len(t.Rules)+len(t.Off) > 0 || len(u.all) == 1 {
				g.packs = append(g.packs, t.pack)
			}
			if err := m.add(t, place.Account); err != nil {
				return nil, err
			}
		}
		for _, l := range u.left {
			g.miss(report.Rule{Name: l.name, Pack: l.name, Where: l.at.String(), Missing: l.why}, l.String())
		}
		g.notes = append(g.notes, u.excluded...)
	}
	unasked, err := inForce(own, m.active)
	if err != nil {
		return nil, err
	}
	g.rules, err = rule.NewSet(append(m.active, unasked...))
	return g, err
}

// regional says whether one of the templates names its Region.
func regional(files []templateFile) bool {
	return slices.ContainsFunc(files, func(f templateFile) bool { return bytes.Contains(f.data, []byte("AWS::Region")) })
}

// loadUnits loads the templates of files with those of the parameters that each
// declares: one set serves a folder. A file that holds the template of another's
// conformance pack is loaded there, and not for itself.
func loadUnits(files []templateFile, params knowngood.Params, place knowngood.Place) ([]*units, error) {
	known := map[string]bool{}
	taken := map[string]bool{}
	loaded := make([]*units, len(files))
	for i, f := range files {
		in := template.Inputs{Parameters: map[string]string{}, Account: place.Account, Region: place.Region, Partition: place.Partition}
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
			// It may be one that another file's pack gives its parameters.
			loaded[i] = &units{err: &knowngood.Error{Kind: knowngood.Invalid, Op: "read the governance", Err: err}}
			continue
		}
		if loaded[i], err = expand(f, t, in); err != nil {
			return nil, err
		}
		for _, file := range loaded[i].taken {
			taken[file] = true
		}
	}
	for name := range params {
		if !known[name] {
			return nil, knowngood.E(knowngood.Usage, "read the governance", "no template has a parameter %s", name).WithHint("there are %s", strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
	}
	var out []*units
	for i, f := range files {
		switch {
		case taken[f.name]:
		case loaded[i].err != nil:
			return nil, loaded[i].err
		default:
			out = append(out, loaded[i])
		}
	}
	return out, nil
}

// merger puts the rules of several templates together.
type merger struct {
	g      *governance
	lib    *rule.Library
	first  map[string]bound // by name
	active []rule.Active
}

// bound is a rule as a template binds it.
type bound struct {
	rule.Active
	parameters map[string]string // with the defaults
}

// add takes a template's rules and remediations.
func (m *merger) add(t unit, account string) error {
	g := m.g
	for _, governed := range t.Governed() {
		r := governed.Rule
		if slices.Contains(r.ExcludedAccounts, account) {
			g.notes = append(g.notes, fmt.Sprintf("%s: the rule %s leaves the account %s out", r.Position, r.Name, account))
			continue
		}
		definition, why := evaluable(m.lib, r)
		if why != "" {
			g.miss(report.Rule{Name: r.Name, Pack: t.pack, Identifier: r.Identifier, Where: r.Position.String(), Missing: why}, fmt.Sprintf("%s (%s): %s", r.Name, r.Position, why))
			continue
		}
		compiled, err := rule.Compile(definition, r.Parameters)
		if err != nil {
			return &knowngood.Error{Kind: knowngood.Invalid, Op: "read the governance", Err: fmt.Errorf("%s: %w", r.ParametersAt, err)}
		}
		m.put(bound{rule.Active{Name: r.Name, Pack: t.pack, Severity: definition.Severity, Rule: compiled, Scope: rule.Scope{
			ResourceTypes: r.Scope.ResourceTypes, ResourceID: r.Scope.ResourceID, TagKey: r.Scope.TagKey, TagValue: r.Scope.TagValue,
		}}, withDefaults(definition, r.Parameters)}, governed)
	}
	for _, n := range t.Notes {
		g.notes = append(g.notes, fmt.Sprintf("%s: %s", n.Position, n.Text))
	}
	return nil
}

// put puts a rule in force. Where another template has the same under the same
// name, one serves both. Where it differs it gets a name of its own, as AWS Config
// gives one to each rule of a conformance pack.
func (m *merger) put(b bound, from template.Governed) {
	name := b.Name
	if have, ok := m.first[name]; ok && !have.same(b) {
		b.Name += "-conformance-pack-" + b.Pack
		m.g.notes = append(m.g.notes, fmt.Sprintf("%s: the rule %s is not as in %s; here it is %s", from.Rule.Position, name, have.Pack, b.Name))
	}
	m.g.members[b.Pack] = append(m.g.members[b.Pack], b.Name)
	if _, ok := m.first[b.Name]; !ok {
		m.first[b.Name] = b
		m.active = append(m.active, b.Active)
	}
	if from.Remediation == nil {
		return
	}
	have, ok := m.g.remediations[b.Name]
	switch {
	case !ok:
		m.g.remediations[b.Name] = *from.Remediation
	case have.TargetID != from.Remediation.TargetID || !reflect.DeepEqual(have.Parameters, from.Remediation.Parameters):
		m.g.notes = append(m.g.notes, fmt.Sprintf("%s: the rule %s has another remediation in %s, which is used", from.Remediation.Position, b.Name, have.Position))
	}
}

func (b bound) same(other bound) bool {
	return b.Rule.Definition == other.Rule.Definition && reflect.DeepEqual(b.Scope, other.Scope) && maps.Equal(b.parameters, other.parameters)
}

func withDefaults(d *rule.Definition, given map[string]string) map[string]string {
	out := map[string]string{}
	for _, p := range d.Parameters {
		if p.Default != nil {
			out[p.Name] = *p.Default
		}
	}
	maps.Copy(out, given)
	return out
}

// evaluable gives the definition of a template's rule, or why there is no verdict
// of it.
func evaluable(lib *rule.Library, r template.ConfigRule) (*rule.Definition, string) {
	if r.Owner != template.OwnerAWS {
		return nil, "rules of owner " + r.Owner + " are not evaluated by this version"
	}
	definition, ok := lib.Rule(r.Identifier)
	if !ok {
		var names []string
		for _, d := range lib.Rules() {
			names = append(names, d.Identifier)
		}
		return nil, "the library has no rule " + r.Identifier + runbook.Near(r.Identifier, names)
	}
	if len(r.Unknown) > 0 {
		return nil, "the value of " + strings.Join(r.Unknown, ", ") + " is known only once the template is deployed"
	}
	return definition, ""
}

// miss notes a rule that is asked for and can't be judged. Said is what a person reads.
func (g *governance) miss(r report.Rule, said string) {
	g.missing = append(g.missing, r)
	g.notEvaluated = append(g.notEvaluated, said)
}

type templateFile struct {
	name   string
	data   []byte
	onDisk bool // else it ships with knowngood
}

// pack is the name of the pack that a file is.
func (f templateFile) pack() string {
	return strings.TrimSuffix(filepath.Base(f.name), filepath.Ext(f.name))
}

var templateExtensions = []string{".yaml", ".yml", ".json", ".template"}

// files reads the templates that are asked for, in the order of their names
// within a folder.
func (o governanceOptions) files() ([]templateFile, error) {
	packs := o.packs
	if len(o.paths)+len(packs) == 0 {
		packs = []string{defaultPack}
	}
	var out []templateFile
	for _, name := range packs {
		found, err := shippedPacks(name)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			if !slices.ContainsFunc(out, func(have templateFile) bool { return have.name == f.name }) {
				out = append(out, f)
			}
		}
	}
	for _, p := range o.paths {
		found, err := templatesAt(p)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// shippedPacks gives a pack of the library, or all.
func shippedPacks(name string) ([]templateFile, error) {
	all, err := readTemplates(library.FS, "packs", "")
	if err != nil || name == allPacks {
		return all, err
	}
	var names []string
	for _, f := range all {
		if f.pack() == name {
			return []templateFile{f}, nil
		}
		names = append(names, f.pack())
	}
	return nil, knowngood.E(knowngood.Usage, "find the pack "+name, "knowngood ships no such pack%s", runbook.Near(name, names)).WithHint("there are %s, and %s", strings.Join(names, ", "), allPacks)
}

// templatesAt reads a template, or those of a folder.
func templatesAt(p string) ([]templateFile, error) {
	info, err := os.Stat(p)
	if err != nil {
		return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the governance", Err: err}
	}
	if !info.IsDir() {
		data, err := readFile(p)
		if err != nil {
			return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the governance", Err: err}
		}
		return []templateFile{{p, data, true}}, nil
	}
	found, err := readTemplates(os.DirFS(p), ".", p)
	if err == nil && len(found) == 0 && !hasRules(p) {
		err = knowngood.E(knowngood.Invalid, "read the governance", "%s has no template (*.yaml, *.yml, *.json)", p)
	}
	return found, err
}

func readTemplates(fsys fs.FS, dir, shown string) ([]templateFile, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the governance", Err: err}
	}
	var out []templateFile
	for _, e := range entries {
		if e.IsDir() || !slices.Contains(templateExtensions, path.Ext(e.Name())) {
			continue
		}
		f, err := fsys.Open(path.Join(dir, e.Name()))
		if err != nil {
			return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the governance", Err: err}
		}
		data, err := readBounded(f)
		if err != nil {
			return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the governance", Err: err}
		}
		out = append(out, templateFile{filepath.Join(shown, e.Name()), data, shown != ""})
	}
	return out, nil
}

// InForce implements remedy.Evaluator.
func (g *governance) InForce(name string) bool {
	_, ok := g.rules.Rule(name)
	return ok
}

// fixes says whether something remediates a rule.
func (g *governance) fixes(name string) bool {
	_, ok := g.remediations[name]
	return ok
}

// remediation gives what remediates a rule. The error, of kind Invalid, says that
// nothing does.
func (g *governance) remediation(name string) (template.RemediationConfiguration, error) {
	c, ok := g.remediations[name]
	switch {
	case ok:
		return c, nil
	case !g.InForce(name):
		return c, knowngood.E(knowngood.Invalid, "find the remediation", "the rule %q is not in force", name).WithHint("give the --governance or --pack with which it was found")
	}
	return c, knowngood.E(knowngood.Invalid, "find the remediation", "no remediation is tied to the rule %q", name).WithHint("add an AWS::Config::RemediationConfiguration for it")
}
