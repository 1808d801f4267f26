package sandbox

import (
	"slices"
	"strings"
)

// Object Ownership. Source: Amazon S3 User Guide, "Controlling ownership of
// objects and disabling ACLs for your bucket".
const (
	ownerEnforced  = "BucketOwnerEnforced"
	ownerPreferred = "BucketOwnerPreferred"
	objectWriter   = "ObjectWriter"
)

// Groups that ACLs may grant to. Source: Amazon S3 User Guide, "Access control
// list (ACL) overview".
const (
	allUsers      = "http://acs.amazonaws.com/groups/global/AllUsers"
	authenticated = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
	logDelivery   = "http://acs.amazonaws.com/groups/s3/LogDelivery"
)

func grantTo(grantee object, permission string) any {
	return object{"Grantee": grantee, "Permission": permission}
}

func toUser(id string) object { return object{"Type": "CanonicalUser", "ID": id} }

func toGroup(uri string) object { return object{"Type": "Group", "URI": uri} }

func ownersGrants(account string) []any {
	return []any{grantTo(toUser(canonicalUser(account)), "FULL_CONTROL")}
}

// cannedACL gives the grants of a canned ACL beside the owner's. Source: the same
// page, "Canned ACL".
var cannedACL = map[string][]any{
	"private":                   nil,
	"public-read":               {grantTo(toGroup(allUsers), "READ")},
	"public-read-write":         {grantTo(toGroup(allUsers), "READ"), grantTo(toGroup(allUsers), "WRITE")},
	"authenticated-read":        {grantTo(toGroup(authenticated), "READ")},
	"log-delivery-write":        {grantTo(toGroup(logDelivery), "WRITE"), grantTo(toGroup(logDelivery), "READ_ACP")},
	"bucket-owner-full-control": nil, // of objects whose owner the bucket's owner is
	"bucket-owner-read":         nil,
}

// grantMembers are the members of input that grant one permission each.
var grantMembers = map[string]string{"GrantFullControl": "FULL_CONTROL", "GrantRead": "READ", "GrantReadACP": "READ_ACP", "GrantWrite": "WRITE", "GrantWriteACP": "WRITE_ACP"}

// givenGrants reads the ACL that a call names, in any of the forms that S3 has;
// false: it names none.
func (c *call) givenGrants() ([]any, bool, error) {
	var grants []any
	forms := 0
	if name := c.str("ACL"); name != "" {
		more, ok := cannedACL[name]
		if !ok {
			return nil, false, failure(400, "InvalidArgument", "The canned ACL %q is not valid", name)
		}
		grants, forms = append(ownersGrants(c.who.Account), more...), forms+1
	}
	if p := c.object("AccessControlPolicy"); p != nil {
		for _, g := range objects(p["Grants"]) {
			grants = append(grants, g)
		}
		forms++
	}
	inHeaders := false
	for _, member := range sorted(grantMembers) {
		more, err := granteesIn(c.str(member), grantMembers[member])
		if err != nil {
			return nil, false, err
		}
		grants, inHeaders = append(grants, more...), inHeaders || len(more) > 0
	}
	if inHeaders {
		forms++
	}
	if forms > 1 {
		return nil, false, failure(400, "InvalidRequest", "Specifying both Canned ACLs and Header Grants is not allowed")
	}
	for _, g := range grants {
		if err := checkGrantee(g); err != nil {
			return nil, false, err
		}
	}
	return grants, forms > 0, nil
}

// granteesIn reads a header such as id="...", uri="...".
func granteesIn(header, permission string) ([]any, error) {
	var out []any
	for part := range strings.SplitSeq(header, ",") {
		kind, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		value = strings.Trim(value, `"`)
		switch {
		case header == "":
		case ok && kind == "id":
			out = append(out, grantTo(toUser(value), permission))
		case ok && kind == "uri":
			out = append(out, grantTo(toGroup(value), permission))
		case ok && kind == "emailAddress":
			out = append(out, grantTo(object{"Type": "AmazonCustomerByEmail", "EmailAddress": value}, permission))
		default:
			return nil, failure(400, "InvalidArgument", "Argument format not recognized")
		}
	}
	return out, nil
}

func checkGrantee(g any) error {
	to, _ := g.(object)["Grantee"].(object)
	id, _ := to["ID"].(string)
	uri, _ := to["URI"].(string)
	switch {
	case to["Type"] == "AmazonCustomerByEmail":
		return failure(400, "UnresolvableGrantByEmailAddress", "The email address you provided does not match any account on record")
	case to["Type"] == "Group" && uri != allUsers && uri != authenticated && uri != logDelivery:
		return failure(400, "InvalidArgument", "Invalid group uri")
	case to["Type"] == "CanonicalUser" && (len(id) != 64 || strings.Trim(id, "0123456789abcdef") != ""):
		return failure(400, "InvalidArgument", "Invalid id")
	case to["Type"] != "Group" && to["Type"] != "CanonicalUser":
		return failure(400, "MalformedACLError", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	return nil
}

// publicGrants says whether an ACL grants something to everyone.
func publicGrants(grants []any) bool {
	return slices.ContainsFunc(objects(grants), func(g object) bool {
		to, _ := g["Grantee"].(object)
		return to["URI"] == allUsers || to["URI"] == authenticated
	})
}

// onlyOwners says whether an ACL is one that a bucket without ACLs may have.
func onlyOwners(grants []any, account string) bool {
	return !slices.ContainsFunc(objects(grants), func(g object) bool {
		to, _ := g["Grantee"].(object)
		return to["ID"] != canonicalUser(account)
	})
}

// newBucketACL reads the ACL of a bucket that is being created.
func (c *call) newBucketACL(b *bucket) error {
	grants, given, err := c.givenGrants()
	if err != nil || !given || onlyOwners(grants, b.Owner) {
		return err
	}
	if b.Ownership == ownerEnforced {
		return failure(400, "InvalidBucketAclWithObjectOwnership", "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting")
	}
	if publicGrants(grants) {
		return failure(400, "InvalidBucketAclWithBlockPublicAccessError", "Bucket cannot have public ACLs set with BlockPublicAccess enabled")
	}
	b.Grants = grants
	return nil
}

func getBucketACL(_ *call, b bucket) (map[string]any, error) {
	grants := b.Grants
	if grants == nil || b.Ownership == ownerEnforced {
		grants = ownersGrants(b.Owner)
	}
	return object{"Owner": s3Owner(b.Owner), "Grants": grants}, nil
}

func putBucketACL(c *call, b *bucket) error {
	grants, given, err := c.givenGrants()
	switch {
	case err != nil:
		return err
	case !given:
		return failure(400, "MissingSecurityHeader", "Your request was missing a required header")
	case b.Ownership == ownerEnforced:
		return failure(400, "AccessControlListNotSupported", "The bucket does not allow ACLs")
	case publicGrants(grants) && c.blocks(*b, "BlockPublicAcls"):
		return failure(403, "AccessDenied", "User: %s is not authorized to perform: s3:PutBucketAcl because public access control lists (ACLs) are prevented by the BlockPublicAcls setting in S3 Block Public Access.", c.who.ARN)
	}
	b.Grants = grants
	return nil
}

// objectACL checks the ACL that an upload names. The sandbox keeps no ACLs of
// objects.
func (c *call) objectACL(b bucket) error {
	grants, given, err := c.givenGrants()
	switch {
	case err != nil || !given:
		return err
	case b.Ownership == ownerEnforced && c.str("ACL") != "bucket-owner-full-control" && !onlyOwners(grants, b.Owner):
		return failure(400, "AccessControlListNotSupported", "The bucket does not allow ACLs")
	case publicGrants(grants) && c.blocks(b, "BlockPublicAcls"):
		return failure(403, "AccessDenied", "User: %s is not authorized to perform: s3:PutObject because public access control lists (ACLs) are prevented by the BlockPublicAcls setting in S3 Block Public Access.", c.who.ARN)
	}
	return nil
}

func getOwnershipControls(_ *call, b bucket) (map[string]any, error) {
	if b.Ownership == "" {
		return nil, failure(404, "OwnershipControlsNotFoundError", "The bucket ownership controls were not found")
	}
	return object{"OwnershipControls": object{"Rules": []any{object{"ObjectOwnership": b.Ownership}}}}, nil
}

func putOwnershipControls(c *call, b *bucket) error {
	rules := objects(c.object("OwnershipControls")["Rules"])
	if len(rules) != 1 {
		return failure(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	to, _ := rules[0]["ObjectOwnership"].(string)
	if to != ownerEnforced && to != ownerPreferred && to != objectWriter {
		return failure(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	if to == ownerEnforced && !onlyOwners(b.Grants, b.Owner) {
		return failure(400, "InvalidBucketAclWithObjectOwnership", "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting")
	}
	b.Ownership = to
	return nil
}

var s3ACLHandlers = map[string]handler{
	"GetBucketAcl":                  {"s3:GetBucketAcl", onBucket(getBucketACL)},
	"PutBucketAcl":                  {"s3:PutBucketAcl", changeBucket(putBucketACL)},
	"GetBucketOwnershipControls":    {"s3:GetBucketOwnershipControls", onBucket(getOwnershipControls)},
	"PutBucketOwnershipControls":    {"s3:PutBucketOwnershipControls", changeBucket(putOwnershipControls)},
	"DeleteBucketOwnershipControls": {"s3:PutBucketOwnershipControls", changeBucket(func(_ *call, b *bucket) error { b.Ownership = ""; return nil })},
}
