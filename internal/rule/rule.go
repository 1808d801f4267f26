package rule

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
)

// maxAnnotation is AWS Config's limit, in characters.
const maxAnnotation = 256

// Rule is a definition with its parameters bound. It is safe for concurrent use.
type Rule struct {
	Definition *Definition
	params     map[string]any
	engine     *engine // for this rule alone
}

// value is a parameter's text as what CEL sees.
func (p Parameter) value(text string) (any, error) {
	if len(p.Allowed) > 0 && !slices.Contains(p.Allowed, text) {
		return nil, fmt.Errorf("%q is not one of %s", text, strings.Join(p.Allowed, ", "))
	}
	switch p.Type {
	case Int:
		i, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no whole number", text)
		}
		return i, p.within(float64(i))
	case Double:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no number", text)
		}
		return f, p.within(f)
	case Boolean:
		switch strings.ToLower(text) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, fmt.Errorf("%q is neither true nor false", text)
	case CSV:
		list := []string{}
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		return list, nil
	}
	return text, nil
}

func (p Parameter) within(v float64) error {
	switch {
	case p.Min != nil && v < *p.Min:
		return fmt.Errorf("%v is below %v", v, *p.Min)
	case p.Max != nil && v > *p.Max:
		return fmt.Errorf("%v is above %v", v, *p.Max)
	}
	return nil
}

// Compile binds a rule's parameters. The error, of kind knowngood.Invalid, says
// every one that is unknown, missing or of the wrong type.
func Compile(d *Definition, params map[string]string) (*Rule, error) {
	r := &Rule{Definition: d, params: map[string]any{}}
	var problems []string
	known := map[string]bool{}
	for _, p := range d.Parameters {
		known[p.Name] = true
		text, given := params[p.Name]
		if !given {
			if p.Default == nil {
				if !p.Optional {
					problems = append(problems, fmt.Sprintf("the parameter %s (%s) is required", p.Name, p.Type))
				}
				continue
			}
			text = *p.Default
		}
		v, err := p.value(text)
		if err != nil {
			problems = append(problems, fmt.Sprintf("the parameter %s (%s): %v", p.Name, p.Type, err))
			continue
		}
		r.params[p.Name] = v
	}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if !known[name] {
			problems = append(problems, fmt.Sprintf("there is no parameter %q; the rule has %s", name, d.parameterNames()))
		}
	}
	if len(problems) > 0 {
		return nil, knowngood.E(knowngood.Invalid, "rule "+d.Identifier, "%s", strings.Join(problems, "; "))
	}
	r.engine = newEngine([]Active{{Name: d.Name, Rule: r}})
	return r, nil
}

func (d *Definition) parameterNames() string {
	if len(d.Parameters) == 0 {
		return "none"
	}
	names := make([]string, len(d.Parameters))
	for i, p := range d.Parameters {
		names[i] = p.Name
	}
	return strings.Join(names, ", ")
}

// Reads are the members of an item that the rule reads, sorted.
func (r *Rule) Reads() []string { return slices.Clone(r.Definition.Reads) }

// Evaluate gives the rule's verdict on an item. Rule of the evaluation is the
// rule's own name; who evaluates under a template's name puts that there.
//
// A deleted item and one of another type are NOT_APPLICABLE. Members that could
// not be read, and errors, make INSUFFICIENT_DATA.
func (r *Rule) Evaluate(item *knowngood.Resource, now time.Time, lookup Lookup) knowngood.Evaluation {
	out := knowngood.Evaluation{Rule: r.Definition.Name, Resource: item.Key(), Compliance: knowngood.NotApplicable, Time: now.UTC()}
	switch {
	case item.Status == knowngood.ItemDeleted:
		out.Annotation = isDeleted
	case !slices.Contains(r.Definition.ResourceTypes, item.Type):
		out.Annotation = "the rule does not look at " + item.Type
	default:
		return r.engine.evaluate(item, now, lookup)[0]
	}
	return out
}

const isDeleted = "the resource is deleted"

// unread names a member that is read and that could not be.
func unread(failed []knowngood.ReadError, reads []string) string {
	for _, u := range failed {
		for _, read := range reads {
			if overlap(u.Path, read) {
				what := u.Path
				if what == "" {
					what = "the resource"
				}
				return fmt.Sprintf("%s could not be read: %s:%s: %s", what, u.Service, u.Operation, u.Code)
			}
		}
	}
	return ""
}

// overlap says whether one path is the other or lies within it.
func overlap(a, b string) bool {
	return a == "" || b == "" || a == b || strings.HasPrefix(a, b+".") || strings.HasPrefix(b, a+".")
}
