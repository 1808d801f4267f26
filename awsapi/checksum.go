package awsapi

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"strings"
)

// checksums are the algorithms by which a body can be summed up, by S3's names. It
// knows XXHASH64, XXHASH3 and XXHASH128 as well, which are not supported.
var checksums = map[string]func() hash.Hash{
	"CRC32":     func() hash.Hash { return crc32.NewIEEE() },
	"CRC32C":    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	"CRC64NVME": func() hash.Hash { return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5)) },
	"MD5":       md5.New,
	"SHA1":      sha1.New,
	"SHA256":    sha256.New,
	"SHA512":    sha512.New,
}

// checksum adds a checksum of the body, where the input names an algorithm or the
// operation requires one: then by CRC32, or, outside of S3's services, whose
// models name no algorithms, by MD5. One that the input has is left as it is.
func (w *requestWriter) checksum(in map[string]any) error {
	o, h := w.op, w.r.Header
	if hasChecksum(h) {
		return nil
	}
	algorithm, _ := in[o.ChecksumMember].(string)
	if algorithm == "" && !o.ChecksumRequired {
		return nil
	}
	name := "X-Amz-Checksum-" + algorithm
	switch {
	case algorithm != "":
	case o.ChecksumMember == "" && o.Service.SigningName != "s3":
		algorithm, name = "MD5", "Content-MD5"
		if h.Get(name) != "" {
			return nil
		}
	default:
		algorithm, name = "CRC32", "X-Amz-Checksum-CRC32"
		if m := o.Input.Member(o.ChecksumMember); m != nil && m.Location == InHeader {
			h.Set(m.WireName(), algorithm)
		}
	}
	newHash := checksums[algorithm]
	if newHash == nil {
		return inMember(o.ChecksumMember, fmt.Errorf("the checksum algorithm %q is not supported", algorithm))
	}
	sum := newHash()
	if err := w.r.feed(sum); err != nil {
		return err
	}
	h.Set(name, base64.StdEncoding.EncodeToString(sum.Sum(nil)))
	return nil
}

// hasChecksum says whether a checksum of the body, of whatever algorithm, is among
// the headers; others of S3's begin like those.
func hasChecksum(h http.Header) bool {
	for name := range h {
		switch name {
		case "X-Amz-Checksum-Algorithm", "X-Amz-Checksum-Mode", "X-Amz-Checksum-Type":
		default:
			if strings.HasPrefix(name, "X-Amz-Checksum-") {
				return true
			}
		}
	}
	return false
}

// feed writes the body somewhere, and leaves it as it was. A stream that can't be
// read again is read into memory, within the bounds of newBody.
func (r *Request) feed(to io.Writer) error {
	b, err := newBody(r)
	if err != nil {
		return err
	}
	if b.stream == nil {
		r.Stream, r.Body = nil, b.bytes
	}
	if _, err := io.Copy(to, b.reader()); err != nil {
		return err
	}
	if !b.rewind() {
		return errors.New("the payload can't be read twice")
	}
	return nil
}
