package awsapi

import (
	"bytes"
	"fmt"
	"io"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
)

// sample makes values by shape: those that are required, or all.
type sample struct{ all bool }

func (g sample) structure(s *Shape, depth int) map[string]any {
	out := map[string]any{}
	only := 0 // of a union: a scalar if there is one, lest it go on for ever
	for i := range s.Members {
		if t := s.Members[i].Shape.Type; t > Map {
			only = i
			break
		}
	}
	for i := range s.Members {
		m := &s.Members[i]
		if s.Is(Union) && i != only || m.Is(IdempotencyToken) && !m.Is(Required) {
			continue
		}
		if m.Is(Required) || s.Is(Union) || m.Location == InURI || m.Is(HostLabel) || g.all && depth < 4 {
			out[m.Name] = g.value(m, depth)
		}
	}
	return out
}

func (g sample) value(m *Member, depth int) any {
	s := m.Shape
	if m.Is(JSONValue) && m.Location == InHeader {
		return map[string]any{"a": int64(1)}
	}
	switch s.Type {
	case Structure:
		if s.Is(Document) {
			return map[string]any{"a": []any{int64(1), "x", nil, true}}
		}
		if depth > 8 && !s.Is(Union) || depth > 30 {
			return map[string]any{}
		}
		return g.structure(s, depth+1)
	case List:
		if depth > 8 {
			return []any{}
		}
		return []any{g.value(s.Elem, depth+1)}
	case Map:
		key := "k"
		if len(s.Key.Shape.Enum) > 0 {
			key = s.Key.Shape.Enum[0]
		}
		if depth > 8 {
			return map[string]any{}
		}
		return map[string]any{key: g.value(s.Elem, depth+1)}
	case String:
		if len(s.Enum) > 0 {
			return s.Enum[0]
		}
		return "x" + strings.Repeat("y", max(0, int(min(s.Min, 300))-1))
	case Integer, Long:
		return int64(max(1, s.Min))
	case Float, Double:
		return 1.5
	case Boolean:
		return true
	case Blob:
		return []byte("blob")
	default:
		return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	}
}

// TestServerKnowsEveryRequest encodes a request for every operation of every
// service and looks whether the server finds the operation and reads the same
// input.
func TestServerKnowsEveryRequest(t *testing.T) {
	catalog := testCatalog(t)
	for _, all := range []bool{false, true} {
		operations, failed := 0, 0
		for _, name := range catalog.Services() {
			s, err := catalog.Service(name)
			if err != nil {
				t.Fatal(err)
			}
			for i := range s.ops {
				op := &s.ops[i]
				if op.EventStream() {
					continue
				}
				operations++
				if why := serverReads(catalog, op, sample{all}); why != "" {
					failed++
					if failed <= 60 {
						t.Errorf("%s %s: %s", name, op.Name, why)
					}
				}
			}
		}
		t.Logf("all members %v: %d operations, %d failed", all, operations, failed)
	}
}

// twins are services that can't be told from others, since their requests have the
// same signing name, host and form, and operations of S3 likewise.
var twins = map[string]string{
	"docdb": "rds", "neptune": "rds", "greengrassv2": "greengrass", "pinpoint-sms-voice": "sms-voice", "qconnect": "wisdom",
	"s3 GetBucketLifecycle": "GetBucketLifecycleConfiguration", "s3 PutBucketLifecycle": "PutBucketLifecycleConfiguration",
	"s3 GetBucketNotification": "GetBucketNotificationConfiguration", "s3 PutBucketNotification": "PutBucketNotificationConfiguration",
	"s3 ListDirectoryBuckets": "ListBuckets", "signer": "signer-data",
}

func serverReads(catalog *Catalog, op *Operation, g sample) string {
	in := map[string]any{}
	if op.Input != nil {
		in = g.structure(op.Input, 0)
	}
	host := op.Service.EndpointPrefix + ".us-east-1.amazonaws.com"
	if op.Service.Name == "s3" && in["Bucket"] != nil {
		host = "xyz." + host
		in["Bucket"] = "xyz"
	}
	req, err := op.EncodeRequest(in, Endpoint{URL: "https://" + host})
	if err != nil {
		return err.Error()
	}
	r := httptest.NewRequest(req.Method, req.URL, bytes.NewReader(requestBody(req)))
	r.Header = req.Header
	r.Header.Set("Authorization", sigv4+" Credential=AKIDEXAMPLE/20260203/us-east-1/"+op.Service.SigningName+"/aws4_request, SignedHeaders=host, Signature=00")
	sr, err := catalog.DecodeRequest(r)
	if err != nil {
		return err.Error()
	}
	if twins[op.Service.Name] == sr.Service.Name && sr.Operation.Name == op.Name || twins["s3 "+op.Name] == sr.Operation.Name {
		return ""
	}
	if sr.Service.Name != op.Service.Name || sr.Operation != op {
		return fmt.Sprintf("it was taken for %s %s (%s %s)", sr.Service.Name, sr.Operation.Name, req.Method, req.URL)
	}
	dropHeaders(op.Input, sr.Input, "authorization", "content-length", "content-type")
	in = op.adjusted(in)
	dropAdded(op, sr.Input, in)
	// Likewise the type of a payload.
	for i := range inputMembers(op) {
		if m := &op.Input.Members[i]; m.Location == InHeader && m.WireName() == "Content-Type" && in[m.Name] == nil {
			delete(sr.Input, m.Name)
		}
	}
	if !reflect.DeepEqual(prune(sr.Input), prune(in)) {
		return fmt.Sprintf("got  %v\nwant %v", prune(sr.Input), prune(in))
	}
	return ""
}

// dropAdded takes out of an input what the client has added: the name of a
// checksum's algorithm, Glacier's checksum, and what API Gateway shall answer with.
func dropAdded(op *Operation, got, want map[string]any) {
	added := map[string]string{"glacier": "checksum", "apigateway": "accepts"}
	for _, name := range []string{op.ChecksumMember, added[op.Service.Name]} {
		if want[name] == nil {
			delete(got, name)
		}
	}
}

// prune takes out what no protocol but JSON can tell from absent: empty
// structures, lists and maps.
func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			if e := prune(e); e != nil {
				out[k] = e
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case []any:
		out := []any{}
		for _, e := range v {
			if e := prune(e); e != nil {
				out = append(out, e)
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case string:
		if v == "" {
			return nil
		}
	case []byte:
		if len(v) == 0 {
			return nil
		}
	}
	return v
}

// TestClientReadsEveryResponse encodes an output with all members of every
// operation and looks whether the client reads the same.
func TestClientReadsEveryResponse(t *testing.T) {
	catalog := testCatalog(t)
	operations, failed := 0, 0
	for _, name := range catalog.Services() {
		s, err := catalog.Service(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.ops {
			op := &s.ops[i]
			if op.EventStream() || op.Output == nil || name == "s3" && op.Name == "GetBucketNotification" {
				continue // the last has two members of one name
			}
			operations++
			if why := clientReads(op); why != "" {
				if failed++; failed <= 40 {
					t.Errorf("%s %s: %s", name, op.Name, why)
				}
			}
		}
	}
	t.Logf("%d operations, %d failed", operations, failed)
}

func clientReads(op *Operation) string {
	out := sample{all: true}.structure(op.Output, 0)
	for i := range op.Output.Members {
		switch m := &op.Output.Members[i]; {
		case m.Location == InStatus:
			out[m.Name] = int64(200)
		case m.Location == InHeader && m.WireName() == "Content-Length":
			out[m.Name] = int64(len("blob"))
		}
	}
	for _, algorithm := range op.ChecksumAlgorithms {
		delete(out, "Checksum"+algorithm) // the sample's is not that of the body
	}
	w := httptest.NewRecorder()
	if err := op.EncodeResponse(w, out, "req-1"); err != nil {
		return err.Error()
	}
	got, err := op.DecodeResponse(w.Code, w.Header(), w.Body)
	if err != nil {
		return err.Error()
	}
	if m := op.streamingOutput(); m != nil {
		if got[m.Name], err = io.ReadAll(got[m.Name].(io.Reader)); err != nil {
			return err.Error()
		}
	}
	dropHeaders(op.Output, got, "content-length", "content-type", "x-amzn-requestid")
	if !reflect.DeepEqual(prune(got), prune(out)) {
		return fmt.Sprintf("got  %v\nwant %v", prune(got), prune(out))
	}
	return ""
}
