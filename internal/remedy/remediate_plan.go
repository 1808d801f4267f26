package remedy

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
)

// Plan plans a runbook. With a finding, the plan is for it and its rule.
func (r *Remediator) Plan(ctx context.Context, place knowngood.Place, book *Runbook, params knowngood.Params, resource knowngood.ResourceKey, f *knowngood.Finding) (*knowngood.Plan, error) {
	if problems := book.Document.Validate(r.Catalog); len(problems) > 0 {
		all := make([]error, len(problems))
		for i, p := range problems {
			all[i] = p
		}
		return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "validate " + book.Ref.Name, Err: errors.Join(all...)}
	}
	params = withGiven(params, r.Secrets)
	// The role may hang on what Parameter Store has, so that is read without it; what
	// is secret is read with it.
	stored := book.Document.StoredSecrets(params)
	given, err := book.Document.WithStore(ctx, blank(params, stored), func(ctx context.Context, name string) (any, error) {
		return runbook.StoreValue(ctx, r.As(nil, "plan", Narrowing{}), name, awsapi.Region(place.Region))
	})
	if err != nil {
		return nil, err
	}
	bound := withDefaults(book.Document, given)
	if len(stored) == 0 {
		if bound, err = book.Document.BindParameters(given); err != nil {
			return nil, err
		}
	}
	params = cloneParams(given)
	for _, s := range stored {
		params[s.Parameter] = s.Reference
	}
	role, err := book.Document.Role(bound, place)
	if err != nil {
		return nil, err
	}
	if account := accountOf(role); role != "" && account != place.Account {
		return nil, knowngood.E(knowngood.Refused, "plan "+book.Ref.Name, "the role %s is of the account %s, the plan is for %s", role, account, place.Account).
			WithHint("a runbook acts where its role is; give a role of %s", place.Account)
	}
	key, err := r.Records.DigestKey(ctx)
	if err != nil {
		return nil, err
	}
	planner := &Planner{Catalog: r.Catalog, Operations: r.Content.Operations, DigestKey: key, Scripts: r.Effects.Scripts}
	if planner.Read, err = r.reader(book, params, place, rolesOf(nil, role)); err != nil {
		return nil, err
	}
	files, refs, err := r.filesOf(ctx, book)
	if err != nil {
		return nil, err
	}
	executed := map[string][]byte{} // files of what the plan executes, by hash
	if r.Family != nil {
		planner.Automations = &Executable{Reader: r.reader, Files: func(ctx context.Context, book *Runbook) (map[string][]byte, []knowngood.AttachmentRef, error) {
			files, refs, err := r.filesOf(ctx, book)
			for _, a := range refs {
				executed[a.SHA256] = files[a.Name]
			}
			return files, refs, err
		}, Runbook: func(ctx context.Context, by, name, version string) (*Runbook, error) {
			return r.Content.Executed(ctx, by, name, version, r.documents(place))
		}}
	}
	req := PlanRequest{
		RunID: r.NewID(), Created: r.Clock.Now().UTC().Truncate(time.Second), Document: book.Document, Ref: book.Ref, Entry: book.Entry,
		Parameters: params, Secrets: slices.Sorted(maps.Keys(r.Secrets)), Place: place, Role: role, Resource: resource, Files: files,
	}
	req.Ref.Attachments = refs
	if f != nil {
		req.Finding, req.Rule = f.ID, f.Rule
	}
	plan, err := planner.Plan(ctx, req)
	if err != nil {
		return nil, err
	}
	if _, err := toPlan(plan, r.Catalog, r.Content.Operations); err != nil { // a plan that no run could carry out
		return nil, err
	}
	if err := errors.Join(r.keepAttachments(ctx, plan, files), r.keepChildren(ctx, plan, executed)); err != nil {
		return nil, err
	}
	return plan, r.Records.PutPlan(ctx, plan)
}

// reader gives the live reads of a runbook, or without one those that find targets.
func (r *Remediator) reader(book *Runbook, params knowngood.Params, place knowngood.Place, roles []string) (Reads, error) {
	narrowed, err := targetReads()
	if book != nil {
		narrowed, err = toReads(book, params, r.Catalog, place.Partition)
	}
	if err != nil {
		return nil, err
	}
	caller := r.As(roles, "plan", narrowed)
	return func(ctx context.Context, op *awsapi.Operation, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
		return caller.Call(ctx, op.Service.Name, op.Name, in, append([]awsapi.CallOption{awsapi.Region(place.Region)}, opts...)...)
	}, nil
}

// documents reads a document of the account's, or one of AWS's own.
func (r *Remediator) documents(place knowngood.Place) func(ctx context.Context, name, version string) (map[string]any, error) {
	return func(ctx context.Context, name, version string) (map[string]any, error) {
		in := map[string]any{"Name": name}
		if version != "" {
			in["DocumentVersion"] = version
		}
		return r.As(nil, "plan", Narrowing{}).Call(ctx, "ssm", "GetDocument", in, awsapi.Region(place.Region))
	}
}

// rolesOf are the roles of a plan, in the order in which they are assumed.
func rolesOf(via []string, role string) []string {
	if role == "" {
		return via
	}
	return append(slices.Clip(via), role)
}

// accountOf is the account in an ARN.
func accountOf(arn string) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
		return parts[4]
	}
	return ""
}
