package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// queueFor makes a queue; services may send to it, if a policy says so.
func (w *world) queueFor(name string, services ...string) (url, arn string) {
	w.t.Helper()
	arn = "arn:aws:sqs:eu-west-1:111122223333:" + name
	in := object{"QueueName": name}
	if len(services) > 0 {
		in["Attributes"] = object{"Policy": jsonText(object{"Version": "2012-10-17", "Statement": object{"Effect": "Allow", "Principal": object{"Service": services},
			"Action": "sqs:SendMessage", "Resource": arn}})}
	}
	return w.do("sqs", "CreateQueue", in)["QueueUrl"].(string), arn
}

// bodies receives and deletes all messages of a queue.
func (w *world) bodies(url string) []string {
	w.t.Helper()
	var out []string
	for {
		list, _ := w.do("sqs", "ReceiveMessage", object{"QueueUrl": url, "MaxNumberOfMessages": int64(10)})["Messages"].([]any)
		if len(list) == 0 {
			return out
		}
		for _, m := range list {
			out = append(out, m.(object)["Body"].(string))
			w.do("sqs", "DeleteMessage", object{"QueueUrl": url, "ReceiptHandle": m.(object)["ReceiptHandle"]})
		}
	}
}

func (w *world) rule(name, pattern string, targets ...object) {
	w.t.Helper()
	w.do("events", "PutRule", object{"Name": name, "EventPattern": pattern})
	w.do("events", "PutTargets", object{"Rule": name, "Targets": anys(targets)})
}

// timeline notes each event as "time source detail-type: what".
func (w *world) timeline(what ...string) *[]string {
	var out []string
	w.OnEvent(func(raw []byte) {
		var e envelope
		var detail object
		if json.Unmarshal(raw, &e) != nil || json.Unmarshal(e.Detail, &detail) != nil {
			w.t.Errorf("%s is no event", raw)
		}
		if e.Version != "0" || len(e.ID) != 36 || e.Account != "111122223333" || e.Region != "eu-west-1" || e.Resources == nil {
			w.t.Errorf("%s", raw)
		}
		line := e.Time.Format("15:04:05") + " " + e.DetailType
		for _, k := range what {
			if v, ok := detail[k]; ok {
				line += fmt.Sprint(" ", v)
			}
		}
		out = append(out, line)
	})
	return &out
}

func TestAStateThatComesLaterHasItsEventThen(t *testing.T) {
	w := newWorld(t)
	got := w.timeline("state", "event", "result")
	out := w.do("ec2", "RunInstances", object{"ImageId": linux, "MinCount": int64(1), "MaxCount": int64(1)})
	i := out["Instances"].([]any)[0].(object)["InstanceId"].(string)
	if want := []string{"08:00:00 EC2 Instance State-change Notification pending"}; !reflect.DeepEqual(*got, want) {
		t.Errorf("at once %q", *got)
	}
	w.clock.Advance(5 * time.Second)
	w.do("ec2", "StopInstances", object{"InstanceIds": ids(i)}) // before it ever ran
	w.clock.Advance(time.Minute)
	w.Settle()
	w.do("ec2", "StartInstances", object{"InstanceIds": ids(i)})
	w.clock.Advance(time.Minute)
	v := w.do("ec2", "CreateVolume", object{"AvailabilityZone": "eu-west-1a", "Size": int64(1)})["VolumeId"].(string)
	w.do("ec2", "DeleteVolume", object{"VolumeId": v}) // before it was available
	s := w.do("ec2", "CreateSnapshot", object{"VolumeId": w.newVolume(object{"Size": int64(5)})})["SnapshotId"]
	w.clock.Advance(time.Minute)
	w.do("ec2", "CopySnapshot", object{"SourceRegion": "eu-west-1", "SourceSnapshotId": s})
	w.do("ec2", "TerminateInstances", object{"InstanceIds": ids(i)})
	w.do("ec2", "TerminateInstances", object{"InstanceIds": ids(i)})
	w.clock.Advance(time.Hour)
	w.Settle()
	want := []string{
		"08:00:00 EC2 Instance State-change Notification pending",
		"08:00:03 EBS Volume Notification createVolume available",
		"08:00:05 EC2 Instance State-change Notification stopping",
		"08:00:35 EC2 Instance State-change Notification stopped",
		"08:01:05 EC2 Instance State-change Notification pending",
		"08:01:20 EC2 Instance State-change Notification running",
		"08:02:05 EBS Volume Notification deleteVolume deleted",
		"08:02:08 EBS Volume Notification createVolume available",
		"08:02:29 EBS Snapshot Notification createSnapshot succeeded",
		"08:03:08 EC2 Instance State-change Notification shutting-down",
		"08:03:28 EC2 Instance State-change Notification terminated",
		"08:03:28 EBS Volume Notification deleteVolume deleted",
		"08:03:29 EBS Snapshot Notification copySnapshot succeeded",
	}
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("%s\nwant\n%s", strings.Join(*got, "\n"), strings.Join(want, "\n"))
	}
}

func TestAGroupSaysThatItTerminatedAMember(t *testing.T) {
	w := newWorld(t)
	got := w.timeline("state", "EC2InstanceId", "AutoScalingGroupName")
	i := w.launch(object{})
	w.do("autoscaling", "CreateAutoScalingGroup", object{"AutoScalingGroupName": "web", "MinSize": int64(0), "MaxSize": int64(2), "InstanceId": i})
	w.do("autoscaling", "AttachInstances", object{"AutoScalingGroupName": "web", "InstanceIds": ids(i)})
	w.do("ec2", "StopInstances", object{"InstanceIds": ids(i)})
	w.clock.Advance(10 * time.Minute)
	w.Settle()
	if want := "08:01:35 EC2 Instance Terminate Successful " + i + " web"; !slices.Contains(*got, want) {
		t.Errorf("%s\nwant %s", strings.Join(*got, "\n"), want)
	}
}

func TestWhatIsToComeSurvivesASnapshot(t *testing.T) {
	w := newWorld(t)
	url, arn := w.queueFor("q", "events.amazonaws.com")
	w.rule("states", `{"detail": {"state": ["running"]}}`, object{"Id": "q", "Arn": arn, "InputPath": "$.detail.state", "RetryPolicy": object{"MaximumRetryAttempts": int64(3)}})
	w.do("events", "PutRule", object{"Name": "hourly", "ScheduleExpression": "rate(1 hour)"})
	w.do("events", "PutTargets", object{"Rule": "hourly", "Targets": []any{object{"Id": "q", "Arn": arn, "Input": `"tick"`}}})
	w.do("sqs", "SendMessage", object{"QueueUrl": url, "MessageBody": "before"})
	w.do("ec2", "RunInstances", object{"ImageId": linux, "MinCount": int64(1), "MaxCount": int64(1)}) // pending
	raw, err := w.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Restore(Options{Catalog: w.catalog}, raw)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := back.Snapshot(); err != nil || !bytes.Equal(raw, again) {
		t.Errorf("a restored sandbox gives another snapshot: %v", err)
	}
	r := &world{back, t, back.clock.(*ManualClock), OperatorKey}
	r.clock.Advance(90 * time.Minute)
	if got, want := r.bodies(url), []string{"before", `"running"`, `"tick"`}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	target := r.do("events", "ListTargetsByRule", object{"Rule": "states"})["Targets"].([]any)[0].(object)
	if got := target["RetryPolicy"].(object)["MaximumRetryAttempts"]; got != int64(3) {
		t.Errorf("a number came back as %T %v", got, got)
	}
}

func TestTargetsPoliciesLetEventBridgeIn(t *testing.T) {
	policy := func(principal, condition string) string {
		return `{"Statement":[{"Effect":"Allow","Principal":` + principal + `,"Action":"sqs:SendMessage","Resource":"*"` + condition + `}]}`
	}
	rule := "arn:aws:events:eu-west-1:111122223333:rule/all"
	service := `{"Service":"events.amazonaws.com"}`
	for name, c := range map[string]struct {
		attributes object
		delivered  bool
	}{
		"no policy":       {object{}, false},
		"the service":     {object{"Policy": policy(service, "")}, true},
		"everybody":       {object{"Policy": policy(`"*"`, "")}, true},
		"another service": {object{"Policy": policy(`{"Service":"sns.amazonaws.com"}`, "")}, false},
		"another action":  {object{"Policy": strings.Replace(policy(service, ""), "SendMessage", "ReceiveMessage", 1)}, false},
		"the rule":        {object{"Policy": policy(service, `,"Condition":{"ArnEquals":{"aws:SourceArn":"`+rule+`"}}`)}, true},
		"another rule":    {object{"Policy": policy(service, `,"Condition":{"ArnLike":{"aws:SourceArn":"`+rule+`s"}}`)}, false},
		"rules like it":   {object{"Policy": policy(service, `,"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:events:*:*:rule/*"},"StringEquals":{"aws:SourceAccount":"111122223333"}}`)}, true},
		"another account": {object{"Policy": policy(service, `,"Condition":{"StringEquals":{"aws:SourceAccount":"444455556666"}}`)}, false},
		"a denial":        {object{"Policy": `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*"},{"Effect":"Deny","Principal":"*","Action":"sqs:SendMessage","Resource":"*"}]}`}, false},
		"SQS's own key":   {object{"Policy": policy(service, ""), "KmsMasterKeyId": "alias/aws/sqs"}, false},
	} {
		w := newWorld(t)
		url := w.do("sqs", "CreateQueue", object{"QueueName": "q", "Attributes": c.attributes})["QueueUrl"].(string)
		dead, deadARN := w.queueFor("dead", "events.amazonaws.com")
		arn := "arn:aws:sqs:eu-west-1:111122223333:q"
		w.rule("all", `{"source": ["mine"]}`, object{"Id": "1", "Arn": arn, "DeadLetterConfig": object{"Arn": deadARN}})
		out := w.do("events", "PutEvents", object{"Entries": []any{object{"Source": "mine", "DetailType": "d", "Detail": `{"a": 1}`}}})
		if out["FailedEntryCount"] != int64(0) {
			t.Errorf("%s: %v", name, out)
		}
		if got := len(w.bodies(url)) == 1; got != c.delivered {
			t.Errorf("%s: delivered %v", name, got)
		}
		first := w.Deliveries()[0]
		if (first.Error == "") != c.delivered || first.Source != rule || first.Target != arn || first.Event != at(out, "Entries.0.EventId") {
			t.Errorf("%s: %+v", name, first)
		}
		list, _ := w.do("sqs", "ReceiveMessage", object{"QueueUrl": dead, "MessageAttributeNames": ids("All")})["Messages"].([]any)
		if (len(list) == 0) != c.delivered {
			t.Errorf("%s: dead letters %v", name, list)
		}
		if len(list) > 0 && (at(list[0], "MessageAttributes.ERROR_CODE.StringValue") != "NO_PERMISSIONS" || at(list[0], "MessageAttributes.RULE_ARN.StringValue") != rule) {
			t.Errorf("%s: %v", name, list[0])
		}
	}
}

func TestATargetsInput(t *testing.T) {
	w := newWorld(t)
	var want []string
	for i, c := range []struct {
		target object
		want   string
	}{
		{object{"Input": `{"fixed": true}`}, `{"fixed": true}`},
		{object{"InputPath": "$.detail.bucket"}, `"acme"`},
		{object{"InputTransformer": object{"InputPathsMap": object{"b": "$.detail.bucket"}, "InputTemplate": `{"bucket": <b>, "rule": "<aws.events.rule-name>"}`}}, `{"bucket": "acme", "rule": "r2"}`},
	} {
		url, arn := w.queueFor(fmt.Sprint("q", i), "events.amazonaws.com")
		c.target["Id"], c.target["Arn"] = "1", arn
		w.rule(fmt.Sprint("r", i), `{"detail-type": ["found"]}`, c.target)
		defer func() {
			if got := w.bodies(url); !reflect.DeepEqual(got, []string{c.want}) {
				t.Errorf("%v: %q, want %q", c.target, got, c.want)
			}
		}()
	}
	url, arn := w.queueFor("whole", "events.amazonaws.com")
	w.rule("whole", `{"detail-type": ["found"]}`, object{"Id": "1", "Arn": arn})
	id := at(w.do("events", "PutEvents", object{"Entries": []any{object{"Source": "mine", "DetailType": "found", "Detail": `{"bucket": "acme"}`, "Resources": ids("arn:aws:s3:::acme"),
		"Time": time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)}}}), "Entries.0.EventId")
	want = []string{`{"version":"0","id":"` + id.(string) + `","detail-type":"found","source":"mine","account":"111122223333","time":"2026-11-23T07:00:00Z","region":"eu-west-1","resources":["arn:aws:s3:::acme"],"detail":{"bucket":"acme"}}`}
	if got := w.bodies(url); !reflect.DeepEqual(got, want) {
		t.Errorf("%q\nwant\n%q", got, want)
	}
	w.fails("ValidationException", "events", "PutTargets", object{"Rule": "r0", "Targets": []any{object{"Id": "x", "Arn": arn, "Input": "not JSON"}}})
	w.fails("ValidationException", "events", "PutTargets", object{"Rule": "r0", "Targets": []any{object{"Id": "x", "Arn": "q"}}})
	w.fails("LimitExceededException", "events", "PutTargets", object{"Rule": "r0", "Targets": []any{object{"Id": "2", "Arn": arn}, object{"Id": "3", "Arn": arn}, object{"Id": "4", "Arn": arn}, object{"Id": "5", "Arn": arn}, object{"Id": "6", "Arn": arn}}})
}

func TestRules(t *testing.T) {
	w := newWorld(t)
	for code, in := range map[string]object{
		"InvalidEventPatternException": {"EventPattern": `{"source": "aws.ec2"}`},
		"ResourceNotFoundException":    {"EventPattern": `{"source": ["aws.ec2"]}`, "EventBusName": "none"},
	} {
		in["Name"] = "r"
		w.fails(code, "events", "PutRule", in)
	}
	for _, in := range []object{{}, {"ScheduleExpression": "rate(1 minutes)"}, {"ScheduleExpression": "cron(0 12 * * * *)"}, {"EventPattern": `{"a":["b"]}`, "Name": "a b"}} {
		if in["Name"] == nil {
			in["Name"] = "r"
		}
		w.fails("ValidationException", "events", "PutRule", in)
	}
	url, arn := w.queueFor("q", "events.amazonaws.com")
	w.rule("r", `{"source": ["mine"]}`, object{"Id": "1", "Arn": arn, "InputPath": "$.detail-type"})
	send := func(kind string, more object) {
		t.Helper()
		e := object{"Source": "mine", "DetailType": kind, "Detail": "{}"}
		for k, v := range more {
			e[k] = v
		}
		if out := w.do("events", "PutEvents", object{"Entries": []any{e}}); out["FailedEntryCount"] != int64(0) {
			t.Errorf("%v", out)
		}
	}
	send("enabled", nil)
	w.do("events", "DisableRule", object{"Name": "r"})
	send("disabled", nil)
	w.do("events", "EnableRule", object{"Name": "r"})
	w.do("events", "PutRule", object{"Name": "r", "EventPattern": `{"source": ["mine"], "detail-type": ["b"]}`}) // keeps its targets
	send("a", nil)
	send("b", nil)
	if got, want := w.bodies(url), []string{`"enabled"`, `"b"`}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	w.fails("ValidationException", "events", "DeleteRule", object{"Name": "r"})
	if out := w.do("events", "RemoveTargets", object{"Rule": "r", "Ids": ids("1", "9")}); out["FailedEntryCount"] != int64(1) || at(out, "FailedEntries.0.TargetId") != "9" {
		t.Errorf("%v", out)
	}
	w.do("events", "DeleteRule", object{"Name": "r"})
	w.fails("ResourceNotFoundException", "events", "DescribeRule", object{"Name": "r"})

	// A bus of one's own has its own rules; one may feed another, once.
	busARN := w.do("events", "CreateEventBus", object{"Name": "own"})["EventBusArn"]
	w.fails("ResourceAlreadyExistsException", "events", "CreateEventBus", object{"Name": "own"})
	w.fails("ValidationException", "events", "PutRule", object{"Name": "s", "ScheduleExpression": "rate(1 hour)", "EventBusName": "own"})
	w.do("events", "PutRule", object{"Name": "r", "EventBusName": "own", "EventPattern": `{"source": ["mine"]}`})
	w.do("events", "PutTargets", object{"Rule": "r", "EventBusName": busARN, "Targets": []any{object{"Id": "1", "Arn": arn, "InputPath": "$.detail-type"}, object{"Id": "2", "Arn": w.busOf("default")}}})
	w.rule("relay", `{"source": ["mine"], "detail-type": ["relayed"]}`, object{"Id": "1", "Arn": busARN.(string)})
	send("relayed", nil)
	send("not relayed", nil)
	send("direct", object{"EventBusName": "own"})
	send("lost", object{"EventBusName": "nowhere"})
	if got, want := w.bodies(url), []string{`"relayed"`, `"direct"`}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if out := w.do("events", "ListRules", object{"EventBusName": "own"})["Rules"].([]any); len(out) != 1 || out[0].(object)["Arn"] != "arn:aws:events:eu-west-1:111122223333:rule/own/r" {
		t.Errorf("%v", out)
	}
	w.fails("ValidationException", "events", "DeleteEventBus", object{"Name": "own"})
	if out := w.do("events", "ListEventBuses", nil)["EventBuses"].([]any); len(out) != 2 || out[1].(object)["Arn"] != busARN {
		t.Errorf("%v", out)
	}
}

func (w *world) busOf(name string) string {
	return "arn:aws:events:eu-west-1:111122223333:event-bus/" + name
}

func TestPutEventsRefusesEntryByEntry(t *testing.T) {
	w := newWorld(t)
	got := w.timeline()
	out := w.do("events", "PutEvents", object{"Entries": []any{
		object{"Source": "mine", "DetailType": "good", "Detail": "{}"},
		object{"Source": "mine", "DetailType": "d", "Detail": "[]"},
		object{"Source": "aws.ec2", "DetailType": "d", "Detail": "{}"},
		object{"Source": "mine", "Detail": "{}"},
	}})
	var codes []any
	for _, e := range out["Entries"].([]any) {
		codes = append(codes, e.(object)["ErrorCode"])
	}
	if want := []any{nil, "MalformedDetail", "NotAuthorizedForSourceException", "InvalidArgument"}; !reflect.DeepEqual(codes, want) || out["FailedEntryCount"] != int64(3) {
		t.Errorf("%v", out)
	}
	if len(*got) != 1 {
		t.Errorf("%q", *got)
	}
	w.fails("ValidationException", "events", "PutEvents", object{"Entries": slices.Repeat([]any{object{"Source": "mine"}}, 11)})
}

func TestTestEventPattern(t *testing.T) {
	w := newWorld(t)
	event := `{"id":"1","account":"1","source":"aws.ec2","time":"2026-01-01T00:00:00Z","region":"eu-west-1","resources":[],"detail-type":"d","detail":{}}`
	for pattern, want := range map[string]bool{`{"source": ["aws.ec2"]}`: true, `{"source": [{"prefix": "aws.s"}]}`: false} {
		if got := w.do("events", "TestEventPattern", object{"EventPattern": pattern, "Event": event})["Result"]; got != want {
			t.Errorf("%s: %v", pattern, got)
		}
	}
	w.fails("InvalidEventPatternException", "events", "TestEventPattern", object{"EventPattern": `{"source": 1}`, "Event": event})
	w.fails("ValidationException", "events", "TestEventPattern", object{"EventPattern": `{"source": ["a"]}`, "Event": `{"id": "1"}`})
}

func TestSchedules(t *testing.T) {
	w := newWorld(t)
	url, arn := w.queueFor("q", "events.amazonaws.com")
	times := func() []string {
		var out []string
		for _, b := range w.bodies(url) {
			var e envelope
			if err := json.Unmarshal([]byte(b), &e); err != nil || e.DetailType != "Scheduled Event" || e.Source != "aws.events" || string(e.Detail) != "{}" || e.Resources[0] != "arn:aws:events:eu-west-1:111122223333:rule/s" {
				t.Errorf("%s: %v", b, err)
			}
			out = append(out, e.Time.Format("15:04:05"))
		}
		return out
	}
	put := func(in object) {
		in["Name"] = "s"
		w.do("events", "PutRule", in)
	}
	put(object{"ScheduleExpression": "rate(10 minutes)"})
	w.do("events", "PutTargets", object{"Rule": "s", "Targets": []any{object{"Id": "1", "Arn": arn}}})
	w.rule("nobody", `{"detail-type": ["Scheduled Event"]}`, object{"Id": "1", "Arn": arn}) // no rule sees another's schedule
	w.clock.Advance(25 * time.Minute)
	if got, want := times(), []string{"08:10:00", "08:20:00"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	put(object{"ScheduleExpression": "cron(30 * * * ? *)"})
	w.clock.Advance(time.Hour)
	if got, want := times(), []string{"08:30:00"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	w.do("events", "DisableRule", object{"Name": "s"})
	w.clock.Advance(time.Hour)
	if got := times(); got != nil {
		t.Errorf("a disabled rule: %q", got)
	}
	w.do("events", "EnableRule", object{"Name": "s"})
	w.clock.Advance(time.Hour) // 11:25
	if got, want := times(), []string{"10:30:00"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	put(object{"ScheduleExpression": "rate(1 minute)"})
	w.clock.Advance(30 * 24 * time.Hour)
	w.Settle()
	if n := len(w.Deliveries()); n != maxDeliveries || w.outcomes.Events > maxTicks+10 {
		t.Errorf("%d deliveries and %d events after a jump of a month", n, w.outcomes.Events)
	}
	w.do("sqs", "PurgeQueue", object{"QueueUrl": url})
	w.clock.Advance(2 * time.Minute)
	if got := times(); len(got) != 2 {
		t.Errorf("after the jump: %q", got)
	}
	w.do("events", "RemoveTargets", object{"Rule": "s", "Ids": ids("1")})
	w.do("events", "DeleteRule", object{"Name": "s"})
	if len(w.state.Due) != 0 {
		t.Errorf("%v", w.state.Due)
	}
}

// A hook may call the sandbox; what comes of that is handed on after it
// returned, in order.
func TestHooksMayCallTheSandbox(t *testing.T) {
	w := newWorld(t)
	var order []string
	w.OnEvent(func(raw []byte) {
		var e envelope
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Error(err)
		}
		order = append(order, "in "+e.DetailType)
		if e.DetailType == "a" {
			w.do("events", "PutEvents", object{"Entries": []any{object{"Source": "mine", "DetailType": "c", "Detail": "{}"}}})
		}
		order = append(order, "out "+e.DetailType)
	})
	w.do("events", "PutEvents", object{"Entries": []any{object{"Source": "mine", "DetailType": "a", "Detail": "{}"}, object{"Source": "mine", "DetailType": "b", "Detail": "{}"}}})
	if want := []string{"in a", "out a", "in b", "out b", "in c", "out c"}; !reflect.DeepEqual(order, want) {
		t.Errorf("%q, want %q", order, want)
	}
}

func TestTheControlAPICountsDeliveries(t *testing.T) {
	w := newWorld(t)
	_, arn := w.queueFor("q")
	w.rule("r", `{"source": ["mine"]}`, object{"Id": "1", "Arn": arn})
	w.do("events", "PutEvents", object{"Entries": []any{object{"Source": "mine", "DetailType": "d", "Detail": "{}"}}})
	w.do("ec2", "RunInstances", object{"ImageId": linux, "MinCount": int64(1), "MaxCount": int64(1)})
	out := w.ask(200, "GET", "events", "")
	if out["events"] != 2.0 || out["delivered"] != 0.0 || out["failed"] != 1.0 || out["pending"] != 2.0 || !strings.Contains(at(out, "deliveries.0.error").(string), "sqs:SendMessage") {
		t.Errorf("%v", out)
	}
	w.ask(200, "POST", "clock", `{"advance": "1m"}`)
	if out := w.ask(200, "GET", "events", ""); out["events"] != 4.0 || out["pending"] != 0.0 {
		t.Errorf("%v", out)
	}
	records := w.ask(200, "GET", "trail", "")["records"].([]any)
	if last := records[len(records)-1].(object); last["eventName"] != "RunInstances" || at(last, "requestParameters.instancesSet.items.0.minCount") != 1.0 {
		t.Errorf("%v", last)
	}
}

func TestOneSeedOneHistoryOfEvents(t *testing.T) {
	history := func() string {
		w := newWorld(t)
		var out []string
		w.OnEvent(func(raw []byte) { out = append(out, string(raw)) })
		url, arn := w.queueFor("q", "events.amazonaws.com")
		w.rule("all", `{"source": [{"prefix": ""}]}`, object{"Id": "a", "Arn": arn}, object{"Id": "b", "Arn": arn})
		for range 3 {
			w.launch(object{"BlockDeviceMappings": []any{object{"DeviceName": "/dev/sdf", "Ebs": object{"VolumeSize": int64(1)}}}})
		}
		w.do("ec2", "TerminateInstances", object{"InstanceIds": anys(sorted(w.state.Accounts[w.account].Regions["eu-west-1"].Instances))})
		w.clock.Advance(time.Hour)
		messages := w.do("sqs", "ReceiveMessage", object{"QueueUrl": url, "MaxNumberOfMessages": int64(10)})
		state, err := w.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(out, "\n") + jsonText(messages) + string(state)
	}
	if a, b := history(), history(); a != b {
		t.Errorf("two runs differ:\n%s\n%s", a, b)
	}
}

// Calls from many goroutines at once: each event reaches the hook once, and the
// hook is never called twice at a time.
func TestHooksAreCalledOneAfterAnother(t *testing.T) {
	w := newWorld(t)
	const callers, each = 8, 25
	seen, busy := map[string]bool{}, false
	w.OnEvent(func(raw []byte) {
		if busy {
			t.Error("two at a time")
		}
		busy = true
		var e envelope
		if err := json.Unmarshal(raw, &e); err != nil || seen[e.ID] {
			t.Errorf("%s: %v", raw, err)
		}
		seen[e.ID], busy = true, false
	})
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for range each {
				if _, err := w.try("events", "PutEvents", object{"Entries": []any{object{"Source": "mine", "DetailType": "d", "Detail": "{}"}}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	w.Settle()
	if len(seen) != callers*each {
		t.Errorf("%d events of %d", len(seen), callers*each)
	}
}
