package document

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// Parse reads a document, all of it where the projection is nil. The bytes are
// copied. The error, of type *Error, leaves the document empty.
func (d *Document) Parse(data []byte, p *Projection) error {
	if len(data) > MaxBytes {
		return d.fail(&Error{Problem: "the document is too large"})
	}
	d.reset(p)
	d.source = append(append(d.source[:0], data...), padding[:]...)
	i := d.space(0)
	if p == nil {
		i = d.value(i, everything, false, MaxDepth)
	} else {
		i = d.value(i, 0, true, MaxDepth)
	}
	if i < 0 {
		return d.fail(d.failed)
	}
	if i = d.space(i); i != len(data) {
		return d.fail(&Error{Offset: i, Problem: "more text after the document"})
	}
	return nil
}

// padding ends the source with bytes that end every token, so that the scanner
// may look ahead.
var padding [16]byte

// everything is the place of a value that is kept whole and has no slots.
const everything int32 = -1

func (d *Document) reset(p *Projection) {
	d.extra = d.extra[:0]
	d.tape = append(d.tape[:0], entry{}) // the zero Node
	d.at, d.failed, d.names = p, nil, d.names[:0]
	n := 0
	if p != nil {
		n = len(p.nodes)
	}
	if cap(d.slots) < n {
		d.slots = make([]Node, n)
	}
	d.slots = d.slots[:n]
	clear(d.slots)
}

// fail empties the document.
func (d *Document) fail(e *Error) error {
	d.reset(d.at)
	return e
}

// bad notes an error; -1 stands for it in place of an offset.
func (d *Document) bad(i int, problem string) int {
	if d.failed == nil {
		d.failed = &Error{Offset: i, Problem: problem}
	}
	return -1
}

func (d *Document) space(i int) int {
	for {
		switch d.source[i] {
		case ' ', '\n', '\t', '\r':
			i++
		default:
			return i
		}
	}
}

// value reads a value at i onto the tape. at is its place in the projection, track
// whether there is no array on the way to it. The result is where the value ends.
func (d *Document) value(i int, at int32, track bool, depth int) int {
	if track {
		d.slots[at] = Node(len(d.tape))
	}
	switch c := d.source[i]; c {
	case '"':
		return d.text(i, String)
	case '{':
		return d.object(i, at, track, depth-1)
	case '[':
		return d.array(i, at, depth-1)
	case 't', 'f', 'n':
		end := d.literal(i)
		if end < 0 {
			return end
		}
		e := entry{kind: Bool, next: uint32(len(d.tape) + 1)}
		switch c {
		case 't':
			e.off = 1
		case 'n':
			e.kind = Null
		}
		d.tape = append(d.tape, e)
		return end
	}
	end, k := d.number(i)
	if end < 0 {
		return end
	}
	d.tape = append(d.tape, entry{kind: k, next: uint32(len(d.tape) + 1), off: uint32(i), n: uint32(end - i)})
	return end
}

// text reads a string, or a key, at its quote.
func (d *Document) text(i int, k Kind) int {
	end, plain := d.scan(i + 1)
	if end < 0 {
		return end
	}
	e := entry{kind: k, next: uint32(len(d.tape) + 1), off: uint32(i + 1), n: uint32(end - i - 1)}
	if !plain {
		off := len(d.extra)
		d.extra = unescape(d.extra, d.source[i+1:end])
		e.from, e.off, e.n = inExtra, uint32(off), uint32(len(d.extra)-off)
	}
	d.tape = append(d.tape, e)
	return end + 1
}

func (d *Document) array(i int, at int32, depth int) int {
	if depth < 0 {
		return d.bad(i, "the document is too deep")
	}
	me := len(d.tape)
	d.tape = append(d.tape, entry{kind: Array})
	i = d.space(i + 1)
	n := uint32(0)
	if d.source[i] != ']' {
		for {
			if i = d.value(i, at, false, depth); i < 0 {
				return i
			}
			n++
			if d.source[i] != ',' {
				if i = d.space(i); d.source[i] != ',' {
					break
				}
			}
			i = d.space(i + 1)
		}
		if d.source[i] != ']' {
			return d.bad(i, "neither , nor ] after an element")
		}
	}
	d.tape[me].next, d.tape[me].n = uint32(len(d.tape)), n
	return i + 1
}

func (d *Document) object(i int, at int32, track bool, depth int) int {
	if depth < 0 {
		return d.bad(i, "the document is too deep")
	}
	me := len(d.tape)
	d.tape = append(d.tape, entry{kind: Object})
	whole := at == everything || d.at.nodes[at].whole
	var keys, n uint32 // of all members, and of those that live
	var seen uint64    // which hashes of keys there were
	i = d.space(i + 1)
	for first := true; d.source[i] != '}' || !first; first = false {
		if !first {
			if d.source[i] != ',' {
				if i = d.space(i); d.source[i] == '}' {
					break
				}
				if d.source[i] != ',' {
					return d.bad(i, "neither , nor } after a member")
				}
			}
			i = d.space(i + 1)
		}
		if d.source[i] != '"' {
			return d.bad(i, "no key where a member should begin")
		}
		start, before := i+1, len(d.extra)
		end, plain := d.scan(start)
		if end < 0 {
			return end
		}
		name := d.source[start:end]
		if !plain {
			d.extra = unescape(d.extra, name)
			name = d.extra[before:]
		}
		if i = end + 1; d.source[i] != ':' {
			if i = d.space(i); d.source[i] != ':' {
				return d.bad(i, "no : after a key")
			}
		}
		i = d.space(i + 1)
		child := everything
		if at != everything {
			child = d.at.child(at, unsafe.String(unsafe.SliceData(name), len(name)))
			if child == 0 {
				if !whole {
					if i = d.skip(i, depth); i < 0 {
						return i
					}
					continue
				}
				child = everything
			}
		}
		e := entry{kind: key, next: uint32(len(d.tape) + 1), off: uint32(start), n: uint32(len(name))}
		if !plain {
			e.from, e.off = inExtra, uint32(before)
		}
		bit := uint64(1) << (hash(unsafe.String(unsafe.SliceData(name), len(name))) % 64)
		if seen&bit != 0 && keys < manyKeys {
			n -= d.bury(me, name)
		}
		seen |= bit
		d.tape = append(d.tape, e)
		keys, n = keys+1, n+1
		tracked := track && child != everything
		if tracked && d.slots[child] != 0 { // the key was there before, with what it had
			clear(d.slots[child:d.at.nodes[child].end])
		}
		if i = d.value(i, child, tracked, depth); i < 0 {
			return i
		}
	}
	d.tape[me].next = uint32(len(d.tape))
	if keys > manyKeys {
		n = d.buryAll(me, keys)
	}
	d.tape[me].n = n
	return i + 1
}

// manyKeys is from how many keys on those that are there twice are found by a
// table when the object ends, rather than one by one.
const manyKeys = 32

// bury marks a living member of that name as dead, in an object that has not
// ended; it gives how many it found, 0 or 1.
func (d *Document) bury(object int, name []byte) uint32 {
	for k := object + 1; k < len(d.tape); k = int(d.tape[k+1].next) {
		if d.tape[k].kind == key && d.Text(Node(k)) == string(name) {
			d.tape[k].kind = dead
			return 1
		}
	}
	return 0
}

// buryAll marks all members of an object as dead that later ones of the same name
// replace, and gives the number of those that are left.
func (d *Document) buryAll(object int, keys uint32) uint32 {
	size := 1 << bits.Len32(2*keys)
	if len(d.table) < size {
		d.table = make([]uint32, size)
	}
	table := d.table[:size]
	clear(table)
	left := uint32(0)
	for k := object + 1; k < len(d.tape); k = int(d.tape[k+1].next) {
		if d.tape[k].kind == dead {
			continue
		}
		name := d.Text(Node(k))
		for h := fnv(name) % uint32(size); ; h = (h + 1) % uint32(size) {
			if table[h] == 0 {
				table[h] = uint32(k)
				left++
				break
			}
			if d.Text(Node(table[h])) == name {
				d.tape[table[h]].kind = dead
				table[h] = uint32(k)
				break
			}
		}
	}
	return left
}

// fnv is the FNV-1a hash, which unlike hash is of all of a name.
func fnv(name string) uint32 {
	h := uint32(2166136261)
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	return h
}

// skip validates a value without keeping it.
func (d *Document) skip(i int, depth int) int {
	switch d.source[i] {
	case '"':
		end, _ := d.scan(i + 1)
		if end < 0 {
			return end
		}
		return end + 1
	case '{':
		return d.skipObject(i, depth-1)
	case '[':
		return d.skipArray(i, depth-1)
	case 't', 'f', 'n':
		return d.literal(i)
	}
	end, _ := d.number(i)
	return end
}

func (d *Document) skipArray(i, depth int) int {
	if depth < 0 {
		return d.bad(i, "the document is too deep")
	}
	i = d.space(i + 1)
	if d.source[i] == ']' {
		return i + 1
	}
	for {
		if i = d.skip(i, depth); i < 0 {
			return i
		}
		if d.source[i] != ',' {
			if i = d.space(i); d.source[i] != ',' {
				break
			}
		}
		i = d.space(i + 1)
	}
	if d.source[i] != ']' {
		return d.bad(i, "neither , nor ] after an element")
	}
	return i + 1
}

func (d *Document) skipObject(i, depth int) int {
	if depth < 0 {
		return d.bad(i, "the document is too deep")
	}
	i = d.space(i + 1)
	if d.source[i] == '}' {
		return i + 1
	}
	for {
		if d.source[i] != '"' {
			return d.bad(i, "no key where a member should begin")
		}
		end, _ := d.scan(i + 1)
		if end < 0 {
			return end
		}
		if i = end + 1; d.source[i] != ':' {
			if i = d.space(i); d.source[i] != ':' {
				return d.bad(i, "no : after a key")
			}
		}
		if i = d.skip(d.space(i+1), depth); i < 0 {
			return i
		}
		if d.source[i] != ',' {
			if i = d.space(i); d.source[i] != ',' {
				break
			}
		}
		i = d.space(i + 1)
	}
	if d.source[i] != '}' {
		return d.bad(i, "neither , nor } after a member")
	}
	return i + 1
}

func (d *Document) literal(i int) int {
	word := "true"
	switch d.source[i] {
	case 'f':
		word = "false"
	case 'n':
		word = "null"
	}
	if string(d.source[i:i+len(word)]) != word {
		return d.bad(i, "no value")
	}
	return i + len(word)
}

// scan finds the quote that ends a string which begins at i. plain is whether the
// text stands there as it is: without escapes, and in UTF-8.
func (d *Document) scan(i int) (end int, plain bool) {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	s, start, high := d.source, i, uint64(0)
	escaped := false
	for {
		// Eight bytes at once. A byte below a bound or equal to a character borrows
		// from its high bit; what a borrow sets above the first such byte doesn't count.
		x := binary.LittleEndian.Uint64(s[i:])
		stop := ((x - ones*' ') | ((x ^ ones*'"') - ones) | ((x ^ ones*'\\') - ones)) &^ x & highs
		if stop == 0 {
			high |= x & highs
			i += 8 // the padding stops it at last
			continue
		}
		n := bits.TrailingZeros64(stop) / 8
		high |= x & highs & (1<<(8*n) - 1)
		i += n
		switch s[i] {
		case '"':
			return i, !escaped && (high == 0 || utf8.Valid(s[start:i]))
		case '\\':
			escaped = true
			if i = d.escape(i); i < 0 {
				return i, false
			}
		default:
			if i >= len(s)-len(padding) {
				return d.bad(len(s)-len(padding), "a string without an end"), false
			}
			return d.bad(i, "a control character in a string"), false
		}
	}
}

// escape checks the escape at i and gives where it ends.
func (d *Document) escape(i int) int {
	switch d.source[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		for j := i + 2; j < i+6; j++ {
			if unhex(d.source[j]) < 0 {
				return d.bad(j, "no hexadecimal digit in an escape")
			}
		}
		return i + 6
	}
	return d.bad(i, "an unknown escape")
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// unescape appends a string's text, which has been checked.
func unescape(to, s []byte) []byte {
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '\\' && s[i+1] == 'u':
			r := rune(hex4(s[i+2:]))
			i += 6
			if utf16.IsSurrogate(r) {
				second := rune(utf8.RuneError)
				if len(s) >= i+6 && s[i] == '\\' && s[i+1] == 'u' {
					second = rune(hex4(s[i+2:]))
				}
				if r = utf16.DecodeRune(r, second); r != utf8.RuneError {
					i += 6
				}
			}
			to = utf8.AppendRune(to, r)
		case c == '\\':
			switch c = s[i+1]; c {
			case 'b':
				c = '\b'
			case 'f':
				c = '\f'
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			}
			to = append(to, c)
			i += 2
		case c < utf8.RuneSelf:
			to = append(to, c)
			i++
		default:
			r, size := utf8.DecodeRune(s[i:])
			to = utf8.AppendRune(to, r)
			i += size
		}
	}
	return to
}

func hex4(s []byte) int {
	return unhex(s[0])<<12 | unhex(s[1])<<8 | unhex(s[2])<<4 | unhex(s[3])
}

// number checks the number at i and says of which kind it is.
func (d *Document) number(i int) (end int, k Kind) {
	s, start := d.source, i
	if s[i] == '-' {
		i++
	}
	digits := i
	switch {
	case s[i] == '0':
		i++
	case '1' <= s[i] && s[i] <= '9':
		i = d.digits(i)
	default:
		return d.bad(start, "no value"), None
	}
	k = Int
	if i-digits > 18 && !fits(s[digits:i], digits > start) {
		k = Double
	}
	if s[i] == '.' {
		k = Double
		j := d.digits(i + 1)
		if j == i+1 {
			return d.bad(j, "no digit after a point"), None
		}
		i = j
	}
	if s[i] == 'e' || s[i] == 'E' {
		k = Double
		if i++; s[i] == '+' || s[i] == '-' {
			i++
		}
		j := d.digits(i)
		if j == i {
			return d.bad(j, "no digit in an exponent"), None
		}
		i = j
	}
	return i, k
}

func (d *Document) digits(i int) int {
	for '0' <= d.source[i] && d.source[i] <= '9' {
		i++
	}
	return i
}

// fits says whether nineteen digits or more are an int64.
func fits(digits []byte, negative bool) bool {
	if len(digits) > 19 {
		return false
	}
	most := "9223372036854775807"
	if negative {
		most = "9223372036854775808"
	}
	return string(digits) <= most
}
