# Calls a server through boto3, and prints what came of each call as a line of JSON:
# boto3_client.py URL HTTPS-URL, both with the same server behind.
import json
import sys
import urllib.request
import warnings

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

warnings.filterwarnings("ignore")


def client(service, url=sys.argv[1], **config):
    return boto3.client(
        service,
        endpoint_url=url,
        verify=False,
        region_name="eu-west-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, **config),
    )


def body(out):
    return out["Body"].read().decode()


def upload(url):
    return client("s3", url).put_object(Bucket="acme-invoices", Key="a b/ü+?", Body=b"x" * 100000, Metadata={"owner": "é".encode().hex()})["ETag"]


def presigned():
    # By itself boto3 would sign such a URL as before 2012.
    url = client("s3", signature_version="s3v4").generate_presigned_url("get_object", Params={"Bucket": "acme-invoices", "Key": "a b/ü+?"}, ExpiresIn=60)
    return urllib.request.urlopen(url).read().decode()


def pages():
    return [v["VolumeId"] for p in client("ec2").get_paginator("describe_volumes").paginate() for v in p["Volumes"]]


CALLS = {
    "ec2": lambda: pages(),
    "ec2 times": lambda: client("ec2").describe_volumes()["Volumes"][0]["CreateTime"].isoformat(),
    "ec2 error": lambda: client("ec2").delete_volume(VolumeId="vol-0"),
    "query": lambda: client("iam").create_role(RoleName="r", AssumeRolePolicyDocument='{"a":"b & c"}', Tags=[{"Key": "k", "Value": "v"}])["Role"]["Arn"],
    "query error": lambda: client("iam").get_role(RoleName="none"),
    "json": lambda: client("dynamodb").scan(TableName="t")["Items"],
    "json error": lambda: client("kms").describe_key(KeyId="none"),
    "query-compatible error": lambda: client("sqs").get_queue_url(QueueName="none"),
    "rest-json": lambda: client("lambda").get_function(FunctionName="f")["Tags"],
    "rest-json error": lambda: client("lambda").get_function(FunctionName="none"),
    "rest-xml upload": lambda: upload(sys.argv[1]),
    "rest-xml upload in chunks": lambda: upload(sys.argv[2]),
    "rest-xml download": lambda: body(client("s3").get_object(Bucket="acme-invoices", Key="a b/ü+?")),
    "rest-xml list": lambda: [o["Key"] for o in client("s3").list_objects_v2(Bucket="acme-invoices", Prefix="a b")["Contents"]],
    "rest-xml error": lambda: client("s3").get_object(Bucket="acme-invoices", Key="none"),
    "rest-xml error without a body": lambda: client("s3").head_object(Bucket="acme-invoices", Key="none"),
    "presigned": lambda: presigned(),
    "waiter": lambda: client("ec2").get_waiter("volume_available").wait(VolumeIds=["vol-1"]),
}

for name, call in CALLS.items():
    try:
        result = {"out": call()}
    except ClientError as e:
        r = e.response
        result = {"code": r["Error"]["Code"], "message": r["Error"]["Message"], "status": r["ResponseMetadata"]["HTTPStatusCode"], "request": r["ResponseMetadata"].get("RequestId")}
    print(json.dumps({"name": name, **result}))
