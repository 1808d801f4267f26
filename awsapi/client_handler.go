package awsapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// HandlerDoer sends requests to a handler in this process, without a socket. A
// handler that panics with http.ErrAbortHandler is a connection that was lost.
func HandlerDoer(h http.Handler) Doer { return handlerDoer{h} }

type handlerDoer struct{ h http.Handler }

func (d handlerDoer) Do(r *http.Request) (resp *http.Response, err error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	in := r.Clone(r.Context())
	if in.Host == "" {
		in.Host = in.URL.Host
	}
	in.RequestURI = in.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:0"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := &memoryResponse{header: http.Header{}}
	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler { //nolint:errorlint // net/http compares so too
				panic(p)
			}
			resp, err = nil, errConnectionLost
		}
	}()
	d.h.ServeHTTP(w, in)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.response(r)
}

var errConnectionLost = errors.New("the connection was lost")

// memoryResponse is a response that is kept in memory.
type memoryResponse struct {
	header http.Header
	sent   http.Header // as it was when the status was written
	status int
	body   bytes.Buffer
}

func (w *memoryResponse) Header() http.Header { return w.header }

func (w *memoryResponse) WriteHeader(status int) {
	if w.status == 0 {
		w.status, w.sent = status, w.header.Clone()
	}
}

func (w *memoryResponse) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// response gives what was written. A body that is shorter than its
// Content-Length ends with the error that a lost connection gives.
func (w *memoryResponse) response(r *http.Request) (*http.Response, error) {
	w.WriteHeader(http.StatusOK)
	resp := &http.Response{
		Status: strconv.Itoa(w.status) + " " + http.StatusText(w.status), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, ContentLength: int64(w.body.Len()), Request: r,
	}
	var body io.Reader = &w.body
	if want, err := strconv.Atoi(w.sent.Get("Content-Length")); err == nil && want > w.body.Len() && r.Method != http.MethodHead {
		body = io.MultiReader(body, failingReader{fmt.Errorf("%d of %d bytes: %w", w.body.Len(), want, io.ErrUnexpectedEOF)})
		resp.ContentLength = int64(want)
	}
	resp.Body = io.NopCloser(body)
	return resp, nil
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }
