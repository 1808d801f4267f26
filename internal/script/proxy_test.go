package script

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/knowngood/knowngood/awsapi"
)

// counting is a caller that answers nothing, and keeps what it was asked for.
type counting struct{ calls []string }

// Call implements awsapi.Caller.
func (c *counting) Call(_ context.Context, service, operation string, _ map[string]any, _ ...awsapi.CallOption) (map[string]any, error) {
	c.calls = append(c.calls, service+":"+operation)
	return map[string]any{}, nil
}

func newProxy(t testing.TB, open bool) (*proxy, *counting) {
	t.Helper()
	c, err := catalog()
	if err != nil {
		t.Fatal(err)
	}
	calls := &counting{}
	p := &proxy{catalog: c, caller: calls, region: "eu-west-1", open: open, note: func(string) {}}
	if err := p.init(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p, calls
}

// through sends the bytes of a request to a proxy and gives the status, 0 for a
// connection that was cut.
func through(p *proxy, raw []byte) (status int) {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return http.StatusBadRequest
	}
	if r.Method == http.MethodConnect {
		return http.StatusOK // it is but a connection
	}
	defer func() {
		if v := recover(); v != nil && v != http.ErrAbortHandler {
			panic(v)
		}
	}()
	w := httptest.NewRecorder()
	p.direct(w, r)
	return w.Code
}

const describe = "POST http://ec2.eu-west-1.amazonaws.com/ HTTP/1.1\r\nHost: ec2.eu-west-1.amazonaws.com\r\nContent-Type: application/x-www-form-urlencoded; charset=utf-8\r\nContent-Length: 41\r\n\r\nAction=DescribeVolumes&Version=2016-11-15\r\n"

func TestOnlyTheScriptIsServed(t *testing.T) {
	open, calls := newProxy(t, true)
	if status := through(open, []byte(describe)); status != 200 || len(calls.calls) != 1 {
		t.Errorf("contained: %d, %v", status, calls.calls)
	}
	shared, calls := newProxy(t, false)
	if status := through(shared, []byte(describe)); status != 403 || len(calls.calls) != 0 {
		t.Errorf("not contained: %d, %v", status, calls.calls)
	}
	for raw, want := range map[string]int{
		"GET / HTTP/1.1\r\nHost: ec2.eu-west-1.amazonaws.com\r\n\r\n":                                      400,
		"GET https://ec2.eu-west-1.amazonaws.com/ HTTP/1.1\r\nHost: ec2.eu-west-1.amazonaws.com\r\n\r\n":   400,
		"GET http://example.com/ HTTP/1.1\r\nHost: ec2.eu-west-1.amazonaws.com\r\n\r\n":                    403,
		"GET http://ec2.eu-west-1.amazonaws.com:22/ HTTP/1.1\r\nHost: ec2.eu-west-1.amazonaws.com\r\n\r\n": 403,
		"GET http://127.0.0.1/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n":                                        403,
		"GET http://[::1]:80/ HTTP/1.1\r\nHost: x\r\n\r\n":                                                 403,
	} {
		if got := through(open, []byte(raw)); got != want {
			t.Errorf("%q: %d, wanted %d", raw, got, want)
		}
	}
	over, calls := newProxy(t, true)
	over.close()
	if through(over, []byte(describe)); len(calls.calls) != 0 {
		t.Errorf("after the end: %v", calls.calls)
	}
}

// Whatever comes in, nothing panics, nothing is called that is not in the models,
// and where others could reach the proxy nothing is called without a signature.
func FuzzProxy(f *testing.F) {
	f.Add([]byte(describe))
	f.Add([]byte("POST http://dynamodb.eu-west-1.amazonaws.com/ HTTP/1.1\r\nHost: dynamodb.eu-west-1.amazonaws.com\r\nX-Amz-Target: DynamoDB_20120810.ListTables\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: 2\r\n\r\n{}"))
	f.Add([]byte("PUT http://b.s3.eu-west-1.amazonaws.com/k?partNumber=1&uploadId=u HTTP/1.1\r\nHost: b.s3.eu-west-1.amazonaws.com\r\nContent-Encoding: aws-chunked\r\nX-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\nX-Amz-Trailer: x-amz-checksum-crc32\r\nContent-Length: 44\r\n\r\n1\r\nx\r\n0\r\nx-amz-checksum-crc32:jNGzmA==\r\n\r\n"))
	f.Add([]byte("GET http://123456789012.s3-control.eu-west-1.amazonaws.com/v20180820/configuration/publicAccessBlock HTTP/1.1\r\nHost: 123456789012.s3-control.eu-west-1.amazonaws.com\r\nX-Amz-Account-Id: 123456789012\r\n\r\n"))
	f.Add([]byte("GET http://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ASIA%2F20260101%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00 HTTP/1.1\r\nHost: b.s3.amazonaws.com\r\n\r\n"))
	f.Add([]byte("POST http://monitoring.eu-west-1.amazonaws.com/service/GraniteServiceVersion20100801/operation/ListMetrics HTTP/1.1\r\nHost: monitoring.eu-west-1.amazonaws.com\r\nSmithy-Protocol: rpc-v2-cbor\r\nContent-Length: 1\r\n\r\n\xa0"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		open, calls := newProxy(t, true)
		through(open, raw)
		for _, c := range calls.calls {
			service, operation, _ := strings.Cut(c, ":")
			if _, err := open.catalog.Operation(service, operation); err != nil {
				t.Error(err)
			}
		}
		shared, calls := newProxy(t, false)
		if through(shared, raw); len(calls.calls) > 0 {
			t.Errorf("%v was called without a signature", calls.calls)
		}
	})
}

// What a script's process says of itself may be anything.
func FuzzResult(f *testing.F) {
	f.Add([]byte(`{"Payload": {"a": [1, 1.5, null]}}`))
	f.Add([]byte(`{"Error": {"Class": "KeyError", "Message": "'a'"}}`))
	f.Add([]byte(`{"Payload": [`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e := end{raw: raw, status: "exit status 0"}
		if got := e.result(Limits{}); got.Failure == nil {
			jsonText(t, got.Payload)
		}
	})
}

func TestTheTailIsKept(t *testing.T) {
	l := &tail{keep: 10}
	for _, s := range []string{"0123456789", "abc", "é", strings.Repeat("x", 100), "ünd"} {
		_, _ = l.Write([]byte(s))
	}
	if got := l.String(); got != "xxxxxxünd" {
		t.Errorf("%q", got)
	}
	l = &tail{keep: 4}
	_, _ = l.Write([]byte("aaéé€"))
	if got := l.String(); got != "€" {
		t.Errorf("a rune that was cut: %q", got)
	}
}
