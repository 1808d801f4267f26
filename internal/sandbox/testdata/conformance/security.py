"""GuardDuty and Security Hub."""


def guardduty(t):
    # Source: Amazon GuardDuty API Reference; User Guide ("Sample findings", "Suppression rules", "GuardDuty finding format").
    c = t.client("guardduty")
    t.eq("no detector at first", [], lambda: c.list_detectors()["DetectorIds"])
    d = t.do(lambda: c.create_detector(Enable=True)["DetectorId"])
    t.eq("a detector is enabled", "ENABLED", lambda: c.get_detector(DetectorId=d)["Status"])
    t.error("a Region has one detector", "BadRequestException", lambda: c.create_detector(Enable=True))
    t.error("an unknown detector", "BadRequestException", lambda: c.get_detector(DetectorId="0123456789abcdef0123456789abcdef"))
    t.eq("it has found nothing", [], lambda: c.list_findings(DetectorId=d)["FindingIds"])
    kinds = ["UnauthorizedAccess:EC2/SSHBruteForce", "Recon:EC2/PortProbeUnprotectedPort"]
    t.do(lambda: c.create_sample_findings(DetectorId=d, FindingTypes=kinds))
    t.wait(600)
    found = lambda **criterion: c.list_findings(DetectorId=d, **({"FindingCriteria": {"Criterion": criterion}} if criterion else {}))["FindingIds"]
    t.eq("samples are found", 2, lambda: len(found()))
    findings = lambda: {f["Type"]: f for f in c.get_findings(DetectorId=d, FindingIds=found())["Findings"]}
    t.eq("of the types asked for", sorted(kinds), lambda: sorted(findings()))
    t.eq("they say that they are samples", True, lambda: all(f["Title"].startswith("[SAMPLE]") for f in findings().values()))
    t.eq("a finding is about a resource", "Instance", lambda: findings()[kinds[0]]["Resource"]["ResourceType"])
    t.eq("a new finding is not archived", [False, False], lambda: [f["Service"]["Archived"] for f in findings().values()])
    t.eq("a criterion picks findings", 1, lambda: len(found(type={"Equals": [kinds[0]]})))
    one = t.do(lambda: findings()[kinds[0]]["Id"])
    t.do(lambda: c.archive_findings(DetectorId=d, FindingIds=[one]))
    t.eq("a finding can be archived", True, lambda: findings()[kinds[0]]["Service"]["Archived"])
    t.eq("what is archived can be left out", 1, lambda: len(found(**{"service.archived": {"Equals": ["false"]}})))


def securityhub(t):
    # Source: AWS Security Hub API Reference; User Guide ("AWS Security Finding Format", "BatchImportFindings for finding providers").
    c = t.client("securityhub")
    t.error("a hub that is not enabled", "InvalidAccessException", lambda: c.get_findings(), 401)
    t.do(lambda: c.enable_security_hub(EnableDefaultStandards=False))
    t.error("a hub is enabled once", "ResourceConflictException", lambda: c.enable_security_hub(), 409)
    account = t.do(lambda: t.client("sts").get_caller_identity()["Account"])
    t.eq("a hub has an ARN", True, lambda: c.describe_hub()["HubArn"] == f"arn:aws:securityhub:eu-west-1:{account}:hub/default")
    product = f"arn:aws:securityhub:eu-west-1:{account}:product/{account}/default"
    finding = {"SchemaVersion": "2018-10-08", "Id": "f-1", "ProductArn": product, "GeneratorId": "mine", "AwsAccountId": account, "Types": ["Software and Configuration Checks"],
               "CreatedAt": "2026-01-01T00:00:00Z", "UpdatedAt": "2026-01-01T00:00:00Z", "Severity": {"Label": "HIGH"}, "Title": "t", "Description": "d", "Resources": [{"Type": "AwsEc2Volume", "Id": "v"}]}
    t.eq("a finding is imported", (1, 0), lambda: (lambda r: (r["SuccessCount"], r["FailedCount"]))(c.batch_import_findings(Findings=[finding])))
    t.wait(60)
    get = lambda **filters: c.get_findings(Filters={k: [{"Value": v, "Comparison": "EQUALS"}] for k, v in filters.items()})["Findings"]
    t.eq("a finding is new and active", ("NEW", "ACTIVE"), lambda: (get(Id="f-1")[0]["Workflow"]["Status"], get(Id="f-1")[0]["RecordState"]))
    t.eq("a filter picks findings", (1, 0), lambda: (len(get(SeverityLabel="HIGH", Id="f-1")), len(get(SeverityLabel="LOW", Id="f-1"))))
    t.eq("another account's finding is refused", 1, lambda: c.batch_import_findings(Findings=[dict(finding, Id="f-2", AwsAccountId="999999999999")])["FailedCount"])
    who = {"Id": "f-1", "ProductArn": product}
    t.eq("a finding can be updated", [who], lambda: c.batch_update_findings(FindingIdentifiers=[who], Workflow={"Status": "RESOLVED"}, Note={"Text": "fixed", "UpdatedBy": "me"})["ProcessedFindings"])
    t.eq("its workflow is the customer's", ("RESOLVED", "fixed"), lambda: (get(Id="f-1")[0]["Workflow"]["Status"], get(Id="f-1")[0]["Note"]["Text"]))
    t.do(lambda: c.batch_import_findings(Findings=[dict(finding, UpdatedAt="2026-01-02T00:00:00Z", Title="u", Workflow={"Status": "NEW"})]))
    t.eq("which a provider does not change", ("RESOLVED", "u"), lambda: (get(Id="f-1")[0]["Workflow"]["Status"], get(Id="f-1")[0]["Title"]))
    g = t.client("guardduty")
    t.do(lambda: g.create_sample_findings(DetectorId=g.list_detectors()["DetectorIds"][0], FindingTypes=["CryptoCurrency:EC2/BitcoinTool.B!DNS"]))
    t.wait(600)
    theirs = lambda: [f for f in get(ProductName="GuardDuty") if f["GeneratorId"].startswith("arn:aws:guardduty:")]
    t.eq("GuardDuty's findings come by themselves", [("HIGH", "ACTIVE", "AwsEc2Instance")], lambda: [(f["Severity"]["Label"], f["RecordState"], f["Resources"][0]["Type"]) for f in theirs()])
    t.eq("in ASFF's types", ["TTPs/Command and Control/CryptoCurrency:EC2-BitcoinTool.B!DNS"], lambda: theirs()[0]["Types"])
    t.eq("an unknown finding is not processed", 1, lambda: len(c.batch_update_findings(FindingIdentifiers=[dict(who, Id="none")], Workflow={"Status": "RESOLVED"})["UnprocessedFindings"]))


FLOWS = [guardduty, securityhub]
