package app

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/rule"
	"github.com/knowngood/knowngood/internal/template"
	"github.com/knowngood/knowngood/library"
)

func newPack(s Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use: "pack", Short: "Conformance packs: those that ship, and yours", Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPackList(s), newPackShow(s), newPackLint(s), newPackCoverage(s))
	return cmd
}

func newPackList(s Streams) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "list", Short: "List the packs that ship with knowngood", Args: noArgs(),
		RunE: func(*cobra.Command, []string) error { return listPacks(s.Out, output) },
	}
	registerOutput(cmd, &output)
	return cmd
}

func newPackShow(s Streams) *cobra.Command {
	var output string
	var params []string
	cmd := &cobra.Command{
		Use:   "show NAME|FILE",
		Short: "Show a pack's rules with their parameters as bound, and what remediates them",
		Args:  takes(cobra.ExactArgs(1), "a pack's name or file"),
		RunE:  func(_ *cobra.Command, args []string) error { return showPack(s.Out, args[0], params, output) },
	}
	cmd.Flags().StringArrayVar(&params, "parameter", nil, "value for a parameter of the pack, as NAME=VALUE")
	registerOutput(cmd, &output)
	return cmd
}

// packFiles finds packs: each argument is a file, a folder of files, or the name of
// one that ships.
func packFiles(args []string) ([]templateFile, error) {
	var out []templateFile
	for _, arg := range args {
		found, err := templatesAt(arg)
		if errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(arg, `./\`) {
			found, err = shippedPacks(arg)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// packView is a pack, read without being put in force.
type packView struct {
	Name       string          `json:"name"`
	File       string          `json:"file,omitempty"` // none: it ships with knowngood
	Title      string          `json:"description"`
	Parameters []packParameter `json:"parameters"`
	Rules      []packRule      `json:"rules"`
	NotRead    []string        `json:"notRead"` // packs inside it that are elsewhere

	*units
}

type packParameter struct {
	Name        string  `json:"name"`
	Type        string  `json:"type"`
	Value       *string `json:"value"` // null: it has to be given
	Description string  `json:"description"`
}

// packRule is a rule of a pack, and whether it is evaluated.
type packRule struct {
	Name        string             `json:"configRuleName"`
	Identifier  string             `json:"sourceIdentifier,omitempty"`
	Owner       string             `json:"owner"`
	Severity    knowngood.Severity `json:"severity,omitempty"`
	Parameters  map[string]string  `json:"inputParameters"`
	Types       []string           `json:"resourceTypes"`
	Remediation string             `json:"remediation,omitempty"` // the runbook
	Automatic   bool               `json:"automatic,omitempty"`
	Status      packStatus         `json:"status"`
	Reason      string             `json:"reason,omitempty"`
	Line        int                `json:"line"`
	Off         bool               `json:"off,omitempty"` // its condition is false

	governed   template.Governed
	definition *rule.Definition
	compiled   *rule.Rule // nil: it does not run
}

// readPack reads a pack whose parameters need not all have values.
func readPack(f templateFile, params knowngood.Params) (*packView, error) {
	in := template.Inputs{AllowMissing: true, Parameters: map[string]string{}}
	for k, v := range params {
		in.Parameters[k], _ = v.(string)
	}
	t, err := template.Load(f.name, f.data, in)
	if err != nil {
		return nil, err
	}
	u, err := expand(f, t, template.Inputs{AllowMissing: true})
	if err != nil {
		return nil, errors.Unwrap(err) // its place says where
	}
	v := &packView{Name: f.pack(), Title: t.Description, NotRead: []string{}, Parameters: []packParameter{}, Rules: []packRule{}, units: u}
	if f.onDisk {
		v.File = f.name
	}
	for _, l := range u.left {
		v.NotRead = append(v.NotRead, l.String())
	}
	for _, p := range t.Parameters {
		shown := packParameter{Name: p.Name, Type: p.Type, Description: p.Description}
		if !slices.Contains(t.Missing, p.Name) {
			shown.Value = &p.Value
		}
		v.Parameters = append(v.Parameters, shown)
	}
	return v, nil
}

// judge says of each rule whether it is evaluated.
func (v *packView) judge(j *packJudge) {
	for _, u := range v.all {
		for _, governed := range u.Governed() {
			v.Rules = append(v.Rules, j.rule(governed, u.Missing, false))
		}
		for _, r := range u.Off {
			v.Rules = append(v.Rules, j.rule(template.Governed{Rule: r}, u.Missing, true))
		}
	}
}

func listPacks(w io.Writer, output string) error {
	if err := checkOutput(output); err != nil {
		return err
	}
	files, err := shippedPacks(allPacks)
	if err != nil {
		return err
	}
	j, err := newPackJudge()
	if err != nil {
		return err
	}
	type entry struct {
		Name         string `json:"name"`
		Title        string `json:"description"`
		Rules        int    `json:"rules"`
		Remediations int    `json:"remediations"`
		Default      bool   `json:"default"` // scan uses it where nothing is asked for
	}
	var list []entry
	rows := [][]string{{"NAME", "RULES", "REMEDIATIONS", "DESCRIPTION"}}
	for _, f := range files {
		v, err := readPack(f, nil)
		if err != nil {
			return err
		}
		v.judge(j)
		e := entry{Name: v.Name, Title: v.Title, Rules: len(v.Rules), Default: v.Name == defaultPack}
		for _, r := range v.Rules {
			if r.Remediation != "" {
				e.Remediations++
			}
		}
		list = append(list, e)
		rows = append(rows, []string{e.Name, fmt.Sprint(e.Rules), fmt.Sprint(e.Remediations), e.Title})
	}
	if output == outputJSON {
		return writeJSON(w, list)
	}
	columns(w, "", rows)
	_, err = fmt.Fprintf(w, "\nscan uses %s where nothing else is asked for; --pack NAME names others\n", defaultPack)
	return err
}

func showPack(w io.Writer, arg string, given []string, output string) error {
	if err := checkOutput(output); err != nil {
		return err
	}
	params, _, err := parseParams(given)
	if err != nil {
		return err
	}
	files, err := packFiles([]string{arg})
	if err != nil {
		return err
	}
	if len(files) != 1 {
		return knowngood.E(knowngood.Usage, "show "+arg, "these are %d packs", len(files)).WithHint("name one of them")
	}
	j, err := newPackJudge()
	if err != nil {
		return err
	}
	v, err := readPack(files[0], params)
	if err != nil {
		return &knowngood.Error{Kind: knowngood.Invalid, Op: "read the pack", Err: err}
	}
	v.judge(j)
	if output == outputJSON {
		return writeJSON(w, v)
	}
	fmt.Fprintf(w, "%s: %s, %s\n", v.Name, plural(len(v.Rules), "rule"), cmp.Or(v.Title, "without a description"))
	if len(v.Parameters) > 0 {
		fmt.Fprintln(w, "\nparameters")
		var rows [][]string
		for _, p := range v.Parameters {
			value := "(to be given)"
			if p.Value != nil {
				value = fmt.Sprintf("%q", *p.Value)
			}
			rows = append(rows, []string{p.Name, value, p.Description})
		}
		columns(w, "  ", rows)
	}
	fmt.Fprintln(w, "\nrules")
	var rows [][]string
	for _, r := range v.Rules {
		rows = append(rows, []string{cmp.Or(string(r.Severity), "-"), r.Name, r.bindings(), r.note()})
	}
	columns(w, "  ", rows)
	for _, why := range v.NotRead {
		fmt.Fprintln(w, "not read ", why)
	}
	return nil
}

// bindings are a rule's parameters in a line.
func (r *packRule) bindings() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(r.Parameters)) {
		parts = append(parts, name+"="+r.Parameters[name])
	}
	return strings.Join(parts, " ")
}

// note is what else there is to say of a rule.
func (r *packRule) note() string {
	var parts []string
	if r.Off {
		parts = append(parts, "off: its condition is false")
	}
	if r.Status != packRuns {
		parts = append(parts, "not evaluated: "+r.Reason)
	} else if r.Reason != "" {
		parts = append(parts, r.Reason)
	}
	if r.Remediation != "" {
		by := "fix: " + r.Remediation
		if r.Automatic {
			by += ", automatic"
		}
		parts = append(parts, by)
	}
	return strings.Join(parts, "; ")
}

// shipped says whether the library has a runbook.
func shipped(runbook string) bool {
	f, err := library.FS.Open("runbooks/" + runbook + ".yaml")
	if err != nil {
		return false
	}
	return f.Close() == nil
}

// there says whether a runbook is one of the library or a file.
func there(runbook string) bool {
	if shipped(runbook) {
		return true
	}
	_, err := os.Stat(runbook)
	return err == nil
}
