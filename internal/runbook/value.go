package runbook

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/knowngood/knowngood/internal/strictyaml"
)

// Type is the type of a parameter, a variable or an output.
type Type string

// The types that a value can have. A parameter may also be of one of AWS's
// types of resources, which are text or lists of text with a form.
const (
	String     Type = "String"
	StringList Type = "StringList"
	Integer    Type = "Integer"
	Boolean    Type = "Boolean"
	MapList    Type = "MapList"
	StringMap  Type = "StringMap"
)

var typeNames = []string{"String", "StringList", "Integer", "Boolean", "MapList", "StringMap"}

// base is the plain type behind one of AWS's: List<AWS::EC2::Instance::Id> is
// a StringList. ok is false for a type that does not exist.
func (t Type) base() (Type, bool) {
	switch t {
	case String, StringList, Integer, Boolean, MapList, StringMap:
		return t, true
	}
	name, list := string(t), false
	if inner, ok := strings.CutPrefix(name, "List<"); ok {
		name, list = strings.TrimSuffix(inner, ">"), true
		if name == inner {
			return t, false
		}
	}
	parts := strings.Split(name, "::")
	if len(parts) != 4 || parts[0] != "AWS" || parts[1] == "" || parts[2] == "" || parts[3] == "" {
		return t, false
	}
	if list {
		return StringList, true
	}
	return String, true
}

// zero is what a reference to an absent value of the type gives.
func (t Type) zero() any {
	switch base, _ := t.base(); base {
	case StringList, MapList:
		return []any{}
	case StringMap:
		return map[string]any{}
	}
	return ""
}

// Text is a value as it stands inside a longer text: lists and maps as compact
// JSON with sorted keys.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return strconv.FormatInt(int64(v), 10)
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// plain is a response's value in JSON's terms: times as RFC 3339, bytes as
// base64, every integer an int64.
func plain(v any) any {
	switch v := v.(type) {
	case nil, string, bool, int64, float64:
		return v
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			out[k] = plain(item)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = plain(item)
		}
		return out
	case []string:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = item
		}
		return out
	case time.Time, []byte:
		return text(v)
	case int:
		return int64(v)
	case int32:
		return int64(v)
	case float32:
		return float64(v)
	case json.Number:
		return strictyaml.Number(v)
	}
	return fmt.Sprint(v)
}

// convert gives a value the type, by the conversions that AWS documents for
// outputs: text to StringList, Integer and Boolean; Integer and Boolean to
// text and StringList; a list of one element to text, Integer or Boolean. A
// value that is absent (nil, or an empty list for a scalar type) stays absent.
func convert(v any, t Type) (any, error) {
	base, ok := t.base()
	if !ok {
		return nil, fmt.Errorf("there is no type %s", t)
	}
	if v == nil {
		return nil, nil
	}
	list, isList := v.([]any)
	switch base {
	case StringList:
		if !isList {
			list = []any{v}
		}
		out := make([]any, len(list))
		for i, item := range list {
			if !scalar(item) {
				return nil, mismatch(item, "an element of a StringList")
			}
			out[i] = text(item)
		}
		return out, nil
	case MapList:
		for _, item := range list {
			if _, ok := item.(map[string]any); !ok {
				return nil, mismatch(item, "an element of a MapList")
			}
		}
		if !isList {
			return nil, mismatch(v, string(base))
		}
		return list, nil
	case StringMap:
		if _, ok := v.(map[string]any); !ok {
			return nil, mismatch(v, string(base))
		}
		return v, nil
	}
	if isList {
		switch {
		case len(list) == 0:
			return nil, nil
		case len(list) > 1:
			return nil, fmt.Errorf("a list of %d elements can't become %s", len(list), base)
		}
		v = list[0]
		if v == nil {
			return nil, nil
		}
	}
	if !scalar(v) {
		return nil, mismatch(v, string(base))
	}
	switch base {
	case Integer:
		return integer(v)
	case Boolean:
		return boolean(v)
	}
	return text(v), nil
}

func scalar(v any) bool {
	switch v.(type) {
	case string, bool, int64, float64:
		return true
	}
	return false
}

func integer(v any) (any, error) {
	switch v := v.(type) {
	case int64:
		return v, nil
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v), nil
		}
	case string:
		if n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64); err == nil {
			return n, nil
		}
	}
	return nil, mismatch(v, "Integer")
}

func boolean(v any) (any, error) {
	switch v := v.(type) {
	case bool:
		return v, nil
	case string:
		switch strings.ToLower(strings.TrimSpace(v)) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
	}
	return nil, mismatch(v, "Boolean")
}

func mismatch(v any, want string) error {
	return fmt.Errorf("%s can't become %s", excerpt(text(v)), want)
}

// excerpt quotes the beginning of a text for a message.
func excerpt(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strconv.Quote(s)
}

// size is roughly what a value takes as JSON, in bytes.
func size(v any) int {
	switch v := v.(type) {
	case string:
		return len(v) + 2
	case []any:
		n := 2
		for _, item := range v {
			n += size(item) + 1
		}
		return n
	case map[string]any:
		n := 2
		for k, item := range v {
			n += len(k) + 4 + size(item)
		}
		return n
	}
	return 8
}

// decimal reads a number without loss.
func decimal(s string) (*big.Rat, error) {
	s = strings.TrimSpace(s)
	// An exponent could ask for a number of any length.
	if len(s) > 64 || strings.ContainsAny(s, "eEpP/xX_") {
		return nil, fmt.Errorf("%s is no number", excerpt(s))
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return nil, fmt.Errorf("%s is no number", excerpt(s))
	}
	return r, nil
}
