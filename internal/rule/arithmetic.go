package rule

import (
	"cmp"
	"math"
	"strings"
	"time"

	"cel.dev/cel-go/common/operators"
)

// arithmetic are the operators of two values that give a third. Neither is an
// error.
var arithmetic = map[string]func(m *machine, a, b value) value{
	operators.Add: add, operators.Subtract: subtract, operators.Multiply: multiply, operators.Divide: divide, operators.Modulo: modulo,
}

var (
	errOverflow     = value{str: "integer overflow"}
	errTimeOverflow = value{str: "timestamp overflow"}
	errDivideByZero = value{str: "divide by zero"}
)

func add(m *machine, a, b value) value {
	switch {
	case a.kind == kindString && b.kind == kindString:
		return m.concat(a.str, b.str)
	case a.kind == kindInt && b.kind == kindInt:
		return addInts(kindInt, a.int(), b.int())
	case a.kind == kindDouble && b.kind == kindDouble:
		return doubleValue(a.double() + b.double())
	case a.kind == kindDuration && b.kind == kindDuration:
		return addInts(kindDuration, a.int(), b.int())
	case a.kind == kindTime && b.kind == kindDuration:
		return addTime(a, b.duration())
	case a.kind == kindDuration && b.kind == kindTime:
		return addTime(b, a.duration())
	case a.isList() && b.isList():
		return m.concatLists(a, b)
	}
	return errNoOverload
}

func addInts(k kind, x, y int64) value {
	sum := x + y
	if (sum > x) != (y > 0) && y != 0 {
		return errOverflow
	}
	return value{kind: k, num: uint64(sum)}
}

func subtract(_ *machine, a, b value) value {
	switch {
	case a.kind == kindInt && b.kind == kindInt, a.kind == kindDuration && b.kind == kindDuration:
		x, y := a.int(), b.int()
		difference := x - y
		if (difference < x) != (y > 0) && y != 0 {
			return errOverflow
		}
		return value{kind: a.kind, num: uint64(difference)}
	case a.kind == kindDouble && b.kind == kindDouble:
		return doubleValue(a.double() - b.double())
	case a.kind == kindTime && b.kind == kindDuration:
		if b.int() == math.MinInt64 {
			return errOverflow
		}
		return addTime(a, -b.duration())
	case a.kind == kindTime && b.kind == kindTime:
		seconds := a.int() - b.int() // which years from 1 to 9999 can't overflow
		if seconds > math.MaxInt64/int64(time.Second) || seconds < math.MinInt64/int64(time.Second) {
			return errOverflow
		}
		return addInts(kindDuration, seconds*int64(time.Second), int64(a.sub)-int64(b.sub))
	}
	return errNoOverload
}

func multiply(_ *machine, a, b value) value {
	switch {
	case a.kind == kindInt && b.kind == kindInt:
		x, y := a.int(), b.int()
		if x == 0 || y == 0 {
			return intValue(0)
		}
		product := x * y
		if product/y != x || x == -1 && y == math.MinInt64 || y == -1 && x == math.MinInt64 {
			return errOverflow
		}
		return intValue(product)
	case a.kind == kindDouble && b.kind == kindDouble:
		return doubleValue(a.double() * b.double())
	}
	return errNoOverload
}

func divide(_ *machine, a, b value) value {
	switch {
	case a.kind == kindInt && b.kind == kindInt:
		if b.int() == 0 {
			return errDivideByZero
		}
		if a.int() == math.MinInt64 && b.int() == -1 {
			return errOverflow
		}
		return intValue(a.int() / b.int())
	case a.kind == kindDouble && b.kind == kindDouble:
		return doubleValue(a.double() / b.double())
	}
	return errNoOverload
}

func modulo(_ *machine, a, b value) value {
	if a.kind != kindInt || b.kind != kindInt {
		return errNoOverload
	}
	if b.int() == 0 {
		return value{str: "modulus by zero"}
	}
	if a.int() == math.MinInt64 && b.int() == -1 {
		return errOverflow
	}
	return intValue(a.int() % b.int())
}

func negate(v value) value {
	switch v.kind {
	case kindInt:
		if v.int() == math.MinInt64 {
			return errOverflow
		}
		return intValue(-v.int())
	case kindDouble:
		return doubleValue(-v.double())
	case kindError:
		return v
	}
	return errNoOverload
}

// The first and the last second of CEL's timestamps, in years 1 and 9999.
const firstSecond, lastSecond = -62135596800, 253402300799

func addTime(t value, d time.Duration) value {
	seconds, nanos := int64(d/time.Second), int64(d%time.Second)+int64(t.sub)
	if nanos < 0 {
		seconds, nanos = seconds-1, nanos+int64(time.Second)
	} else if nanos >= int64(time.Second) {
		seconds, nanos = seconds+1, nanos-int64(time.Second)
	}
	seconds += t.int() // no overflow: a duration is 292 years at most
	if seconds < firstSecond || seconds > lastSecond {
		return errTimeOverflow
	}
	return value{kind: kindTime, num: uint64(seconds), sub: uint32(nanos), str: t.str}
}

// compare orders two values. The text says why it can't.
func compare(a, b value) (int, string) {
	switch {
	case a.kind == kindInt && b.kind == kindInt, a.kind == kindDuration && b.kind == kindDuration:
		return cmp.Compare(a.int(), b.int()), ""
	case a.isNumber() && b.isNumber():
		if a.isNaN() || b.isNaN() {
			return 0, "NaN values cannot be ordered"
		}
		return compareNumbers(a, b), ""
	case a.kind != b.kind:
	case a.kind == kindString:
		return strings.Compare(a.str, b.str), ""
	case a.kind == kindBool:
		return cmp.Compare(a.num, b.num), ""
	case a.kind == kindTime:
		return cmp.Or(cmp.Compare(a.int(), b.int()), cmp.Compare(a.sub, b.sub)), ""
	}
	return 0, errNoOverload.str
}

// compareNumbers orders numbers, one a double at least, as CEL does.
func compareNumbers(a, b value) int {
	if a.kind == kindInt {
		return -compareNumbers(b, a)
	}
	if b.kind == kindDouble {
		return cmp.Compare(a.double(), b.double())
	}
	switch x := a.double(); {
	case x < math.MinInt64:
		return -1
	case x > math.MaxInt64:
		return 1
	default:
		return cmp.Compare(x, float64(b.int()))
	}
}

func (v value) isNumber() bool { return v.kind == kindInt || v.kind == kindDouble }
func (v value) isNaN() bool    { return v.kind == kindDouble && v.double() != v.double() }
func (v value) isList() bool   { return v.kind == kindList || v.kind == kindNodeList }
func (v value) isMap() bool    { return v.kind == kindMap || v.kind == kindNodeMap }

// equal compares two values, neither an error. Values of types that don't compare
// differ.
func (m *machine) equal(a, b value) bool {
	switch {
	case a.isNumber() && b.isNumber():
		if a.kind == kindInt && b.kind == kindInt {
			return a.num == b.num
		}
		return !a.isNaN() && !b.isNaN() && compareNumbers(a, b) == 0
	case a.isList() && b.isList():
		return m.equalLists(a, b)
	case a.isMap() && b.isMap():
		return m.equalMaps(a, b)
	case a.kind != b.kind:
		return false
	case a.kind == kindString:
		return a.str == b.str
	case a.kind == kindNull:
		return true
	}
	return a.num == b.num && a.sub == b.sub
}

func (m *machine) equalLists(a, b value) bool {
	if m.size(a) != m.size(b) {
		return false
	}
	x, y := m.iterate(a), m.iterate(b)
	for x.next(m) && y.next(m) {
		if !m.equal(x.value, y.value) {
			return false
		}
	}
	return true
}

func (m *machine) equalMaps(a, b value) bool {
	if m.size(a) != m.size(b) {
		return false
	}
	for it := m.iterate(a); it.next(m); {
		other, ok := m.member(b, it.value.str)
		if own, _ := m.member(a, it.value.str); !ok || !m.equal(own, other) {
			return false
		}
	}
	return true
}
