package remedy

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/iampolicy"
	"github.com/knowngood/knowngood/internal/runbook"
)

// Narrowing is what a role is narrowed to for a session: it may do what its own
// policies allow and one of these as well. The zero Narrowing narrows nothing.
type Narrowing struct {
	Policy  string   // a session policy
	Managed []string // ARNs of managed policies
}

// toReads is what planning a runbook narrows its role to: the actions of its reads
// and no others, so that a plan can't write even where the table of operation
// classes were wrong.
//
// What a script reads is not known beforehand. With one, the role has what AWS's
// ReadOnlyAccess allows, without the secrets that are among that.
func toReads(book *Runbook, given knowngood.Params, catalog *awsapi.Catalog, partition string) (Narrowing, error) {
	s := newSession(catalog)
	for _, c := range book.Document.Calls(catalog) {
		class := classOf(c.Operation, nil)
		sensitive := slices.Contains(book.Entry.SensitiveReads, c.Operation.Service.Name+":"+c.Operation.Name)
		if class == knowngood.Read || class == knowngood.SensitiveRead && sensitive {
			s.need(c.Operation, nil)
		}
	}
	for _, secret := range book.Document.StoredSecrets(given) {
		s.secret(secret.Store)
	}
	if !hasScript(book.Document) {
		return s.narrowing()
	}
	for _, name := range book.Entry.SensitiveReads {
		service, operation, _ := strings.Cut(name, ":")
		if op, err := catalog.Operation(service, operation); err == nil && !acts(op) {
			s.need(op, nil)
		}
	}
	return s.reading(partition)
}

// readingOnly is an input of AssumeRole for a session that may only read: whatever a
// script assumes while it is planned. A session policy of its own gives way.
func readingOnly(catalog *awsapi.Catalog, partition string, in map[string]any) (map[string]any, error) {
	n, err := newSession(catalog).reading(partition)
	if err != nil {
		return nil, err
	}
	out := maps.Clone(in)
	out["Policy"], out["PolicyArns"] = n.Policy, []any{map[string]any{"arn": n.Managed[0]}}
	return out, nil
}

// toPlan is what a run narrows its plan's role to: the actions of the plan's calls,
// those that they may need besides, and of the reads by which its writes are
// settled. A role is passed on only if the plan says which.
//
// The plan of a script may not have all that it reads; where it says that it is
// incomplete, the role has ReadOnlyAccess as well, as in planning.
func toPlan(plan *knowngood.Plan, catalog *awsapi.Catalog, table Operations) (Narrowing, error) {
	if plan.Role == "" {
		return Narrowing{}, nil
	}
	d, err := runbook.Parse(plan.Document.Name, []byte(plan.Document.Content))
	if err != nil {
		return Narrowing{}, err
	}
	s := newSession(catalog)
	for _, part := range plan.Parts {
		for _, c := range part.Calls {
			if c.Account != plan.Place.Account || c.Child != "" {
				continue // a script, or another run, makes it with a role of its own
			}
			if c.Service == runbook.WebhookAction {
				continue // it has a session of its own
			}
			if err := s.call(c, table); err != nil {
				return Narrowing{}, err
			}
		}
	}
	for _, secret := range plan.Secrets {
		if store, _, stored := strings.Cut(secret.From, ":"); stored {
			s.secret(store)
		}
	}
	if len(plan.Incomplete) > 0 && hasScript(d) {
		if n, err := s.reading(plan.Place.Partition); err == nil {
			return n, nil
		}
	}
	return s.narrowing()
}

func hasScript(d *runbook.Document) bool {
	return slices.ContainsFunc(d.Steps(), func(s *runbook.Step) bool { return s.Action == scriptAction })
}

// session is what a session of a role is to be allowed.
type session struct {
	catalog *awsapi.Catalog
	actions map[string]map[string]bool // resources by action, as policies write them
	reads   map[string]*awsapi.Service // by action: of the reads, whose verb may stand for them
}

func newSession(catalog *awsapi.Catalog) *session {
	return &session{catalog, map[string]map[string]bool{}, map[string]*awsapi.Service{}}
}

// allow allows an action.
func (s *session) allow(action string) {
	if s.actions[action] == nil {
		s.actions[action] = map[string]bool{}
	}
	s.actions[action]["*"] = true
}

// secret allows a secret to be read from its store.
func (s *session) secret(store string) {
	s.allow("kms:Decrypt")
	if store == "secretsmanager" {
		s.allow("secretsmanager:GetSecretValue")
	} else {
		s.allow("ssm:GetParameter")
	}
}

// need allows what an operation needs with an input.
func (s *session) need(op *awsapi.Operation, in map[string]any) {
	for _, a := range slices.Concat(op.IAMActions(in), op.DependentActions()) {
		if s.actions[a] == nil {
			s.actions[a] = map[string]bool{}
		}
		for _, r := range passed(a, in) {
			s.actions[a][r] = true
		}
		if op.Class() == awsapi.Read {
			s.reads[a] = op.Service
		}
	}
}

// call allows what a planned call needs, and finding out what became of it.
func (s *session) call(c knowngood.Call, table Operations) error {
	op, err := s.catalog.Operation(c.Service, c.Operation)
	if err != nil {
		return nil // it is no call of AWS's, and needs no leave
	}
	in, _ := c.Input.(map[string]any)
	s.need(op, in)
	if look := table[c.Service+":"+c.Operation].Lookup; c.Class == knowngood.Write && look != nil {
		if op, err = s.catalog.Operation(c.Service, look.Operation); err != nil {
			return err
		}
		s.need(op, nil)
	}
	return nil
}

// passed are the resources on which an action is needed: for iam:PassRole the roles
// that the input names by their ARNs, if it does.
func passed(action string, in map[string]any) []string {
	var roles []string
	if action == "iam:PassRole" {
		walkText(in, func(s string) {
			if parts := strings.SplitN(s, ":", 6); len(parts) == 6 && parts[0] == "arn" && parts[2] == "iam" && strings.HasPrefix(parts[5], "role/") {
				roles = append(roles, iampolicy.Escape(s))
			}
		})
	}
	if len(roles) == 0 {
		return []string{"*"}
	}
	return roles
}

// narrowing is the session policy. Where the actions don't fit, those of a
// service's reads are named by their verb, "ec2:Describe*", the longest first; a
// verb that would let a write or a secret in stands for nothing, and writes are
// always named. What then is too large still is an error of kind Refused.
func (s *session) narrowing() (Narrowing, error) {
	policy, err := s.policy(nil)
	return Narrowing{Policy: policy}, err
}

// reading is narrowing with the reads that ReadOnlyAccess allows. Those of its own
// that don't fit are left to that policy.
func (s *session) reading(partition string) (Narrowing, error) {
	n := Narrowing{Managed: []string{"arn:" + partition + ":iam::aws:policy/ReadOnlyAccess"}}
	denied := slices.DeleteFunc(slices.Clone(readOnlySecrets), func(a string) bool { return s.actions[a] != nil })
	var err error
	if n.Policy, err = s.policy(denied); err != nil {
		for a := range s.reads {
			delete(s.actions, a)
		}
		n.Policy, err = s.policy(denied)
	}
	return n, err
}

func (s *session) policy(denied []string) (string, error) {
	var deny []iampolicy.Statement
	if len(denied) > 0 {
		deny = []iampolicy.Statement{{Effect: iampolicy.Deny, Actions: denied, Resources: []string{"*"}}}
	}
	var needs []iampolicy.Need
	for a, resources := range s.actions {
		needs = append(needs, iampolicy.Need{Action: a, Resources: slices.Sorted(maps.Keys(resources))})
	}
	if len(needs) == 0 && len(deny) == 0 { // a policy has a statement
		deny = []iampolicy.Statement{{Effect: iampolicy.Deny, Actions: []string{"*"}, Resources: []string{"*"}}}
	}
	verbs := s.verbs()
	for {
		p := &iampolicy.Policy{Version: iampolicy.Version2012}
		made, err := iampolicy.Minimise(needs, iampolicy.Limit{Size: iampolicy.SessionPolicySize, Policies: 1})
		var large *iampolicy.TooLargeError
		if err != nil && !errors.As(err, &large) {
			return "", err
		}
		if len(made) == 1 {
			p.Statements = made[0].Statements
		}
		p.Statements = append(p.Statements, deny...)
		switch {
		case err == nil && p.Size() <= iampolicy.SessionPolicySize:
			return p.String(), nil
		case len(verbs) == 0:
			return "", knowngood.E(knowngood.Refused, "narrow the role", "the %d actions that are needed don't fit into a session policy, which has %d characters at most", len(s.actions), iampolicy.SessionPolicySize).
				WithHint("make of the runbook two smaller ones")
		}
		needs = append(needs, iampolicy.Need{Action: verbs[0], Resources: []string{"*"}})
		verbs = verbs[1:]
	}
}

// verbs are the verbs that may stand for the reads, those that save most first.
func (s *session) verbs() []string {
	saved, services := map[string]int{}, map[string]*awsapi.Service{}
	for a, service := range s.reads {
		if s.actions[a] == nil {
			continue
		}
		v := verb(a)
		if _, seen := saved[v]; !seen {
			saved[v] = -len(v)
		}
		saved[v] += len(a) + len(`"",`)
		services[v] = service
	}
	maps.DeleteFunc(saved, func(v string, n int) bool { return n <= 0 || !readsOnly(services[v], v) })
	return slices.SortedFunc(maps.Keys(saved), func(a, b string) int {
		if saved[a] != saved[b] {
			return saved[b] - saved[a]
		}
		return strings.Compare(a, b)
	})
}

// readsOnly says whether an action's pattern allows nothing of a service but reads.
func readsOnly(service *awsapi.Service, pattern string) bool {
	for _, name := range service.Operations() {
		op, err := service.Operation(name)
		if err != nil || op.Class() != awsapi.Read && slices.ContainsFunc(op.IAMActions(nil), func(a string) bool { return iampolicy.MatchAction(pattern, a) }) {
			return false
		}
	}
	return true
}

// verb is an action with all but its verb left open: ec2:DescribeVolumes is
// ec2:Describe*.
func verb(action string) string {
	colon := strings.IndexByte(action, ':')
	for i := colon + 2; i < len(action); i++ {
		if action[i] >= 'A' && action[i] <= 'Z' {
			return action[:i] + "*"
		}
	}
	return action
}

// readOnlySecrets are the sensitive reads that AWS's ReadOnlyAccess allows, save
// those without which nothing else of their service can be read (apigateway:GET),
// those that give no secret unless kms:Decrypt is allowed too (ssm:GetParameter),
// and IAM's reports. Source: AWS Managed Policy Reference Guide, ReadOnlyAccess,
// version 178.
var readOnlySecrets = strings.Fields(`
	appstream:DescribeDirectoryConfigs appsync:ListApiKeys athena:GetResourceDashboard athena:GetSessionEndpoint chime:GetAttendee
	chime:ListAttendees cloudhsm:DescribeClusters codeartifact:GetAuthorizationToken codepipeline:GetJobDetails
	codepipeline:GetThirdPartyJobDetails cognito-identity:GetCredentialsForIdentity cognito-identity:GetOpenIdToken
	cognito-idp:DescribeIdentityProvider cognito-idp:DescribeUserPoolClient cognito-idp:GetIdentityProviderByIdentifier
	cognito-idp:GetTokensFromRefreshToken cognito-idp:ListUserPoolClientSecrets connect:GetFederationToken dynamodb:PartiQLSelect
	ec2:GetPasswordData ec2:GetVpnConnectionDeviceSampleConfiguration ecr-public:GetAuthorizationToken ecr:GetAuthorizationToken
	emr-serverless:GetDashboardForJobRun gamelift:GetComputeAccess gamelift:GetComputeAuthToken gamelift:GetInstanceAccess
	ivs:GetIngestConfiguration kinesisvideo:GetDASHStreamingSessionURL kinesisvideo:GetHLSStreamingSessionURL
	kinesisvideo:GetIceServerConfig kms:GetParametersForImport license-manager:GetAccessToken lightsail:GetBucketAccessKeys
	mediapackage:DescribeChannel mediapackage:ListChannels s3:GetDataAccess snowball:GetJobManifest snowball:GetJobUnlockCode
	sqs:ReceiveMessage ssm:GetAccessToken sso:GetRoleCredentials storagegateway:DescribeChapCredentials sts:GetSessionToken
	wafv2:GetDecryptedAPIKey
`)
