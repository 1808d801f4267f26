package sandbox

import (
	"strconv"
	"strings"

	"github.com/knowngood/knowngood/iampolicy"
)

// What S3's operations are on. Source: Service Authorization Reference, "Actions,
// resources, and condition keys for Amazon S3".
var s3Access = serviceAccess{
	arn: "arn:{Partition}:s3:::",
	on: map[string]string{
		"CopyObject":              "{Bucket}/{Key}",
		"CreateBucket":            "{Bucket}",
		"DeleteBucket":            "{Bucket}",
		"DeleteBucketEncryption":  "{Bucket}",
		"DeleteBucketPolicy":      "{Bucket}",
		"DeleteBucketTagging":     "{Bucket}",
		"DeleteObject":            "{Bucket}/{Key}",
		"DeleteObjects":           "{Bucket}/*",
		"DeletePublicAccessBlock": "{Bucket}",
		"GetBucketAcl":            "{Bucket}",
		"GetBucketEncryption":     "{Bucket}",
		"GetBucketLocation":       "{Bucket}",
		"GetBucketLogging":        "{Bucket}",
		"GetBucketPolicy":         "{Bucket}",
		"GetBucketPolicyStatus":   "{Bucket}",
		"GetBucketTagging":        "{Bucket}",
		"GetBucketVersioning":     "{Bucket}",
		"GetObject":               "{Bucket}/{Key}",
		"GetPublicAccessBlock":    "{Bucket}",
		"HeadBucket":              "{Bucket}",
		"HeadObject":              "{Bucket}/{Key}",
		"ListObjectVersions":      "{Bucket}",
		"ListObjects":             "{Bucket}",
		"ListObjectsV2":           "{Bucket}",
		"PutBucketAcl":            "{Bucket}",
		"PutBucketEncryption":     "{Bucket}",
		"PutBucketLogging":        "{Bucket}",
		"PutBucketPolicy":         "{Bucket}",
		"PutBucketTagging":        "{Bucket}",
		"PutBucketVersioning":     "{Bucket}",
		"PutObject":               "{Bucket}/{Key}",
		"PutPublicAccessBlock":    "{Bucket}",
	},
	needs: map[string]func(*call, []need) []need{
		"DeleteObject": ofVersion,
		"GetObject":    ofVersion,
		"HeadObject":   ofVersion,
	},
	keys: s3Keys,
	look: lookAtBucket,
}

// ofVersion is for an operation with an action of its own for one version of an
// object.
func ofVersion(c *call, own []need) []need {
	if c.str("VersionId") != "" {
		for i := range own {
			own[i].action += "Version"
		}
	}
	return own
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
	if p := c.policy(b.Policy); p != nil && b.Owner != c.who.Account && b.Block["RestrictPublicBuckets"] == true && p.IsPublic(iampolicy.BlockPublicAccess) {
		r.policy = ""
	}
	return r
}
