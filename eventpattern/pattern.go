package eventpattern

import "sync"

// Pattern is a compiled event pattern. Compile makes it.
type Pattern struct {
	branches []branch
	once     sync.Once
	engine   *engine
}

func (p *Pattern) ready() *engine {
	p.once.Do(func() { p.engine = newEngine([]*Pattern{p}) })
	return p.engine
}

// Match says whether an event, a JSON object, matches. The error is an *Error of
// an event that isn't one, or ErrTooComplex.
func (p *Pattern) Match(event []byte) (bool, error) {
	matched := false
	err := p.ready().with(event, func(m *matching) { matched = len(m.matched) > 0 })
	return matched, err
}
