package rule

import (
	"fmt"
	"time"

	"github.com/knowngood/knowngood"
)

// interpreted is a rule that cel-go's own evaluator evaluates: what we can't
// compile, and every rule in the tests that hold our evaluation against it.
type interpreted struct {
	rule *Rule
	why  string // it isn't compiled
}

// verdict is as a plan's, on an item that isn't deleted and is of the rule's types.
func (i interpreted) verdict(item *knowngood.Resource, now time.Time, lookup Lookup) (knowngood.Compliance, string) {
	d := i.rule.Definition
	vars, err := i.rule.vars(item, now, lookup)
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
func (d *Definition) annotate(item *knowngood.Resource, vars any) string {
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
func (e *expression) holds(item *knowngood.Resource, vars any) (value bool, why string) {
	if why := unread(item.Unread, e.reads); why != "" {
		return false, why
	}
	v, _, err := e.program.Eval(vars)
	if err != nil {
		return false, notEvaluated + err.Error()
	}
	b, ok := v.Value().(bool)
	if !ok {
		return false, fmt.Sprintf("%sit gave %s, not a boolean", notEvaluated, v.Type().TypeName())
	}
	return b, ""
}

const notEvaluated = "the rule could not be evaluated: "
