package remedy

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gowebpki/jcs"

	"github.com/knowngood/knowngood/awsapi"
)

// A planned call's input is a template: ordinary JSON, in which an object with
// one of these keys alone stands for something else. See knowngood.Call.
const (
	refKey     = "$ref"
	textKey    = "$text"
	literalKey = "$literal"
)

// ref names a value of an earlier write's response.
type ref struct {
	From string // the call's id
	Path string // members and indices, separated by dots
}

// While a plan is made, a value that only a write's response will bring is a
// text of this form. Private-use characters keep it apart from real texts, so
// that it can be found again wherever the runbook puts it, embedded in other
// text as well.
const (
	refOpen  = "\ue000"
	refSplit = "\ue001"
	refClose = "\ue002"
)

func placeholder(r ref) string { return refOpen + r.From + refSplit + r.Path + refClose }

// unescaped undoes what JSON within a text has done to placeholders: Python writes
// all that is not ASCII as escapes.
func unescaped(v any) any {
	switch v := v.(type) {
	case string:
		if strings.Contains(v, `\ue000`) {
			return strings.NewReplacer(`\ue000`, refOpen, `\ue001`, refSplit, `\ue002`, refClose).Replace(v)
		}
	case []any:
		for i, e := range v {
			v[i] = unescaped(e)
		}
	case map[string]any:
		for k, e := range v {
			v[k] = unescaped(e)
		}
	}
	return v
}

// wholePlaceholder gives the reference that a text consists of, if it is nothing
// but one placeholder.
func wholePlaceholder(s string) (ref, bool) {
	inner, opened := strings.CutPrefix(s, refOpen)
	inner, closed := strings.CutSuffix(inner, refClose)
	from, path, split := strings.Cut(inner, refSplit)
	return ref{from, path}, opened && closed && split && !strings.ContainsAny(path, refOpen+refSplit+refClose)
}

// hasPlaceholder says whether a value, or any value in it, is or contains a
// placeholder.
func hasPlaceholder(v any) bool {
	found := false
	walkText(v, func(s string) { found = found || strings.Contains(s, refOpen) })
	return found
}

// walkText calls fn with every text in a value, keys of objects excepted.
func walkText(v any, fn func(string)) {
	switch v := v.(type) {
	case string:
		fn(v)
	case []any:
		for _, e := range v {
			walkText(e, fn)
		}
	case map[string]any:
		for _, k := range sortedKeys(v) {
			walkText(v[k], fn)
		}
	}
}

// toTemplate turns a value with placeholders into a template.
func toTemplate(v any) any {
	switch v := v.(type) {
	case string:
		return textTemplate(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = toTemplate(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = toTemplate(e)
		}
		if len(v) == 1 && strings.HasPrefix(sortedKeys(v)[0], "$") {
			return map[string]any{literalKey: out}
		}
		return out
	}
	return v
}

func textTemplate(s string) any {
	var parts []any
	for {
		before, rest, ok := strings.Cut(s, refOpen)
		if !ok {
			break
		}
		name, after, closed := strings.Cut(rest, refClose)
		from, path, split := strings.Cut(name, refSplit)
		if !closed || !split {
			break
		}
		if before != "" {
			parts = append(parts, before)
		}
		parts = append(parts, map[string]any{refKey: map[string]any{"from": from, "path": path}})
		s = after
	}
	switch {
	case len(parts) == 0:
		return s
	case len(parts) == 1 && s == "":
		return parts[0]
	case s != "":
		parts = append(parts, s)
	}
	return map[string]any{textKey: parts}
}

// bindings are the responses of the writes that have been made, by the id of
// the planned call.
type bindings map[string]map[string]any

func (b bindings) value(r ref) (any, error) {
	response, ok := b[r.From]
	if !ok {
		return nil, fmt.Errorf("call %s has not been made", r.From)
	}
	v, ok := at(response, r.Path)
	if !ok {
		return nil, fmt.Errorf("the response of call %s has no %s", r.From, r.Path)
	}
	return v, nil
}

// at follows a path of members and indices, separated by dots.
func at(v any, path string) (any, bool) {
	if path == "" {
		return v, true
	}
	for key := range strings.SplitSeq(path, ".") {
		switch c := v.(type) {
		case map[string]any:
			e, ok := c[key]
			if !ok {
				return nil, false
			}
			v = e
		case []any:
			var i int
			if _, err := fmt.Sscanf(key, "%d", &i); err != nil || i < 0 || i >= len(c) {
				return nil, false
			}
			v = c[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// mismatch is one place in which a call is not what was planned.
type mismatch struct {
	path       string
	want, have string
}

func (m mismatch) Error() string {
	return fmt.Sprintf("%s is %s, planned was %s", m.path, m.have, m.want)
}

// unify says whether a call's real input is an instance of the planned
// template under the bindings; if not, the first place that differs.
func unify(template, actual any, b bindings) error { return unifyAt("input", template, actual, b) }

func unifyAt(path string, template, actual any, b bindings) error {
	m, ok := template.(map[string]any)
	if !ok {
		if l, isList := template.([]any); isList {
			return unifyList(path, l, actual, b)
		}
		return unifyValue(path, template, actual)
	}
	if key, arg, ok := special(m); ok {
		switch key {
		case literalKey:
			inner, _ := arg.(map[string]any)
			return unifyObject(path, inner, actual, b)
		default:
			want, err := bind(m, b)
			if err != nil {
				return mismatch{path, "a value that is not known: " + err.Error(), text(actual)}
			}
			return unifyValue(path, want, actual)
		}
	}
	return unifyObject(path, m, actual, b)
}

func unifyObject(path string, template map[string]any, actual any, b bindings) error {
	have, ok := actual.(map[string]any)
	if !ok {
		return mismatch{path, "an object", text(actual)}
	}
	for _, k := range sortedKeys(have) {
		if _, ok := template[k]; !ok {
			return mismatch{path + "." + k, "absent", text(have[k])}
		}
	}
	for _, k := range sortedKeys(template) {
		v, ok := have[k]
		if !ok {
			return mismatch{path + "." + k, text(template[k]), "absent"}
		}
		if err := unifyAt(path+"."+k, template[k], v, b); err != nil {
			return err
		}
	}
	return nil
}

func unifyList(path string, template []any, actual any, b bindings) error {
	have, ok := actual.([]any)
	if !ok || len(have) != len(template) {
		return mismatch{path, fmt.Sprintf("a list of %d", len(template)), text(actual)}
	}
	for i := range template {
		if err := unifyAt(fmt.Sprintf("%s[%d]", path, i), template[i], have[i], b); err != nil {
			return err
		}
	}
	return nil
}

func unifyValue(path string, want, have any) error {
	if !equal(want, have) {
		return mismatch{path, text(want), text(have)}
	}
	return nil
}

// bind replaces the references in a template by what they stand for.
func bind(template any, b bindings) (any, error) {
	switch t := template.(type) {
	case []any:
		out := make([]any, len(t))
		for i, e := range t {
			v, err := bind(e, b)
			if err != nil {
				return nil, err
			}
			out[i] = v
		}
		return out, nil
	case map[string]any:
		key, arg, ok := special(t)
		if !ok {
			return bindObject(t, b)
		}
		switch key {
		case literalKey:
			inner, _ := arg.(map[string]any)
			return bindObject(inner, b)
		case refKey:
			m, _ := arg.(map[string]any)
			from, _ := m["from"].(string)
			path, _ := m["path"].(string)
			return b.value(ref{from, path})
		default: // textKey
			parts, _ := arg.([]any)
			var s strings.Builder
			for _, p := range parts {
				v, err := bind(p, b)
				if err != nil {
					return nil, err
				}
				if t, ok := v.(string); ok {
					s.WriteString(t)
				} else {
					s.WriteString(text(v))
				}
			}
			return s.String(), nil
		}
	}
	return template, nil
}

func bindObject(t map[string]any, b bindings) (any, error) {
	out := make(map[string]any, len(t))
	for k, e := range t {
		v, err := bind(e, b)
		if err != nil {
			return nil, err
		}
		out[k] = v
	}
	return out, nil
}

// special gives the one key of an object that stands for something else.
func special(m map[string]any) (key string, arg any, ok bool) {
	if len(m) != 1 {
		return "", nil, false
	}
	for _, key := range []string{refKey, textKey, literalKey} {
		if arg, ok := m[key]; ok {
			return key, arg, true
		}
	}
	return "", nil, false
}

// plain turns what awsapi has for a value into JSON's own: a time into text of
// RFC 3339, bytes into the text that they are or else base64, whole numbers into
// int64.
func plain(v any) any {
	switch v := v.(type) {
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case []byte:
		if utf8.Valid(v) {
			return string(v)
		}
		return base64.StdEncoding.EncodeToString(v)
	case int:
		return int64(v)
	case int32:
		return int64(v)
	case float32:
		return plain(float64(v))
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v)
		}
		return v
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64()
		return plain(f)
	case []string:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = e
		}
		return out
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

// logged is a value of a shape as awsapi has it, of one as a run's log has it, in
// which bytes are base64.
func logged(s *awsapi.Shape, v any) any {
	switch v := v.(type) {
	case string:
		if s != nil && s.Type == awsapi.Blob {
			if raw, err := base64.StdEncoding.DecodeString(v); err == nil {
				return raw
			}
		}
	case []any:
		if s == nil || s.Type != awsapi.List {
			return v
		}
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = logged(s.Elem.Shape, e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = logged(inner(s, k), e)
		}
		return out
	}
	return v
}

// inner is the shape of a structure's member or a map's element, or nil.
func inner(s *awsapi.Shape, name string) *awsapi.Shape {
	switch {
	case s == nil:
		return nil
	case s.Type == awsapi.Map:
		return s.Elem.Shape
	case s.Type == awsapi.Structure && s.Member(name) != nil:
		return s.Member(name).Shape
	}
	return nil
}

// equal compares values as JSON values: 1 and 1.0 are equal.
func equal(a, b any) bool {
	ca, errA := canonical(a)
	cb, errB := canonical(b)
	return errA == nil && errB == nil && bytes.Equal(ca, cb)
}

// canonical is a value in the form of RFC 8785.
func canonical(v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return jcs.Transform(raw)
}

func text(v any) string {
	raw, err := canonical(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(raw)
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
