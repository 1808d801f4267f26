package document

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// Named is a member of an object that Build makes.
type Named struct {
	Name  string
	Value any
}

// Build makes a document of Go values, as Parse does of text: nil, bool, string,
// *string, int, int64, float64, time.Time (as text), []string, []any,
// map[string]string, map[string]any and []Named, which is an object. Members are in the order of their
// names. The error says that a value is of another type, not a number, or too deep.
func (d *Document) Build(v any, p *Projection) error {
	d.reset(p)
	d.source = d.source[:0]
	var err error
	if p == nil {
		err = d.build(v, everything, false, MaxDepth)
	} else {
		err = d.build(v, 0, true, MaxDepth)
	}
	if err != nil {
		d.reset(p)
	}
	return err
}

func (d *Document) build(v any, at int32, track bool, depth int) error {
	if track {
		d.slots[at] = Node(len(d.tape))
	}
	if depth < 0 {
		return &Error{Problem: "the document is too deep"}
	}
	switch v := v.(type) {
	case nil:
		d.tape = append(d.tape, entry{kind: Null, next: uint32(len(d.tape) + 1)})
	case bool:
		e := entry{kind: Bool, next: uint32(len(d.tape) + 1)}
		if v {
			e.off = 1
		}
		d.tape = append(d.tape, e)
	case string:
		d.made(String, append(d.extra, v...))
	case *string:
		d.made(String, append(d.extra, *v...))
	case time.Time:
		d.made(String, v.UTC().AppendFormat(d.extra, time.RFC3339Nano))
	case int:
		d.made(Int, strconv.AppendInt(d.extra, int64(v), 10))
	case int64:
		d.made(Int, strconv.AppendInt(d.extra, v, 10))
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return &Error{Problem: fmt.Sprintf("%v is no number of JSON", v)}
		}
		text := strconv.AppendFloat(d.extra, v, 'g', -1, 64)
		if !bytes.ContainsAny(text[len(d.extra):], ".e") {
			text = append(text, ".0"...) // so that it reads as a Double again
		}
		d.made(Double, text)
	case []string:
		return d.elements(len(v), func(i int) error { return d.build(&v[i], at, false, depth-1) })
	case []any:
		return d.elements(len(v), func(i int) error { return d.build(v[i], at, false, depth-1) })
	case map[string]string:
		me, from := d.begin(), sortedNames(d, v, at)
		for _, name := range d.names[from:] {
			if child, ok := d.member(name, at); ok {
				if track && child != everything {
					d.slots[child] = Node(len(d.tape))
				}
				d.made(String, append(d.extra, v[name]...))
			}
		}
		d.names = d.names[:from]
		d.end(me)
	case map[string]any:
		me, from := d.begin(), sortedNames(d, v, at)
		for i := from; i < len(d.names); i++ { // what is built appends names, and takes them off again
			if child, ok := d.member(d.names[i], at); ok {
				if err := d.build(v[d.names[i]], child, track && child != everything, depth-1); err != nil {
					return err
				}
			}
		}
		d.names = d.names[:from]
		d.end(me)
	case []Named:
		me := d.begin()
		for i := range v {
			if child, ok := d.member(v[i].Name, at); ok {
				if err := d.build(v[i].Value, child, track && child != everything, depth-1); err != nil {
					return err
				}
			}
		}
		d.end(me)
	default:
		return &Error{Problem: fmt.Sprintf("a value of type %T", v)}
	}
	return nil
}

// made puts a text onto the tape that was appended to what is extra.
func (d *Document) made(k Kind, extra []byte) {
	off := len(d.extra)
	d.extra = extra
	d.tape = append(d.tape, entry{kind: k, from: inExtra, next: uint32(len(d.tape) + 1), off: uint32(off), n: uint32(len(extra) - off)})
}

func (d *Document) elements(n int, build func(int) error) error {
	me := len(d.tape)
	d.tape = append(d.tape, entry{kind: Array, n: uint32(n)})
	for i := range n {
		if err := build(i); err != nil {
			return err
		}
	}
	d.tape[me].next = uint32(len(d.tape))
	return nil
}

func (d *Document) begin() int {
	d.tape = append(d.tape, entry{kind: Object})
	return len(d.tape) - 1
}

func (d *Document) end(me int) {
	n := uint32(0)
	for k := me + 1; k < len(d.tape); k = int(d.tape[k+1].next) {
		n++
	}
	d.tape[me].next, d.tape[me].n = uint32(len(d.tape)), n
}

// member begins a member, unless the projection leaves it out.
func (d *Document) member(name string, at int32) (child int32, ok bool) {
	child = everything
	if at != everything {
		if child = d.at.child(at, name); child == 0 {
			if !d.at.nodes[at].whole {
				return 0, false
			}
			child = everything
		}
	}
	d.made(key, append(d.extra, name...))
	return child, true
}

// sortedNames puts the names of a map's members that the projection keeps behind
// those that there are, in order, and gives where they begin.
func sortedNames[V any](d *Document, v map[string]V, at int32) int {
	from := len(d.names)
	if at == everything || d.at.nodes[at].whole {
		for name := range v {
			d.names = append(d.names, name)
		}
	} else {
		for c := at + 1; c < d.at.nodes[at].end; c = d.at.nodes[c].end {
			if _, ok := v[d.at.nodes[c].name]; ok {
				d.names = append(d.names, d.at.nodes[c].name)
			}
		}
	}
	slices.Sort(d.names[from:])
	return from
}
