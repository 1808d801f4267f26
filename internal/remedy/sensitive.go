package remedy

import (
	"strconv"
	"strings"

	"github.com/knowngood/knowngood/awsapi"
)

// sensitiveMember gives the path of a member that the model marks sensitive and
// that has a value of its own, or "". A value that is only a response's of the
// plan's is not in the plan.
func sensitiveMember(s *awsapi.Shape, v any, path string) string {
	if s == nil || v == nil {
		return ""
	}
	if text, ok := v.(string); s.Is(awsapi.Sensitive) && (!ok || text != "" && !strings.HasPrefix(text, refOpen)) {
		return path
	}
	switch v := v.(type) {
	case map[string]any:
		for _, k := range sortedKeys(v) {
			at := k
			if path != "" {
				at = path + "." + k
			}
			if found := sensitiveMember(inner(s, k), v[k], at); found != "" {
				return found
			}
		}
	case []any:
		if s.Type != awsapi.List {
			return ""
		}
		for i, e := range v {
			if found := sensitiveMember(s.Elem.Shape, e, path+"["+strconv.Itoa(i)+"]"); found != "" {
				return found
			}
		}
	}
	return ""
}
