package sandbox

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestBoto3DrivesData(t *testing.T) {
	if err := exec.Command("python3", "-c", "import boto3").Run(); err != nil {
		t.Skip("python3 with boto3 is not installed")
	}
	w := newWorld(t)
	server := httptest.NewServer(w.Sandbox)
	defer server.Close()
	cmd := exec.CommandContext(t.Context(), "python3", "-c", `
import boto3, botocore, datetime, io, json, os, socket, urllib.request
s3, control, rds, dynamodb, backup = (boto3.client(n) for n in ("s3", "s3control", "rds", "dynamodb", "backup"))
account = "111122223333"
# s3control's host is the account in front of the endpoint's.
resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *a, **k: resolve(host.removeprefix(account + "."), *a, **k)
role = "arn:aws:iam::" + account + ":role/service-role/AWSBackupDefaultServiceRole"

def ask(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    return json.load(urllib.request.urlopen(urllib.request.Request(os.environ["AWS_ENDPOINT_URL"] + "/_knowngood/" + path, data, method=method)))

def advance(d):
    return datetime.datetime.fromisoformat(ask("POST", "clock", {"advance": d})["now"].replace("Z", "+00:00"))

def code(call, **kw):
    try:
        call(**kw)
    except botocore.exceptions.ClientError as e:
        return e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"]

# S3
s3.create_bucket(Bucket="acme", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
print("defaults", s3.get_bucket_encryption(Bucket="acme")["ServerSideEncryptionConfiguration"]["Rules"][0]["ApplyServerSideEncryptionByDefault"], s3.get_bucket_ownership_controls(Bucket="acme")["OwnershipControls"]["Rules"],
      s3.get_bucket_acl(Bucket="acme")["Grants"][0]["Permission"], s3.get_bucket_acl(Bucket="acme")["Grants"][0]["Grantee"]["Type"], "Status" in s3.get_bucket_versioning(Bucket="acme"))
s3.put_bucket_versioning(Bucket="acme", VersioningConfiguration={"Status": "Enabled"})
s3.put_bucket_tagging(Bucket="acme", Tagging={"TagSet": [{"Key": "a", "Value": "b & <c>"}]})
s3.put_bucket_lifecycle_configuration(Bucket="acme", LifecycleConfiguration={"Rules": [{"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "x/"}, "Expiration": {"Days": 30}}]})
print("kept", s3.get_bucket_tagging(Bucket="acme")["TagSet"][0]["Value"], s3.get_bucket_lifecycle_configuration(Bucket="acme")["Rules"][0]["Expiration"]["Days"])
one = s3.put_object(Bucket="acme", Key="a b/ü+%.txt", Body=b"hello", Metadata={"owner": "ada"}, ContentType="text/plain")
two = s3.put_object(Bucket="acme", Key="a b/ü+%.txt", Body=io.BytesIO(b"goodbye"))
got = s3.get_object(Bucket="acme", Key="a b/ü+%.txt", VersionId=one["VersionId"], Range="bytes=1-3", ChecksumMode="ENABLED")
print("object", got["Body"].read(), got["ContentRange"], got["ResponseMetadata"]["HTTPStatusCode"], got["ContentType"], got["Metadata"], got["ETag"] == one["ETag"], got["ServerSideEncryption"])
print("listed", [(o["Key"], o["Size"]) for o in s3.list_objects_v2(Bucket="acme")["Contents"]], s3.list_objects_v2(Bucket="acme", Delimiter="/")["CommonPrefixes"])
print("conditions", code(s3.get_object, Bucket="acme", Key="a b/ü+%.txt", IfNoneMatch=two["ETag"]), code(s3.put_object, Bucket="acme", Key="a b/ü+%.txt", Body=b"", IfNoneMatch="*"), code(s3.head_object, Bucket="acme", Key="none"))
s3.delete_object(Bucket="acme", Key="a b/ü+%.txt")
v = s3.list_object_versions(Bucket="acme")
print("deleted", code(s3.get_object, Bucket="acme", Key="a b/ü+%.txt"), [x["IsLatest"] for x in v["Versions"]], [x["IsLatest"] for x in v["DeleteMarkers"]])
s3.delete_objects(Bucket="acme", Delete={"Objects": [{"Key": "a b/ü+%.txt", "VersionId": v["DeleteMarkers"][0]["VersionId"]}]})
s3.upload_fileobj(io.BytesIO(b"x" * 100000), "acme", "large")
s3.copy_object(Bucket="acme", Key="copy", CopySource={"Bucket": "acme", "Key": "a b/ü+%.txt"})
print("copied", s3.get_object(Bucket="acme", Key="copy")["Body"].read(), s3.head_object(Bucket="acme", Key="large")["ContentLength"])
far = boto3.client("s3", region_name="us-east-1")
print("redirected", far.get_bucket_tagging(Bucket="acme")["ResponseMetadata"]["HTTPStatusCode"], far.get_bucket_location(Bucket="acme")["LocationConstraint"])
print("refused", code(s3.put_bucket_acl, Bucket="acme", ACL="public-read"), code(s3.delete_bucket, Bucket="acme"), code(s3.get_bucket_policy, Bucket="acme"), code(s3.head_bucket, Bucket="nobody"))
control.put_public_access_block(AccountId=account, PublicAccessBlockConfiguration={"BlockPublicPolicy": True})
s3.delete_public_access_block(Bucket="acme")
print("account", control.get_public_access_block(AccountId=account)["PublicAccessBlockConfiguration"]["BlockPublicPolicy"],
      code(s3.put_bucket_policy, Bucket="acme", Policy=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::acme/*"}]})))

# RDS
rds.create_db_instance(DBInstanceIdentifier="shop", DBInstanceClass="db.t4g.micro", Engine="mysql", MasterUsername="ada", MasterUserPassword="correct horse", AllocatedStorage=100, Tags=[{"Key": "team", "Value": "a"}])
advance("10m")
d = rds.describe_db_instances(DBInstanceIdentifier="shop")["DBInstances"][0]
print("database", d["DBInstanceStatus"], d["Endpoint"]["Port"], d["StorageEncrypted"], d["TagList"], rds.list_tags_for_resource(ResourceName=d["DBInstanceArn"])["TagList"] == d["TagList"])
print("pending", rds.modify_db_instance(DBInstanceIdentifier="shop", AllocatedStorage=200)["DBInstance"]["PendingModifiedValues"])
at = advance("1h")
writes = ask("GET", "databases/shop/writes")["writes"]
rds.create_db_snapshot(DBInstanceIdentifier="shop", DBSnapshotIdentifier="plain")
advance("1h")
rds.copy_db_snapshot(SourceDBSnapshotIdentifier="plain", TargetDBSnapshotIdentifier="sealed", KmsKeyId="alias/aws/rds")
advance("1h")
rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="safe", DBSnapshotIdentifier="sealed")
rds.restore_db_instance_to_point_in_time(SourceDBInstanceIdentifier="shop", TargetDBInstanceIdentifier="back", RestoreTime=at)
advance("10m")
rds.get_waiter("db_instance_available").wait(DBInstanceIdentifier="safe")
print("restored", rds.describe_db_instances(DBInstanceIdentifier="safe")["DBInstances"][0]["StorageEncrypted"], [s["DBSnapshotIdentifier"] for s in rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]],
      ask("GET", "databases/back/writes")["writes"] - writes)
print("refused", code(rds.describe_db_instances, DBInstanceIdentifier="nobody"), code(rds.delete_db_instance, DBInstanceIdentifier="shop"), code(rds.restore_db_instance_to_point_in_time, SourceDBInstanceIdentifier="shop", TargetDBInstanceIdentifier="late", RestoreTime=advance("1s")))

# DynamoDB
dynamodb.create_table(TableName="orders", BillingMode="PAY_PER_REQUEST", AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}], KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])
advance("1m")
dynamodb.get_waiter("table_exists").wait(TableName="orders")
table = boto3.resource("dynamodb").Table("orders")
dynamodb.update_continuous_backups(TableName="orders", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
table.put_item(Item={"id": "a", "n": 1, "raw": b"\x00\xff", "list": [1, {"x": True}], "set": {"p", "q"}})
at = advance("1h")
advance("1h")
table.update_item(Key={"id": "a"}, UpdateExpression="SET n = :n", ExpressionAttributeValues={":n": 2})
dynamodb.restore_table_to_point_in_time(SourceTableName="orders", TargetTableName="back", RestoreDateTime=at)
advance("1h")
item = boto3.resource("dynamodb").Table("back").get_item(Key={"id": "a"})["Item"]
print("item", item["n"], item["raw"].value, sorted(item["set"]), item["list"][1], table.get_item(Key={"id": "a"})["Item"]["n"], dynamodb.list_tables()["TableNames"])
print("recovery", dynamodb.describe_continuous_backups(TableName="orders")["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"],
      code(dynamodb.restore_table_to_point_in_time, SourceTableName="orders", TargetTableName="late", RestoreDateTime=advance("1s")), code(dynamodb.describe_table, TableName="nobody"))

# Backup
print("vaults", backup.describe_backup_vault(BackupVaultName="Default")["NumberOfRecoveryPoints"], [v["BackupVaultName"] for v in backup.list_backup_vaults()["BackupVaultList"]])
arn = "arn:aws:dynamodb:eu-west-1:" + account + ":table/orders"
job = backup.start_backup_job(BackupVaultName="Default", ResourceArn=arn, IamRoleArn=role)
advance("1h")
done = backup.describe_backup_job(BackupJobId=job["BackupJobId"])
point = done["RecoveryPointArn"]
print("job", done["State"], done["PercentDone"], [p["RecoveryPointArn"] == point for p in backup.list_recovery_points_by_resource(ResourceArn=arn)["RecoveryPoints"]], [r["ResourceArn"] for r in backup.list_protected_resources()["Results"]])
print("metadata", backup.get_recovery_point_restore_metadata(BackupVaultName="Default", RecoveryPointArn=point)["RestoreMetadata"], backup.describe_recovery_point(BackupVaultName="Default", RecoveryPointArn=point)["Status"])
restore = backup.start_restore_job(RecoveryPointArn=point, Metadata={"targetTableName": "again"}, IamRoleArn=role)["RestoreJobId"]
copy = backup.start_copy_job(RecoveryPointArn=point, SourceBackupVaultName="Default", DestinationBackupVaultArn="arn:aws:backup:us-east-1:" + account + ":backup-vault:Default", IamRoleArn=role)["CopyJobId"]
advance("1h")
print("jobs", backup.describe_restore_job(RestoreJobId=restore)["CreatedResourceArn"], backup.describe_copy_job(CopyJobId=copy)["CopyJob"]["State"])
plan = backup.create_backup_plan(BackupPlan={"BackupPlanName": "daily", "Rules": [{"RuleName": "r", "TargetBackupVaultName": "Default", "Lifecycle": {"DeleteAfterDays": 30}}]})["BackupPlanId"]
backup.create_backup_selection(BackupPlanId=plan, BackupSelection={"SelectionName": "all", "IamRoleArn": role, "Resources": ["*"]})
advance("25h")
print("plan", [p["BackupPlanName"] for p in backup.list_backup_plans()["BackupPlansList"]], backup.get_backup_plan(BackupPlanId=plan)["BackupPlan"]["Rules"][0]["ScheduleExpression"], [s["SelectionName"] for s in backup.list_backup_selections(BackupPlanId=plan)["BackupSelectionsList"]],
      sorted({j["ResourceType"] + " " + j["State"] for j in backup.list_backup_jobs()["BackupJobs"] if "CreatedBy" in j}))
print("refused", code(backup.describe_backup_vault, BackupVaultName="nobody"), code(backup.start_backup_job, BackupVaultName="Default", ResourceArn="x", IamRoleArn=role))
`)
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+server.URL, "AWS_ACCESS_KEY_ID="+OperatorKey, "AWS_SECRET_ACCESS_KEY="+operatorSecret, "PYTHONIOENCODING=utf-8",
		"AWS_DEFAULT_REGION=eu-west-1", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_MAX_ATTEMPTS=1")
	out, err := cmd.CombinedOutput()
	want := `defaults {'SSEAlgorithm': 'AES256'} [{'ObjectOwnership': 'BucketOwnerEnforced'}] FULL_CONTROL CanonicalUser False
kept b & <c> 30
object b'ell' bytes 1-3/5 206 text/plain {'owner': 'ada'} True AES256
listed [('a b/ü+%.txt', 7)] [{'Prefix': 'a b/'}]
conditions ('304', 304) ('PreconditionFailed', 412) ('404', 404)
deleted ('NoSuchKey', 404) [False, False] [True]
copied b'goodbye' 100000
redirected 200 eu-west-1
refused ('AccessControlListNotSupported', 400) ('BucketNotEmpty', 409) ('NoSuchBucketPolicy', 404) ('404', 404)
account True ('AccessDenied', 403)
database available 3306 False [{'Key': 'team', 'Value': 'a'}] True
pending {'AllocatedStorage': 200}
restored True ['plain', 'sealed'] 360
refused ('DBInstanceNotFound', 404) ('InvalidParameterCombination', 400) ('InvalidParameterValue', 400)
item 1 b'\x00\xff' ['p', 'q'] {'x': True} 2 ['back', 'orders']
recovery ENABLED ('InvalidRestoreTimeException', 400) ('ResourceNotFoundException', 400)
vaults 0 ['Default']
job COMPLETED 100.0 [True] ['arn:aws:dynamodb:eu-west-1:111122223333:table/orders']
metadata {'encryptionType': 'Default', 'originalTableName': 'orders'} COMPLETED
jobs arn:aws:dynamodb:eu-west-1:111122223333:table/again COMPLETED
plan ['daily'] cron(0 5 ? * * *) ['all'] ['DynamoDB COMPLETED', 'RDS COMPLETED', 'S3 COMPLETED']
refused ('ResourceNotFoundException', 400) ('InvalidParameterValueException', 400)
`
	if err != nil || !strings.HasSuffix(string(out), want) {
		t.Errorf("%v\n%s\nwant\n%s", err, out, want)
	}
}
