package remedy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/runbook"
)

// childPlan is the plan of a run that a planned call starts, or that a group does:
// what was planned for it, with what the calls before have brought put in, under the
// id that the run has. It is the same each time, and nothing in it is new, so that
// what was decided on its parent's plan covers it.
func (o Operations) childPlan(parent, planned *knowngood.Plan, step, runID string, b bindings) (*knowngood.Plan, error) {
	names := map[string]string{}
	o.rename(planned, runID, names)
	p, err := settleChild(planned, b, renamer(names))
	if err != nil {
		return nil, err
	}
	p.Parent = &knowngood.PlanParent{RunID: parent.RunID, Step: step, Root: parent.Hash, Home: parent.Place}
	if parent.Parent != nil {
		p.Parent.Root, p.Parent.Home = parent.Parent.Root, parent.Parent.Home
	}
	content, ok := parent.Documents[p.Document.SHA256]
	if !ok {
		return nil, knowngood.E(knowngood.Refused, "", "the plan has no document %.12s…", p.Document.SHA256)
	}
	p.Document.Content = content
	if len(p.Children) > 0 {
		p.Documents = map[string]string{}
		for sha := range documentsOf(p.Children) {
			p.Documents[sha] = parent.Documents[sha]
		}
	}
	if p.Group == nil {
		d, err := runbook.Parse(p.Document.Name, []byte(content))
		if err != nil {
			return nil, err
		}
		params, err := bind(map[string]any(p.Parameters), nil)
		if err != nil {
			return nil, knowngood.E(knowngood.Refused, "", "a parameter is not known: %w", err)
		}
		p.Parameters, _ = params.(map[string]any)
		// What stood for a value when it was planned was not checked then.
		if p.Parameters, err = d.BindParameters(p.Parameters); err != nil {
			return nil, err
		}
	}
	p.Hash, err = HashPlan(p)
	return p, err
}

func documentsOf(plans []knowngood.Plan) map[string]bool {
	out := map[string]bool{}
	for i := range plans {
		out[plans[i].Document.SHA256] = true
		maps.Copy(out, documentsOf(plans[i].Children))
	}
	return out
}

// settleChild is a copy of a planned child with what is known put in and other names.
func settleChild(planned *knowngood.Plan, b bindings, names *strings.Replacer) (*knowngood.Plan, error) {
	p := *planned
	fill := func(template any) (any, error) { return bindKnown(eachText(template, names.Replace), b) }
	p.RunID, p.Resource.ID = names.Replace(p.RunID), names.Replace(p.Resource.ID)
	params, err := fill(map[string]any(planned.Parameters))
	if err != nil {
		return nil, err
	}
	p.Parameters, _ = params.(map[string]any)
	p.Parts = slices.Clone(planned.Parts)
	for i := range p.Parts {
		p.Parts[i].Calls = slices.Clone(p.Parts[i].Calls)
		for j := range p.Parts[i].Calls {
			c := &p.Parts[i].Calls[j]
			c.Child = names.Replace(c.Child)
			if c.Input, err = fill(c.Input); err != nil {
				return nil, err
			}
		}
	}
	p.Children = slices.Clone(planned.Children)
	for i := range p.Children {
		child, err := settleChild(&planned.Children[i], b, names)
		if err != nil {
			return nil, err
		}
		if child.Hash, err = HashPlan(child); err != nil {
			return nil, err
		}
		p.Children[i] = *child
	}
	return &p, nil
}

// rename collects what changes in a plan when its run has another id than was
// planned, as in a step's second attempt: its id, those of its children, and the
// tokens and tags that are made of them.
func (o Operations) rename(p *knowngood.Plan, runID string, into map[string]string) {
	if p.RunID == runID {
		return
	}
	into[p.RunID] = runID
	steps := map[string]string{} // of calls that start a child
	for _, part := range p.Parts {
		made := map[string]int{}
		for _, c := range part.Calls {
			if c.Child != "" {
				steps[c.Child] = c.Step
			}
			row, ok := o[c.Service+":"+c.Operation]
			if !ok || c.Class != knowngood.Write {
				continue
			}
			made[c.Step]++
			for _, mark := range []string{c.Step, runbook.ScriptStep(c.Step, made[c.Step])} {
				var now []string
				walkText(row.prepare(runID, mark, nil), func(s string) { now = append(now, s) })
				n := 0
				walkText(row.prepare(p.RunID, mark, nil), func(s string) {
					if s != now[n] {
						into[s] = now[n]
					}
					n++
				})
			}
		}
	}
	for i := range p.Children {
		child := &p.Children[i]
		step := steps[child.RunID]
		if p.Group != nil {
			step = nthOf(i)
		}
		o.rename(child, ChildRunID(runID, step, 1), into)
	}
}

// nthOf names the place of a run in its group, as a step's path does in a run.
func nthOf(i int) string { return fmt.Sprintf("[%d]", i+1) }

// renamer replaces names, the longer ones first: a token holds its run's id.
func renamer(names map[string]string) *strings.Replacer {
	keys := slices.SortedFunc(maps.Keys(names), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	var pairs []string
	for _, k := range keys {
		pairs = append(pairs, k, names[k])
	}
	return strings.NewReplacer(pairs...)
}

// bindKnown replaces in a template the references to calls that have been made, and
// leaves the rest a template.
func bindKnown(template any, b bindings) (any, error) {
	switch t := template.(type) {
	case []any:
		out := make([]any, len(t))
		for i, e := range t {
			v, err := bindKnown(e, b)
			if err != nil {
				return nil, err
			}
			out[i] = v
		}
		return out, nil
	case map[string]any:
		key, arg, ok := special(t)
		switch {
		case ok && key == refKey:
			m, _ := arg.(map[string]any)
			from, _ := m["from"].(string)
			if _, made := b[from]; !made {
				return t, nil
			}
			v, err := bind(t, b)
			return toTemplate(v), err
		case ok && key == textKey:
			parts, _ := arg.([]any)
			bound, err := bindKnown(parts, b)
			if err != nil {
				return nil, err
			}
			return joined(bound.([]any)), nil
		case ok && key == literalKey:
			inner, _ := arg.(map[string]any)
			bound, err := bindMembers(inner, b)
			return map[string]any{literalKey: bound}, err
		}
		return bindMembers(t, b)
	}
	return template, nil
}

func bindMembers(t map[string]any, b bindings) (any, error) {
	out := make(map[string]any, len(t))
	for k, e := range t {
		v, err := bindKnown(e, b)
		if err != nil {
			return nil, err
		}
		out[k] = v
	}
	return out, nil
}

// joined is the concatenation of parts, as far as they are known.
func joined(parts []any) any {
	var out []any
	for _, p := range parts {
		if m, ok := p.(map[string]any); ok {
			if _, _, unknown := special(m); unknown {
				out = append(out, p)
				continue
			}
		}
		s, ok := p.(string)
		if !ok {
			s = text(p)
		}
		if n := len(out); n > 0 {
			if before, ok := out[n-1].(string); ok {
				out[n-1] = before + s
				continue
			}
		}
		out = append(out, s)
	}
	if len(out) == 1 {
		if s, ok := out[0].(string); ok {
			return s
		}
	}
	return map[string]any{textKey: out}
}
