package runbook

import (
	"context"
	"encoding/json"
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

// StoredSecret is a parameter that is given as a reference to a secret.
type StoredSecret struct {
	Parameter string
	Store     string // ssm-secure or secretsmanager
	Name      string // in the store
	Reference string // as it is given
}

// StoredSecrets are the secrets that the parameters given refer to, as
// {{ resolve:ssm-secure:name }} or {{ resolve:secretsmanager:id }}, in the
// document's order. A document's own defaults are none: it may not ask for secrets.
func (d *Document) StoredSecrets(given knowngood.Params) []StoredSecret {
	var out []StoredSecret
	for _, p := range d.Parameters {
		reference, _ := given[p.Name].(string)
		if m := storeForm.FindStringSubmatch(reference); m != nil && m[1] != "ssm" {
			out = append(out, StoredSecret{p.Name, m[1], m[2], reference})
		}
	}
	return out
}

// Value reads the secret.
func (s StoredSecret) Value(ctx context.Context, caller awsapi.Caller, opts ...awsapi.CallOption) (string, error) {
	if s.Store == "secretsmanager" {
		return s.fromSecretsManager(ctx, caller, opts...)
	}
	out, err := caller.Call(ctx, "ssm", "GetParameter", map[string]any{"Name": s.Name, "WithDecryption": true}, opts...)
	if err != nil {
		return "", err
	}
	return text(object(out["Parameter"])["Value"]), nil
}

// fromSecretsManager reads a secret that is named as CloudFormation's dynamic
// references name them: id:SecretString:key:stage:version, where all but the id may
// be left out, and the key is one of an object of JSON.
func (s StoredSecret) fromSecretsManager(ctx context.Context, caller awsapi.Caller, opts ...awsapi.CallOption) (string, error) {
	parts := strings.Split(s.Name, ":")
	of := 1
	if strings.HasPrefix(s.Name, "arn:") {
		of = min(7, len(parts))
	}
	in := map[string]any{"SecretId": strings.Join(parts[:of], ":")}
	rest := append(parts[of:], "", "", "", "")
	if rest[0] != "" && rest[0] != "SecretString" {
		return "", knowngood.E(knowngood.Invalid, "", "%s: after the secret's id comes %q; expected SecretString", s.Name, rest[0])
	}
	if rest[2] != "" {
		in["VersionStage"] = rest[2]
	}
	if rest[3] != "" {
		in["VersionId"] = rest[3]
	}
	out, err := caller.Call(ctx, "secretsmanager", "GetSecretValue", in, opts...)
	if err != nil {
		return "", err
	}
	value, isText := out["SecretString"].(string)
	if !isText {
		return "", knowngood.E(knowngood.Invalid, "", "%s has no SecretString", s.Name)
	}
	if rest[1] == "" {
		return value, nil
	}
	var members map[string]any
	if json.Unmarshal([]byte(value), &members) != nil || members[rest[1]] == nil {
		return "", knowngood.E(knowngood.Invalid, "", "%s has no member %s", in["SecretId"], rest[1])
	}
	return text(members[rest[1]]), nil
}

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
		return nil, knowngood.E(knowngood.Invalid, "", "it is a SecureString, which is given as {{ resolve:ssm-secure:%s }}", name)
	case "StringList":
		list := []any{}
		for _, item := range strings.Split(value, ",") {
			list = append(list, item)
		}
		return list, nil
	}
	return value, nil
}
