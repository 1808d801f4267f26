package script

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/knowngood/knowngood/awsapi"
)

// call makes the call that a request to AWS asks for, and answers as AWS would.
func (p *proxy) call(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 && strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
		// net/http says so only where there is a body to read; boto3 asks for an
		// empty one, too.
		w.WriteHeader(http.StatusContinue)
	}
	id := fmt.Sprintf("00000000-0000-4000-8000-%012x", p.nextID.Add(1))
	req, err := p.catalog.DecodeRequest(r)
	var t *token
	if err == nil {
		t, err = p.authorize(req)
	}
	if err != nil {
		p.fail(w, req, err, id)
		return
	}
	out, err := p.send(req, t)
	if err != nil {
		p.fail(w, req, err, id)
		return
	}
	if body, ok := streamOf(out); ok {
		defer body.Close()
	}
	sent := &begun{ResponseWriter: w}
	switch err := req.WriteResponse(sent, out, id); {
	case err != nil && sent.header:
		panic(http.ErrAbortHandler) // what has been written must not pass for all
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// begun is a response of which is known whether it has begun.
type begun struct {
	http.ResponseWriter
	header bool
}

// WriteHeader implements http.ResponseWriter.
func (b *begun) WriteHeader(status int) {
	b.header = true
	b.ResponseWriter.WriteHeader(status)
}

// send makes a call. One that may write is finished even where the script ends
// meanwhile.
func (p *proxy) send(req *awsapi.ServerRequest, t *token) (map[string]any, error) {
	region := req.Region
	if region == "" {
		region = p.region
	}
	opts := []awsapi.CallOption{awsapi.Region(region)}
	if t != nil && t.credentials != nil {
		opts = append(opts, t.credentials, awsapi.Principal(t.principal))
	}
	ctx := p.reads
	if req.Operation.Class() == awsapi.Write {
		ctx = context.WithoutCancel(p.ctx)
	}
	out, err := p.caller.Call(ctx, req.Service.Name, req.Operation.Name, inputOf(req), opts...)
	if err != nil {
		return nil, err
	}
	return p.tokens.swap(req.Service.Name, out, t)
}

// inputOf is a request's input without what is of its transport only.
func inputOf(req *awsapi.ServerRequest) map[string]any {
	in := maps.Clone(req.Input)
	if req.Service.Name != "s3" {
		return in
	}
	delete(in, "ContentLength") // of a body in chunks
	// "aws-chunked" is how the body came, not what the object is.
	if encodings, ok := in["ContentEncoding"].(string); ok {
		var kept []string
		for e := range strings.SplitSeq(encodings, ",") {
			if e = strings.TrimSpace(e); e != "" && e != "aws-chunked" {
				kept = append(kept, e)
			}
		}
		delete(in, "ContentEncoding")
		if len(kept) > 0 {
			in["ContentEncoding"] = strings.Join(kept, ",")
		}
	}
	return in
}

// streamOf gives an output's payload that is a stream.
func streamOf(out map[string]any) (io.ReadCloser, bool) {
	for _, v := range out {
		if body, ok := v.(io.ReadCloser); ok {
			return body, true
		}
	}
	return nil, false
}

// fail answers an error. One that is no answer of AWS's at all is a lost
// connection to the script, too, unless it says that the call was refused here.
func (p *proxy) fail(w http.ResponseWriter, req *awsapi.ServerRequest, err error, id string) {
	var e *awsapi.Error
	if !errors.As(err, &e) {
		// The run's own refusal: its plan, a limit, or its being over.
		e = &awsapi.Error{Code: "AccessDenied", Message: err.Error(), Status: http.StatusForbidden}
	}
	if e.Status == 0 && e.Code == awsapi.CodeNoResponse {
		panic(http.ErrAbortHandler)
	}
	answered := *e
	if answered.Status < 400 || answered.Status > 599 {
		answered.Status = http.StatusBadRequest
	}
	if req == nil || req.Service == nil {
		http.Error(w, answered.Error(), answered.Status)
		return
	}
	if err := req.WriteError(w, &answered, id); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// authorize finds out whose credentials a request is signed with. A request that
// is not signed is made as the run, if only the script can have sent it.
func (p *proxy) authorize(req *awsapi.ServerRequest) (*token, error) {
	if !req.Signed {
		if p.open {
			return p.root, nil
		}
		return nil, &awsapi.Error{Code: "MissingAuthenticationToken", Message: "Request is missing Authentication Token", Status: http.StatusForbidden}
	}
	t := p.tokens.get(req.AccessKeyID)
	if t == nil || t.session != req.SessionToken {
		return nil, &awsapi.Error{Code: "InvalidClientTokenId", Message: "The security token included in the request is invalid.", Status: http.StatusForbidden}
	}
	// By the request's own time: the script's clock is not ours.
	at, err := signedAt(req.Raw)
	if err != nil {
		return nil, err
	}
	return t, awsapi.VerifySignature(req.Raw, req.Body, t.secret, at)
}

func signedAt(r *http.Request) (time.Time, error) {
	text := r.Header.Get("X-Amz-Date")
	if q := r.URL.Query(); q.Has("X-Amz-Date") {
		text = q.Get("X-Amz-Date")
	}
	at, err := time.Parse("20060102T150405Z", text)
	if err != nil {
		return at, &awsapi.Error{Code: "IncompleteSignature", Message: "X-Amz-Date is missing or no time", Status: http.StatusBadRequest}
	}
	return at, nil
}
