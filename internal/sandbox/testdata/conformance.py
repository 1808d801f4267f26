"""Asks a server that stands in for AWS what AWS documents, and says what holds.

The answers that are expected come from AWS's documentation, which each flow
names, and from no server. One line of JSON is printed for each assertion:
{"service", "text", "passed", "why"}. Assertions are the same in number for each
server: one that can't be made, since what it builds on failed, has failed.

Environment: AWS_ENDPOINT_URL and credentials; CONTROL, the address of the
sandbox's control API, by which waiting takes no time. Without it, nothing waits:
a server that has no time of its own reaches every state at once.
"""

import datetime
import importlib
import json
import os
import socket
import sys
import urllib.request

import boto3
import botocore.config
import botocore.exceptions

FLOWS = ["compute", "storage", "identity", "database", "operations", "events", "security"]
CONTROL = os.environ.get("CONTROL")


resolve = socket.getaddrinfo


def getaddrinfo(host, *more, **named):
    """Finds this machine by the names that S3 Control makes of its address, too."""
    if isinstance(host, str) and host.endswith(".127.0.0.1"):
        host = "127.0.0.1"
    return resolve(host, *more, **named)


socket.getaddrinfo = getaddrinfo


def control(method, path, body=None):
    data = json.dumps(body).encode() if body is not None else None
    with urllib.request.urlopen(urllib.request.Request(CONTROL + path, data, method=method)) as answer:
        return json.load(answer)


class Test:
    """One flow: its assertions, and what they have made."""

    def __init__(self, service):
        self.service = service

    clients = {}  # they are slow to make

    def client(self, service, region="eu-west-1", keys=None):
        which = service, region, json.dumps(keys, default=str)
        if which not in Test.clients:
            Test.clients[which] = self.make(service, region, keys)
        return Test.clients[which]

    def make(self, service, region, keys):
        given = {} if keys is None else dict(
            aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys.get("SessionToken"))
        config = botocore.config.Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, read_timeout=10)
        return boto3.client(service, region_name=region, config=config, **given)

    def wait(self, seconds):
        if CONTROL:
            control("POST", "clock", {"advance": f"{seconds}s"})

    def now(self):
        if CONTROL:
            return datetime.datetime.fromisoformat(control("GET", "clock")["now"][:19] + "+00:00")
        return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)

    def do(self, fn):
        """Makes what later assertions build on; None where that fails."""
        try:
            return fn()
        except Exception as e:  # the assertions that follow fail for it
            if os.environ.get("VERBOSE"):
                print(f"{self.service}: {type(e).__name__}: {e}", file=sys.stderr)
            return None

    def report(self, text, passed, why=""):
        print(json.dumps({"service": self.service, "text": text, "passed": passed, "why": "" if passed else why[:300]}), flush=True)

    def eq(self, text, want, fn):
        try:
            got = fn()
        except Exception as e:
            return self.report(text, False, f"{type(e).__name__}: {e}")
        self.report(text, got == want and type(got) is type(want), f"{got!r}, want {want!r}")

    def true(self, text, fn):
        self.eq(text, True, lambda: bool(fn()))

    def error(self, text, code, fn, status=400):
        try:
            got = fn()
        except botocore.exceptions.ClientError as e:
            seen = (e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"])
            return self.report(text, seen == (code, status), f"{seen}, want {(code, status)}: {e}")
        except Exception as e:
            return self.report(text, False, f"{type(e).__name__}: {e}")
        if isinstance(got, dict):
            got.pop("ResponseMetadata", None)
        self.report(text, False, f"succeeded: {got!r}, want {code}")


def main(names):
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "conformance"))
    for module in names or FLOWS:
        for flow in importlib.import_module(module).FLOWS:
            service = flow.__name__
            try:
                flow(Test(service))
            except Exception as e:  # a fault of the script: it never raises on what a server does
                print(json.dumps({"service": service, "text": "the flow itself", "passed": False, "why": f"SCRIPT {type(e).__name__}: {e}"}), flush=True)
                raise


main(sys.argv[1:])
