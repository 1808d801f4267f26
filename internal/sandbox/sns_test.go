package sandbox

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func (w *world) topicFor(name string, services ...string) string {
	w.t.Helper()
	in := object{"Name": name}
	if len(services) > 0 {
		in["Attributes"] = object{"Policy": jsonText(object{"Statement": object{"Effect": "Allow", "Principal": object{"Service": services}, "Action": "sns:Publish",
			"Resource": "arn:aws:sns:eu-west-1:111122223333:" + name}})}
	}
	return w.do("sns", "CreateTopic", in)["TopicArn"].(string)
}

func (w *world) subscribe(topic, queue string, attributes object) string {
	w.t.Helper()
	in := object{"TopicArn": topic, "Protocol": "sqs", "Endpoint": queue}
	if attributes != nil {
		in["Attributes"] = attributes
	}
	return w.do("sns", "Subscribe", in)["SubscriptionArn"].(string)
}

func TestTopics(t *testing.T) {
	w := newWorld(t)
	topic := w.topicFor("alerts")
	if topic != "arn:aws:sns:eu-west-1:111122223333:alerts" || w.topicFor("alerts") != topic {
		t.Errorf("%s", topic)
	}
	_, queue := w.queueFor("q")
	s := w.subscribe(topic, queue, nil)
	if again := w.subscribe(topic, queue, nil); again != s || !strings.HasPrefix(s, topic+":") {
		t.Errorf("%s, then %s", s, again)
	}
	pending := w.do("sns", "Subscribe", object{"TopicArn": topic, "Protocol": "email", "Endpoint": "ann@example.com"})["SubscriptionArn"]
	if pending != "pending confirmation" {
		t.Errorf("%v", pending)
	}
	a := w.do("sns", "GetTopicAttributes", object{"TopicArn": topic})["Attributes"].(object)
	if a["SubscriptionsConfirmed"] != "1" || a["SubscriptionsPending"] != "1" || a["Owner"] != "111122223333" || !strings.Contains(a["Policy"].(string), "AWS:SourceOwner") {
		t.Errorf("%v", a)
	}
	if l := w.do("sns", "ListSubscriptionsByTopic", object{"TopicArn": topic})["Subscriptions"].([]any); len(l) != 2 {
		t.Errorf("%v", l)
	}
	for _, c := range []struct {
		code, operation string
		in              object
	}{
		{"InvalidParameter", "CreateTopic", object{"Name": "a b"}},
		{"InvalidParameter", "CreateTopic", object{"Name": "alerts", "Attributes": object{"DisplayName": "other"}}},
		{"NotFound", "Publish", object{"TopicArn": topic + "s", "Message": "m"}},
		{"InvalidParameter", "Publish", object{"TopicArn": topic, "Message": ""}},
		{"InvalidParameter", "Publish", object{"TopicArn": topic, "Message": "m", "Subject": "two\nlines"}},
		{"InvalidParameter", "Publish", object{"TopicArn": topic, "Message": `{"sqs": "no default"}`, "MessageStructure": "json"}},
		{"NotFound", "Subscribe", object{"TopicArn": topic + "s", "Protocol": "sqs", "Endpoint": queue}},
		{"InvalidParameter", "Subscribe", object{"TopicArn": topic, "Protocol": "pigeon", "Endpoint": "roof"}},
		{"InvalidParameter", "Subscribe", object{"TopicArn": topic, "Protocol": "sqs", "Endpoint": "https://sqs.eu-west-1.amazonaws.com/1/q"}},
		{"InvalidParameter", "Subscribe", object{"TopicArn": topic, "Protocol": "https", "Endpoint": "http://example.com"}},
		{"InvalidParameter", "Subscribe", object{"TopicArn": topic, "Protocol": "sqs", "Endpoint": queue, "Attributes": object{"FilterPolicy": `{"a": "b"}`}}},
		{"InvalidParameter", "SetSubscriptionAttributes", object{"SubscriptionArn": s, "AttributeName": "RawMessageDelivery", "AttributeValue": "yes"}},
		{"NotFound", "GetSubscriptionAttributes", object{"SubscriptionArn": topic + ":none"}},
	} {
		w.fails(c.code, "sns", c.operation, c.in)
	}
	w.do("sns", "TagResource", object{"ResourceArn": topic, "Tags": []any{object{"Key": "team", "Value": "sec"}}})
	if got := at(w.do("sns", "ListTagsForResource", object{"ResourceArn": topic}), "Tags.0.Value"); got != "sec" {
		t.Errorf("%v", got)
	}
	w.do("sns", "DeleteTopic", object{"TopicArn": topic})
	w.do("sns", "DeleteTopic", object{"TopicArn": topic})
	if l := w.do("sns", "ListSubscriptions", nil)["Subscriptions"].([]any); len(l) != 0 {
		t.Errorf("a topic's subscriptions outlive it: %v", l)
	}
}

func TestTopicsArePaged(t *testing.T) {
	w := newWorld(t)
	for i := range 101 {
		w.topicFor(fmt.Sprint("t", i))
	}
	first := w.do("sns", "ListTopics", nil)
	second := w.do("sns", "ListTopics", object{"NextToken": first["NextToken"]})
	if len(first["Topics"].([]any)) != 100 || len(second["Topics"].([]any)) != 1 || second["NextToken"] != nil {
		t.Errorf("%d and %d", len(first["Topics"].([]any)), len(second["Topics"].([]any)))
	}
}

func TestAMessageReachesItsSubscribers(t *testing.T) {
	w := newWorld(t)
	topic := w.topicFor("alerts")
	whole, wholeARN := w.queueFor("whole", "sns.amazonaws.com")
	raw, rawARN := w.queueFor("raw", "sns.amazonaws.com")
	shut, shutARN := w.queueFor("shut") // whose policy lets nobody in
	s := w.subscribe(topic, wholeARN, nil)
	w.subscribe(topic, rawARN, object{"RawMessageDelivery": "true"})
	w.subscribe(topic, shutARN, nil)
	id := w.do("sns", "Publish", object{"TopicArn": topic, "Message": "the <disk> is full", "Subject": "disk", "MessageAttributes": object{"level": object{"DataType": "Number", "StringValue": "3"}}})["MessageId"]
	var got object
	list := w.receive(whole, nil)
	if err := json.Unmarshal([]byte(bodiesOf(list)), &got); err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]any{"Type": "Notification", "MessageId": id, "TopicArn": topic, "Subject": "disk", "Message": "the <disk> is full", "Timestamp": "2026-11-24T08:00:00.000Z",
		"SignatureVersion": "1", "MessageAttributes": object{"level": object{"Type": "Number", "Value": "3"}}} {
		if !reflect.DeepEqual(got[k], want) {
			t.Errorf("%s is %v, want %v", k, got[k], want)
		}
	}
	if !strings.HasSuffix(got["UnsubscribeURL"].(string), s) {
		t.Errorf("%v", got)
	}
	if list := w.receive(raw, nil); bodiesOf(list) != "the <disk> is full" || at(list[0], "MessageAttributes.level.StringValue") != "3" {
		t.Errorf("%v", list)
	}
	if list := w.receive(shut, nil); len(list) != 0 {
		t.Errorf("%v", list)
	}
	failed := 0
	for _, d := range w.Deliveries() {
		if d.Error != "" {
			failed++
		}
		if d.Source != topic || d.Event != id {
			t.Errorf("%+v", d)
		}
	}
	if failed != 1 || len(w.Deliveries()) != 3 {
		t.Errorf("%+v", w.Deliveries())
	}
	w.do("sns", "Publish", object{"TopicArn": topic, "Message": `{"default": "d", "sqs": "for queues"}`, "MessageStructure": "json"})
	if list := w.receive(raw, nil); bodiesOf(list) != "for queues" {
		t.Errorf("%v", list)
	}
	w.do("sns", "Unsubscribe", object{"SubscriptionArn": s})
	w.bodies(whole)
	w.do("sns", "Publish", object{"TopicArn": topic, "Message": "m"})
	w.clock.Advance(60e9)
	if list := w.receive(whole, nil); strings.Contains(bodiesOf(list), `"m"`) {
		t.Errorf("after Unsubscribe: %v", list)
	}
}

func TestFilterPolicies(t *testing.T) {
	text := func(s string) object { return object{"DataType": "String", "StringValue": s} }
	for _, c := range []struct {
		policy, scope string
		attributes    object
		body          string
		want          bool
	}{
		{`{"level": ["high"]}`, "", object{"level": text("high")}, "m", true},
		{`{"level": ["high"]}`, "", object{"level": text("low")}, "m", false},
		{`{"level": ["high"]}`, "", nil, "m", false},
		{`{"level": [{"exists": false}]}`, "", nil, "m", true},
		{`{"level": [{"anything-but": "low"}], "n": [{"numeric": [">", 2]}]}`, "", object{"level": text("high"), "n": object{"DataType": "Number", "StringValue": "3"}}, "m", true},
		{`{"n": [{"numeric": [">", 2]}]}`, "", object{"n": text("3")}, "m", false}, // a text is no number
		{`{"tags": ["b"]}`, "", object{"tags": object{"DataType": "String.Array", "StringValue": `["a", "b"]`}}, "m", true},
		{`{"detail": {"state": ["running"]}}`, "MessageBody", nil, `{"detail": {"state": "running"}}`, true},
		{`{"detail": {"state": ["running"]}}`, "MessageBody", nil, `{"detail": {"state": "stopped"}}`, false},
		{`{"detail": {"state": ["running"]}}`, "MessageBody", nil, `no JSON`, false},
	} {
		w := newWorld(t)
		topic := w.topicFor("alerts")
		url, arn := w.queueFor("q", "sns.amazonaws.com")
		set := object{"FilterPolicy": c.policy}
		if c.scope != "" {
			set["FilterPolicyScope"] = c.scope
		}
		w.subscribe(topic, arn, set)
		in := object{"TopicArn": topic, "Message": c.body}
		if c.attributes != nil {
			in["MessageAttributes"] = c.attributes
		}
		w.do("sns", "Publish", in)
		if got := len(w.receive(url, nil)) == 1; got != c.want {
			t.Errorf("%s of %v %s: delivered %v", c.policy, c.attributes, c.body, got)
		}
	}
}

// An event goes through a rule and a topic to a queue, if each lets the one
// before in.
func TestEventBridgeToSNSToSQS(t *testing.T) {
	for _, open := range []bool{true, false} {
		w := newWorld(t)
		topic := w.topicFor("alerts")
		if open {
			w.do("sns", "SetTopicAttributes", object{"TopicArn": topic, "AttributeName": "Policy", "AttributeValue": `{"Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sns:Publish","Resource":"` + topic + `"}]}`})
		}
		url, arn := w.queueFor("q", "sns.amazonaws.com")
		w.subscribe(topic, arn, object{"RawMessageDelivery": "true"})
		w.rule("states", `{"source": ["aws.ec2"], "detail": {"state": ["pending"]}}`, object{"Id": "1", "Arn": topic, "InputPath": "$.detail.state"})
		w.launch(object{})
		want := map[bool]string{true: `"pending"`, false: ""}[open]
		if got := bodiesOf(w.receive(url, nil)); got != want {
			t.Errorf("open %v: %q, want %q", open, got, want)
		}
	}
}

// A topic or queue without attributes can be given some after a snapshot too.
func TestAttributesAfterASnapshot(t *testing.T) {
	w := newWorld(t)
	arn := w.do("sns", "CreateTopic", object{"Name": "bare"})["TopicArn"]
	url := w.do("sqs", "CreateQueue", object{"QueueName": "bare"})["QueueUrl"]
	raw, err := w.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if w.Sandbox, err = Restore(Options{Catalog: w.catalog}, raw); err != nil {
		t.Fatal(err)
	}
	w.do("sns", "SetTopicAttributes", object{"TopicArn": arn, "AttributeName": "DisplayName", "AttributeValue": "Bare"})
	w.do("sqs", "SetQueueAttributes", object{"QueueUrl": url, "Attributes": object{"VisibilityTimeout": "60"}})
	if got := at(w.do("sns", "GetTopicAttributes", object{"TopicArn": arn}), "Attributes.DisplayName"); got != "Bare" {
		t.Errorf("the topic's name is %v", got)
	}
}
