package awsapi

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxNesting bounds how deeply a document of any protocol may be nested. The
// deepest modelled structures that are not recursive stay under 30.
const maxNesting = 128

// errNested says that a document is nested more deeply than maxNesting.
var errNested = fmt.Errorf("nested more than %d deep", maxNesting)

// xmlScanner walks an XML document, which stands whole in memory, one element
// at a time. Texts that it gives are parts of the document, not copies, unless
// they hold an entity or come in several pieces. It knows no DTD: a document
// with a DOCTYPE is refused, so that no entity can expand.
//
// After open has given an element, exactly one of three things is done with it:
// text reads its text, skip passes over it, or open is called until it says
// that there are no more children. Each of them leaves the scanner behind the
// element's end tag.
type xmlScanner struct {
	s     string
	pos   int
	stack []string // the raw names of the open elements
	attrs string   // the raw attributes of the element that was opened last
	empty bool     // the element that was opened last is <name/>
}

// newXMLScanner checks what can be checked of a whole document at once.
func newXMLScanner(s string) (*xmlScanner, error) {
	s = strings.TrimPrefix(s, "\ufeff")
	if !utf8.ValidString(s) {
		return nil, errors.New("not UTF-8")
	}
	if i := strings.IndexByte(s, 0); i >= 0 {
		return nil, fmt.Errorf("a zero byte at offset %d", i)
	}
	return &xmlScanner{s: s, stack: make([]string, 0, 16)}, nil
}

func (x *xmlScanner) errorf(format string, args ...any) error {
	return fmt.Errorf("%s, at offset %d", fmt.Sprintf(format, args...), x.pos)
}

// cut is the error of a document that ends too early.
func (x *xmlScanner) cut() error {
	return fmt.Errorf("the document ends at offset %d: %w", len(x.s), io.ErrUnexpectedEOF)
}

// localName is a name without its namespace's prefix.
func localName(name string) string {
	if i := strings.IndexByte(name, ':'); i >= 0 {
		return name[i+1:]
	}
	return name
}

// open goes to the next child of the current element, or at the start to the
// root, and gives its local name. ok is false when there is no further child;
// the current element has then been left.
func (x *xmlScanner) open() (name string, ok bool, err error) {
	if x.empty {
		x.leave()
		return "", false, nil
	}
	for {
		i := strings.IndexByte(x.s[x.pos:], '<')
		if len(x.stack) == 0 {
			outside := x.s[x.pos:]
			if i >= 0 {
				outside = outside[:i]
			}
			if !isXMLSpace(outside) {
				return "", false, x.errorf("text outside of the root element")
			}
		}
		if i < 0 {
			return "", false, x.cut()
		}
		x.pos += i
		rest := x.s[x.pos:]
		if len(rest) < 2 {
			return "", false, x.cut()
		}
		switch rest[1] {
		case '/':
			return "", false, x.closeTag()
		case '!', '?':
			if err := x.markup(); err != nil {
				return "", false, err
			}
		default:
			name, err = x.openTag()
			return name, err == nil, err
		}
	}
}

// root opens the root element.
func (x *xmlScanner) root() (string, error) {
	name, ok, err := x.open()
	if err == nil && !ok {
		err = x.errorf("no root element")
	}
	return name, err
}

// end checks that nothing but white space, comments and instructions follows
// the root element.
func (x *xmlScanner) end() error {
	for x.pos < len(x.s) {
		i := strings.IndexByte(x.s[x.pos:], '<')
		if i < 0 {
			i = len(x.s) - x.pos
		}
		if !isXMLSpace(x.s[x.pos : x.pos+i]) {
			return x.errorf("text after the root element")
		}
		if x.pos += i; x.pos == len(x.s) {
			break
		}
		rest := x.s[x.pos:]
		if !strings.HasPrefix(rest, "<!--") && !strings.HasPrefix(rest, "<?") {
			return x.errorf("an element after the root element")
		}
		if err := x.markup(); err != nil {
			return err
		}
	}
	return nil
}

// openTag reads a start tag, at whose < the scanner stands.
func (x *xmlScanner) openTag() (string, error) {
	start := x.pos + 1
	i := start
	for i < len(x.s) && isNameByte(x.s[i]) {
		i++
	}
	if i == len(x.s) {
		return "", x.cut()
	}
	name := x.s[start:i]
	if name == "" || name[0] == '-' || name[0] == '.' || name[0] >= '0' && name[0] <= '9' {
		return "", x.errorf("a tag without name")
	}
	if len(x.stack) >= maxNesting {
		return "", errNested
	}
	x.attrs, x.empty = "", false
	if x.s[i] != '>' {
		end, err := x.attributes(i)
		if err != nil {
			return "", err
		}
		x.attrs = x.s[i:end]
		i = end
		if x.s[i] == '/' {
			x.empty = true
			i++
		}
	}
	x.pos = i + 1
	x.stack = append(x.stack, name)
	return localName(name), nil
}

// attributes checks the attributes that begin at offset i and gives the offset of
// the > or /> behind them.
func (x *xmlScanner) attributes(i int) (int, error) {
	s := x.s
	space := func() {
		for i < len(s) && isSpaceByte(s[i]) {
			i++
		}
	}
	for {
		before := i
		space()
		if i == len(s) || s[i] == '/' && i+1 == len(s) {
			return 0, x.cut()
		}
		if s[i] == '>' || s[i] == '/' && s[i+1] == '>' {
			return i, nil
		}
		start := i
		for i < len(s) && isNameByte(s[i]) {
			i++
		}
		if i == start || start == before {
			return 0, x.errorf("a malformed attribute")
		}
		space()
		if i == len(s) {
			return 0, x.cut()
		}
		if s[i] != '=' {
			return 0, x.errorf("an attribute without value")
		}
		i++
		space()
		if i == len(s) {
			return 0, x.cut()
		}
		quote := s[i]
		if quote != '"' && quote != '\'' {
			return 0, x.errorf("an attribute without quotes")
		}
		i++
		end := strings.IndexByte(s[i:], quote)
		if end < 0 {
			return 0, x.cut()
		}
		if strings.IndexByte(s[i:i+end], '<') >= 0 {
			return 0, x.errorf("a < in an attribute")
		}
		i += end + 1
	}
}

// attribute gives an attribute of the element that was opened last, by its
// local name.
func (x *xmlScanner) attribute(local string) (value string, ok bool, err error) {
	s := x.attrs // well-formed, as attributes has seen
	for {
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			return "", false, nil
		}
		name = strings.TrimSpace(name)
		rest = strings.TrimLeft(rest, " \t\r\n")
		end := strings.IndexByte(rest[1:], rest[0])
		value, s = rest[1:1+end], rest[end+2:]
		if localName(name) == local && !strings.HasPrefix(name, "xmlns") {
			value, err := x.unescape(value)
			return value, err == nil, err
		}
	}
}

// closeTag reads an end tag, at whose < the scanner stands, and leaves the
// element.
func (x *xmlScanner) closeTag() error {
	if len(x.stack) == 0 {
		return x.errorf("an end tag without start tag")
	}
	name := x.stack[len(x.stack)-1]
	rest := x.s[x.pos+2:]
	if !strings.HasPrefix(rest, name) {
		if strings.IndexByte(rest, '>') < 0 {
			return x.cut()
		}
		return x.errorf("the end tag is not that of <%s>", name)
	}
	i := len(name)
	for i < len(rest) && isSpaceByte(rest[i]) {
		i++
	}
	if i == len(rest) {
		return x.cut()
	}
	if rest[i] != '>' {
		return x.errorf("the end tag is not that of <%s>", name)
	}
	x.pos += 2 + i + 1
	x.leave()
	return nil
}

func (x *xmlScanner) leave() {
	x.stack = x.stack[:len(x.stack)-1]
	x.empty, x.attrs = false, ""
}

// markup passes over a comment, an instruction, or a CDATA section.
func (x *xmlScanner) markup() error {
	rest := x.s[x.pos:]
	for _, m := range [...]struct{ open, close string }{{"<!--", "-->"}, {"<![CDATA[", "]]>"}, {"<?", "?>"}} {
		if !strings.HasPrefix(rest, m.open) {
			continue
		}
		if m.open == "<![CDATA[" && len(x.stack) == 0 {
			return x.errorf("text outside of the root element")
		}
		end := strings.Index(rest[len(m.open):], m.close)
		if end < 0 {
			return x.cut()
		}
		x.pos += len(m.open) + end + len(m.close)
		return nil
	}
	if strings.HasPrefix("<!--", rest) || strings.HasPrefix("<![CDATA[", rest) {
		return x.cut()
	}
	return x.errorf("a document type or other declaration, which is refused")
}

// text gives the text of the current element and leaves it. Elements within it
// are passed over.
func (x *xmlScanner) text() (string, error) {
	if x.empty {
		x.leave()
		return "", nil
	}
	i := strings.IndexByte(x.s[x.pos:], '<')
	if i < 0 {
		return "", x.cut()
	}
	first, err := x.unescape(x.s[x.pos : x.pos+i])
	if err != nil {
		return "", err
	}
	x.pos += i
	if strings.HasPrefix(x.s[x.pos:], "</") {
		return first, x.closeTag()
	}
	return x.longText(first)
}

// longText is text for an element whose text comes in pieces.
func (x *xmlScanner) longText(first string) (string, error) {
	var b strings.Builder
	b.WriteString(first)
	for {
		i := strings.IndexByte(x.s[x.pos:], '<')
		if i < 0 {
			return "", x.cut()
		}
		piece, err := x.unescape(x.s[x.pos : x.pos+i])
		if err != nil {
			return "", err
		}
		b.WriteString(piece)
		x.pos += i
		rest := x.s[x.pos:]
		switch {
		case len(rest) < 2:
			return "", x.cut()
		case rest[1] == '/':
			return b.String(), x.closeTag()
		case rest[1] == '!' || rest[1] == '?':
			start := x.pos
			if err := x.markup(); err != nil {
				return "", err
			}
			if data, ok := strings.CutPrefix(x.s[start:x.pos], "<![CDATA["); ok {
				b.WriteString(normalizeLines(strings.TrimSuffix(data, "]]>")))
			}
		default:
			if _, err := x.openTag(); err != nil {
				return "", err
			}
			if err := x.skip(); err != nil {
				return "", err
			}
		}
	}
}

// skip passes over the current element.
func (x *xmlScanner) skip() error {
	for depth := len(x.stack); len(x.stack) >= depth; {
		if _, _, err := x.open(); err != nil {
			return err
		}
	}
	return nil
}

// unescape resolves the entities of a text and, as XML has it, makes every
// line end a newline.
func (x *xmlScanner) unescape(s string) (string, error) {
	amp := strings.IndexByte(s, '&')
	if amp < 0 {
		return normalizeLines(s), nil
	}
	var b strings.Builder
	b.Grow(len(s))
	for amp >= 0 {
		b.WriteString(normalizeLines(s[:amp]))
		name, rest, ok := strings.Cut(s[amp+1:], ";")
		if !ok {
			return "", x.errorf("an & that begins no entity")
		}
		r, err := entity(name)
		if err != nil {
			return "", x.errorf("%v", err)
		}
		b.WriteRune(r)
		s = rest
		amp = strings.IndexByte(s, '&')
	}
	b.WriteString(normalizeLines(s))
	return b.String(), nil
}

func entity(name string) (rune, error) {
	switch name {
	case "lt":
		return '<', nil
	case "gt":
		return '>', nil
	case "amp":
		return '&', nil
	case "quot":
		return '"', nil
	case "apos":
		return '\'', nil
	}
	if digits, ok := strings.CutPrefix(name, "#"); ok {
		base := 10
		if hex, ok := strings.CutPrefix(digits, "x"); ok {
			digits, base = hex, 16
		}
		n, err := strconv.ParseUint(digits, base, 32)
		if err == nil && n != 0 && n <= utf8.MaxRune && utf8.ValidRune(rune(n)) {
			return rune(n), nil
		}
	}
	return 0, fmt.Errorf("the unknown entity &%s;", clip(name))
}

func normalizeLines(s string) string {
	if strings.IndexByte(s, '\r') < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}

func isSpaceByte(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func isXMLSpace(s string) bool {
	for i := range len(s) {
		if !isSpaceByte(s[i]) {
			return false
		}
	}
	return true
}

// nameBytes are the bytes that a name may have; all beyond ASCII are let pass.
var nameBytes = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 0x80 || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == ':' || c == '-' || c == '.'
	}
	return t
}()

func isNameByte(c byte) bool { return nameBytes[c] }
