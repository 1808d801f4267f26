package awsapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// maxBuffered bounds what is kept of a stream that can't be read again but must
// be: its length or hash is needed before it is sent.
const maxBuffered = 64 << 20

// body is a request's body, which can be sent again if it could be read from its
// beginning again.
type body struct {
	bytes  []byte
	stream io.ReadSeeker
	start  int64
	size   int64
}

func newBody(r *Request) (*body, error) {
	if r.Stream == nil {
		return &body{bytes: r.Body, size: int64(len(r.Body))}, nil
	}
	if s, ok := r.Stream.(io.ReadSeeker); ok {
		start, err := s.Seek(0, io.SeekCurrent)
		if err == nil {
			var end int64
			if end, err = s.Seek(0, io.SeekEnd); err == nil {
				_, err = s.Seek(start, io.SeekStart)
			}
			if err == nil {
				return &body{stream: s, start: start, size: end - start}, nil
			}
		}
	}
	// Its length must be known before it is sent.
	b, err := io.ReadAll(io.LimitReader(r.Stream, maxBuffered+1))
	if err != nil {
		return nil, fmt.Errorf("the payload: %w", err)
	}
	if len(b) > maxBuffered {
		return nil, fmt.Errorf("a payload of more than %d bytes must be an io.ReadSeeker", maxBuffered)
	}
	return &body{bytes: b, size: int64(len(b))}, nil
}

// reader gives the body from its beginning. The transport's Close is kept from
// the caller's stream.
func (b *body) reader() io.Reader {
	if b.stream != nil {
		return io.NopCloser(b.stream)
	}
	return bytes.NewReader(b.bytes)
}

// rewind goes back to the beginning, and says whether that could be done.
func (b *body) rewind() bool {
	if b.stream == nil {
		return true
	}
	_, err := b.stream.Seek(b.start, io.SeekStart)
	return err == nil
}

// hash is the SHA-256 of the body in hex.
func (b *body) hash() (string, error) {
	if b.stream == nil {
		return sha256Hex(b.bytes), nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, b.stream); err != nil {
		return "", err
	}
	if !b.rewind() {
		return "", errors.New("the payload can't be read twice")
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// scheme is how a call is signed: "sigv4", or "" for not at all.
func (o *Operation) scheme(ep Endpoint) (string, error) {
	switch o.AuthType {
	case "none":
		return "", nil
	case "bearer":
		return "", errBearer
	}
	offered := o.Auth
	if len(offered) == 0 {
		offered = o.Service.Auth
	}
	for _, name := range offered {
		switch name {
		case "smithy.api#noAuth":
			return "", nil
		case "aws.auth#sigv4", "aws.auth#sigv4a":
			// Which of the two it is, the endpoint says.
			return sigv4Scheme(ep)
		}
	}
	if len(offered) > 0 {
		if slices.Contains(offered, "smithy.api#httpBearerAuth") {
			return "", errBearer
		}
		return "", errNotSigV4
	}
	if o.Service.SignatureVersion == "bearer" {
		return "", errBearer
	}
	return sigv4Scheme(ep)
}

func sigv4Scheme(ep Endpoint) (string, error) {
	switch ep.AuthScheme {
	case "sigv4a":
		return "", errSigV4a
	case "sigv4-s3express":
		return "", errExpress
	}
	return "sigv4", nil
}

// sign signs a request, if the operation wants that.
func (c *call) sign(ctx context.Context, r *http.Request, ep Endpoint, b *body) *Error {
	scheme, err := c.op.scheme(ep)
	if err != nil {
		return c.fail("UnsupportedSignature", false, err)
	}
	if scheme == "" {
		return nil
	}
	creds, err := c.client.retrieve(ctx)
	if err != nil {
		return c.fail(CodeNoCredentials, false, err)
	}
	hash, err := c.payloadHash(r, b)
	if err != nil {
		return c.fail("InvalidInput", false, err)
	}
	name, region := c.scope(ep)
	now := c.client.shared.skew.correct(c.client.cfg.Now())
	err = c.client.shared.signer.SignHTTP(ctx, creds, r, hash, name, region, now, func(o *v4.SignerOptions) {
		// S3 keys are signed as they are; all other paths are escaped once more.
		o.DisableURIPathEscaping = ep.DisableDoubleEncoding || name == "s3"
	})
	if err != nil {
		return c.fail("SigningFailed", false, err)
	}
	return nil
}

// scope is the signing name and Region of a call.
func (c *call) scope(ep Endpoint) (name, region string) {
	name, region = ep.SigningName, ep.SigningRegion
	if name == "" {
		name = c.op.Service.SigningName
	}
	if region == "" {
		region = c.region
	}
	return name, region
}

// retrieve gets the credentials. All its errors are ErrNoCredentials.
func (c *Client) retrieve(ctx context.Context) (aws.Credentials, error) {
	if c.cfg.Credentials == nil {
		return aws.Credentials{}, ErrNoCredentials
	}
	creds, err := c.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return creds, fmt.Errorf("%w: %w", ErrNoCredentials, err)
	}
	if !creds.HasKeys() {
		return creds, ErrNoCredentials
	}
	return creds, nil
}

// payloadHash is what stands for the body in the signature. Streams to S3 over
// TLS, and those of operations that say so, are not covered by it.
func (c *call) payloadHash(r *http.Request, b *body) (string, error) {
	s3 := c.op.Service.SigningName == "s3" || c.op.Service.Name == "glacier"
	unsigned := c.op.UnsignedPayload || c.op.AuthType == "v4-unsigned-body" || c.op.Service.SigningName == "s3" && b.stream != nil
	hash := unsignedPayload
	if !unsigned || r.URL.Scheme != "https" {
		var err error
		if hash, err = b.hash(); err != nil {
			return "", err
		}
	}
	if s3 || hash == unsignedPayload {
		r.Header.Set("X-Amz-Content-Sha256", hash)
	}
	return hash, nil
}

// Presign gives a URL by which anybody can make a call until it expires, at most
// a week from now. The method is the operation's; the call's body, if it has
// one, is not covered. Inputs of the query protocols become the URL's query,
// with the method GET.
func (c *Client) Presign(ctx context.Context, service, operation string, in map[string]any, expires time.Duration, opts ...CallOption) (string, error) {
	op, err := c.cfg.Catalog.Operation(service, operation)
	if err != nil {
		return "", err
	}
	call := &call{client: c, op: op, options: Options(opts...)}
	call.region = c.regionFor(op.Service, call.options.Region)
	if call.in, err = c.withTokens(op, in); err != nil {
		return "", err
	}
	return call.presign(ctx, expires, nil)
}

// presign makes a presigned URL; extra are parameters that the model lacks.
func (c *call) presign(ctx context.Context, expires time.Duration, extra url.Values) (string, error) {
	if expires < time.Second || expires > 7*24*time.Hour {
		return "", c.fail("InvalidInput", false, fmt.Errorf("a presigned URL can't be good for %v", expires))
	}
	req, ep, err := c.encode()
	if err != nil {
		return "", err
	}
	scheme, err := c.op.scheme(ep)
	if err == nil && scheme == "" {
		err = errNotSigV4
	}
	if err != nil {
		return "", c.fail("UnsupportedSignature", false, err)
	}
	creds, err := c.client.retrieve(ctx)
	if err != nil {
		return "", c.fail(CodeNoCredentials, false, err)
	}
	method, address := req.Method, req.URL
	switch c.op.Service.Protocol {
	case EC2, Query:
		method = http.MethodGet
		address += "?" + string(req.Body)
		req.Header.Del("Content-Type")
	case JSON, CBOR:
		return "", c.fail("InvalidInput", false, fmt.Errorf("a call of the protocol %s has no URL to presign", c.op.Service.Protocol))
	}
	r, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return "", c.fail("InvalidInput", false, err)
	}
	maps.Copy(r.Header, req.Header)
	query := r.URL.Query()
	for k, v := range extra {
		query[k] = v
	}
	query.Set("X-Amz-Expires", strconv.FormatInt(int64(expires/time.Second), 10))
	r.URL.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20")
	name, region := c.scope(ep)
	hash := sha256Hex(nil)
	if name == "s3" {
		hash = unsignedPayload
	}
	now := c.client.shared.skew.correct(c.client.cfg.Now())
	signed, _, err := c.client.shared.signer.PresignHTTP(ctx, creds, r, hash, name, region, now, func(o *v4.SignerOptions) {
		o.DisableURIPathEscaping = ep.DisableDoubleEncoding || name == "s3"
	})
	if err != nil {
		return "", c.fail("SigningFailed", false, err)
	}
	return signed, nil
}

// presignedURLMember is the member that holds a URL by which the service in this
// Region can ask that in the source's, for a copy between Regions.
func presignedURLMember(op *Operation) (url, source *Member) {
	if op.Input == nil || op.Service.Protocol != EC2 && op.Service.Protocol != Query {
		return nil, nil
	}
	if url = op.Input.Member("PresignedUrl"); url == nil {
		url = op.Input.Member("PreSignedUrl")
	}
	return url, op.Input.Member("SourceRegion")
}

// withPresignedURL fills in the presigned URL of a copy between Regions.
func (c *Client) withPresignedURL(ctx context.Context, op *Operation, in map[string]any, region string) (map[string]any, error) {
	member, sourceMember := presignedURLMember(op)
	if member == nil || sourceMember == nil || in[member.Name] != nil {
		return in, nil
	}
	source, _ := in[sourceMember.Name].(string)
	if source == "" || source == region {
		return in, nil
	}
	in = maps.Clone(in)
	extra := url.Values{}
	if op.Input.Member("DestinationRegion") != nil {
		in["DestinationRegion"] = region
	} else {
		extra.Set("DestinationRegion", region)
	}
	signed, err := (&call{client: c, op: op, region: source, in: in}).presign(ctx, time.Hour, extra)
	if err != nil {
		return nil, err
	}
	in[member.Name] = signed
	return in, nil
}
