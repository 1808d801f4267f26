package eventpattern

import "strconv"

// kind is the type of a JSON value.
type kind uint8

const (
	stringKind kind = iota + 1
	numberKind
	trueKind
	falseKind
	nullKind
	objectKind
	arrayKind
)

func (k kind) String() string {
	return [...]string{"nothing", "a text", "a number", "true", "false", "null", "an object", "an array"}[k]
}

// node is a JSON value with its place in the text.
type node struct {
	kind       kind
	start, end int    // offsets in the text
	text       string // of a string, decoded; of a number, as written
	members    []member
	elements   []*node
}

type member struct {
	name  string
	start int // of the name
	value *node
}

// last gives the value of the last member of a name, or nil: of equal keys the
// last counts.
func (n *node) last(name string) *node {
	for i := len(n.members) - 1; i >= 0; i-- {
		if n.members[i].name == name {
			return n.members[i].value
		}
	}
	return nil
}

// what describes a node for an error.
func (n *node) what() string {
	switch n.kind {
	case stringKind:
		return "the text " + strconv.Quote(n.text)
	case numberKind:
		return "the number " + n.text
	}
	return n.kind.String()
}

// parse reads one JSON value that is all of data.
func parse(data []byte) (*node, error) {
	s := &scanner{data: data}
	n, err := s.node(1)
	if err != nil {
		return nil, err
	}
	return n, s.end()
}

func (s *scanner) node(depth int) (*node, error) {
	c := s.peek()
	n := &node{start: s.pos}
	var err error
	switch {
	case c == '{':
		n.kind = objectKind
		from := s.pos
		err = s.members(depth, func(key []byte, escaped bool) error {
			start := s.keyStart(from)
			value, err := s.node(depth + 1)
			n.members = append(n.members, member{name: decode(key, escaped), start: start, value: value})
			from = s.pos
			return err
		})
	case c == '[':
		n.kind = arrayKind
		err = s.elements(depth, func() error {
			e, err := s.node(depth + 1)
			n.elements = append(n.elements, e)
			return err
		})
	case c == '"':
		n.kind = stringKind
		var raw []byte
		var escaped bool
		raw, escaped, err = s.str()
		n.text = decode(raw, escaped)
	case c == '-' || '0' <= c && c <= '9':
		n.kind = numberKind
		var text []byte
		text, err = s.number()
		n.text = string(text)
	default:
		n.kind, err = s.word()
	}
	n.end = s.pos
	return n, err
}

// keyStart is the offset of the first quote from an offset on.
func (s *scanner) keyStart(from int) int {
	for s.data[from] != '"' {
		from++
	}
	return from
}

func decode(raw []byte, escaped bool) string {
	if escaped {
		return string(unescape(nil, raw))
	}
	return string(raw)
}
