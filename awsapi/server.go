package awsapi

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// ServerRequest is a call as a server sees it.
type ServerRequest struct {
	Service   *Service
	Operation *Operation
	Protocol  Protocol // that the client speaks
	// Region is that of the signature's scope, "" for a request that is not
	// signed, or is signed for many Regions.
	Region       string
	AccessKeyID  string
	SessionToken string
	Input        map[string]any
	Header       http.Header
	Signed       bool // it has a signature, which has not been verified
	Raw          *http.Request
	Body         []byte // as it is signed: out of aws-chunked, but not of gzip

	text   string      // the body, out of gzip where the protocol has that
	header http.Header // the header, without that encoding
}

// DecodeRequest finds out what a request asks for and reads its input. The
// service is that of the SigV4 scope, or where a request is not signed that of
// its host or target; the operation is that of X-Amz-Target, of Action, of the
// path of rpc-v2-cbor, or of the REST path. A streaming payload is []byte.
//
// An error is an *Error with a Status to answer with. Beside it the request may
// be given as far as it is understood: with its Service, WriteError can answer
// in its protocol. The signature is not verified: VerifySignature does that.
func (c *Catalog) DecodeRequest(r *http.Request) (*ServerRequest, error) {
	sr := &ServerRequest{Header: r.Header, Raw: r}
	var err error
	if sr.Body, err = readRequestBody(r); err != nil {
		return sr, serverError(400, "InvalidRequest", err.Error())
	}
	sr.text, sr.header = string(sr.Body), r.Header
	sr.unpost()
	sig, signed, err := parseSignature(r)
	if err != nil {
		return sr, serverError(400, "IncompleteSignature", err.Error())
	}
	sr.Signed = signed
	sr.AccessKeyID, sr.Region, sr.SessionToken = sig.accessKeyID, sig.region, sig.sessionToken
	if strings.HasSuffix(r.Header.Get("Content-Encoding"), "gzip") && sig.service != "s3" {
		// To S3 it is a property of the object, to others the request's.
		if sr.text, err = gunzip(sr.Body); err != nil {
			return sr, serverError(400, "InvalidRequest", "the body is not gzip: "+err.Error())
		}
		sr.header = r.Header.Clone()
		encodings := strings.Split(r.Header.Get("Content-Encoding"), ",")
		sr.header.Set("Content-Encoding", strings.Join(encodings[:len(encodings)-1], ","))
		if len(encodings) == 1 {
			sr.header.Del("Content-Encoding")
		}
	}
	return sr, c.route(sr, sig.service)
}

func serverError(status int, code, message string) *Error {
	e := &Error{Status: status, Code: code, Message: message}
	e.classify(nil)
	return e
}

// readRequestBody reads the body, out of its chunks if it is sent aws-chunked.
func readRequestBody(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxResponse+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxResponse {
		return nil, errTooLarge
	}
	if strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		return unchunk(body)
	}
	return body, nil
}

func gunzip(b []byte) (string, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return "", err
	}
	return readAll(z, nil, maxResponse)
}

// unchunk reads aws-chunked: "SIZE[;chunk-signature=...]\r\nDATA\r\n", at the end a
// chunk of size 0 and the trailers. Signatures of chunks are not verified.
func unchunk(b []byte) ([]byte, error) {
	var out []byte
	for {
		line, rest, ok := bytes.Cut(b, []byte("\r\n"))
		if !ok {
			return nil, fmt.Errorf("an aws-chunked body that ends too early: %w", io.ErrUnexpectedEOF)
		}
		size, _, _ := strings.Cut(string(line), ";")
		n, err := strconv.ParseUint(size, 16, 32)
		if err != nil {
			return nil, fmt.Errorf("an aws-chunked body with the chunk size %q", clip(size))
		}
		if n == 0 {
			return out, nil
		}
		if uint64(len(rest)) < n+2 {
			return nil, fmt.Errorf("an aws-chunked body that ends too early: %w", io.ErrUnexpectedEOF)
		}
		out = append(out, rest[:n]...)
		b = rest[n+2:]
	}
}

// hint is what a request says of its service and operation, besides the scope.
type hint struct {
	target    string // X-Amz-Target before the last dot, or the service in a CBOR path
	operation string // by name; "" where path and method say it
	version   string // of the query protocols
	protocol  Protocol
	form      *formNode
}

func readHint(sr *ServerRequest) (hint, error) {
	r := sr.Raw
	if t := r.Header.Get("X-Amz-Target"); t != "" {
		i := strings.LastIndexByte(t, '.')
		if i < 0 {
			return hint{}, errors.New("X-Amz-Target has no dot")
		}
		return hint{target: t[:i], operation: t[i+1:], protocol: JSON}, nil
	}
	if r.Header.Get("Smithy-Protocol") == "rpc-v2-cbor" {
		_, rest, ok := strings.Cut(r.URL.Path, "/service/")
		service, operation, ok2 := strings.Cut(rest, "/operation/")
		if !ok || !ok2 {
			return hint{}, errors.New("the path of rpc-v2-cbor is /service/NAME/operation/NAME")
		}
		return hint{target: service, operation: operation, protocol: CBOR}, nil
	}
	text := ""
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		text = sr.text
	} else if strings.Contains(r.URL.RawQuery, "Action=") {
		text = r.URL.RawQuery
	}
	if text == "" {
		return hint{}, nil
	}
	form, err := parseForm(text)
	if err != nil {
		return hint{}, err
	}
	if form.child("Action") == nil {
		return hint{}, nil
	}
	return hint{operation: form.value("Action"), version: form.value("Version"), protocol: Query, form: form}, nil
}

// route finds service and operation and reads the input.
func (c *Catalog) route(sr *ServerRequest, signingName string) error {
	h, err := readHint(sr)
	if err != nil {
		return serverError(400, "InvalidRequest", err.Error())
	}
	candidates := c.candidates(sr.Raw, signingName, h)
	if len(candidates) == 0 {
		if signingName != "" {
			return serverError(400, "UnknownService", fmt.Sprintf("no service has the signing name %q and the form of this request", signingName))
		}
		return serverError(403, "MissingAuthenticationToken", "the request is not signed, and neither its host nor its target names a service")
	}
	for _, name := range candidates {
		s, err := c.Service(name)
		if err != nil {
			return serverError(500, "InternalFailure", err.Error())
		}
		s = s.asAsked(h)
		op, labels := s.find(sr.Raw, h)
		if op == nil {
			if sr.Service == nil {
				sr.Service, sr.Protocol = s, s.spoken(h.protocol)
			}
			continue
		}
		sr.Service, sr.Operation, sr.Protocol = s, op, s.spoken(h.protocol)
		if op.EventStream() {
			return serverError(501, "NotImplemented", s.Name+" "+op.Name+" is an event stream, which is not supported")
		}
		if sr.Input, err = sr.decodeInput(h, labels); err != nil {
			return serverError(400, malformedCode(s.Protocol), err.Error())
		}
		return nil
	}
	what := sr.Raw.Method + " " + sr.Raw.URL.Path
	if h.operation != "" {
		what = h.operation
	}
	return serverError(404, unknownOperationCode(sr.Protocol), "no operation of "+strings.Join(candidates, ", ")+" is "+clip(what))
}

// malformedCode and unknownOperationCode are the codes that AWS's own services
// send in these cases.
func malformedCode(p Protocol) string {
	switch p {
	case EC2, Query:
		return "MalformedQueryString"
	case RESTXML:
		return "MalformedXML"
	}
	return "SerializationException"
}

func unknownOperationCode(p Protocol) string {
	switch p {
	case EC2, Query:
		return "InvalidAction"
	case RESTXML:
		return "MethodNotAllowed"
	}
	return "UnknownOperationException"
}

// spoken is the protocol in which a client speaks with the service: that of the
// request's form, if the service has it.
func (s *Service) spoken(p Protocol) Protocol {
	if p == Query && s.Protocol == EC2 || p == "" {
		return s.Protocol
	}
	if slices.Contains(s.Protocols, string(p)) {
		return p
	}
	return s.Protocol
}

// candidates are the services that a request may be for, the likeliest first.
func (c *Catalog) candidates(r *http.Request, signingName string, h hint) []string {
	// s3-fips is s3's endpoint, too.
	host := "." + strings.NewReplacer(":", ".", "-fips.", ".").Replace(strings.ToLower(r.Host)) + "."
	type candidate struct {
		name string
		rank int
	}
	var found []candidate
	for i := range c.index.Services {
		e := &c.index.Services[i]
		if h.target != "" && e.Target != h.target || signingName != "" && e.Sign != signingName {
			continue // nearly all: what costs more comes after it
		}
		atHost := strings.Contains(host, "."+e.Prefix+".")
		if signingName == "" && h.target == "" && !atHost {
			continue
		}
		rank := 3
		if e.Name == "s3control" && r.Header.Get("X-Amz-Account-Id") != "" {
			rank = 0
		}
		if atHost {
			rank -= 2
		}
		if e.Name == signingName {
			rank--
		}
		found = append(found, candidate{e.Name, rank})
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return a.rank - b.rank })
	names := make([]string, len(found))
	for i, f := range found {
		names[i] = f.name
	}
	return names
}

// find finds the operation that a request asks for, and the labels of its path.
func (s *Service) find(r *http.Request, h hint) (*Operation, map[string]string) {
	if h.operation != "" && s.Protocol != RESTJSON && s.Protocol != RESTXML {
		if h.protocol == Query && h.version != "" && h.version != s.APIVersion {
			return nil, nil
		}
		op, err := s.Operation(h.operation)
		if err != nil || op.Name != h.operation {
			return nil, nil
		}
		return op, nil
	}
	if s.Protocol != RESTJSON && s.Protocol != RESTXML {
		return nil, nil
	}
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, nil
	}
	if s.Name == "s3" {
		if bucket := virtualBucket(r.Host); bucket != "" {
			if op, labels := s.match(r, "/"+bucket+path, query); op != nil {
				return op, labels
			}
		}
	}
	op, labels := s.match(r, path, query)
	if rest, ok := strings.CutPrefix(path, "/v2"); ok && op == nil && strings.HasPrefix(s.Name, "geo-") {
		return s.match(r, rest, query) // their endpoints have a path
	}
	return op, labels
}

// match finds the operation with the template that fits a path best.
func (s *Service) match(r *http.Request, path string, query url.Values) (*Operation, map[string]string) {
	var best *Operation
	var bestLabels map[string]string
	bestScore := -1
	for i := range s.ops {
		op := &s.ops[i]
		if op.Method != r.Method {
			continue
		}
		template, literals, _ := strings.Cut(op.URI, "?")
		labels := map[string]string{}
		if !matchPath(template, path, labels) {
			continue
		}
		score, ok := op.score(literals, query, r.Header)
		if !ok {
			continue
		}
		score = score*100 + literalLength(template)
		if !op.Deprecated {
			score++
		}
		if score > bestScore {
			best, bestLabels, bestScore = op, labels, score
		}
	}
	return best, bestLabels
}

// score says whether a request has what the operation's template and its
// required members ask for, and how much that is: of two operations that fit, the
// one that asks for more is meant.
func (o *Operation) score(literals string, query url.Values, h http.Header) (int, bool) {
	score := 0
	for literals != "" {
		var pair string
		pair, literals, _ = strings.Cut(literals, "&")
		key, value, hasValue := strings.Cut(pair, "=")
		if key == "x-id" {
			continue // names the operation, but is not always sent
		}
		if !query.Has(key) || hasValue && query.Get(key) != value {
			return 0, false
		}
		score += 100
	}
	for i := range inputMembers(o) {
		m := &o.Input.Members[i]
		if !m.Is(Required) {
			continue
		}
		has := false
		switch m.Location {
		case InQuery:
			has = query.Has(m.WireName())
		case InHeader:
			has = h.Get(m.WireName()) != ""
		default:
			continue
		}
		if has {
			score++
		} else if o.Service.Name == "s3" {
			return 0, false // what S3 is asked for, only these tell
		}
	}
	return score, true
}

// literalLength counts the segments of a template that are not labels.
func literalLength(template string) int {
	n := 0
	for part := range strings.SplitSeq(template, "/") {
		if part != "" && !strings.HasPrefix(part, "{") {
			n += 2
		}
		if strings.HasPrefix(part, "{") && !strings.HasSuffix(part, "+}") {
			n++
		}
	}
	return n
}

// virtualBucket is the bucket in a virtual-hosted-style host, or "".
func virtualBucket(host string) string {
	host = strings.ToLower(host)
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host = host[:i]
	}
	if at := strings.LastIndex(host, ".vpce-"); at >= 0 && strings.HasSuffix(host, ".vpce.amazonaws.com") {
		// A VPC endpoint's own label, "bucket", comes before its id.
		return strings.TrimSuffix(strings.TrimSuffix(host[:at], "bucket"), ".")
	}
	for _, mark := range []string{".s3.", ".s3-fips.", ".s3-accelerate.", ".s3-website.", ".s3-website-", ".s3-"} {
		if i := strings.LastIndex(host, mark); i > 0 {
			return host[:i]
		}
	}
	if b, ok := strings.CutSuffix(host, ".localhost"); ok && b != "s3" && !strings.HasPrefix(b, "s3.") {
		return b
	}
	return ""
}

// decodeInput reads the input of the operation that has been found.
func (sr *ServerRequest) decodeInput(h hint, labels map[string]string) (map[string]any, error) {
	o := sr.Operation
	if o.Input == nil {
		return map[string]any{}, nil
	}
	switch sr.Protocol {
	case EC2, Query:
		return formDecoder{ec2: sr.Protocol == EC2}.structure(h.form, o.Input)
	case JSON:
		return decodeJSONBody(o.Input, sr.text, nil)
	case CBOR:
		return decodeCBORBody(o.Input, sr.text)
	}
	in := map[string]any{}
	for i := range o.Input.Members {
		m := &o.Input.Members[i]
		if m.Location != InURI {
			continue
		}
		text, err := url.PathUnescape(labels[m.WireName()])
		if err != nil {
			return nil, inMember(m.Name, err)
		}
		v, err := parseScalar(m.Shape, text)
		if err != nil {
			return nil, inMember(m.Name, err)
		}
		in[m.Name] = v
	}
	if err := o.readQuery(sr.Raw.URL.RawQuery, in); err != nil {
		return nil, err
	}
	if err := readHeaders(o.Input, 0, sr.header, in); err != nil {
		return nil, err
	}
	if source, ok := in["CopySource"].(string); ok && o.Service.Name == "s3" {
		in["CopySource"] = unescapeCopySource(source)
	}
	return o.decodeRESTBody(o.Input, sr.text, in)
}

// readQuery reads the members that are in the query.
func (o *Operation) readQuery(raw string, in map[string]any) error {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return err
	}
	_, literals, _ := strings.Cut(o.URI, "?")
	taken := map[string]bool{"x-id": true}
	for pair := range strings.SplitSeq(literals, "&") {
		key, _, _ := strings.Cut(pair, "=")
		taken[key] = true
	}
	var rest *Member
	for i := range o.Input.Members {
		m := &o.Input.Members[i]
		if m.Location != InQuery {
			continue
		}
		if m.Shape.Type == Map {
			rest = m
			continue
		}
		values, ok := query[m.WireName()]
		taken[m.WireName()] = true
		if !ok {
			continue
		}
		if m.Shape.Type != List {
			v, err := parseScalar(m.Shape, values[0])
			if err != nil {
				return inMember(m.Name, err)
			}
			if v != nil {
				in[m.Name] = v
			}
			continue
		}
		list := make([]any, len(values))
		for i, text := range values {
			if list[i], err = parseScalar(m.Shape.Elem.Shape, text); err != nil {
				return inMember(m.Name, inElement(i, err))
			}
		}
		in[m.Name] = list
	}
	if rest == nil {
		return nil
	}
	entries := map[string]any{}
	for k, values := range query {
		if taken[k] || strings.HasPrefix(k, "X-Amz-") {
			continue
		}
		entries[k] = values[0]
		if rest.Shape.Elem.Shape.Type == List {
			entries[k] = anyList(values)
		}
	}
	if len(entries) > 0 {
		in[rest.Name] = entries
	}
	return nil
}
