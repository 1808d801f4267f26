"""CloudTrail and EventBridge, to SQS, SNS and Lambda."""

import io
import json
import zipfile


def queue(t, name, **attributes):
    """A queue that EventBridge and SNS may send to: its URL and ARN."""
    c = t.client("sqs")
    url = c.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    arn = c.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": ["events.amazonaws.com", "sns.amazonaws.com"]}, "Action": "sqs:SendMessage", "Resource": arn}]}
    c.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    return url, arn


def received(t, url, seconds=0):
    return t.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=seconds, AttributeNames=["All"]).get("Messages", [])


def sqs(t):
    # Sources: Amazon SQS API Reference; Developer Guide ("Amazon SQS visibility timeout", "Using dead-letter queues").
    c = t.client("sqs")
    url, arn = t.do(lambda: queue(t, "work", VisibilityTimeout="60")) or (None, None)
    t.error("a queue that is not there", "AWS.SimpleQueueService.NonExistentQueue", lambda: c.get_queue_url(QueueName="none"))
    t.eq("the same queue again is no error", True, lambda: c.create_queue(QueueName="work", Attributes={"VisibilityTimeout": "60"})["QueueUrl"] == url)
    t.error("another of the same name is", "QueueAlreadyExists", lambda: c.create_queue(QueueName="work", Attributes={"VisibilityTimeout": "5"}))
    t.eq("a message's MD5", "5d41402abc4b2a76b9719d911017c592", lambda: c.send_message(QueueUrl=url, MessageBody="hello")["MD5OfMessageBody"])
    m = t.do(lambda: received(t, url)[0])
    t.eq("a message is received", ("hello", "1"), lambda: (m["Body"], m["Attributes"]["ApproximateReceiveCount"]))
    t.eq("and hidden then", [], lambda: received(t, url))
    counts = lambda: c.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    t.eq("but counted", ("0", "1"), lambda: (counts()["ApproximateNumberOfMessages"], counts()["ApproximateNumberOfMessagesNotVisible"]))
    t.wait(61)
    again = t.do(lambda: received(t, url)[0])
    t.eq("until its timeout has passed", "2", lambda: again["Attributes"]["ApproximateReceiveCount"])
    t.eq("a deleted message does not come again", [], lambda: (c.delete_message(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"]), t.wait(61), received(t, url))[2])
    t.error("a handle that is none", "ReceiptHandleIsInvalid", lambda: c.delete_message(QueueUrl=url, ReceiptHandle="x"))
    t.do(lambda: c.send_message(QueueUrl=url, MessageBody="later", DelaySeconds=30))
    t.eq("a delayed message is not there yet", [], lambda: received(t, url))
    t.wait(31)
    t.eq("but then", ["later"], lambda: [x["Body"] for x in received(t, url)])


def events(t):
    # Sources: Amazon EventBridge API Reference; User Guide ("Creating Amazon EventBridge event patterns", "Amazon EventBridge input transformation"); Amazon EC2 User Guide ("Instance state change events").
    c, ec2 = t.client("events"), t.client("ec2")
    url, arn = t.do(lambda: queue(t, "inbox", VisibilityTimeout="0")) or (None, None)
    t.eq("a rule has an ARN", True, lambda: c.put_rule(Name="orders", EventPattern=json.dumps({"source": ["shop"], "detail": {"total": [{"numeric": [">", 100]}]}}))["RuleArn"].endswith(":rule/orders"))
    t.error("a pattern that is none", "InvalidEventPatternException", lambda: c.put_rule(Name="bad", EventPattern='{"source": "text"}'))
    t.error("a target of a rule that is not there", "ResourceNotFoundException", lambda: c.put_targets(Rule="none", Targets=[{"Id": "1", "Arn": arn}]))
    t.eq("a target is taken", 0, lambda: c.put_targets(Rule="orders", Targets=[{"Id": "q", "Arn": arn, "InputTransformer": {"InputPathsMap": {"n": "$.detail.total"}, "InputTemplate": '{"total": <n>}'}}])["FailedEntryCount"])
    t.error("a rule with targets can't be deleted", "ValidationException", lambda: c.delete_rule(Name="orders"))
    entry = lambda detail: {"Source": "shop", "DetailType": "order", "Detail": detail}
    t.eq("an entry that is no JSON fails by itself", (1, [False, True]), lambda: (lambda r: (r["FailedEntryCount"], ["ErrorCode" in e for e in r["Entries"]]))(c.put_events(Entries=[entry('{"total": 500}'), entry("no")])))
    t.do(lambda: c.put_events(Entries=[entry('{"total": 5}')]))
    t.wait(5)
    t.eq("what matches is delivered, transformed", [{"total": 500}], lambda: [json.loads(m["Body"]) for m in received(t, url, 1)])
    t.eq("a pattern can be tried", (True, False), lambda: tuple(c.test_event_pattern(EventPattern='{"detail": {"a": [{"prefix": "x"}]}}', Event=json.dumps(
        {"id": "1", "account": "1", "source": "s", "time": "2026-01-01T00:00:00Z", "region": "eu-west-1", "resources": [], "detail-type": "d", "detail": {"a": a}}))["Result"] for a in ("xy", "yx")))
    t.eq("rules are listed", ["orders"], lambda: [r["Name"] for r in c.list_rules(NamePrefix="ord")["Rules"]])
    t.eq("a disabled rule matches nothing", [], lambda: (t.client("sqs").purge_queue(QueueUrl=url), t.wait(61), c.disable_rule(Name="orders"), c.put_events(Entries=[entry('{"total": 700}')]), t.wait(5), received(t, url))[5])
    url2, arn2 = t.do(lambda: queue(t, "instances", VisibilityTimeout="0")) or (None, None)
    t.do(lambda: c.put_rule(Name="running", EventPattern=json.dumps({"source": ["aws.ec2"], "detail-type": ["EC2 Instance State-change Notification"], "detail": {"state": ["running"]}})))
    t.do(lambda: c.put_targets(Rule="running", Targets=[{"Id": "q", "Arn": arn2}]))
    i = t.do(lambda: ec2.run_instances(MinCount=1, MaxCount=1, ImageId=(ec2.describe_images(Owners=["amazon"])["Images"] or [{"ImageId": "ami-0abcdef1234567890"}])[0]["ImageId"])["Instances"][0]["InstanceId"])
    t.wait(120)
    m = t.do(lambda: json.loads(received(t, url2, 1)[0]["Body"]))
    t.eq("an instance's state is an event", {"instance-id": i, "state": "running"}, lambda: m["detail"])
    t.eq("in EventBridge's envelope", ("0", "aws.ec2", "eu-west-1"), lambda: (m["version"], m["source"], m["region"]))
    t.true("which names the instance", lambda: m["resources"][0].endswith(":instance/" + i))


def sns(t):
    # Sources: Amazon SNS API Reference; Developer Guide ("Amazon SNS subscription filter policies", "Amazon SNS raw message delivery").
    c = t.client("sns")
    url, arn = t.do(lambda: queue(t, "alerts", VisibilityTimeout="0")) or (None, None)
    topic = t.do(lambda: c.create_topic(Name="alerts")["TopicArn"])
    t.eq("a topic's ARN is its name's", True, lambda: topic.startswith("arn:aws:sns:eu-west-1:") and c.create_topic(Name="alerts")["TopicArn"] == topic)
    s = t.do(lambda: c.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"FilterPolicy": '{"level": ["high"]}'}, ReturnSubscriptionArn=True)["SubscriptionArn"])
    for level in ("low", "high"):
        t.do(lambda: c.publish(TopicArn=topic, Message="it is " + level, Subject="news", MessageAttributes={"level": {"DataType": "String", "StringValue": level}}))
    t.wait(5)
    body = t.do(lambda: [json.loads(m["Body"]) for m in received(t, url, 1)])
    t.eq("a filter policy picks messages", ["it is high"], lambda: [b["Message"] for b in body])
    t.eq("a message has SNS's envelope", ("Notification", "news", True), lambda: (body[0]["Type"], body[0]["Subject"], body[0]["TopicArn"] == topic))
    t.error("a topic that is not there", "NotFound", lambda: c.publish(TopicArn=topic + "x", Message="m"), 404)
    t.error("a message of nothing", "InvalidParameter", lambda: c.publish(TopicArn=topic, Message=""))
    t.eq("a subscription can be ended", [], lambda: c.unsubscribe(SubscriptionArn=s) and c.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"])


def function(t, name):
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as z:
        z.writestr("main.py", "def handler(event, context): return event")
    return t.client("lambda").create_function(FunctionName=name, Runtime="python3.13", Handler="main.handler", Code={"ZipFile": code.getvalue()}, Role=t.client("iam").get_role(RoleName="runner")["Role"]["Arn"])


def lambda_(t):
    # Source: AWS Lambda API Reference.
    t.service = "lambda"
    c = t.client("lambda")
    t.do(lambda: t.client("iam").create_role(RoleName="runner", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]})))
    t.wait(15)
    f = t.do(lambda: function(t, "mailer"))
    t.eq("a new function is pending", "Pending", lambda: f["State"])
    t.wait(30)
    g = lambda: c.get_function_configuration(FunctionName="mailer")
    t.eq("a function becomes active", "Active", lambda: g()["State"])
    t.eq("128 MB and 3 s unless told otherwise", (128, 3), lambda: (g()["MemorySize"], g()["Timeout"]))
    t.error("its name is unique", "ResourceConflictException", lambda: function(t, "mailer"), 409)
    t.error("an unknown function", "ResourceNotFoundException", lambda: c.get_function_configuration(FunctionName="none"), 404)
    t.eq("an update is under way", "InProgress", lambda: c.update_function_configuration(FunctionName="mailer", Timeout=60)["LastUpdateStatus"])
    t.wait(30)
    t.eq("an update is made", ("Successful", 60), lambda: (g()["LastUpdateStatus"], g()["Timeout"]))
    t.error("longer than a function may run", "ValidationException", lambda: c.update_function_configuration(FunctionName="mailer", Timeout=901))
    t.eq("a dry run says that it may", 204, lambda: c.invoke(FunctionName="mailer", InvocationType="DryRun")["StatusCode"])
    t.eq("an event is taken", 202, lambda: c.invoke(FunctionName="mailer", InvocationType="Event", Payload=b"{}")["StatusCode"])
    t.error("a policy that is not there", "ResourceNotFoundException", lambda: c.get_policy(FunctionName="mailer"), 404)
    t.do(lambda: c.add_permission(FunctionName="mailer", StatementId="rule", Action="lambda:InvokeFunction", Principal="events.amazonaws.com"))
    t.eq("a permission is a statement", {"Service": "events.amazonaws.com"}, lambda: json.loads(c.get_policy(FunctionName="mailer")["Policy"])["Statement"][0]["Principal"])
    t.error("a statement's id is unique", "ResourceConflictException", lambda: c.add_permission(FunctionName="mailer", StatementId="rule", Action="lambda:InvokeFunction", Principal="events.amazonaws.com"), 409)
    t.eq("functions are listed", ["mailer"], lambda: [x["FunctionName"] for x in c.list_functions()["Functions"]])


def cloudtrail(t):
    # Sources: AWS CloudTrail API Reference; User Guide ("CloudTrail record contents").
    c, s3 = t.client("cloudtrail"), t.client("s3")
    b = "kg-conformance-trail"
    t.do(lambda: s3.create_bucket(Bucket=b, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}))
    t.error("a trail's bucket must let it write", "InsufficientS3BucketPolicyException", lambda: c.create_trail(Name="audit", S3BucketName=b))
    t.error("a bucket that is not there", "S3BucketDoesNotExistException", lambda: c.create_trail(Name="audit", S3BucketName="kg-no-such-bucket-anywhere"))
    t.do(lambda: s3.put_bucket_policy(Bucket=b, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "s3:GetBucketAcl", "Resource": f"arn:aws:s3:::{b}"},
        {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{b}/AWSLogs/*", "Condition": {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}}]})))
    made = t.do(lambda: c.create_trail(Name="audit", S3BucketName=b, IsMultiRegionTrail=True))
    t.eq("a trail validates nothing unless told so", (True, False), lambda: (made["IsMultiRegionTrail"], made["LogFileValidationEnabled"]))
    t.eq("a new trail does not log", False, lambda: c.get_trail_status(Name="audit")["IsLogging"])
    t.do(lambda: c.start_logging(Name="audit"))
    t.eq("until it is started", True, lambda: c.get_trail_status(Name="audit")["IsLogging"])
    t.eq("a trail can be changed", True, lambda: c.update_trail(Name="audit", EnableLogFileValidation=True)["LogFileValidationEnabled"])
    t.eq("its home is where it was made", [("audit", "eu-west-1")], lambda: [(x["Name"], x["HomeRegion"]) for x in c.describe_trails()["trailList"]])
    t.eq("it logs management events", ("All", True), lambda: (lambda s: (s["ReadWriteType"], s["IncludeManagementEvents"]))(c.get_event_selectors(TrailName="audit")["EventSelectors"][0]))
    t.error("an unknown trail", "TrailNotFoundException", lambda: c.get_trail_status(Name="nowhere"))
    t.error("its name is unique", "TrailAlreadyExistsException", lambda: c.create_trail(Name="audit", S3BucketName=b))
    v = t.do(lambda: t.client("ec2").create_volume(AvailabilityZone="eu-west-1a", Size=1)["VolumeId"])
    t.do(lambda: t.client("ec2").delete_volume(VolumeId="vol-0123456789abcdef0"))
    t.wait(900)
    look = lambda name: [e for e in c.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": name}])["Events"]]
    t.eq("a call is in the history", True, lambda: v in json.dumps(look("CreateVolume")[0]["CloudTrailEvent"]))
    record = lambda name: json.loads(look(name)[0]["CloudTrailEvent"])
    t.eq("with who made it, where", ("ec2.amazonaws.com", "eu-west-1", False), lambda: (lambda r: (r["eventSource"], r["awsRegion"], r["readOnly"]))(record("CreateVolume")))
    t.eq("a call that failed says why", "Client.InvalidVolume.NotFound", lambda: record("DeleteVolume")["errorCode"])
    t.eq("a history of writes", True, lambda: all(e["ReadOnly"] == "false" for e in c.lookup_events(LookupAttributes=[{"AttributeKey": "ReadOnly", "AttributeValue": "false"}])["Events"]))
    t.do(lambda: c.stop_logging(Name="audit"))
    t.eq("a trail can be stopped", False, lambda: c.get_trail_status(Name="audit")["IsLogging"])


FLOWS = [sqs, events, sns, lambda_, cloudtrail]
