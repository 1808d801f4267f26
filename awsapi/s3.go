package awsapi

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// s3Error finds the error in what S3 has sent with the status of a success: it
// answers so before it knows whether a copy, or the joining of an upload's parts,
// will succeed, and sends blanks while it is at work. The SDKs treat such an error
// as the service's fault, which may be retried.
func (o *Operation) s3Error(h http.Header, text string) error {
	if o.Service.Name != "s3" {
		return nil
	}
	if isXMLSpace(text) {
		switch o.Name {
		case "CopyObject", "UploadPartCopy", "CompleteMultipartUpload":
			return fmt.Errorf("the outcome has not been sent: %w", io.ErrUnexpectedEOF)
		}
		return nil
	}
	if !strings.Contains(text, "<Error") {
		return nil
	}
	x, err := newXMLScanner(text)
	if err != nil {
		return err
	}
	if name, err := x.root(); err != nil || name != "Error" {
		return err
	}
	return o.decodeError(http.StatusInternalServerError, h, text)
}
