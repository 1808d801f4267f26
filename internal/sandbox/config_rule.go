package sandbox

import (
	_ "embed"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// configRule is a rule of Config.
type configRule struct {
	ID       string    `json:"id"`
	Settings structure `json:"settings"` // as PutConfigRule had them
	Tags     tagSet    `json:"tags,omitempty"`
	Put      time.Time `json:"put"`
	Creator  string    `json:"createdBy,omitempty"` // a service
	// Of its evaluations.
	Invoked time.Time `json:"invoked,omitzero"`
	Failed  time.Time `json:"failed,omitzero"`
	Error   string    `json:"error,omitempty"`
}

func (r configRule) str(path string) string { return lookupText(r.Settings, path) }

const (
	maxConfigRules  = 1000
	configRulesPage = 25
)

//go:embed config_managed.txt
var managedRules string

var (
	guardRuntime = patternOf(`^guard-2\.x\.x$`)
	functionARN  = patternOf(`^arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:([a-zA-Z0-9-_]+)$`)
)

func (c *call) configRuleARN(r configRule) string {
	return "arn:aws:config:" + c.region + ":" + c.who.Account + ":config-rule/" + r.ID
}

// configRule finds a rule.
func (c *call) configRule(name string, at time.Time) (*record[configRule], configRule, error) {
	if r, v, ok := c.home().Config.Rules.live(name, at); ok {
		return r, v, nil
	}
	return nil, configRule{}, noConfigRule(name)
}

func noConfigRule(name string) error {
	return failure(400, "NoSuchConfigRuleException", "The ConfigRule '%s' provided in the request is invalid. Please check the configRule name", name)
}

func putConfigRule(c *call) (map[string]any, error) {
	if _, _, ok := c.recorder(c.now); !ok {
		return nil, noRecorder()
	}
	settings := copied(c.object("ConfigRule")).(object)
	name, _ := settings["ConfigRuleName"].(string)
	for key, r := range c.home().Config.Rules.all(c.now) { // a rule goes by its ARN or id as well
		if name == "" && (settings["ConfigRuleArn"] == c.configRuleARN(r) || settings["ConfigRuleId"] == r.ID) {
			name = key
		}
	}
	if strings.TrimSpace(name) == "" {
		return nil, wrongParameter("One or more identifiers needs to be provided. Provide Name or Id or Arn")
	}
	settings["ConfigRuleName"] = name
	tags, err := parseTags(c.in["Tags"])
	if err != nil {
		return nil, err
	}
	old, was, exists := c.home().Config.Rules.live(name, c.now)
	if exists && was.Creator != "" {
		return nil, failure(400, "ResourceInUseException", "The rule %s belongs to %s, which alone may change it.", name, was.Creator)
	}
	if !exists && (settings["ConfigRuleArn"] != nil || settings["ConfigRuleId"] != nil) {
		return nil, wrongParameter("ConfigRule Arn and Id can not be specified when creating a new ConfigRule. ConfigRule Arn and Id are required only for updates.")
	}
	if err := c.checkConfigRule(settings); err != nil {
		return nil, err
	}
	if exists {
		old.change(c.now, func(r *configRule) { r.Settings, r.Put = settings, c.now })
		c.evaluateSoon(name)
		return object{}, nil
	}
	return object{}, c.makeConfigRule(name, settings, tags, "")
}

// makeConfigRule makes a rule whose settings were checked.
func (c *call) makeConfigRule(name string, settings object, tags tagSet, creator string) error {
	n := 0
	for range c.home().Config.Rules.all(c.now) {
		n++
	}
	if n >= maxConfigRules {
		return failure(400, "MaxNumberOfConfigRulesExceededException", "Failed to put the config rule '%s' because the account already contains '%d' config rules. Consider deleting some rules before creating new rules.", name, n)
	}
	c.home().Config.Rules.put(name, c.now, configRule{ID: "config-rule-" + c.id("", 6), Settings: settings, Tags: tags, Put: c.now, Creator: creator})
	c.evaluateSoon(name)
	return nil
}

// checkConfigRule refuses what Config refuses of a rule.
// Source: AWS Config API Reference, PutConfigRule, ConfigRule, Source and Scope.
func (c *call) checkConfigRule(settings object) error {
	if s, ok := settings["ConfigRuleState"].(string); ok && s != "ACTIVE" {
		return wrongParameter("The ConfigRuleState %s is invalid. Only the following values are permitted: ACTIVE", s)
	}
	if p, ok := settings["InputParameters"].(string); ok {
		var parameters map[string]any
		if json.Unmarshal([]byte(p), &parameters) != nil {
			return wrongParameter("Invalid json %s passed in the InputParameters field", p)
		}
	}
	scope, _ := settings["Scope"].(object)
	types := texts(scope["ComplianceResourceTypes"])
	switch {
	case scope["ComplianceResourceId"] != nil && len(types) != 1:
		return wrongParameter("Scope.ComplianceResourceId needs exactly one of Scope.ComplianceResourceTypes.")
	case scope["TagValue"] != nil && scope["TagKey"] == nil:
		return wrongParameter("Scope.TagKey must be provided when Scope.TagValue is.")
	case len(types) > 100:
		return wrongParameter("Scope.ComplianceResourceTypes must have at most 100 members.")
	}
	source, _ := settings["Source"].(object)
	details := objects(source["SourceDetails"])
	for _, d := range details {
		message, _ := d["MessageType"].(string)
		scheduled := message == "ScheduledNotification"
		switch {
		case d["EventSource"] != "aws.config":
			return wrongParameter("The EventSource of SourceDetails must be aws.config.")
		case d["MaximumExecutionFrequency"] != nil && !scheduled:
			return wrongParameter("A maximum execution frequency is not allowed if MessageType is %s", message)
		}
	}
	identifier, _ := source["SourceIdentifier"].(string)
	switch source["Owner"] {
	case "AWS":
		switch {
		case source["SourceDetails"] != nil:
			return wrongParameter("SourceDetails should be null/empty if the owner is AWS. The SourceDetails are automatically set.")
		case source["CustomPolicyDetails"] != nil:
			return wrongParameter("CustomPolicyDetails should be null/empty if the owner is AWS.")
		case !strings.Contains(managedRules, "\n"+identifier+"\n"):
			return wrongParameter("The sourceIdentifier %s is invalid. Please refer to the documentation for a list of valid sourceIdentifiers that can be used when AWS is the Owner.", identifier)
		}
	case "CUSTOM_POLICY":
		policy, _ := source["CustomPolicyDetails"].(object)
		runtime, _ := policy["PolicyRuntime"].(string)
		text, _ := policy["PolicyText"].(string)
		switch {
		case policy == nil:
			return wrongParameter("CustomPolicyDetails should not be null/empty if the owner is CUSTOM_POLICY.")
		case identifier != "":
			return wrongParameter("SourceIdentifier should be null/empty if the owner is CUSTOM_POLICY.")
		case !guardRuntime.MatchString(runtime):
			return wrongParameter("The PolicyRuntime %s is invalid. Only the following values are permitted: guard-2.x.x", runtime)
		case len(details) == 0:
			return wrongParameter("SourceDetails should not be null/empty if the owner is CUSTOM_POLICY.")
		case strings.TrimSpace(text) == "":
			return wrongParameter("The PolicyText should not be empty.")
		}
	case "CUSTOM_LAMBDA":
		switch {
		case len(details) == 0:
			return wrongParameter("SourceDetails should not be null/empty if the owner is a customer. The SourceDetails should be specified.")
		case !functionARN.MatchString(identifier):
			return wrongParameter("The sourceIdentifier %s is invalid. It must be the ARN of a Lambda function.", identifier)
		}
		return c.mayInvoke(identifier)
	}
	return nil
}

// mayInvoke says whether Config may invoke a function of its Region.
func (c *call) mayInvoke(arn string) error {
	name := functionARN.FindStringSubmatch(arn)[1]
	if _, f, ok := c.home().Lambda.Functions.live(name, c.now); ok && arn == c.functionARN(name) {
		if (access{service: "config.amazonaws.com", action: "lambda:InvokeFunction", resource: arn, account: c.who.Account}).grants(c.policy(f.policyText())) {
			return nil
		}
	}
	return failure(400, "InsufficientPermissionsException", "The AWS Lambda function %s cannot be invoked. Check the specified function ARN, and check the function's permissions.", arn)
}

func (c *call) configRuleOut(r configRule) object {
	out := copied(r.Settings).(object)
	out["ConfigRuleArn"], out["ConfigRuleId"], out["ConfigRuleState"] = c.configRuleARN(r), r.ID, "ACTIVE"
	if out["EvaluationModes"] == nil {
		out["EvaluationModes"] = []any{object{"Mode": "DETECTIVE"}}
	}
	if r.Creator != "" {
		out["CreatedBy"] = r.Creator
	}
	return out
}

// eachConfigRule answers for the rules that a call names, or for all.
func eachConfigRule(key string, look func(*call, string, configRule) object) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		names := c.strings("ConfigRuleNames")
		if len(names) > 25 {
			return nil, wrongParameter("ConfigRuleNames must have at most 25 members.")
		}
		for _, name := range names {
			if _, _, err := c.configRule(name, c.view); err != nil {
				return nil, err
			}
		}
		list := []any{}
		for name, r := range c.home().Config.Rules.all(c.view) {
			if len(names) == 0 || slices.Contains(names, name) {
				if out := look(c, name, r); out != nil {
					list = append(list, out)
				}
			}
		}
		page, next, err := c.configPage(list, configRulesPage, 50)
		if err != nil {
			return nil, err
		}
		return withToken(object{key: page}, next), nil
	}
}

func deleteConfigRule(c *call) (map[string]any, error) {
	name := c.str("ConfigRuleName")
	r, v, err := c.configRule(name, c.now)
	if err != nil {
		return nil, err
	}
	if v.Creator != "" {
		return nil, failure(400, "ResourceInUseException", "The rule %s belongs to %s, which alone may delete it.", name, v.Creator)
	}
	if _, _, ok := c.home().Config.Remediations.live(name, c.now); ok {
		return nil, failure(400, "ResourceInUseException", "The rule %s has a remediation action. Delete the remediation action and try again.", name)
	}
	c.dropConfigRule(name, r)
	return object{}, nil
}

func (c *call) dropConfigRule(name string, r *record[configRule]) {
	r.end(c.now)
	for key, result := range c.home().Config.Results {
		if strings.HasPrefix(key, name+"\n") {
			result.end(c.now)
		}
	}
	for token, rule := range c.home().Config.Tokens {
		if rule == name {
			delete(c.home().Config.Tokens, token)
		}
	}
}

func startEvaluation(c *call) (map[string]any, error) {
	names := c.strings("ConfigRuleNames")
	if len(names) == 0 || len(names) > 25 {
		return nil, wrongParameter("ConfigRuleNames must have from 1 to 25 members.")
	}
	for _, name := range names {
		if _, _, err := c.configRule(name, c.now); err != nil {
			return nil, err
		}
	}
	for _, name := range names {
		c.evaluateSoon(name)
	}
	return object{}, nil
}

func ruleStatus(c *call, name string, r configRule) object {
	out := object{"ConfigRuleName": name, "ConfigRuleArn": c.configRuleARN(r), "ConfigRuleId": r.ID, "FirstActivatedTime": r.Put, "FirstEvaluationStarted": !r.Invoked.IsZero() || !r.Failed.IsZero()}
	if !r.Invoked.IsZero() {
		out["LastSuccessfulInvocationTime"], out["LastSuccessfulEvaluationTime"] = r.Invoked, r.Invoked
	}
	if r.Error != "" {
		out["LastFailedInvocationTime"], out["LastFailedEvaluationTime"], out["LastErrorCode"], out["LastErrorMessage"] = r.Failed, r.Failed, "InternalError", r.Error
	}
	return out
}

var configRuleHandlers = map[string]handler{
	"DeleteConfigRule": {"config:DeleteConfigRule", deleteConfigRule},
	"DescribeConfigRuleEvaluationStatus": {"config:DescribeConfigRuleEvaluationStatus",
		eachConfigRule("ConfigRulesEvaluationStatus", ruleStatus)},
	"DescribeConfigRules": {"config:DescribeConfigRules",
		eachConfigRule("ConfigRules", func(c *call, _ string, r configRule) object { return c.configRuleOut(r) })},
	"PutConfigRule":              {"config:PutConfigRule", putConfigRule},
	"StartConfigRulesEvaluation": {"config:StartConfigRulesEvaluation", startEvaluation},
}
