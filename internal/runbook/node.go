package runbook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/knowngood/knowngood"
)

// Limits of a document. AWS's is 64 KB for documents of its customers; the
// documents that AWS itself owns are larger.
const (
	MaxDocumentBytes = 512 << 10
	maxDepth         = 64     // of nested lists and objects
	maxNodes         = 50_000 // values, aliases counted as often as they are used
	MaxSteps         = 1000
)

// node is a value in a document, with its place.
type node struct {
	pos    knowngood.Position
	kind   nodeKind
	scalar any // nil, bool, int64, float64 or string
	list   []*node
	fields []field
	text   *template // of a string with references
	// program says that the text is a program's, in which {{ may mean something
	// else.
	program bool
}

type field struct {
	name  string
	pos   knowngood.Position
	value *node
}

type nodeKind uint8

const (
	scalarNode nodeKind = iota
	listNode
	mapNode
)

// get is a map's member, nil where it has none; also on a nil node.
func (n *node) get(name string) *node {
	if n == nil {
		return nil
	}
	for _, f := range n.fields {
		if f.name == name {
			return f.value
		}
	}
	return nil
}

// what names the node's kind for a message.
func (n *node) what() string {
	switch n.kind {
	case listNode:
		return "a list"
	case mapNode:
		return "a map"
	}
	switch n.scalar.(type) {
	case nil:
		return "nothing"
	case bool:
		return "a boolean"
	case int64, float64:
		return "a number"
	}
	return "text"
}

// plain is the node as a value, references left as text.
func (n *node) plain() any {
	switch n.kind {
	case listNode:
		list := make([]any, len(n.list))
		for i, item := range n.list {
			list[i] = item.plain()
		}
		return list
	case mapNode:
		object := make(map[string]any, len(n.fields))
		for _, f := range n.fields {
			object[f.name] = f.value.plain()
		}
		return object
	}
	return n.scalar
}

// readNodes reads YAML or JSON.
func readNodes(file string, data []byte) (*node, error) {
	r := &reader{file: file}
	if len(data) > MaxDocumentBytes {
		return nil, r.fail(0, 0, fmt.Sprintf("the document has %d bytes", len(data)), fmt.Sprintf("at most %d", MaxDocumentBytes))
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
	}
	return r.yaml(data)
}

// reader makes nodes, and counts them.
type reader struct {
	file    string
	nodes   int
	anchors map[string]ast.Node
	within  map[string]bool // anchors whose value is being read
}

func (r *reader) fail(line, col int, problem, want string) error {
	return &knowngood.FileError{Position: knowngood.Position{File: r.file, Line: line, Col: col}, Problem: problem, Want: want}
}

func (r *reader) count(pos knowngood.Position, depth int) error {
	if r.nodes++; r.nodes > maxNodes {
		return r.fail(pos.Line, pos.Col, "the document has too many values, its aliases expanded", fmt.Sprintf("at most %d", maxNodes))
	}
	if depth > maxDepth {
		return r.fail(pos.Line, pos.Col, "lists and maps are nested too deeply", fmt.Sprintf("at most %d levels", maxDepth))
	}
	return nil
}

// yaml reads YAML.
func (r *reader) yaml(data []byte) (*node, error) {
	text := strings.ReplaceAll(strings.TrimPrefix(string(data), "\ufeff"), "\r\n", "\n")
	tokens := lexer.Tokenize(text)
	if err := r.bounded(tokens); err != nil {
		return nil, err
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		var at interface {
			GetMessage() string
			GetToken() *token.Token
		}
		if errors.As(err, &at) && at.GetToken() != nil && at.GetToken().Position != nil {
			p := at.GetToken().Position
			return nil, r.fail(p.Line, p.Column, at.GetMessage(), "YAML or JSON")
		}
		return nil, r.fail(0, 0, err.Error(), "YAML or JSON")
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.NullType || doc.Body.Type() == ast.CommentType {
			continue
		}
		if body != nil {
			p := r.at(doc.Body)
			return nil, r.fail(p.Line, p.Col, "a second document in one file", "one runbook in each file")
		}
		body = doc.Body
	}
	if body == nil {
		return nil, r.fail(1, 0, "the document is empty", "a runbook")
	}
	r.anchors, r.within = map[string]ast.Node{}, map[string]bool{}
	return r.node(body, 1)
}

// bounded refuses token sequences on which a recursive parser would run deep.
func (r *reader) bounded(tokens token.Tokens) error {
	flow, entries, properties, line := 0, 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, entries = t.Position.Line, 0
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType:
			entries++
		case token.AnchorType, token.TagType:
			properties++
		}
		if flow > maxDepth || entries > maxDepth || t.Position.IndentNum > 40*maxDepth {
			return r.fail(t.Position.Line, t.Position.Column, "lists and maps are nested too deeply", fmt.Sprintf("at most %d levels", maxDepth))
		}
		if properties > 1000 {
			return r.fail(t.Position.Line, t.Position.Column, "the document has too many anchors and tags", "at most 1000")
		}
	}
	return nil
}

func (r *reader) at(n ast.Node) knowngood.Position {
	p := knowngood.Position{File: r.file}
	switch m := n.(type) { // whose own token is the colon
	case *ast.MappingNode:
		if len(m.Values) > 0 && !m.IsFlowStyle {
			n = m.Values[0].Key
		}
	case *ast.MappingValueNode:
		n = m.Key
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		p.Line, p.Col = t.Position.Line, t.Position.Column
	}
	return p
}

func (r *reader) node(n ast.Node, depth int) (*node, error) {
	pos := r.at(n)
	if err := r.count(pos, depth); err != nil {
		return nil, err
	}
	out := &node{pos: pos}
	switch n := n.(type) {
	case *ast.MappingNode:
		return out, r.mapping(out, n.Values, depth)
	case *ast.MappingValueNode:
		return out, r.mapping(out, []*ast.MappingValueNode{n}, depth)
	case *ast.SequenceNode:
		out.kind = listNode
		for _, item := range n.Values {
			child, err := r.node(item, depth+1)
			if err != nil {
				return nil, err
			}
			out.list = append(out.list, child)
		}
		return out, nil
	case *ast.AnchorNode:
		name := n.Name.GetToken().Value
		if n.Value == nil {
			return out, nil
		}
		r.anchors[name] = n.Value
		r.within[name] = true
		child, err := r.node(n.Value, depth+1)
		delete(r.within, name)
		return child, err
	case *ast.AliasNode:
		name := n.Value.GetToken().Value
		target, ok := r.anchors[name]
		if !ok {
			return nil, r.fail(pos.Line, pos.Col, fmt.Sprintf("the alias *%s has no anchor before it", name), "")
		}
		if r.within[name] {
			return nil, r.fail(pos.Line, pos.Col, fmt.Sprintf("the alias *%s contains itself", name), "")
		}
		return r.node(target, depth+1)
	case *ast.TagNode:
		tag := n.Start.Value
		if tag != "!!str" {
			return nil, r.fail(pos.Line, pos.Col, "the tag "+tag, "a value without a tag")
		}
		child, err := r.node(n.Value, depth+1)
		if err != nil {
			return nil, err
		}
		if child.kind == scalarNode && n.Value != nil && n.Value.GetToken() != nil {
			child.scalar = n.Value.GetToken().Value
		}
		return child, nil
	case *ast.LiteralNode:
		out.scalar = n.Value.Value
	case *ast.StringNode:
		out.scalar = n.Value
	case *ast.BoolNode:
		out.scalar = n.Value
	case *ast.IntegerNode:
		switch v := n.Value.(type) {
		case int64:
			out.scalar = v
		case uint64:
			out.scalar = float64(v)
			if v <= math.MaxInt64 {
				out.scalar = int64(v)
			}
		default:
			out.scalar = n.GetToken().Value
		}
	case *ast.FloatNode:
		out.scalar = n.Value
	case *ast.NullNode, nil:
	case *ast.InfinityNode, *ast.NanNode:
		return nil, r.fail(pos.Line, pos.Col, "the number "+n.GetToken().Value, "a finite number")
	default:
		return nil, r.fail(pos.Line, pos.Col, "unexpected "+strings.ToLower(n.Type().String()), "a text, number, boolean, list or map")
	}
	return out, nil
}

func (r *reader) mapping(out *node, values []*ast.MappingValueNode, depth int) error {
	out.kind = mapNode
	seen := map[string]bool{}
	for _, v := range values {
		pos := r.at(v.Key)
		if v.Key.IsMergeKey() {
			if err := r.merge(out, v, depth); err != nil {
				return err
			}
			continue
		}
		key, err := r.node(v.Key, depth+1)
		if err != nil {
			return err
		}
		if key.kind != scalarNode {
			return r.fail(pos.Line, pos.Col, "a key that is "+key.what(), "a text as key")
		}
		name := text(key.scalar)
		if len(seen) == 0 {
			out.pos = pos
		}
		if seen[name] {
			return r.fail(pos.Line, pos.Col, fmt.Sprintf("the key %q is there twice", name), "")
		}
		seen[name] = true
		value := &node{pos: pos}
		if v.Value != nil {
			if value, err = r.node(v.Value, depth+1); err != nil {
				return err
			}
		}
		if merged := out.get(name); merged != nil { // what is written wins over what is merged
			*merged = *value
			continue
		}
		out.fields = append(out.fields, field{name: name, pos: pos, value: value})
	}
	return nil
}

// merge takes the members of <<: *alias that are not there yet.
func (r *reader) merge(out *node, v *ast.MappingValueNode, depth int) error {
	from, err := r.node(v.Value, depth+1)
	if err != nil {
		return err
	}
	sources := []*node{from}
	if from.kind == listNode {
		sources = from.list
	}
	for _, source := range sources {
		if source.kind != mapNode {
			return r.fail(from.pos.Line, from.pos.Col, "<< merges "+source.what(), "a map or a list of maps")
		}
		for _, f := range source.fields {
			if out.get(f.name) == nil {
				out.fields = append(out.fields, f)
			}
		}
	}
	return nil
}

// json reads JSON. Only its own decoder knows where a line with tabs begins.
func (r *reader) json(data []byte) (*node, error) {
	j := &jsonReader{reader: r, data: data, dec: json.NewDecoder(bytes.NewReader(data))}
	j.dec.UseNumber()
	n, err := j.value(1)
	if err == nil {
		if _, err = j.dec.Token(); errors.Is(err, io.EOF) {
			return n, nil
		}
		if err == nil {
			err = errors.New("text after the end of the document")
		}
	}
	var at *knowngood.FileError
	if errors.As(err, &at) {
		return nil, err
	}
	p := j.position(j.dec.InputOffset())
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		p = j.position(syntax.Offset)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the document ends too early")
	}
	return nil, r.fail(p.Line, p.Col, err.Error(), "JSON")
}

type jsonReader struct {
	*reader
	data []byte
	dec  *json.Decoder
	// The position of an offset, kept so that finding the next is cheap.
	offset    int64
	line, col int
}

// position is that of the first byte at or after offset that is no space,
// comma or colon.
func (j *jsonReader) position(offset int64) knowngood.Position {
	for offset < int64(len(j.data)) && strings.IndexByte(" \t\r\n,:", j.data[offset]) >= 0 {
		offset++
	}
	if offset < j.offset || j.line == 0 {
		j.offset, j.line, j.col = 0, 1, 1
	}
	for ; j.offset < offset && j.offset < int64(len(j.data)); j.offset++ {
		if j.data[j.offset] == '\n' {
			j.line, j.col = j.line+1, 1
		} else {
			j.col++
		}
	}
	return knowngood.Position{File: j.file, Line: j.line, Col: j.col}
}

func (j *jsonReader) value(depth int) (*node, error) {
	n := &node{pos: j.position(j.dec.InputOffset())}
	if err := j.count(n.pos, depth); err != nil {
		return nil, err
	}
	t, err := j.dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '[' {
			n.kind = listNode
			for j.dec.More() {
				item, err := j.value(depth + 1)
				if err != nil {
					return nil, err
				}
				n.list = append(n.list, item)
			}
		} else {
			n.kind = mapNode
			seen := map[string]bool{}
			for j.dec.More() {
				pos := j.position(j.dec.InputOffset())
				key, err := j.dec.Token()
				if err != nil {
					return nil, err
				}
				name, ok := key.(string)
				if !ok {
					return nil, j.fail(pos.Line, pos.Col, "a key that is no text", "a text as key")
				}
				if seen[name] {
					return nil, j.fail(pos.Line, pos.Col, fmt.Sprintf("the key %q is there twice", name), "")
				}
				seen[name] = true
				value, err := j.value(depth + 1)
				if err != nil {
					return nil, err
				}
				n.fields = append(n.fields, field{name: name, pos: pos, value: value})
			}
		}
		_, err = j.dec.Token() // the closing bracket
		return n, err
	case json.Number:
		n.scalar = number(t)
	default:
		n.scalar = t
	}
	return n, nil
}

// number is a JSON number as int64 where it fits, else as float64.
func number(n json.Number) any {
	if i, err := strconv.ParseInt(string(n), 10, 64); err == nil {
		return i
	}
	f, err := n.Float64()
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return string(n)
	}
	return f
}
