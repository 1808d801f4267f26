package eventpattern

// Rule is a pattern and what it is known by.
type Rule[ID any] struct {
	ID      ID
	Pattern *Pattern
}

// Set matches events against many patterns at once. To change it, make another.
type Set[ID any] struct {
	ids    []ID
	engine *engine
}

// NewSet makes a set. Rules may share an identity, and a pattern.
func NewSet[ID any](rules ...Rule[ID]) *Set[ID] {
	s := &Set[ID]{}
	var patterns []*Pattern
	for _, r := range rules {
		s.ids = append(s.ids, r.ID)
		patterns = append(patterns, r.Pattern)
	}
	s.engine = newEngine(patterns)
	return s
}

// Match gives the identities of the rules whose pattern an event matches, in the
// order of the rules. The error is as that of Pattern.Match; there are no
// identities beside it.
func (s *Set[ID]) Match(event []byte) ([]ID, error) { return s.AppendMatch(nil, event) }

// AppendMatch is Match, appending to a list that the caller has.
func (s *Set[ID]) AppendMatch(ids []ID, event []byte) ([]ID, error) {
	err := s.engine.with(event, func(m *matching) {
		for _, i := range m.matched {
			ids = append(ids, s.ids[i])
		}
	})
	return ids, err
}
