package sandbox

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Config, GuardDuty, Security Hub, Inspector, CloudWatch and Compute Optimizer
// by AWS's own SDK, which picks the protocol for each.
func TestBoto3DrivesSecurityAndMetrics(t *testing.T) {
	if err := exec.Command("python3", "-c", "import boto3").Run(); err != nil {
		t.Skip("python3 with boto3 is not installed")
	}
	w := newWorld(t)
	w.HandleRules(encrypted)
	server := httptest.NewServer(w.Sandbox)
	defer server.Close()
	cmd := exec.CommandContext(t.Context(), "python3", "-c", `
import boto3, datetime, json, os, urllib.request
ec2, s3, config, gd, hub, inspector, cw, co = (boto3.client(n) for n in ("ec2", "s3", "config", "guardduty", "securityhub", "inspector2", "cloudwatch", "compute-optimizer"))

def control(path, body):
    return json.load(urllib.request.urlopen(urllib.request.Request(os.environ["AWS_ENDPOINT_URL"] + "/_knowngood/" + path, json.dumps(body).encode(), method="POST")))

def now():
    return datetime.datetime.fromisoformat(json.load(urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/_knowngood/clock"))["now"].replace("Z", "+00:00"))

s3.create_bucket(Bucket="config-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
config.put_configuration_recorder(ConfigurationRecorder={"name": "default", "roleARN": "arn:aws:iam::111122223333:role/config", "recordingGroup": {"allSupported": True, "includeGlobalResourceTypes": True}})
config.put_delivery_channel(DeliveryChannel={"name": "default", "s3BucketName": "config-bucket"})
config.start_configuration_recorder(ConfigurationRecorderName="default")
co.update_enrollment_status(status="Active")
i = ec2.run_instances(MinCount=1, MaxCount=1, ImageId="ami-0c1a2b3c4d5e6f708", InstanceType="m5.xlarge")["Instances"][0]["InstanceId"]
control("clock", {"advance": "1m"})
print("recorder", config.describe_configuration_recorder_status()["ConfigurationRecordersStatus"][0]["recording"])
config.put_config_rule(ConfigRule={"ConfigRuleName": "enc", "Source": {"Owner": "AWS", "SourceIdentifier": "ENCRYPTED_VOLUMES"}, "Scope": {"ComplianceResourceTypes": ["AWS::EC2::Volume"]}})
r = config.get_compliance_details_by_config_rule(ConfigRuleName="enc")["EvaluationResults"][0]
v = r["EvaluationResultIdentifier"]["EvaluationResultQualifier"]["ResourceId"]
print("compliance", r["ComplianceType"], r["ResultRecordedTime"] == now())
item = config.get_resource_config_history(resourceType="AWS::EC2::Volume", resourceId=v)["configurationItems"][0]
print("item", json.loads(item["configuration"])["attachments"][0]["instanceId"] == i, item["configurationItemStatus"], type(item["configurationItemCaptureTime"]).__name__)
print("select", json.loads(config.select_resource_config(Expression="SELECT resourceId, configuration.instanceType WHERE resourceType = 'AWS::EC2::Instance'")["Results"][0])["configuration"],
      len(config.list_discovered_resources(resourceType="AWS::S3::Bucket")["resourceIdentifiers"]), len(config.batch_get_resource_config(resourceKeys=[{"resourceType": "AWS::EC2::Instance", "resourceId": i}])["baseConfigurationItems"]))
try:
    config.delete_config_rule(ConfigRuleName="none")
except config.exceptions.NoSuchConfigRuleException as e:
    print("error", e.response["Error"]["Code"])

d = gd.create_detector(Enable=True)["DetectorId"]
gd.create_sample_findings(DetectorId=d, FindingTypes=["UnauthorizedAccess:EC2/TorClient", "Policy:S3/BucketPublicAccessGranted"])
f = control("seed/AddThreat", {"type": "Backdoor:EC2/Spambot", "resource": i})["id"]
ids = [x for p in gd.get_paginator("list_findings").paginate(DetectorId=d, FindingCriteria={"Criterion": {"severity": {"GreaterThanOrEqual": 5}}}, PaginationConfig={"PageSize": 2}) for x in p["FindingIds"]]
found = gd.get_findings(DetectorId=d, FindingIds=[f])["Findings"][0]
gd.archive_findings(DetectorId=d, FindingIds=[f])
print("guardduty", len(ids), found["Resource"]["InstanceDetails"]["InstanceId"] == i, found["Severity"], len(gd.list_findings(DetectorId=d, FindingCriteria={"Criterion": {"service.archived": {"Eq": ["false"]}}})["FindingIds"]))
try:
    gd.get_detector(DetectorId="none")
except gd.exceptions.BadRequestException as e:
    print("error", e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"])

try:
    hub.get_findings()
except hub.exceptions.InvalidAccessException as e:
    print("error", e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"])
hub.enable_security_hub()
product = "arn:aws:securityhub:eu-west-1:111122223333:product/111122223333/default"
finding = {"SchemaVersion": "2018-10-08", "Id": "a", "ProductArn": product, "GeneratorId": "g", "AwsAccountId": "111122223333", "Types": ["TTPs"], "CreatedAt": "2026-11-24T08:00:00Z", "UpdatedAt": "2026-11-24T08:00:00Z",
           "Severity": {"Label": "HIGH"}, "Title": "t", "Description": "d", "Resources": [{"Type": "AwsS3Bucket", "Id": "arn:aws:s3:::config-bucket"}]}
r = hub.batch_import_findings(Findings=[finding, dict(finding, Id="b", AwsAccountId="999999999999")])
print("hub", r["SuccessCount"], r["FailedCount"], r["FailedFindings"][0]["Id"])
r = hub.batch_update_findings(FindingIdentifiers=[{"Id": "a", "ProductArn": product}, {"Id": "z", "ProductArn": product}], Workflow={"Status": "RESOLVED"}, Note={"Text": "n", "UpdatedBy": "me"})
print(len(r["ProcessedFindings"]), r["UnprocessedFindings"][0]["ErrorCode"], [(x["Id"], x["Severity"]["Normalized"]) for p in hub.get_paginator("get_findings").paginate(Filters={"WorkflowStatus": [{"Value": "RESOLVED", "Comparison": "EQUALS"}]}) for x in p["Findings"]])

control("seed/AddVulnerability", {"instance": i, "id": "CVE-2026-1", "package": "openssl", "version": "3.0.1", "fixed": "3.0.2"})
x = inspector.list_findings(filterCriteria={"resourceId": [{"comparison": "EQUALS", "value": i}]})["findings"][0]
print("inspector", x["packageVulnerabilityDetails"]["vulnerablePackages"][0]["fixedInVersion"], x["fixAvailable"], inspector.list_coverage()["coveredResources"][0]["scanStatus"]["reason"])

control("seed/AddMetric", {"namespace": "AWS/EC2", "name": "CPUUtilization", "dimensions": {"InstanceId": i}, "mean": 3, "noise": 1})
cw.put_metric_data(Namespace="acme", MetricData=[{"MetricName": "m", "Value": 0.1}, {"MetricName": "m", "Values": [1.0, 2.0], "Counts": [3.0, 1.0]}])
print("metrics", sorted(m["MetricName"] for p in cw.get_paginator("list_metrics").paginate() for m in p["Metrics"]))
cpu = {"Namespace": "AWS/EC2", "MetricName": "CPUUtilization", "Dimensions": [{"Name": "InstanceId", "Value": i}]}
control("clock", {"advance": "72h"})
t = now()
r = cw.get_metric_data(StartTime=t - datetime.timedelta(days=2), EndTime=t, MetricDataQueries=[{"Id": "c", "MetricStat": {"Metric": cpu, "Period": 3600, "Stat": "p99.5"}}, {"Id": "e", "Expression": "c * 2"}])["MetricDataResults"]
print(len(r[0]["Values"]), all(2 <= v <= 4 for v in r[0]["Values"]), [2 * v for v in r[0]["Values"]] == r[1]["Values"], r[0]["Timestamps"][0] > r[0]["Timestamps"][1])
s = cw.get_metric_statistics(Namespace="acme", MetricName="m", StartTime=t - datetime.timedelta(days=4), EndTime=t, Period=86400, Statistics=["Sum", "SampleCount"])["Datapoints"]
print([(p["Sum"], p["SampleCount"]) for p in s])
cw.put_metric_alarm(AlarmName="busy", Statistic="Average", Period=300, EvaluationPeriods=2, Threshold=1.0, ComparisonOperator="GreaterThanThreshold", **cpu)
control("clock", {"advance": "1m"})
print("alarm", cw.describe_alarms(AlarmNames=["busy"])["MetricAlarms"][0]["StateValue"])
try:
    cw.put_metric_data(Namespace="AWS/EC2", MetricData=[{"MetricName": "m", "Value": 1}])
except cw.exceptions.InvalidParameterValueException as e:
    print("error", e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"])

# CloudWatch in the protocols of older clients.
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
for kind, headers, body in (("query", {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, "Action=ListMetrics&Version=2010-08-01&Namespace=acme"),
                            ("json", {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "GraniteServiceVersion20100801.ListMetrics"}, '{"Namespace": "acme"}')):
    r = AWSRequest("POST", os.environ["AWS_ENDPOINT_URL"] + "/", data=body, headers=headers)
    SigV4Auth(Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]), "monitoring", "eu-west-1").add_auth(r)
    answer = urllib.request.urlopen(urllib.request.Request(r.url, body.encode(), dict(r.headers), method="POST"))
    print(kind, answer.headers["Content-Type"], answer.read().decode().count("acme"))

r = co.get_ec2_instance_recommendations()["instanceRecommendations"][0]
print("optimizer", co.get_enrollment_status()["status"], r["finding"], r["recommendationOptions"][0]["instanceType"], r["recommendationOptions"][0]["savingsOpportunity"]["estimatedMonthlySavings"]["value"] > 0)
`)
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+server.URL, "AWS_ACCESS_KEY_ID="+OperatorKey, "AWS_SECRET_ACCESS_KEY="+operatorSecret,
		"AWS_DEFAULT_REGION=eu-west-1", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_MAX_ATTEMPTS=1", "no_proxy=127.0.0.1")
	out, err := cmd.CombinedOutput()
	want := `recorder True
compliance NON_COMPLIANT True
item True ResourceDiscovered datetime
select {'instanceType': 'm5.xlarge'} 1 1
error NoSuchConfigRuleException
guardduty 3 True 5.0 2
error BadRequestException 400
error InvalidAccessException 401
hub 1 1 b
1 FindingNotFound [('a', 70)]
inspector 3.0.2 YES SUCCESSFUL
metrics ['CPUUtilization', 'm']
49 True True True
[(5.1, 5)]
alarm ALARM
error InvalidParameterValue 400
query text/xml;charset=UTF-8 1
json application/x-amz-json-1.0 1
optimizer Active Overprovisioned r5.large True
`
	if err != nil || !strings.HasSuffix(string(out), want) {
		t.Errorf("%v\n%s\nwant\n%s", err, out, want)
	}
}
