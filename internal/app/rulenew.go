package app

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/inventory"
	"github.com/knowngood/knowngood/internal/rule"
	"github.com/knowngood/knowngood/library"
)

// newRuleOptions are what is known of a rule that is to be written.
type newRuleOptions struct {
	folder, name, severity, trigger string
	managed                         bool
	types, parameters               []string
}

func newRuleNew(s Streams) *cobra.Command {
	var o newRuleOptions
	cmd := &cobra.Command{
		Use: "new IDENTIFIER", Short: "Scaffold a rule with its tests",
		Long: `Writes FOLDER/rules/IDENTIFIER.yaml: a rule whose predicate is still to be
written, and tests for every verdict, which fail until it is. With --governance
FOLDER, scan then evaluates it.`,
		Args: takes(cobra.ExactArgs(1), "an identifier such as VOLUME_HAS_OWNER"),
		RunE: func(_ *cobra.Command, args []string) error { return scaffold(s, o, args[0]) },
	}
	cmd.Flags().StringVar(&o.folder, "governance", ".", "folder of the governance")
	cmd.Flags().StringArrayVar(&o.types, "type", nil, "resource type that it looks at, such as AWS::EC2::Volume")
	cmd.Flags().StringVar(&o.name, "name", "", "its name; default: the identifier in lower case, with hyphens")
	cmd.Flags().StringVar(&o.severity, "severity", string(knowngood.Medium), "INFORMATIONAL, LOW, MEDIUM, HIGH or CRITICAL")
	cmd.Flags().StringVar(&o.trigger, "trigger", string(rule.OnChange), "change, periodic or hybrid")
	cmd.Flags().StringArrayVar(&o.parameters, "parameter", nil, "a parameter as NAME:TYPE, NAME:TYPE=DEFAULT, or NAME:TYPE? for one that may be left out; types: string, int, double, boolean, csv")
	cmd.Flags().BoolVar(&o.managed, "managed", false, "it is a managed rule of AWS's, not one of your own")
	return cmd
}

var ruleParameterForm = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9_]*):(string|int|double|boolean|csv)(=[^\n]*)?(\?)?$`)

// scaffold writes the file.
func scaffold(s Streams, o newRuleOptions, identifier string) error {
	identifier = strings.ToUpper(strings.ReplaceAll(identifier, "-", "_"))
	if o.name == "" {
		o.name = strings.ToLower(strings.ReplaceAll(identifier, "_", "-"))
	}
	if len(o.types) == 0 && onTerminal(s.In) {
		fmt.Fprint(s.Err, "Resource type, such as AWS::EC2::Volume: ")
		line, err := bufio.NewReader(s.In).ReadString('\n')
		if err != nil {
			return knowngood.E(knowngood.Usage, "scaffold the rule", "no resource type was given").WithHint("--type AWS::EC2::Volume")
		}
		o.types = strings.Fields(line)
	}
	if len(o.types) == 0 {
		return knowngood.E(knowngood.Usage, "scaffold the rule", "which resources does %s look at?", identifier).WithHint("--type AWS::EC2::Volume")
	}
	text, err := o.text(identifier)
	if err != nil {
		return err
	}
	folder := filepath.Join(o.folder, ruleFolder)
	file := filepath.Join(folder, strings.ToLower(strings.ReplaceAll(identifier, "_", "-"))+".yaml")
	// What is written must load: a wrong flag is told, not written.
	if _, err := rule.Parse(file, []byte(text)); err != nil {
		return (&knowngood.Error{Kind: knowngood.Usage, Op: "scaffold the rule", Err: err}).WithHint("knowngood rule new --help")
	}
	lib, err := rule.Load(library.FS)
	if err != nil {
		return err
	}
	for _, taken := range []string{identifier, o.name} {
		if d, ok := lib.Rule(taken); ok {
			return knowngood.E(knowngood.Invalid, "scaffold the rule", "knowngood has a rule %s, %s", d.Identifier, d.Name).WithHint("knowngood rule show %s", d.Identifier)
		}
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return &knowngood.Error{Op: "scaffold the rule", Err: err}
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return knowngood.E(knowngood.Invalid, "scaffold the rule", "%s is there already", file).WithHint("edit it, or choose another identifier")
	}
	if err != nil {
		return &knowngood.Error{Op: "scaffold the rule", Err: err}
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return &knowngood.Error{Op: "scaffold the rule", Err: err}
	}
	fmt.Fprintln(s.Out, file)
	fmt.Fprintf(s.Err, "next: write its predicate, until `knowngood test %s` passes\n", file)
	return nil
}

// text is the file.
func (o newRuleOptions) text(identifier string) (string, error) {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("identifier: %s", identifier)
	line("name: %s", o.name)
	line("title: What is wrong with a resource that breaks it")
	line("description: What holds of a resource that keeps it.")
	if !o.managed {
		line("own: true")
	}
	line("severity: %s", o.severity)
	line("trigger: %s", o.trigger)
	if o.managed {
		line("source: https://docs.aws.amazon.com/config/latest/developerguide/%s.html", o.name)
	}
	line("resourceTypes: [%s]", strings.Join(o.types, ", "))
	if len(o.parameters) > 0 {
		line("parameters:")
	}
	given := map[string]bool{}
	for _, p := range o.parameters {
		m := ruleParameterForm.FindStringSubmatch(p)
		if m == nil {
			return "", knowngood.E(knowngood.Usage, "scaffold the rule", "--parameter %s", p).WithHint("NAME:TYPE, NAME:TYPE=DEFAULT or NAME:TYPE?, with the types string, int, double, boolean and csv")
		}
		line("  - name: %s\n    type: %s\n    description: What it is for.", m[1], m[2])
		switch {
		case m[3] != "":
			line("    default: %q", strings.TrimPrefix(m[3], "="))
		case m[4] != "":
			line("    optional: true")
		default:
			given[m[1]+": "+exampleOf[m[2]]] = true
		}
	}
	if members := membersOf(o.types[0]); len(members) > 0 {
		line("# A scan reads, among others:")
		for _, m := range members {
			line("#   resource.%s", m)
		}
	}
	line("# The predicate, in CEL; docs/rules.md has the language and its functions. Say with")
	line("# has() what absence means, and put what excludes a resource under applies.")
	line("compliant: 'false'")
	params := ""
	if len(given) > 0 {
		var list []string
		for p := range given {
			list = append(list, p)
		}
		slices.Sort(list)
		params = "\n    parameters: {" + strings.Join(list, ", ") + "}"
	}
	line("tests:")
	for _, t := range []struct{ name, item, expect string }{
		{"it is as it should be", "{configuration: {member: good}}", "COMPLIANT"},
		{"it is not", "{configuration: {member: bad}}", "NON_COMPLIANT"},
		{"the resource is deleted", "{configurationItemStatus: ResourceDeleted}", "NOT_APPLICABLE"},
		{"the member is missing", "{configuration: {}}", "COMPLIANT"},
		{"the member is null", "{configuration: {member: null}}", "COMPLIANT"},
		{"the member is empty", "{configuration: {member: ''}}", "NON_COMPLIANT"},
		{"the member could not be read", "{unread: [configuration.member]}", "INSUFFICIENT_DATA"},
	} {
		line("  - name: %s%s\n    item: %s\n    expect: %s", t.name, params, t.item, t.expect)
	}
	return b.String(), nil
}

// exampleOf are values of parameters in a scaffold's tests, by type.
var exampleOf = map[string]string{"string": "'text'", "int": "'1'", "double": "'1.5'", "boolean": "'true'", "csv": "'a, b'"}

// membersOf are the first members that a scan reads of a type, none where it does
// not know the type.
func membersOf(resourceType string) []string {
	models, err := catalog()
	if err != nil {
		return nil
	}
	table, err := inventory.LoadTypes(library.FS, models)
	if err != nil {
		return nil
	}
	t, ok := table.Type(resourceType)
	if !ok {
		return nil
	}
	members := t.Emits()
	return members[:min(len(members), 25)]
}
