package sandbox

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/knowngood/knowngood/iampolicy"
)

// sqsState is what sqs has in one account and Region.
type sqsState struct {
	Queues   table[queue]          `json:"queues,omitempty"`   // by name
	Messages map[string][]*message `json:"messages,omitempty"` // by queue, in the order of sending
}

type queue struct {
	Created    time.Time         `json:"created"`
	Modified   time.Time         `json:"modified"`
	Attributes map[string]string `json:"attributes"` // those that were set
	Tags       tagSet            `json:"tags,omitempty"`
}

// queueDefaults are the attributes of a queue that nobody set, and queueRanges
// what numbers they take.
// Source: Amazon SQS API Reference, SetQueueAttributes.
var (
	queueDefaults = map[string]string{"VisibilityTimeout": "30", "MaximumMessageSize": "1048576", "MessageRetentionPeriod": "345600", "DelaySeconds": "0",
		"ReceiveMessageWaitTimeSeconds": "0", "SqsManagedSseEnabled": "true"}
	fifoDefaults = map[string]string{"ContentBasedDeduplication": "false", "DeduplicationScope": "queue", "FifoThroughputLimit": "perQueue"}
	queueRanges  = map[string][2]int{"VisibilityTimeout": {0, 43200}, "MaximumMessageSize": {1024, 1048576}, "MessageRetentionPeriod": {60, 1209600},
		"DelaySeconds": {0, 900}, "ReceiveMessageWaitTimeSeconds": {0, 20}, "KmsDataKeyReusePeriodSeconds": {60, 86400}}
	queueSettings = []string{"ContentBasedDeduplication", "DeduplicationScope", "DelaySeconds", "FifoQueue", "FifoThroughputLimit", "KmsDataKeyReusePeriodSeconds",
		"KmsMasterKeyId", "MaximumMessageSize", "MessageRetentionPeriod", "Policy", "ReceiveMessageWaitTimeSeconds", "RedriveAllowPolicy", "RedrivePolicy",
		"SqsManagedSseEnabled", "VisibilityTimeout"}
	queueCounts = []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed", "ApproximateNumberOfMessagesNotVisible", "CreatedTimestamp",
		"LastModifiedTimestamp", "QueueArn"}
	queueName = patternOf(`^[A-Za-z0-9_-]{1,80}$|^[A-Za-z0-9_-]{1,75}\.fifo$`)
)

// check refuses a snapshot's queues with holes.
func (s sqsState) check() error {
	for name, list := range s.Messages {
		if slices.Contains(list, nil) {
			return fmt.Errorf("sandbox: the snapshot's queue %s has an empty message", name)
		}
	}
	return nil
}

func (q queue) fifo() bool { return q.Attributes["FifoQueue"] == "true" }

// setting is an attribute that was set, or what it is otherwise.
func (q queue) setting(name string) string {
	out, ok := cmp.Or(q.Attributes[name], queueDefaults[name]), q.Attributes[name] != ""
	if !ok && q.fifo() && fifoDefaults[name] != "" {
		out = fifoDefaults[name]
	}
	if !ok && name == "SqsManagedSseEnabled" && q.Attributes["KmsMasterKeyId"] != "" {
		out = "false"
	}
	return out
}

func (q queue) number(name string) int {
	n, err := strconv.Atoi(q.setting(name))
	if err != nil {
		return 0 // checkQueue lets numbers through only
	}
	return n
}

// seconds is a duration that an attribute has.
func (q queue) seconds(name string) time.Duration {
	return time.Duration(q.number(name)) * time.Second
}

// redrive is where messages go that were received too often; 0: nowhere.
func (q queue) redrive() (arn string, after int) {
	var p struct {
		Target string `json:"deadLetterTargetArn"`
		Max    any    `json:"maxReceiveCount"` // a number, or one as text
	}
	if json.Unmarshal([]byte(q.Attributes["RedrivePolicy"]), &p) != nil {
		return "", 0
	}
	switch n := p.Max.(type) {
	case float64:
		return p.Target, int(n)
	case string:
		after, _ := strconv.Atoi(n)
		return p.Target, after
	}
	return "", 0
}

func (c *call) queueARN(name string) string {
	return "arn:aws:sqs:" + c.region + ":" + c.who.Account + ":" + name
}

func (c *call) queueURL(name string) string {
	return "https://sqs." + c.region + ".amazonaws.com/" + c.who.Account + "/" + name
}

// queue finds the queue that a call is about, by its URL. Of the URL only the
// path counts, since a proxy may have changed the host.
func (c *call) queue(at time.Time) (name string, r *record[queue], q queue, err error) {
	parts := strings.Split(strings.TrimSuffix(c.str("QueueUrl"), "/"), "/")
	name = parts[len(parts)-1]
	if len(parts) < 2 || parts[len(parts)-2] == c.who.Account || name == c.str("QueueUrl") {
		if r, q, ok := c.home().SQS.Queues.live(name, at); ok {
			return name, r, q, nil
		}
	}
	return "", nil, queue{}, noQueue()
}

func noQueue() error {
	return failure(400, "AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.")
}

// textMap is a map of texts in the input.
func textMap(v any) map[string]string {
	out := map[string]string{}
	o, _ := v.(object)
	for k, e := range o {
		out[k], _ = e.(string)
	}
	return out
}

// checkQueue says what is wrong with attributes that are to be set, and writes
// booleans as SQS keeps them.
func (c *call) checkQueue(name string, attributes map[string]string) error {
	bad := func(format string, args ...any) error { return failure(400, "InvalidAttributeValue", format, args...) }
	for _, k := range sorted(attributes) {
		v := attributes[k]
		if !slices.Contains(queueSettings, k) {
			return failure(400, "InvalidAttributeName", "Unknown Attribute %s.", k)
		}
		if within, ok := queueRanges[k]; ok {
			if n, err := strconv.Atoi(v); err != nil || n < within[0] || n > within[1] {
				return bad("Invalid value for the parameter %s.", k)
			}
		}
		switch k {
		case "Policy":
			if v == "" {
				continue
			}
			if _, err := iampolicy.Parse(v, iampolicy.Resource); err != nil {
				return bad("Invalid value for the parameter Policy.")
			}
		case "RedrivePolicy":
			if v == "" {
				continue
			}
			arn, after := queue{Attributes: attributes}.redrive()
			if arn == "" || after < 1 || after > 1000 {
				return failure(400, "InvalidParameterValue", "Value %s for parameter RedrivePolicy is invalid. Reason: it needs deadLetterTargetArn, and maxReceiveCount from 1 to 1000.", v)
			}
			dead, ok := strings.CutPrefix(arn, c.queueARN(""))
			if _, _, there := c.home().SQS.Queues.live(dead, c.now); !ok || !there {
				return failure(400, "InvalidParameterValue", "Value %s for parameter RedrivePolicy is invalid. Reason: Dead letter target does not exist.", v)
			}
			if strings.HasSuffix(dead, ".fifo") != strings.HasSuffix(name, ".fifo") {
				return failure(400, "InvalidParameterValue", "Value %s for parameter RedrivePolicy is invalid. Reason: Dead-letter queue must be same type of queue as the source.", v)
			}
		case "SqsManagedSseEnabled", "ContentBasedDeduplication":
			if attributes[k] = strings.ToLower(v); attributes[k] != "true" && attributes[k] != "false" {
				return bad("Invalid value for the parameter %s.", k)
			}
		case "FifoQueue":
			if v != "true" || !strings.HasSuffix(name, ".fifo") {
				return bad("Invalid value for the parameter FifoQueue.")
			}
		}
	}
	return nil
}

func createQueue(c *call) (map[string]any, error) {
	name, attributes := c.str("QueueName"), textMap(c.in["Attributes"])
	if !queueName.MatchString(name) || strings.HasSuffix(name, ".fifo") != (attributes["FifoQueue"] == "true") {
		return nil, failure(400, "InvalidParameterValue", "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length. A FIFO queue's name ends in .fifo.")
	}
	if err := c.checkQueue(name, attributes); err != nil {
		return nil, err
	}
	if _, q, ok := c.home().SQS.Queues.live(name, c.now); ok {
		for k, v := range attributes {
			if q.setting(k) != v {
				return nil, failure(400, "QueueAlreadyExists", "A queue already exists with the same name and a different value for attribute %s", k)
			}
		}
		return object{"QueueUrl": c.queueURL(name)}, nil
	}
	if r := c.home().SQS.Queues[name]; r != nil && c.now.Sub(r.Versions[len(r.Versions)-1].At) < time.Minute {
		return nil, failure(400, "AWS.SimpleQueueService.QueueDeletedRecently", "You must wait 60 seconds after deleting a queue before you can create another with the same name.")
	}
	c.home().SQS.Queues.put(name, c.now, queue{Created: c.now, Modified: c.now, Attributes: attributes, Tags: tagSet(textMap(c.in["tags"]))})
	return object{"QueueUrl": c.queueURL(name)}, nil
}

func deleteQueue(c *call) (map[string]any, error) {
	name, r, _, err := c.queue(c.now)
	if err != nil {
		return nil, err
	}
	r.end(c.now)
	delete(c.home().SQS.Messages, name)
	return object{}, nil
}

func getQueueURL(c *call) (map[string]any, error) {
	name := c.str("QueueName")
	if owner := c.str("QueueOwnerAWSAccountId"); owner != "" && owner != c.who.Account {
		return nil, noQueue()
	}
	if _, _, ok := c.home().SQS.Queues.live(name, c.view); !ok {
		return nil, noQueue()
	}
	return object{"QueueUrl": c.queueURL(name)}, nil
}

func listQueues(c *call) (map[string]any, error) {
	out := []any{}
	for name := range c.home().SQS.Queues.all(c.view) {
		if strings.HasPrefix(name, c.str("QueueNamePrefix")) {
			out = append(out, c.queueURL(name))
		}
	}
	return c.page("QueueUrls", out)
}

func getQueueAttributes(c *call) (map[string]any, error) {
	name, _, q, err := c.queue(c.view)
	if err != nil {
		return nil, err
	}
	want := c.strings("AttributeNames")
	for _, w := range want {
		if w != "All" && !slices.Contains(queueSettings, w) && !slices.Contains(queueCounts, w) {
			return nil, failure(400, "InvalidAttributeName", "Unknown Attribute %s.", w)
		}
	}
	visible, hidden, delayed := c.counts(name, q)
	all := map[string]string{
		"QueueArn": c.queueARN(name), "CreatedTimestamp": unixSeconds(q.Created), "LastModifiedTimestamp": unixSeconds(q.Modified),
		"ApproximateNumberOfMessages": strconv.Itoa(visible), "ApproximateNumberOfMessagesNotVisible": strconv.Itoa(hidden),
		"ApproximateNumberOfMessagesDelayed": strconv.Itoa(delayed),
	}
	for _, k := range queueSettings {
		if v := q.setting(k); v != "" {
			all[k] = v
		}
	}
	out := object{}
	for k, v := range all {
		if slices.Contains(want, "All") || slices.Contains(want, k) {
			out[k] = v
		}
	}
	if len(out) == 0 {
		return object{}, nil
	}
	return object{"Attributes": out}, nil
}

func unixSeconds(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

func setQueueAttributes(c *call) (map[string]any, error) {
	name, r, q, err := c.queue(c.now)
	if err != nil {
		return nil, err
	}
	set := textMap(c.in["Attributes"])
	if err := c.checkQueue(name, set); err != nil {
		return nil, err
	}
	if fifo, ok := set["FifoQueue"]; ok && fifo != q.Attributes["FifoQueue"] {
		return nil, failure(400, "InvalidAttributeValue", "You can't change the type of a queue.")
	}
	attributes := made(maps.Clone(q.Attributes))
	for k, v := range set {
		if attributes[k] = v; v == "" { // which takes a policy away
			delete(attributes, k)
		}
	}
	r.change(c.now, func(q *queue) { q.Attributes, q.Modified = attributes, c.now })
	return object{}, nil
}

func purgeQueue(c *call) (map[string]any, error) {
	name, _, _, err := c.queue(c.now)
	if err != nil {
		return nil, err
	}
	delete(c.home().SQS.Messages, name)
	return object{}, nil
}

func tagQueue(c *call) (map[string]any, error) {
	_, r, _, err := c.queue(c.now)
	if err != nil {
		return nil, err
	}
	r.change(c.now, func(q *queue) { q.Tags = q.Tags.with(textMap(c.in["Tags"])) })
	return object{}, nil
}

func untagQueue(c *call) (map[string]any, error) {
	_, r, _, err := c.queue(c.now)
	if err != nil {
		return nil, err
	}
	r.change(c.now, func(q *queue) {
		q.Tags = q.Tags.with(nil)
		for _, k := range c.strings("TagKeys") {
			delete(q.Tags, k)
		}
	})
	return object{}, nil
}

func listQueueTags(c *call) (map[string]any, error) {
	_, _, q, err := c.queue(c.view)
	if err != nil {
		return nil, err
	}
	tags := object{}
	for k, v := range q.Tags {
		tags[k] = v
	}
	return object{"Tags": tags}, nil
}

var sqsHandlers = map[string]handler{
	"ChangeMessageVisibility": {"sqs:ChangeMessageVisibility", changeVisibility},
	"CreateQueue":             {"sqs:CreateQueue", createQueue},
	"DeleteMessage":           {"sqs:DeleteMessage", deleteMessage},
	"DeleteMessageBatch":      {"sqs:DeleteMessage", inBatch(deleteMessage)},
	"DeleteQueue":             {"sqs:DeleteQueue", deleteQueue},
	"GetQueueAttributes":      {"sqs:GetQueueAttributes", getQueueAttributes},
	"GetQueueUrl":             {"sqs:GetQueueUrl", getQueueURL},
	"ListQueueTags":           {"sqs:ListQueueTags", listQueueTags},
	"ListQueues":              {"sqs:ListQueues", listQueues},
	"PurgeQueue":              {"sqs:PurgeQueue", purgeQueue},
	"ReceiveMessage":          {"sqs:ReceiveMessage", receiveMessage},
	"SendMessage":             {"sqs:SendMessage", sendMessage},
	"SendMessageBatch":        {"sqs:SendMessage", inBatch(sendMessage)},
	"SetQueueAttributes":      {"sqs:SetQueueAttributes", setQueueAttributes},
	"TagQueue":                {"sqs:TagQueue", tagQueue},
	"UntagQueue":              {"sqs:UntagQueue", untagQueue},
}
