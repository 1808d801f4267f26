package eventpattern

import "strings"

// steps is a tree of the paths that an engine's conditions name, by the steps
// between their dots.
type steps struct {
	children map[string]*steps
	field    int32 // an index of event.fields, or -1
}

func newSteps() *steps { return &steps{field: -1} }

// at gives the place of a path, and makes it.
func (t *steps) at(path string) *steps {
	for step := range strings.SplitSeq(path, ".") {
		next := t.children[step]
		if next == nil {
			next = newSteps()
			if t.children == nil {
				t.children = map[string]*steps{}
			}
			t.children[step] = next
		}
		t = next
	}
	return t
}

// down follows the key of an event; nil if no condition is there. A key with dots
// is as many steps.
func (t *steps) down(key []byte) *steps {
	for from, i := 0, 0; ; i++ {
		if i == len(key) || key[i] == '.' {
			if t = t.children[string(key[from:i])]; t == nil || i == len(key) {
				return t
			}
			from = i + 1
		}
	}
}

// field is what an event has at one path.
type field struct {
	values []value // in the order of the event
	object bool    // an object is there
	empty  bool    // an empty array is there
}

// element is one element, an object or an array, of an array of the event.
type element struct {
	array  int32 // numbers the arrays
	parent int32 // the element of an outer array that holds this array; 0 for none
}

// event is a parsed event: the fields that the conditions of an engine name.
type event struct {
	fields   []field
	touched  []int32 // the fields that the event has
	elements []element
	arrays   int32
	text     []byte // texts decoded from escapes
	key      []byte
	scan     scanner
}

// maxKept is how many values and elements an event may have for its memory to be
// kept for the next.
const maxKept = 1 << 14

// reset makes the event empty. It says whether its memory is worth keeping.
func (e *event) reset() bool {
	kept := len(e.elements) <= maxKept && cap(e.text) <= 64*maxKept
	for _, i := range e.touched {
		f := &e.fields[i]
		kept = kept && len(f.values) <= maxKept
		*f = field{values: f.values[:0]}
	}
	e.touched, e.elements, e.arrays, e.text = e.touched[:0], append(e.elements[:0], element{}), 0, e.text[:0]
	e.scan = scanner{}
	return kept
}

// read reads the fields below t from an event's text, which must be an object.
// Values refer to the text.
func (e *event) read(data []byte, t *steps) error {
	e.scan = scanner{data: data}
	if e.scan.peek() != '{' {
		return e.scan.unexpected("an event, which is an object")
	}
	if err := e.object(t, 0, 1); err != nil {
		return err
	}
	return e.scan.end()
}

func (e *event) object(t *steps, elem int32, depth int) error {
	return e.scan.members(depth, func(key []byte, escaped bool) error {
		if escaped {
			e.key = unescape(e.key[:0], key)
			key = e.key
		}
		if next := t.down(key); next != nil {
			return e.value(next, elem, depth+1)
		}
		return e.scan.skip(depth + 1)
	})
}

// at gives the field at a place of the tree, or nil.
func (e *event) at(t *steps) *field {
	if t.field < 0 {
		return nil
	}
	f := &e.fields[t.field]
	if len(f.values) == 0 && !f.object && !f.empty {
		e.touched = append(e.touched, t.field)
	}
	return f
}

func (e *event) value(t *steps, elem int32, depth int) error {
	switch e.scan.peek() {
	case '{':
		if f := e.at(t); f != nil {
			f.object = true
		}
		if t.children == nil {
			return e.scan.skip(depth)
		}
		return e.object(t, elem, depth)
	case '[':
		return e.array(t, elem, depth)
	}
	f := e.at(t)
	if f == nil {
		return e.scan.skip(depth)
	}
	v, err := e.leaf(f)
	if err != nil {
		return err
	}
	v.elem = elem
	return nil
}

// leaf reads a value that is no object and no array into a field.
func (e *event) leaf(f *field) (*value, error) {
	if len(f.values) < cap(f.values) {
		f.values = f.values[:len(f.values)+1] // with the memory of the value before
	} else {
		f.values = append(f.values, value{})
	}
	v := &f.values[len(f.values)-1]
	v.made = 0
	var err error
	switch c := e.scan.peek(); {
	case c == '"':
		var escaped bool
		v.kind = stringKind
		if v.text, escaped, err = e.scan.str(); escaped && err == nil {
			from := len(e.text)
			e.text = unescape(e.text, v.text)
			v.text = e.text[from:len(e.text):len(e.text)]
		}
	case c == '-' || '0' <= c && c <= '9':
		v.kind = numberKind
		v.text, err = e.scan.number()
	default:
		v.text = nil
		v.kind, err = e.scan.word()
	}
	return v, err
}

// array reads an array: its elements stand for it. Values that are elements
// themselves are not bound to the array, as in event-ruler: several fields at one
// path can't be.
func (e *event) array(t *steps, elem int32, depth int) error {
	id := e.arrays
	e.arrays++
	count := 0
	err := e.scan.elements(depth, func() error {
		count++
		inner := elem
		if c := e.scan.peek(); c == '{' || c == '[' {
			inner = int32(len(e.elements))
			e.elements = append(e.elements, element{array: id, parent: elem})
		}
		return e.value(t, inner, depth+1)
	})
	if count == 0 && err == nil {
		if f := e.at(t); f != nil {
			f.empty = true
		}
	}
	return err
}
