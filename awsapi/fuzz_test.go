package awsapi

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
)

// fuzzShape is a structure with members of every kind, and itself.
func fuzzShape() *Shape {
	s := &Shape{Name: "S", Type: Structure}
	s.Members = []Member{
		{Name: "Self", Shape: s},
		{Name: "List", Shape: &Shape{Type: List, Elem: &Member{Shape: s}}},
		{Name: "Flat", Shape: &Shape{Type: List, Elem: &Member{Shape: &Shape{Type: String}}}, Flags: MemberFlattened},
		{Name: "Map", Shape: &Shape{Type: Map, Key: &Member{Shape: &Shape{Type: String}}, Elem: &Member{Shape: s}}},
		{Name: "FlatMap", Shape: &Shape{Type: Map, Key: &Member{Shape: &Shape{Type: String}}, Elem: &Member{Shape: &Shape{Type: String}}}, Flags: MemberFlattened},
		{Name: "Text", Shape: &Shape{Type: String}},
		{Name: "Int", Shape: &Shape{Type: Long}},
		{Name: "Float", Shape: &Shape{Type: Double}},
		{Name: "Bool", Shape: &Shape{Type: Boolean}},
		{Name: "Blob", Shape: &Shape{Type: Blob}},
		{Name: "Time", Shape: &Shape{Type: Timestamp}},
		{Name: "Doc", Shape: &Shape{Type: Structure, Flags: Document}},
		{Name: "Attr", Shape: &Shape{Type: String}, LocationName: "x:attr", Flags: XMLAttribute},
	}
	return s
}

// again checks that what was decoded can be encoded, and is then decoded to the
// same.
func again(t *testing.T, s *Shape, v map[string]any, encode func(map[string]any) ([]byte, error), decode func(string) (map[string]any, error)) {
	t.Helper()
	raw, err := encode(v)
	if err != nil {
		t.Fatalf("encode %v: %v", v, err)
	}
	got, err := decode(string(raw))
	if err != nil {
		t.Fatalf("decode %q of %v: %v", raw, v, err)
	}
	if !reflect.DeepEqual(plain(got), plain(v)) {
		t.Fatalf("got  %v\nwant %v\nfrom %q", got, v, raw)
	}
}

// bounded checks that what was read of a document is no deeper than it may be, and
// has no more values than the document has bytes.
func bounded(t *testing.T, v any, document string) {
	t.Helper()
	n := 0
	var count func(v any, depth int)
	count = func(v any, depth int) {
		if n++; depth > maxNesting+1 {
			t.Fatalf("%d deep", depth)
		}
		switch v := v.(type) {
		case map[string]any:
			for _, e := range v {
				count(e, depth+1)
			}
		case []any:
			for _, e := range v {
				count(e, depth+1)
			}
		case string, int64, float64, bool, []byte, time.Time, nil:
		default:
			t.Fatalf("a %T", v)
		}
	}
	count(v, 0)
	if n > len(document)+1 {
		t.Fatalf("%d values of %d bytes", n, len(document))
	}
}

func FuzzXML(f *testing.F) {
	for _, seed := range []string{
		volumesXML, `<?xml version="1.0"?><!-- c --><R xmlns:x="u" x:attr='a&amp;b'><Text>a&#10;b<![CDATA[<c>]]>d</Text><Int> 7 </Int><Time>2026-01-02T03:04:05Z</Time></R>`,
		`<R><Self><Self/></Self><List><member><Text/></member><member/></List><Flat>a</Flat><Flat>b</Flat></R>`,
		`<R><Map><entry><key>k</key><value><Bool>true</Bool></value></entry></Map><FlatMap><key>a</key><value>b</value></FlatMap></R>`,
		`<R><FlatMap><key>a</key><other>b</other></FlatMap></R>`,
		`<R><Blob>AAEC</Blob><Float>1e300</Float><Float>NaN</Float></R>`, `<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`, "<a><b></a></b>", "<a b=>", "<", "",
		strings.Repeat("<a>", 200),
	} {
		f.Add(seed)
	}
	s := fuzzShape()
	decode := func(text string) (map[string]any, error) {
		return (&Operation{Service: &Service{}}).decodeXMLBody(s, text, nil)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := parseXMLTree(text); err == nil {
			x, _ := newXMLScanner(text)
			if _, err := x.root(); err != nil {
				t.Fatalf("the tree was read, the root is not: %v", err)
			}
		}
		v, err := decode(text)
		if err != nil {
			return
		}
		bounded(t, v, text)
		again(t, s, withoutNil(v).(map[string]any), func(v map[string]any) ([]byte, error) {
			e := newXMLEncoder()
			err := e.structure("R", s, v)
			return e.b, err
		}, func(text string) (map[string]any, error) {
			v, err := decode(text)
			return withoutNil(v).(map[string]any), err
		})
	})
}

// withoutNil takes out of lists what XML can't tell from an empty element, and
// empty flattened ones, maps too, and makes documents empty, which XML does not
// have.
func withoutNil(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = withoutNil(e)
			if m, ok := v[k].(map[string]any); e == nil || k == "Doc" || k == "FlatMap" && ok && len(m) == 0 {
				delete(v, k)
			}
		}
	case []any:
		for i, e := range v {
			v[i] = withoutNil(e)
		}
	}
	return v
}

func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{"Self":{"Text":"a\u00e9\ud83d\ude00\n"},"List":[{"Int":9223372036854775807},null],"Time":1.5}`, `{"Map":{"k":{"Bool":true}},"Doc":{"a":[1,2.5,null,"x"]},"Blob":"AAEC"}`,
		`{"Float":"NaN","Time":"2026-01-02T03:04:05Z","Int":1e3}`, `{"a":[[[[{}]]]]}`, `{"Text":"\ud800"}`, `[]`, `{`, `{"a":1,}`, `nul`, "", strings.Repeat(`{"Self":`, 200),
	} {
		f.Add(seed)
	}
	s := fuzzShape()
	decode := func(text string) (map[string]any, error) { return decodeJSONBody(s, text, nil) }
	f.Fuzz(func(t *testing.T, text string) {
		if v, err := parseJSON(text); err == nil {
			raw, err := appendDocument(nil, v, 0)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := parseJSON(string(raw)); err != nil || !sameValue(got, v) {
				t.Fatalf("%q became %v, %v", raw, got, err)
			}
		}
		if v, err := decode(text); err == nil {
			bounded(t, v, text)
			again(t, s, v, func(v map[string]any) ([]byte, error) { return appendJSONStructure(nil, s, v) }, decode)
		}
	})
}

func FuzzCBOR(f *testing.F) {
	for _, seed := range []string{
		"\xa1\x64Text\x61a", "\xbf\x64List\x9f\xa0\xff\xff", "\xa1\x64Time\xc1\x1a\x00\x00\x00\x01", "\xa1\x65Float\xf9\x7e\x00", "\xa1\x63Int\x1b\x7f\xff\xff\xff\xff\xff\xff\xff",
		"\xa1\x64Blob\x5f\x41a\x41b\xff", "\xa1\x63Doc\x82\x01\xf6", "\xbb\xff\xff\xff\xff\xff\xff\xff\xff", "\x9f", "", strings.Repeat("\x81", 200),
	} {
		f.Add(seed)
	}
	s := fuzzShape()
	decode := func(text string) (map[string]any, error) { return decodeCBORBody(s, text) }
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = (&cborDecoder{s: text}).any()
		v, err := decode(text)
		if err != nil {
			return
		}
		bounded(t, v, text)
		delete(v, "Doc") // may hold what only JSON documents can't
		raw, err := appendCBORStructure(nil, s, v)
		if err != nil {
			return // a document below
		}
		if got, err := decode(string(raw)); err != nil || !reflect.DeepEqual(plain(got), plain(v)) {
			t.Fatalf("got  %v, %v\nwant %v\nfrom %x", got, err, v, raw)
		}
	})
}

// FuzzDecodeResponse reads anything as the response of one operation of each
// protocol: that gives an output or an *Error, never both and never neither.
func FuzzDecodeResponse(f *testing.F) {
	for i := range perProtocol {
		f.Add(uint8(i), 200, "", "")
		f.Add(uint8(i), 503, "text/html", html503)
		f.Add(uint8(i), 200, "text/html", html503)
	}
	f.Add(uint8(0), 400, "text/xml", "<Response><Errors><Error><Code>InvalidVolume.NotFound</Code><Message>m</Message></Error></Errors><RequestID>r</RequestID></Response>")
	f.Add(uint8(1), 404, "text/xml", "<ErrorResponse><Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>m</Message></Error><RequestId>r</RequestId></ErrorResponse>")
	f.Add(uint8(2), 400, "application/x-amz-json-1.1", `{"__type":"com.amazonaws.kms#NotFoundException:http://x","message":"m"}`)
	f.Add(uint8(3), 200, "application/json", `{"Configuration":{"MemorySize":128},"Tags":{"a":null}}`)
	f.Add(uint8(4), 200, "application/xml", `<Error><Code>SlowDown</Code><Message>m</Message><Region>us-west-2</Region></Error>`)
	f.Add(uint8(5), 400, cborType, "\xbf\x66__type\x61a\x67message\x61m\xff")
	ops := perProtocolOperations(f)
	f.Fuzz(func(t *testing.T, which uint8, status int, contentType, body string) {
		op := ops[int(which)%len(ops)]
		h := http.Header{"Content-Type": {contentType}}
		if op.Service.Protocol == CBOR {
			h.Set("Smithy-Protocol", "rpc-v2-cbor")
		}
		out, err := op.DecodeResponse(status, h, strings.NewReader(body))
		if err == nil {
			if out == nil || status >= 300 {
				t.Fatalf("status %d gave %v without an error", status, out)
			}
			bounded(t, out, body+contentType)
			return
		}
		var e *Error
		if out != nil || !errors.As(err, &e) || e.Code == "" || e.Operation != op.Name || e.Status != status && op.Service.Name != "s3" {
			t.Fatalf("got %v, %v", out, err)
		}
		bounded(t, e.Fields, body+contentType)
	})
}

func FuzzDecodeRequest(f *testing.F) {
	f.Add("POST", "/", "Action=DescribeVolumes&Version=2016-11-15&VolumeId.1=v", "application/x-www-form-urlencoded", "ec2")
	f.Add("GET", "/bucket/a%2Fb/c?list-type=2&X-Amz-Credential=a/b/c/s3/aws4_request", "", "", "s3")
	f.Add("PUT", "/2015-03-31/functions/f%20/code", `{"ZipFile":"AA=="}`, "application/json", "lambda")
	f.Add("POST", "/service/GraniteServiceVersion20100801/operation/DescribeAlarms", "\xa0", "application/cbor", "monitoring")
	catalog := testCatalog(f)
	f.Fuzz(func(t *testing.T, method, target, body, contentType, service string) {
		if !strings.HasPrefix(target, "/") || strings.ContainsAny(target+method, " \r\n\x00") || method == "" {
			return
		}
		defer func() {
			// httptest.NewRequest panics on what is no request at all.
			if p := recover(); p != nil && !strings.Contains(strings.ToLower(stringOf(p)), "invalid newrequest") {
				panic(p)
			}
		}()
		r := httptest.NewRequest(method, target, strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Authorization", sigv4+" Credential=AK/20260203/us-east-1/"+service+"/aws4_request, SignedHeaders=host, Signature=00")
		if contentType == cborType {
			r.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
		}
		sr, err := catalog.DecodeRequest(r)
		if err == nil && (sr.Operation == nil || sr.Input == nil) {
			t.Fatalf("no operation and no error: %+v", sr)
		}
		if e := VerifySignature(r, []byte(body), testSecret, testTime); e == nil {
			t.Fatal("a made-up signature was taken for good")
		}
	})
}

func stringOf(v any) string {
	if err, ok := v.(error); ok {
		return err.Error()
	}
	s, _ := v.(string)
	return s
}
