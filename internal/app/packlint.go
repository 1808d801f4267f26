package app

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/remedy"
	"github.com/knowngood/knowngood/internal/template"
	"github.com/knowngood/knowngood/library"
)

func newPackLint(s Streams) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "lint NAME|FILE…",
		Short: "Say what is wrong in packs, and what may be unintended",
		Long: `Reads packs as scan would, without asking for the parameters that have no default,
and says all that is wrong: exit code 2. A note is no error: a rule that is not
evaluated, or what AWS Config would not take. Nothing outside this process is called.`,
		Args: takes(cobra.MinimumNArgs(1), "packs' names or files"),
		RunE: func(_ *cobra.Command, args []string) error { return lintPacks(s.Out, args, output) },
	}
	registerOutput(cmd, &output)
	return cmd
}

// lintResult is what is to be said of one pack.
type lintResult struct {
	File         string   `json:"file"`
	Rules        int      `json:"rules"`
	Remediations int      `json:"remediations"`
	Problems     []string `json:"problems"`
	Notes        []string `json:"notes"`
}

func lintPacks(w io.Writer, args []string, output string) error {
	if err := checkOutput(output); err != nil {
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
	content, err := remedy.LoadContent(library.FS)
	if err != nil {
		return err
	}
	var results []lintResult
	var problems []error
	for _, f := range files {
		r := j.lint(f, content)
		results = append(results, r)
		for _, p := range r.Problems {
			problems = append(problems, errors.New(p))
		}
		if output != outputJSON && len(r.Problems) == 0 {
			fmt.Fprintf(w, "%s: %s, %s, ok\n", r.File, plural(r.Rules, "rule"), plural(r.Remediations, "remediation"))
		}
		if output != outputJSON {
			for _, n := range r.Notes {
				fmt.Fprintf(w, "  note: %s\n", n)
			}
		}
	}
	if output == outputJSON {
		if err := writeJSON(w, results); err != nil {
			return err
		}
	}
	if len(problems) > 0 {
		return &knowngood.Error{Kind: knowngood.Invalid, Op: "lint " + plural(len(files), "pack"), Err: errors.Join(problems...)}
	}
	return nil
}

// lintLine is one thing to be said, and where.
type lintLine struct {
	at   knowngood.Position
	text string
}

func line(at knowngood.Position, format string, args ...any) lintLine {
	return lintLine{at, fmt.Sprintf(format, args...)}
}

// inOrder writes lines in the order of the file.
func inOrder(lines []lintLine) []string {
	slices.SortStableFunc(lines, func(a, b lintLine) int {
		return cmp.Or(cmp.Compare(a.at.Line, b.at.Line), cmp.Compare(a.at.Col, b.at.Col))
	})
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = l.at.String() + ": " + l.text
	}
	return out
}

func (j *packJudge) lint(f templateFile, content *remedy.Content) lintResult {
	out := lintResult{File: f.name, Problems: []string{}, Notes: []string{}}
	v, err := readPack(f, nil)
	if err != nil {
		out.Problems = strings.Split(err.Error(), "\n")
		return out
	}
	v.judge(j)
	out.Rules = len(v.Rules)
	notes, problems := deployable(f, v.all[0].Template), []lintLine{}
	for _, u := range v.all {
		out.Remediations += len(u.Remediations)
		for i := range u.Remediations {
			wrong, missing := lintRemediation(&u.Remediations[i], content)
			problems, notes = append(problems, wrong...), append(notes, missing...)
		}
		for _, n := range u.Notes {
			notes = append(notes, line(n.Position, "%s", n.Text))
		}
	}
	for _, r := range v.Rules {
		at := r.governed.Rule.Position
		switch {
		case r.Status == packParameters:
			problems = append(problems, line(r.governed.Rule.ParametersAt, "%s", r.Reason))
		case r.Status != packRuns:
			notes = append(notes, line(at, "%s is not evaluated: %s", r.Name, r.Reason))
		case r.definition.Own && f.onDisk:
			notes = append(notes, line(at, "%s is a rule of knowngood's own: AWS Config has no %s, and takes the pack only without it", r.Name, r.Identifier))
		}
	}
	out.Problems, out.Notes = inOrder(problems), inOrder(notes)
	for _, why := range v.NotRead {
		out.Notes = append(out.Notes, "not read: "+why)
	}
	return out
}

// deployable says what keeps AWS Config from taking a template as a pack.
func deployable(f templateFile, t *template.Template) []lintLine {
	if len(t.Packs)+len(t.OrganizationPacks) > 0 {
		return nil // it is a template of packs
	}
	var out []lintLine
	whole := knowngood.Position{File: f.name}
	switch size := len(f.data); {
	case size > template.MaxPackBytes:
		out = append(out, line(whole, "it has %d bytes; AWS Config takes no pack of more than %d", size, template.MaxPackBytes))
	case size > template.MaxInlinePackBytes:
		out = append(out, line(whole, "it has %d bytes; AWS Config takes up to %d in TemplateBody, so deploy it from S3", size, template.MaxInlinePackBytes))
	}
	for _, o := range t.Others {
		out = append(out, line(o.Position, "%s is of type %s; a pack holds rules and remediations only, so deploy this as a stack", o.LogicalID, o.Type))
	}
	return out
}

// lintRemediation holds a remediation against the runbook that it names.
func lintRemediation(r *template.RemediationConfiguration, content *remedy.Content) (problems, notes []lintLine) {
	if r.TargetID == "" || !there(r.TargetID) {
		return nil, []lintLine{line(r.Position, "the library has no runbook %s, so nothing fixes what %s finds", r.TargetID, r.ConfigRuleName)}
	}
	book, err := content.Runbook(r.TargetID)
	if err != nil {
		return []lintLine{line(r.Position, "%v", err)}, nil
	}
	var names, given []string
	for _, p := range book.Document.Parameters {
		names = append(names, p.Name)
	}
	for _, p := range r.Parameters {
		given = append(given, p.Name)
		if !slices.Contains(names, p.Name) {
			problems = append(problems, line(r.Position, "the runbook %s has no parameter %s; expected %s", r.TargetID, p.Name, strings.Join(names, ", ")))
		}
	}
	for _, p := range book.Document.Parameters {
		if p.Default == nil && !slices.Contains(given, p.Name) {
			problems = append(problems, line(r.Position, "the runbook %s needs the parameter %s", r.TargetID, p.Name))
		}
	}
	return problems, nil
}
