package sandbox

import (
	"encoding/base64"
	"net/url"
	"strings"
)

// s3Entry is one line of a listing: a version, or a prefix that stands for the
// keys below it.
type s3Entry struct {
	key     string
	version s3Version
	latest  bool
	prefix  bool
}

// entries lists a bucket by keys, each key's versions the newest first, from
// behind a key and a version of it; all tells whether old versions and delete
// markers are wanted. Keys that hold the delimiter behind the prefix are rolled up.
func (c *call) entries(all bool, afterKey, afterVersion string) []s3Entry {
	prefix, delimiter := c.str("Prefix"), c.str("Delimiter")
	var out []s3Entry
	objects := c.state.Objects[c.str("Bucket")]
	for _, key := range sorted(objects) {
		if !strings.HasPrefix(key, prefix) || key < afterKey || key == afterKey && afterVersion == "" {
			continue
		}
		if rolled := rolledUp(key, prefix, delimiter); rolled != "" {
			_, there := c.current(c.str("Bucket"), key)
			seen := len(out) > 0 && out[len(out)-1].key == rolled
			if (there || all) && !seen && rolled > afterKey && !strings.HasPrefix(afterKey, rolled) {
				out = append(out, s3Entry{key: rolled, prefix: true})
			}
			continue
		}
		versions := objects[key]
		skip := key == afterKey
		for i := len(versions) - 1; i >= 0; i-- {
			v, latest := versions[i], i == len(versions)-1
			if !skip && (all || latest && !v.Marker) {
				out = append(out, s3Entry{key: key, version: v, latest: latest})
			}
			if skip && v.ID == afterVersion {
				skip = false
			}
		}
	}
	return out
}

func rolledUp(key, prefix, delimiter string) string {
	if delimiter == "" {
		return ""
	}
	if i := strings.Index(key[len(prefix):], delimiter); i >= 0 {
		return key[:len(prefix)+i+len(delimiter)]
	}
	return ""
}

// maxKeys is how many entries a listing may have.
func (c *call) maxKeys() (int64, error) {
	n, given := c.int("MaxKeys")
	if n < 0 {
		return 0, failure(400, "InvalidArgument", "Argument maxKeys must be an integer between 0 and 2147483647")
	}
	if !given || n > 1000 {
		return 1000, nil
	}
	return n, nil
}

// coded writes a key as the call wants keys written.
func (c *call) coded(key string) string {
	if c.str("EncodingType") != "url" {
		return key
	}
	return strings.ReplaceAll(url.QueryEscape(key), "%2F", "/")
}

// echo starts a listing's answer with what the call asked for.
func (c *call) echo(most int64, names ...string) object {
	out := object{"Name": c.str("Bucket"), "Prefix": c.coded(c.str("Prefix")), "MaxKeys": most, "IsTruncated": false}
	for _, name := range append(names, "Delimiter", "EncodingType") {
		if t := c.str(name); t != "" {
			out[name] = t
			if name != "EncodingType" && name != "ContinuationToken" && name != "VersionIdMarker" {
				out[name] = c.coded(t)
			}
		}
	}
	return out
}

func objectOut(c *call, e s3Entry, owner bool, b bucket) object {
	out := object{"Key": c.coded(e.key), "Size": int64(len(e.version.Body)), "ETag": e.version.ETag, "LastModified": e.version.At, "StorageClass": "STANDARD"}
	if class := e.version.Head.str("StorageClass"); class != "" {
		out["StorageClass"] = class
	}
	for _, name := range sorted(checksums) {
		if e.version.Head["Checksum"+name] != nil {
			out["ChecksumAlgorithm"], out["ChecksumType"] = []any{name}, "FULL_OBJECT"
		}
	}
	if owner {
		out["Owner"] = s3Owner(b.Owner)
	}
	return out
}

// listCurrent lists objects from behind a key. next is the key that a further
// page follows, "" if this is the last.
func (c *call) listCurrent(b bucket, out object, after string, owner bool) (next string) {
	most, _ := out["MaxKeys"].(int64)
	contents, prefixes := []any{}, []any{}
	for _, e := range c.entries(false, after, "") {
		if int64(len(contents)+len(prefixes)) == most {
			out["IsTruncated"] = most > 0
			break
		}
		next = e.key
		if e.prefix {
			prefixes = append(prefixes, object{"Prefix": c.coded(e.key)})
		} else {
			contents = append(contents, objectOut(c, e, owner, b))
		}
	}
	if out["IsTruncated"] != true {
		next = ""
	}
	if len(contents) > 0 {
		out["Contents"] = contents
	}
	if len(prefixes) > 0 {
		out["CommonPrefixes"] = prefixes
	}
	out["KeyCount"] = int64(len(contents) + len(prefixes))
	return next
}

func listObjectsV2(c *call) (map[string]any, error) {
	_, b, err := c.liveBucket(c.now)
	if err != nil {
		return nil, err
	}
	most, err := c.maxKeys()
	if err != nil {
		return nil, err
	}
	after := c.str("StartAfter")
	if t := c.str("ContinuationToken"); t != "" {
		raw, err := base64.URLEncoding.DecodeString(t)
		if err != nil {
			return nil, failure(400, "InvalidArgument", "The continuation token provided is incorrect")
		}
		after = string(raw)
	}
	out := c.echo(most, "StartAfter", "ContinuationToken")
	if next := c.listCurrent(b, out, after, c.bool("FetchOwner")); next != "" {
		out["NextContinuationToken"] = base64.URLEncoding.EncodeToString([]byte(next))
	}
	return out, nil
}

func listObjects(c *call) (map[string]any, error) {
	_, b, err := c.liveBucket(c.now)
	if err != nil {
		return nil, err
	}
	most, err := c.maxKeys()
	if err != nil {
		return nil, err
	}
	out := c.echo(most)
	out["Marker"] = c.coded(c.str("Marker"))
	next := c.listCurrent(b, out, c.str("Marker"), true)
	delete(out, "KeyCount")
	if next != "" && c.str("Delimiter") != "" {
		out["NextMarker"] = c.coded(next) // else it is the last key
	}
	return out, nil
}

func listObjectVersions(c *call) (map[string]any, error) {
	_, b, err := c.liveBucket(c.now)
	if err != nil {
		return nil, err
	}
	most, err := c.maxKeys()
	if err != nil {
		return nil, err
	}
	if c.str("VersionIdMarker") != "" && c.str("KeyMarker") == "" {
		return nil, failure(400, "InvalidArgument", "A version-id marker cannot be specified without a key marker.")
	}
	out := c.echo(most, "VersionIdMarker")
	out["KeyMarker"] = c.coded(c.str("KeyMarker"))
	versions, markers, prefixes := []any{}, []any{}, []any{}
	var before s3Entry
	for _, e := range c.entries(true, c.str("KeyMarker"), c.str("VersionIdMarker")) {
		if int64(len(versions)+len(markers)+len(prefixes)) == most {
			if most > 0 {
				out["IsTruncated"], out["NextKeyMarker"] = true, c.coded(before.key)
				if !before.prefix {
					out["NextVersionIdMarker"] = before.version.ID
				}
			}
			break
		}
		before = e
		switch {
		case e.prefix:
			prefixes = append(prefixes, object{"Prefix": c.coded(e.key)})
		case e.version.Marker:
			markers = append(markers, object{"Key": c.coded(e.key), "VersionId": e.version.ID, "IsLatest": e.latest, "LastModified": e.version.At, "Owner": s3Owner(b.Owner)})
		default:
			o := objectOut(c, e, true, b)
			o["VersionId"], o["IsLatest"] = e.version.ID, e.latest
			versions = append(versions, o)
		}
	}
	for name, list := range map[string][]any{"Versions": versions, "DeleteMarkers": markers, "CommonPrefixes": prefixes} {
		if len(list) > 0 {
			out[name] = list
		}
	}
	return out, nil
}

// remove deletes an object or one version of it. Without a version a versioned
// bucket only gets a marker: the object keeps its versions. To delete what is not
// there is no error.
func (c *call) remove(b bucket, key, id string) object {
	name := c.str("Bucket")
	out := object{}
	if id == "" && b.Versioning != "" {
		marker := s3Version{ID: c.newVersionID(b), At: c.now, Marker: true}
		c.putVersion(name, key, marker)
		c.objectEvent(b, "Object Deleted", key, marker, "Delete Marker Created")
		return object{"DeleteMarker": true, "VersionId": marker.ID}
	}
	versions := c.state.Objects[name][key]
	var kept []s3Version
	for _, v := range versions {
		if v.ID != id && (id != "" || v.ID != nullVersion) {
			kept = append(kept, v)
			continue
		}
		c.objectEvent(b, "Object Deleted", key, v, "Permanently Deleted")
		if v.Marker {
			out["DeleteMarker"] = true
		}
	}
	if len(kept) == 0 {
		delete(c.state.Objects[name], key)
	} else {
		c.state.Objects[name][key] = kept
	}
	if id != "" {
		out["VersionId"] = id
	}
	return out
}

func deleteObject(c *call) (map[string]any, error) {
	_, b, err := c.liveBucket(c.now)
	if err != nil {
		return nil, err
	}
	now, there := c.current(c.str("Bucket"), c.str("Key"))
	if want := c.str("IfMatch"); want != "" && (!there || !sameTag(want, now.ETag)) {
		return nil, failure(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
	}
	return c.remove(b, c.str("Key"), c.str("VersionId")), nil
}

func deleteObjects(c *call) (map[string]any, error) {
	_, b, err := c.liveBucket(c.now)
	if err != nil {
		return nil, err
	}
	list := objects(c.object("Delete")["Objects"])
	if len(list) == 0 || len(list) > 1000 {
		return nil, failure(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	deleted, refused := []any{}, []any{}
	for _, o := range list {
		key, _ := o["Key"].(string)
		id, _ := o["VersionId"].(string)
		one := object{"Key": key}
		if id != "" {
			one["VersionId"] = id
		}
		if err := c.mayDelete(key, id); err != nil {
			refused = append(refused, object(structure(one).with(structure{"Code": codeOf(err), "Message": err.Error()})))
			continue
		}
		gone := c.remove(b, key, id)
		if gone["DeleteMarker"] == true {
			one["DeleteMarker"], one["DeleteMarkerVersionId"] = true, gone["VersionId"]
		}
		deleted = append(deleted, one)
	}
	out := object{}
	if len(refused) > 0 {
		out["Errors"] = refused
	}
	if c.object("Delete")["Quiet"] != true {
		out["Deleted"] = deleted
	}
	return out, nil
}

// mayDelete says whether the caller may delete one object of DeleteObjects.
func (c *call) mayDelete(key, version string) error {
	n := need{action: "s3:DeleteObject", resource: c.bucketARN(c.str("Bucket") + "/" + key)}
	if version != "" {
		n.action = versionAction(n.action)
	}
	return c.permit(&n)
}

// objectEvent tells EventBridge of an object, where the bucket's notifications
// are sent there. Source: Amazon S3 User Guide, "EventBridge event message
// structure".
func (c *call) objectEvent(b bucket, kind, key string, v s3Version, why string) {
	if b.document("NotificationConfiguration")["EventBridgeConfiguration"] == nil {
		return
	}
	about := object{"key": key, "sequencer": c.now.UTC().Format("20060102150405")}
	detail := object{"version": "0", "bucket": object{"name": c.str("Bucket")}, "object": about, "requester": c.who.Account, "source-ip-address": "127.0.0.1"}
	if v.ID != nullVersion {
		about["version-id"] = v.ID
	}
	if kind == "Object Deleted" {
		detail["reason"], detail["deletion-type"] = c.operation.Name, why
	} else {
		about["size"], about["etag"], detail["reason"] = len(v.Body), strings.Trim(v.ETag, `"`), why
	}
	c.emit(c.now, "aws.s3", kind, []string{c.bucketARN(c.str("Bucket"))}, detail)
}

// currentObjects gives what a bucket's objects are now, as a backup takes them.
func (c *call) currentObjects(name string) map[string]s3Version {
	out := map[string]s3Version{}
	for key := range c.state.Objects[name] {
		if v, ok := c.current(name, key); ok {
			out[key] = v
		}
	}
	return out
}

var s3ListHandlers = map[string]handler{
	"DeleteObject":       {"s3:DeleteObject", deleteObject},
	"DeleteObjects":      {"", deleteObjects}, // each object needs its own
	"ListObjectVersions": {"s3:ListBucketVersions", listObjectVersions},
	"ListObjects":        {"s3:ListBucket", listObjects},
	"ListObjectsV2":      {"s3:ListBucket", listObjectsV2},
}
