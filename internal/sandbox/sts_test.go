package sandbox

import (
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood/awsapi"
)

func (w *world) role(name, trust, policy string) string {
	w.t.Helper()
	arn := w.do("iam", "CreateRole", object{"RoleName": name, "AssumeRolePolicyDocument": trust})["Role"].(object)["Arn"].(string)
	if policy != "" {
		w.do("iam", "PutRolePolicy", object{"RoleName": name, "PolicyName": "own", "PolicyDocument": policy})
	}
	return arn
}

func TestWhomARoleTrusts(t *testing.T) {
	const role = "arn:aws:iam::111122223333:role/fixer"
	assume := allows("sts:AssumeRole", "sts:TagSession")
	for _, c := range []struct {
		name, trust, policy string
		in                  object
		code                string
	}{
		{"the account, whose policies say no", trust(home), "", nil, "AccessDenied"},
		{"the account, whose policies say yes", trust(home), assume, nil, ""},
		{"the account by its root's ARN", trust("arn:aws:iam::111122223333:root"), assume, nil, ""},
		{"the user itself", trust("arn:aws:iam::111122223333:user/ada"), "", nil, ""},
		{"somebody else", trust("arn:aws:iam::111122223333:user/team/bob"), assume, nil, "AccessDenied"},
		{"another account", trust(other), assume, nil, "AccessDenied"},
		{"everybody", trust("*"), "", nil, ""},
		{"an external id that isn't given", trust("*", when("StringEquals", "sts:ExternalId", "kg")), "", nil, "AccessDenied"},
		{"an external id that is wrong", trust("*", when("StringEquals", "sts:ExternalId", "kg")), "", object{"ExternalId": "gk"}, "AccessDenied"},
		{"an external id", trust("*", when("StringEquals", "sts:ExternalId", "kg")), "", object{"ExternalId": "kg"}, ""},
		{"a session by name", trust("*", when("StringEquals", "sts:RoleSessionName", "${aws:username}")), "", nil, "AccessDenied"},
		{"a service", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`, assume, nil, "AccessDenied"},
		{"tags without TagSession", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`, "", object{"Tags": []any{object{"Key": "a", "Value": "b"}}}, "AccessDenied"},
		{"tags with TagSession", trust("*"), "", object{"Tags": []any{object{"Key": "a", "Value": "b"}}}, ""},
		{"a source identity that the trust leaves out", trust("*"), "", object{"SourceIdentity": "ada"}, "AccessDenied"},
		{"too short", trust("*"), "", object{"DurationSeconds": int64(60)}, "ValidationError"},
		{"longer than the role has it", trust("*"), "", object{"DurationSeconds": int64(7200)}, "ValidationError"},
		{"a policy that is none", trust("*"), "", object{"Policy": "{}"}, "MalformedPolicyDocument"},
		{"a managed policy that isn't there", trust("*"), "", object{"PolicyArns": []any{object{"arn": "arn:aws:iam::aws:policy/None"}}}, "ValidationError"},
		{"a session name that is none", trust("*"), "", object{"RoleSessionName": "a b"}, "ValidationError"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEstate(t)
			ada := e.user("ada", c.policy)
			e.role("fixer", c.trust, "")
			in := object{"RoleArn": role, "RoleSessionName": "test"}
			for k, v := range c.in {
				in[k] = v
			}
			ada.fails(c.code, "sts", "AssumeRole", in)
		})
	}
}

func TestAChainOfRolesAcrossAccounts(t *testing.T) {
	e := newEstate(t)
	first := e.role("first", trust(home), allows("sts:AssumeRole", "sts:TagSession"))
	second := e.other.role("second", trust(first), allows("s3:*", "sts:AssumeRole"))
	e.other.do("iam", "UpdateRole", object{"RoleName": "second", "MaxSessionDuration": int64(43200)})
	third := e.role("third", trust("arn:aws:sts::444455556666:assumed-role/second/test"), allows("ec2:Describe*"))

	e.fails("AccessDenied", "sts", "AssumeRole", object{"RoleArn": second, "RoleSessionName": "test"}) // only by way of first
	one := e.assume(first, object{"Tags": []any{object{"Key": "case", "Value": "42"}}, "TransitiveTagKeys": ids("case")})
	one.fails("ValidationError", "sts", "AssumeRole", object{"RoleArn": second, "RoleSessionName": "test", "DurationSeconds": int64(7200)}) // an hour at most from role to role
	two := one.assume(second, nil)
	if got := two.do("sts", "GetCallerIdentity", nil); got["Account"] != other || got["Arn"] != "arn:aws:sts::444455556666:assumed-role/second/test" {
		t.Errorf("%v", got)
	}
	if tags := e.state.Keys[two.key].Tags; tags["case"] != "42" {
		t.Errorf("a transitive tag is lost: %v", tags)
	}
	two.do("s3", "GetBucketLocation", object{"Bucket": "other-logs"})
	two.fails("AccessDenied", "s3", "GetBucketLocation", object{"Bucket": "acme-logs"})
	two.fails("UnauthorizedOperation", "ec2", "DescribeVolumes", nil)
	three := two.assume(third, nil)
	three.do("ec2", "DescribeVolumes", nil)
	e.clock.Advance(time.Hour)
	three.fails("ExpiredToken", "ec2", "DescribeVolumes", nil)
}

func TestASessionHasNoMoreThanItsPolicies(t *testing.T) {
	e := newEstate(t)
	arn := e.role("fixer", trust(home), allows("ec2:*", "s3:*"))
	narrow := e.assume(arn, object{"Policy": allows("s3:*", "iam:*")})
	narrow.do("s3", "ListBuckets", nil)
	narrow.fails("UnauthorizedOperation", "ec2", "DescribeVolumes", nil)
	narrow.fails("AccessDenied", "iam", "ListUsers", nil) // a session policy gives nothing
	managed := e.assume(arn, object{"PolicyArns": []any{object{"arn": "arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess"}}})
	managed.do("ec2", "DescribeVolumes", nil)
	managed.fails("AccessDenied", "s3", "ListBuckets", nil)
	managed.fails("UnauthorizedOperation", "ec2", "EnableEbsEncryptionByDefault", nil)
}

func TestSessionsEndWithTheirRole(t *testing.T) {
	e := newEstate(t)
	arn := e.role("fixer", trust(home), "")
	e.do("iam", "AttachRolePolicy", object{"RoleName": "fixer", "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"})
	session := e.assume(arn, nil)
	session.do("ec2", "DescribeVolumes", nil)
	e.do("iam", "DetachRolePolicy", object{"RoleName": "fixer", "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"})
	session.fails("UnauthorizedOperation", "ec2", "DescribeVolumes", nil)
	e.do("iam", "DeleteRole", object{"RoleName": "fixer"})
	e.role("fixer", trust(home), allows("ec2:*"))
	session.fails("UnauthorizedOperation", "ec2", "DescribeVolumes", nil) // it is of another role of that name
	e.assume(arn, nil).do("ec2", "DescribeVolumes", nil)
}

func TestATokenWithMFA(t *testing.T) {
	w := newWorld(t)
	ada := w.user("ada", policyOf(allow("ec2:*", "*", when("Bool", "aws:MultiFactorAuthPresent", "true"))))
	serial := w.do("iam", "CreateVirtualMFADevice", object{"VirtualMFADeviceName": "phone"})["VirtualMFADevice"].(object)["SerialNumber"]
	w.fails("InvalidAuthenticationCode", "iam", "EnableMFADevice", object{"UserName": "ada", "SerialNumber": serial, "AuthenticationCode1": "123456", "AuthenticationCode2": "123456"})
	w.do("iam", "EnableMFADevice", object{"UserName": "ada", "SerialNumber": serial, "AuthenticationCode1": "123456", "AuthenticationCode2": "654321"})
	ada.fails("AccessDenied", "sts", "GetSessionToken", object{"SerialNumber": "arn:aws:iam::111122223333:mfa/other", "TokenCode": "123456"})
	ada.fails("UnauthorizedOperation", "ec2", "DescribeVolumes", nil)
	token := func(in object) *world {
		return w.as(ada.do("sts", "GetSessionToken", in)["Credentials"].(object)["AccessKeyId"].(string))
	}
	token(nil).fails("UnauthorizedOperation", "ec2", "DescribeVolumes", nil)
	signed := token(object{"SerialNumber": serial, "TokenCode": "123456", "DurationSeconds": int64(900)})
	signed.do("ec2", "DescribeVolumes", nil)
	signed.fails("AccessDenied", "sts", "GetSessionToken", nil)
	w.clock.Advance(15 * time.Minute)
	signed.fails("ExpiredToken", "ec2", "DescribeVolumes", nil)
	w.fails("InvalidIdentityToken", "sts", "AssumeRoleWithWebIdentity", object{"RoleArn": "arn:aws:iam::111122223333:role/x", "RoleSessionName": "test", "WebIdentityToken": "t"})
}

func TestTheRootUser(t *testing.T) {
	w := newWorld(t)
	id, secret, err := w.RootCredentials(home)
	if err != nil {
		t.Fatal(err)
	}
	root := w.as(id)
	root.do("ec2", "DescribeVolumes", nil)
	root.fails("AccessDenied", "sts", "AssumeRole", object{"RoleArn": w.role("fixer", trust(home), ""), "RoleSessionName": "test"})
	if got := w.do("iam", "GetAccountSummary", nil)["SummaryMap"].(object)["AccountAccessKeysPresent"]; got != int64(1) {
		t.Errorf("%v", got)
	}
	if got := root.do("iam", "ListAccessKeys", nil)["AccessKeyMetadata"].([]any); len(got) != 1 || got[0].(object)["AccessKeyId"] != id {
		t.Errorf("%v", got)
	}
	if _, err := w.client(t, id, secret).Call(t.Context(), "sts", "GetCallerIdentity", nil); err != nil {
		t.Error(err)
	}
	root.do("iam", "DeleteAccessKey", object{"AccessKeyId": id})
	root.fails("InvalidClientTokenId", "ec2", "DescribeVolumes", nil)
	if _, _, err := w.RootCredentials("999999999999"); err == nil {
		t.Error("an account that isn't there has a root user")
	}
}

func TestPartitions(t *testing.T) {
	catalog, err := awsapi.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	s, err := New(Options{Catalog: catalog, Clock: w.clock, Accounts: []AccountOptions{{ID: other, Partition: "aws-cn"}}})
	if err != nil {
		t.Fatal(err)
	}
	w.Sandbox = s
	key, _, _ := s.OperatorOf(other)
	in := func(region string) (object, error) {
		return s.Call(t.Context(), Request{Service: "iam", Operation: "CreateRole", Region: region, AccessKeyID: key, Input: object{"RoleName": "r" + region, "AssumeRolePolicyDocument": trust(other)}})
	}
	out, err := in("cn-north-1")
	if err != nil || !strings.HasPrefix(out["Role"].(object)["Arn"].(string), "arn:aws-cn:iam::444455556666:role/") {
		t.Errorf("%v, %v", out, err)
	}
	if _, err := in("eu-west-1"); codeOf(err) != "InvalidClientTokenId" {
		t.Errorf("an account of one partition called another's Region: %v", err)
	}
	for _, o := range []Options{{Accounts: []AccountOptions{{ID: "1"}}}, {Accounts: []AccountOptions{{ID: home}}}} {
		o.Catalog = catalog
		if _, err := New(o); err == nil {
			t.Errorf("%v made a sandbox", o.Accounts)
		}
	}
}
