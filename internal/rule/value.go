package rule

import (
	"fmt"
	"math"
	"time"
)

// kind is the type of a value.
type kind uint8

const (
	kindError kind = iota // str says what went wrong; the zero value is one
	kindNull
	kindBool     // num is 0 or 1
	kindInt      // num holds an int64
	kindDouble   // num holds the bits of a float64
	kindString   // str
	kindTime     // num holds seconds since 1970, sub the nanoseconds in the second, str the offset from UTC if it was written with one
	kindDuration // num holds nanoseconds
	kindList     // elements in the machine's arena: see span
	kindMap      // keys and values, in turn, in the arena
	kindNodeList // an array of a document: num is its node, sub the document
	kindNodeMap  // an object of a document
)

// value is what an expression has while it is evaluated: small enough for a
// function to give it back in registers. Lists and maps are places in the
// machine's arena or in one of its documents, so a value lives as long as the
// evaluation of one item.
type value struct {
	kind kind
	sub  uint32
	num  uint64
	str  string
}

func (v value) isError() bool { return v.kind == kindError }

func boolValue(b bool) value {
	if b {
		return value{kind: kindBool, num: 1}
	}
	return value{kind: kindBool}
}

func intValue(i int64) value      { return value{kind: kindInt, num: uint64(i)} }
func doubleValue(f float64) value { return value{kind: kindDouble, num: math.Float64bits(f)} }
func stringValue(s string) value  { return value{kind: kindString, str: s} }

func timeValue(t time.Time) value {
	v := value{kind: kindTime, num: uint64(t.Unix()), sub: uint32(t.Nanosecond())}
	if _, offset := t.Zone(); offset != 0 {
		v.str = t.Format(offsetForm)
	}
	return v
}

const offsetForm = "-07:00"

func durationValue(d time.Duration) value { return value{kind: kindDuration, num: uint64(d)} }

func errorValue(format string, args ...any) value {
	return value{kind: kindError, str: fmt.Sprintf(format, args...)}
}

func (v value) int() int64              { return int64(v.num) }
func (v value) double() float64         { return math.Float64frombits(v.num) }
func (v value) duration() time.Duration { return time.Duration(v.num) }

func (v value) time() time.Time {
	t := time.Unix(int64(v.num), int64(v.sub)).UTC()
	if v.str != "" {
		if zone, err := time.Parse(offsetForm, v.str); err == nil {
			return t.In(zone.Location())
		}
	}
	return t
}

// span is where in the arena a list's elements, or a map's keys and values, are.
func span(k kind, from, to int) value {
	return value{kind: k, num: uint64(from)<<32 | uint64(to)}
}

func (v value) span() (from, to int) { return int(v.num >> 32), int(uint32(v.num)) }

// errNoOverload is the error of an operation that the types don't have.
var errNoOverload = value{kind: kindError, str: "no such overload"}
