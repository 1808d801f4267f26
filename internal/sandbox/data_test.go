package sandbox

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/knowngood/knowngood/awsapi"
)

// TestOneSeedOneWorldOfData: two runs of one history leave the same bytes.
func TestOneSeedOneWorldOfData(t *testing.T) {
	history := func() []byte {
		w := newWorld(t)
		w.newDB(object{"StorageEncrypted": true})
		w.snapshotDB("one")
		w.newTable("orders", nil)
		for _, id := range []string{"a", "b", "c"} {
			w.putRow(id, "1", object{"raw": object{"B": []byte(id)}})
		}
		w.bucket(testBucket)
		w.do("s3", "PutBucketVersioning", on(object{"VersioningConfiguration": object{"Status": "Enabled"}}))
		w.put("a", "x")
		w.put("b", "y")
		out := w.do("backup", "CreateBackupPlan", plan(object{"RuleName": "noon", "TargetBackupVaultName": "Default", "ScheduleExpression": "cron(0 12 * * ? *)"}))
		w.do("backup", "CreateBackupSelection", object{"BackupPlanId": out["BackupPlanId"], "BackupSelection": object{"SelectionName": "all", "IamRoleArn": backupRole, "Resources": ids("*")}})
		w.clock.Advance(24 * time.Hour)
		w.do("rds", "RestoreDBInstanceToPointInTime", object{"SourceDBInstanceIdentifier": "shop", "TargetDBInstanceIdentifier": "back", "UseLatestRestorableTime": true})
		raw, err := w.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		s, err := Restore(Options{Catalog: w.catalog}, raw)
		if err != nil {
			t.Fatal(err)
		}
		again, err := s.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(raw, again) {
			t.Error("a snapshot of what was restored from one differs")
		}
		return raw
	}
	if a, b := history(), history(); !bytes.Equal(a, b) {
		t.Errorf("two runs differ:\n%s\n%s", a, b)
	}
}

func FuzzByteRange(f *testing.F) {
	for _, seed := range []string{"", "bytes=0-1", "bytes=-1", "bytes=5-", "bytes=1-0", "bytes=0-0,2-3", "lines=1-2", "bytes=99999999999999999999-"} {
		f.Add(seed, 5)
	}
	f.Fuzz(func(t *testing.T, text string, size int) {
		size = max(size, 0)
		from, to, ok, err := byteRange(text, size)
		if ok && (err != nil || from < 0 || from >= to || to > size) {
			t.Errorf("%q of %d bytes: %d to %d, %v", text, size, from, to, err)
		}
	})
}

func FuzzExpressions(f *testing.F) {
	for _, seed := range []string{"a = :v", "#n BETWEEN :v AND :v", "begins_with(a, :v) AND attribute_exists(b)", "SET a = :v REMOVE b", "SET", "a = :v AND", "((", "SET l[1] = n + :v, m.b = if_not_exists(a, :v) REMOVE l[0] ADD c :v", "NOT (size(l) IN (:v, n) OR contains(l, :v))", "a, m.b, l[1]", "SET l = list_append(l, :l)"} {
		f.Add(seed)
	}
	catalog, err := awsapi.Embedded()
	if err != nil {
		f.Fatal(err)
	}
	op, err := catalog.Operation("dynamodb", "UpdateItem")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := &call{operation: op, in: object{"ConditionExpression": text, "UpdateExpression": text, "ProjectionExpression": text,
			"ExpressionAttributeNames": object{"#n": "n"}, "ExpressionAttributeValues": object{":v": attr("N", "1"), ":l": object{"L": []any{attr("S", "x")}}}}}
		item := structure{"n": attr("N", "1"), "a": attr("S", "x"), "l": object{"L": []any{attr("N", "1"), attr("S", "y")}}, "m": object{"M": object{"b": attr("S", "z")}}}
		before := fmt.Sprint(item)
		if t, err := c.condition("ConditionExpression"); err == nil {
			t.holds(item)
		}
		if p, err := c.projection(); err == nil && p != nil {
			p.project(item)
		}
		u, err := c.update()
		if err == nil && len(u.actions) == 0 && text != "" {
			t.Errorf("%q updates nothing, and is no error", text)
		}
		if err == nil {
			_, _ = u.apply(item) // it may not fit the item
		}
		if after := fmt.Sprint(item); after != before {
			t.Errorf("%q changed the item that it was applied to: %s", text, after)
		}
	})
}
