package inventory

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/knowngood/knowngood"
)

// document draws a value as items hold them.
func document(depth int) *rapid.Generator[any] {
	leaf := rapid.OneOf(
		rapid.Just[any](nil), rapid.Map(rapid.Bool(), func(v bool) any { return v }), rapid.Map(rapid.Int64Range(-3, 1<<60), func(v int64) any { return v }),
		rapid.Map(rapid.SampledFrom([]string{"", "a", "b/c", "~1", "open"}), func(v string) any { return v }))
	if depth == 0 {
		return leaf
	}
	inner := document(depth - 1)
	return rapid.OneOf(leaf,
		rapid.Map(rapid.SliceOfN(inner, 0, 4), func(v []any) any { return v }),
		rapid.Map(rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "a/b", "~0", "0"}), inner, 0, 4), func(v map[string]any) any { return v }))
}

func drawItem(t *rapid.T, label string) *knowngood.Resource {
	conf := rapid.MapOfN(rapid.SampledFrom([]string{"size", "tags", "a/b"}), document(3), 0, 3)
	return &knowngood.Resource{
		AccountID: "111122223333", Region: "eu-west-1", Type: "AWS::EC2::Volume", ID: "vol-1", Status: knowngood.ItemOK, CaptureTime: began,
		Tags: rapid.MapOfN(rapid.SampledFrom([]string{"Env", "a.b"}), rapid.StringN(0, 2, -1), 0, 2).Draw(t, label+" tags"), Configuration: conf.Draw(t, label),
	}
}

// Replaying the differences of a history gives its last item.
func TestReplayGivesTheLastItem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		last := drawItem(t, "first")
		var replayed any = content(last)
		for range rapid.IntRange(1, 4).Draw(t, "changes") {
			next := drawItem(t, "next")
			differences := Diff(last, next)
			for _, d := range differences {
				replayed = apply(replayed, d)
			}
			if want := content(next); !reflect.DeepEqual(replayed, any(want)) {
				t.Fatalf("%+v\nreplayed as %v\nwant        %v", differences, replayed, want)
			}
			if again := Diff(next, next); len(again) != 0 {
				t.Fatalf("an item differs from itself: %+v", again)
			}
			replayed = any(content(next)) // values are shared with the differences
			last = next
		}
	})
}

// An item has the fingerprint that it had when it was stored, whatever kinds its
// numbers had then.
func TestFingerprintsOutliveTheStore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		item := drawItem(t, "item")
		again := *item
		again.Configuration, _ = content(item)["configuration"].(map[string]any) // json.Numbers
		if fingerprint(item, nil) != fingerprint(&again, nil) {
			t.Fatalf("%v has another fingerprint", item.Configuration)
		}
		other := drawItem(t, "other")
		if len(Diff(item, other)) == 0 && fingerprint(item, nil) != fingerprint(other, nil) {
			t.Fatalf("%v and %v differ by their fingerprints alone", item.Configuration, other.Configuration)
		}
	})
}

func TestFingerprints(t *testing.T) {
	of := func(v any) string {
		return fingerprint(&knowngood.Resource{Configuration: map[string]any{"v": v}}, []string{"configuration.v.n"})
	}
	for _, c := range []struct {
		a, b any
		same bool
	}{
		{int64(500), float64(500), true},
		{int64(500), int64(501), false},
		{int64(9007199254740993), int64(9007199254740992), false},
		{"500", int64(500), false},
		{[]any{"a", "b"}, []any{"b", "a"}, true},
		{[]any{"a", "b"}, []any{"a"}, false},
		{[]any{"a", "b"}, []any{"ab"}, false},
		{[]any{[]any{"a"}, "b"}, []any{"a", []any{"b"}}, false},
		{map[string]any{"n": 1, "m": 2}, map[string]any{"n": 3, "m": 2}, true},
		{map[string]any{"n": 1, "m": 2}, map[string]any{"n": 1, "m": 3}, false},
		{[]any{map[string]any{"n": 1}}, []any{map[string]any{"n": 2}}, true},
		{nil, "", false}, {true, "true", false}, {0.5, 0.25, false}, {map[string]any{}, []any{}, false},
	} {
		if got := of(c.a) == of(c.b); got != c.same {
			t.Errorf("%v and %v: same %v", c.a, c.b, got)
		}
	}
}

func TestOneElementMoreIsOneDifference(t *testing.T) {
	item := func(ports ...any) *knowngood.Resource {
		return &knowngood.Resource{Configuration: map[string]any{"ports": append([]any{}, ports...)}}
	}
	for _, c := range []struct {
		before, after *knowngood.Resource
		want          []Difference
	}{
		{item("22", "80", "443"), item("80", "443"), []Difference{{Path: "configuration/ports/0", ChangeType: Delete, PreviousValue: "22"}}},
		{item("22", "443"), item("22", "80", "443"), []Difference{{Path: "configuration/ports/1", ChangeType: Create, UpdatedValue: "80"}}},
		{item("22"), item("23"), []Difference{{"configuration/ports/0", Update, "22", "23"}}},
		{item("22", "23", "24"), item(), []Difference{
			{Path: "configuration/ports/2", ChangeType: Delete, PreviousValue: "24"}, {Path: "configuration/ports/1", ChangeType: Delete, PreviousValue: "23"},
			{Path: "configuration/ports/0", ChangeType: Delete, PreviousValue: "22"}}},
	} {
		if got := Diff(c.before, c.after); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v, want %+v", got, c.want)
		}
	}
}

// memory is an ItemStore of one scope at a time.
type memory struct {
	rows  map[knowngood.ItemScope]map[string][]knowngood.Observation // by id, the newest last
	reads map[knowngood.ItemScope]time.Time
}

func newMemory() *memory {
	return &memory{map[knowngood.ItemScope]map[string][]knowngood.Observation{}, map[knowngood.ItemScope]time.Time{}}
}

func (m *memory) UpdateItems(_ context.Context, scope knowngood.ItemScope, change func(knowngood.ItemBatch) (knowngood.ItemBatch, error)) error {
	if m.rows[scope] == nil {
		m.rows[scope] = map[string][]knowngood.Observation{}
	}
	batch := knowngood.ItemBatch{Read: m.reads[scope]}
	for _, h := range m.rows[scope] {
		batch.Latest = append(batch.Latest, h[len(h)-1])
	}
	out, err := change(batch)
	if err != nil {
		return err
	}
	for _, o := range out.Latest {
		h := m.rows[scope][o.Item.ID]
		if n := len(h); n > 0 && h[n-1].Item.CaptureTime.Equal(o.Item.CaptureTime) {
			h[n-1] = o
		} else {
			m.rows[scope][o.Item.ID] = append(h, o)
		}
	}
	if !out.Read.IsZero() {
		m.reads[scope] = out.Read
	}
	return nil
}

// story records what a scan read, minute by minute.
type story struct {
	t *testing.T
	*memory
	Recorder
}

func newStory(t *testing.T) *story {
	m := newMemory()
	return &story{t, m, Recorder{Store: m, Table: libraryTable(t)}}
}

const tableType = "AWS::DynamoDB::Table"

func at5(minute int) time.Time { return began.Add(time.Duration(minute) * time.Minute) }

func table(minute int, configuration map[string]any, unread ...string) knowngood.Resource {
	r := knowngood.Resource{AccountID: "111122223333", Region: "eu-west-1", Type: tableType, ID: "orders", Status: knowngood.ItemOK, CaptureTime: at5(minute), Configuration: configuration}
	for _, path := range unread {
		r.Unread = append(r.Unread, knowngood.ReadError{Type: tableType, ID: "orders", Path: path, Code: CodeNotCollected})
	}
	return r
}

func (s *story) read(minute int, want Recorded, change func(*Reading), items ...knowngood.Resource) {
	s.t.Helper()
	r := Reading{Source: knowngood.SourceAPI, Place: knowngood.Place{Account: "111122223333", Region: "eu-west-1"}, Types: []string{tableType}, Began: at5(minute), Items: items, Whole: true}
	if change != nil {
		change(&r)
	}
	got, err := s.Record(s.t.Context(), r)
	if err != nil || got != want {
		s.t.Errorf("minute %d: %+v, %v, want %+v", minute, got, err, want)
	}
}

func (s *story) history() []knowngood.Observation {
	for scope, rows := range s.rows {
		if scope.Source == knowngood.SourceAPI {
			return rows["orders"]
		}
	}
	return nil
}

func TestWhatIsRecorded(t *testing.T) {
	s := newStory(t)
	s.read(0, Recorded{}, nil)
	s.read(1, Recorded{New: 1}, nil, table(1, map[string]any{"status": "ACTIVE", "itemCount": 1, "gsi": []any{"a", "b"}}))
	// Neither what changes by itself nor the order of a list is a change.
	s.read(2, Recorded{}, nil, table(2, map[string]any{"status": "ACTIVE", "itemCount": 7, "gsi": []any{"b", "a"}}))
	s.read(3, Recorded{Changed: 1}, nil, table(3, map[string]any{"status": "UPDATING", "itemCount": 7, "gsi": []any{"b", "a"}}))
	// An older reading, told later.
	s.read(4, Recorded{}, nil, table(2, map[string]any{"status": "ACTIVE"}))
	// What was not read is no change, and stays what it was.
	s.read(5, Recorded{}, nil, table(5, map[string]any{"status": "UPDATING", "itemCount": 7}, "configuration.gsi"))
	s.read(6, Recorded{Changed: 1}, nil, table(6, map[string]any{"status": "UPDATING", "itemCount": 7, "gsi": []any{"b"}}))
	// Nothing is deleted that may be in what could not be listed, or read.
	unread := func(id string) func(*Reading) {
		return func(r *Reading) {
			r.Unreadable = []knowngood.ReadError{{Type: tableType, ID: id, Code: "AccessDenied"}}
		}
	}
	s.read(7, Recorded{}, unread(""))
	s.read(8, Recorded{}, unread("orders"))
	s.read(9, Recorded{}, func(r *Reading) { r.Whole = false })
	s.read(10, Recorded{}, func(r *Reading) { r.Source = "recorder" })
	s.read(11, Recorded{Deleted: 1}, nil)
	s.read(12, Recorded{}, nil)
	s.read(13, Recorded{New: 1}, nil, table(13, map[string]any{"status": "ACTIVE"}))
	var got []string
	for _, o := range s.history() {
		since := "-"
		if o.Since != nil {
			since = o.Since.Format("04")
		}
		got = append(got, strings.Join([]string{since, o.Item.CaptureTime.Format("04"), o.Seen.Format("04"), string(o.Item.Status)}, " "))
	}
	want := []string{"00 01 02 OK", "02 03 05 OK", "05 06 06 OK", "06 11 11 ResourceDeleted", "12 13 13 OK"}
	if !slices.Equal(got, want) {
		t.Errorf("since, captured, seen:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A reading may be recorded again.
func TestRecordingTwiceAddsNothing(t *testing.T) {
	s := newStory(t)
	for range 2 {
		for minute, status := range []string{"CREATING", "ACTIVE"} {
			item := table(minute, map[string]any{"status": status})
			if _, err := s.Record(t.Context(), Reading{Source: knowngood.SourceAPI, Place: knowngood.Place{Account: item.AccountID, Region: item.Region}, Types: []string{tableType}, Began: at5(minute), Items: []knowngood.Resource{item}, Whole: true}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if h := s.history(); len(h) != 2 || h[1].Item.Configuration["status"] != "ACTIVE" {
		t.Errorf("%+v", h)
	}
}

func TestMembersThatWereNotRead(t *testing.T) {
	last := &knowngood.Resource{Tags: map[string]string{"a": "b"}, Configuration: map[string]any{"x": map[string]any{"y": 1, "z": 2}}, Supplementary: map[string]any{"Policy": "p"}}
	item := knowngood.Resource{Configuration: map[string]any{"w": 1}}
	for _, path := range []string{"tags", "configuration.x.y", "supplementaryConfiguration.Policy", "supplementaryConfiguration.None", "configuration.w.none"} {
		item.Unread = append(item.Unread, knowngood.ReadError{Path: path})
	}
	got := lastKnown(last, item)
	want := knowngood.Resource{Tags: last.Tags, Configuration: map[string]any{"w": 1, "x": map[string]any{"y": 1}}, Supplementary: map[string]any{"Policy": "p"}, Unread: item.Unread}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if len(item.Configuration) != 1 {
		t.Errorf("the item itself was changed: %v", item.Configuration)
	}
}

func TestCauses(t *testing.T) {
	call := func(id string, at time.Time) knowngood.TrailCall {
		return knowngood.TrailCall{EventID: id, Time: at}
	}
	calls := []knowngood.TrailCall{call("late", at5(11).Add(time.Second)), call("second", at5(10)), call("first", at5(6)), call("first", at5(6)), call("same-second", at5(5)), call("before", at5(5).Add(-time.Second))}
	since, creation := at5(5).Add(300*time.Millisecond), at5(5)
	o := knowngood.Observation{Since: &since, Item: knowngood.Resource{CaptureTime: at5(11)}}
	check := func(what string, want ...string) {
		t.Helper()
		var got []string
		for _, c := range Causes(o, calls) {
			got = append(got, c.EventID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	check("between two looks", "same-second", "first", "second")
	o.Since = nil
	check("the first look")
	o.Item.CreationTime = &creation
	check("since the creation", "before", "same-second", "first", "second")
}

func TestCallsNameAResource(t *testing.T) {
	for _, c := range []struct {
		item   knowngood.Resource
		region string
		refs   []string
	}{
		{knowngood.Resource{Region: "eu-west-1", ID: "acme", Name: "acme", ARN: "arn:aws:s3:::acme"}, "", []string{"acme", "arn:aws:s3:::acme"}},
		{knowngood.Resource{Region: "global", ID: "AROA1", Name: "ops", ARN: "arn:aws:iam::111122223333:role/path/ops"}, "", []string{"AROA1", "ops", "arn:aws:iam::111122223333:role/path/ops"}},
		{knowngood.Resource{Region: "eu-west-1", ID: "db-ABC", Name: "orders", ARN: "arn:aws:rds:eu-west-1:111122223333:db:orders"}, "eu-west-1", []string{"db-ABC", "orders", "arn:aws:rds:eu-west-1:111122223333:db:orders"}},
		{knowngood.Resource{Region: "eu-west-1", ID: "111122223333"}, "eu-west-1", []string{"111122223333"}},
	} {
		if f := Calls(&c.item); f.Region != c.region || !slices.Equal(f.Refs, c.refs) {
			t.Errorf("%+v, want %q %v", f, c.region, c.refs)
		}
	}
}
