package app

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

// modelsVariable names a model pack to use in place of the one that is built in
// or was brought by `models update`.
const modelsVariable = "KNOWNGOOD_MODELS"

// modelsFile is where `models update` puts a pack.
func modelsFile() (string, error) {
	if file := os.Getenv(modelsVariable); file != "" {
		return file, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "knowngood", "models.pack"), nil
}

// catalog gives the API models: the pack that the user brought, else the one
// that is built in.
func catalog() (*awsapi.Catalog, error) {
	file, err := modelsFile()
	if err != nil {
		return awsapi.Embedded() // no home, no pack of one's own
	}
	raw, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist) && os.Getenv(modelsVariable) == "":
		return awsapi.Embedded()
	case err != nil:
		return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the API models", Err: err}
	}
	c, err := awsapi.OpenPack(raw)
	if err != nil {
		return nil, (&knowngood.Error{Kind: knowngood.Invalid, Op: "read the API models", Err: fmt.Errorf("%s: %w", file, err)}).WithHint("knowngood models update --built-in")
	}
	return c, nil
}

func newModels(s Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use: "models", Short: "What is known of AWS's APIs", Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	list := &cobra.Command{
		Use: "list", Short: "List the services", Args: noArgs(),
		RunE: func(*cobra.Command, []string) error { return listModels(s.Out) },
	}
	show := &cobra.Command{
		Use: "show SERVICE [OPERATION]", Short: "Show a service's operations, or an operation's input and output", Args: takes(cobra.RangeArgs(1, 2), "a service, and perhaps an operation"),
		RunE: func(_ *cobra.Command, args []string) error { return showModel(s.Out, args) },
	}
	var builtIn bool
	update := &cobra.Command{
		Use: "update DIR", Short: "Use the API models of an installed botocore: DIR is the folder of the Python package",
		Args: takes(cobra.MaximumNArgs(1), "a folder"),
		RunE: func(_ *cobra.Command, args []string) error { return updateModels(s.Out, args, builtIn) },
	}
	update.Flags().BoolVar(&builtIn, "built-in", false, "go back to the models that are built in")
	cmd.AddCommand(list, show, update)
	return cmd
}

func listModels(w io.Writer) error {
	c, err := catalog()
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SERVICE\tPROTOCOL\tAPI VERSION\tOPERATIONS\tNAME")
	for _, name := range c.Services() {
		svc, err := c.Service(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", name, svc.Protocol, svc.APIVersion, len(svc.Operations()), svc.FullName)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	m := c.Manifest()
	_, err = fmt.Fprintf(w, "%d services, %d operations; models of botocore %s\n", m.Services, m.Operations, m.Botocore)
	return err
}

func showModel(w io.Writer, args []string) error {
	c, err := catalog()
	if err != nil {
		return err
	}
	svc, err := c.Service(args[0])
	if err != nil {
		return &knowngood.Error{Kind: knowngood.Usage, Op: "show " + args[0], Err: err}
	}
	if len(args) == 2 {
		op, err := svc.Operation(args[1])
		if err != nil {
			return &knowngood.Error{Kind: knowngood.Usage, Op: "show " + strings.Join(args, " "), Err: err}
		}
		showOperation(w, op)
		return nil
	}
	fmt.Fprintf(w, "%s: %s, API version %s, protocol %s, signed as %s\n", svc.Name, svc.FullName, svc.APIVersion, svc.Protocol, svc.SigningName)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, name := range svc.Operations() {
		op, err := svc.Operation(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\n", name, op.Class(), strings.Join(op.IAMActions(nil), ", "))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	wrapped(w, "waiters: ", svc.Waiters())
	return nil
}

func showOperation(w io.Writer, op *awsapi.Operation) {
	fmt.Fprintf(w, "%s %s: %s %s\n", op.Service.Name, op.Name, op.Method, cmp.Or(op.URI, "/"))
	fmt.Fprintf(w, "class %s; IAM %s\n", op.Class(), strings.Join(op.IAMActions(nil), ", "))
	wrapped(w, "may also need: ", op.DependentActions())
	if op.EventStream() {
		fmt.Fprintln(w, "an event-stream operation: its calls are refused")
	}
	if p, ok := op.Service.Paginator(op.Name); ok {
		fmt.Fprintf(w, "comes in pages: %s\n", strings.Join(p.ResultKey, ", "))
	}
	if member, ok := op.IdempotencyToken(); ok {
		fmt.Fprintf(w, "client token: %s\n", member)
	}
	for _, part := range []struct {
		name  string
		shape *awsapi.Shape
	}{{"input", op.Input}, {"output", op.Output}} {
		fmt.Fprintf(w, "\n%s\n", part.name)
		if part.shape == nil || len(part.shape.Members) == 0 {
			fmt.Fprintln(w, "  nothing")
			continue
		}
		showMembers(w, part.shape, "  ", map[*awsapi.Shape]bool{})
	}
	if len(op.Errors) > 0 {
		codes := make([]string, len(op.Errors))
		for i, e := range op.Errors {
			codes[i] = e.ErrorCode()
		}
		fmt.Fprintln(w)
		wrapped(w, "errors: ", codes)
	}
}

// showMembers shows a structure's members, each shape whole only where it is not
// inside itself.
func showMembers(w io.Writer, s *awsapi.Shape, indent string, within map[*awsapi.Shape]bool) {
	if within[s] {
		fmt.Fprintf(w, "%s… as above\n", indent)
		return
	}
	within[s] = true
	defer delete(within, s)
	for i := range s.Members {
		m := &s.Members[i]
		required := ""
		if m.Is(awsapi.Required) {
			required = ", required"
		}
		fmt.Fprintf(w, "%s%s  %s%s\n", indent, m.Name, typeOf(m.Shape), required)
		if inner := structureOf(m.Shape); inner != nil {
			showMembers(w, inner, indent+"  ", within)
		}
	}
}

// structureOf is the structure that a shape is, or that is its elements.
func structureOf(s *awsapi.Shape) *awsapi.Shape {
	for s != nil && (s.Type == awsapi.List || s.Type == awsapi.Map) {
		s = s.Elem.Shape
	}
	if s != nil && s.Type == awsapi.Structure && len(s.Members) > 0 {
		return s
	}
	return nil
}

func typeOf(s *awsapi.Shape) string {
	switch s.Type {
	case awsapi.List:
		return "list of " + typeOf(s.Elem.Shape)
	case awsapi.Map:
		return "map of " + typeOf(s.Elem.Shape)
	}
	out := s.Type.String()
	if s.Is(awsapi.Document) {
		out = "any JSON"
	}
	if len(s.Enum) > 0 {
		const most = 8
		values := s.Enum
		more := ""
		if len(values) > most {
			values, more = values[:most], fmt.Sprintf(" and %d more", len(s.Enum)-most)
		}
		out += ": " + strings.Join(values, " | ") + more
	}
	switch {
	case s.Is(awsapi.HasMin | awsapi.HasMax):
		out += fmt.Sprintf(" (%v to %v)", s.Min, s.Max)
	case s.Is(awsapi.HasMin):
		out += fmt.Sprintf(" (at least %v)", s.Min)
	case s.Is(awsapi.HasMax):
		out += fmt.Sprintf(" (at most %v)", s.Max)
	}
	if s.Is(awsapi.Sensitive) {
		out += " (sensitive)"
	}
	return out
}

func updateModels(w io.Writer, args []string, builtIn bool) error {
	file, err := modelsFile()
	if err != nil {
		return err
	}
	if builtIn {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		c, err := awsapi.Embedded()
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "the models of botocore %s, which are built in, are used\n", c.Manifest().Botocore)
		return nil
	}
	if len(args) == 0 {
		return knowngood.E(knowngood.Usage, "update the API models", "no folder is given").
			WithHint(`knowngood models update "$(python3 -c 'import botocore, os; print(os.path.dirname(botocore.__file__))')"`)
	}
	raw, m, err := awsapi.CompilePack(os.DirFS(args[0]))
	if err != nil {
		return (&knowngood.Error{Kind: knowngood.Invalid, Op: "update the API models from " + args[0], Err: err}).WithHint("DIR is the folder of the Python package botocore, which holds data/ and __init__.py")
	}
	if err := writeWhole(file, raw); err != nil {
		return err
	}
	fmt.Fprintf(w, "the models of botocore %s are used from now on: %d services, %d operations (%s)\n", m.Botocore, m.Services, m.Operations, file)
	return nil
}

// writeWhole writes a file such that it is there whole or not at all.
func writeWhole(file string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) //nolint:errcheck // gone when it was renamed
	_, err = tmp.Write(data)
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}
