package sandbox

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// message is a message in a queue.
type message struct {
	ID         string                      `json:"id"`
	Body       string                      `json:"body"`
	Attributes map[string]messageAttribute `json:"attributes,omitempty"`
	Sender     string                      `json:"sender"`
	Sent       time.Time                   `json:"sent"`
	Visible    time.Time                   `json:"visible"` // from when it can be received
	Receives   int                         `json:"receives,omitempty"`
	First      time.Time                   `json:"firstReceived,omitzero"`
	Group      string                      `json:"group,omitempty"` // these three of FIFO queues
	Dedup      string                      `json:"dedup,omitempty"`
	Sequence   string                      `json:"sequence,omitempty"`
	// Done: it was deleted, and is kept only as long as it makes others
	// duplicates.
	Done bool `json:"done,omitempty"`
}

// messageAttribute is an attribute of a message of SQS or SNS.
type messageAttribute struct {
	Type  string `json:"type"`
	Text  string `json:"text,omitempty"`
	Bytes []byte `json:"bytes,omitempty"`
}

// dedupTime is how long a FIFO queue takes a message only once.
const dedupTime = 5 * time.Minute

func parseAttributes(v any) map[string]messageAttribute {
	o, _ := v.(object)
	if len(o) == 0 {
		return nil
	}
	out := map[string]messageAttribute{}
	for name, e := range o {
		a, _ := e.(object)
		var m messageAttribute
		m.Type, _ = a["DataType"].(string)
		m.Text, _ = a["StringValue"].(string)
		m.Bytes, _ = a["BinaryValue"].([]byte)
		out[name] = m
	}
	return out
}

func (m messageAttribute) out() object {
	if strings.HasPrefix(m.Type, "Binary") {
		return object{"DataType": m.Type, "BinaryValue": m.Bytes}
	}
	return object{"DataType": m.Type, "StringValue": m.Text}
}

func md5Hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// attributesMD5 is the digest by which clients check a message's attributes.
// Source: Amazon SQS Developer Guide, "Calculating the MD5 message digest for
// message attributes".
func attributesMD5(attributes map[string]messageAttribute) string {
	var b []byte
	part := func(s string) { b = append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...) } //nolint:gosec // a message is at most 1 MiB
	for _, name := range sorted(attributes) {
		a := attributes[name]
		part(name)
		part(a.Type)
		if strings.HasPrefix(a.Type, "Binary") {
			b = append(b, 2)
			part(string(a.Bytes))
		} else {
			b = append(b, 1)
			part(a.Text)
		}
	}
	return md5Hex(string(b))
}

// messages gives a queue's messages without those whose time is over.
func (c *call) messages(name string, q queue) []*message {
	s := &c.home().SQS
	keep := q.seconds("MessageRetentionPeriod")
	list := slices.DeleteFunc(s.Messages[name], func(m *message) bool {
		age := c.now.Sub(m.Sent)
		return age >= keep || m.Done && age >= dedupTime
	})
	if s.Messages == nil {
		s.Messages = map[string][]*message{}
	}
	if s.Messages[name] = list; len(list) == 0 {
		delete(s.Messages, name)
	}
	return list
}

// counts says how many messages can be received, are with a receiver, and are
// delayed.
func (c *call) counts(name string, q queue) (visible, hidden, delayed int) {
	for _, m := range c.messages(name, q) {
		switch {
		case m.Done:
		case !m.Visible.After(c.now):
			visible++
		case m.Receives > 0:
			hidden++
		default:
			delayed++
		}
	}
	return visible, hidden, delayed
}

// enqueue puts a message into a queue. A FIFO queue takes a duplicate's place
// with the message that it has.
func (c *call) enqueue(name string, q queue, m message, delay time.Duration) (*message, error) {
	size := len(m.Body)
	for k, a := range m.Attributes {
		size += len(k) + len(a.Type) + len(a.Text) + len(a.Bytes)
	}
	if limit := q.number("MaximumMessageSize"); size > limit {
		return nil, failure(400, "InvalidParameterValue", "One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", limit)
	}
	if q.fifo() {
		if m.Group == "" {
			return nil, failure(400, "MissingParameter", "The request must contain the parameter MessageGroupId.")
		}
		if m.Dedup == "" && q.setting("ContentBasedDeduplication") == "true" {
			sum := sha256.Sum256([]byte(m.Body))
			m.Dedup = hex.EncodeToString(sum[:])
		}
		if m.Dedup == "" {
			return nil, failure(400, "InvalidParameterValue", "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
		}
		perGroup := q.setting("DeduplicationScope") == "messageGroup"
		for _, had := range c.messages(name, q) {
			if had.Dedup == m.Dedup && (!perGroup || had.Group == m.Group) && c.now.Sub(had.Sent) < dedupTime {
				return had, nil
			}
		}
	} else {
		m.Dedup = ""
	}
	m.ID, m.Sent, m.Visible = c.occurrence(), c.now, c.now.Add(delay)
	if q.fifo() {
		m.Sequence = fmt.Sprintf("%020d", c.state.Occurred)
	}
	list := c.messages(name, q)
	if c.home().SQS.Messages == nil {
		c.home().SQS.Messages = map[string][]*message{}
	}
	c.home().SQS.Messages[name] = append(list, &m)
	return &m, nil
}

// toQueue delivers a parcel to a queue. A queue that is encrypted under SQS's
// own key of KMS takes nothing from other services, for nobody can let them use
// that key.
func (c *call) toQueue(name string, p parcel, ask access) error {
	_, q, ok := c.home().SQS.Queues.live(name, c.now)
	if !ok {
		return noTarget(p.target)
	}
	ask.action = "sqs:SendMessage"
	if !ask.grants(c.policy(q.Attributes["Policy"])) || strings.HasSuffix(q.Attributes["KmsMasterKeyId"], "alias/aws/sqs") {
		return ask.refused()
	}
	_, err := c.enqueue(name, q, message{Body: p.body, Attributes: p.attributes, Sender: p.service, Group: p.group, Dedup: p.dedup}, q.seconds("DelaySeconds"))
	return err
}

func sendMessage(c *call) (map[string]any, error) {
	name, _, q, err := c.queue(c.now)
	if err != nil {
		return nil, err
	}
	m := message{Body: c.str("MessageBody"), Attributes: parseAttributes(c.in["MessageAttributes"]), Sender: c.who.UserID, Group: c.str("MessageGroupId"), Dedup: c.str("MessageDeduplicationId")}
	if m.Body == "" {
		return nil, failure(400, "MissingParameter", "The request must contain the parameter MessageBody.")
	}
	for _, r := range m.Body {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return nil, failure(400, "InvalidMessageContents", "Invalid binary character '#x%X' was found in the message body, the set of allowed characters is #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF", r)
		}
	}
	delay := q.seconds("DelaySeconds")
	if n, given := c.int("DelaySeconds"); given {
		if n < 0 || n > 900 || q.fifo() && n > 0 {
			return nil, failure(400, "InvalidParameterValue", "Value %d for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900, and is a FIFO queue's alone.", n)
		}
		delay = time.Duration(n) * time.Second
	}
	sent, err := c.enqueue(name, q, m, delay)
	if err != nil {
		return nil, err
	}
	out := object{"MessageId": sent.ID, "MD5OfMessageBody": md5Hex(sent.Body)}
	if len(sent.Attributes) > 0 {
		out["MD5OfMessageAttributes"] = attributesMD5(sent.Attributes)
	}
	if sent.Sequence != "" {
		out["SequenceNumber"] = sent.Sequence
	}
	return out, nil
}

func receiveMessage(c *call) (map[string]any, error) {
	name, _, q, err := c.queue(c.now)
	if err != nil {
		return nil, err
	}
	most, given := c.int("MaxNumberOfMessages")
	if given && (most < 1 || most > 10) {
		return nil, failure(400, "InvalidParameterValue", "Value %d for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.", most)
	}
	hide := q.seconds("VisibilityTimeout")
	if n, given := c.int("VisibilityTimeout"); given {
		if n < 0 || n > 43200 {
			return nil, failure(400, "InvalidParameterValue", "Value %d for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and 43200.", n)
		}
		hide = time.Duration(n) * time.Second
	}
	wait := q.seconds("ReceiveMessageWaitTimeSeconds")
	if n, given := c.int("WaitTimeSeconds"); given {
		if n < 0 || n > 20 {
			return nil, failure(400, "InvalidParameterValue", "Value %d for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.", n)
		}
		wait = time.Duration(n) * time.Second
	}
	take := func() []any { return c.take(name, q, max(int(most), 1), hide) }
	list := take()
	if _, manual := c.clock.(*ManualClock); len(list) == 0 && wait > 0 && !manual {
		c.after = func(ctx context.Context) (map[string]any, error) { return c.poll(ctx, wait, take) }
	}
	return received(list), nil
}

func received(list []any) object {
	if len(list) == 0 {
		return object{}
	}
	return object{"Messages": list}
}

// pollEvery is how often a long poll looks again, on the sandbox's clock.
const pollEvery = 500 * time.Millisecond

// poll looks for messages until there are some or the wait is over. On a clock
// that stands still there is no wait: nothing could come.
func (c *call) poll(ctx context.Context, wait time.Duration, take func() []any) (map[string]any, error) {
	until := c.now.Add(wait)
	for {
		if err := c.clock.Sleep(ctx, pollEvery); err != nil {
			return nil, failure(0, "RequestCanceled", "%v", err)
		}
		c.mu.Lock()
		c.now = c.clock.Now()
		c.settle(c.now)
		list, over := take(), !c.now.Before(until)
		c.mu.Unlock()
		c.drain()
		if len(list) > 0 || over {
			return received(list), nil
		}
	}
}

// take receives messages: those that can be, in the order of sending, of a FIFO
// queue one group's only while none of it is with a receiver. What was received
// too often goes to the dead-letter queue instead.
func (c *call) take(name string, q queue, most int, hide time.Duration) []any {
	dead, limit := q.redrive()
	dead = strings.TrimPrefix(dead, c.queueARN(""))
	busy := map[string]bool{}
	for _, m := range c.messages(name, q) {
		if q.fifo() && !m.Done && m.Receives > 0 && m.Visible.After(c.now) {
			busy[m.Group] = true
		}
	}
	var out []any
	for _, m := range slices.Clone(c.messages(name, q)) {
		if m.Done || m.Visible.After(c.now) || q.fifo() && busy[m.Group] {
			continue
		}
		if limit > 0 && m.Receives >= limit {
			c.redrive(name, dead, m)
			continue
		}
		if len(out) == most {
			break
		}
		if m.Receives++; m.Receives == 1 {
			m.First = c.now
		}
		m.Visible = c.now.Add(hide)
		out = append(out, c.messageOut(m))
	}
	return out
}

// redrive moves a message to another queue, as it is.
func (c *call) redrive(from, to string, m *message) {
	s := &c.home().SQS
	if _, _, ok := s.Queues.live(to, c.now); !ok {
		return
	}
	s.Messages[from] = slices.DeleteFunc(s.Messages[from], func(e *message) bool { return e == m })
	s.Messages[to] = append(s.Messages[to], m)
}

func (c *call) messageOut(m *message) object {
	out := object{"MessageId": m.ID, "ReceiptHandle": m.handle(), "MD5OfBody": md5Hex(m.Body), "Body": m.Body}
	all := map[string]string{
		"SenderId": m.Sender, "SentTimestamp": strconv.FormatInt(m.Sent.UnixMilli(), 10), "ApproximateReceiveCount": strconv.Itoa(m.Receives),
		"ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.First.UnixMilli(), 10),
		"MessageGroupId":                   m.Group, "MessageDeduplicationId": m.Dedup, "SequenceNumber": m.Sequence,
	}
	want := append(c.strings("AttributeNames"), c.strings("MessageSystemAttributeNames")...)
	system := object{}
	for k, v := range all {
		if v != "" && (slices.Contains(want, "All") || slices.Contains(want, k)) {
			system[k] = v
		}
	}
	if len(system) > 0 {
		out["Attributes"] = system
	}
	chosen, attributes := map[string]messageAttribute{}, object{}
	for k, a := range m.Attributes {
		if slices.ContainsFunc(c.strings("MessageAttributeNames"), func(w string) bool {
			prefix, all := strings.CutSuffix(w, ".*")
			return w == "All" || w == ".*" || w == k || all && strings.HasPrefix(k, prefix)
		}) {
			chosen[k], attributes[k] = a, a.out()
		}
	}
	if len(chosen) > 0 {
		out["MessageAttributes"], out["MD5OfMessageAttributes"] = attributes, attributesMD5(chosen)
	}
	return out
}

// handle is the receipt of the latest receive.
func (m *message) handle() string { return fmt.Sprintf("%s#%d", m.ID, m.Receives) }

// receipt finds the message of a call's receipt. One that was received again
// since, or deleted, is nil.
func (c *call) receipt() (*message, string, error) {
	name, _, q, err := c.queue(c.now)
	if err != nil {
		return nil, "", err
	}
	id, count, ok := strings.Cut(c.str("ReceiptHandle"), "#")
	if _, err := strconv.Atoi(count); !ok || err != nil {
		return nil, "", failure(400, "ReceiptHandleIsInvalid", "The input receipt handle \"%s\" is not a valid receipt handle.", c.str("ReceiptHandle"))
	}
	for _, m := range c.messages(name, q) {
		if m.ID == id && m.handle() == c.str("ReceiptHandle") && !m.Done {
			return m, name, nil
		}
	}
	return nil, name, nil
}

func deleteMessage(c *call) (map[string]any, error) {
	m, name, err := c.receipt()
	if err != nil {
		return nil, err
	}
	switch {
	case m == nil: // it is gone, or will come again
	case m.Dedup != "":
		m.Done = true
	default:
		s := &c.home().SQS
		s.Messages[name] = slices.DeleteFunc(s.Messages[name], func(e *message) bool { return e == m })
	}
	return object{}, nil
}

func changeVisibility(c *call) (map[string]any, error) {
	m, _, err := c.receipt()
	if err != nil {
		return nil, err
	}
	n, _ := c.int("VisibilityTimeout")
	if n < 0 || n > 43200 {
		return nil, failure(400, "InvalidParameterValue", "Value %d for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and 43200.", n)
	}
	if m == nil || !m.Visible.After(c.now) {
		return nil, failure(400, "AWS.SimpleQueueService.MessageNotInflight", "The message referred to isn't in flight.")
	}
	m.Visible = c.now.Add(time.Duration(n) * time.Second)
	return object{}, nil
}

// inBatch makes the entries of a batch one by one.
func inBatch(run func(*call) (map[string]any, error)) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		if _, _, _, err := c.queue(c.now); err != nil {
			return nil, err
		}
		entries := c.objects("Entries")
		switch {
		case len(entries) == 0:
			return nil, failure(400, "AWS.SimpleQueueService.EmptyBatchRequest", "There should be at least one entry in the request.")
		case len(entries) > 10:
			return nil, failure(400, "AWS.SimpleQueueService.TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10. You have sent %d.", len(entries))
		}
		seen := map[any]bool{}
		good, bad := []any{}, []any{}
		for _, e := range entries {
			if seen[e["Id"]] {
				return nil, failure(400, "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "Id %v repeated.", e["Id"])
			}
			seen[e["Id"]] = true
		}
		for _, e := range entries {
			sub := *c
			sub.in = object{"QueueUrl": c.in["QueueUrl"]}
			for k, v := range e {
				sub.in[k] = v
			}
			out, err := run(&sub)
			if err != nil {
				bad = append(bad, object{"Id": e["Id"], "SenderFault": true, "Code": codeOf(err), "Message": err.Error()})
				continue
			}
			out["Id"] = e["Id"]
			good = append(good, out)
		}
		result := object{"Successful": good}
		if len(bad) > 0 {
			result["Failed"] = bad
		} else {
			result["Failed"] = []any{}
		}
		return result, nil
	}
}
