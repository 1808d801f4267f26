package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/knowngood/knowngood/eventpattern"
)

// maxPublished is how many bytes a message of SNS may have.
const maxPublished = 256 << 10

// publication is a message on its way to a topic's subscribers.
type publication struct {
	ID         string
	Subject    string
	Body       string            // for all protocols but those in ByProtocol
	ByProtocol map[string]string // of MessageStructure json
	Attributes map[string]messageAttribute
	Group      string
	Dedup      string
}

func publishMessage(c *call) (map[string]any, error) {
	if c.str("PhoneNumber") != "" {
		return object{"MessageId": c.occurrence()}, nil // a text message, which nobody here reads
	}
	member := "TopicArn"
	if c.str(member) == "" {
		member = "TargetArn"
	}
	name, _, _, err := c.topic(member, c.now)
	if err != nil {
		return nil, err
	}
	p := publication{Subject: c.str("Subject"), Body: c.str("Message"), Attributes: parseAttributes(c.in["MessageAttributes"]), Group: c.str("MessageGroupId"), Dedup: c.str("MessageDeduplicationId")}
	switch {
	case p.Body == "":
		return nil, snsInvalid("Empty message")
	case len(p.Body) > maxPublished:
		return nil, snsInvalid("Message too long")
	case len(p.Subject) > 100 || strings.ContainsAny(p.Subject, "\n\r"):
		return nil, snsInvalid("Subject")
	case strings.HasSuffix(name, ".fifo") && p.Group == "":
		return nil, snsInvalid("The MessageGroupId parameter is required for FIFO topics")
	}
	if c.str("MessageStructure") == "json" {
		if json.Unmarshal([]byte(p.Body), &p.ByProtocol) != nil || p.ByProtocol["default"] == "" {
			return nil, snsInvalid("Message Structure - No default entry in JSON message body")
		}
		p.Body = p.ByProtocol["default"]
	}
	p.ID = c.occurrence()
	c.distribute(name, p)
	out := object{"MessageId": p.ID}
	if strings.HasSuffix(name, ".fifo") {
		out["SequenceNumber"] = fmt.Sprintf("%020d", c.state.Occurred)
	}
	return out, nil
}

// toTopic delivers a parcel to a topic, and so to its subscribers.
func (c *call) toTopic(name string, p parcel, ask access) error {
	_, t, ok := c.home().SNS.Topics.live(name, c.now)
	if !ok {
		return noTarget(p.target)
	}
	ask.action = "sns:Publish"
	if !ask.grants(c.policy(t.Attributes["Policy"])) || strings.HasSuffix(t.Attributes["KmsMasterKeyId"], "alias/aws/sns") {
		return ask.refused()
	}
	c.distribute(name, publication{ID: c.occurrence(), Subject: p.subject, Body: p.body, Attributes: p.attributes, Group: p.group, Dedup: p.dedup})
	return nil
}

// distribute hands a message to the subscribers whose filter it passes.
func (c *call) distribute(name string, p publication) {
	for id, s := range c.home().SNS.Subscriptions.all(c.now) {
		if s.Topic != name || s.Pending || !s.wants(p) || s.Protocol != "sqs" && s.Protocol != "lambda" {
			continue
		}
		body := p.Body
		if own, ok := p.ByProtocol[s.Protocol]; ok {
			body = own
		}
		out := parcel{service: "sns.amazonaws.com", source: c.topicARN(name), target: s.Endpoint, group: p.Group, dedup: p.Dedup}
		switch {
		case s.Protocol == "sqs" && s.Attributes["RawMessageDelivery"] == "true":
			out.body, out.attributes = body, p.Attributes
		case s.Protocol == "sqs":
			out.body = c.notification(name, id, s, p, body)
		default:
			out.body = c.snsEvent(name, id, s, p, body)
		}
		err := c.deliver(out)
		c.delivered(c.topicARN(name), s.Endpoint, p.ID, err)
	}
}

// notification is a message as SQS gets it.
// Source: Amazon SNS Developer Guide, "Amazon SNS message and JSON formats".
func (c *call) notification(name, id string, s subscription, p publication, body string) string {
	return jsonText(struct {
		Type              string
		MessageId         string
		TopicArn          string
		Subject           string `json:",omitempty"`
		Message           string
		Timestamp         string
		SignatureVersion  string
		Signature         string
		SigningCertURL    string
		UnsubscribeURL    string
		MessageAttributes object `json:",omitempty"`
	}{"Notification", p.ID, c.topicARN(name), p.Subject, body, c.snsTime(), "1", snsSignature, c.snsHost() + "SimpleNotificationService.pem",
		c.snsHost() + "?Action=Unsubscribe&SubscriptionArn=" + c.subscriptionARN(id, s), snsAttributes(p.Attributes)})
}

// snsSignature stands where SNS signs: the sandbox has no key of AWS's.
const snsSignature = "c2FuZGJveA=="

// snsEvent is a message as a function gets it.
func (c *call) snsEvent(name, id string, s subscription, p publication, body string) string {
	var subject any
	if p.Subject != "" {
		subject = p.Subject
	}
	attributes := snsAttributes(p.Attributes)
	if attributes == nil {
		attributes = object{}
	}
	return jsonText(object{"Records": []any{object{"EventSource": "aws:sns", "EventVersion": "1.0", "EventSubscriptionArn": c.subscriptionARN(id, s), "Sns": object{
		"Type": "Notification", "MessageId": p.ID, "TopicArn": c.topicARN(name), "Subject": subject, "Message": body, "Timestamp": c.snsTime(), "SignatureVersion": "1",
		"Signature": snsSignature, "SigningCertUrl": c.snsHost() + "SimpleNotificationService.pem",
		"UnsubscribeUrl": c.snsHost() + "?Action=Unsubscribe&SubscriptionArn=" + c.subscriptionARN(id, s), "MessageAttributes": attributes}}}})
}

func (c *call) snsTime() string { return c.now.UTC().Format("2006-01-02T15:04:05.000Z") }

func (c *call) snsHost() string { return "https://sns." + c.region + ".amazonaws.com/" }

func jsonText(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return "" // texts and lists can be written
	}
	return string(raw)
}

func snsAttributes(attributes map[string]messageAttribute) object {
	if len(attributes) == 0 {
		return nil
	}
	out := object{}
	for k, a := range attributes {
		v := a.Text
		if strings.HasPrefix(a.Type, "Binary") {
			v = base64.StdEncoding.EncodeToString(a.Bytes)
		}
		out[k] = object{"Type": a.Type, "Value": v}
	}
	return out
}

// compileFilter checks a filter policy. Those for attributes have the language of
// event patterns, one level deep.
func compileFilter(scope, text string) (*eventpattern.Pattern, error) {
	if scope != "MessageBody" {
		var flat map[string][]any
		if err := json.Unmarshal([]byte(text), &flat); err != nil {
			return nil, err
		}
	}
	return (eventpattern.Options{LastKeyWins: true}).Compile([]byte(text))
}

// wants says whether a message passes the subscription's filter policy.
// Source: Amazon SNS Developer Guide, "Amazon SNS subscription filter policies".
func (s subscription) wants(p publication) bool {
	text := s.Attributes["FilterPolicy"]
	if text == "" {
		return true
	}
	filter, err := compileFilter(s.Attributes["FilterPolicyScope"], text)
	if err != nil {
		return false // it was checked when it was set
	}
	event := p.Body
	if s.Attributes["FilterPolicyScope"] != "MessageBody" {
		values := object{}
		for k, a := range p.Attributes {
			switch a.Type {
			case "String", "Number", "String.Array":
				var v any = a.Text
				if a.Type != "String" {
					v = json.RawMessage(a.Text)
				}
				if raw, ok := v.(json.RawMessage); ok && !json.Valid(raw) {
					continue
				}
				values[k] = v
			}
		}
		event = jsonText(values)
	}
	match, err := filter.Match([]byte(event))
	return err == nil && match
}
