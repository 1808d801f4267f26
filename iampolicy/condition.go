package iampolicy

import (
	"bytes"
	"encoding/base64"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// holds says whether a condition is true of the request. Sources: IAM User Guide,
// "IAM JSON policy elements: Condition operators" for keys that are not there,
// IfExists and Null; "Set operators for multivalued context keys".
func (e *evaluation) holds(c *Condition, variables bool) bool {
	if c.Operator.Test == NoTest || int(c.Operator.Test) >= len(tests) {
		return false
	}
	var room [1]string
	values := e.values(c.Key, &room)
	if c.Operator.Test == Null {
		return isNull(c.Values, len(values) == 0)
	}
	if c.Operator.Set != NoSet && onlyEmpty(values) {
		values = nil
	}
	negated := c.Operator.negated()
	if len(values) == 0 {
		switch {
		case c.Operator.IfExists || c.Operator.Set == ForAllValues:
			return true
		case c.Operator.Set == ForAnyValue:
			return false
		}
		return negated
	}
	// Without a set operator one value that differs must not make a negated
	// test true while another is among those forbidden.
	every := c.Operator.Set == ForAllValues || c.Operator.Set == NoSet && negated
	for _, v := range values {
		if passes := e.matchesAny(c, v, variables) != negated; passes != every {
			return passes
		}
	}
	return every
}

func isNull(wants []string, missing bool) bool {
	for _, want := range wants {
		if b, ok := parseBool(want); ok && b == missing {
			return true
		}
	}
	return false
}

// onlyEmpty: set operators take empty texts as no values at all.
func onlyEmpty(values []string) bool {
	for _, v := range values {
		if v != "" {
			return false
		}
	}
	return true
}

// matchesAny says whether a value of the request compares with one of the
// condition's. What can't be read as the test's type compares with nothing.
func (e *evaluation) matchesAny(c *Condition, value string, variables bool) bool {
	t := &tests[c.Operator.Test]
	for _, want := range c.Values {
		if e.compare(t.class, t.relation, want, value, variables) {
			return true
		}
	}
	return false
}

func (e *evaluation) compare(class class, relation relation, want, value string, variables bool) bool {
	switch class {
	case classText:
		text, ok := e.literal(want, variables)
		return ok && text == value
	case classFold:
		text, ok := e.literal(want, variables)
		return ok && strings.EqualFold(text, value)
	case classPattern:
		pattern, wild, ok := e.pattern(want, variables)
		return ok && wild.matches(pattern, value, false)
	case classARN:
		return e.compareARN(want, value, variables)
	case classNumber:
		a, ok := parseNumber(value)
		b, ok2 := parseNumber(want)
		return ok && ok2 && relation.of(a.compare(b))
	case classDate:
		a, ok := parseDate(value)
		b, ok2 := parseDate(want)
		return ok && ok2 && relation.of(a.Compare(b))
	case classBool:
		text, ok := e.literal(want, variables)
		a, ok1 := parseBool(value)
		b, ok2 := parseBool(text)
		return ok && ok1 && ok2 && a == b
	case classBinary:
		a, ok := parseBinary(value)
		b, ok2 := parseBinary(want)
		return ok && ok2 && bytes.Equal(a, b)
	case classIP:
		addr, err := netip.ParseAddr(value)
		prefix, ok := parsePrefix(want)
		return err == nil && ok && prefix.Contains(addr.Unmap().WithZone(""))
	}
	return false
}

// compareARN takes an ARN with wildcards, or "*" for any value.
func (e *evaluation) compareARN(want, value string, variables bool) bool {
	a := split(value)
	if want != "*" && (!a.ok || !split(want).ok) {
		return false
	}
	return matchARN(want, a, func(part, text string) bool {
		pattern, wild, ok := e.pattern(part, variables)
		return ok && wild.matches(pattern, text, false)
	})
}

// of says whether the result of a comparison, the value's with the policy's, is
// what the relation asks for.
func (r relation) of(compared int) bool {
	switch r {
	case less:
		return compared < 0
	case lessEqual:
		return compared <= 0
	case greater:
		return compared > 0
	case greaterEqual:
		return compared >= 0
	}
	return compared == 0
}

func parseBool(s string) (value, ok bool) {
	switch {
	case strings.EqualFold(s, "true"):
		return true, true
	case strings.EqualFold(s, "false"):
		return false, true
	}
	return false, false
}

// number is whole if it fits, for ids beyond 2^53 must not be taken for one
// another.
type number struct {
	whole    int64
	fraction float64
	isWhole  bool
}

func parseNumber(s string) (number, bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return number{whole: n, fraction: float64(n), isWhole: true}, true
	}
	if strings.Trim(s, "0123456789.+-eE") != "" { // no hexadecimals, infinities or underscores
		return number{}, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return number{fraction: f}, err == nil
}

func (n number) compare(m number) int {
	switch {
	case n.isWhole && m.isWhole && n.whole != m.whole:
		if n.whole < m.whole {
			return -1
		}
		return 1
	case n.isWhole && m.isWhole || n.fraction == m.fraction:
		return 0
	case n.fraction < m.fraction:
		return -1
	}
	return 1
}

// dateForms are W3C's profile of ISO 8601. Those with a time have a zone.
var dateForms = [...]string{
	time.RFC3339, // which takes fractions of a second
	"2006-01-02T15:04Z07:00",
	"2006-01-02",
	"2006-01",
	"2006",
}

// parseDate reads a date, or seconds since 1970; four digits are a year.
func parseDate(s string) (time.Time, bool) {
	if len(s) > 4 && len(s) < 12 && strings.Trim(s, "0123456789") == "" {
		seconds, err := strconv.ParseInt(s, 10, 64)
		return time.Unix(seconds, 0), err == nil
	}
	for _, form := range dateForms {
		if t, err := time.Parse(form, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

func parseBinary(s string) ([]byte, bool) {
	raw, err := base64.StdEncoding.DecodeString(s)
	return raw, err == nil
}

// parsePrefix reads a CIDR block, or an address as the block of just itself.
func parsePrefix(s string) (netip.Prefix, bool) {
	if strings.IndexByte(s, '/') >= 0 {
		p, err := netip.ParsePrefix(s)
		return p, err == nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, a.BitLen()), true
}
