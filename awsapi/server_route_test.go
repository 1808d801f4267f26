package awsapi

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A list of nothing leaves no trace in a query, though it is required.
func TestRequestsWithoutARequiredQueryAreUnderstood(t *testing.T) {
	r := httptest.NewRequest("DELETE", "https://pipes.eu-west-1.amazonaws.com/tags/arn", nil)
	sr, err := testCatalog(t).DecodeRequest(r)
	if err != nil || sr.Operation.Name != "UntagResource" || sr.Input["resourceArn"] != "arn" {
		t.Errorf("%v, %v", sr.Input, err)
	}
	// In S3 it is what tells the operations apart.
	r = httptest.NewRequest("PUT", "https://b.s3.eu-west-1.amazonaws.com/k", nil)
	if sr, err := testCatalog(t).DecodeRequest(r); err != nil || sr.Operation.Name != "PutObject" {
		t.Errorf("%v, %v", sr.Operation, err)
	}
}

// Endpoints may have a path, which is in no template.
func TestPathsOfEndpoints(t *testing.T) {
	for want, r := range map[string]*http.Request{
		"geo-maps GetStyleDescriptor":  httptest.NewRequest("GET", "https://maps.geo.eu-west-1.amazonaws.com/v2/styles/Standard/descriptor", nil),
		"geo-routes CalculateIsolines": httptest.NewRequest("POST", "https://routes.geo.eu-west-1.amazonaws.com/v2/isolines", strings.NewReader("{}")),
		"geo-places Geocode":           httptest.NewRequest("POST", "https://places.geo.eu-west-1.amazonaws.com/v2/geocode", strings.NewReader("{}")),
	} {
		service, operation, _ := strings.Cut(want, " ")
		r.Header.Set("Authorization", sigv4+" Credential=AKIDEXAMPLE/20260203/eu-west-1/"+service+"/aws4_request, SignedHeaders=host, Signature=00")
		sr, err := testCatalog(t).DecodeRequest(r)
		if err != nil || sr.Operation.Name != operation {
			t.Errorf("%s: %v, %v", want, sr.Operation, err)
		}
	}
}
