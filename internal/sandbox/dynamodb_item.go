package sandbox

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"slices"
	"strings"
)

// Source: DynamoDB Developer Guide, "Service, account, and table quotas".
const (
	maxItem = 400 << 10
	maxPage = 1 << 20
)

// entry is an item with its key, as a table is read in order.
type entry struct {
	id   string
	item structure
	hash [sha256.Size]byte // of the partition key, by which the partitions lie
}

// attribute gives type and value of an attribute.
func attribute(v any) (kind string, value any) {
	o, _ := v.(object)
	for kind, value = range o {
		return kind, value
	}
	return "", nil
}

var number = patternOf(`^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?$`)

// numeric reads a number, exactly. DynamoDB's have up to 38 digits.
func numeric(text string) (*big.Rat, bool) {
	if len(text) > 60 || !number.MatchString(text) {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}

// keyText writes a key attribute so that equal values have equal texts.
func keyText(v any) (string, error) {
	kind, value := attribute(v)
	switch value := value.(type) {
	case string:
		if value == "" {
			return "", invalid("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value.")
		}
		if kind == "N" {
			n, ok := numeric(value)
			if !ok {
				return "", invalid("The parameter cannot be converted to a numeric value: %s", value)
			}
			return "N" + n.RatString(), nil
		}
		return kind + value, nil
	case []byte:
		return kind + base64.StdEncoding.EncodeToString(value), nil
	}
	return "", invalid("One or more parameter values were invalid: Type mismatch for key")
}

// itemKey is the text by which an item is filed. whole says that v is a key,
// with no other attributes.
func (t dynamoTable) itemKey(v object, whole bool) (string, error) {
	types := attributeTypes(t.Settings["AttributeDefinitions"])
	keys := objects(t.Settings["KeySchema"])
	if whole && len(v) != len(keys) {
		return "", invalid("The provided key element does not match the schema")
	}
	var parts []string
	for _, k := range keys {
		name, _ := k["AttributeName"].(string)
		kind, _ := attribute(v[name])
		switch {
		case kind == "" && whole:
			return "", invalid("The provided key element does not match the schema")
		case kind == "":
			return "", invalid("One or more parameter values were invalid: Missing the key %s in the item", name)
		case kind != types[name]:
			return "", invalid("One or more parameter values were invalid: Type mismatch for key %s expected: %s actual: %s", name, types[name], kind)
		}
		text, err := keyText(v[name])
		if err != nil {
			return "", err
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "\x00"), nil
}

// compare orders two attributes of one type; false: they have no order.
func compare(a, b any) (int, bool) {
	kind, x := attribute(a)
	other, y := attribute(b)
	if kind != other {
		return 0, false
	}
	switch x := x.(type) {
	case string:
		y, ok := y.(string)
		if kind == "N" && ok {
			m, ok1 := numeric(x)
			n, ok2 := numeric(y)
			if !ok1 || !ok2 {
				return 0, false
			}
			return m.Cmp(n), true
		}
		return strings.Compare(x, y), ok
	case []byte:
		y, ok := y.([]byte)
		return bytes.Compare(x, y), ok
	}
	return 0, false
}

// itemSize counts an item's bytes as DynamoDB does, near enough: names and
// values.
func itemSize(v any) int64 {
	switch v := v.(type) {
	case structure:
		return itemSize(object(v))
	case object:
		n := int64(0)
		for k, e := range v {
			n += int64(len(k)) + itemSize(e)
		}
		return n
	case []any:
		n := int64(3)
		for _, e := range v {
			n += itemSize(e)
		}
		return n
	case string:
		return int64(len(v))
	case []byte:
		return int64(len(v))
	}
	return 1
}

// tableForItems finds a table that takes reads and writes.
func (c *call) tableForItems(name string) (dynamoTable, error) {
	_, t, ok := c.home().DynamoDB.Tables.live(c.shortTable(name), c.now)
	if !ok || t.Status == "CREATING" || t.Status == "DELETING" {
		return t, failure(400, "ResourceNotFoundException", "Requested resource not found")
	}
	return t, nil
}

// keyOf are an item's key attributes.
func (t dynamoTable) keyOf(item structure) object {
	out := object{}
	for _, k := range objects(t.Settings["KeySchema"]) {
		name, _ := k["AttributeName"].(string)
		out[name] = item[name]
	}
	return out
}

// write puts an item in place of one with its key, or with nil deletes it, if the
// call's condition holds. It gives what was there before.
func (c *call) write(t dynamoTable, key string, change func(old structure) (structure, error)) (old, item structure, err error) {
	db := &c.home().DynamoDB
	_, old, _ = db.Items[t.ID].live(key, c.now)
	condition, err := c.condition("ConditionExpression")
	if err := first(err, c.checkAttributes("ConditionExpression", "UpdateExpression")); err != nil {
		return nil, nil, err
	}
	if !condition.holds(old) {
		return nil, nil, failure(400, "ConditionalCheckFailedException", "The conditional request failed")
	}
	if item, err = change(old); err != nil {
		return nil, nil, err
	}
	if itemSize(item) > maxItem {
		return nil, nil, invalid("Item size has exceeded the maximum allowed size")
	}
	db.Items = made(db.Items)
	items := db.Items[t.ID]
	switch {
	case item != nil:
		items.put(key, c.now, item)
	case old != nil:
		items[key].end(c.now)
	}
	db.Items[t.ID] = items
	return old, item, nil
}

func putItem(c *call) (map[string]any, error) {
	if err := c.unsimulated("Expected", "ConditionalOperator"); err != nil {
		return nil, err
	}
	t, err := c.tableForItems(c.str("TableName"))
	if err != nil {
		return nil, err
	}
	key, err := t.itemKey(c.object("Item"), false)
	if err != nil {
		return nil, err
	}
	old, _, err := c.write(t, key, func(structure) (structure, error) { return structure(c.object("Item")), nil })
	if err != nil {
		return nil, err
	}
	return c.returned(old, nil, &pathTree{})
}

func deleteItem(c *call) (map[string]any, error) {
	if err := c.unsimulated("Expected", "ConditionalOperator"); err != nil {
		return nil, err
	}
	t, err := c.tableForItems(c.str("TableName"))
	if err != nil {
		return nil, err
	}
	key, err := t.itemKey(c.object("Key"), true)
	if err != nil {
		return nil, err
	}
	old, _, err := c.write(t, key, func(structure) (structure, error) { return nil, nil })
	if err != nil {
		return nil, err
	}
	return c.returned(old, nil, &pathTree{})
}

// returned gives the attributes that ReturnValues asks for; changed are those
// that an update names.
func (c *call) returned(old, item structure, changed *pathTree) (map[string]any, error) {
	out := structure{}
	switch c.str("ReturnValues") {
	case "ALL_OLD":
		out = old
	case "ALL_NEW":
		out = item
	case "UPDATED_OLD":
		out = changed.project(old)
	case "UPDATED_NEW":
		out = changed.project(item)
	}
	if len(out) == 0 {
		return object{}, nil
	}
	return object{"Attributes": object(out)}, nil
}

func updateItem(c *call) (map[string]any, error) {
	if err := c.unsimulated("AttributeUpdates", "Expected", "ConditionalOperator"); err != nil {
		return nil, err
	}
	t, err := c.tableForItems(c.str("TableName"))
	if err != nil {
		return nil, err
	}
	key, err := t.itemKey(c.object("Key"), true)
	if err != nil {
		return nil, err
	}
	u, err := c.update()
	if err != nil {
		return nil, err
	}
	for _, a := range u.actions {
		if _, ok := c.object("Key")[a.path[0].name]; ok {
			return nil, invalid("One or more parameter values were invalid: Cannot update attribute %s. This attribute is part of the key", a.path[0].name)
		}
	}
	old, item, err := c.write(t, key, func(old structure) (structure, error) { return u.apply(structure(c.object("Key")).with(old)) })
	if err != nil {
		return nil, err
	}
	return c.returned(old, item, &u.paths)
}

func getItem(c *call) (map[string]any, error) {
	if err := first(c.unsimulated("AttributesToGet"), c.checkAttributes("ProjectionExpression")); err != nil {
		return nil, err
	}
	wanted, err := c.projection()
	if err != nil {
		return nil, err
	}
	t, err := c.tableForItems(c.str("TableName"))
	if err != nil {
		return nil, err
	}
	key, err := t.itemKey(c.object("Key"), true)
	if err != nil {
		return nil, err
	}
	at := c.view
	if c.bool("ConsistentRead") {
		at = c.now
	}
	if _, item, ok := c.home().DynamoDB.Items[t.ID].live(key, at); ok {
		if wanted != nil {
			item = wanted.project(item)
		}
		return object{"Item": object(item)}, nil
	}
	return object{}, nil
}

func batchWriteItem(c *call) (map[string]any, error) {
	total := 0
	requests := c.object("RequestItems")
	for _, v := range requests {
		total += len(objects(v))
	}
	if total == 0 || total > 25 {
		return nil, invalid("1 validation error detected: Member must have length less than or equal to 25 and greater than or equal to 1")
	}
	for _, name := range sorted(requests) {
		for _, r := range objects(requests[name]) {
			put, _ := r["PutRequest"].(object)
			remove, _ := r["DeleteRequest"].(object)
			one, run := structure{"TableName": name, "Item": put["Item"]}, putItem
			if remove != nil {
				one, run = structure{"TableName": name, "Key": remove["Key"]}, deleteItem
			}
			if _, err := run(c.inner(c.region, "dynamodb", c.operation.Name, one)); err != nil {
				return nil, err
			}
		}
	}
	return object{"UnprocessedItems": object{}}, nil
}

// inOrder lists a table's items: by partition, as their hashes fall, and by sort
// key in each.
func (c *call) inOrder(t dynamoTable) []entry {
	keys := objects(t.Settings["KeySchema"])
	partition, _ := keys[0]["AttributeName"].(string)
	sortKey := ""
	if len(keys) > 1 {
		sortKey, _ = keys[1]["AttributeName"].(string)
	}
	at := c.view
	if c.bool("ConsistentRead") {
		at = c.now
	}
	var out []entry
	for id, item := range c.home().DynamoDB.Items[t.ID].all(at) {
		text, _ := keyText(item[partition]) // was checked when the item was written
		out = append(out, entry{id, item, sha256.Sum256([]byte(text))})
	}
	slices.SortFunc(out, func(a, b entry) int {
		if n := bytes.Compare(a.hash[:], b.hash[:]); n != 0 {
			return n
		}
		n, _ := compare(a.item[sortKey], b.item[sortKey])
		return cmp.Or(n, strings.Compare(a.id, b.id))
	})
	return out
}

// cut gives one page of entries: up to Limit, up to 1 MB, from behind
// ExclusiveStartKey.
func (c *call) cut(t dynamoTable, entries []entry) (map[string]any, error) {
	most, given := c.int("Limit")
	if given && most < 1 {
		return nil, invalid("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1", most)
	}
	if key := c.object("ExclusiveStartKey"); key != nil {
		id, err := t.itemKey(key, true)
		if err != nil {
			return nil, invalid("The provided starting key is invalid")
		}
		if i := slices.IndexFunc(entries, func(e entry) bool { return e.id == id }); i >= 0 {
			entries = entries[i+1:]
		}
	}
	filter, err := c.condition("FilterExpression")
	wanted, err2 := c.projection()
	if err := first(err, err2, c.checkAttributes("KeyConditionExpression", "FilterExpression", "ProjectionExpression")); err != nil {
		return nil, err
	}
	items, size, seen := []any{}, int64(0), int64(0)
	out := object{}
	for i, e := range entries {
		seen, size = seen+1, size+itemSize(e.item)
		if filter.holds(e.item) { // after the limit has counted it
			item := e.item
			if wanted != nil {
				item = wanted.project(item)
			}
			items = append(items, object(item))
		}
		if (given && seen == most || size >= maxPage) && (i+1 < len(entries) || given) {
			out["LastEvaluatedKey"] = t.keyOf(e.item)
			break
		}
	}
	out["Count"], out["ScannedCount"] = int64(len(items)), seen
	if c.str("Select") != "COUNT" {
		out["Items"] = items
	}
	return out, nil
}

func scan(c *call) (map[string]any, error) {
	if err := c.unsimulated("IndexName", "AttributesToGet", "ScanFilter", "ConditionalOperator", "TotalSegments", "Segment"); err != nil {
		return nil, err
	}
	t, err := c.tableForItems(c.str("TableName"))
	if err != nil {
		return nil, err
	}
	return c.cut(t, c.inOrder(t))
}

// checkKeyCondition refuses what is not the partition key, equal to a value, and
// perhaps one comparison of the sort key.
func (t dynamoTable) checkKeyCondition(condition term) error {
	terms := []term{condition}
	if condition.op == "AND" {
		terms = condition.terms
	}
	keys := objects(t.Settings["KeySchema"])
	if !slices.ContainsFunc(terms, func(x term) bool { return x.op == "=" && x.args[0].named(keys[0]["AttributeName"]) }) {
		return invalid("Query condition missed key schema element: %v", keys[0]["AttributeName"])
	}
	for _, x := range terms {
		if len(x.args) < 2 || slices.Contains([]string{"<>", "IN", "contains", "attribute_type"}, x.op) ||
			!slices.ContainsFunc(keys, func(k object) bool { return x.args[0].named(k["AttributeName"]) }) {
			return invalid("Query key condition not supported")
		}
	}
	return nil
}

// named says whether an operand is an attribute of an item.
func (o argument) named(name any) bool { return len(o.path) == 1 && !o.size && o.path[0].name == name }

func query(c *call) (map[string]any, error) {
	if err := c.unsimulated("IndexName", "AttributesToGet", "KeyConditions", "QueryFilter", "ConditionalOperator"); err != nil {
		return nil, err
	}
	t, err := c.tableForItems(c.str("TableName"))
	if err != nil {
		return nil, err
	}
	condition, err := c.condition("KeyConditionExpression")
	if err != nil {
		return nil, err
	}
	if err := t.checkKeyCondition(condition); err != nil {
		return nil, err
	}
	var found []entry
	for _, e := range c.inOrder(t) {
		if condition.holds(e.item) {
			found = append(found, e)
		}
	}
	if c.in["ScanIndexForward"] == false {
		slices.Reverse(found)
	}
	return c.cut(t, found)
}

var dynamodbItemHandlers = map[string]handler{
	"BatchWriteItem": {"dynamodb:BatchWriteItem", batchWriteItem},
	"DeleteItem":     {"dynamodb:DeleteItem", deleteItem},
	"GetItem":        {"dynamodb:GetItem", getItem},
	"PutItem":        {"dynamodb:PutItem", putItem},
	"Query":          {"dynamodb:Query", query},
	"Scan":           {"dynamodb:Scan", scan},
	"UpdateItem":     {"dynamodb:UpdateItem", updateItem},
}
