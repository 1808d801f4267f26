package inventory

import (
	"encoding/base64"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/knowngood/knowngood/internal/planned"
)

// value makes a value of an item from an answer. In the table it is a path, for
// a value that is taken as it is, or a map: of the members of an object and of
// the keys that begin with $.
type value struct {
	from    string // path, from where the object around starts
	each    bool   // from is a list or a map, and each of its elements makes a value
	key     string // path of the key that an element, or the one value, has in a map; empty: the values are a list
	list    bool   // an absent value is an empty list
	members []member
	object  bool // has members; else the value is taken as it is

	as        func(any) any  // how it is written; nil: as it is
	values    map[string]any // what a word of the API is in the item
	otherwise any            // the value where the answer has none
	absent    string         // why the value is not known where the answer has none; empty: it is absent
	constant  any            // the value, whatever the answer has
	given     string         // why the value is not known where the answer has one
	present   bool           // the value says whether the answer has one
	decode    bool           // from is a JSON text, and the members' paths start in what it holds
	wrap      bool           // the value is a list of the one
	none      bool           // there is none before it is made
	unset     bool           // what the plan leaves to the provider is absent

	first  []value // the first of them that gives something; all else is then empty
	concat bool    // the lists that all of first give, one after the other
}

type member struct {
	name string
	value
}

// names are those of the object's members.
func (v *value) names() []string {
	if v == nil {
		return nil
	}
	names := make([]string, len(v.members))
	for i := range v.members {
		names[i] = v.members[i].name
	}
	return names
}

// paths are those of all values in it.
func (v *value) paths(prefix string) []string {
	if v == nil {
		return nil
	}
	if v.as != nil || !v.object && v.first == nil {
		return []string{prefix}
	}
	var out []string
	for i := range v.first {
		out = append(out, v.first[i].paths(prefix)...)
	}
	for i := range v.members {
		out = append(out, v.members[i].paths(prefix+"."+v.members[i].name)...)
		if strings.Contains(v.key, "{") { // of a template: a rule reads it by key, or by all
			out = append(out, v.members[i].paths(prefix+".*."+v.members[i].name)...)
		}
	}
	return out
}

// make makes the value; nil where the answer has nothing for it.
func (v *value) make(answer any) any {
	made := v.made(answer)
	if _, unknown := made.(planned.Unknown); v.wrap && made != nil && !unknown {
		return []any{made}
	}
	return made
}

func (v *value) made(answer any) any {
	var all []any
	for i := range v.first {
		made := v.first[i].make(answer)
		list, isList := made.([]any)
		switch {
		case made == nil:
		case v.concat && isList:
			all = append(all, list...)
		default:
			return made
		}
	}
	if v.concat {
		return all
	}
	found := at(answer, v.from)
	unknown, isUnknown := found.(planned.Unknown)
	if isUnknown && unknown.Unset && (v.otherwise != nil || v.absent != "" || v.unset) {
		found, isUnknown = nil, false
	}
	if text, ok := found.(string); ok && v.decode {
		if found = forms["json"](text); found == text {
			found, unknown, isUnknown = nil, planned.Unknown{Why: v.from + " is no JSON"}, true
		}
		found = plain(found)
	}
	switch {
	case v.first != nil:
		return nil
	case v.none:
		return nil
	case v.constant != nil:
		return v.constant
	case isUnknown:
		return unknown
	case found != nil && v.given != "":
		return planned.Unknown{Why: v.given}
	case v.present:
		return found != nil
	case found == nil && v.absent != "":
		return planned.Unknown{Why: v.absent}
	case found == nil && v.otherwise != nil:
		return v.otherwise
	case found == nil && v.list:
		return []any{}
	case found == nil:
		return nil
	case !v.each && v.key != "":
		return v.entries(func(yield func(string, any) bool) {
			if key, ok := at(found, v.key).(string); ok {
				yield(key, found)
			}
		})
	case !v.each:
		return v.one(found)
	}
	if entries, ok := found.(map[string]any); ok {
		return v.entries(maps.All(entries))
	}
	list, _ := found.([]any)
	if v.key != "" {
		for _, e := range list {
			if unknown, ok := at(e, v.key).(planned.Unknown); ok {
				return unknown
			}
		}
		return v.entries(func(yield func(string, any) bool) {
			for _, e := range list {
				if key, ok := v.keyOf(e); ok && !yield(key, e) {
					return
				}
			}
		})
	}
	out := make([]any, 0, len(list))
	for _, e := range list {
		if made := v.one(e); made != nil {
			out = append(out, made)
		}
	}
	return out
}

// keyOf is the key that an element of a list has.
func (v *value) keyOf(element any) (string, bool) {
	if strings.Contains(v.key, "{") {
		key, ok := fill(v.key, nil, element)
		return strings.TrimPrefix(key, "/"), ok
	}
	key, ok := at(element, v.key).(string)
	return key, ok
}

// entries makes a map of the values of its elements.
func (v *value) entries(elements iter.Seq2[string, any]) map[string]any {
	out := map[string]any{}
	for key, e := range elements {
		if made := v.one(e); made != nil {
			out[key] = made
		}
	}
	return out
}

func (v *value) one(found any) any {
	if !v.object {
		return v.write(found)
	}
	out := make(map[string]any, len(v.members))
	for i := range v.members {
		m := &v.members[i]
		if made := m.make(found); made != nil {
			out[m.name] = made
		}
	}
	if len(out) == 0 && v.from == "" {
		return nil // an object that only the item has, with nothing in it
	}
	if v.as != nil {
		if unknown, ok := planned.Find(out); ok {
			return unknown
		}
		return v.as(out)
	}
	return out
}

// write gives a value that is taken over as an item has it.
func (v *value) write(found any) any {
	switch word := found.(type) {
	case string:
		if word, ok := v.values[word]; ok {
			return word
		}
	case bool:
		if word, ok := v.values[strconv.FormatBool(word)]; ok {
			return word
		}
	case int64:
		if word, ok := v.values[strconv.FormatInt(word, 10)]; ok {
			return word
		}
	}
	if v.as != nil {
		if unknown, ok := planned.Find(found); ok {
			return unknown
		}
		found = v.as(found)
	}
	return plain(found)
}

// forms are how a value can be written, by name. What a form is not for stays as
// it is.
var forms = map[string]func(any) any{
	"milliseconds": func(v any) any {
		if t, ok := v.(time.Time); ok {
			return t.UnixMilli()
		}
		return v
	},
	"date": func(v any) any {
		if t, ok := v.(time.Time); ok {
			return t.UTC().Format("Jan 2, 2006 3:04:05 PM")
		}
		return v
	},
	"integer": func(v any) any {
		if s, ok := v.(string); ok {
			if n, err := strconv.ParseInt(s, 10, 64); err == nil {
				return n
			}
		}
		return v
	},
	"text": func(v any) any {
		raw, err := json.Marshal(plain(v))
		if err != nil {
			return v // what answers hold can be written as JSON
		}
		return string(raw)
	},
	"json": func(v any) any {
		if s, ok := v.(string); ok {
			d := json.NewDecoder(strings.NewReader(s))
			d.UseNumber()
			var parsed any
			if d.Decode(&parsed) == nil && !d.More() {
				return parsed
			}
		}
		return v
	},
}

// plannedForms are further forms, of what templates write as they like.
var plannedForms = map[string]func(any) any{
	"csv": func(v any) any {
		s, ok := v.(string)
		if !ok {
			return v
		}
		list := []any{}
		for part := range strings.SplitSeq(s, ",") {
			list = append(list, strings.TrimSpace(part))
		}
		return list
	},
	"boolean": func(v any) any {
		if s, ok := v.(string); ok {
			switch strings.ToLower(s) {
			case "true":
				return true
			case "false":
				return false
			}
		}
		return v
	},
	"string": func(v any) any {
		switch v := v.(type) {
		case bool:
			return strconv.FormatBool(v)
		case int64:
			return strconv.FormatInt(v, 10)
		case []any, map[string]any:
			raw, err := json.Marshal(plain(v))
			if err != nil {
				return v // it came from JSON or YAML
			}
			return string(raw)
		}
		return v
	},
}

// timeForm is how AWS Config writes times.
const timeForm = "2006-01-02T15:04:05.000Z"

// plain makes a value of JSON's kinds.
func plain(v any) any {
	switch v := v.(type) {
	case time.Time:
		return v.UTC().Format(timeForm)
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64() // beyond the range it is infinite, and JSON says no more
		return f
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = plain(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = plain(e)
		}
		return out
	}
	return v
}

// merge adds an answer's members to an object of an item; lists of several pages
// follow one another.
func (v *value) merge(into map[string]any, answer any) {
	if v == nil {
		return
	}
	made, _ := v.make(answer).(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(made)) {
		have, ok := into[name].([]any)
		more, both := made[name].([]any)
		if ok && both {
			into[name] = append(have, more...)
			continue
		}
		into[name] = made[name]
	}
}
