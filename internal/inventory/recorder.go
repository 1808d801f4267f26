package inventory

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
)

// ItemStore is what a recorder needs of a store.
type ItemStore interface {
	// UpdateItems brings the latest items of a scope in line with a collection, in
	// one transaction: change is given what is there and gives what is to be
	// written. An observation whose resource and CaptureTime are there already takes
	// that one's place; a Read that is zero leaves the scope's. An error of change
	// is returned, and nothing is written. change must not call the store.
	UpdateItems(ctx context.Context, scope knowngood.ItemScope, change func(knowngood.ItemBatch) (knowngood.ItemBatch, error)) error
}

// Recorder keeps the history of the inventory.
type Recorder struct {
	Store ItemStore
	Table *Table
}

// Reading is what a source gave of some types in one place.
type Reading struct {
	Source     string // as knowngood.SourceAPI
	Place      knowngood.Place
	Types      []string
	Began      time.Time
	Items      []knowngood.Resource
	Unreadable []knowngood.ReadError
	// Whole says that what the source did not give is not there, as far as nothing
	// was unreadable; else nothing is recorded as deleted.
	Whole bool
}

// Recorded counts what a collection changed.
type Recorded struct {
	New     int `json:"new"`
	Changed int `json:"changed"`
	Deleted int `json:"deleted"`
}

// Record brings the history in line with a collection. It may be repeated with
// the same one.
func (r *Recorder) Record(ctx context.Context, c Reading) (Recorded, error) {
	var total Recorded
	scopes := map[knowngood.ItemScope][]knowngood.Resource{}
	for _, name := range c.Types {
		scope := knowngood.ItemScope{Account: c.Place.Account, Region: c.Place.Region, Type: name, Source: c.Source}
		if t, ok := r.Table.Type(name); ok && t.Global {
			scope.Region = globalRegion
		}
		scopes[scope] = nil
	}
	for _, item := range c.Items {
		scope := knowngood.ItemScope{Account: item.AccountID, Region: item.Region, Type: item.Type, Source: c.Source}
		scopes[scope] = append(scopes[scope], item)
	}
	for _, scope := range slices.SortedFunc(maps.Keys(scopes), compareScopes) {
		var counts Recorded
		err := r.Store.UpdateItems(ctx, scope, func(known knowngood.ItemBatch) (knowngood.ItemBatch, error) {
			var out knowngood.ItemBatch
			out, counts = r.observe(known, c, scope, scopes[scope])
			return out, nil
		})
		if err != nil {
			return total, err
		}
		total.New += counts.New
		total.Changed += counts.Changed
		total.Deleted += counts.Deleted
	}
	return total, nil
}

func compareScopes(a, b knowngood.ItemScope) int {
	return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region), cmp.Compare(a.Type, b.Type))
}

// observe decides what a collection adds to what is known of a scope.
func (r *Recorder) observe(known knowngood.ItemBatch, c Reading, scope knowngood.ItemScope, items []knowngood.Resource) (knowngood.ItemBatch, Recorded) {
	var out knowngood.ItemBatch
	var counts Recorded
	var volatile []string
	if t, ok := r.Table.Type(scope.Type); ok {
		volatile = t.Volatile
	}
	latest := map[string]knowngood.Observation{}
	for _, o := range known.Latest {
		latest[o.Item.ID] = o
	}
	there := map[string]bool{}
	for i := range items {
		item := items[i]
		there[item.ID] = true
		last, ok := latest[item.ID]
		live := ok && last.Item.Status != knowngood.ItemDeleted
		if live {
			item = lastKnown(&last.Item, item)
		}
		hash := fingerprint(&item, volatile)
		switch {
		case ok && item.CaptureTime.Before(last.Seen):
			// It is older than what is known.
		case live && (last.Hash == hash || fingerprint(&last.Item, volatile) == hash): // the table may have changed since
			last.Seen, last.Hash = item.CaptureTime, hash
			out.Latest = append(out.Latest, last)
		default:
			o := observation(item, c.Source, hash)
			switch {
			case live:
				o.Since, counts.Changed = &last.Seen, counts.Changed+1
			case ok && known.Read.Before(last.Seen):
				o.Since, counts.New = &last.Seen, counts.New+1
			default:
				counts.New++
				if !known.Read.IsZero() {
					o.Since = &known.Read
				}
			}
			out.Latest = append(out.Latest, o)
		}
	}
	whole, unread := c.Whole, map[string]bool{}
	for _, e := range c.Unreadable {
		if e.Type == scope.Type && e.Path == "" {
			unread[e.ID] = true
			whole = whole && e.ID != "" // else some of the list may be missing
		}
	}
	if !whole {
		return out, counts
	}
	if out.Read = c.Began; len(unread) > 0 {
		out.Read = time.Time{} // what could not be read may be new
	}
	for _, last := range known.Latest {
		if there[last.Item.ID] || unread[last.Item.ID] || last.Item.Status == knowngood.ItemDeleted || c.Began.Before(last.Seen) {
			continue
		}
		o := observation(deleted(&last.Item, c.Began), c.Source, "")
		o.Since = &last.Seen
		out.Latest = append(out.Latest, o)
		counts.Deleted++
	}
	return out, counts
}

func observation(item knowngood.Resource, source, hash string) knowngood.Observation {
	if item.StateID == "" {
		item.StateID = strconv.FormatInt(item.CaptureTime.UnixMilli(), 10)
	}
	return knowngood.Observation{Item: item, Source: source, Seen: item.CaptureTime, Hash: hash}
}

// deleted is the item of a resource that is no longer there. As AWS Config's, it
// says what the resource was, and nothing of how it was.
func deleted(last *knowngood.Resource, at time.Time) knowngood.Resource {
	return knowngood.Resource{
		Version: last.Version, AccountID: last.AccountID, CaptureTime: at, Status: knowngood.ItemDeleted, ARN: last.ARN, Type: last.Type, ID: last.ID, Name: last.Name,
		Region: last.Region, AvailabilityZone: last.AvailabilityZone, CreationTime: last.CreationTime,
		Tags: map[string]string{}, RelatedEvents: []string{}, Relationships: []knowngood.Relationship{}, Configuration: map[string]any{}, Supplementary: map[string]any{},
	}
}

// lastKnown fills in what an item lacks because it was not read with what was last
// known of it: which rules are active decides what a scan reads, and makes no
// change of the resource. The item's Unread still names it.
func lastKnown(last *knowngood.Resource, item knowngood.Resource) knowngood.Resource {
	for _, e := range item.Unread {
		part, rest, _ := strings.Cut(e.Path, ".")
		switch part {
		case "tags":
			item.Tags = last.Tags
		case "configuration":
			item.Configuration = withMember(item.Configuration, last.Configuration, strings.Split(rest, "."))
		case "supplementaryConfiguration":
			item.Supplementary = withMember(item.Supplementary, last.Supplementary, strings.Split(rest, "."))
		}
	}
	return item
}

// withMember is an object with a member of another's that it lacks.
func withMember(to, from map[string]any, path []string) map[string]any {
	v, ok := from[path[0]]
	if !ok {
		return to
	}
	if mine, there := to[path[0]]; len(path) > 1 {
		inner, _ := v.(map[string]any)
		had, _ := mine.(map[string]any)
		if v = withMember(had, inner, path[1:]); len(v.(map[string]any)) == len(had) {
			return to
		}
	} else if there {
		return to
	}
	out := map[string]any{}
	maps.Copy(out, to)
	out[path[0]] = v
	return out
}

// slack is how much earlier than a call its record's time may be, which is in
// whole seconds.
const slack = time.Second

// created is how much earlier than a resource's own time of creation the call may
// be that made it.
const created = time.Minute

// Causes are the calls that may have made an observation: those between the last
// one that was not so and itself, the earliest first. Of a resource that was there
// at the first look they are those since its creation; where nothing says when that
// was, none.
func Causes(o knowngood.Observation, calls []knowngood.TrailCall) []knowngood.TrailCall {
	var from time.Time
	switch {
	case o.Since != nil:
		from = o.Since.Add(-slack)
	case o.Item.CreationTime != nil:
		from = o.Item.CreationTime.Add(-created)
	default:
		return nil
	}
	var out []knowngood.TrailCall
	for _, c := range calls {
		if c.Time.After(from) && !c.Time.After(o.Item.CaptureTime) {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(a, b knowngood.TrailCall) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.EventID, b.EventID))
	})
	return slices.CompactFunc(out, func(a, b knowngood.TrailCall) bool { return a.EventID == b.EventID })
}

// Calls is the filter for the calls that may have changed a resource: they name it
// by its id, its name, its ARN or the end of that. Names that hold in all Regions,
// as those of buckets and roles do, are called in any.
func Calls(r *knowngood.Resource) knowngood.CallFilter {
	f := knowngood.CallFilter{Account: r.AccountID, Region: r.Region, Type: r.Type}
	for _, ref := range []string{r.ID, r.Name, r.ARN, r.ARN[strings.LastIndexAny(r.ARN, "/:")+1:]} {
		if ref != "" && !slices.Contains(f.Refs, ref) {
			f.Refs = append(f.Refs, ref)
		}
	}
	arn := strings.SplitN(r.ARN, ":", 6)
	if r.Region == globalRegion || len(arn) == 6 && arn[3] == "" {
		f.Region = ""
	}
	return f
}
