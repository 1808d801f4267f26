package awsapi

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Coerce gives a copy of an input in which values have the Go types of the
// model: text, as runbooks and templates hold it, becomes numbers ("8"),
// booleans ("true", "True"), timestamps (RFC 3339, or a date alone; numbers
// are seconds since 1970) and bytes (base64), numbers and booleans become text
// where the model wants text. Go's own kinds of integers, json.Number,
// []string, []map[string]any and map[string]string become the general ones.
// Members by botocore's other names get the model's, see MemberName.
// What can't be converted, unknown members among them, stays as it is, for
// Validate to name. The error says that the input is nested too deeply.
func (o *Operation) Coerce(in map[string]any) (map[string]any, error) {
	if in == nil {
		return nil, nil
	}
	if o.Input == nil {
		out, err := copyAny(in, 0)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", o.Service.Name, o.Name, err)
		}
		return out.(map[string]any), nil
	}
	out, err := coerceStructure(o.Input, o.unalias(in), 0)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", o.Service.Name, o.Name, err)
	}
	return out, nil
}

var errTooDeep = fmt.Errorf("the input is nested more than %d levels deep", maxInputDepth)

func coerceStructure(s *Shape, in map[string]any, depth int) (map[string]any, error) {
	out := make(map[string]any, len(in))
	for name, value := range in {
		var err error
		if m := s.Member(name); m != nil {
			out[name], err = coerce(m, value, depth+1)
		} else {
			out[name], err = copyAny(value, depth+1)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func coerce(m *Member, value any, depth int) (any, error) {
	if depth > maxInputDepth {
		return nil, errTooDeep
	}
	s := m.Shape
	value = generalize(value)
	switch s.Type {
	case Structure:
		if in, ok := value.(map[string]any); ok && !s.Is(Document) {
			return coerceStructure(s, in, depth)
		}
	case List:
		if in, ok := value.([]any); ok {
			out := make([]any, len(in))
			for i, e := range in {
				var err error
				if out[i], err = coerce(s.Elem, e, depth+1); err != nil {
					return nil, err
				}
			}
			return out, nil
		}
	case Map:
		if in, ok := value.(map[string]any); ok {
			out := make(map[string]any, len(in))
			for k, e := range in {
				var err error
				if out[k], err = coerce(s.Elem, e, depth+1); err != nil {
					return nil, err
				}
			}
			return out, nil
		}
	case String:
		if !m.Is(JSONValue) {
			value = coerceText(value)
		}
	case Integer, Long:
		return coerceInteger(value), nil
	case Float, Double:
		return coerceFloat(value), nil
	case Boolean:
		return coerceBoolean(value), nil
	case Blob:
		return coerceBytes(value), nil
	case Timestamp:
		return coerceTime(value), nil
	}
	return copyAny(value, depth)
}

// generalize makes the general Go types of the special ones that callers write.
func generalize(value any) any {
	switch v := value.(type) {
	case []string:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = e
		}
		return out
	case []map[string]any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = e
		}
		return out
	case map[string]string:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = e
		}
		return out
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
		return v.String()
	}
	return value
}

func coerceText(value any) any {
	switch v := value.(type) {
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	if n, ok := integerOf(value); ok {
		return strconv.FormatInt(n, 10)
	}
	return value
}

func coerceInteger(value any) any {
	if n, ok := integerOf(value); ok {
		return n
	}
	if s, ok := value.(string); ok {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n
		}
	}
	return value
}

func coerceFloat(value any) any {
	if f, ok := floatOf(value); ok {
		return f
	}
	s, ok := value.(string)
	if !ok {
		return value
	}
	switch s { // the words that AWS's protocols use
	case "NaN":
		return math.NaN()
	case "Infinity":
		return math.Inf(1)
	case "-Infinity":
		return math.Inf(-1)
	}
	// ParseFloat takes hexadecimal, underscores and its own words for infinity
	// too, which no JSON number has.
	var n json.Number
	if json.Unmarshal([]byte(s), &n) == nil {
		if f, err := n.Float64(); err == nil && n != "" {
			return f
		}
	}
	return value
}

func coerceBoolean(value any) any {
	switch value {
	case "true", "True":
		return true
	case "false", "False":
		return false
	}
	return value
}

func coerceBytes(value any) any {
	switch v := value.(type) {
	case []byte:
		return append([]byte{}, v...)
	case string:
		if raw, err := base64.StdEncoding.DecodeString(v); err == nil {
			return raw
		}
	}
	return value
}

func coerceTime(value any) any {
	if s, ok := value.(string); ok {
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", time.DateOnly} {
			if t, err := time.Parse(layout, s); err == nil {
				return t
			}
		}
		return value
	}
	if n, ok := integerOf(value); ok {
		return time.Unix(n, 0).UTC()
	}
	// Beyond this a float has no milliseconds left.
	if f, ok := floatOf(value); ok && math.Abs(f) < 1<<43 {
		return time.UnixMilli(int64(math.Round(f * 1000))).UTC()
	}
	return value
}

// copyAny copies a JSON-like value. Other kinds of values are not copied.
func copyAny(value any, depth int) (any, error) {
	if depth > maxInputDepth {
		return nil, errTooDeep
	}
	switch v := generalize(value).(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			var err error
			if out[k], err = copyAny(e, depth+1); err != nil {
				return nil, err
			}
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			var err error
			if out[i], err = copyAny(e, depth+1); err != nil {
				return nil, err
			}
		}
		return out, nil
	case []byte:
		return append([]byte{}, v...), nil
	default:
		return v, nil
	}
}
