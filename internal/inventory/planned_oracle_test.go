package inventory

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/rule"
)

const (
	tlsPolicy   = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::oracle-bucket","arn:aws:s3:::oracle-bucket/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}`
	adminPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	trustPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
)

type calls = map[string]any

// oracles make by API what a template states, and give the id under which it is
// collected.
var oracles = []struct {
	rule, itemType string
	template       map[string]map[string]any
	make           func(e *estate) string
}{
	{"S3_BUCKET_LEVEL_PUBLIC_ACCESS_PROHIBITED", "AWS::S3::Bucket", map[string]map[string]any{"AWS::S3::Bucket": {"PublicAccessBlockConfiguration": calls{"BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true}}}, blocked(true)},
	{"S3_BUCKET_LEVEL_PUBLIC_ACCESS_PROHIBITED", "AWS::S3::Bucket", map[string]map[string]any{"AWS::S3::Bucket": {"PublicAccessBlockConfiguration": calls{"BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true}}}, blocked(false)},
	{"S3_BUCKET_VERSIONING_ENABLED", "AWS::S3::Bucket", map[string]map[string]any{"AWS::S3::Bucket": {}}, aBucket},
	{"S3_BUCKET_VERSIONING_ENABLED", "AWS::S3::Bucket", map[string]map[string]any{"AWS::S3::Bucket": {"VersioningConfiguration": calls{"Status": "Enabled"}}}, func(e *estate) string {
		e.do("s3", "PutBucketVersioning", calls{"Bucket": aBucket(e), "VersioningConfiguration": calls{"Status": "Enabled"}})
		return "oracle-bucket"
	}},
	{"S3_BUCKET_SERVER_SIDE_ENCRYPTION_ENABLED", "AWS::S3::Bucket", map[string]map[string]any{"AWS::S3::Bucket": {}}, aBucket},
	{"S3_DEFAULT_ENCRYPTION_KMS", "AWS::S3::Bucket", map[string]map[string]any{"AWS::S3::Bucket": {}}, aBucket},
	{"S3_DEFAULT_ENCRYPTION_KMS", "AWS::S3::Bucket", map[string]map[string]any{"AWS::S3::Bucket": {"BucketEncryption": calls{"ServerSideEncryptionConfiguration": []any{calls{"ServerSideEncryptionByDefault": calls{"SSEAlgorithm": "aws:kms"}}}}}}, func(e *estate) string {
		e.do("s3", "PutBucketEncryption", calls{"Bucket": aBucket(e), "ServerSideEncryptionConfiguration": calls{"Rules": []any{calls{"ApplyServerSideEncryptionByDefault": calls{"SSEAlgorithm": "aws:kms"}}}}})
		return "oracle-bucket"
	}},
	{"S3_BUCKET_SSL_REQUESTS_ONLY", "AWS::S3::Bucket", map[string]map[string]any{"AWS::S3::Bucket": {"BucketName": "oracle-bucket"}, "AWS::S3::BucketPolicy": {"Bucket": "oracle-bucket", "PolicyDocument": tlsPolicy}}, func(e *estate) string {
		e.do("s3", "PutBucketPolicy", calls{"Bucket": aBucket(e), "Policy": tlsPolicy})
		return "oracle-bucket"
	}},
	{"S3_BUCKET_SSL_REQUESTS_ONLY", "AWS::S3::Bucket", map[string]map[string]any{"AWS::S3::Bucket": {}}, aBucket},
	{"EBS_VOLUME_ENCRYPTED_ANY_STATE", "AWS::EC2::Volume", map[string]map[string]any{"AWS::EC2::Volume": {"Encrypted": false}}, (*estate).volume},
	{"EBS_VOLUME_ENCRYPTED_ANY_STATE", "AWS::EC2::Volume", map[string]map[string]any{"AWS::EC2::Volume": {"Encrypted": true}}, func(e *estate) string {
		return e.do("ec2", "CreateVolume", calls{"AvailabilityZone": "eu-west-1a", "Size": int64(1), "Encrypted": true})["VolumeId"].(string)
	}},
	{"INCOMING_SSH_DISABLED", "AWS::EC2::SecurityGroup", map[string]map[string]any{"AWS::EC2::SecurityGroup": {"SecurityGroupIngress": []any{calls{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"}}}}, group("0.0.0.0/0")},
	{"INCOMING_SSH_DISABLED", "AWS::EC2::SecurityGroup", map[string]map[string]any{"AWS::EC2::SecurityGroup": {"SecurityGroupIngress": []any{calls{"IpProtocol": "tcp", "FromPort": "22", "ToPort": "22", "CidrIp": "10.0.0.0/8"}}}}, group("10.0.0.0/8")},
	{"VPC_DEFAULT_SECURITY_GROUP_CLOSED", "AWS::EC2::SecurityGroup", map[string]map[string]any{"AWS::EC2::SecurityGroup": {}}, group("10.0.0.0/8")},
	{"CMK_BACKING_KEY_ROTATION_ENABLED", "AWS::KMS::Key", map[string]map[string]any{"AWS::KMS::Key": {}}, aKey},
	{"CMK_BACKING_KEY_ROTATION_ENABLED", "AWS::KMS::Key", map[string]map[string]any{"AWS::KMS::Key": {"EnableKeyRotation": true}}, func(e *estate) string {
		id := aKey(e)
		e.do("kms", "EnableKeyRotation", calls{"KeyId": id})
		return id
	}},
	{"DYNAMODB_PITR_ENABLED", "AWS::DynamoDB::Table", map[string]map[string]any{"AWS::DynamoDB::Table": {"TableName": "tab"}}, aTable},
	{"DYNAMODB_PITR_ENABLED", "AWS::DynamoDB::Table", map[string]map[string]any{"AWS::DynamoDB::Table": {"PointInTimeRecoverySpecification": calls{"PointInTimeRecoveryEnabled": true}}}, func(e *estate) string {
		e.do("dynamodb", "UpdateContinuousBackups", calls{"TableName": aTable(e), "PointInTimeRecoverySpecification": calls{"PointInTimeRecoveryEnabled": true}})
		return "tab"
	}},
	{"DYNAMODB_TABLE_ENCRYPTED_KMS", "AWS::DynamoDB::Table", map[string]map[string]any{"AWS::DynamoDB::Table": {}}, aTable},
	{"IAM_NO_INLINE_POLICY_CHECK", "AWS::IAM::Role", map[string]map[string]any{"AWS::IAM::Role": {}}, aRole},
	{"IAM_NO_INLINE_POLICY_CHECK", "AWS::IAM::Role", map[string]map[string]any{"AWS::IAM::Role": {}, "AWS::IAM::Policy": {"PolicyName": "p", "Roles": []any{calls{"Ref": "Role"}}, "PolicyDocument": adminPolicy}}, func(e *estate) string {
		e.do("iam", "PutRolePolicy", calls{"RoleName": aRole(e), "PolicyName": "p", "PolicyDocument": adminPolicy})
		return "oracle"
	}},
	{"IAM_USER_GROUP_MEMBERSHIP_CHECK", "AWS::IAM::User", map[string]map[string]any{"AWS::IAM::User": {}}, aUser},
	{"IAM_USER_NO_POLICIES_CHECK", "AWS::IAM::User", map[string]map[string]any{"AWS::IAM::User": {"Policies": []any{calls{"PolicyName": "p", "PolicyDocument": adminPolicy}}}}, func(e *estate) string {
		e.do("iam", "PutUserPolicy", calls{"UserName": aUser(e), "PolicyName": "p", "PolicyDocument": adminPolicy})
		return "oracle"
	}},
	{"IAM_POLICY_NO_STATEMENTS_WITH_ADMIN_ACCESS", "AWS::IAM::Policy", map[string]map[string]any{"AWS::IAM::ManagedPolicy": {"PolicyDocument": adminPolicy}}, func(e *estate) string {
		return dig(e.do("iam", "CreatePolicy", calls{"PolicyName": "oracle", "PolicyDocument": adminPolicy}), "Policy.Arn").(string)
	}},
	{"SNS_ENCRYPTED_KMS", "AWS::SNS::Topic", map[string]map[string]any{"AWS::SNS::Topic": {}}, func(e *estate) string {
		return e.do("sns", "CreateTopic", calls{"Name": "oracle"})["TopicArn"].(string)
	}},
	{"SNS_ENCRYPTED_KMS", "AWS::SNS::Topic", map[string]map[string]any{"AWS::SNS::Topic": {"KmsMasterKeyId": "alias/aws/sns"}}, func(e *estate) string {
		return e.do("sns", "CreateTopic", calls{"Name": "oracle", "Attributes": calls{"KmsMasterKeyId": "alias/aws/sns"}})["TopicArn"].(string)
	}},
}

func aBucket(e *estate) string {
	e.bucket("oracle-bucket", "eu-west-1")
	return "oracle-bucket"
}

func blocked(restrict bool) func(*estate) string {
	return func(e *estate) string {
		e.do("s3", "PutPublicAccessBlock", calls{"Bucket": aBucket(e), "PublicAccessBlockConfiguration": calls{"BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": restrict}})
		return "oracle-bucket"
	}
}

func group(cidr string) func(*estate) string {
	return func(e *estate) string {
		vpc := dig(e.do("ec2", "CreateVpc", calls{"CidrBlock": "10.9.0.0/16"}), "Vpc.VpcId")
		id := e.do("ec2", "CreateSecurityGroup", calls{"GroupName": "oracle", "Description": "oracle", "VpcId": vpc})["GroupId"].(string)
		e.do("ec2", "AuthorizeSecurityGroupIngress", calls{"GroupId": id, "IpPermissions": []any{calls{"IpProtocol": "tcp", "FromPort": int64(22), "ToPort": int64(22), "IpRanges": []any{calls{"CidrIp": cidr}}}}})
		return id
	}
}

func aKey(e *estate) string { return dig(e.do("kms", "CreateKey", nil), "KeyMetadata.KeyId").(string) }

func aTable(e *estate) string {
	e.do("dynamodb", "CreateTable", calls{"TableName": "tab", "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": []any{calls{"AttributeName": "k", "AttributeType": "S"}}, "KeySchema": []any{calls{"AttributeName": "k", "KeyType": "HASH"}}})
	e.clock.Advance(time.Hour) // the table becomes active, and may be backed up
	return "tab"
}

func aRole(e *estate) string {
	e.do("iam", "CreateRole", calls{"RoleName": "oracle", "AssumeRolePolicyDocument": trustPolicy})
	return "oracle"
}

func aUser(e *estate) string {
	e.do("iam", "CreateUser", calls{"UserName": "oracle"})
	return "oracle"
}

// TestTheVerdictBeforeIsTheVerdictAfter makes in the sandbox, by API, what a template
// states, and judges both.
func TestTheVerdictBeforeIsTheVerdictAfter(t *testing.T) {
	p := newProactive(t)
	rules, verdicts := map[string]bool{}, map[knowngood.Compliance]int{}
	for _, o := range oracles {
		test := formTest{Rule: o.rule}
		d, ok := p.rules.Rule(o.rule)
		if !ok {
			t.Fatalf("there is no rule %s", o.rule)
		}
		if o.rule == "EBS_VOLUME_ENCRYPTED_ANY_STATE" {
			test.Parameters = map[string]string{"residualDays": "7"}
		}
		before := p.judge(t, test, o.itemType, p.cloudFormation(t, o.template))

		e := newEstate(t)
		id := o.make(e)
		bound, err := rule.Compile(d, test.Parameters)
		if err != nil {
			t.Fatal(err)
		}
		set, err := rule.NewSet([]rule.Active{{Name: d.Name, Rule: bound}})
		if err != nil {
			t.Fatal(err)
		}
		e.Reads = set.Reads()
		types := slices.Collect(maps.Keys(set.Reads()))
		items, _ := e.collect(types...)
		at := slices.IndexFunc(items, func(r knowngood.Resource) bool {
			return r.Type == o.itemType && (r.ID == id || r.Name == id || r.ARN == id || strings.HasSuffix(r.ARN, "/"+id))
		})
		if at < 0 {
			t.Errorf("%s: %s was not collected", o.rule, id)
			continue
		}
		after := set.Evaluate(&items[at], e.clock.Now(), rule.Among(types, items, nil))[0]
		if before.Compliance != after.Compliance {
			t.Errorf("%s: before %s (%s), after %s (%s)", o.rule, before.Compliance, before.Annotation, after.Compliance, after.Annotation)
		}
		rules[o.rule] = true
		verdicts[after.Compliance]++
	}
	t.Logf("%d rules, %d resources: %v", len(rules), len(oracles), verdicts)
	if len(rules) < 10 || verdicts[knowngood.Compliant] < 5 || verdicts[knowngood.NonCompliant] < 5 {
		t.Error("too few were compared")
	}
}
