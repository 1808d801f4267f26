package sandbox

import (
	"reflect"
	"testing"
	"time"
)

// TestWhoMayDoWhatWithData holds the tables of S3, RDS, DynamoDB and AWS Backup to
// cases that are allowed by little and refused by a little less.
func TestWhoMayDoWhatWithData(t *testing.T) {
	const (
		role   = "arn:aws:iam::111122223333:role/backups"
		db     = "arn:aws:rds:eu-west-1:111122223333:db:shop"
		table  = "arn:aws:dynamodb:eu-west-1:111122223333:table/"
		bucket = "arn:aws:s3:::acme-invoices"
		vault  = "arn:aws:backup:eu-west-1:111122223333:backup-vault:Default"
	)
	e := newEstate(t)
	w := e.world
	w.do("iam", "CreateRole", object{"RoleName": "backups", "AssumeRolePolicyDocument": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"backup.amazonaws.com"},"Action":"sts:AssumeRole"}}`})
	w.newDB(object{"Tags": []any{object{"Key": "team", "Value": "red"}}})
	w.newTable("orders", nil)
	w.do("dynamodb", "UpdateContinuousBackups", object{"TableName": "orders", "PointInTimeRecoverySpecification": object{"PointInTimeRecoveryEnabled": true}})
	w.bucket(testBucket)
	w.do("s3", "PutBucketVersioning", on(object{"VersioningConfiguration": object{"Status": "Enabled"}}))
	key := e.text("{{e.keyARN}}")
	w.do("s3", "PutObject", on(object{"Key": "sealed", "Body": []byte("x"), "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}))
	version := w.put("a", "one")
	w.clock.Advance(time.Hour)
	viaS3 := when("StringEquals", "kms:ViaService", "s3.eu-west-1.amazonaws.com")
	everyItem := `"dynamodb:BatchWriteItem","dynamodb:DeleteItem","dynamodb:GetItem","dynamodb:PutItem","dynamodb:Query","dynamodb:Scan","dynamodb:UpdateItem"`
	for _, c := range []struct {
		name   string
		policy string
		call   [2]string
		in     object
		code   string
	}{
		{"an object", policyOf(allow("s3:GetObject", bucket+"/a")), [2]string{"s3", "GetObject"}, on(object{"Key": "a"}), ""},
		{"another object", policyOf(allow("s3:GetObject", bucket+"/b")), [2]string{"s3", "GetObject"}, on(object{"Key": "a"}), "AccessDenied"},
		{"one version of it", policyOf(allow("s3:GetObject", bucket+"/a")), [2]string{"s3", "GetObject"}, on(object{"Key": "a", "VersionId": version}), "AccessDenied"},
		{"one version of it, as it should", policyOf(allow("s3:GetObjectVersion", bucket+"/a")), [2]string{"s3", "GetObject"}, on(object{"Key": "a", "VersionId": version}), ""},
		{"a key's object without the key", policyOf(allow("s3:GetObject", "*")), [2]string{"s3", "GetObject"}, on(object{"Key": "sealed"}), "AccessDenied"},
		{"a key's object", policyOf(allow("s3:GetObject", "*"), allow("kms:Decrypt", key, viaS3)), [2]string{"s3", "GetObject"}, on(object{"Key": "sealed"}), ""},
		{"an upload with a key, without it", policyOf(allow("s3:PutObject", "*")), [2]string{"s3", "PutObject"}, on(object{"Key": "c", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}), "AccessDenied"},
		{"an upload with a key", policyOf(allow("s3:PutObject", "*"), allow("kms:GenerateDataKey", key)), [2]string{"s3", "PutObject"}, on(object{"Key": "c", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}), ""},
		{"an upload with tags", policyOf(allow("s3:PutObject", "*")), [2]string{"s3", "PutObject"}, on(object{"Key": "c", "Tagging": "a=b"}), "AccessDenied"},
		{"a copy without its source", policyOf(allow("s3:PutObject", "*")), [2]string{"s3", "CopyObject"}, on(object{"Key": "c", "CopySource": testBucket + "/a"}), "AccessDenied"},
		{"a copy", policyOf(allow("s3:PutObject", bucket+"/c"), allow("s3:GetObject", bucket+"/a")), [2]string{"s3", "CopyObject"}, on(object{"Key": "c", "CopySource": testBucket + "/a"}), ""},
		{"a bucket's encryption", policyOf(allow("s3:GetEncryptionConfiguration", bucket)), [2]string{"s3", "GetBucketEncryption"}, on(nil), ""},
		{"the account's block", policyOf(allow("s3:GetAccountPublicAccessBlock", "*")), [2]string{"s3control", "GetPublicAccessBlock"}, object{"AccountId": home}, "NoSuchPublicAccessBlockConfiguration"},
		{"a database by its tag", policyOf(allow("rds:StopDBInstance", "*", when("StringEquals", "aws:ResourceTag/team", "blue"))), [2]string{"rds", "StopDBInstance"}, object{"DBInstanceIdentifier": "shop"}, "AccessDenied"},
		{"a snapshot of it, of the snapshot only", policyOf(allow("rds:CreateDBSnapshot", "arn:aws:rds:*:*:snapshot:*")), [2]string{"rds", "CreateDBSnapshot"}, object{"DBInstanceIdentifier": "shop", "DBSnapshotIdentifier": "one"}, "AccessDenied"},
		{"a snapshot of it", policyOf(allow("rds:CreateDBSnapshot", "arn:aws:rds:*:*:snapshot:one"), allow("rds:CreateDBSnapshot", db, when("StringEquals", "aws:ResourceTag/team", "red"))), [2]string{"rds", "CreateDBSnapshot"}, object{"DBInstanceIdentifier": "shop", "DBSnapshotIdentifier": "one"}, ""},
		{"a snapshot with tags", policyOf(allow("rds:CreateDBSnapshot", "*")), [2]string{"rds", "CreateDBSnapshot"}, object{"DBInstanceIdentifier": "shop", "DBSnapshotIdentifier": "two", "Tags": []any{object{"Key": "a", "Value": "b"}}}, "AccessDenied"},
		{"a copy with a key, without it", policyOf(allow("rds:CopyDBSnapshot", "*")), [2]string{"rds", "CopyDBSnapshot"}, object{"SourceDBSnapshotIdentifier": "one", "TargetDBSnapshotIdentifier": "three", "KmsKeyId": "alias/data"}, "AccessDenied"},
		{"an item", policyOf(allow("dynamodb:PutItem", table+"orders")), [2]string{"dynamodb", "PutItem"}, object{"TableName": "orders", "Item": row("a", "1", nil)}, ""},
		{"an item elsewhere", policyOf(allow("dynamodb:PutItem", table+"other")), [2]string{"dynamodb", "PutItem"}, object{"TableName": "orders", "Item": row("a", "1", nil)}, "AccessDeniedException"},
		{"a restore without the target", policyOf(allow("dynamodb:RestoreTableToPointInTime", "*")), [2]string{"dynamodb", "RestoreTableToPointInTime"}, object{"SourceTableName": "orders", "TargetTableName": "back", "UseLatestRestorableTime": true}, "AccessDeniedException"},
		{"a restore", policyOf(allow("dynamodb:RestoreTableToPointInTime", table+"orders"), `{"Effect":"Allow","Action":[`+everyItem+`],"Resource":"`+table+`back"}`), [2]string{"dynamodb", "RestoreTableToPointInTime"}, object{"SourceTableName": "orders", "TargetTableName": "back", "UseLatestRestorableTime": true}, ""},
		{"a backup without the role", policyOf(allow("backup:StartBackupJob", vault)), [2]string{"backup", "StartBackupJob"}, object{"BackupVaultName": "Default", "ResourceArn": table + "orders", "IamRoleArn": role}, "AccessDeniedException"},
		{"a backup", policyOf(allow("backup:StartBackupJob", vault), allow("iam:PassRole", role, when("StringEquals", "iam:PassedToService", "backup.amazonaws.com"))), [2]string{"backup", "StartBackupJob"}, object{"BackupVaultName": "Default", "ResourceArn": table + "orders", "IamRoleArn": role}, ""},
		{"another vault", policyOf(allow("backup:DescribeBackupVault", vault+"s")), [2]string{"backup", "DescribeBackupVault"}, object{"BackupVaultName": "Default"}, "AccessDeniedException"},
	} {
		ada := w.user("ada", c.policy)
		out, err := ada.try(c.call[0], c.call[1], c.in)
		if got := codeOf(err); got != c.code {
			t.Errorf("%s: %q (%v, %v), want %q", c.name, got, out, err, c.code)
		}
		w.do("iam", "DeleteUserPolicy", object{"UserName": "ada", "PolicyName": "own"})
		dropUser(w, "ada")
	}
}

// dropUser deletes a user with its access keys.
func dropUser(w *world, name string) {
	w.t.Helper()
	for _, k := range objects(w.do("iam", "ListAccessKeys", object{"UserName": name})["AccessKeyMetadata"]) {
		w.do("iam", "DeleteAccessKey", object{"UserName": name, "AccessKeyId": k["AccessKeyId"]})
	}
	w.do("iam", "DeleteUser", object{"UserName": name})
}

func TestEachObjectOfDeleteObjectsIsAskedFor(t *testing.T) {
	e := newEstate(t)
	e.bucket(testBucket)
	e.put("mine/a", "x")
	e.put("yours/b", "x")
	ada := e.user("ada", policyOf(allow("s3:DeleteObject", "arn:aws:s3:::acme-invoices/mine/*")))
	out := ada.do("s3", "DeleteObjects", on(object{"Delete": object{"Objects": []any{object{"Key": "mine/a"}, object{"Key": "yours/b"}}}}))
	if !reflect.DeepEqual(pick(out["Deleted"], "Key"), []string{"mine/a"}) || !reflect.DeepEqual(pick(out["Errors"], "Key"), []string{"yours/b"}) || pick(out["Errors"], "Code")[0] != "AccessDenied" {
		t.Errorf("%v", out)
	}
	if got := pick(e.do("s3", "ListObjectsV2", on(nil))["Contents"], "Key"); !reflect.DeepEqual(got, []string{"yours/b"}) {
		t.Errorf("%v", got)
	}
}

func TestOtherAccountsGetAtData(t *testing.T) {
	e := newEstate(t)
	e.bucket(testBucket)
	e.put("a", "x")
	e.other.fails("AccessDenied", "s3", "GetObject", on(object{"Key": "a"}))
	e.do("s3", "PutBucketPolicy", on(object{"Policy": policyOf(statementText("Allow", "s3:GetObject", "arn:aws:s3:::acme-invoices/*", `"Principal":{"AWS":"`+other+`"}`))}))
	if got := e.other.get("a"); got != "x" {
		t.Errorf("%q", got)
	}
	e.other.fails("AccessDenied", "s3", "DeleteObject", on(object{"Key": "a"}))

	e.newDB(nil)
	e.snapshotDB("one")
	shared := object{"SourceDBSnapshotIdentifier": "arn:aws:rds:eu-west-1:111122223333:snapshot:one", "TargetDBSnapshotIdentifier": "ours"}
	e.other.fails("AccessDenied", "rds", "CopyDBSnapshot", shared)
	e.do("rds", "ModifyDBSnapshotAttribute", object{"DBSnapshotIdentifier": "one", "AttributeName": "restore", "ValuesToAdd": ids(other)})
	e.other.do("rds", "CopyDBSnapshot", shared)
	e.clock.Advance(time.Hour)
	e.other.do("rds", "RestoreDBInstanceFromDBSnapshot", object{"DBSnapshotIdentifier": "ours", "DBInstanceIdentifier": "copy"})
	e.fails("DBInstanceNotFound", "rds", "DescribeDBInstances", object{"DBInstanceIdentifier": "copy"})
}

func TestEventsOfData(t *testing.T) {
	w := newWorld(t)
	db, created, deleted := w.eventDetails("RDS DB Instance Event"), w.eventDetails("Object Created"), w.eventDetails("Object Deleted")
	w.newDB(nil)
	w.do("rds", "ModifyDBInstance", object{"DBInstanceIdentifier": "shop", "AllocatedStorage": int64(200), "ApplyImmediately": true})
	w.clock.Advance(dbNotice + dbChange)
	w.do("rds", "RebootDBInstance", object{"DBInstanceIdentifier": "shop"})
	w.clock.Advance(time.Minute)
	w.do("rds", "DeleteDBInstance", object{"DBInstanceIdentifier": "shop", "SkipFinalSnapshot": true})
	w.clock.Advance(time.Hour)
	w.bucket(testBucket)
	w.put("silent", "x")
	w.do("s3", "PutBucketNotificationConfiguration", on(object{"NotificationConfiguration": object{"EventBridgeConfiguration": object{}}}))
	w.put("loud", "x")
	w.do("s3", "DeleteObject", on(object{"Key": "loud"}))
	var seen []string
	for _, d := range *db {
		seen = append(seen, d["EventID"].(string))
	}
	if want := []string{"RDS-EVENT-0005", "RDS-EVENT-0018", "RDS-EVENT-0006", "RDS-EVENT-0003"}; !reflect.DeepEqual(seen, want) {
		t.Errorf("%v, want %v", seen, want)
	}
	if len(*created) != 1 || (*created)[0]["object"].(object)["key"] != "loud" || len(*deleted) != 1 || (*deleted)[0]["deletion-type"] != "Permanently Deleted" {
		t.Errorf("%v, %v", *created, *deleted)
	}
}
