package eventpattern

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// maxSteps bounds the search for values that go together.
const maxSteps = 1 << 20

// join finds, for the conditions of a branch, values such that no two of them lie
// in different elements of one array.
//
// It takes the conditions in their order. A value binds each array around it to
// the element that holds it; the next condition has only the values that the
// bindings so far allow, which the tree of its values finds without looking at the
// others. What failed is remembered by the bindings that still matter to the
// conditions to come, so that the search takes about as many steps as there are
// values.
type join struct {
	m          *matching
	conditions []int32
	values     []*tree // by condition: what matches
	present    []*tree // by condition: all that is there, for absent
	lastUse    []int32 // by array: the last condition whose trees have it
	bound      []int32 // by array: the element, 0 for none
	order      []int32 // the arrays that are bound, in that order
	failed     map[string]bool
	steps      int
}

// tree holds values by the elements around them, from outside in.
type tree struct {
	element int32
	here    bool // a value is in no further array
	arrays  []treeArray
}

type treeArray struct {
	array    int32
	elements []*tree
}

// add adds a value. Values come in the order of the event, in which what is in an
// element stands together.
func (t *tree) add(elements []element, elem int32) *tree {
	if elem == 0 {
		return t
	}
	t = t.add(elements, elements[elem].parent)
	array := elements[elem].array
	if n := len(t.arrays); n == 0 || t.arrays[n-1].array != array {
		t.arrays = append(t.arrays, treeArray{array: array})
	}
	a := &t.arrays[len(t.arrays)-1]
	if n := len(a.elements); n == 0 || a.elements[n-1].element != elem {
		a.elements = append(a.elements, &tree{element: elem})
	}
	return a.elements[len(a.elements)-1]
}

// reset forgets an event. It says whether the memory is worth keeping.
func (j *join) reset() bool {
	j.m, j.conditions = nil, nil
	clear(j.values)
	clear(j.present)
	clear(j.failed)
	return len(j.lastUse) <= maxKept && j.steps <= maxKept
}

func (j *join) holds(m *matching, conditions []int32) (bool, error) {
	j.m, j.conditions, j.steps = m, conditions, 0
	j.values = append(j.values[:0], make([]*tree, len(conditions))...)
	j.present = append(j.present[:0], make([]*tree, len(conditions))...)
	j.lastUse = zeros(j.lastUse, int(m.event.arrays))
	j.bound = zeros(j.bound, int(m.event.arrays))
	j.order = j.order[:0]
	if j.failed == nil {
		j.failed = map[string]bool{}
	}
	clear(j.failed)
	for i, id := range conditions {
		c := m.conditions[id]
		values := m.event.fields[c.field].values
		j.values[i] = &tree{}
		for _, v := range m.result(id).values {
			j.plant(i, j.values[i], values[v].elem)
		}
		if c.absent {
			j.present[i] = &tree{}
			for v := range values {
				j.plant(i, j.present[i], values[v].elem)
			}
		}
	}
	ok := j.from(0)
	if j.steps > maxSteps {
		return false, ErrTooComplex
	}
	return ok, nil
}

func zeros(s []int32, n int) []int32 {
	s = slices.Grow(s[:0], n)[:n]
	clear(s)
	return s
}

func (j *join) plant(i int, t *tree, elem int32) {
	elements := j.m.event.elements
	t.add(elements, elem).here = true
	for ; elem != 0; elem = elements[elem].parent {
		j.lastUse[elements[elem].array] = int32(i)
	}
}

// from says whether the conditions from the i-th on can hold with what is bound.
func (j *join) from(i int) bool {
	if i == len(j.conditions) {
		return true
	}
	if j.steps++; j.steps > maxSteps {
		return false
	}
	key := j.key(i)
	if j.failed[key] {
		return false
	}
	if j.choose(i, j.values[i]) || j.present[i] != nil && !j.reaches(j.present[i]) && j.from(i+1) {
		return true
	}
	j.failed[key] = true
	return false
}

// choose goes on with each value of a tree of the i-th condition that the bindings
// allow, until one will do.
func (j *join) choose(i int, t *tree) bool {
	if t.here && j.from(i+1) {
		return true
	}
	for _, a := range t.arrays {
		if j.bound[a.array] != 0 {
			if e := a.find(j.bound[a.array]); e != nil && j.choose(i, e) {
				return true
			}
			continue
		}
		j.order = append(j.order, a.array)
		for _, e := range a.elements {
			if j.steps++; j.steps > maxSteps {
				break
			}
			j.bound[a.array] = e.element
			if j.choose(i, e) {
				return true
			}
		}
		j.bound[a.array] = 0
		j.order = j.order[:len(j.order)-1]
	}
	return false
}

// reaches says whether the bindings allow any value of a tree. Each of its
// elements has one; and where an array isn't bound, none within it is.
func (j *join) reaches(t *tree) bool {
	if t.here {
		return true
	}
	for _, a := range t.arrays {
		if j.bound[a.array] == 0 {
			return true
		}
		if e := a.find(j.bound[a.array]); e != nil && j.reaches(e) {
			return true
		}
	}
	return false
}

// find gives the tree of an element, or nil. The elements are in the order of
// their numbers.
func (a treeArray) find(element int32) *tree {
	i, found := slices.BinarySearchFunc(a.elements, element, func(t *tree, id int32) int { return cmp.Compare(t.element, id) })
	if !found {
		return nil
	}
	return a.elements[i]
}

// key names the i-th condition and what of the bindings matters from there on.
func (j *join) key(i int) string {
	key := binary.AppendUvarint(nil, uint64(i))
	var elements []int32
	for _, a := range j.order {
		if j.lastUse[a] >= int32(i) {
			elements = append(elements, j.bound[a])
		}
	}
	slices.Sort(elements)
	for _, e := range elements {
		key = binary.AppendUvarint(key, uint64(e))
	}
	return string(key)
}
