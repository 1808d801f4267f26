package awsapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"
)

// exceptions are the cases of botocore's protocol suite that don't pass, by id,
// each with the reason. TestProtocolCases fails if one of them passes.
var exceptions = map[string]string{
	"input MediaTypeHeaderInputBase64":                   "it wants a text that already is JSON to stand for its value; here, as in botocore, the value itself is given",
	"output MediaTypeHeaderOutputBase64":                 "the same the other way round",
	"output RestJsonDeserializesDenseSetMapAndSkipsNull": "botocore's models don't say which maps may hold nulls, so nulls are kept",
}

// maxExceptions is how many of the 732 cases may be excepted.
const maxExceptions = 8

// protocolSuite is one entry of a file of botocore's protocol cases.
type protocolSuite struct {
	Description    string
	Metadata       map[string]any
	Shapes         json.RawMessage
	ClientEndpoint string
	Cases          []protocolCase
}

type protocolCase struct {
	ID          string
	Description string
	Given       map[string]any

	// Input cases.
	Params     json.RawMessage
	Serialized struct {
		Method, URI, Host string
		Body              *string
		Headers           map[string]string
		ForbidHeaders     []string
		RequireHeaders    []string
	}

	// Output cases.
	Response struct {
		StatusCode int `json:"status_code"`
		Headers    map[string]string
		Body       *string
	}
	Result       json.RawMessage
	Error        json.RawMessage
	ErrorCode    string
	ErrorMessage string
}

// corpora is the folder of public test data, or skips the test.
func corpora(t testing.TB, name string) string {
	t.Helper()
	root := os.Getenv("KNOWNGOOD_CORPORA")
	if root == "" {
		root = "../../shared/corpora"
	}
	dir := filepath.Join(root, name)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no test data at %s (KNOWNGOOD_CORPORA)", dir)
	}
	return dir
}

// eachCase runs a function for each case, with the operation that it is about.
func eachCase(t *testing.T, direction string, fn func(*testing.T, *Operation, protocolSuite, protocolCase)) int {
	files, err := filepath.Glob(filepath.Join(corpora(t, "aws-protocols"), direction, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	n := 0
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var suites []protocolSuite
		if err := json.Unmarshal(raw, &suites); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for i, suite := range suites {
			for j, tc := range suite.Cases {
				n++
				id := tc.ID
				if id == "" {
					id = fmt.Sprintf("%d:%d", i, j)
				}
				name := strings.TrimSuffix(filepath.Base(file), ".json") + "/" + id
				t.Run(name, func(t *testing.T) { fn(t, caseOperation(t, direction, suite, tc), suite, tc) })
			}
		}
	}
	return n
}

// caseOperation makes the model that a case is about.
func caseOperation(t *testing.T, direction string, suite protocolSuite, tc protocolCase) *Operation {
	t.Helper()
	name, _ := tc.Given["name"].(string)
	if name == "" {
		name = "OperationName"
	}
	protocol, _ := suite.Metadata["protocol"].(string)
	if out, ok := tc.Given["output"].(map[string]any); ok && protocol == "query" && direction == "output" {
		var shapes map[string]struct{ Members map[string]any }
		if err := json.Unmarshal(suite.Shapes, &shapes); err != nil {
			t.Fatal(err)
		}
		if len(shapes[out["shape"].(string)].Members) > 0 {
			out["resultWrapper"] = name + "Result" // as botocore's own runner does
		}
	}
	suite.Metadata["endpointPrefix"] = "testing"
	raw, err := json.Marshal(map[string]any{"metadata": suite.Metadata, "shapes": suite.Shapes, "operations": map[string]any{name: tc.Given}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseService("testing", Source{Service: raw})
	if err != nil {
		t.Fatal(err)
	}
	op, err := s.Operation(name)
	if err != nil {
		t.Fatal(err)
	}
	return op
}

// excepted handles a case that is an exception: it must fail.
func excepted(t *testing.T, direction, id string, problems []string) {
	t.Helper()
	reason, ok := exceptions[direction+" "+id]
	switch {
	case ok && len(problems) == 0:
		t.Errorf("it passes, though it is named as an exception")
	case ok:
		t.Skipf("excepted: %s", reason)
	case len(problems) > 0:
		t.Error(strings.Join(problems, "\n"))
	}
}

func TestProtocolInputs(t *testing.T) {
	if len(exceptions) > maxExceptions {
		t.Errorf("%d exceptions, at most %d", len(exceptions), maxExceptions)
	}
	n := eachCase(t, "input", func(t *testing.T, op *Operation, suite protocolSuite, tc protocolCase) {
		v, err := parseJSON(string(tc.Params))
		if err != nil {
			t.Fatal(err)
		}
		in := v.(map[string]any)
		// Smithy's cases want this token where none is given; Client fills it in.
		if m, ok := op.IdempotencyToken(); ok && in[m] == nil {
			in[m] = "00000000-0000-4000-8000-000000000000"
		}
		endpoint := suite.ClientEndpoint
		if endpoint == "" {
			endpoint = "https://testing.us-east-1.amazonaws.com"
		}
		req, err := op.EncodeRequest(in, Endpoint{URL: endpoint})
		if err != nil {
			excepted(t, "input", tc.ID, []string{err.Error()})
			return
		}
		problems := compareRequest(op, req, tc)
		if base, _ := url.Parse(endpoint); base.Path == "" {
			problems = append(problems, compareServer(t, op, req)...)
		}
		excepted(t, "input", tc.ID, problems)
	})
	t.Logf("%d cases", n)
}

// compareRequest says how a request differs from what a case wants.
func compareRequest(op *Operation, req *Request, tc protocolCase) (problems []string) {
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	want := tc.Serialized
	if want.Method != "" && req.Method != want.Method {
		bad("method %s, want %s", req.Method, want.Method)
	}
	u, err := url.Parse(req.URL)
	if err != nil {
		return []string{err.Error()}
	}
	if want.Host != "" && !strings.HasPrefix(u.Host+u.EscapedPath(), want.Host) {
		bad("host %s, want %s", u.Host, want.Host)
	}
	path, query, _ := strings.Cut(want.URI, "?")
	if u.EscapedPath() != path {
		bad("path %s, want %s", u.EscapedPath(), path)
	}
	if sortedPairs(u.RawQuery) != sortedPairs(query) {
		bad("query %s, want %s", u.RawQuery, query)
	}
	for name, value := range want.Headers {
		have, ok := req.Header[http.CanonicalHeaderKey(name)]
		if !ok {
			bad("no header %s", name)
			continue
		}
		if plainHeader(have[0]) != plainHeader(value) {
			bad("header %s is %q, want %q", name, have[0], value)
		}
	}
	for _, name := range want.ForbidHeaders {
		if _, ok := req.Header[http.CanonicalHeaderKey(name)]; ok {
			bad("the header %s should not be there", name)
		}
	}
	for _, name := range want.RequireHeaders {
		if _, ok := req.Header[http.CanonicalHeaderKey(name)]; !ok && name != "Content-Length" {
			bad("no header %s", name)
		}
	}
	if want.Body != nil {
		if diff := compareBodies(op, requestBody(req), *want.Body); diff != "" {
			bad("%s", diff)
		}
	}
	return problems
}

// plainHeader makes headers comparable: the form's charset, and the blanks behind
// the commas of lists, are no difference.
func plainHeader(s string) string {
	return strings.TrimSuffix(strings.ReplaceAll(s, ", ", ","), "; charset=utf-8")
}

func requestBody(r *Request) []byte {
	if r.Stream == nil {
		return r.Body
	}
	b, _ := io.ReadAll(r.Stream)
	r.Stream, r.Body = nil, b
	return b
}

func sortedPairs(s string) string {
	pairs := strings.Split(s, "&")
	for i, p := range pairs {
		pairs[i] = strings.TrimSuffix(p, "=")
	}
	sort.Strings(pairs)
	return strings.Join(pairs, "&")
}

// compareBodies says how bodies differ as values, "" if they don't.
func compareBodies(op *Operation, got []byte, want string) string {
	differ := fmt.Sprintf("body %q, want %q", got, want)
	switch op.Service.Protocol {
	case EC2, Query:
		if sortedPairs(string(got)) == sortedPairs(want) {
			return ""
		}
	case CBOR:
		raw, err := base64.StdEncoding.DecodeString(want)
		if err != nil {
			return err.Error()
		}
		if len(raw) == 0 && len(got) == 0 {
			return ""
		}
		a, errA := (&cborDecoder{s: string(got)}).any()
		b, errB := (&cborDecoder{s: string(raw)}).any()
		if errA == nil && errB == nil && sameValue(a, b) {
			return ""
		}
		return fmt.Sprintf("body %v (%v), want %v (%v)", a, errA, b, errB)
	case JSON, RESTJSON:
		a, errA := parseJSON(string(got))
		b, errB := parseJSON(want)
		if errA == nil && errB == nil && sameValue(a, b) {
			return ""
		}
	case RESTXML:
		for _, ordered := range []bool{true, false} {
			a, errA := canonicalXML(string(got), ordered)
			b, errB := canonicalXML(want, ordered)
			// Maps have no order, lists have: so the values must be the same, too.
			if errA == nil && errB == nil && a == b && (ordered || sameXMLValues(op, string(got), want)) {
				return ""
			}
		}
	}
	if string(got) == want {
		return ""
	}
	return differ
}

// sameXMLValues says whether two bodies are the same input.
func sameXMLValues(op *Operation, a, b string) bool {
	x, errX := op.decodeRESTBody(op.Input, a, map[string]any{})
	y, errY := op.decodeRESTBody(op.Input, b, map[string]any{})
	return errX == nil && errY == nil && sameValue(x, y)
}

// canonicalXML writes a document with sorted attributes and without blanks around
// texts; the order of elements with different names is no difference, and where
// ordered is false, no order is.
func canonicalXML(text string, ordered bool) (string, error) {
	x, err := newXMLScanner(text)
	if err != nil {
		return "", err
	}
	if _, err := x.root(); err != nil {
		return "", err
	}
	return canonicalElement(x, ordered)
}

func canonicalElement(x *xmlScanner, ordered bool) (string, error) {
	name := x.stack[len(x.stack)-1]
	attrs := strings.Fields(strings.ReplaceAll(x.attrs, "'", `"`))
	sort.Strings(attrs)
	before := *x
	before.stack = slices.Clone(x.stack)
	text, err := before.text()
	if err != nil {
		return "", err
	}
	var children []string
	for {
		_, ok, err := x.open()
		if err != nil {
			return "", err
		}
		if !ok {
			break
		}
		c, err := canonicalElement(x, ordered)
		if err != nil {
			return "", err
		}
		children = append(children, c)
	}
	sort.SliceStable(children, func(i, j int) bool {
		if !ordered {
			return children[i] < children[j]
		}
		a, _, _ := strings.Cut(children[i], ">")
		b, _, _ := strings.Cut(children[j], ">")
		return a < b
	})
	return "<" + strings.Join(append([]string{name}, attrs...), " ") + ">" + strings.TrimSpace(text) + strings.Join(children, "") + "</" + name + ">", nil
}

// compareServer decodes a request as a server and encodes the input again: that
// must give the same request.
func compareServer(t *testing.T, op *Operation, req *Request) (problems []string) {
	t.Helper()
	catalog, err := NewCatalog([]byte(`{"partitions":[]}`), op.Service)
	if err != nil {
		t.Fatal(err)
	}
	body := requestBody(req)
	r := httptest.NewRequest(req.Method, req.URL, bytes.NewReader(body))
	r.Header = req.Header.Clone()
	r.Header.Set("Authorization", sigv4+" Credential=AKIDEXAMPLE/20260203/us-east-1/"+op.Service.SigningName+"/aws4_request, SignedHeaders=host, Signature=00")
	sr, err := catalog.DecodeRequest(r)
	if err != nil {
		return []string{"server: " + err.Error()}
	}
	if sr.Operation.Name != op.Name {
		return []string{"server: it took it for " + sr.Operation.Name}
	}
	dropHeaders(op.Input, sr.Input, "authorization", "content-length", "content-type")
	u, _ := url.Parse(req.URL)
	again, err := sr.Operation.EncodeRequest(sr.Input, Endpoint{URL: u.Scheme + "://" + u.Host})
	if err != nil {
		return []string{"server: " + err.Error()}
	}
	v, _ := url.Parse(again.URL)
	if u.EscapedPath() != v.EscapedPath() || sortedPairs(u.RawQuery) != sortedPairs(v.RawQuery) {
		problems = append(problems, fmt.Sprintf("server: URL %s, was %s", again.URL, req.URL))
	}
	if !reflect.DeepEqual(again.Header, req.Header) {
		problems = append(problems, fmt.Sprintf("server: headers %v, were %v", again.Header, req.Header))
	}
	if !bytes.Equal(requestBody(again), body) {
		if op.Service.Protocol != CBOR {
			problems = append(problems, fmt.Sprintf("server: body %q, was %q", again.Body, body))
		} else if diff := compareBodies(op, again.Body, base64.StdEncoding.EncodeToString(body)); diff != "" {
			problems = append(problems, "server: "+diff)
		}
	}
	return problems
}

// dropHeaders takes the transport's own headers out of members that hold all
// headers, whatever their names.
func dropHeaders(s *Shape, v map[string]any, names ...string) {
	if s == nil {
		return
	}
	for i := range s.Members {
		m := &s.Members[i]
		if all, ok := v[m.Name].(map[string]any); ok && m.Location == InHeaders && m.LocationName == "" {
			maps.DeleteFunc(all, func(k string, _ any) bool { return slices.Contains(names, strings.ToLower(k)) })
		}
	}
}

func TestProtocolOutputs(t *testing.T) {
	n := eachCase(t, "output", func(t *testing.T, op *Operation, _ protocolSuite, tc protocolCase) {
		h := http.Header{}
		for k, v := range tc.Response.Headers {
			h.Set(k, v)
		}
		text := ""
		if tc.Response.Body != nil {
			text = *tc.Response.Body
		} else if op.Service.Protocol == Query {
			text = "<xml/>"
		}
		if op.Service.Protocol == CBOR {
			raw, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			text = string(raw)
		}
		out, err := op.DecodeResponse(tc.Response.StatusCode, h, strings.NewReader(text))
		if tc.Error != nil {
			excepted(t, "output", tc.ID, compareError(out, err, tc))
			return
		}
		if err != nil {
			excepted(t, "output", tc.ID, []string{err.Error()})
			return
		}
		want, err := parseJSON(string(tc.Result))
		if err != nil {
			t.Fatal(err)
		}
		drain(t, op, out)
		var problems []string
		if !sameValue(out, want) {
			problems = append(problems, fmt.Sprintf("got  %v\nwant %v", out, want))
		}
		problems = append(problems, compareAgain(op, out)...)
		excepted(t, "output", tc.ID, problems)
	})
	t.Logf("%d cases", n)
}

// drain reads a stream.
func drain(t *testing.T, op *Operation, out map[string]any) {
	t.Helper()
	m := op.streamingOutput()
	if m == nil {
		return
	}
	b, err := io.ReadAll(out[m.Name].(io.Reader))
	// A case's checksum is made up, and not that of its body.
	if err != nil && !errors.Is(err, errCorrupted) {
		t.Fatal(err)
	}
	out[m.Name] = b
}

// compareAgain encodes an output as a server and decodes it again.
func compareAgain(op *Operation, out map[string]any) []string {
	w := httptest.NewRecorder()
	if err := op.EncodeResponse(w, out, "req-1"); err != nil {
		return []string{"server: " + err.Error()}
	}
	again, err := op.DecodeResponse(w.Code, w.Header(), w.Body)
	if err != nil {
		return []string{"server: " + err.Error()}
	}
	if m := op.streamingOutput(); m != nil {
		b, err := io.ReadAll(again[m.Name].(io.Reader))
		if err != nil {
			return []string{"server: " + err.Error()}
		}
		again[m.Name] = b
	}
	dropHeaders(op.Output, again, "content-length", "content-type", "x-amzn-requestid")
	if !sameValue(again, out) {
		return []string{fmt.Sprintf("server: got  %v\nwant %v", again, out)}
	}
	return nil
}

func compareError(out map[string]any, err error, tc protocolCase) []string {
	var e *Error
	if !errors.As(err, &e) || out != nil {
		return []string{fmt.Sprintf("got %v and the error %v", out, err)}
	}
	var problems []string
	if e.Code != tc.ErrorCode || tc.ErrorMessage != "" && e.Message != tc.ErrorMessage {
		problems = append(problems, fmt.Sprintf("code %q, message %q, want %q, %q", e.Code, e.Message, tc.ErrorCode, tc.ErrorMessage))
	}
	want, perr := parseJSON(string(tc.Error))
	if perr != nil {
		return []string{perr.Error()}
	}
	got := e.Fields
	if got == nil {
		got = map[string]any{}
	}
	if !sameValue(got, want) {
		problems = append(problems, fmt.Sprintf("fields %v, want %v; %v", e.Fields, want, e))
	}
	return problems
}

// sameValue compares values as the suite writes them: times as seconds, blobs as
// texts, special numbers by name.
func sameValue(a, b any) bool { return reflect.DeepEqual(plain(a), plain(b)) }

func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[k] = plain(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = plain(e)
		}
		return out
	case []byte:
		return string(v)
	case time.Time:
		return float64(v.UnixMilli()) / 1000
	case int64:
		return float64(v)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return formatFloat(v)
		}
	}
	return v
}
