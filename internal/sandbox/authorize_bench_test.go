package sandbox

import (
	"testing"

	"github.com/knowngood/knowngood/awsapi"
)

// BenchmarkAuthorise is a whole call of a read, by the operator, who is excepted,
// and by a user with a policy, a group, a boundary and conditions to test.
func BenchmarkAuthorise(b *testing.B) {
	catalog, err := awsapi.Embedded()
	if err != nil {
		b.Fatal(err)
	}
	s, err := New(Options{Catalog: catalog})
	if err != nil {
		b.Fatal(err)
	}
	call := func(key, service, operation string, in object) object {
		out, err := s.Call(b.Context(), Request{Service: service, Operation: operation, AccessKeyID: key, Input: in})
		if err != nil {
			b.Fatal(err)
		}
		return out
	}
	call(OperatorKey, "iam", "CreateUser", object{"UserName": "ada", "PermissionsBoundary": "arn:aws:iam::aws:policy/PowerUserAccess"})
	call(OperatorKey, "iam", "PutUserPolicy", object{"UserName": "ada", "PolicyName": "p", "PolicyDocument": policyOf(
		allow("ec2:*", "*", when("StringEquals", "aws:RequestedRegion", "eu-west-1")), allow("s3:*", "*"))})
	call(OperatorKey, "iam", "CreateGroup", object{"GroupName": "dev"})
	call(OperatorKey, "iam", "AttachGroupPolicy", object{"GroupName": "dev", "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"})
	call(OperatorKey, "iam", "AddUserToGroup", object{"GroupName": "dev", "UserName": "ada"})
	key := call(OperatorKey, "iam", "CreateAccessKey", object{"UserName": "ada"})["AccessKey"].(object)["AccessKeyId"].(string)
	for name, id := range map[string]string{"operator": OperatorKey, "user": key} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				call(id, "ec2", "GetEbsEncryptionByDefault", nil)
			}
		})
	}
}
