package sandbox

import (
	"reflect"
	"testing"
	"time"
)

func (w *world) newDB(more object) {
	w.t.Helper()
	in := object{"DBInstanceIdentifier": "shop", "DBInstanceClass": "db.t4g.micro", "Engine": "postgres", "MasterUsername": "ada", "MasterUserPassword": "correct horse", "AllocatedStorage": int64(100)}
	for k, v := range more {
		in[k] = v
	}
	w.do("rds", "CreateDBInstance", in)
	w.clock.Advance(dbCreation + dbBackup)
}

func (w *world) db(name string) object {
	w.t.Helper()
	return w.do("rds", "DescribeDBInstances", object{"DBInstanceIdentifier": name})["DBInstances"].([]any)[0].(object)
}

func (w *world) dbSnapshot(name string) object {
	w.t.Helper()
	return w.do("rds", "DescribeDBSnapshots", object{"DBSnapshotIdentifier": name})["DBSnapshots"].([]any)[0].(object)
}

func (w *world) snapshotDB(name string) {
	w.t.Helper()
	w.do("rds", "CreateDBSnapshot", object{"DBInstanceIdentifier": "shop", "DBSnapshotIdentifier": name})
	w.clock.Advance(dbSnapBase + 100*dbSnapByGiB)
}

func TestADatabasesLife(t *testing.T) {
	w := newWorld(t)
	w.do("rds", "CreateDBInstance", object{"DBInstanceIdentifier": "Shop", "DBInstanceClass": "db.t4g.micro", "Engine": "postgres", "MasterUsername": "ada", "MasterUserPassword": "correct horse", "AllocatedStorage": int64(20)})
	d := w.db("shop")
	if d["DBInstanceStatus"] != "creating" || d["Endpoint"] != nil || d["LatestRestorableTime"] != nil || d["StorageEncrypted"] != false || d["Iops"] != int64(3000) {
		t.Errorf("%v", d)
	}
	w.fails("InvalidDBInstanceState", "rds", "ModifyDBInstance", object{"DBInstanceIdentifier": "shop", "MultiAZ": true})
	w.clock.Advance(dbCreation)
	if got := w.db("shop")["DBInstanceStatus"]; got != "backing-up" {
		t.Errorf("then %v", got)
	}
	w.clock.Advance(dbBackup)
	d = w.db("arn:aws:rds:eu-west-1:111122223333:db:shop")
	if d["DBInstanceStatus"] != "available" || d["Endpoint"].(object)["Port"] != int64(5432) || d["LatestRestorableTime"] != w.clock.Now() {
		t.Errorf("%v", d)
	}
	if got := w.do("rds", "DescribeDBInstances", object{"Filters": []any{object{"Name": "dbi-resource-id", "Values": ids(d["DbiResourceId"].(string))}}})["DBInstances"].([]any); len(got) != 1 {
		t.Errorf("by its resource id: %v", got)
	}
	auto := w.do("rds", "DescribeDBSnapshots", object{"SnapshotType": "automated"})["DBSnapshots"].([]any)
	if len(auto) != 1 || auto[0].(object)["DBSnapshotIdentifier"] != "rds:shop-2026-11-24-08-04" {
		t.Errorf("%v", auto)
	}
	w.do("rds", "StopDBInstance", object{"DBInstanceIdentifier": "shop"})
	w.fails("InvalidDBInstanceState", "rds", "StopDBInstance", object{"DBInstanceIdentifier": "shop"})
	w.clock.Advance(dbStop)
	w.fails("InvalidDBInstanceState", "rds", "RebootDBInstance", object{"DBInstanceIdentifier": "shop"})
	w.do("rds", "StartDBInstance", object{"DBInstanceIdentifier": "shop"})
	w.clock.Advance(dbStart)
	w.fails("InvalidDBInstanceState", "rds", "StartDBInstance", object{"DBInstanceIdentifier": "shop"})
	w.fails("InvalidParameterCombination", "rds", "RebootDBInstance", object{"DBInstanceIdentifier": "shop", "ForceFailover": true})
	w.do("rds", "RebootDBInstance", object{"DBInstanceIdentifier": "shop"})
	if got := w.db("shop")["DBInstanceStatus"]; got != "rebooting" {
		t.Errorf("%v", got)
	}
	w.clock.Advance(dbReboot)
	w.do("rds", "ModifyDBInstance", object{"DBInstanceIdentifier": "shop", "DeletionProtection": true})
	w.fails("InvalidParameterCombination", "rds", "DeleteDBInstance", object{"DBInstanceIdentifier": "shop", "SkipFinalSnapshot": true})
	w.do("rds", "ModifyDBInstance", object{"DBInstanceIdentifier": "shop", "DeletionProtection": false})
	w.fails("InvalidParameterCombination", "rds", "DeleteDBInstance", object{"DBInstanceIdentifier": "shop"})
	w.fails("InvalidParameterCombination", "rds", "DeleteDBInstance", object{"DBInstanceIdentifier": "shop", "SkipFinalSnapshot": true, "FinalDBSnapshotIdentifier": "last"})
	w.do("rds", "DeleteDBInstance", object{"DBInstanceIdentifier": "shop", "FinalDBSnapshotIdentifier": "last"})
	w.fails("InvalidDBInstanceState", "rds", "DeleteDBInstance", object{"DBInstanceIdentifier": "shop", "SkipFinalSnapshot": true})
	w.clock.Advance(dbDeletion + dbSnapBase + 20*dbSnapByGiB)
	w.fails("DBInstanceNotFound", "rds", "DescribeDBInstances", object{"DBInstanceIdentifier": "shop"})
	if left := pick(w.do("rds", "DescribeDBSnapshots", nil)["DBSnapshots"], "DBSnapshotIdentifier"); !reflect.DeepEqual(left, []string{"last"}) {
		t.Errorf("%v", left)
	}
}

func TestAStoppedDatabaseStartsAgainAfterSevenDays(t *testing.T) {
	w := newWorld(t)
	w.newDB(nil)
	w.do("rds", "StopDBInstance", object{"DBInstanceIdentifier": "shop"})
	w.clock.Advance(dbStop + dbMostStopped - time.Second)
	if got := w.db("shop"); got["DBInstanceStatus"] != "stopped" || got["AutomaticRestartTime"] != w.clock.Now().Add(time.Second) {
		t.Errorf("%v", got)
	}
	w.clock.Advance(time.Second + dbStart)
	if got := w.db("shop")["DBInstanceStatus"]; got != "available" {
		t.Errorf("%v", got)
	}
}

func TestChangesWaitForTheWindow(t *testing.T) {
	w := newWorld(t) // a Tuesday, 08:00
	w.newDB(object{"PreferredMaintenanceWindow": "wed:03:00-wed:03:30"})
	out := w.do("rds", "ModifyDBInstance", object{"DBInstanceIdentifier": "shop", "DBInstanceClass": "db.m7g.large", "PubliclyAccessible": false})["DBInstance"].(object)
	if out["PubliclyAccessible"] != false || out["DBInstanceClass"] != "db.t4g.micro" || !reflect.DeepEqual(out["PendingModifiedValues"], object{"DBInstanceClass": "db.m7g.large"}) {
		t.Errorf("%v", out)
	}
	// The first change comes about with the next, and stays there over a reboot.
	w.do("rds", "RebootDBInstance", object{"DBInstanceIdentifier": "shop"})
	w.clock.Advance(dbReboot)
	w.do("rds", "ModifyDBInstance", object{"DBInstanceIdentifier": "shop", "MultiAZ": true})
	w.clock.Advance(time.Date(2026, 11, 25, 2, 59, 59, 0, time.UTC).Sub(w.clock.Now()))
	if got := w.db("shop"); got["DBInstanceStatus"] != "available" || got["MultiAZ"] != false {
		t.Errorf("before the window: %v", got)
	}
	w.clock.Advance(time.Second)
	if got := w.db("shop"); got["DBInstanceStatus"] != "modifying" || got["MultiAZ"] != false {
		t.Errorf("in the window: %v", got)
	}
	w.clock.Advance(dbChange)
	if got := w.db("shop"); got["DBInstanceStatus"] != "available" || got["MultiAZ"] != true || got["DBInstanceClass"] != "db.m7g.large" || len(got["PendingModifiedValues"].(object)) != 0 || got["SecondaryAvailabilityZone"] != "eu-west-1b" {
		t.Errorf("after it: %v", got)
	}
}

func TestChangesAtOnceBeginALittleLater(t *testing.T) {
	w := newWorld(t)
	w.newDB(nil)
	modify := func(more object) object {
		more["DBInstanceIdentifier"], more["ApplyImmediately"] = "shop", true
		return more
	}
	out := w.do("rds", "ModifyDBInstance", modify(object{"AllocatedStorage": int64(101)}))["DBInstance"].(object)
	if out["DBInstanceStatus"] != "available" || out["AllocatedStorage"] != int64(100) || !reflect.DeepEqual(out["PendingModifiedValues"], object{"AllocatedStorage": int64(110)}) {
		t.Errorf("storage grows by at least a tenth: %v", out)
	}
	w.clock.Advance(dbNotice)
	if got := w.db("shop")["DBInstanceStatus"]; got != "modifying" {
		t.Errorf("%v", got)
	}
	w.fails("InvalidDBInstanceState", "rds", "ModifyDBInstance", modify(object{"AllocatedStorage": int64(200)}))
	w.clock.Advance(dbChange)
	if got := w.db("shop"); got["DBInstanceStatus"] != "storage-optimization" || got["AllocatedStorage"] != int64(110) {
		t.Errorf("%v", got)
	}
	w.fails("InvalidParameterCombination", "rds", "ModifyDBInstance", modify(object{"AllocatedStorage": int64(200)}))
	w.do("rds", "ModifyDBInstance", modify(object{"CopyTagsToSnapshot": true}))
	if got := w.db("shop"); got["DBInstanceStatus"] != "storage-optimization" || got["CopyTagsToSnapshot"] != true {
		t.Errorf("%v", got)
	}
	w.clock.Advance(dbOptimize)
	if got := w.db("shop")["DBInstanceStatus"]; got != "available" {
		t.Errorf("%v", got)
	}
	w.do("rds", "ModifyDBInstance", modify(object{"NewDBInstanceIdentifier": "store", "StorageType": "gp2"}))
	w.clock.Advance(dbNotice + dbChange)
	w.fails("DBInstanceNotFound", "rds", "DescribeDBInstances", object{"DBInstanceIdentifier": "shop"})
	if got := w.db("store"); got["Iops"] != nil || got["StorageType"] != "gp2" || got["DBInstanceArn"] != "arn:aws:rds:eu-west-1:111122223333:db:store" {
		t.Errorf("%v", got)
	}
}

func TestDatabasesThatAreRefused(t *testing.T) {
	w := newWorld(t)
	w.newDB(nil)
	key := w.do("kms", "CreateKey", nil)["KeyMetadata"].(object)["KeyId"]
	w.do("kms", "DisableKey", object{"KeyId": key})
	for _, c := range []struct {
		code string
		in   object
	}{
		{"DBInstanceAlreadyExists", object{"DBInstanceIdentifier": "SHOP"}},
		{"InvalidParameterValue", object{"DBInstanceIdentifier": "a--b"}},
		{"InvalidParameterValue", object{"Engine": "dbase"}},
		{"NotImplemented", object{"Engine": "aurora-mysql"}},
		{"InvalidParameterValue", object{"DBInstanceClass": "t4g.micro"}},
		{"InvalidParameterValue", object{"MasterUserPassword": "short"}},
		{"InvalidParameterValue", object{"MasterUserPassword": ""}},
		{"InvalidParameterValue", object{"AllocatedStorage": int64(5)}},
		{"InvalidParameterValue", object{"BackupRetentionPeriod": int64(36)}},
		{"InvalidParameterValue", object{"StorageType": "floppy"}},
		{"InvalidParameterCombination", object{"StorageType": "io2"}},
		{"InvalidParameterCombination", object{"StorageType": "gp2", "Iops": int64(3000)}},
		{"InvalidParameterCombination", object{"KmsKeyId": "alias/aws/rds"}},
		{"InvalidParameterCombination", object{"MultiAZ": true, "AvailabilityZone": "eu-west-1a"}},
		{"InvalidParameterValue", object{"AvailabilityZone": "eu-west-1z"}},
		{"InvalidParameterValue", object{"PreferredMaintenanceWindow": "someday"}},
		{"KMSKeyNotAccessibleFault", object{"StorageEncrypted": true, "KmsKeyId": key}},
		{"KMSKeyNotAccessibleFault", object{"StorageEncrypted": true, "KmsKeyId": "alias/nobody"}},
		{"InvalidParameterValue", object{"Tags": []any{object{"Key": "aws:x", "Value": "y"}}}},
	} {
		in := object{"DBInstanceIdentifier": "other", "DBInstanceClass": "db.t4g.micro", "Engine": "mysql", "MasterUsername": "ada", "MasterUserPassword": "correct horse", "AllocatedStorage": int64(100)}
		for k, v := range c.in {
			in[k] = v
		}
		w.fails(c.code, "rds", "CreateDBInstance", in)
	}
	for _, c := range []struct {
		code string
		in   object
	}{
		{"InvalidParameterCombination", object{"AllocatedStorage": int64(50)}},
		{"DBInstanceAlreadyExists", object{"NewDBInstanceIdentifier": "shop"}},
		{"InvalidParameterCombination", object{"EngineVersion": "18.1"}},
		{"InvalidParameterValue", object{"BackupRetentionPeriod": int64(-1)}},
		{"DBInstanceNotFound", object{"DBInstanceIdentifier": "nobody"}},
	} {
		in := object{"DBInstanceIdentifier": "shop"}
		for k, v := range c.in {
			in[k] = v
		}
		w.fails(c.code, "rds", "ModifyDBInstance", in)
	}
	w.fails("InvalidParameterValue", "rds", "DescribeDBInstances", object{"MaxRecords": int64(5)})
}

func TestEncryptionComesWithACopyOfTheSnapshot(t *testing.T) {
	w := newWorld(t)
	w.newDB(object{"CopyTagsToSnapshot": true, "Tags": []any{object{"Key": "team", "Value": "a"}}})
	w.do("rds", "CreateDBSnapshot", object{"DBInstanceIdentifier": "shop", "DBSnapshotIdentifier": "plain"})
	writes := w.DBWrites("shop")
	w.fails("InvalidDBSnapshotState", "rds", "CopyDBSnapshot", object{"SourceDBSnapshotIdentifier": "plain", "TargetDBSnapshotIdentifier": "sealed"})
	w.fails("DBSnapshotAlreadyExists", "rds", "CreateDBSnapshot", object{"DBInstanceIdentifier": "shop", "DBSnapshotIdentifier": "plain"})
	w.clock.Advance(time.Hour)
	if s := w.dbSnapshot("plain"); s["Status"] != "available" || s["Encrypted"] != false || s["TagList"].([]any)[0].(object)["Value"] != "a" {
		t.Errorf("%v", s)
	}
	w.do("rds", "CopyDBSnapshot", object{"SourceDBSnapshotIdentifier": "plain", "TargetDBSnapshotIdentifier": "sealed", "KmsKeyId": "alias/aws/rds", "CopyTags": true})
	w.fails("InvalidDBSnapshotState", "rds", "RestoreDBInstanceFromDBSnapshot", object{"DBSnapshotIdentifier": "sealed", "DBInstanceIdentifier": "safe"})
	w.clock.Advance(time.Hour)
	alias := w.do("kms", "DescribeKey", object{"KeyId": "alias/aws/rds"})["KeyMetadata"].(object)
	if s := w.dbSnapshot("sealed"); s["Encrypted"] != true || s["KmsKeyId"] != alias["Arn"] || s["SourceDBSnapshotIdentifier"] != "arn:aws:rds:eu-west-1:111122223333:snapshot:plain" {
		t.Errorf("%v", s)
	}
	out := w.do("rds", "RestoreDBInstanceFromDBSnapshot", object{"DBSnapshotIdentifier": "sealed", "DBInstanceIdentifier": "safe", "DBInstanceClass": "db.m7g.large", "MultiAZ": true})["DBInstance"].(object)
	if out["StorageEncrypted"] != true || out["KmsKeyId"] != alias["Arn"] || out["DBInstanceClass"] != "db.m7g.large" || out["AllocatedStorage"] != int64(100) || out["DeletionProtection"] != false {
		t.Errorf("%v", out)
	}
	if got := w.DBWrites("safe"); got != writes {
		t.Errorf("%d writes came back, %d were in the snapshot", got, writes)
	}
	w.clock.Advance(dbCreation + 10*time.Second)
	if got := w.DBWrites("safe"); got != writes+10 {
		t.Errorf("%d writes after 10 s, %d in the snapshot", got, writes)
	}
	w.fails("InvalidDBSnapshotState", "rds", "DeleteDBSnapshot", object{"DBSnapshotIdentifier": w.do("rds", "DescribeDBSnapshots", object{"SnapshotType": "automated", "DBInstanceIdentifier": "shop"})["DBSnapshots"].([]any)[0].(object)["DBSnapshotIdentifier"]})
	w.do("rds", "DeleteDBSnapshot", object{"DBSnapshotIdentifier": "plain"})
	w.fails("DBSnapshotNotFound", "rds", "DescribeDBSnapshots", object{"DBSnapshotIdentifier": "plain"})
	w.fails("DBSnapshotNotFound", "rds", "RestoreDBInstanceFromDBSnapshot", object{"DBSnapshotIdentifier": "plain", "DBInstanceIdentifier": "again"})
	w.fails("InvalidParameterValue", "rds", "RestoreDBInstanceFromDBSnapshot", object{"DBSnapshotIdentifier": "sealed", "DBInstanceIdentifier": "again", "AllocatedStorage": int64(50)})
	w.fails("InvalidParameterCombination", "rds", "RestoreDBInstanceFromDBSnapshot", object{"DBSnapshotIdentifier": "sealed", "DBInstanceIdentifier": "again", "Engine": "mysql"})
	w.do("kms", "CreateAlias", object{"AliasName": "alias/shop", "TargetKeyId": w.do("kms", "CreateKey", nil)["KeyMetadata"].(object)["KeyId"]})
	w.do("rds", "CopyDBSnapshot", object{"SourceDBSnapshotIdentifier": "sealed", "TargetDBSnapshotIdentifier": "ours", "KmsKeyId": "alias/shop"})
	w.clock.Advance(time.Hour)
	w.do("kms", "DisableKey", object{"KeyId": "alias/shop"})
	w.fails("KMSKeyNotAccessibleFault", "rds", "RestoreDBInstanceFromDBSnapshot", object{"DBSnapshotIdentifier": "ours", "DBInstanceIdentifier": "again"})
}

func TestSnapshotsGoToOtherRegions(t *testing.T) {
	w := newWorld(t)
	w.newDB(object{"StorageEncrypted": true})
	w.snapshotDB("one")
	there := func(operation string, in object) (object, error) {
		return w.Call(t.Context(), Request{Service: "rds", Operation: operation, Region: "us-east-1", AccessKeyID: OperatorKey, Input: in})
	}
	source := "arn:aws:rds:eu-west-1:111122223333:snapshot:one"
	if _, err := there("CopyDBSnapshot", object{"SourceDBSnapshotIdentifier": source, "TargetDBSnapshotIdentifier": "two"}); codeOf(err) != "InvalidParameterCombination" {
		t.Errorf("without a key of its Region: %v", err)
	}
	if _, err := there("CopyDBSnapshot", object{"SourceDBSnapshotIdentifier": source, "TargetDBSnapshotIdentifier": "two", "KmsKeyId": "alias/aws/rds"}); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Hour)
	out, err := there("DescribeDBSnapshots", object{"DBSnapshotIdentifier": "two"})
	if err != nil {
		t.Fatal(err)
	}
	if s := out["DBSnapshots"].([]any)[0].(object); s["SourceRegion"] != "eu-west-1" || s["Status"] != "available" || s["KmsKeyId"] == w.dbSnapshot("one")["KmsKeyId"] {
		t.Errorf("%v", s)
	}
	w.fails("DBSnapshotNotFound", "rds", "DescribeDBSnapshots", object{"DBSnapshotIdentifier": "two"})
	if _, err := there("RestoreDBInstanceFromDBSnapshot", object{"DBSnapshotIdentifier": source, "DBInstanceIdentifier": "x"}); codeOf(err) != "InvalidParameterValue" {
		t.Errorf("across Regions: %v", err)
	}
}

func TestADatabaseIsRestoredToATime(t *testing.T) {
	w := newWorld(t)
	w.newDB(object{"BackupRetentionPeriod": int64(2), "StorageEncrypted": true})
	begin := w.clock.Now()
	w.clock.Advance(time.Hour)
	at, writes := w.clock.Now(), w.DBWrites("shop")
	w.clock.Advance(time.Hour)
	restore := func(target string, more object) object {
		in := object{"SourceDBInstanceIdentifier": "shop", "TargetDBInstanceIdentifier": target}
		for k, v := range more {
			in[k] = v
		}
		return in
	}
	if got := w.db("shop")["LatestRestorableTime"]; got != w.clock.Now().Add(-dbRestoreLag) {
		t.Errorf("latest %v at %v", got, w.clock.Now())
	}
	for code, in := range map[string]object{
		"InvalidParameterValue":       restore("back", object{"RestoreTime": w.clock.Now()}),
		"InvalidParameterCombination": restore("back", object{"RestoreTime": at, "UseLatestRestorableTime": true}),
		"DBInstanceAlreadyExists":     restore("shop", object{"RestoreTime": at}),
		"DBInstanceNotFound":          {"SourceDBInstanceIdentifier": "nobody", "TargetDBInstanceIdentifier": "back", "UseLatestRestorableTime": true},
	} {
		w.fails(code, "rds", "RestoreDBInstanceToPointInTime", in)
	}
	w.fails("InvalidParameterValue", "rds", "RestoreDBInstanceToPointInTime", restore("back", object{"RestoreTime": begin.Add(-time.Second)}))
	w.fails("InvalidParameterCombination", "rds", "RestoreDBInstanceToPointInTime", restore("back", nil))
	w.fails("InvalidParameterCombination", "rds", "RestoreDBInstanceToPointInTime", object{"TargetDBInstanceIdentifier": "back", "RestoreTime": at})
	w.fails("DBInstanceNotFound", "rds", "RestoreDBInstanceToPointInTime", object{"SourceDbiResourceId": "db-NONE", "TargetDBInstanceIdentifier": "back", "RestoreTime": at})
	w.do("rds", "RestoreDBInstanceToPointInTime", object{"SourceDbiResourceId": w.db("shop")["DbiResourceId"], "TargetDBInstanceIdentifier": "by-id", "RestoreTime": at})
	out := w.do("rds", "RestoreDBInstanceToPointInTime", restore("back", object{"RestoreTime": at}))["DBInstance"].(object)
	if w.DBWrites("back") != writes || out["StorageEncrypted"] != true {
		t.Errorf("%d writes, then there were %d; %v", w.DBWrites("back"), writes, out)
	}
	w.do("rds", "RestoreDBInstanceToPointInTime", restore("latest", object{"UseLatestRestorableTime": true}))
	if got, want := w.DBWrites("latest"), w.DBWrites("shop")-int64(dbRestoreLag/time.Second); got != want {
		t.Errorf("latest has %d writes, want %d", got, want)
	}
	w.clock.Advance(72 * time.Hour)
	w.fails("InvalidParameterValue", "rds", "RestoreDBInstanceToPointInTime", restore("late", object{"RestoreTime": at}))
	w.do("rds", "ModifyDBInstance", object{"DBInstanceIdentifier": "shop", "BackupRetentionPeriod": int64(0), "ApplyImmediately": true})
	w.clock.Advance(dbNotice + dbChange)
	w.fails("PointInTimeRestoreNotEnabled", "rds", "RestoreDBInstanceToPointInTime", restore("late", object{"UseLatestRestorableTime": true}))
	w.do("rds", "ModifyDBInstance", object{"DBInstanceIdentifier": "shop", "BackupRetentionPeriod": int64(7), "ApplyImmediately": true})
	w.clock.Advance(dbNotice + dbChange)
	w.fails("InvalidParameterValue", "rds", "RestoreDBInstanceToPointInTime", restore("late", object{"RestoreTime": w.clock.Now().Add(-time.Minute)}))
	w.do("rds", "RestoreDBInstanceToPointInTime", restore("late", object{"UseLatestRestorableTime": true}))
}

func TestSnapshotsAreShared(t *testing.T) {
	w := newWorld(t)
	w.newDB(nil)
	w.snapshotDB("one")
	modify := func(more object) object {
		more["DBSnapshotIdentifier"], more["AttributeName"] = "one", "restore"
		return more
	}
	w.do("rds", "ModifyDBSnapshotAttribute", modify(object{"ValuesToAdd": ids("999999999999", "all")}))
	values := func() []any {
		out := w.do("rds", "DescribeDBSnapshotAttributes", object{"DBSnapshotIdentifier": "one"})
		return out["DBSnapshotAttributesResult"].(object)["DBSnapshotAttributes"].([]any)[0].(object)["AttributeValues"].([]any)
	}
	if !reflect.DeepEqual(values(), ids("999999999999", "all")) {
		t.Errorf("%v", values())
	}
	if got := w.do("rds", "DescribeDBSnapshots", object{"SnapshotType": "public"})["DBSnapshots"].([]any); len(got) != 1 {
		t.Errorf("%v", got)
	}
	w.do("rds", "ModifyDBSnapshotAttribute", modify(object{"ValuesToRemove": ids("all")}))
	if !reflect.DeepEqual(values(), ids("999999999999")) {
		t.Errorf("%v", values())
	}
	w.fails("InvalidParameterValue", "rds", "ModifyDBSnapshotAttribute", modify(object{"ValuesToAdd": ids("everybody")}))
	w.do("rds", "CopyDBSnapshot", object{"SourceDBSnapshotIdentifier": "one", "TargetDBSnapshotIdentifier": "sealed", "KmsKeyId": "alias/aws/rds"})
	for code, value := range map[string]string{"InvalidParameterValue": "all", "InvalidParameterCombination": "999999999999"} {
		w.fails(code, "rds", "ModifyDBSnapshotAttribute", object{"DBSnapshotIdentifier": "sealed", "AttributeName": "restore", "ValuesToAdd": ids(value)})
	}
}

func TestTagsOfDatabases(t *testing.T) {
	w := newWorld(t)
	w.newDB(nil)
	w.snapshotDB("one")
	for _, arn := range []string{"arn:aws:rds:eu-west-1:111122223333:db:shop", "arn:aws:rds:eu-west-1:111122223333:snapshot:one"} {
		name := object{"ResourceName": arn}
		w.do("rds", "AddTagsToResource", object{"ResourceName": arn, "Tags": []any{object{"Key": "a", "Value": "1"}, object{"Key": "b", "Value": "2"}}})
		w.do("rds", "RemoveTagsFromResource", object{"ResourceName": arn, "TagKeys": ids("a", "none")})
		if got := w.do("rds", "ListTagsForResource", name)["TagList"]; !reflect.DeepEqual(got, []any{object{"Key": "b", "Value": "2"}}) {
			t.Errorf("%s: %v", arn, got)
		}
	}
	w.fails("InvalidParameterValue", "rds", "ListTagsForResource", object{"ResourceName": "shop"})
	w.fails("DBInstanceNotFound", "rds", "ListTagsForResource", object{"ResourceName": "arn:aws:rds:eu-west-1:111122223333:db:nobody"})
	w.fails("DBSnapshotNotFound", "rds", "AddTagsToResource", object{"ResourceName": "arn:aws:rds:eu-west-1:111122223333:snapshot:nobody", "Tags": []any{}})
}
