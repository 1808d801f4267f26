package awsapi

import (
	"net/http/httptest"
	"testing"
)

// A list of nothing leaves no trace in a query, though it is required.
func TestRequestsWithoutARequiredQueryAreUnderstood(t *testing.T) {
	r := httptest.NewRequest("DELETE", "https://mwaa.eu-west-1.amazonaws.com/tags/arn", nil)
	sr, err := testCatalog(t).DecodeRequest(r)
	if err != nil || sr.Operation.Name != "UntagResource" || sr.Input["ResourceArn"] != "arn" {
		t.Errorf("%v, %v", sr.Input, err)
	}
	// In S3 it is what tells the operations apart.
	r = httptest.NewRequest("PUT", "https://b.s3.eu-west-1.amazonaws.com/k", nil)
	if sr, err := testCatalog(t).DecodeRequest(r); err != nil || sr.Operation.Name != "PutObject" {
		t.Errorf("%v, %v", sr.Operation, err)
	}
}
