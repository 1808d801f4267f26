package remedy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	jmespath "github.com/jmespath-community/go-jmespath"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
)

// Settler finds out, by the table of write operations, what became of a write
// whose outcome is not known. It implements runbook.Settler.
type Settler struct {
	Catalog    *awsapi.Catalog
	Operations Operations
	Clock      knowngood.Clock
	// Consistency is how long an effect may take to show in reads, and Poll how
	// often it is looked for meanwhile. AWS's reads are eventually consistent;
	// a write is repeated only after this time without a sign of it.
	Consistency time.Duration
	Poll        time.Duration
}

// Prepare implements runbook.Settler. Every attempt at a step's call carries
// the same token or tag, for at most one of them may have an effect.
func (s *Settler) Prepare(runID, step string, _ int, call runbook.CallRequest) (runbook.CallRequest, error) {
	if call.Service == runbook.OutsideService {
		return call, nil // nobody knows what would tell two of them apart
	}
	op, err := s.Catalog.Operation(call.Service, call.Operation)
	if err != nil {
		return call, err
	}
	call.Input = s.Operations[op.Service.Name+":"+op.Name].prepare(runID, step, call.Input)
	return call, nil
}

// Settle implements runbook.Settler.
func (s *Settler) Settle(ctx context.Context, caller awsapi.Caller, _ string, intent runbook.IntentBody) (runbook.Settlement, error) {
	name := intent.Service + ":" + intent.Operation
	row, ok := s.Operations[name]
	if !ok {
		return runbook.Settlement{Reason: name + " is not in the table of write operations, so it is never repeated"}, nil
	}
	switch row.Settle {
	case SettleToken:
		return runbook.Settlement{Repeat: true, Reason: "sent again with the same " + row.Token}, nil
	case SettleNatural:
		return runbook.Settlement{Repeat: true, Reason: "sent again, a repeat is harmless"}, nil
	}
	if row.Settle == SettlePerson {
		return runbook.Settlement{Reason: "nothing shows whether " + name + " took place, so it is never repeated"}, nil
	}
	response, err := s.look(ctx, caller, intent, row)
	switch {
	case err != nil:
		return runbook.Settlement{}, err
	case response != nil:
		return runbook.Settlement{Known: true, Response: response, Reason: "its effect was found by " + intent.Service + ":" + row.Lookup.Operation}, nil
	}
	return runbook.Settlement{Repeat: true, Reason: fmt.Sprintf("no sign of it within %s", s.Consistency)}, nil
}

// IsThere implements runbook.Settler, by the table's gone.
func (s *Settler) IsThere(call runbook.CallRequest, refusal *runbook.CallError) string {
	if slices.Contains(s.Operations[call.Service+":"+call.Operation].Gone, refusal.Code) {
		return "its effect is there already: " + refusal.Code
	}
	return ""
}

// look reads until the effect shows, or the time for it to show is over.
func (s *Settler) look(ctx context.Context, caller awsapi.Caller, intent runbook.IntentBody, row WriteOperation) (map[string]any, error) {
	scope := map[string]any{"input": plain(intent.Input), "tag": stepTag(intent.Input)}
	in, err := fill(row.Lookup.Input, scope)
	if err != nil {
		return nil, fmt.Errorf("look for %s:%s: %w", intent.Service, intent.Operation, err)
	}
	input, _ := in.(map[string]any)
	for deadline := s.Clock.Now().Add(s.Consistency); ; {
		out, err := caller.Call(ctx, intent.Service, row.Lookup.Operation, input, awsapi.Region(intent.Region))
		// A refusal, NotFound for one, may be a stale read: it is looked at again.
		var answer *awsapi.Error
		if err != nil && (ctx.Err() != nil || errors.As(err, &answer) && answer.Credentials()) {
			return nil, err
		}
		if err == nil {
			found, err := jmespath.Search(row.Lookup.Found, map[string]any{"output": searchable(out), "input": scope["input"]})
			if err != nil {
				return nil, fmt.Errorf("look for %s:%s: %w", intent.Service, intent.Operation, err)
			}
			if response, ok := found.(map[string]any); ok {
				return response, nil
			}
		}
		if !s.Clock.Now().Before(deadline) {
			return nil, err
		}
		if err := s.Clock.Sleep(ctx, s.Poll); err != nil {
			return nil, err
		}
	}
}

// stepTag finds the run-and-step tag that a write carries, or "".
func stepTag(input map[string]any) string {
	specs, _ := input["TagSpecifications"].([]any)
	for _, s := range specs {
		spec, _ := s.(map[string]any)
		tags, _ := spec["Tags"].([]any)
		for _, t := range tags {
			if tag, ok := t.(map[string]any); ok && tag["Key"] == StepTag {
				value, _ := tag["Value"].(string)
				return value
			}
		}
	}
	return ""
}

// fill replaces each text that begins with "=" by what its JMESPath expression
// finds.
func fill(v any, scope map[string]any) (any, error) {
	switch v := v.(type) {
	case string:
		expression, ok := strings.CutPrefix(v, "=")
		if !ok {
			return v, nil
		}
		found, err := jmespath.Search(expression, scope)
		if err == nil && found == nil {
			err = fmt.Errorf("%s finds nothing", expression)
		}
		return found, err
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			f, err := fill(e, scope)
			if err != nil {
				return nil, err
			}
			out[i] = f
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			f, err := fill(e, scope)
			if err != nil {
				return nil, err
			}
			out[k] = f
		}
		return out, nil
	}
	return v, nil
}

// searchable is a value as JMESPath knows them: its numbers are float64.
func searchable(v any) any {
	switch v := plain(v).(type) {
	case int64:
		return float64(v)
	case []any:
		for i, e := range v {
			v[i] = searchable(e)
		}
		return v
	case map[string]any:
		for k, e := range v {
			v[k] = searchable(e)
		}
		return v
	default:
		return v
	}
}
