package app

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/inventory"
	"github.com/knowngood/knowngood/internal/rule"
	"github.com/knowngood/knowngood/internal/template"
	"github.com/knowngood/knowngood/library"
)

// packStatus says whether a rule of a pack is evaluated, or why not.
type packStatus string

const (
	packRuns       packStatus = "RUNS"
	packUnknown    packStatus = "NOT_IN_LIBRARY"
	packLambda     packStatus = "CUSTOM_LAMBDA"
	packPolicy     packStatus = "CUSTOM_POLICY"
	packNoType     packStatus = "NO_RESOURCE_TYPE"  // the inventory lacks one that it reads
	packParameters packStatus = "WRONG_PARAMETERS"  // they don't bind
	packDeployed   packStatus = "DEPLOYED_VALUE"    // one is known only once it is deployed
	packNoData     packStatus = "INSUFFICIENT_DATA" // the scan gave no other verdict
)

// packJudge knows what is needed to say whether a rule is evaluated.
type packJudge struct {
	lib     *rule.Library
	types   *inventory.Table
	catalog *awsapi.Catalog
}

func newPackJudge() (*packJudge, error) {
	j := &packJudge{}
	var err error
	if j.lib, err = rule.Load(library.FS); err != nil {
		return nil, err
	}
	if j.catalog, err = catalog(); err != nil {
		return nil, err
	}
	j.types, err = inventory.LoadTypes(library.FS, j.catalog)
	return j, err
}

// rule judges one rule. The values of parameters that are missing are left to the
// pack's user: any that is allowed will do.
func (j *packJudge) rule(governed template.Governed, missing []string, off bool) packRule {
	r := governed.Rule
	out := packRule{Name: r.Name, Identifier: r.Identifier, Owner: r.Owner, Parameters: r.Parameters, Types: r.Scope.ResourceTypes, Line: r.Line, Off: off, Status: packRuns, governed: governed}
	if f := governed.Remediation; f != nil {
		out.Remediation, out.Automatic = f.TargetID, f.Automatic
	}
	fails := func(status packStatus, why string, args ...any) packRule {
		out.Status, out.Reason = status, fmt.Sprintf(why, args...)
		return out
	}
	switch r.Owner {
	case template.OwnerCustomLambda:
		return fails(packLambda, "its owner is CUSTOM_LAMBDA: it is the function %s", r.Identifier)
	case template.OwnerCustomPolicy:
		return fails(packPolicy, "its owner is CUSTOM_POLICY: it is Guard policy text")
	}
	left, deployed := leftOpen(r, missing)
	r.Unknown = nil
	d, why := evaluable(j.lib, r)
	if why != "" {
		return fails(packUnknown, "%s", why)
	}
	out.definition, out.Severity = d, d.Severity
	if len(out.Types) == 0 {
		out.Types = d.ResourceTypes
	}
	out.Parameters = withDefaults(d, r.Parameters)
	var lacking []string
	for _, t := range d.ResourceTypes {
		if _, ok := j.types.Type(t); !ok && slices.Contains(out.Types, t) {
			lacking = append(lacking, t)
		}
	}
	for t := range d.Others {
		if _, ok := j.types.Type(t); !ok {
			lacking = append(lacking, t)
		}
	}
	if slices.Sort(lacking); len(lacking) > 0 {
		return fails(packNoType, "the inventory has no %s", strings.Join(slices.Compact(lacking), ", "))
	}
	if len(deployed) > 0 {
		return fails(packDeployed, "the value of %s is known only once the template is deployed", strings.Join(deployed, ", "))
	}
	given := map[string]string{}
	for k, v := range r.Parameters {
		if !slices.Contains(left, k) {
			given[k] = v
		}
	}
	for _, p := range d.Parameters {
		if slices.Contains(left, p.Name) {
			if p.Default == nil && !p.Optional {
				given[p.Name] = sample(p)
			}
			out.Reason = "once " + strings.Join(left, ", ") + " is given"
		}
	}
	compiled, err := rule.Compile(d, given)
	if err != nil {
		return fails(packParameters, "%v", err)
	}
	out.compiled = compiled
	return out
}

// leftOpen are the parameters of a rule whose values are left to the pack's user,
// and those whose values only the deployed template has.
func leftOpen(r template.ConfigRule, missing []string) (left, deployed []string) {
	for _, name := range r.Unknown {
		if slices.ContainsFunc(missing, func(m string) bool { return strings.Contains(r.Parameters[name], "${"+m+"}") }) {
			left = append(left, name)
		} else {
			deployed = append(deployed, name)
		}
	}
	return left, deployed
}

// sample is some value that a parameter takes.
func sample(p rule.Parameter) string {
	switch {
	case len(p.Allowed) > 0:
		return p.Allowed[0]
	case p.Type == rule.Boolean:
		return "true"
	case p.Type == rule.Int || p.Type == rule.Double:
		if p.Min != nil {
			return fmt.Sprint(*p.Min)
		}
		return "1"
	}
	return "x"
}

// actions are the IAM actions of the calls that read what the rules read, sorted.
func (j *packJudge) actions(rules []packRule) ([]string, error) {
	var active []rule.Active
	for i, r := range rules {
		if r.Status != packRuns {
			continue
		}
		s := r.governed.Rule.Scope
		active = append(active, rule.Active{Name: fmt.Sprint(i), Rule: r.compiled, Scope: rule.Scope{ResourceTypes: s.ResourceTypes, TagKey: s.TagKey}})
	}
	set, err := rule.NewSet(active)
	if err != nil {
		return nil, err
	}
	var out []string
	for name, reads := range set.Reads() {
		t, ok := j.types.Type(name)
		if !ok {
			continue // of a type that the rule names and the scope leaves out
		}
		for _, operation := range t.OperationsFor(reads) {
			service, name, _ := strings.Cut(operation, ":")
			op, err := j.catalog.Operation(service, name)
			if err != nil {
				return nil, err
			}
			out = append(out, op.IAMActions(nil)...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

type coverageOptions struct {
	output  string
	policy  bool
	against string
}

func newPackCoverage(s Streams) *cobra.Command {
	var o coverageOptions
	cmd := &cobra.Command{
		Use:   "coverage NAME|FILE…",
		Short: "Say which rules of a pack are evaluated, and what permissions they need",
		Long: `Says of each rule of a pack whether it is evaluated, and if not, why: it is not in
the library, it is a function or a Guard policy, the inventory lacks a resource type
that it reads, or its parameters don't bind. Rules whose condition is false count
too: they are there to be switched on.

With --against-scan, a rule for which that scan gave INSUFFICIENT_DATA and nothing
else, or whose resources it could not list, is not evaluated either. Nothing outside
this process is called.`,
		Args: takes(cobra.MinimumNArgs(1), "packs' names or files"),
		RunE: func(_ *cobra.Command, args []string) error { return packCoverage(s.Out, args, o) },
	}
	registerOutput(cmd, &o.output)
	cmd.Flags().BoolVar(&o.policy, "policy", false, "print the IAM policy that reading what the rules read needs, and nothing else")
	cmd.Flags().StringVar(&o.against, "against-scan", "", "file that `knowngood scan --output json` wrote")
	return cmd
}

// coverage is what of packs is evaluated.
type coverage struct {
	Total       int       `json:"total"`
	Supported   int       `json:"supported"`
	Percent     float64   `json:"percent"`
	Permissions []string  `json:"permissions"` // IAM actions
	Packs       []onePack `json:"packs"`
}

type onePack struct {
	Name      string     `json:"name"`
	File      string     `json:"file,omitempty"`
	Total     int        `json:"total"`
	Supported int        `json:"supported"`
	Percent   float64    `json:"percent"`
	Rules     []packRule `json:"rules"`
	NotRead   []string   `json:"notRead"`
}

func packCoverage(w io.Writer, args []string, o coverageOptions) error {
	if err := checkOutput(o.output); err != nil {
		return err
	}
	files, err := packFiles(args)
	if err != nil {
		return err
	}
	j, err := newPackJudge()
	if err != nil {
		return err
	}
	var seen *scanned
	if o.against != "" {
		if seen, err = readScanned(o.against); err != nil {
			return err
		}
	}
	c, err := j.coverage(files, seen)
	switch {
	case err != nil:
		return err
	case o.policy:
		return writeJSON(w, policyOf(c.Permissions))
	case o.output == outputJSON:
		return writeJSON(w, c)
	}
	c.print(w)
	return nil
}

func (j *packJudge) coverage(files []templateFile, seen *scanned) (*coverage, error) {
	c := &coverage{Permissions: []string{}}
	var all []packRule
	for _, f := range files {
		v, err := readPack(f, nil)
		if err != nil {
			return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the pack", Err: err}
		}
		v.judge(j)
		p := onePack{Name: v.Name, File: v.File, Total: len(v.Rules), Rules: v.Rules, NotRead: v.NotRead}
		for i := range p.Rules {
			r := &p.Rules[i]
			if seen != nil && r.Status == packRuns && !r.Off {
				if why := seen.without(r); why != "" {
					r.Status, r.Reason = packNoData, why
				}
			}
			if r.Status == packRuns {
				p.Supported++
			}
		}
		p.Percent = percent(p.Supported, p.Total)
		c.Total, c.Supported = c.Total+p.Total, c.Supported+p.Supported
		c.Packs = append(c.Packs, p)
		all = append(all, p.Rules...)
	}
	c.Percent = percent(c.Supported, c.Total)
	actions, err := j.actions(all)
	c.Permissions = append(c.Permissions, actions...)
	return c, err
}

func percent(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part*1000/whole) / 10 // never rounded up
}

func (c *coverage) print(w io.Writer) {
	for _, p := range c.Packs {
		fmt.Fprintf(w, "%s: %d of %s evaluated (%.1f %%)\n", p.Name, p.Supported, plural(p.Total, "rule"), p.Percent)
		var rows [][]string
		off := 0
		for _, r := range p.Rules {
			if r.Off {
				off++
			}
			if r.Status != packRuns {
				rows = append(rows, []string{string(r.Status), r.Name, r.Reason})
			}
		}
		columns(w, "  ", rows)
		if off > 0 {
			fmt.Fprintf(w, "  %s off: a condition is false with the parameters' defaults\n", plural2(off, "rule is", "rules are"))
		}
		for _, why := range p.NotRead {
			fmt.Fprintln(w, "  not read:", why)
		}
	}
	if len(c.Packs) > 1 {
		fmt.Fprintf(w, "\n%s: %d of %s evaluated (%.1f %%)\n", plural(len(c.Packs), "pack"), c.Supported, plural(c.Total, "rule"), c.Percent)
	}
	if len(c.Permissions) > 0 {
		fmt.Fprintln(w)
		wrapped(w, "permissions: ", c.Permissions)
	}
}

// policyOf is an IAM policy that allows actions.
func policyOf(actions []string) any {
	type statement struct {
		Effect   string
		Action   []string
		Resource string
	}
	return struct {
		Version   string
		Statement []statement
	}{"2012-10-17", []statement{{"Allow", actions, "*"}}}
}

// scanned is what of a scan's report says which rules had verdicts.
type scanned struct {
	Evaluations []struct {
		Rule       string               `json:"configRuleName"`
		Compliance knowngood.Compliance `json:"complianceType"`
		Annotation string               `json:"annotation"`
	} `json:"evaluations"`
	Unreadable []knowngood.ReadError `json:"unreadable"`
}

func readScanned(file string) (*scanned, error) {
	op := "read the scan's report"
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, &knowngood.Error{Kind: knowngood.Usage, Op: op, Err: err}
	}
	s := &scanned{}
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: op, Err: fmt.Errorf("%s: %w", file, err)}
	}
	if s.Evaluations == nil {
		return nil, knowngood.E(knowngood.Invalid, op, "%s has no evaluations", file).WithHint("knowngood scan --output json > %s", file)
	}
	return s, nil
}

// without says why the scan gave no verdict of a rule; "" where it gave one, or
// where there was nothing to judge.
func (s *scanned) without(r *packRule) string {
	insufficient := ""
	for _, e := range s.Evaluations {
		if e.Rule != r.Name {
			continue
		}
		if e.Compliance != knowngood.InsufficientData {
			return ""
		}
		insufficient = "the scan gave only INSUFFICIENT_DATA: " + e.Annotation
	}
	if insufficient != "" {
		return insufficient
	}
	for _, e := range s.Unreadable {
		if e.ID == "" && slices.Contains(r.Types, e.Type) {
			return fmt.Sprintf("the scan could not list %s: %s", e.Type, e.Code)
		}
	}
	return ""
}
