// Package column says how the stores keep values in columns, so that all keep
// them alike.
package column

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/knowngood/knowngood"
)

// JSON is a value as the text of a column.
func JSON(v any) (string, error) {
	raw, err := json.Marshal(v)
	return string(raw), err
}

// DigestKeySize is the length of the key of digests, in bytes: that of SHA-256.
const DigestKeySize = 32

// separator is between the parts of a resource's key.
const separator = "\x1f"

// Key is a resource's key as the text of a column.
func Key(k knowngood.ResourceKey) string {
	return strings.Join([]string{k.Account, k.Region, k.Type, k.ID}, separator)
}

// Account is the half-open range of the keys of an account's resources.
func Account(account string) (from, to string) { return Prefix(account + separator) }

// Prefix is the half-open range of texts that begin with a prefix, where texts
// are ordered by their bytes.
func Prefix(prefix string) (from, to string) { return prefix, prefix + "\U0010FFFF" }

// Items reads items that JSON wrote, with the values that Resource promises: integers
// stay whole.
func Items(raw []byte) ([]knowngood.Resource, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	items := []knowngood.Resource{}
	if err := d.Decode(&items); err != nil {
		return nil, err
	}
	for i := range items {
		items[i].Configuration, _ = plain(items[i].Configuration).(map[string]any)
		items[i].Supplementary, _ = plain(items[i].Supplementary).(map[string]any)
	}
	return items, nil
}

// plain makes int64 of the numbers that fit it, and float64 of others.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64() // beyond the range it is infinite
		return f
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	}
	return v
}
