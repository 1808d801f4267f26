package app

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/inventory"
	"github.com/knowngood/knowngood/internal/rule"
)

// court judges single resources for remedy: what a rule looks up, and of that what it
// reads, is read afresh.
type court struct {
	*governance
	ses *session
}

// Evaluate implements remedy.Evaluator.
func (c court) Evaluate(ctx context.Context, name string, item *knowngood.Resource, now time.Time) (knowngood.Evaluation, error) {
	a, ok := c.rules.Rule(name)
	if !ok {
		return knowngood.Evaluation{}, knowngood.E(knowngood.Invalid, "evaluate", "no rule %q is in force", name)
	}
	if !a.Scope.Covers(item) {
		return knowngood.Evaluation{Rule: name, Resource: item.Key(), Compliance: knowngood.NotApplicable, Annotation: "it is out of the rule's scope", Time: now.UTC()}, nil
	}
	others, err := c.others(ctx, a.Rule.Definition.Others, item.Region)
	if err != nil {
		return knowngood.Evaluation{}, err
	}
	return a.Evaluate(item, now, others), nil
}

// others is what can be looked up from an item of a Region; nil where nothing is.
func (c court) others(ctx context.Context, reads map[string][]string, region string) (rule.Lookup, error) {
	if len(reads) == 0 {
		return nil, nil
	}
	at := estate{regions: []string{region}}
	if region == inventory.Global {
		var err error
		if at, err = c.ses.estate(ctx, nil); err != nil {
			return nil, err
		}
	}
	types := slices.Sorted(maps.Keys(reads))
	parts, _, err := c.ses.collector(reads).Survey(ctx, c.ses.survey(at, types))
	if err != nil {
		return nil, err
	}
	items, failed := inventory.Together(parts)
	return rule.Among(types, items, append(failed, at.missing(c.ses.types, types)...)), nil
}

// missing says of types that are not global that some of their resources may not have
// been read, where Regions were left out.
func (e estate) missing(table *inventory.Table, types []string) []knowngood.ReadError {
	if !e.partial {
		return nil
	}
	var out []knowngood.ReadError
	for _, name := range types {
		if t, ok := table.Type(name); ok && (!t.Global || t.InEachRegion != nil) {
			out = append(out, knowngood.ReadError{Type: name, Service: t.Service, Operation: t.List.Operation, Code: inventory.CodeNotCollected, Message: "not all Regions were read"})
		}
	}
	return out
}
