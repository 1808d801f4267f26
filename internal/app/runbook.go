package app

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/runbook/graph"
	"github.com/knowngood/knowngood/library"
)

func newRunbook(s Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use: "runbook", Short: "List, check, draw, test and run runbooks", Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRunbookList(s), newRunbookShow(s), newRunbookLint(s), newRunbookGraph(s), newRun(s), newRunbookTest(s))
	return cmd
}

func newRunbookList(s Streams) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "list", Short: "List the library's runbooks", Args: noArgs(),
		RunE: func(*cobra.Command, []string) error { return listRunbooks(s.Out, output) },
	}
	registerOutput(cmd, &output)
	return cmd
}

func newRunbookShow(s Streams) *cobra.Command {
	var output string
	var content bool
	cmd := &cobra.Command{
		Use: "show RUNBOOK", Short: "Show a runbook: its parameters, its steps, and the IAM actions that it needs",
		Args: takes(cobra.ExactArgs(1), "a runbook's name or file"),
		RunE: func(_ *cobra.Command, args []string) error { return showRunbook(s.Out, args[0], output, content) },
	}
	registerOutput(cmd, &output)
	cmd.Flags().BoolVar(&content, "content", false, "print the document itself")
	return cmd
}

func newRunbookGraph(s Streams) *cobra.Command {
	var output, file string
	cmd := &cobra.Command{
		Use: "graph RUNBOOK", Short: "Draw a runbook, in the terminal or as SVG",
		Args: takes(cobra.ExactArgs(1), "a runbook's name or file"),
		RunE: func(_ *cobra.Command, args []string) error { return drawRunbook(s.Out, args[0], output, file) },
	}
	cmd.Flags().StringVar(&output, "output", "text", "text or svg")
	cmd.Flags().StringVarP(&file, "output-file", "o", "", "file for the drawing; default: the standard output")
	return cmd
}

func newRunbookTest(s Streams) *cobra.Command {
	var o testOptions
	cmd := &cobra.Command{
		Use:   "test RUNBOOK [DIR|FILE…]",
		Short: "Run the offline tests of a runbook",
		Long: `Runs those tests of the files *.test.yaml in which a step runs the runbook, or
which are in a file named after it. They are looked for in the folders that are
named, else where the runbook is. docs/tests.md describes the tests.`,
		Args: takes(cobra.MinimumNArgs(1), "a runbook's name or file, and perhaps folders"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return testRunbook(cmd.Context(), s, o, args[0], args[1:])
		},
	}
	o.register(cmd)
	return cmd
}

// readRunbook reads a runbook of the library, or a file.
func readRunbook(name string) (*runbook.Document, []byte, error) {
	raw, err := fs.ReadFile(library.FS, path.Join("runbooks", name+".yaml"))
	if err != nil {
		if raw, err = os.ReadFile(name); err != nil {
			return nil, nil, knowngood.E(knowngood.Invalid, "read the runbook", "%s is neither in the library nor a file that can be read", name).WithHint("knowngood runbook list")
		}
	}
	d, err := runbook.Parse(name, raw)
	if err != nil {
		return nil, raw, (&knowngood.Error{Kind: knowngood.Invalid, Op: "read the runbook", Err: err}).WithHint("knowngood runbook lint %s", name)
	}
	return d, raw, nil
}

type runbookRow struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Parameters  []string `json:"parameters"`
	Steps       int      `json:"steps"`
}

func listRunbooks(w io.Writer, output string) error {
	if err := checkOutput(output); err != nil {
		return err
	}
	files, err := fs.Glob(library.FS, "runbooks/*.yaml")
	if err != nil {
		return err
	}
	rows := []runbookRow{}
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".yaml")
		d, _, err := readRunbook(name)
		if err != nil {
			return err
		}
		row := runbookRow{Name: name, Description: firstLine(d.Description), Parameters: []string{}, Steps: len(d.Steps())}
		for _, p := range d.Parameters {
			row.Parameters = append(row.Parameters, p.Name)
		}
		rows = append(rows, row)
	}
	if output == outputJSON {
		return writeJSON(w, rows)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "RUNBOOK\tSTEPS\tDESCRIPTION")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%d\t%s\n", r.Name, r.Steps, r.Description)
	}
	return t.Flush()
}

// firstLine is the first line that says something, without Markdown's signs.
func firstLine(s string) string {
	for line := range strings.Lines(s) {
		if line = strings.Trim(line, "#* \t\r\n"); line != "" {
			return line
		}
	}
	return ""
}

type shownRunbook struct {
	Name        string         `json:"name"`
	SHA256      string         `json:"sha256"`
	Description string         `json:"description"`
	Parameters  []shownParam   `json:"parameters"`
	Steps       []shownStep    `json:"steps"`
	Outputs     []string       `json:"outputs"`
	Attachments []shownFile    `json:"attachments"`
	Actions     []string       `json:"actions"`
	Unknown     []string       `json:"unknownActions"` // steps whose IAM actions can't be told
	places      map[string]int // of steps: how many loops are around them
}

type shownParam struct {
	Name        string `json:"name"`
	Type        string `json:"type"`
	Default     any    `json:"default,omitempty"`
	Required    bool   `json:"required"`
	Description string `json:"description,omitempty"`
}

type shownStep struct {
	Name   string `json:"name"`
	Action string `json:"action"`
	Does   string `json:"does,omitempty"`
	Loop   string `json:"loop,omitempty"`
}

type shownFile struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

func showRunbook(w io.Writer, name, output string, content bool) error {
	if err := checkOutput(output); err != nil {
		return err
	}
	d, raw, err := readRunbook(name)
	if err != nil {
		return err
	}
	if content {
		_, err := w.Write(raw)
		return err
	}
	cat, err := catalog()
	if err != nil {
		return err
	}
	shown := describeRunbook(d, name)
	shown.Actions, shown.Unknown = d.Actions(cat)
	if output == outputJSON {
		return writeJSON(w, shown)
	}
	return printRunbook(w, shown)
}

func describeRunbook(d *runbook.Document, name string) shownRunbook {
	s := shownRunbook{Name: name, SHA256: d.SHA256, Description: strings.TrimSpace(d.Description), places: map[string]int{},
		Parameters: []shownParam{}, Steps: []shownStep{}, Outputs: []string{}, Attachments: []shownFile{}}
	for _, p := range d.Parameters {
		s.Parameters = append(s.Parameters, shownParam{p.Name, string(p.Type), p.Default, p.Required(), firstLine(p.Description)})
	}
	for _, step := range d.Steps() {
		row := shownStep{Name: step.Name, Action: step.Action, Does: d.Does(step.Name)}
		for l := step.Loop(); l != nil; l = l.Loop() {
			s.places[step.Name]++
		}
		if l := step.Loop(); l != nil {
			row.Loop = l.Name
		}
		s.Steps = append(s.Steps, row)
	}
	for _, ref := range d.OutputRefs {
		s.Outputs = append(s.Outputs, ref.String())
	}
	for _, a := range d.Attachments() {
		s.Attachments = append(s.Attachments, shownFile{a.Name, a.SHA256})
	}
	return s
}

func printRunbook(w io.Writer, s shownRunbook) error {
	fmt.Fprintf(w, "%s\n", s.Name)
	if line := firstLine(s.Description); line != "" {
		fmt.Fprintf(w, "%s\n", line)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(s.Parameters) > 0 {
		fmt.Fprintf(t, "\nParameters\n")
	}
	for _, p := range s.Parameters {
		given := "required"
		if !p.Required {
			given = "default " + shortValue(p.Default)
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", p.Name, p.Type, given, shorten(p.Description, 70))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nSteps\n")
	for _, step := range s.Steps {
		fmt.Fprintf(t, "  %s%s\t%s\t%s\n", strings.Repeat("  ", s.places[step.Name]), step.Name, step.Action, shorten(step.Does, 70))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, a := range s.Attachments {
		fmt.Fprintf(w, "\nAttachment %s, sha256 %s\n", a.Name, a.SHA256)
	}
	fmt.Fprintln(w)
	wrapped(w, "Outputs: ", s.Outputs)
	wrapped(w, "IAM actions: ", s.Actions)
	wrapped(w, "What these steps need is not known: ", s.Unknown)
	return nil
}

func shortValue(v any) string {
	if v == nil || v == "" {
		return `""`
	}
	return shorten(fmt.Sprint(v), 40)
}

func shorten(s string, most int) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

func drawRunbook(w io.Writer, name, output, file string) error {
	draw := map[string]func(io.Writer, *runbook.Document, string) error{"text": graph.Text, "svg": graph.SVG}[output]
	if draw == nil {
		return knowngood.E(knowngood.Usage, "", "--output %s: expected text or svg", output)
	}
	d, _, err := readRunbook(name)
	if err != nil {
		return err
	}
	title := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(filepath.Base(name), ".yaml"), ".yml"), ".json")
	if file == "" {
		return draw(w, d, title)
	}
	var b strings.Builder
	if err := draw(&b, d, title); err != nil {
		return err
	}
	return writeWhole(file, []byte(b.String()))
}

// testRunbook runs the tests that are of one runbook.
func testRunbook(ctx context.Context, s Streams, o testOptions, name string, dirs []string) error {
	if _, _, err := readRunbook(name); err != nil {
		return err
	}
	base := strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	if _, err := fs.Stat(library.FS, path.Join("runbooks", name+".yaml")); err == nil {
		base = name // whose dots are part of it
	}
	if len(dirs) == 0 {
		dirs = []string{filepath.Dir(name)}
	}
	files, err := findTests(dirs)
	if err != nil {
		return err
	}
	o.of = func(f *trialFile, file string, t trial) bool {
		if strings.TrimSuffix(strings.TrimSuffix(filepath.Base(file), ".yaml"), ".yml") == base+".test" {
			return true
		}
		return slices.ContainsFunc(t.When, func(step trialStep) bool {
			if step.Run == "" {
				return false
			}
			same, err := filepath.Rel(filepath.Join(f.dir, step.Run), name)
			return step.Run == base || err == nil && same == "."
		})
	}
	return runTestFiles(ctx, s, o, files)
}
