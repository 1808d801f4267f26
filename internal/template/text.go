package template

import (
	"encoding/json"
	"math"
	"strconv"
)

// text is a scalar as CloudFormation passes it on: as text.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1e15 {
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return ""
}

// plain is a node as a value without positions.
func (n *node) plain() any {
	if n == nil {
		return nil
	}
	switch n.kind {
	case listNode:
		list := make([]any, len(n.list))
		for i, item := range n.list {
			list[i] = item.plain()
		}
		return list
	case mapNode:
		object := make(map[string]any, len(n.fields))
		for _, f := range n.fields {
			object[f.name] = f.value.plain()
		}
		return object
	}
	return n.scalar
}

// compact is a node as compact JSON, and a scalar as its text.
func (n *node) compact() string {
	if n.kind == scalarNode {
		return text(n.scalar)
	}
	raw, err := json.Marshal(n.plain())
	if err != nil {
		return ""
	}
	return string(raw)
}
