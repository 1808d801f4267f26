// Package column says how the stores keep values in columns, so that all keep
// them alike.
package column

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

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

// ItemHash is the hash of a configuration item, the times of capture apart.
func ItemHash(r knowngood.Resource) (string, error) {
	r.CaptureTime, r.StateID = time.Time{}, ""
	body, err := JSON(r)
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:]), err
}
