package sandbox

import "github.com/knowngood/knowngood/iampolicy"

// access is what a service asks of another's resource on somebody's behalf.
type access struct {
	service  string // the principal: events.amazonaws.com
	action   string // sqs:SendMessage
	resource string // ARN
	source   string // ARN of what the service acts for: a rule, a topic
	account  string // of the source
	acl      string // that S3 is to set
}

// grants says whether a resource's policy lets a service in.
func (a access) grants(p *iampolicy.Policy) bool {
	if p == nil {
		return false
	}
	r := iampolicy.Request{Principal: iampolicy.NewService(a.service), Action: a.action, Resource: a.resource}
	for key, value := range map[string]string{"aws:SourceArn": a.source, "aws:SourceAccount": a.account, "s3:x-amz-acl": a.acl} {
		if value != "" {
			r.Context.Set(key, value)
		}
	}
	return iampolicy.Evaluate(&r, &iampolicy.Policies{Resource: &iampolicy.Attached{Policy: p}}).Allowed
}
