"""S3, its objects and its guards."""

import hashlib
import json


def s3(t):
    # Sources: Amazon S3 API Reference ("Error responses", each operation); User Guide ("Retaining multiple versions of objects with S3 Versioning",
    # "Blocking public access to your Amazon S3 storage", "Default encryption FAQ", "Controlling ownership of objects and disabling ACLs for your bucket").
    c = t.client("s3")
    account = t.do(lambda: t.client("sts").get_caller_identity()["Account"])
    here = {"LocationConstraint": "eu-west-1"}
    b = "kg-conformance-data"
    t.true("a bucket is made", lambda: c.create_bucket(Bucket=b, CreateBucketConfiguration=here))
    t.eq("and is where it was to be", "eu-west-1", lambda: c.get_bucket_location(Bucket=b)["LocationConstraint"])
    t.error("one's own bucket again", "BucketAlreadyOwnedByYou", lambda: c.create_bucket(Bucket=b, CreateBucketConfiguration=here), 409)
    t.error("a name that is none", "InvalidBucketName", lambda: c.create_bucket(Bucket="Not_A_Name", CreateBucketConfiguration=here))
    t.error("another Region than the endpoint's", "IllegalLocationConstraintException", lambda: c.create_bucket(Bucket=b + "-x", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}))
    t.error("a bucket that is not there", "NoSuchBucket", lambda: c.get_bucket_versioning(Bucket="kg-no-such-bucket-anywhere"), 404)
    t.error("its head", "404", lambda: c.head_bucket(Bucket="kg-no-such-bucket-anywhere"), 404)
    t.true("it is listed", lambda: b in [x["Name"] for x in c.list_buckets()["Buckets"]])

    block = lambda: c.get_public_access_block(Bucket=b)["PublicAccessBlockConfiguration"]
    t.eq("a new bucket blocks public access", {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}, block)
    public = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{b}/*"}]})
    t.error("so a public policy is refused", "AccessDenied", lambda: c.put_bucket_policy(Bucket=b, Policy=public), 403)
    t.do(lambda: c.delete_public_access_block(Bucket=b))
    t.error("the block can be taken away", "NoSuchPublicAccessBlockConfiguration", block, 404)
    t.error("no policy is an error", "NoSuchBucketPolicy", lambda: c.get_bucket_policy(Bucket=b), 404)
    t.error("a policy that is none", "MalformedPolicy", lambda: c.put_bucket_policy(Bucket=b, Policy='{"Statement": [{"Effect": "Perhaps"}]}'))
    t.error("a policy of another bucket", "MalformedPolicy", lambda: c.put_bucket_policy(Bucket=b, Policy=public.replace(b, "another-bucket")))
    t.true("without the block a public policy is taken", lambda: c.put_bucket_policy(Bucket=b, Policy=public))
    t.eq("and makes the bucket public", True, lambda: c.get_bucket_policy_status(Bucket=b)["PolicyStatus"]["IsPublic"])
    t.eq("a policy is given back", json.loads(public), lambda: json.loads(c.get_bucket_policy(Bucket=b)["Policy"]))
    t.do(lambda: c.put_bucket_policy(Bucket=b, Policy=public.replace('"*"', f'{{"AWS": "arn:aws:iam::{account}:root"}}', 1)))
    t.eq("a policy for one account is not public", False, lambda: c.get_bucket_policy_status(Bucket=b)["PolicyStatus"]["IsPublic"])
    t.do(lambda: c.delete_bucket_policy(Bucket=b))
    t.error("a policy can be taken away", "NoSuchBucketPolicy", lambda: c.get_bucket_policy(Bucket=b), 404)
    t.do(lambda: c.put_public_access_block(Bucket=b, PublicAccessBlockConfiguration={"BlockPublicAcls": True}))
    t.eq("what a block does not name is off", {"BlockPublicAcls": True, "IgnorePublicAcls": False, "BlockPublicPolicy": False, "RestrictPublicBuckets": False}, block)

    t.eq("a new bucket encrypts with S3's keys", "AES256", lambda: c.get_bucket_encryption(Bucket=b)["ServerSideEncryptionConfiguration"]["Rules"][0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"])
    t.eq("so an object says", "AES256", lambda: c.put_object(Bucket=b, Key="plain", Body=b"x")["ServerSideEncryption"])
    t.eq("a new bucket has no ACLs", "BucketOwnerEnforced", lambda: c.get_bucket_ownership_controls(Bucket=b)["OwnershipControls"]["Rules"][0]["ObjectOwnership"])
    t.error("so an ACL is refused", "AccessControlListNotSupported", lambda: c.put_bucket_acl(Bucket=b, ACL="public-read"))
    t.eq("its owner has full control", ["FULL_CONTROL"], lambda: [g["Permission"] for g in c.get_bucket_acl(Bucket=b)["Grants"]])
    t.eq("logging is off", False, lambda: "LoggingEnabled" in c.get_bucket_logging(Bucket=b))
    t.error("no tags is an error", "NoSuchTagSet", lambda: c.get_bucket_tagging(Bucket=b), 404)
    t.do(lambda: c.put_bucket_tagging(Bucket=b, Tagging={"TagSet": [{"Key": "Owner", "Value": "me"}]}))
    t.eq("tags are kept", [{"Key": "Owner", "Value": "me"}], lambda: c.get_bucket_tagging(Bucket=b)["TagSet"])
    t.error("a log bucket that is not there", "InvalidTargetBucketForLogging", lambda: c.put_bucket_logging(Bucket=b, BucketLoggingStatus={"LoggingEnabled": {"TargetBucket": "kg-no-such-bucket-anywhere", "TargetPrefix": ""}}))

    t.eq("a new bucket was never versioned", False, lambda: "Status" in c.get_bucket_versioning(Bucket=b))
    t.do(lambda: c.put_bucket_versioning(Bucket=b, VersioningConfiguration={"Status": "Enabled"}))
    t.eq("versioning is turned on", "Enabled", lambda: c.get_bucket_versioning(Bucket=b)["Status"])
    one = t.do(lambda: c.put_object(Bucket=b, Key="a/one", Body=b"first"))
    t.eq("an object's ETag is its MD5", '"' + hashlib.md5(b"first").hexdigest() + '"', lambda: one["ETag"])
    two = t.do(lambda: c.put_object(Bucket=b, Key="a/one", Body=b"second"))
    t.eq("each write is a version", True, lambda: one["VersionId"] != two["VersionId"])
    t.eq("the last one is read", b"second", lambda: c.get_object(Bucket=b, Key="a/one")["Body"].read())
    t.eq("an earlier one by its id", b"first", lambda: c.get_object(Bucket=b, Key="a/one", VersionId=one["VersionId"])["Body"].read())
    listed = lambda: [(v["VersionId"], v["IsLatest"]) for v in c.list_object_versions(Bucket=b, Prefix="a/one").get("Versions", [])]
    t.eq("versions are listed newest first", True, lambda: listed() == [(two["VersionId"], True), (one["VersionId"], False)])
    t.eq("what was there before is the version null", "null", lambda: c.list_object_versions(Bucket=b, Prefix="plain")["Versions"][0]["VersionId"])
    gone = t.do(lambda: c.delete_object(Bucket=b, Key="a/one"))
    t.eq("deleting leaves a marker", True, lambda: gone["DeleteMarker"])
    t.error("a deleted object", "NoSuchKey", lambda: c.get_object(Bucket=b, Key="a/one"), 404)
    t.error("its head", "404", lambda: c.head_object(Bucket=b, Key="a/one"), 404)
    t.eq("its versions stay", b"second", lambda: c.get_object(Bucket=b, Key="a/one", VersionId=two["VersionId"])["Body"].read())
    t.error("a marker is no object", "MethodNotAllowed", lambda: c.get_object(Bucket=b, Key="a/one", VersionId=gone["VersionId"]), 405)
    t.do(lambda: c.delete_object(Bucket=b, Key="a/one", VersionId=gone["VersionId"]))
    t.eq("without its marker it is back", b"second", lambda: c.get_object(Bucket=b, Key="a/one")["Body"].read())
    t.eq("a range is a part", b"eco", lambda: c.get_object(Bucket=b, Key="a/one", Range="bytes=1-3")["Body"].read())
    t.error("what has not changed", "304", lambda: c.get_object(Bucket=b, Key="a/one", IfNoneMatch=two["ETag"]), 304)
    t.error("what is another", "PreconditionFailed", lambda: c.get_object(Bucket=b, Key="a/one", IfMatch=one["ETag"]), 412)
    t.error("only where nothing is", "PreconditionFailed", lambda: c.put_object(Bucket=b, Key="a/one", Body=b"", IfNoneMatch="*"), 412)
    red = t.do(lambda: c.put_object(Bucket=b, Key="b/two", Body=b"2", Metadata={"colour": "red"}))
    t.error("a version of another object", "NoSuchVersion", lambda: c.get_object(Bucket=b, Key="a/one", VersionId=red["VersionId"]), 404)
    t.eq("metadata are kept", {"colour": "red"}, lambda: c.head_object(Bucket=b, Key="b/two")["Metadata"])
    t.eq("keys are grouped by a delimiter", (["a/", "b/"], ["plain"]), lambda: (lambda r: ([p["Prefix"] for p in r["CommonPrefixes"]], [o["Key"] for o in r["Contents"]]))(c.list_objects_v2(Bucket=b, Delimiter="/")))
    t.eq("pages are cut", (1, True), lambda: (lambda r: (r["KeyCount"], r["IsTruncated"]))(c.list_objects_v2(Bucket=b, MaxKeys=1)))
    t.eq("a copy is made by the server", b"2", lambda: c.copy_object(Bucket=b, Key="c", CopySource=f"{b}/b/two") and c.get_object(Bucket=b, Key="c")["Body"].read())
    key = t.do(lambda: t.client("kms").create_key()["KeyMetadata"]["Arn"])
    t.do(lambda: c.put_bucket_encryption(Bucket=b, ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}, "BucketKeyEnabled": True}]}))
    t.eq("new objects have the bucket's key", ("aws:kms", True), lambda: (lambda r: (r["ServerSideEncryption"], r["SSEKMSKeyId"] == key))(c.put_object(Bucket=b, Key="secret", Body=b"s")))
    t.eq("older ones keep theirs", "AES256", lambda: c.head_object(Bucket=b, Key="plain")["ServerSideEncryption"])
    t.do(lambda: c.put_bucket_versioning(Bucket=b, VersioningConfiguration={"Status": "Suspended"}))
    t.do(lambda: c.put_object(Bucket=b, Key="a/one", Body=b"third"))
    t.eq("suspended, versions stay", 3, lambda: len(listed()))
    t.eq("and the new one is null", ("null", True), lambda: listed()[0])
    t.error("a bucket with objects", "BucketNotEmpty", lambda: c.delete_bucket(Bucket=b), 409)
    removed = t.do(lambda: c.delete_objects(Bucket=b, Delete={"Objects": [{"Key": o["Key"], "VersionId": o["VersionId"]} for p in c.get_paginator("list_object_versions").paginate(Bucket=b) for o in p.get("Versions", []) + p.get("DeleteMarkers", [])]}))
    t.eq("many are deleted in one call", False, lambda: "Errors" in removed)
    t.eq("an empty bucket can be deleted", 204, lambda: c.delete_bucket(Bucket=b)["ResponseMetadata"]["HTTPStatusCode"])


def s3control(t):
    # Source: Amazon S3 User Guide, "Blocking public access to your Amazon S3 storage" (the most restrictive of account and bucket holds).
    c, s = t.client("s3control"), t.client("s3")
    account = t.do(lambda: t.client("sts").get_caller_identity()["Account"])
    get = lambda: c.get_public_access_block(AccountId=account)["PublicAccessBlockConfiguration"]
    t.error("an account blocks nothing at first", "NoSuchPublicAccessBlockConfiguration", get, 404)
    everything = dict.fromkeys(["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"], True)
    t.do(lambda: c.put_public_access_block(AccountId=account, PublicAccessBlockConfiguration=everything))
    t.eq("an account's block is kept", everything, get)
    b = "kg-conformance-open"
    t.do(lambda: s.create_bucket(Bucket=b, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}))
    t.do(lambda: s.delete_public_access_block(Bucket=b))
    public = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{b}/*"}]})
    t.error("an account's block binds a bucket without", "AccessDenied", lambda: s.put_bucket_policy(Bucket=b, Policy=public), 403)
    t.do(lambda: c.delete_public_access_block(AccountId=account))
    t.true("and no longer when it is gone", lambda: s.put_bucket_policy(Bucket=b, Policy=public))


FLOWS = [s3, s3control]
