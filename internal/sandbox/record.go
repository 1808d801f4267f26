package sandbox

import (
	"sort"
	"time"
)

// record is a resource over time: what it was, is, and, while a change takes
// its time, will be. A read as of any time is a look-up, so a state needs no
// timer to come about, and a stale read is a read as of a little earlier.
type record[T any] struct {
	Versions []version[T] `json:"versions"` // by time
}

type version[T any] struct {
	At    time.Time `json:"at"`
	Value T         `json:"value"`
	Gone  bool      `json:"gone,omitempty"` // from then on it is not there
}

// newRecord is a resource that exists from a time on.
func newRecord[T any](at time.Time, v T) *record[T] {
	return &record[T]{Versions: []version[T]{{At: at, Value: v}}}
}

// as gives the resource as of a time; false: it did not exist yet, or is gone.
func (r *record[T]) as(at time.Time) (T, bool) {
	i := r.index(at)
	if i == 0 || r.Versions[i-1].Gone {
		var zero T
		return zero, false
	}
	return r.Versions[i-1].Value, true
}

// index is the number of versions up to a time.
func (r *record[T]) index(at time.Time) int {
	return sort.Search(len(r.Versions), func(i int) bool { return r.Versions[i].At.After(at) })
}

// change makes a change at a time; versions after it have the change too.
func (r *record[T]) change(at time.Time, fn func(*T)) {
	i := r.index(at)
	if i == 0 {
		return
	}
	if !r.Versions[i-1].At.Equal(at) {
		v := version[T]{At: at, Value: r.Versions[i-1].Value, Gone: r.Versions[i-1].Gone}
		r.Versions = append(r.Versions[:i], append([]version[T]{v}, r.Versions[i:]...)...)
		i++
	}
	for ; i <= len(r.Versions); i++ {
		fn(&r.Versions[i-1].Value)
	}
}

// end makes the resource gone from a time on.
func (r *record[T]) end(at time.Time) {
	r.forget(at)
	if n := len(r.Versions); n > 0 {
		r.Versions = append(r.Versions, version[T]{At: at, Value: r.Versions[n-1].Value, Gone: true})
	}
}

// forget drops what would have come after a time.
func (r *record[T]) forget(at time.Time) { r.Versions = r.Versions[:r.index(at)] }
