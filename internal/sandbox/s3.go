package sandbox

import (
	"regexp"
	"time"

	"github.com/knowngood/knowngood/iampolicy"
)

type bucket struct {
	Created time.Time `json:"created"`
	Owner   string    `json:"owner"` // account
	Region  string    `json:"region"`
	Deleted bool      `json:"deleted,omitempty"`
	Block   object    `json:"publicAccessBlock,omitempty"`
	Policy  string    `json:"policy,omitempty"`
	Tags    tagSet    `json:"tags,omitempty"`
}

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

func (c *call) liveBucket(at time.Time) (*record[bucket], bucket, error) {
	name := c.str("Bucket")
	if r, ok := c.state.Buckets[name]; ok {
		if b, ok := r.as(at); ok && !b.Deleted {
			return r, b, nil
		}
	}
	return nil, bucket{}, failure(404, "NoSuchBucket", "The specified bucket does not exist")
}

func createBucket(c *call) (map[string]any, error) {
	name := c.str("Bucket")
	if !bucketName.MatchString(name) {
		return nil, failure(400, "InvalidBucketName", "The specified bucket is not valid.")
	}
	region, _ := c.object("CreateBucketConfiguration")["LocationConstraint"].(string)
	switch {
	case region == "" && c.region != "us-east-1", region != "" && region != c.region:
		return nil, failure(400, "IllegalLocationConstraintException", "The %s location constraint is incompatible for the region specific endpoint this request was sent to.", region)
	case region == "":
		region = "us-east-1"
	}
	if r, ok := c.state.Buckets[name]; ok {
		if b, ok := r.as(c.now); ok && !b.Deleted {
			if b.Owner == c.who.Account {
				return nil, failure(409, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it.")
			}
			return nil, failure(409, "BucketAlreadyExists", "The requested bucket name is not available.")
		}
	}
	// Since April 2023 S3 blocks public access on every new bucket.
	block := object{"BlockPublicAcls": true, "IgnorePublicAcls": true, "BlockPublicPolicy": true, "RestrictPublicBuckets": true}
	c.state.Buckets[name] = newRecord(c.now, bucket{Created: c.now, Owner: c.who.Account, Region: region, Block: block})
	return object{"Location": "/" + name}, nil
}

func listBuckets(c *call) (map[string]any, error) {
	out := []any{}
	for _, name := range sorted(c.state.Buckets) {
		if b, ok := c.state.Buckets[name].as(c.view); ok && !b.Deleted && b.Owner == c.who.Account {
			out = append(out, object{"Name": name, "CreationDate": b.Created, "BucketRegion": b.Region})
		}
	}
	return object{"Buckets": out, "Owner": object{"ID": c.who.Account, "DisplayName": "sandbox"}}, nil
}

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

var s3Handlers = map[string]handler{
	"CreateBucket": {"s3:CreateBucket", createBucket},
	"ListBuckets":  {"s3:ListAllMyBuckets", listBuckets},
	"HeadBucket":   {"s3:ListBucket", onBucket(func(_ *call, b bucket) (map[string]any, error) { return object{"BucketRegion": b.Region}, nil })},
	"DeleteBucket": {"s3:DeleteBucket", changeBucket(func(_ *call, b *bucket) error { b.Deleted = true; return nil })},
	"GetBucketLocation": {"s3:GetBucketLocation", onBucket(func(_ *call, b bucket) (map[string]any, error) {
		if b.Region == "us-east-1" {
			return object{}, nil // S3 has no name for it here
		}
		return object{"LocationConstraint": b.Region}, nil
	})},
	"GetPublicAccessBlock": {"s3:GetBucketPublicAccessBlock", onBucket(func(_ *call, b bucket) (map[string]any, error) {
		if b.Block == nil {
			return nil, failure(404, "NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found")
		}
		return object{"PublicAccessBlockConfiguration": b.Block}, nil
	})},
	"PutPublicAccessBlock": {"s3:PutBucketPublicAccessBlock", changeBucket(func(c *call, b *bucket) error {
		block := object{}
		for _, name := range []string{"BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"} {
			on, _ := c.object("PublicAccessBlockConfiguration")[name].(bool)
			block[name] = on
		}
		b.Block = block
		return nil
	})},
	"DeletePublicAccessBlock": {"s3:PutBucketPublicAccessBlock", changeBucket(func(_ *call, b *bucket) error { b.Block = nil; return nil })},
	"GetBucketTagging": {"s3:GetBucketTagging", onBucket(func(_ *call, b bucket) (map[string]any, error) {
		if len(b.Tags) == 0 {
			return nil, failure(404, "NoSuchTagSet", "The TagSet does not exist")
		}
		return object{"TagSet": b.Tags.list()}, nil
	})},
	"PutBucketTagging": {"s3:PutBucketTagging", changeBucket(func(c *call, b *bucket) error {
		tags, err := parseTags(c.object("Tagging")["TagSet"])
		b.Tags = tags
		return err
	})},
	"GetBucketPolicy": {"s3:GetBucketPolicy", onBucket(func(_ *call, b bucket) (map[string]any, error) {
		if b.Policy == "" {
			return nil, failure(404, "NoSuchBucketPolicy", "The bucket policy does not exist")
		}
		return object{"Policy": b.Policy}, nil
	})},
	"PutBucketPolicy": {"s3:PutBucketPolicy", changeBucket(func(c *call, b *bucket) error {
		p, err := iampolicy.Parse(c.str("Policy"), iampolicy.Resource)
		if err != nil {
			return failure(400, "MalformedPolicy", "%v", err)
		}
		if b.Block["BlockPublicPolicy"] == true && p.IsPublic(iampolicy.BlockPublicAccess) {
			return failure(403, "AccessDenied", "User: %s is not authorized to perform: s3:PutBucketPolicy because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access.", c.who.ARN)
		}
		b.Policy = c.str("Policy")
		return nil
	})},
	"GetBucketPolicyStatus": {"s3:GetBucketPolicyStatus", onBucket(func(c *call, b bucket) (map[string]any, error) {
		if b.Policy == "" {
			return nil, failure(404, "NoSuchBucketPolicy", "The bucket policy does not exist")
		}
		return object{"PolicyStatus": object{"IsPublic": c.policy(b.Policy).IsPublic(iampolicy.BlockPublicAccess)}}, nil
	})},
	"DeleteBucketPolicy": {"s3:DeleteBucketPolicy", changeBucket(func(_ *call, b *bucket) error { b.Policy = ""; return nil })},
}
