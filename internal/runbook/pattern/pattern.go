// Package pattern matches the regular expressions that runbook authors write:
// in linear time where the expression allows it, and otherwise (lookaround,
// back references) under a time limit.
package pattern

import (
	"errors"
	"fmt"
	"regexp"
	"time"

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
	linear, err := regexp.Compile(expr)
	if err == nil {
		p.linear = linear
		return p, nil
	}
	back, backErr := regexp2.Compile(expr, regexp2.None)
	if backErr != nil {
		return nil, fmt.Errorf("the pattern %q does not compile: %w", expr, err)
	}
	back.MatchTimeout = timeLimit
	p.back = back
	return p, nil
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
