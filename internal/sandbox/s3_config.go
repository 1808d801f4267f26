package sandbox

import (
	"errors"
	"slices"
	"strings"

	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/iampolicy"
)

// maxBucketPolicy is how many bytes a bucket policy may have. Source: Amazon S3
// User Guide, "Bucket policies for Amazon S3".
const maxBucketPolicy = 20 << 10

var blockSettings = []string{"BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"}

func wholeBlock(on bool) object {
	out := object{}
	for _, name := range blockSettings {
		out[name] = on
	}
	return out
}

// givenBlock reads the settings of Block Public Access that a call puts. What it
// doesn't name is off.
func (c *call) givenBlock() object {
	block := wholeBlock(false)
	for _, name := range blockSettings {
		on, _ := c.object("PublicAccessBlockConfiguration")[name].(bool)
		block[name] = on
	}
	return block
}

// blocks says whether Block Public Access has a setting on for a bucket: its own
// or its account's.
func (c *call) blocks(b bucket, setting string) bool {
	if b.Block[setting] == true {
		return true
	}
	if a, ok := c.state.Accounts[b.Owner]; ok {
		_, block, _ := a.PublicBlock.live(accountBlock, c.now)
		return block[setting] == true
	}
	return false
}

func getBucketBlock(_ *call, b bucket) (map[string]any, error) {
	if b.Block == nil {
		return nil, failure(404, "NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found")
	}
	return object{"PublicAccessBlockConfiguration": b.Block}, nil
}

// s3Tags reads tags, for S3 has a code of its own for bad ones.
func s3Tags(v any) (tagSet, error) {
	tags, err := parseTags(v)
	var e *awsapi.Error
	if errors.As(err, &e) {
		return nil, failure(400, "InvalidTag", "%s", e.Message)
	}
	if len(tags) < len(objects(v)) {
		return nil, failure(400, "InvalidTag", "Cannot provide multiple Tags with the same key")
	}
	return tags, nil
}

func getBucketTagging(_ *call, b bucket) (map[string]any, error) {
	if len(b.Tags) == 0 {
		return nil, failure(404, "NoSuchTagSet", "The TagSet does not exist")
	}
	return object{"TagSet": b.Tags.list()}, nil
}

func putBucketTagging(c *call, b *bucket) (err error) {
	b.Tags, err = s3Tags(c.object("Tagging")["TagSet"])
	return err
}

func getBucketPolicy(_ *call, b bucket) (map[string]any, error) {
	if b.Policy == "" {
		return nil, failure(404, "NoSuchBucketPolicy", "The bucket policy does not exist")
	}
	return object{"Policy": b.Policy}, nil
}

func putBucketPolicy(c *call, b *bucket) error {
	text := c.str("Policy")
	if len(text) > maxBucketPolicy {
		return failure(400, "MalformedPolicy", "Policies must be at most %d bytes", maxBucketPolicy)
	}
	p, err := iampolicy.Parse(text, iampolicy.Resource)
	if err != nil {
		return failure(400, "MalformedPolicy", "%v", err)
	}
	for _, s := range p.Statements {
		for _, r := range append(slices.Clone(s.Resources), s.NotResources...) {
			if name, _, _ := strings.Cut(strings.TrimPrefix(r, c.bucketARN("")), "/"); !wildcard(name, c.str("Bucket")) {
				return failure(400, "MalformedPolicy", "Policy has invalid resource")
			}
		}
	}
	if c.blocks(*b, "BlockPublicPolicy") && p.IsPublic(iampolicy.BlockPublicAccess) {
		return failure(403, "AccessDenied", "User: %s is not authorized to perform: s3:PutBucketPolicy on resource: \"%s\" because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access.", c.who.ARN, c.bucketARN(c.str("Bucket")))
	}
	b.Policy = text
	return nil
}

func bucketPolicyStatus(c *call, b bucket) (map[string]any, error) {
	if b.Policy == "" {
		return nil, failure(404, "NoSuchBucketPolicy", "The bucket policy does not exist")
	}
	return object{"PolicyStatus": object{"IsPublic": c.policy(b.Policy).IsPublic(iampolicy.BlockPublicAccess)}}, nil
}

// defaultEncryption is what S3 encrypts with where a bucket says nothing, since
// January 2023. Source: Amazon S3 User Guide, "Default encryption FAQ".
func defaultEncryption() structure {
	return structure{"ApplyServerSideEncryptionByDefault": object{"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": false}
}

func (b bucket) encryption() structure {
	if b.Encryption == nil {
		return defaultEncryption()
	}
	return b.Encryption
}

func getBucketEncryption(_ *call, b bucket) (map[string]any, error) {
	return object{"ServerSideEncryptionConfiguration": object{"Rules": []any{object(b.encryption())}}}, nil
}

func putBucketEncryption(c *call, b *bucket) error {
	rules := objects(c.object("ServerSideEncryptionConfiguration")["Rules"])
	if len(rules) != 1 {
		return failure(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	rule := defaultEncryption().with(structure(rules[0]))
	by, _ := rule["ApplyServerSideEncryptionByDefault"].(object)
	algorithm, _ := by["SSEAlgorithm"].(string)
	key, _ := by["KMSMasterKeyID"].(string)
	switch algorithm {
	case "aws:kms", "aws:kms:dsse":
		if a, ok := parseARN(key); ok && a.region != b.Region {
			return failure(400, "IllegalLocationConstraintException", "The %s key is not in the bucket's Region", key)
		}
	case "AES256":
		if key != "" {
			return failure(400, "InvalidArgument", "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse")
		}
	default:
		return failure(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	b.Encryption = rule
	return nil
}

func getBucketVersioning(_ *call, b bucket) (map[string]any, error) {
	if b.Versioning == "" {
		return object{}, nil // never was enabled
	}
	return object{"Status": b.Versioning, "MFADelete": "Disabled"}, nil
}

func putBucketVersioning(c *call, b *bucket) error {
	v := c.object("VersioningConfiguration")
	status, _ := v["Status"].(string)
	if status != "Enabled" && status != "Suspended" {
		return failure(400, "IllegalVersioningConfigurationException", "The Versioning element must be specified")
	}
	if v["MFADelete"] == "Enabled" {
		// Only the root user with a device may. The sandbox has no such devices.
		return failure(403, "AccessDenied", "MFA Delete can be enabled by the account's root user with an MFA device only.")
	}
	if status == "Suspended" && b.Documents["ObjectLockConfiguration"] != nil {
		return failure(409, "InvalidBucketState", "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.")
	}
	b.Versioning = status
	return nil
}

func putBucketLogging(c *call, b *bucket) error {
	log, _ := c.object("BucketLoggingStatus")["LoggingEnabled"].(object)
	if log == nil {
		b.set("LoggingEnabled", nil)
		return nil
	}
	target, _ := log["TargetBucket"].(string)
	_, t, ok := table[bucket](c.state.Buckets).live(target, c.now)
	switch {
	case !ok || t.Deleted:
		return failure(400, "InvalidTargetBucketForLogging", "The target bucket for logging does not exist")
	case t.Owner != b.Owner:
		return failure(400, "InvalidTargetBucketForLogging", "The owner for the bucket to be logged and the target bucket must be the same.")
	case t.Region != b.Region:
		return failure(403, "CrossLocationLoggingProhibitted", "Cross S3 location logging not allowed.")
	case len(objects(log["TargetGrants"])) > 0 && t.Ownership == ownerEnforced:
		return failure(400, "InvalidArgument", "Target grants are not supported where the target bucket has the bucket owner enforced setting")
	}
	for _, g := range objects(log["TargetGrants"]) {
		if err := checkGrantee(g); err != nil {
			return err
		}
	}
	b.set("LoggingEnabled", structure{"LoggingEnabled": log})
	return nil
}

func getBucketLogging(_ *call, b bucket) (map[string]any, error) {
	return b.document("LoggingEnabled"), nil
}

// s3control's Block Public Access is of the account, whatever the Region.
func onAccountBlock(run func(c *call, a *account) (map[string]any, error)) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		if c.str("AccountId") != c.who.Account {
			return nil, failure(403, "AccessDenied", "Access Denied")
		}
		return run(c, c.accountState())
	}
}

// accountBlock is the key of the one there is.
const accountBlock = "account"

func getAccountBlock(c *call, a *account) (map[string]any, error) {
	_, block, ok := a.PublicBlock.live(accountBlock, c.view)
	if !ok {
		return nil, failure(404, "NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found")
	}
	return object{"PublicAccessBlockConfiguration": block}, nil
}

func putAccountBlock(c *call, a *account) (map[string]any, error) {
	a.PublicBlock.put(accountBlock, c.now, c.givenBlock())
	return object{}, nil
}

func deleteAccountBlock(c *call, a *account) (map[string]any, error) {
	if r, _, ok := a.PublicBlock.live(accountBlock, c.now); ok {
		r.end(c.now)
	}
	return object{}, nil
}

var s3controlHandlers = map[string]handler{
	"GetPublicAccessBlock":    {"s3:GetAccountPublicAccessBlock", onAccountBlock(getAccountBlock)},
	"PutPublicAccessBlock":    {"s3:PutAccountPublicAccessBlock", onAccountBlock(putAccountBlock)},
	"DeletePublicAccessBlock": {"s3:PutAccountPublicAccessBlock", onAccountBlock(deleteAccountBlock)},
}

var s3ConfigHandlers = map[string]handler{
	"GetPublicAccessBlock":    {"s3:GetBucketPublicAccessBlock", onBucket(getBucketBlock)},
	"PutPublicAccessBlock":    {"s3:PutBucketPublicAccessBlock", changeBucket(func(c *call, b *bucket) error { b.Block = c.givenBlock(); return nil })},
	"DeletePublicAccessBlock": {"s3:PutBucketPublicAccessBlock", changeBucket(func(_ *call, b *bucket) error { b.Block = nil; return nil })},
	"GetBucketTagging":        {"s3:GetBucketTagging", onBucket(getBucketTagging)},
	"PutBucketTagging":        {"s3:PutBucketTagging", changeBucket(putBucketTagging)},
	"DeleteBucketTagging":     {"s3:PutBucketTagging", changeBucket(func(_ *call, b *bucket) error { b.Tags = nil; return nil })},
	"GetBucketPolicy":         {"s3:GetBucketPolicy", onBucket(getBucketPolicy)},
	"PutBucketPolicy":         {"s3:PutBucketPolicy", changeBucket(putBucketPolicy)},
	"DeleteBucketPolicy":      {"s3:DeleteBucketPolicy", changeBucket(func(_ *call, b *bucket) error { b.Policy = ""; return nil })},
	"GetBucketPolicyStatus":   {"s3:GetBucketPolicyStatus", onBucket(bucketPolicyStatus)},
	"GetBucketEncryption":     {"s3:GetEncryptionConfiguration", onBucket(getBucketEncryption)},
	"PutBucketEncryption":     {"s3:PutEncryptionConfiguration", changeBucket(putBucketEncryption)},
	"DeleteBucketEncryption":  {"s3:PutEncryptionConfiguration", changeBucket(func(_ *call, b *bucket) error { b.Encryption = nil; return nil })},
	"GetBucketVersioning":     {"s3:GetBucketVersioning", onBucket(getBucketVersioning)},
	"PutBucketVersioning":     {"s3:PutBucketVersioning", changeBucket(putBucketVersioning)},
	"GetBucketLogging":        {"s3:GetBucketLogging", onBucket(getBucketLogging)},
	"PutBucketLogging":        {"s3:PutBucketLogging", changeBucket(putBucketLogging)},
}
