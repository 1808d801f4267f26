package runbook

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"strings"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

// storeForm is a value of Parameter Store in a parameter's value or default:
// {{ ssm:name }}, {{ ssm:name:version }}, {{ resolve:ssm:name }}.
var storeForm = regexp.MustCompile(`^\s*\{\{\s*(?:resolve:)?(ssm|ssm-secure|secretsmanager):([^{}\s]+)\s*\}\}\s*$`)

// WithStore gives the parameters of a run with the values of Parameter Store that
// they name: those that are given as {{ ssm:name }}, and those that have such a
// default and are not given. get gives the value of a parameter of the store,
// text or a list of texts; its errors are returned with the parameter's name.
// BindParameters takes the result.
func (d *Document) WithStore(ctx context.Context, given knowngood.Params, get func(ctx context.Context, name string) (any, error)) (knowngood.Params, error) {
	var out knowngood.Params
	for _, p := range d.Parameters {
		v, ok := given[p.Name]
		reference, isText := v.(string)
		switch {
		case ok && v != nil && !isText:
			continue
		case !ok || v == nil:
			reference = p.store
		}
		m := storeForm.FindStringSubmatch(reference)
		if m == nil {
			continue
		}
		if m[1] != "ssm" {
			return nil, knowngood.E(knowngood.Invalid, "parameters of "+d.File, "the parameter %s: %s: a secret can't be referred to", p.Name, strings.TrimSpace(reference))
		}
		value, err := get(ctx, m[2])
		if err != nil {
			return nil, fmt.Errorf("the parameter %s, %s of Parameter Store: %w", p.Name, m[2], err)
		}
		if out == nil {
			out = maps.Clone(given)
			if out == nil {
				out = knowngood.Params{}
			}
		}
		out[p.Name] = value
	}
	if out == nil {
		return given, nil
	}
	return out, nil
}

// StoreValue reads a value of Parameter Store, as SSM's GetParameter answers. A
// SecureString is an error of kind Invalid.
func StoreValue(ctx context.Context, caller awsapi.Caller, name string, opts ...awsapi.CallOption) (any, error) {
	out, err := caller.Call(ctx, "ssm", "GetParameter", map[string]any{"Name": name}, opts...)
	if err != nil {
		return nil, err
	}
	parameter := object(out["Parameter"])
	value := text(parameter["Value"])
	switch parameter["Type"] {
	case "SecureString":
		return nil, knowngood.E(knowngood.Invalid, "", "it is a SecureString, which can't be referred to")
	case "StringList":
		list := []any{}
		for _, item := range strings.Split(value, ",") {
			list = append(list, item)
		}
		return list, nil
	}
	return value, nil
}
