package eventpattern

import (
	"fmt"
	"strconv"
	"strings"
)

// maxPathChars is the limit of EventBridge's API for a JSON path.
const maxPathChars = 256

// jsonPath is a path of those that EventBridge takes: names behind dots or in
// brackets, indices, and * for all members or elements.
type jsonPath struct {
	steps []pathStep
	many  bool // it has a *, so that it stands for a list
}

// pathStep is a name, an index, or all.
type pathStep struct {
	name  string
	index int // -1 for a name
	all   bool
}

// parsePath reads a path. Names in brackets are in single quotes.
func parsePath(text string) (*jsonPath, error) {
	fail := func(offset int, expected, format string, args ...any) error {
		return errorAt([]byte(text), offset, "", expected, "the JSON path %q %s", text, fmt.Sprintf(format, args...))
	}
	if n := len([]rune(text)); n > maxPathChars {
		return nil, &Error{Problem: fmt.Sprintf("a JSON path has %d characters", n), Expected: fmt.Sprintf("at most %d", maxPathChars)}
	}
	if !strings.HasPrefix(text, "$") {
		return nil, fail(0, "a path such as $.detail.state", "doesn't begin with $")
	}
	p := &jsonPath{}
	for i := 1; i < len(text); {
		step := pathStep{index: -1}
		switch text[i] {
		case '.':
			end := i + 1
			for end < len(text) && text[end] != '.' && text[end] != '[' {
				end++
			}
			if step.name = text[i+1 : end]; step.name == "" {
				return nil, fail(i, "a name behind the dot", "has a dot too many")
			}
			step.all = step.name == "*"
			i = end
		case '[':
			end := strings.IndexByte(text[i:], ']')
			if strings.HasPrefix(text[i:], "['") {
				if end = strings.Index(text[i:], "']"); end >= 0 {
					end++
				}
			}
			if end < 0 {
				return nil, fail(i, "]", "has a bracket without end")
			}
			inner := text[i+1 : i+end]
			if name, quoted := strings.CutPrefix(inner, "'"); quoted {
				step.name = strings.TrimSuffix(name, "'")
			} else if inner == "*" {
				step.all = true
			} else if n, err := strconv.ParseUint(inner, 10, 31); err == nil {
				step.index = int(n)
			} else {
				return nil, fail(i+1, "an index, * or a name in single quotes", "has [%s]", inner)
			}
			i += end + 1
		default:
			return nil, fail(i, "a dot or a bracket", "has %q there", text[i])
		}
		p.many = p.many || step.all
		p.steps = append(p.steps, step)
	}
	return p, nil
}

// selectFrom gives what the path finds. A path with * finds a list, which may be
// empty; another finds one value, or none.
func (p *jsonPath) selectFrom(root *node) []*node {
	found := []*node{root}
	for _, step := range p.steps {
		var next []*node
		for _, n := range found {
			switch {
			case step.all:
				for _, m := range n.members {
					if n.last(m.name) == m.value {
						next = append(next, m.value)
					}
				}
				next = append(next, n.elements...)
			case step.index >= 0:
				if step.index < len(n.elements) {
					next = append(next, n.elements[step.index])
				}
			default:
				if m := n.last(step.name); m != nil {
					next = append(next, m)
				}
			}
		}
		found = next
	}
	return found
}
