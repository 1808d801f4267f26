package sandbox

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// dbAtOnce are the settings that a change takes at once, whatever
// ApplyImmediately says. Source: Amazon RDS User Guide, "Settings for DB
// instances".
var dbAtOnce = []string{"AutoMinorVersionUpgrade", "CopyTagsToSnapshot", "DBParameterGroupName", "DeletionProtection", "EnabledCloudwatchLogsExports", "MaxAllocatedStorage",
	"MonitoringInterval", "MonitoringRoleArn", "PerformanceInsightsEnabled", "PerformanceInsightsKMSKeyId", "PerformanceInsightsRetentionPeriod", "Port",
	"PreferredBackupWindow", "PreferredMaintenanceWindow", "PubliclyAccessible", "VpcSecurityGroupIds"}

// dbStorage are the settings whose change the storage is busy with for a while.
var dbStorage = []string{"AllocatedStorage", "Iops", "StorageThroughput", "StorageType"}

func modifyDBInstance(c *call) (map[string]any, error) {
	id, r, d, err := c.availableDB()
	if err != nil {
		return nil, err
	}
	changes, err := c.dbChanges(d)
	if err != nil {
		return nil, err
	}
	atOnce, later := structure{}, d.Pending.with(nil)
	for name, v := range changes {
		switch {
		case slices.Contains(dbAtOnce, name), name == "BackupRetentionPeriod" && v != int64(0) && d.Settings.int(name) > 0:
			atOnce[name] = v
		case reflect.DeepEqual(v, d.Settings[name]):
			delete(later, name) // takes back what was pending
		default:
			later[name] = v
		}
	}
	r.forget(c.now)
	c.retract(c.arnOf("rds", "db:"+d.Name), c.now)
	r.change(c.now, func(d *dbInstance) {
		d.Settings, d.Pending = d.Settings.with(atOnce), later
		if len(later) == 0 {
			d.Pending = nil
		}
	})
	if d.Optimized.After(c.now) {
		r.change(d.Optimized, func(d *dbInstance) { d.Status = "available" })
	}
	start := nextWindow(d.Settings.with(atOnce).str("PreferredMaintenanceWindow"), c.now)
	if c.bool("ApplyImmediately") {
		start = c.now.Add(dbNotice)
	}
	// What makes an instance public or private is set at once, and the instance is
	// "modifying" for a moment: AWS's own runbook waits for that.
	if v, given := atOnce["PubliclyAccessible"]; given && v != d.Settings["PubliclyAccessible"] {
		r.change(c.now.Add(dbNotice), func(d *dbInstance) { d.Status = "modifying" })
		r.change(c.now.Add(dbNotice+dbChange), func(d *dbInstance) { d.Status = "available" })
	}
	c.applyLater(r, start)
	return object{"DBInstance": c.dbOut(id, r, c.now)}, nil
}

// dbChanges are the settings that a call changes, checked.
func (c *call) dbChanges(d dbInstance) (structure, error) {
	changes := c.givenDBSettings()
	if logs := c.object("CloudwatchLogsExportConfiguration"); logs != nil {
		on := texts(d.Settings["EnabledCloudwatchLogsExports"])
		on = slices.DeleteFunc(append(on, texts(logs["EnableLogTypes"])...), func(s string) bool { return slices.Contains(texts(logs["DisableLogTypes"]), s) })
		slices.Sort(on)
		changes["EnabledCloudwatchLogsExports"] = anys(slices.Compact(on))
	}
	if name := c.str("NewDBInstanceIdentifier"); name != "" {
		to, err := c.newDBName(name)
		if err != nil {
			return nil, err
		}
		changes["DBInstanceIdentifier"] = to
	}
	if p := c.str("MasterUserPassword"); p != "" && len(p) < 8 {
		return nil, failure(400, "InvalidParameterValue", "The parameter MasterUserPassword is not a valid password because it is shorter than 8 characters.")
	}
	if size, ok := c.int("AllocatedStorage"); ok {
		now := d.Settings.int("AllocatedStorage")
		switch least := (now*11 + 9) / 10; {
		case size < now:
			return nil, failure(400, "InvalidParameterCombination", "Invalid storage size: the requested allocated storage of %d GiB is less than the current %d GiB. Storage can't be reduced.", size, now)
		case size > now && d.Optimized.After(c.now):
			return nil, failure(400, "InvalidParameterCombination", "You can't currently modify the storage of this DB instance because the previous storage change is being optimized.")
		case size > now && size < least && !strings.HasPrefix(d.Settings.str("Engine"), "sqlserver"):
			changes["AllocatedStorage"] = least
		}
	}
	if v := c.str("EngineVersion"); v != "" && majorVersion(v) != majorVersion(d.Settings.str("EngineVersion")) && !c.bool("AllowMajorVersionUpgrade") {
		return nil, failure(400, "InvalidParameterCombination", "The AllowMajorVersionUpgrade flag must be present when upgrading to a new major version.")
	}
	next := d.Settings.with(d.Pending).with(changes)
	if kind := next.str("StorageType"); kind == "gp2" || kind == "standard" {
		if _, given := c.in["Iops"]; !given {
			delete(next, "Iops")
		}
	}
	return changes, checkDB(next)
}

// applyLater lets what is pending come about from a time on.
func (c *call) applyLater(r *record[dbInstance], start time.Time) {
	d, _ := r.as(start)
	if len(d.Pending) == 0 {
		return
	}
	done := start.Add(dbChange)
	pending := d.Pending
	optimize := slices.ContainsFunc(dbStorage, func(name string) bool { return pending[name] != nil })
	r.forget(start)
	r.change(start, func(d *dbInstance) { d.Status = "modifying" })
	r.change(done, func(d *dbInstance) {
		before := d.Settings.int("BackupRetentionPeriod")
		d.Settings, d.Pending, d.Status = d.Settings.with(pending), nil, "available"
		if name := pending.str("DBInstanceIdentifier"); name != "" {
			d.Name = name
			delete(d.Settings, "DBInstanceIdentifier")
		}
		d.Settings = withStorage(d.Settings)
		switch after := d.Settings.int("BackupRetentionPeriod"); {
		case before == 0 && after > 0:
			d.BackedUp = done
		case after == 0:
			d.BackedUp = time.Time{}
		}
		if optimize {
			d.Status, d.Optimized = "storage-optimization", done.Add(dbOptimize)
		}
	})
	if optimize {
		r.change(done.Add(dbOptimize), func(d *dbInstance) { d.Status = "available" })
	}
	for _, name := range sorted(pending) {
		if e, ok := dbChangeEvents[name]; ok {
			c.dbEvent(done, d.Name, e.id, "configuration change", e.message)
		}
	}
}

var dbChangeEvents = map[string]struct{ id, message string }{
	"AllocatedStorage": {"RDS-EVENT-0018", "Finished applying modification to allocated storage"},
	"DBInstanceClass":  {"RDS-EVENT-0014", "Finished applying modification to DB instance class"},
	"MultiAZ":          {"RDS-EVENT-0015", "Finished applying modification to convert to a Multi-AZ DB instance"},
}

// nextWindow is when a maintenance window such as sun:05:00-sun:05:30 next
// begins.
func nextWindow(window string, after time.Time) time.Time {
	m := dbWindow.FindStringSubmatch(window)
	if m == nil {
		return after
	}
	day := slices.Index([]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}, m[1])
	hour, _ := strconv.Atoi(m[2]) // two digits, by the expression
	minute, _ := strconv.Atoi(m[3])
	after = after.UTC()
	at := time.Date(after.Year(), after.Month(), after.Day()+(day-int(after.Weekday())+7)%7, hour, minute, 0, 0, time.UTC)
	if !at.After(after) {
		at = at.AddDate(0, 0, 7)
	}
	return at
}

// pass takes an instance through a state that ends by itself.
func (c *call) pass(id string, r *record[dbInstance], through string, for_ time.Duration, to string) object {
	r.forget(c.now)
	d, _ := r.as(c.now)
	c.retract(c.arnOf("rds", "db:"+d.Name), c.now)
	r.change(c.now, func(d *dbInstance) { d.Status = through })
	r.change(c.now.Add(for_), func(d *dbInstance) { d.Status, d.Restart = to, time.Time{} })
	if to == "available" {
		end := c.now.Add(for_)
		if d.Optimized.After(end) {
			r.change(end, func(d *dbInstance) { d.Status = "storage-optimization" })
			r.change(d.Optimized, func(d *dbInstance) { d.Status = "available" })
		}
		c.applyLater(r, nextWindow(d.Settings.str("PreferredMaintenanceWindow"), end))
	}
	return object{"DBInstance": c.dbOut(id, r, c.now)}
}

func rebootDBInstance(c *call) (map[string]any, error) {
	id, r, d, err := c.availableDB()
	if err != nil {
		return nil, err
	}
	if c.bool("ForceFailover") && !d.Settings.bool("MultiAZ") {
		return nil, failure(400, "InvalidParameterCombination", "Cannot specify ForceFailover when the instance is not configured for MultiAz.")
	}
	out := c.pass(id, r, "rebooting", dbReboot, "available")
	c.dbEvent(c.now.Add(dbReboot), d.Name, "RDS-EVENT-0006", "availability", "DB instance restarted")
	return out, nil
}

func stopDBInstance(c *call) (map[string]any, error) {
	id, r, d, err := c.availableDB()
	if err != nil {
		return nil, err
	}
	if name := c.str("DBSnapshotIdentifier"); name != "" {
		if _, err := c.takeSnapshot(name, id, d, "manual", nil); err != nil {
			return nil, err
		}
	}
	out := c.pass(id, r, "stopping", dbStop, "stopped")
	// RDS starts an instance again that was stopped for seven days.
	restart := c.now.Add(dbStop + dbMostStopped)
	r.change(c.now.Add(dbStop), func(d *dbInstance) { d.Restart = restart })
	r.change(restart, func(d *dbInstance) { d.Status = "starting" })
	r.change(restart.Add(dbStart), func(d *dbInstance) { d.Status, d.Restart = "available", time.Time{} })
	c.applyLater(r, nextWindow(d.Settings.str("PreferredMaintenanceWindow"), restart.Add(dbStart)))
	c.dbEvent(c.now.Add(dbStop), d.Name, "RDS-EVENT-0087", "notification", "DB instance stopped.")
	c.dbEvent(restart.Add(dbStart), d.Name, "RDS-EVENT-0154", "notification", "DB instance is being started due to it exceeding the maximum allowed time being stopped.")
	return out, nil
}

func startDBInstance(c *call) (map[string]any, error) {
	id, r, d, err := c.liveDB(c.str("DBInstanceIdentifier"), c.now)
	if err != nil {
		return nil, err
	}
	if d.Status != "stopped" {
		return nil, failure(400, "InvalidDBInstanceState", "Instance %s is not stopped.", d.Name)
	}
	if d.Settings.bool("StorageEncrypted") {
		if _, err := c.storageKey(d.Settings.str("KmsKeyId")); err != nil {
			return nil, err
		}
	}
	out := c.pass(id, r, "starting", dbStart, "available")
	c.dbEvent(c.now.Add(dbStart), d.Name, "RDS-EVENT-0088", "notification", "DB instance started.")
	return out, nil
}

func deleteDBInstance(c *call) (map[string]any, error) {
	id, r, d, err := c.liveDB(c.str("DBInstanceIdentifier"), c.now)
	if err != nil {
		return nil, err
	}
	final, skip := c.str("FinalDBSnapshotIdentifier"), c.bool("SkipFinalSnapshot")
	switch {
	case d.Status == "deleting":
		return nil, failure(400, "InvalidDBInstanceState", "Instance %s is already being deleted.", d.Name)
	case d.Settings.bool("DeletionProtection"):
		return nil, failure(400, "InvalidParameterCombination", "Cannot delete protected DB Instance, please disable deletion protection and try again.")
	case final == "" && !skip:
		return nil, failure(400, "InvalidParameterCombination", "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.")
	case final != "" && skip:
		return nil, failure(400, "InvalidParameterCombination", "FinalDBSnapshotIdentifier can not be specified when deleting an instance with SkipFinalSnapshot.")
	case final != "" && d.Status == "creating":
		return nil, failure(400, "InvalidDBInstanceState", "Instance %s is currently creating - a final snapshot cannot be taken.", d.Name)
	}
	gone := c.now.Add(dbDeletion)
	if final != "" {
		s, err := c.takeSnapshot(final, id, d, "manual", nil)
		if err != nil {
			return nil, err
		}
		gone = gone.Add(snapshotTime(s))
	}
	r.forget(c.now)
	c.retract(c.arnOf("rds", "db:"+d.Name), c.now)
	r.change(c.now, func(d *dbInstance) { d.Status, d.Pending = "deleting", nil })
	out := object{"DBInstance": c.dbOut(id, r, c.now)}
	r.end(gone)
	for name, s := range c.home().RDS.Snapshots.all(c.now) {
		if s.Resource == id && s.Type == "automated" {
			c.home().RDS.Snapshots[name].end(gone)
		}
	}
	c.dbEvent(gone, d.Name, "RDS-EVENT-0003", "deletion", "DB instance deleted")
	return out, nil
}

var rdsChangeHandlers = map[string]handler{
	"DeleteDBInstance": {"rds:DeleteDBInstance", deleteDBInstance},
	"ModifyDBInstance": {"rds:ModifyDBInstance", modifyDBInstance},
	"RebootDBInstance": {"rds:RebootDBInstance", rebootDBInstance},
	"StartDBInstance":  {"rds:StartDBInstance", startDBInstance},
	"StopDBInstance":   {"rds:StopDBInstance", stopDBInstance},
}
