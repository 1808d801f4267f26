package awsapi

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// untagged reads a value of the script's: what JSON has no kind for is an object
// with a tag.
func untagged(t testing.TB, raw json.RawMessage) any {
	if len(raw) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	v, err := untag(v)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func untag(v any) (any, error) {
	var err error
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, nil
		}
		return v.Float64()
	case []any:
		for i, e := range v {
			if v[i], err = untag(e); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		if text, ok := v["$bytes"].(string); ok {
			return base64.StdEncoding.DecodeString(text)
		}
		if text, ok := v["$time"].(string); ok {
			return time.Parse(time.RFC3339Nano, text)
		}
		if text, ok := v["$float"].(string); ok {
			f, _ := specialFloat(text)
			return f, nil
		}
		for k, e := range v {
			if v[k], err = untag(e); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// differentValues says where two values first differ, "" if they don't. Absent, nil
// and empty are not the same; prune makes them so.
func differentValues(got, want any) string {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			break
		}
		for _, k := range slices.Sorted(maps.Keys(w)) {
			if _, ok := g[k]; !ok {
				return fmt.Sprintf("%s is absent, want %s", k, shown(w[k]))
			}
			if diff := differentValues(g[k], w[k]); diff != "" {
				return k + "." + diff
			}
		}
		for _, k := range slices.Sorted(maps.Keys(g)) {
			if _, ok := w[k]; !ok {
				return fmt.Sprintf("%s is %s, want it absent", k, shown(g[k]))
			}
		}
		return ""
	case []any:
		g, ok := got.([]any)
		if !ok {
			break
		}
		for i := range min(len(g), len(w)) {
			if diff := differentValues(g[i], w[i]); diff != "" {
				return strconv.Itoa(i) + "." + diff
			}
		}
		if len(g) == len(w) {
			return ""
		}
	case string:
		if g, ok := got.(string); ok && sameText(g, w) {
			return ""
		}
	case []byte:
		if g, ok := got.([]byte); ok && bytes.Equal(g, w) {
			return ""
		}
	case time.Time:
		if g, ok := got.(time.Time); ok && g.Equal(w) {
			return ""
		}
	case int64:
		switch g := got.(type) {
		case int64:
			if g == w {
				return ""
			}
		case float64:
			if g == float64(w) {
				return ""
			}
		}
	case float64:
		switch g := got.(type) {
		case float64:
			if g == w || math.IsNaN(g) && math.IsNaN(w) {
				return ""
			}
		case int64:
			if float64(g) == w {
				return ""
			}
		}
	default:
		if got == want {
			return ""
		}
	}
	return fmt.Sprintf(" is %s, want %s", shown(got), shown(want))
}

func shown(v any) string { return fmt.Sprintf("%#.200v", v) }

// sameText says whether two texts are the same scalar: the sides write 5 and 5.0,
// and ...05.12Z and ...05.120000Z.
func sameText(a, b string) bool {
	if a == b {
		return true
	}
	if x, err := time.Parse(time.RFC3339Nano, a); err == nil {
		y, err := time.Parse(time.RFC3339Nano, b)
		return err == nil && x.Equal(y)
	}
	if !strings.ContainsAny(a+b, ".e") {
		return false
	}
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return errX == nil && errY == nil && x == y
}

// differentRequests says how our request differs from botocore's, "" if it doesn't.
// spare is told of the headers that are ours alone and are none of a difference.
func differentRequests(op *Operation, ours *Request, theirs requestCase, spare func(header string)) string {
	u, err := url.Parse(ours.URL)
	if err != nil {
		return err.Error()
	}
	v, err := url.Parse(theirs.URL)
	if err != nil {
		return err.Error()
	}
	slash := func(path string) string { return "/" + strings.TrimPrefix(path, "/") }
	switch {
	case ours.Method != theirs.Method:
		return fmt.Sprintf("method %s, want %s", ours.Method, theirs.Method)
	case u.Scheme != v.Scheme || u.Host != v.Host || slash(u.EscapedPath()) != slash(v.EscapedPath()):
		return fmt.Sprintf("URL %s, want %s", ours.URL, theirs.URL)
	}
	if diff := differentForms(u.RawQuery, v.RawQuery); diff != "" {
		return "query: " + diff
	}
	header := map[string]string{}
	for name, values := range ours.Header {
		header[strings.ToLower(name)] = strings.Join(values, ",")
	}
	a, b := requestBody(ours), theirs.Body
	if diff := differentHeaders(op, header, theirs.Headers, a, b, spare); diff != "" {
		return diff
	}
	if strings.HasSuffix(header["content-encoding"], "gzip") && op.Service.Name != "s3" {
		if a, err = unzipped(a); err != nil {
			return err.Error()
		}
		if b, err = unzipped(b); err != nil {
			return err.Error()
		}
	}
	if diff := differentBodies(op, a, b); diff != "" {
		return "body: " + diff
	}
	return ""
}

func unzipped(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// apart are the headers that are not compared: those of the transport, of the
// client's name and of the signature.
var apart = []string{"content-length", "expect", "user-agent", "x-amz-content-sha256"}

// smithys says whether a header that botocore leaves out is there because Smithy's
// protocol cases, which TestProtocolInputs runs, demand it: the type of a body that
// is not JSON, and an empty header for a list of nothing.
func smithys(op *Operation, name, text string) bool {
	if name == "content-type" {
		return slices.Contains([]string{"application/xml", "application/octet-stream", "text/plain"}, text)
	}
	m := headerMember(op, name)
	return text == "" && m != nil && m.Shape.Type == List
}

// headerMember is the member that a header holds, or nil.
func headerMember(op *Operation, name string) *Member {
	for i := range inputMembers(op) {
		if m := &op.Input.Members[i]; m.Location == InHeader && strings.EqualFold(m.WireName(), name) {
			return m
		}
	}
	return nil
}

func differentHeaders(op *Operation, got, want map[string]string, ourBody, theirBody []byte, spare func(string)) string {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if slices.Contains(apart, name) {
			continue
		}
		text, ok := got[name]
		if !ok {
			return fmt.Sprintf("no header %s, want %q", name, want[name])
		}
		sum := checksumOf(name, ourBody)
		switch {
		case text == want[name]:
		case sum != "" && !bytes.Equal(ourBody, theirBody):
			if text != sum {
				return fmt.Sprintf("header %s is %q, want %q", name, text, sum)
			}
		case headerMember(op, name) != nil && headerMember(op, name).Is(JSONValue):
			x, errX := base64.StdEncoding.DecodeString(text)
			y, errY := base64.StdEncoding.DecodeString(want[name])
			if errX != nil || errY != nil || differentJSON(x, y) != "" {
				return fmt.Sprintf("header %s is %q, want %q", name, x, y)
			}
		default:
			return fmt.Sprintf("header %s is %q, want %q", name, text, want[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; ok || slices.Contains(apart, name) {
			continue
		}
		if !smithys(op, name, got[name]) {
			return fmt.Sprintf("the header %s: %q should not be there", name, got[name])
		}
		spare(name)
	}
	return ""
}

// checksumOf is what a header that is a checksum of the body must be, "" for
// others.
func checksumOf(name string, body []byte) string {
	var sum []byte
	switch name {
	case "content-md5":
		s := md5.Sum(body)
		sum = s[:]
	case "x-amz-checksum-crc32":
		sum = binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(body))
	case "x-amz-checksum-sha1":
		s := sha1.Sum(body)
		sum = s[:]
	case "x-amz-checksum-sha256":
		s := sha256.Sum256(body)
		sum = s[:]
	}
	return base64.StdEncoding.EncodeToString(sum)
}

// differentForms compares forms and query strings as values, whatever their order;
// that of a key's own values counts.
func differentForms(got, want string) string {
	g, err := url.ParseQuery(got)
	if err != nil {
		return err.Error()
	}
	w, err := url.ParseQuery(want)
	if err != nil {
		return err.Error()
	}
	return differentValues(formValues(g), formValues(w))
}

func formValues(v url.Values) map[string]any {
	out := map[string]any{}
	for k, values := range v {
		out[k] = anyList(values)
		if u, err := url.Parse(values[0]); err == nil && strings.EqualFold(k, "PresignedUrl") {
			query := u.Query()
			maps.DeleteFunc(query, func(k string, _ []string) bool { return strings.HasPrefix(k, "X-Amz-") }) // the signature
			out[k] = map[string]any{"host": u.Host, "path": u.Path, "query": formValues(query)}
		}
	}
	return out
}

func differentBodies(op *Operation, got, want []byte) string {
	if bytes.Equal(got, want) {
		return ""
	}
	switch op.Service.Protocol {
	case EC2, Query:
		return differentForms(string(got), string(want))
	case JSON, RESTJSON:
		return differentJSON(got, want)
	case CBOR:
		return compareBodies(op, got, base64.StdEncoding.EncodeToString(want))
	}
	var g, w xmlElement
	if err := xml.Unmarshal(got, &g); err != nil {
		return fmt.Sprintf("%q, want %q: %v", got, want, err)
	}
	if err := xml.Unmarshal(want, &w); err != nil {
		return fmt.Sprintf("%q, want %q: %v", got, want, err)
	}
	return differentValues(g.value(), w.value())
}

func differentJSON(got, want []byte) string {
	var g, w any
	for _, side := range []struct {
		raw []byte
		to  *any
	}{{got, &g}, {want, &w}} {
		d := json.NewDecoder(bytes.NewReader(side.raw))
		d.UseNumber()
		if err := d.Decode(side.to); err != nil {
			return fmt.Sprintf("%q, want %q: %v", got, want, err)
		}
		var err error
		if *side.to, err = untag(*side.to); err != nil {
			return err.Error()
		}
	}
	return differentValues(g, w)
}

// xmlElement is an element as encoding/xml reads it.
type xmlElement struct {
	XMLName  xml.Name
	Attrs    []xml.Attr   `xml:",any,attr"`
	Text     string       `xml:",chardata"`
	Elements []xmlElement `xml:",any"`
}

// value is an element's content by name: the order of elements counts only where
// they have the same name.
func (e xmlElement) value() map[string]any {
	out := map[string]any{"<>": e.XMLName.Space + " " + e.XMLName.Local}
	for _, a := range e.Attrs {
		if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
			out["@"+a.Name.Space+" "+a.Name.Local] = a.Value
		}
	}
	for _, c := range e.Elements {
		list, _ := out[c.XMLName.Local].([]any)
		out[c.XMLName.Local] = append(list, c.value())
	}
	if len(e.Elements) == 0 {
		out["text"] = e.Text
	}
	return out
}
