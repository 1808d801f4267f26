package awsapi

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// What follows turns the values that a caller may pass into the few kinds that
// the encoders write, and texts of the wire into values.

// typeError says that a value is not what the model asks for.
func typeError(s *Shape, v any) error {
	return fmt.Errorf("wants %s, got %T", goKind[s.Type], v)
}

var goKind = [...]string{
	Structure: "a map", List: "a list", Map: "a map", String: "a string", Integer: "an integer", Long: "an integer",
	Float: "a number", Double: "a number", Boolean: "a bool", Blob: "bytes", Timestamp: "a time",
}

// asInt takes every integer of Go, and a float without fraction.
func asInt(s *Shape, v any) (int64, error) {
	switch v := v.(type) {
	case int64:
		return v, nil
	case int:
		return int64(v), nil
	case int32:
		return int64(v), nil
	case int16:
		return int64(v), nil
	case int8:
		return int64(v), nil
	case uint8:
		return int64(v), nil
	case uint16:
		return int64(v), nil
	case uint32:
		return int64(v), nil
	case uint:
		if uint64(v) <= math.MaxInt64 {
			return int64(v), nil
		}
	case uint64:
		if v <= math.MaxInt64 {
			return int64(v), nil
		}
	case float64:
		if v == math.Trunc(v) && math.Abs(v) <= 1<<53 {
			return int64(v), nil
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, nil
		}
	}
	return 0, typeError(s, v)
}

func asFloat(s *Shape, v any) (float64, error) {
	switch v := v.(type) {
	case float64:
		return v, nil
	case float32:
		return float64(v), nil
	case json.Number:
		if f, err := v.Float64(); err == nil {
			return f, nil
		}
	case string:
		if f, ok := specialFloat(v); ok {
			return f, nil
		}
	default:
		if n, err := asInt(s, v); err == nil {
			return float64(n), nil
		}
	}
	return 0, typeError(s, v)
}

func asBool(s *Shape, v any) (bool, error) {
	if b, ok := v.(bool); ok {
		return b, nil
	}
	return false, typeError(s, v)
}

func asString(s *Shape, v any) (string, error) {
	if t, ok := v.(string); ok {
		return t, nil
	}
	return "", typeError(s, v)
}

// asBytes takes bytes, text, and what can be read.
func asBytes(s *Shape, v any) ([]byte, error) {
	switch v := v.(type) {
	case []byte:
		return v, nil
	case string:
		return []byte(v), nil
	case io.Reader:
		return io.ReadAll(v)
	}
	return nil, typeError(s, v)
}

// asTime takes a time, or a text or number that DecodeResponse would read as one.
func asTime(s *Shape, v any) (time.Time, error) {
	switch v := v.(type) {
	case time.Time:
		return v, nil
	case string:
		return parseTime(v)
	}
	if f, err := asFloat(s, v); err == nil {
		return floatTime(f)
	}
	return time.Time{}, typeError(s, v)
}

func asMap(s *Shape, v any) (map[string]any, error) {
	switch v := v.(type) {
	case map[string]any:
		return v, nil
	case map[string]string:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = e
		}
		return out, nil
	}
	return nil, typeError(s, v)
}

func asList(s *Shape, v any) ([]any, error) {
	switch v := v.(type) {
	case []any:
		return v, nil
	case []string:
		return anyList(v), nil
	case []map[string]any:
		return anyList(v), nil
	case []int64:
		return anyList(v), nil
	case []int:
		return anyList(v), nil
	}
	return nil, typeError(s, v)
}

func anyList[T any](v []T) []any {
	out := make([]any, len(v))
	for i, e := range v {
		out[i] = e
	}
	return out
}

// inMember puts a member's name before an error, so that the whole path of the
// value stands before it in the end.
func inMember(name string, err error) error {
	return &pathError{name, err}
}

func inElement(i int, err error) error { return &pathError{"[" + strconv.Itoa(i) + "]", err} }

// pathError is an error about the value at a path.
type pathError struct {
	path string
	err  error
}

func (e *pathError) Error() string {
	path, err := e.path, e.err
	for {
		p, ok := err.(*pathError)
		if !ok {
			return path + ": " + err.Error()
		}
		if !strings.HasPrefix(p.path, "[") {
			path += "."
		}
		path, err = path+p.path, p.err
	}
}

func (e *pathError) Unwrap() error { return e.err }

// isFlattened says whether a list or map has no element around its own.
func isFlattened(m *Member) bool { return m.Is(MemberFlattened) || m.Shape.Is(Flattened) }

// serialName is the name that the model gives a member on the wire, or the
// default if it gives none. A name at a structure's shape is that of a root
// element only.
func serialName(m *Member, otherwise string) string {
	if m.LocationName != "" {
		return m.LocationName
	}
	if m.Shape.XMLName != "" && m.Shape.Type != Structure {
		return m.Shape.XMLName
	}
	return otherwise
}

// flatName is the name of the elements of a flattened list. Older models have it
// at the list's member (SimpleDB's Attributes is a list of <Attribute>), newer ones
// at the member that is the list.
func flatName(m *Member, otherwise string) string {
	if m.LocationName != "" {
		return m.LocationName
	}
	return serialName(m.Shape.Elem, otherwise)
}

const (
	iso8601       = "iso8601"
	rfc822        = "rfc822"
	unixTimestamp = "unixTimestamp"
)

// timeFormat is the format of a member that is a timestamp.
func timeFormat(m *Member, otherwise string) string {
	if f := m.traits().TimestampFormat; f != "" {
		return f
	}
	if m.Shape.TimestampFormat != "" {
		return m.Shape.TimestampFormat
	}
	return otherwise
}

// formatTime writes a time as text. A fraction of a second is written where
// there is one, to the millisecond, which is what the services keep.
func formatTime(t time.Time, format string) string {
	t = t.UTC().Truncate(time.Millisecond)
	switch format {
	case rfc822:
		return t.Format("Mon, 02 Jan 2006 15:04:05 GMT")
	case unixTimestamp:
		return formatEpoch(t)
	}
	if t.Nanosecond() != 0 {
		return t.Format("2006-01-02T15:04:05.000Z")
	}
	return t.Format("2006-01-02T15:04:05Z")
}

// formatEpoch is a time as seconds since 1970, with a fraction where there is one.
func formatEpoch(t time.Time) string {
	ms := t.UnixMilli()
	if ms%1000 == 0 {
		return strconv.FormatInt(ms/1000, 10)
	}
	return strconv.FormatFloat(float64(ms)/1000, 'f', -1, 64)
}

// formatFloat writes a number with the names that the protocols have for what
// JSON and XML can't write. It writes all digits of a double, whatever the model
// says: the shortest text of a single-precision number is another number to those
// who read it as a double.
func formatFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

func specialFloat(s string) (float64, bool) {
	switch s {
	case "NaN":
		return math.NaN(), true
	case "Infinity":
		return math.Inf(1), true
	case "-Infinity":
		return math.Inf(-1), true
	}
	return 0, false
}

// scalarText writes a scalar as the text that XML, query strings, headers and
// forms hold. format is that of timestamps.
func scalarText(m *Member, v any, format string) (string, error) {
	s := m.Shape
	switch s.Type {
	case String:
		return asString(s, v)
	case Integer, Long:
		n, err := asInt(s, v)
		return strconv.FormatInt(n, 10), err
	case Float, Double:
		f, err := asFloat(s, v)
		return formatFloat(f), err
	case Boolean:
		b, err := asBool(s, v)
		return strconv.FormatBool(b), err
	case Blob:
		b, err := asBytes(s, v)
		return base64.StdEncoding.EncodeToString(b), err
	case Timestamp:
		t, err := asTime(s, v)
		return formatTime(t, timeFormat(m, format)), err
	}
	return "", fmt.Errorf("a %s can't be written as text here", s.Type)
}

// parseScalar reads a scalar from its text. An empty text is nil for what is
// neither text nor bytes: some services send <x/> for a value that is not set.
func parseScalar(s *Shape, text string) (any, error) {
	switch s.Type {
	case String:
		return text, nil
	case Blob:
		return decodeBase64(text)
	}
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, nil
	}
	switch s.Type {
	case Integer, Long:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is not an integer of 64 bits", clip(text))
		}
		return n, nil
	case Float, Double:
		if f, ok := specialFloat(text); ok {
			return f, nil
		}
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is not a number", clip(text))
		}
		return f, nil
	case Boolean:
		switch text {
		case "true", "True", "TRUE", "1":
			return true, nil
		case "false", "False", "FALSE", "0":
			return false, nil
		}
		return nil, fmt.Errorf("%q is not a boolean", clip(text))
	case Timestamp:
		t, err := parseTime(text)
		if err != nil {
			return nil, err
		}
		return t, nil
	}
	return nil, fmt.Errorf("a text where the model has a %s", s.Type)
}

// clip shortens a text for an error.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "..."
	}
	return s
}

// decodeBase64 reads base64 with or without padding and line ends.
func decodeBase64(s string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err == nil {
		return b, nil
	}
	raw := strings.TrimRight(strings.Map(func(r rune) rune {
		if r == ' ' || r == '\n' || r == '\r' || r == '\t' {
			return -1
		}
		return r
	}, s), "=")
	if b, err := base64.RawStdEncoding.DecodeString(raw); err == nil {
		return b, nil
	}
	return nil, fmt.Errorf("not base64: %v", err)
}

// timeLayouts are the forms in which services send times, besides those that
// parseTime reads by itself.
var timeLayouts = [...]string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05",
	"2006-01-02T15:04Z07:00", "2006-01-02", "2006-01-02T15:04:05.999999999Z0700",
	"Mon, 02 Jan 2006 15:04:05.999999999 GMT", "Mon, 2 Jan 2006 15:04:05 MST", "Mon, 2 Jan 2006 15:04:05 -0700",
	"Monday, 02-Jan-06 15:04:05 MST", time.ANSIC,
}

// parseTime reads a time in any form in which a service may send it: ISO 8601,
// an HTTP date, or seconds since 1970, also with a fraction.
func parseTime(s string) (time.Time, error) {
	if t, ok := parsePlainTime(s); ok {
		return t, nil
	}
	if t, ok := parseEpoch(s); ok {
		return t, nil
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time", clip(s))
}

// parsePlainTime reads 2006-01-02T15:04:05Z and 2006-01-02T15:04:05.000Z, which
// are nearly all times there are, faster than time.Parse.
func parsePlainTime(s string) (time.Time, bool) {
	if len(s) != 20 && len(s) != 24 || s[len(s)-1] != 'Z' || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return time.Time{}, false
	}
	bad := false
	digits := func(from, to int) int {
		n := 0
		for _, c := range []byte(s[from:to]) {
			if c < '0' || c > '9' {
				bad = true
			}
			n = n*10 + int(c-'0')
		}
		return n
	}
	year, month, day, hour, minute, second := digits(0, 4), digits(5, 7), digits(8, 10), digits(11, 13), digits(14, 16), digits(17, 19)
	ms := 0
	if len(s) == 24 {
		bad = bad || s[19] != '.'
		ms = digits(20, 23)
	}
	if bad || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, ms*int(time.Millisecond), time.UTC)
	return t, t.Day() == day
}

// maxEpoch bounds seconds since 1970 to the years that RFC 3339 can write.
const maxEpoch = 253402300799

// parseEpoch reads seconds since 1970 without the rounding of a float.
func parseEpoch(s string) (time.Time, bool) {
	whole, fraction, hasFraction := strings.Cut(s, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || strings.HasPrefix(whole, "+") {
		f, err := strconv.ParseFloat(s, 64) // 1.5e9
		if err != nil {
			return time.Time{}, false
		}
		t, err := floatTime(f)
		return t, err == nil
	}
	if sec > maxEpoch || sec < -maxEpoch {
		return time.Time{}, false
	}
	ns := int64(0)
	if hasFraction {
		if len(fraction) > 9 {
			fraction = fraction[:9]
		}
		n, err := strconv.ParseUint(fraction, 10, 64)
		if err != nil && fraction != "" {
			f, err := strconv.ParseFloat(s, 64) // 1.5e9
			if err != nil {
				return time.Time{}, false
			}
			t, err := floatTime(f)
			return t, err == nil
		}
		ns = int64(n)
		for i := len(fraction); i < 9; i++ {
			ns *= 10
		}
		if strings.HasPrefix(whole, "-") {
			ns = -ns
		}
	}
	return time.Unix(sec, ns).UTC(), true
}

// floatTime is seconds since 1970 to the millisecond.
func floatTime(f float64) (time.Time, error) {
	if math.IsNaN(f) || math.Abs(f) > maxEpoch {
		return time.Time{}, fmt.Errorf("%v is not a time", f)
	}
	return time.UnixMilli(int64(math.Round(f * 1000))).UTC(), nil
}
