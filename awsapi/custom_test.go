package awsapi

import (
	"bytes"
	"maps"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

// Ids come as paths in Route 53's answers, and go into its next call as they are.
func TestInputsAreAdjusted(t *testing.T) {
	for name, tc := range map[string]struct {
		service, operation string
		in, want           map[string]any
	}{
		"Route 53's paths":    {"route53", "GetHostedZone", map[string]any{"Id": "/hostedzone/Z1"}, map[string]any{"Id": "Z1"}},
		"Route 53's ids":      {"route53", "GetChange", map[string]any{"Id": "C1"}, map[string]any{"Id": "C1"}},
		"Route 53's names":    {"route53", "ListHostedZonesByName", map[string]any{"DNSName": "a/b"}, map[string]any{"DNSName": "a/b"}},
		"Glacier's account":   {"glacier", "ListVaults", nil, map[string]any{"accountId": "-"}},
		"another account":     {"glacier", "ListVaults", map[string]any{"accountId": "1"}, map[string]any{"accountId": "1"}},
		"a source":            {"s3", "CopyObject", map[string]any{"CopySource": "b/a key?"}, map[string]any{"CopySource": "b/a%20key%3F"}},
		"a source's version":  {"s3", "CopyObject", map[string]any{"CopySource": "b/é?versionId=1"}, map[string]any{"CopySource": "b/%C3%A9?versionId=1"}},
		"no version":          {"s3", "CopyObject", map[string]any{"CopySource": "b/k?versionId="}, map[string]any{"CopySource": "b/k%3FversionId%3D"}},
		"a key":               {"s3", "GetObject", map[string]any{"SSECustomerKey": "k"}, map[string]any{"SSECustomerKey": "aw==", "SSECustomerKeyMD5": "jOSxayK1iJSqhsQh6HWd8w=="}},
		"a key with its hash": {"s3", "GetObject", map[string]any{"SSECustomerKey": "aw==", "SSECustomerKeyMD5": "m"}, map[string]any{"SSECustomerKey": "aw==", "SSECustomerKeyMD5": "m"}},
		"a source's Region":   {"rds", "CopyDBSnapshot", map[string]any{"SourceRegion": "r", "PreSignedUrl": "u"}, map[string]any{"PreSignedUrl": "u"}},
		"EC2's, which it has": {"ec2", "CopySnapshot", map[string]any{"SourceRegion": "r"}, map[string]any{"SourceRegion": "r"}},
	} {
		op, err := testCatalog(t).Operation(tc.service, tc.operation)
		if err != nil {
			t.Fatal(err)
		}
		before := maps.Clone(tc.in)
		got := op.adjusted(tc.in)
		if !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
		if !reflect.DeepEqual(tc.in, before) {
			t.Errorf("%s: the caller's input was changed", name)
		}
	}
}

func TestServersReadCopySourcesAsS3Does(t *testing.T) {
	for in, want := range map[string]string{"b/a%20key?versionId=a%20b": "b/a key?versionId=a%20b", "b/100%": "b/100%"} {
		r := httptest.NewRequest("PUT", "https://b.s3.eu-west-1.amazonaws.com/k", nil)
		r.Header.Set("X-Amz-Copy-Source", in)
		sr, err := testCatalog(t).DecodeRequest(r)
		if err != nil || sr.Operation.Name != "CopyObject" || sr.Input["CopySource"] != want {
			t.Errorf("%s: %v, %v; want %s", in, sr.Input, err, want)
		}
	}
}

func TestHeadersThatServicesAskFor(t *testing.T) {
	for name, tc := range map[string]struct {
		service, operation string
		in                 map[string]any
		header, want       string
	}{
		"API Gateway":       {"apigateway", "GetRestApis", nil, "Accept", "application/json"},
		"another type":      {"apigateway", "GetExport", map[string]any{"restApiId": "r", "stageName": "s", "exportType": "oas30", "accepts": "application/yaml"}, "Accept", "application/yaml"},
		"Glacier":           {"glacier", "ListVaults", nil, "X-Amz-Glacier-Version", "2012-06-01"},
		"a hash of its own": {"glacier", "UploadArchive", map[string]any{"vaultName": "v", "checksum": "c"}, "X-Amz-Sha256-Tree-Hash", "c"},
		"DynamoDB":          {"dynamodb", "DescribeEndpoints", nil, "X-Amz-Api-Version", "2012-08-10"},
		"DynamoDB's other":  {"dynamodb", "ListTables", nil, "X-Amz-Api-Version", ""},
	} {
		if got := encoded(t, tc.service, tc.operation, tc.in).Header.Get(tc.header); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

// A search is posted, for it may be longer than a URL can be, and is read again.
func TestSearchesArePosted(t *testing.T) {
	in := map[string]any{"query": "a&b=c", "size": int64(7)}
	req := encoded(t, "cloudsearchdomain", "Search", in)
	if req.Method != "POST" || req.URL != "https://host.example/2013-01-01/search" || !strings.Contains(string(req.Body), "q=a%26b%3Dc") {
		t.Errorf("%s %s %s", req.Method, req.URL, req.Body)
	}
	r := httptest.NewRequest(req.Method, "https://search-a.cloudsearchdomain.eu-west-1.amazonaws.com/2013-01-01/search", bytes.NewReader(req.Body))
	r.Header = req.Header
	sr, err := testCatalog(t).DecodeRequest(r)
	if err != nil || sr.Operation.Name != "Search" || !reflect.DeepEqual(sr.Input, in) {
		t.Errorf("%v, %v", sr.Input, err)
	}
}

// The sums of more than a megabyte are those that botocore makes.
func TestGlacierTreeHash(t *testing.T) {
	for size, want := range map[int]string{
		0:             "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		1 << 20:       "9bc1b2a288b26af7257a36277ae3816a7d4f16e89c1e7e77d0a5c48bad62b360",
		1<<20 + 1:     "8dd49bbc6297567fac3852c2deddcdbc57358bc403c10d4f6dc64b143ad9b27b",
		5<<20 + 12345: "50c375e913b1b381f237a772e58e43e13f991a4b804b338d08c1e23b5542c378",
	} {
		in := map[string]any{"vaultName": "v", "body": bytes.NewReader(bytes.Repeat([]byte{'a'}, size))}
		if got := encoded(t, "glacier", "UploadArchive", in).Header.Get("X-Amz-Sha256-Tree-Hash"); got != want {
			t.Errorf("%d bytes: %s, want %s", size, got, want)
		}
	}
}

func TestEndpointsThatInputsDecide(t *testing.T) {
	client := testClient(t, nil, nil)
	local := testClient(t, nil, func(c *Config) { c.EndpointURL = "http://127.0.0.1:5000" })
	for _, tc := range []struct {
		client             *Client
		service, operation string
		in                 map[string]any
		want               string
	}{
		{client, "s3", "GetBucketLocation", map[string]any{"Bucket": "bbb"}, "https://s3.eu-west-1.amazonaws.com/bbb"},
		{client, "machinelearning", "GetMLModel", map[string]any{"MLModelId": "m"}, "https://machinelearning.eu-west-1.amazonaws.com"},
		{client, "s3", "GetBucketAcl", map[string]any{"Bucket": "bbb"}, "https://bbb.s3.eu-west-1.amazonaws.com"},
		{client, "machinelearning", "Predict", map[string]any{"PredictEndpoint": "https://realtime.example"}, "https://realtime.example"},
		{local, "machinelearning", "Predict", map[string]any{"PredictEndpoint": "https://realtime.example"}, "http://127.0.0.1:5000"},
	} {
		op, err := testCatalog(t).Operation(tc.service, tc.operation)
		if err != nil {
			t.Fatal(err)
		}
		if ep, err := tc.client.endpoint(op, tc.in, "eu-west-1"); err != nil || ep.URL != tc.want {
			t.Errorf("%s %s: %s, %v; want %s", tc.service, tc.operation, ep.URL, err, tc.want)
		}
	}
}
