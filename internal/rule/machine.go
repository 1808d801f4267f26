package rule

import "time"

// machine is what an evaluation works with. Its buffers are used again for each
// item; values of an item are gone with the next.
type machine struct {
	now      time.Time
	arena    []value // elements of lists and maps that expressions make
	policies map[string]parsedPolicy
}

// list puts elements into the arena.
func (m *machine) list(elements ...value) value {
	from := len(m.arena)
	m.arena = append(m.arena, elements...)
	return span(kindList, from, len(m.arena))
}

// elements gives the elements of a list, nil and false for what is none.
func (m *machine) elements(v value) ([]value, bool) {
	if v.kind != kindList {
		return nil, false
	}
	from, to := v.span()
	return m.arena[from:to], true
}

// texts gives a list of texts.
func (m *machine) texts(v value) ([]string, bool) {
	elements, ok := m.elements(v)
	if !ok {
		return nil, false
	}
	list := make([]string, len(elements))
	for i, e := range elements {
		if e.kind != kindString {
			return nil, false
		}
		list[i] = e.str
	}
	return list, true
}
