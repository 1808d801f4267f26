package script

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/knowngood/knowngood/awsapi"
)

// proxy is a script's way out: a forward proxy that ends TLS itself. Requests to
// AWS become calls; requests to hosts that are allowed are sent on; all others are
// denied.
type proxy struct {
	catalog   *awsapi.Catalog
	caller    awsapi.Caller
	region    string
	hosts     []string
	outside   func(*http.Request) (*http.Response, error)
	open      bool // only the script can reach the proxy
	authority *authority
	note      func(string)
	root      *token

	ctx    context.Context // of the run
	reads  context.Context // ends when the script does
	stop   context.CancelFunc
	calls  sync.WaitGroup
	slots  chan struct{}
	nextID atomic.Uint64
	tokens tokens
	server *http.Server // of the connections to the proxy itself
	inner  *http.Server // of those to hosts through it
	tunnel *tunnel
	mu     sync.Mutex
	closed bool
	denied []string // hosts, with their ports
}

const (
	// maxRequest bounds a request's body, which is held in memory; AWS's SDKs
	// send larger objects in parts of 8 MiB.
	maxRequest = 128 << 20
	// maxAtOnce is how many requests are served at a time.
	maxAtOnce = 8
)

// awsDomains are those under which AWS's endpoints are, by botocore's
// partitions.json.
var awsDomains = []string{"amazonaws.com", "amazonaws.com.cn", "api.aws", "api.amazonwebservices.com.cn", "amazonaws.eu", "api.amazonwebservices.eu", "c2s.ic.gov", "api.aws.ic.gov",
	"sc2s.sgov.gov", "api.aws.scloud", "csp.hci.ic.gov", "api.aws.hci.ic.gov", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"}

func isAWS(host string) bool {
	return slices.ContainsFunc(awsDomains, func(d string) bool { return host == d || strings.HasSuffix(host, "."+d) })
}

// init makes the proxy ready for a run.
func (p *proxy) init(ctx context.Context) error {
	p.ctx, p.slots = ctx, make(chan struct{}, maxAtOnce)
	p.reads, p.stop = context.WithCancel(ctx)
	var err error
	if p.root, err = p.tokens.add(nil); err != nil {
		return err
	}
	quiet := log.New(io.Discard, "", 0)
	p.tunnel = &tunnel{conns: make(chan net.Conn), closed: make(chan struct{})}
	p.inner = &http.Server{Handler: http.HandlerFunc(p.throughTLS), ErrorLog: quiet, ReadHeaderTimeout: time.Minute,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if t, ok := c.(*tls.Conn); ok {
				if to, ok := t.NetConn().(hostConn); ok {
					return context.WithValue(ctx, hostKey{}, to.host)
				}
			}
			return ctx
		}}
	p.server = &http.Server{Handler: http.HandlerFunc(p.direct), ErrorLog: quiet, ReadHeaderTimeout: time.Minute}
	return nil
}

// serve serves until the listener is closed.
func (p *proxy) serve(l net.Listener) {
	go func() { _ = p.inner.Serve(p.tunnel) }()
	_ = p.server.Serve(l)
}

// close ends all connections and waits for the calls under way.
func (p *proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.server.Close()
	_ = p.inner.Close()
	p.stop()
	p.calls.Wait()
}

// begin counts a request as under way, unless the script is over.
func (p *proxy) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.calls.Add(1)
	return true
}

type hostKey struct{}

// direct serves what is said to the proxy itself: CONNECT, and requests without
// TLS.
func (p *proxy) direct(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		if r.URL.Host == "" || r.URL.Scheme != "http" {
			http.Error(w, "this is a forward proxy", http.StatusBadRequest)
			return
		}
		p.answer(w, r, r.URL.Host)
		return
	}
	host, port := splitHost(r.Host, "443")
	if !p.allowed(host, port) {
		p.deny(w, host, port)
		return
	}
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		http.Error(w, "the connection can't be taken over", http.StatusInternalServerError)
		return
	}
	conn, buffered, err := hijacker.Hijack()
	if err != nil {
		return
	}
	if buffered.Reader.Buffered() > 0 { // no client speaks before it is answered
		_ = conn.Close()
		return
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		_ = conn.Close()
		return
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return p.authority.mint(host)
	}}
	p.tunnel.add(tls.Server(hostConn{conn, host}, config))
}

// throughTLS serves a request to the host that a connection was made to.
func (p *proxy) throughTLS(w http.ResponseWriter, r *http.Request) {
	host, _ := r.Context().Value(hostKey{}).(string)
	if asked, _ := splitHost(r.Host, "443"); asked != host {
		http.Error(w, "the connection is one to "+host, http.StatusMisdirectedRequest)
		return
	}
	p.answer(w, r, r.Host)
}

// answer answers a request to a host.
func (p *proxy) answer(w http.ResponseWriter, r *http.Request, authority string) {
	standard := "443"
	if r.TLS == nil {
		standard = "80"
	}
	host, port := splitHost(authority, standard)
	switch {
	case !p.allowed(host, port):
		p.deny(w, host, port)
		return
	case !p.begin():
		panic(http.ErrAbortHandler)
	}
	defer p.calls.Done()
	p.slots <- struct{}{}
	defer func() { <-p.slots }()
	r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
	if isAWS(host) {
		p.call(w, r)
		return
	}
	p.forward(w, r, authority)
}

// allowed says whether a script may speak to a host.
func (p *proxy) allowed(host, port string) bool {
	if isAWS(host) {
		return port == "443" || port == "80"
	}
	return p.outside != nil && slices.Contains(p.hosts, net.JoinHostPort(host, port))
}

// deny refuses a host, and says so once in the script's log.
func (p *proxy) deny(w http.ResponseWriter, host, port string) {
	at := net.JoinHostPort(host, port)
	p.mu.Lock()
	known := slices.Contains(p.denied, at)
	if !known && len(p.denied) < 100 {
		p.denied = append(p.denied, at)
	}
	p.mu.Unlock()
	why := fmt.Sprintf("the script may not speak to %.200q: it is none of AWS's endpoints, and the runbook's entry does not allow it", at)
	if !known {
		p.note(why)
	}
	http.Error(w, why, http.StatusForbidden)
}

// refused are the hosts that were denied.
func (p *proxy) refused() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.denied)
}

// forward sends a request on to another host.
func (p *proxy) forward(w http.ResponseWriter, r *http.Request, authority string) {
	out := r.Clone(context.WithoutCancel(p.ctx))
	out.RequestURI, out.URL.Host, out.URL.Scheme = "", authority, "https"
	if r.TLS == nil {
		out.URL.Scheme = "http"
	}
	for _, h := range []string{"Connection", "Proxy-Connection", "Proxy-Authorization", "Keep-Alive", "Te", "Trailer", "Upgrade"} {
		out.Header.Del(h)
	}
	resp, err := p.outside(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

// splitHost gives a host in lower case, and its port.
func splitHost(authority, standard string) (host, port string) {
	host, port, err := net.SplitHostPort(authority)
	if err != nil {
		host, port = strings.Trim(authority, "[]"), standard
	}
	return strings.TrimSuffix(strings.ToLower(host), "."), port
}

// tunnel is a listener of the connections that come through CONNECT.
type tunnel struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (t *tunnel) add(c net.Conn) {
	select {
	case t.conns <- c:
	case <-t.closed:
		_ = c.Close()
	}
}

// Accept implements net.Listener.
func (t *tunnel) Accept() (net.Conn, error) {
	select {
	case c := <-t.conns:
		return c, nil
	case <-t.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (t *tunnel) Close() error {
	t.once.Do(func() { close(t.closed) })
	return nil
}

// Addr implements net.Listener.
func (t *tunnel) Addr() net.Addr { return &net.TCPAddr{} }

// hostConn is a connection that was asked for to a host.
type hostConn struct {
	net.Conn
	host string
}
