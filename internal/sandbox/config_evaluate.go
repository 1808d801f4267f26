package sandbox

import (
	"context"
	"encoding/json"
	"slices"
	"time"
)

// RuleCheck is what a rule is to judge.
type RuleCheck struct {
	Account, Region string
	Time            time.Time
	Rule            json.RawMessage   // a ConfigRule, as DescribeConfigRules has it
	Items           []json.RawMessage // of the rule's scope, as Config hands them to a Lambda function
}

// Verdict is what a rule says of one resource.
type Verdict struct {
	ResourceType, ResourceID string
	Compliance               string // COMPLIANT, NON_COMPLIANT or NOT_APPLICABLE; else it says nothing
	Annotation               string
}

// HandleRules says how AWS's managed rules and Guard policies judge; the sandbox
// knows none. Without it such a rule never has a result. The function may call
// the sandbox. It is called when a rule is put, when its evaluation is started,
// by EvaluateRules, and before compliance is told where items changed since.
func (s *Sandbox) HandleRules(judge func(context.Context, RuleCheck) ([]Verdict, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.judge = judge
}

// EvaluateRules lets every rule of every account and Region judge what changed
// since it last did, as a change or its schedule would.
func (s *Sandbox) EvaluateRules(ctx context.Context) {
	s.mu.Lock()
	now := s.clock.Now()
	s.settle(now)
	var runs []func(context.Context)
	for _, id := range sorted(s.state.Accounts) {
		for _, name := range sorted(s.state.Accounts[id].Regions) {
			c := &call{Sandbox: s, now: now, view: now, region: name, who: accessKey{Account: id}}
			for rule := range c.home().Config.Rules.all(now) {
				if run := c.judging(rule, false); run != nil {
					runs = append(runs, run)
				}
			}
		}
	}
	s.mu.Unlock()
	for _, run := range runs {
		run(ctx)
	}
	s.drain()
}

// evaluateSoon lets a rule judge all of its scope once the call is over.
func (c *call) evaluateSoon(rule string) {
	later := *c
	c.later = append(c.later, func() {
		later.mu.Lock()
		run := later.judging(rule, true)
		later.mu.Unlock()
		if run != nil {
			run(context.Background())
		}
	})
}

// evaluated serves a read of compliance, for which the rules judge first what
// changed.
func evaluated(names func(*call) []string, read func(*call) (map[string]any, error)) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		if out, err := read(c); err != nil {
			return out, err
		}
		var runs []func(context.Context)
		for _, name := range names(c) {
			if run := c.judging(name, false); run != nil {
				runs = append(runs, run)
			}
		}
		if len(runs) == 0 {
			return read(c)
		}
		later := *c
		c.after = func(ctx context.Context) (map[string]any, error) {
			for _, run := range runs {
				run(ctx)
			}
			later.mu.Lock()
			defer later.mu.Unlock()
			return read(&later)
		}
		return object{}, nil
	}
}

// ruleNames are the rules that a call names, or all.
func ruleNames(c *call) []string {
	if name := c.str("ConfigRuleName"); name != "" {
		return []string{name}
	}
	if names := c.strings("ConfigRuleNames"); len(names) > 0 {
		return names
	}
	var out []string
	for name := range c.home().Config.Rules.all(c.now) {
		out = append(out, name)
	}
	return out
}

// scope gives the current items that a rule is about.
func (c *call) scope(r configRule) []item {
	types := texts(lookup(r.Settings, "Scope.ComplianceResourceTypes"))
	key, value := r.str("Scope.TagKey"), r.str("Scope.TagValue")
	var out []item
	for _, k := range itemKinds {
		if len(types) > 0 && !slices.Contains(types, k.resourceType) {
			continue
		}
		for _, id := range k.ids(c) {
			i, ok := c.latest(k, id, c.now)
			if !ok {
				continue
			}
			if want := r.str("Scope.ComplianceResourceId"); want != "" && want != i.id {
				continue
			}
			if v, has := i.tags[key]; key != "" && (!has || value != "" && value != v) {
				continue
			}
			out = append(out, i)
		}
	}
	return out
}

// judging prepares what a rule is to do, for the time when the sandbox is
// unlocked; nil: nothing. all: its whole scope, else what changed only.
func (c *call) judging(rule string, all bool) func(context.Context) {
	_, r, err := c.configRule(rule, c.now)
	if err != nil || c.judge == nil && r.str("Source.Owner") != "CUSTOM_LAMBDA" {
		return nil
	}
	scope := c.scope(r)
	present := map[string]bool{}
	var due []item
	for _, i := range scope {
		key := resultKey(rule, i.resourceType, i.id)
		present[key] = true
		if _, _, judged := c.home().Config.Results.live(key, c.now); all || !judged || i.captured.After(r.Invoked) {
			due = append(due, i)
		}
	}
	for key, result := range c.home().Config.Results { // of what is gone, nothing is said any more
		if v, ok := result.as(c.now); ok && v.Rule == rule && !present[key] && recordable(v.ResourceType) {
			result.end(c.now)
		}
	}
	if len(due) == 0 || !all && !r.Invoked.IsZero() && !slices.ContainsFunc(due, func(i item) bool { return i.captured.After(r.Invoked) }) {
		return nil
	}
	own := *c
	own.after = nil
	if r.str("Source.Owner") == "CUSTOM_LAMBDA" {
		return func(context.Context) { own.invokeRule(rule, r, due) }
	}
	check := RuleCheck{Account: c.who.Account, Region: c.region, Time: c.now, Rule: json.RawMessage(jsonText(c.configRuleOut(r)))}
	for _, i := range due {
		check.Items = append(check.Items, json.RawMessage(jsonText(i.event(c))))
	}
	judge := c.judge
	return func(ctx context.Context) {
		verdicts, err := judge(ctx, check)
		own.mu.Lock()
		defer own.mu.Unlock()
		record, _, there := own.home().Config.Rules.live(rule, own.now)
		if !there {
			return
		}
		record.change(own.now, func(r *configRule) {
			if r.Error = ""; err != nil {
				r.Failed, r.Error = own.now, err.Error()
				return
			}
			r.Invoked = own.now
		})
		if err == nil {
			for _, v := range verdicts {
				own.judged(rule, v, own.now)
			}
			own.settle(own.now)
		}
	}
}

// invokeRule lets a custom rule's function judge: once for each item, or once
// for its schedule. Its verdicts come by PutEvaluations.
func (c *call) invokeRule(rule string, r configRule, due []item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := functionARN.FindStringSubmatch(r.str("Source.SourceIdentifier"))[1]
	_, f, ok := c.home().Lambda.Functions.live(name, c.now)
	record, _, there := c.home().Config.Rules.live(rule, c.now)
	if !there {
		return
	}
	if !ok {
		record.change(c.now, func(r *configRule) { r.Failed, r.Error = c.now, "The function was not found." })
		return
	}
	record.change(c.now, func(r *configRule) { r.Invoked, r.Error = c.now, "" })
	for _, d := range objects(lookup(r.Settings, "Source.SourceDetails")) {
		switch d["MessageType"] {
		case "ConfigurationItemChangeNotification":
			for _, i := range due {
				c.runLater(name, f, c.invokingEvent(rule, r, object{"configurationItem": i.event(c), "configurationItemDiff": nil, "messageType": d["MessageType"]}))
			}
		case "ScheduledNotification":
			c.runLater(name, f, c.invokingEvent(rule, r, object{"awsAccountId": c.who.Account, "messageType": d["MessageType"]}))
		}
	}
}

// invokingEvent is what Config hands to a rule's function.
// Source: AWS Config Developer Guide, "Example events for AWS Config rules".
func (c *call) invokingEvent(rule string, r configRule, event object) []byte {
	event["notificationCreationTime"], event["recordVersion"] = stamp(c.now), "1.3"
	state := &c.home().Config
	if state.Tokens == nil {
		state.Tokens = map[string]string{}
	}
	token := c.occurrence()
	state.Tokens[token] = rule
	parameters := r.str("InputParameters")
	if parameters == "" {
		parameters = "{}"
	}
	_, rec, _ := c.recorder(c.now)
	return []byte(jsonText(object{"version": "1.0", "invokingEvent": jsonText(event), "ruleParameters": parameters, "resultToken": token, "eventLeftScope": false,
		"executionRoleArn": rec.Settings["roleARN"], "configRuleArn": c.configRuleARN(r), "configRuleName": rule, "configRuleId": r.ID, "accountId": c.who.Account}))
}
