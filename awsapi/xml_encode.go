package awsapi

import (
	"slices"
	"strconv"
	"unicode/utf8"
)

// xmlEncoder writes values as XML by their shapes.
type xmlEncoder struct {
	b       []byte
	element string // the default name of a list's elements
	query   bool   // the output is the query protocol's
}

func newXMLEncoder() *xmlEncoder { return &xmlEncoder{element: "member"} }

func (e *xmlEncoder) start(name string) {
	e.b = append(append(append(e.b, '<'), name...), '>')
}

func (e *xmlEncoder) end(name string) {
	e.b = append(append(append(e.b, '<', '/'), localElement(name)...), '>')
}

// localElement is the name of a start tag without the attributes that are written
// along with it.
func localElement(start string) string {
	for i := range len(start) {
		if start[i] == ' ' {
			return start[:i]
		}
	}
	return start
}

// withNamespace is a name with the namespace that is declared at it.
func withNamespace(name, uri, prefix string) string {
	if uri == "" {
		return name
	}
	attribute := " xmlns"
	if prefix != "" {
		attribute += ":" + prefix
	}
	return name + attribute + `="` + string(appendXMLText(nil, uri)) + `"`
}

// namespaced is the start tag's content of a member's element.
func namespaced(m *Member, name string) string {
	if t := m.traits(); t.XMLNamespace != "" {
		return withNamespace(name, t.XMLNamespace, t.XMLPrefix)
	}
	return withNamespace(name, m.Shape.XMLNamespace, m.Shape.XMLPrefix)
}

// structure writes an element that holds a structure. name may have a
// namespace behind it.
func (e *xmlEncoder) structure(name string, s *Shape, in map[string]any) error {
	if err := checkMembers(s, in); err != nil {
		return err
	}
	element := name
	for i := range s.Members {
		m := &s.Members[i]
		v := in[m.Name]
		if !m.Is(XMLAttribute) || v == nil {
			continue
		}
		text, err := scalarText(m, v, iso8601)
		if err != nil {
			return inMember(m.Name, err)
		}
		element += " " + m.WireName() + `="` + string(appendXMLText(nil, text)) + `"`
	}
	e.start(element)
	if err := e.members(s, in); err != nil {
		return err
	}
	e.end(name)
	return nil
}

// members writes the elements of a structure.
func (e *xmlEncoder) members(s *Shape, in map[string]any) error {
	for i := range s.Members {
		m := &s.Members[i]
		v, ok := in[m.Name]
		if !ok || v == nil || m.Location != InBody || m.Is(XMLAttribute) {
			continue
		}
		if err := e.value(serialName(m, m.Name), m, v); err != nil {
			return inMember(m.Name, err)
		}
	}
	return nil
}

func (e *xmlEncoder) value(name string, m *Member, v any) error {
	switch s := m.Shape; s.Type {
	case Structure:
		in, err := asMap(s, v)
		if err != nil {
			return err
		}
		return e.structure(namespaced(m, name), s, in)
	case List:
		return e.list(name, m, v)
	case Map:
		return e.mapping(name, m, v)
	default:
		text, err := scalarText(m, v, iso8601)
		if err != nil {
			return err
		}
		e.start(namespaced(m, name))
		e.b = appendXMLText(e.b, text)
		e.end(name)
		return nil
	}
}

func (e *xmlEncoder) list(name string, m *Member, v any) error {
	s := m.Shape
	in, err := asList(s, v)
	if err != nil {
		return err
	}
	element := serialName(s.Elem, e.element)
	if isFlattened(m) {
		element = name
		if e.query {
			element = flatName(m, name)
		}
	} else {
		e.start(namespaced(m, name))
	}
	before := len(e.b)
	for i, v := range in {
		if i == 1 { // the others will be about as long as the first
			e.b = slices.Grow(e.b, (len(in)-1)*(len(e.b)-before))
		}
		if v == nil {
			e.b = append(append(append(e.b, '<'), element...), "/>"...)
			continue
		}
		if err := e.value(element, s.Elem, v); err != nil {
			return inElement(i, err)
		}
	}
	if !isFlattened(m) {
		e.end(name)
	}
	return nil
}

func (e *xmlEncoder) mapping(name string, m *Member, v any) error {
	s := m.Shape
	in, err := asMap(s, v)
	if err != nil {
		return err
	}
	entry := "entry"
	if isFlattened(m) {
		entry = name
	} else {
		e.start(namespaced(m, name))
	}
	for _, k := range sortedKeys(in) {
		e.start(entry)
		if err := e.value(serialName(s.Key, "key"), s.Key, k); err != nil {
			return inMember(k, err)
		}
		if in[k] != nil {
			if err := e.value(serialName(s.Elem, "value"), s.Elem, in[k]); err != nil {
				return inMember(k, err)
			}
		}
		e.end(entry)
	}
	if !isFlattened(m) {
		e.end(name)
	}
	return nil
}

// appendXMLText writes a text with what must be escaped. White space other than
// blanks is escaped too, since a parser would change it in an attribute and,
// if it is a carriage return, everywhere. Characters that XML does not have are
// written as references, which the decoders of AWS's SDKs take.
func appendXMLText(b []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		n, replacement := 1, ""
		switch {
		case c >= utf8.RuneSelf:
			var r rune
			if r, n = utf8.DecodeRuneInString(s[i:]); r == utf8.RuneError && n == 1 {
				replacement = "\ufffd"
			}
		case c == '<':
			replacement = "&lt;"
		case c == '>':
			replacement = "&gt;"
		case c == '&':
			replacement = "&amp;"
		case c == '"':
			replacement = "&quot;"
		case c < ' ':
			replacement = "&#x" + strconv.FormatUint(uint64(c), 16) + ";"
		}
		if replacement != "" {
			b = append(append(b, s[start:i]...), replacement...)
			start = i + n
		}
		i += n
	}
	return append(b, s[start:]...)
}
