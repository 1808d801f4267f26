package awsapi

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"sort"
	"strconv"
	"unicode/utf8"
)

// appendJSON writes a value by its shape. Members of a structure come in the
// model's order, keys of a map sorted, so that equal values give equal bytes.
func appendJSON(b []byte, m *Member, v any) ([]byte, error) {
	if v == nil {
		return append(b, "null"...), nil
	}
	switch s := m.Shape; s.Type {
	case Structure:
		if s.Is(Document) {
			return appendDocument(b, v, 0)
		}
		in, err := asMap(s, v)
		if err != nil {
			return nil, err
		}
		return appendJSONStructure(b, s, in)
	case List:
		list, err := asList(s, v)
		if err != nil {
			return nil, err
		}
		b = append(b, '[')
		for i, e := range list {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendJSON(b, s.Elem, e); err != nil {
				return nil, inElement(i, err)
			}
		}
		return append(b, ']'), nil
	case Map:
		in, err := asMap(s, v)
		if err != nil {
			return nil, err
		}
		b = append(b, '{')
		for i, k := range sortedKeys(in) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendJSONString(b, k), ':')
			if b, err = appendJSON(b, s.Elem, in[k]); err != nil {
				return nil, inMember(k, err)
			}
		}
		return append(b, '}'), nil
	default:
		return appendJSONScalar(b, m, v)
	}
}

// appendJSONStructure writes the members of a structure that go into the body.
func appendJSONStructure(b []byte, s *Shape, in map[string]any) ([]byte, error) {
	if err := checkMembers(s, in); err != nil {
		return nil, err
	}
	b = append(b, '{')
	first := true
	for i := range s.Members {
		m := &s.Members[i]
		v, ok := in[m.Name]
		if !ok || v == nil || m.Location != InBody {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(appendJSONString(b, m.WireName()), ':')
		var err error
		if b, err = appendJSON(b, m, v); err != nil {
			return nil, inMember(m.Name, err)
		}
	}
	return append(b, '}'), nil
}

func appendJSONScalar(b []byte, m *Member, v any) ([]byte, error) {
	switch s := m.Shape; s.Type {
	case String:
		t, err := asString(s, v)
		return appendJSONString(b, t), err
	case Integer, Long:
		n, err := asInt(s, v)
		return strconv.AppendInt(b, n, 10), err
	case Float, Double:
		f, err := asFloat(s, v)
		if err != nil {
			return nil, err
		}
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return appendJSONString(b, formatFloat(f)), nil
		}
		return strconv.AppendFloat(b, f, 'g', -1, 64), nil
	case Boolean:
		t, err := asBool(s, v)
		return strconv.AppendBool(b, t), err
	case Blob:
		raw, err := asBytes(s, v)
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, raw)
		return append(b, '"'), err
	case Timestamp:
		t, err := asTime(s, v)
		if err != nil {
			return nil, err
		}
		format := timeFormat(m, unixTimestamp)
		text := formatTime(t, format)
		if format == unixTimestamp {
			return append(b, text...), nil
		}
		return appendJSONString(b, text), nil
	default:
		return nil, fmt.Errorf("the model has the unknown %s", s.Type)
	}
}

// appendDocument writes a value without a shape.
func appendDocument(b []byte, v any, depth int) ([]byte, error) {
	if depth > maxNesting {
		return nil, errNested
	}
	var err error
	switch v := v.(type) {
	case map[string]any:
		b = append(b, '{')
		for i, k := range sortedKeys(v) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendJSONString(b, k), ':')
			if b, err = appendDocument(b, v[k], depth+1); err != nil {
				return nil, inMember(k, err)
			}
		}
		return append(b, '}'), nil
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendDocument(b, e, depth+1); err != nil {
				return nil, inElement(i, err)
			}
		}
		return append(b, ']'), nil
	case string:
		return appendJSONString(b, v), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return append(b, raw...), nil
}

// appendJSONString writes a string with what must be escaped, and with
// characters that are not UTF-8 replaced.
func appendJSONString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(append(b, s[start:i]...), "\ufffd"...)
				start = i + 1
			}
			i += n
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		start = i
	}
	return append(append(b, s[start:]...), '"')
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// checkMembers refuses members that the structure does not have, so that a
// misspelt one is not dropped in silence, and a union that is not one thing.
func checkMembers(s *Shape, in map[string]any) error {
	for k, v := range in {
		if v != nil && s.Member(k) == nil {
			return inMember(k, fmt.Errorf("%s has no such member", s.Name))
		}
	}
	if s.Is(Union) {
		set := 0
		for _, v := range in {
			if v != nil {
				set++
			}
		}
		if set != 1 {
			return fmt.Errorf("%s is a union and wants exactly one member, not %d", s.Name, set)
		}
	}
	return nil
}
