package sandbox

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Function is what a Lambda function does in the sandbox, which runs no code of
// its own: HandleFunction or AddAnswer says it. It may call the sandbox. An error is the
// function's own, as an exception that its code doesn't catch.
type Function func(ctx context.Context, i Invocation) (answer []byte, err error)

// Invocation is one run of a function.
type Invocation struct {
	FunctionARN string
	RequestID   string
	Payload     []byte // JSON
	// Of a session of the function's role.
	AccessKeyID, SecretAccessKey, SessionToken string
}

// HandleFunction says what the Lambda functions of a name do, in all accounts
// and Regions. A function of which nothing is said answers with its payload.
func (s *Sandbox) HandleFunction(name string, f Function) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.functions[name] = f
}

func echo(_ context.Context, i Invocation) ([]byte, error) { return i.Payload, nil }

// functionSession is how long a session of a function's role lasts.
const functionSession = time.Hour

// invocation makes one of a function and a payload, under a session of its role.
// Runs within an hour share the session.
func (c *call) invocation(name string, f function, payload []byte) (Function, Invocation) {
	i := Invocation{FunctionARN: c.functionARN(name), RequestID: c.occurrence(), Payload: payload}
	role := f.Role[strings.LastIndexByte(f.Role, '/')+1:]
	arn := "arn:aws:sts::" + c.who.Account + ":assumed-role/" + role + "/" + name
	for _, id := range sorted(c.state.Keys) {
		if k := c.state.Keys[id]; k.ARN == arn && k.Expires.After(c.now) {
			i.AccessKeyID, i.SecretAccessKey, i.SessionToken = id, k.Secret, k.Token
		}
	}
	if i.AccessKeyID == "" {
		id := strings.ToUpper("ASIA" + derived(c.state.Seed, "function", c.state.Occurred)[:16])
		k := accessKey{Secret: derived(c.state.Seed, "secret", c.state.Occurred)[:32], Token: derived(c.state.Seed, "token", c.state.Occurred)[:32], ARN: arn, Account: c.who.Account,
			Role: f.Role, Issued: c.now, Expires: c.now.Add(functionSession)}
		if r, ok := c.accountState().Roles[role]; ok {
			now, _ := r.as(c.now)
			k.UserID = now.ID + ":" + name
		}
		c.state.Keys[id] = k
		i.AccessKeyID, i.SecretAccessKey, i.SessionToken = id, k.Secret, k.Token
	}
	c.home().Lambda.ran(name)
	run := c.functions[name]
	if run == nil {
		run = c.answers(name)
	}
	if run == nil {
		run = echo
	}
	return run, i
}

// toFunction lets a function run with a parcel, once the sandbox is unlocked.
// Lambda has taken the parcel then; a function that fails is not run again.
func (c *call) toFunction(name string, p parcel, ask access) error {
	name = strings.TrimSuffix(name, ":$LATEST")
	_, f, ok := c.home().Lambda.Functions.live(name, c.now)
	if !ok {
		return noTarget(p.target)
	}
	ask.action = "lambda:InvokeFunction"
	if !ask.grants(c.policy(f.policyText())) {
		return ask.refused()
	}
	c.runLater(name, f, []byte(p.body))
	return nil
}

func (c *call) runLater(name string, f function, payload []byte) string {
	run, i := c.invocation(name, f, payload)
	c.later = append(c.later, func() {
		if _, err := run(context.Background(), i); err != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.delivered(i.FunctionARN, i.FunctionARN, i.RequestID, fmt.Errorf("the function failed: %w", err))
		}
	})
	return i.RequestID
}

func invokeFunction(c *call) (map[string]any, error) {
	name, _, f, err := c.function(c.now)
	if err != nil {
		return nil, err
	}
	payload, _ := c.in["Payload"].([]byte)
	if s, ok := c.in["Payload"].(string); ok {
		payload = []byte(s)
	}
	if len(payload) == 0 {
		payload = []byte("{}")
	}
	switch {
	case !json.Valid(payload):
		return nil, failure(400, "InvalidRequestContentException", "Could not parse request body into json: it is not valid JSON")
	case f.State == "Pending":
		return nil, failure(409, "ResourceConflictException", "The operation cannot be performed at this time. The function is currently in the following state: Pending")
	case f.Reserved != nil && *f.Reserved == 0:
		return nil, failure(429, "TooManyRequestsException", "Rate Exceeded.")
	}
	switch c.str("InvocationType") {
	case "DryRun":
		return object{"StatusCode": int64(204)}, nil
	case "Event":
		c.runLater(name, f, payload)
		return object{"StatusCode": int64(202)}, nil
	}
	run, i := c.invocation(name, f, payload)
	tail := c.str("LogType") == "Tail"
	c.after = func(ctx context.Context) (map[string]any, error) {
		out := object{"StatusCode": int64(200), "ExecutedVersion": "$LATEST"}
		answer, err := run(ctx, i)
		if err != nil {
			out["FunctionError"] = "Unhandled"
			answer = []byte(jsonText(object{"errorMessage": err.Error(), "errorType": "Error"}))
		}
		if len(answer) == 0 {
			answer = []byte("null")
		}
		out["Payload"] = answer
		if tail {
			out["LogResult"] = base64.StdEncoding.EncodeToString([]byte("START RequestId: " + i.RequestID + " Version: $LATEST\nEND RequestId: " + i.RequestID + "\n"))
		}
		return out, nil
	}
	return object{"StatusCode": int64(200)}, nil
}

// policyText is the function's policy, as GetPolicy answers with it.
func (f function) policyText() string {
	if len(f.Policy) == 0 {
		return ""
	}
	return jsonText(object{"Version": "2012-10-17", "Id": "default", "Statement": f.Policy})
}

func (f function) statement(id string) int {
	return slices.IndexFunc(f.Policy, func(s object) bool { return s["Sid"] == id })
}

func addPermission(c *call, f *function) (map[string]any, error) {
	id, principal, name := c.str("StatementId"), c.str("Principal"), c.functionNamed(c.str("FunctionName"))
	if f.statement(id) >= 0 {
		return nil, failure(409, "ResourceConflictException", "The statement id (%s) provided already exists. Please provide a new statement id, or remove the existing statement.", id)
	}
	s := object{"Sid": id, "Effect": "Allow", "Action": c.str("Action"), "Resource": c.functionARN(name)}
	switch {
	case principal == "*":
		s["Principal"] = "*"
	case strings.HasSuffix(principal, ".amazonaws.com"):
		s["Principal"] = object{"Service": principal}
	case twelveDigits.MatchString(principal):
		s["Principal"] = object{"AWS": "arn:aws:iam::" + principal + ":root"}
	case strings.HasPrefix(principal, "arn:"):
		s["Principal"] = object{"AWS": principal}
	default:
		return nil, lambdaInvalid("The provided principal was invalid. Please check the principal and try again.")
	}
	condition := object{}
	if source := c.str("SourceArn"); source != "" {
		condition["ArnLike"] = object{"AWS:SourceArn": source}
	}
	equals := object{}
	for member, key := range map[string]string{"SourceAccount": "AWS:SourceAccount", "PrincipalOrgID": "aws:PrincipalOrgID"} {
		if v := c.str(member); v != "" {
			equals[key] = v
		}
	}
	if len(equals) > 0 {
		condition["StringEquals"] = equals
	}
	if len(condition) > 0 {
		s["Condition"] = condition
	}
	f.Policy, f.Revision = append(slices.Clone(f.Policy), s), c.occurrence()
	return object{"Statement": jsonText(s)}, nil
}

func removePermission(c *call, f *function) (map[string]any, error) {
	i := f.statement(c.str("StatementId"))
	if i < 0 {
		return nil, failure(404, "ResourceNotFoundException", "Statement %s is not found in resource policy.", c.str("StatementId"))
	}
	f.Policy, f.Revision = slices.Delete(slices.Clone(f.Policy), i, i+1), c.occurrence()
	return object{}, nil
}

func getFunctionPolicy(c *call) (map[string]any, error) {
	_, _, f, err := c.function(c.view)
	if err != nil {
		return nil, err
	}
	if len(f.Policy) == 0 {
		return nil, failure(404, "ResourceNotFoundException", "The resource you requested does not exist.")
	}
	return object{"Policy": f.policyText(), "RevisionId": f.Revision}, nil
}
