package sandbox

import (
	"slices"
	"strings"
	"time"
)

// The clusters of Amazon Redshift, as they were given.
var redshiftClusters = keptKind{"redshift cluster", func(id string) error {
	return failure(404, "ClusterNotFound", "Cluster %s not found.", id)
}}

// How long a cluster takes to be made, and to change. AWS states no times; these
// are of the order that people see.
const (
	redshiftCreation = 5 * time.Minute
	redshiftChange   = 5 * time.Minute
)

// redshiftAtOnce are the settings that a change takes at once; the others are
// pending while the cluster is modified. Source: Amazon Redshift API Reference,
// ModifyCluster.
var redshiftAtOnce = []string{"AllowVersionUpgrade", "AutomatedSnapshotRetentionPeriod", "ManualSnapshotRetentionPeriod", "PreferredMaintenanceWindow"}

var redshiftName = patternOf(`^[a-z]([a-z0-9]|-[a-z0-9]){0,62}$`)

func createRedshiftCluster(c *call) (map[string]any, error) {
	id := c.str("ClusterIdentifier")
	switch {
	case !redshiftName.MatchString(id):
		return nil, failure(400, "InvalidParameterValue", "The parameter ClusterIdentifier is not a valid identifier.")
	case redshiftClusters.has(c, id):
		return nil, failure(400, "ClusterAlreadyExists", "Cluster already exists")
	}
	v := structure{"AllowVersionUpgrade": true, "AutomatedSnapshotRetentionPeriod": int64(1), "ManualSnapshotRetentionPeriod": int64(-1), "PubliclyAccessible": false, "Encrypted": true,
		"DBName": "dev", "NumberOfNodes": int64(1), "ClusterVersion": "1.0", "EnhancedVpcRouting": false, "PreferredMaintenanceWindow": "sun:05:00-sun:05:30"}.with(c.as("Cluster"))
	if err := checkRedshift(v); err != nil {
		return nil, err
	}
	if !v.bool("Encrypted") {
		return nil, failure(400, "InvalidParameterValue", "Encryption can't be turned off for a new cluster.")
	}
	if key := v.str("KmsKeyId"); key != "" { // else a key of AWS's own, which no description names
		arn, err := c.redshiftKey(key)
		if err != nil {
			return nil, err
		}
		v["KmsKeyId"] = arn
	}
	v = v.with(structure{"ClusterStatus": "creating", "ClusterAvailabilityStatus": "Modifying", "ClusterCreateTime": c.now, "PendingModifiedValues": object{}})
	r := redshiftClusters.put(c, id, v)
	port := int64(5439)
	if p, ok := c.int("Port"); ok {
		port = p
	}
	become(r, c.now.Add(redshiftCreation), structure{"ClusterStatus": "available", "ClusterAvailabilityStatus": "Available",
		"Endpoint": object{"Address": id + ".abc123xyz789." + c.region + ".redshift.amazonaws.com", "Port": port}})
	return object{"Cluster": object(v)}, nil
}

// Source of the limits: Amazon Redshift API Reference, CreateCluster. Clusters of
// nodes that keep their data apart can't be without automated snapshots.
func checkRedshift(v structure) error {
	least := int64(0)
	if node := v.str("NodeType"); strings.HasPrefix(node, "ra3.") || strings.HasPrefix(node, "rg.") {
		least = 1
	}
	if days := v.int("AutomatedSnapshotRetentionPeriod"); days < least || days > 35 {
		return failure(400, "InvalidParameterValue", "Invalid value for AutomatedSnapshotRetentionPeriod: %d. It must be from %d to 35.", days, least)
	}
	return nil
}

// redshiftKey gives the ARN of the key that a cluster is to be encrypted with; the
// empty name is Redshift's default key in the account.
func (c *call) redshiftKey(name string) (string, error) {
	arn, err := c.serviceKey(name, "alias/aws/redshift")
	if err != nil {
		return "", failure(400, "InvalidParameterValue", "The KMS key %s can't be used: %v", name, err)
	}
	return arn, nil
}

// redshiftEncryption puts the key into a change of a cluster's encryption. A cluster that
// is decrypted has none. Source: Amazon Redshift API Reference, ModifyCluster.
func (c *call) redshiftEncryption(now, change structure) error {
	on, given := change["Encrypted"].(bool)
	switch {
	case given && !on:
		change["KmsKeyId"] = nil
	case change.str("KmsKeyId") != "" || given && !now.bool("Encrypted"):
		arn, err := c.redshiftKey(change.str("KmsKeyId"))
		if err != nil {
			return err
		}
		change["KmsKeyId"], change["Encrypted"] = arn, true
	}
	return nil
}

func describeRedshiftClusters(c *call) (map[string]any, error) {
	var ids []string
	if id := c.str("ClusterIdentifier"); id != "" {
		ids = []string{id}
	}
	found, err := redshiftClusters.find(c, ids...)
	if err != nil {
		return nil, err
	}
	return records(c, "Clusters", found, func(h held[structure]) any { return object(h.v) })
}

func modifyRedshiftCluster(c *call) (map[string]any, error) {
	r, v, err := redshiftClusters.live(c, c.str("ClusterIdentifier"), c.now)
	if err != nil {
		return nil, err
	}
	if v.str("ClusterStatus") != "available" {
		return nil, failure(400, "InvalidClusterState", "There is an operation running on the Cluster. Please try to modify it at a later time.")
	}
	change, atOnce, later := c.as("Cluster"), structure{}, structure{}
	if err := c.redshiftEncryption(v, change); err != nil {
		return nil, err
	}
	for name, value := range change {
		switch {
		case name == "ClusterIdentifier":
		case slices.Contains(redshiftAtOnce, name):
			atOnce[name] = value
		case v[name] != value:
			later[name] = value
		}
	}
	if err := checkRedshift(v.with(atOnce)); err != nil {
		return nil, err
	}
	become(r, c.now, atOnce)
	if len(later) > 0 {
		pending := described(c.operation.Output.Member("Cluster").Shape.Member("PendingModifiedValues").Shape, object(later))
		if on, ok := later["Encrypted"].(bool); ok {
			pending["EncryptionType"] = map[bool]string{true: "KMS", false: "None"}[on]
		}
		become(r, c.now, structure{"ClusterStatus": "modifying", "ClusterAvailabilityStatus": "Modifying", "PendingModifiedValues": object(pending)})
		become(r, c.now.Add(redshiftChange), later.with(structure{"ClusterStatus": "available", "ClusterAvailabilityStatus": "Available", "PendingModifiedValues": object{}}))
	}
	v, _ = r.as(c.now)
	return object{"Cluster": object(v)}, nil
}

func enableRedshiftLogging(c *call) (map[string]any, error) {
	id, prefix := c.str("ClusterIdentifier"), c.str("S3KeyPrefix")
	if _, _, err := redshiftClusters.live(c, id, c.now); err != nil {
		return nil, err
	}
	status := structure{"LoggingEnabled": true}
	if c.str("LogDestinationType") == "cloudwatch" {
		status["LogDestinationType"], status["LogExports"] = "cloudwatch", c.in["LogExports"]
	} else {
		bucket := c.str("BucketName")
		b, ok := c.bucketNow(bucket)
		if !ok {
			return nil, failure(400, "BucketNotFoundFault", "S3 bucket %s was not found.", bucket)
		}
		ask := access{service: "redshift.amazonaws.com", account: c.who.Account, source: c.arnOf("redshift", "cluster:"+id)}
		path := "AWSLogs/" + c.who.Account
		if prefix != "" {
			path = prefix + "/" + path
		}
		for action, resource := range map[string]string{"s3:GetBucketAcl": "arn:aws:s3:::" + bucket, "s3:PutObject": "arn:aws:s3:::" + bucket + "/" + path} {
			if ask.action, ask.resource = action, resource; !ask.grants(c.policy(b.Policy)) {
				return nil, failure(400, "InsufficientS3BucketPolicyFault", "Cannot read ACLs of bucket %s. Please ensure that your IAM permissions are set up correctly.", bucket)
			}
		}
		status["BucketName"] = bucket
		if prefix != "" {
			status["S3KeyPrefix"] = prefix + "/"
		}
	}
	redshiftLogging.put(c, id, status)
	return object(status), nil
}

// redshiftLogging is how clusters log, by cluster.
var redshiftLogging = keptKind{"redshift logging", redshiftClusters.missing}

func describeRedshiftLogging(c *call) (map[string]any, error) {
	id := c.str("ClusterIdentifier")
	if _, _, err := redshiftClusters.live(c, id, c.view); err != nil {
		return nil, err
	}
	if _, status, err := redshiftLogging.live(c, id, c.view); err == nil {
		return object(status), nil
	}
	return object{"LoggingEnabled": false}, nil
}

func disableRedshiftLogging(c *call) (map[string]any, error) {
	id := c.str("ClusterIdentifier")
	if _, _, err := redshiftClusters.live(c, id, c.now); err != nil {
		return nil, err
	}
	redshiftLogging.put(c, id, structure{"LoggingEnabled": false})
	return object{"LoggingEnabled": false}, nil
}

var redshiftHandlers = map[string]handler{
	"CreateCluster":         {"redshift:CreateCluster", createRedshiftCluster},
	"DescribeClusters":      {"redshift:DescribeClusters", describeRedshiftClusters},
	"DescribeLoggingStatus": {"redshift:DescribeLoggingStatus", describeRedshiftLogging},
	"DisableLogging":        {"redshift:DisableLogging", disableRedshiftLogging},
	"EnableLogging":         {"redshift:EnableLogging", enableRedshiftLogging},
	"ModifyCluster":         {"redshift:ModifyCluster", modifyRedshiftCluster},
}

// What Redshift's operations are on. Source: Service Authorization Reference,
// "Actions, resources, and condition keys for Amazon Redshift".
const onRedshiftCluster = "cluster:{ClusterIdentifier}"

var redshiftAccess = serviceAccess{
	arn: "arn:{Partition}:redshift:{Region}:{Account}:",
	on: map[string]string{
		"CreateCluster": onRedshiftCluster, "DescribeLoggingStatus": onRedshiftCluster, "DisableLogging": onRedshiftCluster,
		"EnableLogging": onRedshiftCluster, "ModifyCluster": onRedshiftCluster,
	},
}
