package inventory

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/knowngood/knowngood"
)

// fingerprint is a hash of an item by which a change is told: of all but when and how
// it was read, what is volatile, and the order of lists, which AWS keeps for few of
// them.
func fingerprint(r *knowngood.Resource, volatile []string) string {
	relationships := make([]any, len(r.Relationships))
	for i, rel := range r.Relationships {
		relationships[i] = map[string]any{"type": rel.Type, "id": rel.ID, "name": rel.Name, "relationship": rel.RelationshipName}
	}
	tags := make(map[string]any, len(r.Tags))
	for name, v := range r.Tags {
		tags[name] = v
	}
	f := fingerprinter{volatile}
	var b bytes.Buffer
	for _, text := range []string{r.ARN, r.Name, r.AvailabilityZone, string(r.Status)} {
		f.write(&b, text, "")
	}
	if r.CreationTime != nil {
		f.write(&b, r.CreationTime.UTC().Format(time.RFC3339Nano), "")
	}
	f.write(&b, tags, "tags")
	f.write(&b, relationships, "relationships")
	f.write(&b, r.Configuration, "configuration")
	f.write(&b, r.Supplementary, "supplementaryConfiguration")
	sum := sha256.Sum256(b.Bytes())
	return hex.EncodeToString(sum[:])
}

type fingerprinter struct{ volatile []string }

// write writes a value in the one form that all equal values have. Each part begins
// with its length or kind, so that no two values run together alike.
func (f fingerprinter) write(b *bytes.Buffer, v any, path string) {
	switch v := v.(type) {
	case nil:
		b.WriteByte('0')
	case string:
		b.WriteByte('"')
		b.WriteString(strconv.Itoa(len(v)))
		b.WriteByte(':')
		b.WriteString(v)
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case int:
		f.number(b, strconv.Itoa(v))
	case int64:
		f.number(b, strconv.FormatInt(v, 10))
	case float64:
		if whole := int64(v); float64(whole) == v && math.Abs(v) < 1<<53 {
			f.number(b, strconv.FormatInt(whole, 10))
		} else {
			f.number(b, strconv.FormatFloat(v, 'g', -1, 64))
		}
	case json.Number:
		f.number(b, v.String())
	case map[string]any:
		b.WriteByte('{')
		for _, name := range slices.Sorted(maps.Keys(v)) {
			at := name
			if path != "" {
				at = path + "." + name
			}
			if len(f.volatile) == 0 || !slices.Contains(f.volatile, at) {
				f.write(b, name, "")
				f.write(b, v[name], at)
			}
		}
		b.WriteByte('}')
	case []any:
		parts := make([][]byte, len(v))
		for i, e := range v {
			var part bytes.Buffer
			f.write(&part, e, path)
			parts[i] = part.Bytes()
		}
		slices.SortFunc(parts, bytes.Compare)
		b.WriteByte('[')
		for _, part := range parts {
			b.Write(part)
		}
		b.WriteByte(']')
	default:
		fmt.Fprintf(b, "?%v", v) // items hold nothing else
	}
}

func (f fingerprinter) number(b *bytes.Buffer, text string) {
	b.WriteByte('#')
	b.WriteString(text)
	b.WriteByte(';')
}
