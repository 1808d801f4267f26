package knowngood

import (
	"errors"
	"fmt"
)

// Kind is the kind of an error: what the person at the keyboard can do about
// it. The command line turns it into an exit code and a hint.
type Kind uint8

// The kinds of errors.
const (
	Other       Kind = iota
	Usage            // flags or arguments
	Invalid          // a file or value that the user wrote is wrong
	Credentials      // none, expired, or not accepted
	Refused          // by a guardrail, a preflight, or plan drift
	Incomplete       // something could not be read or evaluated
	Findings         // a scan found something wrong: no failure, but an exit code
	Waiting          // for an approval
	Interrupted      // by the user
	NotFound
	Conflict // another writer was first
)

// Error is an error with its kind, and what the user may do.
type Error struct {
	Kind Kind
	Op   string // what was being done: "apply plan 5f2c"
	Err  error
	Hint string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Op
	}
	if e.Op == "" {
		return e.Err.Error()
	}
	return e.Op + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// E makes an error of a kind, with fmt.Errorf's verbs.
func E(kind Kind, op, format string, args ...any) *Error {
	return &Error{Kind: kind, Op: op, Err: fmt.Errorf(format, args...)}
}

// WithHint sets the hint and returns the error.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// KindOf is the kind of the outermost Error in err's chain, or Other.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Other
}

// Position is a place in a file that the user wrote.
type Position struct {
	File string `json:"file"`
	Line int    `json:"line,omitempty"` // from 1; 0: not known
	Col  int    `json:"col,omitempty"`  // from 1; 0: not known
}

// String is the position as file:line or file:line:column.
func (p Position) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Col == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// FileError says what is wrong in a file that the user wrote, and where.
type FileError struct {
	Position
	Problem string // what is there
	Want    string // what was expected
}

// Error implements error.
func (e *FileError) Error() string {
	s := e.Position.String() + ": " + e.Problem
	if e.Want != "" {
		s += "; expected " + e.Want
	}
	return s
}
