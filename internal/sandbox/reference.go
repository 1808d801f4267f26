package sandbox

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/knowngood/knowngood/awsapi"
)

// scope is what the texts of a scenario can refer to.
type scope struct {
	answers map[string]any   // and lists, by name
	index   map[string]int64 // numbers of repetitions under way, by name
	seed    int64            // of choices
	chosen  uint64           // choices so far
}

// choice is the index by which a reference chooses from a list.
const choice = "any"

var reference = patternOf(`\{\{\s*([\w-]+(?:\.[\w-]+)*)\s*\}\}`)

// Resolve puts answers where a value refers to them, as {{name.Path.0.Member}}. A reference that is all of
// a text keeps its type.
func Resolve(v any, answers map[string]any) (any, error) {
	return (&scope{answers: answers}).resolve(v)
}

func (s *scope) resolve(v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, k := range sorted(v) { // in order, so that choices are the same each time
			r, err := s.resolve(v[k])
			if err != nil {
				return nil, err
			}
			out[k] = r
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			r, err := s.resolve(e)
			if err != nil {
				return nil, err
			}
			out[i] = r
		}
		return out, nil
	case uint64:
		return int64(v), nil //nolint:gosec // a scenario's numbers are sizes and ports
	case string:
		return s.text(v)
	}
	return v, nil
}

func (s *scope) text(text string) (any, error) {
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	if m := reference.FindStringSubmatch(text); m != nil && m[0] == text {
		return s.find(m[1], text)
	}
	var failed error
	out := reference().ReplaceAllStringFunc(text, func(m string) string {
		v, err := s.find(reference.FindStringSubmatch(m)[1], m)
		failed = first(failed, err)
		return fmt.Sprint(v)
	})
	return out, failed
}

// find follows a dotted path. A number is an index from 0; so is the number of a
// repetition, but it starts again at the list's end; "any" chooses. A single name
// that is no such number is left as the text has it: documents of SSM write their
// parameters so. So is a path into a payload where there is none.
func (s *scope) find(path, text string) (any, error) {
	if !strings.Contains(path, ".") {
		if i, ok := s.index[path]; ok {
			return i, nil
		}
		return text, nil
	}
	if _, ok := s.answers[payloadName]; !ok && ofPayload(path) {
		return text, nil // for the function that is given it
	}
	var at any = s.answers
	for part := range strings.SplitSeq(path, ".") {
		var ok bool
		switch v := at.(type) {
		case map[string]any:
			at, ok = v[part]
		case []any:
			var i int
			if i, ok = s.at(part, len(v)); ok {
				at = v[i]
			}
		}
		if !ok {
			return nil, fmt.Errorf("{{%s}}: there is no %s", path, part)
		}
	}
	return at, nil
}

// at is where in a list of n an index means.
func (s *scope) at(part string, n int) (int, bool) {
	if i, err := strconv.Atoi(part); err == nil {
		return i, i >= 0 && i < n
	}
	if n == 0 {
		return 0, false
	}
	if i, ok := s.index[part]; ok {
		return int(i % int64(n)), true
	}
	if part != choice {
		return 0, false
	}
	s.chosen++
	b, err := hex.DecodeString(derived(s.seed, choice, s.chosen)[:16])
	if err != nil {
		return 0, false
	}
	return int(binary.BigEndian.Uint64(b) % uint64(n)), true //nolint:gosec // less than n
}

// operation is that of service:Operation.
func (s *Sandbox) operation(name string) (*awsapi.Operation, error) {
	service, operation, ok := strings.Cut(name, ":")
	if !ok {
		return nil, fmt.Errorf("expected service:Operation")
	}
	return s.catalog.Operation(service, operation)
}
