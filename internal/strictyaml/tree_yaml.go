package strictyaml

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/knowngood/knowngood"
)

// yaml reads YAML.
func (r *reader) yaml(data []byte) (*Node, error) {
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
			return nil, r.fail(p, "a second document in one file", "one "+r.Noun+" in each file")
		}
		body = doc.Body
	}
	if body == nil {
		return nil, r.fail(r.place(1, 0), "the "+r.Noun+" is empty", r.Want)
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
		if flow > MaxDepth || entries > MaxDepth || t.Position.IndentNum > 40*MaxDepth {
			return r.fail(r.place(t.Position.Line, t.Position.Column), "lists and maps are nested too deeply", fmt.Sprintf("at most %d levels", MaxDepth))
		}
		if properties > 1000 {
			return r.fail(r.place(t.Position.Line, t.Position.Column), "the "+r.Noun+" has too many anchors and tags", "at most 1000")
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
func (r *reader) inside(n *ast.LiteralNode) *Origin {
	if n.Start == nil || n.Start.Type != token.LiteralType || n.Start.Position == nil {
		return nil
	}
	first := n.Start.Position.Line // the lines after this one are the text's
	for _, line := range r.lines[min(first, len(r.lines)):] {
		if text := strings.TrimLeft(line, " "); text != "" {
			return &Origin{first + r.Origin.Line, len(line) - len(text) + r.Origin.Col}
		}
	}
	return nil
}

func (r *reader) node(n ast.Node, depth int) (*Node, error) {
	pos := r.at(n)
	if err := r.count(pos, depth); err != nil {
		return nil, err
	}
	out := &Node{Pos: pos}
	switch n := n.(type) {
	case *ast.MappingNode:
		return out, r.mapping(out, n.Values, depth)
	case *ast.MappingValueNode:
		return out, r.mapping(out, []*ast.MappingValueNode{n}, depth)
	case *ast.SequenceNode:
		out.Kind = List
		for _, item := range n.Values {
			child, err := r.node(item, depth+1)
			if err != nil {
				return nil, err
			}
			out.List = append(out.List, child)
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
		out.Scalar, out.Inside = n.Value.Value, r.inside(n)
	case *ast.StringNode:
		out.Scalar = n.Value
	case *ast.BoolNode:
		out.Scalar = n.Value
	case *ast.IntegerNode:
		switch v := n.Value.(type) {
		case int64:
			out.Scalar = v
		case uint64:
			out.Scalar = float64(v)
			if v <= math.MaxInt64 {
				out.Scalar = int64(v)
			}
		default:
			out.Scalar = n.GetToken().Value
		}
	case *ast.FloatNode:
		out.Scalar = n.Value
	case *ast.NullNode, nil:
	case *ast.InfinityNode, *ast.NanNode:
		return nil, r.fail(pos, "the number "+n.GetToken().Value, "a finite number")
	default:
		return nil, r.fail(pos, "unexpected "+strings.ToLower(n.Type().String()), "a text, number, boolean, list or map")
	}
	return out, nil
}

// tagged reads a value with a tag: !!str, or one that stands for a map.
func (r *reader) tagged(out *Node, n *ast.TagNode, depth int) (*Node, error) {
	tag := n.Start.Value
	child := &Node{Pos: out.Pos}
	if n.Value != nil {
		var err error
		if child, err = r.node(n.Value, depth+1); err != nil {
			return nil, err
		}
	}
	if tag == "!!str" {
		if child.Kind == Scalar && n.Value != nil && n.Value.GetToken() != nil {
			child.Scalar = n.Value.GetToken().Value
		}
		return child, nil
	}
	if r.Tag == nil {
		return nil, r.fail(out.Pos, "the tag "+tag, "a value without a tag")
	}
	name, ok := r.Tag(tag)
	if !ok {
		return nil, r.fail(out.Pos, "the tag "+tag, r.WantTag)
	}
	out.Kind = Map
	out.Fields = []Field{{Name: name, Pos: out.Pos, Value: child}}
	return out, nil
}

func (r *reader) mapping(out *Node, values []*ast.MappingValueNode, depth int) error {
	out.Kind = Map
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
		if key.Kind != Scalar {
			return r.fail(pos, "a key that is "+What(key.Kind, key.Scalar), "a text as key")
		}
		name := keyText(key.Scalar)
		if len(seen) == 0 {
			out.Pos = pos
		}
		if seen[name] {
			return r.fail(pos, fmt.Sprintf("the key %q is there twice", name), "")
		}
		seen[name] = true
		value := &Node{Pos: pos}
		if v.Value != nil {
			if value, err = r.node(v.Value, depth+1); err != nil {
				return err
			}
		}
		if merged := out.get(name); merged != nil { // what is written wins over what is merged
			*merged = *value
			continue
		}
		out.Fields = append(out.Fields, Field{Name: name, Pos: pos, Value: value})
	}
	return nil
}

// merge takes the members of <<: *alias that are not there yet.
func (r *reader) merge(out *Node, v *ast.MappingValueNode, depth int) error {
	from, err := r.node(v.Value, depth+1)
	if err != nil {
		return err
	}
	sources := []*Node{from}
	if from.Kind == List {
		sources = from.List
	}
	for _, source := range sources {
		if source.Kind != Map {
			return r.fail(from.Pos, "<< merges "+What(source.Kind, source.Scalar), "a map or a list of maps")
		}
		for _, f := range source.Fields {
			if out.get(f.Name) == nil {
				out.Fields = append(out.Fields, f)
			}
		}
	}
	return nil
}

// keyText is a key as the text that it is in JSON.
func keyText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1e15 {
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return ""
}
