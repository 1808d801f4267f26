package runbook

import (
	"context"
	"errors"

	"github.com/knowngood/knowngood/awsapi"
)

// OutsideService stands where a call has its service, for a request that a script
// makes to a host that is not AWS's. The operation is the request's method. It
// counts as a write: nobody knows what it does.
//
// The input has "url", and of the request's body "body", JSON decoded and other text
// as it is, or "bodySHA256" where it is no text or long. The output has "status",
// "header" and "body", the latter in base64.
const OutsideService = "http"

// CodeUnsent is the code of a request of which nothing has left this machine.
const CodeUnsent = "NotSent"

// Unsent says that nothing of a request has left this machine.
func Unsent(operation string, err error) error {
	return &awsapi.Error{Code: CodeUnsent, Message: err.Error(), Status: 400, Service: OutsideService, Operation: operation}
}

type sendKey struct{}

// WithSend gives a context by which whoever makes a call to OutsideService in the end
// sends its request.
func WithSend(ctx context.Context, send func(ctx context.Context) (map[string]any, error)) context.Context {
	return context.WithValue(ctx, sendKey{}, send)
}

// Send sends the request that a context has.
func Send(ctx context.Context) (map[string]any, error) {
	if send, ok := ctx.Value(sendKey{}).(func(context.Context) (map[string]any, error)); ok {
		return send(ctx)
	}
	return nil, errors.New("the call has no request to be sent")
}
