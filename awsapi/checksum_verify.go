package awsapi

import (
	"encoding/base64"
	"errors"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// verifying gives a streaming payload that ends with an error if it does not have
// the checksum which the response says: S3 says it where the input's ChecksumMode
// asks for it. That of an object which was uploaded in parts is one of the parts'
// checksums, and can't be verified.
func (o *Operation) verifying(status int, h http.Header, body io.ReadCloser) io.ReadCloser {
	if o.ChecksumModeMember == "" || status != http.StatusOK {
		return body
	}
	for _, algorithm := range o.ChecksumAlgorithms {
		want := h.Get("X-Amz-Checksum-" + algorithm)
		if want != "" && !strings.Contains(want, "-") && checksums[algorithm] != nil {
			return &verifiedBody{body, checksums[algorithm](), want, o.invalid(status, h, errCorrupted)}
		}
	}
	return body
}

// verifiedBody computes the checksum of what is read, and compares at the end.
type verifiedBody struct {
	io.ReadCloser
	sum  hash.Hash
	want string
	bad  *Error
}

func (b *verifiedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.sum.Write(p[:n])
	if err == io.EOF && base64.StdEncoding.EncodeToString(b.sum.Sum(nil)) != b.want {
		err = b.bad
	}
	return n, err
}

// errCorrupted says that a body was changed on its way.
var errCorrupted = errors.New("the body does not have the checksum that the response says")

// verifyCRC32 checks the checksum that DynamoDB sends with each response.
func verifyCRC32(h http.Header, text string) error {
	want := h.Get("X-Amz-Crc32")
	if want == "" {
		return nil
	}
	sum := crc32.NewIEEE()
	if _, err := io.Copy(sum, strings.NewReader(text)); err != nil {
		return err
	}
	if strconv.FormatUint(uint64(sum.Sum32()), 10) != want {
		return errCorrupted
	}
	return nil
}
