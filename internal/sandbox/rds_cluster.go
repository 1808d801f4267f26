package sandbox

import (
	"slices"
	"strings"
	"time"
)

// The DB clusters of RDS, as they were given: their instances are not simulated.
var dbClusters = keptKind{"DB cluster", func(id string) error {
	return failure(404, "DBClusterNotFoundFault", "DBCluster %s not found.", id)
}}

// clusterCreation is of the order that people see.
const clusterCreation = 10 * time.Minute

// clusterLater are the settings that wait for the maintenance window, unless they
// are to be applied at once. Source: Amazon Aurora User Guide, "Settings for Amazon
// Aurora".
var clusterLater = []string{"EngineVersion", "MasterUserPassword", "Port", "EnableIAMDatabaseAuthentication", "BackupRetentionPeriod", "AllocatedStorage", "Iops", "DBClusterInstanceClass", "StorageType"}

// clusterID is the name in a cluster's ARN or name.
func clusterID(s string) string {
	if a, ok := parseARN(s); ok {
		s = strings.TrimPrefix(a.resource, "cluster:")
	}
	return strings.ToLower(s)
}

func createDBCluster(c *call) (map[string]any, error) {
	id, engine := clusterID(c.str("DBClusterIdentifier")), c.str("Engine")
	multi := engine == "mysql" || engine == "postgres"
	switch {
	case len(id) > 63 || !dbName.MatchString(id):
		return nil, failure(400, "InvalidParameterValue", "The parameter DBClusterIdentifier is not a valid identifier.")
	case dbClusters.has(c, id):
		return nil, failure(400, "DBClusterAlreadyExistsFault", "DB Cluster already exists")
	case !multi && !slices.Contains([]string{"aurora-mysql", "aurora-postgresql"}, engine):
		return nil, failure(400, "InvalidParameterValue", "Invalid DB engine: %s", engine)
	case multi && (c.in["AllocatedStorage"] == nil || c.in["DBClusterInstanceClass"] == nil):
		return nil, failure(400, "InvalidParameterCombination", "A Multi-AZ DB cluster needs AllocatedStorage and DBClusterInstanceClass.")
	}
	port := int64(3306)
	if strings.Contains(engine, "postgres") {
		port = 5432
	}
	v := structure{"Port": port, "BackupRetentionPeriod": int64(1), "DeletionProtection": false, "CopyTagsToSnapshot": false, "StorageEncrypted": false, "AutoMinorVersionUpgrade": multi,
		"PreferredBackupWindow": "03:00-03:30", "PreferredMaintenanceWindow": "sun:05:00-sun:05:30", "IAMDatabaseAuthenticationEnabled": c.bool("EnableIAMDatabaseAuthentication")}.with(c.as("DBCluster"))
	v = v.with(structure{"DBClusterIdentifier": id, "DBClusterArn": c.arnOf("rds", "cluster:"+id), "DbClusterResourceId": "cluster-" + strings.ToUpper(c.id("", 26)), "ClusterCreateTime": c.now,
		"Status": "creating", "MultiAZ": multi, "DBClusterMembers": []any{}, "TagList": anys(c.objects("Tags")), "Endpoint": id + ".cluster-abc123xyz789." + c.region + ".rds.amazonaws.com"})
	become(dbClusters.put(c, id, v), c.now.Add(clusterCreation), structure{"Status": "available"})
	return object{"DBCluster": object(v)}, nil
}

func describeDBClusters(c *call) (map[string]any, error) {
	var ids []string
	if id := c.str("DBClusterIdentifier"); id != "" {
		ids = []string{clusterID(id)}
	}
	found, err := dbClusters.find(c, ids...)
	if err != nil {
		return nil, err
	}
	var fit []held[structure]
	for _, h := range found {
		ok, err := c.matches(nil, func(name string) ([]string, bool) {
			switch name {
			case "db-cluster-id":
				return []string{h.id, h.v.str("DBClusterArn")}, true
			case "db-cluster-resource-id":
				return []string{h.v.str("DbClusterResourceId")}, true
			case "engine":
				return []string{h.v.str("Engine")}, true
			}
			return nil, false
		})
		if err != nil {
			return nil, err
		}
		if ok {
			fit = append(fit, h)
		}
	}
	out := []any{}
	for _, h := range fit {
		out = append(out, object(h.v))
	}
	return c.dbPage("DBClusters", out)
}

func modifyDBCluster(c *call) (map[string]any, error) {
	r, v, err := dbClusters.live(c, clusterID(c.str("DBClusterIdentifier")), c.now)
	if err != nil {
		return nil, err
	}
	if v.str("Status") != "available" {
		return nil, failure(400, "InvalidDBClusterStateFault", "DB Cluster %s is not in available state.", v.str("DBClusterIdentifier"))
	}
	atOnce, later := structure{}, structure{}
	for name, value := range c.as("DBCluster") {
		switch {
		case name == "DBClusterIdentifier" || v[name] == value:
		case slices.Contains(clusterLater, name):
			later[name] = value
		default:
			atOnce[name] = value
		}
	}
	become(r, c.now, atOnce)
	start := nextWindow(v.with(atOnce).str("PreferredMaintenanceWindow"), c.now)
	if c.bool("ApplyImmediately") {
		start = c.now.Add(dbNotice)
	}
	if len(later) > 0 {
		pending := described(c.operation.Output.Member("DBCluster").Shape.Member("PendingModifiedValues").Shape, object(later))
		r.forget(start)
		become(r, c.now, structure{"PendingModifiedValues": object(pending)})
		become(r, start, structure{"Status": "modifying"})
		become(r, start.Add(dbChange), later.with(structure{"Status": "available", "PendingModifiedValues": object{}}))
	}
	v, _ = r.as(c.now)
	return object{"DBCluster": object(v)}, nil
}

func deleteDBCluster(c *call) (map[string]any, error) {
	r, v, err := dbClusters.live(c, clusterID(c.str("DBClusterIdentifier")), c.now)
	switch {
	case err != nil:
		return nil, err
	case v.bool("DeletionProtection"):
		return nil, failure(400, "InvalidParameterCombination", "Cannot delete protected Cluster, please disable deletion protection and try again.")
	case !c.bool("SkipFinalSnapshot"):
		return nil, failure(501, "NotImplemented", "The sandbox does not simulate snapshots of DB clusters.")
	}
	r.forget(c.now)
	become(r, c.now, structure{"Status": "deleting"})
	r.end(c.now.Add(dbChange))
	v, _ = r.as(c.now)
	return object{"DBCluster": object(v)}, nil
}

var rdsClusterHandlers = map[string]handler{
	"CreateDBCluster":    {"rds:CreateDBCluster", createDBCluster},
	"DeleteDBCluster":    {"rds:DeleteDBCluster", deleteDBCluster},
	"DescribeDBClusters": {"rds:DescribeDBClusters", describeDBClusters},
	"ModifyDBCluster":    {"rds:ModifyDBCluster", modifyDBCluster},
}
