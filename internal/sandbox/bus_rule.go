package sandbox

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood/eventpattern"
)

// everyManagementEvent is the state of a rule that matches also API calls that
// only read.
const everyManagementEvent = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"

// maxDeliveries is how many deliveries the sandbox remembers; the oldest go.
const maxDeliveries = 1000

// Delivery is one attempt to hand an event of a rule, or a message of a topic,
// to a target. AWS tells nobody of one that failed, save by metrics.
type Delivery struct {
	Time   time.Time `json:"time"`
	Source string    `json:"source"`          // ARN of the rule or topic
	Target string    `json:"target"`          // ARN
	Event  string    `json:"event"`           // id of the event or message
	Error  string    `json:"error,omitempty"` // why it failed
}

// outcomes counts events and deliveries.
type outcomes struct {
	Events    int `json:"events"` // that came about
	Delivered int `json:"delivered"`
	Failed    int `json:"failed"`
}

// Deliveries lists the latest deliveries, in order.
func (s *Sandbox) Deliveries() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.deliveries)
}

// delivered notes how a delivery went.
func (c *call) delivered(source, target, event string, err error) {
	d := Delivery{Time: c.now, Source: source, Target: target, Event: event}
	if c.outcomes.Delivered++; err != nil {
		d.Error = err.Error()
		c.outcomes.Delivered--
		c.outcomes.Failed++
	}
	c.deliveries = append(c.deliveries, d)
	if over := len(c.deliveries) - maxDeliveries; over > 0 {
		c.deliveries = c.deliveries[over:]
	}
}

// publish hands an event to the hooks, and to the targets of the rules of its
// bus that it matches.
func (c *call) publish(d due) {
	raw, err := json.Marshal(d.Event)
	if err != nil {
		return // send's details are JSON
	}
	c.outcomes.Events++
	if !d.Relayed {
		for _, hook := range c.hooks {
			c.later = append(c.later, func() { hook(raw) })
		}
	}
	for _, r := range c.home().Events.Rules.all(c.now) {
		if r.Bus != d.Bus || !r.enabled() || r.Pattern == "" {
			continue
		}
		p := c.pattern(r.Pattern)
		if p == nil || !r.takes(d.Event) {
			continue
		}
		if match, err := p.Match(raw); err == nil && match {
			c.fire(r, d, raw)
		}
	}
}

// takes says whether a rule's state lets an event through: API calls that only
// read need a state of their own.
func (r eventRule) takes(e *envelope) bool {
	if e.DetailType != apiCallEvent || r.State == everyManagementEvent {
		return true
	}
	var detail struct {
		ReadOnly bool `json:"readOnly"`
	}
	return json.Unmarshal(e.Detail, &detail) == nil && !detail.ReadOnly
}

// readsMatter says whether a rule here asks for API calls that only read. They
// have no events otherwise.
func (c *call) readsMatter() bool {
	for _, r := range c.home().Events.Rules.all(c.now) {
		if r.State == everyManagementEvent {
			return true
		}
	}
	return false
}

// pattern compiles a rule's pattern once. PutRule has checked it; what a snapshot
// has that isn't one is nil.
func (s *Sandbox) pattern(text string) *eventpattern.Pattern {
	p, ok := s.patterns[text]
	if !ok {
		var err error
		if p, err = (eventpattern.Options{LastKeyWins: true}).Compile([]byte(text)); err != nil {
			p = nil
		}
		s.patterns[text] = p
	}
	return p
}

// fire sends an event to all targets of a rule, in the order of their ids.
func (c *call) fire(r eventRule, d due, raw []byte) {
	arn := c.ruleARN(r)
	for _, id := range sorted(r.Targets) {
		t := r.Targets[id]
		target, _ := t["Arn"].(string)
		err := c.feed(r, t, d, raw)
		c.delivered(arn, target, d.Event.ID, err)
		if err != nil {
			c.bury(r, t, raw, err)
		}
	}
}

// feed makes a target's input of an event, and delivers it.
func (c *call) feed(r eventRule, t object, d due, raw []byte) error {
	arn := c.ruleARN(r)
	target, _ := t["Arn"].(string)
	if bus, ok := strings.CutPrefix(target, c.busARN("")); ok {
		if !d.Relayed {
			d.Bus, d.Relayed = bus, true
			c.schedule(d)
		}
		return nil
	}
	input, err := targetInput(t).Compile()
	if err != nil {
		return err
	}
	body, err := input.Apply(raw, eventpattern.Variables{RuleARN: arn, RuleName: r.Name, IngestionTime: c.now})
	if err != nil {
		return err
	}
	parameters, _ := t["SqsParameters"].(object)
	group, _ := parameters["MessageGroupId"].(string)
	return c.deliver(parcel{service: "events.amazonaws.com", source: arn, target: target, body: string(body), group: group, dedup: d.Event.ID})
}

// bury sends what a target didn't get to its dead-letter queue, if it has one
// that takes it.
// Source: Amazon EventBridge User Guide, "Using dead-letter queues".
func (c *call) bury(r eventRule, t object, raw []byte, cause error) {
	config, _ := t["DeadLetterConfig"].(object)
	queue, _ := config["Arn"].(string)
	if queue == "" {
		return
	}
	arn := c.ruleARN(r)
	target, _ := t["Arn"].(string)
	code := "SDK_CLIENT_ERROR"
	if u, ok := errors.AsType[undelivered](cause); ok {
		code = u.code
	}
	text := func(s string) messageAttribute { return messageAttribute{Type: "String", Text: s} }
	err := c.deliver(parcel{service: "events.amazonaws.com", source: arn, target: queue, body: string(raw), attributes: map[string]messageAttribute{
		"RULE_ARN": text(arn), "TARGET_ARN": text(target), "ERROR_CODE": text(code), "ERROR_MESSAGE": text(cause.Error())}})
	c.delivered(arn, queue, "", err)
}

func targetInput(t object) eventpattern.TargetInput {
	var in eventpattern.TargetInput
	if s, ok := t["Input"].(string); ok {
		in.Input = &s
	}
	if s, ok := t["InputPath"].(string); ok {
		in.InputPath = &s
	}
	if o, ok := t["InputTransformer"].(object); ok {
		in.InputTransformer = &eventpattern.InputTransformer{InputPathsMap: map[string]string{}}
		in.InputTransformer.InputTemplate, _ = o["InputTemplate"].(string)
		paths, _ := o["InputPathsMap"].(object)
		for name, path := range paths {
			in.InputTransformer.InputPathsMap[name], _ = path.(string)
		}
	}
	return in
}

// parcel is something to deliver to a target: what, on behalf of what, and by
// which service.
type parcel struct {
	service, source string // events.amazonaws.com, and the ARN of the rule
	target          string // ARN
	body            string
	group, dedup    string // of a FIFO queue
	subject         string // of a topic's message
	attributes      map[string]messageAttribute
}

// undelivered says why a parcel was not delivered, with EventBridge's code.
type undelivered struct{ code, message string }

func (u undelivered) Error() string { return u.message }

func noTarget(arn string) error { return undelivered{"NO_RESOURCE", arn + " does not exist"} }

func (a access) refused() error {
	return undelivered{"NO_PERMISSIONS", "the policy of " + a.resource + " does not let " + a.service + " do " + a.action + " for " + a.source}
}

// deliver hands over a parcel if the target is there and its policy lets the
// service in.
func (c *call) deliver(p parcel) error {
	parts := strings.SplitN(p.target, ":", 6)
	if len(parts) < 6 {
		return undelivered{"NO_RESOURCE", p.target + " is no ARN"}
	}
	if parts[3] != "" && !slices.Contains(c.regions, parts[3]) || parts[4] != "" && c.state.Accounts[parts[4]] == nil {
		return noTarget(p.target)
	}
	there := &call{Sandbox: c.Sandbox, now: c.now, view: c.now, region: parts[3], who: accessKey{Account: parts[4]}}
	ask := access{service: p.service, resource: p.target, source: p.source, account: c.who.Account}
	switch parts[2] {
	case "sqs":
		return there.toQueue(parts[5], p, ask)
	case "sns":
		return there.toTopic(parts[5], p, ask)
	case "lambda":
		return there.toFunction(strings.TrimPrefix(parts[5], "function:"), p, ask)
	}
	return undelivered{"SDK_CLIENT_ERROR", "the sandbox delivers to SQS, SNS, Lambda and event buses, not to " + parts[2]}
}

// keepTime lets the next time of a rule's schedule come about, and no other.
func (c *call) keepTime(r eventRule) {
	c.dropTimes(r)
	if r.Schedule == "" || !r.enabled() {
		return
	}
	t, err := parseTimetable(r.Schedule)
	if err != nil {
		return // PutRule has checked it
	}
	if at, ok := t.next(c.now); ok {
		c.schedule(due{At: at, Account: c.who.Account, Region: c.region, Rule: r.Name})
	}
}

func (c *call) dropTimes(r eventRule) {
	if r.Bus != defaultBus {
		return
	}
	c.state.Due = slices.DeleteFunc(c.state.Due, func(d due) bool {
		return d.Rule == r.Name && d.Account == c.who.Account && d.Region == c.region
	})
}

// tick is a time of a rule's schedule: its targets get a scheduled event, which
// no other rule sees.
func (c *call) tick(name string) {
	_, r, ok := c.home().Events.Rules.live(defaultBus+"/"+name, c.now)
	if !ok {
		return
	}
	e := envelope{Version: "0", ID: c.occurrence(), DetailType: "Scheduled Event", Source: "aws.events", Account: c.who.Account, Time: c.now.UTC().Truncate(time.Second),
		Region: c.region, Resources: []string{c.ruleARN(r)}, Detail: json.RawMessage("{}")}
	if raw, err := json.Marshal(e); err == nil {
		c.outcomes.Events++
		c.fire(r, due{Event: &e}, raw)
	}
	c.keepTime(r)
}
