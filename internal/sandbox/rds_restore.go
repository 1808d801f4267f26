package sandbox

import (
	"strings"
	"time"
)

// restoreDB makes an instance of what another one held. Its settings are the
// other's but for those that a restore sets back; the storage is encrypted as it
// was. Source: Amazon RDS API Reference, RestoreDBInstanceFromDBSnapshot and
// RestoreDBInstanceToPointInTime.
func (c *call) restoreDB(name string, from structure, writes int64) (object, error) {
	name, err := c.newDBName(name)
	if err != nil {
		return nil, err
	}
	s := from.with(structure{"MultiAZ": false, "DeletionProtection": false, "CopyTagsToSnapshot": false, "IAMDatabaseAuthenticationEnabled": false, "PubliclyAccessible": c.str("DBSubnetGroupName") == ""})
	for _, member := range []string{"VpcSecurityGroupIds", "DBParameterGroupName", "DBSubnetGroupName", "EnabledCloudwatchLogsExports"} {
		delete(s, member)
	}
	given := c.givenDBSettings()
	if size, ok := c.int("AllocatedStorage"); ok && size < from.int("AllocatedStorage") {
		return nil, failure(400, "InvalidParameterValue", "The allocated storage can't be less than that of the source, %d GiB.", from.int("AllocatedStorage"))
	}
	if e := c.str("Engine"); e != "" && e != from.str("Engine") {
		return nil, failure(400, "InvalidParameterCombination", "The engine %s is not compatible with that of the source, %s.", e, from.str("Engine"))
	}
	if given.str("StorageType") != "" && given["Iops"] == nil {
		delete(s, "Iops") // it went with the other type
	}
	s = s.with(given)
	if err := c.placeDB(s); err != nil {
		return nil, err
	}
	if err := checkDB(s); err != nil {
		return nil, err
	}
	if s.bool("StorageEncrypted") {
		if _, err := c.storageKey(s.str("KmsKeyId")); err != nil {
			return nil, err
		}
	}
	tags, err := parseTags(c.in["Tags"])
	if err != nil {
		return nil, err
	}
	return c.makeDB(name, s, tags, writes), nil
}

func restoreFromDBSnapshot(c *call) (map[string]any, error) {
	if c.str("DBClusterSnapshotIdentifier") != "" {
		return nil, failure(501, "NotImplemented", "The sandbox does not simulate DB clusters.")
	}
	s, at, err := c.sourceSnapshot(c.str("DBSnapshotIdentifier"))
	if err != nil {
		return nil, err
	}
	if at.region != c.region {
		return nil, failure(400, "InvalidParameterValue", "The snapshot %s is in another Region.", c.str("DBSnapshotIdentifier"))
	}
	out, err := c.restoreDB(c.str("DBInstanceIdentifier"), s.Settings, s.Writes)
	if err == nil {
		c.dbEvent(c.now.Add(dbCreation), strings.ToLower(c.str("DBInstanceIdentifier")), "RDS-EVENT-0043", "restoration", "Restored from snapshot "+c.str("DBSnapshotIdentifier"))
	}
	return out, err
}

func restoreDBToPointInTime(c *call) (map[string]any, error) {
	_, r, d, err := c.sourceDB()
	if err != nil {
		return nil, err
	}
	at, given := c.in["RestoreTime"].(time.Time)
	if given == c.bool("UseLatestRestorableTime") {
		return nil, failure(400, "InvalidParameterCombination", "Either RestoreTime or UseLatestRestorableTime must be specified, and not both.")
	}
	if d.Settings.int("BackupRetentionPeriod") == 0 {
		return nil, failure(400, "PointInTimeRestoreNotEnabled", "Point in time restore is not enabled for the source instance %s, whose backup retention period is 0.", d.Name)
	}
	earliest, latest, ok := restorable(r, c.now)
	switch {
	case !ok:
		return nil, failure(400, "InvalidDBInstanceState", "The source instance %s has no backup yet.", d.Name)
	case !given:
		at = latest
	case at.After(latest):
		return nil, failure(400, "InvalidParameterValue", "The specified instance cannot be restored to a time later than %s", latest.Format(time.RFC3339))
	case at.Before(earliest):
		return nil, failure(400, "InvalidParameterValue", "The specified instance cannot be restored to a time earlier than %s", earliest.Format(time.RFC3339))
	}
	out, err := c.restoreDB(c.str("TargetDBInstanceIdentifier"), d.Settings, dbWrites(r, at))
	if err == nil {
		c.dbEvent(c.now.Add(dbCreation), strings.ToLower(c.str("TargetDBInstanceIdentifier")), "RDS-EVENT-0019", "restoration", "Restored from DB instance "+d.Name+" to "+at.Format(time.RFC3339)+".")
	}
	return out, err
}

// sourceDB is the instance to be restored, by its name or its resource id.
func (c *call) sourceDB() (string, *record[dbInstance], dbInstance, error) {
	if id := c.str("SourceDbiResourceId"); id != "" {
		if r, d, ok := c.home().RDS.Instances.live(id, c.now); ok {
			return id, r, d, nil
		}
		return "", nil, dbInstance{}, failure(404, "DBInstanceNotFound", "DBInstance %s not found.", id)
	}
	if c.str("SourceDBInstanceIdentifier") == "" {
		return "", nil, dbInstance{}, failure(400, "InvalidParameterCombination", "A source instance must be specified.")
	}
	return c.liveDB(c.str("SourceDBInstanceIdentifier"), c.now)
}

// dbTags finds the tags of the resource that the call names by its ARN. change
// sets them.
func (c *call) dbTags(at time.Time) (tags tagSet, change func(tagSet), err error) {
	name := c.str("ResourceName")
	a, ok := parseARN(name)
	kind, short, _ := strings.Cut(a.resource, ":")
	if !ok || a.service != "rds" || kind != "db" && kind != "snapshot" {
		return nil, nil, failure(400, "InvalidParameterValue", "Invalid resource name: %s", name)
	}
	if kind == "db" {
		_, r, d, err := c.liveDB(name, at)
		return d.Tags, func(t tagSet) { r.change(c.now, func(d *dbInstance) { d.Tags = t }) }, err
	}
	r, s, err := c.liveDBSnapshot(c.arnOf("rds", "snapshot:"+short), at)
	return s.Tags, func(t tagSet) { r.change(c.now, func(s *dbSnapshot) { s.Tags = t }) }, err
}

func listDBTags(c *call) (map[string]any, error) {
	tags, _, err := c.dbTags(c.view)
	if err != nil {
		return nil, err
	}
	return object{"TagList": tags.list()}, nil
}

func addDBTags(c *call) (map[string]any, error) {
	tags, change, err := c.dbTags(c.now)
	if err != nil {
		return nil, err
	}
	more, err := parseTags(c.in["Tags"])
	if err != nil {
		return nil, err
	}
	if tags = tags.with(more); len(tags) > 50 {
		return nil, failure(400, "InvalidParameterValue", "The maximum number of tags for a resource is 50.")
	}
	change(tags)
	return object{}, nil
}

func removeDBTags(c *call) (map[string]any, error) {
	tags, change, err := c.dbTags(c.now)
	if err != nil {
		return nil, err
	}
	tags = tags.with(nil)
	for _, k := range c.strings("TagKeys") {
		delete(tags, k)
	}
	change(tags)
	return object{}, nil
}

var rdsRestoreHandlers = map[string]handler{
	"AddTagsToResource":               {"rds:AddTagsToResource", addDBTags},
	"ListTagsForResource":             {"rds:ListTagsForResource", listDBTags},
	"RemoveTagsFromResource":          {"rds:RemoveTagsFromResource", removeDBTags},
	"RestoreDBInstanceFromDBSnapshot": {"rds:RestoreDBInstanceFromDBSnapshot", restoreFromDBSnapshot},
	"RestoreDBInstanceToPointInTime":  {"rds:RestoreDBInstanceToPointInTime", restoreDBToPointInTime},
}
