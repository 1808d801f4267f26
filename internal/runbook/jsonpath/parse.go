package jsonpath

import (
	"strconv"
	"strings"

	"github.com/knowngood/knowngood/internal/runbook/pattern"
)

// Parse parses a path. The error is a *SyntaxError.
func Parse(text string) (*Path, error) {
	if len(text) > MaxLength {
		return nil, &SyntaxError{Path: text[:32] + "…", Problem: "the path is longer than " + strconv.Itoa(MaxLength) + " bytes"}
	}
	s := &scanner{text: text}
	p, err := s.document()
	if err != nil {
		return nil, err
	}
	return p, nil
}

type scanner struct {
	text  string
	pos   int
	depth int
}

func (s *scanner) fail(problem string) error {
	return &SyntaxError{Path: s.text, Offset: s.pos, Problem: problem}
}

func (s *scanner) peek() byte {
	if s.pos < len(s.text) {
		return s.text[s.pos]
	}
	return 0
}

func (s *scanner) done() bool { return s.pos >= len(s.text) }

func (s *scanner) space() {
	for !s.done() && (s.peek() == ' ' || s.peek() == '\t' || s.peek() == '\n' || s.peek() == '\r') {
		s.pos++
	}
}

func (s *scanner) take(prefix string) bool {
	if strings.HasPrefix(s.text[s.pos:], prefix) {
		s.pos += len(prefix)
		return true
	}
	return false
}

func (s *scanner) document() (*Path, error) {
	s.space()
	if s.done() {
		return nil, s.fail("the path is empty")
	}
	var p *Path
	var err error
	switch c := s.peek(); c {
	case '$':
		s.pos++
		p, err = s.path(false)
	case '@':
		return nil, s.fail("@ has a meaning only in a filter")
	case '.', '[':
		p, err = s.path(false)
	default: // without $: "Volumes[0].State"
		p = &Path{definite: true}
		var name string
		if name, err = s.name(); err == nil {
			p.segments = append(p.segments, segment{kind: segNames, names: []string{name}})
			if name == "*" {
				p.segments[0], p.definite = segment{kind: segAll}, false
			}
			err = s.rest(p)
		}
	}
	if err != nil {
		return nil, err
	}
	s.space()
	if !s.done() {
		return nil, s.fail("unexpected " + strconv.QuoteRune(rune(s.peek())))
	}
	p.text = s.text
	return p, nil
}

// path parses what follows a $ or @.
func (s *scanner) path(relative bool) (*Path, error) {
	p := &Path{relative: relative, definite: true}
	start := s.pos
	if err := s.rest(p); err != nil {
		return nil, err
	}
	p.text = s.text[start:s.pos]
	return p, nil
}

func (s *scanner) rest(p *Path) error {
	for !s.done() {
		if p.function != "" {
			if c := s.peek(); c == '.' || c == '[' {
				return s.fail("nothing may follow the function " + p.function + "()")
			}
			return nil
		}
		var seg segment
		switch {
		case s.take(".."):
			seg.descend = true
			p.definite = false
			if s.peek() == '[' {
				if err := s.bracket(&seg, p); err != nil {
					return err
				}
				break
			}
			name, err := s.name()
			if err != nil {
				return err
			}
			seg.setName(name, p)
		case s.peek() == '.':
			s.pos++
			if s.peek() == '[' { // $.[0], which Jayway takes
				if err := s.bracket(&seg, p); err != nil {
					return err
				}
				break
			}
			if c := s.peek(); c == '\'' || c == '"' { // .'a.b', which AWS's runbooks write for ['a.b']
				name, err := s.quoted()
				if err != nil {
					return err
				}
				seg.kind, seg.names = segNames, []string{name}
				break
			}
			name, err := s.name()
			if err != nil {
				return err
			}
			if s.take("()") {
				if !functions[name] {
					return s.fail("unknown function " + name + "()")
				}
				p.function = name
				continue
			}
			seg.setName(name, p)
		case s.peek() == '[':
			if err := s.bracket(&seg, p); err != nil {
				return err
			}
		default:
			return nil
		}
		p.segments = append(p.segments, seg)
	}
	return nil
}

func (g *segment) setName(name string, p *Path) {
	if name == "*" {
		g.kind = segAll
		p.definite = false
		return
	}
	g.kind, g.names = segNames, []string{name}
}

func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '_' || c == '-' || c == ':' || c == '/' || c == '#' || c >= 0x80
}

func (s *scanner) name() (string, error) {
	if s.peek() == '*' {
		s.pos++
		return "*", nil
	}
	start := s.pos
	for !s.done() && nameByte(s.peek()) {
		s.pos++
	}
	if start == s.pos {
		return "", s.fail("expected a name")
	}
	return s.text[start:s.pos], nil
}

// bracket parses [...].
func (s *scanner) bracket(seg *segment, p *Path) error {
	s.pos++ // [
	s.space()
	switch c := s.peek(); {
	case c == '*':
		s.pos++
		seg.kind = segAll
		p.definite = false
	case c == '?':
		s.pos++
		s.space()
		if s.peek() != '(' {
			return s.fail("expected ( after ?")
		}
		s.pos++
		e, err := s.or()
		if err != nil {
			return err
		}
		s.space()
		if !s.take(")") {
			return s.fail("expected ) at the end of the filter")
		}
		seg.kind, seg.filter = segFilter, e
		p.definite = false
	case c == '\'' || c == '"':
		seg.kind = segNames
		for {
			name, err := s.quoted()
			if err != nil {
				return err
			}
			seg.names = append(seg.names, name)
			s.space()
			if !s.take(",") {
				break
			}
			s.space()
		}
		if len(seg.names) > 1 {
			p.definite = false
		}
	case c == '-' || c == ':' || c >= '0' && c <= '9':
		if err := s.indices(seg, p); err != nil {
			return err
		}
	default:
		return s.fail("expected an index, a quoted name, * or ?( in the brackets")
	}
	s.space()
	if !s.take("]") {
		return s.fail("expected ]")
	}
	return nil
}

func (s *scanner) indices(seg *segment, p *Path) error {
	var first *int
	if s.peek() != ':' {
		n, err := s.integer()
		if err != nil {
			return err
		}
		first = &n
	}
	s.space()
	if s.take(":") {
		seg.kind, seg.from = segSlice, first
		p.definite = false
		s.space()
		if c := s.peek(); c == '-' || c >= '0' && c <= '9' {
			n, err := s.integer()
			if err != nil {
				return err
			}
			seg.to = &n
		}
		return nil
	}
	seg.kind, seg.indices = segIndices, []int{*first}
	for s.take(",") {
		s.space()
		n, err := s.integer()
		if err != nil {
			return err
		}
		seg.indices = append(seg.indices, n)
		s.space()
	}
	if len(seg.indices) > 1 {
		p.definite = false
	}
	return nil
}

func (s *scanner) integer() (int, error) {
	start := s.pos
	if s.peek() == '-' {
		s.pos++
	}
	for !s.done() && s.peek() >= '0' && s.peek() <= '9' {
		s.pos++
	}
	n, err := strconv.ParseInt(s.text[start:s.pos], 10, 32)
	if err != nil {
		s.pos = start
		return 0, s.fail("expected a number")
	}
	return int(n), nil
}

// quoted parses 'text' or "text" with backslash escapes.
func (s *scanner) quoted() (string, error) {
	quote := s.peek()
	if quote != '\'' && quote != '"' {
		return "", s.fail("expected a quoted text")
	}
	start := s.pos
	s.pos++
	var b strings.Builder
	for !s.done() {
		c := s.peek()
		s.pos++
		switch c {
		case quote:
			return b.String(), nil
		case '\\':
			if s.done() {
				break
			}
			b.WriteByte(s.peek())
			s.pos++
		default:
			b.WriteByte(c)
		}
	}
	s.pos = start
	return "", s.fail("the quoted text has no end")
}

// The filter's grammar, loosest first: or, and, not, comparison.

func (s *scanner) or() (expr, error) {
	if s.depth++; s.depth > maxDepth {
		return nil, s.fail("filters are nested too deeply")
	}
	defer func() { s.depth-- }()
	left, err := s.and()
	if err != nil {
		return nil, err
	}
	for s.space(); s.take("||"); s.space() {
		right, err := s.and()
		if err != nil {
			return nil, err
		}
		left = orExpr{left, right}
	}
	return left, nil
}

func (s *scanner) and() (expr, error) {
	left, err := s.not()
	if err != nil {
		return nil, err
	}
	for s.space(); s.take("&&"); s.space() {
		right, err := s.not()
		if err != nil {
			return nil, err
		}
		left = andExpr{left, right}
	}
	return left, nil
}

func (s *scanner) not() (expr, error) {
	s.space()
	if s.peek() == '!' {
		if s.depth++; s.depth > maxDepth {
			return nil, s.fail("filters are nested too deeply")
		}
		defer func() { s.depth-- }()
		s.pos++
		e, err := s.not()
		if err != nil {
			return nil, err
		}
		return notExpr{e}, nil
	}
	if s.take("(") {
		e, err := s.or()
		if err != nil {
			return nil, err
		}
		s.space()
		if !s.take(")") {
			return nil, s.fail("expected )")
		}
		return e, nil
	}
	return s.comparison()
}

// Longer operators come before those that they begin with.
var operators = []string{"==", "!=", "<=", ">=", "=~", "<", ">", "in ", "nin ", "contains ", "size ", "empty ", "subsetof ", "anyof ", "noneof "}

func (s *scanner) comparison() (expr, error) {
	left, err := s.operand()
	if err != nil {
		return nil, err
	}
	s.space()
	rest := s.text[s.pos:]
	for _, op := range operators {
		word := strings.TrimSpace(op)
		if !strings.HasPrefix(rest, word) {
			continue
		}
		if op != word && len(rest) > len(word) && nameByte(rest[len(word)]) {
			continue // "index" does not begin with the operator "in"
		}
		s.pos += len(word)
		s.space()
		right, err := s.operand()
		if err != nil {
			return nil, err
		}
		if word == "=~" && right.regex == nil {
			return nil, s.fail("expected /a pattern/ after =~")
		}
		return compareExpr{op: word, left: left, right: right}, nil
	}
	if left.path == nil {
		return nil, s.fail("expected a comparison")
	}
	return existsExpr{left.path}, nil
}

func (s *scanner) operand() (operand, error) {
	s.space()
	switch c := s.peek(); {
	case c == '@' || c == '$':
		s.pos++
		p, err := s.path(c == '@')
		return operand{path: p}, err
	case c == '\'' || c == '"':
		text, err := s.quoted()
		return operand{value: text}, err
	case c == '/':
		return s.regex()
	case c == '[':
		return s.list()
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	case s.take("true"):
		return operand{value: true}, nil
	case s.take("false"):
		return operand{value: false}, nil
	case s.take("null"):
		return operand{value: nil}, nil
	}
	return operand{}, s.fail("expected @, $, a text, a number, true, false, null, [ or /")
}

func (s *scanner) number() (operand, error) {
	start := s.pos
	for !s.done() && strings.IndexByte("+-0123456789.eE", s.peek()) >= 0 {
		s.pos++
	}
	text := s.text[start:s.pos]
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return operand{value: n}, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		s.pos = start
		return operand{}, s.fail("not a number: " + text)
	}
	return operand{value: f}, nil
}

func (s *scanner) list() (operand, error) {
	s.pos++ // [
	list := []any{}
	for s.space(); !s.take("]"); s.space() {
		if len(list) > 0 {
			if !s.take(",") {
				return operand{}, s.fail("expected , or ]")
			}
			s.space()
		}
		if s.peek() == '[' {
			return operand{}, s.fail("a list in a list is not supported")
		}
		item, err := s.operand()
		if err != nil {
			return operand{}, err
		}
		if item.path != nil || item.regex != nil {
			return operand{}, s.fail("expected a text, a number, true, false or null in the list")
		}
		list = append(list, item.value)
	}
	return operand{value: list}, nil
}

func (s *scanner) regex() (operand, error) {
	start := s.pos
	s.pos++ // /
	var b strings.Builder
	for !s.done() && s.peek() != '/' {
		if s.take(`\/`) {
			b.WriteByte('/')
			continue
		}
		if s.peek() == '\\' && s.pos+1 < len(s.text) {
			b.WriteByte('\\')
			s.pos++
		}
		b.WriteByte(s.peek())
		s.pos++
	}
	if !s.take("/") {
		s.pos = start
		return operand{}, s.fail("the pattern has no closing /")
	}
	flags := ""
	for !s.done() && s.peek() >= 'a' && s.peek() <= 'z' {
		switch c := s.peek(); c {
		case 'i', 'm', 's':
			flags += string(c)
		case 'u', 'd': // Unicode case and Unix lines are always on
		default:
			return operand{}, s.fail("unknown flag " + strconv.QuoteRune(rune(c)) + " of the pattern")
		}
		s.pos++
	}
	// Jayway asks whether the whole text matches.
	text := `\A(?:` + b.String() + `)\z`
	if flags != "" {
		text = "(?" + flags + ")" + text
	}
	re, err := pattern.Compile(text)
	if err != nil {
		return operand{}, s.fail("the pattern " + strconv.Quote(b.String()) + " does not compile")
	}
	return operand{regex: re}, nil
}
