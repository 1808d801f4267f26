package eventpattern

import (
	"net/netip"
	"unicode"
	"unicode/utf8"
)

// matcher is one entry of a field's list in a pattern.
type matcher interface {
	match(*value) bool
}

type (
	exactText    struct{ text string }
	exactAddress struct{ addr netip.Addr }
	exactKind    struct{ kind kind } // true, false, null

	// exactNum is a number; one that can't be compared equals its own text only.
	exactNum struct {
		num  float64
		comp bool
		text string
	}

	prefix     struct{ text string }
	suffix     struct{ text string }
	foldEqual  struct{ text string } // ignoring case, as the two below
	foldPrefix struct{ text string }
	foldSuffix struct{ text string }

	exists struct{}

	// between is a numeric range; its ends may be infinite.
	between struct {
		low, high         float64
		openLow, openHigh bool
	}

	inPrefix struct{ prefix netip.Prefix }

	// anythingBut matches what none of its matchers does.
	anythingBut struct{ named []matcher }
)

func (m exactText) match(v *value) bool {
	return v.kind == stringKind && string(v.text) == m.text
}

func (m exactAddress) match(v *value) bool {
	a, ok := v.address()
	return ok && a == m.addr
}

func (m exactKind) match(v *value) bool { return v.kind == m.kind }

func (m exactNum) match(v *value) bool {
	if v.kind != numberKind {
		return false
	}
	if n, ok := v.number(); ok && m.comp {
		return n == m.num
	}
	return string(v.text) == m.text
}

func (m prefix) match(v *value) bool {
	return v.kind == stringKind && len(v.text) >= len(m.text) && string(v.text[:len(m.text)]) == m.text
}

func (m suffix) match(v *value) bool {
	return v.kind == stringKind && len(v.text) >= len(m.text) && string(v.text[len(v.text)-len(m.text):]) == m.text
}

func (m foldEqual) match(v *value) bool {
	n, ok := foldedPrefix(v.text, m.text)
	return v.kind == stringKind && ok && n == len(v.text)
}

func (m foldPrefix) match(v *value) bool {
	_, ok := foldedPrefix(v.text, m.text)
	return v.kind == stringKind && ok
}

func (m foldSuffix) match(v *value) bool {
	if v.kind != stringKind {
		return false
	}
	text, want := v.text, m.text
	for want != "" {
		w, size := utf8.DecodeLastRuneInString(want)
		r, n := utf8.DecodeLastRune(text)
		if n == 0 || !sameLetter(r, n, w) {
			return false
		}
		text, want = text[:len(text)-n], want[:len(want)-size]
	}
	return true
}

// foldedPrefix says whether a text begins with another, ignoring case, and how
// many bytes of it that takes.
func foldedPrefix(text []byte, want string) (int, bool) {
	taken := 0
	for _, w := range want {
		r, n := utf8.DecodeRune(text[taken:])
		if n == 0 || !sameLetter(r, n, w) {
			return 0, false
		}
		taken += n
	}
	return taken, true
}

// sameLetter says whether a character of an event, of size bytes, is the lower or
// upper form of one of a pattern. A byte that is no UTF-8 is like no character.
func sameLetter(r rune, size int, want rune) bool {
	if r == utf8.RuneError && size == 1 {
		return false
	}
	return r == want || r == unicode.ToLower(want) || r == unicode.ToUpper(want)
}

func (exists) match(*value) bool { return true }

func (m between) match(v *value) bool {
	n, ok := v.number()
	return ok && (n > m.low || n == m.low && !m.openLow) && (n < m.high || n == m.high && !m.openHigh)
}

func (m inPrefix) match(v *value) bool {
	a, ok := v.address()
	return ok && m.prefix.Contains(a)
}

func (m anythingBut) match(v *value) bool {
	for _, named := range m.named {
		if named.match(v) {
			return false
		}
	}
	return true
}
