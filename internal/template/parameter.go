package template

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/knowngood/knowngood"
)

var parameterKeys = []string{
	"Type", "Default", "Description", "AllowedValues", "AllowedPattern", "ConstraintDescription",
	"MinLength", "MaxLength", "MinValue", "MaxValue", "NoEcho",
}

// parameters reads the declared parameters and binds their values.
func (l *loader) parameters(section *node) {
	given := map[string]bool{}
	if section != nil && section.kind != mapNode {
		l.add(section.pos, "a map", "Parameters is %s", section.what())
		section = nil
	}
	if section != nil {
		for _, f := range section.fields {
			given[f.name] = true
			l.parameter(f)
		}
	}
	var unknown []string
	for name := range l.in.Parameters {
		if !given[name] {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		l.add(l.root.pos, "one of "+l.names(section), "a value was given for the parameter %q, which the template does not declare", name)
	}
}

func (l *loader) names(section *node) string {
	if section == nil || len(section.fields) == 0 {
		return "none: the template has no parameters"
	}
	names := make([]string, len(section.fields))
	for i, f := range section.fields {
		names[i] = f.name
	}
	return strings.Join(names, ", ")
}

func (l *loader) parameter(f field) {
	n := f.value
	if n.kind != mapNode {
		l.add(f.pos, "a map with a Type", "the parameter %s is %s", f.name, n.what())
		return
	}
	for _, a := range n.fields {
		if !slices.Contains(parameterKeys, a.name) {
			l.note(a.pos, "the parameter %s has an attribute %q that CloudFormation does not know", f.name, a.name)
		}
	}
	p := Parameter{Position: f.pos, Name: f.name, Type: l.word(n.get("Type")), Description: l.word(n.get("Description")), NoEcho: l.word(n.get("NoEcho")) == "true"}
	if p.Type == "" {
		l.add(f.pos, "a Type such as String", "the parameter %s has no Type", f.name)
	}
	if d := n.get("Default"); d != nil {
		if d.kind != scalarNode {
			l.add(d.pos, "text", "the default of %s is %s", f.name, d.what())
		}
		s := text(d.scalar)
		p.Default, p.Value = &s, s
	}
	value, isGiven := l.in.Parameters[f.name]
	switch {
	case isGiven && slices.Contains(l.in.Unknown, f.name):
		p.Value = value
		l.t.Parameters = append(l.t.Parameters, p)
		l.params[f.name] = &node{pos: f.pos, scalar: "${" + f.name + "}", deployed: true}
		return
	case isGiven:
		p.Value = value
	case p.Default == nil:
		l.t.Missing = append(l.t.Missing, f.name)
		l.params[f.name] = &node{pos: f.pos, scalar: "${" + f.name + "}", deployed: true}
		if !l.in.AllowMissing {
			l.add(f.pos, "a value, or a Default", "the parameter %s has no value", f.name)
		}
		l.t.Parameters = append(l.t.Parameters, p)
		return
	}
	l.t.Parameters = append(l.t.Parameters, p)
	l.params[f.name] = l.bind(p, n)
}

// bind checks a parameter's value and makes the node that Ref gives.
func (l *loader) bind(p Parameter, n *node) *node {
	out := &node{pos: p.Position, scalar: p.Value}
	parts := []string{p.Value}
	list := p.Type == "CommaDelimitedList" || strings.HasPrefix(p.Type, "List<") || strings.HasPrefix(p.Type, "AWS::SSM::Parameter::Value<List<")
	if list {
		parts = strings.Split(p.Value, ",")
		out.kind, out.scalar = listNode, nil
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
			out.list = append(out.list, &node{pos: p.Position, scalar: parts[i]})
		}
	}
	if strings.HasPrefix(p.Type, "AWS::SSM::Parameter::Value") {
		out.deployed = true // the value is the name of a stored parameter
	}
	for _, part := range parts {
		l.allowed(p, n, part)
	}
	return out
}

func (l *loader) allowed(p Parameter, n *node, value string) {
	pos := p.Position
	shown := strconv.Quote(value)
	if p.NoEcho {
		shown = "(not shown)"
	}
	if allowed := n.get("AllowedValues"); allowed != nil && allowed.kind == listNode {
		var names []string
		for _, a := range allowed.list {
			names = append(names, text(a.scalar))
		}
		if !slices.Contains(names, value) {
			l.add(pos, strings.Join(names, ", "), "the parameter %s is %s", p.Name, shown)
		}
	}
	if pattern := n.get("AllowedPattern"); pattern != nil {
		re, err := regexp.Compile(`^(?:` + text(pattern.scalar) + `)$`)
		if err != nil { // Java's dialect knows more than RE2
			l.note(pattern.pos, "the AllowedPattern of %s is not checked: %v", p.Name, err)
		} else if !re.MatchString(value) {
			l.add(pos, "a match of "+text(pattern.scalar), "the parameter %s is %s", p.Name, shown)
		}
	}
	length := float64(len([]rune(value)))
	l.limit(p, n.get("MinLength"), func(limit float64) bool { return length >= limit }, "at least", "characters", shown)
	l.limit(p, n.get("MaxLength"), func(limit float64) bool { return length <= limit }, "at most", "characters", shown)
	if p.Type != "Number" && p.Type != "List<Number>" {
		return
	}
	v, err := strconv.ParseFloat(value, 64)
	if err != nil {
		l.add(pos, "a number", "the parameter %s is %s", p.Name, shown)
		return
	}
	l.limit(p, n.get("MinValue"), func(limit float64) bool { return v >= limit }, "at least", "", shown)
	l.limit(p, n.get("MaxValue"), func(limit float64) bool { return v <= limit }, "at most", "", shown)
}

func (l *loader) limit(p Parameter, n *node, holds func(float64) bool, word, unit, shown string) {
	if n == nil {
		return
	}
	limit, err := strconv.ParseFloat(text(n.scalar), 64)
	if err != nil {
		l.add(n.pos, "a number", "a limit of the parameter %s is %q", p.Name, text(n.scalar))
		return
	}
	if !holds(limit) {
		l.add(p.Position, strings.TrimSpace(word+" "+text(n.scalar)+" "+unit), "the parameter %s is %s", p.Name, shown)
	}
}

// word is a literal text, empty for nil.
func (l *loader) word(n *node) string {
	if n == nil {
		return ""
	}
	if n.kind != scalarNode {
		l.add(n.pos, "text", "this is %s", n.what())
		return ""
	}
	return text(n.scalar)
}

// pseudo is the value of a pseudo parameter, nil where name is none.
func (l *loader) pseudo(name string, pos knowngood.Position) *node {
	value := ""
	switch name {
	case "AWS::AccountId":
		value = l.in.Account
	case "AWS::Region":
		value = l.in.Region
	case "AWS::Partition":
		value = l.in.Partition
	case "AWS::URLSuffix":
		switch l.in.Partition {
		case "":
		case "aws-cn":
			value = "amazonaws.com.cn"
		default:
			value = "amazonaws.com"
		}
	case "AWS::StackName", "AWS::StackId", "AWS::NotificationARNs":
	default:
		return nil
	}
	if value == "" {
		return &node{pos: pos, scalar: "${" + name + "}", deployed: true}
	}
	return &node{pos: pos, scalar: value}
}
