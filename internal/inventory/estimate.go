package inventory

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"
)

// Estimate is what a survey would call, as far as that can be told without a call.
type Estimate struct {
	Calls []EstimatedCalls // by service and operation
	// Uncounted are the types with calls for each resource of which nobody has
	// counted the resources: those calls come on top.
	Uncounted []string
	// Took is how long the calls take at the pace that is allowed: those in the Region
	// and API that are the slowest, which Slowest names.
	Took    time.Duration
	Slowest string
}

// EstimatedCalls are the calls of one operation.
type EstimatedCalls struct {
	Service   string `json:"service"`
	Operation string `json:"operation"`
	Calls     int    `json:"calls"` // at least
	PerItem   int    `json:"perResource"`
	// Uncounted: there are resources that nobody has counted.
	Uncounted bool `json:"uncounted,omitempty"`
	// USD is what they cost, 0 where AWS doesn't bill them.
	USD         float64 `json:"usd,omitempty"`
	Description string  `json:"billedAs,omitempty"`
	Source      string  `json:"source,omitempty"`
}

// pageSize is taken for a list that names none.
const pageSize = 100

// Estimate says what a survey would call; counts are how many resources there were
// of a type in a Region, "global" among them, when they were last read.
func (c *Collector) Estimate(v Survey, counts map[[2]string]int, rates *Rates) Estimate {
	e := &estimator{calls: map[[2]string]*EstimatedCalls{}, uncounted: map[string]bool{}, load: map[[2]string]float64{}, rates: rates}
	for _, p := range c.parts(v) {
		if p.typ == nil {
			continue
		}
		n, counted := counts[[2]string{p.region, p.name}]
		e.part(c, p, n, counted)
	}
	out := Estimate{Uncounted: slices.Sorted(maps.Keys(e.uncounted))}
	for _, calls := range e.calls {
		if price, ok := rates.Billed(calls.Service, calls.Operation); ok {
			calls.USD, calls.Description, calls.Source = float64(calls.Calls)*price.USDPer1000/1000, price.Description, price.Source
		}
		out.Calls = append(out.Calls, *calls)
	}
	slices.SortFunc(out.Calls, func(a, b EstimatedCalls) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Operation, b.Operation))
	})
	percent := cmp.Or(c.Percent, defaultPercent)
	for key, n := range e.load {
		p := newPace(e.limits[key], percent)
		took := time.Duration(max(n-p.burst, 0) / p.rate * float64(time.Second))
		if took > out.Took || took == out.Took && took > 0 && key[0]+key[1] < out.Slowest {
			out.Took, out.Slowest = took, key[1]+" in "+key[0]
		}
	}
	return out
}

type estimator struct {
	calls     map[[2]string]*EstimatedCalls
	uncounted map[string]bool
	load      map[[2]string]float64 // calls by Region and what shares a limit
	limits    map[[2]string]Rate
	rates     *Rates
}

func (e *estimator) add(p part, service, operation string, n int, perItem bool) {
	key := [2]string{service, operation}
	c := e.calls[key]
	if c == nil {
		c = &EstimatedCalls{Service: service, Operation: operation}
		e.calls[key] = c
	}
	c.Calls += n
	if perItem {
		c.PerItem += n
	}
	rate := e.rates.Of(service, operation)
	at := [2]string{p.called, rate.Name}
	if e.limits == nil {
		e.limits = map[[2]string]Rate{}
	}
	e.limits[at] = rate
	e.load[at] += float64(n)
}

// part adds the calls of a type in a Region: of its list at least one page, and what
// is called for each of the resources, if they were counted.
func (e *estimator) part(c *Collector, p part, n int, counted bool) {
	t := p.typ
	each := func(service, operation string) {
		if counted {
			e.add(p, service, operation, n, true)
			return
		}
		e.uncounted[t.Name] = true
		e.add(p, service, operation, 0, true)
		e.calls[[2]string{service, operation}].Uncounted = true
	}
	switch {
	case t.Single:
		n, counted = 1, true
	case t.List.For != nil:
		e.add(p, t.Service, t.List.For.Operation, 1, false)
		each(t.Service, t.List.Operation) // one for each of what has a list: at most so many as have an element
	default:
		e.add(p, t.Service, t.List.Operation, max(1, int(math.Ceil(float64(n)/float64(t.List.pageSize())))), false)
	}
	if t.List.ID != "" {
		each(t.Service, t.Read.Operation)
	}
	if t.Region != nil && t.Region.Operation != "" && t.Region.Member == "" {
		each(t.Service, t.Region.Operation)
	}
	for i := range t.Details {
		if d := &t.Details[i]; c.wanted(t.Name, d.gives()) {
			each(d.Service, d.Operation)
		}
	}
}

// pageSize is how many resources a page of the list has at most.
func (l *List) pageSize() int {
	for name, v := range l.Input {
		n, ok := integer(v).(int64)
		if ok && n > 0 && slices.Contains([]string{"MaxResults", "MaxRecords", "MaxItems", "MaxBuckets", "maxResults", "Limit", "limit"}, name) {
			return int(n)
		}
	}
	return pageSize
}
