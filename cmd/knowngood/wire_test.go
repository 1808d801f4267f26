package main

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"sync"

	"github.com/knowngood/knowngood/awsapi"
)

// wire stands between the program and the sandbox and sees every call pass. It
// holds calls, so that a process can be killed at an exact moment, and it is the
// estate's time: a minute goes by before each read, so that what was begun is
// over and shows itself in spite of stale reads; see hurry.
type wire struct {
	*estate
	mu    sync.Mutex
	holds []hold
	seen  map[string]int // writes that came, by operation
	hurry bool           // the next read comes before any time has gone by
	calls []string       // operations since quick was called

	newVolume             string // as AttachVolume named it
	oldAtStop, newAtStart int64  // the volumes' write counters
	stopped, started      bool   // each has been measured, at the first call
}

// hold stops a write on its way.
type hold struct {
	operation string
	nth       int  // of the operation's calls, from 1
	after     bool // it takes effect, and its answer is held; else it is held before
	reached   chan struct{}
	release   chan struct{}
}

// hold holds the nth write of an operation from the estate's beginning. reached
// is closed when it is held. It is let go when release is closed; if the caller
// is gone by then, it never was.
func (w *wire) hold(operation string, nth int, after bool) (reached <-chan struct{}, release chan<- struct{}) {
	h := hold{operation, nth, after, make(chan struct{}), make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.holds = append(w.holds, h)
	return h.reached, h.release
}

// quick lets the next read come before any time has gone by.
func (w *wire) quick() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hurry, w.calls = true, nil
}

func (w *wire) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	req, err := w.client.Catalog().DecodeRequest(r)
	if err != nil {
		w.t.Errorf("the wire can't read a request: %v", err)
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	before, after := w.comes(req)
	if before != nil && !before.wait(r.Context()) {
		return
	}
	w.measure(req)
	resp, err := w.forward(r, req.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the sandbox cut the connection
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if after != nil && !after.wait(r.Context()) {
		return
	}
	maps.Copy(rw.Header(), resp.Header)
	rw.WriteHeader(resp.StatusCode)
	_, _ = rw.Write(body) // a process that was killed does not read it
}

// wait holds a call; false: its caller has gone.
func (h *hold) wait(ctx context.Context) bool {
	close(h.reached)
	select {
	case <-h.release:
		return true
	case <-ctx.Done():
		return false
	}
}

// comes takes note of a call, and says whether it is to be held.
func (w *wire) comes(req *awsapi.ServerRequest) (before, after *hold) {
	operation := req.Operation.Name
	w.mu.Lock()
	defer w.mu.Unlock()
	if req.Service.Name == "sts" {
		return nil, nil
	}
	w.calls = append(w.calls, operation)
	if req.Operation.Class() != awsapi.Write {
		if !w.hurry {
			w.advance("1m")
		}
		w.hurry = false
		return nil, nil
	}
	w.seen[operation]++
	for i := range w.holds {
		if h := &w.holds[i]; h.operation == operation && h.nth == w.seen[operation] {
			if h.after {
				return nil, h
			}
			return h, nil
		}
	}
	return nil, nil
}

// measure reads the write counters as the instance is stopped and started.
func (w *wire) measure(req *awsapi.ServerRequest) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch operation := req.Operation.Name; {
	case operation == "AttachVolume":
		w.newVolume, _ = req.Input["VolumeId"].(string)
	case operation == "StopInstances" && !w.stopped:
		w.oldAtStop, w.stopped = w.counter(w.volume), true
	case operation == "StartInstances" && !w.started:
		w.newAtStart, w.started = w.counter(w.newVolume), true
	}
}

// forward sends a request on as it is: its signature covers the host that the
// program knows.
func (w *wire) forward(r *http.Request, body []byte) (*http.Response, error) {
	out, err := http.NewRequestWithContext(context.WithoutCancel(r.Context()), r.Method, w.sandbox+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	out.Header, out.Host = r.Header.Clone(), r.Host
	return http.DefaultClient.Do(out)
}
