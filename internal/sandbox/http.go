package sandbox

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/knowngood/knowngood/awsapi"
)

// ServeHTTP serves AWS's wire protocols: a request is decoded by its signature's
// scope and the models, its signature verified, and the answer encoded in the
// protocol that the client speaks. Paths under /_knowngood/ are the control API,
// which control describes.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, controlPrefix) {
		s.control(w, r)
		return
	}
	if r.ContentLength == 0 && strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
		// net/http says so only where there is a body to read; boto3 asks for an
		// empty one, too, and takes another answer for that of its next request.
		w.WriteHeader(http.StatusContinue)
	}
	req, err := s.catalog.DecodeRequest(r)
	id := s.requestID()
	if err != nil {
		var e *awsapi.Error
		if !errors.As(err, &e) {
			e = failure(http.StatusBadRequest, "InvalidRequest", "%v", err)
		}
		if req == nil || req.Service == nil {
			http.Error(w, e.Error(), max(e.Status, http.StatusBadRequest))
			return
		}
		answerError(w, req, e, id)
		return
	}
	if err := s.verify(req); err != nil {
		answerError(w, req, err, id)
		return
	}
	out, err := s.Call(r.Context(), Request{Service: req.Service.Name, Operation: req.Operation.Name, Region: req.Region, AccessKeyID: req.AccessKeyID, Input: req.Input,
		ID: id, SourceIP: host(r.RemoteAddr), UserAgent: r.UserAgent()})
	if err != nil {
		var e *awsapi.Error
		if !errors.As(err, &e) {
			e = failure(http.StatusInternalServerError, "InternalError", "%v", err)
		}
		if e.Status == 0 {
			// A fault that is no answer at all: the connection is cut.
			panic(http.ErrAbortHandler)
		}
		answerError(w, req, e, id)
		return
	}
	if err := req.WriteResponse(w, out, id); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// host is an address without its port.
func host(address string) string {
	if h, _, err := net.SplitHostPort(address); err == nil {
		return h
	}
	return address
}

func answerError(w http.ResponseWriter, req *awsapi.ServerRequest, e *awsapi.Error, id string) {
	if err := req.WriteError(w, e, id); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// verify checks a request's signature against the secret of its access key.
// The wall clock is right here: signatures are made by it, whatever the
// sandbox's own time is.
func (s *Sandbox) verify(req *awsapi.ServerRequest) *awsapi.Error {
	if !req.Signed {
		return failure(http.StatusForbidden, "MissingAuthenticationToken", "Request is missing Authentication Token")
	}
	s.mu.Lock()
	key, ok := s.state.Keys[req.AccessKeyID]
	s.mu.Unlock()
	if !ok || key.Token != req.SessionToken {
		return failure(http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid.")
	}
	if err := awsapi.VerifySignature(req.Raw, req.Body, key.Secret, time.Now()); err != nil {
		var e *awsapi.Error
		if errors.As(err, &e) {
			return e
		}
		return failure(http.StatusForbidden, "SignatureDoesNotMatch", "%v", err)
	}
	return nil
}

// requestID numbers the requests.
func (s *Sandbox) requestID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nextRequest()
}

func (s *Sandbox) nextRequest() string {
	s.state.Requests++
	return fmt.Sprintf("00000000-0000-4000-8000-%012x", s.state.Requests)
}
