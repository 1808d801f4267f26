package sandbox

import (
	"cmp"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/iampolicy"
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
	Operator bool      `json:"operator,omitempty"`
	Issued   time.Time `json:"issued,omitzero"`
	Expires  time.Time `json:"expires,omitzero"`
	MFA      bool      `json:"mfa,omitempty"` // the session began with a code

	// What was asked for when the session began.
	Policy         string   `json:"policy,omitempty"`
	PolicyARNs     []string `json:"policyArns,omitempty"`
	Tags           tagSet   `json:"tags,omitempty"`
	Transitive     []string `json:"transitiveTagKeys,omitempty"`
	SourceIdentity string   `json:"sourceIdentity,omitempty"`

	Inactive    bool      `json:"inactive,omitempty"`
	Used        time.Time `json:"lastUsed,omitzero"`
	UsedRegion  string    `json:"lastUsedRegion,omitempty"`
	UsedService string    `json:"lastUsedService,omitempty"`
}

var sessionName = patternOf(`^[\w+=,.@-]{2,64}$`)

// wording is an error as AWS words it, without its code.
func wording(err error) string {
	var e *awsapi.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

// iamPage cuts a list by IAM's MaxItems and Marker.
func (c *call) iamPage(key string, items []any) (map[string]any, error) {
	return c.marked(key, items, markers{"MaxItems", "Marker", "IsTruncated", "ValidationError", "ValidationError"})
}

func missing(kind, name string) error {
	return failure(404, "NoSuchEntity", "The %s with name %s cannot be found.", kind, name)
}

func exists(kind, name string) error {
	return failure(409, "EntityAlreadyExists", "%s with name %s already exists.", kind, name)
}

func inUse(what string) error {
	return failure(409, "DeleteConflict", "Cannot delete entity, must %s first.", what)
}

func limited(quota string, n int) error {
	return failure(409, "LimitExceeded", "Cannot exceed quota for %s: %d", quota, n)
}

// iamID makes a unique id, such as AIDA and 17 characters.
func (c *call) iamID(prefix string) string { return strings.ToUpper(c.id(prefix, 17)) }

var (
	entityName = patternOf(`^[\w+=,.@-]{1,128}$`)
	entityPath = patternOf(`^/([\x21-\x7e]+/)?$`)
)

// newEntity checks a new entity's name and path, and gives the path.
func (c *call) newEntity(nameMember string) (name, path string, err error) {
	name, path = c.str(nameMember), cmp.Or(c.str("Path"), "/")
	if !entityName.MatchString(name) {
		return "", "", failure(400, "ValidationError", "The specified value for %s is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-",
			strings.ToLower(nameMember[:1])+nameMember[1:])
	}
	if !entityPath.MatchString(path) {
		return "", "", failure(400, "ValidationError", "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.")
	}
	return name, path, nil
}

// iamTags reads a call's tags.
func (c *call) iamTags() (tagSet, error) {
	tags, err := parseTags(c.in["Tags"])
	if err != nil {
		return nil, failure(400, "InvalidInput", "%s", wording(err))
	}
	return tags, nil
}

// checkPolicy refuses a document that is no policy of its kind.
func (c *call) checkPolicy(text string, kind iampolicy.Kind) error {
	p, err := iampolicy.Parse(text, kind)
	if err != nil {
		return failure(400, "MalformedPolicyDocument", "%v", err)
	}
	if kind == iampolicy.Trust {
		if name := c.unknownPrincipal(p); name != "" {
			return failure(400, "MalformedPolicyDocument", "Invalid principal in policy: \"AWS\":\"%s\"", name)
		}
	}
	return nil
}

// unknownPrincipal is the first principal that a resource's policy names and that
// isn't there: users and roles of the sandbox's accounts must be.
func (c *call) unknownPrincipal(p *iampolicy.Policy) string {
	for i := range p.Statements {
		for _, ps := range []*iampolicy.Principals{p.Statements[i].Principal, p.Statements[i].NotPrincipal} {
			if ps == nil {
				continue
			}
			for _, name := range ps.AWS {
				if !c.principalExists(name) {
					return name
				}
			}
		}
	}
	return ""
}

func (c *call) principalExists(name string) bool {
	a, ok := parseARN(name)
	home := c.state.Accounts[a.account]
	if !ok || a.service != "iam" || home == nil {
		return true
	}
	prefix := "arn:" + home.Partition + ":iam::" + a.account + ":"
	switch kind, _, _ := strings.Cut(a.resource, "/"); kind {
	case "user":
		_, u, ok := home.Users.live(last(a.resource), c.now)
		return ok && name == prefix+"user"+u.Path+last(a.resource) || name == c.state.Keys[c.operatorKey(a.account)].ARN
	case "role":
		_, r, ok := home.Roles.live(last(a.resource), c.now)
		return ok && name == prefix+"role"+r.Path+last(a.resource)
	}
	return true
}

// percentEncoded is how IAM answers with policies: by RFC 3986, which has %20
// for a space.
func percentEncoded(policy string) string {
	return strings.ReplaceAll(url.QueryEscape(policy), "+", "%20")
}

var iamHandlers = merged(iamUserHandlers, iamKeyHandlers, iamGroupHandlers, iamRoleHandlers, iamPolicyHandlers)
