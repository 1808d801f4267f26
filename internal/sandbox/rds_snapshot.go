package sandbox

import (
	"slices"
	"strings"
	"time"
)

type dbSnapshot struct {
	Status   string    `json:"status"` // creating, available
	Created  time.Time `json:"created"`
	Began    time.Time `json:"instanceCreated"`
	Type     string    `json:"type"` // manual, automated, awsbackup
	Instance string    `json:"instance"`
	Resource string    `json:"resource"` // DbiResourceId
	Settings structure `json:"settings"` // the instance's at the request
	Tags     tagSet    `json:"tags,omitempty"`
	Source   string    `json:"source,omitempty"`  // ARN of what it is a copy of
	Restore  []string  `json:"restore,omitempty"` // accounts that may restore it, or all
	Writes   int64     `json:"writes,omitempty"`  // the instance's at the request
}

// A snapshot of AWS's own has a name with colons; such a name can't be given.
var dbSnapshotName = patternOf(`^[A-Za-z](-?[A-Za-z0-9])*$`)

func (s dbSnapshot) encrypted() bool { return s.Settings.bool("StorageEncrypted") }

func (s dbSnapshot) sharedWith(account string) bool {
	return slices.Contains(s.Restore, account) || slices.Contains(s.Restore, "all")
}

func snapshotTime(s dbSnapshot) time.Duration {
	return dbSnapBase + time.Duration(s.Settings.int("AllocatedStorage"))*dbSnapByGiB
}

// liveDBSnapshot finds a snapshot of the caller's own by its name or ARN.
func (c *call) liveDBSnapshot(name string, at time.Time) (*record[dbSnapshot], dbSnapshot, error) {
	short := strings.ToLower(strings.TrimPrefix(name, c.arnOf("rds", "snapshot:")))
	if r, s, ok := c.home().RDS.Snapshots.live(short, at); ok {
		return r, s, nil
	}
	return nil, dbSnapshot{}, failure(404, "DBSnapshotNotFound", "DBSnapshot %s not found.", name)
}

// sourceSnapshot finds a snapshot that the caller may copy or restore: its own,
// in any Region by its ARN, or one that is shared with it.
func (c *call) sourceSnapshot(name string) (dbSnapshot, arn, error) {
	at := arn{region: c.region, account: c.who.Account}
	if a, ok := parseARN(name); ok {
		at = a
		short := strings.TrimPrefix(a.resource, "snapshot:")
		if owner, ok := c.state.Accounts[a.account]; ok {
			if home, ok := owner.Regions[a.region]; ok {
				_, s, ok := home.RDS.Snapshots.live(short, c.now)
				if ok && (a.account == c.who.Account || s.sharedWith(c.who.Account)) {
					return s, at, usable(s)
				}
			}
		}
		return dbSnapshot{}, at, failure(404, "DBSnapshotNotFound", "DBSnapshot not found: %s", name)
	}
	_, s, err := c.liveDBSnapshot(name, c.now)
	if err != nil {
		return dbSnapshot{}, at, err
	}
	return s, at, usable(s)
}

func usable(s dbSnapshot) error {
	if s.Status != "available" {
		return failure(400, "InvalidDBSnapshotState", "Snapshot is not in available state, but %s.", s.Status)
	}
	return nil
}

func (c *call) dbSnapshotOut(name string, s dbSnapshot) object {
	out := object{"DBSnapshotIdentifier": name, "DBInstanceIdentifier": s.Instance, "DbiResourceId": s.Resource, "DBSnapshotArn": c.arnOf("rds", "snapshot:"+name),
		"Status": s.Status, "SnapshotType": s.Type, "InstanceCreateTime": s.Began, "Encrypted": s.encrypted(), "TagList": s.Tags.list(), "PercentProgress": int64(100),
		"SnapshotTarget": "region", "OptionGroupName": orElse(s.Settings.str("OptionGroupName"), "default:"+s.Settings.str("Engine")+strings.ReplaceAll("-"+majorVersion(s.Settings.str("EngineVersion")), ".", "-"))}
	for _, member := range []string{"Engine", "EngineVersion", "AllocatedStorage", "Port", "AvailabilityZone", "MasterUsername", "LicenseModel", "Iops", "StorageThroughput", "StorageType", "KmsKeyId", "IAMDatabaseAuthenticationEnabled"} {
		if v, ok := s.Settings[member]; ok {
			out[member] = v
		}
	}
	if s.Status == "available" {
		out["SnapshotCreateTime"], out["OriginalSnapshotCreateTime"] = s.Created, s.Created
	} else {
		out["PercentProgress"] = int64(0)
	}
	if a, ok := parseARN(s.Source); ok {
		out["SourceDBSnapshotIdentifier"] = s.Source
		if a.region != c.region {
			out["SourceRegion"] = a.region
		}
	}
	return out
}

// putDBSnapshot files a snapshot that takes its time from a moment on.
func (c *call) putDBSnapshot(name string, at time.Time, s dbSnapshot) {
	s.Status, s.Created = "creating", at
	r := c.home().RDS.Snapshots.put(name, at, s)
	done := at.Add(snapshotTime(s))
	r.change(done, func(s *dbSnapshot) { s.Status = "available" })
	id, category := "RDS-EVENT-0042", "creation"
	if s.Type == "automated" {
		id = "RDS-EVENT-0091"
	}
	message := map[string]string{"manual": "Manual snapshot created", "automated": "Automated snapshot created", "awsbackup": "Manual snapshot created"}[s.Type]
	c.rdsEvent(done, "RDS DB Snapshot Event", "SNAPSHOT", c.arnOf("rds", "snapshot:"+name), name, id, category, message)
}

// takeSnapshot starts a snapshot of an instance as it is now.
func (c *call) takeSnapshot(name, id string, d dbInstance, kind string, tags tagSet) (dbSnapshot, error) {
	name = strings.ToLower(name)
	if kind == "manual" && (len(name) > 255 || !dbSnapshotName.MatchString(name)) {
		return dbSnapshot{}, failure(400, "InvalidParameterValue", "The parameter DBSnapshotIdentifier is not a valid identifier.")
	}
	if _, _, ok := c.home().RDS.Snapshots.live(name, c.now); ok {
		return dbSnapshot{}, failure(400, "DBSnapshotAlreadyExists", "Cannot create the snapshot because a snapshot with the identifier %s already exists.", name)
	}
	if d.Settings.bool("StorageEncrypted") {
		if _, err := c.storageKey(d.Settings.str("KmsKeyId")); err != nil {
			return dbSnapshot{}, err
		}
	}
	if d.Settings.bool("CopyTagsToSnapshot") {
		tags = d.Tags.with(tags)
	}
	s := dbSnapshot{Type: kind, Began: d.Created.Add(dbCreation), Instance: d.Name, Resource: id, Settings: d.Settings, Tags: tags, Writes: dbWrites(c.home().RDS.Instances[id], c.now)}
	c.putDBSnapshot(name, c.now, s)
	return s, nil
}

// automatedSnapshot is the first of those that RDS takes by itself, at a time to
// come.
func (c *call) automatedSnapshot(id string, at time.Time) {
	r := c.home().RDS.Instances[id]
	d, _ := r.as(at)
	c.putDBSnapshot("rds:"+d.Name+at.UTC().Format("-2006-01-02-15-04"), at, dbSnapshot{Type: "automated", Began: at, Instance: d.Name, Resource: id, Settings: d.Settings, Writes: dbWrites(r, at)})
}

func createDBSnapshot(c *call) (map[string]any, error) {
	id, _, d, err := c.availableDB()
	if err != nil {
		return nil, err
	}
	tags, err := parseTags(c.in["Tags"])
	if err != nil {
		return nil, err
	}
	if _, err := c.takeSnapshot(c.str("DBSnapshotIdentifier"), id, d, "manual", tags); err != nil {
		return nil, err
	}
	return c.newSnapshotOut(c.str("DBSnapshotIdentifier")), nil
}

func (c *call) newSnapshotOut(name string) object {
	name = strings.ToLower(name)
	_, s, _ := c.home().RDS.Snapshots.live(name, c.now)
	return object{"DBSnapshot": c.dbSnapshotOut(name, s)}
}

func copyDBSnapshot(c *call) (map[string]any, error) {
	name := strings.ToLower(c.str("TargetDBSnapshotIdentifier"))
	if !dbSnapshotName.MatchString(name) {
		return nil, failure(400, "InvalidParameterValue", "The parameter TargetDBSnapshotIdentifier is not a valid identifier.")
	}
	tags, err := parseTags(c.in["Tags"])
	if err != nil {
		return nil, err
	}
	if err := c.copyDB(c.str("SourceDBSnapshotIdentifier"), name, "manual", tags); err != nil {
		return nil, err
	}
	return c.newSnapshotOut(name), nil
}

// copyDB copies a snapshot. KmsKeyId of the call encrypts the copy, also of one
// that is not encrypted; a key is of one Region, so an encrypted one from
// elsewhere needs it.
func (c *call) copyDB(source, name, kind string, tags tagSet) error {
	s, from, err := c.sourceSnapshot(source)
	if err != nil {
		return err
	}
	if _, _, ok := c.home().RDS.Snapshots.live(name, c.now); ok {
		return failure(400, "DBSnapshotAlreadyExists", "Cannot create the snapshot because a snapshot with the identifier %s already exists.", name)
	}
	key := c.str("KmsKeyId")
	switch {
	case key == "" && s.encrypted() && from.region != c.region:
		return failure(400, "InvalidParameterCombination", "KmsKeyId must be specified to copy an encrypted snapshot to another Region.")
	case key == "" && s.encrypted() && from.account != c.who.Account:
		return failure(400, "InvalidParameterCombination", "KmsKeyId must be specified to copy an encrypted snapshot of another account.")
	case key == "" && s.encrypted():
		key = s.Settings.str("KmsKeyId")
	}
	settings := s.Settings
	if key != "" {
		arn, err := c.storageKey(key)
		if err != nil {
			return err
		}
		settings = settings.with(structure{"StorageEncrypted": true, "KmsKeyId": arn})
	}
	if c.bool("CopyTags") {
		tags = s.Tags.with(tags)
	}
	c.putDBSnapshot(name, c.now, dbSnapshot{Type: kind, Began: s.Began, Instance: s.Instance, Resource: s.Resource, Settings: settings, Tags: tags, Writes: s.Writes,
		Source: "arn:" + c.partition() + ":rds:" + from.region + ":" + from.account + ":snapshot:" + lastPart(source)})
	return nil
}

// lastPart is a name that may be an ARN's.
func lastPart(name string) string {
	if a, ok := parseARN(name); ok {
		return strings.TrimPrefix(a.resource, "snapshot:")
	}
	return name
}

func describeDBSnapshots(c *call) (map[string]any, error) {
	if only := c.str("DBSnapshotIdentifier"); only != "" {
		if _, _, err := c.liveDBSnapshot(only, c.view); err != nil {
			return nil, err
		}
	}
	out := []any{}
	for name, s := range c.home().RDS.Snapshots.all(c.view) {
		wanted := func(member, have string) bool { return c.str(member) == "" || strings.EqualFold(c.str(member), have) }
		if !wanted("DBInstanceIdentifier", s.Instance) || !wanted("DbiResourceId", s.Resource) || !wanted("DBSnapshotIdentifier", name) && c.str("DBSnapshotIdentifier") != c.arnOf("rds", "snapshot:"+name) {
			continue
		}
		switch c.str("SnapshotType") {
		case "", s.Type:
		case "public":
			if !slices.Contains(s.Restore, "all") {
				continue
			}
		default: // also of what others share: the sandbox lists one's own only
			continue
		}
		fits, err := c.matches(nil, func(filter string) ([]string, bool) {
			switch filter {
			case "db-instance-id":
				return []string{s.Instance, c.arnOf("rds", "db:"+s.Instance)}, true
			case "db-snapshot-id":
				return []string{name}, true
			case "dbi-resource-id":
				return []string{s.Resource}, true
			case "snapshot-type":
				return []string{s.Type}, true
			case "engine":
				return []string{s.Settings.str("Engine")}, true
			}
			return nil, false
		})
		if err != nil {
			return nil, err
		}
		if fits {
			out = append(out, c.dbSnapshotOut(name, s))
		}
	}
	return c.dbPage("DBSnapshots", out)
}

func deleteDBSnapshot(c *call) (map[string]any, error) {
	name := strings.ToLower(c.str("DBSnapshotIdentifier"))
	r, s, err := c.liveDBSnapshot(name, c.now)
	if err != nil {
		return nil, err
	}
	switch {
	case s.Type != "manual":
		return nil, failure(400, "InvalidDBSnapshotState", "Only manual snapshots may be deleted.")
	case s.Status != "available":
		return nil, failure(400, "InvalidDBSnapshotState", "Snapshot is not in available state, but %s.", s.Status)
	}
	r.end(c.now)
	s.Status = "deleted"
	c.rdsEvent(c.now, "RDS DB Snapshot Event", "SNAPSHOT", c.arnOf("rds", "snapshot:"+name), name, "RDS-EVENT-0041", "deletion", "DB snapshot deleted")
	return object{"DBSnapshot": c.dbSnapshotOut(name, s)}, nil
}

func attributesOut(name string, s dbSnapshot) object {
	return object{"DBSnapshotAttributesResult": object{"DBSnapshotIdentifier": name, "DBSnapshotAttributes": []any{object{"AttributeName": "restore", "AttributeValues": anys(s.Restore)}}}}
}

func describeDBSnapshotAttributes(c *call) (map[string]any, error) {
	_, s, err := c.liveDBSnapshot(c.str("DBSnapshotIdentifier"), c.view)
	if err != nil {
		return nil, err
	}
	return attributesOut(lastPart(c.str("DBSnapshotIdentifier")), s), nil
}

// modifyDBSnapshotAttribute shares a snapshot. Source: Amazon RDS User Guide,
// "Sharing a DB snapshot": encrypted ones not with all, nor where their key is
// RDS's own.
func modifyDBSnapshotAttribute(c *call) (map[string]any, error) {
	r, s, err := c.liveDBSnapshot(c.str("DBSnapshotIdentifier"), c.now)
	if err != nil {
		return nil, err
	}
	if c.str("AttributeName") != "restore" {
		return nil, failure(400, "InvalidParameterValue", "Invalid attribute name: %s", c.str("AttributeName"))
	}
	add := c.strings("ValuesToAdd")
	for _, v := range add {
		if v != "all" && !twelveDigits.MatchString(v) {
			return nil, failure(400, "InvalidParameterValue", "Invalid attribute value: %s", v)
		}
	}
	switch {
	case s.Type == "automated":
		return nil, failure(400, "InvalidDBSnapshotState", "Automated snapshots can't be shared.")
	case s.encrypted() && slices.Contains(add, "all"):
		return nil, failure(400, "InvalidParameterValue", "Encrypted snapshots can't be shared with all.")
	case s.encrypted() && len(add) > 0:
		if _, k, err := c.findKey(s.Settings.str("KmsKeyId"), c.now); err == nil && k.Manager == "AWS" {
			return nil, failure(400, "InvalidParameterCombination", "Snapshots encrypted with the default RDS key can't be shared.")
		}
	}
	shared := slices.DeleteFunc(append(slices.Clone(s.Restore), add...), func(v string) bool { return slices.Contains(c.strings("ValuesToRemove"), v) })
	slices.Sort(shared)
	shared = slices.Compact(shared)
	r.change(c.now, func(s *dbSnapshot) { s.Restore = shared })
	s, _ = r.as(c.now)
	return attributesOut(lastPart(c.str("DBSnapshotIdentifier")), s), nil
}

var rdsSnapshotHandlers = map[string]handler{
	"CopyDBSnapshot":               {"rds:CopyDBSnapshot", copyDBSnapshot},
	"CreateDBSnapshot":             {"rds:CreateDBSnapshot", createDBSnapshot},
	"DeleteDBSnapshot":             {"rds:DeleteDBSnapshot", deleteDBSnapshot},
	"DescribeDBSnapshotAttributes": {"rds:DescribeDBSnapshotAttributes", describeDBSnapshotAttributes},
	"DescribeDBSnapshots":          {"rds:DescribeDBSnapshots", describeDBSnapshots},
	"ModifyDBSnapshotAttribute":    {"rds:ModifyDBSnapshotAttribute", modifyDBSnapshotAttribute},
}
