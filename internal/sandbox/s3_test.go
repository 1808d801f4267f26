package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood/awsapi"
)

const testBucket = "acme-invoices"

func (w *world) bucket(name string) {
	w.t.Helper()
	w.do("s3", "CreateBucket", object{"Bucket": name, "CreateBucketConfiguration": object{"LocationConstraint": w.region}})
}

// on gives an input for the test's bucket.
func on(more object) object {
	out := object{"Bucket": testBucket}
	for k, v := range more {
		out[k] = v
	}
	return out
}

func (w *world) put(key, body string) string {
	w.t.Helper()
	id, _ := w.do("s3", "PutObject", on(object{"Key": key, "Body": []byte(body)}))["VersionId"].(string)
	return id
}

func (w *world) get(key string) string {
	w.t.Helper()
	return string(w.do("s3", "GetObject", on(object{"Key": key}))["Body"].([]byte))
}

// pick gives one member of each element of a list.
func pick(list any, name string) []string {
	var out []string
	for _, o := range objects(list) {
		out = append(out, fmt.Sprint(o[name]))
	}
	return out
}

func TestANewBucketsDefaults(t *testing.T) {
	w := newWorld(t)
	w.bucket(testBucket)
	for operation, want := range map[string]object{
		"GetPublicAccessBlock":       {"PublicAccessBlockConfiguration": wholeBlock(true)},
		"GetBucketEncryption":        {"ServerSideEncryptionConfiguration": object{"Rules": []any{object{"ApplyServerSideEncryptionByDefault": object{"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": false}}}},
		"GetBucketOwnershipControls": {"OwnershipControls": object{"Rules": []any{object{"ObjectOwnership": "BucketOwnerEnforced"}}}},
		"GetBucketAcl":               {"Owner": s3Owner("111122223333"), "Grants": ownersGrants("111122223333")},
		"GetBucketVersioning":        {},
		"GetBucketLogging":           {},
		"GetBucketRequestPayment":    {"Payer": "BucketOwner"},
		"GetBucketLocation":          {"LocationConstraint": "eu-west-1"},
	} {
		if got := w.do("s3", operation, on(nil)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", operation, got, want)
		}
	}
	for operation, code := range map[string]string{
		"GetBucketTagging":                "NoSuchTagSet",
		"GetBucketPolicy":                 "NoSuchBucketPolicy",
		"GetBucketPolicyStatus":           "NoSuchBucketPolicy",
		"GetBucketCors":                   "NoSuchCORSConfiguration",
		"GetBucketLifecycleConfiguration": "NoSuchLifecycleConfiguration",
		"GetBucketReplication":            "ReplicationConfigurationNotFoundError",
		"GetBucketWebsite":                "NoSuchWebsiteConfiguration",
		"GetObjectLockConfiguration":      "ObjectLockConfigurationNotFoundError",
	} {
		w.fails(code, "s3", operation, on(nil))
	}
}

func TestBucketsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	w.bucket(testBucket)
	here := object{"LocationConstraint": "eu-west-1"}
	for _, c := range []struct {
		code string
		in   object
	}{
		{"InvalidBucketName", object{"Bucket": "Acme", "CreateBucketConfiguration": here}},
		{"InvalidBucketName", object{"Bucket": "10.0.0.1", "CreateBucketConfiguration": here}},
		{"InvalidBucketName", object{"Bucket": "xn--acme", "CreateBucketConfiguration": here}},
		{"InvalidBucketName", object{"Bucket": "a..b", "CreateBucketConfiguration": here}},
		{"IllegalLocationConstraintException", object{"Bucket": "acme-logs"}},
		{"IllegalLocationConstraintException", object{"Bucket": "acme-logs", "CreateBucketConfiguration": object{"LocationConstraint": "us-east-2"}}},
		{"BucketAlreadyOwnedByYou", object{"Bucket": testBucket, "CreateBucketConfiguration": here}},
		{"InvalidBucketAclWithObjectOwnership", object{"Bucket": "acme-logs", "CreateBucketConfiguration": here, "ACL": "public-read"}},
		{"InvalidBucketAclWithBlockPublicAccessError", object{"Bucket": "acme-logs", "CreateBucketConfiguration": here, "ACL": "public-read", "ObjectOwnership": "ObjectWriter"}},
		{"InvalidTag", object{"Bucket": "acme-logs", "CreateBucketConfiguration": object{"LocationConstraint": "eu-west-1", "Tags": []any{object{"Key": "aws:x", "Value": ""}}}}},
	} {
		w.fails(c.code, "s3", "CreateBucket", c.in)
	}
	if got := pick(w.do("s3", "ListBuckets", nil)["Buckets"], "Name"); !reflect.DeepEqual(got, []string{testBucket}) {
		t.Errorf("buckets %v", got)
	}
	w.put("a", "x")
	w.fails("BucketNotEmpty", "s3", "DeleteBucket", on(nil))
	w.do("s3", "DeleteObject", on(object{"Key": "a"}))
	w.do("s3", "DeleteBucket", on(nil))
	w.fails("404", "s3", "HeadBucket", on(nil))
	w.fails("NoSuchBucket", "s3", "GetBucketAcl", on(nil))
	w.bucket(testBucket)
	w.fails("AccessDenied", "s3", "GetBucketAcl", on(object{"ExpectedBucketOwner": "999999999999"}))
}

func TestBucketsOfAnotherRegionRedirect(t *testing.T) {
	w := newWorld(t)
	w.bucket(testBucket)
	_, err := w.Call(t.Context(), Request{Service: "s3", Operation: "GetBucketAcl", Region: "us-east-1", AccessKeyID: OperatorKey, Input: on(nil)})
	var e *awsapi.Error
	if !errors.As(err, &e) || e.Code != "PermanentRedirect" || e.Status != 301 || e.Header.Get("X-Amz-Bucket-Region") != "eu-west-1" {
		t.Errorf("%#v", err)
	}
	out, err := w.Call(t.Context(), Request{Service: "s3", Operation: "GetBucketLocation", Region: "us-east-1", AccessKeyID: OperatorKey, Input: on(nil)})
	if err != nil || out["LocationConstraint"] != "eu-west-1" {
		t.Errorf("%v, %v", out, err)
	}
}

func TestListBucketsByPages(t *testing.T) {
	w := newWorld(t)
	for i := range 5 {
		w.bucket(fmt.Sprintf("acme-%d", i))
	}
	if b := w.do("s3", "ListBuckets", nil)["Buckets"].([]any)[0].(object); b["BucketRegion"] != nil {
		t.Errorf("S3 names no Region without parameters: %v", b)
	}
	var got []string
	in := object{"MaxBuckets": int64(2), "BucketRegion": "eu-west-1"}
	for range 3 {
		out := w.do("s3", "ListBuckets", in)
		got = append(got, pick(out["Buckets"], "Name")...)
		in = object{"MaxBuckets": int64(2), "ContinuationToken": out["ContinuationToken"]}
	}
	if !reflect.DeepEqual(got, []string{"acme-0", "acme-1", "acme-2", "acme-3", "acme-4"}) || in["ContinuationToken"] != nil {
		t.Errorf("%v, then %v", got, in["ContinuationToken"])
	}
}

func TestTheAccountsBlockCountsForBuckets(t *testing.T) {
	w := newWorld(t)
	w.bucket(testBucket)
	w.do("s3", "DeletePublicAccessBlock", on(nil))
	id := object{"AccountId": "111122223333"}
	w.fails("NoSuchPublicAccessBlockConfiguration", "s3control", "GetPublicAccessBlock", id)
	w.do("s3control", "PutPublicAccessBlock", object{"AccountId": "111122223333", "PublicAccessBlockConfiguration": object{"BlockPublicPolicy": true, "BlockPublicAcls": true}})
	want := object{"BlockPublicAcls": true, "IgnorePublicAcls": false, "BlockPublicPolicy": true, "RestrictPublicBuckets": false}
	if got := w.do("s3control", "GetPublicAccessBlock", id)["PublicAccessBlockConfiguration"]; !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	public := on(object{"Policy": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::acme-invoices/*"}}`})
	w.fails("AccessDenied", "s3", "PutBucketPolicy", public)
	w.do("s3", "PutBucketOwnershipControls", on(object{"OwnershipControls": object{"Rules": []any{object{"ObjectOwnership": "ObjectWriter"}}}}))
	w.fails("AccessDenied", "s3", "PutBucketAcl", on(object{"ACL": "public-read"}))
	w.do("s3control", "DeletePublicAccessBlock", id)
	w.fails("NoSuchPublicAccessBlockConfiguration", "s3control", "GetPublicAccessBlock", id)
	w.do("s3", "PutBucketPolicy", public)
	w.do("s3", "PutBucketAcl", on(object{"ACL": "public-read"}))
	if got := w.do("s3", "GetBucketPolicyStatus", on(nil))["PolicyStatus"]; !reflect.DeepEqual(got, object{"IsPublic": true}) {
		t.Errorf("%v", got)
	}
	if got := pick(w.do("s3", "GetBucketAcl", on(nil))["Grants"], "Permission"); !reflect.DeepEqual(got, []string{"FULL_CONTROL", "READ"}) {
		t.Errorf("%v", got)
	}
	w.fails("InvalidBucketAclWithObjectOwnership", "s3", "PutBucketOwnershipControls", on(object{"OwnershipControls": object{"Rules": []any{object{"ObjectOwnership": "BucketOwnerEnforced"}}}}))
	w.fails("AccessDenied", "s3control", "GetPublicAccessBlock", object{"AccountId": "999999999999"})
}

func TestBucketSettingsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	w.bucket(testBucket)
	encryption := func(rules ...any) object {
		return on(object{"ServerSideEncryptionConfiguration": object{"Rules": rules}})
	}
	by := func(algorithm, key string) any {
		return object{"ApplyServerSideEncryptionByDefault": object{"SSEAlgorithm": algorithm, "KMSMasterKeyID": key}}
	}
	for _, c := range []struct {
		code, operation string
		in              object
	}{
		{"AccessControlListNotSupported", "PutBucketAcl", on(object{"ACL": "private"})},
		{"MissingSecurityHeader", "PutBucketAcl", on(nil)},
		{"InvalidRequest", "PutBucketAcl", on(object{"ACL": "private", "GrantRead": `uri="` + allUsers + `"`})},
		{"InvalidArgument", "PutBucketAcl", on(object{"GrantRead": `id="short"`})},
		{"UnresolvableGrantByEmailAddress", "PutBucketAcl", on(object{"GrantRead": `emailAddress="a@example.com"`})},
		{"MalformedXML", "PutBucketEncryption", encryption()},
		{"MalformedXML", "PutBucketEncryption", encryption(by("AES256", ""), by("AES256", ""))},
		{"MalformedXML", "PutBucketEncryption", encryption(by("ROT13", ""))},
		{"InvalidArgument", "PutBucketEncryption", encryption(by("AES256", "alias/mine"))},
		{"IllegalVersioningConfigurationException", "PutBucketVersioning", on(object{"VersioningConfiguration": object{}})},
		{"AccessDenied", "PutBucketVersioning", on(object{"VersioningConfiguration": object{"Status": "Enabled", "MFADelete": "Enabled"}})},
		{"InvalidTargetBucketForLogging", "PutBucketLogging", on(object{"BucketLoggingStatus": object{"LoggingEnabled": object{"TargetBucket": "nobody", "TargetPrefix": ""}}})},
		{"MalformedPolicy", "PutBucketPolicy", on(object{"Policy": `{"Statement":[]}`})},
		{"MalformedPolicy", "PutBucketPolicy", on(object{"Policy": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::another/*"}}`})},
		{"MalformedPolicy", "PutBucketPolicy", on(object{"Policy": strings.Repeat(" ", maxBucketPolicy+1)})},
		{"InvalidTag", "PutBucketTagging", on(object{"Tagging": object{"TagSet": []any{object{"Key": "a", "Value": "1"}, object{"Key": "a", "Value": "2"}}}})},
		{"InvalidBucketState", "PutBucketReplication", on(object{"ReplicationConfiguration": object{"Role": "arn:aws:iam::111122223333:role/r", "Rules": []any{}}})},
	} {
		w.fails(c.code, "s3", c.operation, c.in)
	}
}

func TestSettingsComeBackAsTheyWerePut(t *testing.T) {
	w := newWorld(t)
	w.bucket(testBucket)
	w.bucket("acme-logs")
	w.do("s3", "PutBucketLogging", on(object{"BucketLoggingStatus": object{"LoggingEnabled": object{"TargetBucket": "acme-logs", "TargetPrefix": "in/"}}}))
	rules := []any{object{"ID": "old", "Status": "Enabled", "Filter": object{"Prefix": ""}, "Expiration": object{"Days": int64(30)}}}
	w.do("s3", "PutBucketLifecycleConfiguration", on(object{"LifecycleConfiguration": object{"Rules": rules}}))
	w.do("s3", "PutBucketVersioning", on(object{"VersioningConfiguration": object{"Status": "Enabled"}}))
	w.do("s3", "PutBucketEncryption", on(object{"ServerSideEncryptionConfiguration": object{"Rules": []any{object{"ApplyServerSideEncryptionByDefault": object{"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": true}}}}))
	raw, err := w.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Restore(Options{Catalog: w.catalog}, raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Sandbox{w.Sandbox, again} {
		w := &world{s, t, w.clock, OperatorKey}
		if got := w.do("s3", "GetBucketLogging", on(nil))["LoggingEnabled"].(object)["TargetPrefix"]; got != "in/" {
			t.Errorf("logging to %v", got)
		}
		if got := w.do("s3", "GetBucketLifecycleConfiguration", on(nil))["Rules"]; !reflect.DeepEqual(got, rules) {
			t.Errorf("lifecycle %#v", got)
		}
		if got := w.do("s3", "GetBucketVersioning", on(nil))["Status"]; got != "Enabled" {
			t.Errorf("versioning %v", got)
		}
		w.do("s3", "DeleteBucketLifecycle", on(nil))
		w.fails("NoSuchLifecycleConfiguration", "s3", "GetBucketLifecycleConfiguration", on(nil))
		out := w.do("s3", "PutObject", on(object{"Key": "a", "Body": []byte("x")}))
		alias := w.do("kms", "DescribeKey", object{"KeyId": "alias/aws/s3"})["KeyMetadata"].(object)
		if out["ServerSideEncryption"] != "aws:kms" || out["SSEKMSKeyId"] != alias["Arn"] || out["ETag"] == `"9dd4e461268c8034f5c8564e155c67a6"` {
			t.Errorf("%v", out)
		}
		w.do("s3", "PutBucketLogging", on(object{"BucketLoggingStatus": object{}}))
		if got := w.do("s3", "GetBucketLogging", on(nil)); len(got) != 0 {
			t.Errorf("%v", got)
		}
	}
}

func TestADeletedObjectKeepsItsVersions(t *testing.T) {
	w := newWorld(t)
	w.bucket(testBucket)
	if id := w.put("a", "before"); id != "" {
		t.Errorf("without versioning S3 names no version, not %s", id)
	}
	w.do("s3", "PutBucketVersioning", on(object{"VersioningConfiguration": object{"Status": "Enabled"}}))
	one, two := w.put("a", "one"), w.put("a", "two")
	out := w.do("s3", "DeleteObject", on(object{"Key": "a"}))
	marker, _ := out["VersionId"].(string)
	if out["DeleteMarker"] != true || marker == "" || marker == two {
		t.Errorf("%v", out)
	}
	w.fails("NoSuchKey", "s3", "GetObject", on(object{"Key": "a"}))
	w.fails("404", "s3", "HeadObject", on(object{"Key": "a"}))
	w.fails("MethodNotAllowed", "s3", "GetObject", on(object{"Key": "a", "VersionId": marker}))
	w.fails("NoSuchVersion", "s3", "GetObject", on(object{"Key": "a", "VersionId": strings.Repeat("0", 32)}))
	w.fails("InvalidArgument", "s3", "GetObject", on(object{"Key": "a", "VersionId": "x"}))
	list := w.do("s3", "ListObjectVersions", on(nil))
	if got := pick(list["Versions"], "VersionId"); !reflect.DeepEqual(got, []string{two, one, "null"}) {
		t.Errorf("versions %v", got)
	}
	if got := pick(list["DeleteMarkers"], "IsLatest"); !reflect.DeepEqual(got, []string{"true"}) {
		t.Errorf("markers %v", got)
	}
	if got := w.do("s3", "GetObject", on(object{"Key": "a", "VersionId": "null"})); string(got["Body"].([]byte)) != "before" || got["VersionId"] != "null" {
		t.Errorf("%v", got)
	}
	if w.do("s3", "ListObjectsV2", on(nil))["KeyCount"] != int64(0) {
		t.Error("a deleted object is listed")
	}
	w.fails("BucketNotEmpty", "s3", "DeleteBucket", on(nil))
	if out := w.do("s3", "DeleteObject", on(object{"Key": "a", "VersionId": marker})); out["DeleteMarker"] != true || out["VersionId"] != marker {
		t.Errorf("%v", out)
	}
	if got := w.get("a"); got != "two" {
		t.Errorf("without its marker the object is %q", got)
	}
	w.do("s3", "DeleteObject", on(object{"Key": "a", "VersionId": two}))
	if got := w.get("a"); got != "one" {
		t.Errorf("without its last version the object is %q", got)
	}
	// Suspended, a new object takes the place of the null version only.
	w.do("s3", "PutBucketVersioning", on(object{"VersioningConfiguration": object{"Status": "Suspended"}}))
	if id := w.put("a", "after"); id != "" {
		t.Errorf("suspended, S3 names no version, not %s", id)
	}
	if got := pick(w.do("s3", "ListObjectVersions", on(nil))["Versions"], "VersionId"); !reflect.DeepEqual(got, []string{"null", one}) {
		t.Errorf("versions %v", got)
	}
	if out := w.do("s3", "DeleteObject", on(object{"Key": "a"})); out["VersionId"] != "null" || out["DeleteMarker"] != true {
		t.Errorf("%v", out)
	}
	if got := w.do("s3", "ListObjectVersions", on(nil)); !reflect.DeepEqual(pick(got["Versions"], "VersionId"), []string{one}) || !reflect.DeepEqual(pick(got["DeleteMarkers"], "VersionId"), []string{"null"}) {
		t.Errorf("%v", got)
	}
}

func TestListings(t *testing.T) {
	w := newWorld(t)
	w.bucket(testBucket)
	w.do("s3", "PutBucketVersioning", on(object{"VersioningConfiguration": object{"Status": "Enabled"}}))
	keys := []string{"a/1", "a/2", "b", "c/x y", "d"}
	for _, k := range keys {
		w.put(k, "old")
		w.put(k, k)
	}
	list := func(in object) (keys, prefixes []string) {
		in = on(in)
		for range 10 {
			out := w.do("s3", "ListObjectsV2", in)
			if n := len(objects(out["Contents"])) + len(objects(out["CommonPrefixes"])); out["KeyCount"] != int64(n) || n > 2 && in["MaxKeys"] == int64(2) {
				t.Errorf("%v", out)
			}
			keys, prefixes = append(keys, pick(out["Contents"], "Key")...), append(prefixes, pick(out["CommonPrefixes"], "Prefix")...)
			if out["IsTruncated"] == false {
				return
			}
			in["ContinuationToken"] = out["NextContinuationToken"]
		}
		t.Error("no end of pages")
		return
	}
	for _, c := range []struct {
		in             object
		keys, prefixes []string
	}{
		{object{}, keys, nil},
		{object{"MaxKeys": int64(2)}, keys, nil},
		{object{"MaxKeys": int64(2), "Delimiter": "/"}, []string{"b", "d"}, []string{"a/", "c/"}},
		{object{"MaxKeys": int64(1), "Delimiter": "/"}, []string{"b", "d"}, []string{"a/", "c/"}},
		{object{"Prefix": "a/", "Delimiter": "/"}, []string{"a/1", "a/2"}, nil},
		{object{"StartAfter": "b"}, []string{"c/x y", "d"}, nil},
		{object{"Prefix": "c", "EncodingType": "url"}, []string{"c/x+y"}, nil},
		{object{"Prefix": "none"}, nil, nil},
	} {
		if k, p := list(c.in); !reflect.DeepEqual(k, c.keys) || !reflect.DeepEqual(p, c.prefixes) {
			t.Errorf("%v: %v and %v", c.in, k, p)
		}
	}
	var versions []string
	in := on(object{"MaxKeys": int64(3)})
	for range 10 {
		out := w.do("s3", "ListObjectVersions", in)
		for _, v := range objects(out["Versions"]) {
			versions = append(versions, fmt.Sprint(v["Key"], " ", v["IsLatest"]))
		}
		if out["IsTruncated"] == false {
			break
		}
		in["KeyMarker"], in["VersionIdMarker"] = out["NextKeyMarker"], out["NextVersionIdMarker"]
	}
	var want []string
	for _, k := range keys {
		want = append(want, k+" true", k+" false")
	}
	if !slices.Equal(versions, want) {
		t.Errorf("%v", versions)
	}
	w.fails("InvalidArgument", "s3", "ListObjectVersions", on(object{"VersionIdMarker": "x"}))
	w.fails("InvalidArgument", "s3", "ListObjectsV2", on(object{"MaxKeys": int64(-1)}))
	out := w.do("s3", "ListObjects", on(object{"MaxKeys": int64(1), "Delimiter": "/"}))
	if out["NextMarker"] != "a/" || out["IsTruncated"] != true {
		t.Errorf("%v", out)
	}
	if out := w.do("s3", "ListObjects", on(object{"Marker": "a/", "Delimiter": "/", "MaxKeys": int64(1)})); !reflect.DeepEqual(pick(out["Contents"], "Key"), []string{"b"}) {
		t.Errorf("%v", out)
	}
}

func TestManyObjectsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.bucket(testBucket)
	var all []any
	for i := range 1001 {
		key := fmt.Sprintf("k%04d", i)
		w.put(key, "x")
		all = append(all, object{"Key": key})
	}
	out := w.do("s3", "ListObjectsV2", on(nil))
	if out["KeyCount"] != int64(1000) || out["IsTruncated"] != true {
		t.Errorf("%v keys", out["KeyCount"])
	}
	w.fails("MalformedXML", "s3", "DeleteObjects", on(object{"Delete": object{"Objects": all}}))
	if got := w.do("s3", "DeleteObjects", on(object{"Delete": object{"Objects": all[:1000]}})); len(objects(got["Deleted"])) != 1000 {
		t.Errorf("%d deleted", len(objects(got["Deleted"])))
	}
	if got := w.do("s3", "DeleteObjects", on(object{"Delete": object{"Objects": []any{object{"Key": "k1000"}, object{"Key": "nobody"}}, "Quiet": true}})); len(got) != 0 {
		t.Errorf("%v", got)
	}
	if w.do("s3", "ListObjectsV2", on(nil))["KeyCount"] != int64(0) {
		t.Error("objects are left")
	}
}

func TestReadingAnObject(t *testing.T) {
	w := newWorld(t)
	w.bucket(testBucket)
	put := w.do("s3", "PutObject", on(object{"Key": "a", "Body": strings.NewReader("hello"), "ContentType": "text/plain", "Metadata": object{"owner": "ada"}, "Tagging": "k=v", "ChecksumAlgorithm": "SHA256"}))
	etag, stored := put["ETag"], w.clock.Now()
	if etag != `"5d41402abc4b2a76b9719d911017c592"` || put["ServerSideEncryption"] != "AES256" || put["ChecksumSHA256"] != "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=" {
		t.Errorf("%v", put)
	}
	for _, c := range []struct{ give, body, contentRange string }{
		{"", "hello", ""}, {"bytes=1-3", "ell", "bytes 1-3/5"}, {"bytes=3-", "lo", "bytes 3-4/5"}, {"bytes=-2", "lo", "bytes 3-4/5"},
		{"bytes=0-99", "hello", "bytes 0-4/5"}, {"bytes=-99", "hello", "bytes 0-4/5"}, {"bytes=0-1,3-4", "hello", ""}, {"lines=1-2", "hello", ""}, {"bytes=3-1", "hello", ""},
	} {
		got := w.do("s3", "GetObject", on(object{"Key": "a", "Range": c.give}))
		r, _ := got["ContentRange"].(string)
		if string(got["Body"].([]byte)) != c.body || r != c.contentRange || got["ContentLength"] != int64(len(c.body)) || got["TagCount"] != int64(1) {
			t.Errorf("%q: %s %q", c.give, got["Body"], r)
		}
	}
	w.fails("InvalidRange", "s3", "GetObject", on(object{"Key": "a", "Range": "bytes=5-"}))
	for _, c := range []struct {
		code string
		in   object
	}{
		{"", object{"IfMatch": etag}},
		{"PreconditionFailed", object{"IfMatch": `"other"`}},
		{"NotModified", object{"IfNoneMatch": etag}},
		{"", object{"IfNoneMatch": `"other"`}},
		{"NotModified", object{"IfModifiedSince": stored}},
		{"", object{"IfModifiedSince": stored.Add(-time.Hour)}},
		{"PreconditionFailed", object{"IfUnmodifiedSince": stored.Add(-time.Hour)}},
		{"", object{"IfMatch": etag, "IfUnmodifiedSince": stored.Add(-time.Hour)}},
		{"", object{"IfNoneMatch": `"other"`, "IfModifiedSince": stored}},
	} {
		in := on(c.in)
		in["Key"] = "a"
		w.fails(c.code, "s3", "GetObject", in)
	}
	head := w.do("s3", "HeadObject", on(object{"Key": "a", "ChecksumMode": "ENABLED"}))
	if head["Body"] != nil || head["ContentType"] != "text/plain" || head["ChecksumSHA256"] == nil || head["Metadata"].(object)["owner"] != "ada" {
		t.Errorf("%v", head)
	}
	for code, in := range map[string]object{
		"BadDigest":                     {"ChecksumCRC32": "AAAAAA=="},
		"InvalidDigest":                 {"ContentMD5": "x"},
		"PreconditionFailed":            {"IfNoneMatch": "*"},
		"NoSuchKey":                     {"IfMatch": etag, "Key": "none"},
		"InvalidArgument":               {"SSEKMSKeyId": "alias/mine"},
		"KMS.NotFoundException":         {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/mine"},
		"AccessControlListNotSupported": {"ACL": "public-read"},
	} {
		full := on(object{"Key": "a", "Body": []byte("hullo")})
		for k, v := range in {
			full[k] = v
		}
		w.fails(code, "s3", "PutObject", full)
	}
	if got := w.get("a"); got != "hello" {
		t.Errorf("after what was refused it is %q", got)
	}
	w.do("s3", "PutObject", on(object{"Key": "a", "Body": []byte("hullo"), "IfMatch": etag, "ACL": "bucket-owner-full-control"}))
}

func TestCopies(t *testing.T) {
	w := newWorld(t)
	w.bucket(testBucket)
	w.do("s3", "PutBucketVersioning", on(object{"VersioningConfiguration": object{"Status": "Enabled"}}))
	w.do("s3", "PutObject", on(object{"Key": "a b", "Body": []byte("one"), "ContentType": "text/plain", "Tagging": "k=v"}))
	one := w.do("s3", "HeadObject", on(object{"Key": "a b"}))["VersionId"].(string)
	w.put("a b", "two")
	w.do("s3", "CopyObject", on(object{"Key": "c", "CopySource": testBucket + "/a b?versionId=" + one}))
	got := w.do("s3", "GetObject", on(object{"Key": "c"}))
	if string(got["Body"].([]byte)) != "one" || got["ContentType"] != "text/plain" || got["TagCount"] != int64(1) {
		t.Errorf("%v", got)
	}
	if got := w.do("s3", "GetObjectTagging", on(object{"Key": "c"}))["TagSet"]; !reflect.DeepEqual(got, []any{object{"Key": "k", "Value": "v"}}) {
		t.Errorf("%v", got)
	}
	w.fails("NoSuchKey", "s3", "GetObjectTagging", on(object{"Key": "none"}))
	w.fails("InvalidRequest", "s3", "CopyObject", on(object{"Key": "c", "CopySource": testBucket + "/c"}))
	w.do("s3", "CopyObject", on(object{"Key": "c", "CopySource": testBucket + "/c", "MetadataDirective": "REPLACE", "ContentType": "text/html"}))
	if got := w.do("s3", "GetObject", on(object{"Key": "c"}))["ContentType"]; got != "text/html" {
		t.Errorf("%v", got)
	}
	w.fails("NoSuchKey", "s3", "CopyObject", on(object{"Key": "d", "CopySource": testBucket + "/none"}))
	w.fails("InvalidArgument", "s3", "CopyObject", on(object{"Key": "d", "CopySource": "x"}))
	w.fails("NoSuchBucket", "s3", "CopyObject", on(object{"Key": "d", "CopySource": "nobody/x"}))
}

func TestWhatAKeyEncryptedNeedsTheKey(t *testing.T) {
	w := newWorld(t)
	w.bucket(testBucket)
	key := w.do("kms", "CreateKey", nil)["KeyMetadata"].(object)["KeyId"]
	w.do("s3", "PutObject", on(object{"Key": "a", "Body": []byte("x"), "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}))
	w.get("a")
	w.do("kms", "DisableKey", object{"KeyId": key})
	w.fails("KMS.DisabledException", "s3", "GetObject", on(object{"Key": "a"}))
}

func TestStructuresKeepTheirTypes(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)
	in := structure{"int": int64(1) << 60, "float": 1.5, "text": "x", "blob": []byte{0, 255}, "time": at, "none": nil, "list": []any{int64(1), object{"$blob": "no blob", "b": true}, []byte("y")}}
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out structure
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(in, out) {
		t.Errorf("%#v\n%#v", in, out)
	}
	if again, _ := json.Marshal(out); !bytes.Equal(raw, again) {
		t.Errorf("%s\n%s", raw, again)
	}
}
