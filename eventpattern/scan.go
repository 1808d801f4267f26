package eventpattern

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep arrays and objects may be nested, so that no text
// exhausts the stack.
const maxDepth = 1000

// scanner reads JSON (RFC 8259). Its strings need not be valid UTF-8.
type scanner struct {
	data []byte
	pos  int
}

func (s *scanner) fail(offset int, expected, format string, args ...any) error {
	return errorAt(s.data, offset, "", expected, format, args...)
}

// unexpected is the error of a text that doesn't go on as it must.
func (s *scanner) unexpected(expected string) error {
	if s.pos >= len(s.data) {
		return s.fail(len(s.data), expected, "the JSON ends too early")
	}
	r, n := utf8.DecodeRune(s.data[s.pos:])
	if r == utf8.RuneError && n < 2 {
		return s.fail(s.pos, expected, "the byte 0x%02x is no JSON here", s.data[s.pos])
	}
	return s.fail(s.pos, expected, "%q is no JSON here", r)
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// peek gives the next byte after space, 0 at the end.
func (s *scanner) peek() byte {
	s.space()
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

// end is an error unless only space is left.
func (s *scanner) end() error {
	if s.space(); s.pos < len(s.data) {
		return s.unexpected("the end of the JSON")
	}
	return nil
}

// str reads a string. raw is what is between the quotes, as written.
func (s *scanner) str() (raw []byte, escaped bool, err error) {
	start := s.pos
	if s.pos >= len(s.data) || s.data[s.pos] != '"' {
		return nil, false, s.unexpected("a text in quotes")
	}
	s.pos++
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; {
		case c == '"':
			s.pos++
			return s.data[start+1 : s.pos-1], escaped, nil
		case c == '\\':
			escaped = true
			if err := s.escape(); err != nil {
				return nil, false, err
			}
		case c < ' ':
			return nil, false, s.fail(s.pos, `\n, \t or \u and four digits`, "the control character 0x%02x stands bare in a text", c)
		default:
			s.pos++
		}
	}
	return nil, false, s.fail(start, `"`, "the text has no end")
}

func (s *scanner) escape() error {
	s.pos++
	if s.pos >= len(s.data) {
		return s.unexpected("an escape")
	}
	if bytes.IndexByte([]byte(`"\/bfnrt`), s.data[s.pos]) >= 0 {
		s.pos++
		return nil
	}
	if s.data[s.pos] != 'u' {
		return s.fail(s.pos-1, `\" \\ \/ \b \f \n \r \t or \u and four digits`, "\\%c is no escape", s.data[s.pos])
	}
	if _, ok := hex4(s.data[s.pos+1:]); !ok {
		return s.fail(s.pos-1, "four hexadecimal digits", "\\u without its digits")
	}
	s.pos += 5
	return nil
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[:4]), 16, 32)
	return rune(n), err == nil
}

// unescape appends what a string's raw text, which str has read, stands for.
func unescape(dst, raw []byte) []byte {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			dst = append(dst, raw[i])
			continue
		}
		i++
		switch raw[i] {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, _ := hex4(raw[i+1:])
			i += 4
			if utf16.IsSurrogate(r) {
				var low rune
				if rest := raw[i+1:]; len(rest) >= 6 && rest[0] == '\\' && rest[1] == 'u' {
					low, _ = hex4(rest[2:])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					i += 6
				}
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, raw[i])
		}
	}
	return dst
}

// number reads a number and gives its text.
func (s *scanner) number() ([]byte, error) {
	start := s.pos
	digits := func() bool {
		from := s.pos
		for s.pos < len(s.data) && '0' <= s.data[s.pos] && s.data[s.pos] <= '9' {
			s.pos++
		}
		return s.pos > from
	}
	next := func(set string) bool {
		if s.pos < len(s.data) && bytes.IndexByte([]byte(set), s.data[s.pos]) >= 0 {
			s.pos++
			return true
		}
		return false
	}
	next("-")
	if !next("0") && !digits() {
		return nil, s.unexpected("a digit")
	}
	if next(".") && !digits() {
		return nil, s.unexpected("a digit")
	}
	if next("eE") {
		if next("+-"); !digits() {
			return nil, s.unexpected("a digit")
		}
	}
	return s.data[start:s.pos], nil
}

// word reads true, false or null.
func (s *scanner) word() (kind, error) {
	for _, w := range [...]struct {
		text string
		kind kind
	}{{"true", trueKind}, {"false", falseKind}, {"null", nullKind}} {
		if bytes.HasPrefix(s.data[s.pos:], []byte(w.text)) {
			s.pos += len(w.text)
			return w.kind, nil
		}
	}
	return 0, s.unexpected("a JSON value")
}

// skip reads a value of any kind.
func (s *scanner) skip(depth int) error {
	var err error
	switch c := s.peek(); {
	case c == '{':
		return s.members(depth, func([]byte, bool) error { return s.skip(depth + 1) })
	case c == '[':
		return s.elements(depth, func() error { return s.skip(depth + 1) })
	case c == '"':
		_, _, err = s.str()
	case c == '-' || '0' <= c && c <= '9':
		_, err = s.number()
	default:
		_, err = s.word()
	}
	return err
}

// members reads an object. each is called at each member's value, with the key's
// raw text, and reads the value.
func (s *scanner) members(depth int, each func(key []byte, escaped bool) error) error {
	if err := s.nest(depth); err != nil {
		return err
	}
	if s.peek() == '}' {
		s.pos++
		return nil
	}
	for {
		s.space()
		key, escaped, err := s.str()
		if err != nil {
			return err
		}
		if s.peek() != ':' {
			return s.unexpected("a colon")
		}
		s.pos++
		if err := each(key, escaped); err != nil {
			return err
		}
		if more, err := s.more('}'); !more {
			return err
		}
	}
}

// elements reads an array. each is called at each element, and reads it.
func (s *scanner) elements(depth int, each func() error) error {
	if err := s.nest(depth); err != nil {
		return err
	}
	if s.peek() == ']' {
		s.pos++
		return nil
	}
	for {
		if err := each(); err != nil {
			return err
		}
		if more, err := s.more(']'); !more {
			return err
		}
	}
}

func (s *scanner) nest(depth int) error {
	if depth > maxDepth {
		return s.fail(s.pos, "", "nested deeper than %d", maxDepth)
	}
	s.pos++ // the bracket
	return nil
}

// more reads a comma (true) or the closing bracket (false).
func (s *scanner) more(closing byte) (bool, error) {
	switch s.peek() {
	case ',':
		s.pos++
		return true, nil
	case closing:
		s.pos++
		return false, nil
	}
	return false, s.unexpected("a comma or " + string(rune(closing)))
}
