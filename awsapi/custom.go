package awsapi

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// What some services ask of their clients and the models don't say. All of it is as
// botocore has it, whose callers find the same here.

// adjusted is an input with what the service wants otherwise than callers write it.
// The input itself is not changed, and what is adjusted already stays as it is.
func (o *Operation) adjusted(in map[string]any) map[string]any {
	out := maps.Clone(in)
	if out == nil {
		out = map[string]any{}
	}
	switch o.Service.Name {
	case "docdb", "neptune", "rds":
		if o.Input.Member("PreSignedUrl") != nil {
			delete(out, "SourceRegion") // known only to clients, which make the URL of it
		}
	case "glacier":
		if o.Input.Member("accountId") != nil && out["accountId"] == nil {
			out["accountId"] = "-" // that of the credentials
		}
	case "route53":
		trimRoute53IDs(o, out)
	case "s3":
		if source, ok := out["CopySource"].(string); ok && o.Input.Member("CopySource") != nil {
			out["CopySource"] = escapeCopySource(source)
		}
		if o.Name != "GetObjectAttributes" && o.Name != "ListParts" { // which botocore leaves to its callers
			encodeCustomerKey(o, out, "SSECustomerKey")
			encodeCustomerKey(o, out, "CopySourceSSECustomerKey")
		}
	default:
		return in
	}
	return out
}

// trimRoute53IDs makes ids of the paths as which Route 53 gives them out:
// "/hostedzone/Z123", "/change/C123".
func trimRoute53IDs(o *Operation, in map[string]any) {
	for i := range inputMembers(o) {
		m := &o.Input.Members[i]
		if id, ok := in[m.Name].(string); ok && slices.Contains([]string{"ChangeId", "DelegationSetId", "ResourceId"}, m.Shape.Name) {
			in[m.Name] = id[strings.LastIndexByte(id, '/')+1:]
		}
	}
}

// escapeCopySource escapes the path of "bucket/key?versionId=id", in a header.
func escapeCopySource(source string) string {
	path, version := cutVersion(source)
	return escape(path, true) + version
}

// unescapeCopySource is the inverse, as S3 reads the header.
func unescapeCopySource(source string) string {
	path, version := cutVersion(source)
	if plain, err := url.PathUnescape(path); err == nil {
		path = plain
	}
	return path + version
}

func cutVersion(source string) (path, version string) {
	const mark = "?versionId="
	if i := strings.LastIndex(source, mark); i >= 0 && len(source) > i+len(mark) && !strings.ContainsAny(source[i:], " \t\r\n") {
		return source[:i], source[i:]
	}
	return source, ""
}

// encodeCustomerKey gives a key of the caller's own to encrypt with the form that S3
// wants, base64 and with its MD5, unless the caller has done that.
func encodeCustomerKey(o *Operation, in map[string]any, member string) {
	sum := member + "MD5"
	if o.Input.Member(sum) == nil || in[sum] != nil {
		return
	}
	if key, ok := in[member].(string); ok {
		digest := md5.Sum([]byte(key))
		in[member] = base64.StdEncoding.EncodeToString([]byte(key))
		in[sum] = base64.StdEncoding.EncodeToString(digest[:])
	}
}

// custom gives a request the headers that a service wants, and a search the method.
func (w *requestWriter) custom() error {
	o, h := w.op, w.r.Header
	switch o.Service.Name {
	case "apigateway":
		if h.Get("Accept") == "" {
			h.Set("Accept", "application/json") // else it answers in HAL
		}
	case "cloudsearchdomain":
		if o.Name == "Search" && w.query != "" {
			// What is searched for may be longer than a URL can be.
			w.r.Method, w.r.Body, w.query = http.MethodPost, []byte(w.query), ""
			h.Set("Content-Type", searchType)
		}
	case "dynamodb", "timestream-query", "timestream-write":
		if o.Name == "DescribeEndpoints" {
			h.Set("X-Amz-Api-Version", o.Service.APIVersion)
		}
	case "glacier":
		h.Set("X-Amz-Glacier-Version", o.Service.APIVersion)
		const name = "X-Amz-Sha256-Tree-Hash"
		if h.Get(name) == "" && (o.Name == "UploadArchive" || o.Name == "UploadMultipartPart") {
			t := &treeHash{block: sha256.New()}
			if err := w.r.feed(t); err != nil {
				return err
			}
			h.Set(name, t.sum())
		}
	}
	return nil
}

const searchType = "application/x-www-form-urlencoded"

// unpost makes a search that is posted what the model has.
func (sr *ServerRequest) unpost() {
	r := sr.Raw
	if r.Method != http.MethodPost || r.URL.Path != "/2013-01-01/search" || r.Header.Get("Content-Type") != searchType {
		return
	}
	sr.Raw = r.Clone(r.Context())
	sr.Raw.Method, sr.Raw.URL.RawQuery, sr.text = http.MethodGet, r.URL.RawQuery+"&"+sr.text, ""
}

// treeHash is Glacier's checksum: the SHA-256 of each megabyte, then of each two of
// these, and so on until there is one.
type treeHash struct {
	block hash.Hash // the megabyte that is being written
	n     int       // bytes of it
	sums  [][]byte  // of those before it
}

const treeHashBlock = 1 << 20

// Write implements io.Writer.
func (t *treeHash) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if t.n == treeHashBlock {
			t.next()
		}
		part := rest[:min(len(rest), treeHashBlock-t.n)]
		t.block.Write(part)
		t.n += len(part)
		rest = rest[len(part):]
	}
	return len(p), nil
}

func (t *treeHash) next() {
	t.sums = append(t.sums, t.block.Sum(nil))
	t.block.Reset()
	t.n = 0
}

// sum is the hash in hex. Nothing can be written after it.
func (t *treeHash) sum() string {
	t.next() // of nothing too, if nothing was written
	for len(t.sums) > 1 {
		var above [][]byte
		for pair := range slices.Chunk(t.sums, 2) {
			sum := pair[0]
			if len(pair) == 2 {
				both := sha256.Sum256(slices.Concat(pair...))
				sum = both[:]
			}
			above = append(above, sum)
		}
		t.sums = above
	}
	return hex.EncodeToString(t.sums[0])
}
