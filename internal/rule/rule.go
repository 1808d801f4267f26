package rule

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/knowngood/knowngood"
)

// maxAnnotation is AWS Config's limit, in characters.
const maxAnnotation = 256

// Rule is a definition with its parameters bound. It is safe for concurrent use.
type Rule struct {
	Definition *Definition
	params     map[string]any
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
	out := knowngood.Evaluation{Rule: r.Definition.Name, Resource: item.Key(), Time: now.UTC()}
	out.Compliance, out.Annotation = r.verdict(&subject{item, now, lookup})
	out.Annotation = shorten(out.Annotation)
	return out
}

func (r *Rule) verdict(item *subject) (knowngood.Compliance, string) {
	d := r.Definition
	if item.Status == knowngood.ItemDeleted {
		return knowngood.NotApplicable, "the resource is deleted"
	}
	if !slices.Contains(d.ResourceTypes, item.Type) {
		return knowngood.NotApplicable, "the rule does not look at " + item.Type
	}
	vars, err := r.vars(item)
	if err != nil {
		return knowngood.InsufficientData, err.Error()
	}
	if d.applies != nil {
		applies, why := d.applies.holds(item, vars)
		if why != "" {
			return knowngood.InsufficientData, why
		}
		if !applies {
			return knowngood.NotApplicable, ""
		}
	}
	compliant, why := d.compliant.holds(item, vars)
	if why != "" {
		return knowngood.InsufficientData, why
	}
	if compliant {
		return knowngood.Compliant, ""
	}
	return knowngood.NonCompliant, d.annotate(item, vars)
}

// annotate gives the text of a NON_COMPLIANT verdict. The verdict stands where
// the text can't be made: the title then says it.
func (d *Definition) annotate(item *subject, vars any) string {
	if d.annotation == nil || unread(item.Unread, d.annotation.reads) != "" {
		return d.Title
	}
	v, _, err := d.annotation.program.Eval(vars)
	if err != nil {
		return d.Title
	}
	s, ok := v.Value().(string)
	if !ok {
		return d.Title
	}
	return s
}

// holds runs a predicate. A reason that is not empty says why it has no value.
func (e *expression) holds(item *subject, vars any) (value bool, why string) {
	if why := unread(item.Unread, e.reads); why != "" {
		return false, why
	}
	v, _, err := e.program.Eval(vars)
	if err != nil {
		return false, "the rule could not be evaluated: " + err.Error()
	}
	b, ok := v.Value().(bool)
	if !ok {
		return false, fmt.Sprintf("the rule could not be evaluated: it gave %s, not a boolean", v.Type().TypeName())
	}
	return b, ""
}

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

// view is an item as expressions see it. Null members are not there, so that
// has() tells the same of null and of absent.
func view(item *knowngood.Resource) map[string]any {
	v := map[string]any{
		"accountId":                  item.AccountID,
		"awsRegion":                  item.Region,
		"resourceType":               item.Type,
		"resourceId":                 item.ID,
		"configurationItemStatus":    string(item.Status),
		"tags":                       item.Tags,
		"configuration":              withoutNull(item.Configuration),
		"supplementaryConfiguration": withoutNull(item.Supplementary),
	}
	if item.Tags == nil {
		v["tags"] = map[string]string{}
	}
	for key, s := range map[string]string{"arn": item.ARN, "resourceName": item.Name, "availabilityZone": item.AvailabilityZone} {
		if s != "" {
			v[key] = s
		}
	}
	if item.CreationTime != nil {
		v["resourceCreationTime"] = *item.CreationTime
	}
	relationships := make([]any, len(item.Relationships))
	for i, r := range item.Relationships {
		relationships[i] = map[string]any{"resourceType": r.Type, "resourceId": r.ID, "resourceName": r.Name, "relationshipName": r.RelationshipName}
	}
	v["relationships"] = relationships
	return v
}

func withoutNull(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			if e != nil {
				out[k] = withoutNull(e)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = withoutNull(e)
		}
		return out
	}
	return v
}

func shorten(s string) string {
	if utf8.RuneCountInString(s) <= maxAnnotation {
		return s
	}
	return string([]rune(s)[:maxAnnotation-1]) + "…"
}
