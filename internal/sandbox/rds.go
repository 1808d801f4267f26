package sandbox

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// How long RDS takes for a change, on the sandbox's clock. AWS publishes no
// figures; these are of the order that people see.
const (
	dbCreation  = 4 * time.Minute
	dbBackup    = time.Minute
	dbNotice    = 10 * time.Second // until a change that is asked for begins
	dbChange    = 3 * time.Minute
	dbOptimize  = 10 * time.Minute // of storage that was changed, while it is in use
	dbReboot    = 30 * time.Second
	dbStop      = 2 * time.Minute
	dbStart     = 3 * time.Minute
	dbDeletion  = 2 * time.Minute
	dbSnapBase  = time.Minute
	dbSnapByGiB = 200 * time.Millisecond
)

// Source: Amazon RDS User Guide, "Restoring a DB instance to a specified time" and
// "Stopping an Amazon RDS DB instance temporarily".
const (
	dbRestoreLag  = 5 * time.Minute
	dbMostStopped = 7 * 24 * time.Hour
)

// rdsState is what rds has in one account and Region.
type rdsState struct {
	Instances table[dbInstance] `json:"instances"` // by DbiResourceId: names change
	Snapshots table[dbSnapshot] `json:"snapshots"` // by name
}

func (s rdsState) check() error {
	return first(whole("DB instance", s.Instances), whole("DB snapshot", s.Snapshots))
}

type dbInstance struct {
	Name    string    `json:"name"`
	Status  string    `json:"status"`
	Created time.Time `json:"created"`
	// Settings are members of the API's DBInstance, and some of CreateDBInstance's
	// from which such are made; see dbOut.
	Settings structure `json:"settings"`
	Pending  structure `json:"pending,omitempty"`
	Tags     tagSet    `json:"tags,omitempty"`
	// Writes is what the database held when it was made; see dbWrites.
	Writes int64 `json:"writes,omitempty"`
	// BackedUp is the earliest time that the instance can be restored to; zero:
	// there are no backups.
	BackedUp time.Time `json:"backedUp,omitzero"`
	// Optimized is when the storage is done with after a change.
	Optimized time.Time `json:"optimized,omitzero"`
	Restart   time.Time `json:"restart,omitzero"` // of one that is stopped
}

// dbEngine is what is known of an engine: its port, and the version and licence
// that it has unless told otherwise.
type dbEngine struct {
	port             int64
	version, license string
}

var dbEngines = map[string]dbEngine{
	"mariadb":       {3306, "11.8.3", "general-public-license"},
	"mysql":         {3306, "8.4.7", "general-public-license"},
	"postgres":      {5432, "17.6", "postgresql-license"},
	"oracle-ee":     {1521, "19.0.0.0.ru-2025-07.rur-2025-07.r1", "bring-your-own-license"},
	"oracle-se2":    {1521, "19.0.0.0.ru-2025-07.rur-2025-07.r1", "license-included"},
	"sqlserver-ee":  {1433, "16.00.4215.2.v1", "license-included"},
	"sqlserver-ex":  {1433, "16.00.4215.2.v1", "license-included"},
	"sqlserver-se":  {1433, "16.00.4215.2.v1", "license-included"},
	"sqlserver-web": {1433, "16.00.4215.2.v1", "license-included"},
}

// dbSettings are the members of input that are settings, with the names that
// the settings have.
var dbSettings = map[string]string{
	"AllocatedStorage": "AllocatedStorage", "AutoMinorVersionUpgrade": "AutoMinorVersionUpgrade", "AvailabilityZone": "AvailabilityZone",
	"BackupRetentionPeriod": "BackupRetentionPeriod", "CACertificateIdentifier": "CACertificateIdentifier", "CopyTagsToSnapshot": "CopyTagsToSnapshot",
	"DBInstanceClass": "DBInstanceClass", "DBName": "DBName", "DBParameterGroupName": "DBParameterGroupName", "DBPortNumber": "Port",
	"DBSubnetGroupName": "DBSubnetGroupName", "DeletionProtection": "DeletionProtection", "EnableCloudwatchLogsExports": "EnabledCloudwatchLogsExports",
	"EnableIAMDatabaseAuthentication": "IAMDatabaseAuthenticationEnabled", "EnablePerformanceInsights": "PerformanceInsightsEnabled",
	"EngineVersion": "EngineVersion", "Iops": "Iops", "LicenseModel": "LicenseModel", "MasterUsername": "MasterUsername",
	"MaxAllocatedStorage": "MaxAllocatedStorage", "MonitoringInterval": "MonitoringInterval", "MonitoringRoleArn": "MonitoringRoleArn", "MultiAZ": "MultiAZ",
	"OptionGroupName": "OptionGroupName", "PerformanceInsightsKMSKeyId": "PerformanceInsightsKMSKeyId",
	"PerformanceInsightsRetentionPeriod": "PerformanceInsightsRetentionPeriod", "Port": "Port", "PreferredBackupWindow": "PreferredBackupWindow",
	"PreferredMaintenanceWindow": "PreferredMaintenanceWindow", "PubliclyAccessible": "PubliclyAccessible", "StorageThroughput": "StorageThroughput",
	"StorageType": "StorageType", "VpcSecurityGroupIds": "VpcSecurityGroupIds",
}

func (c *call) givenDBSettings() structure {
	out := structure{}
	for from, to := range dbSettings {
		if v, ok := c.in[from]; ok {
			out[to] = v
		}
	}
	return out
}

var (
	dbName   = patternOf(`^[a-z](-?[a-z0-9])*$`)
	dbClass  = patternOf(`^db\.[a-z0-9-]+\.[a-z0-9]+$`)
	dbWindow = patternOf(`^(mon|tue|wed|thu|fri|sat|sun):([01]\d|2[0-3]):([0-5]\d)-(mon|tue|wed|thu|fri|sat|sun):([01]\d|2[0-3]):([0-5]\d)$`)
)

// checkDB says what is wrong with an instance's settings.
func checkDB(s structure) error {
	kind, size := s.str("StorageType"), s.int("AllocatedStorage")
	least := int64(20)
	if kind == "io1" || kind == "io2" {
		least = 100
	}
	_, iops := s["Iops"]
	switch days := s.int("BackupRetentionPeriod"); {
	case !slices.Contains([]string{"gp2", "gp3", "io1", "io2", "standard"}, kind):
		return failure(400, "InvalidParameterValue", "Invalid storage type: %s", kind)
	case size < least || size > 65536:
		return failure(400, "InvalidParameterValue", "Invalid storage size for engine name %s and storage type %s: %d", s.str("Engine"), kind, size)
	case least == 100 && !iops:
		return failure(400, "InvalidParameterCombination", "You must specify both the storage size and iops when modifying the storage size or iops on a DB instance that has iops.")
	case iops && (kind == "gp2" || kind == "standard"):
		return failure(400, "InvalidParameterCombination", "You can't specify IOPS or storage throughput for engine %s and storage type %s.", s.str("Engine"), kind)
	case days < 0 || days > 35:
		return failure(400, "InvalidParameterValue", "Invalid backup retention period: %d. Must be between 0 and 35.", days)
	case !dbClass.MatchString(s.str("DBInstanceClass")):
		return failure(400, "InvalidParameterValue", "Invalid DB Instance class: %s", s.str("DBInstanceClass"))
	case !dbWindow.MatchString(s.str("PreferredMaintenanceWindow")):
		return failure(400, "InvalidParameterValue", "Invalid maintenance window format: %s. Should be specified as a range ddd:hh24:mi-ddd:hh24:mi", s.str("PreferredMaintenanceWindow"))
	}
	return nil
}

// withStorage gives settings the performance that goes with their storage type.
func withStorage(s structure) structure {
	s = s.with(nil)
	switch s.str("StorageType") {
	case "gp2", "standard":
		delete(s, "Iops")
		delete(s, "StorageThroughput")
	case "gp3":
		if s["Iops"] == nil {
			s["Iops"] = int64(3000)
		}
		if s["StorageThroughput"] == nil {
			s["StorageThroughput"] = int64(125)
		}
	}
	return s
}

// liveDB finds an instance by its name or ARN.
func (c *call) liveDB(name string, at time.Time) (string, *record[dbInstance], dbInstance, error) {
	short := strings.ToLower(strings.TrimPrefix(name, c.arnOf("rds", "db:")))
	for id, d := range c.home().RDS.Instances.all(at) {
		if d.Name == short {
			return id, c.home().RDS.Instances[id], d, nil
		}
	}
	return "", nil, dbInstance{}, failure(404, "DBInstanceNotFound", "DBInstance %s not found.", name)
}

// availableDB is liveDB for a change that needs a running instance.
func (c *call) availableDB() (string, *record[dbInstance], dbInstance, error) {
	id, r, d, err := c.liveDB(c.str("DBInstanceIdentifier"), c.now)
	if err == nil && d.Status != "available" && d.Status != "storage-optimization" {
		err = failure(400, "InvalidDBInstanceState", "Database instance is not in available state.")
	}
	return id, r, d, err
}

// newDBName checks the name of an instance to be made.
func (c *call) newDBName(name string) (string, error) {
	name = strings.ToLower(name)
	if len(name) > 63 || !dbName.MatchString(name) {
		return "", failure(400, "InvalidParameterValue", "The parameter DBInstanceIdentifier is not a valid identifier. Identifiers must begin with a letter; must contain only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens.")
	}
	if _, _, _, err := c.liveDB(name, c.now); err == nil {
		return "", failure(400, "DBInstanceAlreadyExists", "DB instance already exists")
	}
	return name, nil
}

// storageKey gives the key that RDS is to encrypt with.
func (c *call) storageKey(name string) (string, error) {
	arn, err := c.serviceKey(name, "alias/aws/rds")
	if err != nil {
		return "", failure(400, "KMSKeyNotAccessibleFault", "The specified KMS key [%s] does not exist, is not enabled or you do not have permissions to access it: %v", name, err)
	}
	return arn, nil
}

// makeDB makes an instance, which is then backed up for the first time.
func (c *call) makeDB(name string, s structure, tags tagSet, writes int64) object {
	id := "db-" + strings.ToUpper(c.id("", 26))
	d := dbInstance{Name: name, Status: "creating", Created: c.now, Settings: withStorage(s), Tags: tags, Writes: writes}
	r := c.home().RDS.Instances.put(id, c.now, d)
	made := c.now.Add(dbCreation)
	if s.int("BackupRetentionPeriod") > 0 {
		r.change(made, func(d *dbInstance) { d.Status = "backing-up" })
		c.automatedSnapshot(id, made)
		made = made.Add(dbBackup)
		r.change(made, func(d *dbInstance) { d.BackedUp = made })
	}
	r.change(made, func(d *dbInstance) { d.Status = "available" })
	c.dbEvent(c.now.Add(dbCreation), name, "RDS-EVENT-0005", "creation", "DB instance created.")
	return object{"DBInstance": c.dbOut(id, r, c.now)}
}

func createDBInstance(c *call) (map[string]any, error) {
	name, err := c.newDBName(c.str("DBInstanceIdentifier"))
	if err != nil {
		return nil, err
	}
	engine, ok := dbEngines[c.str("Engine")]
	if c.str("DBClusterIdentifier") != "" || strings.HasPrefix(c.str("Engine"), "aurora") {
		return nil, failure(501, "NotImplemented", "The sandbox does not simulate DB clusters.")
	}
	if !ok {
		return nil, failure(400, "InvalidParameterValue", "Invalid DB engine: %s", c.str("Engine"))
	}
	for _, member := range []string{"MasterUsername", "MasterUserPassword"} {
		if c.str(member) == "" && !(member == "MasterUserPassword" && c.bool("ManageMasterUserPassword")) {
			return nil, failure(400, "InvalidParameterValue", "The parameter %s must be provided and must not be blank.", member)
		}
	}
	if p := c.str("MasterUserPassword"); p != "" && len(p) < 8 {
		return nil, failure(400, "InvalidParameterValue", "The parameter MasterUserPassword is not a valid password because it is shorter than 8 characters.")
	}
	s := structure{"Engine": c.str("Engine"), "EngineVersion": engine.version, "LicenseModel": engine.license, "Port": engine.port, "StorageType": "gp3", "BackupRetentionPeriod": int64(1),
		"PreferredBackupWindow": "03:00-03:30", "PreferredMaintenanceWindow": "sun:05:00-sun:05:30", "AutoMinorVersionUpgrade": true, "MultiAZ": false,
		"PubliclyAccessible": c.str("DBSubnetGroupName") == "", "CopyTagsToSnapshot": false, "DeletionProtection": false, "StorageEncrypted": c.bool("StorageEncrypted"),
		"IAMDatabaseAuthenticationEnabled": false, "PerformanceInsightsEnabled": false, "MonitoringInterval": int64(0), "CACertificateIdentifier": "rds-ca-rsa2048-g1"}
	if _, ok := c.in["Iops"]; ok {
		s["StorageType"] = "io1"
	}
	s = s.with(c.givenDBSettings())
	if err := c.placeDB(s); err != nil {
		return nil, err
	}
	if err := checkDB(s); err != nil {
		return nil, err
	}
	if !s.bool("StorageEncrypted") && c.str("KmsKeyId") != "" {
		return nil, failure(400, "InvalidParameterCombination", "You can't specify a KMS key for storage that is not encrypted.")
	}
	if s.bool("StorageEncrypted") {
		if s["KmsKeyId"], err = c.storageKey(c.str("KmsKeyId")); err != nil {
			return nil, err
		}
	}
	tags, err := parseTags(c.in["Tags"])
	if err != nil {
		return nil, err
	}
	return c.makeDB(name, s, tags, 0), nil
}

// placeDB chooses the Availability Zone of a new instance.
func (c *call) placeDB(s structure) error {
	zone := c.str("AvailabilityZone")
	switch {
	case zone == "":
		s["AvailabilityZone"] = zones(c.region)[0]
	case s.bool("MultiAZ"):
		return failure(400, "InvalidParameterCombination", "Requesting a specific availability zone is not valid for Multi-AZ instances.")
	case !slices.Contains(zones(c.region), zone):
		return failure(400, "InvalidParameterValue", "Invalid availability zone: %s", zone)
	}
	return nil
}

// dbOut is an instance as the API gives it.
func (c *call) dbOut(id string, r *record[dbInstance], at time.Time) object {
	d, _ := r.as(at)
	s := d.Settings
	out := object(s.with(structure{"DBInstanceIdentifier": d.Name, "DBInstanceStatus": d.Status, "DbiResourceId": id, "DBInstanceArn": c.arnOf("rds", "db:"+d.Name),
		"DbInstancePort": int64(0), "DBSecurityGroups": []any{}, "TagList": d.Tags.list(), "PendingModifiedValues": object(d.Pending), "ReadReplicaDBInstanceIdentifiers": []any{},
		"AssociatedRoles": []any{}, "DomainMemberships": []any{}, "StatusInfos": []any{}, "NetworkType": "IPV4", "BackupTarget": "region", "ActivityStreamStatus": "stopped"}))
	for _, name := range []string{"Port", "VpcSecurityGroupIds", "DBParameterGroupName", "DBSubnetGroupName", "OptionGroupName"} {
		delete(out, name)
	}
	if d.Pending == nil {
		out["PendingModifiedValues"] = object{}
	}
	groups := []any{}
	for _, g := range texts(s["VpcSecurityGroupIds"]) {
		groups = append(groups, object{"VpcSecurityGroupId": g, "Status": "active"})
	}
	out["VpcSecurityGroups"] = groups
	family := s.str("Engine") + majorVersion(s.str("EngineVersion"))
	out["DBParameterGroups"] = []any{object{"DBParameterGroupName": orElse(s.str("DBParameterGroupName"), "default."+family), "ParameterApplyStatus": "in-sync"}}
	out["OptionGroupMemberships"] = []any{object{"OptionGroupName": orElse(s.str("OptionGroupName"), "default:"+strings.ReplaceAll(family, ".", "-")), "Status": "in-sync"}}
	if n, _ := s["MonitoringInterval"].(int64); n > 0 {
		out["EnhancedMonitoringResourceArn"] = c.arnOf("logs", "log-group:RDSOSMetrics:log-stream:"+id)
	}
	out["DBSubnetGroup"] = object{"DBSubnetGroupName": orElse(s.str("DBSubnetGroupName"), "default"), "SubnetGroupStatus": "Complete"}
	if d.Status != "creating" {
		out["InstanceCreateTime"] = d.Created.Add(dbCreation)
		out["Endpoint"] = object{"Address": d.Name + "." + strings.ToLower(id[3:15]) + "." + c.region + ".rds.amazonaws.com", "Port": s.int("Port"), "HostedZoneId": "Z29XKXDKYMONMX"}
	}
	if _, latest, ok := restorable(r, at); ok {
		out["LatestRestorableTime"] = latest
	}
	if s.bool("MultiAZ") {
		all := zones(c.region)
		out["SecondaryAvailabilityZone"] = all[(slices.Index(all, s.str("AvailabilityZone"))+1)%len(all)]
	}
	if d.Status == "stopped" {
		out["AutomaticRestartTime"] = d.Restart
	}
	return out
}

// majorVersion is the part of an engine's version by which its parameter groups
// go: 17 of 17.6, but 8.4 of 8.4.7.
func majorVersion(v string) string {
	parts := strings.Split(v, ".")
	if len(parts) > 2 {
		return strings.Join(parts[:2], ".")
	}
	return parts[0]
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// serving says whether a database takes writes in a state.
func serving(status string) bool {
	return !slices.Contains([]string{"creating", "starting", "stopping", "stopped", "rebooting", "deleting"}, status)
}

// dbWrites counts the seconds for which a database was to be reached, on top of
// what it held when it was made: something that a program would have written.
func dbWrites(r *record[dbInstance], until time.Time) int64 {
	var total time.Duration
	for i, v := range r.Versions {
		end := until
		if i+1 < len(r.Versions) && r.Versions[i+1].At.Before(until) {
			end = r.Versions[i+1].At
		}
		if !v.Gone && serving(v.Value.Status) && end.After(v.At) {
			total += end.Sub(v.At)
		}
	}
	return r.Versions[0].Value.Writes + int64(total/time.Second)
}

// DBWrites gives the write counter of a database instance in the sandbox's own
// account and Region: one for each second in which it could be reached, and what
// it was restored from had. Of no instance it is 0.
func (s *Sandbox) DBWrites(name string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &call{Sandbox: s, now: s.clock.Now(), region: s.region, who: s.state.Keys[OperatorKey]}
	_, r, _, err := c.liveDB(name, c.now)
	if err != nil {
		return 0
	}
	return dbWrites(r, c.now)
}

// restorable gives the times between which an instance can be restored; false:
// it can't be. A stopped instance is restorable to when it stopped.
func restorable(r *record[dbInstance], at time.Time) (earliest, latest time.Time, ok bool) {
	d, ok := r.as(at)
	days := d.Settings.int("BackupRetentionPeriod")
	if !ok || d.BackedUp.IsZero() || days == 0 {
		return time.Time{}, time.Time{}, false
	}
	last := at
	for i := r.index(at) - 1; i >= 0 && !serving(r.Versions[i].Value.Status); i-- {
		last = r.Versions[i].At
	}
	latest = last.Add(-dbRestoreLag)
	if latest.Before(d.BackedUp) {
		latest = d.BackedUp
	}
	earliest = at.Add(-time.Duration(days) * 24 * time.Hour)
	if earliest.Before(d.BackedUp) {
		earliest = d.BackedUp
	}
	return earliest, latest, true
}

// dbPage cuts a list by MaxRecords and Marker.
func (c *call) dbPage(key string, items []any) (map[string]any, error) {
	most, given := c.int("MaxRecords")
	if given && (most < 20 || most > 100) {
		return nil, failure(400, "InvalidParameterValue", "Invalid value %d for MaxRecords. Must be between 20 and 100", most)
	}
	if !given {
		most = 100
	}
	start := 0
	if m := c.str("Marker"); m != "" {
		n, err := strconv.Atoi(strings.TrimPrefix(m, "marker-"))
		if err != nil || n < 0 || n > len(items) {
			return nil, failure(400, "InvalidParameterValue", "Invalid or expired Marker")
		}
		start = n
	}
	end := min(start+int(most), len(items))
	out := object{key: items[start:end:end]}
	if end < len(items) {
		out["Marker"] = "marker-" + strconv.Itoa(end)
	}
	return out, nil
}

func describeDBInstances(c *call) (map[string]any, error) {
	only := c.str("DBInstanceIdentifier")
	if only != "" {
		id, r, _, err := c.liveDB(only, c.view)
		if err != nil {
			return nil, err
		}
		return object{"DBInstances": []any{c.dbOut(id, r, c.view)}}, nil
	}
	out := []any{}
	for id, d := range c.home().RDS.Instances.all(c.view) {
		fits, err := c.matches(nil, func(name string) ([]string, bool) {
			switch name {
			case "db-instance-id":
				return []string{d.Name, c.arnOf("rds", "db:"+d.Name)}, true
			case "dbi-resource-id":
				return []string{id}, true
			case "engine":
				return []string{d.Settings.str("Engine")}, true
			case "db-cluster-id", "domain":
				return nil, true
			}
			return nil, false
		})
		if err != nil {
			return nil, err
		}
		if fits {
			out = append(out, c.dbOut(id, c.home().RDS.Instances[id], c.view))
		}
	}
	return c.dbPage("DBInstances", out)
}

// dbEvent tells of an instance. Source: Amazon RDS User Guide, "Amazon RDS event
// categories and event messages".
func (c *call) dbEvent(at time.Time, name, id, category, message string) {
	c.rdsEvent(at, "RDS DB Instance Event", "DB_INSTANCE", c.arnOf("rds", "db:"+name), name, id, category, message)
}

func (c *call) rdsEvent(at time.Time, kind, source, arn, name, id, category, message string) {
	c.emit(at, "aws.rds", kind, []string{arn}, object{"EventCategories": []any{category}, "SourceType": source, "SourceArn": arn, "Date": at.UTC().Format("2006-01-02T15:04:05.000Z"),
		"SourceIdentifier": name, "Message": message, "EventID": id})
}

var rdsInstanceHandlers = map[string]handler{
	"CreateDBInstance":    {"rds:CreateDBInstance", createDBInstance},
	"DescribeDBInstances": {"rds:DescribeDBInstances", describeDBInstances},
}

var rdsHandlers = merged(rdsInstanceHandlers, rdsChangeHandlers, rdsSnapshotHandlers, rdsRestoreHandlers, rdsClusterHandlers)
