package awsapi

import (
	"encoding/base64"
	"io"
	"strings"
	"testing"
)

// The sums of "123456789" are the check values by which the algorithms are known,
// those of CRCs from the catalogue of parametrised CRC algorithms.
func TestChecksumsByName(t *testing.T) {
	for algorithm, want := range map[string]string{
		"CRC32":     "y/Q5Jg==",                                     // cbf43926
		"CRC32C":    "4waSgw==",                                     // e3069283
		"CRC64NVME": "rosUhgp5mIg=",                                 // ae8b14860a799888
		"MD5":       "JfnnlDI7RTiF9RgfG2JNCw==",                     // md5sum
		"SHA1":      "98O8HYCOBHMq32eZZczDTKeuNEE=",                 // sha1sum
		"SHA256":    "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=", // sha256sum
	} {
		in := map[string]any{"Bucket": "b", "Key": "k", "Body": []byte("123456789"), "ChecksumAlgorithm": algorithm}
		h := encoded(t, "s3", "PutObject", in).Header
		if got := h.Get("X-Amz-Checksum-" + algorithm); got != want || h.Get("X-Amz-Sdk-Checksum-Algorithm") != algorithm {
			t.Errorf("%s: %q, want %q; %v", algorithm, got, want, h)
		}
	}
}

func TestChecksumsThatAreThereOrNotAsked(t *testing.T) {
	put := map[string]any{"Bucket": "b", "Key": "k", "Body": []byte("x")}
	if h := encoded(t, "s3", "PutObject", put).Header; hasChecksum(h) {
		t.Errorf("one that nobody asked for: %v", h)
	}
	put["ChecksumAlgorithm"], put["ChecksumCRC64NVME"] = "CRC64NVME", "as it is"
	if h := encoded(t, "s3", "PutObject", put).Header; h.Get("X-Amz-Checksum-Crc64nvme") != "as it is" {
		t.Errorf("one that was given: %v", h)
	}
	// The kind of a checksum is none.
	upload := map[string]any{"Bucket": "b", "Key": "k", "UploadId": "u", "ChecksumType": "FULL_OBJECT"}
	if h := encoded(t, "s3", "CompleteMultipartUpload", upload).Header; hasChecksum(h) {
		t.Errorf("a kind was taken for a checksum: %v", h)
	}
	tagging := map[string]any{"AccountId": "111122223333", "Bucket": "b", "Tagging": map[string]any{"TagSet": []any{}}}
	if h := encoded(t, "s3control", "PutBucketTagging", tagging).Header; h.Get("X-Amz-Checksum-Crc32") == "" || h.Get("Content-Md5") != "" {
		t.Errorf("one that is required of S3 Control: %v", h)
	}
}

// What is sent is summed up, wherever it comes from, and is still there afterwards.
func TestChecksumsOfStreams(t *testing.T) {
	for name, stream := range map[string]io.Reader{"seekable": strings.NewReader("123456789"), "read once": io.MultiReader(strings.NewReader("123456789"))} {
		req := encoded(t, "s3", "PutObject", map[string]any{"Bucket": "b", "Key": "k", "Body": stream, "ChecksumAlgorithm": "CRC32"})
		sum, err := base64.StdEncoding.DecodeString(req.Header.Get("X-Amz-Checksum-Crc32"))
		if body := requestBody(req); string(sum) != "\xcb\xf4\x39\x26" || string(body) != "123456789" {
			t.Errorf("%s: %x, %v of %q", name, sum, err, body)
		}
	}
	op, err := testCatalog(t).Operation("s3", "PutObject")
	if err != nil {
		t.Fatal(err)
	}
	_, err = op.EncodeRequest(map[string]any{"Bucket": "b", "Key": "k", "ChecksumAlgorithm": "XXHASH3"}, Endpoint{URL: "https://b.s3.amazonaws.com"})
	if err == nil || !strings.Contains(err.Error(), `ChecksumAlgorithm: the checksum algorithm "XXHASH3" is not supported`) {
		t.Errorf("an algorithm that is not supported: %v", err)
	}
}
