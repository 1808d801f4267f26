package awsapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// presigned makes the request that somebody with the URL makes.
func presigned(t *testing.T, method, address string, body string) *http.Request {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(method, u.RequestURI(), strings.NewReader(body))
	r.Host = u.Host
	return r
}

func TestPresignedURLs(t *testing.T) {
	client := testClient(t, nil, nil)
	for _, tc := range []struct {
		service, operation, method string
		in                         map[string]any
	}{
		{"s3", "GetObject", "GET", map[string]any{"Bucket": "acme-invoices", "Key": "a b/c+d?e", "ResponseContentType": "text/plain; x"}},
		{"s3", "PutObject", "PUT", map[string]any{"Bucket": "acme-invoices", "Key": "k"}},
		{"sts", "GetCallerIdentity", "GET", nil},
		{"ec2", "DescribeVolumes", "GET", map[string]any{"VolumeIds": []any{"vol-1"}}},
		{"lambda", "ListFunctions", "GET", map[string]any{"MaxItems": int64(3)}},
	} {
		t.Run(tc.service+" "+tc.operation, func(t *testing.T) {
			address, err := client.Presign(t.Context(), tc.service, tc.operation, tc.in, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			r := presigned(t, tc.method, address, "")
			sr, err := testCatalog(t).DecodeRequest(r)
			if err != nil {
				t.Fatal(err)
			}
			if sr.Operation.Name != tc.operation || sr.Region != "eu-west-1" || !sr.Signed {
				t.Errorf("the server saw %s in %s", sr.Operation.Name, sr.Region)
			}
			for k, v := range tc.in {
				if !sameValue(sr.Input[k], v) {
					t.Errorf("%s is %v, want %v", k, sr.Input[k], v)
				}
			}
			if err := VerifySignature(r, sr.Body, testSecret, testTime.Add(59*time.Minute)); err != nil {
				t.Error(err)
			}
			if err := VerifySignature(r, sr.Body, testSecret, testTime.Add(61*time.Minute)); codeOf(err) != "AccessDenied" {
				t.Errorf("an expired URL: %v", err)
			}
			if err := VerifySignature(r, sr.Body, "other", testTime); codeOf(err) != "SignatureDoesNotMatch" {
				t.Errorf("another secret: %v", err)
			}
		})
	}
	for _, d := range []time.Duration{0, 8 * 24 * time.Hour} {
		if _, err := client.Presign(t.Context(), "s3", "GetObject", map[string]any{"Bucket": "bbb", "Key": "k"}, d); err == nil {
			t.Errorf("a URL that is good for %v", d)
		}
	}
	if _, err := client.Presign(t.Context(), "kms", "ListKeys", nil, time.Hour); err == nil {
		t.Error("a URL for a call that has its operation in a header")
	}
}

func codeOf(err error) string {
	var e *Error
	errors.As(err, &e)
	if e == nil {
		return ""
	}
	return e.Code
}

func TestChangedRequestsAreRefused(t *testing.T) {
	client := testClient(t, HandlerDoer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		good := func() *http.Request { return r.Clone(r.Context()) }
		for name, tc := range map[string]struct {
			change func(*http.Request) ([]byte, time.Time)
			code   string
		}{
			"nothing":   {func(*http.Request) ([]byte, time.Time) { return body, testTime }, ""},
			"the body":  {func(*http.Request) ([]byte, time.Time) { return append(bytes.Clone(body), 'x'), testTime }, "SignatureDoesNotMatch"},
			"the path":  {func(r *http.Request) ([]byte, time.Time) { r.URL.Path = "/x"; return body, testTime }, "SignatureDoesNotMatch"},
			"the query": {func(r *http.Request) ([]byte, time.Time) { r.URL.RawQuery = "a=b"; return body, testTime }, "SignatureDoesNotMatch"},
			"the host":  {func(r *http.Request) ([]byte, time.Time) { r.Host = "other"; return body, testTime }, "SignatureDoesNotMatch"},
			"the time":  {func(*http.Request) ([]byte, time.Time) { return body, testTime.Add(time.Hour) }, "RequestTimeTooSkewed"},
			"no signature": {func(r *http.Request) ([]byte, time.Time) {
				r.Header = http.Header{}
				return body, testTime
			}, "MissingAuthenticationToken"},
			"half a signature": {func(r *http.Request) ([]byte, time.Time) {
				r.Header.Set("Authorization", sigv4+" Credential=a")
				return body, testTime
			}, "IncompleteSignature"},
		} {
			changed := good()
			changed.Header = r.Header.Clone()
			changed.URL = &url.URL{Path: r.URL.Path, RawQuery: r.URL.RawQuery}
			b, now := tc.change(changed)
			if err := VerifySignature(changed, b, testSecret, now); codeOf(err) != tc.code {
				t.Errorf("%s changed: %v, want %q", name, err, tc.code)
			}
		}
		_, _ = io.WriteString(w, volumesXML)
	})), nil)
	if _, err := client.Call(t.Context(), "ec2", "DescribeVolumes", nil); err != nil {
		t.Fatal(err)
	}
}

func TestCopiesBetweenRegionsArePresigned(t *testing.T) {
	for _, tc := range []struct {
		service, operation, member string
		in                         map[string]any
	}{
		{"ec2", "CopySnapshot", "PresignedUrl", map[string]any{"SourceRegion": "us-east-1", "SourceSnapshotId": "snap-1", "Encrypted": true}},
		{"rds", "CopyDBSnapshot", "PreSignedUrl", map[string]any{"SourceRegion": "us-east-1", "SourceDBSnapshotIdentifier": "a", "TargetDBSnapshotIdentifier": "b"}},
	} {
		t.Run(tc.service, func(t *testing.T) {
			var seen map[string]any
			client := testClient(t, answering(t, func(sr *ServerRequest) (map[string]any, *Error) {
				seen = sr.Input
				return map[string]any{}, nil
			}), nil)
			if _, err := client.Call(t.Context(), tc.service, tc.operation, tc.in); err != nil {
				t.Fatal(err)
			}
			address, _ := seen[tc.member].(string)
			r := presigned(t, "GET", address, "")
			if !strings.HasPrefix(r.Host, tc.service+".us-east-1.") || r.URL.Query().Get("DestinationRegion") != "eu-west-1" {
				t.Errorf("the URL is %s", address)
			}
			if err := VerifySignature(r, nil, testSecret, testTime); err != nil {
				t.Error(err)
			}
			// Within a Region there is nothing to presign.
			if _, err := client.Call(t.Context(), tc.service, tc.operation, tc.in, Region("us-east-1")); err != nil || seen[tc.member] != nil {
				t.Errorf("in one Region: %v, %v", seen, err)
			}
		})
	}
}

func TestWhatIsRefusedByName(t *testing.T) {
	client := testClient(t, answering(t, func(*ServerRequest) (map[string]any, *Error) { return nil, nil }), nil)
	for _, tc := range []struct {
		service, operation string
		in                 map[string]any
		want               string
	}{
		{"kinesis", "SubscribeToShard", map[string]any{"ConsumerARN": "arn:aws:kinesis:eu-west-1:1:stream/a/consumer/b:1"}, "event stream"},
		{"s3", "GetObject", map[string]any{"Bucket": "arn:aws:s3::123456789012:accesspoint/a.mrap", "Key": "k"}, "SigV4a"},
		{"s3", "DeleteObject", map[string]any{"Bucket": "bbb", "Key": ""}, "must not be empty"},
		{"ec2", "DescribeVolumes", map[string]any{"VolumeIDs": []any{}}, "no such member"},
		{"ec2", "DescribeVolumes", map[string]any{"Filters": []any{map[string]any{"Values": []any{1}}}}, "Filters[0].Values[0]: wants a string, got int"},
		{"nosuch", "Operation", nil, "nosuch"},
		{"ec2", "DescribeVolume", nil, "DescribeVolumes"},
	} {
		_, err := client.Call(t.Context(), tc.service, tc.operation, tc.in)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s %s: got %v, want %q", tc.service, tc.operation, err, tc.want)
		}
	}
}

func TestEndpointsThatAreConfigured(t *testing.T) {
	for _, tc := range []struct {
		name    string
		change  func(*Config)
		service string
		op      string
		in      map[string]any
		want    string
	}{
		{"all services", func(c *Config) { c.EndpointURL = "http://127.0.0.1:5000/" }, "ec2", "DescribeVolumes", nil, "127.0.0.1:5000/"},
		{"one service", func(c *Config) {
			c.EndpointURL = "http://127.0.0.1:5000"
			c.ServiceEndpoints = map[string]string{"elastic_load_balancing_v2": "http://127.0.0.1:6000"}
		}, "elbv2", "DescribeLoadBalancers", nil, "127.0.0.1:6000/"},
		{"S3 path style", func(c *Config) { c.EndpointURL = "http://localhost:5000" }, "s3", "PutObject", map[string]any{"Bucket": "bbb", "Key": "a/b"}, "localhost:5000/bbb/a/b"},
		{"no host prefix", func(c *Config) { c.EndpointURL = "http://127.0.0.1:5000" }, "s3control", "GetPublicAccessBlock", map[string]any{"AccountId": "111122223333"}, "127.0.0.1:5000/v20180820/configuration/publicAccessBlock"},
		{"FIPS", func(c *Config) { c.UseFIPS = true; c.Region = "us-east-1" }, "kms", "ListKeys", nil, "kms-fips.us-east-1.amazonaws.com/"},
		{"dual stack", func(c *Config) { c.UseDualStack = true }, "ec2", "DescribeVolumes", nil, "ec2.eu-west-1.api.aws/"},
		{"China", func(c *Config) { c.Region = "cn-north-1" }, "ec2", "DescribeVolumes", nil, "ec2.cn-north-1.amazonaws.com.cn/"},
		{"GovCloud", func(c *Config) { c.Region = "us-gov-west-1" }, "iam", "ListRoles", nil, "iam.us-gov.amazonaws.com/"},
		{"FIPS in GovCloud", func(c *Config) { c.UseFIPS = true; c.Region = "us-gov-west-1" }, "kms", "ListKeys", nil, "kms-fips.us-gov-west-1.amazonaws.com/"},
		{"FIPS and dual stack", func(c *Config) { c.UseFIPS, c.UseDualStack = true, true; c.Region = "us-east-1" }, "s3", "PutObject", map[string]any{"Bucket": "bbb", "Key": "k"}, "bbb.s3-fips.dualstack.us-east-1.amazonaws.com/k"},
		{"ISO", func(c *Config) { c.Region = "us-iso-east-1" }, "ec2", "DescribeVolumes", nil, "ec2.us-iso-east-1.c2s.ic.gov/"},
		{"ISO-B", func(c *Config) { c.Region = "us-isob-east-1" }, "ec2", "DescribeVolumes", nil, "ec2.us-isob-east-1.sc2s.sgov.gov/"},
		{"ISO-E", func(c *Config) { c.Region = "eu-isoe-west-1" }, "ec2", "DescribeVolumes", nil, "ec2.eu-isoe-west-1.cloud.adc-e.uk/"},
		{"ISO-F", func(c *Config) { c.Region = "us-isof-south-1" }, "ec2", "DescribeVolumes", nil, "ec2.us-isof-south-1.csp.hci.ic.gov/"},
		{"a global service in ISO", func(c *Config) { c.Region = "us-iso-west-1" }, "iam", "ListRoles", nil, "iam.us-iso-east-1.c2s.ic.gov/"},
		{"S3 in China", func(c *Config) { c.Region = "cn-north-1" }, "s3", "PutObject", map[string]any{"Bucket": "bbb", "Key": "k"}, "bbb.s3.cn-north-1.amazonaws.com.cn/k"},
		{"S3 by virtual host", func(*Config) {}, "s3", "PutObject", map[string]any{"Bucket": "bbb", "Key": "a/b"}, "bbb.s3.eu-west-1.amazonaws.com/a/b"},
		{"S3 without a key", func(*Config) {}, "s3", "ListObjectsV2", map[string]any{"Bucket": "bbb"}, "bbb.s3.eu-west-1.amazonaws.com/"},
		{"S3 with dots", func(*Config) {}, "s3", "PutObject", map[string]any{"Bucket": "b.b.b", "Key": "a/b"}, "s3.eu-west-1.amazonaws.com/b.b.b/a/b"},
		{"an access point", func(*Config) {}, "s3", "PutObject", map[string]any{"Bucket": "arn:aws:s3:eu-west-1:111122223333:accesspoint/ap", "Key": "a/b"}, "ap-111122223333.s3-accesspoint.eu-west-1.amazonaws.com/a/b"},
		{"global without Region", func(c *Config) { c.Region = "" }, "iam", "ListRoles", nil, "iam.amazonaws.com/"},
		{"an account's prefix once", func(*Config) {}, "s3control", "GetPublicAccessBlock", map[string]any{"AccountId": "111122223333"}, "111122223333.s3-control.eu-west-1.amazonaws.com/v20180820/configuration/publicAccessBlock"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got string
			client := testClient(t, HandlerDoer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = r.Host + r.URL.Path
				w.WriteHeader(http.StatusForbidden)
			})), tc.change)
			_, err := client.Call(t.Context(), tc.service, tc.op, tc.in)
			if got != tc.want {
				t.Errorf("went to %q, want %q (%v)", got, tc.want, err)
			}
		})
	}
	client := testClient(t, nil, func(c *Config) { c.Region = "" })
	var e *EndpointError
	if _, err := client.Call(t.Context(), "ec2", "DescribeVolumes", nil); !errors.As(err, &e) {
		t.Errorf("without a Region: %v", err)
	}
}

func TestAssumeRole(t *testing.T) {
	keys := map[string]string{}
	client := testClient(t, HandlerDoer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sr, err := testCatalog(t).DecodeRequest(r)
		if err != nil {
			t.Fatal(err)
		}
		keys[sr.Operation.Name] = sr.AccessKeyID + " " + sr.SessionToken
		out := map[string]any{}
		if sr.Operation.Name == "AssumeRole" {
			if sr.Input["ExternalId"] != "x" || sr.Input["Policy"] != nil || fmt.Sprint(sr.Input["PolicyArns"]) != "[map[arn:arn:aws:iam::aws:policy/ReadOnlyAccess]]" {
				t.Errorf("assumed with %v", sr.Input)
			}
			out["Credentials"] = map[string]any{"AccessKeyId": "ASIA", "SecretAccessKey": "s", "SessionToken": "tok", "Expiration": time.Now().Add(time.Hour)}
		}
		if err := sr.WriteResponse(w, out, "r"); err != nil {
			t.Error(err)
		}
	})), nil)
	role := client.AssumeRole("arn:aws:iam::444455556666:role/r", RoleSession{Name: "session", ExternalID: "x", PolicyARNs: []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"}})
	for range 2 {
		if _, err := role.Call(t.Context(), "ec2", "DescribeVolumes", nil); err != nil {
			t.Fatal(err)
		}
	}
	if fmt.Sprint(keys) != "map[AssumeRole:AKIDEXAMPLE  DescribeVolumes:ASIA tok]" {
		t.Errorf("calls were signed by %v", keys)
	}
}

func TestARoleThatIsDeniedIsNoCredentials(t *testing.T) {
	client := testClient(t, answering(t, func(*ServerRequest) (map[string]any, *Error) {
		return nil, &Error{Code: "AccessDenied", Status: 403, Message: "no"}
	}), nil)
	_, err := client.AssumeRole("arn:aws:iam::444455556666:role/r", RoleSession{Name: "s"}).Call(context.Background(), "ec2", "DescribeVolumes", nil)
	if !errors.Is(err, ErrNoCredentials) || codeOf(err) != CodeNoCredentials || !strings.Contains(err.Error(), "AccessDenied") {
		t.Errorf("got %v", err)
	}
}
