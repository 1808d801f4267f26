package inventory

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/knowngood/knowngood"
)

// Difference is a member that two items of a resource have otherwise, in the words
// of AWS Config's configurationItemDiff.
type Difference struct {
	// Path is the member's, with / between names and an index for an element of a
	// list. A / or ~ in a name is written ~1 or ~0, as JSON Pointer has it.
	Path          string     `json:"path"`
	ChangeType    ChangeType `json:"changeType"`
	PreviousValue any        `json:"previousValue,omitempty"`
	UpdatedValue  any        `json:"updatedValue,omitempty"`
}

// ChangeType says what became of a member.
type ChangeType string

// The kinds of change.
const (
	Create ChangeType = "CREATE"
	Update ChangeType = "UPDATE"
	Delete ChangeType = "DELETE"
)

// Diff gives what differs between two items of one resource, in the order in which
// Apply makes one of the other. When an item was read, and what could not be read,
// are no difference. A nil item is one of nothing.
func Diff(before, after *knowngood.Resource) []Difference {
	var out []Difference
	diff(&out, "", content(before), content(after))
	return out
}

// content is what of an item can change, as JSON's values.
func content(r *knowngood.Resource) map[string]any {
	if r == nil {
		return map[string]any{}
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return map[string]any{} // items come from JSON, so that they can be written
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	var out map[string]any
	if d.Decode(&out) != nil {
		return map[string]any{}
	}
	for _, name := range []string{"configurationItemCaptureTime", "configurationStateId", "relatedEvents", "unread", "version"} {
		delete(out, name)
	}
	return out
}

var pointer, unpointer = strings.NewReplacer("~", "~0", "/", "~1"), strings.NewReplacer("~1", "/", "~0", "~")

func below(path, name string) string {
	if path == "" {
		return pointer.Replace(name)
	}
	return path + "/" + pointer.Replace(name)
}

func diff(out *[]Difference, path string, before, after any) {
	if was, ok := before.(map[string]any); ok {
		if is, ok := after.(map[string]any); ok {
			diffObjects(out, path, was, is)
			return
		}
	}
	if was, ok := before.([]any); ok {
		if is, ok := after.([]any); ok {
			diffLists(out, path, was, is)
			return
		}
	}
	if !reflect.DeepEqual(before, after) {
		*out = append(*out, Difference{path, Update, before, after})
	}
}

func diffObjects(out *[]Difference, path string, was, is map[string]any) {
	names := slices.Concat(slices.Collect(maps.Keys(was)), slices.Collect(maps.Keys(is)))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		before, had := was[name]
		after, has := is[name]
		switch p := below(path, name); {
		case !has:
			*out = append(*out, Difference{Path: p, ChangeType: Delete, PreviousValue: before})
		case !had:
			*out = append(*out, Difference{Path: p, ChangeType: Create, UpdatedValue: after})
		default:
			diff(out, p, before, after)
		}
	}
}

// diffLists takes for changed what is between the beginning and the end that both
// lists have, so that an element more in the middle is one difference.
func diffLists(out *[]Difference, path string, was, is []any) {
	from := 0
	for from < min(len(was), len(is)) && reflect.DeepEqual(was[from], is[from]) {
		from++
	}
	end := 0
	for end < min(len(was), len(is))-from && reflect.DeepEqual(was[len(was)-1-end], is[len(is)-1-end]) {
		end++
	}
	both := from + min(len(was), len(is)) - from - end
	for i := from; i < both; i++ {
		diff(out, below(path, strconv.Itoa(i)), was[i], is[i])
	}
	for i := len(was) - end - 1; i >= both; i-- { // from behind, so that each index is the element's when it goes
		*out = append(*out, Difference{Path: below(path, strconv.Itoa(i)), ChangeType: Delete, PreviousValue: was[i]})
	}
	for i := both; i < len(is)-end; i++ {
		*out = append(*out, Difference{Path: below(path, strconv.Itoa(i)), ChangeType: Create, UpdatedValue: is[i]})
	}
}

// apply makes the later content of the earlier. It changes the earlier. It is the
// meaning of Difference; the tests hold Diff against it.
func apply(content any, d Difference) any { return applyAt(content, strings.Split(d.Path, "/"), d) }

func applyAt(v any, path []string, d Difference) any {
	name := unpointer.Replace(path[0])
	last := len(path) == 1
	switch v := v.(type) {
	case map[string]any:
		switch {
		case !last:
			v[name] = applyAt(v[name], path[1:], d)
		case d.ChangeType == Delete:
			delete(v, name)
		default:
			v[name] = d.UpdatedValue
		}
		return v
	case []any:
		i, err := strconv.Atoi(name)
		switch {
		case err != nil || i < 0 || i > len(v) || i == len(v) && (!last || d.ChangeType != Create):
			return v
		case !last:
			v[i] = applyAt(v[i], path[1:], d)
		case d.ChangeType == Delete:
			return slices.Delete(v, i, i+1)
		case d.ChangeType == Create:
			return slices.Insert(v, i, d.UpdatedValue)
		default:
			v[i] = d.UpdatedValue
		}
		return v
	}
	return v
}
