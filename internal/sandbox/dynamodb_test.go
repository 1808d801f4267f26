package sandbox

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"
)

func attr(kind, v string) object { return object{kind: v} }

func (w *world) newTable(name string, more object) {
	w.t.Helper()
	in := object{"TableName": name, "BillingMode": "PAY_PER_REQUEST",
		"AttributeDefinitions": []any{object{"AttributeName": "id", "AttributeType": "S"}, object{"AttributeName": "n", "AttributeType": "N"}},
		"KeySchema":            []any{object{"AttributeName": "id", "KeyType": "HASH"}, object{"AttributeName": "n", "KeyType": "RANGE"}}}
	for k, v := range more {
		in[k] = v
	}
	w.do("dynamodb", "CreateTable", in)
	w.clock.Advance(tableCreation)
}

func (w *world) table(name string) object {
	w.t.Helper()
	return w.do("dynamodb", "DescribeTable", object{"TableName": name})["Table"].(object)
}

func row(id, n string, more object) object {
	out := object{"id": attr("S", id), "n": attr("N", n)}
	for k, v := range more {
		out[k] = v
	}
	return out
}

func (w *world) putRow(id, n string, more object) {
	w.t.Helper()
	w.do("dynamodb", "PutItem", object{"TableName": "orders", "Item": row(id, n, more)})
}

func TestATablesLife(t *testing.T) {
	w := newWorld(t)
	in := object{"TableName": "orders", "AttributeDefinitions": []any{object{"AttributeName": "id", "AttributeType": "S"}}, "KeySchema": []any{object{"AttributeName": "id", "KeyType": "HASH"}},
		"ProvisionedThroughput": object{"ReadCapacityUnits": int64(5), "WriteCapacityUnits": int64(5)}, "DeletionProtectionEnabled": true, "Tags": []any{object{"Key": "a", "Value": "1"}}}
	w.do("dynamodb", "CreateTable", in)
	w.fails("ResourceInUseException", "dynamodb", "CreateTable", in)
	w.fails("ResourceInUseException", "dynamodb", "UpdateTable", object{"TableName": "orders", "BillingMode": "PAY_PER_REQUEST"})
	w.fails("ResourceNotFoundException", "dynamodb", "PutItem", object{"TableName": "orders", "Item": object{"id": attr("S", "x")}})
	if got := w.table("orders"); got["TableStatus"] != "CREATING" || got["SSEDescription"] != nil {
		t.Errorf("%v", got)
	}
	w.clock.Advance(tableCreation)
	w.fails("ValidationException", "dynamodb", "UpdateTable", object{"TableName": "orders"})
	w.fails("ValidationException", "dynamodb", "UpdateTable", object{"TableName": "orders", "ProvisionedThroughput": object{"ReadCapacityUnits": int64(5), "WriteCapacityUnits": int64(5)}})
	w.do("dynamodb", "UpdateTable", object{"TableName": "orders", "BillingMode": "PAY_PER_REQUEST", "SSESpecification": object{"Enabled": true}})
	if got := w.table("orders"); got["TableStatus"] != "UPDATING" || got["BillingModeSummary"].(object)["BillingMode"] != "PROVISIONED" {
		t.Errorf("%v", got)
	}
	w.clock.Advance(tableUpdate)
	alias := w.do("kms", "DescribeKey", object{"KeyId": "alias/aws/dynamodb"})["KeyMetadata"].(object)
	if got := w.table("orders"); got["TableStatus"] != "ACTIVE" || got["BillingModeSummary"].(object)["BillingMode"] != "PAY_PER_REQUEST" || got["SSEDescription"].(object)["KMSMasterKeyArn"] != alias["Arn"] {
		t.Errorf("%v", got)
	}
	w.fails("ValidationException", "dynamodb", "DeleteTable", object{"TableName": "orders"})
	w.do("dynamodb", "UpdateTable", object{"TableName": "orders", "DeletionProtectionEnabled": false})
	w.do("dynamodb", "DeleteTable", object{"TableName": "arn:aws:dynamodb:eu-west-1:111122223333:table/orders"})
	if got := w.table("orders")["TableStatus"]; got != "DELETING" {
		t.Errorf("%v", got)
	}
	w.clock.Advance(tableDeletion)
	w.fails("ResourceNotFoundException", "dynamodb", "DescribeTable", object{"TableName": "orders"})
	w.do("dynamodb", "CreateTable", in)
}

func TestTablesThatAreRefused(t *testing.T) {
	w := newWorld(t)
	id := []any{object{"AttributeName": "id", "AttributeType": "S"}}
	hash := []any{object{"AttributeName": "id", "KeyType": "HASH"}}
	for i, in := range []object{
		{"TableName": "x"},
		{"AttributeDefinitions": id},
		{"KeySchema": hash},
		{"AttributeDefinitions": id, "KeySchema": []any{object{"AttributeName": "other", "KeyType": "HASH"}}},
		{"AttributeDefinitions": append(slices.Clone(id), object{"AttributeName": "spare", "AttributeType": "S"}), "KeySchema": hash},
		{"AttributeDefinitions": id, "KeySchema": []any{object{"AttributeName": "id", "KeyType": "RANGE"}}},
		{"AttributeDefinitions": id, "KeySchema": hash, "BillingMode": "PROVISIONED"},
		{"AttributeDefinitions": id, "KeySchema": hash, "ProvisionedThroughput": object{"ReadCapacityUnits": int64(1), "WriteCapacityUnits": int64(1)}},
		{"AttributeDefinitions": id, "KeySchema": hash, "SSESpecification": object{"Enabled": true, "KMSMasterKeyId": "alias/nobody"}},
		{"AttributeDefinitions": id, "KeySchema": hash, "Tags": []any{object{"Key": "aws:a", "Value": "b"}}},
	} {
		full := object{"TableName": "orders", "BillingMode": "PAY_PER_REQUEST"}
		for k, v := range in {
			full[k] = v
		}
		w.fails("ValidationException", "dynamodb", "CreateTable", full)
		if t.Failed() {
			t.Fatalf("case %d", i)
		}
	}
}

func TestIndexesComeAndGo(t *testing.T) {
	w := newWorld(t)
	w.newTable("orders", nil)
	index := object{"IndexName": "by-n", "KeySchema": []any{object{"AttributeName": "n", "KeyType": "HASH"}}, "Projection": object{"ProjectionType": "ALL"}}
	update := func(kind string, v object) object {
		return object{"TableName": "orders", "GlobalSecondaryIndexUpdates": []any{object{kind: v}}}
	}
	w.do("dynamodb", "UpdateTable", update("Create", index))
	w.clock.Advance(tableUpdate)
	got := w.table("orders")["GlobalSecondaryIndexes"].([]any)[0].(object)
	if got["IndexStatus"] != "ACTIVE" || got["IndexArn"] != "arn:aws:dynamodb:eu-west-1:111122223333:table/orders/index/by-n" {
		t.Errorf("%v", got)
	}
	w.fails("ValidationException", "dynamodb", "UpdateTable", update("Create", index))
	w.fails("ResourceNotFoundException", "dynamodb", "UpdateTable", update("Delete", object{"IndexName": "other"}))
	w.do("dynamodb", "UpdateTable", update("Delete", object{"IndexName": "by-n"}))
	w.clock.Advance(tableUpdate)
	if got := w.table("orders")["GlobalSecondaryIndexes"]; got != nil {
		t.Errorf("%v", got)
	}
}

func TestItems(t *testing.T) {
	w := newWorld(t)
	w.newTable("orders", nil)
	for _, n := range []string{"10", "9", "-1", "1e1", "2.50"} { // 1e1 is 10
		w.putRow("a", n, object{"v": attr("S", n)})
	}
	w.putRow("b", "1", object{"raw": object{"B": []byte{1, 255}}})
	ask := func(condition string, values object, more object) []string {
		in := object{"TableName": "orders", "KeyConditionExpression": condition, "ExpressionAttributeValues": values}
		for k, v := range more {
			in[k] = v
		}
		var out []string
		for _, o := range objects(w.do("dynamodb", "Query", in)["Items"]) {
			out = append(out, o["n"].(object)["N"].(string))
		}
		return out
	}
	a, nine := attr("S", "a"), attr("N", "9.0")
	for _, c := range []struct {
		got, want []string
	}{
		{ask("id = :a", object{":a": a}, nil), []string{"-1", "2.50", "9", "1e1"}},
		{ask("id = :a", object{":a": a}, object{"ScanIndexForward": false, "Limit": int64(2)}), []string{"1e1", "9"}},
		{ask("id = :a AND #k >= :n", object{":a": a, ":n": nine}, object{"ExpressionAttributeNames": object{"#k": "n"}}), []string{"9", "1e1"}},
		{ask("id = :a AND n BETWEEN :l AND :n", object{":a": a, ":l": attr("N", "0"), ":n": nine}, nil), []string{"2.50", "9"}},
		{ask("n < :n and id = :a", object{":a": a, ":n": nine}, nil), []string{"-1", "2.50"}},
		{ask("id = :a", object{":a": attr("S", "none")}, nil), nil},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%v, want %v", c.got, c.want)
		}
	}
	key := object{"TableName": "orders", "Key": row("a", "9.00", nil)}
	if got := w.do("dynamodb", "GetItem", key)["Item"].(object)["v"]; !reflect.DeepEqual(got, attr("S", "9")) {
		t.Errorf("%v", got)
	}
	update := func(expression string, values, more object) object {
		in := object{"TableName": "orders", "Key": row("a", "9", nil), "UpdateExpression": expression, "ReturnValues": "ALL_NEW"}
		if values != nil {
			in["ExpressionAttributeValues"] = values
		}
		for k, v := range more {
			in[k] = v
		}
		return in
	}
	got := w.do("dynamodb", "UpdateItem", update("SET v = :v, #s = :v REMOVE gone", object{":v": attr("S", "new")}, object{"ExpressionAttributeNames": object{"#s": "state"}}))["Attributes"]
	if !reflect.DeepEqual(got, row("a", "9", object{"v": attr("S", "new"), "state": attr("S", "new")})) {
		t.Errorf("%v", got)
	}
	if got := w.do("dynamodb", "UpdateItem", update("REMOVE v", nil, object{"ReturnValues": "UPDATED_OLD"}))["Attributes"]; !reflect.DeepEqual(got, object{"v": attr("S", "new")}) {
		t.Errorf("%v", got)
	}
	for _, c := range []struct {
		code string
		in   object
	}{
		{"ValidationException", update("SET id = :v", object{":v": attr("S", "x")}, nil)},
		{"ValidationException", update("SET v = :missing", nil, nil)},
		{"ValidationException", update("SET #none = :v", object{":v": attr("S", "x")}, nil)},
		{"ConditionalCheckFailedException", update("SET v = :v", object{":v": attr("S", "x")}, object{"ConditionExpression": "attribute_not_exists(id)"})},
		{"ConditionalCheckFailedException", update("SET v = :v", object{":v": attr("S", "x")}, object{"ConditionExpression": "attribute_exists(id) AND #s = :v", "ExpressionAttributeNames": object{"#s": "state"}})},
		{"ConditionalCheckFailedException", update("SET v = :v", object{":v": attr("S", "x")}, object{"ConditionExpression": "id = :v OR n = :v"})},
		{"ValidationException", update("SET v = :v", object{":v": attr("S", "x"), ":w": attr("S", "y")}, nil)},
	} {
		w.fails(c.code, "dynamodb", "UpdateItem", c.in)
	}
	for code, item := range map[string]object{
		"ValidationException":       {"id": attr("S", "a")},
		"ResourceNotFoundException": nil,
	} {
		name := "orders"
		if item == nil {
			name, item = "nobody", row("a", "1", nil)
		}
		w.fails(code, "dynamodb", "PutItem", object{"TableName": name, "Item": item})
	}
	w.fails("ValidationException", "dynamodb", "PutItem", object{"TableName": "orders", "Item": row("a", "one", nil)})
	w.fails("ValidationException", "dynamodb", "PutItem", object{"TableName": "orders", "Item": row("", "1", nil)})
	w.fails("ValidationException", "dynamodb", "PutItem", object{"TableName": "orders", "Item": row("a", "1", object{"v": attr("S", string(make([]byte, maxItem)))})})
	w.fails("ValidationException", "dynamodb", "GetItem", object{"TableName": "orders", "Key": object{"id": attr("S", "a")}})
	w.fails("ValidationException", "dynamodb", "Query", object{"TableName": "orders", "KeyConditionExpression": "n = :n", "ExpressionAttributeValues": object{":n": nine}})
	w.fails("NotImplemented", "dynamodb", "Scan", object{"TableName": "orders", "IndexName": "by-n"})
	old := w.do("dynamodb", "DeleteItem", object{"TableName": "orders", "Key": row("b", "1", nil), "ReturnValues": "ALL_OLD"})["Attributes"].(object)
	if !reflect.DeepEqual(old["raw"], object{"B": []byte{1, 255}}) {
		t.Errorf("%v", old)
	}
	if got := w.do("dynamodb", "GetItem", object{"TableName": "orders", "Key": row("b", "1", nil)}); len(got) != 0 {
		t.Errorf("%v", got)
	}
	w.do("dynamodb", "DeleteItem", object{"TableName": "orders", "Key": row("b", "1", nil)}) // what is not there is deleted
}

func TestPagesOfItems(t *testing.T) {
	w := newWorld(t)
	w.newTable("orders", nil)
	for i := 0; i < 2500; i += 25 {
		var puts []any
		for j := range 25 {
			puts = append(puts, object{"PutRequest": object{"Item": row(fmt.Sprint("k", (i+j)%7), fmt.Sprint(i+j), nil)}})
		}
		w.do("dynamodb", "BatchWriteItem", object{"RequestItems": object{"orders": puts}})
	}
	seen := map[string]bool{}
	in := object{"TableName": "orders", "Limit": int64(1000)}
	var sizes []int
	for range 5 {
		out := w.do("dynamodb", "Scan", in)
		items := objects(out["Items"])
		sizes = append(sizes, len(items))
		for _, o := range items {
			seen[o["n"].(object)["N"].(string)] = true
		}
		if out["LastEvaluatedKey"] == nil {
			break
		}
		in["ExclusiveStartKey"] = out["LastEvaluatedKey"]
	}
	if len(seen) != 2500 || !reflect.DeepEqual(sizes, []int{1000, 1000, 500}) {
		t.Errorf("%d items in pages of %v", len(seen), sizes)
	}
	w.newTable("large", nil)
	for i := range 5 {
		w.do("dynamodb", "PutItem", object{"TableName": "large", "Item": row("a", fmt.Sprint(i), object{"v": attr("S", string(make([]byte, 300<<10)))})})
	}
	if out := w.do("dynamodb", "Scan", object{"TableName": "large"}); out["Count"] != int64(4) || out["LastEvaluatedKey"] == nil {
		t.Errorf("a page of %v items over 1 MB, then %v", out["Count"], out["LastEvaluatedKey"])
	}
	if got := w.table("orders")["ItemCount"]; got != int64(0) {
		t.Errorf("at once %v items are counted", got)
	}
	w.clock.Advance(tableTick)
	if got := w.table("orders")["ItemCount"]; got != int64(2500) {
		t.Errorf("six hours later %v items are counted", got)
	}
}

func TestReadsOfItemsMayBeStale(t *testing.T) {
	w := newWorld(t)
	w.newTable("orders", nil)
	w.clock.Advance(time.Minute)
	w.SetStale(10 * time.Second)
	w.putRow("a", "1", nil)
	in := object{"TableName": "orders", "Key": row("a", "1", nil)}
	if got := w.do("dynamodb", "GetItem", in); len(got) != 0 {
		t.Errorf("%v", got)
	}
	in["ConsistentRead"] = true
	if got := w.do("dynamodb", "GetItem", in); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

func TestATableIsRestoredToATime(t *testing.T) {
	w := newWorld(t)
	w.newTable("orders", object{"SSESpecification": object{"Enabled": true}, "DeletionProtectionEnabled": true, "Tags": []any{object{"Key": "a", "Value": "1"}}})
	name := object{"TableName": "orders"}
	recovery := func() object {
		return w.do("dynamodb", "DescribeContinuousBackups", name)["ContinuousBackupsDescription"].(object)["PointInTimeRecoveryDescription"].(object)
	}
	if got := recovery(); !reflect.DeepEqual(got, object{"PointInTimeRecoveryStatus": "DISABLED"}) {
		t.Errorf("%v", got)
	}
	restore := func(target string, more object) object {
		in := object{"SourceTableName": "orders", "TargetTableName": target}
		for k, v := range more {
			in[k] = v
		}
		return in
	}
	w.fails("PointInTimeRecoveryUnavailableException", "dynamodb", "RestoreTableToPointInTime", restore("back", object{"UseLatestRestorableTime": true}))
	w.fails("TableNotFoundException", "dynamodb", "DescribeContinuousBackups", object{"TableName": "nobody"})
	w.fails("ValidationException", "dynamodb", "UpdateContinuousBackups", object{"TableName": "orders", "PointInTimeRecoverySpecification": object{"PointInTimeRecoveryEnabled": true, "RecoveryPeriodInDays": int64(36)}})
	on := object{"TableName": "orders", "PointInTimeRecoverySpecification": object{"PointInTimeRecoveryEnabled": true}}
	w.do("dynamodb", "UpdateContinuousBackups", on)
	began := w.clock.Now()
	w.putRow("a", "1", object{"v": attr("S", "old")})
	w.putRow("b", "1", nil)
	w.clock.Advance(time.Hour)
	at := w.clock.Now()
	w.clock.Advance(time.Hour)
	w.putRow("a", "1", object{"v": attr("S", "new")})
	w.do("dynamodb", "DeleteItem", object{"TableName": "orders", "Key": row("b", "1", nil)})
	w.putRow("c", "1", nil)
	if got := recovery(); got["EarliestRestorableDateTime"] != began || got["LatestRestorableDateTime"] != w.clock.Now().Add(-tableLag) || got["RecoveryPeriodInDays"] != int64(35) {
		t.Errorf("%v", got)
	}
	for _, c := range []struct {
		code string
		in   object
	}{
		{"InvalidRestoreTimeException", restore("back", object{"RestoreDateTime": w.clock.Now()})},
		{"InvalidRestoreTimeException", restore("back", object{"RestoreDateTime": began.Add(-time.Second)})},
		{"ValidationException", restore("back", object{"RestoreDateTime": at, "UseLatestRestorableTime": true})},
		{"ValidationException", restore("back", nil)},
		{"ValidationException", object{"TargetTableName": "back", "UseLatestRestorableTime": true}},
		{"TableAlreadyExistsException", restore("orders", object{"RestoreDateTime": at})},
		{"TableNotFoundException", object{"SourceTableName": "nobody", "TargetTableName": "back", "UseLatestRestorableTime": true}},
	} {
		w.fails(c.code, "dynamodb", "RestoreTableToPointInTime", c.in)
	}
	out := w.do("dynamodb", "RestoreTableToPointInTime", restore("back", object{"RestoreDateTime": at}))["TableDescription"].(object)
	if out["TableStatus"] != "CREATING" || out["RestoreSummary"].(object)["RestoreInProgress"] != true || out["DeletionProtectionEnabled"] != false || out["SSEDescription"] == nil {
		t.Errorf("%v", out)
	}
	w.fails("ResourceNotFoundException", "dynamodb", "Scan", object{"TableName": "back"})
	w.clock.Advance(tableRestore)
	if got := w.table("back"); got["TableStatus"] != "ACTIVE" || got["RestoreSummary"].(object)["RestoreInProgress"] != false {
		t.Errorf("%v", got)
	}
	items := w.do("dynamodb", "Scan", object{"TableName": "back"})["Items"].([]any)
	if len(items) != 2 || !slices.ContainsFunc(items, func(i any) bool { return reflect.DeepEqual(i, row("a", "1", object{"v": attr("S", "old")})) }) {
		t.Errorf("%v", items)
	}
	if tags := w.do("dynamodb", "ListTagsOfResource", object{"ResourceArn": out["TableArn"]})["Tags"].([]any); len(tags) != 0 {
		t.Errorf("%v", tags)
	}
	// Off and on again: what was before is lost.
	w.do("dynamodb", "UpdateContinuousBackups", object{"TableName": "orders", "PointInTimeRecoverySpecification": object{"PointInTimeRecoveryEnabled": false}})
	w.do("dynamodb", "UpdateContinuousBackups", on)
	w.clock.Advance(time.Hour)
	w.fails("InvalidRestoreTimeException", "dynamodb", "RestoreTableToPointInTime", restore("late", object{"RestoreDateTime": at}))
}

func TestListTablesByPages(t *testing.T) {
	w := newWorld(t)
	for _, n := range []string{"c-table", "a-table", "b-table"} {
		w.newTable(n, nil)
	}
	out := w.do("dynamodb", "ListTables", object{"Limit": int64(2)})
	if !reflect.DeepEqual(out["TableNames"], ids("a-table", "b-table")) || out["LastEvaluatedTableName"] != "b-table" {
		t.Errorf("%v", out)
	}
	out = w.do("dynamodb", "ListTables", object{"Limit": int64(2), "ExclusiveStartTableName": "b-table"})
	if !reflect.DeepEqual(out, object{"TableNames": ids("c-table")}) {
		t.Errorf("%v", out)
	}
	w.fails("ValidationException", "dynamodb", "ListTables", object{"Limit": int64(101)})
}

func TestTagsOfTables(t *testing.T) {
	w := newWorld(t)
	w.newTable("orders", nil)
	arn := "arn:aws:dynamodb:eu-west-1:111122223333:table/orders"
	w.do("dynamodb", "TagResource", object{"ResourceArn": arn, "Tags": []any{object{"Key": "a", "Value": "1"}, object{"Key": "b", "Value": "2"}}})
	w.do("dynamodb", "UntagResource", object{"ResourceArn": arn, "TagKeys": ids("a")})
	if got := w.do("dynamodb", "ListTagsOfResource", object{"ResourceArn": arn})["Tags"]; !reflect.DeepEqual(got, []any{object{"Key": "b", "Value": "2"}}) {
		t.Errorf("%v", got)
	}
	w.fails("ValidationException", "dynamodb", "ListTagsOfResource", object{"ResourceArn": "orders"})
	w.fails("ResourceNotFoundException", "dynamodb", "ListTagsOfResource", object{"ResourceArn": arn + "s"})
}
