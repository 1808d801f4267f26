package iampolicy

import (
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds of a document. AWS's largest policies have 32 KiB; white space, which
// AWS doesn't count, may make a document longer than that.
const (
	MaxDocument = 256 << 10 // bytes
	maxDepth    = 16        // objects and lists in one another; a policy has 6
	maxMembers  = 1000      // of one object; the context keys of an operator are the most
	maxProblems = 20        // reported of one document
)

// node is a JSON value with its place.
type node struct {
	kind    jsonKind
	at      int
	text    string // of a string; a number or a literal as it is written
	members []member
	items   []node
}

type member struct {
	key   string
	at    int
	value node
}

type jsonKind uint8

const (
	kindNull jsonKind = iota
	kindBool
	kindNumber
	kindString
	kindList
	kindObject
)

var jsonKinds = [...]string{"null", "true or false", "a number", "a string", "a list", "an object"}

func (k jsonKind) String() string { return jsonKinds[k] }

// scanner reads JSON text into nodes. encoding/json has no positions and keeps
// the last of two members of one name, where a policy with both is wrong.
type scanner struct {
	text  string
	pos   int
	depth int
}

// syntax is an error of the JSON itself, at a byte of the text.
type syntax struct {
	at            int
	problem, want string
}

func (e *syntax) Error() string { return e.problem }

func (s *scanner) fail(want string) error {
	problem := "the document ends"
	if s.pos < len(s.text) {
		r, _ := utf8.DecodeRuneInString(s.text[s.pos:])
		problem = fmt.Sprintf("unexpected %q", r)
	}
	return &syntax{at: s.pos, problem: problem, want: want}
}

func (s *scanner) space() {
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return
		}
	}
}

// take reads c, if it is next.
func (s *scanner) take(c byte) bool {
	s.space()
	if s.pos < len(s.text) && s.text[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

// document reads the one value that the text is.
func (s *scanner) document() (node, error) {
	n, err := s.value()
	if err != nil {
		return n, err
	}
	if s.space(); s.pos < len(s.text) {
		return n, s.fail("the end of the document")
	}
	return n, nil
}

func (s *scanner) value() (node, error) {
	s.space()
	n := node{at: s.pos}
	if s.pos == len(s.text) {
		return n, s.fail("a value")
	}
	var err error
	switch c := s.text[s.pos]; {
	case c == '"':
		n.kind = kindString
		n.text, err = s.string()
	case c == '{' || c == '[':
		if s.depth++; s.depth > maxDepth {
			return n, &syntax{at: s.pos, problem: "objects and lists are too deep", want: fmt.Sprintf("%d levels at most", maxDepth)}
		}
		s.pos++
		if c == '{' {
			n.kind = kindObject
			n.members, err = s.object()
		} else {
			n.kind = kindList
			n.items, err = s.list()
		}
		s.depth--
	case c == '-' || c >= '0' && c <= '9':
		n.kind = kindNumber
		n.text, err = s.number()
	default:
		n.kind, n.text, err = s.literal()
	}
	return n, err
}

func (s *scanner) literal() (jsonKind, string, error) {
	for _, word := range []string{"true", "false", "null"} {
		if strings.HasPrefix(s.text[s.pos:], word) {
			s.pos += len(word)
			if word == "null" {
				return kindNull, word, nil
			}
			return kindBool, word, nil
		}
	}
	return kindNull, "", s.fail("a value")
}

func (s *scanner) object() ([]member, error) {
	var members []member
	if s.take('}') {
		return members, nil
	}
	for {
		s.space()
		m := member{at: s.pos}
		if s.pos == len(s.text) || s.text[s.pos] != '"' {
			return members, s.fail("a member's name in quotes")
		}
		var err error
		if m.key, err = s.string(); err != nil {
			return members, err
		}
		if !s.take(':') {
			return members, s.fail(`":"`)
		}
		if m.value, err = s.value(); err != nil {
			return members, err
		}
		members = append(members, m)
		if s.take('}') {
			return members, nil
		}
		if !s.take(',') {
			return members, s.fail(`"," or "}"`)
		}
	}
}

func (s *scanner) list() ([]node, error) {
	var items []node
	if s.take(']') {
		return items, nil
	}
	for {
		n, err := s.value()
		if err != nil {
			return items, err
		}
		items = append(items, n)
		if s.take(']') {
			return items, nil
		}
		if !s.take(',') {
			return items, s.fail(`"," or "]"`)
		}
	}
}

func (s *scanner) digits() bool {
	from := s.pos
	for s.pos < len(s.text) && s.text[s.pos] >= '0' && s.text[s.pos] <= '9' {
		s.pos++
	}
	return s.pos > from
}

func (s *scanner) one(set string) bool {
	if s.pos < len(s.text) && strings.IndexByte(set, s.text[s.pos]) >= 0 {
		s.pos++
		return true
	}
	return false
}

func (s *scanner) number() (string, error) {
	from := s.pos
	s.one("-")
	if !s.one("0") && !s.digits() {
		return "", s.fail("a digit")
	}
	if s.one(".") && !s.digits() {
		return "", s.fail("a digit")
	}
	if s.one("eE") {
		s.one("+-")
		if !s.digits() {
			return "", s.fail("a digit")
		}
	}
	return s.text[from:s.pos], nil
}

// string reads a string from its opening quote on. One without escapes is a part
// of the text, not a copy.
func (s *scanner) string() (string, error) {
	s.pos++
	from := s.pos
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == '"':
			s.pos++
			return s.text[from : s.pos-1], nil
		case c == '\\':
			return s.escaped(from)
		case c < ' ':
			return "", s.fail("control characters written as escapes")
		default:
			s.pos++
		}
	}
	return "", s.fail("a closing quote")
}

var escapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escaped goes on with a string at its first escape.
func (s *scanner) escaped(from int) (string, error) {
	var b strings.Builder
	b.WriteString(s.text[from:s.pos])
	for s.pos < len(s.text) {
		c := s.text[s.pos]
		switch {
		case c == '"':
			s.pos++
			return b.String(), nil
		case c < ' ':
			return "", s.fail("control characters written as escapes")
		case c != '\\':
			b.WriteByte(c)
			s.pos++
			continue
		}
		s.pos++
		switch {
		case s.pos == len(s.text):
		case s.text[s.pos] == 'u':
			r, err := s.rune()
			if err != nil {
				return "", err
			}
			b.WriteRune(r)
		case escapes[s.text[s.pos]] != 0:
			b.WriteByte(escapes[s.text[s.pos]])
			s.pos++
		default:
			return "", s.fail(`one of "\/bfnrtu`)
		}
	}
	return "", s.fail("a closing quote")
}

// rune reads what follows a backslash: one \u escape, or the two of a surrogate
// pair. Half a pair is U+FFFD, as encoding/json has it.
func (s *scanner) rune() (rune, error) {
	r, err := s.hex()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if back := s.pos; strings.HasPrefix(s.text[s.pos:], `\u`) {
		s.pos++
		second, err := s.hex()
		if err != nil {
			return 0, err
		}
		if pair := utf16.DecodeRune(r, second); pair != utf8.RuneError {
			return pair, nil
		}
		s.pos = back
	}
	return utf8.RuneError, nil
}

func (s *scanner) hex() (rune, error) {
	s.pos++ // the u
	var r rune
	for range 4 {
		if s.pos == len(s.text) {
			return 0, s.fail("a hexadecimal digit")
		}
		c := s.text[s.pos]
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, s.fail("a hexadecimal digit")
		}
		s.pos++
	}
	return r, nil
}
