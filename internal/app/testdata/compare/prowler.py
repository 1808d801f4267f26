"""Runs checks of Prowler, which stands in a folder of its own, against an endpoint.

    prowler.py FOLDER ACCOUNT REGION CHECK...

Nothing of Prowler is here: its checks are imported from FOLDER. Its command line and
its provider class need libraries that a check does not, so a stand-in hands the
checks a session; missing libraries are empty modules. Prints a line of JSON for each
finding, and for each check that could not run.
"""

import datetime
import importlib
import importlib.abc
import importlib.machinery
import json
import os
import sys
import types
from unittest import mock

import boto3
import botocore.config
import botocore.session
import yaml

MISSING = {"alive_progress", "markdown", "markdown_it", "packaging", "py_iam_expand", "py_ocsf_models", "pytz", "shodan", "slack_sdk", "tabulate", "tzlocal", "uuid6", "zstandard", "detect_secrets", "dash", "jsonschema", "schema"}


class Empty(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds modules of libraries that are not installed, with nothing in them."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in MISSING:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        module = mock.MagicMock(name=spec.name)
        module.__path__ = []
        module.__spec__ = spec
        if spec.name == "pytz":
            module.UTC = module.utc = datetime.timezone.utc
        return module

    def exec_module(self, module):
        pass


def provider(folder, account, region):
    """A provider with what services ask of one."""
    core = botocore.session.get_session()
    core.set_default_client_config(botocore.config.Config(inject_host_prefix=False, s3={"addressing_style": "path"}, retries={"max_attempts": 1}))
    session = boto3.Session(region_name=region, botocore_session=core)

    def clients(service):
        client = session.client(service, region_name=region)
        client.region = region
        return {region: client}

    with open(os.path.join(folder, "prowler/config/config.yaml")) as f:
        settings = yaml.safe_load(f)["aws"]
    p = mock.MagicMock()
    p.type = "aws"
    p.identity = types.SimpleNamespace(
        account=account, account_arn=f"arn:aws:iam::{account}:root", user_id="", partition="aws", identity_arn="", profile=None, profile_region=region, audited_regions={region}
    )
    p.audit_resources, p.audit_config, p.fixer_config = None, settings, {}
    p.audit_metadata.expected_checks = []
    p.session.current_session = session
    p.session.original_session = session
    p.generate_regional_clients = clients
    p.get_default_region = lambda service, global_service=False: region
    p.get_global_region = lambda: region
    p._enabled_regions = {region}
    p.organizations_metadata = None
    p.scan_unused_services = True
    return p


def main(folder, account, region, *checks):
    sys.path.insert(0, folder)
    sys.meta_path.insert(0, Empty())
    for name in list(MISSING):
        if name in ("jsonschema", "packaging") and importlib.machinery.PathFinder.find_spec(name):
            MISSING.discard(name)
    from prowler.providers.common.provider import Provider

    Provider._global = provider(folder, account, region)
    import logging

    logging.disable(logging.CRITICAL)
    for check in checks:
        service = check.split("_")[0]
        try:
            module = importlib.import_module(f"prowler.providers.aws.services.{service}.{check}.{check}")
            for finding in getattr(module, check)().execute():
                print(json.dumps({"check": check, "id": finding.resource_id, "arn": finding.resource_arn, "status": finding.status, "text": finding.status_extended}))
        except Exception as err:
            print(json.dumps({"check": check, "error": f"{type(err).__name__}: {err}"}))


main(*sys.argv[1:])
