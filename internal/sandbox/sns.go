package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/knowngood/knowngood/iampolicy"
)

// snsState is what sns has in one account and Region.
type snsState struct {
	Topics        table[topic]        `json:"topics,omitempty"`        // by name
	Subscriptions table[subscription] `json:"subscriptions,omitempty"` // by id
}

type topic struct {
	Attributes map[string]string `json:"attributes,omitempty"` // those that were set
	Tags       tagSet            `json:"tags,omitempty"`
}

type subscription struct {
	Topic      string            `json:"topic"` // name
	Protocol   string            `json:"protocol"`
	Endpoint   string            `json:"endpoint"`
	Pending    bool              `json:"pending,omitempty"` // until its owner confirms it
	Attributes map[string]string `json:"attributes,omitempty"`
}

var (
	topicName            = patternOf(`^[A-Za-z0-9_-]{1,256}$|^[A-Za-z0-9_-]{1,251}\.fifo$`)
	topicSettings        = []string{"ArchivePolicy", "ContentBasedDeduplication", "DeliveryPolicy", "DisplayName", "FifoThroughputScope", "FifoTopic", "KmsMasterKeyId", "Policy", "SignatureVersion", "TracingConfig"}
	deliveryLogging      = patternOf(`^(HTTP|Firehose|Lambda|Application|SQS)((Success|Failure)FeedbackRoleArn|SuccessFeedbackSampleRate)$`)
	subscriptionSettings = []string{"DeliveryPolicy", "FilterPolicy", "FilterPolicyScope", "RawMessageDelivery", "RedrivePolicy", "ReplayPolicy", "SubscriptionRoleArn"}
	snsProtocols         = []string{"application", "email", "email-json", "firehose", "http", "https", "lambda", "sms", "sqs"}
)

func snsInvalid(format string, args ...any) error {
	return failure(400, "InvalidParameter", "Invalid parameter: "+format, args...)
}

func (c *call) topicARN(name string) string {
	return "arn:aws:sns:" + c.region + ":" + c.who.Account + ":" + name
}

// topic finds the topic that a member of the call has the ARN of.
func (c *call) topic(member string, at time.Time) (name string, r *record[topic], t topic, err error) {
	name, ok := strings.CutPrefix(c.str(member), c.topicARN(""))
	if r, t, there := c.home().SNS.Topics.live(name, at); ok && there {
		return name, r, t, nil
	}
	return "", nil, topic{}, failure(404, "NotFound", "Topic does not exist")
}

func (c *call) subscriptionARN(id string, s subscription) string {
	return c.topicARN(s.Topic) + ":" + id
}

func (c *call) subscription(at time.Time) (id string, r *record[subscription], s subscription, err error) {
	arn := c.str("SubscriptionArn")
	id = arn[strings.LastIndexByte(arn, ':')+1:]
	if r, s, ok := c.home().SNS.Subscriptions.live(id, at); ok && c.subscriptionARN(id, s) == arn {
		return id, r, s, nil
	}
	return "", nil, subscription{}, failure(404, "NotFound", "Subscription does not exist")
}

// defaultTopicPolicy lets the topic's own account in, and nobody else.
func (c *call) defaultTopicPolicy(name string) string {
	raw, err := json.Marshal(object{"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": []any{object{
		"Sid": "__default_statement_ID", "Effect": "Allow", "Principal": object{"AWS": "*"}, "Resource": c.topicARN(name),
		"Action": anys([]string{"SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:AddPermission", "SNS:RemovePermission", "SNS:DeleteTopic", "SNS:Subscribe",
			"SNS:ListSubscriptionsByTopic", "SNS:Publish"}),
		"Condition": object{"StringEquals": object{"AWS:SourceOwner": c.who.Account}}}}})
	if err != nil {
		return "" // texts and lists can be written
	}
	return string(raw)
}

func checkTopic(attributes map[string]string) error {
	for _, k := range sorted(attributes) {
		if !slices.Contains(topicSettings, k) && !deliveryLogging.MatchString(k) {
			return snsInvalid("AttributeName")
		}
		if strings.HasSuffix(k, "SampleRate") {
			if n, err := strconv.Atoi(attributes[k]); err != nil || n < 0 || n > 100 {
				return snsInvalid("%s: must be from 0 to 100", k)
			}
		}
		if k == "Policy" && attributes[k] != "" {
			if _, err := iampolicy.Parse(attributes[k], iampolicy.Resource); err != nil {
				return snsInvalid("Policy Error: null")
			}
		}
	}
	return nil
}

func createTopic(c *call) (map[string]any, error) {
	name, attributes := c.str("Name"), textMap(c.in["Attributes"])
	if !topicName.MatchString(name) || strings.HasSuffix(name, ".fifo") != (attributes["FifoTopic"] == "true") {
		return nil, snsInvalid("Topic Name")
	}
	if err := checkTopic(attributes); err != nil {
		return nil, err
	}
	tags, err := parseTags(c.in["Tags"])
	if err != nil {
		return nil, err
	}
	if _, t, ok := c.home().SNS.Topics.live(name, c.now); ok {
		for k, v := range attributes {
			if t.Attributes[k] != v {
				return nil, snsInvalid("Attributes Reason: Topic already exists with different attributes")
			}
		}
		if len(tags) > 0 && !maps.Equal(tags, t.Tags) {
			return nil, snsInvalid("Tags Reason: Topic already exists with different tags")
		}
	} else {
		c.home().SNS.Topics.put(name, c.now, topic{Attributes: attributes, Tags: tags})
	}
	return object{"TopicArn": c.topicARN(name)}, nil
}

func deleteTopic(c *call) (map[string]any, error) {
	name, r, _, err := c.topic("TopicArn", c.now)
	if err != nil {
		return object{}, nil // to delete what isn't there is no error
	}
	r.end(c.now)
	for id, s := range c.home().SNS.Subscriptions.all(c.now) {
		if s.Topic == name {
			c.home().SNS.Subscriptions[id].end(c.now)
		}
	}
	return object{}, nil
}

func listTopics(c *call) (map[string]any, error) {
	out := []any{}
	for name := range c.home().SNS.Topics.all(c.view) {
		out = append(out, object{"TopicArn": c.topicARN(name)})
	}
	return c.hundred("Topics", out)
}

// effectiveDelivery is how SNS sends to HTTP where nobody said otherwise.
// Source: Amazon SNS Developer Guide, "Amazon SNS message delivery retries".
const effectiveDelivery = `{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":20,"maxDelayTarget":20,"numRetries":3,"numMaxDelayRetries":0,"numNoDelayRetries":0,` +
	`"numMinDelayRetries":0,"backoffFunction":"linear"},"disableSubscriptionOverrides":false,"defaultRequestPolicy":{"headerContentType":"text/plain; charset=UTF-8"}}}`

// hundred is page for lists of which SNS gives a hundred at a time.
func (c *call) hundred(key string, items []any) (map[string]any, error) {
	sub := *c
	sub.in = object{"NextToken": c.in["NextToken"], "MaxResults": int64(100)}
	return sub.page(key, items)
}

func getTopicAttributes(c *call) (map[string]any, error) {
	name, _, t, err := c.topic("TopicArn", c.view)
	if err != nil {
		return nil, err
	}
	confirmed, pending := 0, 0
	for _, s := range c.home().SNS.Subscriptions.all(c.view) {
		if s.Topic == name && s.Pending {
			pending++
		} else if s.Topic == name {
			confirmed++
		}
	}
	out := object{"TopicArn": c.topicARN(name), "Owner": c.who.Account, "Policy": c.defaultTopicPolicy(name), "DisplayName": "", "EffectiveDeliveryPolicy": effectiveDelivery, "SubscriptionsConfirmed": fmt.Sprint(confirmed),
		"SubscriptionsPending": fmt.Sprint(pending), "SubscriptionsDeleted": "0"}
	withTexts(out, t.Attributes)
	return object{"Attributes": out}, nil
}

func setTopicAttributes(c *call) (map[string]any, error) {
	_, r, t, err := c.topic("TopicArn", c.now)
	if err != nil {
		return nil, err
	}
	set := map[string]string{c.str("AttributeName"): c.str("AttributeValue")}
	if err := checkTopic(set); err != nil {
		return nil, err
	}
	attributes := made(maps.Clone(t.Attributes))
	maps.Copy(attributes, set)
	r.change(c.now, func(t *topic) { t.Attributes = attributes })
	return object{}, nil
}

func checkSubscription(attributes map[string]string) error {
	for _, k := range sorted(attributes) {
		v := attributes[k]
		if !slices.Contains(subscriptionSettings, k) {
			return snsInvalid("AttributeName")
		}
		switch k {
		case "FilterPolicy":
			if v == "" {
				continue
			}
			if _, err := compileFilter(attributes["FilterPolicyScope"], v); err != nil {
				return snsInvalid("FilterPolicy: %v", err)
			}
		case "RawMessageDelivery":
			if v != "true" && v != "false" {
				return snsInvalid("Attributes Reason: RawMessageDelivery: Invalid value [%s]. Must be true or false.", v)
			}
		case "FilterPolicyScope":
			if v != "MessageAttributes" && v != "MessageBody" {
				return snsInvalid("Attributes Reason: FilterPolicyScope: Invalid value [%s]. Please use either MessageBody or MessageAttributes", v)
			}
		}
	}
	return nil
}

func subscribe(c *call) (map[string]any, error) {
	name, _, _, err := c.topic("TopicArn", c.now)
	if err != nil {
		return nil, err
	}
	s := subscription{Topic: name, Protocol: c.str("Protocol"), Endpoint: c.str("Endpoint"), Attributes: textMap(c.in["Attributes"])}
	if !slices.Contains(snsProtocols, s.Protocol) {
		return nil, snsInvalid("Amazon SNS does not support this protocol string: %s", s.Protocol)
	}
	if service := map[string]string{"sqs": "sqs", "lambda": "lambda"}[s.Protocol]; service != "" && !strings.HasPrefix(s.Endpoint, "arn:aws:"+service+":") {
		return nil, snsInvalid("%s endpoint ARN", strings.ToUpper(s.Protocol))
	}
	if s.Endpoint == "" || strings.HasPrefix(s.Protocol, "http") && !strings.HasPrefix(s.Endpoint, s.Protocol+"://") || strings.HasPrefix(s.Protocol, "email") && !strings.Contains(s.Endpoint, "@") {
		return nil, snsInvalid("Endpoint must match the specified protocol")
	}
	if err := checkSubscription(s.Attributes); err != nil {
		return nil, err
	}
	for id, had := range c.home().SNS.Subscriptions.all(c.now) {
		if had.Topic == s.Topic && had.Protocol == s.Protocol && had.Endpoint == s.Endpoint {
			return c.subscribed(id, had), nil
		}
	}
	// What people own waits for their word, which nobody here gives.
	s.Pending = !slices.Contains([]string{"sqs", "lambda", "sms", "firehose", "application"}, s.Protocol)
	id := uuid(c.id("", 32))
	c.home().SNS.Subscriptions.put(id, c.now, s)
	return c.subscribed(id, s), nil
}

func (c *call) subscribed(id string, s subscription) object {
	if s.Pending && !c.bool("ReturnSubscriptionArn") {
		return object{"SubscriptionArn": "pending confirmation"}
	}
	return object{"SubscriptionArn": c.subscriptionARN(id, s)}
}

func unsubscribe(c *call) (map[string]any, error) {
	_, r, _, err := c.subscription(c.now)
	if err != nil {
		return object{}, nil // as for a topic
	}
	r.end(c.now)
	return object{}, nil
}

// listSubscriptions gives those of one topic, or all.
func listSubscriptions(ofTopic bool) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		name := ""
		if ofTopic {
			var err error
			if name, _, _, err = c.topic("TopicArn", c.view); err != nil {
				return nil, err
			}
		}
		out := []any{}
		for id, s := range c.home().SNS.Subscriptions.all(c.view) {
			if ofTopic && s.Topic != name {
				continue
			}
			arn := c.subscriptionARN(id, s)
			if s.Pending {
				arn = "PendingConfirmation"
			}
			out = append(out, object{"SubscriptionArn": arn, "Owner": c.who.Account, "Protocol": s.Protocol, "Endpoint": s.Endpoint, "TopicArn": c.topicARN(s.Topic)})
		}
		return c.hundred("Subscriptions", out)
	}
}

func getSubscriptionAttributes(c *call) (map[string]any, error) {
	id, _, s, err := c.subscription(c.view)
	if err != nil {
		return nil, err
	}
	out := object{"SubscriptionArn": c.subscriptionARN(id, s), "TopicArn": c.topicARN(s.Topic), "Owner": c.who.Account, "Protocol": s.Protocol, "Endpoint": s.Endpoint,
		"RawMessageDelivery": "false", "PendingConfirmation": fmt.Sprint(s.Pending), "ConfirmationWasAuthenticated": fmt.Sprint(!s.Pending), "SubscriptionPrincipal": c.who.ARN}
	withTexts(out, s.Attributes)
	return object{"Attributes": out}, nil
}

func setSubscriptionAttributes(c *call) (map[string]any, error) {
	_, r, s, err := c.subscription(c.now)
	if err != nil {
		return nil, err
	}
	attributes := made(maps.Clone(s.Attributes))
	attributes[c.str("AttributeName")] = c.str("AttributeValue")
	if err := checkSubscription(attributes); err != nil {
		return nil, err
	}
	r.change(c.now, func(s *subscription) { s.Attributes = attributes })
	return object{}, nil
}

func tagTopic(c *call) (map[string]any, error) {
	_, r, _, err := c.topic("ResourceArn", c.now)
	if err != nil {
		return nil, failure(404, "ResourceNotFound", "Resource does not exist")
	}
	tags, err := parseTags(c.in["Tags"])
	if err != nil {
		return nil, err
	}
	r.change(c.now, func(t *topic) { t.Tags = t.Tags.with(tags) })
	return object{}, nil
}

func untagTopic(c *call) (map[string]any, error) {
	_, r, _, err := c.topic("ResourceArn", c.now)
	if err != nil {
		return nil, failure(404, "ResourceNotFound", "Resource does not exist")
	}
	r.change(c.now, func(t *topic) {
		t.Tags = t.Tags.with(nil)
		for _, k := range c.strings("TagKeys") {
			delete(t.Tags, k)
		}
	})
	return object{}, nil
}

func listTopicTags(c *call) (map[string]any, error) {
	_, _, t, err := c.topic("ResourceArn", c.view)
	if err != nil {
		return nil, failure(404, "ResourceNotFound", "Resource does not exist")
	}
	return object{"Tags": t.Tags.list()}, nil
}

var snsHandlers = map[string]handler{
	"CreateTopic":               {"sns:CreateTopic", createTopic},
	"DeleteTopic":               {"sns:DeleteTopic", deleteTopic},
	"GetSubscriptionAttributes": {"sns:GetSubscriptionAttributes", getSubscriptionAttributes},
	"GetTopicAttributes":        {"sns:GetTopicAttributes", getTopicAttributes},
	"ListSubscriptions":         {"sns:ListSubscriptions", listSubscriptions(false)},
	"ListSubscriptionsByTopic":  {"sns:ListSubscriptionsByTopic", listSubscriptions(true)},
	"ListTagsForResource":       {"sns:ListTagsForResource", listTopicTags},
	"ListTopics":                {"sns:ListTopics", listTopics},
	"Publish":                   {"sns:Publish", publishMessage},
	"SetSubscriptionAttributes": {"sns:SetSubscriptionAttributes", setSubscriptionAttributes},
	"SetTopicAttributes":        {"sns:SetTopicAttributes", setTopicAttributes},
	"Subscribe":                 {"sns:Subscribe", subscribe},
	"TagResource":               {"sns:TagResource", tagTopic},
	"Unsubscribe":               {"sns:Unsubscribe", unsubscribe},
	"UntagResource":             {"sns:UntagResource", untagTopic},
}
