package document

import (
	"fmt"
	"iter"
	"strconv"
	"unsafe"
)

// Bounds of a document.
const (
	MaxBytes = 64 << 20
	MaxDepth = 256 // arrays and objects in one another
)

// Kind is the type of a value.
type Kind uint8

// The kinds. None is that of the zero Node: a value that is not there.
const (
	None Kind = iota
	Null
	Bool
	Int    // a number written without fraction or exponent that fits int64
	Double // every other number
	String
	Array
	Object

	key  // of an object's member; its value follows
	dead // the key of a member that a later one of the same name replaced
)

// String is the kind's name.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "key"
}

var kindNames = [...]string{"none", "null", "boolean", "integer", "number", "string", "array", "object"}

// Node is a value of a document. The zero Node is none.
type Node uint32

// entry is a value on the tape.
type entry struct {
	kind Kind
	from origin
	next uint32 // the entry after the value, its elements or members included
	off  uint32 // of the text; of a Bool 1 where true
	n    uint32 // bytes of the text; elements or members
}

// origin says in which buffer a text is.
type origin uint8

const (
	inSource origin = iota // as it stands in the document
	inExtra                // unescaped, or made
)

// Document is a parsed document. The zero Document is empty and ready. It is not
// safe for concurrent use while it is parsed; reading it is.
type Document struct {
	source []byte // the document, and padding after it
	extra  []byte
	tape   []entry
	slots  []Node
	at     *Projection
	table  []uint32 // of keys, to find those that are there twice
	names  []string // of Go maps, sorted
	failed *Error
}

// Error says where and why a text is not a document.
type Error struct {
	Offset  int // in bytes
	Problem string
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s at byte %d", e.Problem, e.Offset) }

// Root is the whole document's value.
func (d *Document) Root() Node {
	if len(d.tape) < 2 {
		return 0
	}
	return 1
}

// At is the value at a path of the projection that the document was parsed with,
// by the path's slot. A path leads through objects only: where an array is on the
// way there is none.
func (d *Document) At(slot int) Node { return d.slots[slot] }

// Kind is the type of a value.
func (d *Document) Kind(n Node) Kind { return d.tape[n].kind }

// Len is the number of an array's elements or an object's members.
func (d *Document) Len(n Node) int { return int(d.tape[n].n) }

// Bool is a Bool's value.
func (d *Document) Bool(n Node) bool { return d.tape[n].off == 1 }

// Text is a String's text or a number as it was written. It is valid until the
// document is parsed again.
func (d *Document) Text(n Node) string {
	e := &d.tape[n]
	if e.n == 0 {
		return ""
	}
	// The bytes don't change until the next Parse, which is said above: a copy of
	// each text would be most of what reading a document costs.
	if e.from == inSource {
		return unsafe.String(&d.source[e.off], e.n)
	}
	return unsafe.String(&d.extra[e.off], e.n)
}

// Int is an Int's value.
func (d *Document) Int(n Node) int64 {
	text := d.Text(n)
	if len(text) > 18 { // the longest, and the least number, need more care
		i, _ := strconv.ParseInt(text, 10, 64) // which it was checked to fit
		return i
	}
	var i int64
	negative := text[0] == '-'
	if negative {
		text = text[1:]
	}
	for _, c := range []byte(text) {
		i = i*10 + int64(c-'0')
	}
	if negative {
		return -i
	}
	return i
}

// Double is the value of an Int or Double, rounded; false where it is out of range.
func (d *Document) Double(n Node) (float64, bool) {
	f, err := strconv.ParseFloat(d.Text(n), 64)
	return f, err == nil
}

// Member is the value of an object's member, 0 where it has none of that name.
func (d *Document) Member(object Node, name string) Node {
	for k := d.FirstMember(object); k != 0; k = d.NextMember(object, k) {
		if int(d.tape[k].n) == len(name) && d.Text(k) == name {
			return k + 1
		}
	}
	return 0
}

// FirstMember is the key of an object's first member, 0 where it has none. The
// member's value is at the Node after its key.
func (d *Document) FirstMember(object Node) Node { return d.living(object, object+1) }

// NextMember is the key of the member after one.
func (d *Document) NextMember(object, k Node) Node {
	return d.living(object, Node(d.tape[k+1].next))
}

func (d *Document) living(object, k Node) Node {
	end := Node(d.tape[object].next)
	for k < end {
		if d.tape[k].kind == key {
			return k
		}
		k = Node(d.tape[k+1].next)
	}
	return 0
}

// FirstElement is an array's first element, 0 where it has none.
func (d *Document) FirstElement(array Node) Node {
	if d.tape[array].n == 0 {
		return 0
	}
	return array + 1
}

// NextElement is the element after one, 0 after the last.
func (d *Document) NextElement(array, element Node) Node {
	if next := d.tape[element].next; next < d.tape[array].next {
		return Node(next)
	}
	return 0
}

// Members are an object's members in the order of the text.
func (d *Document) Members(object Node) iter.Seq2[string, Node] {
	return func(yield func(string, Node) bool) {
		for k := d.FirstMember(object); k != 0; k = d.NextMember(object, k) {
			if !yield(d.Text(k), k+1) {
				return
			}
		}
	}
}

// Elements are an array's elements.
func (d *Document) Elements(array Node) iter.Seq[Node] {
	return func(yield func(Node) bool) {
		for e := d.FirstElement(array); e != 0; e = d.NextElement(array, e) {
			if !yield(e) {
				return
			}
		}
	}
}

// Value is a value as Go has it, copied: nil, bool, int64, float64, string, []any
// or map[string]any. A Double out of range is an infinity.
func (d *Document) Value(n Node) any {
	switch d.Kind(n) {
	case Bool:
		return d.Bool(n)
	case Int:
		return d.Int(n)
	case Double:
		f, _ := d.Double(n)
		return f
	case String:
		return string([]byte(d.Text(n)))
	case Array:
		list := make([]any, 0, d.Len(n))
		for e := range d.Elements(n) {
			list = append(list, d.Value(e))
		}
		return list
	case Object:
		out := make(map[string]any, d.Len(n))
		for name, v := range d.Members(n) {
			out[string([]byte(name))] = d.Value(v)
		}
		return out
	}
	return nil
}

// AppendJSON appends a value as compact JSON, numbers as they were written.
func (d *Document) AppendJSON(to []byte, n Node) []byte {
	switch d.Kind(n) {
	case Bool:
		return strconv.AppendBool(to, d.Bool(n))
	case Int, Double:
		return append(to, d.Text(n)...)
	case String:
		return appendQuoted(to, d.Text(n))
	case Array:
		to = append(to, '[')
		for e := range d.Elements(n) {
			if to[len(to)-1] != '[' {
				to = append(to, ',')
			}
			to = d.AppendJSON(to, e)
		}
		return append(to, ']')
	case Object:
		to = append(to, '{')
		for name, v := range d.Members(n) {
			if to[len(to)-1] != '{' {
				to = append(to, ',')
			}
			to = append(appendQuoted(to, name), ':')
			to = d.AppendJSON(to, v)
		}
		return append(to, '}')
	}
	return append(to, "null"...)
}

func appendQuoted(to []byte, s string) []byte {
	const hex = "0123456789abcdef"
	to = append(to, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			to = append(to, '\\', c)
		case c < ' ':
			to = append(to, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			to = append(to, c)
		}
	}
	return append(to, '"')
}
