package awsapi

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/knowngood/knowngood/internal/mototest"
)

// motoClient is a client of a moto of the test's own.
func motoClient(t *testing.T) *Client {
	t.Helper()
	url := mototest.Start(t)
	return testClient(t, nil, func(c *Config) {
		c.HTTPClient, c.EndpointURL, c.Now, c.Rand = nil, url, nil, nil
	})
}

// motoCall is a call, what its output must have, or the code of its error.
type motoCall struct {
	service, operation string
	in                 map[string]any
	path               string // JMESPath in the output
	want               any    // at path; nil: anything but null
	code               string
}

func TestMoto(t *testing.T) {
	client := motoClient(t)
	type m = map[string]any
	list := func(v ...any) []any { return v }
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	services := map[string]bool{}
	calls := []motoCall{
		{"sts", "GetCallerIdentity", nil, "Account", "123456789012", ""},
		{"ec2", "CreateVolume", m{"AvailabilityZone": "eu-west-1a", "Size": 8, "TagSpecifications": list(m{"ResourceType": "volume", "Tags": list(m{"Key": "a&b", "Value": "é <x>"})})}, "Tags[0].Value", "é <x>", ""},
		{"ec2", "DescribeVolumes", m{"Filters": list(m{"Name": "tag:a&b", "Values": list("é <x>")})}, "length(Volumes)", 1.0, ""},
		{"ec2", "DescribeVolumes", m{"VolumeIds": list("vol-00000000")}, "", nil, "InvalidVolume.NotFound"},
		{"ec2", "DescribeRegions", nil, "Regions[0].RegionName", nil, ""},
		{"ec2", "DescribeVpcs", nil, "Vpcs[0].IsDefault", true, ""},
		{"ec2", "DescribeSubnets", nil, "Subnets[0].VpcId", nil, ""},
		{"ec2", "DescribeSecurityGroups", nil, "SecurityGroups[0].GroupId", nil, ""},
		{"ec2", "DescribeInstances", nil, "Reservations", nil, ""},
		{"ec2", "GetEbsEncryptionByDefault", nil, "EbsEncryptionByDefault", nil, ""},
		{"s3", "CreateBucket", m{"Bucket": "acme-invoices", "CreateBucketConfiguration": m{"LocationConstraint": "eu-west-1"}}, "Location", nil, ""},
		{"s3", "HeadBucket", m{"Bucket": "acme-invoices"}, "@", nil, ""},
		{"s3", "HeadBucket", m{"Bucket": "acme-none"}, "", nil, "404"},
		{"s3", "GetBucketLocation", m{"Bucket": "acme-invoices"}, "LocationConstraint", "eu-west-1", ""},
		{"s3", "PutObject", m{"Bucket": "acme-invoices", "Key": "a b/c+d/é?&", "Body": "content", "Metadata": m{"owner": "x"}}, "ETag", nil, ""},
		{"s3", "GetObject", m{"Bucket": "acme-invoices", "Key": "a b/c+d/é?&"}, "Metadata.owner", "x", ""},
		{"s3", "GetObject", m{"Bucket": "acme-invoices", "Key": "none"}, "", nil, "NoSuchKey"},
		{"s3", "ListObjectsV2", m{"Bucket": "acme-invoices", "Prefix": "a b/"}, "Contents[0].Key", "a b/c+d/é?&", ""},
		{"s3", "PutBucketTagging", m{"Bucket": "acme-invoices", "Tagging": m{"TagSet": list(m{"Key": "k", "Value": "v"})}}, "@", nil, ""},
		{"s3", "GetBucketTagging", m{"Bucket": "acme-invoices"}, "TagSet[0].Value", "v", ""},
		{"s3", "PutPublicAccessBlock", m{"Bucket": "acme-invoices", "PublicAccessBlockConfiguration": m{"BlockPublicAcls": true}}, "@", nil, ""},
		{"s3", "GetPublicAccessBlock", m{"Bucket": "acme-invoices"}, "PublicAccessBlockConfiguration.BlockPublicAcls", true, ""},
		{"s3", "PutBucketVersioning", m{"Bucket": "acme-invoices", "VersioningConfiguration": m{"Status": "Enabled"}}, "@", nil, ""},
		{"s3", "GetBucketVersioning", m{"Bucket": "acme-invoices"}, "Status", "Enabled", ""},
		{"s3", "GetBucketPolicy", m{"Bucket": "acme-invoices"}, "", nil, "NoSuchBucketPolicy"},
		{"s3", "PutBucketPolicy", m{"Bucket": "acme-invoices", "Policy": `{"Version":"2012-10-17","Statement":[]}`}, "@", nil, ""},
		{"s3", "GetBucketPolicy", m{"Bucket": "acme-invoices"}, "Policy", `{"Version":"2012-10-17","Statement":[]}`, ""},
		{"s3", "CopyObject", m{"Bucket": "acme-invoices", "Key": "copy", "CopySource": "acme-invoices/a b/c+d/é?&"}, "CopyObjectResult.ETag", nil, ""},
		{"s3", "DeleteObjects", m{"Bucket": "acme-invoices", "Delete": m{"Objects": list(m{"Key": "copy"})}}, "Deleted[0].Key", "copy", ""},
		{"s3", "ListBuckets", nil, "Buckets[0].Name", "acme-invoices", ""},
		{"s3control", "PutPublicAccessBlock", m{"AccountId": "123456789012", "PublicAccessBlockConfiguration": m{"BlockPublicPolicy": true}}, "@", nil, ""},
		{"s3control", "GetPublicAccessBlock", m{"AccountId": "123456789012"}, "PublicAccessBlockConfiguration.BlockPublicPolicy", true, ""},
		{"iam", "CreateRole", m{"RoleName": "r", "AssumeRolePolicyDocument": trust}, "Role.RoleName", "r", ""},
		{"iam", "GetRole", m{"RoleName": "none"}, "", nil, "NoSuchEntity"},
		{"iam", "ListRoles", nil, "Roles[0].CreateDate", nil, ""},
		{"iam", "CreateUser", m{"UserName": "u", "Tags": list(m{"Key": "k", "Value": "v"})}, "User.Arn", nil, ""},
		{"iam", "ListUsers", nil, "Users[0].UserName", "u", ""},
		{"iam", "GetAccountSummary", nil, "SummaryMap.Users", nil, ""},
		{"sqs", "CreateQueue", m{"QueueName": "q", "Attributes": m{"VisibilityTimeout": "7"}}, "QueueUrl", nil, ""},
		{"sqs", "GetQueueUrl", m{"QueueName": "q"}, "QueueUrl", nil, ""},
		{"sqs", "GetQueueUrl", m{"QueueName": "none"}, "", nil, "AWS.SimpleQueueService.NonExistentQueue"},
		{"sns", "CreateTopic", m{"Name": "t", "Attributes": m{"DisplayName": "d"}}, "TopicArn", nil, ""},
		{"sns", "ListTopics", nil, "Topics[0].TopicArn", nil, ""},
		{"dynamodb", "CreateTable", m{"TableName": "t", "BillingMode": "PAY_PER_REQUEST", "KeySchema": list(m{"AttributeName": "id", "KeyType": "HASH"}), "AttributeDefinitions": list(m{"AttributeName": "id", "AttributeType": "S"})}, "TableDescription.CreationDateTime", nil, ""},
		{"dynamodb", "PutItem", m{"TableName": "t", "Item": m{"id": m{"S": "1"}, "b": m{"B": []byte{0, 255}}, "n": m{"N": "1.5"}}}, "@", nil, ""},
		{"dynamodb", "GetItem", m{"TableName": "t", "Key": m{"id": m{"S": "1"}}}, "Item.n.N", "1.5", ""},
		{"dynamodb", "DescribeTable", m{"TableName": "none"}, "", nil, "ResourceNotFoundException"},
		{"kms", "CreateKey", m{"Description": "d"}, "KeyMetadata.Enabled", true, ""},
		{"kms", "ListKeys", nil, "Keys[0].KeyId", nil, ""},
		{"kms", "DescribeKey", m{"KeyId": "11111111-2222-3333-4444-555555555555"}, "", nil, "NotFoundException"},
		{"lambda", "ListFunctions", nil, "Functions", nil, ""},
		{"lambda", "GetFunction", m{"FunctionName": "none"}, "", nil, "ResourceNotFoundException"},
		{"rds", "CreateDBParameterGroup", m{"DBParameterGroupName": "g", "DBParameterGroupFamily": "mysql8.0", "Description": "d"}, "DBParameterGroup.DBParameterGroupName", "g", ""},
		{"rds", "DescribeDBInstances", nil, "DBInstances", nil, ""},
		{"rds", "DescribeDBInstances", m{"DBInstanceIdentifier": "none"}, "", nil, "DBInstanceNotFound"},
		{"cloudwatch", "PutMetricAlarm", m{"AlarmName": "a", "MetricName": "m", "Namespace": "n", "ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1, "Period": 60, "Statistic": "Sum", "Threshold": 1.5}, "@", nil, ""},
		{"cloudwatch", "DescribeAlarms", nil, "MetricAlarms[0].Threshold", 1.5, ""},
		{"logs", "CreateLogGroup", m{"logGroupName": "/a/b"}, "@", nil, ""},
		{"logs", "DescribeLogGroups", nil, "logGroups[0].logGroupName", "/a/b", ""},
		{"logs", "CreateLogGroup", m{"logGroupName": "/a/b"}, "", nil, "ResourceAlreadyExistsException"},
		{"ssm", "PutParameter", m{"Name": "/p", "Value": "v", "Type": "String"}, "Version", 1.0, ""},
		{"ssm", "GetParameter", m{"Name": "/p"}, "Parameter.Value", "v", ""},
		{"ssm", "GetParameter", m{"Name": "/none"}, "", nil, "ParameterNotFound"},
		{"secretsmanager", "CreateSecret", m{"Name": "s", "SecretString": "x"}, "ARN", nil, ""},
		{"secretsmanager", "GetSecretValue", m{"SecretId": "s"}, "SecretString", "x", ""},
		{"cloudformation", "ListStacks", nil, "StackSummaries", nil, ""},
		{"cloudformation", "DescribeStacks", m{"StackName": "none"}, "", nil, "ValidationError"},
		{"autoscaling", "DescribeAutoScalingGroups", nil, "AutoScalingGroups", nil, ""},
		{"elbv2", "DescribeLoadBalancers", nil, "LoadBalancers", nil, ""},
		{"elb", "DescribeLoadBalancers", nil, "LoadBalancerDescriptions", nil, ""},
		{"route53", "CreateHostedZone", m{"Name": "example.com.", "CallerReference": "1"}, "HostedZone.Name", "example.com.", ""},
		{"route53", "ListHostedZones", nil, "HostedZones[0].Config.PrivateZone", false, ""},
		{"cloudtrail", "DescribeTrails", nil, "trailList", nil, ""},
		{"config", "DescribeConfigurationRecorders", nil, "ConfigurationRecorders", nil, ""},
		{"guardduty", "CreateDetector", m{"Enable": true}, "DetectorId", nil, ""},
		{"guardduty", "ListDetectors", nil, "DetectorIds[0]", nil, ""},
		{"ecr", "CreateRepository", m{"repositoryName": "r"}, "repository.repositoryName", "r", ""},
		// Without tags, moto's GetResources below dies of this cluster (it iterates None).
		{"ecs", "CreateCluster", m{"clusterName": "c", "tags": list(m{"key": "owner", "value": "x"})}, "cluster.status", "ACTIVE", ""},
		{"eks", "ListClusters", nil, "clusters", nil, ""},
		{"efs", "CreateFileSystem", m{"Encrypted": true}, "Encrypted", true, ""},
		{"efs", "DescribeFileSystems", nil, "FileSystems[0].SizeInBytes.Value", nil, ""},
		{"events", "PutRule", m{"Name": "r", "ScheduleExpression": "rate(1 hour)"}, "RuleArn", nil, ""},
		{"events", "ListRules", nil, "Rules[0].Name", "r", ""},
		{"kinesis", "CreateStream", m{"StreamName": "s", "ShardCount": 1}, "@", nil, ""},
		{"kinesis", "ListStreams", nil, "StreamNames[0]", "s", ""},
		{"acm", "ListCertificates", nil, "CertificateSummaryList", nil, ""},
		{"apigateway", "CreateRestApi", m{"name": "a"}, "name", "a", ""},
		{"apigateway", "GetRestApis", nil, "items[0].name", "a", ""},
		{"stepfunctions", "ListStateMachines", nil, "stateMachines", nil, ""},
		{"redshift", "DescribeClusters", nil, "Clusters", nil, ""},
		{"elasticache", "DescribeCacheClusters", nil, "CacheClusters", nil, ""},
		{"organizations", "CreateOrganization", m{"FeatureSet": "ALL"}, "Organization.Id", nil, ""},
		{"organizations", "ListAccounts", nil, "Accounts[0].Id", nil, ""},
		{"glue", "GetDatabases", nil, "DatabaseList", nil, ""},
		{"athena", "ListWorkGroups", nil, "WorkGroups", nil, ""},
		{"backup", "CreateBackupVault", m{"BackupVaultName": "v"}, "BackupVaultArn", nil, ""},
		{"resourcegroupstaggingapi", "GetResources", m{"TagFilters": list(m{"Key": "owner", "Values": list("x")})}, "ResourceTagMappingList[0].Tags[0].Value", "x", ""},
		{"sesv2", "ListEmailIdentities", nil, "@", nil, ""},
		{"ses", "ListIdentities", nil, "Identities", nil, ""},
		{"wafv2", "ListWebACLs", m{"Scope": "REGIONAL"}, "WebACLs", nil, ""},
	}
	for i, tc := range calls {
		services[tc.service] = true
		t.Run(fmt.Sprintf("%d %s %s", i, tc.service, tc.operation), func(t *testing.T) {
			out, err := client.Call(t.Context(), tc.service, tc.operation, tc.in)
			var e *Error
			if tc.code != "" {
				if !errors.As(err, &e) || e.Code != tc.code || e.Message == "" {
					t.Errorf("got %v, %v, want %s", out, err, tc.code)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if tc.operation == "GetObject" {
				if b, err := asBytes(&Shape{Type: Blob}, out["Body"]); err != nil || string(b) != "content" {
					t.Errorf("the body is %q, %v", b, err)
				}
			}
			got, err := searchPath(tc.path, out)
			if err != nil {
				t.Fatal(err)
			}
			if got == nil || tc.want != nil && !sameValue(got, tc.want) {
				t.Errorf("%s is %v, want %v; the output is %v", tc.path, got, tc.want, out)
			}
		})
	}
	errorCodes := map[string]bool{}
	for _, c := range calls {
		if c.code != "" {
			errorCodes[c.code] = true
		}
	}
	if len(calls) < 75 || len(services) < 30 || len(errorCodes) < 10 {
		t.Errorf("too few: %d calls over %d services, %d error codes", len(calls), len(services), len(errorCodes))
	}
	t.Logf("%d calls over %d services, %d error codes", len(calls), len(services), len(errorCodes))
	t.Run("pages", func(t *testing.T) { motoPages(t, client) })
	t.Run("waiters", func(t *testing.T) { motoWaiters(t, client) })
}

// motoPages makes five of something, and goes through its pages of two.
func motoPages(t *testing.T, client *Client) {
	type m = map[string]any
	for _, tc := range []struct {
		service, create string
		item            func(name string) m
		list            string
		in              m
	}{
		{"s3", "PutObject", func(n string) m { return m{"Bucket": "acme-invoices", "Key": "page/" + n} }, "ListObjectsV2", m{"Bucket": "acme-invoices", "Prefix": "page/", "MaxKeys": 2}},
		{"autoscaling", "CreateLaunchConfiguration", func(n string) m {
			return m{"LaunchConfigurationName": n, "ImageId": "ami-12345678", "InstanceType": "t3.micro"}
		}, "DescribeLaunchConfigurations", m{"MaxRecords": 2}},
		{"route53", "CreateHostedZone", func(n string) m { return m{"Name": n + ".example.", "CallerReference": n} }, "ListHostedZones", m{"MaxItems": "2"}},
		{"ssm", "PutParameter", func(n string) m { return m{"Name": "/page/" + n, "Value": "v", "Type": "String"} }, "GetParametersByPath", m{"Path": "/page", "MaxResults": 2}},
		{"dynamodb", "PutItem", func(n string) m { return m{"TableName": "t", "Item": m{"id": m{"S": n}}} }, "Scan",
			m{"TableName": "t", "Limit": 2, "FilterExpression": "begins_with(id, :p)", "ExpressionAttributeValues": m{":p": m{"S": "page-"}}}},
		{"logs", "CreateLogGroup", func(n string) m { return m{"logGroupName": "/page/" + n} }, "DescribeLogGroups", m{"logGroupNamePrefix": "/page/", "limit": 2}},
	} {
		for i := range 5 {
			if _, err := client.Call(t.Context(), tc.service, tc.create, tc.item(fmt.Sprintf("page-%d", i))); err != nil {
				t.Fatal(err)
			}
		}
		op, err := client.Catalog().Operation(tc.service, tc.list)
		if err != nil {
			t.Fatal(err)
		}
		paginator, _ := op.Service.Paginator(tc.list)
		pages, found := 0, 0
		for page, err := range client.Pages(t.Context(), tc.service, tc.list, tc.in) {
			if err != nil {
				t.Fatal(err)
			}
			results, err := paginator.Results(page)
			if err != nil {
				t.Fatal(err)
			}
			pages++
			for _, r := range results {
				if strings.Contains(fmt.Sprint(r), "page-") { // there are others, and the counts of Scan
					found++
				}
			}
		}
		if found != 5 || pages < 3 {
			t.Errorf("%s %s: %d on %d pages", tc.service, tc.list, found, pages)
		}
	}
}

// motoWaiters waits for what is so already, and for what never comes to be.
func motoWaiters(t *testing.T, client *Client) {
	type m = map[string]any
	out, err := client.Call(t.Context(), "ec2", "CreateVolume", m{"AvailabilityZone": "eu-west-1a", "Size": 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		service, waiter string
		in              m
		want            error
	}{
		{"ec2", "VolumeAvailable", m{"VolumeIds": []any{out["VolumeId"]}}, nil},
		{"ec2", "volume_in_use", m{"VolumeIds": []any{out["VolumeId"]}}, ErrWaitTimeout},
		{"s3", "BucketExists", m{"Bucket": "acme-invoices"}, nil},
		{"s3", "BucketNotExists", m{"Bucket": "acme-none"}, nil},
		{"s3", "ObjectExists", m{"Bucket": "acme-invoices", "Key": "none"}, ErrWaitTimeout},
		{"dynamodb", "TableExists", m{"TableName": "t"}, nil},
		{"dynamodb", "TableNotExists", m{"TableName": "none"}, nil},
		{"iam", "RoleExists", m{"RoleName": "r"}, nil},
		{"cloudformation", "StackCreateComplete", m{"StackName": "none"}, ErrWaitFailed},
	} {
		if err := client.Wait(t.Context(), tc.service, tc.waiter, tc.in); !errors.Is(err, tc.want) {
			t.Errorf("%s %s: %v, want %v", tc.service, tc.waiter, err, tc.want)
		}
	}
}
