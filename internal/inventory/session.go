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

// session reads one type in one place. It is the Caller that counts, bounds and
// paces the calls, together with all others of its survey.
type session struct {
	*Collector
	*survey
	place  knowngood.Place // of the calls
	region string          // Region of the items

	mu     sync.Mutex
	errors []knowngood.ReadError
}

// survey is what the sessions of a collection have in common.
type survey struct {
	slots chan struct{}

	mu      sync.Mutex
	calls   map[string]int
	paces   map[[2]string]*pace // by Region and what shares a limit
	silent  map[string]int      // Regions that never answered, and how often; -1: it has
	expired error               // the credentials came to their end
	stop    context.CancelFunc
}

const (
	defaultConcurrency = 16
	defaultPercent     = 20
	// deaf is how often a Region may leave a call without any answer, if it has never
	// given one, before nothing more is tried: each may wait for long.
	deaf = 5
)

func (c *Collector) newSurvey(stop context.CancelFunc) *survey {
	return &survey{slots: make(chan struct{}, cmp.Or(max(c.Concurrency, 0), defaultConcurrency)), calls: map[string]int{}, paces: map[[2]string]*pace{}, silent: map[string]int{}, stop: stop}
}

// session begins to read in a place; region is that of the items, "global" for
// those of all Regions.
func (c *Collector) session(v *survey, place knowngood.Place, region string) *session {
	if place.Partition == "" {
		// A Region that no partition knows can't be called anyway.
		p, _ := c.Catalog.Partition(place.Region)
		place.Partition = cmp.Or(p.ID, "aws")
	}
	return &session{Collector: c, survey: v, place: place, region: region}
}

// Call implements awsapi.Caller. A call that the service throttles, or that fails in
// a way that may pass, is made again after a pause: here, and not by the Caller, so
// that the first throttling slows all calls.
func (s *session) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	p := s.pace(service, operation)
	opts = append(opts, awsapi.MaxAttempts(1))
	for try := 1; ; try++ {
		if err := p.wait(ctx, s.Clock); err != nil {
			return nil, err
		}
		out, err := s.once(ctx, service, operation, in, opts)
		s.heard(err)
		switch {
		case throttled(err):
			if p.slower(s.Clock.Now()); try >= throttledTries {
				return nil, err
			}
		case transient(err) && try < transientTries:
			if err := s.Clock.Sleep(ctx, firstPause<<(try-1)); err != nil {
				return nil, err
			}
		default:
			p.faster()
			return out, err
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
	s.survey.mu.Lock()
	silent := s.silent[s.place.Region] >= deaf
	if !silent {
		s.calls[service+":"+operation]++
	}
	s.survey.mu.Unlock()
	if silent {
		return nil, &awsapi.Error{Code: awsapi.CodeNoResponse, Service: service, Operation: operation, Message: "nothing in " + s.place.Region + " answers, so it was not tried"}
	}
	return s.Caller.Call(ctx, service, operation, in, opts...)
}

// heard notes what a call came to: that its Region answers, or does not, and that the credentials came to their end, which ends the survey.
func (s *session) heard(err error) {
	s.survey.mu.Lock()
	defer s.survey.mu.Unlock()
	switch code := errorCode(err); {
	case err == nil || code != "" && code != awsapi.CodeNoResponse && code != awsapi.CodeNoCredentials:
		s.silent[s.place.Region] = -1
	case code == awsapi.CodeNoResponse && s.silent[s.place.Region] >= 0:
		s.silent[s.place.Region]++
	}
	if expired(err) && s.expired == nil {
		s.expired = err
		s.stop()
	}
}

func (s *session) pace(service, operation string) *pace {
	rate := Rate{Name: service}
	if s.Rates != nil {
		rate = s.Rates.Of(service, operation)
	}
	key := [2]string{s.place.Region, rate.Name}
	s.survey.mu.Lock()
	defer s.survey.mu.Unlock()
	p := s.paces[key]
	if p == nil {
		p = newPace(rate, cmp.Or(s.Percent, defaultPercent))
		s.paces[key] = p
	}
	return p
}

// pages calls an operation in the session's Region.
func (s *session) pages(ctx context.Context, service, operation string, in map[string]any) iter.Seq2[map[string]any, error] {
	return awsapi.Pages(ctx, s, s.Catalog, service, operation, in, s.options()...)
}

// Global is the Region of global resources, as AWS Config has it.
const Global = "global"

func (s *session) options() []awsapi.CallOption {
	if s.place.Region == "" || s.place.Region == Global {
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
	if t.Single {
		return func(yield func(found, error) bool) { yield(found{nil, s.vars()}, nil) }
	}
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
func (c *Collector) wanted(typ string, gives []string) bool {
	return c.Reads == nil || anyRead(c.Reads[typ], gives)
}

// anyRead says whether one of the reads is one of the members, lies within it or has
// it within.
func anyRead(reads, members []string) bool {
	for _, read := range reads {
		for _, path := range members {
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

// where is the place that read errors name: that of the items.
func (s *session) where() knowngood.Place {
	p := s.place
	p.Region = s.region
	return p
}

func (s *session) readError(t *Type, id, path, operation string, err error) knowngood.ReadError {
	return knowngood.ReadError{
		Place: s.where(), Type: t.Name, ID: id, Path: path, Service: t.Service, Operation: operation, Code: cmp.Or(errorCode(err), CodeFailed), Message: errorMessage(err),
	}
}

func (s *session) noID(t *Type, operation string) knowngood.ReadError {
	return knowngood.ReadError{Place: s.where(), Type: t.Name, Service: t.Service, Operation: operation, Code: CodeNoID, Message: "the answer holds a resource without an id"}
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
