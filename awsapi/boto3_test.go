package awsapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// boto3Service answers what testdata/boto3_client.py asks.
func boto3Service(sr *ServerRequest) (map[string]any, *Error) {
	type m = map[string]any
	none := func(code string, status int) (map[string]any, *Error) {
		return nil, &Error{Code: code, Message: "no <such> thing", Status: status}
	}
	switch sr.Service.Name + " " + sr.Operation.Name {
	case "ec2 DescribeVolumes":
		volume := func(id string) []any {
			return []any{m{"VolumeId": id, "State": "available", "CreateTime": time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)}}
		}
		if sr.Input["NextToken"] == "2" {
			return m{"Volumes": volume("vol-2")}, nil
		}
		return m{"Volumes": volume("vol-1"), "NextToken": "2"}, nil
	case "ec2 DeleteVolume":
		return none("InvalidVolume.NotFound", 400)
	case "iam CreateRole":
		if sr.Input["AssumeRolePolicyDocument"] != `{"a":"b & c"}` {
			return none("MalformedPolicyDocument", 400)
		}
		return m{"Role": m{"RoleName": sr.Input["RoleName"], "Arn": "arn:aws:iam::111122223333:role/r", "Path": "/", "RoleId": "AROA", "CreateDate": testTime}}, nil
	case "iam GetRole":
		return none("NoSuchEntity", 404)
	case "dynamodb Scan":
		return m{"Items": []any{m{"id": m{"S": "1"}, "n": m{"N": "1.5"}}}, "Count": 1}, nil
	case "kms DescribeKey":
		return none("NotFoundException", 400)
	case "sqs GetQueueUrl":
		return none("AWS.SimpleQueueService.NonExistentQueue", 400)
	case "lambda GetFunction":
		if sr.Input["FunctionName"] == "none" {
			return none("ResourceNotFoundException", 404)
		}
		return m{"Tags": m{"k": "v"}, "Configuration": m{"MemorySize": 128}}, nil
	case "s3 PutObject":
		if b, _ := sr.Input["Body"].([]byte); sr.Input["Key"] != "a b/ü+?" || string(b) != strings.Repeat("x", 100_000) || !reflect.DeepEqual(sr.Input["Metadata"], m{"owner": "c3a9"}) {
			return none("InvalidRequest", 400)
		}
		return m{"ETag": `"e"`}, nil
	case "s3 GetObject", "s3 HeadObject":
		if sr.Input["Key"] == "none" {
			return none("NoSuchKey", 404)
		}
		return m{"Body": strings.NewReader("content of " + sr.Input["Key"].(string))}, nil
	case "s3 ListObjectsV2":
		return m{"Contents": []any{m{"Key": "a b/ü+?"}, m{"Key": "a b/<&>"}}, "KeyCount": 2}, nil
	}
	return none("NotImplemented", 501)
}

// TestBoto3IsServed has boto3, a client by others, sign and send calls, verifies
// their signatures, and looks at what boto3 makes of the answers.
func TestBoto3IsServed(t *testing.T) {
	if err := exec.Command("python3", "-c", "import boto3").Run(); err != nil {
		t.Skip("python3 with boto3 is not installed")
	}
	catalog := testCatalog(t)
	var chunked atomic.Bool
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sr, err := catalog.DecodeRequest(r)
		if err == nil {
			err = VerifySignature(r, sr.Body, testSecret, time.Now())
		}
		if err == nil && sr.Region != "eu-west-1" {
			err = fmt.Errorf("the Region is %q", sr.Region)
		}
		if err != nil {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		if strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
			chunked.Store(true)
		}
		out, e := map[string]any(nil), (*Error)(nil)
		if !errors.As(err, &e) {
			out, e = boto3Service(sr)
		}
		if e != nil {
			err = sr.WriteError(w, e, "req-1")
		} else {
			err = sr.WriteResponse(w, out, "req-1")
		}
		if err != nil {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
	})
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer secure.Close()
	cmd := exec.Command("python3", "testdata/boto3_client.py", plain.URL, secure.URL)
	cmd.Env = append(os.Environ(), "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_EC2_METADATA_DISABLED=true")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	lines, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, lines, stderr.Bytes())
	}
	refused := func(code, message string, status float64) map[string]any {
		return map[string]any{"code": code, "message": message, "status": status, "request": "req-1"}
	}
	const message = "no <such> thing"
	want := map[string]map[string]any{
		"ec2":                           {"out": []any{"vol-1", "vol-2"}},
		"ec2 times":                     {"out": "2026-01-02T03:04:05.006000+00:00"},
		"ec2 error":                     refused("InvalidVolume.NotFound", message, 400),
		"query":                         {"out": "arn:aws:iam::111122223333:role/r"},
		"query error":                   refused("NoSuchEntity", message, 404),
		"json":                          {"out": []any{map[string]any{"id": map[string]any{"S": "1"}, "n": map[string]any{"N": "1.5"}}}},
		"json error":                    refused("NotFoundException", message, 400),
		"query-compatible error":        refused("AWS.SimpleQueueService.NonExistentQueue", message, 400),
		"rest-json":                     {"out": map[string]any{"k": "v"}},
		"rest-json error":               refused("ResourceNotFoundException", message, 404),
		"rest-xml upload":               {"out": `"e"`},
		"rest-xml upload in chunks":     {"out": `"e"`},
		"rest-xml download":             {"out": "content of a b/ü+?"},
		"rest-xml list":                 {"out": []any{"a b/ü+?", "a b/<&>"}},
		"rest-xml error":                refused("NoSuchKey", message, 404),
		"rest-xml error without a body": refused("404", "Not Found", 404),
		"presigned":                     {"out": "content of a b/ü+?"},
		"waiter":                        {"out": nil},
	}
	for line := range strings.Lines(string(lines)) {
		var got map[string]any
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		name, _ := got["name"].(string)
		delete(got, "name")
		if !reflect.DeepEqual(got, want[name]) {
			t.Errorf("%s: got %v, want %v", name, got, want[name])
		}
		delete(want, name)
	}
	if !chunked.Load() {
		t.Error("nothing came aws-chunked")
	}
	if len(want) > 0 {
		t.Errorf("boto3 did not say what came of %v", want)
	}
}
