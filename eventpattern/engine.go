package eventpattern

import (
	"slices"
	"sync"
)

// engine matches events against branches, those of one pattern or those of a set.
//
// A branch is a candidate for an event if the event's values lead to it in the
// index, and it is then checked as a whole. So the index may lead to branches that
// don't match, but must not miss one.
type engine struct {
	steps      *steps
	fields     []*index // by field; nil where no branch is filed
	conditions []filed
	branches   []filedBranch
	always     []int32 // branches that are candidates for every event
	pool       sync.Pool
}

// filed is a condition of an engine and its field.
type filed struct {
	*condition
	field int32
}

// filedBranch is a branch of an engine: its conditions in the order of their
// paths, and whose it is.
type filedBranch struct {
	conditions []int32
	owner      int32
}

// newEngine makes an engine for patterns, by whose indexes it calls them. A single
// pattern needs no index.
func newEngine(patterns []*Pattern) *engine {
	g := &engine{steps: newSteps()}
	known := map[*condition]int32{}
	same := map[[2]string]int32{}
	for owner, p := range patterns {
		for _, b := range p.branches {
			fb := filedBranch{owner: int32(owner)}
			for _, c := range b {
				id, ok := known[c]
				if !ok {
					key := [2]string{c.path, c.want}
					if id, ok = same[key]; !ok {
						id = g.add(c)
						same[key] = id
					}
					known[c] = id
				}
				fb.conditions = append(fb.conditions, id)
			}
			g.branches = append(g.branches, fb)
		}
	}
	if len(patterns) > 1 {
		g.file()
	} else {
		for i := range g.branches {
			g.always = append(g.always, int32(i))
		}
	}
	g.pool.New = func() any { return newMatching(g, len(patterns)) }
	return g
}

func (g *engine) add(c *condition) int32 {
	t := g.steps.at(c.path)
	if t.field < 0 {
		t.field = int32(len(g.fields))
		g.fields = append(g.fields, nil)
	}
	g.conditions = append(g.conditions, filed{c, t.field})
	return int32(len(g.conditions) - 1)
}

// file files each branch under its most telling condition: the one that fewest
// branches share, in a field that tells the most values apart.
func (g *engine) file() {
	uses := make([]map[key]int, len(g.fields)) // by field: the branches for each key
	keys := make([][]key, len(g.conditions))
	for i, c := range g.conditions {
		keys[i] = keysOf(c.matchers)
	}
	for _, b := range g.branches {
		for _, id := range b.conditions {
			field := g.conditions[id].field
			if uses[field] == nil {
				uses[field] = map[key]int{}
			}
			for _, k := range keys[id] {
				uses[field][k]++
			}
		}
	}
	for i, b := range g.branches {
		best, bestCost := int32(-1), 0.0
		for _, id := range b.conditions {
			c := g.conditions[id]
			if c.absent {
				continue // holds without a value that could lead to it
			}
			cost := 0.0
			for _, k := range keys[id] {
				if n := float64(uses[c.field][k]); k.by == anyValue {
					cost += n
				} else {
					cost += n / float64(len(uses[c.field]))
				}
			}
			if best < 0 || cost < bestCost {
				best, bestCost = id, cost
			}
		}
		if best < 0 {
			g.always = append(g.always, int32(i))
			continue
		}
		field := g.conditions[best].field
		if g.fields[field] == nil {
			g.fields[field] = newIndex()
		}
		for _, k := range keys[best] {
			g.fields[field].add(k, int32(i))
		}
	}
	for _, x := range g.fields {
		if x != nil {
			x.finish()
		}
	}
}

// matching is the memory of matching one event.
type matching struct {
	*engine
	event   event
	round   uint32 // numbers the events, so that what was found for another is old
	results []result
	tried   []uint32 // by branch: the round in which it was
	owners  []uint32 // by owner: the round in which it matched
	matched []int32  // owners
	join    join
	err     error
}

// result is what a condition comes to for an event.
type result struct {
	round  uint32
	free   bool    // a value outside any array matches: nothing is bound by it
	values []int32 // the values that match, by their index in the field
}

func newMatching(g *engine, owners int) *matching {
	return &matching{
		engine:  g,
		event:   event{fields: make([]field, len(g.fields))},
		results: make([]result, len(g.conditions)),
		tried:   make([]uint32, len(g.branches)),
		owners:  make([]uint32, owners),
	}
}

// with parses an event and calls f with what matches.
func (g *engine) with(data []byte, f func(*matching)) error {
	m := g.pool.Get().(*matching)
	m.next()
	err := m.event.read(data, g.steps)
	if err == nil {
		m.run()
		if err = m.err; err == nil {
			f(m)
		}
	}
	if m.event.reset() && m.join.reset() {
		g.pool.Put(m)
	}
	return err
}

// next forgets the event before.
func (m *matching) next() {
	m.event.reset()
	m.matched, m.err = m.matched[:0], nil
	if m.round++; m.round == 0 { // once in four billion events, what is old looks new
		m.round = 1
		clear(m.tried)
		clear(m.owners)
		clear(m.results)
	}
}

// run finds what matches the event that was read.
func (m *matching) run() {
	for _, b := range m.always {
		m.try(b)
	}
	for _, i := range m.event.touched {
		if x := m.fields[i]; x != nil {
			values := m.event.fields[i].values
			for j := range values {
				x.find(&values[j], m.try)
			}
		}
	}
	slices.Sort(m.matched)
}

// try checks a branch, once for an event.
func (m *matching) try(b int32) {
	if m.tried[b] == m.round {
		return
	}
	m.tried[b] = m.round
	owner := m.branches[b].owner
	if m.owners[owner] != m.round && m.holds(m.branches[b].conditions) {
		m.owners[owner] = m.round
		m.matched = append(m.matched, owner)
	}
}

// holds says whether all conditions hold, on values that go together.
func (m *matching) holds(conditions []int32) bool {
	bound, absent := 0, 0
	for _, id := range conditions {
		c := m.conditions[id]
		r := m.result(id)
		if c.absent && len(m.event.fields[c.field].values) > 0 {
			absent++
		}
		switch {
		case len(r.values) == 0 && !c.absent:
			return false
		case !r.free && len(r.values) > 0:
			bound++
		}
	}
	if bound < 2 && absent == 0 {
		return true
	}
	ok, err := m.join.holds(m, conditions)
	if err != nil {
		m.err = err
	}
	return ok
}

// result evaluates a condition, once for an event.
func (m *matching) result(id int32) *result {
	r := &m.results[id]
	if r.round == m.round {
		return r
	}
	*r = result{round: m.round, values: r.values[:0]}
	c := m.conditions[id]
	values := m.event.fields[c.field].values
	for i := range values {
		if slices.ContainsFunc(c.matchers, func(w matcher) bool { return w.match(&values[i]) }) {
			r.values = append(r.values, int32(i))
			r.free = r.free || values[i].elem == 0
		}
	}
	return r
}
