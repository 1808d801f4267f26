package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/sandbox"
)

// openWebhook is the command webhook. The path of its address is the secret.
func openWebhook(ts *testscript.TestScript, _ bool, args []string) {
	e := accountOf(ts)
	status, err := strconv.Atoi(args[1])
	ts.Check(err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		e.mu.Lock()
		e.sent = append(e.sent, args[0]+" "+string(body))
		e.mu.Unlock()
		if status == http.StatusTemporaryRedirect {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
		fmt.Fprint(w, strings.Join(args[2:], " "))
	}))
	ts.Defer(server.Close)
	value, err := json.Marshal(map[string]string{"url": server.URL + "/T0P53CR3T"})
	ts.Check(err)
	_, err = e.box.Call(context.Background(), sandbox.Request{Service: "ssm", Operation: "PutParameter", AccessKeyID: sandbox.OperatorKey, Input: map[string]any{
		"Name": runbook.WebhookParameter(args[0]), "Type": "SecureString", "DataType": "aws:ssm:integration", "Value": string(value)}})
	ts.Check(err)
	e.read = len(e.box.Calls())
}

func printWebhooks(ts *testscript.TestScript, _ bool, _ []string) {
	e, out := accountOf(ts), ts.Stdout()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.sent {
		fmt.Fprintln(out, s)
	}
	e.sent = nil
}
