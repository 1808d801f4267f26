package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/rule"
)

type runOptions struct {
	awsOptions
	attachmentOptions
	plan     bool
	out      string
	resource string
	fleet    fleetOptions
	secrets  secretOptions
}

func newRun(s Streams) *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run RUNBOOK PARAMETER=VALUE… --plan",
		Short: "Plan a runbook of the library, or of a file",
		Long: `Plans a runbook: every call that it would make, in order, without making a write.
RUNBOOK is the name of one in the library, or a file. The plan goes into a file
(-o) that "approve" and "apply" take. With --targets there is a plan for each
resource, and one file for all: "apply" works on --max-concurrency of them at once,
and begins no more once more than --max-errors have failed.`,
		Args: takes(cobra.MinimumNArgs(1), "a runbook's name or file, and its parameters"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(o.fleet.targets) > 0 && o.plan {
				return planFleet(cmd.Context(), s, o, args[0], args[1:])
			}
			return planRun(cmd.Context(), s, o, args[0], args[1:])
		},
	}
	o.awsOptions.register(cmd)
	o.attachmentOptions.register(cmd)
	o.fleet.register(cmd)
	o.secrets.register(cmd)
	cmd.Flags().BoolVar(&o.plan, "plan", false, "plan, and do nothing")
	cmd.Flags().StringVarP(&o.out, "output-file", "o", "plan.json", "file that the plan is written to")
	cmd.Flags().StringVar(&o.resource, "resource", "", "id of the resource that is acted on; default: the parameter that the library says, or the first")
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
	secrets, err := o.secrets.read()
	if err != nil {
		return err
	}
	ses, err := o.openWith(ctx, o.attachmentOptions)
	if err != nil {
		return err
	}
	defer ses.store.Close()
	book, err := ses.content.Runbook(name)
	if err != nil {
		return err
	}
	resource := knowngood.ResourceKey{Account: ses.place.Account, Region: ses.place.Region, ID: o.resource}
	if on := book.Entry.Resource; on != nil {
		id, _ := params[on.Parameter].(string)
		if o.resource != "" && o.resource != id {
			return knowngood.E(knowngood.Usage, "run "+name, "--resource %s: the runbook acts on what its parameter %s names", o.resource, on.Parameter)
		}
		resource.Type, resource.ID = on.Type, id
	}
	if resource.ID == "" {
		resource.ID = first
	}
	r := ses.remediator(&governance{rules: &rule.Set{}}, nil)
	r.Secrets = secrets
	plan, err := r.Plan(ctx, ses.place, book, params, resource, nil)
	if err != nil {
		return err
	}
	return deliverPlan(s, plan, o.out, outputTable)
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

// runID is the form of what newRunID gives.
var runID = regexp.MustCompile(`^run-[0-9a-f]{16}$`)

func newRunID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, by its documentation
	return "run-" + hex.EncodeToString(b[:])
}
