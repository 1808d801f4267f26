package runbook

import (
	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/strictyaml"
)

// Limits of a document. AWS's is 64 KB for documents of its customers; the
// documents that AWS itself owns are larger.
const (
	MaxDocumentBytes = 512 << 10
	maxNodes         = 50_000 // values, aliases counted as often as they are used
	MaxSteps         = 1000
)

// node is a value in a document, with its place.
type node struct {
	pos    knowngood.Position
	kind   strictyaml.Kind
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

const (
	scalarNode = strictyaml.Scalar
	listNode   = strictyaml.List
	mapNode    = strictyaml.Map
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
func (n *node) what() string { return strictyaml.What(n.kind, n.scalar) }

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
	root, err := strictyaml.Read(file, data, strictyaml.Format{Noun: "document", Want: "a runbook", MaxBytes: MaxDocumentBytes, MaxNodes: maxNodes})
	if err != nil {
		return nil, err
	}
	return nodeOf(root), nil
}

func nodeOf(in *strictyaml.Node) *node {
	out := &node{pos: in.Pos, kind: in.Kind, scalar: in.Scalar}
	for _, item := range in.List {
		out.list = append(out.list, nodeOf(item))
	}
	for _, f := range in.Fields {
		out.fields = append(out.fields, field{name: f.Name, pos: f.Pos, value: nodeOf(f.Value)})
	}
	return out
}
