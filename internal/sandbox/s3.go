package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood/awsapi"
)

// bucket is a bucket's settings. S3's objects are read as they are now, for S3
// gives each read of an object what was written before it; a bucket's settings
// may be read stale. Source: Amazon S3 User Guide, "Amazon S3 data consistency
// model".
type bucket struct {
	Created    time.Time            `json:"created"`
	Owner      string               `json:"owner"` // account
	Region     string               `json:"region"`
	Deleted    bool                 `json:"deleted,omitempty"`
	Block      object               `json:"publicAccessBlock,omitempty"`
	Policy     string               `json:"policy,omitempty"`
	Tags       tagSet               `json:"tags,omitempty"`
	Encryption structure            `json:"encryption,omitempty"` // the one rule; nil: SSE-S3
	Versioning string               `json:"versioning,omitempty"` // Enabled, Suspended; "": never was
	Ownership  string               `json:"ownership,omitempty"`  // "": the controls were deleted
	Grants     []any                `json:"grants,omitempty"`     // of the ACL; nil: the owner's alone
	Documents  map[string]structure `json:"documents,omitempty"`  // see s3Documents
}

var bucketName = patternOf(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// Source: Amazon S3 User Guide, "General purpose bucket naming rules".
var (
	ipName           = patternOf(`^\d+\.\d+\.\d+\.\d+$`)
	reservedPrefixes = []string{"xn--", "sthree-", "amzn-s3-demo-"}
	reservedSuffixes = []string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"}
)

func validBucketName(name string) bool {
	return bucketName.MatchString(name) && !ipName.MatchString(name) && !strings.Contains(name, "..") &&
		!slices.ContainsFunc(reservedPrefixes, func(p string) bool { return strings.HasPrefix(name, p) }) &&
		!slices.ContainsFunc(reservedSuffixes, func(s string) bool { return strings.HasSuffix(name, s) })
}

func (c *call) bucketARN(name string) string { return "arn:" + c.partition() + ":s3:::" + name }

// canonicalUser is an account's id in ACLs.
func canonicalUser(account string) string {
	sum := sha256.Sum256([]byte("canonical user " + account))
	return hex.EncodeToString(sum[:])
}

// bucketNamed gives a bucket, wherever it is and whosever.
func (c *call) bucketNamed(name string, at time.Time) (*record[bucket], bucket, error) {
	r, b, ok := table[bucket](c.state.Buckets).live(name, at)
	if !ok || b.Deleted {
		return nil, bucket{}, failure(404, "NoSuchBucket", "The specified bucket does not exist")
	}
	return r, b, nil
}

// liveBucket gives the bucket that the call is on. A call to another Region's
// endpoint is told the right one.
func (c *call) liveBucket(at time.Time) (*record[bucket], bucket, error) {
	r, b, err := c.bucketNamed(c.str("Bucket"), at)
	if err != nil {
		return nil, bucket{}, err
	}
	if want := c.str("ExpectedBucketOwner"); want != "" && want != b.Owner {
		return nil, bucket{}, failure(403, "AccessDenied", "Access Denied")
	}
	if b.Region != c.region && c.operation.Name != "GetBucketLocation" {
		return nil, bucket{}, redirect(b.Region)
	}
	return r, b, nil
}

// redirect says where a bucket is, as S3 does.
func redirect(region string) error {
	e := failure(http.StatusMovedPermanently, "PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.")
	e.Header = http.Header{"X-Amz-Bucket-Region": {region}}
	return e
}

func createBucket(c *call) (map[string]any, error) {
	name := c.str("Bucket")
	if !validBucketName(name) {
		return nil, failure(400, "InvalidBucketName", "The specified bucket is not valid.")
	}
	settings := c.object("CreateBucketConfiguration")
	region, _ := settings["LocationConstraint"].(string)
	switch {
	case region == "" && c.region != "us-east-1", region != "" && region != c.region:
		return nil, failure(400, "IllegalLocationConstraintException", "The %s location constraint is incompatible for the region specific endpoint this request was sent to.", region)
	case region == "":
		region = "us-east-1"
	case region == "us-east-1":
		return nil, failure(400, "InvalidLocationConstraint", "The specified location-constraint is not valid")
	}
	if _, b, ok := table[bucket](c.state.Buckets).live(name, c.now); ok && !b.Deleted {
		switch {
		case b.Owner == c.who.Account && b.Region == "us-east-1" && region == "us-east-1":
			// For old clients' sake S3 takes it here, and changes nothing.
			return object{"Location": "/" + name}, nil
		case b.Owner == c.who.Account:
			return nil, failure(409, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it.")
		}
		return nil, failure(409, "BucketAlreadyExists", "The requested bucket name is not available. The bucket namespace is shared by all users of the system.")
	}
	// Since April 2023 S3 blocks public access on every new bucket, and ACLs are
	// off. Source: Amazon S3 User Guide, "Default settings for new S3 buckets FAQ".
	b := bucket{Created: c.now, Owner: c.who.Account, Region: region, Block: wholeBlock(true), Ownership: ownerEnforced}
	if o := c.str("ObjectOwnership"); o != "" {
		b.Ownership = o
	}
	if c.bool("ObjectLockEnabledForBucket") {
		b.Versioning = "Enabled"
		b.Documents = map[string]structure{"ObjectLockConfiguration": {"ObjectLockConfiguration": object{"ObjectLockEnabled": "Enabled"}}}
	}
	if err := c.newBucketACL(&b); err != nil {
		return nil, err
	}
	var err error
	if b.Tags, err = s3Tags(settings["Tags"]); err != nil {
		return nil, err
	}
	buckets := table[bucket](c.state.Buckets)
	buckets.put(name, c.now, b)
	delete(c.state.Objects, name)
	return object{"Location": bucketURL(name, region)}, nil
}

// bucketURL is where S3 says that a new bucket is.
func bucketURL(name, region string) string {
	if region == "us-east-1" {
		return "/" + name
	}
	return "http://" + name + ".s3.amazonaws.com/"
}

func deleteBucket(c *call) (map[string]any, error) {
	r, b, err := c.liveBucket(c.now)
	if err != nil {
		return nil, err
	}
	if len(c.state.Objects[c.str("Bucket")]) > 0 {
		if b.Versioning != "" {
			return nil, failure(409, "BucketNotEmpty", "The bucket you tried to delete is not empty. You must delete all versions in the bucket.")
		}
		return nil, failure(409, "BucketNotEmpty", "The bucket you tried to delete is not empty")
	}
	r.change(c.now, func(now *bucket) { now.Deleted = true })
	return object{}, nil
}

func listBuckets(c *call) (map[string]any, error) {
	most, given := c.int("MaxBuckets")
	if !given || most <= 0 || most > 10000 {
		most = 10000
	}
	out := []any{}
	answer := object{"Owner": s3Owner(c.who.Account)}
	if p := c.str("Prefix"); p != "" {
		answer["Prefix"] = p
	}
	last := ""
	for name, b := range table[bucket](c.state.Buckets).all(c.view) {
		if b.Deleted || b.Owner != c.who.Account || !strings.HasPrefix(name, c.str("Prefix")) || name <= c.str("ContinuationToken") {
			continue
		}
		if want := c.str("BucketRegion"); want != "" && want != b.Region {
			continue
		}
		if int64(len(out)) == most {
			answer["ContinuationToken"] = last
			break
		}
		one := object{"Name": name, "CreationDate": b.Created}
		// The Region is told only where the request has a parameter.
		if len(c.in) > 0 {
			one["BucketRegion"] = b.Region
		}
		out, last = append(out, one), name
	}
	answer["Buckets"] = out
	return answer, nil
}

func s3Owner(account string) object { return object{"ID": canonicalUser(account)} }

// onBucket serves a read of one bucket.
func onBucket(read func(c *call, b bucket) (map[string]any, error)) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		_, b, err := c.liveBucket(c.view)
		if err != nil {
			return nil, err
		}
		return read(c, b)
	}
}

// changeBucket serves a write to one bucket.
func changeBucket(write func(c *call, b *bucket) error) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		r, b, err := c.liveBucket(c.now)
		if err != nil {
			return nil, err
		}
		if err := write(c, &b); err != nil {
			return nil, err
		}
		r.change(c.now, func(now *bucket) { *now = b })
		return object{}, nil
	}
}

// headBucket answers as a HEAD does, whose errors have no body: the code that a
// client sees is the status.
func headBucket(c *call) (map[string]any, error) {
	_, b, err := c.liveBucket(c.view)
	if err != nil {
		return nil, headError(err)
	}
	return object{"BucketRegion": b.Region, "BucketArn": c.bucketARN(c.str("Bucket")), "AccessPointAlias": false}, nil
}

func headError(err error) error {
	codes := map[int]string{301: "301", 304: "304", 400: "400", 403: "403", 404: "404", 405: "405", 412: "412", 416: "416"}
	var e *awsapi.Error
	if !errors.As(err, &e) || codes[e.Status] == "" {
		return err
	}
	out := *e
	out.Code, out.Message = codes[e.Status], http.StatusText(e.Status)
	return &out
}

func bucketLocation(_ *call, b bucket) (map[string]any, error) {
	if b.Region == "us-east-1" {
		return object{}, nil // S3 has no name for it here
	}
	return object{"LocationConstraint": b.Region}, nil
}

var s3BucketHandlers = map[string]handler{
	"CreateBucket":      {"s3:CreateBucket", createBucket},
	"ListBuckets":       {"s3:ListAllMyBuckets", listBuckets},
	"HeadBucket":        {"s3:ListBucket", headBucket},
	"DeleteBucket":      {"s3:DeleteBucket", deleteBucket},
	"GetBucketLocation": {"s3:GetBucketLocation", onBucket(bucketLocation)},
}

var s3Handlers = merged(s3BucketHandlers, s3ConfigHandlers, s3ACLHandlers, s3DocumentHandlers, s3ObjectHandlers, s3ListHandlers)
