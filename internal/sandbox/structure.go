package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// structure is part of an API structure that a resource keeps as it was given,
// by the API's names. Unlike a plain map it comes out of a snapshot with the
// types that it went in with.
type structure map[string]any

// The forms of what JSON has no type for.
const (
	blobForm = "$blob"
	timeForm = "$time"
)

// with gives a copy with more members.
func (m structure) with(more structure) structure {
	out := make(structure, len(m)+len(more))
	for k, v := range m {
		out[k] = v
	}
	for k, v := range more {
		out[k] = v
	}
	return out
}

func (m structure) str(name string) string {
	s, _ := m[name].(string)
	return s
}

func (m structure) int(name string) int64 {
	i, _ := m[name].(int64)
	return i
}

func (m structure) bool(name string) bool {
	b, _ := m[name].(bool)
	return b
}

// MarshalJSON writes blobs and times in forms of their own.
func (m structure) MarshalJSON() ([]byte, error) {
	if m == nil {
		return []byte("null"), nil
	}
	return json.Marshal(written(object(m)))
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (m *structure) UnmarshalJSON(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var o object
	if err := d.Decode(&o); err != nil {
		return err
	}
	if o == nil {
		*m = nil
		return nil
	}
	v, err := read(o)
	if err != nil {
		return err
	}
	out, ok := v.(object)
	if !ok {
		return fmt.Errorf("sandbox: that is no structure but a %T", v)
	}
	*m = structure(out)
	return nil
}

func written(v any) any {
	switch v := v.(type) {
	case object:
		out := make(object, len(v))
		for k, e := range v {
			out[k] = written(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = written(e)
		}
		return out
	case []byte:
		return map[string][]byte{blobForm: v}
	case time.Time:
		return map[string]time.Time{timeForm: v}
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1e21 { // beyond it has an exponent, which no integer has
			return json.Number(strconv.FormatFloat(v, 'f', 1, 64))
		}
	}
	return v
}

func read(v any) (any, error) {
	switch v := v.(type) {
	case object:
		return readObject(v)
	case []any:
		for i, e := range v {
			r, err := read(e)
			if err != nil {
				return nil, err
			}
			v[i] = r
		}
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i, nil
		}
		return v.Float64()
	}
	return v, nil
}

func readObject(o object) (any, error) {
	if len(o) == 1 {
		text, _ := json.Marshal(o) // of what was just read
		if _, ok := o[blobForm].(string); ok {
			var blob map[string][]byte
			err := json.Unmarshal(text, &blob)
			return blob[blobForm], err
		}
		if _, ok := o[timeForm].(string); ok {
			var at map[string]time.Time
			err := json.Unmarshal(text, &at)
			return at[timeForm], err
		}
	}
	for k, e := range o {
		r, err := read(e)
		if err != nil {
			return nil, err
		}
		o[k] = r
	}
	return o, nil
}
