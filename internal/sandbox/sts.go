package sandbox

import (
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood/iampolicy"
)

// The bounds of a session's length, in seconds. Source: STS API Reference,
// "AssumeRole" and "GetSessionToken".
const (
	shortestSession = 900
	usualSession    = 3600
	chainedSession  = 3600 // of a role assumed by a role's session
	longestToken    = 129600
	rootToken       = 3600
)

// assumeRole makes a session of a role. That the caller may is settled: its
// trust policy is the resource's policy of the call.
func assumeRole(c *call) (map[string]any, error) {
	arn, name := c.str("RoleArn"), c.str("RoleSessionName")
	a, ok := parseARN(arn)
	if !ok || a.service != "iam" || !strings.HasPrefix(a.resource, "role/") {
		return nil, failure(400, "ValidationError", "%s is invalid", arn)
	}
	if strings.HasSuffix(c.who.ARN, ":root") {
		return nil, failure(403, "AccessDenied", "Roles may not be assumed by root accounts.")
	}
	_, r, ok := c.state.Accounts[a.account].Roles.live(last(a.resource), c.now)
	if !ok || "role"+r.Path+last(a.resource) != a.resource {
		return nil, c.denied("User: " + c.who.ARN + " is not authorized to perform: sts:AssumeRole on resource: " + arn)
	}
	if !sessionName.MatchString(name) {
		return nil, failure(400, "ValidationError", "1 validation error detected: Value '%s' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*", name)
	}
	seconds, given := c.int("DurationSeconds")
	switch {
	case !given:
		seconds = usualSession
	case c.who.Role != "" && seconds > chainedSession:
		return nil, failure(400, "ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
	case seconds < shortestSession || seconds > max(r.Longest, usualSession):
		return nil, failure(400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	policies, err := c.sessionPolicies()
	if err != nil {
		return nil, err
	}
	tags, err := parseTags(c.in["Tags"])
	if err != nil {
		return nil, failure(400, "ValidationError", "%s", wording(err))
	}
	session := accessKey{ARN: "arn:" + a.partition + ":sts::" + a.account + ":assumed-role/" + last(a.resource) + "/" + name, UserID: r.ID + ":" + name,
		Account: a.account, Role: arn, Policy: c.str("Policy"), PolicyARNs: policies, Tags: tags, SourceIdentity: c.str("SourceIdentity")}
	session.Transitive = c.strings("TransitiveTagKeys")
	for _, k := range c.who.Transitive { // these stay on, whatever the next session asks for
		session.Tags = session.Tags.with(tagSet{k: c.who.Tags[k]})
		session.Transitive = append(session.Transitive, k)
	}
	if c.who.SourceIdentity != "" {
		if session.SourceIdentity != "" && session.SourceIdentity != c.who.SourceIdentity {
			return nil, c.denied("User: " + c.who.ARN + " is not authorized to perform: sts:SetSourceIdentity on resource: " + arn)
		}
		session.SourceIdentity = c.who.SourceIdentity
	}
	out := object{"Credentials": c.issue(session, seconds), "AssumedRoleUser": object{"Arn": session.ARN, "AssumedRoleId": session.UserID}}
	if session.SourceIdentity != "" {
		out["SourceIdentity"] = session.SourceIdentity
	}
	return out, nil
}

// issue makes temporary credentials, which last so many seconds.
func (c *call) issue(session accessKey, seconds int64) object {
	id := strings.ToUpper(c.id("ASIA", 16))
	session.Secret, session.Token = c.id("", 32), c.id("", 32)
	session.Issued, session.Expires = c.now, c.now.Add(time.Duration(seconds)*time.Second)
	c.state.Keys[id] = session
	return object{"AccessKeyId": id, "SecretAccessKey": session.Secret, "SessionToken": session.Token, "Expiration": session.Expires}
}

// sessionPolicies checks the policies of a session's request, and gives the ARNs
// of the managed ones.
func (c *call) sessionPolicies() ([]string, error) {
	if text := c.str("Policy"); text != "" {
		if _, err := iampolicy.Parse(text, iampolicy.Identity); err != nil {
			return nil, failure(400, "MalformedPolicyDocument", "%v", err)
		}
		if len(text) > 2048 {
			return nil, failure(400, "PackedPolicyTooLarge", "Packed size of session tags consumes 100%% of allotted space.")
		}
	}
	var arns []string
	for _, o := range c.objects("PolicyArns") {
		arn, _ := o["arn"].(string)
		if c.managedText(arn) == "" {
			return nil, failure(400, "ValidationError", "The policy %s does not exist or is not attachable.", arn)
		}
		arns = append(arns, arn)
	}
	if len(arns) > 10 {
		return nil, failure(400, "ValidationError", "A session takes at most 10 managed policies.")
	}
	return arns, nil
}

// getSessionToken gives a user or root user temporary credentials, which may do
// what their long-term ones may.
func getSessionToken(c *call) (map[string]any, error) {
	if c.who.Token != "" {
		return nil, failure(403, "AccessDenied", "Cannot call GetSessionToken with session credentials")
	}
	longest := int64(longestToken)
	if strings.HasSuffix(c.who.ARN, ":root") {
		longest = rootToken
	}
	seconds, given := c.int("DurationSeconds")
	switch {
	case !given:
		seconds = min(43200, longest)
	case seconds < shortestSession || seconds > longestToken:
		return nil, failure(400, "ValidationError", "1 validation error detected: Value '%d' at 'durationSeconds' failed to satisfy constraint: between %d and %d", seconds, shortestSession, longestToken)
	}
	session := c.who
	session.MFA = false
	if serial := c.str("SerialNumber"); serial != "" {
		_, u, _ := c.accountState().Users.live(last(c.who.ARN), c.now)
		if !slices.ContainsFunc(u.Devices, func(d mfaDevice) bool { return d.Serial == serial }) || len(c.str("TokenCode")) != 6 {
			return nil, failure(403, "AccessDenied", "MultiFactorAuthentication failed with invalid MFA one time pass code.")
		}
		session.MFA = true
	}
	return object{"Credentials": c.issue(session, min(seconds, longest))}, nil
}

func callerIdentity(c *call) (map[string]any, error) {
	return object{"Account": c.who.Account, "Arn": c.who.ARN, "UserId": c.who.UserID}, nil
}

// webIdentity refuses: the sandbox has no identity providers.
func webIdentity(c *call) (map[string]any, error) {
	return nil, failure(400, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for the sandbox's %s, for it has no identity providers.", c.operation.Name)
}

// GetCallerIdentity and GetSessionToken need no permission.
var stsHandlers = map[string]handler{
	"AssumeRole":                {"sts:AssumeRole", assumeRole},
	"AssumeRoleWithWebIdentity": {"", webIdentity},
	"GetCallerIdentity":         {"", callerIdentity},
	"GetSessionToken":           {"", getSessionToken},
}
