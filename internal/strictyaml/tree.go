package strictyaml

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/knowngood/knowngood"
)

// MaxDepth is how deep lists and maps may be nested.
const MaxDepth = 64

// Node is a value in a file, with its place.
type Node struct {
	Pos    knowngood.Position
	Kind   Kind
	Scalar any // nil, bool, int64, float64 or string
	List   []*Node
	Fields []Field // of a map, in the file's order
	// Inside is, of a text that is a literal block, where its lines are in the
	// file.
	Inside *Origin
}

// Field is a member of a map.
type Field struct {
	Name  string
	Pos   knowngood.Position // of the name
	Value *Node
}

// Kind is what a node is.
type Kind uint8

// The kinds.
const (
	Scalar Kind = iota
	List
	Map
)

// Origin is where a file begins that is inside another: what is added to its own
// lines and columns.
type Origin struct{ Line, Col int }

// Format says what a file is: its limits, and the words of its errors.
type Format struct {
	Noun     string // "template"
	Want     string // in place of an empty one: "a template"
	MaxBytes int
	MaxNodes int // values, aliases counted as often as they are used
	Origin   Origin
	// Tag gives the member's name for a tag that stands for a map: with !Sub x as
	// {Fn::Sub: x} it is "Fn::Sub". WantTag says which tags there may be; without
	// Tag there is none but !!str.
	Tag     func(tag string) (name string, ok bool)
	WantTag string
}

// Read reads YAML or JSON to its nodes. A map has each key once. The error is a
// *knowngood.FileError.
func Read(file string, data []byte, f Format) (*Node, error) {
	r := &reader{file: file, Format: f}
	if len(data) > f.MaxBytes {
		line := 1 + bytes.Count(data[:f.MaxBytes], []byte{'\n'})
		return nil, r.fail(r.place(line, 0), fmt.Sprintf("the %s is larger than %d bytes, which end in this line", f.Noun, f.MaxBytes), "several "+f.Noun+"s, each smaller")
	}
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '{' {
		n, err := r.json(data)
		if err == nil {
			return n, nil
		}
		// A YAML document may begin with { as well; the error of JSON says
		// more when the file says that it is JSON.
		if strings.HasSuffix(file, ".json") {
			return nil, err
		}
		r.nodes = 0
	}
	return r.yaml(data)
}

// What names a node's kind for a message.
func What(kind Kind, scalar any) string {
	switch kind {
	case List:
		return "a list"
	case Map:
		return "a map"
	}
	switch scalar.(type) {
	case nil:
		return "nothing"
	case bool:
		return "a boolean"
	case int64, float64:
		return "a number"
	}
	return "text"
}

// get is a map's member, nil where it has none.
func (n *Node) get(name string) *Node {
	for _, f := range n.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return nil
}

// reader makes nodes, and counts them.
type reader struct {
	Format
	file    string
	lines   []string // of YAML
	nodes   int
	anchors map[string]ast.Node
	within  map[string]bool // anchors whose value is being read
}

// place is a position in the file.
func (r *reader) place(line, col int) knowngood.Position {
	p := knowngood.Position{File: r.file, Line: line + r.Origin.Line, Col: col}
	if col > 0 {
		p.Col += r.Origin.Col
	}
	return p
}

func (r *reader) fail(at knowngood.Position, problem, want string) error {
	return &knowngood.FileError{Position: at, Problem: problem, Want: want}
}

func (r *reader) count(pos knowngood.Position, depth int) error {
	if r.nodes++; r.nodes > r.MaxNodes {
		return r.fail(pos, fmt.Sprintf("the %s has too many values, its aliases expanded", r.Noun), fmt.Sprintf("at most %d", r.MaxNodes))
	}
	if depth > MaxDepth {
		return r.fail(pos, "lists and maps are nested too deeply", fmt.Sprintf("at most %d levels", MaxDepth))
	}
	return nil
}
