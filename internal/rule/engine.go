package rule

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/document"
)

// engine is rules compiled together: for each type of resource one projection that
// has what all of them read, and their closures. It is safe for concurrent use.
type engine struct {
	types     map[string]*typePlan
	others    map[string]*document.Projection // of resources that are looked up
	constants []value                         // lists and maps that are constant
	depth     int                             // macros in one another
	sweeps    sync.Pool
}

// typePlan is how items of a type are evaluated.
type typePlan struct {
	resourceType string
	projection   *document.Projection
	slots        envelopeSlots
	plans        []*plan // by their rules' names
	related      bool    // some of them look the item's relations up
}

// plan is a rule ready to run.
type plan struct {
	active     Active
	scoped     bool               // to some resources of the type
	applies    func(*machine) tri // nil: always
	compliant  func(*machine) tri
	annotation func(*machine) value // nil: the title
	reads      [3][]string          // of the three
	others     map[string][]string
	fallback   *interpreted // cel-go evaluates the rule
}

// envelopeSlots are where a projection has what every evaluation needs.
type envelopeSlots struct {
	account, olderAccount, region, resourceType, id, status, unread, configuration, relationships, tags int
}

// none is a name that no member has: a path to it makes what is on the way known
// without keeping it.
const none = "\x00"

// envelopePaths are what every evaluation needs of an item.
var envelopePaths = [][]string{
	{"accountId"}, {"awsAccountId"}, {"awsRegion"}, {"resourceType"}, {"resourceId"}, {"configurationItemStatus"}, {"unread"},
	{"configuration", none}, {"tags", none},
}

func slotsOf(p *document.Projection) envelopeSlots {
	at := func(name string) int {
		slot, _ := p.Slot([]string{name}) // of one that no rule reads it is 0, the item
		return slot
	}
	return envelopeSlots{
		at("accountId"), at("awsAccountId"), at("awsRegion"), at("resourceType"), at("resourceId"), at("configurationItemStatus"), at("unread"),
		at("configuration"), at("relationships"), at("tags"),
	}
}

// newEngine compiles rules.
func newEngine(active []Active) *engine {
	e := &engine{types: map[string]*typePlan{}, others: map[string]*document.Projection{}}
	own, others := map[string][][]string{}, map[string][][]string{}
	for _, a := range active {
		for _, x := range a.Rule.Definition.expressions() {
			for t, paths := range x.paths {
				if t != "" {
					others[t] = append(others[t], paths...)
					continue
				}
				for _, t := range a.types() {
					own[t] = append(own[t], paths...)
				}
			}
		}
		for _, t := range a.types() {
			own[t] = append(own[t], envelopePaths...)
			if a.Scope.TagKey != "" {
				own[t] = append(own[t], []string{"tags", a.Scope.TagKey})
			}
		}
	}
	for t, paths := range others {
		e.others[t] = document.NewProjection(append(paths, []string{none}))
	}
	for t, paths := range own {
		for _, p := range paths {
			if len(p) == 1 && olderNames[p[0]] != "" {
				paths = append(paths, []string{olderNames[p[0]]})
			}
		}
		p := document.NewProjection(paths)
		e.types[t] = &typePlan{
			resourceType: t, projection: p, slots: slotsOf(p),
			related: slices.ContainsFunc(paths, func(p []string) bool { return len(p) == 1 && p[0] == "relationships" }),
		}
	}
	fold := newMachine(time.Time{})
	for _, a := range active {
		for _, t := range a.types() {
			tp := e.types[t]
			tp.plans = append(tp.plans, a.compile(tp.projection, fold, &e.depth))
		}
	}
	for _, t := range e.types {
		slices.SortFunc(t.plans, func(a, b *plan) int { return cmp.Compare(a.active.Name, b.active.Name) })
	}
	e.constants = fold.arena
	return e
}

// expressions are those that a rule has.
func (d *Definition) expressions() []*expression {
	return slices.DeleteFunc([]*expression{d.applies, d.compliant, d.annotation}, func(e *expression) bool { return e == nil })
}

// compile makes a rule's closures, for items parsed with the projection.
func (a Active) compile(projection *document.Projection, fold *machine, depth *int) *plan {
	d := a.Rule.Definition
	c := &compiler{projection: projection, params: a.Rule.params, fold: fold, depth: depth}
	p := &plan{active: a, others: d.Others, scoped: a.Scope.ResourceID != "" || a.Scope.TagKey != ""}
	if d.applies != nil {
		p.applies, p.reads[0] = c.expr(d.applies.root).tester(), d.applies.reads
	}
	p.compliant, p.reads[1] = c.expr(d.compliant.root).tester(), d.compliant.reads
	if d.annotation != nil {
		p.annotation, p.reads[2] = c.expr(d.annotation.root).evaluator(), d.annotation.reads
	}
	if c.cannot != "" {
		p.fallback = &interpreted{a.Rule, c.cannot}
	}
	return p
}

// Interpreted says why cel-go's own evaluator evaluates the rule, which is many
// times slower; "" where our compiled closures do.
func (r *Rule) Interpreted() string {
	for _, t := range r.engine.types {
		for _, p := range t.plans {
			if p.fallback != nil {
				return p.fallback.why
			}
		}
	}
	return ""
}

// evaluate evaluates one item, by a sweep that is kept for the next.
func (e *engine) evaluate(item *knowngood.Resource, now time.Time, lookup Lookup) []knowngood.Evaluation {
	w, _ := e.sweeps.Get().(*Sweep)
	if w == nil {
		w = e.sweep(now)
	}
	w.setNow(now)
	out := slices.Clone(w.Resource(item, lookup))
	w.forget()
	e.sweeps.Put(w)
	return out
}
