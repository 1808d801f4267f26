package app

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/remedy"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/library"
)

type runOptions struct {
	awsOptions
	plan     bool
	out      string
	resource string
}

func newRun(s Streams) *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run RUNBOOK PARAMETER=VALUE… --plan",
		Short: "Plan a runbook of the library, or of a file",
		Long: `Plans a runbook: every call that it would make, in order, without making a write.
RUNBOOK is the name of one in the library, or a file. The plan goes into a file
(-o) that "approve" and "apply" take.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return planRun(cmd.Context(), s, o, args[0], args[1:]) },
	}
	o.register(cmd)
	cmd.Flags().BoolVar(&o.plan, "plan", false, "plan, and do nothing")
	cmd.Flags().StringVarP(&o.out, "output-file", "o", "plan.json", "file that the plan is written to")
	cmd.Flags().StringVar(&o.resource, "resource", "", "id of the resource that is acted on; default: the value of the first parameter")
	return cmd
}

func planRun(ctx context.Context, s Streams, o runOptions, name string, args []string) error {
	if !o.plan {
		return knowngood.E(knowngood.Usage, "run "+name, "a runbook is run by its plan").WithHint("add --plan, then `knowngood apply %s`", o.out)
	}
	params, first, err := parseParams(args)
	if err != nil {
		return err
	}
	if o.resource == "" {
		o.resource = first
	}
	d, ref, err := readRunbook(name)
	if err != nil {
		return err
	}
	ses, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer ses.store.Close()
	if problems := d.Validate(ses.catalog); len(problems) > 0 {
		return &knowngood.Error{Kind: knowngood.Invalid, Op: "validate " + name, Err: problems[0]}
	}
	entries, err := fs.Sub(library.FS, "entries")
	if err != nil {
		return err
	}
	entry, err := remedy.LoadEntry(entries, ref.Name)
	if err != nil {
		return err
	}
	bound, err := d.BindParameters(params)
	if err != nil {
		return err
	}
	role, err := d.Role(bound, ses.place)
	if err != nil {
		return err
	}
	caller := ses.as(role, "plan")
	p := &remedy.Planner{Catalog: ses.catalog, Operations: ses.operations, Read: func(ctx context.Context, op *awsapi.Operation, in map[string]any) (map[string]any, error) {
		return caller.Call(ctx, op.Service.Name, op.Name, in)
	}}
	plan, err := p.Plan(ctx, remedy.PlanRequest{
		RunID: newRunID(), Created: time.Now().UTC().Truncate(time.Second), Document: d, Ref: ref, Parameters: params, Place: ses.place, Role: role,
		Resource:  knowngood.ResourceKey{Account: ses.place.Account, Region: ses.place.Region, ID: o.resource},
		Sensitive: entry.SensitiveReads, Replacement: entry.Replacement,
	})
	if err != nil {
		return err
	}
	if err := ses.store.PutPlan(ctx, plan); err != nil {
		return err
	}
	raw, err := remedy.EncodePlan(plan)
	if err != nil {
		return err
	}
	if err := os.WriteFile(o.out, raw, 0o600); err != nil {
		return err
	}
	printPlan(s, plan, o.out)
	return nil
}

// as is the client with a role's credentials; the empty role is the caller.
func (s *session) as(role, purpose string) awsapi.Caller {
	if role == "" {
		return s.client
	}
	return s.client.AssumeRole(role, "knowngood-"+purpose, "", "")
}

// parseParams reads PARAMETER=VALUE arguments.
func parseParams(args []string) (params knowngood.Params, first string, err error) {
	params = knowngood.Params{}
	for i, a := range args {
		k, v, ok := strings.Cut(a, "=")
		if !ok || k == "" {
			return nil, "", knowngood.E(knowngood.Usage, "", "%q is not PARAMETER=VALUE", a)
		}
		params[k] = v
		if i == 0 {
			first = v
		}
	}
	return params, first, nil
}

// readRunbook finds a runbook in the library by name, else in a file.
func readRunbook(name string) (*runbook.Document, knowngood.DocumentRef, error) {
	raw, err := fs.ReadFile(library.FS, path.Join("runbooks", name+".yaml"))
	if err != nil {
		if raw, err = os.ReadFile(name); err != nil {
			return nil, knowngood.DocumentRef{}, knowngood.E(knowngood.Invalid, "read the runbook", "%s is neither in the library nor a file that can be read: %w", name, err)
		}
	}
	d, err := runbook.Parse(name, raw)
	if err != nil {
		return nil, knowngood.DocumentRef{}, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the runbook", Err: err}
	}
	sum := sha256.Sum256(raw)
	return d, knowngood.DocumentRef{Name: name, SHA256: hex.EncodeToString(sum[:]), Content: string(raw)}, nil
}

func newRunID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, by its documentation
	return "run-" + hex.EncodeToString(b[:])
}

func printPlan(s Streams, p *knowngood.Plan, file string) {
	fmt.Fprintf(s.Out, "Plan %s of %s for %s\n", p.Hash[:12], p.Document.Name, p.Resource.ID)
	fmt.Fprintf(s.Out, "Account %s, %s. Effect: %s\n\n", p.Place.Account, p.Place.Region, p.Risk.Effect)
	for i, c := range p.Parts[0].Calls {
		effect := ""
		if c.Class == knowngood.Write {
			effect = string(c.Effect)
		}
		fmt.Fprintf(s.Out, "%4d  %-14s %-45s %-26s %s\n", i+1, c.Class, c.Service+":"+c.Operation, c.Step, effect)
	}
	for _, part := range p.Parts[1:] {
		writes := 0
		for _, c := range part.Calls {
			if c.Class == knowngood.Write {
				writes++
			}
		}
		fmt.Fprintf(s.Out, "\nOnly if something fails, %s: up to %d calls, %d writes, when any of %d things happens\n", part.Name, len(part.Calls), writes, len(part.When))
	}
	fmt.Fprintf(s.Out, "\nIAM actions: %s\n", strings.Join(p.Actions, ", "))
	if why := remedy.NeedsApproval(p); why != "" {
		fmt.Fprintf(s.Err, "%s needs an approval, for %s: knowngood approve %s\n", file, why, file)
		return
	}
	fmt.Fprintf(s.Err, "written to %s: knowngood apply %s\n", file, file)
}
