package eventpattern

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// wildcard matches a text that begins with the first part, ends with the last,
// and has the others between, in their order and apart: the stars are the gaps.
type wildcard struct{ parts []string }

// parseWildcard reads a wildcard's text: * stands for any characters, \* and \\
// for themselves.
func parseWildcard(text string) (wildcard, error) {
	var parts []string
	var part strings.Builder
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '*':
			if i > 0 && part.Len() == 0 && len(parts) > 0 {
				return wildcard{}, errors.New("two wildcard characters in a row")
			}
			parts = append(parts, part.String())
			part.Reset()
		case '\\':
			i++
			if i == len(text) || text[i] != '*' && text[i] != '\\' {
				return wildcard{}, errors.New(`a backslash that escapes neither * nor \`)
			}
			part.WriteByte(text[i])
		default:
			part.WriteByte(text[i])
		}
	}
	return wildcard{append(parts, part.String())}, nil
}

func (m wildcard) match(v *value) bool {
	if v.kind != stringKind {
		return false
	}
	text := v.text
	first, last := m.parts[0], m.parts[len(m.parts)-1]
	if len(m.parts) == 1 {
		return string(text) == first
	}
	if len(text) < len(first)+len(last) || string(text[:len(first)]) != first || string(text[len(text)-len(last):]) != last {
		return false
	}
	text = text[len(first) : len(text)-len(last)]
	for _, part := range m.parts[1 : len(m.parts)-1] {
		i := bytes.Index(text, []byte(part)) // the first place leaves the most for the rest
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return true
}

// maxWildcardStates bounds the work of complexity.
const maxWildcardStates = 5000

// complexity is event-ruler's measure of a wildcard: how many beginnings of it,
// each of at least one character, match one text, for the text for which it is
// the most. The search ends at limit+1.
func (m wildcard) complexity(limit int) int {
	const star, other = -1, -2 // beside the bytes
	var tokens []int
	for i, part := range m.parts {
		if i > 0 {
			tokens = append(tokens, star)
		}
		for _, b := range []byte(part) {
			tokens = append(tokens, int(b))
		}
	}
	// A state is a set of beginnings, by their length. Stars may be empty.
	closed := func(set []int) []int {
		var out []int
		for _, n := range set {
			if len(out) == 0 || out[len(out)-1] < n {
				out = append(out, n)
			}
			if n < len(tokens) && tokens[n] == star {
				out = append(out, n+1)
			}
		}
		return out
	}
	most := 0
	seen := map[string]bool{}
	queue := [][]int{closed([]int{0})}
	for len(queue) > 0 {
		state := queue[0]
		queue = queue[1:]
		n := len(state)
		if state[0] == 0 {
			n--
		}
		if most = max(most, n); most > limit || len(seen) > maxWildcardStates {
			return limit + 1
		}
		nexts := []int{other} // the characters that tell the beginnings apart
		for _, n := range state {
			if n < len(tokens) && tokens[n] != star && !slices.Contains(nexts, tokens[n]) {
				nexts = append(nexts, tokens[n])
			}
		}
		for _, b := range nexts {
			var next []int
			for _, n := range state {
				if n > 0 && tokens[n-1] == star && (len(next) == 0 || next[len(next)-1] < n) {
					next = append(next, n) // the star takes it
				}
				if n < len(tokens) && tokens[n] == b {
					next = append(next, n+1)
				}
			}
			if key := fmt.Sprint(next); len(next) > 0 && !seen[key] {
				seen[key] = true
				queue = append(queue, closed(next))
			}
		}
	}
	return most
}
