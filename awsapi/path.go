package awsapi

import (
	"fmt"
	"strings"

	"github.com/jmespath-community/go-jmespath"
)

// searchPath evaluates a JMESPath expression, as models have them, over an input or
// output. Where the expression does not fit the values, as length(X) does not where
// X is absent, the result is nil, as for anything else that is not there; the error
// is about the expression alone.
func searchPath(path string, v any) (any, error) {
	if isPlainPath(path) {
		return walk(path, v), nil
	}
	compiled, err := jmespath.Compile(path)
	if err != nil {
		return nil, fmt.Errorf("the path %q: %w", path, err)
	}
	if strings.Contains(path, "`") {
		v = withFloats(v) // literals are floats, which equal no integer
	}
	found, err := compiled.Search(v)
	if err != nil {
		return nil, nil //nolint:nilerr // see above
	}
	return found, nil
}

// isPlainPath says whether a path is nothing but names and dots, which most are.
func isPlainPath(path string) bool {
	for i := range len(path) {
		c := path[i]
		if c != '.' && c != '_' && !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9') {
			return false
		}
	}
	return path != "" && path[0] != '.' && path[len(path)-1] != '.'
}

func walk(path string, v any) any {
	for name := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[name]
	}
	return v
}

// withFloats is a value with floats for integers.
func withFloats(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = withFloats(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = withFloats(e)
		}
		return out
	case int64:
		return float64(v)
	}
	return v
}
