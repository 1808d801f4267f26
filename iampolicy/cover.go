package iampolicy

import (
	"cmp"
	"container/heap"
	"slices"
)

// block is actions that are all needed on the same resources.
type block struct {
	actions, resources []int // sorted
}

// rows are the two plain ways: actions with the same resources together, and
// resources with the same actions together.
func (g *needGroup) rows() (byAction, byResource []block) {
	resources, actions := map[int][]int{}, map[int][]int{}
	for _, p := range g.rest {
		resources[p.action] = append(resources[p.action], p.resource)
		actions[p.resource] = append(actions[p.resource], p.action)
	}
	for _, same := range alike(resources) {
		byAction = append(byAction, block{actions: same, resources: resources[same[0]]})
	}
	for _, same := range alike(actions) {
		byResource = append(byResource, block{actions: actions[same[0]], resources: same})
	}
	return byAction, byResource
}

// alike puts together the keys that have equal lists.
func alike(lists map[int][]int) [][]int {
	keys := make([]int, 0, len(lists))
	for k := range lists {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b int) int {
		return cmp.Or(slices.Compare(lists[a], lists[b]), cmp.Compare(a, b))
	})
	var out [][]int
	for i, k := range keys {
		if i > 0 && slices.Equal(lists[keys[i-1]], lists[k]) {
			out[len(out)-1] = append(out[len(out)-1], k)
		} else {
			out = append(out, []int{k})
		}
	}
	return out
}

// cover is the third way: blocks may share pairs. Each plain block is grown by all
// that fits, for a pair twice does no harm; then the block that brings the most new
// pairs for its length is taken, until all are there.
func (g *needGroup) cover(byAction, byResource []block) []block {
	candidates := &queue{}
	for _, b := range byAction {
		candidates.items = append(candidates.items, g.candidate(len(candidates.items), g.grow(b)))
	}
	for _, b := range byResource {
		candidates.items = append(candidates.items, g.candidate(len(candidates.items), g.grow(b)))
	}
	heap.Init(candidates)
	times := make(map[pair]int, len(g.rest)) // how often each pair is in the blocks taken
	left := len(g.rest)
	for _, p := range g.rest {
		times[p] = 0
	}
	var taken []block
	for left > 0 {
		// What a block brings only gets less, so the first whose count is up to
		// date is the best. The plain blocks have all pairs: the queue can't end.
		top := candidates.items[0]
		if gain := top.gain(times); gain != top.new {
			top.new = gain
			heap.Fix(candidates, 0)
			continue
		}
		heap.Pop(candidates)
		taken = append(taken, top.block)
		left -= top.new
		top.each(func(p pair) {
			if _, ok := times[p]; ok {
				times[p]++
			}
		})
	}
	return trim(taken, times)
}

// grow adds each action that is needed on all resources of the block, then each
// resource that all its actions are needed on.
func (g *needGroup) grow(b block) block {
	var out block
	for _, a := range g.by[b.resources[0]] {
		if !slices.ContainsFunc(b.resources, func(r int) bool { return !g.needed[pair{a, r}] }) {
			out.actions = append(out.actions, a)
		}
	}
	for _, r := range g.on[out.actions[0]] {
		if !slices.ContainsFunc(out.actions, func(a int) bool { return !g.needed[pair{a, r}] }) {
			out.resources = append(out.resources, r)
		}
	}
	return out
}

// trim takes from each block the actions and resources that bring nothing which
// the others don't have.
func trim(blocks []block, times map[pair]int) []block {
	// spare says whether each pair of the block with this action or resource is
	// in another too, or not needed by itself.
	spare := func(b block) bool {
		free := true
		b.each(func(p pair) {
			if n, ok := times[p]; ok && n < 2 {
				free = false
			}
		})
		return free
	}
	drop := func(b block) bool {
		if !spare(b) {
			return false
		}
		b.each(func(p pair) {
			if _, ok := times[p]; ok {
				times[p]--
			}
		})
		return true
	}
	var out []block
	for _, b := range slices.Backward(blocks) {
		b.resources = slices.DeleteFunc(slices.Clone(b.resources), func(r int) bool {
			return drop(block{actions: b.actions, resources: []int{r}})
		})
		b.actions = slices.DeleteFunc(slices.Clone(b.actions), func(a int) bool {
			return drop(block{actions: []int{a}, resources: b.resources})
		})
		if len(b.actions) > 0 && len(b.resources) > 0 {
			out = append(out, b)
		}
	}
	return out
}

func (b block) each(do func(p pair)) {
	for _, a := range b.actions {
		for _, r := range b.resources {
			do(pair{a, r})
		}
	}
}

// candidate is a block with what it brings and what it costs.
type candidate struct {
	block
	index int // for an order that is always the same
	new   int // pairs that it brings, as last counted
	cost  int // characters, about
}

func (g *needGroup) candidate(index int, b block) *candidate {
	c := &candidate{block: b, index: index, new: len(b.actions) * len(b.resources), cost: len(`{"Effect":"Allow","Action":[],"Resource":[]},`) + len(g.key)}
	for _, a := range b.actions {
		c.cost += len(g.actions[a]) + len(`"",`)
	}
	for _, r := range b.resources {
		c.cost += len(g.resources[r]) + len(`"",`)
	}
	return c
}

// gain counts the pairs that no block taken has.
func (c *candidate) gain(times map[pair]int) int {
	n := 0
	c.each(func(p pair) {
		if t, ok := times[p]; ok && t == 0 {
			n++
		}
	})
	return n
}

// queue has the candidate with the most new pairs for its cost first.
type queue struct{ items []*candidate }

func (q *queue) Len() int      { return len(q.items) }
func (q *queue) Swap(i, j int) { q.items[i], q.items[j] = q.items[j], q.items[i] }
func (q *queue) Push(x any)    { q.items = append(q.items, x.(*candidate)) }

func (q *queue) Less(i, j int) bool {
	a, b := q.items[i], q.items[j]
	return cmp.Or(cmp.Compare(b.new*a.cost, a.new*b.cost), cmp.Compare(a.index, b.index)) < 0
}

func (q *queue) Pop() any {
	last := q.items[len(q.items)-1]
	q.items = q.items[:len(q.items)-1]
	return last
}
