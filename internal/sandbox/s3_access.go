package sandbox

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/knowngood/knowngood/iampolicy"
)

// What S3's operations are on. Source: Service Authorization Reference, "Actions,
// resources, and condition keys for Amazon S3".
const (
	onBucketName = "{Bucket}"
	onObject     = "{Bucket}/{Key}"
)

var s3Access = serviceAccess{
	arn: "arn:{Partition}:s3:::",
	on: map[string]string{
		"CopyObject":                         onObject,
		"CreateBucket":                       onBucketName,
		"DeleteBucket":                       onBucketName,
		"DeleteBucketCors":                   onBucketName,
		"DeleteBucketEncryption":             onBucketName,
		"DeleteBucketLifecycle":              onBucketName,
		"DeleteBucketOwnershipControls":      onBucketName,
		"DeleteBucketPolicy":                 onBucketName,
		"DeleteBucketReplication":            onBucketName,
		"DeleteBucketTagging":                onBucketName,
		"DeleteBucketWebsite":                onBucketName,
		"DeleteObject":                       onObject,
		"DeletePublicAccessBlock":            onBucketName,
		"GetBucketAccelerateConfiguration":   onBucketName,
		"GetBucketAcl":                       onBucketName,
		"GetBucketCors":                      onBucketName,
		"GetBucketEncryption":                onBucketName,
		"GetBucketLifecycleConfiguration":    onBucketName,
		"GetBucketLocation":                  onBucketName,
		"GetBucketLogging":                   onBucketName,
		"GetBucketNotificationConfiguration": onBucketName,
		"GetBucketOwnershipControls":         onBucketName,
		"GetBucketPolicy":                    onBucketName,
		"GetBucketPolicyStatus":              onBucketName,
		"GetBucketReplication":               onBucketName,
		"GetBucketRequestPayment":            onBucketName,
		"GetBucketTagging":                   onBucketName,
		"GetBucketVersioning":                onBucketName,
		"GetBucketWebsite":                   onBucketName,
		"GetObject":                          onObject,
		"GetObjectLockConfiguration":         onBucketName,
		"GetObjectTagging":                   onObject,
		"GetPublicAccessBlock":               onBucketName,
		"HeadBucket":                         onBucketName,
		"HeadObject":                         onObject,
		"ListObjectVersions":                 onBucketName,
		"ListObjects":                        onBucketName,
		"ListObjectsV2":                      onBucketName,
		"PutBucketAccelerateConfiguration":   onBucketName,
		"PutBucketAcl":                       onBucketName,
		"PutBucketCors":                      onBucketName,
		"PutBucketEncryption":                onBucketName,
		"PutBucketLifecycleConfiguration":    onBucketName,
		"PutBucketLogging":                   onBucketName,
		"PutBucketNotificationConfiguration": onBucketName,
		"PutBucketOwnershipControls":         onBucketName,
		"PutBucketPolicy":                    onBucketName,
		"PutBucketReplication":               onBucketName,
		"PutBucketRequestPayment":            onBucketName,
		"PutBucketTagging":                   onBucketName,
		"PutBucketVersioning":                onBucketName,
		"PutBucketWebsite":                   onBucketName,
		"PutObject":                          onObject,
		"PutObjectLockConfiguration":         onBucketName,
		"PutPublicAccessBlock":               onBucketName,
	},
	needs: map[string]func(*call, []need) []need{
		"CopyObject":       copyObjectNeeds,
		"CreateBucket":     newBucketNeeds,
		"DeleteObject":     ofVersion,
		"GetObject":        readNeeds,
		"GetObjectTagging": ofVersion,
		"HeadObject":       readNeeds,
		"PutBucketReplication": func(c *call, own []need) []need {
			role, _ := c.object("ReplicationConfiguration")["Role"].(string)
			return append(own, c.passRole(role, "s3.amazonaws.com")...)
		},
		"PutObject": putNeeds,
	},
	keys: s3Keys,
	look: lookAtBucket,
}

// ofVersion is for an operation with an action of its own for one version of an
// object.
func ofVersion(c *call, own []need) []need {
	if c.str("VersionId") != "" {
		for i := range own {
			own[i].action = versionAction(own[i].action)
		}
	}
	return own
}

func versionAction(action string) string {
	if head, ok := strings.CutSuffix(action, "Tagging"); ok {
		return head + "VersionTagging"
	}
	return action + "Version"
}

// readNeeds: to read what a KMS key encrypts takes the key. Source: Amazon S3 User
// Guide, "Using server-side encryption with AWS KMS keys".
func readNeeds(c *call, own []need) []need {
	if v, err := c.findVersion(c.str("Bucket"), c.str("Key"), c.str("VersionId")); err == nil {
		return append(ofVersion(c, own), keyNeedsOf("s3", v.Head.str("SSEKMSKeyId"), "Decrypt")...)
	}
	return ofVersion(c, own)
}

// putNeeds: to upload with an ACL or tags takes more, and so does a KMS key.
func putNeeds(c *call, own []need) []need {
	write := own[0]
	_, given, _ := c.givenGrants()
	if given {
		own = append(own, need{action: "s3:PutObjectAcl", resource: write.resource})
	}
	if c.str("Tagging") != "" {
		own = append(own, need{action: "s3:PutObjectTagging", resource: write.resource})
	}
	return append(own, keyNeedsOf("s3", c.uploadKey(), "GenerateDataKey")...)
}

// uploadKey is the key that an upload is encrypted with, by a name that may be an
// alias.
func (c *call) uploadKey() string {
	_, b, err := c.bucketNamed(c.str("Bucket"), c.now)
	if err != nil {
		return ""
	}
	algorithm, key, err := c.asked(b)
	if err != nil || !strings.HasPrefix(algorithm, "aws:kms") {
		return ""
	}
	return c.keyNamed(cmp.Or(key, "alias/aws/s3"))
}

// newBucketNeeds: what CreateBucket sets on the way takes more. Source: Amazon S3
// API Reference, CreateBucket, "Permissions".
func newBucketNeeds(c *call, own []need) []need {
	more := map[string][]string{
		"ACL": {"PutBucketAcl"}, "ObjectOwnership": {"PutBucketOwnershipControls"}, "ObjectLockEnabledForBucket": {"PutBucketObjectLockConfiguration", "PutBucketVersioning"},
	}
	for _, member := range sorted(more) {
		if v, ok := c.in[member]; !ok || v == false {
			continue
		}
		for _, action := range more[member] {
			own = append(own, need{action: "s3:" + action, resource: own[0].resource})
		}
	}
	return own
}

func copyObjectNeeds(c *call, own []need) []need {
	name, key, version := copySource(c.str("CopySource"))
	read := need{action: "s3:GetObject", resource: c.bucketARN(name + "/" + key)}
	tags := need{action: "s3:GetObjectTagging", resource: read.resource}
	if version != "" {
		read.action, tags.action = versionAction(read.action), versionAction(tags.action)
	}
	v, err := c.findVersion(name, key, version)
	own = append(putNeeds(c, own), read)
	if err == nil && len(v.Tags) > 0 && c.str("TaggingDirective") != "REPLACE" {
		own = append(own, tags, need{action: "s3:PutObjectTagging", resource: own[0].resource})
	}
	return append(own, keyNeedsOf("s3", v.Head.str("SSEKMSKeyId"), "Decrypt")...)
}

// s3Names are the members of input that are condition keys of S3.
var s3Names = map[string]string{
	"ACL": "s3:x-amz-acl", "Delimiter": "s3:delimiter", "Prefix": "s3:prefix", "SSEKMSKeyId": "s3:x-amz-server-side-encryption-aws-kms-key-id",
	"ServerSideEncryption": "s3:x-amz-server-side-encryption", "StorageClass": "s3:x-amz-storage-class", "VersionId": "s3:VersionId",
}

func s3Keys(c *call, _ *need, set func(string, ...string)) {
	set("s3:authType", "REST-HEADER")
	set("s3:signatureversion", "AWS4-HMAC-SHA256")
	set("s3:TlsVersion", "1.3")
	for member, key := range s3Names {
		if v := c.str(member); v != "" {
			set(key, v)
		}
	}
	if n, ok := c.int("MaxKeys"); ok {
		set("s3:max-keys", strconv.FormatInt(n, 10))
	}
	if l, ok := c.object("CreateBucketConfiguration")["LocationConstraint"].(string); ok {
		set("s3:locationconstraint", l)
	}
}

// lookAtBucket gives a bucket's owner and policy. Where RestrictPublicBuckets is
// on, a policy that is public does nothing for other accounts.
// Source: Amazon S3 User Guide, "Blocking public access to your Amazon S3
// storage".
func lookAtBucket(c *call, n *need) resource {
	a, _ := parseARN(n.resource)
	name, _, _ := strings.Cut(a.resource, "/")
	_, b, ok := table[bucket](c.state.Buckets).live(name, c.now)
	if !ok || b.Deleted || n.action == "s3:CreateBucket" {
		return resource{}
	}
	r := resource{owner: b.Owner, tags: b.Tags, policy: b.Policy}
	if p := c.policy(b.Policy); p != nil && b.Owner != c.who.Account && c.blocks(b, "RestrictPublicBuckets") && p.IsPublic(iampolicy.BlockPublicAccess) {
		r.policy = ""
	}
	return r
}
