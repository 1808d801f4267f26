package eventpattern

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const nameChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

// replacement is what a variable is replaced by: json as a value, and, if isText,
// text within a text.
type replacement struct {
	json   string
	text   string
	isText bool
}

// template is a parsed InputTemplate.
type template struct {
	pieces []piece
	texts  bool // it is of texts in quotes, not a JSON object or list
}

// piece is text as it is, then a variable.
type piece struct {
	text     string
	variable string // "" in the last piece
	quoted   bool   // the variable stands within a text
}

// mark stands for the characters of a variable in a text while a template is
// checked. No valid UTF-8 has it.
const mark = "\xff"

// parseTemplate reads a template. known says which variables there are.
func parseTemplate(text string, known func(string) bool) (*template, error) {
	fail := func(offset int, expected, format string, args ...any) (*template, error) {
		return nil, errorAt([]byte(text), offset, "", expected, format, args...)
	}
	if !utf8.ValidString(text) {
		return fail(0, "", "the template is no valid UTF-8")
	}
	t := &template{}
	trial := []byte(text) // with a value, or marks, for each variable
	quoted := false
	from := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == '<':
			name, _, found := strings.Cut(text[i+1:], ">")
			if !found || name == "" || strings.Trim(name, nameChars+".") != "" {
				break
			}
			if !known(name) {
				return fail(i, "a key of InputPathsMap, or one of "+strings.Join(reserved, ", "), "there is no variable <%s>", name)
			}
			t.pieces = append(t.pieces, piece{text: text[from:i], variable: name, quoted: quoted})
			from = i + len(name) + 2
			if quoted {
				copy(trial[i:], strings.Repeat(mark, from-i))
			} else {
				copy(trial[i:], " 0"+strings.Repeat(" ", from-i-2))
			}
			i = from - 1
		}
	}
	t.pieces = append(t.pieces, piece{text: text[from:]})
	s := &scanner{data: trial}
	for first := true; first || s.peek() != 0; first = false {
		n, err := s.node(1)
		if err == nil && n.kind != stringKind {
			err = s.end()
		}
		switch {
		case err != nil:
			return nil, err
		case !first && n.kind != stringKind:
			return fail(n.start, "texts only, or one value", "%s behind a text", n.kind)
		case n.markedKey():
			return fail(n.start, "variables as values", "a variable is in a key")
		}
		t.texts = n.kind == stringKind
	}
	return t, nil
}

// markedKey says whether a variable is in the key of an object.
func (n *node) markedKey() bool {
	return slices.ContainsFunc(n.members, func(m member) bool { return strings.Contains(m.name, mark) || m.value.markedKey() }) ||
		slices.ContainsFunc(n.elements, (*node).markedKey)
}

// fill replaces the variables.
//
// As a value, a variable is JSON, "" if the event has nothing at its path. Within a
// text, it is a text's own characters, not escaped, and nothing if there is
// nothing. Other values there are JSON; in a template of texts, without its
// quotes. That is what the EventBridge User Guide says of variables.
func (t *template) fill(value func(string) (replacement, bool)) ([]byte, error) {
	var out []byte
	for _, p := range t.pieces {
		out = append(out, p.text...)
		if p.variable != "" {
			v, found := value(p.variable)
			switch {
			case !p.quoted && !found:
				out = append(out, `""`...)
			case !p.quoted:
				out = append(out, v.json...)
			case v.isText:
				out = append(out, v.text...)
			case t.texts:
				out = append(out, strings.ReplaceAll(v.json, `"`, "")...)
			default:
				out = append(out, v.json...)
			}
		}
		if len(out) > maxOutput {
			return nil, &Error{Field: "InputTemplate", Problem: "the input becomes longer than " + strconv.Itoa(maxOutput) + " bytes"}
		}
	}
	if !t.texts {
		if _, err := parse(out); err != nil {
			return nil, inField(err, "InputTemplate, with its variables replaced")
		}
	}
	return out, nil
}
