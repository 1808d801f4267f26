package awsapi

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// ValidationError lists everything that is wrong with an operation's input.
type ValidationError struct {
	Service   string
	Operation string
	Problems  []Problem // in the model's order, unknown members last at each level
}

// Problem is one thing that is wrong with an input, and where.
type Problem struct {
	Path string // "TagSpecifications[0].Tags[2].Key"; "" for the input itself
	Text string // "is required"
}

// String is path and text.
func (p Problem) String() string {
	if p.Path == "" {
		return "the input " + p.Text
	}
	return p.Path + " " + p.Text
}

// Error implements error.
func (e *ValidationError) Error() string {
	texts := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		texts[i] = p.String()
	}
	return e.Service + " " + e.Operation + ": " + strings.Join(texts, "; ")
}

// maxInputDepth bounds how deep an input is looked into. Shapes may refer to
// themselves, and a Go value may contain itself.
const maxInputDepth = 64

// Validate checks an input against the model, without a network: unknown and
// missing members, types, lengths, ranges, values outside an enum, unions with
// more or less than one member. Values are of the Go types that ShapeType's
// constants name, which Coerce makes of text; other Go integers, []string and
// the like are taken too, as by the wire protocols. A nil value counts as not
// set. Patterns are not checked, since models write them in
// another dialect and AWS's own clients leave them to the service; enums are,
// although a service may know more values than the model. A required
// idempotency token may be missing, for the client makes one. The error is a
// *ValidationError with every problem.
func (o *Operation) Validate(in map[string]any) error {
	v := validator{}
	switch {
	case o.Input != nil:
		v.structure(o.Input, in, "", 0)
	case len(in) > 0:
		v.add("", "must be empty: %s takes none", o.Name)
	}
	if len(v.problems) == 0 {
		return nil
	}
	return &ValidationError{Service: o.Service.Name, Operation: o.Name, Problems: v.problems}
}

type validator struct{ problems []Problem }

func (v *validator) add(path, format string, args ...any) {
	v.problems = append(v.problems, Problem{Path: path, Text: fmt.Sprintf(format, args...)})
}

func (v *validator) structure(s *Shape, in map[string]any, path string, depth int) {
	set := 0
	for i := range s.Members {
		m := &s.Members[i]
		value := in[m.Name]
		if value == nil {
			if m.Is(Required) && !m.Is(IdempotencyToken) {
				v.add(memberPath(path, m.Name), "is required")
			}
			continue
		}
		set++
		v.value(m, value, memberPath(path, m.Name), depth)
	}
	if s.Is(Union) && set != 1 {
		v.add(path, "must have exactly one member set, it has %d", set)
	}
	var unknown []string
	for name, value := range in {
		if value != nil && s.Member(name) == nil {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		text := "is not known"
		if near := nearest(name, memberNames(s)); len(near) > 0 {
			text += "; near: " + strings.Join(near, ", ")
		}
		v.add(memberPath(path, name), "%s", text)
	}
}

func (v *validator) value(m *Member, value any, path string, depth int) {
	if depth >= maxInputDepth {
		v.add(path, "is nested more than %d levels deep", maxInputDepth)
		return
	}
	s := m.Shape
	value = generalize(value)
	switch s.Type {
	case Structure:
		if s.Is(Document) {
			return
		}
		if in, ok := value.(map[string]any); ok {
			v.structure(s, in, path, depth+1)
			return
		}
		if _, ok := value.(io.Reader); ok && (s.Is(EventStream) || m.Is(MemberStreaming)) {
			return
		}
		v.wrong(path, "a structure", value)
	case List:
		in, ok := value.([]any)
		if !ok {
			v.wrong(path, "a list", value)
			return
		}
		v.bounds(s, float64(len(in)), path, "elements")
		for i, e := range in {
			v.element(s, s.Elem, e, path+"["+strconv.Itoa(i)+"]", depth+1)
		}
	case Map:
		in, ok := value.(map[string]any)
		if !ok {
			v.wrong(path, "a map", value)
			return
		}
		v.bounds(s, float64(len(in)), path, "entries")
		keys := make([]string, 0, len(in))
		for k := range in {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			at := path + "[" + strconv.Quote(k) + "]"
			v.text(s.Key, k, at+" as a key")
			v.element(s, s.Elem, in[k], at, depth+1)
		}
	case String:
		if in, ok := value.(string); ok {
			v.text(m, in, path)
		} else if !m.Is(JSONValue) {
			v.wrong(path, "text", value)
		}
	case Blob:
		switch in := value.(type) {
		case []byte:
			v.bounds(s, float64(len(in)), path, "bytes")
		case io.Reader:
			if !s.Is(Streaming) && !m.Is(MemberStreaming) {
				v.wrong(path, "bytes", value)
			}
		default:
			v.wrong(path, "bytes", value)
		}
	case Boolean:
		if _, ok := value.(bool); !ok {
			v.wrong(path, "a boolean", value)
		}
	case Integer, Long:
		n, ok := integerOf(value)
		if !ok || s.Type == Integer && (n < math.MinInt32 || n > math.MaxInt32) {
			v.wrong(path, "an integer of "+map[ShapeType]string{Integer: "32", Long: "64"}[s.Type]+" bits", value)
			return
		}
		v.bounds(s, float64(n), path, "")
	case Float, Double:
		f, ok := floatOf(value)
		if !ok {
			v.wrong(path, "a number", value)
			return
		}
		v.bounds(s, f, path, "")
	case Timestamp:
		if _, ok := value.(time.Time); !ok {
			v.wrong(path, "a timestamp", value)
		}
	}
}

// element is value for what a list or map holds, where nil can't mean "not set".
func (v *validator) element(holder *Shape, m *Member, value any, path string, depth int) {
	switch {
	case value != nil:
		v.value(m, value, path, depth)
	case !holder.Is(Sparse):
		v.add(path, "must not be null")
	}
}

func (v *validator) text(m *Member, in, path string) {
	if m.Location == InURI && in == "" {
		v.add(path, "must not be empty: it is a part of the path")
		return
	}
	s := m.Shape
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, in) {
		what := strconv.Quote(in) + " "
		if s.Is(Sensitive) {
			what = ""
		}
		v.add(path, "%sis none of %s", what, shortList(s.Enum))
		return
	}
	v.bounds(s, float64(utf8.RuneCountInString(in)), path, "characters")
}

// bounds checks a value, or a length where unit is not empty.
func (v *validator) bounds(s *Shape, n float64, path, unit string) {
	verb := "is"
	if unit != "" {
		verb, unit = "has", " "+unit
	}
	if s.Is(HasMin) && n < s.Min {
		v.add(path, "%s %s%s, fewer than the least, %s", verb, number(n), unit, number(s.Min))
	}
	if s.Is(HasMax) && n > s.Max {
		v.add(path, "%s %s%s, more than the most, %s", verb, number(n), unit, number(s.Max))
	}
}

// wrong never shows the value itself, which may be a secret.
func (v *validator) wrong(path, want string, value any) {
	v.add(path, "must be %s, not %s", want, kindOf(value))
}

func kindOf(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case string:
		return "text"
	case bool:
		return "a boolean"
	case map[string]any:
		return "a structure"
	case []any:
		return "a list"
	case []byte:
		return "bytes"
	case time.Time:
		return "a timestamp"
	}
	if n, ok := integerOf(value); ok {
		return "the integer " + strconv.FormatInt(n, 10)
	}
	if f, ok := floatOf(value); ok {
		return "the number " + number(f)
	}
	return fmt.Sprintf("a Go %T", value)
}

// integerOf takes any Go integer, and a float that is one exactly.
func integerOf(value any) (int64, bool) {
	switch n := value.(type) {
	case int64:
		return n, true
	case int:
		return int64(n), true
	case int32:
		return int64(n), true
	case int16:
		return int64(n), true
	case int8:
		return int64(n), true
	case uint8:
		return int64(n), true
	case uint16:
		return int64(n), true
	case uint32:
		return int64(n), true
	case uint:
		return int64(n), uint64(n) <= math.MaxInt64
	case uint64:
		return int64(n), n <= math.MaxInt64
	case float64:
		// Both bounds are exact floats; the upper one is out of range itself.
		return int64(n), n == math.Trunc(n) && n >= math.MinInt64 && n < math.MaxInt64
	}
	return 0, false
}

func floatOf(value any) (float64, bool) {
	switch n := value.(type) {
	case float64:
		return n, true
	case float32:
		return float64(n), true
	}
	n, ok := integerOf(value)
	return float64(n), ok
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func memberPath(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func memberNames(s *Shape) []string {
	names := make([]string, len(s.Members))
	for i := range s.Members {
		names[i] = s.Members[i].Name
	}
	return names
}

// shortList names at most eight values.
func shortList(values []string) string {
	const most = 8
	if len(values) <= most {
		return strings.Join(values, ", ")
	}
	return fmt.Sprintf("%s, … (%d values)", strings.Join(values[:most], ", "), len(values))
}
