package sandbox

import (
	"testing"
	"time"
)

// expect fails where parts of an answer, by their paths, are not as they must be.
func (w *world) expect(service, operation string, in object, parts map[string]any) {
	w.t.Helper()
	out := w.do(service, operation, in)
	for path, want := range parts {
		if got := at(out, path); jsonText(object{"": got}) != jsonText(object{"": want}) {
			w.t.Errorf("%s:%s, %s is %v, want %v", service, operation, path, got, want)
		}
	}
}

func TestLogGroups(t *testing.T) {
	w := newWorld(t)
	g := object{"logGroupName": "/acme/web"}
	w.do("logs", "CreateLogGroup", object{"logGroupName": "/acme/web", "tags": object{"team": "web"}})
	w.fails("ResourceAlreadyExistsException", "logs", "CreateLogGroup", g)
	w.fails("InvalidParameterException", "logs", "CreateLogGroup", object{"logGroupName": "a b"})
	w.fails("InvalidParameterException", "logs", "PutRetentionPolicy", object{"logGroupName": "/acme/web", "retentionInDays": int64(2)})
	w.fails("ResourceNotFoundException", "logs", "PutRetentionPolicy", object{"logGroupName": "x", "retentionInDays": int64(1)})
	w.do("logs", "PutRetentionPolicy", object{"logGroupName": "/acme/web", "retentionInDays": int64(365)})
	w.do("logs", "PutMetricFilter", object{"logGroupName": "/acme/web", "filterName": "f", "filterPattern": "ERROR", "metricTransformations": []any{object{"metricName": "errors", "metricNamespace": "acme", "metricValue": "1"}}})
	w.expect("logs", "DescribeLogGroups", object{"logGroupNamePrefix": "/acme"}, map[string]any{
		"logGroups.0.retentionInDays": 365, "logGroups.0.metricFilterCount": 1, "logGroups.0.arn": "arn:aws:logs:eu-west-1:111122223333:log-group:/acme/web:*"})
	w.expect("logs", "DescribeMetricFilters", object{"metricName": "errors", "metricNamespace": "acme"}, map[string]any{"metricFilters.0.filterPattern": "ERROR"})
	if n := len(w.do("logs", "DescribeMetricFilters", object{"metricName": "others", "metricNamespace": "acme"})["metricFilters"].([]any)); n != 0 {
		t.Errorf("%d filters of a metric that none feeds", n)
	}
	w.do("logs", "DeleteRetentionPolicy", g)
	w.do("logs", "DeleteMetricFilter", object{"logGroupName": "/acme/web", "filterName": "f"})
	w.fails("ResourceNotFoundException", "logs", "DeleteMetricFilter", object{"logGroupName": "/acme/web", "filterName": "f"})
	w.expect("logs", "DescribeLogGroups", nil, map[string]any{"logGroups.0.retentionInDays": nil, "logGroups.0.metricFilterCount": 0})
	u := w.user("reader", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"logs:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"web"}}}]}`)
	u.do("logs", "PutRetentionPolicy", object{"logGroupName": "/acme/web", "retentionInDays": int64(1)})
	w.do("logs", "CreateLogGroup", object{"logGroupName": "other"})
	u.fails("AccessDeniedException", "logs", "DeleteLogGroup", object{"logGroupName": "other"})
	w.do("logs", "DeleteLogGroup", g)
	w.fails("ResourceNotFoundException", "logs", "DeleteLogGroup", g)
}

func TestSecretsLife(t *testing.T) {
	w := newWorld(t)
	db := object{"SecretId": "db"}
	made := w.do("secretsmanager", "CreateSecret", object{"Name": "db", "SecretString": "correct-horse", "ClientRequestToken": "0123456789012345678901234567890123456789"})
	if again := w.do("secretsmanager", "CreateSecret", object{"Name": "db", "SecretString": "correct-horse", "ClientRequestToken": "0123456789012345678901234567890123456789"}); again["ARN"] != made["ARN"] {
		t.Errorf("one token made %v and %v", made["ARN"], again["ARN"])
	}
	w.fails("ResourceExistsException", "secretsmanager", "CreateSecret", object{"Name": "db"})
	w.fails("InvalidRequestException", "secretsmanager", "RotateSecret", object{"SecretId": "db", "RotationRules": object{"AutomaticallyAfterDays": int64(30)}})
	w.expect("secretsmanager", "DescribeSecret", object{"SecretId": made["ARN"]}, map[string]any{"Name": "db", "LastAccessedDate": nil, "RotationEnabled": nil})
	w.expect("secretsmanager", "GetSecretValue", db, map[string]any{"SecretString": "correct-horse"})
	w.expect("secretsmanager", "DescribeSecret", db, map[string]any{"LastAccessedDate": w.clock.Now().Truncate(24 * time.Hour)})
	w.do("secretsmanager", "RotateSecret", object{"SecretId": "db", "RotationLambdaARN": "arn:aws:lambda:eu-west-1:111122223333:function:f", "RotationRules": object{"AutomaticallyAfterDays": int64(30)}, "RotateImmediately": false})
	w.expect("secretsmanager", "DescribeSecret", db, map[string]any{"RotationEnabled": true, "LastRotatedDate": nil, "RotationRules.AutomaticallyAfterDays": 30})
	w.do("secretsmanager", "CancelRotateSecret", db)
	w.expect("secretsmanager", "DescribeSecret", db, map[string]any{"RotationEnabled": false})
	w.fails("InvalidParameterException", "secretsmanager", "DeleteSecret", object{"SecretId": "db", "RecoveryWindowInDays": int64(3)})
	w.do("secretsmanager", "DeleteSecret", object{"SecretId": "db", "RecoveryWindowInDays": int64(7)})
	w.fails("InvalidRequestException", "secretsmanager", "GetSecretValue", db)
	w.do("secretsmanager", "RestoreSecret", db)
	w.do("secretsmanager", "GetSecretValue", db)
	w.do("secretsmanager", "DeleteSecret", object{"SecretId": "db", "RecoveryWindowInDays": int64(7)})
	w.clock.Advance(8 * 24 * time.Hour)
	w.fails("ResourceNotFoundException", "secretsmanager", "DescribeSecret", db)
}

func TestRedshiftClusters(t *testing.T) {
	w := newWorld(t)
	dw := object{"ClusterIdentifier": "dw"}
	w.do("redshift", "CreateCluster", object{"ClusterIdentifier": "dw", "NodeType": "ra3.large", "MasterUsername": "m", "MasterUserPassword": "Secret-99", "PubliclyAccessible": true})
	w.fails("ClusterAlreadyExists", "redshift", "CreateCluster", object{"ClusterIdentifier": "dw", "NodeType": "ra3.large", "MasterUsername": "m"})
	w.fails("InvalidClusterState", "redshift", "ModifyCluster", object{"ClusterIdentifier": "dw", "AllowVersionUpgrade": false})
	w.clock.Advance(redshiftCreation)
	w.expect("redshift", "DescribeClusters", dw, map[string]any{"Clusters.0.ClusterStatus": "available", "Clusters.0.MasterUserPassword": nil, "Clusters.0.AutomatedSnapshotRetentionPeriod": 1})
	w.fails("InvalidParameterValue", "redshift", "ModifyCluster", object{"ClusterIdentifier": "dw", "AutomatedSnapshotRetentionPeriod": int64(36)})
	w.do("redshift", "ModifyCluster", object{"ClusterIdentifier": "dw", "AllowVersionUpgrade": false, "PubliclyAccessible": false})
	w.expect("redshift", "DescribeClusters", dw, map[string]any{"Clusters.0.ClusterStatus": "modifying", "Clusters.0.AllowVersionUpgrade": false, "Clusters.0.PubliclyAccessible": true,
		"Clusters.0.PendingModifiedValues.PubliclyAccessible": false})
	w.clock.Advance(redshiftChange)
	w.expect("redshift", "DescribeClusters", dw, map[string]any{"Clusters.0.ClusterStatus": "available", "Clusters.0.PubliclyAccessible": false})
	w.fails("InvalidParameterValue", "redshift", "ModifyCluster", object{"ClusterIdentifier": "dw", "AutomatedSnapshotRetentionPeriod": int64(0)})
	w.fails("BucketNotFoundFault", "redshift", "EnableLogging", object{"ClusterIdentifier": "dw", "BucketName": "none"})
	w.do("s3", "CreateBucket", object{"Bucket": "audit", "CreateBucketConfiguration": object{"LocationConstraint": "eu-west-1"}})
	w.fails("InsufficientS3BucketPolicyFault", "redshift", "EnableLogging", object{"ClusterIdentifier": "dw", "BucketName": "audit"})
	w.expect("redshift", "DescribeLoggingStatus", dw, map[string]any{"LoggingEnabled": false})
	w.fails("ClusterNotFound", "redshift", "DescribeLoggingStatus", object{"ClusterIdentifier": "x"})
}

func TestRedshiftEncryption(t *testing.T) {
	w := newWorld(t)
	dw := object{"ClusterIdentifier": "dw"}
	settle := func(in object) {
		in["ClusterIdentifier"] = "dw"
		w.do("redshift", "ModifyCluster", in)
		w.clock.Advance(redshiftChange)
	}
	given := object{"ClusterIdentifier": "dw", "NodeType": "ra3.large", "MasterUsername": "m", "MasterUserPassword": "Secret-99", "Encrypted": false}
	w.fails("InvalidParameterValue", "redshift", "CreateCluster", given)
	delete(given, "Encrypted")
	w.do("redshift", "CreateCluster", given)
	w.clock.Advance(redshiftCreation)
	w.expect("redshift", "DescribeClusters", dw, map[string]any{"Clusters.0.Encrypted": true, "Clusters.0.KmsKeyId": nil})
	w.fails("InvalidParameterValue", "redshift", "ModifyCluster", object{"ClusterIdentifier": "dw", "KmsKeyId": "none"})
	key := at(w.do("kms", "CreateKey", nil), "KeyMetadata.Arn")
	settle(object{"KmsKeyId": last(key.(string))})
	w.expect("redshift", "DescribeClusters", dw, map[string]any{"Clusters.0.Encrypted": true, "Clusters.0.KmsKeyId": key})
	w.do("redshift", "ModifyCluster", object{"ClusterIdentifier": "dw", "Encrypted": false})
	w.expect("redshift", "DescribeClusters", dw, map[string]any{"Clusters.0.Encrypted": true, "Clusters.0.PendingModifiedValues.EncryptionType": "None"})
	w.clock.Advance(redshiftChange)
	w.expect("redshift", "DescribeClusters", dw, map[string]any{"Clusters.0.Encrypted": false, "Clusters.0.KmsKeyId": nil})
	settle(object{"Encrypted": true})
	own := at(w.do("kms", "DescribeKey", object{"KeyId": "alias/aws/redshift"}), "KeyMetadata.Arn")
	w.expect("redshift", "DescribeClusters", dw, map[string]any{"Clusters.0.Encrypted": true, "Clusters.0.KmsKeyId": own})
}

func TestDistributions(t *testing.T) {
	w := newWorld(t)
	config := object{"CallerReference": "a", "Comment": "", "Enabled": true, "Origins": object{"Quantity": int64(1), "Items": []any{object{"Id": "o", "DomainName": "b.s3.amazonaws.com", "S3OriginConfig": object{"OriginAccessIdentity": ""}}}},
		"DefaultCacheBehavior": object{"TargetOriginId": "o", "ViewerProtocolPolicy": "https-only"}}
	made := w.do("cloudfront", "CreateDistribution", object{"DistributionConfig": config})
	id, tag := at(made, "Distribution.Id"), made["ETag"]
	w.fails("DistributionAlreadyExists", "cloudfront", "CreateDistribution", object{"DistributionConfig": config})
	w.inRegion("us-east-1").expect("cloudfront", "GetDistribution", object{"Id": id}, map[string]any{"Distribution.Status": "InProgress"}) // it is in no Region
	w.clock.Advance(deployment)
	w.expect("cloudfront", "GetDistribution", object{"Id": id}, map[string]any{"Distribution.Status": "Deployed"})
	next := object(structure(config).with(structure{"DefaultRootObject": "index.html"}))
	w.fails("InvalidIfMatchVersion", "cloudfront", "UpdateDistribution", object{"Id": id, "DistributionConfig": next})
	w.fails("PreconditionFailed", "cloudfront", "UpdateDistribution", object{"Id": id, "DistributionConfig": next, "IfMatch": "E1"})
	w.do("cloudfront", "UpdateDistribution", object{"Id": id, "DistributionConfig": next, "IfMatch": tag})
	w.fails("PreconditionFailed", "cloudfront", "UpdateDistribution", object{"Id": id, "DistributionConfig": next, "IfMatch": tag})
	w.expect("cloudfront", "GetDistributionConfig", object{"Id": id}, map[string]any{"DistributionConfig.DefaultRootObject": "index.html"})
	w.fails("NoSuchDistribution", "cloudfront", "GetDistributionConfig", object{"Id": "E0"})
}

func TestStagesOfAPIs(t *testing.T) {
	w := newWorld(t)
	api := w.do("apigateway", "CreateRestApi", object{"name": "orders"})["id"]
	w.do("apigateway", "CreateDeployment", object{"restApiId": api, "stageName": "prod"})
	patch := func(path, value string) object {
		return object{"restApiId": api, "stageName": "prod", "patchOperations": []any{object{"op": "replace", "path": path, "value": value}}}
	}
	w.fails("BadRequestException", "apigateway", "UpdateStage", patch("/*/*/logging/loglevel", "INFO")) // the account has no role for it
	w.do("apigateway", "UpdateAccount", object{"patchOperations": []any{object{"op": "replace", "path": "/cloudwatchRoleArn", "value": "arn:aws:iam::111122223333:role/logs"}}})
	w.do("apigateway", "UpdateStage", patch("/*/*/logging/loglevel", "INFO"))
	w.do("apigateway", "UpdateStage", patch("/~1orders/GET/caching/ttlInSeconds", "60"))
	w.do("apigateway", "UpdateStage", patch("/tracingEnabled", "true"))
	for path, value := range map[string]string{"/*/*/logging/loglevel": "LOUD", "/*/*/caching/enabled": "maybe", "/*/*/caching/colour": "red", "/orders": "x"} {
		w.fails("BadRequestException", "apigateway", "UpdateStage", patch(path, value))
	}
	stage := w.do("apigateway", "GetStage", object{"restApiId": api, "stageName": "prod"})
	methods := stage["methodSettings"].(object)
	if methods["*/*"].(object)["loggingLevel"] != "INFO" || methods["orders/GET"].(object)["cacheTtlInSeconds"] != int64(60) || stage["tracingEnabled"] != true {
		t.Errorf("%v", stage)
	}
	w.fails("NotFoundException", "apigateway", "GetStage", object{"restApiId": api, "stageName": "test"})
	w.fails("BadRequestException", "apigatewayv2", "CreateApi", object{"Name": "chat", "ProtocolType": "WEBSOCKET"})
	socket := w.do("apigatewayv2", "CreateApi", object{"Name": "chat", "ProtocolType": "WEBSOCKET", "RouteSelectionExpression": "$request.body.action"})["ApiId"]
	w.do("apigatewayv2", "CreateStage", object{"ApiId": socket, "StageName": "prod", "RouteSettings": object{"send": object{"DataTraceEnabled": true}}})
	w.do("apigatewayv2", "UpdateStage", object{"ApiId": socket, "StageName": "prod", "RouteSettings": object{"send": object{"LoggingLevel": "ERROR"}}})
	w.expect("apigatewayv2", "GetStage", object{"ApiId": socket, "StageName": "prod"}, map[string]any{"RouteSettings.send.DataTraceEnabled": true, "RouteSettings.send.LoggingLevel": "ERROR"})
}

func TestCaches(t *testing.T) {
	w := newWorld(t)
	w.do("elasticache", "CreateReplicationGroup", object{"ReplicationGroupId": "s", "ReplicationGroupDescription": "sessions", "NumCacheClusters": int64(1)})
	w.fails("InvalidReplicationGroupState", "elasticache", "ModifyReplicationGroup", object{"ReplicationGroupId": "s"})
	w.clock.Advance(cacheCreation)
	w.fails("InvalidParameterCombination", "elasticache", "ModifyReplicationGroup", object{"ReplicationGroupId": "s", "AutomaticFailoverEnabled": true})
	w.do("elasticache", "CreateReplicationGroup", object{"ReplicationGroupId": "r", "ReplicationGroupDescription": "sessions", "NumCacheClusters": int64(2)})
	w.clock.Advance(cacheCreation)
	w.do("elasticache", "ModifyReplicationGroup", object{"ReplicationGroupId": "r", "AutomaticFailoverEnabled": true})
	w.expect("elasticache", "DescribeReplicationGroups", object{"ReplicationGroupId": "r"}, map[string]any{"ReplicationGroups.0.Status": "modifying", "ReplicationGroups.0.AutomaticFailover": "enabling"})
	w.clock.Advance(cacheChange)
	w.expect("elasticache", "DescribeReplicationGroups", object{"ReplicationGroupId": "r"}, map[string]any{"ReplicationGroups.0.Status": "available", "ReplicationGroups.0.AutomaticFailover": "enabled"})
	w.do("elasticache", "ModifyCacheCluster", object{"CacheClusterId": "r-001", "SnapshotRetentionLimit": int64(7)})
	w.expect("elasticache", "DescribeCacheClusters", object{"CacheClusterId": "r-001"}, map[string]any{"CacheClusters.0.SnapshotRetentionLimit": 7, "CacheClusters.0.ReplicationGroupId": "r"})
	w.fails("CacheClusterNotFound", "elasticache", "DescribeCacheClusters", object{"CacheClusterId": "x"})
}

func TestDBClusters(t *testing.T) {
	w := newWorld(t)
	arn := at(w.do("rds", "CreateDBCluster", object{"DBClusterIdentifier": "Orders", "Engine": "aurora-mysql", "MasterUsername": "m", "MasterUserPassword": "secret-99"}), "DBCluster.DBClusterArn")
	w.fails("InvalidDBClusterStateFault", "rds", "ModifyDBCluster", object{"DBClusterIdentifier": "orders", "DeletionProtection": true})
	w.clock.Advance(clusterCreation)
	w.do("rds", "ModifyDBCluster", object{"DBClusterIdentifier": arn, "DeletionProtection": true, "BackupRetentionPeriod": int64(7), "ApplyImmediately": true})
	w.expect("rds", "DescribeDBClusters", object{"DBClusterIdentifier": arn}, map[string]any{"DBClusters.0.DeletionProtection": true, "DBClusters.0.BackupRetentionPeriod": 1, "DBClusters.0.PendingModifiedValues.BackupRetentionPeriod": 7})
	w.clock.Advance(dbNotice + dbChange)
	w.expect("rds", "DescribeDBClusters", nil, map[string]any{"DBClusters.0.Status": "available", "DBClusters.0.BackupRetentionPeriod": 7})
	w.fails("InvalidParameterCombination", "rds", "DeleteDBCluster", object{"DBClusterIdentifier": "orders", "SkipFinalSnapshot": true})
	w.do("rds", "ModifyDBCluster", object{"DBClusterIdentifier": "orders", "DeletionProtection": false})
	w.do("rds", "DeleteDBCluster", object{"DBClusterIdentifier": "orders", "SkipFinalSnapshot": true})
	w.clock.Advance(dbChange)
	w.fails("DBClusterNotFoundFault", "rds", "DescribeDBClusters", object{"DBClusterIdentifier": "orders"})
	w.fails("InvalidParameterValue", "rds", "CreateDBCluster", object{"DBClusterIdentifier": "x", "Engine": "oracle"})
}

func TestEndpointsGatewaysAndProfiles(t *testing.T) {
	w := newWorld(t)
	vpc := at(w.do("ec2", "CreateVpc", object{"CidrBlock": "10.7.0.0/16"}), "Vpc.VpcId")
	endpoint := object{"VpcId": vpc, "VpcEndpointType": "Interface", "ServiceName": "com.amazonaws.eu-west-1.ec2"}
	w.fails("InvalidParameter", "ec2", "CreateVpcEndpoint", endpoint) // its VPC has no names for hosts
	w.expect("ec2", "DescribeVpcAttribute", object{"VpcId": vpc, "Attribute": "enableDnsHostnames"}, map[string]any{"EnableDnsHostnames.Value": false})
	w.do("ec2", "ModifyVpcAttribute", object{"VpcId": vpc, "EnableDnsHostnames": object{"Value": true}})
	id := at(w.do("ec2", "CreateVpcEndpoint", endpoint), "VpcEndpoint.VpcEndpointId")
	w.fails("InvalidParameter", "ec2", "CreateVpcEndpoint", endpoint)
	w.fails("InvalidServiceName", "ec2", "CreateVpcEndpoint", object{"VpcId": vpc, "ServiceName": "com.example"})
	w.clock.Advance(endpointCreation)
	w.expect("ec2", "DescribeVpcEndpoints", object{"VpcEndpointIds": []any{id}}, map[string]any{"VpcEndpoints.0.State": "available", "VpcEndpoints.0.PrivateDnsEnabled": true})
	tgw := at(w.do("ec2", "CreateTransitGateway", object{"Options": object{"AutoAcceptSharedAttachments": "enable"}}), "TransitGateway.TransitGatewayId")
	w.fails("IncorrectState", "ec2", "ModifyTransitGateway", object{"TransitGatewayId": tgw})
	w.clock.Advance(gatewayCreation)
	w.do("ec2", "ModifyTransitGateway", object{"TransitGatewayId": tgw, "Options": object{"AutoAcceptSharedAttachments": "disable"}})
	w.expect("ec2", "DescribeTransitGateways", object{"TransitGatewayIds": []any{tgw}}, map[string]any{"TransitGateways.0.Options.AutoAcceptSharedAttachments": "disable", "TransitGateways.0.Options.DnsSupport": "enable"})
	w.do("iam", "CreateInstanceProfile", object{"InstanceProfileName": "web"})
	i := w.launch(object{})
	w.do("ec2", "AssociateIamInstanceProfile", object{"InstanceId": i, "IamInstanceProfile": object{"Name": "web"}})
	w.fails("IncorrectState", "ec2", "AssociateIamInstanceProfile", object{"InstanceId": i, "IamInstanceProfile": object{"Name": "web"}})
	found := w.do("ec2", "DescribeIamInstanceProfileAssociations", object{"Filters": []any{object{"Name": "instance-id", "Values": []any{i}}}})
	w.do("ec2", "DisassociateIamInstanceProfile", object{"AssociationId": at(found, "IamInstanceProfileAssociations.0.AssociationId")})
	w.expect("ec2", "DescribeIamInstanceProfileAssociations", nil, map[string]any{"IamInstanceProfileAssociations": []any{}})
}

func TestOtherKeptSettings(t *testing.T) {
	w := newWorld(t)
	w.do("codebuild", "CreateProject", object{"name": "web", "source": object{"type": "NO_SOURCE"}, "artifacts": object{"type": "NO_ARTIFACTS"}, "serviceRole": "arn:aws:iam::111122223333:role/b",
		"environment": object{"type": "LINUX_CONTAINER", "image": "i", "computeType": "BUILD_GENERAL1_SMALL", "environmentVariables": []any{object{"name": "A", "value": "b"}}}})
	w.expect("codebuild", "BatchGetProjects", object{"names": []any{"web", "none"}}, map[string]any{"projects.0.environment.environmentVariables.0.type": "PLAINTEXT", "projectsNotFound": []any{"none"}})
	w.fails("ResourceNotFoundException", "codebuild", "UpdateProject", object{"name": "none"})
	w.do("ecr", "CreateRepository", object{"repositoryName": "a/b"})
	w.fails("RepositoryAlreadyExistsException", "ecr", "CreateRepository", object{"repositoryName": "a/b"})
	w.fails("RepositoryNotFoundException", "ecr", "PutImageScanningConfiguration", object{"repositoryName": "c", "imageScanningConfiguration": object{"scanOnPush": true}})
	containers := []any{object{"name": "web", "image": "nginx"}}
	w.do("ecs", "RegisterTaskDefinition", object{"family": "web", "containerDefinitions": containers})
	w.expect("ecs", "RegisterTaskDefinition", object{"family": "web", "containerDefinitions": containers, "tags": []any{object{"key": "a", "value": "b"}}}, map[string]any{"taskDefinition.revision": 2})
	w.expect("ecs", "DescribeTaskDefinition", object{"taskDefinition": "web", "include": []any{"TAGS"}}, map[string]any{"taskDefinition.revision": 2, "tags.0.key": "a", "taskDefinition.tags": nil})
	w.fails("ClientException", "ecs", "DescribeTaskDefinition", object{"taskDefinition": "web:9"})
	w.do("athena", "CreateWorkGroup", object{"Name": "a", "Configuration": object{"BytesScannedCutoffPerQuery": int64(10000000)}})
	w.do("athena", "UpdateWorkGroup", object{"WorkGroup": "a", "ConfigurationUpdates": object{"PublishCloudWatchMetricsEnabled": true, "RemoveBytesScannedCutoffPerQuery": true}})
	w.expect("athena", "GetWorkGroup", object{"WorkGroup": "a"}, map[string]any{"WorkGroup.Configuration.PublishCloudWatchMetricsEnabled": true, "WorkGroup.Configuration.BytesScannedCutoffPerQuery": nil})
	w.fails("AccessDeniedException", "macie2", "GetMacieSession", nil)
	w.do("macie2", "EnableMacie", nil)
	w.fails("ConflictException", "macie2", "EnableMacie", nil)
	target := object{"ServiceNamespace": "dynamodb", "ResourceId": "table/t", "ScalableDimension": "dynamodb:table:ReadCapacityUnits"}
	policy := object(structure(target).with(structure{"PolicyName": "p", "PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": object{"TargetValue": 70.0}}))
	w.fails("ObjectNotFoundException", "application-autoscaling", "PutScalingPolicy", policy)
	w.fails("ValidationException", "application-autoscaling", "RegisterScalableTarget", target)
	w.do("application-autoscaling", "RegisterScalableTarget", object(structure(target).with(structure{"MinCapacity": int64(1), "MaxCapacity": int64(9)})))
	w.do("application-autoscaling", "PutScalingPolicy", policy)
	w.expect("application-autoscaling", "DescribeScalingPolicies", object{"ServiceNamespace": "dynamodb"}, map[string]any{"ScalingPolicies.0.PolicyType": "TargetTrackingScaling"})
	setting := object{"SettingId": "/ssm/parameter-store/default-parameter-tier"}
	w.do("ssm", "UpdateServiceSetting", object{"SettingId": setting["SettingId"], "SettingValue": "Advanced"})
	w.expect("ssm", "GetServiceSetting", setting, map[string]any{"ServiceSetting.SettingValue": "Advanced", "ServiceSetting.Status": "Customized"})
	w.expect("ssm", "ResetServiceSetting", setting, map[string]any{"ServiceSetting.SettingValue": "Standard", "ServiceSetting.Status": "Default"})
	w.fails("ServiceSettingNotFound", "ssm", "GetServiceSetting", object{"SettingId": "/ssm/x"})
	// A snapshot has all of it.
	raw, err := w.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Restore(Options{Catalog: w.catalog, Clock: w.clock}, raw)
	if err != nil {
		t.Fatal(err)
	}
	other := &world{back, t, w.clock, OperatorKey}
	other.expect("codebuild", "BatchGetProjects", object{"names": []any{"web"}}, map[string]any{"projects.0.created": at(w.do("codebuild", "BatchGetProjects", object{"names": []any{"web"}}), "projects.0.created")})
}

func TestAPublicDBIsModifiedForAMoment(t *testing.T) {
	w := newWorld(t)
	w.newDB(object{"PubliclyAccessible": true})
	id := at(w.do("rds", "DescribeDBInstances", nil), "DBInstances.0.DBInstanceIdentifier")
	w.do("rds", "ModifyDBInstance", object{"DBInstanceIdentifier": id, "PubliclyAccessible": false})
	for _, c := range []struct {
		wait   time.Duration
		status string
	}{{0, "available"}, {dbNotice, "modifying"}, {dbChange, "available"}} {
		w.clock.Advance(c.wait)
		w.expect("rds", "DescribeDBInstances", nil, map[string]any{"DBInstances.0.DBInstanceStatus": c.status, "DBInstances.0.PubliclyAccessible": false})
	}
}
