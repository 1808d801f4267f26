package awsapi

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestChecksumsAreSent looks at what a server gets, of bodies that are bytes and of
// such that are streams, also when the call is sent again.
func TestChecksumsAreSent(t *testing.T) {
	const crc32OfBody, sha256OfBody = "y/Q5Jg==", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="
	type m = map[string]any
	for _, tc := range []struct {
		name   string
		in     m
		header string
		want   string
	}{
		{"none", m{}, "X-Amz-Checksum-Crc32", ""},
		{"asked for", m{"ChecksumAlgorithm": "CRC32"}, "X-Amz-Checksum-Crc32", crc32OfBody},
		{"another", m{"ChecksumAlgorithm": "SHA256"}, "X-Amz-Checksum-Sha256", sha256OfBody},
		{"the caller's own", m{"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": "AAAA"}, "X-Amz-Checksum-Sha256", "AAAA"},
	} {
		for _, body := range []func() any{
			func() any { return "123456789" },
			func() any { return strings.NewReader("123456789") },
			func() any { return bytes.NewBufferString("123456789") },
		} {
			n := 0
			client := testClient(t, HandlerDoer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				if got := r.Header.Get(tc.header); got != tc.want || string(b) != "123456789" {
					t.Errorf("%s: the checksum of %q is %q, want %q", tc.name, b, got, tc.want)
				}
				switch n++; n {
				case 1:
					answer(503, "")(w, r)
				case 2:
					w.Header().Set(bucketRegionHeader, "eu-north-1")
					answer(301, "<Error><Code>PermanentRedirect</Code></Error>")(w, r)
				}
			})), nil)
			tc.in["Bucket"], tc.in["Key"], tc.in["Body"] = "bbb", "k", body()
			if _, err := client.Call(t.Context(), "s3", "PutObject", tc.in); err != nil || n != 3 {
				t.Errorf("%s: %v after %d requests", tc.name, err, n)
			}
		}
	}
}

func TestChecksumsOfResponsesAreVerified(t *testing.T) {
	const good = "y/Q5Jg=="
	for _, tc := range []struct {
		name, body, header, checksum string
		bad                          bool
	}{
		{"none", "123456789", "", "", false},
		{"right", "123456789", "X-Amz-Checksum-Crc32", good, false},
		{"changed", "123456780", "X-Amz-Checksum-Crc32", good, true},
		{"empty", "", "X-Amz-Checksum-Crc32", good, true},
		{"of parts", "x", "X-Amz-Checksum-Crc32", good + "-3", false},
		{"of a kind that is not known", "x", "X-Amz-Checksum-Xxhash64", "AAAA", false},
	} {
		client := testClient(t, HandlerDoer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Amz-Checksum-Mode") != "ENABLED" {
				t.Error("the checksum was not asked for")
			}
			if tc.header != "" {
				w.Header().Set(tc.header, tc.checksum)
			}
			_, _ = io.WriteString(w, tc.body)
		})), nil)
		out, err := client.Call(t.Context(), "s3", "GetObject", map[string]any{"Bucket": "bbb", "Key": "k", "ChecksumMode": "ENABLED"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(out["Body"].(io.Reader))
		if bad := codeOf(err) == CodeIncompleteResponse && errors.Is(err, errCorrupted); bad != tc.bad || !bad && err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestDynamoDBsChecksumIsVerified(t *testing.T) {
	n := 0
	client := testClient(t, HandlerDoer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "identity" {
			t.Error("the checksum would be that of a compressed body")
		}
		w.Header().Set("X-Amz-Crc32", "242239372") // of {"Count":7}
		if n++; n == 1 {
			answer(200, `{"Count":8}`)(w, r)
			return
		}
		answer(200, `{"Count":7}`)(w, r)
	})), nil)
	out, err := client.Call(t.Context(), "dynamodb", "Scan", map[string]any{"TableName": "t"})
	if err != nil || out["Count"] != int64(7) || n != 2 {
		t.Errorf("got %v, %v after %d requests", out, err, n)
	}
}
