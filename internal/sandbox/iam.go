package sandbox

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood/awsapi"
)

// OperatorKey is the access key of the sandbox's operator, who may do
// everything, as an account's root user may.
const (
	OperatorKey    = "AKIASANDBOXOPERATOR1"
	operatorSecret = "sandbox-operator-secret-key-of-no-account"
)

// Credentials gives the operator's access key and secret.
func (s *Sandbox) Credentials() (accessKeyID, secret string) { return OperatorKey, operatorSecret }

type accessKey struct {
	Secret   string    `json:"secret"`
	Token    string    `json:"token,omitempty"`
	ARN      string    `json:"arn"`
	UserID   string    `json:"userId"`
	Account  string    `json:"account"`
	Role     string    `json:"role,omitempty"` // ARN of the role behind a session
	Policy   string    `json:"policy,omitempty"`
	Operator bool      `json:"operator,omitempty"`
	Issued   time.Time `json:"issued,omitzero"`
	Expires  time.Time `json:"expires,omitzero"`
}

type role struct {
	Created  time.Time         `json:"created"`
	ID       string            `json:"id"`
	Trust    string            `json:"trust"`
	Policies map[string]string `json:"policies,omitempty"`
}

// policy is what the sandbox evaluates of an IAM policy: effect, actions,
// principals. A statement with conditions or with NotAction allows nothing and
// denies nothing here; whole evaluation comes with the room iampolicy.
type policy struct{ Statement statements }

type statements []statement

type statement struct {
	Effect    string
	Action    oneOrMany
	Resource  oneOrMany
	Principal any
	Condition map[string]any
}

type oneOrMany []string

func (o *oneOrMany) UnmarshalJSON(raw []byte) error {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		*o = oneOrMany{s}
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(o))
}

func (s *statements) UnmarshalJSON(raw []byte) error {
	var one statement
	if len(raw) > 0 && raw[0] == '{' {
		if err := json.Unmarshal(raw, &one); err != nil {
			return err
		}
		*s = statements{one}
		return nil
	}
	return json.Unmarshal(raw, (*[]statement)(s))
}

func parsePolicy(text string) (policy, error) {
	var p policy
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return p, fmt.Errorf("the policy is not valid JSON: %w", err)
	}
	if len(p.Statement) == 0 {
		return p, fmt.Errorf("the policy has no statement")
	}
	for _, s := range p.Statement {
		if s.Effect != "Allow" && s.Effect != "Deny" {
			return p, fmt.Errorf("a statement's Effect is neither Allow nor Deny")
		}
	}
	return p, nil
}

// verdict is "Deny", "Allow" or "".
func (p policy) verdict(action string) string {
	out := ""
	for _, s := range p.Statement {
		if len(s.Condition) == 0 && slices.ContainsFunc(s.Action, func(a string) bool { return wildcard(strings.ToLower(a), strings.ToLower(action)) }) {
			if s.Effect == "Deny" {
				return "Deny"
			}
			out = "Allow"
		}
	}
	return out
}

// public says whether a statement without conditions allows everybody.
func (p policy) public() bool {
	for _, s := range p.Statement {
		if s.Effect == "Allow" && len(s.Condition) == 0 && slices.Contains(principals(s.Principal), "*") {
			return true
		}
	}
	return false
}

func principals(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		return texts(v)
	case map[string]any:
		var out []string
		for _, e := range v {
			out = append(out, principals(e)...)
		}
		return out
	}
	return nil
}

// authorize says whether the caller may take an action.
func (c *call) authorize(action string) error {
	if c.who.Operator || action == "" {
		return nil
	}
	denied := failure(403, c.deniedCode(), "User: %s is not authorized to perform: %s because no identity-based policy allows the %s action", c.who.ARN, action, action)
	name := c.who.Role[strings.LastIndexByte(c.who.Role, '/')+1:]
	r, ok := c.accountState().Roles[name]
	if !ok {
		return denied
	}
	now, _ := r.as(c.now)
	allowed := false
	for _, text := range now.Policies {
		p, err := parsePolicy(text)
		if err != nil {
			continue // PutRolePolicy takes only what parses
		}
		switch p.verdict(action) {
		case "Deny":
			return denied
		case "Allow":
			allowed = true
		}
	}
	if c.who.Policy != "" {
		p, err := parsePolicy(c.who.Policy)
		allowed = allowed && err == nil && p.verdict(action) == "Allow"
	}
	if !allowed {
		return denied
	}
	return nil
}

func (c *call) deniedCode() string {
	switch s := c.operation.Service; {
	case s.Name == "ec2":
		return "UnauthorizedOperation"
	case s.Name == "sns":
		return "AuthorizationError"
	case s.Name != "sqs" && (s.Protocol == awsapi.JSON || s.Protocol == awsapi.RESTJSON):
		return "AccessDeniedException"
	}
	return "AccessDenied"
}

func (c *call) roleARN(name string) string { return "arn:aws:iam::" + c.who.Account + ":role/" + name }

func (c *call) roleOut(name string, r role) object {
	return object{"RoleName": name, "RoleId": r.ID, "Arn": c.roleARN(name), "Path": "/", "CreateDate": r.Created, "AssumeRolePolicyDocument": r.Trust}
}

func (c *call) liveRole(at time.Time) (*record[role], role, error) {
	if r, ok := c.accountState().Roles[c.str("RoleName")]; ok {
		if v, ok := r.as(at); ok {
			return r, v, nil
		}
	}
	return nil, role{}, failure(404, "NoSuchEntity", "The role with name %s cannot be found.", c.str("RoleName"))
}

func createRole(c *call) (map[string]any, error) {
	name := c.str("RoleName")
	if _, ok := c.accountState().Roles[name]; ok {
		return nil, failure(409, "EntityAlreadyExists", "Role with name %s already exists.", name)
	}
	if _, err := parsePolicy(c.str("AssumeRolePolicyDocument")); err != nil {
		return nil, failure(400, "MalformedPolicyDocument", "%v", err)
	}
	r := role{Created: c.now, ID: strings.ToUpper(c.id("AROA", 17)), Trust: c.str("AssumeRolePolicyDocument")}
	c.accountState().Roles[name] = newRecord(c.now, r)
	return object{"Role": c.roleOut(name, r)}, nil
}

func getRole(c *call) (map[string]any, error) {
	_, r, err := c.liveRole(c.view)
	if err != nil {
		return nil, err
	}
	return object{"Role": c.roleOut(c.str("RoleName"), r)}, nil
}

func listRoles(c *call) (map[string]any, error) {
	out := []any{}
	for _, name := range sorted(c.accountState().Roles) {
		if r, ok := c.accountState().Roles[name].as(c.view); ok {
			out = append(out, c.roleOut(name, r))
		}
	}
	return object{"Roles": out, "IsTruncated": false}, nil
}

func putRolePolicy(c *call) (map[string]any, error) {
	r, _, err := c.liveRole(c.now)
	if err != nil {
		return nil, err
	}
	if _, err := parsePolicy(c.str("PolicyDocument")); err != nil {
		return nil, failure(400, "MalformedPolicyDocument", "%v", err)
	}
	r.change(c.now, func(r *role) {
		policies := map[string]string{c.str("PolicyName"): c.str("PolicyDocument")}
		for k, v := range r.Policies {
			if _, replaced := policies[k]; !replaced {
				policies[k] = v
			}
		}
		r.Policies = policies
	})
	return object{}, nil
}

func assumeRole(c *call) (map[string]any, error) {
	arn := c.str("RoleArn")
	parts := strings.Split(arn, ":")
	denied := failure(403, "AccessDenied", "User: %s is not authorized to perform: sts:AssumeRole on resource: %s", c.who.ARN, arn)
	if len(parts) != 6 || !strings.HasPrefix(parts[5], "role/") {
		return nil, failure(400, "ValidationError", "%s is invalid", arn)
	}
	home, ok := c.state.Accounts[parts[4]]
	if !ok {
		return nil, denied
	}
	name := parts[5][strings.LastIndexByte(parts[5], '/')+1:]
	rec, ok := home.Roles[name]
	if !ok {
		return nil, denied
	}
	r, _ := rec.as(c.now)
	if !trusts(r.Trust, c.who, c.str("ExternalId")) {
		return nil, denied
	}
	if text := c.str("Policy"); text != "" {
		if _, err := parsePolicy(text); err != nil {
			return nil, failure(400, "MalformedPolicyDocument", "%v", err)
		}
	}
	seconds, given := c.int("DurationSeconds")
	if !given {
		seconds = 3600
	}
	id := strings.ToUpper(c.id("ASIA", 16))
	session := accessKey{Secret: c.id("", 32), Token: c.id("", 32), ARN: "arn:aws:sts::" + parts[4] + ":assumed-role/" + name + "/" + c.str("RoleSessionName"),
		UserID: r.ID + ":" + c.str("RoleSessionName"), Account: parts[4], Role: arn, Policy: c.str("Policy"), Issued: c.now, Expires: c.now.Add(time.Duration(seconds) * time.Second)}
	c.state.Keys[id] = session
	return object{
		"Credentials":     object{"AccessKeyId": id, "SecretAccessKey": session.Secret, "SessionToken": session.Token, "Expiration": session.Expires},
		"AssumedRoleUser": object{"Arn": session.ARN, "AssumedRoleId": session.UserID},
	}, nil
}

// trusts says whether a role's trust policy names the caller: itself, its
// account, its role, or everybody; and the external id where it asks for one.
func trusts(text string, who accessKey, externalID string) bool {
	p, err := parsePolicy(text)
	if err != nil {
		return false
	}
	for _, s := range p.Statement {
		if s.Effect != "Allow" || !slices.ContainsFunc(s.Action, func(a string) bool { return wildcard(a, "sts:AssumeRole") }) {
			continue
		}
		if equals, ok := s.Condition["StringEquals"].(map[string]any); ok {
			if want, ok := equals["sts:ExternalId"].(string); !ok || len(s.Condition) > 1 || len(equals) > 1 || want != externalID {
				continue
			}
		} else if len(s.Condition) > 0 {
			continue
		}
		for _, name := range principals(s.Principal) {
			if name == "*" || name == who.ARN || name == who.Role && name != "" || name == who.Account || name == "arn:aws:iam::"+who.Account+":root" {
				return true
			}
		}
	}
	return false
}

func callerIdentity(c *call) (map[string]any, error) {
	return object{"Account": c.who.Account, "Arn": c.who.ARN, "UserId": c.who.UserID}, nil
}

func listRolePolicies(c *call) (map[string]any, error) {
	_, r, err := c.liveRole(c.view)
	if err != nil {
		return nil, err
	}
	return object{"PolicyNames": anys(sorted(r.Policies)), "IsTruncated": false}, nil
}

func getRolePolicy(c *call) (map[string]any, error) {
	_, r, err := c.liveRole(c.view)
	if err != nil {
		return nil, err
	}
	name := c.str("PolicyName")
	text, ok := r.Policies[name]
	if !ok {
		return nil, failure(404, "NoSuchEntity", "The role policy with name %s cannot be found.", name)
	}
	return object{"RoleName": c.str("RoleName"), "PolicyName": name, "PolicyDocument": text}, nil
}

var iamHandlers = map[string]handler{
	"GetRolePolicy":    {"iam:GetRolePolicy", getRolePolicy},
	"ListRolePolicies": {"iam:ListRolePolicies", listRolePolicies},
	"CreateRole":       {"iam:CreateRole", createRole},
	"GetRole":          {"iam:GetRole", getRole},
	"ListRoles":        {"iam:ListRoles", listRoles},
	"PutRolePolicy":    {"iam:PutRolePolicy", putRolePolicy},
}

// GetCallerIdentity needs no permission, and AssumeRole that of the role's
// trust policy.
var stsHandlers = map[string]handler{
	"AssumeRole":        {"", assumeRole},
	"GetCallerIdentity": {"", callerIdentity},
}
