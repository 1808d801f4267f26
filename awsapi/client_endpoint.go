package awsapi

import (
	"errors"
	"net/url"
	"strings"
)

// endpointKey is what an endpoint depends on that does not depend on the input.
type endpointKey struct {
	service, region, url string
	fips, dualStack      bool
}

// endpointURL is the endpoint that replaces that of a service, which is given by any
// of its names, or "".
func (c *Config) endpointURL(names ...string) string {
	if len(c.ServiceEndpoints) > 0 {
		for _, name := range names {
			if u := c.ServiceEndpoints[serviceKey(name)]; u != "" {
				return u
			}
		}
	}
	return c.EndpointURL
}

// endpoint decides where a call goes.
func (c *Client) endpoint(op *Operation, in map[string]any, region string) (Endpoint, error) {
	ep, err := c.ruledEndpoint(op, in, region)
	if to, ok := in["PredictEndpoint"].(string); ok && op.Service.Name == "machinelearning" && c.cfg.endpointURL(op.Service.Name, op.Service.ServiceID) == "" {
		ep.URL = to // each of its models has an endpoint of its own
	}
	return ep, err
}

// ruledEndpoint is what the service's rules say.
func (c *Client) ruledEndpoint(op *Operation, in map[string]any, region string) (Endpoint, error) {
	s := op.Service
	custom := c.cfg.endpointURL(s.Name, s.ServiceID)
	if region == "" {
		return Endpoint{}, &EndpointError{s.Name, "no Region is set"}
	}
	params, err := contextParams(op, in)
	if err != nil {
		return Endpoint{}, &EndpointError{s.Name, err.Error()}
	}
	key := endpointKey{s.Name, region, custom, c.cfg.UseFIPS, c.cfg.UseDualStack}
	if len(params) == 0 {
		if ep, ok := c.shared.endpoints.Load(key); ok {
			return ep.(Endpoint), nil
		}
	}
	fixed := len(params) == 0
	if s.Name == "s3" && op.Name == "GetBucketLocation" {
		// Of a bucket in another Region, the virtual host would refuse the signature.
		params["ForcePathStyle"] = true
	}
	params["Region"] = region
	params["UseFIPS"] = c.cfg.UseFIPS
	params["UseDualStack"] = c.cfg.UseDualStack
	if custom != "" {
		params["Endpoint"] = strings.TrimSuffix(custom, "/")
		if s.Name == "s3" {
			params["ForcePathStyle"] = true
		}
	}
	ep, err := c.cfg.Catalog.ResolveEndpoint(s.Name, params)
	if err != nil {
		return Endpoint{}, err
	}
	if custom != "" && s.Name == "s3control" {
		// The rules put the account before the host, where an address can't have it.
		if u, err := url.Parse(custom); err == nil && isLocal(u.Hostname()) {
			ep.URL = strings.TrimSuffix(custom, "/")
		}
	}
	if fixed {
		c.shared.endpoints.Store(key, ep)
	}
	return ep, nil
}

// contextParams are the endpoint parameters that an operation and its input set.
func contextParams(op *Operation, in map[string]any) (EndpointParams, error) {
	params := EndpointParams{}
	for _, p := range op.Static {
		params[p.Name] = p.Value
	}
	for _, p := range op.OpContext {
		v, err := searchPath(p.Path, in)
		if err != nil {
			return nil, err
		}
		if list, ok := v.([]any); ok && len(list) == 0 {
			v = nil
		}
		if v != nil {
			params[p.Name] = v
		}
	}
	for i := range inputMembers(op) {
		m := &op.Input.Members[i]
		name := m.traits().ContextParam
		if v := in[m.Name]; name != "" && v != nil {
			params[name] = v
		}
	}
	return params, nil
}

// bucketRegionHeader says in which Region a bucket is.
const bucketRegionHeader = "X-Amz-Bucket-Region"

// bucketRegion is the Region to which S3 redirects, or "".
func bucketRegion(e *Error) string {
	switch {
	case e.Header == nil:
		return ""
	case e.Status == 301, e.Status == 307, e.Code == "PermanentRedirect", e.Code == "AuthorizationHeaderMalformed", e.Code == "IllegalLocationConstraintException",
		e.Status == 400 && e.Code == "400":
		return e.Header.Get(bucketRegionHeader)
	}
	return ""
}

// errEventStream and its like name what is refused.
var (
	errSigV4a   = errors.New("the endpoint wants a SigV4a signature, which is not supported")
	errExpress  = errors.New("the endpoint wants an S3 Express session, which is not supported")
	errBearer   = errors.New("the operation wants a bearer token, which is not supported")
	errNotSigV4 = errors.New("the operation offers no kind of signature that is supported")
)
