package remedy

import (
	"strconv"
	"strings"

	"github.com/knowngood/knowngood/awsapi"
)

// inClear says whether a value, or any text in it, is one of its own: no seal is in
// it, and it does not begin with what the plan's own calls bring.
func inClear(v any) bool {
	texts, clear := 0, false
	walkText(v, func(s string) {
		texts++
		clear = clear || s != "" && !strings.HasPrefix(s, refOpen) && !strings.Contains(s, sealOpen)
	})
	_, isText := v.(string)
	return clear || texts == 0 && !isText
}

// sensitiveMember gives the path and value of a member that the model marks
// sensitive and that has a value of its own, or "". A value that is only a
// response's of the plan's is not in the plan.
func sensitiveMember(s *awsapi.Shape, v any, path string) (string, any) {
	if s == nil || v == nil {
		return "", nil
	}
	if list, ok := v.([]any); ok && len(list) == 0 {
		return "", nil // says nothing
	}
	if s.Is(awsapi.Sensitive) && inClear(v) {
		return path, v
	}
	switch v := v.(type) {
	case map[string]any:
		for _, k := range sortedKeys(v) {
			at := k
			if path != "" {
				at = path + "." + k
			}
			if found, value := sensitiveMember(inner(s, k), v[k], at); found != "" {
				return found, value
			}
		}
	case []any:
		if s.Type != awsapi.List {
			return "", nil
		}
		for i, e := range v {
			if found, value := sensitiveMember(s.Elem.Shape, e, path+"["+strconv.Itoa(i)+"]"); found != "" {
				return found, value
			}
		}
	}
	return "", nil
}
