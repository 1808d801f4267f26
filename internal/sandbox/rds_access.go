package sandbox

import "strings"

// What RDS's operations are on. Source: Service Authorization Reference,
// "Actions, resources, and condition keys for Amazon RDS".
const (
	onDBCluster = "cluster:{DBClusterIdentifier}"
	onDB        = "db:{DBInstanceIdentifier}"
	onSnapshot  = "snapshot:{DBSnapshotIdentifier}"
)

var rdsAccess = serviceAccess{
	arn: "arn:{Partition}:rds:{Region}:{Account}:",
	on: map[string]string{
		"AddTagsToResource":               "{ResourceName}",
		"CopyDBSnapshot":                  "snapshot:{SourceDBSnapshotIdentifier} snapshot:{TargetDBSnapshotIdentifier}",
		"CreateDBCluster":                 onDBCluster,
		"DeleteDBCluster":                 onDBCluster,
		"DescribeDBClusters":              onDBCluster,
		"ModifyDBCluster":                 onDBCluster,
		"CreateDBInstance":                onDB,
		"CreateDBSnapshot":                onDB + " " + onSnapshot,
		"DeleteDBInstance":                onDB,
		"DeleteDBSnapshot":                onSnapshot,
		"DescribeDBInstances":             onDB,
		"DescribeDBSnapshotAttributes":    onSnapshot,
		"DescribeDBSnapshots":             onDB + " " + onSnapshot,
		"ListTagsForResource":             "{ResourceName}",
		"ModifyDBInstance":                onDB,
		"ModifyDBSnapshotAttribute":       onSnapshot,
		"RebootDBInstance":                onDB,
		"RemoveTagsFromResource":          "{ResourceName}",
		"RestoreDBInstanceFromDBSnapshot": onDB + " " + onSnapshot,
		"RestoreDBInstanceToPointInTime":  "db:{SourceDBInstanceIdentifier} db:{TargetDBInstanceIdentifier}",
		"StartDBInstance":                 onDB,
		"StopDBInstance":                  onDB + " " + onSnapshot,
	},
	needs: map[string]func(*call, []need) []need{
		"CopyDBSnapshot":                  newDBNeeds("snapshot:", "TargetDBSnapshotIdentifier"),
		"CreateDBInstance":                newDBNeeds("db:", "DBInstanceIdentifier"),
		"CreateDBSnapshot":                newDBNeeds("snapshot:", "DBSnapshotIdentifier"),
		"ModifyDBInstance":                newDBNeeds("db:", "DBInstanceIdentifier"),
		"RestoreDBInstanceFromDBSnapshot": newDBNeeds("db:", "DBInstanceIdentifier"),
		"RestoreDBInstanceToPointInTime":  newDBNeeds("db:", "TargetDBInstanceIdentifier"),
	},
	look: lookAtDB,
}

// newDBNeeds: to tag what is made, to encrypt it with a key and to hand it a role
// takes more. Source: Amazon RDS User Guide, "Authorizing use of a customer managed
// key".
func newDBNeeds(kind, member string) func(*call, []need) []need {
	return func(c *call, own []need) []need {
		if len(c.objects("Tags")) > 0 {
			own = append(own, need{action: "rds:AddTagsToResource", resource: c.arnOf("rds", kind+c.str(member)), tags: tagsOf(c.in["Tags"])})
		}
		if key := c.str("KmsKeyId"); key != "" {
			own = append(own, keyNeedsOf("rds", c.keyNamed(key), "CreateGrant", "DescribeKey")...)
		}
		return append(own, c.passRole(c.str("MonitoringRoleArn"), "monitoring.rds.amazonaws.com")...)
	}
}

// lookAtDB gives the tags of an instance or a snapshot. One that is shared counts
// as the caller's own: its owner has let the account in.
func lookAtDB(c *call, n *need) resource {
	a, _ := parseARN(n.resource)
	home := c.homeOf(a.account, a.region)
	if home == nil {
		return resource{}
	}
	if name, ok := strings.CutPrefix(a.resource, "snapshot:"); ok {
		_, s, _ := home.RDS.Snapshots.live(strings.ToLower(name), c.now)
		r := resource{tags: s.Tags}
		if s.sharedWith(c.who.Account) {
			r.owner = c.who.Account
		}
		return r
	}
	for _, d := range home.RDS.Instances.all(c.now) {
		if "db:"+d.Name == strings.ToLower(a.resource) {
			return resource{tags: d.Tags}
		}
	}
	return resource{}
}
