package awsapi

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/smithy-go"
)

// Error is what a service answered in place of an output, or the reason why no
// answer could be had or read. It is a smithy.APIError.
type Error struct {
	Code      string // AWS's, as "UnauthorizedOperation", or one of the Code constants
	Message   string
	Status    int // of HTTP; 0: there was no response
	RequestID string
	Service   string // botocore's name
	Operation string
	Fault     smithy.ErrorFault
	// Retryable says that the same call may well succeed if it is sent again
	// after a while: throttling, a fault of the service, a lost connection, a
	// cut response.
	Retryable bool
	// Fields are the members of an error that the model knows.
	Fields map[string]any
	// Header is the response's; nil: there was no response.
	Header http.Header
	Err    error // the cause, where it is not the service's answer
}

var _ smithy.APIError = (*Error)(nil)

// Codes of errors that are not a service's own.
const (
	// CodeNoResponse: the connection could not be made, or was lost.
	CodeNoResponse = "NoResponse"
	// CodeIncompleteResponse: the response ends too early, or was changed on its
	// way.
	CodeIncompleteResponse = "IncompleteResponse"
	// CodeInvalidResponse: the response is not what the protocol asks for, is
	// too large, or is nested too deeply.
	CodeInvalidResponse = "InvalidResponse"
	// CodeNoCredentials: there are none, or they could not be had.
	CodeNoCredentials = "NoCredentials"
)

// ErrNoCredentials is in the chain of every error that is about credentials
// which are missing or could not be had.
var ErrNoCredentials = errors.New("no AWS credentials")

// Error implements error. It is "ec2 DescribeVolumes: CODE: message".
func (e *Error) Error() string {
	var b strings.Builder
	if e.Service != "" {
		b.WriteString(e.Service + " " + e.Operation + ": ")
	}
	b.WriteString(e.Code)
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	if e.RequestID != "" {
		b.WriteString(" (request " + e.RequestID + ")")
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// ErrorCode implements smithy.APIError.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorMessage implements smithy.APIError.
func (e *Error) ErrorMessage() string { return e.Message }

// ErrorFault implements smithy.APIError.
func (e *Error) ErrorFault() smithy.ErrorFault { return e.Fault }

// Refused says that the service has not carried out the call: it turned it down,
// or was too busy to take it. After any other error the call may have taken
// effect.
func (e *Error) Refused() bool {
	return e.Status >= 400 && e.Status < 500 || e.Status == http.StatusServiceUnavailable || e.Throttled()
}

// credentialCodes are the codes by which services turn down the credentials
// themselves, as the common errors of AWS's services, IAM's and S3's error lists
// have them.
var credentialCodes = []string{
	CodeNoCredentials, "ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidClientTokenId", "InvalidSignatureException", "InvalidToken",
	"RequestExpired", "SignatureDoesNotMatch", "TokenRefreshRequired", "UnrecognizedClientException",
}

// Credentials says that the call failed for the caller's credentials: they are
// missing, expired, or not known to AWS. Nothing was carried out, and the same
// call may pass with other credentials. What known credentials are not allowed
// to do is another matter.
func (e *Error) Credentials() bool {
	// EC2 has one code for unknown credentials and for a resource of another
	// account; only the message tells them apart.
	return slices.Contains(credentialCodes, e.Code) || e.Code == "AuthFailure" && strings.Contains(e.Message, "access credentials")
}

// throttlingCodes are the codes by which services ask to slow down, as the
// standard retry mode of AWS's SDKs has them.
var throttlingCodes = []string{
	"BandwidthLimitExceeded", "EC2ThrottledException", "LimitExceededException", "PriorRequestNotComplete", "ProvisionedThroughputExceededException",
	"RequestLimitExceeded", "RequestThrottled", "RequestThrottledException", "SlowDown", "ThrottledException", "Throttling",
	"ThrottlingException", "TooManyRequestsException", "TransactionInProgressException",
}

// transientCodes are the codes of faults that pass, likewise.
var transientCodes = []string{"IDPCommunicationError", "InternalError", "InternalFailure", "RequestTimeout", "RequestTimeoutException", "ServiceUnavailable"}

// skewCodes are the codes by which services may say that the caller's clock is
// wrong.
var skewCodes = []string{"AuthFailure", "InvalidSignatureException", "RequestExpired", "RequestInTheFuture", "RequestTimeTooSkewed", "SignatureDoesNotMatch"}

// Throttled says whether the service asks to slow down.
func (e *Error) Throttled() bool {
	return slices.Contains(throttlingCodes, e.Code) || e.Status == http.StatusTooManyRequests
}

// classify sets Fault and Retryable by status and code. s is the error's shape
// where the model has one.
func (e *Error) classify(s *Shape) {
	switch {
	case e.Status >= 500 || s != nil && s.Is(Fault):
		e.Fault = smithy.FaultServer
	case e.Status >= 400:
		e.Fault = smithy.FaultClient
	}
	switch {
	case e.Status == 500, e.Status == 502, e.Status == 503, e.Status == 504, e.Throttled(), slices.Contains(transientCodes, e.Code), s != nil && s.Is(Retryable):
		e.Retryable = true
	}
}

// invalid is the error of a response that can't be read. It keeps the status,
// so that a fault of the service stays one.
func (o *Operation) invalid(status int, h http.Header, err error) *Error {
	e := &Error{Code: CodeInvalidResponse, Status: status, Service: o.Service.Name, Operation: o.Name, RequestID: requestID(h), Header: h, Err: err}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errCorrupted) {
		e.Code, e.Retryable = CodeIncompleteResponse, true
	}
	if status >= 300 {
		e.Code = strconv.Itoa(status)
		e.Message = http.StatusText(status)
	}
	e.classify(nil)
	return e
}

func requestID(h http.Header) string {
	for _, name := range []string{"X-Amzn-Requestid", "X-Amz-Request-Id", "X-Amz-Id-2"} {
		if v := h.Get(name); v != "" {
			return v
		}
	}
	return ""
}

// errorShape finds the shape of an error code: among the operation's errors,
// then among the service's.
func (o *Operation) errorShape(code string) *Shape {
	for _, s := range o.Errors {
		if s.ErrorCode() == code || s.Name == code {
			return s
		}
	}
	for i := range o.Service.shapes {
		if s := &o.Service.shapes[i]; s.Is(Exception) && (s.ErrorCode() == code || s.Name == code) {
			return s
		}
	}
	if name, ok := queryCodes[code]; ok && o.Service.QueryCompatible {
		return o.errorShape(name)
	}
	if name, ok := strings.CutPrefix(code, "AWS.SimpleQueueService."); ok {
		return o.errorShape(name)
	}
	return nil
}

// queryCodes are codes of SQS's query protocol that are neither the names of
// shapes nor those with AWS.SimpleQueueService before them. botocore's model has
// none of them. Source: Amazon SQS API Reference, "Common errors" and the
// operations' errors, against their names in the JSON protocol.
var queryCodes = map[string]string{
	"AWS.SimpleQueueService.NonExistentQueue": "QueueDoesNotExist",
	"QueueAlreadyExists":                      "QueueNameExists",
}
