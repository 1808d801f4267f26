package iampolicy_test

import (
	"fmt"
	"log"

	"github.com/knowngood/knowngood/iampolicy"
)

func must(text string, kind iampolicy.Kind) *iampolicy.Policy {
	p, err := iampolicy.Parse(text, kind)
	if err != nil {
		log.Fatal(err)
	}
	return p
}

func ExampleParse() {
	_, err := iampolicy.Parse(`{
  "Version": "2012-10-17",
  "Statement": {
    "Effect": "allow",
    "Principal": "*",
    "Action": "s3:GetObject",
    "Resource": "my-bucket"
  }
}`, iampolicy.Identity)
	fmt.Println(err)
	// Output:
	// 4:15: Statement.Effect: no effect is named "allow"; expected Allow or Deny
	// 5:5: Statement.Principal: a statement of an identity-based policy names no principal; expected no Principal
	// 7:17: Statement.Resource: "my-bucket" is no ARN; expected one such as arn:aws:s3:::bucket/*, or "*"
}

func ExampleEvaluate() {
	developers := must(`{"Version": "2012-10-17", "Statement": [
		{"Sid": "Read", "Effect": "Allow", "Action": "s3:Get*", "Resource": "*"},
		{"Sid": "Own", "Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::home/${aws:PrincipalTag/user}/*"}
	]}`, iampolicy.Identity)
	guardrail := must(`{"Version": "2012-10-17", "Statement": [
		{"Effect": "Allow", "Action": "*", "Resource": "*"},
		{"Sid": "TLS", "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
	]}`, iampolicy.SCP)
	policies := &iampolicy.Policies{
		SCPs:     [][]iampolicy.Attached{{{Name: "guardrail", Policy: guardrail}}},
		Identity: []iampolicy.Attached{{Name: "developers", Policy: developers}},
	}
	request := &iampolicy.Request{
		Principal: iampolicy.NewSession("arn:aws:iam::111122223333:role/dev", "ada"),
		Action:    "s3:PutObject",
		Resource:  "arn:aws:s3:::home/ada/notes",
	}
	request.Context.Set("aws:PrincipalTag/user", "ada")
	request.Context.SetBool("aws:SecureTransport", true)
	fmt.Println(iampolicy.Evaluate(request, policies))

	request.Resource = "arn:aws:s3:::home/bo/notes"
	request.Context.SetBool("aws:SecureTransport", false)
	decision := iampolicy.Evaluate(request, policies)
	fmt.Println(decision)
	fmt.Println(decision.Message(request))
	// Output:
	// allowed
	//   by service control policy "guardrail" at level 0, statement 1
	//   by identity-based policy "developers", statement 2 (Own)
	// denied
	//   by service control policy "guardrail" at level 0, statement 2 (TLS)
	//   for no identity-based policy allows it
	// User: arn:aws:sts::111122223333:assumed-role/dev/ada is not authorized to perform: s3:PutObject on resource: arn:aws:s3:::home/bo/notes with an explicit deny in a service control policy
}

func ExamplePolicy_IsPublic() {
	p := must(`{"Version": "2012-10-17", "Statement": [
		{"Sid": "Site", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::site/*"},
		{"Sid": "Network", "Effect": "Allow", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::site/*",
		 "Condition": {"StringEquals": {"aws:SourceVpce": "vpce-1a2b"}}}
	]}`, iampolicy.Resource)
	fmt.Println(p.IsPublic(iampolicy.BlockPublicAccess))
	for _, grant := range p.PublicGrants(iampolicy.BlockPublicAccess) {
		fmt.Println(grant)
	}
	// Output:
	// true
	// statement 1 (Site) allows *, bounded by nothing
}

func ExamplePolicy_ExternalGrants() {
	p := must(`{"Version": "2012-10-17", "Statement": {
		"Effect": "Allow", "Principal": {"AWS": ["111122223333", "444455556666"]}, "Action": "sqs:SendMessage", "Resource": "*"
	}}`, iampolicy.Resource)
	for _, grant := range p.ExternalGrants(iampolicy.Zone{Accounts: []string{"111122223333"}}) {
		fmt.Println(grant)
	}
	// Output:
	// statement 1 allows 444455556666
}

func ExamplePolicy_AllowsActions() {
	p := must(`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}}`, iampolicy.Identity)
	for _, grant := range p.AllowsActions([]string{"kms:Decrypt", "iam:*"}, "arn:aws:kms:*:*:key/*") {
		fmt.Printf("%s by %s of statement %d\n", grant.Pattern, grant.Action, grant.Index+1)
	}
	// Output:
	// kms:Decrypt by kms:* of statement 1
}

func ExampleMinimise() {
	policies, err := iampolicy.Minimise([]iampolicy.Need{
		{Action: "s3:PutObject", Resources: []string{"arn:aws:s3:::logs/*"}},
		{Action: "s3:GetObject", Resources: []string{"arn:aws:s3:::logs/*", "arn:aws:s3:::logs/today"}},
		{Action: "ec2:DescribeVolumes", Resources: []string{"*"}},
	}, iampolicy.Limit{Size: iampolicy.ManagedPolicySize, Policies: 10})
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range policies {
		fmt.Println(p)
	}
	// Output:
	// {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:DescribeVolumes","Resource":"*"},{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::logs/*"}]}
}
