package awsapi

import (
	"bytes"
	"errors"
	"fmt"
	"net/http/httptest"
	"reflect"
	"testing"
)

// TestServerSpeaksTheClientsProtocol has a client speak each protocol that a service
// has besides the one that this package's client prefers, in every operation: the
// server must read the same input, and answer, and refuse, in that protocol.
func TestServerSpeaksTheClientsProtocol(t *testing.T) {
	server := testCatalog(t)
	client, err := OpenPack(embedded) // to change it
	if err != nil {
		t.Fatal(err)
	}
	spoken, operations := map[Protocol]int{}, 0
	for _, name := range client.Services() {
		s, err := client.Service(name)
		if err != nil {
			t.Fatal(err)
		}
		prefers := s.Protocol
		for _, p := range s.Protocols {
			if Protocol(p) == prefers {
				continue
			}
			s.Protocol = Protocol(p)
			spoken[s.Protocol]++
			for i := range s.ops {
				operations++
				if why := roundTrip(server, &s.ops[i]); why != "" {
					t.Errorf("%s %s in %s: %s", name, s.ops[i].Name, p, why)
				}
			}
		}
		s.Protocol = prefers
	}
	t.Logf("%d operations; services by protocol: %v", operations, spoken)
	if spoken[CBOR] < 5 || spoken[Query] < 1 {
		t.Errorf("services by protocol: %v", spoken)
	}
}

// roundTrip sends a call to a server of the catalog, and reads its output and an error.
func roundTrip(server *Catalog, op *Operation) string {
	in := map[string]any{}
	if op.Input != nil {
		in = sample{all: true}.structure(op.Input, 0)
	}
	req, err := op.EncodeRequest(in, Endpoint{URL: "https://" + op.Service.EndpointPrefix + ".us-east-1.amazonaws.com"})
	if err != nil {
		return err.Error()
	}
	r := httptest.NewRequest(req.Method, req.URL, bytes.NewReader(req.Body))
	r.Header = req.Header
	r.Header.Set("Authorization", sigv4+" Credential=AKIDEXAMPLE/20260203/us-east-1/"+op.Service.SigningName+"/aws4_request, SignedHeaders=host, Signature=00")
	sr, err := server.DecodeRequest(r)
	if err != nil {
		return err.Error()
	}
	if sr.Service.Name != op.Service.Name || sr.Operation.Name != op.Name || sr.Protocol != op.Service.Protocol {
		return fmt.Sprintf("it was taken for %s %s in %s", sr.Service.Name, sr.Operation.Name, sr.Protocol)
	}
	if !reflect.DeepEqual(prune(sr.Input), prune(in)) {
		return fmt.Sprintf("the server read\n%v, want\n%v", prune(sr.Input), prune(in))
	}
	out := map[string]any{}
	if op.Output != nil {
		out = sample{all: true}.structure(op.Output, 0)
	}
	w := httptest.NewRecorder()
	if err := sr.WriteResponse(w, out, "req-1"); err != nil {
		return err.Error()
	}
	got, err := op.DecodeResponse(w.Code, w.Header(), w.Body)
	if err != nil {
		return err.Error()
	}
	if !reflect.DeepEqual(prune(got), prune(out)) {
		return fmt.Sprintf("the client read\n%v, want\n%v", prune(got), prune(out))
	}
	w = httptest.NewRecorder()
	if err := sr.WriteError(w, &Error{Code: "AccessDenied", Message: "<no>", Status: 403}, "req-1"); err != nil {
		return err.Error()
	}
	_, err = op.DecodeResponse(w.Code, w.Header(), w.Body)
	var e *Error
	if !errors.As(err, &e) || e.Code != "AccessDenied" || e.Message != "<no>" || e.RequestID != "req-1" {
		return fmt.Sprintf("the client read the error %v", err)
	}
	return ""
}
