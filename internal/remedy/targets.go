package remedy

import (
	"context"
	"slices"
	"strings"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
)

// targetReads narrows a role to the actions by which targets and accounts are found.
func targetReads() (Narrowing, error) {
	s := newSession(nil)
	for _, action := range []string{"tag:GetResources", "resource-groups:ListGroupResources", "ec2:DescribeInstances", "organizations:ListAccountsForParent", "organizations:ListOrganizationalUnitsForParent"} {
		s.actions[action] = map[string]bool{"*": true}
	}
	return s.narrowing()
}

// ReadsOf is a caller that makes reads.
func ReadsOf(catalog *awsapi.Catalog, read Reads) awsapi.Caller { return readCaller{catalog, read} }

type readCaller struct {
	catalog *awsapi.Catalog
	read    Reads
}

// Call implements awsapi.Caller, for reads.
func (c readCaller) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	op, err := c.catalog.Operation(service, operation)
	if err != nil {
		return nil, err
	}
	return c.read(ctx, op, in, opts...)
}

// ResolveTargets gives the values for a parameter that SSM's Targets stand for. Their
// keys are ParameterValues, tag:NAME, tag-key, ResourceGroup and InstanceIds, of which
// "*" is all; several narrow one another. Of resources that are found by tag or group
// those count that are of a type, as AWS Config names it, unless it is "". The value
// is a resource's ARN where the parameter's name ends in Arn, else its id.
func ResolveTargets(ctx context.Context, c awsapi.Caller, catalog *awsapi.Catalog, targets []any, resourceType, parameter string) ([]string, error) {
	var ids []string
	for i, v := range targets {
		t, _ := v.(map[string]any)
		key, _ := t["Key"].(string)
		found, err := resolveTarget(ctx, c, catalog, key, texts(t["Values"]), resourceType, parameter)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			ids = found
			continue
		}
		ids = slices.DeleteFunc(ids, func(id string) bool { return !slices.Contains(found, id) })
	}
	return ids, nil
}

func resolveTarget(ctx context.Context, c awsapi.Caller, catalog *awsapi.Catalog, key string, values []string, resourceType, parameter string) ([]string, error) {
	tag, byTag := strings.CutPrefix(key, "tag:")
	var arns []string
	var err error
	switch {
	case key == "ParameterValues", key == "InstanceIds" && !slices.Equal(values, []string{"*"}):
		return unique(values), nil
	case key == "InstanceIds":
		return allInstances(ctx, c, catalog)
	case byTag:
		filter := map[string]any{"Key": tag}
		if len(values) > 0 {
			filter["Values"] = anys(values)
		}
		arns, err = tagged(ctx, c, catalog, []any{filter})
	case key == "tag-key":
		for _, name := range values {
			var more []string
			if more, err = tagged(ctx, c, catalog, []any{map[string]any{"Key": name}}); err != nil {
				break
			}
			arns = append(arns, more...)
		}
	case key == "ResourceGroup":
		for _, group := range values {
			for page, failed := range awsapi.Pages(ctx, c, catalog, "resource-groups", "ListGroupResources", map[string]any{"Group": group}) {
				if failed != nil {
					return nil, knowngood.E(knowngood.Incomplete, "", "the resource group %s: %w", group, failed)
				}
				for _, m := range objects(page["ResourceIdentifiers"]) {
					arn, _ := m["ResourceArn"].(string)
					arns = append(arns, arn)
				}
			}
		}
	default:
		return nil, knowngood.E(knowngood.Invalid, "", "the target key %q is none of ParameterValues, tag:NAME, tag-key, ResourceGroup, InstanceIds", key)
	}
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, arn := range arns {
		if id, ok := targetOf(arn, resourceType); ok && strings.HasSuffix(parameter, "Arn") {
			ids = append(ids, arn)
		} else if ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

func tagged(ctx context.Context, c awsapi.Caller, catalog *awsapi.Catalog, filters []any) ([]string, error) {
	var arns []string
	for page, err := range awsapi.Pages(ctx, c, catalog, "resourcegroupstaggingapi", "GetResources", map[string]any{"TagFilters": filters}) {
		if err != nil {
			return nil, knowngood.E(knowngood.Incomplete, "", "find the targets by tag: %w", err)
		}
		for _, m := range objects(page["ResourceTagMappingList"]) {
			arn, _ := m["ResourceARN"].(string)
			arns = append(arns, arn)
		}
	}
	return arns, nil
}

func allInstances(ctx context.Context, c awsapi.Caller, catalog *awsapi.Catalog) ([]string, error) {
	var ids []string
	for page, err := range awsapi.Pages(ctx, c, catalog, "ec2", "DescribeInstances", nil) {
		if err != nil {
			return nil, knowngood.E(knowngood.Incomplete, "", "find the instances: %w", err)
		}
		for _, r := range objects(page["Reservations"]) {
			for _, i := range objects(r["Instances"]) {
				state, _ := i["State"].(map[string]any)
				if id, ok := i["InstanceId"].(string); ok && state["Name"] != "terminated" {
					ids = append(ids, id)
				}
			}
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// targetType is the type of the resources that a parameter of a runbook names; "": it
// may be any.
func targetType(book *Runbook, parameter string) string {
	if on := book.Entry.Resource; on != nil && on.Parameter == parameter {
		return on.Type
	}
	for _, p := range book.Document.Parameters {
		if p.Name == parameter {
			t := strings.TrimSuffix(strings.TrimPrefix(string(p.Type), "List<"), ">")
			if parts := strings.Split(t, "::"); len(parts) == 4 && parts[0] == "AWS" {
				return strings.Join(parts[:3], "::")
			}
		}
	}
	return ""
}

// otherWords are the types of ARNs that have another word than the resource type.
var otherWords = map[string]string{"rds:db": "dbinstance", "rds:cluster": "dbcluster", "rds:snapshot": "dbsnapshot", "cloudwatch:alarm": "alarm"}

// targetOf gives the id in an ARN, if it is of a type.
func targetOf(arn, resourceType string) (id string, ok bool) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 {
		return "", false
	}
	service, resource := parts[2], parts[5]
	word := ""
	id = resource
	if i := strings.IndexAny(resource, "/:"); i >= 0 {
		word, id = resource[:i], resource[i+1:]
	}
	if service == "iam" {
		id = id[strings.LastIndexByte(id, '/')+1:]
	}
	if resourceType == "" {
		return id, true
	}
	want := strings.Split(strings.ToLower(resourceType), "::")
	if other, ok := otherWords[service+":"+word]; ok {
		word = other
	}
	word = strings.ReplaceAll(strings.ToLower(word), "-", "")
	return id, len(want) == 3 && want[1] == service && (word == "" || word == want[2])
}

// ResolveAccounts gives the accounts of a target location: those that it names, and
// those of its organizational units, without the excluded ones.
func ResolveAccounts(ctx context.Context, c awsapi.Caller, catalog *awsapi.Catalog, l runbook.TargetLocation) ([]string, error) {
	var all, none []string
	for _, list := range []struct {
		from []string
		into *[]string
	}{{l.Accounts, &all}, {l.ExcludeAccounts, &none}} {
		for _, id := range list.from {
			if !strings.HasPrefix(id, "ou-") && !strings.HasPrefix(id, "r-") {
				*list.into = append(*list.into, id)
				continue
			}
			accounts, err := accountsOf(ctx, c, catalog, id, l.ChildUnits)
			if err != nil {
				return nil, knowngood.E(knowngood.Incomplete, "", "the accounts of %s: %w", id, err)
			}
			*list.into = append(*list.into, accounts...)
		}
	}
	return slices.DeleteFunc(unique(all), func(id string) bool { return slices.Contains(none, id) }), nil
}

func accountsOf(ctx context.Context, c awsapi.Caller, catalog *awsapi.Catalog, unit string, below bool) ([]string, error) {
	var out []string
	for page, err := range awsapi.Pages(ctx, c, catalog, "organizations", "ListAccountsForParent", map[string]any{"ParentId": unit}) {
		if err != nil {
			return nil, err
		}
		for _, a := range objects(page["Accounts"]) {
			if id, ok := a["Id"].(string); ok && a["Status"] != "SUSPENDED" {
				out = append(out, id)
			}
		}
	}
	if !below {
		return out, nil
	}
	for page, err := range awsapi.Pages(ctx, c, catalog, "organizations", "ListOrganizationalUnitsForParent", map[string]any{"ParentId": unit}) {
		if err != nil {
			return nil, err
		}
		for _, u := range objects(page["OrganizationalUnits"]) {
			id, _ := u["Id"].(string)
			more, err := accountsOf(ctx, c, catalog, id, true)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		}
	}
	return out, nil
}

// unique is a list without repetitions, in its order.
func unique(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func objects(v any) []map[string]any {
	list, _ := v.([]any)
	var out []map[string]any
	for _, e := range list {
		if m, ok := e.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

func texts(v any) []string {
	list, _ := plain(v).([]any)
	var out []string
	for _, e := range list {
		s, ok := e.(string)
		if !ok {
			s = text(e)
		}
		out = append(out, s)
	}
	return out
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}
