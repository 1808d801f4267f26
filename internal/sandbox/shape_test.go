package sandbox

import (
	"fmt"
	"slices"
	"time"

	"github.com/knowngood/knowngood/awsapi"
)

// unlisted are values that AWS documents and its models lack.
var unlisted = map[string]bool{
	// The API answers in small letters. Source: AWS CLI Command Reference, "describe-vpc-endpoints".
	"State pending": true, "State available": true,
	"PlatformValues windows": true, "PermissionsBoundaryAttachmentType Policy": true}

// misfits are the places where an answer isn't what the model says: members that
// it has not, values of other types or outside of an enumeration.
func misfits(s *awsapi.Shape, v any, path string) []string {
	if s == nil {
		if o, ok := v.(object); ok && len(o) > 0 {
			return []string{path + ": the operation answers nothing"}
		}
		return nil
	}
	if s.Is(awsapi.Document) {
		return nil
	}
	var out []string
	ok := false
	switch s.Type {
	case awsapi.Structure:
		var o object
		if o, ok = v.(object); ok {
			for _, name := range sorted(o) {
				if m := s.Member(name); m == nil {
					out = append(out, path+"."+name+": there is no such member")
				} else {
					out = append(out, misfits(m.Shape, o[name], path+"."+name)...)
				}
			}
		}
	case awsapi.List:
		var l []any
		if l, ok = v.([]any); ok {
			for i, e := range l {
				out = append(out, misfits(s.Elem.Shape, e, fmt.Sprintf("%s[%d]", path, i))...)
			}
		}
	case awsapi.Map:
		var o object
		if o, ok = v.(object); ok {
			for _, name := range sorted(o) {
				out = append(out, misfits(s.Elem.Shape, o[name], path+"."+name)...)
			}
		}
	case awsapi.String:
		var text string
		if text, ok = v.(string); ok && len(s.Enum) > 0 && !slices.Contains(s.Enum, text) && !unlisted[s.Name+" "+text] {
			out = append(out, fmt.Sprintf("%s: %q is none of %v", path, text, s.Enum))
		}
	case awsapi.Integer, awsapi.Long:
		_, ok = v.(int64)
	case awsapi.Float, awsapi.Double:
		_, ok = v.(float64)
	case awsapi.Boolean:
		_, ok = v.(bool)
	case awsapi.Blob:
		_, ok = v.([]byte)
	case awsapi.Timestamp:
		_, ok = v.(time.Time)
	}
	if !ok {
		out = append(out, fmt.Sprintf("%s: a %T, where the model has a %v", path, v, s.Type))
	}
	return out
}
