package rule

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"

	"github.com/knowngood/knowngood"
)

// Rules of each kind: of the item alone, with a parameter, of the tags, of a resource
// that is looked up, of all of a type, of related ones, and of the time.
var incrementalRules = map[string]string{
	"own":     "compliant: resource.configuration.n < 3\nannotation: \"'it has ' + string(resource.configuration.n)\"",
	"limit":   "parameters: [{name: limit, type: int, default: '2', description: most}]\ncompliant: resource.configuration.n < params.limit",
	"tagged":  "compliant: has(resource.tags.Owner)",
	"looked":  "compliant: \"lookup('AWS::KMS::Key', resource.configuration.key).configuration.n < 3\"",
	"all":     "compliant: \"resources('AWS::KMS::Key').exists(k, k.configuration.n == 1)\"",
	"related": "compliant: \"related('AWS::KMS::Key').all(k, k.configuration.n < 3)\"",
	"aged":    "compliant: ageDays(resource.configuration.made) < 3",
}

func incrementalSet(t interface{ Fatal(...any) }, limit string, scope Scope) *Set {
	files := fstest.MapFS{}
	for name, text := range incrementalRules {
		files["rules/"+name+".yaml"] = &fstest.MapFile{Data: []byte(fmt.Sprintf("identifier: %s\nname: %s\ntitle: wrong\ndescription: a rule of the test\nseverity: LOW\ntrigger: change\nown: true\nresourceTypes: [AWS::EC2::Volume]\n%s\ntests: [{name: none, item: {}, expect: INSUFFICIENT_DATA}]\n",
			strings.ToUpper(name), name, text))}
	}
	lib, err := Load(files)
	if err != nil {
		t.Fatal(err)
	}
	var active []Active
	for _, d := range lib.Rules() {
		params := map[string]string{}
		if d.Name == "limit" {
			params["limit"] = limit
		}
		r, err := Compile(d, params)
		if err != nil {
			t.Fatal(err)
		}
		a := Active{Name: d.Name, Rule: r}
		if d.Name == "own" {
			a.Scope = scope
		}
		active = append(active, a)
	}
	set, err := NewSet(active)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// world is a small estate that a test edits.
type world struct {
	items  []knowngood.Resource
	failed []knowngood.ReadError
	limit  string
	scope  Scope
	now    time.Time
}

func (w *world) lookup() Lookup {
	return Among([]string{"AWS::EC2::Volume", "AWS::KMS::Key"}, w.items, w.failed)
}

func item(resourceType, id string, n int64) knowngood.Resource {
	return knowngood.Resource{
		AccountID: "111122223333", Region: "eu-west-1", Type: resourceType, ID: id, Status: knowngood.ItemOK, Tags: map[string]string{},
		Configuration: map[string]any{"n": n, "key": "k0", "made": "2026-01-01T00:00:00Z"},
	}
}

func (w *world) edit(t *rapid.T) {
	w.items = slices.Clone(w.items) // what was looked up isn't changed
	pick := func() *knowngood.Resource {
		if len(w.items) == 0 {
			w.items = append(w.items, item("AWS::EC2::Volume", "v0", 0))
		}
		r := &w.items[rapid.IntRange(0, len(w.items)-1).Draw(t, "which")]
		config := map[string]any{}
		for k, v := range r.Configuration {
			config[k] = v
		}
		r.Configuration, r.Tags = config, map[string]string{}
		return r
	}
	n := rapid.Int64Range(0, 4).Draw(t, "n")
	switch rapid.SampledFrom([]string{"nothing", "value", "key", "tag", "relate", "unread", "remove", "add", "fail", "limit", "scope", "time", "recapture"}).Draw(t, "edit") {
	case "value":
		pick().Configuration["n"] = n
	case "key":
		pick().Configuration["key"] = fmt.Sprint("k", n)
	case "tag":
		pick().Tags["Owner"] = fmt.Sprint(n)
	case "relate":
		pick().Relationships = []knowngood.Relationship{{Type: "AWS::KMS::Key", ID: fmt.Sprint("k", n)}}
	case "unread":
		pick().Unread = []knowngood.ReadError{{Path: "configuration.n", Code: fmt.Sprint("Denied", n)}}
	case "remove":
		if len(w.items) > 0 {
			i := rapid.IntRange(0, len(w.items)-1).Draw(t, "which")
			w.items = slices.Delete(w.items, i, i+1)
		}
	case "add":
		added := item(rapid.SampledFrom([]string{"AWS::EC2::Volume", "AWS::KMS::Key"}).Draw(t, "type"), "", n)
		added.ID = map[string]string{"AWS::EC2::Volume": "v", "AWS::KMS::Key": "k"}[added.Type] + fmt.Sprint(rapid.IntRange(0, 4).Draw(t, "id"))
		w.items = append(slices.DeleteFunc(w.items, func(r knowngood.Resource) bool { return r.Key() == added.Key() }), added)
	case "fail":
		w.failed = nil
		if n > 2 {
			w.failed = []knowngood.ReadError{{Type: "AWS::KMS::Key", Code: "AccessDenied"}}
		}
	case "limit":
		w.limit = fmt.Sprint(n)
	case "scope":
		w.scope = Scope{}
		if n > 2 {
			w.scope = Scope{TagKey: "Owner"}
		}
	case "time":
		w.now = w.now.Add(time.Duration(n) * 24 * time.Hour)
	case "recapture":
		r := pick()
		r.CaptureTime = w.now
	}
}

// Whatever is edited, what is evaluated incrementally is what is evaluated whole.
func TestIncrementalIsWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{limit: "2", now: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)}
		for i := range 3 {
			w.items = append(w.items, item("AWS::EC2::Volume", fmt.Sprint("v", i), int64(i)), item("AWS::KMS::Key", fmt.Sprint("k", i), int64(i)))
		}
		known := Known{}
		for step := range rapid.IntRange(1, 12).Draw(t, "steps") {
			w.edit(t)
			set := incrementalSet(t, w.limit, w.scope)
			whole, some := set.Sweep(w.now), set.Incremental(w.now, w.lookup(), known)
			var all []knowngood.Judgement
			for i := range w.items {
				want := whole.Resource(&w.items[i], w.lookup())
				got := some.Resource(&w.items[i])
				if len(got) != len(want) {
					t.Fatalf("step %d, %s: %d verdicts, want %d", step, w.items[i].ID, len(got), len(want))
				}
				for k := range want {
					g := got[k].Evaluation
					g.Time = want[k].Time
					if g != want[k] {
						t.Fatalf("step %d, %s: %+v, want %+v", step, w.items[i].ID, g, want[k])
					}
				}
				all = append(all, got...)
			}
			known = Remember(all)
			again := set.Incremental(w.now, w.lookup(), known)
			timed := 0
			for i := range w.items {
				for _, j := range again.Resource(&w.items[i]) {
					if j.Rule == "aged" {
						timed++
					}
				}
			}
			if again.Reused() != len(all)-timed {
				t.Fatalf("step %d: of %d verdicts, %d of them of the time, %d were known", step, len(all), timed, again.Reused())
			}
		}
	})
}

// A change touches the rules that it may touch, and no others.
func TestWhatAChangeTouches(t *testing.T) {
	all := []string{"aged", "all", "limit", "looked", "own", "related", "tagged"}
	for _, c := range []struct {
		name string
		edit func(*world)
		want []string // evaluated anew
	}{
		{"nothing", func(*world) {}, []string{"aged"}},
		{"the time of capture", func(w *world) { w.items[0].CaptureTime = w.now }, []string{"aged"}},
		{"the item", func(w *world) { w.items[0].Configuration["other"] = int64(1) }, all},
		{"what is looked up", func(w *world) { w.items[1].Configuration["n"] = int64(4) }, []string{"aged", "all", "looked", "related"}},
		{"a parameter", func(w *world) { w.limit = "3" }, []string{"aged", "limit"}},
		{"a scope that has it too", func(w *world) { w.scope = Scope{ResourceID: "v0"} }, []string{"aged", "own"}},
		{"why something can't be looked up", func(w *world) { w.failed = []knowngood.ReadError{{Type: "AWS::KMS::Key", Code: "AccessDenied"}} }, []string{"aged", "all", "looked", "related"}},
	} {
		w := &world{limit: "2", now: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), items: []knowngood.Resource{item("AWS::EC2::Volume", "v0", 1), item("AWS::KMS::Key", "k0", 1)}}
		known := Remember(slices.Clone(incrementalSet(t, w.limit, w.scope).Incremental(w.now, w.lookup(), nil).Resource(&w.items[0])))
		c.edit(w)
		later := w.now.Add(time.Hour)
		var fresh []string
		for _, j := range incrementalSet(t, w.limit, w.scope).Incremental(later, w.lookup(), known).Resource(&w.items[0]) {
			if j.Time.Equal(later) {
				fresh = append(fresh, j.Rule)
			}
		}
		if !slices.Equal(fresh, c.want) {
			t.Errorf("%s: %v were evaluated, want %v", c.name, fresh, c.want)
		}
	}
}
