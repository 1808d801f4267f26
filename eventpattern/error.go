package eventpattern

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// Error is a problem in a pattern, an event or a template.
type Error struct {
	Line, Column int    // of the text that was given, from 1; a column counts characters. 0 if it isn't about a place
	Field        string // the path of the field in the pattern, or ""
	Problem      string // what is wrong
	Expected     string // what would be right, or ""
}

func (e *Error) Error() string {
	s := e.Problem
	if e.Field != "" {
		s = e.Field + ": " + s
	}
	if e.Line > 0 {
		s = fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, s)
	}
	if e.Expected != "" {
		s += "; expected " + e.Expected
	}
	return s
}

// ErrTooComplex is the error of an event whose arrays and a pattern would take
// too many steps to join. Events as AWS sends them are far from it.
var ErrTooComplex = errors.New("the event's arrays are too many to match the pattern's fields within one element of each")

// errorAt is an error with the position of an offset of data.
func errorAt(data []byte, offset int, field, expected, format string, args ...any) *Error {
	e := &Error{Line: 1, Column: 1, Field: field, Problem: fmt.Sprintf(format, args...), Expected: expected}
	for i := 0; i < offset && i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		i += n
		if r == '\n' {
			e.Line, e.Column = e.Line+1, 1
		} else {
			e.Column++
		}
	}
	return e
}
