package script

import (
	"crypto/rand"
	"maps"
	"strings"
	"sync"

	"github.com/knowngood/knowngood/awsapi"
)

// token is what a script has in place of credentials. It is good for the proxy of
// its run only.
type token struct {
	keyID, secret, session string
	account                string            // of the credentials; "": the run's
	principal              string            // ARN of whose they are; "": the run's
	credentials            awsapi.CallOption // nil: the run's own
}

// tokens are the tokens of a run.
type tokens struct {
	mu sync.Mutex
	by map[string]*token // by access key id
}

// maxTokens bounds how many a script may ask for.
const maxTokens = 10_000

var errTokens = &awsapi.Error{Code: "LimitExceeded", Message: "the script has asked for too many credentials", Status: 400}

// add makes a token for credentials.
func (t *tokens) add(credentials awsapi.CallOption) (*token, error) {
	n := &token{keyID: "ASIA" + rand.Text()[:16], secret: rand.Text() + rand.Text()[:14], session: "knowngood" + rand.Text() + rand.Text(), credentials: credentials}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by == nil {
		t.by = map[string]*token{}
	}
	if len(t.by) >= maxTokens {
		return nil, errTokens
	}
	t.by[n.keyID] = n
	return n, nil
}

func (t *tokens) get(keyID string) *token {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.by[keyID]
}

// swap replaces the credentials that an answer carries, of AssumeRole for one, by
// a token that is bound to them. by is who asked.
func (t *tokens) swap(service string, out map[string]any, by *token) (map[string]any, error) {
	c, ok := out["Credentials"].(map[string]any)
	if !ok || service != "sts" {
		return out, nil
	}
	keyID, _ := c["AccessKeyId"].(string)
	secret, _ := c["SecretAccessKey"].(string)
	session, _ := c["SessionToken"].(string)
	if keyID == "" || secret == "" {
		return out, nil
	}
	account, principal := "", ""
	if by != nil {
		account, principal = by.account, by.principal
	}
	for _, member := range []string{"AssumedRoleUser", "FederatedUser"} {
		if who, ok := out[member].(map[string]any); ok {
			arn, _ := who["Arn"].(string)
			if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
				account, principal = parts[4], arn
			}
		}
	}
	n, err := t.add(awsapi.As(awsapi.StaticCredentials(keyID, secret, session), account))
	if err != nil {
		return nil, err
	}
	n.account, n.principal = account, principal
	out, c = maps.Clone(out), maps.Clone(c)
	c["AccessKeyId"], c["SecretAccessKey"], c["SessionToken"] = n.keyID, n.secret, n.session
	out["Credentials"] = c
	return out, nil
}
