package inventory

import (
	"math"
	"strings"

	"github.com/knowngood/knowngood/internal/planned"
)

// Paths lead through an answer's members, as Placement.AvailabilityZone. A
// member with [] passes its list's elements on: Reservations[].Instances gives
// the instances of all reservations. "." is the value itself. What is not known
// of a plan has members that aren't known either.

// at is the value at a path; nil where there is none.
func at(v any, path string) any {
	if path == "" || path == "." {
		return v
	}
	if unknown, ok := v.(planned.Unknown); ok {
		return unknown
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	name, rest, _ := strings.Cut(path, ".")
	if key, first := strings.CutSuffix(name, "[0]"); first { // a block of Terraform, which is a list of one
		list, ok := m[key].([]any)
		if !ok {
			return at(m[key], rest)
		}
		if len(list) == 0 {
			return nil
		}
		return at(list[0], rest)
	}
	key, each := strings.CutSuffix(name, "[]")
	if unknown, ok := m[key].(planned.Unknown); ok {
		return unknown
	}
	if !each {
		return at(m[key], rest)
	}
	list, ok := m[key].([]any)
	if !ok {
		return nil
	}
	if rest == "" {
		return list
	}
	out := []any{}
	for _, e := range list {
		switch r := at(e, rest).(type) {
		case nil:
		case []any:
			out = append(out, r...)
		default:
			out = append(out, r)
		}
	}
	return out
}

// elements is the value at a path as a list; what is no list counts as one.
func elements(v any, path string) []any {
	switch v := at(v, path).(type) {
	case nil:
		return nil
	case []any:
		return v
	default:
		return []any{v}
	}
}

// Templates are texts with paths in braces, as
// arn:{partition}:ec2:{region}:{account}:volume/{VolumeId}. Names of variables
// go before paths.

// variables are the names that a template may use beside the answer's paths.
var variables = []string{"partition", "account", "region", "id", "idEnd"}

// setID sets what variables say of a resource's id. Behind its last / or : an id
// that is an ARN often has the name that a read asks for.
func setID(vars map[string]string, id string) {
	vars["id"], vars["idEnd"] = id, id[strings.LastIndexAny(id, "/:")+1:]
}

// placeholders are what a template has in braces.
func placeholders(tmpl string) []string {
	var out []string
	for {
		_, rest, ok := strings.Cut(tmpl, "{")
		if !ok {
			return out
		}
		name, after, ok := strings.Cut(rest, "}")
		if !ok {
			return out
		}
		out = append(out, name)
		tmpl = after
	}
}

// fill replaces a template's placeholders; false where one is not there, or is
// no text.
func fill(tmpl string, vars map[string]string, element any) (string, bool) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(tmpl, "{")
		b.WriteString(before)
		if !found {
			return b.String(), true
		}
		name, after, found := strings.Cut(rest, "}")
		if !found {
			b.WriteString("{" + rest)
			return b.String(), true
		}
		text, ok := vars[name]
		if !ok {
			if text, ok = at(element, name).(string); !ok {
				return "", false
			}
		}
		b.WriteString(text)
		tmpl = after
	}
}

// input fills the templates of a call's input.
func input(in map[string]any, vars map[string]string, element any) map[string]any {
	out, _ := filled(in, vars, element).(map[string]any)
	return out
}

// filled fills the templates in a value. A text with a placeholder that is not
// there is left out, so that the call fails on it where it needs it.
func filled(in any, vars map[string]string, element any) any {
	switch in := in.(type) {
	case string:
		if s, ok := fill(in, vars, element); ok {
			return s
		}
		return nil
	case []any:
		out := make([]any, 0, len(in))
		for _, e := range in {
			if v := filled(e, vars, element); v != nil {
				out = append(out, v)
			}
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(in))
		for k, e := range in {
			if v := filled(e, vars, element); v != nil {
				out[k] = v
			}
		}
		return out
	}
	return integer(in)
}

// integer makes of YAML's unsigned numbers what calls and items have.
func integer(v any) any {
	if n, ok := v.(uint64); ok && n <= math.MaxInt64 {
		return int64(n)
	}
	return v
}
