package sandbox

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood/awsapi"
)

const (
	home  = "111122223333"
	other = "444455556666"
)

// as is the world as another caller sees it.
func (w *world) as(accessKeyID string) *world {
	out := *w
	out.key = accessKeyID
	return &out
}

// user makes a user, with an inline policy unless it is "", and signs in as it.
func (w *world) user(name, policy string) *world {
	w.t.Helper()
	w.do("iam", "CreateUser", object{"UserName": name})
	if policy != "" {
		w.do("iam", "PutUserPolicy", object{"UserName": name, "PolicyName": "own", "PolicyDocument": policy})
	}
	return w.as(w.do("iam", "CreateAccessKey", object{"UserName": name})["AccessKey"].(object)["AccessKeyId"].(string))
}

// assume signs in as a role.
func (w *world) assume(roleARN string, in object) *world {
	w.t.Helper()
	if in == nil {
		in = object{}
	}
	in["RoleArn"], in["RoleSessionName"] = roleARN, "test"
	return w.as(w.do("sts", "AssumeRole", in)["Credentials"].(object)["AccessKeyId"].(string))
}

// allows is a policy that allows actions on everything.
func allows(actions ...string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["` + strings.Join(actions, `","`) + `"],"Resource":"*"}]}`
}

// allow is one statement; more are its other members.
func allow(action, resource string, more ...string) string {
	return statementText("Allow", action, resource, more...)
}

func statementText(effect, action, resource string, more ...string) string {
	return `{"Effect":"` + effect + `","Action":"` + action + `","Resource":"` + resource + `"` + strings.Join(append([]string{""}, more...), ",") + `}`
}

func policyOf(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

func when(operator, key, value string) string {
	return `"Condition":{"` + operator + `":{"` + key + `":"` + value + `"}}`
}

func trust(principal string, more ...string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":["sts:AssumeRole","sts:TagSession"]` +
		strings.Join(append([]string{""}, more...), ",") + `}]}`
}

// estate has something of all that the cases are about. What they refer to is in
// names, for resolve.
type estate struct {
	*world
	other *world // the operator of another account
	names map[string]any
}

func newEstate(t *testing.T) *estate {
	t.Helper()
	catalog, err := awsapi.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	s, err := New(Options{Catalog: catalog, Clock: w.clock, Accounts: []AccountOptions{{ID: other}}})
	if err != nil {
		t.Fatal(err)
	}
	w.Sandbox = s
	key, _, ok := s.OperatorOf(other)
	if !ok {
		t.Fatal("the other account has no operator")
	}
	e := &estate{w, w.as(key), nil}
	cmk := w.do("kms", "CreateKey", nil)["KeyMetadata"].(object)
	w.do("kms", "CreateAlias", object{"AliasName": "alias/data", "TargetKeyId": cmk["KeyId"]})
	prod := []any{object{"ResourceType": "volume", "Tags": []any{object{"Key": "env", "Value": "prod"}, object{"Key": "team", "Value": "red"}}}}
	names := object{
		"key": cmk["KeyId"], "keyARN": cmk["Arn"],
		"volume": w.newVolume(object{"Size": int64(1), "TagSpecifications": prod}),
		"sealed": w.newVolume(object{"Size": int64(1), "Encrypted": true, "KmsKeyId": cmk["Arn"]}),
	}
	names["instance"] = w.launch(object{})
	bucket := func(w *world, name string) {
		w.do("s3", "CreateBucket", object{"Bucket": name, "CreateBucketConfiguration": object{"LocationConstraint": "eu-west-1"}})
	}
	bucket(w, "acme-logs")
	bucket(e.other, "other-logs")
	w.do("iam", "CreateRole", object{"RoleName": "web", "Path": "/app/", "AssumeRolePolicyDocument": trust(home)})
	w.do("iam", "CreateInstanceProfile", object{"InstanceProfileName": "web"})
	w.do("iam", "AddRoleToInstanceProfile", object{"InstanceProfileName": "web", "RoleName": "web"})
	w.do("iam", "CreateUser", object{"UserName": "bob", "Path": "/team/"})
	e.names = map[string]any{"e": names}
	return e
}

func (e *estate) text(s string) string {
	e.t.Helper()
	v, err := Resolve(s, e.names)
	if err != nil {
		e.t.Fatal(err)
	}
	return v.(string)
}

func TestWhoMayDoWhat(t *testing.T) {
	const (
		volumeARN = "arn:aws:ec2:eu-west-1:111122223333:volume/{{e.volume}}"
		ada       = "arn:aws:iam::111122223333:user/ada"
		bucket    = "arn:aws:s3:::acme-logs"
		denied    = "UnauthorizedOperation"
		refused   = "AccessDenied"
		exception = "AccessDeniedException"
	)
	volume := object{"VolumeId": "{{e.volume}}"}
	zone := func(more object) object {
		out := object{"AvailabilityZone": "eu-west-1a", "Size": int64(1)}
		for k, v := range more {
			out[k] = v
		}
		return out
	}
	tagged := zone(object{"TagSpecifications": []any{object{"ResourceType": "volume", "Tags": []any{object{"Key": "env", "Value": "dev"}}}}})
	sealed := zone(object{"Encrypted": true, "KmsKeyId": "alias/data"})
	run := object{"ImageId": linux, "MinCount": int64(1), "MaxCount": int64(1), "IamInstanceProfile": object{"Name": "web"}}
	logs, others := object{"Bucket": "acme-logs"}, object{"Bucket": "other-logs"}
	dataKey := object{"KeyId": "{{e.key}}", "KeySpec": "AES_256"}
	bucketPolicy := func(statements ...string) func(*estate) {
		return func(e *estate) {
			e.do("s3", "PutBucketPolicy", object{"Bucket": "acme-logs", "Policy": policyOf(statements...)})
		}
	}
	otherPolicy := func(e *estate) {
		e.other.do("s3", "PutBucketPolicy", object{"Bucket": "other-logs", "Policy": policyOf(
			statementText("Allow", "s3:GetBucketTagging", "arn:aws:s3:::other-logs", `"Principal":{"AWS":"111122223333"}`))})
	}
	keyPolicy := func(statements ...string) func(*estate) {
		return func(e *estate) {
			e.do("kms", "PutKeyPolicy", object{"KeyId": e.text("{{e.key}}"), "Policy": policyOf(statements...), "BypassPolicyLockoutSafetyCheck": true})
		}
	}
	for _, c := range []struct {
		name   string
		policy string // ada's
		before func(*estate)
		call   string
		in     object
		code   string // "": it is allowed
		says   string // part of the message
	}{
		{"nothing is allowed at first", "", nil, "ec2:DescribeVolumes", nil, denied, "because no identity-based policy allows the ec2:DescribeVolumes action"},
		{"an action by wildcard", allows("ec2:Describe*"), nil, "ec2:DescribeVolumes", nil, "", ""},
		{"actions have no case", allows("EC2:describevolumes"), nil, "ec2:DescribeVolumes", nil, "", ""},
		{"all but some", policyOf(`{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`), nil, "ec2:DescribeVolumes", nil, "", ""},
		{"all but these", policyOf(`{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`), nil, "iam:ListUsers", nil, refused, "iam:ListUsers"},
		{"a deny wins", policyOf(allow("ec2:*", "*"), statementText("Deny", "ec2:DeleteVolume", "*")), nil, "ec2:DeleteVolume", volume, denied, "with an explicit deny in an identity-based policy"},
		{"one resource", policyOf(allow("ec2:DeleteVolume", volumeARN)), nil, "ec2:DeleteVolume", volume, "", ""},
		{"another resource", policyOf(allow("ec2:DeleteVolume", "arn:aws:ec2:eu-west-1:111122223333:volume/vol-0")), nil, "ec2:DeleteVolume", volume, denied, "volume/vol-"},
		{"each of two resources", policyOf(allow("ec2:AttachVolume", volumeARN)), nil, "ec2:AttachVolume", object{"VolumeId": "{{e.volume}}", "InstanceId": "{{e.instance}}", "Device": "/dev/sdf"}, denied, "instance/i-"},
		{"both of two resources", policyOf(allow("ec2:AttachVolume", volumeARN), allow("ec2:AttachVolume", "arn:aws:ec2:*:*:instance/*")), nil, "ec2:AttachVolume", object{"VolumeId": "{{e.volume}}", "InstanceId": "{{e.instance}}", "Device": "/dev/sdf"}, "", ""},
		{"a describe is on all", policyOf(allow("ec2:DescribeVolumes", volumeARN)), nil, "ec2:DescribeVolumes", object{"VolumeIds": []any{"{{e.volume}}"}}, denied, "on resource: *"},
		{"another account's resource in the policy", policyOf(allow("ec2:DeleteVolume", "arn:aws:ec2:eu-west-1:444455556666:volume/*")), nil, "ec2:DeleteVolume", volume, denied, ""},

		{"a tag of the resource", policyOf(allow("ec2:DeleteVolume", "*", when("StringEquals", "ec2:ResourceTag/env", "prod"))), nil, "ec2:DeleteVolume", volume, "", ""},
		{"a tag that it hasn't", policyOf(allow("ec2:DeleteVolume", "*", when("StringEquals", "aws:ResourceTag/env", "dev"))), nil, "ec2:DeleteVolume", volume, denied, ""},
		{"a tag of the principal's", policyOf(allow("ec2:DeleteVolume", "*", when("StringEquals", "aws:ResourceTag/team", "${aws:PrincipalTag/team}"))),
			func(e *estate) {
				e.do("iam", "TagUser", object{"UserName": "ada", "Tags": []any{object{"Key": "team", "Value": "red"}}})
			}, "ec2:DeleteVolume", volume, "", ""},
		{"a tag that the principal hasn't", policyOf(allow("ec2:DeleteVolume", "*", when("StringEquals", "aws:ResourceTag/team", "${aws:PrincipalTag/team}"))), nil, "ec2:DeleteVolume", volume, denied, ""},
		{"a volume's type", policyOf(allow("ec2:DeleteVolume", "*", when("StringEquals", "ec2:VolumeType", "io2"))), nil, "ec2:DeleteVolume", volume, denied, ""},
		{"the Region", policyOf(allow("ec2:*", "*", when("StringEquals", "aws:RequestedRegion", "us-east-1"))), nil, "ec2:DescribeVolumes", nil, denied, ""},
		{"a global service's Region", policyOf(allow("iam:*", "*", when("StringEquals", "aws:RequestedRegion", "us-east-1"))), nil, "iam:ListUsers", nil, "", ""},
		{"an address", policyOf(allow("ec2:*", "*", when("IpAddress", "aws:SourceIp", "127.0.0.0/8"))), nil, "ec2:DescribeVolumes", nil, "", ""},
		{"another address", policyOf(allow("ec2:*", "*", when("IpAddress", "aws:SourceIp", "203.0.113.0/24"))), nil, "ec2:DescribeVolumes", nil, denied, ""},
		{"before a date", policyOf(allow("ec2:*", "*", when("DateLessThan", "aws:CurrentTime", "2026-11-01T00:00:00Z"))), nil, "ec2:DescribeVolumes", nil, denied, ""},
		{"after a second", policyOf(allow("ec2:*", "*", when("NumericGreaterThan", "aws:EpochTime", "1700000000"))), nil, "ec2:DescribeVolumes", nil, "", ""},
		{"over TLS", policyOf(allow("ec2:*", "*"), statementText("Deny", "*", "*", when("Bool", "aws:SecureTransport", "false"))), nil, "ec2:DescribeVolumes", nil, "", ""},
		{"whose ARN is like", policyOf(allow("ec2:*", "*", when("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:user/a*"))), nil, "ec2:DescribeVolumes", nil, "", ""},
		{"long-term keys say nothing of MFA", policyOf(allow("ec2:*", "*", when("Bool", "aws:MultiFactorAuthPresent", "false"))), nil, "ec2:DescribeVolumes", nil, denied, ""},
		{"nothing said of MFA is enough if it exists", policyOf(allow("ec2:*", "*", when("BoolIfExists", "aws:MultiFactorAuthPresent", "true"))), nil, "ec2:DescribeVolumes", nil, "", ""},

		{"to tag while creating", allows("ec2:CreateVolume"), nil, "ec2:CreateVolume", tagged, denied, "ec2:CreateTags"},
		{"to tag while creating, and then only", policyOf(allow("ec2:CreateVolume", "*"), allow("ec2:CreateTags", "*", when("StringEquals", "ec2:CreateAction", "CreateVolume"))), nil, "ec2:CreateVolume", tagged, "", ""},
		{"to tag later", policyOf(allow("ec2:CreateTags", "*", when("StringEquals", "ec2:CreateAction", "CreateVolume"))), nil, "ec2:CreateTags", object{"Resources": []any{"{{e.volume}}"}, "Tags": []any{object{"Key": "env", "Value": "dev"}}}, denied, ":volume/vol-"},
		{"a tag that is asked for", policyOf(allow("ec2:*", "*", when("StringEquals", "aws:RequestTag/env", "prod"))), nil, "ec2:CreateVolume", tagged, denied, ""},
		{"a tag that must be there", policyOf(allow("ec2:*", "*", when("Null", "aws:RequestTag/env", "false"))), nil, "ec2:CreateVolume", tagged, "", ""},
		{"only these tag keys", policyOf(allow("ec2:*", "*", when("ForAllValues:StringEquals", "aws:TagKeys", "cost"))), nil, "ec2:CreateVolume", tagged, denied, ""},

		{"AWS's own key needs nothing more", allows("ec2:CreateVolume"), nil, "ec2:CreateVolume", zone(object{"Encrypted": true}), "", ""},
		{"a customer's key does", allows("ec2:CreateVolume"), nil, "ec2:CreateVolume", sealed, denied, "kms:CreateGrant"},
		{"through EC2", policyOf(allow("ec2:CreateVolume", "*"), allow("kms:*", "{{e.keyARN}}", when("StringEquals", "kms:ViaService", "ec2.eu-west-1.amazonaws.com"))), nil, "ec2:CreateVolume", sealed, "", ""},
		{"not so directly", policyOf(allow("kms:*", "*", when("StringEquals", "kms:ViaService", "ec2.eu-west-1.amazonaws.com"))), nil, "kms:GenerateDataKeyWithoutPlaintext", dataKey, exception, ""},
		{"grants for AWS's resources only", policyOf(allow("ec2:CreateVolume", "*"), allow("kms:GenerateDataKeyWithoutPlaintext", "*"), allow("kms:CreateGrant", "*", when("Bool", "kms:GrantIsForAWSResource", "true"))), nil, "ec2:CreateVolume", sealed, "", ""},
		{"to attach needs Decrypt", allows("ec2:*", "kms:CreateGrant"), nil, "ec2:AttachVolume", object{"VolumeId": "{{e.sealed}}", "InstanceId": "{{e.instance}}", "Device": "/dev/sdf"}, denied, "kms:Decrypt"},
		{"AWS's key by its name", allows("kms:*"), nil, "kms:GenerateDataKeyWithoutPlaintext", object{"KeyId": "alias/aws/ebs", "KeySpec": "AES_256"}, exception, "no resource-based policy"},
		{"a key's alias is the key", policyOf(allow("kms:DescribeKey", "{{e.keyARN}}")), nil, "kms:DescribeKey", object{"KeyId": "alias/data"}, "", ""},
		{"the key's own policy is enough", "", keyPolicy(`{"Effect":"Allow","Principal":{"AWS":"` + ada + `"},"Action":"kms:DescribeKey","Resource":"*"}`), "kms:DescribeKey", object{"KeyId": "{{e.key}}"}, "", ""},
		{"a key locks its account out", allows("*"), keyPolicy(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/team/bob"},"Action":"kms:*","Resource":"*"}`), "kms:DescribeKey", object{"KeyId": "{{e.key}}"}, exception, "no resource-based policy allows the kms:DescribeKey action"},
		{"a key that is locked can't encrypt", allows("*"), keyPolicy(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/team/bob"},"Action":"kms:*","Resource":"*"}`), "ec2:CreateVolume", sealed, denied, "kms:CreateGrant"},
		{"a grant helps", "", func(e *estate) {
			e.do("kms", "CreateGrant", object{"KeyId": e.text("{{e.key}}"), "GranteePrincipal": ada, "Operations": ids("GenerateDataKeyWithoutPlaintext")})
		}, "kms:GenerateDataKeyWithoutPlaintext", dataKey, "", ""},
		{"a grant doesn't help against a deny", policyOf(statementText("Deny", "kms:*", "*")), func(e *estate) {
			e.do("kms", "CreateGrant", object{"KeyId": e.text("{{e.key}}"), "GranteePrincipal": ada, "Operations": ids("GenerateDataKeyWithoutPlaintext")})
		}, "kms:GenerateDataKeyWithoutPlaintext", dataKey, exception, "with an explicit deny in an identity-based policy"},
		{"a grant of something else", "", func(e *estate) {
			e.do("kms", "CreateGrant", object{"KeyId": e.text("{{e.key}}"), "GranteePrincipal": ada, "Operations": ids("Decrypt")})
		}, "kms:GenerateDataKeyWithoutPlaintext", dataKey, exception, ""},

		{"to pass a role", allows("ec2:*"), nil, "ec2:RunInstances", run, denied, "iam:PassRole on resource: arn:aws:iam::111122223333:role/app/web"},
		{"to pass it to EC2", policyOf(allow("ec2:*", "*"), allow("iam:PassRole", "arn:aws:iam::*:role/app/*", when("StringEquals", "iam:PassedToService", "ec2.amazonaws.com"))), nil, "ec2:RunInstances", run, "", ""},
		{"to pass it to Lambda", policyOf(allow("ec2:*", "*"), allow("iam:PassRole", "*", when("StringEquals", "iam:PassedToService", "lambda.amazonaws.com"))), nil, "ec2:RunInstances", run, denied, "iam:PassRole"},
		{"one's own keys", policyOf(allow("iam:*AccessKey*", "arn:aws:iam::*:user/${aws:username}")), nil, "iam:ListAccessKeys", nil, "", ""},
		{"somebody else's keys", policyOf(allow("iam:*AccessKey*", "arn:aws:iam::*:user/${aws:username}")), nil, "iam:ListAccessKeys", object{"UserName": "bob"}, refused, "user/team/bob"},
		{"users under a path", policyOf(allow("iam:GetUser", "arn:aws:iam::*:user/team/*")), nil, "iam:GetUser", object{"UserName": "bob"}, "", ""},
		{"to attach this policy", policyOf(allow("iam:AttachUserPolicy", "*", when("ArnEquals", "iam:PolicyARN", "arn:aws:iam::aws:policy/ReadOnlyAccess"))), nil, "iam:AttachUserPolicy", object{"UserName": "bob", "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}, "", ""},
		{"to attach another policy", policyOf(allow("iam:AttachUserPolicy", "*", when("ArnEquals", "iam:PolicyARN", "arn:aws:iam::aws:policy/ReadOnlyAccess"))), nil, "iam:AttachUserPolicy", object{"UserName": "bob", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}, refused, ""},
		{"to create users within a boundary", policyOf(allow("iam:CreateUser", "*", when("StringEquals", "iam:PermissionsBoundary", "arn:aws:iam::aws:policy/ReadOnlyAccess"))), nil, "iam:CreateUser", object{"UserName": "eve"}, refused, ""},
		{"to create them with it", policyOf(allow("iam:CreateUser", "*", when("StringEquals", "iam:PermissionsBoundary", "arn:aws:iam::aws:policy/ReadOnlyAccess"))), nil, "iam:CreateUser", object{"UserName": "eve", "PermissionsBoundary": "arn:aws:iam::aws:policy/ReadOnlyAccess"}, "", ""},

		{"a managed policy", "", func(e *estate) {
			e.do("iam", "AttachUserPolicy", object{"UserName": "ada", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"})
		}, "iam:ListUsers", nil, "", ""},
		{"a group's policy", "", func(e *estate) {
			e.do("iam", "CreateGroup", object{"GroupName": "dev"})
			e.do("iam", "PutGroupPolicy", object{"GroupName": "dev", "PolicyName": "p", "PolicyDocument": allows("iam:ListUsers")})
			e.do("iam", "AddUserToGroup", object{"GroupName": "dev", "UserName": "ada"})
		}, "iam:ListUsers", nil, "", ""},
		{"the default version of a policy", "", func(e *estate) {
			arn := e.do("iam", "CreatePolicy", object{"PolicyName": "p", "PolicyDocument": allows("iam:ListUsers")})["Policy"].(object)["Arn"]
			e.do("iam", "AttachUserPolicy", object{"UserName": "ada", "PolicyArn": arn})
			e.do("iam", "CreatePolicyVersion", object{"PolicyArn": arn, "PolicyDocument": allows("iam:ListRoles"), "SetAsDefault": true})
		}, "iam:ListUsers", nil, refused, ""},
		{"a boundary that lacks it", allows("*"), func(e *estate) {
			e.do("iam", "PutUserPermissionsBoundary", object{"UserName": "ada", "PermissionsBoundary": "arn:aws:iam::aws:policy/AmazonS3FullAccess"})
		}, "iam:ListUsers", nil, refused, "because no permissions boundary allows the iam:ListUsers action"},
		{"a boundary that has it", allows("s3:*"), func(e *estate) {
			e.do("iam", "PutUserPermissionsBoundary", object{"UserName": "ada", "PermissionsBoundary": "arn:aws:iam::aws:policy/AmazonS3FullAccess"})
		}, "s3:ListBuckets", nil, "", ""},

		{"a bucket", policyOf(allow("s3:GetBucketLocation", bucket)), nil, "s3:GetBucketLocation", logs, "", ""},
		{"another bucket", policyOf(allow("s3:GetBucketLocation", "arn:aws:s3:::acme-*-x")), nil, "s3:GetBucketLocation", logs, refused, "arn:aws:s3:::acme-logs"},
		{"the action isn't called as the operation", policyOf(allow("s3:DeletePublicAccessBlock", "*")), nil, "s3:DeletePublicAccessBlock", logs, refused, "s3:PutBucketPublicAccessBlock"},
		{"a bucket's policy is enough", "", bucketPolicy(statementText("Allow", "s3:GetBucketLocation", bucket, `"Principal":{"AWS":"`+ada+`"}`)), "s3:GetBucketLocation", logs, "", ""},
		{"a bucket's policy that names the account isn't", "", bucketPolicy(statementText("Allow", "s3:GetBucketLocation", bucket, `"Principal":{"AWS":"111122223333"}`)), "s3:GetBucketLocation", logs, refused, ""},
		{"a bucket's policy denies", allows("s3:*"), bucketPolicy(statementText("Deny", "s3:*", bucket, `"Principal":"*"`, when("StringNotEquals", "aws:PrincipalAccount", other))), "s3:GetBucketLocation", logs, refused, "with an explicit deny in a resource-based policy"},
		{"another account's bucket", allows("s3:*"), nil, "s3:GetBucketTagging", others, refused, "because no resource-based policy allows the s3:GetBucketTagging action"},
		{"another account's bucket, by both", allows("s3:*"), otherPolicy, "s3:GetBucketTagging", others, "NoSuchTagSet", ""},
		{"another account's bucket, by it alone", "", otherPolicy, "s3:GetBucketTagging", others, refused, "no identity-based policy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEstate(t)
			w := e.user("ada", e.text(c.policy))
			if c.before != nil {
				c.before(e)
			}
			in, err := Resolve(c.in, e.names)
			if err != nil {
				t.Fatal(err)
			}
			service, operation, _ := strings.Cut(c.call, ":")
			_, err = w.try(service, operation, in.(object))
			if got := codeOf(err); got != c.code || !strings.Contains(errorText(err), c.says) {
				t.Errorf("%s: %q %v; want the code %q and %q", c.call, got, err, c.code, c.says)
			}
		})
	}
}

// TestOtherAccountsAreLetIn: the policies of queues, topics and functions let other
// accounts in, and the call goes on where the resource is.
func TestOtherAccountsAreLetIn(t *testing.T) {
	e := newEstate(t)
	guest := e.other.user("guest", allows("sqs:*", "sns:*", "lambda:*"))
	url := e.do("sqs", "CreateQueue", object{"QueueName": "q"})["QueueUrl"].(string)
	arn := "arn:aws:sqs:eu-west-1:111122223333:q"
	send := object{"QueueUrl": url, "MessageBody": "hello"}
	guest.fails("AccessDenied", "sqs", "SendMessage", send)
	e.do("sqs", "SetQueueAttributes", object{"QueueUrl": url, "Attributes": object{"Policy": policyOf(
		statementText("Allow", "sqs:SendMessage", arn, `"Principal":{"AWS":"444455556666"}`))}})
	guest.do("sqs", "SendMessage", send)
	guest.fails("AccessDenied", "sqs", "ReceiveMessage", object{"QueueUrl": url})
	e.other.user("nobody", "").fails("AccessDenied", "sqs", "SendMessage", send) // the account's policies must allow too
	if got := e.do("sqs", "ReceiveMessage", object{"QueueUrl": url})["Messages"].([]any); len(got) != 1 || got[0].(object)["Body"] != "hello" {
		t.Errorf("%v", got)
	}
	e.user("ada", policyOf(allow("sqs:ReceiveMessage", arn))).do("sqs", "ReceiveMessage", object{"QueueUrl": url})

	topic := e.do("sns", "CreateTopic", object{"Name": "t"})["TopicArn"].(string)
	publish := object{"TopicArn": topic, "Message": "hello"}
	guest.fails("AuthorizationError", "sns", "Publish", publish)
	e.do("sns", "SetTopicAttributes", object{"TopicArn": topic, "AttributeName": "Policy", "AttributeValue": policyOf(
		statementText("Allow", "sns:Publish", topic, `"Principal":"*"`, when("StringEquals", "aws:PrincipalAccount", other)))})
	guest.do("sns", "Publish", publish)
	guest.fails("AuthorizationError", "sns", "DeleteTopic", object{"TopicArn": topic})

	role := e.role("function", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`, "")
	create := object{"FunctionName": "f", "Role": role, "Code": object{"ZipFile": []byte("PK")}, "Runtime": "python3.13", "Handler": "f.f"}
	e.user("dev", allows("lambda:*")).fails("AccessDeniedException", "lambda", "CreateFunction", create) // it may not pass the role
	e.user("lead", policyOf(allow("lambda:CreateFunction", "arn:aws:lambda:*:*:function:f"), allow("iam:PassRole", role))).do("lambda", "CreateFunction", create)
	e.clock.Advance(time.Minute)
	invoke := object{"FunctionName": "arn:aws:lambda:eu-west-1:111122223333:function:f"}
	guest.fails("AccessDeniedException", "lambda", "Invoke", invoke)
	e.do("lambda", "AddPermission", object{"FunctionName": "f", "StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": other})
	guest.do("lambda", "Invoke", invoke)
	guest.fails("AccessDeniedException", "lambda", "DeleteFunction", invoke)

	rule := object{"Name": "r", "ScheduleExpression": "rate(1 hour)"}
	e.user("eve", policyOf(allow("events:PutRule", "arn:aws:events:eu-west-1:111122223333:rule/r"))).do("events", "PutRule", rule)
	rule["RoleArn"] = role
	e.user("mallory", allows("events:*")).fails("AccessDeniedException", "events", "PutRule", rule)
}

// TestRestrictPublicBuckets: a public policy lets nobody in from other accounts
// where the bucket's settings say so.
func TestRestrictPublicBuckets(t *testing.T) {
	e := newEstate(t)
	ada := e.user("ada", allows("s3:*"))
	set := func(restrict bool) {
		e.other.do("s3", "PutPublicAccessBlock", object{"Bucket": "other-logs", "PublicAccessBlockConfiguration": object{"RestrictPublicBuckets": restrict}})
	}
	set(false)
	e.other.do("s3", "PutBucketPolicy", object{"Bucket": "other-logs", "Policy": policyOf(
		statementText("Allow", "s3:GetBucketLocation", "arn:aws:s3:::other-logs", `"Principal":"*"`))})
	ada.do("s3", "GetBucketLocation", object{"Bucket": "other-logs"})
	set(true)
	ada.fails("AccessDenied", "s3", "GetBucketLocation", object{"Bucket": "other-logs"})
	e.other.user("eve", "").do("s3", "GetBucketLocation", object{"Bucket": "other-logs"})
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestRefusalsHaveTheServicesOwnCodes(t *testing.T) {
	w := newWorld(t)
	ada := w.user("ada", "")
	for _, c := range []struct {
		service, operation string
		in                 object
		code               string
		status             int
	}{
		{"ec2", "DescribeVolumes", nil, "UnauthorizedOperation", 403},
		{"s3", "ListBuckets", nil, "AccessDenied", 403},
		{"iam", "ListUsers", nil, "AccessDenied", 403},
		{"sts", "AssumeRole", object{"RoleArn": "arn:aws:iam::111122223333:role/none", "RoleSessionName": "test"}, "AccessDenied", 403},
		{"autoscaling", "DescribeAutoScalingGroups", nil, "AccessDenied", 403},
		{"kms", "ListKeys", nil, "AccessDeniedException", 400},
		{"organizations", "ListRoots", nil, "AccessDeniedException", 400},
	} {
		_, err := ada.try(c.service, c.operation, c.in)
		var e *awsapi.Error
		if !errors.As(err, &e) || e.Code != c.code || e.Status != c.status || !strings.Contains(e.Message, "arn:aws:iam::111122223333:user/ada is not authorized to perform: ") {
			t.Errorf("%s:%s: %#v", c.service, c.operation, err)
		}
	}
}
