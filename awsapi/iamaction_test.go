package awsapi

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestIAMActions(t *testing.T) {
	c := embeddedCatalog(t)
	tags := []any{map[string]any{"ResourceType": "volume"}}
	for _, test := range []struct {
		service, operation string
		in                 map[string]any
		want               string
	}{
		{"ec2", "DescribeVolumes", nil, "ec2:DescribeVolumes"},
		{"ec2", "CreateSnapshot", nil, "ec2:CreateSnapshot"},
		{"ec2", "CreateSnapshot", map[string]any{"TagSpecifications": tags}, "ec2:CreateSnapshot ec2:CreateTags"},
		{"ec2", "CreateSnapshot", map[string]any{"TagSpecifications": []any{}}, "ec2:CreateSnapshot"},
		{"ec2", "CreateVolume", map[string]any{"KmsKeyId": "alias/x", "TagSpecifications": tags}, "ec2:CreateTags ec2:CreateVolume kms:CreateGrant kms:Decrypt " +
			"kms:DescribeKey kms:GenerateDataKeyWithoutPlaintext kms:ReEncryptFrom kms:ReEncryptTo"},
		{"ec2", "RunInstances", map[string]any{"IamInstanceProfile": map[string]any{"Name": "x"}}, "ec2:RunInstances iam:PassRole"},
		{"s3", "PutPublicAccessBlock", nil, "s3:PutBucketPublicAccessBlock"},
		{"s3", "GetPublicAccessBlock", nil, "s3:GetBucketPublicAccessBlock"},
		{"s3", "ListBuckets", nil, "s3:ListAllMyBuckets"},
		{"s3", "ListObjectsV2", nil, "s3:ListBucket"},
		{"s3", "GetObject", nil, "s3:GetObject"},
		{"s3", "GetObject", map[string]any{"VersionId": "1"}, "s3:GetObjectVersion"},
		{"s3", "DeleteObject", map[string]any{"VersionId": "1", "BypassGovernanceRetention": true}, "s3:BypassGovernanceRetention s3:DeleteObjectVersion"},
		{"s3", "DeleteObject", map[string]any{"BypassGovernanceRetention": false}, "s3:DeleteObject"},
		{"s3", "PutBucketPolicy", nil, "s3:PutBucketPolicy"},
		{"s3control", "PutPublicAccessBlock", nil, "s3:PutAccountPublicAccessBlock"},
		{"s3control", "GetAccessPoint", nil, "s3:GetAccessPoint"},
		{"lambda", "Invoke", nil, "lambda:InvokeFunction"},
		{"lambda", "CreateFunction", map[string]any{"Role": "arn:aws:iam::1:role/x"}, "iam:PassRole lambda:CreateFunction"},
		{"kms", "ReEncrypt", nil, "kms:ReEncryptFrom kms:ReEncryptTo"},
		{"cloudwatch", "PutMetricAlarm", nil, "cloudwatch:PutMetricAlarm"},
		{"stepfunctions", "StartExecution", nil, "states:StartExecution"},
		{"elbv2", "DescribeLoadBalancers", nil, "elasticloadbalancing:DescribeLoadBalancers"},
		{"resourcegroupstaggingapi", "GetResources", nil, "tag:GetResources"},
		{"apigateway", "GetRestApis", nil, "apigateway:GET"},
		{"apigateway", "UpdateStage", nil, "apigateway:PATCH"},
		{"accessanalyzer", "ListAnalyzers", nil, "access-analyzer:ListAnalyzers"},
		{"sqs", "SendMessageBatch", nil, "sqs:SendMessage"},
	} {
		op, err := c.Operation(test.service, test.operation)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := strings.Join(op.IAMActions(test.in), " "); got != test.want {
			t.Errorf("%s %s %v: %s, want %s", test.service, test.operation, test.in, got, test.want)
		}
	}
	op, err := c.Operation("ec2", "AttachVolume")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(op.DependentActions(), " "); got != "kms:CreateGrant kms:Decrypt kms:DescribeKey" {
		t.Errorf("dependent actions of AttachVolume: %s", got)
	}
}

func TestIAMTableNamesWhatExists(t *testing.T) {
	table, err := parseIAMActions(iamActionsText)
	if err != nil {
		t.Fatal(err)
	}
	c := embeddedCatalog(t)
	for service := range table.prefixes {
		if _, err := c.Service(service); err != nil {
			t.Error(err)
		}
	}
	for key, rules := range table.named {
		name, operation, _ := strings.Cut(key, " ")
		s, err := c.Service(name)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, r := range rules {
			found := slices.ContainsFunc(s.ops, func(o Operation) bool {
				return (operation == "*" || o.Name == operation) && (r.member == "" || o.Input != nil && o.Input.Member(r.member) != nil)
			})
			if !found {
				t.Errorf("%s %s: no such operation or member", key, r.member)
			}
		}
	}
}

func TestEveryOperationHasWellFormedActions(t *testing.T) {
	action := regexp.MustCompile(`^[a-z0-9-]+:[A-Za-z0-9]+$`)
	c := embeddedCatalog(t)
	for _, name := range c.Services() {
		s, err := c.Service(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.ops {
			actions := s.ops[i].IAMActions(nil)
			if len(actions) == 0 {
				t.Errorf("%s %s needs nothing", name, s.ops[i].Name)
			}
			for _, a := range actions {
				if !action.MatchString(a) {
					t.Errorf("%s %s: %q is no action", name, s.ops[i].Name, a)
				}
			}
		}
	}
}

func TestIAMTableWithErrors(t *testing.T) {
	for text, want := range map[string]string{
		"prefix a":       "line 1: a prefix has 2 words",
		"\nwas a B C":    "line 2: \"was\" is no kind of rule",
		"is a B":         "\"is\" has 3 words; expected at least 4",
		"with a B C":     "\"with\" has 4 words; expected at least 5",
		"with a B C d:E": "",
	} {
		_, err := parseIAMActions(text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
