package awsapi

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Request is an HTTP request before it is signed.
type Request struct {
	Method string
	URL    string // absolute, escaped as it goes over the wire
	Header http.Header
	Body   []byte
	// Stream is a streaming payload, in place of Body. It is read once.
	Stream io.Reader
}

// maxResponse bounds what DecodeResponse reads into memory. A streaming
// payload is not read and so not bounded.
const maxResponse = 256 << 20

// errTooLarge says that a body is larger than it may be.
var errTooLarge = errors.New("the body is too large")

// EncodeRequest makes the HTTP request of a call. Members are as Validate
// takes them; nil is as good as absent. What botocore changes in a few services'
// inputs is changed likewise: an id of Route 53 may be the path as which it is given
// out, S3's CopySource is escaped, and a key of the caller's own is encoded. The endpoint is that which the
// service's rules give, which for S3 has the bucket in it. Operations with an
// event stream are refused. The error is not an *Error.
func (o *Operation) EncodeRequest(in map[string]any, ep Endpoint) (*Request, error) {
	if o.EventStream() {
		return nil, fmt.Errorf("awsapi: %s %s is an event stream, which is not supported", o.Service.Name, o.Name)
	}
	r, err := o.encodeRequest(in, ep)
	if err != nil {
		return nil, fmt.Errorf("awsapi: %s %s: %w", o.Service.Name, o.Name, err)
	}
	return r, nil
}

func (o *Operation) encodeRequest(in map[string]any, ep Endpoint) (*Request, error) {
	w := &requestWriter{op: o, r: &Request{Method: o.Method, Header: http.Header{}}}
	for name, values := range ep.Headers {
		w.r.Header[http.CanonicalHeaderKey(name)] = values
	}
	in = o.adjusted(in)
	if err := w.write(in); err != nil {
		return nil, err
	}
	if err := w.custom(); err != nil {
		return nil, err
	}
	prefix, err := o.hostPrefix(in)
	if err != nil {
		return nil, err
	}
	if w.r.URL, err = joinURL(ep.URL, prefix, w.path, w.query); err != nil {
		return nil, err
	}
	if err := w.compress(); err != nil {
		return nil, err
	}
	return w.r, w.checksum(in)
}

// minCompressed is the size from which on a body is compressed, as AWS's SDKs have
// it.
const minCompressed = 10 << 10

// compress compresses the body if the operation takes that.
func (w *requestWriter) compress() error {
	if !slices.Contains(w.op.RequestCompression, "gzip") || len(w.r.Body) < minCompressed {
		return nil
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(w.r.Body); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	w.r.Body = b.Bytes()
	encodings := append(w.r.Header.Values("Content-Encoding"), "gzip")
	w.r.Header.Set("Content-Encoding", strings.Join(encodings, ", "))
	return nil
}

// requestWriter collects the parts of a request.
type requestWriter struct {
	op    *Operation
	r     *Request
	path  string // escaped
	query string // escaped, without ?
}

func (w *requestWriter) write(in map[string]any) error {
	o, h := w.op, w.r.Header
	w.path = "/"
	input := o.Input
	if input == nil {
		if len(in) > 0 {
			return errors.New("it takes no input")
		}
		input = &Shape{}
	}
	var err error
	switch o.Service.Protocol {
	case EC2, Query:
		h.Set("Content-Type", formType)
		w.r.Body, err = encodeForm(o, in)
	case JSON:
		h.Set("X-Amz-Target", o.Service.TargetPrefix+"."+o.Name)
		h.Set("Content-Type", "application/x-amz-json-"+o.Service.JSONVersion)
		w.queryMode()
		w.r.Body, err = appendJSONStructure(nil, input, in)
	case CBOR:
		w.path = "/service/" + o.Service.TargetPrefix + "/operation/" + o.Name
		h.Set("Smithy-Protocol", "rpc-v2-cbor")
		h.Set("Accept", cborType)
		w.queryMode()
		if o.Input != nil {
			h.Set("Content-Type", cborType)
			w.r.Body, err = appendCBORStructure(nil, input, in)
		}
	case RESTJSON, RESTXML:
		err = w.rest(input, in)
	default:
		err = fmt.Errorf("it speaks the unknown protocol %q", o.Service.Protocol)
	}
	return err
}

// queryMode asks a service that once spoke the query protocol for that
// protocol's error codes.
func (w *requestWriter) queryMode() {
	if w.op.Service.QueryCompatible {
		w.r.Header.Set("X-Amzn-Query-Mode", "true")
	}
}

// hostPrefix fills in the template of the endpoint trait.
func (o *Operation) hostPrefix(in map[string]any) (string, error) {
	if o.HostPrefix == "" || o.Service.Name == "s3control" && o.HostPrefix == "{AccountId}." {
		return "", nil // s3control's rules put the account into the host already
	}
	prefix := o.HostPrefix
	for i := range inputMembers(o) {
		m := &o.Input.Members[i]
		if !m.Is(HostLabel) {
			continue
		}
		label, _ := in[m.Name].(string)
		if !isHostPrefix(label) {
			return "", inMember(m.Name, fmt.Errorf("it is a part of the host name, and %q can't be one", label))
		}
		prefix = strings.ReplaceAll(prefix, "{"+m.Name+"}", label)
	}
	return prefix, nil
}

func inputMembers(o *Operation) []Member {
	if o.Input == nil {
		return nil
	}
	return o.Input.Members
}

// isHostPrefix says whether a text may stand in a host name's first labels.
func isHostPrefix(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.') {
			return false
		}
	}
	return s != ""
}

// joinURL puts a request's path and query behind an endpoint. A host prefix is
// left out where the host is an address or localhost, for there it would
// resolve to nothing.
func joinURL(endpoint, prefix, path, query string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", fmt.Errorf("the endpoint: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("the endpoint %q is not an http or https URL", endpoint)
	}
	if !isLocal(u.Hostname()) {
		u.Host = prefix + u.Host
	}
	path = strings.TrimSuffix(u.EscapedPath(), "/") + path
	if path == "" {
		path = "/"
	}
	full := u.Scheme + "://" + u.Host + path
	if u.RawQuery != "" && query != "" {
		query = u.RawQuery + "&" + query
	} else if query == "" {
		query = u.RawQuery
	}
	if query != "" {
		full += "?" + query
	}
	return full, nil
}

func isLocal(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || net.ParseIP(host) != nil
}

// DecodeResponse reads what a service answered. The output's members are as the
// model has them; those that the service did not send are absent. A streaming
// payload is the body itself, as an io.ReadCloser that the caller closes;
// otherwise the body has been read to its end, and the caller closes it. The
// error is always an *Error: that which the service sent, or one that says
// what is wrong with the response. There never is an output beside an error.
func (o *Operation) DecodeResponse(status int, h http.Header, body io.Reader) (map[string]any, error) {
	return o.decodeResponse(status, h, body, maxResponse)
}

func (o *Operation) decodeResponse(status int, h http.Header, body io.Reader, limit int64) (map[string]any, error) {
	if o.EventStream() {
		return nil, o.invalid(status, h, errors.New("it is an event stream, which is not supported"))
	}
	if m := o.streamingOutput(); m != nil && status < 300 {
		out := map[string]any{}
		if err := readHeaders(o.Output, status, h, out); err != nil {
			return nil, o.invalid(status, h, err)
		}
		closer, ok := body.(io.ReadCloser)
		if !ok {
			closer = io.NopCloser(body)
		}
		out[m.Name] = o.verifying(status, h, closer)
		return out, nil
	}
	text, err := readAll(body, h, limit)
	if err != nil {
		e := o.invalid(status, h, err)
		if !errors.Is(err, errTooLarge) {
			e.Code, e.Retryable = CodeIncompleteResponse, true
		}
		return nil, e
	}
	if status >= 300 {
		return nil, o.decodeError(status, h, text)
	}
	if err := verifyCRC32(h, text); err != nil {
		return nil, o.invalid(status, h, err)
	}
	out, err := o.decodeOutput(status, h, text)
	if err != nil {
		var e *Error
		if errors.As(err, &e) {
			return nil, e
		}
		return nil, o.invalid(status, h, err)
	}
	return out, nil
}

// streamingOutput is the member that is a streaming payload, or nil.
func (o *Operation) streamingOutput() *Member { return streamingPayload(o.Output) }

func streamingPayload(s *Shape) *Member {
	if s == nil || s.Payload == "" {
		return nil
	}
	m := s.Member(s.Payload)
	if m != nil && m.Shape.Type == Blob && (m.Shape.Is(Streaming) || m.Is(MemberStreaming)) {
		return m
	}
	return nil
}

// readAll reads a body into a text. One whose length is said takes no more memory
// than that, but what is said is not believed beyond 8 MB.
func readAll(body io.Reader, h http.Header, limit int64) (string, error) {
	if body == nil {
		return "", nil
	}
	body = io.LimitReader(body, limit+1)
	var text strings.Builder
	if n := contentLength(h); n > 0 && n <= min(limit, 8<<20) {
		text.Grow(int(n))
		block := make([]byte, min(n+1, 32<<10)) // one more, to see the end
		if _, err := io.CopyBuffer(&text, body, block); err != nil {
			return "", err
		}
	} else {
		blocks, err := readBlocks(body)
		if err != nil {
			return "", err
		}
		n := 0
		for _, b := range blocks {
			n += len(b)
		}
		text.Grow(n)
		for _, b := range blocks {
			text.Write(b)
		}
	}
	if int64(text.Len()) > limit {
		return "", fmt.Errorf("%w: more than %d bytes", errTooLarge, limit)
	}
	return text.String(), nil
}

// readBlocks reads to the end, in blocks that are larger and larger: a text that
// grows would be moved again and again.
func readBlocks(r io.Reader) ([][]byte, error) {
	var blocks [][]byte
	block := make([]byte, 0, 4<<10)
	for {
		n, err := r.Read(block[len(block):cap(block)])
		block = block[:len(block)+n]
		if err == io.EOF {
			return append(blocks, block), nil
		}
		if err != nil {
			return nil, err
		}
		if len(block) == cap(block) {
			blocks = append(blocks, block)
			block = make([]byte, 0, min(2*cap(block), 256<<10))
		}
	}
}

// contentLength is the header's number, 0 if there is none.
func contentLength(h http.Header) int64 {
	n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func (o *Operation) decodeOutput(status int, h http.Header, text string) (map[string]any, error) {
	switch o.Service.Protocol {
	case EC2, Query:
		return o.decodeQueryOutput(text)
	case JSON:
		if o.Output == nil {
			return map[string]any{}, nil
		}
		return decodeJSONBody(o.Output, text, nil)
	case CBOR:
		if p, t := h.Get("Smithy-Protocol"), h.Get("Content-Type"); p != "rpc-v2-cbor" && (p != "" || t != "" && t != cborType) {
			return nil, fmt.Errorf("the response is not of the protocol rpc-v2-cbor but %q, %q", clip(p), clip(t))
		}
		if o.Output == nil {
			return map[string]any{}, nil
		}
		return decodeCBORBody(o.Output, text)
	default:
		if err := o.s3Error(h, text); err != nil {
			return nil, err
		}
		out := map[string]any{}
		if o.Output == nil {
			return out, nil
		}
		if err := readHeaders(o.Output, status, h, out); err != nil {
			return nil, err
		}
		return o.decodeRESTBody(o.Output, text, out)
	}
}

// decodeJSONBody reads a whole document. An empty one is as good as {}.
func decodeJSONBody(s *Shape, text string, into map[string]any) (map[string]any, error) {
	if text == "" {
		if into == nil {
			into = map[string]any{}
		}
		return into, nil
	}
	d, err := newJSONDecoder(text)
	if err != nil {
		return nil, err
	}
	out, err := d.structure(s, into, 0)
	if err != nil {
		return nil, err
	}
	return out, d.end()
}

// decodeQueryOutput reads <XResponse><XResult>...</XResult></XResponse>, in
// ec2 without the result in between.
func (o *Operation) decodeQueryOutput(text string) (map[string]any, error) {
	x, err := newXMLScanner(text)
	if err != nil {
		return nil, err
	}
	d := xmlDecoder{xmlScanner: x}
	name, err := d.root()
	if err != nil {
		return nil, err
	}
	if strings.EqualFold(name, "html") || name == "ErrorResponse" {
		return nil, fmt.Errorf("the response has the root element <%s>", name)
	}
	out := map[string]any{}
	switch {
	case o.Output == nil:
		err = d.skip()
	case o.ResultWrapper == "":
		out, err = d.structure(o.Output, nil, 0)
	default:
		found := false
		for {
			name, ok, err := d.open()
			if err != nil {
				return nil, err
			}
			if !ok {
				break
			}
			if name != o.ResultWrapper {
				err = d.skip()
			} else {
				found = true
				out, err = d.structure(o.Output, nil, 0)
			}
			if err != nil {
				return nil, err
			}
		}
		if !found && len(o.Output.Members) > 0 {
			return nil, fmt.Errorf("the response has no <%s>", o.ResultWrapper)
		}
	}
	if err != nil {
		return nil, err
	}
	return out, d.end()
}
