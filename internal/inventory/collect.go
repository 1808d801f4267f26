package inventory

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

// Collector reads resources. Its fields are set before its first use. It may be
// used by many goroutines.
type Collector struct {
	Caller  awsapi.Caller
	Catalog *awsapi.Catalog
	Table   *Table
	Clock   knowngood.Clock
	// Reads are the members of each type that some active rule reads; calls
	// that give none of them are not made. Nil: everything is read.
	Reads map[string][]string
	// Rates are the limits of AWS's APIs, of which Percent, 20 where it is 0, are
	// used at most. nil: calls are as fast as they may, until the first throttling.
	Rates   *Rates
	Percent int
	// Concurrency bounds the calls of one collection that are under way at once;
	// 0: 16.
	Concurrency int
	// Progress, if not nil, is told of each type that is done in a Region. It is not
	// called concurrently.
	Progress func(Progress)
}

// Progress is how far a collection is.
type Progress struct {
	Type, Region string // that was just done
	Items        int    // of it
	Done, Parts  int    // of all types and Regions
}

// Stats is what a collection cost.
type Stats struct {
	Calls    map[string]int // by service and operation, "ec2:DescribeVolumes"
	Items    int
	Kept     int // parts that an earlier survey had read
	Duration time.Duration
}

// Codes of read errors that are not a service's own.
const (
	// CodeNotCollected: the member was not asked for, since no rule reads it.
	CodeNotCollected = "NotCollected"
	// CodeUnknownType: the table has no such resource type.
	CodeUnknownType = "UnknownType"
	// CodeNoID: the answer holds a resource without an id.
	CodeNoID = "NoResourceID"
	// CodeFailed: the call failed without an answer of the service.
	CodeFailed = "Failed"
)

// Collect reads all resources of the types in one account and Region, global types
// too. What fails leaves the rest: a failed list is in the errors, a failed call for
// one resource also in that item's Unread. Items and errors are sorted. When ctx
// ends, what is missing is in the errors.
func (c *Collector) Collect(ctx context.Context, place knowngood.Place, types []string) ([]knowngood.Resource, []knowngood.ReadError, Stats) {
	parts, stats, _ := c.Survey(ctx, Survey{Place: place, Regions: []string{place.Region}, Types: types}) // every failure is a part's too
	items, failed := Together(parts)
	stats.Items = len(items)
	return items, failed, stats
}

// collect reads all resources of one type.
func (s *session) collect(ctx context.Context, t *Type) []knowngood.Resource {
	var listed []found
	for f, err := range s.list(ctx, t) {
		if err != nil {
			var failed *listError
			if errors.As(err, &failed); slices.Contains(t.List.NotFound, errorCode(err)) {
				continue // there is none
			}
			s.failed(s.readError(t, "", "", failed.operation, err))
			continue // what was listed counts
		}
		listed = append(listed, f)
	}
	made := make([]*knowngood.Resource, len(listed))
	var g errgroup.Group
	g.SetLimit(cap(s.slots))
	for i, f := range listed {
		g.Go(func() error {
			made[i] = s.resource(ctx, t, f)
			return nil
		})
	}
	_ = g.Wait() // no goroutine gives an error: they are kept one by one
	var items []knowngood.Resource
	for _, item := range made {
		if item != nil {
			items = append(items, *item)
		}
	}
	return items
}

// resource makes the item of what a list gave. It is nil where the resource is
// gone or in another Region, and where it could not be read, which is then among
// the errors.
func (s *session) resource(ctx context.Context, t *Type, f found) *knowngood.Resource {
	operation := t.List.Operation
	if t.List.ID != "" {
		id, ok := fill(t.List.ID, f.vars, f.element)
		if !ok {
			s.failed(s.noID(t, operation))
			return nil
		}
		operation = t.Read.Operation
		var err error
		if f, err = s.find(ctx, t, id, false); err != nil {
			if knowngood.KindOf(err) != knowngood.NotFound { // else it went since it was listed
				s.failed(s.readError(t, id, "", operation, err))
			}
			return nil
		}
	}
	if t.gone(f.element) {
		return nil
	}
	id, ok := fill(t.ID, f.vars, f.element)
	if !ok || id == "" {
		s.failed(s.noID(t, operation))
		return nil
	}
	here, err := s.here(ctx, t, f)
	if err != nil {
		s.failed(s.readError(t, id, "", cmp.Or(t.Region.Operation, operation), err))
	}
	if !here {
		return nil
	}
	return s.item(ctx, t, f, id)
}

// Read reads one resource afresh, by the same mapping as Collect, whatever is
// known of it. The error is of kind NotFound where the resource is gone, and of
// kind Incomplete where it could not be read; a member that could not be read is
// in the item's Unread.
func (c *Collector) Read(ctx context.Context, key knowngood.ResourceKey) (*knowngood.Resource, error) {
	op := "read " + key.Type + " " + key.ID
	t, ok := c.Table.Type(key.Type)
	if !ok {
		return nil, knowngood.E(knowngood.Incomplete, op, "there is no resource type %s in the table", key.Type)
	}
	t = t.half(key.Region)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s := c.session(c.newSurvey(stop), knowngood.Place{Account: key.Account, Region: key.Region}, key.Region)
	f, err := s.find(ctx, t, key.ID, true)
	if err != nil {
		return nil, &knowngood.Error{Kind: knowngood.KindOf(err), Op: op, Err: err}
	}
	return s.item(ctx, t, f, key.ID), nil
}

// find reads the element of one resource. same asks that its id is the one asked
// for; where the list gives only ids, those may be written otherwise. The error
// is of kind NotFound or Incomplete.
func (s *session) find(ctx context.Context, t *Type, id string, same bool) (found, error) {
	all, notFound := s.list(ctx, t), t.List.NotFound
	if t.Read != nil {
		vars := s.vars()
		setID(vars, id)
		all, notFound = s.elements(ctx, t, t.Read, vars), t.Read.NotFound
	}
	var failed error // it may be in what could not be listed
	for f, err := range all {
		if err != nil {
			if slices.Contains(notFound, errorCode(err)) {
				return found{}, &knowngood.Error{Kind: knowngood.NotFound, Err: err}
			}
			failed = cmp.Or(failed, err)
			continue
		}
		if got, ok := fill(t.ID, f.vars, f.element); same && (!ok || got != id) || t.gone(f.element) {
			continue
		}
		here, err := s.here(ctx, t, f)
		if err != nil {
			return found{}, &knowngood.Error{Kind: knowngood.Incomplete, Err: err}
		}
		if here {
			return f, nil
		}
	}
	if failed != nil {
		return found{}, &knowngood.Error{Kind: knowngood.Incomplete, Err: failed}
	}
	return found{}, knowngood.E(knowngood.NotFound, "", "it is not there")
}

// gone says whether an element is a resource that was deleted.
func (t *Type) gone(element any) bool {
	for path, values := range t.Gone {
		if s, ok := at(element, path).(string); ok && slices.Contains(values, s) {
			return true
		}
	}
	return false
}
