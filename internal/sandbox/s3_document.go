package sandbox

// s3Document is a setting of a bucket that the sandbox keeps as it was put and
// does not act on.
type s3Document struct {
	member  string // of the input that puts it
	whole   bool   // the answer has the member itself, else what is in it
	absent  string // code where there is none; "": the answer is empty
	message string
}

// s3Documents are by the names of the operations behind Get and Put.
var s3Documents = map[string]s3Document{
	"BucketAccelerateConfiguration":   {member: "AccelerateConfiguration"},
	"BucketCors":                      {member: "CORSConfiguration", absent: "NoSuchCORSConfiguration", message: "The CORS configuration does not exist"},
	"BucketLifecycleConfiguration":    {member: "LifecycleConfiguration", absent: "NoSuchLifecycleConfiguration", message: "The lifecycle configuration does not exist"},
	"BucketNotificationConfiguration": {member: "NotificationConfiguration"},
	"BucketReplication":               {member: "ReplicationConfiguration", whole: true, absent: "ReplicationConfigurationNotFoundError", message: "The replication configuration was not found"},
	"BucketRequestPayment":            {member: "RequestPaymentConfiguration"},
	"BucketWebsite":                   {member: "WebsiteConfiguration", absent: "NoSuchWebsiteConfiguration", message: "The specified bucket does not have a website configuration"},
	"ObjectLockConfiguration":         {member: "ObjectLockConfiguration", whole: true, absent: "ObjectLockConfigurationNotFoundError", message: "Object Lock configuration does not exist for this bucket"},
}

func (b bucket) document(name string) object {
	if d := b.Documents[name]; d != nil {
		return object(d)
	}
	return object{}
}

// set puts a document, or with nil takes it away. Versions of a bucket don't
// share the map.
func (b *bucket) set(name string, d structure) {
	out := map[string]structure{}
	for k, v := range b.Documents {
		if k != name {
			out[k] = v
		}
	}
	if d != nil {
		out[name] = d
	}
	b.Documents = out
}

func (d s3Document) get(_ *call, b bucket) (map[string]any, error) {
	out := b.document(d.member)
	if b.Documents[d.member] == nil && d.absent != "" {
		return nil, failure(404, d.absent, "%s", d.message)
	}
	if d.member == "RequestPaymentConfiguration" && out["Payer"] == nil {
		return object{"Payer": "BucketOwner"}, nil
	}
	return out, nil
}

func (d s3Document) put(c *call, b *bucket) error {
	given := c.object(d.member)
	if given == nil {
		return failure(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	if (d.member == "ReplicationConfiguration" || d.member == "ObjectLockConfiguration") && b.Versioning != "Enabled" {
		return failure(409, "InvalidBucketState", "Versioning must be 'Enabled' on the bucket to apply this configuration")
	}
	if d.whole {
		given = object{d.member: given}
	}
	b.set(d.member, structure(given))
	return nil
}

func (d s3Document) remove(_ *call, b *bucket) error {
	b.set(d.member, nil)
	return nil
}

// s3DocumentHandlers: the actions are those of the Service Authorization
// Reference, which are not the operations' names.
var s3DocumentHandlers = map[string]handler{
	"GetBucketAccelerateConfiguration":   {"s3:GetAccelerateConfiguration", onBucket(s3Documents["BucketAccelerateConfiguration"].get)},
	"PutBucketAccelerateConfiguration":   {"s3:PutAccelerateConfiguration", changeBucket(s3Documents["BucketAccelerateConfiguration"].put)},
	"GetBucketCors":                      {"s3:GetBucketCORS", onBucket(s3Documents["BucketCors"].get)},
	"PutBucketCors":                      {"s3:PutBucketCORS", changeBucket(s3Documents["BucketCors"].put)},
	"DeleteBucketCors":                   {"s3:PutBucketCORS", changeBucket(s3Documents["BucketCors"].remove)},
	"GetBucketLifecycleConfiguration":    {"s3:GetLifecycleConfiguration", onBucket(s3Documents["BucketLifecycleConfiguration"].get)},
	"PutBucketLifecycleConfiguration":    {"s3:PutLifecycleConfiguration", changeBucket(s3Documents["BucketLifecycleConfiguration"].put)},
	"DeleteBucketLifecycle":              {"s3:PutLifecycleConfiguration", changeBucket(s3Documents["BucketLifecycleConfiguration"].remove)},
	"GetBucketNotificationConfiguration": {"s3:GetBucketNotification", onBucket(s3Documents["BucketNotificationConfiguration"].get)},
	"PutBucketNotificationConfiguration": {"s3:PutBucketNotification", changeBucket(s3Documents["BucketNotificationConfiguration"].put)},
	"GetBucketReplication":               {"s3:GetReplicationConfiguration", onBucket(s3Documents["BucketReplication"].get)},
	"PutBucketReplication":               {"s3:PutReplicationConfiguration", changeBucket(s3Documents["BucketReplication"].put)},
	"DeleteBucketReplication":            {"s3:PutReplicationConfiguration", changeBucket(s3Documents["BucketReplication"].remove)},
	"GetBucketRequestPayment":            {"s3:GetBucketRequestPayment", onBucket(s3Documents["BucketRequestPayment"].get)},
	"PutBucketRequestPayment":            {"s3:PutBucketRequestPayment", changeBucket(s3Documents["BucketRequestPayment"].put)},
	"GetBucketWebsite":                   {"s3:GetBucketWebsite", onBucket(s3Documents["BucketWebsite"].get)},
	"PutBucketWebsite":                   {"s3:PutBucketWebsite", changeBucket(s3Documents["BucketWebsite"].put)},
	"DeleteBucketWebsite":                {"s3:DeleteBucketWebsite", changeBucket(s3Documents["BucketWebsite"].remove)},
	"GetObjectLockConfiguration":         {"s3:GetBucketObjectLockConfiguration", onBucket(s3Documents["ObjectLockConfiguration"].get)},
	"PutObjectLockConfiguration":         {"s3:PutBucketObjectLockConfiguration", changeBucket(s3Documents["ObjectLockConfiguration"].put)},
}
