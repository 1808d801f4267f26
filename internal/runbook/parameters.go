package runbook

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/runbook/pattern"
)

// MaxParameterBytes is the largest value that a parameter takes.
const MaxParameterBytes = 64 << 10

// resourceForms are the forms of AWS's own parameter types that have one; the
// value of any other is checked for its base type only.
var resourceForms = map[string]func() *regexp.Regexp{
	"AWS::EC2::Instance::Id":      formOf(`^m?i-[0-9a-f]{8,17}$`),
	"AWS::EC2::Image::Id":         formOf(`^ami-[0-9a-f]{8,17}$`),
	"AWS::EC2::SecurityGroup::Id": formOf(`^sg-[0-9a-f]{8,17}$`),
	"AWS::EC2::Subnet::Id":        formOf(`^subnet-[0-9a-f]{8,17}$`),
	"AWS::EC2::Volume::Id":        formOf(`^vol-[0-9a-f]{8,17}$`),
	"AWS::EC2::VPC::Id":           formOf(`^vpc-[0-9a-f]{8,17}$`),
	"AWS::IAM::Role::Arn":         formOf(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$`),
	"AWS::S3::Bucket::Name":       formOf(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`),
}

// formOf compiles a pattern when it is first asked for: programs that bind no
// parameters, as the sandbox does, need none of them.
func formOf(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

// BindParameters gives the parameters of a run: what is given, converted to
// each parameter's type and checked, and the defaults for the rest. A value may
// be of the parameter's type, text that spells it (JSON for lists and maps), or
// a list of texts, as StartAutomationExecution has them. The error, of kind
// Invalid, joins every problem.
func (d *Document) BindParameters(given knowngood.Params) (knowngood.Params, error) {
	return d.BindPlanned(given, func(any) bool { return false })
}

// BindPlanned is BindParameters for a plan: a value of which unknown says that
// something in it stands for what only the run will bring is converted, and not
// checked further.
func (d *Document) BindPlanned(given knowngood.Params, unknown func(any) bool) (knowngood.Params, error) {
	bound := knowngood.Params{}
	var errs []error
	var names []string
	for _, p := range d.Parameters {
		names = append(names, p.Name)
		raw, ok := given[p.Name]
		if !ok || raw == nil {
			switch {
			case p.store != "":
				errs = append(errs, fmt.Errorf("the parameter %s (%s) is missing; its default %s was not asked of Parameter Store", p.Name, p.Type, p.store))
				continue
			case !p.hasDefault:
				errs = append(errs, fmt.Errorf("the parameter %s (%s) is missing", p.Name, p.Type))
				continue
			}
			bound[p.Name] = p.Default
			continue
		}
		v, err := p.read(raw)
		// What equals the default is allowed: it is what giving nothing means.
		if err == nil && !unknown(v) && !(p.hasDefault && same(v, p.Default)) {
			err = p.accept(v)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("the parameter %s: %w", p.Name, err))
			continue
		}
		bound[p.Name] = v
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(names, name) {
			errs = append(errs, fmt.Errorf("the runbook has no parameter %s%s", excerpt(name), near(name, names)))
		}
	}
	if len(errs) > 0 {
		return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "parameters of " + d.File, Err: errors.Join(errs...)}
	}
	return bound, nil
}

// read converts a value to the parameter's type.
func (p *Parameter) read(raw any) (any, error) {
	v := plain(raw)
	if n := size(v); n > MaxParameterBytes {
		return nil, fmt.Errorf("the value has about %d bytes, at most %d are allowed", n, MaxParameterBytes)
	}
	base, _ := p.Type.base()
	s, isText := v.(string)
	list, isList := v.([]any)
	switch base {
	case String, Integer, Boolean:
		if v == "" && base != String {
			return nil, fmt.Errorf("an empty text is no %s", base)
		}
		if base == String && !scalar(v) && !(isList && len(list) == 1) {
			return nil, mismatch(v, string(base))
		}
		return convert(v, base)
	case StringList:
		if isText && strings.HasPrefix(strings.TrimSpace(s), "[") {
			return fromJSON(s, base)
		}
		if s == "" && isText {
			return []any{}, nil
		}
		return convert(v, base)
	}
	if isList && len(list) == 1 { // one text with JSON in it, in a list
		if s, isText = list[0].(string); !isText {
			return convert(v, base)
		}
	}
	if isText {
		if s == "" {
			return base.zero(), nil
		}
		return fromJSON(s, base)
	}
	return convert(v, base)
}

func fromJSON(s string, t Type) (any, error) {
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil || dec.More() {
		return nil, fmt.Errorf("%s is not the JSON of a %s", excerpt(s), t)
	}
	return convert(plain(v), t)
}

func same(a, b any) bool { return text(a) == text(b) }

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// accept checks a value of the parameter's type against what it allows.
func (p *Parameter) accept(v any) error {
	var errs []error
	items := []any{v}
	if list, ok := v.([]any); ok {
		items = list
		n := int64(len(list))
		if p.MinItems != nil && n < *p.MinItems {
			errs = append(errs, fmt.Errorf("%d elements, at least %d are needed", n, *p.MinItems))
		}
		if p.MaxItems != nil && n > *p.MaxItems {
			errs = append(errs, fmt.Errorf("%d elements, at most %d are allowed", n, *p.MaxItems))
		}
	}
	var allowed *pattern.Pattern
	if p.AllowedPattern != "" {
		var err error
		if allowed, err = pattern.Compile(p.AllowedPattern); err != nil {
			return err
		}
	}
	form := resourceForms[strings.TrimSuffix(strings.TrimPrefix(string(p.Type), "List<"), ">")]
	for _, item := range items {
		if p.hasAllowedValues && !slices.ContainsFunc(p.AllowedValues, func(a any) bool { return same(a, item) }) {
			errs = append(errs, fmt.Errorf("%s is none of the allowed values %s", excerpt(text(item)), text(p.AllowedValues)))
		}
		s, ok := item.(string)
		if !ok {
			continue
		}
		n := int64(utf8.RuneCountInString(s))
		if p.MinChars != nil && n < *p.MinChars {
			errs = append(errs, fmt.Errorf("%s has %d characters, at least %d are needed", excerpt(s), n, *p.MinChars))
		}
		if p.MaxChars != nil && n > *p.MaxChars {
			errs = append(errs, fmt.Errorf("%s has %d characters, at most %d are allowed", excerpt(s), n, *p.MaxChars))
		}
		if form != nil && !form().MatchString(s) {
			errs = append(errs, fmt.Errorf("%s is no %s", excerpt(s), p.Type))
		}
		if allowed != nil {
			ok, err := allowed.Match(s)
			switch {
			case err != nil:
				return fmt.Errorf("allowedPattern %s: %w", excerpt(p.AllowedPattern), err)
			case !ok:
				errs = append(errs, fmt.Errorf("%s does not match the allowed pattern %s", excerpt(s), p.AllowedPattern))
			}
		}
	}
	return errors.Join(errs...)
}
