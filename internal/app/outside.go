package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/knowngood/knowngood/internal/runbook"
)

// Bounds of requests to hosts that are not AWS's.
const (
	maxOutsideText   = 16 << 10 // bytes of a body that a plan shows
	maxOutsideAnswer = 1 << 20  // bytes of an answer, which the run's log keeps
	outsideTimeout   = time.Minute
)

// newOutsideClient makes what sends such requests. Each has a connection of its own,
// so that none is sent twice for one that was closed; the script follows redirects
// itself, as requests of their own.
func newOutsideClient() *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	return &http.Client{
		Timeout: outsideTimeout,
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, TLSHandshakeTimeout: 10 * time.Second,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				c, err := dialer.DialContext(ctx, network, address)
				if err != nil {
					err = unsent{err}
				}
				return c, err
			}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// unsent is an error before which nothing was sent.
type unsent struct{ error }

// outside makes a script's requests to other hosts calls of its run: planned, held to
// the plan and logged as its writes to AWS are.
func (s scripts) outside(r runbook.ScriptRequest) func(*http.Request) (*http.Response, error) {
	return func(req *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		in := map[string]any{"url": req.URL.String()}
		describeBody(in, body)
		ctx := runbook.WithSend(req.Context(), func(ctx context.Context) (map[string]any, error) { return s.send(ctx, req, body) })
		out, err := r.Caller.Call(ctx, runbook.OutsideService, req.Method, in)
		if err != nil {
			return nil, err
		}
		return answerOf(out)
	}
}

// describeBody says what a request sends. JSON is decoded, so that what only a run
// will know has its place in it.
func describeBody(in map[string]any, body []byte) {
	switch v, err := decodeJSON(body); {
	case len(body) == 0:
	case len(body) > maxOutsideText || !utf8.Valid(body):
		sum := sha256.Sum256(body)
		in["bodySHA256"] = hex.EncodeToString(sum[:])
	case err == nil:
		in["body"] = v
	default:
		in["body"] = string(body)
	}
}

// decodeJSON decodes a text that is one JSON value whose numbers a plan can hold.
func decodeJSON(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the value")
	}
	return exactNumbers(v)
}

func exactNumbers(v any) (any, error) {
	var err error
	switch v := v.(type) {
	case json.Number:
		const most = 1 << 53
		if n, whole := v.Int64(); whole == nil && n < most && n > -most {
			return n, nil
		}
		f, err := v.Float64()
		if back, _ := json.Marshal(f); err != nil || string(back) != v.String() {
			return nil, fmt.Errorf("the number %s has no exact form", v)
		}
		return f, nil
	case []any:
		for i := range v {
			if v[i], err = exactNumbers(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k := range v {
			if v[k], err = exactNumbers(v[k]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// send sends a request that was allowed.
func (s scripts) send(ctx context.Context, req *http.Request, body []byte) (map[string]any, error) {
	out := req.Clone(ctx)
	out.Body, out.ContentLength, out.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	if len(body) == 0 {
		out.Body = http.NoBody
	}
	// So that the answer is as the script has asked for it.
	if out.Header.Get("Accept-Encoding") == "" {
		out.Header.Set("Accept-Encoding", "identity")
	}
	resp, err := s.client.Do(out)
	if err != nil {
		if errors.As(err, new(unsent)) || errors.As(err, new(*tls.CertificateVerificationError)) {
			return nil, runbook.Unsent(req.Method, err)
		}
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxOutsideAnswer+1))
	if err == nil && len(answer) > maxOutsideAnswer {
		err = fmt.Errorf("the answer of %s has more than %d bytes", req.URL.Host, maxOutsideAnswer)
	}
	if err != nil {
		return nil, err
	}
	header := map[string]any{}
	for name, values := range resp.Header {
		list := make([]any, len(values))
		for i, v := range values {
			list[i] = v
		}
		header[name] = list
	}
	return map[string]any{"status": int64(resp.StatusCode), "header": header, "body": base64.StdEncoding.EncodeToString(answer)}, nil
}

// answerOf is the response that a call's output stands for.
func answerOf(out map[string]any) (*http.Response, error) {
	text, _ := out["body"].(string)
	body, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body))}
	switch status := out["status"].(type) { // of the log: a number of JSON's
	case int64:
		resp.StatusCode = int(status)
	case float64:
		resp.StatusCode = int(status)
	case json.Number:
		n, err := status.Int64()
		if err != nil {
			return nil, err
		}
		resp.StatusCode = int(n)
	}
	header, _ := out["header"].(map[string]any)
	for name, values := range header {
		list, _ := values.([]any)
		for _, v := range list {
			if text, ok := v.(string); ok && name != "Content-Length" && name != "Connection" {
				resp.Header.Add(name, text)
			}
		}
	}
	return resp, nil
}
