package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/sandbox"
)

// trialWebhooks are the webhooks of a trial: they answer as it says, in this
// process. It implements runbook.Webhooks.
type trialWebhooks struct {
	given map[string]trialAnswer

	mu      sync.Mutex
	invoked []trialWebhook
}

// trialAnswer is what a webhook answers.
type trialAnswer struct {
	Status int    `yaml:"status"` // default: 200
	Body   string `yaml:"body"`
}

// trialWebhook is one invocation.
type trialWebhook struct {
	Name string `yaml:"name"`
	Body string `yaml:"body"`
}

// register makes the integrations' parameters, which planning looks for.
func (w *trialWebhooks) register(ctx context.Context, box *sandbox.Sandbox) error {
	for _, name := range slices.Sorted(maps.Keys(w.given)) {
		_, err := box.Call(ctx, sandbox.Request{Service: "ssm", Operation: "PutParameter", AccessKeyID: sandbox.OperatorKey, Input: map[string]any{
			"Name": runbook.WebhookParameter(name), "Type": "SecureString", "DataType": "aws:ssm:integration", "Value": `{"url": "https://webhook.test"}`}})
		if err != nil {
			return fmt.Errorf("the webhook %s: %w", name, err)
		}
	}
	return nil
}

// FindWebhook implements runbook.Webhooks.
func (w *trialWebhooks) FindWebhook(_ context.Context, r runbook.WebhookRequest) (runbook.InvokeWebhook, error) {
	answer, ok := w.given[r.IntegrationName]
	if !ok {
		return nil, knowngood.E(knowngood.NotFound, "the webhook "+r.IntegrationName, "the test has no such webhook")
	}
	return func(context.Context) (runbook.WebhookResponse, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.invoked = append(w.invoked, trialWebhook{r.IntegrationName, r.Body})
		out := runbook.WebhookResponse{Code: answer.Status, Body: answer.Body}
		if out.Code == 0 {
			out.Code = 200
		}
		return out, nil
	}, nil
}

// differ says how the invocations are not those that were expected; "": they are.
func (w *trialWebhooks) differ(want []trialWebhook) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if want == nil || slices.Equal(want, w.invoked) {
		return ""
	}
	return fmt.Sprintf("webhooks were invoked as %+v, expected %+v", w.invoked, want)
}
