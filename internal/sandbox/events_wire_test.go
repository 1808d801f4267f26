package sandbox

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestBoto3DrivesEvents(t *testing.T) {
	if err := exec.Command("python3", "-c", "import boto3").Run(); err != nil {
		t.Skip("python3 with boto3 is not installed")
	}
	w := newWorld(t)
	server := httptest.NewServer(w.Sandbox)
	defer server.Close()
	cmd := exec.CommandContext(t.Context(), "python3", "-c", `
import boto3, io, json, os, urllib.request, zipfile
ct, events, sqs, sns, lam, ec2, iam, s3 = (boto3.client(n) for n in ("cloudtrail", "events", "sqs", "sns", "lambda", "ec2", "iam", "s3"))

def advance(d):
    urllib.request.urlopen(urllib.request.Request(os.environ["AWS_ENDPOINT_URL"] + "/_knowngood/clock", json.dumps({"advance": d}).encode(), method="POST"))

url = sqs.create_queue(QueueName="inbox", Attributes={"VisibilityTimeout": "60"})["QueueUrl"]
arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": ["events.amazonaws.com", "sns.amazonaws.com"]}, "Action": "sqs:SendMessage", "Resource": arn}]})})
print("sqs", arn, sqs.get_queue_url(QueueName="inbox")["QueueUrl"] == url)

print("rule", events.put_rule(Name="running", EventPattern=json.dumps({"source": ["aws.ec2"], "detail": {"state": ["running"]}}))["RuleArn"])
print("targets", events.put_targets(Rule="running", Targets=[{"Id": "q", "Arn": arn, "InputTransformer": {"InputPathsMap": {"i": "$.detail.instance-id"}, "InputTemplate": '{"instance": <i>}'}}])["FailedEntryCount"],
      [t["Id"] for t in events.list_targets_by_rule(Rule="running")["Targets"]], [r["Name"] for r in events.list_rules()["Rules"]])
i = ec2.run_instances(MinCount=1, MaxCount=1, ImageId="ami-0c1a2b3c4d5e6f708", InstanceType="t3.micro")["Instances"][0]["InstanceId"]
print("too early", "Messages" in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1))
advance("1m")
m = sqs.receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"][0]
print("event", json.loads(m["Body"]) == {"instance": i}, m["Attributes"]["ApproximateReceiveCount"])
sqs.delete_message(QueueUrl=url, ReceiptHandle=m["ReceiptHandle"])
print("put", events.put_events(Entries=[{"Source": "mine", "DetailType": "d", "Detail": "{}"}, {"Source": "mine", "DetailType": "d", "Detail": "no"}])["FailedEntryCount"],
      events.test_event_pattern(EventPattern='{"source": ["mine"]}', Event=json.dumps({"id": "1", "account": "1", "source": "mine", "time": "2026-01-01T00:00:00Z", "region": "r", "resources": [], "detail-type": "d"}))["Result"])

topic = sns.create_topic(Name="alerts")["TopicArn"]
sub = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"FilterPolicy": json.dumps({"level": ["high"]})}, ReturnSubscriptionArn=True)["SubscriptionArn"]
for level in ("low", "high"):
    sns.publish(TopicArn=topic, Message="it is " + level, Subject="s", MessageAttributes={"level": {"DataType": "String", "StringValue": level}})
print("sns", [json.loads(m["Body"])["Message"] for m in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]], [t["TopicArn"] for t in sns.list_topics()["Topics"]])
sns.unsubscribe(SubscriptionArn=sub)
try:
    sqs.get_queue_url(QueueName="none")
except sqs.exceptions.QueueDoesNotExist as e:
    print("error", e.response["Error"]["Code"])
try:
    sns.publish(TopicArn=topic + "s", Message="m")
except sns.exceptions.NotFoundException as e:
    print("error", e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"])

iam.create_role(RoleName="runner", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}))
code = io.BytesIO()
with zipfile.ZipFile(code, "w") as z:
    z.writestr("main.py", "def handler(event, context): return event")
f = lam.create_function(FunctionName="f", Runtime="python3.13", Handler="main.handler", Role="arn:aws:iam::111122223333:role/runner", Code={"ZipFile": code.getvalue()}, Tags={"team": "sec"})
advance("5s")
lam.get_waiter("function_active_v2").wait(FunctionName="f")
lam.update_function_configuration(FunctionName="f", Timeout=60)
advance("5s")
r = lam.invoke(FunctionName="f", Payload=b'{"a": 1}')
print("lambda", f["State"], r["StatusCode"], r["Payload"].read(), lam.invoke(FunctionName="f", InvocationType="Event", Payload=b"{}")["StatusCode"], lam.invoke(FunctionName="f", InvocationType="DryRun")["StatusCode"])
lam.add_permission(FunctionName="f", StatementId="e", Action="lambda:InvokeFunction", Principal="events.amazonaws.com")
print(json.loads(lam.get_policy(FunctionName="f")["Policy"])["Statement"][0]["Principal"], lam.get_function_configuration(FunctionName="f")["Timeout"], lam.list_tags(Resource=f["FunctionArn"])["Tags"], [f["FunctionName"] for f in lam.list_functions()["Functions"]])
try:
    lam.get_function(FunctionName="g")
except lam.exceptions.ResourceNotFoundException as e:
    print("error", e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"])

s3.create_bucket(Bucket="logs-of-acme", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
s3.put_bucket_policy(Bucket="logs-of-acme", Policy=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "s3:*", "Resource": ["arn:aws:s3:::logs-of-acme", "arn:aws:s3:::logs-of-acme/*"]}]}))
ct.create_trail(Name="org", S3BucketName="logs-of-acme", IsMultiRegionTrail=True)
ct.start_logging(Name="org")
ct.update_trail(Name="org", EnableLogFileValidation=True)
print("trail", ct.get_trail_status(Name="org")["IsLogging"], ct.describe_trails()["trailList"][0]["LogFileValidationEnabled"], ct.get_event_selectors(TrailName="org")["EventSelectors"][0]["ReadWriteType"])
ct.stop_logging(Name="org")
found = [e for p in ct.get_paginator("lookup_events").paginate(LookupAttributes=[{"AttributeKey": "ReadOnly", "AttributeValue": "false"}], PaginationConfig={"PageSize": 3}) for e in p["Events"]]
print("history", [e["EventName"] for e in found][:4], len(found))
record = json.loads(next(e for e in found if e["EventName"] == "RunInstances")["CloudTrailEvent"])
print(record["sourceIPAddress"], record["userAgent"].split("/")[0], record["requestParameters"]["instancesSet"], record["responseElements"]["instancesSet"]["items"][0]["instanceId"] == i)
`)
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+server.URL, "AWS_ACCESS_KEY_ID="+OperatorKey, "AWS_SECRET_ACCESS_KEY="+operatorSecret,
		"AWS_DEFAULT_REGION=eu-west-1", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_MAX_ATTEMPTS=1", "no_proxy=127.0.0.1")
	out, err := cmd.CombinedOutput()
	want := `sqs arn:aws:sqs:eu-west-1:111122223333:inbox True
rule arn:aws:events:eu-west-1:111122223333:rule/running
targets 0 ['q'] ['running']
too early False
event True 1
put 1 True
sns ['it is high'] ['arn:aws:sns:eu-west-1:111122223333:alerts']
error AWS.SimpleQueueService.NonExistentQueue
error NotFound 404
lambda Pending 200 b'{"a": 1}' 202 204
{'Service': 'events.amazonaws.com'} 60 {'team': 'sec'} ['f']
error ResourceNotFoundException 404
trail True True All
history ['StopLogging', 'UpdateTrail', 'StartLogging', 'CreateTrail'] 17
127.0.0.1 Boto3 {'items': [{'imageId': 'ami-0c1a2b3c4d5e6f708', 'maxCount': 1, 'minCount': 1}]} True
`
	if err != nil || !strings.HasSuffix(string(out), want) {
		t.Errorf("%v\n%s\nwant\n%s", err, out, want)
	}
}
