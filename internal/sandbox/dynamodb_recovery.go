package sandbox

import "time"

// recoverable is liveTable for the operations of backups, which have a code of
// their own for a table that is missing.
func (c *call) recoverable(name string, at time.Time) (*record[dynamoTable], dynamoTable, error) {
	r, t, err := c.liveTable(name, at)
	if err != nil {
		return nil, t, failure(400, "TableNotFoundException", "Table not found: %s", c.shortTable(name))
	}
	return r, t, nil
}

// recoveryWindow gives the times between which a table can be restored.
func (t dynamoTable) recoveryWindow(at time.Time) (earliest, latest time.Time) {
	earliest = at.Add(-time.Duration(t.Days) * 24 * time.Hour)
	if earliest.Before(t.Recovery) {
		earliest = t.Recovery
	}
	return earliest, at.Add(-tableLag)
}

func (t dynamoTable) recoveryOut(at time.Time) object {
	d := object{"PointInTimeRecoveryStatus": "DISABLED"}
	if !t.Recovery.IsZero() {
		earliest, latest := t.recoveryWindow(at)
		if latest.Before(earliest) {
			latest = earliest
		}
		d = object{"PointInTimeRecoveryStatus": "ENABLED", "RecoveryPeriodInDays": t.Days, "EarliestRestorableDateTime": earliest, "LatestRestorableDateTime": latest}
	}
	return object{"ContinuousBackupsDescription": object{"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": d}}
}

func describeContinuousBackups(c *call) (map[string]any, error) {
	_, t, err := c.recoverable(c.str("TableName"), c.view)
	if err != nil {
		return nil, err
	}
	return t.recoveryOut(c.view), nil
}

func updateContinuousBackups(c *call) (map[string]any, error) {
	r, t, err := c.recoverable(c.str("TableName"), c.now)
	if err != nil {
		return nil, err
	}
	if t.Status == "CREATING" || t.Status == "DELETING" {
		return nil, failure(400, "ContinuousBackupsUnavailableException", "Backups are being enabled for the table: %s. Please retry later", c.shortTable(c.str("TableName")))
	}
	spec := c.object("PointInTimeRecoverySpecification")
	days, given := spec["RecoveryPeriodInDays"].(int64)
	if !given {
		days = max(t.Days, 0)
		if days == 0 {
			days = tablePeriod
		}
	}
	if days < 1 || days > tablePeriod {
		return nil, invalid("1 validation error detected: Value '%d' at 'pointInTimeRecoverySpecification.recoveryPeriodInDays' failed to satisfy constraint: Member must have a value of 1 to 35", days)
	}
	on := spec["PointInTimeRecoveryEnabled"] == true
	r.change(c.now, func(t *dynamoTable) {
		switch {
		case !on:
			t.Recovery, t.Days = time.Time{}, 0
		case t.Recovery.IsZero():
			// To turn it off and on again loses what could be recovered.
			t.Recovery, t.Days = c.now, days
		default:
			t.Days = days
		}
	})
	t, _ = r.as(c.now)
	return t.recoveryOut(c.now), nil
}

func restoreTableToPointInTime(c *call) (map[string]any, error) {
	source := c.str("SourceTableArn")
	if source == "" {
		source = c.str("SourceTableName")
	}
	if source == "" {
		return nil, invalid("Either SourceTableName or SourceTableArn must be specified")
	}
	_, t, err := c.recoverable(source, c.now)
	if err != nil {
		return nil, err
	}
	at, given := c.in["RestoreDateTime"].(time.Time)
	switch {
	case given && c.bool("UseLatestRestorableTime"), !given && !c.bool("UseLatestRestorableTime"):
		return nil, invalid("Exactly one of UseLatestRestorableTime and RestoreDateTime must be specified")
	case t.Recovery.IsZero():
		return nil, failure(400, "PointInTimeRecoveryUnavailableException", "Point in time recovery is not enabled for table '%s'", c.shortTable(source))
	}
	earliest, latest := t.recoveryWindow(c.now)
	if !given {
		at = latest
	}
	if at.Before(earliest) || at.After(latest) {
		return nil, failure(400, "InvalidRestoreTimeException", "The restore time must be between EarliestRestorableDateTime (%s) and LatestRestorableDateTime (%s)", earliest.Format(time.RFC3339), latest.Format(time.RFC3339))
	}
	name := c.str("TargetTableName")
	out, err := c.restoreTable(name, t, at, c.arnOf("dynamodb", "table/"+c.shortTable(source)), c.home())
	if err != nil {
		return nil, err
	}
	return object{"TableDescription": out}, nil
}

// restoreTable makes a table of what another one held at a time. data is the
// Region that holds its items. Tags, recovery,
// streams and protection are not restored. Source: DynamoDB Developer Guide,
// "Restoring a DynamoDB table to a point in time".
func (c *call) restoreTable(name string, from dynamoTable, at time.Time, source string, data *region) (object, error) {
	if !tableName.MatchString(name) {
		return nil, invalid("1 validation error detected: Value '%s' at 'targetTableName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+", name)
	}
	if _, _, ok := c.home().DynamoDB.Tables.live(name, c.now); ok {
		return nil, failure(400, "TableAlreadyExistsException", "Table already exists: %s", name)
	}
	if err := c.unsimulated("GlobalSecondaryIndexOverride", "LocalSecondaryIndexOverride", "OnDemandThroughputOverride"); err != nil {
		return nil, err
	}
	summary := object{"SourceTableArn": source, "RestoreDateTime": at}
	s := from.Settings.with(structure{"DeletionProtectionEnabled": false, "RestoreSummary": object(structure(summary).with(structure{"RestoreInProgress": true}))})
	delete(s, "StreamSpecification")
	if c.str("BillingModeOverride") != "" || c.object("ProvisionedThroughputOverride") != nil {
		capacity, err := c.capacity("BillingModeOverride", "ProvisionedThroughputOverride")
		if err != nil {
			return nil, err
		}
		s = s.with(capacity)
	}
	if spec := c.object("SSESpecificationOverride"); spec != nil {
		sse, err := c.tableEncryption(spec)
		if err != nil {
			return nil, err
		}
		delete(s, "SSEDescription")
		if sse != nil {
			s["SSEDescription"] = sse
		}
	}
	t, r := c.makeTable(name, s, nil, tableRestore)
	r.change(c.now.Add(tableRestore), func(t *dynamoTable) {
		t.Settings = t.Settings.with(structure{"RestoreSummary": object(structure(summary).with(structure{"RestoreInProgress": false}))})
	})
	items := table[structure]{}
	for key, item := range data.DynamoDB.Items[from.ID].all(at) {
		items.put(key, c.now, item)
	}
	c.home().DynamoDB.Items = made(c.home().DynamoDB.Items)
	c.home().DynamoDB.Items[t.ID] = items
	return c.tableOut(name, t, c.now), nil
}

var dynamodbRecoveryHandlers = map[string]handler{
	"DescribeContinuousBackups": {"dynamodb:DescribeContinuousBackups", describeContinuousBackups},
	"RestoreTableToPointInTime": {"dynamodb:RestoreTableToPointInTime", restoreTableToPointInTime},
	"UpdateContinuousBackups":   {"dynamodb:UpdateContinuousBackups", updateContinuousBackups},
}
