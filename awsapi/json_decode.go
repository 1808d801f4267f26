package awsapi

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonDecoder reads values from JSON, RFC 8259, by their shapes. The document
// stands whole in memory; texts without escapes are parts of it. Integers keep
// all 64 bits.
type jsonDecoder struct {
	s     string
	pos   int
	depth int
}

func newJSONDecoder(s string) (*jsonDecoder, error) {
	if !utf8.ValidString(s) {
		return nil, errors.New("not UTF-8")
	}
	return &jsonDecoder{s: s}, nil
}

// parseJSON reads a document whose shape is not known.
func parseJSON(s string) (any, error) {
	d, err := newJSONDecoder(s)
	if err != nil {
		return nil, err
	}
	v, err := d.any()
	if err != nil {
		return nil, err
	}
	return v, d.end()
}

func (d *jsonDecoder) errorf(format string, args ...any) error {
	return fmt.Errorf("%s, at offset %d", fmt.Sprintf(format, args...), d.pos)
}

func (d *jsonDecoder) cut() error {
	return fmt.Errorf("the document ends at offset %d: %w", len(d.s), io.ErrUnexpectedEOF)
}

// peek passes over white space and gives the next byte, 0 at the end.
func (d *jsonDecoder) peek() byte {
	for d.pos < len(d.s) {
		c := d.s[d.pos]
		if c > ' ' || !isSpaceByte(c) {
			return c
		}
		d.pos++
	}
	return 0
}

// end checks that nothing follows.
func (d *jsonDecoder) end() error {
	if d.peek(); d.pos < len(d.s) {
		return d.errorf("text after the document")
	}
	return nil
}

func (d *jsonDecoder) unexpected() error {
	if d.pos >= len(d.s) {
		return d.cut()
	}
	r, _ := utf8.DecodeRuneInString(d.s[d.pos:])
	return d.errorf("unexpected %q", r)
}

// literal reads null, true or false.
func (d *jsonDecoder) literal(word string) error {
	rest := d.s[d.pos:]
	if strings.HasPrefix(rest, word) {
		d.pos += len(word)
		return nil
	}
	if strings.HasPrefix(word, rest) {
		return d.cut()
	}
	return d.unexpected()
}

// null reads null, if that is what comes.
func (d *jsonDecoder) null() (bool, error) {
	if d.peek() != 'n' {
		return false, nil
	}
	err := d.literal("null")
	return err == nil, err
}

// enter begins an object or array.
func (d *jsonDecoder) enter(open byte) error {
	if d.peek() != open {
		return d.unexpected()
	}
	if d.depth++; d.depth > maxNesting {
		return errNested
	}
	d.pos++
	return nil
}

// more says whether another element comes, and reads the comma before it, or
// the end. first is whether none has been read yet.
func (d *jsonDecoder) more(close byte, first bool) (bool, error) {
	c := d.peek()
	if c == close {
		d.pos++
		d.depth--
		return false, nil
	}
	if first {
		return true, nil
	}
	if c != ',' {
		return false, d.unexpected()
	}
	d.pos++
	if d.peek() == close {
		return false, d.unexpected()
	}
	return true, nil
}

// key reads a name and the colon behind it.
func (d *jsonDecoder) key() (string, error) {
	if d.peek() != '"' {
		return "", d.unexpected()
	}
	k, err := d.text()
	if err != nil {
		return "", err
	}
	if d.peek() != ':' {
		return "", d.unexpected()
	}
	d.pos++
	return k, nil
}

// text reads a string, at whose quote the decoder stands.
func (d *jsonDecoder) text() (string, error) {
	start := d.pos + 1
	for i := start; i < len(d.s); i++ {
		switch c := d.s[i]; {
		case c == '"':
			d.pos = i + 1
			return d.s[start:i], nil
		case c == '\\':
			return d.escaped(start, i)
		case c < ' ':
			d.pos = i
			return "", d.errorf("a control character in a string")
		}
	}
	return "", d.cut()
}

// escaped reads the rest of a string that begins at start and has its first
// backslash at i.
func (d *jsonDecoder) escaped(start, i int) (string, error) {
	b := make([]byte, 0, i-start+32)
	b = append(b, d.s[start:i]...)
	for i < len(d.s) {
		c := d.s[i]
		switch {
		case c == '"':
			d.pos = i + 1
			return string(b), nil
		case c < ' ':
			d.pos = i
			return "", d.errorf("a control character in a string")
		case c != '\\':
			b = append(b, c)
			i++
			continue
		}
		if i+1 >= len(d.s) {
			return "", d.cut()
		}
		switch c := d.s[i+1]; c {
		case '"', '\\', '/':
			b = append(b, c)
		case 'b':
			b = append(b, '\b')
		case 'f':
			b = append(b, '\f')
		case 'n':
			b = append(b, '\n')
		case 'r':
			b = append(b, '\r')
		case 't':
			b = append(b, '\t')
		case 'u':
			r, n, err := d.unicode(i)
			if err != nil {
				return "", err
			}
			b = utf8.AppendRune(b, r)
			i += n
			continue
		default:
			d.pos = i
			return "", d.errorf("the unknown escape \\%c", c)
		}
		i += 2
	}
	return "", d.cut()
}

// unicode reads the \uXXXX at offset i, or two of them that are a surrogate
// pair, and gives how many bytes it is. Half a pair becomes U+FFFD.
func (d *jsonDecoder) unicode(i int) (rune, int, error) {
	hex := func(i int) (rune, error) {
		if i+6 > len(d.s) {
			return 0, d.cut()
		}
		n, err := strconv.ParseUint(d.s[i+2:i+6], 16, 32)
		if err != nil {
			d.pos = i
			return 0, d.errorf("a malformed \\u escape")
		}
		return rune(n), nil
	}
	r, err := hex(i)
	if err != nil {
		return 0, 0, err
	}
	if utf16.IsSurrogate(r) && strings.HasPrefix(d.s[i+6:], "\\u") {
		second, err := hex(i + 6)
		if err != nil {
			return 0, 0, err
		}
		if pair := utf16.DecodeRune(r, second); pair != utf8.RuneError {
			return pair, 12, nil
		}
	}
	if utf16.IsSurrogate(r) {
		r = utf8.RuneError
	}
	return r, 6, nil
}

// number reads a number's text.
func (d *jsonDecoder) number() (text string, integer bool, err error) {
	start, i := d.pos, d.pos
	digits := func() bool {
		from := i
		for i < len(d.s) && d.s[i] >= '0' && d.s[i] <= '9' {
			i++
		}
		return i > from
	}
	bad := func() (string, bool, error) {
		d.pos = i
		return "", false, d.unexpected()
	}
	if i < len(d.s) && d.s[i] == '-' {
		i++
	}
	zero := i < len(d.s) && d.s[i] == '0'
	from := i
	if !digits() || zero && i-from > 1 {
		return bad()
	}
	integer = true
	if i < len(d.s) && d.s[i] == '.' {
		i++
		integer = false
		if !digits() {
			return bad()
		}
	}
	if i < len(d.s) && (d.s[i] == 'e' || d.s[i] == 'E') {
		i++
		integer = false
		if i < len(d.s) && (d.s[i] == '+' || d.s[i] == '-') {
			i++
		}
		if !digits() {
			return bad()
		}
	}
	d.pos = i
	return d.s[start:i], integer, nil
}

// any reads a value whose shape is not known. Integers of 64 bits are int64,
// other numbers float64.
func (d *jsonDecoder) any() (any, error) {
	switch c := d.peek(); c {
	case '{':
		if err := d.enter('{'); err != nil {
			return nil, err
		}
		out := map[string]any{}
		for first := true; ; first = false {
			if ok, err := d.more('}', first); err != nil || !ok {
				return out, err
			}
			k, err := d.key()
			if err != nil {
				return nil, err
			}
			if out[k], err = d.any(); err != nil {
				return nil, err
			}
		}
	case '[':
		if err := d.enter('['); err != nil {
			return nil, err
		}
		out := []any{}
		for first := true; ; first = false {
			if ok, err := d.more(']', first); err != nil || !ok {
				return out, err
			}
			v, err := d.any()
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
	case '"':
		return asAny(d.text())
	case 't':
		return true, d.literal("true")
	case 'f':
		return false, d.literal("false")
	case 'n':
		return nil, d.literal("null")
	default:
		text, integer, err := d.number()
		if err != nil {
			return nil, err
		}
		if integer {
			if n, err := strconv.ParseInt(text, 10, 64); err == nil {
				return n, nil
			}
		}
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, d.errorf("%s is out of range", clip(text))
		}
		return f, nil
	}
}

// asAny gives the value, or nil with an error.
func asAny[T any](v T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

// skip passes over a value.
func (d *jsonDecoder) skip() error {
	switch d.peek() {
	case '{':
		if err := d.enter('{'); err != nil {
			return err
		}
		for first := true; ; first = false {
			if ok, err := d.more('}', first); err != nil || !ok {
				return err
			}
			if _, err := d.key(); err != nil {
				return err
			}
			if err := d.skip(); err != nil {
				return err
			}
		}
	case '[':
		if err := d.enter('['); err != nil {
			return err
		}
		for first := true; ; first = false {
			if ok, err := d.more(']', first); err != nil || !ok {
				return err
			}
			if err := d.skip(); err != nil {
				return err
			}
		}
	default:
		_, err := d.any()
		return err
	}
}

// structure reads an object as a structure, into a map that may hold members
// already. Members that are null are as good as absent.
func (d *jsonDecoder) structure(s *Shape, into map[string]any, hint int) (map[string]any, error) {
	if err := d.enter('{'); err != nil {
		return nil, err
	}
	out := into
	if out == nil {
		out = make(map[string]any, hint)
	}
	at := 0
	for first := true; ; first = false {
		if ok, err := d.more('}', first); err != nil || !ok {
			return out, err
		}
		name, err := d.key()
		if err != nil {
			return nil, err
		}
		m, next := jsonMember(s, name, at)
		if m == nil {
			if err := d.skip(); err != nil {
				return nil, err
			}
			continue
		}
		at = next
		v, err := d.value(m, 0)
		if err != nil {
			return nil, inMember(m.Name, err)
		}
		if v != nil {
			out[m.Name] = v
		}
	}
}

// jsonMember finds a member by its name on the wire, beginning behind the one
// that was found last.
func jsonMember(s *Shape, name string, at int) (m *Member, next int) {
	n := len(s.Members)
	for i, j := 0, at; i < n; i, j = i+1, j+1 {
		if j >= n {
			j = 0
		}
		if m := &s.Members[j]; m.WireName() == name && isInBody(m) {
			return m, j + 1
		}
	}
	return nil, at
}

// value reads a value by its shape; null is nil.
func (d *jsonDecoder) value(m *Member, hint int) (any, error) {
	s := m.Shape
	if null, err := d.null(); null || err != nil {
		return nil, err
	}
	switch s.Type {
	case Structure:
		if s.Is(Document) {
			return d.any()
		}
		return asAny(d.structure(s, nil, hint))
	case List:
		return asAny(d.list(s))
	case Map:
		return asAny(d.mapping(s))
	}
	return d.scalar(m)
}

func (d *jsonDecoder) list(s *Shape) ([]any, error) {
	if err := d.enter('['); err != nil {
		return nil, err
	}
	out := []any{}
	hint := 0
	for first := true; ; first = false {
		if ok, err := d.more(']', first); err != nil || !ok {
			return out, err
		}
		v, err := d.value(s.Elem, hint)
		if err != nil {
			return nil, inElement(len(out), err)
		}
		if fields, ok := v.(map[string]any); ok {
			hint = len(fields)
		}
		out = append(out, v)
	}
}

func (d *jsonDecoder) mapping(s *Shape) (map[string]any, error) {
	if err := d.enter('{'); err != nil {
		return nil, err
	}
	out := map[string]any{}
	for first := true; ; first = false {
		if ok, err := d.more('}', first); err != nil || !ok {
			return out, err
		}
		k, err := d.key()
		if err != nil {
			return nil, err
		}
		v, err := d.value(s.Elem, 0)
		if err != nil {
			return nil, inMember(k, err)
		}
		out[k] = v
	}
}

// scalar reads a scalar. Services are not strict about quotes, so a text is
// read where a number or boolean is expected, and the other way round.
func (d *jsonDecoder) scalar(m *Member) (any, error) {
	s := m.Shape
	c := d.peek()
	switch {
	case c == '"':
		text, err := d.text()
		if err != nil || s.Type == String {
			return text, err
		}
		return parseScalar(s, text)
	case c == '-' || c >= '0' && c <= '9':
		text, integer, err := d.number()
		if err != nil {
			return nil, err
		}
		switch s.Type {
		case Integer, Long:
			if integer {
				return parseScalar(s, text)
			}
			f, err := strconv.ParseFloat(text, 64)
			if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<63-1024 {
				return nil, d.errorf("%s is not an integer of 64 bits", clip(text))
			}
			return int64(f), nil
		case String, Float, Double, Timestamp:
			return parseScalar(s, text)
		}
	case c == 't' || c == 'f':
		v, err := d.any()
		if err != nil || s.Type == Boolean {
			return v, err
		}
		if s.Type == String {
			return strconv.FormatBool(v == true), nil
		}
	default:
		if c != '{' && c != '[' {
			return nil, d.unexpected()
		}
	}
	return nil, d.errorf("%s, where the model has a %s", jsonKind(c), s.Type)
}

func jsonKind(c byte) string {
	switch c {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "a boolean"
	}
	return "a number"
}
