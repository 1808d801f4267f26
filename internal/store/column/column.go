// Package column says how the stores keep values in columns, so that all keep
// them alike.
package column

import (
	"encoding/json"
	"strings"

	"github.com/knowngood/knowngood"
)

// JSON is a value as the text of a column.
func JSON(v any) (string, error) {
	raw, err := json.Marshal(v)
	return string(raw), err
}

// Key is a resource's key as the text of a column.
func Key(k knowngood.ResourceKey) string {
	return strings.Join([]string{k.Account, k.Region, k.Type, k.ID}, "\x1f")
}

// Prefix is the half-open range of texts that begin with a prefix, where texts
// are ordered by their bytes.
func Prefix(prefix string) (from, to string) { return prefix, prefix + "\U0010FFFF" }
