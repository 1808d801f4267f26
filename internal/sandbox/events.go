package sandbox

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood/eventpattern"
)

// eventsState is what events has in one account and Region.
type eventsState struct {
	Buses table[eventBus]  `json:"buses,omitempty"` // but the default one
	Rules table[eventRule] `json:"rules,omitempty"` // by bus/name
}

type eventBus struct {
	Created time.Time `json:"created"`
	Text    string    `json:"description,omitempty"`
}

type eventRule struct {
	Name     string            `json:"name"`
	Bus      string            `json:"bus"`
	Pattern  string            `json:"pattern,omitempty"`
	Schedule string            `json:"schedule,omitempty"`
	State    string            `json:"state"`
	Text     string            `json:"description,omitempty"`
	Role     string            `json:"role,omitempty"`
	Tags     tagSet            `json:"tags,omitempty"`
	Targets  map[string]object `json:"targets,omitempty"` // by id, as PutTargets takes them
}

// The quotas of EventBridge that a mistake soon meets.
const (
	maxTargets = 5
	maxEntries = 1 << 20 // bytes of all entries of PutEvents
)

var (
	eventRuleName = patternOf(`^[.\-_A-Za-z0-9]{1,64}$`)
	eventBusName  = patternOf(`^[/.\-_A-Za-z0-9]{1,256}$`)
)

// enabled says whether a rule matches events or keeps its schedule.
func (r eventRule) enabled() bool { return r.State != "DISABLED" }

func (c *call) eventsARN(rest string) string {
	return "arn:aws:events:" + c.region + ":" + c.who.Account + ":" + rest
}

func (c *call) ruleARN(r eventRule) string {
	if r.Bus == defaultBus {
		return c.eventsARN("rule/" + r.Name)
	}
	return c.eventsARN("rule/" + r.Bus + "/" + r.Name)
}

func (c *call) busARN(name string) string { return c.eventsARN("event-bus/" + name) }

// bus is the name of the bus that a call is about; it takes an ARN as well.
func (c *call) bus(at time.Time) (string, error) {
	name := strings.TrimPrefix(cmp.Or(c.str("EventBusName"), defaultBus), c.busARN(""))
	if _, _, ok := c.home().Events.Buses.live(name, at); ok || name == defaultBus {
		return name, nil
	}
	return "", failure(400, "ResourceNotFoundException", "Event bus %s does not exist.", name)
}

// rule finds the rule that a call is about; member has its name.
func (c *call) rule(member string, at time.Time) (*record[eventRule], eventRule, error) {
	bus, err := c.bus(at)
	if err != nil {
		return nil, eventRule{}, err
	}
	if r, v, ok := c.home().Events.Rules.live(bus+"/"+c.str(member), at); ok {
		return r, v, nil
	}
	return nil, eventRule{}, failure(400, "ResourceNotFoundException", "Rule %s does not exist on EventBus %s.", c.str(member), bus)
}

func putRule(c *call) (map[string]any, error) {
	bus, err := c.bus(c.now)
	if err != nil {
		return nil, err
	}
	r := eventRule{Name: c.str("Name"), Bus: bus, Pattern: c.str("EventPattern"), Schedule: c.str("ScheduleExpression"), State: cmp.Or(c.str("State"), "ENABLED"),
		Text: c.str("Description"), Role: c.str("RoleArn")}
	if !eventRuleName.MatchString(r.Name) {
		return nil, invalid("Value '%s' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+", r.Name)
	}
	switch {
	case r.Pattern == "" && r.Schedule == "":
		return nil, invalid("Parameter(s) EventPattern or ScheduleExpression must be specified.")
	case r.Schedule != "" && bus != defaultBus:
		return nil, invalid("ScheduleExpression is supported only on the default event bus.")
	case !slices.Contains([]string{"ENABLED", "DISABLED", everyManagementEvent}, r.State):
		return nil, invalid("Value '%s' at 'state' failed to satisfy constraint: Member must satisfy enum value set", r.State)
	}
	if r.Pattern != "" {
		if _, err := (eventpattern.Options{LastKeyWins: true}).Compile([]byte(r.Pattern)); err != nil {
			return nil, failure(400, "InvalidEventPatternException", "Event pattern is not valid. Reason: %v", err)
		}
	}
	if r.Schedule != "" {
		if _, err := parseTimetable(r.Schedule); err != nil {
			return nil, invalid("Parameter ScheduleExpression is not valid.")
		}
	}
	if r.Tags, err = parseTags(c.in["Tags"]); err != nil {
		return nil, err
	}
	key := bus + "/" + r.Name
	if old, was, ok := c.home().Events.Rules.live(key, c.now); ok { // all but targets and tags is replaced
		old.change(c.now, func(now *eventRule) { *now, now.Targets, now.Tags = r, was.Targets, was.Tags })
	} else {
		c.home().Events.Rules.put(key, c.now, r)
	}
	c.keepTime(r)
	return object{"RuleArn": c.ruleARN(r)}, nil
}

func invalid(format string, args ...any) error {
	return failure(400, "ValidationException", format, args...)
}

func (c *call) ruleOut(r eventRule) object {
	out := object{"Name": r.Name, "Arn": c.ruleARN(r), "State": r.State, "EventBusName": r.Bus}
	return withTexts(out, map[string]string{"EventPattern": r.Pattern, "ScheduleExpression": r.Schedule, "Description": r.Text, "RoleArn": r.Role})
}

func describeRule(c *call) (map[string]any, error) {
	_, r, err := c.rule("Name", c.view)
	if err != nil {
		return nil, err
	}
	out := c.ruleOut(r)
	out["CreatedBy"] = c.who.Account
	return out, nil
}

func deleteRule(c *call) (map[string]any, error) {
	r, v, err := c.rule("Name", c.now)
	if codeOf(err) == "ResourceNotFoundException" && c.str("EventBusName") == "" {
		return object{}, nil // a rule that isn't there is as good as deleted
	}
	if err != nil {
		return nil, err
	}
	if len(v.Targets) > 0 {
		return nil, invalid("Rule can't be deleted since it has targets.")
	}
	r.end(c.now)
	c.dropTimes(v)
	return object{}, nil
}

func setRuleState(state string) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		r, v, err := c.rule("Name", c.now)
		if err != nil {
			return nil, err
		}
		v.State = state
		r.change(c.now, func(r *eventRule) { r.State = state })
		c.keepTime(v)
		return object{}, nil
	}
}

func listRules(c *call) (map[string]any, error) {
	bus, err := c.bus(c.view)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, r := range c.home().Events.Rules.all(c.view) {
		if r.Bus == bus && strings.HasPrefix(r.Name, c.str("NamePrefix")) {
			out = append(out, c.ruleOut(r))
		}
	}
	return c.limited("Rules", "Limit", out)
}

// limited is page for the services whose member for the size has another name.
func (c *call) limited(key, limit string, items []any) (map[string]any, error) {
	sub := *c
	sub.in = object{"NextToken": c.in["NextToken"], "MaxResults": c.in[limit]}
	return sub.page(key, items)
}

func putTargets(c *call) (map[string]any, error) {
	r, v, err := c.rule("Rule", c.now)
	if err != nil {
		return nil, err
	}
	targets := map[string]object{}
	for id, t := range v.Targets {
		targets[id] = t
	}
	for _, t := range c.objects("Targets") {
		id, _ := t["Id"].(string)
		arn, _ := t["Arn"].(string)
		if parts := strings.SplitN(arn, ":", 6); len(parts) < 6 || parts[0] != "arn" {
			return nil, invalid("Parameter %s is not valid. Reason: Provided Arn is not in correct format.", arn)
		}
		if _, err := targetInput(t).Compile(); err != nil {
			return nil, invalid("Invalid input for target %s. Reason: %v", id, err)
		}
		targets[id], _ = wholeNumbers(t).(object)
	}
	if len(targets) > maxTargets {
		return nil, failure(400, "LimitExceededException", "The requested resource exceeds the maximum number allowed.")
	}
	r.change(c.now, func(r *eventRule) { r.Targets = targets })
	return object{"FailedEntryCount": int64(0), "FailedEntries": []any{}}, nil
}

func removeTargets(c *call) (map[string]any, error) {
	r, v, err := c.rule("Rule", c.now)
	if err != nil {
		return nil, err
	}
	targets, failed := map[string]object{}, []any{}
	for id, t := range v.Targets {
		targets[id] = t
	}
	for _, id := range c.strings("Ids") {
		if _, ok := targets[id]; !ok {
			failed = append(failed, object{"TargetId": id, "ErrorCode": "ResourceNotFoundException", "ErrorMessage": "Rule " + v.Name + " does not have target(s) with id " + id})
		}
		delete(targets, id)
	}
	r.change(c.now, func(r *eventRule) { r.Targets = targets })
	return object{"FailedEntryCount": int64(len(failed)), "FailedEntries": failed}, nil
}

func listTargets(c *call) (map[string]any, error) {
	_, r, err := c.rule("Rule", c.view)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, id := range sorted(r.Targets) {
		out = append(out, wholeNumbers(r.Targets[id]))
	}
	return c.limited("Targets", "Limit", out)
}

// wholeNumbers gives a copy of a value in which numbers are as the models have them again,
// after a snapshot made them JSON's.
func wholeNumbers(v any) any {
	switch v := v.(type) {
	case object:
		out := object{}
		for k, e := range v {
			out[k] = wholeNumbers(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = wholeNumbers(e)
		}
		return out
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
	}
	return v
}

func putEvents(c *call) (map[string]any, error) {
	entries := c.objects("Entries")
	if len(entries) == 0 || len(entries) > 10 {
		return nil, invalid("1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length from 1 to 10")
	}
	size := 0
	for _, e := range entries {
		for _, name := range []string{"Source", "DetailType", "Detail"} {
			s, _ := e[name].(string)
			size += len(s)
		}
	}
	if size > maxEntries {
		return nil, invalid("Total size of the entries in the request is over the limit.")
	}
	out, failed := []any{}, int64(0)
	for _, e := range entries {
		result, ok := c.putEntry(e)
		if !ok {
			failed++
		}
		out = append(out, result)
	}
	return object{"FailedEntryCount": failed, "Entries": out}, nil
}

// putEntry sends one entry of PutEvents. One for a bus that isn't there is taken
// and reaches nobody.
func (c *call) putEntry(e object) (result object, ok bool) {
	for _, name := range []string{"Source", "DetailType", "Detail"} {
		if s, _ := e[name].(string); s == "" {
			return object{"ErrorCode": "InvalidArgument", "ErrorMessage": "Parameter " + name + " is not valid. Reason: " + name + " is a required argument."}, false
		}
	}
	source, detail := e["Source"].(string), e["Detail"].(string)
	if strings.HasPrefix(source, "aws.") {
		return object{"ErrorCode": "NotAuthorizedForSourceException", "ErrorMessage": "Not authorized for the source."}, false
	}
	var body object
	if json.Unmarshal([]byte(detail), &body) != nil || body == nil {
		return object{"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}, false
	}
	at, _ := e["Time"].(time.Time)
	name, _ := e["EventBusName"].(string)
	bus := strings.TrimPrefix(cmp.Or(name, defaultBus), c.busARN(""))
	id := c.send(bus, c.now, envelope{Source: source, DetailType: e["DetailType"].(string), Time: at, Resources: texts(e["Resources"]), Detail: json.RawMessage(detail)})
	return object{"EventId": id}, true
}

func testEventPattern(c *call) (map[string]any, error) {
	p, err := (eventpattern.Options{LastKeyWins: true}).Compile([]byte(c.str("EventPattern")))
	if err != nil {
		return nil, failure(400, "InvalidEventPatternException", "Event pattern is not valid. Reason: %v", err)
	}
	var event object
	if err := json.Unmarshal([]byte(c.str("Event")), &event); err != nil || event == nil {
		return nil, invalid("Parameter Event is not valid. Reason: it is not a JSON object.")
	}
	for _, name := range []string{"id", "account", "source", "time", "region", "resources", "detail-type"} {
		if _, ok := event[name]; !ok {
			return nil, invalid("Parameter Event is not valid. Reason: it has no %s.", name)
		}
	}
	match, err := p.Match([]byte(c.str("Event")))
	if err != nil && !errors.Is(err, eventpattern.ErrTooComplex) {
		return nil, invalid("Parameter Event is not valid. Reason: %v", err)
	}
	return object{"Result": match}, nil
}

func createEventBus(c *call) (map[string]any, error) {
	name := c.str("Name")
	if !eventBusName.MatchString(name) || strings.HasPrefix(name, "aws.") {
		return nil, invalid("Event bus name is not valid.")
	}
	if _, _, ok := c.home().Events.Buses.live(name, c.now); ok || name == defaultBus {
		return nil, failure(400, "ResourceAlreadyExistsException", "Event bus %s already exists.", name)
	}
	c.home().Events.Buses.put(name, c.now, eventBus{Created: c.now, Text: c.str("Description")})
	return object{"EventBusArn": c.busARN(name)}, nil
}

func deleteEventBus(c *call) (map[string]any, error) {
	name := c.str("Name")
	if name == defaultBus {
		return nil, invalid("Cannot delete event bus default.")
	}
	for _, r := range c.home().Events.Rules.all(c.now) {
		if r.Bus == name {
			return nil, invalid("Event bus %s has rules that must be deleted first.", name)
		}
	}
	if r, _, ok := c.home().Events.Buses.live(name, c.now); ok {
		r.end(c.now)
	}
	return object{}, nil
}

func describeEventBus(c *call) (map[string]any, error) {
	sub := *c
	sub.in = object{"EventBusName": c.str("Name")}
	name, err := sub.bus(c.view)
	if err != nil {
		return nil, err
	}
	out := object{"Name": name, "Arn": c.busARN(name)}
	if _, b, ok := c.home().Events.Buses.live(name, c.view); ok {
		out["CreationTime"], out["LastModifiedTime"] = b.Created, b.Created
		if b.Text != "" {
			out["Description"] = b.Text
		}
	}
	return out, nil
}

func listEventBuses(c *call) (map[string]any, error) {
	out := []any{object{"Name": defaultBus, "Arn": c.busARN(defaultBus)}}
	for name := range c.home().Events.Buses.all(c.view) {
		out = append(out, object{"Name": name, "Arn": c.busARN(name)})
	}
	out = slices.DeleteFunc(out, func(b any) bool { return !strings.HasPrefix(b.(object)["Name"].(string), c.str("NamePrefix")) })
	return c.limited("EventBuses", "Limit", out)
}

var eventsHandlers = map[string]handler{
	"CreateEventBus":    {"events:CreateEventBus", createEventBus},
	"DeleteEventBus":    {"events:DeleteEventBus", deleteEventBus},
	"DeleteRule":        {"events:DeleteRule", deleteRule},
	"DescribeEventBus":  {"events:DescribeEventBus", describeEventBus},
	"DescribeRule":      {"events:DescribeRule", describeRule},
	"DisableRule":       {"events:DisableRule", setRuleState("DISABLED")},
	"EnableRule":        {"events:EnableRule", setRuleState("ENABLED")},
	"ListEventBuses":    {"events:ListEventBuses", listEventBuses},
	"ListRules":         {"events:ListRules", listRules},
	"ListTargetsByRule": {"events:ListTargetsByRule", listTargets},
	"PutEvents":         {"events:PutEvents", putEvents},
	"PutRule":           {"events:PutRule", putRule},
	"PutTargets":        {"events:PutTargets", putTargets},
	"RemoveTargets":     {"events:RemoveTargets", removeTargets},
	"TestEventPattern":  {"events:TestEventPattern", testEventPattern},
}
