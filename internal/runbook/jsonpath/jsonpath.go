// Package jsonpath selects values of a JSON document by a path, in the dialect
// of Jayway's JsonPath, which AWS Systems Manager uses for its selectors.
//
//	$.Volumes[0].State              members and indices
//	$.Tags[*].Key                   every element
//	$..VolumeId                     at any depth
//	$['a key','another']            names in brackets
//	$.Volumes[-1:], [1:3], [0,2]    slices and sets of indices
//	$.Tags[?(@.Key == 'Name')]      filters: == != < <= > >= =~ in nin contains
//	                                size empty subsetof anyof noneof && || !( )
//	$.Volumes.length()              length size keys first last min max sum avg
//
// As Systems Manager does, it takes a path without the leading $.
//
// A path is definite when it can name one value only; it then selects that
// value or nothing. Any other path selects a list, which may be empty. The
// members of an object have no order here, so * and .. visit them sorted by
// name. A function after an indefinite path works on the whole list.
//
// Values are nil, bool, string, int64, float64, []any and map[string]any.
package jsonpath

import (
	"errors"
	"fmt"
)

// Limits of one path and of one evaluation. A path that comes from a stranger
// may not keep its reader busy.
const (
	MaxLength = 4096      // bytes of a path
	maxDepth  = 32        // nesting of filters and parentheses
	maxVisits = 1_000_000 // values that one evaluation may look at
)

// ErrTooMuchWork is returned by an evaluation that would look at too many
// values.
var ErrTooMuchWork = errors.New("the path looks at too many values")

// Path is a parsed path. It is safe for concurrent use.
type Path struct {
	text     string
	relative bool // begins with @, in a filter
	segments []segment
	function string // name of the function at the end, or empty
	definite bool
}

// String is the path as it was given.
func (p *Path) String() string { return p.text }

// Definite says whether the path can name one value only.
func (p *Path) Definite() bool { return p.definite || p.function != "" }

type segmentKind uint8

const (
	segNames segmentKind = iota
	segIndices
	segSlice
	segAll
	segFilter
)

type segment struct {
	kind     segmentKind
	descend  bool // ..: applied to the value and to all below it
	names    []string
	indices  []int
	from, to *int
	filter   expr
}

// SyntaxError says what is wrong in a path, and where.
type SyntaxError struct {
	Path    string
	Offset  int // in bytes, from 0
	Problem string
}

// Error implements error.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("JSONPath %q: %s at character %d", e.Path, e.Problem, e.Offset+1)
}

// Eval selects from a document. ok is false when a definite path names
// nothing; an indefinite path always selects a list. The result shares memory
// with the document.
func (p *Path) Eval(doc any) (value any, ok bool, err error) {
	ev := &evaluation{root: doc}
	return ev.path(p, doc)
}
