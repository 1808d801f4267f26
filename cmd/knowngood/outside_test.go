package main

import (
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// outsideHost is a host that is not AWS's, on the loopback, with TLS.
type outsideHost struct {
	mu  sync.Mutex
	got []string
}

type outsideKey struct{}

// ServeHTTP keeps what was asked, and answers with the path.
func (h *outsideHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	h.got = append(h.got, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", r.Method, r.URL, r.Header.Get("X-Mark"), body)))
	h.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-From", "outside")
	if r.URL.Path == "/missing" {
		w.WriteHeader(http.StatusNotFound)
	}
	fmt.Fprintf(w, `{"path": %q}`, r.URL.Path)
}

// serveOutside starts a host that is not AWS's, which the program trusts as it does
// real ones, and writes its address into files where they say OUTSIDE.
func serveOutside(ts *testscript.TestScript, _ bool, files []string) {
	h := ts.Value(outsideKey{}).(*outsideHost)
	server := httptest.NewTLSServer(h)
	ts.Defer(server.Close)
	ca := ts.MkAbs("outside.pem")
	ts.Check(os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	ts.Setenv("SSL_CERT_FILE", ca)
	for _, name := range files {
		file := ts.MkAbs(name)
		raw, err := os.ReadFile(file)
		ts.Check(err)
		ts.Check(os.WriteFile(file, []byte(strings.ReplaceAll(string(raw), "OUTSIDE", server.Listener.Addr().String())), 0o600))
	}
}

// printReceived prints what that host was asked since the last time.
func printReceived(ts *testscript.TestScript, _ bool, _ []string) {
	h, out := ts.Value(outsideKey{}).(*outsideHost), ts.Stdout()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, line := range h.got {
		fmt.Fprintln(out, line)
	}
	h.got = nil
}
