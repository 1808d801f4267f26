package awsapi

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// perProtocol is one operation of each protocol.
var perProtocol = []struct {
	protocol           Protocol
	service, operation string
}{
	{EC2, "ec2", "DescribeVolumes"}, {Query, "iam", "GetRole"}, {JSON, "kms", "DescribeKey"}, {RESTJSON, "lambda", "GetFunction"},
	{RESTXML, "s3", "ListObjectsV2"}, {CBOR, "cloudwatch", "DescribeAlarms"},
}

// perProtocolOperations are the operations of perProtocol. The client prefers JSON,
// as botocore does, to CBOR, so here the latter's service is made to speak it.
func perProtocolOperations(t testing.TB) []*Operation {
	t.Helper()
	catalog, err := OpenPack(embedded) // to change it
	if err != nil {
		t.Fatal(err)
	}
	ops := make([]*Operation, len(perProtocol))
	for i, p := range perProtocol {
		if ops[i], err = catalog.Operation(p.service, p.operation); err != nil {
			t.Fatal(err)
		}
		s := ops[i].Service
		if s.Protocol != p.protocol && !slices.Contains(s.Protocols, string(p.protocol)) {
			t.Fatalf("%s does not speak %s", s.Name, p.protocol)
		}
		s.Protocol = p.protocol
	}
	return ops
}

const html503 = "<!DOCTYPE html>\n<html><head><title>503 Service Unavailable</title></head><body><center><h1>503</h1></center></body></html>"

// response is a good response of an operation, with all of its members.
func response(t *testing.T, op *Operation) (http.Header, string) {
	t.Helper()
	w := httptest.NewRecorder()
	if err := op.EncodeResponse(w, sample{all: true}.structure(op.Output, 0), "r"); err != nil {
		t.Fatal(err)
	}
	w.Header().Del("Content-Length")
	return w.Header(), w.Body.String()
}

// TestNoResponseIsTakenInPart cuts a response of each protocol at every byte.
func TestNoResponseIsTakenInPart(t *testing.T) {
	for i, op := range perProtocolOperations(t) {
		p := perProtocol[i]
		h, whole := response(t, op)
		if out, err := op.DecodeResponse(200, h, strings.NewReader(whole)); err != nil || len(out) == 0 {
			t.Fatalf("%s: the whole of it: %v, %v", p.service, out, err)
		}
		for i := 1; i < len(whole); i++ {
			out, err := op.DecodeResponse(200, h, strings.NewReader(whole[:i]))
			var e *Error
			if !errors.As(err, &e) || out != nil || e.Code != CodeIncompleteResponse || !e.Retryable {
				t.Fatalf("%s cut at %d of %d: %v, %v", p.service, i, len(whole), out, err)
			}
		}
	}
}

// TestBadResponsesAreTypedErrors has the ways in which a response can be bad, in
// each protocol.
func TestBadResponsesAreTypedErrors(t *testing.T) {
	// deep is a document that is nested more deeply than it may be, in the form of
	// the protocol and of a member that the model does not have.
	deep := map[Protocol]string{
		EC2: "<R>" + strings.Repeat("<a>", 1000) + strings.Repeat("</a>", 1000) + "</R>", JSON: `{"a":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + "}",
		CBOR: "\xa1\x61a" + strings.Repeat("\x81", 1000) + "\x00",
	}
	deep[Query], deep[RESTXML], deep[RESTJSON] = deep[EC2], deep[EC2], deep[JSON]
	other := map[Protocol]string{EC2: `{"Volumes":[]}`, Query: `{"Role":{}}`, RESTXML: `{"Contents":[]}`, JSON: "<R/>", RESTJSON: "<R/>", CBOR: "{}"}
	for i, op := range perProtocolOperations(t) {
		p := perProtocol[i]
		good, whole := response(t, op)
		page := http.Header{"Content-Type": {"text/html"}}
		for _, tc := range []struct {
			name      string
			status    int
			header    http.Header
			body      string
			limit     int64
			code      string
			retryable bool
			cause     error
		}{
			{"too deep", 200, good, deep[p.protocol], maxResponse, CodeInvalidResponse, false, errNested},
			{"too large", 200, good, whole, int64(len(whole) - 1), CodeInvalidResponse, false, errTooLarge},
			{"another protocol's", 200, http.Header{"Content-Type": {"application/x-other"}}, other[p.protocol], maxResponse, CodeInvalidResponse, false, nil},
			{"an HTML page", 200, page, html503, maxResponse, CodeInvalidResponse, false, nil},
			{"noise", 200, good, "\x00\xff\xfe", maxResponse, CodeInvalidResponse, false, nil},
			{"two documents", 200, good, whole + whole, maxResponse, CodeInvalidResponse, false, nil},
			{"an HTML 503", 503, page, html503, maxResponse, "503", true, nil},
			{"an HTML 403", 403, page, html503, maxResponse, "403", false, nil},
			{"an error that is too deep", 500, good, deep[p.protocol], maxResponse, "500", true, errNested},
			{"an error that is too large", 500, good, whole, int64(len(whole) - 1), "500", true, errTooLarge},
			{"an empty 500", 500, http.Header{}, "", maxResponse, "500", true, nil},
			{"a success's body in an error", 400, good, whole, maxResponse, "400", false, nil},
		} {
			t.Run(string(p.protocol)+" "+tc.name, func(t *testing.T) {
				out, err := op.decodeResponse(tc.status, tc.header, strings.NewReader(tc.body), tc.limit)
				var e *Error
				if !errors.As(err, &e) || out != nil {
					t.Fatalf("got %v, %v", out, err)
				}
				if e.Code != tc.code || e.Status != tc.status || e.Retryable != tc.retryable || e.Service != p.service || e.Operation != p.operation {
					t.Errorf("got %+v", e)
				}
				if tc.cause != nil && !errors.Is(err, tc.cause) {
					t.Errorf("got %v, want %v", err, tc.cause)
				}
			})
		}
	}
}
