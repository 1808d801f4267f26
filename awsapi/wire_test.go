package awsapi

import (
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// encoded is the request of an input, or the test fails.
func encoded(t *testing.T, service, operation string, in map[string]any) *Request {
	t.Helper()
	op, err := testCatalog(t).Operation(service, operation)
	if err != nil {
		t.Fatal(err)
	}
	req, err := op.EncodeRequest(in, Endpoint{URL: "https://host.example"})
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// answered is the response with an output, or the test fails.
func answered(t *testing.T, service, operation string, out map[string]any) *httptest.ResponseRecorder {
	t.Helper()
	op, err := testCatalog(t).Operation(service, operation)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := op.EncodeResponse(w, out, "req-1"); err != nil {
		t.Fatal(err)
	}
	return w
}

// A grantee's type is an attribute with a prefix, which must be bound.
func TestGranteesDeclareThePrefixOfTheirType(t *testing.T) {
	grants := []any{map[string]any{"Permission": "READ", "Grantee": map[string]any{"Type": "Group", "URI": "u"}}}
	want := `<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group"><URI>u</URI></Grantee>`
	req := encoded(t, "s3", "PutBucketAcl", map[string]any{"Bucket": "b", "AccessControlPolicy": map[string]any{"Grants": grants}})
	if !strings.Contains(string(req.Body), want) {
		t.Errorf("request: %s", req.Body)
	}
	if w := answered(t, "s3", "GetBucketAcl", map[string]any{"Grants": grants}); !strings.Contains(w.Body.String(), want) {
		t.Errorf("response: %s", w.Body)
	}
}

// The shortest text of a single-precision number is another number to a reader
// who takes it for a double.
func TestFloatsKeepTheirValueForEveryReader(t *testing.T) {
	m := &Member{Shape: &Shape{Type: Float}}
	for f, want := range map[float64]string{1533130.875: "1.533130875e+06", 0.1: "0.1", 5: "5"} {
		text, err := scalarText(m, f, "")
		if err != nil || text != want {
			t.Errorf("%v is %q, %v; want %q", f, text, err, want)
		}
		if b, err := appendJSON(nil, m, f); err != nil || string(b) != want {
			t.Errorf("%v is %q in JSON, %v; want %q", f, b, err, want)
		}
	}
}

func TestATypeThatIsSetToNothingStays(t *testing.T) {
	req := encoded(t, "lex-runtime", "PostContent", map[string]any{"botName": "b", "botAlias": "a", "userId": "u", "contentType": "", "inputStream": []byte("x")})
	if got := req.Header["Content-Type"]; len(got) != 1 || got[0] != "" {
		t.Errorf("the type is %q", got)
	}
}

// Clients show the names of metadata as they come, and boto3's users write them in
// small letters.
func TestMetadataKeepsTheCaseOfItsNames(t *testing.T) {
	w := answered(t, "s3", "HeadObject", map[string]any{"Metadata": map[string]any{"owner-id": "1"}})
	names := slices.Collect(maps.Keys(w.Header()))
	if !slices.Contains(names, "x-amz-meta-owner-id") || slices.Contains(names, "X-Amz-Meta-Owner-Id") {
		t.Errorf("the headers are %v", w.Header())
	}
}
