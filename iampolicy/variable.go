package iampolicy

import "strings"

// Escape makes a text a pattern that matches just that text: its wildcards and
// dollar signs are written as variables, which a policy of version 2012-10-17
// reads. Source: IAM User Guide, "IAM policy elements: Variables and tags".
func Escape(text string) string {
	if !strings.ContainsAny(text, "*?$") {
		return text
	}
	return strings.NewReplacer("*", "${*}", "?", "${?}", "$", "${$}").Replace(text)
}

// variable is one "${...}" of a text.
type variable struct {
	name       string
	fallback   string // what it is where the key has no value
	hasDefault bool
}

// cutVariable reads a variable from its "${" on, and says how long it is. It is
// 0 where the text is no variable, but plain text.
func cutVariable(s string) (v variable, n int) {
	end := strings.IndexAny(s[2:], ",}")
	if end < 0 {
		return v, 0
	}
	v.name = strings.TrimSpace(s[2 : 2+end])
	n = 2 + end
	if s[n] == '}' {
		return v, n + 1
	}
	rest := strings.TrimLeft(s[n+1:], " ")
	if !strings.HasPrefix(rest, "'") {
		return v, 0
	}
	fallback, after, ok := strings.Cut(rest[1:], "'")
	after = strings.TrimLeft(after, " ")
	if !ok || !strings.HasPrefix(after, "}") {
		return v, 0
	}
	v.fallback, v.hasDefault = fallback, true
	return v, len(s) - len(after) + 1
}

// pattern makes a policy's pattern ready to match: its variables are replaced by
// what they stand for. It is false where a variable has no value and no default,
// for then nothing matches.
func (e *evaluation) pattern(text string, variables bool) (string, wildcards, bool) {
	if !variables || !strings.Contains(text, "${") {
		return text, asWritten, true
	}
	out, ok := e.expand(text, asExpanded)
	return out, asExpanded, ok
}

// literal is pattern for texts in which "*" and "?" are no wildcards.
func (e *evaluation) literal(text string, variables bool) (string, bool) {
	if !variables || !strings.Contains(text, "${") {
		return text, true
	}
	return e.expand(text, asWritten)
}

func (e *evaluation) expand(text string, w wildcards) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '*':
			b.WriteByte(w.many)
		case c == '?':
			b.WriteByte(w.one)
		case c == '$' && strings.HasPrefix(text[i:], "${"):
			v, n := cutVariable(text[i:])
			if n == 0 {
				b.WriteByte(c)
				continue
			}
			value, ok := e.variable(v)
			if !ok {
				return "", false
			}
			b.WriteString(value)
			i += n - 1
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), true
}

// variable is what a variable stands for. A key with several values stands for
// none of them.
func (e *evaluation) variable(v variable) (string, bool) {
	switch v.name {
	case "*", "?", "$":
		return v.name, true
	}
	var room [1]string
	switch values := e.values(v.name, &room); {
	case len(values) == 1:
		return strings.ToValidUTF8(values[0], "\ufffd"), true
	case len(values) == 0 && v.hasDefault:
		return v.fallback, true
	}
	return "", false
}
