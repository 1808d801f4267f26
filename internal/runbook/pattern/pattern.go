// Package pattern matches the regular expressions that runbook authors write:
// in linear time where the expression allows it, and otherwise (lookaround,
// back references) under a time limit.
package pattern

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

// MaxLength is the longest expression that Compile accepts, in bytes.
const MaxLength = 4096

// timeLimit bounds one match of an expression that can't run in linear time.
const timeLimit = 250 * time.Millisecond

// ErrTooSlow is returned when a match was given up at the time limit.
var ErrTooSlow = errors.New("the pattern takes too long on this text")

// Pattern is a compiled expression. It is safe for concurrent use.
type Pattern struct {
	text   string
	linear *regexp.Regexp
	back   *regexp2.Regexp
}

// Compile compiles an expression in the common subset of Java's and Perl's
// syntax. An expression that Go's regexp package refuses is tried with a
// backtracking engine.
func Compile(expr string) (*Pattern, error) {
	if len(expr) > MaxLength {
		return nil, fmt.Errorf("the pattern has %d bytes, at most %d are allowed", len(expr), MaxLength)
	}
	p := &Pattern{text: expr}
	expr = common(expr)
	linear, err := regexp.Compile(expr)
	if err == nil {
		p.linear = linear
		return p, nil
	}
	back, backErr := regexp2.Compile(expr, regexp2.None)
	if backErr != nil {
		return nil, fmt.Errorf("the pattern %q does not compile: %w", p.text, err)
	}
	back.MatchTimeout = timeLimit
	p.back = back
	return p, nil
}

// common writes what Java's syntax has and Go's engines don't in a way that both
// take: \uHHHH is the character, two of them that are a surrogate pair one
// character, and \_ is _.
func common(expr string) string {
	var b strings.Builder
	for i := 0; i < len(expr); {
		if expr[i] != '\\' || i+1 == len(expr) {
			b.WriteByte(expr[i])
			i++
			continue
		}
		r, n := unicode(expr[i:])
		switch {
		case n == 0 && expr[i+1] == '_':
			b.WriteByte('_')
			n = 2
		case n == 0:
			n = 2
			b.WriteString(expr[i : i+n])
		case r < utf8.RuneSelf:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

// unicode reads \uHHHH, or two of them that make one character; n is the length
// that they have, 0 where there is none.
func unicode(s string) (r rune, n int) {
	code := func(s string) (rune, bool) {
		if len(s) < 6 || s[:2] != `\u` {
			return 0, false
		}
		v, err := strconv.ParseUint(s[2:6], 16, 16)
		return rune(v), err == nil
	}
	first, ok := code(s)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(first) {
		return first, 6
	}
	if second, ok := code(s[6:]); ok {
		if r := utf16.DecodeRune(first, second); r != utf8.RuneError {
			return r, 12
		}
	}
	return 0, 0
}

// String is the expression as it was given.
func (p *Pattern) String() string { return p.text }

// Match says whether the expression matches anywhere in s. The error is
// ErrTooSlow.
func (p *Pattern) Match(s string) (bool, error) {
	if p.linear != nil {
		return p.linear.MatchString(s), nil
	}
	ok, err := p.back.MatchString(s)
	if err != nil {
		return false, ErrTooSlow
	}
	return ok, nil
}
