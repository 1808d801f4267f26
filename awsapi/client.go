package awsapi

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// Caller calls operations by name. Client is one; decorators are others.
type Caller interface {
	// Call calls an operation of a service and gives its output. A service's
	// refusal is an *Error. The input is not changed. Whether a call is sent more
	// than once is the implementation's to say.
	Call(ctx context.Context, service, operation string, in map[string]any, opts ...CallOption) (map[string]any, error)
}

// CallOption changes one call.
type CallOption func(*CallOptions)

// CallOptions are what call options set.
type CallOptions struct {
	Region      string // "": the client's
	MaxAttempts int    // 0: the client's
	AtMostOnce  bool
	Credentials aws.CredentialsProvider // nil: the client's
	Account     string                  // of Credentials, if known
	Principal   string                  // ARN of whose Credentials they are, if known
}

// Region sends a call to another Region than the client's.
func Region(r string) CallOption { return func(o *CallOptions) { o.Region = r } }

// As makes a call with other credentials than the client's. account is theirs, or
// empty where it is not known.
func As(p aws.CredentialsProvider, account string) CallOption {
	return func(o *CallOptions) { o.Credentials, o.Account = p, account }
}

// Principal says whose the credentials of As are, by the ARN of a session for one.
// Calls don't need it: it is for decorators.
func Principal(arn string) CallOption { return func(o *CallOptions) { o.Principal = arn } }

// MaxAttempts bounds how often a call is sent; 1 is never to repeat it.
func MaxAttempts(n int) CallOption { return func(o *CallOptions) { o.MaxAttempts = n } }

// AtMostOnce sends a call again only where it was refused, by throttling for one.
// After any other failure it may have taken effect, and what to do is left to
// the caller.
func AtMostOnce() CallOption { return func(o *CallOptions) { o.AtMostOnce = true } }

// Options gives what call options set, for decorators.
func Options(opts ...CallOption) CallOptions {
	var o CallOptions
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// Doer sends HTTP requests; an *http.Client is one. Redirects must not be
// followed, since a signature is good for one host only.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// Config is what a client is made of. Only Catalog is needed.
type Config struct {
	Catalog *Catalog
	// Credentials sign the calls. nil: only operations that need no signature
	// can be called.
	Credentials aws.CredentialsProvider
	Region      string // where calls go that name none
	HTTPClient  Doer   // nil: an http.Client that keeps connections and follows no redirects
	// ConnectTimeout is how long a connection may take, and ResponseTimeout how long
	// a service may take, once it has the request, before its response begins; both
	// 0: 60 s, as in boto3. Then the connection counts as lost, and the call is sent
	// again where that is safe. A response that has begun may take any time. They
	// are for the http.Client of a nil HTTPClient.
	ConnectTimeout, ResponseTimeout time.Duration
	// EndpointURL replaces the endpoints of all services, ServiceEndpoints that of
	// one, by botocore's name or by the service id in any form that AWS's tools
	// have for it. S3 is then addressed path-style.
	EndpointURL      string
	ServiceEndpoints map[string]string
	UseFIPS          bool
	UseDualStack     bool
	Retry            RetryPolicy
	Now              func() time.Time // nil: time.Now
	Rand             io.Reader        // of idempotency tokens and jitter; nil: crypto/rand
	UserAgent        string
	// Account is that of the credentials, if known; retries are budgeted by
	// account, Region and service.
	Account string

	transport *awshttp.BuildableClient // LoadConfig's, with AWS_CA_BUNDLE's certificates; nil: a new one
}

// Client calls AWS. It may be used by many goroutines.
type Client struct {
	cfg    Config
	shared *shared
}

// shared is what a client and those made of it have in common.
type shared struct {
	budgets   budgets
	endpoints sync.Map // endpointKey to Endpoint
	skew      clockSkew
	signer    *v4.Signer // keeps the keys that it has derived
}

var _ Caller = (*Client)(nil)

// New makes a client.
func New(cfg Config) (*Client, error) {
	if cfg.Catalog == nil {
		return nil, errors.New("awsapi: a client needs a catalog")
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = newHTTPClient(cfg)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "awsapi-go"
	}
	cfg.Retry = cfg.Retry.withDefaults()
	endpoints := make(map[string]string, len(cfg.ServiceEndpoints))
	for name, u := range cfg.ServiceEndpoints {
		endpoints[serviceKey(name)] = u
	}
	cfg.ServiceEndpoints = endpoints
	return &Client{cfg: cfg, shared: &shared{signer: v4.NewSigner()}}, nil
}

// Catalog is the client's catalog.
func (c *Client) Catalog() *Catalog { return c.cfg.Catalog }

// WithCredentials is a client with other credentials, which shares this one's
// connections.
func (c *Client) WithCredentials(p aws.CredentialsProvider) *Client {
	other := *c
	other.cfg.Credentials = p
	return &other
}

// Call calls an operation. The input's members are as the model names and types
// them (Operation.Coerce makes them so); idempotency tokens that are missing are
// filled in. A call that fails in a way that may pass is sent again, as the
// client's RetryPolicy has it. The output is as DecodeResponse gives it: a
// streaming payload is an io.ReadCloser that must be closed.
//
// Every error that is about the call itself is an *Error; one about names is an
// *UnknownError, one about an endpoint an *EndpointError.
func (c *Client) Call(ctx context.Context, service, operation string, in map[string]any, opts ...CallOption) (map[string]any, error) {
	op, err := c.cfg.Catalog.Operation(service, operation)
	if err != nil {
		return nil, err
	}
	call := &call{client: c, op: op, options: Options(opts...)}
	if call.options.Credentials != nil {
		c = c.WithCredentials(call.options.Credentials)
		c.cfg.Account = call.options.Account
		call.client = c
	}
	call.region = c.regionFor(op.Service, call.options.Region)
	if call.in, err = c.complete(ctx, op, in, call.region); err != nil {
		return nil, err
	}
	return call.do(ctx)
}

// regionFor is the Region of a call: a service that has one endpoint for all
// Regions can be called without.
func (c *Client) regionFor(s *Service, asked string) string {
	switch {
	case asked != "":
		return asked
	case c.cfg.Region == "" && s.GlobalEndpoint != "":
		return "us-east-1"
	}
	return c.cfg.Region
}

// complete fills in what the services' own SDKs fill in: idempotency tokens and
// presigned URLs of copies between Regions.
func (c *Client) complete(ctx context.Context, op *Operation, in map[string]any, region string) (map[string]any, error) {
	out, err := c.withTokens(op, in)
	if err != nil {
		return nil, err
	}
	return c.withPresignedURL(ctx, op, out, region)
}

// withTokens fills in idempotency tokens that are absent.
func (c *Client) withTokens(op *Operation, in map[string]any) (map[string]any, error) {
	out := in
	for i := range inputMembers(op) {
		m := &op.Input.Members[i]
		if !m.Is(IdempotencyToken) || in[m.Name] != nil {
			continue
		}
		token, err := newToken(c.cfg.Rand)
		if err != nil {
			return nil, fmt.Errorf("awsapi: idempotency token: %w", err)
		}
		if out = maps.Clone(out); out == nil {
			out = map[string]any{}
		}
		out[m.Name] = token
	}
	return out, nil
}

// newToken makes a UUID of version 4.
func newToken(r io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return "", err
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
}

// call is one call, which may be sent several times.
type call struct {
	client     *Client
	op         *Operation
	options    CallOptions
	region     string
	in         map[string]any
	redirected bool
	skewed     bool
}

// errorf is an error of the call that no response has brought.
func (c *call) fail(code string, retryable bool, err error) *Error {
	return &Error{Code: code, Service: c.op.Service.Name, Operation: c.op.Name, Retryable: retryable, Fault: smithy.FaultClient, Err: err}
}

// do sends the call until it succeeds or must not be repeated.
func (c *call) do(ctx context.Context) (map[string]any, error) {
	policy := c.client.cfg.Retry
	if c.options.MaxAttempts > 0 {
		policy.MaxAttempts = c.options.MaxAttempts
	}
	req, ep, err := c.encode()
	if err != nil {
		return nil, err
	}
	body, err := newBody(req)
	if err != nil {
		return nil, c.fail("InvalidInput", false, err)
	}
	if m := streamingPayload(c.op.Input); m != nil && c.in[m.Name] != nil && body.stream == nil {
		// What could be read once only has been read.
		c.in = maps.Clone(c.in)
		c.in[m.Name] = body.bytes
	}
	budget := c.client.shared.budgets.of(c.client.cfg.Account, c.region, c.op.Service.Name)
	paid := 0
	for attempt := 1; ; attempt++ {
		out, callErr := c.send(ctx, req, ep, body)
		if callErr == nil {
			budget.succeeded(paid)
			return out, nil
		}
		if ctx.Err() != nil || !body.rewind() {
			return nil, callErr
		}
		if again, err := c.correct(callErr, &req, &ep); err != nil {
			return nil, err
		} else if again {
			// The answer said how to do better: that is no failure of the service.
			continue
		}
		if !callErr.Retryable || attempt >= policy.MaxAttempts || c.options.AtMostOnce && !callErr.Refused() {
			return nil, callErr
		}
		var ok bool
		if paid, ok = budget.take(callErr); !ok {
			return nil, callErr
		}
		if err := policy.Sleep(ctx, policy.delay(attempt, c.client.cfg.Rand)); err != nil {
			return nil, callErr
		}
	}
}

// encode makes the request for the call's Region.
func (c *call) encode() (*Request, Endpoint, error) {
	ep, err := c.client.endpoint(c.op, c.in, c.region)
	if err != nil {
		return nil, Endpoint{}, err
	}
	req, err := c.op.EncodeRequest(c.in, ep)
	if err != nil {
		return nil, Endpoint{}, c.fail("InvalidInput", false, err)
	}
	return req, ep, nil
}

// correct says whether a refusal told how to do the call right: with another
// time, or in the bucket's own Region. Each is done once.
func (c *call) correct(e *Error, req **Request, ep *Endpoint) (bool, error) {
	if !c.skewed && c.client.shared.skew.learn(e, c.client.cfg.Now()) {
		c.skewed = true
		return true, nil
	}
	region := bucketRegion(e)
	if c.redirected || c.op.Service.Name != "s3" || region == "" || region == c.region {
		return false, nil
	}
	c.redirected, c.region = true, region
	var err error
	*req, *ep, err = c.encode()
	return err == nil, err
}

// send sends the call once.
func (c *call) send(ctx context.Context, req *Request, ep Endpoint, body *body) (map[string]any, *Error) {
	r, err := http.NewRequestWithContext(ctx, req.Method, req.URL, body.reader())
	if err != nil {
		return nil, c.fail("InvalidInput", false, err)
	}
	r.ContentLength = body.size
	if body.size == 0 {
		r.Body = http.NoBody
	}
	r.Header = req.Header.Clone()
	r.Header.Set("User-Agent", c.client.cfg.UserAgent)
	if e := c.sign(ctx, r, ep, body); e != nil {
		return nil, e
	}
	if c.op.streamingOutput() != nil || c.op.Service.Name == "dynamodb" {
		// What is stored compressed must come as it is stored, and DynamoDB's
		// checksum is that of what goes over the wire.
		r.Header.Set("Accept-Encoding", "identity")
	}
	resp, err := c.client.cfg.HTTPClient.Do(r)
	if err != nil {
		return nil, c.fail(CodeNoResponse, ctx.Err() == nil, err)
	}
	out, err := c.op.DecodeResponse(resp.StatusCode, resp.Header, resp.Body)
	if err != nil {
		resp.Body.Close()
		var e *Error
		if !errors.As(err, &e) {
			e = c.fail(CodeInvalidResponse, false, err)
		}
		if ctx.Err() != nil {
			e.Retryable = false
		}
		return nil, e
	}
	if c.op.streamingOutput() == nil {
		resp.Body.Close()
	}
	return out, nil
}
