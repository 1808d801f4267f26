package template

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/planned"
)

// removed is what AWS::NoValue gives.
type removed struct{}

// value works a node out: nil, a scalar, a list, a map, removed or an Unknown.
func (p *planner) value(n *node) any {
	if n == nil {
		return nil
	}
	if p.depth > 4*maxDepth || p.size > maxMade {
		return p.wrong(n.pos, "this value depends on itself, or is nested too deeply, or is too long")
	}
	p.size++
	p.depth++
	defer func() { p.depth-- }()
	switch n.kind {
	case scalarNode:
		if s, ok := n.scalar.(string); ok {
			return dynamic(s)
		}
		return n.scalar
	case listNode:
		list := make([]any, 0, len(n.list))
		for _, item := range n.list {
			if v := p.value(item); v != (removed{}) {
				list = append(list, v)
			}
		}
		return list
	}
	if len(n.fields) == 1 {
		if f := n.fields[0]; f.name == "Ref" || strings.HasPrefix(f.name, "Fn::") {
			v := p.function(f)
			if s, ok := v.(string); ok {
				p.size += len(s)
			}
			return v
		}
	}
	object := make(map[string]any, len(n.fields))
	for _, f := range n.fields {
		if strings.HasPrefix(f.name, "Fn::") { // Fn::Transform or Fn::ForEach beside other members
			return p.wrong(f.pos, "%s is not applied", f.name)
		}
		if v := p.value(f.value); v != (removed{}) {
			object[f.name] = v
		}
	}
	return object
}

// wrong is what can't be worked out, with a note that says why.
func (p *planner) wrong(pos knowngood.Position, text string, args ...any) planned.Unknown {
	p.note(pos, text, args...)
	return planned.Unknown{Why: fmt.Sprintf(text, args...)}
}

// function works out a function of the template.
func (p *planner) function(f field) any {
	switch f.name {
	case "Ref":
		return p.ref(text(literal(f.value)), f.pos)
	case "Fn::If":
		return p.choose(f)
	case "Fn::Join":
		return p.join(f)
	case "Fn::Sub":
		return p.sub(f)
	case "Fn::Select":
		return p.selectOne(f)
	case "Fn::Split":
		return p.split(f)
	case "Fn::GetAtt":
		return p.getAtt(f)
	case "Fn::FindInMap":
		return p.findInMap(f)
	case "Fn::Base64":
		return p.base64(f)
	case "Fn::Length":
		return p.length(f)
	case "Fn::ToJsonString":
		return p.toJSON(f)
	case "Fn::Equals", "Fn::Not", "Fn::And", "Fn::Or":
		return p.condition(&node{pos: f.pos, kind: mapNode, fields: []field{f}})
	}
	return planned.Unknown{Why: f.name + " is worked out when it is deployed"}
}

// args are a function's arguments; nil, and a note, where there are others.
func (p *planner) args(f field, low, high int) []*node {
	if f.value == nil || f.value.kind != listNode || len(f.value.list) < low || len(f.value.list) > high {
		p.note(f.pos, "%s has other arguments than it takes", f.name)
		return nil
	}
	return f.value.list
}

func misused(f field) planned.Unknown {
	return planned.Unknown{Why: f.name + " has other arguments than it takes"}
}

// ref is what Ref and ${Name} give.
func (p *planner) ref(name string, pos knowngood.Position) any {
	switch name {
	case "AWS::NoValue":
		return removed{}
	case "AWS::AccountId":
		return p.in.Account
	case "AWS::Region":
		return p.in.Region
	case "AWS::Partition":
		return p.in.Partition
	case "AWS::URLSuffix":
		if p.in.Partition == "aws-cn" {
			return "amazonaws.com.cn"
		}
		return "amazonaws.com"
	case "AWS::StackName", "AWS::StackId":
		return "${" + name + "}"
	}
	if v, ok := p.params[name]; ok {
		return v
	}
	if _, ok := p.resources[name]; !ok {
		return p.wrong(pos, "%q is not defined", name)
	}
	id := p.identity(name)
	if !id.known || !id.done {
		return planned.Unknown{Why: "what Ref gives of " + name + " is not known before it is made"}
	}
	return id.reference.Given(id.id, id.arn)
}

func (p *planner) getAtt(f field) any {
	var parts []string
	switch f.value.kind {
	case scalarNode:
		parts = strings.SplitN(text(f.value.scalar), ".", 2)
	case listNode:
		for _, n := range f.value.list {
			s, _ := p.value(n).(string)
			parts = append(parts, s)
		}
	}
	if len(parts) != 2 || p.resources[parts[0]] == nil {
		return p.wrong(f.pos, "Fn::GetAtt names no resource of the template and attribute")
	}
	return p.attribute(parts[0], parts[1])
}

func (p *planner) attribute(logicalID, name string) any {
	id := p.identity(logicalID)
	if id.known && id.done {
		if s, ok := id.reference.Attribute(name, id.id, id.arn); ok {
			return s
		}
	}
	return planned.Unknown{Why: logicalID + "." + name + " is not known before it is made"}
}

func (p *planner) choose(f field) any {
	args := p.args(f, 3, 3)
	if args == nil {
		return misused(f)
	}
	switch c := p.named(args[0]).(type) {
	case bool:
		if c {
			return p.value(args[1])
		}
		return p.value(args[2])
	case planned.Unknown:
		return c
	}
	return misused(f)
}

// textual is a value as a text that may stand in another: false where it is
// none.
func textual(v any) (string, bool) {
	switch v.(type) {
	case nil, bool, string, int64, float64:
		return text(v), true
	}
	raw, err := json.Marshal(v)
	return string(raw), err == nil
}

func (p *planner) join(f field) any {
	args := p.args(f, 2, 2)
	if args == nil {
		return misused(f)
	}
	v := p.value(args[1])
	if u, ok := planned.Find(v); ok {
		return u
	}
	list, ok := v.([]any)
	if !ok {
		return misused(f)
	}
	parts, length := make([]string, len(list)), 0
	for i, e := range list {
		parts[i], _ = textual(e)
		if length += len(parts[i]); length > maxMade {
			return p.wrong(f.pos, "this text is too long")
		}
	}
	return strings.Join(parts, text(literal(args[0])))
}

// sub replaces ${Name} and ${Id.Attribute}; ${!x} stands for ${x}.
func (p *planner) sub(f field) any {
	pattern, own := f.value, (*node)(nil)
	if f.value.kind == listNode {
		if args := p.args(f, 2, 2); args != nil {
			pattern, own = args[0], args[1]
		}
	}
	rest, ok := literal(pattern).(string)
	if !ok {
		return misused(f)
	}
	var b strings.Builder
	for {
		before, after, found := strings.Cut(rest, "${")
		name, tail, closed := strings.Cut(after, "}")
		if !found || !closed {
			b.WriteString(rest)
			return dynamic(b.String())
		}
		b.WriteString(before)
		rest = tail
		if literal, ok := strings.CutPrefix(name, "!"); ok {
			b.WriteString("${" + literal + "}")
			continue
		}
		v := p.subValue(strings.TrimSpace(name), own, f.pos)
		if u, unknown := planned.Find(v); unknown {
			return u
		}
		if v != (removed{}) {
			s, _ := textual(v)
			b.WriteString(s)
		}
		if b.Len() > maxMade {
			return p.wrong(f.pos, "this text is too long")
		}
	}
}

func (p *planner) subValue(name string, own *node, pos knowngood.Position) any {
	if v := own.get(name); v != nil {
		return p.value(v)
	}
	if id, attribute, ok := strings.Cut(name, "."); ok && p.resources[id] != nil {
		return p.attribute(id, attribute)
	}
	return p.ref(name, pos)
}

func (p *planner) split(f field) any {
	args := p.args(f, 2, 2)
	if args == nil {
		return misused(f)
	}
	switch v := p.value(args[1]).(type) {
	case planned.Unknown:
		return v
	case string:
		list := []any{}
		if by := text(literal(args[0])); by != "" {
			for part := range strings.SplitSeq(v, by) {
				list = append(list, part)
			}
			return list
		}
	}
	return misused(f)
}

func (p *planner) selectOne(f field) any {
	args := p.args(f, 2, 2)
	if args == nil {
		return misused(f)
	}
	index, v := p.value(args[0]), p.value(args[1])
	for _, have := range []any{index, v} {
		if u, ok := have.(planned.Unknown); ok {
			return u
		}
	}
	list, _ := v.([]any)
	s, _ := textual(index)
	if i, err := strconv.Atoi(s); err == nil && i >= 0 && i < len(list) {
		return list[i]
	}
	return p.wrong(f.pos, "Fn::Select has an index beyond its list")
}

func (p *planner) findInMap(f field) any {
	args := p.args(f, 3, 4)
	if args == nil {
		return misused(f)
	}
	at := p.root.get("Mappings")
	for _, a := range args[:3] {
		key := p.value(a)
		if u, ok := planned.Find(key); ok {
			return u
		}
		s, _ := textual(key)
		if at = at.get(s); at == nil {
			if len(args) == 4 {
				if d := args[3].get("DefaultValue"); d != nil {
					return p.value(d)
				}
			}
			return p.wrong(f.pos, "Mappings has no %s", s)
		}
	}
	return p.value(at)
}

func (p *planner) base64(f field) any {
	v := p.value(f.value)
	if u, ok := planned.Find(v); ok {
		return u
	}
	s, _ := textual(v)
	return base64.StdEncoding.EncodeToString([]byte(s))
}

func (p *planner) length(f field) any {
	v := p.value(f.value)
	if u, ok := v.(planned.Unknown); ok {
		return u
	}
	list, ok := v.([]any)
	if !ok {
		return misused(f)
	}
	return int64(len(list))
}

func (p *planner) toJSON(f field) any {
	v := p.value(f.value)
	if u, ok := planned.Find(v); ok {
		return u
	}
	s, ok := textual(v)
	if !ok {
		return misused(f)
	}
	return s
}

// named is the value of a condition by its name.
func (p *planner) named(n *node) any {
	name := text(literal(n))
	c := p.conditions[name]
	switch {
	case c == nil:
		return p.wrong(n.pos, "the condition %q is not defined", name)
	case c.state == 1:
		return p.wrong(n.pos, "the condition %q depends on itself", name)
	case c.state == 0:
		c.state = 1
		c.value = p.condition(c.node)
		c.state = 2
	}
	return c.value
}

// condition is a bool, or an Unknown. What decides alone decides, whatever is not
// known beside it.
func (p *planner) condition(n *node) any {
	if p.depth > 4*maxDepth {
		return p.wrong(n.pos, "this condition is nested too deeply")
	}
	p.depth++
	defer func() { p.depth-- }()
	if n.kind == scalarNode {
		return p.named(n)
	}
	if n.kind != mapNode || len(n.fields) != 1 {
		return p.wrong(n.pos, "this is no condition")
	}
	f := n.fields[0]
	switch f.name {
	case "Condition":
		return p.named(f.value)
	case "Fn::Equals":
		args := p.args(f, 2, 2)
		if args == nil {
			return misused(f)
		}
		a, b := p.value(args[0]), p.value(args[1])
		for _, v := range []any{a, b} {
			if u, ok := planned.Find(v); ok {
				return u
			}
		}
		left, _ := textual(a)
		right, _ := textual(b)
		return left == right
	case "Fn::Not":
		args := p.args(f, 1, 1)
		if args == nil {
			return misused(f)
		}
		v := p.condition(args[0])
		if b, ok := v.(bool); ok {
			return !b
		}
		return v
	case "Fn::And", "Fn::Or":
		args := p.args(f, 1, 10)
		if args == nil {
			return misused(f)
		}
		values := make([]any, len(args))
		for i, a := range args {
			values[i] = p.condition(a)
		}
		decides := f.name == "Fn::Or"
		if slices.Contains(values, any(decides)) {
			return decides
		}
		for _, v := range values {
			if u, ok := v.(planned.Unknown); ok {
				return u
			}
		}
		return !decides
	}
	return p.wrong(f.pos, "%s is no condition", f.name)
}
