package template

import (
	"strings"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/strictyaml"
)

// Limits of a template. MaxTemplateBytes is CloudFormation's own limit for one
// that is read from S3.
const (
	MaxTemplateBytes = 1 << 20
	maxDepth         = strictyaml.MaxDepth
	maxNodes         = 200_000 // values, aliases counted as often as they are used
)

// node is a value in a template, with its place.
type node struct {
	pos    knowngood.Position
	kind   strictyaml.Kind
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

const (
	scalarNode = strictyaml.Scalar
	listNode   = strictyaml.List
	mapNode    = strictyaml.Map
)

// origin is where a template begins that is inside another file.
type origin = strictyaml.Origin

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

// readNodes reads YAML or JSON. The short forms of intrinsic functions become the
// full ones.
func readNodes(file string, data []byte, from origin) (*node, error) {
	root, err := strictyaml.Read(file, data, strictyaml.Format{
		Noun: "template", Want: "a template", MaxBytes: MaxTemplateBytes, MaxNodes: maxNodes, Origin: from,
		Tag: intrinsic, WantTag: "the short form of an intrinsic function, such as !Ref",
	})
	if err != nil {
		return nil, err
	}
	return nodeOf(root), nil
}

// intrinsic is the full name of a function's short form: Fn::Sub of !Sub.
func intrinsic(tag string) (name string, ok bool) {
	name, ok = strings.CutPrefix(tag, "!")
	if !ok || name == "" || strings.HasPrefix(name, "!") {
		return "", false
	}
	if name != "Ref" && name != "Condition" {
		name = "Fn::" + name
	}
	return name, true
}

func nodeOf(in *strictyaml.Node) *node {
	out := &node{pos: in.Pos, kind: in.Kind, scalar: in.Scalar, inside: in.Inside}
	for _, item := range in.List {
		out.list = append(out.list, nodeOf(item))
	}
	for _, f := range in.Fields {
		out.fields = append(out.fields, field{name: f.Name, pos: f.Pos, value: nodeOf(f.Value)})
	}
	return out
}
