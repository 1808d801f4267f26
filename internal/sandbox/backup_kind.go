package sandbox

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/knowngood/knowngood/awsapi"
)

// protected is a resource that AWS Backup can back up.
type protected struct {
	arn, kind, name string
	tags            tagSet
	size            int64 // bytes
	key             string
}

// backupKind is how AWS Backup treats the resources of one type. Each is backed
// up and restored by its own service, as in AWS.
type backupKind struct {
	// take makes the recovery point's copy of the resource and gives its ARN and
	// how long it takes. It fills in what the point needs to be restored by.
	take func(c *call, of protected, p *recoveryPoint, job string) (arn string, takes time.Duration, err error)
	// restore makes a resource and gives its ARN and how long it takes.
	restore func(c *call, arn string, p recoveryPoint, how map[string]string) (made string, takes time.Duration, err error)
	// copy makes another copy, for a vault where there is. from is where the first
	// one is.
	copy func(from, there *call, arn string, p *recoveryPoint, key, job string) (copied string, takes time.Duration, err error)
	// drop deletes the copy as of a time.
	drop func(c *call, arn string, at time.Time)
}

var backupKinds = map[string]backupKind{
	"EBS":      {takeVolume, restoreVolume, copyVolume, dropVolume},
	"RDS":      {takeDB, restoreDBPoint, copyDBPoint, dropDB},
	"DynamoDB": {takeTable, restoreTablePoint, copyData, dropNothing},
	"S3":       {takeBucket, restoreBucket, copyData, dropNothing},
}

// protect finds a resource that AWS Backup is to back up.
func (c *call) protect(name string) (protected, error) {
	a, ok := parseARN(name)
	if !ok {
		return protected{}, badParameter("Invalid resource ARN: %s", name)
	}
	for _, p := range c.protectable() {
		if p.arn == name {
			return p, nil
		}
	}
	kind, _, _ := strings.Cut(strings.ReplaceAll(a.resource, "/", ":"), ":")
	switch a.service + " " + kind {
	case "ec2 volume", "rds db", "dynamodb table":
	default:
		if a.service == "s3" {
			break
		}
		return protected{}, failure(501, "NotImplemented", "The sandbox does not simulate backups of %s.", name)
	}
	return protected{}, failure(400, "ResourceNotFoundException", "Resource %s does not exist", name)
}

// protectable lists all resources of the Region that can be backed up.
func (c *call) protectable() []protected {
	var out []protected
	home := c.home()
	for id, v := range table[volume](home.Volumes).all(c.now) {
		if v.State != gone {
			out = append(out, protected{c.ec2ARN("volume", id), "EBS", id, v.Tags, v.Size << 30, v.KeyARN})
		}
	}
	for _, d := range home.RDS.Instances.all(c.now) {
		out = append(out, protected{c.arnOf("rds", "db:"+d.Name), "RDS", d.Name, d.Tags, d.Settings.int("AllocatedStorage") << 30, d.Settings.str("KmsKeyId")})
	}
	for name, t := range home.DynamoDB.Tables.all(c.now) {
		size := int64(0)
		for _, item := range home.DynamoDB.Items[t.ID].all(c.now) {
			size += itemSize(item)
		}
		sse, _ := t.Settings["SSEDescription"].(object)
		key, _ := sse["KMSMasterKeyArn"].(string)
		out = append(out, protected{c.arnOf("dynamodb", "table/"+name), "DynamoDB", name, t.Tags, size, key})
	}
	for name, b := range table[bucket](c.state.Buckets).all(c.now) {
		if b.Deleted || b.Owner != c.who.Account || b.Region != c.region {
			continue
		}
		size := int64(0)
		for _, v := range c.currentObjects(name) {
			size += int64(len(v.Body))
		}
		out = append(out, protected{c.bucketARN(name), "S3", name, b.Tags, size, ""})
	}
	return out
}

func takeVolume(c *call, of protected, p *recoveryPoint, _ string) (string, time.Duration, error) {
	_, v, err := c.liveVolume(of.name, c.now)
	if err != nil {
		return "", 0, err
	}
	s := snapshot{Started: c.now, Volume: of.name, Size: v.Size, Encrypted: v.Encrypted, KeyARN: v.KeyARN, Text: "This snapshot is created by the AWS Backup service.",
		Tags: v.Tags.with(tagSet{"aws:backup:source-resource": of.arn}), Writes: c.volumeWrites(of.name, c.now)}
	p.Metadata = map[string]string{"volumeId": of.name, "availabilityZone": v.Zone, "volumeType": v.Type, "volumeSize": strconv.FormatInt(v.Size, 10), "encrypted": strconv.FormatBool(v.Encrypted)}
	return snapshotARN(c.region, c.putSnapshot(s, "createSnapshot", of.arn)), snapshotBase + time.Duration(v.Size)*snapshotPerGiB, nil
}

func snapshotOf(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

func restoreVolume(c *call, arn string, p recoveryPoint, how map[string]string) (string, time.Duration, error) {
	in := structure{"SnapshotId": snapshotOf(arn), "AvailabilityZone": cmp.Or(how["availabilityZone"], p.Metadata["availabilityZone"]), "VolumeType": cmp.Or(how["volumeType"], p.Metadata["volumeType"])}
	for name, member := range map[string]string{"volumeSize": "Size", "iops": "Iops", "throughput": "Throughput"} {
		if text := how[name]; text != "" {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return "", 0, badParameter("%s is not a number: %s", name, text)
			}
			in[member] = n
		}
	}
	if how["encrypted"] == "true" {
		in["Encrypted"] = true
		if key := how["kmsKeyId"]; key != "" {
			in["KmsKeyId"] = key
		}
	}
	out, err := createVolume(c.inner(c.region, "ec2", "CreateVolume", in))
	if err != nil {
		return "", 0, err
	}
	id, _ := out["VolumeId"].(string)
	return c.ec2ARN("volume", id), volumeCreation, nil
}

func copyVolume(from, there *call, arn string, p *recoveryPoint, key, _ string) (string, time.Duration, error) {
	_, s, err := from.liveSnapshot(snapshotOf(arn), from.now)
	if err != nil {
		return "", 0, err
	}
	if s.Encrypted && from.region != there.region {
		s.KeyARN = key
	}
	s.Started, p.KeyARN = there.now, s.KeyARN
	return snapshotARN(there.region, there.putSnapshot(s, "copySnapshot", arn)), snapshotBase + time.Duration(s.Size)*snapshotPerGiB, nil
}

func dropVolume(c *call, arn string, at time.Time) {
	if r, _, err := c.liveSnapshot(snapshotOf(arn), c.now); err == nil {
		r.forget(at)
		r.change(at, func(s *snapshot) { s.State = gone })
	}
}

func takeDB(c *call, of protected, p *recoveryPoint, job string) (string, time.Duration, error) {
	id, _, d, err := c.liveDB(of.name, c.now)
	if err != nil {
		return "", 0, err
	}
	if d.Status != "available" && d.Status != "storage-optimization" {
		return "", 0, failure(400, "InvalidDBInstanceState", "Instance %s is currently %s - a snapshot cannot be taken.", of.name, d.Status)
	}
	name := "awsbackup:job-" + job
	s, err := c.takeSnapshot(name, id, d, "awsbackup", d.Tags.with(tagSet{"aws:backup:source-resource": of.arn}))
	if err != nil {
		return "", 0, err
	}
	p.Metadata = map[string]string{"DBInstanceIdentifier": d.Name, "DBSnapshotIdentifier": name}
	for _, member := range []string{"AllocatedStorage", "AutoMinorVersionUpgrade", "AvailabilityZone", "DBInstanceClass", "Engine", "LicenseModel", "MultiAZ", "Port", "PubliclyAccessible", "StorageType"} {
		switch v := d.Settings[member].(type) {
		case string:
			p.Metadata[member] = v
		case bool:
			p.Metadata[member] = strconv.FormatBool(v)
		case int64:
			p.Metadata[member] = strconv.FormatInt(v, 10)
		}
	}
	return c.arnOf("rds", "snapshot:"+name), snapshotTime(s), nil
}

func restoreDBPoint(c *call, arn string, _ recoveryPoint, how map[string]string) (string, time.Duration, error) {
	in := structure{"DBSnapshotIdentifier": lastPart(arn)}
	there := c.inner(c.region, "rds", "RestoreDBInstanceFromDBSnapshot", in)
	for name, text := range how {
		m := there.operation.Input.Member(name)
		if m == nil || name == "DBSnapshotIdentifier" || text == "" {
			continue // what a later version of AWS Backup adds is no concern of ours
		}
		switch m.Shape.Type {
		case awsapi.Boolean:
			in[name] = text == "true"
		case awsapi.Integer, awsapi.Long:
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return "", 0, badParameter("%s is not a number: %s", name, text)
			}
			in[name] = n
		case awsapi.String:
			in[name] = text
		}
	}
	if in.str("DBInstanceIdentifier") == "" {
		return "", 0, badParameter("DBInstanceIdentifier is missing in the restore metadata")
	}
	if in.bool("MultiAZ") {
		delete(in, "AvailabilityZone")
	}
	if _, err := restoreFromDBSnapshot(there); err != nil {
		return "", 0, err
	}
	return c.arnOf("rds", "db:"+strings.ToLower(in.str("DBInstanceIdentifier"))), dbCreation + dbBackup, nil
}

func copyDBPoint(from, there *call, arn string, p *recoveryPoint, key, job string) (string, time.Duration, error) {
	_, s, err := from.liveDBSnapshot(arn, from.now)
	if err != nil {
		return "", 0, err
	}
	in := structure{"CopyTags": true}
	if s.encrypted() && from.region != there.region {
		in["KmsKeyId"] = key
	}
	name := "awsbackup:copyjob-" + job
	if err := there.inner(there.region, "rds", "CopyDBSnapshot", in).copyDB(arn, name, "awsbackup", nil); err != nil {
		return "", 0, err
	}
	_, made, err := there.liveDBSnapshot(name, there.now)
	p.KeyARN = made.Settings.str("KmsKeyId")
	return there.arnOf("rds", "snapshot:"+name), snapshotTime(made), err
}

func dropDB(c *call, arn string, at time.Time) {
	if r, _, err := c.liveDBSnapshot(arn, c.now); err == nil {
		r.end(at)
	}
}

// pointARN is a recovery point that AWS Backup holds itself.
func (c *call) pointARN() string {
	return c.arnOf("backup", "recovery-point:"+strings.ToUpper(uuid(c.id("", 32))))
}

func takeTable(c *call, of protected, p *recoveryPoint, _ string) (string, time.Duration, error) {
	_, t, err := c.liveTable(of.name, c.now)
	if err != nil {
		return "", 0, err
	}
	if t.Status == "CREATING" || t.Status == "DELETING" {
		return "", 0, failure(400, "TableNotFoundException", "The table %s is %s", of.name, strings.ToLower(t.Status))
	}
	p.Table, p.DataRegion, p.Metadata = &t, c.region, map[string]string{"originalTableName": of.name, "encryptionType": "Default"}
	return c.pointARN(), 0, nil
}

func restoreTablePoint(c *call, arn string, p recoveryPoint, how map[string]string) (string, time.Duration, error) {
	in := structure{}
	switch strings.ToUpper(how["encryptionType"]) {
	case "KMS":
		in["SSESpecificationOverride"] = object{"Enabled": true, "KMSMasterKeyId": how["kmsMasterKeyArn"]}
	case "DEFAULT":
		in["SSESpecificationOverride"] = object{"Enabled": false}
	}
	data := c.inner(p.DataRegion, "dynamodb", "Scan", nil).home()
	out, err := c.inner(c.region, "dynamodb", "RestoreTableFromBackup", in).restoreTable(how["targetTableName"], *p.Table, p.Began, arn, data)
	if err != nil {
		return "", 0, err
	}
	made, _ := out["TableArn"].(string)
	return made, tableRestore, nil
}

// takeBucket: AWS Backup takes buckets with versions only. Source: AWS Backup
// Developer Guide, "Amazon S3 backups".
func takeBucket(c *call, of protected, p *recoveryPoint, _ string) (string, time.Duration, error) {
	_, b, err := c.bucketNamed(of.name, c.now)
	if err != nil {
		return "", 0, err
	}
	if b.Versioning != "Enabled" {
		return "", 0, failure(400, "InvalidRequestException", "Versioning is not enabled on the bucket %s", of.name)
	}
	p.Objects, p.Metadata = c.currentObjects(of.name), map[string]string{"bucketName": of.name, "encrypted": "false"}
	return c.pointARN(), 0, nil
}

func restoreBucket(c *call, _ string, p recoveryPoint, how map[string]string) (string, time.Duration, error) {
	name := cmp.Or(how["DestinationBucketName"], how["destinationBucketName"])
	if cmp.Or(how["NewBucket"], how["newBucket"]) == "true" {
		in := structure{"Bucket": name}
		if c.region != "us-east-1" {
			in["CreateBucketConfiguration"] = object{"LocationConstraint": c.region}
		}
		if _, err := createBucket(c.inner(c.region, "s3", "CreateBucket", in)); err != nil {
			return "", 0, err
		}
	}
	_, b, err := c.bucketNamed(name, c.now)
	if err != nil {
		return "", 0, err
	}
	if b.Owner != c.who.Account {
		return "", 0, failure(403, "AccessDenied", "Access Denied")
	}
	if b.Region != c.region {
		return "", 0, badParameter("The destination bucket %s is in another Region", name)
	}
	for _, key := range sorted(p.Objects) {
		v := p.Objects[key]
		v.ID, v.At = c.newVersionID(b), c.now
		c.putVersion(name, key, v)
	}
	return c.bucketARN(name), 0, nil
}

func copyData(_, there *call, _ string, _ *recoveryPoint, _, _ string) (string, time.Duration, error) {
	return there.pointARN(), 0, nil
}

func dropNothing(*call, string, time.Time) {}
