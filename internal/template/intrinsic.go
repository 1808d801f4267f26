package template

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"github.com/knowngood/knowngood"
)

// noValue is what AWS::NoValue gives: the member or element that holds it is
// not there.
var noValue = &node{}

// value is a node with its functions worked out. Nil means that a problem was
// added, noValue that there is no value.
func (l *loader) value(n *node) *node {
	if l.depth > 4*maxDepth {
		l.add(n.pos, "references that don't lead back to themselves", "this value depends on itself, or is nested too deeply")
		return nil
	}
	l.depth++
	defer func() { l.depth-- }()
	switch n.kind {
	case scalarNode:
		return n
	case listNode:
		out := &node{pos: n.pos, kind: listNode}
		ok := true
		for _, item := range n.list {
			v := l.value(item)
			if v == nil {
				ok = false
				continue
			}
			if v != noValue {
				out.list = append(out.list, v)
				out.deployed = out.deployed || v.deployed
			}
		}
		if !ok {
			return nil
		}
		return out
	}
	if len(n.fields) == 1 {
		f := n.fields[0]
		if f.name == "Ref" || strings.HasPrefix(f.name, "Fn::") {
			v := l.intrinsic(f)
			if v != nil && v != noValue && v.kind == scalarNode {
				if l.size += len(text(v.scalar)); l.size > maxMade {
					l.add(f.pos, "less", "the template's functions make more than %d MiB of text", maxMade>>20)
					return nil
				}
			}
			return v
		}
	}
	out := &node{pos: n.pos, kind: mapNode}
	ok := true
	for _, f := range n.fields {
		v := l.value(f.value)
		if v == nil {
			ok = false
			continue
		}
		if v != noValue {
			out.fields = append(out.fields, field{f.name, f.pos, v})
			out.deployed = out.deployed || v.deployed
		}
	}
	if !ok {
		return nil
	}
	return out
}

func (l *loader) intrinsic(f field) *node {
	switch f.name {
	case "Ref":
		return l.ref(f)
	case "Fn::If":
		args := l.args(f, 3, 3)
		if args == nil {
			return nil
		}
		if l.named(args[0]) {
			return l.value(args[1])
		}
		return l.value(args[2])
	case "Fn::Equals", "Fn::Not", "Fn::And", "Fn::Or":
		return scalar(f.pos, l.condition(&node{pos: f.pos, kind: mapNode, fields: []field{f}}))
	case "Fn::Join":
		return l.join(f)
	case "Fn::Sub":
		return l.sub(f)
	case "Fn::Select":
		return l.selectOne(f)
	case "Fn::Split":
		return l.split(f)
	case "Fn::GetAtt":
		return l.getAtt(f)
	case "Fn::FindInMap":
		return l.findInMap(f)
	case "Fn::Base64":
		v := l.value(f.value)
		if v == nil || v == noValue {
			return v
		}
		out := scalar(f.pos, base64.StdEncoding.EncodeToString([]byte(text(v.scalar))))
		out.deployed = v.deployed
		return out
	case "Fn::Length":
		v := l.value(f.value)
		if v != nil && v.kind == listNode {
			return scalar(f.pos, int64(len(v.list)))
		}
		l.add(f.pos, "a list", "Fn::Length of something that is no list")
		return nil
	case "Fn::ToJsonString":
		v := l.value(f.value)
		if v == nil {
			return nil
		}
		out := scalar(f.pos, v.compact())
		out.deployed = v.deployed
		return out
	case "Fn::ImportValue", "Fn::GetAZs", "Fn::Cidr", "Fn::Transform":
		if l.value(f.value) == nil {
			return nil
		}
		return &node{pos: f.pos, scalar: "${" + f.name + "}", deployed: true}
	}
	l.add(f.pos, "an intrinsic function of CloudFormation", "%s is not known", f.name)
	return nil
}

func scalar(pos knowngood.Position, v any) *node { return &node{pos: pos, scalar: v} }

// args gives a function's list of arguments.
func (l *loader) args(f field, low, high int) []*node {
	want := strconv.Itoa(low) + " arguments"
	if low != high {
		want = strconv.Itoa(low) + " to " + strconv.Itoa(high) + " arguments"
	}
	if f.value.kind != listNode {
		l.add(f.pos, "a list of "+want, "%s has %s", f.name, f.value.what())
		return nil
	}
	if len(f.value.list) < low || len(f.value.list) > high {
		l.add(f.pos, want, "%s has %d", f.name, len(f.value.list))
		return nil
	}
	return f.value.list
}

func (l *loader) ref(f field) *node {
	if f.value.kind != scalarNode {
		l.add(f.pos, "a name", "Ref of %s", f.value.what())
		return nil
	}
	return l.lookup(text(f.value.scalar), f.pos)
}

// lookup is what Ref and ${Name} give.
func (l *loader) lookup(name string, pos knowngood.Position) *node {
	if name == "AWS::NoValue" {
		return noValue
	}
	if v := l.pseudo(name, pos); v != nil {
		return v
	}
	if v, ok := l.params[name]; ok {
		out := *v
		out.pos = pos
		return &out
	}
	r, ok := l.resources[name]
	if !ok {
		l.add(pos, "a parameter, a resource or a pseudo parameter", "%q is not defined", name)
		return nil
	}
	// The Ref of a rule is its name, so a template may tie a remediation with it.
	if r.kind == mapNode && l.word(r.get("Type")) == "AWS::Config::ConfigRule" {
		if n := r.get("Properties").get("ConfigRuleName"); n != nil {
			return l.ruleName(name, n, pos)
		}
		return scalar(pos, name)
	}
	return &node{pos: pos, scalar: "${" + name + "}", deployed: true}
}

// ruleName works out a rule's name, once: rules may name themselves after each
// other, and must neither go round in a circle nor double at each step.
func (l *loader) ruleName(id string, n *node, pos knowngood.Position) *node {
	if v, begun := l.ruleNames[id]; begun {
		if v == nil {
			l.add(pos, "names that don't lead back to themselves", "the ConfigRuleName of %s is wrong, or depends on itself", id)
		}
		return v
	}
	l.ruleNames[id] = nil
	l.ruleNames[id] = l.value(n)
	return l.ruleNames[id]
}

func (l *loader) getAtt(f field) *node {
	var parts []string
	switch f.value.kind {
	case scalarNode:
		parts = strings.SplitN(text(f.value.scalar), ".", 2)
	case listNode:
		for _, n := range f.value.list {
			if v := l.value(n); v != nil {
				parts = append(parts, text(v.scalar))
			}
		}
	}
	if len(parts) != 2 || parts[0] == "" || parts[1] == "" {
		l.add(f.pos, "a logical id and an attribute", "Fn::GetAtt is not of that form")
		return nil
	}
	if l.resources[parts[0]] == nil {
		l.add(f.pos, "a resource of this template", "Fn::GetAtt of %q, which is not defined", parts[0])
		return nil
	}
	return &node{pos: f.pos, scalar: "${" + parts[0] + "." + parts[1] + "}", deployed: true}
}

func (l *loader) join(f field) *node {
	args := l.args(f, 2, 2)
	if args == nil {
		return nil
	}
	list := l.value(args[1])
	if list == nil {
		return nil
	}
	if args[0].kind != scalarNode || list.kind != listNode {
		l.add(f.pos, "a text and a list", "Fn::Join has other arguments")
		return nil
	}
	parts := make([]string, len(list.list))
	for i, item := range list.list {
		parts[i] = item.compact()
	}
	return &node{pos: f.pos, scalar: strings.Join(parts, text(args[0].scalar)), deployed: list.deployed}
}

func (l *loader) split(f field) *node {
	args := l.args(f, 2, 2)
	if args == nil {
		return nil
	}
	v := l.value(args[1])
	if v == nil {
		return nil
	}
	by := text(args[0].scalar)
	if args[0].kind != scalarNode || v.kind != scalarNode || by == "" {
		l.add(f.pos, "a separator and a text", "Fn::Split has other arguments")
		return nil
	}
	out := &node{pos: f.pos, kind: listNode, deployed: v.deployed}
	for _, part := range strings.Split(text(v.scalar), by) {
		out.list = append(out.list, &node{pos: f.pos, scalar: part, deployed: v.deployed})
	}
	return out
}

func (l *loader) selectOne(f field) *node {
	args := l.args(f, 2, 2)
	if args == nil {
		return nil
	}
	index, list := l.value(args[0]), l.value(args[1])
	if index == nil || list == nil {
		return nil
	}
	if list.deployed && list.kind == scalarNode {
		return list
	}
	i, err := strconv.Atoi(text(index.scalar))
	if err != nil || list.kind != listNode {
		l.add(f.pos, "an index and a list", "Fn::Select has other arguments")
		return nil
	}
	if i < 0 || i >= len(list.list) {
		if list.deployed {
			return &node{pos: f.pos, scalar: "${Fn::Select}", deployed: true}
		}
		l.add(f.pos, "an index below "+strconv.Itoa(len(list.list)), "Fn::Select has the index %d", i)
		return nil
	}
	return list.list[i]
}

func (l *loader) findInMap(f field) *node {
	args := l.args(f, 3, 4)
	if args == nil {
		return nil
	}
	at := l.root.get("Mappings")
	path := "Mappings"
	for _, a := range args[:3] {
		key := l.value(a)
		if key == nil {
			return nil
		}
		if key.deployed {
			return &node{pos: f.pos, scalar: "${" + path + "}", deployed: true}
		}
		path += "." + text(key.scalar)
		at = at.get(text(key.scalar))
	}
	if at == nil {
		if len(args) == 4 {
			if d := args[3].get("DefaultValue"); d != nil {
				return l.value(d)
			}
		}
		l.add(f.pos, "a key that is there", "there is no %s", path)
		return nil
	}
	return at
}

// sub replaces ${Name}, ${Id.Attribute} and, with a second argument, names of
// its own; ${!x} stands for ${x}.
func (l *loader) sub(f field) *node {
	pattern, own := f.value, (*node)(nil)
	if f.value.kind == listNode {
		args := l.args(f, 2, 2)
		if args == nil {
			return nil
		}
		pattern, own = args[0], args[1]
	}
	if pattern.kind != scalarNode || own != nil && own.kind != mapNode {
		l.add(f.pos, "a text, or a text and a map", "Fn::Sub has other arguments")
		return nil
	}
	out := &node{pos: f.pos, inside: pattern.inside}
	var b strings.Builder
	rest := text(pattern.scalar)
	for {
		i := strings.Index(rest, "${")
		if i < 0 {
			break
		}
		end := strings.IndexByte(rest[i:], '}')
		if end < 0 {
			break
		}
		b.WriteString(rest[:i])
		name := rest[i+2 : i+end]
		rest = rest[i+end+1:]
		if literal, ok := strings.CutPrefix(name, "!"); ok {
			b.WriteString("${" + literal + "}")
			continue
		}
		v := l.subValue(strings.TrimSpace(name), own, f.pos)
		if v == nil {
			return nil
		}
		if v != noValue {
			b.WriteString(v.compact())
			out.deployed = out.deployed || v.deployed
		}
	}
	b.WriteString(rest)
	out.scalar = b.String()
	return out
}

func (l *loader) subValue(name string, own *node, pos knowngood.Position) *node {
	if v := own.get(name); v != nil {
		return l.value(v)
	}
	if strings.Contains(name, ".") {
		return l.getAtt(field{"Fn::GetAtt", pos, scalar(pos, name)})
	}
	return l.lookup(name, pos)
}

// condition is a named condition with its value once it is worked out.
type condition struct {
	node        *node
	done, value bool
	under       bool // it is being worked out
}

func (l *loader) readConditions(section *node) {
	if section == nil {
		return
	}
	if section.kind != mapNode {
		l.add(section.pos, "a map", "Conditions is %s", section.what())
		return
	}
	for _, f := range section.fields {
		l.conditions[f.name] = &condition{node: f.value}
	}
	for _, f := range section.fields { // also those that nothing uses: they may be wrong
		l.named(scalar(f.pos, f.name))
	}
}

// named is the value of the condition that n names.
func (l *loader) named(n *node) bool {
	if n.kind != scalarNode {
		l.add(n.pos, "a condition's name", "this is %s", n.what())
		return false
	}
	name := text(n.scalar)
	c, ok := l.conditions[name]
	switch {
	case !ok:
		l.add(n.pos, "a name under Conditions", "the condition %q is not defined", name)
		return false
	case c.done:
		return c.value
	case c.under:
		l.add(n.pos, "conditions that don't lead back to themselves", "the condition %q depends on itself", name)
		return false
	}
	c.under = true
	c.value = l.condition(c.node)
	c.under, c.done = false, true
	return c.value
}

// condition works out Fn::Equals, Fn::Not, Fn::And, Fn::Or and Condition.
func (l *loader) condition(n *node) bool {
	if n.kind == scalarNode {
		return l.named(n)
	}
	if n.kind != mapNode || len(n.fields) != 1 {
		l.add(n.pos, "Fn::Equals, Fn::Not, Fn::And, Fn::Or or Condition", "this is no condition")
		return false
	}
	f := n.fields[0]
	switch f.name {
	case "Condition":
		return l.named(f.value)
	case "Fn::Equals":
		args := l.args(f, 2, 2)
		if args == nil {
			return false
		}
		a, b := l.value(args[0]), l.value(args[1])
		return a != nil && b != nil && a.compact() == b.compact()
	case "Fn::Not":
		args := l.args(f, 1, 1)
		return args != nil && !l.condition(args[0])
	case "Fn::And", "Fn::Or":
		args := l.args(f, 2, 10)
		values := make([]bool, len(args))
		for i, a := range args {
			values[i] = l.condition(a)
		}
		if f.name == "Fn::Or" {
			return slices.Contains(values, true)
		}
		return args != nil && !slices.Contains(values, false)
	}
	l.add(f.pos, "Fn::Equals, Fn::Not, Fn::And, Fn::Or or Condition", "%s is no condition", f.name)
	return false
}
