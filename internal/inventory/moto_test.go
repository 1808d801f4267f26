package inventory

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/mototest"
)

// startMoto runs moto, an AWS by others, and gives a client of it.
func startMoto(t *testing.T) *awsapi.Client {
	t.Helper()
	url := mototest.Start(t)
	client, err := awsapi.New(awsapi.Config{
		Catalog: models(t), Region: "eu-west-1", EndpointURL: url, Retry: awsapi.RetryPolicy{MaxAttempts: 1},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIAMOTO", SecretAccessKey: "secret"}, nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// motoLacks are calls, by type, that moto serves otherwise than AWS.
var motoLacks = map[string]string{
	"AWS::AccessAnalyzer::Analyzer ListAnalyzers":                     "not served",
	"AWS::Athena::WorkGroup ListTagsForResource":                      "it knows tags of data catalogs only",
	"AWS::Lambda::CodeSigningConfig ListCodeSigningConfigs":           "not served",
	"AWS::NetworkFirewall::FirewallPolicy ListFirewallPolicies":       "not served",
	"AWS::Redshift::EventSubscription DescribeEventSubscriptions":     "not served",
	"AWS::AutoScaling::ScheduledAction DescribeScheduledActions":      "its answer has no ScheduledActionARN",
	"AWS::Backup::BackupSelection ListBackupSelections":               "not served",
	"AWS::SSM::AssociationCompliance ListResourceComplianceSummaries": "not served",
	"AWS::SSM::PatchCompliance ListResourceComplianceSummaries":       "not served",
	"AWS::SSM::ManagedInstanceInventory DescribeInstanceInformation":  "not served",
	"AWS::Backup::BackupVault GetBackupVaultNotifications":            "not served",
	"AWS::Backup::RecoveryPoint ListRecoveryPointsByBackupVault":      "not served",
	"AWS::EC2::NetworkAcl DescribeNetworkAcls":                        "its code for an unknown id is that of route tables",
	"AWS::IAM::Policy GetAccountAuthorizationDetails":                 "its answer has no PolicyId",
	"AWS::RDS::DBCluster DescribeDBClusters":                          "it has no filter db-cluster-resource-id",
}

// TestTypesOnMoto makes one resource of many types on moto, and collects and
// reads them with the library's table.
func TestTypesOnMoto(t *testing.T) {
	if testing.Short() {
		t.Skip("moto takes its time")
	}
	client := startMoto(t)
	do := func(service, operation string, in map[string]any) map[string]any {
		t.Helper()
		op, err := models(t).Operation(service, operation)
		if err != nil {
			t.Fatal(err)
		}
		if in, err = op.Coerce(in); err != nil {
			t.Fatal(err)
		}
		out, err := client.Call(t.Context(), service, operation, in)
		if err != nil {
			t.Fatalf("%s:%s: %v", service, operation, err)
		}
		return out
	}
	made := makeOnMoto(do)
	c := &Collector{Caller: client, Catalog: models(t), Table: libraryTable(t), Clock: knowngood.WallClock{}}
	place := knowngood.Place{Partition: "aws", Account: "123456789012", Region: "eu-west-1"}
	items, errs, _ := c.Collect(t.Context(), place, c.Table.Types())
	for _, e := range errs {
		if motoLacks[e.Type+" "+e.Operation] == "" {
			t.Errorf("%s %s %s: %v", e.Type, e.ID, e.Path, e)
		}
	}
	counts := map[string]int{}
	for i := range items {
		counts[items[i].Type]++
		if r := &items[i]; !strings.HasPrefix(r.ARN, "arn:aws:") && r.Type != "AWS::S3::AccountPublicAccessBlock" && r.Type != "AWS::::Account" {
			t.Errorf("%s %s has the ARN %q", r.Type, r.ID, r.ARN)
		}
	}
	for _, typ := range made {
		if counts[typ] == 0 {
			t.Errorf("no %s was collected", typ)
		}
	}
	t.Logf("%d items of %d types", len(items), len(counts))
	read := map[string]bool{}
	for i := range items {
		key := items[i].Key()
		if read[key.Type] {
			continue
		}
		read[key.Type] = true
		lacks := func(err error) bool {
			var e *awsapi.Error
			return errors.As(err, &e) && motoLacks[key.Type+" "+e.Operation] != ""
		}
		if r, err := c.Read(t.Context(), key); !lacks(err) && (err != nil || r.ARN != items[i].ARN) {
			t.Errorf("%s: %v", key, err)
		}
		gone := key
		gone.ID = unlike(key.ID)
		if r, err := c.Read(t.Context(), gone); !lacks(err) && knowngood.KindOf(err) != knowngood.NotFound {
			t.Errorf("%s, which is not there: %v, %v", gone, r, err)
		}
	}
}

// unlike is another id of the same form.
func unlike(id string) string {
	b := []byte(id)
	for i, c := range slices.Backward(b) {
		switch {
		case c == '0' || c == 'a' || c == 'A':
			b[i]++
		case c > '0' && c <= '9':
			b[i] = '0'
		case c > 'a' && c <= 'z':
			b[i] = 'a'
		case c > 'A' && c <= 'Z':
			b[i] = 'A'
		default:
			continue
		}
		break
	}
	return string(b)
}

// makeOnMoto makes a resource of each of the types that it gives.
func makeOnMoto(do func(service, operation string, in m) m) []string {
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	vpc := do("ec2", "CreateVpc", m{"CidrBlock": "10.0.0.0/16"})["Vpc"].(m)["VpcId"]
	subnet := do("ec2", "CreateSubnet", m{"VpcId": vpc, "CidrBlock": "10.0.0.0/24", "AvailabilityZone": "eu-west-1a"})["Subnet"].(m)["SubnetId"]
	other := do("ec2", "CreateSubnet", m{"VpcId": vpc, "CidrBlock": "10.0.1.0/24", "AvailabilityZone": "eu-west-1b"})["Subnet"].(m)["SubnetId"]
	do("ec2", "RunInstances", m{"ImageId": "ami-12345678", "MinCount": 1, "MaxCount": 1, "SubnetId": subnet})
	igw := do("ec2", "CreateInternetGateway", nil)["InternetGateway"].(m)["InternetGatewayId"]
	do("ec2", "AttachInternetGateway", m{"InternetGatewayId": igw, "VpcId": vpc})
	eip := do("ec2", "AllocateAddress", m{"Domain": "vpc"})["AllocationId"]
	do("ec2", "CreateNatGateway", m{"SubnetId": subnet, "AllocationId": eip})
	do("ec2", "CreateVpcEndpoint", m{"VpcId": vpc, "ServiceName": "com.amazonaws.eu-west-1.s3"})
	do("ec2", "CreateVpnGateway", m{"Type": "ipsec.1"})
	customer := do("ec2", "CreateCustomerGateway", m{"Type": "ipsec.1", "PublicIp": "198.51.100.1", "BgpAsn": 65000})["CustomerGateway"].(m)["CustomerGatewayId"]
	gateway := do("ec2", "CreateVpnGateway", m{"Type": "ipsec.1"})["VpnGateway"].(m)["VpnGatewayId"]
	do("ec2", "CreateVpnConnection", m{"Type": "ipsec.1", "CustomerGatewayId": customer, "VpnGatewayId": gateway})
	do("ec2", "CreateVpcPeeringConnection", m{"VpcId": vpc, "PeerVpcId": vpc})
	do("ec2", "CreateEgressOnlyInternetGateway", m{"VpcId": vpc})

	do("s3", "CreateBucket", m{"Bucket": "acme-trails", "CreateBucketConfiguration": m{"LocationConstraint": "eu-west-1"}})
	do("ec2", "CreateFlowLogs", m{"ResourceIds": []any{vpc}, "ResourceType": "VPC", "TrafficType": "ALL", "LogDestinationType": "s3", "LogDestination": "arn:aws:s3:::acme-trails"})
	do("s3control", "PutPublicAccessBlock", m{"AccountId": "123456789012", "PublicAccessBlockConfiguration": m{"BlockPublicAcls": true}})
	do("cloudtrail", "CreateTrail", m{"Name": "acme-trail", "S3BucketName": "acme-trails"})
	do("kms", "CreateKey", m{})

	role := do("iam", "CreateRole", m{"RoleName": "acme", "AssumeRolePolicyDocument": trust})["Role"].(m)["Arn"]
	do("iam", "CreateUser", m{"UserName": "ann"})
	do("iam", "CreateGroup", m{"GroupName": "admins"})
	do("iam", "CreatePolicy", m{"PolicyName": "read", "PolicyDocument": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}`})

	do("rds", "CreateDBSubnetGroup", m{"DBSubnetGroupName": "db", "DBSubnetGroupDescription": "d", "SubnetIds": []any{subnet, other}})
	do("rds", "CreateDBInstance", m{"DBInstanceIdentifier": "orders", "DBInstanceClass": "db.t3.micro", "Engine": "mysql", "MasterUsername": "admin", "MasterUserPassword": "not-a-secret", "AllocatedStorage": 20})
	do("rds", "CreateDBSnapshot", m{"DBInstanceIdentifier": "orders", "DBSnapshotIdentifier": "orders-1"})
	do("rds", "CreateDBCluster", m{"DBClusterIdentifier": "stock", "Engine": "aurora-mysql", "MasterUsername": "admin", "MasterUserPassword": "not-a-secret"})
	do("rds", "CreateDBClusterSnapshot", m{"DBClusterIdentifier": "stock", "DBClusterSnapshotIdentifier": "stock-1"})
	do("redshift", "CreateClusterParameterGroup", m{"ParameterGroupName": "wide", "ParameterGroupFamily": "redshift-1.0", "Description": "d"})
	do("redshift", "CreateCluster", m{"ClusterIdentifier": "reports", "NodeType": "ra3.xlplus", "MasterUsername": "admin", "MasterUserPassword": "Not-a-secret-1"})

	do("elb", "CreateLoadBalancer", m{"LoadBalancerName": "old", "Listeners": []any{m{"Protocol": "HTTP", "LoadBalancerPort": 80, "InstancePort": 80}}, "Subnets": []any{subnet}})
	do("elbv2", "CreateLoadBalancer", m{"Name": "shop", "Subnets": []any{subnet, other}})
	do("autoscaling", "CreateLaunchConfiguration", m{"LaunchConfigurationName": "web", "ImageId": "ami-12345678", "InstanceType": "t3.micro"})
	do("autoscaling", "CreateAutoScalingGroup", m{"AutoScalingGroupName": "web", "LaunchConfigurationName": "web", "MinSize": 0, "MaxSize": 1, "VPCZoneIdentifier": subnet})
	do("autoscaling", "PutScalingPolicy", m{"AutoScalingGroupName": "web", "PolicyName": "grow", "AdjustmentType": "ChangeInCapacity", "ScalingAdjustment": 1})
	do("autoscaling", "PutScheduledUpdateGroupAction", m{"AutoScalingGroupName": "web", "ScheduledActionName": "night", "DesiredCapacity": 0, "Recurrence": "0 22 * * *"})

	do("dynamodb", "CreateTable", m{"TableName": "orders", "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": []any{m{"AttributeName": "id", "AttributeType": "S"}}, "KeySchema": []any{m{"AttributeName": "id", "KeyType": "HASH"}}})
	do("sns", "CreateTopic", m{"Name": "orders"})
	do("sqs", "CreateQueue", m{"QueueName": "orders"})
	do("secretsmanager", "CreateSecret", m{"Name": "orders", "SecretString": "not-a-secret"})
	do("cloudwatch", "PutMetricAlarm", m{"AlarmName": "busy", "MetricName": "CPUUtilization", "Namespace": "AWS/EC2", "Statistic": "Average", "Period": 60, "EvaluationPeriods": 1, "Threshold": 80.0, "ComparisonOperator": "GreaterThanThreshold"})
	do("efs", "CreateFileSystem", m{"CreationToken": "files"})
	do("acm", "RequestCertificate", m{"DomainName": "acme.example"})
	do("ecr", "CreateRepository", m{"repositoryName": "shop"})
	do("ecs", "CreateCluster", m{"clusterName": "shop"})
	do("ecs", "RegisterTaskDefinition", m{"family": "shop", "containerDefinitions": []any{m{"name": "web", "image": "shop", "memory": 128}}})
	do("eks", "CreateCluster", m{"name": "shop", "roleArn": role, "resourcesVpcConfig": m{"subnetIds": []any{subnet, other}}})
	do("opensearch", "CreateDomain", m{"DomainName": "search", "EngineVersion": "OpenSearch_2.11"})
	do("sagemaker", "CreateNotebookInstance", m{"NotebookInstanceName": "lab", "InstanceType": "ml.t3.medium", "RoleArn": role})
	do("backup", "CreateBackupVault", m{"BackupVaultName": "acme"})
	do("backup", "CreateBackupPlan", m{"BackupPlan": m{"BackupPlanName": "daily", "Rules": []any{m{"RuleName": "r", "TargetBackupVaultName": "acme"}}}})
	do("guardduty", "CreateDetector", m{"Enable": true})
	do("apigateway", "CreateRestApi", m{"name": "shop"})
	do("codebuild", "CreateProject", m{"name": "shop", "source": m{"type": "S3", "location": "acme/shop.zip"}, "artifacts": m{"type": "NO_ARTIFACTS"}, "serviceRole": role,
		"environment": m{"type": "LINUX_CONTAINER", "image": "i", "computeType": "BUILD_GENERAL1_SMALL"}})
	do("cloudfront", "CreateDistribution", m{"DistributionConfig": m{"CallerReference": "1", "Comment": "shop", "Enabled": true, "Origins": m{"Quantity": 1, "Items": []any{m{"Id": "o", "DomainName": "acme-trails.s3.amazonaws.com", "S3OriginConfig": m{"OriginAccessIdentity": ""}}}},
		"DefaultCacheBehavior": m{"TargetOriginId": "o", "ViewerProtocolPolicy": "https-only", "MinTTL": 0, "ForwardedValues": m{"QueryString": false, "Cookies": m{"Forward": "none"}}}}})
	do("kinesis", "CreateStream", m{"StreamName": "clicks", "ShardCount": 1})
	do("athena", "CreateWorkGroup", m{"Name": "reports"})
	do("apigatewayv2", "CreateApi", m{"Name": "shop", "ProtocolType": "HTTP"})
	do("appsync", "CreateGraphqlApi", m{"name": "shop", "authenticationType": "API_KEY"})
	do("mq", "CreateBroker", m{"BrokerName": "mail", "DeploymentMode": "SINGLE_INSTANCE", "EngineType": "RABBITMQ", "EngineVersion": "3.13", "HostInstanceType": "mq.t3.micro", "PubliclyAccessible": false, "Users": []any{m{"Username": "ann", "Password": "not-a-secret"}}})
	do("stepfunctions", "CreateStateMachine", m{"name": "order", "definition": `{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}`, "roleArn": role})
	do("codedeploy", "CreateApplication", m{"applicationName": "shop"})
	do("glue", "CreateJob", m{"Name": "load", "Role": role, "Command": m{"Name": "glueetl", "ScriptLocation": "s3://acme/load.py"}})
	do("sagemaker", "CreateModel", m{"ModelName": "guess", "ExecutionRoleArn": role})
	do("iam", "CreateOpenIDConnectProvider", m{"Url": "https://id.acme.example", "ThumbprintList": []any{"9e99a48a9960b14926bb7f3b02e22da2b0ab7280"}})
	do("ec2", "CreateTransitGateway", m{"Description": "hub"})
	do("ec2", "AllocateHosts", m{"AvailabilityZone": "eu-west-1a", "InstanceType": "m5.large", "Quantity": 1})
	do("wafv2", "CreateWebACL", m{"Name": "shop", "Scope": "REGIONAL", "DefaultAction": m{"Allow": m{}}, "VisibilityConfig": m{"SampledRequestsEnabled": true, "CloudWatchMetricsEnabled": true, "MetricName": "shop"}})
	do("cloudformation", "CreateStack", m{"StackName": "acme", "TemplateBody": `{"Resources":{"Topic":{"Type":"AWS::SNS::Topic"}}}`})
	do("elasticbeanstalk", "CreateApplication", m{"ApplicationName": "shop"})
	return []string{
		"AWS::AmazonMQ::Broker", "AWS::ApiGatewayV2::Api", "AWS::AppSync::GraphQLApi", "AWS::Athena::WorkGroup", "AWS::CloudFormation::Stack", "AWS::CodeDeploy::Application", "AWS::EC2::Host",
		"AWS::EC2::TransitGateway", "AWS::ElasticBeanstalk::Application", "AWS::Events::EventBus", "AWS::Glue::Job", "AWS::IAM::OIDCProvider", "AWS::Kinesis::Stream",
		"AWS::SageMaker::Model", "AWS::StepFunctions::StateMachine", "AWS::WAFv2::WebACL",
		"AWS::ACM::Certificate", "AWS::ApiGateway::RestApi", "AWS::AutoScaling::AutoScalingGroup", "AWS::AutoScaling::LaunchConfiguration", "AWS::AutoScaling::ScalingPolicy",
		"AWS::Backup::BackupPlan", "AWS::Backup::BackupVault", "AWS::CloudFront::Distribution", "AWS::CloudTrail::Trail", "AWS::CloudWatch::Alarm",
		"AWS::CodeBuild::Project", "AWS::DynamoDB::Table", "AWS::EC2::CustomerGateway", "AWS::EC2::EIP", "AWS::EC2::EgressOnlyInternetGateway", "AWS::EC2::FlowLog", "AWS::EC2::Instance",
		"AWS::EC2::InternetGateway", "AWS::EC2::NatGateway", "AWS::EC2::NetworkAcl", "AWS::EC2::NetworkInterface", "AWS::EC2::RouteTable", "AWS::EC2::SecurityGroup", "AWS::EC2::Subnet",
		"AWS::EC2::VPC", "AWS::EC2::VPCEndpoint", "AWS::EC2::VPCPeeringConnection", "AWS::EC2::VPNConnection", "AWS::EC2::VPNGateway", "AWS::EC2::Volume", "AWS::ECR::Repository",
		"AWS::ECS::Cluster", "AWS::ECS::TaskDefinition", "AWS::EFS::FileSystem", "AWS::EKS::Cluster", "AWS::ElasticLoadBalancing::LoadBalancer", "AWS::ElasticLoadBalancingV2::LoadBalancer",
		"AWS::GuardDuty::Detector", "AWS::IAM::Group", "AWS::IAM::Role", "AWS::IAM::User", "AWS::KMS::Key", "AWS::OpenSearch::Domain", "AWS::RDS::DBCluster",
		"AWS::RDS::DBClusterSnapshot", "AWS::RDS::DBInstance", "AWS::RDS::DBSnapshot", "AWS::RDS::DBSubnetGroup", "AWS::Redshift::Cluster", "AWS::Redshift::ClusterParameterGroup",
		"AWS::S3::AccountPublicAccessBlock", "AWS::S3::Bucket", "AWS::SNS::Topic", "AWS::SQS::Queue", "AWS::SageMaker::NotebookInstance", "AWS::SecretsManager::Secret",
	}
}
