package app

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/remedy"
	"github.com/knowngood/knowngood/internal/runbook"
)

// webhooks invokes Automation's webhook integrations, which Parameter Store holds.
// Where one leads to, and its headers, are secrets: no message has them. It
// implements runbook.Webhooks.
type webhooks struct {
	as func(role, purpose string, n remedy.Narrowing) awsapi.Caller
	// here says that only webhooks of this machine may be invoked: the account is in
	// memory, and what leads out of it is nobody's intention.
	here  bool
	limit time.Duration // for the answer; 0: webhookTime
}

// Limits of a webhook's answer. AWS states none.
const (
	webhookTime  = time.Minute
	webhookBytes = 64 << 10 // what is longer is cut off
)

// webhookPolicy is what reading an integration needs, and no more.
const webhookPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kms:Decrypt","ssm:GetParameter"],"Resource":"*"}]}`

// integration is what the parameter of a webhook holds. Source: Systems Manager User
// Guide, "Creating webhook integrations for Automation".
type integration struct {
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Payload json.RawMessage   `json:"payload"` // of requests without a body of their own
}

// FindWebhook implements runbook.Webhooks.
func (w webhooks) FindWebhook(ctx context.Context, r runbook.WebhookRequest) (runbook.InvokeWebhook, error) {
	op := "the webhook " + r.IntegrationName
	out, err := w.as(r.Role, "webhook", remedy.Narrowing{Policy: webhookPolicy}).Call(ctx, "ssm", "GetParameter",
		map[string]any{"Name": runbook.WebhookParameter(r.IntegrationName), "WithDecryption": true}, awsapi.Region(r.Place.Region))
	if err != nil {
		return nil, fmt.Errorf("%s: its integration can't be read: %w", op, err)
	}
	parameter, _ := out["Parameter"].(map[string]any)
	if kind := parameter["Type"]; kind != "SecureString" {
		return nil, knowngood.E(knowngood.Invalid, op, "its parameter is a %v; expected a SecureString", kind)
	}
	value, _ := parameter["Value"].(string)
	var i integration
	if json.Unmarshal([]byte(value), &i) != nil { // the error would show what is there
		return nil, knowngood.E(knowngood.Invalid, op, "its integration is no JSON object with url, headers and payload")
	}
	at, err := url.Parse(i.URL)
	if err != nil {
		return nil, knowngood.E(knowngood.Invalid, op, "its url is none")
	}
	local := isLoopback(at.Hostname())
	switch {
	case at.Host == "" || at.Scheme != "https" && !(at.Scheme == "http" && local):
		return nil, knowngood.E(knowngood.Invalid, op, "its url does not begin with https://")
	case w.here && !local:
		return nil, knowngood.E(knowngood.Invalid, op, "its url leads out of this machine, where the account is")
	}
	body := r.Body
	if body == "" {
		body = i.payload()
	}
	request, err := http.NewRequest(http.MethodPost, at.String(), strings.NewReader(body))
	if err != nil {
		return nil, knowngood.E(knowngood.Invalid, op, "its url is none")
	}
	request.Header.Set("Content-Type", "text/plain; charset=utf-8")
	if json.Valid([]byte(body)) {
		request.Header.Set("Content-Type", "application/json")
	}
	for name, v := range i.Headers {
		request.Header.Set(name, v)
		if strings.EqualFold(name, "Host") {
			request.Host = v
		}
	}
	return func(ctx context.Context) (runbook.WebhookResponse, error) { return w.send(ctx, op, request) }, nil
}

// payload is the standard body: a text, or what is there as JSON.
func (i integration) payload() string {
	var text string
	if len(i.Payload) == 0 || json.Unmarshal(i.Payload, &text) == nil {
		return text
	}
	return string(i.Payload)
}

// send sends a request once. Nobody is followed to another place: an answer that
// redirects is the answer.
func (w webhooks) send(ctx context.Context, op string, request *http.Request) (runbook.WebhookResponse, error) {
	limit := w.limit
	if limit == 0 {
		limit = webhookTime
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		DisableKeepAlives: true} // on a connection of its own a request is never sent twice
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request.WithContext(ctx))
	switch {
	case err != nil && !sent.Load():
		return runbook.WebhookResponse{}, knowngood.E(knowngood.Other, op, "nothing was sent: %s", whyNot(err, limit))
	case err != nil:
		return runbook.WebhookResponse{}, errors.New(whyNot(err, limit))
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, webhookBytes))
	if err != nil && len(body) == 0 {
		body = []byte("(the answer broke off)") // its code is there, and says what became of it
	}
	return runbook.WebhookResponse{Code: response.StatusCode, Body: strings.ToValidUTF8(string(body), "\ufffd")}, nil
}

// whyNot says what went wrong in words of ours: net/http's own have the URL.
func whyNot(err error, limit time.Duration) string {
	var errno syscall.Errno
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("there was no answer within %s", limit)
	case errors.Is(err, context.Canceled):
		return "it was interrupted"
	case errors.As(err, &dns):
		return "the host's name is not known"
	case errors.As(err, &certificate):
		return "the host's certificate is not accepted"
	case errors.As(err, &errno):
		return errno.Error()
	}
	return "the connection broke"
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
