package runbook

import (
	"slices"
	"strings"

	"github.com/knowngood/knowngood/internal/runbook/pattern"
)

func (p *docParser) parameters(n *node) {
	if n == nil {
		return
	}
	if n.kind != mapNode {
		p.add(n.pos, "a map of parameters", "parameters is %s", n.what())
		return
	}
	for _, f := range n.fields {
		what := "parameter " + f.name
		if !nameForm.MatchString(f.name) {
			p.add(f.pos, "letters, digits, _, - and .", "%s has a name that can't be referred to", what)
		}
		if !p.object(f.value, what, "type", "description", "default", "allowedValues", "allowedPattern",
			"minChars", "maxChars", "minItems", "maxItems", "displayType", "interpolationType") {
			continue
		}
		param := &Parameter{
			Name:           f.name,
			Type:           p.typeOf(f.value.get("type"), what, true, ""),
			Description:    p.str(f.value.get("description"), what+": description"),
			AllowedPattern: p.str(f.value.get("allowedPattern"), what+": allowedPattern"),
			MinChars:       p.integer(f.value.get("minChars"), what+": minChars"),
			MaxChars:       p.integer(f.value.get("maxChars"), what+": maxChars"),
			MinItems:       p.integer(f.value.get("minItems"), what+": minItems"),
			MaxItems:       p.integer(f.value.get("maxItems"), what+": maxItems"),
			pos:            f.pos,
			sound:          true,
		}
		if param.Type == "" && f.value.get("type") == nil {
			p.add(f.pos, "type: "+strings.Join(typeNames, ", "), "%s has no type", what)
		}
		if n := f.value.get("allowedPattern"); n != nil {
			if _, err := pattern.Compile(param.AllowedPattern); err != nil {
				p.add(n.pos, "a regular expression", "%s: %v", what, err)
				param.sound = false
			}
		}
		if n := f.value.get("allowedValues"); n != nil {
			if n.kind != listNode {
				p.add(n.pos, "a list", "%s: allowedValues is %s", what, n.what())
			} else {
				param.AllowedValues, param.hasAllowedValues = n.plain().([]any), true
			}
		}
		if n := f.value.get("default"); n != nil {
			param.hasDefault = true
			p.parameterDefault(param, n)
		}
		p.doc.Parameters = append(p.doc.Parameters, param)
	}
}

// parameterDefault reads a default. One that could not be given is told of: AWS
// takes it, and its own runbooks have such, to mark a value that has to be
// replaced, or one that only the runbook itself uses. An empty one means "nothing
// given" to most authors.
func (p *docParser) parameterDefault(param *Parameter, n *node) {
	v := n.plain()
	if v == nil { // default: with nothing after it
		param.Default = param.Type.zero()
		return
	}
	if s, ok := v.(string); ok && storeForm.MatchString(s) {
		param.hasDefault, param.store = false, s
		return
	}
	if _, known := param.Type.base(); !known {
		return
	}
	value, err := param.read(v)
	if err != nil {
		p.add(n.pos, "a default that the parameter allows", "parameter %s: %v", param.Name, err)
		return
	}
	// arn:aws:iam::{{global:ACCOUNT_ID}}:role/AutomationServiceRole, as
	// AWS-UpdateLinuxAmi has it. Other braces in a default are its own.
	s, _ := value.(string)
	if t, err := parseTemplate(s); err == nil && t != nil && !slices.ContainsFunc(t.parts, func(p part) bool { return p.ref != nil && p.ref.Kind != RefSystem }) {
		param.standard = t
	}
	if !empty(value) && param.sound && param.standard == nil {
		if err := param.accept(value); err != nil {
			p.warn(n.pos, "a default that the parameter allows", "parameter %s: %v", param.Name, err)
		}
	}
	param.Default = value
}

func (p *docParser) variables(n *node) {
	if n == nil {
		return
	}
	if n.kind != mapNode {
		p.add(n.pos, "a map of variables", "variables is %s", n.what())
		return
	}
	for _, f := range n.fields {
		what := "variable " + f.name
		if !nameForm.MatchString(f.name) {
			p.add(f.pos, "letters, digits, _, - and .", "%s has a name that can't be referred to", what)
		}
		if !p.object(f.value, what, "type", "description", "default") {
			continue
		}
		v := &Variable{
			Name:        f.name,
			Type:        p.typeOf(f.value.get("type"), what, false, String),
			Description: p.str(f.value.get("description"), what+": description"),
			pos:         f.pos,
		}
		if n := f.value.get("default"); n != nil {
			value, err := assign(n.plain(), v.Type)
			if err != nil {
				p.add(n.pos, string(v.Type), "%s: the default: %v", what, err)
			}
			v.Default = value
		}
		p.doc.Variables = append(p.doc.Variables, v)
	}
}

// assign converts a value for a variable; "" stands for an absent one.
func assign(v any, t Type) (any, error) {
	if v == "" && t != String {
		return t.zero(), nil
	}
	return convert(v, t)
}
