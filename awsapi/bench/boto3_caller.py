# The contender boto3; contender.go has the protocol.
import os
import sys
import time

import boto3

OPTIONS = {
    "endpoint_url": os.environ["BENCH_URL"],
    "region_name": "eu-west-1",
    "aws_access_key_id": "AKIDEXAMPLE",
    "aws_secret_access_key": "secret",
}
ec2 = boto3.client("ec2", **OPTIONS)
dynamodb = boto3.client("dynamodb", **OPTIONS)
sts = boto3.client("sts", **OPTIONS)

CALLS = {
    "DescribeVolumes": lambda: len(ec2.describe_volumes()["Volumes"]),
    "Scan": lambda: len(dynamodb.scan(TableName="inventory")["Items"]),
    "GetCallerIdentity": lambda: int(sts.get_caller_identity()["Account"] == "111122223333"),
}

print("ready", flush=True)
for line in sys.stdin:
    scenario, slice_ns = line.split()
    start, n = time.process_time_ns(), 0
    while True:
        items, n = CALLS[scenario](), n + 1
        used = time.process_time_ns() - start
        if used >= int(slice_ns):
            break
    print(used / n, items, flush=True)
