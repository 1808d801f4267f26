package sandbox

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/knowngood/knowngood/awsapi"
)

// slicePage cuts a page out of a list, for services whose members are not named
// as in page. A limit of 0 or less: no limit. false: the token is none of ours.
func slicePage(items []any, token string, limit int64) (page []any, next string, ok bool) {
	start := 0
	if token != "" {
		n, err := strconv.Atoi(strings.TrimPrefix(token, "page-"))
		if err != nil || n < 0 || n > len(items) || !strings.HasPrefix(token, "page-") {
			return nil, "", false
		}
		start = n
	}
	end := len(items)
	if limit > 0 && int64(start)+limit < int64(end) {
		end = start + int(limit)
		next = "page-" + strconv.Itoa(end)
	}
	return items[start:end:end], next, true
}

// asNumber gives a JSON number, as it comes from a call or from a snapshot.
func asNumber(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case int:
		return float64(v), true
	case float64:
		return v, true
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	}
	return 0, false
}

// lookup gives the values at a dotted path: those of every element where the
// path leads through lists.
func lookup(v any, path string) []any {
	name, rest, more := strings.Cut(path, ".")
	if s, ok := v.(structure); ok {
		v = object(s)
	}
	switch v := v.(type) {
	case object:
		e, ok := v[name]
		if !ok || e == nil {
			return nil
		}
		if more {
			return lookup(e, rest)
		}
		if l, ok := e.([]any); ok {
			return l
		}
		return []any{e}
	case []any:
		var out []any
		for _, e := range v {
			out = append(out, lookup(e, path)...)
		}
		return out
	}
	return nil
}

// lookupText is the first text at a path, or "".
func lookupText(v any, path string) string {
	for _, e := range lookup(v, path) {
		if s, ok := e.(string); ok {
			return s
		}
	}
	return ""
}

// set puts a value at a dotted path, and makes the objects on the way.
func set(o object, path string, v any) {
	for {
		name, rest, more := strings.Cut(path, ".")
		if !more {
			o[name] = v
			return
		}
		next, ok := o[name].(object)
		if !ok {
			next = object{}
			o[name] = next
		}
		o, path = next, rest
	}
}

// copied is a deep copy of JSON-like values.
func copied(v any) any {
	switch v := v.(type) {
	case structure:
		return copied(object(v))
	case object:
		out := make(object, len(v))
		for k, e := range v {
			out[k] = copied(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = copied(e)
		}
		return out
	}
	return v
}

// stamp writes a time as services do that have times as texts.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// wire gives a value of the model as it looks in JSON: members under their names
// on the wire, times as texts.
func wire(s *awsapi.Shape, v any) any {
	switch v := v.(type) {
	case object:
		out := make(object, len(v))
		for k, e := range v {
			name, inner := k, (*awsapi.Shape)(nil)
			switch m := s.Member(k); {
			case m != nil:
				name, inner = m.WireName(), m.Shape
			case s != nil && s.Type == awsapi.Map:
				inner = s.Elem.Shape
			}
			out[name] = wire(inner, e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			var inner *awsapi.Shape
			if s != nil && s.Type == awsapi.List {
				inner = s.Elem.Shape
			}
			out[i] = wire(inner, e)
		}
		return out
	case time.Time:
		return stamp(v)
	}
	return v
}

// lowered writes an answer of the API as Config writes it: the same members in
// lower camel case, times as texts.
func lowered(v any) any {
	switch v := v.(type) {
	case object:
		out := make(object, len(v))
		for k, e := range v {
			out[lowerFirst(k)] = lowered(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = lowered(e)
		}
		return out
	case time.Time:
		return stamp(v)
	}
	return v
}

// textOf writes a JSON value as criteria do.
func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	}
	if f, ok := asNumber(v); ok {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return ""
}

// lookupOne is the first value at a path, or nil.
func lookupOne(v any, path string) any {
	for _, e := range lookup(v, path) {
		return e
	}
	return nil
}

// lowerTimes writes times as texts.
func lowerTimes(v any) any { return wire(nil, v) }
