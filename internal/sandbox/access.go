package sandbox

import (
	"strings"

	"github.com/knowngood/knowngood/awsapi"
)

// serviceAccess is what IAM is asked about the calls of one service. Without more, an
// operation needs the action of its handler on "*".
//
// It is written from AWS's Service Authorization Reference and each service's
// user guide, and not from the table that awsapi derives policies from, so that
// each is a check on the other.
type serviceAccess struct {
	// arn begins the ARNs in on that don't begin with one themselves.
	arn string
	// on names, by operation, the resources that a call is on, separated by
	// spaces. {Member} is a member of the input, {A.B} one of a structure, and a
	// list stands for one resource each; {Partition}, {Region} and {Account} are the
	// call's. A resource whose member isn't there is left out. A member that holds
	// an ARN stands for the whole of the resource.
	on map[string]string
	// needs gives, by operation, what a call needs where the handler's action on
	// the resources of on, which it is given, is not all.
	needs map[string]func(c *call, own []need) []need
	// keys sets the service's condition keys for an action of its own.
	keys func(c *call, n *need, set func(key string, values ...string))
	// look tells of a resource of the service what IAM has to know.
	look func(c *call, n *need) resource
	// guests says that other accounts may be let in. An operation then goes on in
	// the account of the resource that it is on.
	guests bool
}

// need is one thing that the caller must be allowed to do.
type need struct {
	action   string            // s3:GetObject
	resource string            // an ARN, or "*"
	tags     tagSet            // that the call puts on the resource
	keys     map[string]string // condition keys of this need alone
	via      string            // the service that does it for the caller, such as ec2
}

// resource is what IAM has to know of a resource.
type resource struct {
	arn       string // what it goes by, if not what the call names
	owner     string // account; "": the one in the ARN, or the caller's
	tags      tagSet
	policy    string // its own policy; "": it has none
	mustAllow bool   // its own policy must allow within the account too
}

// accesses are the services' tables, by botocore's names.
var accesses = map[string]*serviceAccess{
	"autoscaling":              &autoscalingAccess,
	"secretsmanager":           &secretsAccess,
	"redshift":                 &redshiftAccess,
	"logs":                     &logsAccess,
	"elasticache":              &elasticacheAccess,
	"ecs":                      &ecsAccess,
	"ecr":                      &ecrAccess,
	"codebuild":                &codebuildAccess,
	"cloudfront":               &cloudfrontAccess,
	"athena":                   &athenaAccess,
	"apigatewayv2":             &apigatewayv2Access,
	"apigateway":               &apigatewayAccess,
	"backup":                   &backupAccess,
	"cloudtrail":               &cloudtrailAccess,
	"cloudwatch":               &cloudwatchAccess,
	"compute-optimizer":        &optimizerAccess,
	"config":                   &configAccess,
	"dynamodb":                 &dynamodbAccess,
	"ec2":                      &ec2Access,
	"elbv2":                    &elbAccess,
	"events":                   &eventsAccess,
	"guardduty":                &guarddutyAccess,
	"iam":                      &iamAccess,
	"inspector2":               &inspectorAccess,
	"kms":                      &kmsAccess,
	"lambda":                   &lambdaAccess,
	"organizations":            &organizationsAccess,
	"rds":                      &rdsAccess,
	"resource-groups":          &resourceGroupsAccess,
	"resourcegroupstaggingapi": &taggingAccess,
	"s3":                       &s3Access,
	"s3control":                &s3controlAccess,
	"securityhub":              &securityhubAccess,
	"sns":                      &snsAccess,
	"sqs":                      &sqsAccess,
	"ssm":                      &ssmAccess,
	"sts":                      &stsAccess,
}

// accessOf is the table of the service that an action's prefix names.
func accessOf(action string) *serviceAccess {
	prefix, _, _ := strings.Cut(action, ":")
	switch prefix {
	case "elasticloadbalancing":
		prefix = "elbv2"
	case "tag":
		prefix = "resourcegroupstaggingapi"
	}
	if a, ok := accesses[prefix]; ok {
		return a
	}
	return &serviceAccess{}
}

// needs is all that the caller must be allowed to do for the call, given the
// action of its handler.
func (c *call) needs(action string) []need {
	a := accesses[c.operation.Service.Name]
	if a == nil {
		a = &serviceAccess{}
	}
	var own []need
	tags := c.requestTags()
	for _, on := range a.resources(c) {
		own = append(own, need{action: action, resource: on, tags: tags})
	}
	if len(own) == 0 {
		own = []need{{action: action, resource: "*", tags: tags}}
	}
	if more := a.needs[c.operation.Name]; more != nil {
		own = more(c, own)
	}
	return own
}

// resources are the ARNs that on gives for the call.
func (a *serviceAccess) resources(c *call) []string {
	var out []string
	for _, template := range strings.Fields(a.on[c.operation.Name]) {
		if !strings.HasPrefix(template, "arn:") {
			template = a.arn + template
		}
		out = append(out, c.expand(template)...)
	}
	return out
}

// expand fills in a template of ARNs.
func (c *call) expand(template string) []string {
	open := strings.IndexByte(template, '{')
	if open < 0 {
		return []string{template}
	}
	end := open + strings.IndexByte(template[open:], '}')
	var out []string
	for _, v := range c.values(template[open+1 : end]) {
		if strings.HasPrefix(v, "arn:") {
			out = append(out, v)
			continue
		}
		for _, rest := range c.expand(template[end+1:]) {
			if strings.HasPrefix(rest, "arn:") {
				out = append(out, rest)
				continue
			}
			out = append(out, template[:open]+v+rest)
		}
	}
	return out
}

// values are the texts that a name in a template stands for.
func (c *call) values(name string) []string {
	switch name {
	case "Partition":
		return []string{c.partition()}
	case "Region":
		return []string{c.region}
	case "Account":
		return []string{c.who.Account}
	}
	var at any = c.in
	for part := range strings.SplitSeq(name, ".") {
		o, _ := at.(object)
		at = o[part]
	}
	if s, ok := at.(string); ok && s != "" {
		return []string{s}
	}
	return texts(at)
}

// requestTags are the tags that the call's input holds for what it is on, in the
// forms that services have for them.
func (c *call) requestTags() tagSet {
	for _, name := range []string{"Tags", "tags", "TagList", "TagsList", "BackupVaultTags", "BackupPlanTags", "RecoveryPointTags", "Tagging"} {
		if v, ok := c.in[name]; ok {
			return tagsOf(v)
		}
	}
	return nil
}

func tagsOf(v any) tagSet {
	if o, ok := v.(object); ok && o["TagSet"] != nil {
		v = o["TagSet"]
	}
	out := tagSet{}
	if o, ok := v.(object); ok {
		for k, e := range o {
			out[k], _ = e.(string)
		}
	}
	for _, o := range objects(v) {
		for _, names := range [][2]string{{"Key", "Value"}, {"TagKey", "TagValue"}, {"key", "value"}} {
			if k, ok := o[names[0]].(string); ok {
				out[k], _ = o[names[1]].(string)
			}
		}
	}
	return out
}

// arn is a resource name, in parts.
type arn struct{ partition, service, region, account, resource string }

// parseARN splits an ARN; false: it is none.
func parseARN(s string) (arn, bool) {
	p := strings.SplitN(s, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[1] == "" || p[2] == "" || p[5] == "" {
		return arn{}, false
	}
	return arn{p[1], p[2], p[3], p[4], p[5]}, true
}

// String puts an ARN together.
func (a arn) String() string {
	return "arn:" + a.partition + ":" + a.service + ":" + a.region + ":" + a.account + ":" + a.resource
}

// last is what follows the last slash: a name without its path.
func last(s string) string { return s[strings.LastIndexByte(s, '/')+1:] }

// arnOf is the ARN of a resource of the caller's account in the call's Region.
func (c *call) arnOf(service, resource string) string {
	return "arn:" + c.partition() + ":" + service + ":" + c.region + ":" + c.who.Account + ":" + resource
}

// globalARN is the ARN of a resource of the caller's account in no Region.
func (c *call) globalARN(service, resource string) string {
	return "arn:" + c.partition() + ":" + service + "::" + c.who.Account + ":" + resource
}

// deniedCode is the status and code by which a service refuses.
func deniedCode(s *awsapi.Service) (int, string) {
	switch {
	case s.Name == "ec2":
		return 403, "UnauthorizedOperation"
	case s.Name == "sns":
		return 403, "AuthorizationError"
	case s.Name == "sqs" || s.Name == "cloudwatch": // as when they spoke XML
		return 403, "AccessDenied"
	}
	switch s.Protocol {
	case awsapi.Query, awsapi.RESTXML:
		return 403, "AccessDenied"
	case awsapi.RESTJSON:
		return 403, "AccessDeniedException"
	}
	return 400, "AccessDeniedException"
}
