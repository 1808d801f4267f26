package template

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/knowngood/knowngood"
)

// Limits of a template. MaxTemplateBytes is CloudFormation's own limit for one
// that is read from S3.
const (
	MaxTemplateBytes = 1 << 20
	maxDepth         = 64      // of nested lists and objects
	maxNodes         = 200_000 // values, aliases counted as often as they are used
)

// node is a value in a template, with its place.
type node struct {
	pos    knowngood.Position
	kind   nodeKind
	scalar any // nil, bool, int64, float64 or string
	list   []*node
	fields []field
	// deployed says that the value, or a part of it, is known only once the
	// template is deployed, such as an ARN of a resource that it makes.
	deployed bool
	// inside is, of a text that is a literal block, where its lines are in the
	// file.
	inside *origin
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

// readNodes reads YAML or JSON.
func readNodes(file string, data []byte, from origin) (*node, error) {
	r := &reader{file: file, origin: from}
	if len(data) > MaxTemplateBytes {
		line := 1 + bytes.Count(data[:MaxTemplateBytes], []byte{'\n'})
		return nil, r.fail(r.place(line, 0), fmt.Sprintf("the template is larger than %d bytes, which end in this line", MaxTemplateBytes), "several templates, each smaller")
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
	origin  origin
	lines   []string // of YAML
	nodes   int
	anchors map[string]ast.Node
	within  map[string]bool // anchors whose value is being read
}

// origin is where a template begins that is inside another file: what is added
// to its own lines and columns.
type origin struct{ line, col int }

// place is a position in the file.
func (r *reader) place(line, col int) knowngood.Position {
	p := knowngood.Position{File: r.file, Line: line + r.origin.line, Col: col}
	if col > 0 {
		p.Col += r.origin.col
	}
	return p
}

func (r *reader) fail(at knowngood.Position, problem, want string) error {
	return &knowngood.FileError{Position: at, Problem: problem, Want: want}
}

func (r *reader) count(pos knowngood.Position, depth int) error {
	if r.nodes++; r.nodes > maxNodes {
		return r.fail(pos, "the template has too many values, its aliases expanded", fmt.Sprintf("at most %d", maxNodes))
	}
	if depth > maxDepth {
		return r.fail(pos, "lists and maps are nested too deeply", fmt.Sprintf("at most %d levels", maxDepth))
	}
	return nil
}

// yaml reads YAML.
func (r *reader) yaml(data []byte) (*node, error) {
	text := strings.ReplaceAll(strings.TrimPrefix(string(data), "\ufeff"), "\r\n", "\n")
	r.lines = strings.Split(text, "\n")
	tokens := rejoined(lexer.Tokenize(text))
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
			return nil, r.fail(r.place(p.Line, p.Column), at.GetMessage(), "YAML or JSON")
		}
		return nil, r.fail(r.place(1, 0), err.Error(), "YAML or JSON")
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.NullType || doc.Body.Type() == ast.CommentType {
			continue
		}
		if body != nil {
			p := r.at(doc.Body)
			return nil, r.fail(p, "a second document in one file", "one template in each file")
		}
		body = doc.Body
	}
	if body == nil {
		return nil, r.fail(r.place(1, 0), "the template is empty", "a template")
	}
	r.anchors, r.within = map[string]ast.Node{}, map[string]bool{}
	return r.node(body, 1)
}

// rejoined puts together what the lexer takes apart: in [AWS::EC2::Volume] within
// braces it sees a key and a value, though YAML has a key there only where a space
// follows the colon.
func rejoined(tokens token.Tokens) token.Tokens {
	var out token.Tokens
	var open []token.Type // brackets
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			open = append(open, t.Type)
		case token.SequenceEndType, token.MappingEndType:
			open = open[:max(len(open)-1, 0)]
		case token.StringType:
			if i+2 < len(tokens) && len(open) > 0 && open[len(open)-1] == token.SequenceStartType && adjacent(t, tokens[i+1]) && adjacent(tokens[i+1], tokens[i+2]) &&
				tokens[i+1].Type == token.MappingValueType && tokens[i+2].Type == token.StringType {
				t.Value += ":" + tokens[i+2].Value
				t.Origin += tokens[i+1].Origin + tokens[i+2].Origin
				i += 2
			}
		}
		out.Add(t)
	}
	if len(out) > 0 {
		out[len(out)-1].Next = nil
	}
	return out
}

// adjacent says whether a token follows another without a space.
func adjacent(a, b *token.Token) bool {
	return a.Position.Line == b.Position.Line && a.Position.Column+utf8.RuneCountInString(a.Value) == b.Position.Column
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
			return r.fail(r.place(t.Position.Line, t.Position.Column), "lists and maps are nested too deeply", fmt.Sprintf("at most %d levels", maxDepth))
		}
		if properties > 1000 {
			return r.fail(r.place(t.Position.Line, t.Position.Column), "the template has too many anchors and tags", "at most 1000")
		}
	}
	return nil
}

func (r *reader) at(n ast.Node) knowngood.Position {
	switch m := n.(type) { // whose own token is the colon
	case *ast.MappingNode:
		if len(m.Values) > 0 && !m.IsFlowStyle {
			n = m.Values[0].Key
		}
	case *ast.MappingValueNode:
		n = m.Key
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return r.place(t.Position.Line, t.Position.Column)
	}
	return knowngood.Position{File: r.file}
}

// inside is where the text of a literal block has its origin; nil for a folded
// one, whose lines are not those of its text.
func (r *reader) inside(n *ast.LiteralNode) *origin {
	if n.Start == nil || n.Start.Type != token.LiteralType || n.Start.Position == nil {
		return nil
	}
	first := n.Start.Position.Line // the lines after this one are the text's
	for _, line := range r.lines[min(first, len(r.lines)):] {
		if text := strings.TrimLeft(line, " "); text != "" {
			return &origin{first + r.origin.line, len(line) - len(text) + r.origin.col}
		}
	}
	return nil
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
			return nil, r.fail(pos, fmt.Sprintf("the alias *%s has no anchor before it", name), "")
		}
		if r.within[name] {
			return nil, r.fail(pos, fmt.Sprintf("the alias *%s contains itself", name), "")
		}
		return r.node(target, depth+1)
	case *ast.TagNode:
		return r.tagged(out, n, depth)
	case *ast.LiteralNode:
		out.scalar, out.inside = n.Value.Value, r.inside(n)
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
		return nil, r.fail(pos, "the number "+n.GetToken().Value, "a finite number")
	default:
		return nil, r.fail(pos, "unexpected "+strings.ToLower(n.Type().String()), "a text, number, boolean, list or map")
	}
	return out, nil
}

// tagged reads a value with a tag: !!str, or the short form of an intrinsic
// function, which becomes the full one: !Sub x is {Fn::Sub: x}.
func (r *reader) tagged(out *node, n *ast.TagNode, depth int) (*node, error) {
	tag := n.Start.Value
	child := &node{pos: out.pos}
	if n.Value != nil {
		var err error
		if child, err = r.node(n.Value, depth+1); err != nil {
			return nil, err
		}
	}
	if tag == "!!str" {
		if child.kind == scalarNode && n.Value != nil && n.Value.GetToken() != nil {
			child.scalar = n.Value.GetToken().Value
		}
		return child, nil
	}
	name := strings.TrimPrefix(tag, "!")
	if name == tag || name == "" || strings.HasPrefix(name, "!") {
		return nil, r.fail(out.pos, "the tag "+tag, "the short form of an intrinsic function, such as !Ref")
	}
	if name != "Ref" && name != "Condition" {
		name = "Fn::" + name
	}
	out.kind = mapNode
	out.fields = []field{{name: name, pos: out.pos, value: child}}
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
			return r.fail(pos, "a key that is "+key.what(), "a text as key")
		}
		name := text(key.scalar)
		if len(seen) == 0 {
			out.pos = pos
		}
		if seen[name] {
			return r.fail(pos, fmt.Sprintf("the key %q is there twice", name), "")
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
			return r.fail(from.pos, "<< merges "+source.what(), "a map or a list of maps")
		}
		for _, f := range source.fields {
			if out.get(f.name) == nil {
				out.fields = append(out.fields, f)
			}
		}
	}
	return nil
}
