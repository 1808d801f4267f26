package inventory

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/knowngood/knowngood"
)

// Survey is what is to be read of an account.
type Survey struct {
	Place   knowngood.Place // the partition and account
	Regions []string        // each once
	// Global is the Region in which global types are read, once for all; empty: the
	// Place's own.
	Global string
	Types  []string
	// Kept are parts that an earlier survey has read. They are not read again, where
	// they have what is to be read now.
	Kept []knowngood.Collection
	// Finished, if not nil, is told of each part that was read whole, by one
	// goroutine at a time. Its error ends the survey.
	Finished func(knowngood.Collection) error
}

// part is a type in a Region, or in none.
type part struct {
	typ    *Type // nil: the table has none
	name   string
	region string // of the items
	called string // Region of the calls
}

// parts are what a survey reads, type by type: each Region has limits of its own,
// so those that follow one another don't wait for one another. Half a type that gives
// nothing that a rule reads is none of them.
func (c *Collector) parts(v Survey) []part {
	var out []part
	global := cmp.Or(v.Global, v.Place.Region)
	for _, name := range slices.Compact(slices.Sorted(slices.Values(v.Types))) {
		t, ok := c.Table.Type(name)
		if !ok {
			out = append(out, part{nil, name, global, global})
			continue
		}
		half := t.InEachRegion
		if t.Global && (half == nil || c.wanted(name, t.gives())) {
			out = append(out, part{t, name, Global, global})
		}
		if t.Global && (half == nil || c.Reads != nil && len(c.Reads[name]) > 0 && c.onlyGlobal(t)) {
			continue
		}
		for _, region := range v.Regions {
			out = append(out, part{t.half(region), name, region, region})
		}
	}
	return out
}

// onlyGlobal says whether all that rules read of a type is the same in all Regions.
func (c *Collector) onlyGlobal(t *Type) bool {
	for _, read := range c.Reads[t.Name] {
		if !anyRead([]string{read}, t.gives()) {
			return false
		}
	}
	return true
}

// atOnce is how many parts of a survey are read at once. It is bounded so that a
// survey which is interrupted has finished most of what it began.
const atOnce = 32

// Survey reads types in many Regions of an account. Each part has its own errors,
// and what fails leaves the rest, also a Region in which nothing answers. The error
// is the context's, Finished's, or of kind Credentials where those came to their end;
// of parts that were not read by then, that is among their errors.
func (c *Collector) Survey(ctx context.Context, v Survey) ([]knowngood.Collection, Stats, error) {
	start := c.Clock.Now()
	outer := ctx
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	shared := c.newSurvey(stop)
	parts := c.parts(v)
	kept := map[[2]string]knowngood.Collection{}
	for _, k := range v.Kept {
		kept[[2]string{k.Region, k.Type}] = k
	}
	out := make([]knowngood.Collection, len(parts))
	var (
		mu     sync.Mutex
		done   int
		reused int
		failed error
		g      errgroup.Group
	)
	g.SetLimit(atOnce)
	for i, p := range parts {
		g.Go(func() error {
			k, again := kept[[2]string{p.region, p.name}]
			if again = again && k.Reads == c.readsDigest(p.name); !again {
				k = c.read(ctx, shared, v.Place, p)
			}
			mu.Lock()
			defer mu.Unlock()
			out[i] = k
			if again {
				reused++
			}
			if !again && v.Finished != nil && failed == nil && ctx.Err() == nil && len(k.Errors) == 0 {
				if failed = v.Finished(k); failed != nil {
					stop()
				}
			}
			done++
			if c.Progress != nil {
				c.Progress(Progress{Type: p.name, Region: p.region, Items: len(k.Items), Done: done, Parts: len(parts)})
			}
			return nil
		})
	}
	_ = g.Wait() // no goroutine gives an error: they are kept one by one
	stats := Stats{Calls: shared.calls, Kept: reused, Duration: c.Clock.Now().Sub(start)}
	for _, k := range out {
		stats.Items += len(k.Items)
	}
	switch {
	case shared.expired != nil:
		failed = &knowngood.Error{Kind: knowngood.Credentials, Op: "read the account", Err: shared.expired}
	case failed == nil:
		failed = outer.Err()
	}
	return out, stats, failed
}

// read reads one part.
func (c *Collector) read(ctx context.Context, shared *survey, place knowngood.Place, p part) knowngood.Collection {
	place.Region = p.called
	s := c.session(shared, place, p.region)
	k := knowngood.Collection{Account: place.Account, Region: p.region, Type: p.name, Began: c.Clock.Now(), Reads: c.readsDigest(p.name)}
	if p.typ == nil {
		s.failed(knowngood.ReadError{Place: s.where(), Type: p.name, Code: CodeUnknownType, Message: "the table of resource types has no such type"})
	} else {
		k.Items = s.collect(ctx, p.typ)
	}
	k.Finished, k.Errors = c.Clock.Now(), s.errors
	// A list that changes while its pages are read may give a resource twice.
	slices.SortFunc(k.Items, byKey)
	k.Items = slices.CompactFunc(k.Items, func(a, b knowngood.Resource) bool { return byKey(a, b) == 0 })
	k.Count = len(k.Items)
	slices.SortFunc(k.Errors, func(a, b knowngood.ReadError) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Operation, b.Operation))
	})
	return k
}

// readsDigest says what is read of a type, so that what was read for other rules is
// told apart.
func (c *Collector) readsDigest(name string) string {
	if c.Reads == nil {
		return "all"
	}
	sum := sha256.Sum256([]byte(strings.Join(c.Reads[name], "\n")))
	return hex.EncodeToString(sum[:8])
}

func byKey(a, b knowngood.Resource) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Region, b.Region), cmp.Compare(a.ID, b.ID))
}

// Together gives the items and errors of all parts, sorted.
func Together(parts []knowngood.Collection) (items []knowngood.Resource, failed []knowngood.ReadError) {
	for _, k := range parts {
		items, failed = append(items, k.Items...), append(failed, k.Errors...)
	}
	slices.SortFunc(items, byKey)
	slices.SortStableFunc(failed, func(a, b knowngood.ReadError) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Region, b.Region))
	})
	return items, failed
}

// Began is when the first of the parts was begun.
func Began(parts []knowngood.Collection, otherwise time.Time) time.Time {
	for _, k := range parts {
		if k.Began.Before(otherwise) {
			otherwise = k.Began
		}
	}
	return otherwise
}
