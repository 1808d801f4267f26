package iampolicy

import (
	"strings"
	"unicode/utf8"
)

// wildcards are the two bytes that a pattern's wildcards are: many for any
// number of characters, one for exactly one.
type wildcards struct{ many, one byte }

var (
	asWritten = wildcards{'*', '?'}
	// In a pattern whose variables were replaced the wildcards are bytes that
	// no UTF-8 text has, so that what a variable stands for is never one.
	asExpanded = wildcards{0xff, 0xfe}
)

// matches says whether a pattern matches the whole of a text. It takes no
// memory, and time of the two lengths' product at most.
func (w wildcards) matches(pattern, text string, fold bool) bool {
	p, t := 0, 0
	star, from := -1, 0 // the last many, and where the text after it was tried
	for t < len(text) {
		if p < len(pattern) {
			switch c := pattern[p]; {
			case c == w.many:
				star, from = p, t
				p++
				continue
			case c == w.one:
				p++
				t += runeLen(text[t:])
				continue
			case c == text[t] || fold && lower(c) == lower(text[t]):
				p++
				t++
				continue
			}
		}
		if star < 0 {
			return false
		}
		from += runeLen(text[from:])
		p, t = star+1, from
	}
	for p < len(pattern) && pattern[p] == w.many {
		p++
	}
	return p == len(pattern)
}

// runeLen is the length of the first character, one byte if it is not UTF-8.
func runeLen(s string) int {
	if s[0] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRuneInString(s)
	return n
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// MatchAction says whether an action, such as s3:GetObject, is of those that a
// pattern of a policy names. Case doesn't count.
// Source: IAM User Guide, "IAM JSON policy elements: Action".
func MatchAction(pattern, action string) bool {
	return asWritten.matches(pattern, action, true)
}

// MatchResource says whether a resource is of those that a pattern of a policy
// names, variables in it being plain text. The parts of an ARN are matched one by
// one: a wildcard doesn't reach over a colon, save in the last part, and a pattern
// of fewer than six parts has "*" for each that it lacks. Case counts.
// Source: IAM User Guide, "IAM JSON policy elements: Resource".
func MatchResource(pattern, resource string) bool {
	return matchARN(pattern, split(resource), func(part, text string) bool { return asWritten.matches(part, text, false) })
}

// arn is a text, and its six parts if it is an ARN.
type arn struct {
	text  string
	parts [6]string
	ok    bool
}

func split(text string) arn {
	head, rest, ok := splitARN(text)
	a := arn{text: text, ok: ok}
	copy(a.parts[:], head[:])
	a.parts[5] = rest
	return a
}

// splitARN gives the five parts before the resource's, and that one.
func splitARN(text string) (head [5]string, rest string, ok bool) {
	if !strings.HasPrefix(text, "arn:") {
		return head, text, false
	}
	for i := range head {
		if head[i], text, ok = cutPart(text); !ok {
			return head, "", false
		}
	}
	return head, text, true
}

// cutPart cuts a pattern at its first colon that is not in a variable.
func cutPart(s string) (part, rest string, ok bool) {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == ':':
			return s[:i], s[i+1:], true
		case s[i] == '$' && strings.HasPrefix(s[i:], "${"):
			if end := strings.IndexByte(s[i:], '}'); end > 0 {
				i += end
			}
		}
	}
	return s, "", false
}

// matchARN matches part by part where the pattern and the text both are ARNs,
// and as a whole where one isn't.
func matchARN(pattern string, text arn, match func(part, text string) bool) bool {
	if pattern == "*" {
		return true
	}
	if !text.ok || !strings.HasPrefix(pattern, "arn:") {
		return match(pattern, text.text)
	}
	for i := range 5 {
		part, rest, more := cutPart(pattern)
		if !match(part, text.parts[i]) {
			return false
		}
		if !more {
			return true // the parts that the pattern lacks match all
		}
		pattern = rest
	}
	return match(pattern, text.parts[5])
}

// covers says whether all that pattern q matches is matched by p too. It may say
// no where the answer is yes, never the other way.
func covers(p, q string, fold bool) bool {
	if p == q || p == "*" {
		return true
	}
	if strings.Contains(p, "${") {
		return false
	}
	q = widened(q)
	i, j := 0, 0
	star, from := -1, 0
	for j < len(q) {
		if i < len(p) {
			switch c, d := p[i], q[j]; {
			case c == '*':
				star, from = i, j
				i++
				continue
			case d == '*':
			case c == '?' && d < utf8.RuneSelf, c == d && c != '?', fold && lower(c) == lower(d) && c != '?':
				i++
				j++
				continue
			}
		}
		if star < 0 {
			return false
		}
		from++
		i, j = star+1, from
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

// widened is a pattern that has "*" for each variable.
func widened(q string) string {
	for {
		start := strings.Index(q, "${")
		if start < 0 {
			return q
		}
		end := strings.IndexByte(q[start:], '}')
		if end < 0 {
			return q[:start] + "*"
		}
		q = q[:start] + "*" + q[start+end+1:]
	}
}

func coversAction(p, q string) bool { return covers(p, q, true) }

// coversResource is covers for patterns that are matched part by part.
func coversResource(p, q string) bool {
	if p == q || p == "*" {
		return true
	}
	a := split(q)
	if !a.ok || !strings.HasPrefix(p, "arn:") {
		return false
	}
	return matchARN(p, a, func(part, text string) bool { return covers(part, text, false) })
}

// overlaps says whether some action is matched by both patterns.
func overlaps(a, b string) bool {
	// row[j] says whether a[i:] and b[j:] match a text in common, next[j] the
	// same of a[i+1:]. Where one of the two begins with "*", either may go on by
	// one: the star ends, or takes what the other has.
	row, next := make([]bool, len(b)+1), make([]bool, len(b)+1)
	for i := len(a); i >= 0; i-- {
		row, next = next, row
		for j := len(b); j >= 0; j-- {
			switch {
			case i == len(a) && j == len(b):
				row[j] = true
			case i < len(a) && a[i] == '*' || j < len(b) && b[j] == '*':
				row[j] = i < len(a) && next[j] || j < len(b) && row[j+1]
			case i < len(a) && j < len(b):
				row[j] = next[j+1] && (a[i] == '?' || b[j] == '?' || lower(a[i]) == lower(b[j]))
			default:
				row[j] = false
			}
		}
	}
	return row[0]
}
