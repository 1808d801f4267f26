package sandbox

import (
	"fmt"
	"time"
)

// The clusters and replication groups of ElastiCache, as they were given.
var (
	cacheClusters = keptKind{"cache cluster", func(id string) error {
		return failure(404, "CacheClusterNotFound", "CacheCluster not found: %s", id)
	}}
	replicationGroups = keptKind{"replication group", func(id string) error {
		return failure(404, "ReplicationGroupNotFoundFault", "ReplicationGroup %s not found.", id)
	}}
	cacheName = patternOf(`^[a-zA-Z]([a-zA-Z0-9]|-[a-zA-Z0-9]){0,49}$`)
)

// How long a cache takes to be made, and to change; of the order that people see.
const (
	cacheCreation = 5 * time.Minute
	cacheChange   = 2 * time.Minute
)

func createCacheCluster(c *call) (map[string]any, error) {
	id := c.str("CacheClusterId")
	switch {
	case !cacheName.MatchString(id):
		return nil, failure(400, "InvalidParameterValue", "The parameter CacheClusterIdentifier is not a valid identifier.")
	case cacheClusters.has(c, id):
		return nil, failure(400, "CacheClusterAlreadyExists", "Cache cluster with identifier %s already exists", id)
	}
	return object{"CacheCluster": object(c.newCacheCluster(id, c.as("CacheCluster")))}, nil
}

// newCacheCluster makes a cluster, which is soon available.
func (c *call) newCacheCluster(id string, given structure) structure {
	v := structure{"Engine": "redis", "EngineVersion": "7.1", "CacheNodeType": "cache.t3.micro", "NumCacheNodes": int64(1), "AutoMinorVersionUpgrade": true, "SnapshotRetentionLimit": int64(0),
		"SnapshotWindow": "03:00-04:00", "PreferredMaintenanceWindow": "sun:05:00-sun:06:00", "PreferredAvailabilityZone": c.region + "a", "TransitEncryptionEnabled": false, "AtRestEncryptionEnabled": false,
		"AuthTokenEnabled": false, "ReplicationGroupLogDeliveryEnabled": false}.with(given)
	v = v.with(structure{"CacheClusterId": id, "CacheClusterStatus": "creating", "CacheClusterCreateTime": c.now, "ARN": c.arnOf("elasticache", "cluster:"+id), "PendingModifiedValues": object{}})
	become(cacheClusters.put(c, id, v), c.now.Add(cacheCreation), structure{"CacheClusterStatus": "available"})
	return v
}

func describeCacheClusters(c *call) (map[string]any, error) {
	return c.describeCaches(cacheClusters, "CacheClusterId", "CacheClusters")
}

func (c *call) describeCaches(k keptKind, member, key string) (map[string]any, error) {
	var ids []string
	if id := c.str(member); id != "" {
		ids = []string{id}
	}
	found, err := k.find(c, ids...)
	if err != nil {
		return nil, err
	}
	return records(c, key, found, func(h held[structure]) any { return object(h.v) })
}

func modifyCacheCluster(c *call) (map[string]any, error) {
	r, v, err := cacheClusters.live(c, c.str("CacheClusterId"), c.now)
	if err != nil {
		return nil, err
	}
	if v.str("CacheClusterStatus") != "available" {
		return nil, failure(400, "InvalidCacheClusterState", "Cache cluster %s is not in available state.", v.str("CacheClusterId"))
	}
	if limit, given := c.int("SnapshotRetentionLimit"); given && v.str("Engine") == "memcached" {
		return nil, failure(400, "InvalidParameterCombination", "Memcached doesn't support snapshots; SnapshotRetentionLimit is %d.", limit)
	}
	become(r, c.now, c.as("CacheCluster"))
	v, _ = r.as(c.now)
	return object{"CacheCluster": object(v)}, nil
}

func createReplicationGroup(c *call) (map[string]any, error) {
	id := c.str("ReplicationGroupId")
	switch {
	case !cacheName.MatchString(id) || len(id) > 40:
		return nil, failure(400, "InvalidParameterValue", "The parameter ReplicationGroupIdentifier is not a valid identifier.")
	case replicationGroups.has(c, id):
		return nil, failure(400, "ReplicationGroupAlreadyExists", "Replication group %s already exists.", id)
	}
	nodes, shards := int64(1), int64(1)
	if n, ok := c.int("NumCacheClusters"); ok {
		nodes = n
	}
	if n, ok := c.int("ReplicasPerNodeGroup"); ok {
		nodes = n + 1
	}
	mode := "disabled"
	if n, ok := c.int("NumNodeGroups"); ok && n > 1 {
		shards, mode = n, "enabled"
	}
	failover := "disabled"
	if c.bool("AutomaticFailoverEnabled") {
		if nodes < 2 && mode == "disabled" {
			return nil, errFailover
		}
		failover = "enabled"
	}
	alone, err := c.catalog.Operation("elasticache", "CreateCacheCluster")
	if err != nil {
		return nil, err
	}
	groups, members := []any{}, []any{}
	for g := range shards {
		list := []any{}
		for n := range nodes {
			cluster := fmt.Sprintf("%s-%03d", id, n+1)
			if mode == "enabled" {
				cluster = fmt.Sprintf("%s-%04d-%03d", id, g+1, n+1)
			}
			c.newCacheCluster(cluster, described(alone.Output.Member("CacheCluster").Shape, c.in).with(structure{"ReplicationGroupId": id}))
			role := "replica"
			if n == 0 {
				role = "primary"
			}
			o := object{"CacheClusterId": cluster, "CacheNodeId": "0001", "PreferredAvailabilityZone": c.region + string(rune('a'+n%3))}
			if mode == "disabled" {
				o["CurrentRole"] = role
			}
			list, members = append(list, o), append(members, cluster)
		}
		groups = append(groups, object{"NodeGroupId": fmt.Sprintf("%04d", g+1), "Status": "available", "NodeGroupMembers": list})
	}
	v := structure{"CacheNodeType": "cache.t3.micro", "AutoMinorVersionUpgrade": true, "SnapshotRetentionLimit": int64(0), "SnapshotWindow": "03:00-04:00", "TransitEncryptionEnabled": false,
		"AtRestEncryptionEnabled": false, "AuthTokenEnabled": false, "MultiAZ": "disabled"}.with(c.as("ReplicationGroup"))
	v = v.with(structure{"Description": c.str("ReplicationGroupDescription"), "Status": "creating", "AutomaticFailover": failover, "ClusterMode": mode, "ClusterEnabled": mode == "enabled", "MemberClusters": members,
		"NodeGroups": groups, "ReplicationGroupCreateTime": c.now, "ARN": c.arnOf("elasticache", "replicationgroup:"+id), "PendingModifiedValues": object{}})
	become(replicationGroups.put(c, id, v), c.now.Add(cacheCreation), structure{"Status": "available"})
	return object{"ReplicationGroup": object(v)}, nil
}

var errFailover = failure(400, "InvalidParameterCombination", "Automatic failover is not supported for replication groups with fewer than 2 cache clusters.")

func describeReplicationGroups(c *call) (map[string]any, error) {
	return c.describeCaches(replicationGroups, "ReplicationGroupId", "ReplicationGroups")
}

func modifyReplicationGroup(c *call) (map[string]any, error) {
	r, v, err := replicationGroups.live(c, c.str("ReplicationGroupId"), c.now)
	if err != nil {
		return nil, err
	}
	if v.str("Status") != "available" {
		return nil, failure(400, "InvalidReplicationGroupState", "Replication group must be in available state to modify.")
	}
	members := texts(v["MemberClusters"])
	changes := c.as("ReplicationGroup")
	if cluster := c.str("SnapshottingClusterId"); cluster != "" {
		if v.str("ClusterMode") == "enabled" {
			return nil, failure(400, "InvalidParameterCombination", "SnapshottingClusterId can't be set for cluster mode enabled replication groups.")
		}
		changes["SnapshottingClusterId"] = cluster
	}
	on, given := c.in["AutomaticFailoverEnabled"].(bool)
	if given && on && len(members) < 2 {
		return nil, errFailover
	}
	become(r, c.now, changes)
	if state := map[bool]string{true: "enabled", false: "disabled"}[on]; given && v.str("AutomaticFailover") != state {
		become(r, c.now, structure{"Status": "modifying", "AutomaticFailover": map[bool]string{true: "enabling", false: "disabling"}[on]})
		become(r, c.now.Add(cacheChange), structure{"Status": "available", "AutomaticFailover": state})
	}
	v, _ = r.as(c.now)
	return object{"ReplicationGroup": object(v)}, nil
}

var elasticacheHandlers = map[string]handler{
	"CreateCacheCluster":        {"elasticache:CreateCacheCluster", createCacheCluster},
	"CreateReplicationGroup":    {"elasticache:CreateReplicationGroup", createReplicationGroup},
	"DescribeCacheClusters":     {"elasticache:DescribeCacheClusters", describeCacheClusters},
	"DescribeReplicationGroups": {"elasticache:DescribeReplicationGroups", describeReplicationGroups},
	"ModifyCacheCluster":        {"elasticache:ModifyCacheCluster", modifyCacheCluster},
	"ModifyReplicationGroup":    {"elasticache:ModifyReplicationGroup", modifyReplicationGroup},
}

// What ElastiCache's operations are on. Source: Service Authorization Reference,
// "Actions, resources, and condition keys for Amazon ElastiCache".
const (
	onCacheCluster     = "cluster:{CacheClusterId}"
	onReplicationGroup = "replicationgroup:{ReplicationGroupId}"
)

var elasticacheAccess = serviceAccess{
	arn: "arn:{Partition}:elasticache:{Region}:{Account}:",
	on: map[string]string{
		"CreateCacheCluster": onCacheCluster, "DescribeCacheClusters": onCacheCluster, "ModifyCacheCluster": onCacheCluster,
		"CreateReplicationGroup": onReplicationGroup, "DescribeReplicationGroups": onReplicationGroup, "ModifyReplicationGroup": onReplicationGroup,
	},
}
