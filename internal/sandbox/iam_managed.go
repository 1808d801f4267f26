package sandbox

// awsPolicies are some of the policies that AWS manages, by path and name. Those
// on all services are the sandbox's short form of AWS's, in what they are about.
// Source: AWS Managed Policy Reference Guide.
var awsPolicies = map[string]string{
	"AdministratorAccess": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`,
	"PowerUserAccess": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":["iam:*","organizations:*","account:*"],"Resource":"*"},` +
		`{"Effect":"Allow","Action":["account:GetAccountInformation","account:GetPrimaryEmail","account:ListRegions","iam:CreateServiceLinkedRole","iam:DeleteServiceLinkedRole",` +
		`"iam:ListRoles","organizations:DescribeOrganization"],"Resource":"*"}]}`,
	"ReadOnlyAccess": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["apigateway:GET","application-autoscaling:Describe*","athena:Batch*","athena:Get*","athena:List*","autoscaling:Describe*","backup:Describe*","backup:Get*","backup:List*","cloudtrail:Describe*",` +
		`"cloudtrail:Get*","cloudtrail:List*","cloudfront:Describe*","cloudfront:Get*","cloudfront:List*","cloudtrail:LookupEvents","cloudwatch:Describe*","cloudwatch:Get*","cloudwatch:List*","codebuild:BatchGet*","codebuild:List*","compute-optimizer:Get*","config:BatchGet*",` +
		`"config:Describe*","config:Get*","config:List*","config:Select*","dynamodb:BatchGet*","dynamodb:Describe*","dynamodb:Get*","dynamodb:List*","dynamodb:Query","dynamodb:Scan",` +
		`"ec2:Describe*","ec2:Get*","ec2:List*","ec2:SearchTransitGatewayRoutes","ecr:BatchGet*","ecr:Describe*","ecr:Get*","ecr:List*","ecs:Describe*","ecs:List*","elasticache:Describe*","elasticache:List*","elasticloadbalancing:Describe*","events:Describe*","events:List*","events:TestEventPattern",` +
		`"guardduty:Describe*","guardduty:Get*","guardduty:List*","iam:Generate*","iam:Get*","iam:List*","iam:Simulate*","inspector2:BatchGet*","inspector2:Describe*","inspector2:Get*",` +
		`"inspector2:List*","kms:Describe*","kms:Get*","kms:List*","lambda:Get*","lambda:List*","logs:Describe*","logs:FilterLogEvents","logs:Get*","macie2:Describe*","macie2:Get*","macie2:List*","organizations:Describe*",` +
		`"organizations:List*","rds:Describe*","rds:List*","redshift:Describe*","redshift:View*","s3:Get*","s3:List*","secretsmanager:DescribeSecret","secretsmanager:GetResourcePolicy","secretsmanager:List*","securityhub:BatchGet*","securityhub:Describe*","securityhub:Get*","securityhub:List*","sns:Check*",` +
		`"sns:Get*","sns:List*","sqs:Get*","sqs:List*","sqs:Receive*","ssm:Describe*","ssm:Get*","ssm:List*","sts:GetCallerIdentity","tag:Get*"],"Resource":"*"}]}`,
	"SecurityAudit": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["autoscaling:Describe*","backup:Describe*","backup:GetBackupVaultAccessPolicy","backup:List*",` +
		`"cloudtrail:Describe*","cloudtrail:Get*","cloudtrail:List*","cloudtrail:LookupEvents","cloudwatch:Describe*","config:BatchGet*","config:Describe*","config:Get*","config:List*",` +
		`"config:Select*","dynamodb:Describe*","dynamodb:List*","ec2:Describe*","ec2:GetEbsEncryptionByDefault","elasticloadbalancing:Describe*","events:Describe*","events:List*",` +
		`"guardduty:Get*","guardduty:List*","iam:GenerateCredentialReport","iam:Get*","iam:List*","iam:Simulate*","kms:Describe*","kms:Get*","kms:List*","lambda:GetFunctionConfiguration",` +
		`"lambda:GetPolicy","lambda:List*","organizations:Describe*","organizations:List*","rds:Describe*","rds:ListTagsForResource","s3:GetAccelerateConfiguration","s3:GetAccountPublicAccessBlock",` +
		`"s3:GetBucket*","s3:GetEncryptionConfiguration","s3:GetLifecycleConfiguration","s3:ListAllMyBuckets","s3:ListBucket","securityhub:BatchGet*","securityhub:Describe*","securityhub:Get*",` +
		`"securityhub:List*","sns:Get*","sns:List*","sqs:GetQueueAttributes","sqs:List*","ssm:Describe*","ssm:GetDocument","ssm:List*","tag:GetResources"],"Resource":"*"}]}`,
	"IAMFullAccess": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:*","organizations:DescribeAccount","organizations:DescribeOrganization",` +
		`"organizations:DescribeOrganizationalUnit","organizations:DescribePolicy","organizations:ListChildren","organizations:ListParents","organizations:ListPoliciesForTarget",` +
		`"organizations:ListRoots","organizations:ListPolicies","organizations:ListTargetsForPolicy"],"Resource":"*"}]}`,
	"IAMReadOnlyAccess": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:GenerateCredentialReport","iam:GenerateServiceLastAccessedDetails","iam:Get*","iam:List*",` +
		`"iam:SimulateCustomPolicy","iam:SimulatePrincipalPolicy"],"Resource":"*"}]}`,
	"IAMUserChangePassword": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:ChangePassword","Resource":"arn:aws:iam::*:user/${aws:username}"},` +
		`{"Effect":"Allow","Action":"iam:GetAccountPasswordPolicy","Resource":"*"}]}`,
	"AWSSupportAccess": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"support:*","Resource":"*"}]}`,
	"AmazonEC2FullAccess": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:*","elasticloadbalancing:*","cloudwatch:*","autoscaling:*"],"Resource":"*"},` +
		`{"Effect":"Allow","Action":"iam:CreateServiceLinkedRole","Resource":"*","Condition":{"StringEquals":{"iam:AWSServiceName":["autoscaling.amazonaws.com","ec2scheduled.amazonaws.com",` +
		`"elasticloadbalancing.amazonaws.com","spot.amazonaws.com","spotfleet.amazonaws.com","transitgateway.amazonaws.com"]}}}]}`,
	"AmazonEC2ReadOnlyAccess": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:Describe*","ec2:GetSecurityGroupsForVpc","elasticloadbalancing:Describe*",` +
		`"cloudwatch:ListMetrics","cloudwatch:GetMetricStatistics","cloudwatch:Describe*","autoscaling:Describe*"],"Resource":"*"}]}`,
	"AmazonS3FullAccess":     `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*","s3-object-lambda:*"],"Resource":"*"}]}`,
	"AmazonS3ReadOnlyAccess": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*","s3:List*","s3:Describe*","s3-object-lambda:Get*","s3-object-lambda:List*"],"Resource":"*"}]}`,
	"AmazonSSMManagedInstanceCore": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ssm:DescribeAssociation","ssm:GetDeployablePatchSnapshotForInstance","ssm:GetDocument",` +
		`"ssm:DescribeDocument","ssm:GetManifest","ssm:GetParameter","ssm:GetParameters","ssm:ListAssociations","ssm:ListInstanceAssociations","ssm:PutInventory","ssm:PutComplianceItems",` +
		`"ssm:PutConfigurePackageResult","ssm:UpdateAssociationStatus","ssm:UpdateInstanceAssociationStatus","ssm:UpdateInstanceInformation"],"Resource":"*"},` +
		`{"Effect":"Allow","Action":["ssmmessages:*Channel"],"Resource":"*"},{"Effect":"Allow","Action":["ec2messages:*"],"Resource":"*"}]}`,
	"job-function/ViewOnlyAccess": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["autoscaling:Describe*","backup:List*","cloudtrail:DescribeTrails","cloudtrail:LookupEvents",` +
		`"cloudwatch:Describe*","cloudwatch:List*","config:List*","config:Describe*","dynamodb:ListTables","ec2:Describe*","elasticloadbalancing:Describe*","events:ListRules","iam:List*",` +
		`"kms:ListAliases","kms:ListKeys","lambda:List*","rds:Describe*","s3:ListAllMyBuckets","s3:ListBucket","sns:List*","sqs:ListQueues"],"Resource":"*"}]}`,
	"service-role/AWSLambdaBasicExecutionRole": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]}`,
	"service-role/AmazonSSMAutomationRole": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"lambda:InvokeFunction","Resource":"arn:aws:lambda:*:*:function:Automation*"},` +
		`{"Effect":"Allow","Action":["ec2:CreateImage","ec2:CopyImage","ec2:DeregisterImage","ec2:DescribeImages","ec2:DeleteSnapshot","ec2:StartInstances","ec2:RunInstances","ec2:StopInstances",` +
		`"ec2:TerminateInstances","ec2:DescribeInstanceStatus","ec2:CreateTags","ec2:DeleteTags","ec2:DescribeTags","cloudformation:CreateStack","cloudformation:DescribeStackEvents",` +
		`"cloudformation:DescribeStacks","cloudformation:UpdateStack","cloudformation:DeleteStack"],"Resource":"*"},{"Effect":"Allow","Action":"ssm:*","Resource":"*"},` +
		`{"Effect":"Allow","Action":"sns:Publish","Resource":"arn:aws:sns:*:*:Automation*"}]}`,
}
