// Package iampolicy reads AWS policy documents and answers what they mean: whether
// a request is allowed and why, whether a resource is public, who from outside gets
// in, which actions are allowed, and what is the small policy that allows just what
// is needed. It calls nobody and imports the standard library only.
//
//	policy, err := iampolicy.Parse(text, iampolicy.Identity)
//	d := iampolicy.Evaluate(&iampolicy.Request{
//		Principal: iampolicy.NewSession("arn:aws:iam::111122223333:role/dev", "ada"),
//		Action:    "s3:GetObject",
//		Resource:  "arn:aws:s3:::logs/today",
//	}, &iampolicy.Policies{Identity: []iampolicy.Attached{{Name: "dev", Policy: policy}}})
//	fmt.Println(d) // and each reason
//
// # Documents
//
// Parse takes versions 2008-10-17 and 2012-10-17, one value or a list, one
// statement or several. With AnyKind it is as tolerant as the language: it wants
// what has a meaning. With Identity, Resource, Trust, SCP or RCP it wants what AWS
// takes for a policy of that kind. It reports all that is wrong, each with line,
// column, and what was expected. Documents are bounded in size and depth.
//
// A Policy is a plain value that may be made by hand as well. It prints as compact
// JSON, and Size counts as AWS's limits do.
//
// # Evaluation
//
// Evaluate takes a request and all policies that it is under: service and resource
// control policies level by level, the resource's own, the identity's, the
// permissions boundary and session policies. It follows AWS's documented logic,
// within an account and across accounts, for users, role sessions, federated users,
// root users, services, identity providers' users and anonymous requests. The
// Decision holds every statement that denies or allows and everything that would
// have to allow and doesn't. What AWS leaves open is decided against access.
//
// What isn't evaluated, for it is not in policies: S3's Block Public Access
// settings and access control lists, grants of KMS, the policies of VPC endpoints.
//
// # Questions about one policy
//
// IsPublic and PublicGrants say whether a resource's policy is public, as S3's
// Block Public Access or as IAM Access Analyzer means it; ExternalGrants names
// grants to those outside a zone of trust. AllowsActions, AdminStatements and
// FullAccessStatements are about what an identity's policy allows. They read the
// text of the policy and solve no logic: where they can't be sure they say public,
// external or allowed.
//
// # Least privilege
//
// Minimise makes of a list of needed actions and resources the policies that allow
// exactly those, within a limit of size.
//
// # Sources
//
// Rules, names and limits are from AWS's public documentation, of which the page
// is named where a rule is used.
package iampolicy
