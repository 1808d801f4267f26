package sandbox

import (
	"iter"
	"time"
)

// table is the resources of one kind, by id or name. The zero table is empty
// and ready.
type table[T any] map[string]*record[T]

// put makes a resource, from a time on, in place of one of the same id.
func (t *table[T]) put(id string, at time.Time, v T) *record[T] {
	if *t == nil {
		*t = table[T]{}
	}
	if r, ok := (*t)[id]; ok && r != nil { // one that was deleted comes again
		r.forget(at)
		r.Versions = append(r.Versions, version[T]{At: at, Value: v})
		return r
	}
	r := newRecord(at, v)
	(*t)[id] = r
	return r
}

// live gives a resource as of a time; false: it is not there.
func (t table[T]) live(id string, at time.Time) (*record[T], T, bool) {
	if r := t[id]; r != nil {
		if v, ok := r.as(at); ok {
			return r, v, true
		}
	}
	var zero T
	return nil, zero, false
}

// all gives the resources that are there as of a time, in the order of their
// ids.
func (t table[T]) all(at time.Time) iter.Seq2[string, T] {
	return func(yield func(string, T) bool) {
		for _, id := range sorted(t) {
			if _, v, ok := t.live(id, at); ok && !yield(id, v) {
				return
			}
		}
	}
}
