package report

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// oneLine makes a text harmless in a terminal and in a line of a file: line breaks and
// tabs are spaces, other control characters and those that turn the direction of writing are
// shown as their code. Names and annotations come from whoever made the resource.
func oneLine(s string) string {
	if !strings.ContainsFunc(s, unsafeRune) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || r == '\r' || r == '\t' || r == '\u2028' || r == '\u2029':
			b.WriteByte(' ')
		case unsafeRune(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r) // of what is no UTF-8, the replacement character
		}
	}
	return b.String()
}

// unsafeRune says whether a character moves the cursor or the direction of writing.
func unsafeRune(r rune) bool {
	return unicode.IsControl(r) || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' || r == '\u200e' || r == '\u200f' || r == '\u061c' || r == '\u2028' || r == '\u2029'
}

// cut shortens a text to at most n characters, the last then being an ellipsis.
func cut(s string, n int) string {
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// width is how many columns a text takes, as far as one character is one column.
func width(s string) int { return utf8.RuneCountInString(s) }

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
