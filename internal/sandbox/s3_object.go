package sandbox

import (
	"bytes"
	"crypto/md5"  //nolint:gosec // S3's ETag
	"crypto/sha1" //nolint:gosec // one of S3's checksums
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// s3Version is one version of an object, or a delete marker.
type s3Version struct {
	ID     string    `json:"id"` // "null" where versioning was not on
	At     time.Time `json:"at"`
	Marker bool      `json:"deleteMarker,omitempty"`
	Body   []byte    `json:"body,omitempty"`
	ETag   string    `json:"etag,omitempty"`
	// Head is what GetObject gives beside the body, by its members' names.
	Head structure `json:"head,omitempty"`
	Tags tagSet    `json:"tags,omitempty"`
}

const nullVersion = "null"

// s3Keep are the members of an upload that come back with the object.
var s3Keep = []string{"CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires", "WebsiteRedirectLocation", "StorageClass", "Metadata"}

// current is the latest version of an object; false: there is none, or it is
// deleted.
func (c *call) current(name, key string) (s3Version, bool) {
	l := c.state.Objects[name][key]
	if len(l) == 0 || l[len(l)-1].Marker {
		return s3Version{}, false
	}
	return l[len(l)-1], true
}

// putVersion adds a version to an object, in place of the null version if it is one.
func (c *call) putVersion(name, key string, v s3Version) {
	objects := made(c.state.Objects[name])
	var kept []s3Version
	for _, old := range objects[key] {
		if v.ID != nullVersion || old.ID != nullVersion {
			kept = append(kept, old)
		}
	}
	objects[key] = append(kept, v)
	c.state.Objects = made(c.state.Objects)
	c.state.Objects[name] = objects
}

// newVersionID is the id that a version gets in a bucket.
func (c *call) newVersionID(b bucket) string {
	if b.Versioning == "Enabled" {
		return c.id("", 32)
	}
	return nullVersion
}

// upload reads a payload: bytes, text, or a stream.
func (c *call) upload(name string) ([]byte, error) {
	switch v := c.in[name].(type) {
	case []byte:
		return v, nil
	case string:
		return []byte(v), nil
	case io.Reader:
		return io.ReadAll(v)
	}
	return nil, nil
}

// checksums are the checksums that the sandbox computes, by the ends of their
// members' names.
var checksums = map[string]func([]byte) []byte{
	"CRC32":  func(b []byte) []byte { return uint32Bytes(crc32.ChecksumIEEE(b)) },
	"CRC32C": func(b []byte) []byte { return uint32Bytes(crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))) },
	"SHA1":   func(b []byte) []byte { s := sha1.Sum(b); return s[:] }, //nolint:gosec // as above
	"SHA256": func(b []byte) []byte { s := sha256.Sum256(b); return s[:] },
}

func uint32Bytes(n uint32) []byte { return []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)} }

// checked compares a payload with the checksums that the call gives, and gives
// those that the object keeps.
func (c *call) checked(body []byte) (structure, error) {
	if want := c.str("ContentMD5"); want != "" {
		sum := md5.Sum(body) //nolint:gosec // as above
		raw, err := base64.StdEncoding.DecodeString(want)
		if err != nil || len(raw) != len(sum) {
			return nil, failure(400, "InvalidDigest", "The Content-MD5 you specified was invalid.")
		}
		if !bytes.Equal(raw, sum[:]) {
			return nil, failure(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
		}
	}
	keep := structure{}
	for _, name := range sorted(checksums) {
		want := c.str("Checksum" + name)
		if want == "" && c.str("ChecksumAlgorithm") != name {
			continue
		}
		have := base64.StdEncoding.EncodeToString(checksums[name](body))
		if want != "" && want != have {
			return nil, failure(400, "BadDigest", "The %s you specified did not match the calculated checksum.", name)
		}
		keep["Checksum"+name], keep["ChecksumType"] = have, "FULL_OBJECT"
	}
	return keep, nil
}

// asked gives the algorithm and the key, "" if it is S3's own, of an upload: what
// the call asks for, or the bucket's default.
func (c *call) asked(b bucket) (algorithm, key string, err error) {
	by, _ := b.encryption()["ApplyServerSideEncryptionByDefault"].(object)
	algorithm, _ = by["SSEAlgorithm"].(string)
	key, _ = by["KMSMasterKeyID"].(string)
	if asked := c.str("ServerSideEncryption"); asked != "" {
		if asked != algorithm {
			key = ""
		}
		algorithm = asked
	}
	if k := c.str("SSEKMSKeyId"); k != "" {
		if !strings.HasPrefix(algorithm, "aws:kms") {
			return "", "", failure(400, "InvalidArgument", "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms")
		}
		key = k
	}
	return algorithm, key, nil
}

// encryptionOf gives the members that say how an object is encrypted.
func (c *call) encryptionOf(b bucket) (structure, error) {
	algorithm, key, err := c.asked(b)
	if err != nil {
		return nil, err
	}
	out := structure{"ServerSideEncryption": algorithm}
	if !strings.HasPrefix(algorithm, "aws:kms") {
		return out, nil
	}
	arn, err := c.serviceKey(key, "alias/aws/s3")
	if err != nil {
		return nil, failure(400, "KMS."+codeOf(err), "%v", err)
	}
	out["SSEKMSKeyId"] = arn
	if b.encryption().bool("BucketKeyEnabled") || c.bool("BucketKeyEnabled") {
		out["BucketKeyEnabled"] = true
	}
	return out, nil
}

// serviceKey gives the ARN of the key that a service is to encrypt with; the
// empty name is the service's own key.
func (c *call) serviceKey(name, own string) (string, error) {
	if name == "" {
		name = own
	}
	at, k, err := c.findKey(name, c.now)
	if err != nil {
		return "", err
	}
	return at.String(), k.usable(at.arn)
}

// preconditions checks IfMatch and IfNoneMatch of a write.
func (c *call) preconditions(now s3Version, there bool) error {
	if want := c.str("IfMatch"); want != "" {
		if !there {
			return failure(404, "NoSuchKey", "The specified key does not exist.")
		}
		if !sameTag(want, now.ETag) {
			return failure(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
		}
	}
	if c.str("IfNoneMatch") == "*" && there {
		return failure(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
	}
	return nil
}

func sameTag(want, etag string) bool {
	return want == "*" || strings.Trim(want, `"`) == strings.Trim(etag, `"`)
}

func putObject(c *call) (map[string]any, error) {
	_, b, err := c.liveBucket(c.now)
	if err != nil {
		return nil, err
	}
	body, err := c.upload("Body")
	if err != nil {
		return nil, failure(400, "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header: %v", err)
	}
	head := structure{"ContentType": "binary/octet-stream"}
	sums, err := c.checked(body)
	if err != nil {
		return nil, err
	}
	return c.store(b, body, head.with(kept(c.in)).with(sums))
}

// kept are the members of input that come back with the object.
func kept(in object) structure {
	out := structure{}
	for _, name := range s3Keep {
		if v, ok := in[name]; ok && v != "" {
			out[name] = v
		}
	}
	return out
}

// store makes the new version of the object that the call names.
func (c *call) store(b bucket, body []byte, head structure) (map[string]any, error) {
	name, key := c.str("Bucket"), c.str("Key")
	if key == "" || len(key) > 1024 {
		return nil, failure(400, "KeyTooLongError", "Your key is too long")
	}
	now, there := c.current(name, key)
	if err := c.preconditions(now, there); err != nil {
		return nil, err
	}
	if err := c.objectACL(b); err != nil {
		return nil, err
	}
	how, err := c.encryptionOf(b)
	if err != nil {
		return nil, err
	}
	tags, err := headerTags(c.str("Tagging"))
	if err != nil {
		return nil, err
	}
	v := s3Version{ID: c.newVersionID(b), At: c.now, Body: body, Tags: tags, Head: head.with(how)}
	sum := md5.Sum(body) //nolint:gosec // as above
	if strings.HasPrefix(how.str("ServerSideEncryption"), "aws:kms") {
		// Under SSE-KMS the tag is not the digest of the body. Source: Amazon S3 API
		// Reference, "Object".
		long := sha256.Sum256(append([]byte(v.ID+key), body...))
		copy(sum[:], long[:])
	}
	v.ETag = `"` + hex.EncodeToString(sum[:]) + `"`
	c.putVersion(name, key, v)
	c.objectEvent(b, "Object Created", key, v, map[string]string{"PutObject": "PutObject", "CopyObject": "CopyObject"}[c.operation.Name])
	out := object{"ETag": v.ETag}
	for k, e := range how {
		out[k] = e
	}
	for k, e := range head {
		if strings.HasPrefix(k, "Checksum") {
			out[k] = e
		}
	}
	if v.ID != nullVersion { // with versioning suspended S3 names none
		out["VersionId"] = v.ID
	}
	return out, nil
}

// headerTags reads tags from a header, which is in the form of a query.
func headerTags(text string) (tagSet, error) {
	if text == "" {
		return nil, nil
	}
	query, err := url.ParseQuery(text)
	if err != nil || len(query) > 10 {
		return nil, failure(400, "InvalidArgument", "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
	}
	out := tagSet{}
	for k, v := range query {
		if len(v) > 1 {
			return nil, failure(400, "InvalidArgument", "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
		}
		out[k] = v[0]
	}
	return out, nil
}

// findVersion gives the version that a read names, or the current one.
func (c *call) findVersion(name, key, id string) (s3Version, error) {
	versions := c.state.Objects[name][key]
	if id == "" {
		if v, ok := c.current(name, key); ok {
			return v, nil
		}
		return s3Version{}, failure(404, "NoSuchKey", "The specified key does not exist.")
	}
	for _, v := range versions {
		switch {
		case v.ID != id:
		case v.Marker:
			return s3Version{}, failure(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
		default:
			return v, nil
		}
	}
	if id != nullVersion && (len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "") {
		return s3Version{}, failure(400, "InvalidArgument", "Invalid version id specified")
	}
	return s3Version{}, failure(404, "NoSuchVersion", "The specified version does not exist.")
}

// fresh checks the conditions of a read, in the order that RFC 9110 has for them.
func (c *call) fresh(v s3Version) error {
	changed := failure(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
	same := failure(304, "NotModified", "Not Modified")
	at := v.At.Truncate(time.Second)
	if want := c.str("IfMatch"); want != "" {
		if !sameTag(want, v.ETag) {
			return changed
		}
	} else if t, ok := c.in["IfUnmodifiedSince"].(time.Time); ok && at.After(t) {
		return changed
	}
	if want := c.str("IfNoneMatch"); want != "" {
		if sameTag(want, v.ETag) {
			return same
		}
	} else if t, ok := c.in["IfModifiedSince"].(time.Time); ok && !at.After(t) {
		return same
	}
	return nil
}

func headOf(b bucket, v s3Version) object {
	out := object{"ETag": v.ETag, "LastModified": v.At.Truncate(time.Second), "AcceptRanges": "bytes", "ContentLength": int64(len(v.Body)), "Metadata": object{}}
	for k, e := range v.Head {
		if !strings.HasPrefix(k, "Checksum") && e != "STANDARD" {
			out[k] = e
		}
	}
	if b.Versioning != "" {
		out["VersionId"] = v.ID
	}
	if len(v.Tags) > 0 {
		out["TagCount"] = int64(len(v.Tags))
	}
	return out
}

// readS3Object serves GetObject and HeadObject.
func readS3Object(c *call) (object, []byte, error) {
	_, b, err := c.liveBucket(c.now)
	if err != nil {
		return nil, nil, err
	}
	v, err := c.findVersion(c.str("Bucket"), c.str("Key"), c.str("VersionId"))
	if err != nil {
		return nil, nil, err
	}
	if err := c.fresh(v); err != nil {
		return nil, nil, err
	}
	if arn := v.Head.str("SSEKMSKeyId"); arn != "" {
		if _, err := c.serviceKey(arn, ""); err != nil {
			return nil, nil, failure(400, "KMS."+codeOf(err), "%v", err)
		}
	}
	out, body := headOf(b, v), v.Body
	if c.str("ChecksumMode") == "ENABLED" && c.str("Range") == "" {
		for k, e := range v.Head {
			if strings.HasPrefix(k, "Checksum") {
				out[k] = e
			}
		}
	}
	for _, name := range []string{"CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType"} {
		if t := c.str("Response" + name); t != "" {
			out[name] = t
		}
	}
	if from, to, ok, err := byteRange(c.str("Range"), len(body)); err != nil {
		return nil, nil, err
	} else if ok {
		out["ContentRange"], out["ContentLength"] = fmt.Sprintf("bytes %d-%d/%d", from, to-1, len(body)), int64(to-from)
		body = body[from:to]
	}
	return out, body, nil
}

// byteRange reads a Range of one range; false: there is none that counts, and
// the whole is meant, as RFC 9110 has it.
func byteRange(text string, size int) (from, to int, ok bool, err error) {
	spec, ok := strings.CutPrefix(text, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if !ok || !dash || strings.Contains(spec, ",") {
		return 0, 0, false, nil
	}
	unsatisfiable := failure(416, "InvalidRange", "The requested range is not satisfiable")
	if first == "" {
		n, err := strconv.Atoi(last)
		if err != nil || n < 0 {
			return 0, 0, false, nil
		}
		if n == 0 || size == 0 {
			return 0, 0, false, unsatisfiable
		}
		return max(0, size-n), size, true, nil
	}
	from, err = strconv.Atoi(first)
	if err != nil || from < 0 {
		return 0, 0, false, nil
	}
	to = size
	if last != "" {
		end, err := strconv.Atoi(last)
		if err != nil || end < from {
			return 0, 0, false, nil
		}
		to = min(size, end+1)
	}
	if from >= size {
		return 0, 0, false, unsatisfiable
	}
	return from, to, true, nil
}

func getObject(c *call) (map[string]any, error) {
	out, body, err := readS3Object(c)
	if err != nil {
		return nil, err
	}
	out["Body"] = body
	return out, nil
}

func headObject(c *call) (map[string]any, error) {
	out, _, err := readS3Object(c)
	if err != nil {
		return nil, headError(err)
	}
	return out, nil
}

// copySource reads BUCKET/KEY?versionId=ID; without a key it is none.
func copySource(text string) (name, key, version string) {
	if i := strings.LastIndex(text, "?versionId="); i >= 0 {
		text, version = text[:i], text[i+len("?versionId="):]
	}
	name, key, _ = strings.Cut(strings.TrimPrefix(text, "/"), "/")
	return name, key, version
}

func copyObject(c *call) (map[string]any, error) {
	_, b, err := c.liveBucket(c.now)
	if err != nil {
		return nil, err
	}
	name, key, version := copySource(c.str("CopySource"))
	if key == "" {
		return nil, failure(400, "InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	}
	_, from, err := c.bucketNamed(name, c.now)
	if err != nil {
		return nil, err
	}
	v, err := c.findVersion(name, key, version)
	if err != nil {
		return nil, err
	}
	if want := c.str("CopySourceIfMatch"); want != "" && !sameTag(want, v.ETag) {
		return nil, failure(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
	}
	replace := c.str("MetadataDirective") == "REPLACE"
	if name == c.str("Bucket") && key == c.str("Key") && version == "" && !replace && c.str("StorageClass") == "" && c.str("ServerSideEncryption") == "" && c.str("WebsiteRedirectLocation") == "" {
		return nil, failure(400, "InvalidRequest", "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	head := structure{"ContentType": "binary/octet-stream"}
	if replace {
		head = head.with(kept(c.in))
	} else {
		head = head.with(kept(object(v.Head)))
	}
	if c.str("TaggingDirective") != "REPLACE" && len(v.Tags) > 0 {
		c = c.inner(c.region, "s3", "CopyObject", structure(c.in).with(structure{"Tagging": tagHeader(v.Tags)}))
	}
	out, err := c.store(b, v.Body, head)
	if err != nil {
		return nil, err
	}
	out["CopyObjectResult"] = object{"ETag": out["ETag"], "LastModified": c.now}
	delete(out, "ETag")
	if from.Versioning != "" {
		out["CopySourceVersionId"] = v.ID
	}
	return out, nil
}

func tagHeader(tags tagSet) string {
	q := url.Values{}
	for k, v := range tags {
		q.Set(k, v)
	}
	return q.Encode()
}

// getObjectTagging serves the tags of one version.
func getObjectTagging(c *call) (map[string]any, error) {
	_, b, err := c.liveBucket(c.now)
	if err != nil {
		return nil, err
	}
	v, err := c.findVersion(c.str("Bucket"), c.str("Key"), c.str("VersionId"))
	if err != nil {
		return nil, err
	}
	out := object{"TagSet": v.Tags.list()}
	if b.Versioning != "" {
		out["VersionId"] = v.ID
	}
	return out, nil
}

var s3ObjectHandlers = map[string]handler{
	"CopyObject":       {"s3:PutObject", copyObject},
	"GetObject":        {"s3:GetObject", getObject},
	"GetObjectTagging": {"s3:GetObjectTagging", getObjectTagging},
	"HeadObject":       {"s3:GetObject", headObject},
	"PutObject":        {"s3:PutObject", putObject},
}
