package app

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/inventory"
	"github.com/knowngood/knowngood/internal/rule"
)

// resumeAge is how old what an interrupted scan has read may be, to go on with it.
const resumeAge = time.Hour

// readings are what a scan has read of an account.
type readings struct {
	account string
	at      estate
	types   []string
	table   *inventory.Table
	parts   []knowngood.Collection
	items   []knowngood.Resource
	unread  []knowngood.ReadError
	there   map[knowngood.ResourceKey]bool
	// of lists, by Region and type: true where one was read whole
	lists map[[2]string]bool
	// of single resources, in part or whole
	failed map[knowngood.ResourceKey]bool
}

// inForce are the governances of an estate's Regions, and of what is global, each once.
func (ses *session) inForce(everywhere *governances, at estate) ([]*governance, error) {
	var all []*governance
	for _, region := range append([]string{ses.globalRegion()}, at.regions...) {
		g, err := everywhere.at(region)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(all, g) {
			all = append(all, g)
		}
	}
	return all, nil
}

// wanted is what the rules of all Regions read, by type.
func (ses *session) wanted(everywhere *governances, at estate) (map[string][]string, error) {
	all, err := ses.inForce(everywhere, at)
	if err != nil {
		return nil, err
	}
	reads := map[string][]string{}
	for _, g := range all {
		for t, members := range g.rules.Reads() {
			all := append(slices.Clone(reads[t]), members...)
			slices.Sort(all)
			reads[t] = slices.Compact(all)
		}
	}
	return reads, nil
}

// readAll reads the estate. What is read whole is kept as it comes, so that a scan
// that is interrupted can go on.
func (ses *session) readAll(ctx context.Context, everywhere *governances, r reading, report *scanReport) (*readings, error) {
	reads, err := ses.wanted(everywhere, r.at)
	if err != nil {
		return nil, err
	}
	out := &readings{account: ses.place.Account, at: r.at, types: slices.Sorted(maps.Keys(reads)), table: ses.types, // those that rules only look up among them
		there: map[knowngood.ResourceKey]bool{}, lists: map[[2]string]bool{}, failed: map[knowngood.ResourceKey]bool{}}
	survey := ses.survey(r.at, out.types)
	if survey.Kept, err = ses.kept(ctx, r.resume); err != nil {
		return nil, err
	}
	survey.Finished = func(c knowngood.Collection) error { return ses.store.PutCollection(ctx, c) }
	collector := ses.collector(reads)
	collector.Progress = r.progress
	var stats inventory.Stats
	if out.parts, stats, err = collector.Survey(ctx, survey); err != nil {
		return nil, err
	}
	out.items, out.unread = inventory.Together(out.parts)
	report.Resources, report.Resumed, report.Unreadable = len(out.items), stats.Kept, append(append([]knowngood.ReadError{}, r.at.unread...), out.unread...)
	for _, n := range stats.Calls {
		report.Calls += n
	}
	for _, part := range out.parts {
		out.lists[[2]string{part.Region, part.Type}] = true
	}
	for _, e := range out.unread {
		if e.ID == "" {
			out.lists[[2]string{e.Region, e.Type}] = false
		}
		out.failed[knowngood.ResourceKey{Account: out.account, Region: e.Region, Type: e.Type, ID: e.ID}] = true
	}
	for i := range out.items {
		out.there[out.items[i].Key()] = true
	}
	return out, nil
}

// rememberAll brings the history in line with what was read, Region by Region.
func (ses *session) rememberAll(ctx context.Context, read *readings) error {
	for _, region := range append([]string{inventory.Global}, read.at.regions...) {
		var parts []knowngood.Collection
		r := inventory.Reading{Source: knowngood.SourceAPI, Place: ses.place, Whole: true}
		r.Place.Region = region
		for _, part := range read.parts {
			if part.Region == region {
				parts, r.Types = append(parts, part), append(r.Types, part.Type)
			}
		}
		r.Began = inventory.Began(parts, ses.clock.Now())
		r.Items, r.Unreadable = inventory.Together(parts)
		if err := ses.remember(ctx, ses.history, r); err != nil {
			return err
		}
	}
	return nil
}

// kept is what an interrupted scan has read, if it is to go on and that is not too
// old; else it is forgotten.
func (ses *session) kept(ctx context.Context, resume bool) ([]knowngood.Collection, error) {
	if !resume {
		return nil, ses.store.EndCollections(ctx, ses.place.Account)
	}
	all, err := ses.store.Collections(ctx, ses.place.Account)
	return slices.DeleteFunc(all, func(c knowngood.Collection) bool {
		return c.Items == nil || ses.clock.Now().Sub(c.Began) > resumeAge
	}), err
}

// covers says whether a resource is where the scan read.
func (r *readings) covers(k knowngood.ResourceKey) bool {
	return k.Account == r.account && (k.Region == inventory.Global || slices.Contains(r.at.regions, k.Region))
}

// whole says whether everything was read that could be this resource.
func (r *readings) whole(k knowngood.ResourceKey) bool {
	return k.Account == r.account && r.lists[[2]string{k.Region, k.Type}] && !r.failed[k]
}

// absent says why a rule in force has no verdict on a resource, where the scan read
// everything that could have had one.
func (r *readings) absent(b *bench) func(string, knowngood.ResourceKey) string {
	return func(name string, k knowngood.ResourceKey) string {
		g := b.at[k.Region]
		switch {
		case g == nil || !g.InForce(name) || !r.whole(k):
			return ""
		case r.there[k]:
			return "the rule's scope leaves the resource out"
		}
		return "the resource is gone"
	}
}

// bench judges what a scan has read, each item by the rules of its Region.
type bench struct {
	table  *inventory.Table
	at     map[string]*governance
	sweeps map[string]*rule.Incremental
	known  rule.Known
	fresh  []knowngood.Judgement
	seen   map[[2]string]bool // by rule and resource
}

func (ses *session) newBench(ctx context.Context, everywhere *governances, read *readings) (*bench, error) {
	known, err := ses.store.Judgements(ctx, ses.place.Account)
	if err != nil {
		return nil, err
	}
	b := &bench{table: ses.types, at: map[string]*governance{}, sweeps: map[string]*rule.Incremental{}, known: rule.Remember(known), seen: map[[2]string]bool{}}
	now := ses.clock.Now()
	for _, region := range append([]string{inventory.Global}, read.at.regions...) {
		if b.at[region], err = everywhere.at(ses.in(region).place.Region); err != nil {
			return nil, err
		}
		b.sweeps[region] = b.at[region].rules.Incremental(now, read.lookup(region), b.known)
	}
	return b, nil
}

// lookup is what rules on the items of a Region find: the resources of that Region
// and global ones; of what is global, all.
func (r *readings) lookup(region string) rule.Lookup {
	if region == inventory.Global {
		return rule.Among(r.types, r.items, append(slices.Clone(r.unread), r.at.missing(r.table, r.types)...))
	}
	var items []knowngood.Resource
	var unread []knowngood.ReadError
	for _, part := range r.parts {
		if part.Region == region || part.Region == inventory.Global {
			items, unread = append(items, part.Items...), append(unread, part.Errors...)
		}
	}
	return rule.Among(r.types, items, unread)
}

// judge gives the verdicts on an item.
func (b *bench) judge(item *knowngood.Resource) []knowngood.Evaluation {
	g, sweep := b.at[item.Region], b.sweeps[item.Region]
	if g == nil {
		return nil // it is in no Region that was asked for
	}
	var out []knowngood.Evaluation
	for _, j := range sweep.Resource(item) {
		if a, _ := g.rules.Rule(j.Rule); !b.table.Judged(item.Type, item.Region, a.Rule.Definition.Reads) {
			continue
		}
		out = append(out, j.Evaluation)
		b.seen[[2]string{j.Rule, item.Key().String()}] = true
		if was, ok := b.known.Judgement(j.Rule, item.Key()); !ok || was != j {
			b.fresh = append(b.fresh, j)
		}
	}
	return out
}

func (b *bench) reused() int {
	n := 0
	for _, s := range b.sweeps {
		n += s.Reused()
	}
	return n
}

// remember keeps the verdicts, and forgets those on what is no longer there.
func (b *bench) remember(ctx context.Context, store scanStore, read *readings) error {
	absent := read.absent(b)
	var gone []knowngood.Judgement
	for j := range b.known.All() {
		if !b.seen[[2]string{j.Rule, j.Resource.String()}] && absent(j.Rule, j.Resource) != "" {
			gone = append(gone, j)
		}
	}
	return store.ReplaceJudgements(ctx, b.fresh, gone)
}
