package awsapi

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// testTime is the time of both sides in tests.
var testTime = time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)

const testSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

type staticCredentials struct{ key, secret, token string }

func (s staticCredentials) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: s.key, SecretAccessKey: s.secret, SessionToken: s.token}, nil
}

// counter is a source of bytes that are no surprise.
type counter byte

func (c *counter) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(*c)
		*c++
	}
	return len(p), nil
}

func testCatalog(t testing.TB) *Catalog {
	t.Helper()
	c, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// testClient is a client whose clock stands still, except that it sleeps, which
// is written down.
func testClient(t testing.TB, d Doer, change func(*Config)) *Client {
	t.Helper()
	cfg := Config{
		Catalog: testCatalog(t), Credentials: staticCredentials{"AKIDEXAMPLE", testSecret, ""}, Region: "eu-west-1", HTTPClient: d,
		Now: func() time.Time { return testTime }, Rand: new(counter),
		Retry: RetryPolicy{Sleep: func(context.Context, time.Duration) error { return nil }},
	}
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// answering is a server that decodes, checks the signature, and gives answer's
// output or error.
func answering(t testing.TB, answer func(*ServerRequest) (map[string]any, *Error)) Doer {
	catalog := testCatalog(t)
	return HandlerDoer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sr, err := catalog.DecodeRequest(r)
		if err == nil && sr.Signed {
			err = VerifySignature(r, sr.Body, testSecret, testTime)
		}
		var e *Error
		var out map[string]any
		if err != nil {
			if !errors.As(err, &e) {
				t.Errorf("the server's error is a %T: %v", err, err)
			}
		} else {
			out, e = answer(sr)
		}
		if e != nil {
			err = sr.WriteError(w, e, "req-1")
		} else {
			err = sr.WriteResponse(w, out, "req-1")
		}
		if err != nil {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
	}))
}

func TestCallsGoThroughAServerAndBack(t *testing.T) {
	when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tc := range []struct {
		service, operation string
		in, out            map[string]any
	}{
		{"ec2", "DescribeVolumes", map[string]any{
			"VolumeIds": []any{"vol-1", "vol-2"}, "MaxResults": int64(100),
			"Filters": []any{map[string]any{"Name": "tag:a b", "Values": []any{"x&y", "é"}}},
		}, map[string]any{
			"NextToken": "next",
			"Volumes": []any{map[string]any{
				"VolumeId": "vol-1", "Size": int64(500), "Encrypted": false, "CreateTime": when,
				"Attachments": []any{map[string]any{"InstanceId": "i-1", "DeleteOnTermination": true}},
				"Tags":        []any{map[string]any{"Key": "a<b", "Value": ""}},
			}},
		}},
		{"ec2", "DetachVolume", map[string]any{"VolumeId": "vol-1", "Force": true}, map[string]any{"State": "detaching", "AttachTime": when}},
		{"sts", "GetCallerIdentity", nil, map[string]any{"Account": "111122223333", "Arn": "arn:aws:iam::111122223333:root", "UserId": "u"}},
		{"iam", "CreateRole", map[string]any{"RoleName": "r", "AssumeRolePolicyDocument": `{"a":"b"}`, "Tags": []any{map[string]any{"Key": "k", "Value": "v"}}},
			map[string]any{"Role": map[string]any{"RoleName": "r", "Path": "/", "RoleId": "id", "Arn": "arn", "CreateDate": when}}},
		{"kms", "DescribeKey", map[string]any{"KeyId": "alias/aws/ebs"}, map[string]any{"KeyMetadata": map[string]any{"KeyId": "k", "Enabled": true, "CreationDate": when}}},
		{"dynamodb", "PutItem", map[string]any{"TableName": "t", "Item": map[string]any{"a": map[string]any{"N": "1"}, "b": map[string]any{"B": []byte{0, 1}}}}, map[string]any{}},
		{"s3", "PutPublicAccessBlock", map[string]any{"Bucket": "acme-invoices", "ChecksumAlgorithm": "CRC32", "PublicAccessBlockConfiguration": map[string]any{"BlockPublicAcls": true, "IgnorePublicAcls": false}}, map[string]any{}},
		{"s3", "ListObjectsV2", map[string]any{"Bucket": "acme-invoices", "Prefix": "a/b c", "MaxKeys": int64(7)}, map[string]any{
			"IsTruncated": false, "KeyCount": int64(2), "Name": "acme-invoices",
			"Contents": []any{map[string]any{"Key": "a/b c/1", "Size": int64(1), "LastModified": when}, map[string]any{"Key": "a/b c/2", "Size": int64(2)}},
		}},
		{"s3", "GetBucketLocation", map[string]any{"Bucket": "acme-invoices"}, map[string]any{"LocationConstraint": "eu-west-1"}},
		{"s3", "HeadObject", map[string]any{"Bucket": "acme-invoices", "Key": "a b/c+d"}, map[string]any{"ContentLength": int64(7), "ETag": `"x"`, "Metadata": map[string]any{"k": "v"}, "LastModified": when}},
		{"s3control", "GetPublicAccessBlock", map[string]any{"AccountId": "111122223333"}, map[string]any{"PublicAccessBlockConfiguration": map[string]any{"BlockPublicAcls": true}}},
		{"lambda", "GetFunction", map[string]any{"FunctionName": "f", "Qualifier": "1"}, map[string]any{"Configuration": map[string]any{"FunctionName": "f", "MemorySize": int64(128)}, "Tags": map[string]any{"a": "b"}}},
		{"cloudwatch", "DescribeAlarms", map[string]any{"AlarmNames": []any{"a"}}, map[string]any{"MetricAlarms": []any{map[string]any{"AlarmName": "a", "Threshold": 1.5}}}},
		{"sqs", "ReceiveMessage", map[string]any{"QueueUrl": "https://sqs.eu-west-1.amazonaws.com/1/q"}, map[string]any{"Messages": []any{map[string]any{"Body": "b"}}}},
	} {
		t.Run(tc.service+" "+tc.operation, func(t *testing.T) {
			var got *ServerRequest
			client := testClient(t, answering(t, func(sr *ServerRequest) (map[string]any, *Error) {
				got = sr
				return tc.out, nil
			}), nil)
			out, err := client.Call(t.Context(), tc.service, tc.operation, tc.in)
			if err != nil {
				t.Fatal(err)
			}
			if got.Service.Name != tc.service || got.Operation.Name != tc.operation || got.AccessKeyID != "AKIDEXAMPLE" || !got.Signed {
				t.Errorf("the server saw %s %s by %s in %s", got.Service.Name, got.Operation.Name, got.AccessKeyID, got.Region)
			}
			want := tc.in
			if want == nil {
				want = map[string]any{}
			}
			if !reflect.DeepEqual(got.Input, want) {
				t.Errorf("the server saw\n%v, want\n%v", got.Input, want)
			}
			if !reflect.DeepEqual(out, tc.out) {
				t.Errorf("the client saw\n%v, want\n%v", out, tc.out)
			}
		})
	}
}

func TestErrorsComeBackInEachProtocol(t *testing.T) {
	for _, tc := range []struct {
		service, operation string
		in                 map[string]any
		sent               Error
		code               string
	}{
		{"ec2", "DescribeVolumes", nil, Error{Code: "InvalidVolume.NotFound", Message: "no <volume>", Status: 400}, ""},
		{"iam", "GetRole", map[string]any{"RoleName": "r"}, Error{Code: "NoSuchEntity", Message: "none", Status: 404}, ""},
		{"kms", "DescribeKey", map[string]any{"KeyId": "k"}, Error{Code: "NotFoundException", Message: "none", Status: 400}, ""},
		{"s3", "GetObject", map[string]any{"Bucket": "bbb", "Key": "k"}, Error{Code: "NoSuchKey", Message: "none", Status: 404}, ""},
		{"s3", "HeadObject", map[string]any{"Bucket": "bbb", "Key": "k"}, Error{Code: "NoSuchKey", Message: "Not Found", Status: 404}, "404"},
		{"lambda", "GetFunction", map[string]any{"FunctionName": "f"}, Error{Code: "ResourceNotFoundException", Message: "none", Status: 404}, ""},
		{"sqs", "GetQueueUrl", map[string]any{"QueueName": "q"}, Error{Code: "AWS.SimpleQueueService.NonExistentQueue", Message: "none", Status: 400}, ""},
		{"cloudwatch", "DeleteAlarms", map[string]any{"AlarmNames": []any{"a"}}, Error{Code: "ResourceNotFound", Message: "none", Status: 404}, ""},
	} {
		t.Run(tc.service+" "+tc.operation, func(t *testing.T) {
			client := testClient(t, answering(t, func(*ServerRequest) (map[string]any, *Error) { return nil, &tc.sent }), nil)
			out, err := client.Call(t.Context(), tc.service, tc.operation, tc.in)
			var e *Error
			if !errors.As(err, &e) || out != nil {
				t.Fatalf("got %v, %v", out, err)
			}
			code := tc.code
			if code == "" {
				code = tc.sent.Code
			}
			if e.Code != code || e.Message != tc.sent.Message || e.Status != tc.sent.Status || e.RequestID != "req-1" || e.Service != tc.service || e.Retryable {
				t.Errorf("got %+v", e)
			}
		})
	}
}

func TestTokensAreFilledIn(t *testing.T) {
	var seen any
	client := testClient(t, answering(t, func(sr *ServerRequest) (map[string]any, *Error) {
		seen = sr.Input["ClientToken"]
		return map[string]any{}, nil
	}), nil)
	in := map[string]any{"AvailabilityZone": "eu-west-1a"}
	if _, err := client.Call(t.Context(), "ec2", "CreateVolume", in); err != nil {
		t.Fatal(err)
	}
	if seen != "00010203-0405-4607-8809-0a0b0c0d0e0f" || len(in) != 1 {
		t.Errorf("the token is %v, the caller's input became %v", seen, in)
	}
}

func TestStreamsGoBothWays(t *testing.T) {
	payload := bytes.Repeat([]byte("x"), 100_000)
	client := testClient(t, answering(t, func(sr *ServerRequest) (map[string]any, *Error) {
		if sr.Operation.Name == "PutObject" && !bytes.Equal(sr.Input["Body"].([]byte), payload) {
			t.Errorf("the server saw %d bytes", len(sr.Body))
		}
		if sr.Operation.Name == "GetObject" {
			return map[string]any{"Body": bytes.NewReader(payload), "ContentType": "text/html"}, nil
		}
		return map[string]any{}, nil
	}), nil)
	for _, body := range []any{payload, string(payload), bytes.NewReader(payload), bytes.NewBuffer(payload)} {
		if _, err := client.Call(t.Context(), "s3", "PutObject", map[string]any{"Bucket": "bbb", "Key": "k", "Body": body}); err != nil {
			t.Error(err)
		}
	}
	out, err := client.Call(t.Context(), "s3", "GetObject", map[string]any{"Bucket": "bbb", "Key": "k"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := asBytes(&Shape{Type: Blob}, out["Body"])
	if err != nil || !bytes.Equal(got, payload) || out["ContentType"] != "text/html" {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

func TestMissingCredentialsAreRecognised(t *testing.T) {
	client := testClient(t, answering(t, func(*ServerRequest) (map[string]any, *Error) { return nil, nil }), func(c *Config) { c.Credentials = nil })
	_, err := client.Call(t.Context(), "ec2", "DescribeVolumes", nil)
	var e *Error
	if !errors.Is(err, ErrNoCredentials) || !errors.As(err, &e) || e.Code != CodeNoCredentials {
		t.Errorf("got %v", err)
	}
}

// A call with other credentials is signed with them, and the next one is not.
func TestACallWithOtherCredentials(t *testing.T) {
	var keys []string
	c, err := New(Config{Catalog: testCatalog(t), Region: "eu-west-1", Credentials: StaticCredentials("AKIAOWN", "s", ""),
		HTTPClient: HandlerDoer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			sig, _, err := parseSignature(r)
			if err != nil {
				t.Error(err)
			}
			keys = append(keys, sig.accessKeyID+" "+sig.sessionToken)
			w.WriteHeader(http.StatusOK)
		}))})
	if err != nil {
		t.Fatal(err)
	}
	for _, opts := range [][]CallOption{nil, {As(StaticCredentials("ASIAROLE", "r", "token"), "444455556666")}, nil} {
		if _, err := c.Call(t.Context(), "s3", "ListBuckets", nil, opts...); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"AKIAOWN ", "ASIAROLE token", "AKIAOWN "}; !reflect.DeepEqual(keys, want) {
		t.Errorf("%q, wanted %q", keys, want)
	}
	if got := Options(As(StaticCredentials("k", "s", ""), "444455556666")).Account; got != "444455556666" {
		t.Errorf("account %q", got)
	}
}

func TestBucketsInHosts(t *testing.T) {
	for host, want := range map[string]string{
		"b.s3.eu-west-1.amazonaws.com": "b",
		"a.b.s3.amazonaws.com:443":     "a.b",
		"s3.eu-west-1.amazonaws.com":   "",
		"bucket.vpce-0a1b2c3d4e5f67890-abcdefgh.s3.eu-west-1.vpce.amazonaws.com":   "",
		"b.bucket.vpce-0a1b2c3d4e5f67890-abcdefgh.s3.eu-west-1.vpce.amazonaws.com": "b",
		"b.localhost:4566": "b",
	} {
		if got := virtualBucket(host); got != want {
			t.Errorf("%s: %q, wanted %q", host, got, want)
		}
	}
}
