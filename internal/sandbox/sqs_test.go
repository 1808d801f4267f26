package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	neturl "net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/knowngood/knowngood/awsapi"
)

const noSuchQueue = "AWS.SimpleQueueService.NonExistentQueue"

// receive gives up to ten messages.
func (w *world) receive(url string, more object) []object {
	w.t.Helper()
	in := object{"QueueUrl": url, "MaxNumberOfMessages": int64(10), "AttributeNames": ids("All"), "MessageAttributeNames": ids("All")}
	for k, v := range more {
		in[k] = v
	}
	return objects(w.do("sqs", "ReceiveMessage", in)["Messages"])
}

func bodiesOf(list []object) string {
	var out []string
	for _, m := range list {
		out = append(out, m["Body"].(string))
	}
	return strings.Join(out, " ")
}

func (w *world) queueAttributes(url string) object {
	w.t.Helper()
	return w.do("sqs", "GetQueueAttributes", object{"QueueUrl": url, "AttributeNames": ids("All")})["Attributes"].(object)
}

func TestQueues(t *testing.T) {
	w := newWorld(t)
	url, arn := w.queueFor("q")
	if url != "https://sqs.eu-west-1.amazonaws.com/111122223333/q" {
		t.Errorf("%s", url)
	}
	a := w.queueAttributes(url)
	for k, want := range map[string]string{"QueueArn": arn, "VisibilityTimeout": "30", "MessageRetentionPeriod": "345600", "SqsManagedSseEnabled": "true", "CreatedTimestamp": "1795507200",
		"ApproximateNumberOfMessages": "0"} {
		if a[k] != want {
			t.Errorf("%s is %v, want %s", k, a[k], want)
		}
	}
	if a["Policy"] != nil || a["RedrivePolicy"] != nil || a["FifoQueue"] != nil {
		t.Errorf("%v", a)
	}
	if out := w.do("sqs", "GetQueueAttributes", object{"QueueUrl": url}); out["Attributes"] != nil {
		t.Errorf("of no attributes: %v", out)
	}
	again := w.do("sqs", "CreateQueue", object{"QueueName": "q", "Attributes": object{"VisibilityTimeout": "30"}})["QueueUrl"]
	if again != url || w.do("sqs", "GetQueueUrl", object{"QueueName": "q"})["QueueUrl"] != url {
		t.Errorf("%v", again)
	}
	w.do("sqs", "SetQueueAttributes", object{"QueueUrl": url, "Attributes": object{"VisibilityTimeout": "60", "KmsMasterKeyId": "alias/mine"}})
	if a := w.queueAttributes(url); a["VisibilityTimeout"] != "60" || a["SqsManagedSseEnabled"] != "false" {
		t.Errorf("%v", a)
	}
	for _, c := range []struct {
		code, operation string
		in              object
	}{
		{"QueueAlreadyExists", "CreateQueue", object{"QueueName": "q", "Attributes": object{"VisibilityTimeout": "30"}}},
		{"InvalidParameterValue", "CreateQueue", object{"QueueName": "a b"}},
		{"InvalidParameterValue", "CreateQueue", object{"QueueName": "q.fifo"}},
		{"InvalidParameterValue", "CreateQueue", object{"QueueName": "p", "Attributes": object{"FifoQueue": "true"}}},
		{"InvalidAttributeName", "CreateQueue", object{"QueueName": "p", "Attributes": object{"Colour": "red"}}},
		{"InvalidAttributeValue", "CreateQueue", object{"QueueName": "p", "Attributes": object{"VisibilityTimeout": "43201"}}},
		{"InvalidAttributeValue", "SetQueueAttributes", object{"QueueUrl": url, "Attributes": object{"Policy": "{"}}},
		{"InvalidParameterValue", "SetQueueAttributes", object{"QueueUrl": url, "Attributes": object{"RedrivePolicy": `{"deadLetterTargetArn":"` + arn + `s","maxReceiveCount":3}`}}},
		{"InvalidParameterValue", "SetQueueAttributes", object{"QueueUrl": url, "Attributes": object{"RedrivePolicy": `{"deadLetterTargetArn":"` + arn + `"}`}}},
		{"InvalidAttributeName", "GetQueueAttributes", object{"QueueUrl": url, "AttributeNames": ids("Colour")}},
		{noSuchQueue, "GetQueueUrl", object{"QueueName": "none"}},
		{noSuchQueue, "GetQueueAttributes", object{"QueueUrl": url + "s"}},
		{noSuchQueue, "ReceiveMessage", object{"QueueUrl": "https://sqs.eu-west-1.amazonaws.com/444455556666/q"}},
		{"InvalidParameterValue", "ReceiveMessage", object{"QueueUrl": url, "MaxNumberOfMessages": int64(11)}},
		{"InvalidParameterValue", "ReceiveMessage", object{"QueueUrl": url, "WaitTimeSeconds": int64(21)}},
		{"MissingParameter", "SendMessage", object{"QueueUrl": url, "MessageBody": ""}},
		{"InvalidMessageContents", "SendMessage", object{"QueueUrl": url, "MessageBody": "a\x01"}},
		{"InvalidParameterValue", "SendMessage", object{"QueueUrl": url, "MessageBody": "a", "DelaySeconds": int64(901)}},
		{"InvalidParameterValue", "SendMessage", object{"QueueUrl": url, "MessageBody": strings.Repeat("a", 1<<20+1)}},
		{"ReceiptHandleIsInvalid", "DeleteMessage", object{"QueueUrl": url, "ReceiptHandle": "x"}},
		{"AWS.SimpleQueueService.EmptyBatchRequest", "SendMessageBatch", object{"QueueUrl": url, "Entries": []any{}}},
		{"AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "SendMessageBatch", object{"QueueUrl": url, "Entries": []any{object{"Id": "1", "MessageBody": "a"}, object{"Id": "1", "MessageBody": "a"}}}},
	} {
		w.fails(c.code, "sqs", c.operation, c.in)
	}
	w.queueFor("other")
	if l := w.do("sqs", "ListQueues", object{"QueueNamePrefix": "o"})["QueueUrls"].([]any); len(l) != 1 {
		t.Errorf("%v", l)
	}
	w.do("sqs", "DeleteQueue", object{"QueueUrl": url})
	w.fails(noSuchQueue, "sqs", "SendMessage", object{"QueueUrl": url, "MessageBody": "a"})
	w.clock.Advance(59 * time.Second)
	w.fails("AWS.SimpleQueueService.QueueDeletedRecently", "sqs", "CreateQueue", object{"QueueName": "q"})
	w.clock.Advance(time.Second)
	w.queueFor("q")
}

func TestAMessageIsHiddenWhileItIsWithAReceiver(t *testing.T) {
	w := newWorld(t)
	url, _ := w.queueFor("q")
	sent := w.do("sqs", "SendMessage", object{"QueueUrl": url, "MessageBody": "hello", "MessageAttributes": object{
		"colour": object{"DataType": "String", "StringValue": "rött"}, "n": object{"DataType": "Number", "StringValue": "42"}, "raw": object{"DataType": "Binary", "BinaryValue": []byte{0, 1}}}})
	// Both digests are moto's for the same message.
	if sent["MD5OfMessageBody"] != "5d41402abc4b2a76b9719d911017c592" || sent["MD5OfMessageAttributes"] != "59d2efea9ed6a88a2a7a3504fbd1a7da" {
		t.Errorf("%v", sent)
	}
	w.do("sqs", "SendMessage", object{"QueueUrl": url, "MessageBody": "later", "DelaySeconds": int64(300)})
	first := w.receive(url, nil)
	if bodiesOf(first) != "hello" || first[0]["MessageId"] != sent["MessageId"] || first[0]["MD5OfMessageAttributes"] != sent["MD5OfMessageAttributes"] ||
		at(first[0], "Attributes.ApproximateReceiveCount") != "1" || at(first[0], "Attributes.SentTimestamp") != "1795507200000" || at(first[0], "MessageAttributes.n.StringValue") != "42" {
		t.Errorf("%v", first)
	}
	if a := w.queueAttributes(url); a["ApproximateNumberOfMessages"] != "0" || a["ApproximateNumberOfMessagesNotVisible"] != "1" || a["ApproximateNumberOfMessagesDelayed"] != "1" {
		t.Errorf("%v", a)
	}
	w.clock.Advance(29 * time.Second)
	if got := w.receive(url, nil); len(got) != 0 {
		t.Errorf("while it is hidden: %v", got)
	}
	w.clock.Advance(time.Second)
	second := w.receive(url, object{"VisibilityTimeout": int64(100)})
	if bodiesOf(second) != "hello" || at(second[0], "Attributes.ApproximateReceiveCount") != "2" || second[0]["ReceiptHandle"] == first[0]["ReceiptHandle"] {
		t.Errorf("%v", second)
	}
	w.do("sqs", "DeleteMessage", object{"QueueUrl": url, "ReceiptHandle": first[0]["ReceiptHandle"]}) // an old receipt deletes nothing
	w.do("sqs", "ChangeMessageVisibility", object{"QueueUrl": url, "ReceiptHandle": second[0]["ReceiptHandle"], "VisibilityTimeout": int64(0)})
	w.fails("AWS.SimpleQueueService.MessageNotInflight", "sqs", "ChangeMessageVisibility", object{"QueueUrl": url, "ReceiptHandle": second[0]["ReceiptHandle"], "VisibilityTimeout": int64(5)})
	third := w.receive(url, nil)
	if bodiesOf(third) != "hello" {
		t.Fatalf("%v", third)
	}
	w.do("sqs", "DeleteMessage", object{"QueueUrl": url, "ReceiptHandle": third[0]["ReceiptHandle"]})
	w.do("sqs", "DeleteMessage", object{"QueueUrl": url, "ReceiptHandle": third[0]["ReceiptHandle"]}) // twice is no error
	w.clock.Advance(5 * time.Minute)
	if got := w.receive(url, object{"VisibilityTimeout": int64(0)}); bodiesOf(got) != "later" {
		t.Errorf("%v", got)
	}
	w.clock.Advance(4 * 24 * time.Hour)
	if got := w.receive(url, nil); len(got) != 0 {
		t.Errorf("after its retention: %v", got)
	}
}

func TestAMessageReceivedTooOftenGoesToTheDeadLetterQueue(t *testing.T) {
	w := newWorld(t)
	dead, deadARN := w.queueFor("dead")
	url, _ := w.queueFor("q")
	w.do("sqs", "SetQueueAttributes", object{"QueueUrl": url, "Attributes": object{"RedrivePolicy": `{"deadLetterTargetArn":"` + deadARN + `","maxReceiveCount":"2"}`, "VisibilityTimeout": "10"}})
	id := w.do("sqs", "SendMessage", object{"QueueUrl": url, "MessageBody": "bad"})["MessageId"]
	for range 2 {
		if got := w.receive(url, nil); bodiesOf(got) != "bad" {
			t.Errorf("%v", got)
		}
		w.clock.Advance(10 * time.Second)
	}
	if got := w.receive(dead, nil); len(got) != 0 {
		t.Errorf("too early: %v", got)
	}
	if got := w.receive(url, nil); len(got) != 0 {
		t.Errorf("a third time: %v", got)
	}
	if got := w.receive(dead, nil); bodiesOf(got) != "bad" || got[0]["MessageId"] != id || at(got[0], "Attributes.ApproximateReceiveCount") != "3" {
		t.Errorf("%v", got)
	}
}

func TestFIFOQueues(t *testing.T) {
	w := newWorld(t)
	url := w.do("sqs", "CreateQueue", object{"QueueName": "q.fifo", "Attributes": object{"FifoQueue": "true"}})["QueueUrl"].(string)
	send := func(body, group, dedup string) any {
		t.Helper()
		return w.do("sqs", "SendMessage", object{"QueueUrl": url, "MessageBody": body, "MessageGroupId": group, "MessageDeduplicationId": dedup})["MessageId"]
	}
	w.fails("MissingParameter", "sqs", "SendMessage", object{"QueueUrl": url, "MessageBody": "a"})
	w.fails("InvalidParameterValue", "sqs", "SendMessage", object{"QueueUrl": url, "MessageBody": "a", "MessageGroupId": "g"})
	first := send("a1", "a", "1")
	send("a2", "a", "2")
	send("b1", "b", "3")
	if again := send("a1 again", "a", "1"); again != first {
		t.Errorf("a duplicate is %v, not %v", again, first)
	}
	one := w.receive(url, object{"MaxNumberOfMessages": int64(1)})
	if got := bodiesOf(one) + "; " + bodiesOf(w.receive(url, nil)); got != "a1; b1" {
		t.Errorf("while a1 is with a receiver: %s", got)
	}
	w.do("sqs", "DeleteMessage", object{"QueueUrl": url, "ReceiptHandle": one[0]["ReceiptHandle"]})
	if again := send("a1 again", "a", "1"); again != first {
		t.Error("a message that was deleted bars its duplicates no more")
	}
	if got := bodiesOf(w.receive(url, nil)); got != "a2" {
		t.Errorf("then %s", got)
	}
	w.clock.Advance(dedupTime)
	if again := send("a1 again", "a", "1"); again == first {
		t.Error("after five minutes it is still a duplicate")
	}
}

func TestBatches(t *testing.T) {
	w := newWorld(t)
	url, _ := w.queueFor("q")
	out := w.do("sqs", "SendMessageBatch", object{"QueueUrl": url, "Entries": []any{object{"Id": "1", "MessageBody": "a"}, object{"Id": "2", "MessageBody": "\x00"}, object{"Id": "3", "MessageBody": "c"}}})
	if len(out["Successful"].([]any)) != 2 || at(out, "Failed.0.Id") != "2" || at(out, "Failed.0.Code") != "InvalidMessageContents" {
		t.Errorf("%v", out)
	}
	list := w.receive(url, nil)
	var entries []any
	for i, m := range list {
		entries = append(entries, object{"Id": fmt.Sprint(i), "ReceiptHandle": m["ReceiptHandle"]})
	}
	w.do("sqs", "DeleteMessageBatch", object{"QueueUrl": url, "Entries": entries})
	w.clock.Advance(time.Hour)
	if got := w.receive(url, nil); len(list) != 2 || len(got) != 0 {
		t.Errorf("%v, then %v", list, got)
	}
}

// stepClock is a clock on which a sleep is a step, and something may happen.
type stepClock struct {
	clock *ManualClock
	step  func(n int)
	n     int
}

func (c *stepClock) Now() time.Time { return c.clock.Now() }

func (c *stepClock) Sleep(ctx context.Context, d time.Duration) error {
	c.n++
	c.step(c.n)
	return c.clock.Sleep(ctx, d)
}

func TestALongPollWaits(t *testing.T) {
	manual := newWorld(t)
	url, _ := manual.queueFor("q")
	before := manual.clock.Now()
	if got := manual.receive(url, object{"WaitTimeSeconds": int64(20)}); len(got) != 0 || !manual.clock.Now().Equal(before) {
		t.Errorf("on a clock that stands still: %v, and %s passed", got, manual.clock.Now().Sub(before))
	}
	clock := &stepClock{clock: NewClock(before), step: func(int) {}}
	s, err := New(Options{Catalog: manual.catalog, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{s, t, clock.clock, OperatorKey}
	w.queueFor("q")
	if got := w.receive(url, object{"WaitTimeSeconds": int64(3)}); len(got) != 0 || clock.n != 6 {
		t.Errorf("%v after %d looks", got, clock.n)
	}
	clock.n, clock.step = 0, func(n int) {
		if n == 4 {
			w.do("sqs", "SendMessage", object{"QueueUrl": url, "MessageBody": "at last"})
		}
	}
	if got := w.receive(url, object{"WaitTimeSeconds": int64(20)}); bodiesOf(got) != "at last" || clock.n != 4 {
		t.Errorf("%v after %d looks", got, clock.n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	clock.step = func(int) { cancel() }
	if _, err := w.Call(ctx, Request{Service: "sqs", Operation: "ReceiveMessage", AccessKeyID: OperatorKey, Input: object{"QueueUrl": url, "WaitTimeSeconds": int64(20)}}); err == nil {
		t.Error("a poll that was given up has an answer")
	}
}

// The code is that of the query protocol, and the shape's name goes over the
// wire beside it, by which boto3 finds its exception.
func TestSQSsErrorsOverTheWire(t *testing.T) {
	w := newWorld(t)
	c := w.client(t, OperatorKey, operatorSecret)
	_, err := c.Call(t.Context(), "sqs", "GetQueueUrl", map[string]any{"QueueName": "none"})
	if codeOf(err) != noSuchQueue {
		t.Errorf("%v", err)
	}
	op, err := w.catalog.Operation("sqs", "GetQueueUrl")
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	if err := op.EncodeError(rec, &awsapi.Error{Code: noSuchQueue, Status: 400, Message: "m"}, "id"); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(rec.Body.String(), "QueueDoesNotExist") || !reflect.DeepEqual(rec.Header()["X-Amzn-Query-Error"], []string{noSuchQueue + ";Sender"}) {
		t.Errorf("%v %s", rec.Header(), rec.Body)
	}
}

// Clients of before November 2023 speak the query protocol.
func TestSQSByTheQueryProtocol(t *testing.T) {
	w := newWorld(t)
	const url = "https://sqs.eu-west-1.amazonaws.com/111122223333/q"
	ask := func(action string, values ...string) string {
		t.Helper()
		form := neturl.Values{"Action": {action}, "Version": {"2012-11-05"}}
		for i := 0; i < len(values); i += 2 {
			form.Set(values[i], values[i+1])
		}
		body := form.Encode()
		r := httptest.NewRequest(http.MethodPost, url, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		sum := sha256.Sum256([]byte(body))
		if err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: OperatorKey, SecretAccessKey: operatorSecret}, r, hex.EncodeToString(sum[:]), "sqs", "eu-west-1", time.Now()); err != nil {
			t.Fatal(err)
		}
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r)
		return rec.Body.String()
	}
	for _, c := range []struct {
		answer string
		want   []string
	}{
		{ask("CreateQueue", "QueueName", "q", "Attribute.1.Name", "VisibilityTimeout", "Attribute.1.Value", "60", "Tag.1.Key", "team", "Tag.1.Value", "sec"),
			[]string{`<CreateQueueResponse xmlns="http://queue.amazonaws.com/doc/2012-11-05/"><CreateQueueResult><QueueUrl>` + url + `</QueueUrl></CreateQueueResult><ResponseMetadata>`}},
		{ask("GetQueueAttributes", "QueueUrl", url, "AttributeName.1", "VisibilityTimeout"), []string{"<Attribute><Name>VisibilityTimeout</Name><Value>60</Value></Attribute>"}},
		{ask("ListQueueTags", "QueueUrl", url), []string{"<Tag><Key>team</Key><Value>sec</Value></Tag>"}},
		{ask("SendMessage", "QueueUrl", url, "MessageBody", "hello", "MessageAttribute.1.Name", "a", "MessageAttribute.1.Value.DataType", "String", "MessageAttribute.1.Value.StringValue", "b"),
			[]string{"<MD5OfMessageBody>5d41402abc4b2a76b9719d911017c592</MD5OfMessageBody>"}},
		{ask("SendMessageBatch", "QueueUrl", url, "SendMessageBatchRequestEntry.1.Id", "x", "SendMessageBatchRequestEntry.1.MessageBody", "two"), []string{"<SendMessageBatchResultEntry>", "<Id>x</Id>"}},
		{ask("ReceiveMessage", "QueueUrl", url, "MaxNumberOfMessages", "10", "AttributeName.1", "SenderId", "MessageAttributeName.1", "All"),
			[]string{"<Message>", "<Body>hello</Body>", "<Body>two</Body>", "<Attribute><Name>SenderId</Name><Value>AIDAOPERATOR</Value></Attribute>", "<MessageAttribute><Name>a</Name><Value>", "<StringValue>b</StringValue>"}},
		{ask("ListQueues"), []string{"<QueueUrl>" + url + "</QueueUrl>"}},
		{ask("PurgeQueue", "QueueUrl", url), []string{"<PurgeQueueResponse"}},
		{ask("GetQueueUrl", "QueueName", "none"), []string{"<ErrorResponse", "<Type>Sender</Type><Code>" + noSuchQueue + "</Code>"}},
	} {
		for _, want := range c.want {
			if !strings.Contains(c.answer, want) {
				t.Errorf("%s\nhas no %s", c.answer, want)
			}
		}
	}
}
