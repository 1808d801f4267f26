package remedy

import (
	"context"
	"fmt"
	"strings"

	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
)

// callerOf gives the caller with which to find out what became of a write. What a
// script made with a role that it had assumed is looked for with that role, which is
// assumed again as the plan has it; nil: it can't be, and why.
func (h *held) callerOf(ctx context.Context, own awsapi.Caller, intent runbook.IntentBody) (awsapi.Caller, string) {
	if intent.Role == h.plan.Role || !h.Operations[intent.Service+":"+intent.Operation].looked() {
		return own, ""
	}
	why := fmt.Sprintf("it was made as %s, and the plan does not say how to become that again", intent.Role)
	step, _ := ctx.Value(stepKey{}).(string)
	for _, part := range h.plan.Parts {
		for _, c := range part.Calls {
			if c.Service != "sts" || c.Operation != "AssumeRole" || c.Step != step {
				continue
			}
			h.mu.Lock()
			bound, err := bind(c.Input, h.replay.bindings)
			h.mu.Unlock()
			in, _ := bound.(map[string]any)
			if err != nil || !isSession(intent.Role, in) {
				continue
			}
			out, err := h.Caller.Call(ctx, c.Service, c.Operation, in, awsapi.Region(c.Region))
			if err != nil {
				why = fmt.Sprintf("it was made as %s, which can't be assumed again: %v", intent.Role, err)
				continue
			}
			got, _ := out["Credentials"].(map[string]any)
			id, _ := got["AccessKeyId"].(string)
			secret, _ := got["SecretAccessKey"].(string)
			token, _ := got["SessionToken"].(string)
			return withOptions{own, []awsapi.CallOption{awsapi.As(awsapi.StaticCredentials(id, secret, token), intent.Account), awsapi.Principal(intent.Role)}}, ""
		}
	}
	return nil, why
}

// looked says whether an operation is settled by looking for what it did.
func (w WriteOperation) looked() bool { return w.Settle == SettleTag || w.Settle == SettleState }

// isSession says whether an input of AssumeRole gives a session by its ARN,
// arn:aws:sts::111122223333:assumed-role/name/session.
func isSession(session string, in map[string]any) bool {
	role, _ := in["RoleArn"].(string)
	name, _ := in["RoleSessionName"].(string)
	parts := strings.SplitN(role, ":", 6)
	return len(parts) == 6 && session == fmt.Sprintf("%s:%s:sts::%s:assumed-role/%s/%s", parts[0], parts[1], parts[4], role[strings.LastIndexByte(role, '/')+1:], name)
}

// withOptions makes calls with options.
type withOptions struct {
	awsapi.Caller
	options []awsapi.CallOption
}

// Call implements awsapi.Caller.
func (c withOptions) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	return c.Caller.Call(ctx, service, operation, in, append(opts, c.options...)...)
}
