package inventory

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"maps"
	"reflect"
	"strings"
	"sync"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

// session is one collection. It is the Caller that counts, bounds and paces the
// calls.
type session struct {
	*Collector
	place knowngood.Place
	slots chan struct{}

	mu     sync.Mutex
	calls  map[string]int
	paces  map[string]*pace // by service
	errors []knowngood.ReadError
}

func (c *Collector) session(place knowngood.Place) *session {
	n := c.Concurrency
	if n <= 0 {
		n = defaultConcurrency
	}
	if place.Partition == "" {
		// A Region that no partition knows can't be called anyway.
		p, _ := c.Catalog.Partition(place.Region)
		place.Partition = cmp.Or(p.ID, "aws")
	}
	return &session{Collector: c, place: place, slots: make(chan struct{}, n), calls: map[string]int{}, paces: map[string]*pace{}}
}

// Call implements awsapi.Caller. A call that the service throttles is made again
// after a pause.
func (s *session) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	p := s.pace(service)
	for try := 1; ; try++ {
		if err := p.wait(ctx, s.Clock); err != nil {
			return nil, err
		}
		out, err := s.once(ctx, service, operation, in, opts)
		if !throttled(err) {
			p.faster()
			return out, err
		}
		if p.slower(s.Clock.Now()); try == throttledTries {
			return nil, err
		}
	}
}

// once makes a call as soon as fewer than the bound are under way.
func (s *session) once(ctx context.Context, service, operation string, in map[string]any, opts []awsapi.CallOption) (map[string]any, error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s.mu.Lock()
	s.calls[service+":"+operation]++
	s.mu.Unlock()
	return s.Caller.Call(ctx, service, operation, in, opts...)
}

func (s *session) pace(service string) *pace {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.paces[service]
	if p == nil {
		p = &pace{}
		s.paces[service] = p
	}
	return p
}

// pages calls an operation in the session's Region.
func (s *session) pages(ctx context.Context, service, operation string, in map[string]any) iter.Seq2[map[string]any, error] {
	return awsapi.Pages(ctx, s, s.Catalog, service, operation, in, s.options()...)
}

// globalRegion is the Region of global resources, as AWS Config has it.
const globalRegion = "global"

func (s *session) options() []awsapi.CallOption {
	if s.place.Region == "" || s.place.Region == globalRegion {
		return nil
	}
	return []awsapi.CallOption{awsapi.Region(s.place.Region)}
}

func (s *session) vars() map[string]string {
	return map[string]string{"partition": s.place.Partition, "account": s.place.Account, "region": s.place.Region}
}

// found is an element of a list, with the variables that templates over it may
// name.
type found struct {
	element any
	vars    map[string]string
}

// listError is the failure of one of a list's calls.
type listError struct {
	operation string
	error
}

func (e *listError) Unwrap() error { return e.error }

// list gives what a type's list holds. An error is a *listError; after one, what
// else can be listed follows.
func (s *session) list(ctx context.Context, t *Type) iter.Seq2[found, error] {
	if t.List.For == nil {
		return s.elements(ctx, t, &t.List.Call, s.vars())
	}
	return func(yield func(found, error) bool) {
		for parent, err := range s.elements(ctx, t, &t.List.For.Call, s.vars()) {
			if err != nil {
				if !yield(found{}, err) {
					return
				}
				continue
			}
			for name, path := range t.List.For.As {
				parent.vars[name], _ = at(parent.element, path).(string)
			}
			for f, err := range s.elements(ctx, t, &t.List.Call, parent.vars) {
				if !yield(f, err) {
					return
				}
			}
		}
	}
}

// tablePages gives the pages of a call by what the table says of them.
func (s *session) tablePages(ctx context.Context, t *Type, call *Call, in map[string]any) iter.Seq2[map[string]any, error] {
	return func(yield func(map[string]any, error) bool) {
		for {
			out, err := s.Call(ctx, t.Service, call.Operation, in, s.options()...)
			if !yield(out, err) || err != nil {
				return
			}
			next, more := maps.Clone(in), false
			if next == nil {
				next = map[string]any{}
			}
			for member, path := range call.Pages {
				token, _ := at(out, path).(string)
				more = more || token != ""
				next[member] = token
			}
			if !more {
				return
			}
			if maps.EqualFunc(next, in, reflect.DeepEqual) {
				yield(nil, errSamePage)
				return
			}
			in = next
		}
	}
}

// elements gives the elements of all of a call's pages.
func (s *session) elements(ctx context.Context, t *Type, call *Call, vars map[string]string) iter.Seq2[found, error] {
	return func(yield func(found, error) bool) {
		in := input(call.Input, vars, nil)
		pages := s.pages(ctx, t.Service, call.Operation, in)
		if call.Pages != nil {
			pages = s.tablePages(ctx, t, call, in)
		}
		for page, err := range pages {
			if err != nil {
				yield(found{}, &listError{call.Operation, err})
				return
			}
			for _, e := range elements(page, call.Items) {
				if !yield(found{e, maps.Clone(vars)}, nil) {
					return
				}
			}
		}
	}
}

// here says whether an element is in the session's Region.
func (s *session) here(ctx context.Context, t *Type, f found) (bool, error) {
	if t.Region == nil {
		return true, nil
	}
	region, _ := at(f.element, t.Region.Member).(string)
	if region == "" && t.Region.Operation != "" {
		out, err := s.Call(ctx, t.Service, t.Region.Operation, input(t.Region.Input, f.vars, f.element), s.options()...)
		if err != nil {
			return false, err
		}
		region, _ = at(out, t.Region.Path).(string)
	}
	if name, ok := t.Region.Names[region]; ok {
		region = name
	}
	if region == "" {
		return false, errNoRegion
	}
	return region == s.place.Region, nil
}

var (
	errNoRegion = errors.New("the answer names no Region")
	errSamePage = errors.New("the service gave the same token twice")
)

// wanted says whether some rule reads one of the members.
func (s *session) wanted(typ string, gives []string) bool {
	return s.Reads == nil || anyRead(s.Reads[typ], gives)
}

// anyRead says whether one of what is read is among what a call gives, inside it,
// or around it.
func anyRead(reads, gives []string) bool {
	for _, read := range reads {
		for _, path := range gives {
			if read == "" || read == path || strings.HasPrefix(read, path+".") || strings.HasPrefix(path, read+".") {
				return true
			}
		}
	}
	return false
}

func (s *session) failed(e knowngood.ReadError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errors = append(s.errors, e)
}

func (s *session) readError(t *Type, id, path, operation string, err error) knowngood.ReadError {
	return knowngood.ReadError{
		Place: s.place, Type: t.Name, ID: id, Path: path, Service: t.Service, Operation: operation, Code: cmp.Or(errorCode(err), CodeFailed), Message: errorMessage(err),
	}
}

func (s *session) noID(t *Type, operation string) knowngood.ReadError {
	return knowngood.ReadError{Place: s.place, Type: t.Name, Service: t.Service, Operation: operation, Code: CodeNoID, Message: "the answer holds a resource without an id"}
}

func errorCode(err error) string {
	var e *awsapi.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func errorMessage(err error) string {
	var e *awsapi.Error
	if errors.As(err, &e) && e.Message != "" {
		return e.Message
	}
	return err.Error()
}
