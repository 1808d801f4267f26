package storetest

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
)

// Items is the part of a store that keeps the inventory and its history.
type Items interface {
	UpdateItems(ctx context.Context, scope knowngood.ItemScope, change func(knowngood.ItemBatch) (knowngood.ItemBatch, error)) error
	Items(ctx context.Context, f knowngood.ItemFilter) ([]knowngood.Observation, error)
	History(ctx context.Context, k knowngood.ResourceKey) ([]knowngood.Observation, error)
	PutCalls(ctx context.Context, calls []knowngood.TrailCall) (int, error)
	Calls(ctx context.Context, f knowngood.CallFilter) ([]knowngood.TrailCall, error)
	PruneItems(ctx context.Context, before time.Time, keep int) (int, error)
	Close() error
}

func minute(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }

// seen is a volume as it was from one minute to another.
func seen(id string, from, until int, tags map[string]string) knowngood.Observation {
	return knowngood.Observation{Source: knowngood.SourceAPI, Seen: minute(until), Item: knowngood.Resource{
		AccountID: volume.Account, Region: volume.Region, Type: volume.Type, ID: id, Name: "name-" + id, ARN: "arn:" + id, Status: knowngood.ItemOK, CaptureTime: minute(from), Tags: tags,
	}}
}

func scopeOf(o knowngood.Observation) knowngood.ItemScope {
	return knowngood.ItemScope{Account: o.Item.AccountID, Region: o.Item.Region, Type: o.Item.Type, Source: o.Source}
}

func put(t *testing.T, s Items, list ...knowngood.Observation) {
	t.Helper()
	for _, o := range list {
		must(t, s.UpdateItems(t.Context(), scopeOf(o), func(knowngood.ItemBatch) (knowngood.ItemBatch, error) {
			return knowngood.ItemBatch{Latest: []knowngood.Observation{o}}, nil
		}))
	}
}

func ids(list []knowngood.Observation) []string {
	var out []string
	for _, o := range list {
		out = append(out, o.Item.ID)
	}
	return out
}

// RunItems runs the suite of what keeps the inventory, as Run does that of a whole
// store.
func RunItems(t *testing.T, newDatabase func(t *testing.T) (open func() Items)) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, open func() Items)
	}{
		{"a scope has the latest of each resource, and when it was read", func(t *testing.T, open func() Items) {
			s, ctx := open(), t.Context()
			put(t, s, seen("a", 1, 2, nil), seen("a", 3, 4, nil), seen("b", 1, 1, nil), seen("a", 3, 9, nil))
			other := seen("a", 8, 8, nil)
			other.Source = "recorder"
			put(t, s, other)
			scope := scopeOf(seen("a", 0, 0, nil))
			must(t, s.UpdateItems(ctx, scope, func(b knowngood.ItemBatch) (knowngood.ItemBatch, error) {
				if len(b.Latest) != 2 || !b.Latest[0].Item.CaptureTime.Equal(minute(3)) || !b.Latest[0].Seen.Equal(minute(9)) || !b.Read.IsZero() {
					t.Errorf("%+v", b)
				}
				return knowngood.ItemBatch{Read: minute(10)}, nil
			}))
			must(t, open().UpdateItems(ctx, scope, func(b knowngood.ItemBatch) (knowngood.ItemBatch, error) {
				if len(b.Latest) != 2 || !b.Read.Equal(minute(10)) {
					t.Errorf("%+v", b)
				}
				return knowngood.ItemBatch{}, nil
			}))
			h, err := s.History(ctx, volume)
			if err != nil || len(h) != 0 {
				t.Errorf("%+v, %v: of another resource", h, err)
			}
			k := volume
			k.ID = "a"
			h, err = s.History(ctx, k)
			if err != nil || len(h) != 3 || !h[0].Item.CaptureTime.Equal(minute(3)) || !h[1].Item.CaptureTime.Equal(minute(1)) || h[2].Source != "recorder" {
				t.Errorf("%+v, %v", h, err)
			}
		}},
		{"a change that fails writes nothing", func(t *testing.T, open func() Items) {
			s := open()
			no := knowngood.E(knowngood.Refused, "", "no")
			wantKind(t, s.UpdateItems(t.Context(), scopeOf(seen("a", 0, 0, nil)), func(knowngood.ItemBatch) (knowngood.ItemBatch, error) {
				return knowngood.ItemBatch{Latest: []knowngood.Observation{seen("a", 1, 1, nil)}}, no
			}), knowngood.Refused, "no")
			if got, err := s.Items(t.Context(), knowngood.ItemFilter{}); err != nil || len(got) != 0 {
				t.Errorf("%+v, %v", got, err)
			}
		}},
		{"items are those seen last, by any source", func(t *testing.T, open func() Items) {
			s, ctx := open(), t.Context()
			put(t, s, seen("a", 1, 2, map[string]string{"Env": "test"}), seen("a", 3, 9, map[string]string{"Env": "prod", "x.y": "1"}), seen("b", 1, 5, nil))
			gone := seen("c", 7, 7, nil)
			gone.Item.Status = knowngood.ItemDeleted
			late := seen("b", 6, 6, map[string]string{"by": "recorder"})
			late.Source = "recorder"
			early := late
			early.Item.ID, early.Item.Tags, early.Item.CaptureTime, early.Seen = "a", nil, minute(8), minute(8)
			put(t, s, seen("c", 1, 6, nil), gone, late, early)
			for _, c := range []struct {
				filter knowngood.ItemFilter
				want   []string
			}{
				{knowngood.ItemFilter{}, []string{"a", "b"}},
				{knowngood.ItemFilter{Deleted: true}, []string{"a", "b", "c"}},
				{knowngood.ItemFilter{Ref: "arn:b"}, []string{"b"}},
				{knowngood.ItemFilter{Ref: "name-a"}, []string{"a"}},
				{knowngood.ItemFilter{Ref: "c"}, nil},
				{knowngood.ItemFilter{TagKey: "Env", Tag: "prod"}, []string{"a"}},
				{knowngood.ItemFilter{TagKey: "x.y", Tag: "1"}, []string{"a"}},
				{knowngood.ItemFilter{TagKey: "Env", Tag: "test"}, nil},
				{knowngood.ItemFilter{TagKey: "by", Tag: "recorder"}, []string{"b"}},
				{knowngood.ItemFilter{Account: "444455556666"}, nil},
				{knowngood.ItemFilter{Account: volume.Account, Region: volume.Region, Type: volume.Type}, []string{"a", "b"}},
			} {
				got, err := s.Items(ctx, c.filter)
				if err != nil || !reflect.DeepEqual(ids(got), c.want) {
					t.Errorf("%+v: %v, %v, want %v", c.filter, ids(got), err, c.want)
				}
			}
		}},
		{"calls are kept once", func(t *testing.T, open func() Items) {
			s, ctx := open(), t.Context()
			call := knowngood.TrailCall{EventID: "e2", EventName: "ModifyVolume", Time: minute(2), Account: volume.Account, Region: volume.Region, Type: volume.Type, Ref: "vol-1"}
			earlier := call
			earlier.EventID, earlier.Time, earlier.Ref = "e1", minute(1), "arn:vol-1"
			elsewhere := call
			elsewhere.EventID, elsewhere.Region = "e3", "us-east-1"
			n, err := s.PutCalls(ctx, []knowngood.TrailCall{call, earlier, call, elsewhere})
			must(t, err)
			again, err := open().PutCalls(ctx, []knowngood.TrailCall{earlier, call})
			if err != nil || n != 3 || again != 0 {
				t.Errorf("%d, then %d, %v", n, again, err)
			}
			f := knowngood.CallFilter{Account: volume.Account, Region: volume.Region, Type: volume.Type, Refs: []string{"vol-1", "arn:vol-1"}}
			got, err := s.Calls(ctx, f)
			if err != nil || len(got) != 2 || got[0] != earlier || got[1] != call {
				t.Errorf("%+v, %v", got, err)
			}
			f.Region = ""
			if got, err = s.Calls(ctx, f); err != nil || len(got) != 3 {
				t.Errorf("%+v, %v", got, err)
			}
			f.Refs = []string{"vol"}
			if got, err = s.Calls(ctx, f); err != nil || len(got) != 0 {
				t.Errorf("%+v, %v", got, err)
			}
		}},
		{"what is old goes, and what is there stays", func(t *testing.T, open func() Items) {
			s, ctx := open(), t.Context()
			gone, there := seen("gone", 3, 3, nil), seen("there", 1, 4, nil)
			gone.Item.Status = knowngood.ItemDeleted
			put(t, s, seen("gone", 1, 2, nil), gone, there, seen("new", 1, 2, nil), seen("new", 3, 12, nil), seen("new", 13, 14, nil), seen("new", 15, 16, nil))
			_, err := s.PutCalls(ctx, []knowngood.TrailCall{{EventID: "e1", Time: minute(9), Type: "t", Ref: "r"}, {EventID: "e2", Time: minute(11), Type: "t", Ref: "r"}})
			must(t, err)
			n, err := s.PruneItems(ctx, minute(10), 2)
			if err != nil || n != 4 {
				t.Errorf("%d went, %v", n, err)
			}
			left, err := s.Items(ctx, knowngood.ItemFilter{Deleted: true})
			if err != nil || !reflect.DeepEqual(ids(left), []string{"new", "there"}) {
				t.Errorf("%v, %v", ids(left), err)
			}
			k := volume
			k.ID = "new"
			if h, err := s.History(ctx, k); err != nil || len(h) != 2 || !h[1].Item.CaptureTime.Equal(minute(13)) {
				t.Errorf("%+v, %v", h, err)
			}
			if calls, err := s.Calls(ctx, knowngood.CallFilter{Type: "t", Refs: []string{"r"}}); err != nil || len(calls) != 1 || calls[0].EventID != "e2" {
				t.Errorf("%+v, %v", calls, err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, newDatabase(t)) })
	}
}
