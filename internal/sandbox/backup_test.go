package sandbox

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

const backupRole = "arn:aws:iam::111122223333:role/service-role/AWSBackupDefaultServiceRole"

func (w *world) backUp(arn string) (job, point string) {
	w.t.Helper()
	out := w.do("backup", "StartBackupJob", object{"BackupVaultName": "Default", "ResourceArn": arn, "IamRoleArn": backupRole})
	point, _ = out["RecoveryPointArn"].(string)
	return out["BackupJobId"].(string), point
}

func (w *world) restore(point string, how object) string {
	w.t.Helper()
	return w.do("backup", "StartRestoreJob", object{"RecoveryPointArn": point, "IamRoleArn": backupRole, "Metadata": how})["RestoreJobId"].(string)
}

func (w *world) job(id string) object {
	w.t.Helper()
	return w.do("backup", "DescribeBackupJob", object{"BackupJobId": id})
}

func (w *world) restoreJob(id string) object {
	w.t.Helper()
	return w.do("backup", "DescribeRestoreJob", object{"RestoreJobId": id})
}

// eventDetails are the details of the events of a kind that come about from now
// on.
func (w *world) eventDetails(kind string) *[]object {
	var out []object
	w.OnEvent(func(raw []byte) {
		var e struct {
			Type   string `json:"detail-type"`
			Detail object `json:"detail"`
		}
		if err := json.Unmarshal(raw, &e); err != nil {
			w.t.Error(err)
		}
		if e.Type == kind {
			out = append(out, e.Detail)
		}
	})
	return &out
}

func TestAVolumesBackup(t *testing.T) {
	w := newWorld(t)
	states := w.eventDetails("Backup Job State Change")
	i := w.launch(object{"BlockDeviceMappings": []any{object{"DeviceName": "/dev/sdf", "Ebs": object{"VolumeSize": int64(10), "VolumeType": "gp3"}}}})
	v := w.do("ec2", "DescribeVolumes", object{"Filters": []any{object{"Name": "attachment.device", "Values": ids("/dev/sdf")}, object{"Name": "attachment.instance-id", "Values": ids(i)}}})["Volumes"].([]any)[0].(object)["VolumeId"].(string)
	w.clock.Advance(time.Hour)
	writes := w.VolumeWrites(v)
	arn := "arn:aws:ec2:eu-west-1:111122223333:volume/" + v
	job, point := w.backUp(arn)
	if got := w.job(job); got["State"] != "CREATED" || got["CompletionDate"] != nil {
		t.Errorf("%v", got)
	}
	w.fails("InvalidRequestException", "backup", "StartRestoreJob", object{"RecoveryPointArn": point, "Metadata": object{}})
	w.clock.Advance(backupQueue)
	if got := w.job(job)["State"]; got != "RUNNING" {
		t.Errorf("%v", got)
	}
	w.clock.Advance(backupTime)
	if got := w.job(job); got["State"] != "COMPLETED" || got["RecoveryPointArn"] != point || got["PercentDone"] != "100.0" || got["CompletionDate"] != w.clock.Now() {
		t.Errorf("%v", got)
	}
	var seen []string
	for _, d := range *states {
		seen = append(seen, d["state"].(string))
	}
	if !reflect.DeepEqual(seen, []string{"CREATED", "RUNNING", "COMPLETED"}) {
		t.Errorf("events of %v", seen)
	}
	s := w.do("ec2", "DescribeSnapshots", object{"Filters": []any{object{"Name": "tag:aws:backup:source-resource", "Values": ids(arn)}}})["Snapshots"].([]any)
	if len(s) != 1 || "arn:aws:ec2:eu-west-1::snapshot/"+s[0].(object)["SnapshotId"].(string) != point {
		t.Fatalf("%v, the recovery point is %s", s, point)
	}
	how := w.do("backup", "GetRecoveryPointRestoreMetadata", object{"BackupVaultName": "Default", "RecoveryPointArn": point})["RestoreMetadata"].(object)
	if how["volumeSize"] != "10" || how["availabilityZone"] != "eu-west-1a" || how["encrypted"] != "false" {
		t.Errorf("%v", how)
	}
	w.clock.Advance(time.Hour)
	id := w.restore(point, object{"availabilityZone": "eu-west-1b", "volumeSize": "20", "encrypted": "true"})
	if got := w.restoreJob(id); got["Status"] != "PENDING" || got["CreatedResourceArn"] != nil {
		t.Errorf("%v", got)
	}
	w.clock.Advance(restoreQueue)
	if got := w.restoreJob(id)["Status"]; got != "RUNNING" {
		t.Errorf("%v", got)
	}
	w.clock.Advance(restoreTime)
	got := w.restoreJob(id)
	made, _ := got["CreatedResourceArn"].(string)
	made = made[strings.LastIndexByte(made, '/')+1:]
	if n := w.volume(made); got["Status"] != "COMPLETED" || n["Size"] != int64(20) || n["AvailabilityZone"] != "eu-west-1b" || n["Encrypted"] != true || w.VolumeWrites(made) != writes {
		t.Errorf("%v: %v with %d writes, there were %d", got, n, w.VolumeWrites(made), writes)
	}
	id = w.restore(point, object{"availabilityZone": "eu-west-1z"})
	w.clock.Advance(restoreQueue)
	if got := w.restoreJob(id); got["Status"] != "FAILED" || !strings.Contains(got["StatusMessage"].(string), "eu-west-1z") {
		t.Errorf("%v", got)
	}
	if got := pick(w.do("backup", "ListRestoreJobs", object{"ByStatus": "FAILED"})["RestoreJobs"], "RestoreJobId"); !reflect.DeepEqual(got, []string{id}) {
		t.Errorf("%v", got)
	}
}

func TestADatabasesBackup(t *testing.T) {
	w := newWorld(t)
	w.newDB(object{"StorageEncrypted": true})
	w.clock.Advance(time.Hour)
	writes := w.DBWrites("shop")
	_, point := w.backUp("arn:aws:rds:eu-west-1:111122223333:db:shop")
	w.clock.Advance(time.Hour)
	if got := w.do("rds", "DescribeDBSnapshots", object{"SnapshotType": "awsbackup"})["DBSnapshots"].([]any); len(got) != 1 || got[0].(object)["DBSnapshotArn"] != point {
		t.Errorf("%v", got)
	}
	w.fails("InvalidDBSnapshotState", "rds", "DeleteDBSnapshot", object{"DBSnapshotIdentifier": strings.TrimPrefix(point, "arn:aws:rds:eu-west-1:111122223333:snapshot:")})
	how := w.do("backup", "GetRecoveryPointRestoreMetadata", object{"BackupVaultName": "Default", "RecoveryPointArn": point})["RestoreMetadata"].(object)
	how["DBInstanceIdentifier"], how["MultiAZ"] = "shop-back", "true"
	id := w.restore(point, how)
	w.clock.Advance(time.Hour)
	if got := w.restoreJob(id); got["Status"] != "COMPLETED" || got["CreatedResourceArn"] != "arn:aws:rds:eu-west-1:111122223333:db:shop-back" {
		t.Errorf("%v", got)
	}
	if d := w.db("shop-back"); d["DBInstanceStatus"] != "available" || d["MultiAZ"] != true || d["StorageEncrypted"] != true {
		t.Errorf("%v", d)
	}
	if got := w.DBWrites("shop-back"); got < writes || got >= w.DBWrites("shop") {
		t.Errorf("%d writes, there were %d", got, writes)
	}
	id = w.restore(point, how)
	w.clock.Advance(restoreQueue)
	if got := w.restoreJob(id); got["Status"] != "FAILED" || !strings.Contains(got["StatusMessage"].(string), "DBInstanceAlreadyExists") {
		t.Errorf("%v", got)
	}
	w.do("backup", "DeleteRecoveryPoint", object{"BackupVaultName": "Default", "RecoveryPointArn": point})
	if got := w.do("rds", "DescribeDBSnapshots", object{"SnapshotType": "awsbackup"})["DBSnapshots"].([]any); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

func TestATablesBackup(t *testing.T) {
	w := newWorld(t)
	w.newTable("orders", nil)
	w.putRow("a", "1", object{"v": attr("S", "old")})
	_, point := w.backUp("arn:aws:dynamodb:eu-west-1:111122223333:table/orders")
	w.clock.Advance(time.Second)
	w.putRow("a", "2", nil)
	w.clock.Advance(time.Hour)
	w.do("dynamodb", "DeleteTable", object{"TableName": "orders"})
	w.clock.Advance(tableDeletion)
	id := w.restore(point, object{"targetTableName": "orders", "encryptionType": "Default"})
	w.clock.Advance(time.Hour)
	if got := w.restoreJob(id); got["Status"] != "COMPLETED" || got["CreatedResourceArn"] != "arn:aws:dynamodb:eu-west-1:111122223333:table/orders" {
		t.Fatalf("%v", got)
	}
	if got := w.do("dynamodb", "Scan", object{"TableName": "orders"})["Items"]; !reflect.DeepEqual(got, []any{row("a", "1", object{"v": attr("S", "old")})}) {
		t.Errorf("%v", got)
	}
}

func TestABucketsBackup(t *testing.T) {
	w := newWorld(t)
	w.bucket(testBucket)
	job, point := w.backUp("arn:aws:s3:::" + testBucket)
	w.clock.Advance(backupQueue)
	if got := w.job(job); got["State"] != "FAILED" || point != "" || !strings.Contains(got["StatusMessage"].(string), "Versioning") {
		t.Errorf("%v", got)
	}
	w.do("s3", "PutBucketVersioning", on(object{"VersioningConfiguration": object{"Status": "Enabled"}}))
	w.put("a", "one")
	w.put("b", "gone")
	w.do("s3", "DeleteObject", on(object{"Key": "b"}))
	_, point = w.backUp("arn:aws:s3:::" + testBucket)
	w.put("a", "two")
	w.clock.Advance(time.Hour)
	w.restore(point, object{"DestinationBucketName": "acme-back", "NewBucket": "true"})
	if got := w.do("s3", "GetObject", object{"Bucket": "acme-back", "Key": "a"})["Body"]; string(got.([]byte)) != "one" {
		t.Errorf("%s", got)
	}
	w.fails("NoSuchKey", "s3", "GetObject", object{"Bucket": "acme-back", "Key": "b"})
	w.restore(point, object{"DestinationBucketName": testBucket})
	if got := w.get("a"); got != "one" {
		t.Errorf("%s", got)
	}
	if got := pick(w.do("s3", "ListObjectVersions", on(object{"Prefix": "a"}))["Versions"], "IsLatest"); len(got) != 3 {
		t.Errorf("the restored is one more version: %v", got)
	}
}

func TestRecoveryPointsAreListed(t *testing.T) {
	w := newWorld(t)
	w.newTable("orders", nil)
	v := w.newVolume(object{"Size": int64(1)})
	table, volume := "arn:aws:dynamodb:eu-west-1:111122223333:table/orders", "arn:aws:ec2:eu-west-1:111122223333:volume/"+v
	w.backUp(table)
	w.clock.Advance(time.Hour)
	_, second := w.backUp(table)
	_, third := w.backUp(volume)
	w.clock.Advance(time.Hour)
	vault := object{"BackupVaultName": "Default"}
	if got := w.do("backup", "DescribeBackupVault", vault); got["NumberOfRecoveryPoints"] != int64(3) || got["BackupVaultArn"] != "arn:aws:backup:eu-west-1:111122223333:backup-vault:Default" {
		t.Errorf("%v", got)
	}
	if got := pick(w.do("backup", "ListRecoveryPointsByResource", object{"ResourceArn": table})["RecoveryPoints"], "RecoveryPointArn"); len(got) != 2 || got[0] != second {
		t.Errorf("%v", got)
	}
	if got := pick(w.do("backup", "ListRecoveryPointsByBackupVault", object{"BackupVaultName": "Default", "ByResourceType": "EBS"})["RecoveryPoints"], "RecoveryPointArn"); !reflect.DeepEqual(got, []string{third}) {
		t.Errorf("%v", got)
	}
	protected := w.do("backup", "ListProtectedResources", nil)["Results"].([]any)
	if !reflect.DeepEqual(pick(protected, "ResourceArn"), []string{table, volume}) || protected[0].(object)["LastRecoveryPointArn"] != second {
		t.Errorf("%v", protected)
	}
	if got := w.do("backup", "ListBackupJobs", object{"ByState": "COMPLETED", "MaxResults": int64(2)}); len(got["BackupJobs"].([]any)) != 2 || got["NextToken"] == nil {
		t.Errorf("%v", got)
	}
	if got := w.do("backup", "ListBackupJobs", object{"ByCreatedAfter": w.clock.Now().Add(-90 * time.Minute)}); len(got["BackupJobs"].([]any)) != 2 {
		t.Errorf("%v", got)
	}
	w.fails("InvalidRequestException", "backup", "DeleteBackupVault", vault)
	w.do("backup", "DeleteRecoveryPoint", object{"BackupVaultName": "Default", "RecoveryPointArn": third})
	w.fails("ResourceNotFoundException", "backup", "DescribeRecoveryPoint", object{"BackupVaultName": "Default", "RecoveryPointArn": third})
	w.fails("InvalidSnapshot.NotFound", "ec2", "DescribeSnapshots", object{"SnapshotIds": ids(snapshotOf(third))})
}

func TestALifecycleEnds(t *testing.T) {
	w := newWorld(t)
	v := w.newVolume(object{"Size": int64(1)})
	start := object{"BackupVaultName": "Default", "ResourceArn": "arn:aws:ec2:eu-west-1:111122223333:volume/" + v, "IamRoleArn": backupRole, "Lifecycle": object{"DeleteAfterDays": int64(7)}, "RecoveryPointTags": object{"why": "test"}}
	point := w.do("backup", "StartBackupJob", start)["RecoveryPointArn"].(string)
	named := object{"BackupVaultName": "Default", "RecoveryPointArn": point}
	w.clock.Advance(7*24*time.Hour - time.Second)
	got := w.do("backup", "DescribeRecoveryPoint", named)
	if got["Status"] != "COMPLETED" || got["CalculatedLifecycle"].(object)["DeleteAt"] != w.clock.Now().Add(time.Second) || got["StorageClass"] != "WARM" {
		t.Errorf("%v", got)
	}
	if tags := w.do("backup", "ListTags", object{"ResourceArn": point})["Tags"]; !reflect.DeepEqual(tags, object{"why": "test"}) {
		t.Errorf("%v", tags)
	}
	w.clock.Advance(time.Second)
	w.fails("ResourceNotFoundException", "backup", "DescribeRecoveryPoint", named)
	w.fails("InvalidSnapshot.NotFound", "ec2", "DescribeSnapshots", object{"SnapshotIds": ids(snapshotOf(point))})
}

func TestBackupsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	w.do("iam", "CreateRole", object{"RoleName": "other", "AssumeRolePolicyDocument": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}}`})
	w.do("iam", "CreateRole", object{"RoleName": "backup", "AssumeRolePolicyDocument": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"backup.amazonaws.com"},"Action":"sts:AssumeRole"}}`})
	arn := "arn:aws:ec2:eu-west-1:111122223333:volume/" + w.newVolume(object{"Size": int64(1)})
	for _, c := range []struct {
		code string
		in   object
	}{
		{"ResourceNotFoundException", object{"BackupVaultName": "nobody"}},
		{"ResourceNotFoundException", object{"ResourceArn": "arn:aws:ec2:eu-west-1:111122223333:volume/vol-1"}},
		{"InvalidParameterValueException", object{"ResourceArn": "vol-1"}},
		{"NotImplemented", object{"ResourceArn": "arn:aws:elasticfilesystem:eu-west-1:111122223333:file-system/fs-1"}},
		{"InvalidParameterValueException", object{"IamRoleArn": "role"}},
		{"InvalidParameterValueException", object{"IamRoleArn": "arn:aws:iam::111122223333:role/nobody"}},
		{"InvalidParameterValueException", object{"IamRoleArn": "arn:aws:iam::111122223333:role/other"}},
		{"InvalidParameterValueException", object{"Lifecycle": object{"MoveToColdStorageAfterDays": int64(30), "DeleteAfterDays": int64(60)}}},
		{"InvalidParameterValueException", object{"Lifecycle": object{"DeleteAfterDays": int64(0)}}},
		{"InvalidParameterValueException", object{"StartWindowMinutes": int64(10)}},
		{"InvalidParameterValueException", object{"RecoveryPointTags": object{"aws:x": "y"}}},
		{"", object{"IamRoleArn": "arn:aws:iam::111122223333:role/backup"}},
	} {
		in := object{"BackupVaultName": "Default", "ResourceArn": arn, "IamRoleArn": backupRole}
		for k, v := range c.in {
			in[k] = v
		}
		w.fails(c.code, "backup", "StartBackupJob", in)
	}
	in := object{"BackupVaultName": "Default", "ResourceArn": arn, "IamRoleArn": backupRole, "IdempotencyToken": "t"}
	first := w.do("backup", "StartBackupJob", in)
	if again := w.do("backup", "StartBackupJob", in); !reflect.DeepEqual(first, again) {
		t.Errorf("%v, then %v", first, again)
	}
	id := first["BackupJobId"].(string)
	w.do("backup", "StopBackupJob", object{"BackupJobId": id})
	w.clock.Advance(time.Hour)
	if got := w.job(id); got["State"] != "ABORTED" || got["RecoveryPointArn"] != nil {
		t.Errorf("%v", got)
	}
	w.fails("InvalidRequestException", "backup", "StopBackupJob", object{"BackupJobId": id})
	w.fails("ResourceNotFoundException", "backup", "DescribeBackupJob", object{"BackupJobId": "x"})
	w.fails("ResourceNotFoundException", "backup", "DescribeRestoreJob", object{"RestoreJobId": "x"})
	w.fails("ResourceNotFoundException", "backup", "DescribeCopyJob", object{"CopyJobId": "x"})
	w.fails("ResourceNotFoundException", "backup", "StartRestoreJob", object{"RecoveryPointArn": "x", "Metadata": object{}})
}

func TestRecoveryPointsAreCopied(t *testing.T) {
	w := newWorld(t)
	w.newDB(object{"StorageEncrypted": true})
	w.newTable("orders", nil)
	w.putRow("a", "1", nil)
	w.bucket(testBucket)
	w.do("s3", "PutBucketVersioning", on(object{"VersioningConfiguration": object{"Status": "Enabled"}}))
	w.put("a", "one")
	v := w.newVolume(object{"Size": int64(1), "Encrypted": true})
	there := func(service, operation string, in object) object {
		t.Helper()
		out, err := w.Call(t.Context(), Request{Service: service, Operation: operation, Region: "us-east-1", AccessKeyID: OperatorKey, Input: in})
		if err != nil {
			t.Fatalf("%s: %v", operation, err)
		}
		return out
	}
	vault := there("backup", "CreateBackupVault", object{"BackupVaultName": "far"})["BackupVaultArn"].(string)
	for _, c := range []struct {
		arn string
		how object
	}{
		{"arn:aws:ec2:eu-west-1:111122223333:volume/" + v, object{"availabilityZone": "us-east-1a"}},
		{"arn:aws:rds:eu-west-1:111122223333:db:shop", object{"DBInstanceIdentifier": "far"}},
		{"arn:aws:dynamodb:eu-west-1:111122223333:table/orders", object{"targetTableName": "far"}},
		{"arn:aws:s3:::" + testBucket, object{"DestinationBucketName": "acme-far", "NewBucket": "true"}},
	} {
		_, point := w.backUp(c.arn)
		copying := object{"RecoveryPointArn": point, "SourceBackupVaultName": "Default", "DestinationBackupVaultArn": vault, "IamRoleArn": backupRole}
		w.fails("InvalidRequestException", "backup", "StartCopyJob", copying)
		w.clock.Advance(time.Hour)
		id := w.do("backup", "StartCopyJob", copying)["CopyJobId"]
		if got := w.do("backup", "DescribeCopyJob", object{"CopyJobId": id})["CopyJob"].(object)["State"]; got != "CREATED" {
			t.Errorf("%v", got)
		}
		w.clock.Advance(time.Hour)
		job := w.do("backup", "DescribeCopyJob", object{"CopyJobId": id})["CopyJob"].(object)
		if job["State"] != "COMPLETED" {
			t.Fatalf("%v", job)
		}
		copied := there("backup", "DescribeRecoveryPoint", object{"BackupVaultName": "far", "RecoveryPointArn": job["DestinationRecoveryPointArn"]})
		if copied["SourceBackupVaultArn"] != "arn:aws:backup:eu-west-1:111122223333:backup-vault:Default" || copied["ResourceArn"] != c.arn || copied["Status"] != "COMPLETED" || copied["IsEncrypted"] != true {
			t.Errorf("%v", copied)
		}
		restore := there("backup", "StartRestoreJob", object{"RecoveryPointArn": job["DestinationRecoveryPointArn"], "Metadata": c.how, "IamRoleArn": backupRole})
		w.clock.Advance(time.Hour)
		if got := there("backup", "DescribeRestoreJob", restore); got["Status"] != "COMPLETED" {
			t.Errorf("%v", got)
		}
	}
	if got := there("dynamodb", "Scan", object{"TableName": "far"})["Count"]; got != int64(1) {
		t.Errorf("%v items", got)
	}
	if got := there("s3", "GetObject", object{"Bucket": "acme-far", "Key": "a"})["Body"]; string(got.([]byte)) != "one" {
		t.Errorf("%s", got)
	}
	points := w.do("backup", "ListRecoveryPointsByBackupVault", object{"BackupVaultName": "Default"})["RecoveryPoints"].([]any)
	copying := object{"RecoveryPointArn": points[0].(object)["RecoveryPointArn"], "SourceBackupVaultName": "Default", "IamRoleArn": backupRole}
	for code, to := range map[string]string{"InvalidParameterValueException": "far", "NotImplemented": "arn:aws:backup:us-east-1:999999999999:backup-vault:far", "InvalidRequestException": "arn:aws:backup:eu-west-1:111122223333:backup-vault:Default"} {
		copying["DestinationBackupVaultArn"] = to
		w.fails(code, "backup", "StartCopyJob", copying)
	}
	copying["DestinationBackupVaultArn"] = "arn:aws:backup:us-east-1:111122223333:backup-vault:none"
	id := w.do("backup", "StartCopyJob", copying)["CopyJobId"]
	w.clock.Advance(restoreQueue)
	if got := w.do("backup", "DescribeCopyJob", object{"CopyJobId": id})["CopyJob"].(object); got["State"] != "FAILED" {
		t.Errorf("%v", got)
	}
}

func plan(rules ...any) object {
	return object{"BackupPlan": object{"BackupPlanName": "daily", "Rules": rules}}
}

func TestAPlanRunsOnTheClock(t *testing.T) {
	w := newWorld(t) // 08:00
	tag := func(v string) []any {
		return []any{object{"ResourceType": "volume", "Tags": []any{object{"Key": "backup", "Value": v}}}}
	}
	yes := w.newVolume(object{"Size": int64(1), "TagSpecifications": tag("yes")})
	w.newVolume(object{"Size": int64(1), "TagSpecifications": tag("no")})
	w.newTable("orders", nil)
	out := w.do("backup", "CreateBackupPlan", plan(object{"RuleName": "noon", "TargetBackupVaultName": "Default", "ScheduleExpression": "cron(0 12 * * ? *)", "Lifecycle": object{"DeleteAfterDays": int64(2)},
		"CopyActions": []any{object{"DestinationBackupVaultArn": "arn:aws:backup:us-east-1:111122223333:backup-vault:Default"}}}))
	id := out["BackupPlanId"].(string)
	selection := object{"BackupPlanId": id, "BackupSelection": object{"SelectionName": "tagged", "IamRoleArn": backupRole, "ListOfTags": []any{object{"ConditionType": "STRINGEQUALS", "ConditionKey": "backup", "ConditionValue": "yes"}}}}
	made := w.do("backup", "CreateBackupSelection", selection)["SelectionId"]
	w.fails("AlreadyExistsException", "backup", "CreateBackupSelection", selection)
	if got := w.do("backup", "GetBackupSelection", object{"BackupPlanId": id, "SelectionId": made})["BackupSelection"]; !reflect.DeepEqual(got, selection["BackupSelection"]) {
		t.Errorf("%v", got)
	}
	w.fails("ResourceNotFoundException", "backup", "GetBackupSelection", object{"BackupPlanId": id, "SelectionId": "nobody"})
	w.do("backup", "CreateBackupSelection", object{"BackupPlanId": id, "BackupSelection": object{"SelectionName": "tables", "IamRoleArn": backupRole, "Resources": ids("arn:aws:dynamodb:*:*:table/*"), "NotResources": ids("*table/secret")}})
	w.clock.Advance(4*time.Hour - 2*time.Minute)
	if got := w.do("backup", "ListBackupJobs", nil)["BackupJobs"].([]any); len(got) != 0 {
		t.Errorf("before noon: %v", got)
	}
	w.clock.Advance(time.Hour)
	jobs := w.do("backup", "ListBackupJobs", nil)["BackupJobs"].([]any)
	want := []string{"arn:aws:dynamodb:eu-west-1:111122223333:table/orders", "arn:aws:ec2:eu-west-1:111122223333:volume/" + yes}
	if got := pick(jobs, "ResourceArn"); !reflect.DeepEqual(slices.Sorted(slices.Values(got)), want) {
		t.Fatalf("%v", got)
	}
	noon := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	if j := jobs[0].(object); j["State"] != "COMPLETED" || j["CreationDate"] != noon || j["CreatedBy"].(object)["BackupPlanId"] != id {
		t.Errorf("%v", j)
	}
	if got := w.do("backup", "ListCopyJobs", object{"ByState": "COMPLETED"})["CopyJobs"].([]any); len(got) != 2 || got[0].(object)["CreatedByBackupJobId"] == nil {
		t.Errorf("%v", got)
	}
	if got := w.do("backup", "GetBackupPlan", object{"BackupPlanId": id})["LastExecutionDate"]; got != noon {
		t.Errorf("%v", got)
	}
	w.clock.Advance(72 * time.Hour)
	if got := w.do("backup", "ListBackupJobs", object{"ByResourceType": "EBS"})["BackupJobs"].([]any); len(got) != 4 {
		t.Errorf("%d jobs after 3 days more", len(got))
	}
	if got := w.do("backup", "ListRecoveryPointsByBackupVault", object{"BackupVaultName": "Default", "ByResourceType": "EBS"})["RecoveryPoints"].([]any); len(got) != 2 {
		t.Errorf("%d recovery points are left", len(got))
	}
	w.fails("InvalidRequestException", "backup", "DeleteBackupPlan", object{"BackupPlanId": id})
	for _, s := range w.do("backup", "ListBackupSelections", object{"BackupPlanId": id})["BackupSelectionsList"].([]any) {
		w.do("backup", "DeleteBackupSelection", object{"BackupPlanId": id, "SelectionId": s.(object)["SelectionId"]})
	}
	w.do("backup", "DeleteBackupPlan", object{"BackupPlanId": id})
	if got := w.do("backup", "ListBackupPlans", nil)["BackupPlansList"].([]any); len(got) != 0 {
		t.Errorf("%v", got)
	}
	if got := w.do("backup", "ListBackupPlans", object{"IncludeDeleted": true})["BackupPlansList"].([]any); len(got) != 1 || got[0].(object)["DeletionDate"] == nil {
		t.Errorf("%v", got)
	}
	before := len(w.do("backup", "ListBackupJobs", nil)["BackupJobs"].([]any))
	w.clock.Advance(48 * time.Hour)
	if got := len(w.do("backup", "ListBackupJobs", nil)["BackupJobs"].([]any)); got != before {
		t.Errorf("a deleted plan ran %d times", got-before)
	}
}

func TestPlans(t *testing.T) {
	w := newWorld(t)
	rule := object{"RuleName": "r", "TargetBackupVaultName": "Default"}
	for _, more := range []object{{"ScheduleExpression": "daily"}, {"ScheduleExpression": "cron(0/5 * * * ? *)"}, {"Lifecycle": object{"MoveToColdStorageAfterDays": int64(1), "DeleteAfterDays": int64(90)}}} {
		w.fails("InvalidParameterValueException", "backup", "CreateBackupPlan", plan(object(structure(rule).with(structure(more)))))
	}
	w.fails("InvalidParameterValueException", "backup", "CreateBackupPlan", plan())
	out := w.do("backup", "CreateBackupPlan", plan(rule))
	w.fails("AlreadyExistsException", "backup", "CreateBackupPlan", plan(rule))
	id := out["BackupPlanId"]
	got := w.do("backup", "GetBackupPlan", object{"BackupPlanId": id})["BackupPlan"].(object)["Rules"].([]any)[0].(object)
	if got["ScheduleExpression"] != "cron(0 5 ? * * *)" || got["StartWindowMinutes"] != int64(480) || got["CompletionWindowMinutes"] != int64(10080) || got["RuleId"] == nil {
		t.Errorf("%v", got)
	}
	next := w.do("backup", "UpdateBackupPlan", object{"BackupPlanId": id, "BackupPlan": plan(object(structure(rule).with(structure{"RuleName": "other"})))["BackupPlan"]})
	if next["VersionId"] == out["VersionId"] {
		t.Errorf("%v", next)
	}
	old := w.do("backup", "GetBackupPlan", object{"BackupPlanId": id, "VersionId": out["VersionId"]})["BackupPlan"].(object)["Rules"].([]any)[0].(object)
	if old["RuleName"] != "r" {
		t.Errorf("%v", old)
	}
	w.do("backup", "TagResource", object{"ResourceArn": out["BackupPlanArn"], "Tags": object{"a": "1"}})
	if got := w.do("backup", "ListTags", object{"ResourceArn": out["BackupPlanArn"]})["Tags"]; !reflect.DeepEqual(got, object{"a": "1"}) {
		t.Errorf("%v", got)
	}
	w.fails("InvalidParameterValueException", "backup", "TagResource", object{"ResourceArn": out["BackupPlanArn"], "Tags": object{"aws:a": "1"}})
	w.fails("ResourceNotFoundException", "backup", "ListTags", object{"ResourceArn": "nobody"})
	w.fails("ResourceNotFoundException", "backup", "GetBackupPlan", object{"BackupPlanId": "nobody"})
	w.fails("InvalidParameterValueException", "backup", "CreateBackupSelection", object{"BackupPlanId": id, "BackupSelection": object{"SelectionName": "s", "IamRoleArn": backupRole}})
	w.fails("InvalidParameterValueException", "backup", "CreateBackupSelection", object{"BackupPlanId": id, "BackupSelection": object{"SelectionName": "s", "IamRoleArn": "arn:aws:iam::111122223333:role/nobody", "Resources": ids("*")}})
}

func TestSelections(t *testing.T) {
	of := protected{arn: "arn:aws:rds:eu-west-1:111122223333:db:shop", tags: tagSet{"env": "prod", "team": "a"}}
	condition := func(operator, key, value string) object {
		return object{operator: []any{object{"ConditionKey": "aws:ResourceTag/" + key, "ConditionValue": value}}}
	}
	for i, c := range []struct {
		s    structure
		want bool
	}{
		{structure{"Resources": ids("*")}, true},
		{structure{"Resources": ids("arn:aws:rds:*:*:db:*")}, true},
		{structure{"Resources": ids("arn:aws:ec2:*:*:volume/*")}, false},
		{structure{"Resources": ids("*"), "NotResources": ids("arn:aws:rds:*")}, false},
		{structure{"Resources": ids("*"), "Conditions": condition("StringEquals", "env", "prod")}, true},
		{structure{"Resources": ids("*"), "Conditions": condition("StringEquals", "env", "test")}, false},
		{structure{"Resources": ids("*"), "Conditions": condition("StringLike", "env", "p*")}, true},
		{structure{"Resources": ids("*"), "Conditions": condition("StringNotEquals", "env", "prod")}, false},
		{structure{"Resources": ids("*"), "Conditions": condition("StringNotLike", "env", "t*")}, true},
		{structure{"Resources": ids("*"), "Conditions": condition("StringNotEquals", "none", "x")}, true},
		{structure{"ListOfTags": []any{object{"ConditionKey": "env", "ConditionValue": "test"}, object{"ConditionKey": "team", "ConditionValue": "a"}}}, true},
		{structure{"ListOfTags": []any{object{"ConditionKey": "env", "ConditionValue": "test"}}}, false},
	} {
		if got := (backupSelection{Settings: c.s}).chooses(of); got != c.want {
			t.Errorf("case %d: %v", i, got)
		}
	}
}

func TestVaults(t *testing.T) {
	w := newWorld(t)
	key := w.do("kms", "CreateKey", nil)["KeyMetadata"].(object)["Arn"]
	in := object{"BackupVaultName": "vault", "EncryptionKeyArn": key, "BackupVaultTags": object{"a": "1"}, "CreatorRequestId": "c"}
	w.do("backup", "CreateBackupVault", in)
	w.do("backup", "CreateBackupVault", in) // the same request
	w.fails("AlreadyExistsException", "backup", "CreateBackupVault", object{"BackupVaultName": "vault"})
	w.fails("InvalidParameterValueException", "backup", "CreateBackupVault", object{"BackupVaultName": "a vault"})
	w.fails("InvalidParameterValueException", "backup", "CreateBackupVault", object{"BackupVaultName": "other", "EncryptionKeyArn": "alias/nobody"})
	if got := pick(w.do("backup", "ListBackupVaults", nil)["BackupVaultList"], "BackupVaultName"); !reflect.DeepEqual(got, []string{"vault"}) {
		t.Errorf("%v before the default one is named", got)
	}
	w.do("backup", "DescribeBackupVault", object{"BackupVaultName": "Default"})
	list := w.do("backup", "ListBackupVaults", nil)["BackupVaultList"]
	if got := pick(list, "BackupVaultName"); !reflect.DeepEqual(got, []string{"Default", "vault"}) || list.([]any)[1].(object)["EncryptionKeyArn"] != key {
		t.Errorf("%v", list)
	}
	arn := "arn:aws:backup:eu-west-1:111122223333:backup-vault:vault"
	w.do("backup", "TagResource", object{"ResourceArn": arn, "Tags": object{"b": "2"}})
	w.do("backup", "UntagResource", object{"ResourceArn": arn, "TagKeyList": ids("a")})
	if got := w.do("backup", "ListTags", object{"ResourceArn": arn})["Tags"]; !reflect.DeepEqual(got, object{"b": "2"}) {
		t.Errorf("%v", got)
	}
	name := object{"BackupVaultName": "vault"}
	w.fails("ResourceNotFoundException", "backup", "GetBackupVaultNotifications", name)
	w.do("backup", "PutBackupVaultNotifications", object{"BackupVaultName": "vault", "SNSTopicArn": "arn:aws:sns:eu-west-1:111122223333:t", "BackupVaultEvents": ids("BACKUP_JOB_FAILED")})
	if got := w.do("backup", "GetBackupVaultNotifications", name)["SNSTopicArn"]; got != "arn:aws:sns:eu-west-1:111122223333:t" {
		t.Errorf("%v", got)
	}
	w.do("backup", "DeleteBackupVaultNotifications", name)
	w.fails("ResourceNotFoundException", "backup", "GetBackupVaultNotifications", name)
	w.do("backup", "DeleteBackupVault", name)
	w.fails("ResourceNotFoundException", "backup", "DescribeBackupVault", name)
}

func TestBackupsComeThroughASnapshot(t *testing.T) {
	w := newWorld(t)
	w.newTable("orders", nil)
	w.putRow("a", "1", object{"b": object{"B": []byte{0, 1}}})
	_, point := w.backUp("arn:aws:dynamodb:eu-west-1:111122223333:table/orders")
	w.do("backup", "CreateBackupPlan", plan(object{"RuleName": "noon", "TargetBackupVaultName": "Default", "ScheduleExpression": "cron(0 12 * * ? *)"}))
	raw, err := w.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	clock := NewClock(w.clock.Now())
	s, err := Restore(Options{Catalog: w.catalog, Clock: clock}, raw)
	if err != nil {
		t.Fatal(err)
	}
	again := &world{s, t, clock, OperatorKey}
	clock.Advance(24 * time.Hour)
	again.restore(point, object{"targetTableName": "back"})
	clock.Advance(tableRestore)
	if got := again.do("dynamodb", "Scan", object{"TableName": "back"})["Items"].([]any)[0].(object)["b"]; !reflect.DeepEqual(got, object{"B": []byte{0, 1}}) {
		t.Errorf("%v", got)
	}
	if got := again.do("backup", "ListBackupPlans", nil)["BackupPlansList"].([]any)[0].(object)["LastExecutionDate"]; got == nil {
		t.Error("the plan did not run")
	}
}
