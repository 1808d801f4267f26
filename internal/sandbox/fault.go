package sandbox

import (
	"time"

	"github.com/knowngood/knowngood/awsapi"
)

// Fault makes calls of one operation fail.
type Fault struct {
	Service   string // botocore's name
	Operation string
	Nth       int // the first call of the operation that fails, counted from now, from 1; 0 means 1
	Count     int // how many fail; 0 means 1
	// AfterEffect lets the call take effect before it fails, as a cut
	// connection does.
	AfterEffect bool
	Error       *awsapi.Error // what the call answers; nil: the call succeeds
	// Hook, if set, is called where the fault strikes, before the answer.
	Hook func()
}

type fault struct {
	Fault
	from, to int // of the operation's calls
}

func (f *fault) before() bool {
	if f == nil || f.AfterEffect {
		return false
	}
	if f.Hook != nil {
		f.Hook()
	}
	return f.Error != nil
}

func (f *fault) after() bool {
	if f == nil || !f.AfterEffect {
		return false
	}
	if f.Hook != nil {
		f.Hook()
	}
	return f.Error != nil
}

// Inject adds a fault. Several may be under way at once; the first that fits a
// call strikes.
func (s *Sandbox) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.Nth, f.Count = max(f.Nth, 1), max(f.Count, 1)
	made := s.counts[f.Service+"."+f.Operation]
	s.faults = append(s.faults, &fault{f, made + f.Nth, made + f.Nth + f.Count})
}

// SetStale makes reads answer as of d ago, as AWS's eventually consistent reads
// may. Writes see the present.
func (s *Sandbox) SetStale(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stale = d
}

func (s *Sandbox) nextFault(service, operation string) *fault {
	key := service + "." + operation
	s.counts[key]++
	n := s.counts[key]
	for _, f := range s.faults {
		if f.Service == service && f.Operation == operation && f.from <= n && n < f.to {
			return f
		}
	}
	return nil
}
