package sandbox

import (
	"reflect"
	"slices"
	"strings"
	"time"
)

// How long DynamoDB takes for a change, on the sandbox's clock. AWS publishes no
// figures; these are of the order that people see.
const (
	tableCreation = 10 * time.Second
	tableUpdate   = 15 * time.Second
	tableDeletion = 10 * time.Second
	tableRestore  = 10 * time.Minute
)

// Source: DynamoDB Developer Guide, "Point-in-time recovery", and API Reference,
// TableDescription: counts are of the last six hours' tick.
const (
	tableLag    = 5 * time.Minute
	tablePeriod = 35 // days
	tableTick   = 6 * time.Hour
)

// dynamodbState is what dynamodb has in one account and Region.
type dynamodbState struct {
	Tables table[dynamoTable]          `json:"tables"`
	Items  map[string]table[structure] `json:"items,omitempty"` // by TableId and key
}

func (s dynamodbState) check() error {
	err := whole("table", s.Tables)
	for id, items := range s.Items {
		err = first(err, whole("item of table "+id+",", items))
	}
	return err
}

type dynamoTable struct {
	ID      string    `json:"id"`
	Status  string    `json:"status"`
	Created time.Time `json:"created"`
	// Settings are members of TableDescription.
	Settings structure `json:"settings"`
	Tags     tagSet    `json:"tags,omitempty"`
	// Recovery is since when the table can be restored to a point in time; zero:
	// it can't be.
	Recovery time.Time `json:"recovery,omitzero"`
	Days     int64     `json:"recoveryDays,omitempty"`
}

var tableName = patternOf(`^[a-zA-Z0-9_.-]{3,255}$`)

// unsimulated refuses a call that has members which the sandbox would have to
// ignore.
func (c *call) unsimulated(names ...string) error {
	for _, name := range names {
		if _, ok := c.in[name]; ok {
			return failure(501, "NotImplemented", "The sandbox does not simulate %s of %s.", name, c.operation.Name)
		}
	}
	return nil
}

// liveTable finds a table by its name or ARN.
func (c *call) liveTable(name string, at time.Time) (*record[dynamoTable], dynamoTable, error) {
	short := strings.TrimPrefix(name, c.arnOf("dynamodb", "table/"))
	if r, t, ok := c.home().DynamoDB.Tables.live(short, at); ok {
		return r, t, nil
	}
	return nil, dynamoTable{}, failure(400, "ResourceNotFoundException", "Requested resource not found: Table: %s not found", short)
}

// shortTable is the name in what may be a table's ARN.
func (c *call) shortTable(name string) string {
	return strings.TrimPrefix(name, c.arnOf("dynamodb", "table/"))
}

func (c *call) tableOut(name string, t dynamoTable, at time.Time) object {
	out := object(t.Settings.with(structure{"TableName": name, "TableId": t.ID, "TableArn": c.arnOf("dynamodb", "table/"+name), "TableStatus": t.Status, "CreationDateTime": t.Created}))
	count, size := int64(0), int64(0)
	for _, item := range c.home().DynamoDB.Items[t.ID].all(at.Truncate(tableTick)) {
		count, size = count+1, size+itemSize(item)
	}
	out["ItemCount"], out["TableSizeBytes"] = count, size
	return out
}

// keySchema checks a key schema against the attributes, and notes what it uses.
func keySchema(v any, types map[string]string, used map[string]bool) error {
	keys := objects(v)
	if len(keys) == 0 || len(keys) > 2 || keys[0]["KeyType"] != "HASH" || len(keys) == 2 && keys[1]["KeyType"] != "RANGE" {
		return invalid("Invalid KeySchema: The first KeySchemaElement is a HASH key type, and a second one RANGE")
	}
	for _, k := range keys {
		name, _ := k["AttributeName"].(string)
		if types[name] == "" {
			return invalid("One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions. Keys: [%s]", name)
		}
		used[name] = true
	}
	return nil
}

func attributeTypes(v any) map[string]string {
	types := map[string]string{}
	for _, a := range objects(v) {
		name, _ := a["AttributeName"].(string)
		types[name], _ = a["AttributeType"].(string)
	}
	return types
}

// checkSchema checks the keys of a table and its indexes: each attribute that is
// defined must be one of a key, and each of a key defined.
func checkSchema(s structure) error {
	types, used := attributeTypes(s["AttributeDefinitions"]), map[string]bool{}
	if err := keySchema(s["KeySchema"], types, used); err != nil {
		return err
	}
	for _, kind := range []string{"GlobalSecondaryIndexes", "LocalSecondaryIndexes"} {
		for _, i := range objects(s[kind]) {
			if err := keySchema(i["KeySchema"], types, used); err != nil {
				return err
			}
		}
	}
	if len(used) != len(types) {
		return invalid("One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions")
	}
	return nil
}

// capacity reads how a table is paid for, by the names of the members that say it.
func (c *call) capacity(mode, provisioned string) (structure, error) {
	units := c.object(provisioned)
	if c.str(mode) == "PAY_PER_REQUEST" {
		if units != nil {
			return nil, invalid("One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST")
		}
		return structure{"BillingModeSummary": object{"BillingMode": "PAY_PER_REQUEST", "LastUpdateToPayPerRequestDateTime": c.now},
			"ProvisionedThroughput": object{"ReadCapacityUnits": int64(0), "WriteCapacityUnits": int64(0), "NumberOfDecreasesToday": int64(0)}}, nil
	}
	if units == nil {
		return nil, invalid("One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED")
	}
	for _, name := range []string{"ReadCapacityUnits", "WriteCapacityUnits"} {
		if n, _ := units[name].(int64); n < 1 {
			return nil, invalid("1 validation error detected: Value at 'provisionedThroughput.%s' failed to satisfy constraint: Member must have value greater than or equal to 1", name)
		}
	}
	return structure{"ProvisionedThroughput": object(structure(units).with(structure{"NumberOfDecreasesToday": int64(0)})), "BillingModeSummary": object{"BillingMode": "PROVISIONED"}}, nil
}

// tableEncryption reads an SSESpecification; nil: DynamoDB's own key is used, of
// which the API says nothing.
func (c *call) tableEncryption(spec object) (object, error) {
	if spec["Enabled"] != true {
		return nil, nil
	}
	key, _ := spec["KMSMasterKeyId"].(string)
	arn, err := c.serviceKey(key, "alias/aws/dynamodb")
	if err != nil {
		return nil, invalid("KMS validation error: %v", err)
	}
	return object{"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": arn}, nil
}

// indexes are descriptions of indexes, in a state.
func (c *call) indexes(table string, list any, status string) []any {
	out := []any{}
	for _, i := range objects(list) {
		name, _ := i["IndexName"].(string)
		d := structure(i).with(structure{"IndexArn": c.arnOf("dynamodb", "table/"+table+"/index/"+name), "IndexSizeBytes": int64(0), "ItemCount": int64(0)})
		if status != "" {
			d["IndexStatus"] = status
		}
		out = append(out, object(d))
	}
	return out
}

func createTable(c *call) (map[string]any, error) {
	name := c.shortTable(c.str("TableName"))
	if !tableName.MatchString(name) {
		return nil, invalid("1 validation error detected: Value '%s' at 'tableName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+ and have a length of 3 to 255", name)
	}
	s, err := c.capacity("BillingMode", "ProvisionedThroughput")
	if err != nil {
		return nil, err
	}
	for _, member := range []string{"AttributeDefinitions", "KeySchema", "StreamSpecification", "OnDemandThroughput"} {
		if v, ok := c.in[member]; ok {
			s[member] = v
		}
	}
	s["DeletionProtectionEnabled"] = c.bool("DeletionProtectionEnabled")
	if class := c.str("TableClass"); class != "" {
		s["TableClassSummary"] = object{"TableClass": class}
	}
	for _, kind := range []string{"GlobalSecondaryIndexes", "LocalSecondaryIndexes"} {
		if l := c.objects(kind); len(l) > 0 {
			s[kind] = c.indexes(name, c.in[kind], map[string]string{"GlobalSecondaryIndexes": "ACTIVE"}[kind])
		}
	}
	if err := checkSchema(s); err != nil {
		return nil, err
	}
	sse, err := c.tableEncryption(c.object("SSESpecification"))
	if err != nil {
		return nil, err
	}
	if sse != nil {
		s["SSEDescription"] = sse
	}
	tags, err := c.tableTags()
	if err != nil {
		return nil, err
	}
	if _, _, ok := c.home().DynamoDB.Tables.live(name, c.now); ok {
		return nil, failure(400, "ResourceInUseException", "Table already exists: %s", name)
	}
	t, _ := c.makeTable(name, s, tags, tableCreation)
	return object{"TableDescription": c.tableOut(name, t, c.now)}, nil
}

func (c *call) tableTags() (tagSet, error) {
	tags, err := parseTags(c.in["Tags"])
	if err != nil {
		return nil, invalid("%v", err)
	}
	return tags, nil
}

func (c *call) makeTable(name string, s structure, tags tagSet, takes time.Duration) (dynamoTable, *record[dynamoTable]) {
	t := dynamoTable{ID: uuid(c.id("", 32)), Status: "CREATING", Created: c.now, Settings: s, Tags: tags}
	r := c.home().DynamoDB.Tables.put(name, c.now, t)
	r.change(c.now.Add(takes), func(t *dynamoTable) { t.Status = "ACTIVE" })
	return t, r
}

func describeTable(c *call) (map[string]any, error) {
	_, t, err := c.liveTable(c.str("TableName"), c.view)
	if err != nil {
		return nil, err
	}
	return object{"Table": c.tableOut(c.shortTable(c.str("TableName")), t, c.view)}, nil
}

func listTables(c *call) (map[string]any, error) {
	most, given := c.int("Limit")
	if !given {
		most = 100
	}
	if most < 1 || most > 100 {
		return nil, invalid("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have a value of 1 to 100", most)
	}
	names := []any{}
	for name := range c.home().DynamoDB.Tables.all(c.view) {
		if name <= c.str("ExclusiveStartTableName") {
			continue
		}
		if int64(len(names)) == most {
			return object{"TableNames": names, "LastEvaluatedTableName": names[len(names)-1]}, nil
		}
		names = append(names, name)
	}
	return object{"TableNames": names}, nil
}

// tableInUse refuses a change of a table that is changing.
func tableInUse(name string, t dynamoTable) error {
	if t.Status != "ACTIVE" {
		return failure(400, "ResourceInUseException", "Attempt to change a resource which is still in use: Table is being %s: %s", strings.ToLower(strings.TrimSuffix(t.Status, "ING"))+"ed", name)
	}
	return nil
}

func updateTable(c *call) (map[string]any, error) {
	name := c.shortTable(c.str("TableName"))
	r, t, err := c.liveTable(name, c.now)
	if err != nil {
		return nil, err
	}
	if err := c.unsimulated("ReplicaUpdates", "MultiRegionConsistency", "GlobalTableWitnessUpdates"); err != nil {
		return nil, err
	}
	if err := tableInUse(name, t); err != nil {
		return nil, err
	}
	next, err := c.tableChanges(name, t.Settings)
	if err != nil {
		return nil, err
	}
	if p, ok := c.in["DeletionProtectionEnabled"]; ok && len(c.in) == 2 {
		// Protection alone takes effect at once.
		r.change(c.now, func(t *dynamoTable) { t.Settings = t.Settings.with(structure{"DeletionProtectionEnabled": p}) })
		t, _ = r.as(c.now)
		return object{"TableDescription": c.tableOut(name, t, c.now)}, nil
	}
	r.change(c.now, func(t *dynamoTable) { t.Status = "UPDATING" })
	r.change(c.now.Add(tableUpdate), func(t *dynamoTable) { t.Settings, t.Status = next, "ACTIVE" })
	t, _ = r.as(c.now)
	return object{"TableDescription": c.tableOut(name, t, c.now)}, nil
}

// tableChanges are the settings that a table has after the call's change.
func (c *call) tableChanges(name string, now structure) (structure, error) {
	if len(c.in) < 2 {
		return nil, invalid("At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required")
	}
	next := now.with(nil)
	if c.str("BillingMode") != "" || c.object("ProvisionedThroughput") != nil {
		s, err := c.capacity("BillingMode", "ProvisionedThroughput")
		if err != nil {
			return nil, err
		}
		if reflect.DeepEqual(s["ProvisionedThroughput"], now["ProvisionedThroughput"]) && s["BillingModeSummary"].(object)["BillingMode"] == "PROVISIONED" && len(c.in) == 2 {
			return nil, invalid("The provisioned throughput for the table will not change. The requested value equals the current value.")
		}
		next = next.with(s)
	}
	for _, member := range []string{"StreamSpecification", "OnDemandThroughput", "DeletionProtectionEnabled"} {
		if v, ok := c.in[member]; ok {
			next[member] = v
		}
	}
	if class := c.str("TableClass"); class != "" {
		next["TableClassSummary"] = object{"TableClass": class, "LastUpdateDateTime": c.now}
	}
	if spec := c.object("SSESpecification"); spec != nil {
		sse, err := c.tableEncryption(spec)
		if err != nil {
			return nil, err
		}
		delete(next, "SSEDescription")
		if sse != nil {
			next["SSEDescription"] = sse
		}
	}
	updates := c.objects("GlobalSecondaryIndexUpdates")
	if len(updates) == 0 {
		return next, nil
	}
	if d := c.objects("AttributeDefinitions"); len(d) > 0 {
		next["AttributeDefinitions"] = c.in["AttributeDefinitions"]
	}
	list := objects(now["GlobalSecondaryIndexes"])
	for _, u := range updates {
		create, _ := u["Create"].(object)
		remove, _ := u["Delete"].(object)
		change, _ := u["Update"].(object)
		i := slices.IndexFunc(list, func(i object) bool {
			return i["IndexName"] == create["IndexName"] && create != nil || i["IndexName"] == remove["IndexName"] && remove != nil || i["IndexName"] == change["IndexName"] && change != nil
		})
		switch {
		case create != nil && i >= 0:
			return nil, invalid("One or more parameter values were invalid: Attempting to create an index which already exists")
		case create != nil:
			list = append(slices.Clone(list), objects(c.indexes(name, []any{create}, "ACTIVE"))...)
		case i < 0:
			return nil, failure(400, "ResourceNotFoundException", "Requested resource not found")
		case remove != nil:
			list = slices.Delete(slices.Clone(list), i, i+1)
		default:
			list = slices.Clone(list)
			list[i] = object(structure(list[i]).with(structure{"ProvisionedThroughput": change["ProvisionedThroughput"]}))
		}
	}
	delete(next, "GlobalSecondaryIndexes")
	if len(list) > 0 {
		next["GlobalSecondaryIndexes"] = anys(list)
	}
	types, used := attributeTypes(next["AttributeDefinitions"]), map[string]bool{}
	for _, i := range list {
		if err := keySchema(i["KeySchema"], types, used); err != nil {
			return nil, err
		}
	}
	return next, nil
}

func deleteTable(c *call) (map[string]any, error) {
	name := c.shortTable(c.str("TableName"))
	r, t, err := c.liveTable(name, c.now)
	if err != nil {
		return nil, err
	}
	if t.Settings.bool("DeletionProtectionEnabled") {
		return nil, invalid("Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.")
	}
	if err := tableInUse(name, t); err != nil {
		return nil, err
	}
	r.change(c.now, func(t *dynamoTable) { t.Status = "DELETING" })
	t, _ = r.as(c.now)
	r.end(c.now.Add(tableDeletion))
	return object{"TableDescription": c.tableOut(name, t, c.now)}, nil
}

// taggedTable finds the table whose tags the call is about.
func (c *call) taggedTable(at time.Time) (*record[dynamoTable], dynamoTable, error) {
	a, ok := parseARN(c.str("ResourceArn"))
	if !ok || !strings.HasPrefix(a.resource, "table/") {
		return nil, dynamoTable{}, invalid("Invalid TableArn: Invalid ResourceArn provided as input %s", c.str("ResourceArn"))
	}
	return c.liveTable(c.str("ResourceArn"), at)
}

func listTableTags(c *call) (map[string]any, error) {
	_, t, err := c.taggedTable(c.view)
	if err != nil {
		return nil, err
	}
	return object{"Tags": t.Tags.list()}, nil
}

func tagTable(c *call) (map[string]any, error) {
	r, t, err := c.taggedTable(c.now)
	if err != nil {
		return nil, err
	}
	more, err := c.tableTags()
	if err != nil {
		return nil, err
	}
	tags := t.Tags.with(more)
	r.change(c.now, func(t *dynamoTable) { t.Tags = tags })
	return object{}, nil
}

func untagTable(c *call) (map[string]any, error) {
	r, t, err := c.taggedTable(c.now)
	if err != nil {
		return nil, err
	}
	tags := t.Tags.with(nil)
	for _, k := range c.strings("TagKeys") {
		delete(tags, k)
	}
	r.change(c.now, func(t *dynamoTable) { t.Tags = tags })
	return object{}, nil
}

var dynamodbTableHandlers = map[string]handler{
	"CreateTable":        {"dynamodb:CreateTable", createTable},
	"DeleteTable":        {"dynamodb:DeleteTable", deleteTable},
	"DescribeTable":      {"dynamodb:DescribeTable", describeTable},
	"ListTables":         {"dynamodb:ListTables", listTables},
	"ListTagsOfResource": {"dynamodb:ListTagsOfResource", listTableTags},
	"TagResource":        {"dynamodb:TagResource", tagTable},
	"UntagResource":      {"dynamodb:UntagResource", untagTable},
	"UpdateTable":        {"dynamodb:UpdateTable", updateTable},
}

var dynamodbHandlers = merged(dynamodbTableHandlers, dynamodbItemHandlers, dynamodbRecoveryHandlers)
