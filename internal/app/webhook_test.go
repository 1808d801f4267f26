package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/remedy"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/sandbox"
)

// parameterStore answers GetParameter with a webhook's integration.
type parameterStore struct {
	kind, value string
	called      []string // roles and operations
}

func (p *parameterStore) as(role, _ string, n remedy.Narrowing) awsapi.Caller {
	p.called = append(p.called, "as "+role)
	if !strings.Contains(n.Policy, `"ssm:GetParameter"`) {
		p.called = append(p.called, "with the policy "+n.Policy)
	}
	return p
}

func (p *parameterStore) Call(_ context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	p.called = append(p.called, fmt.Sprintf("%s:%s %v %v in %s", service, operation, in["Name"], in["WithDecryption"], awsapi.Options(opts...).Region))
	if p.value == "" {
		return nil, &awsapi.Error{Service: service, Operation: operation, Code: "ParameterNotFound", Status: 400}
	}
	return map[string]any{"Parameter": map[string]any{"Type": p.kind, "Value": p.value}}, nil
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// invoke invokes a webhook of an integration. sent is whether it came to that.
func invokeWebhook(t *testing.T, w webhooks, value, body string) (out runbook.WebhookResponse, sent bool, err error) {
	t.Helper()
	store := &parameterStore{kind: "SecureString", value: value}
	w.as = store.as
	invoke, err := w.FindWebhook(t.Context(), runbook.WebhookRequest{IntegrationName: "chat", Body: body, Role: "arn:aws:iam::111122223333:role/r", Place: knowngood.Place{Region: "eu-west-1"}})
	if want := "as arn:aws:iam::111122223333:role/r, ssm:GetParameter /d9d01087-4a3f-49e0-b0b4-d568d7826553/ssm/integrations/webhook/chat true in eu-west-1"; strings.Join(store.called, ", ") != want {
		t.Errorf("called %q", store.called)
	}
	if err != nil {
		return out, false, err
	}
	out, err = invoke(t.Context())
	return out, true, err
}

func TestAWebhookIsSent(t *testing.T) {
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, fmt.Sprintf("%s %s %s %s %s", r.Method, r.URL.Path, r.Header.Get("Content-Type"), r.Header.Get("X-Token"), body))
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		case "/broken":
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprint(w, "out of order")
		case "/long":
			fmt.Fprint(w, strings.Repeat("x", webhookBytes+1))
		default:
			fmt.Fprint(w, "thank you\xff")
		}
	}))
	defer server.Close()
	for _, c := range []struct {
		integration map[string]any
		path, body  string
		code        int
		answer, got string
	}{
		{map[string]any{"description": "d"}, "/a", `{"text": "hello"}`, 200, "thank you\ufffd", `POST /a application/json  {"text": "hello"}`},
		{map[string]any{"headers": map[string]any{"X-Token": "t", "content-type": "text/csv"}}, "/a", "a,b", 200, "thank you\ufffd", `POST /a text/csv t a,b`},
		{map[string]any{"payload": "standard"}, "/a", "", 200, "thank you\ufffd", `POST /a text/plain; charset=utf-8  standard`},
		{map[string]any{"payload": map[string]any{"text": "standard"}}, "/a", "", 200, "thank you\ufffd", `POST /a application/json  {"text":"standard"}`},
		{map[string]any{"payload": "standard"}, "/a", "own", 200, "thank you\ufffd", `POST /a text/plain; charset=utf-8  own`},
		{map[string]any{}, "/broken", "x", 500, "out of order", `POST /broken text/plain; charset=utf-8  x`},
		{map[string]any{}, "/moved", "x", 307, "", `POST /moved text/plain; charset=utf-8  x`},
		{map[string]any{}, "/long", "x", 200, strings.Repeat("x", webhookBytes), `POST /long text/plain; charset=utf-8  x`},
	} {
		got = nil
		c.integration["url"] = server.URL + c.path
		out, _, err := invokeWebhook(t, webhooks{here: true}, jsonOf(t, c.integration), c.body)
		if err != nil || out.Code != c.code || out.Body != c.answer || strings.Join(got, "\n") != c.got {
			t.Errorf("%s: %d %.50q, %v, the server got %q", c.path, out.Code, out.Body, err, got)
		}
	}
}

// What was not sent is told as such, what may have been is not; and no message
// holds the address.
func TestAWebhookThatCannotBeSent(t *testing.T) {
	slow := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cut/T0P53CR3T" {
			panic(http.ErrAbortHandler)
		}
		<-slow
	}))
	defer server.Close()
	defer close(slow)
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of us
	secure.StartTLS()
	defer secure.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for _, c := range []struct {
		name, value string
		here        bool
		sent        bool
		unknown     bool // whether it was received
		want        string
	}{
		{"no integration", "", false, false, false, "ParameterNotFound"},
		{"no JSON", "T0P53CR3T", false, false, false, "its integration is no JSON object"},
		{"a list", `["T0P53CR3T"]`, false, false, false, "its integration is no JSON object"},
		{"no url", `{}`, false, false, false, "its url does not begin with https://"},
		{"a bad url", `{"url": "https://T0P53CR3T:%%"}`, false, false, false, "its url is none"},
		{"http", `{"url": "http://hooks.example.com/T0P53CR3T"}`, false, false, false, "its url does not begin with https://"},
		{"a file", `{"url": "file:///T0P53CR3T"}`, false, false, false, "its url does not begin with https://"},
		{"out of the sandbox", `{"url": "https://hooks.example.com/T0P53CR3T"}`, true, false, false, "its url leads out of this machine"},
		{"nobody listens", `{"url": "` + gone.URL + `/T0P53CR3T"}`, false, true, false, "nothing was sent: connection refused"},
		{"a certificate of nobody's", `{"url": "` + secure.URL + `/T0P53CR3T"}`, false, true, false, "nothing was sent: the host's certificate is not accepted"},
		{"no answer", `{"url": "` + server.URL + `/T0P53CR3T"}`, false, true, true, "there was no answer within 50ms"},
		{"cut short", `{"url": "` + server.URL + `/cut/T0P53CR3T"}`, false, true, true, "the connection broke"},
	} {
		w := webhooks{here: c.here}
		if c.name == "no answer" {
			w.limit = 50 * time.Millisecond
		}
		_, sent, err := invokeWebhook(t, w, c.value, "body")
		if err == nil || sent != c.sent || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "T0P53CR3T") {
			t.Errorf("%s: sent %v, %v", c.name, sent, err)
		}
		if known := errors.As(err, new(*knowngood.Error)); sent && known == c.unknown {
			t.Errorf("%s: %v says the wrong thing of whether it was received", c.name, err)
		}
	}
	w := webhooks{as: (&parameterStore{kind: "String", value: `{"url": "https://hooks.example.com/T0P53CR3T"}`}).as}
	if _, err := w.FindWebhook(t.Context(), runbook.WebhookRequest{IntegrationName: "chat"}); err == nil || !strings.Contains(err.Error(), "its parameter is a String; expected a SecureString") {
		t.Errorf("a parameter in clear: %v", err)
	}
}

// A sandbox's own executions invoke webhooks too, of this machine and no others.
func TestASandboxInvokesWebhooksOfThisMachine(t *testing.T) {
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, string(body))
	}))
	defer server.Close()
	c, err := catalog()
	if err != nil {
		t.Fatal(err)
	}
	clock := sandbox.NewClock(trialTime)
	box, err := sandbox.New(sandbox.Options{Catalog: c, Clock: clock, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	box.RunAutomations(newAutomations(t.Context(), c, box, clock, false))
	call := func(operation string, in map[string]any) map[string]any {
		t.Helper()
		out, err := box.Call(t.Context(), sandbox.Request{Service: "ssm", Operation: operation, AccessKeyID: sandbox.OperatorKey, Input: in})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, c := range []struct{ name, url, status, why string }{
		{"near", server.URL, "Success", ""},
		{"far", "https://hooks.example.com/x", "Failed", "leads out of this machine"},
	} {
		call("PutParameter", map[string]any{"Name": runbook.WebhookParameter(c.name), "Type": "SecureString", "Value": jsonOf(t, map[string]any{"url": c.url})})
		call("CreateDocument", map[string]any{"Name": c.name, "DocumentType": "Automation", "DocumentFormat": "JSON", "Content": jsonOf(t, map[string]any{"schemaVersion": "0.3", "mainSteps": []any{
			map[string]any{"name": "Tell", "action": "aws:invokeWebhook", "inputs": map[string]any{"IntegrationName": c.name, "Body": "hello"}}}})})
		id := call("StartAutomationExecution", map[string]any{"DocumentName": c.name})["AutomationExecutionId"]
		e := call("GetAutomationExecution", map[string]any{"AutomationExecutionId": id})["AutomationExecution"].(map[string]any)
		why, _ := e["FailureMessage"].(string)
		if e["AutomationExecutionStatus"] != c.status || !strings.Contains(why, c.why) {
			t.Errorf("%s: %v, %v", c.name, e["AutomationExecutionStatus"], why)
		}
	}
	if len(got) != 1 || got[0] != "hello" {
		t.Errorf("the server got %q", got)
	}
}
